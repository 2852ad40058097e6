//! The background worker's round: what is over is removed, what is too much is evicted, and now and then all is checked.

use std::rc::Rc;

use super::access::{self, Call, Privilege};
use super::maintenance::runs;
use super::open::Store;
use super::{erase, migrate, open, seal};
use crate::pg::error::Result;
use crate::pg::guc;
use crate::pg::identity;
use crate::pg::subtransaction::{self, Outcome};
use crate::pg::system;

/// One transaction's worth of work; whether there may be more.
pub fn step() -> Result<bool> {
    if !identity::installed() {
        return Ok(false);
    }
    let Some(store) = open::open_if_present()? else {
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
    let removed = erase::expire(&call, batch)? + evict(&call, batch);
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
pub fn seal() -> Result<()> {
    let Some(seconds) = guc::seal_interval() else {
        return Ok(());
    };
    if !identity::installed() {
        return Ok(());
    }
    let Some(store) = open::open_if_present()? else {
        return Ok(());
    };
    if store.migration < migrate::SAFETY {
        return Ok(());
    }
    let call = Call::begin_care(store, None, true, "seal")?;
    if !seal::write::is_due(&call, seconds) {
        return Ok(());
    }
    let outcome = subtransaction::attempt(|| seal::write::seal(&call).map(drop));
    if let Outcome::Failed { sqlstate, message } = outcome {
        system::log_for_operators(format!(
            "memory_ext worker: the audit trail was not sealed, and will be tried again: {message} ({sqlstate})"
        ));
    }
    Ok(())
}
