//! Runs: attempts at a task that teach something about the memories they used.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::api::arguments::{required, strings};
use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::work::runs::{self, Completion, Run, Start};
use crate::store::{Call, Privilege, migrate};

type RunRow = (
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    String,
    Vec<String>,
    i32,
    Option<String>,
    Option<String>,
    Option<String>,
    Jsonb,
    TimestampWithTimeZone,
    Option<TimestampWithTimeZone>,
    String,
);

fn run_row(run: Run) -> RunRow {
    (
        run.run_id,
        run.agent_id,
        run.session_id,
        run.task_type,
        run.status,
        run.memory_ids,
        run.votes,
        run.error,
        run.error_pattern,
        run.reflection_id,
        run.metadata,
        run.started_at,
        run.completed_at,
        run.project_id,
    )
}

/// Starts a run: one attempt at a task. memory_ids are the memories it uses, as far as they are known.
///
/// The run is the agent's; without an agent it is everybody's, and does not vote. Errors: 22023, 23505, 42501, 54000, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_run_start(
    run_id: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    task_type: default!(Option<&str>, "NULL"),
    memory_ids: default!(Option<Vec<Option<String>>>, "NULL"),
    session_id: default!(Option<&str>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(run_id, String),
            name!(agent_id, Option<String>),
            name!(session_id, Option<String>),
            name!(task_type, Option<String>),
            name!(status, String),
            name!(memory_ids, Vec<String>),
            name!(votes, i32),
            name!(error, Option<String>),
            name!(error_pattern, Option<String>),
            name!(reflection_id, Option<String>),
            name!(metadata, Jsonb),
            name!(started_at, TimestampWithTimeZone),
            name!(completed_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::RunStart, || {
        let start = Start {
            run_id: required("run_id", run_id)?,
            session_id,
            task_type,
            memory_ids: strings("memory_ids", memory_ids)?.unwrap_or_default(),
            metadata,
        };
        let call = Call::begin_ace(project_id, agent_id, Privilege::Write, "run")?;
        Ok(TableIterator::once(run_row(runs::start(&call, start)?)))
    })
}

/// Completes a run, and lets its outcome speak for the memories it used.
///
/// auto_vote: the run's agent votes helpful or harmful on each memory used that it sees, with the run as the task. auto_reflect: an
/// error becomes a reflection. memory_ids are added to those of the start, metadata is a merge patch. Completing again with the same
/// outcome changes nothing and returns the run as it is; with another outcome: 55000. Errors: 22023, P0002, 42501, 54000, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_run_complete(
    run_id: Option<&str>,
    success: Option<bool>,
    error: default!(Option<&str>, "NULL"),
    error_pattern: default!(Option<&str>, "NULL"),
    memory_ids: default!(Option<Vec<Option<String>>>, "NULL"),
    auto_vote: default!(Option<bool>, "true"),
    auto_reflect: default!(Option<bool>, "true"),
    metadata: default!(Option<Jsonb>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(run_id, String),
            name!(agent_id, Option<String>),
            name!(session_id, Option<String>),
            name!(task_type, Option<String>),
            name!(status, String),
            name!(memory_ids, Vec<String>),
            name!(votes, i32),
            name!(error, Option<String>),
            name!(error_pattern, Option<String>),
            name!(reflection_id, Option<String>),
            name!(metadata, Jsonb),
            name!(started_at, TimestampWithTimeZone),
            name!(completed_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::RunComplete, || {
        let completion = Completion {
            run_id: required("run_id", run_id)?,
            success: required("success", success)?,
            error,
            error_pattern,
            memory_ids: strings("memory_ids", memory_ids)?.unwrap_or_default(),
            auto_vote: auto_vote.unwrap_or(true),
            auto_reflect: auto_reflect.unwrap_or(true),
            metadata,
        };
        let call = Call::begin_ace(project_id, agent_id, Privilege::Write, "run")?;
        Ok(TableIterator::once(run_row(runs::complete(
            &call, completion,
        )?)))
    })
}

/// A run, if the caller may see it: its agent's own, or one without an agent. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_run_get(
    run_id: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(run_id, String),
            name!(agent_id, Option<String>),
            name!(session_id, Option<String>),
            name!(task_type, Option<String>),
            name!(status, String),
            name!(memory_ids, Vec<String>),
            name!(votes, i32),
            name!(error, Option<String>),
            name!(error_pattern, Option<String>),
            name!(reflection_id, Option<String>),
            name!(metadata, Jsonb),
            name!(started_at, TimestampWithTimeZone),
            name!(completed_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::RunGet, || {
        let run_id = required("run_id", run_id)?;
        let call = Call::begin_timeless(migrate::ACE, project_id, agent_id)?;
        Ok(TableIterator::new(
            runs::get(&call, run_id)?.into_iter().map(run_row),
        ))
    })
}
