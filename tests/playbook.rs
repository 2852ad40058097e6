//! The playbook: full pages under every filter, ranked by what votes prove, now and as it was.

mod support;

use std::collections::BTreeSet;

use postgres::Client;
use serde_json::{Value, json};
use support::agents::three_agents;
use support::cases::{FRAGMENTS, refuse_all};
use support::votes::{
    add_at, age, at, clock, confidence, effectiveness, expire, space, vote, votes,
};
use support::{Sql, database, granted, store, store_hash};

fn ids(sql: &mut Client, arguments: &str) -> Vec<String> {
    sql.column(&format!("SELECT id FROM memory_playbook({arguments})"), &[])
}

/// One number of every row, by id.
fn numbers(sql: &mut Client, column: &str, arguments: &str) -> Vec<(String, f64)> {
    let rows = sql
        .query(
            &format!("SELECT id, ({column})::float8 FROM memory_playbook({arguments})"),
            &[],
        )
        .unwrap_or_else(|error| panic!("{arguments}: {error:?}"));
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}

fn near(got: f64, expected: f64) -> bool {
    (got - expected).abs() < 1e-6
}

// --- full pages

/// 480 memories of three types, in six namespaces, of five tasks or none, some of an agent's own, and votes on a third of them.
fn many() -> Client {
    let mut sql = store();
    sql.run(
        "SELECT * FROM memory_add_many((SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('content', 'lesson ' || i || ' about ' || md5(i::text),
            'memory_type', (ARRAY['strategy', 'reflection', 'standard'])[1 + i % 3], 'namespace', 'n' || i % 6, 'agent_id', CASE WHEN i % 8 = 0 THEN 'a' END,
            'metadata', jsonb_strip_nulls(jsonb_build_object('n', i, 'group', i % 40, 'task_type', CASE WHEN i % 2 = 0 THEN 't' || i % 5 END))))) FROM generate_series(1, 480) i))",
    );
    sql.run("SELECT memory_vote(id, 'helpful', 'v1') FROM memories WHERE (metadata ->> 'n')::int % 3 = 0 AND agent_id IS NULL");
    sql.run("SELECT memory_vote(id, 'harmful', 'v2') FROM memories WHERE (metadata ->> 'n')::int % 5 = 0 AND agent_id IS NULL");
    sql.run("SELECT memory_vote(id, 'harmful', 'v3') FROM memories WHERE (metadata ->> 'n')::int % 7 = 0 AND agent_id IS NULL");
    sql
}

#[test]
fn c02_pages_are_full_under_every_filter() {
    const SCORE: &str =
        "(bullet_helpful - bullet_harmful)::float8 / (bullet_helpful + bullet_harmful + 1)";
    let mut sql = many();
    let default = "memory_type IN ('strategy', 'reflection') AND agent_id IS NULL";

    for (filter, holds) in [
        ("", default.to_owned()),
        (
            ", namespace => 'n1'",
            format!("{default} AND namespace = 'n1'"),
        ),
        (
            ", memory_types => '{standard}'",
            "memory_type = 'standard' AND agent_id IS NULL".to_owned(),
        ),
        (
            ", memory_types => '{reflection}', namespace => 'n4'",
            "memory_type = 'reflection' AND namespace = 'n4' AND agent_id IS NULL".to_owned(),
        ),
        (
            ", task_type => 't3'",
            format!(
                "{default} AND (metadata ->> 'task_type' = 't3' OR NOT metadata ? 'task_type')"
            ),
        ),
        (
            ", task_type => 'no such task'",
            format!("{default} AND NOT metadata ? 'task_type'"),
        ),
        (
            ", metadata => '{\"group\": 7}'",
            format!("{default} AND metadata @> '{{\"group\": 7}}'"),
        ),
        (
            ", filter => '{\"n\": {\"$gte\": 455}}'",
            format!("{default} AND (metadata ->> 'n')::int >= 455"),
        ),
        (
            ", min_effectiveness => 0",
            format!("{default} AND {SCORE} >= 0"),
        ),
        (
            ", min_effectiveness => 0.5",
            format!("{default} AND {SCORE} >= 0.5"),
        ),
        (
            ", min_effectiveness => -0.5",
            format!("{default} AND {SCORE} >= -0.5"),
        ),
        (", min_effectiveness => -1", default.to_owned()),
        (
            ", min_effectiveness => 0.51",
            format!("{default} AND {SCORE} >= 0.51"),
        ),
        (
            ", agent_id => 'a'",
            "memory_type IN ('strategy', 'reflection')".to_owned(),
        ),
        (", agent_id => 'b'", default.to_owned()),
        (
            ", task_type => 't4', min_effectiveness => 0.3, filter => '{\"group\": {\"$lt\": 30}}', namespace => 'n0', memory_types => '{strategy,reflection,standard}'",
            format!(
                "agent_id IS NULL AND namespace = 'n0' AND (metadata ->> 'task_type' = 't4' OR NOT metadata ? 'task_type') AND {SCORE} >= 0.3 AND (metadata ->> 'group')::int < 30"
            ),
        ),
    ] {
        let matching: BTreeSet<String> = sql
            .column(&format!("SELECT id FROM memories WHERE {holds}"), &[])
            .into_iter()
            .collect();
        for k in [1, 20, 1000] {
            for query in [
                "",
                "'which lesson was about migrations?', ",
                "embedding => memory_embed('something else'), ",
            ] {
                let found = ids(&mut sql, &format!("{query}k => {k}{filter}"));
                let distinct: BTreeSet<String> = found.iter().cloned().collect();
                assert_eq!(found.len(), k.min(matching.len()), "k {k} {query}{filter}");
                assert_eq!(distinct.len(), found.len(), "k {k} {query}{filter}");
                assert!(distinct.is_subset(&matching), "k {k} {query}{filter}");
            }
        }
    }
    assert_eq!(ids(&mut sql, "").len(), 20, "k is 20 unless given");
}

#[test]
fn c02_what_has_expired_takes_no_place_on_the_page() {
    let mut sql = store();
    sql.run("SELECT memory_add('lesson ' || i, memory_type => 'strategy', ttl => '1 day', id => 'm' || i) FROM generate_series(1, 60) i");
    sql.run("SELECT memory_vote('m' || i, 'helpful', 'v') FROM generate_series(1, 60) i WHERE i % 2 = 0");
    sql.run("UPDATE memories SET expires_at = now() - interval '1 second' WHERE substr(id, 2)::int % 2 = 0");

    for query in ["", "'lesson', "] {
        let found = ids(&mut sql, &format!("{query}k => 30"));
        assert_eq!(found.len(), 30, "{query}");
        assert!(
            found
                .iter()
                .all(|id| !id[1..].parse::<u32>().expect("a number").is_multiple_of(2)),
            "{query}: {found:?}"
        );
    }
}

#[test]
fn c02_min_effectiveness_is_the_least_that_is_shown() {
    let mut sql = store();
    let tallies = [
        ("unproven", 0, 0),
        ("good", 3, 0),
        ("mixed", 2, 2),
        ("poor", 1, 2),
        ("bad", 0, 3),
    ];
    for (id, helpful, harmful) in tallies {
        sql.run(&format!(
            "SELECT memory_add('lesson {id}', memory_type => 'strategy', id => '{id}')"
        ));
        votes(&mut sql, id, helpful, harmful);
    }

    for least in [-1.0, -0.75, -0.7499, -0.25, 0.0, 0.0001, 0.75, 0.7501, 1.0] {
        for query in ["", "'lesson', "] {
            let found: BTreeSet<String> =
                ids(&mut sql, &format!("{query}min_effectiveness => {least}"))
                    .into_iter()
                    .collect();
            let expected: BTreeSet<String> = tallies
                .iter()
                .filter(|(_, helpful, harmful)| {
                    effectiveness(*helpful as i32, *harmful as i32) >= least
                })
                .map(|(id, ..)| (*id).to_owned())
                .collect();
            assert_eq!(found, expected, "{query}{least}");
        }
    }
}

// --- ranking

#[test]
fn without_a_query_the_best_proven_come_first() {
    let mut sql = store();
    // Ten of ten is better proven than one of one, though the share is the same; nothing is known of the one without votes.
    let tallies = [
        ("ten", 10, 0),
        ("nine of ten", 9, 1),
        ("one", 1, 0),
        ("two of four", 2, 2),
        ("none", 0, 0),
        ("bad", 0, 4),
    ];
    for (id, helpful, harmful) in tallies.iter().rev() {
        sql.run(&format!(
            "SELECT memory_add('lesson {id}', memory_type => 'strategy', id => '{id}')"
        ));
        votes(&mut sql, id, *helpful, *harmful);
    }

    let rows = sql
        .query("SELECT id, score, relevance, effectiveness_score, confidence, bullet_helpful, bullet_harmful FROM memory_playbook()", &[])
        .expect("a playbook");

    assert_eq!(rows.len(), tallies.len());
    let mut last = f64::INFINITY;
    for row in &rows {
        let id: String = row.get(0);
        let (score, relevance): (f64, Option<f64>) = (row.get(1), row.get(2));
        let (_, helpful, harmful) = tallies
            .iter()
            .find(|(name, ..)| *name == id)
            .expect("one of them");
        let (helpful, harmful) = (*helpful as i32, *harmful as i32);
        assert_eq!(
            (row.get::<_, i32>(5), row.get::<_, i32>(6)),
            (helpful, harmful),
            "{id}"
        );
        assert!(near(row.get(3), effectiveness(helpful, harmful)), "{id}");
        assert!(
            near(row.get(4), confidence(helpful, harmful)),
            "{id}: {}",
            row.get::<_, f64>(4)
        );
        assert!(
            relevance.is_none() && near(score, row.get(4)),
            "{id}: no query, no relevance"
        );
        assert!(score <= last, "{id}");
        last = score;
    }
    assert_eq!(rows[0].get::<_, String>(0), "ten");
    assert_eq!(rows[rows.len() - 1].get::<_, String>(0), "bad");
}

#[test]
fn equal_scores_are_ordered_by_time_then_id() {
    let mut sql = store();
    sql.run("SELECT memory_add('the old', memory_type => 'strategy', id => 'a-old')");
    sql.run("SELECT memory_add('twins, ' || name, memory_type => 'strategy', id => name) FROM unnest('{c,b,d}'::text[]) name");
    sql.run("SELECT memory_add('the new', memory_type => 'reflection', id => 'z-new')");
    age(&mut sql, "a-old", 1);

    let found = ids(&mut sql, "");
    assert_eq!(
        (found[0].as_str(), found[4].as_str()),
        ("z-new", "a-old"),
        "the newest first"
    );
    let mut by_id = found.clone();
    by_id[1..4].sort();
    assert!(
        found == by_id || found[1..4].iter().rev().eq(by_id[1..4].iter()),
        "of one time: by id, {found:?}"
    );
    assert_eq!(
        ids(&mut sql, "k => 2"),
        found[..2],
        "a shorter page is the beginning of a longer one"
    );
}

#[test]
fn a_score_is_relevance_and_confidence_in_the_share_that_is_set() {
    let mut sql = store();
    for (id, content, helpful, harmful) in [
        ("fits", "rotate the database password every month", 0, 1),
        ("half", "rotate the logs every night", 3, 0),
        ("far", "the coffee machine needs descaling", 9, 0),
    ] {
        sql.run(&format!(
            "SELECT memory_add('{content}', memory_type => 'strategy', id => '{id}')"
        ));
        votes(&mut sql, id, helpful, harmful);
    }
    let query = "'rotate the database password'";

    for (setting, share) in [
        ("", 0.3),
        ("SET memory_ext.effectiveness_weight = 0", 0.0),
        ("SET memory_ext.effectiveness_weight = 0.65", 0.65),
        ("SET memory_ext.effectiveness_weight = 1", 1.0),
    ] {
        sql.run(setting);
        let scores = numbers(&mut sql, "score", query);
        let relevance = numbers(&mut sql, "relevance", query);
        let proven = numbers(&mut sql, "confidence", query);
        assert_eq!(scores.len(), 3);
        assert!(
            scores.is_sorted_by(|one, next| one.1 >= next.1),
            "best first: {scores:?}"
        );
        for ((score, relevance), proven) in scores.iter().zip(&relevance).zip(&proven) {
            assert!((0.0..=1.0).contains(&relevance.1), "{relevance:?}");
            let expected = relevance.1 * (1.0 - share) + proven.1 * share;
            assert!(
                near(score.1, expected),
                "{share}: {score:?} is not {expected}"
            );
        }
        let first = scores[0].0.as_str();
        assert_eq!(first == "fits", share < 0.5, "{share}: {scores:?}");
    }
    assert_eq!(ids(&mut sql, query)[0], "far", "only what is proven counts");
    sql.run("RESET memory_ext.effectiveness_weight");
    for refused in ["1.5", "-0.1", "'NaN'", "'much'"] {
        sql.refused(
            &format!("SET memory_ext.effectiveness_weight = {refused}"),
            &[],
        )
        .is("22023");
    }
    assert_eq!(ids(&mut sql, query)[0], "fits");
}

#[test]
fn a_vector_asks_as_well_as_words() {
    let mut sql = space().connect();
    for (id, degrees) in [("north", 90.0), ("east", 0.0), ("north-east", 45.0)] {
        add_at(&mut sql, id, degrees, "memory_type => 'strategy'");
    }

    let found = ids(&mut sql, &format!("embedding => {}", at(5.0)));
    assert_eq!(found, ["east", "north-east", "north"]);
    let found = numbers(
        &mut sql,
        "relevance",
        &format!("embedding => {}, k => 1", at(88.0)),
    );
    assert_eq!(found[0].0, "north");
}

// --- what a playbook shows

#[test]
fn a_playbook_shows_its_columns_and_strategies_and_reflections_unless_told_otherwise() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('a strategy', memory_type => 'strategy', id => 's', agent_id => 'a', scope => 'global', namespace => 'n', metadata => '{\"task_type\": \"t\"}');
         SELECT memory_reflect('a reflection', error_pattern => 'E42'); SELECT memory_add('a fact', memory_type => 'semantic', id => 'f')",
    );

    let types: BTreeSet<String> = sql
        .column("SELECT memory_type FROM memory_playbook()", &[])
        .into_iter()
        .collect();
    assert_eq!(
        types,
        BTreeSet::from(["reflection".to_owned(), "strategy".to_owned()])
    );
    let row: Value = sql.one(
        "SELECT to_jsonb(p) FROM memory_playbook() p WHERE id = 's'",
        &[],
    );
    let mut keys: Vec<&str> = row
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    assert_eq!(
        keys,
        [
            "agent_id",
            "bullet_harmful",
            "bullet_helpful",
            "confidence",
            "content",
            "created_at",
            "effectiveness_score",
            "error_pattern",
            "id",
            "memory_type",
            "metadata",
            "namespace",
            "relevance",
            "score"
        ]
    );
    assert_eq!(
        (&row["content"], &row["agent_id"], &row["namespace"]),
        (&json!("a strategy"), &json!("a"), &json!("n"))
    );
    assert_eq!(
        (&row["metadata"], &row["error_pattern"]),
        (&json!({"task_type": "t"}), &Value::Null)
    );
    assert_eq!(
        sql.column::<Option<String>>(
            "SELECT error_pattern FROM memory_playbook(memory_types => '{reflection}')",
            &[]
        ),
        [Some("E42".to_owned())]
    );
    assert_eq!(ids(&mut sql, "memory_types => '{semantic}'"), ["f"]);
    assert_eq!(ids(&mut sql, "project_id => 'other'"), [""; 0]);
}

#[test]
fn a_playbook_is_read_as_an_agent_and_writes_nothing() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    owner.run("UPDATE memories SET memory_type = 'strategy'; SELECT memory_add('a secret of bob', agent_id => 'bob', scope => 'global', memory_type => 'strategy', sensitive => true, id => 'secret')");
    let (_, mut alice) = granted(&database, "default", "read", Some("alice"));
    let before = store_hash(&mut owner);
    let mine = [
        "alice-private",
        "alice-to-bob",
        "bob-global",
        "bob-to-alice",
        "global",
    ]
    .map(str::to_owned);

    alice.run("SET default_transaction_read_only = on");
    for arguments in [
        "",
        "agent_id => 'alice'",
        "query => 'words'",
        "embedding => memory_embed('words')",
    ] {
        let found: BTreeSet<String> = ids(&mut alice, arguments)
            .into_iter()
            .filter(|id| id != "secret")
            .collect();
        assert_eq!(found, mine.clone().into(), "{arguments}");
        let told: Option<String> = alice.one(
            &format!("SELECT string_agg(content, ' ') FROM memory_playbook({arguments})"),
            &[],
        );
        assert!(
            !told.expect("contents").contains("a secret of bob"),
            "{arguments}"
        );
    }
    for claimed in ["bob", "*"] {
        alice
            .refused("SELECT * FROM memory_playbook(agent_id => $1)", &[&claimed])
            .is("42501");
    }
    let all = ids(&mut owner, "k => 50, agent_id => '*'");
    assert_eq!(all.iter().filter(|id| *id != "secret").count(), 7);
    assert_eq!(store_hash(&mut owner), before);
}

// --- as it was

#[test]
fn c02_the_playbook_of_an_earlier_time_is_as_it_was_then() {
    let mut sql = store();
    let before_all = clock(&mut sql);
    sql.run("SELECT memory_add('ask for the invoice number first', memory_type => 'strategy', id => 'm', metadata => '{\"task_type\": \"billing\"}')");
    sql.run("SELECT memory_add('close the ledger at noon', memory_type => 'strategy', id => 'n')");
    vote(&mut sql, "m", "helpful", "a");
    let first = clock(&mut sql);
    vote(&mut sql, "m", "harmful", "a");
    sql.run("SELECT memory_update('m', 'ask for the customer number first', metadata => '{\"task_type\": \"support\"}')");
    sql.run("SELECT memory_deprecate('n', 'the ledger is gone')");
    let second = clock(&mut sql);
    vote(&mut sql, "m", "harmful", "b");
    vote(&mut sql, "m", "helpful", "a");
    sql.run("SELECT memory_undeprecate('n')");
    sql.run("SELECT memory_add('a newcomer', memory_type => 'strategy', id => 'late')");
    let third = clock(&mut sql);
    sql.run("SELECT memory_delete('m')");
    sql.run("SELECT memory_update('late', memory_type => 'standard')");
    let fourth = clock(&mut sql);

    let then = |sql: &mut Client, time: &str, arguments: &str| -> Value {
        sql.one(
            &format!(
                "SELECT coalesce(jsonb_agg(jsonb_build_array(id, content, metadata ->> 'task_type', bullet_helpful, bullet_harmful) ORDER BY id), '[]')
                 FROM memory_playbook(as_of => '{time}'{arguments})"
            ),
            &[],
        )
    };
    let old = json!(["m", "ask for the invoice number first", "billing", 1, 0]);
    let changed = json!(["m", "ask for the customer number first", "support", 0, 1]);
    let voted = json!(["m", "ask for the customer number first", "support", 1, 1]);
    let n = json!(["n", "close the ledger at noon", null, 0, 0]);
    let late = json!(["late", "a newcomer", null, 0, 0]);
    for (time, expected) in [
        ("-infinity", json!([])),
        (before_all.as_str(), json!([])),
        (first.as_str(), json!([old, n])),
        (second.as_str(), json!([changed])),
        (third.as_str(), json!([late, voted, n])),
        (fourth.as_str(), json!([n])),
    ] {
        assert_eq!(then(&mut sql, time, ""), expected, "{time}");
    }
    assert_eq!(ids(&mut sql, ""), ["n"], "and now");

    // Filters, votes and words are those of that time too.
    assert_eq!(
        then(&mut sql, &first, ", min_effectiveness => 0.5"),
        json!([old])
    );
    assert_eq!(
        then(&mut sql, &second, ", min_effectiveness => 0"),
        json!([])
    );
    assert_eq!(
        then(&mut sql, &first, ", task_type => 'support'"),
        json!([n])
    );
    assert_eq!(
        then(
            &mut sql,
            &second,
            ", metadata => '{\"task_type\": \"support\"}'"
        ),
        json!([changed])
    );
    assert_eq!(
        then(&mut sql, &third, ", memory_types => '{standard}'"),
        json!([])
    );
    let best = ids(
        &mut sql,
        &format!("'ask for the invoice number', k => 1, as_of => '{first}'"),
    );
    assert_eq!(best, ["m"]);
    let score = numbers(&mut sql, "confidence", &format!("as_of => '{second}'"));
    assert!(near(score[0].1, confidence(0, 1)), "{score:?}");
}

#[test]
fn c02_expiry_is_that_of_the_time_too() {
    let mut sql = store();
    sql.run("SELECT memory_add('ends between', memory_type => 'strategy', id => 'ends')");
    sql.run("SELECT memory_add('comes back', memory_type => 'strategy', id => 'back')");
    expire(&mut sql, "back");
    let first = clock(&mut sql);
    expire(&mut sql, "ends");
    sql.run("UPDATE memories SET expires_at = NULL WHERE id = 'back'");

    assert_eq!(ids(&mut sql, &format!("as_of => '{first}'")), ["ends"]);
    assert_eq!(ids(&mut sql, ""), ["back"]);
}

#[test]
fn c02_pages_of_an_earlier_time_are_full() {
    let mut sql = store();
    sql.run("SELECT memory_add('lesson ' || i, memory_type => 'strategy', id => 'm' || i) FROM generate_series(1, 90) i");
    sql.run("SELECT memory_vote('m' || i, 'helpful', 'v') FROM generate_series(1, 90) i WHERE i % 3 = 0");
    let first = clock(&mut sql);
    sql.run("SELECT memory_update('m' || i, 'changed ' || i) FROM generate_series(1, 30) i");
    sql.run("SELECT memory_deprecate('m' || i) FROM generate_series(31, 60) i");
    sql.run("SELECT memory_delete('m' || i) FROM generate_series(61, 90) i");
    sql.run(
        "SELECT memory_add('new ' || i, memory_type => 'strategy') FROM generate_series(1, 50) i",
    );

    for query in ["", "'lesson', "] {
        let found: BTreeSet<String> =
            ids(&mut sql, &format!("{query}k => 1000, as_of => '{first}'"))
                .into_iter()
                .collect();
        assert_eq!(
            found,
            (1..=90).map(|number| format!("m{number}")).collect(),
            "{query}"
        );
        let proven = ids(
            &mut sql,
            &format!("{query}k => 30, min_effectiveness => 0.5, as_of => '{first}'"),
        );
        assert_eq!(proven.len(), 30, "{query}");
    }
}

#[test]
fn an_earlier_time_tells_nothing_that_is_hidden_now() {
    let mut sql = store();
    sql.run("SELECT memory_add('the vault code is quokka', memory_type => 'strategy', id => 'secret', agent_id => 'bob', scope => 'global')");
    sql.run("SELECT memory_add('bob told everybody once', memory_type => 'strategy', id => 'private', agent_id => 'bob', scope => 'global')");
    sql.run("SELECT memory_add('bob asked to be forgotten', memory_type => 'strategy', id => 'forgotten', agent_id => 'bob', scope => 'global')");
    let first = clock(&mut sql);
    sql.run("SELECT memory_update('secret', sensitive => true, agent_id => 'bob')");
    sql.run("SELECT memory_update('private', scope => 'agent-private', agent_id => 'bob')");
    sql.run("SELECT memory_forget(ids => '{forgotten}', reason => 'asked')");

    for arguments in ["", "query => 'vault code quokka bob told everybody', "] {
        for agent in ["", "agent_id => 'alice', ", "agent_id => '*', "] {
            let told: Option<String> = sql.one(&format!("SELECT string_agg(content, ' ') FROM memory_playbook({arguments}{agent}as_of => '{first}')"), &[]);
            let told = told.unwrap_or_default();
            assert!(
                !told.contains("quokka") && !told.contains("forgotten"),
                "{agent}: {told}"
            );
            assert_eq!(
                told.contains("told everybody"),
                agent.contains('*'),
                "{agent}: {told}"
            );
        }
    }
}

// --- decay

#[test]
fn decay_fades_the_score_by_the_half_life_of_its_type() {
    let mut sql = store();
    sql.run("INSERT INTO memory_types (memory_type, half_life_days, description) VALUES ('lasting', NULL, 'never fades'), ('brief', 2, 'fades fast')");
    for (memory_type, days) in [
        ("strategy", 90),
        ("reflection", 60),
        ("episodic", 14),
        ("control", 90),
        ("lasting", 3000),
        ("brief", 2),
        ("standard", 0),
    ] {
        sql.run(&format!("SELECT memory_add('lesson of {memory_type}', memory_type => '{memory_type}', id => '{memory_type}')"));
        age(&mut sql, memory_type, days);
    }
    let all = "memory_types => '{strategy,reflection,episodic,control,lasting,brief,standard}'";
    let factors = [
        ("strategy", 0.5),
        ("reflection", 0.5),
        ("episodic", 0.25),
        ("control", 0.5f64.sqrt()),
        ("lasting", 1.0),
        ("brief", 0.5),
        ("standard", 1.0),
    ];

    for query in ["", "'lesson', "] {
        let arguments = format!("{query}{all}");
        sql.run("SET memory_ext.decay = off");
        let off = numbers(&mut sql, "score", &arguments);
        sql.run("SET memory_ext.decay = on");
        let on = numbers(&mut sql, "score", &arguments);
        assert_eq!((off.len(), on.len()), (7, 7));
        assert!(on.is_sorted_by(|one, next| one.1 >= next.1), "{on:?}");
        for (id, factor) in factors {
            let of = |scores: &[(String, f64)]| {
                scores.iter().find(|(name, _)| name == id).expect("there").1
            };
            assert!(
                (of(&on) - of(&off) * factor).abs() < 1e-4,
                "{query}{id}: {} {} {factor}",
                of(&on),
                of(&off)
            );
        }
    }
    sql.run("RESET memory_ext.decay");
    assert!(
        near(
            numbers(&mut sql, "score", "memory_types => '{brief}'")[0].1,
            confidence(0, 0)
        ),
        "it is off unless set"
    );
}

#[test]
fn decay_fades_searches_too() {
    let mut sql = store();
    for (id, memory_type, days) in [
        ("fresh", "episodic", 0),
        ("week", "episodic", 7),
        ("fact", "semantic", 45),
        ("habit", "procedural", 180),
    ] {
        sql.run(&format!("SELECT memory_add('the mast of the ship, {id}', memory_type => '{memory_type}', id => '{id}')"));
        age(&mut sql, id, days);
    }
    let scores = |sql: &mut Client, mode: &str| -> Vec<(String, f64)> {
        let rows = sql
            .query(
                "SELECT id, score FROM memory_search('the mast', 10, mode => $1)",
                &[&mode],
            )
            .expect("found");
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    };

    for mode in ["hybrid", "text", "vector"] {
        sql.run("SET memory_ext.decay = off");
        let off = scores(&mut sql, mode);
        sql.run("SET memory_ext.decay = on");
        let on = scores(&mut sql, mode);
        assert_eq!((off.len(), on.len()), (4, 4), "{mode}");
        assert!(
            on.is_sorted_by(|one, next| one.1 >= next.1),
            "{mode}: {on:?}"
        );
        for (id, factor) in [
            ("fresh", 1.0),
            ("week", 0.5),
            ("fact", 0.5f64.sqrt()),
            ("habit", 0.5),
        ] {
            let of = |scores: &[(String, f64)]| {
                scores.iter().find(|(name, _)| name == id).expect("there").1
            };
            assert!(
                (of(&on) - of(&off) * factor).abs() < 1e-4,
                "{mode} {id}: {on:?} {off:?}"
            );
        }
    }
}

// --- bad input

#[test]
fn bad_input_is_refused() {
    let mut sql = store();
    sql.run("SELECT memory_add('the first memory', memory_type => 'strategy', id => 'one')");
    refuse_all(
        &mut sql,
        r#"
        22023 | k, 0 | | SELECT * FROM memory_playbook(k => 0)
        22023 | k, -1 | | SELECT * FROM memory_playbook(k => -1)
        22023 | k, 10001, 10000 | | SELECT * FROM memory_playbook(k => 10001)
        22023 | min_effectiveness, 1.1 | | SELECT * FROM memory_playbook(min_effectiveness => 1.1)
        22023 | min_effectiveness, -1.1 | | SELECT * FROM memory_playbook(min_effectiveness => -1.1)
        22023 | min_effectiveness, NaN | | SELECT * FROM memory_playbook(min_effectiveness => 'NaN')
        22023 | min_effectiveness, inf | | SELECT * FROM memory_playbook(min_effectiveness => '-infinity')
        22023 | memory_type, poem | strategy | SELECT * FROM memory_playbook(memory_types => '{poem}')
        22023 | memory_types | | SELECT * FROM memory_playbook(memory_types => '{}')
        22023 | memory_types, NULL | | SELECT * FROM memory_playbook(memory_types => '{strategy,NULL}')
        22023 | task_type, blank | | SELECT * FROM memory_playbook(task_type => ' ')
        22023 | task_type, 10240, 255 | | SELECT * FROM memory_playbook(task_type => repeat('t', 10240))
        22023 | agent_id, blank | | SELECT * FROM memory_playbook(agent_id => '')
        22023 | agent_id, 10240, 255 | | SELECT * FROM memory_playbook(agent_id => repeat('a', 10240))
        22023 | namespace, blank | | SELECT * FROM memory_playbook(namespace => '')
        22023 | project_id, * | | SELECT * FROM memory_playbook(project_id => '*')
        22023 | 3, 384 | | SELECT * FROM memory_playbook(embedding => '[1, 2, 3]')
        22023 | zero | | SELECT * FROM memory_playbook(embedding => array_fill(0, ARRAY[384])::vector)
        22023 | metadata, object | { | SELECT * FROM memory_playbook(metadata => '[1]')
        22023 | metadata, object | { | SELECT * FROM memory_playbook(metadata => '"x"')
        22023 | filter, object | $eq | SELECT * FROM memory_playbook(filter => '[]')
        22023 | $regex | $eq | SELECT * FROM memory_playbook(filter => '{"n": {"$regex": "a"}}')
        22P05 | | | SELECT * FROM memory_playbook(metadata => '{"a": "\u0000"}')
        22023 | as_of, future | | SELECT * FROM memory_playbook(as_of => now() + interval '1 hour')
        22023 | as_of, future | | SELECT * FROM memory_playbook(as_of => 'infinity')
        22021 | | | SELECT * FROM memory_playbook(E'bad \xff byte')
        "#,
    );
}

#[test]
fn sql_fragments_in_every_text_argument_of_a_playbook_are_only_text() {
    let mut sql = store();
    for fragment in FRAGMENTS {
        sql.execute(
            "SELECT memory_add('lesson ' || $1, agent_id => $1, namespace => $1, memory_type => 'strategy', metadata => jsonb_build_object('task_type', $1::text), project_id => $1)",
            &[fragment],
        )
        .expect("added");
        for query in ["NULL", "$1"] {
            let found: i64 = sql
                .query_one(
                    &format!(
                        "SELECT count(*) FROM memory_playbook({query}, task_type => $1, agent_id => $1, namespace => $1,
                         metadata => jsonb_build_object('task_type', $1::text), project_id => $1)"
                    ),
                    &[fragment],
                )
                .unwrap_or_else(|error| panic!("{fragment:?}: {error:?}"))
                .get(0);
            assert!(
                found == 1 || (query == "$1" && fragment.contains('-')),
                "{query} {fragment:?}: {found}"
            );
        }
    }
}
