//! What nobody can reach any more is removed; how much a search finds is measured.

mod support;

use postgres::Client;
use serde_json::{Value, json};
use support::integrity::{assert_healthy, filled, in_space, leave_behind};
use support::{Sql, store_hash};

fn leftovers(sql: &mut Client, call: &str) -> Vec<String> {
    sql.column(
        &format!("SELECT concat_ws(' ', what, found, removed) FROM {call}"),
        &[],
    )
}

#[test]
fn cleanup_removes_what_nobody_can_reach_and_nothing_else() {
    let database = filled();
    let mut sql = database.connect();
    assert!(
        leftovers(&mut sql, "memory_cleanup_orphans(dry_run => false)")
            .iter()
            .all(|line| line.ends_with(" 0 0"))
    );
    leave_behind(&mut sql);
    let before = store_hash(&mut sql);

    for call in [
        "memory_cleanup_orphans()",
        "memory_cleanup_orphans(dry_run => true)",
    ] {
        assert_eq!(
            leftovers(&mut sql, call),
            [
                "votes 2 0",
                "vote_changes 1 0",
                "usage 1 0",
                "history 5 0",
                "cached_vectors 2 0",
                "cached_secrets 1 0",
                "grants 1 0",
                "inbox_lines 1 0",
                "successors 1 0",
                "aliases 1 0"
            ]
        );
        assert_eq!(store_hash(&mut sql), before, "nothing was removed");
    }
    assert_eq!(
        leftovers(&mut sql, "memory_cleanup_orphans(dry_run => false)"),
        [
            "votes 2 2",
            "vote_changes 1 1",
            "usage 1 1",
            "history 5 5",
            "cached_vectors 2 2",
            "cached_secrets 1 1",
            "grants 1 1",
            "inbox_lines 1 1",
            "successors 1 1",
            "aliases 1 0"
        ]
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT DISTINCT memory_id FROM memory_history ORDER BY 1",
            &[]
        ),
        ["dead", "ferry", "just-gone", "old", "older"]
    );
    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_history('just-gone')", &[]),
        ["gone just now", "changed just-gone"],
        "what memory_history() shows is there"
    );
    assert_eq!(
        sql.column::<String>("SELECT role FROM memory_grants", &[]),
        ["postgres"]
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_import_lines", &[]),
        2
    );
    // With the numbers of the versions that went, for whoever verifies the seals.
    assert_eq!(
        sql.one::<i64>(
            "SELECT sum(CASE jsonb_typeof(n) WHEN 'array' THEN (n -> 1)::bigint - (n -> 0)::bigint + 1 ELSE 1 END)::bigint
             FROM memory_events e, jsonb_array_elements(payload -> 'history_ids') n WHERE event = 'cleanup'",
            &[]
        ),
        5
    );
    assert_eq!(
        sql.one::<Value>(
            "SELECT payload - 'history_ids' FROM memory_events WHERE event = 'cleanup'",
            &[]
        ),
        json!({ "votes": 2, "vote_changes": 1, "usage": 1, "history": 5, "cached_vectors": 2, "cached_secrets": 1, "grants": 1, "inbox_lines": 1, "successors": 1 })
    );
    assert_eq!(
        sql.column::<String>("SELECT operation FROM memory_history WHERE memory_id = 'old' ORDER BY history_id DESC LIMIT 1", &[]),
        ["cleanup"]
    );
    assert_healthy(&mut sql);
    assert!(
        leftovers(&mut sql, "memory_cleanup_orphans(dry_run => false)")
            .iter()
            .all(|line| line.ends_with(" 0"))
    );
}

#[test]
fn recall_is_measured_by_the_path_that_a_search_takes() {
    let mut sql = in_space(20_000);
    let recall = |sql: &mut Client, call: &str| -> Vec<(String, i32, i32, f64, f64, i32)> {
        let rows = sql
            .query(
                &format!("SELECT path, searched, k, recall, worst, short FROM {call}"),
                &[],
            )
            .unwrap_or_else(|error| panic!("{call}: {error:?}"));
        rows.iter()
            .map(|row| {
                (
                    row.get(0),
                    row.get(1),
                    row.get(2),
                    row.get(3),
                    row.get(4),
                    row.get(5),
                )
            })
            .collect()
    };
    let found = recall(&mut sql, "memory_recall_check()");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&*found[0].0, found[0].1, found[0].2, found[0].5),
        ("hnsw", 100, 10, 0)
    );
    assert!(
        found[0].3 >= 0.98 && found[0].3 <= 1.0 && found[0].4 <= found[0].3,
        "{found:?}"
    );
    sql.run("SET memory_ext.vector_path = 'exact'");
    assert_eq!(
        recall(&mut sql, "memory_recall_check(sample => 20, k => 50)"),
        [("exact".to_owned(), 20, 50, 1.0, 1.0, 0)]
    );
    // A bad index is told from a good one.
    sql.run("RESET memory_ext.vector_path; SELECT memory_rebuild_index(m => 2, ef_construction => 4); SET memory_ext.ef_search = 1; SET memory_ext.max_scan_tuples = 100");
    let bad = recall(&mut sql, "memory_recall_check(sample => 50)");
    assert!(
        bad.iter().map(|path| path.3).fold(1.0, f64::min) < 0.9,
        "{bad:?}"
    );
    sql.run("RESET ALL");
    assert_eq!(
        recall(&mut sql, "memory_recall_check(project_id => 'empty')"),
        []
    );

    for (arguments, says) in [
        ("sample => 0", "sample is 0"),
        ("sample => 1001", "sample is 1001"),
        ("k => 0", "k is 0"),
        ("k => 1001", "k is 1001"),
        ("project_id => '*'", "not a project"),
    ] {
        sql.refused(
            &format!("SELECT * FROM memory_recall_check({arguments})"),
            &[],
        )
        .is("22023")
        .says(says)
        .well_formed();
    }
}
