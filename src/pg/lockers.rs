//! Waiting for others who write.

use pgrx::pg_sys;

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
