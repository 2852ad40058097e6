//! The triggers of the store's tables. They make direct SQL keep the rules that the functions keep.

use pgrx::pg_sys::FunctionCallInfo;
use pgrx::prelude::*;

use crate::pg::error::{Error, SqlResult as Result};
use crate::pg::trigger::{RowChange, TriggerRow};
use crate::store::rules;

/// Trigger of memories: gives a new or changed row its vector, version, time and deduplication key.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_before_write(call: FunctionCallInfo) -> Result<Option<TriggerRow>> {
    let mut change = RowChange::of(call, true)?;
    rules::before_write(&mut change)?;
    Ok(change.finish())
}

/// Trigger of memories: keeps the version that an update or a deletion ended.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_after_change(call: FunctionCallInfo) -> Result<Option<TriggerRow>> {
    let change = RowChange::of(call, false)?;
    rules::after_change(&change)?;
    Ok(change.finish())
}

/// Trigger of memory_events and memory_audit_seals: an audit trail is added to, never changed.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_refuse_change(_call: FunctionCallInfo) -> Result<Option<TriggerRow>> {
    Err(Error::state("memory_events is append-only")
        .hint("To shorten it, its owner can disable its triggers for one transaction.")
        .into())
}
