//! What is wrong with the input, as an error: where, and never a memory's text.

use memory_core::jsonl::{ErrorKind, LineError};

use crate::pg::error::Error;

/// Where a memory stands in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// A last line says another number of memories than came.
pub fn of_count(place: Place, came: u64, said: u64) -> Error {
    incomplete(format!(
        "{}: the export had {said} memories, but {came} came before this line",
        place.of("")
    ))
}

/// The last line is missing.
pub fn of_missing_end(place: Place) -> Error {
    incomplete(format!(
        "{}: the export ends before its last line, which says how many memories it has",
        place.of("")
    ))
}

fn incomplete(message: String) -> Error {
    Error::unparsable(message)
        .detail("Nothing was imported.")
        .hint("Take the whole file, or export again; a part of an export is imported without its first line.")
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
        ErrorKind::TooLong | ErrorKind::TooDeep | ErrorKind::NotUtf8 => made,
        ErrorKind::WrongType
        | ErrorKind::MissingField
        | ErrorKind::DuplicateField
        | ErrorKind::BadValue => match error.field.as_deref().and_then(remedy) {
            Some(remedy) => made.hint(remedy),
            None => made,
        },
    }
}

/// What to do about a field that is not as it should be, by its last name; `None`: its reason says it.
fn remedy(field: &str) -> Option<&'static str> {
    let name = field.rsplit('.').next()?.split('[').next()?;
    Some(match name {
        "id" | "content" if !field.contains("votes[") => {
            "A memory needs an id and some text; format => says whose export it is."
        }
        "voter_agent_id" | "vote" | "votes" => {
            "A vote is helpful or harmful and names its voter_agent_id, once a task."
        }
        "content_hash" => {
            "Take the line from the export again; if its content was changed on purpose, leave out content_hash."
        }
        "embedding" | "embedded_hash" => {
            "Export without embeddings, or leave out both fields: the store makes its own vectors, unless its callers bring them."
        }
        "scope" => {
            "Say whose the memory is with agent_id, or make it global; left out, the scope follows from agent_id and shared_with_agents."
        }
        "bullet_helpful" | "bullet_harmful" => {
            "The counters count the votes of the line: correct them, or leave out the votes."
        }
        "namespace" | "agent_id" | "user_id" | "session_id" | "entity_id" | "key" | "task_id"
        | "metadata" | "memory_type" | "shared_with_agents" | "content_flags" | "importance"
        | "version" | "created_at" | "updated_at" | "expires_at" | "deleted_at"
        | "deprecated_at" | "is_sensitive" | "is_deduplicated" | "is_deprecated" => {
            "Correct it, or leave it out."
        }
        _ => return None,
    })
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
