//! Snapshots: what a piece of work sees.

use pgrx::pg_sys;

/// Runs `work` under a snapshot of its own, which sees what this call has written so far; that of the statement does not. To be
/// called in a subtransaction, whose end removes the snapshot when `work` fails.
pub fn fresh<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: as SPI does it before a statement that may write; the snapshot pushed here is the one that is popped.
    unsafe {
        pg_sys::CommandCounterIncrement();
        pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
    }
    let outcome = work();
    // SAFETY: see above.
    unsafe { pg_sys::PopActiveSnapshot() };
    outcome
}
