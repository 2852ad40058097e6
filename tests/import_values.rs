//! memory_import: what a line says that no memory can be is put right where that is clear, and refused where it is not. What
//! was imported is what memory_check_integrity() expects.

mod support;

use postgres::Client;
use serde_json::Value;
use support::transfer::{counts, export, hash_but_events, import, import_refused};
use support::{Sql, store, store_hash};

/// What the check finds, but for what an empty store lacks too.
fn findings(sql: &mut Client) -> Vec<String> {
    sql.column(
        "SELECT concat_ws(' ', check_name, status, issues, details) FROM memory_check_integrity() WHERE status <> 'ok'",
        &[],
    )
}

#[track_caller]
fn assert_sound(sql: &mut Client) {
    assert_eq!(findings(sql), [""; 0]);
}

/// Refused by a line, whatever the policy, by a dry run too; nothing is kept.
#[track_caller]
fn assert_refused(sql: &mut Client, lines: &[&str], says: &str, hints: &str) {
    let before = store_hash(sql);
    for arguments in [
        "format => 'memory_ext', confirm_sensitive => true",
        "format => 'memory_ext', confirm_sensitive => true, dry_run => true",
        "format => 'memory_ext', confirm_sensitive => true, on_conflict => 'update'",
    ] {
        import_refused(sql, lines, arguments)
            .is("22023")
            .says(says)
            .hints(hints)
            .well_formed();
    }
    assert_eq!(store_hash(sql), before);
}

#[test]
fn counters_count_the_votes_that_came() {
    let counters =
        "SELECT concat_ws('/', bullet_helpful, bullet_harmful) FROM memories WHERE id = 'v'";
    let mut source = store();
    source.run(
        "SELECT memory_add('voted', id => 'v'); SELECT memory_vote('v', 'helpful', 'a'); SELECT memory_vote('v', 'harmful', 'b')",
    );
    let without = export(&mut source, "include_votes => false");
    let with = export(&mut source, "");

    let mut sql = store();
    let report = import(&mut sql, &without, "");
    assert_eq!(report["skipped"]["vote counts"], 1, "{report}");
    assert_eq!(sql.one::<String>(counters, &[]), "0/0");
    assert_sound(&mut sql);
    let before = hash_but_events(&mut sql);
    assert_eq!(
        counts(&import(&mut sql, &without, "on_conflict => 'update'")),
        "identical 1"
    );
    assert_eq!(hash_but_events(&mut sql), before);
    sql.run("SELECT memory_vote('v', 'helpful', 'a')");
    assert_eq!(sql.one::<String>(counters, &[]), "1/0");
    // What has votes keeps them, and its counters.
    let changed = without
        .iter()
        .map(|line| {
            line.replace("\"importance\":0.5", "")
                .replace("\"voted\"", "\"Voted\"")
        })
        .map(|line| match line.split_once("\"content_hash\":\"") {
            Some((head, tail)) => format!("{head}{}", &tail[66..]),
            None => line,
        })
        .collect::<Vec<_>>();
    assert_eq!(
        counts(&import(&mut sql, &changed, "on_conflict => 'update'")),
        "updated 1"
    );
    assert_eq!(sql.one::<String>(counters, &[]), "1/0");
    assert_sound(&mut sql);

    let report = import(&mut sql, &with, "on_conflict => 'update'");
    assert_eq!(counts(&report), "updated 1, votes 2");
    assert_eq!(report["skipped"], serde_json::json!({}));
    assert_eq!(sql.one::<String>(counters, &[]), "1/1");
    assert_sound(&mut sql);

    // Counters of another system that keeps no votes, and more of them than votes.
    let line = r#"{"id":"w","content":"counted","bullet_helpful":5,"bullet_harmful":2,"votes":[{"voter_agent_id":"a","vote":"helpful"}]}"#;
    import(&mut sql, &[line], "");
    let rows: String = sql.one(
        "SELECT concat_ws('/', bullet_helpful, bullet_harmful) FROM memories WHERE id = 'w'",
        &[],
    );
    assert_eq!(rows, "1/0");
    assert_sound(&mut sql);
}

#[test]
fn no_circle_of_memories_that_supersede_each_other() {
    let mut sql = store();
    let gone = |id: &str, by: &str| {
        format!(
            r#"{{"id":"{id}","content":"text of {id}","superseded_by":"{by}","is_deprecated":true}}"#
        )
    };
    let (x, y, z) = (gone("x", "y"), gone("y", "z"), gone("z", "x"));
    assert_refused(
        &mut sql,
        &[&gone("x", "x")],
        "line 1: field \"superseded_by\": leads back to the memory itself",
        "that is to stay",
    );
    assert_refused(
        &mut sql,
        &[&gone("w", "y"), &y, &x, &z],
        "line 2: field \"superseded_by\"",
        "that is to stay",
    );
    // Two of them are there already.
    import(&mut sql, &[&x, &y], "format => 'memory_ext'");
    assert_refused(&mut sql, &["", &z], "line 2: ", "that is to stay");
    // The later line of an id counts.
    let open = r#"{"id":"z","content":"text of z"}"#;
    import(&mut sql, &[open, &gone("v", "x")], "format => 'memory_ext'");
    import_refused(&mut sql, &[&z], "on_conflict => 'update'").says("line 1: ");
    import(&mut sql, &[&z, open], "on_conflict => 'update'");
    import(&mut sql, &[open, &z], "on_conflict => 'skip'");
    // One line opens what the other would close.
    let lines = [r#"{"id":"y","content":"text of y"}"#, &z];
    import(&mut sql, &lines, "on_conflict => 'update', dry_run => true");
    import(&mut sql, &lines, "on_conflict => 'update'");
    assert_sound(&mut sql);
}

#[test]
fn times_follow_each_other() {
    let mut sql = store();
    assert_refused(
        &mut sql,
        &[r#"{"id":"f","content":"b","created_at":"2934-01-01T00:00:00Z"}"#],
        "line 1: field \"created_at\": lies in the future",
        "offset is UTC",
    );
    assert_refused(
        &mut sql,
        &[
            "",
            r#"{"id":"f","content":"b","updated_at":"2934-01-01T00:00:00Z"}"#,
        ],
        "line 2: field \"updated_at\": lies in the future",
        "By the server's clock it is 20",
    );
    assert_refused(
        &mut sql,
        &[
            r#"{"id":"f","content":"b","created_at":"2024-01-02T00:00:00Z","updated_at":"2024-01-01T00:00:00Z"}"#,
        ],
        "line 1: field \"updated_at\", column 74: is before created_at",
        "",
    );
    // Clocks differ a little.
    let now: String = sql.one(
        "SELECT to_json(now() + interval '50 minutes') #>> '{}'",
        &[],
    );
    let lines = [
        r#"{"id":"u","content":"a","updated_at":"2024-01-01T00:00:00Z"}"#.to_owned(),
        r#"{"id":"s","content":"set back","created_at":"2024-01-01T00:30:00Z","updated_at":"2024-01-01T00:00:00Z"}"#.to_owned(),
        format!(r#"{{"id":"n","content":"ahead","created_at":"{now}"}}"#),
    ];
    import(&mut sql, &lines, "format => 'memory_ext'");
    // It was there when it was changed.
    let created: String = sql.one("SELECT created_at::text FROM memories WHERE id = 'u'", &[]);
    assert_eq!(created, "2024-01-01 00:00:00+00");
    let then: Vec<String> = sql.column("SELECT id FROM memory_as_of('2023-12-31')", &[]);
    assert_eq!(then, [""; 0]);
    let since: Vec<String> =
        sql.column("SELECT id FROM memory_as_of('2024-01-02') ORDER BY id", &[]);
    assert_eq!(since, ["s", "u"]);
    // A memory that was there before keeps its time, unless the line tells of an earlier one.
    for (id, updated_at, expected) in [
        ("u", "2025-01-01", "2024-01-01"),
        ("s", "2020-01-01", "2020-01-01"),
    ] {
        let line = format!(
            r#"{{"id":"{id}","content":"changed {id}","updated_at":"{updated_at}T00:00:00Z"}}"#
        );
        import(
            &mut sql,
            &[line],
            "on_conflict => 'update', format => 'memory_ext'",
        );
        let created: String = sql.one(
            "SELECT created_at::date::text FROM memories WHERE id = $1",
            &[&id],
        );
        assert_eq!(created, expected);
    }
    assert_sound(&mut sql);
}

#[test]
fn what_a_scope_or_a_secret_does_not_have_is_left_out() {
    let mut sql = store();
    let lines = [
        r#"{"id":"secret","content":"c","scope":"agent-shared","agent_id":"a","shared_with_agents":["b"],"is_sensitive":true,"content_flags":["pii:email"]}"#,
        r#"{"id":"all","content":"d","scope":"global","shared_with_agents":["b"]}"#,
        r#"{"id":"own","content":"e","scope":"agent-private","agent_id":"a","shared_with_agents":["b"]}"#,
        r#"{"id":"live","content":"f","is_deduplicated":false,"deprecated_at":"2024-01-01T00:00:00Z","deprecated_by":"a"}"#,
        r#"{"id":"turns","content":"g","content_flags":["pii:email"]}"#,
    ];
    let arguments = "format => 'memory_ext', confirm_sensitive => true, on_conflict => 'update'";
    assert_eq!(
        counts(&import(&mut sql, &lines, arguments)),
        "imported 5, sensitive 1"
    );
    assert_eq!(counts(&import(&mut sql, &lines, arguments)), "identical 5");
    let rows: Vec<String> = sql.column(
        "SELECT concat_ws(' ', id, scope, shared_with_agents, content_flags, deprecated_at, deprecated_by) FROM memories ORDER BY id",
        &[],
    );
    assert_eq!(
        rows,
        [
            "all global {}",
            "live global {}",
            "own agent-private {}",
            "secret agent-shared {b}",
            "turns global {} {pii:email}",
        ]
    );
    let secret = r#"{"id":"turns","content":"g","is_sensitive":true}"#;
    import(&mut sql, &[secret], arguments);
    assert_sound(&mut sql);
}

#[test]
fn what_nobody_could_read_name_or_change_is_refused() {
    let mut sql = store();
    for (line, says, hints) in [
        (
            r#"{"id":"orphan","content":"e","scope":"agent-private"}"#,
            "line 1: field \"scope\", column 38: is \"agent-private\", but there is no agent_id",
            "global",
        ),
        (
            r#"{"id":"orphan","content":"e","shared_with_agents":["b"]}"#,
            "field \"scope\", column 1: is \"agent-shared\", but there is no agent_id",
            "global",
        ),
        (
            r#"{"id":"z1","content":"first","version":2147483647}"#,
            "line 1: field \"version\", column 40: is over 1073741824",
            "leave it out",
        ),
        (
            r#"{"id":"f","content":"x","content_flags":["pii:email","made:up"]}"#,
            "line 1: field \"content_flags[1]\", column 41: names no kind",
            "leave it out",
        ),
    ] {
        assert_refused(&mut sql, &[line], says, hints);
    }
    let line = r#"{"id":"z1","content":"first","version":1073741824}"#;
    import(&mut sql, &[line], "");
    let version: i32 = sql.one("SELECT memory_update('z1', content => 'second')", &[]);
    assert_eq!(version, 1_073_741_825);
    let kept: Vec<String> = sql.column("SELECT content FROM memory_history('z1')", &[]);
    assert_eq!(kept, ["first", "second"]);
    assert_sound(&mut sql);
}

#[test]
fn a_version_without_a_next_one_is_not_changed() {
    let mut sql = store();
    sql.run("SELECT memory_add('first', id => 'z1'); UPDATE memories SET version = 2147483647");
    let before = store_hash(&mut sql);
    for statement in [
        "SELECT memory_update('z1', content => 'second', expected_version => 2147483647)",
        "UPDATE memories SET content = 'second'",
        r#"SELECT memory_import('{"{\"id\": \"z1\", \"content\": \"second\"}"}', on_conflict => 'update', format => 'memory_ext')"#,
        "SELECT memory_delete('z1')",
    ] {
        sql.refused(statement, &[])
            .is("54000")
            .says("memory \"z1\" has version 2147483647")
            .hints("memory_forget")
            .well_formed();
    }
    assert_eq!(store_hash(&mut sql), before);
    // What makes no version goes on, and what the hint names helps.
    sql.run("SELECT memory_vote('z1', 'helpful', 'a'); SELECT memory_forget('{z1}', reason => 'anew'); SELECT memory_add('second', id => 'z1')");
    let receipt: Value = sql.one("SELECT to_jsonb(m) FROM memory_get('z1') m", &[]);
    assert_eq!(receipt["version"], 1, "{receipt}");
}

#[test]
fn a_hint_says_what_to_do_about_a_field() {
    let mut sql = store();
    for (line, hints) in [
        (r#"{"content":"x"}"#, "needs an id"),
        (r#"{"id":"x","content":" "}"#, "some text"),
        (r#"{"id":"x","content":"x","importance":2}"#, "leave it out"),
        (
            r#"{"id":"x","content":"x","created_at":"soon"}"#,
            "leave it out",
        ),
        (r#"{"id":"x","content":"x","scope":"mine"}"#, "agent_id"),
        (
            r#"{"id":"x","content":"x","content_hash":"0000000000000000000000000000000000000000000000000000000000000000"}"#,
            "leave out content_hash",
        ),
        (
            r#"{"id":"x","content":"x","votes":[{"vote":"helpful"}]}"#,
            "voter_agent_id",
        ),
        (
            r#"{"id":"x","content":"x","votes":[{"voter_agent_id":"a","vote":"helpful"}]}"#,
            "count the votes",
        ),
        (
            r#"{"id":"x","content":"x","embedding":[1e-30]}"#,
            "makes its own vectors",
        ),
    ] {
        import_refused(&mut sql, &[line], "format => 'memory_ext'")
            .is("22023")
            .hints(hints)
            .well_formed();
    }
}

#[test]
fn an_export_that_was_cut_off_is_refused() {
    let mut source = store();
    source.run("SELECT memory_add('memory ' || n, id => 'm' || n) FROM generate_series(1, 5) n");
    let lines = export(&mut source, "");
    assert_eq!(lines.len(), 7);
    let mut sql = store();
    let before = store_hash(&mut sql);
    let refused = |sql: &mut Client, lines: &[String], says: &str| {
        for arguments in ["", "dry_run => true"] {
            import_refused(sql, lines, arguments)
                .is("22P02")
                .says(says)
                .hints("without its first line")
                .well_formed();
        }
        assert_eq!(store_hash(sql), before);
    };
    for cut in 1..6 {
        let says = format!("line {}: the export ends before its last line", cut + 1);
        refused(&mut sql, &lines[..cut], &says);
    }
    let holed = [&lines[..2], &lines[3..]].concat();
    refused(
        &mut sql,
        &holed,
        "line 6: the export had 5 memories, but 4 came before this line",
    );
    let twice = [&lines[..3], &lines[..]].concat();
    refused(&mut sql, &twice, "line 4: the export ends before");
    // One after the other, a part on purpose, and exports of before there was a last line.
    let both = [&lines[..], &lines[..]].concat();
    assert_eq!(
        counts(&import(&mut sql, &both, "dry_run => true")),
        "imported 5, identical 5"
    );
    assert_eq!(
        counts(&import(&mut sql, &lines[1..3], "dry_run => true")),
        "imported 2"
    );
    assert_eq!(
        counts(&import(&mut sql, &lines[1..], "dry_run => true")),
        "imported 5"
    );
    let old = [
        r#"{"memory_ext_export":{"format":1,"extension_version":"2.0.0","exported_at":"2026-01-01T00:00:00.000000+00:00","embedder":"hash","dimensions":384}}"#,
        &lines[1],
    ];
    assert_eq!(counts(&import(&mut sql, &old, "")), "imported 1");
}
