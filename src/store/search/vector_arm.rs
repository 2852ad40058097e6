//! The nearest vectors, by one of three statements.

use super::path::{self, Path};
use super::{Hit, Search, population, rank};
use crate::pg::guc::{self, VectorPath};
use crate::pg::hnsw::IndexScan;
use crate::pg::measure;
use crate::pg::planner::IndexOrder;
use crate::pg::spi::{Arg, Planning, Rows, Session};
use crate::pg::vector::Vector;
use crate::store::access::Call;
use crate::store::conditions::{self, Place};

pub struct Nearest {
    /// Id and cosine similarity, best first.
    pub nearest: Vec<(String, f64)>,
    /// Their rows, where the statement reads them.
    pub rows: Vec<Hit>,
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
    /// Whether its rows are whole rows of the answer, the distance behind them.
    reads_rows: bool,
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
            call.store.has_vector_index,
        );
        let share = population.rows as f64 / population.total.max(1) as f64;
        let shape = Shape {
            search,
            call,
            embedding,
            fetch,
        };
        let mut found = match chosen {
            Path::Exact => shape.exact().found(session, Path::Exact),
            Path::Sketch => sketched(&shape, session),
            Path::Hnsw => indexed(&shape, session, path::ef_search(fetch, share)),
        };
        // Fewer than asked for: the index stopped before it found them all, unless there are no more. Comparing settles it.
        if chosen == Path::Hnsw && found.nearest.len() < fetch {
            found = Nearest {
                path: Path::Hnsw,
                fallback: true,
                ..sketched(&shape, session)
            };
        }
        found.population = Some(population.rows);
        if found.nearest.len() < fetch && found.path != Path::Exact && shape.hides(session, &found)
        {
            measure::under_returns(1);
        }
        found
    })
}

/// Follows the index, a second time with a wider list if the first may have missed the neighbourhood.
fn indexed(shape: &Shape<'_>, session: &Session, ef_search: u32) -> Nearest {
    let found = shape.hnsw(ef_search).found(session, Path::Hnsw);
    let best = found
        .nearest
        .first()
        .map_or(0.0, |(_, similarity)| *similarity);
    match path::wider(ef_search, best) {
        Some(wider) => shape.hnsw(wider).found(session, Path::Hnsw),
        None => found,
    }
}

/// Compares sketches, then the best of them by vector. If true neighbours stand far down among the best sketches, sketches
/// do not tell near from far here (vectors that are sparse, or all on one side of the origin), and all vectors are compared.
fn sketched(shape: &Shape<'_>, session: &Session) -> Nearest {
    let rerank = path::rerank(shape.fetch);
    let statement = shape.sketch(rerank);
    let rows = statement.rows(session);
    let (mut nearest, mut late) = (Vec::with_capacity(rows.len()), 0);
    for row in 0..rows.len() {
        if let (Some(id), Some(distance), Some(place)) = (
            rows.get(row, 1),
            rows.get::<f64>(row, 2),
            rows.get::<i64>(row, 3),
        ) {
            late += usize::from(place as usize > rerank / 2);
            nearest.push((id, 1.0 - distance));
        }
    }
    // With good sketches one in a hundred stands in the second half.
    if late > 1 + nearest.len() / 20 && guc::vector_path() == VectorPath::Auto {
        return Nearest {
            fallback: true,
            ..shape.exact().found(session, Path::Sketch)
        };
    }
    // Fewer than asked for and fewer than were let through: there are no more.
    Nearest {
        nearest,
        rows: Vec::new(),
        path: Path::Sketch,
        population: None,
        fallback: false,
        statement,
    }
}

/// What the three statements have in common.
struct Shape<'a> {
    search: &'a Search,
    call: &'a Call,
    embedding: &'a Vector,
    fetch: usize,
}

impl Shape<'_> {
    /// The arguments of the conditions, then the query vector and the number of rows: their places.
    fn args(&self) -> (Vec<Arg>, Place, Place) {
        let mut args = Vec::with_capacity(self.search.conditions.args.len() + 3);
        args.extend_from_slice(&self.search.conditions.args);
        let query = conditions::append(
            &mut args,
            Arg::vector(Some(self.embedding), self.call.store.identity.vector_type),
        );
        let limit = conditions::append(&mut args, self.fetch as i64);
        (args, query, limit)
    }

    fn statement(&self, sql: String, args: Vec<Arg>, hnsw_ef: Option<u32>) -> Statement {
        // Path and shape are chosen here, so the plan is the same whatever the arguments are, unless a filter's selectivity
        // decides which index finds its rows.
        let planning = if self.search.population_key.is_some() {
            Planning::Generic
        } else {
            Planning::Custom
        };
        Statement {
            sql,
            args,
            planning,
            hnsw_ef,
            reads_rows: false,
        }
    }

    /// Whether there are more rows than were found, though fewer were found than asked for. Where few rows are searched all are
    /// compared, so this is asked next to never.
    fn hides(&self, session: &Session, found: &Nearest) -> bool {
        let mut args = self.search.conditions.args.clone();
        let limit = conditions::append(&mut args, self.fetch as i64);
        let sql = self.call.store.sql(&format!(
            "SELECT count(*) FROM (SELECT FROM @s@.memories m WHERE {} AND m.embedding IS NOT NULL LIMIT {limit}) there",
            self.search.conditions.sql()
        ));
        let there: Option<i64> = session.read(&sql, Planning::Custom, &args).get(0, 1);
        there.is_some_and(|there| there > found.nearest.len() as i64)
    }

    /// "+ 0" keeps the HNSW index out; only id and distance go through the sort.
    fn exact(&self) -> Statement {
        let (args, query, limit) = self.args();
        let conditions = self.search.conditions.sql();
        let (s, v) = (self.call.store.schema(), self.call.store.vector());
        let sql = format!(
            "SELECT m.id, (m.embedding OPERATOR({v}.<=>) {query}) + 0::float8 AS distance FROM {s}.memories m
             WHERE {conditions} AND m.embedding IS NOT NULL ORDER BY distance, m.id LIMIT {limit}"
        );
        self.statement(sql, args, None)
    }

    /// The sub-select around binary_quantize makes it run once, not once a row.
    fn sketch(&self, rerank: usize) -> Statement {
        let (mut args, query, limit) = self.args();
        let rerank = conditions::append(&mut args, rerank as i64);
        let conditions = self.search.conditions.sql();
        let (s, v) = (self.call.store.schema(), self.call.store.vector());
        let sql = format!(
            "SELECT m.id, (m.embedding OPERATOR({v}.<=>) {query}) + 0::float8 AS distance, best.place
             FROM unnest(ARRAY(
                 SELECT m.ctid FROM {s}.memories m WHERE {conditions} AND m.embedding_sketch IS NOT NULL
                 ORDER BY m.embedding_sketch OPERATOR({v}.<~>) (SELECT {v}.binary_quantize({query})) LIMIT {rerank}))
                 WITH ORDINALITY AS best (row, place)
             JOIN {s}.memories m ON m.ctid = best.row WHERE {conditions}
             ORDER BY distance, m.id LIMIT {limit}"
        );
        self.statement(sql, args, None)
    }

    fn hnsw(&self, ef_search: u32) -> Statement {
        let (args, query, limit) = self.args();
        let conditions = self.search.conditions.sql();
        let (s, v) = (self.call.store.schema(), self.call.store.vector());
        let distance = format!("m.embedding OPERATOR({v}.<=>) {query}");
        // The index scan has each row at hand; another statement would have to look the rows up again.
        let columns = match self.search.is_nearest_only() {
            true => rank::columns(self.call),
            false => "m.id",
        };
        let sql = format!(
            "SELECT {columns}, {distance} AS distance FROM {s}.memories m WHERE {conditions} ORDER BY {distance} LIMIT {limit}"
        );
        Statement {
            reads_rows: self.search.is_nearest_only(),
            ..self.statement(sql, args, Some(ef_search))
        }
    }
}

/// The vector index is followed until enough rows pass the filter.
pub fn index_settings(ef_search: u32) -> (IndexScan, IndexOrder) {
    let scan = IndexScan::relaxed(ef_search, guc::max_scan_tuples());
    (scan, IndexOrder::enforce())
}

impl Statement {
    fn rows<'s>(&self, session: &'s Session) -> Rows<'s> {
        let _settings = self.settings();
        session.read(&self.sql, self.planning, &self.args)
    }

    fn found(self, session: &Session, path: Path) -> Nearest {
        let found = self.rows(session);
        let (mut nearest, mut rows) = (Vec::new(), Vec::new());
        if self.reads_rows {
            nearest = read(&found, rank::COLUMN_COUNT + 1);
            rows.extend((0..found.len()).map(|row| rank::hit(&found, row)));
            for (hit, (_, similarity)) in rows.iter_mut().zip(&nearest) {
                hit.similarity = Some(*similarity);
            }
        } else {
            nearest.extend(read(&found, 2));
        }
        if self.hnsw_ef.is_some() {
            // The scan goes on in relaxed order.
            nearest.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        }
        Nearest {
            nearest,
            rows,
            path,
            population: None,
            fallback: false,
            statement: self,
        }
    }

    /// The settings last as long as the result, and are restored even on error.
    fn settings(&self) -> Option<(IndexScan, IndexOrder)> {
        self.hnsw_ef.map(index_settings)
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

/// Ids, and similarities from the column that has the distance.
fn read(rows: &Rows<'_>, distance: usize) -> Vec<(String, f64)> {
    (0..rows.len())
        .filter_map(|row| {
            Some((
                rows.get(row, 1)?,
                1.0 - rows
                    .get::<f64>(row, distance)
                    .filter(|distance| distance.is_finite())?,
            ))
        })
        .collect()
}

/// The similarity of each of some memories that has a vector.
pub fn similarities(call: &Call, embedding: &Vector, ids: Vec<String>) -> Vec<(String, f64)> {
    let sql = call.store.sql(
        "SELECT m.id, m.embedding OPERATOR(@v@.<=>) $3
         FROM unnest($2) AS wanted (id) JOIN @s@.memories m ON m.id = wanted.id AND m.project_id = $1
         WHERE m.embedding IS NOT NULL",
    );
    call.sql(|session| {
        let args = [
            call.project().into(),
            ids.into(),
            Arg::vector(Some(embedding), call.store.identity.vector_type),
        ];
        read(&session.read(&sql, Planning::Generic, &args), 2)
    })
}

/// How far each of some vectors is from the query.
pub fn distances(call: &Call, query: &Vector, vectors: &[Option<Vector>]) -> Vec<f64> {
    let sql = call.store.sql(
        "SELECT u.vector OPERATOR(@v@.<=>) $2 FROM unnest($1) WITH ORDINALITY AS u (vector, place) ORDER BY u.place",
    );
    let vector_type = call.store.identity.vector_type;
    // A connection of their own: what they take is freed with it, and there may be very many of them.
    call.sql(|session| {
        let args = [
            Arg::vectors(vectors, vector_type),
            Arg::vector(Some(query), vector_type),
        ];
        let rows = session.read(&sql, Planning::Generic, &args);
        (0..rows.len()).map(|row| rows.required(row, 1)).collect()
    })
}
