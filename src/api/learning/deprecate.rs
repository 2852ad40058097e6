//! Taking memories out of use, and back.

use pgrx::prelude::*;

use crate::api::arguments::required;
use crate::pg::error::SqlResult as Result;
use crate::pg::measure::{Operation, measured};
use crate::store::learning::deprecate;
use crate::store::{Call, Privilege};

/// Takes a memory out of use: nothing reads it any more, but its history and votes stay. False when it was deprecated already.
///
/// superseded_by is the live memory that takes its place; reason is kept in memory_events. Adding equal content again makes a new,
/// live memory. memory_undeprecate() undoes it. Errors: 22023, P0002, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_deprecate(
    id: Option<&str>,
    reason: default!(Option<&str>, "NULL"),
    superseded_by: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<bool> {
    measured(Operation::Deprecate, || {
        let id = required("id", id)?;
        let call = Call::begin_ace(project_id, agent_id, Privilege::Write, "deprecate")?;
        Ok(deprecate::deprecate(&call, id, reason, superseded_by)?)
    })
}

/// Brings a deprecated memory back into use. False when it is not deprecated.
///
/// Undoes memory_consolidate() too: votes that were counted for the other memory are taken back. If an equal memory was added, or
/// the key was set, in the meantime: 23505. Errors: 22023, P0002, 23505, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_undeprecate(
    id: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<bool> {
    measured(Operation::Undeprecate, || {
        let id = required("id", id)?;
        let call = Call::begin_ace(project_id, agent_id, Privilege::Write, "undeprecate")?;
        Ok(deprecate::undeprecate(&call, id)?)
    })
}
