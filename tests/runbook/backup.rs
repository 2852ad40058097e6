//! docs/backup-and-restore.md

use std::collections::BTreeSet;
use std::fs;

use postgres::{Client, Config, NoTls};

use super::desk::{Desk, records};
use super::encrypted::bk_encrypted_backup;
use super::exchange::{c13_export, c13_import, export_with_sql};
use super::section::{Section, sections};
use super::store::{
    assert_alive, assert_indexed, assert_same_rows, cluster, fill, filled, options, table_hash,
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
    section.run(&desk);

    assert_same_rows(
        "the one that the other sections restore",
        &restored(&desk, "memory.dump", false),
        &database,
    );
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

    // The worker's databases; this server has none.
    let databases = "SELECT current_setting('memory_ext.databases', true)";
    section.run(&desk);
    wait_until("the setting is there", || {
        database.connect().one::<Option<String>>(databases, &[]) == Some(database.name.clone())
    });
    let mut sql = database.connect();
    sql.run("ALTER SYSTEM RESET memory_ext.databases");
    sql.run("SELECT pg_reload_conf()");

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

/// What the section says of the worker: once told whose it is, it removes nothing from a copy.
#[test]
fn the_worker_leaves_a_copy_alone() {
    let mut options = options();
    options.preload = true;
    options.settings.extend([
        "memory_ext.databases = 'nobody'",
        "memory_ext.naptime = '1s'",
    ]);
    let cluster = Cluster::start(options);
    let (database, desk) = filled(&cluster);
    dumped(&desk);
    let copy = restored(&desk, "memory.dump", false);

    Section::open(DOCUMENT, "Restore").run(&desk);

    let expired = "SELECT count(*) FROM memories WHERE expires_at <= now()";
    let mut sql = database.connect();
    // Twice: a round that had begun before has come to its end.
    for _ in 0..2 {
        wait_until("the worker removes what has expired", || {
            sql.one::<i64>(expired, &[]) == 0
        });
        sql.run("INSERT INTO memories (content, expires_at) VALUES ('over again', now() - interval '1 minute')");
    }
    assert_eq!(copy.connect().one::<i64>(expired, &[]), 1);
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

/// What note-1 has beside its row: versions, votes, their changes, uses.
fn around_note_1(sql: &mut Client) -> String {
    sql.one(
        "SELECT concat_ws(E'\\n',
             (SELECT string_agg((to_jsonb(h) - 'history_id')::text, ',' ORDER BY version) FROM memory_history h WHERE memory_id = 'note-1'),
             (SELECT string_agg(to_jsonb(v)::text, ',' ORDER BY id) FROM vote_history v WHERE memory_id = 'note-1'),
             (SELECT string_agg((to_jsonb(c) - 'change_id')::text, ',' ORDER BY changed_at) FROM vote_changes c WHERE memory_id = 'note-1'),
             (SELECT to_jsonb(u)::text FROM memory_usage u WHERE memory_id = 'note-1'))",
        &[],
    )
}

fn bring_back_some_memories(mut section: Section) {
    let (database, desk) = filled(cluster());
    let mut sql = database.connect();
    sql.run("SELECT memory_vote('note-1', 'helpful', 'coder'); SELECT memory_vote('note-1', 'harmful', 'planner')");
    sql.run("SELECT memory_vote('note-1', 'helpful', 'planner'); SELECT memory_touch('{note-1}')");
    let around = around_note_1(&mut sql);
    assert_eq!(around.lines().count(), 4, "{around}");
    dumped(&desk);
    let rows = "SELECT string_agg(m::text, E'\\n' ORDER BY id) FROM memories m WHERE namespace = 'notes' AND id LIKE 'note-%'";
    let before: String = sql.one(rows, &[]);
    // One is erased, one has been changed since, one is new.
    sql.run("SELECT memory_forget(ids => '{note-1}', reason => 'a mistake'); SELECT memory_update('note-2', importance => 1)");
    sql.run("SELECT memory_add('The sails are new', namespace => 'notes', id => 'note-3')");
    let others =
        "SELECT md5(string_agg(m::text, ',' ORDER BY id)) FROM memories m WHERE id <> 'note-1'";
    let unchanged: String = sql.one(others, &[]);
    let versions = "SELECT count(*) FROM memory_history WHERE memory_id <> 'note-1'";
    let versions_before: i64 = sql.one(versions, &[]);
    assert_eq!(around_note_1(&mut sql), "");

    section.run(&desk);
    let report = section.run(&desk);
    section.end();
    let counted: Vec<&str> = report.lines().map(str::trim).collect();
    assert!(
        counted
            .windows(3)
            .any(|lines| lines[0] == "brought_back" && lines[2] == "1"),
        "{report}"
    );
    assert!(
        report.ends_with("(0 rows)\n\n"),
        "the check finds nothing: {report}"
    );
    assert!(
        !desk
            .backup_names()
            .iter()
            .any(|name| name.starts_with("lost.")),
        "no content is left in clear"
    );

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
    assert_eq!(sql.one::<i64>(versions, &[]), versions_before);
    assert_eq!(around_note_1(&mut sql), around);
    sql.run("SELECT memory_vote('note-1', 'helpful', 'coder')");
    assert_eq!(
        sql.one::<String>(
            "SELECT bullet_helpful || ' ' || bullet_harmful FROM memories WHERE id = 'note-1'",
            &[]
        ),
        "2 0",
        "who votes again does not vote twice"
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

/// The block that copies what is missing, with something in it replaced, as other sections say.
pub fn bring_back(what: &str, with: &str) -> String {
    let mut section = Section::open(DOCUMENT, "Bring back some memories");
    section.take("bash");
    let text = section.take("bash");
    assert!(text.contains(what), "{text}");
    text.replace(what, with)
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
    wait_until("the WAL is in the archive", || {
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
    assert_eq!(
        recovered.one::<String>("SHOW memory_ext.databases", &[]),
        ""
    );
    assert_indexed(&mut recovered);

    // What was lost comes back from it.
    assert_ne!(
        sql.one::<Option<String>>(notes, &[]).as_deref(),
        Some(before.as_str())
    );
    let bring_back = bring_back(
        "dbname=${PGDATABASE}_restored",
        "port=5433 dbname=$PGDATABASE",
    );
    desk.bash(&bring_back).good();
    assert_eq!(sql.one::<String>(notes, &[]), before);
    recovered.run("SELECT memory_add('the recovered server takes memories')");
    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memories WHERE id IN ('late', 'too-late') ORDER BY id",
            &[]
        ),
        ["late", "too-late"],
        "what came after the moment is there still"
    );
    drop(recovered);

    section.run(&desk);
    section.end();
    assert!(!desk.backup("recovered").exists());
    drop(guard);
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
