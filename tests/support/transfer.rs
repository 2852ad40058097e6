//! What the tests of export and import share.

use std::io::Write;
use std::time::Duration;

use postgres::Client;
use serde_json::Value;

use super::database::{Database, Sql, store_hash};
use super::refusal::Refusal;

/// Everything that an export can have.
pub const ALL: &str = "include_expired => true, include_deleted => true, include_embeddings => true, include_sensitive => true, confirm_sensitive => true";

/// The options with which COPY takes and gives lines as they are.
pub const AS_IT_IS: &str = r"WITH (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')";

/// What a memory may have, in project default; besides one memory of project other.
pub fn fill(sql: &mut Client) {
    sql.run(
        r#"INSERT INTO memory_types (memory_type, half_life_days) VALUES ('lesson', 45);
        SELECT memory_add('The cafe closes at ten', id => 'plain');
        SELECT memory_add(E'two\nlines, a\ttab, a \\ and a "quote"\u2028, \x01, é, 😀', id => 'odd "id" \', namespace => 'team/notes',
               agent_id => 'alice', user_id => 'u', session_id => 's', entity_id => 'e', importance => 0.1,
               metadata => '{"n": 12345678901234567890.10, "nested": {"list": [1, null, "\\n\\\\"]}, "": true}');
        SELECT memory_add('shared with two', id => 'shared', agent_id => 'alice', shared_with_agents => '{bob,"c, d"}');
        SELECT memory_add('private', id => 'private', agent_id => 'bob');
        SELECT memory_add('short lived', id => 'ttl', ttl => '3 days 4 hours');
        SELECT memory_add('over', id => 'expired', ttl => '1 day');
        UPDATE memories SET expires_at = now() - interval '1 minute' WHERE id = 'expired';
        SELECT memory_add('deleted', id => 'deleted');
        SELECT memory_delete('deleted');
        SELECT memory_add('the old way', id => 'old', memory_type => 'strategy');
        SELECT memory_add('the new way', id => 'new', memory_type => 'strategy');
        SELECT memory_deprecate('old', 'outdated', superseded_by => 'new');
        SELECT memory_add('The cafe closes at ten', id => 'twin', on_duplicate => 'new');
        SELECT memory_add('learned', id => 'lesson', memory_type => 'lesson');
        SELECT memory_reflect('retry with backoff', agent_id => 'bob', error_pattern => 'timeout', source_trajectory_id => 'run-7');
        SELECT memory_kv_set('favoriteColor', 'green', source => 'user');
        SELECT memory_kv_set('favoriteColor', 'blue');
        SELECT memory_kv_set('vault', 'hunter2-xyzzy', sensitive => true);
        SELECT memory_update('plain', importance => 0.9, metadata => '{"a": 1}');
        SELECT memory_update('plain', metadata => '{"b": 2}');
        SELECT memory_vote('plain', 'helpful', 'v1', context => E'a \\ "context"', task_id => 't1');
        SELECT memory_vote('plain', 'harmful', 'v1', task_id => 't2');
        SELECT memory_vote('plain', 'harmful', 'v2');
        SELECT memory_vote('plain', 'helpful', 'v2');
        SELECT memory_vote('new', 'helpful', 'v3');
        SELECT memory_add('its vector was brought', id => 'brought', embedding => memory_embed('another text'));
        SELECT memory_add('its vector is stale', id => 'stale');
        UPDATE memories SET embedding = memory_embed('what it was'), embedded_hash = sha256('what it was') WHERE id = 'stale';
        SELECT memory_add('from the beginning of time', id => 'ancient');
        UPDATE memories SET created_at = '0001-01-01 00:00:00.000001+00', updated_at = '1999-12-31 23:59:59.999999+00', expires_at = '9999-12-31 23:59:59.999999+00' WHERE id = 'ancient';
        SET memory_ext.pii_policy = 'flag';
        SELECT memory_add('write to bob@example.org', id => 'flagged');
        RESET memory_ext.pii_policy;
        SELECT memory_add('of another project', id => 'other', project_id => 'other')"#,
    );
}

/// The lines of an export.
pub fn export(sql: &mut Client, arguments: &str) -> Vec<String> {
    sql.column(&format!("SELECT memory_export({arguments})"), &[])
}

/// The ids of the memories in an export.
pub fn exported_ids(sql: &mut Client, arguments: &str) -> Vec<String> {
    let mut ids: Vec<String> = export(sql, arguments)
        .iter()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter_map(|line| Some(line.get("id")?.as_str()?.to_owned()))
        .collect();
    ids.sort();
    ids
}

fn call(arguments: &str) -> String {
    let comma = if arguments.is_empty() { "" } else { ", " };
    format!("SELECT memory_import($1{comma}{arguments})")
}

/// Imports lines; the report.
pub fn import<L: AsRef<str>>(sql: &mut Client, lines: &[L], arguments: &str) -> Value {
    let lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
    sql.one(&call(arguments), &[&lines])
}

pub fn import_refused<L: AsRef<str>>(sql: &mut Client, lines: &[L], arguments: &str) -> Refusal {
    let lines: Vec<&str> = lines.iter().map(AsRef::as_ref).collect();
    sql.refused(&call(arguments), &[&lines])
}

/// Numbers of a report that are not 0, as `imported 3, identical 1`.
pub fn counts(report: &Value) -> String {
    let names = [
        "imported",
        "updated",
        "skipped_existing",
        "identical",
        "votes",
        "sensitive",
        "redacted",
    ];
    let counted: Vec<String> = names
        .iter()
        .filter(|name| report[**name] != 0)
        .map(|name| format!("{name} {}", report[*name]))
        .collect();
    counted.join(", ")
}

/// Brings a file into the inbox as \copy does.
pub fn bring(sql: &mut Client, text: &str) -> Result<u64, Box<dyn std::error::Error>> {
    let mut inbox = sql.copy_in(&format!(
        "COPY memory_import_inbox(line) FROM STDIN {AS_IT_IS}"
    ))?;
    // As psql does: a message of its own for all of it would be the server's to keep.
    for part in text.as_bytes().chunks(8 << 10) {
        inbox.write_all(part)?;
    }
    Ok(inbox.finish()?)
}

/// Every column of every memory and vote.
pub fn contents(sql: &mut Client) -> Vec<String> {
    sql.column(
        "SELECT to_jsonb(m)::text FROM (SELECT * FROM memories WHERE project_id <> 'other' ORDER BY id, project_id) m
         UNION ALL SELECT to_jsonb(v)::text FROM (SELECT * FROM vote_history ORDER BY id) v",
        &[],
    )
}

/// The store but for the audit trail, where every import leaves an event.
pub fn hash_but_events(sql: &mut Client) -> String {
    let hash = store_hash(sql);
    let lines = hash
        .lines()
        .filter(|line| !line.starts_with("memory_events"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A store that does not embed, so that many rows are soon there.
pub fn quick_store(database: &Database) -> Client {
    let mut sql = database.connect();
    sql.run("SELECT memory_init(dimensions => 3, embedder => 'external')");
    sql
}

/// Lines of so many memories.
pub fn many(count: usize) -> Vec<String> {
    (1..=count)
        .map(|number| {
            format!(r#"{{"id":"m{number}","content":"memory number {number} of many","metadata":{{"number":{number}}},"created_at":"2026-01-01T00:00:00Z"}}"#)
        })
        .collect()
}

/// Memory of a server process that is its own, in kilobytes.
fn own_memory(pid: i32) -> i64 {
    let status =
        std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process is there");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kilobytes = line.expect("RssAnon").trim().trim_end_matches(" kB");
    kilobytes.parse().expect("a number")
}

/// By how many megabytes the session's process grew at most while it worked.
pub fn growth(sql: &mut Client, work: impl FnOnce(&mut Client)) -> f64 {
    let pid: i32 = sql.one("SELECT pg_backend_pid()", &[]);
    let before = own_memory(pid);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let peak = std::thread::scope(|scope| {
        let watch = scope.spawn(|| {
            let mut peak = before;
            while !is_over.load(std::sync::atomic::Ordering::Relaxed) {
                peak = peak.max(own_memory(pid));
                std::thread::sleep(Duration::from_millis(5));
            }
            peak
        });
        work(sql);
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        watch.join().expect("watched")
    });
    (peak - before) as f64 / 1024.0
}
