//! Votes on memories: one a memory, voter and task. The counters beside the memory always say what vote_history says.

use pgrx::datum::TimestampWithTimeZone;

use crate::pg::error::{Error, Result};
use crate::pg::measure;
use crate::pg::spi::{Planning, Rows, Session};
use crate::store::access::{Call, Requester};
use crate::store::conditions::Conditions;
use crate::store::{events, memory, update};

/// A vote as it is cast.
pub struct Vote<'a> {
    pub memory_id: &'a str,
    pub helpful: bool,
    pub context: Option<&'a str>,
    pub task_id: Option<&'a str>,
}

/// The counters after a vote.
pub struct Count {
    pub helpful: i32,
    pub harmful: i32,
}

impl Count {
    pub fn effectiveness(&self) -> f64 {
        memory_core::rank::votes::effectiveness(
            self.helpful.unsigned_abs(),
            self.harmful.unsigned_abs(),
        )
    }
}

/// Whether the named vote is a helpful one.
pub fn is_helpful(vote: &str) -> Result<bool> {
    match vote {
        "helpful" => Ok(true),
        "harmful" => Ok(false),
        _ => Err(Error::argument(format!("unknown vote {vote:?}"))
            .hint("A vote is one of: helpful, harmful.")),
    }
}

/// The agent that votes; every vote is somebody's.
pub fn voter(call: &Call) -> Result<&str> {
    match &call.access.requester {
        Requester::Agent(agent) => Ok(agent),
        Requester::Nobody => Err(Error::argument("voter_agent_id is NULL")
            .hint("Say which agent votes: it has one vote a memory and task.")),
        Requester::Everything => Err(Error::argument("voter_agent_id is '*', which is no agent")
            .hint("Say which agent votes: it has one vote a memory and task.")),
    }
}

/// Casts the requester's vote, or changes the one it cast before.
pub fn cast(call: &Call, vote: &Vote<'_>) -> Result<Count> {
    cast_if_visible(call, vote)?.ok_or_else(|| update::not_found(vote.memory_id))
}

/// The same; `None` when the requester does not see the memory.
pub fn cast_if_visible(call: &Call, vote: &Vote<'_>) -> Result<Option<Count>> {
    memory::check_name("memory_id", vote.memory_id)?;
    if let Some(task) = vote.task_id {
        memory::check_name("task_id", task)?;
    }
    if let Some(context) = vote.context {
        memory::check_length("context", context)?;
    }
    let voter = voter(call)?;
    call.sql(|session| {
        let count = record(call, session, voter, vote);
        if count.is_none() {
            return Ok(None);
        }
        let payload = serde_json::json!({ "vote": name(vote.helpful), "task_id": vote.task_id });
        events::record(call, session, "vote", Some(vote.memory_id), &payload);
        Ok(count)
    })
}

fn name(helpful: bool) -> &'static str {
    if helpful { "helpful" } else { "harmful" }
}

/// Records the vote and counts it. The unique index makes two equal votes at once wait for each other; who comes second
/// changes the vote, which can only have been the other one, or changes nothing. Counters are not indexed: the update is HOT.
fn record(call: &Call, session: &Session, voter: &str, vote: &Vote<'_>) -> Option<Count> {
    let mut seen = Conditions::default();
    seen.visible(&call.access, false);
    seen.equal("id", Some(vote.memory_id));
    let known = seen.args.len();
    let seen_sql = seen.sql().to_owned();
    let voter_place = seen.arg(voter);
    let cast = seen.arg(name(vote.helpful));
    let context = seen.arg(vote.context);
    let task = seen.arg(vote.task_id);
    let sql = call.store.sql(&format!(
        "INSERT INTO @s@.vote_history AS v (memory_id, project_id, voter_agent_id, vote, context, task_id)
         SELECT m.id, m.project_id, {voter_place}, {cast}, {context}, {task} FROM @s@.memories m WHERE {seen_sql}
         ON CONFLICT (memory_id, project_id, voter_agent_id, task_id) DO UPDATE
             SET vote = excluded.vote, context = coalesce(excluded.context, v.context), updated_at = now(), merged_from = NULL
             WHERE v.vote <> excluded.vote
         RETURNING v.xmax = 0"
    ));
    let Some(is_new) = session.write(&sql, &seen.args).get::<bool>(0, 1) else {
        // The same vote as before, or nothing the voter sees.
        seen.args.truncate(known);
        let sql = call.store.sql(&format!(
            "SELECT m.bullet_helpful, m.bullet_harmful FROM @s@.memories m WHERE {seen_sql}"
        ));
        return count(&session.write(&sql, &seen.args));
    };
    measure::vote(vote.helpful);
    let step = |counts: bool| match (counts, is_new) {
        (true, _) => 1,
        (false, true) => 0,
        (false, false) => -1,
    };
    if !is_new {
        let sql = call.store.sql(
            "INSERT INTO @s@.vote_changes (memory_id, project_id, voter_agent_id, task_id, vote) VALUES ($1, $2, $3, $4, $5)",
        );
        let args = [
            vote.memory_id.into(),
            call.project().into(),
            voter.into(),
            vote.task_id.into(),
            name(!vote.helpful).into(),
        ];
        session.write(&sql, &args);
    }
    let sql = call.store.sql(
        "UPDATE @s@.memories SET bullet_helpful = bullet_helpful + $3, bullet_harmful = bullet_harmful + $4
         WHERE id = $1 AND project_id = $2 RETURNING bullet_helpful, bullet_harmful",
    );
    let args = [
        vote.memory_id.into(),
        call.project().into(),
        step(vote.helpful).into(),
        step(!vote.helpful).into(),
    ];
    count(&session.write(&sql, &args))
}

fn count(rows: &Rows<'_>) -> Option<Count> {
    (!rows.is_empty()).then(|| Count {
        helpful: rows.required(0, 1),
        harmful: rows.required(0, 2),
    })
}

/// A vote as it stands.
pub struct Cast {
    pub voter_agent_id: String,
    pub vote: String,
    pub context: Option<String>,
    pub task_id: Option<String>,
    pub created_at: TimestampWithTimeZone,
    pub updated_at: TimestampWithTimeZone,
}

/// The votes on a memory the requester may see, deprecated or not, oldest first.
pub fn list(call: &Call, memory_id: &str, page_size: i32) -> Result<Vec<Cast>> {
    memory::check_name("memory_id", memory_id)?;
    crate::store::read::check_page_size(page_size)?;
    let mut conditions = Conditions::default();
    conditions.in_scope(&call.access);
    conditions.equal("id", Some(memory_id));
    conditions.push("m.deleted_at IS NULL");
    conditions.not_over(&call.access);
    let seen = call.store.sql(&format!(
        "SELECT FROM @s@.memories m WHERE {}",
        conditions.sql()
    ));
    let votes = call.store.sql(&format!(
        "SELECT voter_agent_id, vote, context, task_id, created_at, updated_at FROM @s@.vote_history
         WHERE memory_id = $1 AND project_id = $2 ORDER BY created_at, id LIMIT {page_size}"
    ));
    call.sql(|session| {
        if session
            .read(&seen, Planning::Generic, &conditions.args)
            .is_empty()
        {
            return Err(update::not_found(memory_id));
        }
        let rows = session.read(
            &votes,
            Planning::Generic,
            &[memory_id.into(), call.project().into()],
        );
        Ok((0..rows.len())
            .map(|row| Cast {
                voter_agent_id: rows.required(row, 1),
                vote: rows.required(row, 2),
                context: rows.get(row, 3),
                task_id: rows.get(row, 4),
                created_at: rows.required(row, 5),
                updated_at: rows.required(row, 6),
            })
            .collect())
    })
}
