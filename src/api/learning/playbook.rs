//! The playbook.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::pg::vector::Vector;
use crate::store::conditions::Filters;
use crate::store::learning::playbook::{self, Question};
use crate::store::{Call, migrate};

/// What agents have learned about a kind of task, best first.
///
/// score mixes relevance to the query with confidence, a lower bound of how often the memory helps by its votes (mean less one
/// standard deviation of Beta(helpful + 1, harmful + 1)); memory_ext.effectiveness_weight is its share. Without query and embedding
/// confidence alone decides. k is 1..10000; k rows are returned whenever k match. memory_types is strategy and reflection unless said
/// otherwise; task_type keeps what metadata.task_type says is for another kind of task out; min_effectiveness is -1..1. as_of shows the
/// playbook of a past time, with the contents and votes of then; left out, memory_ext.as_of does. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::too_many_arguments)]
fn memory_playbook(
    query: default!(Option<&str>, "NULL"),
    k: default!(Option<i32>, "20"),
    min_effectiveness: default!(Option<f64>, "NULL"),
    memory_types: default!(
        Option<Vec<Option<String>>>,
        "ARRAY['strategy', 'reflection']"
    ),
    task_type: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    embedding: default!(Option<Vector>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    filter: default!(Option<Jsonb>, "NULL"),
    as_of: default!(Option<TimestampWithTimeZone>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(content, String),
            name!(memory_type, String),
            name!(score, f64),
            name!(relevance, Option<f64>),
            name!(effectiveness_score, f64),
            name!(confidence, f64),
            name!(bullet_helpful, i32),
            name!(bullet_harmful, i32),
            name!(error_pattern, Option<String>),
            name!(agent_id, Option<String>),
            name!(namespace, String),
            name!(metadata, Jsonb),
            name!(created_at, TimestampWithTimeZone),
        ),
    >,
> {
    measured(Operation::Playbook, || {
        let at = as_of.map(|time| ("as_of", time));
        let call = Call::begin_reading(migrate::ACE, project_id, agent_id, at)?;
        let question = Question {
            query,
            embedding,
            k: k.unwrap_or(20),
            filters: Filters {
                namespace,
                memory_types,
                metadata,
                filter,
                min_effectiveness,
                task_type,
                ..Filters::default()
            },
        };
        let entries = playbook::best(&call, question)?;
        Ok(TableIterator::new(entries.into_iter().map(|entry| {
            (
                entry.id,
                entry.content,
                entry.memory_type,
                entry.score,
                entry.relevance,
                entry.effectiveness,
                entry.confidence,
                entry.helpful,
                entry.harmful,
                entry.error_pattern,
                entry.agent_id,
                entry.namespace,
                entry.metadata,
                entry.created_at,
            )
        })))
    })
}
