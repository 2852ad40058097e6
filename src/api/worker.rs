//! Where PostgreSQL enters the background worker of a database.

use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::pg_sys;

use crate::pg::worker;
use crate::store::upkeep;

#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn memory_ext_worker_main(database: pg_sys::Datum) {
    let is_swept = AtomicBool::new(false);
    worker::serve(database, || {
        let outcome = match is_swept.load(Ordering::Relaxed) {
            false => upkeep::step().map(|more| {
                is_swept.store(!more, Ordering::Relaxed);
                true
            }),
            true => upkeep::seal().map(|()| false),
        };
        match outcome {
            Ok(more) => more,
            // The next run tries again; a line in the log a minute is enough to be seen.
            Err(error) => {
                pgrx::warning!("memory_ext worker: {error}");
                false
            }
        }
    });
}
