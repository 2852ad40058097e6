//! How far this process's long calls are, told to the others.

use std::cell::Cell;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::time::Duration;

use pgrx::pg_sys;

use super::measure;
use super::operation::Operation;
use super::shmem::{self, LongCall, Shared};

/// What a long call is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    BuildingIndex,
    Checking,
    Embedding,
    Expiring,
    Exporting,
    Reading,
    Verifying,
    Writing,
}

const PHASES: [(Phase, &str); 8] = [
    (Phase::BuildingIndex, "building index"),
    (Phase::Checking, "checking"),
    (Phase::Embedding, "embedding"),
    (Phase::Expiring, "expiring"),
    (Phase::Exporting, "exporting"),
    (Phase::Reading, "reading"),
    (Phase::Verifying, "verifying"),
    (Phase::Writing, "writing"),
];

impl Phase {
    pub fn name(self) -> &'static str {
        PHASES[self as usize].1
    }
}

/// What a total that is not known is in the shared slot.
const UNKNOWN: u64 = u64::MAX;
/// In place of an operation's: the background worker calls no function.
const WORKER: u64 = u64::MAX;

thread_local! {
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// This call's entry among the long calls, given back when dropped.
pub struct Entry(&'static LongCall);

impl Entry {
    /// `None` when the library is not preloaded, or too many are long already.
    pub fn begin(phase: Phase, total: Option<u64>) -> Option<Entry> {
        let shared = shmem::shared()?;
        give_back_at_exit();
        // SAFETY: reads variables of this process. The outer user is who called, not whose rights SQL runs with.
        let (pid, database, role) = unsafe {
            (
                pg_sys::MyProcPid as u64,
                u64::from(pg_sys::MyDatabaseId.to_u32()),
                u64::from(pg_sys::GetOuterUserId().to_u32()),
            )
        };
        let slot = shared.long_calls.iter().find(|slot| {
            slot.pid.load(Relaxed) == 0
                && slot.pid.compare_exchange(0, pid, AcqRel, Relaxed).is_ok()
        })?;
        slot.changes.fetch_add(1, AcqRel);
        slot.database.store(database, Relaxed);
        slot.role.store(role, Relaxed);
        let operation = measure::current().map_or(WORKER, |operation| operation.place() as u64);
        slot.operation.store(operation, Relaxed);
        slot.phase.store(phase as u64, Relaxed);
        slot.done.store(0, Relaxed);
        slot.total.store(total.unwrap_or(UNKNOWN), Relaxed);
        slot.started.store(measure::monotonic_micros(), Relaxed);
        // Even: everything is there.
        slot.changes.fetch_add(1, Release);
        Some(Entry(slot))
    }

    pub fn done(&self, done: u64) {
        self.0.done.store(done, Relaxed);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        give_back(self.0);
    }
}

fn give_back(slot: &LongCall) {
    slot.changes.fetch_add(2, AcqRel);
    slot.pid.store(0, Release);
}

/// A process that is told to end while it is at work drops nothing.
fn give_back_at_exit() {
    if WATCHED.replace(true) {
        return;
    }
    // SAFETY: a function of a library that is never unloaded, registered once a process.
    unsafe { pg_sys::before_shmem_exit(Some(on_exit), pg_sys::Datum::from(0)) };
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn on_exit(_code: std::ffi::c_int, _arg: pg_sys::Datum) {
    // SAFETY: reads a variable of this process.
    let pid = unsafe { pg_sys::MyProcPid } as u64;
    for slot in shmem::shared()
        .into_iter()
        .flat_map(|shared| &shared.long_calls)
    {
        if slot.pid.load(Acquire) == pid {
            give_back(slot);
        }
    }
}

/// A long call, of whichever process.
pub struct Running {
    pub pid: i32,
    pub operation: &'static str,
    pub phase: &'static str,
    pub done: u64,
    pub total: Option<u64>,
    pub elapsed: Duration,
    pub role: pg_sys::Oid,
}

/// The long calls of this database; `None` when the library is not preloaded.
pub fn running() -> Option<Vec<Running>> {
    let shared: &Shared = shmem::shared()?;
    // SAFETY: reads a variable of this process.
    let database = u64::from(unsafe { pg_sys::MyDatabaseId }.to_u32());
    let found = shared
        .long_calls
        .iter()
        .filter_map(|slot| read(slot, database));
    Some(found.collect())
}

fn read(slot: &LongCall, database: u64) -> Option<Running> {
    let before = slot.changes.load(Acquire);
    let pid = slot.pid.load(Acquire);
    if pid == 0 || before % 2 == 1 || slot.database.load(Relaxed) != database {
        return None;
    }
    let total = slot.total.load(Relaxed);
    let started = slot.started.load(Relaxed);
    let running = Running {
        pid: i32::try_from(pid).ok()?,
        operation: match slot.operation.load(Relaxed) {
            WORKER => "worker",
            place => Operation::name_at(place as usize)?,
        },
        phase: PHASES.get(slot.phase.load(Relaxed) as usize)?.1,
        done: slot.done.load(Relaxed),
        total: (total != UNKNOWN).then_some(total),
        elapsed: Duration::from_micros(measure::monotonic_micros().saturating_sub(started)),
        role: pg_sys::Oid::from(slot.role.load(Relaxed) as u32),
    };
    // Meanwhile it may have become another call's.
    std::sync::atomic::fence(Acquire);
    (slot.changes.load(Relaxed) == before).then_some(running)
}
