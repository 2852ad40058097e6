//! Imports from other systems, told by the first line or by name.

mod support;

use postgres::Client;
use serde_json::Value;
use support::transfer::{counts, hash_but_events, import, import_refused};
use support::{Sql, cluster, store};

const GUIDE: &str = r#"{"id":"abc123","content":"Memory content","agent_id":"assistant","namespace":"default","scope":"agent-private","metadata":{},"created_at":"2024-01-15T10:30:00Z"}
{"id":"def456","content":"Another memory","agent_id":"planner","namespace":"default","scope":"global","metadata":{"type":"reflection"},"created_at":"2024-01-15T11:00:00Z"}"#;
const AEGIS: &str = include_str!("../core/tests/data/aegis.json");
const STAGES_ROWS: &str = include_str!("../core/tests/data/memory_stages_rows.json");
const STAGES_BACKUP: &str = include_str!("../core/tests/data/memory_stages_backup.json");
const MEM0: &str = include_str!("../core/tests/data/mem0_results.json");
const OPENMEMORY_LINE: &str = include_str!("../core/tests/data/openmemory.jsonl");
const LETTA_AGENTS: &str = include_str!("../core/tests/data/letta_agents.af");
const LETTA_PASSAGES: &str = include_str!("../core/tests/data/letta_passages.json");

fn document(sql: &mut Client, text: &str, arguments: &str) -> Value {
    let comma = if arguments.is_empty() { "" } else { ", " };
    sql.one(
        &format!("SELECT memory_import_document($1{comma}{arguments})"),
        &[&text],
    )
}

#[test]
fn the_guides_lines_keep_what_they_say() {
    let mut sql = store();
    let lines: Vec<&str> = GUIDE.lines().collect();
    let report = import(&mut sql, &lines, "");
    assert_eq!(report["format"], "aegis");
    assert_eq!(counts(&report), "imported 2");
    let rows: Vec<String> = sql.column(
        "SELECT concat_ws('|', id, content, agent_id, namespace, scope, metadata, created_at, updated_at = created_at, embedding IS NOT NULL) FROM memories ORDER BY id",
        &[],
    );
    assert_eq!(
        rows,
        [
            "abc123|Memory content|assistant|default|agent-private|{}|2024-01-15 10:30:00+00|t|t",
            "def456|Another memory|planner|default|global|{\"type\": \"reflection\"}|2024-01-15 11:00:00+00|t|t",
        ]
    );
    let before = hash_but_events(&mut sql);
    assert_eq!(
        counts(&import(&mut sql, &lines, "on_conflict => 'update'")),
        "identical 2"
    );
    assert_eq!(hash_but_events(&mut sql), before);
}

#[test]
fn every_format_is_told_by_its_beginning_and_imports_once() {
    for (format, text, expected) in [
        ("aegis", GUIDE, "imported 2"),
        ("aegis", AEGIS, "imported 2"),
        ("memory_stages", STAGES_ROWS, "imported 4, sensitive 1"),
        ("memory_stages", STAGES_BACKUP, "imported 1"),
        ("mem0", MEM0, "imported 2"),
        ("mem0", OPENMEMORY_LINE, "imported 1"),
        ("letta", LETTA_AGENTS, "imported 3"),
        ("letta", LETTA_PASSAGES, "imported 2"),
    ] {
        for named in [false, true] {
            let mut sql = store();
            let arguments = match named {
                true => format!("format => '{format}', confirm_sensitive => true"),
                false => "confirm_sensitive => true".to_owned(),
            };
            let report = document(&mut sql, text, &arguments);
            assert_eq!(report["format"], format);
            assert_eq!(counts(&report), expected, "{report}");
            let before = hash_but_events(&mut sql);
            let again = document(&mut sql, text, &arguments);
            assert_eq!(again["identical"], report["imported"], "{format}: {again}");
            assert_eq!(hash_but_events(&mut sql), before, "{format}");
            // The same as lines, though the text has several.
            let lines: Vec<&str> = text.lines().collect();
            let again = import(&mut sql, &lines, &arguments);
            assert_eq!(again["identical"], report["imported"], "{format}: {again}");
            assert_eq!(again["lines"], lines.len(), "{format}");
        }
    }
}

#[test]
fn a_key_value_dump_becomes_keyed_memories() {
    let mut sql = store();
    let dump = STAGES_ROWS;
    sql.refused("SELECT memory_import_document($1)", &[&dump])
        .is("22023")
        .says("is_sensitive")
        .hints("confirm_sensitive")
        .keeps("0000")
        .well_formed();
    document(&mut sql, dump, "confirm_sensitive => true");
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('displayName')", &[]),
        "Mira"
    );
    assert_eq!(
        sql.one::<String>(
            "SELECT memory_kv_get('displayName', namespace => 'alice')",
            &[]
        ),
        "Alice"
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('pin', namespace => 'alice')", &[]),
        "***"
    );
    // A tombstone, as the other system left it.
    let timezone: Option<String> = sql.one(
        "SELECT memory_kv_get('timezone', namespace => 'alice')",
        &[],
    );
    assert_eq!(timezone, None);
    let listed: Vec<String> = sql.column(
        "SELECT key FROM memory_kv_list(namespace => 'alice') ORDER BY key",
        &[],
    );
    assert_eq!(listed, ["displayName", "pin"]);
    let source: String = sql.one(
        "SELECT metadata ->> 'source' FROM memories WHERE key = 'displayName' AND namespace = 'alice'",
        &[],
    );
    assert_eq!(source, "import");
    let unindexed: bool = sql.one(
        "SELECT embedding IS NULL AND content_tsv IS NULL FROM memories WHERE key = 'pin'",
        &[],
    );
    assert!(unindexed);
    // The user's key is set here meanwhile: it stays, or goes, as the policy says.
    sql.run("SELECT memory_kv_set('displayName', 'Mira K.')");
    document(&mut sql, dump, "confirm_sensitive => true");
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('displayName')", &[]),
        "Mira K."
    );
    document(
        &mut sql,
        dump,
        "confirm_sensitive => true, on_conflict => 'update'",
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('displayName')", &[]),
        "Mira"
    );
    let report = document(&mut sql, STAGES_BACKUP, "namespace => 'backup'");
    assert_eq!(report["skipped"]["events"], 1, "{report}");
    assert_eq!(report["skipped"]["redacted values"], 1, "{report}");
}

#[test]
fn memories_of_mem0_and_letta_are_found() {
    let mut sql = store();
    let report = document(&mut sql, MEM0, "");
    assert_eq!(report["skipped"]["relations"], 1, "{report}");
    let row = sql
        .query_one(
            "SELECT content, user_id, expires_at::text, metadata FROM memories WHERE id = '3c90c3cc-0d44-4b50-8888-8dd25736052a'",
            &[],
        )
        .expect("imported");
    assert_eq!(row.get::<_, &str>(0), "Is a vegetarian");
    assert_eq!(row.get::<_, &str>(1), "alex");
    assert_eq!(row.get::<_, &str>(2), "2030-02-01 00:00:00+00");
    let found: Vec<String> = sql.column(
        "SELECT content FROM memory_search('a vegetarian', 1, user_id => 'alex')",
        &[],
    );
    assert_eq!(found, ["Is a vegetarian"]);

    let report = document(&mut sql, LETTA_AGENTS, "");
    assert_eq!(report["format"], "letta");
    assert_eq!(counts(&report), "imported 3", "{report}");

    // Vectors of another model are of no use here, and said to be left out.
    let mut sql = store();
    let report = document(
        &mut sql,
        LETTA_PASSAGES,
        "agent_id => 'agent-7', namespace => 'passages'",
    );
    assert_eq!(report["skipped"]["vectors"], 1, "{report}");
    let rows: Vec<String> = sql.column(
        "SELECT concat_ws('|', content, agent_id, namespace, scope, deleted_at IS NULL, vector_dims(embedding)) FROM memories ORDER BY content DESC",
        &[],
    );
    assert_eq!(
        rows,
        [
            "The user moved to Lisbon.|agent-7|passages|agent-private|t|384",
            "Prefers trains.|agent-9|passages|agent-private|f|384",
        ]
    );
}

#[test]
fn unknown_fields_are_refused_or_kept() {
    let mut sql = store();
    let own = [r#"{"id":"a","content":"x","version":2,"mood":"good","metadata":{"n":1}}"#];
    import_refused(&mut sql, &own, "")
        .is("22023")
        .says("line 1")
        .says("\"mood\"")
        .hints("unknown => 'metadata'")
        .well_formed();
    import(&mut sql, &own, "unknown => 'metadata'");
    assert_eq!(
        sql.one::<Value>("SELECT metadata FROM memories", &[]),
        serde_json::json!({"n": 1, "memory_ext": {"mood": "good"}})
    );
    // The guide's format is another system's: what it has more is kept.
    let aegis = [r#"{"id":"b","content":"y","trust_level":"verified"}"#];
    import(&mut sql, &aegis, "format => 'aegis'");
    assert_eq!(
        sql.one::<Value>("SELECT metadata FROM memories WHERE id = 'b'", &[]),
        serde_json::json!({"aegis": {"trust_level": "verified"}})
    );
}

#[test]
fn documents_of_many_lines_name_the_line_of_an_error() {
    let mut sql = store();
    let broken = AEGIS.replace("\"id\": \"m2\"", "\"id\": \"\"");
    for lines in [false, true] {
        let refusal = match lines {
            false => sql.refused("SELECT memory_import_document($1)", &[&broken]),
            true => {
                let lines: Vec<&str> = broken.lines().collect();
                import_refused(&mut sql, &lines, "")
            }
        };
        refusal
            .is("22023")
            .says("line 3: field \"memories[1].id\"")
            .keeps("versioned")
            .well_formed();
    }
    let cut = &AEGIS[..AEGIS.len() / 2];
    sql.refused("SELECT memory_import_document($1)", &[&cut])
        .is("22P02")
        .says("ends before it is complete")
        .well_formed();
    // An array with an element a line is read line by line.
    let array = [
        "[{\"id\":\"1\",\"content\":\"one\"}",
        ",{\"id\":\"2\",\"content\":\"\"}",
        "]",
    ];
    import_refused(&mut sql, &array, "")
        .is("22023")
        .says("line 2: field \"content\", column ");
    for (array, says) in [
        (
            &array[..1],
            "line 2: column 1: the JSON text ends before it is complete",
        ),
        (
            &[
                "[{\"id\":\"1\",\"content\":\"one\"}",
                "{\"id\":\"2\",\"content\":\"two\"}",
                "]",
            ],
            "line 2: column 1: an element of the array begins with a comma",
        ),
        (
            &["[{\"id\":\"1\",\"content\":\"one\"}", ",", "]"],
            "line 2: column 1: an element of the array is missing",
        ),
        (
            &["[{\"id\":\"1\",\"content\":\"one\"}", "]", "{}"],
            "line 3: column 1: the array has ended before",
        ),
    ] {
        import_refused(&mut sql, array, "")
            .is("22P02")
            .says(says)
            .well_formed();
    }
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), 0);
}

#[test]
fn a_byte_order_mark_and_line_ends_of_windows_do_no_harm() {
    let mut sql = store();
    let text = format!("\u{feff}{}\r\n\r\n", GUIDE.replace('\n', "\r\n"));
    assert_eq!(counts(&document(&mut sql, &text, "")), "imported 2");
    let lines: Vec<&str> = text.split('\n').collect();
    assert_eq!(counts(&import(&mut sql, &lines, "")), "identical 2");
}

#[test]
fn text_in_another_encoding_is_refused_by_the_server() {
    let mut sql = cluster().database().connect();
    sql.run("SELECT memory_init()");
    for bytes in [
        r"\x7b226964223a22c3227d",
        r"\xff",
        r"\x7b226964223a2231222c22636f6e74656e74223a22e9227d",
    ] {
        sql.refused(
            &format!("SELECT memory_import_document(convert_from('{bytes}', 'UTF8'))"),
            &[],
        )
        .is("22021");
    }
    // Said to be what it is, it comes in.
    let latin = r"\x7b226964223a2231222c22636f6e74656e74223a22636166e9227d";
    sql.run(&format!(
        "SELECT memory_import_document(convert_from('{latin}', 'LATIN1'))"
    ));
    assert_eq!(
        sql.one::<String>("SELECT content FROM memories", &[]),
        "caf\u{e9}"
    );
}
