//! Adding memories, alone and in batches, and reading them.

mod support;

use std::collections::HashSet;

use postgres::Client;
use serde_json::{Value, json};
use support::{Sql, store, store_hash};

/// A memory whose time is over, as time itself would make it.
fn expire(sql: &mut Client, id: &str) {
    let rows = sql
        .execute(
            "UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = $1",
            &[&id],
        )
        .expect("expired");
    assert_eq!(rows, 1);
}

fn finds(sql: &mut Client, query: &str) -> Vec<String> {
    sql.column(
        "SELECT id FROM memory_search($1, agent_id => '*')",
        &[&query],
    )
}

// --- adding

#[test]
fn an_added_memory_comes_back_as_it_was_given() {
    let mut sql = store();

    let id: String = sql.one(
        "SELECT memory_add('The build runs at 02:00 UTC', agent_id => 'ci', namespace => 'ops', scope => 'agent-shared',
                metadata => '{\"team\": \"core\", \"n\": 12345678901234567890.5}', ttl => '2 days', memory_type => 'procedural', user_id => 'u1',
                session_id => 's1', entity_id => 'e1', shared_with_agents => '{planner,ci}', importance => 0.9, project_id => 'p')",
        &[],
    );

    let row: Value = sql.one(
        "SELECT to_jsonb(m) FROM memory_get($1, agent_id => 'ci', project_id => 'p') m",
        &[&id],
    );
    for (column, expected) in [
        ("id", json!(id)),
        ("content", json!("The build runs at 02:00 UTC")),
        ("key", Value::Null),
        ("memory_type", json!("procedural")),
        ("scope", json!("agent-shared")),
        ("agent_id", json!("ci")),
        ("user_id", json!("u1")),
        ("session_id", json!("s1")),
        ("entity_id", json!("e1")),
        ("namespace", json!("ops")),
        ("shared_with_agents", json!(["planner", "ci"])),
        ("is_sensitive", json!(false)),
        ("version", json!(1)),
        ("project_id", json!("p")),
    ] {
        assert_eq!(row[column], expected, "{column}");
    }
    let kept: String = sql.one(
        "SELECT metadata::text FROM memory_get($1, 'ci', 'p')",
        &[&id],
    );
    assert_eq!(
        kept, r#"{"n": 12345678901234567890.5, "team": "core"}"#,
        "no digit of a number is lost"
    );
    let lifetime: String = sql.one(
        "SELECT (expires_at - created_at)::text FROM memory_get($1, 'ci', 'p')",
        &[&id],
    );
    assert_eq!(lifetime, "2 days");
}

#[test]
fn what_is_left_out_gets_the_documented_default() {
    let mut sql = store();

    let id: String = sql.one("SELECT memory_add('just a fact')", &[]);

    let row: Value = sql.one("SELECT to_jsonb(m) FROM memory_get($1) m", &[&id]);
    assert_eq!(row["namespace"], "default");
    assert_eq!(row["scope"], "global");
    assert_eq!(row["memory_type"], "standard");
    assert_eq!(row["importance"], json!(0.5));
    assert_eq!(row["project_id"], "default");
    assert_eq!(row["metadata"], json!({}));
    assert_eq!(row["expires_at"], Value::Null);
    assert_eq!(row["created_at"], row["updated_at"]);
}

#[test]
fn ids_are_32_hex_digits_in_order_of_time() {
    let mut sql = store();

    let mut ids = Vec::new();
    for number in 0..20 {
        ids.push(sql.one::<String>("SELECT memory_add($1)", &[&format!("memory {number}")]));
        sql.run("SELECT pg_sleep(0.002)");
    }

    assert!(
        ids.iter()
            .all(|id| id.len() == 32 && id.bytes().all(|digit| digit.is_ascii_hexdigit())),
        "{ids:?}"
    );
    assert!(ids.is_sorted(), "{ids:?}");
}

#[test]
fn an_equal_memory_is_one_whatever_its_white_space_and_unicode_form() {
    let mut sql = store();

    let id: String = sql.one("SELECT memory_add('The café  closes at 5')", &[]);
    let again: String = sql.one(
        "SELECT memory_add(E'  The cafe\\u0301\\tcloses \\n at 5 ')",
        &[],
    );

    assert_eq!(again, id);
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 1);
    let content: String = sql.one("SELECT content FROM memory_get($1)", &[&id]);
    assert_eq!(
        content, "The café  closes at 5",
        "the first form is kept as it was written"
    );
}

#[test]
fn memories_that_differ_in_one_identifying_argument_are_two() {
    let mut sql = store();
    let base = "agent_id => 'a', namespace => 'n', scope => 'agent-shared', user_id => 'u', session_id => 's', entity_id => 'e', memory_type => 'episodic', project_id => 'p'";
    let first: String = sql.one(&format!("SELECT memory_add('same words', {base})"), &[]);

    for (given, changed) in [
        ("agent_id => 'a'", "agent_id => 'b'"),
        ("namespace => 'n'", "namespace => 'm'"),
        ("scope => 'agent-shared'", "scope => 'agent-private'"),
        ("user_id => 'u'", "user_id => 'v'"),
        ("session_id => 's'", "session_id => 't'"),
        ("entity_id => 'e'", "entity_id => NULL"),
        ("memory_type => 'episodic'", "memory_type => 'semantic'"),
        ("project_id => 'p'", "project_id => 'q'"),
    ] {
        let other: String = sql.one(
            &format!(
                "SELECT memory_add('same words', {})",
                base.replace(given, changed)
            ),
            &[],
        );
        assert_ne!(other, first, "{changed}");
    }
    let same: String = sql.one(
        &format!(
            "SELECT memory_add('same words', {base}, metadata => '{{\"x\": 1}}', importance => 1)"
        ),
        &[],
    );
    assert_eq!(
        same, first,
        "metadata and importance do not make another memory"
    );
}

#[test]
fn on_duplicate_says_what_an_equal_memory_does() {
    let mut sql = store();
    let id: String = sql.one(
        "SELECT memory_add('fact', metadata => '{\"a\": 1, \"b\": {\"c\": 1, \"d\": 2}}')",
        &[],
    );

    let returned: String = sql.one(
        "SELECT memory_add('fact', metadata => '{\"z\": 1}', on_duplicate => 'return')",
        &[],
    );
    assert_eq!(returned, id);
    assert_eq!(
        sql.one::<Value>("SELECT metadata FROM memory_get($1)", &[&id]),
        json!({"a": 1, "b": {"c": 1, "d": 2}})
    );

    let merged: String = sql.one("SELECT memory_add('fact', metadata => '{\"a\": null, \"b\": {\"c\": 3}}', on_duplicate => 'merge')", &[]);
    assert_eq!(merged, id);
    assert_eq!(
        sql.one::<Value>("SELECT metadata FROM memory_get($1)", &[&id]),
        json!({"b": {"c": 3, "d": 2}})
    );

    let new: String = sql.one("SELECT memory_add('fact', on_duplicate => 'new')", &[]);
    assert_ne!(new, id);
    let newer: String = sql.one("SELECT memory_add('fact', on_duplicate => 'new')", &[]);
    assert_ne!(newer, new);

    sql.refused("SELECT memory_add('fact', on_duplicate => 'error')", &[])
        .is("23505")
        .says(&id)
        .hints("on_duplicate")
        .well_formed();
}

#[test]
fn adding_again_prolongs_the_life_and_never_shortens_it() {
    let mut sql = store();
    let id: String = sql.one("SELECT memory_add('short', ttl => '1 hour')", &[]);
    let life = |sql: &mut Client| -> Option<i32> {
        sql.one(
            "SELECT round(extract(epoch FROM expires_at - now()) / 3600)::int FROM memory_get($1)",
            &[&id],
        )
    };

    sql.run("SELECT memory_add('short', ttl => '3 hours')");
    assert_eq!(life(&mut sql), Some(3));
    sql.run("SELECT memory_add('short', ttl => '2 hours')");
    assert_eq!(life(&mut sql), Some(3), "the later of the two ends stays");
    sql.run("SELECT memory_add('short')");
    assert_eq!(life(&mut sql), None, "added without an end, it has none");
    sql.run("SELECT memory_add('short', ttl => '1 minute')");
    assert_eq!(life(&mut sql), None);
}

#[test]
fn an_id_of_the_callers_own_is_kept_and_taken_once_a_project() {
    let mut sql = store();

    assert_eq!(
        sql.one::<String>("SELECT memory_add('one', id => 'my-id')", &[]),
        "my-id"
    );
    assert_eq!(
        sql.one::<String>(
            "SELECT memory_add('one', id => 'my-id', project_id => 'other')",
            &[]
        ),
        "my-id",
        "ids are per project"
    );
    sql.refused("SELECT memory_add('two', id => 'my-id')", &[])
        .is("23505")
        .says("my-id")
        .hints("memory_update")
        .well_formed();
}

#[test]
fn c7_a_memory_added_again_after_its_end_is_alive_and_found() {
    for end in ["expiry", "deletion"] {
        let mut sql = store();
        let content = format!("the {end} of the lighthouse keeper");
        let dead: String = sql.one(
            "SELECT memory_add($1, metadata => '{\"old\": true}')",
            &[&content],
        );
        match end {
            "expiry" => expire(&mut sql, &dead),
            _ => assert!(sql.one::<bool>("SELECT memory_delete($1)", &[&dead])),
        }
        assert!(finds(&mut sql, &content).is_empty(), "{end}");

        let alive: String = sql.one("SELECT memory_add($1)", &[&content]);

        assert_ne!(
            alive, dead,
            "{end}: the dead row does not come back under its old id"
        );
        assert_eq!(finds(&mut sql, &content), [alive.as_str()], "{end}");
        assert_eq!(
            sql.one::<Value>("SELECT metadata FROM memory_get($1)", &[&alive]),
            json!({}),
            "{end}: nothing of the dead row is in it"
        );
        assert_eq!(
            sql.one::<String>("SELECT memory_add($1)", &[&content]),
            alive,
            "{end}: and it is what equals meet from now on"
        );
    }
}

#[test]
fn c7_a_batch_revives_what_has_ended_too() {
    let mut sql = store();
    let expired: String = sql.one("SELECT memory_add('expired once')", &[]);
    expire(&mut sql, &expired);
    let deleted: String = sql.one("SELECT memory_add('deleted once')", &[]);
    sql.run(&format!("SELECT memory_delete('{deleted}')"));

    let flags: Vec<bool> = sql.column(
        "SELECT deduplicated FROM memory_add_many('[\"expired once\", \"deleted once\", \"new\"]')",
        &[],
    );

    assert_eq!(flags, [false, false, false]);
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 3);
}

// --- batches

#[test]
fn c14_a_row_of_a_batch_is_equal_to_one_added_alone() {
    let mut sql = store();
    let arguments = r#"{"content": "The  queue is drained nightly", "agent_id": "a", "namespace": "n", "scope": "agent-shared", "metadata": {"k": [1, 2.50]},
        "ttl": "1 day", "memory_type": "procedural", "user_id": "u", "session_id": "s", "entity_id": "e", "shared_with_agents": ["b"],
        "sensitive": false, "importance": 0.25}"#;

    sql.run(&format!(
        "SELECT * FROM memory_add_many('[{arguments}]', project_id => 'batch')"
    ));
    sql.run(
        "SELECT memory_add('The  queue is drained nightly', agent_id => 'a', namespace => 'n', scope => 'agent-shared', metadata => '{\"k\": [1, 2.50]}',
                ttl => '1 day', memory_type => 'procedural', user_id => 'u', session_id => 's', entity_id => 'e', shared_with_agents => '{b}',
                importance => 0.25, project_id => 'single')",
    );

    let row = "SELECT (to_jsonb(m) - '{id,project_id,created_at,updated_at,expires_at}'::text[])::text || (m.expires_at - m.created_at)::text FROM memories m WHERE project_id = $1";
    let batch: String = sql.one(row, &[&"batch"]);
    let single: String = sql.one(row, &[&"single"]);
    assert_eq!(
        batch, single,
        "content, hashes, vector, sketch, text index and all else are the same"
    );
    assert!(
        batch.contains("\"embedding\": \"["),
        "and the vector is there: {batch}"
    );
}

#[test]
fn c14_a_batch_deduplicates_against_the_store_and_merges_by_its_own_rule() {
    let mut sql = store();
    let id: String = sql.one("SELECT memory_add('known', metadata => '{\"a\": 1}')", &[]);

    let rows = sql
        .query(
            r#"SELECT ordinal, id, deduplicated FROM memory_add_many('["unknown", {"content": "known", "metadata": {"b": 2}, "on_duplicate": "merge"}]')"#,
            &[],
        )
        .expect("added");

    let rows: Vec<(i32, String, bool)> = rows
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)))
        .collect();
    assert_eq!((rows[0].0, rows[0].2), (1, false));
    assert_eq!(
        (rows[1].0, rows[1].1.as_str(), rows[1].2),
        (2, id.as_str(), true)
    );
    assert_eq!(
        sql.one::<Value>("SELECT metadata FROM memory_get($1)", &[&id]),
        json!({"a": 1, "b": 2})
    );
}

#[test]
fn c14_one_bad_item_refuses_the_batch_and_is_named() {
    let mut sql = store();
    let before = store_hash(&mut sql);

    for (items, sqlstate, part) in [
        (r#"["good", {"content": " "}]"#, "22023", "item 2"),
        (
            r#"["good", {"content": "x", "colour": "red"}]"#,
            "22023",
            "colour",
        ),
        (r#"["good", "fine", 7]"#, "22023", "item 3"),
        (
            r#"["good", {"content": "x", "scope": "everyone"}]"#,
            "22023",
            "item 2",
        ),
        (
            r#"["good", {"content": "x", "metadata": [1]}]"#,
            "22023",
            "item 2",
        ),
        (
            r#"["good", {"content": "x", "embedding": [1, 2, 3]}]"#,
            "22023",
            "item 2",
        ),
        (
            r#"["good", {"content": "x", "ttl": "-1 day"}]"#,
            "22023",
            "item 2",
        ),
        (r#"{"content": "no list"}"#, "22023", "array"),
    ] {
        sql.refused("SELECT * FROM memory_add_many($1::text::jsonb)", &[&items])
            .is(sqlstate)
            .says(part)
            .well_formed();
    }

    assert_eq!(store_hash(&mut sql), before);
}

#[test]
fn an_empty_batch_adds_nothing_and_a_big_one_everything() {
    let mut sql = store();

    assert!(
        sql.query("SELECT * FROM memory_add_many('[]')", &[])
            .expect("no error")
            .is_empty()
    );
    let added: i64 = sql.one(
        "SELECT count(DISTINCT id) FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('content', 'fact number ' || i)) FROM generate_series(1, 3000) i))",
        &[],
    );

    assert_eq!(added, 3000);
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 3000);
    sql.run("CREATE TEMP TABLE added AS SELECT * FROM memory_add_many((SELECT jsonb_agg('second ' || i ORDER BY i) FROM generate_series(1, 200) i))");
    let order: bool = sql.one(
        "SELECT bool_and(m.content = 'second ' || a.ordinal) FROM added a, memory_get(a.id) m",
        &[],
    );
    assert!(order, "each ordinal has the id of its own item");
}

// --- reading

#[test]
fn pages_show_every_memory_once_newest_first_even_where_times_are_equal() {
    let mut sql = store();
    for batch in 0..4 {
        // One batch has one time.
        sql.run(&format!("SELECT * FROM memory_add_many((SELECT jsonb_agg('b{batch} ' || i) FROM generate_series(1, 25) i))"));
    }

    let mut seen: Vec<String> = Vec::new();
    loop {
        let after = seen.last().cloned();
        let page: Vec<String> = sql.column(
            "SELECT id FROM memory_list(page_size => 9, after => $1)",
            &[&after],
        );
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }

    let expected: Vec<String> = sql.column(
        "SELECT id FROM memories ORDER BY created_at DESC, id DESC",
        &[],
    );
    assert_eq!(seen, expected);
}

#[test]
fn paging_goes_on_when_the_last_row_seen_has_been_deleted() {
    let mut sql = store();
    for number in 0..6 {
        sql.run(&format!("SELECT memory_add('page {number}')"));
    }
    let page: Vec<String> = sql.column("SELECT id FROM memory_list(page_size => 3)", &[]);

    sql.run(&format!("SELECT memory_delete('{}')", page[2]));
    let next: Vec<String> = sql.column(
        "SELECT content FROM memory_list(page_size => 3, after => $1)",
        &[&page[2]],
    );

    assert_eq!(next, ["page 2", "page 1", "page 0"]);
}

#[test]
fn list_and_count_take_the_same_filters() {
    let mut sql = store();
    sql.run(
        r#"SELECT memory_add('a', namespace => 'n1', user_id => 'u1', metadata => '{"level": 3, "tags": ["x", "y"]}');
           SELECT memory_add('b', namespace => 'n1', session_id => 's1', metadata => '{"level": 10}', memory_type => 'episodic');
           SELECT memory_add('c', namespace => 'n2', entity_id => 'e1', metadata => '{"level": "10"}');
           SELECT memory_add('d', agent_id => 'bot', metadata => '{"tags": ["y"]}');
           UPDATE memories SET created_at = '2020-01-01' WHERE content = 'a'"#,
    );

    for (filters, expected) in [
        ("namespace => 'n1'", "a,b"),
        ("user_id => 'u1'", "a"),
        ("session_id => 's1'", "b"),
        ("entity_id => 'e1'", "c"),
        ("memory_types => '{episodic,semantic}'", "b"),
        ("metadata => '{\"tags\": [\"y\"]}'", "a"),
        (
            "metadata => '{\"tags\": [\"y\"]}', agent_id => 'bot'",
            "a,d",
        ),
        ("filter => '{\"level\": {\"$gte\": 3}}'", "a,b"),
        ("filter => '{\"level\": {\"$lt\": 10}}'", "a"),
        (
            "filter => '{\"$or\": [{\"level\": \"10\"}, {\"tags\": \"x\"}]}'",
            "a,c",
        ),
        (
            "filter => '{\"level\": {\"$exists\": false}}', agent_id => '*'",
            "d",
        ),
        ("until => '2021-01-01'", "a"),
        ("since => '2021-01-01'", "b,c"),
        (
            "since => '2021-01-01', namespace => 'n1', memory_types => '{episodic}'",
            "b",
        ),
        ("agent_id => 'stranger'", "a,b,c"),
        ("user_id => 'nobody'", ""),
    ] {
        let listed: Option<String> = sql.one(
            &format!(
                "SELECT string_agg(content, ',' ORDER BY content) FROM memory_list({filters})"
            ),
            &[],
        );
        assert_eq!(listed.unwrap_or_default(), expected, "list {filters}");
        let counted: i64 = sql.one(&format!("SELECT memory_count({filters})"), &[]);
        assert_eq!(
            counted as usize,
            expected.split_terminator(',').count(),
            "count {filters}"
        );
    }
}

#[test]
fn c11_no_reading_function_shows_what_has_ended() {
    let mut sql = store();
    let live: String = sql.one(
        "SELECT memory_kv_set('harbour.live', 'the harbour opens')",
        &[],
    );
    let expired: String = sql.one(
        "SELECT memory_kv_set('harbour.expired', 'the harbour opens late')",
        &[],
    );
    let deleted: String = sql.one(
        "SELECT memory_kv_set('harbour.deleted', 'the harbour opens early')",
        &[],
    );
    expire(&mut sql, &expired);
    sql.run(&format!("SELECT memory_delete('{deleted}')"));

    for function in [
        "SELECT id FROM memory_list(agent_id => '*')",
        "SELECT id FROM memory_kv_list(agent_id => '*')",
        "SELECT id FROM memory_kv_list('harbour.', agent_id => '*')",
        "SELECT id FROM memory_search('harbour opens', 10, agent_id => '*')",
        "SELECT id FROM memory_search('harbour opens', 10, mode => 'text', agent_id => '*')",
        "SELECT id FROM memory_search('harbour opens', 10, mode => 'vector', agent_id => '*')",
        "SELECT m.id FROM memories x, memory_get(x.id, agent_id => '*') m",
    ] {
        assert_eq!(
            sql.column::<String>(function, &[]),
            [live.as_str()],
            "{function}"
        );
    }
    assert_eq!(
        sql.one::<i64>("SELECT memory_count(agent_id => '*')", &[]),
        1
    );
    assert_eq!(
        sql.one::<Option<String>>("SELECT memory_kv_get('harbour.expired')", &[]),
        None
    );
    assert_eq!(
        sql.one::<Option<String>>("SELECT memory_kv_get('harbour.deleted')", &[]),
        None
    );
    let context: String = sql.one(
        "SELECT memory_context('harbour opens', agent_id => '*')",
        &[],
    );
    assert!(
        context.contains(&live) && !context.contains(&expired) && !context.contains(&deleted),
        "{context}"
    );
    let explained: String = sql.one(
        "SELECT memory_explain('harbour opens', agent_id => '*')::text",
        &[],
    );
    assert!(
        explained.contains(&live) && !explained.contains(&expired) && !explained.contains(&deleted),
        "{explained}"
    );
    assert_eq!(
        sql.one::<i64>(
            "SELECT memory_touch(ARRAY[$1, $2, $3], agent_id => '*')",
            &[&live, &expired, &deleted]
        ),
        1
    );
    sql.refused(
        "SELECT memory_update($1, 'x', agent_id => '*')",
        &[&expired],
    )
    .is("P0002");
    sql.refused(
        "SELECT memory_update($1, 'x', agent_id => '*')",
        &[&deleted],
    )
    .is("P0002");
    assert!(!sql.one::<bool>("SELECT memory_delete($1, agent_id => '*')", &[&expired]));

    // Unless asked.
    assert_eq!(
        sql.one::<i64>(
            "SELECT memory_count(agent_id => '*', include_expired => true)",
            &[]
        ),
        2
    );
    let shown: HashSet<String> = sql
        .column(
            "SELECT id FROM memory_list(agent_id => '*', include_expired => true)",
            &[],
        )
        .into_iter()
        .collect();
    assert_eq!(shown, HashSet::from([live, expired]));
}

#[test]
fn touching_counts_beside_the_memory_and_leaves_its_row_alone() {
    let mut sql = store();
    let id: String = sql.one("SELECT memory_add('used often')", &[]);
    let place: String = sql.one(
        "SELECT ctid::text || xmin::text || version FROM memories",
        &[],
    );

    for _ in 0..3 {
        assert_eq!(
            sql.one::<i64>("SELECT memory_touch(ARRAY[$1, $1, 'no such id'])", &[&id]),
            1
        );
    }

    assert_eq!(
        sql.one::<i64>(
            "SELECT access_count FROM memory_usage WHERE memory_id = $1",
            &[&id]
        ),
        3
    );
    assert_eq!(
        sql.one::<String>(
            "SELECT ctid::text || xmin::text || version FROM memories",
            &[]
        ),
        place
    );
}
