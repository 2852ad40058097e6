//! memory_progress(): how far the long calls of others are.

mod support;

use std::sync::OnceLock;
use std::time::Duration;

use postgres::Client;
use support::{Cluster, Database, Options, Sql, wait_until};

const SOON: Duration = Duration::from_secs(30);

fn preloaded() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        Cluster::start(Options {
            preload: true,
            settings: vec!["memory_ext.databases = 'no_such_database'"],
        })
    })
}

/// A store with so many memories.
fn filled(memories: usize) -> Database<'static> {
    let database = preloaded().database();
    let mut sql = database.connect();
    sql.run(&format!(
        "SELECT memory_init(); SET maintenance_work_mem = '64MB'; DROP INDEX ix_memories_embedding_hnsw;
         SELECT memory_add('memory ' || i) FROM generate_series(1, {memories}) i; SELECT memory_rebuild_index()"
    ));
    database
}

#[derive(Debug, PartialEq)]
struct Running {
    pid: i32,
    operation: String,
    phase: String,
    done: i64,
    total: Option<i64>,
    percent: Option<f64>,
    rate: f64,
    remaining: Option<f64>,
    age: f64,
    role: String,
}

fn running(sql: &mut Client) -> Vec<Running> {
    let rows = sql
        .query(
            "SELECT pid, operation, phase, done, total, percent, rate, extract(epoch FROM remaining)::float8, extract(epoch FROM clock_timestamp() - started_at)::float8, role
             FROM memory_progress() ORDER BY pid",
            &[],
        )
        .expect("the progress");
    rows.iter()
        .map(|row| Running {
            pid: row.get(0),
            operation: row.get(1),
            phase: row.get(2),
            done: row.get(3),
            total: row.get(4),
            percent: row.get(5),
            rate: row.get(6),
            remaining: row.get(7),
            age: row.get(8),
            role: row.get(9),
        })
        .collect()
}

fn pid(sql: &mut Client) -> i32 {
    sql.one("SELECT pg_backend_pid()", &[])
}

/// Waits for rows of an operation in a phase, and gives the first.
fn wait_for(sql: &mut Client, operation: &str, phase: &str, least: i64) -> Running {
    let mut found = None;
    wait_until(&format!("{operation} is {phase}"), SOON, || {
        found = running(sql)
            .into_iter()
            .find(|call| call.operation == operation && call.phase == phase && call.done >= least);
        found.is_some()
    });
    found.expect("it was waited for")
}

#[test]
fn an_export_tells_how_far_it_is_until_it_ends() {
    let database = filled(2500);
    let (mut sql, mut other) = (database.connect(), database.connect());
    assert_eq!(running(&mut other), []);
    sql.run("BEGIN; DECLARE c CURSOR FOR SELECT memory_export(); FETCH 1 FROM c");

    let found = wait_for(&mut other, "export", "exporting", 0);
    assert_eq!(found.pid, pid(&mut sql));
    assert_eq!(
        (found.done, found.total, found.percent),
        (0, Some(2500), Some(0.0))
    );
    assert_eq!(found.remaining, None, "nothing is known yet");
    sql.run("FETCH 600 FROM c");
    std::thread::sleep(Duration::from_millis(500));
    let found = running(&mut other).remove(0);
    assert_eq!(
        (found.done, found.total, found.percent),
        (1000, Some(2500), Some(40.0))
    );
    assert_eq!(found.role, "postgres");
    assert!(
        found.rate > 0.0 && found.remaining >= Some(0.0),
        "{found:?}"
    );
    assert!((0.0..60.0).contains(&found.age), "{found:?}");
    let (rate, age) = (found.rate, found.age);
    assert!(
        (rate * age - 1000.0).abs() < 500.0,
        "rows a second: {rate} in {age} s"
    );

    sql.run("FETCH ALL FROM c");
    assert_eq!(running(&mut other), [], "all is read");
    sql.run("CLOSE c; DECLARE d CURSOR FOR SELECT memory_export(); FETCH 1 FROM d; CLOSE d");
    assert_eq!(running(&mut other), [], "nobody wants more");
    sql.run("DECLARE e CURSOR FOR SELECT memory_export(); FETCH 1 FROM e");
    assert_eq!(running(&mut other).len(), 1);
    sql.run("ROLLBACK");
    assert_eq!(running(&mut other), []);
}

#[test]
fn ones_own_calls_are_seen_and_those_of_others_by_who_monitors() {
    let database = filled(20);
    let cluster = preloaded();
    for name in ["exporter", "exporters_friend", "watcher", "passer_by"] {
        cluster.role(name);
    }
    cluster.admin("GRANT exporter TO exporters_friend; GRANT pg_monitor TO watcher");
    database
        .connect()
        .run("SELECT memory_grant('exporter', 'default', 'admin')");
    let mut exporter = database.connect_as("exporter");
    exporter.run("BEGIN; DECLARE c CURSOR FOR SELECT memory_export(); FETCH 1 FROM c");

    for (role, seen) in [
        ("exporter", 1),
        ("exporters_friend", 1),
        ("watcher", 1),
        ("postgres", 1),
        ("passer_by", 0),
    ] {
        let found = running(&mut database.connect_as(role));
        assert_eq!(found.len(), seen, "{role}");
        assert!(
            found.iter().all(|call| call.role == "exporter"),
            "{found:?}"
        );
    }
    assert_eq!(
        running(&mut exporter).len(),
        1,
        "its own, between two fetches"
    );
    // Of this database.
    assert_eq!(running(&mut filled(1).connect()), []);
}

/// Makes every change of a memory wait for a lock that somebody holds.
fn make_writes_wait(sql: &mut Client, on: &str) {
    sql.run(&format!(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END $$;
         CREATE TRIGGER wait BEFORE {on} ON memories FOR EACH ROW EXECUTE FUNCTION wait()"
    ));
}

#[test]
fn calls_that_are_cancelled_or_ended_give_their_place_back() {
    let database = filled(30);
    let (mut holder, mut other) = (database.connect(), database.connect());
    let lines: Vec<String> = holder.column("SELECT memory_export(include_embeddings => true)", &[]);
    holder.run("SELECT memory_forget(before => 'infinity', reason => 'test')");
    make_writes_wait(&mut holder, "INSERT");
    holder.run("SELECT pg_advisory_lock(7)");

    for (end, sqlstate) in [
        ("pg_cancel_backend", "57014"),
        ("pg_terminate_backend", "57P01"),
    ] {
        let mut importer = database.connect();
        let importer_pid = pid(&mut importer);
        let lines = &lines;
        std::thread::scope(|scope| {
            let import = scope.spawn(move || {
                importer
                    .query("SELECT memory_import($1)", &[lines])
                    .expect_err("it is ended")
                    .code()
                    .map(|code| code.code().to_owned())
            });
            let found = wait_for(&mut other, "import", "writing", 1);
            assert_eq!(found.pid, importer_pid);
            assert_eq!(found.total, Some(31), "with the header");
            other.run(&format!("SELECT {end}({importer_pid})"));
            assert_eq!(import.join().expect("joined").as_deref(), Some(sqlstate));
        });
        wait_until("the place is free", SOON, || running(&mut other).is_empty());
    }
}

#[test]
fn embedding_again_tells_how_far_it_is() {
    let database = filled(700);
    let (mut holder, mut other) = (database.connect(), database.connect());
    holder.run("SET session_replication_role = replica; UPDATE memories SET embedding = NULL, embedded_hash = NULL; RESET session_replication_role");
    make_writes_wait(&mut holder, "UPDATE");
    holder.run("SELECT pg_advisory_lock(7)");
    let mut worker = database.connect();
    let worker_pid = pid(&mut worker);
    std::thread::scope(|scope| {
        let work = scope.spawn(move || {
            worker.run("SET client_min_messages = warning; SELECT memory_reembed(batch => 20000)");
        });
        let found = wait_for(&mut other, "reembed", "embedding", 0);
        assert_eq!(
            (found.pid, found.done, found.total),
            (worker_pid, 0, Some(700))
        );
        holder.run("SELECT pg_advisory_unlock(7)");
        work.join().expect("joined");
        assert_eq!(running(&mut other), []);
    });
}

#[test]
fn more_long_calls_than_there_are_places_go_on_unseen() {
    const PLACES: usize = 64;
    let database = filled(3);
    let (mut sql, mut other) = (database.connect(), database.connect());
    sql.run("BEGIN");
    for number in 0..PLACES + 6 {
        sql.run(&format!(
            "DECLARE c{number} CURSOR FOR SELECT memory_export(); FETCH 1 FROM c{number}"
        ));
    }
    let seen = running(&mut other).len();
    assert!(
        (PLACES - 8..=PLACES).contains(&seen),
        "other tests have some: {seen}"
    );
    for number in 0..PLACES + 6 {
        let lines: Vec<String> = sql.column(&format!("FETCH ALL FROM c{number}"), &[]);
        assert_eq!(lines.len(), 3);
    }
    assert_eq!(running(&mut other), []);
}

#[test]
fn without_preload_there_is_a_reason_and_long_calls_work() {
    let mut sql = support::store();
    sql.run("SELECT memory_add('memory ' || i) FROM generate_series(1, 5) i");
    sql.refused("SELECT * FROM memory_progress()", &[])
        .is("55000")
        .says("not preloaded")
        .hints("shared_preload_libraries")
        .well_formed();
    let lines: Vec<String> = sql.column("SELECT memory_export()", &[]);
    assert_eq!(lines.len(), 6);
    sql.run("SELECT memory_reembed(); SELECT * FROM memory_check_integrity()");
}
