//! Counters and histograms that many count in at once, without a lock. All of them are relaxed atomics, and memory full of zeros
//! is a value of each: they may lie in memory that processes share.
//!
//! Every addition counts exactly once. What is read while others count is a moment of each number, not one moment of all.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// A number that only grows. Beyond 2^64 - 1 it goes on from 0, which whoever computes rates takes for a restart.
#[derive(Debug, Default)]
#[repr(transparent)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn one(&self) {
        self.add(1);
    }

    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Upper bounds of the buckets in microseconds, each included; what is longer has a bucket of its own.
pub const BOUNDS_MICROS: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 5_000_000, 10_000_000, 30_000_000,
];

pub const BUCKETS: usize = BOUNDS_MICROS.len() + 1;

/// How long things took.
#[derive(Debug, Default)]
#[repr(C)]
pub struct Histogram {
    buckets: [Counter; BUCKETS],
    sum_micros: Counter,
}

/// What a histogram holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Distribution {
    /// How many took at most as long as each bound, the last one of any length: the number of all.
    pub cumulative: [u64; BUCKETS],
    pub sum_seconds: f64,
}

impl Histogram {
    pub fn observe(&self, duration: Duration) {
        // To the nearest microsecond.
        let micros = u64::try_from((duration.as_nanos() + 500) / 1000).unwrap_or(u64::MAX);
        self.buckets[BOUNDS_MICROS.partition_point(|bound| *bound < micros)].one();
        self.sum_micros.add(micros);
    }

    pub fn get(&self) -> Distribution {
        let mut distribution = Distribution {
            sum_seconds: self.sum_micros.get() as f64 / 1e6,
            ..Distribution::default()
        };
        let mut count = 0u64;
        for (cumulative, bucket) in distribution.cumulative.iter_mut().zip(&self.buckets) {
            // A bucket that has gone on from 0 must not make a cumulative number shrink.
            count = count.saturating_add(bucket.get());
            *cumulative = count;
        }
        distribution
    }
}

impl Distribution {
    pub fn count(&self) -> u64 {
        self.cumulative[BUCKETS - 1]
    }

    /// The bounds in seconds, without the last bucket's, which has none.
    pub fn bounds() -> [f64; BOUNDS_MICROS.len()] {
        BOUNDS_MICROS.map(|micros| micros as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests;
