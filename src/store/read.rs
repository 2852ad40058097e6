//! Reading memories without a query: by id, as pages, counted.

use pgrx::datum::TimestampWithTimeZone;

use super::access::Call;
use super::conditions::{Conditions, Filters};
use super::past::{self, Which};
use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::pg::spi::{Planning, Rows};

/// What is shown instead of the content of a sensitive memory.
pub const MASK: &str = "***";

/// A memory as functions return it.
pub struct Memory {
    pub id: String,
    pub content: String,
    pub key: Option<String>,
    pub memory_type: String,
    pub scope: String,
    pub agent_id: Option<String>,
    pub user_id: Option<String>,
    pub session_id: Option<String>,
    pub entity_id: Option<String>,
    pub namespace: String,
    pub shared_with_agents: Vec<Option<String>>,
    pub metadata: Jsonb,
    pub importance: f32,
    pub is_sensitive: bool,
    pub version: i32,
    pub created_at: TimestampWithTimeZone,
    pub updated_at: TimestampWithTimeZone,
    pub expires_at: Option<TimestampWithTimeZone>,
    pub project_id: String,
}

fn columns() -> String {
    format!(
        "m.id, CASE WHEN m.is_sensitive THEN '{MASK}' ELSE m.content END, m.key, m.memory_type, m.scope, m.agent_id, m.user_id, m.session_id,
         m.entity_id, m.namespace, m.shared_with_agents, m.metadata, m.importance, m.is_sensitive, m.version, m.created_at, m.updated_at,
         m.expires_at, m.project_id"
    )
}

fn memory(rows: &Rows<'_>, row: usize) -> Memory {
    Memory {
        id: rows.required(row, 1),
        content: rows.required(row, 2),
        key: rows.get(row, 3),
        memory_type: rows.required(row, 4),
        scope: rows.required(row, 5),
        agent_id: rows.get(row, 6),
        user_id: rows.get(row, 7),
        session_id: rows.get(row, 8),
        entity_id: rows.get(row, 9),
        namespace: rows.required(row, 10),
        shared_with_agents: rows.required(row, 11),
        metadata: rows.required(row, 12),
        importance: rows.required(row, 13),
        is_sensitive: rows.required(row, 14),
        version: rows.required(row, 15),
        created_at: rows.required(row, 16),
        updated_at: rows.required(row, 17),
        expires_at: rows.get(row, 18),
        project_id: rows.required(row, 19),
    }
}

pub fn get(call: &Call, id: &str) -> Option<Memory> {
    let mut conditions = Conditions::default();
    let memories = past::memories(call, &mut conditions, Which::Live);
    conditions.equal("id", Some(id));
    let sql = call.store.sql(&format!(
        "SELECT {} FROM {memories} WHERE {}",
        columns(),
        conditions.sql()
    ));
    call.sql(|session| {
        let rows = session.read(&sql, Planning::Generic, &conditions.args);
        (!rows.is_empty()).then(|| memory(&rows, 0))
    })
}

pub fn check_page_size(page_size: i32) -> Result<()> {
    const LARGEST_PAGE: i32 = 10_000;
    if (1..=LARGEST_PAGE).contains(&page_size) {
        return Ok(());
    }
    Err(Error::argument(format!(
        "page_size is {page_size}, expected a number from 1 to {LARGEST_PAGE}"
    )))
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Newest,
    Oldest,
}

/// A page of a list, after the memory with id `after`.
pub struct Page<'a> {
    pub order: Order,
    pub size: i32,
    pub after: Option<&'a str>,
}

/// A page of memories by the time they were made.
pub fn list(
    call: &Call,
    filters: Filters<'_>,
    include_expired: bool,
    page: &Page<'_>,
) -> Result<Vec<Memory>> {
    check_page_size(page.size)?;
    let (comes_after, direction) = match page.order {
        Order::Newest => ("<", "DESC"),
        Order::Oldest => (">", "ASC"),
    };
    let mut conditions = Conditions::default();
    let memories = past::memories(call, &mut conditions, Which::live(include_expired));
    filters.apply(&mut conditions)?;
    if let Some(after) = page.after {
        let created_at = created_at(call, after)?;
        let (time, id) = (conditions.arg(created_at), conditions.arg(after));
        conditions.push(format_args!(
            "(m.created_at, m.id) {comes_after} ({time}, {id})"
        ));
    }
    let sql = call.store.sql(&format!(
        "SELECT {} FROM {memories} WHERE {} ORDER BY m.created_at {direction}, m.id {direction} LIMIT {}",
        columns(),
        conditions.sql(),
        page.size
    ));
    Ok(call.sql(|session| {
        let rows = session.read(&sql, Planning::Custom, &conditions.args);
        (0..rows.len()).map(|row| memory(&rows, row)).collect()
    }))
}

/// When the memory that ended the page before was made. It may have expired or been deleted since: paging goes on.
fn created_at(call: &Call, id: &str) -> Result<TimestampWithTimeZone> {
    let mut conditions = Conditions::default();
    let memories = past::memories(call, &mut conditions, Which::Any);
    conditions.equal("id", Some(id));
    let sql = call.store.sql(&format!(
        "SELECT m.created_at FROM {memories} WHERE {}",
        conditions.sql()
    ));
    call.sql(|session| {
        session
            .read(&sql, Planning::Generic, &conditions.args)
            .get(0, 1)
    })
    .ok_or_else(|| {
        Error::argument(format!(
            "after is {id:?}, which is no memory of project {:?}",
            call.project()
        ))
        .hint("Give the id of the last memory of the page before.")
    })
}

pub fn count(call: &Call, filters: Filters<'_>, include_expired: bool) -> Result<i64> {
    let mut conditions = Conditions::default();
    let memories = past::memories(call, &mut conditions, Which::live(include_expired));
    filters.apply(&mut conditions)?;
    let sql = call.store.sql(&format!(
        "SELECT count(*) FROM {memories} WHERE {}",
        conditions.sql()
    ));
    Ok(call.sql(|session| {
        session
            .read(&sql, Planning::Custom, &conditions.args)
            .required(0, 1)
    }))
}
