//! Taking memories out of use without deleting them, and back.

use crate::pg::error::{Error, Result};
use crate::pg::spi::Session;
use crate::store::access::Call;
use crate::store::conditions::Conditions;
use crate::store::update::{self, Locked};
use crate::store::{events, memory};

/// Deprecates a memory; false when it was already. What takes its place has to be live and seen by the requester.
pub fn deprecate(
    call: &Call,
    id: &str,
    reason: Option<&str>,
    superseded_by: Option<&str>,
) -> Result<bool> {
    memory::check_name("id", id)?;
    if let Some(reason) = reason {
        memory::check_length("reason", reason)?;
    }
    call.sql(|session| {
        if let Some(successor) = superseded_by {
            check_successor(call, session, id, successor)?;
        }
        let row = lock(call, session, id)?;
        if is_deprecated(call, session, id) {
            return Ok(false);
        }
        set(call, session, &row, superseded_by);
        let payload = serde_json::json!({ "reason": reason, "superseded_by": superseded_by });
        events::record(call, session, "deprecate", Some(id), &payload);
        Ok(true)
    })
}

fn set(call: &Call, session: &Session, row: &Locked, superseded_by: Option<&str>) {
    let sql = call.store.sql(
        "UPDATE @s@.memories SET is_deprecated = true, superseded_by = $3 WHERE id = $1 AND project_id = $2",
    );
    session.write(
        &sql,
        &[
            row.id.as_str().into(),
            call.project().into(),
            superseded_by.into(),
        ],
    );
}

/// Brings a deprecated memory back; false when it is not deprecated. Votes that went to another memory when the two were
/// merged are taken back from there.
pub fn undeprecate(call: &Call, id: &str) -> Result<bool> {
    memory::check_name("id", id)?;
    call.sql(|session| {
        let row = lock(call, session, id)?;
        if !is_deprecated(call, session, id) {
            return Ok(false);
        }
        update::refuse_conflicts_of(call, session, &row)?;
        take_votes_back(call, session, id);
        let sql = call
            .store
            .sql("UPDATE @s@.memories SET is_deprecated = false, deleted_at = NULL WHERE id = $1 AND project_id = $2");
        session.write(&sql, &[id.into(), call.project().into()]);
        events::record(
            call,
            session,
            "undeprecate",
            Some(id),
            &serde_json::json!({}),
        );
        Ok(true)
    })
}

/// Locks a memory that is not deleted, be it deprecated; one that had to give its key away counts as deprecated.
fn lock(call: &Call, session: &Session, id: &str) -> Result<Locked> {
    let mut conditions = Conditions::default();
    conditions.in_scope(&call.access);
    conditions.push("(m.deleted_at IS NULL OR (m.is_deprecated AND m.key IS NOT NULL))");
    conditions.push("(m.expires_at IS NULL OR m.expires_at > now())");
    update::lock_where(call, session, id, conditions)?.ok_or_else(|| update::not_found(id))
}

fn is_deprecated(call: &Call, session: &Session, id: &str) -> bool {
    let sql = call
        .store
        .sql("SELECT is_deprecated FROM @s@.memories WHERE id = $1 AND project_id = $2");
    session
        .write(&sql, &[id.into(), call.project().into()])
        .required(0, 1)
}

/// A live memory that the requester sees, and that is not itself superseded by `id` in the end.
fn check_successor(call: &Call, session: &Session, id: &str, successor: &str) -> Result<()> {
    memory::check_name("superseded_by", successor)?;
    if successor == id {
        return Err(
            Error::argument(format!("superseded_by is {id:?}, the memory itself"))
                .hint("Name the memory that takes its place, or leave it out."),
        );
    }
    let mut conditions = Conditions::default();
    conditions.visible(&call.access, false);
    conditions.equal("id", Some(successor));
    // Locked, so that it cannot be superseded by this one at the same time.
    let sql = call.store.sql(&format!(
        "SELECT FROM @s@.memories m WHERE {} FOR NO KEY UPDATE OF m",
        conditions.sql()
    ));
    if session.write(&sql, &conditions.args).is_empty() {
        let deprecated = leads_to(call, session, successor, id);
        return Err(if deprecated {
            Error::argument(format!(
                "superseded_by is {successor:?}, which is superseded by {id:?} already"
            ))
            .hint("A memory cannot take the place of what has taken its own.")
        } else {
            update::not_found(successor)
        });
    }
    Ok(())
}

/// Whether following superseded_by from one memory comes to another.
fn leads_to(call: &Call, session: &Session, from: &str, to: &str) -> bool {
    let sql = call.store.sql(
        "WITH RECURSIVE chain AS (
             SELECT m.superseded_by AS id FROM @s@.memories m WHERE m.id = $1 AND m.project_id = $3
             UNION
             SELECT m.superseded_by FROM chain c JOIN @s@.memories m ON m.id = c.id AND m.project_id = $3)
         SELECT EXISTS (SELECT FROM chain WHERE id = $2)",
    );
    session
        .write(&sql, &[from.into(), to.into(), call.project().into()])
        .required(0, 1)
}

/// Removes from the surviving memory the votes that were this one's.
fn take_votes_back(call: &Call, session: &Session, id: &str) {
    let sql = call.store.sql(
        "WITH back AS (
             DELETE FROM @s@.vote_history v USING @s@.memories m
             WHERE m.id = $1 AND m.project_id = $2 AND v.memory_id = m.superseded_by AND v.project_id = $2 AND v.merged_from = $1
             RETURNING v.memory_id, v.vote)
         UPDATE @s@.memories m SET bullet_helpful = bullet_helpful - b.helpful, bullet_harmful = bullet_harmful - b.harmful
         FROM (SELECT memory_id, count(*) FILTER (WHERE vote = 'helpful') AS helpful, count(*) FILTER (WHERE vote = 'harmful') AS harmful
               FROM back GROUP BY memory_id) b
         WHERE m.id = b.memory_id AND m.project_id = $2",
    );
    session.write(&sql, &[id.into(), call.project().into()]);
}
