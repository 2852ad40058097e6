//! Runs: how one ended votes once on the memories it used, and a failure is learnt from.

mod support;

use postgres::Client;
use serde_json::{Value, json};
use support::agents::three_agents;
use support::cases::{FRAGMENTS, refuse_all};
use support::votes::{assert_counters, counters, expire, vote};
use support::{Sql, database, granted, row, store, store_hash, together};

/// A store with strategies to use.
fn strategies() -> Client {
    let mut sql = store();
    for id in ["one", "two", "three"] {
        sql.run(&format!(
            "SELECT memory_add('strategy {id}', memory_type => 'strategy', id => '{id}')"
        ));
    }
    sql
}

#[test]
fn a_run_keeps_what_it_used_and_how_it_ended() {
    let mut sql = strategies();

    let started = row(
        &mut sql,
        "memory_run_start('r', agent_id => 'a', task_type => 'deploy', memory_ids => '{two,one}', session_id => 's', metadata => '{\"m\": 1, \"n\": {\"x\": 1}}')",
    );
    for (column, expected) in [
        ("run_id", json!("r")),
        ("agent_id", json!("a")),
        ("session_id", json!("s")),
        ("task_type", json!("deploy")),
        ("status", json!("running")),
        ("memory_ids", json!(["two", "one"])),
        ("error", Value::Null),
        ("error_pattern", Value::Null),
        ("reflection_id", Value::Null),
        ("metadata", json!({"m": 1, "n": {"x": 1}})),
        ("completed_at", Value::Null),
        ("project_id", json!("default")),
    ] {
        assert_eq!(started[column], expected, "{column}");
    }
    assert!(started["started_at"].is_string(), "{started}");
    assert_eq!(
        row(&mut sql, "memory_run_get('r', agent_id => 'a')"),
        started
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_votes('one')", &[]),
        0,
        "starting votes on nothing"
    );

    let ended = row(
        &mut sql,
        "memory_run_complete('r', true, memory_ids => '{three,one}', metadata => '{\"n\": {\"x\": null, \"y\": 2}}', agent_id => 'a')",
    );
    assert_eq!(
        (&ended["status"], &ended["votes"], &ended["reflection_id"]),
        (&json!("success"), &json!(3), &Value::Null)
    );
    assert_eq!(
        ended["memory_ids"],
        json!(["two", "one", "three"]),
        "those of the start, then the others, each once"
    );
    assert_eq!(ended["metadata"], json!({"m": 1, "n": {"y": 2}}));
    assert!(ended["completed_at"].is_string(), "{ended}");
    assert_eq!(row(&mut sql, "memory_run_get('r', agent_id => 'a')"), ended);
    for id in ["one", "two", "three"] {
        assert_eq!(counters(&mut sql, id), (1, 0), "{id}");
        let cast: Value = sql.one("SELECT jsonb_agg(jsonb_build_array(voter_agent_id, vote, task_id)) FROM memory_votes($1)", &[&id]);
        assert_eq!(cast, json!([["a", "helpful", "r"]]), "{id}");
    }
    assert_counters(&mut sql);
}

#[test]
fn a_failed_run_votes_harmful_and_its_error_becomes_a_reflection() {
    let mut sql = strategies();
    sql.run(
        "SELECT memory_run_start('r7', agent_id => 'a', memory_ids => '{one}', session_id => 's')",
    );

    let ended = row(
        &mut sql,
        "memory_run_complete('r7', false, error => 'connection refused by host db3', error_pattern => 'ECONNREFUSED', agent_id => 'a')",
    );

    assert_eq!(
        (
            &ended["status"],
            &ended["votes"],
            &ended["error"],
            &ended["error_pattern"]
        ),
        (
            &json!("failure"),
            &json!(1),
            &json!("connection refused by host db3"),
            &json!("ECONNREFUSED")
        )
    );
    assert_eq!(counters(&mut sql, "one"), (0, 1));
    let id = ended["reflection_id"].as_str().expect("a reflection");
    let reflection: Value = sql.one("SELECT to_jsonb(m) FROM memories m WHERE id = $1", &[&id]);
    for (column, expected) in [
        ("memory_type", json!("reflection")),
        ("scope", json!("global")),
        ("agent_id", json!("a")),
        ("error_pattern", json!("ECONNREFUSED")),
        ("source_trajectory_id", json!("r7")),
    ] {
        assert_eq!(reflection[column], expected, "{column}");
    }
    assert!(
        reflection["content"]
            .as_str()
            .expect("a text")
            .contains("connection refused by host db3"),
        "{reflection}"
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memory_playbook('connection refused', k => 1, agent_id => 'another')",
            &[]
        ),
        [id],
        "the next one is warned"
    );
    assert_counters(&mut sql);
}

#[test]
fn votes_and_reflections_are_only_made_where_they_are_wanted() {
    for (arguments, votes, reflects) in [
        ("true", 2, false),
        ("true, error => 'a warning'", 2, false),
        ("false", 2, false),
        ("false, error => 'broke'", 2, true),
        ("false, error => 'broke', auto_vote => false", 0, true),
        ("false, error => 'broke', auto_reflect => false", 2, false),
        (
            "false, error => 'broke', auto_vote => false, auto_reflect => false",
            0,
            false,
        ),
        ("true, auto_vote => false", 0, false),
    ] {
        let mut sql = strategies();
        sql.run("SELECT memory_run_start('r', agent_id => 'a', memory_ids => '{one,two}')");

        let ended = row(
            &mut sql,
            &format!("memory_run_complete('r', {arguments}, agent_id => 'a')"),
        );

        assert_eq!(ended["votes"], json!(votes), "{arguments}");
        assert_eq!(ended["reflection_id"].is_string(), reflects, "{arguments}");
        assert_eq!(
            sql.one::<i64>("SELECT count(*) FROM vote_history", &[]),
            votes,
            "{arguments}"
        );
        assert_eq!(
            sql.one::<i64>(
                "SELECT count(*) FROM memories WHERE memory_type = 'reflection'",
                &[]
            ),
            i64::from(reflects),
            "{arguments}"
        );
        assert_counters(&mut sql);
    }
}

#[test]
fn a_run_votes_only_on_what_its_agent_sees() {
    let mut sql = store();
    three_agents(&mut sql);
    sql.run(
        "SELECT memory_add('words deleted', id => 'deleted'); SELECT memory_delete('deleted');
         SELECT memory_add('words deprecated', id => 'deprecated'); SELECT memory_add('words expired', id => 'expired');
         SELECT memory_add('words elsewhere', id => 'elsewhere', project_id => 'other')",
    );
    let used = "'{alice-private,bob-private,bob-to-alice,bob-to-carol,global,deleted,deprecated,expired,elsewhere,no such id,global}'";
    sql.run(&format!(
        "SELECT memory_run_start('r', agent_id => 'alice', memory_ids => {used})"
    ));
    // What ends while the run goes on is passed over as well.
    sql.run("SELECT memory_deprecate('deprecated')");
    expire(&mut sql, "expired");

    let ended = row(
        &mut sql,
        "memory_run_complete('r', true, agent_id => 'alice')",
    );

    assert_eq!(ended["votes"], 3);
    let cast: Vec<String> = sql.column(
        "SELECT memory_id || ' ' || voter_agent_id FROM vote_history ORDER BY 1",
        &[],
    );
    assert_eq!(
        cast,
        ["alice-private alice", "bob-to-alice alice", "global alice"]
    );
    assert_counters(&mut sql);

    let nobodys = row(&mut sql, "memory_run_start('n', memory_ids => '{global}')");
    assert_eq!(nobodys["agent_id"], Value::Null);
    assert_eq!(
        row(&mut sql, "memory_run_complete('n', true)")["votes"],
        0,
        "nobody has no vote"
    );
    assert_eq!(counters(&mut sql, "global"), (1, 0));
}

#[test]
fn each_run_has_a_vote_of_its_own() {
    let mut sql = strategies();
    vote(&mut sql, "one", "harmful", "a");
    for (run, success) in [("r1", true), ("r2", true), ("r3", false)] {
        sql.run(&format!(
            "SELECT memory_run_start('{run}', agent_id => 'a', memory_ids => '{{one}}')"
        ));
        sql.run(&format!(
            "SELECT memory_run_complete('{run}', {success}, agent_id => 'a')"
        ));
    }

    assert_eq!(
        counters(&mut sql, "one"),
        (2, 2),
        "and none of them changes the one that was cast by hand"
    );
    assert_counters(&mut sql);
}

// --- once and for all

#[test]
fn c21_completing_again_returns_the_stored_run_and_changes_nothing() {
    for success in [true, false] {
        let mut sql = strategies();
        sql.run("SET memory_ext.audit = 'full'");
        sql.run("SELECT memory_run_start('r', agent_id => 'a', memory_ids => '{one,two}')");
        let ended = row(
            &mut sql,
            &format!(
                "memory_run_complete('r', {success}, error => 'broke', error_pattern => 'E1', agent_id => 'a')"
            ),
        );
        let before = store_hash(&mut sql);

        for arguments in [
            "",
            ", error => 'something else', error_pattern => 'E2'",
            ", memory_ids => '{three}', metadata => '{\"new\": 1}'",
            ", auto_vote => false",
        ] {
            let again = row(
                &mut sql,
                &format!("memory_run_complete('r', {success}{arguments}, agent_id => 'a')"),
            );
            assert_eq!(again, ended, "{success}{arguments}");
            assert_eq!(store_hash(&mut sql), before, "{success}{arguments}");
        }
        sql.refused(
            &format!(
                "SELECT * FROM memory_run_complete('r', {}, agent_id => 'a')",
                !success
            ),
            &[],
        )
        .is("55000")
        .says("r")
        .well_formed();
        assert_eq!(store_hash(&mut sql), before);
        assert_counters(&mut sql);
    }
}

#[test]
fn c21_of_concurrent_completions_one_votes_and_reflects() {
    let database = database();
    let mut sql = database.connect();
    for number in 0..10 {
        sql.run(&format!(
            "SELECT memory_add('strategy {number}', memory_type => 'strategy', id => 'm{number}')"
        ));
    }
    sql.run("SELECT memory_run_start('r', agent_id => 'a', memory_ids => ARRAY(SELECT 'm' || i FROM generate_series(0, 9) i))");

    let rows = together(8, |_, start| {
        let mut sql = database.connect();
        start.wait();
        row(
            &mut sql,
            "memory_run_complete('r', false, error => 'broke', agent_id => 'a')",
        )
    });

    assert!(rows.iter().all(|row| *row == rows[0]), "{rows:?}");
    assert_eq!(rows[0]["votes"], 10);
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM vote_history", &[]), 10);
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM memories WHERE memory_type = 'reflection'",
            &[]
        ),
        1
    );
    assert_counters(&mut sql);

    sql.run("SELECT memory_run_start('contested', agent_id => 'a', memory_ids => '{m0,m1}')");
    let outcomes = together(8, |number, start| {
        let mut sql = database.connect();
        start.wait();
        sql.query(
            &format!(
                "SELECT * FROM memory_run_complete('contested', {}, agent_id => 'a')",
                number % 2 == 0
            ),
            &[],
        )
        .map(|_| number % 2 == 0)
        .map_err(|error| error.code().expect("an SQLSTATE").code().to_owned())
    });
    let won: Vec<bool> = outcomes.iter().flatten().copied().collect();
    assert!(
        won.len() == 4 && won.iter().all(|outcome| *outcome == won[0]),
        "{outcomes:?}"
    );
    assert!(
        outcomes
            .iter()
            .flat_map(|outcome| outcome.as_ref().err())
            .all(|code| code == "55000"),
        "{outcomes:?}"
    );
    let cast: Vec<String> = sql.column(
        "SELECT DISTINCT vote FROM vote_history WHERE task_id = 'contested'",
        &[],
    );
    assert_eq!(cast, [if won[0] { "helpful" } else { "harmful" }]);
    assert_counters(&mut sql);
}

#[test]
fn c21_a_completion_that_is_rolled_back_can_be_done_again() {
    let mut sql = strategies();
    sql.run("SELECT memory_run_start('r', agent_id => 'a', memory_ids => '{one}')");
    let before = store_hash(&mut sql);

    sql.run("BEGIN");
    assert_eq!(
        row(&mut sql, "memory_run_complete('r', true, agent_id => 'a')")["votes"],
        1
    );
    sql.run("ROLLBACK");

    assert_eq!(store_hash(&mut sql), before);
    let ended = row(
        &mut sql,
        "memory_run_complete('r', false, error => 'broke', agent_id => 'a')",
    );
    assert_eq!(ended["status"], "failure");
    assert_eq!(counters(&mut sql, "one"), (0, 1));
}

#[test]
fn c05_a_run_id_is_taken_once_a_project() {
    let mut sql = strategies();
    sql.run("SELECT memory_run_start('r', agent_id => 'a')");
    for ended in [false, true] {
        if ended {
            sql.run("SELECT memory_run_complete('r', true, agent_id => 'a')");
        }
        let before = store_hash(&mut sql);
        sql.refused("SELECT * FROM memory_run_start('r', agent_id => 'b')", &[])
            .is("23505")
            .says("r")
            .helps()
            .well_formed();
        assert_eq!(store_hash(&mut sql), before);
    }
    sql.run("SELECT memory_run_start('r', agent_id => 'b', project_id => 'other')");
    assert_eq!(
        row(
            &mut sql,
            "memory_run_complete('r', false, agent_id => 'b', project_id => 'other')"
        )["status"],
        "failure"
    );
    assert_eq!(
        row(&mut sql, "memory_run_get('r', agent_id => 'a')")["status"],
        "success"
    );
}

// --- who may

#[test]
fn a_run_is_its_agents() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    owner.run("SELECT memory_run_start('of bob', agent_id => 'bob', memory_ids => '{global}')");
    owner.run("SELECT memory_run_start('of all', memory_ids => '{global}')");
    let (_, mut alice) = granted(&database, "default", "write", Some("alice"));
    let (_, mut reader) = granted(&database, "default", "read", None);
    let before = store_hash(&mut owner);

    assert_eq!(
        alice.one::<i64>("SELECT count(*) FROM memory_run_get('of bob')", &[]),
        0
    );
    assert_eq!(
        alice.one::<i64>("SELECT count(*) FROM memory_run_get('of all')", &[]),
        1
    );
    assert_eq!(
        owner.one::<i64>(
            "SELECT count(*) FROM memory_run_get('of bob', agent_id => '*')",
            &[]
        ),
        1
    );
    alice
        .refused("SELECT * FROM memory_run_complete('of bob', true)", &[])
        .is("P0002")
        .says("of bob")
        .well_formed();
    owner
        .refused(
            "SELECT * FROM memory_run_complete('of bob', true, agent_id => 'alice')",
            &[],
        )
        .is("P0002");
    for call in [
        "memory_run_start('x', agent_id => 'bob')",
        "memory_run_complete('of bob', true, agent_id => 'bob')",
        "memory_run_get('of bob', agent_id => 'bob')",
        "memory_run_get('of bob', agent_id => '*')",
    ] {
        alice
            .refused(&format!("SELECT * FROM {call}"), &[])
            .is("42501");
    }
    for call in [
        "memory_run_start('x')",
        "memory_run_complete('of all', true)",
    ] {
        reader
            .refused(&format!("SELECT * FROM {call}"), &[])
            .is("42501");
    }
    assert_eq!(store_hash(&mut owner), before);

    assert_eq!(
        row(
            &mut alice,
            "memory_run_start('hers', memory_ids => '{alice-private,bob-private}')"
        )["agent_id"],
        "alice"
    );
    assert_eq!(
        row(&mut alice, "memory_run_complete('hers', true)")["votes"],
        1
    );
    assert_eq!(
        owner.column::<String>(
            "SELECT memory_id || ' ' || voter_agent_id FROM vote_history",
            &[]
        ),
        ["alice-private alice"]
    );
}

// --- bad input

#[test]
fn bad_input_is_refused_and_nothing_is_changed() {
    let mut sql = strategies();
    sql.run("SELECT memory_run_start('r', agent_id => 'a', memory_ids => '{one}'); SELECT memory_run_start('free', memory_ids => '{one}')");
    refuse_all(
        &mut sql,
        r#"
        22023 | run_id, NULL | | SELECT * FROM memory_run_start(NULL)
        22023 | run_id, blank | | SELECT * FROM memory_run_start('')
        22023 | run_id, blank | | SELECT * FROM memory_run_start(E' \n')
        22023 | run_id, 10240, 255 | | SELECT * FROM memory_run_start(repeat('r', 10240))
        22023 | agent_id, blank | | SELECT * FROM memory_run_start('n', agent_id => ' ')
        22023 | agent_id, * | | SELECT * FROM memory_run_start('n', agent_id => '*')
        22023 | agent_id, 10240, 255 | | SELECT * FROM memory_run_start('n', agent_id => repeat('a', 10240))
        22023 | session_id, blank | | SELECT * FROM memory_run_start('n', session_id => '')
        22023 | project_id, * | | SELECT * FROM memory_run_start('n', project_id => '*')
        22023 | metadata, object | { | SELECT * FROM memory_run_start('n', metadata => '[1]')
        22023 | metadata, object | { | SELECT * FROM memory_run_start('n', metadata => '"x"')
        22023 | memory_ids, NULL | | SELECT * FROM memory_run_start('n', memory_ids => '{one,NULL}')
        22023 | memory_ids, blank | | SELECT * FROM memory_run_start('n', memory_ids => '{""}')
        22023 | memory_ids, 10240, 255 | | SELECT * FROM memory_run_start('n', memory_ids => ARRAY[repeat('i', 10240)])
        22P05 | | | SELECT * FROM memory_run_start('n', metadata => '{"a": "\u0000"}')
        22021 | | | SELECT * FROM memory_run_start('n', task_type => E'bad \xff byte')
        22023 | run_id, NULL | | SELECT * FROM memory_run_complete(NULL, true)
        22023 | run_id, blank | | SELECT * FROM memory_run_complete(' ', true)
        22023 | run_id, 10240, 255 | | SELECT * FROM memory_run_complete(repeat('r', 10240), true)
        22023 | success, NULL | | SELECT * FROM memory_run_complete('free', NULL)
        P0002 | nobody | . | SELECT * FROM memory_run_complete('nobody', true)
        P0002 | free | . | SELECT * FROM memory_run_complete('free', true, project_id => 'other')
        P0002 | r | . | SELECT * FROM memory_run_complete('r', true, agent_id => 'b')
        22023 | metadata, object | { | SELECT * FROM memory_run_complete('free', true, metadata => '7')
        22023 | memory_ids, NULL | | SELECT * FROM memory_run_complete('free', true, memory_ids => '{NULL}')
        22023 | memory_ids, blank | | SELECT * FROM memory_run_complete('free', false, memory_ids => '{" "}')
        22023 | agent_id, blank | | SELECT * FROM memory_run_complete('free', true, agent_id => '')
        22021 | | | SELECT * FROM memory_run_complete('free', false, error => E'bad \xff byte')
        22023 | run_id, NULL | | SELECT * FROM memory_run_get(NULL)
        22023 | run_id, blank | | SELECT * FROM memory_run_get('')
        22023 | run_id, 10240, 255 | | SELECT * FROM memory_run_get(repeat('r', 10240))
        "#,
    );
}

#[test]
fn sql_fragments_in_every_text_argument_of_a_run_are_only_text() {
    let mut sql = store();
    for fragment in FRAGMENTS {
        for call in [
            "memory_add('words', id => $1, agent_id => $1, project_id => $1) m",
            "memory_run_start($1, agent_id => $1, task_type => $1, memory_ids => ARRAY[$1], session_id => $1, metadata => jsonb_build_object($1::text, $1::text), project_id => $1)",
            "memory_run_complete($1, false, error => $1, error_pattern => $1, agent_id => $1, project_id => $1)",
        ] {
            sql.query(&format!("SELECT * FROM {call}"), &[fragment])
                .unwrap_or_else(|error| panic!("{fragment:?} {call}: {error:?}"));
        }
        let same: bool = sql.one(
            "SELECT r.agent_id = $1 AND r.task_type = $1 AND r.memory_ids = ARRAY[$1] AND r.session_id = $1 AND r.metadata ->> $1 = $1 AND r.error = $1 AND r.error_pattern = $1
                    AND r.votes = 1 AND m.source_trajectory_id = $1 AND m.error_pattern = $1
             FROM memory_run_get($1, $1, $1) r JOIN memories m ON m.id = r.reflection_id AND m.project_id = $1",
            &[fragment],
        );
        assert!(same, "{fragment:?}");
    }
}
