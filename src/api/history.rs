//! The versions of a memory.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::arguments::required;
use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::{Call, Privilege, history, migrate};

/// Every version of a memory, oldest first; the current one has no valid_to, a deleted one's is the time it was deleted.
///
/// operation is what ended the version: update, delete, restore, merge, kv_set. A sensitive content is shown as ***.
/// Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_history(
    id: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(version, i32),
            name!(operation, Option<String>),
            name!(content, String),
            name!(metadata, Jsonb),
            name!(memory_type, String),
            name!(scope, String),
            name!(importance, f32),
            name!(expires_at, Option<TimestampWithTimeZone>),
            name!(valid_from, TimestampWithTimeZone),
            name!(valid_to, Option<TimestampWithTimeZone>),
            name!(changed_by, Option<String>),
            name!(agent_id, Option<String>),
        ),
    >,
> {
    measured(Operation::History, || {
        let id = required("id", id)?;
        let call = Call::begin_timeless(migrate::FIRST, project_id, agent_id)?;
        let versions = history::versions(&call, id);
        Ok(TableIterator::new(versions.into_iter().map(|version| {
            (
                version.version,
                version.operation,
                version.content,
                version.metadata,
                version.memory_type,
                version.scope,
                version.importance,
                version.expires_at,
                version.valid_from,
                version.valid_to,
                version.changed_by,
                version.changed_as_agent,
            )
        })))
    })
}

/// Makes an earlier version of a memory the current one and returns the new version's number; a deleted memory lives again.
///
/// Errors: 22023, P0002 unknown memory or version, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_restore_version(
    id: Option<&str>,
    version: Option<i32>,
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<i32> {
    measured(Operation::RestoreVersion, || {
        let (id, version) = (required("id", id)?, required("version", version)?);
        let call = Call::begin(project_id, agent_id, Privilege::Write, "restore")?;
        Ok(history::restore(&call, id, version)?)
    })
}
