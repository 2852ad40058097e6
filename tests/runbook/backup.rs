//! docs/backup-and-restore.md

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use postgres::{Client, Config, NoTls};
use serde_json::Value;

use super::desk::{Desk, objects, records};
use super::section::{Section, sections};
use super::store::{
    assert_alive, assert_indexed, assert_same_rows, cluster, fill, filled, memories_hash, options,
    table_hash,
};
use super::yaml;
use crate::support::markdown::repository;
use crate::support::release::{NEW, versions};
use crate::support::{Cluster, Database, Rows, Sql, store_hash, wait_until};

sections!("backup-and-restore.md" {
    "" => variables,
    "Dump" => dump,
    "Restore" => restore,
    "Look into the past" => look_into_the_past,
    "Bring back some memories" => bring_back_some_memories,
    "Backups by schedule" => backups_by_schedule,
    "Point-in-time recovery" => point_in_time_recovery,
    "Encrypted backup" => bk_encrypted_backup,
    "Cold copy" => cold_copy,
    "Kubernetes" => kubernetes,
    "Export" => c13_export,
    "Import" => c13_import,
    "Export with SQL" => export_with_sql,
    "Upgrade" => upgrade,
    "Roll back" => roll_back,
});

/// The runbook names the variables that its blocks are run with here, and no others.
fn variables(mut section: Section) {
    let (_, desk) = filled(cluster());
    let exports = section.take("bash");
    let names: BTreeSet<&str> = exports
        .split_whitespace()
        .filter_map(|word| word.split_once('=').map(|(name, _)| name))
        .collect();
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        [
            "BACKUP_DIR",
            "KEY_FILE",
            "PGDATA",
            "PGDATABASE",
            "PGHOST",
            "PGUSER"
        ]
    );
    assert_eq!(
        desk.bash(&format!("{exports}\nprintf '%s' \"$BACKUP_DIR\""))
            .good(),
        "/backups/memory"
    );
    section.end();
}

/// Restores a backup of this name into a new database with the extension or without.
fn restored<'c>(desk: &Desk<'c>, name: &str, with_extension: bool) -> Database<'c> {
    let target = if with_extension {
        desk.cluster.database()
    } else {
        desk.cluster.empty_database()
    };
    desk.bash(&format!(
        "pg_restore -d {} --exit-on-error \"$BACKUP_DIR/{name}\"",
        target.name
    ))
    .good();
    target
}

fn dump(mut section: Section) {
    let (database, desk) = filled(cluster());
    let role = "of_the_dump";
    desk.cluster.role(role);
    section.run(&desk);
    section.run(&desk);

    let names = desk.backup_names();
    let whole: Vec<&String> = names
        .iter()
        .filter(|name| name.starts_with("memory_2"))
        .collect();
    assert_eq!(whole.len(), 4, "{names:?}");
    let (sql, others): (Vec<&String>, Vec<&String>) =
        whole.into_iter().partition(|name| name.ends_with(".sql"));
    for name in sql {
        let target = desk.cluster.empty_database();
        desk.bash(&format!(
            "psql -X -1 -v ON_ERROR_STOP=1 -d {} -f \"$BACKUP_DIR/{name}\"",
            target.name
        ))
        .good();
        assert_same_rows(name, &target, &database);
        assert_alive(&target);
    }
    for name in others {
        assert_same_rows(name, &restored(&desk, name, false), &database);
    }
    assert_same_rows(
        "the tables of the store by name",
        &restored(&desk, "store.dump", true),
        &database,
    );
    let some = restored(&desk, "memories.dump", true);
    for table in ["memories", "vote_history"] {
        assert_eq!(table_hash(&some, table), table_hash(&database, table));
    }

    desk.cluster.admin(&format!("DROP ROLE {role}"));
    let again = desk.bash("psql -Xq -d postgres -f \"$BACKUP_DIR/roles.sql\"");
    assert_eq!(again.code, Some(0), "{again:#?}");
    assert!(desk.cluster.connect("postgres").one::<bool>(
        "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1",
        &[&role]
    ));
    section.end();
}

/// What the sections take for granted: a dump called memory.dump.
fn dumped(desk: &Desk) {
    desk.bash("pg_dump -F c -f \"$BACKUP_DIR/memory.dump\"")
        .good();
}

fn restore(mut section: Section) {
    let (database, desk) = filled(cluster());
    dumped(&desk);
    desk.bash("pg_dump -t memories -t vote_history -F c -f \"$BACKUP_DIR/memories.dump\"")
        .good();
    let before = store_hash(&mut database.connect());

    // Into a new database.
    section.run(&desk);
    let new = desk.other("_restored");
    assert_same_rows("into a new database", &new, &database);
    assert_alive(&new);

    // A dump of tables.
    section.run(&desk);
    let tables = desk.other("_tables");
    for table in ["memories", "vote_history"] {
        assert_eq!(table_hash(&tables, table), table_hash(&database, table));
    }
    assert_alive(&tables);

    // Over the one that is there.
    database
        .connect()
        .run("SELECT memory_add('since the dump'); SELECT memory_forget(namespace => 'notes', reason => 'a mistake')");
    section.run(&desk);
    assert_eq!(store_hash(&mut database.connect()), before);
    let refused =
        desk.bash("pg_restore -d \"$PGDATABASE\" -c --if-exists -1 \"$BACKUP_DIR/memories.dump\"");
    assert_ne!(refused.code, Some(0), "a dump of some tables: {refused:#?}");
    assert_eq!(
        store_hash(&mut database.connect()),
        before,
        "all or nothing"
    );

    // In the place of the old one, which still has a session.
    let mut session = database.connect();
    section.run(&desk);
    assert!(
        session.simple_query("SELECT 1").is_err(),
        "it was ended, or the database could not be renamed"
    );
    let notes = "SELECT count(*) FROM memory_search('ferry leaves at noon', mode => 'text')";
    assert_eq!(database.connect().one::<i64>(notes, &[]), 1);
    assert_eq!(desk.other("_old").connect().one::<i64>(notes, &[]), 0);
    section.end();
}

fn look_into_the_past(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    let before: String = sql.one("SELECT clock_timestamp()::text", &[]);
    sql.run("SELECT memory_update('note-1', 'The keel was never laid')");
    sql.run("SELECT memory_delete('note-2')");

    let text = section.take("sql");
    section.end();
    let report = desk
        .psql(&text.replace("now() - interval '1 hour'", &format!("'{before}'")))
        .good();
    let past: Vec<Vec<String>> = records(&report)
        .into_iter()
        .take_while(|fields| fields[0] != "version")
        .collect();
    assert_eq!(
        past,
        [
            ["id", "content"],
            ["note-2", "The mast is of Oregon pine"],
            ["note-1", "The keel was laid in 1903"]
        ]
    );
    assert!(
        report.contains("\n1,update,The keel was laid in 1902,"),
        "{report}"
    );
    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_get('note-1')", &[]),
        ["The keel was laid in 1902"]
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_get('outdated')", &[]),
        1
    );
    assert_indexed(&mut sql);
}

fn bring_back_some_memories(mut section: Section) {
    let (database, desk) = filled(cluster());
    dumped(&desk);
    let mut sql = database.connect();
    let rows = "SELECT string_agg(m::text, E'\\n' ORDER BY id) FROM memories m WHERE namespace = 'notes' AND id LIKE 'note-%'";
    let before: String = sql.one(rows, &[]);
    // One is erased, one has been changed since, one is new.
    sql.run("SELECT memory_forget(ids => '{note-1}', reason => 'a mistake'); SELECT memory_update('note-2', importance => 1)");
    sql.run("SELECT memory_add('The sails are new', namespace => 'notes', id => 'note-3')");
    let others =
        "SELECT md5(string_agg(m::text, ',' ORDER BY id)) FROM memories m WHERE id <> 'note-1'";
    let unchanged: String = sql.one(others, &[]);
    let versions: i64 = sql.one("SELECT count(*) FROM memory_history", &[]);

    section.run(&desk);
    section.end();

    let line = |all: &str| -> String {
        let first = all.lines().find(|line| line.starts_with("(note-1,"));
        first.expect("note-1 is there").to_owned()
    };
    assert_eq!(line(&sql.one::<String>(rows, &[])), line(&before));
    assert_eq!(
        sql.one::<String>(others, &[]),
        unchanged,
        "memories that are there stay as they are"
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_history", &[]),
        versions
    );
    assert_eq!(
        sql.column::<String>("SELECT id FROM memory_search('keel laid 1903', 1)", &[]),
        ["note-1"]
    );
    assert_eq!(
        sql.one::<String>(
            "SELECT memory_add('The keel was laid in 1903', namespace => 'notes')",
            &[]
        ),
        "note-1"
    );
}

fn backups_by_schedule(mut section: Section) {
    let (database, desk) = filled(cluster());
    desk.program(
        "aws",
        "#!/bin/bash\nprintf '%s\\n' \"$*\" >> \"$HOME/aws.log\"\n",
    );
    let report = section.run(&desk);
    assert_eq!(report.lines().count(), 2, "{report}");
    let uploads = fs::read_to_string(desk.directory().join("aws.log")).expect("aws was called");
    let newest = desk.backup_names().pop().expect("a dump has been made");
    assert!(
        uploads.ends_with(&format!(" s3://your-bucket/memory-backups/{newest}\n")),
        "{uploads}"
    );
    assert_same_rows("the newest", &restored(&desk, &newest, false), &database);

    let drill = section.run(&desk);
    assert!(drill.contains(&newest), "{drill}");
    assert!(drill.contains("search answers"), "{drill}");

    run_crontab(&desk, &section.take("cron"));
    let log = fs::read_to_string(desk.directory().join("memory-backup.log")).expect("a log");
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 2, "{log}");
    assert!(lines[0].contains("memory-backup: "), "{log}");
    assert!(lines[1].contains("restore-drill: "), "{log}");
    assert!(lines[1].contains("search answers"), "{log}");
    section.end();
}

/// Runs the commands of a crontab as cron does: by sh, with the variables that it sets and no others.
///
/// Gives what they wrote, which cron mails.
pub fn run_crontab(desk: &Desk, crontab: &str) -> String {
    let mut mail = String::new();
    let directory = desk.directory().display().to_string();
    let mut variables = vec![("PATH", "/usr/bin:/bin")];
    let mut commands = 0;
    for line in crontab.lines() {
        if let Some((name, value)) = line.split_once('=')
            && name.chars().all(|c| c.is_ascii_uppercase() || c == '_')
        {
            variables.push((name, value));
            continue;
        }
        let fields = yaml::cron_fields(line);
        let command = line
            .split_whitespace()
            .skip(fields.len())
            .collect::<Vec<_>>()
            .join(" ");
        assert!(
            !command.contains('%'),
            "cron takes a percent sign for a line break: {line}"
        );
        for script in command
            .split_whitespace()
            .filter_map(|word| word.strip_prefix("/usr/local/bin/"))
        {
            assert!(repository().join("docker/scripts").join(script).is_file());
        }
        let command = command
            .replace("/usr/local/bin", &format!("{directory}/bin"))
            .replace("/var/log", &directory);
        let mut sh = desk.command("env");
        sh.arg("-i");
        for (name, value) in &variables {
            sh.arg(format!("{name}={value}"));
        }
        // Where the server is, and its programs, is not the crontab's to know here.
        sh.arg(format!("PATH={}", desk.search_path()));
        for (name, value) in desk.cluster.environment(&desk.database) {
            sh.arg(format!("{name}={value}"));
        }
        sh.arg(format!("BACKUP_DIR={}", desk.backups().display()))
            .args(["sh", "-c", &command]);
        let output = sh.output().expect("sh runs");
        let log = fs::read_to_string(desk.directory().join("memory-backup.log"));
        assert!(output.status.success(), "{command}: {output:?}\n{log:?}");
        mail += &String::from_utf8_lossy(&output.stdout);
        commands += 1;
    }
    assert!(commands > 0, "{crontab}");
    mail
}

/// Stops the recovered server, whatever becomes of the test.
struct Recovered<'d, 'c>(&'d Desk<'c>);

impl Drop for Recovered<'_, '_> {
    fn drop(&mut self) {
        self.0
            .bash("pg_ctl stop -D \"$BACKUP_DIR/recovered\" -w -s -m immediate || true");
    }
}

fn point_in_time_recovery(mut section: Section) {
    let cluster = Cluster::start(options());
    let (database, desk) = filled(&cluster);

    // The archive.
    section.run(&desk);
    let mut sql = database.connect();
    assert_eq!(sql.one::<String>("SHOW archive_mode", &[]), "on");

    // The base backup.
    section.run(&desk);
    sql.run("SELECT memory_add('after the base backup, before the mistake', namespace => 'notes', id => 'late')");
    let notes = "SELECT md5(string_agg(m::text, ',' ORDER BY id)) FROM memories m WHERE namespace = 'notes'";
    let before: String = sql.one(notes, &[]);
    sql.run("SELECT memory_forget(namespace => 'notes', reason => 'a mistake')");
    sql.run("SELECT memory_add('after the mistake', id => 'too-late')");

    // The moment.
    let switched = section.run(&desk);
    let moment = fs::read_to_string(desk.backup("moment")).expect("a moment");
    assert!(moment.starts_with("20"), "{moment}");
    wait_until("the WAL is in the archive", Duration::from_secs(30), || {
        sql.one(
            "SELECT coalesce(last_archived_wal >= pg_walfile_name($1::text::pg_lsn), false) FROM pg_stat_archiver",
            &[&switched.trim()],
        )
    });

    // The recovery.
    let guard = Recovered(&desk);
    section.run(&desk);
    let mut recovered = Config::new()
        .host_path(cluster.directory())
        .port(5433)
        .user("postgres")
        .dbname(&database.name)
        .connect(NoTls)
        .expect("the recovered server answers");
    assert_eq!(recovered.one::<String>(notes, &[]), before);
    assert_eq!(
        recovered.column::<String>(
            "SELECT id FROM memories WHERE id IN ('late', 'too-late')",
            &[]
        ),
        ["late"]
    );
    assert_indexed(&mut recovered);
    recovered.run("SELECT memory_add('the recovered server takes memories')");
    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memories WHERE id IN ('late', 'too-late')",
            &[]
        ),
        ["too-late"],
        "the server itself is as it was"
    );
    drop(recovered);

    section.run(&desk);
    section.end();
    assert!(!desk.backup("recovered").exists());
    drop(guard);
}

/// A server of its own: the section sets where its backups go.
fn bk_encrypted_backup(mut section: Section) {
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
    wait_until("the settings are there", Duration::from_secs(10), || {
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
        .is("22000");
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

    // Another key.
    let old = fs::read(&key).expect("the key");
    section.run(&desk);
    assert_ne!(fs::read(&key).expect("the new key"), old);
    sql.refused("SELECT memory_backup_verify('my_project')", &[])
        .is("22000");
    let other_key = key.with_extension("key.old").display().to_string();
    sql.run(&format!(
        "SELECT memory_backup_verify('my_project', key_file => '{other_key}')"
    ));

    // Without the server.
    let report = section.run(&desk);
    section.end();
    assert!(report.contains("\nverified: "), "{report}");
    let decrypted = json_lines(&desk, "memories.jsonl");
    assert_eq!(decrypted.len(), 49, "all but the secret");
    assert!(decrypted.iter().all(|memory| memory["table"] == "memories" && memory["is_sensitive"] == false));
    assert_alive(&database);

    // PR-8: neither the log nor the audit trail has a secret or a passphrase.
    let log = cluster.log();
    let events: String = sql.one("SELECT string_agg(e::text, ',') FROM memory_events e", &[]);
    for clear in [secret, "correct horse"] {
        assert!(!log.contains(clear) && !events.contains(clear), "{clear}");
    }
}

fn cold_copy(mut section: Section) {
    let cluster = Cluster::start(options());
    let (database, desk) = filled(&cluster);
    let before = store_hash(&mut database.connect());
    section.run(&desk);
    database
        .connect()
        .run("SELECT memory_forget(namespace => 'notes', reason => 'a mistake')");
    section.run(&desk);
    section.end();
    assert_eq!(store_hash(&mut database.connect()), before);
    assert_alive(&database);
}

fn kubernetes(mut section: Section) {
    let text = section.take("yaml");
    let schedule = yaml::document(&text);
    assert_eq!(yaml::text(&schedule, &["apiVersion"]), "velero.io/v1");
    assert_eq!(yaml::text(&schedule, &["kind"]), "Schedule");
    yaml::text(&schedule, &["metadata", "name"]);
    let cron = yaml::text(&schedule, &["spec", "schedule"]);
    assert_eq!(cron.split(' ').count(), yaml::cron_fields(cron).len());
    let template = &schedule["spec"]["template"];
    let kept = yaml::text(template, &["ttl"]);
    assert!(
        kept.strip_suffix('h')
            .is_some_and(|hours| hours.parse::<u32>().is_ok()),
        "{kept}"
    );
    let included: Vec<&str> = template["includedResources"]
        .as_vec()
        .expect("a list")
        .iter()
        .filter_map(|resource| resource.as_str())
        .collect();
    assert!(
        included.contains(&"pods"),
        "hooks run in pods that are part of the backup"
    );
    let exec = &template["hooks"]["resources"][0]["pre"][0]["exec"];
    let program = exec["command"][0].as_str().expect("a command");
    let script = program
        .strip_prefix("/usr/local/bin/")
        .expect("a path in the image");
    assert!(
        repository().join("docker/scripts").join(script).is_file(),
        "{program}"
    );
    assert_eq!(yaml::text(exec, &["onError"]), "Fail");
    section.end();
}

/// What an export may hold: id and content by order of time.
const EXPORTABLE: &str = "SELECT id || '=' || content FROM memories
    WHERE project_id = 'default' AND NOT is_sensitive AND NOT is_deprecated AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > now()) ORDER BY id";

/// The lines of a file, each a JSON object.
fn json_lines(desk: &Desk, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(desk.backup(name)).expect("an export");
    let line = |line: &str| {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {error}: {line}"))
    };
    text.lines().map(line).collect()
}

/// What an export of everything that may leave a project has: also what is deprecated.
const EXPORTED: &str = "SELECT id || '=' || content FROM memories
    WHERE project_id = 'default' AND NOT is_sensitive AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > now()) ORDER BY id";

fn c13_export(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    sql.run("SELECT memory_add('by the assistant', agent_id => 'assistant', namespace => 'notes', id => 'by-assistant')");
    let expected: Vec<String> = sql.column(EXPORTED, &[]);
    section.run(&desk);

    let lines = json_lines(&desk, "memories_export.jsonl");
    assert!(lines[0]["memory_ext_export"].is_object(), "{}", lines[0]);
    assert_eq!(contents(&lines[1..]), expected);
    let odd = lines
        .iter()
        .find(|line| line["id"] == "odd")
        .expect("the odd one");
    assert_eq!(
        odd["metadata"]["path"], "C:\\new",
        "no backslash is doubled"
    );
    assert_eq!(odd["votes"].as_array().map(Vec::len), Some(2));
    let filtered = json_lines(&desk, "filtered_export.jsonl");
    assert_eq!(contents(&filtered[1..]), ["by-assistant=by the assistant"]);
    let array = fs::read_to_string(desk.backup("memories_export.json")).expect("an array");
    let array: Vec<Value> = serde_json::from_str(&array).expect("JSON");
    assert_eq!(contents(&array), expected);
    let csv = fs::read_to_string(desk.backup("memories_export.csv")).expect("CSV");
    assert_eq!(records(&csv).len(), expected.len() + 1, "and a header");

    // By COPY: the same lines, with what was asked for beside.
    section.run(&desk);
    section.end();
    let all = json_lines(&desk, "memories_all.jsonl");
    assert_eq!(all.len(), lines.len() + 1, "the expired one too");
    let vectors = all
        .iter()
        .filter(|line| line["embedding"].is_array())
        .count();
    assert_eq!(vectors, all.len() - 1);
    for name in [
        "memories_export.jsonl",
        "memories_all.jsonl",
        "memories_export.csv",
    ] {
        let text = fs::read_to_string(desk.backup(name)).expect("an export");
        assert!(!text.contains("s3cret"), "{name}");
    }
    let events: i64 = sql.one(
        "SELECT count(*) FROM memory_events WHERE event = 'export'",
        &[],
    );
    assert_eq!(events, 5);
}

fn c13_import(mut section: Section) {
    let (from, there) = filled(cluster());
    there
        .bash("psql -XAtq -c 'SELECT memory_export()' > \"$BACKUP_DIR/memories_export.jsonl\"")
        .good();
    let database = cluster().database();
    let mut sql = database.connect();
    sql.run("SELECT memory_init()");
    let desk = Desk::at(&database);
    let copy = format!(
        "cp '{}' \"$BACKUP_DIR\"",
        there.backup("memories_export.jsonl").display()
    );
    desk.bash(&copy).good();

    // The inbox. A second time nothing changes.
    let text = section.take("bash");
    let report = desk.bash(&text).good();
    assert!(report.contains("\"imported\": 47"), "{report}");
    let same = |sql: &mut Client| -> String {
        sql.one("SELECT md5(string_agg((to_jsonb(m) - 'embedding' - 'content_tsv')::text, ',' ORDER BY id)) FROM memories m
                 WHERE project_id = 'default' AND namespace NOT IN ('imported') AND NOT is_sensitive AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > now())", &[])
    };
    assert_eq!(same(&mut sql), same(&mut from.connect()));
    assert_eq!(
        table_hash(&database, "vote_history"),
        table_hash(&from, "vote_history")
    );
    let report = desk.bash(&text).good();
    assert!(report.contains("\"identical\": 47"), "{report}");
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_import_inbox", &[]),
        0
    );

    // The key/value dump of MemoryStages.
    let dump = repository().join("core/tests/data/memory_stages_backup.json");
    let dump = fs::read_to_string(dump).expect("a dump");
    fs::write(desk.backup("kv_dump.json"), dump).expect("the dump is there");
    let report = section.run(&desk);
    assert!(report.contains("\"imported\": 1"), "{report}");
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('displayName', 'imported')", &[]),
        "Mira"
    );

    // The guide's lines.
    section.run(&desk);
    section.end();
    assert_eq!(
        sql.column::<String>("SELECT id || ' ' || agent_id || ' ' || scope || ' ' || created_at FROM memories WHERE project_id = 'imported' ORDER BY id", &[]),
        [
            "abc123 assistant agent-private 2024-01-15 10:30:00+00",
            "def456 planner global 2024-01-15 11:00:00+00"
        ]
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memory_search('another memory', 1, project_id => 'imported')",
            &[]
        ),
        ["def456"]
    );

    // A bad line is named, and nothing is kept.
    let lines = fs::read_to_string(there.backup("memories_export.jsonl")).expect("the export");
    let number = lines.lines().count() + 1;
    let lines = lines + "{\"id\":\"bad\",\"content\":7}\n";
    desk.bash("rm \"$BACKUP_DIR/memories_export.jsonl\"").good();
    fs::write(desk.backup("memories_export.jsonl"), lines).expect("lines with a bad one");
    let count: i64 = sql.one("SELECT count(*) FROM memories", &[]);
    let refused = desk.bash(&text);
    assert!(
        refused.errors.contains(&format!("line {number}")),
        "{refused:#?}"
    );
    assert_ne!(refused.code, Some(0));
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), count);
    assert_alive(&database);
}

fn export_with_sql(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    let expected: Vec<String> = sql.column(EXPORTABLE, &[]);
    assert!(expected.len() > 40);
    for hidden in ["secret", "over", "dead", "outdated"] {
        assert!(
            !expected
                .iter()
                .any(|line| line.starts_with(&format!("{hidden}=")))
        );
    }

    // CSV, read back by the server.
    section.run(&desk);
    let file = desk.backup("memories_export.csv").display().to_string();
    sql.run(&format!(
        "CREATE TEMP TABLE csv (id text, content text, agent_id text, namespace text, scope text, metadata jsonb, created_at timestamptz, updated_at timestamptz);
         COPY csv FROM '{file}' WITH CSV HEADER"
    ));
    assert_eq!(
        sql.column::<String>("SELECT id || '=' || content FROM csv ORDER BY id", &[]),
        expected
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM csv JOIN memories m USING (id) WHERE csv.metadata = m.metadata AND csv.created_at = m.created_at AND csv.agent_id IS NOT DISTINCT FROM m.agent_id", &[]),
        expected.len() as i64
    );

    // JSON lines: every line is a JSON text as it is.
    section.run(&desk);
    let lines = fs::read_to_string(desk.backup("memories_sql.jsonl")).expect("JSON lines");
    let memories: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    assert_eq!(contents(&memories), expected);
    let odd = memories.iter().find(|memory| memory["id"] == "odd");
    assert_eq!(odd.expect("odd")["metadata"]["path"], "C:\\new");

    // One array, of everything but secrets and tombstones.
    section.run(&desk);
    let array = fs::read_to_string(desk.backup("memories_sql.json")).expect("a JSON array");
    let array: Vec<Value> = serde_json::from_str(&array).expect("JSON");
    let all: Vec<String> = sql.column(
        "SELECT id || '=' || content FROM memories WHERE NOT is_sensitive AND deleted_at IS NULL ORDER BY id",
        &[],
    );
    assert_eq!(contents(&array), all);

    // What one agent sees.
    section.run(&desk);
    section.end();
    let seen = fs::read_to_string(desk.backup("coder.csv")).expect("CSV");
    assert!(seen.contains("private to coder"));
    for hidden in ["private to planner", "s3cret", "over and gone", "outdated"] {
        assert!(!seen.contains(hidden), "{hidden}");
    }
}

fn contents(memories: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let mut contents: Vec<String> = memories
        .iter()
        .map(|memory| text(&memory["id"]) + "=" + &text(&memory["content"]))
        .collect();
    contents.sort();
    contents
}

/// The version before this one, whose store the sections on upgrades begin with.
const BEFORE: &str = "1.1.0";

fn filled_before() -> (Database<'static>, Desk<'static>) {
    let database = cluster().empty_database();
    let mut sql = database.connect();
    sql.run(&format!(
        "CREATE EXTENSION memory_ext VERSION '{BEFORE}' CASCADE"
    ));
    fill(&mut sql);
    let desk = Desk::at(&database);
    (database, desk)
}

fn upgrade(mut section: Section) {
    let (database, desk) = filled_before();
    let mut sql = database.connect();
    let rows = Rows::of(&mut sql);
    let notes = "SELECT md5(string_agg(content_hash::text, ',' ORDER BY id)) FROM memories";
    let hash: String = sql.one(notes, &[]);

    let report = section.run(&desk);
    let path = report
        .lines()
        .find(|line| line.trim().starts_with(&format!("{BEFORE}--")));
    assert!(
        path.is_some_and(|path| path.trim().ends_with(&format!("--{NEW}"))),
        "{report}"
    );

    section.run(&desk);
    section.end();
    assert_eq!(versions(&mut sql), (NEW.to_owned(), NEW.to_owned()));
    rows.assert_kept(&mut sql);
    assert_eq!(sql.one::<String>(notes, &[]), hash);
    assert_alive(&database);
    let dump = restored(&desk, "pre_upgrade.dump", false);
    assert_eq!(dump.connect().one::<String>(notes, &[]), hash);
}

fn roll_back(mut section: Section) {
    let (database, desk) = filled_before();
    let mut sql = database.connect();
    let rows = Rows::of(&mut sql);
    desk.bash("pg_dump -F c -f \"$BACKUP_DIR/pre_upgrade.dump\"")
        .good();
    sql.run("ALTER EXTENSION memory_ext UPDATE");
    sql.run("SELECT memory_add('since the upgrade', id => 'since')");

    section.run(&desk);
    section.end();

    let before = desk.other("_restored");
    let mut restored = before.connect();
    assert_eq!(
        versions(&mut restored),
        (BEFORE.to_owned(), BEFORE.to_owned())
    );
    rows.assert_kept(&mut restored);
    assert_alive(&before);

    // What the section says about doing it over the upgraded database.
    let over = desk.bash("pg_restore -d \"$PGDATABASE\" -c \"$BACKUP_DIR/pre_upgrade.dump\"");
    assert_eq!(over.code, Some(1), "{over:#?}");
    assert!(
        over.errors.contains("errors ignored on restore: 2"),
        "{over:#?}"
    );
    let mut sql = database.connect();
    assert_eq!(versions(&mut sql), (NEW.to_owned(), BEFORE.to_owned()));
    rows.assert_kept(&mut sql);
    sql.run("SELECT memory_migrate()");
    assert_eq!(versions(&mut sql), (NEW.to_owned(), NEW.to_owned()));
    assert_alive(&database);
}
