//! Deprecated memories: seen by nothing that reads, kept for those who ask, in nobody's way, and back at a word.

mod support;

use postgres::Client;
use serde_json::{Value, json};
use support::agents::three_agents;
use support::cases::{FRAGMENTS, refuse_all};
use support::votes::{add_at, assert_counters, counters, expire, space, vote};
use support::{Sql, database, granted, store, store_hash, together};

fn finds(sql: &mut Client, query: &str) -> Vec<String> {
    sql.column(
        "SELECT id FROM memory_search($1, agent_id => '*')",
        &[&query],
    )
}

/// Of every kind that some function reads, one that lives and one that is deprecated.
fn harbour(sql: &mut Client) {
    for name in ["live", "gone"] {
        sql.run(&format!(
            "SELECT memory_add('the harbour opens, {name}', key => 'harbour.{name}', agent_id => 'a', scope => 'global', id => 'key-{name}');
             SELECT memory_add('harbour strategy, {name}', memory_type => 'strategy', agent_id => 'a', scope => 'global', id => 'strategy-{name}');
             SELECT memory_add('harbour episode, {name}', memory_type => 'episodic', session_id => 's', agent_id => 'a', scope => 'global', id => 'episode-{name}');
             SELECT memory_add('harbour fact, {name}', memory_type => 'semantic', entity_id => 'e', agent_id => 'a', scope => 'global', id => 'fact-{name}')"
        ));
    }
    sql.run("SELECT memory_deprecate(id, agent_id => '*') FROM memories WHERE id LIKE '%-gone'");
}

#[test]
fn c11_no_reading_function_shows_what_is_deprecated() {
    let mut sql = store();
    harbour(&mut sql);
    let before = store_hash(&mut sql);

    for (function, expected) in [
        ("memory_list(agent_id => '*')", 4),
        ("memory_list(agent_id => '*', include_expired => true)", 4),
        ("memory_kv_list(agent_id => '*')", 1),
        ("memory_kv_list('harbour.', agent_id => '*')", 1),
        ("memory_search('harbour', 10, agent_id => '*')", 4),
        (
            "memory_search('harbour gone', 10, mode => 'text', agent_id => '*')",
            4,
        ),
        (
            "memory_search('harbour gone', 10, mode => 'vector', agent_id => '*')",
            4,
        ),
        (
            "memory_search('harbour', 10, fusion => 'rrf', agent_id => '*')",
            4,
        ),
        ("memory_playbook(agent_id => '*')", 1),
        ("memory_playbook('harbour gone', agent_id => '*')", 1),
        ("memory_timeline('s', agent_id => '*')", 1),
        ("memory_entity_facts('e', agent_id => '*')", 1),
    ] {
        let seen: Vec<String> = sql.column(&format!("SELECT id FROM {function}"), &[]);
        assert!(
            seen.len() == expected && seen.iter().all(|id| id.ends_with("-live")),
            "{function}: {seen:?}"
        );
    }
    for path in ["exact", "sketch", "hnsw"] {
        sql.run(&format!("SET memory_ext.vector_path = '{path}'"));
        assert!(
            finds(&mut sql, "harbour gone")
                .iter()
                .all(|id| id.ends_with("-live")),
            "{path}"
        );
    }
    sql.run("RESET memory_ext.vector_path");
    for call in [
        "memory_context('harbour gone', agent_id => '*')",
        "memory_explain('harbour gone', agent_id => '*')",
        "memory_handoff('a', 'b')",
        "memory_handoff('a', 'b', query => 'harbour gone')",
    ] {
        let told: String = sql.one(&format!("SELECT ({call})::text"), &[]);
        let told = told.replace("harbour gone", "");
        assert!(
            told.contains("-live") && !told.contains("gone"),
            "{call}: {told}"
        );
    }
    for kind in ["key", "strategy", "episode", "fact"] {
        let (live, gone) = (format!("{kind}-live"), format!("{kind}-gone"));
        for (id, rows) in [(&live, 1), (&gone, 0)] {
            let got: Vec<String> =
                sql.column("SELECT id FROM memory_get($1, agent_id => '*')", &[id]);
            assert_eq!(got.len(), rows, "{id}");
        }
        for (call, argument) in [
            ("SELECT memory_update($1, 'x', agent_id => '*')", &gone),
            ("SELECT * FROM memory_vote($1, 'helpful', 'a')", &gone),
        ] {
            sql.refused(call, &[argument]).is("P0002").says(&gone);
        }
    }
    assert_eq!(
        sql.one::<i64>("SELECT memory_count(agent_id => '*')", &[]),
        4
    );
    assert_eq!(
        sql.one::<i64>(
            "SELECT memory_count(agent_id => '*', include_expired => true)",
            &[]
        ),
        4
    );
    assert_eq!(
        sql.one::<Option<String>>("SELECT memory_kv_get('harbour.gone', agent_id => '*')", &[]),
        None
    );
    assert_eq!(store_hash(&mut sql), before);
    assert_eq!(
        sql.one::<i64>(
            "SELECT memory_touch('{key-live,key-gone}', agent_id => '*')",
            &[]
        ),
        1
    );
}

#[test]
fn c11_curation_passes_over_what_is_deprecated() {
    let mut sql = space().connect();
    for (id, degrees) in [("one", 0.0), ("two", 1.0), ("gone", 2.0)] {
        add_at(&mut sql, id, degrees, "memory_type => 'strategy'");
    }
    sql.run("SELECT memory_deprecate('gone')");

    for (source, columns) in [
        ("memory_duplicates()", "id || ' ' || duplicate_id"),
        ("memory_consolidate()", "kept_id || ' ' || merged_id"),
        ("memory_curate()", "id || ' ' || other_id"),
    ] {
        let pairs: Vec<String> = sql.column(&format!("SELECT {columns} FROM {source}"), &[]);
        assert!(
            pairs.len() == 1 && !pairs[0].contains("gone"),
            "{source}: {pairs:?}"
        );
    }
}

#[test]
fn c11_direct_sql_of_granted_roles_does_not_see_what_is_deprecated() {
    let database = database();
    let mut owner = database.connect();
    harbour(&mut owner);
    for (privilege, agent) in [("read", None), ("write", Some("a"))] {
        let (role, mut client) = granted(&database, "default", privilege, agent);
        owner.run(&format!(
            "GRANT SELECT, UPDATE, DELETE ON memories TO {role}"
        ));

        let seen: Vec<String> = client.column("SELECT id FROM memories ORDER BY id", &[]);
        assert_eq!(
            seen,
            ["episode-live", "fact-live", "key-live", "strategy-live"],
            "{privilege}"
        );
        for statement in [
            "UPDATE memories SET is_deprecated = false WHERE is_deprecated",
            "UPDATE memories SET content = 'x' WHERE id = 'fact-gone'",
            "DELETE FROM memories WHERE id LIKE '%-gone'",
        ] {
            let rows = client.execute(statement, &[]).expect("no error");
            assert_eq!(rows, 0, "{privilege}: {statement}");
        }
    }
}

#[test]
fn those_who_ask_for_it_still_see_a_deprecated_memory() {
    let mut sql = store();
    sql.run("SELECT memory_add('first words', id => 'm', agent_id => 'a'); SELECT memory_add('better words', id => 'n', agent_id => 'a')");
    vote(&mut sql, "m", "helpful", "a");

    let deprecated: bool = sql.one(
        "SELECT memory_deprecate('m', 'there is a better one', 'n', 'a')",
        &[],
    );

    assert!(deprecated);
    let row: Value = sql.one("SELECT to_jsonb(m) FROM memories m WHERE id = 'm'", &[]);
    assert_eq!(
        (
            &row["is_deprecated"],
            &row["superseded_by"],
            &row["deleted_at"]
        ),
        (&json!(true), &json!("n"), &Value::Null),
        "deprecated, not deleted"
    );
    assert!(
        row["deprecated_at"].is_string() && row["deprecated_by"].is_string(),
        "{row}"
    );
    let versions = "SELECT coalesce(jsonb_agg(jsonb_build_array(version, operation, content) ORDER BY version), '[]') FROM memory_history('m', $1)";
    assert_eq!(
        sql.one::<Value>(versions, &[&"a"]),
        json!([[1, "deprecate", "first words"], [2, null, "first words"]])
    );
    assert_eq!(
        sql.one::<Value>(versions, &[&"b"]),
        json!([]),
        "but not who never saw it"
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_votes('m', 'a')", &[]),
        1
    );
    let event: Value = sql.one(
        "SELECT to_jsonb(e) FROM memory_events e WHERE event = 'deprecate'",
        &[],
    );
    assert_eq!(
        (&event["memory_id"], &event["agent_id"], &event["role"]),
        (&json!("m"), &json!("a"), &json!("postgres"))
    );
    assert_eq!(event["payload"]["reason"], "there is a better one");
    assert_eq!(event["payload"]["superseded_by"], "n");

    let again: bool = sql.one("SELECT memory_deprecate('m', agent_id => 'a')", &[]);
    assert!(!again, "it was deprecated already");
    assert!(sql.one::<bool>("SELECT memory_undeprecate('m', 'a')", &[]));
    assert!(!sql.one::<bool>("SELECT memory_undeprecate('m', 'a')", &[]));
    assert_eq!(
        sql.one::<Value>(versions, &[&"a"]),
        json!([
            [1, "deprecate", "first words"],
            [2, "undeprecate", "first words"],
            [3, null, "first words"]
        ])
    );
    let events: Vec<String> = sql.column(
        "SELECT event FROM memory_events WHERE memory_id = 'm' ORDER BY event_id",
        &[],
    );
    assert_eq!(events, ["deprecate", "undeprecate"]);
    assert_counters(&mut sql);
}

#[test]
fn an_undeprecated_memory_is_as_it_was() {
    let mut sql = store();
    sql.run("SELECT memory_add('the lighthouse keeper rows home', id => 'm', metadata => '{\"n\": 1}', key => 'keeper', ttl => '1 day')");
    vote(&mut sql, "m", "helpful", "a");
    let state =
        "SELECT to_jsonb(m) - '{version,updated_at,xmin}'::text[] FROM memories m WHERE id = 'm'";
    let before: Value = sql.one(state, &[]);

    assert!(sql.one::<bool>("SELECT memory_deprecate('m', 'wrong')", &[]));
    assert!(finds(&mut sql, "lighthouse keeper").is_empty());
    assert!(sql.one::<bool>("SELECT memory_undeprecate('m')", &[]));

    assert_eq!(
        sql.one::<Value>(state, &[]),
        before,
        "vector, words, votes, expiry and what equals are found by"
    );
    for mode in ["hybrid", "text", "vector"] {
        assert_eq!(
            sql.column::<String>(
                "SELECT id FROM memory_search('lighthouse keeper', 1, mode => $1)",
                &[&mode]
            ),
            ["m"],
            "{mode}"
        );
    }
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('keeper')", &[]),
        "the lighthouse keeper rows home"
    );
}

#[test]
fn c07_a_memory_added_again_after_its_deprecation_is_alive_and_found() {
    for way in [
        "SELECT memory_add('the oak door sticks')",
        "SELECT memory_add('the oak door sticks', on_duplicate => 'merge', metadata => '{}')",
        "SELECT memory_add('the oak door sticks', on_duplicate => 'error')",
        "SELECT id FROM memory_add_many('[\"the oak door sticks\"]') WHERE NOT deduplicated",
        "SELECT memory_id FROM memory_delta('[{\"operation\": \"add\", \"content\": \"the oak door sticks\"}]')",
    ] {
        let mut sql = store();
        let dead: String = sql.one(
            "SELECT memory_add('the oak door sticks', metadata => '{\"old\": true}')",
            &[],
        );
        sql.run(&format!("SELECT memory_deprecate('{dead}')"));
        assert!(finds(&mut sql, "oak door").is_empty());

        let alive: String = sql.one(way, &[]);

        assert_ne!(alive, dead, "{way}");
        assert_eq!(finds(&mut sql, "oak door"), [alive.as_str()], "{way}");
        assert_eq!(
            sql.one::<Value>("SELECT metadata FROM memory_get($1)", &[&alive]),
            json!({}),
            "{way}: nothing of the deprecated one is in it"
        );
        assert_eq!(
            sql.one::<String>("SELECT memory_add('the oak door sticks')", &[]),
            alive,
            "{way}: and it is what equals meet from now on"
        );
    }
}

#[test]
fn c07_a_key_of_a_deprecated_memory_is_free_again() {
    let mut sql = store();
    let dead: String = sql.one("SELECT memory_kv_set('door', 'oak')", &[]);
    sql.run(&format!("SELECT memory_deprecate('{dead}')"));
    assert!(
        !sql.one::<bool>("SELECT memory_kv_delete('door')", &[]),
        "there is none to delete"
    );

    let alive: String = sql.one("SELECT memory_kv_set('door', 'elm')", &[]);

    assert_ne!(alive, dead);
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('door')", &[]),
        "elm"
    );
    let before = store_hash(&mut sql);
    sql.refused("SELECT memory_undeprecate($1)", &[&dead])
        .is("23505")
        .says("door")
        .well_formed();
    assert_eq!(store_hash(&mut sql), before);

    sql.run("SELECT memory_kv_delete('door')");
    assert!(sql.one::<bool>("SELECT memory_undeprecate($1)", &[&dead]));
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('door')", &[]),
        "oak"
    );
}

#[test]
fn c07_undeprecating_beside_a_live_equal_is_a_conflict() {
    let mut sql = store();
    let dead: String = sql.one("SELECT memory_add('the oak door sticks')", &[]);
    sql.run(&format!("SELECT memory_deprecate('{dead}')"));
    let alive: String = sql.one("SELECT memory_add('the  oak door sticks')", &[]);
    let before = store_hash(&mut sql);

    sql.refused("SELECT memory_undeprecate($1)", &[&dead])
        .is("23505")
        .says(&alive)
        .well_formed();
    assert_eq!(store_hash(&mut sql), before);

    expire(&mut sql, &alive);
    assert!(
        sql.one::<bool>("SELECT memory_undeprecate($1)", &[&dead]),
        "a dead equal is not in the way"
    );
    assert_eq!(finds(&mut sql, "oak door"), [dead.as_str()]);
}

#[test]
fn what_supersedes_must_be_another_live_memory_that_one_sees() {
    let mut sql = store();
    three_agents(&mut sql);
    sql.run(
        "SELECT memory_add('words deleted', id => 'deleted'); SELECT memory_delete('deleted');
         SELECT memory_add('words expired', id => 'expired');
         SELECT memory_add('words deprecated', id => 'deprecated'); SELECT memory_deprecate('deprecated');
         SELECT memory_add('words elsewhere', id => 'elsewhere', project_id => 'other')",
    );
    expire(&mut sql, "expired");
    let before = store_hash(&mut sql);

    for other in [
        "deleted",
        "expired",
        "deprecated",
        "elsewhere",
        "no such id",
        "bob-private",
        "bob-to-carol",
    ] {
        sql.refused(
            "SELECT memory_deprecate('alice-private', superseded_by => $1, agent_id => 'alice')",
            &[&other],
        )
        .is("P0002")
        .says(other)
        .well_formed();
    }
    sql.refused(
        "SELECT memory_deprecate('global', superseded_by => 'global')",
        &[],
    )
    .is("22023")
    .says("superseded_by")
    .well_formed();
    assert_eq!(store_hash(&mut sql), before);

    for other in ["bob-to-alice", "global"] {
        assert!(sql.one::<bool>(
            "SELECT memory_deprecate('alice-private', superseded_by => $1, agent_id => 'alice')",
            &[&other]
        ));
        sql.run("SELECT memory_undeprecate('alice-private', 'alice')");
    }
}

#[test]
fn supersession_makes_chains_but_no_cycles() {
    let mut sql = store();
    for id in ["a", "b", "c"] {
        sql.run(&format!("SELECT memory_add('version {id}', id => '{id}')"));
    }
    sql.run("SELECT memory_deprecate('a', superseded_by => 'b')");
    sql.run("SELECT memory_deprecate('b', superseded_by => 'c')");
    let before = store_hash(&mut sql);

    for back in ["a", "b", "c"] {
        let refusal = sql
            .refused(
                "SELECT memory_deprecate('c', superseded_by => $1)",
                &[&back],
            )
            .well_formed();
        // Each of them lies in the chain to c, and each but c itself is no live memory either.
        assert!(
            ["22023", "P0002"].contains(&refusal.sqlstate.as_str()),
            "{refusal:?}"
        );
    }
    assert_eq!(store_hash(&mut sql), before);

    let chain: Vec<String> = sql.column(
        "WITH RECURSIVE chain AS (SELECT 'a' COLLATE \"C\" AS id, 0 AS step UNION ALL SELECT m.superseded_by, step + 1 FROM chain JOIN memories m USING (id) WHERE step < 9)
         SELECT id FROM chain WHERE id IS NOT NULL ORDER BY step",
        &[],
    );
    assert_eq!(chain, ["a", "b", "c"]);
}

// --- who may

#[test]
fn deprecating_is_for_those_who_may_change_the_memory() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    owner.run("SELECT memory_add('words of p', id => 'in-p', project_id => 'p')");
    let (_, mut alice) = granted(&database, "default", "write", Some("alice"));
    let (_, mut reader) = granted(&database, "default", "read", None);
    let before = store_hash(&mut owner);

    for function in ["memory_deprecate", "memory_undeprecate"] {
        for (id, sqlstate) in [
            ("bob-private", "P0002"),
            ("bob-to-carol", "P0002"),
            ("bob-to-alice", "42501"),
            ("bob-global", "42501"),
            ("global", "42501"),
            ("in-p", "P0002"),
        ] {
            alice
                .refused(&format!("SELECT {function}($1)"), &[&id])
                .is(sqlstate)
                .keeps("words")
                .well_formed();
        }
        for agent in ["bob", "*"] {
            alice
                .refused(
                    &format!("SELECT {function}('alice-private', agent_id => $1)"),
                    &[&agent],
                )
                .is("42501");
        }
        reader
            .refused(&format!("SELECT {function}('global')"), &[])
            .is("42501");
    }
    assert_eq!(store_hash(&mut owner), before);

    assert!(alice.one::<bool>(
        "SELECT memory_deprecate('alice-to-bob', 'mine to say')",
        &[]
    ));
    let (_, mut bob) = granted(&database, "default", "write", Some("bob"));
    let refusal = bob.refused("SELECT memory_undeprecate('alice-to-bob')", &[]);
    assert!(
        ["42501", "P0002"].contains(&refusal.sqlstate.as_str()),
        "what alice has shared is not bob's to bring back: {refusal:?}"
    );
    assert!(alice.one::<bool>("SELECT memory_undeprecate('alice-to-bob')", &[]));
}

#[test]
fn one_of_concurrent_deprecations_is_true_and_leaves_one_version_and_event() {
    let database = database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('contested', id => 'm')");

    for (function, event) in [
        ("memory_deprecate", "deprecate"),
        ("memory_undeprecate", "undeprecate"),
    ] {
        let outcomes = together(8, |_, start| {
            let mut sql = database.connect();
            start.wait();
            sql.one::<bool>(&format!("SELECT {function}('m')"), &[])
        });

        assert_eq!(
            outcomes.iter().filter(|outcome| **outcome).count(),
            1,
            "{function}: {outcomes:?}"
        );
        for source in [
            "memory_events WHERE event = $1",
            "memory_history('m') WHERE operation = $1",
        ] {
            assert_eq!(
                sql.one::<i64>(&format!("SELECT count(*) FROM {source}"), &[&event]),
                1,
                "{function}: {source}"
            );
        }
    }
    assert_eq!(
        sql.one::<i32>("SELECT version FROM memory_get('m')", &[]),
        3
    );
}

#[test]
fn adding_again_while_it_is_deprecated_always_leaves_one_live_memory() {
    let database = database();

    together(4, |number, start| {
        let mut sql = database.connect();
        start.wait();
        for _ in 0..25 {
            if number == 0 {
                sql.run("SELECT memory_deprecate(id) FROM memories WHERE content = 'again' AND NOT is_deprecated");
            } else {
                sql.one::<String>("SELECT memory_add('again')", &[]);
            }
        }
    });

    let mut sql = database.connect();
    let id: String = sql.one("SELECT memory_add('again')", &[]);
    assert_eq!(
        sql.column::<String>("SELECT id FROM memory_list()", &[]),
        [id]
    );
}

#[test]
fn forgetting_reaches_what_is_deprecated() {
    let mut sql = store();
    sql.run("SELECT memory_add('Mallory lives in Zanzibar', user_id => 'mallory', id => 'm')");
    vote(&mut sql, "m", "helpful", "a");
    sql.run("SELECT memory_deprecate('m', 'moved')");

    let receipt: Value = sql.one(
        "SELECT memory_forget(user_id => 'mallory', reason => 'asked')",
        &[],
    );

    assert_eq!(receipt["memories"], 1, "{receipt}");
    for table in support::store_tables(&mut sql) {
        let left: i64 = sql.one(
            &format!("SELECT count(*) FROM {table} t WHERE t::text LIKE '%Zanzibar%'"),
            &[],
        );
        assert_eq!(left, 0, "{table}");
    }
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM vote_history", &[]), 0);
}

#[test]
fn a_vote_before_the_deprecation_counts_after_it() {
    let mut sql = store();
    sql.run("SELECT memory_add('measure twice', id => 'm')");
    vote(&mut sql, "m", "helpful", "a");
    sql.run("SELECT memory_deprecate('m')");
    sql.refused("SELECT * FROM memory_vote('m', 'harmful', 'b')", &[])
        .is("P0002");
    sql.run("SELECT memory_undeprecate('m')");
    vote(&mut sql, "m", "harmful", "b");

    assert_eq!(counters(&mut sql, "m"), (1, 1));
    assert_counters(&mut sql);
}

// --- bad input

#[test]
fn bad_input_is_refused_and_nothing_is_deprecated() {
    let mut sql = store();
    sql.run("SELECT memory_add('one', id => 'one'); SELECT memory_add('two', id => 'two'); SELECT memory_add('gone', id => 'gone'); SELECT memory_deprecate('gone')");
    refuse_all(
        &mut sql,
        r#"
        22023 | id, NULL | | SELECT memory_deprecate(NULL)
        22023 | id, blank | | SELECT memory_deprecate('')
        22023 | id, blank | | SELECT memory_deprecate(E' \n')
        22023 | id, 10240, 255 | | SELECT memory_deprecate(repeat('i', 10240))
        P0002 | no such id | | SELECT memory_deprecate('no such id')
        P0002 | one | | SELECT memory_deprecate('one', project_id => 'other')
        22023 | superseded_by, blank | | SELECT memory_deprecate('one', superseded_by => '')
        22023 | superseded_by, 10240, 255 | | SELECT memory_deprecate('one', superseded_by => repeat('i', 10240))
        P0002 | no such id | | SELECT memory_deprecate('one', superseded_by => 'no such id')
        22023 | superseded_by | | SELECT memory_deprecate('one', superseded_by => 'one')
        22023 | agent_id, blank | | SELECT memory_deprecate('one', agent_id => '')
        22023 | project_id, * | | SELECT memory_deprecate('one', project_id => '*')
        22021 | | | SELECT memory_deprecate('one', E'bad \xff byte')
        22023 | id, NULL | | SELECT memory_undeprecate(NULL)
        22023 | id, blank | | SELECT memory_undeprecate('')
        22023 | id, 10240, 255 | | SELECT memory_undeprecate(repeat('i', 10240))
        P0002 | no such id | | SELECT memory_undeprecate('no such id')
        P0002 | gone | | SELECT memory_undeprecate('gone', project_id => 'other')
        "#,
    );
}

#[test]
fn sql_fragments_as_ids_and_reasons_are_only_text() {
    let mut sql = store();
    for fragment in FRAGMENTS {
        sql.execute("SELECT memory_add('old', id => $1 || '1', agent_id => $1, project_id => $1), memory_add('new', id => $1, agent_id => $1, project_id => $1)", &[fragment])
            .expect("added");
        assert!(
            sql.one::<bool>(
                "SELECT memory_deprecate($1 || '1', $1, $1, $1, $1)",
                &[fragment]
            ),
            "{fragment:?}"
        );
        let kept: bool = sql.one(
            "SELECT superseded_by = $1 AND (SELECT payload ->> 'reason' = $1 FROM memory_events WHERE event = 'deprecate' AND project_id = $1)
             FROM memories WHERE project_id = $1 AND is_deprecated",
            &[fragment],
        );
        assert!(kept, "{fragment:?}");
        assert!(
            sql.one::<bool>("SELECT memory_undeprecate($1 || '1', $1, $1)", &[fragment]),
            "{fragment:?}"
        );
    }
}
