//! PostgreSQL's COPY text format (documentation of COPY, "Text Format"): one row per line, fields
//! separated by tabs, `\N` for null, backslash escapes. What `COPY TO` writes in UTF-8 is read, and
//! what is written here `COPY FROM` reads.

use std::borrow::Cow;
use std::fmt;

/// The fields of a line, whose newline at the end may be left out. Null is `None`. Ends after the
/// first error. Takes linear time, and copies only fields with escapes.
///
/// All escapes of COPY are understood: `\b \f \n \r \t \v`, up to three octal digits, `\x` with one
/// or two hexadecimal digits, and a backslash before any other character stands for that character.
/// Refused are, as by COPY, the end-of-data marker `\.` and a bare carriage return, and besides what
/// COPY would read as a line break: a bare newline, and a backslash at the end.
pub fn fields(line: &[u8]) -> Fields<'_> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    Fields {
        rest: Some(line),
        ordinal: 0,
    }
}

/// Iterator of [`fields`].
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    /// None after the last field.
    rest: Option<&'a [u8]>,
    ordinal: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Option<Cow<'a, str>>, CopyTextError>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        self.ordinal += 1;
        let (field, rest) = split(rest);
        let decoded = decode(field).map_err(|problem| CopyTextError {
            ordinal: self.ordinal,
            problem,
        });
        self.rest = rest.filter(|_| decoded.is_ok());
        Some(decoded)
    }
}

/// The first field as it is written, and what follows its tab.
fn split(line: &[u8]) -> (&[u8], Option<&[u8]>) {
    let mut escaped = false;
    for (at, byte) in line.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'\t' => return (&line[..at], Some(&line[at + 1..])),
            _ => (),
        }
    }
    (line, None)
}

fn decode(field: &[u8]) -> Result<Option<Cow<'_, str>>, FieldProblem> {
    if field == br"\N" {
        return Ok(None);
    }
    if field.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        return Err(FieldProblem::LineBreak);
    }
    let text = match field.contains(&b'\\') {
        false => std::str::from_utf8(field).map(Cow::Borrowed).ok(),
        true => String::from_utf8(unescape(field)?).map(Cow::Owned).ok(),
    };
    match text.ok_or(FieldProblem::NotUtf8)? {
        text if text.contains('\0') => Err(FieldProblem::Nul),
        text => Ok(Some(text)),
    }
}

fn unescape(mut rest: &[u8]) -> Result<Vec<u8>, FieldProblem> {
    let mut text = Vec::with_capacity(rest.len());
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let (literal, escape) = rest.split_at(at);
        text.extend_from_slice(literal);
        let Some((&character, after)) = escape[1..].split_first() else {
            return Err(FieldProblem::Backslash);
        };
        let (value, length) = match character {
            b'.' => return Err(FieldProblem::EndOfData),
            b'b' => (0x08, 0),
            b't' => (b'\t', 0),
            b'n' => (b'\n', 0),
            b'v' => (0x0b, 0),
            b'f' => (0x0c, 0),
            b'r' => (b'\r', 0),
            b'0'..=b'7' => {
                let (value, length) = number(&escape[1..], 8, 3);
                (value, length - 1)
            }
            b'x' => match number(after, 16, 2) {
                (_, 0) => (b'x', 0),
                number => number,
            },
            other => (other, 0),
        };
        text.push(value);
        rest = &after[length..];
    }
    text.extend_from_slice(rest);
    Ok(text)
}

/// The number that starts here, of at most so many digits, and how many they are. Of octal numbers
/// over a byte, the low eight bits are kept, as COPY does.
fn number(bytes: &[u8], radix: u32, most: usize) -> (u8, usize) {
    let digits = bytes
        .iter()
        .take(most)
        .map_while(|byte| char::from(*byte).to_digit(radix));
    let (value, length) = digits.fold((0, 0), |(value, length), digit| {
        (value * radix + digit, length + 1)
    });
    (value as u8, length)
}

/// Appends a line with these fields, as `COPY TO` writes them, and its newline. No fields give the
/// line of one empty field. A NUL, which PostgreSQL's texts cannot hold, is written as it is, and
/// refused by every reader.
pub fn encode<'a>(fields: impl IntoIterator<Item = Option<&'a str>>, line: &mut Vec<u8>) {
    for (index, field) in fields.into_iter().enumerate() {
        if index > 0 {
            line.push(b'\t');
        }
        match field {
            Some(text) => escape(text.as_bytes(), line),
            None => line.extend(br"\N"),
        }
    }
    line.push(b'\n');
}

fn escape(mut text: &[u8], line: &mut Vec<u8>) {
    let letter = |byte: &u8| match byte {
        0x08 => Some(b'b'),
        b'\t' => Some(b't'),
        b'\n' => Some(b'n'),
        0x0b => Some(b'v'),
        0x0c => Some(b'f'),
        b'\r' => Some(b'r'),
        b'\\' => Some(b'\\'),
        _ => None,
    };
    let next = |text: &[u8]| {
        text.iter()
            .enumerate()
            .find_map(|(at, byte)| Some((at, letter(byte)?)))
    };
    while let Some((at, letter)) = next(text) {
        line.extend_from_slice(&text[..at]);
        line.extend([b'\\', letter]);
        text = &text[at + 1..];
    }
    line.extend_from_slice(text);
}

/// Why a line is not COPY text. The message is lower case, without a full stop, and holds nothing of
/// the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyTextError {
    /// The field's number, counted from 1.
    pub ordinal: usize,
    pub problem: FieldProblem,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldProblem {
    Backslash,
    /// `\.`, where COPY stops reading.
    EndOfData,
    LineBreak,
    NotUtf8,
    Nul,
}

impl fmt::Display for CopyTextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field {} {}", self.ordinal, self.problem)
    }
}

impl fmt::Display for FieldProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Backslash => "ends with a backslash that escapes nothing",
            Self::EndOfData => "holds the end-of-data marker",
            Self::LineBreak => "holds a line break that is not escaped",
            Self::NotUtf8 => "is not UTF-8",
            Self::Nul => "holds a NUL character",
        })
    }
}

impl std::error::Error for CopyTextError {}

#[cfg(test)]
mod tests;
