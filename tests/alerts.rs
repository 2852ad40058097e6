//! Each alert fires for its fault on a real database and a real Prometheus, what its section in docs/operations.md says to ask names the
//! fault, and where it says the cure, the alert ends with that. The rules are those that are shipped, with seconds in place of minutes.

mod support;

mod deploy {
    pub mod dashboard;
    pub mod programs;
    pub mod scraping;
}

use std::collections::BTreeSet;
use std::fs;
use std::thread;
use std::time::Duration;

use deploy::dashboard::dashboard_queries;
use deploy::programs::{Prometheus, Running, directory, docker, output, read};
use deploy::scraping::{configuration, exporter, initialised, wait_for_metrics};
use postgres::Client;
use support::markdown::{blocks, repository};
use support::{Cluster, Database, Options, Sql, wait_until};

/// What each of the tests makes fire.
const OF_THE_WORKER: &[&str] = &[
    "MemoryWorkerStale",
    "MemoryWorkerFailing",
    "MemoryStoreNotReady",
    "MemorySealFailed",
    "MemorySealStale",
];
const OF_CALLS: &[&str] = &[
    "MemoryHighLatency",
    "MemoryErrorRate",
    "MemoryInternalErrors",
    "MemoryConnectionsNearlyUsedUp",
    "MemoryUnderReturns",
    "MemoryRecallDrop",
];
const OF_ROWS: &[&str] = &[
    "MemoryExpiredBacklog",
    "MemoryDeadRows",
    "MemoryEmbeddingBacklog",
    "MemoryIntegrityIssues",
    "MemoryVectorIndexInvalid",
    "MemoryMetricsIncomplete",
    "MemoryDown",
    "MemoryNotPreloaded",
];

/// The shipped rules with short waits.
fn rules() -> String {
    let text = read(docker("prometheus/alerts.yml"));
    let mut quick = String::new();
    for line in text.lines() {
        match line.split_once("for: ") {
            Some((indent, _)) if indent.trim().is_empty() => {
                quick.push_str(indent);
                quick.push_str("for: 1s");
            }
            _ => quick.push_str(line),
        }
        quick.push('\n');
    }
    for (from, to) in [
        ("[5m]", "[10s]"),
        ("[15m]", "[10s]"),
        ("[1h]", "[10s]"),
        // The worker's last run, the last seal.
        (" > 600\n", " > 15\n"),
        (" > 86400\n", " > 5\n"),
    ] {
        assert!(quick.contains(from), "{from:?} is in no rule");
        quick = quick.replace(from, to);
    }
    quick
}

/// A server that counts and removes nothing by itself.
fn cluster() -> Cluster {
    Cluster::start(Options {
        preload: true,
        settings: vec!["memory_ext.naptime = 1h", "autovacuum = off"],
    })
}

/// A database under watch.
struct Watched<'c> {
    database: Database<'c>,
    prometheus: Prometheus,
    _exporter: Running,
}

impl<'c> Watched<'c> {
    fn new(cluster: &'c Cluster, name: &str) -> Self {
        let database = initialised(cluster);
        database
            .connect()
            .run("SELECT memory_add('the ferry leaves at noon', id => 'ferry')");
        let place = directory(name);
        fs::write(place.join("alerts.yml"), rules()).expect("rules");
        let exporter = exporter(&place, &database);
        let prometheus = Prometheus::start(
            &place,
            &configuration("prometheus.yml", "exporter:9999", exporter.port),
        );
        wait_for_metrics(&prometheus);
        Watched {
            database,
            prometheus,
            _exporter: exporter,
        }
    }

    fn is_firing(&self, name: &str) -> bool {
        self.prometheus.firing().contains(name)
    }

    /// Waits for an alert, doing what makes it fire again and again.
    fn fires(&self, name: &str, mut fault: impl FnMut()) {
        assert!(!self.is_firing(name), "{name} fires beforehand");
        wait_until(&format!("{name} fires"), || {
            fault();
            self.is_firing(name)
        });
    }

    /// Waits for an alert that may have begun to fire with another one.
    fn fires_or_is(&self, name: &str) {
        wait_until(&format!("{name} fires"), || self.is_firing(name));
    }

    fn ends(&self, name: &str) {
        wait_until(&format!("{name} ends"), || !self.is_firing(name));
    }

    /// Runs the SQL of an alert's section, and gives what it printed.
    fn runbook(&self, name: &str) -> String {
        let file = self.database.cluster.directory().join("runbook.sql");
        fs::write(&file, runbook(name)).expect("a file");
        let (_, said) = output(
            self.database
                .cluster
                .client("psql", &self.database.name)
                .args(["-X", "-A", "-F,", "-f"])
                .arg(&file),
        );
        said
    }
}

fn runbook(name: &str) -> String {
    let operations = read(repository().join("docs/operations.md"));
    let heading = format!("\n### {name}\n");
    let section = operations
        .split_once(&heading)
        .unwrap_or_else(|| panic!("{name} has no section"))
        .1;
    let end = section.find("\n#").map_or(section.len(), |end| end + 1);
    let sql: String = blocks(&section[..end])
        .into_iter()
        .filter(|block| block.language == "sql")
        .map(|block| block.text)
        .collect();
    assert!(!sql.is_empty(), "{name}");
    sql
}

/// Changes a setting of the server, and waits until new sessions have it.
fn set(cluster: &Cluster, setting: &str) {
    let loaded = || -> String {
        cluster
            .connect("postgres")
            .one("SELECT pg_conf_load_time()::text", &[])
    };
    let before = loaded();
    cluster.admin(&format!("ALTER SYSTEM {setting}"));
    cluster.reload();
    wait_until(setting, || loaded() != before);
}

fn refused(sql: &mut Client, statement: &str) {
    sql.refused(statement, &[]);
}

fn said(text: &str, wanted: &str) {
    assert!(text.contains(wanted), "{wanted:?} is not in\n{text}");
}

#[test]
fn every_alert_has_a_test_in_which_it_fires() {
    let tried: BTreeSet<&str> = [OF_THE_WORKER, OF_CALLS, OF_ROWS]
        .concat()
        .into_iter()
        .collect();
    let shipped = read(docker("prometheus/alerts.yml"));
    let shipped: BTreeSet<&str> = shipped
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert_eq!(tried, shipped);
}

#[test]
fn alerts_of_the_worker_and_of_seals() {
    let cluster = cluster();
    let watched = Watched::new(&cluster, "alerts-worker");
    let mut sql = watched.database.connect();

    // It never ran, and then it does.
    watched.fires_or_is("MemoryWorkerStale");
    said(
        &watched.runbook("MemoryWorkerStale"),
        "memory_ext.naptime,3600",
    );
    set(&cluster, "SET memory_ext.naptime = '1s'");
    watched.ends("MemoryWorkerStale");

    sql.run("ALTER TABLE embedding_cache RENAME TO elsewhere");
    watched.fires("MemoryWorkerFailing", || {});
    watched.fires_or_is("MemoryStoreNotReady");
    said(&watched.runbook("MemoryStoreNotReady"), "embedding_cache");
    sql.run("ALTER TABLE elsewhere RENAME TO embedding_cache");
    watched.ends("MemoryStoreNotReady");
    watched.ends("MemoryWorkerFailing");
    set(&cluster, "SET memory_ext.naptime = '1h'");

    let key = "/nonexistent/audit.key";
    set(
        &cluster,
        &format!("SET memory_ext.audit_key_file = '{key}'"),
    );
    // Of the worker: a caller sees his own failures.
    sql.run("SELECT memory_update('ferry', importance => 0.7)");
    set(&cluster, "SET memory_ext.seal_interval = '1s'");
    set(&cluster, "SET memory_ext.naptime = '1s'");
    watched.fires("MemorySealFailed", || {});
    let told = watched.runbook("MemorySealFailed");
    said(&told, &format!("memory_ext.audit_key_file,{key}"));
    said(&told, "ERROR");
    set(&cluster, "SET memory_ext.naptime = '1h'");
    set(&cluster, "RESET memory_ext.seal_interval");
    set(&cluster, "RESET memory_ext.audit_key_file");
    sql.run("SELECT memory_update('ferry', importance => 0.75)");
    said(&watched.runbook("MemorySealFailed"), "\nevents,");
    watched.ends("MemorySealFailed");

    // Rows of transactions that have ended, one of them with a seal.
    sql.run("SELECT memory_update('ferry', importance => 0.8)");
    sql.run("SELECT * FROM memory_audit_seal()");
    sql.run("SELECT memory_update('ferry', importance => 0.9)");
    watched.fires("MemorySealStale", || {});
    said(&watched.runbook("MemorySealStale"), "intact");
    sql.run("SELECT * FROM memory_audit_seal()");
    watched.ends("MemorySealStale");

    // It ran, and does so no more.
    watched.fires_or_is("MemoryWorkerStale");
}

#[test]
fn alerts_of_calls() {
    let cluster = cluster();
    let watched = Watched::new(&cluster, "alerts-calls");
    let mut sql = watched.database.connect();
    let quiet = watched.prometheus.firing();
    assert!(
        OF_CALLS.iter().all(|name| !quiet.contains(*name)),
        "{quiet:?}"
    );

    // Half of the calls fail.
    watched.fires("MemoryErrorRate", || {
        for _ in 0..10 {
            refused(&mut sql, "SELECT memory_kv_set('', 'no key')");
        }
    });
    let told = watched.runbook("MemoryErrorRate");
    said(&told, "\n22,");
    said(&told, "\nkv_set,");
    watched.ends("MemoryErrorRate");

    // An update that waits for another.
    let mut other = watched.database.connect();
    watched.fires("MemoryHighLatency", || {
        other.run("BEGIN; SELECT memory_update('ferry', importance => 0.7)");
        thread::scope(|scope| {
            scope.spawn(|| sql.run("SELECT memory_update('ferry', importance => 0.8)"));
            thread::sleep(Duration::from_millis(1300));
            other.run("COMMIT");
        });
    });
    said(&watched.runbook("MemoryHighLatency"), "\nupdate,");

    // A file of the server that is not there.
    let directory = cluster.directory().display();
    set(
        &cluster,
        &format!("SET memory_ext.backup_directory = '{directory}'"),
    );
    let restore =
        "SELECT memory_restore('not-there', passphrase => 'correct horse battery staple')";
    watched.fires("MemoryInternalErrors", || refused(&mut sql, restore));
    watched.runbook("MemoryInternalErrors");

    // As many as leave one to the role that scrapes: three are kept for superusers, one has the psql of the section.
    let held: Vec<_> = (0..53).map(|_| watched.database.connect()).collect();
    watched.fires("MemoryConnectionsNearlyUsedUp", || {});
    said(
        &watched.runbook("MemoryConnectionsNearlyUsedUp"),
        "postgres,",
    );
    drop(held);
    watched.ends("MemoryConnectionsNearlyUsedUp");

    // Rows without a sketch, which the extension never makes, are what a search by sketches cannot see.
    sql.run(
        "SELECT memory_add('the ferry leaves at ' || i) FROM generate_series(1, 99) i;
         SET session_replication_role = replica;
         ALTER TABLE memories ALTER COLUMN embedding_sketch DROP EXPRESSION;
         UPDATE memories SET embedding_sketch = NULL WHERE id = 'ferry';
         SET memory_ext.vector_path = 'sketch'",
    );
    let search = "SELECT count(*) FROM memory_search('ferry', 100, mode => 'vector')";
    watched.fires("MemoryUnderReturns", || {
        assert_eq!(sql.one::<i64>(search, &[]), 99);
    });
    let measure = "SELECT min(recall) FROM memory_recall_check(sample => 20, k => 10)";
    sql.run("UPDATE memories SET embedding_sketch = NULL WHERE length(content) % 2 = 0");
    watched.fires("MemoryRecallDrop", || {
        assert!(sql.one::<f64>(measure, &[]) < 0.95);
    });
    // What is to be done until it is corrected.
    watched.runbook("MemoryUnderReturns");
    drop(sql);
    assert_eq!(watched.database.connect().one::<i64>(search, &[]), 100);
    watched.runbook("MemoryRecallDrop");
    watched.ends("MemoryRecallDrop");
    watched.ends("MemoryUnderReturns");

    answers(&watched);
}

/// Every query of the dashboard has data of a database that is used.
fn answers(watched: &Watched) {
    let mut sql = watched.database.connect();
    sql.run("SELECT * FROM memory_maintenance(); SELECT * FROM memory_audit_seal()");
    let mut turn = 0;
    let mut silent = BTreeSet::new();
    wait_until("the dashboard has data", || {
        turn += 1;
        sql.run(&format!(
            "SELECT memory_search('ferry'); SELECT memory_get('ferry'); SELECT memory_playbook('ferry');
             SELECT memory_vote('ferry', 'helpful', 'agent-{turn}'); SELECT memory_add('tram {turn}', id => 'tram-{turn}');
             SELECT memory_delete('tram-{turn}'); SELECT memory_session_start('session-{turn}'); SELECT memory_session_update('session-{turn}', summary => 'x');
             SELECT memory_feature_create('feature-{turn}', 'x'); SELECT memory_feature_update('feature-{turn}', description => 'y');
             SELECT memory_run_start('run-{turn}'); SELECT memory_run_complete('run-{turn}', true)"
        ));
        refused(&mut sql, "SELECT memory_kv_set('', 'no key')");
        silent = dashboard_queries()
            .into_iter()
            .filter(|(_, expression)| watched.prometheus.query(expression).is_empty())
            .collect();
        // The worker of this server has not come by.
        silent
            .iter()
            .all(|(_, expression)| expression.contains("memory_worker_"))
            || {
                eprintln!("without data: {silent:?}");
                false
            }
    });
}

#[test]
fn alerts_of_rows_and_of_the_server() {
    let cluster = cluster();
    let watched = Watched::new(&cluster, "alerts-rows");
    let mut sql = watched.database.connect();
    let quiet = watched.prometheus.firing();
    assert!(
        OF_ROWS.iter().all(|name| !quiet.contains(*name)),
        "{quiet:?}"
    );

    sql.run(
        "ALTER TABLE memories DISABLE TRIGGER USER;
         INSERT INTO memories (id, content, scope, created_at, expires_at)
         SELECT 'expired-' || i, 'gone ' || i, 'global', now() - interval '2 days', now() - interval '1 day' FROM generate_series(1, 15000) i;
         ALTER TABLE memories ENABLE TRIGGER USER",
    );
    watched.fires("MemoryExpiredBacklog", || {});
    watched.runbook("MemoryExpiredBacklog");
    watched.ends("MemoryExpiredBacklog");

    watched.fires("MemoryDeadRows", || sql.run("SELECT memory_expire(5000)"));
    said(&watched.runbook("MemoryDeadRows"), "memories,");
    watched.ends("MemoryDeadRows");

    sql.run(
        "ALTER TABLE memories DISABLE TRIGGER USER;
         INSERT INTO memories (id, content, scope) SELECT 'bare-' || i, 'without a vector ' || i, 'global' FROM generate_series(1, 1100) i;
         ALTER TABLE memories ENABLE TRIGGER USER",
    );
    watched.fires("MemoryEmbeddingBacklog", || {});
    watched.runbook("MemoryEmbeddingBacklog");
    watched.ends("MemoryEmbeddingBacklog");

    // What only a fault can write.
    sql.run(
        "SET session_replication_role = replica;
         UPDATE memories SET bullet_helpful = 41 WHERE id = 'ferry';
         RESET session_replication_role",
    );
    watched.fires("MemoryIntegrityIssues", || {
        sql.run("SELECT * FROM memory_maintenance()");
    });
    said(
        &watched.runbook("MemoryIntegrityIssues"),
        "recommendations\n",
    );

    sql.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_memories_embedding_hnsw'::regclass");
    watched.fires("MemoryVectorIndexInvalid", || {});
    assert!(!watched.is_firing("MemoryStoreNotReady"));
    said(
        &watched.runbook("MemoryVectorIndexInvalid"),
        "ix_memories_embedding_hnsw,f,t",
    );
    sql.run("REINDEX INDEX ix_memories_embedding_hnsw");
    watched.ends("MemoryVectorIndexInvalid");

    let holder: i32 = sql.one("SELECT pg_backend_pid()", &[]);
    sql.run("BEGIN; LOCK TABLE memories IN ACCESS EXCLUSIVE MODE");
    watched.fires("MemoryMetricsIncomplete", || {});
    said(
        &watched.runbook("MemoryMetricsIncomplete"),
        &format!("memories,AccessExclusiveLock,t,{holder},"),
    );
    sql.run("ROLLBACK");
    watched.ends("MemoryMetricsIncomplete");
    // Every table of the store, and whoever waits for it while others wait behind him.
    let mut reader = watched.database.connect();
    reader.run("BEGIN; SELECT count(*) FROM vote_history");
    let altered = thread::scope(|scope| {
        let altering = scope.spawn(|| {
            sql.run("BEGIN; SET LOCAL lock_timeout = '60s'; LOCK TABLE vote_history IN ACCESS EXCLUSIVE MODE; ROLLBACK");
        });
        let waits = format!("vote_history,AccessExclusiveLock,f,{holder},");
        wait_until("it is named", || {
            watched.runbook("MemoryMetricsIncomplete").contains(&waits)
        });
        reader.run("COMMIT");
        altering.join()
    });
    altered.expect("the lock comes and goes");

    drop(sql);
    cluster.stop("fast");
    watched.fires("MemoryDown", || {});
    cluster.configure("shared_preload_libraries = ''");
    cluster.control_start();
    watched.ends("MemoryDown");
    watched.fires_or_is("MemoryNotPreloaded");
    let named = runbook("MemoryDown");
    assert!(named.contains("'scraper'"), "{named}");
    let answer: Vec<bool> = watched.database.connect().column(
        "SELECT pg_has_role('metrics', 'pg_monitor', 'USAGE') AND rolconnlimit = 3 FROM pg_roles WHERE rolname = 'metrics'",
        &[],
    );
    assert_eq!(answer, [true]);
}
