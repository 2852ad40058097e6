//! Backups: what is in them, who may make them, and that what comes back is what was there.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use memory_core::container::Manifest;
use serde_json::{Value, json};
use support::Sql;
use support::backup::{
    FULL, SECRET, TABLES, backup, contents, database, decrypt, file, furnish, granted, key, listed,
    name, noticing, open_contents, restore, rows, stranger, vault,
};

#[test]
fn bk_2_what_comes_back_to_an_empty_database_is_what_was_there() {
    let original = database();
    let mut sql = original.connect();
    furnish(&mut sql);
    let name = name();
    let before = contents(&mut sql);

    let made = backup(&mut sql, &name, FULL);
    assert_eq!(contents(&mut sql), before, "a backup changes nothing");
    let mut other = vault().database().connect();
    let restored = restore(&mut other, &name, ", confirm_sensitive => true");

    assert_eq!(contents(&mut other), before);
    assert_eq!(restored["store_created"], true, "{restored}");
    assert_eq!(restored["backup_id"], made["backup_id"]);
    for table in TABLES {
        assert_eq!(
            restored["tables"][table]["rows"], made["counts"][table],
            "{table}"
        );
    }
    assert_eq!(restored["left_out"], json!({}));
    // It lives on: searches, versions, votes, numbers.
    let found: Vec<String> = other.column("SELECT id FROM memory_search('words changed', 1)", &[]);
    assert_eq!(found, ["one"]);
    let versions = "SELECT version FROM memory_history('one', agent_id => '*') ORDER BY version";
    let known: Vec<i32> = other.column(versions, &[]);
    other.run("SELECT memory_update('one', 'once more'); SELECT memory_vote('one', 'harmful', 'carol'); SELECT memory_delete('one')");
    assert_eq!(other.column::<i32>(versions, &[]).len(), known.len() + 2);
}

#[test]
fn bk_2_what_came_back_passes_the_integrity_check_as_what_was_there_does() {
    let mut sql = database().connect();
    furnish(&mut sql);
    let name = name();
    backup(&mut sql, &name, FULL);
    let mut other = vault().database().connect();
    restore(&mut other, &name, ", confirm_sensitive => true");

    let check = "SELECT check_name || ' ' || status || ' ' || issues FROM memory_check_integrity() ORDER BY 1";
    let before: Vec<String> = sql.column(check, &[]);
    assert!(before.len() > 10, "{before:?}");
    assert_eq!(other.column::<String>(check, &[]), before);
}

#[test]
fn bk_2_a_backup_without_secrets_brings_all_the_rest() {
    let original = database();
    let mut sql = original.connect();
    furnish(&mut sql);
    let name = name();

    let made = backup(&mut sql, &name, "");
    let mut other = vault().database().connect();
    let restored = restore(&mut other, &name, "");

    assert_eq!(made["includes_sensitive"], false);
    assert_eq!(restored["includes_sensitive"], false);
    assert_eq!(contents(&mut other), open_contents(&mut sql));
    let secrets: i64 = other.one("SELECT (SELECT count(*) FROM memories WHERE is_sensitive) + (SELECT count(*) FROM memory_history WHERE is_sensitive)", &[]);
    assert_eq!(secrets, 0);
}

#[test]
fn se_3_a_selective_backup_decrypts_to_nothing_secret() {
    let mut sql = database().connect();
    furnish(&mut sql);
    let (selective, full) = (name(), name());
    backup(&mut sql, &selective, "");
    backup(&mut sql, &full, FULL);

    let text = decrypt(&file(&selective), &key());

    assert!(
        text.contains("words of one, changed"),
        "it holds what is open"
    );
    assert!(!text.contains(SECRET), "it holds a secret");
    assert!(decrypt(&file(&full), &key()).contains(SECRET));
    for table in [
        "memory_history",
        "memory_usage",
        "vote_history",
        "vote_changes",
    ] {
        let ids: BTreeSet<String> = rows(&file(&selective), &key(), table)
            .iter()
            .map(|row| row["memory_id"].as_str().expect("an id").to_owned())
            .collect();
        assert!(!ids.is_empty(), "{table} is empty");
        for id in ["secret", "turned"] {
            assert!(!ids.contains(id), "{table} has rows of {id}");
        }
    }
    for row in rows(&file(&selective), &key(), "memories") {
        assert_eq!(row["is_sensitive"], "f", "{row}");
        assert_ne!(row["key"], "vault", "{row}");
    }
    // Nor is anything of it, secret or not, to be read in the files.
    for path in [file(&full), file(&format!("{full}.manifest.json"))] {
        let bytes = fs::read(path).expect("a file");
        for words in [SECRET, "words of", "colour"] {
            assert!(
                !bytes
                    .windows(words.len())
                    .any(|window| window == words.as_bytes())
            );
        }
    }
}

#[test]
fn bk_6_secrets_are_backed_up_and_restored_on_confirmation_only() {
    let database = database();
    let mut sql = database.connect();
    furnish(&mut sql);
    let name = name();

    for arguments in [
        ", include_sensitive => true",
        ", include_sensitive => true, confirm_sensitive => false",
        ", include_sensitive => true, confirm_sensitive => NULL",
        ", include_sensitive => true, dry_run => true",
    ] {
        sql.refused(&format!("SELECT memory_backup('{name}'{arguments})"), &[])
            .is("22023")
            .hints("confirm_sensitive => true")
            .well_formed();
    }
    sql.refused(
        "SELECT * FROM memory_backup_stream(include_sensitive => true)",
        &[],
    )
    .is("22023");
    assert!(!file(&name).exists());
    // Confirming alone includes nothing.
    assert_eq!(
        backup(&mut sql, &name, ", confirm_sensitive => true")["includes_sensitive"],
        false
    );

    let full = support::backup::name();
    backup(&mut sql, &full, FULL);
    let mut other = vault().database().connect();
    for arguments in ["", ", dry_run => true", ", confirm_sensitive => false"] {
        other
            .refused(&format!("SELECT memory_restore('{full}'{arguments})"), &[])
            .is("22023")
            .hints("confirm_sensitive => true")
            .well_formed();
    }
    assert!(!other.one::<bool>("SELECT to_regclass('memories') IS NOT NULL", &[]));
}

#[test]
fn c17_backups_are_for_admins_of_what_is_in_them() {
    let database = database();
    let mut sql = database.connect();
    furnish(&mut sql);
    let whole = name();
    backup(&mut sql, &whole, "");
    let calls = |arguments: &str| {
        [
            format!("SELECT memory_backup('{}'{arguments})", name()),
            format!("SELECT * FROM memory_backup_stream(verbose => false{arguments})"),
            format!("SELECT memory_backup_verify('{whole}'{arguments})"),
            format!(
                "SELECT memory_backup_rotate('{whole}', new_passphrase => 'a new one'{arguments})"
            ),
            format!("SELECT memory_restore('{whole}'{arguments})"),
            format!("SELECT memory_restore('{whole}', dry_run => true{arguments})"),
            format!("SELECT memory_restore_stream('pg_class'{arguments})"),
        ]
    };
    let mut nobody = database.connect_as(&stranger());
    let (_, mut reader) = granted(&database, "other", "read");
    let (_, mut writer) = granted(&database, "other", "write");
    let (_, mut admin) = granted(&database, "other", "admin");
    let before = contents(&mut sql);
    for client in [&mut nobody, &mut reader, &mut writer] {
        for arguments in ["", ", project_id => 'other'", ", project_id => 'default'"] {
            for call in calls(arguments)
                .iter()
                .filter(|call| !call.contains("pg_class"))
            {
                client.refused(call, &[]).is("42501").helps().well_formed();
            }
        }
    }
    for arguments in ["", ", project_id => 'default'"] {
        for call in calls(arguments)
            .iter()
            .filter(|call| !call.contains("pg_class"))
        {
            admin.refused(call, &[]).is("42501").helps().well_formed();
        }
    }
    admin
        .refused(&format!("SELECT memory_backup_rotate('{whole}', new_passphrase => 'x', project_id => 'other')"), &[])
        .is("42501");
    assert_eq!(contents(&mut sql), before);

    let mine = name();
    let made = backup(&mut admin, &mine, ", project_id => 'other'");
    assert_eq!(made["project"], "other");
    let verified: Value = admin.one(
        &format!("SELECT memory_backup_verify('{mine}', project_id => 'other')"),
        &[],
    );
    for about in ["counts", "size", "sha256", "includes_sensitive"] {
        assert_eq!(verified[about], made[about], "{about}");
    }
    let foreign: Value = admin.one(
        &format!("SELECT memory_backup_verify('{whole}', project_id => 'other')"),
        &[],
    );
    for about in ["counts", "size", "sha256", "includes_sensitive"] {
        assert_eq!(
            foreign[about],
            Value::Null,
            "what others have is not theirs to know: {foreign}"
        );
    }
    // Nor is whose another backup is, whatever is done with it.
    let theirs = name();
    backup(&mut sql, &theirs, ", project_id => 'default'");
    for call in [
        format!("memory_backup_verify('{theirs}', project_id => 'other')"),
        format!("memory_restore('{theirs}', project_id => 'other')"),
        format!("memory_restore('{theirs}', dry_run => true, project_id => 'other')"),
        format!("memory_backup_rotate('{theirs}', new_passphrase => 'x', project_id => 'other')"),
    ] {
        admin
            .refused(&format!("SELECT {call}"), &[])
            .is("42501")
            .says("not of project \"other\"")
            .keeps("default")
            .helps()
            .well_formed();
    }
    // Who may do all is told.
    sql.refused(
        &format!("SELECT memory_restore('{theirs}', project_id => 'other')"),
        &[],
    )
    .is("22023")
    .says("of project \"default\", not of project \"other\"")
    .hints("Leave out project_id")
    .well_formed();
    sql.refused(
        &format!("SELECT memory_restore('{theirs}', include_grants => true)"),
        &[],
    )
    .is("22023")
    .hints("Leave out include_grants")
    .well_formed();
}

#[test]
fn a_project_that_has_nothing_is_backed_up_with_a_warning() {
    let database = database();
    let (mut sql, heard) = support::backup::noticing(&database);
    furnish(&mut sql);
    let warnings = || -> Vec<String> {
        let mut heard = heard.lock().expect("not poisoned");
        let heard = std::mem::take(&mut *heard);
        heard
            .into_iter()
            .filter(|line| line.starts_with("WARNING"))
            .collect()
    };
    let (whole, mine, nothing) = (name(), name(), name());
    backup(&mut sql, &whole, "");
    backup(&mut sql, &mine, ", project_id => 'other'");
    assert_eq!(warnings(), [""; 0]);
    let expected =
        ["WARNING: project \"defualt\" has nothing to back up: the backup has no row of it"];
    backup(
        &mut sql,
        &nothing,
        ", project_id => 'defualt', dry_run => true",
    );
    assert_eq!(warnings(), expected);
    sql.run("SELECT count(*) FROM memory_backup_stream(project_id => 'defualt')");
    assert_eq!(warnings(), expected);
    for arguments in [", dry_run => true", ""] {
        restore(
            &mut sql,
            &whole,
            &format!(", project_id => 'other'{arguments}"),
        );
        assert_eq!(warnings(), [""; 0]);
        restore(
            &mut sql,
            &whole,
            &format!(", project_id => 'otehr'{arguments}"),
        );
        assert_eq!(
            warnings(),
            ["WARNING: the backup has nothing of project \"otehr\": no row of it comes back"]
        );
    }
}

#[test]
fn c17_a_projects_backup_holds_that_project_only() {
    let mut sql = database().connect();
    furnish(&mut sql);
    let name = name();

    let made = backup(&mut sql, &name, &format!("{FULL}, project_id => 'other'"));

    let path = file(&name);
    let text = decrypt(&path, &key());
    assert!(text.contains("words of other, changed"));
    assert!(!text.contains(SECRET) && !text.contains("words of one") && !text.contains("recipe"));
    assert_eq!(made["counts"]["memories"], 1, "{made}");
    assert_eq!(made["counts"]["memory_history"], 1, "{made}");
    assert_eq!(made["counts"]["vote_history"], 1, "{made}");
    assert_eq!(made["counts"]["memory_models"], 1, "{made}");
    for table in TABLES {
        for row in rows(&path, &key(), table) {
            assert!(
                row.get("project_id")
                    .is_none_or(|project| project == "other"),
                "{table}: {row}"
            );
        }
    }
    for table in ["memory_types", "memory_grants", "memory_maintenance_runs"] {
        assert_eq!(made["counts"].get(table), None, "{made}");
    }
    // A project that nobody has used is a backup too.
    let empty = backup(
        &mut sql,
        &support::backup::name(),
        ", project_id => 'it''s new'",
    );
    assert_eq!(empty["counts"]["memories"], 0);
}

#[test]
fn bk_5_a_dry_run_writes_nothing_and_tells_what_a_backup_would_hold() {
    let database = database();
    let mut sql = database.connect();
    furnish(&mut sql);
    let name = name();
    let before = (
        contents(&mut sql),
        sql.one::<i64>("SELECT count(*) FROM memory_events", &[]),
    );

    let dry = backup(&mut sql, &name, ", dry_run => true");

    assert_eq!(
        (
            contents(&mut sql),
            sql.one::<i64>("SELECT count(*) FROM memory_events", &[])
        ),
        before
    );
    assert_eq!(dry["dry_run"], true);
    assert_eq!(
        listed(vault())
            .iter()
            .filter(|file| file.contains(&name))
            .count(),
        0
    );
    let made = backup(&mut sql, &name, "");
    assert_eq!(made["dry_run"], false);
    assert_eq!(dry["counts"], made["counts"]);
    assert_eq!(dry["size"], made["size"]);
    sql.refused(
        &format!("SELECT memory_backup('{name}', dry_run => true)"),
        &[],
    )
    .is("58P02");
}

#[test]
fn a_verbose_backup_and_restore_tell_of_each_table() {
    let (mut sql, heard) = noticing(&database());
    furnish(&mut sql);
    let name = name();
    heard.lock().expect("not poisoned").clear();

    let made = backup(&mut sql, &name, ", verbose => true");
    let told: Vec<String> = std::mem::take(&mut *heard.lock().expect("not poisoned"));
    for table in TABLES {
        let line = format!("NOTICE: {table}: {} rows", made["counts"][table]);
        assert!(told.contains(&line), "{line} in {told:?}");
    }
    restore(&mut sql, &name, ", verbose => true");
    let told: Vec<String> = std::mem::take(&mut *heard.lock().expect("not poisoned"));
    assert!(
        told.contains(&"NOTICE: memories: 0 inserted, 0 updated, 0 removed".to_owned()),
        "{told:?}"
    );
    backup(&mut sql, &support::backup::name(), "");
    assert_eq!(
        *heard.lock().expect("not poisoned"),
        [""; 0],
        "no word where none is asked for"
    );
}

#[test]
fn what_was_made_is_in_the_report_the_manifest_the_events_and_the_log() {
    let database = database();
    let mut sql = database.connect();
    furnish(&mut sql);
    let name = name();

    let made = backup(&mut sql, &name, "");

    let bytes = fs::read(file(&name)).expect("a backup");
    assert_eq!(made["size"], bytes.len());
    assert_eq!(made["sha256"], sha256(&mut sql, &bytes));
    for (table, count) in made["counts"].as_object().expect("counts") {
        assert_eq!(*count, rows(&file(&name), &key(), table).len(), "{table}");
    }
    let manifest = fs::read(file(&format!("{name}.manifest.json"))).expect("a manifest");
    let manifest = Manifest::parse_unverified(&manifest).expect("a manifest");
    assert_eq!(made["backup_id"], manifest.backup_id);
    assert_eq!(made["size"], manifest.size);
    assert!(manifest.encrypted && !manifest.includes_sensitive);
    let verified: Value = sql.one(&format!("SELECT memory_backup_verify('{name}')"), &[]);
    for member in [
        "backup_id",
        "created_at",
        "size",
        "sha256",
        "counts",
        "includes_sensitive",
        "project",
    ] {
        assert_eq!(verified[member], made[member], "{member}");
    }
    assert_eq!(
        (&verified["has_manifest"], &verified["key"]),
        (&json!(true), &json!("raw"))
    );
    assert_eq!(
        (&verified["embedder"], &verified["dimensions"]),
        (&json!("hash"), &json!(384))
    );

    let payload: Value = sql.one(
        "SELECT payload FROM memory_events WHERE event = 'backup' AND role = 'postgres'",
        &[],
    );
    assert_eq!(payload["backup_id"], made["backup_id"]);
    assert_eq!(payload["counts"], made["counts"]);
    assert_eq!(payload["path"], name.as_str());
    let log = vault().log();
    let id = made["backup_id"].as_str().expect("an id");
    assert!(
        log.lines()
            .any(|line| line.contains(id) && line.contains("made backup"))
    );
}

fn sha256(sql: &mut postgres::Client, bytes: &[u8]) -> String {
    sql.one("SELECT encode(sha256($1), 'hex')", &[&bytes])
}

/// memory_ext.audit says how much of the everyday is recorded; what opens secrets is recorded all the same.
#[test]
fn secrets_that_leave_or_come_are_recorded_whatever_the_audit_is() {
    let mut sql = database().connect();
    furnish(&mut sql);
    let (open, full) = (name(), name());
    let events = "SELECT event FROM memory_events WHERE event_id > $1 ORDER BY event_id";
    let last: i64 = sql.one("SELECT max(event_id) FROM memory_events", &[]);
    sql.run("SET memory_ext.audit = 'off'");
    backup(&mut sql, &open, "");
    restore(&mut sql, &open, "");
    sql.run("SELECT memory_export(); SELECT memory_update('three', 'words of three, changed', agent_id => '*')");
    assert_eq!(sql.column::<String>(events, &[&last]), [""; 0]);

    backup(&mut sql, &full, FULL);
    restore(&mut sql, &full, ", confirm_sensitive => true");
    sql.run(&format!(
        "SELECT memory_backup_rotate('{full}', new_passphrase => 'another');
         SELECT memory_export(include_sensitive => true, confirm_sensitive => true);
         SELECT memory_reveal('secret', 'a test', agent_id => '*');
         SELECT memory_update('secret', sensitive => false, agent_id => '*')"
    ));
    assert_eq!(
        sql.column::<String>(events, &[&last]),
        ["backup", "restore", "rotate", "export", "reveal", "reveal"]
    );
}

#[test]
fn a_backup_is_of_one_snapshot_while_others_write() {
    let database = database();
    let mut sql = database.connect();
    // Enough that the tables are read at different times.
    sql.run("INSERT INTO memories (content, namespace) SELECT 'filler ' || n, 'filler' FROM generate_series(1, 4000) n");
    sql.run("SELECT memory_add('words of left', id => 'left', metadata => '{\"n\": 0}'); SELECT memory_session_start('right', metadata => '{\"n\": 0}')");
    let stop = AtomicBool::new(false);
    let mut backups = Vec::new();
    let written = std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut sql, mut number) = (database.connect(), 0);
            while !stop.load(Ordering::Relaxed) {
                number += 1;
                sql.run(&format!(
                    "BEGIN; SELECT memory_add('pair {number}', id => 'pair-{number}'); SELECT memory_kv_alias('alias-{number}', 'pair-{number}');
                     SELECT memory_update('left', metadata => '{{\"n\": {number}}}'); SELECT memory_session_update('right', metadata => '{{\"n\": {number}}}'); COMMIT"
                ));
            }
            number
        });
        for _ in 0..5 {
            let name = name();
            backup(&mut sql, &name, "");
            backups.push(name);
        }
        stop.store(true, Ordering::Relaxed);
        writer.join().expect("the writer ends")
    });

    assert!(written > 10, "{written} transactions beside five backups");
    let mut sizes = BTreeSet::new();
    for name in backups {
        let path = file(&name);
        let ids = |table: &str, column: &str| -> BTreeSet<String> {
            rows(&path, &key(), table)
                .iter()
                .filter_map(|row| {
                    row[column]
                        .as_str()
                        .filter(|value| value.starts_with("pair-"))
                })
                .map(str::to_owned)
                .collect()
        };
        let pairs = ids("memories", "id");
        assert_eq!(
            pairs,
            ids("memory_key_aliases", "key"),
            "memories and aliases of one snapshot"
        );
        let number = |table: &str, column: &str, value: &str| -> Value {
            let found = rows(&path, &key(), table)
                .into_iter()
                .find(|row| row[column] == value)
                .expect("a row");
            serde_json::from_str::<Value>(found["metadata"].as_str().expect("metadata"))
                .expect("JSON")["n"]
                .clone()
        };
        assert_eq!(
            number("memories", "id", "left"),
            number("session_progress", "session_id", "right")
        );
        assert_eq!(number("memories", "id", "left"), pairs.len());
        let versions = rows(&path, &key(), "memory_history")
            .iter()
            .filter(|row| row["memory_id"] == "left")
            .count();
        assert_eq!(versions, pairs.len(), "and its versions");
        sizes.insert(pairs.len());
    }
    assert!(sizes.len() > 1, "the writer came in between: {sizes:?}");
}

#[test]
fn a_table_that_was_rewritten_since_the_snapshot_is_no_empty_table() {
    let database = database();
    let mut sql = database.connect();
    furnish(&mut sql);
    sql.run("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM memories");
    database.connect().run("TRUNCATE vote_changes");

    sql.refused(&format!("SELECT memory_backup('{}')", name()), &[])
        .is("40001")
        .says("vote_changes")
        .helps()
        .well_formed();

    sql.run("ROLLBACK");
    backup(&mut sql, &name(), "");
}

#[test]
fn the_sessions_settings_make_no_difference() {
    let original = database();
    let mut sql = original.connect();
    furnish(&mut sql);
    sql.run("INSERT INTO memories (id, content, importance) VALUES ('fine', 'a fine number', 0.1234567)");
    let before = contents(&mut sql);
    let odd = "SET DateStyle = 'SQL, DMY'; SET IntervalStyle = 'iso_8601'; SET TimeZone = 'Asia/Kathmandu'; SET extra_float_digits = -15; SET bytea_output = 'escape';
               SET client_encoding = 'LATIN1'; SET standard_conforming_strings = off; SET row_security = off; SET default_transaction_isolation = 'repeatable read'; SET search_path = pg_catalog, public";
    let name = name();

    let mut writer = original.connect();
    writer.run(odd);
    writer.run(&format!("SELECT memory_backup('{name}'{FULL})"));
    let empty = vault().database();
    let mut reader = empty.connect();
    reader.run(odd);
    reader.run(&format!(
        "SELECT memory_restore('{name}', confirm_sensitive => true)"
    ));
    let kept: String = writer.one("SELECT current_setting('DateStyle') || current_setting('extra_float_digits') || current_setting('TimeZone')", &[]);

    assert_eq!(contents(&mut empty.connect()), before);
    assert_eq!(
        kept, "SQL, DMY-15Asia/Kathmandu",
        "the session has its settings back"
    );
}

#[test]
fn what_a_policy_found_in_a_memory_comes_back() {
    let mut sql = database().connect();
    sql.run("SET memory_ext.pii_policy = 'flag'; SELECT memory_add('mail bob@example.org', id => 'flagged'); RESET memory_ext.pii_policy");
    let flags: Vec<String> = sql.one(
        "SELECT content_flags FROM memories WHERE id = 'flagged'",
        &[],
    );
    assert!(!flags.is_empty());
    let name = name();
    backup(&mut sql, &name, "");

    let mut other = vault().database().connect();
    // The policy of where it comes back to has nothing to say: it is what it was.
    other.run("SET memory_ext.pii_policy = 'redact'");
    restore(&mut other, &name, "");

    let row = other
        .query_one(
            "SELECT content, content_flags FROM memories WHERE id = 'flagged'",
            &[],
        )
        .expect("it came back");
    assert_eq!(row.get::<_, String>(0), "mail bob@example.org");
    assert_eq!(row.get::<_, Vec<String>>(1), flags);
}

#[test]
fn seals_caches_lines_to_import_and_migrations_are_not_backed_up() {
    let mut sql = database().connect();
    furnish(&mut sql);
    let left_out: Vec<String> = sql.column(
        "SELECT c.relname::text FROM pg_class c JOIN pg_extension e ON e.extname = 'memory_ext' AND e.extnamespace = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND c.relname = ANY ($1) ORDER BY 1",
        &[&vec!["embedding_cache", "memory_audit_seals", "memory_import_lines", "memory_migrations"]],
    );
    assert_eq!(left_out.len(), 4, "{left_out:?}");

    let made = backup(&mut sql, &name(), FULL);

    let mut held: Vec<String> = made["counts"]
        .as_object()
        .expect("counts")
        .keys()
        .cloned()
        .collect();
    held.extend(left_out);
    held.sort();
    // A table that comes later has to be thought about: is it worth keeping?
    let mut all: Vec<String> = support::store_tables(&mut sql);
    all.sort();
    assert_eq!(held, all);
}
