//! Key/value memories.

use pgrx::datum::{Interval, TimestampWithTimeZone};
use pgrx::prelude::*;

use super::arguments::{reason as check_reason, required};
use crate::pg::error::{Error, SqlResult as Result};
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::keyed::{self, Setting};
use crate::store::memory::{Expiry, expiry};
use crate::store::{Call, Privilege, aliases, migrate};

const NAMESPACE: &str = "default";

/// Sets the value of a key and returns the id of its memory.
///
/// There is one live value a key, namespace and project; an alias stands for its key. sensitive left out stays as it is (false
/// for a new key). source is kept in the metadata, which is merged (RFC 7396). Without ttl the value does not expire.
/// Errors: 22023, 23505 when another agent has the key, 42501, 54000, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_kv_set(
    key: Option<String>,
    value: Option<String>,
    sensitive: default!(Option<bool>, "NULL"),
    source: default!(Option<String>, "NULL"),
    ttl: default!(Option<Interval>, "NULL"),
    namespace: default!(Option<String>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<String> {
    measured(Operation::KvSet, || {
        let setting = Setting {
            key: required("key", key)?,
            value,
            sensitive,
            source,
            expiry: match expiry(ttl, None)? {
                Expiry::Unsaid => Expiry::Never,
                said => said,
            },
            namespace: namespace.unwrap_or_else(|| NAMESPACE.to_owned()),
            metadata,
        };
        let store = super::add::store_or_new()?;
        let call = Call::begin_on(store, project_id, agent_id, Privilege::Write, "kv_set")?;
        Ok(keyed::set(&call, setting)?)
    })
}

/// The value of a key; NULL when it is not set, deleted or expired, *** when it is sensitive. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_kv_get(
    key: Option<&str>,
    namespace: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<Option<String>> {
    measured(Operation::KvGet, || {
        let key = required("key", key)?;
        let call = Call::begin_reading(migrate::FIRST, project_id, agent_id, None)?;
        Ok(keyed::get(&call, key, namespace.unwrap_or(NAMESPACE)))
    })
}

/// Deletes a key, leaving a tombstone; false when it was not set. Errors: 22023, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_kv_delete(
    key: Option<&str>,
    namespace: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<bool> {
    measured(Operation::KvDelete, || {
        let key = required("key", key)?;
        let call = Call::begin(project_id, agent_id, Privilege::Write, "delete")?;
        Ok(keyed::delete(&call, key, namespace.unwrap_or(NAMESPACE))?)
    })
}

/// The keys that begin with prefix (all, when left out) and their values, by key; a sensitive value is shown as ***.
/// Errors: 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_kv_list(
    prefix: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(key, String),
            name!(value, String),
            name!(source, Option<String>),
            name!(is_sensitive, bool),
            name!(id, String),
            name!(version, i32),
            name!(namespace, String),
            name!(metadata, Jsonb),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
            name!(expires_at, Option<TimestampWithTimeZone>),
        ),
    >,
> {
    measured(Operation::KvList, || {
        let call = Call::begin_reading(migrate::FIRST, project_id, agent_id, None)?;
        let entries = keyed::list(&call, prefix, namespace);
        Ok(TableIterator::new(entries.into_iter().map(|entry| {
            (
                entry.key,
                entry.value,
                entry.source,
                entry.is_sensitive,
                entry.id,
                entry.version,
                entry.namespace,
                entry.metadata,
                entry.created_at,
                entry.updated_at,
                entry.expires_at,
            )
        })))
    })
}

/// Makes alias another name of key for all key/value functions of the project; with key NULL it removes the alias. True when
/// that changed something. Errors: 22023, 23505 when alias is a key with a value, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_kv_alias(
    alias: Option<&str>,
    key: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<bool> {
    measured(Operation::KvAlias, || {
        let alias = required("alias", alias)?;
        let store = super::add::store_or_new()?;
        let call = Call::begin_batch(store, project_id)?;
        if call.access.bound {
            return Err(Error::denied(
                "a role that is bound to an agent may not change the aliases of a project",
            )
            .hint("Aliases are for every agent; ask a role that is not bound to one.")
            .into());
        }
        match key {
            Some(key) => Ok(aliases::set(&call, alias, key)?),
            None => Ok(aliases::remove(&call, alias)),
        }
    })
}

/// The content of a sensitive memory. Needs the admin privilege and a reason; both reading and reason are recorded as an event.
/// Errors: 22023, P0002, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_reveal(
    id: Option<&str>,
    reason: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<String> {
    measured(Operation::Reveal, || {
        let (id, reason) = (required("id", id)?, check_reason(reason)?);
        let call = Call::begin(project_id, agent_id, Privilege::Admin, "reveal")?;
        Ok(keyed::reveal(&call, id, reason)?)
    })
}
