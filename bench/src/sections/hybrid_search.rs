//! memory_search by text and vector, beside hand-written SQL with two arms.
//!
//! The two rank texts differently (BM25, ts_rank), so neither's answer is the other's truth. Each is
//! held against itself with an exact vector arm: what a faster arm may not change.

use postgres::Client;
use postgres::types::ToSql;

use super::{K, PLANS, VISIBLE, session_settings};
use crate::contest::{Contestant, Outcome, RECALL, answers, decide};
use crate::corpus::{Corpus, Query, SHARES, share_name};
use crate::options::BenchOptions;
use crate::report::{Line, Report, Target};
use crate::{Result, progress};

const SLOWDOWN: f64 = 1.15;
/// What each arm brings to the fusion.
const CANDIDATES: usize = 50;
const EF_SEARCH: [u32; 3] = [100, 200, 400];

pub fn measure(
    client: &mut Client,
    corpus: &Corpus,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    let ours = ours(Vec::new());
    let exact_ours = self::ours(vec![("memory_ext.vector_path", "exact".to_owned())]);
    let candidates = hand_written();
    for share in SHARES {
        progress(format_args!(
            "hybrid search at selectivity {} %",
            share * 100.0
        ));
        let project = share_name(share);
        let queries: Vec<Query> = (0..options.queries)
            .map(|number| corpus.query(&project, number))
            .collect();
        let mut truths = vec![answers(client, &exact_ours, &queries)?];
        for fusion in Fusion::ALL {
            truths.push(answers(
                client,
                &with_exact_arm(fusion, PLANS[0]),
                &queries,
            )?);
        }
        let Outcome { ours, best } = decide(
            client,
            &ours,
            &candidates,
            &truths,
            &queries,
            options.pilot_queries,
        )?;
        let name = format!(
            "hybrid search, {} % of {} rows",
            share * 100.0,
            corpus.len()
        );
        report.add(
            Line::new(format!("{name}: p50"), "ms", ours.p50())
                .beside(best.p50())
                .target(Target::RatioAtMost(SLOWDOWN))
                .note(format!("baseline: {}", best.name)),
        );
        report.add(Line::new(format!("{name}: p95"), "ms", ours.p95()).beside(best.p95()));
        report.add(
            Line::new(format!("{name}: recall@{K}"), "", ours.recall)
                .beside(best.recall)
                .target(Target::AtLeast(RECALL))
                .note("each beside itself with an exact vector arm"),
        );
        let rows = corpus
            .projects()
            .iter()
            .find(|candidate| candidate.name == project)
            .map_or(0, |project| project.rows);
        report.add(
            Line::new(
                format!("{name}: fewest rows"),
                "rows",
                ours.fewest_rows() as f64,
            )
            .beside(best.fewest_rows() as f64)
            .target(Target::AtLeast(K.min(rows) as f64)),
        );
    }
    Ok(())
}

fn ours(settings: Vec<(&'static str, String)>) -> Contestant {
    Contestant {
        name: "memory_search".to_owned(),
        sql: format!(
            "SELECT * FROM memory_search($3, k => {K}, embedding => $1, project_id => $2)"
        ),
        settings,
        parameters: |query| {
            vec![
                &query.vector as &(dyn ToSql + Sync),
                &query.project,
                &query.text,
            ]
        },
        truth: 0,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fusion {
    /// Scores of each arm stretched over 0..1, half and half.
    MinMax,
    /// Reciprocal rank fusion, k = 60.
    Rrf,
}

impl Fusion {
    const ALL: [Self; 2] = [Self::MinMax, Self::Rrf];

    fn name(self) -> &'static str {
        match self {
            Self::MinMax => "min-max",
            Self::Rrf => "RRF",
        }
    }

    fn truth(self) -> usize {
        1 + self as usize
    }

    /// Common table expression `scored (id, similarity, text_rank, score)` from the two arms.
    fn sql(self) -> &'static str {
        match self {
            Self::MinMax => {
                "united AS (
                     SELECT id, max(similarity) AS similarity, max(text_rank) AS text_rank
                     FROM (SELECT id, similarity, NULL::float8 AS text_rank FROM semantic
                           UNION ALL SELECT id, NULL, text_rank FROM lexical) AS arms
                     GROUP BY id),
                 scored AS (
                     SELECT id, similarity, text_rank,
                            0.5 * coalesce((similarity - min(similarity) OVER ()) / nullif(max(similarity) OVER () - min(similarity) OVER (), 0), 0)
                          + 0.5 * coalesce((text_rank - min(text_rank) OVER ()) / nullif(max(text_rank) OVER () - min(text_rank) OVER (), 0), 0) AS score
                     FROM united)"
            }
            Self::Rrf => {
                "scored AS (
                     SELECT id, max(similarity) AS similarity, max(text_rank) AS text_rank, sum(1.0::float8 / (60 + place)) AS score
                     FROM (SELECT id, similarity, NULL::float8 AS text_rank, row_number() OVER (ORDER BY similarity DESC, id) AS place FROM semantic
                           UNION ALL
                           SELECT id, NULL, text_rank, row_number() OVER (ORDER BY text_rank DESC, id) FROM lexical) AS arms
                     GROUP BY id)"
            }
        }
    }
}

fn sql(order: &str, fusion: Fusion) -> String {
    format!(
        "WITH semantic AS MATERIALIZED (
             SELECT id, 1 - (embedding <=> $1) AS similarity FROM memories WHERE {VISIBLE} ORDER BY {order} LIMIT {CANDIDATES}),
         lexical AS MATERIALIZED (
             SELECT id, ts_rank(content_tsv, websearch_to_tsquery('english', $3))::float8 AS text_rank
             FROM memories WHERE {VISIBLE} AND content_tsv @@ websearch_to_tsquery('english', $3)
             ORDER BY text_rank DESC, id LIMIT {CANDIDATES}),
         {},
         best AS (SELECT * FROM scored ORDER BY score DESC, id LIMIT {K})
         SELECT id, content, score, similarity, text_rank, key, memory_type, scope, agent_id, namespace, metadata, created_at, expires_at
         FROM best JOIN memories USING (id) WHERE project_id = $2 ORDER BY score DESC, id",
        fusion.sql()
    )
}

fn with_exact_arm(fusion: Fusion, (plan, mode): (&str, &str)) -> Contestant {
    candidate(
        format!("exact arm, {}, {plan}", fusion.name()),
        sql("(embedding <=> $1) + 0", fusion),
        session_settings(mode),
        fusion,
    )
}

fn candidate(
    name: String,
    sql: String,
    settings: Vec<(&'static str, String)>,
    fusion: Fusion,
) -> Contestant {
    Contestant {
        name,
        sql,
        settings,
        parameters: |query| {
            vec![
                &query.vector as &(dyn ToSql + Sync),
                &query.project,
                &query.any_word,
            ]
        },
        truth: fusion.truth(),
    }
}

fn hand_written() -> Vec<Contestant> {
    let mut candidates = Vec::new();
    for fusion in Fusion::ALL {
        for (plan, mode) in PLANS {
            candidates.push(with_exact_arm(fusion, (plan, mode)));
            for ef_search in EF_SEARCH {
                let mut settings = session_settings(mode);
                settings.extend([
                    ("hnsw.iterative_scan", "relaxed_order".to_owned()),
                    ("hnsw.ef_search", ef_search.to_string()),
                ]);
                let name = format!(
                    "hnsw allowed, {}, ef_search {ef_search}, {plan}",
                    fusion.name()
                );
                candidates.push(candidate(
                    name,
                    sql("embedding <=> $1", fusion),
                    settings,
                    fusion,
                ));
            }
        }
    }
    candidates
}
