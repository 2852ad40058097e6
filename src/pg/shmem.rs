//! What all processes of the server share: counters of each database, and how far long calls are. There when the library is preloaded.
//!
//! It is memory of fixed size, reserved when the server starts and full of zeros then, all of it atomics: whoever dies in the middle
//! of something leaves nothing half written. PostgreSQL makes it anew when it starts again after a crash.

use std::cell::Cell;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU64, Ordering};
use std::time::Duration;

use memory_core::counters::{Counter, Histogram};
use pgrx::pg_sys;

use super::operation::Operation;
use super::system;

/// Databases with counters of their own; further ones count in one slot together.
const DATABASES: usize = 32;
/// Long calls that are told of at a time.
pub const LONG_CALLS: usize = 64;

/// Classes of SQLSTATEs that are told apart.
pub const ERROR_CLASSES: [&str; 13] = [
    "0A", "22", "23", "25", "40", "42", "53", "54", "55", "57", "58", "P0", "XX",
];

#[derive(Debug)]
#[repr(C)]
pub struct Shared {
    /// Microseconds since the Unix epoch.
    started_at: AtomicU64,
    /// The same by the clock that does not jump.
    started: AtomicU64,
    databases: [Database; DATABASES + 1],
    pub long_calls: [LongCall; LONG_CALLS],
}

/// The counters of a database.
#[derive(Debug)]
#[repr(C)]
pub struct Database {
    /// Its id; 0: the slot is free.
    oid: AtomicU64,
    pub operations: [Calls; Operation::COUNT],
    /// By class, the last one for all others.
    pub errors: [Counter; ERROR_CLASSES.len() + 1],
    /// By path: exact, sketch, hnsw, text, past.
    pub searches: [Counter; 5],
    pub under_returns: Counter,
    pub cache_hits: Counter,
    pub cache_misses: Counter,
    pub helpful_votes: Counter,
    pub harmful_votes: Counter,
    pub expired: Counter,
    pub worker_runs: Tries,
    /// When the last run ended that was in order, by the calendar and by the clock that does not jump.
    pub worker_ended_at: Moment,
    pub worker_ended: AtomicU64,
    pub seals: Tries,
    /// 1 as long as the worker's last attempt to seal failed.
    pub seal_failing: AtomicU64,
    /// The worker's measurements of recall.
    pub recall_checks: Tries,
    /// The bits of a floating-point number, and when it was measured.
    pub recall: AtomicU64,
    pub recall_at: Moment,
    /// When the worker began to measure, by the clock that does not jump.
    pub recall_began: AtomicU64,
}

#[derive(Debug)]
#[repr(C)]
pub struct Calls {
    pub ends: Tries,
    pub durations: Histogram,
}

/// What went well and what did not.
#[derive(Debug)]
#[repr(C)]
pub struct Tries {
    pub ok: Counter,
    pub error: Counter,
}

impl Tries {
    pub fn count(&self, ok: bool) {
        match ok {
            true => self.ok.one(),
            false => self.error.one(),
        }
    }
}

/// Microseconds since the Unix epoch, 0 for never.
#[derive(Debug)]
#[repr(transparent)]
pub struct Moment(AtomicU64);

impl Moment {
    pub fn is_now(&self) {
        self.0.store(system::unix_micros(), Ordering::Relaxed);
    }

    pub fn seconds(&self) -> Option<f64> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(micros as f64 / 1e6),
        }
    }
}

/// How far a long call is. Written by the process that has it; who reads it compares `changes` before and after.
#[derive(Debug)]
#[repr(C)]
pub struct LongCall {
    /// The process that has the slot, and alone writes to it; 0: it is free.
    pub owner: AtomicU64,
    /// Odd while the owner writes what the slot is about.
    pub changes: AtomicU64,
    /// The process whose call this is, for those who read; 0: there is none.
    pub pid: AtomicU64,
    pub database: AtomicU64,
    pub role: AtomicU64,
    /// Places of their names.
    pub operation: AtomicU64,
    pub phase: AtomicU64,
    pub done: AtomicU64,
    /// The greatest number: not known.
    pub total: AtomicU64,
    /// By the clock that does not jump, in microseconds.
    pub started: AtomicU64,
}

/// Where it lies, and the lock under which slots of databases are given out. Set in the postmaster, whose children inherit it.
static AT: AtomicPtr<Shared> = AtomicPtr::new(null_mut());
static LOCK: AtomicPtr<pg_sys::LWLock> = AtomicPtr::new(null_mut());

const NAME: &std::ffi::CStr = c"memory_ext";

thread_local! {
    static REQUESTED_BEFORE: Cell<pg_sys::shmem_request_hook_type> = const { Cell::new(None) };
    static STARTED_BEFORE: Cell<pg_sys::shmem_startup_hook_type> = const { Cell::new(None) };
    static MINE: Cell<Option<&'static Database>> = const { Cell::new(None) };
}

/// Asks for the memory; does nothing unless the library is being preloaded.
pub fn register() {
    // SAFETY: runs in the postmaster's main thread while it loads libraries. Whoever was there before is called from our hooks.
    unsafe {
        if !pg_sys::process_shared_preload_libraries_in_progress {
            return;
        }
        REQUESTED_BEFORE.set(pg_sys::shmem_request_hook);
        pg_sys::shmem_request_hook = Some(request);
        STARTED_BEFORE.set(pg_sys::shmem_startup_hook);
        pg_sys::shmem_startup_hook = Some(start_up);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn request() {
    // SAFETY: called by the postmaster at the only time when memory and locks may be asked for. An error of another library's
    // hook becomes a panic, as every call of PostgreSQL's from Rust does it.
    unsafe {
        if let Some(before) = REQUESTED_BEFORE.get() {
            pg_sys::submodules::ffi::pg_guard_ffi_boundary(|| before());
        }
        pg_sys::RequestAddinShmemSpace(size_of::<Shared>());
        pg_sys::RequestNamedLWLockTranche(NAME.as_ptr(), 1);
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn start_up() {
    // SAFETY: called once shared memory is there, again when the server starts anew after a crash. The memory is aligned to cache
    // lines, of the size that was asked for, and ours alone; zeros are a value of every atomic.
    unsafe {
        if let Some(before) = STARTED_BEFORE.get() {
            pg_sys::submodules::ffi::pg_guard_ffi_boundary(|| before());
        }
        // storage/lwlock.h: AddinShmemInitLock is the 22nd of the built-in locks.
        const ADDIN_SHMEM_INIT_LOCK: usize = 21;
        let lock = &raw mut (*pg_sys::MainLWLockArray.add(ADDIN_SHMEM_INIT_LOCK)).lock;
        pg_sys::LWLockAcquire(lock, pg_sys::LWLockMode::LW_EXCLUSIVE);
        let mut found = false;
        let at: *mut c_void =
            pg_sys::ShmemInitStruct(NAME.as_ptr(), size_of::<Shared>(), &mut found);
        let at = at.cast::<Shared>();
        if !found {
            at.write_bytes(0, 1);
            (*at)
                .started_at
                .store(system::unix_micros(), Ordering::Relaxed);
            (*at)
                .started
                .store(system::monotonic_micros(), Ordering::Relaxed);
        }
        AT.store(at, Ordering::Release);
        LOCK.store(
            &raw mut (*pg_sys::GetNamedLWLockTranche(NAME.as_ptr())).lock,
            Ordering::Release,
        );
        pg_sys::LWLockRelease(lock);
    }
}

/// What is shared; `None` when the library is not preloaded.
pub fn shared() -> Option<&'static Shared> {
    // SAFETY: null, or memory that stays until the server ends, and is only changed through its atomics.
    unsafe { AT.load(Ordering::Relaxed).as_ref() }
}

/// The counters of this database, those shared with others where there are too many.
pub fn database() -> Option<&'static Database> {
    if let Some(mine) = MINE.get() {
        return Some(mine);
    }
    let shared = shared()?;
    // SAFETY: reads a variable of this process.
    let database = unsafe { pg_sys::MyDatabaseId };
    if database == pg_sys::InvalidOid {
        return None;
    }
    let mine = shared.of_database(u64::from(database.to_u32()));
    MINE.set(Some(mine));
    Some(mine)
}

impl Shared {
    /// When counting began, in seconds since the Unix epoch.
    pub fn started_at(&self) -> f64 {
        self.started_at.load(Ordering::Relaxed) as f64 / 1e6
    }

    /// How long ago that is.
    pub fn uptime(&self) -> Duration {
        let started = self.started.load(Ordering::Relaxed);
        Duration::from_micros(system::monotonic_micros().saturating_sub(started))
    }

    fn own_slots(&self) -> &[Database] {
        &self.databases[..DATABASES]
    }

    fn slot_of(&self, oid: u64) -> Option<&Database> {
        self.own_slots().iter().find(|slot| slot.oid() == oid)
    }

    fn of_database(&'static self, oid: u64) -> &'static Database {
        if let Some(slot) = self.slot_of(oid) {
            return slot;
        }
        // Looked up before the lock is taken, as that may raise an error.
        let gone = match self.slot_of(0) {
            Some(_) => Vec::new(),
            None => {
                let used = self.own_slots().iter().map(Database::oid);
                used.filter(|oid| !exists(*oid)).collect()
            }
        };
        let _lock = Locked::enter();
        if let Some(slot) = self.slot_of(oid) {
            return slot;
        }
        if let Some(slot) = self.slot_of(0) {
            slot.oid.store(oid, Ordering::Release);
            return slot;
        }
        let of_a_dropped_one = |slot: &&Database| gone.contains(&slot.oid());
        match self.own_slots().iter().find(of_a_dropped_one) {
            Some(slot) => {
                slot.clear();
                slot.oid.store(oid, Ordering::Release);
                slot
            }
            None => &self.databases[DATABASES],
        }
    }
}

impl Database {
    fn oid(&self) -> u64 {
        self.oid.load(Ordering::Acquire)
    }

    /// Whether other databases count here too.
    pub fn is_shared(&self) -> bool {
        self.oid() == 0
    }

    fn clear(&self) {
        let words = size_of::<Self>() / size_of::<AtomicU64>();
        // SAFETY: the struct is made of nothing but atomics of this type, in C's layout without gaps.
        let words =
            unsafe { std::slice::from_raw_parts((&raw const *self).cast::<AtomicU64>(), words) };
        for word in words {
            word.store(0, Ordering::Relaxed);
        }
    }
}

fn exists(oid: u64) -> bool {
    let none = pg_sys::Datum::from(0);
    // SAFETY: a syscache look-up by id, within a transaction.
    unsafe {
        pg_sys::SearchSysCacheExists(
            pg_sys::SysCacheIdentifier::DATABASEOID as i32,
            pg_sys::Datum::from(oid as usize),
            none,
            none,
            none,
        )
    }
}

/// As long as this lives, no other process gives out slots.
struct Locked(*mut pg_sys::LWLock);

impl Locked {
    fn enter() -> Option<Self> {
        let lock = LOCK.load(Ordering::Acquire);
        if lock.is_null() {
            return None;
        }
        // SAFETY: the lock that the server gave us when it started. Nothing that raises an error runs under it.
        unsafe { pg_sys::LWLockAcquire(lock, pg_sys::LWLockMode::LW_EXCLUSIVE) };
        Some(Locked(lock))
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        // SAFETY: held since `enter`.
        unsafe { pg_sys::LWLockRelease(self.0) };
    }
}
