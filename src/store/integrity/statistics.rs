//! What the planner knows of the memories.

use super::Inspection;
use super::finding::{Finding, Met, Status};
use crate::pg::spi::{Arg, Planning, Session};

pub const CHECK: &str = "statistics";

/// So many pages of memories are worth knowing about: about 10,000 memories, from where on the searches' paths differ.
const MANY_PAGES: i64 = 2500;

pub fn check(inspection: &Inspection<'_>, session: &Session) -> Finding {
    let sql = "SELECT pg_relation_size(c.oid) / current_setting('block_size')::bigint, EXISTS (SELECT FROM pg_stats s WHERE s.schemaname = n.nspname AND s.tablename = c.relname)
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = $1";
    let rows = session.read(
        sql,
        Planning::Custom,
        &[Arg::oid(inspection.call.store.memories)],
    );
    let pages: i64 = rows.get(0, 1).unwrap_or(0);
    let met = match pages >= MANY_PAGES && rows.get(0, 2) == Some(false) {
        true => Met::counted(1, vec!["memories was never analysed".into()]),
        false => Met::default(),
    };
    Finding::of(
        CHECK,
        Status::Warning,
        met,
        "Run ANALYZE memories; autovacuum does so by itself where it is on.",
    )
    .with("pages", pages)
}
