//! The background workers' life: a launcher that starts, one after the other, a short-lived worker in each database.
//!
//! A worker is bound to one database for life and stands in the way of DROP DATABASE while it lives, so it does its work
//! and ends. The launcher is connected to no database at all and reads only the shared catalog of databases.

use std::ffi::CStr;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use pgrx::bgworkers::{BackgroundWorker, BackgroundWorkerBuilder, SignalWakeFlags};
use pgrx::{IntoDatum, pg_sys};

use super::guc;

/// After a crash the launcher comes back this soon.
const RESTART: Duration = Duration::from_secs(10);

/// Registers the launcher; does nothing unless the library is being preloaded.
pub fn register() {
    // SAFETY: reads a variable that the postmaster sets while it loads libraries.
    if !unsafe { pg_sys::process_shared_preload_libraries_in_progress } {
        return;
    }
    BackgroundWorkerBuilder::new("memory_ext launcher")
        .set_type("memory_ext launcher")
        .set_library("memory_ext")
        .set_function("memory_ext_launcher_main")
        .enable_spi_access()
        .set_restart_time(Some(RESTART))
        .load();
}

#[pgrx::pg_guard]
#[unsafe(no_mangle)]
pub extern "C-unwind" fn memory_ext_launcher_main(_arg: pg_sys::Datum) {
    BackgroundWorker::attach_signal_handlers(SignalWakeFlags::SIGHUP | SignalWakeFlags::SIGTERM);
    BackgroundWorker::connect_worker_to_spi(None, None);
    while BackgroundWorker::wait_latch(Some(guc::naptime())) {
        reload_if_asked();
        for (database, name) in BackgroundWorker::transaction(databases) {
            if BackgroundWorker::sigterm_received() {
                leave();
            }
            visit(database, &name);
        }
    }
    leave();
}

/// Ends the launcher. Not with 0, which would tell the postmaster that it is never wanted again.
#[allow(
    unreachable_code,
    reason = "PostgreSQL 16 says that proc_exit does not return, 18 does not"
)]
fn leave() -> ! {
    // SAFETY: the end of the process, outside any transaction.
    unsafe { pg_sys::proc_exit(1) };
    unreachable!("proc_exit returned")
}

fn reload_if_asked() {
    if BackgroundWorker::sighup_received() {
        // SAFETY: called from the worker's main loop, outside any transaction.
        unsafe { pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP) };
    }
}

/// Starts a worker in a database and waits for its end.
fn visit(database: pg_sys::Oid, name: &str) {
    // SAFETY: reads this process's own id.
    let launcher = unsafe { pg_sys::MyProcPid };
    let worker = BackgroundWorkerBuilder::new(&format!("memory_ext worker for {name}"))
        .set_type("memory_ext worker")
        .set_library("memory_ext")
        .set_function("memory_ext_worker_main")
        .enable_spi_access()
        .set_argument(database.into_datum())
        .set_notify_pid(launcher)
        .load_dynamic();
    match worker {
        // However it ended, the next database is next, and this one has its turn again after the nap.
        Ok(worker) => drop(worker.wait_for_shutdown()),
        Err(_) => pgrx::warning!(
            "memory_ext could not start a worker for database {name}: no free slot, raise max_worker_processes"
        ),
    }
}

/// The databases to visit: those of the setting that accept connections.
fn databases() -> Vec<(pg_sys::Oid, String)> {
    let wanted = guc::databases();
    let wanted: Vec<&str> = wanted
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let mut found = Vec::new();
    // SAFETY: a scan of a shared catalog inside a transaction with a snapshot, as the autovacuum launcher does it; each tuple
    // is read before the next one is fetched, and scan and table are closed.
    unsafe {
        let table = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let scan = pg_sys::table_beginscan_catalog(table, 0, std::ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let row = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            let name = CStr::from_ptr(row.datname.data.as_ptr())
                .to_string_lossy()
                .into_owned();
            if row.datallowconn
                && !row.datistemplate
                && wanted
                    .iter()
                    .any(|wanted| *wanted == "*" || *wanted == name)
            {
                found.push((row.oid, name));
            }
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(table, pg_sys::AccessShareLock as i32);
    }
    found
}

/// How long a worker waits for a lock; the next database is not to wait for it longer.
const LOCK_TIMEOUT: &CStr = c"10s";

unsafe extern "C-unwind" {
    /// tcop/postgres.c. pgrx has it only as a Rust function, which cannot be a signal handler.
    fn die(signal: std::ffi::c_int);
}

/// The life of a worker: connects to its database, then repeats `step`, a transaction each time, until it says that nothing
/// is left to do or the server stops.
pub fn serve(database: pg_sys::Datum, step: impl Fn() -> bool + UnwindSafe + RefUnwindSafe) {
    // SAFETY: PostgreSQL's own handler, as backends have it: it interrupts a statement or a wait for a lock.
    unsafe {
        #[cfg(any(feature = "pg16", feature = "pg17"))]
        pg_sys::pqsignal(pg_sys::SIGTERM as i32, Some(die));
        #[cfg(feature = "pg18")]
        pg_sys::pqsignal_be(pg_sys::SIGTERM as i32, Some(die));
        pg_sys::BackgroundWorkerUnblockSignals();
    }
    let database = pg_sys::Oid::from(database.value() as u32);
    BackgroundWorker::connect_worker_to_spi_by_oid(Some(database), None);
    override_setting(c"lock_timeout", LOCK_TIMEOUT);
    // What a database or role is set to for its users must not stop its upkeep.
    override_setting(c"default_transaction_read_only", c"off");
    override_setting(c"memory_ext.as_of", c"");
    loop {
        report_activity(
            pg_sys::BackendState::STATE_RUNNING,
            c"memory_ext: removing what is expired",
        );
        let more = BackgroundWorker::transaction(&step);
        report_activity(pg_sys::BackendState::STATE_IDLE, c"");
        if !more {
            break;
        }
    }
}

fn override_setting(name: &CStr, value: &CStr) {
    // SAFETY: both strings are literals; the call is outside any transaction.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_OVERRIDE,
        );
    }
}

fn report_activity(state: pg_sys::BackendState::Type, activity: &CStr) {
    // SAFETY: writes this process's entry of pg_stat_activity.
    unsafe { pg_sys::pgstat_report_activity(state, activity.as_ptr()) };
}
