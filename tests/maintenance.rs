//! Rounds of maintenance: their report, who may begin one, the worker.

mod support;

use serde_json::{Value, json};
use support::calls::{READING, READING_1_1, WRITING, call};
use support::catalog::offers;
use support::integrity::{assert_healthy, fill, filled, leave_behind, vector_index, wrong};
use support::{Options, Sql, cluster, granted, release, role, store_hash};

fn operations(report: &Value) -> Vec<&str> {
    let reports = report["reports"].as_array().expect("reports");
    reports
        .iter()
        .map(|report| report["operation"].as_str().expect("an operation"))
        .collect()
}

#[test]
fn mt_1_the_report_has_the_shape_of_the_guide() {
    let mut sql = filled().connect();
    let report: Value = sql.one("SELECT memory_maintenance(full => true)", &[]);
    let run = &report["maintenance_run"];
    assert_eq!(
        operations(&report),
        [
            "check_integrity",
            "validate_vectors",
            "cleanup_orphans",
            "expire",
            "rebuild_index",
            "analyze"
        ]
    );
    assert_eq!(run["operations"], json!(operations(&report)));
    assert_eq!(
        (
            &run["full"],
            &run["dry_run"],
            &run["failed"],
            &run["issues_found"],
            &run["issues_resolved"],
            &run["role"]
        ),
        (
            &json!(true),
            &json!(false),
            &json!(0),
            &json!(0),
            &json!(0),
            &json!("postgres")
        )
    );
    let mut last = run["started_at"].as_str().expect("a time").to_owned();
    for report in report["reports"].as_array().expect("reports") {
        let mut keys: Vec<&str> = report
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "actions_taken",
                "completed_at",
                "errors",
                "issues_found",
                "issues_resolved",
                "metadata",
                "operation",
                "recommendations",
                "started_at"
            ]
        );
        for name in ["actions_taken", "errors", "recommendations"] {
            assert!(report[name].is_array(), "{report}");
        }
        assert!(report["metadata"].is_object(), "{report}");
        assert_eq!(report["errors"], json!([]), "{report}");
        for name in ["started_at", "completed_at"] {
            let time = report[name].as_str().expect("a time").to_owned();
            assert!(time >= last, "{report}");
            last = time;
        }
    }
    assert!(run["completed_at"].as_str().expect("a time") >= last.as_str());
    let checks = report["reports"][0]["metadata"]["checks"]
        .as_array()
        .expect("checks");
    assert_eq!(checks.len(), support::integrity::CHECKS.len());
    assert_eq!(
        report["reports"][4]["metadata"]["verification"]["found_itself"],
        34
    );
    assert!(sql.one::<bool>(
        "SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'memories'",
        &[]
    ));

    let usual: Value = sql.one("SELECT memory_maintenance()", &[]);
    assert_eq!(
        operations(&usual),
        [
            "check_integrity",
            "validate_vectors",
            "cleanup_orphans",
            "expire",
            "analyze"
        ]
    );
    let chosen: Value = sql.one(
        "SELECT memory_maintenance(operations => '{analyze,reembed}')",
        &[],
    );
    assert_eq!(operations(&chosen), ["analyze", "reembed"]);

    for (arguments, says) in [
        ("operations => '{vacuum}'", "unknown operation \"vacuum\""),
        ("operations => '{}'", "empty list"),
        ("operations => '{analyze,NULL}'", "NULL"),
        ("operations => '{analyze}', full => true", "full is true"),
    ] {
        sql.refused(&format!("SELECT memory_maintenance({arguments})"), &[])
            .is("22023")
            .says(says)
            .well_formed();
    }
}

#[test]
fn mt_1_an_operation_that_fails_does_not_stop_the_others() {
    let database = filled();
    let mut sql = database.connect();
    leave_behind(&mut sql);
    sql.run(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'kept by the user'; END $$;
         CREATE TRIGGER keep BEFORE DELETE ON embedding_cache FOR EACH ROW EXECUTE FUNCTION keep();
         SELECT memory_add('over', id => 'over-now', ttl => '1 hour'); UPDATE memories SET expires_at = now() - interval '1 minute' WHERE id = 'over-now'",
    );
    let report: Value = sql.one("SELECT memory_maintenance()", &[]);
    let reports = &report["reports"];
    assert_eq!(report["maintenance_run"]["failed"], 1, "{report}");
    assert_eq!(
        reports[0]["issues_found"], 6,
        "4 orphans, a secret in the cache, a successor: {report}"
    );
    assert_eq!(
        reports[0]["recommendations"].as_array().map(Vec::len),
        Some(3),
        "{report}"
    );
    assert_eq!(
        reports[2]["errors"],
        json!(["P0001: kept by the user"]),
        "{report}"
    );
    assert_eq!(reports[2]["issues_resolved"], 0, "{report}");
    assert_eq!(
        (&reports[3]["issues_resolved"], &reports[3]["actions_taken"]),
        (
            &json!(1),
            &json!(["removed 1 expired memories and old tombstones"])
        ),
        "{report}"
    );
    assert_eq!(reports[4]["errors"], json!([]), "{report}");
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM vote_history WHERE memory_id = 'ghost'",
            &[]
        ),
        2,
        "what failed was undone as a whole"
    );

    sql.run("DROP TRIGGER keep ON embedding_cache");
    let report: Value = sql.one(
        "SELECT memory_maintenance(operations => '{cleanup_orphans,check_integrity}')",
        &[],
    );
    assert_eq!(
        (
            &report["reports"][0]["issues_found"],
            &report["reports"][0]["issues_resolved"]
        ),
        (&json!(16), &json!(15)),
        "all but an alias: {report}"
    );
    assert_eq!(report["reports"][1]["issues_found"], 0, "{report}");
}

#[test]
fn mt_1_checks_report_what_the_store_lacks_and_what_would_change_it_is_refused() {
    let mut sql = filled().connect();
    sql.run("DROP TRIGGER memory_after_delete ON memories; DROP INDEX ix_memories_embedding_hnsw");
    let report: Value = sql.one("SELECT memory_maintenance(full => true)", &[]);
    let reports = &report["reports"];
    assert_eq!(reports[0]["issues_found"], 2, "{report}");
    for operation in [2, 3, 4, 5] {
        let error = reports[operation]["errors"][0].as_str().unwrap_or_default();
        assert!(
            error.starts_with("55000: the memory store lacks trigger memory_after_delete"),
            "{report}"
        );
    }
    sql.run("SELECT memory_migrate()");
    let report: Value = sql.one("SELECT memory_maintenance('{rebuild_index}')", &[]);
    assert_eq!(
        (
            &report["reports"][0]["issues_found"],
            &report["reports"][0]["issues_resolved"]
        ),
        (&json!(1), &json!(1)),
        "the index was missing: {report}"
    );
    assert_healthy(&mut sql);
}

#[test]
fn a_dry_run_of_maintenance_changes_nothing() {
    let mut sql = filled().connect();
    leave_behind(&mut sql);
    sql.run("SELECT memory_add('over', id => 'over-now', ttl => '1 hour'); UPDATE memories SET expires_at = now() - interval '1 minute' WHERE id = 'over-now'; DROP INDEX ix_memories_embedding_hnsw");
    let before = store_hash(&mut sql);
    let report: Value = sql.one(
        "SELECT memory_maintenance(full => true, dry_run => true)",
        &[],
    );
    assert_eq!(report["maintenance_run"]["dry_run"], true);
    assert_eq!(report["maintenance_run"]["issues_resolved"], 0, "{report}");
    assert_eq!(report["reports"][2]["issues_found"], 16, "{report}");
    assert_eq!(report["reports"][3]["issues_found"], 1, "{report}");
    assert_eq!(report["reports"][4]["issues_found"], 1, "{report}");
    assert_eq!(store_hash(&mut sql), before);
    assert_eq!(vector_index(&mut sql), None);
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_maintenance_history()", &[]),
        0
    );
    let report: Value = sql.one(
        "SELECT memory_maintenance('{reembed}', dry_run => true)",
        &[],
    );
    assert_eq!(report["reports"][0]["issues_found"], 0, "{report}");
}

#[test]
fn mt_1_reports_are_kept() {
    let mut sql = filled().connect();
    let first: Value = sql.one("SELECT memory_maintenance('{analyze}')", &[]);
    let second: Value = sql.one(
        "SELECT memory_maintenance('{check_integrity,cleanup_orphans}')",
        &[],
    );
    let rows = sql
        .query("SELECT operation, role, issues_found, issues_resolved, report, completed_at >= started_at FROM memory_maintenance_history()", &[])
        .expect("history");
    let kept: Vec<(String, Value)> = rows.iter().map(|row| (row.get(0), row.get(4))).collect();
    assert_eq!(
        kept,
        [
            ("cleanup_orphans".to_owned(), second["reports"][1].clone()),
            ("check_integrity".to_owned(), second["reports"][0].clone()),
            ("analyze".to_owned(), first["reports"][0].clone())
        ]
    );
    assert!(rows.iter().all(|row| row.get::<_, &str>(1) == "postgres"
        && row.get::<_, i64>(2) == 0
        && row.get::<_, i64>(3) == 0
        && row.get::<_, bool>(5)));
    assert_eq!(
        sql.column::<String>("SELECT operation FROM memory_maintenance_history(1)", &[]),
        ["cleanup_orphans"]
    );
    for page in [0, 10_001] {
        sql.refused(
            &format!("SELECT * FROM memory_maintenance_history({page})"),
            &[],
        )
        .is("22023")
        .says("page_size")
        .well_formed();
    }
}

/// A call of every function here.
const CALLS: &[&str] = &[
    "SELECT * FROM memory_check_integrity()",
    "SELECT * FROM memory_validate_vectors()",
    "SELECT * FROM memory_recall_check()",
    "SELECT * FROM memory_cleanup_orphans()",
    "SELECT * FROM memory_cleanup_orphans(dry_run => false)",
    "SELECT memory_reembed()",
    "SELECT memory_rebuild_index()",
    "SELECT memory_rebuild_script()",
    "SELECT memory_maintenance(full => true)",
    "SELECT * FROM memory_maintenance_history()",
];

#[test]
fn only_the_owner_and_admins_of_everything_look_after_the_store() {
    let database = filled();
    let mut owner = database.connect();
    let (_, reader) = granted(&database, "*", "read", None);
    let (_, writer) = granted(&database, "*", "write", None);
    let (_, bound) = granted(&database, "*", "write", Some("agent"));
    let (_, admin) = granted(&database, "default", "admin", None);
    let stranger = database.connect_as(&role());
    let before = store_hash(&mut owner);
    for (place, mut client) in [reader, writer, bound, admin, stranger]
        .into_iter()
        .enumerate()
    {
        for call in CALLS {
            // The recall is a project's.
            if place == 3 && call.contains("recall") {
                client.run(call);
                continue;
            }
            client
                .refused(call, &[])
                .is("42501")
                .says("admin")
                .hints("memory_grant")
                .well_formed();
        }
    }
    assert_eq!(store_hash(&mut owner), before);
    let (_, mut everywhere) = granted(&database, "*", "admin", None);
    for call in CALLS {
        everywhere.run(call);
        owner.run(call);
    }
    assert_healthy(&mut everywhere);
    // An admin of a project looks after that project.
    let (_, mut other) = granted(&database, "other", "admin", None);
    other.run("SELECT memory_reembed(project_id => 'other'); SELECT * FROM memory_check_integrity('other'); SELECT * FROM memory_validate_vectors('other'); SELECT * FROM memory_recall_check(project_id => 'other')");
    other
        .refused("SELECT memory_reembed(project_id => 'default')", &[])
        .is("42501");
}

#[test]
fn without_a_store_or_with_an_older_one_each_says_what_to_run() {
    let mut sql = cluster().database().connect();
    for call in CALLS {
        sql.refused(call, &[])
            .is("55000")
            .hints("memory_init")
            .well_formed();
    }
    sql.run("SELECT memory_init()");
    for number in [1, 2] {
        sql.run(&format!(
            "DELETE FROM memory_migrations WHERE number > {number}"
        ));
        let mut other =
            cluster().connect(&sql.one::<String>("SELECT current_database()::text", &[]));
        for call in CALLS {
            other
                .refused(call, &[])
                .is("55000")
                .says("2.0.0")
                .hints("memory_migrate")
                .well_formed();
        }
        sql.run("SELECT memory_migrate()");
    }
    for call in CALLS {
        sql.run(call);
    }
    // A store of the release before, as it was made then.
    let database = release::old_database(cluster());
    let mut old = database.connect();
    old.run("SELECT memory_init()");
    let mut newer = database.connect();
    newer.run("ALTER EXTENSION memory_ext UPDATE");
    for call in CALLS {
        newer.run(call);
    }
    assert_healthy(&mut newer);
}

#[test]
fn every_function_works_for_an_ordinary_owner_in_any_schema_under_any_search_path() {
    for (schema, vector) in [
        ("memory", "public"),
        ("\"Mem ory\"", "\"Vec tor\""),
        ("\"a\"\"b\"", "\"sel.ect\""),
    ] {
        let database = cluster().empty_database();
        let keeper = role();
        let mut superuser = database.connect();
        superuser.run(&format!(
            "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE SCHEMA IF NOT EXISTS {vector}"
        ));
        if offers(&mut superuser, "amcheck") {
            superuser.run(&format!("CREATE EXTENSION amcheck SCHEMA {vector}"));
        }
        superuser.run(&format!(
            "CREATE EXTENSION vector SCHEMA {vector}; CREATE EXTENSION memory_ext SCHEMA {schema};
             GRANT USAGE, CREATE ON SCHEMA {schema} TO {keeper}; GRANT USAGE ON SCHEMA {vector} TO {keeper}; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {vector} TO {keeper}"
        ));
        let mut owner = database.connect_as(&keeper);
        owner.run(&format!("SET search_path = {schema}"));
        fill(&mut owner);
        superuser.run(&format!(
            "CREATE SCHEMA evil; GRANT USAGE, CREATE ON SCHEMA evil TO PUBLIC;
             CREATE FUNCTION evil.trap(a text, b text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
             CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.trap); CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.trap);
             CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by now'; END $$;
             CREATE FUNCTION evil.random() RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by random'; END $$;
             CREATE FUNCTION evil.to_regtype(text) RETURNS regtype LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by to_regtype'; END $$;
             CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by clock_timestamp'; END $$;
             CREATE FUNCTION evil.l2_normalize({vector}.vector) RETURNS {vector}.vector LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by l2_normalize'; END $$;
             CREATE TABLE evil.memories (id int); CREATE TABLE evil.vote_history (id int); CREATE TABLE evil.pg_class (oid int); CREATE VIEW evil.pg_roles AS SELECT 1 AS rolname"
        ));
        for path in ["evil, pg_catalog", "''"] {
            for client in [&mut owner, &mut superuser] {
                client.run(&format!("SET search_path = {path}; DROP TABLE IF EXISTS pg_temp.memories; CREATE TEMP TABLE memories (id int)"));
                for call in CALLS {
                    client.run(&call.replace("memory_", &format!("{schema}.memory_")));
                }
                let wrong: Vec<String> = client.column(
                    &format!("SELECT check_name OPERATOR(pg_catalog.||) details::pg_catalog.text FROM {schema}.memory_check_integrity() WHERE issues OPERATOR(pg_catalog.<>) 0"),
                    &[],
                );
                assert_eq!(wrong, [""; 0], "{schema} {path}");
            }
        }
        let owners: Vec<String> = superuser.column(
            "SELECT DISTINCT pg_catalog.pg_get_userbyid(relowner)::text FROM pg_catalog.pg_class WHERE relname OPERATOR(pg_catalog.=) 'ix_memories_embedding_hnsw'",
            &[],
        );
        assert_eq!(owners, [keeper]);
    }
}

#[test]
fn others_work_while_the_store_is_checked() {
    let database = filled();
    let mut sql = database.connect();
    sql.run("BEGIN; SELECT * FROM memory_check_integrity(); SELECT * FROM memory_validate_vectors(); SELECT * FROM memory_recall_check()");
    let mut other = database.connect();
    other.run("SET lock_timeout = '2s'");
    for template in [READING, READING_1_1, WRITING].concat() {
        // What is tested is that nobody waits.
        if let Err(error) = other.query(&call(template, "n1", Some("agent"), "default"), &[]) {
            assert_ne!(
                error.code().map(|code| code.code()),
                Some("55P03"),
                "{template}"
            );
        }
    }
    sql.run("COMMIT");
}

#[test]
fn a_preloaded_server_maintains_its_stores() {
    let cluster = support::Cluster::start(Options {
        preload: true,
        settings: vec![
            "memory_ext.naptime = '1s'",
            "memory_ext.maintenance_interval = '2s'",
        ],
    });
    let database = cluster.database();
    let mut sql = database.connect();
    fill(&mut sql);
    leave_behind(&mut sql);
    support::wait_until("two rounds are kept", || {
        sql.one::<i64>(
            "SELECT count(*) FROM memory_maintenance_history() WHERE operation = 'check_integrity'",
            &[],
        ) >= 2
    });
    let rounds: Vec<String> = sql.column(
        "SELECT DISTINCT operation FROM memory_maintenance_history() ORDER BY 1",
        &[],
    );
    assert_eq!(rounds, ["check_integrity", "cleanup_orphans"]);
    support::wait_until("what was orphaned is gone", || wrong(&mut sql).is_empty());
    assert!(sql.one::<bool>(
        "SELECT sum(issues_resolved) > 5 FROM memory_maintenance_history()",
        &[]
    ));
    let early: i64 = sql.one(
        "SELECT count(*) FROM (SELECT started_at - lag(started_at) OVER (ORDER BY started_at) AS pause FROM memory_maintenance_history(1000) WHERE operation = 'check_integrity') p WHERE pause < interval '2 seconds'",
        &[],
    );
    assert_eq!(early, 0, "not more often than asked for");
    assert!(
        cluster.log().contains("memory_ext maintenance: "),
        "{}",
        cluster.log()
    );
}
