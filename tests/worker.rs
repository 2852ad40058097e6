//! The background worker of a preloaded server.

mod support;

use std::process::Command;
use std::time::{Duration, Instant};

use postgres::Client;
use support::{Cluster, Database, Options, Sql, wait_until};

fn preloaded(settings: &[&'static str]) -> Cluster {
    let mut settings = settings.to_vec();
    settings.push("memory_ext.naptime = '1s'");
    Cluster::start(Options {
        preload: true,
        settings,
    })
}

/// Adds memories whose time is over.
fn add_expired(sql: &mut Client, count: usize) {
    sql.run(&format!(
        "SELECT * FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('content', 'ends ' || i || ' ' || clock_timestamp(), 'ttl', '1 hour')) FROM generate_series(1, {count}) i));
         UPDATE memories SET expires_at = now() - interval '1 second' WHERE content LIKE 'ends %'"
    ));
}

fn rows(sql: &mut Client) -> i64 {
    sql.one("SELECT count(*) FROM memories", &[])
}

fn wait_for_rows(sql: &mut Client, expected: i64) {
    wait_until(&format!("{expected} rows are left"), || {
        rows(sql) == expected
    });
}

fn launchers(sql: &mut Client) -> Vec<i32> {
    sql.column(
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'memory_ext launcher'",
        &[],
    )
}

fn store(cluster: &Cluster) -> (Database<'_>, Client) {
    let database = cluster.database();
    let mut sql = database.connect();
    sql.run("SELECT memory_init(); SELECT memory_add('stays')");
    (database, sql)
}

#[test]
fn c12_expired_memories_and_old_tombstones_are_removed_in_bounded_time() {
    let cluster = preloaded(&[
        "memory_ext.expire_batch = 100",
        "memory_ext.tombstone_retention = 30",
    ]);
    let (_database, mut sql) = store(&cluster);
    sql.run(
        "SELECT memory_add('deleted long ago', id => 'old'); SELECT memory_delete('old');
             SELECT memory_add('deleted just now', id => 'young'); SELECT memory_delete('young');
             UPDATE memories SET deleted_at = now() - interval '31 days' WHERE id = 'old'",
    );
    add_expired(&mut sql, 1050);

    wait_for_rows(&mut sql, 2);

    assert_eq!(
        sql.column::<String>("SELECT content FROM memories ORDER BY id = 'young'", &[]),
        ["stays", "deleted just now"]
    );
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM memory_history WHERE memory_id <> 'young'",
            &[]
        ),
        0,
        "nothing is left of what is gone"
    );

    // Again and again.
    add_expired(&mut sql, 10);
    wait_for_rows(&mut sql, 2);
    assert!(!cluster.log().contains("PANIC"));
}

#[test]
fn c12_every_database_with_a_store_is_visited_and_others_do_no_harm() {
    let cluster = preloaded(&[]);
    let _empty = cluster.empty_database();
    let _without_store = cluster.database();
    let (_one, mut one) = store(&cluster);
    let (two, mut two_sql) = store(&cluster);
    let schema = cluster.empty_database();
    let mut elsewhere = schema.connect();
    elsewhere.run("CREATE SCHEMA \"Mem ory\"; CREATE EXTENSION vector; CREATE EXTENSION memory_ext SCHEMA \"Mem ory\"; SET search_path = \"Mem ory\", public; SELECT memory_init(); SELECT memory_add('stays')");
    let broken = cluster.database();
    broken
        .connect()
        .run("SELECT memory_init(); DELETE FROM memory_models");
    let older = cluster.database();
    older
        .connect()
        .run("SELECT memory_init(); UPDATE memory_migrations SET number = number - 10");
    cluster.admin(&format!(
        "ALTER DATABASE {} SET search_path = 'nowhere'",
        two.name
    ));

    for sql in [&mut one, &mut two_sql, &mut elsewhere] {
        add_expired(sql, 5);
    }
    for sql in [&mut one, &mut two_sql, &mut elsewhere] {
        wait_for_rows(sql, 1);
    }

    // The broken ones are no reason to stop, nor to fill the log.
    add_expired(&mut one, 5);
    wait_for_rows(&mut one, 1);
    assert_eq!(launchers(&mut one).len(), 1);
    let log = cluster.log();
    assert!(
        !log.contains("terminating any other active server processes"),
        "no worker took the server down:\n{log}"
    );
}

#[test]
fn the_list_of_databases_follows_a_reload() {
    let cluster = preloaded(&[]);
    let (first, mut first_sql) = store(&cluster);
    let (second, mut second_sql) = store(&cluster);
    cluster.configure(&format!(
        "memory_ext.databases = ' {} , no_such_database'",
        first.name
    ));
    cluster.reload();
    wait_until("the setting is there", || {
        first_sql
            .one::<String>("SELECT current_setting('memory_ext.databases')", &[])
            .contains("no_such")
    });

    // The launcher may be in the middle of its last round by the old list: the second visit is of another round.
    for _ in 0..2 {
        add_expired(&mut first_sql, 1);
        wait_for_rows(&mut first_sql, 1);
    }
    add_expired(&mut second_sql, 3);
    add_expired(&mut first_sql, 3);
    wait_for_rows(&mut first_sql, 1);
    assert_eq!(rows(&mut second_sql), 4, "not on the list, not visited");

    cluster.configure(&format!("memory_ext.databases = '{}'", second.name));
    cluster.reload();
    wait_for_rows(&mut second_sql, 1);
}

#[test]
fn a_database_can_be_dropped_while_the_worker_is_about() {
    let cluster = preloaded(&[]);
    let (_kept, mut kept) = store(&cluster);
    for _ in 0..3 {
        let database = cluster.database();
        {
            let mut sql = database.connect();
            sql.run("SELECT memory_init()");
            add_expired(&mut sql, 200);
            wait_for_rows(&mut sql, 0);
        }
        // DROP DATABASE waits five seconds for others to leave.
        let started = Instant::now();
        cluster.admin(&format!("DROP DATABASE {}", database.name));
        assert!(started.elapsed() < Duration::from_secs(10));
    }

    add_expired(&mut kept, 3);
    wait_for_rows(&mut kept, 1);
}

#[test]
fn the_server_stops_quickly_with_the_worker_at_work() {
    let cluster = preloaded(&["memory_ext.expire_batch = 10"]);
    {
        let (_database, mut sql) = store(&cluster);
        add_expired(&mut sql, 1500);
    }
    let started = Instant::now();

    cluster.stop("fast");

    assert!(
        started.elapsed() < Duration::from_secs(20),
        "it took {:?}",
        started.elapsed()
    );
    cluster.control_start();
    let log = cluster.log();
    assert!(
        !log.contains("PANIC") && !log.contains("server process was terminated"),
        "{log}"
    );
}

#[test]
fn a_killed_launcher_comes_back() {
    let cluster = preloaded(&[]);
    let (database, mut sql) = store(&cluster);
    wait_until("the launcher runs", || launchers(&mut sql).len() == 1);
    let killed = launchers(&mut sql)[0];

    let status = Command::new("kill")
        .args(["-9", &killed.to_string()])
        .status()
        .expect("kill runs");
    assert!(status.success());

    // A process that dies by a signal takes all sessions with it: the server starts over, and the launcher with it.
    wait_until("the session is gone", || {
        sql.query("SELECT 1", &[]).is_err()
    });
    cluster.wait_restarted();
    let mut sql = database.connect();
    wait_until("a new launcher runs", || {
        launchers(&mut sql).iter().any(|pid| *pid != killed)
    });
    add_expired(&mut sql, 3);
    wait_for_rows(&mut sql, 1);
}

#[test]
fn a_terminated_launcher_comes_back() {
    let cluster = preloaded(&[]);
    let (_database, mut sql) = store(&cluster);
    wait_until("the launcher runs", || launchers(&mut sql).len() == 1);
    let terminated = launchers(&mut sql)[0];

    sql.query("SELECT pg_terminate_backend($1)", &[&terminated])
        .expect("terminated");

    wait_until("a new launcher runs", || {
        launchers(&mut sql).iter().any(|pid| *pid != terminated)
    });
    add_expired(&mut sql, 3);
    wait_for_rows(&mut sql, 1);
}

#[test]
fn locked_rows_and_failing_ones_do_not_keep_the_rest_alive() {
    let cluster = preloaded(&[]);
    let (database, mut sql) = store(&cluster);
    let mut holder = database.connect();
    sql.run("SELECT memory_add('locked', id => 'locked', ttl => '1 hour')");
    holder.run("BEGIN; SELECT 1 FROM memories WHERE id = 'locked' FOR UPDATE");
    add_expired(&mut sql, 20);
    holder.run("UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = 'locked'");

    wait_for_rows(&mut sql, 2);
    holder.run("COMMIT");
    wait_for_rows(&mut sql, 1);

    // A trigger of the user's that refuses every removal: the worker fails, and lives on.
    sql.run("CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'kept by the user'; END $$;
             CREATE TRIGGER keep BEFORE DELETE ON memories FOR EACH ROW EXECUTE FUNCTION keep()");
    add_expired(&mut sql, 2);
    wait_until("the failure is in the log", || {
        cluster.log().contains("kept by the user")
    });
    assert_eq!(launchers(&mut sql).len(), 1);
    sql.run("DROP TRIGGER keep ON memories");
    wait_for_rows(&mut sql, 1);
}

#[test]
fn without_preload_there_is_no_worker_and_all_else_works() {
    let cluster = Cluster::start(Options::default());
    let (_database, mut sql) = store(&cluster);
    add_expired(&mut sql, 3);

    assert_eq!(launchers(&mut sql), [0; 0]);
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 1);
    assert_eq!(sql.one::<i64>("SELECT memory_expire()", &[]), 3);
}

#[test]
fn a_standby_runs_no_worker_until_it_is_promoted() {
    let primary = preloaded(&["memory_ext.naptime = '1h'"]);
    let (database, mut sql) = store(&primary);
    let standby = primary.standby();
    let mut there = standby.connect(&database.name);
    assert_eq!(launchers(&mut there), [0; 0]);
    add_expired(&mut sql, 3);
    let written: String = sql.one("SELECT pg_current_wal_lsn()::text", &[]);
    wait_until("the standby has caught up", || {
        there.one(
            "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn",
            &[&written],
        )
    });
    standby.configure("memory_ext.naptime = '1s'");
    standby.reload();

    standby.promote();

    wait_until("the launcher runs", || launchers(&mut there).len() == 1);
    wait_for_rows(&mut there, 1);
}
