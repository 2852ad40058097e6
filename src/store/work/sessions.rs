//! Sessions: where a bout of work stands, for whoever goes on with it.

use memory_core::progress::{Items, SessionStatus, State, percent};
use pgrx::datum::TimestampWithTimeZone;

use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::pg::spi::{Planning, Rows, Session};
use crate::store::access::Call;
use crate::store::conditions::Conditions;
use crate::store::memory;
use crate::store::read;
use crate::store::work::progress;

const WHAT: &str = "session";

/// A row of session_progress, as functions return it.
#[derive(Clone, PartialEq)]
pub struct WorkSession {
    pub session_id: String,
    pub agent_id: Option<String>,
    pub status: String,
    /// What was given, else what the items say.
    pub progress: f64,
    /// What was given.
    fixed: Option<f32>,
    pub completed_items: Jsonb,
    pub in_progress_item: Option<String>,
    pub next_items: Jsonb,
    pub blocked_items: Jsonb,
    pub summary: Option<String>,
    pub last_action: Option<String>,
    pub metadata: Jsonb,
    pub created_at: TimestampWithTimeZone,
    pub updated_at: TimestampWithTimeZone,
    pub completed_at: Option<TimestampWithTimeZone>,
    pub project_id: String,
}

const COLUMNS: &str = "m.session_id, m.agent_id, m.status, m.progress, m.completed_items, m.in_progress_item, m.next_items, m.blocked_items,
    m.summary, m.last_action, m.metadata, m.created_at, m.updated_at, m.completed_at, m.project_id,
    jsonb_array_length(m.completed_items), jsonb_array_length(m.next_items) + jsonb_array_length(m.blocked_items)";

fn work_session(rows: &Rows<'_>, row: usize) -> WorkSession {
    let fixed: Option<f32> = rows.get(row, 4);
    let in_progress_item: Option<String> = rows.get(row, 6);
    let count = |column| rows.required::<i32>(row, column).unsigned_abs() as usize;
    let left = count(17) + usize::from(in_progress_item.is_some());
    WorkSession {
        session_id: rows.required(row, 1),
        agent_id: rows.get(row, 2),
        status: rows.required(row, 3),
        progress: fixed.map_or_else(|| percent(count(16), left), widened),
        fixed,
        completed_items: rows.required(row, 5),
        in_progress_item,
        next_items: rows.required(row, 7),
        blocked_items: rows.required(row, 8),
        summary: rows.get(row, 9),
        last_action: rows.get(row, 10),
        metadata: rows.required(row, 11),
        created_at: rows.required(row, 12),
        updated_at: rows.required(row, 13),
        completed_at: rows.get(row, 14),
        project_id: rows.required(row, 15),
    }
}

/// The number that was written, 33.3, not the binary fraction beside it, 33.29999923706055.
fn widened(progress: f32) -> f64 {
    progress
        .to_string()
        .parse()
        .unwrap_or_else(|_| f64::from(progress))
}

fn all(rows: &Rows<'_>) -> Vec<WorkSession> {
    (0..rows.len()).map(|row| work_session(rows, row)).collect()
}

/// Begins a session of the requester.
pub fn start(
    call: &Call,
    session_id: &str,
    next_items: Option<Jsonb>,
    summary: Option<&str>,
    metadata: Option<Jsonb>,
) -> Result<WorkSession> {
    memory::check_name("session_id", session_id)?;
    progress::check_items("next_items", next_items.as_ref())?;
    progress::check_metadata(metadata.as_ref())?;
    let mut text = None;
    progress::set_text("summary", &mut text, summary)?;
    let agent = call.access.author()?;
    let sql = call.store.sql(&format!(
        "INSERT INTO @s@.session_progress AS m (id, project_id, session_id, agent_id, next_items, summary, metadata)
         VALUES ($1, $2, $3, $4, coalesce($5, '[]'), $6, coalesce($7, '{{}}'))
         ON CONFLICT (project_id, session_id) DO NOTHING RETURNING {COLUMNS}"
    ));
    call.sql(|session| {
        let rows = session.write(
            &sql,
            &[
                memory::new_id().into(),
                call.project().into(),
                session_id.into(),
                agent.into(),
                next_items.into(),
                text.into(),
                metadata.into(),
            ],
        );
        all(&rows).pop()
    })
    .ok_or_else(|| {
        Error::duplicate(format!(
            "session {session_id:?} exists already in project {:?}",
            call.project()
        ))
        .hint("Use memory_session_update() to go on with it, or another session_id.")
    })
}

/// The session of this name, if the requester sees it.
pub fn get(call: &Call, session_id: &str) -> Result<Option<WorkSession>> {
    memory::check_name("session_id", session_id)?;
    let mut conditions = progress::own_or_of_nobody(call);
    conditions.equal("session_id", Some(session_id));
    Ok(select(call, &conditions, Planning::Generic, "").pop())
}

/// A page of sessions, the one that was changed last first.
pub fn list(call: &Call, status: Option<&str>, page_size: i32) -> Result<Vec<WorkSession>> {
    read::check_page_size(page_size)?;
    let mut conditions = progress::own_or_of_nobody(call);
    if let Some(status) = status {
        let status: SessionStatus = progress::status(WHAT, status)?;
        conditions.equal("status", Some(status.name()));
    }
    let newest = format!("ORDER BY m.updated_at DESC, m.id DESC LIMIT {page_size}");
    Ok(select(call, &conditions, Planning::Custom, &newest))
}

/// The open sessions of an agent, whoever asks; the one that was changed last first.
pub fn open_of(
    call: &Call,
    agent_id: &str,
    session_id: Option<&str>,
    most: usize,
) -> Vec<WorkSession> {
    let mut conditions = Conditions::default();
    conditions.equal("project_id", Some(call.project()));
    conditions.equal("agent_id", Some(agent_id));
    conditions.equal("session_id", session_id);
    let open: Vec<String> = SessionStatus::ALL
        .iter()
        .filter(|status| status.is_open())
        .map(|status| status.name().to_owned())
        .collect();
    let place = conditions.arg(open);
    conditions.push(format_args!("m.status = ANY ({place})"));
    let newest = format!("ORDER BY m.updated_at DESC, m.id DESC LIMIT {most}");
    select(call, &conditions, Planning::Custom, &newest)
}

fn select(
    call: &Call,
    conditions: &Conditions,
    planning: Planning,
    order: &str,
) -> Vec<WorkSession> {
    let sql = call.store.sql(&format!(
        "SELECT {COLUMNS} FROM @s@.session_progress m WHERE {} {order}",
        conditions.sql()
    ));
    call.sql(|session| all(&session.read(&sql, planning, &conditions.args)))
}

/// What is to change; `None` stays as it is.
#[derive(Default)]
pub struct Change<'a> {
    pub status: Option<&'a str>,
    pub completed_items: Option<Jsonb>,
    /// A blank one: no item is in progress.
    pub in_progress_item: Option<&'a str>,
    pub next_items: Option<Jsonb>,
    pub blocked_items: Option<Jsonb>,
    /// An item that is done now.
    pub complete_item: Option<&'a str>,
    pub progress: Option<f64>,
    pub summary: Option<&'a str>,
    pub last_action: Option<&'a str>,
    /// RFC 7396 merge patch.
    pub metadata: Option<Jsonb>,
}

impl Change<'_> {
    fn check(&self) -> Result<Option<SessionStatus>> {
        progress::check_items("completed_items", self.completed_items.as_ref())?;
        progress::check_items("next_items", self.next_items.as_ref())?;
        progress::check_items("blocked_items", self.blocked_items.as_ref())?;
        if let Some(item) = self.complete_item {
            memory::check_length("complete_item", item)?;
            if memory_core::text::is_blank(item) {
                return Err(Error::argument("complete_item is blank")
                    .hint("Name the item that is completed."));
            }
        }
        if let Some(progress) = self.progress
            && !(0.0..=100.0).contains(&progress)
        {
            return Err(Error::argument(format!(
                "progress is {progress}, expected a number from 0 to 100"
            ))
            .hint("Leave it out to have it counted from the items."));
        }
        progress::check_metadata(self.metadata.as_ref())?;
        self.status
            .map(|status| progress::status(WHAT, status))
            .transpose()
    }

    /// The row after the change: lists that are given first, then the item that is completed.
    fn apply(self, to: Option<SessionStatus>, old: &WorkSession) -> Result<WorkSession> {
        let mut new = old.clone();
        if let Some(to) = to {
            progress::check_change(WHAT, &old.session_id, &old.status, to)?;
            new.status = to.name().to_owned();
        }
        for (list, given) in [
            (&mut new.completed_items, self.completed_items),
            (&mut new.next_items, self.next_items),
            (&mut new.blocked_items, self.blocked_items),
        ] {
            if let Some(given) = given {
                *list = given;
            }
        }
        progress::set_text(
            "in_progress_item",
            &mut new.in_progress_item,
            self.in_progress_item,
        )?;
        if let Some(item) = self.complete_item {
            complete(&mut new, item)?;
        }
        if new.items() != old.items() {
            new.fixed = None;
        }
        if let Some(progress) = self.progress {
            new.fixed = Some(progress as f32);
        }
        progress::set_text("summary", &mut new.summary, self.summary)?;
        progress::set_text("last_action", &mut new.last_action, self.last_action)?;
        progress::patch(&mut new.metadata, self.metadata.as_ref())?;
        Ok(new)
    }
}

impl WorkSession {
    fn items(&self) -> (&Jsonb, Option<&str>, &Jsonb, &Jsonb) {
        (
            &self.completed_items,
            self.in_progress_item.as_deref(),
            &self.next_items,
            &self.blocked_items,
        )
    }
}

fn complete(row: &mut WorkSession, item: &str) -> Result<()> {
    let mut items = Items {
        completed: progress::read_items("completed_items", &row.completed_items)?,
        in_progress: row.in_progress_item.take(),
        next: progress::read_items("next_items", &row.next_items)?,
        blocked: progress::read_items("blocked_items", &row.blocked_items)?,
    };
    let changed = items.complete(item);
    row.in_progress_item = items.in_progress;
    if changed {
        row.completed_items = progress::write_items("completed_items", items.completed)?;
        row.next_items = progress::write_items("next_items", items.next)?;
        row.blocked_items = progress::write_items("blocked_items", items.blocked)?;
    }
    Ok(())
}

/// Changes a session. The row is locked before it is looked at, so that changes at the same time all count.
pub fn update(call: &Call, session_id: &str, change: Change<'_>) -> Result<WorkSession> {
    memory::check_name("session_id", session_id)?;
    let to = change.check()?;
    call.sql(|session| {
        let old = lock(call, session, session_id)?;
        let new = change.apply(to, &old)?;
        if new == old {
            return Ok(old);
        }
        let sql = call.store.sql(&format!(
            "UPDATE @s@.session_progress m SET status = $3, completed_items = $4, in_progress_item = $5, next_items = $6, blocked_items = $7,
                    progress = $8, summary = $9, last_action = $10, metadata = $11, updated_at = greatest(m.updated_at, now()),
                    completed_at = CASE WHEN $12 THEN coalesce(m.completed_at, now()) END
             WHERE m.project_id = $1 AND m.session_id = $2 RETURNING {COLUMNS}"
        ));
        let completed = new.status == SessionStatus::Completed.name();
        let rows = session.write(
            &sql,
            &[
                call.project().into(),
                session_id.into(),
                new.status.into(),
                new.completed_items.into(),
                new.in_progress_item.into(),
                new.next_items.into(),
                new.blocked_items.into(),
                new.fixed.into(),
                new.summary.into(),
                new.last_action.into(),
                new.metadata.into(),
                completed.into(),
            ],
        );
        all(&rows).pop().ok_or_else(|| not_found(session_id))
    })
}

fn lock(call: &Call, session: &Session, session_id: &str) -> Result<WorkSession> {
    let mut conditions = progress::own_or_of_nobody(call);
    conditions.equal("session_id", Some(session_id));
    let sql = call.store.sql(&format!(
        "SELECT {COLUMNS} FROM @s@.session_progress m WHERE {} FOR NO KEY UPDATE OF m",
        conditions.sql()
    ));
    all(&session.write(&sql, &conditions.args))
        .pop()
        .ok_or_else(|| not_found(session_id))
}

fn not_found(session_id: &str) -> Error {
    Error::not_found(format!(
        "there is no session {session_id:?} that this caller may see"
    ))
    .hint("A session of an agent needs its agent_id; memory_session_start() begins one.")
}
