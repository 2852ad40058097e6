//! The background worker's round: what is over is removed, what is too much is evicted, and now and then all is checked.

use std::rc::Rc;

use super::access::{self, Call, Privilege};
use super::maintenance::progress::{Phase, Progress};
use super::maintenance::{recall, runs};
use super::open::Store;
use super::{erase, migrate, open, seal};
use crate::pg::error::Result;
use crate::pg::guc;
use crate::pg::identity;
use crate::pg::measure::{self, Attempt, WorkerRun};
use crate::pg::subtransaction::{self, Outcome};
use crate::pg::system;

/// One transaction's worth of work; whether there may be more. A run is counted when nothing is left.
pub fn step() -> Result<bool> {
    if !identity::installed() {
        return Ok(false);
    }
    let run = WorkerRun::begin();
    let more = work()?;
    match more {
        true => run.go_on(),
        false => run.end(),
    }
    Ok(more)
}

fn work() -> Result<bool> {
    let Some(store) = open::enter_if_present(true)? else {
        return Ok(false);
    };
    let batch = guc::expire_batch();
    let call = Call::begin_on(
        store.clone(),
        Some(access::DEFAULT_PROJECT),
        Some("*"),
        Privilege::Admin,
        "expire",
    )?;
    let progress = Progress::of(Phase::Expiring, 0);
    let expired = erase::expire(&call, batch)?;
    progress.note(expired.unsigned_abs());
    let removed = expired + evict(&call, batch);
    drop(progress);
    drop(call);
    if removed >= i64::from(batch) {
        return Ok(true);
    }
    maintain(store)?;
    Ok(false)
}

/// The scheduled maintenance; a line in the log where it met something.
fn maintain(store: Rc<Store>) -> Result<()> {
    if guc::maintenance_interval().is_none() || store.migration < migrate::SAFETY {
        return Ok(());
    }
    let call = Call::begin_care(store, None, true, "maintenance")?;
    let Some(report) = runs::scheduled(&call) else {
        return Ok(());
    };
    let run = &report["maintenance_run"];
    let (found, resolved, failed) = (
        &run["issues_found"],
        &run["issues_resolved"],
        &run["failed"],
    );
    if *found != 0 || *failed != 0 {
        system::log_for_operators(format!(
            "memory_ext maintenance: {found} issues found, {resolved} resolved, {failed} operations failed; see memory_maintenance_history()"
        ));
    }
    Ok(())
}

/// Now and then, how much of the truth searches find; in a transaction of its own: whatever becomes of it, what is over is gone.
pub fn measure_recall() -> Result<bool> {
    if !identity::installed() || !guc::recall_check_interval().is_some_and(measure::recall_is_due) {
        return Ok(false);
    }
    let attempt = Attempt::measuring_recall();
    let outcome = subtransaction::attempt(|| {
        if let Some(store) = open::open_if_present()?
            && store.migration >= migrate::SAFETY
        {
            recall::scheduled(store)?;
        }
        Ok(())
    });
    match outcome {
        Outcome::Done(()) => attempt.end(),
        Outcome::Failed { sqlstate, message } => system::log_for_operators(format!(
            "memory_ext worker: recall was not measured, and will be an interval from now: {message} ({sqlstate})"
        )),
    }
    Ok(false)
}

/// Removes the cached vectors that were not used for longest, beyond the number to keep.
fn evict(call: &Call, batch: i32) -> i64 {
    let sql = call.store.sql(
        "WITH over AS MATERIALIZED (
             SELECT model, content_hash FROM @s@.embedding_cache ORDER BY last_used DESC, content_hash OFFSET $1 LIMIT $2)
         DELETE FROM @s@.embedding_cache c USING over o WHERE c.model = o.model AND c.content_hash = o.content_hash",
    );
    call.sql(|session| {
        session
            .write(&sql, &[guc::embedding_cache_rows().into(), batch.into()])
            .len() as i64
    })
}

/// Seals what was recorded since the last seal, if that is old enough; in a transaction of its own, because it may have to wait
/// for others, or in vain.
pub fn seal() -> Result<bool> {
    let Some(seconds) = guc::seal_interval() else {
        return Ok(false);
    };
    if !identity::installed() {
        return Ok(false);
    }
    // Whatever keeps the trail from being sealed counts, be it before the sealing proper.
    let attempt = Attempt::sealing();
    match subtransaction::attempt(|| seal_if_due(seconds)) {
        Outcome::Done(()) => attempt.end(),
        Outcome::Failed { sqlstate, message } => {
            system::log_for_operators(format!(
                "memory_ext worker: the audit trail was not sealed, and will be tried again: {message} ({sqlstate})"
            ));
            // A writer who takes his time is no failure; that nothing is sealed for long is told of by its age.
            if sqlstate == LOCKED {
                attempt.end();
            }
        }
    }
    Ok(false)
}

/// Somebody held a lock for longer than the worker waits.
const LOCKED: &str = "55P03";

fn seal_if_due(seconds: i32) -> Result<()> {
    let Some(store) = open::open_if_present()? else {
        return Ok(());
    };
    if store.migration < migrate::SAFETY {
        return Ok(());
    }
    let call = Call::begin_care(store, None, true, "seal")?;
    match seal::write::is_due(&call, seconds) {
        true => seal::write::seal(&call).map(drop),
        false => Ok(()),
    }
}
