//! Votes: who may cast them, how they count, and what they leave alone.

mod support;

use postgres::Client;
use serde_json::{Value, json};
use support::agents::{ALICE_SEES, three_agents};
use support::cases::{FRAGMENTS, refuse_all};
use support::votes::{assert_counters, counters, effectiveness, expire, vote};
use support::{Cluster, Options, Sql, database, granted, store, store_hash, together};

/// The votes on a memory as rows, without their times.
fn votes_on(sql: &mut Client, id: &str) -> Value {
    sql.one(
        "SELECT coalesce(jsonb_agg(to_jsonb(v) - '{created_at,updated_at}'::text[]), '[]') FROM memory_votes($1, agent_id => '*') v",
        &[&id],
    )
}

// --- counting

#[test]
fn a_vote_returns_the_counters_and_the_effectiveness() {
    let mut sql = store();
    sql.run("SELECT memory_add('retry with a fresh token', memory_type => 'strategy', id => 'm')");

    for (voter, what, helpful, harmful) in [
        ("a", "helpful", 1, 0),
        ("b", "helpful", 2, 0),
        ("c", "harmful", 2, 1),
        ("d", "harmful", 2, 2),
        ("e", "harmful", 2, 3),
    ] {
        let row = sql
            .query_one(
                "SELECT memory_id, bullet_helpful, bullet_harmful, effectiveness_score FROM memory_vote('m', $1, $2)",
                &[&what, &voter],
            )
            .expect("a vote");
        assert_eq!(row.get::<_, String>(0), "m");
        assert_eq!(
            (row.get::<_, i32>(1), row.get::<_, i32>(2)),
            (helpful, harmful),
            "{voter}"
        );
        let score: f64 = row.get(3);
        assert!(
            (score - effectiveness(helpful, harmful)).abs() < 1e-12,
            "{voter}: {score}"
        );
    }
    assert_eq!(counters(&mut sql, "m"), (2, 3));
    assert_counters(&mut sql);
    assert_eq!(
        votes_on(&mut sql, "m"),
        json!([
            {"voter_agent_id": "a", "vote": "helpful", "context": null, "task_id": null},
            {"voter_agent_id": "b", "vote": "helpful", "context": null, "task_id": null},
            {"voter_agent_id": "c", "vote": "harmful", "context": null, "task_id": null},
            {"voter_agent_id": "d", "vote": "harmful", "context": null, "task_id": null},
            {"voter_agent_id": "e", "vote": "harmful", "context": null, "task_id": null},
        ]),
        "oldest first"
    );
}

#[test]
fn c16_one_vote_per_voter_and_task_however_often_it_is_cast() {
    let mut sql = store();
    sql.run("SELECT memory_add('measure twice', id => 'm')");

    for _ in 0..3 {
        vote(&mut sql, "m", "helpful", "a");
    }
    assert_eq!(
        counters(&mut sql, "m"),
        (1, 0),
        "no task is a task as well: three votes without one are one"
    );
    for _ in 0..3 {
        sql.run("SELECT memory_vote('m', 'helpful', 'a', task_id => 't1'); SELECT memory_vote('m', 'harmful', 'a', task_id => 't2')");
    }
    vote(&mut sql, "m", "helpful", "b");

    assert_eq!(counters(&mut sql, "m"), (3, 1));
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_votes('m')", &[]),
        4
    );
    assert_counters(&mut sql);
}

#[test]
fn c16_casting_the_same_vote_again_changes_nothing() {
    let mut sql = store();
    sql.run("SELECT memory_add('measure twice', id => 'm'); SELECT memory_vote('m', 'helpful', 'a', 'saved an hour', 't')");
    let before = store_hash(&mut sql);

    sql.run("SELECT memory_vote('m', 'helpful', 'a', task_id => 't')");

    assert_eq!(
        store_hash(&mut sql),
        before,
        "neither its time, nor its context, nor any trace"
    );
}

#[test]
fn c16_a_changed_vote_counts_once_and_the_old_one_is_kept_aside() {
    let mut sql = store();
    sql.run("SELECT memory_add('measure twice', id => 'm')");
    sql.run("SELECT memory_vote('m', 'helpful', 'a', 'saved an hour', 't')");
    sql.run("SELECT memory_vote('m', 'helpful', 'b')");

    sql.run("SELECT memory_vote('m', 'harmful', 'a', task_id => 't')");
    assert_eq!(counters(&mut sql, "m"), (1, 1));
    let row: Value = sql.one(
        "SELECT to_jsonb(v) FROM memory_votes('m') v WHERE voter_agent_id = 'a'",
        &[],
    );
    assert_eq!(row["vote"], "harmful");
    assert_eq!(
        row["context"], "saved an hour",
        "no new context leaves the old one"
    );
    assert_eq!(row["task_id"], "t");
    let later: bool = sql.one(
        "SELECT updated_at > created_at FROM memory_votes('m') WHERE voter_agent_id = 'a'",
        &[],
    );
    assert!(later, "created at the first vote, updated at the second");

    sql.run("SELECT memory_vote('m', 'helpful', 'a', 'after all', 't')");
    assert_eq!(counters(&mut sql, "m"), (2, 0));
    let context: String = sql.one(
        "SELECT context FROM memory_votes('m') WHERE voter_agent_id = 'a'",
        &[],
    );
    assert_eq!(context, "after all");
    let past: Vec<String> = sql.column(
        "SELECT vote FROM vote_changes WHERE memory_id = 'm' AND voter_agent_id = 'a' AND task_id = 't' ORDER BY changed_at",
        &[],
    );
    assert_eq!(past, ["helpful", "harmful"], "what each vote was before");
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM vote_changes WHERE voter_agent_id = 'b'",
            &[]
        ),
        0
    );
    assert_counters(&mut sql);
}

#[test]
fn a_vote_that_is_rolled_back_was_never_cast() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('measure twice', id => 'm'); SELECT memory_vote('m', 'helpful', 'a')",
    );
    let before = store_hash(&mut sql);

    sql.run("BEGIN");
    vote(&mut sql, "m", "harmful", "a");
    vote(&mut sql, "m", "harmful", "b");
    assert_eq!(counters(&mut sql, "m"), (0, 2));
    sql.run("ROLLBACK");

    assert_eq!(store_hash(&mut sql), before);
    assert_counters(&mut sql);
}

// --- who may vote

#[test]
fn c16_the_voter_must_see_the_memory() {
    let mut sql = store();
    three_agents(&mut sql);
    sql.run(
        "SELECT memory_add('words deleted', id => 'deleted', agent_id => 'alice'); SELECT memory_delete('deleted', agent_id => 'alice');
         SELECT memory_add('words expired', id => 'expired', agent_id => 'alice');
         SELECT memory_add('words deprecated', id => 'deprecated', agent_id => 'alice'); SELECT memory_deprecate('deprecated', agent_id => 'alice');
         SELECT memory_add('words elsewhere', id => 'elsewhere', project_id => 'other')",
    );
    expire(&mut sql, "expired");
    let ids: Vec<String> = sql.column("SELECT id FROM memories", &[]);

    for id in ids {
        if ALICE_SEES.contains(&id.as_str()) {
            vote(&mut sql, &id, "helpful", "alice");
            assert_eq!(counters(&mut sql, &id), (1, 0), "{id}");
            continue;
        }
        let before = store_hash(&mut sql);
        sql.refused("SELECT * FROM memory_vote($1, 'helpful', 'alice')", &[&id])
            .is("P0002")
            .says(&id)
            .keeps("words")
            .well_formed();
        assert_eq!(store_hash(&mut sql), before, "{id}");
    }
    sql.run("SELECT memory_vote('elsewhere', 'helpful', 'alice', project_id => 'other')");
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM vote_history WHERE project_id = 'other'",
            &[]
        ),
        1
    );
    assert_counters(&mut sql);
}

#[test]
fn c16_an_agent_bound_role_votes_as_its_agent_only() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    let (role, mut alice) = granted(&database, "default", "write", Some("alice"));

    alice.run("SELECT memory_vote('bob-global', 'helpful')");
    alice.run("SELECT memory_vote('bob-to-alice', 'harmful', 'alice')");
    let cast: Vec<String> = owner.column("SELECT memory_id || ' ' || voter_agent_id || ' ' || vote FROM vote_history ORDER BY memory_id", &[]);
    assert_eq!(
        cast,
        ["bob-global alice helpful", "bob-to-alice alice harmful"],
        "whoever sees a memory may vote on it, whosever it is"
    );

    let before = store_hash(&mut owner);
    for (id, voter, sqlstate) in [
        ("bob-global", "bob", "42501"),
        ("bob-global", "Alice", "42501"),
        ("bob-private", "alice", "P0002"),
        ("bob-to-carol", "alice", "P0002"),
    ] {
        alice
            .refused(
                "SELECT * FROM memory_vote($1, 'helpful', $2)",
                &[&id, &voter],
            )
            .is(sqlstate)
            .well_formed();
    }
    let everybody = alice.refused(
        "SELECT * FROM memory_vote('bob-global', 'helpful', '*')",
        &[],
    );
    assert!(
        ["22023", "42501"].contains(&everybody.sqlstate.as_str()),
        "{everybody:?}"
    );
    assert_eq!(store_hash(&mut owner), before);

    owner.run(&format!(
        "SELECT memory_grant('{role}', 'default', 'write', 'bob')"
    ));
    alice
        .refused("SELECT * FROM memory_vote('global', 'helpful')", &[])
        .is("22023")
        .hints("voter_agent_id")
        .well_formed();
    alice.run("SELECT memory_vote('global', 'helpful', 'bob')");
}

#[test]
fn voting_needs_the_right_to_write_and_a_name() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    let (_, mut reader) = granted(&database, "default", "read", None);
    let (_, mut bound_reader) = granted(&database, "default", "read", Some("alice"));
    let (_, mut writer) = granted(&database, "default", "write", None);
    let before = store_hash(&mut owner);

    for client in [&mut reader, &mut bound_reader] {
        client
            .refused(
                "SELECT * FROM memory_vote('global', 'helpful', 'alice')",
                &[],
            )
            .is("42501")
            .well_formed();
    }
    for client in [&mut writer, &mut owner] {
        client
            .refused("SELECT * FROM memory_vote('global', 'helpful')", &[])
            .is("22023")
            .says("voter_agent_id")
            .well_formed();
    }
    assert_eq!(store_hash(&mut owner), before);
    vote(&mut writer, "bob-private", "helpful", "bob");
    vote(&mut writer, "global", "harmful", "carol");
    assert_eq!(counters(&mut owner, "bob-private"), (1, 0));
    assert_eq!(counters(&mut owner, "global"), (0, 1));
    assert_eq!(
        reader.one::<i64>("SELECT count(*) FROM memory_votes('global')", &[]),
        1
    );
}

#[test]
fn votes_are_read_by_whoever_sees_the_memory() {
    let mut sql = store();
    three_agents(&mut sql);
    for id in ["bob-private", "bob-to-alice", "bob-global"] {
        vote(&mut sql, id, "helpful", "bob");
    }

    let read = "SELECT count(*) FROM memory_votes($1, agent_id => $2)";
    for (id, agent) in [
        ("bob-to-alice", "alice"),
        ("bob-global", "carol"),
        ("bob-private", "bob"),
        ("bob-private", "*"),
    ] {
        assert_eq!(sql.one::<i64>(read, &[&id, &agent]), 1, "{id} for {agent}");
    }
    for (id, agent) in [("bob-private", "alice"), ("bob-to-alice", "carol")] {
        sql.refused(read, &[&id, &agent]).is("P0002").says(id);
    }
    sql.refused(
        "SELECT * FROM memory_votes('bob-global', project_id => 'q')",
        &[],
    )
    .is("P0002");
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM memory_votes('alice-private', 'alice')",
            &[]
        ),
        0,
        "no votes are no error"
    );

    for number in 0..5 {
        vote(&mut sql, "bob-global", "harmful", &format!("v{number}"));
    }
    assert_eq!(
        sql.column::<String>(
            "SELECT voter_agent_id FROM memory_votes('bob-global', page_size => 3)",
            &[]
        ),
        ["bob", "v0", "v1"],
        "the oldest"
    );
    sql.run("SELECT memory_deprecate('bob-global', agent_id => 'bob')");
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_votes('bob-global')", &[]),
        6,
        "of a deprecated memory too"
    );
}

// --- many at once

#[test]
fn c16_sixty_four_concurrent_voters_are_all_counted() {
    const VOTERS: usize = 64;
    let cluster = Cluster::start(Options {
        settings: vec!["max_connections = 100"],
        ..Options::default()
    });
    let database = cluster.database();
    database
        .connect()
        .run("SELECT memory_add('voted on by all', memory_type => 'strategy', id => 'm')");

    together(VOTERS, |number, start| {
        let mut sql = database.connect();
        let voter = format!("voter {number}");
        start.wait();
        vote(&mut sql, "m", "helpful", &voter);
        if number % 4 == 0 {
            vote(&mut sql, "m", "harmful", &voter);
        }
        if number % 3 == 0 {
            sql.execute(
                "SELECT memory_vote('m', 'harmful', $1, task_id => 'the same task')",
                &[&voter],
            )
            .expect("a vote");
        }
    });

    let mut sql = database.connect();
    let with_task = (0..VOTERS).filter(|number| number % 3 == 0).count() as i32;
    assert_eq!(counters(&mut sql, "m"), (48, 16 + with_task));
    assert_counters(&mut sql);
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM vote_changes", &[]),
        16,
        "each change of mind once"
    );
}

#[test]
fn c16_one_voter_in_sixteen_sessions_has_one_vote() {
    let database = database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('a', id => 'a'); SELECT memory_add('b', id => 'b')");

    together(16, |number, start| {
        let mut sql = database.connect();
        start.wait();
        for round in 0..10 {
            let what = ["helpful", "harmful"][(number + round) % 2];
            vote(
                &mut sql,
                ["a", "b"][(number + round / 2) % 2],
                what,
                "the one",
            );
        }
    });

    for id in ["a", "b"] {
        let (helpful, harmful) = counters(&mut sql, id);
        assert_eq!(helpful + harmful, 1, "{id}: {helpful} {harmful}");
    }
    assert_counters(&mut sql);
}

// --- what a vote leaves alone

#[test]
fn a_vote_is_no_version_of_the_memory() {
    let mut sql = store();
    sql.run("SELECT memory_add('measure twice', id => 'm', metadata => '{\"n\": 1}')");
    let before: Value = sql.one("SELECT to_jsonb(m) FROM memory_get('m') m", &[]);
    let vector: String = sql.one(
        "SELECT embedding::text || embedded_hash::text || content_tsv::text FROM memories",
        &[],
    );

    vote(&mut sql, "m", "helpful", "a");
    vote(&mut sql, "m", "harmful", "a");

    let after: Value = sql.one("SELECT to_jsonb(m) FROM memory_get('m') m", &[]);
    assert_eq!(after, before, "version and times too");
    assert_eq!(
        sql.one::<String>(
            "SELECT embedding::text || embedded_hash::text || content_tsv::text FROM memories",
            &[]
        ),
        vector
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_history", &[]),
        0
    );
    assert_eq!(
        sql.one::<i32>(
            "SELECT memory_update('m', importance => 0.7, expected_version => 1)",
            &[]
        ),
        2,
        "who read it before the votes may still change it"
    );
    assert_eq!(counters(&mut sql, "m"), (0, 1), "and the votes stay");
}

#[test]
fn c19_votes_on_a_settled_table_are_hot_and_insert_into_no_index() {
    // Transactions of other tests, even in other databases, would keep dead versions, and so their room, for a moment; so
    // would autovacuum.
    let cluster = Cluster::start(Options {
        settings: vec!["autovacuum = off"],
        ..Options::default()
    });
    let database = cluster.database();
    let mut sql = database.connect();
    sql.run("SELECT memory_init()");
    sql.run(
        "SELECT * FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('memory_type', 'strategy',
            'content', format('strategy %s: try %s before %s', i, md5(i::text), md5((-i)::text)))) FROM generate_series(1, 300) i))",
    );
    let ids: Vec<String> = sql.column("SELECT id FROM memories ORDER BY id", &[]);
    let round = |sql: &mut Client, what: &str, voter: &str| {
        for id in &ids {
            vote(sql, id, what, voter);
        }
    };
    let updates = |sql: &mut Client| -> (i64, i64) {
        sql.run("SELECT pg_stat_force_next_flush()");
        let row = sql.query_one("SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'memories'", &[]).expect("counted");
        (row.get(0), row.get(1))
    };
    let indexes = |sql: &mut Client| -> Vec<String> {
        sql.column("SELECT indexrelid::regclass || ' ' || pg_relation_size(indexrelid) FROM pg_index WHERE indrelid = 'memories'::regclass ORDER BY 1", &[])
    };

    round(&mut sql, "helpful", "the first voter");
    sql.run("VACUUM memories");
    let (before, sizes) = (updates(&mut sql), indexes(&mut sql));
    round(&mut sql, "harmful", "the second voter");
    round(&mut sql, "helpful", "the second voter");
    let after = updates(&mut sql);

    assert_eq!(after.0 - before.0, 600, "a vote updates its memory once");
    assert_eq!(
        after.1 - before.1,
        after.0 - before.0,
        "all of them are HOT: none inserts into an index"
    );
    assert_eq!(indexes(&mut sql), sizes, "HNSW least of all");
    assert_counters(&mut sql);
}

#[test]
fn votes_go_with_their_memory() {
    let mut sql = store();
    sql.run("SELECT memory_add('forgotten', id => 'f', user_id => 'u'); SELECT memory_add('removed', id => 'r'); SELECT memory_add('stays', id => 's')");
    for id in ["f", "r", "s"] {
        vote(&mut sql, id, "helpful", "a");
        vote(&mut sql, id, "harmful", "a");
    }

    sql.run("SELECT memory_forget(user_id => 'u', reason => 'asked'); DELETE FROM memories WHERE id = 'r'");

    for table in ["vote_history", "vote_changes"] {
        assert_eq!(
            sql.column::<String>(&format!("SELECT memory_id FROM {table}"), &[]),
            ["s"],
            "{table}"
        );
    }
    sql.run("SELECT memory_add('forgotten', id => 'f')");
    assert_eq!(
        counters(&mut sql, "f"),
        (0, 0),
        "who comes after inherits no votes"
    );
}

#[test]
fn a_memory_deleted_and_restored_has_its_votes() {
    let mut sql = store();
    sql.run("SELECT memory_add('measure twice', id => 'm')");
    vote(&mut sql, "m", "helpful", "a");

    sql.run("SELECT memory_update('m', 'measure thrice')");
    sql.run("SELECT memory_delete('m')");
    sql.run("SELECT memory_restore_version('m', 1)");

    assert_eq!(counters(&mut sql, "m"), (1, 0));
    assert_counters(&mut sql);
}

#[test]
fn direct_sql_of_others_forges_no_votes() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    vote(&mut owner, "alice-private", "harmful", "alice");
    vote(&mut owner, "bob-private", "helpful", "bob");
    let (role, mut alice) = granted(&database, "default", "write", Some("alice"));
    owner.run(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON vote_history, vote_changes TO {role}"
    ));
    let before = store_hash(&mut owner);

    alice
        .refused("INSERT INTO vote_history (memory_id, project_id, voter_agent_id, vote) VALUES ('alice-private', 'default', 'carol', 'helpful')", &[])
        .is("42501");
    for statement in [
        "UPDATE vote_history SET vote = 'helpful'",
        "DELETE FROM vote_history",
        "DELETE FROM vote_changes",
    ] {
        if let Err(error) = alice.execute(statement, &[]) {
            assert_eq!(
                error.code().expect("an SQLSTATE").code(),
                "42501",
                "{statement}"
            );
        }
    }
    assert_eq!(
        alice.one::<i64>(
            "SELECT count(*) FROM vote_history WHERE memory_id = 'bob-private'",
            &[]
        ),
        0,
        "what she does not see has no votes for her"
    );
    assert_eq!(store_hash(&mut owner), before);
}

// --- bad input

#[test]
fn bad_input_is_refused_and_nothing_is_counted() {
    let mut sql = store();
    sql.run("SELECT memory_add('the first memory', id => 'one'); SELECT memory_vote('one', 'helpful', 'a', 'why', 't')");
    refuse_all(
        &mut sql,
        r#"
        22023 | vote, up | helpful | SELECT * FROM memory_vote('one', 'up', 'v')
        22023 | vote, HELPFUL | helpful | SELECT * FROM memory_vote('one', 'HELPFUL', 'v')
        22023 | vote | helpful | SELECT * FROM memory_vote('one', '', 'v')
        22023 | vote | helpful | SELECT * FROM memory_vote('one', 'helpful ', 'v')
        22023 | vote, NULL | | SELECT * FROM memory_vote('one', NULL, 'v')
        22023 | memory_id, NULL | | SELECT * FROM memory_vote(NULL, 'helpful', 'v')
        22023 | memory_id, blank | | SELECT * FROM memory_vote(' ', 'helpful', 'v')
        22023 | memory_id, 10240, 255 | | SELECT * FROM memory_vote(repeat('i', 10240), 'helpful', 'v')
        22023 | voter_agent_id | | SELECT * FROM memory_vote('one', 'helpful')
        22023 | voter_agent_id, * | | SELECT * FROM memory_vote('one', 'helpful', '*')
        22023 | voter_agent_id, blank | | SELECT * FROM memory_vote('one', 'helpful', E'\t')
        22023 | voter_agent_id, 256, 255 | | SELECT * FROM memory_vote('one', 'helpful', repeat('é', 128))
        22023 | task_id, blank | | SELECT * FROM memory_vote('one', 'helpful', 'v', task_id => '')
        22023 | task_id, 10240, 255 | | SELECT * FROM memory_vote('one', 'helpful', 'v', task_id => repeat('t', 10240))
        22023 | project_id, blank | | SELECT * FROM memory_vote('one', 'helpful', 'v', project_id => '')
        22023 | project_id, * | | SELECT * FROM memory_vote('one', 'helpful', 'v', project_id => '*')
        P0002 | no such id | | SELECT * FROM memory_vote('no such id', 'helpful', 'v')
        P0002 | one | | SELECT * FROM memory_vote('one', 'helpful', 'v', project_id => 'other')
        22021 | | | SELECT * FROM memory_vote('one', 'helpful', E'bad \xff byte')
        22023 | memory_id, NULL | | SELECT * FROM memory_votes(NULL)
        22023 | memory_id, blank | | SELECT * FROM memory_votes('')
        22023 | memory_id, 10240, 255 | | SELECT * FROM memory_votes(repeat('i', 10240))
        22023 | page_size, 0 | | SELECT * FROM memory_votes('one', page_size => 0)
        22023 | page_size, -1 | | SELECT * FROM memory_votes('one', page_size => -1)
        22023 | agent_id, blank | | SELECT * FROM memory_votes('one', agent_id => '')
        P0002 | no such id | | SELECT * FROM memory_votes('no such id')
        P0002 | one | | SELECT * FROM memory_votes('one', project_id => 'other')
        "#,
    );
    assert_counters(&mut sql);
}

#[test]
fn sql_fragments_in_every_text_argument_of_a_vote_are_only_text() {
    let mut sql = store();
    for fragment in FRAGMENTS {
        sql.execute(
            "SELECT memory_add('words', id => $1, project_id => $1)",
            &[fragment],
        )
        .expect("added");
        sql.execute(
            "SELECT memory_vote($1, 'helpful', $1, $1, $1, $1)",
            &[fragment],
        )
        .unwrap_or_else(|error| panic!("{fragment:?}: {error:?}"));
        let same: bool = sql.one(
            "SELECT voter_agent_id = $1 AND context = $1 AND task_id = $1 FROM memory_votes($1, $1, project_id => $1)",
            &[fragment],
        );
        assert!(same, "{fragment:?}");
        sql.refused(
            "SELECT * FROM memory_vote($1, $1, $1, project_id => $1)",
            &[fragment],
        )
        .is("22023")
        .hints("helpful");
    }
    assert_counters(&mut sql);
}
