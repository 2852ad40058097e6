//! Memories as of a past time: whatever was shown then is shown again, and nothing else.

mod support;

use std::collections::{BTreeMap, HashSet};

use postgres::Client;
use serde_json::{Value, json};
use support::votes::clock;
use support::{Database, Random, Sql, cluster, database, granted, row, store};

/// Adds `agent_id` where there is one.
fn as_agent(agent: Option<&str>) -> String {
    agent.map_or_else(String::new, |agent| format!("agent_id => '{agent}'"))
}

fn listed(sql: &mut Client, function: &str) -> Value {
    sql.one(
        &format!("SELECT coalesce(jsonb_agg(to_jsonb(l)), '[]') FROM {function} l"),
        &[],
    )
}

fn ids(rows: &Value) -> Vec<&str> {
    let rows = rows.as_array().expect("a list");
    rows.iter()
        .map(|row| row["id"].as_str().expect("an id"))
        .collect()
}

fn ids_at(sql: &mut Client, time: &str, arguments: &str) -> Vec<String> {
    sql.column(
        &format!("SELECT id FROM memory_as_of('{time}'{arguments})"),
        &[],
    )
}

// --- every step of a long story comes back

/// What a requester is shown at some time by each function that answers as of a time.
struct Shown {
    requester: Option<&'static str>,
    list: Value,
    expired_too: Value,
    keys: Value,
    votes: Value,
}

const REQUESTERS: [Option<&str>; 4] = [Some("*"), Some("alice"), Some("bob"), None];

fn shown(sql: &mut Client, requester: Option<&'static str>) -> Shown {
    let agent = as_agent(requester);
    let and_agent = if agent.is_empty() {
        String::new()
    } else {
        format!(", {agent}")
    };
    let list = listed(sql, &format!("memory_list(page_size => 10000{and_agent})"));
    let count: i64 = sql.one(&format!("SELECT memory_count({agent})"), &[]);
    assert_eq!(ids(&list).len() as i64, count, "the two agree at any time");
    Shown {
        requester,
        list,
        expired_too: listed(
            sql,
            &format!("memory_list(page_size => 10000, include_expired => true{and_agent})"),
        ),
        keys: listed(sql, &format!("memory_kv_list({agent})")),
        votes: sql.one(
            &format!(
                "SELECT coalesce(jsonb_agg(jsonb_build_object('id', id, 'helpful', bullet_helpful, 'harmful', bullet_harmful, 'score', round(score::numeric, 9)) ORDER BY ordinality), '[]')
                 FROM memory_playbook(k => 10000, memory_types => NULL{and_agent}) WITH ORDINALITY"
            ),
            &[],
        ),
    }
}

/// One random change, in a transaction of its own.
fn change(sql: &mut Client, random: &mut Random, step: usize) {
    let agents = ["alice", "bob"];
    let agent = *random.pick(&agents);
    let existing: Vec<String> = sql.column("SELECT id FROM memories ORDER BY id", &[]);
    let id = match existing.is_empty() {
        true => "none".to_owned(),
        false => random.pick(&existing).clone(),
    };
    let key = format!("key{}", random.below(4));
    let scope = match random.below(4) {
        0 => "scope => 'agent-private'".to_owned(),
        1 => "shared_with_agents => '{alice, bob}'".to_owned(),
        2 => format!("shared_with_agents => '{{{}}}'", random.pick(&agents)),
        _ => "scope => 'global'".to_owned(),
    };
    let statement = match random.below(26) {
        0..=4 => format!(
            "SELECT memory_add('step {step} said by {agent}', agent_id => '{agent}', id => 'm{step}', {scope}, metadata => '{{\"step\": {step}}}',
                    importance => {}, ttl => {}, namespace => 'n{}')",
            random.fraction(),
            random.pick(&["NULL", "interval '1 hour'"]),
            random.below(3)
        ),
        5 => format!("SELECT * FROM memory_add_many('[\"one of {step}\", \"two of {step}\"]')"),
        6 | 7 => format!("SELECT memory_update('{id}', 'changed in {step}', metadata => '{{\"changed\": {step}}}', agent_id => '*')"),
        8 => format!("SELECT memory_update('{id}', metadata => '{{\"step\": null, \"patch\": {step}}}', importance => 0.9, agent_id => '*')"),
        9 => format!("SELECT memory_update('{id}', {scope}, agent_id => '*')"),
        10 | 11 => format!("SELECT memory_delete('{id}', agent_id => '*')"),
        12 => format!("SELECT memory_restore_version('{id}', 1, agent_id => '*')"),
        13 => format!("SELECT memory_deprecate('{id}', agent_id => '*')"),
        14 => format!("SELECT memory_undeprecate('{id}', agent_id => '*')"),
        15 => format!("SELECT memory_kv_set('{key}', 'value of {step}', source => 'step {step}')"),
        16 => format!("SELECT memory_kv_delete('{key}')"),
        17 | 18 => format!("SELECT memory_vote('{id}', '{}', '{agent}', task_id => 't{}')", random.pick(&["helpful", "harmful"]), random.below(3)),
        19 => format!("UPDATE memories SET content = 'by hand in {step}', namespace = 'by hand' WHERE id = '{id}'"),
        20 => format!("UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = '{id}'"),
        21 => format!("UPDATE memories SET expires_at = NULL, deleted_at = NULL WHERE id = '{id}' AND key IS NULL"),
        22 => format!("UPDATE memories SET agent_id = '{agent}' WHERE id = '{id}' AND scope <> 'global'"),
        23 => format!("DELETE FROM memories WHERE id = '{id}' AND {} = 0", random.below(2)),
        // Several versions in one transaction: only the last one was ever shown.
        24 => format!(
            "DO $$ BEGIN PERFORM memory_update('{id}', 'never shown', agent_id => '*'); PERFORM memory_update('{id}', 'shown after {step}', agent_id => '*');
             PERFORM memory_add('made in the same transaction', id => 'do{step}'); PERFORM memory_update('do{step}', 'and changed'); END $$"
        ),
        _ => match random.below(3) {
            0 => format!("SELECT memory_update('{id}', sensitive => true, agent_id => '*')"),
            1 => format!("SELECT memory_forget(ids => '{{{id}}}', reason => 'asked in {step}')"),
            _ => format!("SELECT memory_touch('{{{id}}}', agent_id => '*')"),
        },
    };
    // Many of them are refused for a good reason: the memory is deleted, equal to another, somebody else's.
    if let Err(error) = sql.batch_execute(&statement) {
        let code = error.code().map(|code| code.code().to_owned());
        assert!(
            code.is_some_and(|code| ["P0002", "23505", "42501", "22023"].contains(&code.as_str())),
            "{statement}: {error:?}"
        );
    }
}

/// What of earlier rows may still be told: those of memories that the requester sees now, dead or alive, by the rule of
/// memory_history(); secrets of now are masked.
fn still_told(rows: &Value, allowed: &HashSet<String>, secret: &HashSet<String>) -> Vec<Value> {
    let mut rows: Vec<Value> = rows.as_array().expect("a list").clone();
    rows.retain(|row| allowed.contains(row["id"].as_str().expect("an id")));
    for row in &mut rows {
        if secret.contains(row["id"].as_str().expect("an id")) {
            let row = row.as_object_mut().expect("a row");
            for column in ["content", "value"] {
                if row.contains_key(column) {
                    row.insert(column.to_owned(), json!("***"));
                }
            }
            if row.contains_key("is_sensitive") {
                row.insert("is_sensitive".to_owned(), json!(true));
            }
        }
    }
    rows
}

fn every_step_comes_back(seed: u64) {
    let mut sql = store();
    let mut random = Random::seeded(seed);
    let mut story: Vec<(String, Vec<Shown>)> = Vec::new();
    for step in 0..120 {
        change(&mut sql, &mut random, step);
        let time = clock(&mut sql);
        let snapshot = REQUESTERS.map(|requester| shown(&mut sql, requester));
        story.push((time, snapshot.into()));
    }

    let everything: Vec<String> = sql.column(
        "SELECT id FROM memories UNION SELECT memory_id FROM memory_history",
        &[],
    );
    let secret: HashSet<String> = sql
        .column("SELECT id FROM memories WHERE is_sensitive UNION SELECT memory_id FROM memory_history WHERE is_sensitive", &[])
        .into_iter()
        .collect();
    let rows: HashSet<String> = sql
        .column("SELECT id FROM memories", &[])
        .into_iter()
        .collect();
    let mut compared = 0;
    let mut told: BTreeMap<&str, HashSet<String>> = BTreeMap::new();
    for requester in REQUESTERS {
        let allowed = everything.iter().filter(|id| {
            sql.one::<i64>(
                "SELECT count(*) FROM memory_history($1, agent_id => $2)",
                &[id, &requester],
            ) > 0
        });
        let allowed: HashSet<String> = allowed.cloned().collect();
        told.insert(requester.unwrap_or("-"), allowed);
    }
    for (step, (time, snapshot)) in story.iter().enumerate() {
        for then in snapshot {
            let allowed = &told[then.requester.unwrap_or("-")];
            let agent = as_agent(then.requester);
            let and_agent = if agent.is_empty() {
                String::new()
            } else {
                format!(", {agent}")
            };
            let expected = still_told(&then.list, allowed, &secret);
            compared += expected.len();

            let by_function = listed(
                &mut sql,
                &format!("memory_as_of('{time}', page_size => 10000{and_agent})"),
            );
            assert_eq!(by_function, json!(expected), "seed {seed}, {time} {agent}");

            sql.run(&format!("BEGIN; SET LOCAL memory_ext.as_of = '{time}'"));
            let by_setting = shown(&mut sql, then.requester);
            let by_id: Vec<&Value> = expected.iter().filter(|_| step % 10 == 0).collect();
            let got: Vec<Value> = by_id
                .iter()
                .map(|row| row_of(&mut sql, row["id"].as_str().expect("an id"), then.requester))
                .collect();
            sql.run("COMMIT");
            assert_eq!(
                by_setting.list,
                json!(expected),
                "seed {seed}, {time} {agent}"
            );
            assert_eq!(
                got.iter().collect::<Vec<_>>(),
                by_id,
                "memory_get, seed {seed}, {time} {agent}"
            );
            assert_eq!(
                by_setting.expired_too,
                json!(still_told(&then.expired_too, allowed, &secret)),
                "expired ones too, seed {seed}, {time} {agent}"
            );
            assert_eq!(
                by_setting.keys,
                json!(still_told(&then.keys, allowed, &secret)),
                "keys, seed {seed}, {time} {agent}"
            );
            // Votes go with the row they are on.
            let on_rows = |votes: &Value| -> Vec<Value> {
                let votes = votes.as_array().expect("a list").iter();
                votes
                    .filter(|vote| {
                        let id = vote["id"].as_str().expect("an id");
                        rows.contains(id) && allowed.contains(id)
                    })
                    .cloned()
                    .collect()
            };
            assert_eq!(
                on_rows(&by_setting.votes),
                on_rows(&then.votes),
                "votes, seed {seed}, {time} {agent}"
            );
        }
    }
    assert!(compared > 2000, "{compared} rows were there to compare");
}

fn row_of(sql: &mut Client, id: &str, requester: Option<&str>) -> Value {
    let rows: Vec<Value> = sql.column(
        "SELECT to_jsonb(m) FROM memory_get($1, agent_id => $2) m",
        &[&id, &requester],
    );
    assert_eq!(rows.len(), 1, "{id}");
    rows[0].clone()
}

#[test]
fn c11_every_step_of_a_long_story_comes_back_exactly() {
    every_step_comes_back(1);
}

#[test]
fn c11_every_step_of_another_story_comes_back_exactly() {
    every_step_comes_back(20_261_123);
}

// --- what a version is

#[test]
fn c11_a_version_holds_until_the_next_one_and_nothing_before_the_first() {
    let mut sql = store();
    let before = clock(&mut sql);
    sql.run("SELECT memory_add('first', id => 'm', metadata => '{\"n\": 1}')");
    let first = clock(&mut sql);
    sql.run("SELECT memory_update('m', 'second', metadata => '{\"n\": 2}')");
    let second = clock(&mut sql);
    sql.run("SELECT memory_delete('m')");
    let deleted = clock(&mut sql);
    sql.run("SELECT memory_restore_version('m', 1)");
    let restored = clock(&mut sql);

    let at = |sql: &mut Client, time: &str| -> Vec<String> {
        sql.column(
            &format!(
                "SELECT concat_ws(' ', version, content, metadata ->> 'n') FROM memory_as_of('{time}')"
            ),
            &[],
        )
    };
    assert_eq!(at(&mut sql, "-infinity"), [""; 0]);
    assert_eq!(at(&mut sql, "1999-12-31"), [""; 0]);
    assert_eq!(at(&mut sql, &before), [""; 0]);
    assert_eq!(at(&mut sql, &first), ["1 first 1"]);
    assert_eq!(at(&mut sql, &second), ["2 second 2"]);
    assert_eq!(at(&mut sql, &deleted), [""; 0]);
    assert_eq!(at(&mut sql, &restored), ["4 first 1"]);
    // To the microsecond: a version begins with the transaction that made it.
    let begins: String = sql.one(
        "SELECT valid_from::text FROM memory_history('m') WHERE version = 2",
        &[],
    );
    let just_before: String = sql.one(
        "SELECT ($1::text::timestamptz - interval '1 microsecond')::text",
        &[&begins],
    );
    assert_eq!(at(&mut sql, &begins), ["2 second 2"]);
    assert_eq!(at(&mut sql, &just_before), ["1 first 1"]);
    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_as_of(clock_timestamp())", &[]),
        ["first"],
        "now is not the future"
    );
    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_as_of(now())", &[]),
        ["first"]
    );
}

#[test]
fn c11_expiry_and_deprecation_are_those_of_the_time() {
    let mut sql = store();
    sql.run("SELECT memory_add('short lived', id => 'short', ttl => '1.5 seconds'); SELECT memory_add('stays', id => 'stays')");
    let alive = clock(&mut sql);
    sql.run("SELECT pg_sleep(1.6)");
    let over = clock(&mut sql);
    sql.run("SELECT memory_deprecate('stays')");
    let deprecated = clock(&mut sql);

    assert_eq!(ids_at(&mut sql, &alive, ""), ["stays", "short"]);
    assert_eq!(ids_at(&mut sql, &over, ""), ["stays"]);
    assert_eq!(ids_at(&mut sql, &deprecated, ""), [""; 0]);
    let expired = |sql: &mut Client, time: &str| -> i64 {
        sql.run(&format!("SET memory_ext.as_of = '{time}'"));
        let count = sql.one("SELECT memory_count(include_expired => true)", &[]);
        sql.run("RESET memory_ext.as_of");
        count
    };
    assert_eq!(expired(&mut sql, &over), 2);
    assert_eq!(expired(&mut sql, &deprecated), 1);
    sql.run("UPDATE memories SET expires_at = now() WHERE id = 'short'; SELECT memory_expire()");
    assert_eq!(
        ids_at(&mut sql, &alive, ""),
        ["stays"],
        "what was removed is gone from the past"
    );
}

#[test]
fn a_memory_has_one_version_at_a_time_whoever_commits_first() {
    let database = database();
    let (mut a, mut b, mut sql) = (database.connect(), database.connect(), database.connect());
    sql.run("SELECT memory_add('first', id => 'm')");
    a.run("BEGIN; SELECT now()");
    let between = clock(&mut sql);
    b.run("SELECT memory_update('m', 'second')");
    let later = clock(&mut sql);
    a.run("SELECT memory_update('m', 'third'); COMMIT");
    let last = clock(&mut sql);

    let at = |sql: &mut Client, time: &str| -> Vec<String> {
        sql.column(&format!("SELECT content FROM memory_as_of('{time}')"), &[])
    };
    assert_eq!(
        at(&mut sql, &between),
        ["first"],
        "though the third is of a transaction that had begun"
    );
    assert_eq!(at(&mut sql, &later).len(), 1);
    assert_eq!(at(&mut sql, &last), ["third"]);
    for time in [&between, &later, &last] {
        sql.run(&format!("SET memory_ext.as_of = '{time}'"));
        assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 1);
        assert_eq!(
            sql.one::<i64>("SELECT count(*) FROM memory_get('m')", &[]),
            1
        );
    }
}

#[test]
fn rows_that_plain_sql_deleted_are_in_the_past_by_their_versions() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('first', id => 'm', agent_id => 'a'); SELECT memory_kv_set('k', 'v')",
    );
    sql.run("SELECT memory_update('m', 'second', agent_id => 'a')");
    let before = clock(&mut sql);
    sql.run("DELETE FROM memories");
    let after = clock(&mut sql);
    sql.run("SELECT memory_add('another of that id', id => 'm', agent_id => 'b')");
    let again = clock(&mut sql);

    sql.run(&format!("SET memory_ext.as_of = '{before}'"));
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('k')", &[]),
        "v",
        "the last version stands for the row"
    );
    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_get('m', agent_id => 'a')", &[]),
        [""; 0],
        "the id is another agent's by now, whose memories a does not see"
    );
    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_get('m', agent_id => '*')", &[]),
        ["second"]
    );
    assert_eq!(ids_at(&mut sql, &after, ", agent_id => '*'"), [""; 0]);
    assert_eq!(ids_at(&mut sql, &again, ", agent_id => 'b'"), ["m"]);
}

#[test]
fn what_was_forgotten_is_gone_from_every_time() {
    let mut sql = store();
    sql.run("SELECT memory_add('of dana', id => 'm', user_id => 'dana'); SELECT memory_update('m', 'still of dana'); SELECT memory_add('of erin')");
    let time = clock(&mut sql);
    sql.run("SELECT memory_forget(user_id => 'dana', reason => 'asked')");
    let told: String = sql.one(
        &format!("SELECT string_agg(l::text, ' ') FROM memory_as_of('{time}', agent_id => '*') l"),
        &[],
    );
    assert!(!told.contains("dana") && told.contains("erin"), "{told}");
}

// --- filters and pages

#[test]
fn filters_are_held_against_what_was_then() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('a fact', id => 'm', namespace => 'old', user_id => 'u', session_id => 's', entity_id => 'e', memory_type => 'semantic',
                metadata => '{\"team\": \"billing\", \"n\": 1}')",
    );
    let time = clock(&mut sql);
    sql.run("UPDATE memories SET namespace = 'new', user_id = 'v', session_id = 't', entity_id = 'f', memory_type = 'episodic', metadata = '{\"team\": \"ops\", \"n\": 9}'");

    for (then, now) in [
        ("namespace => 'old'", "namespace => 'new'"),
        ("user_id => 'u'", "user_id => 'v'"),
        ("session_id => 's'", "session_id => 't'"),
        ("entity_id => 'e'", "entity_id => 'f'"),
        (
            "memory_types => '{semantic}'",
            "memory_types => '{episodic}'",
        ),
        (
            "metadata => '{\"team\": \"billing\"}'",
            "metadata => '{\"team\": \"ops\"}'",
        ),
        (
            "filter => '{\"n\": {\"$lt\": 5}}'",
            "filter => '{\"n\": {\"$gt\": 5}}'",
        ),
    ] {
        assert_eq!(ids_at(&mut sql, &time, &format!(", {then}")), ["m"]);
        assert_eq!(ids_at(&mut sql, &time, &format!(", {now}")), [""; 0]);
        assert_eq!(ids_at(&mut sql, &clock_now(), &format!(", {now}")), ["m"]);
        for (arguments, expected) in [(then, 1), (now, 0)] {
            sql.run(&format!("BEGIN; SET LOCAL memory_ext.as_of = '{time}'"));
            let count: i64 = sql.one(&format!("SELECT memory_count({arguments})"), &[]);
            sql.run("COMMIT");
            assert_eq!(count, expected, "{arguments}");
        }
    }
    sql.run(&format!("SET memory_ext.as_of = '{time}'"));
    assert_eq!(
        sql.one::<i64>(
            "SELECT memory_count(since => '2001-01-01', until => now())",
            &[]
        ),
        1
    );
    assert_eq!(
        sql.one::<i64>("SELECT memory_count(until => '2001-01-01')", &[]),
        0
    );
    for (call, expected) in [
        ("memory_timeline('s', memory_types => NULL)", 1),
        ("memory_timeline('t', memory_types => NULL)", 0),
        ("memory_entity_facts('e')", 1),
        ("memory_entity_facts('f')", 0),
    ] {
        let count: i64 = sql.one(&format!("SELECT count(*) FROM {call}"), &[]);
        assert_eq!(count, expected, "{call}");
    }
}

fn clock_now() -> String {
    "now".to_owned()
}

#[test]
fn pages_of_a_past_time_have_every_memory_once() {
    let mut sql = store();
    // All of one transaction have one time: the id decides.
    sql.run("SELECT * FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('content', 'fact ' || i, 'id', 'm' || i)) FROM generate_series(1, 40) i))");
    sql.run(
        "SELECT memory_add('later fact ' || i, id => 'later' || i) FROM generate_series(1, 5) i",
    );
    let time = clock(&mut sql);
    let expected = ids_at(&mut sql, &time, "");
    assert_eq!(expected.len(), 45);
    sql.run("SELECT memory_delete('m' || i) FROM generate_series(1, 40, 2) i; SELECT memory_deprecate('m2'); SELECT memory_update('m4', 'changed')");
    sql.run("DELETE FROM memories WHERE id = 'm6'; SELECT memory_add('too late ' || i) FROM generate_series(1, 9) i");

    for size in [1, 7, 44, 45, 46] {
        let mut pages: Vec<String> = Vec::new();
        loop {
            let after = pages
                .last()
                .map_or_else(String::new, |id| format!(", after => '{id}'"));
            let page = ids_at(&mut sql, &time, &format!(", page_size => {size}{after}"));
            assert!(page.len() <= size);
            if page.is_empty() {
                break;
            }
            pages.extend(page);
        }
        assert_eq!(pages, expected, "pages of {size}");
    }
}

// --- keys

#[test]
fn keys_have_the_values_of_then() {
    let mut sql = store();
    sql.run("SELECT memory_kv_set('city', 'Oslo', source => 'form'); SELECT memory_kv_alias('town', 'city')");
    let first = clock(&mut sql);
    sql.run("SELECT memory_kv_set('city', 'Bergen')");
    let second = clock(&mut sql);
    sql.run("SELECT memory_kv_delete('city')");
    let third = clock(&mut sql);
    sql.run("SELECT memory_kv_set('city', 'Tromso', namespace => 'default'); SELECT memory_kv_set('city', 'elsewhere', namespace => 'other')");

    for (time, expected) in [
        (&first, Some("Oslo")),
        (&second, Some("Bergen")),
        (&third, None),
    ] {
        sql.run(&format!("SET memory_ext.as_of = '{time}'"));
        for key in ["city", "town"] {
            let value: Option<String> = sql.one("SELECT memory_kv_get($1)", &[&key]);
            assert_eq!(value.as_deref(), expected, "{key}");
        }
        let listed: Vec<String> =
            sql.column("SELECT value || source FROM memory_kv_list('ci')", &[]);
        let expected: Vec<String> = expected
            .map(|value| format!("{value}form"))
            .into_iter()
            .collect();
        assert_eq!(listed, expected);
        assert_eq!(
            sql.one::<i64>("SELECT count(*) FROM memory_kv_list('x')", &[]),
            0
        );
    }
    sql.run("RESET memory_ext.as_of");
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('city')", &[]),
        "Tromso"
    );
}

// --- the setting

#[test]
fn the_setting_ends_with_its_transaction_and_an_argument_goes_before_it() {
    let mut sql = store();
    sql.run("SELECT memory_add('old lesson', id => 'm', memory_type => 'strategy')");
    let first = clock(&mut sql);
    sql.run("SELECT memory_update('m', 'new lesson')");
    let second = clock(&mut sql);
    sql.run("SELECT memory_update('m', 'newest lesson')");

    let contents = |sql: &mut Client, call: &str| -> Vec<String> {
        sql.column(&format!("SELECT content FROM {call}"), &[])
    };
    sql.run(&format!("BEGIN; SET LOCAL memory_ext.as_of = '{first}'"));
    for call in [
        "memory_list()",
        "memory_playbook()",
        "memory_search('lesson')",
    ] {
        assert_eq!(contents(&mut sql, call), ["old lesson"], "{call}");
    }
    for call in [
        format!("memory_as_of('{second}')"),
        format!("memory_playbook(as_of => '{second}')"),
        format!("memory_playbook('lesson', as_of => '{second}')"),
    ] {
        assert_eq!(contents(&mut sql, &call), ["new lesson"], "{call}");
    }
    let context: String = sql.one("SELECT memory_context('lesson')", &[]);
    assert!(context.contains("old lesson"), "{context}");
    sql.run("COMMIT");
    assert_eq!(contents(&mut sql, "memory_list()"), ["newest lesson"]);
    // Empty is now.
    sql.run("SET memory_ext.as_of = ''");
    assert_eq!(contents(&mut sql, "memory_list()"), ["newest lesson"]);
}

#[test]
fn words_for_a_time_mean_what_they_mean_when_the_function_is_called() {
    let database = database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('a fact', id => 'm')");
    for (word, expected) in [("now", 1), ("yesterday", 0), ("epoch", 0), ("-infinity", 0)] {
        sql.run(&format!("SET memory_ext.as_of = '{word}'"));
        assert_eq!(
            sql.one::<i64>("SELECT memory_count()", &[]),
            expected,
            "{word}"
        );
    }
    sql.run("RESET memory_ext.as_of; UPDATE memories SET created_at = now() - interval '3 days', updated_at = now() - interval '3 days'");
    sql.run("SET memory_ext.as_of = 'yesterday'");
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 1);
    // 'now' is not kept from when it was set.
    let mut other = database.connect();
    other.run("SET memory_ext.as_of = 'now'");
    sql.run("RESET memory_ext.as_of; SELECT memory_add('another fact')");
    assert_eq!(other.one::<i64>("SELECT memory_count()", &[]), 2);
    // The time zone is the session's.
    sql.run("SET timezone = 'UTC'");
    let noon: String = sql.one(
        "SELECT to_char(now() + interval '1 hour', 'YYYY-MM-DD HH24:MI:SS')",
        &[],
    );
    sql.run(&format!(
        "SET timezone = 'Asia/Tokyo'; SET memory_ext.as_of = '{noon}'"
    ));
    assert_eq!(
        sql.one::<i64>("SELECT memory_count()", &[]),
        1,
        "eight hours ago"
    );
}

#[test]
fn the_setting_counts_before_the_library_is_loaded_and_for_roles_and_databases() {
    let database = database();
    let mut owner = database.connect();
    owner.run("SELECT memory_add('words of alice', agent_id => 'alice', id => 'a'); SELECT memory_add('words of bob', agent_id => 'bob', id => 'b')");
    let time = clock(&mut owner);
    owner.run("SELECT memory_update('a', 'other words of alice', agent_id => 'alice')");
    let (role, _) = granted(&database, "default", "write", Some("alice"));

    let seen =
        |sql: &mut Client| -> Vec<String> { sql.column("SELECT content FROM memory_list()", &[]) };
    let mut bound = database.connect_as(&role);
    bound.run(&format!("BEGIN; SET LOCAL memory_ext.as_of = '{time}'"));
    assert_eq!(seen(&mut bound), ["words of alice"]);
    bound.run("COMMIT");
    assert_eq!(seen(&mut bound), ["other words of alice"]);

    owner.run(&format!(
        "ALTER ROLE {role} SET memory_ext.as_of = '{time}'"
    ));
    let mut bound = database.connect_as(&role);
    assert_eq!(seen(&mut bound), ["words of alice"]);
    bound
        .refused("SELECT * FROM memory_list('bob')", &[])
        .is("42501");
    bound
        .refused("SELECT memory_add('x')", &[])
        .is("55000")
        .hints("RESET");
    owner.run(&format!(
        "ALTER ROLE {role} RESET memory_ext.as_of; ALTER DATABASE {} SET memory_ext.as_of = '{time}'",
        database.name
    ));
    assert_eq!(seen(&mut database.connect_as(&role)), ["words of alice"]);
    assert_eq!(
        owner.column::<String>(
            "SELECT setting FROM pg_settings WHERE name = 'memory_ext.as_of'",
            &[]
        ),
        [""]
    );
}

#[test]
fn explain_says_that_it_was_the_past() {
    let mut sql = store();
    sql.run("SELECT memory_add('a fact about ' || i) FROM generate_series(1, 7) i; SELECT memory_update(id, 'changed') FROM memory_list(page_size => 1)");
    let now = row(&mut sql, "memory_explain('fact')");
    assert_eq!(
        (&now["path"], &now["as_of"]),
        (&json!("exact"), &Value::Null)
    );
    for mode in ["hybrid", "vector", "text"] {
        sql.run("SET memory_ext.as_of = 'now'");
        let past: Value = sql.one("SELECT memory_explain('fact', mode => $1)", &[&mode]);
        assert_eq!(past["path"], "past", "{past}");
        assert_eq!(
            (&past["population"], &past["complete"]),
            (&json!(7), &json!(true)),
            "{past}"
        );
        assert!(past["as_of"].is_string(), "{past}");
        let expected = if mode == "vector" { 0 } else { 6 };
        assert_eq!(past["text_matches"], expected, "{past}");
    }
}

// --- older stores

#[test]
fn a_store_of_an_older_release_says_what_it_needs() {
    let old = |version: &str| -> Database<'static> {
        let database = cluster().empty_database();
        database.connect().run(&format!(
            "CREATE EXTENSION memory_ext VERSION '{version}' CASCADE; SELECT memory_init(); SELECT memory_add('first', id => 'm')"
        ));
        database
    };
    let mut sql = old("1.0.0").connect();
    sql.run("SET memory_ext.as_of = 'now'");
    sql.refused("SELECT memory_count()", &[])
        .is("55000")
        .says("1.0.0")
        .hints("memory_migrate")
        .well_formed();
    sql.run("RESET memory_ext.as_of");
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 1);

    // What 1.1.0 keeps is all that it takes.
    let mut sql = old("1.1.0").connect();
    let time = clock(&mut sql);
    sql.run("SELECT memory_update('m', 'second')");
    sql.run(&format!("SET memory_ext.as_of = '{time}'"));
    assert_eq!(
        sql.one::<String>("SELECT content FROM memory_get('m')", &[]),
        "first"
    );
    assert_eq!(
        sql.one::<String>("SELECT content FROM memory_search('first')", &[]),
        "first"
    );
}
