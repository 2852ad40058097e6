//! Runs: one attempt at a task, the memories it used, and what its outcome says of them.

use pgrx::datum::TimestampWithTimeZone;

use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::pg::spi::{Arg, Planning, Rows, Session};
use crate::store::access::Call;
use crate::store::learning::reflect::{self, Reflection};
use crate::store::learning::votes::{self, Vote};
use crate::store::memory::{self, Draft};
use crate::store::work::progress;
use crate::store::{content_policy, events, update};

pub struct Run {
    pub run_id: String,
    pub agent_id: Option<String>,
    pub session_id: Option<String>,
    pub task_type: Option<String>,
    pub status: String,
    pub memory_ids: Vec<String>,
    pub votes: i32,
    pub error: Option<String>,
    pub error_pattern: Option<String>,
    pub reflection_id: Option<String>,
    pub metadata: Jsonb,
    pub started_at: TimestampWithTimeZone,
    pub completed_at: Option<TimestampWithTimeZone>,
    pub project_id: String,
}

const COLUMNS: &str = "run_id, agent_id, session_id, task_type, status, memory_ids, votes, error, error_pattern, reflection_id, metadata,
    started_at, completed_at, project_id";

fn run(rows: &Rows<'_>) -> Option<Run> {
    (!rows.is_empty()).then(|| Run {
        run_id: rows.required(0, 1),
        agent_id: rows.get(0, 2),
        session_id: rows.get(0, 3),
        task_type: rows.get(0, 4),
        status: rows.required(0, 5),
        memory_ids: rows
            .required::<Vec<Option<String>>>(0, 6)
            .into_iter()
            .flatten()
            .collect(),
        votes: rows.required(0, 7),
        error: rows.get(0, 8),
        error_pattern: rows.get(0, 9),
        reflection_id: rows.get(0, 10),
        metadata: rows.required(0, 11),
        started_at: rows.required(0, 12),
        completed_at: rows.get(0, 13),
        project_id: rows.required(0, 14),
    })
}

/// Most memories of one run.
const MOST_MEMORIES: usize = 10_000;

fn check_memories(ids: &[String]) -> Result<()> {
    for id in ids {
        memory::check_name("memory_ids", id)?;
    }
    if ids.len() > MOST_MEMORIES {
        return Err(Error::limit(format!(
            "the run has {} memories, over the limit of {MOST_MEMORIES}",
            ids.len()
        )));
    }
    Ok(())
}

pub struct Start<'a> {
    pub run_id: &'a str,
    pub session_id: Option<&'a str>,
    pub task_type: Option<&'a str>,
    pub memory_ids: Vec<String>,
    pub metadata: Option<Jsonb>,
}

/// Starts a run of the requester's.
pub fn start(call: &Call, start: Start<'_>) -> Result<Run> {
    memory::check_name("run_id", start.run_id)?;
    for (name, value) in [
        ("session_id", start.session_id),
        ("task_type", start.task_type),
    ] {
        if let Some(value) = value {
            memory::check_name(name, value)?;
        }
    }
    if let Some(metadata) = &start.metadata {
        memory::check_metadata(metadata)?;
    }
    check_memories(&start.memory_ids)?;
    let agent = call.access.author()?;
    let sql = call.store.sql(&format!(
        "INSERT INTO @s@.memory_runs (project_id, run_id, agent_id, session_id, task_type, memory_ids, metadata)
         VALUES ($1, $2, $3, $4, $5, $6, coalesce($7, '{{}}')) ON CONFLICT DO NOTHING RETURNING {COLUMNS}"
    ));
    call.sql(|session| {
        let rows = session.write(
            &sql,
            &[
                call.project().into(),
                start.run_id.into(),
                agent.into(),
                start.session_id.into(),
                start.task_type.into(),
                start.memory_ids.into(),
                start.metadata.into(),
            ],
        );
        run(&rows).ok_or_else(|| {
            Error::duplicate(format!(
                "run {:?} exists already in project {:?}",
                start.run_id,
                call.project()
            ))
            .hint("Every run needs an id of its own; memory_run_get() shows the one that is there.")
        })
    })
}

/// A run the requester may see: its agent's, or nobody's.
pub fn get(call: &Call, run_id: &str) -> Result<Option<Run>> {
    memory::check_name("run_id", run_id)?;
    let (sql, args) = find(call, run_id, "");
    Ok(call.sql(|session| run(&session.read(&sql, Planning::Generic, &args))))
}

fn find(call: &Call, run_id: &str, lock: &str) -> (String, Vec<Arg>) {
    let mut conditions = progress::own_or_of_nobody(call);
    conditions.equal("run_id", Some(run_id));
    let sql = call.store.sql(&format!(
        "SELECT {COLUMNS} FROM @s@.memory_runs m WHERE {} {lock}",
        conditions.sql()
    ));
    (sql, conditions.args)
}

pub struct Completion<'a> {
    pub run_id: &'a str,
    pub success: bool,
    pub error: Option<&'a str>,
    pub error_pattern: Option<&'a str>,
    pub memory_ids: Vec<String>,
    pub auto_vote: bool,
    pub auto_reflect: bool,
    pub metadata: Option<Jsonb>,
}

/// Completes a run; a run that is complete with the same outcome stays as it is.
pub fn complete(call: &Call, completion: Completion<'_>) -> Result<Run> {
    memory::check_name("run_id", completion.run_id)?;
    for (name, value) in [
        ("error", completion.error),
        ("error_pattern", completion.error_pattern),
    ] {
        if let Some(value) = value {
            memory::check_content(name, Some(value.to_owned()))?;
        }
    }
    if let Some(metadata) = &completion.metadata {
        memory::check_metadata(metadata)?;
    }
    // They stay in the run, and become a reflection.
    let error = content_policy::screen_beside("error", completion.error)?;
    let error_pattern = content_policy::screen_beside("error_pattern", completion.error_pattern)?;
    let completion = Completion {
        error: error.as_deref(),
        error_pattern: error_pattern.as_deref(),
        ..completion
    };
    call.sql(|session| {
        let run = lock(call, session, completion.run_id)?;
        let outcome = if completion.success {
            "success"
        } else {
            "failure"
        };
        if run.status == outcome {
            return Ok(run);
        }
        if run.status != "running" {
            return Err(Error::state(format!(
                "run {:?} is complete already, with {}",
                run.run_id, run.status
            ))
            .hint("An outcome is not changed; start a new run."));
        }
        finish(call, session, run, outcome, completion)
    })
}

fn lock(call: &Call, session: &Session, run_id: &str) -> Result<Run> {
    let (sql, args) = find(call, run_id, "FOR UPDATE");
    run(&session.write(&sql, &args)).ok_or_else(|| {
        Error::not_found(format!(
            "there is no run {run_id:?} that this caller may see"
        ))
        .hint("Start it with memory_run_start(); an agent's run needs its agent_id.")
    })
}

fn finish(
    call: &Call,
    session: &Session,
    run: Run,
    outcome: &str,
    completion: Completion<'_>,
) -> Result<Run> {
    let mut used = run.memory_ids.clone();
    used.extend(completion.memory_ids);
    let mut seen = std::collections::BTreeSet::new();
    used.retain(|id| seen.insert(id.clone()));
    check_memories(&used)?;
    let (mut voted, mut reflection) = (0, None);
    {
        let agent = match &run.agent_id {
            Some(agent) => Some(call.on_behalf(agent, "vote")?),
            None => None,
        };
        if let Some(agent) = agent.as_ref().filter(|_| completion.auto_vote) {
            // In one order, so that two runs with the same memories cannot wait for each other.
            for memory_id in &seen {
                let vote = Vote {
                    memory_id,
                    helpful: completion.success,
                    context: None,
                    task_id: Some(&run.run_id),
                };
                voted += i32::from(votes::cast_if_visible(agent, &vote)?.is_some());
            }
        }
        if let Some(error) = completion
            .error
            .filter(|_| completion.auto_reflect && !completion.success)
        {
            let content = match &run.task_type {
                Some(task_type) => format!("{task_type}: {error}"),
                None => error.to_owned(),
            };
            let draft = Draft {
                content: Some(content),
                session_id: run.session_id.clone(),
                ..Draft::default()
            };
            let lesson = Reflection {
                error_pattern: completion.error_pattern,
                source_trajectory_id: Some(&run.run_id),
                ..Reflection::default()
            };
            reflection = Some(reflect::add(agent.as_ref().unwrap_or(call), draft, lesson)?);
        }
    }
    let metadata = match &completion.metadata {
        Some(patch) => Jsonb::parse(&update::merge_patch(&run.metadata.text(), patch)?),
        None => run.metadata,
    };
    let sql = call.store.sql(&format!(
        "UPDATE @s@.memory_runs SET status = $3, memory_ids = $4, votes = $5, error = $6, error_pattern = $7, reflection_id = $8,
                metadata = $9, completed_at = clock_timestamp()
         WHERE project_id = $1 AND run_id = $2 RETURNING {COLUMNS}"
    ));
    let rows = session.write(
        &sql,
        &[
            call.project().into(),
            run.run_id.as_str().into(),
            outcome.into(),
            used.into(),
            voted.into(),
            completion.error.into(),
            completion.error_pattern.into(),
            reflection.as_deref().into(),
            metadata.into(),
        ],
    );
    let payload = serde_json::json!({ "run_id": run.run_id, "status": outcome, "votes": voted, "reflection_id": reflection });
    events::record(call, session, "run", None, &payload);
    match self::run(&rows) {
        Some(run) => Ok(run),
        None => Err(Error::state("the run was removed meanwhile")),
    }
}
