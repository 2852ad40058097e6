//! The past keeps the rules of now: who sees what, secrets, what may be written, and what is no time.

mod support;

use postgres::Client;
use support::agents::{ALICE_SEES, three_agents};
use support::calls::{
    ADMINISTERING, OWNING, TOUCHING, WRITING, WRITING_1_1, WRITING_FOR_ALL, WRITING_FOR_OTHERS_1_1,
    call,
};
use support::cases::{FRAGMENTS, refuse_all};
use support::votes::{clock, expire};
use support::{
    Cluster, Options, Sql, cluster, database, granted, role, store, store_hash, wait_until,
};

/// Every way to read memories of a past time, as text; `WORDS` is what is looked for and `ID` a memory.
const READING: &[&str] = &[
    "memory_as_of('TIME', page_size => 100AGENT)",
    "memory_get('ID'AGENT)",
    "memory_list(page_size => 100AGENT)",
    "memory_list(include_expired => trueAGENT)",
    "memory_timeline('s', memory_types => NULLAGENT)",
    "memory_entity_facts('e', memory_types => NULLAGENT)",
    "memory_search('WORDS', 100AGENT)",
    "memory_search('WORDS', 100, mode => 'vector'AGENT)",
    "memory_search('WORDS', 100, mode => 'text'AGENT)",
    "memory_search('\"WORDS\"', 100AGENT)",
    "memory_search('WORDS', 100, diversity => 0.5AGENT)",
    "memory_explain('WORDS', 100AGENT)",
    "memory_context('WORDS'AGENT)",
    "memory_kv_get('k'AGENT)",
    "memory_kv_list('k'AGENT)",
    "memory_playbook(k => 100, memory_types => NULLAGENT)",
    "memory_playbook('WORDS', k => 100, memory_types => NULLAGENT)",
    "memory_playbook(k => 100, memory_types => NULL, as_of => 'TIME'AGENT)",
];

/// All that one is told of a past time, each answer behind its call.
fn told(
    sql: &mut Client,
    time: &str,
    words: &str,
    id: &str,
    agent: Option<&str>,
) -> Vec<(String, String)> {
    let agent = agent.map_or_else(String::new, |agent| format!(", agent_id => '{agent}'"));
    sql.run(&format!("SET memory_ext.as_of = '{time}'"));
    let told = READING
        .iter()
        .map(|template| {
            let call = template
                .replace("TIME", time)
                .replace("WORDS", words)
                .replace("ID", id)
                .replace("AGENT", &agent);
            let answer: Option<String> = sql.one(
                &format!("SELECT string_agg(r::text, E'\\n') FROM {call} r"),
                &[],
            );
            (call, answer.unwrap_or_default())
        })
        .collect();
    sql.run("RESET memory_ext.as_of");
    told
}

fn ids(sql: &mut Client, time: &str, arguments: &str) -> Vec<String> {
    sql.column(
        &format!("SELECT id FROM memory_as_of('{time}'{arguments}) ORDER BY id"),
        &[],
    )
}

// --- who sees what

#[test]
fn c23_the_past_shows_each_agent_what_it_was_shown() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    let time = clock(&mut owner);
    owner.run("UPDATE memories SET content = content || ', changed'");
    let (_, mut alice) = granted(&database, "default", "read", Some("alice"));
    let (_, mut free) = granted(&database, "default", "read", None);

    assert_eq!(ids(&mut alice, &time, ""), ALICE_SEES);
    assert_eq!(ids(&mut free, &time, ", agent_id => 'alice'"), ALICE_SEES);
    assert_eq!(ids(&mut free, &time, ""), ["bob-global", "global"]);
    assert_eq!(ids(&mut owner, &time, ", agent_id => '*'").len(), 7);
    alice
        .refused(&format!("SELECT * FROM memory_as_of('{time}', 'bob')"), &[])
        .is("42501")
        .well_formed();
    free.refused(&format!("SELECT * FROM memory_as_of('{time}', '*')"), &[])
        .is("42501")
        .well_formed();
    for (client, agent) in [(&mut alice, None), (&mut free, Some("alice"))] {
        for id in ["bob-private", "bob-to-carol"] {
            for (call, answer) in told(
                client,
                &time,
                "words of bob private shared with carol",
                id,
                agent,
            ) {
                assert!(
                    !answer.contains("bob-private")
                        && !answer.contains("bob-to-carol")
                        && !answer.contains("changed"),
                    "{call}: {answer}"
                );
            }
        }
    }
    let mut stranger = database.connect_as(&role());
    stranger
        .refused(&format!("SELECT * FROM memory_as_of('{time}')"), &[])
        .is("42501")
        .hints("memory_grant")
        .well_formed();
}

#[test]
fn c23_what_was_made_private_takes_its_past_along_and_what_was_made_public_does_not_give_it_away() {
    let database = database();
    let mut owner = database.connect();
    owner.run(
        "SELECT memory_add('quokka made private', id => 'hidden', agent_id => 'bob', scope => 'global', session_id => 's', entity_id => 'e');
         SELECT memory_add('quokka shared once', id => 'unshared', agent_id => 'bob', shared_with_agents => '{alice}', session_id => 's', entity_id => 'e');
         SELECT memory_add('quokka private once', id => 'published', agent_id => 'bob', session_id => 's', entity_id => 'e');
         SELECT memory_add('quokka handed over', id => 'handed', agent_id => 'bob', session_id => 's', entity_id => 'e');
         SELECT memory_kv_set('k', 'quokka key', agent_id => 'bob')",
    );
    let time = clock(&mut owner);
    owner.run(
        "SELECT memory_update('hidden', scope => 'agent-private', agent_id => 'bob');
         SELECT memory_update('unshared', shared_with_agents => '{}', agent_id => 'bob');
         SELECT memory_update('published', 'nothing private any more', scope => 'global', agent_id => 'bob');
         UPDATE memories SET agent_id = 'alice' WHERE id = 'handed'",
    );
    let (_, mut alice) = granted(&database, "default", "read", Some("alice"));
    let (_, mut bob) = granted(&database, "default", "read", Some("bob"));

    for id in ["hidden", "unshared", "published", "handed"] {
        for (call, answer) in told(&mut alice, &time, "quokka", id, None) {
            assert!(!answer.contains("quokka"), "{call}: {answer}");
        }
    }
    assert_eq!(ids(&mut alice, &time, ""), [""; 0]);
    let seen = ids(&mut bob, &time, "");
    assert!(
        ["hidden", "published", "unshared"]
            .iter()
            .all(|id| seen.iter().any(|seen| seen == id)),
        "{seen:?}"
    );
    assert!(
        !seen.iter().any(|id| id == "handed"),
        "alice's by now: {seen:?}"
    );
    assert_eq!(ids(&mut owner, &time, ", agent_id => '*'").len(), 5);
}

#[test]
fn c11_what_has_ended_since_is_shown_by_the_rule_of_history() {
    let database = database();
    let mut owner = database.connect();
    owner.run("SELECT memory_add('will be ' || w, id => w) FROM unnest('{deleted,deprecated,expired,gone,kept}'::text[]) w");
    let time = clock(&mut owner);
    owner.run("SELECT memory_delete('deleted'); SELECT memory_deprecate('deprecated'); DELETE FROM memories WHERE id = 'gone'");
    expire(&mut owner, "expired");
    let (_, mut reader) = granted(&database, "default", "read", None);
    let (_, mut admin) = granted(&database, "default", "admin", None);

    let all = ["deleted", "deprecated", "expired", "gone", "kept"];
    let not_over = ["deleted", "deprecated", "gone", "kept"];
    assert_eq!(
        ids(&mut reader, &time, ""),
        not_over,
        "what is over its time is for admins"
    );
    assert_eq!(ids(&mut admin, &time, ""), all);
    for (client, expected) in [(&mut reader, &not_over[..]), (&mut admin, &all[..])] {
        let mut with_history: Vec<String> = Vec::new();
        for id in all {
            let versions: i64 = client.one("SELECT count(*) FROM memory_history($1)", &[&id]);
            if versions > 0 {
                with_history.push(id.to_owned());
            }
        }
        assert_eq!(with_history, expected, "memory_history() shows the same");
        client.run(&format!("SET memory_ext.as_of = '{time}'"));
        let mut found: Vec<String> =
            client.column("SELECT id FROM memory_search('will be', 10)", &[]);
        found.sort();
        assert_eq!(found, expected);
        assert_eq!(
            client.one::<i64>("SELECT memory_count()", &[]),
            expected.len() as i64
        );
        assert_eq!(
            client.one::<i64>("SELECT memory_count(include_expired => true)", &[]),
            5,
            "who asks for expired ones sees them while they are there"
        );
    }
}

#[test]
fn c17_the_past_of_another_project_is_another_projects() {
    let database = database();
    let mut owner = database.connect();
    owner.run("SELECT memory_add('quokka', id => 'm', project_id => 'theirs'); SELECT memory_add('ours', id => 'm')");
    let time = clock(&mut owner);
    owner.run("UPDATE memories SET content = 'changed'");
    let (_, mut reader) = granted(&database, "default", "read", None);
    for (call, answer) in told(&mut reader, &time, "quokka ours", "m", None) {
        assert!(!answer.contains("quokka"), "{call}: {answer}");
    }
    reader
        .refused(
            &format!("SELECT * FROM memory_as_of('{time}', project_id => 'theirs')"),
            &[],
        )
        .is("42501");
    reader.run("SET memory_ext.project = 'theirs'");
    reader
        .refused(&format!("SELECT * FROM memory_as_of('{time}')"), &[])
        .is("42501");
    assert_eq!(
        owner.column::<String>(
            &format!("SELECT content FROM memory_as_of('{time}', project_id => 'theirs')"),
            &[]
        ),
        ["quokka"]
    );
}

// --- secrets

#[test]
fn se3_a_secret_of_now_or_of_then_is_masked_in_the_past() {
    let database = database();
    let mut owner = database.connect();
    owner.run(
        "SELECT memory_add('xyzzy became secret', id => 'became', session_id => 's', entity_id => 'e');
         SELECT memory_add('xyzzy was secret', id => 'was', sensitive => true, session_id => 's', entity_id => 'e');
         SELECT memory_add('xyzzy is secret', id => 'is', sensitive => true, session_id => 's', entity_id => 'e');
         SELECT memory_add('xyzzy secret and gone', id => 'gone', session_id => 's', entity_id => 'e');
         SELECT memory_kv_set('k', 'xyzzy key')",
    );
    let time = clock(&mut owner);
    owner.run(
        "SELECT memory_update('became', sensitive => true);
         SELECT memory_update('was', 'open by now', sensitive => false);
         SELECT memory_update('is', 'xyzzy is secret still');
         SELECT memory_update('gone', sensitive => true); DELETE FROM memories WHERE id = 'gone';
         SELECT memory_kv_set('k', 'xyzzy key', sensitive => true)",
    );
    let (_, mut reader) = granted(&database, "default", "read", None);
    let (_, mut admin) = granted(&database, "default", "admin", None);

    for client in [&mut reader, &mut admin, &mut owner] {
        for id in ["became", "was", "is", "gone"] {
            for (call, answer) in told(client, &time, "xyzzy became was is secret", id, None) {
                // memory_explain does not show contents, but who is found by them.
                let finds = call.contains("memory_search") || call.contains("memory_explain");
                assert!(!answer.contains("xyzzy"), "{call}: {answer}");
                assert!(
                    !finds
                        || !["became", "was", "is", "gone"]
                            .iter()
                            .any(|id| answer.contains(&format!("\"{id}\""))
                                || answer.starts_with(&format!("({id},"))),
                    "{call} finds a secret: {answer}"
                );
            }
        }
        let listed: Vec<String> = client.column(
            &format!("SELECT concat_ws(' ', id, content, is_sensitive) FROM memory_as_of('{time}') WHERE key IS NULL ORDER BY id"),
            &[],
        );
        assert_eq!(
            listed,
            ["became *** t", "gone *** t", "is *** t", "was *** t"]
        );
    }
    owner.run(&format!("SET memory_ext.as_of = '{time}'"));
    assert_eq!(owner.one::<String>("SELECT memory_kv_get('k')", &[]), "***");
}

#[test]
fn se3_errors_about_the_setting_tell_no_secret() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('hunter2', sensitive => true, id => 'm'); SET memory_ext.as_of = 'now'",
    );
    for call in [
        "SELECT memory_reveal('m', 'why')",
        "SELECT memory_update('m', 'hunter3')",
        "SELECT memory_add('hunter2')",
    ] {
        sql.refused(call, &[]).is("55000").keeps("hunter");
    }
}

// --- the past cannot be changed

#[test]
fn every_function_that_writes_refuses_while_the_setting_is_on() {
    let database = database();
    let mut sql = database.connect();
    let id: String = sql.one("SELECT memory_add('words')", &[]);
    sql.run("SELECT memory_kv_set('k', 'v'); SELECT memory_session_start('s', agent_id => 'a'); SELECT memory_feature_create('f', 'x'); SELECT memory_run_start('r')");
    let (_, mut bound) = granted(&database, "default", "write", Some("a"));
    let before = store_hash(&mut sql);
    let writing = [
        WRITING,
        WRITING_1_1,
        WRITING_FOR_OTHERS_1_1,
        WRITING_FOR_ALL,
        TOUCHING,
        ADMINISTERING,
        OWNING,
        // Even where they only look: they look at what is now.
        &[
            "SELECT * FROM memory_consolidate()",
            "SELECT * FROM memory_curate()",
        ],
    ]
    .concat();
    for value in ["now", "yesterday", "no time at all"] {
        sql.run(&format!("SET memory_ext.as_of = '{value}'"));
        for template in &writing {
            sql.refused(&call(template, &id, None, "default"), &[])
                .is("55000")
                .says("memory_ext.as_of is set")
                .hints("RESET memory_ext.as_of")
                .well_formed();
        }
    }
    bound.run("SET memory_ext.as_of = 'now'");
    for template in [WRITING, WRITING_1_1, TOUCHING].concat() {
        bound
            .refused(&call(template, &id, Some("a"), "default"), &[])
            .is("55000")
            .says("memory_ext.as_of is set");
    }
    assert_eq!(store_hash(&mut sql), before);
    sql.run("RESET memory_ext.as_of; SELECT memory_add('words again')");
}

#[test]
fn no_store_is_made_while_the_setting_is_on() {
    let database = cluster().database();
    let mut sql = database.connect();
    sql.run("SET memory_ext.as_of = 'yesterday'");
    for call in [
        "SELECT memory_init()",
        "SELECT memory_add('x')",
        "SELECT * FROM memory_add_many('[\"x\"]')",
        "SELECT memory_kv_set('k', 'v')",
    ] {
        sql.refused(call, &[])
            .is("55000")
            .says("memory_ext.as_of is set")
            .hints("RESET")
            .well_formed();
    }
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM pg_class WHERE relname = 'memories'",
            &[]
        ),
        0
    );
    sql.run("RESET memory_ext.as_of; SELECT memory_add('x'); SET memory_ext.as_of = 'yesterday'; SELECT memory_init()");
}

#[test]
fn what_tells_of_now_only_refuses_and_what_is_no_memory_answers() {
    let mut sql = store();
    sql.run("SELECT memory_add('words', id => 'm', agent_id => 'a', scope => 'global'); SELECT memory_session_start('s', agent_id => 'a'); SELECT memory_feature_create('f', 'x'); SELECT memory_run_start('r')");
    sql.run("SET memory_ext.as_of = 'yesterday'");
    for call in [
        "SELECT * FROM memory_votes('m')",
        "SELECT * FROM memory_duplicates()",
        "SELECT memory_handoff('a', 'b')",
    ] {
        sql.refused(call, &[])
            .is("55000")
            .says("memory_ext.as_of is set")
            .says("now only")
            .hints("RESET memory_ext.as_of")
            .well_formed();
    }
    for (call, rows) in [
        ("memory_history('m')", 1),
        ("memory_session_get('s', agent_id => 'a')", 1),
        ("memory_session_list(agent_id => 'a')", 1),
        ("memory_feature_get('f')", 1),
        ("memory_feature_list()", 1),
        ("memory_run_get('r')", 1),
        ("memory_version()", 1),
        ("memory_metrics()", 1),
        ("memory_health()", 1),
        ("memory_ready()", 1),
        ("memory_embed('x')", 1),
        ("memory_new_id()", 1),
        ("memory_allowed('default', 'admin')", 1),
    ] {
        let count: i64 = sql.one(&format!("SELECT count(*) FROM {call}"), &[]);
        assert_eq!(count, rows, "{call}");
    }
    sql.run("SELECT * FROM memory_security_check()");
    // Plain SQL is about the tables as they are.
    sql.run("INSERT INTO memories (content, id) VALUES ('by hand', 'h'); UPDATE memories SET content = 'by hand again' WHERE id = 'h'");
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_history('h')", &[]),
        2
    );
}

#[test]
fn c12_the_worker_goes_on_in_a_database_that_is_set_to_the_past() {
    let cluster = Cluster::start(Options {
        preload: true,
        settings: vec!["memory_ext.naptime = '1s'"],
    });
    let database = cluster.database();
    let mut sql = database.connect();
    sql.run("SELECT memory_init()");
    sql.run(&format!(
        "ALTER DATABASE {} SET memory_ext.as_of = 'yesterday'",
        database.name
    ));
    sql.run("SELECT memory_add('ends', id => 'm')");
    expire(&mut sql, "m");
    wait_until("the worker has removed it", || {
        sql.one::<i64>("SELECT count(*) FROM memories", &[]) == 0
    });
}

// --- what is no time, and other bad input

#[test]
fn what_is_no_past_time_is_refused_by_every_reading_function() {
    let mut sql = store();
    sql.run("SELECT memory_add('words', id => 'ID')");
    let setting_only: Vec<String> = READING
        .iter()
        .filter(|call| !call.contains("TIME"))
        .map(|call| format!("SELECT * FROM {}", call.replace("AGENT", "")))
        .collect();
    assert!(setting_only.len() > 10);
    for (value, says) in [
        ("garbage", "garbage"),
        ("  ", "expected a time"),
        ("2026-02-30", "2026-02-30"),
        ("25:00", "25:00"),
        ("-1 hour", "-1 hour"),
        ("1 hour ago", "1 hour ago"),
        ("12345678901234567890", "expected a time"),
        ("infinity", "future"),
        ("tomorrow", "future"),
        ("2999-01-01", "future"),
    ] {
        sql.run(&format!("SET memory_ext.as_of = '{value}'"));
        for call in &setting_only {
            sql.refused(call, &[])
                .is("22023")
                .says("memory_ext.as_of")
                .says(says)
                .helps()
                .well_formed();
        }
    }
    let long = "x".repeat(100_000);
    sql.run(&format!("SET memory_ext.as_of = '{long}'"));
    let refusal = sql.refused("SELECT memory_count()", &[]).is("22023");
    assert!(refusal.message.len() < 200, "{refusal:?}");
    for fragment in FRAGMENTS {
        sql.execute(
            "SELECT set_config('memory_ext.as_of', $1, false)",
            &[fragment],
        )
        .expect("set");
        sql.refused("SELECT memory_count()", &[]).is("22023");
        sql.refused("SELECT * FROM memory_search('x')", &[])
            .is("22023");
    }
    // What is given goes before it.
    sql.run("SELECT * FROM memory_as_of(now()); SELECT * FROM memory_playbook(as_of => now())");
    sql.run("RESET memory_ext.as_of; SELECT memory_count()");
}

#[test]
fn bad_arguments_of_memory_as_of_are_refused() {
    let mut sql = store();
    sql.run("SELECT memory_add('words', id => 'm')");
    refuse_all(
        &mut sql,
        r#"
        22023 | at, NULL | required | SELECT * FROM memory_as_of(NULL)
        22023 | at, future | | SELECT * FROM memory_as_of('infinity')
        22023 | at, future | | SELECT * FROM memory_as_of(now() + interval '1 hour')
        22007 | | | SELECT * FROM memory_as_of('garbage')
        22023 | page_size, 0 | | SELECT * FROM memory_as_of(now(), page_size => 0)
        22023 | page_size, -1 | | SELECT * FROM memory_as_of(now(), page_size => -1)
        22023 | page_size, 10001, 10000 | | SELECT * FROM memory_as_of(now(), page_size => 10001)
        22023 | after, nobody | last memory | SELECT * FROM memory_as_of(now(), after => 'nobody')
        22023 | after, m | last memory | SELECT * FROM memory_as_of('2001-01-01', after => 'm')
        22023 | agent_id, blank | | SELECT * FROM memory_as_of(now(), agent_id => ' ')
        22023 | agent_id, 10240, 255 | | SELECT * FROM memory_as_of(now(), agent_id => repeat('a', 10240))
        22023 | namespace, blank | | SELECT * FROM memory_as_of(now(), namespace => '')
        22023 | user_id, blank | | SELECT * FROM memory_as_of(now(), user_id => '')
        22023 | session_id, blank | | SELECT * FROM memory_as_of(now(), session_id => '')
        22023 | entity_id, blank | | SELECT * FROM memory_as_of(now(), entity_id => '')
        22023 | memory_type, poem | strategy | SELECT * FROM memory_as_of(now(), memory_types => '{poem}')
        22023 | memory_types | | SELECT * FROM memory_as_of(now(), memory_types => '{}')
        22023 | memory_types, NULL | | SELECT * FROM memory_as_of(now(), memory_types => '{strategy,NULL}')
        22023 | metadata, object | { | SELECT * FROM memory_as_of(now(), metadata => '[1]')
        22023 | filter, object | $eq | SELECT * FROM memory_as_of(now(), filter => '[]')
        22023 | $regex | $eq | SELECT * FROM memory_as_of(now(), filter => '{"n": {"$regex": "a"}}')
        22023 | project_id, * | | SELECT * FROM memory_as_of(now(), project_id => '*')
        "#,
    );
    cluster()
        .database()
        .connect()
        .refused("SELECT * FROM memory_as_of(now())", &[])
        .is("55000")
        .hints("memory_init")
        .well_formed();
}

#[test]
fn sql_fragments_in_every_text_argument_of_a_past_are_only_text() {
    let mut sql = store();
    for fragment in FRAGMENTS {
        sql.execute(
            "SELECT memory_add('words ' || $1, agent_id => $1, namespace => $1, user_id => $1, session_id => $1, entity_id => $1,
                    metadata => jsonb_build_object('t', $1::text), project_id => $1, id => $1)",
            &[fragment],
        )
        .expect("added");
        let time = clock(&mut sql);
        sql.execute(
            "SELECT memory_update($1, 'changed', agent_id => $1, project_id => $1)",
            &[fragment],
        )
        .expect("changed");
        let content: String = sql.one(
            &format!(
                "SELECT content FROM memory_as_of('{time}', agent_id => $1, namespace => $1, user_id => $1, session_id => $1, entity_id => $1,
                        metadata => jsonb_build_object('t', $1::text), project_id => $1)"
            ),
            &[fragment],
        );
        assert_eq!(content, format!("words {fragment}"));
    }
}
