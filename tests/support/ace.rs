//! The functions that 1.1.0 brought.

use postgres::Client;
use serde_json::Value;

use super::database::Sql;
use super::votes::{assert_counters, counters};

/// A call of each, with arguments that are right.
pub const CALLS: &[&str] = &[
    "SELECT * FROM memory_vote('fact', 'helpful', voter_agent_id => 'a')",
    "SELECT * FROM memory_votes('fact')",
    "SELECT memory_deprecate('fact')",
    "SELECT memory_undeprecate('fact')",
    "SELECT * FROM memory_delta('[{\"operation\": \"add\", \"content\": \"x\"}]')",
    "SELECT memory_reflect('x')",
    "SELECT * FROM memory_playbook()",
    "SELECT * FROM memory_playbook('x')",
    "SELECT * FROM memory_duplicates()",
    "SELECT * FROM memory_consolidate()",
    "SELECT * FROM memory_curate()",
    "SELECT * FROM memory_session_start('s')",
    "SELECT * FROM memory_session_get('s')",
    "SELECT * FROM memory_session_list()",
    "SELECT * FROM memory_session_update('s', status => 'paused')",
    "SELECT * FROM memory_feature_create('f', 'x')",
    "SELECT * FROM memory_feature_get('f')",
    "SELECT * FROM memory_feature_list()",
    "SELECT * FROM memory_feature_update('f', status => 'in_progress')",
    "SELECT * FROM memory_run_start('r')",
    "SELECT * FROM memory_run_complete('r', true)",
    "SELECT * FROM memory_run_get('r')",
    "SELECT memory_handoff('a', 'b')",
    "SELECT * FROM memory_timeline('s')",
    "SELECT * FROM memory_entity_facts('e')",
];

/// Uses each on a store that `release::fill` has filled, as its owner, and checks that it did its work.
pub fn exercise(sql: &mut Client) {
    vote_and_deprecate(sql);
    curate(sql);
    track_work(sql);
    assert_counters(sql);
}

fn vote_and_deprecate(sql: &mut Client) {
    let voted = sql
        .query_one("SELECT bullet_helpful, bullet_harmful, effectiveness_score FROM memory_vote('strategy-1', 'helpful', voter_agent_id => 'a', task_id => 'a task')", &[])
        .expect("a vote on an old memory counts");
    assert_eq!(
        (
            voted.get::<_, i32>(0),
            voted.get::<_, i32>(1),
            voted.get::<_, f64>(2)
        ),
        (1, 0, 0.5)
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT voter_agent_id || ' ' || vote FROM memory_votes('strategy-1')",
            &[]
        ),
        ["a helpful"]
    );
    assert_eq!(
        sql.column::<String>("SELECT id FROM memory_playbook()", &[]),
        ["strategy-1", "strategy-2"],
        "the one that helped comes first"
    );

    assert!(sql.one::<bool>("SELECT memory_deprecate('fact', reason => 'moved')", &[]));
    assert_eq!(
        sql.column::<String>("SELECT id FROM memory_get('fact')", &[]),
        [""; 0]
    );
    assert!(sql.one::<bool>("SELECT memory_undeprecate('fact')", &[]));
    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_get('fact')", &[]),
        ["the harbour of Bergen is deep"]
    );
    let operations: Vec<String> = sql.column(
        "SELECT operation FROM memory_history WHERE memory_id = 'fact' ORDER BY history_id",
        &[],
    );
    assert_eq!(
        operations,
        ["update", "restore", "deprecate", "undeprecate"],
        "after what 1.0.0 wrote"
    );
}

fn curate(sql: &mut Client) {
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_duplicates(similarity => 0.5, memory_types => '{strategy}')", &[]),
        1
    );
    assert_eq!(
        sql.column::<String>("SELECT kept_id || ' ' || merged_id || ' ' || done FROM memory_consolidate(similarity => 0.5, memory_types => '{strategy}')", &[]),
        ["strategy-1 strategy-2 false"]
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memory_curate(min_votes => 1) WHERE action = 'promote'",
            &[]
        ),
        ["strategy-1"]
    );
    let outcomes: Vec<String> = sql.column(
        "SELECT operation || ' ' || success FROM memory_delta('[{\"operation\": \"add\", \"content\": \"added by a delta\"}, {\"operation\": \"update\", \"id\": \"fact\", \"importance\": 0.9},
                {\"operation\": \"deprecate\", \"id\": \"strategy-2\", \"superseded_by\": \"strategy-1\"}]') ORDER BY ordinal",
        &[],
    );
    assert_eq!(outcomes, ["add true", "update true", "deprecate true"]);
    let reflection: String = sql.one("SELECT memory_reflect('the tests came too late', agent_id => 'a', error_pattern => 'late tests')", &[]);
    assert_eq!(
        sql.column::<String>(
            "SELECT id || coalesce(error_pattern, '') FROM memory_playbook() ORDER BY memory_type",
            &[]
        ),
        [format!("{reflection}late tests"), "strategy-1".to_owned()]
    );
}

fn track_work(sql: &mut Client) {
    assert_eq!(
        sql.column::<String>("SELECT status FROM memory_session_start('work', agent_id => 'a', next_items => '[\"one\", \"two\"]')", &[]),
        ["active"]
    );
    assert_eq!(
        sql.column::<f64>("SELECT progress FROM memory_session_update('work', complete_item => 'one', agent_id => 'a')", &[]),
        [50.0]
    );
    for lookup in [
        "memory_session_get('work', agent_id => 'a')",
        "memory_session_list(agent_id => 'a')",
    ] {
        assert_eq!(
            sql.column::<String>(
                &format!("SELECT session_id || completed_items FROM {lookup}"),
                &[]
            ),
            ["work[\"one\"]"]
        );
    }

    assert_eq!(
        sql.column::<String>(
            "SELECT status FROM memory_feature_create('login', 'people log in')",
            &[]
        ),
        ["not_started"]
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT status FROM memory_feature_update('login', status => 'in_progress')",
            &[]
        ),
        ["in_progress"]
    );
    for lookup in ["memory_feature_get('login')", "memory_feature_list()"] {
        assert_eq!(
            sql.column::<String>(&format!("SELECT feature_id || status FROM {lookup}"), &[]),
            ["loginin_progress"]
        );
    }

    sql.run(
        "SELECT * FROM memory_run_start('run-1', agent_id => 'a', memory_ids => '{strategy-1}')",
    );
    assert_eq!(
        sql.column::<i32>(
            "SELECT votes FROM memory_run_complete('run-1', true, agent_id => 'a')",
            &[]
        ),
        [1]
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT status FROM memory_run_get('run-1', agent_id => 'a')",
            &[]
        ),
        ["success"]
    );
    assert_eq!(counters(sql, "strategy-1"), (2, 0));

    let handoff: Value = sql.one("SELECT memory_handoff('a', 'b')", &[]);
    assert_eq!(handoff["sessions"][0]["session_id"], "work", "{handoff}");
    let memories = handoff["memories"].as_array().expect("a list");
    let ids: Vec<&str> = memories
        .iter()
        .filter_map(|memory| memory["id"].as_str())
        .collect();
    assert!(
        ids.contains(&"shared") && !ids.contains(&"private"),
        "{handoff}"
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memory_timeline('session-1', agent_id => 'a')",
            &[]
        ),
        ["episode"]
    );
    assert_eq!(
        sql.column::<String>("SELECT id FROM memory_entity_facts('Bergen')", &[]),
        ["fact"]
    );
}
