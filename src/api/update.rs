//! Changing a memory.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;

use super::arguments::{agents, required};
use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::pg::vector::Vector;
use crate::store::memory::expiry;
use crate::store::update::{self, Change};
use crate::store::{Call, Privilege};

/// Changes a memory and returns its version; what is left out stays as it is.
///
/// metadata is a merge patch (RFC 7396): null removes a key. A new content gets a new vector. ttl counts from now; expires_at
/// 'infinity' takes the end away. sensitive => true removes the vector and the text index entry. expected_version refuses the
/// change (40001) when somebody else was first. Errors: 22023, P0002, 23505, 40001, 42501, 54000, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_update(
    id: Option<&str>,
    content: default!(Option<String>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    ttl: default!(Option<Interval>, "NULL"),
    expires_at: default!(Option<TimestampWithTimeZone>, "NULL"),
    importance: default!(Option<f32>, "NULL"),
    memory_type: default!(Option<String>, "NULL"),
    scope: default!(Option<String>, "NULL"),
    shared_with_agents: default!(Option<Vec<Option<String>>>, "NULL"),
    sensitive: default!(Option<bool>, "NULL"),
    embedding: default!(Option<Vector>, "NULL"),
    expected_version: default!(Option<i32>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<i32> {
    measured(Operation::Update, || {
        let id = required("id", id)?;
        let change = Change {
            content,
            metadata,
            expiry: expiry(ttl, expires_at)?,
            importance,
            memory_type,
            scope,
            shared_with_agents: agents(shared_with_agents)?,
            sensitive,
            embedding,
            expected_version,
        };
        let call = Call::begin(project_id, agent_id, Privilege::Write, "update")?;
        Ok(update::update(&call, id, change)?)
    })
}
