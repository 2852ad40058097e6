//! Who may do what: grants, agents, projects, scopes.

mod support;

use std::collections::BTreeSet;

use serde_json::{Value, json};
use support::agents::{ALICE_SEES, three_agents};
use support::calls::{
    ADMINISTERING, BACKING_UP, OWNING, READING, READING_1_1, READING_2_0, READING_FOR_OTHERS_1_1,
    TOUCHING, WATCHING, WRITING, WRITING_1_1, WRITING_FOR_ALL, WRITING_FOR_OTHERS_1_1, call,
};
use support::{Sql, cluster, database, granted, role, store_hash};

#[test]
fn the_calls_tested_here_are_all_there_are() {
    let mut sql = database().connect();
    let text: String = [
        READING,
        READING_1_1,
        READING_2_0,
        READING_FOR_OTHERS_1_1,
        WRITING,
        WRITING_1_1,
        WRITING_FOR_OTHERS_1_1,
        WRITING_FOR_ALL,
        TOUCHING,
        ADMINISTERING,
        BACKING_UP,
        OWNING,
        WATCHING,
    ]
    .concat()
    .join("\n");
    // They show nothing of any memory: what is installed, the vector of a given text, hashes and rights of the caller's own, numbers.
    let harmless = [
        "memory_version",
        "memory_init",
        "memory_embed",
        "memory_scan",
        "memory_health",
        "memory_ready",
        "memory_progress",
        "memory_security_check",
        "memory_new_id",
        "memory_content_hash",
        "memory_dedupe_hash",
        "memory_allowed",
        "memory_row_visible",
        "memory_row_writable",
    ];

    let functions: Vec<String> = sql.column(
        "SELECT DISTINCT p.proname::text FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid
         WHERE e.extname = 'memory_ext' AND p.prorettype <> 'trigger'::regtype",
        &[],
    );

    assert!(functions.len() > 25, "{functions:?}");
    for function in functions {
        assert!(
            harmless.contains(&function.as_str()) || text.contains(&format!("{function}(")),
            "{function} is tested nowhere"
        );
    }
}

#[test]
fn c23_a_stranger_is_refused_by_every_function() {
    let database = database();
    let mut owner = database.connect();
    let id: String = owner.one("SELECT memory_add('words for nobody')", &[]);
    owner.run("SELECT memory_kv_set('k', 'v')");
    let before = store_hash(&mut owner);
    let mut stranger = database.connect_as(&role());

    for template in [
        READING,
        READING_1_1,
        READING_2_0,
        READING_FOR_OTHERS_1_1,
        WRITING,
        WRITING_1_1,
        WRITING_FOR_OTHERS_1_1,
        WRITING_FOR_ALL,
        TOUCHING,
        ADMINISTERING,
        BACKING_UP,
        OWNING,
        WATCHING,
    ]
    .concat()
    {
        for agent in [None, Some("a"), Some("*")] {
            stranger
                .refused(&call(template, &id, agent, "default"), &[])
                .is("42501")
                .keeps("words for nobody")
                .well_formed();
        }
    }
    stranger
        .refused("SELECT memory_count()", &[])
        .says("default")
        .hints("memory_grant");

    assert_eq!(store_hash(&mut owner), before);
}

#[test]
fn each_privilege_includes_the_one_below_and_no_more() {
    let database = database();
    let mut owner = database.connect();
    owner.run("SELECT memory_add('words'); SELECT memory_kv_set('k', 'v')");
    let id: String = owner.one("SELECT memory_kv_set('x', 'y', sensitive => true)", &[]);
    let (_, mut reader) = granted(&database, "default", "read", None);
    let (_, mut writer) = granted(&database, "default", "write", None);
    let (_, mut admin) = granted(&database, "default", "admin", None);

    for template in [READING, READING_1_1, READING_2_0, READING_FOR_OTHERS_1_1].concat() {
        let call = call(template, &id, None, "default");
        for client in [&mut reader, &mut writer, &mut admin] {
            client
                .query(&call, &[])
                .unwrap_or_else(|error| panic!("{call}: {error:?}"));
        }
    }
    for template in [
        WRITING,
        WRITING_1_1,
        WRITING_FOR_OTHERS_1_1,
        WRITING_FOR_ALL,
    ]
    .concat()
    {
        let call = call(template, &id, None, "default");
        reader.refused(&call, &[]).is("42501").well_formed();
        for client in [&mut writer, &mut admin] {
            // An earlier call may have deleted the memory: what is tested is the right.
            if let Err(error) = client.query(&call, &[]) {
                assert!(
                    ["P0002", "23505"].contains(&error.code().expect("an SQLSTATE").code()),
                    "{call}: {error:?}"
                );
            }
        }
    }
    for template in ADMINISTERING {
        let call = call(template, &id, None, "default");
        reader.refused(&call, &[]).is("42501").well_formed();
        writer.refused(&call, &[]).is("42501").well_formed();
        if let Err(error) = admin.query(&call, &[]) {
            assert_eq!(
                error.code().expect("an SQLSTATE").code(),
                "P0002",
                "{call}: {error:?}"
            );
        }
    }
    for template in BACKING_UP {
        let call = call(template, &id, None, "default");
        reader.refused(&call, &[]).is("42501").well_formed();
        writer.refused(&call, &[]).is("42501").well_formed();
    }
    for template in [OWNING, WATCHING].concat() {
        for client in [&mut reader, &mut writer, &mut admin] {
            client
                .refused(&call(template, &id, None, "default"), &[])
                .is("42501")
                .well_formed();
        }
    }
}

#[test]
fn only_an_admin_sees_all_agents() {
    let database = database();
    database
        .connect()
        .run("SELECT memory_add('private words', agent_id => 'a')");
    let (_, mut writer) = granted(&database, "default", "write", None);
    let (_, mut admin) = granted(&database, "default", "admin", None);

    writer
        .refused("SELECT memory_count(agent_id => '*')", &[])
        .is("42501")
        .says("*")
        .well_formed();
    assert_eq!(
        writer.one::<i64>("SELECT memory_count()", &[]),
        0,
        "without an agent: what is global"
    );
    assert_eq!(
        writer.one::<i64>("SELECT memory_count(agent_id => 'a')", &[]),
        1,
        "an unbound role may speak for any agent"
    );
    assert_eq!(
        admin.one::<i64>("SELECT memory_count(agent_id => '*')", &[]),
        1
    );
}

#[test]
fn c23_an_agent_bound_role_reads_as_its_agent_in_every_function() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    owner.run("SELECT memory_kv_set('k.bob', 'words', agent_id => 'bob'); SELECT memory_kv_set('k.alice', 'words', agent_id => 'alice')");
    let everything: Vec<String> = owner.column("SELECT id FROM memories WHERE key IS NULL", &[]);
    let (_, mut alice) = granted(&database, "default", "write", Some("alice"));

    for agent in ["", ", agent_id => 'alice'"] {
        for source in [
            format!("memory_list(namespace => 'default'{agent}) WHERE key IS NULL"),
            format!("memory_search('words', 50{agent}) WHERE key IS NULL"),
            format!("memory_search('words', 50, mode => 'vector'{agent}) WHERE key IS NULL"),
            format!("memory_search('words', 50, mode => 'text'{agent}) WHERE key IS NULL"),
        ] {
            let seen: BTreeSet<String> = alice
                .column(&format!("SELECT id FROM {source}"), &[])
                .into_iter()
                .collect();
            assert_eq!(seen, ALICE_SEES.map(str::to_owned).into(), "{source}");
        }
        assert_eq!(
            alice.one::<i64>(
                &format!("SELECT memory_count(namespace => 'default'{agent})"),
                &[]
            ),
            6
        );
        for id in &everything {
            let expected = usize::from(ALICE_SEES.contains(&id.as_str()));
            for function in ["memory_get", "memory_history"] {
                let rows = alice
                    .query(&format!("SELECT * FROM {function}($1{agent})"), &[id])
                    .expect("no error")
                    .len();
                assert_eq!(rows, expected, "{function} {id} {agent}");
            }
        }
        let keys: Vec<String> =
            alice.column(&format!("SELECT key FROM memory_kv_list('k'{agent})"), &[]);
        assert_eq!(keys, ["k.alice"]);
        assert_eq!(
            alice.one::<Option<String>>(&format!("SELECT memory_kv_get('k.bob'{agent})"), &[]),
            None
        );
        for function in ["memory_context", "memory_explain"] {
            let told: String = alice.one(
                &format!("SELECT {function}('words', k => 50{agent})::text"),
                &[],
            );
            assert!(
                told.contains("bob-to-alice")
                    && !told.contains("bob-private")
                    && !told.contains("bob-to-carol"),
                "{function}: {told}"
            );
        }
    }
}

#[test]
fn c23_an_agent_bound_role_writes_its_own_memories_only() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    let (role, mut alice) = granted(&database, "default", "write", Some("alice"));
    let before = store_hash(&mut owner);

    for (id, sqlstate) in [
        ("bob-private", "P0002"),
        ("bob-to-carol", "P0002"),
        ("bob-to-alice", "42501"),
        ("bob-global", "42501"),
        ("global", "42501"),
    ] {
        alice
            .refused("SELECT memory_update($1, 'changed by alice')", &[&id])
            .is(sqlstate)
            .well_formed();
        alice
            .refused("SELECT memory_restore_version($1, 1)", &[&id])
            .is(sqlstate)
            .well_formed();
        match sqlstate {
            "P0002" => assert!(
                !alice.one::<bool>("SELECT memory_delete($1)", &[&id]),
                "{id}"
            ),
            _ => drop(
                alice
                    .refused("SELECT memory_delete($1)", &[&id])
                    .is(sqlstate)
                    .well_formed(),
            ),
        }
    }
    assert_eq!(store_hash(&mut owner), before);

    assert_eq!(
        alice.one::<i32>(
            "SELECT memory_update('alice-private', 'changed by alice')",
            &[]
        ),
        2
    );
    assert!(alice.one::<bool>("SELECT memory_delete('alice-to-bob')", &[]));
    let added: String = alice.one("SELECT memory_add('a new one')", &[]);
    let row: Value = owner.one(
        "SELECT to_jsonb(m) - 'embedding' FROM memories m WHERE id = $1",
        &[&added],
    );
    assert_eq!(
        (&row["agent_id"], &row["scope"]),
        (&json!("alice"), &json!("agent-private")),
        "{role} adds as its agent"
    );
}

#[test]
fn c23_an_agent_bound_role_cannot_claim_another_agent_in_any_function() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    owner.run("SELECT memory_kv_set('k', 'v', agent_id => 'bob')");
    let (_, mut alice) = granted(&database, "default", "write", Some("alice"));
    let before = store_hash(&mut owner);

    for template in [
        READING,
        READING_1_1,
        READING_2_0,
        WRITING,
        WRITING_1_1,
        TOUCHING,
    ]
    .concat()
    {
        for claimed in ["bob", "*", "Alice", "alice "] {
            alice
                .refused(
                    &call(template, "bob-private", Some(claimed), "default"),
                    &[],
                )
                .is("42501")
                .well_formed();
        }
    }
    for template in [ADMINISTERING, BACKING_UP, OWNING, WATCHING].concat() {
        alice
            .refused(&call(template, "alice-private", None, "default"), &[])
            .is("42501")
            .well_formed();
    }
    alice.refused("SELECT * FROM memory_add_many('[\"fine\", {\"content\": \"not fine\", \"agent_id\": \"bob\"}]')", &[]).is("42501").says("item 2").well_formed();

    assert_eq!(store_hash(&mut owner), before);
}

#[test]
fn a_role_bound_to_two_agents_has_to_say_which() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    let (role, mut client) = granted(&database, "default", "write", Some("alice"));
    owner.run(&format!(
        "SELECT memory_grant('{role}', 'default', 'write', 'bob')"
    ));

    client
        .refused("SELECT memory_count()", &[])
        .is("22023")
        .hints("agent_id")
        .well_formed();
    assert_eq!(
        client.one::<i64>("SELECT memory_count(agent_id => 'alice')", &[]),
        5
    );
    assert_eq!(
        client.one::<i64>("SELECT memory_count(agent_id => 'bob')", &[]),
        6
    );
    client
        .refused("SELECT memory_count(agent_id => 'carol')", &[])
        .is("42501");
}

#[test]
fn a_free_role_changes_what_it_may_speak_for() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    let (_, mut writer) = granted(&database, "default", "write", None);

    assert_eq!(
        writer.one::<i32>("SELECT memory_update('global', 'changed')", &[]),
        2
    );
    assert_eq!(
        writer.one::<i32>(
            "SELECT memory_update('bob-global', 'changed', agent_id => 'bob')",
            &[]
        ),
        2
    );
    writer
        .refused(
            "SELECT memory_update('bob-to-alice', 'changed', agent_id => 'alice')",
            &[],
        )
        .is("42501")
        .well_formed();
    writer
        .refused(
            "SELECT memory_update('bob-private', 'changed', agent_id => 'alice')",
            &[],
        )
        .is("P0002");
    writer
        .refused("SELECT memory_update('bob-private', 'changed')", &[])
        .is("P0002");
}

#[test]
fn c17_no_function_reaches_another_project_by_id() {
    let database = database();
    let mut owner = database.connect();
    let id: String = owner.one(
        "SELECT memory_kv_set('k', 'words of q', project_id => 'q')",
        &[],
    );
    owner.run("SELECT memory_add('words of p', project_id => 'p')");
    let (_, mut client) = granted(&database, "p", "admin", None);
    let before = store_hash(&mut owner);

    // Asked for by its own project: no right there.
    for template in [
        READING,
        READING_1_1,
        READING_2_0,
        READING_FOR_OTHERS_1_1,
        WRITING,
        WRITING_1_1,
        WRITING_FOR_OTHERS_1_1,
        WRITING_FOR_ALL,
        TOUCHING,
        ADMINISTERING,
        BACKING_UP,
    ]
    .concat()
    {
        client
            .refused(&call(template, &id, None, "q"), &[])
            .is("42501")
            .keeps("words of q")
            .well_formed();
    }
    client.run("SET memory_ext.project = 'q'");
    client.refused("SELECT memory_count()", &[]).is("42501");
    client.run("SET memory_ext.project = 'p'");

    // Asked for in the caller's project: there is no such memory, for the owner neither.
    for sql in [&mut client, &mut owner] {
        for function in ["memory_get", "memory_history"] {
            assert!(
                sql.query(&format!("SELECT * FROM {function}($1, '*', 'p')"), &[&id])
                    .expect("no error")
                    .is_empty(),
                "{function}"
            );
        }
        assert_eq!(
            sql.one::<Option<String>>("SELECT memory_kv_get('k', project_id => 'p')", &[]),
            None
        );
        assert_eq!(
            sql.column::<String>(
                "SELECT content FROM memory_search('words', agent_id => '*', project_id => 'p')",
                &[]
            ),
            ["words of p"]
        );
        assert!(!sql.one::<bool>("SELECT memory_delete($1, '*', 'p')", &[&id]));
        assert!(!sql.one::<bool>("SELECT memory_kv_delete('k', project_id => 'p')", &[]));
        assert_eq!(
            sql.one::<i64>("SELECT memory_touch(ARRAY[$1], '*', 'p')", &[&id]),
            0
        );
        sql.refused(
            "SELECT memory_update($1, 'x', agent_id => '*', project_id => 'p')",
            &[&id],
        )
        .is("P0002");
        sql.refused("SELECT memory_restore_version($1, 1, '*', 'p')", &[&id])
            .is("P0002");
        sql.refused("SELECT memory_reveal($1, 'why', '*', 'p')", &[&id])
            .is("P0002");
        sql.refused(
            "SELECT * FROM memory_list(after => $1, project_id => 'p')",
            &[&id],
        )
        .is("22023");
        let receipt: Value = sql.one(
            "SELECT memory_forget(ids => ARRAY[$1], reason => 'r', project_id => 'p')",
            &[&id],
        );
        assert_eq!(receipt["memories"], 0);
    }

    owner.run("ALTER TABLE memory_events DISABLE TRIGGER USER; DELETE FROM memory_events WHERE event = 'forget'; ALTER TABLE memory_events ENABLE TRIGGER USER");
    assert_eq!(store_hash(&mut owner), before);
}

#[test]
fn c22_scope_follows_explicit_arguments_and_never_the_text() {
    let mut sql = database().connect();

    for text in [
        "the team policy",
        "global announcement for everyone",
        "my private secret diary",
        "shared with all agents",
        "company wide standard",
    ] {
        for (arguments, expected) in [
            ("", "global"),
            (", agent_id => 'a'", "agent-private"),
            (
                ", agent_id => 'a', shared_with_agents => '{b}'",
                "agent-shared",
            ),
            (", agent_id => 'a', scope => 'global'", "global"),
            (", agent_id => 'a', scope => 'agent-shared'", "agent-shared"),
        ] {
            let id: String = sql.one(
                &format!("SELECT memory_add($1{arguments}, on_duplicate => 'new')"),
                &[&text],
            );
            assert_eq!(
                sql.one::<String>("SELECT scope FROM memories WHERE id = $1", &[&id]),
                expected,
                "{text}{arguments}"
            );
        }
    }
    sql.run("SELECT memory_kv_set('policy', 'everyone reads this', agent_id => 'a')");
    assert_eq!(
        sql.one::<String>("SELECT scope FROM memories WHERE key = 'policy'", &[]),
        "agent-private"
    );
    sql.refused("SELECT memory_add('x', scope => 'agent-private')", &[])
        .is("22023")
        .says("agent_id")
        .well_formed();
    sql.refused(
        "SELECT memory_add('x', agent_id => 'a', scope => 'global', shared_with_agents => '{b}')",
        &[],
    )
    .is("22023")
    .well_formed();
}

#[test]
fn a_memory_made_private_hides_its_earlier_versions_from_others() {
    let mut sql = database().connect();
    let id: String = sql.one(
        "SELECT memory_add('told to all at first', agent_id => 'a', scope => 'global')",
        &[],
    );
    assert_eq!(
        sql.query("SELECT * FROM memory_history($1, 'b')", &[&id])
            .expect("history")
            .len(),
        1
    );

    sql.run(&format!(
        "SELECT memory_update('{id}', scope => 'agent-private', agent_id => 'a')"
    ));

    assert!(
        sql.query("SELECT * FROM memory_history($1, 'b')", &[&id])
            .expect("no error")
            .is_empty()
    );
    assert_eq!(
        sql.query("SELECT * FROM memory_history($1, 'a')", &[&id])
            .expect("history")
            .len(),
        2
    );
}

// --- grants

#[test]
fn membership_counts_and_set_role_changes_who_asks() {
    let database = database();
    database.connect().run("SELECT memory_add('words')");
    let (group, _) = granted(&database, "default", "read", None);
    let member = role();
    cluster().admin(&format!("GRANT {group} TO {member}"));
    let mut client = database.connect_as(&member);

    assert_eq!(client.one::<i64>("SELECT memory_count()", &[]), 1);
    client.run(&format!("SET ROLE {group}"));
    assert_eq!(client.one::<i64>("SELECT memory_count()", &[]), 1);

    let mut superuser = database.connect();
    superuser.run(&format!("SET ROLE {}", role()));
    superuser.refused("SELECT memory_count()", &[]).is("42501");
    superuser.run("RESET ROLE");
    assert_eq!(superuser.one::<i64>("SELECT memory_count()", &[]), 1);
}

#[test]
fn a_grant_and_its_end_count_at_once_in_open_sessions() {
    let database = database();
    let mut owner = database.connect();
    let role = role();
    let mut client = database.connect_as(&role);

    for _ in 0..3 {
        client.refused("SELECT memory_count()", &[]).is("42501");
        owner.run(&format!("SELECT memory_grant('{role}', 'default')"));
        assert_eq!(client.one::<i64>("SELECT memory_count()", &[]), 0);
        assert_eq!(
            owner.one::<i64>(&format!("SELECT memory_revoke('{role}', 'default')"), &[]),
            1
        );
    }
    client.refused("SELECT memory_count()", &[]).is("42501");
    assert_eq!(
        owner.one::<i64>(&format!("SELECT memory_revoke('{role}', 'default')"), &[]),
        0
    );
}

#[test]
fn a_grant_in_every_project_is_the_owners_to_give() {
    let database = database();
    let mut owner = database.connect();
    let (_, mut everywhere) = granted(&database, "*", "write", None);
    let (_, mut admin) = granted(&database, "p", "admin", None);
    let other = role();

    everywhere.run("SELECT memory_add('words', project_id => 'p'); SELECT memory_add('words', project_id => 'q')");
    everywhere
        .refused("SELECT memory_count(project_id => '*')", &[])
        .is("22023")
        .well_formed();
    assert_eq!(
        admin.one::<i64>("SELECT memory_count(project_id => 'p')", &[]),
        1
    );

    admin.run(&format!("SELECT memory_grant('{other}', 'p', 'read')"));
    admin
        .refused(&format!("SELECT memory_grant('{other}', 'q', 'read')"), &[])
        .is("42501")
        .well_formed();
    admin
        .refused(&format!("SELECT memory_grant('{other}', '*', 'read')"), &[])
        .is("42501")
        .well_formed();
    let events: Vec<String> = owner.column("SELECT payload ->> 'role' FROM memory_events WHERE event = 'grant' AND project_id = 'p' AND payload ->> 'privilege' = 'read'", &[]);
    assert_eq!(events, [other]);
}

#[test]
fn grants_of_nonsense_are_refused() {
    let mut sql = database().connect();
    let role = role();

    sql.refused("SELECT memory_grant('no such role', 'p')", &[])
        .is("22023")
        .says("no such role")
        .well_formed();
    sql.refused("SELECT memory_grant($1, 'p', 'rule')", &[&role])
        .is("22023")
        .says("rule")
        .hints("admin")
        .well_formed();
    sql.refused("SELECT memory_grant($1, ' ')", &[&role])
        .is("22023")
        .well_formed();
    sql.refused("SELECT memory_grant($1, 'p', 'read', '*')", &[&role])
        .is("22023")
        .well_formed();
    sql.refused("SELECT memory_grant($1, 'p', 'admin', 'a')", &[&role])
        .is("22023")
        .well_formed();
    for (role_argument, project) in [(None, Some("p")), (Some(role.as_str()), None)] {
        sql.refused("SELECT memory_grant($1, $2)", &[&role_argument, &project])
            .is("22023")
            .well_formed();
        sql.refused("SELECT memory_revoke($1, $2)", &[&role_argument, &project])
            .is("22023")
            .well_formed();
    }
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memory_grants", &[]), 0);
}
