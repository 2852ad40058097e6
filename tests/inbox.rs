//! memory_import_inbox: files that \copy brings, line by line.

mod support;

use std::fs;
use std::process::Output;

use serde_json::Value;
use support::transfer::{
    ALL, AS_IT_IS, bring, contents, counts, export, fill, growth, hash_but_events, many,
    quick_store,
};
use support::{Database, Sql, cluster, database, granted, role, run, together, wait_until};

/// psql with these commands in one session, and settings of its environment.
fn psql(database: &Database, role: &str, settings: &[(&str, &str)], commands: &[&str]) -> Output {
    let mut psql = cluster().client("psql", &database.name);
    psql.args([
        "-XAtq",
        "-v",
        "ON_ERROR_STOP=1",
        "-v",
        "VERBOSITY=verbose",
        "-U",
        role,
    ]);
    for command in commands {
        psql.args(["-c", command]);
    }
    psql.envs(settings.iter().copied());
    psql.output().expect("psql runs")
}

fn file(name: &str, bytes: &[u8]) -> String {
    let path = cluster().directory().join(name);
    fs::write(&path, bytes).expect("written");
    path.display().to_string()
}

fn copy(file: &str) -> String {
    format!("\\copy memory_import_inbox(line) FROM '{file}' {AS_IT_IS}")
}

fn lines_in(sql: &mut postgres::Client) -> i64 {
    sql.one("SELECT count(*) FROM memory_import_lines", &[])
}

#[test]
fn c13_a_file_goes_out_and_in_by_psql() {
    let source = database();
    fill(&mut source.connect());
    let out = cluster().directory().join("whole.jsonl");
    let out = out.display();
    let target = database();
    let mut sql = target.connect();
    sql.run("INSERT INTO memory_types (memory_type, half_life_days) VALUES ('lesson', 45)");
    for command in [
        format!("psql -XAtq -c \"SELECT memory_export({ALL})\" > {out}"),
        format!("psql -Xq -c \"\\copy (SELECT memory_export({ALL})) TO '{out}' {AS_IT_IS}\""),
    ] {
        sql.run("DELETE FROM memories");
        let mut shell = cluster().server.command("sh");
        let program = cluster().server.program("psql");
        let command = command.replace("psql ", &format!("{} ", program.display()));
        shell
            .args(["-ec", &command])
            .envs(cluster().environment(&source.name));
        run(&mut shell);
        let imported = psql(
            &target,
            "postgres",
            &[],
            &[
                "BEGIN",
                &copy(&out.to_string()),
                "SELECT memory_import_inbox(confirm_sensitive => true)",
                "COMMIT",
            ],
        );
        assert!(imported.status.success(), "{imported:?}");
        let report: Value = serde_json::from_slice(&imported.stdout).expect("a report");
        assert_eq!(report["format"], "memory_ext");
        assert_eq!(contents(&mut sql), contents(&mut source.connect()));
        assert_eq!(lines_in(&mut sql), 0);
        sql.run("DELETE FROM memory_history");
    }
    // Once more changes nothing.
    let before = hash_but_events(&mut sql);
    let again = psql(
        &target,
        "postgres",
        &[],
        &[
            &copy(&out.to_string()),
            "SELECT memory_import_inbox(confirm_sensitive => true, on_conflict => 'error')",
        ],
    );
    let report: Value = serde_json::from_slice(&again.stdout).expect("a report");
    assert_eq!(report["imported"], 0, "{report}");
    assert_eq!(hash_but_events(&mut sql), before);
}

#[test]
fn a_bad_line_73412_of_a_big_file_is_named_and_nothing_is_kept() {
    let database = cluster().database();
    let mut sql = quick_store(&database);
    let mut lines = many(80_000);
    let good = lines[73_411].replace("2026-01-01", "2026-02-30");
    let good = std::mem::replace(&mut lines[73_411], good);
    let column = lines[73_411].find("\"2026").expect("the value") + 1;
    let name = file("bad.jsonl", (lines.join("\n") + "\n").as_bytes());
    let copied = psql(&database, "postgres", &[], &[&copy(&name)]);
    assert!(copied.status.success(), "{copied:?}");
    let before = hash_but_events(&mut sql);
    for call in [
        "SELECT memory_import_inbox()",
        "SELECT memory_import_inbox(dry_run => true)",
    ] {
        let refusal = sql.refused(call, &[]);
        assert_eq!(
            refusal.message,
            format!(
                "line 73412: field \"created_at\", column {column}: is not a point in time of the years 1 to 9999 such as 2024-01-15T10:30:00Z"
            )
        );
        assert!(
            refusal.detail.contains("Nothing was imported."),
            "{refusal:?}"
        );
        assert!(
            refusal.detail.contains("DELETE FROM memory_import_inbox"),
            "{refusal:?}"
        );
        refusal.is("22023").well_formed();
        assert_eq!(hash_but_events(&mut sql), before);
    }
    // The lines are there still: corrected, they go in.
    assert_eq!(
        sql.execute("DELETE FROM memory_import_inbox", &[])
            .expect("emptied"),
        80_000
    );
    lines[73_411] = good;
    assert_eq!(bring(&mut sql, &lines.join("\n")).expect("brought"), 80_000);
    let dry: Value = sql.one("SELECT memory_import_inbox(dry_run => true)", &[]);
    assert_eq!(counts(&dry), "imported 80000");
    assert_eq!(lines_in(&mut sql), 80_000);
}

#[test]
fn everybody_has_lines_of_their_own_and_strangers_none() {
    let database = database();
    let mut owner = database.connect();
    let (_, mut admin) = granted(&database, "p", "admin", None);
    let (_, mut other) = granted(&database, "default", "admin", None);
    let (writing, mut writer) = granted(&database, "p", "write", None);
    let (acting, mut bound) = granted(&database, "p", "write", Some("a"));
    let strange = role();
    let mut stranger = database.connect_as(&strange);
    let text = r#"{"id":"a","content":"top secret plans"}"#;
    let plans = file("plans.jsonl", text.as_bytes());
    for (role, client) in [
        (&writing, &mut writer),
        (&acting, &mut bound),
        (&strange, &mut stranger),
    ] {
        let refused = psql(&database, role, &[], &[&copy(&plans)]);
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(
            error.contains("42501") && error.contains("memory_grant"),
            "{error}"
        );
        assert!(!error.contains("secret"), "{error}");
        client
            .refused("INSERT INTO memory_import_inbox VALUES ('{}')", &[])
            .is("42501");
        client
            .refused("SELECT memory_import_inbox(project_id => 'p')", &[])
            .is("42501");
        client
            .refused(
                "INSERT INTO memory_import_lines (role, line) VALUES ('x', 'y')",
                &[],
            )
            .is("42501");
    }
    assert!(
        !cluster().log().contains("top secret plans"),
        "the log tells what was refused"
    );

    bring(&mut admin, text).expect("brought");
    bring(&mut owner, r#"{"id":"b","content":"of the owner"}"#).expect("brought");
    let seen = "SELECT line FROM memory_import_inbox";
    assert_eq!(admin.column::<String>(seen, &[]), [text]);
    for client in [&mut other, &mut writer, &mut bound] {
        assert_eq!(client.column::<String>(seen, &[]), [""; 0]);
        assert_eq!(
            client
                .execute("DELETE FROM memory_import_inbox", &[])
                .expect("nothing"),
            0
        );
    }
    // No right, or no lines: whatever a view with a leaking function would be shown.
    admin.run("CREATE FUNCTION pg_temp.leak(text) RETURNS bool LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE WARNING 'leaked %', $1; RETURN true; END $$");
    let leaked: Vec<String> = admin.column(
        "SELECT line FROM memory_import_inbox WHERE pg_temp.leak(line)",
        &[],
    );
    assert_eq!(leaked, [text]);
    admin
        .refused("UPDATE memory_import_inbox SET line = 'x'", &[])
        .is("42501");

    // Its project, and no other.
    admin
        .refused("SELECT memory_import_inbox()", &[])
        .is("42501");
    let report: Value = other.one("SELECT memory_import_inbox()", &[]);
    assert_eq!(report["lines"], 0);
    let report: Value = admin.one("SELECT memory_import_inbox(project_id => 'p')", &[]);
    assert_eq!(counts(&report), "imported 1");
    assert_eq!(lines_in(&mut owner), 1);
    assert_eq!(
        owner.column::<String>("SELECT project_id || ' ' || id FROM memories", &[]),
        ["p a"]
    );
    // A grant that ends ends this too.
    let name: String = admin.one("SELECT current_user::text", &[]);
    owner.run(&format!("SELECT memory_revoke('{name}', 'p')"));
    bring(&mut admin, text).expect_err("no longer");
}

#[test]
fn files_that_are_no_utf8_are_refused_or_known_by_their_hash() {
    let database = database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('das Caf\u{e9}', id => 'a')");
    let text = export(&mut sql, "").join("\n");
    let utf8 = file("utf8.jsonl", text.as_bytes());
    let latin: Vec<u8> = text.chars().map(|c| c as u8).collect();
    let latin1 = file("latin1.jsonl", &latin);
    let other = support::database();
    let mut sql = other.connect();
    let import = "SELECT memory_import_inbox()";
    let encoding = |name: &'static str| [("PGCLIENTENCODING", name)];

    let refused = psql(
        &other,
        "postgres",
        &encoding("UTF8"),
        &[&copy(&latin1), import],
    );
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("22021"),
        "{refused:?}"
    );
    // Taken for what it is not: every character is one, and the hash tells that they are others.
    let refused = psql(
        &other,
        "postgres",
        &encoding("LATIN1"),
        &[&copy(&utf8), import],
    );
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        error.contains("22023") && error.contains("line 2") && error.contains("content_hash"),
        "{error}"
    );
    sql.run("DELETE FROM memory_import_inbox");
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), 0);
    // Taken for what they are, both come in.
    for (name, client) in [(&latin1, "LATIN1"), (&utf8, "UTF8")] {
        let done = psql(
            &other,
            "postgres",
            &encoding(client),
            &[&copy(name), import],
        );
        assert!(done.status.success(), "{done:?}");
    }
    assert_eq!(
        sql.one::<String>("SELECT content FROM memories", &[]),
        "das Caf\u{e9}"
    );
}

#[test]
fn odd_files_are_taken_as_they_are_or_refused_with_their_line() {
    let database = database();
    let mut sql = database.connect();
    let good = r#"{"id":"a","content":"back\\slash \\N \\. and \"quotes\""}"#;
    let windows = file(
        "windows.jsonl",
        format!("{good}\r\n\r\n{good}\r\n").as_bytes(),
    );
    let no_end = file("no_end.jsonl", format!("\u{feff}\n\n{good}").as_bytes());
    for name in [windows, no_end] {
        let done = psql(
            &database,
            "postgres",
            &[],
            &[&copy(&name), "SELECT memory_import_inbox()"],
        );
        assert!(done.status.success(), "{done:?}");
        let report: Value = serde_json::from_slice(&done.stdout).expect("a report");
        assert_eq!(report["lines"], 3, "{report}");
        assert_eq!(
            sql.one::<String>("SELECT content FROM memories", &[]),
            r#"back\slash \N \. and "quotes""#
        );
    }
    for (name, text, sqlstate, says) in [
        (
            "cut",
            format!("{good}\n{}", &good[..30]),
            "22P02",
            "line 2: column 30: the JSON text ends",
        ),
        (
            "csv",
            format!("id,content\n{good}"),
            "22P02",
            "line 1: column 1: not valid JSON",
        ),
        (
            "deep",
            format!(
                "{good}\n{{\"id\":\"b\",\"content\":\"x\",\"metadata\":{}",
                "[".repeat(100_000)
            ),
            "",
            "line 2: ",
        ),
        (
            "nul",
            format!("{good}\n{{\"id\":\"b\",\"content\":\"\\u0000\"}}"),
            "22023",
            "line 2: field \"content\", column 21",
        ),
        (
            "long",
            format!(
                "{good}\n{{\"id\":\"b\",\"content\":\"{}\"}}",
                "x".repeat(20 << 20)
            ),
            "54000",
            "line 2: field \"content\": has 20971520 bytes",
        ),
    ] {
        let name = file(name, text.as_bytes());
        let refused = psql(
            &database,
            "postgres",
            &[],
            &[&copy(&name), "SELECT memory_import_inbox()"],
        );
        let error = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(error.contains(sqlstate) && error.contains(says), "{error}");
        assert!(!error.contains("XX000") && error.len() < 2000, "{error}");
        assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), 1);
        sql.run("DELETE FROM memory_import_inbox");
    }
    // psql does not bring what stands behind a NUL byte in a line.
    let nul = file("nul_byte", b"{\"id\":\"b\",\"content\":\"\0\"}\n");
    let refused = psql(
        &database,
        "postgres",
        &[],
        &[&copy(&nul), "SELECT memory_import_inbox()"],
    );
    let error = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(
        error.contains("22P02") || error.contains("22021"),
        "{error}"
    );
    sql.run("DELETE FROM memory_import_inbox");
    // Without the options backslashes would go: the import cannot know, but the hash can.
    let with_hash = export(&mut sql, "").join("\n");
    let name = file("with_hash.jsonl", with_hash.as_bytes());
    let plain = format!("\\copy memory_import_inbox(line) FROM '{name}'");
    let refused = psql(
        &database,
        "postgres",
        &[],
        &[&plain, "SELECT memory_import_inbox()"],
    );
    assert!(!refused.status.success(), "{refused:?}");
}

#[test]
fn one_transaction_keeps_the_inbox_clean() {
    let database = database();
    let mut sql = database.connect();
    let mut transaction = sql.transaction().expect("begun");
    transaction.run(r#"INSERT INTO memory_import_inbox VALUES ('{"id":"a"}')"#);
    transaction
        .refused("SELECT memory_import_inbox()", &[])
        .is("22023");
    transaction.rollback().expect("rolled back");
    assert_eq!(lines_in(&mut sql), 0);
    // Lines that another session brings meanwhile are not taken, and not lost.
    bring(&mut sql, r#"{"id":"a","content":"x"}"#).expect("brought");
    let mut transaction = sql.transaction().expect("begun");
    let report: Value = transaction.one("SELECT memory_import_inbox()", &[]);
    assert_eq!(report["imported"], 1);
    bring(&mut database.connect(), r#"{"id":"b","content":"y"}"#).expect("brought");
    transaction.commit().expect("committed");
    assert_eq!(
        sql.column::<String>("SELECT line FROM memory_import_inbox", &[]),
        [r#"{"id":"b","content":"y"}"#]
    );
}

#[test]
fn two_imports_of_one_inbox_take_its_lines_once() {
    let database = cluster().database();
    let mut sql = quick_store(&database);
    bring(&mut sql, &many(3000).join("\n")).expect("brought");
    let outcomes = together(2, |_, start| {
        let mut sql = database.connect();
        start.wait();
        sql.query_one("SELECT memory_import_inbox()", &[])
            .map(|row| {
                row.get::<_, Value>(0)["imported"]
                    .as_u64()
                    .expect("a number")
            })
            .map_err(|error| error.code().expect("an SQLSTATE").code().to_owned())
    });
    let imported: Vec<&u64> = outcomes
        .iter()
        .flatten()
        .filter(|count| **count > 0)
        .collect();
    assert_eq!(imported, [&3000], "{outcomes:?}");
    for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
        assert_eq!(error, "40001");
    }
    assert_eq!(lines_in(&mut sql), 0);
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), 3000);
}

#[test]
fn the_memory_of_an_import_does_not_grow_with_its_lines() {
    let database = cluster().database();
    quick_store(&database);
    let rows: usize = std::env::var("MEMORY_EXT_TEST_ROWS")
        .map_or(30_000, |rows| rows.parse().expect("a number"));
    // What a session keeps for good is there before, and nothing that it can use again.
    let fresh = || {
        let mut sql = database.connect();
        sql.run(
            r#"BEGIN; INSERT INTO memory_import_inbox VALUES ('{"id":"first","content":"x"}');
                   SELECT memory_import_inbox(); ROLLBACK"#,
        );
        sql
    };
    let text: String = many(rows)
        .iter()
        .map(|line| line.replace("of many", &"of many ".repeat(40)) + "\n")
        .collect();
    let mut sql = fresh();
    let brought = growth(&mut sql, |sql| {
        bring(sql, &text).expect("brought");
    });
    let mut sql = fresh();
    let imported = growth(&mut sql, |sql| {
        let report: Value = sql.one("SELECT memory_import_inbox()", &[]);
        assert_eq!(report["imported"], rows);
    });
    bring(&mut sql, &text).expect("brought");
    let mut sql = fresh();
    let again = growth(&mut sql, |sql| {
        let report: Value = sql.one("SELECT memory_import_inbox()", &[]);
        assert_eq!(report["identical"], rows);
    });
    println!(
        "{rows} lines: brought +{brought:.1} MB, imported +{imported:.1} MB, again +{again:.1} MB"
    );
    // The lines of a test run have 15 MB.
    assert!(brought < 6.0, "{brought} MB");
    assert!(imported < 12.0, "{imported} MB");
    assert!(again < 12.0, "{again} MB");
}

#[test]
fn a_cancelled_import_leaves_the_lines() {
    let database = cluster().database();
    let mut sql = quick_store(&database);
    bring(&mut sql, &many(20_000).join("\n")).expect("brought");
    let pid: i32 = sql.one("SELECT pg_backend_pid()", &[]);
    let mut other = database.connect();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("rows are written", || {
                other.one::<i64>("SELECT pg_relation_size('memories')", &[]) > 1 << 20
            });
            other
                .query("SELECT pg_cancel_backend($1)", &[&pid])
                .expect("cancelled");
        });
        sql.refused("SELECT memory_import_inbox()", &[]).is("57014");
    });
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), 0);
    assert_eq!(lines_in(&mut sql), 20_000);
    let report: Value = sql.one("SELECT memory_import_inbox()", &[]);
    assert_eq!(counts(&report), "imported 20000");
}
