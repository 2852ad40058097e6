//! Where PostgreSQL enters the background worker of a database.

use pgrx::pg_sys;

use crate::pg::worker;
use crate::store::upkeep;

#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn memory_ext_worker_main(database: pg_sys::Datum) {
    worker::serve(database, || match upkeep::step() {
        Ok(more) => more,
        // The next run tries again; a line in the log a minute is enough to be seen.
        Err(error) => {
            pgrx::warning!("memory_ext worker: {error}");
            false
        }
    });
}
