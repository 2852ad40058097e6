//! How far long work has come, for whoever waits for it: memory_progress() shows it to others, and a NOTICE tells the caller.

use std::time::{Duration, Instant};

use crate::pg::progress::Entry;
pub use crate::pg::progress::Phase;
use crate::pg::system;

const EVERY: Duration = Duration::from_secs(2);

pub struct Progress {
    phase: Phase,
    total: i64,
    started: Instant,
    told: Instant,
    entry: Option<Entry>,
}

impl Progress {
    /// Work on so many rows, or, with 0, on an unknown number of them.
    pub fn of(phase: Phase, total: i64) -> Self {
        let now = Instant::now();
        let known = u64::try_from(total).ok().filter(|total| *total > 0);
        Progress {
            phase,
            total,
            started: now,
            told: now,
            entry: Entry::begin(phase, known),
        }
    }

    /// So many are done, for memory_progress() alone.
    pub fn note(&self, done: u64) {
        if let Some(entry) = &self.entry {
            entry.done(done);
        }
    }

    /// So many are done, and a NOTICE now and then; to be called often.
    pub fn at(&mut self, done: i64) {
        self.note(done.unsigned_abs());
        if self.told.elapsed() >= EVERY {
            self.told = Instant::now();
            self.tell(done);
        }
    }

    /// The last NOTICE.
    pub fn done(self, done: i64) {
        self.tell(done);
    }

    fn tell(&self, done: i64) {
        let seconds = self.started.elapsed().as_secs_f64().max(1e-3);
        let total = self.total.max(done);
        let share = if total > 0 {
            done as f64 / total as f64
        } else {
            1.0
        };
        let rate = done as f64 / seconds;
        let left = if done > 0 {
            (total - done) as f64 / rate
        } else {
            0.0
        };
        system::notice(&format!(
            "{}: {done} of {total} rows ({:.1} %), {rate:.0} rows a second, {left:.0} s remaining",
            self.phase.name(),
            100.0 * share,
        ));
    }
}
