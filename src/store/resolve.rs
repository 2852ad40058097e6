//! Memories that a unique index kept out: the dead row in the way is tombstoned, a live one is what the caller gets.

use std::collections::HashMap;

use pgrx::datum::TimestampWithTimeZone;

use super::access::Call;
use super::equals::Distinct;
use super::insert::Added;
use super::memory::{NewMemory, OnDuplicate};
use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::pg::spi::{Rows, Session};

/// A row that holds an index entry that a new memory needs.
struct Holder {
    id: String,
    dead: bool,
    expires_at: Option<TimestampWithTimeZone>,
    metadata: Option<Jsonb>,
    content_hash: Vec<u8>,
    author: Option<String>,
    scope: String,
    sensitive: bool,
}

/// Settles the memories at `places`, which a unique index kept out: those that duplicate a live memory get its id, those
/// that only a dead row kept out are left for another try.
pub fn duplicates(
    call: &Call,
    batch: &Distinct,
    places: &[usize],
    added: &mut [Option<Added>],
) -> Result<()> {
    if places.is_empty() {
        return Ok(());
    }
    call.sql(|session| {
        refuse_taken_ids(call, session, &batch.memories, places)?;
        settle_keys(call, session, batch, places, added)?;
        settle_contents(call, session, batch, places, added)
    })
}

/// An error about one memory names its item, if it came in a batch.
fn of_item(batch: &Distinct, place: usize, error: Error) -> Error {
    match batch.ordinal(place) {
        Some(ordinal) => error.of_item(ordinal),
        None => error,
    }
}

fn refuse_taken_ids(
    call: &Call,
    session: &Session,
    memories: &[NewMemory],
    places: &[usize],
) -> Result<()> {
    let given: Vec<String> = places
        .iter()
        .map(|&place| &memories[place])
        .filter(|memory| memory.id_given)
        .map(|memory| memory.id.clone())
        .collect();
    if given.is_empty() {
        return Ok(());
    }
    let rows = session.write(
        &call.store.sql("SELECT m.id FROM unnest($2) AS given (id) JOIN @s@.memories m ON m.id = given.id AND m.project_id = $1 ORDER BY m.id LIMIT 1"),
        &[call.project().into(), given.into()],
    );
    match rows.get::<String>(0, 1) {
        Some(id) => Err(Error::duplicate(format!(
            "a memory with id {id:?} exists already in project {:?}",
            call.project()
        ))
        .hint("Leave out id to get a new one, or use memory_update().")),
        None => Ok(()),
    }
}

const HOLDER: &str =
    "m.id, @dead@, m.expires_at, m.metadata, m.content_hash, m.agent_id, m.scope, m.is_sensitive";

/// A statement about holders. A deprecated memory holds nothing but, maybe, a key, and has to give that away.
fn about_holders(call: &Call, sql: &str) -> String {
    let dead = match call.store.has_ace() {
        true => "(m.is_deprecated OR (m.expires_at IS NOT NULL AND m.expires_at <= now()))",
        false => "(m.expires_at IS NOT NULL AND m.expires_at <= now())",
    };
    call.store.sql(&sql.replace("@dead@", dead))
}

fn holder(rows: &Rows<'_>, row: usize) -> Holder {
    Holder {
        id: rows.required(row, 1),
        dead: rows.required(row, 2),
        expires_at: rows.get(row, 3),
        metadata: rows.get(row, 4),
        content_hash: rows.required(row, 5),
        author: rows.get(row, 6),
        scope: rows.required(row, 7),
        sensitive: rows.required(row, 8),
    }
}

fn settle_keys(
    call: &Call,
    session: &Session,
    batch: &Distinct,
    places: &[usize],
    added: &mut [Option<Added>],
) -> Result<()> {
    let memories = &batch.memories;
    let keyed: Vec<usize> = places
        .iter()
        .copied()
        .filter(|&place| memories[place].key.is_some())
        .collect();
    if keyed.is_empty() {
        return Ok(());
    }
    let sql = about_holders(call, &format!(
        "SELECT {HOLDER}, m.namespace, m.key FROM @s@.memories m
         WHERE m.project_id = $1 AND m.deleted_at IS NULL AND (m.namespace, m.key) IN (SELECT * FROM unnest($2, $3))
         ORDER BY m.namespace, m.key FOR NO KEY UPDATE OF m"
    ));
    let namespaces: Vec<String> = keyed
        .iter()
        .map(|&place| memories[place].namespace.clone())
        .collect();
    let keys: Vec<String> = keyed
        .iter()
        .filter_map(|&place| memories[place].key.clone())
        .collect();
    let rows = session.write(
        &sql,
        &[call.project().into(), namespaces.into(), keys.into()],
    );
    let holders: HashMap<(String, String), Holder> = (0..rows.len())
        .map(|row| {
            (
                (rows.required(row, 9), rows.required(row, 10)),
                holder(&rows, row),
            )
        })
        .collect();
    let mut dead = Vec::new();
    for place in keyed {
        let memory = &memories[place];
        let key = memory.key.clone().unwrap_or_default();
        match holders.get(&(memory.namespace.clone(), key.clone())) {
            None => {}
            Some(holder) if holder.dead => dead.push(holder.id.clone()),
            Some(holder)
                if holder.content_hash == memory.content_hash
                    && holder.author == memory.agent_id
                    && holder.scope == memory.scope
                    && holder.sensitive == memory.sensitive
                    && memory.on_duplicate != OnDuplicate::Error =>
            {
                added[place] = Some(Added {
                    id: holder.id.clone(),
                    deduplicated: true,
                });
            }
            Some(_) => {
                let error = Error::duplicate(format!(
                    "key {key:?} is taken in namespace {:?}",
                    memory.namespace
                ))
                .hint("Use memory_kv_set() to change the value of a key, or another namespace.");
                return Err(of_item(batch, place, error));
            }
        }
    }
    tombstone(call, session, dead);
    Ok(())
}

fn settle_contents(
    call: &Call,
    session: &Session,
    batch: &Distinct,
    places: &[usize],
    added: &mut [Option<Added>],
) -> Result<()> {
    let memories = &batch.memories;
    let hashed: Vec<(usize, Vec<u8>)> = places
        .iter()
        .filter(|&&place| added[place].is_none())
        .filter_map(|&place| {
            memories[place]
                .dedupe_hash
                .map(|hash| (place, hash.to_vec()))
        })
        .collect();
    if hashed.is_empty() {
        return Ok(());
    }
    let sql = about_holders(call, &format!(
        "SELECT {HOLDER}, m.dedupe_hash FROM @s@.memories m
         WHERE m.project_id = $1 AND m.dedupe_hash = ANY ($2) AND m.deleted_at IS NULL ORDER BY m.dedupe_hash FOR NO KEY UPDATE OF m"
    ));
    let hashes: Vec<Option<Vec<u8>>> = hashed.iter().map(|(_, hash)| Some(hash.clone())).collect();
    let rows = session.write(&sql, &[call.project().into(), hashes.into()]);
    let holders: HashMap<Vec<u8>, Holder> = (0..rows.len())
        .map(|row| (rows.required(row, 9), holder(&rows, row)))
        .collect();
    let (mut dead, mut longer) = (Vec::new(), Vec::new());
    let mut merged: Vec<(String, Option<TimestampWithTimeZone>, String)> = Vec::new();
    for (place, hash) in &hashed {
        let memory = &memories[*place];
        let Some(holder) = holders.get(hash) else {
            continue;
        };
        if holder.dead {
            dead.push(holder.id.clone());
            continue;
        }
        let outlives = match (memory.expires_at, holder.expires_at) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(new), Some(old)) => new.into_inner() > old.into_inner(),
        };
        let expires_at = if outlives {
            memory.expires_at
        } else {
            holder.expires_at
        };
        if memory.on_duplicate == OnDuplicate::Error {
            let error = Error::duplicate(format!("an equal memory exists already: {}", holder.id))
                .hint("With on_duplicate => 'return' its id is returned; 'new' adds another.");
            return Err(of_item(batch, *place, error));
        }
        let metadata = patched(holder, &memory.patches)?;
        match metadata {
            Some(metadata) => merged.push((holder.id.clone(), expires_at, metadata)),
            None if outlives => longer.push((holder.id.clone(), expires_at)),
            None => {}
        }
        added[*place] = Some(Added {
            id: holder.id.clone(),
            deduplicated: true,
        });
    }
    tombstone(call, session, dead);
    prolong(call, session, longer);
    merge(call, session, merged);
    Ok(())
}

/// A live memory's metadata with patches merged in; `None` when they change nothing.
fn patched(holder: &Holder, patches: &[Jsonb]) -> Result<Option<String>> {
    let old = holder
        .metadata
        .as_ref()
        .map_or_else(|| "{}".to_owned(), Jsonb::text);
    let mut new = old.clone();
    for patch in patches {
        new = super::update::merge_patch(&new, patch)?;
    }
    Ok((new != old).then_some(new))
}

/// Another live memory with this deduplication key; a dead one in the way is tombstoned.
pub fn live_equal(call: &Call, session: &Session, hash: &[u8; 32], except: &str) -> Option<String> {
    let sql = about_holders(call, &format!(
        "SELECT {HOLDER} FROM @s@.memories m
         WHERE m.project_id = $1 AND m.dedupe_hash = $2 AND m.deleted_at IS NULL AND m.id <> $3 FOR NO KEY UPDATE OF m"
    ));
    let rows = session.write(
        &sql,
        &[call.project().into(), hash.as_slice().into(), except.into()],
    );
    live(call, session, &rows)
}

/// Whether another live memory has the key; a dead one in the way is tombstoned.
pub fn key_is_taken(
    call: &Call,
    session: &Session,
    namespace: &str,
    key: &str,
    except: &str,
) -> bool {
    let sql = about_holders(call, &format!(
        "SELECT {HOLDER} FROM @s@.memories m
         WHERE m.project_id = $1 AND m.namespace = $2 AND m.key = $3 AND m.deleted_at IS NULL AND m.id <> $4 FOR NO KEY UPDATE OF m"
    ));
    let rows = session.write(
        &sql,
        &[
            call.project().into(),
            namespace.into(),
            key.into(),
            except.into(),
        ],
    );
    live(call, session, &rows).is_some()
}

fn live(call: &Call, session: &Session, rows: &Rows<'_>) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let holder = holder(rows, 0);
    if holder.dead {
        tombstone(call, session, vec![holder.id]);
        return None;
    }
    Some(holder.id)
}

pub fn tombstone(call: &Call, session: &Session, ids: Vec<String>) {
    if !ids.is_empty() {
        let sql = call.store.sql(
            "UPDATE @s@.memories m SET deleted_at = now() FROM unnest($2) AS dead (id)
             WHERE m.id = dead.id AND m.project_id = $1 AND m.deleted_at IS NULL",
        );
        session.write(&sql, &[call.project().into(), ids.into()]);
    }
}

fn prolong(call: &Call, session: &Session, rows: Vec<(String, Option<TimestampWithTimeZone>)>) {
    if rows.is_empty() {
        return;
    }
    let sql = call.store.sql(
        "UPDATE @s@.memories m SET expires_at = n.expires_at FROM unnest($2, $3) AS n (id, expires_at)
         WHERE m.project_id = $1 AND m.id = n.id",
    );
    let (ids, times): (Vec<String>, Vec<Option<TimestampWithTimeZone>>) = rows.into_iter().unzip();
    session.write(&sql, &[call.project().into(), ids.into(), times.into()]);
}

fn merge(
    call: &Call,
    session: &Session,
    rows: Vec<(String, Option<TimestampWithTimeZone>, String)>,
) {
    if rows.is_empty() {
        return;
    }
    let sql = call.store.sql(
        "UPDATE @s@.memories m SET expires_at = n.expires_at, metadata = n.metadata::jsonb
         FROM unnest($2, $3, $4) AS n (id, expires_at, metadata) WHERE m.project_id = $1 AND m.id = n.id",
    );
    let (mut ids, mut times, mut metadata) = (Vec::new(), Vec::new(), Vec::new());
    for (id, time, json) in rows {
        ids.push(id);
        times.push(time);
        metadata.push(json);
    }
    session.write(
        &sql,
        &[
            call.project().into(),
            ids.into(),
            times.into(),
            metadata.into(),
        ],
    );
}
