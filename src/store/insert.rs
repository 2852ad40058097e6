//! Writing new memories: one statement for one, one statement for thousands.
//!
//! The unique indexes decide what is a duplicate, so concurrent equal adds make one row. What did not go in is looked at
//! afterwards, in `resolve`.

use std::collections::HashSet;

use super::access::Call;
use super::memory::NewMemory;
use super::{equals, events, resolve};
use crate::pg::error::{Error, Result};
use crate::pg::spi::{Arg, Session};

const COLUMNS: &str = "id, project_id, namespace, content, dedupe_hash, agent_id, user_id, session_id, entity_id, scope,
    shared_with_agents, metadata, memory_type, key, is_sensitive, importance, embedding, embedded_hash, expires_at";

/// What became of a memory that was to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Added {
    pub id: String,
    pub deduplicated: bool,
}

/// Adds memories and says what became of each, in order.
pub fn add(call: &Call, items: Vec<NewMemory>) -> Result<Vec<Added>> {
    let distinct = equals::fold(items)?;
    let memories = &distinct.memories;
    let mut added: Vec<Option<Added>> = vec![None; memories.len()];
    let mut pending = in_order(memories);
    // Each round either writes a memory or finds the live row it duplicates; a dead row in the way is tombstoned and the
    // next round writes. Only rows that others keep making and killing in between would need more.
    const ROUNDS: usize = 8;
    for _ in 0..ROUNDS {
        if pending.is_empty() {
            break;
        }
        let written = call.sql(|session| insert(call, session, memories, &pending));
        for &place in &pending {
            if written.contains(&memories[place].id) {
                added[place] = Some(Added {
                    id: memories[place].id.clone(),
                    deduplicated: false,
                });
            }
        }
        pending.retain(|&place| added[place].is_none());
        resolve::duplicates(call, &distinct, &pending, &mut added)?;
        pending.retain(|&place| added[place].is_none());
    }
    let added: Option<Vec<Added>> = added.into_iter().collect();
    match added {
        Some(added) => Ok(distinct.of_items(&added)),
        None => Err(Error::version_conflict(
            "equal memories are being added and removed at the same time",
        )
        .hint("Try again.")),
    }
}

/// All transactions take the index entries in the same order, so that two batches cannot wait for each other.
fn in_order(memories: &[NewMemory]) -> Vec<usize> {
    let mut places: Vec<usize> = (0..memories.len()).collect();
    places.sort_by(|&a, &b| {
        let order = |place: usize| {
            (
                memories[place].dedupe_hash,
                &memories[place].namespace,
                &memories[place].key,
            )
        };
        order(a).cmp(&order(b))
    });
    places
}

/// Adds a keyed memory; its id, `None` when the key is taken.
pub fn add_keyed(call: &Call, memory: &NewMemory) -> Option<String> {
    call.sql(|session| {
        let id: Option<String> = insert_one(call, session, memory).get(0, 1);
        events::record_each(call, session, "add", id.iter().cloned().collect());
        id
    })
}

fn insert(
    call: &Call,
    session: &Session,
    memories: &[NewMemory],
    places: &[usize],
) -> HashSet<String> {
    let rows = match places {
        [only] => insert_one(call, session, &memories[*only]),
        _ => insert_many(call, session, memories, places),
    };
    (0..rows.len()).filter_map(|row| rows.get(row, 1)).collect()
}

fn insert_one<'s>(
    call: &Call,
    session: &'s Session,
    memory: &NewMemory,
) -> crate::pg::spi::Rows<'s> {
    let sql = call.store.sql(&format!(
        "INSERT INTO @s@.memories ({COLUMNS})
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, coalesce($12, '{{}}'), $13, $14, $15, $16, $17, $18, $19)
         ON CONFLICT DO NOTHING RETURNING id"
    ));
    session.write(
        &sql,
        &[
            memory.id.as_str().into(),
            call.project().into(),
            memory.namespace.as_str().into(),
            memory.content.as_str().into(),
            memory
                .dedupe_hash
                .as_ref()
                .map(|hash| hash.as_slice())
                .into(),
            memory.agent_id.as_deref().into(),
            memory.user_id.as_deref().into(),
            memory.session_id.as_deref().into(),
            memory.entity_id.as_deref().into(),
            memory.scope.as_str().into(),
            memory.shared_with_agents.clone().into(),
            memory.metadata.clone().into(),
            memory.memory_type.as_str().into(),
            memory.key.as_deref().into(),
            memory.sensitive.into(),
            memory.importance.into(),
            Arg::vector(memory.embedding.as_ref(), call.store.identity.vector_type),
            memory
                .embedding
                .as_ref()
                .map(|_| memory.content_hash.as_slice())
                .into(),
            memory.expires_at.into(),
        ],
    )
}

/// A row in the way is locked as it is met, in the order all batches keep; an update that never happens does that. Keys and
/// given ids have unique indexes of their own, and only DO NOTHING minds them all.
fn on_conflict<'a>(mut memories: impl Iterator<Item = &'a NewMemory>) -> &'static str {
    if memories.any(|memory| memory.key.is_some() || memory.id_given) {
        "ON CONFLICT DO NOTHING"
    } else {
        "ON CONFLICT (project_id, dedupe_hash) WHERE deleted_at IS NULL DO UPDATE SET version = memories.version WHERE false"
    }
}

fn insert_many<'s>(
    call: &Call,
    session: &'s Session,
    memories: &[NewMemory],
    places: &[usize],
) -> crate::pg::spi::Rows<'s> {
    // An array of arrays has to be rectangular, so the agents a memory is shared with travel as JSON.
    let sql = call.store.sql(&format!(
        "INSERT INTO @s@.memories ({COLUMNS})
         SELECT i.id, $1, i.namespace, i.content, i.dedupe_hash, i.agent_id, i.user_id, i.session_id, i.entity_id, i.scope,
                CASE WHEN i.shared IS NULL THEN '{{}}' ELSE ARRAY(SELECT jsonb_array_elements_text(i.shared)) END,
                coalesce(i.metadata, '{{}}'), i.memory_type, i.key, i.is_sensitive, i.importance, i.embedding,
                i.embedded_hash, i.expires_at
         FROM unnest($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)
              AS i (id, namespace, content, dedupe_hash, agent_id, user_id, session_id, entity_id, scope, shared, metadata,
                    memory_type, key, is_sensitive, importance, embedding, embedded_hash, expires_at)
         {} RETURNING id",
        on_conflict(places.iter().map(|&place| &memories[place]))
    ));
    let chosen = || places.iter().map(|&place| &memories[place]);
    let texts = |of: &dyn Fn(&NewMemory) -> Option<String>| -> Arg {
        chosen().map(of).collect::<Vec<Option<String>>>().into()
    };
    let embeddings: Vec<_> = chosen().map(|memory| memory.embedding.clone()).collect();
    let shared: Vec<_> = chosen()
        .map(|memory| {
            (!memory.shared_with_agents.is_empty()).then(|| {
                crate::pg::json::Jsonb::parse(
                    &serde_json::json!(memory.shared_with_agents).to_string(),
                )
            })
        })
        .collect();
    session.write(
        &sql,
        &[
            call.project().into(),
            texts(&|memory| Some(memory.id.clone())),
            texts(&|memory| Some(memory.namespace.clone())),
            texts(&|memory| Some(memory.content.clone())),
            chosen()
                .map(|memory| memory.dedupe_hash.map(|hash| hash.to_vec()))
                .collect::<Vec<_>>()
                .into(),
            texts(&|memory| memory.agent_id.clone()),
            texts(&|memory| memory.user_id.clone()),
            texts(&|memory| memory.session_id.clone()),
            texts(&|memory| memory.entity_id.clone()),
            texts(&|memory| Some(memory.scope.clone())),
            Arg::jsonb_array(shared),
            Arg::jsonb_array(chosen().map(|memory| memory.metadata.clone()).collect()),
            texts(&|memory| Some(memory.memory_type.clone())),
            texts(&|memory| memory.key.clone()),
            chosen()
                .map(|memory| memory.sensitive)
                .collect::<Vec<bool>>()
                .into(),
            chosen()
                .map(|memory| memory.importance)
                .collect::<Vec<f32>>()
                .into(),
            Arg::vectors(&embeddings, call.store.identity.vector_type),
            chosen()
                .map(|memory| {
                    memory
                        .embedding
                        .as_ref()
                        .map(|_| memory.content_hash.to_vec())
                })
                .collect::<Vec<_>>()
                .into(),
            chosen()
                .map(|memory| memory.expires_at)
                .collect::<Vec<_>>()
                .into(),
        ],
    )
}
