//! Changing, deleting and forgetting memories, and the history that remains.

mod support;

use postgres::Client;
use serde_json::{Value, json};
use support::{Sql, store};

fn finds(sql: &mut Client, query: &str) -> Vec<String> {
    sql.column(
        "SELECT id FROM memory_search($1, agent_id => '*')",
        &[&query],
    )
}

// --- changing

#[test]
fn c3_a_metadata_patch_persists_merges_nested_objects_and_null_removes() {
    let mut sql = store();
    let id: String = sql.one("SELECT memory_add('deploy', metadata => '{\"a\": {\"b\": 1, \"c\": 2}, \"d\": 3, \"list\": [1, 2]}')", &[]);

    let version: i32 = sql.one("SELECT memory_update($1, metadata => '{\"a\": {\"b\": null, \"e\": 1.10}, \"list\": [3], \"new\": {\"x\": null}}')", &[&id]);

    assert_eq!(version, 2);
    let metadata: String = sql.one("SELECT metadata::text FROM memory_get($1)", &[&id]);
    assert_eq!(
        metadata,
        r#"{"a": {"c": 2, "e": 1.10}, "d": 3, "new": {}, "list": [3]}"#
    );
    let content: String = sql.one("SELECT content FROM memory_get($1)", &[&id]);
    assert_eq!(content, "deploy");
    let found: i64 = sql.one(
        "SELECT memory_count(metadata => '{\"a\": {\"e\": 1.1}}')",
        &[],
    );
    assert_eq!(
        found, 1,
        "another session's filters see the patched metadata"
    );
}

#[test]
fn ve8_new_content_replaces_vector_and_words_at_once() {
    let mut sql = store();
    let id: String = sql.one("SELECT memory_add('the parrot speaks Portuguese')", &[]);

    sql.run(&format!(
        "SELECT memory_update('{id}', 'the tractor needs diesel')"
    ));

    assert!(finds(&mut sql, "tractor diesel").contains(&id));
    let text: Vec<String> = sql.column(
        "SELECT id FROM memory_search('parrot Portuguese', mode => 'text')",
        &[],
    );
    assert!(text.is_empty());
    let fresh: bool = sql.one(
        "SELECT embedding::text = memory_embed('the tractor needs diesel')::text AND embedded_hash = content_hash FROM memories WHERE id = $1",
        &[&id],
    );
    assert!(
        fresh,
        "vector and the hash it was made for belong to the new content"
    );
}

#[test]
fn an_update_changes_what_is_given_and_nothing_else() {
    let mut sql = store();
    let id: String = sql.one("SELECT memory_add('base', agent_id => 'a', ttl => '1 day', metadata => '{\"m\": 1}', importance => 0.3)", &[]);
    let steps = [
        ("importance => 0.8", "importance", json!(0.8)),
        (
            "memory_type => 'semantic'",
            "memory_type",
            json!("semantic"),
        ),
        (
            "shared_with_agents => '{b}'",
            "scope",
            json!("agent-shared"),
        ),
        ("scope => 'global'", "scope", json!("global")),
        ("expires_at => 'infinity'", "expires_at", Value::Null),
        ("content => 'changed'", "content", json!("changed")),
    ];

    let mut before: Value = sql.one("SELECT to_jsonb(m) FROM memory_get($1, '*') m", &[&id]);
    for (step, (argument, column, expected)) in steps.into_iter().enumerate() {
        let version: i32 = sql.one(
            &format!("SELECT memory_update($1, {argument}, agent_id => 'a')"),
            &[&id],
        );
        assert_eq!(version, step as i32 + 2, "{argument}");

        let mut after: Value = sql.one("SELECT to_jsonb(m) FROM memory_get($1, '*') m", &[&id]);
        assert_eq!(after[column], expected, "{argument}");
        assert!(
            after["updated_at"].as_str() > before["updated_at"].as_str(),
            "{argument}"
        );
        let kept = after.clone();
        for free in [column, "version", "updated_at", "shared_with_agents"] {
            before[free] = Value::Null;
            after[free] = Value::Null;
        }
        assert_eq!(after, before, "{argument}");
        before = kept;
    }
}

#[test]
fn a_new_ttl_counts_from_now() {
    let mut sql = store();
    let id: String = sql.one("SELECT memory_add('x')", &[]);
    sql.run("UPDATE memories SET created_at = now() - interval '1 year'");

    sql.run(&format!("SELECT memory_update('{id}', ttl => '2 hours')"));

    let hours: f64 = sql.one(
        "SELECT extract(epoch FROM expires_at - now())::float8 / 3600 FROM memories",
        &[],
    );
    assert!((hours - 2.0).abs() < 0.01, "{hours}");
}

#[test]
fn an_update_cannot_make_two_live_memories_the_same_one() {
    let mut sql = store();
    let (one, two): (String, String) = (
        sql.one("SELECT memory_add('one')", &[]),
        sql.one("SELECT memory_add('two')", &[]),
    );

    sql.refused("SELECT memory_update($1, ' one ')", &[&two])
        .is("23505")
        .says(&one)
        .well_formed();

    assert_eq!(
        sql.one::<String>("SELECT content FROM memory_get($1)", &[&two]),
        "two"
    );
    sql.run(&format!("SELECT memory_delete('{one}')"));
    assert_eq!(
        sql.one::<i32>("SELECT memory_update($1, 'one')", &[&two]),
        2,
        "a dead memory is not in the way"
    );
}

#[test]
fn a_version_that_is_not_the_current_one_is_a_conflict() {
    let mut sql = store();
    let id: String = sql.one("SELECT memory_add('x')", &[]);

    assert_eq!(
        sql.one::<i32>(
            "SELECT memory_update($1, 'y', expected_version => 1)",
            &[&id]
        ),
        2
    );
    sql.refused(
        "SELECT memory_update($1, 'z', expected_version => 1)",
        &[&id],
    )
    .is("40001")
    .says("version 2")
    .says("1")
    .hints("again")
    .well_formed();

    assert_eq!(
        sql.one::<String>("SELECT content FROM memory_get($1)", &[&id]),
        "y"
    );
}

#[test]
fn ve7_a_memory_that_turns_sensitive_loses_vector_and_words_and_gets_them_back() {
    let mut sql = store();
    let id: String = sql.one("SELECT memory_add('the vault code is quokka')", &[]);
    let indexed = |sql: &mut Client| -> (bool, bool, bool) {
        let row = sql.query_one("SELECT embedding IS NOT NULL, embedding_sketch IS NOT NULL, content_tsv IS NOT NULL FROM memories", &[]).expect("a row");
        (row.get(0), row.get(1), row.get(2))
    };
    assert_eq!(indexed(&mut sql), (true, true, true));

    sql.run(&format!("SELECT memory_update('{id}', sensitive => true)"));
    assert_eq!(indexed(&mut sql), (false, false, false));
    assert!(finds(&mut sql, "vault code quokka").is_empty());

    sql.run(&format!("SELECT memory_update('{id}', sensitive => false)"));
    assert_eq!(indexed(&mut sql), (true, true, true));
    assert_eq!(finds(&mut sql, "vault code quokka"), [id]);
}

#[test]
fn adding_as_sensitive_what_is_there_in_the_open_gives_a_sensitive_memory() {
    let mut sql = store();
    let open: String = sql.one("SELECT memory_add('the safe is behind the painting')", &[]);

    let secret: String = sql.one(
        "SELECT memory_add('the safe is behind the painting', sensitive => true)",
        &[],
    );

    let sensitive: bool = sql.one("SELECT is_sensitive FROM memory_get($1)", &[&secret]);
    assert!(
        sensitive,
        "the caller was given id {secret} for a secret (the open one is {open})"
    );
}

// --- deleting and forgetting

#[test]
fn c1_delete_removes_the_memory_and_keeps_an_audit_event() {
    let mut sql = store();
    let id: String = sql.one(
        "SELECT memory_add('to be deleted', agent_id => 'a', project_id => 'p')",
        &[],
    );

    assert!(sql.one::<bool>(
        "SELECT memory_delete($1, agent_id => 'a', project_id => 'p')",
        &[&id]
    ));

    assert!(
        sql.query("SELECT * FROM memory_get($1, 'a', 'p')", &[&id])
            .expect("no error")
            .is_empty()
    );
    let event: Value = sql.one(
        "SELECT to_jsonb(e) FROM memory_events e WHERE event = 'delete'",
        &[],
    );
    assert_eq!(
        (
            &event["memory_id"],
            &event["project_id"],
            &event["agent_id"],
            &event["role"]
        ),
        (&json!(id), &json!("p"), &json!("a"), &json!("postgres"))
    );
    assert!(
        !sql.one::<bool>(
            "SELECT memory_delete($1, agent_id => 'a', project_id => 'p')",
            &[&id]
        ),
        "a second time there is nothing"
    );
    assert!(!sql.one::<bool>("SELECT memory_delete('no such id')", &[]));
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM memory_events WHERE event = 'delete'",
            &[]
        ),
        1
    );
}

#[test]
fn forgetting_erases_every_trace_and_gives_a_receipt() {
    let mut sql = store();
    sql.run("SET memory_ext.audit = 'full'");
    let id: String = sql.one("SELECT memory_add('Mallory lives in Zanzibar', user_id => 'mallory', metadata => '{\"v\": 1}')", &[]);
    sql.run(&format!("SELECT memory_update('{id}', 'Mallory lives in Timbuktu'); SELECT memory_touch(ARRAY['{id}'])"));
    let deleted: String = sql.one(
        "SELECT memory_add('Mallory deleted this', user_id => 'mallory')",
        &[],
    );
    sql.run(&format!("SELECT memory_delete('{deleted}')"));
    sql.run("SELECT memory_add('Alice stays', user_id => 'alice')");

    let receipt: Value = sql.one(
        "SELECT memory_forget(user_id => 'mallory', reason => 'asked by the user')",
        &[],
    );

    assert_eq!(receipt["memories"], 2, "{receipt}");
    assert_eq!(receipt["history_versions"], 2, "{receipt}");
    assert_eq!(receipt["reason"], "asked by the user");
    assert_eq!(receipt["project_id"], "default");
    assert!(receipt["forgotten_at"].is_string(), "{receipt}");
    assert!(
        receipt["filters"].to_string().contains("mallory"),
        "{receipt}"
    );
    for table in support::store_tables(&mut sql) {
        let left: i64 = sql.one(
            &format!(
                "SELECT count(*) FROM {table} t WHERE t::text ~ 'Zanzibar|Timbuktu|deleted this'"
            ),
            &[],
        );
        assert_eq!(left, 0, "{table} still has content");
    }
    for table in ["memory_history", "memory_usage"] {
        assert_eq!(
            sql.one::<i64>(&format!("SELECT count(*) FROM {table}"), &[]),
            0,
            "{table}"
        );
    }
    assert_eq!(
        sql.column::<String>("SELECT content FROM memories", &[]),
        ["Alice stays"]
    );
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM memory_events WHERE event = 'forget'",
            &[]
        ),
        1
    );
}

#[test]
fn each_filter_of_forget_chooses_its_own() {
    let mut sql = store();
    let fill = r#"DELETE FROM memories; DELETE FROM memory_history;
        SELECT memory_add('by id', id => 'one');
        SELECT memory_add('by user', user_id => 'u');
        SELECT memory_add('by author', agent_id => 'a');
        SELECT memory_add('by session', session_id => 's');
        SELECT memory_add('by entity', entity_id => 'e');
        SELECT memory_add('by namespace', namespace => 'n');
        SELECT memory_add('by metadata', metadata => '{"k": 1}');
        SELECT memory_add('by filter', metadata => '{"size": 7}');
        SELECT memory_add('other project', user_id => 'u', id => 'one', project_id => 'q');
        SELECT memory_add('by age'); UPDATE memories SET created_at = '2001-01-01' WHERE content = 'by age'"#;

    for (filter, gone) in [
        ("ids => '{one,none}'", "by id"),
        ("user_id => 'u'", "by user"),
        ("agent_id => 'a'", "by author"),
        ("session_id => 's'", "by session"),
        ("entity_id => 'e'", "by entity"),
        ("namespace => 'n'", "by namespace"),
        ("metadata => '{\"k\": 1}'", "by metadata"),
        ("filter => '{\"size\": {\"$gt\": 5}}'", "by filter"),
        ("before => '2002-01-01'", "by age"),
    ] {
        sql.run(fill);
        let receipt: Value = sql.one(
            &format!("SELECT memory_forget({filter}, reason => 'test')"),
            &[],
        );
        assert_eq!(receipt["memories"], 1, "{filter}: {receipt}");
        assert_eq!(
            sql.one::<i64>("SELECT count(*) FROM memories WHERE content = $1", &[&gone]),
            0,
            "{filter}"
        );
        assert_eq!(
            sql.one::<i64>("SELECT count(*) FROM memories", &[]),
            9,
            "{filter}"
        );
    }
}

#[test]
fn forgetting_without_a_filter_or_a_reason_is_refused() {
    let mut sql = store();
    sql.run("SELECT memory_add('stays')");

    sql.refused("SELECT memory_forget(reason => 'all of it')", &[])
        .is("22023")
        .says("filter")
        .well_formed();
    sql.refused("SELECT memory_forget(user_id => 'u')", &[])
        .is("22023")
        .says("reason")
        .well_formed();
    sql.refused("SELECT memory_forget(user_id => 'u', reason => '  ')", &[])
        .is("22023")
        .says("reason")
        .well_formed();
    for everything in ["metadata => '{}'", "filter => '{}'"] {
        sql.refused(
            &format!("SELECT memory_forget({everything}, reason => 'r')"),
            &[],
        )
        .is("22023")
        .says("filter")
        .well_formed();
    }

    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 1);
}

#[test]
fn expire_removes_ended_rows_of_all_projects_in_batches() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('p ' || i, project_id => 'p' || i % 3, ttl => '1 hour') FROM generate_series(1, 25) i;
         SELECT memory_add('stays', ttl => '1 day');
         SELECT memory_update(id, importance => 0.1, project_id => project_id) FROM memories WHERE content = 'p 7';
         SELECT memory_touch(array_agg(id), project_id => 'p1') FROM memories WHERE project_id = 'p1';
         UPDATE memories SET expires_at = now() - interval '1 second' WHERE content <> 'stays'",
    );

    let removed: Vec<i64> = (0..4)
        .map(|_| sql.one("SELECT memory_expire(10)", &[]))
        .collect();

    assert_eq!(removed, [10, 10, 5, 0]);
    assert_eq!(
        sql.column::<String>("SELECT content FROM memories", &[]),
        ["stays"]
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_history", &[]),
        0,
        "their versions are gone"
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_usage", &[]),
        0,
        "and their counts"
    );
}

#[test]
fn c10_nothing_fresh_is_removed_by_the_default_thresholds() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('never used', importance => 0); SELECT memory_add('of any type', memory_type => 'progress');
         SELECT memory_add('ends next year', ttl => '1 year'); SELECT memory_add('ends soon', ttl => '1 minute');
         SELECT memory_add('deleted today', id => 'deleted'); SELECT memory_delete('deleted');
         SELECT memory_add('old but without an end', id => 'old'); UPDATE memories SET created_at = now() - interval '9 years' WHERE id = 'old'",
    );

    assert_eq!(sql.one::<i64>("SELECT memory_expire()", &[]), 0);

    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 5);
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), 6);
}

// --- history

#[test]
fn history_tells_every_version_and_who_ended_it() {
    let mut sql = store();
    let id: String = sql.one(
        "SELECT memory_add('first', agent_id => 'a', metadata => '{\"n\": 1}')",
        &[],
    );
    sql.run(&format!(
        "SELECT memory_update('{id}', 'second', agent_id => 'a')"
    ));
    sql.run(&format!(
        "SELECT memory_update('{id}', metadata => '{{\"n\": 2}}', agent_id => '*')"
    ));
    assert_eq!(
        sql.column::<bool>(
            "SELECT valid_to IS NULL FROM memory_history($1, 'a')",
            &[&id]
        ),
        [false, false, true],
        "the current one has no end"
    );
    sql.run(&format!("SELECT memory_delete('{id}', agent_id => 'a')"));

    let rows = sql
        .query("SELECT version, operation, content, metadata ->> 'n', changed_by, agent_id, valid_from, valid_to FROM memory_history($1, 'a')", &[&id])
        .expect("history");

    let told: Vec<(i32, Option<String>, String, Option<String>)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2), row.get(3)))
        .collect();
    let told: Vec<String> = told
        .iter()
        .map(|(version, operation, content, n)| {
            format!(
                "{version} {} {content} {}",
                operation.as_deref().unwrap_or("-"),
                n.as_deref().unwrap_or("-")
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            "1 update first 1",
            "2 update second 1",
            "3 delete second 2",
            "4 - second 2"
        ]
    );
    let times: Vec<(std::time::SystemTime, Option<std::time::SystemTime>)> =
        rows.iter().map(|row| (row.get(6), row.get(7))).collect();
    for pair in times.windows(2) {
        assert_eq!(
            pair[0].1,
            Some(pair[1].0),
            "a version is valid until the next one is"
        );
    }
    assert_eq!(
        rows[0].get::<_, Option<String>>(4).as_deref(),
        Some("postgres")
    );
    assert_eq!(rows[0].get::<_, Option<String>>(5).as_deref(), Some("a"));
}

#[test]
fn a_restored_version_is_a_new_one_and_revives_the_dead() {
    let mut sql = store();
    let id: String = sql.one(
        "SELECT memory_add('the old bridge', metadata => '{\"n\": 1}', importance => 0.9)",
        &[],
    );
    sql.run(&format!("SELECT memory_update('{id}', 'the new bridge', metadata => '{{\"n\": 2}}', importance => 0.1)"));
    sql.run(&format!("SELECT memory_delete('{id}')"));

    let version: i32 = sql.one("SELECT memory_restore_version($1, 1)", &[&id]);

    assert_eq!(version, 4);
    let row = sql
        .query_one(
            "SELECT content, metadata ->> 'n', importance FROM memory_get($1)",
            &[&id],
        )
        .expect("alive");
    assert_eq!(
        (
            row.get::<_, String>(0).as_str(),
            row.get::<_, String>(1).as_str(),
            row.get::<_, f32>(2)
        ),
        ("the old bridge", "1", 0.9)
    );
    assert_eq!(
        finds(&mut sql, "old bridge"),
        [id.as_str()],
        "found by what it says now"
    );
    let operations: Vec<Option<String>> =
        sql.column("SELECT operation FROM memory_history($1)", &[&id]);
    assert_eq!(
        operations,
        [
            Some("update".to_owned()),
            Some("delete".to_owned()),
            Some("restore".to_owned()),
            None
        ]
    );
    sql.refused("SELECT memory_restore_version($1, 99)", &[&id])
        .is("P0002")
        .says("99")
        .well_formed();
    sql.refused("SELECT memory_restore_version('no such id', 1)", &[])
        .is("P0002")
        .well_formed();
}

#[test]
fn a_version_is_not_restored_over_an_equal_live_memory() {
    let mut sql = store();
    let old: String = sql.one("SELECT memory_add('twin')", &[]);
    sql.run(&format!("SELECT memory_delete('{old}')"));
    let new: String = sql.one("SELECT memory_add('twin')", &[]);

    sql.refused("SELECT memory_restore_version($1, 1)", &[&old])
        .is("23505")
        .says(&new)
        .well_formed();

    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 1);
}

#[test]
fn restoring_a_secret_version_keeps_it_secret() {
    let mut sql = store();
    let id: String = sql.one("SELECT memory_add('in the open')", &[]);
    sql.run(&format!(
        "SELECT memory_update('{id}', 'a secret', sensitive => true)"
    ));

    sql.run(&format!("SELECT memory_restore_version('{id}', 1)"));

    assert!(sql.one::<bool>("SELECT is_sensitive FROM memory_get($1)", &[&id]));
    assert!(sql.one::<bool>(
        "SELECT embedding IS NULL AND content_tsv IS NULL FROM memories",
        &[]
    ));
}
