//! Agents, memory blocks and archival passages of Letta.
//!
//! | shape | from |
//! |---|---|
//! | `{"agents":[...],"blocks":[...],...}` | agent files (`.af`) |
//! | `{"name":...,"core_memory":[...],...}` | agent files of early 2025 |
//! | either as one JSON string | some of the example files of letta-ai/agent-file |
//! | passages, an array or one a line | the documented archival export, the API's list |
//! | blocks, an array or one a line | the API's list |
//!
//! Agent files have no passages: archival memory is exported on its own. That export does not say
//! whose it is, so the target's agent is the agent, unless a passage of older servers has an `agent_id`.
//!
//! | of Letta | here |
//! |---|---|
//! | block: `label`, `value` | key, content |
//! | passage: `text`, `created_at`, `embedding` | content, created_at, embedding |
//! | agent: `name` | agent_id and namespace of what is its own, so that the blocks of two agents can have the same label |
//! | a block of several agents | one memory of the first, shared with the others |
//! | a block of no agent | the target's agent's; global without one |
//! | `metadata`, `metadata_` | metadata |
//! | `is_deleted` | a deleted row: `updated_at`, else `created_at` |
//! | `id` | id, if it is unique in the world (`block-<uuid>`): in agent files it is `block-0` |
//! | all else: `tags`, `description`, `limit`, `embedding_config`, ... | metadata.letta |
//!
//! Letta pads vectors with zeros to 4096 numbers (`pad_embeddings`): what is beyond the
//! `embedding_dim` of the `embedding_config`, and zero, is cut off.
//!
//! Skipped: messages, the agents' own settings (prompt, model, environment variables, which may
//! hold secrets), and whatever else an agent file lists: tools, files, sources, groups, ...; blocks
//! and passages without text; deleted passages without a time.

use std::borrow::Cow;
use std::collections::HashMap;

use super::row::{Row, length};
use super::{Conversion, derived_id, metadata};
use crate::jsonl::error::{ErrorKind, LineError};
use crate::jsonl::field::Field;
use crate::jsonl::json::{Kind, Value};
use crate::jsonl::record::{Record, default_scope};
use crate::text::is_blank;

const SYSTEM: &str = "letta";

pub(super) fn convert<'a>(
    conversion: &mut Conversion<'a, '_>,
    value: Value<'a>,
) -> Result<(), LineError> {
    if value.kind() == Kind::Array {
        return conversion.each("", value, item);
    }
    let mut file = Row::of(value)?;
    if let Some(agents) = file.take("agents") {
        return agent_file(conversion, agents, file);
    }
    if file.has("core_memory") {
        return early_agent_file(conversion, file);
    }
    item(conversion, value)
}

fn item<'a>(conversion: &mut Conversion<'a, '_>, object: Value<'a>) -> Result<(), LineError> {
    let row = Row::of(object)?;
    if row.has("text") {
        return passage(conversion, row);
    }
    if row.has("value") {
        return block(conversion, row, &[]);
    }
    Err(LineError::of_text(
        ErrorKind::UnknownFormat,
        object.column,
        "neither a passage (text) nor a block (value) of Letta",
    ))
}

fn agent_file<'a>(
    conversion: &mut Conversion<'a, '_>,
    agents: Field<'a, '_>,
    mut file: Row<'a>,
) -> Result<(), LineError> {
    let mut owners: HashMap<Cow<'a, str>, Vec<Cow<'a, str>>> = HashMap::new();
    conversion.each("agents", agents.value, |conversion, agent| {
        let mut agent = Row::of(agent)?;
        let name = agent.required_text("name")?;
        conversion.skip("agents", 1);
        if let Some(messages) = agent.take("messages") {
            conversion.skip("messages", length(messages.value)?);
        }
        if let Some(blocks) = agent.take("memory_blocks") {
            conversion.each("memory_blocks", blocks.value, |conversion, value| {
                block(conversion, Row::of(value)?, std::slice::from_ref(&name))
            })?;
        }
        if let Some(ids) = agent.take("block_ids") {
            for id in ids.texts()? {
                owners.entry(id).or_default().push(name.clone());
            }
        }
        Ok(())
    })?;
    if let Some(blocks) = file.take("blocks") {
        conversion.each("blocks", blocks.value, |conversion, value| {
            let mut row = Row::of(value)?;
            let id = row.text("id")?;
            let owners = id.as_ref().and_then(|id| owners.get(id));
            block(conversion, row, owners.map_or(&[], Vec::as_slice))
        })?;
    }
    for (name, value) in file.rest() {
        let kind: String = name.chars().take(40).collect();
        conversion.skip(&kind, length(value)?);
    }
    Ok(())
}

fn early_agent_file<'a>(
    conversion: &mut Conversion<'a, '_>,
    mut file: Row<'a>,
) -> Result<(), LineError> {
    let name = file.required_text("name")?;
    conversion.skip("agents", 1);
    for kind in ["messages", "tools"] {
        if let Some(list) = file.take(kind) {
            conversion.skip(kind, length(list.value)?);
        }
    }
    match file.take("core_memory") {
        Some(blocks) => conversion.each("core_memory", blocks.value, |conversion, value| {
            block(conversion, Row::of(value)?, std::slice::from_ref(&name))
        }),
        None => Ok(()),
    }
}

/// A memory block; `owners` are the agents that have it.
fn block<'a>(
    conversion: &mut Conversion<'a, '_>,
    mut row: Row<'a>,
    owners: &[Cow<'a, str>],
) -> Result<(), LineError> {
    let content = row.text("value")?.unwrap_or_default();
    if is_blank(&content) {
        conversion.skip("blocks without text", 1);
        return Ok(());
    }
    let key = row.text("label")?;
    let (agent_id, shared) = match owners.split_first() {
        Some((first, others)) => (Some(first.clone()), others.to_vec()),
        None => (target_agent(conversion), Vec::new()),
    };
    let namespace = namespace(conversion, agent_id.as_ref());
    let id = row.text("id")?.filter(|id| is_unique(id));
    let id = id.unwrap_or_else(|| {
        let told_apart_by_text = if key.is_some() { "" } else { content.as_ref() };
        derived_id(
            &[
                Some(SYSTEM),
                Some(&namespace),
                agent_id.as_deref(),
                key.as_deref(),
            ],
            told_apart_by_text,
        )
        .into()
    });
    let mut record = Record::new(id, content);
    record.namespace = namespace;
    record.key = key;
    record.scope = default_scope(!shared.is_empty(), agent_id.is_some()).into();
    record.agent_id = agent_id;
    record.shared_with_agents = shared;
    record.created_at = row.time("created_at")?;
    record.updated_at = row.time("updated_at")?;
    finish(conversion, row, record)
}

fn passage<'a>(conversion: &mut Conversion<'a, '_>, mut row: Row<'a>) -> Result<(), LineError> {
    let content = row.text("text")?.unwrap_or_default();
    let created_at = row.time("created_at")?;
    let updated_at = row.time("updated_at")?;
    let is_deleted = row.take("is_deleted").map_or(Ok(false), Field::boolean)?;
    let deleted_at = updated_at
        .clone()
        .or_else(|| created_at.clone())
        .filter(|_| is_deleted);
    if is_deleted && deleted_at.is_none() {
        conversion.skip("deleted passages without a time", 1);
        return Ok(());
    }
    if !is_deleted && is_blank(&content) {
        conversion.skip("passages without text", 1);
        return Ok(());
    }
    let named = row.text("agent_id")?;
    let agent_id = named.or_else(|| target_agent(conversion));
    let namespace = namespace(conversion, agent_id.as_ref());
    let id = row.text("id")?.filter(|id| is_unique(id));
    let id = id.unwrap_or_else(|| {
        derived_id(
            &[
                Some(SYSTEM),
                Some(&namespace),
                agent_id.as_deref(),
                created_at.as_deref(),
            ],
            &content,
        )
        .into()
    });
    let embedding = row.take("embedding").map(Field::vector).transpose()?;
    let dimensions = row.peek("embedding_config").map(dimensions).transpose()?;
    let mut record = Record::new(id, content);
    record.namespace = namespace;
    record.scope = default_scope(false, agent_id.is_some()).into();
    record.agent_id = agent_id;
    record.created_at = created_at;
    record.updated_at = updated_at;
    record.deleted_at = deleted_at;
    record.embedding = embedding
        .map(|vector| without_padding(vector, dimensions.flatten()))
        .filter(|vector| !vector.is_empty());
    finish(conversion, row, record)
}

fn finish<'a>(
    conversion: &mut Conversion<'a, '_>,
    mut row: Row<'a>,
    mut record: Record<'a>,
) -> Result<(), LineError> {
    let base = match row.has("metadata") {
        true => row.take("metadata"),
        false => row.take("metadata_"),
    };
    let object = row.object;
    record.metadata = metadata::with(base, SYSTEM, &row.rest())?;
    conversion.add(record, object)
}

fn target_agent<'a>(conversion: &Conversion<'a, '_>) -> Option<Cow<'a, str>> {
    let agent = conversion.target.agent_id?;
    Some(agent.to_owned().into())
}

fn namespace<'a>(conversion: &Conversion<'a, '_>, agent_id: Option<&Cow<'a, str>>) -> Cow<'a, str> {
    match (conversion.target.namespace, agent_id) {
        (Some(namespace), _) => namespace.to_owned().into(),
        (None, Some(agent_id)) => agent_id.clone(),
        (None, None) => "default".into(),
    }
}

/// Whether an id ends in a UUID with its hyphens.
fn is_unique(id: &str) -> bool {
    const UUID_BYTES: usize = 36;
    let Some(uuid) = id.len().checked_sub(UUID_BYTES).and_then(|at| id.get(at..)) else {
        return false;
    };
    uuid.bytes().enumerate().all(|(place, byte)| match place {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    })
}

fn dimensions(config: Field<'_, '_>) -> Result<Option<usize>, LineError> {
    let mut config = Row::of(config.value).map_err(|error| error.within(config.name))?;
    config
        .take("embedding_dim")
        .map(Field::whole_number)
        .transpose()
        .map_err(|error: LineError| error.within("embedding_config"))
}

fn without_padding(mut vector: Vec<f32>, dimensions: Option<usize>) -> Vec<f32> {
    if let Some(dimensions) = dimensions
        && vector
            .get(dimensions..)
            .is_some_and(|padding| padding.iter().all(|number| *number == 0.0))
    {
        vector.truncate(dimensions);
    }
    vector
}
