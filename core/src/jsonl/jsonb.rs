//! What is JSON, but not jsonb: a value that PostgreSQL would refuse is refused here, where it has
//! a line and a column.

use std::borrow::Cow;
use std::fmt;

use super::error::{ErrorKind, LineError};
use super::json::{Kind, MAX_DEPTH, Value};

/// The text of a JSON object that jsonb can hold, as it was written: numbers digit for digit,
/// members in their order. Equal means equal texts. There is no line end in it.
///
/// Where a key comes twice in it, jsonb will keep the last.
#[derive(Clone, PartialEq, Eq)]
pub struct JsonObject<'a>(Cow<'a, str>);

impl<'a> JsonObject<'a> {
    /// Takes a text that is said to be an object.
    pub fn parse(text: &'a str) -> Result<Self, LineError> {
        let value = Value::of_line(text)
            .ok_or_else(|| LineError::of_text(ErrorKind::Truncated, 1, "there is no JSON text"))?;
        value.check_syntax()?;
        Self::read(value, "metadata")
    }

    /// Takes the object of a field of a line.
    pub(super) fn read(value: Value<'a>, field: &str) -> Result<Self, LineError> {
        if value.kind() != Kind::Object {
            return Err(LineError::of_field(
                ErrorKind::WrongType,
                value.column,
                field,
                format_args!("is {}, expected an object", value.kind().name()),
            ));
        }
        check(value, field, MAX_DEPTH - 1)?;
        Ok(Self(on_one_line(value.text)))
    }

    /// Takes members that were checked one by one.
    pub(super) fn of_checked(text: String) -> Self {
        Self(match on_one_line(&text) {
            Cow::Borrowed(_) => Cow::Owned(text),
            Cow::Owned(changed) => Cow::Owned(changed),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub fn into_owned(self) -> JsonObject<'static> {
        JsonObject(Cow::Owned(self.0.into_owned()))
    }
}

impl Default for JsonObject<'_> {
    fn default() -> Self {
        Self(Cow::Borrowed("{}"))
    }
}

/// Says how long it is: it may hold a secret.
impl fmt::Debug for JsonObject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes of JSON", self.0.len())
    }
}

/// A line end can only stand between tokens: in a string JSON escapes it.
fn on_one_line(json: &str) -> Cow<'_, str> {
    match json.contains(['\n', '\r']) {
        true => Cow::Owned(json.replace(['\n', '\r'], " ")),
        false => Cow::Borrowed(json),
    }
}

/// Refuses U+0000, halves of surrogate pairs, numbers that numeric cannot hold, and what is nested
/// deeper than `levels`, in a value whose syntax is right.
pub(super) fn check(value: Value<'_>, field: &str, levels: usize) -> Result<(), LineError> {
    let refuse = |kind, at: usize, reason: &str| {
        Err(LineError::of_field(
            kind,
            value.column + at,
            field,
            reason.to_owned(),
        ))
    };
    let json = value.text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while let Some(&byte) = json.get(at) {
        match byte {
            b'{' | b'[' => {
                depth += 1;
                if depth > levels {
                    let reason = format!("makes the line deeper than {MAX_DEPTH} levels");
                    return refuse(ErrorKind::TooDeep, at, &reason);
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            b'"' => match end_of_string(json, at + 1) {
                Ok(end) => at = end,
                Err((wrong, reason)) => return refuse(ErrorKind::BadValue, wrong, reason),
            },
            b'-' | b'0'..=b'9' => {
                let length = json[at..]
                    .iter()
                    .position(|byte| {
                        !matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
                    })
                    .unwrap_or(json.len() - at);
                if !fits_numeric(value.text.get(at..at + length).unwrap_or_default()) {
                    let reason = "has a number that is out of the range of numeric";
                    return refuse(ErrorKind::BadValue, at, reason);
                }
                at += length - 1;
            }
            _ => {}
        }
        at += 1;
    }
    Ok(())
}

/// The place of the quote that ends the string whose inside begins at `at`.
fn end_of_string(json: &[u8], mut at: usize) -> Result<usize, (usize, &'static str)> {
    let mut high: Option<usize> = None;
    loop {
        let unit = match (json.get(at), json.get(at + 1)) {
            (Some(b'\\'), Some(b'u')) => json
                .get(at + 2..at + 6)
                .and_then(|digits| std::str::from_utf8(digits).ok())
                .and_then(|digits| u16::from_str_radix(digits, 16).ok()),
            _ => None,
        };
        match (high.take(), unit) {
            (Some(_), Some(0xdc00..=0xdfff)) => {}
            (Some(wrong), _) => return Err((wrong, NO_CHARACTER)),
            (None, Some(0xdc00..=0xdfff)) => return Err((at, NO_CHARACTER)),
            (None, Some(0xd800..=0xdbff)) => high = Some(at),
            (None, Some(0)) => return Err((at, NUL)),
            (None, _) => {}
        }
        at += match json.get(at) {
            None => return Ok(at),
            Some(b'"') => return Ok(at),
            Some(b'\\') if unit.is_some() => 6,
            Some(b'\\') => 2,
            Some(_) => 1,
        };
    }
}

pub(super) const NUL: &str = "has a NUL character in it";
pub(super) const NO_CHARACTER: &str = "has an escape that is not a Unicode character";

fn fits_numeric(number: &str) -> bool {
    const MAX_DIGITS_BEFORE_POINT: i64 = 131_072;
    const MAX_DIGITS_AFTER_POINT: i64 = 16_383;
    let (mantissa, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let (before, after) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let before = before.trim_start_matches('-').len() as i64;
    let after = after.len() as i64;
    exponent.parse::<i32>().is_ok_and(|exponent| {
        before + i64::from(exponent) <= MAX_DIGITS_BEFORE_POINT
            && after - i64::from(exponent) <= MAX_DIGITS_AFTER_POINT
    })
}
