//! docs/backup-and-restore.md, export and import.

use std::fs;

use postgres::Client;
use serde_json::Value;

use super::desk::{Desk, records};
use super::section::Section;
use super::store::{assert_alive, cluster, filled, table_hash};
use crate::support::Sql;
use crate::support::markdown::repository;

/// What an export may hold: id and content by order of time.
const EXPORTABLE: &str = "SELECT id || '=' || content FROM memories
    WHERE project_id = 'default' AND NOT is_sensitive AND NOT is_deprecated AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > now()) ORDER BY id";

/// The lines of a file, each a JSON object.
pub fn json_lines(desk: &Desk, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(desk.backup(name)).expect("an export");
    let line = |line: &str| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"))
    };
    text.lines().map(line).collect()
}

/// What an export of everything that may leave a project has: also what is deprecated.
const EXPORTED: &str = "SELECT id || '=' || content FROM memories
    WHERE project_id = 'default' AND NOT is_sensitive AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > now()) ORDER BY id";

pub fn c13_export(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    sql.run("SELECT memory_add('by the assistant', agent_id => 'assistant', namespace => 'notes', id => 'by-assistant')");
    let expected: Vec<String> = sql.column(EXPORTED, &[]);
    section.run(&desk);

    let lines = json_lines(&desk, "memories_export.jsonl");
    assert!(lines[0]["memory_ext_export"].is_object(), "{}", lines[0]);
    assert_eq!(contents(&lines[1..lines.len() - 1]), expected);
    let odd = lines
        .iter()
        .find(|line| line["id"] == "odd")
        .expect("the odd one");
    assert_eq!(
        odd["metadata"]["path"], "C:\\new",
        "no backslash is doubled"
    );
    assert_eq!(odd["votes"].as_array().map(Vec::len), Some(2));
    let filtered = json_lines(&desk, "filtered_export.jsonl");
    assert_eq!(
        contents(&filtered[1..filtered.len() - 1]),
        ["by-assistant=by the assistant"]
    );
    let array = fs::read_to_string(desk.backup("memories_export.json")).expect("an array");
    let array: Vec<Value> = serde_json::from_str(&array).expect("JSON");
    assert_eq!(contents(&array), expected);
    let csv = fs::read_to_string(desk.backup("memories_export.csv")).expect("CSV");
    assert_eq!(records(&csv).len(), expected.len() + 1, "and a header");

    // By COPY: the same lines, with what was asked for beside.
    section.run(&desk);
    section.end();
    let all = json_lines(&desk, "memories_all.jsonl");
    assert_eq!(all.len(), lines.len() + 1, "the expired one too");
    let vectors = all
        .iter()
        .filter(|line| line["embedding"].is_array())
        .count();
    assert_eq!(vectors, all.len() - 2);
    for name in [
        "memories_export.jsonl",
        "memories_all.jsonl",
        "memories_export.csv",
    ] {
        let text = fs::read_to_string(desk.backup(name)).expect("an export");
        assert!(!text.contains("s3cret"), "{name}");
    }
    let events: i64 = sql.one(
        "SELECT count(*) FROM memory_events WHERE event = 'export'",
        &[],
    );
    assert_eq!(events, 5);
}

pub fn c13_import(mut section: Section) {
    let (from, there) = filled(cluster());
    there
        .bash("psql -XAtq -c 'SELECT memory_export()' > \"$BACKUP_DIR/memories_export.jsonl\"")
        .good();
    let database = cluster().database();
    let mut sql = database.connect();
    sql.run("SELECT memory_init()");
    let desk = Desk::at(&database);
    let copy = format!(
        "cp '{}' \"$BACKUP_DIR\"",
        there.backup("memories_export.jsonl").display()
    );
    desk.bash(&copy).good();

    // The inbox. A second time nothing changes.
    let text = section.take("bash");
    let report = desk.bash(&text).good();
    assert!(report.contains("\"imported\": 47"), "{report}");
    let same = |sql: &mut Client| -> String {
        sql.one("SELECT md5(string_agg((to_jsonb(m) - 'embedding' - 'content_tsv')::text, ',' ORDER BY id)) FROM memories m
                 WHERE project_id = 'default' AND namespace NOT IN ('imported') AND NOT is_sensitive AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > now())", &[])
    };
    assert_eq!(same(&mut sql), same(&mut from.connect()));
    assert_eq!(
        table_hash(&database, "vote_history"),
        table_hash(&from, "vote_history")
    );
    let report = desk.bash(&text).good();
    assert!(report.contains("\"identical\": 47"), "{report}");
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_import_inbox", &[]),
        0
    );

    // The key/value dump of MemoryStages.
    let dump = repository().join("core/tests/data/memory_stages_backup.json");
    let dump = fs::read_to_string(dump).expect("a dump");
    fs::write(desk.backup("kv_dump.json"), dump).expect("the dump is there");
    let report = section.run(&desk);
    assert!(report.contains("\"imported\": 1"), "{report}");
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('displayName', 'imported')", &[]),
        "Mira"
    );

    // The guide's lines.
    section.run(&desk);
    section.end();
    assert_eq!(
        sql.column::<String>("SELECT id || ' ' || agent_id || ' ' || scope || ' ' || created_at FROM memories WHERE project_id = 'imported' ORDER BY id", &[]),
        [
            "abc123 assistant agent-private 2024-01-15 10:30:00+00",
            "def456 planner global 2024-01-15 11:00:00+00"
        ]
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memory_search('another memory', 1, project_id => 'imported')",
            &[]
        ),
        ["def456"]
    );

    // A bad line is named, and nothing is kept.
    let lines = fs::read_to_string(there.backup("memories_export.jsonl")).expect("the export");
    let number = lines.lines().count() + 1;
    let lines = lines + "{\"id\":\"bad\",\"content\":7}\n";
    desk.bash("rm \"$BACKUP_DIR/memories_export.jsonl\"").good();
    fs::write(desk.backup("memories_export.jsonl"), lines).expect("lines with a bad one");
    let count: i64 = sql.one("SELECT count(*) FROM memories", &[]);
    let refused = desk.bash(&text);
    assert!(
        refused.errors.contains(&format!("line {number}")),
        "{refused:#?}"
    );
    assert_ne!(refused.code, Some(0));
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), count);
    assert_alive(&database);
}

pub fn export_with_sql(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    let expected: Vec<String> = sql.column(EXPORTABLE, &[]);
    assert!(expected.len() > 40);
    for hidden in ["secret", "over", "dead", "outdated"] {
        assert!(
            !expected
                .iter()
                .any(|line| line.starts_with(&format!("{hidden}=")))
        );
    }

    // CSV, read back by the server.
    section.run(&desk);
    let file = desk.backup("memories_export.csv").display().to_string();
    sql.run(&format!(
        "CREATE TEMP TABLE csv (id text, content text, agent_id text, namespace text, scope text, metadata jsonb, created_at timestamptz, updated_at timestamptz);
         COPY csv FROM '{file}' WITH CSV HEADER"
    ));
    assert_eq!(
        sql.column::<String>("SELECT id || '=' || content FROM csv ORDER BY id", &[]),
        expected
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM csv JOIN memories m USING (id) WHERE csv.metadata = m.metadata AND csv.created_at = m.created_at AND csv.agent_id IS NOT DISTINCT FROM m.agent_id", &[]),
        expected.len() as i64
    );

    // JSON lines: every line is a JSON text as it is.
    section.run(&desk);
    let lines = fs::read_to_string(desk.backup("memories_sql.jsonl")).expect("JSON lines");
    let memories: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(contents(&memories), expected);
    let odd = memories.iter().find(|memory| memory["id"] == "odd");
    assert_eq!(odd.expect("odd")["metadata"]["path"], "C:\\new");

    // One array, of everything but secrets and tombstones.
    section.run(&desk);
    let array = fs::read_to_string(desk.backup("memories_sql.json")).expect("a JSON array");
    let array: Vec<Value> = serde_json::from_str(&array).expect("JSON");
    let all: Vec<String> = sql.column(
        "SELECT id || '=' || content FROM memories WHERE NOT is_sensitive AND deleted_at IS NULL ORDER BY id",
        &[],
    );
    assert_eq!(contents(&array), all);

    // What one agent sees.
    section.run(&desk);
    section.end();
    let seen = fs::read_to_string(desk.backup("coder.csv")).expect("CSV");
    assert!(seen.contains("private to coder"));
    for hidden in ["private to planner", "s3cret", "over and gone", "outdated"] {
        assert!(!seen.contains(hidden), "{hidden}");
    }
}

fn contents(memories: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut contents: Vec<String> = memories
        .iter()
        .map(|memory| text(&memory["id"]) + "=" + &text(&memory["content"]))
        .collect();
    contents.sort();
    contents
}
