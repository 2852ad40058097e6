//! Deleting, forgetting, expiring.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::arguments::{reason as check_reason, required};
use crate::pg::error::{Error, SqlResult as Result};
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::pg::system;
use crate::store::conditions::Filters;
use crate::store::erase::{self, Oblivion};
use crate::store::maintenance::progress::{Phase, Progress};
use crate::store::{Call, Privilege, access, open};

/// Deletes a memory: it is gone from every reading function at once, and memory_restore_version can bring it back until the
/// tombstone's retention is over. False when there was none the caller may see. Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_delete(
    id: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<bool> {
    measured(Operation::Delete, || {
        let id = required("id", id)?;
        let call = Call::begin(project_id, agent_id, Privilege::Write, "delete")?;
        Ok(erase::delete(&call, id)?)
    })
}

/// Erases memories for good, with every version, use and cached vector of them, and returns a receipt, which is kept as an event.
///
/// Every filter given has to hold; none at all is an error. agent_id is the author here. before compares created_at. reason is
/// required. Needs the admin privilege. Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_forget(
    ids: default!(Option<Vec<Option<String>>>, "NULL"),
    user_id: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    session_id: default!(Option<&str>, "NULL"),
    entity_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    filter: default!(Option<Jsonb>, "NULL"),
    before: default!(Option<TimestampWithTimeZone>, "NULL"),
    reason: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<Jsonb> {
    measured(Operation::Forget, || {
        let reason = check_reason(reason)?;
        let call = Call::begin(project_id, None, Privilege::Admin, "forget")?;
        let described = described(&[
            ("ids", ids.as_ref().map(|ids| serde_json::json!(ids))),
            ("user_id", user_id.map(Into::into)),
            ("agent_id", agent_id.map(Into::into)),
            ("session_id", session_id.map(Into::into)),
            ("entity_id", entity_id.map(Into::into)),
            ("namespace", namespace.map(Into::into)),
            (
                "metadata",
                metadata
                    .as_ref()
                    .map(|metadata| json_or_text(&metadata.text())),
            ),
            (
                "filter",
                filter.as_ref().map(|filter| json_or_text(&filter.text())),
            ),
            ("before", before.map(|before| before.to_iso_string().into())),
        ]);
        let filters = Filters {
            namespace,
            user_id,
            session_id,
            entity_id,
            author: agent_id,
            metadata,
            filter,
            ..Filters::default()
        };
        let receipt = erase::forget(
            &call,
            Oblivion {
                ids,
                before,
                filters,
            },
            described,
            reason,
        )?;
        Ok(Jsonb::parse(&receipt.to_string()))
    })
}

fn described(filters: &[(&str, Option<serde_json::Value>)]) -> serde_json::Value {
    filters
        .iter()
        .filter_map(|(name, value)| Some(((*name).to_owned(), value.clone()?)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

fn json_or_text(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// Removes expired memories of all projects for good, with their versions, and tombstones older than
/// memory_ext.tombstone_retention; at most batch rows, so call it until it returns 0. Expired memories are invisible before
/// already. For the owner of the memories; the background worker calls the same. Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_expire(batch: default!(Option<i32>, "1000")) -> Result<i64> {
    measured(Operation::Expire, || {
        let store = open::enter(true)?;
        let caller = system::current_role();
        if !access::is_master(&store, caller) && !access::is_admin_everywhere(&store, caller) {
            return Err(Error::denied(format!(
                "role {:?} may not expire memories of every project",
                system::role_name(caller)
            ))
            .hint("It needs memory_grant(role, '*', 'admin').")
            .into());
        }
        let call = Call::begin_on(
            store,
            Some(access::DEFAULT_PROJECT),
            Some("*"),
            Privilege::Admin,
            "expire",
        )?;
        let _progress = Progress::of(Phase::Expiring, 0);
        Ok(erase::expire(&call, batch.unwrap_or(1000))?)
    })
}
