//! memory_health() and memory_ready(): they tell, and never fail for what they are to tell.

mod support;

use std::time::{Duration, Instant};

use postgres::Client;
use serde_json::{Value, json};
use support::{Cluster, Options, Sql, cluster, database, role, store, wait_until};

fn health(sql: &mut Client) -> Value {
    sql.one("SELECT memory_health()", &[])
}

fn ready(sql: &mut Client) -> bool {
    sql.one("SELECT memory_ready()", &[])
}

fn issues(health: &Value) -> Vec<&str> {
    let issues = health["issues"].as_array().expect("a list");
    issues
        .iter()
        .map(|issue| issue.as_str().expect("a text"))
        .collect()
}

/// The status, and an issue that says this.
fn is(sql: &mut Client, status: &str, part: &str) -> Value {
    let found = health(sql);
    assert_eq!(found["status"], status, "{found}");
    assert!(
        issues(&found).iter().any(|issue| issue.contains(part)),
        "{part}: {found}"
    );
    found
}

#[test]
fn hl_1_a_store_in_order_is_healthy_and_its_numbers_are_right() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('memory ' || i) FROM generate_series(1, 8) i;
         SELECT memory_kv_set('key', 'value'); SELECT memory_kv_set('token', 'hush', sensitive => true);
         SELECT memory_add('gone', id => 'gone'); SELECT memory_delete('gone');
         SELECT memory_add('long gone', id => 'long gone'); SELECT memory_delete('long gone');
         UPDATE memories SET deleted_at = now() - interval '31 days' WHERE id = 'long gone';
         SELECT memory_add('bad', id => 'bad'); SELECT memory_deprecate('bad');
         SELECT memory_add('over', ttl => '1 hour', id => 'over'); UPDATE memories SET expires_at = now() - interval '1 minute' WHERE id = 'over'",
    );

    let found = health(&mut sql);
    assert_eq!(found["status"], "healthy", "{found}");
    assert_eq!(issues(&found), [""; 0]);
    assert_eq!(found["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(found["store_version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(
        found["memories"],
        json!({ "total": 14, "live": 10, "keyed": 2, "expired": 1, "deleted": 2, "deprecated": 1, "sensitive": 1, "estimated": false })
    );
    assert_eq!(
        found["vectors"],
        json!({ "eligible": 10, "embedded": 10, "waiting": 0, "stale": 0, "sync_ratio": 1.0 })
    );
    assert_eq!(found["backlog"]["expired"], 1);
    assert_eq!(found["backlog"]["tombstones"], 1);
    assert!(found["backlog"]["unsealed"].is_i64(), "{found}");
    assert_eq!(found["worker"]["preloaded"], false);
    assert_eq!(found["index"]["valid"], true);
    assert!(found["index"]["bytes"].as_i64() > Some(0), "{found}");
    let server = &found["db_health"];
    assert_eq!(server["in_recovery"], false);
    assert_eq!(server["read_only"], false);
    assert_eq!(server["max_connections"], 60);
    assert!(server["connections"].as_i64() >= Some(1), "{found}");
    assert!(ready(&mut sql));

    sql.run("BEGIN READ ONLY");
    assert_eq!(health(&mut sql)["db_health"]["read_only"], true);
    assert!(ready(&mut sql));
    sql.run("COMMIT");
    sql.run("SET memory_ext.as_of = 'yesterday'");
    assert_eq!(health(&mut sql)["status"], "healthy");
}

#[test]
fn hl_1_before_init_nothing_is_wrong() {
    let mut sql = cluster().database().connect();
    let found = health(&mut sql);
    assert_eq!(found["status"], "uninitialized", "{found}");
    assert_eq!(found["memories"], Value::Null);
    assert_eq!(found["store_version"], Value::Null);
    assert_eq!(issues(&found), [""; 0]);
    assert!(!ready(&mut sql));

    sql.run("SELECT memory_init()");
    assert_eq!(health(&mut sql)["status"], "healthy");
    assert!(ready(&mut sql), "the same session sees the store");
}

#[test]
fn hl_1_anybody_may_ask_and_learns_numbers_only() {
    let database = database();
    let mut owner = database.connect();
    owner.run("SELECT memory_add('do not tell', key => 'hidden', agent_id => 'alice', metadata => '{\"secret\": 1}')");
    let mut stranger = database.connect_as(&role());

    let found = health(&mut stranger);
    assert_eq!(found["status"], "healthy");
    assert_eq!(found["memories"]["total"], 1);
    for word in ["do not tell", "hidden", "alice", "secret\""] {
        assert!(!found.to_string().contains(word), "{found}");
    }
    assert!(ready(&mut stranger));
}

#[test]
fn hl_1_what_is_wrong_is_told() {
    let database = database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('memory ' || i, id => 'm' || i) FROM generate_series(1, 4) i");

    // Works all the same.
    sql.run("SET session_replication_role = replica; UPDATE memories SET embedding = NULL, embedded_hash = NULL WHERE id = 'm1'; RESET session_replication_role");
    let found = is(&mut sql, "degraded", "1 memories wait for a vector");
    assert_eq!(
        found["vectors"],
        json!({ "eligible": 4, "embedded": 3, "waiting": 1, "stale": 0, "sync_ratio": 0.75 })
    );
    sql.run("SELECT memory_reembed(); SET session_replication_role = replica; UPDATE memories SET embedded_hash = sha256('x') WHERE id = 'm2'; RESET session_replication_role");
    let found = is(&mut sql, "degraded", "the vector of an older text");
    assert_eq!(found["vectors"]["stale"], 1);
    sql.run("SELECT memory_reembed(only_stale => true)");
    assert_eq!(health(&mut sql)["status"], "healthy");

    sql.run("DROP INDEX ix_memories_embedding_hnsw");
    assert_eq!(
        is(&mut sql, "degraded", "no valid vector index")["index"]["valid"],
        false
    );
    // Search goes on without it: a server that is taken out of traffic for that would serve nobody.
    assert!(ready(&mut sql));
    sql.run("SELECT memory_rebuild_index()");
    sql.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_memories_embedding_hnsw'::regclass");
    is(&mut sql, "degraded", "no valid vector index");
    assert!(ready(&mut sql));
    sql.run("UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'ix_memories_embedding_hnsw'::regclass");

    sql.run("INSERT INTO memory_maintenance_runs (operation, role, started_at, issues_found, issues_resolved, report) VALUES ('check_integrity', 'x', now(), 3, 0, '{}')");
    is(&mut sql, "degraded", "found 3 issues");
    sql.run("INSERT INTO memory_maintenance_runs (operation, role, started_at, issues_found, issues_resolved, report) VALUES ('check_integrity', 'x', now(), 0, 0, '{}')");
    assert_eq!(health(&mut sql)["status"], "healthy");

    sql.run(
        "CREATE TABLE kept AS TABLE memory_models; CREATE TABLE numbers AS TABLE memory_migrations",
    );
    for (change, status, part, is_ready) in [
        (
            "DELETE FROM memory_migrations WHERE number = 3",
            "degraded",
            "memory_migrate()",
            true,
        ),
        (
            "UPDATE memory_migrations SET number = 90 WHERE number = 3",
            "unhealthy",
            "newer",
            false,
        ),
        (
            "UPDATE memory_migrations SET number = number - 9",
            "unhealthy",
            "older",
            false,
        ),
        (
            "DELETE FROM memory_models",
            "unhealthy",
            "incomplete",
            false,
        ),
        (
            "DROP TRIGGER memory_after_change ON memories",
            "unhealthy",
            "memory_after_change",
            false,
        ),
        (
            "ALTER TABLE memory_usage RENAME TO elsewhere",
            "unhealthy",
            "memory_usage",
            false,
        ),
        (
            "ALTER TABLE memory_events RENAME TO elsewhere_too",
            "unhealthy",
            "memory_events",
            false,
        ),
        (
            "ALTER TABLE memory_models RENAME TO elsewhere_as_well",
            "unhealthy",
            "not the rest",
            false,
        ),
        (
            "ALTER TABLE memories RENAME COLUMN is_sensitive TO elsewhere",
            "unhealthy",
            "SQLSTATE 42703",
            true,
        ),
    ] {
        sql.run(change);
        // Sessions of their own: nothing tells the others of rows that somebody changes in these tables by hand.
        for client in [&mut database.connect(), &mut database.connect_as(&role())] {
            is(client, status, part);
            assert_eq!(ready(client), is_ready, "{change}");
        }
        sql.run(
            "DO $$ BEGIN ALTER TABLE memories RENAME COLUMN elsewhere TO is_sensitive; EXCEPTION WHEN undefined_column THEN NULL; END $$;
             ALTER TABLE IF EXISTS elsewhere RENAME TO memory_usage; ALTER TABLE IF EXISTS elsewhere_too RENAME TO memory_events; ALTER TABLE IF EXISTS elsewhere_as_well RENAME TO memory_models;
             TRUNCATE memory_models, memory_migrations; INSERT INTO memory_models SELECT * FROM kept; INSERT INTO memory_migrations SELECT * FROM numbers; SELECT memory_migrate()",
        );
        assert_eq!(health(&mut sql)["status"], "healthy", "after {change}");
    }
}

#[test]
fn where_callers_bring_vectors_a_few_are_on_their_way() {
    let mut sql = cluster().database().connect();
    sql.run(
        "SELECT memory_init(dimensions => 2, embedder => 'external');
         SELECT memory_add('memory ' || i, embedding => '[1,2]') FROM generate_series(1, 40) i; SELECT memory_add('waits')",
    );
    let found = health(&mut sql);
    assert_eq!(found["status"], "healthy", "{found}");
    assert_eq!(found["vectors"]["waiting"], 1);

    sql.run("SELECT memory_add('waits too ' || i) FROM generate_series(1, 5) i");
    is(&mut sql, "degraded", "6 memories wait for a vector");
}

#[test]
fn of_very_many_memories_the_numbers_are_estimates() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('memory ' || i) FROM generate_series(1, 50) i; ANALYZE memories;
         UPDATE pg_class SET reltuples = 1000000 WHERE oid = 'memories'::regclass",
    );
    let found = health(&mut sql);
    assert_eq!(found["memories"]["estimated"], true, "{found}");
    assert!(
        found["memories"]["total"].as_i64() > Some(50_000),
        "{found}"
    );
    assert_eq!(found["vectors"]["stale"], Value::Null);
    assert_eq!(found["vectors"]["waiting"], 0);
    assert_eq!(found["status"], "healthy");
}

#[test]
fn a_large_table_without_statistics_is_not_read() {
    let database = database();
    let mut sql = database.connect();
    // A row a page: 100 MB of them.
    sql.run(
        "ALTER TABLE memories SET (fillfactor = 10, autovacuum_enabled = off); ALTER TABLE memories DISABLE TRIGGER USER;
         INSERT INTO memories (id, content, scope, deleted_at) SELECT 'm' || i, repeat('word ', 200), 'global', now() FROM generate_series(1, 13000) i;
         ALTER TABLE memories ENABLE TRIGGER USER",
    );
    let size: i64 = sql.one("SELECT pg_relation_size('memories')", &[]);
    assert!(size > 13_000 * 8000, "{size}");
    for reltuples in [0, -1] {
        sql.run(&format!(
            "UPDATE pg_class SET reltuples = {reltuples} WHERE oid = 'memories'::regclass; SELECT pg_stat_reset()"
        ));
        let mut stranger = database.connect_as(&role());
        stranger.run("BEGIN");
        let found = health(&mut stranger);
        assert_eq!(found["memories"]["estimated"], true, "{found}");
        let scans: i64 = stranger.one(
            "SELECT coalesce(seq_tup_read, 0) FROM pg_stat_xact_all_tables WHERE relname = 'memories'",
            &[],
        );
        assert_eq!(scans, 0, "{found}");
        stranger.run("COMMIT");
    }
}

#[test]
fn a_locked_store_is_told_of_in_time() {
    let database = database();
    let (mut holder, mut sql) = (database.connect(), database.connect());
    holder.run("BEGIN; LOCK TABLE memories IN ACCESS EXCLUSIVE MODE");
    let started = Instant::now();
    is(&mut sql, "degraded", "is locked");
    assert!(ready(&mut sql));
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    holder.run("ROLLBACK");
    assert_eq!(health(&mut sql)["status"], "healthy");
}

#[test]
fn readiness_reads_no_table_however_large_it_is() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('memory ' || i) FROM generate_series(1, 200) i; SELECT memory_ready()",
    );
    let scans = "SELECT coalesce(seq_scan, 0) + coalesce(idx_scan, 0) FROM pg_stat_xact_user_tables WHERE relname = 'memories'";
    sql.run("BEGIN");
    // What the session has not handed over yet is among them.
    let before: i64 = sql.one(scans, &[]);
    assert!(ready(&mut sql));
    assert_eq!(sql.one::<i64>(scans, &[]), before);
    sql.run("SELECT memory_count()");
    assert!(sql.one::<i64>(scans, &[]) > before, "the statistics tell");
    sql.run("COMMIT");
}

#[test]
fn a_standby_is_healthy_too() {
    let primary = Cluster::start(Options::default());
    let database = primary.database();
    let mut writer = database.connect();
    writer.run(
        "SELECT memory_init(); SELECT memory_add('memory ' || i) FROM generate_series(1, 5) i",
    );
    let cluster = primary.standby();
    let mut sql = cluster.connect(&database.name);

    let found = health(&mut sql);
    assert_eq!(found["status"], "healthy", "{found}");
    assert_eq!(found["db_health"]["in_recovery"], true);
    assert_eq!(found["db_health"]["read_only"], true);
    assert_eq!(found["memories"]["live"], 5);
    assert!(ready(&mut sql));
}

#[test]
fn nearly_all_connections_in_use_is_told() {
    let cluster = Cluster::start(Options {
        settings: vec!["max_connections = 12", "superuser_reserved_connections = 1"],
        ..Options::default()
    });
    let database = cluster.database();
    let mut sql = database.connect();
    sql.run("SELECT memory_init()");
    assert_eq!(health(&mut sql)["status"], "healthy");
    let others: Vec<Client> = (0..10).map(|_| database.connect()).collect();
    let found = is(
        &mut sql,
        "degraded",
        "11 connections are in use, of 11 that ordinary roles may have",
    );
    assert_eq!(found["db_health"]["status"], "degraded");
    drop(others);
    wait_until("they are gone", || health(&mut sql)["status"] == "healthy");
}

#[test]
fn the_worker_of_a_preloaded_server_is_told_of() {
    let cluster = Cluster::start(Options {
        preload: true,
        settings: vec!["memory_ext.naptime = '1s'"],
    });
    let mut sql = cluster.database().connect();
    sql.run("SELECT memory_init()");
    wait_until("a run", || {
        health(&mut sql)["worker"]["runs"].as_i64() > Some(0)
    });
    let found = health(&mut sql);
    assert_eq!(found["worker"]["preloaded"], true);
    let last: String = found["worker"]["last_run"]
        .as_str()
        .expect("a time")
        .to_owned();
    let age: f64 = sql.one(
        "SELECT extract(epoch FROM clock_timestamp() - $1::text::timestamptz)::float8",
        &[&last],
    );
    assert!((0.0..60.0).contains(&age), "{last}");
    assert_eq!(found["status"], "healthy", "{found}");
}
