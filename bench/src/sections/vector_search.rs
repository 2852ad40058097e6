//! memory_search by vector, beside the best hand-written pgvector query of equal recall.

use postgres::Client;

use super::{K, PLANS, VISIBLE, session_settings};
use crate::contest::{Contestant, Outcome, RECALL, answers, decide};
use crate::corpus::{Corpus, Query, SHARES, share_name};
use crate::options::BenchOptions;
use crate::report::{Line, Report, Target};
use crate::{Result, progress};

/// Our p50 beside the best hand-written query's.
const SLOWDOWN: f64 = 1.15;
/// Our p50 at 1536 dimensions beside comparing all vectors.
const WIDE_SHARE_OF_EXACT: f64 = 0.25;

/// The ORDER BY that compares all vectors: no index knows the sum.
const EXACT_ORDER: &str = "(embedding <=> $1) + 0";
const INDEX_ORDER: &str = "embedding <=> $1";

const EF_SEARCH: [u32; 4] = [40, 100, 200, 400];

pub fn narrow(
    client: &mut Client,
    corpus: &Corpus,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    let mut candidates = exact_queries();
    candidates.extend(index_queries());
    for share in SHARES {
        progress(format_args!(
            "vector search at selectivity {} %",
            share * 100.0
        ));
        let project = share_name(share);
        let outcome = contest(client, corpus, &project, &candidates, options)?;
        let name = format!(
            "vector search, {} % of {} rows",
            share * 100.0,
            corpus.len()
        );
        let target = Target::RatioAtMost(SLOWDOWN);
        add_lines(client, corpus, &project, &name, target, &outcome, report)?;
    }
    Ok(())
}

pub fn wide(
    client: &mut Client,
    corpus: &Corpus,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    let project = corpus.projects()[0].clone();
    let outcome = contest(client, corpus, &project.name, &exact_queries(), options)?;
    let name = format!(
        "vector search, 1536 dimensions, {} of {} rows",
        project.rows,
        corpus.len()
    );
    let target = Target::RatioAtMost(WIDE_SHARE_OF_EXACT);
    add_lines(
        client,
        corpus,
        &project.name,
        &name,
        target,
        &outcome,
        report,
    )
}

fn contest(
    client: &mut Client,
    corpus: &Corpus,
    project: &str,
    candidates: &[Contestant],
    options: &BenchOptions,
) -> Result<Outcome> {
    let queries: Vec<Query> = (0..options.queries)
        .map(|number| corpus.query(project, number))
        .collect();
    let truth = answers(client, &exact_queries()[0], &queries)?;
    let ours = Contestant {
        name: "memory_search".to_owned(),
        sql: format!(
            "SELECT * FROM memory_search(k => {K}, mode => 'vector', embedding => $1, project_id => $2)"
        ),
        settings: Vec::new(),
        parameters,
        truth: 0,
    };
    decide(
        client,
        &ours,
        candidates,
        &[truth],
        &queries,
        options.pilot_queries,
    )
}

fn add_lines(
    client: &mut Client,
    corpus: &Corpus,
    project: &str,
    name: &str,
    p50: Target,
    outcome: &Outcome,
    report: &mut Report,
) -> Result<()> {
    let Outcome { ours, best } = outcome;
    let rows = corpus
        .projects()
        .iter()
        .find(|candidate| candidate.name == project)
        .map_or(0, |project| project.rows);
    let path = path(client, &corpus.query(project, 0))?;
    report.add(
        Line::new(format!("{name}: p50"), "ms", ours.p50())
            .beside(best.p50())
            .target(p50)
            .note(format!("ours: {path}; baseline: {}", best.name)),
    );
    report.add(Line::new(format!("{name}: p95"), "ms", ours.p95()).beside(best.p95()));
    report.add(
        Line::new(format!("{name}: recall@{K}"), "", ours.recall)
            .beside(best.recall)
            .target(Target::AtLeast(RECALL)),
    );
    report.add(
        Line::new(
            format!("{name}: fewest rows"),
            "rows",
            ours.fewest_rows() as f64,
        )
        .beside(best.fewest_rows() as f64)
        .target(Target::AtLeast(K.min(rows) as f64)),
    );
    Ok(())
}

fn path(client: &mut Client, query: &Query) -> Result<String> {
    let sql = format!(
        "SELECT memory_explain(k => {K}, mode => 'vector', embedding => $1, project_id => $2) ->> 'path'"
    );
    let path: Option<String> = client.query_one(&sql, &parameters(query))?.get(0);
    Ok(path.unwrap_or_default())
}

fn parameters(query: &Query) -> Vec<&(dyn postgres::types::ToSql + Sync)> {
    vec![&query.vector, &query.project]
}

/// The columns of memory_search.
fn columns(of: &str, distance: &str) -> String {
    format!(
        "{of}id, {of}content, 1 - {distance} AS score, 1 - {distance} AS similarity, NULL::float8 AS text_rank, {of}key, {of}memory_type,
         {of}scope, {of}agent_id, {of}namespace, {of}metadata, {of}created_at, {of}expires_at"
    )
}

/// One query over the whole row.
fn direct(order: &str) -> String {
    let columns = columns("", "(embedding <=> $1)");
    format!("SELECT {columns} FROM memories WHERE {VISIBLE} ORDER BY {order} LIMIT {K}")
}

/// The nearest first, then the rest of their rows.
fn joined_back(order: &str) -> String {
    let columns = columns("memories.", "nearest.distance");
    format!(
        "WITH nearest AS MATERIALIZED (
             SELECT id, project_id, embedding <=> $1 AS distance FROM memories WHERE {VISIBLE} ORDER BY {order} LIMIT {K})
         SELECT {columns} FROM nearest JOIN memories USING (id, project_id) ORDER BY nearest.distance + 0, id"
    )
}

/// relaxed_order returns nearly sorted rows: sorted again outside.
fn sorted_again(query: &str) -> String {
    format!("WITH nearest AS MATERIALIZED ({query}) SELECT * FROM nearest ORDER BY score DESC, id")
}

fn candidate(name: String, sql: String, settings: Vec<(&'static str, String)>) -> Contestant {
    Contestant {
        name,
        sql,
        settings,
        parameters,
        truth: 0,
    }
}

/// Queries that compare all vectors of the project; the first is the truth.
fn exact_queries() -> Vec<Contestant> {
    let shapes = [
        ("exact", direct(EXACT_ORDER)),
        ("exact, joined back", joined_back(EXACT_ORDER)),
    ];
    let with_plans = |(shape, sql): &(&str, String)| {
        PLANS.map(|(plan, mode)| {
            candidate(
                format!("{shape}, {plan}"),
                sql.clone(),
                session_settings(mode),
            )
        })
    };
    shapes.iter().flat_map(with_plans).collect()
}

/// Queries that read the HNSW index.
fn index_queries() -> Vec<Contestant> {
    let shapes = [
        ("", "strict_order", direct(INDEX_ORDER)),
        ("", "relaxed_order", sorted_again(&direct(INDEX_ORDER))),
        (", joined back", "strict_order", joined_back(INDEX_ORDER)),
        (", joined back", "relaxed_order", joined_back(INDEX_ORDER)),
    ];
    let mut candidates = Vec::new();
    for (shape, scan, sql) in &shapes {
        for ef_search in EF_SEARCH {
            for (plan, mode) in PLANS {
                let mut settings = session_settings(mode);
                settings.extend([
                    ("hnsw.iterative_scan", (*scan).to_owned()),
                    ("hnsw.ef_search", ef_search.to_string()),
                ]);
                let mut index = "hnsw allowed";
                if mode == "force_generic_plan" {
                    // A plan for all parameters takes every project for an average one and would never use the index.
                    settings.extend(INDEX_ONLY.map(|name| (name, "off".to_owned())));
                    index = "hnsw";
                }
                candidates.push(candidate(
                    format!("{index}{shape}, {scan}, ef_search {ef_search}, {plan}"),
                    sql.clone(),
                    settings,
                ));
            }
        }
    }
    candidates
}

/// Settings that leave the planner nothing but the HNSW index.
const INDEX_ONLY: [&str; 3] = ["enable_sort", "enable_seqscan", "enable_bitmapscan"];
