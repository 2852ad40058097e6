//! Counting: how often which function is called, how it ends and how long it takes, and what else a store's operator wants to know.
//!
//! Without preload nothing is counted. What is counted stays counted when the transaction is rolled back, as PostgreSQL's own
//! statistics have it. Durations are of the clock that does not jump.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use memory_core::counters::Distribution;
use pgrx::PgSqlErrorCode;
use pgrx::pg_sys::panic::{CaughtError, ErrorReport, ErrorReportWithLevel};

use super::error::{self, SqlResult, SqlState};
pub use super::operation::Operation;
use super::passed_on;
use super::shmem::{self, Database, ERROR_CLASSES};
use super::system;

thread_local! {
    static CURRENT: Cell<Option<Operation>> = const { Cell::new(None) };
}

/// The function that is being called, the innermost one.
pub fn current() -> Option<Operation> {
    CURRENT.get()
}

/// Runs a function's work and counts it, however it ends.
pub fn measured<T>(operation: Operation, work: impl FnOnce() -> SqlResult<T>) -> SqlResult<T> {
    let Some(counters) = shmem::database() else {
        return work();
    };
    let started = Instant::now();
    let ended = watched(operation, work);
    let failure = match &ended {
        Ok(Ok(_)) => None,
        Ok(Err(_)) => Some(error::last_code().into()),
        Err(payload) => Some(code_of(payload.as_ref())),
    };
    counters.note(operation, started.elapsed(), failure);
    ended.unwrap_or_else(|payload| resume_unwind(payload))
}

type Ended<T> = std::result::Result<T, Box<dyn Any + Send>>;

/// A PostgreSQL error is a panic on its way through Rust: it is looked at, and goes on as it was.
fn watched<T>(operation: Operation, work: impl FnOnce() -> T) -> Ended<T> {
    let outer = CURRENT.replace(Some(operation));
    let ended = catch_unwind(AssertUnwindSafe(work));
    CURRENT.set(outer);
    ended
}

fn code_of(payload: &(dyn Any + Send)) -> SqlState {
    let report = match payload.downcast_ref::<CaughtError>() {
        Some(
            CaughtError::PostgresError(report)
            | CaughtError::ErrorReport(report)
            | CaughtError::RustPanic {
                ereport: report, ..
            },
        ) => Some(report),
        None => payload.downcast_ref::<ErrorReportWithLevel>(),
    };
    match report {
        Some(report) => passed_on::sqlstate(report),
        None if payload.is::<ErrorReport>() => error::last_code().into(),
        None => PgSqlErrorCode::ERRCODE_INTERNAL_ERROR.into(),
    }
}

impl Database {
    fn note(&self, operation: Operation, duration: Duration, failure: Option<SqlState>) {
        let calls = &self.operations[operation.place()];
        calls.ends.count(failure.is_none());
        calls.durations.observe(duration);
        if let Some(state) = failure {
            let state = state.to_string();
            let class = ERROR_CLASSES
                .iter()
                .position(|class| state.starts_with(class));
            self.errors[class.unwrap_or(ERROR_CLASSES.len())].one();
        }
    }
}

/// The rows of a function that makes them as they are fetched. The call ends with the last row, or when nobody wants more; its time
/// is what its own work takes.
pub struct Streamed<I> {
    rows: I,
    call: Option<StreamedCall>,
}

struct StreamedCall {
    counters: &'static Database,
    operation: Operation,
    busy: Duration,
}

impl StreamedCall {
    fn end(self, failure: Option<SqlState>) {
        self.counters.note(self.operation, self.busy, failure);
    }
}

/// Counts a call whose `begin` gives the rows one by one.
pub fn streamed<I: Iterator>(
    operation: Operation,
    begin: impl FnOnce() -> SqlResult<I>,
) -> SqlResult<Streamed<I>> {
    let started = Instant::now();
    let Some(counters) = shmem::database() else {
        return Ok(Streamed {
            rows: begin()?,
            call: None,
        });
    };
    let call = |busy| StreamedCall {
        counters,
        operation,
        busy,
    };
    match watched(operation, begin) {
        Ok(Ok(rows)) => Ok(Streamed {
            rows,
            call: Some(call(started.elapsed())),
        }),
        Ok(Err(error)) => {
            call(started.elapsed()).end(Some(error::last_code().into()));
            Err(error)
        }
        Err(payload) => {
            call(started.elapsed()).end(Some(code_of(payload.as_ref())));
            resume_unwind(payload)
        }
    }
}

impl<I: Iterator> Iterator for Streamed<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        let Some(mut call) = self.call.take() else {
            return self.rows.next();
        };
        let started = Instant::now();
        let next = watched(call.operation, || self.rows.next());
        call.busy += started.elapsed();
        match next {
            Ok(Some(row)) => {
                self.call = Some(call);
                Some(row)
            }
            Ok(None) => {
                call.end(None);
                None
            }
            Err(payload) => {
                call.end(Some(code_of(payload.as_ref())));
                resume_unwind(payload)
            }
        }
    }
}

impl<I> Drop for Streamed<I> {
    fn drop(&mut self) {
        if let Some(call) = self.call.take() {
            call.end(None);
        }
    }
}

/// How a search found what it found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchPath {
    Exact,
    Sketch,
    Hnsw,
    /// By words alone.
    Text,
    /// Among the versions of a past time.
    Past,
}

impl SearchPath {
    pub const ALL: [(SearchPath, &'static str); 5] = [
        (SearchPath::Exact, "exact"),
        (SearchPath::Sketch, "sketch"),
        (SearchPath::Hnsw, "hnsw"),
        (SearchPath::Text, "text"),
        (SearchPath::Past, "past"),
    ];
}

fn count(work: impl FnOnce(&Database)) {
    if let Some(counters) = shmem::database() {
        work(counters);
    }
}

pub fn search(path: SearchPath) {
    count(|counters| counters.searches[path as usize].one());
}

/// Searches that returned fewer rows than they should have.
pub fn under_returns(searches: u64) {
    count(|counters| counters.under_returns.add(searches));
}

/// Looks into the embedding cache.
pub fn cache(hits: usize, misses: usize) {
    count(|counters| {
        counters.cache_hits.add(hits as u64);
        counters.cache_misses.add(misses as u64);
    });
}

/// A vote that was cast or changed.
pub fn vote(helpful: bool) {
    count(|counters| match helpful {
        true => counters.helpful_votes.one(),
        false => counters.harmful_votes.one(),
    });
}

pub fn expired(memories: usize) {
    count(|counters| counters.expired.add(memories as u64));
}

/// The audit trail was sealed, by whomever.
pub fn sealed() {
    count(|counters| {
        counters.seals.ok.one();
        counters.seal_failing.store(0, Relaxed);
    });
}

/// Something that the worker does and that may fail: it did when this is dropped before its end, as it is by an error on its
/// way. What a user's call fails by is his own business.
pub struct Attempt(fn(&Database));

impl Attempt {
    fn begin(failed: fn(&Database)) -> Self {
        // The place to count in is looked for now: an error leaves no transaction to do that in.
        shmem::database();
        Attempt(failed)
    }

    pub fn sealing() -> Self {
        Attempt::begin(|counters| {
            counters.seals.error.one();
            counters.seal_failing.store(1, Relaxed);
        })
    }

    pub fn measuring_recall() -> Self {
        Attempt::begin(|counters| counters.recall_checks.error.one())
    }

    /// It did not fail; what it did is counted where it was done.
    pub fn end(self) {
        std::mem::forget(self);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        count(self.0);
    }
}

/// The worker has measured recall.
pub fn recall_checked() {
    count(|counters| counters.recall_checks.ok.one());
}

/// The share of the truth that searches were found to find.
pub fn recall(share: f64) {
    count(|counters| {
        counters.recall.store(share.to_bits(), Relaxed);
        counters.recall_at.is_now();
    });
}

/// Whether it is time for the worker to measure recall; if so, the next time is an interval from now. Never where several
/// databases count together: nobody could tell whose recall it is.
pub fn recall_is_due(interval: Duration) -> bool {
    let Some(counters) = shmem::database().filter(|counters| !counters.is_shared()) else {
        return false;
    };
    let (began, now) = (counters.recall_began.load(Relaxed), monotonic_micros());
    let since = Duration::from_micros(now.saturating_sub(began));
    if began != 0 && since < interval {
        return false;
    }
    counters.recall_began.store(now, Relaxed);
    true
}

/// A run of the worker; a failed one when it is dropped before its end, as it is by an error on its way.
pub struct WorkerRun(());

impl WorkerRun {
    pub fn begin() -> Self {
        // The place to count in is looked for now: an error leaves no transaction to do that in.
        shmem::database();
        WorkerRun(())
    }

    /// Nothing is left to do.
    pub fn end(self) {
        count(|counters| {
            counters.worker_runs.ok.one();
            counters.worker_ended.store(monotonic_micros(), Relaxed);
            counters.worker_ended_at.is_now();
        });
        std::mem::forget(self);
    }

    /// The run goes on in another transaction.
    pub fn go_on(self) {
        std::mem::forget(self);
    }
}

impl Drop for WorkerRun {
    fn drop(&mut self) {
        count(|counters| counters.worker_runs.error.one());
    }
}

/// Microseconds of a clock that all processes share and that never jumps; it begins somewhere, and is never 0.
pub fn monotonic_micros() -> u64 {
    system::monotonic_micros().max(1)
}

/// How long the server has been counting; nothing without preload.
pub fn uptime() -> Duration {
    shmem::shared().map_or(Duration::ZERO, |shared| shared.uptime())
}

/// What has been counted in this database.
pub struct Counted {
    pub started_at: f64,
    /// Other databases count in the same place.
    pub is_shared: bool,
    /// Those that were called: name, ends well, ends badly, durations.
    pub operations: Vec<(&'static str, u64, u64, Distribution)>,
    /// By class of SQLSTATE.
    pub errors: Vec<(&'static str, u64)>,
    pub searches: Vec<(&'static str, u64)>,
    pub under_returns: u64,
    pub cache_hits: u64,
    pub cache_misses: u64,
    pub helpful_votes: u64,
    pub harmful_votes: u64,
    pub expired: u64,
    pub worker_ok: u64,
    pub worker_errors: u64,
    /// When the last good run ended, and how long ago that is by the clock that does not jump. Not known where several databases
    /// count together.
    pub worker_ended_at: Option<f64>,
    pub worker_age: Option<Duration>,
    pub seals_ok: u64,
    pub seals_failed: u64,
    /// The worker's last attempt failed.
    pub is_seal_failing: bool,
    pub recall_checks_ok: u64,
    pub recall_checks_failed: u64,
    /// The last recall that was measured, and when; not known where several databases count together.
    pub recall: Option<(f64, f64)>,
}

/// `None` without preload.
pub fn counted() -> Option<Counted> {
    let shared = shmem::shared()?;
    let counters = shmem::database()?;
    let operations = Operation::names().iter().zip(&counters.operations);
    let ended = counters.worker_ended.load(Relaxed);
    let is_shared = counters.is_shared();
    Some(Counted {
        started_at: shared.started_at(),
        is_shared,
        operations: operations
            .map(|(name, calls)| {
                let ends = &calls.ends;
                (
                    *name,
                    ends.ok.get(),
                    ends.error.get(),
                    calls.durations.get(),
                )
            })
            .filter(|(_, ok, error, durations)| *ok > 0 || *error > 0 || durations.count() > 0)
            .collect(),
        errors: ERROR_CLASSES
            .into_iter()
            .chain(["other"])
            .zip(counters.errors.iter().map(|counter| counter.get()))
            .collect(),
        searches: SearchPath::ALL
            .into_iter()
            .map(|(path, name)| (name, counters.searches[path as usize].get()))
            .collect(),
        under_returns: counters.under_returns.get(),
        cache_hits: counters.cache_hits.get(),
        cache_misses: counters.cache_misses.get(),
        helpful_votes: counters.helpful_votes.get(),
        harmful_votes: counters.harmful_votes.get(),
        expired: counters.expired.get(),
        worker_ok: counters.worker_runs.ok.get(),
        worker_errors: counters.worker_runs.error.get(),
        worker_ended_at: counters.worker_ended_at.seconds().filter(|_| !is_shared),
        worker_age: (ended > 0 && !is_shared)
            .then(|| Duration::from_micros(monotonic_micros().saturating_sub(ended))),
        seals_ok: counters.seals.ok.get(),
        seals_failed: counters.seals.error.get(),
        is_seal_failing: !is_shared && counters.seal_failing.load(Relaxed) == 1,
        recall_checks_ok: counters.recall_checks.ok.get(),
        recall_checks_failed: counters.recall_checks.error.get(),
        recall: counters
            .recall_at
            .seconds()
            .filter(|_| !is_shared)
            .map(|at| (f64::from_bits(counters.recall.load(Relaxed)), at)),
    })
}
