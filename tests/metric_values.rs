//! What the metrics of a store say is so; and labels are bounded, whatever people make.

mod support;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use postgres::Client;
use serde_json::Value;
use support::exposition::Exposition;
use support::{Cluster, Database, Options, Sql, wait_until};

/// The worker visits nobody.
fn preloaded() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        Cluster::start(Options {
            preload: true,
            settings: vec![
                "memory_ext.databases = 'no_such_database'",
                "autovacuum = off",
            ],
        })
    })
}

fn store() -> Database<'static> {
    let database = preloaded().database();
    database.connect().run("SELECT memory_init()");
    database
}

fn scrape(sql: &mut Client) -> Exposition {
    let text: String = sql.one("SELECT memory_metrics()", &[]);
    Exposition::read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn plain(sql: &mut Client, name: &str) -> Option<f64> {
    scrape(sql).value(name, &[])
}

fn by(sql: &mut Client, name: &str, label: &str, value: &str) -> f64 {
    scrape(sql)
        .value(name, &[(label, value)])
        .unwrap_or_else(|| panic!("{name} of {label} {value}"))
}

fn seconds(sql: &mut Client) -> f64 {
    sql.one("SELECT extract(epoch FROM clock_timestamp())::float8", &[])
}

/// What a session has done is in the server's statistics.
fn flush(sql: &mut Client) {
    sql.run("SELECT pg_stat_force_next_flush()");
    sql.run("SELECT pg_stat_clear_snapshot()");
}

#[test]
fn seals_are_counted_and_what_is_not_sealed() {
    let mut sql = store().connect();
    assert_eq!(plain(&mut sql, "memory_last_seal_timestamp_seconds"), None);
    sql.run("SELECT memory_add('x', id => 'x'); SELECT memory_update('x', 'y'); SELECT memory_update('x', 'z')");
    let unsealed: f64 = sql.one("SELECT ((SELECT count(*) FROM memory_events) + (SELECT count(*) FROM memory_history))::float8", &[]);
    assert!(unsealed >= 2.0);
    assert_eq!(plain(&mut sql, "memory_unsealed_rows"), Some(unsealed));

    // A caller's own mistake is his.
    sql.run("BEGIN ISOLATION LEVEL REPEATABLE READ");
    sql.refused("SELECT * FROM memory_audit_seal()", &[])
        .is("25001");
    sql.run("ROLLBACK");
    assert_eq!(by(&mut sql, "memory_seals_total", "result", "error"), 0.0);
    assert_eq!(by(&mut sql, "memory_seals_total", "result", "ok"), 0.0);

    let before = seconds(&mut sql);
    sql.run("SELECT * FROM memory_audit_seal()");
    let after = seconds(&mut sql);
    assert_eq!(by(&mut sql, "memory_seals_total", "result", "ok"), 1.0);
    assert_eq!(by(&mut sql, "memory_seals_total", "result", "error"), 0.0);
    let sealed = plain(&mut sql, "memory_last_seal_timestamp_seconds").expect("a time");
    assert!(
        (before - 0.01..=after + 0.01).contains(&sealed),
        "{before} {sealed} {after}"
    );
    assert_eq!(plain(&mut sql, "memory_unsealed_rows"), Some(0.0));
    sql.run("SELECT memory_update('x', 'again')");
    assert!(plain(&mut sql, "memory_unsealed_rows") >= Some(1.0));
}

#[test]
fn the_newest_maintenance_is_told_of() {
    let mut sql = store().connect();
    sql.run("SELECT memory_add('memory ' || i) FROM generate_series(1, 5) i");
    assert_eq!(plain(&mut sql, "memory_integrity_issues"), None);
    assert_eq!(
        plain(&mut sql, "memory_maintenance_last_run_timestamp_seconds"),
        None
    );
    let before = seconds(&mut sql);
    sql.run("SELECT memory_maintenance()");
    let after = seconds(&mut sql);
    assert_eq!(plain(&mut sql, "memory_integrity_issues"), Some(0.0));
    let ended = plain(&mut sql, "memory_maintenance_last_run_timestamp_seconds").expect("a time");
    assert!(
        (before - 0.01..=after + 0.01).contains(&ended),
        "{before} {ended} {after}"
    );

    // A vector of another text.
    sql.run("SET session_replication_role = replica; UPDATE memories SET embedded_hash = sha256('x') WHERE content = 'memory 3'; RESET session_replication_role");
    sql.run("SELECT memory_maintenance()");
    let found: i64 = sql.one("SELECT issues_found FROM memory_maintenance_runs WHERE operation = 'check_integrity' ORDER BY run_id DESC LIMIT 1", &[]);
    assert!(found > 0);
    assert_eq!(
        plain(&mut sql, "memory_integrity_issues"),
        Some(found as f64)
    );
}

#[test]
fn sizes_and_rows_are_those_of_the_server() {
    let mut sql = store().connect();
    sql.run("SELECT memory_add('memory ' || i) FROM generate_series(1, 40) i; ANALYZE memories");
    sql.run("UPDATE memories SET importance = 0.9");
    flush(&mut sql);
    assert_eq!(
        by(&mut sql, "memory_dead_rows", "table", "memories"),
        sql.one::<f64>(
            "SELECT n_dead_tup::float8 FROM pg_stat_user_tables WHERE relname = 'memories'",
            &[]
        )
    );
    assert!(by(&mut sql, "memory_dead_rows", "table", "memories") >= 40.0);
    assert_eq!(by(&mut sql, "memory_rows", "table", "memories"), 40.0);
    assert_eq!(
        by(&mut sql, "memory_table_bytes", "table", "memories"),
        sql.one::<f64>("SELECT pg_table_size('memories')::float8", &[])
    );
    assert_eq!(
        by(&mut sql, "memory_index_bytes", "index", "memories_pkey"),
        sql.one::<f64>("SELECT pg_relation_size('memories_pkey')::float8", &[])
    );

    // No size of former times.
    sql.run("SELECT memory_forget(before => 'infinity', reason => 'test')");
    flush(&mut sql);
    assert_eq!(by(&mut sql, "memory_rows", "table", "memories"), 0.0);
    // What was counted is lost, as after a crash.
    sql.run("SELECT memory_add('memory ' || i) FROM generate_series(1, 40) i; ANALYZE memories");
    flush(&mut sql);
    sql.run("SELECT pg_stat_reset(); SELECT memory_add('one more')");
    flush(&mut sql);
    let rows = by(&mut sql, "memory_rows", "table", "memories");
    assert!((40.0..=41.0).contains(&rows), "{rows}");
    sql.run("TRUNCATE memories CASCADE");
    flush(&mut sql);
    assert_eq!(by(&mut sql, "memory_rows", "table", "memories"), 0.0);
}

#[test]
fn errors_of_no_usual_class_are_other() {
    let mut sql = store().connect();
    sql.run(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '21000'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT ON memories FOR EACH ROW EXECUTE FUNCTION refuse()",
    );
    sql.refused("SELECT memory_add('x')", &[]).is("21000");
    assert_eq!(
        by(&mut sql, "memory_errors_total", "sqlstate_class", "other"),
        1.0
    );
    let found = scrape(&mut sql);
    let classes = found.family("memory_errors_total").expect("there");
    assert!(
        classes
            .samples
            .iter()
            .all(|sample| sample.labels["sqlstate_class"] != "21")
    );
}

/// Every label with its values.
fn labels(found: &Exposition) -> BTreeSet<String> {
    let samples = found.families.iter().flat_map(|family| &family.samples);
    samples
        .flat_map(|sample| {
            sample
                .labels
                .iter()
                .map(|(label, value)| format!("{label}={value}"))
        })
        .collect()
}

#[test]
fn labels_are_bounded_whatever_people_make() {
    let mut sql = store().connect();
    sql.run("SELECT memory_add('x'); SELECT memory_count()");
    // Once more, so that its own name is among the operations.
    scrape(&mut sql);
    let before = labels(&scrape(&mut sql));
    assert!(!before.contains("index=other"));
    let made: Vec<String> = sql.column(
        "SELECT i.relname::text FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid JOIN pg_class c ON c.oid = x.indrelid
         WHERE c.relnamespace = 'public'::regnamespace",
        &[],
    );
    let shown: BTreeSet<&str> = before
        .iter()
        .filter_map(|label| label.strip_prefix("index="))
        .collect();
    assert_eq!(
        shown,
        made.iter().map(String::as_str).collect(),
        "every index that the extension makes has its name"
    );

    sql.run(
        "DO $$ BEGIN FOR i IN 1..30 LOOP
             EXECUTE format('CREATE INDEX own_%s ON memories (agent_id)', i);
             EXECUTE format('ALTER TABLE vote_history ADD CONSTRAINT own_too_%s UNIQUE (id)', i);
             EXECUTE format('CREATE TABLE own_table_%s (id text PRIMARY KEY)', i);
             BEGIN PERFORM memory_add('x', memory_type => 'type_' || i); EXCEPTION WHEN OTHERS THEN NULL; END;
             PERFORM memory_add('x', namespace => 'n' || i, agent_id => 'a' || i, project_id => 'p' || i);
         END LOOP; END $$",
    );
    let after = scrape(&mut sql);
    let more: Vec<String> = labels(&after).difference(&before).cloned().collect();
    assert_eq!(more, ["index=other"]);
    let expected: f64 = sql.one("SELECT sum(pg_relation_size(oid))::float8 FROM pg_class WHERE relkind = 'i' AND (relname LIKE 'own\\__' OR relname LIKE 'own\\___' OR relname LIKE 'own\\_too%')", &[]);
    assert_eq!(
        after.value("memory_index_bytes", &[("index", "other")]),
        Some(expected)
    );

    let functions: BTreeSet<String> = sql
        .column::<String>(
            "SELECT proname::text FROM pg_proc WHERE proname LIKE 'memory\\_%'",
            &[],
        )
        .into_iter()
        .collect();
    for label in labels(&after) {
        if let Some(operation) = label.strip_prefix("operation=") {
            assert!(
                functions.contains(&format!("memory_{operation}")),
                "{operation}"
            );
        }
    }
}

#[test]
fn connections_are_those_of_clients() {
    let cluster = Cluster::start(Options {
        preload: true,
        settings: vec![
            "memory_ext.naptime = '1h'",
            "max_connections = 30",
            "superuser_reserved_connections = 4",
            "reserved_connections = 2",
        ],
    });
    let database = cluster.database();
    let mut sql = database.connect();
    let _others: Vec<Client> = (0..5).map(|_| database.connect()).collect();
    sql.run("BEGIN");
    let clients: f64 = sql.one(
        "SELECT count(*)::float8 FROM pg_stat_activity WHERE backend_type = 'client backend'",
        &[],
    );
    assert_eq!(plain(&mut sql, "memory_db_connections"), Some(clients));
    let health: Value = sql.one("SELECT memory_health() -> 'db_health'", &[]);
    assert_eq!(health["connections"].as_f64(), Some(clients));
    sql.run("COMMIT");
    assert_eq!(clients, 6.0);
    assert_eq!(plain(&mut sql, "memory_db_connections_max"), Some(30.0));
    assert_eq!(plain(&mut sql, "memory_db_connections_reserved"), Some(6.0));
    assert_eq!(health["reserved_connections"], 6);
}

#[test]
fn what_could_not_be_counted_is_told() {
    let database = store();
    let (mut holder, mut sql) = (database.connect(), database.connect());
    let failed = |sql: &mut Client, project: &str| -> f64 {
        sql.one(
            &format!(
                "SELECT value FROM memory_stats({project}) WHERE name = 'memory_ext_scrape_errors'"
            ),
            &[],
        )
    };
    assert_eq!(failed(&mut sql, ""), 0.0);
    assert_eq!(failed(&mut sql, "'p'"), 0.0);
    sql.run("SET lock_timeout = '50ms'");
    holder.run("BEGIN; LOCK TABLE memories IN ACCESS EXCLUSIVE MODE");
    // Rows, memories, types.
    assert_eq!(failed(&mut sql, "'p'"), 3.0);
    let of_scrape = plain(&mut sql, "memory_ext_scrape_errors").expect("there");
    assert_eq!(failed(&mut sql, ""), of_scrape + 3.0);
}

fn working(settings: &[&'static str]) -> Cluster {
    let mut settings = settings.to_vec();
    settings.push("memory_ext.naptime = '1s'");
    Cluster::start(Options {
        preload: true,
        settings,
    })
}

#[test]
fn seals_that_the_worker_cannot_make_are_told_of() {
    let cluster = working(&[
        "memory_ext.seal_interval = '1s'",
        "memory_ext.audit_key_file = '/no/such/file'",
    ]);
    let database = cluster.database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('x', id => 'x'); SELECT memory_update('x', 'y')");
    let failures = |sql: &mut Client| by(sql, "memory_seals_total", "result", "error");
    let told = |sql: &mut Client| {
        let health: Value = sql.one("SELECT memory_health()", &[]);
        health["issues"].to_string().contains("could not seal")
    };
    wait_until("a failure", || failures(&mut sql) >= 1.0);
    let health: Value = sql.one("SELECT memory_health()", &[]);
    assert_eq!(health["status"], "degraded", "{health}");
    assert!(told(&mut sql), "{health}");
    assert_eq!(
        by(&mut sql, "memory_worker_runs_total", "result", "error"),
        0.0
    );

    cluster.configure("memory_ext.audit_key_file = ''");
    cluster.reload();
    wait_until("a seal", || {
        by(&mut sql, "memory_seals_total", "result", "ok") >= 1.0
    });
    assert!(!told(&mut sql));

    // Before it comes to sealing.
    let before = failures(&mut sql);
    sql.run("ALTER TABLE memory_audit_seals RENAME TO elsewhere");
    wait_until("another failure", || failures(&mut sql) > before);
    assert!(told(&mut sql));
    sql.run("ALTER TABLE elsewhere RENAME TO memory_audit_seals; SELECT memory_update('x', 'z')");
    wait_until("all is well", || !told(&mut sql));
}

#[test]
fn what_fails_to_measure_recall_undoes_no_expiry() {
    let cluster = working(&["memory_ext.recall_check_interval = '1s'"]);
    let database = cluster.database();
    let mut sql = database.connect();
    let checks = |sql: &mut Client, result| by(sql, "memory_recall_checks_total", "result", result);
    sql.run("SELECT memory_add('memory ' || i) FROM generate_series(1, 20) i");
    wait_until("recall is measured", || checks(&mut sql, "ok") >= 1.0);
    assert_eq!(checks(&mut sql, "error"), 0.0);

    sql.run("ALTER FUNCTION l2_normalize(vector) RENAME TO elsewhere");
    wait_until("it cannot be measured", || checks(&mut sql, "error") >= 1.0);
    sql.run("SELECT memory_add('ends', id => 'ends', ttl => '1 hour'); UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = 'ends'");
    wait_until("what is over goes", || {
        !sql.one::<bool>(
            "SELECT EXISTS (SELECT FROM memories WHERE id = 'ends')",
            &[],
        )
    });
    let failed = checks(&mut sql, "error");
    wait_until("it is tried again", || checks(&mut sql, "error") > failed);
    assert_eq!(
        by(&mut sql, "memory_worker_runs_total", "result", "error"),
        0.0
    );
    sql.run("ALTER FUNCTION elsewhere(vector) RENAME TO l2_normalize");
    let measured = checks(&mut sql, "ok");
    wait_until("recall is measured again", || {
        checks(&mut sql, "ok") > measured
    });
}
