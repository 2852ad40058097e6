//! Comparing the rows with their seals, and the seals with each other: a seal's rows at a time, under one snapshot.

use std::ops::RangeInclusive;

use memory_core::seal::{
    Anchor, Blind, ChainFault, ChainVerifier, IdRanges, Leaf, RowFault, Seal, SealKey, SeenRow,
    Table, Trust, Verdict, erased_history, leaves_from_bytes, verify_batch,
};
use serde_json::{Value, json};

use super::rows::{self, Pages, View};
use super::{COLUMNS, seal_of};
use crate::pg::spi::Planning;
use crate::pg::system;
use crate::store::access::Call;
use crate::store::maintenance::progress::{Phase, Progress};

/// Faults that are named; the others are counted.
const MOST_FAULTS: usize = 10_000;

/// The problem of seals whose key is not here.
pub const WRONG_KEY: &str = "wrong_key";
/// That of seals without one, which a key that is here ought to have made.
pub const NOT_KEYED: &str = "not_keyed";

/// Something that is not as it was sealed.
#[derive(Clone, Debug)]
pub struct Fault {
    /// In one word, see the documentation of memory_audit_verify().
    pub problem: &'static str,
    pub table: Option<Table>,
    pub id: Option<i64>,
    pub seal: Option<u64>,
    pub message: String,
}

/// What was found of a table.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Rows when they were sealed.
    pub sealed: u64,
    /// Of them, those that were erased since and have a receipt.
    pub erased: u64,
    pub unsealed: u64,
}

#[derive(Debug, Default)]
pub struct Report {
    pub faults: Vec<Fault>,
    pub more_faults: u64,
    pub seals: u64,
    /// Seals that were made with a key.
    pub keyed: u64,
    /// Whether the last one was.
    pub is_keyed: bool,
    pub last: Option<Anchor>,
    pub events: Tally,
    pub history: Tally,
}

impl Report {
    fn add(&mut self, fault: Fault) {
        if self.faults.len() < MOST_FAULTS {
            self.faults.push(fault);
        } else {
            self.more_faults += 1;
        }
    }

    pub fn found(&self) -> u64 {
        self.faults.len() as u64 + self.more_faults
    }

    fn tally(&mut self, table: Table) -> &mut Tally {
        match table {
            Table::Events => &mut self.events,
            Table::History => &mut self.history,
        }
    }

    pub fn message(&self) -> String {
        let tally = |tally: &Tally, what: &str| {
            format!(
                "{} {what} ({} erased since with a receipt, {} not sealed yet)",
                tally.sealed, tally.erased, tally.unsealed
            )
        };
        let verdict = match self.found() {
            0 => "intact".to_owned(),
            1 => "1 fault".to_owned(),
            count => format!("{count} faults"),
        };
        let key = match (self.seals, self.is_keyed) {
            (0, _) => "nothing is sealed yet",
            (_, true) => "made with a key",
            (_, false) => "made without a key: whoever may write the tables can make them anew",
        };
        format!(
            "{verdict}: {} seals, {key}; {}; {}",
            self.seals,
            tally(&self.events, "events"),
            tally(&self.history, "old versions")
        )
    }

    pub fn details(&self) -> Value {
        let tally = |tally: &Tally| json!({ "sealed": tally.sealed, "erased": tally.erased, "unsealed": tally.unsealed });
        json!({
            "faults": self.found(),
            "seals": self.seals,
            "keyed": self.is_keyed,
            "keyed_seals": self.keyed,
            "anchor": self.last.map(|anchor| anchor.to_string()),
            "events": tally(&self.events),
            "history": tally(&self.history),
        })
    }
}

/// Verifies both tables against their seals, and the seals against keys and anchor.
pub fn verify(call: &Call, keys: &[SealKey], anchor: Option<Anchor>) -> Report {
    let mut report = Report::default();
    let trust = Trust {
        keys,
        start: None,
        end: anchor,
    };
    let progress = Progress::of(Phase::Verifying, sealed_rows(call));
    chain(call, trust, &mut report);
    let none = IdRanges::default();
    let erased = table(call, Table::Events, &none, &mut report, &progress);
    let erased = IdRanges::new(erased);
    table(call, Table::History, &erased, &mut report, &progress);
    report
}

/// How many rows the seals are of, for the progress.
fn sealed_rows(call: &Call) -> i64 {
    let sql = call
        .store
        .sql("SELECT coalesce(sum(row_count), 0)::bigint FROM @s@.memory_audit_seals");
    call.sql(|session| session.read(&sql, Planning::Generic, &[]).get(0, 1))
        .unwrap_or(0)
}

/// Seals that were made with a key that is not here: many of them say one thing.
#[derive(Default)]
struct WithoutKey {
    first: u64,
    last: u64,
    count: u64,
}

fn chain(call: &Call, trust: Trust<'_>, report: &mut Report) {
    let sql = call.store.sql(&format!(
        "SELECT {COLUMNS} FROM @s@.memory_audit_seals WHERE number > $1 ORDER BY number LIMIT 1000"
    ));
    let is_without_keys = trust.keys.is_empty();
    let mut verifier = ChainVerifier::new(trust);
    let mut without_key = WithoutKey::default();
    let mut faults: Vec<ChainFault> = Vec::new();
    let mut after = i64::MIN;
    loop {
        system::check_for_interrupts();
        let count = call.sql(|session| {
            let rows = session.read(&sql, Planning::Generic, &[after.into()]);
            for row in 0..rows.len() {
                after = rows.required(row, 1);
                report.seals += 1;
                match seal_of(&rows, row) {
                    Some(seal) => {
                        faults.extend(verifier.push(&seal));
                        report.keyed += u64::from(seal.key_id.is_some());
                        report.is_keyed = seal.key_id.is_some();
                        report.last = Some(seal.anchor());
                    }
                    None => faults.push(ChainFault::Edited {
                        number: after.unsigned_abs(),
                    }),
                }
            }
            rows.len()
        });
        faults
            .drain(..)
            .for_each(|fault| report.add_chain(fault, &mut without_key));
        if count == 0 {
            break;
        }
    }
    for fault in verifier.finish() {
        report.add_chain(fault, &mut without_key);
    }
    if without_key.count > 0 {
        let WithoutKey { first, last, count } = without_key;
        let which = match is_without_keys {
            true => "memory_ext.audit_key_file is not set: their MACs are not verified",
            false => "memory_ext.audit_key_file has another key",
        };
        report.add(Fault {
            problem: WRONG_KEY,
            table: None,
            id: None,
            seal: Some(first),
            message: format!("{count} seals from {first} to {last} were made with a key that is not here: {which}"),
        });
    }
}

impl Report {
    fn add_chain(&mut self, fault: ChainFault, without_key: &mut WithoutKey) {
        use ChainFault::*;
        let (problem, seal) = match fault {
            WrongKey { number } => {
                if without_key.count == 0 {
                    without_key.first = number;
                }
                without_key.last = number;
                without_key.count += 1;
                return;
            }
            TruncatedHead { first } => ("chain_truncated", first),
            TruncatedTail { expected, .. } => ("chain_truncated", expected),
            Gap { from, .. } => ("seal_missing", from),
            Reordered { number } => ("seal_reordered", number),
            Duplicate { number } => ("seal_duplicate", number),
            Edited { number } => ("seal_edited", number),
            BrokenLink { number } => ("chain_broken", number),
            Replaced { number } => ("seal_replaced", number),
            NotKeyed { number } => (NOT_KEYED, number),
            IdsNotContiguous { number } => ("ranges_not_contiguous", number),
        };
        self.add(Fault {
            problem,
            table: None,
            id: None,
            seal: Some(seal),
            message: fault.to_string(),
        });
    }
}

/// A seal with what is kept beside it.
struct Kept {
    seal: Seal,
    leaves: Option<Vec<Leaf>>,
    blind: Blind,
}

/// The table's next seal behind a number.
fn next_seal(call: &Call, table: Table, after: i64) -> Option<(i64, Option<Kept>)> {
    let sql = call.store.sql(&format!(
        "SELECT {COLUMNS}, leaves, blind FROM @s@.memory_audit_seals WHERE sealed_table = $1 AND number > $2 ORDER BY number LIMIT 1"
    ));
    call.sql(|session| {
        let args = [table.name().into(), after.into()];
        let rows = session.read(&sql, Planning::Generic, &args);
        if rows.is_empty() {
            return None;
        }
        let kept = seal_of(&rows, 0).map(|seal| Kept {
            seal,
            leaves: rows
                .bytes(0, 11)
                .and_then(|bytes| leaves_from_bytes(&bytes)),
            blind: Blind::new(
                rows.bytes(0, 12)
                    .and_then(|bytes| bytes.as_ref().try_into().ok())
                    .unwrap_or_default(),
            ),
        });
        Some((rows.required(0, 1), kept))
    })
}

/// Verifies a table; gives the versions for whose erasure its rows are receipts.
fn table(
    call: &Call,
    table: Table,
    erased: &IdRanges,
    report: &mut Report,
    progress: &Progress,
) -> Vec<RangeInclusive<i64>> {
    let mut receipts = Vec::new();
    let (mut number, mut end) = (i64::MIN, None::<i64>);
    while let Some((next, kept)) = next_seal(call, table, number) {
        number = next;
        // What no seal can be is a fault of the chain already.
        let Some(kept) = kept else {
            continue;
        };
        let seal = &kept.seal;
        uncovered(call, table, end.unwrap_or(i64::MIN), seal.first_id, report);
        end = Some(end.map_or(seal.last_id, |end| end.max(seal.last_id)));
        receipts.extend(batch(call, &kept, erased, report));
        progress.note(report.events.sealed + report.history.sealed);
    }
    match end {
        // Without seals, or behind them, a receipt stands as it is.
        None => report.tally(table).unsealed = count_after(call, table, i64::MIN),
        Some(end) => report.tally(table).unsealed = count_after(call, table, end),
    }
    if table == Table::Events && end.is_some() {
        let mut pages = Pages::new(
            &call.store,
            table,
            end.unwrap_or(i64::MIN),
            i64::MAX,
            View::Statement,
        );
        while pages.next(|rows, row| {
            let event = rows::event(rows, row);
            receipts.extend(erased_history(&event.event, &event.payload));
        }) {}
    }
    receipts
}

/// Rows between the ranges of two seals, or before the first.
fn uncovered(call: &Call, table: Table, after: i64, before: i64, report: &mut Report) {
    let through = before.saturating_sub(1);
    let mut pages = Pages::new(&call.store, table, after, through, View::Statement);
    while pages.next(|rows, row| {
        let id = rows.required(row, 1);
        report.add(Fault {
            problem: "added",
            table: Some(table),
            id: Some(id),
            seal: None,
            message: format!("row {id} is in no seal, though later ones are"),
        });
    }) {}
}

fn count_after(call: &Call, table: Table, after: i64) -> u64 {
    let (name, id) = rows::names(table);
    let sql = call
        .store
        .sql(&format!("SELECT count(*) FROM @s@.{name} WHERE {id} > $1"));
    let count: Option<i64> = call.sql(|session| {
        session
            .read(&sql, Planning::Custom, &[after.into()])
            .get(0, 1)
    });
    count.unwrap_or(0).unsigned_abs()
}

fn batch(
    call: &Call,
    kept: &Kept,
    erased: &IdRanges,
    report: &mut Report,
) -> Vec<RangeInclusive<i64>> {
    let seal = &kept.seal;
    let (mut seen, mut receipts): (Vec<SeenRow>, Vec<(i64, RangeInclusive<i64>)>) =
        (Vec::new(), Vec::new());
    let before = seal.first_id.saturating_sub(1);
    let mut pages = Pages::new(
        &call.store,
        seal.table,
        before,
        seal.last_id,
        View::Statement,
    );
    while pages.next(|rows, row| match seal.table {
        Table::Events => {
            let event = rows::event(rows, row);
            let of_event = erased_history(&event.event, &event.payload);
            receipts.extend(of_event.into_iter().map(|range| (event.event_id, range)));
            seen.push(event.leaf().into());
        }
        Table::History => seen.push(rows::version(rows, row, Some(&kept.blind)).seen()),
    }) {}
    let found = verify_batch(seal, seen, kept.leaves.as_deref(), erased);
    let tally = report.tally(seal.table);
    tally.sealed += found.sealed_rows;
    tally.erased += found.erased_rows;
    receipts.retain(|(event, _)| found.vouches_for(*event));
    for fault in &found.faults {
        report.add(row_fault(fault, seal));
    }
    report.more_faults += found.more_faults;
    if found.verdict == Verdict::Unverifiable {
        report.add(Fault {
            problem: "unverifiable",
            table: Some(seal.table),
            id: None,
            seal: Some(seal.number),
            message: "rows were erased, and no leaves are kept that stand for them".to_owned(),
        });
    }
    receipts.into_iter().map(|(_, range)| range).collect()
}

fn row_fault(fault: &RowFault, seal: &Seal) -> Fault {
    let problem = match fault {
        RowFault::Missing { .. } | RowFault::MissingRows { .. } => "deleted",
        RowFault::Edited { .. } | RowFault::RowsDiffer => "edited",
        RowFault::Unexpected { .. } | RowFault::UnexpectedRows { .. } => "added",
        RowFault::Reordered { .. } => "reordered",
        RowFault::Duplicate { .. } => "duplicate",
        RowFault::KeptLeavesDiffer => "leaves_edited",
    };
    Fault {
        problem,
        table: Some(seal.table),
        id: fault.id(),
        seal: Some(seal.number),
        message: fault.to_string(),
    }
}
