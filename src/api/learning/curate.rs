//! Keeping the memory in order: duplicates, merges, and what votes say.

use pgrx::datum::Interval;
use pgrx::prelude::*;

use crate::pg::error::SqlResult as Result;
use crate::pg::measure::{Operation, measured};
use crate::store::conditions::Filters;
use crate::store::learning::curate::{self, Rules};
use crate::store::learning::duplicates;
use crate::store::{Call, Privilege};

/// Pairs of memories that say nearly the same, most alike first; id is the older one.
///
/// similarity is the least cosine, 0..1. Only memories of equal namespace, scope, sharing, author, user, session, entity and type are
/// pairs; keyed and sensitive ones never are. Each memory's nearest come from the vector index, so this takes a search a memory that
/// passes the filters. page_size is 1..10000. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_duplicates(
    similarity: default!(Option<f64>, "0.95"),
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    memory_types: default!(Option<Vec<Option<String>>>, "NULL"),
    page_size: default!(Option<i32>, "100"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(duplicate_id, String),
            name!(similarity, f64),
            name!(content, String),
            name!(duplicate_content, String),
        ),
    >,
> {
    measured(Operation::Duplicates, || {
        let call = Call::begin_ace(project_id, agent_id, Privilege::Read, "read")?;
        let filters = Filters {
            namespace,
            memory_types,
            ..Filters::default()
        };
        let pairs = duplicates::pairs(
            &call,
            similarity.unwrap_or(0.95),
            filters,
            page_size.unwrap_or(100),
        )?;
        Ok(TableIterator::new(pairs.into_iter().map(|pair| {
            (
                pair.id,
                pair.duplicate_id,
                pair.similarity,
                pair.content,
                pair.duplicate_content,
            )
        })))
    })
}

/// Merges memories that say nearly the same, or, as it does unless told otherwise, says what it would merge.
///
/// Of each pair of memory_duplicates() the one with more confidence stays, then the older one. The other is deprecated, superseded by
/// the one that stays, which gains its votes (votes: how many); where somebody voted on both, the vote on the one that stays counts.
/// memory_undeprecate(merged_id) undoes a merge. Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_consolidate(
    similarity: default!(Option<f64>, "0.95"),
    dry_run: default!(Option<bool>, "true"),
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    memory_types: default!(Option<Vec<Option<String>>>, "NULL"),
    page_size: default!(Option<i32>, "100"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(kept_id, String),
            name!(merged_id, String),
            name!(similarity, f64),
            name!(votes, i32),
            name!(done, bool),
        ),
    >,
> {
    measured(Operation::Consolidate, || {
        let call = Call::begin_ace(project_id, agent_id, Privilege::Write, "consolidate")?;
        let filters = Filters {
            namespace,
            memory_types,
            ..Filters::default()
        };
        let merges = duplicates::consolidate(
            &call,
            similarity.unwrap_or(0.95),
            filters,
            page_size.unwrap_or(100),
            dry_run.unwrap_or(true),
        )?;
        Ok(TableIterator::new(merges.into_iter().map(|merge| {
            (
                merge.kept_id,
                merge.merged_id,
                merge.similarity,
                merge.votes,
                merge.done,
            )
        })))
    })
}

/// What votes and likeness say about the playbook: what to promote, what to flag, what is there twice.
///
/// promote: effectiveness of promote_at or more; flag: flag_at or less, and older than min_age; both with min_votes votes at least.
/// With dry_run => false the promoted get an importance of 0.9 and the flagged are deprecated (memory_undeprecate() undoes that);
/// duplicates are only reported, memory_consolidate() merges them. page_size is 1..10000 steps of each kind. Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_curate(
    dry_run: default!(Option<bool>, "true"),
    min_votes: default!(Option<i32>, "3"),
    promote_at: default!(Option<f64>, "0.5"),
    flag_at: default!(Option<f64>, "-0.3"),
    min_age: default!(Option<Interval>, "'7 days'"),
    similarity: default!(Option<f64>, "0.95"),
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    memory_types: default!(
        Option<Vec<Option<String>>>,
        "ARRAY['strategy', 'reflection']"
    ),
    page_size: default!(Option<i32>, "100"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(action, String),
            name!(id, String),
            name!(other_id, Option<String>),
            name!(effectiveness_score, Option<f64>),
            name!(similarity, Option<f64>),
            name!(content, String),
            name!(done, bool),
        ),
    >,
> {
    measured(Operation::Curate, || {
        let call = Call::begin_ace(project_id, agent_id, Privilege::Write, "curate")?;
        let rules = Rules {
            min_votes: min_votes.unwrap_or(3),
            promote_at: promote_at.unwrap_or(0.5),
            flag_at: flag_at.unwrap_or(-0.3),
            min_age: min_age.unwrap_or_else(|| Interval::from_seconds(7.0 * 86_400.0)),
            similarity: similarity.unwrap_or(0.95),
            page_size: page_size.unwrap_or(100),
            dry_run: dry_run.unwrap_or(true),
        };
        let filters = || Filters {
            namespace,
            memory_types: memory_types.clone(),
            ..Filters::default()
        };
        let steps = curate::curate(&call, &rules, filters)?;
        Ok(TableIterator::new(steps.into_iter().map(|step| {
            (
                step.action.to_owned(),
                step.id,
                step.other_id,
                step.effectiveness,
                step.similarity,
                step.content,
                step.done,
            )
        })))
    })
}
