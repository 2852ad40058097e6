//! The ends of a memory: the tombstone, the physical erasure somebody asked for, and the end of its time.

use pgrx::datum::TimestampWithTimeZone;

use super::access::Call;
use super::conditions::{Conditions, Filters};
use super::maintenance::progress::{Phase, Progress};
use super::seal::receipt;
use super::{events, update};
use crate::pg::error::{Error, Result};
use crate::pg::guc;
use crate::pg::measure;
use crate::pg::spi::Session;

/// Tombstones a memory; false when there is none the requester sees.
pub fn delete(call: &Call, id: &str) -> Result<bool> {
    call.sql(|session| {
        if update::lock(call, session, id)?.is_none() {
            return Ok(false);
        }
        let sql = call
            .store
            .sql("UPDATE @s@.memories SET deleted_at = now() WHERE id = $1 AND project_id = $2");
        session.write(&sql, &[id.into(), call.project().into()]);
        events::record(call, session, "delete", Some(id), &serde_json::json!({}));
        Ok(true)
    })
}

/// What is to be forgotten: every given condition has to hold.
pub struct Oblivion<'a> {
    pub ids: Option<Vec<Option<String>>>,
    pub before: Option<TimestampWithTimeZone>,
    pub filters: Filters<'a>,
}

/// Erases memories, live or dead, with every version, use and cached vector of them; the receipt.
pub fn forget(
    call: &Call,
    what: Oblivion<'_>,
    described: serde_json::Value,
    reason: &str,
) -> Result<serde_json::Value> {
    if what.ids.is_none() && what.before.is_none() && what.filters.narrow_nothing() {
        return Err(Error::argument("memory_forget was given no filter")
            .hint("Say which memories, by ids, user_id, namespace or another filter."));
    }
    let mut conditions = Conditions::default();
    conditions.equal("project_id", Some(call.project()));
    if let Some(ids) = what.ids {
        let place = conditions.arg(ids.into_iter().flatten().collect::<Vec<String>>());
        conditions.push(format_args!("m.id = ANY ({place})"));
    }
    if let Some(before) = what.before {
        let place = conditions.arg(before);
        conditions.push(format_args!("m.created_at < {place}"));
    }
    what.filters.apply(&mut conditions)?;
    let progress = Progress::of(Phase::Removing, 0);
    call.sql(|session| {
        // In one order, so that two erasures cannot wait for each other.
        let votes = match call.store.has_ace() {
            true => votes_of(call, session, &conditions),
            false => 0,
        };
        let sql = call.store.sql(&format!(
            "WITH gone AS MATERIALIZED (SELECT m.id FROM @s@.memories m WHERE {} ORDER BY m.id FOR UPDATE)
             DELETE FROM @s@.memories m USING gone g WHERE m.id = g.id AND m.project_id = $1 RETURNING m.id, m.content_hash",
            conditions.sql()
        ));
        let rows = session.write(&sql, &conditions.args);
        let ids: Vec<String> = (0..rows.len()).map(|row| rows.required(row, 1)).collect();
        let mut hashes: Vec<Option<Vec<u8>>> = (0..rows.len()).map(|row| rows.get(row, 2)).collect();
        let memories = ids.len();
        progress.note(memories as u64);
        // Versions of memories whose row is gone already match by their own columns.
        let erased = conditions.arg(ids);
        let sql = call.store.sql(&format!(
            "DELETE FROM @s@.memory_history m WHERE m.project_id = $1 AND (m.memory_id = ANY ({erased}) OR ({})) RETURNING m.content_hash, m.history_id",
            conditions.sql().replace("m.id", "m.memory_id")
        ));
        let rows = session.write(&sql, &conditions.args);
        let versions = rows.len();
        progress.note((memories + versions) as u64);
        hashes.extend((0..versions).map(|row| rows.get(row, 1)));
        let numbers: Vec<i64> = (0..versions).map(|row| rows.required(row, 2)).collect();
        let sql = call
            .store
            .sql("DELETE FROM @s@.embedding_cache WHERE content_hash = ANY ($1)");
        let vectors = session.write(&sql, &[hashes.into()]).len();
        let receipt = serde_json::json!({
            "project_id": call.project(),
            "filters": described,
            "reason": reason,
            "memories": memories,
            "history_versions": versions,
            "cached_vectors": vectors,
            "votes": votes,
            "forgotten_by": call.access.role,
        });
        let sql = call
            .store
            .sql("SELECT ($1::jsonb || jsonb_build_object('forgotten_at', now()))::text");
        let receipt: String = session
            .write(&sql, &[receipt.to_string().into()])
            .required(0, 1);
        let receipt: serde_json::Value = serde_json::from_str(&receipt).unwrap_or_default();
        receipt::record(call, session, "forget", &receipt, numbers);
        Ok(receipt)
    })
}

/// How many votes go with the memories: the table's foreign key takes them along.
fn votes_of(call: &Call, session: &Session, conditions: &Conditions) -> i64 {
    let sql = call.store.sql(&format!(
        "SELECT count(*) FROM @s@.memories m JOIN @s@.vote_history v ON v.memory_id = m.id AND v.project_id = m.project_id WHERE {}",
        conditions.sql()
    ));
    session.write(&sql, &conditions.args).required(0, 1)
}

/// Removes up to `batch` rows whose time is over: expired ones, and tombstones older than their retention. Rows that
/// others have locked are left for the next run. How many went.
pub fn expire(call: &Call, batch: i32) -> Result<i64> {
    if batch < 1 {
        return Err(Error::argument(format!(
            "batch is {batch}, expected 1 or more"
        )));
    }
    Ok(call.sql(|session| {
        let expired = remove(
            call,
            session,
            "expires_at <= now() ORDER BY expires_at",
            batch,
            None,
        );
        measure::expired(expired);
        let left = batch - i32::try_from(expired).unwrap_or(batch);
        let old = match guc::tombstone_retention() {
            Some(days) if left > 0 => remove(
                call,
                session,
                "deleted_at <= now() - make_interval(days => $2) ORDER BY deleted_at",
                left,
                Some(days),
            ),
            _ => 0,
        };
        (expired + old) as i64
    }))
}

fn remove(call: &Call, session: &Session, which: &str, batch: i32, days: Option<i32>) -> usize {
    let sql = call.store.sql(&format!(
        "WITH over AS MATERIALIZED (SELECT id, project_id FROM @s@.memories WHERE {which} LIMIT $1 FOR UPDATE SKIP LOCKED)
         DELETE FROM @s@.memories m USING over o WHERE m.id = o.id AND m.project_id = o.project_id RETURNING m.id, m.project_id"
    ));
    let mut args = vec![batch.into()];
    args.extend(days.map(Into::into));
    let rows = session.write(&sql, &args);
    let count = rows.len();
    if count == 0 {
        return 0;
    }
    let ids: Vec<String> = (0..count).map(|row| rows.required(row, 1)).collect();
    let projects: Vec<String> = (0..count).map(|row| rows.required(row, 2)).collect();
    let sql = call.store.sql(
        "DELETE FROM @s@.memory_history h USING unnest($1, $2) AS o (id, project_id)
         WHERE h.memory_id = o.id AND h.project_id = o.project_id RETURNING h.history_id",
    );
    let rows = session.write(&sql, &[ids.into(), projects.into()]);
    let numbers = (0..rows.len()).map(|row| rows.required(row, 1)).collect();
    let payload = serde_json::json!({ "memories": count });
    receipt::record(call, session, "expire", &payload, numbers);
    count
}
