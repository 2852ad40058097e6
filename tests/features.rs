//! Features: what is to be built, in which state it is, and who has seen it pass.

mod support;

use postgres::Client;
use serde_json::{Value, json};
use support::cases::{FRAGMENTS, refuse_all};
use support::{Sql, database, granted, row, store, store_hash};

/// The feature reaches these states, one after the other.
fn walk(sql: &mut Client, id: &str, states: &[&str]) {
    for state in states {
        let proof = if *state == "complete" {
            ", passes => true, verified_by => 'qa'"
        } else {
            ""
        };
        let reached = row(
            sql,
            &format!("memory_feature_update('{id}', status => '{state}'{proof})"),
        );
        assert_eq!(reached["status"], *state, "{id}");
    }
}

#[test]
fn a_feature_begins_not_started_and_belongs_to_its_project() {
    let database = database();
    let mut owner = database.connect();
    let created = row(
        &mut owner,
        "memory_feature_create('export', description => 'CSV export', category => 'billing', test_steps => '[\"open\", {\"step\": \"click\", \"n\": 2}]', agent_id => 'bob', session_id => 's', metadata => '{\"m\": 1}')",
    );

    for (column, expected) in [
        ("feature_id", json!("export")),
        ("description", json!("CSV export")),
        ("category", json!("billing")),
        ("status", json!("not_started")),
        ("passes", json!(false)),
        ("test_steps", json!(["open", {"step": "click", "n": 2}])),
        ("verified_by", Value::Null),
        ("verified_at", Value::Null),
        ("blocked_reason", Value::Null),
        ("implementation_notes", Value::Null),
        ("agent_id", json!("bob")),
        ("session_id", json!("s")),
        ("metadata", json!({"m": 1})),
        ("completed_at", Value::Null),
        ("project_id", json!("default")),
    ] {
        assert_eq!(created[column], expected, "{column}");
    }
    let (_, mut alice) = granted(&database, "default", "write", Some("alice"));
    assert_eq!(
        row(&mut alice, "memory_feature_get('export')"),
        created,
        "whoever reads the project sees it"
    );
    assert_eq!(
        row(
            &mut alice,
            "memory_feature_update('export', status => 'in_progress')"
        )["status"],
        "in_progress"
    );
    assert_eq!(
        row(
            &mut alice,
            "memory_feature_create('by alice', description => 'x')"
        )["agent_id"],
        "alice"
    );
    assert_eq!(
        alice.one::<i64>("SELECT count(*) FROM memory_feature_list()", &[]),
        2
    );
    for call in [
        "memory_feature_get('export', agent_id => 'bob')",
        "memory_feature_list(agent_id => 'bob')",
        "memory_feature_create('x', description => 'x', agent_id => 'bob')",
        "memory_feature_update('export', agent_id => '*')",
    ] {
        alice
            .refused(&format!("SELECT * FROM {call}"), &[])
            .is("42501");
    }
    let (_, mut reader) = granted(&database, "default", "read", None);
    for call in [
        "memory_feature_create('x', description => 'x')",
        "memory_feature_update('export', passes => true)",
    ] {
        reader
            .refused(&format!("SELECT * FROM {call}"), &[])
            .is("42501");
    }
    assert_eq!(
        reader.one::<i64>("SELECT count(*) FROM memory_feature_get('export')", &[]),
        1
    );
    assert_eq!(
        owner.one::<i64>(
            "SELECT count(*) FROM memory_feature_get('export', project_id => 'other')",
            &[]
        ),
        0
    );
}

#[test]
fn c05_a_feature_id_is_taken_once_a_project() {
    let mut sql = store();
    sql.run("SELECT memory_feature_create('f', description => 'ours')");
    let before = store_hash(&mut sql);

    sql.refused(
        "SELECT * FROM memory_feature_create('f', description => 'again')",
        &[],
    )
    .is("23505")
    .says("f")
    .helps()
    .well_formed();
    assert_eq!(store_hash(&mut sql), before);
    sql.run("SELECT memory_feature_create('f', description => 'theirs', project_id => 'other')");
    sql.run("SELECT memory_feature_update('f', status => 'failed', project_id => 'other')");
    assert_eq!(
        row(&mut sql, "memory_feature_get('f')")["status"],
        "not_started"
    );
}

#[test]
fn c20_a_feature_goes_only_where_its_state_lets_it() {
    const PATHS: [(&str, &[&str], &[&str]); 6] = [
        ("not_started", &[], &["in_progress", "blocked", "failed"]),
        (
            "in_progress",
            &["in_progress"],
            &["testing", "blocked", "failed", "not_started"],
        ),
        (
            "blocked",
            &["blocked"],
            &["not_started", "in_progress", "failed"],
        ),
        (
            "testing",
            &["in_progress", "testing"],
            &["complete", "in_progress", "blocked", "failed"],
        ),
        ("failed", &["failed"], &["not_started", "in_progress"]),
        (
            "complete",
            &["in_progress", "testing", "complete"],
            &["in_progress"],
        ),
    ];
    let mut sql = store();

    for (from, path, follow) in PATHS {
        for (to, ..) in PATHS.iter().filter(|(to, ..)| *to != from) {
            let id = format!("{from} to {to}");
            sql.run(&format!(
                "SELECT memory_feature_create('{id}', description => 'x')"
            ));
            walk(&mut sql, &id, path);
            let before = row(&mut sql, &format!("memory_feature_get('{id}')"));
            if follow.contains(to) {
                walk(&mut sql, &id, &[*to]);
                continue;
            }
            sql.refused(&format!("SELECT * FROM memory_feature_update('{id}', status => '{to}', passes => true, verified_by => 'qa')"), &[])
                .is("55000")
                .says(from)
                .says(to)
                .well_formed();
            assert_eq!(
                row(&mut sql, &format!("memory_feature_get('{id}')")),
                before,
                "{id}"
            );
        }
    }
    sql.refused(
        "SELECT * FROM memory_feature_update('failed to testing', status => 'done')",
        &[],
    )
    .is("22023")
    .says("done")
    .hints("testing")
    .well_formed();
}

#[test]
fn c20_complete_needs_passing_tests_and_who_verified_them() {
    let mut sql = store();
    for (id, given_before, given_now, complete) in [
        ("nothing", "", "", false),
        ("passes", "", ", passes => true", false),
        ("verified", "", ", verified_by => 'qa'", false),
        ("both", "", ", passes => true, verified_by => 'qa'", true),
        (
            "both before",
            "passes => true, verified_by => 'qa'",
            "",
            true,
        ),
        (
            "one of each",
            "passes => true",
            ", verified_by => 'qa'",
            true,
        ),
        (
            "taken back",
            "passes => true, verified_by => 'qa'",
            ", passes => false",
            false,
        ),
        ("fails", "", ", passes => false, verified_by => 'qa'", false),
    ] {
        sql.run(&format!(
            "SELECT memory_feature_create('{id}', description => 'x')"
        ));
        walk(&mut sql, id, &["in_progress", "testing"]);
        if !given_before.is_empty() {
            sql.run(&format!(
                "SELECT memory_feature_update('{id}', {given_before})"
            ));
        }
        let before = store_hash(&mut sql);
        let call = format!("memory_feature_update('{id}', status => 'complete'{given_now})");
        if !complete {
            let refusal = sql
                .refused(&format!("SELECT * FROM {call}"), &[])
                .is("55000")
                .well_formed();
            assert!(
                refusal.hint.contains("verified_by") || refusal.message.contains("verified_by"),
                "{refusal:?}"
            );
            assert_eq!(store_hash(&mut sql), before, "{id}");
            continue;
        }
        let done = row(&mut sql, &call);
        assert_eq!(
            (&done["status"], &done["passes"], &done["verified_by"]),
            (&json!("complete"), &json!(true), &json!("qa")),
            "{id}"
        );
        assert!(
            done["verified_at"].is_string() && done["completed_at"].is_string(),
            "{done}"
        );

        let reopened = row(
            &mut sql,
            &format!("memory_feature_update('{id}', status => 'in_progress')"),
        );
        assert_eq!(
            (
                &reopened["passes"],
                &reopened["verified_by"],
                &reopened["verified_at"],
                &reopened["completed_at"]
            ),
            (&json!(false), &Value::Null, &Value::Null, &Value::Null),
            "{id}"
        );
        walk(&mut sql, id, &["testing"]);
        sql.refused(
            &format!("SELECT * FROM memory_feature_update('{id}', status => 'complete')"),
            &[],
        )
        .is("55000");
    }
    sql.run("SELECT memory_feature_create('blank', description => 'x'); SELECT memory_feature_update('blank', status => 'in_progress'); SELECT memory_feature_update('blank', status => 'testing')");
    sql.refused("SELECT * FROM memory_feature_update('blank', status => 'complete', passes => true, verified_by => ' ')", &[]).is("22023");
}

#[test]
fn a_feature_keeps_what_is_not_given_and_features_are_listed_oldest_first() {
    let mut sql = store();
    for (id, category, session) in [
        ("one", "'ui'", "'s1'"),
        ("two", "'api'", "'s1'"),
        ("three", "'ui'", "NULL"),
    ] {
        sql.run(&format!("SELECT memory_feature_create('{id}', description => 'feature {id}', category => {category}, session_id => {session}, metadata => '{{\"a\": {{\"b\": 1}}}}')"));
    }
    let mut before = row(&mut sql, "memory_feature_get('one')");
    for (argument, column, expected) in [
        ("description => 'changed'", "description", json!("changed")),
        ("category => 'core'", "category", json!("core")),
        (
            "test_steps => '[\"b\", \"a\"]'",
            "test_steps",
            json!(["b", "a"]),
        ),
        (
            "implementation_notes => 'see the branch'",
            "implementation_notes",
            json!("see the branch"),
        ),
        (
            "metadata => '{\"a\": {\"b\": null, \"c\": 2}}'",
            "metadata",
            json!({"a": {"c": 2}}),
        ),
        ("passes => true", "passes", json!(true)),
        ("status => 'blocked'", "status", json!("blocked")),
        (
            "blocked_reason => 'no key'",
            "blocked_reason",
            json!("no key"),
        ),
    ] {
        let mut after = row(
            &mut sql,
            &format!("memory_feature_update('one', {argument})"),
        );
        assert_eq!(after[column], expected, "{argument}");
        assert!(
            after["updated_at"].as_str() > before["updated_at"].as_str(),
            "{argument}"
        );
        let kept = after.clone();
        for free in [column, "updated_at"] {
            before[free] = Value::Null;
            after[free] = Value::Null;
        }
        assert_eq!(after, before, "{argument}");
        before = kept;
    }

    for (arguments, expected) in [
        ("", "one,two,three"),
        ("page_size => 2", "one,two"),
        ("category => 'ui'", "three"),
        ("category => 'core'", "one"),
        ("status => 'blocked'", "one"),
        ("status => 'not_started', session_id => 's1'", "two"),
        ("session_id => 's1'", "one,two"),
        ("agent_id => 'anybody'", "one,two,three"),
        ("project_id => 'other'", ""),
    ] {
        let listed: Vec<String> = sql.column(
            &format!("SELECT feature_id FROM memory_feature_list({arguments})"),
            &[],
        );
        assert_eq!(listed.join(","), expected, "{arguments}");
    }
}

// --- bad input

#[test]
fn bad_input_of_features_is_refused_and_nothing_is_changed() {
    let mut sql = store();
    sql.run("SELECT memory_feature_create('f', description => 'x')");
    refuse_all(
        &mut sql,
        r#"
        22023 | feature_id, NULL | | SELECT * FROM memory_feature_create(NULL, description => 'x')
        22023 | feature_id, blank | | SELECT * FROM memory_feature_create('', description => 'x')
        22023 | feature_id, 10240, 255 | | SELECT * FROM memory_feature_create(repeat('f', 10240), description => 'x')
        22023 | agent_id, * | | SELECT * FROM memory_feature_create('n', description => 'x', agent_id => '*')
        22023 | session_id, blank | | SELECT * FROM memory_feature_create('n', description => 'x', session_id => '')
        22023 | session_id, 10240, 255 | | SELECT * FROM memory_feature_create('n', description => 'x', session_id => repeat('s', 10240))
        22023 | project_id, blank | | SELECT * FROM memory_feature_create('n', description => 'x', project_id => '')
        22023 | test_steps, array | | SELECT * FROM memory_feature_create('n', description => 'x', test_steps => '{"step": 1}')
        22023 | test_steps, array | | SELECT * FROM memory_feature_create('n', description => 'x', test_steps => '"open"')
        22023 | metadata, object | { | SELECT * FROM memory_feature_create('n', description => 'x', metadata => '[1]')
        22P05 | | | SELECT * FROM memory_feature_create('n', description => 'x', test_steps => '["\u0000"]')
        22021 | | | SELECT * FROM memory_feature_create('n', description => E'bad \xff byte')
        22023 | feature_id, NULL | | SELECT * FROM memory_feature_get(NULL)
        22023 | feature_id, 10240, 255 | | SELECT * FROM memory_feature_get(repeat('f', 10240))
        22023 | status, active | in_progress | SELECT * FROM memory_feature_list(status => 'active')
        22023 | page_size, 0 | | SELECT * FROM memory_feature_list(page_size => 0)
        22023 | session_id, blank | | SELECT * FROM memory_feature_list(session_id => ' ')
        22023 | feature_id, NULL | | SELECT * FROM memory_feature_update(NULL, passes => true)
        22023 | feature_id, blank | | SELECT * FROM memory_feature_update(' ', passes => true)
        22023 | feature_id, 10240, 255 | | SELECT * FROM memory_feature_update(repeat('f', 10240))
        P0002 | nobody | . | SELECT * FROM memory_feature_update('nobody', passes => true)
        P0002 | f | | SELECT * FROM memory_feature_update('f', passes => true, project_id => 'other')
        22023 | status, completed | complete | SELECT * FROM memory_feature_update('f', status => 'completed')
        22023 | status | in_progress | SELECT * FROM memory_feature_update('f', status => '')
        22023 | verified_by, blank | | SELECT * FROM memory_feature_update('f', verified_by => '')
        22023 | verified_by, 10240, 255 | | SELECT * FROM memory_feature_update('f', verified_by => repeat('v', 10240))
        22023 | test_steps, array | | SELECT * FROM memory_feature_update('f', test_steps => '{}')
        22023 | metadata, object | { | SELECT * FROM memory_feature_update('f', metadata => '"x"')
        "#,
    );
}

#[test]
fn sql_fragments_in_every_text_argument_of_a_feature_are_only_text() {
    let mut sql = store();
    for fragment in FRAGMENTS {
        for call in [
            "memory_feature_create($1, description => $1, category => $1, test_steps => jsonb_build_array($1::text), agent_id => $1, session_id => $1, project_id => $1)",
            "memory_feature_update($1, verified_by => $1, blocked_reason => $1, implementation_notes => $1, category => $1, agent_id => $1, project_id => $1)",
        ] {
            sql.query(&format!("SELECT * FROM {call}"), &[fragment])
                .unwrap_or_else(|error| panic!("{fragment:?} {call}: {error:?}"));
        }
        let same: bool = sql.one(
            "SELECT description = $1 AND category = $1 AND verified_by = $1 AND blocked_reason = $1 AND implementation_notes = $1 AND session_id = $1
             FROM memory_feature_list(category => $1, session_id => $1, project_id => $1)",
            &[fragment],
        );
        assert!(same, "{fragment:?}");
        sql.refused(
            "SELECT * FROM memory_feature_update($1, status => $1, project_id => $1)",
            &[fragment],
        )
        .is("22023");
    }
}
