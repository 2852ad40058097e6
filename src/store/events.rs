//! The audit trail. An event is written in the transaction of what it records, so both stay or both go.

use super::access::Call;
use crate::pg::guc::{self, Audit};
use crate::pg::spi::Session;

/// The least setting of `memory_ext.audit` that records an event.
fn level(event: &str) -> Audit {
    match event {
        "add" | "touch" | "expire" | "vote" => Audit::Full,
        _ => Audit::Standard,
    }
}

/// Records an event; the payload never holds a memory's content.
pub fn record(
    call: &Call,
    session: &Session,
    event: &str,
    memory_id: Option<&str>,
    payload: &serde_json::Value,
) {
    if is_recorded(event) || opens_secrets(event, payload) {
        insert(call, session, event, memory_id, payload);
    }
}

/// What takes secrets out of the store, or brings them in, is recorded whatever memory_ext.audit says.
fn opens_secrets(event: &str, payload: &serde_json::Value) -> bool {
    event == "reveal" || payload["includes_sensitive"] == true || payload["sensitive"] == true
}

/// Whether memory_ext.audit lets an event be recorded.
pub fn is_recorded(event: &str) -> bool {
    guc::audit() >= level(event)
}

/// Records an event whatever the setting says.
pub fn insert(
    call: &Call,
    session: &Session,
    event: &str,
    memory_id: Option<&str>,
    payload: &serde_json::Value,
) {
    let sql = call.store.sql(
        "INSERT INTO @s@.memory_events (event, project_id, memory_id, role, agent_id, payload) VALUES ($1, $2, $3, $4, $5, $6::jsonb)",
    );
    session.write(
        &sql,
        &[
            event.into(),
            call.project().into(),
            memory_id.into(),
            call.access.role.as_str().into(),
            call.access.requester.agent().into(),
            payload.to_string().into(),
        ],
    );
}

/// Records one event for each of many memories, in one statement.
pub fn record_each(call: &Call, session: &Session, event: &str, ids: Vec<String>) {
    if guc::audit() < level(event) || ids.is_empty() {
        return;
    }
    let sql = call.store.sql(
        "INSERT INTO @s@.memory_events (event, project_id, memory_id, role, agent_id) SELECT $1, $2, i, $4, $5 FROM unnest($3) AS i",
    );
    session.write(
        &sql,
        &[
            event.into(),
            call.project().into(),
            ids.into(),
            call.access.role.as_str().into(),
            call.access.requester.agent().into(),
        ],
    );
}
