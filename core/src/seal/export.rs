//! The audit trail as a file, to be verified without the database.
//!
//! One JSON object a line, in any order but that rows of a table stand by ascending id:
//!
//! ```json
//! {"seal": {"number": 1, "table": "events", "first_id": 1, "last_id": 90, "rows": 88,
//!           "root": "<64 hexadecimal digits>", "sealed_at": 1767225600000000,
//!           "previous_mac": "<64>", "key_id": "<16, or null>", "mac": "<64>",
//!           "leaves": "<80 a row, or null>"}}
//! {"event": {"event_id": 1, "occurred_at": 1767225599000000, "event": "add",
//!            "project_id": "default", "memory_id": "m1", "role": "app", "agent_id": null,
//!            "payload": "{}"}}
//! {"history": {"history_id": 1, "...": "the columns of memory_history",
//!              "content": "...", "content_hash": "<64>", "blind": "<64>", "commitment": null}}
//! ```
//!
//! (Each of them is one line.) A version whose content is secret has null for `content`, `content_hash` and `blind`, and the
//! `commitment` to them instead; one that is not sealed yet has neither of the last two. Times are microseconds since the Unix epoch. `payload` and `metadata` are strings that hold the
//! text of the jsonb, so that a program which rewrites the file's JSON does not change them.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, BufRead, Read as _};
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::{
    BatchReport, ChainFault, EventFields, Hash, HistoryFields, IdRanges, Leaf, MAX_LISTED, Seal,
    SeenRow, Table, Trust, Verdict, erased_history, leaves_from_bytes, leaves_to_bytes,
    verify_batch, verify_chain,
};

/// The longest line that is read.
pub const MAX_LINE_BYTES: usize = 256 << 20;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line<'a> {
    Seal(SealLine),
    #[serde(borrow)]
    Event(EventFields<'a>),
    #[serde(borrow)]
    History(Box<HistoryFields<'a>>),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SealLine {
    number: u64,
    table: Table,
    first_id: i64,
    last_id: i64,
    rows: u64,
    root: String,
    sealed_at: i64,
    previous_mac: String,
    key_id: Option<String>,
    mac: String,
    leaves: Option<String>,
}

/// The line of a seal, with its kept leaves if there are any.
pub fn seal_line(seal: &Seal, leaves: Option<&[Leaf]>) -> String {
    line(&Line::Seal(SealLine {
        number: seal.number,
        table: seal.table,
        first_id: seal.first_id,
        last_id: seal.last_id,
        rows: seal.rows,
        root: to_hex(&seal.root),
        sealed_at: seal.sealed_at,
        previous_mac: to_hex(&seal.previous_mac),
        key_id: seal.key_id.map(|id| to_hex(&id)),
        mac: to_hex(&seal.mac),
        leaves: leaves.map(|leaves| to_hex(&leaves_to_bytes(leaves))),
    }))
}

/// The line of an event, without a line end.
pub fn event_line(row: &EventFields) -> String {
    line(&Line::Event(row.clone()))
}

/// The line of a version in the history, without a line end. Its importance is a finite number.
pub fn history_line(row: &HistoryFields) -> String {
    line(&Line::History(Box::new(row.clone())))
}

fn line(line: &Line) -> String {
    // Strings and numbers only: nothing here fails.
    serde_json::to_string(line).unwrap_or_default()
}

impl SealLine {
    fn into_seal(self) -> Option<(Seal, Option<Vec<Leaf>>)> {
        let leaves = match self.leaves {
            Some(leaves) => Some(leaves_from_bytes(&from_hex(&leaves)?)?),
            None => None,
        };
        let key_id = match self.key_id {
            Some(id) => Some(from_hex(&id)?.try_into().ok()?),
            None => None,
        };
        let hash = |digits: &str| from_hex(digits)?.try_into().ok();
        let seal = Seal {
            number: self.number,
            table: self.table,
            first_id: self.first_id,
            last_id: self.last_id,
            rows: self.rows,
            root: hash(&self.root)?,
            sealed_at: self.sealed_at,
            previous_mac: hash(&self.previous_mac)?,
            key_id,
            mac: hash(&self.mac)?,
        };
        Some((seal, leaves))
    }
}

/// A line that cannot be read, counted from 1. The text is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineFault {
    TooLong { line: u64 },
    Malformed { line: u64 },
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { line } => {
                write!(f, "line {line} is longer than {MAX_LINE_BYTES} bytes")
            }
            Self::Malformed { line } => write!(f, "line {line} is not one of an export"),
        }
    }
}

/// What was found of an export.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportReport {
    pub seals: u64,
    pub events: u64,
    pub history: u64,
    /// Seals that were made with a key.
    pub keyed: u64,
    pub chain: Vec<ChainFault>,
    /// Of every seal, by table and range.
    pub batches: Vec<BatchReport>,
    /// Rows after the last seal of their table: not sealed yet.
    pub unsealed: u64,
    /// Rows that no seal speaks for, though one speaks for later ones.
    pub uncovered: Vec<(Table, i64)>,
    pub lines: Vec<LineFault>,
    /// Uncovered rows and lines beyond [`MAX_LISTED`] of each.
    pub more_faults: u64,
}

/// What can be told of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conclusion {
    Intact,
    Altered,
    Unknown(Unknown),
}

/// Why it cannot be told whether an export is intact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// Nothing in the file is a line of an export.
    NoExport,
    /// There is no seal, nor is one known that has to be there.
    NotSealed,
    /// No MAC was made with a key that is given, and nothing else is wrong: another key, or somebody made the whole chain anew.
    KeyMissing,
}

impl ExportReport {
    pub fn conclusion(&self) -> Conclusion {
        if self.seals + self.events + self.history == 0 {
            return Conclusion::Unknown(Unknown::NoExport);
        }
        match self.is_intact() {
            true if self.seals == 0 => Conclusion::Unknown(Unknown::NotSealed),
            true => Conclusion::Intact,
            false if self.is_but_for_the_key() => Conclusion::Unknown(Unknown::KeyMissing),
            false => Conclusion::Altered,
        }
    }

    /// Whether all that is wrong follows from no MAC being of a key that is given.
    fn is_but_for_the_key(&self) -> bool {
        let of_other_keys = self.chain.iter().filter_map(|fault| match fault {
            ChainFault::WrongKey { number } => Some(*number),
            _ => None,
        });
        let Some(first) = of_other_keys.clone().min() else {
            return false;
        };
        let follows = |fault: &ChainFault| match fault {
            ChainFault::WrongKey { .. } => true,
            // Of the beginning: the first seal with a key would vouch for it.
            ChainFault::NotKeyed { number } => *number < first,
            _ => false,
        };
        of_other_keys.count() as u64 == self.keyed
            && self.chain.iter().all(follows)
            && self.is_intact_but_for_the_chain()
    }

    /// Whether nothing at all is wrong.
    pub fn is_intact(&self) -> bool {
        self.chain.is_empty() && self.is_intact_but_for_the_chain()
    }

    fn is_intact_but_for_the_chain(&self) -> bool {
        self.uncovered.is_empty()
            && self.lines.is_empty()
            && self
                .batches
                .iter()
                .all(|batch| batch.verdict == Verdict::Intact)
    }
}

/// Verifies an export against itself and what is trusted.
///
/// Holds the seals, their leaves and 88 bytes a row, one line at a time. Rows of the history may be
/// missing where an event that is itself intact, or younger than the last seal, is their receipt.
/// The only error is one of the reader.
pub fn verify_export(mut reader: impl BufRead, trust: &Trust) -> io::Result<ExportReport> {
    let mut export = Export::default();
    let mut buffer = Vec::new();
    let mut number = 0;
    loop {
        buffer.clear();
        number += 1;
        match read_line(&mut reader, &mut buffer)? {
            Read::End => break,
            Read::TooLong => export.fault(LineFault::TooLong { line: number }),
            Read::Line => {
                let is_blank = buffer.trim_ascii().is_empty();
                if !is_blank && export.add(&buffer).is_none() {
                    export.fault(LineFault::Malformed { line: number });
                }
            }
        }
    }
    Ok(export.verify(trust))
}

enum Read {
    Line,
    TooLong,
    End,
}

fn read_line(reader: &mut impl BufRead, buffer: &mut Vec<u8>) -> io::Result<Read> {
    let limit = MAX_LINE_BYTES as u64 + 1;
    if reader.by_ref().take(limit).read_until(b'\n', buffer)? == 0 {
        return Ok(Read::End);
    }
    if buffer.len() <= MAX_LINE_BYTES || buffer.ends_with(b"\n") {
        return Ok(Read::Line);
    }
    // The rest of the line, unread.
    while !buffer.ends_with(b"\n") {
        buffer.clear();
        if reader.by_ref().take(limit).read_until(b'\n', buffer)? == 0 {
            break;
        }
    }
    Ok(Read::TooLong)
}

/// What has been read.
#[derive(Default)]
struct Export {
    seals: Vec<Seal>,
    leaves: HashMap<u64, Vec<Leaf>>,
    rows: HashMap<Table, Vec<SeenRow>>,
    /// Ids of events that are receipts, and what they are for.
    receipts: Vec<(i64, Vec<RangeInclusive<i64>>)>,
    report: ExportReport,
}

impl Export {
    fn fault(&mut self, fault: LineFault) {
        if self.report.lines.len() < MAX_LISTED {
            self.report.lines.push(fault);
        } else {
            self.report.more_faults += 1;
        }
    }

    fn add(&mut self, line: &[u8]) -> Option<()> {
        match serde_json::from_slice(line).ok()? {
            Line::Seal(seal) => {
                let (seal, leaves) = seal.into_seal()?;
                self.report.seals += 1;
                self.report.keyed += u64::from(seal.key_id.is_some());
                if let Some(leaves) = leaves {
                    self.leaves.entry(seal.number).or_insert(leaves);
                }
                self.seals.push(seal);
            }
            Line::Event(row) => {
                self.report.events += 1;
                let erased = erased_history(&row.event, &row.payload);
                if !erased.is_empty() {
                    self.receipts.push((row.event_id, erased));
                }
                let rows = self.rows.entry(Table::Events).or_default();
                rows.push(row.leaf().into());
            }
            Line::History(row) => {
                self.report.history += 1;
                self.rows
                    .entry(Table::History)
                    .or_default()
                    .push(row.seen());
            }
        }
        Some(())
    }

    fn verify(mut self, trust: &Trust) -> ExportReport {
        self.report.chain = verify_chain(&self.seals, trust);
        self.seals
            .sort_by_key(|seal| (seal.table, seal.first_id, seal.number));
        self.seals.dedup_by_key(|seal| seal.number);
        self.verify_table(Table::Events, &IdRanges::default());
        let proven = |event: i64, export: &Self| {
            let seal = export.seal_of(Table::Events, event);
            seal.is_none_or(|place| {
                export
                    .report
                    .batches
                    .get(place)
                    .is_some_and(|batch| batch.vouches_for(event))
            })
        };
        let erased = IdRanges::new(
            self.receipts
                .iter()
                .filter(|(event, _)| proven(*event, &self))
                .flat_map(|(_, ranges)| ranges.iter().cloned()),
        );
        self.verify_table(Table::History, &erased);
        self.report
    }

    /// The place of the seal that speaks for a row.
    fn seal_of(&self, table: Table, id: i64) -> Option<usize> {
        let after = self
            .seals
            .partition_point(|seal| (seal.table, seal.first_id) <= (table, id));
        let place = after.checked_sub(1)?;
        let seal = self.seals.get(place)?;
        (seal.table == table && (seal.first_id..=seal.last_id).contains(&id)).then_some(place)
    }

    fn verify_table(&mut self, table: Table, erased: &IdRanges) {
        let last_sealed = self
            .seals
            .iter()
            .filter(|seal| seal.table == table)
            .map(|seal| seal.last_id)
            .max();
        let mut rows: Vec<(usize, SeenRow)> = Vec::new();
        for row in self.rows.remove(&table).unwrap_or_default() {
            let id = row.leaf.id;
            match self.seal_of(table, id) {
                Some(place) => rows.push((place, row)),
                None if last_sealed.is_none_or(|last| id > last) => self.report.unsealed += 1,
                None if self.report.uncovered.len() < MAX_LISTED => {
                    self.report.uncovered.push((table, id));
                }
                None => self.report.more_faults += 1,
            }
        }
        // Stable: rows of one batch stay in the order in which they came.
        rows.sort_by_key(|(place, _)| *place);
        let mut rest = rows.as_slice();
        for (place, seal) in self.seals.iter().enumerate() {
            if seal.table != table {
                continue;
            }
            let (batch, others) = rest.split_at(rest.partition_point(|(of, _)| *of <= place));
            rest = others;
            let batch = batch.iter().map(|(_, row)| *row);
            let kept = self.leaves.get(&seal.number).map(Vec::as_slice);
            self.report
                .batches
                .push(verify_batch(seal, batch, kept, erased));
        }
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)])
        .collect()
}

fn from_hex(digits: &str) -> Option<Vec<u8>> {
    let value = |digit: u8| char::from(digit).to_digit(16).map(|value| value as u8);
    digits
        .as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(value(*high)? << 4 | value(*low)?),
            _ => None,
        })
        .collect()
}

/// Bytes as hexadecimal digits in JSON, or null.
pub(super) mod hexadecimal {
    use std::borrow::Cow;

    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub fn serialize<S: Serializer>(
        bytes: &Option<impl AsRef<[u8]>>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let digits = bytes.as_ref().map(|bytes| super::to_hex(bytes.as_ref()));
        digits.serialize(serializer)
    }

    pub fn deserialize<'de, 'a, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Cow<'a, [u8]>>, D::Error> {
        let Some(digits) = Option::<Cow<str>>::deserialize(deserializer)? else {
            return Ok(None);
        };
        match super::from_hex(&digits) {
            Some(bytes) => Ok(Some(Cow::Owned(bytes))),
            None => Err(D::Error::custom("not hexadecimal digits")),
        }
    }
}

/// The same for what is as long as a hash.
pub(super) mod hexadecimal_hash {
    use serde::{Deserializer, Serializer, de::Error};

    use super::Hash;

    pub fn serialize<S: Serializer>(
        bytes: &Option<Hash>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        super::hexadecimal::serialize(bytes, serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Hash>, D::Error> {
        super::hexadecimal::deserialize(deserializer)?
            .map(|bytes| {
                bytes
                    .as_ref()
                    .try_into()
                    .map_err(|_| D::Error::custom("not 64 hexadecimal digits"))
            })
            .transpose()
    }
}
