//! Search as of a past time: the answers of then, by the same rules as those of now.

mod support;

use std::collections::BTreeSet;

use postgres::Client;
use serde_json::{Value, json};
use support::votes::{add_at, at, clock, space};
use support::{Cluster, Database, Options, Random, Sql, database, store, wait_until};

/// Id, score, similarity and text rank of each hit, in order.
fn found(sql: &mut Client, arguments: &str) -> Vec<Value> {
    let rows: Value = sql.one(
        &format!(
            "SELECT coalesce(jsonb_agg(jsonb_build_array(id, content, round(score::numeric, 9), round(similarity::numeric, 9), round(text_rank::numeric, 9)) ORDER BY ordinality), '[]')
             FROM memory_search({arguments}) WITH ORDINALITY"
        ),
        &[],
    );
    rows.as_array().expect("a list").clone()
}

fn found_at(sql: &mut Client, time: &str, arguments: &str) -> Vec<Value> {
    sql.run(&format!("BEGIN; SET LOCAL memory_ext.as_of = '{time}'"));
    let found = found(sql, arguments);
    sql.run("COMMIT");
    found
}

/// The same hits; a score that knows how old a memory is goes on by a hair between the two looks.
fn assert_alike(again: &[Value], then: &[Value], what: &str) {
    const HAIR: f64 = 1e-4;
    assert_eq!(again.len(), then.len(), "{what}: {again:?} {then:?}");
    for (again, then) in again.iter().zip(then) {
        let score = |hit: &Value| hit[2].as_f64().unwrap_or_default();
        assert!(
            (score(again) - score(then)).abs() < HAIR,
            "{what}: {again} {then}"
        );
        for column in [0, 1, 3, 4] {
            assert_eq!(again[column], then[column], "{what}");
        }
    }
}

fn ids_at(sql: &mut Client, time: &str, arguments: &str) -> Vec<String> {
    sql.run(&format!("BEGIN; SET LOCAL memory_ext.as_of = '{time}'"));
    let ids = sql.column(&format!("SELECT id FROM memory_search({arguments})"), &[]);
    sql.run("COMMIT");
    ids
}

const WORDS: [&str; 24] = [
    "harbour", "lantern", "ledger", "invoice", "kettle", "orchard", "compass", "granite", "willow",
    "ferry", "market", "chimney", "violin", "saddle", "marble", "thunder", "anchor", "bakery",
    "meadow", "copper", "pigeon", "bridge", "cellar", "turnip",
];

fn sentence(random: &mut Random) -> String {
    let count = 3 + random.below(6);
    let words: Vec<&str> = (0..count).map(|_| *random.pick(&WORDS)).collect();
    words.join(" ")
}

// --- what search answered then it answers again

#[test]
fn c15_search_answers_as_it_did_at_every_step() {
    let database = database();
    let mut sql = database.connect();
    let mut random = Random::seeded(7);
    let questions: &[&str] = &[
        "'harbour ledger bridge', 1000",
        "'harbour ledger bridge', 3",
        "'harbour ledger bridge', 3, mode => 'vector'",
        "'harbour ledger bridge', 1000, mode => 'vector'",
        "'harbour ledger bridge', 1000, mode => 'text'",
        "'harbour ledger bridge', 2, mode => 'text'",
        "'harbour ledger bridge', 10, fusion => 'rrf'",
        "'harbour ledger bridge', 10, text_weight => 0.2, min_score => 0.3",
        "'harbour ledger bridge', 10, importance_weight => 0.4, recency_half_life => '10 days'",
        "'harbour ledger bridge', 4, diversity => 0.6",
        "'harbour ledger', 5, namespace => 'n1'",
        "'harbour ledger', 100, agent_id => 'alice'",
        "'harbour ledger', 5, mode => 'vector', memory_types => '{semantic}'",
        "'harbour ledger', 5, mode => 'vector', filter => '{\"n\": {\"$gte\": 5}}', metadata => '{\"even\": true}'",
        "'city', 3",
        "embedding => memory_embed('harbour willow'), k => 4",
        "'of the', 5",
    ];
    // A search of now that is narrowed estimates how many memories it looks through, and words weigh by that number.
    let narrowed = [
        "'\"ledger bridge\" harbour', 1000",
        "'harbour -ledger', 1000",
        "'harbour ledger', 1000, mode => 'text', since => '2001-01-01'",
        "'harbour ledger', 1000, memory_types => '{semantic}'",
        "'harbour ledger', 1000, filter => '{\"n\": {\"$gte\": 5}}', metadata => '{\"even\": true}'",
    ];
    let unweighed = |mut hits: Vec<Value>| -> Vec<Value> {
        for hit in &mut hits {
            (hit[2], hit[4]) = (Value::Null, json!(hit[4].is_number()));
        }
        hits.sort_by_key(|hit| hit[0].to_string());
        hits
    };
    let mut story: Vec<(String, Vec<Vec<Value>>)> = Vec::new();
    for step in 0..60 {
        let content = sentence(&mut random);
        let id = format!("m{}", random.below(step + 1));
        let statement = match random.below(10) {
            0..=3 => format!(
                "SELECT memory_add('{content}', id => 'm{step}', namespace => 'n{}', memory_type => '{}', metadata => '{{\"n\": {}, \"even\": {}}}', importance => {})",
                random.below(2),
                random.pick(&["semantic", "episodic"]),
                random.below(10),
                random.below(2) == 0,
                random.fraction()
            ),
            4 => format!(
                "SELECT memory_add('{content}', id => 'm{step}', agent_id => '{}')",
                random.pick(&["alice", "bob"])
            ),
            5 => format!("SELECT memory_update('{id}', '{content}', agent_id => '*')"),
            6 => format!(
                "SELECT memory_update('{id}', importance => 0.9, metadata => '{{\"n\": 7}}', agent_id => '*')"
            ),
            7 => format!("SELECT memory_delete('{id}', agent_id => '*')"),
            8 => format!(
                "SELECT memory_kv_set('city.{}', '{content}')",
                random.below(2)
            ),
            _ => format!("UPDATE memories SET content = '{content}' WHERE id = '{id}'"),
        };
        // Refused where the memory is not there (any more).
        let _ = sql.batch_execute(&statement);
        let time = clock(&mut sql);
        // A session of its own: one remembers the size of what it searches for a while.
        let mut fresh = database.connect();
        let mut answers: Vec<Vec<Value>> = Vec::new();
        answers.extend(questions.iter().map(|question| found(&mut fresh, question)));
        answers.extend(narrowed.map(|question| unweighed(found(&mut fresh, question))));
        story.push((time, answers));
    }

    for (time, answers) in &story {
        for (question, then) in questions.iter().zip(answers) {
            let again = found_at(&mut sql, time, question);
            assert_alike(&again, then, &format!("{time}: {question}"));
        }
        for (question, then) in narrowed.iter().zip(&answers[questions.len()..]) {
            let again = unweighed(found_at(&mut sql, time, question));
            assert_eq!(&again, then, "{time}: {question}");
        }
    }
    let found: usize = story
        .iter()
        .flat_map(|(_, answers)| answers)
        .map(Vec::len)
        .sum();
    assert!(found > 3000, "{found} hits were there to compare");
}

#[test]
fn c15_as_many_rows_as_asked_for_whatever_has_changed_since() {
    let mut sql = store();
    sql.run("SELECT * FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('content', 'lesson number ' || i, 'id', 'm' || i, 'namespace', 'n' || i % 10, 'metadata', jsonb_build_object('i', i))) FROM generate_series(1, 300) i))");
    let time = clock(&mut sql);
    sql.run("SELECT memory_update('m' || i, 'another thing ' || i, metadata => '{\"i\": -1}') FROM generate_series(1, 100) i");
    sql.run("SELECT memory_delete('m' || i) FROM generate_series(101, 200) i; SELECT memory_deprecate('m' || i) FROM generate_series(201, 250) i; DELETE FROM memories WHERE id IN ('m251', 'm252')");
    sql.run("SELECT memory_add('lesson number ' || i) FROM generate_series(1000, 1100) i");

    for (arguments, count) in [
        ("'lesson number', k => 300", 300),
        ("'lesson number', k => 1000", 300),
        ("'lesson number', k => 17", 17),
        ("'lesson number', k => 1000, mode => 'vector'", 300),
        ("'lesson number', k => 1000, mode => 'text'", 300),
        ("'lesson number', k => 30, namespace => 'n1'", 30),
        (
            "'lesson number', k => 500, filter => '{\"i\": {\"$lte\": 50}}'",
            50,
        ),
        ("'\"lesson number\" 7', k => 500", 300),
        ("'lesson -7', k => 500", 299),
        ("'another thing', k => 500, mode => 'text'", 0),
    ] {
        let ids = ids_at(&mut sql, &time, arguments);
        assert_eq!(ids.len(), count, "{arguments}");
        let distinct: BTreeSet<&String> = ids.iter().collect();
        assert_eq!(distinct.len(), count, "{arguments}");
        assert!(ids.iter().all(|id| id.starts_with('m')), "{arguments}");
        assert_eq!(
            ids_at(&mut sql, &time, arguments),
            ids,
            "and again the same"
        );
    }
    let best = ids_at(&mut sql, &time, "'lesson number 77', k => 1");
    assert_eq!(best, ["m77"], "by what it said then");
}

#[test]
fn equal_scores_are_ordered_by_id() {
    let mut sql = store();
    // Half of them are found by the row, half by a version.
    sql.run("SELECT memory_add('the same words', id => 'm' || to_char(i, 'FM00'), on_duplicate => 'new') FROM generate_series(1, 20) i");
    let time = clock(&mut sql);
    sql.run("SELECT memory_update('m' || to_char(i, 'FM00'), 'other words ' || i) FROM generate_series(1, 20, 2) i");
    let expected: Vec<String> = (1..=20).map(|number| format!("m{number:02}")).collect();
    for mode in ["hybrid", "vector", "text"] {
        let question = format!("'the same words', k => 20, mode => '{mode}'");
        assert_eq!(ids_at(&mut sql, &time, &question), expected, "{mode}");
    }
}

// --- vectors

#[test]
fn in_a_store_of_vectors_a_version_has_the_vector_of_its_content() {
    let database = space();
    let mut sql = database.connect();
    sql.run("SET memory_ext.embedding_cache_rows = 1000");
    add_at(&mut sql, "kept", 0.0, "metadata => '{\"n\": 1}'");
    add_at(&mut sql, "cached", 10.0, "");
    sql.run("SET memory_ext.embedding_cache_rows = 0");
    add_at(&mut sql, "lost", 20.0, "");
    let time = clock(&mut sql);
    sql.run("SELECT memory_update('kept', metadata => '{\"n\": 2}')");
    for id in ["cached", "lost"] {
        sql.run(&format!(
            "SELECT memory_update('{id}', 'something else, {id}', embedding => {})",
            at(90.0)
        ));
    }

    let question = format!("embedding => {}, k => 10", at(0.0));
    let then: Vec<(String, f64)> = found_at(&mut sql, &time, &question)
        .iter()
        .map(|row| {
            (
                row[0].as_str().expect("an id").to_owned(),
                row[3].as_f64().expect("a cosine"),
            )
        })
        .collect();
    assert_eq!(
        then.len(),
        2,
        "nobody knows the vector that is lost: {then:?}"
    );
    assert_eq!((then[0].0.as_str(), then[1].0.as_str()), ("kept", "cached"));
    assert!((then[0].1 - 1.0).abs() < 1e-6, "{then:?}");
    assert!(
        (then[1].1 - 10f64.to_radians().cos()).abs() < 1e-6,
        "{then:?}"
    );
    // Its words are known.
    assert_eq!(
        ids_at(&mut sql, &time, "'words of lost', mode => 'text', k => 1"),
        ["lost"]
    );
    let both = format!("'words of lost', k => 3, embedding => {}", at(0.0));
    assert_eq!(ids_at(&mut sql, &time, &both).len(), 3);
    sql.run("SET memory_ext.as_of = 'now'");
    sql.refused("SELECT * FROM memory_search('x', mode => 'vector')", &[])
        .is("22023")
        .hints("embedding");
}

#[test]
fn ve6_a_keyed_version_is_compared_by_key_and_value() {
    let mut sql = store();
    sql.run("SELECT memory_kv_set('favourite.colour', 'teal'); SELECT memory_add('teal')");
    let time = clock(&mut sql);
    let question = "'favourite colour', 1, mode => 'vector'";
    let before = found(&mut sql, question);
    sql.run("UPDATE memories SET key = 'unrelated.thing' WHERE key IS NOT NULL");
    assert_ne!(found(&mut sql, question), before);
    assert_eq!(found_at(&mut sql, &time, question), before);
    let by_key = "'favourite', 5, mode => 'text'";
    assert_eq!(found_at(&mut sql, &time, by_key).len(), 1);
    assert_eq!(found(&mut sql, by_key).len(), 0);
}

// --- the playbook

#[test]
fn the_playbook_ranks_by_the_votes_and_contents_of_then() {
    let mut sql = store();
    sql.run("SELECT memory_add('ask for the ' || w, memory_type => 'strategy', id => w) FROM unnest('{invoice,address,receipt}'::text[]) w");
    sql.run("SELECT memory_vote('address', 'helpful', 'v' || i) FROM generate_series(1, 30) i");
    let time = clock(&mut sql);
    let playbook = |sql: &mut Client, arguments: &str| -> Value {
        sql.one(
            &format!(
                "SELECT jsonb_agg(jsonb_build_array(id, content, round(score::numeric, 6), round(relevance::numeric, 6), bullet_helpful, bullet_harmful) ORDER BY ordinality)
                 FROM memory_playbook({arguments}) WITH ORDINALITY"
            ),
            &[],
        )
    };
    let questions = [
        "'ask for the invoice'",
        "query => NULL",
        "'invoice', min_effectiveness => 0.5",
        "'invoice', k => 1",
    ];
    let before = questions.map(|question| playbook(&mut sql, question));
    assert_eq!(before[0].as_array().expect("a list").len(), 3);
    sql.run("SELECT memory_vote('address', 'harmful', 'v' || i) FROM generate_series(1, 30) i; SELECT memory_vote('invoice', 'helpful', 'w')");
    sql.run("SELECT memory_update('invoice', 'never ask'); SELECT memory_deprecate('receipt')");

    for (question, before) in questions.iter().zip(&before) {
        let by_argument = playbook(&mut sql, &format!("{question}, as_of => '{time}'"));
        assert_eq!(&by_argument, before, "{question}");
        sql.run(&format!("BEGIN; SET LOCAL memory_ext.as_of = '{time}'"));
        assert_eq!(&playbook(&mut sql, question), before, "{question}");
        sql.run("COMMIT");
        assert_ne!(&playbook(&mut sql, question), before, "{question}");
    }
}

#[test]
fn age_counts_from_the_time_that_is_asked_about() {
    let mut sql = store();
    sql.run("SELECT memory_add('the ship sails at noon', id => 'm')");
    sql.run("UPDATE memories SET created_at = now() - interval '60 days', updated_at = now() - interval '60 days'");
    let score = |sql: &mut Client| -> f64 {
        sql.one(
            "SELECT score FROM memory_search('the ship sails at noon', 1, recency_half_life => '30 days')",
            &[],
        )
    };
    assert!((score(&mut sql) - 0.25).abs() < 1e-3, "two half-lives");
    let then: String = sql.one("SELECT (now() - interval '30 days')::text", &[]);
    sql.run(&format!("SET memory_ext.as_of = '{then}'"));
    assert!((score(&mut sql) - 0.5).abs() < 1e-3, "one half-life");
    sql.run("SET memory_ext.decay = on");
    let faded: f64 = sql.one(
        "SELECT score FROM memory_search('the ship sails at noon', 1)",
        &[],
    );
    assert!(
        (faded - 0.5).abs() < 1e-3,
        "a standard memory fades by half in 30 days: {faded}"
    );
}

// --- the ways search has now are not its ways in the past

#[test]
fn no_setting_of_the_vector_path_changes_an_answer_of_the_past() {
    let mut sql = store();
    sql.run("SELECT memory_add('a note about topic ' || i, id => 'm' || i) FROM generate_series(1, 50) i");
    let time = clock(&mut sql);
    sql.run("SELECT memory_update('m' || i, 'changed ' || i) FROM generate_series(1, 25) i");
    let expected = found_at(&mut sql, &time, "'topic 7', 20");
    for path in ["exact", "sketch", "hnsw"] {
        sql.run(&format!("SET memory_ext.vector_path = '{path}'"));
        assert_eq!(
            found_at(&mut sql, &time, "'topic 7', 20"),
            expected,
            "{path}"
        );
    }
}

// --- a standby and a read-only transaction

#[test]
fn c19_the_past_is_read_in_a_read_only_transaction_and_takes_no_transaction_id() {
    let mut sql = store();
    sql.run("SELECT memory_add('a note', id => 'm', memory_type => 'strategy'); SELECT memory_update('m', 'another note'); SELECT memory_kv_set('k', 'v')");
    sql.run("BEGIN READ ONLY; SET LOCAL memory_ext.as_of = 'now'");
    for call in [
        "memory_get('m')",
        "memory_list()",
        "memory_count()",
        "memory_as_of('yesterday')",
        "memory_search('note', diversity => 0.3)",
        "memory_explain('note')",
        "memory_context('note')",
        "memory_kv_get('k')",
        "memory_kv_list()",
        "memory_playbook('note')",
        "memory_playbook()",
    ] {
        sql.run(&format!("SELECT * FROM {call}"));
    }
    let assigned: Option<String> = sql.one("SELECT pg_current_xact_id_if_assigned()::text", &[]);
    assert_eq!(assigned, None);
}

#[test]
fn a_hot_standby_reads_the_past_and_writes_nothing() {
    let primary = Cluster::start(Options::default());
    let databases: [Database<'_>; 2] = [primary.database(), primary.database()];
    let mut times = Vec::new();
    let mut last = None;
    for (database, init) in databases
        .iter()
        .zip(["", "dimensions => 3, embedder => 'external'"])
    {
        let mut sql = database.connect();
        let vector = |degrees: f64| match init {
            "" => String::new(),
            _ => format!(", embedding => {}", at(degrees)),
        };
        sql.run(&format!(
            "SELECT memory_init({init}); SET memory_ext.embedding_cache_rows = 10"
        ));
        sql.run(&format!(
            "SELECT memory_add('the lighthouse is old', id => 'm', memory_type => 'strategy'{})",
            vector(0.0)
        ));
        sql.run("SELECT memory_kv_set('k', 'old value'); SELECT memory_vote('m', 'helpful', 'a')");
        times.push(clock(&mut sql));
        sql.run(&format!("SELECT memory_update('m', 'the lighthouse is new'{}); SELECT memory_kv_set('k', 'new value')", vector(9.0)));
        last = Some(sql);
    }
    let mut writer = last.expect("a session");
    let standby = primary.standby();
    let written: String = writer.one("SELECT pg_current_wal_lsn()::text", &[]);

    for (database, time) in databases.iter().zip(&times) {
        let mut sql = standby.connect(&database.name);
        wait_until("the standby has caught up", || {
            sql.one(
                "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn",
                &[&written],
            )
        });
        sql.run(&format!("SET memory_ext.as_of = '{time}'"));
        for call in [
            "memory_get('m')".to_owned(),
            "memory_list(memory_types => '{strategy}')".to_owned(),
            format!("memory_as_of('{time}', memory_types => '{{strategy}}')"),
            "memory_search('lighthouse', 1, mode => 'text')".to_owned(),
            "memory_playbook('lighthouse')".to_owned(),
            "memory_playbook()".to_owned(),
        ] {
            let contents: Vec<String> = sql.column(&format!("SELECT content FROM {call}"), &[]);
            assert_eq!(contents, ["the lighthouse is old"], "{call}");
        }
        assert_eq!(
            sql.one::<String>("SELECT memory_kv_get('k')", &[]),
            "old value"
        );
        assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 2);
        assert_eq!(
            sql.one::<Value>("SELECT memory_explain('lighthouse') -> 'path'", &[]),
            json!("past")
        );
        let refusal = sql.refused("SELECT memory_add('x')", &[]).is("55000");
        assert!(
            refusal.message.contains("as_of") || refusal.message.contains("standby"),
            "{refusal:?}"
        );
    }
    let mut sql = standby.connect(&databases[0].name);
    sql.run(&format!("SET memory_ext.as_of = '{}'", times[0]));
    assert_eq!(
        sql.column::<String>(
            "SELECT content FROM memory_search('lighthouse is old', 1, mode => 'vector')",
            &[]
        ),
        ["the lighthouse is old"]
    );
}
