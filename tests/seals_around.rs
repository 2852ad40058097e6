//! Audit seals beside everything else: standby, worker, update from an older release, dump, memory.

mod support;

use std::time::Duration;

use postgres::Client;
use serde_json::Value;
use support::{Cluster, Options, Sql, cluster, release, role, run, wait_until};

fn assert_intact(sql: &mut Client) {
    let said: Vec<String> = sql.column(
        "SELECT status || ': ' || message FROM memory_audit_verify()",
        &[],
    );
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].starts_with("intact"), "{said:?}");
}

fn details(sql: &mut Client) -> Value {
    sql.one(
        "SELECT details FROM memory_audit_verify() WHERE details IS NOT NULL",
        &[],
    )
}

#[test]
fn a_standby_verifies_and_exports_and_does_not_seal() {
    let primary = Cluster::start(Options::default());
    let database = primary.database();
    let mut writer = database.connect();
    writer.run("SELECT memory_add('x', id => 'x'); SELECT memory_update('x', 'y'); SELECT * FROM memory_audit_seal()");
    let cluster = primary.standby();
    let mut standby = cluster.connect(&database.name);
    let written: String = writer.one("SELECT pg_current_wal_lsn()::text", &[]);
    wait_until("the standby has caught up", || {
        standby.one(
            "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn",
            &[&written],
        )
    });
    assert_intact(&mut standby);
    assert_eq!(
        standby.one::<i64>("SELECT count(*) FROM memory_audit_export()", &[]),
        4
    );
    standby
        .refused("SELECT * FROM memory_audit_seal()", &[])
        .is("25006")
        .says("memory_audit_seal()");

    // Numbers go on behind those that were lost with the primary.
    cluster.promote();
    wait_until("the standby is promoted", || {
        !standby.one::<bool>("SELECT pg_is_in_recovery()", &[])
    });
    standby.run("SELECT memory_update('x', 'z'); SELECT * FROM memory_audit_seal()");
    assert_intact(&mut standby);
    assert_eq!(details(&mut standby)["seals"], 4);
}

#[test]
fn the_worker_seals_and_a_writer_who_takes_his_time_does_not_stop_it() {
    let cluster = Cluster::start(Options {
        preload: true,
        settings: vec![
            "memory_ext.naptime = '1s'",
            "memory_ext.seal_interval = '1s'",
        ],
    });
    let database = cluster.database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('x', id => 'x'); SELECT memory_update('x', 'y')");
    let sealed = |sql: &mut Client| details(sql)["events"]["unsealed"] == 0;
    wait_until("the worker has sealed", || sealed(&mut sql));
    assert_intact(&mut sql);

    let mut slow = database.connect();
    slow.run("BEGIN; SELECT memory_update('x', 'z')");
    sql.run("SELECT memory_add('other', id => 'o'); SELECT memory_update('o', 'other still')");
    wait_until("the worker has given up", || {
        cluster.log().contains("was not sealed")
    });
    // All else goes on.
    sql.run("SELECT memory_add('ends', id => 'ends', ttl => '1 hour'); UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = 'ends'");
    wait_until("the worker sweeps", || {
        sql.one::<i64>("SELECT count(*) FROM memories", &[]) == 2
    });
    slow.run("COMMIT");
    wait_until("the worker has sealed again", || sealed(&mut sql));
    assert_intact(&mut sql);
    // What is idle is not sealed over and over.
    let seals = details(&mut sql)["seals"].clone();
    std::thread::sleep(Duration::from_secs(4));
    assert_eq!(details(&mut sql)["seals"], seals);
}

#[test]
fn what_an_older_release_recorded_is_sealed_after_the_update() {
    let database = cluster().empty_database();
    let mut sql = database.connect();
    sql.run("CREATE EXTENSION memory_ext VERSION '1.1.0' CASCADE");
    release::fill(&mut sql, &role(), &role());
    sql.refused("SELECT * FROM memory_audit_seal()", &[])
        .is("42883");
    sql.run("SELECT memory_forget(ids => '{shared}', reason => 'before there were seals')");

    sql.run("ALTER EXTENSION memory_ext UPDATE; SELECT memory_migrate()");
    let rows: Vec<i64> = ["memory_events", "memory_history"]
        .iter()
        .map(|table| sql.one(&format!("SELECT count(*) FROM {table}"), &[]))
        .collect();
    assert!(rows.iter().all(|rows| *rows > 1));
    assert_eq!(
        sql.column::<i64>("SELECT sealed_rows FROM memory_audit_seal()", &[]),
        rows
    );
    assert_intact(&mut sql);
    sql.run("SELECT memory_forget(ids => '{fact}', reason => 'asked')");
    assert_intact(&mut sql);
    assert!(details(&mut sql)["history"]["erased"].as_i64() > Some(1));
}

#[test]
fn a_dump_brings_the_seals_along() {
    let database = cluster().database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('x', id => 'x', metadata => '{\"a\": 1.10}'); SELECT memory_update('x', 'y', importance => 0.1); SELECT * FROM memory_audit_seal()");
    let anchor: String = sql.one("SELECT memory_audit_anchor()", &[]);
    let dump = run(database
        .cluster
        .client("pg_dump", &database.name)
        .arg("-Fp"));
    let copy = cluster().empty_database();
    let path = cluster().directory().join("seals.sql");
    std::fs::write(&path, dump).expect("written");
    run(copy
        .cluster
        .client("psql", &copy.name)
        .args(["-Xq", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(&path));
    let mut sql = copy.connect();
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_audit_verify($1)", &[&anchor]),
        1
    );
    sql.run("SELECT memory_update('x', 'z'); SELECT * FROM memory_audit_seal()");
    assert_intact(&mut sql);
}

/// What a backend's memory grows by, in megabytes, while it runs a statement.
fn growth(sql: &mut Client, statement: &str) -> i64 {
    let pid: i32 = sql.one("SELECT pg_backend_pid()", &[]);
    let anonymous = || -> i64 {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("Linux");
        let line = status.lines().find(|line| line.starts_with("RssAnon:"));
        let digits = line.expect("RssAnon").split_whitespace().nth(1);
        digits.and_then(|digits| digits.parse().ok()).expect("kB")
    };
    sql.run("SELECT count(*) FROM memory_audit_verify()");
    let before = anonymous();
    let (stop, peak) = (
        std::sync::atomic::AtomicBool::new(false),
        std::sync::atomic::AtomicI64::new(0),
    );
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                peak.fetch_max(anonymous(), std::sync::atomic::Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        sql.run(statement);
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    (peak.into_inner() - before) / 1024
}

#[test]
fn memory_is_bounded_however_long_the_trail() {
    let database = cluster().database();
    let mut sql = database.connect();
    sql.run("SELECT memory_init()");
    sql.run(
        "INSERT INTO memory_events (event, project_id, memory_id, role, payload) SELECT 'update', 'default', 'm' || i, 'x', '{\"n\": 1}' FROM generate_series(1, 200000) i;
         INSERT INTO memory_history (project_id, memory_id, version, operation, content, content_hash, namespace, scope, shared_with_agents, metadata, memory_type, is_sensitive, importance, created_at, valid_from, valid_to, changed_by)
         SELECT 'default', 'm' || i, 1, 'update', repeat('words ' || i, 100), '\\x00', 'default', 'global', '{}', '{}', 'standard', false, 0.5, now(), now(), now(), 'x' FROM generate_series(1, 100000) i",
    );
    for statement in [
        "SELECT * FROM memory_audit_seal()",
        "SELECT count(*) FROM memory_audit_verify()",
        "COPY (SELECT memory_audit_export()) TO PROGRAM 'cat >/dev/null'",
    ] {
        let grown = growth(&mut sql, statement);
        assert!(grown < 64, "{statement}: {grown} MB");
        println!("{statement}: {grown} MB");
    }
    assert_eq!(details(&mut sql)["seals"], 30);
}
