//! One report for whoever wonders whether all is well: numbers only, for everybody.

use serde_json::{Value, json};

use super::look::{self, Found, Looker};
use super::state::{self, WAITING};
use super::stats::{ELIGIBLE, Memories, deprecated, live};
use crate::pg::guc;
use crate::pg::measure::{self, Counted};
use crate::pg::spi::{Arg, Planning, Session};
use crate::pg::system;
use crate::store::embedder::Embedder;
use crate::store::migrate;
use crate::store::open::Store;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Status {
    Healthy,
    Degraded,
    Unhealthy,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Status::Healthy => "healthy",
            Status::Degraded => "degraded",
            Status::Unhealthy => "unhealthy",
        }
    }
}

/// What is not as it should be.
struct Issues {
    status: Status,
    told: Vec<String>,
}

impl Issues {
    fn add(&mut self, status: Status, issue: impl Into<String>) {
        self.status = self.status.max(status);
        self.told.push(issue.into());
    }
}

pub fn report() -> Value {
    let found = Found::now();
    let looker = Looker::at(&found);
    let counted = measure::counted();
    let mut issues = Issues {
        status: Status::Healthy,
        told: Vec::new(),
    };
    let is_uninitialized = !found.is_there && found.obstacle.is_none();
    if let Some(obstacle) = &found.obstacle {
        // Somebody holds the tables for himself; that passes.
        let status = match found.is_locked {
            true => Status::Degraded,
            false => Status::Unhealthy,
        };
        issues.add(status, obstacle.as_str());
    }
    if let Some(store) = &found.store
        && found.is_served
        && store.migration < migrate::newest()
    {
        issues.add(
            Status::Degraded,
            format!(
                "the memory store is at version {}, the library at {}: run SELECT memory_migrate()",
                migrate::version_of(store.migration),
                migrate::LIBRARY_VERSION
            ),
        );
    }
    let server = of_server(&looker, &mut issues);
    let memories = looker.at_store("memories", migrate::FIRST, count);
    let (over, waiting) = state::backlogs(&looker, None);
    let backlog = looker.at_store("tombstones", migrate::FIRST, tombstones);
    let index = looker.at_store("index", migrate::FIRST, |session, store| {
        (
            look::has_vector_index(session, store),
            index_bytes(session, store),
        )
    });
    let missing_tables = looker.at_store("tables", migrate::FIRST, missing_tables);
    let maintenance = looker.at_store("maintenance", migrate::SAFETY, |session, store| {
        newest_check(session, store)
    });
    let unsealed = looker.at_store("seals", migrate::SAFETY, |session, store| {
        state::seals(session, store).1
    });
    if let Some((false, _)) = index {
        issues.add(
            Status::Degraded,
            "memories has no valid vector index: searches find the same, only slower; memory_rebuild_index() makes it",
        );
    }
    if let Some(missing) = missing_tables.filter(|missing| !missing.is_empty()) {
        issues.add(
            Status::Unhealthy,
            format!("tables of the memory store are missing: {missing}"),
        );
    }
    if let Some(over) = over.filter(|over| *over >= 10_000) {
        issues.add(
            Status::Degraded,
            format!("{over} expired memories wait to be removed: the worker is to do that, or memory_expire()"),
        );
    }
    if let Some(found) = maintenance.flatten().filter(|found| *found > 0) {
        issues.add(
            Status::Degraded,
            format!("the newest check of integrity found {found} issues: see memory_maintenance_history()"),
        );
    }
    let vectors = memories.as_ref().map(|(memories, estimated)| {
        of_vectors(&found, memories, *estimated, waiting, &mut issues)
    });
    let worker = of_worker(&looker, counted.as_ref(), &mut issues);
    for (what, sqlstate) in looker.into_failed() {
        // Somebody holds the table for himself; that passes.
        let status = match sqlstate.as_str() {
            "55P03" => Status::Degraded,
            _ => Status::Unhealthy,
        };
        let why = match sqlstate.as_str() {
            "55P03" => "is locked".to_owned(),
            _ => format!("cannot be read: SQLSTATE {sqlstate}"),
        };
        issues.add(status, format!("{what}: {why}"));
    }
    let store = found.store.as_ref();
    json!({
        "status": if is_uninitialized { "uninitialized" } else { issues.status.name() },
        "version": migrate::LIBRARY_VERSION,
        "store_version": store.map(|store| migrate::version_of(store.migration)),
        "db_health": server,
        "memories": memories.map(|(memories, estimated)| json!({
            "total": memories.total,
            "live": memories.live,
            "keyed": memories.keyed,
            "expired": memories.expired,
            "deleted": memories.deleted,
            "deprecated": memories.deprecated,
            "sensitive": memories.sensitive,
            "estimated": estimated,
        })),
        "vectors": vectors,
        "backlog": store.map(|_| json!({
            "expired": over,
            "tombstones": backlog,
            "unsealed": unsealed.flatten(),
        })),
        "worker": worker,
        "index": index.map(|(valid, bytes)| json!({ "valid": valid, "bytes": bytes })),
        "issues": issues.told,
    })
}

fn of_server(looker: &Looker<'_>, issues: &mut Issues) -> Value {
    let server: Option<String> = looker.at_server("versions", |session| {
        let rows = session.read(
            "SELECT current_setting('server_version')",
            Planning::Generic,
            &[],
        );
        rows.required(0, 1)
    });
    let connections = system::connections();
    // What is left to superusers does not help others.
    let (clients, ordinary) = (connections.clients, connections.ordinary());
    let almost_all = i64::from(clients) * 10 >= i64::from(ordinary) * 9;
    if almost_all {
        issues.add(
            Status::Degraded,
            format!("{clients} connections are in use, of {ordinary} that ordinary roles may have"),
        );
    }
    json!({
        "status": if almost_all { "degraded" } else { "healthy" },
        "server_version": server,
        "in_recovery": system::in_recovery(),
        "read_only": system::read_only(),
        "connections": clients,
        "max_connections": connections.most,
        "reserved_connections": connections.reserved,
    })
}

/// Up to so many memories are counted, of more the numbers are the planner's.
const MOST_READ: f64 = 50_000.0;
/// Statistics can be lost, the size of the file cannot: a table of more bytes is not read for anybody who asks.
const MOST_BYTES_READ: f64 = 2048.0 * MOST_READ;

fn count(session: &Session, store: &Store) -> (Memories, bool) {
    let sql = "SELECT greatest(reltuples, pg_stat_get_live_tuples(oid))::float8, pg_relation_size(oid)::float8 FROM pg_class WHERE oid = $1";
    let rows = session.read(sql, Planning::Generic, &[Arg::oid(store.memories)]);
    let number = |column| rows.get::<f64>(0, column).unwrap_or(0.0);
    if number(1) <= MOST_READ && number(2) <= MOST_BYTES_READ {
        return (Memories::count(session, store, None), false);
    }
    let (live, deprecated) = (live(store), deprecated(store));
    let planned = |condition: &str| planned(session, store, condition);
    let memories = Memories {
        total: planned("true"),
        live: planned(&live),
        keyed: planned(&format!("{live} AND m.key IS NOT NULL")),
        expired: planned("m.deleted_at IS NULL AND m.expires_at <= now()"),
        over: planned("m.expires_at <= now()"),
        deleted: planned("m.deleted_at IS NOT NULL"),
        deprecated: planned(&format!("m.deleted_at IS NULL AND {deprecated}")),
        sensitive: planned("m.deleted_at IS NULL AND m.is_sensitive"),
        eligible: planned(ELIGIBLE),
        waiting: planned(WAITING),
        stale: 0,
    };
    (memories, true)
}

/// The planner's estimate of the rows that pass. EXPLAIN is refused in a read-only call, though it writes nothing.
fn planned(session: &Session, store: &Store, condition: &str) -> i64 {
    let sql = store.sql(&format!(
        "EXPLAIN (FORMAT JSON) SELECT FROM @s@.memories m WHERE {condition}"
    ));
    let plan: Option<String> = session.write(&sql, &[]).get(0, 1);
    plan.and_then(|plan| serde_json::from_str::<Value>(&plan).ok())
        .and_then(|plan| plan[0]["Plan"]["Plan Rows"].as_f64())
        .map_or(0, |rows| rows.max(0.0) as i64)
}

fn of_vectors(
    found: &Found,
    memories: &Memories,
    estimated: bool,
    counted_waiting: Option<i64>,
    issues: &mut Issues,
) -> Value {
    let waiting = match estimated {
        true => counted_waiting.unwrap_or(memories.waiting),
        false => memories.waiting,
    };
    let eligible = memories.eligible.max(waiting);
    let embedded = eligible - waiting;
    let in_sync = embedded - memories.stale;
    let ratio = match eligible {
        0 => 1.0,
        eligible => in_sync as f64 / eligible as f64,
    };
    // Where callers bring the vectors, some are always on their way.
    const ON_THE_WAY: f64 = 0.05;
    let external = found
        .store
        .as_ref()
        .is_some_and(|store| store.embedder == Embedder::External);
    let tolerated = match external {
        true => ON_THE_WAY * eligible as f64,
        false => 0.0,
    };
    if waiting as f64 > tolerated {
        issues.add(
            Status::Degraded,
            format!("{waiting} memories wait for a vector: vector searches do not find them"),
        );
    }
    if memories.stale > 0 {
        issues.add(
            Status::Degraded,
            format!(
                "{} memories have the vector of an older text: memory_reembed() makes it anew",
                memories.stale
            ),
        );
    }
    json!({
        "eligible": eligible,
        "embedded": embedded,
        "waiting": waiting,
        "stale": (!estimated).then_some(memories.stale),
        "sync_ratio": ratio,
    })
}

fn of_worker(looker: &Looker<'_>, counted: Option<&Counted>, issues: &mut Issues) -> Value {
    let Some(counted) = counted else {
        return json!({ "preloaded": false, "last_run": null, "runs": null, "errors": null });
    };
    let last_run: Option<String> = counted.worker_ended_at.and_then(|seconds| {
        looker.at_server("worker", |session| {
            let sql = "SELECT to_jsonb(to_timestamp($1)) #>> '{}'";
            session
                .read(sql, Planning::Generic, &[seconds.into()])
                .required(0, 1)
        })
    });
    let database: Option<String> = looker.at_server("worker", |session| {
        session
            .read("SELECT current_database()::text", Planning::Generic, &[])
            .required(0, 1)
    });
    // Of several databases together nobody can tell.
    let own = |number: u64| (!counted.is_shared).then_some(number);
    let is_visited =
        !counted.is_shared && database.is_some_and(|database| state::is_visited(&database));
    // It comes round once a nap, after the other databases.
    let patience = (10 * guc::naptime()).max(std::time::Duration::from_secs(600));
    let age = match counted.worker_age {
        Some(age) => age,
        None => measure::uptime(),
    };
    if is_visited && !system::in_recovery() && age > patience {
        issues.add(
            Status::Degraded,
            format!(
                "the background worker has ended no visit in order for {} seconds: see the server's log",
                age.as_secs()
            ),
        );
    }
    if counted.is_seal_failing {
        issues.add(
            Status::Degraded,
            "the background worker could not seal the audit trail when it last tried, and what is not sealed can be changed without a trace: see the server's log, or run memory_audit_seal()",
        );
    }
    json!({
        "preloaded": true,
        "last_run": last_run,
        "runs": own(counted.worker_ok),
        "errors": own(counted.worker_errors),
    })
}

fn tombstones(session: &Session, store: &Store) -> Option<i64> {
    let days = guc::tombstone_retention()?;
    let sql = store.sql(&format!(
        "SELECT count(*) FROM (SELECT FROM @s@.memories m WHERE m.deleted_at <= now() - make_interval(days => $1) LIMIT {}) there",
        state::MOST_COUNTED
    ));
    session
        .read(&sql, Planning::Custom, &[days.into()])
        .get(0, 1)
}

fn index_bytes(session: &Session, store: &Store) -> Option<i64> {
    let sql = "SELECT sum(pg_relation_size(i.indexrelid))::bigint FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
               WHERE i.indrelid = $1 AND a.amname = 'hnsw'";
    session
        .read(sql, Planning::Generic, &[Arg::oid(store.memories)])
        .get(0, 1)
}

fn missing_tables(session: &Session, store: &Store) -> String {
    let sql = "SELECT coalesce(string_agg(name, ', ' ORDER BY name), '') FROM unnest($2) AS name
               WHERE NOT EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = $1 AND c.relname = name AND c.relkind IN ('r', 'p'))";
    let args = [
        Arg::oid(store.identity.schema_oid),
        migrate::tables_until(store.migration).into(),
    ];
    session
        .read(sql, Planning::Generic, &args)
        .get(0, 1)
        .unwrap_or_default()
}

fn newest_check(session: &Session, store: &Store) -> Option<i64> {
    let sql = store.sql(
        "SELECT issues_found FROM @s@.memory_maintenance_runs WHERE operation = 'check_integrity' ORDER BY run_id DESC LIMIT 1",
    );
    session.read(&sql, Planning::Generic, &[]).get(0, 1)
}
