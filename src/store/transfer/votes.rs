//! The votes that go with memories.

use std::collections::{HashMap, HashSet};

use memory_core::jsonl::{Record, Vote, timestamp};
use pgrx::datum::TimestampWithTimeZone;

use crate::pg::error::{Error, Result};
use crate::pg::planner::LookUps;
use crate::pg::spi::{Rows, Session};
use crate::pg::times;
use crate::store::access::Call;

/// The votes on the memories $2 of project $1.
pub const OF_MEMORIES: &str = "SELECT v.memory_id, v.id, v.voter_agent_id, v.vote, v.context, v.task_id, v.created_at, v.updated_at, v.merged_from
    FROM @s@.vote_history v WHERE v.project_id = $1 AND v.memory_id = ANY ($2) ORDER BY v.memory_id, v.created_at, v.id";

pub type ByMemory = HashMap<String, Vec<Vote<'static>>>;

/// What [`OF_MEMORIES`] found.
pub fn read(rows: &Rows<'_>) -> Result<ByMemory> {
    let mut votes = ByMemory::new();
    for row in 0..rows.len() {
        let memory_id: String = rows.required(row, 1);
        let time = |column: usize, name: &str| {
            exported_time(rows.get(row, column), || {
                format!("{name} of a vote on memory {memory_id:?}")
            })
        };
        let text = |column: usize| rows.get::<String>(row, column).map(Into::into);
        let vote = Vote {
            id: text(2),
            voter_agent_id: rows.required::<String>(row, 3).into(),
            vote: rows.required::<String>(row, 4).into(),
            context: text(5),
            task_id: text(6),
            created_at: time(7, "created_at")?.map(Into::into),
            updated_at: time(8, "updated_at")?.map(Into::into),
            merged_from: text(9),
        };
        votes.entry(memory_id).or_default().push(vote);
    }
    Ok(votes)
}

/// A point in time as an export has it; years that none can hold are an error that names what has them.
pub fn exported_time(
    time: Option<TimestampWithTimeZone>,
    what: impl Fn() -> String,
) -> Result<Option<String>> {
    let Some(time) = time else {
        return Ok(None);
    };
    times::unix_micros(time)
        .and_then(timestamp::of_unix_micros)
        .map(Some)
        .ok_or_else(|| {
            Error::state(format!(
                "{} lies outside of the years 1 to 9999, which an export cannot hold",
                what()
            ))
            .hint("Correct it with UPDATE, then export again.")
        })
}

/// How many are helpful, and how many harmful.
pub fn counts(votes: &[Vote<'_>]) -> (i32, i32) {
    let helpful = votes.iter().filter(|vote| vote.vote == "helpful").count();
    let count = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    (count(helpful), count(votes.len() - helpful))
}

/// The votes that memories have now.
pub fn existing(call: &Call, session: &Session, ids: Vec<String>) -> Result<ByMemory> {
    if ids.is_empty() {
        return Ok(ByMemory::new());
    }
    let _plan = LookUps::enforce();
    let sql = call.store.sql(OF_MEMORIES);
    read(&session.write_planned_anew(&sql, &[call.project().into(), ids.into()]))
}

/// Whether a memory has the imported votes already; ids do not matter, nor do times that were left out.
pub fn are_there(imported: &[Vote<'_>], existing: &[Vote<'_>]) -> bool {
    let by_voter: HashMap<_, _> = existing
        .iter()
        .map(|vote| ((&vote.voter_agent_id, &vote.task_id), vote))
        .collect();
    imported.len() == existing.len()
        && imported.iter().all(|vote| {
            by_voter
                .get(&(&vote.voter_agent_id, &vote.task_id))
                .is_some_and(|is| {
                    let updated_at = vote.updated_at.as_ref().or(vote.created_at.as_ref());
                    is.vote == vote.vote
                        && is.context == vote.context
                        && is.merged_from == vote.merged_from
                        && (vote.created_at.is_none() || is.created_at == vote.created_at)
                        && (updated_at.is_none() || is.updated_at.as_ref() == updated_at)
                })
        })
}

/// Gives memories the votes of their records; those that replace an older state lose the votes they had. How many there are.
///
/// A vote keeps its id, unless another memory's vote has it: in another project, say.
pub fn write(
    call: &Call,
    session: &Session,
    records: &[&Record<'_>],
    replaced: Vec<String>,
) -> Result<u64> {
    let _plan = LookUps::enforce();
    if !replaced.is_empty() {
        let sql = call.store.sql(
            "DELETE FROM @s@.vote_history v WHERE v.project_id = $1 AND v.memory_id = ANY ($2)",
        );
        session.write_planned_anew(&sql, &[call.project().into(), replaced.into()]);
    }
    let votes: Vec<(&str, &Vote<'_>)> = records
        .iter()
        .flat_map(|record| {
            let votes = record.votes.iter().flatten();
            votes.map(|vote| (record.id.as_ref(), vote))
        })
        .collect();
    if votes.is_empty() {
        return Ok(0);
    }
    let mut ids = HashSet::new();
    let sql = call.store.sql(
        "INSERT INTO @s@.vote_history (id, memory_id, project_id, voter_agent_id, vote, context, task_id, created_at, updated_at, merged_from)
         SELECT CASE WHEN i.id IS NULL OR EXISTS (SELECT FROM @s@.vote_history o WHERE o.id = i.id) THEN @s@.memory_new_id() ELSE i.id END,
                i.memory_id, $1, i.voter_agent_id, i.vote, i.context, i.task_id, coalesce(i.created_at::timestamptz, now()),
                coalesce(i.updated_at::timestamptz, i.created_at::timestamptz, now()), i.merged_from
         FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10)
              AS i (id, memory_id, voter_agent_id, vote, context, task_id, created_at, updated_at, merged_from)
         ON CONFLICT DO NOTHING",
    );
    let column = |of: &dyn Fn(&Vote<'_>) -> Option<String>| {
        votes
            .iter()
            .map(|(_, vote)| of(vote))
            .collect::<Vec<Option<String>>>()
    };
    let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().map(str::to_owned);
    let ids: Vec<Option<String>> = votes
        .iter()
        .map(|(_, vote)| vote.id.as_deref().filter(|id| ids.insert(*id)))
        .map(|id| id.map(str::to_owned))
        .collect();
    let memories: Vec<Option<&str>> = votes.iter().map(|(memory, _)| Some(*memory)).collect();
    let args = [
            call.project().into(),
            ids.into(),
            memories.into(),
            column(&|vote| Some(vote.voter_agent_id.to_string())).into(),
            column(&|vote| Some(vote.vote.to_string())).into(),
            column(&|vote| text(&vote.context)).into(),
            column(&|vote| text(&vote.task_id)).into(),
            column(&|vote| text(&vote.created_at)).into(),
            column(&|vote| text(&vote.updated_at)).into(),
            column(&|vote| text(&vote.merged_from)).into(),
        ];
    // An id that another project has taken meanwhile is seen the second time; what went in the first time stays out.
    const ROUNDS: usize = 8;
    let mut written = 0;
    for _ in 0..ROUNDS {
        written += session.write_planned_anew(&sql, &args).len();
        if written == votes.len() {
            return Ok(written as u64);
        }
    }
    Err(Error::version_conflict("votes with the same ids are being added at the same time").hint("Try again."))
}
