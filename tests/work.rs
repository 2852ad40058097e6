//! Sessions of work: what is done, what is next, and which state may follow which.

mod support;

use postgres::Client;
use serde_json::{Value, json};
use support::cases::{FRAGMENTS, refuse_all};
use support::{Sql, database, granted, row, store, store_hash, together};

#[test]
fn a_session_begins_active_with_what_is_next() {
    let mut sql = store();

    let started = row(
        &mut sql,
        "memory_session_start('s', agent_id => 'a', next_items => '[\"read\", {\"item\": \"write\", \"hours\": 2}, \"test\"]', summary => 'the export', metadata => '{\"m\": 1}', project_id => 'p')",
    );

    for (column, expected) in [
        ("session_id", json!("s")),
        ("agent_id", json!("a")),
        ("status", json!("active")),
        ("completed_items", json!([])),
        ("in_progress_item", Value::Null),
        (
            "next_items",
            json!(["read", {"item": "write", "hours": 2}, "test"]),
        ),
        ("blocked_items", json!([])),
        ("summary", json!("the export")),
        ("last_action", Value::Null),
        ("metadata", json!({"m": 1})),
        ("completed_at", Value::Null),
        ("project_id", json!("p")),
    ] {
        assert_eq!(started[column], expected, "{column}");
    }
    assert_eq!(started["progress"].as_f64(), Some(0.0));
    assert!(
        started["created_at"].is_string() && started["created_at"] == started["updated_at"],
        "{started}"
    );
    assert_eq!(
        row(
            &mut sql,
            "memory_session_get('s', agent_id => 'a', project_id => 'p')"
        ),
        started
    );
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM memory_session_get('s', agent_id => 'a')",
            &[]
        ),
        0,
        "in another project there is none"
    );
}

#[test]
fn c05_a_session_id_is_taken_once_a_project() {
    let mut sql = store();
    sql.run("SELECT memory_session_start('s', agent_id => 'a', next_items => '[\"one\"]')");
    let before = store_hash(&mut sql);

    for agent in ["'a'", "'b'", "NULL"] {
        sql.refused(
            &format!("SELECT * FROM memory_session_start('s', agent_id => {agent})"),
            &[],
        )
        .is("23505")
        .says("s")
        .helps()
        .well_formed();
    }
    assert_eq!(store_hash(&mut sql), before);
    sql.run("SELECT memory_session_start('s', agent_id => 'b', next_items => '[\"two\"]', project_id => 'other')");
    sql.run("SELECT memory_session_update('s', complete_item => 'two', agent_id => 'b', project_id => 'other')");
    assert_eq!(
        row(&mut sql, "memory_session_get('s', agent_id => 'a')")["next_items"],
        json!(["one"]),
        "each project has its own"
    );
}

#[test]
fn c05_of_concurrent_starts_of_one_id_one_wins() {
    let database = database();
    for (call, table) in [
        (
            "memory_session_start('x', agent_id => $1)",
            "session_progress",
        ),
        (
            "memory_feature_create('x', description => $1)",
            "feature_tracker",
        ),
        ("memory_run_start('x', agent_id => $1)", "memory_runs"),
    ] {
        let outcomes = together(8, |number, start| {
            let mut sql = database.connect();
            start.wait();
            sql.query(
                &format!("SELECT * FROM {call}"),
                &[&format!("agent {number}")],
            )
            .map(|_| ())
            .map_err(|error| error.code().expect("an SQLSTATE").code().to_owned())
        });

        assert_eq!(
            outcomes.iter().filter(|outcome| outcome.is_ok()).count(),
            1,
            "{call}: {outcomes:?}"
        );
        assert!(
            outcomes
                .iter()
                .flat_map(|outcome| outcome.as_ref().err())
                .all(|code| code == "23505"),
            "{call}: {outcomes:?}"
        );
        assert_eq!(
            database
                .connect()
                .one::<i64>(&format!("SELECT count(*) FROM {table}"), &[]),
            1
        );
    }
}

#[test]
fn an_update_changes_what_is_given_and_keeps_the_order_of_items() {
    let mut sql = store();
    sql.run("SELECT memory_session_start('s', metadata => '{\"a\": {\"b\": 1, \"c\": 2}}', summary => 'first')");
    let mut before = row(&mut sql, "memory_session_get('s')");

    for (argument, column, expected) in [
        (
            "next_items => '[\"z\", \"a\", {\"item\": \"m\", \"x\": [1]}, \"b\"]'",
            "next_items",
            json!(["z", "a", {"item": "m", "x": [1]}, "b"]),
        ),
        (
            "blocked_items => '[{\"item\": \"q\", \"reason\": \"no key\"}, \"c\"]'",
            "blocked_items",
            json!([{"item": "q", "reason": "no key"}, "c"]),
        ),
        (
            "completed_items => '[\"y\", \"x\"]'",
            "completed_items",
            json!(["y", "x"]),
        ),
        (
            "in_progress_item => 'now'",
            "in_progress_item",
            json!("now"),
        ),
        ("in_progress_item => ''", "in_progress_item", Value::Null),
        ("summary => 'second'", "summary", json!("second")),
        (
            "last_action => 'ran the tests'",
            "last_action",
            json!("ran the tests"),
        ),
        (
            "metadata => '{\"a\": {\"b\": null, \"d\": 3}}'",
            "metadata",
            json!({"a": {"c": 2, "d": 3}}),
        ),
        ("status => 'paused'", "status", json!("paused")),
        ("next_items => '[]'", "next_items", json!([])),
    ] {
        let mut after = row(&mut sql, &format!("memory_session_update('s', {argument})"));
        assert_eq!(after[column], expected, "{argument}");
        assert!(
            after["updated_at"].as_str() > before["updated_at"].as_str(),
            "{argument}"
        );
        assert_eq!(
            row(&mut sql, "memory_session_get('s')"),
            after,
            "{argument}"
        );
        let kept = after.clone();
        for free in [column, "updated_at", "progress"] {
            before[free] = Value::Null;
            after[free] = Value::Null;
        }
        assert_eq!(after, before, "{argument}");
        before = kept;
    }
}

#[test]
fn completing_an_item_moves_it_from_wherever_it_is() {
    let mut sql = store();
    let lists = |row: &Value| {
        json!([
            row["completed_items"],
            row["in_progress_item"],
            row["next_items"],
            row["blocked_items"]
        ])
    };
    sql.run(
        "SELECT memory_session_start('s', next_items => '[\"a\", {\"item\": \"b\", \"hours\": 2}, \"c\"]');
         SELECT memory_session_update('s', in_progress_item => 'd', blocked_items => '[\"e\", {\"item\": \"f\"}]')",
    );

    for (item, expected) in [
        (
            "c",
            json!([["c"], "d", ["a", {"item": "b", "hours": 2}], ["e", {"item": "f"}]]),
        ),
        (
            "b",
            json!([["c", {"item": "b", "hours": 2}], "d", ["a"], ["e", {"item": "f"}]]),
        ),
        (
            "d",
            json!([["c", {"item": "b", "hours": 2}, "d"], null, ["a"], ["e", {"item": "f"}]]),
        ),
        (
            "f",
            json!([["c", {"item": "b", "hours": 2}, "d", {"item": "f"}], null, ["a"], ["e"]]),
        ),
        (
            "b",
            json!([["c", {"item": "b", "hours": 2}, "d", {"item": "f"}], null, ["a"], ["e"]]),
        ),
        (
            "c",
            json!([["c", {"item": "b", "hours": 2}, "d", {"item": "f"}], null, ["a"], ["e"]]),
        ),
        (
            "unforeseen",
            json!([["c", {"item": "b", "hours": 2}, "d", {"item": "f"}, "unforeseen"], null, ["a"], ["e"]]),
        ),
        (
            "e",
            json!([["c", {"item": "b", "hours": 2}, "d", {"item": "f"}, "unforeseen", "e"], null, ["a"], []]),
        ),
        (
            "a",
            json!([["c", {"item": "b", "hours": 2}, "d", {"item": "f"}, "unforeseen", "e", "a"], null, [], []]),
        ),
    ] {
        let after = row(
            &mut sql,
            &format!("memory_session_update('s', complete_item => '{item}')"),
        );
        assert_eq!(lists(&after), expected, "{item}");
    }
}

#[test]
fn c20_progress_is_what_is_given_or_the_share_of_items_done_and_0_to_100() {
    let mut sql = store();
    let progress = |sql: &mut Client, arguments: &str| -> f64 {
        sql.one(
            &format!("SELECT progress FROM memory_session_update('s', {arguments})"),
            &[],
        )
    };
    assert_eq!(
        sql.one::<f64>("SELECT progress FROM memory_session_start('s')", &[]),
        0.0,
        "no items, no progress"
    );

    for (arguments, expected) in [
        ("next_items => '[\"a\", \"b\", \"c\"]'", 0.0),
        ("complete_item => 'a'", 100.0 / 3.0),
        ("complete_item => 'a'", 100.0 / 3.0),
        ("blocked_items => '[\"d\"]'", 25.0),
        ("in_progress_item => 'e'", 20.0),
        ("complete_item => 'e'", 40.0),
        ("complete_item => 'unforeseen'", 50.0),
        ("next_items => '[]', blocked_items => '[]'", 100.0),
        ("completed_items => '[]'", 0.0),
        ("progress => 42.5", 42.5),
        ("progress => 0", 0.0),
        ("progress => 100", 100.0),
    ] {
        let got = progress(&mut sql, arguments);
        assert!((got - expected).abs() < 1e-4, "{arguments}: {got}");
    }
    let before = store_hash(&mut sql);
    for refused in ["200", "100.01", "-1", "'NaN'", "'infinity'", "'-infinity'"] {
        sql.refused(
            &format!("SELECT * FROM memory_session_update('s', progress => {refused})"),
            &[],
        )
        .is("22023")
        .says("progress")
        .well_formed();
    }
    assert_eq!(store_hash(&mut sql), before);
}

#[test]
fn c20_a_session_goes_only_where_its_state_lets_it() {
    const STATES: [&str; 4] = ["active", "paused", "completed", "failed"];
    let mut sql = store();
    let follows = |from: &str, to: &str| {
        from == to || matches!((from, to), ("active" | "paused", _) | ("failed", "active"))
    };

    for from in STATES {
        for to in STATES {
            let id = format!("{from} to {to}");
            sql.run(&format!("SELECT memory_session_start('{id}')"));
            row(
                &mut sql,
                &format!("memory_session_update('{id}', status => '{from}')"),
            );
            let call = format!("memory_session_update('{id}', status => '{to}')");
            if follows(from, to) {
                let reached = row(&mut sql, &call);
                assert_eq!(reached["status"], to, "{id}");
                assert!(
                    to == "failed" || reached["completed_at"].is_string() == (to == "completed"),
                    "{reached}"
                );
            } else {
                sql.refused(&format!("SELECT * FROM {call}"), &[])
                    .is("55000")
                    .says(from)
                    .says(to)
                    .well_formed();
                assert_eq!(
                    row(&mut sql, &format!("memory_session_get('{id}')"))["status"],
                    from,
                    "{id}"
                );
            }
        }
    }
    sql.refused(
        "SELECT * FROM memory_session_update('active to active', status => 'done')",
        &[],
    )
    .is("22023")
    .says("done")
    .hints("paused")
    .well_formed();
}

#[test]
fn concurrent_completions_of_items_all_count() {
    const THREADS: usize = 12;
    let database = database();
    let items: Vec<Value> = (0..THREADS * 3)
        .map(|number| match number % 3 {
            0 => json!({"item": format!("i{number}"), "n": number}),
            _ => json!(format!("i{number}")),
        })
        .collect();
    let mut sql = database.connect();
    sql.execute(
        "SELECT memory_session_start('s', next_items => $1)",
        &[&Value::Array(items.clone())],
    )
    .expect("started");

    together(THREADS, |number, start| {
        let mut sql = database.connect();
        start.wait();
        for item in number * 3..number * 3 + 3 {
            sql.execute(
                "SELECT memory_session_update('s', complete_item => $1)",
                &[&format!("i{item}")],
            )
            .expect("completed");
            sql.execute(
                "SELECT memory_session_update('s', complete_item => 'everybody''s')",
                &[],
            )
            .expect("completed");
        }
    });

    let done = row(&mut sql, "memory_session_get('s')");
    assert_eq!(
        (&done["next_items"], done["progress"].as_f64()),
        (&json!([]), Some(100.0))
    );
    let completed = done["completed_items"].as_array().expect("a list");
    assert_eq!(completed.len(), THREADS * 3 + 1, "{done}");
    assert!(
        items
            .iter()
            .all(|item| completed.iter().filter(|done| *done == item).count() == 1),
        "{done}"
    );
}

#[test]
fn sessions_are_listed_newest_change_first_to_those_who_see_them() {
    let database = database();
    let mut owner = database.connect();
    for (id, agent) in [
        ("of alice", "'alice'"),
        ("of bob", "'bob'"),
        ("of all", "NULL"),
        ("of alice too", "'alice'"),
    ] {
        owner.run(&format!(
            "SELECT memory_session_start('{id}', agent_id => {agent})"
        ));
    }
    owner.run("SELECT memory_session_start('elsewhere', project_id => 'other')");
    owner.run("SELECT memory_session_update('of alice', status => 'paused', agent_id => 'alice')");
    let list = |sql: &mut Client, arguments: &str| -> Vec<String> {
        sql.column(
            &format!("SELECT session_id FROM memory_session_list({arguments})"),
            &[],
        )
    };

    assert_eq!(
        list(&mut owner, "agent_id => '*'"),
        ["of alice", "of alice too", "of all", "of bob"]
    );
    assert_eq!(
        list(&mut owner, "agent_id => 'alice'"),
        ["of alice", "of alice too", "of all"]
    );
    assert_eq!(
        list(&mut owner, "agent_id => 'alice', page_size => 2"),
        ["of alice", "of alice too"]
    );
    assert_eq!(
        list(&mut owner, "agent_id => 'alice', status => 'paused'"),
        ["of alice"]
    );
    assert_eq!(list(&mut owner, "agent_id => 'carol'"), ["of all"]);
    assert_eq!(list(&mut owner, "project_id => 'other'"), ["elsewhere"]);

    let (_, mut alice) = granted(&database, "default", "write", Some("alice"));
    assert_eq!(list(&mut alice, ""), ["of alice", "of alice too", "of all"]);
    assert_eq!(
        alice.one::<i64>("SELECT count(*) FROM memory_session_get('of bob')", &[]),
        0
    );
    let (_, mut reader) = granted(&database, "default", "read", None);
    let before = store_hash(&mut owner);
    for arguments in [
        "status => 'paused'",
        "complete_item => 'x'",
        "summary => 'mine now'",
    ] {
        alice
            .refused(
                &format!("SELECT * FROM memory_session_update('of bob', {arguments})"),
                &[],
            )
            .is("P0002")
            .says("of bob")
            .well_formed();
    }
    owner.refused("SELECT * FROM memory_session_update('of bob', status => 'paused', agent_id => 'alice')", &[]).is("P0002");
    for agent in ["bob", "*"] {
        for call in [
            "memory_session_start('new'",
            "memory_session_get('of alice'",
            "memory_session_update('of alice'",
        ] {
            alice
                .refused(
                    &format!("SELECT * FROM {call}, agent_id => '{agent}')"),
                    &[],
                )
                .is("42501");
        }
        alice
            .refused(
                &format!("SELECT * FROM memory_session_list(agent_id => '{agent}')"),
                &[],
            )
            .is("42501");
    }
    for call in [
        "memory_session_start('new')",
        "memory_session_update('of all', status => 'paused')",
    ] {
        reader
            .refused(&format!("SELECT * FROM {call}"), &[])
            .is("42501");
    }
    assert_eq!(store_hash(&mut owner), before);
    assert_eq!(
        row(&mut alice, "memory_session_start('new')")["agent_id"],
        "alice",
        "a bound role starts its agent's"
    );
    assert_eq!(
        row(
            &mut alice,
            "memory_session_update('of all', complete_item => 'x')"
        )["completed_items"],
        json!(["x"])
    );
}

// --- bad input

#[test]
fn bad_input_of_sessions_is_refused_and_nothing_is_changed() {
    let mut sql = store();
    sql.run("SELECT memory_session_start('s', next_items => '[\"a\"]')");
    refuse_all(
        &mut sql,
        r#"
        22023 | session_id, NULL | | SELECT * FROM memory_session_start(NULL)
        22023 | session_id, blank | | SELECT * FROM memory_session_start('')
        22023 | session_id, blank | | SELECT * FROM memory_session_start(E' \t')
        22023 | session_id, 10240, 255 | | SELECT * FROM memory_session_start(repeat('s', 10240))
        22023 | agent_id, blank | | SELECT * FROM memory_session_start('n', agent_id => '')
        22023 | agent_id, * | | SELECT * FROM memory_session_start('n', agent_id => '*')
        22023 | project_id, * | | SELECT * FROM memory_session_start('n', project_id => '*')
        22023 | next_items, array | | SELECT * FROM memory_session_start('n', next_items => '{"item": "a"}')
        22023 | next_items, array | | SELECT * FROM memory_session_start('n', next_items => '"a"')
        22023 | next_items | | SELECT * FROM memory_session_start('n', next_items => '[1]')
        22023 | next_items | | SELECT * FROM memory_session_start('n', next_items => '["a", null]')
        22023 | next_items | | SELECT * FROM memory_session_start('n', next_items => '[["a"]]')
        22023 | next_items | | SELECT * FROM memory_session_start('n', next_items => '[true]')
        22P05 | | | SELECT * FROM memory_session_start('n', next_items => '["a\u0000"]')
        22P02 | | | SELECT * FROM memory_session_start('n', next_items => '[a]')
        22023 | metadata, object | { | SELECT * FROM memory_session_start('n', metadata => '[]')
        22023 | metadata, object | { | SELECT * FROM memory_session_start('n', metadata => 'null')
        22021 | | | SELECT * FROM memory_session_start('n', summary => E'bad \xff byte')
        22023 | session_id, NULL | | SELECT * FROM memory_session_get(NULL)
        22023 | session_id, blank | | SELECT * FROM memory_session_get(' ')
        22023 | session_id, 10240, 255 | | SELECT * FROM memory_session_get(repeat('s', 10240))
        22023 | status, done | paused | SELECT * FROM memory_session_list(status => 'done')
        22023 | status | paused | SELECT * FROM memory_session_list(status => '')
        22023 | page_size, 0 | | SELECT * FROM memory_session_list(page_size => 0)
        22023 | page_size, -1 | | SELECT * FROM memory_session_list(page_size => -1)
        22023 | session_id, NULL | | SELECT * FROM memory_session_update(NULL, status => 'paused')
        22023 | session_id, blank | | SELECT * FROM memory_session_update('', status => 'paused')
        22023 | session_id, 10240, 255 | | SELECT * FROM memory_session_update(repeat('s', 10240))
        P0002 | nobody | . | SELECT * FROM memory_session_update('nobody', status => 'paused')
        P0002 | s | | SELECT * FROM memory_session_update('s', status => 'paused', project_id => 'other')
        22023 | status, Active | active | SELECT * FROM memory_session_update('s', status => 'Active')
        22023 | status | active | SELECT * FROM memory_session_update('s', status => '')
        22023 | status, complete | completed | SELECT * FROM memory_session_update('s', status => 'complete')
        22023 | completed_items, array | | SELECT * FROM memory_session_update('s', completed_items => '{}')
        22023 | completed_items | | SELECT * FROM memory_session_update('s', completed_items => '[7]')
        22023 | next_items, array | | SELECT * FROM memory_session_update('s', next_items => 'null')
        22023 | blocked_items, array | | SELECT * FROM memory_session_update('s', blocked_items => '"x"')
        22023 | blocked_items | | SELECT * FROM memory_session_update('s', blocked_items => '[[]]')
        22023 | metadata, object | { | SELECT * FROM memory_session_update('s', metadata => '7')
        22023 | progress, 101 | | SELECT * FROM memory_session_update('s', progress => 101)
        "#,
    );
}

#[test]
fn sql_fragments_in_every_text_argument_of_a_session_are_only_text() {
    let mut sql = store();
    for fragment in FRAGMENTS {
        for call in [
            "memory_session_start($1, agent_id => $1, next_items => jsonb_build_array($1::text, 'b'), summary => $1, metadata => jsonb_build_object($1::text, $1::text), project_id => $1)",
            "memory_session_update($1, complete_item => $1, in_progress_item => $1 || '2', summary => $1, last_action => $1, agent_id => $1, project_id => $1)",
        ] {
            sql.query(&format!("SELECT * FROM {call}"), &[fragment])
                .unwrap_or_else(|error| panic!("{fragment:?} {call}: {error:?}"));
        }
        let same: bool = sql.one(
            "SELECT completed_items = jsonb_build_array($1::text) AND summary = $1 AND last_action = $1 AND metadata ->> $1 = $1 AND in_progress_item = $1 || '2'
             FROM memory_session_get($1, $1, $1)",
            &[fragment],
        );
        assert!(same, "{fragment:?}");
        for call in [
            "memory_session_update($1, status => $1, agent_id => $1, project_id => $1)",
            "memory_session_list(status => $1, project_id => $1)",
        ] {
            sql.refused(&format!("SELECT * FROM {call}"), &[fragment])
                .is("22023");
        }
    }
}
