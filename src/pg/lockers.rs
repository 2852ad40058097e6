//! Waiting for others who have tables locked.

use std::time::{Duration, Instant};

use pgrx::pg_sys;

/// How strong a lock of a table is.
#[derive(Clone, Copy)]
pub enum Strength {
    /// In the way of those who want the same.
    ShareUpdateExclusive,
    /// In the way of everybody who does more than read; a row that is locked FOR UPDATE is not only read.
    Exclusive,
    /// In the way of everybody.
    AccessExclusive,
}

impl Strength {
    fn mode(self) -> pg_sys::LOCKMODE {
        (match self {
            Strength::ShareUpdateExclusive => pg_sys::ShareUpdateExclusiveLock,
            Strength::Exclusive => pg_sys::ExclusiveLock,
            Strength::AccessExclusive => pg_sys::AccessExclusiveLock,
        }) as pg_sys::LOCKMODE
    }
}

/// Locks a table as everybody does who reads it, or writes to it.
pub fn enter(table: pg_sys::Oid, writes: bool) {
    let mode = match writes {
        true => pg_sys::RowExclusiveLock,
        false => pg_sys::AccessShareLock,
    };
    // SAFETY: any number may be locked, that of a table that has been dropped as well.
    unsafe { pg_sys::LockRelationOid(table, mode as pg_sys::LOCKMODE) };
}

/// How long somebody who holds one of the tables may take to be done with it while the others are kept for us. Who takes longer
/// waits for one of those, it may be.
const PATIENCE: Duration = Duration::from_millis(50);
const ATTEMPTS: usize = 100;

/// Locks all the tables, until the transaction ends. Calls take their tables in many orders, and to wait for one table with another
/// one locked would end in a deadlock with one of them: so what is locked is released again before anything is waited for.
pub fn lock_together(tables: &[(pg_sys::Oid, Strength)]) {
    let mut order = tables.to_vec();
    for _ in 0..ATTEMPTS {
        match attempt(&order) {
            None => return,
            // That one is waited for next.
            Some(taken) => order[..=taken].rotate_right(1),
        }
    }
    // Somebody is always there before us: now he waits for us, and if it is a deadlock, PostgreSQL ends it.
    order.iter().for_each(lock);
}

/// Waits for the first, and takes the others as they become free; the place of one that did not, with everything released.
fn attempt(tables: &[(pg_sys::Oid, Strength)]) -> Option<usize> {
    let (first, others) = tables.split_first()?;
    lock(first);
    let start = Instant::now();
    for (place, table) in others.iter().enumerate() {
        while !is_locked_at_once(table) {
            if start.elapsed() > PATIENCE {
                tables[..=place].iter().for_each(release);
                return Some(place + 1);
            }
            pgrx::check_for_interrupts!();
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    None
}

fn lock(&(table, strength): &(pg_sys::Oid, Strength)) {
    // SAFETY: as for `enter`.
    unsafe { pg_sys::LockRelationOid(table, strength.mode()) };
}

fn is_locked_at_once(&(table, strength): &(pg_sys::Oid, Strength)) -> bool {
    // SAFETY: as for `enter`.
    unsafe { pg_sys::ConditionalLockRelationOid(table, strength.mode()) }
}

fn release(&(table, strength): &(pg_sys::Oid, Strength)) {
    // SAFETY: called for what `attempt` has just locked, with the same resource owner.
    unsafe { pg_sys::UnlockRelationOid(table, strength.mode()) };
}

/// Waits until every transaction that has written to a table by now, or may have, is over; those that begin meanwhile are not
/// waited for, and nobody waits for us. lock_timeout, deadlock detection and a cancel work as for any lock.
///
/// Whoever takes a number from an identity of the table has it locked before, until his transaction ends: afterwards every
/// number that was taken before the call belongs to a row that a new snapshot shows, or to none.
pub fn wait_for_writers(table: pg_sys::Oid) {
    // SAFETY: the tag is the one that LOCKTAG_RELATION makes for a table of this database (storage/lock.h). ShareLock is the
    // weakest mode in the way of those who write.
    unsafe {
        let tag = pg_sys::LOCKTAG {
            locktag_field1: pg_sys::MyDatabaseId.to_u32(),
            locktag_field2: table.to_u32(),
            locktag_field3: 0,
            locktag_field4: 0,
            locktag_type: pg_sys::LockTagType::LOCKTAG_RELATION as u8,
            locktag_lockmethodid: pg_sys::DEFAULT_LOCKMETHOD as u8,
        };
        pg_sys::WaitForLockers(tag, pg_sys::ShareLock as pg_sys::LOCKMODE, false);
    }
}
