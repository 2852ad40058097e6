//! A store of release 1.0.0, as its users have one: made by the extension at that version, with something in every table.

use postgres::Client;
use serde_json::Value;

use super::cluster::Cluster;
use super::database::{Database, Sql};

pub const OLD: &str = "1.0.0";
/// What the tests are built with, and ALTER EXTENSION UPDATE goes to.
pub const NEW: &str = env!("CARGO_PKG_VERSION");

/// A new database with the extension at the old version, and no store yet.
pub fn old_database(cluster: &Cluster) -> Database<'_> {
    let database = cluster.empty_database();
    database.connect().run(&format!(
        "CREATE EXTENSION memory_ext VERSION '{OLD}' CASCADE"
    ));
    database
}

/// A connection of whoever is to own the store: an ordinary role that may make tables, or the superuser.
pub fn connect_as_owner(database: &Database, owner: Option<&str>) -> Client {
    match owner {
        None => database.connect(),
        Some(role) => {
            let mut superuser = database.connect();
            let mut schema_of = |extension: &str| -> String {
                superuser.one(
                    "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = $1",
                    &[&extension],
                )
            };
            let (schema, vector) = (schema_of("memory_ext"), schema_of("vector"));
            superuser.run(&format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}; GRANT USAGE ON SCHEMA {vector} TO {role}"));
            let mut sql = database.connect_as(role);
            sql.run(&format!("SET search_path = {schema}, {vector}, public"));
            sql
        }
    }
}

pub fn update(superuser: &mut Client) {
    superuser.run("ALTER EXTENSION memory_ext UPDATE");
}

/// What memory_version() says of extension and store, "-" where there is no store.
pub fn versions(sql: &mut Client) -> (String, String) {
    let report: Value = sql.one("SELECT memory_version()", &[]);
    let said = |what: &str| report[what].as_str().unwrap_or("-").to_owned();
    (said("extension"), said("store"))
}

/// Makes the store and puts something in every table of it; `reader` and `bound` are roles that get grants.
pub fn fill(sql: &mut Client, reader: &str, bound: &str) {
    sql.run("SELECT memory_init()");
    sql.run(
        "SELECT * FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('content', 'Fact ' || i || ' about ' || (ARRAY['rivers', 'mountains', 'cities', 'harbours'])[1 + i % 4],
                'namespace', 'n' || i % 3, 'metadata', jsonb_build_object('i', i, 'tags', jsonb_build_array('t' || i % 5)), 'importance', (i % 10) / 10.0)) FROM generate_series(1, 300) i));
         SELECT memory_add('private to a', agent_id => 'a', id => 'private');
         SELECT memory_add('shared by a', agent_id => 'a', shared_with_agents => '{b,c}', id => 'shared');
         SELECT memory_add(E'odd: tab\\t newline\\n backslash \\\\ quote '' \\u00e9 \\U0001F9E0', id => E'odd \\\\ '' id');
         SELECT memory_add('ends some day', ttl => '10 years', id => 'ttl', project_id => 'other');
         SELECT memory_add('a secret', sensitive => true, id => 'secret');
         SELECT memory_add('write the test before the code', memory_type => 'strategy', id => 'strategy-1');
         SELECT memory_add('write the test, before the code!', memory_type => 'strategy', id => 'strategy-2');
         SELECT memory_add('the build broke at noon', memory_type => 'episodic', session_id => 'session-1', agent_id => 'a', id => 'episode');
         SELECT memory_add('the harbour of Bergen is deep', memory_type => 'semantic', entity_id => 'Bergen', id => 'fact');
         SELECT memory_kv_set('city', 'Oslo', source => 'form'); SELECT memory_kv_set('token', 's3cret', sensitive => true); SELECT memory_kv_alias('town', 'city');
         SELECT memory_add('deleted', id => 'dead'); SELECT memory_add('forgotten', id => 'forgotten');
         SELECT memory_add('over', id => 'over', ttl => '1 hour'); UPDATE memories SET expires_at = now() - interval '1 day' WHERE id = 'over';
         INSERT INTO memories (id, content, metadata) VALUES ('by-hand', 'by hand', '{\"n\": 1}')",
    );
    // In transactions of their own, so that versions differ in time.
    for change in [
        "SELECT memory_kv_set('city', 'Bergen')",
        "SELECT memory_delete('dead')",
        "SELECT memory_forget(ids => '{forgotten}', reason => 'asked to')",
        "SELECT memory_update('shared', metadata => '{\"changed\": true}', agent_id => 'a')",
        "SELECT memory_update('fact', 'the harbour of Bergen is very deep')",
        "SELECT memory_restore_version('fact', 1)",
        "UPDATE memories SET content = 'by hand, and changed' WHERE id = 'by-hand'",
        "SELECT memory_touch(array_agg(id)) FROM memory_list(page_size => 20)",
        "SELECT memory_reveal('secret', 'a test')",
        "INSERT INTO embedding_cache (model, content_hash, embedding) SELECT 'hash-384', content_hash, embedding FROM memories WHERE id = 'private'",
    ] {
        sql.run(change);
    }
    sql.run(&format!("SELECT memory_grant('{reader}', 'default', 'read'); SELECT memory_grant('{bound}', '*', 'write', 'a')"));
}

/// Things of the user's own on the table of memories, each with `of_my_own` in its name or text.
pub fn attach_things_of_my_own(sql: &mut Client, reader: &str) {
    sql.run(&format!(
        "ALTER TABLE memories ADD COLUMN of_my_own text DEFAULT 'mine';
         CREATE INDEX of_my_own ON memories ((metadata ->> 'i'));
         CREATE POLICY of_my_own ON memories FOR SELECT TO {reader} USING (namespace = 'n1');
         ALTER TABLE memories ADD CONSTRAINT of_my_own CHECK (content <> 'never this');
         CREATE FUNCTION of_my_own() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
         CREATE TRIGGER of_my_own AFTER INSERT ON memories FOR EACH ROW EXECUTE FUNCTION of_my_own();
         COMMENT ON TABLE memories IS 'a comment of_my_own';
         GRANT SELECT (id, content) ON memories TO {reader}"
    ));
}

/// Searches that find something in a store that was filled.
pub const SEARCHES: &[&str] = &[
    "memory_search('mountains 17', 20)",
    "memory_search('harbours rivers', 20, mode => 'text')",
    "memory_search('fact about cities', 20, mode => 'vector', namespace => 'n1')",
    "memory_search('Oslo Bergen city', 5, agent_id => 'a')",
    "memory_search('fact', 20, filter => '{\"i\": {\"$gte\": 290}}')",
    "memory_search('write the test', 5, memory_types => '{strategy}', diversity => 0.3)",
];

/// What the reading functions give, in order: searches by these vector paths, with their scores, then all the rest.
pub fn found(sql: &mut Client, paths: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for path in paths {
        sql.run(&format!("SET memory_ext.vector_path = '{path}'"));
        for call in SEARCHES {
            found.extend(some(
                sql,
                &format!("SELECT id || ' ' || round(score::numeric, 9) FROM {call}"),
            ));
        }
    }
    sql.run("RESET memory_ext.vector_path");
    found.extend(some(
        sql,
        "SELECT memory_context('rivers and harbours', 300)",
    ));
    found.extend(looked_up(sql));
    found
}

/// What the functions give that rank nothing.
pub fn looked_up(sql: &mut Client) -> Vec<String> {
    [
        "SELECT concat_ws('|', id, content, version, scope, memory_type, metadata, created_at, updated_at, expires_at) FROM memory_list(page_size => 1000, include_expired => true, agent_id => '*')",
        "SELECT concat_ws('|', version, operation, content, valid_from, valid_to, changed_by, agent_id) FROM memory_history('fact')",
        "SELECT concat_ws('|', version, operation, content, metadata, valid_from, valid_to, changed_by, agent_id) FROM memory_history('shared', agent_id => 'b')",
        "SELECT concat_ws('|', key, value, source, version, id) FROM memory_kv_list()",
        "SELECT memory_kv_get('town')",
        "SELECT memory_count(agent_id => '*')::text",
    ]
    .iter()
    .flat_map(|query| some(sql, query))
    .collect()
}

fn some(sql: &mut Client, query: &str) -> Vec<String> {
    let rows: Vec<String> = sql.column(query, &[]);
    assert!(!rows.is_empty(), "nothing found: {query}");
    rows
}

pub const ALL_PATHS: &[&str] = &["auto", "exact", "sketch", "hnsw"];

/// Uses every function of 1.0.0 as the owner of the store, and plain SQL beside them, and checks that each did its work.
pub fn use_functions_of_1_0(sql: &mut Client) {
    let id: String = sql.one("SELECT memory_add('the ferry leaves at noon', metadata => '{\"n\": 1}', ttl => '1 day', on_duplicate => 'new')", &[]);
    let batch: Vec<String> = sql.column("SELECT id FROM memory_add_many('[\"a batch of one\", \"a batch of two\"]') ORDER BY ordinal", &[]);
    assert_eq!(batch.len(), 2);
    for mode in ["hybrid", "vector", "text"] {
        let found: Vec<String> = sql.column(
            "SELECT id FROM memory_search('ferry noon', 20, mode => $1)",
            &[&mode],
        );
        assert!(found.contains(&id), "{mode}: {found:?}");
    }
    assert_eq!(
        sql.one::<i32>(
            "SELECT memory_update($1, 'the ferry leaves at one', expected_version => 1)",
            &[&id]
        ),
        2
    );
    assert_eq!(
        sql.one::<i32>("SELECT memory_restore_version($1, 1)", &[&id]),
        3
    );
    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_history($1)", &[&id]),
        [
            "the ferry leaves at noon",
            "the ferry leaves at one",
            "the ferry leaves at noon"
        ]
    );
    assert_eq!(
        sql.column::<i32>("SELECT version FROM memory_get($1)", &[&id]),
        [3]
    );
    assert!(
        sql.column::<String>(
            "SELECT id FROM memory_list(filter => '{\"n\": {\"$gte\": 1}}')",
            &[]
        )
        .contains(&id)
    );
    assert!(sql.one::<i64>("SELECT memory_count()", &[]) >= 3);
    assert_eq!(sql.one::<i64>("SELECT memory_touch(ARRAY[$1])", &[&id]), 1);
    let explained: Value = sql.one("SELECT memory_explain('ferry')", &[]);
    assert_eq!(explained["complete"], true, "{explained}");
    assert!(
        sql.one::<String>("SELECT memory_context('ferry noon')", &[])
            .contains(&id)
    );
    assert!(sql.one::<bool>("SELECT memory_embed('x') IS NOT NULL", &[]));

    sql.run("SELECT memory_kv_set('pier', 'one'); SELECT memory_kv_set('pier', 'two'); SELECT memory_kv_alias('quay', 'pier')");
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('quay')", &[]),
        "two"
    );
    assert_eq!(
        sql.column::<String>("SELECT key || value FROM memory_kv_list('pier')", &[]),
        ["piertwo"]
    );
    assert!(sql.one::<bool>("SELECT memory_kv_delete('pier')", &[]));
    assert!(sql.one::<bool>("SELECT memory_kv_alias('quay')", &[]));

    sql.run("SELECT memory_grant('postgres', 'a project'); SELECT memory_version(); SELECT memory_expire(10); SELECT memory_init()");
    assert_eq!(
        sql.one::<i64>("SELECT memory_revoke('postgres', 'a project')", &[]),
        1
    );
    assert!(sql.one::<i64>("SELECT count(*) FROM memory_security_check()", &[]) > 0);
    assert_eq!(
        sql.one::<String>("SELECT memory_reveal($1, 'a test')", &[&id]),
        "the ferry leaves at noon"
    );
    assert!(sql.one::<bool>("SELECT memory_delete($1)", &[&id]));
    let receipt: Value = sql.one(
        "SELECT memory_forget(ids => $1, reason => 'a test')",
        &[&batch],
    );
    assert_eq!(receipt["memories"], 2, "{receipt}");

    let direct: String = sql.one("INSERT INTO memories (content, metadata) VALUES ('a gangway', '{\"plain\": true}') RETURNING id", &[]);
    assert_eq!(
        sql.column::<String>("SELECT id FROM memory_search('gangway', 1)", &[]),
        [direct.as_str()]
    );
    for statement in [
        "UPDATE memories SET content = 'a wider gangway' WHERE id = $1",
        "DELETE FROM memories WHERE id = $1",
    ] {
        assert_eq!(
            sql.execute(statement, &[&direct])
                .unwrap_or_else(|error| panic!("{statement}: {error:?}")),
            1
        );
    }
    assert_eq!(
        sql.column::<String>("SELECT version || operation || content FROM memory_history WHERE memory_id = $1 ORDER BY history_id", &[&direct]),
        ["1updatea gangway", "2deletea wider gangway"]
    );
}
