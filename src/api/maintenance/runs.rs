//! Rounds of maintenance, and what they left.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::api::arguments::strings;
use crate::pg::error::{Error, SqlResult as Result};
use crate::pg::json::Jsonb;
use crate::pg::measure::{self, measured};
use crate::store::maintenance::runs::{self, Operation};
use crate::store::maintenance::{self, cleanup};
use crate::store::{Call, integrity, migrate, open};

/// Finds what is left of what is gone, in the whole store, and removes it where dry_run is false: a row a kind, how many were found
/// and removed.
///
/// votes, vote_changes, usage: of memories that are not there. history: old versions of memories whose row is gone and whose time is over,
/// or that were deleted before memory_ext.tombstone_retention; until then memory_history() shows them. cached_vectors: of another model.
/// cached_secrets: vectors of texts that are secret. grants: of roles that are gone. inbox_lines: lines to import, older than 30 days, of
/// roles that are gone. successors: superseded_by that names a memory that is gone is cleared. aliases: of keys that have no memory, only
/// reported. What was removed is recorded as an event. For the owner of the memories and admins of every project. Errors: 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_cleanup_orphans(
    dry_run: default!(Option<bool>, "true"),
) -> Result<TableIterator<'static, (name!(what, String), name!(found, i64), name!(removed, i64))>> {
    measured(measure::Operation::CleanupOrphans, || {
        let dry_run = dry_run.unwrap_or(true);
        let call = maintenance::begin(None, !dry_run, "cleanup")?;
        let leftovers = cleanup::run(&call, dry_run);
        Ok(TableIterator::new(leftovers.into_iter().map(|leftover| {
            (leftover.what.to_owned(), leftover.found, leftover.removed)
        })))
    })
}

/// Runs maintenance of the whole store and returns a report of it: maintenance_run, and reports, one an operation.
///
/// operations: check_integrity, validate_vectors, cleanup_orphans, expire, reembed (what lacks the vector of its text), rebuild_index (locks
/// out readers, see memory_rebuild_index), analyze; NULL is all of them but reembed and rebuild_index, and with full also rebuild_index.
/// An operation that fails is undone, says so in its errors, and does not stop the rest. dry_run changes nothing and says what would
/// be done. Otherwise each report is kept: memory_maintenance_history(). For the owner of the memories and admins of every project.
/// Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_maintenance(
    operations: default!(Option<Vec<Option<String>>>, "NULL"),
    full: default!(Option<bool>, "false"),
    dry_run: default!(Option<bool>, "false"),
) -> Result<Jsonb> {
    measured(measure::Operation::Maintenance, || {
        let (full, dry_run) = (full.unwrap_or(false), dry_run.unwrap_or(false));
        let operations = match strings("operations", operations)? {
            Some(_) if full => {
                return Err(Error::argument("operations are given, and full is true")
                    .hint("Give one of them: full means all operations.")
                    .into());
            }
            Some(names) if names.is_empty() => {
                return Err(Error::argument("operations is an empty list")
                    .hint("Leave it out for the usual ones.")
                    .into());
            }
            Some(names) => names
                .iter()
                .map(|name| Operation::named(name))
                .collect::<std::result::Result<Vec<_>, _>>()?,
            None if full => Operation::FULL.to_vec(),
            None => Operation::USUAL.to_vec(),
        };
        // The store may lack what the checks look for.
        let store = open::open_to_inspect()?;
        store.require(migrate::SAFETY)?;
        let call = Call::begin_care(store, None, !dry_run, "maintenance")?;
        let report = runs::run(&call, &operations, full, dry_run);
        Ok(Jsonb::parse(&report.to_string()))
    })
}

/// What maintenance found and did, the newest first; page_size is 1..10000. The worker's rounds are here too, see
/// memory_ext.maintenance_interval. For the owner of the memories and admins of every project. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_maintenance_history(
    page_size: default!(Option<i32>, "50"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(run_id, i64),
            name!(operation, String),
            name!(role, String),
            name!(started_at, TimestampWithTimeZone),
            name!(completed_at, TimestampWithTimeZone),
            name!(issues_found, i64),
            name!(issues_resolved, i64),
            name!(report, Jsonb),
        ),
    >,
> {
    measured(measure::Operation::MaintenanceHistory, || {
        let call = integrity::begin(None)?;
        let kept = runs::history(&call, page_size.unwrap_or(50))?;
        Ok(TableIterator::new(kept.into_iter().map(|kept| {
            (
                kept.run_id,
                kept.operation,
                kept.role,
                kept.started_at,
                kept.completed_at,
                kept.issues_found,
                kept.issues_resolved,
                kept.report,
            )
        })))
    })
}
