//! This project's own records, and those of the operations guide: Aegis Memory writes the same
//! fields, a few of them, with ISO 8601 times that may have no offset.

use super::Conversion;
use crate::jsonl::error::LineError;
use crate::jsonl::json::{Kind, Value};
use crate::jsonl::{Format, Line, Options, parse};

/// Where fields of the guide's format go that are not known here.
const SYSTEM: &str = "aegis";

pub(super) fn convert<'a>(
    conversion: &mut Conversion<'a, '_>,
    value: Value<'a>,
    format: Format,
) -> Result<(), LineError> {
    let options = match format {
        Format::Guide => Options {
            unknown_into: conversion.options.unknown_into.or(Some(SYSTEM)),
            ..*conversion.options
        },
        _ => *conversion.options,
    };
    match value.kind() {
        Kind::Array => conversion.each("", value, |conversion, value| {
            record(conversion, value, &options)
        }),
        Kind::Object => match memories(value)? {
            Some(memories) => conversion.each("memories", memories, |conversion, value| {
                record(conversion, value, &options)
            }),
            None => record(conversion, value, &options),
        },
        _ => record(conversion, value, &options),
    }
}

/// The list in `{"memories":[...],"stats":{...}}`.
fn memories(object: Value<'_>) -> Result<Option<Value<'_>>, LineError> {
    let mut memories = None;
    object.members(|key, value| {
        if key == "memories" {
            memories = Some(value);
        }
        Ok(())
    })?;
    Ok(memories)
}

fn record<'a>(
    conversion: &mut Conversion<'a, '_>,
    value: Value<'a>,
    options: &Options<'_>,
) -> Result<(), LineError> {
    crate::jsonl::check_object(value)?;
    if let Line::Record(mut record) = parse::object(value, options)? {
        if let Some(namespace) = conversion.target.namespace {
            record.namespace = namespace.to_owned().into();
        }
        conversion.add(*record, value)?;
    }
    Ok(())
}
