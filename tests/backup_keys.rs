//! Keys and passphrases of backups: in which forms they come, that there is none by default, and that they show nowhere.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use support::backup::{
    backup, database, file, folder, furnish, granted, listed, name, noticing, put, sh, traces,
    vault_with,
};
use support::{Options, Sql};

#[test]
fn a_key_is_32_bytes_in_one_of_the_forms_or_a_passphrase() {
    let mut sql = database().connect();
    let name = name();
    backup(&mut sql, &name, "");
    let raw = [7u8; 32];
    let digits = "07".repeat(32);
    let good = [
        raw.to_vec(),
        digits.clone().into_bytes(),
        format!("{digits}\n").into_bytes(),
        format!("{digits}\r\n").into_bytes(),
        b"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=".to_vec(),
        b"BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n".to_vec(),
    ];
    let key_file = support::backup::name();
    let verify = format!("SELECT memory_backup_verify('{name}', key_file => '{key_file}')");
    for form in good {
        put(&key_file, &form);
        sql.run(&verify);
    }
    for form in [
        &b""[..],
        b"\n",
        &raw[..31],
        &[7; 33],
        b"an ordinary passphrase of 32 byt",
        "0".repeat(63).as_bytes(),
        "g".repeat(64).as_bytes(),
        &[b'0'; 5000],
        b"passphrase:",
        b"passphrase:one\ntwo",
    ] {
        put(&key_file, form);
        let refusal = sql
            .refused(&verify, &[])
            .is("22023")
            .hints("openssl rand -hex 32")
            .well_formed();
        assert!(
            form.len() < 8
                || !refusal
                    .message
                    .contains(&String::from_utf8_lossy(&form[form.len() - 8..]).into_owned()),
            "{refusal:?}"
        );
    }
    let by_phrase = support::backup::name();
    // Written as in "name: value", too.
    for (place, form) in [
        b"passphrase:correct horse\n",
        &b"passphrase: correct horse\n"[..],
    ]
    .into_iter()
    .enumerate()
    {
        put(&key_file, form);
        let made = format!("{by_phrase}.{place}");
        backup(&mut sql, &made, &format!(", key_file => '{key_file}'"));
        let verified: Value = sql.one(
            &format!("SELECT memory_backup_verify('{made}', passphrase => 'correct horse')"),
            &[],
        );
        assert_eq!(verified["key"], "argon2id");
    }
    sql.refused(
        &format!("SELECT memory_backup('{by_phrase}x', passphrase => '')"),
        &[],
    )
    .is("22023")
    .says("empty");
    sql.refused(
        &format!(
            "SELECT memory_backup('{by_phrase}x', passphrase => 'a', key_file => '{key_file}')"
        ),
        &[],
    )
    .is("22023")
    .says("both")
    .helps()
    .well_formed();
}

#[test]
fn there_is_no_default_key() {
    let database = database();
    let mut sql = database.connect();
    let missing = name();
    for (setting, sqlstate) in [
        ("", "22023"),
        ("relative", "55000"),
        ("/nowhere/at/all", "58P01"),
        ("/etc/passwd", "22023"),
        ("/etc", "42809"),
    ] {
        sql.run(&format!("SET memory_ext.backup_key_file = '{setting}'"));
        for call in [
            format!("SELECT memory_backup('{missing}')"),
            format!("SELECT memory_backup('{missing}', dry_run => true)"),
            "SELECT * FROM memory_backup_stream()".to_owned(),
        ] {
            sql.refused(&call, &[]).is(sqlstate).well_formed();
        }
        assert!(traces(&missing).is_empty());
    }
    sql.run("SET memory_ext.backup_key_file = ''");
    sql.refused(&format!("SELECT memory_backup('{missing}')"), &[])
        .says("no key")
        .hints("openssl rand -hex 32");
    // Where it is, is the superuser's to know.
    let (_, mut admin) = granted(&database, "default", "admin");
    admin.run("SELECT memory_count()");
    admin
        .refused("SHOW memory_ext.backup_key_file", &[])
        .is("42501");
    admin
        .refused("SET memory_ext.backup_key_file = '/etc/passwd'", &[])
        .is("42501");
    admin
        .refused("SET memory_ext.backup_directory = '/etc'", &[])
        .is("42501");
}

#[test]
fn a_missing_key_of_the_server_is_told_without_its_place() {
    let database = database();
    let mut sql = database.connect();
    sql.run(&format!(
        "ALTER DATABASE {} SET memory_ext.backup_key_file = '/nowhere/hidden-place'",
        database.name
    ));
    let (_, mut admin) = granted(&database, "default", "admin");
    admin
        .refused(
            &format!(
                "SELECT memory_backup('{}', project_id => 'default')",
                name()
            ),
            &[],
        )
        .is("58P01")
        .says("memory_ext.backup_key_file")
        .keeps("hidden-place");
}

#[test]
fn a_key_that_the_server_may_not_read_is_told_as_such() {
    let database = database();
    let mut sql = database.connect();
    let (closed, made) = (name(), name());
    // Of the server's user, who may not read it all the same.
    sh(
        "printf %064d 7 >\"$1\" && chmod 000 -- \"$1\"",
        &file(&closed),
    );
    backup(&mut sql, &made, "");
    let kept = fs::read(file(&made)).expect("a backup");
    for call in [
        format!("memory_backup('{}', key_file => '{closed}')", name()),
        format!("memory_backup_verify('{made}', key_file => '{closed}')"),
        format!("memory_restore('{made}', key_file => '{closed}')"),
        format!("memory_backup_rotate('{made}', new_key_file => '{closed}')"),
    ] {
        sql.refused(&format!("SELECT {call}"), &[])
            .is("42501")
            .says(&format!("{closed:?}"))
            .says("Permission denied")
            .well_formed();
    }
    sql.run(&format!(
        "SET memory_ext.backup_key_file = '{}'",
        file(&closed).display()
    ));
    for call in [
        format!("memory_backup('{}')", name()),
        format!("memory_backup_verify('{made}')"),
        format!("memory_restore('{made}')"),
    ] {
        sql.refused(&format!("SELECT {call}"), &[])
            .is("42501")
            .says("memory_ext.backup_key_file")
            .says("Permission denied")
            .keeps(&closed)
            .well_formed();
    }
    assert_eq!(fs::read(file(&made)).expect("the backup"), kept);
}

#[test]
fn a_key_file_that_everybody_reads_brings_a_warning() {
    let (mut sql, heard) = noticing(&database());
    let (open, closed) = (name(), name());
    for (file_name, mode) in [(&open, 0o644), (&closed, 0o600)] {
        put(file_name, "07".repeat(32).as_bytes());
        sh("cp -- \"$1\" \"$1.own\"", &file(file_name));
        fs::set_permissions(
            file(&format!("{file_name}.own")),
            fs::Permissions::from_mode(mode),
        )
        .expect("set");
    }
    backup(&mut sql, &name(), &format!(", key_file => '{closed}.own'"));
    assert_eq!(*heard.lock().expect("not poisoned"), [""; 0]);
    backup(&mut sql, &name(), &format!(", key_file => '{open}.own'"));
    let heard = heard.lock().expect("not poisoned");
    assert!(
        heard
            .iter()
            .any(|line| line.starts_with("WARNING") && line.contains("can be read by every user")),
        "{heard:?}"
    );
}

#[test]
fn pr_8_a_passphrase_shows_nowhere() {
    const PHRASE: &str = "correct-horse-battery";
    let cluster = vault_with(Options {
        settings: vec![
            "log_min_error_statement = 'debug5'",
            "log_min_messages = 'info'",
            "log_error_verbosity = 'verbose'",
            "log_parameter_max_length = 0",
        ],
        ..Options::default()
    });
    let database = cluster.database();
    let mut sql = database.connect();
    sql.run("SELECT memory_init(); SELECT memory_add('words')");
    let process: i32 = sql.one("SELECT pg_backend_pid()", &[]);
    let mut watcher = database.connect();
    let mut shown = |what: &str| {
        let query: String = watcher.one(
            "SELECT query FROM pg_stat_activity WHERE pid = $1",
            &[&process],
        );
        assert!(!query.contains(PHRASE), "after {what}: {query}");
    };
    // As literals: nothing tells of them but settings that log every statement.
    for (call, sqlstate) in [
        (
            format!("SELECT memory_backup('b', passphrase => '{PHRASE}')"),
            None,
        ),
        (
            format!("SELECT memory_backup('b', passphrase => '{PHRASE}')"),
            Some("58P02"),
        ),
        (
            format!("SELECT memory_backup_verify('b', passphrase => '{PHRASE}')"),
            None,
        ),
        (
            format!("SELECT memory_backup_verify('b', passphrase => '{PHRASE} ')"),
            Some("22000"),
        ),
        (
            format!("SELECT memory_backup('../b', passphrase => '{PHRASE}')"),
            Some("22023"),
        ),
        (
            format!("SELECT memory_backup('c', passphrase => '{PHRASE}', key_file => 'k')"),
            Some("22023"),
        ),
        (
            format!("SELECT memory_restore('b', passphrase => '{PHRASE}')"),
            None,
        ),
        (
            format!("SELECT memory_restore('nothing', passphrase => '{PHRASE}')"),
            Some("58P01"),
        ),
        (
            format!(
                "SELECT memory_backup_rotate('b', passphrase => '{PHRASE}', new_passphrase => '{PHRASE}-2')"
            ),
            None,
        ),
        (
            format!(
                "SELECT memory_backup_rotate('b', passphrase => '{PHRASE}', new_passphrase => '{PHRASE}-3')"
            ),
            Some("22000"),
        ),
        (
            format!("SELECT count(*) FROM memory_backup_stream(passphrase => '{PHRASE}')"),
            None,
        ),
        (
            format!("SELECT memory_restore_stream('no_table', passphrase => '{PHRASE}')"),
            Some("22023"),
        ),
    ] {
        match sqlstate {
            None => sql.run(&call),
            Some(sqlstate) => drop(
                sql.refused(&call, &[])
                    .is(sqlstate)
                    .keeps(PHRASE)
                    .well_formed(),
            ),
        }
        shown(&call);
    }
    // As literals in a function, whose statements are CONTEXT.
    for (call, sqlstate) in [
        (
            "memory_backup_verify('nothing', passphrase => 'PHRASE')",
            "58P01",
        ),
        ("memory_backup_verify('b', passphrase => 'PHRASE')", "22000"),
        ("memory_backup('b', passphrase => 'PHRASE')", "58P02"),
        (
            "memory_restore_stream('no_table', passphrase => 'PHRASE')",
            "22023",
        ),
    ] {
        let block = format!(
            "DO $$ BEGIN PERFORM {}; END $$",
            call.replace("PHRASE", PHRASE)
        );
        sql.refused(&block, &[]).is(sqlstate).keeps(PHRASE);
    }
    // Others have their context, after one whose was left out.
    let refusal = sql
        .refused("DO $$ BEGIN PERFORM memory_backup_verify('b', passphrase => 'x'); EXCEPTION WHEN others THEN RAISE 'another'; END $$", &[])
        .says("another");
    assert!(refusal.context.contains("PL/pgSQL function"), "{refusal:?}");
    // As parameters: not even those tell, with the advice of the documentation.
    sql.run("SET log_statement = 'all'; SET log_min_duration_statement = 0; SET log_parameter_max_length_on_error = 0");
    sql.query("SELECT memory_backup('p', passphrase => $1)", &[&PHRASE])
        .expect("a backup");
    sql.refused(
        "SELECT memory_backup_verify('p', passphrase => $1)",
        &[&format!("{PHRASE} ")],
    )
    .is("22000")
    .keeps(PHRASE);
    shown("parameters");
    let told: String = sql.one(
        "SELECT coalesce(string_agg(e::text, ''), '') FROM memory_events e",
        &[],
    );
    assert!(told.contains("backup") && !told.contains(PHRASE));
    let log = cluster.log();
    assert!(log.contains("made backup") && log.contains("wrong key or damaged backup"));
    let line = log.lines().find(|line| line.contains(PHRASE));
    assert_eq!(line, None);
    for listed in listed(&cluster) {
        let bytes = fs::read(folder(&cluster).join(&listed)).expect("a file");
        assert!(
            !bytes
                .windows(PHRASE.len())
                .any(|window| window == PHRASE.as_bytes()),
            "{listed}"
        );
    }
}

#[test]
fn a_failing_call_leaves_the_sessions_logging_as_it_was() {
    let mut sql = database().connect();
    furnish(&mut sql);
    let level = "SELECT current_setting('log_min_error_statement')";
    let before: String = sql.one(level, &[]);
    sql.refused(
        "SELECT memory_backup_verify('nothing', passphrase => 'x')",
        &[],
    )
    .is("58P01");
    assert_eq!(sql.one::<String>(level, &[]), before);
    sql.run("BEGIN; SAVEPOINT s");
    sql.refused(
        "SELECT memory_backup_verify('nothing', passphrase => 'x')",
        &[],
    )
    .is("58P01");
    sql.run("ROLLBACK TO s");
    assert_eq!(sql.one::<String>(level, &[]), before);
    sql.run(&format!(
        "SELECT memory_backup('{}', passphrase => 'x'); COMMIT",
        name()
    ));
    assert_eq!(sql.one::<String>(level, &[]), before);
}
