//! What the catalogs say about the extension and its store, in lines: equal lines for equal databases.

use std::collections::BTreeMap;

use postgres::Client;

use super::database::{Database, Sql};
use super::server::run;

/// Whether the server comes with an extension: not every one has contrib.
pub fn offers(sql: &mut Client, extension: &str) -> bool {
    sql.one(
        "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = $1)",
        &[&extension],
    )
}

/// The extension and everything that it owns: a line each, with its definition, owner, rights and comment.
pub fn members(sql: &mut Client) -> Vec<String> {
    described(
        sql,
        "WITH e AS (SELECT * FROM pg_extension WHERE extname = 'memory_ext'),
              member AS (SELECT d.classid, d.objid, d.objsubid FROM pg_depend d JOIN e ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = e.oid AND d.deptype = 'e')
         SELECT line FROM (
             SELECT concat_ws(' | ', 'extension', extversion, extnamespace::regnamespace, extrelocatable, extconfig::text, extcondition::text) FROM e
             UNION ALL
             SELECT concat_ws(' | ', 'function', p.oid::regprocedure, replace(pg_get_functiondef(p.oid), E'\\n', ' '), 'owner ' || p.proowner::regrole::text,
                    'rights ' || coalesce(p.proacl::text, 'default'), 'initial ' || (SELECT i.initprivs::text FROM pg_init_privs i WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid),
                    coalesce(obj_description(p.oid, 'pg_proc'), 'NO COMMENT'))
             FROM pg_proc p JOIN member m ON m.classid = 'pg_proc'::regclass AND m.objid = p.oid
             UNION ALL
             SELECT concat_ws(' | ', pg_describe_object(classid, objid, objsubid), obj_description(objid, classid::regclass::text::name)) FROM member WHERE classid <> 'pg_proc'::regclass
         ) AS l (line) ORDER BY line COLLATE \"C\"",
    )
}

/// Everything in the extension's schema that the extension does not own: the tables of the store and all that belongs to them.
/// The rights are in lines of their own.
pub fn store_objects(sql: &mut Client) -> Vec<String> {
    described(
        sql,
        "WITH e AS (SELECT * FROM pg_extension WHERE extname = 'memory_ext'),
              t AS (SELECT c.* FROM pg_class c JOIN e ON e.extnamespace = c.relnamespace WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
                    AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
         SELECT line FROM (
             SELECT concat_ws(' | ', 'relation', t.oid::regclass, t.relkind, t.relpersistence, 'owner ' || t.relowner::regrole::text,
                    CASE WHEN t.relrowsecurity THEN 'row security' END, CASE WHEN t.relforcerowsecurity THEN 'forced' END, 'replica identity ' || t.relreplident::text,
                    (SELECT amname FROM pg_am WHERE oid = t.relam), t.reloptions::text, CASE WHEN t.relkind IN ('v', 'm') THEN pg_get_viewdef(t.oid) END, obj_description(t.oid, 'pg_class')) FROM t
             UNION ALL
             SELECT concat_ws(' | ', 'column', t.oid::regclass, row_number() OVER (PARTITION BY t.oid ORDER BY a.attnum), a.attname, format_type(a.atttypid, a.atttypmod),
                    CASE WHEN a.attnotnull THEN 'not null' END, 'identity ' || nullif(a.attidentity::text, ''), 'generated ' || nullif(a.attgenerated::text, ''),
                    pg_get_expr(d.adbin, d.adrelid), nullif(a.attcollation, 0)::regcollation, 'storage ' || a.attstorage::text, 'compression ' || nullif(a.attcompression::text, ''),
                    'statistics ' || nullif(coalesce(a.attstattarget, -1), -1), a.attoptions::text, col_description(t.oid, a.attnum))
             FROM t JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE t.relkind <> 'S'
             UNION ALL
             SELECT concat_ws(' | ', 'index', pg_get_indexdef(i.indexrelid), 'owner ' || c.relowner::regrole::text, CASE WHEN i.indisprimary THEN 'primary' END, CASE WHEN NOT (i.indisvalid AND i.indisready) THEN 'INVALID' END,
                    CASE WHEN NOT i.indimmediate THEN 'deferred' END, CASE WHEN i.indisreplident THEN 'replica identity' END, CASE WHEN i.indisclustered THEN 'clustered' END, obj_description(i.indexrelid, 'pg_class'))
             FROM pg_index i JOIN t ON t.oid = i.indrelid JOIN pg_class c ON c.oid = i.indexrelid
             UNION ALL
             -- Not the NOT NULL of a column, which is a constraint only since PostgreSQL 18: it is in the column's line.
             SELECT concat_ws(' | ', 'constraint', t.oid::regclass, k.conname, pg_get_constraintdef(k.oid), CASE WHEN NOT k.convalidated THEN 'NOT VALID' END, obj_description(k.oid, 'pg_constraint'))
             FROM pg_constraint k JOIN t ON t.oid = k.conrelid WHERE k.contype <> 'n'
             UNION ALL
             SELECT concat_ws(' | ', 'trigger', pg_get_triggerdef(g.oid), 'enabled ' || g.tgenabled::text, obj_description(g.oid, 'pg_trigger')) FROM pg_trigger g JOIN t ON t.oid = g.tgrelid WHERE NOT g.tgisinternal
             UNION ALL
             SELECT concat_ws(' | ', 'policy', t.oid::regclass, p.polname, p.polcmd, p.polpermissive, p.polroles::regrole[]::text, pg_get_expr(p.polqual, p.polrelid), 'check ' || pg_get_expr(p.polwithcheck, p.polrelid), obj_description(p.oid, 'pg_policy'))
             FROM pg_policy p JOIN t ON t.oid = p.polrelid
             UNION ALL
             SELECT concat_ws(' | ', 'sequence', s.seqrelid::regclass, s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle) FROM pg_sequence s JOIN t ON t.oid = s.seqrelid
             UNION ALL
             SELECT concat_ws(' | ', 'rights', t.oid::regclass, a.grantee::regrole, a.privilege_type, a.is_grantable)
             FROM t, aclexplode(coalesce(t.relacl, acldefault(CASE t.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", t.relowner))) a
             UNION ALL
             SELECT concat_ws(' | ', 'rights', t.oid::regclass, a.attname, a.attacl::text) FROM t JOIN pg_attribute a ON a.attrelid = t.oid WHERE a.attacl IS NOT NULL
             UNION ALL
             SELECT concat_ws(' | ', 'function of somebody else''s', p.oid::regprocedure) FROM pg_proc p JOIN e ON e.extnamespace = p.pronamespace
             WHERE NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
         ) AS l (line) ORDER BY line COLLATE \"C\"",
    )
}

/// Without a search path every name is written with its schema.
fn described(sql: &mut Client, query: &str) -> Vec<String> {
    let mut transaction = sql.transaction().expect("begin");
    transaction.run("SET LOCAL search_path = ''");
    transaction.column(query, &[])
}

/// Relations, indexes, sequences, types and rules that the extension owns: DROP EXTENSION would drop them, pg_dump leave them out.
pub fn owned_relations(sql: &mut Client) -> Vec<String> {
    sql.column(
        "SELECT pg_describe_object(d.classid, d.objid, d.objsubid) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'memory_ext'
         WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND d.classid IN ('pg_class'::regclass, 'pg_type'::regclass, 'pg_rewrite'::regclass, 'pg_constraint'::regclass, 'pg_trigger'::regclass, 'pg_policy'::regclass)
         ORDER BY 1",
        &[],
    )
}

/// The file of every table, TOAST table, index and sequence in the extension's schema, by name: what was written anew has
/// another one.
pub fn files(sql: &mut Client) -> BTreeMap<String, u32> {
    let rows = sql
        .query(
            "WITH c AS (SELECT c.* FROM pg_class c JOIN pg_extension e ON e.extname = 'memory_ext' AND e.extnamespace = c.relnamespace WHERE c.relkind IN ('r', 'i', 'S', 'm'))
             SELECT oid::regclass::text, pg_relation_filenode(oid) FROM c
             UNION ALL SELECT 'TOAST of ' || oid::regclass, pg_relation_filenode(reltoastrelid) FROM c WHERE reltoastrelid <> 0
             UNION ALL SELECT 'TOAST index of ' || c.oid::regclass, pg_relation_filenode(i.indexrelid) FROM c JOIN pg_index i ON i.indrelid = c.reltoastrelid",
            &[],
        )
        .expect("files");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

/// What pg_dump writes about the schema of a database, line by line.
pub fn schema_dump(database: &Database) -> Vec<String> {
    let dump = run(database
        .cluster
        .client("pg_dump", &database.name)
        .arg("--schema-only"));
    // A key that is made anew for each dump is in lines of its own.
    dump.lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
        .map(str::to_owned)
        .collect()
}

/// Fails with the lines that only one side has.
pub fn assert_same(what: &str, expected: &[String], is: &[String]) {
    let only_in = |one: &[String], other: &[String], mark: char| -> Vec<String> {
        let only = one.iter().filter(|line| !other.contains(line));
        only.map(|line| format!("{mark} {line}")).collect()
    };
    let mut differences = only_in(expected, is, '-');
    differences.extend(only_in(is, expected, '+'));
    assert!(
        differences.is_empty(),
        "{what}: expected -, is +\n{}",
        differences.join("\n")
    );
    assert_eq!(expected, is, "{what}: equal lines in another order");
}
