use std::borrow::Cow;

use crate::jsonl::error::{ErrorKind, LineError, shown};
use crate::jsonl::field::Field;
use crate::jsonl::json::{Kind, MAX_DEPTH, Value};
use crate::jsonl::jsonb::{self, JsonObject};
use crate::jsonl::write::{Object, json};

/// The line, its metadata and the member for the system are around what goes into that member.
const LEVELS: usize = MAX_DEPTH - 3;

/// The metadata with `rest` as its member `system`.
pub(in crate::jsonl) fn with<'a>(
    metadata: Option<Field<'a, '_>>,
    system: &str,
    rest: &[(Cow<'a, str>, Value<'a>)],
) -> Result<JsonObject<'a>, LineError> {
    let object = metadata.filter(|metadata| metadata.value.kind() == Kind::Object);
    let own = match object {
        Some(metadata) => Some(JsonObject::read(metadata.value, metadata.name)?),
        None => None,
    };
    let goes_inside = match (metadata, object) {
        (None, _) => false,
        (Some(_), None) => true,
        (Some(_), Some(object)) => !rest.is_empty() && has(object.value, system)?,
    };
    if rest.is_empty() && !goes_inside {
        return Ok(own.unwrap_or_default());
    }
    let inside = metadata
        .filter(|_| goes_inside)
        .map(|metadata| ("metadata", metadata.value));
    let members = text_of(named(rest).chain(inside))?;
    let own = own.filter(|_| !goes_inside).unwrap_or_default();
    let before = own.as_str().strip_suffix('}').unwrap_or("{");
    let comma = match before.trim() {
        "{" => "",
        _ => ",",
    };
    Ok(JsonObject::of_checked(format!(
        "{before}{comma}{}:{members}}}",
        json(system)
    )))
}

/// The metadata of the given members, with `rest` as the member `system`.
pub(super) fn of_members<'a>(
    members: &[(&str, Value<'a>)],
    system: &str,
    rest: &[(Cow<'a, str>, Value<'a>)],
) -> Result<JsonObject<'static>, LineError> {
    let mut text = text_of(members.iter().copied())?;
    if !rest.is_empty() {
        let comma = if members.is_empty() { "" } else { "," };
        let inside = text_of(named(rest))?;
        text.pop();
        text.push_str(&format!("{comma}{}:{inside}}}", json(system)));
    }
    Ok(JsonObject::of_checked(text))
}

fn named<'m, 'a>(
    members: &'m [(Cow<'a, str>, Value<'a>)],
) -> impl Iterator<Item = (&'m str, Value<'a>)> {
    members.iter().map(|(key, value)| (key.as_ref(), *value))
}

/// An object of the members, if jsonb can hold them.
fn text_of<'m, 'a>(
    members: impl Iterator<Item = (&'m str, Value<'a>)>,
) -> Result<String, LineError> {
    let mut text = Vec::new();
    let mut object = Object::begin(&mut text);
    for (key, value) in members {
        if key.contains('\0') {
            return Err(LineError::of_text(
                ErrorKind::BadValue,
                value.column,
                format!("the name {} {}", shown(key), jsonb::NUL),
            ));
        }
        jsonb::check(value, &name_of(key), LEVELS)?;
        object.member(key, value.text);
    }
    object.end();
    Ok(String::from_utf8(text).unwrap_or_default())
}

fn has(object: Value<'_>, name: &str) -> Result<bool, LineError> {
    let mut found = false;
    object.members(|key, _| {
        found |= key == name;
        Ok(())
    })?;
    Ok(found)
}

/// As errors show it: plain names as they are.
fn name_of(key: &str) -> String {
    match key
        .bytes()
        .all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
        && key.len() <= 40
    {
        true => key.to_owned(),
        false => shown(key),
    }
}
