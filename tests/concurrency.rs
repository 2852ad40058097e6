//! Many sessions at once: what they write is what one after the other would have written.

mod support;

use std::collections::HashSet;

use postgres::error::SqlState;
use serde_json::Value;
use support::{Cluster, Options, Sql, cluster, database, together, wait_until};

#[test]
fn c6_what_was_acknowledged_is_visible_to_every_session() {
    let database = database();
    let (mut writer, mut reader) = (database.connect(), database.connect());

    for number in 0..20 {
        let content = format!("acknowledged fact number {number}");
        let id: String = writer.one("SELECT memory_add($1)", &[&content]);
        assert_eq!(
            reader.column::<String>("SELECT content FROM memory_get($1)", &[&id]),
            [content.as_str()]
        );
        assert_eq!(
            reader.column::<String>("SELECT id FROM memory_search($1, 1)", &[&content]),
            [id.as_str()]
        );
    }

    let mut transaction = writer.transaction().expect("begin");
    let id: String = transaction.one("SELECT memory_add('not yet committed')", &[]);
    assert!(
        reader
            .column::<String>("SELECT id FROM memory_get($1)", &[&id])
            .is_empty()
    );
    transaction.commit().expect("commit");
    assert_eq!(
        reader.column::<String>("SELECT id FROM memory_get($1)", &[&id]),
        [id.as_str()]
    );
}

#[test]
fn c6_what_was_acknowledged_survives_a_crash() {
    let cluster = Cluster::start(Options::default());
    let database = cluster.database();
    let ids: Vec<String> = {
        let mut sql = database.connect();
        (0..10)
            .map(|number| {
                sql.one(
                    "SELECT memory_add($1)",
                    &[&format!("before the crash {number}")],
                )
            })
            .collect()
    };

    cluster.stop("immediate");
    cluster.control_start();

    let mut sql = database.connect();
    for (number, id) in ids.iter().enumerate() {
        let found: Vec<String> = sql.column(
            "SELECT id FROM memory_search($1, 1)",
            &[&format!("before the crash {number}")],
        );
        assert_eq!(found, [id.as_str()]);
    }
}

#[test]
fn c8_sixteen_concurrent_equal_adds_make_one_row() {
    let database = database();

    for round in 0..5 {
        let content = format!("the same thought, round {round}");
        if round % 2 == 1 {
            // A dead row in the way is no live one to return.
            let mut sql = database.connect();
            let id: String = sql.one("SELECT memory_add($1)", &[&content]);
            sql.execute(
                "UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = $1",
                &[&id],
            )
            .expect("expired");
        }
        let ids = together(16, |number, start| {
            let mut sql = database.connect();
            start.wait();
            if number % 4 == 3 {
                sql.one::<String>(
                    "SELECT id FROM memory_add_many(jsonb_build_array($1::text))",
                    &[&content],
                )
            } else {
                sql.one::<String>("SELECT memory_add($1)", &[&content])
            }
        });

        let distinct: HashSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), 1, "round {round}: {ids:?}");
        let live: Vec<String> = database.connect().column(
            "SELECT id FROM memory_list() WHERE content = $1",
            &[&content],
        );
        assert_eq!(live, [ids[0].as_str()], "round {round}");
    }
}

#[test]
fn c9_three_equal_items_in_one_batch_make_one_row() {
    let database = database();
    let mut sql = database.connect();

    let rows = sql.query(r#"SELECT ordinal, id, deduplicated FROM memory_add_many('["same", {"content": "  same "}, "other", "same"]')"#, &[]).expect("added");

    let ids: Vec<String> = rows.iter().map(|row| row.get(1)).collect();
    assert!(
        ids[0] == ids[1] && ids[0] == ids[3] && ids[0] != ids[2],
        "{ids:?}"
    );
    let flags: Vec<bool> = rows.iter().map(|row| row.get(2)).collect();
    assert_eq!(flags, [false, true, false, true]);
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), 2);
}

#[test]
fn c9_equal_items_of_a_batch_act_on_each_other_as_single_adds_would() {
    let database = database();
    let mut sql = database.connect();
    let items = r#"[{"content": "same", "metadata": {"a": 1}, "ttl": "1 hour"},
                    {"content": "same", "metadata": {"b": 2}, "ttl": "3 hours", "on_duplicate": "merge"},
                    {"content": "same", "on_duplicate": "new"}]"#;

    sql.query("SELECT * FROM memory_add_many($1::text::jsonb)", &[&items])
        .expect("added");

    let merged: Value = sql.one(
        "SELECT metadata FROM memory_list() WHERE metadata <> '{}'",
        &[],
    );
    assert_eq!(merged, serde_json::json!({"a": 1, "b": 2}));
    let hours: i32 = sql.one("SELECT round(extract(epoch FROM expires_at - now()) / 3600)::int FROM memory_list() WHERE metadata <> '{}'", &[]);
    assert_eq!(hours, 3);
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 2);
    sql.refused(r#"SELECT * FROM memory_add_many('["twice", {"content": "twice", "on_duplicate": "error"}]')"#, &[]).is("23505").says("item 2");
}

#[test]
fn batches_in_opposite_order_do_not_deadlock() {
    let database = database();
    let items = |number: usize, round: usize| -> Value {
        let mut contents: Vec<Value> = (0..40)
            .map(|item| match item % 3 {
                0 => serde_json::json!({"content": format!("keyed {item}"), "key": format!("k{item}")}),
                1 => serde_json::json!({"content": format!("merged {item}"), "metadata": {format!("by {number}"): round}, "on_duplicate": "merge"}),
                _ => serde_json::json!({"content": format!("plain {item}"), "ttl": format!("{} hours", number + round + 1)}),
            })
            .collect();
        if number % 2 == 1 {
            contents.reverse();
        }
        Value::Array(contents)
    };

    together(6, |number, start| {
        let mut sql = database.connect();
        start.wait();
        for round in 0..6 {
            sql.query(
                "SELECT * FROM memory_add_many($1)",
                &[&items(number, round)],
            )
            .unwrap_or_else(|error| panic!("thread {number}: {error:?}"));
        }
    });

    let mut sql = database.connect();
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 40);
    let merged: i64 = sql.one("SELECT min((SELECT count(*) FROM jsonb_object_keys(metadata))) FROM memory_list() WHERE content LIKE 'merged%'", &[]);
    assert_eq!(merged, 6, "no merge was lost");
}

#[test]
fn an_add_waits_for_an_equal_one_and_takes_its_outcome() {
    let database = database();
    for (outcome, waits) in [("commit", true), ("rollback", false)] {
        let content = format!("wait for {outcome}");
        let mut first = database.connect();
        first.run("BEGIN");
        let first_id: String = first.one("SELECT memory_add($1)", &[&content]);

        let second_id = std::thread::scope(|scope| {
            let second = scope.spawn(|| {
                database
                    .connect()
                    .one::<String>("SELECT memory_add($1)", &[&content])
            });
            let mut watcher = database.connect();
            wait_until("the second add waits", || {
                watcher.one::<i64>("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'", &[]) == 1
            });
            first.run(outcome);
            second.join().expect("added")
        });

        assert_eq!(second_id == first_id, waits, "{outcome}");
        assert_eq!(
            first.one::<i64>(
                "SELECT count(*) FROM memory_list() WHERE content = $1",
                &[&content]
            ),
            1,
            "{outcome}"
        );
    }
}

#[test]
fn an_add_that_a_snapshot_forbids_is_a_serialization_failure_and_no_second_row() {
    let database = database();
    let mut late = database.connect();
    late.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM memories");
    database.connect().run("SELECT memory_add('same')");

    let refused = late.query("SELECT memory_add('same')", &[]);

    let error = refused.expect_err("the snapshot cannot see the row, the index can");
    assert_eq!(
        error.code(),
        Some(&SqlState::T_R_SERIALIZATION_FAILURE),
        "{error:?}"
    );
    late.run("ROLLBACK");
    assert_eq!(late.one::<i64>("SELECT memory_count()", &[]), 1);
}

#[test]
fn concurrent_sets_of_one_key_leave_one_live_value_and_every_version() {
    let database = database();
    const THREADS: usize = 8;
    const SETS: usize = 15;

    together(THREADS, |number, start| {
        let mut sql = database.connect();
        start.wait();
        for set in 0..SETS {
            sql.one::<String>(
                "SELECT memory_kv_set('counter', $1)",
                &[&format!("{number}-{set}")],
            );
        }
    });

    let mut sql = database.connect();
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_kv_list()", &[]),
        1
    );
    let version: i32 = sql.one("SELECT version FROM memory_kv_list()", &[]);
    assert_eq!(version as usize, THREADS * SETS, "no set was lost");
    let told: i64 = sql.one(
        "SELECT count(DISTINCT h.content) FROM memories m, memory_history(m.id) h",
        &[],
    );
    assert_eq!(told as usize, THREADS * SETS);
}

#[test]
fn setting_and_deleting_one_key_at_once_never_fails_nor_doubles() {
    let database = database();

    together(6, |number, start| {
        let mut sql = database.connect();
        start.wait();
        for _ in 0..25 {
            if number % 2 == 0 {
                sql.one::<String>("SELECT memory_kv_set('k', $1)", &[&format!("by {number}")]);
            } else {
                sql.one::<bool>("SELECT memory_kv_delete('k')", &[]);
            }
        }
    });

    let mut sql = database.connect();
    sql.run("SELECT memory_kv_set('k', 'last')");
    assert_eq!(
        sql.column::<String>("SELECT value FROM memory_kv_list()", &[]),
        ["last"]
    );
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM memories WHERE deleted_at IS NULL",
            &[]
        ),
        1
    );
}

#[test]
fn of_concurrent_updates_of_one_version_one_wins() {
    let database = database();
    let id: String = database
        .connect()
        .one("SELECT memory_add('contested')", &[]);

    let outcomes = together(8, |number, start| {
        let mut sql = database.connect();
        start.wait();
        sql.query_one(
            "SELECT memory_update($1, $2, expected_version => 1)",
            &[&id, &format!("by {number}")],
        )
        .map(|row| row.get::<_, i32>(0))
        .map_err(|error| error.code().cloned())
    });

    assert_eq!(
        outcomes.iter().filter(|outcome| **outcome == Ok(2)).count(),
        1,
        "{outcomes:?}"
    );
    let conflicts = outcomes
        .iter()
        .filter(|outcome| **outcome == Err(Some(SqlState::T_R_SERIALIZATION_FAILURE)))
        .count();
    assert_eq!(conflicts, 7, "{outcomes:?}");
}

#[test]
fn concurrent_metadata_patches_of_one_memory_all_persist() {
    let database = database();
    let id: String = database.connect().one("SELECT memory_add('patched')", &[]);

    together(8, |number, start| {
        let mut sql = database.connect();
        start.wait();
        for patch in 0..10 {
            let patch = serde_json::json!({ format!("{number}-{patch}"): true });
            sql.one::<i32>("SELECT memory_update($1, metadata => $2)", &[&id, &patch]);
        }
    });

    let mut sql = database.connect();
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM memory_get($1) m, jsonb_object_keys(m.metadata)",
            &[&id]
        ),
        80
    );
    assert_eq!(
        sql.one::<i32>("SELECT version FROM memory_get($1)", &[&id]),
        81
    );
}

#[test]
fn one_of_concurrent_deletes_is_true_and_leaves_one_event() {
    let database = database();
    let id: String = database
        .connect()
        .one("SELECT memory_add('deleted by all')", &[]);

    let deleted = together(8, |_, start| {
        let mut sql = database.connect();
        start.wait();
        sql.one::<bool>("SELECT memory_delete($1)", &[&id])
    });

    assert_eq!(deleted.iter().filter(|deleted| **deleted).count(), 1);
    assert_eq!(
        database.connect().one::<i64>(
            "SELECT count(*) FROM memory_events WHERE event = 'delete'",
            &[]
        ),
        1
    );
}

#[test]
fn touching_in_opposite_order_does_not_deadlock_and_counts_all() {
    let database = database();
    let mut sql = database.connect();
    sql.run(
        "SELECT * FROM memory_add_many((SELECT jsonb_agg('t' || i) FROM generate_series(1, 50) i))",
    );
    let mut ids: Vec<String> = sql.column("SELECT id FROM memories", &[]);
    let forward = ids.clone();
    ids.reverse();

    together(6, |number, start| {
        let mut sql = database.connect();
        start.wait();
        for _ in 0..10 {
            let touched: i64 = sql.one(
                "SELECT memory_touch($1)",
                &[if number % 2 == 0 { &forward } else { &ids }],
            );
            assert_eq!(touched, 50);
        }
    });

    assert_eq!(
        sql.column::<i64>("SELECT DISTINCT access_count FROM memory_usage", &[]),
        [60]
    );
}

#[test]
fn the_first_adds_of_eight_sessions_make_one_store() {
    let database = cluster().database();

    let ids = together(8, |number, start| {
        let mut sql = database.connect();
        start.wait();
        sql.one::<String>(
            "SELECT memory_add($1)",
            &[&format!("first memory of session {number}")],
        )
    });

    assert_eq!(ids.iter().collect::<HashSet<_>>().len(), 8);
    let mut sql = database.connect();
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 8);
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_migrations", &[]),
        3
    );
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memory_models", &[]), 1);
}

#[test]
fn expiry_leaves_locked_rows_to_the_next_run_and_waits_for_nobody() {
    let database = database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('ends ' || i, ttl => '1 hour') FROM generate_series(1, 20) i; UPDATE memories SET expires_at = now() - interval '1 second'");
    let mut writer = database.connect();
    writer.run("BEGIN; SELECT 1 FROM memories WHERE content = 'ends 7' FOR UPDATE");

    // It would say so if it had to wait.
    sql.run("SET lock_timeout = '100ms'");
    assert_eq!(sql.one::<i64>("SELECT memory_expire(1000)", &[]), 19);

    writer.run("COMMIT");
    assert_eq!(sql.one::<i64>("SELECT memory_expire(1000)", &[]), 1);
}

#[test]
fn concurrent_expiries_share_the_work() {
    let database = database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('ends ' || i, ttl => '1 hour') FROM generate_series(1, 300) i; UPDATE memories SET expires_at = now() - interval '1 second'");

    let removed = together(4, |_, start| {
        let mut sql = database.connect();
        start.wait();
        let mut removed = 0;
        for _ in 0..30 {
            removed += sql.one::<i64>("SELECT memory_expire(10)", &[]);
        }
        removed
    });

    assert_eq!(
        removed.iter().sum::<i64>() + sql.one::<i64>("SELECT memory_expire(1000)", &[]),
        300
    );
    assert_eq!(
        sql.one::<i64>(
            "SELECT (SELECT count(*) FROM memories) + (SELECT count(*) FROM memory_history)",
            &[]
        ),
        0
    );
}

#[test]
fn adding_again_while_expiry_runs_always_leaves_a_live_memory() {
    let database = database();

    together(4, |number, start| {
        let mut sql = database.connect();
        start.wait();
        for round in 0..30 {
            if number == 0 {
                sql.run("UPDATE memories SET expires_at = now() - interval '1 second' WHERE deleted_at IS NULL; SELECT memory_expire(100)");
            } else {
                let id: String = sql.one(
                    "SELECT memory_add($1)",
                    &[&format!("again and again {}", round % 3)],
                );
                assert!(!id.is_empty());
            }
        }
    });

    let mut sql = database.connect();
    let id: String = sql.one("SELECT memory_add('again and again 0')", &[]);
    assert_eq!(
        sql.column::<String>("SELECT id FROM memory_get($1)", &[&id]),
        [id.as_str()]
    );
    let doubles: i64 = sql.one("SELECT count(*) FROM (SELECT FROM memories WHERE deleted_at IS NULL GROUP BY content HAVING count(*) > 1) d", &[]);
    assert_eq!(doubles, 0);
}
