//! Votes on memories.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::api::arguments::required;
use crate::pg::error::SqlResult as Result;
use crate::pg::measure::{Operation, measured};
use crate::store::learning::votes::{self, Vote};
use crate::store::{Call, Privilege, memory};

/// Votes on a memory and returns its counters.
///
/// vote is helpful or harmful. Each agent has one vote a memory and task (no task_id is a task of its own); voting again changes
/// it. The voter has to see the memory; a role that is bound to one agent need not name it. context says what happened; left out, it
/// stays as it was. effectiveness_score is (helpful - harmful) / (helpful + harmful + 1), the formula of Aegis Memory.
/// Errors: 22023, P0002, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_vote(
    memory_id: Option<&str>,
    vote: Option<&str>,
    voter_agent_id: default!(Option<&str>, "NULL"),
    context: default!(Option<&str>, "NULL"),
    task_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(memory_id, String),
            name!(bullet_helpful, i32),
            name!(bullet_harmful, i32),
            name!(effectiveness_score, f64),
        ),
    >,
> {
    measured(Operation::Vote, || {
        let memory_id = required("memory_id", memory_id)?;
        let helpful = votes::is_helpful(required("vote", vote)?)?;
        if let Some(voter) = voter_agent_id {
            memory::check_name("voter_agent_id", voter)?;
        }
        let call = Call::begin_ace(project_id, voter_agent_id, Privilege::Write, "vote")?;
        let vote = Vote {
            memory_id,
            helpful,
            context,
            task_id,
        };
        let count = votes::cast(&call, &vote)?;
        Ok(TableIterator::once((
            memory_id.to_owned(),
            count.helpful,
            count.harmful,
            count.effectiveness(),
        )))
    })
}

/// The votes on a memory, oldest first, as they stand now.
///
/// page_size is 1..10000. Shows a deprecated memory's votes too. Errors: 22023, P0002, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_votes(
    memory_id: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    page_size: default!(Option<i32>, "1000"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(voter_agent_id, String),
            name!(vote, String),
            name!(context, Option<String>),
            name!(task_id, Option<String>),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
        ),
    >,
> {
    measured(Operation::Votes, || {
        let memory_id = required("memory_id", memory_id)?;
        let call = Call::begin_ace(project_id, agent_id, Privilege::Read, "read")?;
        let votes = votes::list(&call, memory_id, page_size.unwrap_or(1000))?;
        Ok(TableIterator::new(votes.into_iter().map(|cast| {
            (
                cast.voter_agent_id,
                cast.vote,
                cast.context,
                cast.task_id,
                cast.created_at,
                cast.updated_at,
            )
        })))
    })
}
