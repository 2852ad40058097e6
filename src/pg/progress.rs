//! How far this process's long calls are, told to the others.

use std::cell::Cell;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::fence;
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
    Comparing,
    Embedding,
    Expiring,
    Exporting,
    Reading,
    Removing,
    Sealing,
    Verifying,
    Waiting,
    Writing,
}

const PHASES: [(Phase, &str); 12] = [
    (Phase::BuildingIndex, "building index"),
    (Phase::Checking, "checking"),
    (Phase::Comparing, "comparing"),
    (Phase::Embedding, "embedding"),
    (Phase::Expiring, "expiring"),
    (Phase::Exporting, "exporting"),
    (Phase::Reading, "reading"),
    (Phase::Removing, "removing"),
    (Phase::Sealing, "sealing"),
    (Phase::Verifying, "verifying"),
    (Phase::Waiting, "waiting"),
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
            slot.owner.load(Relaxed) == 0
                && slot.owner.compare_exchange(0, pid, AcqRel, Relaxed).is_ok()
        })?;
        let _change = Change::of(slot);
        slot.database.store(database, Relaxed);
        slot.role.store(role, Relaxed);
        let operation = measure::current().map_or(WORKER, |operation| operation.place() as u64);
        slot.operation.store(operation, Relaxed);
        slot.phase.store(phase as u64, Relaxed);
        slot.done.store(0, Relaxed);
        slot.total.store(total.unwrap_or(UNKNOWN), Relaxed);
        slot.started.store(measure::monotonic_micros(), Relaxed);
        slot.pid.store(pid, Relaxed);
        Some(Entry(slot))
    }

    pub fn done(&self, done: u64) {
        if is_mine(self.0) {
            self.0.done.store(done, Relaxed);
        }
    }
}

/// As long as this lives, whoever reads the slot sees that it is being written.
struct Change(&'static LongCall);

impl Change {
    fn of(slot: &'static LongCall) -> Self {
        slot.changes.fetch_add(1, Relaxed);
        // Nobody sees what is written from here on without the odd number.
        fence(Release);
        Change(slot)
    }
}

impl Drop for Change {
    fn drop(&mut self) {
        self.0.changes.fetch_add(1, Release);
    }
}

fn is_mine(slot: &LongCall) -> bool {
    // SAFETY: reads a variable of this process.
    slot.owner.load(Relaxed) == unsafe { pg_sys::MyProcPid } as u64
}

impl Drop for Entry {
    fn drop(&mut self) {
        give_back(self.0);
    }
}

/// Does nothing with a slot that was given back before: a process that ends does that first, and drops its entries then, when
/// the slot may be another's.
fn give_back(slot: &'static LongCall) {
    if is_mine(slot) {
        let change = Change::of(slot);
        slot.pid.store(0, Relaxed);
        drop(change);
        slot.owner.store(0, Release);
    }
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
    shmem::shared()
        .into_iter()
        .flat_map(|shared| &shared.long_calls)
        .for_each(give_back);
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
    let pid = slot.pid.load(Relaxed);
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
    fence(Acquire);
    (slot.changes.load(Relaxed) == before).then_some(running)
}
