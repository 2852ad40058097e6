//! Lines into records: whose format they are in, and whether each stands alone or all make one text.

use std::ops::ControlFlow;

use memory_core::jsonl::{
    self, Converted, ErrorKind, Format, Header, JsonObject, Line, LineError, Options, Record,
    Skipped, Target,
};

use super::refusal::{self, Place};
use super::source::Source;
use crate::pg::error::{Error, Result};
use crate::pg::system;

/// The longest line, and the longest text of many lines.
const MAX_BYTES: usize = 256 << 20;

/// How much of the input is looked at to tell its format.
const BEGINNING_BYTES: usize = 64 << 10;

/// Where unknown fields of this project's own lines go, if they may.
const OWN_SYSTEM: &str = "memory_ext";

/// What the caller says of the input.
pub struct Wish<'a> {
    pub format: Option<Format>,
    pub target: Target<'a>,
    /// Unknown fields go into the metadata.
    pub keep_unknown: bool,
}

/// How the input is read.
pub struct Reader<'a> {
    pub format: Format,
    shape: Shape,
    target: Target<'a>,
    options: Options<'static>,
}

enum Shape {
    /// Each line is a JSON text.
    Lines,
    /// One array with an element a line, as `memory_export(format => 'json')` writes it.
    Elements,
    /// All lines are one JSON text.
    Text(String),
}

/// Something that was read.
#[allow(
    clippy::large_enum_variant,
    reason = "it is handed on at once, and most are records"
)]
pub enum Item<'a> {
    Header(Place, Header<'a>),
    Record(Place, Record<'a>),
    Skipped(Skipped),
}

pub type Take<'t> = dyn FnMut(Item<'_>) -> Result<()> + 't;

impl<'a> Reader<'a> {
    /// Looks at the first line that is not blank; `None` when there is none.
    pub fn of(source: &dyn Source, wish: &Wish<'a>) -> Result<Option<Reader<'a>>> {
        let mut found = None;
        source.each(&mut |_, line| {
            if is_blank(line) {
                return Ok(ControlFlow::Continue(()));
            }
            let format = wish.format.or_else(|| detect(line));
            found = Some((format, shape(line, format)));
            Ok(ControlFlow::Break(()))
        })?;
        let Some((mut format, mut shape)) = found else {
            return Ok(None);
        };
        if let Shape::Text(text) = &mut shape {
            *text = joined(source)?;
            format = format.or_else(|| detect(text));
        }
        // What is nobody's is read as our own, which says what is wrong with it.
        let format = format.unwrap_or(Format::MemoryExt);
        if wish.target.agent_id.is_some() && matches!(format, Format::MemoryExt | Format::Guide) {
            return Err(Error::argument(format!(
                "agent_id is given, but lines of format {} say themselves whose they are",
                format.name()
            ))
            .hint("Leave out agent_id."));
        }
        Ok(Some(Reader {
            format,
            shape,
            target: wish.target,
            options: Options {
                max_bytes: MAX_BYTES,
                unknown_into: match (wish.keep_unknown, format) {
                    (true, Format::MemoryExt) => Some(OWN_SYSTEM),
                    _ => None,
                },
            },
        }))
    }

    /// Reads everything; the number of lines.
    pub fn each(&self, source: &dyn Source, take: &mut Take<'_>) -> Result<u64> {
        let mut lines = 0;
        match &self.shape {
            Shape::Lines => source.each(&mut |number, line| {
                system::check_for_interrupts();
                lines = number;
                let refused = |error| refusal::of_line(number, &error);
                self.line(Place::Line(number), line, take, &refused)?;
                Ok(ControlFlow::Continue(()))
            })?,
            Shape::Elements => lines = self.elements(source, take)?,
            Shape::Text(text) => {
                lines = text.lines().count() as u64;
                let refused = |error| refusal::of_text(text, error);
                self.converted(Place::Text, text, take, &refused)?;
            }
        }
        Ok(lines)
    }

    fn line(
        &self,
        place: Place,
        line: &str,
        take: &mut Take<'_>,
        refused: &dyn Fn(LineError) -> Error,
    ) -> Result<()> {
        let is_object = line
            .trim_start_matches(['\u{feff}', ' ', '\t'])
            .starts_with('{');
        if self.format != Format::MemoryExt || !is_object {
            return self.converted(place, line, take, refused);
        }
        match jsonl::parse_line(line.as_bytes(), &self.options).map_err(refused)? {
            Line::Blank => Ok(()),
            Line::Header(header) => take(Item::Header(place, header)),
            Line::Record(mut record) => {
                if let Some(namespace) = self.target.namespace {
                    record.namespace = namespace.to_owned().into();
                }
                take(Item::Record(place, *record))
            }
        }
    }

    fn converted(
        &self,
        place: Place,
        text: &str,
        take: &mut Take<'_>,
        refused: &dyn Fn(LineError) -> Error,
    ) -> Result<()> {
        let Converted { records, skipped } =
            jsonl::convert(self.format, text.as_bytes(), &self.target, &self.options)
                .map_err(refused)?;
        let place = match records.len() {
            1 => place,
            _ => Place::Text,
        };
        for record in records {
            system::check_for_interrupts();
            take(Item::Record(place, record))?;
        }
        match skipped.is_empty() {
            true => Ok(()),
            false => take(Item::Skipped(skipped)),
        }
    }

    fn elements(&self, source: &dyn Source, take: &mut Take<'_>) -> Result<u64> {
        let (mut lines, mut is_begun, mut is_over) = (0, false, false);
        source.each(&mut |number, line| {
            system::check_for_interrupts();
            lines = number;
            if is_blank(line) {
                return Ok(ControlFlow::Continue(()));
            }
            let text = line.trim_start_matches(['\u{feff}', ' ', '\t']);
            let before = line.len() - text.len();
            let wrong = |reason: &str, kind| {
                let error = LineError {
                    column: before + 1,
                    field: None,
                    reason: reason.to_owned(),
                    kind,
                };
                Err(refusal::of_line(number, &error))
            };
            if is_over {
                return wrong("the array has ended before", ErrorKind::NotJson);
            }
            if text.trim_end() == "]" {
                is_over = true;
                return Ok(ControlFlow::Continue(()));
            }
            let mark = if is_begun { ',' } else { '[' };
            is_begun = true;
            let Some(element) = text.strip_prefix(mark) else {
                return wrong(
                    "an element of the array begins with a comma",
                    ErrorKind::NotJson,
                );
            };
            if is_blank(element) {
                return wrong("an element of the array is missing", ErrorKind::NotJson);
            }
            let refused = |mut error: LineError| {
                error.column += before + 1;
                refusal::of_line(number, &error)
            };
            self.line(Place::Line(number), element, take, &refused)?;
            Ok(ControlFlow::Continue(()))
        })?;
        if is_over {
            return Ok(lines);
        }
        let error = LineError {
            column: 1,
            field: None,
            reason: "the JSON text ends before it is complete".to_owned(),
            kind: ErrorKind::Truncated,
        };
        Err(refusal::of_line(lines + 1, &error))
    }
}

fn is_blank(line: &str) -> bool {
    line.trim_matches(['\u{feff}', ' ', '\t', '\r', '\n'])
        .is_empty()
}

fn detect(text: &str) -> Option<Format> {
    let beginning = text.as_bytes();
    jsonl::detect(&beginning[..beginning.len().min(BEGINNING_BYTES)])
}

fn shape(first: &str, format: Option<Format>) -> Shape {
    if is_whole(first) {
        return Shape::Lines;
    }
    let element = first
        .trim_start_matches(['\u{feff}', ' ', '\t'])
        .strip_prefix('[');
    match element {
        Some(element)
            if matches!(format, Some(Format::MemoryExt | Format::Guide))
                && JsonObject::parse(element).is_ok() =>
        {
            Shape::Elements
        }
        _ => Shape::Text(String::new()),
    }
}

/// Whether a JSON text does not end before it is complete; what is no JSON at all is as whole as it will be.
fn is_whole(text: &str) -> bool {
    !matches!(JsonObject::parse(text), Err(error) if error.kind == ErrorKind::Truncated)
}

fn joined(source: &dyn Source) -> Result<String> {
    let mut text = String::new();
    source.each(&mut |number, line| {
        if text.len() + line.len() >= MAX_BYTES {
            return Err(Error::limit(format!(
                "line {number}: the JSON text has more than {MAX_BYTES} bytes"
            ))
            .detail("Nothing was imported.")
            .hint("Import it in parts, or as lines of JSON with a memory each."));
        }
        if number > 1 {
            text.push('\n');
        }
        text.push_str(line);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(text)
}
