use std::fmt;

use serde_json::Value;

/// What is wrong with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Over [`Options::max_bytes`](super::Options::max_bytes).
    TooLong,
    NotUtf8,
    NotJson,
    /// JSON as far as it goes.
    Truncated,
    /// Nested deeper than [`MAX_DEPTH`](super::MAX_DEPTH).
    TooDeep,
    WrongType,
    MissingField,
    UnknownField,
    DuplicateField,
    BadValue,
    /// An export in a newer format, or of no system that is known.
    UnknownFormat,
}

/// Why a line was refused.
///
/// No part of it holds a value of the line, but for the first 40 characters of one that has to be
/// one of a few words (a scope, a vote): any other value may be a secret. Names of unknown fields
/// are shown, cut likewise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Where the offending value begins, or where reading stopped: bytes of UTF-8, counted from 1.
    pub column: usize,
    /// Which field, as a path: `scope`, `votes[2].vote`, `results[12].created_at`.
    pub field: Option<String>,
    /// Lower case, without a full stop; names the field, what was got and what is expected.
    pub reason: String,
    pub kind: ErrorKind,
}

impl std::error::Error for LineError {}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.reason)
    }
}

impl LineError {
    pub(super) fn of_text(kind: ErrorKind, column: usize, reason: impl Into<String>) -> Self {
        Self {
            column,
            field: None,
            reason: reason.into(),
            kind,
        }
    }

    pub(super) fn of_field(
        kind: ErrorKind,
        column: usize,
        field: &str,
        reason: impl fmt::Display,
    ) -> Self {
        Self {
            column,
            field: Some(field.to_owned()),
            reason: format!("{field} {reason}"),
            kind,
        }
    }

    /// The same error of a value that lies inside `place`.
    pub(super) fn within(mut self, place: &str) -> Self {
        if place.is_empty() {
            return self;
        }
        match &mut self.field {
            Some(field) => {
                field.insert_str(0, &place_before(field, place));
                self.reason
                    .insert_str(0, &place_before(&self.reason, place));
            }
            None => {
                self.reason = format!("{place}: {}", self.reason);
                self.field = Some(place.to_owned());
            }
        }
        self
    }
}

fn place_before(path: &str, place: &str) -> String {
    match path.starts_with('[') {
        true => place.to_owned(),
        false => format!("{place}."),
    }
}

/// A rule that a record breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    pub field: String,
    /// As in [`LineError`].
    pub reason: String,
    pub kind: ErrorKind,
}

impl std::error::Error for Invalid {}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl Invalid {
    pub(super) fn new(field: &str, reason: impl fmt::Display) -> Self {
        Self {
            field: field.to_owned(),
            reason: format!("{field} {reason}"),
            kind: ErrorKind::BadValue,
        }
    }

    /// The same rule of a value that lies inside `place`.
    pub(super) fn within(mut self, place: &str) -> Self {
        self.field.insert_str(0, &place_before(&self.field, place));
        self.reason
            .insert_str(0, &place_before(&self.reason, place));
        self
    }

    pub(super) fn at(self, column: usize) -> LineError {
        LineError {
            column,
            field: Some(self.field),
            reason: self.reason,
            kind: self.kind,
        }
    }
}

/// A word of the line that may be shown: cut, and quoted as in JSON, so that no control character
/// reaches a message.
pub(super) fn shown(word: &str) -> String {
    const MOST: usize = 40;
    match word.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}...", Value::from(&word[..end])),
        None => Value::from(word).to_string(),
    }
}
