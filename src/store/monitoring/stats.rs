//! The same as rows, with rows counted instead of estimated.

use serde_json::{Map, Value as Json};

use super::families::{Families, Family, Value, whole};
use super::look::{Found, Looker};
use super::rights;
use super::state::{State, WAITING};
use crate::pg::error::Result;
use crate::pg::spi::{Arg, Planning, Session};
use crate::pg::system;
use crate::store::migrate;
use crate::store::open::Store;

/// Name, value and labels of every sample.
pub fn rows(project: Option<&str>) -> Result<Vec<(String, f64, Json)>> {
    if let Some(project) = project {
        crate::store::access::resolve_project(Some(project))?;
    }
    let found = Found::now();
    rights::check(&found, project)?;
    let mut families = Families::default();
    let mut failed = usize::from(found.is_locked);
    // Numbers of a server are not those of a project.
    if project.is_none() {
        let mut state = State::of(&found);
        families.of_server(&state);
        // Both are counted below.
        (state.expired_backlog, state.embedding_backlog) = (None, None);
        for table in &mut state.tables {
            table.rows = f64::NAN;
        }
        families.of_store(&state);
        families.of_counters(&state);
        failed = state.failed.len();
    }
    failed += count(&mut families, &found, project);
    families.of_looks(failed);
    Ok(families.all().iter().flat_map(flat).collect())
}

fn flat(family: &Family) -> Vec<(String, f64, Json)> {
    let mut rows = Vec::new();
    for (labels, value) in &family.samples {
        let labels: Map<String, Json> = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_str().into()))
            .collect();
        let mut row = |suffix: &str, value: f64| {
            let name = format!("{}{suffix}", family.name);
            rows.push((name, value, Json::from(labels.clone())));
        };
        match value {
            Value::Count(count) => row("", *count as f64),
            // Rows that were only estimated.
            Value::Number(number) if number.is_nan() => {}
            Value::Number(number) => row("", *number),
            Value::Durations(durations) => {
                row("_count", durations.count() as f64);
                row("_sum", durations.sum_seconds);
            }
        }
    }
    rows
}

/// Rows of every table, and the memories by what they are; how many of the looks at them failed.
fn count(families: &mut Families, found: &Found, project: Option<&str>) -> usize {
    // Who asks for exact numbers waits for them.
    let looker = Looker::patient(found);
    let tables = looker
        .at_store("rows", migrate::FIRST, |session, store| {
            rows_of_tables(session, store, project)
        })
        .unwrap_or_default();
    let rows = families.gauge("memory_rows", "Rows.");
    for (table, count) in tables {
        rows.with(vec![("table", table)], whole(count));
    }
    let states = looker
        .at_store("memories", migrate::FIRST, |session, store| {
            Memories::count(session, store, project).named()
        })
        .unwrap_or_default();
    let memories = families.gauge(
        "memory_memories",
        "Memories by what they are; one may be several.",
    );
    for (state, count) in &states {
        memories.with(vec![("state", (*state).to_owned())], whole(*count));
    }
    let backlog = |state: &str| {
        let found = states.iter().find(|(name, _)| *name == state);
        found.map(|(_, count)| whole(*count))
    };
    families
        .gauge("memory_expired_backlog", "Memories whose time is over.")
        .may_be(backlog("over"));
    families
        .gauge("memory_embedding_backlog", "Memories without their vector.")
        .may_be(backlog("waiting"));
    let types = looker
        .at_store("types", migrate::FIRST, |session, store| {
            types(session, store, project)
        })
        .unwrap_or_default();
    let by_type = families.gauge("memory_memories_by_type", "Live memories by type.");
    for (memory_type, count) in types {
        by_type.with(vec![("memory_type", memory_type)], whole(count));
    }
    looker.into_failed().len()
}

fn rows_of_tables(session: &Session, store: &Store, project: Option<&str>) -> Vec<(String, i64)> {
    // What is missing is told of by others.
    let sql = "SELECT c.relname::text, EXISTS (SELECT FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attname = 'project_id' AND NOT a.attisdropped)
        FROM pg_class c WHERE c.relnamespace = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p') ORDER BY c.relname";
    let args = [
        Arg::oid(store.identity.schema_oid),
        migrate::tables_until(store.migration).into(),
    ];
    let rows = session.read(sql, Planning::Generic, &args);
    let tables: Vec<(String, bool)> = (0..rows.len())
        .map(|row| (rows.required(row, 1), rows.required(row, 2)))
        .collect();
    let mut counted = Vec::new();
    for (table, has_project) in tables {
        if project.is_some() && !has_project {
            continue;
        }
        // An unlogged table cannot even be read there.
        if table == "embedding_cache" && system::in_recovery() {
            continue;
        }
        system::check_for_interrupts();
        let condition = match has_project {
            true => "$1::text IS NULL OR project_id = $1",
            false => "$1::text IS NULL",
        };
        let sql = store.sql(&format!(
            "SELECT count(*) FROM @s@.{table} WHERE {condition}"
        ));
        let rows = session.read(&sql, Planning::Custom, &[project.into()]);
        counted.push((table, rows.get(0, 1).unwrap_or(0)));
    }
    counted
}

fn types(session: &Session, store: &Store, project: Option<&str>) -> Vec<(String, i64)> {
    let sql = store.sql(&format!(
        "SELECT m.memory_type, count(*) FROM @s@.memories m WHERE ($1::text IS NULL OR m.project_id = $1) AND {} GROUP BY 1 ORDER BY 1",
        live(store)
    ));
    let rows = session.read(&sql, Planning::Custom, &[project.into()]);
    (0..rows.len())
        .map(|row| (rows.required(row, 1), rows.required(row, 2)))
        .collect()
}

/// Neither deleted nor over its time nor deprecated.
pub fn live(store: &Store) -> String {
    format!(
        "(m.deleted_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > now()) AND NOT {})",
        deprecated(store)
    )
}

pub fn deprecated(store: &Store) -> &'static str {
    match store.has_ace() {
        true => "m.is_deprecated",
        false => "false",
    }
}

/// What is to have a vector.
pub const ELIGIBLE: &str = "(NOT m.is_sensitive AND m.deleted_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > now()))";

/// How many memories there are of each kind.
#[derive(Default)]
pub struct Memories {
    pub total: i64,
    pub live: i64,
    pub keyed: i64,
    /// Over their time, and not deleted.
    pub expired: i64,
    /// Over their time, deleted or not: what the worker will remove.
    pub over: i64,
    pub deleted: i64,
    pub deprecated: i64,
    pub sensitive: i64,
    pub eligible: i64,
    pub waiting: i64,
    pub stale: i64,
}

impl Memories {
    /// In one pass over all of them.
    pub fn count(session: &Session, store: &Store, project: Option<&str>) -> Self {
        let live = live(store);
        let deprecated = deprecated(store);
        let sql = store.sql(&format!(
            "SELECT count(*), count(*) FILTER (WHERE {live}), count(*) FILTER (WHERE {live} AND m.key IS NOT NULL),
                    count(*) FILTER (WHERE m.deleted_at IS NULL AND m.expires_at <= now()), count(*) FILTER (WHERE m.expires_at <= now()),
                    count(*) FILTER (WHERE m.deleted_at IS NOT NULL), count(*) FILTER (WHERE m.deleted_at IS NULL AND {deprecated}),
                    count(*) FILTER (WHERE m.deleted_at IS NULL AND m.is_sensitive), count(*) FILTER (WHERE {ELIGIBLE}), count(*) FILTER (WHERE {WAITING}),
                    count(*) FILTER (WHERE {ELIGIBLE} AND m.embedding IS NOT NULL AND m.embedded_hash IS DISTINCT FROM m.content_hash)
             FROM @s@.memories m WHERE $1::text IS NULL OR m.project_id = $1"
        ));
        let rows = session.read(&sql, Planning::Custom, &[project.into()]);
        let count = |column| rows.get::<i64>(0, column).unwrap_or(0);
        Memories {
            total: count(1),
            live: count(2),
            keyed: count(3),
            expired: count(4),
            over: count(5),
            deleted: count(6),
            deprecated: count(7),
            sensitive: count(8),
            eligible: count(9),
            waiting: count(10),
            stale: count(11),
        }
    }

    fn named(&self) -> Vec<(&'static str, i64)> {
        vec![
            ("total", self.total),
            ("live", self.live),
            ("keyed", self.keyed),
            ("expired", self.expired),
            ("over", self.over),
            ("deleted", self.deleted),
            ("deprecated", self.deprecated),
            ("sensitive", self.sensitive),
            ("eligible", self.eligible),
            ("embedded", self.eligible - self.waiting),
            ("waiting", self.waiting),
            ("stale", self.stale),
        ]
    }
}
