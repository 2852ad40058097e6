//! From a database to an alert: memory_metrics() by each exporter of docker/ into a real Prometheus, with conditions that have to fire;
//! and the scripts that containers are probed and scraped with.

mod support;

mod deploy {
    pub mod exposed;
    pub mod programs;
    pub mod scraping;
}

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use deploy::exposed::{families, labels, names, sample};
use deploy::programs::{
    Prometheus, Running, directory, docker, free_port, get, output, program, read,
};
use deploy::scraping::{
    configuration, exporter, initialised, reaching, script, wait_for_alert, wait_for_metrics,
};
use support::exposition::Exposition;
use support::{Cluster, Database, Options, Sql, wait_until};

/// A server that counts.
fn cluster() -> Cluster {
    Cluster::start(Options {
        preload: true,
        settings: vec!["memory_ext.naptime = 1h"],
    })
}

fn arrived(prometheus: &Prometheus) -> BTreeSet<String> {
    let names = prometheus.query("count by (__name__) ({job=\"memory\", __name__=~\"memory_.*\"})");
    names
        .iter()
        .map(|sample| {
            sample["metric"]["__name__"]
                .as_str()
                .expect("a name")
                .to_owned()
        })
        .collect()
}

/// The names that alerts and the dashboard use are those that the database gives.
#[test]
fn the_sample_has_the_names_and_types_of_the_metrics() {
    let cluster = cluster();
    let database = initialised(&cluster);
    let mut sql = database.connect();
    sql.run("SELECT memory_add('the ferry leaves at noon'); SELECT memory_search('ferry')");
    let given = families(&sql.one::<String>("SELECT memory_metrics()", &[]));
    let sample = families(&sample());
    for (name, kind) in &given {
        assert_eq!(
            sample.get(name),
            Some(kind),
            "{name} is not in tests/deploy/metrics.prom"
        );
    }
    // Absent until they have happened.
    let later: Vec<&str> = sample
        .keys()
        .filter(|name| !given.contains_key(*name))
        .map(String::as_str)
        .collect();
    let may_be_absent = [
        "memory_integrity_issues",
        "memory_last_seal_timestamp_seconds",
        "memory_maintenance_last_run_timestamp_seconds",
        "memory_recall_ratio",
        "memory_recall_timestamp_seconds",
        "memory_worker_last_run_timestamp_seconds",
    ];
    assert!(
        later.iter().all(|name| may_be_absent.contains(name)),
        "{later:?}"
    );
}

/// Of a database where everything has happened that makes a metric.
#[test]
fn promtool_takes_the_metrics_and_the_sample_has_their_labels() {
    let cluster = Cluster::start(Options {
        preload: true,
        settings: vec![
            "memory_ext.naptime = '1s'",
            "memory_ext.recall_check_interval = '1s'",
        ],
    });
    let database = initialised(&cluster);
    let mut sql = database.connect();
    sql.run(
        "SELECT memory_add('the ferry leaves at noon', id => 'ferry'); SELECT * FROM memory_search('ferry'); SELECT memory_vote('ferry', 'helpful', 'a');
         SELECT memory_update('ferry', 'the ferry leaves at one'); SELECT * FROM memory_get('ferry'); SELECT memory_delete('ferry');
         SELECT * FROM memory_audit_seal(); SELECT memory_maintenance(); CREATE INDEX mine ON memories (agent_id)",
    );
    sql.run("SELECT memory_add('the tide turns at three')");
    let mut given = String::new();
    wait_until("recall is measured", || {
        given = sql.one("SELECT memory_metrics()", &[]);
        given.contains("\nmemory_recall_ratio ") && given.contains("\nmemory_worker_last_run")
    });

    let place = directory("promtool");
    let file = place.join("live.prom");
    fs::write(&file, &given).expect("the metrics are written");
    let mut check = Command::new("sh");
    check
        .arg("-c")
        .arg("\"$0\" check metrics < \"$1\"")
        .arg(program("promtool"))
        .arg(&file);
    let (good, said) = output(&mut check);
    assert!(good && said.is_empty(), "promtool: {said}");

    let sample = sample();
    assert_eq!(families(&given), families(&sample));
    assert_eq!(labels(&given), labels(&sample), "labels of each name");
    // The sample shows some values of each label, and none that there is not.
    let (of_database, of_sample) = (values(&given), values(&sample));
    let functions: BTreeSet<String> = sql
        .column(
            "SELECT substr(proname::text, 8) FROM pg_proc WHERE proname LIKE 'memory\\_%'",
            &[],
        )
        .into_iter()
        .collect();
    for (label, shown) in of_sample {
        let there = &of_database[&label];
        match label.as_str() {
            "database" | "pgvector_version" | "server_version" => {}
            "operation" => assert!(shown.is_subset(&functions), "{shown:?}"),
            "path" | "vote" | "result" | "status" | "le" => assert_eq!(&shown, there, "{label}"),
            _ => assert!(shown.is_subset(there), "{label}: {shown:?} {there:?}"),
        }
    }
}

/// The values of every label.
fn values(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let exposition = Exposition::read(text).unwrap_or_else(|error| panic!("{error}"));
    let mut values: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let samples = exposition
        .families
        .iter()
        .flat_map(|family| &family.samples);
    for (label, value) in samples.flat_map(|sample| &sample.labels) {
        values
            .entry(label.clone())
            .or_default()
            .insert(value.clone());
    }
    values
}

/// By the rules as they are shipped, which wait for minutes before they fire: here they are pending. tests/alerts.rs does not wait.
#[test]
fn metrics_arrive_and_alerts_are_raised() {
    let cluster = cluster();
    let database = initialised(&cluster);
    let mut sql = database.connect();
    sql.run("SELECT memory_add('the ferry leaves at noon')");
    let place = directory("scrape");
    fs::copy(docker("prometheus/alerts.yml"), place.join("alerts.yml")).expect("rules");
    let exporter = exporter(&place, &database);
    let prometheus = Prometheus::start(
        &place,
        &configuration("prometheus.yml", "exporter:9999", exporter.port),
    );
    wait_for_metrics(&prometheus);

    assert_eq!(prometheus.value("up{job=\"memory\"}"), 1.0);
    assert_eq!(prometheus.value("memory_store_ready"), 1.0);
    assert_eq!(prometheus.value("memory_db_connections_max"), 60.0);
    assert!(prometheus.value("memory_operations_total{operation=\"add\", status=\"ok\"}") >= 1.0);
    assert!(prometheus.value("memory_operation_duration_seconds_count{operation=\"add\"}") >= 1.0);
    let types = prometheus.api("/api/v1/targets/metadata?metric=memory_operations_total");
    assert_eq!(types[0]["type"], "counter", "{types}");
    let quiet = prometheus.alerts();
    for name in [
        "MemoryDown",
        "MemoryStoreNotReady",
        "MemoryExpiredBacklog",
        "MemoryErrorRate",
        "MemoryConnectionsNearlyUsedUp",
    ] {
        assert!(!quiet.contains(name), "{quiet:?}");
    }

    // Half of the calls fail.
    wait_until("MemoryErrorRate", || {
        for _ in 0..10 {
            sql.refused("SELECT memory_kv_set('', 'no key')", &[]);
        }
        prometheus.alerts().contains("MemoryErrorRate")
    });

    sql.run("ALTER TABLE memories DISABLE TRIGGER USER;
             INSERT INTO memories (id, content, scope, created_at, expires_at)
             SELECT 'expired-' || i, 'gone ' || i, 'global', now() - interval '2 days', now() - interval '1 day' FROM generate_series(1, 10100) i;
             ALTER TABLE memories ENABLE TRIGGER USER");
    wait_for_alert(&prometheus, "MemoryExpiredBacklog");
    assert!(prometheus.value("memory_expired_backlog") > 10_000.0);

    // As many as leave one to the role that scrapes: three are kept for superusers.
    let held: Vec<_> = (0..54).map(|_| database.connect()).collect();
    wait_for_alert(&prometheus, "MemoryConnectionsNearlyUsedUp");
    drop(held);

    sql.run("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_memories_embedding_hnsw'::regclass");
    wait_for_alert(&prometheus, "MemoryVectorIndexInvalid");
    assert_eq!(prometheus.value("memory_store_ready"), 1.0);
    sql.run("ALTER TABLE embedding_cache RENAME TO elsewhere");
    wait_for_alert(&prometheus, "MemoryStoreNotReady");

    drop(sql);
    cluster.stop("fast");
    wait_for_alert(&prometheus, "MemoryDown");
    assert_eq!(prometheus.value("up{job=\"memory\"}"), 0.0);
    assert!(
        prometheus.query("memory_ext_info").is_empty(),
        "nothing old is shown"
    );
}

/// What an exporter of rows gives has the same names and values.
fn by_rows(name: &str, target: &str, start: impl Fn(&Path, &Database, u16) -> Command) {
    let cluster = cluster();
    let database = initialised(&cluster);
    database
        .connect()
        .run("SELECT memory_add('the ferry leaves at noon'); SELECT memory_search('ferry')");
    let place = directory(name);
    let port = free_port();
    let _exporter = Running::start(
        start(&place, &database, port),
        port,
        place.join("exporter.log"),
    );
    let prometheus = Prometheus::start(
        &place,
        &configuration("other-exporters/prometheus.yml", target, port),
    );
    wait_for_metrics(&prometheus);
    let given: String = database.connect().one("SELECT memory_metrics()", &[]);
    assert_eq!(arrived(&prometheus), names(&given));
    assert_eq!(
        prometheus.value("memory_operations_total{operation=\"add\", status=\"ok\"}"),
        1.0
    );
    assert_eq!(
        prometheus
            .value("memory_operation_duration_seconds_bucket{operation=\"add\", le=\"+Inf\"}"),
        1.0
    );
    assert_eq!(
        prometheus.value("memory_db_connections_max / memory_db_connections_max"),
        1.0
    );
    assert_eq!(prometheus.query("memory_rows{table=\"memories\"}").len(), 1);
}

#[test]
fn metrics_arrive_by_the_postgres_exporter() {
    by_rows(
        "postgres-exporter",
        "localhost:9187",
        |_, database, port| {
            let mut command = reaching(
                Command::new(program("prometheus-postgres-exporter")),
                database,
                "metrics",
            );
            command
                .arg(format!("--web.listen-address=127.0.0.1:{port}"))
                .arg("--extend.query-path")
                .arg(docker("prometheus/other-exporters/postgres-exporter.yml"))
                .arg("--disable-settings-metrics")
                .env(
                    "DATA_SOURCE_NAME",
                    format!(
                        "host={} port=5432 user=metrics dbname={} sslmode=disable",
                        database.cluster.socket(),
                        database.name
                    ),
                );
            command
        },
    );
}

#[test]
fn metrics_arrive_by_the_sql_exporter() {
    by_rows("sql-exporter", "localhost:9187", |place, database, port| {
        let configuration = read(docker("prometheus/other-exporters/sql-exporter.yml"));
        let here = configuration
            .replace(
                "/memory?host=/var/run/postgresql",
                &format!("/{}?host={}", database.name, database.cluster.socket()),
            )
            .replace("interval: 15s", "interval: 1s");
        assert_ne!(here, configuration);
        fs::write(place.join("sql-exporter.yml"), here).expect("a configuration is written");
        let mut command = Command::new(program("prometheus-sql-exporter"));
        command
            .arg("-config.file")
            .arg(place.join("sql-exporter.yml"))
            .args(["-web.listen-address", &format!("127.0.0.1:{port}")]);
        command
    });
}

/// The exporter hands the arguments of a URL to its program, for which they could be a command.
#[test]
fn a_scraper_cannot_add_a_command() {
    let cluster = cluster();
    let database = initialised(&cluster);
    let place = directory("arguments");
    let exporter = exporter(&place, &database);
    let (status, text) = get(exporter.port, "/proxy?module=memory");
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("memory_ext_info{"), "{text}");
    for arguments in [
        "args=-c&args=CREATE+TABLE+injected()",
        "params=x&args=-c&args=%5C!+touch+/tmp/injected",
    ] {
        let (status, text) = get(exporter.port, &format!("/proxy?module=memory&{arguments}"));
        assert_eq!(status, 500, "{text}");
        assert!(!text.contains("memory_ext_info"), "{text}");
    }
    assert!(!Path::new("/tmp/injected").exists());
    assert_eq!(
        database.connect().one::<i64>(
            "SELECT count(*) FROM pg_class WHERE relname = 'injected'",
            &[]
        ),
        0
    );
}

#[test]
fn scripts_say_metrics_and_readiness() {
    let cluster = cluster();
    let database = initialised(&cluster);
    let (good, text) = output(&mut script("memory-metrics.sh", &database, "metrics"));
    assert!(good, "{text}");
    assert!(text.ends_with('\n') && !text.ends_with("\n\n"), "{text}");
    assert!(output(&mut script("memory-ready.sh", &database, "postgres")).0);

    // In a schema of its own.
    let moved = cluster.empty_database();
    moved.connect().run("CREATE SCHEMA \"Own\"; CREATE EXTENSION vector; CREATE EXTENSION memory_ext SCHEMA \"Own\"");
    assert!(
        !output(&mut script("memory-ready.sh", &moved, "postgres")).0,
        "before init"
    );
    let (good, text) = output(&mut script("memory-metrics.sh", &moved, "postgres"));
    assert!(good && text.contains("\nmemory_store_ready 0\n"), "{text}");
    moved.connect().run("SELECT \"Own\".memory_init()");
    assert!(output(&mut script("memory-ready.sh", &moved, "postgres")).0);
    assert!(output(&mut script("memory-metrics.sh", &moved, "postgres")).0);

    // Of a release before, which the new library serves until ALTER EXTENSION; it has no metrics.
    let old = cluster.empty_database();
    old.connect()
        .run("CREATE EXTENSION memory_ext VERSION '1.1.0' CASCADE");
    assert!(
        !output(&mut script("memory-ready.sh", &old, "postgres")).0,
        "before init"
    );
    old.connect().run("SELECT memory_init()");
    let (good, text) = output(&mut script("memory-ready.sh", &old, "postgres"));
    assert!(good && text.is_empty(), "{text}");
    assert!(!output(&mut script("memory-metrics.sh", &old, "postgres")).0);

    // Without a right, without the extension, without a server.
    cluster.role("nobody");
    let (good, text) = output(&mut script("memory-metrics.sh", &database, "nobody"));
    assert!(!good && text.contains("pg_monitor"), "{text}");
    let plain = cluster.empty_database();
    for name in ["memory-ready.sh", "memory-metrics.sh"] {
        let (good, text) = output(&mut script(name, &plain, "postgres"));
        let says = format!("database {} has no extension memory_ext\n", plain.name);
        assert!(!good && text.ends_with(&says), "{name}: {text}");
    }
    cluster.stop("fast");
    assert!(!output(&mut script("memory-ready.sh", &database, "postgres")).0);
    assert!(!output(&mut script("memory-metrics.sh", &database, "metrics")).0);
}

/// The settings of memory_ext in a file of docker/, by name.
fn settings_in(file: &str) -> BTreeMap<String, String> {
    let text = read(docker(file));
    text.lines()
        .map(str::trim)
        .filter_map(|line| match line.strip_prefix("- -c") {
            Some(argument) => argument.split_once('='),
            None => line.split_once(": "),
        })
        .filter(|(name, _)| name.starts_with("memory_ext."))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Without these, two alerts never fire, and no encrypted backup is made.
#[test]
fn settings_of_containers_are_taken_by_a_server_and_a_backup_is_made() {
    let of_set = settings_in("kubernetes/statefulset.yaml");
    for file in ["compose.yml", "kubernetes/cloudnative-pg.yaml"] {
        let settings = settings_in(file);
        for name in ["maintenance_interval", "recall_check_interval"] {
            let name = format!("memory_ext.{name}");
            assert_eq!(settings.get(&name), Some(&of_set[&name]), "{file}: {name}");
        }
        assert!(
            settings.contains_key("memory_ext.backup_key_file"),
            "{file}"
        );
    }
    assert_eq!(
        settings_in("compose.yml")["memory_ext.backup_directory"],
        of_set["memory_ext.backup_directory"]
    );

    let cluster = Cluster::start(Options {
        preload: true,
        settings: vec!["memory_ext.naptime = '1s'"],
    });
    // Elsewhere in this server's world; the key is the one that is made for containers.
    let place = directory("backup-key");
    let (good, said) = output(Command::new(docker("scripts/make-secrets.sh")).arg(&place));
    assert!(good, "{said}");
    let key = cluster.directory().join("backup.key");
    fs::copy(place.join("backup_key"), &key).expect("the key is copied");
    let database = initialised(&cluster);
    let mut sql = database.connect();
    // Before the first check, as the second is hours later.
    sql.run("SELECT memory_add('the ferry leaves at noon'); SELECT memory_add('the tide turns at three')");
    for (name, value) in &of_set {
        let here = match name.as_str() {
            "memory_ext.backup_directory" => cluster.directory().display().to_string(),
            "memory_ext.backup_key_file" => key.display().to_string(),
            _ => value.clone(),
        };
        cluster.admin(&format!("ALTER SYSTEM SET {name} = '{here}'"));
    }
    cluster.reload();
    wait_until("both have a metric", || {
        let given: String = sql.one("SELECT memory_metrics()", &[]);
        ["\nmemory_integrity_issues 0\n", "\nmemory_recall_ratio "]
            .iter()
            .all(|metric| given.contains(metric))
    });
    sql.run("SELECT memory_backup('of-a-container')");
    sql.run("SELECT memory_backup_verify('of-a-container')");
    assert!(cluster.directory().join("of-a-container").is_file());
}

/// docker/init: whoever scrapes can do nothing else, and its password is in no log.
#[test]
fn the_role_that_scrapes_may_do_nothing_else() {
    let cluster = Cluster::start(Options {
        preload: true,
        settings: vec!["log_statement = 'all'", "log_min_duration_statement = 0"],
    });
    let database = cluster.empty_database();
    let copy = cluster.directory().join("init.sql");
    fs::copy(docker("init/10-memory.sql"), &copy).expect("the script is copied");
    let secret = cluster.directory().join("metrics_password");
    fs::write(&secret, "it's-a-\"secret\"\n").expect("a password");
    let (good, said) = output(
        cluster
            .client("psql", &database.name)
            .env("METRICS_PASSWORD_FILE", &secret)
            .args(["-X", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(&copy),
    );
    assert!(good, "{said}");
    assert!(!cluster.log().contains("secret"), "{}", cluster.log());

    let mut admin = database.connect();
    assert_eq!(
        admin.one::<String>(
            "SELECT tableowner::text FROM pg_tables WHERE tablename = 'memories'",
            &[]
        ),
        "memory_owner"
    );
    assert!(!admin.one::<bool>(
        "SELECT rolcanlogin OR rolsuper FROM pg_roles WHERE rolname = 'memory_owner'",
        &[]
    ));
    assert!(admin.one::<bool>(
        "SELECT rolpassword LIKE 'SCRAM-SHA-256$%' FROM pg_authid WHERE rolname = 'metrics'",
        &[]
    ));
    let mut metrics = database.connect_as("metrics");
    assert!(
        !metrics
            .one::<String>("SELECT memory_metrics()", &[])
            .is_empty()
    );
    for statement in [
        "SELECT memory_add('x')",
        "SELECT memory_search('x')",
        "SELECT * FROM memories",
        "CREATE TABLE x ()",
    ] {
        metrics.refused(statement, &[]).is("42501");
    }
}
