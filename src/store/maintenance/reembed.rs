//! Making vectors anew from the texts.

use serde_json::{Value, json};

use super::progress::{Phase, Progress};
use crate::pg::error::{Error, Result};
use crate::pg::spi::{Arg, Session};
use crate::pg::subtransaction::{self, Outcome};
use crate::pg::system;
use crate::pg::vector::Vector;
use crate::store::access::Call;
use crate::store::embedder::{Embedder, embedded_text};
use crate::store::integrity::{self, draw::Draw};

/// What is to be embedded again.
pub struct Task<'a> {
    /// `None`: all projects.
    pub project_id: Option<&'a str>,
    /// Rows to look at, at most; more where several projects have the last one's id.
    pub batch: i64,
    /// Rows behind this id.
    pub after: Option<&'a str>,
    /// Only what has no vector, or the one of another text.
    pub only_stale: bool,
    /// Whether the index is searched for what was embedded.
    pub verify: bool,
}

#[derive(Default)]
pub struct Outcomes {
    pub found: i64,
    pub eligible: i64,
    pub embedded: i64,
    pub failed: i64,
    written: i64,
    searched: usize,
    verified: usize,
    errors: Vec<Value>,
    next: Option<String>,
}

impl Outcomes {
    pub fn report(&self) -> Value {
        json!({
            "found": self.found,
            "eligible": self.eligible,
            "embedded": self.embedded,
            "written": self.written,
            "failed": self.failed,
            "errors": self.errors,
            "searched": self.searched,
            "verified": self.verified,
            "next": self.next,
        })
    }
}

/// Rows of one statement.
const CHUNK: i64 = 500;
/// What is searched for at the end.
const VERIFIED: usize = 100;
const MOST_ERRORS: usize = 10;

/// A row whose vector is to change.
struct Change {
    id: String,
    project_id: String,
    key: Option<String>,
    content_hash: Vec<u8>,
    vector: Vector,
}

pub fn refuse_external(call: &Call) -> Result<()> {
    if call.store.embedder != Embedder::External {
        return Ok(());
    }
    Err(
        Error::state("the store's embedder is \"external\": the callers bring the vectors")
            .hint("Bring them with memory_update(id, embedding => ...); memory_validate_vectors() tells how many wait."),
    )
}

/// Embeds memories again in the order of their ids. What cannot be written is reported, and does not stop the rest.
pub fn run(call: &Call, task: &Task<'_>) -> Result<Outcomes> {
    refuse_external(call)?;
    if task.batch < 1 {
        return Err(Error::argument(format!(
            "batch is {}, expected 1 or more",
            task.batch
        )));
    }
    Ok(call.sql(|session| {
        let mut outcomes = Outcomes::default();
        let mut draw = Draw::new(VERIFIED);
        let mut progress = Progress::of(Phase::Embedding, rows_ahead(call, session, task));
        let mut after = task.after.map(str::to_owned);
        loop {
            system::check_for_interrupts();
            let wanted = CHUNK.min(task.batch - outcomes.found);
            let looked = look(
                call,
                session,
                task,
                &mut after,
                wanted,
                &mut outcomes,
                &mut draw,
            );
            let Some((visited, changes)) = looked else {
                break;
            };
            write(call, changes, &mut outcomes);
            progress.at(outcomes.found);
            if visited < wanted {
                break;
            }
            if outcomes.found >= task.batch {
                outcomes.next = after;
                break;
            }
        }
        outcomes.embedded = outcomes.eligible - outcomes.failed;
        progress.done(outcomes.found);
        if task.verify {
            let reached = integrity::reached(call, session, &draw.drawn());
            outcomes.searched = reached.searched;
            outcomes.verified = reached.found_itself;
        }
        outcomes
    }))
}

/// For the progress: what there is to look at. A short call needs no count.
fn rows_ahead(call: &Call, session: &Session, task: &Task<'_>) -> i64 {
    const SHORT: i64 = 10_000;
    if task.batch <= SHORT {
        return 0;
    }
    let sql = call.store.sql(
        "SELECT count(*) FROM @s@.memories m WHERE ($1::text IS NULL OR m.project_id = $1) AND ($2::text IS NULL OR m.id > $2)",
    );
    let rows = session.write(&sql, &[task.project_id.into(), task.after.into()]);
    rows.get::<i64>(0, 1).unwrap_or(0).min(task.batch)
}

/// The next rows: how many were looked at, and what is to change of them; `None` at the end.
fn look(
    call: &Call,
    session: &Session,
    task: &Task<'_>,
    after: &mut Option<String>,
    wanted: i64,
    outcomes: &mut Outcomes,
    draw: &mut Draw,
) -> Option<(i64, Vec<Change>)> {
    // Equal ids of several projects stay together: where to go on is said by an id alone.
    let sql = call.store.sql(
        "SELECT m.id, m.project_id, NOT m.is_sensitive AND m.deleted_at IS NULL AND (NOT $4 OR m.embedding IS NULL OR m.embedded_hash IS DISTINCT FROM m.content_hash),
                m.key, m.content_hash, m.content, m.embedding, m.embedded_hash IS NOT DISTINCT FROM m.content_hash
         FROM @s@.memories m WHERE ($1::text IS NULL OR m.project_id = $1) AND ($2::text IS NULL OR m.id > $2)
         ORDER BY m.id FETCH FIRST $3 ROWS WITH TIES",
    );
    let rows = session.write(
        &sql,
        &[
            task.project_id.into(),
            after.as_deref().into(),
            wanted.into(),
            task.only_stale.into(),
        ],
    );
    if rows.is_empty() {
        return None;
    }
    let mut changes = Vec::new();
    for row in 0..rows.len() {
        if rows.get(row, 3) != Some(true) {
            continue;
        }
        let (key, content): (Option<String>, String) = (rows.get(row, 4), rows.required(row, 6));
        let made = call.store.embedder.embed(
            &embedded_text(key.as_deref(), &content),
            call.store.dimensions,
        );
        // What has no vector by its embedder is not counted among those that got one.
        let Some(vector) = made else {
            continue;
        };
        outcomes.eligible += 1;
        draw.offer(|| (rows.required(row, 1), rows.required(row, 2)));
        if rows.get(row, 8) == Some(true) && rows.get::<Vector>(row, 7).as_ref() == Some(&vector) {
            continue;
        }
        changes.push(Change {
            id: rows.required(row, 1),
            project_id: rows.required(row, 2),
            key,
            content_hash: rows.required(row, 5),
            vector,
        });
    }
    let visited = rows.len() as i64;
    outcomes.found += visited;
    *after = rows.get(rows.len() - 1, 1);
    Some((visited, changes))
}

/// Writes the vectors in one statement; where that fails, row by row, to find the one it fails for.
fn write(call: &Call, changes: Vec<Change>, outcomes: &mut Outcomes) {
    if changes.is_empty() {
        return;
    }
    if let Outcome::Done(written) = attempt(call, &changes) {
        outcomes.written += written;
        return;
    }
    for change in &changes {
        system::check_for_interrupts();
        match attempt(call, std::slice::from_ref(change)) {
            Outcome::Done(written) => outcomes.written += written,
            Outcome::Failed { sqlstate, message } => {
                outcomes.failed += 1;
                if outcomes.errors.len() < MOST_ERRORS {
                    outcomes.errors.push(json!({
                        "id": change.id, "project_id": change.project_id, "sqlstate": sqlstate, "error": message,
                    }));
                }
            }
        }
    }
}

fn attempt(call: &Call, changes: &[Change]) -> Outcome<i64> {
    // A memory whose text was changed meanwhile was embedded by its trigger.
    let sql = call.store.sql(
        "UPDATE @s@.memories m SET embedding = u.embedding, embedded_hash = u.content_hash
         FROM unnest($1, $2, $3, $4, $5) AS u (id, project_id, key, content_hash, embedding)
         WHERE m.id = u.id AND m.project_id = u.project_id AND m.content_hash = u.content_hash AND m.key IS NOT DISTINCT FROM u.key
               AND NOT m.is_sensitive AND m.deleted_at IS NULL",
    );
    let vectors: Vec<Option<Vector>> = changes
        .iter()
        .map(|change| Some(change.vector.clone()))
        .collect();
    let texts = |of: fn(&Change) -> Option<String>| -> Arg {
        changes.iter().map(of).collect::<Vec<_>>().into()
    };
    let args = [
        texts(|change| Some(change.id.clone())),
        texts(|change| Some(change.project_id.clone())),
        texts(|change| change.key.clone()),
        changes
            .iter()
            .map(|change| Some(change.content_hash.clone()))
            .collect::<Vec<_>>()
            .into(),
        Arg::vectors(&vectors, call.store.identity.vector_type),
    ];
    subtransaction::attempt_any(|| Ok(call.sql(|session| session.write(&sql, &args).len() as i64)))
}
