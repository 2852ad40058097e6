//! memory_import: what comes out of an export goes in again, all or nothing.

mod support;

use postgres::Client;
use postgres::error::SqlState;
use serde_json::{Value, json};
use support::transfer::{
    ALL, contents, counts, export, fill, hash_but_events, import, import_refused, many, quick_store,
};
use support::{Database, Sql, cluster, database, granted, store, store_hash, together, wait_until};

/// A filled store and its export.
fn exported(arguments: &str) -> (Client, Vec<String>) {
    let mut sql = store();
    fill(&mut sql);
    let lines = export(&mut sql, arguments);
    (sql, lines)
}

/// An empty store that knows the types of the filled one.
fn target() -> Client {
    let mut sql = store();
    sql.run("INSERT INTO memory_types (memory_type, half_life_days) VALUES ('lesson', 45)");
    sql
}

fn line(id: &str, content: &str, more: Value) -> String {
    let mut line = json!({"id": id, "content": content, "created_at": "2026-01-01T00:00:00Z"});
    for (name, value) in more.as_object().expect("an object") {
        line[name] = value.clone();
    }
    line.to_string()
}

#[test]
fn c13_export_then_import_is_lossless_and_idempotent() {
    for format in ["jsonl", "json"] {
        let (mut source, lines) = exported(&format!("'{format}', {ALL}"));
        let mut sql = target();
        let memories: i64 = source.one(
            "SELECT count(*) FROM memories WHERE project_id = 'default'",
            &[],
        );

        let report = import(&mut sql, &lines, "confirm_sensitive => true");

        assert_eq!(
            counts(&report),
            format!("imported {memories}, votes 4, sensitive 1"),
            "{report}"
        );
        assert_eq!(report["format"], "memory_ext");
        assert_eq!(report["lines"], lines.len());
        assert_eq!(contents(&mut sql), contents(&mut source), "{format}");
        assert_eq!(
            export(&mut sql, ALL)[1..],
            export(&mut source, ALL)[1..],
            "{format}"
        );

        let before = hash_but_events(&mut sql);
        for policy in ["skip", "update", "error"] {
            for dry_run in [true, false] {
                let again = import(
                    &mut sql,
                    &lines,
                    &format!(
                        "confirm_sensitive => true, on_conflict => '{policy}', dry_run => {dry_run}"
                    ),
                );
                assert_eq!(counts(&again), format!("identical {memories}"), "{again}");
                assert_eq!(hash_but_events(&mut sql), before, "{policy}");
            }
        }
        let history: i64 = sql.one("SELECT count(*) FROM memory_history", &[]);
        assert_eq!(history, 0);
        // One event for each import that was not dry.
        let events: i64 = sql.one(
            "SELECT count(*) FROM memory_events WHERE event = 'import' AND payload ->> 'format' = 'memory_ext'",
            &[],
        );
        assert_eq!(events, 4);
    }
}

#[test]
fn c13_what_is_imported_is_deduplicated_found_and_voted_on_as_before() {
    let (_, lines) = exported("");
    let mut sql = target();
    import(&mut sql, &lines, "");
    // Equal adds meet what was deduplicated, not its twin that was to be new.
    let met: String = sql.one("SELECT memory_add('The cafe closes at ten')", &[]);
    assert_eq!(met, "plain");
    let revived: String = sql.one(
        "SELECT memory_add('the old way', memory_type => 'strategy')",
        &[],
    );
    assert_ne!(revived, "old", "a deprecated memory is met by nobody");
    for (query, id) in [
        ("when does the cafe close", "plain"),
        ("shared with two", "shared"),
        ("its vector was brought", "brought"),
    ] {
        let found: Vec<String> = sql.column(
            "SELECT id FROM memory_search($1, 2, agent_id => '*')",
            &[&query],
        );
        assert!(found.contains(&id.to_owned()), "{query}: {found:?}");
    }
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('favoriteColor')", &[]),
        "blue"
    );
    // Vectors that were not exported were made anew.
    let missing: i64 = sql.one(
        "SELECT count(*) FROM memories WHERE embedding IS NULL OR embedded_hash <> content_hash",
        &[],
    );
    assert_eq!(missing, 0);
    let votes: (i32, i32) = support::votes::counters(&mut sql, "plain");
    assert_eq!(votes, (2, 1));
    sql.run("SELECT memory_vote('plain', 'harmful', 'v1', task_id => 't1')");
    assert_eq!(support::votes::counters(&mut sql, "plain"), (1, 2));
    let state: String = sql.one(
        "SELECT concat_ws(' ', is_deprecated, superseded_by, deprecated_by IS NOT NULL) FROM memories WHERE id = 'old'",
        &[],
    );
    assert_eq!(state, "t new t");
}

#[test]
fn c17_lines_of_another_project_need_a_word() {
    let (_, lines) = exported("");
    let database = database();
    let mut owner = database.connect();
    owner.run("INSERT INTO memory_types (memory_type) VALUES ('lesson')");
    let (_, mut sql) = granted(&database, "mine", "admin", None);
    import_refused(&mut sql, &lines, "")
        .is("42501")
        .keeps("cafe")
        .well_formed();
    sql.run("SET memory_ext.project = 'mine'");
    let before = store_hash(&mut owner);
    import_refused(&mut sql, &lines, "")
        .is("22023")
        .says("line 2")
        .says("project_id")
        .hints("project_id")
        .well_formed();
    import_refused(&mut sql, &lines, "project_id => 'default'").is("42501");
    assert_eq!(store_hash(&mut owner), before);

    let report = import(&mut sql, &lines, "project_id => 'mine'");
    assert_eq!(report["imported"].as_u64(), Some(lines.len() as u64 - 2));
    let projects: Vec<String> = owner.column("SELECT DISTINCT project_id FROM memories", &[]);
    assert_eq!(projects, ["mine"]);
    // A second project with the same ids: its votes get ids of their own.
    let mut owner = database.connect();
    import(&mut owner, &lines, "");
    support::votes::assert_counters(&mut owner);
    assert_eq!(
        owner.one::<i64>("SELECT count(*) FROM vote_history", &[]),
        8
    );
    assert_eq!(
        counts(&import(&mut owner, &lines, "on_conflict => 'error'")),
        format!("identical {}", lines.len() - 2)
    );
}

#[test]
fn conflicts_are_settled_as_the_policy_says() {
    let prepare = || {
        let mut sql = store();
        sql.run(
            "SELECT memory_add('first', id => 'a', metadata => '{\"n\": 1}');
             SELECT memory_add('held by another id', id => 'holder');
             SELECT memory_kv_set('color', 'green');
             SELECT memory_vote('a', 'helpful', 'v')",
        );
        sql
    };
    let lines = [
        line("a", "first", json!({"metadata": {"n": 2}, "version": 7})),
        line("b", "held by another id", json!({})),
        line("c", "blue", json!({"key": "color"})),
        line("d", "new", json!({})),
    ];
    let shown = "SELECT string_agg(concat_ws(' ', id, content, metadata, 'v' || version, bullet_helpful), ', ' ORDER BY content, version)
                 FROM memories WHERE deleted_at IS NULL AND id !~ '^[0-9a-f]{32}$'";

    let mut sql = prepare();
    let dry = import(&mut sql, &lines, "dry_run => true");
    let report = import(&mut sql, &lines, "");
    assert_eq!(counts(&report), "imported 1, skipped_existing 3");
    assert_eq!(counts(&dry), counts(&report));
    assert_eq!(
        sql.one::<String>(shown, &[]),
        "a first {\"n\": 1} v1 1, holder held by another id {} v1 0, d new {} v1 0"
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('color')", &[]),
        "green"
    );

    let mut sql = prepare();
    let dry = import(&mut sql, &lines, "on_conflict => 'update', dry_run => true");
    let report = import(&mut sql, &lines, "on_conflict => 'update'");
    assert_eq!(counts(&report), "imported 2, updated 1, skipped_existing 1");
    assert_eq!(counts(&dry), counts(&report));
    // The vote there is kept: the line brought none.
    assert_eq!(
        sql.one::<String>(shown, &[]),
        "c blue {} v1 0, a first {\"n\": 2} v7 1, holder held by another id {} v1 0, d new {} v1 0"
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('color')", &[]),
        "blue"
    );
    support::votes::assert_counters(&mut sql);
    let history: Vec<String> = sql.column(
        "SELECT concat_ws(' ', memory_id = 'a', operation) FROM memory_history ORDER BY 1",
        &[],
    );
    assert_eq!(history, ["f import", "t import"]);
    assert_eq!(
        counts(&import(&mut sql, &lines, "on_conflict => 'update'")),
        "skipped_existing 1, identical 3"
    );

    for (place, says) in [
        (0, "\"a\""),
        (1, "\"holder\""),
        (2, "has the key of memory"),
    ] {
        let mut sql = prepare();
        let before = store_hash(&mut sql);
        let lines = [&lines[3], &lines[place]];
        import_refused(&mut sql, &lines, "on_conflict => 'error'")
            .is("23505")
            .says("line 2")
            .says(says)
            .helps()
            .well_formed();
        import_refused(&mut sql, &lines, "on_conflict => 'error', dry_run => true").is("23505");
        assert_eq!(store_hash(&mut sql), before);
    }
}

#[test]
fn c7_a_dead_row_gives_way_to_a_live_line() {
    for policy in ["skip", "update", "error"] {
        let mut sql = store();
        sql.run(
            "SELECT memory_add('over', id => 'expired', ttl => '1 day');
             SELECT memory_add('outdated', id => 'deprecated', key => 'k'); SELECT memory_deprecate('deprecated');
             SELECT memory_add('gone', id => 'deleted'); SELECT memory_delete('deleted');
             UPDATE memories SET expires_at = now() - interval '1 hour' WHERE id = 'expired'",
        );
        let lines = [
            line("1", "over", json!({})),
            line("2", "of the same key", json!({"key": "k"})),
            line("3", "gone", json!({})),
        ];
        let report = import(&mut sql, &lines, &format!("on_conflict => '{policy}'"));
        assert_eq!(counts(&report), "imported 3", "{policy}");
        let live: Vec<String> = sql.column("SELECT id FROM memory_list() ORDER BY id", &[]);
        assert_eq!(live, ["1", "2", "3"], "{policy}");
    }
}

#[test]
fn what_comes_twice_meets_what_came_before() {
    let run = |lines: &[String], arguments: &str| {
        let mut sql = store();
        let report = import(&mut sql, lines, arguments);
        let rows: Vec<String> = sql.column(
            "SELECT concat_ws(' ', id, content, key) FROM memories WHERE deleted_at IS NULL ORDER BY id",
            &[],
        );
        (counts(&report), rows.join(", "))
    };
    let twice = [
        line("a", "one", json!({})),
        line("a", "two", json!({})),
        line("b", "one", json!({})),
        line("a", "two", json!({})),
    ];
    assert_eq!(
        run(&twice, ""),
        ("imported 1, skipped_existing 3".into(), "a one".into())
    );
    assert_eq!(
        run(&twice, "on_conflict => 'update'"),
        (
            "imported 2, updated 1, identical 1".into(),
            "a two, b one".into()
        )
    );
    let same = [line("a", "one", json!({})), line("a", "one", json!({}))];
    assert_eq!(
        run(&same, "on_conflict => 'error'"),
        ("imported 1, identical 1".into(), "a one".into())
    );
    let keyed = [
        line("a", "one", json!({"key": "k"})),
        line("b", "two", json!({"key": "k"})),
        line("c", "three", json!({"key": "k", "namespace": "other"})),
    ];
    assert_eq!(run(&keyed, "").1, "a one k, c three k");
    assert_eq!(
        run(&keyed, "on_conflict => 'update'").1,
        "b two k, c three k"
    );
    // C7: the dead one is no reason to leave out the live one.
    let over = json!({"expires_at": "2020-01-01T00:00:00Z"});
    let dead = [line("a", "one", over), line("b", "one", json!({}))];
    for policy in ["skip", "update", "error"] {
        assert_eq!(
            run(&dead, &format!("on_conflict => '{policy}'")).1,
            "b one",
            "{policy}"
        );
    }
    let mut sql = store();
    for (lines, says) in [
        (&twice[..], "exists already in line 1"),
        (&keyed[..], "has the key of memory \"a\""),
        (
            &[twice[0].clone(), twice[2].clone()][..],
            "is equal to memory \"a\"",
        ),
    ] {
        import_refused(&mut sql, lines, "on_conflict => 'error'")
            .is("23505")
            .says("line 2")
            .says(says)
            .well_formed();
    }
}

#[test]
fn c14_imported_rows_keep_every_rule() {
    let mut sql = store();
    let lines = [line("a", "words to be found", json!({"importance": 0.75}))];
    import(&mut sql, &lines, "namespace => 'n'");
    let row = sql
        .query_one(
            "SELECT namespace, embedding IS NOT NULL, embedded_hash = content_hash, dedupe_hash IS NOT NULL, updated_at = created_at, version FROM memories",
            &[],
        )
        .expect("a row");
    assert_eq!(row.get::<_, String>(0), "n");
    for column in 1..=4 {
        assert_eq!(row.get::<_, Option<bool>>(column), Some(true), "{column}");
    }
    assert_eq!(row.get::<_, i32>(5), 1);
    // The limit on contents holds.
    sql.run("SET memory_ext.max_content_bytes = 1024");
    let long = [line("b", &"x".repeat(1025), json!({}))];
    import_refused(&mut sql, &long, "")
        .is("54000")
        .says("line 1")
        .says("1025")
        .hints("memory_ext.max_content_bytes");
    // A changed secret leaves no vector and no open version.
    sql.run("RESET memory_ext.max_content_bytes");
    let secret = [line(
        "a",
        "words to be found",
        json!({"is_sensitive": true, "namespace": "n"}),
    )];
    import_refused(&mut sql, &secret, "")
        .is("22023")
        .says("line 1")
        .says("is_sensitive")
        .hints("confirm_sensitive");
    import(
        &mut sql,
        &secret,
        "confirm_sensitive => true, on_conflict => 'update'",
    );
    let kept: String = sql.one(
        "SELECT concat_ws(' ', embedding IS NULL, content_tsv IS NULL, (SELECT bool_and(is_sensitive) FROM memory_history)) FROM memories",
        &[],
    );
    assert_eq!(kept, "t t t");
}

#[test]
fn vectors_have_to_be_of_the_stores_model() {
    let mut source = store();
    source.run("SELECT memory_add('words', id => 'a')");
    let lines = export(&mut source, "include_embeddings => true");
    let external = cluster().database();
    let mut sql = external.connect();
    sql.run("SELECT memory_init(dimensions => 384, embedder => 'external')");
    import_refused(&mut sql, &lines, "")
        .is("22023")
        .says("line 2")
        .says("\"hash\"")
        .helps()
        .well_formed();
    let mut small = quick_store(&cluster().database());
    import_refused(&mut small, &lines[1..], "")
        .is("22023")
        .says("384 dimensions, the store has 3")
        .helps();
    let vector =
        |numbers: &str| format!(r#"{{"id":"a","content":"x","version":1,"embedding":{numbers}}}"#);
    for (numbers, says) in [
        ("[0,0,0]", "zero vector"),
        ("[1,2]", "dimensions"),
        ("[1,2,1e39]", "range"),
        ("[1,null,3]", "number"),
        ("\"[1,2,3]\"", "array"),
    ] {
        import_refused(&mut small, &[vector(numbers)], "")
            .is("22023")
            .says("embedding")
            .says(says);
    }
    import(&mut small, &[vector("[1,2,3]")], "");
    import(&mut small, &[line("n", "no vector", json!({}))], "");
    let vectors: Vec<Option<String>> =
        small.column("SELECT embedding::text FROM memories ORDER BY id", &[]);
    assert_eq!(vectors, [Some("[1,2,3]".to_owned()), None]);
}

#[test]
fn a_bad_line_is_named_and_nothing_is_kept() {
    let mut sql = store();
    sql.run("SELECT memory_add('there before')");
    // An export is an event.
    let header = export(&mut sql, "namespace => 'none'").remove(0);
    let before = store_hash(&mut sql);
    let good = line("good", "a good line", json!({}));
    let deep = format!(
        r#"{{"id":"x","content":"x","metadata":{}1{}}}"#,
        "{\"a\":".repeat(200),
        "}".repeat(200)
    );
    for (bad, sqlstate, says) in [
        ("{", "22P02", "the JSON text ends before it is complete"),
        (
            r#"{"id":"x","content":"secret words"#,
            "22P02",
            "ends before it is complete",
        ),
        (
            r#"{"id":"x","content":"x"} {}"#,
            "22P02",
            "column 26: not valid JSON",
        ),
        ("id,content", "22P02", "column 1: not valid JSON"),
        ("[1]", "22023", "column 2: "),
        ("\"text\"", "22023", "got a string, expected an object"),
        ("{}", "22023", "field \"id\""),
        (
            r#"{"id":"x"}"#,
            "22023",
            "field \"content\", column 1: is missing",
        ),
        (
            r#"{"id":"x","content":" "}"#,
            "22023",
            "field \"content\", column 21: is blank",
        ),
        (
            r#"{"id":"x","content":"secret\u0000words"}"#,
            "22023",
            "field \"content\", column 21: ",
        ),
        (
            r#"{"id":"x","content":"x","metadata":{"a":"\u0000"}}"#,
            "22023",
            "field \"metadata",
        ),
        (
            r#"{"id":"x","content":"x","metadata":[]}"#,
            "22023",
            "field \"metadata\"",
        ),
        (r#"{"id":"x","content":"\ud800"}"#, "22", "column"),
        (
            r#"{"id":"","content":"x"}"#,
            "22023",
            "field \"id\", column 7: has 0 bytes",
        ),
        (
            r#"{"id":"x","id":"y","content":"x"}"#,
            "22023",
            "comes twice",
        ),
        (
            r#"{"id":"x","content":"x","scope":"everybody"}"#,
            "22023",
            "field \"scope\"",
        ),
        (
            r#"{"id":"x","content":"x","importance":2}"#,
            "22023",
            "from 0 to 1",
        ),
        (
            r#"{"id":"x","content":"x","version":0}"#,
            "22023",
            "field \"version\"",
        ),
        (
            r#"{"id":"x","content":"x","version":1e3}"#,
            "22023",
            "whole number",
        ),
        (
            r#"{"id":"x","content":"x","created_at":"yesterday"}"#,
            "22023",
            "field \"created_at\"",
        ),
        (
            r#"{"id":"x","content":"x","memory_type":"poem"}"#,
            "22023",
            "field \"memory_type\"",
        ),
        (
            r#"{"id":"x","content":"x","content_hash":"00"}"#,
            "22023",
            "field \"content_hash\"",
        ),
        (
            r#"{"id":"x","content":"x","votes":[{"voter_agent_id":"v","vote":"maybe"}]}"#,
            "22023",
            "votes[0].vote",
        ),
        (
            r#"{"id":"x","content":"x","votes":[{"voter_agent_id":"v","vote":"helpful"}]}"#,
            "22023",
            "bullet_helpful",
        ),
        (
            r#"{"id":"x","content":"x","importence":1}"#,
            "22023",
            "did you mean importance",
        ),
        (r#"{"memory_ext_export":{"format":2}}"#, "22P02", "newer"),
        (deep.as_str(), "54000", "column"),
    ] {
        let lines = [&header, &good, "", bad, &good];
        let refusal = import_refused(&mut sql, &lines, "");
        assert!(refusal.sqlstate.starts_with(sqlstate), "{bad}: {refusal:?}");
        refusal
            .says("line 4: ")
            .says(says)
            .keeps("secret")
            .well_formed();
        assert_eq!(store_hash(&mut sql), before, "{bad}");
    }
}

#[test]
fn nothing_to_import_is_an_empty_report() {
    let mut sql = store();
    for lines in [&[][..], &["", "  ", "\u{feff}"], &["[]"], &["[", "]"]] {
        let report = import(&mut sql, lines, "");
        assert_eq!(counts(&report), "", "{lines:?}");
    }
    let report: Value = sql.one("SELECT memory_import_document('')", &[]);
    assert_eq!(report["lines"], 0);
    assert_eq!(report["format"], Value::Null);
    support::cases::refuse_all(
        &mut sql,
        "22023 | lines | | SELECT memory_import(NULL)
         22023 | document | | SELECT memory_import_document(NULL)
         22023 | pickle | memory_ext | SELECT memory_import('{}', format => 'pickle')
         22023 | on_conflict, merge | skip, update, error | SELECT memory_import('{}', on_conflict => 'merge')
         22023 | on_conflict | | SELECT memory_import('{}', on_conflict => NULL)
         22023 | unknown | refuse or metadata | SELECT memory_import('{}', unknown => 'drop')
         22023 | namespace | | SELECT memory_import('{}', namespace => ' ')
         22023 | agent_id | | SELECT memory_import('{}', agent_id => '*')
         22023 | agent_id | Leave out | SELECT memory_import('{\"{\\\"id\\\": \\\"1\\\", \\\"content\\\": \\\"x\\\"}\"}', agent_id => 'a')",
    );
}

/// One file four times at once; whoever imports gives his number, may turn the lines round, and says which errors are to be
/// tried again.
fn import_together(
    database: &Database,
    arrange: fn(usize, &mut Vec<String>),
    retried: &[SqlState],
) {
    let mut sql = quick_store(database);
    let mut lines = many(2500);
    for (number, line) in lines
        .iter_mut()
        .enumerate()
        .filter(|(number, _)| number % 5 == 0)
    {
        line.insert_str(line.len() - 1, &format!(r#","key":"k{number}""#));
    }
    let imported = together(4, |number, start| {
        let mut sql = database.connect();
        let mut lines = lines.clone();
        arrange(number, &mut lines);
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        start.wait();
        loop {
            match sql.query_one("SELECT memory_import($1)", &[&lines]) {
                Ok(row) => {
                    return row.get::<_, Value>(0)["imported"]
                        .as_u64()
                        .expect("a number");
                }
                Err(error) => assert!(
                    error.code().is_some_and(|code| retried.contains(code)),
                    "{error:?}"
                ),
            }
        }
    });
    assert_eq!(imported.iter().sum::<u64>(), 2500, "{imported:?}");
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), 2500);
    assert_eq!(
        counts(&import(&mut sql, &lines, "on_conflict => 'error'")),
        "identical 2500"
    );
}

#[test]
fn concurrent_imports_of_one_file_make_each_memory_once_and_never_wait_in_a_circle() {
    import_together(&cluster().database(), |_, _| (), &[]);
}

/// In another order two may wait for each other; then one of them, whichever it is, is told to try again.
#[test]
fn concurrent_imports_in_two_orders_make_each_memory_once() {
    import_together(
        &cluster().database(),
        |number, lines| {
            if number == 3 {
                lines.reverse();
            }
        },
        &[
            SqlState::T_R_DEADLOCK_DETECTED,
            SqlState::T_R_SERIALIZATION_FAILURE,
        ],
    );
}

#[test]
fn c8_imports_and_adds_at_the_same_time_make_each_memory_once() {
    let database = cluster().database();
    let mut sql = quick_store(&database);
    let lines = many(1500);
    together(4, |number, start| {
        let mut sql = database.connect();
        start.wait();
        if number % 2 == 0 {
            import(&mut sql, &lines, "");
            return;
        }
        for part in lines.chunks(100) {
            let items: Vec<Value> = part
                .iter()
                .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["content"].clone())
                .collect();
            sql.query("SELECT * FROM memory_add_many($1)", &[&json!(items)])
                .expect("added");
        }
    });
    let (rows, contents): (i64, i64) = {
        let row = sql
            .query_one(
                "SELECT count(*), count(DISTINCT content) FROM memories WHERE deleted_at IS NULL",
                &[],
            )
            .expect("a row");
        (row.get(0), row.get(1))
    };
    assert_eq!((rows, contents), (1500, 1500));
}

#[test]
fn a_cancelled_import_leaves_nothing() {
    let database = cluster().database();
    let mut sql = quick_store(&database);
    let lines = many(20_000);
    for after in ["20ms", "400ms"] {
        sql.run(&format!("SET statement_timeout = '{after}'"));
        import_refused(&mut sql, &lines, "").is("57014");
        sql.run("RESET statement_timeout");
        assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), 0);
    }
    // In the middle of writing: rows of the transaction are in the table.
    let pid: i32 = sql.one("SELECT pg_backend_pid()", &[]);
    let mut other = database.connect();
    let size = "SELECT pg_relation_size('memories')";
    // The cancelled ones have left dead rows.
    let before: i64 = other.one(size, &[]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            wait_until("rows are written", || {
                other.one::<i64>(size, &[]) > before + (1 << 20)
            });
            other
                .query("SELECT pg_cancel_backend($1)", &[&pid])
                .expect("cancelled");
        });
        import_refused(&mut sql, &lines, "").is("57014");
    });
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), 0);
    assert_eq!(
        sql.one::<String>("SELECT current_user::text", &[]),
        "postgres"
    );
    assert_eq!(counts(&import(&mut sql, &lines[..10], "")), "imported 10");
}

#[test]
fn rows_are_looked_up_whatever_the_statistics_say() {
    let mut sql = quick_store(&cluster().database());
    let lines = many(6000);
    let mut fetched = |prepare: &str, policy: &str| -> (u64, i64) {
        sql.run(prepare);
        let mut transaction = sql.transaction().expect("begun");
        let texts: Vec<&str> = lines.iter().map(String::as_str).collect();
        let report: Value = transaction.one(
            &format!("SELECT memory_import($1, on_conflict => '{policy}')"),
            &[&texts],
        );
        let read: i64 = transaction.one(
            "SELECT coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'memories'",
            &[],
        );
        transaction.commit().expect("committed");
        (report["imported"].as_u64().expect("a number"), read)
    };
    // Never looked at; thought to be empty; known.
    for (prepare, imported) in [
        ("SELECT 1", 6000),
        ("DELETE FROM memories; ANALYZE memories", 6000),
        ("SELECT 1", 0),
        ("ANALYZE memories", 0),
    ] {
        let (count, read) = fetched(prepare, "update");
        assert_eq!(count, imported, "{prepare}");
        assert!(
            read <= 6 * 6000,
            "{prepare}: {read} rows were read for 6000 lines"
        );
    }
}
