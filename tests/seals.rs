//! Audit seals: what is changed behind the extension is found and named, and what it does itself is not.

mod support;

use std::process::Command;
use std::time::Duration;

use memory_core::seal::{SealKey, Trust, verify_export};
use postgres::Client;
use serde_json::Value;
use support::{
    Cluster, Database, Options, Sql, cluster, database, granted, role, run, store, together,
    wait_until,
};

const SECRET: &str = "hunter2-xyzzy";

/// What is sealed: table, rows and the number of the seal.
fn seal(sql: &mut Client) -> Vec<(String, i64, Option<i64>)> {
    let rows = sql
        .query(
            "SELECT table_name, sealed_rows, seal_number, first_id, last_id, anchor FROM memory_audit_seal()",
            &[],
        )
        .unwrap_or_else(|error| panic!("{error:?}"));
    rows.iter()
        .map(|row| {
            let range: (Option<i64>, Option<i64>) = (row.get(3), row.get(4));
            assert_eq!(
                row.get::<_, i64>(1) > 0,
                range.0.is_some() && range.0 <= range.1
            );
            assert_eq!(row.get::<_, Option<String>>(5).is_some(), range.0.is_some());
            (row.get(0), row.get(1), row.get(2))
        })
        .collect()
}

/// The faults, a line each: problem, table, row, seal.
fn faults_with(sql: &mut Client, anchor: Option<&str>) -> Vec<String> {
    let rows = sql
        .query(
            "SELECT status, concat_ws(' ', problem, table_name, row_id, 'seal ' || seal_number), message FROM memory_audit_verify($1)",
            &[&anchor],
        )
        .unwrap_or_else(|error| panic!("{error:?}"));
    let verdict = if rows.len() > 1 { "altered" } else { "intact" };
    for row in &rows {
        assert_eq!(row.get::<_, String>(0), verdict);
        assert!(!row.get::<_, String>(2).contains(SECRET));
    }
    rows[1..].iter().map(|row| row.get(1)).collect()
}

fn faults(sql: &mut Client) -> Vec<String> {
    faults_with(sql, None)
}

fn assert_intact(sql: &mut Client) {
    assert_eq!(faults(sql), [""; 0]);
}

fn details(sql: &mut Client) -> Value {
    sql.one(
        "SELECT details FROM memory_audit_verify() WHERE details IS NOT NULL",
        &[],
    )
}

/// Statements of a superuser who means no good: no trigger stops him.
fn behind_the_back(sql: &mut Client, statements: &str) {
    sql.run(&format!(
        "SET session_replication_role = replica; {statements}; RESET session_replication_role"
    ));
}

/// A store with events 1.. and old versions 1.., all sealed: seal 1 of the events, seal 2 of the versions.
fn sealed() -> Client {
    let mut sql = store();
    sql.run("SELECT memory_add('words ' || i, id => 'm' || i) FROM generate_series(1, 10) i");
    for round in 1..=2 {
        sql.run(&format!("SELECT memory_update('m' || i, 'words ' || i || ' changed {round}') FROM generate_series(1, 10) i"));
    }
    sql.run(&format!("SELECT memory_add('{SECRET}', id => 'secret', sensitive => true); SELECT memory_update('secret', '{SECRET} later', agent_id => '*')"));
    assert_eq!(
        seal(&mut sql),
        [
            ("events".to_owned(), 21, Some(1)),
            ("history".to_owned(), 21, Some(2))
        ]
    );
    sql
}

#[test]
fn what_is_sealed_verifies_and_is_sealed_once() {
    let mut sql = store();
    assert_intact(&mut sql);
    assert_eq!(
        sql.one::<Option<String>>("SELECT memory_audit_anchor()", &[]),
        None
    );
    assert_eq!(
        seal(&mut sql),
        [
            ("events".to_owned(), 0, None),
            ("history".to_owned(), 0, None)
        ]
    );

    let mut sql = sealed();
    assert_intact(&mut sql);
    assert_eq!(
        seal(&mut sql),
        [
            ("events".to_owned(), 0, None),
            ("history".to_owned(), 0, None)
        ]
    );
    sql.run("SELECT memory_update('m1', 'once more')");
    let found = details(&mut sql);
    assert_eq!(found["events"]["unsealed"], 1, "{found}");
    assert_eq!(found["keyed"], false, "{found}");
    // A number that was drawn and not used.
    sql.run("BEGIN; SELECT memory_update('m1', 'never'); ROLLBACK; SELECT memory_update('m2', 'twice more')");
    assert_eq!(
        seal(&mut sql),
        [
            ("events".to_owned(), 2, Some(3)),
            ("history".to_owned(), 2, Some(4))
        ]
    );
    assert_intact(&mut sql);
    let anchor: String = sql.one("SELECT memory_audit_anchor()", &[]);
    assert!(anchor.starts_with("4:") && anchor.len() == 66, "{anchor}");
    assert_eq!(faults_with(&mut sql, Some(&anchor)), [""; 0]);
    let said: String = sql.one("SELECT message FROM memory_audit_verify()", &[]);
    assert!(said.contains("without a key"), "{said}");
}

#[test]
fn every_change_of_a_row_is_named() {
    for (statements, expected) in [
        ("DELETE FROM memory_events WHERE event_id = 5", vec!["deleted events 5 seal 1"]),
        ("DELETE FROM memory_events WHERE event_id > 19", vec!["deleted events 20 seal 1", "deleted events 21 seal 1"]),
        ("TRUNCATE memory_history", (1..=21).map(|_| "deleted history").collect()),
        ("UPDATE memory_events SET role = 'nobody' WHERE event_id = 7", vec!["edited events 7 seal 1"]),
        ("UPDATE memory_events SET occurred_at = occurred_at + interval '1 microsecond' WHERE event_id = 7", vec!["edited events 7 seal 1"]),
        ("UPDATE memory_events SET payload = payload || '{\"x\": 1}' WHERE event_id = 7", vec!["edited events 7 seal 1"]),
        ("UPDATE memory_events SET agent_id = '' WHERE event_id = 7", vec!["edited events 7 seal 1"]),
        ("UPDATE memory_history SET content = content || '.' WHERE history_id = 3", vec!["edited history 3 seal 2"]),
        ("UPDATE memory_history SET content_hash = '\\x00' WHERE history_id = 3", vec!["edited history 3 seal 2"]),
        ("UPDATE memory_history SET content = 'changed' WHERE is_sensitive", vec!["edited history 21 seal 2"]),
        ("UPDATE memory_history SET is_sensitive = false WHERE is_sensitive", vec!["edited history 21 seal 2"]),
        ("UPDATE memory_history SET shared_with_agents = '{a}' WHERE history_id = 3", vec!["edited history 3 seal 2"]),
        ("UPDATE memory_history SET error_pattern = '' WHERE history_id = 3", vec!["edited history 3 seal 2"]),
        ("INSERT INTO memory_events (event_id, event, project_id, role) OVERRIDING SYSTEM VALUE VALUES (-5, 'add', 'default', 'x')", vec!["added events -5"]),
        ("ALTER TABLE memory_events ALTER COLUMN event_id SET GENERATED BY DEFAULT; UPDATE memory_events SET event_id = 1000 WHERE event_id = 7", vec!["deleted events 7 seal 1"]),
        ("ALTER TABLE memory_events ALTER COLUMN event_id SET GENERATED BY DEFAULT; UPDATE memory_events SET event_id = -1 WHERE event_id = 3; UPDATE memory_events SET event_id = 3 WHERE event_id = 4; UPDATE memory_events SET event_id = 4 WHERE event_id = -1", vec!["edited events 3 seal 1", "edited events 4 seal 1"]),
        ("INSERT INTO memory_history (history_id, project_id, memory_id, version, operation, content, content_hash, namespace, scope, shared_with_agents, metadata, memory_type, is_sensitive, importance, created_at, valid_from, valid_to, changed_by)
          OVERRIDING SYSTEM VALUE SELECT history_id, project_id, 'other', version, operation, content, content_hash, namespace, scope, shared_with_agents, metadata, memory_type, is_sensitive, importance, created_at, valid_from, valid_to, changed_by
          FROM memory_history WHERE history_id = 3", vec!["duplicate history 3 seal 2"]),
    ] {
        let mut sql = sealed();
        behind_the_back(&mut sql, statements);
        let found = faults(&mut sql);
        assert_eq!(found.len(), expected.len(), "{statements}: {found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{statements}: {found}");
        }
        let finding = finding(&mut sql);
        assert_eq!(finding.0, "error", "{statements}");
    }
    // A number that was never used, in a range that is sealed.
    let mut sql = sealed();
    sql.run("BEGIN; SELECT memory_update('m1', 'never'); ROLLBACK; SELECT memory_update('m2', 'twice more')");
    seal(&mut sql);
    behind_the_back(
        &mut sql,
        "INSERT INTO memory_events (event_id, event, project_id, role) OVERRIDING SYSTEM VALUE VALUES (22, 'add', 'default', 'x')",
    );
    assert_eq!(faults(&mut sql), ["added events 22 seal 3"]);
}

fn finding(sql: &mut Client) -> (String, i64, String) {
    let row = sql
        .query_one(
            "SELECT status, issues, coalesce(details ->> 'hint', '') FROM memory_check_integrity() WHERE check_name = 'audit_seals'",
            &[],
        )
        .expect("a finding");
    (row.get(0), row.get(1), row.get(2))
}

#[test]
fn mt_9_an_edited_audit_row_is_the_finding_of_its_own_check() {
    let mut sql = sealed();
    assert_eq!(support::integrity::wrong(&mut sql), [""; 0]);
    behind_the_back(
        &mut sql,
        "UPDATE memory_events SET role = 'nobody' WHERE event_id = 7",
    );
    assert_eq!(support::integrity::wrong(&mut sql), ["audit_seals error 1"]);
}

#[test]
fn every_change_of_a_seal_is_named() {
    for (statements, expected) in [
        (
            "UPDATE memory_audit_seals SET sealed_at = now() + interval '1 day' WHERE number = 1",
            &["seal_edited seal 1"][..],
        ),
        (
            "UPDATE memory_audit_seals SET last_id = last_id + 1 WHERE number = 1",
            &["seal_edited seal 1"],
        ),
        (
            "UPDATE memory_audit_seals SET mac = sha256(mac) WHERE number = 1",
            &["seal_edited seal 1", "chain_broken seal 2"],
        ),
        (
            "UPDATE memory_audit_seals SET key_id = '\\x0102030405060708' WHERE number = 2",
            &["wrong_key seal 2"],
        ),
        (
            "UPDATE memory_audit_seals SET leaves = substr(leaves, 1, 80) || sha256('x') || substr(leaves, 113) WHERE number = 1",
            &["leaves_edited events seal 1"],
        ),
        (
            "DELETE FROM memory_audit_seals WHERE number = 1",
            &["chain_truncated seal 2"],
        ),
        (
            "ALTER TABLE memory_audit_seals DROP CONSTRAINT memory_audit_seals_root_check; UPDATE memory_audit_seals SET root = '' WHERE number = 2",
            &["seal_edited seal 2"],
        ),
    ] {
        let mut sql = sealed();
        behind_the_back(&mut sql, statements);
        assert_eq!(faults(&mut sql), expected, "{statements}");
    }
    // Nobody without such a will changes one, though he owns the table.
    let mut sql = sealed();
    for statement in [
        "UPDATE memory_audit_seals SET number = 7",
        "DELETE FROM memory_audit_seals",
        "TRUNCATE memory_audit_seals",
    ] {
        sql.refused(statement, &[]).is("55000").says("append-only");
    }
    // A seal whose end was edited is not continued, which would bury it.
    behind_the_back(
        &mut sql,
        "UPDATE memory_audit_seals SET row_count = row_count WHERE number = 2; UPDATE memory_audit_seals SET first_id = 0 WHERE number = 2",
    );
    sql.run("SELECT memory_update('m1', 'once more')");
    sql.refused("SELECT * FROM memory_audit_seal()", &[])
        .is("XX001")
        .hints("memory_audit_verify")
        .well_formed();
}

#[test]
fn a_chain_that_is_cut_off_or_made_anew_does_not_fit_an_anchor() {
    let mut sql = sealed();
    sql.run("SELECT memory_update('m1', 'once more')");
    seal(&mut sql);
    let anchor: String = sql.one("SELECT memory_audit_anchor()", &[]);
    behind_the_back(
        &mut sql,
        "DELETE FROM memory_events WHERE event_id = 22; DELETE FROM memory_history WHERE history_id = 22; DELETE FROM memory_audit_seals WHERE number > 2",
    );
    assert_intact(&mut sql);
    assert_eq!(
        faults_with(&mut sql, Some(&anchor)),
        ["chain_truncated seal 4"]
    );

    behind_the_back(
        &mut sql,
        "UPDATE memory_events SET role = 'nobody' WHERE event_id = 7; DELETE FROM memory_audit_seals",
    );
    for round in ["a", "b"] {
        sql.run(&format!("SELECT memory_update('m1', '{round}')"));
        seal(&mut sql);
    }
    assert_intact(&mut sql);
    assert_eq!(
        faults_with(&mut sql, Some(&anchor)),
        ["seal_replaced seal 4"]
    );
    for wrong in ["", "4", "4:00", "x"] {
        sql.refused("SELECT * FROM memory_audit_verify($1)", &[&wrong])
            .is("22P02")
            .well_formed();
    }
}

/// A key file in the shared cluster.
fn key_file(name: &str, content: &str) -> String {
    let path = cluster().directory().join(name);
    run(cluster()
        .server
        .command("sh")
        .args([
            "-c",
            "umask 077; printf '%s' \"$1\" >\"$2\"",
            "key",
            content,
        ])
        .arg(&path));
    path.display().to_string()
}

/// A key file that not even the server may read.
fn closed_file(name: &str) -> String {
    let path = key_file(name, &"33".repeat(32));
    run(Command::new("chmod").args(["000", &path]));
    path
}

#[test]
fn a_key_makes_seals_that_nobody_else_can_make() {
    let (one, two) = ("11".repeat(32), "22".repeat(32));
    let first = key_file("first", &format!("{one}\n"));
    let second = key_file("second", &two);
    let both = key_file("both", &format!("{two}\n{one}\n"));
    let set = |sql: &mut Client, path: &str| {
        sql.run(&format!("SET memory_ext.audit_key_file = '{path}'"));
    };
    let mut sql = sealed();
    // Those made before there was a key, the key vouches for.
    set(&mut sql, &first);
    assert_eq!(faults(&mut sql), ["not_keyed seal 1", "not_keyed seal 2"]);
    sql.run("SELECT memory_update('m1', 'once more')");
    seal(&mut sql);
    assert_intact(&mut sql);
    assert_eq!(details(&mut sql)["keyed"], true);

    set(&mut sql, &second);
    assert_eq!(
        faults(&mut sql),
        ["not_keyed seal 1", "not_keyed seal 2", "wrong_key seal 3"]
    );
    let (status, issues, hint) = finding(&mut sql);
    assert_eq!((status.as_str(), issues), ("error", 3));
    assert!(hint.contains("former keys"), "{hint}");
    sql.run("RESET memory_ext.audit_key_file");
    assert_eq!(faults(&mut sql), ["wrong_key seal 3"]);
    // That a setting is missing is no sign of somebody's changes, and hides none.
    let (status, issues, hint) = finding(&mut sql);
    assert_eq!((status.as_str(), issues), ("warning", 1));
    assert!(
        hint.contains("memory_ext.audit_key_file is not set") && !hint.contains("changed"),
        "{hint}"
    );
    sql.run("BEGIN");
    sql.run("SET LOCAL session_replication_role = replica; UPDATE memory_events SET role = 'nobody' WHERE event_id = 7");
    let (status, issues, _) = finding(&mut sql);
    assert_eq!((status.as_str(), issues), ("error", 2));
    sql.run("ROLLBACK");
    sql.run("SELECT memory_update('m1', 'and more')");
    sql.refused("SELECT * FROM memory_audit_seal()", &[])
        .is("55000")
        .says("memory_ext.audit_key_file")
        .well_formed();

    // A new key, with the old one behind it.
    set(&mut sql, &both);
    seal(&mut sql);
    assert_intact(&mut sql);
    // A forger without the key, who makes all anew.
    sql.run("RESET memory_ext.audit_key_file");
    behind_the_back(
        &mut sql,
        "UPDATE memory_events SET role = 'nobody' WHERE event_id = 7; DELETE FROM memory_audit_seals",
    );
    seal(&mut sql);
    assert_intact(&mut sql);
    set(&mut sql, &both);
    assert_eq!(faults(&mut sql), ["not_keyed seal 1", "not_keyed seal 2"]);

    for (path, code) in [
        (key_file("empty", ""), "55000"),
        (key_file("words", "hunter2"), "55000"),
        ("/nowhere/key".to_owned(), "58P01"),
        (closed_file("closed"), "42501"),
        ("key".to_owned(), "55000"),
    ] {
        set(&mut sql, &path);
        for call in [
            "SELECT * FROM memory_audit_seal()",
            "SELECT * FROM memory_audit_verify()",
        ] {
            sql.refused(call, &[])
                .is(code)
                .says("memory_ext.audit_key_file")
                .keeps("hunter2")
                .keeps("nowhere")
                .well_formed();
        }
        let (status, issues, _) = finding(&mut sql);
        assert_eq!((status.as_str(), issues), ("error", 1));
    }
}

#[test]
fn a_row_that_was_begun_before_a_seal_and_comes_after_it_is_not_missed() {
    let database = database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('words', id => 'm'); SELECT memory_add('others', id => 'o'); SELECT memory_update('o', 'changed')");
    let mut late = database.connect();
    late.run("BEGIN; SELECT memory_update('m', 'late')");
    // Somebody else's row with a higher number is there already.
    sql.run("SELECT memory_update('o', 'changed again')");

    let sealed = std::thread::scope(|scope| {
        let sealer = scope.spawn(|| seal(&mut database.connect()));
        wait_until("the seal waits for the writer", || {
            sql.one("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%memory_audit_seal()%' AND pid <> pg_backend_pid() AND datname = current_database())", &[])
        });
        // Writers are not kept waiting by one that waits; what they write is for the next seal.
        sql.run(
            "SET statement_timeout = '5s'; SELECT memory_update('o', 'changed while others wait')",
        );
        late.run("COMMIT");
        sealer.join().expect("sealed")
    });
    assert_eq!(sealed[0].1, 3);
    assert_eq!(sealed[1].1, 3);
    assert_intact(&mut sql);
    assert_eq!(details(&mut sql)["events"]["unsealed"], 1);
    assert_eq!(seal(&mut sql)[0].1, 1);
    assert_intact(&mut sql);
}

#[test]
fn waiting_for_writers_ends_by_lock_timeout_cancel_or_prepared_commit() {
    let cluster = Cluster::start(Options {
        settings: vec!["max_prepared_transactions = 5"],
        ..Options::default()
    });
    let database = cluster.database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('words', id => 'm'); SELECT memory_update('m', 'changed')");
    let mut late = database.connect();
    late.run("BEGIN; SAVEPOINT a; SELECT memory_update('m', 'late'); RELEASE a; PREPARE TRANSACTION 'late'");
    sql.run("SET lock_timeout = '300ms'");
    sql.refused("SELECT * FROM memory_audit_seal()", &[])
        .is("55P03");
    sql.run("RESET lock_timeout; SET statement_timeout = '300ms'");
    sql.refused("SELECT * FROM memory_audit_seal()", &[])
        .is("57014");
    sql.run("RESET statement_timeout");
    std::thread::scope(|scope| {
        let sealer = scope.spawn(|| seal(&mut database.connect()));
        std::thread::sleep(Duration::from_millis(300));
        sql.run("COMMIT PREPARED 'late'");
        assert_eq!(sealer.join().expect("sealed")[0].1, 2);
    });
    assert_intact(&mut sql);
    // Within a transaction that has written itself, its own rows are sealed with it.
    sql.run("BEGIN; SELECT memory_update('m', 'and sealed at once'); SELECT * FROM memory_audit_seal(); SELECT memory_update('m', 'and more'); COMMIT");
    assert_intact(&mut sql);
    sql.run("BEGIN; SELECT memory_update('m', 'undone'); SAVEPOINT s; SELECT * FROM memory_audit_seal(); ROLLBACK TO s; COMMIT");
    seal(&mut sql);
    assert_intact(&mut sql);
}

#[test]
fn isolation_levels_that_see_too_little_are_refused() {
    let mut sql = sealed();
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        sql.run(&format!("BEGIN ISOLATION LEVEL {level}"));
        sql.refused("SELECT * FROM memory_audit_seal()", &[])
            .is("25001")
            .hints("READ COMMITTED")
            .well_formed();
        sql.run(&format!("ROLLBACK; BEGIN ISOLATION LEVEL {level}"));
        assert_intact(&mut sql);
        sql.run("COMMIT");
    }
    sql.run("BEGIN READ ONLY");
    assert_intact(&mut sql);
    assert!(sql.one::<i64>("SELECT count(*) FROM memory_audit_export()", &[]) > 40);
    sql.refused("SELECT * FROM memory_audit_seal()", &[])
        .is("25006");
    sql.run("ROLLBACK; ALTER TABLE memory_events ALTER COLUMN event_id SET CACHE 10");
    sql.refused("SELECT * FROM memory_audit_seal()", &[])
        .is("55000")
        .hints("SET CACHE 1")
        .well_formed();
}

#[test]
fn many_writers_and_sealers_make_one_whole_chain() {
    let database = database();
    database
        .connect()
        .run("SELECT memory_add('words ' || i, id => 'm' || i) FROM generate_series(1, 8) i");
    together(8, |number, start| {
        let mut sql = database.connect();
        start.wait();
        for round in 0..15 {
            match number {
                0..4 => sql.run(&format!("SELECT memory_update('m{}', 'words {number} {round}')", number + 1)),
                4 => sql.run(&format!("BEGIN; SELECT memory_update('m5', 'x {round}'); ROLLBACK; SELECT memory_update('m5', 'y {round}')")),
                5 => sql.run(&format!("SELECT memory_add('gone {round}', id => 'g{round}'); SELECT memory_update('g{round}', 'x'); SELECT memory_forget(ids => '{{g{round}}}', reason => 'asked')")),
                6 => assert!(seal(&mut sql).len() == 2),
                _ => {
                    seal(&mut sql);
                    assert_intact(&mut sql);
                }
            }
        }
    });
    let mut sql = database.connect();
    seal(&mut sql);
    assert_intact(&mut sql);
    let found = details(&mut sql);
    assert_eq!(found["events"]["unsealed"], 0, "{found}");
    assert!(found["seals"].as_i64() > Some(2), "{found}");
}

#[test]
fn what_is_forgotten_leaves_the_seals_whole_and_a_count() {
    let mut sql = sealed();
    sql.run("SELECT memory_forget(ids => '{m3}', reason => 'asked'); SELECT memory_forget(ids => '{secret}', reason => 'asked')");
    assert_intact(&mut sql);
    let found = details(&mut sql);
    assert_eq!(found["history"]["erased"], 3, "{found}");
    // The receipt, sealed itself.
    seal(&mut sql);
    assert_intact(&mut sql);

    // Expired, and swept up, whatever is recorded otherwise.
    sql.run("SET memory_ext.audit = 'off'; UPDATE memories SET expires_at = now() - interval '1 hour' WHERE id = 'm4'");
    seal(&mut sql);
    sql.run("SELECT memory_expire()");
    assert_intact(&mut sql);
    sql.run("SELECT memory_forget(ids => '{m5}', reason => 'asked')");
    behind_the_back(
        &mut sql,
        "DELETE FROM memories WHERE id = 'm6'; UPDATE memory_history SET valid_to = valid_to WHERE false",
    );
    sql.run("DELETE FROM memories WHERE id = 'm7'");
    seal(&mut sql);
    assert_intact(&mut sql);
    assert_eq!(
        details(&mut sql)["history"]["erased"],
        8,
        "two of each, and one more of m4"
    );

    // Who takes away the receipt takes away what it stands for, and who edits another event does not.
    let receipt: i64 = sql.one(
        "SELECT min(event_id) FROM memory_events WHERE event = 'forget'",
        &[],
    );
    behind_the_back(
        &mut sql,
        "UPDATE memory_events SET role = 'nobody' WHERE event_id = 1",
    );
    assert_eq!(faults(&mut sql), ["edited events 1 seal 1"]);
    behind_the_back(
        &mut sql,
        &format!("DELETE FROM memory_events WHERE event_id = {receipt}"),
    );
    assert_eq!(faults(&mut sql).len(), 4);
}

#[test]
fn a_version_that_becomes_secret_is_no_edit() {
    let mut sql = sealed();
    sql.run("SELECT memory_update('m2', sensitive => true, agent_id => '*')");
    assert_intact(&mut sql);
    seal(&mut sql);
    assert_intact(&mut sql);
}

/// What psql writes of an export.
fn export(database: &Database) -> String {
    run(database.cluster.client("psql", &database.name).args([
        "-XAtq",
        "-c",
        "SELECT memory_audit_export()",
    ]))
}

#[test]
fn se_3_an_export_verifies_elsewhere_and_tells_no_secret() {
    let database = database();
    let mut sql = database.connect();
    let path = key_file("of export", &"5a".repeat(32));
    sql.run(&format!("ALTER DATABASE {} SET memory_ext.audit_key_file = '{path}'; SET memory_ext.audit_key_file = '{path}'", database.name));
    sql.run("SELECT memory_add(E'words with \\n \\\\ \" and \\u00e9 ' || i, id => 'm' || i, metadata => '{\"n\": 1.50}') FROM generate_series(1, 30) i");
    sql.run("SELECT memory_update('m' || i, 'changed ' || i) FROM generate_series(1, 30) i");
    sql.run(&format!("SELECT memory_add('{SECRET}', id => 'secret', sensitive => true); SELECT memory_update('secret', '{SECRET} 2', agent_id => '*')"));
    sql.run(&format!("SELECT memory_add('{SECRET} once open', id => 'turned'); SELECT memory_update('turned', '{SECRET} still open')"));
    seal(&mut sql);
    sql.run("SELECT memory_update('turned', sensitive => true); SELECT memory_forget(ids => '{m7}', reason => 'asked'); SELECT memory_update('m8', 'not sealed yet')");
    seal(&mut sql);
    sql.run("SELECT memory_update('m9', 'nor is this'); SELECT memory_update('secret', 'x', agent_id => '*')");
    assert_intact(&mut sql);
    let anchor: String = sql.one("SELECT memory_audit_anchor()", &[]);

    let text = export(&database);
    assert!(!text.contains(SECRET));
    let hashes: Vec<String> = sql.column("SELECT encode(h.content_hash, 'hex') FROM memory_history h WHERE is_sensitive UNION ALL SELECT encode(sha256(convert_to(content, 'UTF8')), 'hex') FROM memory_history WHERE is_sensitive", &[]);
    assert!(hashes.len() >= 6);
    assert!(
        hashes.iter().all(|hash| !text.contains(hash.as_str())),
        "a hash lets everybody try guesses"
    );
    assert!(text.contains("words with"), "what is not secret is there");

    let keys = [SealKey::new([0x5a; 32])];
    let trust = Trust {
        keys: &keys,
        start: None,
        end: Some(anchor.parse().expect("an anchor")),
    };
    let verify = |text: &str| verify_export(text.as_bytes(), &trust).expect("read");
    let report = verify(&text);
    assert!(report.is_intact(), "{report:?}");
    assert_eq!(report.seals, 4);
    assert_eq!(
        report.history,
        sql.one::<i64>("SELECT count(*) FROM memory_history", &[]) as u64
    );
    assert_eq!(
        report
            .batches
            .iter()
            .map(|batch| batch.erased_rows)
            .sum::<u64>(),
        1
    );
    assert!(report.unsealed >= 3);

    // Every line that is sealed counts, and nothing of one may change.
    let lines: Vec<&str> = text.lines().collect();
    for (place, line) in lines.iter().enumerate() {
        let value: Value = serde_json::from_str(line).expect("JSON");
        let is_sealed = match (&value["event"]["event_id"], &value["history"]["history_id"]) {
            (Value::Number(id), _) => {
                id.as_i64()
                    <= sql.one(
                        "SELECT max(last_id) FROM memory_audit_seals WHERE sealed_table = 'events'",
                        &[],
                    )
            }
            (_, Value::Number(id)) => id.as_i64()
                <= sql.one(
                    "SELECT max(last_id) FROM memory_audit_seals WHERE sealed_table = 'history'",
                    &[],
                ),
            _ => true,
        };
        if is_sealed && place % 7 == 0 {
            let mut without = lines.clone();
            without.remove(place);
            assert!(!verify(&without.join("\n")).is_intact(), "{line}");
        }
    }
    for (from, to) in [
        ("words with", "words by"),
        ("\"version\":1", "\"version\":3"),
        ("\"update\"", "\"delete\""),
    ] {
        assert!(text.contains(from), "{from}");
        assert!(!verify(&text.replacen(from, to, 1)).is_intact(), "{from}");
    }
    sql.run(&format!(
        "ALTER DATABASE {} RESET memory_ext.audit_key_file",
        database.name
    ));
}

#[test]
fn a_large_trail_is_sealed_in_several_batches() {
    let database = database();
    let mut sql = database.connect();
    sql.run("INSERT INTO memory_events (event, project_id, role) SELECT 'add', 'default', 'x' FROM generate_series(1, 25001) i");
    let sealed = seal(&mut sql);
    assert_eq!((sealed[0].1, sealed[0].2), (25_001, Some(3)));
    assert_intact(&mut sql);
    behind_the_back(
        &mut sql,
        "DELETE FROM memory_events WHERE event_id BETWEEN 1 AND 12000",
    );
    let found = details(&mut sql);
    assert_eq!(found["faults"], 12_000);
    assert!(faults(&mut sql).len() <= 10_000);
}

#[test]
fn restored_rows_do_not_come_in_among_sealed_ones() {
    use support::backup;
    let database = backup::database();
    let mut sql = database.connect();
    backup::furnish(&mut sql);
    seal(&mut sql);
    let name = backup::name();
    backup::backup(
        &mut sql,
        &name,
        ", include_sensitive => true, confirm_sensitive => true",
    );
    sql.run("SELECT memory_forget(ids => '{one}', reason => 'asked'); SELECT memory_update('three', 'changed since', agent_id => '*')");
    seal(&mut sql);
    assert_intact(&mut sql);
    for clean in ["", ", clean => true"] {
        backup::restore(
            &mut sql,
            &name,
            &format!(", confirm_sensitive => true{clean}"),
        );
        assert_intact(&mut sql);
        seal(&mut sql);
        assert_intact(&mut sql);
    }

    // Elsewhere it is the same trail, and another store's to seal.
    let elsewhere = backup::vault().database();
    let mut other = elsewhere.connect();
    backup::restore(&mut other, &name, ", confirm_sensitive => true");
    assert_eq!(details(&mut other)["seals"], 0);
    let rows: i64 = other.one(
        "SELECT (SELECT count(*) FROM memory_events) + (SELECT count(*) FROM memory_history)",
        &[],
    );
    assert_eq!(
        seal(&mut other).iter().map(|sealed| sealed.1).sum::<i64>(),
        rows
    );
    assert_intact(&mut other);
}

#[test]
fn only_admins_of_all_projects_seal_and_verify() {
    let database = database();
    let mut owner = database.connect();
    owner.run("SELECT memory_add('x', id => 'x'); SELECT memory_update('x', 'y')");
    let (_, mut admin) = granted(&database, "*", "admin", None);
    let (_, mut local) = granted(&database, "default", "admin", None);
    let mut stranger = database.connect_as(&role());
    for call in [
        "SELECT * FROM memory_audit_seal()",
        "SELECT * FROM memory_audit_verify()",
        "SELECT memory_audit_anchor()",
        "SELECT memory_audit_export()",
    ] {
        for client in [&mut local, &mut stranger] {
            client.refused(call, &[]).is("42501").well_formed();
        }
        assert!(!admin.query(call, &[]).expect(call).is_empty());
    }
    // By direct SQL too, where the owner has granted that.
    owner.run("GRANT SELECT ON memory_audit_seals TO PUBLIC");
    assert_eq!(
        admin.one::<i64>("SELECT count(*) FROM memory_audit_seals", &[]),
        2
    );
    assert_eq!(
        local.one::<i64>("SELECT count(*) FROM memory_audit_seals", &[]),
        0
    );
}
