//! Values of one kind, taken from a line.

use std::borrow::Cow;

use super::error::{ErrorKind, LineError};
use super::json::{Kind, Value};
use super::jsonb::{NO_CHARACTER, NUL};
use super::timestamp;

/// A value with the name of its field.
#[derive(Clone, Copy)]
pub(super) struct Field<'a, 'n> {
    pub name: &'n str,
    pub value: Value<'a>,
}

impl<'a> Field<'a, '_> {
    pub fn wrong_type(self, expected: &str) -> LineError {
        self.error(
            ErrorKind::WrongType,
            format!("is {}, expected {expected}", self.value.kind().name()),
        )
    }

    pub fn bad(self, reason: impl Into<String>) -> LineError {
        self.error(ErrorKind::BadValue, reason.into())
    }

    fn error(self, kind: ErrorKind, reason: String) -> LineError {
        LineError::of_field(kind, self.value.column, self.name, reason)
    }

    pub fn text(self) -> Result<Cow<'a, str>, LineError> {
        if self.value.kind() != Kind::String {
            return Err(self.wrong_type("a string"));
        }
        let text = self
            .value
            .unescaped()
            .ok_or_else(|| self.bad(NO_CHARACTER))?;
        match text.contains('\0') {
            true => Err(self.bad(NUL)),
            false => Ok(text),
        }
    }

    pub fn boolean(self) -> Result<bool, LineError> {
        match self.value.text {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(self.wrong_type("true or false")),
        }
    }

    pub fn whole_number<N: std::str::FromStr>(self) -> Result<N, LineError> {
        if self.value.kind() != Kind::Number {
            return Err(self.wrong_type("a whole number"));
        }
        self.value
            .text
            .parse()
            .map_err(|_| self.bad("is not a whole number in the range of its type"))
    }

    pub fn number(self) -> Result<f32, LineError> {
        if self.value.kind() != Kind::Number {
            return Err(self.wrong_type("a number"));
        }
        self.value
            .text
            .parse()
            .map_err(|_| self.bad("is not a number"))
    }

    pub fn texts(self) -> Result<Vec<Cow<'a, str>>, LineError> {
        if self.value.kind() != Kind::Array {
            return Err(self.wrong_type("an array of strings"));
        }
        let mut texts = Vec::new();
        self.value.elements(|place, value| {
            let name = format!("{}[{place}]", self.name);
            texts.push(Field { name: &name, value }.text()?);
            Ok(())
        })?;
        Ok(texts)
    }

    /// An array of numbers as 32-bit floats, each the nearest to its decimal digits: what was
    /// written in the shortest form comes back bit for bit.
    pub fn vector(self) -> Result<Vec<f32>, LineError> {
        if self.value.kind() != Kind::Array {
            return Err(self.wrong_type("an array of numbers"));
        }
        // A number and its comma rarely take fewer than four bytes.
        let mut vector = Vec::with_capacity(self.value.text.len() / 4);
        for (place, value) in self.value.split().enumerate() {
            let name = || format!("{}[{place}]", self.name);
            if value.kind() != Kind::Number {
                return Err(Field {
                    name: &name(),
                    value,
                }
                .wrong_type("a number"));
            }
            match value.text.parse::<f32>() {
                Ok(number) if number.is_finite() => vector.push(number),
                _ => {
                    let reason = "is out of the range of a 32-bit float";
                    return Err(Field {
                        name: &name(),
                        value,
                    }
                    .bad(reason));
                }
            }
        }
        vector.shrink_to_fit();
        Ok(vector)
    }

    pub fn time(self) -> Result<Cow<'a, str>, LineError> {
        match self.text()? {
            Cow::Borrowed(text) => timestamp::normalise(text),
            Cow::Owned(text) => {
                timestamp::normalise(&text).map(|time| Cow::Owned(time.into_owned()))
            }
        }
        .ok_or_else(|| self.bad(NO_TIME))
    }

    /// Likewise, where never is a time too.
    pub fn time_or_never(self) -> Result<Option<Cow<'a, str>>, LineError> {
        match self.value.text {
            "\"infinity\"" => Ok(None),
            _ => self.time().map(Some),
        }
    }

    pub fn sha256(self) -> Result<[u8; 32], LineError> {
        let text = self.text()?;
        let digits = text.as_bytes();
        let mut hash = [0; 32];
        let (pairs, rest) = digits.as_chunks::<2>();
        if pairs.len() != hash.len() || !rest.is_empty() {
            return Err(self.bad(format!(
                "has {} bytes, expected 64 hexadecimal digits",
                digits.len()
            )));
        }
        for (byte, [high, low]) in hash.iter_mut().zip(pairs) {
            let digit = |digit: u8| char::from(digit).to_digit(16);
            let (Some(high), Some(low)) = (digit(*high), digit(*low)) else {
                return Err(self.bad("is not hexadecimal"));
            };
            *byte = (high * 16 + low) as u8;
        }
        Ok(hash)
    }
}

pub(super) const NO_TIME: &str =
    "is not a point in time of the years 1 to 9999 such as 2024-01-15T10:30:00Z";
