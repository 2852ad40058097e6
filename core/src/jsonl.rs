//! The record of export and import: one memory as a line of JSON, as an element of a JSON array or
//! as a row of CSV; and memories in the formats of other systems.
//!
//! ```json
//! {"memory_ext_export":{"format":1,"extension_version":"2.0.0","embedder":"hash","dimensions":384}}
//! {"id":"abc123","content":"Memory content","agent_id":"assistant","namespace":"default","scope":"agent-private","metadata":{},"created_at":"2024-01-15T10:30:00Z"}
//! ```
//!
//! Lines are JSON objects in UTF-8, a [`Record`] each; the first may be a [`Header`]. Reading and
//! writing again loses nothing: metadata is never converted, every float has the digits it needs,
//! and a field that is left out has the one value that [`Record::new`] documents.
//!
//! Import trusts nothing: what the table or PostgreSQL itself would refuse is refused here, with
//! its column and field, and no message holds a memory's text. Memory is bounded by the length of
//! the line, time is linear in it.
//!
//! The objects are read member by member with serde_json's deserializer, not through derived
//! implementations: those say neither column nor field, and show the value.

mod csv;
mod detect;
mod error;
mod field;
mod foreign;
mod json;
mod jsonb;
mod parse;
mod record;
mod settle;
pub mod timestamp;
mod validate;
mod write;

#[cfg(test)]
mod tests;

pub use csv::{CSV_COLUMNS, write_csv_header, write_csv_record};
pub use detect::detect;
pub use error::{ErrorKind, Invalid, LineError};
pub use foreign::{Converted, Skipped, Target, convert};
pub use json::MAX_DEPTH;
pub use jsonb::JsonObject;
pub use parse::FIELDS;
pub use record::{Header, Record, Vote, default_scope};
pub use validate::validate;
pub use write::{ArrayWriter, write_header, write_record};

use json::{Kind, Value};

/// The format that is written, and the newest that can be read.
pub const FORMAT: u32 = 1;

/// The longest line that is read unless the caller says otherwise: enough for the longest memory of a store whose limits are
/// at their highest.
pub const MAX_LINE_BYTES: usize = 256 << 20;

/// Whose memories a text holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Lines or arrays that this module wrote.
    MemoryExt,
    /// The export of the operations guide, which is that of Aegis Memory.
    Guide,
    MemoryStages,
    Mem0,
    Letta,
}

impl Format {
    pub const ALL: &[Self] = &[
        Self::MemoryExt,
        Self::Guide,
        Self::MemoryStages,
        Self::Mem0,
        Self::Letta,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::MemoryExt => "memory_ext",
            Self::Guide => "aegis",
            Self::MemoryStages => "memory_stages",
            Self::Mem0 => "mem0",
            Self::Letta => "letta",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|format| format.name() == name)
    }
}

/// How lines are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options<'o> {
    /// Longer lines, and texts of a foreign format, are refused unread.
    pub max_bytes: usize,
    /// Where in the metadata fields go that are not known; `None`: they are refused.
    pub unknown_into: Option<&'o str>,
}

impl Default for Options<'_> {
    fn default() -> Self {
        Self {
            max_bytes: MAX_LINE_BYTES,
            unknown_into: None,
        }
    }
}

/// What a line is.
#[derive(Clone, Debug, PartialEq)]
pub enum Line<'a> {
    Header(Header<'a>),
    /// Valid, see [`validate`].
    Record(Box<Record<'a>>),
    /// White space.
    Blank,
}

/// Reads a line, with or without its line end; a byte order mark before it is ignored.
///
/// A name that comes twice in the object of a memory or of a vote is refused.
pub fn parse_line<'a>(line: &'a [u8], options: &Options<'_>) -> Result<Line<'a>, LineError> {
    match Value::of_line(checked_text(line, options)?) {
        None => Ok(Line::Blank),
        Some(value) => {
            check_object(value)?;
            parse::object(value, options)
        }
    }
}

fn checked_text<'a>(text: &'a [u8], options: &Options<'_>) -> Result<&'a str, LineError> {
    if text.len() > options.max_bytes {
        return Err(LineError::of_text(
            ErrorKind::TooLong,
            options.max_bytes.saturating_add(1),
            format!(
                "the text has {} bytes, over the limit of {}",
                text.len(),
                options.max_bytes
            ),
        ));
    }
    std::str::from_utf8(text).map_err(|error| {
        LineError::of_text(
            ErrorKind::NotUtf8,
            error.valid_up_to() + 1,
            "the text is not UTF-8",
        )
    })
}

fn check_object(value: Value<'_>) -> Result<(), LineError> {
    if value.kind() == Kind::Object {
        return Ok(());
    }
    value.check_syntax()?;
    Err(LineError::of_text(
        ErrorKind::WrongType,
        value.column,
        format!("got {}, expected an object", value.kind().name()),
    ))
}
