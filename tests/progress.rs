//! memory_progress(): how far the long calls of others are.

mod support;

use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use postgres::Client;
use support::backup::vault_with;
use support::{Cluster, Database, Options, Sql, ended, wait_until};

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
    filled_in(preloaded(), memories)
}

fn filled_in(cluster: &Cluster, memories: usize) -> Database<'_> {
    let database = cluster.database();
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
    wait_until(&format!("{operation} is {phase}"), || {
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
    make_wait(sql, &format!("{on} ON memories"), "");
}

fn make_wait(sql: &mut Client, before: &str, when: &str) {
    sql.run(&format!(
        "CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN coalesce(NEW, OLD); END $$;
         CREATE TRIGGER wait BEFORE {before} FOR EACH ROW {when} EXECUTE FUNCTION wait()"
    ));
}

/// The numbers of a call that is under way fit each other.
fn assert_under_way(found: &Running) {
    let total = found.total.expect("a total");
    let (done, share) = (found.done as f64, found.percent.expect("a share"));
    assert!((0..=total).contains(&found.done), "{found:?}");
    assert!(
        (share - 100.0 * done / total as f64).abs() < 1e-6,
        "{found:?}"
    );
    assert!(found.rate > 0.0, "{found:?}");
    let expected = (total as f64 - done) / found.rate;
    let remaining = found.remaining.expect("a time");
    assert!((remaining - expected).abs() <= 1.0, "{found:?}");
    assert!((0.0..120.0).contains(&found.age), "{found:?}");
}

#[test]
fn calls_that_are_cancelled_or_ended_give_their_place_back() {
    let database = filled(30);
    let (mut holder, mut other) = (database.connect(), database.connect());
    holder.run(
        "CREATE TABLE exported AS SELECT memory_export(include_embeddings => true) AS line;
         SELECT memory_forget(before => 'infinity', reason => 'test')",
    );
    make_writes_wait(&mut holder, "INSERT");
    holder.run("SELECT pg_advisory_lock(7)");

    for (end, told) in [
        ("pg_cancel_backend", "ERROR: 57014"),
        ("pg_terminate_backend", "FATAL: 57P01"),
    ] {
        let import = ended::Running::start(
            &database,
            "SELECT memory_import(ARRAY(SELECT line FROM exported))",
        );
        let found = wait_for(&mut other, "import", "writing", 1);
        assert_eq!(found.pid, import.pid);
        assert_eq!(found.total, Some(32), "with the first and the last line");
        assert_under_way(&found);
        other.run(&format!("SELECT {end}({})", import.pid));
        assert_eq!(import.refused(), told);
        wait_until("the place is free", || running(&mut other).is_empty());
    }
}

#[test]
fn embedding_again_tells_how_far_it_is() {
    let database = filled(700);
    let (mut holder, mut other) = (database.connect(), database.connect());
    holder.run("SET session_replication_role = replica; UPDATE memories SET embedding = NULL, embedded_hash = NULL; RESET session_replication_role");
    // The 601st, in the second batch of 500.
    let id: String = holder.one(
        "SELECT id FROM memories ORDER BY id OFFSET 600 LIMIT 1",
        &[],
    );
    make_wait(
        &mut holder,
        "UPDATE ON memories",
        &format!("WHEN (NEW.id = '{id}')"),
    );
    holder.run("SELECT pg_advisory_lock(7)");
    let mut worker = database.connect();
    let worker_pid = pid(&mut worker);
    std::thread::scope(|scope| {
        let work = scope.spawn(move || {
            worker.run("SET client_min_messages = warning; SELECT memory_reembed(batch => 20000)");
        });
        let found = wait_for(&mut other, "reembed", "embedding", 1);
        assert_eq!(
            (found.pid, found.done, found.total),
            (worker_pid, 500, Some(700))
        );
        assert_under_way(&found);
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
        assert_eq!(lines.len(), 3 + 1, "and the last line");
    }
    assert_eq!(running(&mut other), []);
}

#[test]
fn a_process_that_is_ended_frees_no_place_of_another() {
    const CURSORS: usize = 30;
    let cluster = Cluster::start(Options {
        preload: true,
        settings: vec!["memory_ext.databases = 'no_such_database'"],
    });
    let database = filled_in(&cluster, 3);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let others: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut sql = database.connect();
                    let (mut calls, mut lost) = (0, 0);
                    while !is_over.load(Relaxed) {
                        sql.run("BEGIN; DECLARE c CURSOR FOR SELECT memory_export(); FETCH 1 FROM c");
                        for _ in 0..5 {
                            let seen: i64 = sql.one("SELECT count(*) FROM memory_progress() WHERE pid = pg_backend_pid()", &[]);
                            lost += i64::from(seen != 1);
                        }
                        sql.run("COMMIT");
                        calls += 1;
                    }
                    (calls, lost)
                })
            })
            .collect();
        let mut admin = database.connect();
        let ended = (0..40).all(|_| {
            let mut victim = database.connect();
            victim.run("BEGIN");
            for number in 0..CURSORS {
                victim.run(&format!(
                    "DECLARE c{number} CURSOR FOR SELECT memory_export(); FETCH 1 FROM c{number}"
                ));
            }
            let victim = pid(&mut victim);
            admin
                .query_one("SELECT pg_terminate_backend($1, 10000)", &[&victim])
                .is_ok_and(|row| row.get(0))
        });
        is_over.store(true, Relaxed);
        assert!(ended);
        for other in others {
            let (calls, lost) = other.join().expect("joined");
            assert!(calls > 10, "{calls}");
            assert_eq!(lost, 0, "places of others were freed");
        }
    });
    assert_eq!(running(&mut database.connect()), []);
}

/// Calls again and again until another session has seen the call in the middle of a phase.
fn caught(database: &Database, call: &str, operation: &str, phase: &str) -> Running {
    let is_over = AtomicBool::new(false);
    let found = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut sql = database.connect();
            sql.run("SET client_min_messages = error");
            while !is_over.load(Relaxed) {
                sql.run(call);
            }
        });
        let mut other = database.connect();
        let started = Instant::now();
        let mut found = None;
        // Without a pause: some phases are short.
        while found.is_none() && started.elapsed() < Duration::from_secs(120) {
            found = running(&mut other).into_iter().find(|seen| {
                seen.operation == operation
                    && seen.phase == phase
                    && seen.done > 0
                    && seen.total.is_none_or(|total| seen.done < total)
            });
        }
        is_over.store(true, Relaxed);
        found
    });
    found.unwrap_or_else(|| panic!("{operation} was not seen {phase}"))
}

#[test]
fn backups_restores_and_checks_tell_how_far_they_are() {
    const MEMORIES: i64 = 8000;
    let cluster = vault_with(Options {
        preload: true,
        settings: vec!["memory_ext.databases = 'no_such_database'"],
    });
    let database = cluster.database();
    let mut sql = database.connect();
    sql.run(&format!(
        "SELECT memory_init(dimensions => 32); DROP INDEX ix_memories_embedding_hnsw;
         SELECT count(*) FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('content', 'memory ' || i, 'id', 'm' || i)) FROM generate_series(1, {MEMORIES}) i));
         SELECT memory_vote('m' || i, 'helpful', 'a') FROM generate_series(1, 10) i; UPDATE memories SET importance = 0.7;
         ANALYZE"
    ));

    let found = caught(
        &database,
        "SELECT * FROM memory_check_integrity()",
        "check_integrity",
        "checking",
    );
    assert_eq!(found.total, Some(MEMORIES));
    assert_under_way(&found);

    let found = caught(
        &database,
        "SELECT memory_backup('dry', dry_run => true)",
        "backup",
        "writing",
    );
    assert!(
        found.total >= Some(2 * MEMORIES),
        "with the old versions: {found:?}"
    );
    assert_under_way(&found);

    sql.run("SELECT memory_backup('b')");
    let found = caught(
        &database,
        "SELECT memory_backup_verify('b')",
        "backup_verify",
        "verifying",
    );
    assert!(
        found.total >= Some(2 * MEMORIES),
        "by the manifest: {found:?}"
    );
    assert_under_way(&found);
    let restore = "SELECT memory_restore('b', dry_run => true)";
    for phase in ["verifying", "reading"] {
        let found = caught(&database, restore, "restore", phase);
        assert!(found.total >= Some(2 * MEMORIES), "{found:?}");
        assert_under_way(&found);
    }

    // The memories are in when the votes come.
    sql.run("DELETE FROM vote_history");
    make_wait(&mut sql, "INSERT ON vote_history", "");
    sql.run("SELECT pg_advisory_lock(7)");
    let mut worker = database.connect();
    let mut other = database.connect();
    std::thread::scope(|scope| {
        let work = scope.spawn(move || {
            worker.run("SET client_min_messages = error; SELECT memory_restore('b')")
        });
        let found = wait_for(&mut other, "restore", "writing", MEMORIES);
        assert!(found.total > Some(found.done), "{found:?}");
        assert_under_way(&found);
        sql.run("SELECT pg_advisory_unlock(7)");
        work.join().expect("joined");
    });
    assert_eq!(running(&mut other), []);

    sql.run("SELECT * FROM memory_audit_seal()");
    let found = caught(
        &database,
        "SELECT * FROM memory_audit_verify()",
        "audit_verify",
        "verifying",
    );
    assert!(found.total >= Some(MEMORIES), "{found:?}");
    assert_under_way(&found);
    sql.run("BEGIN; DECLARE c CURSOR FOR SELECT memory_audit_export(); FETCH 3000 FROM c");
    let found = wait_for(&mut other, "audit_export", "exporting", 3000);
    assert!(found.total >= Some(MEMORIES), "{found:?}");
    assert_under_way(&found);
    sql.run("FETCH ALL FROM c");
    assert_eq!(running(&mut other), []);
    sql.run("COMMIT");
}

#[test]
fn whoever_waits_or_removes_is_seen() {
    let database = filled(30);
    let (mut holder, mut other) = (database.connect(), database.connect());
    // A writer keeps who seals waiting.
    holder.run("UPDATE memories SET importance = 0.9; BEGIN; UPDATE memories SET importance = 0.8 WHERE id = (SELECT min(id) FROM memories)");
    let mut worker = database.connect();
    std::thread::scope(|scope| {
        let work = scope.spawn(move || worker.run("SELECT * FROM memory_audit_seal()"));
        wait_for(&mut other, "audit_seal", "waiting", 0);
        holder.run("COMMIT");
        work.join().expect("joined");
    });
    make_writes_wait(&mut holder, "DELETE");
    holder.run("UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = (SELECT min(id) FROM memories)");
    for (call, operation, phase) in [
        ("SELECT memory_expire()", "expire", "expiring"),
        (
            "SELECT memory_forget(before => 'infinity', reason => 'test')",
            "forget",
            "removing",
        ),
    ] {
        holder.run("SELECT pg_advisory_lock(7)");
        let mut worker = database.connect();
        std::thread::scope(|scope| {
            let work = scope.spawn(move || worker.run(call));
            let found = wait_for(&mut other, operation, phase, 0);
            assert_eq!((found.done, found.total), (0, None));
            holder.run("SELECT pg_advisory_unlock(7)");
            work.join().expect("joined");
        });
        assert_eq!(running(&mut other), [], "{call}");
    }
}

#[test]
fn whoever_compares_merges_or_cleans_up_is_seen() {
    let database = filled(1);
    let (mut holder, mut other) = (database.connect(), database.connect());
    holder.run(
        "SELECT memory_add(w || ' walrus plays chess at noon' || e, memory_type => 'strategy') FROM unnest('{one,two,three}'::text[]) w, unnest('{\"\",!}'::text[]) e;
         SELECT memory_vote(id, 'helpful', 'agent' || i) FROM memories, generate_series(1, 3) i WHERE memory_type = 'strategy'",
    );
    // Reading waits; for the table of memories a call would wait before it begins.
    for (call, operation, phase, lock) in [
        (
            "SELECT * FROM memory_duplicates()",
            "duplicates",
            "comparing",
            "ALTER INDEX memories_pkey SET TABLESPACE pg_default",
        ),
        (
            "SELECT * FROM memory_cleanup_orphans(dry_run => false)",
            "cleanup_orphans",
            "removing",
            "LOCK vote_history IN ACCESS EXCLUSIVE MODE",
        ),
    ] {
        holder.run(&format!("BEGIN; {lock}"));
        let mut worker = database.connect();
        worker.run("SET statement_timeout = '2min'");
        std::thread::scope(|scope| {
            let work = scope.spawn(move || worker.run(call));
            let found = wait_for(&mut other, operation, phase, 0);
            assert_eq!(found.total, None, "{found:?}");
            holder.run("COMMIT");
            work.join().expect("joined");
        });
        assert_eq!(running(&mut other), [], "{call}");
    }
    // Writing waits after the first two.
    make_wait(
        &mut holder,
        "UPDATE ON memories",
        "WHEN (NEW.content !~ '^one' AND OLD.is_deprecated = NEW.is_deprecated)",
    );
    for (call, operation, total) in [
        (
            "SELECT * FROM memory_curate(dry_run => false, min_age => '0 days')",
            "curate",
            6,
        ),
        (
            "SELECT * FROM memory_consolidate(dry_run => false)",
            "consolidate",
            3,
        ),
    ] {
        holder.run("SELECT pg_advisory_lock(7)");
        let mut worker = database.connect();
        std::thread::scope(|scope| {
            let work = scope.spawn(move || worker.run(call));
            let found = wait_for(&mut other, operation, "writing", 0);
            assert_eq!(found.total, Some(total), "{found:?}");
            assert!(found.done < total, "{found:?}");
            holder.run("SELECT pg_advisory_unlock(7)");
            work.join().expect("joined");
        });
        assert_eq!(running(&mut other), [], "{call}");
    }
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
    assert_eq!(lines.len(), 7);
    sql.run("SELECT memory_reembed(); SELECT * FROM memory_check_integrity()");
}
