//! Deltas: several changes as one, all or each for itself, by the rules of the single calls.

mod support;

use std::collections::HashSet;

use postgres::Client;
use serde_json::{Value, json};
use support::agents::three_agents;
use support::cases::{FRAGMENTS, refuse_all};
use support::{Sql, database, granted, store, store_hash, together};

#[derive(Debug)]
struct Item {
    ordinal: i32,
    operation: String,
    success: bool,
    memory_id: Option<String>,
    error: Option<String>,
}

fn delta(sql: &mut Client, operations: &Value, arguments: &str) -> Vec<Item> {
    let rows = sql
        .query(
            &format!("SELECT ordinal, operation, success, memory_id, error FROM memory_delta($1{arguments})"),
            &[operations],
        )
        .unwrap_or_else(|error| panic!("{operations}{arguments}: {error:?}"));
    rows.iter()
        .map(|row| Item {
            ordinal: row.get(0),
            operation: row.get(1),
            success: row.get(2),
            memory_id: row.get(3),
            error: row.get(4),
        })
        .collect()
}

/// A store with memories to change.
fn filled() -> Client {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('the first', id => 'one', metadata => '{\"n\": 1}');
         SELECT memory_add('the second', id => 'two'); SELECT memory_add('the third', id => 'three')",
    );
    sql
}

#[test]
fn a_delta_is_applied_in_order_and_tells_of_each_item() {
    let mut sql = filled();

    let items = delta(
        &mut sql,
        &json!([
            {"operation": "add", "content": "the fourth", "id": "four"},
            {"operation": "update", "id": "four", "content": "the fourth, changed"},
            {"operation": "update", "id": "one", "metadata": {"n": null, "m": 2}, "importance": 0.75},
            {"operation": "deprecate", "id": "two", "reason": "old", "superseded_by": "four"},
            {"operation": "add", "content": "the  third"},
            {"operation": "add", "content": "the fifth"},
        ]),
        "",
    );

    let told: Vec<(i32, &str, bool, bool)> = items
        .iter()
        .map(|item| {
            (
                item.ordinal,
                item.operation.as_str(),
                item.success,
                item.error.is_none(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (1, "add", true, true),
            (2, "update", true, true),
            (3, "update", true, true),
            (4, "deprecate", true, true),
            (5, "add", true, true),
            (6, "add", true, true)
        ]
    );
    let ids: Vec<&str> = items
        .iter()
        .map(|item| item.memory_id.as_deref().expect("an id"))
        .collect();
    assert_eq!(
        &ids[..5],
        ["four", "four", "one", "two", "three"],
        "an equal one is returned"
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT content FROM memory_list() ORDER BY content COLLATE \"C\"",
            &[]
        ),
        ["the fifth", "the first", "the fourth, changed", "the third"]
    );
    let one: Value = sql.one(
        "SELECT jsonb_build_array(metadata, importance, version) FROM memory_get('one')",
        &[],
    );
    assert_eq!(one, json!([{"m": 2}, 0.75, 2]));
    assert_eq!(
        sql.one::<String>("SELECT superseded_by FROM memories WHERE id = 'two'", &[]),
        "four"
    );
    assert!(delta(&mut sql, &json!([]), "").is_empty(), "nothing to do");
}

#[test]
fn c14_a_row_of_a_delta_is_equal_to_one_added_alone() {
    let mut sql = store();
    let item = json!({"operation": "add", "content": "The  queue is drained nightly", "namespace": "n", "scope": "agent-shared", "metadata": {"k": [1, 2.5]},
        "ttl": "1 day", "memory_type": "procedural", "user_id": "u", "session_id": "s", "entity_id": "e", "shared_with_agents": ["b"],
        "sensitive": false, "importance": 0.25, "key": "queue.drain"});

    delta(
        &mut sql,
        &json!([item]),
        ", agent_id => 'a', project_id => 'delta'",
    );
    sql.run(
        "SELECT memory_add('The  queue is drained nightly', agent_id => 'a', namespace => 'n', scope => 'agent-shared', metadata => '{\"k\": [1, 2.5]}',
                ttl => '1 day', memory_type => 'procedural', user_id => 'u', session_id => 's', entity_id => 'e', shared_with_agents => '{b}',
                importance => 0.25, key => 'queue.drain', project_id => 'single')",
    );

    let row = "SELECT (to_jsonb(m) - '{id,project_id,created_at,updated_at,expires_at}'::text[])::text || (m.expires_at - m.created_at)::text FROM memories m WHERE project_id = $1";
    let in_delta: String = sql.one(row, &[&"delta"]);
    assert_eq!(in_delta, sql.one::<String>(row, &[&"single"]));
    assert!(in_delta.contains("\"embedding\": \"["), "{in_delta}");
}

#[test]
fn an_update_of_a_delta_takes_every_argument_of_memory_update() {
    let mut sql = store();
    sql.run("SELECT memory_add('base', id => 'delta', agent_id => 'a', ttl => '1 day'); SELECT memory_add('base', id => 'single', agent_id => 'a', ttl => '1 day', project_id => 'p')");
    let row = "SELECT (to_jsonb(m) - '{id,project_id,created_at,updated_at,expires_at,dedupe_hash}'::text[])::text || coalesce(round(extract(epoch FROM m.expires_at - now()) / 60)::text, '') FROM memories m WHERE id = $1";

    for (item, arguments) in [
        (json!({"content": "changed"}), "content => 'changed'"),
        (
            json!({"metadata": {"a": {"b": 1}}}),
            "metadata => '{\"a\": {\"b\": 1}}'",
        ),
        (
            json!({"metadata": {"a": {"b": null, "c": 1.50}}}),
            "metadata => '{\"a\": {\"b\": null, \"c\": 1.5}}'",
        ),
        (json!({"ttl": "3 hours"}), "ttl => '3 hours'"),
        (
            json!({"expires_at": "2999-01-01T00:00:00Z"}),
            "expires_at => '2999-01-01T00:00:00Z'",
        ),
        (
            json!({"expires_at": "infinity"}),
            "expires_at => 'infinity'",
        ),
        (json!({"importance": 0.125}), "importance => 0.125"),
        (
            json!({"memory_type": "semantic"}),
            "memory_type => 'semantic'",
        ),
        (
            json!({"shared_with_agents": ["b", "c"]}),
            "shared_with_agents => '{b,c}'",
        ),
        (json!({"scope": "global"}), "scope => 'global'"),
        (
            json!({"embedding": vec![0.5; 384]}),
            "embedding => array_fill(0.5, ARRAY[384])::vector",
        ),
        (json!({"sensitive": true}), "sensitive => true"),
        (
            json!({"content": "all", "importance": 1, "ttl": "1 day", "metadata": {}}),
            "content => 'all', importance => 1, ttl => '1 day', metadata => '{}'",
        ),
    ] {
        let mut operation = item.clone();
        operation["expected_version"] = sql.one(
            "SELECT to_jsonb(version) FROM memories WHERE id = 'delta'",
            &[],
        );
        operation["operation"] = json!("update");
        operation["id"] = json!("delta");
        delta(&mut sql, &json!([operation]), ", agent_id => 'a'");
        sql.run(&format!(
            "SELECT memory_update('single', {arguments}, agent_id => 'a', project_id => 'p')"
        ));

        let (ours, theirs): (String, String) =
            (sql.one(row, &[&"delta"]), sql.one(row, &[&"single"]));
        assert_eq!(ours, theirs, "{item}");
    }
}

#[test]
fn an_atomic_delta_that_fails_leaves_nothing() {
    let mut sql = filled();
    sql.run("SET memory_ext.audit = 'full'");
    let before = store_hash(&mut sql);

    for (failing, sqlstate, part) in [
        (
            json!({"operation": "update", "id": "nobody", "content": "x"}),
            "P0002",
            "nobody",
        ),
        (
            json!({"operation": "deprecate", "id": "nobody"}),
            "P0002",
            "nobody",
        ),
        (
            json!({"operation": "deprecate", "id": "one", "superseded_by": "nobody"}),
            "P0002",
            "nobody",
        ),
        (
            json!({"operation": "deprecate", "id": "one", "superseded_by": "one"}),
            "22023",
            "superseded_by",
        ),
        (
            json!({"operation": "update", "id": "one", "content": "the second"}),
            "23505",
            "two",
        ),
        (
            json!({"operation": "add", "content": "x", "id": "two"}),
            "23505",
            "two",
        ),
        (
            json!({"operation": "add", "content": "the second", "on_duplicate": "error"}),
            "23505",
            "two",
        ),
        (
            json!({"operation": "update", "id": "three", "importance": 0.1, "expected_version": 7}),
            "40001",
            "7",
        ),
        (
            json!({"operation": "add", "content": " "}),
            "22023",
            "content",
        ),
        (
            json!({"operation": "add", "content": "x", "scope": "everyone"}),
            "22023",
            "everyone",
        ),
        (
            json!({"operation": "add", "content": "x", "memory_type": "poem"}),
            "22023",
            "poem",
        ),
        (
            json!({"operation": "add", "content": "x", "embedding": [1, 2]}),
            "22023",
            "384",
        ),
        (
            json!({"operation": "update", "id": "one", "ttl": "-1 day"}),
            "22023",
            "ttl",
        ),
        (
            json!({"operation": "update", "id": "one", "ttl": "soon"}),
            "22023",
            "ttl",
        ),
        (
            json!({"operation": "update", "id": "one", "metadata": [1]}),
            "22023",
            "metadata",
        ),
        (
            json!({"operation": "add", "content": "x".repeat(1_048_577)}),
            "54000",
            "1048577",
        ),
    ] {
        let operations = json!([
            {"operation": "add", "content": "added before"},
            {"operation": "update", "id": "one", "content": "changed before"},
            failing,
            {"operation": "add", "content": "never reached"},
        ]);
        sql.refused("SELECT * FROM memory_delta($1)", &[&operations])
            .is(sqlstate)
            .says("item 3")
            .says(part)
            .well_formed();
        assert_eq!(store_hash(&mut sql), before, "{failing:.200}");
    }
}

#[test]
fn an_error_of_a_delta_has_the_hint_of_the_single_call() {
    let mut sql = filled();
    for (item, single) in [
        (
            json!({"operation": "update", "id": "nobody", "content": "x"}),
            "SELECT memory_update('nobody', 'x')",
        ),
        (
            json!({"operation": "add", "content": "x", "scope": "everyone"}),
            "SELECT memory_add('x', scope => 'everyone')",
        ),
        (
            json!({"operation": "update", "id": "one", "content": "x", "expected_version": 9}),
            "SELECT memory_update('one', 'x', expected_version => 9)",
        ),
        (
            json!({"operation": "deprecate", "id": "nobody"}),
            "SELECT memory_deprecate('nobody')",
        ),
    ] {
        let alone = sql.refused(single, &[]);
        let in_delta = sql.refused("SELECT * FROM memory_delta($1)", &[&json!([item])]);
        assert_eq!(
            (&in_delta.sqlstate, &in_delta.hint),
            (&alone.sqlstate, &alone.hint),
            "{item}"
        );
        assert!(
            in_delta.message.contains(&alone.message) && in_delta.message.contains("item 1"),
            "{in_delta:?}"
        );
    }
}

#[test]
fn items_of_a_delta_that_is_not_atomic_fail_each_for_itself() {
    let mut sql = filled();

    let items = delta(
        &mut sql,
        &json!([
            {"operation": "add", "content": "added first", "id": "first"},
            {"operation": "update", "id": "nobody", "content": "x"},
            {"operation": "update", "id": "one", "content": "the first, changed"},
            {"operation": "add", "content": "x", "id": "two"},
            {"operation": "add", "content": " "},
            {"operation": "update", "id": "two", "importance": 0.9, "expected_version": 5},
            {"operation": "deprecate", "id": "three", "superseded_by": "no such id"},
            {"operation": "deprecate", "id": "three", "superseded_by": "first"},
        ]),
        ", atomic => false",
    );

    let expected: [Option<&str>; 8] = [
        None,
        Some("P0002: "),
        None,
        Some("23505: "),
        Some("22023: "),
        Some("40001: "),
        Some("P0002: "),
        None,
    ];
    for (number, (item, expected)) in items.iter().zip(expected).enumerate() {
        assert_eq!(item.ordinal as usize, number + 1);
        assert_eq!(item.success, expected.is_none(), "{item:?}");
        match expected {
            None => assert!(item.error.is_none() && item.memory_id.is_some(), "{item:?}"),
            Some(expected) => {
                let error = item.error.as_deref().expect("an error");
                assert!(
                    error.starts_with(expected) && error.len() > expected.len(),
                    "{item:?}"
                );
            }
        }
    }
    assert_eq!(items.len(), 8);
    assert!(
        items[1]
            .error
            .as_deref()
            .expect("an error")
            .contains("nobody")
    );
    let left: Vec<String> = sql.column(
        "SELECT id || ': ' || content FROM memory_list() ORDER BY id",
        &[],
    );
    assert_eq!(
        left,
        [
            "first: added first",
            "one: the first, changed",
            "two: the second"
        ]
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memories WHERE is_deprecated", &[]),
        1
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_history", &[]),
        2,
        "an item that failed has left no version"
    );
}

#[test]
fn a_failing_item_leaves_no_trace_and_the_transaction_goes_on() {
    let mut sql = filled();
    sql.run("SET memory_ext.audit = 'full'");
    let before = store_hash(&mut sql);

    let failing: Vec<Value> = (0..200)
        .map(|number| match number % 3 {
            0 => json!({"operation": "update", "id": "one", "content": "the second"}),
            1 => json!({"operation": "update", "id": format!("nobody {number}"), "content": "x"}),
            _ => json!({"operation": "add", "content": format!("new {number}"), "id": "two"}),
        })
        .collect();
    sql.run("BEGIN");
    let items = delta(&mut sql, &Value::Array(failing), ", atomic => false");
    assert!(items.len() == 200 && items.iter().all(|item| !item.success));
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 3);
    sql.run("COMMIT");

    assert_eq!(store_hash(&mut sql), before);
    assert_ne!(
        sql.one::<String>("SELECT memory_add('new 2')", &[]),
        "two",
        "nor is anything of it an equal"
    );
}

#[test]
fn more_items_than_a_batch_may_have_are_refused_in_both_modes() {
    let mut sql = filled();
    sql.run("SET memory_ext.max_batch = 2");
    let before = store_hash(&mut sql);
    let operations = json!([{"operation": "add", "content": "a"}, {"operation": "add", "content": "b"}, {"operation": "add", "content": "c"}]);

    for atomic in ["true", "false"] {
        sql.refused(
            &format!("SELECT * FROM memory_delta($1, atomic => {atomic})"),
            &[&operations],
        )
        .is("54000")
        .says("3")
        .says("2")
        .hints("memory_ext.max_batch")
        .well_formed();
    }
    assert_eq!(store_hash(&mut sql), before);
    sql.run("SET memory_ext.max_batch = 3");
    assert_eq!(delta(&mut sql, &operations, "").len(), 3);
}

#[test]
fn a_delta_acts_as_its_agent() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    let operations = json!([{"operation": "add", "content": "by delta"}, {"operation": "update", "id": "alice-private", "content": "changed by delta"}]);

    delta(&mut owner, &operations, ", agent_id => 'alice'");
    let row: Value = owner.one(
        "SELECT jsonb_build_array(agent_id, scope) FROM memories WHERE content = 'by delta'",
        &[],
    );
    assert_eq!(row, json!(["alice", "agent-private"]));
    owner
        .refused(
            "SELECT * FROM memory_delta('[{\"operation\": \"update\", \"id\": \"bob-private\", \"content\": \"x\"}]', agent_id => 'alice')",
            &[],
        )
        .is("P0002");

    // A role that is bound to her needs not say so, and cannot say otherwise.
    let (_, mut alice) = granted(&database, "default", "write", Some("alice"));
    delta(
        &mut alice,
        &json!([{"operation": "add", "content": "by the role"}, {"operation": "deprecate", "id": "alice-to-bob"}]),
        "",
    );
    let row: Value = owner.one(
        "SELECT jsonb_build_array(agent_id, scope) FROM memories WHERE content = 'by the role'",
        &[],
    );
    assert_eq!(row, json!(["alice", "agent-private"]));
    let (_, mut reader) = granted(&database, "default", "read", None);
    let before = store_hash(&mut owner);
    for (item, sqlstate) in [
        (
            json!({"operation": "add", "content": "x", "agent_id": "bob"}),
            "42501",
        ),
        (
            json!({"operation": "update", "id": "bob-private", "content": "x"}),
            "P0002",
        ),
        (
            json!({"operation": "update", "id": "bob-to-alice", "content": "x"}),
            "42501",
        ),
        (
            json!({"operation": "deprecate", "id": "bob-global"}),
            "42501",
        ),
        (
            json!({"operation": "deprecate", "id": "alice-private", "superseded_by": "bob-private"}),
            "P0002",
        ),
    ] {
        let operations = json!([{"operation": "add", "content": "before"}, item]);
        alice
            .refused("SELECT * FROM memory_delta($1)", &[&operations])
            .is(sqlstate)
            .says("item 2")
            .keeps("words")
            .well_formed();
        let items = delta(&mut alice, &json!([item]), ", atomic => false");
        assert!(
            !items[0].success
                && items[0]
                    .error
                    .as_deref()
                    .expect("an error")
                    .starts_with(sqlstate),
            "{items:?}"
        );
    }
    alice
        .refused(
            "SELECT * FROM memory_delta($1, agent_id => 'bob')",
            &[&json!([])],
        )
        .is("42501");
    for atomic in ["true", "false"] {
        reader
            .refused(
                &format!("SELECT * FROM memory_delta($1, atomic => {atomic})"),
                &[&json!([{"operation": "add", "content": "x"}])],
            )
            .is("42501");
    }
    assert_eq!(store_hash(&mut owner), before);
}

#[test]
fn c8_equal_adds_of_concurrent_deltas_make_one_row() {
    let database = database();
    let operations = json!([{"operation": "add", "content": "the same thought"}, {"operation": "add", "content": "another one"}]);

    let ids = together(12, |number, start| {
        let mut sql = database.connect();
        start.wait();
        let atomic = if number % 2 == 0 {
            ""
        } else {
            ", atomic => false"
        };
        let items = delta(&mut sql, &operations, atomic);
        items
            .into_iter()
            .map(|item| item.memory_id.expect("an id"))
            .collect::<Vec<_>>()
    });

    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 1, "{ids:?}");
    assert_eq!(
        database.connect().one::<i64>("SELECT memory_count()", &[]),
        2
    );
}

// --- reflections

#[test]
fn a_reflection_is_a_memory_with_what_was_learnt() {
    let mut sql = store();

    let id: String = sql.one(
        "SELECT memory_reflect('Retrying at once hit the rate limit again', agent_id => 'a', error_pattern => 'HTTP 429', correct_approach => 'wait as Retry-After says',
                applicable_contexts => '{http,billing}', namespace => 'n', metadata => '{\"task_type\": \"sync\"}', ttl => '2 days', session_id => 's',
                source_trajectory_id => 'run-7', importance => 0.75)",
        &[],
    );

    let row: Value = sql.one("SELECT to_jsonb(m) FROM memories m WHERE id = $1", &[&id]);
    for (column, expected) in [
        (
            "content",
            json!("Retrying at once hit the rate limit again"),
        ),
        ("memory_type", json!("reflection")),
        ("scope", json!("global")),
        ("agent_id", json!("a")),
        ("namespace", json!("n")),
        ("session_id", json!("s")),
        ("error_pattern", json!("HTTP 429")),
        ("source_trajectory_id", json!("run-7")),
        ("importance", json!(0.75)),
        (
            "metadata",
            json!({"task_type": "sync", "correct_approach": "wait as Retry-After says", "applicable_contexts": ["http", "billing"]}),
        ),
    ] {
        assert_eq!(row[column], expected, "{column}");
    }
    assert_eq!(
        sql.one::<String>("SELECT (expires_at - created_at)::text FROM memories", &[]),
        "2 days"
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT error_pattern FROM memory_playbook('rate limit', agent_id => 'b')",
            &[]
        ),
        ["HTTP 429"],
        "every agent learns from it"
    );
    let least: String = sql.one("SELECT memory_reflect('only words')", &[]);
    let row: Value = sql.one(
        "SELECT jsonb_build_array(memory_type, scope, metadata) FROM memory_get($1)",
        &[&least],
    );
    assert_eq!(
        row,
        json!(["reflection", "global", {}]),
        "what is not given is not there"
    );
    let private: String = sql.one(
        "SELECT memory_reflect('kept to herself', agent_id => 'a', scope => 'agent-private')",
        &[],
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_get($1, 'b')", &[&private]),
        0
    );
}

#[test]
fn c07_a_reflection_added_again_after_its_deprecation_is_alive_and_found() {
    let mut sql = store();
    let dead: String = sql.one("SELECT memory_reflect('never on a Friday')", &[]);
    assert_eq!(
        sql.one::<String>("SELECT memory_reflect('never on a Friday')", &[]),
        dead,
        "equal ones are one"
    );
    sql.run(&format!("SELECT memory_deprecate('{dead}')"));

    let alive: String = sql.one("SELECT memory_reflect('never on a Friday')", &[]);

    assert_ne!(alive, dead);
    assert_eq!(
        sql.column::<String>("SELECT id FROM memory_playbook('Friday')", &[]),
        [alive]
    );
}

// --- bad input

#[test]
fn bad_input_is_refused_and_nothing_is_changed() {
    let mut sql = filled();
    refuse_all(
        &mut sql,
        r#"
        22023 | operations, NULL | | SELECT * FROM memory_delta(NULL)
        22023 | array, object | | SELECT * FROM memory_delta('{"operation": "add", "content": "x"}')
        22023 | array | | SELECT * FROM memory_delta('"add"')
        22023 | array | | SELECT * FROM memory_delta('7')
        22023 | array | | SELECT * FROM memory_delta('null')
        22023 | array | | SELECT * FROM memory_delta('{}', atomic => false)
        22023 | item 1 | | SELECT * FROM memory_delta('[7]')
        22023 | item 1 | | SELECT * FROM memory_delta('["add"]')
        22023 | item 1 | | SELECT * FROM memory_delta('[null]')
        22023 | item 1 | | SELECT * FROM memory_delta('[[]]')
        22023 | item 1, operation | add | SELECT * FROM memory_delta('[{}]')
        22023 | item 2, operation, delete | deprecate | SELECT * FROM memory_delta('[{"operation": "add", "content": "x"}, {"operation": "delete", "id": "one"}]')
        22023 | item 1, operation | add | SELECT * FROM memory_delta('[{"operation": null, "content": "x"}]')
        22023 | item 1, operation | add | SELECT * FROM memory_delta('[{"operation": ["add"], "content": "x"}]')
        22023 | item 1, operation, ADD | add | SELECT * FROM memory_delta('[{"operation": "ADD", "content": "x"}]')
        22023 | item 1, colour | | SELECT * FROM memory_delta('[{"operation": "add", "content": "x", "colour": "red"}]')
        22023 | item 1, project_id | | SELECT * FROM memory_delta('[{"operation": "add", "content": "x", "project_id": "q"}]')
        22023 | item 1, reason | | SELECT * FROM memory_delta('[{"operation": "add", "content": "x", "reason": "r"}]')
        22023 | item 1, reason | | SELECT * FROM memory_delta('[{"operation": "update", "id": "one", "reason": "r"}]')
        22023 | item 1, key | | SELECT * FROM memory_delta('[{"operation": "update", "id": "one", "key": "k"}]')
        22023 | item 1, content | | SELECT * FROM memory_delta('[{"operation": "deprecate", "id": "one", "content": "x"}]')
        22023 | item 1, id | | SELECT * FROM memory_delta('[{"operation": "update", "content": "x"}]')
        22023 | item 1, id | | SELECT * FROM memory_delta('[{"operation": "deprecate"}]')
        22023 | item 1, id | | SELECT * FROM memory_delta('[{"operation": "update", "id": 7, "content": "x"}]')
        22023 | item 1, id, blank | | SELECT * FROM memory_delta('[{"operation": "update", "id": " ", "content": "x"}]')
        22023 | item 1, id, 10240 | | SELECT * FROM memory_delta(jsonb_build_array(jsonb_build_object('operation', 'deprecate', 'id', repeat('i', 10240))))
        22023 | item 1, content | | SELECT * FROM memory_delta('[{"operation": "add"}]')
        22023 | item 1, content | | SELECT * FROM memory_delta('[{"operation": "add", "content": ["x"]}]')
        22023 | item 1, content | | SELECT * FROM memory_delta('[{"operation": "update", "id": "one", "content": {"x": 1}}]')
        22023 | item 1, importance | | SELECT * FROM memory_delta('[{"operation": "update", "id": "one", "importance": "high"}]')
        22023 | item 1, importance | | SELECT * FROM memory_delta('[{"operation": "update", "id": "one", "importance": 2}]')
        22023 | item 1, shared_with_agents | | SELECT * FROM memory_delta('[{"operation": "update", "id": "one", "shared_with_agents": "b"}]')
        22023 | item 1, sensitive | | SELECT * FROM memory_delta('[{"operation": "update", "id": "one", "sensitive": "yes"}]')
        22023 | item 1, expected_version | | SELECT * FROM memory_delta('[{"operation": "update", "id": "one", "content": "x", "expected_version": "1"}]')
        22023 | item 1, expected_version | | SELECT * FROM memory_delta('[{"operation": "update", "id": "one", "content": "x", "expected_version": 1.5}]')
        22023 | item 1, reason | | SELECT * FROM memory_delta('[{"operation": "deprecate", "id": "one", "reason": 7}]')
        22023 | item 1, superseded_by | | SELECT * FROM memory_delta('[{"operation": "deprecate", "id": "one", "superseded_by": ["two"]}]')
        22P05 | | | SELECT * FROM memory_delta('[{"operation": "add", "content": "a\u0000b"}]')
        22P02 | | | SELECT * FROM memory_delta('[{broken')
        22023 | agent_id, blank | | SELECT * FROM memory_delta('[]', agent_id => '')
        22023 | project_id, * | | SELECT * FROM memory_delta('[]', project_id => '*')
        22023 | content, NULL | text | SELECT memory_reflect(NULL)
        22023 | content, blank | text | SELECT memory_reflect(' ')
        54000 | 1048577, 1048576 | memory_ext.max_content_bytes | SELECT memory_reflect(repeat('x', 1048577))
        22023 | scope, everyone | global | SELECT memory_reflect('x', scope => 'everyone')
        22023 | metadata, object | { | SELECT memory_reflect('x', metadata => '[1]')
        22023 | ttl, positive | | SELECT memory_reflect('x', ttl => '-1 day')
        22023 | importance, 1.5 | | SELECT memory_reflect('x', importance => 1.5)
        22023 | 3, 384 | memory_version | SELECT memory_reflect('x', embedding => '[1, 2, 3]')
        22023 | agent_id, * | | SELECT memory_reflect('x', agent_id => '*')
        22023 | session_id, blank | | SELECT memory_reflect('x', session_id => '')
        22023 | source_trajectory_id, blank | | SELECT memory_reflect('x', source_trajectory_id => ' ')
        22023 | source_trajectory_id, 10240, 255 | | SELECT memory_reflect('x', source_trajectory_id => repeat('t', 10240))
        22023 | namespace, 256, 255 | | SELECT memory_reflect('x', namespace => repeat('n', 256))
        22021 | | | SELECT memory_reflect('x', error_pattern => E'bad \xff byte')
        "#,
    );
}

#[test]
fn sql_fragments_in_deltas_and_reflections_are_only_text() {
    let mut sql = store();
    for fragment in FRAGMENTS {
        let operations = json!([
            {"operation": "add", "content": format!("old {fragment}"), "id": format!("{fragment}1"), "key": fragment, "metadata": {*fragment: fragment}},
            {"operation": "add", "content": fragment, "id": fragment},
            {"operation": "deprecate", "id": format!("{fragment}1"), "reason": fragment, "superseded_by": fragment},
        ]);
        let rows = sql
            .query(
                "SELECT success FROM memory_delta($1, agent_id => $2, project_id => $2)",
                &[&operations, fragment],
            )
            .expect("applied");
        assert!(
            rows.len() == 3 && rows.iter().all(|row| row.get(0)),
            "{fragment:?}"
        );
        assert_eq!(
            sql.one::<String>("SELECT content FROM memory_get($1, $1, $1)", &[fragment]),
            *fragment
        );
        sql.refused("SELECT * FROM memory_delta(jsonb_build_array(jsonb_build_object('operation', $1::text)))", &[fragment]).is("22023");

        let id: String = sql
            .query_one("SELECT memory_reflect($1, $1, $1, $1, ARRAY[$1], $1, source_trajectory_id => $1, session_id => $1, project_id => $1)", &[fragment])
            .unwrap_or_else(|error| panic!("{fragment:?}: {error:?}"))
            .get(0);
        let same: bool = sql.one(
            "SELECT error_pattern = $2 AND source_trajectory_id = $2 AND metadata ->> 'correct_approach' = $2 AND metadata -> 'applicable_contexts' ->> 0 = $2
             FROM memories WHERE id = $1 AND project_id = $2",
            &[&id, fragment],
        );
        assert!(same, "{fragment:?}");
    }
}

#[test]
fn a_delta_that_is_cancelled_leaves_the_session_usable() {
    let mut sql = database().connect();
    sql.run(
        "SELECT memory_init();
         CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(60); RETURN NEW; END $$;
         CREATE TRIGGER slow BEFORE INSERT ON memories FOR EACH ROW EXECUTE FUNCTION slow()",
    );
    sql.run("SET statement_timeout = '200ms'");
    let items = json!([{"operation": "add", "content": "words"}]);
    sql.refused("SELECT * FROM memory_delta($1, atomic => false)", &[&items])
        .is("57014");
    // No transaction block is open that the user would have to end.
    sql.run("RESET statement_timeout");
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), 0);
}
