//! What memory_check_integrity() says.

use postgres::Client;
use serde_json::Value;

use super::database::{Database, Sql};
use super::shared::cluster;

/// Every check, in the order it is reported.
pub const CHECKS: [&str; 30] = [
    "tables",
    "constraints",
    "indexes",
    "triggers",
    "row_security",
    "content_hash",
    "dedupe_hash",
    "secrets_indexed",
    "embedding_dimensions",
    "embedding_values",
    "embedding_sketch",
    "embedding_missing",
    "embedding_stale",
    "expired_backlog",
    "tombstone_backlog",
    "embedding_differs",
    "text_index",
    "hnsw_reach",
    "row_values",
    "row_versions",
    "history_hash",
    "history_intervals",
    "vote_counters",
    "orphans",
    "secrets_cached",
    "superseded_by",
    "supersession_cycles",
    "statistics",
    "btree",
    "audit_seals",
];

#[derive(Debug)]
pub struct Finding {
    pub check: String,
    pub status: String,
    pub issues: i64,
    pub details: Value,
}

pub fn findings(sql: &mut Client, call: &str) -> Vec<Finding> {
    let rows = sql
        .query(
            &format!("SELECT check_name, status, issues, details FROM {call}"),
            &[],
        )
        .unwrap_or_else(|error| panic!("{call}: {error:?}"));
    rows.iter()
        .map(|row| Finding {
            check: row.get(0),
            status: row.get(1),
            issues: row.get(2),
            details: row.get(3),
        })
        .collect()
}

/// The findings of the whole store; every check has to have its row, and what is not ok its samples and a hint.
pub fn checked(sql: &mut Client) -> Vec<Finding> {
    let findings = findings(sql, "memory_check_integrity()");
    let names: Vec<&str> = findings
        .iter()
        .map(|finding| finding.check.as_str())
        .collect();
    assert_eq!(names, CHECKS);
    for finding in &findings {
        assert_eq!(finding.status == "ok", finding.issues == 0, "{finding:?}");
        assert!(
            ["ok", "warning", "error"].contains(&finding.status.as_str()),
            "{finding:?}"
        );
        let hint = finding.details["hint"].as_str().unwrap_or_default();
        assert_eq!(finding.status == "ok", hint.is_empty(), "{finding:?}");
    }
    findings
}

/// What is not ok, a line each: check, status, issues.
pub fn wrong(sql: &mut Client) -> Vec<String> {
    checked(sql)
        .iter()
        .filter(|finding| finding.status != "ok")
        .map(|finding| format!("{} {} {}", finding.check, finding.status, finding.issues))
        .collect()
}

pub fn assert_healthy(sql: &mut Client) {
    assert_eq!(wrong(sql), [""; 0]);
}

/// The finding of one check.
pub fn finding(sql: &mut Client, check: &str) -> Finding {
    let found = checked(sql)
        .into_iter()
        .find(|finding| finding.check == check);
    found.unwrap_or_else(|| panic!("no check {check}"))
}

/// The ids of the sampled memories of a check.
pub fn sampled(finding: &Finding) -> Vec<&str> {
    let sample = finding.details["sample"].as_array();
    sample
        .unwrap_or_else(|| panic!("{finding:?} has no sample"))
        .iter()
        .map(|named| {
            named["id"]
                .as_str()
                .unwrap_or_else(|| panic!("{finding:?}"))
        })
        .collect()
}

/// Memories of every kind, for something to go wrong with.
pub fn fill(sql: &mut Client) {
    sql.run(
        "SELECT memory_init();
         SELECT memory_add('note ' || i || ' about ' || md5(i::text), id => 'n' || i, agent_id => 'agent', user_id => 'user', session_id => 'session', entity_id => 'entity') FROM generate_series(1, 30) i;
         SELECT memory_add('the ferry leaves at noon', id => 'ferry', metadata => '{\"pier\": 1}');
         SELECT memory_add('a secret', sensitive => true, id => 'secret');
         SELECT memory_kv_set('city', 'Oslo');
         SELECT memory_add('old way', id => 'old'); SELECT memory_add('new way', id => 'new');
         SELECT memory_add('older way', id => 'older');
         SELECT memory_add('deleted', id => 'dead'); SELECT memory_delete('dead');
         SELECT memory_add('elsewhere', id => 'elsewhere', project_id => 'other')",
    );
    for change in [
        "SELECT memory_update('ferry', 'the ferry leaves at one')",
        "SELECT memory_update('ferry', 'the ferry leaves at two')",
        "SELECT memory_vote('ferry', 'helpful', v, task_id => t) FROM unnest('{a,b}'::text[]) v, unnest('{x,y}'::text[]) t",
        "SELECT memory_vote('ferry', 'harmful', 'a')",
        "SELECT memory_touch('{ferry,n1}', agent_id => '*')",
        "SELECT memory_deprecate('old', superseded_by => 'new')",
        "SELECT memory_deprecate('older', superseded_by => 'new')",
    ] {
        sql.run(change);
    }
}

/// Turns the triggers off for the statements, and makes these columns ordinary ones meanwhile: the ways in which rows get to be
/// what they must not be.
pub fn behind_the_back(columns: &[&str], statements: &str) -> String {
    let generated = |flag: &str| -> String {
        let columns = columns.iter().map(|column| {
            format!("UPDATE pg_attribute SET attgenerated = '{flag}' WHERE attrelid = 'memories'::regclass AND attname = '{column}';")
        });
        columns.collect()
    };
    format!(
        "SET LOCAL allow_system_table_mods = on; SET LOCAL session_replication_role = replica; {} {statements}; {}
         SET LOCAL session_replication_role = origin;",
        generated(""),
        generated("s")
    )
}

/// A database with a store of every kind of memory.
pub fn filled() -> Database<'static> {
    let database = cluster().database();
    fill(&mut database.connect());
    database
}

/// A store whose vectors point where numbers say, enough of them for every path of a search.
pub fn in_space(rows: i32) -> Client {
    let mut sql = cluster().database().connect();
    sql.run("SELECT memory_init(embedder => 'external', dimensions => 8)");
    sql.run(&format!(
        "SELECT setseed(0.5); SET memory_ext.max_batch = 100000;
         SELECT count(*) FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('content', 'row ' || i, 'embedding', (SELECT jsonb_agg(round((random() - 0.5)::numeric, 6)) FROM generate_series(1, 8) WHERE i > 0))) FROM generate_series(1, {rows}) i));
         ANALYZE memories"
    ));
    sql
}

/// Every kind of leftover, and how many of it are found.
pub fn leave_behind(sql: &mut Client) {
    let statements = behind_the_back(
        &[],
        "INSERT INTO vote_history (memory_id, project_id, voter_agent_id, vote) VALUES ('ghost', 'default', 'a', 'helpful'), ('ghost', 'default', 'b', 'helpful');
         INSERT INTO vote_changes (memory_id, project_id, voter_agent_id, vote) VALUES ('ghost', 'default', 'a', 'helpful');
         INSERT INTO memory_usage (memory_id, project_id, access_count, last_accessed_at) VALUES ('ghost', 'default', 1, now())",
    );
    sql.run(&format!("BEGIN; {statements} COMMIT"));
    sql.run(
        "SELECT memory_add('gone long ago', id => 'gone'); SELECT memory_add('gone just now', id => 'just-gone'); SELECT memory_add('over', id => 'over', ttl => '1 hour')",
    );
    for change in [
        "SELECT memory_update(i, 'changed ' || i) FROM unnest('{gone,just-gone,over}'::text[]) i",
        "UPDATE memories SET expires_at = now() - interval '1 minute' WHERE id = 'over'",
        "DELETE FROM memories WHERE id IN ('gone', 'just-gone', 'over')",
        "UPDATE memory_history SET valid_from = valid_from - interval '40 days', valid_to = valid_to - interval '40 days' WHERE memory_id = 'gone'",
        "INSERT INTO embedding_cache (model, content_hash, embedding) SELECT m, memory_content_hash('cached'), memory_embed('cached') FROM unnest('{hash-384,another,a third}'::text[]) m",
        "INSERT INTO embedding_cache (model, content_hash, embedding) SELECT 'hash-384', memory_content_hash('a secret'), memory_embed('a secret')",
        "INSERT INTO memory_grants (role, project_id, privilege) VALUES ('nobody-at-all', 'default', 'read'), ('postgres', 'default', 'read')",
        "INSERT INTO memory_import_lines (line, role, brought_at) VALUES ('{}', 'nobody-at-all', now() - interval '31 days'), ('{}', 'nobody-at-all', now() - interval '29 days'), ('{}', 'postgres', now() - interval '31 days')",
        "UPDATE memories SET superseded_by = 'ghost' WHERE id = 'old'",
        "SELECT memory_kv_alias('town', 'city'); SELECT memory_kv_alias('street', 'address')",
    ] {
        sql.run(change);
    }
}

/// How the vector index is defined.
pub fn vector_index(sql: &mut Client) -> Option<String> {
    sql.one(
        "SELECT max(pg_get_indexdef(oid)) FROM pg_class WHERE relname = 'ix_memories_embedding_hnsw'",
        &[],
    )
}
