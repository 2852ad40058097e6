//! Metrics, for scrapers and for people.

use pgrx::prelude::*;

use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::monitoring;

/// All metrics of this database's store in Prometheus's text format 0.0.4.
///
/// Counters and durations count from the server's start, in memory that it shares: with the library in shared_preload_libraries only,
/// else memory_ext_preloaded is 0 and they are absent. They count whatever becomes of the transaction. Numbers of rows are estimated
/// (memory_stats() counts), backlogs are counted up to 100001. Absent is what there is none of, or what cannot be known: before
/// memory_init(), in an older store, while the table is locked (memory_ext_scrape_errors). Works on a standby. For members of
/// pg_monitor, the owner of the memories and admins of every project. Errors: 42501, 55P03 (for the latter two, while a table is locked).
#[pg_extern(volatile, parallel_unsafe)]
fn memory_metrics() -> Result<String> {
    measured(Operation::Metrics, || Ok(monitoring::metrics()?))
}

/// The metrics of memory_metrics() as rows, with rows and backlogs counted, which reads the tables; and memories by what they are
/// (memory_memories: total, live, keyed, expired, deleted, deprecated, sensitive, eligible for a vector, embedded, waiting, stale, over:
/// expired, deleted or not) and by type.
///
/// project_id NULL is the whole store; for one project there are its counts alone, for its admins too. Of durations there are _count and
/// _sum. memory_ext_scrape_errors is the number of parts that could not be read. Errors: 22023, 42501, 55P03.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_stats(
    project_id: default!(Option<&str>, "NULL"),
) -> Result<TableIterator<'static, (name!(name, String), name!(value, f64), name!(labels, Jsonb))>>
{
    measured(Operation::Stats, || {
        let rows = monitoring::stats(project_id)?;
        Ok(TableIterator::new(rows.into_iter().map(
            |(name, value, labels)| (name, value, Jsonb::parse(&labels.to_string())),
        )))
    })
}
