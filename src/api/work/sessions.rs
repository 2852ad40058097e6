//! Sessions: where a bout of work stands.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::api::arguments::required;
use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::work::sessions::{self, Change, WorkSession};
use crate::store::{Call, Privilege, migrate};

/// Begins a session, active, of this agent (of everybody, without one), and returns its row.
///
/// next_items is what there is to do: a JSON array of strings or objects, at most 10,000, kept in order. An object's "item" is its
/// name for complete_item. agent_id '*' is not possible. Errors: 22023, 23505 when the project has the session, 42501, 54000, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_session_start(
    session_id: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    next_items: default!(Option<Jsonb>, "NULL"),
    summary: default!(Option<&str>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(session_id, String),
            name!(agent_id, Option<String>),
            name!(status, String),
            name!(progress, f64),
            name!(completed_items, Jsonb),
            name!(in_progress_item, Option<String>),
            name!(next_items, Jsonb),
            name!(blocked_items, Jsonb),
            name!(summary, Option<String>),
            name!(last_action, Option<String>),
            name!(metadata, Jsonb),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
            name!(completed_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::SessionStart, || {
        let session_id = required("session_id", session_id)?;
        let call = Call::begin_ace(project_id, agent_id, Privilege::Write, "session_start")?;
        let row = sessions::start(&call, session_id, next_items, summary, metadata)?;
        Ok(TableIterator::once(session_row(row)))
    })
}

/// The session with this id, if the caller may see it; otherwise no row.
///
/// agent_id is the agent that asks: it sees its own sessions and those of no agent; '*' (admin) sees all. progress is 0..100: what
/// was given, else the share of the items that are completed. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_session_get(
    session_id: Option<&str>,
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(session_id, String),
            name!(agent_id, Option<String>),
            name!(status, String),
            name!(progress, f64),
            name!(completed_items, Jsonb),
            name!(in_progress_item, Option<String>),
            name!(next_items, Jsonb),
            name!(blocked_items, Jsonb),
            name!(summary, Option<String>),
            name!(last_action, Option<String>),
            name!(metadata, Jsonb),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
            name!(completed_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::SessionGet, || {
        let session_id = required("session_id", session_id)?;
        let call = Call::begin_timeless(migrate::ACE, project_id, agent_id)?;
        let row = sessions::get(&call, session_id)?;
        Ok(TableIterator::new(row.into_iter().map(session_row)))
    })
}

/// The sessions the caller may see, the one that was changed last first.
///
/// status is active, paused, completed or failed; left out, it is any. page_size is 1..10000. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_session_list(
    status: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    page_size: default!(Option<i32>, "50"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(session_id, String),
            name!(agent_id, Option<String>),
            name!(status, String),
            name!(progress, f64),
            name!(completed_items, Jsonb),
            name!(in_progress_item, Option<String>),
            name!(next_items, Jsonb),
            name!(blocked_items, Jsonb),
            name!(summary, Option<String>),
            name!(last_action, Option<String>),
            name!(metadata, Jsonb),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
            name!(completed_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::SessionList, || {
        let call = Call::begin_timeless(migrate::ACE, project_id, agent_id)?;
        let rows = sessions::list(&call, status, page_size.unwrap_or(50))?;
        Ok(TableIterator::new(rows.into_iter().map(session_row)))
    })
}

/// Changes a session and returns its row; what is left out stays as it is.
///
/// status: active can become paused, completed or failed; paused active, completed or failed; failed active; completed is the end.
/// The lists are JSON arrays of strings or objects, at most 10,000, kept in order; a list that is given replaces the old one. A
/// blank in_progress_item, summary or last_action takes it away. complete_item is the name of an item (a string, or the "item" of an
/// object), which moves to the end of completed_items; an unknown one is appended, a completed one changes nothing. progress
/// 0..100 holds until the items change again; without it it is 100 * completed / all items, those in progress, next and blocked
/// included. metadata is a merge patch (RFC 7396). Calls at the same time all count.
/// Errors: 22023, P0002, 42501, 54000, 55000 also for a change of status that is not possible.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_session_update(
    session_id: Option<&str>,
    status: default!(Option<&str>, "NULL"),
    completed_items: default!(Option<Jsonb>, "NULL"),
    in_progress_item: default!(Option<&str>, "NULL"),
    next_items: default!(Option<Jsonb>, "NULL"),
    blocked_items: default!(Option<Jsonb>, "NULL"),
    complete_item: default!(Option<&str>, "NULL"),
    progress: default!(Option<f64>, "NULL"),
    summary: default!(Option<&str>, "NULL"),
    last_action: default!(Option<&str>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(session_id, String),
            name!(agent_id, Option<String>),
            name!(status, String),
            name!(progress, f64),
            name!(completed_items, Jsonb),
            name!(in_progress_item, Option<String>),
            name!(next_items, Jsonb),
            name!(blocked_items, Jsonb),
            name!(summary, Option<String>),
            name!(last_action, Option<String>),
            name!(metadata, Jsonb),
            name!(created_at, TimestampWithTimeZone),
            name!(updated_at, TimestampWithTimeZone),
            name!(completed_at, Option<TimestampWithTimeZone>),
            name!(project_id, String),
        ),
    >,
> {
    measured(Operation::SessionUpdate, || {
        let session_id = required("session_id", session_id)?;
        let change = Change {
            status,
            completed_items,
            in_progress_item,
            next_items,
            blocked_items,
            complete_item,
            progress,
            summary,
            last_action,
            metadata,
        };
        let call = Call::begin_ace(project_id, agent_id, Privilege::Write, "session_update")?;
        let row = sessions::update(&call, session_id, change)?;
        Ok(TableIterator::once(session_row(row)))
    })
}

type SessionRow = (
    String,
    Option<String>,
    String,
    f64,
    Jsonb,
    Option<String>,
    Jsonb,
    Jsonb,
    Option<String>,
    Option<String>,
    Jsonb,
    TimestampWithTimeZone,
    TimestampWithTimeZone,
    Option<TimestampWithTimeZone>,
    String,
);

fn session_row(session: WorkSession) -> SessionRow {
    (
        session.session_id,
        session.agent_id,
        session.status,
        session.progress,
        session.completed_items,
        session.in_progress_item,
        session.next_items,
        session.blocked_items,
        session.summary,
        session.last_action,
        session.metadata,
        session.created_at,
        session.updated_at,
        session.completed_at,
        session.project_id,
    )
}
