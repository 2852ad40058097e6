//! The metrics, by name. Every label is of a bounded set: functions, paths, tables and indexes of the store.

use memory_core::counters::Distribution;
use memory_core::exposition::Kind;

use super::state::State;
use crate::pg::measure::Counted;

pub struct Family {
    pub name: &'static str,
    pub help: &'static str,
    pub kind: Kind,
    pub samples: Vec<(Labels, Value)>,
}

pub type Labels = Vec<(&'static str, String)>;

pub enum Value {
    Count(u64),
    Number(f64),
    Durations(Distribution),
}

#[derive(Default)]
pub struct Families(Vec<Family>);

impl Families {
    pub fn all(&self) -> &[Family] {
        &self.0
    }

    fn add(&mut self, kind: Kind, name: &'static str, help: &'static str) -> &mut Family {
        self.0.push(Family {
            name,
            help,
            kind,
            samples: Vec::new(),
        });
        let last = self.0.len() - 1;
        &mut self.0[last]
    }

    pub fn gauge(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.add(Kind::Gauge, name, help)
    }

    fn counter(&mut self, name: &'static str, help: &'static str) -> &mut Family {
        self.add(Kind::Counter, name, help)
    }

    /// What there is of library and server.
    pub fn of_server(&mut self, state: &State) {
        let none = || "none".to_owned();
        self.gauge(
            "memory_ext_info",
            "Versions of library, store, pgvector and server; always 1.",
        )
        .with(
            vec![
                ("version", state.library.to_owned()),
                ("store_version", state.store.clone().unwrap_or_else(none)),
                (
                    "pgvector_version",
                    state.vector.clone().unwrap_or_else(none),
                ),
                ("server_version", state.server.clone()),
            ],
            1.0,
        );
        self.gauge(
            "memory_ext_preloaded",
            "Whether the library is in shared_preload_libraries. If 0, all counters and durations, the worker and memory_recall_ratio are absent: they need memory that the server reserves when it starts.",
        )
        .is(flag(state.counted.is_some()));
        self.gauge(
            "memory_store_ready",
            "Whether the store is there, of a version that the library serves, with all tables and a valid vector index.",
        )
        .is(flag(state.ready));
        self.gauge(
            "memory_in_recovery",
            "Whether the server is a standby, or recovers.",
        )
        .is(flag(state.in_recovery));
        self.gauge(
            "memory_db_connections",
            "Connections of clients to all databases of the server, without its own processes.",
        )
        .is(f64::from(state.connections.clients));
        self.gauge(
            "memory_db_connections_max",
            "Most connections of the server (max_connections).",
        )
        .is(f64::from(state.connections.most));
        self.gauge(
            "memory_db_connections_reserved",
            "Of them, those that ordinary roles do not get (superuser_reserved_connections and reserved_connections).",
        )
        .is(f64::from(state.connections.reserved));
    }

    /// What there is of the store.
    pub fn of_store(&mut self, state: &State) {
        self.gauge(
            "memory_store_migration",
            "Number of the store's newest migration.",
        )
        .may_be(state.migration.map(f64::from));
        let rows = self.gauge(
            "memory_rows",
            "Rows, estimated from PostgreSQL's statistics.",
        );
        for table in &state.tables {
            rows.with(vec![("table", table.name.clone())], table.rows);
        }
        let dead = self.gauge(
            "memory_dead_rows",
            "Dead rows that VACUUM has not removed yet, estimated.",
        );
        for table in &state.tables {
            dead.with(vec![("table", table.name.clone())], table.dead);
        }
        let bytes = self.gauge(
            "memory_table_bytes",
            "Size on disk with TOAST, without indexes.",
        );
        for table in &state.tables {
            bytes.with(vec![("table", table.name.clone())], table.bytes as f64);
        }
        let bytes = self.gauge(
            "memory_index_bytes",
            "Size on disk; other is all indexes that the extension did not make.",
        );
        for (index, size) in &state.indexes {
            bytes.with(vec![("index", index.clone())], *size as f64);
        }
        if let Some(size) = state.other_index_bytes {
            bytes.with(vec![("index", "other".to_owned())], size as f64);
        }
        self.gauge(
            "memory_vector_index_valid",
            "Whether there is a valid HNSW index for searches by cosine. Without it searches find the same, and take longer.",
        )
        .may_be(state.has_vector_index.map(flag));
        self.gauge(
            "memory_expired_backlog",
            "Memories whose time is over and that are not removed yet; 100001 is that many or more.",
        )
        .may_be(state.expired_backlog.map(whole));
        self.gauge(
            "memory_embedding_backlog",
            "Memories that are to have a vector and have none; 100001 is that many or more.",
        )
        .may_be(state.embedding_backlog.map(whole));
        self.gauge(
            "memory_last_seal_timestamp_seconds",
            "When the audit trail was sealed last; absent if never.",
        )
        .may_be(state.last_seal);
        self.gauge(
            "memory_unsealed_rows",
            "Rows of the audit trail and old versions that no seal covers; 100001 of either is that many or more.",
        )
        .may_be(state.unsealed.map(whole));
        self.gauge(
            "memory_integrity_issues",
            "Issues found by the newest check of integrity that maintenance kept; absent if none was.",
        )
        .may_be(state.integrity_issues.map(whole));
        self.gauge(
            "memory_maintenance_last_run_timestamp_seconds",
            "When the newest maintenance ended; absent if there was none.",
        )
        .may_be(state.last_maintenance);
    }

    /// What was counted since the server started.
    pub fn of_counters(&mut self, state: &State) {
        let Some(counted) = &state.counted else {
            return;
        };
        self.gauge(
            "memory_ext_start_time_seconds",
            "When the server began to count.",
        )
        .is(counted.started_at);
        let database = match counted.is_shared {
            true => "other".to_owned(),
            false => state.database.clone(),
        };
        self.gauge(
            "memory_ext_counters_shared",
            "Whether the counters are those of several databases together: the first 32 that are used have their own.",
        )
        .with(vec![("database", database)], flag(counted.is_shared));
        self.of_operations(counted);
        let searches = self.counter(
            "memory_searches_total",
            "Searches, by the way that was taken to the nearest vectors.",
        );
        for (path, count) in &counted.searches {
            searches.count(vec![("path", (*path).to_owned())], *count);
        }
        self.counter(
            "memory_search_under_returns_total",
            "Searches that found fewer rows than were asked for while more matched. Any is a fault.",
        )
        .count(Vec::new(), counted.under_returns);
        self.counter(
            "memory_embedding_cache_hits_total",
            "Vectors that were taken from embedding_cache.",
        )
        .count(Vec::new(), counted.cache_hits);
        self.counter(
            "memory_embedding_cache_misses_total",
            "Vectors that were not in embedding_cache.",
        )
        .count(Vec::new(), counted.cache_misses);
        let votes = self.counter("memory_votes_total", "Votes that were cast or changed.");
        votes.count(vec![("vote", "helpful".to_owned())], counted.helpful_votes);
        votes.count(vec![("vote", "harmful".to_owned())], counted.harmful_votes);
        self.counter(
            "memory_expired_removed_total",
            "Expired memories that were removed.",
        )
        .count(Vec::new(), counted.expired);
        let runs = self.counter(
            "memory_worker_runs_total",
            "Visits of the background worker to this database.",
        );
        runs.by_result(counted.worker_ok, counted.worker_errors);
        self.gauge(
            "memory_worker_last_run_timestamp_seconds",
            "When the background worker last ended a visit in order; absent if it has not yet, or memory_ext_counters_shared is 1.",
        )
        .may_be(counted.worker_ended_at);
        let seals = self.counter(
            "memory_seals_total",
            "Seals of the audit trail, by whomever, and attempts of the background worker that failed.",
        );
        seals.by_result(counted.seals_ok, counted.seals_failed);
        let checks = self.counter(
            "memory_recall_checks_total",
            "Measurements of recall by the background worker.",
        );
        checks.by_result(counted.recall_checks_ok, counted.recall_checks_failed);
        self.gauge(
            "memory_recall_ratio",
            "Share of the nearest memories that vector searches find, as last measured by the worker or memory_recall_check(); absent if never, or memory_ext_counters_shared is 1.",
        )
        .may_be(counted.recall.map(|(share, _)| share));
        self.gauge(
            "memory_recall_timestamp_seconds",
            "When recall was measured last; absent if never.",
        )
        .may_be(counted.recall.map(|(_, at)| at));
    }

    fn of_operations(&mut self, counted: &Counted) {
        let operations = self.counter(
            "memory_operations_total",
            "Calls of functions, by how they ended.",
        );
        for (name, ok, error, _) in &counted.operations {
            for (status, count) in [("ok", ok), ("error", error)] {
                let labels = vec![
                    ("operation", (*name).to_owned()),
                    ("status", status.to_owned()),
                ];
                operations.count(labels, *count);
            }
        }
        let durations = self.add(
            Kind::Histogram,
            "memory_operation_duration_seconds",
            "How long calls of functions took, whatever their end.",
        );
        for (name, _, _, distribution) in &counted.operations {
            let labels = vec![("operation", (*name).to_owned())];
            durations
                .samples
                .push((labels, Value::Durations(*distribution)));
        }
        let errors = self.counter(
            "memory_errors_total",
            "Errors, by the first two characters of their SQLSTATE.",
        );
        for (class, count) in &counted.errors {
            errors.count(vec![("sqlstate_class", (*class).to_owned())], *count);
        }
    }

    /// What could not be looked at.
    pub fn of_looks(&mut self, failed: usize) {
        self.gauge(
            "memory_ext_scrape_errors",
            "Parts of these metrics that are absent because they could not be read, for instance while the table is locked.",
        )
        .is(failed as f64);
    }
}

impl Family {
    fn is(&mut self, value: f64) {
        self.with(Vec::new(), value);
    }

    /// Absent where it is not known.
    pub fn may_be(&mut self, value: Option<f64>) {
        if let Some(value) = value {
            self.is(value);
        }
    }

    pub fn with(&mut self, labels: Labels, value: f64) {
        self.samples.push((labels, Value::Number(value)));
    }

    fn count(&mut self, labels: Labels, value: u64) {
        self.samples.push((labels, Value::Count(value)));
    }

    fn by_result(&mut self, ok: u64, error: u64) {
        self.count(vec![("result", "ok".to_owned())], ok);
        self.count(vec![("result", "error".to_owned())], error);
    }
}

fn flag(is: bool) -> f64 {
    f64::from(u8::from(is))
}

pub fn whole(count: i64) -> f64 {
    count as f64
}
