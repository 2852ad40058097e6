//! The rows that are sealed, page by page, as the fields that `memory_core::seal` hashes.

use std::borrow::Cow;

use memory_core::seal::{Blind, EventFields, HistoryFields, Table, commitment};
use pgrx::datum::TimestampWithTimeZone;

use crate::pg::planner::IndexOrder;
use crate::pg::spi::{self, Planning, Rows};
use crate::pg::{system, times};
use crate::store::Store;

/// The table's name, and its column of numbers.
pub fn names(table: Table) -> (&'static str, &'static str) {
    match table {
        Table::Events => ("memory_events", "event_id"),
        Table::History => ("memory_history", "history_id"),
    }
}

const EVENT: &str = "t.event_id, t.occurred_at, t.event, t.project_id, t.memory_id, t.role, t.agent_id, t.payload::text";

/// The content, which may be long, is hashed by the server. convert_to() checks it: what is no text is an error.
const VERSION: &str = "t.history_id, t.project_id, t.memory_id, t.version, t.operation, t.namespace, t.agent_id, t.user_id, t.session_id,
    t.entity_id, t.scope, t.shared_with_agents, t.metadata::text, t.memory_type, t.key, t.is_sensitive, t.importance, t.created_at,
    t.expires_at, t.deleted_at, t.valid_from, t.valid_to, t.changed_by, t.changed_as_agent, t.is_deprecated, t.superseded_by,
    t.error_pattern, t.content_hash, sha256(convert_to(t.content, 'UTF8'))";

/// SE-3: the content of a version, unless it or its memory is secret.
const OPEN_CONTENT: &str = "CASE WHEN NOT t.is_sensitive AND NOT EXISTS (
        SELECT FROM @s@.memories m WHERE m.id = t.memory_id AND m.project_id = t.project_id AND m.is_sensitive) THEN t.content END";

/// As of when rows are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// As the statement that called sees them.
    Statement,
    /// As they are when a page is read.
    Latest,
}

/// Pages of a table's rows with numbers in a range, ascending. A page's rows are freed before the next page is read.
pub struct Pages<'a> {
    store: &'a Store,
    sql: String,
    rows: usize,
    after: i64,
    through: i64,
    view: View,
    is_over: bool,
}

impl<'a> Pages<'a> {
    pub fn new(store: &'a Store, table: Table, after: i64, through: i64, view: View) -> Self {
        let (columns, rows) = match table {
            Table::Events => (EVENT, 500),
            Table::History => (VERSION, 200),
        };
        Pages::of(store, table, columns, rows, (after, through), view)
    }

    /// The same with the contents that are not secret, in a last column; of versions few at a time, they may be long.
    pub fn with_contents(store: &'a Store, table: Table, after: i64) -> Self {
        let range = (after, i64::MAX);
        match table {
            Table::Events => Pages::of(store, table, EVENT, 500, range, View::Statement),
            Table::History => {
                let columns = format!("{VERSION}, {OPEN_CONTENT}");
                Pages::of(store, table, &columns, 8, range, View::Statement)
            }
        }
    }

    fn of(
        store: &'a Store,
        table: Table,
        columns: &str,
        rows: usize,
        (after, through): (i64, i64),
        view: View,
    ) -> Self {
        let (name, id) = names(table);
        // With ties: nothing in the table keeps two versions from having one number.
        let sql = store.sql(&format!(
            "SELECT {columns} FROM @s@.{name} t WHERE t.{id} > $1 AND t.{id} <= $2 ORDER BY t.{id} FETCH FIRST {rows} ROWS WITH TIES"
        ));
        Pages {
            store,
            sql,
            rows,
            after,
            through,
            view,
            is_over: after >= through,
        }
    }

    /// Shows the rows of the next page; false when there was none.
    pub fn next(&mut self, mut work: impl FnMut(&Rows<'_>, usize)) -> bool {
        if self.is_over {
            return false;
        }
        system::check_for_interrupts();
        let args = [self.after.into(), self.through.into()];
        let _owner = self.store.as_owner();
        let (count, last) = spi::connect(|session| {
            let _plan = IndexOrder::enforce();
            let rows = match self.view {
                View::Statement => session.read(&self.sql, Planning::Generic, &args),
                View::Latest => session.write(&self.sql, &args),
            };
            (0..rows.len()).for_each(|row| work(&rows, row));
            let last = rows.len().checked_sub(1);
            (rows.len(), last.map(|last| rows.required::<i64>(last, 1)))
        });
        self.is_over = count < self.rows;
        self.after = last.unwrap_or(self.through);
        count > 0
    }
}

/// A text as it is there: one that was made invalid behind PostgreSQL's back is another text, not an error.
fn text<'r>(rows: &'r Rows<'_>, row: usize, column: usize) -> Option<Cow<'r, str>> {
    Some(match rows.bytes(row, column)? {
        Cow::Borrowed(bytes) => String::from_utf8_lossy(bytes),
        Cow::Owned(bytes) => Cow::Owned(String::from_utf8_lossy(&bytes).into_owned()),
    })
}

fn required<'r>(rows: &'r Rows<'_>, row: usize, column: usize) -> Cow<'r, str> {
    text(rows, row, column).unwrap_or_default()
}

fn time(rows: &Rows<'_>, row: usize, column: usize) -> Option<i64> {
    rows.get::<TimestampWithTimeZone>(row, column)
        .map(times::number)
}

pub fn event<'r>(rows: &'r Rows<'_>, row: usize) -> EventFields<'r> {
    EventFields {
        event_id: rows.required(row, 1),
        occurred_at: time(rows, row, 2).unwrap_or_default(),
        event: required(rows, row, 3),
        project_id: required(rows, row, 4),
        memory_id: text(rows, row, 5),
        role: required(rows, row, 6),
        agent_id: text(rows, row, 7),
        payload: required(rows, row, 8),
    }
}

/// A version without its content, which the commitment stands for; none where there is no blind.
pub fn version<'r>(rows: &'r Rows<'_>, row: usize, blind: Option<&Blind>) -> HistoryFields<'r> {
    let history_id = rows.required(row, 1);
    let content_hash = rows.bytes(row, 28).unwrap_or_default();
    let content_sha256: Option<[u8; 32]> = rows
        .bytes(row, 29)
        .and_then(|hash| hash.as_ref().try_into().ok());
    HistoryFields {
        history_id,
        project_id: required(rows, row, 2),
        memory_id: required(rows, row, 3),
        version: rows.required(row, 4),
        operation: required(rows, row, 5),
        content: None,
        content_hash: None,
        blind: None,
        commitment: blind.map(|blind| {
            commitment(
                &blind.of_row(history_id),
                &content_sha256.unwrap_or_default(),
                &content_hash,
            )
        }),
        namespace: required(rows, row, 6),
        agent_id: text(rows, row, 7),
        user_id: text(rows, row, 8),
        session_id: text(rows, row, 9),
        entity_id: text(rows, row, 10),
        scope: required(rows, row, 11),
        shared_with_agents: rows.required(row, 12),
        metadata: required(rows, row, 13),
        memory_type: required(rows, row, 14),
        key: text(rows, row, 15),
        is_sensitive: rows.required(row, 16),
        importance: rows.required(row, 17),
        created_at: time(rows, row, 18).unwrap_or_default(),
        expires_at: time(rows, row, 19),
        deleted_at: time(rows, row, 20),
        valid_from: time(rows, row, 21).unwrap_or_default(),
        valid_to: time(rows, row, 22).unwrap_or_default(),
        changed_by: required(rows, row, 23),
        changed_as_agent: text(rows, row, 24),
        is_deprecated: rows.required(row, 25),
        superseded_by: text(rows, row, 26),
        error_pattern: text(rows, row, 27),
    }
}

/// A version with its content where that is not secret, of rows that have it.
pub fn open_version<'r>(
    rows: &'r Rows<'_>,
    row: usize,
    blind: Option<&Blind>,
) -> HistoryFields<'r> {
    let masked = version(rows, row, blind);
    match text(rows, row, 30) {
        None => masked,
        Some(content) => HistoryFields {
            content: Some(content),
            content_hash: rows.bytes(row, 28),
            blind: blind.map(|blind| blind.of_row(masked.history_id)),
            commitment: None,
            ..masked
        },
    }
}
