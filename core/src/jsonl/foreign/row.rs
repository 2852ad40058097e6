use std::borrow::Cow;
use std::collections::HashSet;

use crate::jsonl::error::{ErrorKind, LineError, shown};
use crate::jsonl::field::Field;
use crate::jsonl::json::{Kind, Value};
use crate::jsonl::parse::{duplicate, missing};

/// An object of which fields are taken one by one, so that what nobody took is known.
pub(super) struct Row<'a> {
    pub object: Value<'a>,
    members: Vec<(Cow<'a, str>, Value<'a>)>,
}

impl<'a> Row<'a> {
    pub fn of(object: Value<'a>) -> Result<Self, LineError> {
        if object.kind() != Kind::Object {
            return Err(LineError::of_text(
                ErrorKind::WrongType,
                object.column,
                format!("got {}, expected an object", object.kind().name()),
            ));
        }
        let mut members = Vec::new();
        object.members(|key, value| {
            members.push((key, value));
            Ok(())
        })?;
        let mut seen = HashSet::with_capacity(members.len());
        for (key, value) in &members {
            if !seen.insert(key.as_ref()) {
                return Err(duplicate(&shown(key), *value));
            }
        }
        Ok(Self { object, members })
    }

    pub fn has(&self, name: &str) -> bool {
        self.members.iter().any(|(key, _)| key == name)
    }

    /// The value of a field, unless it is not there or null.
    pub fn take(&mut self, name: &'static str) -> Option<Field<'a, 'static>> {
        let place = self.members.iter().position(|(key, _)| key == name)?;
        let (_, value) = self.members.remove(place);
        (!value.is_null()).then_some(Field { name, value })
    }

    /// The same, without taking it.
    pub fn peek(&self, name: &'static str) -> Option<Field<'a, 'static>> {
        let (_, value) = self.members.iter().find(|(key, _)| key == name)?;
        (!value.is_null()).then_some(Field {
            name,
            value: *value,
        })
    }

    pub fn text(&mut self, name: &'static str) -> Result<Option<Cow<'a, str>>, LineError> {
        self.take(name).map(Field::text).transpose()
    }

    pub fn required_text(&mut self, name: &'static str) -> Result<Cow<'a, str>, LineError> {
        self.text(name)?.ok_or_else(|| missing(name, self.object))
    }

    pub fn time(&mut self, name: &'static str) -> Result<Option<Cow<'a, str>>, LineError> {
        self.take(name).map(Field::time).transpose()
    }

    /// What was not taken.
    pub fn rest(self) -> Vec<(Cow<'a, str>, Value<'a>)> {
        let mut rest = self.members;
        rest.retain(|(_, value)| !value.is_null());
        rest
    }
}

/// How many elements an array has; 0 for anything else.
pub(super) fn length(value: Value<'_>) -> Result<u64, LineError> {
    let mut length = 0;
    if value.kind() == Kind::Array {
        value.elements(|_, _| {
            length += 1;
            Ok(())
        })?;
    }
    Ok(length)
}
