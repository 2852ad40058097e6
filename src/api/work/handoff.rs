//! Handing work over from one agent to another.

use pgrx::prelude::*;

use crate::api::arguments::required;
use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::work::handoff::Handoff;

/// What an agent that takes over from another is to know, as one JSON object.
///
/// sessions are the open ones of the source (active or paused; at most 100, the one that was changed last first; with session_id
/// that one only), features those of these sessions that are not complete (at most 1000, oldest first). memories are what the source
/// wrote and the target sees: the k (1..1000) that fit query best, or without it the newest. recent_decisions are the newest k of
/// them of type strategy, reflection, control or procedural. A sensitive content is shown as ***. The caller has to be allowed to
/// act as one of the two agents; the two have to differ, and neither is '*'. Reads only. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_handoff(
    source_agent_id: Option<&str>,
    target_agent_id: Option<&str>,
    session_id: default!(Option<&str>, "NULL"),
    query: default!(Option<&str>, "NULL"),
    k: default!(Option<i32>, "20"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<Jsonb> {
    measured(Operation::Handoff, || {
        let handoff = Handoff {
            source: required("source_agent_id", source_agent_id)?,
            target: required("target_agent_id", target_agent_id)?,
            session_id,
            query,
            k: k.unwrap_or(20),
        };
        Ok(handoff.report(project_id)?)
    })
}
