//! Where PostgreSQL enters the background worker of a database.

use std::sync::atomic::{AtomicUsize, Ordering};

use pgrx::pg_sys;

use crate::pg::error::Result;
use crate::pg::worker;
use crate::store::upkeep;

/// What a visit does, a transaction each time: the same again as long as it says that there is more, then the next.
const STEPS: [fn() -> Result<bool>; 3] = [upkeep::step, upkeep::measure_recall, upkeep::seal];

#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn memory_ext_worker_main(database: pg_sys::Datum) {
    let at = AtomicUsize::new(0);
    worker::serve(database, || {
        let Some(step) = STEPS.get(at.load(Ordering::Relaxed)) else {
            return false;
        };
        match step() {
            Ok(true) => true,
            Ok(false) => at.fetch_add(1, Ordering::Relaxed) + 1 < STEPS.len(),
            // The next run tries again; a line in the log a minute is enough to be seen.
            Err(error) => {
                pgrx::warning!("memory_ext worker: {error}");
                false
            }
        }
    });
}
