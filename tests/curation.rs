//! Curation: duplicates found, merged with their votes and parted again; what is proven is promoted, what harms is flagged.

mod support;

use std::collections::BTreeSet;

use postgres::Client;
use serde_json::{Value, json};
use support::cases::{FRAGMENTS, refuse_all};
use support::votes::{
    add_at, age, assert_counters, counters, effectiveness, expire, space, vote, votes,
};
use support::{Sql, granted, store_hash, together};

/// `id duplicate_id`, most alike first.
fn pairs(sql: &mut Client, arguments: &str) -> Vec<String> {
    sql.column(
        &format!("SELECT id || ' ' || duplicate_id FROM memory_duplicates({arguments})"),
        &[],
    )
}

/// `kept merged votes done`
fn consolidate(sql: &mut Client, arguments: &str) -> Vec<String> {
    sql.column(&format!("SELECT format('%s %s %s %s', kept_id, merged_id, votes, done) FROM memory_consolidate({arguments})"), &[])
}

/// `action id done`
fn curate(sql: &mut Client, arguments: &str) -> Vec<String> {
    sql.column(
        &format!(
            "SELECT format('%s %s %s', action, id, done) FROM memory_curate({arguments}) ORDER BY 1"
        ),
        &[],
    )
}

fn deprecated(sql: &mut Client) -> Vec<String> {
    sql.column(
        "SELECT id FROM memories WHERE is_deprecated ORDER BY id",
        &[],
    )
}

// --- duplicates

#[test]
fn duplicates_are_pairs_by_likeness_the_older_first() {
    let mut sql = space().connect();
    for (id, degrees) in [
        ("m0", 0.0),
        ("m5", 5.0),
        ("m12", 12.0),
        ("m40", 40.0),
        ("m90", 90.0),
    ] {
        add_at(&mut sql, id, degrees, "");
    }

    // The default of 0.95 is 18 degrees.
    assert_eq!(
        pairs(&mut sql, ""),
        ["m0 m5", "m5 m12", "m0 m12"],
        "each pair once, the older is first"
    );
    let rows = sql
        .query(
            "SELECT similarity, content, duplicate_content FROM memory_duplicates()",
            &[],
        )
        .expect("pairs");
    for (row, degrees) in rows.iter().zip([5.0f64, 7.0, 12.0]) {
        let similarity: f64 = row.get(0);
        assert!(
            (similarity - degrees.to_radians().cos()).abs() < 1e-5,
            "{similarity} at {degrees}"
        );
    }
    assert_eq!(
        (rows[0].get::<_, String>(1), rows[0].get::<_, String>(2)),
        ("words of m0".to_owned(), "words of m5".to_owned())
    );
    assert_eq!(pairs(&mut sql, "0.995"), ["m0 m5"]);
    assert_eq!(pairs(&mut sql, "similarity => 0.88").len(), 4, "28 degrees");
    assert_eq!(
        pairs(&mut sql, "similarity => 0").len(),
        10,
        "all of them, at right angles too"
    );
    assert_eq!(pairs(&mut sql, "similarity => 1").len(), 0);
    assert_eq!(
        pairs(&mut sql, "page_size => 2"),
        ["m0 m5", "m5 m12"],
        "the most alike"
    );
    assert_eq!(pairs(&mut sql, "project_id => 'other'").len(), 0);

    age(&mut sql, "m12", 1);
    assert_eq!(pairs(&mut sql, ""), ["m0 m5", "m12 m5", "m12 m0"]);
}

#[test]
fn a_duplicate_is_of_the_same_folder_author_reader_and_kind() {
    let mut sql = space().connect();
    let base = "namespace => 'n', agent_id => 'a', scope => 'agent-private', user_id => 'u', session_id => 's', entity_id => 'e', memory_type => 'strategy'";
    add_at(&mut sql, "base", 0.0, base);
    for (number, (given, other)) in [
        ("namespace => 'n'", "namespace => 'm'"),
        ("agent_id => 'a'", "agent_id => 'b'"),
        ("scope => 'agent-private'", "scope => 'global'"),
        ("scope => 'agent-private'", "shared_with_agents => '{b}'"),
        ("user_id => 'u'", "user_id => 'v'"),
        ("user_id => 'u'", "user_id => NULL"),
        ("session_id => 's'", "session_id => 't'"),
        ("session_id => 's'", "session_id => NULL"),
        ("entity_id => 'e'", "entity_id => 'f'"),
        ("memory_type => 'strategy'", "memory_type => 'reflection'"),
        (
            "memory_type => 'strategy'",
            "memory_type => 'strategy', key => 'k'",
        ),
        (
            "memory_type => 'strategy'",
            "memory_type => 'strategy', project_id => 'q'",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        add_at(
            &mut sql,
            &format!("other {number}"),
            0.0,
            &base.replace(given, other),
        );
    }
    sql.run(&format!(
        "SELECT memory_add('words of base, secret', id => 'secret', sensitive => true, {base})"
    ));
    for (id, end) in [
        (
            "deleted",
            "SELECT memory_delete('deleted', agent_id => 'a')",
        ),
        (
            "deprecated",
            "SELECT memory_deprecate('deprecated', agent_id => 'a')",
        ),
        (
            "expired",
            "UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = 'expired'",
        ),
    ] {
        add_at(&mut sql, id, 0.0, base);
        sql.run(end);
    }
    assert_eq!(pairs(&mut sql, "0.5, agent_id => '*'"), [""; 0]);

    add_at(&mut sql, "twin", 1.0, base);
    assert_eq!(
        pairs(&mut sql, "0.5, agent_id => '*'"),
        ["base twin"],
        "and nothing but a twin"
    );
    assert_eq!(pairs(&mut sql, "agent_id => 'a'"), ["base twin"]);
    for arguments in [
        "",
        "agent_id => 'b'",
        "agent_id => 'a', namespace => 'm'",
        "agent_id => 'a', memory_types => '{reflection}'",
    ] {
        assert_eq!(pairs(&mut sql, arguments), [""; 0], "{arguments}");
    }
    assert_eq!(
        pairs(
            &mut sql,
            "agent_id => 'a', namespace => 'n', memory_types => '{strategy,episodic}'"
        ),
        ["base twin"]
    );
}

// --- consolidation

#[test]
fn a_dry_consolidation_changes_nothing_and_tells_what_the_real_one_does() {
    let mut sql = space().connect();
    for (id, degrees) in [("old", 0.0), ("proven", 2.0), ("alone", 60.0)] {
        add_at(&mut sql, id, degrees, "");
    }
    votes(&mut sql, "proven", 3, 0);
    votes(&mut sql, "old", 1, 1);
    let before = store_hash(&mut sql);

    let dry = consolidate(&mut sql, "");
    assert_eq!(store_hash(&mut sql), before, "dry unless told otherwise");
    assert_eq!(consolidate(&mut sql, "dry_run => true"), dry);
    let real = consolidate(&mut sql, "dry_run => false");

    assert_eq!(dry.len(), 1);
    assert!(
        dry[0].starts_with("proven old "),
        "the better proven is kept: {dry:?}"
    );
    assert!(
        dry[0].ends_with(" f") && real[0].ends_with(" t"),
        "{dry:?} {real:?}"
    );
    assert_eq!(dry[0].trim_end_matches('f'), real[0].trim_end_matches('t'));
    assert_eq!(deprecated(&mut sql), ["old"]);
    assert_eq!(
        sql.one::<String>("SELECT superseded_by FROM memories WHERE id = 'old'", &[]),
        "proven"
    );
    assert_eq!(
        consolidate(&mut sql, "dry_run => false"),
        [""; 0],
        "nothing is left to do"
    );
}

#[test]
fn a_consolidation_keeps_the_better_proven_then_the_older_and_all_votes() {
    let mut sql = space().connect();
    add_at(&mut sql, "kept", 0.0, "");
    add_at(&mut sql, "merged", 1.0, "");
    for (id, voter, what) in [
        ("kept", "a", "helpful"),
        ("kept", "both agree", "helpful"),
        ("kept", "both differ", "helpful"),
        ("merged", "both agree", "helpful"),
        ("merged", "both differ", "harmful"),
        ("merged", "b", "harmful"),
    ] {
        vote(&mut sql, id, what, voter);
    }
    sql.run("SELECT memory_vote('merged', 'helpful', 'b', task_id => 't')");
    let before = counters(&mut sql, "merged");

    let done = consolidate(&mut sql, "dry_run => false");

    assert!(
        done.len() == 1 && done[0].starts_with("kept merged"),
        "{done:?}"
    );
    assert_eq!(
        counters(&mut sql, "kept"),
        (4, 1),
        "a, both agree, both differ (as on the kept one), b without and with a task"
    );
    assert_counters(&mut sql);
    let cast: Vec<String> = sql.column(
        "SELECT voter_agent_id || ' ' || vote FROM memory_votes('kept') ORDER BY 1",
        &[],
    );
    assert_eq!(
        cast,
        [
            "a helpful",
            "b harmful",
            "b helpful",
            "both agree helpful",
            "both differ helpful"
        ]
    );

    assert!(sql.one::<bool>("SELECT memory_undeprecate('merged')", &[]));
    assert_eq!(
        counters(&mut sql, "kept"),
        (3, 0),
        "the undo takes back what came with the merged one"
    );
    assert_eq!(counters(&mut sql, "merged"), before);
    assert_counters(&mut sql);
    assert_eq!(pairs(&mut sql, ""), ["kept merged"], "they are two again");

    // Equally proven: the older one.
    let mut sql = space().connect();
    add_at(&mut sql, "younger", 0.0, "");
    add_at(&mut sql, "older", 1.0, "");
    age(&mut sql, "older", 1);
    let done = consolidate(&mut sql, "dry_run => false");
    assert!(done[0].starts_with("older younger"), "{done:?}");
}

#[test]
fn votes_after_a_consolidation_survive_its_undo() {
    let mut sql = space().connect();
    add_at(&mut sql, "kept", 0.0, "");
    add_at(&mut sql, "merged", 1.0, "");
    vote(&mut sql, "kept", "helpful", "a");
    vote(&mut sql, "merged", "harmful", "b");
    consolidate(&mut sql, "dry_run => false");
    assert_eq!(counters(&mut sql, "kept"), (1, 1));

    vote(&mut sql, "kept", "helpful", "c");
    vote(&mut sql, "kept", "harmful", "a");
    assert_counters(&mut sql);
    sql.run("SELECT memory_undeprecate('merged')");

    assert_eq!(counters(&mut sql, "kept"), (1, 1), "c's and a's own");
    assert_eq!(counters(&mut sql, "merged"), (0, 1));
    assert_counters(&mut sql);
}

#[test]
fn of_many_alike_one_is_left_and_nothing_is_merged_into_the_dead() {
    let mut sql = space().connect();
    for number in 0..12 {
        add_at(
            &mut sql,
            &format!("m{number:02}"),
            f64::from(number) / 10.0,
            "memory_type => 'strategy'",
        );
        vote(
            &mut sql,
            &format!("m{number:02}"),
            "helpful",
            &format!("voter {number}"),
        );
    }
    vote(&mut sql, "m07", "helpful", "one more");

    // A pair that was merged may make another one that is decided anew.
    for _ in 0..12 {
        if consolidate(&mut sql, "dry_run => false").is_empty() {
            break;
        }
        assert_counters(&mut sql);
    }

    let left: Vec<String> = sql.column("SELECT id FROM memory_list()", &[]);
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(counters(&mut sql, &left[0]), (13, 0), "every voter once");
    let ends: Vec<String> = sql.column(
        "WITH RECURSIVE up AS (SELECT superseded_by AS id, 1 AS step FROM memories WHERE is_deprecated
             UNION SELECT m.superseded_by, step + 1 FROM up JOIN memories m USING (id) WHERE m.is_deprecated AND step < 20)
         SELECT DISTINCT id FROM up JOIN memories m USING (id) WHERE NOT m.is_deprecated",
        &[],
    );
    assert_eq!(ends, left, "every one merged leads to the one that is left");

    sql.run("SELECT memory_undeprecate(id) FROM memories WHERE is_deprecated");
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 12);
    assert_eq!(counters(&mut sql, "m07"), (2, 0));
    assert_eq!(counters(&mut sql, "m03"), (1, 0));
    assert_counters(&mut sql);
}

#[test]
fn a_consolidation_touches_only_what_its_agent_may_change() {
    let database = space();
    let mut owner = database.connect();
    for (agent, scope, kind) in [
        ("alice", "agent-private", "private"),
        ("bob", "agent-private", "private"),
        ("bob", "global", "global"),
    ] {
        for number in [1, 2] {
            add_at(
                &mut owner,
                &format!("{agent}-{kind}-{number}"),
                f64::from(number),
                &format!("agent_id => '{agent}', scope => '{scope}'"),
            );
        }
    }
    for number in [1, 2] {
        add_at(
            &mut owner,
            &format!("nobody-{number}"),
            f64::from(number),
            "",
        );
    }
    let (_, mut alice) = granted(&database, "default", "write", Some("alice"));
    let (_, mut reader) = granted(&database, "default", "read", None);

    reader
        .refused("SELECT * FROM memory_consolidate(dry_run => false)", &[])
        .is("42501");
    alice
        .refused(
            "SELECT * FROM memory_consolidate(dry_run => false, agent_id => 'bob')",
            &[],
        )
        .is("42501");
    assert_eq!(deprecated(&mut owner), [""; 0]);
    // Pairs that she sees and may not change are passed over or refused, never merged.
    if let Err(error) = alice.query("SELECT * FROM memory_consolidate(dry_run => false)", &[]) {
        assert_eq!(
            error.code().expect("an SQLSTATE").code(),
            "42501",
            "{error:?}"
        );
    }
    for id in deprecated(&mut owner) {
        assert_eq!(id, "alice-private-2");
    }

    let kept: BTreeSet<String> = consolidate(&mut owner, "dry_run => false, agent_id => 'bob'")
        .into_iter()
        .map(|line| line.split(' ').next().expect("an id").to_owned())
        .collect();
    assert!(!kept.iter().any(|id| id.starts_with("alice")), "{kept:?}");
    assert!(
        kept.contains("bob-private-1") && kept.contains("bob-global-1"),
        "{kept:?}"
    );
    let left: i64 = owner.one(
        "SELECT count(*) FROM memories WHERE agent_id = 'alice' AND NOT is_deprecated",
        &[],
    );
    assert!(left >= 1);
}

#[test]
fn concurrent_consolidations_leave_what_one_would_have_left() {
    let database = space();
    let mut sql = database.connect();
    for number in 0..10 {
        for twin in ["a", "b"] {
            let id = format!("m{number}{twin}");
            add_at(
                &mut sql,
                &id,
                f64::from(number) * 30.0 + if twin == "a" { 0.0 } else { 1.0 },
                "",
            );
            vote(&mut sql, &id, "helpful", twin);
        }
    }

    together(4, |_, start| {
        let mut sql = database.connect();
        start.wait();
        for _ in 0..4 {
            if let Err(error) = sql.query("SELECT * FROM memory_consolidate(dry_run => false)", &[])
            {
                let code = error.code().expect("an SQLSTATE").code().to_owned();
                assert!(["40001", "40P01"].contains(&code.as_str()), "{error:?}");
            }
        }
    });

    consolidate(&mut sql, "dry_run => false");
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 10);
    assert_eq!(deprecated(&mut sql).len(), 10);
    let counts: Vec<i32> = sql.column(
        "SELECT DISTINCT bullet_helpful FROM memories WHERE NOT is_deprecated",
        &[],
    );
    assert_eq!(counts, [2], "no vote is lost or doubled");
    assert_counters(&mut sql);
    let events: i64 = sql.one(
        "SELECT count(*) FROM memory_events WHERE event = 'deprecate'",
        &[],
    );
    assert_eq!(events, 10);
}

// --- curating

/// Memories of all fates, thirty days old.
fn curated() -> Client {
    let mut sql = space().connect();
    for (number, (id, helpful, harmful)) in [
        ("great", 5, 0),
        ("fine", 3, 1),
        ("few", 2, 0),
        ("mixed", 3, 3),
        ("bad", 0, 3),
        ("worse", 1, 9),
        ("one voice", 0, 2),
        ("unproven", 0, 0),
    ]
    .into_iter()
    .enumerate()
    {
        add_at(
            &mut sql,
            id,
            number as f64 * 40.0,
            "memory_type => 'strategy'",
        );
        votes(&mut sql, id, helpful, harmful);
        age(&mut sql, id, 30);
    }
    sql
}

#[test]
fn c10_nothing_fresh_is_archived_by_default_thresholds() {
    let mut sql = space().connect();
    for number in 0..30i32 {
        let id = format!("m{number}");
        add_at(
            &mut sql,
            &id,
            f64::from(number * 12),
            "memory_type => 'strategy'",
        );
        votes(&mut sql, &id, (number % 3) as usize, (number % 7) as usize);
    }

    let reported = curate(&mut sql, "dry_run => false");

    assert!(
        !reported.iter().any(|line| line.starts_with("flag")),
        "{reported:?}"
    );
    assert_eq!(deprecated(&mut sql), [""; 0]);
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 30);

    // A memory is fresh for a week; after that too few votes archive nothing either.
    for number in 0..30 {
        age(&mut sql, &format!("m{number}"), 6);
    }
    curate(&mut sql, "dry_run => false");
    assert_eq!(deprecated(&mut sql), [""; 0]);
    let mut sql = space().connect();
    for number in 0..8 {
        let id = format!("m{number}");
        add_at(
            &mut sql,
            &id,
            f64::from(number) * 40.0,
            "memory_type => 'strategy'",
        );
        votes(&mut sql, &id, 0, 2);
        age(&mut sql, &id, 400);
    }
    assert_eq!(curate(&mut sql, "dry_run => false"), [""; 0]);
    assert_eq!(deprecated(&mut sql), [""; 0]);
}

#[test]
fn c10_a_dry_curation_changes_nothing_and_tells_what_the_real_one_does() {
    let mut sql = curated();
    add_at(&mut sql, "fine too", 41.0, "memory_type => 'strategy'");
    let before = store_hash(&mut sql);

    let dry = curate(&mut sql, "");
    assert_eq!(
        dry,
        [
            "duplicate fine f",
            "flag bad f",
            "flag worse f",
            "promote great f"
        ]
    );
    assert_eq!(store_hash(&mut sql), before, "dry unless told otherwise");

    let real = curate(&mut sql, "dry_run => false");
    assert_eq!(
        real,
        [
            "duplicate fine f",
            "flag bad t",
            "flag worse t",
            "promote great t"
        ]
    );
    assert_eq!(deprecated(&mut sql), ["bad", "worse"]);
    assert!(sql.one::<bool>(
        "SELECT importance >= 0.9::real FROM memory_get('great')",
        &[]
    ));
    let untouched: i64 = sql.one(
        "SELECT count(*) FROM memory_list() WHERE importance = 0.5 AND version = 1",
        &[],
    );
    assert_eq!(
        untouched, 6,
        "the others are as they were, the reported pair too"
    );
    let reasons: Vec<String> = sql.column("SELECT memory_id || ' ' || (payload ->> 'reason') FROM memory_events WHERE event = 'deprecate' ORDER BY 1", &[]);
    assert_eq!(reasons, ["bad curated", "worse curated"]);
    assert!(
        !curate(&mut sql, "")
            .iter()
            .any(|line| line.starts_with("flag")),
        "they are gone"
    );

    assert!(sql.one::<bool>("SELECT memory_undeprecate('bad')", &[]));
    assert_eq!(counters(&mut sql, "bad"), (0, 3));
    assert_counters(&mut sql);
}

#[test]
fn a_curation_reports_what_it_decided_by() {
    let mut sql = curated();
    add_at(&mut sql, "fine too", 41.0, "memory_type => 'strategy'");
    let rows = sql.query("SELECT action, id, other_id, effectiveness_score, similarity, content FROM memory_curate()", &[]).expect("reported");

    assert_eq!(rows.len(), 4);
    for row in rows {
        let (action, id): (String, String) = (row.get(0), row.get(1));
        assert_eq!(row.get::<_, String>(5), format!("words of {id}"));
        let (other, score, similarity): (Option<String>, Option<f64>, Option<f64>) =
            (row.get(2), row.get(3), row.get(4));
        match action.as_str() {
            "duplicate" => {
                assert_eq!((id.as_str(), other.as_deref()), ("fine", Some("fine too")));
                assert!((similarity.expect("a likeness") - 1f64.to_radians().cos()).abs() < 1e-5);
            }
            _ => {
                let (helpful, harmful) = counters(&mut sql, &id);
                assert!(
                    (score.expect("a score") - effectiveness(helpful, harmful)).abs() < 1e-9,
                    "{id}"
                );
                assert_eq!((other, similarity), (None, None), "{id}");
            }
        }
    }
}

#[test]
fn the_thresholds_of_a_curation_are_the_callers() {
    let mut sql = curated();
    for (arguments, expected) in [
        (
            "min_votes => 2",
            "flag bad,flag one voice,flag worse,promote few,promote great",
        ),
        ("min_votes => 4", "flag worse,promote great"),
        ("min_votes => 11", ""),
        (
            "promote_at => 0.4",
            "flag bad,flag worse,promote fine,promote great",
        ),
        ("promote_at => 0.9", "flag bad,flag worse"),
        ("flag_at => -0.74", "flag bad,promote great"),
        ("flag_at => -0.75", "flag bad,promote great"),
        ("flag_at => -0.76", "promote great"),
        (
            "flag_at => 0",
            "flag bad,flag mixed,flag worse,promote great",
        ),
        ("min_age => '29 days'", "flag bad,flag worse,promote great"),
        ("min_age => '31 days'", "promote great"),
        ("memory_types => '{reflection}'", ""),
        (
            "memory_types => '{strategy,standard}'",
            "flag bad,flag worse,promote great",
        ),
        ("namespace => 'elsewhere'", ""),
        ("project_id => 'other'", ""),
    ] {
        let told = curate(&mut sql, arguments).join(",").replace(" f,", ",");
        assert_eq!(told.trim_end_matches(" f"), expected, "{arguments}");
    }
    sql.run("UPDATE memories SET memory_type = 'episodic' WHERE id = 'bad'");
    assert_eq!(
        curate(&mut sql, ""),
        ["flag worse f", "promote great f"],
        "strategies and reflections unless told otherwise"
    );
}

#[test]
fn a_promotion_never_lowers_what_is_more_important_already() {
    let mut sql = curated();
    sql.run("SELECT memory_update('great', importance => 0.97)");

    curate(&mut sql, "dry_run => false");

    assert_eq!(
        sql.one::<f32>("SELECT importance FROM memory_get('great')", &[]),
        0.97
    );
}

#[test]
fn a_curation_touches_only_what_its_agent_may_change() {
    let database = space();
    let mut owner = database.connect();
    for (agent, scope) in [
        ("alice", "agent-private"),
        ("bob", "agent-private"),
        ("bob", "global"),
    ] {
        for (fate, helpful, harmful, degrees) in [("good", 5, 0, 0.0), ("bad", 0, 5, 90.0)] {
            let id = format!("{agent} {scope} {fate}");
            add_at(
                &mut owner,
                &id,
                degrees,
                &format!("memory_type => 'strategy', agent_id => '{agent}', scope => '{scope}'"),
            );
            for number in 0..helpful + harmful {
                owner
                    .execute(
                        "SELECT memory_vote($1, $2, $3, task_id => $4)",
                        &[
                            &id,
                            &if number < helpful {
                                "helpful"
                            } else {
                                "harmful"
                            },
                            &agent,
                            &format!("t{number}"),
                        ],
                    )
                    .expect("a vote");
            }
            age(&mut owner, &id, 30);
        }
    }
    let (_, mut alice) = granted(&database, "default", "write", Some("alice"));
    let (_, mut reader) = granted(&database, "default", "read", None);
    let before: Value = owner.one(
        "SELECT jsonb_agg(to_jsonb(m) ORDER BY id) FROM memories m WHERE agent_id = 'bob'",
        &[],
    );

    reader
        .refused("SELECT * FROM memory_curate(dry_run => false)", &[])
        .is("42501");
    alice
        .refused(
            "SELECT * FROM memory_curate(dry_run => false, agent_id => 'bob')",
            &[],
        )
        .is("42501");
    if let Err(error) = alice.query("SELECT * FROM memory_curate(dry_run => false)", &[]) {
        assert_eq!(
            error.code().expect("an SQLSTATE").code(),
            "42501",
            "{error:?}"
        );
    }
    let after: Value = owner.one(
        "SELECT jsonb_agg(to_jsonb(m) ORDER BY id) FROM memories m WHERE agent_id = 'bob'",
        &[],
    );
    assert_eq!(after, before);

    curate(&mut owner, "dry_run => false, agent_id => 'alice'");
    let private: Value = owner.one("SELECT jsonb_agg(is_deprecated ORDER BY id) FROM memories WHERE id LIKE 'bob agent-private%'", &[]);
    assert_eq!(private, json!([false, false]), "alice sees none of these");
    assert!(owner.one::<bool>(
        "SELECT is_deprecated FROM memories WHERE id = 'alice agent-private bad'",
        &[]
    ));
}

#[test]
fn what_has_ended_is_not_curated() {
    let mut sql = curated();
    expire(&mut sql, "bad");
    sql.run("SELECT memory_delete('worse'); SELECT memory_deprecate('great')");

    assert_eq!(curate(&mut sql, "dry_run => false"), [""; 0]);
    assert_eq!(deprecated(&mut sql), ["great"]);
}

// --- bad input

#[test]
fn bad_input_is_refused_and_nothing_is_curated() {
    let mut sql = curated();
    for function in ["memory_duplicates", "memory_consolidate", "memory_curate"] {
        let common = "
            22023 | similarity, 1.1 | | SELECT * FROM FUNCTION(similarity => 1.1)
            22023 | similarity, -0.1 | | SELECT * FROM FUNCTION(similarity => -0.1)
            22023 | similarity, NaN | | SELECT * FROM FUNCTION(similarity => 'NaN')
            22023 | similarity, inf | | SELECT * FROM FUNCTION(similarity => 'infinity')
            22023 | page_size, 0 | | SELECT * FROM FUNCTION(page_size => 0)
            22023 | page_size, -1 | | SELECT * FROM FUNCTION(page_size => -1)
            22023 | page_size, 10001, 10000 | | SELECT * FROM FUNCTION(page_size => 10001)
            22023 | memory_type, poem | strategy | SELECT * FROM FUNCTION(memory_types => '{poem}')
            22023 | memory_types | | SELECT * FROM FUNCTION(memory_types => '{}')
            22023 | memory_types, NULL | | SELECT * FROM FUNCTION(memory_types => '{NULL}')
            22023 | agent_id, blank | | SELECT * FROM FUNCTION(agent_id => ' ')
            22023 | agent_id, 10240, 255 | | SELECT * FROM FUNCTION(agent_id => repeat('a', 10240))
            22023 | namespace, blank | | SELECT * FROM FUNCTION(namespace => '')
            22023 | namespace, 10240, 255 | | SELECT * FROM FUNCTION(namespace => repeat('n', 10240))
            22023 | project_id, * | | SELECT * FROM FUNCTION(project_id => '*')
            22021 | | | SELECT * FROM FUNCTION(namespace => E'bad \\xff byte')";
        refuse_all(&mut sql, &common.replace("FUNCTION", function));
    }
    refuse_all(
        &mut sql,
        "
        22023 | min_votes, -1 | | SELECT * FROM memory_curate(min_votes => -1)
        22023 | promote_at, 1.1 | | SELECT * FROM memory_curate(promote_at => 1.1)
        22023 | promote_at, NaN | | SELECT * FROM memory_curate(promote_at => 'NaN')
        22023 | flag_at, -1.1 | | SELECT * FROM memory_curate(flag_at => -1.1)
        22023 | flag_at, NaN | | SELECT * FROM memory_curate(flag_at => 'NaN', dry_run => false)
        22023 | min_age | | SELECT * FROM memory_curate(min_age => '-1 day', dry_run => false)
        ",
    );
}

#[test]
fn sql_fragments_in_every_text_argument_of_a_curation_are_only_text() {
    let mut sql = space().connect();
    for fragment in FRAGMENTS {
        for embedding in ["[1,0,0]", "[1,0.01,0]"] {
            sql.execute(
                &format!("SELECT memory_add($1 || '{embedding}', agent_id => $1, namespace => $1, memory_type => 'strategy', embedding => '{embedding}', project_id => $1)"),
                &[fragment],
            )
            .expect("added");
        }
        for call in [
            "memory_duplicates(",
            "memory_curate(",
            "memory_consolidate(dry_run => false, ",
        ] {
            let found = sql
                .query(
                    &format!(
                        "SELECT * FROM {call}agent_id => $1, namespace => $1, project_id => $1)"
                    ),
                    &[fragment],
                )
                .unwrap_or_else(|error| panic!("{call} {fragment:?}: {error:?}"));
            assert_eq!(found.len(), 1, "{call} {fragment:?}");
        }
    }
}
