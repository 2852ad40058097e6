//! Counting use.

use pgrx::prelude::*;

use super::arguments::required;
use crate::pg::error::SqlResult as Result;
use crate::pg::measure::{Operation, measured};
use crate::store::{Call, Privilege, usage};

/// Counts one use of each of these memories, beside them in memory_usage; returns how many of them the caller may see.
///
/// Needs the write privilege. Searching counts nothing by itself. Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_touch(
    ids: Option<Vec<Option<String>>>,
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<i64> {
    measured(Operation::Touch, || {
        let ids = required("ids", ids)?;
        let call = Call::begin(project_id, agent_id, Privilege::Write, "touch")?;
        Ok(usage::touch(&call, ids.into_iter().flatten().collect()))
    })
}
