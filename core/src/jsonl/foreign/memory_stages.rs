//! The key/value memories of MemoryStages: rows `user_id`, `key`, `value`, `casing`, `source`,
//! `updated_at`, `sensitive` of the SQLite table `kv`.
//!
//! | shape | from |
//! |---|---|
//! | rows, an array or one a line; `sensitive` is 0 or 1 | `sqlite3 -json ... 'SELECT * FROM kv'` |
//! | `{"keys":[...]}`, or one such row | the API's list and get |
//! | `{"kv_records":[...],"events":[...],...}` | the JSON part of a decrypted backup |
//!
//! A user's keys are a namespace, named as the user is (its own migration calls the only user of
//! an older store `default`); a namespace that the target names takes all users' keys. The key is
//! the key, `source` is `metadata.source`, as `memory_kv_set` keeps it. A value that is empty or
//! null is what MemoryStages leaves of a deleted key: a deleted row. Times without an offset are
//! UTC, which is what SQLite's CURRENT_TIMESTAMP writes.
//!
//! Skipped: values that a backup has replaced by `***REDACTED***`, tombstones without a time,
//! values of white space only, and episodic events.

use std::borrow::Cow;

use super::row::{Row, length};
use super::{Conversion, derived_id, metadata};
use crate::jsonl::error::LineError;
use crate::jsonl::field::Field;
use crate::jsonl::json::{Kind, Value};
use crate::jsonl::record::{Record, default_scope};
use crate::text::is_blank;

const SYSTEM: &str = "memory_stages";

/// What `redact_sensitive_for_backup` puts in the place of a value.
const REDACTED: &str = "***REDACTED***";

pub(super) fn convert<'a>(
    conversion: &mut Conversion<'a, '_>,
    value: Value<'a>,
) -> Result<(), LineError> {
    if value.kind() == Kind::Array {
        return conversion.each("", value, row);
    }
    let mut export = Row::of(value)?;
    for name in ["kv_records", "keys"] {
        if let Some(rows) = export.take(name) {
            if let Some(events) = export.take("events") {
                conversion.skip("events", length(events.value)?);
            }
            return conversion.each(name, rows.value, row);
        }
    }
    row(conversion, value)
}

fn row<'a>(conversion: &mut Conversion<'a, '_>, object: Value<'a>) -> Result<(), LineError> {
    let mut row = Row::of(object)?;
    let key = row.required_text("key")?;
    let value = row.text("value")?.unwrap_or_default();
    let user_id = row.text("user_id")?;
    let updated_at = row.time("updated_at")?;
    let is_sensitive = row
        .take("sensitive")
        .map_or(Ok(false), |field| flag(&field))?;
    let source = row.take("source");
    if let Some(source) = source {
        source.text()?;
    }
    if is_sensitive && value == REDACTED {
        conversion.skip("redacted values", 1);
        return Ok(());
    }
    let is_deleted = value.is_empty();
    if is_deleted && updated_at.is_none() {
        conversion.skip("deleted keys without a time", 1);
        return Ok(());
    }
    if !is_deleted && is_blank(&value) {
        conversion.skip("blank values", 1);
        return Ok(());
    }
    let namespace: Cow<'a, str> = match (conversion.target.namespace, &user_id) {
        (Some(namespace), _) => namespace.to_owned().into(),
        (None, Some(user_id)) => user_id.clone(),
        (None, None) => "default".into(),
    };
    let id = derived_id(
        &[
            Some(SYSTEM),
            Some(&namespace),
            user_id.as_deref(),
            Some(&key),
        ],
        "",
    );
    let mut record = Record::new(id, value);
    record.namespace = namespace;
    record.key = Some(key);
    record.user_id = user_id;
    record.agent_id = conversion
        .target
        .agent_id
        .map(|agent| agent.to_owned().into());
    record.scope = default_scope(false, record.agent_id.is_some()).into();
    record.is_sensitive = is_sensitive;
    record.deleted_at = updated_at.clone().filter(|_| is_deleted);
    record.created_at = updated_at.clone();
    record.updated_at = updated_at;
    let source: Vec<_> = source
        .map(|source| ("source", source.value))
        .into_iter()
        .collect();
    record.metadata = metadata::of_members(&source, SYSTEM, &row.rest())?;
    conversion.add(record, object)
}

/// SQLite has no booleans.
fn flag(field: &Field<'_, '_>) -> Result<bool, LineError> {
    match field.value.text {
        "1" => Ok(true),
        "0" => Ok(false),
        _ => field.boolean(),
    }
}
