//! The memories of mem0, its platform and its OpenMemory server.
//!
//! | shape | from |
//! |---|---|
//! | `{"results":[...]}`, with `count`, `next`, `previous` on the platform | `Memory.get_all`, `MemoryClient.get_all` |
//! | an array of memories, or one a line | `get_all` of version 1.0 and API v1, `get` |
//! | `{"items":[...],"page":1,"pages":2,...}` | OpenMemory's list of memories |
//! | lines with `content`, `state`, `app` | `memories.jsonl.gz` in the zip of OpenMemory's export |
//!
//! | of mem0 | here |
//! |---|---|
//! | `id`, `user_id`, `agent_id`, `created_at`, `updated_at` | the same |
//! | `memory`, `content` | content |
//! | `run_id` (or `session_id`) | session_id |
//! | `metadata`, `metadata_` | metadata |
//! | `expiration_date`: a day, that day included, in UTC | expires_at: the end of that day |
//! | `state` `deleted` | a deleted row: `deleted_at`, else `updated_at`, else `created_at` |
//! | `state` `archived`, `paused`: out of use | deprecated |
//! | all else: `hash` (an MD5), `categories`, `app_id`, `actor_id`, `score`, ... | metadata.mem0 |
//!
//! OpenMemory's list has `created_at` in seconds since 1970. Skipped: graph relations, memories
//! without text, deleted ones without any time; and further pages that the text says there are.

use std::borrow::Cow;

use super::row::{Row, length};
use super::{Conversion, derived_id, metadata};
use crate::jsonl::error::LineError;
use crate::jsonl::field::{Field, NO_TIME};
use crate::jsonl::json::{Kind, Value};
use crate::jsonl::record::{Record, default_scope};
use crate::jsonl::timestamp;
use crate::text::is_blank;

const SYSTEM: &str = "mem0";

pub(super) fn convert<'a>(
    conversion: &mut Conversion<'a, '_>,
    value: Value<'a>,
) -> Result<(), LineError> {
    if value.kind() == Kind::Array {
        return conversion.each("", value, memory);
    }
    let mut page = Row::of(value)?;
    for name in ["results", "items"] {
        if let Some(list) = page.take(name) {
            if let Some(relations) = page.take("relations") {
                conversion.skip("relations", length(relations.value)?);
            }
            if page.take("next").is_some() {
                conversion.skip("further pages", 1);
            }
            if let (Some(page), Some(pages)) = (page.take("page"), page.take("pages")) {
                let further = pages
                    .whole_number::<u64>()?
                    .saturating_sub(page.whole_number()?);
                conversion.skip("further pages", further);
            }
            return conversion.each(name, list.value, memory);
        }
    }
    memory(conversion, value)
}

fn memory<'a>(conversion: &mut Conversion<'a, '_>, object: Value<'a>) -> Result<(), LineError> {
    let mut row = Row::of(object)?;
    let is_of_mem0 = row.has("memory");
    let content = match is_of_mem0 {
        true => row.text("memory")?.unwrap_or_default(),
        false => row.required_text("content")?,
    };
    let created_at = row.take("created_at").map(time).transpose()?;
    let updated_at = row.time("updated_at")?;
    let deleted_at = row.time("deleted_at")?;
    let expires_at = row.take("expiration_date").map(end_of_day).transpose()?;
    let mut rest_of_state = None;
    if let Some(state) = row.take("state") {
        rest_of_state = Some((state.text()?, state.value));
    }
    let state = rest_of_state.as_ref().map_or("active", |(state, _)| state);
    let is_deleted = state == "deleted" || deleted_at.is_some();
    let deleted_at = deleted_at
        .or_else(|| updated_at.clone())
        .or_else(|| created_at.clone())
        .filter(|_| is_deleted);
    if is_deleted && deleted_at.is_none() {
        conversion.skip("deleted memories without a time", 1);
        return Ok(());
    }
    if !is_deleted && is_blank(&content) {
        conversion.skip("memories without text", 1);
        return Ok(());
    }
    let user_id = row.text("user_id")?;
    let agent_id = row.text("agent_id")?.or_else(|| {
        conversion
            .target
            .agent_id
            .map(|agent| agent.to_owned().into())
    });
    let session_id = match row.has("run_id") {
        true => row.text("run_id")?,
        false => row.text("session_id")?,
    };
    let namespace: Cow<'a, str> = match conversion.target.namespace {
        Some(namespace) => namespace.to_owned().into(),
        None => "default".into(),
    };
    let id = match row.text("id")? {
        Some(id) => id,
        None => derived_id(
            &[
                Some(SYSTEM),
                Some(&namespace),
                user_id.as_deref(),
                agent_id.as_deref(),
                session_id.as_deref(),
                created_at.as_deref(),
            ],
            &content,
        )
        .into(),
    };
    let is_out_of_use = matches!(state, "archived" | "paused");
    let mut record = Record::new(id, content);
    record.namespace = namespace;
    record.scope = default_scope(false, agent_id.is_some()).into();
    record.user_id = user_id;
    record.agent_id = agent_id;
    record.session_id = session_id;
    record.expires_at = expires_at;
    record.deleted_at = deleted_at;
    record.is_deprecated = is_out_of_use && !is_deleted;
    record.created_at = created_at;
    record.updated_at = updated_at;
    let base = match row.has("metadata") {
        true => row.take("metadata"),
        false => row.take("metadata_"),
    };
    let mut rest = row.rest();
    if let Some((_, state)) = rest_of_state {
        rest.push(("state".into(), state));
    }
    record.metadata = metadata::with(base, SYSTEM, &rest)?;
    conversion.add(record, object)
}

fn time<'a>(field: Field<'a, '_>) -> Result<Cow<'a, str>, LineError> {
    match field.value.kind() {
        Kind::Number => timestamp::of_epoch_seconds(field.whole_number()?)
            .map(Cow::Owned)
            .ok_or_else(|| field.bad(NO_TIME)),
        _ => field.time(),
    }
}

fn end_of_day<'a>(field: Field<'a, '_>) -> Result<Cow<'a, str>, LineError> {
    timestamp::end_of_day(&field.text()?)
        .map(Cow::Owned)
        .ok_or_else(|| field.bad(NO_TIME))
}
