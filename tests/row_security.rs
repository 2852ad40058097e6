//! Direct SQL of roles that are not the owner: row-level security, and what would void it.

mod support;

use std::collections::BTreeSet;

use postgres::Client;
use support::agents::{ALICE_SEES, three_agents};
use support::{Sql, database, granted, role, safety, store_tables};

#[test]
fn direct_sql_fails_closed_on_every_table() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    owner.run("SET memory_ext.audit = 'full'; SELECT memory_kv_set('k', 'v'); SELECT memory_kv_alias('a', 'k'); SELECT memory_update('global', 'changed'); SELECT memory_touch('{global}');
               INSERT INTO embedding_cache (model, content_hash, embedding) SELECT 'hash-384', content_hash, embedding FROM memories WHERE id = 'global';
               SELECT memory_vote('global', 'helpful', 'alice'); SELECT memory_vote('global', 'harmful', 'alice');
               SELECT memory_session_start('s'); SELECT memory_feature_create('f', description => 'x'); SELECT memory_run_start('r')");
    safety::exercise(&mut owner);
    let stranger = role();
    owner.run(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {stranger}"
    ));
    owner.run(&format!("SELECT memory_grant('{}', 'other')", role()));
    let mut client = database.connect_as(&stranger);

    for table in store_tables(&mut owner) {
        let there: i64 = owner.one(&format!("SELECT count(*) FROM {table}"), &[]);
        assert!(there > 0, "{table} has rows to hide");
        let seen: i64 = client.one(&format!("SELECT count(*) FROM {table}"), &[]);
        assert_eq!(seen, 0, "{table}");
        let changed = client
            .execute(&format!("DELETE FROM {table}"), &[])
            .unwrap_or(0);
        assert_eq!(changed, 0, "{table}");
    }
    for insert in [
        "INSERT INTO memories (content) VALUES ('smuggled')",
        "INSERT INTO memory_grants (role, project_id, privilege) VALUES (current_user, '*', 'admin')",
        "INSERT INTO memory_events (event, project_id, role) VALUES ('forged', 'default', 'postgres')",
        "INSERT INTO memory_key_aliases VALUES ('default', 'x', 'k')",
        "INSERT INTO memory_migrations (number, extension_version, checksum) VALUES (99, '9', 'x')",
        "INSERT INTO memory_models (name, embedder, dimensions, text_search_config, active) VALUES ('x', 'md5', 3, 'english', false)",
        "INSERT INTO memory_usage VALUES ('default', 'global', 1, now())",
        "INSERT INTO vote_history (memory_id, project_id, voter_agent_id, vote) VALUES ('global', 'default', 'x', 'helpful')",
        "INSERT INTO vote_changes (memory_id, project_id, voter_agent_id, vote) VALUES ('global', 'default', 'x', 'helpful')",
        "INSERT INTO session_progress (id, project_id, session_id) VALUES ('x', 'default', 'x')",
        "INSERT INTO feature_tracker (id, project_id, feature_id, description) VALUES ('x', 'default', 'x', 'x')",
        "INSERT INTO memory_runs (id, project_id, run_id) VALUES ('x', 'default', 'x')",
        "INSERT INTO memory_types (memory_type, half_life_days, description) VALUES ('x', 1, 'x')",
    ] {
        assert_eq!(client.refused(insert, &[]).sqlstate, "42501", "{insert}");
    }
}

#[test]
fn direct_sql_of_a_granted_role_follows_the_same_rule() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    owner.run(
        "SELECT memory_add('a secret of alice', agent_id => 'alice', sensitive => true, id => 'alice-secret');
         SELECT memory_add('words elsewhere', project_id => 'q', id => 'q');
         SELECT memory_add('words dead', id => 'dead'); SELECT memory_delete('dead');
         SELECT memory_add('words over', id => 'over'); UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = 'over'",
    );
    let (role, mut alice) = granted(&database, "default", "write", Some("alice"));
    owner.run(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    ));

    let seen: BTreeSet<String> = alice
        .column("SELECT id FROM memories", &[])
        .into_iter()
        .collect();
    assert_eq!(
        seen,
        ALICE_SEES.map(str::to_owned).into(),
        "no secret, nothing dead, nothing of others"
    );
    for table in [
        "memory_grants",
        "memory_events",
        "memory_usage",
        "embedding_cache",
    ] {
        assert_eq!(
            alice.one::<i64>(&format!("SELECT count(*) FROM {table}"), &[]),
            0,
            "{table}"
        );
    }

    assert_eq!(alice.execute("UPDATE memories SET content = 'changed directly' WHERE id LIKE 'bob%' OR id IN ('global', 'q')", &[]).expect("no error"), 0);
    assert_eq!(
        alice
            .execute("DELETE FROM memories WHERE id <> 'alice-private'", &[])
            .unwrap_or(0),
        1,
        "alice-to-bob is hers to delete"
    );
    assert_eq!(
        alice
            .execute(
                "UPDATE memories SET content = 'changed directly' WHERE id = 'alice-private'",
                &[]
            )
            .expect("hers"),
        1
    );
    let kept: i64 = owner.one(
        "SELECT count(*) FROM memory_history WHERE memory_id = 'alice-private' AND changed_by = $1",
        &[&role],
    );
    assert_eq!(kept, 1, "the history is written for her, by her name");
    assert_eq!(alice.execute("INSERT INTO memories (content, agent_id, scope) VALUES ('directly', 'alice', 'agent-private')", &[]).expect("hers"), 1);
    for statement in [
        "INSERT INTO memories (content, agent_id, scope) VALUES ('as bob', 'bob', 'agent-private')",
        "INSERT INTO memories (content, agent_id, scope, project_id) VALUES ('in q', 'alice', 'agent-private', 'q')",
        "UPDATE memories SET project_id = 'q' WHERE id = 'alice-private'",
        "UPDATE memories SET agent_id = 'bob' WHERE id = 'alice-private'",
        "DELETE FROM memory_history",
        "UPDATE memory_grants SET privilege = 'admin'",
    ] {
        match alice.execute(statement, &[]) {
            Ok(rows) => assert_eq!(rows, 0, "{statement}"),
            // The trigger that keeps a memory in its project speaks before the policy does.
            Err(error) => assert!(
                ["42501", "22023"].contains(&error.code().expect("an SQLSTATE").code()),
                "{statement}: {error:?}"
            ),
        }
    }
}

#[test]
fn a_read_grant_does_not_let_direct_sql_write() {
    let database = database();
    let mut owner = database.connect();
    three_agents(&mut owner);
    let (role, mut reader) = granted(&database, "default", "read", None);
    owner.run(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    ));

    assert!(reader.one::<i64>("SELECT count(*) FROM memories", &[]) > 0);
    assert_eq!(
        reader
            .execute("UPDATE memories SET content = 'x'", &[])
            .expect("no error"),
        0
    );
    assert_eq!(
        reader
            .execute("DELETE FROM memories", &[])
            .expect("no error"),
        0
    );
    reader
        .refused("INSERT INTO memories (content) VALUES ('x')", &[])
        .is("42501");
}

#[test]
fn the_security_check_finds_what_would_void_the_rules() {
    let database = database();
    let mut owner = database.connect();
    fn findings(client: &mut Client) -> Vec<String> {
        let rows = client
            .query(
                "SELECT finding, severity, detail, hint FROM memory_security_check()",
                &[],
            )
            .expect("checked");
        assert!(rows.len() >= 6);
        rows.iter()
            .filter(|row| row.get::<_, String>(1) != "ok")
            .map(|row| {
                assert!(
                    !row.get::<_, String>(2).is_empty() && !row.get::<_, String>(3).is_empty(),
                    "{row:?}"
                );
                format!("{}: {}", row.get::<_, String>(1), row.get::<_, String>(0))
            })
            .collect()
    }
    let (agent, mut client) = granted(&database, "default", "write", Some("a"));

    assert!(
        findings(&mut client).is_empty(),
        "an ordinary role on an untouched store: {:?}",
        findings(&mut client)
    );
    let found = findings(&mut owner);
    assert!(
        found
            .iter()
            .any(|finding| finding.starts_with("warning") && finding.contains("superuser")),
        "{found:?}"
    );

    for (harm, word, cure) in [
        (
            "ALTER TABLE memory_events DISABLE ROW LEVEL SECURITY",
            "row-level security",
            "ALTER TABLE memory_events ENABLE ROW LEVEL SECURITY",
        ),
        (
            "GRANT SELECT ON memory_history TO PUBLIC",
            "PUBLIC",
            "REVOKE ALL ON memory_history FROM PUBLIC",
        ),
        (
            "GRANT SELECT (content) ON memories TO PUBLIC",
            "PUBLIC",
            "REVOKE ALL (content) ON memories FROM PUBLIC",
        ),
        (
            "SELECT memory_grant('postgres', 'default')",
            "bypass",
            "SELECT memory_revoke('postgres', 'default')",
        ),
        (
            "CREATE POLICY open ON memories USING (true)",
            "polic",
            "DROP POLICY open ON memories",
        ),
        (
            "DROP POLICY memory_read ON memory_grants",
            "polic",
            "SELECT 1",
        ),
    ] {
        owner.run(harm);
        let found = findings(&mut client);
        assert!(
            found
                .iter()
                .any(|finding| finding.starts_with("error") && finding.contains(word)),
            "{harm}: {found:?}"
        );
        owner.run(cure);
    }
    owner.run(&format!("ALTER ROLE {agent} BYPASSRLS"));
    let found = findings(&mut client);
    assert!(
        found.iter().any(|finding| finding.contains("BYPASSRLS")),
        "{found:?}"
    );
}
