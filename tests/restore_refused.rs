//! Restores that are refused, or fail on the way: the database is what it was before.

mod support;

use serde_json::Value;
use support::backup::{
    CONFIRMED, SECRET, backed_up, backup, contents, database, dump, file, forge, go_on, granted,
    key, name, put, restore, rows, vault,
};
use support::{Refusal, Sql};

#[test]
fn a_backup_of_other_vectors_is_refused_and_an_empty_database_gets_a_store_that_fits() {
    let original = vault().database();
    let mut sql = original.connect();
    sql.run("SELECT memory_init(dimensions => 3, embedder => 'external', text_search_config => 'german');
             SELECT memory_add('die Worte', id => 'w', embedding => '[1,2,3]'); SELECT memory_add('ohne Vektor', id => 'o')");
    let name = name();
    backup(&mut sql, &name, "");
    let before = contents(&mut sql);

    for init in [
        "memory_init()",
        "memory_init(dimensions => 4, embedder => 'external')",
        "memory_init(dimensions => 3, embedder => 'hash')",
    ] {
        let database = vault().database();
        let mut other = database.connect();
        other.run(&format!(
            "SELECT {init}; SELECT memory_add('kept', embedding => NULL)"
        ));
        let dumped = dump(&database);
        for arguments in ["", ", dry_run => true"] {
            other
                .refused(&format!("SELECT memory_restore('{name}'{arguments})"), &[])
                .is("55000")
                .says("3 dimensions")
                .helps()
                .well_formed();
        }
        assert_eq!(dump(&database), dumped);
    }
    let mut empty = vault().database().connect();
    restore(&mut empty, &name, "");
    assert_eq!(contents(&mut empty), before);
    let version: Value = empty.one("SELECT memory_version()", &[]);
    let text = version.to_string();
    assert!(text.contains("external") && text.contains('3'), "{text}");
    assert_eq!(
        empty.column::<String>("SELECT id FROM memory_search('Wort')", &[]),
        ["w"],
        "German words"
    );
    assert_eq!(
        empty.column::<String>(
            "SELECT id FROM memory_search(embedding => '[1,2,3]', query => NULL)",
            &[]
        ),
        ["w"]
    );
    let index: String = empty.one(
        "SELECT indexdef FROM pg_indexes WHERE indexname = 'ix_memories_embedding_hnsw'",
        &[],
    );
    assert!(index.contains("hnsw"), "{index}");
    assert!(empty.one::<bool>(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = 'ix_memories_embedding_hnsw'::regclass",
        &[]
    ));
}

#[test]
fn bk_15_a_restore_that_fails_leaves_the_database_identical() {
    let (database, mut sql, name) = backed_up();
    go_on(&mut sql);
    sql.run("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no % here', NEW; END $$;");
    let log_before = vault().log().len();
    // At the very end, in the middle, at the beginning.
    for table in [
        "memory_maintenance_runs",
        "memory_runs",
        "vote_history",
        "memory_history",
        "memories",
    ] {
        sql.run(&format!("CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION refuse()"));
        sql.run(&format!("DELETE FROM {table}"));
        let before = dump(&database);

        let refusal = sql.refused(
            &format!("SELECT memory_restore('{name}'{CONFIRMED}, clean => true)"),
            &[],
        );

        refusal
            .is("P0001")
            .says("backup ")
            .keeps("words of")
            .keeps(SECRET);
        assert_eq!(dump(&database), before, "{table}");
        sql.run(&format!("DROP TRIGGER refuse ON {table}"));
    }
    // With a code of its own it quotes as much.
    sql.run(
        "CREATE FUNCTION refuse_too() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no % here', NEW USING ERRCODE = 'MY001'; END $$;
         CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON memories FOR EACH ROW EXECUTE FUNCTION refuse_too()",
    );
    sql.refused(
        &format!("SELECT memory_restore('{name}'{CONFIRMED}, clean => true)"),
        &[],
    )
    .is("P0001")
    .says("a trigger of the table refused a row")
    .keeps("words of")
    .keeps(SECRET);
    sql.run("DROP TRIGGER refuse ON memories");
    sql.run("ALTER TABLE memories ADD CONSTRAINT short CHECK (length(content) < 5) NOT VALID");
    let before = dump(&database);
    let refusal: Refusal = sql.refused(&format!("SELECT memory_restore('{name}'{CONFIRMED})"), &[]);
    refusal
        .is("23514")
        .says("short")
        .keeps("words of")
        .keeps(SECRET);
    assert_eq!(dump(&database), before);
    assert!(
        !vault().log()[log_before..].contains(&format!("{SECRET} ")),
        "nor is it in the log"
    );
    // In the caller's transaction it is undone with it.
    sql.run("ALTER TABLE memories DROP CONSTRAINT short");
    let before = dump(&database);
    sql.run(&format!(
        "BEGIN; SELECT memory_restore('{name}'{CONFIRMED}, clean => true); ROLLBACK"
    ));
    assert_eq!(dump(&database), before);
    restore(&mut sql, &name, CONFIRMED);
}

#[test]
fn a_backup_that_the_store_cannot_take_is_refused_before_any_write() {
    let (_database, mut sql, name) = backed_up();
    let (selective, path) = (support::backup::name(), file(&name));
    backup(&mut sql, &selective, "");
    let target = database();
    let mut other = target.connect();
    other.run("SELECT memory_add('kept', id => 'kept')");
    let before = dump(&target);
    let same = |_: &str, line: &str| vec![line.to_owned()];
    let forged: Vec<(&str, &str, Vec<u8>)> = vec![
        (
            "a newer store",
            "55000",
            forge(&path, |header| header.store_version = "9.0.0".into(), same),
        ),
        (
            "an unknown column",
            "55000",
            forge(
                &path,
                |header| header.sections[2].columns[3].name = "colour".into(),
                same,
            ),
        ),
        (
            "a field too few",
            "22P04",
            forge(
                &path,
                |_| (),
                |table, line| {
                    vec![if table == "memories" {
                        line.rsplit_once('\t')
                            .map_or_else(String::new, |(most, _)| most.to_owned())
                    } else {
                        line.to_owned()
                    }]
                },
            ),
        ),
        (
            "a value of another type",
            "22007",
            forge(
                &path,
                |_| (),
                |table, line| {
                    vec![if table == "memory_events" {
                        line.replacen("\t20", "\tin 20", 1)
                    } else {
                        line.to_owned()
                    }]
                },
            ),
        ),
        (
            "a row twice",
            "23505",
            forge(
                &path,
                |_| (),
                |_, line| vec![line.to_owned(), line.to_owned()],
            ),
        ),
        (
            "secrets under a header that denies them",
            "22000",
            forge(&path, |header| header.includes_sensitive = false, same),
        ),
        (
            "an end of data in the middle",
            "22000",
            forge(
                &file(&selective),
                |_| (),
                |table, line| {
                    if table == "memory_usage" {
                        vec!["\\.".to_owned(), line.to_owned()]
                    } else {
                        vec![line.to_owned()]
                    }
                },
            ),
        ),
        (
            "no model",
            "55000",
            forge(
                &path,
                |_| (),
                |table, line| {
                    if table == "memory_models" {
                        vec![]
                    } else {
                        vec![line.to_owned()]
                    }
                },
            ),
        ),
    ];
    for (what, sqlstate, bytes) in forged {
        let name = support::backup::name();
        put(&name, &bytes);
        let refusal = other.refused(&format!("SELECT memory_restore('{name}'{CONFIRMED})"), &[]);
        assert!(
            refusal.sqlstate == sqlstate
                || (sqlstate == "22000" && refusal.sqlstate.starts_with("22")),
            "{what}: {refusal:?}"
        );
        refusal.keeps("words of").keeps(SECRET).well_formed();
        assert_eq!(dump(&target), before, "{what}");
    }
}

#[test]
fn a_column_of_ones_own_is_backed_up_and_has_to_be_there_again() {
    let original = database();
    let mut sql = original.connect();
    sql.run("ALTER TABLE memories ADD COLUMN \"My own\" numeric(10, 2) DEFAULT 1.5; SELECT memory_add('words', id => 'w')");
    let name = name();
    backup(&mut sql, &name, "");
    assert_eq!(rows(&file(&name), &key(), "memories")[0]["My own"], "1.50");

    let mut other = database().connect();
    other
        .refused(&format!("SELECT memory_restore('{name}')"), &[])
        .is("55000")
        .says("My own")
        .hints("numeric(10,2)")
        .well_formed();
    other.run("ALTER TABLE memories ADD COLUMN \"My own\" numeric(10, 2)");
    restore(&mut other, &name, "");
    assert_eq!(
        other.one::<String>("SELECT \"My own\"::text FROM memories", &[]),
        "1.50"
    );
    // A column that the backup does not know has its default.
    let mut third = database().connect();
    third.run("ALTER TABLE memories ADD COLUMN \"My own\" numeric(10, 2), ADD COLUMN other text NOT NULL DEFAULT 'o'");
    restore(&mut third, &name, "");
    assert_eq!(third.one::<String>("SELECT other FROM memories", &[]), "o");
}

#[test]
fn c17_a_backup_of_an_admins_own_making_reaches_no_other_project() {
    let victim = database();
    let mut owner = victim.connect();
    owner.run("INSERT INTO session_progress (id, project_id, session_id, summary) VALUES ('fixed', 'q', 's', 'of q');
               SELECT memory_add('words of q', id => 'shared', project_id => 'q')");
    let (_, mut admin) = granted(&victim, "p", "admin");
    let forger = database();
    let mut sql = forger.connect();
    sql.run("INSERT INTO session_progress (id, project_id, session_id, summary) VALUES ('fixed', 'p', 's', 'of p')");
    let stealing = name();
    backup(&mut sql, &stealing, ", project_id => 'p'");
    sql.run("DELETE FROM session_progress; SELECT memory_add('words of p', id => 'shared', project_id => 'p')");
    for table in ["memory_history", "vote_changes", "memory_events"] {
        let sequence: String = sql.one("SELECT s.oid::regclass::text FROM pg_class s JOIN pg_depend d ON d.objid = s.oid WHERE s.relkind = 'S' AND d.refobjid = $1::text::regclass", &[&table]);
        sql.run(&format!(
            "ALTER SEQUENCE {sequence} RESTART WITH 9223372036854775800"
        ));
    }
    sql.run("SELECT memory_update('shared', 'more words of p', project_id => 'p'); SELECT memory_vote('shared', 'helpful', 'a', project_id => 'p'); SELECT memory_vote('shared', 'harmful', 'a', project_id => 'p')");
    let exhausting = name();
    backup(&mut sql, &exhausting, ", project_id => 'p'");

    admin
        .refused(
            &format!("SELECT memory_restore('{stealing}', project_id => 'p')"),
            &[],
        )
        .is("23505")
        .keeps("of q");
    restore(&mut admin, &exhausting, ", project_id => 'p'");

    assert_eq!(
        owner.column::<String>("SELECT summary FROM session_progress", &[]),
        ["of q"]
    );
    assert_eq!(
        owner.one::<String>(
            "SELECT content FROM memory_get('shared', project_id => 'q')",
            &[]
        ),
        "words of q"
    );
    assert_eq!(
        owner.one::<String>(
            "SELECT content FROM memory_get('shared', project_id => 'p')",
            &[]
        ),
        "more words of p"
    );
    // Everybody's next entry still has a number.
    for _ in 0..12 {
        owner.run("SELECT memory_update('shared', 'words ' || clock_timestamp(), project_id => 'q'); SELECT memory_vote('shared', 'helpful', 'a', project_id => 'q'); SELECT memory_vote('shared', 'harmful', 'a', project_id => 'q')");
    }
    let versions: Vec<i32> = owner.column(
        "SELECT version FROM memory_history('shared', project_id => 'p') ORDER BY version",
        &[],
    );
    assert_eq!(versions.first(), Some(&1));
}

/// What a backup left out as secret is not to be lost when it is none any more.
#[test]
fn a_clean_restore_that_would_remove_what_the_backup_left_out_is_refused() {
    let mut sql = database().connect();
    sql.run("SELECT memory_add('pin of the safe: 4711', id => 's', sensitive => true); SELECT memory_add('words', id => 'w')");
    let name = name();
    backup(&mut sql, &name, "");
    sql.run("SELECT memory_add('since', id => 'n'); SELECT memory_update('s', content => 'pin of the old safe: 4711', sensitive => false)");
    let before = contents(&mut sql);

    for arguments in ["", ", dry_run => true"] {
        let call = format!("SELECT memory_restore('{name}', clean => true{arguments})");
        sql.refused(&call, &[])
            .is("55000")
            .says("sensitive when it was made")
            .helps()
            .well_formed();
        assert_eq!(contents(&mut sql), before);
    }
    restore(&mut sql, &name, "");
    let ids = "SELECT id FROM memories ORDER BY id";
    assert_eq!(sql.column::<String>(ids, &[]), ["n", "s", "w"]);
    sql.run("SELECT memory_update('s', sensitive => true)");
    restore(&mut sql, &name, ", clean => true");
    assert_eq!(sql.column::<String>(ids, &[]), ["s", "w"]);
}
