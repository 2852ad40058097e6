//! Rights: granting them, the rules of row-level security, and checking that nothing voids them.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::arguments::required;
use crate::pg::error::SqlResult as Result;
use crate::pg::measure::{Operation, measured};
use crate::pg::system;
use crate::store::access::{Privilege, Right};
use crate::store::grants::{self, Grant};
use crate::store::security;

/// Lets a role use the memory functions in a project ('*' is every project, for the owner to grant).
///
/// privilege is read, write or admin, each with those before it. With agent_id the role acts as that agent only. Members of the
/// role have its grants. For admins of the project. Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_grant(
    role: Option<&str>,
    project: Option<&str>,
    privilege: default!(Option<&str>, "'read'"),
    agent_id: default!(Option<&str>, "NULL"),
) -> Result<()> {
    measured(Operation::Grant, || {
        let grant = Grant {
            role: required("role", role)?,
            project: required("project", project)?,
            agent_id,
        };
        Ok(grants::grant(
            &grant,
            Privilege::named(required("privilege", privilege)?)?,
        )?)
    })
}

/// Takes grants of a role in a project back and returns how many; privilege and agent_id left out mean all.
/// Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_revoke(
    role: Option<&str>,
    project: Option<&str>,
    privilege: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
) -> Result<i64> {
    measured(Operation::Revoke, || {
        let grant = Grant {
            role: required("role", role)?,
            project: required("project", project)?,
            agent_id,
        };
        Ok(grants::revoke(
            &grant,
            privilege.map(Privilege::named).transpose()?,
        )?)
    })
}

/// What would void the access rules: one row a check, severity ok, warning or error. Errors: 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_security_check() -> Result<
    TableIterator<
        'static,
        (
            name!(finding, String),
            name!(severity, String),
            name!(detail, String),
            name!(hint, String),
        ),
    >,
> {
    measured(Operation::SecurityCheck, || {
        let findings = security::check()?;
        Ok(TableIterator::new(findings.into_iter().map(|finding| {
            (
                finding.finding.to_owned(),
                finding.severity.to_owned(),
                finding.detail,
                finding.hint.to_owned(),
            )
        })))
    })
}

/// Whether the current role has a privilege in a project (NULL: in any): the rule of row-level security on the store's tables.
#[pg_extern(stable, parallel_restricted)]
fn memory_allowed(project: Option<&str>, privilege: Option<&str>) -> Result<bool> {
    let need = Privilege::named(required("privilege", privilege)?)?;
    Ok(match grants::right_for_rows(project, need)? {
        Right::None => false,
        Right::Free { .. } => true,
        // What is not an agent's own is not a bound role's either.
        Right::Bound(_) => project.is_none() || need == Privilege::Read,
    })
}

/// Whether direct SQL of the current role may see a memory: the rule of row-level security. Sensitive rows are for admins,
/// because a row's rule cannot mask a column.
#[pg_extern(stable, parallel_restricted)]
fn memory_row_visible(
    project: Option<&str>,
    agent_id: Option<&str>,
    scope: Option<&str>,
    shared_with_agents: Option<Vec<Option<String>>>,
    is_sensitive: Option<bool>,
    expires_at: Option<TimestampWithTimeZone>,
    deleted_at: Option<TimestampWithTimeZone>,
) -> Result<bool> {
    let (Some(project), Some(scope)) = (project, scope) else {
        return Ok(false);
    };
    let right = grants::right_for_rows(Some(project), Privilege::Read)?;
    if right == (Right::Free { admin: true }) {
        return Ok(true);
    }
    let expired = expires_at.is_some_and(|at| at.into_inner() <= system::now().into_inner());
    if is_sensitive == Some(true) || expired || deleted_at.is_some() {
        return Ok(false);
    }
    Ok(match right {
        Right::None => false,
        Right::Free { .. } => scope == "global",
        Right::Bound(agents) => {
            let shared = shared_with_agents.unwrap_or_default();
            let is = |agent: &String| {
                agent_id == Some(agent)
                    || (scope == "agent-shared"
                        && shared.iter().flatten().any(|with| with == agent))
            };
            scope == "global" || agents.iter().any(is)
        }
    })
}

/// Whether direct SQL of the current role may write a memory of this author and scope: the rule of row-level security.
#[pg_extern(stable, parallel_restricted)]
fn memory_row_writable(
    project: Option<&str>,
    agent_id: Option<&str>,
    scope: Option<&str>,
) -> Result<bool> {
    let (Some(project), Some(scope)) = (project, scope) else {
        return Ok(false);
    };
    Ok(
        match grants::right_for_rows(Some(project), Privilege::Write)? {
            Right::None => false,
            Right::Free { admin } => admin || scope == "global",
            Right::Bound(agents) => {
                agent_id.is_some_and(|agent| agents.iter().any(|bound| bound == agent))
            }
        },
    )
}
