//! What is to become of each item of a batch, from what is in the store.

use std::collections::{HashMap, HashSet};

use memory_core::jsonl::write_record;
use memory_core::text::dedupe_key;

use super::batch::{Item, OnConflict, Tally};
use super::existing::{self, Holder, Same};
use crate::pg::error::Result;
use crate::pg::spi::Session;
use crate::store::access::Call;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Insert,
    Update {
        renewed: bool,
    },
    /// It is there already, or what is there stays.
    Nothing,
}

/// The fates of the items, and the ids of the rows that have to give way first.
pub struct Decision {
    pub fates: Vec<Fate>,
    pub displaced: Vec<String>,
}

impl Decision {
    pub fn to_insert(items: usize) -> Self {
        Decision {
            fates: vec![Fate::Insert; items],
            displaced: Vec::new(),
        }
    }
}

/// What a dry run would have written so far; the store does not have it.
#[derive(Default)]
pub struct Imagined {
    /// The rows, by id.
    rows: HashMap<u128, u64>,
    keys: HashSet<u128>,
    hashes: HashSet<[u8; 32]>,
}

pub fn decide(
    call: &Call,
    session: &Session,
    items: &[Item],
    policy: OnConflict,
    imagined: Option<&Imagined>,
    tally: &mut Tally,
) -> Result<Decision> {
    let same = existing::same_ids(call, session, items)?;
    let mut decision = Decision {
        fates: vec![Fate::Nothing; items.len()],
        displaced: Vec::new(),
    };
    // Those that may be written, unless a row of another id is in the way.
    let mut wanted: Vec<(usize, Fate)> = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        let state = match imagined.and_then(|imagined| imagined.same(item)) {
            Some(state) => Some(state),
            None => same.get(item.id()).copied(),
        };
        match (state, policy) {
            (None, _) => wanted.push((place, Fate::Insert)),
            (Some(Same::Identical), _) => tally.identical += 1,
            (Some(Same::Different { .. }), OnConflict::Skip) => tally.skipped_existing += 1,
            (Some(Same::Different { .. }), OnConflict::Error) => {
                return Err(item.refuse_same_id(""));
            }
            (Some(Same::Different { renewed }), OnConflict::Update) => {
                wanted.push((place, Fate::Update { renewed }));
            }
        }
    }
    let asked: Vec<&Item> = wanted.iter().map(|(place, _)| &items[*place]).collect();
    let contents = existing::holders_of_contents(call, session, &asked);
    let keys = existing::holders_of_keys(call, session, &asked);
    for (place, fate) in wanted {
        let item = &items[place];
        let by_content = item.held_hash().and_then(|hash| contents.get(&hash));
        let by_key = item
            .held_key()
            .and_then(|(namespace, key)| keys.get(&(namespace.to_owned(), key.to_owned())));
        let taken = imagined.is_some_and(|imagined| imagined.has_content(item))
            || stays(item, by_content, false);
        if taken {
            if policy == OnConflict::Error {
                let other = by_content.map_or("", |holder| &holder.id);
                return Err(item.refuse_equal(other, ""));
            }
            tally.skipped_existing += 1;
            continue;
        }
        let replaces = policy == OnConflict::Update;
        let taken = (imagined.is_some_and(|imagined| imagined.has_key(item))
            && !(replaces && item.is_live))
            || stays(item, by_key, replaces);
        if taken {
            if policy == OnConflict::Error {
                let other = by_key.map_or("", |holder| &holder.id);
                return Err(item.refuse_key(other, ""));
            }
            tally.skipped_existing += 1;
            continue;
        }
        decision.displaced.extend(
            [by_content, by_key]
                .into_iter()
                .flatten()
                .map(|holder| holder.id.clone()),
        );
        decision.fates[place] = fate;
    }
    Ok(decision)
}

/// Whether a row that is in an item's way stays there. A dead one gives way to a live item, a live one only where it is to be
/// replaced.
fn stays(item: &Item, holder: Option<&Holder>, replaces: bool) -> bool {
    holder.is_some_and(|holder| !item.is_live || !(holder.is_dead || replaces))
}

impl Imagined {
    /// Notes an item as written.
    pub fn note(&mut self, item: &Item) {
        self.rows.insert(digest(&[item.id()]), print_of(item));
        if let Some((namespace, key)) = item.held_key() {
            self.keys.insert(digest(&[namespace, key]));
        }
        self.hashes.extend(item.held_hash());
    }

    /// Whether a memory was noted.
    pub fn has(&self, id: &str) -> bool {
        self.rows.contains_key(&digest(&[id]))
    }

    fn same(&self, item: &Item) -> Option<Same> {
        let print = self.rows.get(&digest(&[item.id()]))?;
        Some(match *print == print_of(item) {
            true => Same::Identical,
            false => Same::Different { renewed: true },
        })
    }

    fn has_content(&self, item: &Item) -> bool {
        item.held_hash()
            .is_some_and(|hash| self.hashes.contains(&hash))
            && !self.rows.contains_key(&digest(&[item.id()]))
    }

    fn has_key(&self, item: &Item) -> bool {
        item.held_key()
            .is_some_and(|(namespace, key)| self.keys.contains(&digest(&[namespace, key])))
            && !self.rows.contains_key(&digest(&[item.id()]))
    }
}

/// 128 bits tell a million names apart.
fn digest(names: &[&str]) -> u128 {
    let names: Vec<Option<&str>> = names.iter().map(|name| Some(*name)).collect();
    let hash = dedupe_key(&names, &[0; 32]);
    u128::from_be_bytes(hash[..16].try_into().unwrap_or_default())
}

fn print_of(item: &Item) -> u64 {
    use std::hash::{DefaultHasher, Hasher};
    let mut line = Vec::new();
    write_record(&item.record, &mut line);
    let mut hasher = DefaultHasher::new();
    hasher.write(&line);
    hasher.finish()
}
