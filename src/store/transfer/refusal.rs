//! What is wrong with the input, as an error: where, and never a memory's text.

use memory_core::jsonl::{ErrorKind, LineError};

use crate::pg::error::Error;

/// Where a memory stands in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Line(u64),
    /// One of several in a text; its id names it.
    Text,
}

impl Place {
    /// What comes before the error: the line, or the memory.
    pub fn of(self, id: &str) -> String {
        match self {
            Place::Line(number) => format!("line {number}"),
            Place::Text => format!("memory {id:?}"),
        }
    }
}

/// A field of a memory is not what the store takes; `reason` goes on after its name.
pub fn of_field(place: Place, id: &str, field: &str, reason: &str) -> Error {
    Error::argument(format!("{}: field \"{field}\": {reason}", place.of(id)))
        .detail("Nothing was imported.")
}

/// A line that cannot be read.
pub fn of_line(number: u64, error: &LineError) -> Error {
    let message = match &error.field {
        Some(field) => {
            // The reason begins with the field's name, which has been said.
            let reason = error
                .reason
                .strip_prefix(field.as_str())
                .map_or(error.reason.as_str(), |rest| {
                    rest.trim_start_matches([':', ' '])
                });
            format!(
                "line {number}: field \"{field}\", column {}: {reason}",
                error.column
            )
        }
        None => format!("line {number}: column {}: {}", error.column, error.reason),
    };
    let made = match error.kind {
        ErrorKind::NotUtf8
        | ErrorKind::NotJson
        | ErrorKind::Truncated
        | ErrorKind::UnknownFormat => Error::unparsable(message),
        ErrorKind::TooLong | ErrorKind::TooDeep => Error::limit(message),
        ErrorKind::WrongType
        | ErrorKind::MissingField
        | ErrorKind::UnknownField
        | ErrorKind::DuplicateField
        | ErrorKind::BadValue => Error::argument(message),
    };
    let made = made.detail("Nothing was imported.");
    match error.kind {
        ErrorKind::UnknownField => made.hint(
            "With unknown => 'metadata' such fields go into the metadata; format => says whose export it is.",
        ),
        ErrorKind::UnknownFormat => {
            made.hint("Import it with the version of memory_ext that made it, or a later one.")
        }
        ErrorKind::NotJson | ErrorKind::Truncated => made.hint(
            "Expected are lines of JSON, each a memory, or one JSON text; lines come whole through \\copy only with the options that the documentation of memory_import_inbox gives.",
        ),
        _ => made,
    }
}

/// The same of a text of many lines: its columns are told by line.
pub fn of_text(text: &str, mut error: LineError) -> Error {
    let before = text
        .get(..error.column.saturating_sub(1).min(text.len()))
        .unwrap_or(text);
    let number = before.matches('\n').count() as u64 + 1;
    if let Some(start) = before.rfind('\n') {
        error.column -= start + 1;
    }
    of_line(number, &error)
}
