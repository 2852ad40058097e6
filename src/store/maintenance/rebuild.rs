//! The vector index, made anew: in the call, or by a script while others work.

use std::time::Instant;

use serde_json::{Value, json};

use super::progress::{Phase, Progress};
use super::reembed::{self, Task};
use crate::pg::error::{Error, Result};
use crate::pg::spi::{Arg, Session};
use crate::store::access::Call;
use crate::store::integrity::{self, draw};
use crate::store::parameters;

pub const INDEX: &str = "ix_memories_embedding_hnsw";

/// Rows that are searched for when the index is there.
const VERIFIED: usize = 100;

/// m and ef_construction: what is given, else what the index has.
fn options(call: &Call, m: Option<i32>, ef_construction: Option<i32>) -> Result<(i32, i32)> {
    let (is_m, is_ef) = parameters::hnsw_options(&call.store);
    let number = |text: String| text.parse().unwrap_or_default();
    let (m, ef_construction) = (
        m.unwrap_or_else(|| number(is_m)),
        ef_construction.unwrap_or_else(|| number(is_ef)),
    );
    parameters::check_hnsw("", m, ef_construction)?;
    Ok((m, ef_construction))
}

/// A template.
fn create(how: &str, name: &str, m: i32, ef_construction: i32) -> String {
    format!(
        "CREATE INDEX {how}{name} ON @s@.memories USING hnsw (embedding @v@.vector_cosine_ops) WITH (m = {m}, ef_construction = {ef_construction})"
    )
}

/// Drops the index and builds it again, from vectors made anew if so wished; what was found and done.
pub fn rebuild(
    call: &Call,
    m: Option<i32>,
    ef_construction: Option<i32>,
    reembed: bool,
) -> Result<Value> {
    let (m, ef_construction) = options(call, m, ef_construction)?;
    if reembed {
        reembed::refuse_external(call)?;
    }
    call.sql(|session| {
        // The strongest lock first: who comes later waits, and nobody can wait for us while we wait for him.
        session.once(
            &call
                .store
                .sql("LOCK TABLE @s@.memories IN ACCESS EXCLUSIVE MODE"),
        );
        if is_there(call, session)? {
            session.once(&call.store.sql(&format!("DROP INDEX @s@.{INDEX}")));
        }
        let embedded_anew = match reembed {
            true => Some(reembed::run(
                call,
                &Task {
                    project_id: None,
                    batch: i64::MAX,
                    after: None,
                    only_stale: false,
                    verify: false,
                },
            )?),
            false => None,
        };
        let started = Instant::now();
        // PostgreSQL's own pg_stat_progress_create_index tells how far that is.
        let building = Progress::of(Phase::BuildingIndex, 0);
        session.once(&call.store.sql(&create("", INDEX, m, ef_construction)));
        drop(building);
        let seconds = started.elapsed().as_secs_f64();
        let mut report = counts(call, session);
        report["failed"] = embedded_anew
            .as_ref()
            .map_or(0, |outcomes| outcomes.failed)
            .into();
        report["index"] = json!({
            "name": INDEX,
            "m": m,
            "ef_construction": ef_construction,
            "seconds": seconds,
            "size": size(call, session),
        });
        report["reembed"] = embedded_anew.map_or(Value::Null, |outcomes| outcomes.report());
        let sample = draw::embedded(call, session, None, VERIFIED);
        report["verification"] = integrity::reached(call, session, &sample).report();
        report["verification"]["by_index"] = is_usable_here(call, session).into();
        Ok(report)
    })
}

/// Whether the index is there. What has its name has to be an index of memories.
fn is_there(call: &Call, session: &Session) -> Result<bool> {
    let sql = "SELECT i.indrelid IS NOT DISTINCT FROM $3 FROM pg_class c LEFT JOIN pg_index i ON i.indexrelid = c.oid
               WHERE c.relnamespace = $1 AND c.relname = $2";
    let args = [
        Arg::oid(call.store.identity.schema_oid),
        INDEX.into(),
        Arg::oid(call.store.memories),
    ];
    match session.write(sql, &args).get(0, 1) {
        Some(false) => Err(Error::state(format!(
            "{}.{INDEX} is no index of the table memories",
            call.store.schema()
        ))
        .hint("Rename it, then try again.")),
        ours => Ok(ours.is_some()),
    }
}

/// An index that was built over versions which an older transaction may still see serves those that begin later: this one looks
/// without it.
fn is_usable_here(call: &Call, session: &Session) -> bool {
    let sql = "SELECT NOT i.indcheckxmin FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
               WHERE c.relnamespace = $1 AND c.relname = $2";
    let args = [Arg::oid(call.store.identity.schema_oid), INDEX.into()];
    session.write(sql, &args).get(0, 1).unwrap_or(false)
}

fn counts(call: &Call, session: &Session) -> Value {
    let sql = call.store.sql(
        "SELECT count(*), count(*) FILTER (WHERE e), count(*) FILTER (WHERE e AND v)
         FROM (SELECT NOT is_sensitive AND deleted_at IS NULL, embedding IS NOT NULL FROM @s@.memories) AS m (e, v)",
    );
    let rows = session.write(&sql, &[]);
    let count = |column| rows.get::<i64>(0, column).unwrap_or(0);
    json!({ "found": count(1), "eligible": count(2), "embedded": count(3) })
}

fn size(call: &Call, session: &Session) -> i64 {
    let sql = "SELECT pg_relation_size(c.oid) FROM pg_class c WHERE c.relnamespace = $1 AND c.relname = $2";
    let args = [Arg::oid(call.store.identity.schema_oid), INDEX.into()];
    session.write(sql, &args).get(0, 1).unwrap_or(0)
}

/// The same for psql, while others read and write: the old index serves until the new one is there.
pub fn script(call: &Call, m: Option<i32>, ef_construction: Option<i32>) -> Result<String> {
    let (m, ef_construction) = options(call, m, ef_construction)?;
    let new = format!("{INDEX}_new");
    let create = create("CONCURRENTLY ", &new, m, ef_construction);
    Ok(call.store.sql(&format!(
        "-- For psql, as the owner of the memories, outside a transaction. Should it be interrupted, run it again.
\\set ON_ERROR_STOP on
DROP INDEX CONCURRENTLY IF EXISTS @s@.{new};
{create};
DROP INDEX CONCURRENTLY IF EXISTS @s@.{INDEX};
ALTER INDEX @s@.{new} RENAME TO {INDEX};
"
    )))
}
