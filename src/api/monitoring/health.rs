//! Health and readiness, for probes.

use pgrx::prelude::*;

use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::monitoring;

/// How the store is, as JSON: numbers only, for any role.
///
/// status is healthy, degraded (it works, but somebody should look: issues says at what), unhealthy (it cannot be used as it is) or
/// uninitialized. version, store_version; db_health (in_recovery, read_only, connections of clients, max_connections,
/// reserved_connections); memories (total, live, keyed, expired, deleted, deprecated, sensitive; estimated beyond 50000 or 100 MB, else
/// counted); vectors (eligible, embedded, waiting, stale, sync_ratio); backlog (expired, tombstones, unsealed; up to 100001); worker (preloaded, last_run, runs, errors); index (valid, bytes); issues, a list
/// of texts. What cannot be known is null. Works on a standby. Raises no error for what it is to report.
#[pg_extern(stable, parallel_unsafe)]
fn memory_health() -> Result<Jsonb> {
    measured(Operation::Health, || {
        Ok(Jsonb::parse(&monitoring::health().to_string()))
    })
}

/// Whether the store can be used: it is there, of a version that the library serves, with all its tables. Without a valid
/// vector index it is slow, but serves.
///
/// Looks into the catalogs only, whatever the size of the store: for readiness probes, by any role. False, never an error, where it cannot, as
/// where memory_models or memory_migrations is locked and the session has not read them yet.
#[pg_extern(stable, parallel_unsafe)]
fn memory_ready() -> Result<bool> {
    measured(Operation::Ready, || Ok(monitoring::ready()))
}
