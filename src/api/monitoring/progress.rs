//! How far long calls are.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;

use crate::pg::error::{Error, SqlResult as Result};
use crate::pg::measure::{Operation, measured};
use crate::pg::{progress, system};
use crate::store::monitoring;

/// Long calls of this database that are under way: export, import, backup, restore, verification of a backup, reembed, rebuild_index,
/// integrity checks, sealing, verification and export of the audit trail, duplicates, consolidation, curation, clean-up, forgetting, expiry;
/// and the background worker's.
///
/// done rows of total (NULL: not known beforehand; of statements that do all at once done stays 0), percent, rate in rows a second, remaining time; phase is what the call is at, and a
/// call may have several rows. One's own calls, those of all roles for members of pg_monitor. How far an index is built, only
/// pg_stat_progress_create_index tells. Needs the library in shared_preload_libraries. Errors: 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_progress() -> Result<
    TableIterator<
        'static,
        (
            name!(pid, i32),
            name!(operation, String),
            name!(phase, String),
            name!(done, i64),
            name!(total, Option<i64>),
            name!(percent, Option<f64>),
            name!(rate, f64),
            name!(remaining, Option<Interval>),
            name!(started_at, TimestampWithTimeZone),
            name!(role, String),
        ),
    >,
> {
    measured(Operation::Progress, || {
        let running = progress::running().ok_or_else(|| {
            Error::state("memory_ext is not preloaded: how far other sessions are is not known")
                .hint("Set shared_preload_libraries = 'memory_ext' and restart the server.")
        })?;
        let seen: Vec<_> = running
            .into_iter()
            .filter(|call| monitoring::may_see_call(call.role))
            .map(|call| {
                let seconds = call.elapsed.as_secs_f64().max(1e-3);
                let rate = call.done as f64 / seconds;
                let total = call.total.map(|total| total.max(call.done));
                let percent = total.map(|total| match total {
                    0 => 100.0,
                    total => 100.0 * call.done as f64 / total as f64,
                });
                let remaining = total.filter(|_| rate > 0.0).map(|total| {
                    Interval::from_seconds(((total - call.done) as f64 / rate).round())
                });
                (
                    call.pid,
                    call.operation.to_owned(),
                    call.phase.to_owned(),
                    i64::try_from(call.done).unwrap_or(i64::MAX),
                    total.map(|total| i64::try_from(total).unwrap_or(i64::MAX)),
                    percent,
                    rate,
                    remaining,
                    system::clock_before(call.elapsed),
                    system::role_name(call.role),
                )
            })
            .collect();
        Ok(TableIterator::new(seen))
    })
}
