//! Arguments that have to be there.

use crate::pg::error::{Error, Result};

/// An argument that must not be NULL.
pub fn required<T>(name: &str, value: Option<T>) -> Result<T> {
    value
        .ok_or_else(|| Error::argument(format!("{name} is NULL")).hint("The argument is required."))
}

/// A reason somebody will read in the audit trail.
pub fn reason(value: Option<&str>) -> Result<&str> {
    value
        .filter(|reason| !memory_core::text::is_blank(reason))
        .ok_or_else(|| {
            Error::argument("no reason is given")
                .hint("Say why; the reason is kept in memory_events.")
        })
}

/// The agents of an array, without NULLs.
pub fn agents(value: Option<Vec<Option<String>>>) -> Result<Option<Vec<String>>> {
    strings("shared_with_agents", value)
}

/// The strings of an array that must not have a NULL in it.
pub fn strings(name: &str, value: Option<Vec<Option<String>>>) -> Result<Option<Vec<String>>> {
    match value {
        None => Ok(None),
        Some(values) if values.iter().any(Option::is_none) => {
            Err(Error::argument(format!("{name} has a NULL in it")))
        }
        Some(values) => Ok(Some(values.into_iter().flatten().collect())),
    }
}
