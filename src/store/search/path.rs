//! Which way to the nearest vectors is the cheapest that does not lie.
//!
//! Costs are microseconds on one core, measured (bench/README.md); only their ratios decide. An HNSW index knows nothing of
//! the filter: to find m rows of a share s of the store it visits about m / s, so a small share is better compared directly.

use crate::pg::guc::{self, VectorPath};
use crate::pg::hnsw;
use crate::pg::measure::SearchPath;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Every matching vector is compared.
    Exact,
    /// Every matching sign sketch is compared, the best are compared by vector.
    Sketch,
    /// The HNSW index, scanned on until enough rows pass the filter.
    Hnsw,
}

impl Path {
    pub fn name(self) -> &'static str {
        match self {
            Path::Exact => "exact",
            Path::Sketch => "sketch",
            Path::Hnsw => "hnsw",
        }
    }

    pub fn counted(self) -> SearchPath {
        match self {
            Path::Exact => SearchPath::Exact,
            Path::Sketch => SearchPath::Sketch,
            Path::Hnsw => SearchPath::Hnsw,
        }
    }
}

/// A row of at most this many dimensions keeps its vector inline; a longer vector is fetched from the TOAST table.
const INLINE_DIMENSIONS: usize = 480;
/// Comparing a row's sketch.
const SKETCH_ROW: f64 = 1.3;
/// An HNSW search: getting to the neighbourhood, then each row visited.
const HNSW_START: f64 = 700.0;
const HNSW_VISIT: f64 = 14.0;
const LEAST_EF: f64 = 40.0;
/// A narrow list is now and then caught in a neighbourhood that is not the query's. Such an answer is known by its best row
/// being far from the query, and a list of this width does not get caught.
const WIDE_EF: u32 = 200;
const FAR: f64 = 0.5;
const MOST_EF: f64 = 1000.0;

/// Comparing a row's vector.
fn vector_row(dimensions: usize) -> f64 {
    if dimensions <= INLINE_DIMENSIONS {
        2.4 + dimensions as f64 / 384.0
    } else {
        6.0 + dimensions as f64 / 128.0
    }
}

/// Rows the sketch hands on to be compared by vector. A fixed number is enough whatever the size of the set, where sketches
/// tell near from far; whether they do is seen in each answer.
pub fn rerank(fetch: usize) -> usize {
    (20 * fetch).clamp(200, 4000).max(2 * fetch)
}

/// Rows an HNSW search has to visit until as many as wanted pass a filter that lets `share` through.
fn visits(fetch: usize, share: f64) -> f64 {
    1.1 * fetch as f64 / share.max(1e-6)
}

/// The HNSW candidate list: a good part of the rows to visit. The scan goes on by itself where they are not enough, which
/// costs less than a list that is wide from the start.
pub fn ef_search(fetch: usize, share: f64) -> u32 {
    const AT_ONCE: f64 = 0.5;
    guc::ef_search().unwrap_or_else(|| {
        let derived = (AT_ONCE * visits(fetch, share))
            .ceil()
            .clamp(LEAST_EF, MOST_EF) as u32;
        // Who has asked pgvector for more has his reasons.
        hnsw::session_ef_search().map_or(derived, |ef_search| ef_search.max(derived))
    })
}

/// The width to search again with, if `best`, the similarity of the best row found, says that the list may have been caught.
pub fn wider(ef_search: u32, best: f64) -> Option<u32> {
    // A filter that lets little through leaves only far rows of itself, and has a wider list.
    let narrowest = ef_search == LEAST_EF as u32;
    (best < FAR && narrowest && guc::ef_search().is_none()).then_some(WIDE_EF)
}

/// Rows of the searched set up to which all vectors are compared.
pub fn exact_threshold(dimensions: usize, fetch: usize) -> u64 {
    guc::exact_threshold().unwrap_or_else(|| {
        let vector = vector_row(dimensions);
        (rerank(fetch) as f64 * vector / (vector - SKETCH_ROW)) as u64
    })
}

/// `population` rows match, of `total` in the store, which has a vector `index` or, for the time being, none.
pub fn choose(dimensions: usize, fetch: usize, population: u64, total: u64, index: bool) -> Path {
    match guc::vector_path() {
        VectorPath::Exact => return Path::Exact,
        VectorPath::Sketch => return Path::Sketch,
        VectorPath::Hnsw if index => return Path::Hnsw,
        VectorPath::Hnsw => return Path::Exact,
        VectorPath::Auto => {}
    }
    if population <= exact_threshold(dimensions, fetch) {
        return Path::Exact;
    }
    let share = (population as f64 / total.max(population).max(1) as f64).clamp(1e-9, 1.0);
    let sketch = population as f64 * SKETCH_ROW + rerank(fetch) as f64 * vector_row(dimensions);
    let visits = visits(fetch, share).max(LEAST_EF);
    let hnsw = HNSW_START + visits * HNSW_VISIT;
    // The candidate list cannot grow any more: a share so small that it would have to is searched otherwise.
    if index && hnsw < sketch && visits <= MOST_EF {
        Path::Hnsw
    } else {
        Path::Sketch
    }
}
