//! The bash of the documents that are no runbooks.

use std::fs;

use super::desk::Desk;
use super::section::Section;
use super::store::{filled, options};
use crate::support::markdown::{RUNBOOKS, blocks_of, documents, repository};
use crate::support::{Cluster, Sql, wait_until};

#[test]
fn every_bash_block_of_the_other_documents_is_run_here() {
    let mut found = Vec::new();
    let others = documents()
        .into_iter()
        .filter(|file| !RUNBOOKS.iter().any(|name| file.ends_with(name)))
        .chain([repository().join("README.md")]);
    for file in others {
        let name = file.file_name().expect("a name").to_string_lossy();
        for block in blocks_of(&file) {
            if ["bash", "sh", "cron"].contains(&block.language.as_str()) {
                found.push(format!("{name}: {}", block.section));
            }
        }
    }
    assert_eq!(
        found,
        [
            "export-and-import.md: Export",
            "tamper-evidence.md: Key",
            "tamper-evidence.md: Anchors and verification elsewhere",
        ]
    );
}

#[test]
fn c13_an_export_to_a_file() {
    let cluster = Cluster::start(options());
    let (database, desk) = filled(&cluster);
    let mut section = Section::bash_of("export-and-import.md", "Export");
    let text = section.take("bash");
    desk.bash(&format!("cd \"$BACKUP_DIR\"\n{text}")).good();
    section.end();
    let lines = super::exchange::json_lines(&desk, "memories.jsonl");
    let expected: Vec<String> = database.connect().column(
        "SELECT id FROM memories WHERE project_id = 'default' AND NOT is_sensitive AND deleted_at IS NULL
                AND (expires_at IS NULL OR expires_at > now()) ORDER BY created_at, id",
        &[],
    );
    let ids: Vec<&str> = lines[1..lines.len() - 1]
        .iter()
        .map(|line| line["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(ids, expected);
}

/// A fault of the trail stays in its database; one that is restored from a backup has a trail without it.
#[test]
fn se_after_a_fault_the_store_goes_on_in_a_new_database() {
    let cluster = Cluster::start(options());
    let (database, desk) = filled(&cluster);
    let mut sql = database.connect();
    sql.run("SELECT memory_audit_seal()");
    sql.run("UPDATE memory_history SET content = 'forged' WHERE memory_id = 'note-1'");
    let fault = "SELECT issues > 0 FROM memory_check_integrity() WHERE check_name = 'audit_seals'";
    assert!(sql.one::<bool>(fault, &[]));

    let directory = format!(
        "SET memory_ext.backup_directory = '{}'",
        desk.backups().display()
    );
    sql.run(&directory);
    sql.run("SELECT memory_backup('faulty', include_sensitive => true, confirm_sensitive => true, passphrase => 'correct horse battery staple')");
    let new = cluster.database();
    let mut restored = new.connect();
    restored.run("LOAD 'memory_ext'");
    restored.run(&directory);
    restored.run("SELECT memory_restore('faulty', confirm_sensitive => true, include_grants => true, passphrase => 'correct horse battery staple')");
    restored.run("DELETE FROM memory_history WHERE memory_id = 'note-1'");

    let mut section = Section::open("tamper-evidence.md", "After a fault");
    let report = section.run(&Desk::at(&new));
    section.end();
    assert!(
        report.contains("\nstatus,problem,table_name,row_id,message\nintact,"),
        "{report}"
    );
    assert!(
        report.ends_with("\ncheck_name,status,issues,details\n"),
        "{report}"
    );
    assert!(sql.one::<bool>(fault, &[]), "the evidence is kept");
}

/// A block of docs/tamper-evidence.md, with places that this machine has.
fn localised(text: &str) -> String {
    let text = text
        .replace("/etc/memory_ext", "$BACKUP_DIR/etc")
        .replace("/mnt/elsewhere", "$BACKUP_DIR/elsewhere")
        .replace(
            "--key-file audit.key",
            "--key-file \"$BACKUP_DIR/etc/audit.key\"",
        );
    format!("mkdir -p \"$BACKUP_DIR/etc\" \"$BACKUP_DIR/elsewhere\"; cd \"$BACKUP_DIR\"\n{text}")
}

#[test]
fn se_3_the_key_the_anchor_and_verification_elsewhere() {
    let cluster = Cluster::start(options());
    let (database, desk) = filled(&cluster);
    let mut section = Section::bash_of("tamper-evidence.md", "Key");
    let text = section.take("bash");
    desk.bash(&localised(&text)).good();
    section.end();
    wait_until("the setting is there", || {
        let setting = "SELECT coalesce(current_setting('memory_ext.audit_key_file', true), '')";
        let is: String = database.connect().one(setting, &[]);
        is.ends_with("/etc/audit.key")
    });
    let mut sql = database.connect();
    sql.run("SELECT memory_audit_seal()");
    let verdict: String = sql.one("SELECT status FROM memory_audit_verify() LIMIT 1", &[]);
    assert_eq!(verdict, "intact");

    let mut section = Section::bash_of("tamper-evidence.md", "Anchors and verification elsewhere");
    let text = localised(&section.take("bash"));
    section.end();
    desk.bash(&text).good();

    // What was exported then and is edited now does not pass, and neither does what is not there.
    let last = text.lines().last().expect("the last line of the block");
    assert!(last.starts_with("memory-audit"), "{last}");
    let verify = || desk.bash(&format!("cd \"$BACKUP_DIR\"; {last}")).code;
    assert_eq!(verify(), Some(0));
    let file = desk.backup("audit.jsonl");
    let exported = fs::read_to_string(&file).expect("an export");
    assert!(exported.contains("\"postgres\""), "{exported}");
    fs::write(&file, exported.replacen("\"postgres\"", "\"nobody\"", 1)).expect("edited");
    assert_eq!(verify(), Some(1));
    fs::remove_file(&file).expect("removed");
    assert_eq!(verify(), Some(2));
    sql.run("SELECT memory_add('one more', id => 'one-more'); SELECT memory_update('one-more', 'changed'); SELECT memory_audit_seal()");
    assert_eq!(
        desk.bash(&text).code,
        Some(0),
        "the next day's anchor and export"
    );
}
