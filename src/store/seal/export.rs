//! The audit trail as lines that can be verified without the database, made as they are asked for.

use std::collections::VecDeque;
use std::rc::Rc;

use memory_core::seal::{Blind, Table, event_line, history_line, leaves_from_bytes, seal_line};
use serde_json::json;

use super::rows::{self, Pages};
use super::{COLUMNS, seal_of};
use crate::pg::error::Error;
use crate::pg::spi::{self, Arg, Planning};
use crate::pg::system;
use crate::store::access::Call;
use crate::store::maintenance::progress::{Phase, Progress};
use crate::store::{Store, events};

/// It lives across the calls of a set-returning function: each page is read under the snapshot of the statement that called,
/// which is the same for all of them.
pub struct Export {
    store: Rc<Store>,
    part: Part,
    /// Where the last page of the part ended.
    after: i64,
    /// The seal of the versions that are read now.
    batch: Option<Batch>,
    /// Its number, or that of the last one that was looked at.
    batch_number: i64,
    ready: VecDeque<String>,
    /// Lines that were made so far, told until all are.
    done: u64,
    progress: Option<Progress>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Seals,
    Rows(Table),
    End,
}

struct Batch {
    first_id: i64,
    last_id: i64,
    blind: Blind,
}

impl Export {
    /// Records the export, where that is possible, and gives its lines.
    pub fn begin(call: &Call) -> Export {
        system::log_for_operators(format!(
            "memory_ext: role {:?} exports the audit trail",
            call.access.role
        ));
        if !system::read_only() {
            let payload = json!({ "audit": true });
            call.sql(|session| events::record(call, session, "export", None, &payload));
        }
        Export {
            store: call.store.clone(),
            part: Part::Seals,
            after: i64::MIN,
            batch: None,
            batch_number: i64::MIN,
            ready: VecDeque::new(),
            done: 0,
            progress: Some(Progress::of(Phase::Exporting, lines(call))),
        }
    }

    fn push(&mut self, line: String) {
        // A text and its header have to fit into one allocation (utils/memutils.h).
        const MAX_TEXT_BYTES: usize = 0x3fff_ffff - 4;
        if line.len() > MAX_TEXT_BYTES {
            Error::limit(format!(
                "a row makes a line of {} bytes, over PostgreSQL's limit of {MAX_TEXT_BYTES} for a text",
                line.len()
            ))
            .raise();
        }
        self.ready.push_back(line);
        self.done += 1;
    }

    /// Reads the next page.
    fn fill(&mut self) {
        system::check_for_interrupts();
        let more = match self.part {
            Part::Seals => self.seal(),
            Part::Rows(table) => self.rows(table),
            Part::End => return,
        };
        if let Some(progress) = &self.progress {
            progress.note(self.done);
        }
        if !more {
            self.after = i64::MIN;
            self.part = match self.part {
                Part::Seals => Part::Rows(Table::Events),
                Part::Rows(Table::Events) => Part::Rows(Table::History),
                Part::Rows(Table::History) | Part::End => {
                    self.progress = None;
                    Part::End
                }
            };
        }
    }

    fn seal(&mut self) -> bool {
        let sql = self.store.sql(&format!(
            "SELECT {COLUMNS}, leaves FROM @s@.memory_audit_seals WHERE number > $1 ORDER BY number LIMIT 1"
        ));
        let _owner = self.store.as_owner();
        let found = spi::connect(|session| {
            let rows = session.read(&sql, Planning::Generic, &[self.after.into()]);
            if rows.is_empty() {
                return None;
            }
            let line = seal_of(&rows, 0).map(|seal| {
                let leaves = rows
                    .bytes(0, 11)
                    .and_then(|bytes| leaves_from_bytes(&bytes));
                seal_line(&seal, leaves.as_deref())
            });
            Some((rows.required(0, 1), line))
        });
        let Some((number, line)) = found else {
            return false;
        };
        self.after = number;
        // What no seal can be is missing in the export too, and found there.
        if let Some(line) = line {
            self.push(line);
        }
        true
    }

    fn rows(&mut self, table: Table) -> bool {
        let store = self.store.clone();
        let mut pages = Pages::with_contents(&store, table, self.after);
        let mut lines = Vec::new();
        let more = pages.next(|rows, row| {
            self.after = rows.required(row, 1);
            lines.push(match table {
                Table::Events => event_line(&rows::event(rows, row)),
                Table::History => {
                    let blind = self.blind_of(self.after);
                    history_line(&rows::open_version(rows, row, blind))
                }
            });
        });
        lines.into_iter().for_each(|line| self.push(line));
        more
    }

    /// What blinds a version; none where it is not sealed. Versions come by ascending number.
    fn blind_of(&mut self, history_id: i64) -> Option<&Blind> {
        while self
            .batch
            .as_ref()
            .is_none_or(|batch| batch.last_id < history_id)
        {
            let sql = self.store.sql(
                "SELECT number, first_id, last_id, blind FROM @s@.memory_audit_seals WHERE sealed_table = 'history' AND number > $1
                 ORDER BY number LIMIT 1",
            );
            let next = spi::connect(|session| {
                let rows = session.read(&sql, Planning::Generic, &[self.batch_number.into()]);
                let blind = rows.bytes(0, 4)?;
                let batch = Batch {
                    first_id: rows.get(0, 2)?,
                    last_id: rows.get(0, 3)?,
                    blind: Blind::new(blind.as_ref().try_into().unwrap_or_default()),
                };
                Some((rows.get::<i64>(0, 1)?, batch))
            });
            let (number, batch) = next?;
            self.batch_number = number;
            self.batch = Some(batch);
        }
        let batch = self.batch.as_ref()?;
        (batch.first_id <= history_id).then_some(&batch.blind)
    }
}

/// About how many lines there will be: seals and rows by the last seals' numbers and PostgreSQL's statistics.
fn lines(call: &Call) -> i64 {
    let sql = call.store.sql(
        "SELECT (SELECT count(*) FROM @s@.memory_audit_seals) + sum(greatest(reltuples, pg_stat_get_live_tuples(oid), 0))::bigint
         FROM pg_class WHERE relnamespace = $1 AND relname IN ('memory_events', 'memory_history')",
    );
    let args = [Arg::oid(call.store.identity.schema_oid)];
    call.sql(|session| session.read(&sql, Planning::Generic, &args).get(0, 1))
        .unwrap_or(0)
}

impl Iterator for Export {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        while self.ready.is_empty() {
            if self.part == Part::End {
                return None;
            }
            self.fill();
        }
        self.ready.pop_front()
    }
}
