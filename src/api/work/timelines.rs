//! Memories in the order of a story: what happened in a session, what is known of something.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::api::arguments::required;
use crate::api::rows::memory_row;
use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::conditions::Filters;
use crate::store::read::{Order, Page};
use crate::store::{Call, memory, migrate, read};

/// What happened in a session, oldest first, a page at a time.
///
/// memory_types is episodic unless said otherwise (NULL: every type). since and until bound created_at (until is not included).
/// page_size is 1..10000; after is the id of the last row of the page before. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::too_many_arguments)]
fn memory_timeline(
    session_id: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    memory_types: default!(Option<Vec<Option<String>>>, "ARRAY['episodic']"),
    since: default!(Option<TimestampWithTimeZone>, "NULL"),
    until: default!(Option<TimestampWithTimeZone>, "NULL"),
    page_size: default!(Option<i32>, "100"),
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
    measured(Operation::Timeline, || {
        let session_id = required("session_id", session_id)?;
        memory::check_name("session_id", session_id)?;
        let call = Call::begin_reading(migrate::ACE, project_id, agent_id, None)?;
        let filters = Filters {
            session_id: Some(session_id),
            namespace,
            memory_types,
            since,
            until,
            ..Filters::default()
        };
        let page = Page {
            order: Order::Oldest,
            size: page_size.unwrap_or(100),
            after,
        };
        let memories = read::list(&call, filters, false, &page)?;
        Ok(TableIterator::new(memories.into_iter().map(memory_row)))
    })
}

/// What is known of an entity, newest first, a page at a time.
///
/// memory_types is semantic unless said otherwise (NULL: every type). The other arguments are those of memory_timeline.
/// Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::too_many_arguments)]
fn memory_entity_facts(
    entity_id: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    memory_types: default!(Option<Vec<Option<String>>>, "ARRAY['semantic']"),
    since: default!(Option<TimestampWithTimeZone>, "NULL"),
    until: default!(Option<TimestampWithTimeZone>, "NULL"),
    page_size: default!(Option<i32>, "100"),
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
    measured(Operation::EntityFacts, || {
        let entity_id = required("entity_id", entity_id)?;
        memory::check_name("entity_id", entity_id)?;
        let call = Call::begin_reading(migrate::ACE, project_id, agent_id, None)?;
        let filters = Filters {
            entity_id: Some(entity_id),
            namespace,
            memory_types,
            since,
            until,
            ..Filters::default()
        };
        let page = Page {
            order: Order::Newest,
            size: page_size.unwrap_or(100),
            after,
        };
        let memories = read::list(&call, filters, false, &page)?;
        Ok(TableIterator::new(memories.into_iter().map(memory_row)))
    })
}
