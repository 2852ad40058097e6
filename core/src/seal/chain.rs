//! Seals, and the chain they make.

use std::collections::BTreeMap;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::encoding::Encoder;
use super::{Batch, Hash, Table};

/// A key of the chain. Its id is in every seal made with it and tells nothing of the key.
pub struct SealKey {
    key: Zeroizing<[u8; 32]>,
    id: [u8; 8],
}

impl SealKey {
    pub fn new(key: [u8; 32]) -> Self {
        let mac = mac(&key, b"memory_ext seal key id 1")
            .finalize()
            .into_bytes();
        let mut id = [0; 8];
        id.iter_mut().zip(mac).for_each(|(id, byte)| *id = byte);
        Self {
            key: Zeroizing::new(key),
            id,
        }
    }

    pub fn id(&self) -> [u8; 8] {
        self.id
    }
}

/// Without the key.
impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealKey")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// HMAC-SHA256 (RFC 2104), not yet finished.
pub(super) fn mac(key: &[u8], message: &[u8]) -> Hmac<Sha256> {
    // HMAC takes keys of any length.
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
    mac.update(message);
    mac
}

/// A batch, sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    /// From 1 on.
    pub number: u64,
    pub table: Table,
    /// The range of ids the seal speaks for, whether or not there are rows at its ends. It begins
    /// after the range of the table's seal before.
    pub first_id: i64,
    pub last_id: i64,
    pub rows: u64,
    pub root: Hash,
    /// Microseconds since the Unix epoch.
    pub sealed_at: i64,
    /// Of the seal before; zeros in the first.
    pub previous_mac: Hash,
    /// Which key made the MAC. None: no key, the MAC is a plain hash that anybody can make.
    pub key_id: Option<[u8; 8]>,
    pub mac: Hash,
}

impl Seal {
    /// The seal of a batch, after the chain's last one.
    pub fn new(
        batch: &Batch,
        previous: Option<&Self>,
        sealed_at: i64,
        key: Option<&SealKey>,
    ) -> Self {
        let mut seal = Self {
            number: previous.map_or(1, |previous| previous.number.saturating_add(1)),
            table: batch.table,
            first_id: batch.first_id,
            last_id: batch.last_id,
            rows: batch.rows,
            root: batch.root,
            sealed_at,
            previous_mac: previous.map_or([0; 32], |previous| previous.mac),
            key_id: key.map(SealKey::id),
            mac: [0; 32],
        };
        seal.mac = match key {
            Some(key) => mac(&*key.key, &seal.encoded())
                .finalize()
                .into_bytes()
                .into(),
            None => seal.plain_hash(),
        };
        seal
    }

    /// What the MAC is of: everything but itself.
    fn encoded(&self) -> Vec<u8> {
        let mut encoder = Encoder::new(Vec::new(), "memory_ext audit seal 1");
        encoder.unsigned(self.number);
        encoder.bytes(&[self.table.code()]);
        encoder.int(self.first_id);
        encoder.int(self.last_id);
        encoder.unsigned(self.rows);
        encoder.bytes(&self.root);
        encoder.int(self.sealed_at);
        encoder.bytes(&self.previous_mac);
        encoder.flag(self.key_id.is_some());
        encoder.bytes(&self.key_id.unwrap_or_default());
        encoder.finish()
    }

    fn plain_hash(&self) -> Hash {
        Sha256::digest(self.encoded()).into()
    }

    /// Whether the MAC is right under this key, compared in constant time.
    fn is_signed_by(&self, key: &SealKey) -> bool {
        mac(&*key.key, &self.encoded())
            .verify_slice(&self.mac)
            .is_ok()
    }

    pub fn anchor(&self) -> Anchor {
        Anchor {
            number: self.number,
            mac: self.mac,
        }
    }
}

/// A seal as it was noted where the database's owner cannot change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Anchor {
    pub number: u64,
    pub mac: Hash,
}

/// What a verification goes by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust<'a> {
    /// All keys that were in use. With any, a seal without a key is a fault.
    pub keys: &'a [SealKey],
    /// Where the chain may begin, if its head was removed on purpose.
    pub start: Option<Anchor>,
    /// A seal that must be there.
    pub end: Option<Anchor>,
}

/// What is wrong with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainFault {
    /// The chain begins with this seal.
    TruncatedHead { first: u64 },
    /// The chain ends with this seal (0: it is empty), before the one that must be there.
    TruncatedTail { last: u64, expected: u64 },
    /// Seals `from` to `to` are missing.
    Gap { from: u64, to: u64 },
    /// The seal stands after one with a higher number.
    Reordered { number: u64 },
    /// The number occurs again.
    Duplicate { number: u64 },
    /// The MAC does not fit the seal.
    Edited { number: u64 },
    /// The seal was made after another one than stands before it: one of them was replaced.
    BrokenLink { number: u64 },
    /// The seal is another than was noted elsewhere.
    Replaced { number: u64 },
    /// The seal was made with a key that was not given, or its key id was edited.
    WrongKey { number: u64 },
    /// The seal was made without a key, which anybody can.
    NotKeyed { number: u64 },
    /// The range of ids does not follow the one of the table's seal before.
    IdsNotContiguous { number: u64 },
}

impl fmt::Display for ChainFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TruncatedHead { first } => {
                write!(f, "the chain begins with seal {first}, expected 1")
            }
            Self::TruncatedTail { last, expected } => {
                write!(
                    f,
                    "the chain ends with seal {last}, expected {expected} or later"
                )
            }
            Self::Gap { from, to } if from == to => write!(f, "seal {from} is missing"),
            Self::Gap { from, to } => write!(f, "seals {from} to {to} are missing"),
            Self::Reordered { number } => write!(f, "seal {number} is out of order"),
            Self::Duplicate { number } => write!(f, "seal {number} is there more than once"),
            Self::Edited { number } => write!(f, "seal {number} was edited"),
            Self::BrokenLink { number } => {
                write!(f, "seal {number} does not continue the seal before it")
            }
            Self::Replaced { number } => write!(f, "seal {number} is not the one that was noted"),
            Self::WrongKey { number } => write!(f, "seal {number} was made with another key"),
            Self::NotKeyed { number } => write!(f, "seal {number} was made without a key"),
            Self::IdsNotContiguous { number } => write!(
                f,
                "the ids of seal {number} do not follow those of the seal before it"
            ),
        }
    }
}

/// What is wrong with the seals, in the order in which they stand; nothing if all is well.
pub fn verify_chain(seals: &[Seal], trust: &Trust) -> Vec<ChainFault> {
    let mut faults = Vec::new();
    let mut by_number: BTreeMap<u64, &Seal> = BTreeMap::new();
    let mut highest = 0;
    for seal in seals {
        let number = seal.number;
        faults.extend(own_fault(seal, trust));
        if by_number.contains_key(&number) {
            faults.push(ChainFault::Duplicate { number });
            continue;
        }
        if number < highest {
            faults.push(ChainFault::Reordered { number });
        }
        highest = highest.max(number);
        by_number.insert(number, seal);
    }
    check_head(&by_number, trust, &mut faults);
    check_links(&by_number, &mut faults);
    for anchor in trust.start.iter().chain(&trust.end) {
        if by_number
            .get(&anchor.number)
            .is_some_and(|seal| seal.mac != anchor.mac)
        {
            faults.push(ChainFault::Replaced {
                number: anchor.number,
            });
        }
    }
    if let Some(end) = trust.end.filter(|end| end.number > highest) {
        faults.push(ChainFault::TruncatedTail {
            last: highest,
            expected: end.number,
        });
    }
    faults
}

/// What is wrong with a seal by itself.
fn own_fault(seal: &Seal, trust: &Trust) -> Option<ChainFault> {
    let number = seal.number;
    let edited = Some(ChainFault::Edited { number });
    match seal.key_id {
        // There is none before the first.
        _ if number == 0 => edited,
        None if seal.plain_hash() != seal.mac => edited,
        None if trust.keys.is_empty() => None,
        None => Some(ChainFault::NotKeyed { number }),
        Some(id) => match trust.keys.iter().find(|key| key.id == id) {
            Some(key) if seal.is_signed_by(key) => None,
            Some(_) => edited,
            None => Some(ChainFault::WrongKey { number }),
        },
    }
}

fn check_head(seals: &BTreeMap<u64, &Seal>, trust: &Trust, faults: &mut Vec<ChainFault>) {
    let Some((&first, seal)) = seals.first_key_value() else {
        return;
    };
    let before = match trust.start {
        Some(start) if first == start.number.saturating_add(1) => Some(start.mac),
        // That seal itself is compared, and the ones before it are linked to it.
        Some(start) if first > 1 && first <= start.number => return,
        _ if first <= 1 => Some([0; 32]),
        _ => None,
    };
    match before {
        None => faults.push(ChainFault::TruncatedHead { first }),
        Some(mac) if mac != seal.previous_mac => {
            faults.push(ChainFault::BrokenLink { number: first });
        }
        Some(_) => {}
    }
}

fn check_links(seals: &BTreeMap<u64, &Seal>, faults: &mut Vec<ChainFault>) {
    let mut last: Option<&Seal> = None;
    // Where the next range of a table has to begin; unknown after a gap.
    let mut next_id: BTreeMap<Table, Option<i64>> = BTreeMap::new();
    for (&number, seal) in seals {
        if let Some(last) = last {
            if last.number.checked_add(1) != Some(number) {
                faults.push(ChainFault::Gap {
                    from: last.number.saturating_add(1),
                    to: number - 1,
                });
                next_id.clear();
            } else if last.mac != seal.previous_mac {
                faults.push(ChainFault::BrokenLink { number });
            }
        }
        let expected = next_id.insert(seal.table, seal.last_id.checked_add(1));
        let follows = expected.is_none_or(|expected| expected == Some(seal.first_id));
        if !follows || seal.last_id < seal.first_id {
            faults.push(ChainFault::IdsNotContiguous { number });
        }
        last = Some(seal);
    }
}
