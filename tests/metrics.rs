//! memory_metrics() and memory_stats(): what they count is exact, what they cannot know they leave out.

mod support;

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use postgres::Client;
use support::exposition::Exposition;
use support::{Cluster, Database, Options, Sql, together, wait_until};

/// The worker visits nobody, so that nothing is counted but what a test does.
fn prepared(preload: bool) -> Cluster {
    Cluster::start(Options {
        preload,
        settings: vec!["memory_ext.databases = 'no_such_database'"],
    })
}

fn preloaded() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| prepared(true))
}

/// A new database of a preloaded server, with an empty store.
fn store() -> Database<'static> {
    let database = preloaded().database();
    database.connect().run("SELECT memory_init()");
    database
}

fn role(privileges: &str) -> String {
    static ROLES: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = ROLES.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let name = format!("metrics_role_{number}");
    preloaded().role(&name);
    if !privileges.is_empty() {
        preloaded().admin(&format!("GRANT {privileges} TO {name}"));
    }
    name
}

fn scrape(sql: &mut Client) -> Exposition {
    let text: String = sql.one("SELECT memory_metrics()", &[]);
    Exposition::read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn calls(found: &Exposition, operation: &str, status: &str) -> f64 {
    let labels = [("operation", operation), ("status", status)];
    found
        .value("memory_operations_total", &labels)
        .unwrap_or(0.0)
}

fn measured(found: &Exposition, operation: &str) -> f64 {
    found
        .value(
            "memory_operation_duration_seconds_count",
            &[("operation", operation)],
        )
        .unwrap_or(0.0)
}

fn errors(found: &Exposition, class: &str) -> f64 {
    found
        .value("memory_errors_total", &[("sqlstate_class", class)])
        .expect("every class is there")
}

fn searches(found: &Exposition, path: &str) -> f64 {
    found
        .value("memory_searches_total", &[("path", path)])
        .expect("every path is there")
}

fn plain(found: &Exposition, name: &str) -> Option<f64> {
    found.value(name, &[])
}

#[test]
fn calls_of_eight_clients_are_counted_one_by_one() {
    const CLIENTS: usize = 8;
    const EACH: usize = 60;
    let database = store();
    let mut sql = database.connect();
    let before = scrape(&mut sql);

    together(CLIENTS, |number, start| {
        let mut client = database.connect();
        client.run("SELECT memory_version()");
        start.wait();
        for turn in 0..EACH {
            client.run(&format!("SELECT memory_add('memory {turn} of {number}')"));
            client
                .refused("SELECT * FROM memory_get(NULL)", &[])
                .is("22023");
            client.run("SELECT * FROM memory_search('memory', 3)");
            if turn % 3 == 0 {
                client
                    .refused("SELECT memory_update('no such memory', 'x')", &[])
                    .is("P0002");
            }
        }
    });

    let after = scrape(&mut sql);
    let all = (CLIENTS * EACH) as f64;
    assert_eq!(calls(&after, "add", "ok"), all);
    assert_eq!(calls(&after, "add", "error"), 0.0);
    assert_eq!(calls(&after, "get", "ok"), 0.0);
    assert_eq!(calls(&after, "get", "error"), all);
    assert_eq!(calls(&after, "search", "ok"), all);
    assert_eq!(calls(&after, "update", "error"), all / 3.0);
    assert_eq!(calls(&after, "version", "ok"), CLIENTS as f64);
    for operation in ["add", "get", "search"] {
        assert_eq!(measured(&after, operation), all, "{operation}");
    }
    assert_eq!(errors(&after, "22") - errors(&before, "22"), all);
    assert_eq!(errors(&after, "P0"), all / 3.0);
    assert_eq!(searches(&after, "exact"), all);
    assert_eq!(
        plain(&after, "memory_search_under_returns_total"),
        Some(0.0)
    );
}

#[test]
fn counters_outlive_the_process_that_counted() {
    let database = store();
    let mut sql = database.connect();
    for _ in 0..3 {
        database.connect().run("SELECT memory_add('left behind')");
    }
    let mut ended = database.connect();
    ended.run("SELECT memory_count()");
    let pid: i32 = ended.one("SELECT pg_backend_pid()", &[]);
    sql.run(&format!("SELECT pg_terminate_backend({pid}, 10000)"));

    let found = scrape(&mut sql);
    assert_eq!(calls(&found, "add", "ok"), 3.0);
    assert_eq!(calls(&found, "count", "ok"), 1.0);
}

#[test]
fn a_restart_and_a_crash_begin_anew() {
    let cluster = prepared(true);
    let database = cluster.database();
    let count = |expected: f64| {
        let mut sql = database.connect();
        sql.run("SELECT memory_add('a memory')");
        let found = scrape(&mut sql);
        assert_eq!(calls(&found, "add", "ok"), expected);
        plain(&found, "memory_ext_start_time_seconds").expect("a time")
    };
    let first = count(1.0);
    assert_eq!(count(2.0), first);

    cluster.stop("fast");
    cluster.control_start();
    let second = count(1.0);
    assert!(second > first, "{second} {first}");

    let mut victim = database.connect();
    let pid: i32 = victim.one("SELECT pg_backend_pid()", &[]);
    support::run(
        cluster
            .server
            .command("kill")
            .args(["-KILL", &pid.to_string()]),
    );
    wait_until("the connection is lost", || {
        victim.is_closed() || victim.simple_query("SELECT 1").is_err()
    });
    cluster.wait_restarted();
    let third = count(1.0);
    assert!(third > second, "{third} {second}");
}

#[test]
fn errors_are_counted_by_class_however_they_come_about() {
    let database = store();
    let mut sql = database.connect();
    sql.run(
        "SELECT memory_add('there', id => 'there');
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF NEW.content = 'slow' THEN PERFORM pg_sleep(30); END IF;
             IF NEW.content = 'raise' THEN RAISE EXCEPTION 'no'; END IF;
             IF NEW.content = 'divide' THEN PERFORM 1 / (length(NEW.content) - 6); END IF;
             RETURN NEW; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON memories FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    let before = scrape(&mut sql);
    let mut stranger = database.connect_as(&role(""));

    // Errors of ours, which functions return, and of PostgreSQL's, which unwind.
    sql.refused(
        "SELECT memory_add('x', id => 'there', on_duplicate => 'new')",
        &[],
    )
    .is("23505");
    sql.refused("SELECT memory_add('raise')", &[]).is("P0001");
    sql.refused("SELECT memory_add('divide')", &[]).is("22012");
    stranger.refused("SELECT memory_add('x')", &[]).is("42501");
    sql.run("SET statement_timeout = '200ms'");
    sql.refused("SELECT memory_add('slow')", &[]).is("57014");
    sql.run("RESET statement_timeout");
    // Caught by somebody.
    sql.run(
        "DO $$ BEGIN PERFORM memory_add('raise'); EXCEPTION WHEN raise_exception THEN NULL; END $$",
    );
    // What is rolled back was called all the same.
    sql.run("BEGIN; SELECT memory_add('never there'); ROLLBACK");

    let after = scrape(&mut sql);
    let more = |class| errors(&after, class) - errors(&before, class);
    assert_eq!(more("23"), 1.0);
    assert_eq!(more("P0"), 2.0);
    assert_eq!(more("22"), 1.0);
    assert_eq!(more("42"), 1.0);
    assert_eq!(more("57"), 1.0);
    assert_eq!(more("XX"), 0.0);
    assert_eq!(more("other"), 0.0);
    assert_eq!(calls(&after, "add", "error"), 6.0);
    assert_eq!(calls(&after, "add", "ok"), 2.0);
    assert_eq!(measured(&after, "add"), 8.0);
    let sum = after
        .value(
            "memory_operation_duration_seconds_sum",
            &[("operation", "add")],
        )
        .expect("a sum");
    assert!((0.2..10.0).contains(&sum), "{sum}");
    let fast = after
        .value(
            "memory_operation_duration_seconds_bucket",
            &[("operation", "add"), ("le", "0.1")],
        )
        .expect("a bucket");
    assert!(fast <= 7.0, "one took 200 ms: {fast}");
}

#[test]
fn searches_are_counted_by_their_path() {
    let mut sql = store().connect();
    sql.run("SELECT memory_add('the ferry leaves at ' || i) FROM generate_series(1, 30) i");
    let time: String = sql.one("SELECT clock_timestamp()::text", &[]);
    sql.run(
        "SELECT * FROM memory_search('ferry');
         SELECT * FROM memory_search('ferry', mode => 'vector');
         SELECT * FROM memory_search('ferry', mode => 'text');
         SELECT memory_context('ferry');
         SET memory_ext.vector_path = 'sketch';
         SELECT * FROM memory_search('ferry', 50, mode => 'vector');
         SELECT * FROM memory_search('ferry', 50);
         SET memory_ext.vector_path = 'hnsw';
         SELECT * FROM memory_search('ferry', 5, mode => 'vector')",
    );
    sql.run(&format!(
        "SET memory_ext.as_of = '{time}'; SELECT * FROM memory_search('ferry'); RESET memory_ext.as_of"
    ));
    // These search to explain and to measure, for nobody who wants to know.
    sql.run("SELECT memory_explain('ferry'); SELECT * FROM memory_recall_check(5)");

    let found = scrape(&mut sql);
    let by_path: Vec<f64> = ["exact", "sketch", "hnsw", "text", "past"]
        .iter()
        .map(|path| searches(&found, path))
        .collect();
    assert_eq!(by_path, [3.0, 2.0, 1.0, 1.0, 1.0]);
    assert_eq!(
        plain(&found, "memory_search_under_returns_total"),
        Some(0.0)
    );
    assert_eq!(plain(&found, "memory_recall_ratio"), Some(1.0));
    assert!(plain(&found, "memory_recall_timestamp_seconds").is_some());
}

#[test]
fn a_search_that_hides_a_row_is_counted() {
    let mut sql = store().connect();
    sql.run(
        "SELECT memory_add('the ferry leaves at ' || i, id => 'm' || i) FROM generate_series(1, 30) i;
         SET session_replication_role = replica;
         ALTER TABLE memories ALTER COLUMN embedding_sketch DROP EXPRESSION;
         UPDATE memories SET embedding_sketch = NULL WHERE id = 'm7';
         SET memory_ext.vector_path = 'sketch'",
    );

    for (k, expected) in [(29, 0.0), (30, 1.0), (50, 2.0)] {
        let rows = sql
            .query(
                "SELECT * FROM memory_search('ferry', $1, mode => 'vector')",
                &[&k],
            )
            .expect("searches")
            .len();
        assert_eq!(rows, 29);
        let found = scrape(&mut sql);
        let hidden = plain(&found, "memory_search_under_returns_total");
        assert_eq!(hidden, Some(expected), "k = {k}");
    }
}

#[test]
fn votes_expiry_and_the_cache_are_counted() {
    let database = preloaded().database();
    let mut sql = database.connect();
    sql.run(
        "SET memory_ext.embedding_cache_rows = 100;
         SELECT memory_init(dimensions => 2, embedder => 'external');
         SELECT memory_add('known', embedding => '[1,2]', id => 'known');
         SELECT memory_add('known', namespace => 'other');
         SELECT * FROM memory_add_many('[\"new\", \"newer\", {\"content\": \"known\", \"namespace\": \"third\"}]');
         SELECT memory_vote('known', 'helpful', 'a'); SELECT memory_vote('known', 'helpful', 'b'); SELECT memory_vote('known', 'helpful', 'b');
         SELECT memory_vote('known', 'harmful', 'a');
         SELECT memory_add('over ' || i, ttl => '1 hour') FROM generate_series(1, 7) i;
         UPDATE memories SET expires_at = now() - interval '1 second' WHERE content LIKE 'over %'",
    );
    let before = scrape(&mut sql);
    assert_eq!(plain(&before, "memory_expired_backlog"), Some(7.0));
    assert_eq!(
        plain(&before, "memory_embedding_backlog"),
        Some(2.0),
        "what is over its time does not wait"
    );
    sql.run("SELECT memory_expire(3); SELECT memory_expire()");

    let found = scrape(&mut sql);
    assert_eq!(
        plain(&found, "memory_embedding_cache_hits_total"),
        Some(2.0)
    );
    // Two of the batch, and seven whose time is over now.
    assert_eq!(
        plain(&found, "memory_embedding_cache_misses_total"),
        Some(9.0)
    );
    let votes = |vote| found.value("memory_votes_total", &[("vote", vote)]);
    assert_eq!(votes("helpful"), Some(2.0), "a repeated vote is none");
    assert_eq!(votes("harmful"), Some(1.0));
    assert_eq!(plain(&found, "memory_expired_removed_total"), Some(7.0));
    assert_eq!(plain(&found, "memory_expired_backlog"), Some(0.0));
}

#[test]
fn a_streamed_export_is_one_call() {
    let mut sql = store().connect();
    sql.run("SELECT memory_add('memory ' || i) FROM generate_series(1, 1500) i");
    sql.run("SELECT memory_export()");
    sql.run("SELECT * FROM memory_export() LIMIT 3");
    sql.run("BEGIN; DECLARE c CURSOR FOR SELECT memory_export(); FETCH 2 FROM c; CLOSE c; COMMIT");
    sql.refused("SELECT memory_export('xml')", &[]).is("22023");
    // An error on the way: the rows are there no more.
    sql.run("BEGIN; DECLARE c CURSOR FOR SELECT memory_export(); FETCH 2 FROM c; SET LOCAL statement_timeout = '1ms'");
    let cancelled = sql.simple_query("SELECT pg_sleep(1)");
    assert!(cancelled.is_err());
    sql.run("ROLLBACK");

    let found = scrape(&mut sql);
    assert_eq!(calls(&found, "export", "error"), 1.0);
    assert_eq!(
        calls(&found, "export", "ok"),
        4.0,
        "the last one was given up, but not by its own error"
    );
    assert_eq!(measured(&found, "export"), 5.0);
}

#[test]
fn whoever_monitors_the_server_or_looks_after_the_store_may_see() {
    let database = store();
    let mut superuser = database.connect();
    let (monitor, stranger, project_admin, admin) =
        (role("pg_monitor"), role(""), role(""), role(""));
    superuser.run(&format!(
        "SELECT memory_add('in a project', project_id => 'p');
         SELECT memory_grant('{project_admin}', 'p', 'admin'); SELECT memory_grant('{admin}', '*', 'admin')"
    ));
    for role in [&monitor, &admin] {
        let mut sql = database.connect_as(role);
        assert_eq!(
            plain(&scrape(&mut sql), "memory_store_ready"),
            Some(1.0),
            "{role}"
        );
        sql.run("SELECT * FROM memory_stats(); SELECT * FROM memory_stats('p')");
    }
    for role in [&stranger, &project_admin] {
        let mut sql = database.connect_as(role);
        for call in [
            "SELECT memory_metrics()",
            "SELECT * FROM memory_stats()",
            "SELECT * FROM memory_stats('q')",
        ] {
            sql.refused(call, &[])
                .is("42501")
                .hints(&format!("GRANT pg_monitor TO {role}"))
                .well_formed();
        }
    }
    let rows: f64 = database.connect_as(&project_admin).one(
        "SELECT value FROM memory_stats('p') WHERE name = 'memory_rows' AND labels ->> 'table' = 'memories'",
        &[],
    );
    assert_eq!(rows, 1.0);

    // The owner need not be a superuser.
    let (owner, elsewhere) = (role(""), preloaded().database());
    elsewhere
        .connect()
        .run(&format!("GRANT CREATE, USAGE ON SCHEMA public TO {owner}"));
    let mut sql = elsewhere.connect_as(&owner);
    sql.refused("SELECT memory_metrics()", &[]).is("42501");
    sql.run("SELECT memory_init()");
    assert_eq!(plain(&scrape(&mut sql), "memory_store_ready"), Some(1.0));
}

#[test]
fn without_preload_there_is_what_can_be_seen_and_a_reason() {
    let cluster = prepared(false);
    let database = cluster.database();
    let mut sql = database.connect();
    sql.run(
        "SELECT memory_add('a memory'); SELECT * FROM memory_search('memory'); ANALYZE memories",
    );

    let found = scrape(&mut sql);
    assert_eq!(plain(&found, "memory_ext_preloaded"), Some(0.0));
    let help = &found.family("memory_ext_preloaded").expect("there").help;
    assert!(help.contains("shared_preload_libraries"), "{help}");
    assert_eq!(plain(&found, "memory_store_ready"), Some(1.0));
    assert_eq!(
        found.value("memory_rows", &[("table", "memories")]),
        Some(1.0)
    );
    assert_eq!(plain(&found, "memory_embedding_backlog"), Some(0.0));
    assert_eq!(plain(&found, "memory_unsealed_rows"), Some(0.0));
    for family in &found.families {
        assert!(family.kind == "gauge", "{}", family.name);
    }
    for absent in [
        "memory_ext_start_time_seconds",
        "memory_recall_ratio",
        "memory_worker_last_run_timestamp_seconds",
    ] {
        assert!(found.family(absent).is_none(), "{absent}");
    }
}

#[test]
fn whatever_state_the_store_is_in_the_scrape_succeeds() {
    let absent = [
        "memory_rows",
        "memory_vector_index_valid",
        "memory_expired_backlog",
        "memory_store_migration",
    ];
    let database = preloaded().database();
    let mut sql = database.connect();
    let found = scrape(&mut sql);
    assert_eq!(plain(&found, "memory_store_ready"), Some(0.0));
    assert_eq!(plain(&found, "memory_ext_preloaded"), Some(1.0));
    assert!(plain(&found, "memory_db_connections") >= Some(1.0));
    assert_eq!(plain(&found, "memory_db_connections_max"), Some(60.0));
    for name in absent {
        assert!(found.family(name).is_none(), "{name}");
    }
    let info = &found.family("memory_ext_info").expect("there").samples[0];
    assert_eq!(info.labels["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(info.labels["store_version"], "none");
    assert!(info.labels["server_version"].starts_with(char::is_numeric));
    sql.run("SELECT * FROM memory_stats()");

    sql.run("SELECT memory_init(); SELECT memory_add('a memory'); CREATE TABLE kept AS TABLE memory_models; CREATE TABLE numbers AS TABLE memory_migrations");
    let states: [(&str, &str, f64, Option<f64>); 7] = [
        ("as it is", "SELECT 1", 1.0, Some(3.0)),
        // Served, though it lacks what is new.
        (
            "older",
            "DELETE FROM memory_migrations WHERE number = 3",
            1.0,
            Some(2.0),
        ),
        (
            "newer",
            "UPDATE memory_migrations SET number = 90 WHERE number = 3",
            0.0,
            Some(90.0),
        ),
        (
            "much older",
            "UPDATE memory_migrations SET number = number - 9",
            0.0,
            Some(-6.0),
        ),
        ("not described", "DELETE FROM memory_models", 0.0, None),
        (
            "without a table",
            "ALTER TABLE memory_usage RENAME TO elsewhere",
            0.0,
            Some(3.0),
        ),
        (
            "without the index",
            "DROP INDEX ix_memories_embedding_hnsw",
            1.0,
            Some(3.0),
        ),
    ];
    for (state, change, ready, migration) in states {
        sql.run("BEGIN");
        sql.run(change);
        sql.run("COMMIT");
        // A session of its own: nothing tells the others of rows that somebody changes in these tables by hand.
        {
            let client = &mut database.connect();
            let found = scrape(client);
            assert_eq!(plain(&found, "memory_store_ready"), Some(ready), "{state}");
            assert_eq!(
                plain(&found, "memory_store_migration"),
                migration,
                "{state}"
            );
            client.run("SELECT * FROM memory_stats()");
            assert_eq!(
                plain(&found, "memory_ext_scrape_errors"),
                Some(0.0),
                "{state}"
            );
        }
        sql.run(
            "TRUNCATE memory_models, memory_migrations; INSERT INTO memory_models SELECT * FROM kept; INSERT INTO memory_migrations SELECT * FROM numbers;
             ALTER TABLE IF EXISTS elsewhere RENAME TO memory_usage; SELECT memory_migrate()",
        );
    }
}

#[test]
fn a_standby_tells_of_itself() {
    let primary = prepared(true);
    let database = primary.database();
    let mut writer = database.connect();
    writer.run("SELECT memory_init(); SELECT memory_add('memory ' || i) FROM generate_series(1, 20) i; ANALYZE memories");
    let cluster = primary.standby();
    let mut sql = cluster.connect(&database.name);

    let found = scrape(&mut sql);
    assert_eq!(plain(&found, "memory_in_recovery"), Some(1.0));
    assert_eq!(plain(&found, "memory_store_ready"), Some(1.0));
    assert_eq!(
        found.value("memory_rows", &[("table", "memories")]),
        Some(20.0)
    );
    assert_eq!(
        calls(&found, "add", "ok"),
        0.0,
        "the primary counts its own"
    );
    assert_eq!(plain(&found, "memory_ext_scrape_errors"), Some(0.0));
    sql.run("SELECT * FROM memory_search('memory')");
    assert_eq!(calls(&scrape(&mut sql), "search", "ok"), 1.0);
    let total: f64 = sql.one("SELECT value FROM memory_stats() WHERE name = 'memory_memories' AND labels ->> 'state' = 'live'", &[]);
    assert_eq!(total, 20.0);
    assert_eq!(plain(&scrape(&mut writer), "memory_in_recovery"), Some(0.0));
}

#[test]
fn a_locked_table_does_not_hold_the_scraper_up() {
    let database = store();
    let (mut holder, mut sql) = (database.connect(), database.connect());
    holder.run("BEGIN; LOCK TABLE memories IN ACCESS EXCLUSIVE MODE");

    let started = Instant::now();
    let found = scrape(&mut sql);
    assert!(
        started.elapsed() < Duration::from_secs(20),
        "{:?}",
        started.elapsed()
    );
    assert!(plain(&found, "memory_ext_scrape_errors") >= Some(1.0));
    assert!(found.family("memory_expired_backlog").is_none());
    assert_eq!(plain(&found, "memory_ext_preloaded"), Some(1.0));

    holder.run("COMMIT");
    assert_eq!(
        plain(&scrape(&mut sql), "memory_ext_scrape_errors"),
        Some(0.0)
    );
}

#[test]
fn rows_say_the_same_and_count() {
    let mut sql = store().connect();
    sql.run(
        "SELECT memory_add('memory ' || i, project_id => CASE WHEN i <= 4 THEN 'small' ELSE 'default' END) FROM generate_series(1, 10) i;
         SELECT memory_kv_set('key', 'value'); SELECT memory_kv_set('token', 'hush', sensitive => true);
         SELECT memory_add('gone', id => 'gone'); SELECT memory_delete('gone');
         SELECT memory_add('bad', id => 'bad', memory_type => 'strategy'); SELECT memory_deprecate('bad');
         SELECT memory_add('over', ttl => '1 hour', id => 'over'); UPDATE memories SET expires_at = now() - interval '1 minute' WHERE id = 'over'",
    );
    let value = |sql: &mut Client, project: &str, name: &str, label: &str| -> f64 {
        sql.one(
            &format!("SELECT value FROM memory_stats({project}) WHERE name = '{name}' AND (labels = '{{}}' OR '{label}' IN (SELECT v FROM jsonb_each_text(labels) AS l (k, v)))"),
            &[],
        )
    };
    for (state, all, small) in [
        ("total", 15.0, 4.0),
        ("live", 12.0, 4.0),
        ("keyed", 2.0, 0.0),
        ("expired", 1.0, 0.0),
        ("deleted", 1.0, 0.0),
        ("deprecated", 1.0, 0.0),
        ("sensitive", 1.0, 0.0),
        ("embedded", 12.0, 4.0),
        ("waiting", 0.0, 0.0),
        ("stale", 0.0, 0.0),
    ] {
        assert_eq!(
            value(&mut sql, "", "memory_memories", state),
            all,
            "{state}"
        );
        assert_eq!(
            value(&mut sql, "'small'", "memory_memories", state),
            small,
            "{state}"
        );
    }
    assert_eq!(value(&mut sql, "", "memory_rows", "memories"), 15.0);
    assert_eq!(value(&mut sql, "'small'", "memory_rows", "memories"), 4.0);
    assert_eq!(value(&mut sql, "", "memory_expired_backlog", ""), 1.0);
    assert_eq!(
        value(&mut sql, "", "memory_memories_by_type", "standard"),
        12.0
    );
    assert_eq!(
        value(
            &mut sql,
            "",
            "memory_operation_duration_seconds_count",
            "add"
        ),
        13.0
    );

    // Every family of the text is there, and nothing twice.
    let names: Vec<String> = sql.column("SELECT DISTINCT name FROM memory_stats()", &[]);
    for family in scrape(&mut sql).families {
        let expected = match family.kind.as_str() {
            "histogram" => format!("{}_sum", family.name),
            _ => family.name,
        };
        assert!(names.contains(&expected), "{expected} is missing");
    }
    let twice: i64 = sql.one("SELECT count(*) FROM (SELECT FROM memory_stats() GROUP BY name, labels HAVING count(*) > 1) t", &[]);
    assert_eq!(twice, 0);
    let of_server: i64 = sql.one("SELECT count(*) FROM memory_stats('small') WHERE name LIKE 'memory_db%' OR name LIKE '%_total'", &[]);
    assert_eq!(of_server, 0, "a project has no connections");
    sql.refused("SELECT * FROM memory_stats('')", &[])
        .is("22023");
    sql.refused("SELECT * FROM memory_stats('*')", &[])
        .is("22023");
}

#[test]
fn databases_have_counters_of_their_own_as_long_as_there_are_any() {
    const OWN: usize = 32;
    let cluster = prepared(true);
    let shared = |database: &Database| {
        let mut sql = database.connect();
        sql.run("SELECT memory_scan('x')");
        let found = scrape(&mut sql);
        let sample = &found
            .family("memory_ext_counters_shared")
            .expect("there")
            .samples[0];
        (
            sample.labels["database"].clone(),
            sample.value,
            calls(&found, "scan", "ok"),
        )
    };
    let databases: Vec<Database> = (0..OWN + 2).map(|_| cluster.database()).collect();
    for database in &databases[..OWN] {
        assert_eq!(shared(database), (database.name.clone(), 0.0, 1.0));
    }
    assert_eq!(shared(&databases[OWN]), ("other".to_owned(), 1.0, 1.0));
    assert_eq!(shared(&databases[OWN + 1]), ("other".to_owned(), 1.0, 2.0));
    assert_eq!(shared(&databases[0]), (databases[0].name.clone(), 0.0, 2.0));

    // Whose it is nobody could tell.
    for (database, is_told) in [(&databases[0], true), (&databases[OWN], false)] {
        let mut sql = database.connect();
        sql.run(
            "SELECT memory_init(); SELECT memory_add('x'); SELECT * FROM memory_recall_check(1)",
        );
        let found = scrape(&mut sql);
        assert_eq!(plain(&found, "memory_recall_ratio").is_some(), is_told);
        let worker: serde_json::Value = sql.one("SELECT memory_health() -> 'worker'", &[]);
        assert_eq!(worker["runs"].is_null(), !is_told, "{worker}");
        assert!(worker["last_run"].is_null(), "{worker}");
    }

    // What a dropped one leaves is given to the next, without its counts.
    let dropped = &databases[5].name;
    cluster.admin(&format!("DROP DATABASE {dropped}"));
    let next = cluster.database();
    assert_eq!(shared(&next), (next.name.clone(), 0.0, 1.0));
    assert_eq!(shared(&databases[6]), (databases[6].name.clone(), 0.0, 2.0));
}

#[test]
fn names_of_any_characters_are_labels() {
    let name = "we\"ird \\ n\u{e4}me\\n";
    preloaded().admin(&format!(
        "CREATE DATABASE \"{}\"",
        name.replace('"', "\"\"")
    ));
    let mut sql = preloaded().connect(name);
    sql.run("CREATE EXTENSION memory_ext CASCADE; SELECT memory_init(); CREATE INDEX \"my \"\"index\\\" ON memories (content_hash)");

    let found = scrape(&mut sql);
    assert_eq!(
        found.value("memory_ext_counters_shared", &[("database", name)]),
        Some(0.0)
    );
    assert!(found.value("memory_index_bytes", &[("index", "other")]) > Some(0.0));
}

#[test]
fn the_worker_is_counted_and_so_are_its_failures() {
    let cluster = Cluster::start(Options {
        preload: true,
        settings: vec!["memory_ext.naptime = '1s'"],
    });
    let database = cluster.database();
    let mut sql = database.connect();
    sql.run("SELECT memory_init()");
    let runs = |sql: &mut Client, result: &str| {
        let found = scrape(sql);
        found
            .value("memory_worker_runs_total", &[("result", result)])
            .expect("there")
    };
    wait_until("two runs", || runs(&mut sql, "ok") >= 2.0);
    assert_eq!(runs(&mut sql, "error"), 0.0);
    let last: f64 = plain(
        &scrape(&mut sql),
        "memory_worker_last_run_timestamp_seconds",
    )
    .expect("a time");
    let now: f64 = sql.one("SELECT extract(epoch FROM clock_timestamp())::float8", &[]);
    assert!((0.0..30.0).contains(&(now - last)), "{now} {last}");

    // An error of ours, and one of PostgreSQL's.
    sql.run("CREATE TABLE kept AS TABLE memory_models; DELETE FROM memory_models");
    sql.run("INSERT INTO memory_models SELECT * FROM kept; UPDATE memory_migrations SET number = 90 WHERE number = 3");
    wait_until("a failure", || runs(&mut sql, "error") >= 1.0);
    sql.run("UPDATE memory_migrations SET number = 3 WHERE number = 90; ALTER TABLE embedding_cache RENAME TO elsewhere");
    let before = runs(&mut sql, "error");
    wait_until("another failure", || {
        runs(&mut sql, "error") >= before + 2.0
    });
    sql.run("ALTER TABLE elsewhere RENAME TO embedding_cache");
    let before = runs(&mut sql, "ok");
    wait_until("it goes on", || runs(&mut sql, "ok") > before);
}
