//! How many rows a search looks through: counted up to a limit where the set has a name, estimated by the planner where
//! a filter narrows it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use super::Search;
use crate::pg::spi::{Planning, Session};
use crate::store::access::{Call, Requester};

/// How long a count is good for. It only chooses a path; every path returns the right rows.
const FRESH: Duration = Duration::from_secs(30);
const MOST_KEPT: usize = 1000;
/// Counting stops here: beyond, the planner's estimate is good enough.
const COUNT_LIMIT: u64 = 20_000;
const LENGTH_SAMPLE: usize = 500;

#[derive(Clone, Copy, Debug)]
pub struct Population {
    /// Rows of the searched set.
    pub rows: u64,
    /// Live rows of the whole store.
    pub total: u64,
    /// Words of an average memory of the set.
    pub average_length: f64,
}

/// A searched set without filters, hashed. That two sets have one key is next to impossible, and would do no more than take
/// the size of one for that of the other.
pub type Key = u64;

pub fn key(
    project: &str,
    namespace: Option<&str>,
    requester: &Requester,
    hide_flagged: bool,
) -> Key {
    let mut hasher = std::hash::DefaultHasher::new();
    (project, namespace, requester, hide_flagged).hash(&mut hasher);
    hasher.finish()
}

thread_local! {
    static KNOWN: RefCell<HashMap<(u32, Key), (Instant, Population)>> = RefCell::default();
}

/// The size of the set that `search` looks through.
pub fn of(search: &Search, call: &Call, session: &Session) -> Population {
    let Some(key) = search.population_key else {
        return estimate(search, call, session);
    };
    let key = (call.store.memories.to_u32(), key);
    let known = KNOWN.with_borrow(|known| {
        known
            .get(&key)
            .filter(|(at, _)| at.elapsed() < FRESH)
            .map(|(_, population)| *population)
    });
    if let Some(population) = known {
        return population;
    }
    let population = count(search, call, session);
    KNOWN.with_borrow_mut(|known| {
        if known.len() >= MOST_KEPT {
            known.clear();
        }
        known.insert(key, (Instant::now(), population));
    });
    population
}

fn count(search: &Search, call: &Call, session: &Session) -> Population {
    let sql = call.store.sql(&format!(
        "SELECT count(*) FROM (SELECT FROM @s@.memories m WHERE {} LIMIT {}) counted",
        search.conditions.sql(),
        COUNT_LIMIT + 1
    ));
    let counted = session
        .read(&sql, Planning::Auto, &search.conditions.args)
        .get::<i64>(0, 1)
        .unwrap_or(0)
        .unsigned_abs();
    let mut population = Population {
        rows: counted,
        total: total(call, session).max(counted),
        average_length: average_length(search, call, session),
    };
    if counted > COUNT_LIMIT {
        population.rows = planned(search, call, session)
            .max(counted)
            .min(population.total);
    }
    population
}

fn estimate(search: &Search, call: &Call, session: &Session) -> Population {
    let rows = planned(search, call, session);
    Population {
        rows,
        total: total(call, session).max(rows),
        average_length: average_length(search, call, session),
    }
}

/// The planner's estimate of the matching rows. EXPLAIN is refused in a read-only call, though it writes nothing.
fn planned(search: &Search, call: &Call, session: &Session) -> u64 {
    let sql = call.store.sql(&format!(
        "EXPLAIN (FORMAT JSON) SELECT FROM @s@.memories m WHERE {}",
        search.conditions.sql()
    ));
    let plan: Option<String> = session.write(&sql, &search.conditions.args).get(0, 1);
    plan.and_then(|plan| serde_json::from_str::<serde_json::Value>(&plan).ok())
        .and_then(|plan| plan[0]["Plan"]["Plan Rows"].as_f64())
        .map_or(0, |rows| rows.max(0.0) as u64)
}

/// Rows of the store by PostgreSQL's own statistics; -1 means that it was never analysed, and the file's size decides.
fn total(call: &Call, session: &Session) -> u64 {
    let sql = "SELECT CASE WHEN reltuples >= 0 THEN reltuples::float8 ELSE (pg_relation_size(oid) / 2048)::float8 END FROM pg_class WHERE oid = $1";
    let rows: f64 = session
        .read(
            sql,
            Planning::Generic,
            &[crate::pg::spi::Arg::oid(call.store.memories)],
        )
        .get(0, 1)
        .unwrap_or(0.0);
    rows.max(0.0) as u64
}

fn average_length(search: &Search, call: &Call, session: &Session) -> f64 {
    if search.query.is_none() {
        return 0.0;
    }
    let sql = call.store.sql(&format!(
        "SELECT m.content_tsv FROM @s@.memories m WHERE {} AND m.content_tsv IS NOT NULL LIMIT {LENGTH_SAMPLE}",
        search.conditions.sql()
    ));
    let rows = session.read(&sql, Planning::Auto, &search.conditions.args);
    let lengths: Vec<u32> = (0..rows.len())
        .filter_map(|row| crate::pg::tsvector::count_terms(&rows, row, 1, &[]))
        .map(|counts| counts.length)
        .collect();
    if lengths.is_empty() {
        0.0
    } else {
        f64::from(lengths.iter().sum::<u32>()) / lengths.len() as f64
    }
}
