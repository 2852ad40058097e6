//! The triggers of the store's tables. They make direct SQL keep the rules that the functions keep.

use pgrx::prelude::*;

use crate::pg::error::{Error, SqlResult as Result, or_raise};
use crate::pg::trigger::{RowChange, TriggerRow};
use crate::store::rules;

/// Trigger of memories: gives a new or changed row its vector, version, time and deduplication key.
#[pg_trigger]
fn memory_before_write<'a>(trigger: &'a PgTrigger<'a>) -> Result<Option<TriggerRow<'a>>> {
    let mut change = or_raise(RowChange::of(trigger, true));
    or_raise(rules::before_write(&mut change));
    Ok(change.finish())
}

/// Trigger of memories: keeps the version that an update or a deletion ended.
#[pg_trigger]
fn memory_after_change<'a>(trigger: &'a PgTrigger<'a>) -> Result<Option<TriggerRow<'a>>> {
    let change = or_raise(RowChange::of(trigger, false));
    or_raise(rules::after_change(&change));
    Ok(change.finish())
}

/// Trigger of memory_events: an audit trail is added to, never changed.
#[pg_trigger]
fn memory_refuse_change<'a>(_trigger: &'a PgTrigger<'a>) -> Result<Option<TriggerRow<'a>>> {
    or_raise(Err(Error::state("memory_events is append-only").hint(
        "To shorten it, its owner can disable the trigger memory_events_append_only for one transaction.",
    )))
}
