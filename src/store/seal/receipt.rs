//! Receipts: what is erased on purpose says so in the audit trail, or it would look like tampering.

use memory_core::seal::to_history_ids;
use serde_json::{Value, json};

use crate::pg::spi::Session;
use crate::pg::system;
use crate::store::access::Call;
use crate::store::events;

/// Ids or ranges of them in one event; those of a very large erasure go into several.
const MOST_RANGES: usize = 20_000;

/// Records an event that erased these versions, by their numbers. Where versions are sealed it is recorded whatever
/// memory_ext.audit says.
pub fn record(call: &Call, session: &Session, event: &str, payload: &Value, history_ids: Vec<i64>) {
    if history_ids.is_empty() || !call.store.has_safety() {
        return events::record(call, session, event, None, payload);
    }
    if !events::is_recorded(event) && !are_sealed(call, session) {
        return;
    }
    let ranges = to_history_ids(history_ids);
    for (place, part) in ranges.chunks(MOST_RANGES).enumerate() {
        let mut payload = match place {
            0 => payload.clone(),
            _ => json!({ "continued": place }),
        };
        payload["history_ids"] = part.into();
        events::insert(call, session, event, None, &payload);
    }
}

/// Whether there are seals, or somebody is making the first. Versions were deleted before this is asked: who begins to seal
/// afterwards waits for us, and does not find them.
fn are_sealed(call: &Call, session: &Session) -> bool {
    // Under a snapshot of before, nobody knows.
    if system::sees_one_snapshot() {
        return true;
    }
    // The other way round, a seal could be finished between the two.
    let seals = system::quoted_literal(&call.store.sql("@s@.memory_audit_seals"));
    let sealing = format!(
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_locks WHERE locktype = 'relation' AND relation = {seals}::regclass
                AND database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database()) AND mode = 'ShareUpdateExclusiveLock')",
    );
    let sealed = call
        .store
        .sql("SELECT EXISTS (SELECT FROM @s@.memory_audit_seals)");
    [sealing, sealed]
        .iter()
        .any(|sql| session.write(sql, &[]).get(0, 1) == Some(true))
}
