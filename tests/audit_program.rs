//! The program memory-audit, installed beside the server's own, reads what a server exports.

mod support;

use std::path::PathBuf;
use std::process::{Command, Output};

use postgres::Client;
use support::{Database, Sql, cluster, database, run};

const SECRET: &str = "hunter2-xyzzy-plugh";

/// A store with a sealed trail of everything, and a key for its seals.
fn sealed(name: &str) -> (Database<'static>, Client, PathBuf) {
    let database = database();
    let mut sql = database.connect();
    let key = cluster().directory().join(name);
    run(cluster()
        .server
        .command("sh")
        .args(["-c", "umask 077; printf '%s\\n' \"$1\" >\"$2\"", "key"])
        .arg("5a".repeat(32))
        .arg(&key));
    sql.run(&format!(
        "ALTER DATABASE {} SET memory_ext.audit_key_file = '{key}'; SET memory_ext.audit_key_file = '{key}'",
        database.name,
        key = key.display()
    ));
    sql.run(&format!(
        "SELECT memory_add('words ' || i, id => 'm' || i) FROM generate_series(1, 20) i;
         SELECT memory_update('m' || i, 'changed ' || i) FROM generate_series(1, 20) i;
         SELECT memory_add('{SECRET}', id => 'secret', sensitive => true); SELECT memory_update('secret', '{SECRET} 2', agent_id => '*')"
    ));
    sql.run("SELECT * FROM memory_audit_seal()");
    sql.run("SELECT memory_update('m1', 'once more'); SELECT memory_forget(ids => '{m7}', reason => 'asked')");
    sql.run("SELECT * FROM memory_audit_seal()");
    (database, sql, key)
}

/// What psql writes of an export, in a file.
fn export(database: &Database, name: &str) -> (PathBuf, String) {
    let text = run(database.cluster.client("psql", &database.name).args([
        "-XAtq",
        "-c",
        "SELECT memory_audit_export()",
    ]));
    let file = database.cluster.directory().join(name);
    std::fs::write(&file, &text).expect("the export is written");
    (file, text)
}

fn verify(file: &PathBuf, arguments: &[&str]) -> (Option<i32>, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(cluster().server.program("memory-audit"))
        .arg("verify")
        .arg(file)
        .args(arguments)
        .output()
        .expect("it runs");
    let said = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    assert!(!said.contains(SECRET) && !said.contains("5a5a"), "{said}");
    (status.code(), said)
}

#[test]
fn se_3_what_a_server_exports_verifies_without_it() {
    let (database, mut sql, key) = sealed("key of a good one");
    let anchor: String = sql.one("SELECT memory_audit_anchor()", &[]);
    let (file, text) = export(&database, "good.jsonl");
    let key = key.to_str().expect("ASCII");
    let (code, said) = verify(&file, &["--key-file", key, "--anchor", &anchor]);
    assert_eq!(code, Some(0), "{said}");
    // From a pipe as well.
    let piped = run(cluster().server.command("sh").args([
        "-c",
        "\"$1\" verify - --key-file \"$2\" <\"$3\"",
        "sh",
        cluster()
            .server
            .program("memory-audit")
            .to_str()
            .expect("ASCII"),
        key,
        file.to_str().expect("ASCII"),
    ]));
    assert!(!piped.is_empty());

    // Any line edited, missing or moved is named.
    let lines: Vec<&str> = text.lines().collect();
    let events = lines
        .iter()
        .filter(|line| line.contains("\"event_id\""))
        .count();
    assert!(events > 10, "{text}");
    for (what, changed) in [
        ("words 3", text.replacen("words 3", "words 4", 1)),
        ("role", text.replacen("\"postgres\"", "\"mallory\"", 1)),
        ("cut off", lines[..lines.len() / 2].join("\n") + "\n"),
        ("without a seal", lines[2..].join("\n") + "\n"),
    ] {
        assert_ne!(changed, text, "{what}");
        std::fs::write(&file, &changed).expect("written");
        let (code, said) = verify(&file, &["--key-file", key, "--anchor", &anchor]);
        assert_eq!(code, Some(1), "{what}: {said}");
        assert!(!said.is_empty());
    }
}

#[test]
fn se_3_edits_in_the_database_are_in_its_export() {
    let (database, mut sql, key) = sealed("key of a bad one");
    let key = key.to_str().expect("ASCII");
    let row: i64 = sql.one("SELECT min(event_id) FROM memory_events", &[]);
    sql.run(&format!(
        "BEGIN; SET LOCAL session_replication_role = replica; UPDATE memory_events SET role = 'mallory' WHERE event_id = {row}; COMMIT"
    ));
    let (file, _) = export(&database, "bad.jsonl");
    let (code, said) = verify(&file, &["--key-file", key]);
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains(&row.to_string()), "{said}");
}

#[test]
fn what_cannot_be_told_is_no_verdict() {
    let (database, mut sql, key) = sealed("key of another");
    let anchor: String = sql.one("SELECT memory_audit_anchor()", &[]);
    let (file, _) = export(&database, "another.jsonl");
    let key_text = key.to_str().expect("ASCII");
    let other = cluster().directory().join("other key");
    std::fs::write(&other, "11".repeat(32)).expect("written");
    let other = other.to_str().expect("ASCII");
    // No key, another one, and an anchor of another chain.
    for (arguments, part) in [
        (&[][..], "none was given: --key-file"),
        (&["--key-file", other], "Most likely it is another one"),
    ] {
        let (code, said) = verify(&file, arguments);
        assert_eq!(code, Some(2), "{said}");
        assert!(
            said.starts_with("cannot tell: ") && said.contains(part),
            "{said}"
        );
    }
    let number = anchor.split(':').next().expect("a number");
    let foreign = format!("{number}:{}", "ab".repeat(32));
    let (code, said) = verify(&file, &["--key-file", key_text, "--anchor", &foreign]);
    assert_eq!(code, Some(1), "{said}");
    for arguments in [
        &["--key-file", "/nowhere/key"][..],
        &["--anchor", "no anchor"],
        &["--unknown"],
    ] {
        let (code, said) = verify(&file, arguments);
        assert_eq!(code, Some(2), "{said}");
    }
    let (code, said) = verify(&PathBuf::from("/nowhere/export"), &[]);
    assert_eq!(code, Some(2), "{said}");
    // What a failed export leaves, and what is an export of something else.
    let dump: String = sql.one(
        "SELECT string_agg(line, E'\\n') FROM memory_export() AS line",
        &[],
    );
    for (content, part) in [
        ("", "is empty"),
        (dump.as_str(), "has no line of an export"),
    ] {
        std::fs::write(&file, content).expect("written");
        let (code, said) = verify(&file, &["--key-file", key_text]);
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains(part), "{said}");
    }
}
