//! What memory_check_integrity() says.

use postgres::Client;
use serde_json::Value;

use super::database::Sql;

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
