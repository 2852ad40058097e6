//! Seals, and the chain they make.

use std::collections::BTreeMap;
use std::fmt;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::encoding::Encoder;
use super::{Batch, Hash, MAX_LISTED, Table};

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

/// A key file in which there is something else than keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyFileError;

impl fmt::Display for KeyFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected keys of 32 random bytes, one a line, as 64 hexadecimal digits or as base64, or one key of 32 raw bytes"
        )
    }
}

impl std::error::Error for KeyFileError {}

impl SealKey {
    /// The keys of a key file, one at least: the first makes seals, the others made some in former times.
    pub fn from_file(content: &[u8]) -> Result<Vec<Self>, KeyFileError> {
        if content.len() == 32 && !content.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            let mut key = Zeroizing::new([0; 32]);
            key.copy_from_slice(content);
            return Ok(vec![Self::new(*key)]);
        }
        let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
        let keys = lines
            .filter(|line| !line.is_empty())
            .map(Self::from_line)
            .collect::<Result<Vec<_>, _>>()?;
        match keys.is_empty() {
            true => Err(KeyFileError),
            false => Ok(keys),
        }
    }

    fn from_line(line: &[u8]) -> Result<Self, KeyFileError> {
        let mut key = Zeroizing::new([0; 32]);
        let decoded = match line.len() {
            64 => base16ct::mixed::decode(line, key.as_mut()).is_ok(),
            44 => Base64::decode(line, key.as_mut()).is_ok_and(|key| key.len() == 32),
            _ => false,
        };
        match decoded {
            true => Ok(Self::new(*key)),
            false => Err(KeyFileError),
        }
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

/// As it is noted: the number, a colon and 64 hexadecimal digits.
impl fmt::Display for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.number)?;
        self.mac.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for Anchor {
    type Err = AnchorError;

    fn from_str(text: &str) -> Result<Self, AnchorError> {
        let (number, digits) = text.trim().split_once(':').ok_or(AnchorError)?;
        let mut mac = [0; 32];
        if digits.len() != 64 || base16ct::mixed::decode(digits, &mut mac).is_err() {
            return Err(AnchorError);
        }
        let number = number.parse().map_err(|_| AnchorError)?;
        Ok(Self { number, mac })
    }
}

/// A text that is no anchor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnchorError;

impl fmt::Display for AnchorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "expected the number of a seal, a colon and 64 hexadecimal digits"
        )
    }
}

impl std::error::Error for AnchorError {}

/// What a verification goes by.
#[derive(Clone, Copy, Debug, Default)]
pub struct Trust<'a> {
    /// All keys that were in use. With any, a seal without a key is a fault, but for those before the first key.
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
        if by_number.contains_key(&number) {
            faults.extend(seal.own_fault(trust.keys));
            faults.push(ChainFault::Duplicate { number });
            continue;
        }
        if number < highest {
            faults.push(ChainFault::Reordered { number });
        }
        highest = highest.max(number);
        by_number.insert(number, seal);
    }
    let mut verifier = ChainVerifier::new(*trust);
    for seal in by_number.into_values() {
        faults.extend(verifier.push(seal));
    }
    faults.extend(verifier.finish());
    faults
}

impl Seal {
    /// What is wrong with the seal by itself: it is not what was made, or nobody here can tell.
    pub fn own_fault(&self, keys: &[SealKey]) -> Option<ChainFault> {
        let number = self.number;
        let edited = Some(ChainFault::Edited { number });
        match self.key_id {
            // There is none before the first.
            _ if number == 0 => edited,
            None if self.plain_hash() != self.mac => edited,
            None => None,
            Some(id) => match keys.iter().find(|key| key.id == id) {
                Some(key) if self.is_signed_by(key) => None,
                Some(_) => edited,
                None => Some(ChainFault::WrongKey { number }),
            },
        }
    }
}

/// Verifies a chain seal by seal, by ascending number, in memory for none of them.
///
/// Where there are keys, a seal without one is a fault, unless it is of the chain's beginning and a seal with a key comes
/// behind: that one was made over it, as it is.
pub struct ChainVerifier<'a> {
    trust: Trust<'a>,
    /// Number and MAC of the seal before.
    last: Option<(u64, Hash)>,
    /// Where the next range of a table has to begin; unknown after a gap.
    next_id: BTreeMap<Table, Option<i64>>,
    is_keyed: bool,
    /// Seals without a key at the beginning, as many as are listed.
    unkeyed: Vec<u64>,
}

impl<'a> ChainVerifier<'a> {
    pub fn new(trust: Trust<'a>) -> Self {
        Self {
            trust,
            last: None,
            next_id: BTreeMap::new(),
            is_keyed: false,
            unkeyed: Vec::new(),
        }
    }

    pub fn push(&mut self, seal: &Seal) -> Vec<ChainFault> {
        let number = seal.number;
        let mut faults: Vec<ChainFault> = seal.own_fault(self.trust.keys).into_iter().collect();
        if seal.key_id.is_some() && faults.is_empty() {
            self.is_keyed = true;
            self.unkeyed.clear();
        } else if seal.key_id.is_none() && faults.is_empty() && !self.trust.keys.is_empty() {
            match self.is_keyed {
                true => faults.push(ChainFault::NotKeyed { number }),
                false if self.unkeyed.len() < MAX_LISTED => self.unkeyed.push(number),
                false => {}
            }
        }
        match self.last {
            None => faults.extend(self.head_fault(seal)),
            Some((last, _)) if last.checked_add(1) != Some(number) => {
                faults.push(ChainFault::Gap {
                    from: last.saturating_add(1),
                    to: number.saturating_sub(1),
                });
                self.next_id.clear();
            }
            Some((_, mac)) if mac != seal.previous_mac => {
                faults.push(ChainFault::BrokenLink { number });
            }
            Some(_) => {}
        }
        let expected = self.next_id.insert(seal.table, seal.last_id.checked_add(1));
        let follows = expected.is_none_or(|expected| expected == Some(seal.first_id));
        if !follows || seal.last_id < seal.first_id {
            faults.push(ChainFault::IdsNotContiguous { number });
        }
        let anchors = self.trust.start.iter().chain(&self.trust.end);
        for anchor in anchors.filter(|anchor| anchor.number == number) {
            if seal.mac != anchor.mac {
                faults.push(ChainFault::Replaced { number });
            }
        }
        self.last = Some((number, seal.mac));
        faults
    }

    /// What the first seal that is there says of those before it.
    fn head_fault(&self, seal: &Seal) -> Option<ChainFault> {
        let first = seal.number;
        let before = match self.trust.start {
            Some(start) if first == start.number.saturating_add(1) => Some(start.mac),
            // That seal itself is compared, and the ones before it are linked to it.
            Some(start) if first > 1 && first <= start.number => return None,
            _ if first <= 1 => Some([0; 32]),
            _ => None,
        };
        match before {
            None => Some(ChainFault::TruncatedHead { first }),
            Some(mac) if mac != seal.previous_mac => Some(ChainFault::BrokenLink { number: first }),
            Some(_) => None,
        }
    }

    /// After the last seal.
    pub fn finish(self) -> Vec<ChainFault> {
        let last = self.last.map_or(0, |(number, _)| number);
        let unkeyed = self.unkeyed.into_iter();
        let mut faults: Vec<ChainFault> = unkeyed
            .map(|number| ChainFault::NotKeyed { number })
            .collect();
        if let Some(end) = self.trust.end.filter(|end| end.number > last) {
            faults.push(ChainFault::TruncatedTail {
                last,
                expected: end.number,
            });
        }
        faults
    }
}
