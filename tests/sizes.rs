//! How much a memory can hold, whoever writes it: no more than a line of an export, so that one memory never keeps the others
//! from being exported.

mod support;

use postgres::Client;
use support::cases::refuse_all;
use support::transfer::{export, import};
use support::{Sql, store, store_hash};

/// 130 numbers of nine stored characters and 131,072 digits each.
const LONG: &str =
    "jsonb_build_object('n', (SELECT jsonb_agg(1e131071) FROM generate_series(1, 130)))";
const DEEP: &str = "(repeat('{\"a\":', 101) || '1' || repeat('}', 101))::jsonb";

fn with_memories() -> Client {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('the first memory', id => 'one');
         SELECT memory_add('the second memory', 'a', id => 'two', scope => 'agent-shared');
         SELECT memory_run_start('run', agent_id => 'a'); SELECT memory_session_start('s'); SELECT memory_feature_create('f', 'd')",
    );
    sql
}

#[test]
fn metadata_over_the_limits_is_refused_by_every_function() {
    let calls = [
        "memory_add('x', metadata => ?)",
        "memory_update('one', metadata => ?)",
        "memory_kv_set('k', 'v', metadata => ?)",
        "memory_reflect('x', 'a', metadata => ?)",
        "memory_run_start('r', agent_id => 'a', metadata => ?)",
        "memory_session_start('t', metadata => ?)",
        "memory_feature_create('g', 'd', metadata => ?)",
        "count(*) FROM memory_search('x', metadata => ?)",
        "count(*) FROM memory_list(metadata => ?)",
        "memory_add_many(jsonb_build_array('fine', jsonb_build_object('content', 'x', 'metadata', ?)))",
    ];
    let cases: String = calls
        .iter()
        .flat_map(|call| {
            [
                format!(
                    "54000 | metadata, longer than 16 MB | link | SELECT {}\n",
                    call.replace('?', LONG)
                ),
                format!(
                    "54000 | metadata, 100 levels | Flatten | SELECT {}\n",
                    call.replace('?', DEEP)
                ),
            ]
        })
        .collect();
    refuse_all(&mut with_memories(), &cases);
}

#[test]
fn metadata_does_not_grow_over_the_limit_by_patches() {
    let mut sql = with_memories();
    let part = |name: &str| {
        format!(
            "jsonb_build_object('{name}', (SELECT jsonb_agg(1e131071) FROM generate_series(1, 70)))"
        )
    };
    for call in [
        "memory_update('one', metadata => ?)",
        "memory_session_update('s', metadata => ?)",
        "memory_feature_update('f', metadata => ?)",
        "memory_add('merged', on_duplicate => 'merge', metadata => ?)",
    ] {
        sql.run(&format!("SELECT {}", call.replace('?', &part("first"))));
        let before = store_hash(&mut sql);
        sql.refused(
            &format!("SELECT {}", call.replace('?', &part("second"))),
            &[],
        )
        .is("54000")
        .says("merged metadata is longer than 16 MB")
        .hints("link")
        .well_formed();
        assert_eq!(store_hash(&mut sql), before, "{call}");
        // What is replaced, and not added to, fits.
        sql.run(&format!("SELECT {}", call.replace('?', &part("first"))));
    }
}

#[test]
fn the_limits_hold_for_plain_sql_and_for_imports() {
    let mut sql = with_memories();
    let many = "ARRAY(SELECT 'agent ' || i FROM generate_series(1, 10001) i)";
    let line = |field: &str, value: &str| {
        format!(
            "SELECT memory_import(ARRAY[json_build_object('id', 'i', 'content', 'x', 'agent_id', 'a', '{field}', {value})::text])"
        )
    };
    // The digits of an export are short.
    let short = "json_build_object('n', ('[1e131071' || repeat(',1e131071', 129) || ']')::json)";
    let over = "repeat('x', 1048577)";
    let cases = [
        (
            "metadata, longer than 16 MB",
            "link",
            format!("INSERT INTO memories (content, metadata) VALUES ('x', {LONG})"),
        ),
        (
            "metadata, longer than 16 MB",
            "link",
            format!("UPDATE memories SET metadata = {LONG}"),
        ),
        (
            "line 1, \"metadata\", longer than 16 MB",
            "link",
            line("metadata", short),
        ),
        (
            "metadata, 100 levels",
            "Flatten",
            format!("INSERT INTO memories (content, metadata) VALUES ('x', {DEEP})"),
        ),
        (
            "metadata, 100 levels",
            "Flatten",
            format!("UPDATE memories SET metadata = {DEEP}"),
        ),
        (
            "line 1, \"metadata\", 100 levels",
            "Flatten",
            line("metadata", &DEEP.replace("jsonb", "json")),
        ),
        (
            "content, 1048577, 1048576",
            "memory_ext.max_content_bytes",
            format!("INSERT INTO memories (content) VALUES ({over})"),
        ),
        (
            "content, 1048577, 1048576",
            "memory_ext.max_content_bytes",
            format!("UPDATE memories SET content = {over}"),
        ),
        (
            "line 1, \"error_pattern\", 1048577, 1048576",
            "memory_ext.max_content_bytes",
            line("error_pattern", over),
        ),
        (
            "error_pattern, 1048577, 1048576",
            "memory_ext.max_content_bytes",
            format!(
                "INSERT INTO memories (content, memory_type, error_pattern) VALUES ('x', 'reflection', {over})"
            ),
        ),
        (
            "shared_with_agents, 10001, 10000",
            "global",
            format!("UPDATE memories SET shared_with_agents = {many}"),
        ),
        (
            "shared_with_agents, 10001, 10000",
            "global",
            format!("SELECT memory_add('x', 'a', shared_with_agents => {many})"),
        ),
        (
            "shared_with_agents, 10001, 10000",
            "global",
            format!("SELECT memory_update('two', agent_id => 'a', shared_with_agents => {many})"),
        ),
        (
            "line 1, \"shared_with_agents\", 10001, 10000",
            "global",
            line("shared_with_agents", many),
        ),
    ];
    let cases: Vec<String> = cases
        .iter()
        .map(|(parts, hint, call)| format!("54000 | {parts} | {hint} | {call}"))
        .collect();
    refuse_all(&mut sql, &cases.join("\n"));
}

/// As 1.0 let it in.
#[test]
fn what_was_let_in_before_stays_changes_and_is_told_when_it_cannot_be_exported() {
    let mut sql = with_memories();
    let deeper = DEEP.replace("101", "3000");
    sql.run(&format!(
        "ALTER TABLE memories DISABLE TRIGGER memory_before_write;
         UPDATE memories SET content = repeat('long ', 300000), metadata = {deeper} WHERE id = 'one';
         ALTER TABLE memories ENABLE TRIGGER memory_before_write"
    ));
    sql.run("SELECT memory_update('one', importance => 0.9); UPDATE memories SET importance = 0.8 WHERE id = 'one'");
    sql.refused("SELECT memory_update('one', metadata => '{\"a\": 1}')", &[])
        .is("54000");
    sql.refused("SELECT memory_export()", &[])
        .is("54000")
        .says("\"one\"")
        .hints("UPDATE memories SET metadata")
        .well_formed();
    sql.run("UPDATE memories SET metadata = '{}' WHERE id = 'one'; SELECT memory_update('one', content => 'short')");
    assert_eq!(export(&mut sql, "").len(), 4);
}

/// All limits at their highest, and every character of the kind whose escape is the longest.
#[test]
fn the_longest_memory_is_exported_and_imported() {
    let longest = "SET memory_ext.max_content_bytes = '16MB'";
    let (mut source, mut target) = (store(), store());
    source.run(longest);
    target.run(longest);
    source.run(
        "INSERT INTO memories (id, content, memory_type, error_pattern, agent_id, scope, shared_with_agents, metadata)
         SELECT 'longest', 'x' || repeat(chr(1), (16 << 20) - 1), 'reflection', repeat(chr(1), 16 << 20), 'a', 'agent-shared',
                ARRAY(SELECT i || repeat(chr(1), 250) FROM generate_series(1, 10000) i),
                jsonb_build_object('s', repeat(chr(1), 2790000))",
    );
    let lines = export(&mut source, "");
    assert!(lines[1].len() > 220 << 20, "{} bytes", lines[1].len());
    assert_eq!(import(&mut target, &lines, "")["imported"], 1);
    let rows = |sql: &mut Client| -> Option<String> {
        store_hash(sql)
            .lines()
            .find(|line| line.starts_with("memories: 1 "))
            .map(str::to_owned)
    };
    let came = rows(&mut target);
    assert!(came.is_some());
    assert_eq!(came, rows(&mut source));
}
