//! Vectors and their index, made anew.

use pgrx::prelude::*;

use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::maintenance;
use crate::store::maintenance::rebuild;
use crate::store::maintenance::reembed::{self, Task};

/// Drops the vector index and builds it again, with other parameters if given: m 2..100 (links of a vector), ef_construction 4..1000
/// (candidates while building, at least twice m).
///
/// reembed makes the vectors anew first, as memory_reembed() does. Locks memories exclusively (ACCESS EXCLUSIVE) until the transaction
/// ends: reading waits too; memory_rebuild_script() rebuilds while others work. As fast as maintenance_work_mem of the session lets it:
/// about 4 kB a vector of 384 dimensions. Returns found, eligible (not sensitive, not deleted), embedded, failed, index (name, m,
/// ef_construction, seconds, size in bytes), reembed, and verification: of 100 memories searched, how many found themselves, and by_index, whether this
/// transaction could use the new index (later ones can; memory_recall_check() tells). For the
/// owner of the memories and admins of every project. Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_rebuild_index(
    m: default!(Option<i32>, "NULL"),
    ef_construction: default!(Option<i32>, "NULL"),
    reembed: default!(Option<bool>, "false"),
) -> Result<Jsonb> {
    measured(Operation::RebuildIndex, || {
        let call = maintenance::begin(None, true, "rebuild")?;
        let report = rebuild::rebuild(&call, m, ef_construction, reembed.unwrap_or(false))?;
        Ok(Jsonb::parse(&report.to_string()))
    })
}

/// A script for psql that builds the vector index anew while others read and write: the new index is built beside the old one
/// (CREATE INDEX CONCURRENTLY), which serves until then.
///
/// Arguments as for memory_rebuild_index(). It has to run as the owner of the memories, outside a transaction: \o script.sql and \i
/// do, or psql -c the function and pipe the outcome into another psql. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_rebuild_script(
    m: default!(Option<i32>, "NULL"),
    ef_construction: default!(Option<i32>, "NULL"),
) -> Result<String> {
    measured(Operation::RebuildScript, || {
        let call = maintenance::begin(None, false, "rebuild")?;
        Ok(rebuild::script(&call, m, ef_construction)?)
    })
}

/// Makes the vectors of memories anew by the store's embedder, in the order of their ids; sensitive and deleted ones have none.
///
/// batch is how many rows to look at (1 or more), after the id behind which to begin: call it with next of the call before until next
/// is null. only_stale leaves out what has the vector of its present text. A row that cannot be written is reported and does not stop
/// the rest. Returns found (looked at), eligible, embedded, written (of those, the ones that had another vector), failed, errors (up to
/// 10), searched and verified (of up to 100 of them, how many the vector index leads to), next. A NOTICE tells the
/// progress. project_id NULL is the whole store, for its owner and admins of every project. In a store whose embedder is external:
/// 55000. Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_reembed(
    batch: default!(Option<i32>, "1000"),
    after: default!(Option<&str>, "NULL"),
    only_stale: default!(Option<bool>, "false"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<Jsonb> {
    measured(Operation::Reembed, || {
        let call = maintenance::begin(project_id, true, "reembed")?;
        let task = Task {
            project_id,
            batch: batch.unwrap_or(1000).into(),
            after,
            only_stale: only_stale.unwrap_or(false),
            verify: true,
        };
        let outcomes = reembed::run(&call, &task)?;
        Ok(Jsonb::parse(&outcomes.report().to_string()))
    })
}
