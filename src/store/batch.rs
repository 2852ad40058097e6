//! Batches: reading the items, and filling in vectors that are known already.

use std::collections::HashMap;
use std::rc::Rc;

use serde_json::value::RawValue;

use super::access::Call;
use super::insert::{self, Added};
use super::memory::{Draft, NewMemory};
use super::open::Store;
use crate::pg::error::{Error, Result};
use crate::pg::guc;
use crate::pg::json::Jsonb;
use crate::pg::measure;
use crate::pg::spi::Arg;
use crate::pg::system;
use crate::pg::times;
use crate::pg::vector::Vector;
use crate::store::embedder::Embedder;
use crate::store::events;

/// Reads the items of a batch.
pub fn parse(items: &str, most: usize) -> Result<Vec<Draft>> {
    let items: Vec<Box<RawValue>> = serde_json::from_str(items).map_err(|_| {
        Error::argument(format!("items is {}, expected an array", kind_of(items)))
            .hint("Write it as [\"a memory\", {\"content\": \"another\", \"metadata\": {...}}].")
    })?;
    if items.len() > most {
        return Err(Error::limit(format!(
            "items has {} memories, over the limit of {most}",
            items.len()
        ))
        .hint("Add them in several calls, or raise memory_ext.max_batch."));
    }
    items
        .iter()
        .enumerate()
        .map(|(place, item)| draft(item).map_err(|error| error.of_item(place + 1)))
        .collect()
}

/// What a JSON text is, for messages.
pub fn kind_of(json: &str) -> &'static str {
    match json.trim_start().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

fn draft(item: &RawValue) -> Result<Draft> {
    let text = item.get();
    if let Ok(content) = serde_json::from_str::<String>(text) {
        return Ok(Draft {
            content: Some(content),
            ..Draft::default()
        });
    }
    let members: Vec<(String, Box<RawValue>)> = members(text)?;
    let mut draft = Draft::default();
    for (key, value) in members {
        if value.get() == "null" {
            check_key(&key)?;
            continue;
        }
        set(&mut draft, &key, value.get())?;
    }
    Ok(draft)
}

/// The members of an item that is an object.
pub fn members(text: &str) -> Result<Vec<(String, Box<RawValue>)>> {
    let members: std::collections::BTreeMap<String, Box<RawValue>> = serde_json::from_str(text)
        .map_err(|_| {
            Error::argument(format!(
                "it is {}, expected a string or an object",
                kind_of(text)
            ))
        })?;
    Ok(members.into_iter().collect())
}

const KEYS: &[&str] = &[
    "content",
    "agent_id",
    "namespace",
    "scope",
    "metadata",
    "ttl",
    "memory_type",
    "embedding",
    "user_id",
    "session_id",
    "entity_id",
    "shared_with_agents",
    "key",
    "sensitive",
    "importance",
    "expires_at",
    "id",
    "on_duplicate",
];

pub fn check_key(key: &str) -> Result<()> {
    if KEYS.contains(&key) {
        return Ok(());
    }
    Err(Error::argument(format!("unknown key {key:?}"))
        .hint(format!("Keys are: {}.", KEYS.join(", "))))
}

/// Takes one member of an item into the draft.
pub fn set(draft: &mut Draft, key: &str, value: &str) -> Result<()> {
    let wrong = |expected: &str| {
        const SHOWN: usize = 40;
        let got: String = value.chars().take(SHOWN).collect();
        Error::argument(format!("{key} is {got}, expected {expected}"))
    };
    let text = || serde_json::from_str::<String>(value).map_err(|_| wrong("a string"));
    match key {
        "content" => draft.content = Some(text()?),
        "agent_id" => draft.agent_id = Some(text()?),
        "namespace" => draft.namespace = Some(text()?),
        "scope" => draft.scope = Some(text()?),
        "metadata" => {
            draft.metadata = Some(if times::is_valid(value, "jsonb") {
                Jsonb::parse(value)
            } else {
                return Err(wrong("valid jsonb"));
            });
        }
        "ttl" => draft.ttl = Some(times::interval(&text()?).ok_or_else(|| wrong("an interval"))?),
        "memory_type" => draft.memory_type = Some(text()?),
        "embedding" => {
            draft.embedding = Some(Vector(
                serde_json::from_str(value).map_err(|_| wrong("an array of numbers"))?,
            ));
        }
        "user_id" => draft.user_id = Some(text()?),
        "session_id" => draft.session_id = Some(text()?),
        "entity_id" => draft.entity_id = Some(text()?),
        "shared_with_agents" => {
            draft.shared_with_agents =
                Some(serde_json::from_str(value).map_err(|_| wrong("an array of strings"))?);
        }
        "key" => draft.key = Some(text()?),
        "sensitive" => {
            draft.sensitive = serde_json::from_str(value).map_err(|_| wrong("true or false"))?
        }
        "importance" => {
            draft.importance = Some(serde_json::from_str(value).map_err(|_| wrong("a number"))?)
        }
        "expires_at" => {
            draft.expires_at = Some(times::timestamp(&text()?).ok_or_else(|| wrong("a time"))?)
        }
        "id" => draft.id = Some(text()?),
        "on_duplicate" => draft.on_duplicate = Some(text()?),
        _ => check_key(key)?,
    }
    Ok(())
}

/// Adds a batch, all or none; what became of each item, in order.
///
/// An item may name its own agent. A role that is free to act as any agent adds each under that agent's name.
pub fn add(store: Rc<Store>, project_id: Option<&str>, drafts: Vec<Draft>) -> Result<Vec<Added>> {
    // One frame for the batch; a check, but no frame, for every item's agent.
    let call = Call::begin_batch(store, project_id)?;
    let mut memories = Vec::with_capacity(drafts.len());
    for (place, draft) in drafts.into_iter().enumerate() {
        system::check_for_interrupts();
        let access = call
            .access
            .acting_as(draft.agent_id.as_deref())
            .map_err(|error| error.of_item(place + 1))?;
        memories.push(
            draft
                .complete(&call.store, &access)
                .map_err(|error| error.of_item(place + 1))?,
        );
    }
    let memories = with_cached_embeddings(&call, memories);
    write(&call, memories)
}

/// Writes checked memories and, where the audit asks for it, an event for each that is new.
pub fn write(call: &Call, memories: Vec<NewMemory>) -> Result<Vec<Added>> {
    let added = insert::add(call, memories)?;
    if guc::audit() >= guc::Audit::Full {
        let new: Vec<String> = added
            .iter()
            .filter(|added| !added.deduplicated)
            .map(|added| added.id.clone())
            .collect();
        call.sql(|session| events::record_each(call, session, "add", new));
    }
    Ok(added)
}

/// Where callers bring the vectors: keeps those that came, and fills in those of equal content that came before.
pub fn with_cached_embeddings(call: &Call, mut memories: Vec<NewMemory>) -> Vec<NewMemory> {
    if call.store.embedder != Embedder::External || guc::embedding_cache_rows() == 0 {
        return memories;
    }
    let (mut hashes, mut vectors) = (Vec::new(), Vec::new());
    let mut wanted = Vec::new();
    for memory in memories.iter().filter(|memory| !memory.sensitive) {
        match &memory.embedding {
            Some(vector) => {
                hashes.push(Some(memory.content_hash.to_vec()));
                vectors.push(Some(vector.clone()));
            }
            None => wanted.push(Some(memory.content_hash.to_vec())),
        }
    }
    let known: HashMap<Vec<u8>, Vector> = call.sql(|session| {
        if !hashes.is_empty() {
            let sql = call.store.sql(
                "INSERT INTO @s@.embedding_cache (model, content_hash, embedding)
                 SELECT DISTINCT ON (h) $1, h, e FROM unnest($2, $3) AS n (h, e) ORDER BY h ON CONFLICT DO NOTHING",
            );
            session.write(&sql, &[call.store.model.as_str().into(), hashes.into(), Arg::vectors(&vectors, call.store.identity.vector_type)]);
        }
        if wanted.is_empty() {
            return HashMap::new();
        }
        let sql = call.store.sql(
            "UPDATE @s@.embedding_cache SET hits = hits + 1, last_used = now() WHERE model = $1 AND content_hash = ANY ($2)
             RETURNING content_hash, embedding",
        );
        let rows = session.write(&sql, &[call.store.model.as_str().into(), wanted.into()]);
        (0..rows.len()).filter_map(|row| Some((rows.get(row, 1)?, rows.get(row, 2)?))).collect()
    });
    let (mut hits, mut misses) = (0, 0);
    for memory in memories
        .iter_mut()
        .filter(|memory| !memory.sensitive && memory.embedding.is_none())
    {
        memory.embedding = known.get(memory.content_hash.as_slice()).cloned();
        match memory.embedding {
            Some(_) => hits += 1,
            None => misses += 1,
        }
    }
    measure::cache(hits, misses);
    memories
}
