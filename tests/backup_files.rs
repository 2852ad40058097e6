//! The files of backups: where they may lie, who reads them, and that there is never half of one.

mod support;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use postgres::Client;
use serde_json::Value;
use support::backup::{
    backup, database, file, folder, granted, listed, name, put, restore, sh, traces, vault,
};
use support::ended::Running;
use support::{Database, Sql, run, together, wait_until};

/// A small store, and an admin of its project who is nobody else.
fn with_admin() -> (Database<'static>, Client, Client) {
    let database = database();
    let sql = database.connect();
    let (_, admin) = granted(&database, "default", "admin");
    (database, sql, admin)
}

/// A directory outside the one for backups, where the server could write.
fn outside() -> PathBuf {
    let path = vault().directory().join(name());
    sh("mkdir -- \"$1\"", &path);
    path
}

#[test]
fn a_path_that_leads_out_of_the_directory_is_refused() {
    let (_database, mut sql, mut admin) = with_admin();
    let away = outside();
    let (away_text, base) = (
        away.display().to_string(),
        folder(vault()).display().to_string(),
    );
    let whole = name();
    backup(&mut sql, &whole, ", project_id => 'default'");
    fs::copy(file(&whole), away.join("there")).expect("copied");
    fs::set_permissions(away.join("there"), fs::Permissions::from_mode(0o644)).expect("readable");
    sh("mkdir -- \"$1\"", &file("inside"));
    symlink(&away, file("way_out")).expect("a link");
    symlink(away.join("there"), file("link_out")).expect("a link");
    symlink(file(&whole), file("link_in")).expect("a link");
    sh("mkdir -- \"$1\"", &PathBuf::from(format!("{base}-evil")));

    let denied = [
        format!("{away_text}/new"),
        format!("{base}-evil/new"),
        "/etc/passwd".to_owned(),
        "/nowhere/at/all".to_owned(),
        "way_out/new".to_owned(),
        format!("{base}/way_out/new"),
    ];
    for path in &denied {
        admin
            .refused("SELECT memory_backup($1, project_id => 'default')", &[path])
            .is("42501")
            .says("leads out of memory_ext.backup_directory")
            .hints("pg_write_server_files")
            .well_formed();
    }
    for path in [
        "way_out/there",
        "link_out",
        "/etc/passwd",
        &format!("{away_text}/there"),
    ] {
        for function in [
            "memory_backup_verify",
            "memory_restore",
            "memory_backup_rotate",
        ] {
            let rest = if function == "memory_backup_rotate" {
                ", new_passphrase => 'new'"
            } else {
                ""
            };
            admin
                .refused(
                    &format!("SELECT {function}($1, project_id => 'default'{rest})"),
                    &[&path],
                )
                .is("42501")
                .well_formed();
        }
        admin
            .refused(
                "SELECT memory_backup_verify($1, key_file => $2, project_id => 'default')",
                &[&whole, &path],
            )
            .is("42501");
    }
    // For everybody, whatever they may do.
    for path in [
        "../new",
        "inside/../../new",
        "inside/../new",
        "..",
        &format!("{base}/../new"),
    ] {
        for client in [&mut admin, &mut sql] {
            client
                .refused(
                    "SELECT memory_backup($1, project_id => 'default')",
                    &[&path],
                )
                .is("22023")
                .well_formed();
        }
    }
    for path in ["", "/", ".", "inside/", "inside/."] {
        sql.refused("SELECT memory_backup($1)", &[&path])
            .is("22023")
            .says("names no file")
            .hints("ends with the file's name")
            .well_formed();
    }
    sql.refused("SELECT memory_backup(NULL)", &[]).is("22023");
    for length in [220, 300, 5000] {
        sql.refused("SELECT memory_backup($1)", &[&"x".repeat(length)])
            .is("22023")
            .says("name")
            .hints("219 bytes")
            .well_formed();
    }
    sql.query("SELECT memory_backup($1)", &[&"x".repeat(219)])
        .expect("a long name");
    assert_eq!(
        fs::read_dir(&away).expect("a directory").count(),
        1,
        "nothing was written there"
    );
    assert_eq!(
        fs::read_dir(format!("{base}-evil"))
            .expect("a directory")
            .count(),
        0
    );

    // What stays inside is fine, and so is what a superuser names.
    for path in ["inside/new".to_owned(), format!("{base}/inside/newer")] {
        admin
            .query(
                "SELECT memory_backup($1, project_id => 'default')",
                &[&path],
            )
            .expect("inside");
    }
    admin
        .query(
            "SELECT memory_backup_verify('link_in', project_id => 'default')",
            &[],
        )
        .expect("a link that stays inside");
    sql.query("SELECT memory_backup($1)", &[&format!("{away_text}/mine")])
        .expect("a superuser's");
    sql.query("SELECT memory_backup_verify('link_out')", &[])
        .expect("a superuser's");
}

#[test]
fn members_of_the_roles_for_server_files_name_any() {
    let (database, mut sql, _) = with_admin();
    let away = outside().display().to_string();
    let (role, mut admin) = granted(&database, "default", "admin");
    let call = "SELECT memory_backup($1, project_id => 'default')";
    admin.refused(call, &[&format!("{away}/one")]).is("42501");
    sql.run(&format!("GRANT pg_write_server_files TO {role}"));
    admin
        .query(call, &[&format!("{away}/one")])
        .expect("written");
    let verify = "SELECT memory_backup_verify($1, project_id => 'default')";
    admin
        .refused(verify, &[&format!("{away}/one")])
        .is("42501")
        .hints("pg_read_server_files");
    sql.run(&format!("GRANT pg_read_server_files TO {role}"));
    admin
        .query(verify, &[&format!("{away}/one")])
        .expect("read");
}

#[test]
fn without_a_directory_only_absolute_paths_of_the_privileged_are_taken() {
    let (database, mut sql, _) = with_admin();
    sql.run(&format!(
        "ALTER DATABASE {} SET memory_ext.backup_directory = ''",
        database.name
    ));
    let (_, mut admin) = granted(&database, "default", "admin");
    let mut sql = database.connect();
    admin
        .refused("SELECT memory_backup('new', project_id => 'default')", &[])
        .is("42501")
        .hints("SET memory_ext.backup_directory")
        .well_formed();
    sql.refused("SELECT memory_backup('new')", &[])
        .is("55000")
        .hints("SET memory_ext.backup_directory")
        .well_formed();
    sql.query(
        "SELECT memory_backup($1)",
        &[&outside().join("new").display().to_string()],
    )
    .expect("an absolute path");
    for (directory, sqlstate) in [
        ("relative", "55000"),
        ("/nowhere/at/all", "58P01"),
        ("/etc/passwd", "55000"),
    ] {
        sql.run(&format!("SET memory_ext.backup_directory = '{directory}'"));
        sql.refused("SELECT memory_backup('new')", &[])
            .is(sqlstate)
            .says("memory_ext.backup_directory")
            .well_formed();
    }
}

#[test]
fn nothing_is_ever_overwritten() {
    let mut sql = database().connect();
    let taken = name();
    let refuse = |sql: &mut Client, name: &str| {
        for arguments in ["", ", dry_run => true"] {
            sql.refused(&format!("SELECT memory_backup('{name}'{arguments})"), &[])
                .is("58P02")
                .says("exists already")
                .helps()
                .well_formed();
        }
    };
    backup(&mut sql, &taken, "");
    let before = fs::read(file(&taken)).expect("a backup");
    refuse(&mut sql, &taken);
    assert_eq!(fs::read(file(&taken)).expect("a backup"), before);
    // A manifest that was left alone, a directory, a link that leads nowhere.
    let (orphan, directory, dangling) = (name(), name(), name());
    put(&format!("{orphan}.manifest.json"), b"mine");
    refuse(&mut sql, &orphan);
    assert_eq!(
        fs::read(file(&format!("{orphan}.manifest.json"))).expect("a file"),
        b"mine"
    );
    sh("mkdir -- \"$1\"", &file(&directory));
    refuse(&mut sql, &directory);
    symlink("nowhere", file(&dangling)).expect("a link");
    refuse(&mut sql, &dangling);
    assert_eq!(traces(&dangling), std::slice::from_ref(&dangling));
}

#[test]
fn of_two_backups_of_one_name_at_once_one_is_made() {
    let database = large();
    let name = name();
    let outcomes = together(4, |_, start| {
        let mut sql = database.connect();
        start.wait();
        sql.query_one("SELECT memory_backup($1)", &[&name])
            .map(|row| row.get::<_, Value>(0))
    });

    let made: Vec<&Value> = outcomes.iter().flatten().collect();
    assert_eq!(made.len(), 1);
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(
            error.code().map(|code| code.code()),
            Some("58P02"),
            "{error:?}"
        );
    }
    assert_eq!(
        traces(&name),
        [name.clone(), format!("{name}.manifest.json")]
    );
    let verified: Value = database
        .connect()
        .one("SELECT memory_backup_verify($1)", &[&name]);
    assert_eq!(verified["backup_id"], made[0]["backup_id"]);
    assert_eq!(verified["has_manifest"], true);
}

#[test]
fn files_are_the_servers_users_alone() {
    let mut sql = database().connect();
    let name = name();
    let owner = fs::metadata(vault().data())
        .expect("the data directory")
        .uid();
    let private = |name: &str| {
        for file in [file(name), file(&format!("{name}.manifest.json"))] {
            let metadata = fs::metadata(&file).expect("a file");
            assert_eq!(
                (metadata.mode() & 0o7777, metadata.uid(), metadata.nlink()),
                (0o600, owner, 1),
                "{file:?}"
            );
        }
    };
    backup(&mut sql, &name, "");
    private(&name);
    sql.run(&format!(
        "SELECT memory_backup_rotate('{name}', new_passphrase => 'correct horse')"
    ));
    private(&name);
    assert_eq!(
        traces(&name),
        [name.clone(), format!("{name}.manifest.json")]
    );
}

/// A store whose backup takes a while.
fn large() -> Database<'static> {
    let database = vault().database();
    fill_large(&mut database.connect());
    database
}

fn fill_large(sql: &mut Client) {
    sql.run(
        "SELECT memory_init(dimensions => 3, embedder => 'external');
         INSERT INTO memories (content) SELECT n || repeat(' word', 250) FROM generate_series(1, 30000) n",
    );
}

#[test]
fn a_backup_that_is_cancelled_or_cut_off_leaves_nothing() {
    let database = large();
    let mut sql = database.connect();
    let events = "SELECT count(*) FROM memory_events";
    let before: i64 = sql.one(events, &[]);
    for (signal, told) in [
        ("pg_cancel_backend", "ERROR: 57014"),
        ("pg_terminate_backend", "FATAL: 57P01"),
    ] {
        let name = name();
        let backup = Running::start(&database, &format!("SELECT memory_backup('{name}')"));
        wait_until("the backup is being written", || {
            let begun = traces(&name);
            let written =
                |name: &String| fs::metadata(file(name)).is_ok_and(|metadata| metadata.len() > 0);
            begun.iter().any(written)
        });
        assert!(
            traces(&name).iter().all(|file| file.starts_with('.')),
            "no file has its name before it is whole"
        );
        sql.run(&format!("SELECT {signal}({})", backup.pid));
        assert_eq!(backup.refused(), told);
        wait_until("everything is gone", || traces(&name).is_empty());
    }
    assert_eq!(sql.one::<i64>(events, &[]), before);
    // A transaction that is rolled back keeps the file, and the log tells of it.
    let name = name();
    sql.run(&format!("BEGIN; SELECT memory_backup('{name}'); ROLLBACK"));
    assert_eq!(traces(&name).len(), 2);
    sql.run(&format!("SELECT memory_backup_verify('{name}')"));
}

#[test]
fn a_restore_that_is_cancelled_changes_nothing() {
    let database = large();
    let mut sql = database.connect();
    let name = name();
    backup(&mut sql, &name, "");
    sql.run("DELETE FROM memories WHERE content LIKE '1%'");
    let hash = "SELECT count(*) || md5(string_agg(m::text, '' ORDER BY id)) FROM memories m";
    let before: String = sql.one(hash, &[]);
    // At moments of every phase. Where COPY is among them, its context would quote a row, which may be a secret.
    for timeout in (20..=300).step_by(20) {
        sql.run(&format!("SET statement_timeout = {timeout}"));
        let refusal = sql
            .refused(&format!("SELECT memory_restore('{name}')"), &[])
            .is("57014");
        assert_eq!(refusal.context, "", "{timeout}");
        sql.run("RESET statement_timeout");
        assert_eq!(sql.one::<String>(hash, &[]), before, "{timeout}");
    }
    restore(&mut sql, &name, "");
    assert_ne!(sql.one::<String>(hash, &[]), before);
}

/// A small file system of memory inside the directory, if this machine lets us.
fn small_disk(name: &str) -> Option<PathBuf> {
    let path = file(name);
    sh("mkdir -- \"$1\"", &path);
    let owner = fs::metadata(&path).expect("a directory").uid();
    let mounted = Command::new("mount")
        .args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size=256k,uid={owner}"),
            "tmpfs",
        ])
        .arg(&path)
        .output();
    let why = match mounted {
        Ok(output) if output.status.success() => return Some(path),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("skipped: a tmpfs cannot be mounted here: {why}");
    None
}

#[test]
fn a_full_disk_is_said_to_be_full_and_nothing_is_left() {
    let database = large();
    let mut sql = database.connect();
    let name = name();
    let Some(disk) = small_disk(&name) else {
        return;
    };
    let refusals = [
        sql.refused(&format!("SELECT memory_backup('{name}/new')"), &[]),
        sql.refused(&format!("SELECT memory_backup('{name}/newer')"), &[]),
    ];
    let left: Vec<_> = fs::read_dir(&disk).expect("the disk").collect();
    // A small one fits; rotating it needs as much again.
    let mut small = support::backup::database().connect();
    let fits = small.query_one(&format!("SELECT memory_backup('{name}/fits')"), &[]);
    fs::write(disk.join("filler"), vec![0; 300 * 1024]).expect_err("the disk is full now");
    let old = fs::read(disk.join("fits")).expect("a backup");
    let rotation = small.refused(
        &format!("SELECT memory_backup_rotate('{name}/fits', new_passphrase => 'new')"),
        &[],
    );
    let kept = fs::read(disk.join("fits")).expect("a backup");
    run(Command::new("umount").arg(&disk));

    for refusal in refusals {
        refusal.is("53100").says("No space left").well_formed();
    }
    assert_eq!(left.len(), 0, "{left:?}");
    fits.expect("it fits");
    rotation.is("53100");
    assert_eq!(kept, old, "the old one is as it was");
}

/// As where a quota or a file system ends: this needs no mount.
/// As the server's user: only he, and who may everything, limits his processes.
fn limit_files(process: i32, size: &str) {
    let mut prlimit = vault().server.command("prlimit");
    run(prlimit.args([format!("--pid={process}"), format!("--fsize={size}:")]));
}

/// A server of its own, where nobody writes: a page that others have changed would be written by this backend too, and the
/// files of tables have the same limit.
#[test]
fn a_file_that_may_grow_no_further_is_said_to_be_and_nothing_is_left() {
    let cluster = support::backup::vault_with(support::Options {
        settings: vec!["autovacuum = off"],
        ..support::Options::default()
    });
    let (large, small) = (cluster.database(), cluster.database());
    let (mut sql, mut other) = (large.connect(), small.connect());
    fill_large(&mut sql);
    other.run("SELECT memory_init(); SELECT memory_add('words')");
    backup(&mut other, "small", "");
    for client in [&mut sql, &mut other] {
        client.run("VACUUM");
        client.run("CHECKPOINT");
    }
    let refused = |sql: &mut Client, size: &str, call: &str| {
        let process: i32 = sql.one("SELECT pg_backend_pid()", &[]);
        limit_files(process, size);
        let refusal = sql.refused(call, &[]);
        limit_files(process, "unlimited");
        refusal.is("53100").says("File too large").well_formed();
    };
    refused(&mut sql, "200000", "SELECT memory_backup('large')");
    assert_eq!(listed(&cluster).len(), 2, "{:?}", listed(&cluster));
    backup(&mut sql, "large", "");
    // Rotating needs as much again.
    let file = folder(&cluster).join("small");
    let old = fs::read(&file).expect("a backup");
    refused(
        &mut other,
        "100",
        "SELECT memory_backup_rotate('small', new_passphrase => 'new')",
    );
    assert_eq!(fs::read(&file).expect("the backup"), old);
    assert_eq!(listed(&cluster).len(), 4, "{:?}", listed(&cluster));
}

/// A server of its own: a backend that is killed takes all others with it.
#[test]
fn what_a_killed_backend_leaves_the_next_backup_removes() {
    let cluster = support::backup::vault_with(support::Options::default());
    let database = cluster.database();
    fill_large(&mut database.connect());
    let folder = folder(&cluster);
    let unfinished = || -> Vec<String> {
        let entries = fs::read_dir(&folder).expect("the directory");
        let names = entries.map(|entry| entry.expect("an entry").file_name());
        let mut names: Vec<String> = names
            .map(|name| name.into_string().expect("UTF-8"))
            .filter(|name| name.contains(".tmp-"))
            .collect();
        names.sort();
        names
    };
    let mut victim = database.connect();
    let process: i32 = victim.one("SELECT pg_backend_pid()", &[]);
    std::thread::scope(|scope| {
        let call = scope.spawn(|| {
            victim
                .query_one("SELECT memory_backup('cut_off')", &[])
                .expect_err("it does not come to its end")
        });
        wait_until("the backup is being written", || {
            unfinished().iter().any(|name| {
                fs::metadata(folder.join(name)).is_ok_and(|metadata| metadata.len() > 0)
            })
        });
        run(Command::new("kill").args(["-9", &process.to_string()]));
        call.join().expect("the call ends");
    });
    cluster.wait_restarted();
    assert_eq!(unfinished().len(), 2, "the backup and its manifest");
    assert!(!folder.join("cut_off").exists());

    // What only looks alike stays, and what somebody is writing at this moment.
    let kept = [
        ".notes.tmp-0123456789abcdeg",
        ".notes.tmp-0123",
        "notes.tmp-0123456789abcdef",
        ".tmp-0123456789abcdef",
        ".directory.tmp-0123456789abcdef",
    ];
    for name in &kept[..4] {
        fs::write(folder.join(name), "mine").expect("written");
    }
    sh("mkdir -- \"$1\"", &folder.join(kept[4]));
    let mut slow = database.connect();
    let mut sql = database.connect();
    let mut holder = database.connect();
    holder.run("BEGIN; LOCK vote_history IN ACCESS EXCLUSIVE MODE");
    std::thread::scope(|scope| {
        let process: i32 = slow.one("SELECT pg_backend_pid()", &[]);
        let call = scope.spawn(|| slow.query_one("SELECT memory_backup('at_once')", &[]));
        // Stopped anywhere else it might hold what the others need.
        wait_until("the other waits", || {
            sql.one(
                "SELECT count(*) = 1 FROM pg_stat_activity WHERE pid = $1 AND wait_event_type = 'Lock'",
                &[&process],
            )
        });
        run(Command::new("kill").args(["-STOP", &process.to_string()]));
        holder.run("COMMIT");
        let made = sql.query_one("SELECT memory_backup('whole')", &[]);
        let seen = unfinished();
        run(Command::new("kill").args(["-CONT", &process.to_string()]));
        made.expect("a backup");
        assert!(
            seen.iter().any(|name| name.starts_with(".at_once")),
            "{seen:?}"
        );
        assert!(
            !seen.iter().any(|name| name.starts_with(".cut_off")),
            "{seen:?}"
        );
        call.join().expect("it ends").expect("another backup");
    });
    let left = unfinished();
    assert_eq!(left.len(), kept.len(), "{left:?}");
    assert!(kept.iter().all(|name| left.contains(&(*name).to_owned())));
    assert!(cluster.log().contains("has left unfinished"));
    sql.run("SELECT memory_backup_verify('whole'); SELECT memory_backup_verify('at_once')");
}

#[test]
fn what_the_server_may_not_read_or_write_is_said() {
    let mut sql = database().connect();
    let (closed, blind, gone) = (name(), name(), name());
    sh("mkdir -m 500 -- \"$1\"", &file(&closed));
    for arguments in ["", ", dry_run => true"] {
        sql.refused(
            &format!("SELECT memory_backup('{closed}/new'{arguments})"),
            &[],
        )
        .is("42501")
        .says("Permission denied")
        .well_formed();
        sql.refused(
            &format!("SELECT memory_backup('{gone}/new'{arguments})"),
            &[],
        )
        .is("58P01")
        .hints("The directory has to be there")
        .well_formed();
    }
    backup(&mut sql, &blind, "");
    sh("chmod 000 -- \"$1\"", &file(&blind));
    for function in ["memory_restore", "memory_backup_verify"] {
        sql.refused(&format!("SELECT {function}('{blind}')"), &[])
            .is("42501")
            .says("Permission denied")
            .hints("the server's user")
            .well_formed();
        sql.refused(&format!("SELECT {function}('{gone}')"), &[])
            .is("58P01")
            .says("No such file")
            .hints("on the server's machine")
            .well_formed();
        sql.refused(&format!("SELECT {function}('{closed}')"), &[])
            .is("42809")
            .says("no ordinary file")
            .helps()
            .well_formed();
    }
    // A pipe that nobody writes to is not waited for.
    let pipe = name();
    sh("mkfifo -- \"$1\"", &file(&pipe));
    sql.run("SET statement_timeout = '5s'");
    sql.refused(&format!("SELECT memory_restore('{pipe}')"), &[])
        .is("42809");
    sql.refused(
        &format!("SELECT memory_backup_verify('{blind}', key_file => '{pipe}')"),
        &[],
    )
    .is("42809");
}
