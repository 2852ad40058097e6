//! What the functions check of their arguments, for memories that plain SQL writes.

use std::ffi::CStr;

use memory_core::text::is_blank;
use pgrx::datum::TimestampWithTimeZone;

use super::memory;
use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::pg::trigger::RowChange;

/// The columns that name something, and the most bytes each may have.
const NAMES: [(&CStr, usize); 9] = [
    (c"id", memory::MAX_NAME_BYTES),
    (c"project_id", memory::MAX_NAME_BYTES),
    (c"namespace", memory::MAX_NAME_BYTES),
    (c"agent_id", memory::MAX_NAME_BYTES),
    (c"user_id", memory::MAX_NAME_BYTES),
    (c"session_id", memory::MAX_NAME_BYTES),
    (c"entity_id", memory::MAX_NAME_BYTES),
    (c"memory_type", MAX_TYPE_BYTES),
    (c"key", memory::MAX_NAME_BYTES),
];

const MAX_TYPE_BYTES: usize = 64;

pub fn check_names(change: &RowChange) -> Result<()> {
    for (column, limit) in NAMES {
        let length = change.new_value::<String>(column).map(|name| name.len());
        if length.is_some_and(|length| length == 0 || length > limit) {
            return Err(Error::rule(format!(
                "{} of a memory has {} bytes, 1 to {limit} are allowed",
                column.to_string_lossy(),
                length.unwrap_or_default()
            )));
        }
    }
    Ok(())
}

/// No export could hold what is outside of its years, and one memory would keep all others from being exported. What was there
/// before may stay.
pub fn check_times(change: &RowChange, has_ace: bool) -> Result<()> {
    let columns = [
        c"created_at",
        c"updated_at",
        c"expires_at",
        c"deleted_at",
        c"deprecated_at",
    ];
    let known = if has_ace { 5 } else { 4 };
    for column in columns.into_iter().take(known) {
        if change.is_update() && !change.changed(column) {
            continue;
        }
        let Some(time) = change.new_value::<TimestampWithTimeZone>(column) else {
            continue;
        };
        let is_never = column == c"expires_at" && time.is_infinity();
        if !is_never && !memory::is_exportable(time) {
            return Err(Error::rule(format!(
                "{} of a memory lies outside of the years 1 to 9999",
                column.to_string_lossy()
            ))
            .hint("Give a time within those years; a memory without expires_at does not expire."));
        }
    }
    Ok(())
}

/// What is stored must be what a line of an export can be. What was there before may stay.
pub fn check_contents(change: &RowChange, has_ace: bool) -> Result<()> {
    let renewed = |column| !change.is_update() || change.changed(column);
    let named = |column: &CStr| format!("{} of a memory", column.to_string_lossy());
    let texts = [c"content", c"error_pattern"];
    for column in texts.into_iter().take(if has_ace { 2 } else { 1 }) {
        if renewed(column)
            && let Some(text) = change.new_value::<String>(column)
        {
            memory::check_length(&named(column), &text)?;
            if column == c"content" && is_blank(&text) {
                return Err(
                    Error::rule("content of a memory is blank").hint("A memory needs some text.")
                );
            }
        }
    }
    if renewed(c"metadata")
        && let Some(metadata) = change.new_value::<Jsonb>(c"metadata")
    {
        memory::check_size(&named(c"metadata"), &metadata)?;
    }
    Ok(())
}

/// Who may read it are agents, and there are some. What was there before may stay.
pub fn check_readers(change: &RowChange) -> Result<()> {
    let renewed = |column| !change.is_update() || change.changed(column);
    let shared = c"shared_with_agents";
    if renewed(shared)
        && let Some(agents) = change.new_value::<Vec<Option<String>>>(shared)
    {
        memory::check_sharing("shared_with_agents of a memory", agents.len())?;
        let is_name = |agent: &Option<String>| {
            agent
                .as_ref()
                .is_some_and(|name| (1..=memory::MAX_NAME_BYTES).contains(&name.len()))
        };
        if !agents.iter().all(is_name) {
            return Err(Error::rule(format!(
                "shared_with_agents of a memory has names of other than 1 to {} bytes",
                memory::MAX_NAME_BYTES
            )));
        }
    }
    if (renewed(c"scope") || renewed(c"agent_id")) && change.new_is_null(c"agent_id") {
        let scope: Option<String> = change.new_value(c"scope");
        let names_readers = |scope: &String| scope == "agent-private" || scope == "agent-shared";
        if let Some(scope) = scope.filter(names_readers) {
            return Err(Error::rule(format!(
                "scope of a memory is {scope:?}, but it has no agent_id"
            ))
            .hint("Without an agent nobody could ever read it."));
        }
    }
    Ok(())
}
