//! Several changes in one call.

use pgrx::prelude::*;

use crate::api::arguments::required;
use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::learning::delta;
use crate::store::{Call, Privilege};

/// Adds, updates and deprecates memories in one call, in the order given.
///
/// operations is a JSON array of objects with "operation": add (the keys of an item of memory_add_many), update ("id" and the argument
/// names of memory_update) or deprecate ("id", "reason", "superseded_by"). The rules are those of the single calls. atomic: the
/// first error undoes everything, and names its item; otherwise a failed item is reported with its SQLSTATE and the others stay. At
/// most memory_ext.max_batch items. Errors: those of the single calls, 22023, 54000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_delta(
    operations: Option<Jsonb>,
    agent_id: default!(Option<&str>, "NULL"),
    atomic: default!(Option<bool>, "true"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(ordinal, i32),
            name!(operation, String),
            name!(success, bool),
            name!(memory_id, Option<String>),
            name!(error, Option<String>),
        ),
    >,
> {
    measured(Operation::Delta, || {
        let operations = required("operations", operations)?.text();
        let call = Call::begin_ace(project_id, agent_id, Privilege::Write, "delta")?;
        let outcomes = delta::apply(&call, &operations, atomic.unwrap_or(true))?;
        Ok(TableIterator::new(outcomes.into_iter().enumerate().map(
            |(place, outcome)| {
                (
                    place as i32 + 1,
                    outcome.operation,
                    outcome.error.is_none(),
                    outcome.memory_id,
                    outcome.error,
                )
            },
        )))
    })
}
