//! Backups for clients that reach no file of the server, the reader that needs no server, and changing a backup's key.

mod support;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use postgres::Client;
use postgres::fallible_iterator::FallibleIterator;
use serde_json::{Value, json};
use support::Sql;
use support::backup::{
    SECRET, backup, contents, database, file, furnish, granted, key, name, open_contents, put,
    restore, rows, stranger, vault,
};

const FULL: &str = "include_sensitive => true, confirm_sensitive => true";

/// The pieces of a backup as a driver gets them.
fn pieces(sql: &mut Client, arguments: &str) -> Vec<(i32, String, Vec<u8>)> {
    sql.query(
        &format!("SELECT part, name, data FROM memory_backup_stream({arguments})"),
        &[],
    )
    .expect("a backup")
    .iter()
    .map(|row| (row.get(0), row.get(1), row.get(2)))
    .collect()
}

/// Backup and manifest, put together.
fn joined(pieces: &[(i32, String, Vec<u8>)]) -> (Vec<u8>, Vec<u8>) {
    let of = |name: &str| {
        let parts = pieces.iter().filter(|piece| piece.1 == name);
        parts.flat_map(|piece| piece.2.iter().copied()).collect()
    };
    (of("backup"), of("manifest"))
}

/// The caller's table of pieces.
fn bring(sql: &mut Client, pieces: &[(i32, String, Vec<u8>)]) {
    sql.run("CREATE TEMPORARY TABLE IF NOT EXISTS parts (part integer PRIMARY KEY, name text, data bytea); TRUNCATE parts");
    for (part, name, data) in pieces {
        sql.execute("INSERT INTO parts VALUES ($1, $2, $3)", &[part, name, data])
            .expect("a piece");
    }
}

#[test]
fn bk_2_a_backup_in_pieces_is_the_file_that_the_server_would_write() {
    let database = database();
    let mut sql = database.connect();
    furnish(&mut sql);
    sql.run("INSERT INTO memories (id, content) SELECT 'long ' || n, repeat('word ', 4000) || n FROM generate_series(1, 60) n");
    let before = contents(&mut sql);
    let mut sizes = Vec::new();
    for size in [1024, 100_000, 1_048_576, 16_777_216] {
        let pieces = pieces(&mut sql, &format!("chunk_size => {size}, {FULL}"));

        let numbers: Vec<i32> = pieces.iter().map(|piece| piece.0).collect();
        assert_eq!(numbers, (1..=numbers.len() as i32).collect::<Vec<_>>());
        let (last, of_backup) = pieces.split_last().expect("pieces");
        assert_eq!(last.1, "manifest");
        assert!(of_backup.iter().all(|piece| piece.1 == "backup"));
        let (_, whole) = of_backup.split_last().expect("pieces");
        assert!(whole.iter().all(|piece| piece.2.len() == size));
        let (bytes, manifest) = joined(&pieces);
        sizes.push(bytes.len());
        // The server reads it as a file of its own.
        let name = name();
        put(&name, &bytes);
        put(&format!("{name}.manifest.json"), &manifest);
        let mut other = vault().database().connect();
        restore(&mut other, &name, ", confirm_sensitive => true");
        assert_eq!(contents(&mut other), before);
        // And from a table, in these pieces.
        let mut third = vault().database().connect();
        bring(&mut third, &pieces);
        let report: Value = third.one(
            "SELECT memory_restore_stream('parts', confirm_sensitive => true)",
            &[],
        );
        assert_eq!(contents(&mut third), before);
        assert_eq!(
            (&report["path"], &report["has_manifest"]),
            (&json!("parts"), &json!(true))
        );
        assert_eq!(
            third.one::<i64>("SELECT count(*) FROM parts", &[]),
            pieces.len() as i64
        );
    }
    // Each has one event more than the one before: that it was made.
    let made = backup(&mut sql, &name(), &format!(", {FULL}"));
    sizes.push(made["size"].as_u64().expect("a size") as usize);
    assert!(
        sizes
            .windows(2)
            .all(|pair| (300..700).contains(&(pair[1] - pair[0]))),
        "{sizes:?}"
    );
    let events: Vec<Value> = sql.column(
        "SELECT payload FROM memory_events WHERE event = 'backup' AND payload ->> 'path' IS NULL",
        &[],
    );
    assert_eq!(events.len(), 4);
}

#[test]
fn a_client_that_wants_little_memory_takes_piece_after_piece() {
    let mut sql = database().connect();
    sql.run("INSERT INTO memories (content) SELECT repeat('word ', 2000) || n FROM generate_series(1, 200) n");
    let mut transaction = sql.transaction().expect("a transaction");
    transaction.run("DECLARE pieces CURSOR FOR SELECT part, name, data FROM memory_backup_stream(chunk_size => 65536)");
    let mut fetched = Vec::new();
    loop {
        let rows = transaction
            .query("FETCH 3 FROM pieces", &[])
            .expect("pieces");
        if rows.is_empty() {
            break;
        }
        fetched.extend(rows.iter().map(|row| {
            (
                row.get::<_, i32>(0),
                row.get::<_, String>(1),
                row.get::<_, Vec<u8>>(2),
            )
        }));
    }
    transaction.commit().expect("committed");
    let streamed = {
        let mut count = 0;
        let mut pieces = sql
            .query_raw(
                "SELECT data FROM memory_backup_stream(chunk_size => 65536)",
                Vec::<String>::new(),
            )
            .expect("pieces");
        while pieces.next().expect("a piece").is_some() {
            count += 1;
        }
        count
    };

    assert!(fetched.len() > 20, "{} pieces", fetched.len());
    assert_eq!(streamed, fetched.len());
    let name = name();
    let (bytes, manifest) = joined(&fetched);
    put(&name, &bytes);
    put(&format!("{name}.manifest.json"), &manifest);
    sql.run(&format!("SELECT memory_backup_verify('{name}')"));
    // Where a value is expected, too.
    assert_eq!(
        sql.query(
            "SELECT (memory_backup_stream(chunk_size => 65536)).part",
            &[]
        )
        .expect("pieces")
        .len(),
        fetched.len()
    );
}

#[test]
fn pieces_of_any_size_will_do_and_wrong_ones_will_not() {
    let mut sql = database().connect();
    furnish(&mut sql);
    let original = pieces(&mut sql, FULL);
    let before = contents(&mut sql);
    let (bytes, manifest) = joined(&original);
    let mut other = vault().database().connect();
    let call = "SELECT memory_restore_stream('parts', confirm_sensitive => true)";
    let cut = |size: usize| -> Vec<(i32, String, Vec<u8>)> {
        let parts = bytes.chunks(size).enumerate();
        parts
            .map(|(number, data)| (number as i32 * 10 - 7, "backup".to_owned(), data.to_vec()))
            .collect()
    };
    // Out of order they are no backup, whatever order the table is in.
    let mut wrong = cut(5000);
    wrong[1].0 = 1_000_000;
    let mut missing = cut(5000);
    missing.remove(2);
    let mut foreign = cut(5000);
    let other_manifest = joined(&pieces(&mut sql, FULL)).1;
    foreign.push((9999, "manifest".to_owned(), other_manifest));
    for (what, parts) in [
        ("out of order", &wrong),
        ("one missing", &missing),
        ("the manifest of another", &foreign),
    ] {
        bring(&mut other, parts);
        let refusal = other.refused(call, &[]).is("22000").well_formed();
        assert_eq!(refusal.message, "wrong key or damaged backup", "{what}");
        assert!(!other.one::<bool>("SELECT to_regclass('memories') IS NOT NULL", &[]));
    }
    bring(&mut other, &[]);
    other.refused(call, &[]).is("22000").says("is empty");
    for (size, with_manifest) in [(777, true), (1 << 30, false)] {
        let mut other = vault().database().connect();
        let mut parts = cut(size);
        if with_manifest {
            parts.extend(
                manifest
                    .chunks(10)
                    .enumerate()
                    .map(|(at, data)| (100_000 + at as i32, "manifest".to_owned(), data.to_vec())),
            );
        }
        bring(&mut other, &parts);
        let report: Value = other.one(call, &[]);
        assert_eq!(report["has_manifest"], with_manifest);
        assert_eq!(contents(&mut other), before);
    }
}

#[test]
fn the_pieces_are_read_with_the_callers_rights() {
    let database = database();
    let mut owner = database.connect();
    furnish(&mut owner);
    let parts = pieces(&mut owner, "");
    owner.run("CREATE TABLE hidden (part integer, name text, data bytea); CREATE TABLE short (part integer, data bytea)");
    let (role, mut admin) = granted(&database, "default", "admin");
    let call =
        |table: &str| format!("SELECT memory_restore_stream('{table}', project_id => 'default')");
    admin.refused(&call("hidden"), &[]).is("42501");
    admin
        .refused(&call("no_table"), &[])
        .is("22023")
        .hints("CREATE TEMPORARY TABLE parts")
        .well_formed();
    admin
        .refused(&call("short"), &[])
        .is("22023")
        .says("lacks")
        .well_formed();
    admin.refused(&call("hidden; DROP TABLE hidden"), &[]);
    admin.refused(&call(""), &[]).is("22023");
    owner.run("DROP TABLE short");
    // A view runs as whoever made it may, and what it calls cannot do more than the caller.
    owner.run(&format!(
        "CREATE SCHEMA theirs AUTHORIZATION {role}; GRANT TEMPORARY ON DATABASE {} TO {role}",
        database.name
    ));
    admin.run("CREATE FUNCTION theirs.try() RETURNS text LANGUAGE plpgsql AS $$ BEGIN DELETE FROM public.memories; RETURN 'backup'; END $$;
               CREATE VIEW theirs.trap AS SELECT 1 AS part, theirs.try() AS name, ''::bytea AS data");
    admin.refused(&call("theirs.trap"), &[]).is("42501");
    bring(&mut admin, &parts);
    admin.run(&call("parts"));
    admin.run(&call("pg_temp.parts"));
    // A table may be called anything.
    admin.run("CREATE TEMPORARY TABLE \"od'd \"\"name\" AS SELECT * FROM parts");
    admin
        .query(
            "SELECT memory_restore_stream($1, project_id => 'default')",
            &[&"\"od'd \"\"name\""],
        )
        .expect("quoted");
}

#[test]
fn a_stream_obeys_the_rules_of_a_backup() {
    let database = database();
    let mut sql = database.connect();
    furnish(&mut sql);
    let (_, mut admin) = granted(&database, "other", "admin");
    for size in [0, -1, 1023, 16_777_217] {
        sql.refused(
            &format!("SELECT * FROM memory_backup_stream(chunk_size => {size})"),
            &[],
        )
        .is("22023")
        .says("expected a number from 1024 to 16777216");
    }
    admin
        .refused("SELECT * FROM memory_backup_stream()", &[])
        .is("42501");
    admin
        .refused(
            "SELECT * FROM memory_backup_stream(project_id => 'default')",
            &[],
        )
        .is("42501");
    database
        .connect_as(&stranger())
        .refused("SELECT * FROM memory_backup_stream()", &[])
        .is("42501");
    let mine = pieces(&mut admin, "project_id => 'other'");
    let name = name();
    put(&name, &joined(&mine).0);
    assert_eq!(rows(&file(&name), &key(), "memories").len(), 1);
    sql.run("BEGIN READ ONLY");
    sql.refused("SELECT * FROM memory_backup_stream()", &[])
        .is("25006");
    sql.run("ROLLBACK");
    // It leaves no file, and a client that stops fetching leaves nothing at all.
    sql.run("BEGIN; DECLARE pieces CURSOR FOR SELECT * FROM memory_backup_stream(); FETCH 1 FROM pieces; ROLLBACK");
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM memory_events WHERE event = 'backup' AND role = 'postgres'",
            &[]
        ),
        0
    );
}

/// The program, built beside the extension.
fn reader() -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let path = test
        .ancestors()
        .nth(2)
        .expect("target/release")
        .join("memory-backup");
    assert!(
        path.exists(),
        "{} is not there: run make build",
        path.display()
    );
    path
}

fn read(arguments: &[&str], passphrase: Option<&str>) -> Output {
    let mut command = Command::new(reader());
    command
        .args(arguments)
        .stdin(Stdio::null())
        .env_remove("MEMORY_BACKUP_PASSPHRASE");
    if let Some(passphrase) = passphrase {
        command.env("MEMORY_BACKUP_PASSPHRASE", passphrase);
    }
    command.output().expect("it runs")
}

fn text(path: &Path) -> &str {
    path.to_str().expect("ASCII")
}

#[test]
fn a_backup_opens_without_a_server() {
    let mut sql = database().connect();
    furnish(&mut sql);
    let name = name();
    let made = backup(&mut sql, &name, &format!(", {FULL}"));
    let (path, key_file) = (file(&name), vault().directory().join("key"));

    let verified = read(
        &["verify", text(&path), "--key-file", text(&key_file)],
        None,
    );
    let said = String::from_utf8_lossy(&verified.stdout).into_owned();
    assert!(
        verified.status.success(),
        "{said}{}",
        String::from_utf8_lossy(&verified.stderr)
    );
    assert!(
        said.contains(made["sha256"].as_str().expect("a hash"))
            && said.contains("manifest.json, verified"),
        "{said}"
    );
    let shown = read(&["show", text(&path)], None);
    assert!(
        String::from_utf8_lossy(&shown.stdout).contains(made["backup_id"].as_str().expect("an id"))
    );

    let decrypted = read(
        &[
            "decrypt",
            text(&path),
            "--key-file",
            text(&key_file),
            "--table",
            "memories",
        ],
        None,
    );
    assert!(
        decrypted.status.success(),
        "{}",
        String::from_utf8_lossy(&decrypted.stderr)
    );
    let found: Vec<Value> = String::from_utf8(decrypted.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let expected: Vec<Value> = sql.column(
        "SELECT to_jsonb(m) - 'embedding_sketch' - 'content_tsv' - 'content_hash' FROM memories m",
        &[],
    );
    assert_eq!(found.len(), expected.len());
    for memory in expected {
        let same = found
            .iter()
            .find(|row| row["id"] == memory["id"] && row["project_id"] == memory["project_id"])
            .expect("the memory");
        for column in [
            "content",
            "metadata",
            "version",
            "is_sensitive",
            "key",
            "importance",
            "bullet_helpful",
        ] {
            assert_eq!(same[column], memory[column], "{column}");
        }
    }
    let wrong = read(&["verify", text(&path), "--key-file", text(&path)], None);
    assert!(!wrong.status.success());
}

#[test]
fn a_key_is_changed_here_or_there() {
    let mut sql = database().connect();
    furnish(&mut sql);
    let before = open_contents(&mut sql);
    let name = name();
    let made = backup(&mut sql, &name, "");
    let (path, key_file) = (file(&name), vault().directory().join("key"));
    let body = fs::read(&path).expect("a backup")[1024..].to_vec();

    // By the server: from its key to a passphrase.
    let rotated: Value = sql.one(
        &format!("SELECT memory_backup_rotate('{name}', new_passphrase => 'first')"),
        &[],
    );
    assert_eq!(
        (&rotated["key"], &rotated["backup_id"], &rotated["size"]),
        (&json!("argon2id"), &made["backup_id"], &made["size"])
    );
    assert_ne!(rotated["sha256"], made["sha256"]);
    assert_eq!(
        fs::read(&path).expect("a backup")[1024..],
        body,
        "the rest stays what it is"
    );
    sql.refused(&format!("SELECT memory_backup_verify('{name}')"), &[])
        .is("22023");
    assert!(
        read(&["verify", text(&path)], Some("first"))
            .status
            .success()
    );
    let payload: Value = sql.one(
        "SELECT payload FROM memory_events WHERE event = 'rotate'",
        &[],
    );
    assert_eq!(payload["backup_id"], made["backup_id"]);
    // To another passphrase, and, by the program, to a key file.
    sql.run(&format!(
        "SELECT memory_backup_rotate('{name}', passphrase => 'first', new_passphrase => 'second')"
    ));
    sql.refused(
        &format!("SELECT memory_backup_verify('{name}', passphrase => 'first')"),
        &[],
    )
    .is("22000");
    let help = read(&["--help"], None);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("--new-key-file"), "{help}");
    let by_program = read(
        &["rotate", text(&path), "--new-key-file", text(&key_file)],
        Some("second"),
    );
    assert!(
        by_program.status.success(),
        "{}",
        String::from_utf8_lossy(&by_program.stderr)
    );
    let verified: Value = sql.one(&format!("SELECT memory_backup_verify('{name}')"), &[]);
    assert_eq!(
        (&verified["key"], &verified["has_manifest"]),
        (&json!("raw"), &json!(true))
    );
    let mut other = vault().database().connect();
    restore(&mut other, &name, "");
    assert_eq!(contents(&mut other), before);

    // A key that does not open it changes nothing; nor is anything guessed.
    let bytes = fs::read(&path).expect("a backup");
    put("wrong.key", "cd".repeat(32).as_bytes());
    for (arguments, sqlstate) in [
        (
            ", key_file => 'wrong.key', new_passphrase => 'third'",
            "22000",
        ),
        ("", "22023"),
        (
            ", passphrase => 'a', key_file => 'wrong.key', new_passphrase => 'third'",
            "22023",
        ),
        (", new_passphrase => ''", "22023"),
    ] {
        sql.refused(
            &format!("SELECT memory_backup_rotate('{name}'{arguments})"),
            &[],
        )
        .is(sqlstate)
        .well_formed();
        assert_eq!(fs::read(&path).expect("a backup"), bytes);
    }
    // A damaged one is not rewrapped, which would make it look sound.
    let damaged = support::backup::name();
    let mut broken = bytes.clone();
    let last = broken.len() - 1;
    broken[last] ^= 1;
    put(&damaged, &broken);
    sql.refused(
        &format!("SELECT memory_backup_rotate('{damaged}', new_passphrase => 'third')"),
        &[],
    )
    .is("22000");
    assert_eq!(fs::read(file(&damaged)).expect("a file"), broken);
}

#[test]
fn copy_brings_a_backup_file_to_a_server_that_cannot_reach_it() {
    let mut sql = database().connect();
    furnish(&mut sql);
    let name = name();
    backup(&mut sql, &name, "");
    let bytes = fs::read(file(&name)).expect("a backup");
    let mut other = vault().database().connect();
    other.run("CREATE TEMPORARY TABLE parts (part integer PRIMARY KEY, name text, data bytea)");
    let mut copy = other.copy_in("COPY parts FROM STDIN").expect("COPY");
    for (number, piece) in bytes.chunks(100_000).enumerate() {
        let digits: String = piece.iter().map(|byte| format!("{byte:02x}")).collect();
        copy.write_all(format!("{number}\tbackup\t\\\\x{digits}\n").as_bytes())
            .expect("a piece");
    }
    copy.finish().expect("copied");

    other.run("SELECT memory_restore_stream('parts')");

    assert_eq!(contents(&mut other), open_contents(&mut sql));
    assert!(
        !rows(&file(&name), &key(), "memories")
            .iter()
            .any(|row| row.to_string().contains(SECRET))
    );
}
