//! What counting adds to a call. A server cannot be told to stop counting, and a second one without the library preloaded would
//! differ in more than that, by more than that; so the counting is timed alone, as a part of the search's time.

use std::hint::black_box;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use memory_core::counters::{Counter, Histogram};
use postgres::Client;

use super::K;
use crate::corpus::{Corpus, share_name};
use crate::options::BenchOptions;
use crate::report::{Line, Report, Target};
use crate::{Result, progress, stats};

/// Per cent of a search.
const MOST: f64 = 1.0;
const CALLS: u32 = 1_000_000;
/// Of several runs the fastest counts: the slower ones say what else the machine did.
const RUNS: usize = 5;

/// What lies in shared memory for one function: src/pg/shmem.rs.
#[derive(Default)]
struct Calls {
    ok: Counter,
    durations: Histogram,
    searches: Counter,
}

impl Calls {
    /// What src/pg/measure.rs does around a search that does nothing.
    fn count_one(&self) {
        let started = Instant::now();
        let ended = catch_unwind(AssertUnwindSafe(|| {
            self.searches.one();
            black_box(true)
        }));
        let duration = started.elapsed();
        if black_box(ended.is_ok()) {
            self.ok.one();
        }
        self.durations.observe(duration);
    }
}

pub fn measure(
    client: &mut Client,
    corpus: &Corpus,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    progress("counting");
    let search = search_ms(client, corpus, options)?;
    let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let runs: Vec<Duration> = (0..RUNS).map(|_| one_call(cores)).collect();
    let call = runs.into_iter().min().unwrap_or_default();
    report.add(
        Line::new(
            "counting, of a memory_search",
            "%",
            100.0 * call.as_secs_f64() * 1e3 / search,
        )
        .target(Target::AtMost(MOST))
        .note(format!(
            "{} ns a call, {cores} threads on the same counters; search p50 {search:.3} ms",
            call.as_nanos()
        )),
    );
    Ok(())
}

/// The median of the fastest kind of search: a small project, all of whose vectors are compared.
fn search_ms(client: &mut Client, corpus: &Corpus, options: &BenchOptions) -> Result<f64> {
    let project = share_name(0.001);
    let statement = client.prepare(&format!(
        "SELECT * FROM memory_search(k => {K}, mode => 'vector', embedding => $1, project_id => $2)"
    ))?;
    let mut times = Vec::with_capacity(options.queries);
    for number in 0..options.queries {
        let query = corpus.query(&project, number);
        let started = Instant::now();
        client.query(&statement, &[&query.vector, &query.project])?;
        times.push(started.elapsed());
    }
    Ok(stats::percentile_ms(&times, 50.0))
}

/// How long one call's counting takes while all cores count in the same place.
fn one_call(threads: usize) -> Duration {
    let calls = Calls::default();
    let slowest = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|_| {
                scope.spawn(|| {
                    let started = Instant::now();
                    (0..CALLS).for_each(|_| black_box(&calls).count_one());
                    started.elapsed()
                })
            })
            .collect();
        let times = workers.into_iter().map(|worker| worker.join());
        times.filter_map(|time| time.ok()).max().unwrap_or_default()
    });
    black_box(calls.ok.get() + calls.durations.get().count());
    slowest / CALLS
}
