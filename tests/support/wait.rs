use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Much longer than anything takes on a busy machine: only what never comes is waited for so long.
const LIMIT: Duration = Duration::from_secs(120);

/// Waits until the condition holds; fails, saying what was waited for, when it does not come true in time.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let started = Instant::now();
    while !condition() {
        assert!(
            started.elapsed() < LIMIT,
            "waited {LIMIT:?} in vain: {what}"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs `work` in so many threads at once, each with its number, and gives what they returned in that order.
pub fn together<R: Send>(threads: usize, work: impl Fn(usize, &Barrier) -> R + Sync) -> Vec<R> {
    let start = Barrier::new(threads);
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads)
            .map(|number| {
                scope.spawn({
                    let (work, start) = (&work, &start);
                    move || work(number, start)
                })
            })
            .collect();
        workers
            .into_iter()
            .map(|worker| {
                worker
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            })
            .collect()
    })
}

/// Set when it is dropped, by a panic too: threads that wait for it must end.
pub struct Raised<'a>(pub &'a AtomicBool);

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}
