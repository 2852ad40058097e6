//! The nearest vectors, by one of three statements.

use super::path::{self, Path};
use super::{Search, population};
use crate::pg::guc;
use crate::pg::owner::SettingScope;
use crate::pg::spi::{Arg, Planning, Rows, Session};
use crate::pg::vector::Vector;
use crate::store::access::Call;

pub struct Nearest {
    /// Id and cosine similarity, best first.
    pub nearest: Vec<(String, f64)>,
    pub path: Path,
    pub population: Option<u64>,
    pub fallback: bool,
    pub statement: Statement,
}

/// A statement with its arguments and the settings it runs under.
pub struct Statement {
    sql: String,
    args: Vec<Arg>,
    planning: Planning,
    hnsw_ef: Option<u32>,
}

/// The `fetch` nearest of the searched set.
pub fn nearest(search: &Search, call: &Call, embedding: &Vector, fetch: usize) -> Nearest {
    call.sql(|session| {
        let population = population::of(search, call, session);
        let chosen = path::choose(
            call.store.dimensions,
            fetch,
            population.rows,
            population.total,
        );
        let share = population.rows as f64 / population.total.max(1) as f64;
        let statement = statement(search, call, embedding, fetch, chosen, share);
        let nearest = statement.run(session);
        // Fewer than asked for: the index stopped before it found them all, unless there are no more. Comparing settles it.
        let complete = nearest.len() >= fetch || chosen == Path::Exact;
        if complete {
            return Nearest {
                nearest,
                path: chosen,
                population: Some(population.rows),
                fallback: false,
                statement,
            };
        }
        let all = if chosen == Path::Hnsw {
            self::statement(search, call, embedding, fetch, Path::Sketch, share).run(session)
        } else {
            nearest
        };
        let fallback = chosen == Path::Hnsw;
        Nearest {
            nearest: all,
            path: chosen,
            population: Some(population.rows),
            fallback,
            statement,
        }
    })
}

fn statement(
    search: &Search,
    call: &Call,
    embedding: &Vector,
    fetch: usize,
    path: Path,
    share: f64,
) -> Statement {
    let mut args = search.conditions.args.clone();
    args.push(Arg::vector(
        Some(embedding),
        call.store.identity.vector_type,
    ));
    let query = format!("${}", args.len());
    args.push((fetch as i64).into());
    let limit = format!("${}", args.len());
    let conditions = search.conditions.sql();
    let distance = format!("m.embedding OPERATOR(@v@.<=>) {query}");
    let mut hnsw_ef = None;
    let sql = match path {
        // "+ 0" keeps the HNSW index out; only id and distance go through the sort.
        Path::Exact => format!(
            "SELECT m.id, ({distance}) + 0 AS distance FROM @s@.memories m
             WHERE {conditions} AND m.embedding IS NOT NULL ORDER BY distance, m.id LIMIT {limit}"
        ),
        // The sub-select in a sub-select quantises the query once, not once a row.
        Path::Sketch => {
            args.push((path::rerank(fetch) as i64).into());
            let rerank = format!("${}", args.len());
            format!(
                "SELECT m.id, ({distance}) + 0 AS distance FROM @s@.memories m
                 WHERE m.ctid = ANY (ARRAY(
                     SELECT m.ctid FROM @s@.memories m WHERE {conditions} AND m.embedding_sketch IS NOT NULL
                     ORDER BY m.embedding_sketch OPERATOR(@v@.<~>) (SELECT @v@.binary_quantize({query})) LIMIT {rerank}))
                 ORDER BY distance, m.id LIMIT {limit}"
            )
        }
        Path::Hnsw => {
            hnsw_ef = Some(path::ef_search(fetch, share));
            format!(
                "WITH nearest AS MATERIALIZED (
                     SELECT m.id, {distance} AS distance FROM @s@.memories m WHERE {conditions} ORDER BY {distance} LIMIT {limit})
                 SELECT id, distance FROM nearest ORDER BY distance + 0, id"
            )
        }
    };
    // Path and shape are chosen here, so the plan is the same whatever the arguments are, unless a filter's selectivity
    // decides which index finds its rows.
    let planning = if search.population_key.is_some() {
        Planning::Generic
    } else {
        Planning::Custom
    };
    Statement {
        sql: call.store.sql(&sql),
        args,
        planning,
        hnsw_ef,
    }
}

impl Statement {
    fn run(&self, session: &Session) -> Vec<(String, f64)> {
        let _settings = self.settings();
        read(&session.read(&self.sql, self.planning, &self.args))
    }

    /// The settings last as long as the result, and are restored even on error.
    fn settings(&self) -> Option<SettingScope> {
        let ef = self.hnsw_ef?;
        let settings = SettingScope::open();
        settings.set(c"hnsw.iterative_scan", "relaxed_order");
        settings.set(c"hnsw.ef_search", &ef.to_string());
        settings.set(c"hnsw.max_scan_tuples", &guc::max_scan_tuples().to_string());
        settings.set(c"hnsw.scan_mem_multiplier", "4");
        // A generic plan does not know the limit's value and would rather sort than use the index.
        settings.set(c"enable_sort", "off");
        settings.set(c"enable_seqscan", "off");
        settings.set(c"enable_bitmapscan", "off");
        Some(settings)
    }

    /// The plan with what its nodes really did, as JSON.
    pub fn explain(&self, session: &Session) -> serde_json::Value {
        let _settings = self.settings();
        let sql = format!("EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) {}", self.sql);
        let plan: Option<String> = session.write(&sql, &self.args).get(0, 1);
        plan.and_then(|plan| serde_json::from_str(&plan).ok())
            .unwrap_or_default()
    }

    pub fn ef_search(&self) -> Option<u32> {
        self.hnsw_ef
    }
}

fn read(rows: &Rows<'_>) -> Vec<(String, f64)> {
    (0..rows.len())
        .filter_map(|row| Some((rows.get(row, 1)?, 1.0 - rows.get::<f64>(row, 2)?)))
        .collect()
}

/// The similarity of each of some memories that has a vector.
pub fn similarities(
    search: &Search,
    call: &Call,
    embedding: &Vector,
    ids: Vec<String>,
) -> Vec<(String, f64)> {
    let sql = call.store.sql(
        "SELECT m.id, (m.embedding OPERATOR(@v@.<=>) $3) + 0 FROM @s@.memories m
         WHERE m.project_id = $1 AND m.id = ANY ($2) AND m.embedding IS NOT NULL",
    );
    let _ = search;
    call.sql(|session| {
        let args = [
            call.project().into(),
            ids.into(),
            Arg::vector(Some(embedding), call.store.identity.vector_type),
        ];
        read(&session.read(&sql, Planning::Generic, &args))
    })
}
