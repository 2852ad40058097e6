//! docs/backup-and-restore.md, encrypted backups.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::desk::objects;
use super::exchange::json_lines;
use super::section::Section;
use super::store::{assert_alive, filled, memories_hash, options};
use crate::support::{Cluster, Sql, wait_until};

/// A server of its own: the section sets where its backups go.
pub fn bk_encrypted_backup(mut section: Section) {
    let cluster = Cluster::start(options());
    let (database, desk) = filled(&cluster);
    let mut sql = database.connect();
    let encrypted = |name: &str| desk.backup("encrypted").join(name);
    let secret = "s3cret of the harbour";

    // The key and the directory. A key that is there is not written over.
    let text = section.take("bash");
    desk.bash(&text).good();
    let key = desk.directory().join("keys/backup.key");
    assert_eq!(fs::read(&key).expect("a key").len(), 65);
    let file = fs::metadata(&key).expect("the key");
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert_ne!(desk.bash(&text).code, Some(0));
    wait_until("the settings are there", || {
        let setting = "SELECT coalesce(current_setting('memory_ext.backup_directory', true), '')";
        database
            .connect()
            .one::<String>(setting, &[])
            .ends_with("/encrypted")
    });

    // BK-5: a dry run writes nothing. Neither the database nor a file has the secret in clear.
    let before = memories_hash(&mut sql);
    let reports = objects(&section.run(&desk));
    assert_eq!(reports.len(), 4, "{reports:?}");
    assert_eq!(reports[0]["counts"], reports[1]["counts"]);
    let told: Vec<(bool, bool)> = reports
        .iter()
        .map(|report| {
            (
                report["dry_run"] == true,
                report["includes_sensitive"] == true,
            )
        })
        .collect();
    assert_eq!(
        told,
        [(true, false), (false, false), (false, true), (false, false)]
    );
    let mut files: Vec<String> = fs::read_dir(desk.backup("encrypted"))
        .expect("backups")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    let names = ["my_backup", "my_backup_full", "my_project"];
    let expected: Vec<String> = names
        .iter()
        .flat_map(|name| [(*name).to_owned(), format!("{name}.manifest.json")])
        .collect();
    assert_eq!(files, expected);
    for name in &files {
        let bytes = fs::read(encrypted(name)).expect("a file");
        for clear in [secret, "The keel was laid"] {
            assert!(
                !bytes
                    .windows(clear.len())
                    .any(|window| window == clear.as_bytes()),
                "{name}"
            );
        }
    }
    assert_eq!(memories_hash(&mut sql), before);

    // Verified; and what restoring would do: nothing, as nothing has changed.
    let reports = objects(&section.run(&desk));
    assert_eq!(reports[1]["dry_run"], true, "{reports:?}");
    assert_eq!(
        reports[1]["tables"]["memories"]["inserted"], 0,
        "{reports:?}"
    );
    assert_eq!(
        reports[1]["tables"]["memories"]["updated"], 0,
        "{reports:?}"
    );

    // BK-2: what was erased and changed comes back, versions and votes too; a selective backup leaves what is sensitive.
    sql.run("SELECT memory_add('since the backup', id => 'since'); SELECT memory_forget(namespace => 'notes', reason => 'a mistake');
             SELECT memory_update('odd', 'even', agent_id => '*'); SELECT memory_kv_set('city', 'Tromso'); SELECT memory_vote('odd', 'harmful', 'coder', task_id => 'task')");
    sql.run("SELECT memory_forget(ids => '{secret}', reason => 'to see it come back')");
    let reports = objects(&section.run(&desk));
    let inserted: Vec<i64> = reports
        .iter()
        .map(|report| {
            report["tables"]["memories"]["inserted"]
                .as_i64()
                .expect("a number")
        })
        .collect();
    assert_eq!(
        inserted,
        [2, 0, 1],
        "the two notes, then the secret: {reports:?}"
    );
    assert_eq!(
        reports[1]["tables"]["memories"]["removed"], 1,
        "what was added since: {reports:?}"
    );
    assert_eq!(memories_hash(&mut sql), before);
    sql.refused("SELECT memory_restore('my_backup_full')", &[])
        .is("22023");

    // BK-9: a flipped bit, and a cut.
    let whole = fs::read(encrypted("my_backup")).expect("the backup");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    for (name, bytes) in [
        ("flipped", &flipped[..]),
        ("cut", &whole[..whole.len() - 1]),
    ] {
        fs::write(encrypted(name), bytes).expect("a damaged copy");
        sql.refused(&format!("SELECT memory_restore('{name}')"), &[])
            .is("22000");
    }
    assert_eq!(memories_hash(&mut sql), before);

    // Into a new database.
    let report = section.run(&desk);
    let new = desk.other("_restored");
    let mut restored = new.connect();
    assert_eq!(memories_hash(&mut restored), before);
    assert!(
        report.ends_with("check_name | issues \n------------+--------\n(0 rows)\n\n"),
        "{report}"
    );
    assert_eq!(
        restored.one::<String>("SELECT memory_reveal('secret', 'a test')", &[]),
        secret
    );
    assert_alive(&new);

    // A passphrase.
    section.run(&desk);
    sql.refused("SELECT memory_backup_verify('with_passphrase')", &[])
        .is("22023");
    sql.run("SELECT memory_backup_verify('with_passphrase', passphrase => 'correct horse battery staple')");

    // By way of the client.
    let report = section.run(&desk);
    assert!(report.contains("\"dry_run\": true"), "{report}");
    assert!(
        fs::metadata(desk.backup("store.parts"))
            .expect("the parts")
            .len()
            > 10_000
    );

    // Another key, for all but the one with a passphrase. A copy from before has the old one.
    let old = fs::read(&key).expect("the key");
    fs::write(encrypted("copy"), &whole).expect("a copy");
    section.run(&desk);
    assert_ne!(fs::read(&key).expect("the new key"), old);
    let old_key = key.with_extension("key.old").display().to_string();
    for name in names {
        sql.run(&format!("SELECT memory_backup_verify('{name}')"));
        let with_old_key =
            format!("SELECT memory_backup_verify('{name}', key_file => '{old_key}')");
        sql.refused(&with_old_key, &[]).is("22000");
    }
    sql.run("SELECT memory_backup_verify('with_passphrase', passphrase => 'correct horse battery staple')");
    sql.refused("SELECT memory_backup_verify('copy')", &[])
        .is("22000");
    sql.run(&format!(
        "SELECT memory_backup_verify('copy', key_file => '{old_key}')"
    ));

    // Without the server.
    let report = section.run(&desk);
    section.end();
    assert!(report.contains("\nverified: "), "{report}");
    let decrypted = json_lines(&desk, "memories.jsonl");
    assert_eq!(decrypted.len(), 49, "all but the secret");
    assert!(
        decrypted
            .iter()
            .all(|memory| memory["table"] == "memories" && memory["is_sensitive"] == false)
    );
    assert_alive(&database);

    // PR-8: neither the log nor the audit trail has a secret or a passphrase.
    let log = cluster.log();
    let events: String = sql.one("SELECT string_agg(e::text, ',') FROM memory_events e", &[]);
    for clear in [secret, "correct horse"] {
        assert!(!log.contains(clear) && !events.contains(clear), "{clear}");
    }
}
