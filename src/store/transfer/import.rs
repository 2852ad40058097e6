//! Lines into the store: checked to the last one, then written batch by batch.

use std::collections::HashSet;

use memory_core::jsonl::{Format, Header, Record, Skipped, Target};
use serde_json::{Map, Value, json};

use super::batch::{Item, OnConflict, Tally, distinct, owned};
use super::decide::{Decision, Fate, Imagined, decide};
use super::reader::{self, Reader};
use super::refusal::{self, Place};
use super::rules::Rules;
use super::source::Source;
use super::succession::Successions;
use super::{votes, write};
use crate::pg::error::{Error, Result};
use crate::pg::spi::Session;
use crate::pg::system;
use crate::store::access::Call;
use crate::store::maintenance::progress::{Phase, Progress};
use crate::store::{content_policy, events, memory, resolve};

/// What a caller says of an import.
pub struct Wish<'a> {
    pub format: Option<&'a str>,
    pub on_conflict: &'a str,
    pub namespace: Option<&'a str>,
    pub agent_id: Option<&'a str>,
    pub unknown: &'a str,
    pub dry_run: bool,
    pub confirm_sensitive: bool,
    /// The project was named in the call.
    pub names_project: bool,
}

struct Checked<'a> {
    reader: reader::Wish<'a>,
    policy: OnConflict,
}

impl<'a> Wish<'a> {
    fn check(&self) -> Result<Checked<'a>> {
        let format = match self.format {
            None => None,
            Some(name) => Some(Format::named(name).ok_or_else(|| {
                let names: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
                Error::argument(format!("unknown format {name:?}")).hint(format!(
                    "Formats of an import are: {}; left out, the first line tells it.",
                    names.join(", ")
                ))
            })?),
        };
        let keep_unknown = match self.unknown {
            "refuse" => false,
            "metadata" => true,
            other => {
                return Err(Error::argument(format!("unknown is {other:?}"))
                    .hint("It is refuse or metadata."));
            }
        };
        for (name, value) in [("namespace", self.namespace), ("agent_id", self.agent_id)] {
            if let Some(value) = value {
                memory::check_name(name, value)?;
            }
        }
        Ok(Checked {
            reader: reader::Wish {
                format,
                target: Target {
                    namespace: self.namespace,
                    agent_id: self.agent_id,
                },
                keep_unknown,
            },
            policy: OnConflict::named(self.on_conflict)?,
        })
    }
}

/// Imports everything or nothing; the report.
pub fn run(call: &Call, source: &dyn Source, wish: &Wish<'_>) -> Result<Value> {
    let checked = wish.check()?;
    let mut tally = Tally::default();
    let (mut format, mut lines, mut skipped) = (None, 0, Skipped::default());
    let (mut dropped, mut redacted) = ([("vectors", 0), ("vote counts", 0)], 0);
    if let Some(reader) = Reader::of(source, &checked.reader)? {
        let rules = Rules::of(
            call,
            reader.format,
            wish.names_project,
            wish.confirm_sensitive,
        )?;
        lines = check(&reader, source, &rules)?;
        format = Some(reader.format.name());
        let progress = Progress::of(Phase::Writing, i64::try_from(lines).unwrap_or(0));
        let mut taken = 0;
        let mut writer = Writer {
            call,
            rules: &rules,
            policy: checked.policy,
            imagined: wish.dry_run.then(Imagined::default),
            now: votes::exported_time(Some(system::now()), || "now".to_owned())?
                .unwrap_or_default(),
            items: Vec::new(),
            bytes: 0,
            mostly_new: true,
            tally,
            dropped_vectors: 0,
            dropped_counts: 0,
            redacted: 0,
            successions: Successions::default(),
        };
        reader.each(source, &mut |item| {
            taken += 1;
            progress.note(taken);
            match item {
                reader::Item::Header(..) => {}
                reader::Item::Skipped(more) => skipped.extend(&more),
                reader::Item::Record(place, record) => writer.take(place, record)?,
            }
            Ok(())
        })?;
        writer.flush()?;
        writer.successions.check(call, writer.imagined.as_ref())?;
        tally = writer.tally;
        dropped[0].1 = writer.dropped_vectors;
        dropped[1].1 = writer.dropped_counts;
        redacted = writer.redacted;
    }
    let mut kinds: Map<String, Value> = skipped
        .iter()
        .map(|(kind, count)| (kind.to_owned(), count.into()))
        .collect();
    for (kind, count) in dropped.into_iter().filter(|(_, count)| *count > 0) {
        kinds.insert(kind.to_owned(), count.into());
    }
    let report = json!({
        "format": format,
        "lines": lines,
        "imported": tally.imported,
        "updated": tally.updated,
        "skipped_existing": tally.skipped_existing,
        "identical": tally.identical,
        "skipped": kinds,
        "votes": tally.votes,
        "sensitive": tally.sensitive,
        "redacted": redacted,
        "dry_run": wish.dry_run,
    });
    if !wish.dry_run {
        call.sql(|session| events::record(call, session, "import", None, &report));
    }
    Ok(report)
}

/// Reads everything once, so that a bad line is named before the first is written; the number of lines.
fn check(reader: &Reader<'_>, source: &dyn Source, rules: &Rules<'_>) -> Result<u64> {
    let progress = Progress::of(Phase::Checking, 0);
    let mut checked = 0;
    let mut count = Count::default();
    let lines = reader.each(source, &mut |item| {
        checked += 1;
        progress.note(checked);
        match item {
            reader::Item::Header(place, header) => {
                count.header(place, &header)?;
                if header.memories.is_none() {
                    rules.note(&header);
                }
            }
            reader::Item::Record(place, record) => {
                count.memories += 1;
                rules.check(place, &record)?;
            }
            reader::Item::Skipped(_) => {}
        }
        Ok(())
    })?;
    count.end(Place::Line(lines + 1))?;
    Ok(lines)
}

/// Whether all came of what an export says it has.
#[derive(Default)]
struct Count {
    /// The export has begun, and its last line is to come.
    is_open: bool,
    memories: u64,
}

impl Count {
    fn header(&mut self, place: Place, header: &Header<'_>) -> Result<()> {
        match header.memories {
            Some(count) if self.is_open && count != self.memories => {
                return Err(refusal::of_count(place, self.memories, count));
            }
            Some(_) => {}
            // Exports may be put one after the other.
            None => self.end(place)?,
        }
        *self = Count {
            is_open: header.is_counted,
            memories: 0,
        };
        Ok(())
    }

    fn end(&self, place: Place) -> Result<()> {
        match self.is_open {
            true => Err(refusal::of_missing_end(place)),
            false => Ok(()),
        }
    }
}

/// Records written together, and what their texts and vectors may add up to: whichever is reached first.
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: usize = 8 << 20;

struct Writer<'w, 'c> {
    call: &'c Call,
    rules: &'w Rules<'c>,
    policy: OnConflict,
    /// Of a dry run.
    imagined: Option<Imagined>,
    now: String,
    items: Vec<Item>,
    bytes: usize,
    /// So were the items of the batch before.
    mostly_new: bool,
    tally: Tally,
    dropped_vectors: u64,
    /// Memories whose counters count votes that did not come.
    dropped_counts: u64,
    redacted: u64,
    successions: Successions,
}

impl Writer<'_, '_> {
    fn take(&mut self, place: Place, mut record: Record<'_>) -> Result<()> {
        if self.rules.drops_vectors() && record.embedding.take().is_some() {
            record.embedded_hash = None;
            self.dropped_vectors += 1;
        }
        // An agent whose vote was counted, but is not there, would count twice as soon as it votes.
        let counts = votes::counts(record.votes.as_deref().unwrap_or_default());
        if (record.bullet_helpful, record.bullet_harmful) != counts {
            (record.bullet_helpful, record.bullet_harmful) = counts;
            self.dropped_counts += 1;
        }
        if let Some(content) = self.rules.redacted(place, &record)? {
            record.content = content.into();
            record.content_hash = None;
            // The vector of a redacted text would still tell what it said.
            record.embedding = None;
            record.embedded_hash = None;
            self.redacted += 1;
        }
        if content_policy::is_on() {
            // They are found anew.
            record.content_flags = Vec::new();
        }
        self.bytes += record.content.len()
            + record.metadata.as_str().len()
            + size_of_val(record.embedding.as_deref().unwrap_or_default());
        self.items
            .push(Item::of(place, record.into_owned(), &self.now));
        if self.items.len() >= BATCH_ROWS || self.bytes >= BATCH_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.bytes = 0;
        let items = std::mem::take(&mut self.items);
        let mut pending = distinct(items, self.policy, &mut self.tally)?;
        // All transactions take the index entries of a batch in the same order, so that two cannot wait for each other.
        pending.sort_by(|a, b| {
            let order = |item: &Item| (item.held_hash(), item.held_key().map(owned));
            order(a).cmp(&order(b))
        });
        // Nothing is looked up of what goes in at once.
        if self.imagined.is_none() && self.mostly_new {
            let all = pending.len();
            let call = self.call;
            pending = call.sql(|session| self.write(session, pending, Decision::to_insert(all)))?;
            self.mostly_new = pending.len() * 2 <= all;
        }
        // What a concurrent writer has put in the way between the look and the write is looked at again.
        const ROUNDS: usize = 8;
        for _ in 0..ROUNDS {
            if pending.is_empty() {
                return Ok(());
            }
            system::check_for_interrupts();
            let call = self.call;
            pending = call.sql(|session| {
                let decision = decide(
                    call,
                    session,
                    &pending,
                    self.policy,
                    self.imagined.as_ref(),
                    &mut self.tally,
                )?;
                self.write(session, pending, decision)
            })?;
        }
        Err(
            Error::version_conflict("equal memories are being added and removed at the same time")
                .hint("Try again."),
        )
    }

    /// Writes what is to be written; the items that were kept out all the same.
    fn write(
        &mut self,
        session: &Session,
        items: Vec<Item>,
        decision: Decision,
    ) -> Result<Vec<Item>> {
        let of = |wanted: fn(&Fate) -> bool| {
            let chosen = items.iter().zip(&decision.fates);
            chosen
                .filter(move |(_, fate)| wanted(fate))
                .map(|(item, _)| item)
        };
        let new = of(|fate| *fate == Fate::Insert);
        let changed = of(|fate| matches!(fate, Fate::Update { .. }));
        let renewed: HashSet<String> = of(|fate| matches!(fate, Fate::Update { renewed: true }))
            .map(|item| item.id().to_owned())
            .collect();
        if let Some(imagined) = &mut self.imagined {
            for item in new.clone().chain(changed.clone()) {
                imagined.note(item);
                self.successions.note(item);
                self.tally.votes += item.record.votes.as_ref().map_or(0, Vec::len) as u64;
            }
            self.tally.count(new, changed);
            return Ok(Vec::new());
        }
        resolve::tombstone(self.call, session, decision.displaced.clone());
        write::update(self.call, session, changed.clone(), &renewed);
        let inserted = write::insert(self.call, session, new.clone());
        let written: Vec<&Record<'_>> = new
            .clone()
            .filter(|item| inserted.contains(item.id()))
            .chain(changed.clone())
            .map(|item| &item.record)
            .collect();
        let taken = new.clone().filter(|item| inserted.contains(item.id()));
        for item in taken.chain(changed.clone()) {
            self.successions.note(item);
        }
        let replaced: Vec<String> = changed
            .clone()
            .filter(|item| item.record.votes.is_some())
            .map(|item| item.id().to_owned())
            .collect();
        self.tally.votes += votes::write(self.call, session, &written, replaced)?;
        self.tally.count(
            new.clone().filter(|item| inserted.contains(item.id())),
            changed,
        );
        let left: HashSet<String> = new
            .filter(|item| !inserted.contains(item.id()))
            .map(|item| item.id().to_owned())
            .collect();
        Ok(items
            .into_iter()
            .filter(|item| left.contains(item.id()))
            .collect())
    }
}

impl Tally {
    fn count<'i>(
        &mut self,
        new: impl Iterator<Item = &'i Item>,
        changed: impl Iterator<Item = &'i Item>,
    ) {
        for item in new {
            self.imported += 1;
            self.sensitive += u64::from(item.record.is_sensitive);
        }
        for item in changed {
            self.updated += 1;
            self.sensitive += u64::from(item.record.is_sensitive);
        }
    }
}
