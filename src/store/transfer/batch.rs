//! The records that are written together, each once.

use std::collections::HashMap;

use memory_core::jsonl::Record;
use memory_core::text::content_hash;

use super::refusal::Place;
use crate::pg::error::{Error, Result};
use crate::store::memory::{Identifying, dedupe_hash};

/// What to do when a memory is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnConflict {
    /// Keep the one that is there.
    Skip,
    /// Take the imported one if it differs.
    Update,
    Error,
}

impl OnConflict {
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "skip" => Ok(OnConflict::Skip),
            "update" => Ok(OnConflict::Update),
            "error" => Ok(OnConflict::Error),
            _ => Err(Error::argument(format!("unknown on_conflict {name:?}"))
                .hint("It is one of: skip, update, error.")),
        }
    }
}

/// A record that is to be written.
pub struct Item {
    pub place: Place,
    pub record: Record<'static>,
    pub content_hash: [u8; 32],
    /// The deduplication key of its row, before deprecation puts the id behind it.
    pub dedupe_hash: Option<[u8; 32]>,
    /// Neither deleted nor deprecated nor expired.
    pub is_live: bool,
}

impl Item {
    pub fn of(place: Place, record: Record<'static>, now: &str) -> Self {
        let content_hash = record
            .content_hash
            .unwrap_or_else(|| content_hash(&record.content));
        let deduplicated = record.is_deduplicated && record.key.is_none();
        let dedupe_hash = deduplicated.then(|| {
            dedupe_hash(&Identifying {
                namespace: &record.namespace,
                scope: &record.scope,
                agent_id: record.agent_id.as_deref(),
                user_id: record.user_id.as_deref(),
                session_id: record.session_id.as_deref(),
                entity_id: record.entity_id.as_deref(),
                memory_type: &record.memory_type,
                sensitive: record.is_sensitive,
                content_hash: &content_hash,
            })
        });
        // Points in time have one form, in which their order is that of the texts.
        let is_over = record.expires_at.as_deref().is_some_and(|time| time <= now);
        Item {
            place,
            content_hash,
            dedupe_hash,
            is_live: record.deleted_at.is_none() && !record.is_deprecated && !is_over,
            record,
        }
    }

    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// The key this row holds in its project, if it holds one: a deleted row does not.
    pub fn held_key(&self) -> Option<(&str, &str)> {
        let key = self.record.key.as_deref()?;
        self.record
            .deleted_at
            .is_none()
            .then_some((&self.record.namespace, key))
    }

    /// The deduplication key this row holds: a deleted or deprecated one does not.
    pub fn held_hash(&self) -> Option<[u8; 32]> {
        let is_held = self.record.deleted_at.is_none() && !self.record.is_deprecated;
        self.dedupe_hash.filter(|_| is_held)
    }

    fn where_it_stands(&self) -> String {
        self.place.of(self.id())
    }

    /// 23505: the policy is to refuse what is there already.
    pub fn refuse_same_id(&self, where_else: &str) -> Error {
        self.refused(format!(
            "a memory with id {:?} exists already{where_else}, and differs",
            self.id()
        ))
    }

    pub fn refuse_equal(&self, other: &str, where_else: &str) -> Error {
        self.refused(format!(
            "memory {:?} is equal to memory {other:?}, which exists already{where_else}",
            self.id()
        ))
    }

    pub fn refuse_key(&self, other: &str, where_else: &str) -> Error {
        self.refused(format!(
            "memory {:?} has the key of memory {other:?}, which exists already{where_else}",
            self.id()
        ))
    }

    fn refused(&self, message: String) -> Error {
        Error::duplicate(message)
            .at(self.where_it_stands())
            .detail("Nothing was imported.")
            .hint("With on_conflict => 'skip' the memory that is there stays, with 'update' the imported one takes its place.")
    }
}

/// What became of the memories of an import.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    pub imported: u64,
    pub updated: u64,
    pub skipped_existing: u64,
    pub identical: u64,
    pub votes: u64,
    pub sensitive: u64,
}

/// Items no two of which have the same id, key or content. What comes twice in a batch meets what came before as it would in
/// the store.
pub fn distinct(items: Vec<Item>, policy: OnConflict, tally: &mut Tally) -> Result<Vec<Item>> {
    let mut kept: Vec<Option<Item>> = Vec::with_capacity(items.len());
    let mut ids: HashMap<String, usize> = HashMap::with_capacity(items.len());
    let mut keys: HashMap<(String, String), usize> = HashMap::new();
    let mut hashes: HashMap<[u8; 32], usize> = HashMap::with_capacity(items.len());
    for item in items {
        let same_id = ids.get(item.id()).copied();
        if let Some(earlier) = same_id.and_then(|place| kept[place].as_ref()) {
            if earlier.record == item.record {
                tally.identical += 1;
                continue;
            }
            match policy {
                OnConflict::Skip => {
                    tally.skipped_existing += 1;
                    continue;
                }
                OnConflict::Error => {
                    return Err(item.refuse_same_id(&format!(" in {}", earlier.where_it_stands())));
                }
                OnConflict::Update => {}
            }
        }
        let key = item.held_key().map(owned);
        let equal = item
            .held_hash()
            .and_then(|hash| hashes.get(&hash).copied())
            .filter(|place| same_id != Some(*place));
        let holder = key
            .as_ref()
            .and_then(|key| keys.get(key).copied())
            .filter(|place| same_id != Some(*place));
        let replaces = policy == OnConflict::Update;
        // What is in the way gives way where it would in the store, and is gone at once.
        let mut gone = Vec::new();
        let mut is_kept_out = false;
        for (found, replaces, is_key) in [(equal, false, false), (holder, replaces, true)] {
            let Some((place, earlier)) =
                found.and_then(|place| Some((place, kept[place].as_ref()?)))
            else {
                continue;
            };
            if item.is_live && (!earlier.is_live || replaces) {
                gone.push(place);
                continue;
            }
            if policy == OnConflict::Error {
                let other = format!(" in {}", earlier.where_it_stands());
                return Err(match is_key {
                    true => item.refuse_key(earlier.id(), &other),
                    false => item.refuse_equal(earlier.id(), &other),
                });
            }
            is_kept_out = true;
        }
        if is_kept_out {
            tally.skipped_existing += 1;
            continue;
        }
        // Of an id that comes twice the later line counts.
        for earlier in gone.iter().chain(&same_id).filter_map(|place| kept[*place].take()) {
            match earlier.id() == item.id() {
                true => tally.updated += 1,
                false => tally.skipped_existing += 1,
            }
            ids.remove(earlier.id());
            if let Some(key) = earlier.held_key() {
                keys.remove(&owned(key));
            }
            if let Some(hash) = earlier.held_hash() {
                hashes.remove(&hash);
            }
        }
        let place = kept.len();
        if let Some(key) = key {
            keys.insert(key, place);
        }
        if let Some(hash) = item.held_hash() {
            hashes.insert(hash, place);
        }
        ids.insert(item.id().to_owned(), place);
        kept.push(Some(item));
    }
    Ok(kept.into_iter().flatten().collect())
}

pub fn owned((namespace, key): (&str, &str)) -> (String, String) {
    (namespace.to_owned(), key.to_owned())
}
