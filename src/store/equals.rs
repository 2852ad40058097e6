//! Equal memories within one batch: they act on each other as if they came one after the other, and make one row.

use std::collections::{HashMap, HashSet};

use super::insert::Added;
use super::memory::{NewMemory, OnDuplicate};
use super::update::merge_patch;
use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;

/// The distinct memories of a batch, and for each item of the batch which of them it is.
pub struct Distinct {
    pub memories: Vec<NewMemory>,
    of_item: Vec<usize>,
    first_item: Vec<usize>,
}

/// Folds equal memories into the first of them: the later expiry holds, metadata is merged where an item asks for it.
pub fn fold(items: Vec<NewMemory>) -> Result<Distinct> {
    let batch = items.len() > 1;
    let (mut places, mut ids) = (HashMap::new(), HashSet::new());
    let mut distinct = Distinct {
        memories: Vec::with_capacity(items.len()),
        of_item: Vec::with_capacity(items.len()),
        first_item: Vec::new(),
    };
    for (item, memory) in items.into_iter().enumerate() {
        let refused = |error: Error| {
            if batch {
                error.of_item(item + 1)
            } else {
                error
            }
        };
        if memory.id_given && !ids.insert(memory.id.clone()) {
            return Err(refused(Error::duplicate(format!(
                "id {:?} stands in the batch twice",
                memory.id
            ))));
        }
        let place = memory
            .dedupe_hash
            .and_then(|hash| places.get(&hash).copied());
        if let Some(place) = place {
            follow(&mut distinct.memories[place], memory).map_err(refused)?;
            distinct.of_item.push(place);
            continue;
        }
        let place = distinct.memories.len();
        if let Some(hash) = memory.dedupe_hash {
            places.insert(hash, place);
        }
        distinct.of_item.push(place);
        distinct.first_item.push(item);
        distinct.memories.push(memory);
    }
    Ok(distinct)
}

fn follow(first: &mut NewMemory, follower: NewMemory) -> Result<()> {
    if follower.on_duplicate == OnDuplicate::Error {
        return Err(Error::duplicate(
            "an equal memory stands earlier in the batch",
        ));
    }
    let ends = |memory: &NewMemory| memory.expires_at.map(|time| time.into_inner());
    first.expires_at = match (ends(first), ends(&follower)) {
        (Some(first_ends), Some(ends)) if ends > first_ends => follower.expires_at,
        (Some(_), Some(_)) => first.expires_at,
        _ => None,
    };
    if let (OnDuplicate::Merge, Some(patch)) = (follower.on_duplicate, follower.metadata) {
        let metadata = first
            .metadata
            .as_ref()
            .map_or_else(|| "{}".to_owned(), Jsonb::text);
        first.metadata = Some(Jsonb::parse(&merge_patch(&metadata, &patch)?));
        first.patches.push(patch);
    }
    Ok(())
}

impl Distinct {
    /// The item a distinct memory came with first, counted from 1; `None` for a single memory.
    pub fn ordinal(&self, place: usize) -> Option<usize> {
        (self.of_item.len() > 1).then(|| self.first_item[place] + 1)
    }

    /// What became of each item, from what became of each distinct memory.
    pub fn of_items(&self, added: &[Added]) -> Vec<Added> {
        self.of_item
            .iter()
            .enumerate()
            .map(|(item, &place)| Added {
                id: added[place].id.clone(),
                deduplicated: added[place].deduplicated || self.first_item[place] != item,
            })
            .collect()
    }
}
