//! Reading memories without a query.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::arguments::required;
use super::rows::memory_row;
use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::conditions::Filters;
use crate::store::read::{Order, Page};
use crate::store::{Call, migrate, read};

/// The memory with this id, if the caller may see it; otherwise no row.
///
/// agent_id is the agent that asks: it sees global memories, its own, and those shared with it; '*' (admin) sees all. A
/// sensitive content is shown as ***. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_get(
    id: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(content, String),
            name!(key, Option<String>),
            name!(memory_type, String),
            name!(scope, String),
            name!(agent_id, Option<String>),
            name!(user_id, Option<String>),
            name!(session_id, Option<String>),
            name!(entity_id, Option<String>),
            name!(namespace, String),
            name!(shared_with_agents, Vec<Option<String>>),
            name!(metadata, Jsonb),
            name!(importance, f32),
            name!(is_sensitive, bool),
            name!(version, i32),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
            name!(expires_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::Get, || {
        let id = required("id", id)?;
        let call = Call::begin_reading(migrate::FIRST, project_id, agent_id, None)?;
        Ok(TableIterator::new(
            read::get(&call, id).into_iter().map(memory_row),
        ))
    })
}

/// The memories that pass the filters, newest first, a page at a time.
///
/// metadata is containment, filter the JSON filter language of memory_search, since and until bound created_at (until is not
/// included). page_size is 1..10000; after is the id of the last row of the page before. include_expired shows expired ones
/// that were not removed yet. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::too_many_arguments)]
fn memory_list(
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    user_id: default!(Option<&str>, "NULL"),
    session_id: default!(Option<&str>, "NULL"),
    entity_id: default!(Option<&str>, "NULL"),
    memory_types: default!(Option<Vec<Option<String>>>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    filter: default!(Option<Jsonb>, "NULL"),
    since: default!(Option<TimestampWithTimeZone>, "NULL"),
    until: default!(Option<TimestampWithTimeZone>, "NULL"),
    page_size: default!(Option<i32>, "50"),
    after: default!(Option<&str>, "NULL"),
    include_expired: default!(Option<bool>, "false"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(content, String),
            name!(key, Option<String>),
            name!(memory_type, String),
            name!(scope, String),
            name!(agent_id, Option<String>),
            name!(user_id, Option<String>),
            name!(session_id, Option<String>),
            name!(entity_id, Option<String>),
            name!(namespace, String),
            name!(shared_with_agents, Vec<Option<String>>),
            name!(metadata, Jsonb),
            name!(importance, f32),
            name!(is_sensitive, bool),
            name!(version, i32),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
            name!(expires_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::List, || {
        let call = Call::begin_reading(migrate::FIRST, project_id, agent_id, None)?;
        let filters = Filters {
            namespace,
            user_id,
            session_id,
            entity_id,
            memory_types,
            metadata,
            filter,
            since,
            until,
            ..Filters::default()
        };
        let memories = read::list(
            &call,
            filters,
            include_expired.unwrap_or(false),
            &Page {
                order: Order::Newest,
                size: page_size.unwrap_or(50),
                after,
            },
        )?;
        Ok(TableIterator::new(memories.into_iter().map(memory_row)))
    })
}

/// The memories that the requester would have been shown at a past time, as they were then, newest first, a page at a time.
///
/// agent_id is the agent that asks; the filters and pages are those of memory_list. A version counts from the start of the
/// transaction that made it to the start of the one that ended it. What was deleted or deprecated since is shown as it was; who may
/// not see a memory as it is now is not shown what it was; what has expired since is shown to admins, until it is removed. Erased and
/// removed memories are gone from the past too. The setting memory_ext.as_of makes the other reading functions answer as of a time.
/// Errors: 22023 (a time in the future too), 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::too_many_arguments)]
fn memory_as_of(
    at: Option<TimestampWithTimeZone>,
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    user_id: default!(Option<&str>, "NULL"),
    session_id: default!(Option<&str>, "NULL"),
    entity_id: default!(Option<&str>, "NULL"),
    memory_types: default!(Option<Vec<Option<String>>>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    filter: default!(Option<Jsonb>, "NULL"),
    page_size: default!(Option<i32>, "50"),
    after: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(id, String),
            name!(content, String),
            name!(key, Option<String>),
            name!(memory_type, String),
            name!(scope, String),
            name!(agent_id, Option<String>),
            name!(user_id, Option<String>),
            name!(session_id, Option<String>),
            name!(entity_id, Option<String>),
            name!(namespace, String),
            name!(shared_with_agents, Vec<Option<String>>),
            name!(metadata, Jsonb),
            name!(importance, f32),
            name!(is_sensitive, bool),
            name!(version, i32),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
            name!(expires_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::AsOf, || {
        let at = Some(("at", required("at", at)?));
        let call = Call::begin_reading(migrate::SAFETY, project_id, agent_id, at)?;
        let filters = Filters {
            namespace,
            user_id,
            session_id,
            entity_id,
            memory_types,
            metadata,
            filter,
            ..Filters::default()
        };
        let page = Page {
            order: Order::Newest,
            size: page_size.unwrap_or(50),
            after,
        };
        let memories = read::list(&call, filters, false, &page)?;
        Ok(TableIterator::new(memories.into_iter().map(memory_row)))
    })
}

/// How many memories pass the filters, which are those of memory_list. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::too_many_arguments)]
fn memory_count(
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    user_id: default!(Option<&str>, "NULL"),
    session_id: default!(Option<&str>, "NULL"),
    entity_id: default!(Option<&str>, "NULL"),
    memory_types: default!(Option<Vec<Option<String>>>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    filter: default!(Option<Jsonb>, "NULL"),
    since: default!(Option<TimestampWithTimeZone>, "NULL"),
    until: default!(Option<TimestampWithTimeZone>, "NULL"),
    include_expired: default!(Option<bool>, "false"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<i64> {
    measured(Operation::Count, || {
        let call = Call::begin_reading(migrate::FIRST, project_id, agent_id, None)?;
        let filters = Filters {
            namespace,
            user_id,
            session_id,
            entity_id,
            memory_types,
            metadata,
            filter,
            since,
            until,
            ..Filters::default()
        };
        Ok(read::count(
            &call,
            filters,
            include_expired.unwrap_or(false),
        )?)
    })
}
