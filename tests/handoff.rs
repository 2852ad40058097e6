//! Handing over, timelines, facts of an entity, and memory types as data.

mod support;

use std::collections::BTreeSet;

use postgres::Client;
use serde_json::{Value, json};
use support::agents::three_agents;
use support::cases::{FRAGMENTS, refuse_all};
use support::votes::expire;
use support::{Sql, database, granted, store, store_hash};

fn handoff(sql: &mut Client, arguments: &str) -> Value {
    sql.one(&format!("SELECT memory_handoff({arguments})"), &[])
}

/// The members of this name in a list of the handoff.
fn names<'a>(handoff: &'a Value, list: &str, member: &str) -> Vec<&'a str> {
    let list = handoff[list]
        .as_array()
        .unwrap_or_else(|| panic!("{list}: {handoff}"));
    list.iter()
        .map(|item| item[member].as_str().expect("a name"))
        .collect()
}

// --- handing over

#[test]
fn a_handoff_tells_what_is_open_what_was_written_and_what_was_decided() {
    let mut sql = store();
    for (session, next) in [
        ("export", "[\"write\", \"test\"]"),
        ("paused", "[]"),
        ("done", "[]"),
    ] {
        sql.run(&format!("SELECT memory_session_start('{session}', agent_id => 'bob', next_items => '{next}', summary => 'summary of {session}')"));
    }
    sql.run("SELECT memory_session_update('export', in_progress_item => 'read', blocked_items => '[\"deploy\"]', last_action => 'opened it', agent_id => 'bob')");
    sql.run("SELECT memory_session_update('paused', status => 'paused', agent_id => 'bob')");
    sql.run("SELECT memory_session_update('done', status => 'completed', agent_id => 'bob')");
    sql.run("SELECT memory_session_start('of alice', agent_id => 'alice'); SELECT memory_session_start('of carol', agent_id => 'carol')");
    for (feature, session) in [
        ("csv", "export"),
        ("finished", "export"),
        ("other", "of carol"),
        ("late", "paused"),
    ] {
        sql.run(&format!("SELECT memory_feature_create('{feature}', description => 'feature {feature}', session_id => '{session}')"));
    }
    sql.run(
        "SELECT memory_feature_update('csv', status => 'blocked', blocked_reason => 'no sample')",
    );
    for step in [
        "status => 'in_progress'",
        "status => 'testing'",
        "status => 'complete', passes => true, verified_by => 'qa'",
    ] {
        sql.run(&format!("SELECT memory_feature_update('finished', {step})"));
    }
    for (id, memory_type) in [
        ("fact", "semantic"),
        ("plan", "strategy"),
        ("lesson", "reflection"),
        ("rule", "control"),
        ("recipe", "procedural"),
    ] {
        sql.run(&format!("SELECT memory_add('words of {id}', memory_type => '{memory_type}', agent_id => 'bob', scope => 'global', id => '{id}')"));
    }
    let before = store_hash(&mut sql);

    let told = handoff(&mut sql, "'bob', 'alice'");

    let mut members: Vec<&str> = told
        .as_object()
        .expect("an object")
        .keys()
        .map(String::as_str)
        .collect();
    members.sort_unstable();
    assert_eq!(
        members,
        [
            "features",
            "generated_at",
            "memories",
            "recent_decisions",
            "sessions",
            "source_agent_id",
            "target_agent_id"
        ]
    );
    assert_eq!(
        (&told["source_agent_id"], &told["target_agent_id"]),
        (&json!("bob"), &json!("alice"))
    );
    assert!(sql.one::<bool>(
        "SELECT $1::text::timestamptz BETWEEN now() - interval '1 hour' AND now()",
        &[&told["generated_at"].as_str().expect("a time")]
    ));
    let sessions: BTreeSet<&str> = names(&told, "sessions", "session_id").into_iter().collect();
    assert_eq!(
        sessions,
        BTreeSet::from(["export", "paused"]),
        "the open ones of bob"
    );
    let export = told["sessions"]
        .as_array()
        .expect("a list")
        .iter()
        .find(|session| session["session_id"] == "export")
        .expect("there");
    assert_eq!(export["progress"].as_f64(), Some(0.0));
    let mut export = export.clone();
    export
        .as_object_mut()
        .expect("an object")
        .remove("progress");
    assert_eq!(
        export,
        json!({"session_id": "export", "status": "active", "in_progress_item": "read", "next_items": ["write", "test"], "blocked_items": ["deploy"],
               "summary": "summary of export", "last_action": "opened it"})
    );
    let features: BTreeSet<&str> = names(&told, "features", "feature_id").into_iter().collect();
    assert_eq!(
        features,
        BTreeSet::from(["csv", "late"]),
        "the open ones of these sessions"
    );
    assert!(
        told["features"].as_array().expect("a list").contains(&json!({"feature_id": "csv", "status": "blocked", "description": "feature csv", "blocked_reason": "no sample"})),
        "{told}"
    );
    assert_eq!(
        names(&told, "memories", "id"),
        ["recipe", "rule", "lesson", "plan", "fact"],
        "newest first"
    );
    assert_eq!(
        names(&told, "recent_decisions", "id"),
        ["recipe", "rule", "lesson", "plan"],
        "a fact is no decision"
    );
    for memory in told["memories"].as_array().expect("a list") {
        assert_eq!(
            memory["content"],
            format!("words of {}", memory["id"].as_str().expect("an id"))
        );
        assert!(
            memory["scope"] == "global"
                && memory["memory_type"].is_string()
                && memory["created_at"].is_string(),
            "{memory}"
        );
    }

    let one = handoff(&mut sql, "'bob', 'alice', session_id => 'paused'");
    assert_eq!(names(&one, "sessions", "session_id"), ["paused"]);
    assert_eq!(names(&one, "features", "feature_id"), ["late"]);
    for (session, why) in [
        ("done", "it has ended"),
        ("of carol", "it is not bob's"),
        ("no such session", "there is none"),
    ] {
        let none = handoff(
            &mut sql,
            &format!("'bob', 'alice', session_id => '{session}'"),
        );
        assert_eq!(
            (&none["sessions"], &none["features"]),
            (&json!([]), &json!([])),
            "{why}"
        );
    }
    let nothing = handoff(&mut sql, "'nobody', 'alice'");
    assert_eq!(
        (
            &nothing["sessions"],
            &nothing["memories"],
            &nothing["recent_decisions"]
        ),
        (&json!([]), &json!([]), &json!([]))
    );
    assert_eq!(store_hash(&mut sql), before, "telling writes nothing");
}

#[test]
fn a_handoff_gives_the_memories_that_were_asked_for_and_no_more_than_k() {
    let mut sql = store();
    for number in 0..30 {
        sql.run(&format!("SELECT memory_add('note {number} about the weather', agent_id => 'bob', scope => 'global', id => 'm{number}')"));
    }
    sql.run("SELECT memory_add('the ledger closes at noon', agent_id => 'bob', scope => 'global', id => 'ledger'); SELECT memory_add('the ledger of carol', agent_id => 'carol', scope => 'global', id => 'carol')");
    sql.run("UPDATE memories SET created_at = created_at - interval '1 day' WHERE id = 'ledger'");

    assert_eq!(
        handoff(&mut sql, "'bob', 'alice'")["memories"]
            .as_array()
            .expect("a list")
            .len(),
        20,
        "k is 20 unless given"
    );
    assert_eq!(
        names(
            &handoff(&mut sql, "'bob', 'alice', k => 3"),
            "memories",
            "id"
        ),
        ["m29", "m28", "m27"],
        "the newest"
    );
    assert_eq!(
        names(
            &handoff(
                &mut sql,
                "'bob', 'alice', query => 'when does the ledger close?', k => 1"
            ),
            "memories",
            "id"
        ),
        ["ledger"]
    );
    let all = handoff(&mut sql, "'bob', 'alice', query => 'ledger', k => 100");
    assert_eq!(
        all["memories"].as_array().expect("a list").len(),
        31,
        "all of bob's, and none of carol's"
    );
}

#[test]
fn a_handoff_tells_nothing_that_the_target_may_not_see() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    owner.run("UPDATE memories SET memory_type = 'strategy'");
    for (id, end) in [
        (
            "deleted",
            "SELECT memory_delete('deleted', agent_id => 'bob')",
        ),
        (
            "deprecated",
            "SELECT memory_deprecate('deprecated', agent_id => 'bob')",
        ),
        ("expired", "SELECT 1"),
    ] {
        owner.run(&format!("SELECT memory_add('words {id}', memory_type => 'strategy', agent_id => 'bob', scope => 'global', id => '{id}')"));
        owner.run(end);
    }
    expire(&mut owner, "expired");
    owner.run(
        "SELECT memory_add('words of the vault', memory_type => 'strategy', agent_id => 'bob', scope => 'global', sensitive => true, id => 'secret');
         SELECT memory_add('words elsewhere', memory_type => 'strategy', agent_id => 'bob', scope => 'global', id => 'elsewhere', project_id => 'other')",
    );
    let (_, mut bob) = granted(&database, "default", "read", Some("bob"));
    let (_, mut alice) = granted(&database, "default", "read", Some("alice"));
    let (_, mut carol) = granted(&database, "default", "read", Some("carol"));
    let (_, mut free) = granted(&database, "default", "read", None);
    let stranger = support::role();
    let expected = BTreeSet::from(["bob-global", "bob-to-alice"]);

    for client in [&mut owner, &mut bob, &mut alice, &mut free] {
        for arguments in [
            "'bob', 'alice'",
            "'bob', 'alice', query => 'words'",
            "'bob', 'alice', k => 100",
        ] {
            let told = handoff(client, arguments);
            for list in ["memories", "recent_decisions"] {
                let ids: BTreeSet<&str> = names(&told, list, "id")
                    .into_iter()
                    .filter(|id| *id != "secret")
                    .collect();
                assert_eq!(ids, expected, "{arguments} {list}");
            }
            assert!(!told.to_string().contains("vault"), "{told}");
        }
    }
    carol
        .refused("SELECT memory_handoff('bob', 'alice')", &[])
        .is("42501")
        .keeps("words")
        .well_formed();
    database
        .connect_as(&stranger)
        .refused("SELECT memory_handoff('bob', 'alice')", &[])
        .is("42501");
    let to_carol = handoff(&mut carol, "'bob', 'carol'");
    let ids: BTreeSet<&str> = names(&to_carol, "memories", "id")
        .into_iter()
        .filter(|id| *id != "secret")
        .collect();
    assert_eq!(ids, BTreeSet::from(["bob-global", "bob-to-carol"]));
    assert_eq!(
        names(
            &handoff(&mut owner, "'bob', 'alice', project_id => 'other'"),
            "memories",
            "id"
        ),
        ["elsewhere"]
    );
}

// --- timelines and facts

/// Twelve episodes of session s, by number, and what a timeline must leave out.
fn episodes(sql: &mut Client) {
    for number in 0..12 {
        sql.run(&format!(
            "SELECT memory_add('episode {number}', memory_type => 'episodic', session_id => 's', entity_id => 'e', namespace => 'n{}', id => 'm{number}')",
            number % 2
        ));
        sql.run(&format!("SELECT memory_add('fact {number}', memory_type => 'semantic', session_id => 's', entity_id => 'e', namespace => 'n{}', id => 'f{number}')", number % 2));
    }
    sql.run(
        "SELECT memory_add('episode elsewhere', memory_type => 'episodic', session_id => 't', entity_id => 'x', id => 'other session');
         SELECT memory_add('fact elsewhere', memory_type => 'semantic', session_id => 't', entity_id => 'x', id => 'other entity');
         SELECT memory_add('episode of bob', memory_type => 'episodic', session_id => 's', entity_id => 'e', agent_id => 'bob', id => 'episode of bob');
         SELECT memory_add('fact of bob', memory_type => 'semantic', session_id => 's', entity_id => 'e', agent_id => 'bob', id => 'fact of bob');
         SELECT memory_add('episode in q', memory_type => 'episodic', session_id => 's', project_id => 'q', id => 'q')",
    );
}

#[test]
fn a_timeline_is_the_episodes_of_a_session_oldest_first() {
    let mut sql = store();
    episodes(&mut sql);
    let list = |sql: &mut Client, arguments: &str| -> Vec<String> {
        sql.column(&format!("SELECT id FROM memory_timeline({arguments})"), &[])
    };
    let all: Vec<String> = (0..12).map(|number| format!("m{number}")).collect();

    assert_eq!(list(&mut sql, "'s'"), all);
    assert_eq!(list(&mut sql, "'s', page_size => 5"), all[..5]);
    assert_eq!(
        list(&mut sql, "'s', page_size => 5, after => 'm4'"),
        all[5..10]
    );
    assert_eq!(
        list(&mut sql, "'s', page_size => 5, after => 'm9'"),
        all[10..]
    );
    assert!(list(&mut sql, "'s', after => 'm11'").is_empty());
    assert_eq!(
        list(&mut sql, "'s', namespace => 'n1'"),
        ["m1", "m3", "m5", "m7", "m9", "m11"]
    );
    assert_eq!(
        list(
            &mut sql,
            "'s', memory_types => '{episodic,semantic}', page_size => 4"
        ),
        ["m0", "f0", "m1", "f1"]
    );
    assert_eq!(
        list(&mut sql, "'s', agent_id => 'bob'")
            .last()
            .expect("one"),
        "episode of bob"
    );
    assert_eq!(list(&mut sql, "'s', project_id => 'q'"), ["q"]);
    assert!(list(&mut sql, "'no such session'").is_empty());

    let middle: String = sql.one("SELECT created_at::text FROM memories WHERE id = 'm6'", &[]);
    assert_eq!(
        list(&mut sql, &format!("'s', since => '{middle}'")),
        all[6..]
    );
    assert_eq!(
        list(&mut sql, &format!("'s', until => '{middle}'")),
        all[..6]
    );
    let same: bool = sql.one("SELECT to_jsonb(t) = to_jsonb(g) FROM memory_timeline('s', page_size => 1) t, memory_get('m0') g", &[]);
    assert!(same, "rows as those of memory_list and memory_get");

    expire(&mut sql, "m3");
    sql.run("SELECT memory_delete('m5'); SELECT memory_deprecate('m7')");
    assert_eq!(list(&mut sql, "'s'").len(), 9);
    assert_eq!(
        list(&mut sql, "'s', page_size => 2, after => 'm4'"),
        ["m6", "m8"],
        "what has ended makes no gap"
    );
}

#[test]
fn the_facts_of_an_entity_are_listed_newest_first() {
    let mut sql = store();
    episodes(&mut sql);
    let list = |sql: &mut Client, arguments: &str| -> Vec<String> {
        sql.column(
            &format!("SELECT id FROM memory_entity_facts({arguments})"),
            &[],
        )
    };
    let all: Vec<String> = (0..12).rev().map(|number| format!("f{number}")).collect();

    assert_eq!(list(&mut sql, "'e'"), all);
    assert_eq!(list(&mut sql, "'e', page_size => 5"), all[..5]);
    assert_eq!(
        list(&mut sql, "'e', page_size => 5, after => 'f7'"),
        all[5..10]
    );
    assert_eq!(
        list(&mut sql, "'e', page_size => 5, after => 'f2'"),
        all[10..]
    );
    assert_eq!(
        list(&mut sql, "'e', namespace => 'n0'"),
        ["f10", "f8", "f6", "f4", "f2", "f0"]
    );
    assert_eq!(
        list(
            &mut sql,
            "'e', memory_types => '{episodic}', page_size => 2"
        ),
        ["m11", "m10"]
    );
    assert_eq!(list(&mut sql, "'e', agent_id => 'bob'")[0], "fact of bob");
    assert!(
        list(&mut sql, "'no such entity'").is_empty()
            && list(&mut sql, "'e', project_id => 'q'").is_empty()
    );
    let middle: String = sql.one("SELECT created_at::text FROM memories WHERE id = 'f6'", &[]);
    assert_eq!(
        list(&mut sql, &format!("'e', since => '{middle}'")),
        all[..6]
    );
    assert_eq!(
        list(&mut sql, &format!("'e', until => '{middle}'")),
        all[6..]
    );
    let same: bool = sql.one("SELECT to_jsonb(t) = to_jsonb(g) FROM memory_entity_facts('e', page_size => 1) t, memory_get('f11') g", &[]);
    assert!(same);
}

#[test]
fn timelines_and_facts_are_read_as_an_agent() {
    let database = database();
    let mut owner = database.connect();
    episodes(&mut owner);
    let (_, mut alice) = granted(&database, "default", "read", Some("alice"));
    let (_, mut bob) = granted(&database, "default", "read", Some("bob"));

    for (call, word) in [
        ("memory_timeline('s'", "episode of bob"),
        ("memory_entity_facts('e'", "fact of bob"),
    ] {
        for (client, sees) in [(&mut alice, false), (&mut bob, true)] {
            let seen: Vec<String> = client.column(&format!("SELECT id FROM {call})"), &[]);
            assert_eq!(
                (seen.len(), seen.iter().any(|id| id == word)),
                (12 + usize::from(sees), sees),
                "{call}"
            );
        }
        for claimed in ["bob", "*"] {
            alice
                .refused(
                    &format!("SELECT * FROM {call}, agent_id => '{claimed}')"),
                    &[],
                )
                .is("42501");
        }
        alice
            .refused(&format!("SELECT * FROM {call}, project_id => 'q')"), &[])
            .is("42501");
    }
}

// --- memory types

#[test]
fn the_types_of_memories_are_rows_with_their_half_lives() {
    let mut sql = store();
    let types: Vec<String> = sql.column("SELECT memory_type || ' ' || coalesce(half_life_days::text, 'never') FROM memory_types ORDER BY half_life_days, memory_type", &[]);
    assert_eq!(
        types,
        [
            "episodic 7",
            "feature 14",
            "progress 14",
            "standard 30",
            "reflection 60",
            "semantic 90",
            "strategy 90",
            "control 180",
            "procedural 180"
        ]
    );
}

#[test]
fn a_type_that_the_owner_inserts_is_taken_by_every_function_and_session() {
    let database = database();
    let (mut sql, mut other) = (database.connect(), database.connect());
    let takes = [
        "SELECT memory_add('roses are red', memory_type => 'poem', on_duplicate => 'new')",
        "SELECT * FROM memory_add_many('[{\"content\": \"violets are blue\", \"memory_type\": \"poem\"}]')",
        "SELECT memory_update('m', memory_type => 'poem')",
        "SELECT * FROM memory_delta('[{\"operation\": \"add\", \"content\": \"sugar is sweet\", \"memory_type\": \"poem\"}]')",
        "SELECT * FROM memory_list(memory_types => '{poem}')",
        "SELECT memory_count(memory_types => '{poem,standard}')",
        "SELECT * FROM memory_search('roses', memory_types => '{poem}')",
        "SELECT * FROM memory_playbook(memory_types => '{poem}')",
        "SELECT * FROM memory_duplicates(memory_types => '{poem}')",
        "SELECT * FROM memory_timeline('s', memory_types => '{poem}')",
        "SELECT * FROM memory_entity_facts('e', memory_types => '{poem}')",
    ];
    sql.run("SELECT memory_add('plain', id => 'm')");

    for call in takes {
        for client in [&mut sql, &mut other] {
            client
                .refused(call, &[])
                .is("22023")
                .says("poem")
                .hints("episodic")
                .well_formed();
        }
    }
    sql.run("INSERT INTO memory_types (memory_type, half_life_days, description) VALUES ('poem', NULL, 'lasts for ever')");
    for call in takes {
        for client in [&mut sql, &mut other] {
            client
                .query(call, &[])
                .unwrap_or_else(|error| panic!("{call}: {error:?}"));
        }
    }
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memory_search('roses', 10, memory_types => '{poem}') WHERE content LIKE 'roses%'", &[]), 2);
    sql.refused("SELECT memory_add('x', memory_type => 'sonnet')", &[])
        .is("22023")
        .hints("episodic");
}

#[test]
fn only_the_owner_makes_types() {
    let database = database();
    let mut owner = database.connect();
    let (role, mut admin) = granted(&database, "*", "admin", None);
    owner.run(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON memory_types TO {role}"
    ));
    let before = store_hash(&mut owner);

    admin.refused("INSERT INTO memory_types (memory_type, half_life_days, description) VALUES ('poem', 1, 'x')", &[]).is("42501");
    for statement in [
        "UPDATE memory_types SET half_life_days = 1",
        "DELETE FROM memory_types",
    ] {
        match admin.execute(statement, &[]) {
            Ok(rows) => assert_eq!(rows, 0, "{statement}"),
            Err(error) => assert_eq!(
                error.code().expect("an SQLSTATE").code(),
                "42501",
                "{statement}"
            ),
        }
    }
    assert_eq!(store_hash(&mut owner), before);
    for nonsense in [
        "('poem', 0, 'x')",
        "('poem', -1, 'x')",
        "('poem', 'NaN', 'x')",
        "('', 1, 'x')",
        "(NULL, 1, 'x')",
        "('episodic', 1, 'x')",
    ] {
        let refusal = owner.refused(&format!("INSERT INTO memory_types (memory_type, half_life_days, description) VALUES {nonsense}"), &[]);
        assert!(
            ["23514", "23502", "23505"].contains(&refusal.sqlstate.as_str()),
            "{nonsense}: {refusal:?}"
        );
    }
    assert_eq!(store_hash(&mut owner), before);
}

// --- bad input

#[test]
fn bad_input_is_refused() {
    let mut sql = store();
    episodes(&mut sql);
    refuse_all(
        &mut sql,
        r#"
        22023 | source_agent_id, NULL | | SELECT memory_handoff(NULL, 'a')
        22023 | target_agent_id, NULL | | SELECT memory_handoff('a', NULL)
        22023 | source_agent_id, blank | | SELECT memory_handoff(' ', 'a')
        22023 | target_agent_id, blank | | SELECT memory_handoff('a', '')
        22023 | source_agent_id, * | | SELECT memory_handoff('*', 'a')
        22023 | target_agent_id, * | | SELECT memory_handoff('a', '*')
        22023 | target_agent_id | | SELECT memory_handoff('a', 'a')
        22023 | source_agent_id, 10240, 255 | | SELECT memory_handoff(repeat('a', 10240), 'b')
        22023 | session_id, blank | | SELECT memory_handoff('a', 'b', session_id => '')
        22023 | session_id, 10240, 255 | | SELECT memory_handoff('a', 'b', session_id => repeat('s', 10240))
        22023 | k, 0 | | SELECT memory_handoff('a', 'b', k => 0)
        22023 | k, -1 | | SELECT memory_handoff('a', 'b', k => -1)
        22023 | k, 10001, 10000 | | SELECT memory_handoff('a', 'b', k => 10001)
        22023 | project_id, * | | SELECT memory_handoff('a', 'b', project_id => '*')
        22021 | | | SELECT memory_handoff('a', 'b', query => E'bad \xff byte')
        22023 | session_id, NULL | | SELECT * FROM memory_timeline(NULL)
        22023 | session_id, blank | | SELECT * FROM memory_timeline(' ')
        22023 | session_id, 10240, 255 | | SELECT * FROM memory_timeline(repeat('s', 10240))
        22023 | memory_type, poem | episodic | SELECT * FROM memory_timeline('s', memory_types => '{poem}')
        22023 | memory_types | | SELECT * FROM memory_timeline('s', memory_types => '{}')
        22023 | page_size, 0 | | SELECT * FROM memory_timeline('s', page_size => 0)
        22023 | page_size, 10001, 10000 | | SELECT * FROM memory_timeline('s', page_size => 10001)
        22023 | after, no such id | | SELECT * FROM memory_timeline('s', after => 'no such id')
        22023 | after, q | | SELECT * FROM memory_timeline('s', after => 'q')
        22023 | since, until | | SELECT * FROM memory_timeline('s', since => '2030-01-01', until => '2020-01-01')
        22023 | agent_id, blank | | SELECT * FROM memory_timeline('s', agent_id => '')
        22023 | namespace, blank | | SELECT * FROM memory_timeline('s', namespace => '')
        22023 | project_id, * | | SELECT * FROM memory_timeline('s', project_id => '*')
        22023 | entity_id, NULL | | SELECT * FROM memory_entity_facts(NULL)
        22023 | entity_id, blank | | SELECT * FROM memory_entity_facts('')
        22023 | entity_id, 10240, 255 | | SELECT * FROM memory_entity_facts(repeat('e', 10240))
        22023 | memory_type, poem | semantic | SELECT * FROM memory_entity_facts('e', memory_types => '{poem}')
        22023 | memory_types, NULL | | SELECT * FROM memory_entity_facts('e', memory_types => '{NULL}')
        22023 | page_size, -1 | | SELECT * FROM memory_entity_facts('e', page_size => -1)
        22023 | after, no such id | | SELECT * FROM memory_entity_facts('e', after => 'no such id')
        22023 | since, until | | SELECT * FROM memory_entity_facts('e', since => '2030-01-01', until => '2030-01-01')
        22023 | agent_id, 10240, 255 | | SELECT * FROM memory_entity_facts('e', agent_id => repeat('a', 10240))
        "#,
    );
}

#[test]
fn sql_fragments_in_every_text_argument_of_a_handoff_are_only_text() {
    let mut sql = store();
    for fragment in FRAGMENTS {
        for call in [
            "memory_session_start($1, agent_id => $1, summary => $1, project_id => $1)",
            "memory_feature_create($1, description => $1, session_id => $1, project_id => $1)",
            "memory_add($1, id => $1, agent_id => $1, scope => 'global', session_id => $1, entity_id => $1, namespace => $1, memory_type => 'strategy', project_id => $1)",
        ] {
            sql.query(&format!("SELECT * FROM {call}"), &[fragment])
                .unwrap_or_else(|error| panic!("{fragment:?} {call}: {error:?}"));
        }
        let told: Value = sql
            .query_one(
                "SELECT memory_handoff($1, $1 || '2', session_id => $1, project_id => $1)",
                &[fragment],
            )
            .unwrap_or_else(|error| panic!("{fragment:?}: {error:?}"))
            .get(0);
        for (list, member) in [
            ("sessions", "session_id"),
            ("features", "feature_id"),
            ("memories", "id"),
            ("recent_decisions", "content"),
        ] {
            assert_eq!(names(&told, list, member), [*fragment], "{list}");
        }
        sql.query(
            "SELECT memory_handoff($1, $1 || '2', query => $1, project_id => $1)",
            &[fragment],
        )
        .unwrap_or_else(|error| panic!("{fragment:?}: {error:?}"));
        for function in ["memory_timeline", "memory_entity_facts"] {
            let seen: Vec<String> = sql.column(&format!("SELECT content FROM {function}($1, agent_id => $1, namespace => $1, memory_types => '{{strategy}}', project_id => $1)"), &[fragment]);
            assert_eq!(seen, [*fragment], "{function}");
        }
    }
}
