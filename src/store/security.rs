//! What would void the access rules, found and said.

use super::{migrate, open};
use crate::pg::error::Result;
use crate::pg::spi::{self, Arg, Planning};
use crate::pg::system;

pub struct Finding {
    pub finding: &'static str,
    pub severity: &'static str,
    pub detail: String,
    pub hint: &'static str,
}

/// One row a check, 'ok' or what is wrong.
pub fn check() -> Result<Vec<Finding>> {
    let store = open::open()?;
    let caller = system::current_role();
    let role = system::role_name(caller);
    let _owner = store.as_owner();
    let schema_oid = store.identity.schema_oid;
    Ok(spi::connect(|session| {
        let rows = session.read(
            "SELECT rolsuper, rolbypassrls FROM pg_roles WHERE oid = $1",
            Planning::Auto,
            &[Arg::oid(caller)],
        );
        let superuser: bool = rows.get(0, 1).unwrap_or(false);
        let bypasses: bool = rows.get(0, 2).unwrap_or(false);
        let owns = system::has_rights_of(caller, store.owner);
        let tables = "FROM pg_class c WHERE c.relnamespace = $1 AND c.relkind = 'r'
            AND c.relname = ANY ($2)";
        let names = |condition: &str| -> Option<String> {
            let sql = format!(
                "SELECT string_agg(c.relname, ', ' ORDER BY c.relname) {tables} AND {condition}"
            );
            session
                .read(
                    &sql,
                    Planning::Auto,
                    &[Arg::oid(schema_oid), migrate::tables().into()],
                )
                .get(0, 1)
        };
        let unprotected = names("NOT c.relrowsecurity");
        let no_policy = names("NOT EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)");
        let public = names(
            "(EXISTS (SELECT FROM aclexplode(c.relacl) a WHERE a.grantee = 0)
              OR EXISTS (SELECT FROM pg_attribute t, aclexplode(t.attacl) a WHERE t.attrelid = c.oid AND a.grantee = 0))",
        );
        let foreign_policy = names(
            "EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid AND p.polpermissive
                     AND p.polname NOT IN ('memory_read', 'memory_insert', 'memory_update', 'memory_delete'))",
        );
        let other_owner = names(
            "c.relowner <> (SELECT m.relowner FROM pg_class m WHERE m.relnamespace = $1 AND m.relname = 'memories')",
        );
        let superuser_grants: Option<String> = session
            .read(
                &store.sql(
                    "SELECT string_agg(DISTINCT r.rolname, ', ') FROM @s@.memory_grants g JOIN pg_roles r ON r.rolname = g.role
                     WHERE r.rolsuper OR r.rolbypassrls",
                ),
                Planning::Auto,
                &[],
            )
            .get(0, 1);
        let orphan_grants: Option<String> = session
            .read(
                &store.sql(
                    "SELECT string_agg(DISTINCT g.role, ', ') FROM @s@.memory_grants g
                     WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = g.role)",
                ),
                Planning::Auto,
                &[],
            )
            .get(0, 1);
        let disabled_triggers: Option<String> = session
            .read(
                "SELECT string_agg(t.tgname, ', ' ORDER BY t.tgname) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
                 WHERE c.relnamespace = $1 AND starts_with(t.tgname::text, 'memory_') AND NOT t.tgisinternal AND t.tgenabled NOT IN ('O', 'A')",
                Planning::Auto,
                &[Arg::oid(schema_oid)],
            )
            .get(0, 1);
        vec![
            found(
                orphan_grants,
                "a grant names a role that does not exist",
                "error",
                "memory_revoke() it: a new role of that name would have its rights.",
            ),
            found(
                disabled_triggers,
                "a trigger of the store is disabled",
                "error",
                "ALTER TABLE ... ENABLE TRIGGER.",
            ),
            on(
                superuser,
                "caller is superuser",
                "warning",
                format!("Role {role} is not bound by any rule."),
                "Let agents connect as an ordinary role.",
            ),
            on(
                bypasses,
                "caller has BYPASSRLS",
                "warning",
                format!("Row-level security does not bind role {role}."),
                "ALTER ROLE ... NOBYPASSRLS.",
            ),
            on(
                owns && !superuser,
                "caller owns the tables",
                "warning",
                format!("Role {role} has the rights of the owner."),
                "Let agents connect as another role, with memory_grant().",
            ),
            found(
                unprotected,
                "row-level security is off",
                "error",
                "ALTER TABLE ... ENABLE ROW LEVEL SECURITY.",
            ),
            found(
                no_policy,
                "a table has no policy",
                "error",
                "Run SELECT memory_migrate(), which makes the policies again.",
            ),
            found(
                foreign_policy,
                "a table has a permissive policy of another's making",
                "error",
                "Drop the policy: permissive policies add up. Use CREATE POLICY ... AS RESTRICTIVE.",
            ),
            found(
                public,
                "PUBLIC has rights on a table",
                "error",
                "REVOKE ALL ON ... FROM PUBLIC.",
            ),
            found(
                other_owner,
                "tables have different owners",
                "error",
                "ALTER TABLE ... OWNER TO the owner of memories.",
            ),
            found(
                superuser_grants,
                "a granted role bypasses the rules",
                "error",
                "Grant to roles without SUPERUSER and BYPASSRLS.",
            ),
        ]
    }))
}

fn on(
    yes: bool,
    finding: &'static str,
    severity: &'static str,
    detail: String,
    hint: &'static str,
) -> Finding {
    if yes {
        Finding {
            finding,
            severity,
            detail,
            hint,
        }
    } else {
        Finding {
            finding,
            severity: "ok",
            detail: String::new(),
            hint: "",
        }
    }
}

fn found(
    names: Option<String>,
    finding: &'static str,
    severity: &'static str,
    hint: &'static str,
) -> Finding {
    on(
        names.is_some(),
        finding,
        severity,
        names.unwrap_or_default(),
        hint,
    )
}
