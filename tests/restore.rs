//! Coming back from a backup: what becomes of what is there, and of what was made since.

mod support;

use std::fs;

use postgres::Client;
use serde_json::{Value, json};
use support::backup::{
    SECRET, backup, contents, database, file, forge, furnish, granted, key, name, put, restore,
    rows, stranger, vault,
};
use support::votes::assert_counters;
use support::{Database, Refusal, Sql, run};

const FULL: &str = ", include_sensitive => true, confirm_sensitive => true";
const CONFIRMED: &str = ", confirm_sensitive => true";

/// A furnished store and its full backup.
fn backed_up() -> (Database<'static>, Client, String) {
    let database = database();
    let mut sql = database.connect();
    furnish(&mut sql);
    let name = name();
    backup(&mut sql, &name, FULL);
    (database, sql, name)
}

/// What happens after a backup: changes, deletions, additions, votes.
fn go_on(sql: &mut Client) {
    sql.run(&format!(
        "SELECT memory_update('one', 'words of one, changed again', metadata => '{{\"later\": true}}');
         SELECT memory_delete('two', agent_id => 'alice');
         SELECT memory_forget(ids => '{{three}}', reason => 'a test');
         SELECT memory_undeprecate('five');
         SELECT memory_add('words of six', id => 'six', memory_type => 'recipe');
         SELECT memory_update('six', 'words of six, changed');
         SELECT memory_vote('six', 'harmful', 'alice');
         SELECT memory_vote('one', 'helpful', 'dora', 'since', 't9');
         SELECT memory_vote('one', 'harmful', 'alice', 'no more', 't1');
         SELECT memory_kv_set('colour', 'red');
         SELECT memory_kv_alias('couleur', 'colour');
         SELECT memory_update('secret', '{SECRET} latest', agent_id => '*');
         SELECT memory_session_update('work', complete_item => 'b', agent_id => 'alice');
         SELECT memory_session_start('more work', agent_id => 'alice');
         SELECT memory_run_start('run 2', agent_id => 'alice');
         SELECT memory_touch('{{one}}', agent_id => '*');
         INSERT INTO memory_types VALUES ('song', 3, 'how to sing');
         UPDATE memory_types SET half_life_days = 99 WHERE memory_type = 'recipe';"
    ));
}

/// The same without the tables whose rows of their own stay, whatever is restored.
fn without(lines: Vec<String>, tables: &[&str]) -> Vec<String> {
    lines
        .into_iter()
        .filter(|line| {
            !tables
                .iter()
                .any(|table| line.starts_with(&format!("{table}:")))
        })
        .collect()
}

#[test]
fn bk_2_what_was_backed_up_becomes_what_it_was_and_what_came_since_stays() {
    let (_database, mut sql, name) = backed_up();
    let of_backup = |sql: &mut Client| {
        sql.column::<String>(
            "SELECT m::text FROM memories m WHERE id NOT IN ('six') ORDER BY project_id, id",
            &[],
        )
    };
    sql.run("ALTER TABLE memories SET (autovacuum_enabled = off)");
    let before = of_backup(&mut sql);
    let history =
        "SELECT h::text FROM memory_history h WHERE memory_id <> 'six' ORDER BY history_id";
    let history_before: Vec<String> = sql.column(history, &[]);
    go_on(&mut sql);

    let report = restore(&mut sql, &name, CONFIRMED);

    // One vote on one was cast since, and counts on.
    assert_eq!(support::votes::counters(&mut sql, "one"), (3, 1));
    sql.run("UPDATE memories SET bullet_helpful = 2 WHERE id = 'one' AND project_id = 'default'");
    assert_eq!(of_backup(&mut sql), before);
    sql.run("UPDATE memories SET bullet_helpful = 3 WHERE id = 'one' AND project_id = 'default'");
    assert_counters(&mut sql);
    assert_eq!(
        sql.column::<String>(history, &[]),
        history_before,
        "with the versions of then"
    );
    assert_eq!(
        sql.column::<String>("SELECT content FROM memories WHERE id = 'six' UNION ALL SELECT content FROM memory_history WHERE memory_id = 'six' ORDER BY 1", &[]),
        ["words of six", "words of six, changed"]
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('colour')", &[]),
        "green"
    );
    let aliases: Vec<String> = sql.column("SELECT alias FROM memory_key_aliases ORDER BY 1", &[]);
    assert_eq!(aliases, ["couleur", "farbe"]);
    let sessions: Vec<String> = sql.column(
        "SELECT session_id || completed_items FROM session_progress ORDER BY 1",
        &[],
    );
    assert_eq!(sessions, ["more work[]", "work[\"a\"]"]);
    assert_eq!(
        sql.one::<f64>(
            "SELECT half_life_days FROM memory_types WHERE memory_type = 'recipe'",
            &[]
        ),
        12.5
    );
    assert_eq!(report["tables"]["memories"]["inserted"], 1, "{report}");
    assert_eq!(report["tables"]["memories"]["removed"], 0, "{report}");
    assert_eq!(report["displaced"], 0, "{report}");
    // Nothing of it is news: no version was made of what was replaced.
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM memory_history WHERE operation = 'restore'",
            &[]
        ),
        0
    );
}

#[test]
fn bk_2_a_clean_restore_leaves_nothing_but_the_backup() {
    let (_database, mut sql, name) = backed_up();
    let before = contents(&mut sql);
    let events: i64 = sql.one("SELECT count(*) FROM memory_events", &[]);
    go_on(&mut sql);

    let report = restore(&mut sql, &name, &format!("{CONFIRMED}, clean => true"));

    assert_eq!(
        without(contents(&mut sql), &["memory_events"]),
        without(before, &["memory_events"])
    );
    assert!(
        sql.one::<i64>("SELECT count(*) FROM memory_events", &[]) > events,
        "the audit trail is never shortened"
    );
    assert_eq!(report["tables"]["memories"]["removed"], 1, "{report}");
    assert_eq!(report["tables"]["memory_types"]["removed"], 1, "{report}");
}

#[test]
fn bk_9_restoring_twice_gives_the_same_state() {
    for arguments in ["", ", clean => true"] {
        let (_database, mut sql, name) = backed_up();
        go_on(&mut sql);
        restore(&mut sql, &name, &format!("{CONFIRMED}{arguments}"));
        let once = contents(&mut sql);

        let report = restore(&mut sql, &name, &format!("{CONFIRMED}{arguments}"));

        assert_eq!(contents(&mut sql), once, "{arguments}");
        for (table, tally) in report["tables"].as_object().expect("tables") {
            assert_eq!(
                (&tally["inserted"], &tally["removed"]),
                (&json!(0), &json!(0)),
                "{table}: {report}"
            );
        }
    }
}

#[test]
fn bk_5_a_dry_run_changes_nothing_and_counts_what_a_restore_would_do() {
    for arguments in [
        "",
        ", clean => true",
        ", project_id => 'default'",
        ", project_id => 'default', clean => true",
    ] {
        let (database, mut sql, name) = backed_up();
        go_on(&mut sql);
        let before = dump(&database);

        let dry = restore(
            &mut sql,
            &name,
            &format!("{CONFIRMED}{arguments}, dry_run => true"),
        );

        assert_eq!(dump(&database), before, "{arguments}");
        let real = restore(&mut sql, &name, &format!("{CONFIRMED}{arguments}"));
        assert_eq!(dry["tables"], real["tables"], "{arguments}");
        for member in ["displaced", "yielded", "kept_sensitive", "left_out"] {
            assert_eq!(dry[member], real[member], "{arguments}: {member}");
        }
    }
    // Where there is no store: it makes none, and says that it would.
    let (_database, _, name) = backed_up();
    let mut empty = vault().database().connect();
    let dry = restore(
        &mut empty,
        &name,
        &format!("{CONFIRMED}, dry_run => true, project_id => 'other'"),
    );
    assert_eq!(
        (
            &dry["store_created"],
            &dry["tables"]["memories"]["inserted"]
        ),
        (&json!(true), &json!(1))
    );
    assert!(!empty.one::<bool>("SELECT to_regclass('memories') IS NOT NULL", &[]));
}

/// All that pg_dump writes of a database.
fn dump(database: &Database) -> String {
    let text = run(database
        .cluster
        .client("pg_dump", &database.name)
        .arg("--no-sync"));
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn c17_a_project_comes_back_from_a_backup_of_the_whole_store() {
    let (database, mut sql, name) = backed_up();
    go_on(&mut sql);
    sql.run("SELECT memory_delete('one', project_id => 'other', agent_id => 'zed')");
    let others = "SELECT md5(string_agg(m::text, ',' ORDER BY id)) FROM memories m WHERE project_id = 'default'";
    let before: String = sql.one(others, &[]);
    let (_, mut admin) = granted(&database, "other", "admin");

    let report = restore(
        &mut admin,
        &name,
        &format!("{CONFIRMED}, project_id => 'other', clean => true"),
    );

    assert_eq!(sql.one::<String>(others, &[]), before);
    assert_eq!(
        sql.one::<String>("SELECT content FROM memory_get('one', 'zed', 'other')", &[]),
        "words of other, changed"
    );
    assert_eq!(
        report["tables"]["memories"],
        json!({"rows": 1, "inserted": 0, "updated": 1, "removed": 0})
    );
    assert_eq!(
        report["left_out"]["memory_types"],
        "it belongs to the whole store"
    );
    assert_eq!(
        report["left_out"]["memory_events"],
        "the audit trail is for admins of every project"
    );
    assert_eq!(
        sql.one::<f64>(
            "SELECT half_life_days FROM memory_types WHERE memory_type = 'recipe'",
            &[]
        ),
        99.0
    );
    admin
        .refused(&format!("SELECT memory_restore('{name}'{CONFIRMED})"), &[])
        .is("42501");
    // And to an empty database.
    let mut empty = vault().database().connect();
    restore(
        &mut empty,
        &name,
        &format!("{CONFIRMED}, project_id => 'other'"),
    );
    assert_eq!(
        empty.column::<String>("SELECT DISTINCT project_id FROM memories", &[]),
        ["other"]
    );
    assert_eq!(
        empty.column::<String>(
            "SELECT DISTINCT project_id FROM memory_events WHERE event <> 'restore'",
            &[]
        ),
        ["other"]
    );

    // A backup of one project holds no other.
    let of_other = support::backup::name();
    backup(&mut sql, &of_other, ", project_id => 'other'");
    sql.refused(
        &format!("SELECT memory_restore('{of_other}', project_id => 'default')"),
        &[],
    )
    .is("22023")
    .says("\"other\"");
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

#[test]
fn a_key_or_a_content_that_somebody_took_since_goes_back() {
    let mut sql = database().connect();
    sql.run("SELECT memory_kv_set('colour', 'green'); SELECT memory_add('the same words', id => 'first'); SELECT memory_kv_set('short', 'lived', ttl => '1 day')");
    let name = name();
    backup(&mut sql, &name, "");
    sql.run("SELECT memory_forget(namespace => 'default', reason => 'a test')");
    sql.run("SELECT memory_kv_set('colour', 'red'); SELECT memory_add('the same words', id => 'second'); SELECT memory_kv_set('short', 'and sweet')");

    let report = restore(&mut sql, &name, "");

    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('colour')", &[]),
        "green"
    );
    assert_eq!(report["displaced"], 2, "{report}");
    let live: Vec<String> = sql.column(
        "SELECT content FROM memories WHERE key = 'colour' AND deleted_at IS NULL",
        &[],
    );
    assert_eq!(live, ["green"]);
    // Nothing is lost: the later value is a tombstone, the later memory is there beside the first.
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories WHERE key = 'colour' AND deleted_at IS NOT NULL AND content = 'red'", &[]), 1);
    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memory_list() WHERE content = 'the same words' ORDER BY 1",
            &[]
        ),
        ["first", "second"]
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_add('the same words')", &[]),
        "first"
    );
    let state = contents(&mut sql);
    restore(&mut sql, &name, "");
    assert_eq!(contents(&mut sql), state);
}

#[test]
fn what_has_expired_meanwhile_takes_no_key_from_what_lives() {
    let mut sql = database().connect();
    sql.run("SELECT memory_kv_set('short', 'lived', ttl => '1 day')");
    sql.run("UPDATE memories SET expires_at = now() - interval '1 second'");
    let name = name();
    backup(&mut sql, &name, "");
    sql.run("DELETE FROM memories; SELECT memory_kv_set('short', 'and sweet')");

    let report = restore(&mut sql, &name, "");

    assert_eq!(
        (&report["yielded"], &report["displaced"]),
        (&json!(1), &json!(0))
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('short')", &[]),
        "and sweet"
    );
    let state = contents(&mut sql);
    restore(&mut sql, &name, "");
    assert_eq!(contents(&mut sql), state);
}

#[test]
fn c7_tombstones_and_deprecated_memories_come_back_as_such() {
    let (_database, _, name) = backed_up();
    let mut other = vault().database().connect();

    restore(&mut other, &name, CONFIRMED);

    let found = other
        .query_one(
            "SELECT deleted_at IS NOT NULL, version FROM memories WHERE id = 'four'",
            &[],
        )
        .expect("the tombstone");
    assert!(found.get::<_, bool>(0));
    let found = other.query_one("SELECT is_deprecated, superseded_by, deprecated_at IS NOT NULL FROM memories WHERE id = 'five'", &[]).expect("the deprecated");
    assert_eq!(
        (found.get(0), found.get(1), found.get(2)),
        (true, "one", true)
    );
    assert_eq!(
        other.one::<i64>("SELECT count(*) FROM memory_get('five')", &[]),
        0
    );
    other.run("SELECT memory_undeprecate('five'); SELECT memory_restore_version('four', 1)");
    assert_eq!(
        other.one::<i64>(
            "SELECT count(*) FROM memory_list() WHERE id IN ('four', 'five')",
            &[]
        ),
        2
    );
    // An equal memory is found again as the one that came back.
    assert_eq!(
        other.one::<String>("SELECT memory_add('words of five')", &[]),
        "five"
    );
}

#[test]
fn se_3_what_is_secret_by_now_stays_as_it_is() {
    let database = database();
    let mut sql = database.connect();
    furnish(&mut sql);
    let name = name();
    backup(&mut sql, &name, "");
    sql.run(&format!("SELECT memory_update('three', '{SECRET} by now', sensitive => true); SELECT memory_vote('three', 'helpful', 'a')"));
    let secret = "SELECT string_agg(m::text, ',' ORDER BY id) || (SELECT string_agg(h::text, ',' ORDER BY history_id) FROM memory_history h WHERE is_sensitive) FROM memories m WHERE is_sensitive";
    let before: String = sql.one(secret, &[]);

    for arguments in ["", ", clean => true"] {
        let report = restore(&mut sql, &name, arguments);

        assert_eq!(sql.one::<String>(secret, &[]), before, "{arguments}");
        assert_eq!(report["kept_sensitive"], 1, "{report}");
        assert_eq!(
            sql.one::<i64>(
                "SELECT count(*) FROM memories WHERE is_sensitive AND embedding IS NOT NULL",
                &[]
            ),
            0
        );
        assert_counters(&mut sql);
    }
}

#[test]
fn grants_come_back_on_the_owners_word() {
    let database = database();
    let mut sql = database.connect();
    let (role, _) = granted(&database, "default", "read");
    let gone = stranger();
    sql.query("SELECT memory_grant($1, 'default', 'write', 'a')", &[&gone])
        .expect("granted");
    let (_, mut everywhere) = granted(&database, "*", "admin");
    let name = name();
    backup(&mut sql, &name, "");
    sql.run(&format!("SELECT memory_revoke('{role}', 'default'); DROP ROLE {gone}; DELETE FROM memory_grants WHERE role = '{gone}'"));
    let grants = "SELECT count(*) FROM memory_grants";
    let before: i64 = sql.one(grants, &[]);

    let report = restore(&mut sql, &name, "");
    assert_eq!(
        report["left_out"]["memory_grants"],
        "include_grants is false"
    );
    assert_eq!(sql.one::<i64>(grants, &[]), before);
    everywhere
        .refused(
            &format!("SELECT memory_restore('{name}', include_grants => true)"),
            &[],
        )
        .is("42501")
        .helps();
    restore(&mut everywhere, &name, "");
    sql.refused(
        &format!(
            "SELECT memory_restore('{name}', include_grants => true, project_id => 'default')"
        ),
        &[],
    )
    .is("22023");
    let report = restore(&mut sql, &name, ", include_grants => true");

    assert_eq!(report["tables"]["memory_grants"]["inserted"], 1, "{report}");
    assert_eq!(
        report["left_out"]["memory_grants"],
        "some name roles that do not exist here"
    );
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM memory_grants WHERE role = $1",
            &[&role]
        ),
        1
    );
}

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
fn restored_entries_find_no_place_among_sealed_ones() {
    let (_database, mut sql, name) = backed_up();
    go_on(&mut sql);
    sql.run("SELECT * FROM memory_audit_seal()");
    let sealed: i64 = sql.one(
        "SELECT last_id FROM memory_audit_seals WHERE sealed_table = 'history'",
        &[],
    );
    let seals: i64 = sql.one("SELECT count(*) FROM memory_audit_seals", &[]);
    let lost: i64 = sql.one("SELECT history_id FROM memory_history WHERE memory_id = 'one' AND project_id = 'default' ORDER BY 1 LIMIT 1", &[]);
    sql.run(&format!(
        "DELETE FROM memory_history WHERE history_id = {lost}"
    ));
    let before: Vec<i64> = sql.column("SELECT history_id FROM memory_history ORDER BY 1", &[]);

    restore(&mut sql, &name, CONFIRMED);

    let after: Vec<i64> = sql.column("SELECT history_id FROM memory_history ORDER BY 1", &[]);
    assert!(
        after.iter().all(|id| before.contains(id) || *id > sealed),
        "{before:?} {after:?}"
    );
    assert!(
        !after.contains(&lost),
        "what somebody removed is not made good in silence"
    );
    let payload: Value = sql.one(
        "SELECT payload FROM memory_events WHERE event = 'restore'",
        &[],
    );
    let removed: Vec<i64> = before
        .iter()
        .copied()
        .filter(|id| !after.contains(id))
        .collect();
    let told: Vec<i64> = payload["history_ids"]
        .as_array()
        .expect("a receipt")
        .iter()
        .flat_map(|pair| pair[0].as_i64().expect("a number")..=pair[1].as_i64().expect("a number"))
        .collect();
    assert!(!removed.is_empty());
    assert_eq!(told, removed);
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_audit_seals", &[]),
        seals,
        "seals are of the store, not of the backup"
    );
    let faults: Vec<i64> = sql.column(
        "SELECT row_id FROM memory_audit_verify() WHERE problem IS NOT NULL",
        &[],
    );
    assert_eq!(faults, [lost], "what was removed stays named");
}

#[test]
fn writers_wait_for_a_restore_and_readers_do_not() {
    let (database, mut sql, name) = backed_up();
    sql.run(&format!(
        "BEGIN; SELECT memory_restore('{name}'{CONFIRMED})"
    ));
    let mut other = database.connect();
    assert!(other.one::<i64>("SELECT count(*) FROM memory_search('words')", &[]) > 0);
    other.run("SET lock_timeout = '200ms'");
    other
        .refused("SELECT memory_add('too early')", &[])
        .is("55P03");
    sql.run("COMMIT");
    other.run("SELECT memory_add('in time')");
}

#[test]
fn the_manifest_may_be_missing_and_then_a_warning_says_so() {
    let (database, _, name) = backed_up();
    fs::remove_file(file(&format!("{name}.manifest.json"))).expect("removed");
    let (mut sql, heard) = support::backup::noticing(&database);

    let report = restore(&mut sql, &name, CONFIRMED);

    assert_eq!(report["has_manifest"], false);
    let heard = heard.lock().expect("not poisoned");
    assert!(
        heard
            .iter()
            .any(|line| line.starts_with("WARNING") && line.contains("manifest")),
        "{heard:?}"
    );
}
