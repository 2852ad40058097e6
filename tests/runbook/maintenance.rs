//! docs/maintenance.md

use std::collections::BTreeMap;
use std::fs;

use postgres::Client;
use serde_json::Value;

use super::backup::{bring_back, run_crontab};
use super::desk::{Desk, objects, records};
use super::section::{Section, sections};
use super::store::{assert_alive, assert_indexed, cluster, filled};
use crate::support::catalog::{files, offers};
use crate::support::{Database, Sql, wait_until};

sections!("maintenance.md" {
    "Health" => health,
    "Check" => check,
    "Maintenance rounds" => mt_1_maintenance_rounds,
    "Rebuild the vector index" => rb_1_rebuild_the_vector_index,
    "Embed again" => embed_again,
    "Expired memories and dead rows" => expired_memories_and_dead_rows,
    "Data loss" => data_loss,
    "Out of space" => out_of_space,
    "Troubleshooting" => troubleshooting,
});

const INDEX: &str = "ix_memories_embedding_hnsw";

/// The line after a header.
fn after<'t>(text: &'t str, header: &str) -> &'t str {
    let mut lines = text.lines();
    lines
        .find(|line| *line == header)
        .unwrap_or_else(|| panic!("{header:?} is not in\n{text}"));
    lines.next().unwrap_or_default()
}

/// A vector that is not of its row's text, and one that is missing, as they come about when triggers are off.
fn make_vectors_wrong(sql: &mut Client) {
    sql.run(
        "ALTER TABLE memories DISABLE TRIGGER USER;
         UPDATE memories SET content = 'the anchor was lost at Hamnoy' WHERE id = 'note-1';
         UPDATE memories SET embedding = NULL, embedded_hash = NULL WHERE id = 'note-2';
         ALTER TABLE memories ENABLE TRIGGER USER",
    );
}

fn health(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    let text = section.take("sql");
    section.end();
    let report = desk.psql(&text).good();
    let counts = |report: &str| -> Vec<i64> {
        let found = objects(report);
        let vectors = found.iter().find(|object| object["waiting"].is_i64());
        let vectors = vectors.unwrap_or_else(|| panic!("no vectors in {report}"));
        ["rows", "waiting", "stale", "sensitive", "deleted"]
            .iter()
            .map(|name| vectors[name].as_i64().expect("a number"))
            .collect()
    };
    // 40 facts, 2 notes, odd, 2 private, 1 secret, 1 key, 1 that is outdated; then the expired and the deleted one.
    assert_eq!(counts(&report), [50, 0, 0, 1, 1]);
    assert_eq!(after(&report, "memories,keyed"), "48,1");
    assert_eq!(after(&report, "to_remove"), "1");
    assert!(report.contains("\nmemory_maintenance_runs,"), "{report}");
    assert!(report.contains("\"\"store\"\": \"\""), "{report}");

    make_vectors_wrong(&mut sql);
    sql.run("SELECT memory_expire()");
    let report = desk.psql(&text).good();
    assert_eq!(counts(&report), [49, 1, 1, 1, 1]);
    assert_eq!(after(&report, "to_remove"), "0");
}

const FINDINGS: &str = "check_name,status,issues,details";

fn check(mut section: Section) {
    let (database, desk) = filled(cluster());
    let text = section.take("sql");
    section.end();
    let report = desk.psql(&text).good();
    assert!(
        report.starts_with(&format!("{FINDINGS}\n{FINDINGS}\nvectors,ok,0,")),
        "nothing is wrong: {report}"
    );
    let recall = after(&report, "path,recall,worst,short,milliseconds");
    assert!(recall.starts_with("exact,1,1,0,"), "{recall}");

    // C18: what was changed behind the store's back is named.
    make_vectors_wrong(&mut database.connect());
    let report = desk.psql(&text).good();
    let wrong: Vec<Vec<String>> = records(&report)
        .into_iter()
        .take_while(|fields| fields[0] != "vectors")
        .collect();
    let issues = |check: &str| {
        let found = wrong.iter().find(|fields| fields[0] == check);
        found.map(|fields| (fields[1].as_str(), fields[2].as_str()))
    };
    for (check, id) in [
        ("embedding_missing", "note-2"),
        ("embedding_stale", "note-1"),
    ] {
        assert_eq!(
            issues(check).map(|(_, issues)| issues),
            Some("1"),
            "{check}: {report}"
        );
        let details = wrong.iter().find(|fields| fields[0] == check);
        assert!(
            details.is_some_and(|fields| fields[3].contains(id)),
            "{report}"
        );
    }
}

/// The use of a memory that is not there, as a table restored by itself has it.
fn leave_an_orphan(sql: &mut Client) {
    sql.run(
        "SET session_replication_role = replica;
         INSERT INTO memory_usage (memory_id, project_id, access_count, last_accessed_at) VALUES ('nobody', 'default', 1, now());
         RESET session_replication_role",
    );
}

/// What each report of the maintenance guide has.
const REPORT: [&str; 9] = [
    "actions_taken",
    "completed_at",
    "errors",
    "issues_found",
    "issues_resolved",
    "metadata",
    "operation",
    "recommendations",
    "started_at",
];

/// The operations of a report, each with the number of its errors.
pub fn operations(report: &Value) -> Vec<(String, usize)> {
    assert!(report["maintenance_run"].is_object(), "{report}");
    let reports = report["reports"].as_array().expect("reports");
    reports
        .iter()
        .map(|report| {
            let names: Vec<&String> = report.as_object().expect("an object").keys().collect();
            assert_eq!(names, REPORT);
            let errors = report["errors"].as_array().expect("errors").len();
            (
                report["operation"].as_str().expect("a name").to_owned(),
                errors,
            )
        })
        .collect()
}

fn mt_1_maintenance_rounds(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    leave_an_orphan(&mut sql);

    // The log for other programs has a report a line.
    section.run(&desk);
    let log = fs::read_to_string(desk.backup("maintenance_log.json")).expect("the log");
    let reports: Vec<Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let usual = [
        "check_integrity",
        "validate_vectors",
        "cleanup_orphans",
        "expire",
        "analyze",
    ];
    let ran = |report: &Value| -> Vec<String> {
        let operations = operations(report);
        assert!(
            operations.iter().all(|(_, errors)| *errors == 0),
            "{report}"
        );
        operations.into_iter().map(|(name, _)| name).collect()
    };
    assert_eq!(reports.len(), 2, "{log}");
    assert_eq!(ran(&reports[0]), usual);
    assert_eq!(
        ran(&reports[1]),
        [&usual[..4], &["rebuild_index"], &usual[4..]].concat()
    );
    assert_eq!(reports[0]["reports"][2]["issues_resolved"], 1, "{log}");
    assert_eq!(reports[0]["reports"][3]["issues_resolved"], 1, "{log}");
    assert_eq!(reports[1]["maintenance_run"]["issues_found"], 0, "{log}");

    // Single operations, and what was kept of all.
    let report = section.run(&desk);
    let single: Vec<Vec<String>> = objects(&report).iter().map(ran).collect();
    assert_eq!(
        single,
        [
            ["check_integrity"],
            ["validate_vectors"],
            ["cleanup_orphans"]
        ]
    );
    let history: Vec<String> = records(&report)
        .into_iter()
        .skip_while(|fields| fields[0] != "operation")
        .skip(1)
        .map(|fields| fields[0].clone())
        .collect();
    assert_eq!(history.len(), 10, "{report}");
    assert_eq!(
        history[..2],
        ["validate_vectors", "check_integrity"],
        "a dry run is not kept"
    );

    // By schedule.
    section.run(&desk);
    wait_until("the setting is there", || {
        database.connect().one::<String>(
            "SELECT current_setting('memory_ext.maintenance_interval', true)",
            &[],
        ) == "1d"
    });
    sql.run("ALTER SYSTEM RESET memory_ext.maintenance_interval");
    sql.run("SELECT pg_reload_conf()");
    let crontab = section.take("cron");
    assert_eq!(run_crontab(&desk, &crontab), "");
    // In the place of pg_cron, which this server may not have: what is scheduled is done at once.
    sql.run("CREATE SCHEMA cron; CREATE FUNCTION cron.schedule(job_name text, schedule text, command text) RETURNS bigint LANGUAGE plpgsql AS 'BEGIN EXECUTE command; RETURN 1; END'");
    let rounds = "SELECT count(*) FROM memory_maintenance_runs";
    let before: i64 = sql.one(rounds, &[]);
    section.run(&desk);
    assert_eq!(sql.one::<i64>(rounds, &[]), before + usual.len() as i64);
    sql.run("DROP SCHEMA cron CASCADE");

    // MT-1: one that fails says so, and the others run.
    sql.run(
        "DROP INDEX ix_memories_embedding_hnsw; CREATE TABLE ix_memories_embedding_hnsw (x int)",
    );
    leave_an_orphan(&mut sql);
    let report: Value = sql.one("SELECT memory_maintenance(full => true)", &[]);
    let failed: Vec<(String, usize)> = operations(&report)
        .into_iter()
        .filter(|(_, errors)| *errors > 0)
        .collect();
    assert_eq!(failed, [("rebuild_index".to_owned(), 1)], "{report}");
    assert_eq!(report["maintenance_run"]["failed"], 1, "{report}");
    assert_eq!(report["reports"][2]["issues_resolved"], 1, "{report}");
    sql.run("SELECT memory_maintenance('{rebuild_index}')");
    assert!(
        run_crontab(&desk, crontab.lines().nth(1).expect("a second line"))
            .contains("failed: rebuild_index")
    );
    sql.run("DROP TABLE ix_memories_embedding_hnsw; SELECT memory_rebuild_index()");

    // What is left of what is gone.
    leave_an_orphan(&mut sql);
    let report = section.run(&desk);
    section.end();
    let usage: Vec<Vec<String>> = records(&report)
        .into_iter()
        .filter(|fields| fields[0] == "usage")
        .collect();
    assert_eq!(usage, [["usage", "1", "0"], ["usage", "1", "1"]]);
    assert_alive(&database);
}

fn rb_1_rebuild_the_vector_index(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    make_vectors_wrong(&mut sql);
    let mut written = file_of(&mut sql, INDEX);
    let mut written_anew = |sql: &mut Client| {
        let now = file_of(sql, INDEX);
        assert_ne!(now, written, "the index has been written anew");
        written = now;
        assert_indexed(sql);
    };

    // As a function; the second time with vectors made anew.
    let reports = objects(&section.run(&desk));
    assert_eq!(reports.len(), 2, "{reports:?}");
    for (report, embedded) in reports.iter().zip([47, 48]) {
        // All but the secret and the deleted one.
        assert_eq!(
            (
                &report["found"],
                &report["eligible"],
                &report["embedded"],
                &report["failed"]
            ),
            (&50.into(), &48.into(), &embedded.into(), &0.into()),
            "{report}"
        );
        let verification = &report["verification"];
        assert_eq!(
            verification["searched"], verification["found_itself"],
            "{report}"
        );
        assert!(
            verification["searched"]
                .as_i64()
                .is_some_and(|searched| searched >= 40),
            "{report}"
        );
    }
    written_anew(&mut sql);

    // As a script, while others work.
    section.run(&desk);
    written_anew(&mut sql);
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM pg_indexes WHERE indexname LIKE 'ix_memories_embedding_hnsw%'",
            &[]
        ),
        1
    );

    // By hand.
    section.run(&desk);
    written_anew(&mut sql);
    let parameters: String = sql.one(
        "SELECT reloptions::text FROM pg_class WHERE relname = $1",
        &[&INDEX],
    );
    assert_eq!(parameters, "{m=16,ef_construction=64}");
    assert_eq!(
        section.run(&desk),
        "phase,percent\n",
        "nothing is being built"
    );

    let verified = section.run(&desk);
    section.end();
    assert!(
        verified.starts_with("check_name,status,issues\nindexes,ok,0\nhnsw_reach,ok,0\n"),
        "{verified}"
    );
    let searches: Vec<Vec<&str>> = verified
        .split("id,similarity\n")
        .skip(1)
        .map(|found| found.lines().filter(|line| line.contains(',')).collect())
        .collect();
    assert_eq!(searches.len(), 2, "{verified}");
    assert_eq!(searches[0].len(), 5, "{verified}");
    // Among memories that are as near as each other either may come first.
    let distances = |found: &[&str]| -> Vec<i64> {
        found
            .iter()
            .filter_map(|line| line.split_once(',')?.1.parse::<f64>().ok())
            .map(|similarity| (similarity * 1e5).round() as i64)
            .collect()
    };
    assert_eq!(distances(&searches[0]).len(), 5, "{verified}");
    assert_eq!(distances(&searches[0]), distances(&searches[1]));
    assert_alive(&database);
}

fn file_of(sql: &mut Client, relation: &str) -> u32 {
    let files: BTreeMap<String, u32> = files(sql);
    files[relation]
}

fn embed_again(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    make_vectors_wrong(&mut sql);
    let kept = "SELECT md5(string_agg(concat_ws('|', id, content, version, created_at, updated_at), ',' ORDER BY id)) FROM memories";
    let before: String = sql.one(kept, &[]);
    let wrong = "SELECT count(*) FROM memories WHERE NOT is_sensitive AND deleted_at IS NULL AND embedding IS DISTINCT FROM memory_embed(CASE WHEN key IS NULL THEN content ELSE key || ': ' || content END)";
    assert_eq!(sql.one::<i64>(wrong, &[]), 2);

    let reports = objects(&section.run(&desk));
    let [report] = reports.as_slice() else {
        panic!("{reports:?}")
    };
    assert_eq!(
        (
            &report["eligible"],
            &report["embedded"],
            &report["failed"],
            &report["next"]
        ),
        (&2.into(), &2.into(), &0.into(), &Value::Null),
        "{report}"
    );
    assert_eq!(report["searched"], report["verified"], "{report}");
    assert_eq!(sql.one::<i64>(wrong, &[]), 0);

    // All, in batches; small ones here.
    make_vectors_wrong(&mut sql);
    let text = section.take("sql").replace("10000", "7");
    section.end();
    let outcome = desk.psql(&text);
    assert!(
        outcome.errors.matches("done up to ").count() >= 7,
        "{outcome:?}"
    );
    outcome.good();
    assert_eq!(sql.one::<i64>(wrong, &[]), 0);
    assert_eq!(sql.one::<String>(kept, &[]), before);
    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memory_search('anchor lost Hamnoy', 1, mode => 'vector')",
            &[]
        ),
        ["note-1"]
    );
    assert_indexed(&mut sql);
}

fn expired_memories_and_dead_rows(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    let expired = "SELECT count(*) FROM memories WHERE expires_at < now()";
    assert_eq!(sql.one::<i64>(expired, &[]), 1);

    assert_eq!(section.run(&desk), "memory_expire\n1\n");
    assert_eq!(sql.one::<i64>(expired, &[]), 0);

    sql.run("UPDATE memories SET expires_at = now() - interval '1 day' WHERE namespace = 'n1'");
    let many: i64 = sql.one(expired, &[]);
    assert!(many > 10);
    run_crontab(&desk, &section.take("cron"));
    assert_eq!(sql.one::<i64>(expired, &[]), 0);

    section.run(&desk);
    section.end();
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM pg_stat_user_tables WHERE relname IN ('memories', 'memory_history') AND last_vacuum IS NOT NULL AND last_analyze IS NOT NULL", &[]),
        2
    );
    assert_alive(&database);
}

fn data_loss(mut section: Section) {
    let (database, desk) = filled(cluster());
    desk.bash("pg_dump -F c -f \"$BACKUP_DIR/memory.dump\"")
        .good();
    let mut agent = database.connect();
    let since: String = agent.one("SELECT memory_add('The rudder is new', id => 'since')", &[]);
    // Lost without a trace in the store, as by a restore of half of the table.
    agent.run("ALTER TABLE memories DISABLE TRIGGER USER; DELETE FROM memories WHERE namespace = 'n2'; ALTER TABLE memories ENABLE TRIGGER USER");

    // 1. Assess.
    let report = section.run(&desk);
    assert!(
        report.starts_with(&format!("{FINDINGS}\ndatname,")),
        "what is there is whole: {report}"
    );
    assert!(report.contains(&desk.database), "{report}");
    let assess = section.take("bash");
    if offers(&mut agent, "amcheck") {
        let outcome = desk.bash(&assess);
        assert_eq!(
            outcome.code,
            Some(0),
            "a whole store is found whole: {outcome:#?}"
        );
        assert_damage_is_found(&desk, &assess);
    } else {
        eprintln!("amcheck is not part of this server: pg_amcheck is not run");
    }
    // 2. Isolate.
    section.run(&desk);
    assert!(
        agent.simple_query("SELECT 1").is_err(),
        "sessions are ended"
    );
    let mut agent = database.connect();
    agent
        .refused("SELECT memory_add('while isolated')", &[])
        .is("25006");
    assert_eq!(
        agent.column::<String>("SELECT id FROM memory_search('mast Oregon pine', 1)", &[]),
        ["note-2"]
    );

    // 3. Restore beside it.
    section.run(&desk);
    assert!(desk.backup("damaged.dump").is_file());
    let restored = desk.other("_restored");
    let count = "SELECT count(*) FROM memories WHERE namespace = 'n2'";
    assert_eq!(agent.one::<i64>(count, &[]), 0);
    let lost: i64 = restored.connect().one(count, &[]);
    assert!(lost > 10);

    // 4. Compare.
    let different = section.run(&desk);
    let difference = fs::read_to_string(desk.backup("difference")).expect("the difference");
    assert_eq!(
        different.trim(),
        difference.lines().count().to_string(),
        "{difference}"
    );
    let side = |mark: &str| {
        difference
            .lines()
            .filter(|line| line.starts_with(mark))
            .collect::<Vec<_>>()
    };
    assert_eq!(side("> ").len(), lost as usize, "{difference}");
    assert_eq!(side("< ").len(), 1, "{difference}");
    assert!(side("< ")[0].contains(&since), "{difference}");

    // 5. What is missing comes back, and sessions write again.
    let text = bring_back("namespace = 'notes'", "true");
    desk.bash_with(
        &text,
        &[("PGOPTIONS", "-c default_transaction_read_only=off")],
    )
    .good();
    assert_eq!(agent.one::<i64>(count, &[]), lost);
    let report = section.run(&desk);
    section.end();
    assert!(
        report.contains("\ncheck_name,status,issues\nALTER DATABASE\n"),
        "no error is found: {report}"
    );
    assert!(
        operations(&objects(&report)[0])
            .iter()
            .all(|(_, errors)| *errors == 0),
        "{report}"
    );
    assert_alive(&database);
    assert_alive(&restored);
}

/// pg_amcheck, as the runbook calls it, finds an index that does not have a row of its table.
fn assert_damage_is_found(desk: &Desk, assess: &str) {
    let copy = desk.cluster.empty_database();
    desk.bash(&format!(
        "pg_restore -d {} \"$BACKUP_DIR/memory.dump\"",
        copy.name
    ))
    .good();
    let mut sql = copy.connect();
    // The index is told to have been without this row: its definition says so while it is built, and no more.
    sql.run(
        "DROP INDEX ix_memories_expires;
         CREATE INDEX ix_memories_expires ON memories (expires_at) WHERE id = 'over';
         UPDATE pg_index SET indpred = NULL WHERE indexrelid = 'ix_memories_expires'::regclass",
    );
    let name = copy.name.clone();
    let outcome = desk.bash_with(assess, &[("PGDATABASE", &name)]);
    assert_ne!(outcome.code, Some(0), "{outcome:#?}");
    assert!(
        outcome.output.contains("ix_memories_expires"),
        "{outcome:#?}"
    );
}

fn out_of_space(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    let sizes = section.run(&desk);
    for table in [
        "memories",
        "memory_history",
        "vote_history",
        "embedding_cache",
    ] {
        assert!(sizes.contains(&format!("\n{table},")), "{sizes}");
    }

    section.run(&desk);
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM pg_class WHERE relname = $1",
            &[&INDEX]
        ),
        0
    );
    for path in ["auto", "exact", "sketch", "hnsw"] {
        sql.run(&format!("SET memory_ext.vector_path = '{path}'"));
        assert_eq!(
            sql.column::<String>(
                "SELECT id FROM memory_search('mast Oregon pine', 1, mode => 'vector')",
                &[]
            ),
            ["note-2"],
            "{path}"
        );
    }
    sql.run("SELECT memory_add('without the index', id => 'without')");
    assert!(sql.one::<bool>("SELECT memory_ready()", &[]));
    assert_eq!(
        sql.one::<String>("SELECT memory_health() ->> 'status'", &[]),
        "degraded"
    );

    sql.run("INSERT INTO embedding_cache (model, content_hash, embedding) SELECT 'hash-384', content_hash, embedding FROM memories WHERE id = 'odd'");
    section.run(&desk);
    section.end();
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM embedding_cache", &[]),
        0
    );

    // Built again when there is room, as the section on it says.
    let mut rebuild = Section::open(DOCUMENT, "Rebuild the vector index");
    rebuild.run(&desk);
    assert_alive(&database);
}

fn troubleshooting(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();

    // Search is slow.
    let report = section.run(&desk);
    assert!(report.contains(&format!("\n{INDEX}\n")), "{report}");
    assert!(report.contains("Execution Time: "), "{report}");
    assert!(report.contains("\npath,plan\nexact,"), "{report}");
    let set = section.run_then(&desk, "SHOW memory_ext.ef_search; SHOW hnsw.ef_search;");
    assert_eq!(set.matches("200").count(), 2, "{set}");

    // Too many connections.
    let report = section.run(&desk);
    assert!(
        report.starts_with("state,count,allowed,longest\n"),
        "{report}"
    );
    assert!(report.contains("\nactive,"), "{report}");
    section.run(&desk);
    assert_eq!(
        database
            .connect()
            .one::<String>("SHOW idle_session_timeout", &[]),
        "10min"
    );
    sql.run("ALTER SYSTEM RESET idle_session_timeout");
    sql.run("SELECT pg_reload_conf()");

    // Memories without a vector.
    let text = section.take("sql");
    let report = desk.psql(&text).good();
    assert_eq!(after(&report, "embedder"), "hash");
    assert_eq!(report.lines().last(), Some("id,created_at"), "{report}");
    make_vectors_wrong(&mut sql);
    let report = desk.psql(&text).good();
    assert!(
        after(&report, "id,created_at").starts_with("note-2,"),
        "{report}"
    );

    // A memory is not found after it was added.
    let text = section.take("sql").replace("your-memory-id", "over");
    let report = desk.psql(&text).good();
    assert!(
        report.contains("\nover,default,default,global,"),
        "{report}"
    );
    assert!(
        after(&report, "id,expires_at").starts_with("over,"),
        "{report}"
    );
    section.run(&desk);
    section.end();
    assert!(sql.one::<bool>(
        "SELECT last_vacuum IS NOT NULL FROM pg_stat_user_tables WHERE relname = 'memories'",
        &[]
    ));
    assert_alive_in(&database);
}

/// The vectors that this test has made wrong are made right before, by the runbook's own means.
fn assert_alive_in(database: &Database) {
    let mut again = Section::open(DOCUMENT, "Embed again");
    again.run(&Desk::at(database));
    assert_alive(database);
}
