//! The store that an operator looks after, and what has to hold of it.

use std::sync::OnceLock;

use postgres::Client;

use super::desk::Desk;
use crate::support::{Cluster, Database, Options, Sql, store_hash, wait_until};

/// One server for all tests that do not stop or configure it.
pub fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| Cluster::start(options()))
}

/// pg_basebackup, as the guide has it, waits for a checkpoint that takes its time.
pub fn options() -> Options {
    Options {
        settings: vec!["checkpoint_completion_target = 0"],
        ..Options::default()
    }
}

/// A database with a filled store, and the desk of who looks after it.
pub fn filled(cluster: &Cluster) -> (Database<'_>, Desk<'_>) {
    let database = cluster.database();
    let mut sql = database.connect();
    fill(&mut sql);
    // What 2.0.0 has beside.
    sql.run("INSERT INTO memory_import_inbox (line) VALUES ('{\"content\": \"a line that waits\"}'); SELECT memory_maintenance('{analyze}')");
    let desk = Desk::at(&database);
    (database, desk)
}

/// Something of everything, in a store of 1.1.0 or newer.
pub fn fill(sql: &mut Client) {
    sql.run("SELECT memory_init()");
    sql.run(
        "SELECT * FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('content', 'Fact ' || i || ' about ' || (ARRAY['rivers', 'mountains', 'cities', 'harbours'])[1 + i % 4],
                'namespace', 'n' || i % 3, 'metadata', jsonb_build_object('i', i), 'importance', (i % 10) / 10.0)) FROM generate_series(1, 40) i));
         SELECT memory_add('The keel was laid in 1902', namespace => 'notes', id => 'note-1');
         SELECT memory_add('The mast is of Oregon pine', namespace => 'notes', id => 'note-2', metadata => '{\"by\": [\"Ada\", null]}');
         SELECT memory_add(E'odd: tab\\t newline\\n backslash \\\\ quotes '' \" comma, \\u00e9 \\U0001F9E0', id => 'odd', metadata => '{\"path\": \"C:\\\\new\"}');
         SELECT memory_add('private to coder', agent_id => 'coder', id => 'private'); SELECT memory_add('private to planner', agent_id => 'planner', id => 'other');
         SELECT memory_add('s3cret of the harbour', sensitive => true, id => 'secret');
         SELECT memory_kv_set('city', 'Oslo'); SELECT memory_add('over and gone', id => 'over');
         UPDATE memories SET expires_at = now() - interval '1 hour' WHERE id = 'over';
         SELECT memory_add('outdated plan', id => 'outdated'); SELECT memory_deprecate('outdated', 'moved on', superseded_by => 'odd')",
    );
    // In transactions of their own, so that versions differ in time.
    sql.run("SELECT memory_kv_set('city', 'Bergen')");
    sql.run("SELECT memory_update('note-1', 'The keel was laid in 1903')");
    sql.run("SELECT memory_add('deleted', id => 'dead'); SELECT memory_delete('dead')");
    sql.run("SELECT memory_vote('odd', 'helpful', 'coder', 'why', 'task'); SELECT memory_vote('odd', 'harmful', 'planner')");
}

/// The same rows, in every table of the store.
pub fn assert_same_rows(what: &str, one: &Database, other: &Database) {
    assert_eq!(
        store_hash(&mut one.connect()),
        store_hash(&mut other.connect()),
        "{what}"
    );
}

/// The line of one table in what store_hash gives.
pub fn table_hash(database: &Database, table: &str) -> String {
    let hash = store_hash(&mut database.connect());
    let line = hash
        .lines()
        .find(|line| line.starts_with(&format!("{table}:")));
    line.unwrap_or_else(|| panic!("{table} is not in\n{hash}"))
        .to_owned()
}

/// A hash of the memories, their versions and their votes.
pub fn memories_hash(sql: &mut Client) -> String {
    sql.one(
        "SELECT concat_ws(' ', (SELECT md5(string_agg(m::text, ',' ORDER BY id, project_id)) FROM memories m),
                               (SELECT md5(string_agg(h::text, ',' ORDER BY history_id)) FROM memory_history h),
                               (SELECT md5(string_agg(v::text, ',' ORDER BY id)) FROM vote_history v))",
        &[],
    )
}

/// The vector index is valid, and search uses it and finds by it what it finds without.
pub fn assert_indexed(sql: &mut Client) {
    assert!(
        sql.one::<bool>("SELECT indisvalid AND indisready FROM pg_index WHERE indexrelid = 'ix_memories_embedding_hnsw'::regclass", &[])
    );
    let search =
        "SELECT id FROM memory_search('fact about harbours', 8, mode => 'vector', agent_id => '*')";
    // So few rows are read and sorted as fast.
    sql.run("SET memory_ext.vector_path = 'hnsw'; SET enable_sort = off");
    // An index that is built where rows were updated before is used once the transactions of then have ended, those of other
    // tests too.
    wait_until("search uses the index", || {
        let plan: String = sql.one(
            "SELECT memory_explain('fact about harbours', 8, mode => 'vector', agent_id => '*')::text",
            &[],
        );
        plan.contains("ix_memories_embedding_hnsw")
    });
    let by_index: Vec<String> = sql.column(search, &[]);
    sql.run("SET memory_ext.vector_path = 'exact'; RESET enable_sort");
    assert_eq!(by_index, sql.column::<String>(search, &[]));
    assert_eq!(by_index.len(), 8);
    sql.run("RESET memory_ext.vector_path");
}

/// Agents can go on: what is added is found, what is there is not added again, versions and votes are kept.
pub fn assert_alive(database: &Database) {
    let mut sql = database.connect();
    assert_indexed(&mut sql);
    let text = "the ferry leaves at noon";
    let id: String = sql.one("SELECT memory_add($1)", &[&text]);
    assert_eq!(
        sql.column::<String>("SELECT id FROM memory_search($1, 1)", &[&text]),
        [id.as_str()]
    );
    assert_eq!(
        sql.one::<String>(
            "SELECT memory_add('The mast is  of Oregon pine', namespace => 'notes')",
            &[]
        ),
        "note-2",
        "memories that were there are seen as duplicates"
    );
    sql.run("SELECT memory_update('note-2', 'The mast is of steel')");
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_history('note-2')", &[]),
        2
    );
    sql.run("SELECT memory_vote('odd', 'helpful', 'tester')");
    assert_eq!(
        sql.one::<String>("SELECT bullet_helpful || ' ' || bullet_harmful || ' ' || (SELECT count(*) FROM memory_votes('odd', agent_id => '*')) FROM memories WHERE id = 'odd'", &[]),
        "2 1 3"
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('city')", &[]),
        "Bergen"
    );
}
