//! Which way to the nearest vectors is the cheapest that does not lie.
//!
//! Costs are microseconds on one core, measured (bench/README.md); only their ratios decide. An HNSW index knows nothing of
//! the filter: to find m rows of a share s of the store it visits about m / s, so a small share is better compared directly.

use crate::pg::guc::{self, VectorPath};

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
}

/// A row of at most this many dimensions keeps its vector inline; a longer vector is fetched from the TOAST table.
const INLINE_DIMENSIONS: usize = 480;
const SKETCH_ROW: f64 = 0.7;
const HNSW_START: f64 = 300.0;
const HNSW_VISIT: f64 = 9.0;

fn vector_row(dimensions: usize) -> f64 {
    if dimensions <= INLINE_DIMENSIONS {
        2.0 + dimensions as f64 / 400.0
    } else {
        6.0 + dimensions as f64 / 128.0
    }
}

/// Rows the sketch hands on to be compared by vector: a fixed number gives recall@10 ≥ 0.99 whatever the size of the set.
pub fn rerank(fetch: usize) -> usize {
    (20 * fetch).clamp(200, 4000).max(2 * fetch)
}

/// The HNSW candidate list: wide enough that about twice the wanted rows pass a filter that lets `share` through.
pub fn ef_search(fetch: usize, share: f64) -> u32 {
    if let Some(ef) = guc::ef_search() {
        return ef;
    }
    let wanted = 2.0 * fetch as f64 / share.max(1e-6);
    (wanted.ceil().clamp(100.0, 1000.0)) as u32
}

/// Rows of the searched set up to which all vectors are compared.
pub fn exact_threshold(dimensions: usize, fetch: usize) -> u64 {
    guc::exact_threshold().unwrap_or_else(|| {
        let vector = vector_row(dimensions);
        (rerank(fetch) as f64 * vector / (vector - SKETCH_ROW)) as u64
    })
}

/// `population` rows match, of `total` in the store.
pub fn choose(dimensions: usize, fetch: usize, population: u64, total: u64) -> Path {
    match guc::vector_path() {
        VectorPath::Exact => return Path::Exact,
        VectorPath::Sketch => return Path::Sketch,
        VectorPath::Hnsw => return Path::Hnsw,
        VectorPath::Auto => {}
    }
    if population <= exact_threshold(dimensions, fetch) {
        return Path::Exact;
    }
    let share = (population as f64 / total.max(population).max(1) as f64).clamp(1e-9, 1.0);
    let sketch = population as f64 * SKETCH_ROW + rerank(fetch) as f64 * vector_row(dimensions);
    let visits = (2.0 * fetch as f64 / share).max(100.0);
    let hnsw = HNSW_START + visits * HNSW_VISIT;
    // The candidate list cannot grow beyond 1,000: a share so small that it would have to is searched otherwise.
    if hnsw < sketch && visits <= 1000.0 {
        Path::Hnsw
    } else {
        Path::Sketch
    }
}
