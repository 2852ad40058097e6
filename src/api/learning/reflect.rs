//! Reflections.

use pgrx::datum::Interval;
use pgrx::prelude::*;

use crate::api::arguments::strings;
use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::pg::vector::Vector;
use crate::store::learning::reflect::{self, Reflection};
use crate::store::memory::Draft;
use crate::store::{Call, Privilege};

/// Adds what was learned from a success or a failure, a memory of type reflection, and returns its id.
///
/// scope is global unless said otherwise. error_pattern names the kind of failure; correct_approach and applicable_contexts go into
/// the metadata under these names; source_trajectory_id is the run it was learned in. A reflection of equal content is the same one.
/// Errors: those of memory_add.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_reflect(
    content: Option<String>,
    agent_id: default!(Option<&str>, "NULL"),
    error_pattern: default!(Option<&str>, "NULL"),
    correct_approach: default!(Option<&str>, "NULL"),
    applicable_contexts: default!(Option<Vec<Option<String>>>, "NULL"),
    namespace: default!(Option<String>, "NULL"),
    scope: default!(Option<String>, "'global'"),
    metadata: default!(Option<Jsonb>, "NULL"),
    ttl: default!(Option<Interval>, "NULL"),
    embedding: default!(Option<Vector>, "NULL"),
    session_id: default!(Option<String>, "NULL"),
    source_trajectory_id: default!(Option<&str>, "NULL"),
    importance: default!(Option<f32>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<String> {
    measured(Operation::Reflect, || {
        crate::api::add::store_or_new()?;
        let draft = Draft {
            content,
            namespace,
            scope,
            metadata,
            ttl,
            embedding,
            session_id,
            importance,
            ..Draft::default()
        };
        let reflection = Reflection {
            error_pattern,
            correct_approach,
            applicable_contexts: strings("applicable_contexts", applicable_contexts)?,
            source_trajectory_id,
        };
        let call = Call::begin_ace(project_id, agent_id, Privilege::Write, "add")?;
        Ok(reflect::add(&call, draft, reflection)?)
    })
}
