//! The old versions: their hashes, and whether their times can be.

use serde_json::{Value, json};

use memory_core::text;

use super::Inspection;
use super::finding::{Finding, MOST_SAMPLES, Met, Status, readable};
use crate::pg::spi::{Planning, Rows, Session};
use crate::pg::system;

pub const HASH: &str = "history_hash";
pub const INTERVALS: &str = "history_intervals";

const BATCH: i64 = 1000;

/// Every old version has the hash of its content.
pub fn hashes(inspection: &Inspection<'_>, session: &Session) -> Finding {
    let sql = inspection.call.store.sql(
        "SELECT h.memory_id, h.project_id, h.history_id, h.content, h.content_hash FROM @s@.memory_history h
         WHERE ($1::text IS NULL OR h.project_id = $1)",
    );
    let (mut met, mut checked) = (Met::default(), 0);
    session.scan(
        &sql,
        Planning::Custom,
        &[inspection.project()],
        BATCH,
        |rows| {
            system::check_for_interrupts();
            for row in 0..rows.len() {
                checked += 1;
                let content = rows.bytes(row, 4).unwrap_or_default();
                let hash = std::str::from_utf8(&content).ok().map(text::content_hash);
                if hash.as_ref().map(<[u8; 32]>::as_slice) != rows.bytes(row, 5).as_deref() {
                    met.one(|| version(rows, row));
                }
            }
        },
    );
    Finding::of(
        HASH,
        Status::Error,
        met,
        "An old version was changed behind the extension: compare memory_history with a backup.",
    )
    .with("checked", checked)
}

fn version(rows: &Rows<'_>, row: usize) -> Value {
    let text = |column| readable(&rows.bytes(row, column).unwrap_or_default());
    json!({ "id": text(1), "project_id": text(2), "history_id": rows.get::<i64>(row, 3) })
}

/// A version is dated by the start of the transaction that ended it. Of two transactions that change a memory one after the
/// other, the second to write may have been the first to start, so that times are out of order by as long as it has waited.
const TOLERATED: &str = "1 hour";

/// No version ends before it begins, nor begins before the one before it ends.
pub fn intervals(inspection: &Inspection<'_>, session: &Session) -> Finding {
    let sql = inspection.call.store.sql(&format!(
        "WITH v AS (
             SELECT memory_id, project_id, history_id, valid_from, valid_to,
                    lag(valid_to) OVER (PARTITION BY memory_id, project_id ORDER BY history_id) AS before
             FROM @s@.memory_history WHERE ($1::text IS NULL OR project_id = $1))
         SELECT memory_id, project_id, history_id, count(*) OVER ()
         FROM v WHERE valid_from > valid_to + interval '{TOLERATED}' OR valid_from < before - interval '{TOLERATED}'
         LIMIT {MOST_SAMPLES}"
    ));
    let rows = session.read(&sql, Planning::Custom, &[inspection.project()]);
    let sample = (0..rows.len()).map(|row| version(&rows, row)).collect();
    Finding::of(
        INTERVALS,
        Status::Warning,
        Met::counted(rows.get(0, 4).unwrap_or(0), sample),
        "These versions end before they begin, or overlap those before them: a clock was set back, or their times were changed.",
    )
    .with("tolerated", TOLERATED)
}
