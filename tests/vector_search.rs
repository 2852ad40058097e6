//! The vector arm on a store of 20,000 memories: recall and full pages at every selectivity and by every path, and a session
//! that is left as it was.

mod support;

use std::collections::{BTreeMap, HashSet};
use std::io::Write;
use std::sync::OnceLock;

use pgvector::Vector;
use postgres::Client;
use serde_json::{Value, json};
use support::{Database, Random, Sql, cluster};

const ROWS: usize = 20_000;
const DIMENSIONS: usize = 64;

struct Large {
    database: Database<'static>,
    vectors: Vec<Vec<f32>>,
}

fn name(row: usize) -> String {
    format!("row-{row:05}")
}

fn large() -> &'static Large {
    static LARGE: OnceLock<Large> = OnceLock::new();
    LARGE.get_or_init(|| {
        let database = cluster().database();
        let mut sql = database.connect();
        sql.run(&format!("SELECT memory_init(dimensions => {DIMENSIONS}, embedder => 'external')"));
        let vectors = clustered_vectors();
        // As pg_restore does it: the index is built when the rows are there.
        let index: String = sql.one("SELECT pg_get_indexdef('ix_memories_embedding_hnsw'::regclass)", &[]);
        sql.run("DROP INDEX ix_memories_embedding_hnsw");
        let mut copy = sql.copy_in("COPY memories (id, content, metadata, embedding) FROM STDIN").expect("copy");
        for (row, vector) in vectors.iter().enumerate() {
            let metadata = json!({"half": row % 2, "tenth": row % 10, "percent": row % 100, "mill": row % 1000});
            writeln!(copy, "{}\trow number {row}\t{metadata}\t{vector:?}", name(row)).expect("written");
        }
        copy.finish().expect("copied");
        sql.run(&format!("{index}; ANALYZE memories"));
        Large { database, vectors }
    })
}

fn clustered_vectors() -> Vec<Vec<f32>> {
    const CLUSTERS: usize = 150;
    let mut random = Random::seeded(7);
    let centres: Vec<Vec<f64>> = (0..CLUSTERS)
        .map(|_| (0..DIMENSIONS).map(|_| random.normal()).collect())
        .collect();
    (0..ROWS)
        .map(|_| {
            let centre = random.pick(&centres).clone();
            centre
                .iter()
                .map(|value| (value + 0.6 * random.normal()) as f32)
                .collect()
        })
        .collect()
}

fn similarity(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum::<f64>()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

/// Some vector near a random row.
fn query(random: &mut Random, vectors: &[Vec<f32>]) -> Vec<f32> {
    random
        .pick(vectors)
        .clone()
        .iter()
        .map(|value| value + 0.3 * random.normal() as f32)
        .collect()
}

/// The k nearest of the rows that `matches` lets through, compared one by one.
fn nearest(
    vectors: &[Vec<f32>],
    query: &[f32],
    k: usize,
    matches: impl Fn(usize) -> bool,
) -> Vec<String> {
    let mut rows: Vec<(f64, usize)> = vectors
        .iter()
        .enumerate()
        .filter(|(row, _)| matches(*row))
        .map(|(row, vector)| (-similarity(vector, query), row))
        .collect();
    rows.sort_by(|a, b| a.partial_cmp(b).expect("no NaN"));
    rows.iter().take(k).map(|(_, row)| name(*row)).collect()
}

const SELECTIVITIES: [(&str, usize, &str); 5] = [
    ("100 %", 1, "NULL"),
    ("50 %", 2, "'{\"half\": 1}'"),
    ("10 %", 10, "'{\"tenth\": 1}'"),
    ("1 %", 100, "'{\"percent\": 1}'"),
    ("0.1 %", 1000, "'{\"mill\": 1}'"),
];

/// Runs queries at every selectivity; all must give k rows. The mean recall@10 of each selectivity.
fn recalls(sql: &mut Client, queries: usize) -> Vec<(&'static str, f64)> {
    let large = large();
    SELECTIVITIES
        .iter()
        .map(|(label, modulus, filter)| {
            let mut random = Random::seeded(11);
            let mut found = 0;
            for _ in 0..queries {
                let query = query(&mut random, &large.vectors);
                let expected: HashSet<String> = nearest(&large.vectors, &query, 10, |row| {
                    row % modulus == 1 % modulus
                })
                .into_iter()
                .collect();
                let statement = format!(
                    "SELECT id FROM memory_search(embedding => $1, k => 10, metadata => {filter})"
                );
                let ids: Vec<String> = sql.column(&statement, &[&Vector::from(query)]);
                assert_eq!(ids.len(), 10, "{label}: fewer rows than match");
                assert_eq!(
                    ids.iter().collect::<HashSet<_>>().len(),
                    10,
                    "{label}: a row twice"
                );
                found += ids.iter().filter(|id| expected.contains(*id)).count();
            }
            (*label, found as f64 / (10 * queries) as f64)
        })
        .collect()
}

#[test]
fn c15_k_rows_and_recall_at_every_selectivity() {
    let mut sql = large().database.connect();

    for (label, recall) in recalls(&mut sql, 100) {
        println!("auto {label}: recall@10 {recall:.3}");
        assert!(recall >= 0.98, "{label}: recall@10 is {recall}");
    }
}

#[test]
fn c15_every_forced_path_gives_k_rows_and_exact_gives_the_nearest() {
    let mut sql = large().database.connect();

    for (path, least) in [("exact", 1.0), ("sketch", 0.9), ("hnsw", 0.9)] {
        sql.run(&format!("SET memory_ext.vector_path = '{path}'"));
        for (label, recall) in recalls(&mut sql, 30) {
            println!("{path} {label}: recall@10 {recall:.3}");
            assert!(recall >= least, "{path} {label}: recall@10 is {recall}");
        }
        let mut random = Random::seeded(3);
        let explained: Value = sql.one(
            "SELECT memory_explain(embedding => $1, k => 10)",
            &[&Vector::from(query(&mut random, &large().vectors))],
        );
        assert_eq!(explained["path"], path);
    }
}

#[test]
fn c15_a_search_never_returns_fewer_than_match_however_the_index_is_limited() {
    let mut sql = large().database.connect();
    let mut random = Random::seeded(5);
    sql.run("SET memory_ext.vector_path = 'hnsw'; SET memory_ext.max_scan_tuples = 100; SET memory_ext.ef_search = 10");

    for (modulus, filter, matching) in [
        (1000, "{\"mill\": 7}", 20),
        (100, "{\"percent\": 7}", 200),
        (1, "{}", ROWS),
    ] {
        for k in [1, 20, 150, 1000] {
            let query = query(&mut random, &large().vectors);
            let ids: Vec<String> = sql.column(
                "SELECT id FROM memory_search(embedding => $1, k => $2, metadata => $3::text::jsonb)",
                &[&Vector::from(query), &k, &filter],
            );
            assert_eq!(ids.len(), matching.min(k as usize), "{filter}, k {k}");
            assert!(
                ids.iter()
                    .all(|id| id[4..].parse::<usize>().expect("a number") % modulus == 7 % modulus)
            );
        }
    }
    let query = Vector::from(query(&mut random, &large().vectors));
    let explained: Value = sql.one(
        "SELECT memory_explain(embedding => $1, k => 20, metadata => '{\"mill\": 7}')",
        &[&query],
    );
    assert_eq!(
        (
            &explained["path"],
            &explained["fallback"],
            &explained["complete"]
        ),
        (&json!("hnsw"), &json!(true), &json!(true)),
        "it says that the index was not enough"
    );
    assert_eq!(
        explained["arms"]["vector"].as_array().map(Vec::len),
        Some(20)
    );
}

#[test]
fn c15_many_rows_come_in_order_and_none_twice() {
    let mut sql = large().database.connect();
    let query = query(&mut Random::seeded(9), &large().vectors);

    for path in ["auto", "exact", "sketch", "hnsw"] {
        sql.run(&format!("SET memory_ext.vector_path = '{path}'"));
        let rows = sql
            .query(
                "SELECT id, score, similarity FROM memory_search(embedding => $1, k => 2000)",
                &[&Vector::from(query.clone())],
            )
            .expect("found");
        assert_eq!(rows.len(), 2000, "{path}");
        let scores: Vec<f64> = rows.iter().map(|row| row.get(1)).collect();
        assert!(scores.is_sorted_by(|a, b| a >= b), "{path}");
        assert!(
            scores.iter().all(|score| (0.0..=1.0).contains(score)),
            "{path}"
        );
        assert_eq!(
            rows.iter()
                .map(|row| row.get::<_, String>(0))
                .collect::<HashSet<_>>()
                .len(),
            2000,
            "{path}"
        );
        let told: f64 = rows[0].get(2);
        let id: String = rows[0].get(0);
        let own = similarity(
            &large().vectors[id[4..].parse::<usize>().expect("a number")],
            &query,
        );
        assert!(
            (told - own).abs() < 1e-5,
            "{path}: similarity is the cosine: {told} {own}"
        );
    }
}

#[test]
fn dead_neighbours_do_not_crowd_out_the_living() {
    let mut sql = large().database.connect();
    let query = query(&mut Random::seeded(13), &large().vectors);
    let near = nearest(&large().vectors, &query, 130, |_| true);
    let (dead, living) = near.split_at(120);

    for path in ["auto", "hnsw"] {
        let mut transaction = sql.transaction().expect("begin");
        transaction.run(&format!(
            "SET LOCAL memory_ext.vector_path = '{path}'; SET LOCAL memory_ext.ef_search = 200"
        ));
        transaction
            .execute(
                "UPDATE memories SET deleted_at = now() WHERE id = ANY ($1)",
                &[&dead[..60].to_vec()],
            )
            .expect("deleted");
        transaction
            .execute(
                "UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = ANY ($1)",
                &[&dead[60..].to_vec()],
            )
            .expect("expired");

        let ids: Vec<String> = transaction.column(
            "SELECT id FROM memory_search(embedding => $1, k => 10)",
            &[&Vector::from(query.clone())],
        );

        assert_eq!(ids.len(), 10, "{path}");
        let good = ids.iter().filter(|id| living.contains(id)).count();
        assert!(good >= 9, "{path}: {good} of the 10 nearest living");
        transaction.rollback().expect("rollback");
    }
}

#[test]
fn a_search_sees_what_its_own_transaction_has_just_added() {
    let mut sql = large().database.connect();
    let query = query(&mut Random::seeded(17), &large().vectors);
    let mut transaction = sql.transaction().expect("begin");
    transaction.run("SET LOCAL memory_ext.ef_search = 200");

    for path in ["auto", "exact", "sketch", "hnsw"] {
        transaction.run(&format!("SET LOCAL memory_ext.vector_path = '{path}'"));
        let id: String = transaction.one(
            "SELECT memory_add($1, embedding => $2)",
            &[&format!("just added, {path}"), &Vector::from(query.clone())],
        );
        let found: Vec<String> = transaction.column(
            "SELECT id FROM memory_search(embedding => $1, k => 5)",
            &[&Vector::from(query.clone())],
        );
        assert!(found.contains(&id), "{path}: {found:?}");
        let text: Vec<String> = transaction.column(
            "SELECT id FROM memory_search($1, mode => 'text')",
            &[&format!("just added {path}")],
        );
        assert_eq!(text[0], id, "{path}");
    }
    transaction.rollback().expect("rollback");
}

#[test]
fn the_path_fits_the_size_of_what_is_searched() {
    let mut sql = large().database.connect();
    let query = Vector::from(query(&mut Random::seeded(19), &large().vectors));
    let explain = |sql: &mut Client, filter: &str| -> Value {
        sql.one(
            &format!("SELECT memory_explain(embedding => $1, k => 10, metadata => {filter})"),
            &[&query],
        )
    };

    let few = explain(&mut sql, "'{\"mill\": 1}'");
    assert_eq!(
        (&few["path"], &few["complete"]),
        (&json!("exact"), &json!(true)),
        "{few}"
    );
    let all = explain(&mut sql, "NULL");
    assert_ne!(all["path"], "exact", "{all}");
    assert_eq!(all["population"], ROWS as u64);
    assert!(all["rows_scanned"].as_u64().expect("a number") > 0);

    sql.run("SET memory_ext.exact_threshold = 1000000");
    assert_eq!(explain(&mut sql, "NULL")["path"], "exact");
    sql.run("SET memory_ext.exact_threshold = 0");
    assert_ne!(explain(&mut sql, "'{\"mill\": 1}'")["path"], "exact");
}

#[test]
fn the_hnsw_index_is_used_by_the_path_of_its_name_and_by_no_other() {
    let mut sql = large().database.connect();
    let query = Vector::from(query(&mut Random::seeded(23), &large().vectors));

    for (path, indexed) in [("hnsw", true), ("exact", false), ("sketch", false)] {
        sql.run(&format!("SET memory_ext.vector_path = '{path}'"));
        let plan: String = sql.one(
            "SELECT memory_explain(embedding => $1, k => 10)::text",
            &[&query],
        );
        assert_eq!(
            plan.contains("ix_memories_embedding_hnsw"),
            indexed,
            "{path}: {plan}"
        );
    }
}

/// Every setting of the session, to see that a call left all as it was.
fn settings(sql: &mut Client) -> BTreeMap<String, String> {
    let rows = sql.query("SELECT name, setting FROM pg_settings WHERE name NOT IN ('transaction_isolation', 'transaction_read_only', 'in_hot_standby')", &[]).expect("settings");
    rows.iter()
        .map(|row| {
            (
                row.get(0),
                row.get::<_, Option<String>>(1).unwrap_or_default(),
            )
        })
        .collect()
}

fn assert_unchanged(
    after: &BTreeMap<String, String>,
    before: &BTreeMap<String, String>,
    when: &str,
) {
    let changed: Vec<_> = after
        .iter()
        .filter(|(name, value)| before.get(*name) != Some(value))
        .collect();
    assert!(changed.is_empty(), "{when}: {changed:?}");
}

#[test]
fn settings_are_as_before_after_a_search_and_after_a_failed_one() {
    let mut sql = large().database.connect();
    let query = Vector::from(query(&mut Random::seeded(29), &large().vectors));
    sql.run(
        "SELECT memory_version(), '[1]'::vector; DO $$ BEGIN END $$; SET hnsw.ef_search = 77; SET hnsw.iterative_scan = strict_order; SET hnsw.max_scan_tuples = 5555; SET enable_seqscan = off;
         SET search_path = pg_catalog, public; SET work_mem = '5MB'; SET plan_cache_mode = force_generic_plan",
    );

    for path in ["auto", "exact", "sketch", "hnsw"] {
        sql.run(&format!("SET memory_ext.vector_path = '{path}'"));
        let before = settings(&mut sql);

        sql.query(
            "SELECT * FROM memory_search('row number', embedding => $1)",
            &[&query],
        )
        .expect("found");
        assert_unchanged(
            &settings(&mut sql),
            &before,
            &format!("{path}, after success"),
        );

        sql.refused(
            "SELECT * FROM memory_search('row', embedding => '[1, 2]')",
            &[],
        )
        .is("22023");
        sql.refused(
            "SELECT * FROM memory_search('row', filter => '{\"a\": {\"$bad\": 1}}')",
            &[],
        )
        .is("22023");
        assert_unchanged(
            &settings(&mut sql),
            &before,
            &format!("{path}, after an error"),
        );

        // An error in the middle of the index scan: the deadline strikes there sooner or later.
        for microseconds in [200, 1000, 3000] {
            sql.run("BEGIN");
            sql.run(&format!(
                "SET LOCAL statement_timeout = '{microseconds}us'; SAVEPOINT s"
            ));
            let cancelled = sql.query(
                "SELECT * FROM memory_search('row number', embedding => $1, k => 5000)",
                &[&query],
            );
            assert!(
                cancelled.is_ok()
                    || cancelled.is_err_and(|error| error
                        .code()
                        .is_some_and(|code| code.code() == "57014"))
            );
            sql.run("ROLLBACK TO s; SET LOCAL statement_timeout = 0");
            assert_unchanged(
                &settings(&mut sql),
                &before,
                &format!("{path}, in the transaction that goes on"),
            );
            sql.run("COMMIT");
        }
        sql.run("DO $$ BEGIN PERFORM memory_search('row', embedding => '[1, 2]'); EXCEPTION WHEN OTHERS THEN NULL; END $$");
        assert_unchanged(
            &settings(&mut sql),
            &before,
            &format!("{path}, after a handled error"),
        );
    }
}

#[test]
fn a_result_that_is_read_half_leaves_the_session_as_it_was() {
    let mut sql = large().database.connect();
    sql.run("SELECT memory_version(), '[1]'::vector");
    let before = settings(&mut sql);

    sql.run("BEGIN; DECLARE c CURSOR FOR SELECT (memory_search('row', 100)).id, current_user; FETCH 1 FROM c; CLOSE c; COMMIT");
    let row = sql.query("SELECT (memory_list(page_size => 100)).id, current_user::text, current_setting('search_path') LIMIT 1", &[]).expect("a row");

    assert_eq!(
        (
            row[0].get::<_, String>(1).as_str(),
            row[0].get::<_, String>(2)
        ),
        ("postgres", before["search_path"].clone())
    );
    assert_unchanged(&settings(&mut sql), &before, "half read");
}
