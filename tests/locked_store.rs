//! Who watches a store waits for nobody who keeps a table of it to himself.

mod support;

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use postgres::Client;
use serde_json::Value;
use support::exposition::Exposition;
use support::{Sql, cluster, database, role};

/// One test at a time: so many objects come with a new database that idle sessions of the others forget what they know of theirs.
static ONE: Mutex<()> = Mutex::new(());

/// Ends long before whoever waits without end.
fn in_time<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let started = Instant::now();
    let outcome = work();
    let took = started.elapsed();
    assert!(took < Duration::from_secs(20), "{what} took {took:?}");
    outcome
}

fn scrape(sql: &mut Client) -> Exposition {
    let text: String = sql.one("SELECT memory_metrics()", &[]);
    Exposition::read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn new_sessions_learn_what_can_be_seen_in_time() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let database = database();
    let (stranger, monitor, admin) = (role(), role(), role());
    cluster().admin(&format!("GRANT pg_monitor TO {monitor}"));
    let (mut holder, mut old) = (database.connect(), database.connect());
    holder.run(&format!(
        "SELECT memory_add('a memory'); SELECT memory_grant('{admin}', '*', 'admin')"
    ));
    old.run("SELECT memory_count()");
    // A test that hangs tells nothing.
    let connect = |role: &str| {
        let mut sql = database.connect_as(role);
        sql.run("SET statement_timeout = '20s'");
        sql
    };
    for (table, is_told) in [
        ("memory_models", false),
        ("memory_migrations", false),
        // It says who may do what, not what the store is.
        ("memory_grants", true),
    ] {
        holder.run(&format!(
            "BEGIN; LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"
        ));
        for role in [&stranger, &monitor] {
            let health: Value = in_time("health", || {
                connect(role).one("SELECT memory_health()", &[])
            });
            let expected = if is_told { "healthy" } else { "degraded" };
            assert_eq!(health["status"], expected, "{table}: {health}");
            let issues = health["issues"].to_string();
            assert_eq!(issues.contains("is locked"), !is_told, "{issues}");
            let ready: bool = in_time("ready", || connect(role).one("SELECT memory_ready()", &[]));
            assert_eq!(ready, is_told, "{table}");
        }
        assert!(in_time("ready", || old.one::<bool>("SELECT memory_ready()", &[])));

        let found = in_time("metrics", || scrape(&mut connect(&monitor)));
        let plain = |name: &str| found.value(name, &[]);
        assert_eq!(
            plain("memory_store_ready"),
            Some(f64::from(u8::from(is_told))),
            "{table}"
        );
        assert!(
            plain("memory_ext_scrape_errors") >= Some(1.0),
            "{table}: something is absent"
        );
        assert!(plain("memory_db_connections") >= Some(1.0));
        if !is_told {
            let failed: f64 = in_time("stats", || {
                connect(&monitor).one(
                    "SELECT value FROM memory_stats() WHERE name = 'memory_ext_scrape_errors'",
                    &[],
                )
            });
            assert!(failed >= 1.0, "{table}");
        }
        for role in [&admin, &stranger] {
            for call in ["SELECT memory_metrics()", "SELECT * FROM memory_stats('p')"] {
                in_time(call, || connect(role).refused(call, &[]))
                    .is("55P03")
                    .hints(&format!("GRANT pg_monitor TO {role}"))
                    .well_formed();
            }
        }

        holder.run("ROLLBACK");
        assert_eq!(
            scrape(&mut connect(&admin)).value("memory_store_ready", &[]),
            Some(1.0)
        );
        connect(&stranger)
            .refused("SELECT memory_metrics()", &[])
            .is("42501");
        let mut sql = connect(&stranger);
        let health: Value = sql.one("SELECT memory_health()", &[]);
        assert_eq!(health["status"], "healthy", "{health}");
    }
}

/// The caller's own settings are what they were.
#[test]
fn the_wait_for_locks_is_the_sessions_own_afterwards() {
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let database = database();
    let mut sql = database.connect();
    sql.run("SET lock_timeout = '7s'");
    sql.run("SELECT memory_health(); SELECT memory_ready(); SELECT memory_metrics(); SELECT * FROM memory_stats()");
    assert_eq!(sql.one::<String>("SHOW lock_timeout", &[]), "7s");
    let mut holder = database.connect();
    holder.run("BEGIN; LOCK TABLE memory_models IN ACCESS EXCLUSIVE MODE");
    let mut fresh = database.connect();
    fresh.run("SET lock_timeout = '7s'; SELECT memory_health(); SELECT memory_ready(); SELECT memory_metrics()");
    assert_eq!(fresh.one::<String>("SHOW lock_timeout", &[]), "7s");
}
