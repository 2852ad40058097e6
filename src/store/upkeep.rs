//! The background worker's round: what is over is removed, what is too much is evicted.

use super::access::{self, Call, Privilege};
use super::{erase, open};
use crate::pg::error::Result;
use crate::pg::guc;
use crate::pg::identity;

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
        store,
        Some(access::DEFAULT_PROJECT),
        Some("*"),
        Privilege::Admin,
        "expire",
    )?;
    let removed = erase::expire(&call, batch)? + evict(&call, batch);
    Ok(removed >= i64::from(batch))
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
