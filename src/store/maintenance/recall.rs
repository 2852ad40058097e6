//! How much of the truth a vector search finds.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use crate::pg::error::Result;
use crate::pg::measure;
use crate::pg::spi::{self, Planning, Session};
use crate::pg::system;
use crate::pg::vector::Vector;
use crate::store::Store;
use crate::store::access::Call;
use crate::store::conditions::Conditions;
use crate::store::integrity::draw::{self, arrays};
use crate::store::parameters::within;
use crate::store::search::{Request, Search};

pub const LARGEST_SAMPLE: i32 = 1000;
pub const LARGEST_K: i32 = 1000;

/// What the searches of one path came to.
#[derive(Default)]
pub struct Recall {
    pub path: &'static str,
    pub searched: i32,
    sum: f64,
    pub worst: f64,
    /// Searches that returned fewer than there are.
    pub short: i32,
    milliseconds: f64,
}

impl Recall {
    pub fn recall(&self) -> f64 {
        self.sum / f64::from(self.searched)
    }

    pub fn milliseconds(&self) -> f64 {
        self.milliseconds / f64::from(self.searched)
    }
}

/// A similarity that is equal but for rounding.
const ROUNDING: f64 = 1e-6;

/// Searches as memory_search() would for the vectors of a sample of memories, each moved towards another one's, and compares
/// with what comparing all of them finds; by the paths that were taken.
pub fn check(call: &Call, sample: i32, k: i32) -> Result<Vec<Recall>> {
    within("sample", sample, 1, LARGEST_SAMPLE)?;
    within("k", k, 1, LARGEST_K)?;
    let k = k.unsigned_abs() as usize;
    let queries = call.sql(|session| queries(call, session, sample.unsigned_abs() as usize));
    let truth = call.sql(|session| nearest(call, session, &queries, k));
    let mut paths: BTreeMap<&'static str, Recall> = BTreeMap::new();
    for (query, truth) in queries.into_iter().zip(truth) {
        system::check_for_interrupts();
        let search = Search::new(
            call,
            Request {
                embedding: Some(query),
                mode: Some("vector"),
                k: i32::try_from(k).ok(),
                ..Request::default()
            },
        )?;
        let started = Instant::now();
        let (hits, arms) = search.run_explained(call);
        let milliseconds = started.elapsed().as_secs_f64() * 1e3;
        let least = truth.last().copied().unwrap_or(f64::INFINITY) - ROUNDING;
        let right = hits
            .iter()
            .filter(|hit| hit.similarity.is_some_and(|is| is >= least));
        let share = match truth.len() {
            0 => 1.0,
            all => right.count().min(all) as f64 / all as f64,
        };
        let path = arms.path.map_or("none", |path| path.name());
        let recall = paths.entry(path).or_insert_with(|| Recall {
            path,
            worst: 1.0,
            ..Recall::default()
        });
        recall.searched += 1;
        recall.sum += share;
        recall.worst = recall.worst.min(share);
        recall.short += i32::from(hits.len() < truth.len());
        recall.milliseconds += milliseconds;
    }
    let paths: Vec<Recall> = paths.into_values().collect();
    tell(&paths);
    Ok(paths)
}

/// Keeps the mean of all searches for memory_metrics().
fn tell(paths: &[Recall]) {
    let searched: i32 = paths.iter().map(|path| path.searched).sum();
    if searched > 0 {
        let sum: f64 = paths.iter().map(|path| path.sum).sum();
        measure::recall(sum / f64::from(searched));
    }
}

/// The worker's measurement, of the project that has the most memories.
pub fn scheduled(store: Rc<Store>) -> Result<()> {
    const SAMPLE: i32 = 20;
    const K: i32 = 10;
    let sql = store.sql(
        "SELECT project_id FROM @s@.memories WHERE deleted_at IS NULL GROUP BY project_id ORDER BY count(*) DESC, project_id LIMIT 1",
    );
    let largest: Option<String> = {
        let _owner = store.as_owner();
        spi::connect(|session| session.write(&sql, &[]).get(0, 1))
    };
    if let Some(project) = largest {
        let call = Call::begin_care(store, Some(&project), false, "check")?;
        check(&call, SAMPLE, K)?;
        measure::recall_checked();
    }
    Ok(())
}

/// Vectors of the sampled memories, of unit length, each a tenth of the way towards the next one's: what is asked for is hardly
/// ever there already.
fn queries(call: &Call, session: &Session, sample: usize) -> Vec<Vector> {
    const WAY: f32 = 0.1;
    let drawn = draw::embedded(call, session, Some(call.project()), sample);
    let (ids, projects) = arrays(&drawn);
    let sql = call.store.sql(
        "SELECT @v@.l2_normalize(m.embedding) FROM unnest($1, $2) AS s (id, project_id)
         JOIN @s@.memories m ON m.id = s.id AND m.project_id = s.project_id ORDER BY m.id",
    );
    let rows = session.read(&sql, Planning::Custom, &[ids.into(), projects.into()]);
    let vectors: Vec<Vector> = (0..rows.len()).filter_map(|row| rows.get(row, 1)).collect();
    let next = vectors.iter().skip(1).chain(vectors.first());
    vectors
        .iter()
        .zip(next)
        .map(|(vector, next)| {
            let moved = vector.0.iter().zip(&next.0);
            Vector(moved.map(|(is, next)| is + WAY * (next - is)).collect())
        })
        .collect()
}

/// The greatest similarities of each query, greatest first: all vectors are read once and compared with all queries.
fn nearest(call: &Call, session: &Session, queries: &[Vector], k: usize) -> Vec<Vec<f64>> {
    let mut conditions = Conditions::default();
    conditions.visible(&call.access, false);
    let sql = call.store.sql(&format!(
        "SELECT m.embedding FROM @s@.memories m WHERE {} AND m.embedding IS NOT NULL",
        conditions.sql()
    ));
    let lengths: Vec<f64> = queries
        .iter()
        .map(|query| dot(&query.0, &query.0).sqrt())
        .collect();
    let mut best: Vec<Best> = queries.iter().map(|_| Best::of(k)).collect();
    session.scan(&sql, Planning::Custom, &conditions.args, 1000, |rows| {
        system::check_for_interrupts();
        for row in 0..rows.len() {
            let Some(vector) = rows.get::<Vector>(row, 1) else {
                continue;
            };
            let length = dot(&vector.0, &vector.0).sqrt();
            for ((query, query_length), best) in queries.iter().zip(&lengths).zip(&mut best) {
                let similarity = dot(&query.0, &vector.0) / (query_length * length);
                if similarity.is_finite() {
                    best.offer(similarity);
                }
            }
        }
    });
    best.into_iter().map(Best::into_sorted).collect()
}

/// In lanes, which the compiler makes vector instructions of.
fn dot(a: &[f32], b: &[f32]) -> f64 {
    const LANES: usize = 16;
    let mut sums = [0f32; LANES];
    let (a_lanes, b_lanes) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f32 = a_lanes
        .remainder()
        .iter()
        .zip(b_lanes.remainder())
        .map(|(a, b)| a * b)
        .sum();
    for (a, b) in a_lanes.zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().map(|sum| f64::from(*sum)).sum::<f64>() + f64::from(rest)
}

/// The k greatest of many numbers.
struct Best {
    k: usize,
    numbers: Vec<f64>,
    least: f64,
}

impl Best {
    fn of(k: usize) -> Self {
        Best {
            k,
            numbers: Vec::with_capacity(2 * k),
            least: f64::NEG_INFINITY,
        }
    }

    /// Twice as many are kept before the lesser half goes.
    fn offer(&mut self, number: f64) {
        if number <= self.least {
            return;
        }
        self.numbers.push(number);
        if self.numbers.len() == 2 * self.k {
            self.numbers
                .select_nth_unstable_by(self.k - 1, |a, b| b.total_cmp(a));
            self.numbers.truncate(self.k);
            self.least = self.numbers[self.k - 1];
        }
    }

    fn into_sorted(mut self) -> Vec<f64> {
        self.numbers.sort_unstable_by(|a, b| b.total_cmp(a));
        self.numbers.truncate(self.k);
        self.numbers
    }
}
