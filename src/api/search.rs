//! Search, and what a search did.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;

use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::pg::vector::Vector;
use crate::store::conditions::Filters;
use crate::store::search::{Request, Search};
use crate::store::{Call, explain, migrate};

/// The k memories that fit a query best, best first.
///
/// mode hybrid (default where there is text and a vector), vector or text. embedding is the query's vector; left out, the store's
/// embedder makes it. The query may have "quoted phrases", which are required, and -excluded words. k is 1..10000, and k rows are
/// returned whenever k match. metadata is containment; filter is a JSON filter ($eq $ne $gt $gte $lt $lte $in $nin $exists $and $or $nor
/// $nor $not on metadata paths). score is 0..1: text_weight shares it between the arms (fusion weighted, or rrf); recency_half_life
/// fades it with age, importance_weight mixes importance in, diversity (MMR) keeps like from like; min_score cuts it.
/// similarity is the cosine, text_rank the BM25 score. Reads only; works on a hot standby. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::too_many_arguments)]
fn memory_search(
    query: default!(Option<&str>, "NULL"),
    k: default!(Option<i32>, "5"),
    embedding: default!(Option<Vector>, "NULL"),
    mode: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    user_id: default!(Option<&str>, "NULL"),
    session_id: default!(Option<&str>, "NULL"),
    memory_types: default!(Option<Vec<Option<String>>>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    filter: default!(Option<Jsonb>, "NULL"),
    since: default!(Option<TimestampWithTimeZone>, "NULL"),
    until: default!(Option<TimestampWithTimeZone>, "NULL"),
    min_score: default!(Option<f64>, "NULL"),
    text_weight: default!(Option<f64>, "NULL"),
    fusion: default!(Option<&str>, "NULL"),
    recency_half_life: default!(Option<Interval>, "NULL"),
    importance_weight: default!(Option<f64>, "NULL"),
    diversity: default!(Option<f64>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(content, String),
            name!(score, f64),
            name!(similarity, Option<f64>),
            name!(text_rank, Option<f64>),
            name!(key, Option<String>),
            name!(memory_type, String),
            name!(scope, String),
            name!(agent_id, Option<String>),
            name!(namespace, String),
            name!(metadata, Jsonb),
            name!(created_at, TimestampWithTimeZone),
            name!(expires_at, Option<TimestampWithTimeZone>),
        ),
    >,
> {
    measured(Operation::Search, || {
        let call = Call::begin_reading(migrate::FIRST, project_id, agent_id, None)?;
        let request = Request {
            query,
            k,
            embedding,
            mode,
            filters: Filters {
                namespace,
                user_id,
                session_id,
                memory_types,
                metadata,
                filter,
                since,
                until,
                ..Filters::default()
            },
            min_score,
            text_weight,
            fusion,
            recency_half_life,
            importance_weight,
            diversity,
            ..Request::default()
        };
        let hits = Search::new(&call, request)?.run(&call);
        Ok(TableIterator::new(hits.into_iter().map(|hit| {
            (
                hit.id,
                hit.content,
                hit.score,
                hit.similarity,
                hit.text_rank,
                hit.key,
                hit.memory_type,
                hit.scope,
                hit.agent_id,
                hit.namespace,
                hit.metadata,
                hit.created_at,
                hit.expires_at,
            )
        })))
    })
}

/// What memory_search does with the same arguments: the path taken (exact, sketch or hnsw; past under memory_ext.as_of), rows
/// scanned, each arm's ranks, settings and timings.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::too_many_arguments)]
fn memory_explain(
    query: default!(Option<&str>, "NULL"),
    k: default!(Option<i32>, "5"),
    embedding: default!(Option<Vector>, "NULL"),
    mode: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    user_id: default!(Option<&str>, "NULL"),
    session_id: default!(Option<&str>, "NULL"),
    memory_types: default!(Option<Vec<Option<String>>>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    filter: default!(Option<Jsonb>, "NULL"),
    since: default!(Option<TimestampWithTimeZone>, "NULL"),
    until: default!(Option<TimestampWithTimeZone>, "NULL"),
    min_score: default!(Option<f64>, "NULL"),
    text_weight: default!(Option<f64>, "NULL"),
    fusion: default!(Option<&str>, "NULL"),
    recency_half_life: default!(Option<Interval>, "NULL"),
    importance_weight: default!(Option<f64>, "NULL"),
    diversity: default!(Option<f64>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<Jsonb> {
    measured(Operation::Explain, || {
        let call = Call::begin_reading(migrate::FIRST, project_id, agent_id, None)?;
        let request = Request {
            query,
            k,
            embedding,
            mode,
            filters: Filters {
                namespace,
                user_id,
                session_id,
                memory_types,
                metadata,
                filter,
                since,
                until,
                ..Filters::default()
            },
            min_score,
            text_weight,
            fusion,
            recency_half_life,
            importance_weight,
            diversity,
            ..Request::default()
        };
        let search = Search::new(&call, request)?;
        Ok(Jsonb::parse(&explain::report(&call, &search).to_string()))
    })
}
