//! What is so at the moment, as far as it can be seen.

use super::look::{self, Found, Looker};
use crate::pg::guc;
use crate::pg::measure::{self, Counted};
use crate::pg::spi::{Arg, Planning, Session};
use crate::pg::system::{self, Connections};
use crate::store::integrity;
use crate::store::migrate;
use crate::store::open::Store;

pub struct State {
    pub library: &'static str,
    /// The store's version.
    pub store: Option<String>,
    pub migration: Option<i32>,
    pub vector: Option<String>,
    pub server: String,
    pub database: String,
    pub in_recovery: bool,
    pub connections: Connections,
    pub ready: bool,
    pub tables: Vec<Table>,
    /// Name and bytes of those that the extension made; of all others together.
    pub indexes: Vec<(String, i64)>,
    pub other_index_bytes: Option<i64>,
    pub has_vector_index: Option<bool>,
    pub expired_backlog: Option<i64>,
    pub embedding_backlog: Option<i64>,
    pub last_seal: Option<f64>,
    pub unsealed: Option<i64>,
    /// Of the newest check that was kept, and when the newest round ended.
    pub integrity_issues: Option<i64>,
    pub last_maintenance: Option<f64>,
    /// What could not be looked at, and the SQLSTATE.
    pub failed: Vec<(&'static str, String)>,
    pub counted: Option<Counted>,
}

pub struct Table {
    pub name: String,
    pub rows: f64,
    pub dead: f64,
    pub bytes: i64,
}

/// Counting stops behind this number: that there are very many is enough to know.
pub const MOST_COUNTED: i64 = 100_001;

/// Rows of the store's tables by PostgreSQL's statistics: those of the running server. A standby has none, and a server that was
/// just started after a crash has lost them; there it is the number of the last ANALYZE, less what was deleted since.
const TABLES: &str = "SELECT c.relname::text,
        greatest(pg_stat_get_live_tuples(c.oid), c.reltuples::float8 - pg_stat_get_tuples_deleted(c.oid), 0)::float8,
        coalesce(pg_stat_get_dead_tuples(c.oid), 0)::float8, coalesce(pg_table_size(c.oid), 0)::bigint
     FROM pg_class c WHERE c.relnamespace = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p') ORDER BY c.relname";

/// Whoever makes indexes of his own must not make metrics without bound.
const INDEXES: &str = "SELECT name, sum(bytes)::bigint FROM (
     SELECT CASE WHEN i.relname = ANY ($3) THEN i.relname::text END AS name, pg_relation_size(i.oid) AS bytes
     FROM pg_class c JOIN pg_index x ON x.indrelid = c.oid JOIN pg_class i ON i.oid = x.indexrelid
     WHERE c.relnamespace = $1 AND c.relname = ANY ($2) AND c.relkind IN ('r', 'p') AND i.relkind = 'i') one GROUP BY name ORDER BY name";

impl State {
    pub fn of(found: &Found) -> State {
        let looker = Looker::at(found);
        let (vector, server, database) = looker
            .at_server("versions", |session| {
                let sql = "SELECT (SELECT extversion FROM pg_extension WHERE extname = 'vector'), current_setting('server_version'), current_database()::text";
                let rows = session.read(sql, Planning::Generic, &[]);
                (rows.get(0, 1), rows.required(0, 2), rows.required(0, 3))
            })
            .unwrap_or_default();
        let store = found.store.as_ref();
        let names = store
            .map(|store| migrate::tables_until(store.migration))
            .unwrap_or_default();
        let seen = looker
            .at_store("tables", migrate::FIRST, |session, store| {
                let args = [Arg::oid(store.identity.schema_oid), names.clone().into()];
                let rows = session.read(TABLES, Planning::Generic, &args);
                (0..rows.len())
                    .map(|row| Table {
                        name: rows.required(row, 1),
                        rows: rows.required(row, 2),
                        dead: rows.required(row, 3),
                        bytes: rows.required(row, 4),
                    })
                    .collect()
            })
            .unwrap_or_default();
        let mut indexes = Vec::new();
        let mut other_index_bytes = None;
        looker.at_store("indexes", migrate::FIRST, |session, store| {
            let args = [
                Arg::oid(store.identity.schema_oid),
                names.clone().into(),
                integrity::index_names(store.migration).into(),
            ];
            let rows = session.read(INDEXES, Planning::Generic, &args);
            for row in 0..rows.len() {
                let bytes = rows.get(row, 2).unwrap_or(0);
                match rows.get(row, 1) {
                    Some(name) => indexes.push((name, bytes)),
                    None => other_index_bytes = Some(bytes),
                }
            }
        });
        let has_vector_index =
            looker.at_store("vector index", migrate::FIRST, look::has_vector_index);
        let (expired_backlog, embedding_backlog) = backlogs(&looker, None);
        let (last_seal, unsealed) = looker
            .at_store("seals", migrate::SAFETY, seals)
            .unwrap_or_default();
        let (integrity_issues, last_maintenance) = looker
            .at_store("maintenance", migrate::SAFETY, maintenance)
            .unwrap_or_default();
        State {
            library: migrate::LIBRARY_VERSION,
            store: store.map(|store| migrate::version_of(store.migration)),
            migration: store.map(|store| store.migration),
            vector,
            server,
            database,
            in_recovery: system::in_recovery(),
            connections: system::connections(),
            ready: found.is_ready(),
            tables: seen,
            indexes,
            other_index_bytes,
            has_vector_index,
            expired_backlog,
            embedding_backlog,
            last_seal,
            unsealed,
            integrity_issues,
            last_maintenance,
            failed: found
                .is_locked
                .then(|| ("store", look::LOCKED.to_owned()))
                .into_iter()
                .chain(looker.into_failed())
                .collect(),
            counted: measure::counted(),
        }
    }
}

/// Memories whose time is over and that are still there, and those that wait for a vector; each by an index made for that, and not
/// further than a limit.
pub fn backlogs(looker: &Looker<'_>, project: Option<&str>) -> (Option<i64>, Option<i64>) {
    let counted = |session: &Session, store: &Store, which: &str| -> i64 {
        let sql = store.sql(&format!(
            "SELECT count(*) FROM (SELECT FROM @s@.memories m WHERE {which} AND ($1::text IS NULL OR m.project_id = $1) LIMIT {MOST_COUNTED}) there"
        ));
        session
            .read(&sql, Planning::Custom, &[project.into()])
            .get(0, 1)
            .unwrap_or(0)
    };
    let expired = looker.at_store("expired backlog", migrate::FIRST, |session, store| {
        counted(session, store, "m.expires_at <= now()")
    });
    // Without the index of 2.0.0 it would take reading all.
    let waiting = looker.at_store("embedding backlog", migrate::SAFETY, |session, store| {
        counted(session, store, WAITING)
    });
    (expired, waiting)
}

/// What is to have a vector and has none.
pub const WAITING: &str = "m.embedding IS NULL AND NOT m.is_sensitive AND m.deleted_at IS NULL AND (m.expires_at IS NULL OR m.expires_at > now())";

/// When the newest seal was made, and how many rows there are that none covers: up to the limit of either table.
pub fn seals(session: &Session, store: &Store) -> (Option<f64>, Option<i64>) {
    let unsealed = |table: &str, id: &str, sealed: &str| {
        format!(
            "(SELECT count(*) FROM (SELECT FROM @s@.{table} WHERE {id} > coalesce((SELECT last_id FROM @s@.memory_audit_seals
                  WHERE sealed_table = '{sealed}' ORDER BY number DESC LIMIT 1), 0) LIMIT {MOST_COUNTED}) there)"
        )
    };
    let sql = store.sql(&format!(
        "SELECT (SELECT extract(epoch FROM sealed_at)::float8 FROM @s@.memory_audit_seals ORDER BY number DESC LIMIT 1), {} + {}",
        unsealed("memory_events", "event_id", "events"),
        unsealed("memory_history", "history_id", "history"),
    ));
    let rows = session.read(&sql, Planning::Custom, &[]);
    (rows.get(0, 1), rows.get(0, 2))
}

fn maintenance(session: &Session, store: &Store) -> (Option<i64>, Option<f64>) {
    let sql = store.sql(
        "SELECT (SELECT issues_found FROM @s@.memory_maintenance_runs WHERE operation = 'check_integrity' ORDER BY run_id DESC LIMIT 1),
                (SELECT extract(epoch FROM completed_at)::float8 FROM @s@.memory_maintenance_runs ORDER BY run_id DESC LIMIT 1)",
    );
    let rows = session.read(&sql, Planning::Generic, &[]);
    (rows.get(0, 1), rows.get(0, 2))
}

/// Whether the worker is to visit this database.
pub fn is_visited(database: &str) -> bool {
    guc::databases()
        .split(',')
        .map(str::trim)
        .any(|name| name == "*" || name == database)
}
