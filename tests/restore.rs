//! Coming back from a backup: what becomes of what is there, and of what was made since.

mod support;

use std::fs;

use postgres::Client;
use serde_json::{Value, json};
use support::Sql;
use support::backup::{
    CONFIRMED, SECRET, backed_up, backup, contents, database, dump, file, furnish, go_on, granted,
    name, restore, stranger, vault,
};
use support::votes::assert_counters;

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
fn the_vector_index_stays_as_the_store_was_made_with_it() {
    let (_database, _sql, name) = backed_up();
    let options = "SELECT array_to_string(reloptions, ' ') FROM pg_class WHERE relname = 'ix_memories_embedding_hnsw'";
    for (init, expected) in [
        ("", "m=16 ef_construction=64"),
        (
            "SELECT memory_init(hnsw_m => 8, hnsw_ef_construction => 32)",
            "m=8 ef_construction=32",
        ),
    ] {
        let mut sql = vault().database().connect();
        sql.run(init);
        restore(&mut sql, &name, CONFIRMED);
        let is: String = sql.one(options, &[]);
        assert_eq!(is, expected);
    }
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
