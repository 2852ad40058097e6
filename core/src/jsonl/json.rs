//! JSON as the records need it: a value is a piece of the line, so that every error has a column
//! and nothing is read that is not asked for. Numbers are never converted on the way.

use std::borrow::Cow;
use std::fmt;

use serde::de::{
    DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde_json::value::RawValue;

use super::error::{ErrorKind, LineError};

/// How many arrays and objects may lie in each other, the line's own object included.
pub const MAX_DEPTH: usize = 127;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Object,
    Array,
    String,
    Number,
    Boolean,
    Null,
}

impl Kind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Boolean => "a boolean",
            Self::Null => "null",
        }
    }
}

/// A value where it stands in the line.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    /// Without white space around it.
    pub text: &'a str,
    /// Of its first byte, from 1.
    pub column: usize,
}

impl<'a> Value<'a> {
    /// The whole of a text that is not yet known to be JSON. `None` when nothing is in it.
    pub fn of_line(line: &'a str) -> Option<Self> {
        let start = line.trim_start_matches(|c| is_blank(c) || c == '\u{feff}');
        let text = start.trim_end_matches(is_blank);
        (!text.is_empty()).then(|| Self {
            text,
            column: line.len() - start.len() + 1,
        })
    }

    /// By the first byte; only of a text that is not JSON is it wrong.
    pub fn kind(self) -> Kind {
        match self.text.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::String,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') => Kind::Null,
            _ => Kind::Number,
        }
    }

    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// A piece of this value's text.
    fn part(self, text: &'a str) -> Self {
        let offset = (text.as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize);
        Self {
            text,
            column: self.column + offset,
        }
    }

    /// Whether this is JSON at all.
    pub fn check_syntax(self) -> Result<(), LineError> {
        serde_json::from_str::<IgnoredAny>(self.text)
            .map(|_| ())
            .map_err(|error| self.syntax_error(&error))
    }

    /// Calls `each` for every member of this object, in order.
    pub fn members(
        self,
        each: impl FnMut(Cow<'a, str>, Value<'a>) -> Result<(), LineError>,
    ) -> Result<(), LineError> {
        let mut failure = None;
        let mut json = serde_json::Deserializer::from_str(self.text);
        let read = json
            .deserialize_map(Members {
                object: self,
                each,
                failure: &mut failure,
            })
            .and_then(|()| json.end());
        self.outcome(read, failure)
    }

    /// Calls `each` for every element of this array, in order.
    pub fn elements(
        self,
        each: impl FnMut(usize, Value<'a>) -> Result<(), LineError>,
    ) -> Result<(), LineError> {
        let mut failure = None;
        let mut json = serde_json::Deserializer::from_str(self.text);
        let read = json
            .deserialize_seq(Elements {
                array: self,
                each,
                failure: &mut failure,
            })
            .and_then(|()| json.end());
        self.outcome(read, failure)
    }

    fn outcome(
        self,
        read: serde_json::Result<()>,
        failure: Option<LineError>,
    ) -> Result<(), LineError> {
        match (failure, read) {
            (Some(failure), _) => Err(failure),
            (None, Err(error)) => Err(self.syntax_error(&error)),
            (None, Ok(())) => Ok(()),
        }
    }

    /// The characters of this string. `None` for an escape that is no character.
    pub fn unescaped(self) -> Option<Cow<'a, str>> {
        let inside = self.text.get(1..self.text.len().saturating_sub(1))?;
        if !inside.as_bytes().contains(&b'\\') {
            return Some(Cow::Borrowed(inside));
        }
        serde_json::from_str(self.text).ok().map(Cow::Owned)
    }

    /// The pieces of an array of plain values, without looking at what they are. A string or an
    /// array in it comes in pieces, the first of which begins with `"` or `[`.
    pub fn split(self) -> impl Iterator<Item = Value<'a>> {
        let inside = self
            .text
            .get(1..self.text.len().saturating_sub(1))
            .unwrap_or_default();
        let mut rest = (!inside.trim_matches(is_blank).is_empty()).then_some(inside);
        std::iter::from_fn(move || {
            let text = rest.take()?;
            // The pieces are a few bytes long: looking at each is faster than searching.
            let end = text.bytes().position(|byte| byte == b',');
            let (piece, after) = match end {
                Some(end) => (text.get(..end)?, text.get(end + 1..)),
                None => (text, None),
            };
            rest = after;
            Some(self.part(piece.trim_matches(is_blank)))
        })
    }

    /// serde_json's own text says no more than the rule of the grammar that was broken.
    fn syntax_error(self, error: &serde_json::Error) -> LineError {
        let line_start = match error.line() {
            0 | 1 => 0,
            line => self
                .text
                .match_indices('\n')
                .nth(line - 2)
                .map_or(0, |(end, _)| end + 1),
        };
        let read = line_start + error.column();
        let column = self.column - 1 + read.max(1);
        let rule = match error.is_syntax() {
            true => error.to_string(),
            false => String::new(),
        };
        let rule = rule.split(" at line ").next().unwrap_or_default();
        // The grammar has no beginning of a number that is none, but for one that was cut off.
        let is_cut_number = rule == "invalid number" && read >= self.text.len();
        if error.is_eof() || is_cut_number {
            return LineError::of_text(
                ErrorKind::Truncated,
                column,
                "the JSON text ends before it is complete",
            );
        }
        let colon = if rule.is_empty() { "" } else { ": " };
        LineError::of_text(
            ErrorKind::NotJson,
            column,
            format!("not valid JSON{colon}{rule}"),
        )
    }
}

/// JSON's white space.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r')
}

struct Members<'a, 'f, F> {
    object: Value<'a>,
    each: F,
    failure: &'f mut Option<LineError>,
}

impl<'a, F> Visitor<'a> for Members<'a, '_, F>
where
    F: FnMut(Cow<'a, str>, Value<'a>) -> Result<(), LineError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key_seed(Key)? {
            let value: &'a RawValue = map.next_value()?;
            if let Err(failure) = (self.each)(key, self.object.part(value.get())) {
                *self.failure = Some(failure);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

struct Elements<'a, 'f, F> {
    array: Value<'a>,
    each: F,
    failure: &'f mut Option<LineError>,
}

impl<'a, F> Visitor<'a> for Elements<'a, '_, F>
where
    F: FnMut(usize, Value<'a>) -> Result<(), LineError>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let mut place = 0;
        while let Some(value) = seq.next_element::<&'a RawValue>()? {
            if let Err(failure) = (self.each)(place, self.array.part(value.get())) {
                *self.failure = Some(failure);
                return Err(A::Error::custom("refused"));
            }
            place += 1;
        }
        Ok(())
    }
}

/// A key, borrowed where it has no escape.
pub(super) struct Key;

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<Self::Value, D::Error> {
        json.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}
