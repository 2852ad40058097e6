//! docs/maintenance.md

use std::collections::BTreeMap;
use std::fs;

use postgres::Client;

use super::backup::run_crontab;
use super::desk::Desk;
use super::section::{Section, sections};
use super::store::{assert_alive, assert_indexed, cluster, filled};
use crate::support::catalog::files;
use crate::support::{Database, Sql};

sections!("maintenance.md" {
    "Health" => health,
    "Rebuild the vector index" => rebuild_the_vector_index,
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

const HEALTH: &str = "memories,keyed,sensitive,embedded,without_vector,stale_vector";

fn health(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    let text = section.take("sql");
    section.end();
    let report = desk.psql(&text).good();
    // 40 facts, 2 notes, odd, 2 private, 1 secret, 1 key, 1 that is outdated; neither the expired nor the deleted one.
    assert_eq!(after(&report, HEALTH), "48,1,1,47,0,0");
    assert_eq!(after(&report, "to_remove"), "1");
    assert!(
        report.contains("\nix_memories_embedding_hnsw,t,"),
        "{report}"
    );
    assert!(!report.contains(",f,"), "no index is invalid: {report}");
    assert!(report.contains("\"store\": \""), "{report}");

    make_vectors_wrong(&mut sql);
    sql.run("SELECT memory_expire()");
    let report = desk.psql(&text).good();
    assert_eq!(after(&report, HEALTH), "48,1,1,46,1,1");
    assert_eq!(after(&report, "to_remove"), "0");
}

fn rebuild_the_vector_index(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    let mut written = file_of(&mut sql, INDEX);
    let mut written_anew = |sql: &mut Client| {
        let now = file_of(sql, INDEX);
        assert_ne!(now, written, "the index has been written anew");
        written = now;
        assert_indexed(sql);
    };

    section.run(&desk);
    written_anew(&mut sql);
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
    assert!(verified.starts_with("indisvalid\nt\n"), "{verified}");
    let searches: Vec<Vec<&str>> = verified
        .split("id,similarity\n")
        .skip(1)
        .map(|found| found.lines().filter(|line| line.contains(',')).collect())
        .collect();
    assert_eq!(searches.len(), 2, "{verified}");
    assert_eq!(searches[0].len(), 5, "{verified}");
    let ids = |found: &[&str]| -> Vec<String> {
        found
            .iter()
            .map(|line| line.split(',').next().unwrap_or_default().to_owned())
            .collect()
    };
    assert_eq!(ids(&searches[0]), ids(&searches[1]));
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

    assert_eq!(section.run(&desk), "UPDATE 2\n");
    section.end();

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
    let assess = section.take("bash");
    if agent.one::<bool>(
        "SELECT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'amcheck')",
        &[],
    ) {
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
    let report = section.run(&desk);
    assert!(report.contains(&desk.database), "{report}");
    assert!(
        report.ends_with("indexrelid\n"),
        "no index is invalid: {report}"
    );

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

    // 5. Sessions write again.
    section.run(&desk);
    section.end();
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

    sql.run("INSERT INTO embedding_cache (model, content_hash, embedding) SELECT 'hash-384', content_hash, embedding FROM memories WHERE id = 'odd'");
    section.run(&desk);
    section.end();
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM embedding_cache", &[]),
        0
    );

    // Built again when there is room, as the section on it says.
    let mut rebuild = Section::open(DOCUMENT, "Rebuild the vector index");
    rebuild.take("sql");
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
    assert_eq!(after(&report, "embedder,embeds"), "hash,t");
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
