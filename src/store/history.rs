//! The versions of a memory, and going back to one.

use pgrx::datum::TimestampWithTimeZone;

use super::access::Call;
use super::conditions::Conditions;
use super::content_policy;
use super::read::MASK;
use super::{events, update};
use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::pg::spi::Planning;

pub struct Version {
    pub version: i32,
    pub operation: Option<String>,
    pub content: String,
    pub metadata: Jsonb,
    pub memory_type: String,
    pub scope: String,
    pub importance: f32,
    pub expires_at: Option<TimestampWithTimeZone>,
    pub valid_from: TimestampWithTimeZone,
    pub valid_to: Option<TimestampWithTimeZone>,
    pub changed_by: Option<String>,
    pub changed_as_agent: Option<String>,
}

/// Every version of the memory $2 of project $1, in one shape; the current one has no history_id.
const EVERY_VERSION: &str = "SELECT m.memory_id AS id, m.project_id, m.version, m.operation, m.content, m.content_hash, m.metadata,
        m.memory_type, m.scope, m.importance, m.expires_at, m.valid_from, m.valid_to, m.changed_by, m.changed_as_agent, m.is_sensitive,
        m.agent_id, m.shared_with_agents, m.history_id
    FROM @s@.memory_history m WHERE m.project_id = $1 AND m.memory_id = $2
    UNION ALL
    SELECT m.id, m.project_id, m.version, NULL, m.content, m.content_hash, m.metadata,
        m.memory_type, m.scope, m.importance, m.expires_at, m.updated_at, m.deleted_at, NULL, NULL, m.is_sensitive,
        m.agent_id, m.shared_with_agents, NULL
    FROM @s@.memories m WHERE m.project_id = $1 AND m.id = $2";

/// $1 and $2 of EVERY_VERSION.
fn of_memory(call: &Call, id: &str) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.arg(call.project());
    conditions.arg(id);
    conditions
}

/// Every version, oldest first; the current one has no end. A deleted memory's versions are shown too: one looks here to
/// restore it. A version is seen by who may see the memory as it is now, and could see it then: one made private or secret
/// takes its past along, one made public does not give it away. Where the row is gone, its last version stands for it.
pub fn versions(call: &Call, id: &str) -> Vec<Version> {
    let mut now = of_memory(call, id);
    now.in_scope(&call.access);
    let then = now.sql().replace("m.", "v.");
    now.not_over(&call.access);
    let sql = call.store.sql(&format!(
        "WITH every AS MATERIALIZED ({EVERY_VERSION}),
              last AS (SELECT * FROM every ORDER BY history_id DESC NULLS FIRST LIMIT 1)
         SELECT v.version, v.operation, CASE WHEN v.is_sensitive OR m.is_sensitive THEN '{MASK}' ELSE v.content END, v.metadata,
                v.memory_type, v.scope, v.importance, v.expires_at, v.valid_from, v.valid_to, v.changed_by, v.changed_as_agent
         FROM every v, last m WHERE {} AND {then} ORDER BY v.history_id NULLS LAST",
        now.sql()
    ));
    call.sql(|session| {
        let rows = session.read(&sql, Planning::Generic, &now.args);
        (0..rows.len())
            .map(|row| Version {
                version: rows.required(row, 1),
                operation: rows.get(row, 2),
                content: rows.required(row, 3),
                metadata: rows.required(row, 4),
                memory_type: rows.required(row, 5),
                scope: rows.required(row, 6),
                importance: rows.required(row, 7),
                expires_at: rows.get(row, 8),
                valid_from: rows.required(row, 9),
                valid_to: rows.get(row, 10),
                changed_by: rows.get(row, 11),
                changed_as_agent: rows.get(row, 12),
            })
            .collect()
    })
}

/// Makes an earlier version the current one, and a deleted memory live again; the new version's number.
///
/// Who may not share the memory otherwise leaves its scope as it is. A version's own end of life comes back only if it is
/// still to come, and a secret never becomes public this way.
pub fn restore(call: &Call, id: &str, version: i32) -> Result<i32> {
    call.sql(|session| {
        let row = update::lock_dead_or_alive(call, session, id)?;
        let mut then = of_memory(call, id);
        then.in_scope(&call.access);
        let number = then.arg(version);
        then.push(format!("m.version = {number}"));
        let chosen = format!(
            "SELECT * FROM ({EVERY_VERSION}) m WHERE {} ORDER BY m.history_id DESC NULLS FIRST LIMIT 1",
            then.sql()
        );
        let sql = call.store.sql(&format!(
            "SELECT v.content_hash, v.scope, v.memory_type, v.is_sensitive, v.content FROM ({chosen}) v"
        ));
        let found = session.write(&sql, &then.args);
        if found.is_empty() {
            return Err(
                Error::not_found(format!("memory {id:?} has no version {version}"))
                    .hint("memory_history() lists the versions that are kept."),
            );
        }
        let rescope = call.access.may_share(row.author());
        let scope = if rescope { found.required(0, 2) } else { row.scope().to_owned() };
        // It may be older than the policies, or than their like of today.
        let sensitive = row.sensitive() || found.required(0, 4);
        let screened = content_policy::screen(&format!("version {version}"), found.required(0, 5), sensitive)?;
        let hash = match screened.redacted {
            true => memory_core::text::content_hash(&screened.content),
            false => found.required::<Vec<u8>>(0, 1).try_into().unwrap_or_default(),
        };
        update::refuse_conflicts(
            call,
            session,
            &row,
            &scope,
            &found.required::<String>(0, 3),
            sensitive,
            &hash,
        )?;
        let redacted = then.arg(screened.redacted.then_some(screened.content));
        let rescope = then.arg(rescope);
        let sql = call.store.sql(&format!(
            "UPDATE @s@.memories m SET content = coalesce({redacted}, v.content), metadata = v.metadata, memory_type = v.memory_type,
                    scope = CASE WHEN {rescope} THEN v.scope ELSE m.scope END,
                    shared_with_agents = CASE WHEN {rescope} THEN v.shared_with_agents ELSE m.shared_with_agents END,
                    importance = v.importance, is_sensitive = m.is_sensitive OR v.is_sensitive,
                    expires_at = CASE WHEN v.expires_at > now() THEN v.expires_at END, deleted_at = NULL
             FROM ({chosen}) v WHERE m.id = $2 AND m.project_id = $1 RETURNING m.version"
        ));
        let new_version = session.write(&sql, &then.args).get(0, 1).unwrap_or(row.version);
        let payload = serde_json::json!({ "restored": version, "version": new_version });
        events::record(call, session, "restore", Some(id), &payload);
        Ok(new_version)
    })
}
