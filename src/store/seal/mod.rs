//! Tamper evidence: seals over the audit trail and the old versions, one chain of them, and what they say of the rows.
//!
//! What a seal is, is in `memory_core::seal`; here are the rows, the table of the seals, and who waits for whom.

pub mod export;
pub mod receipt;
mod rows;
pub mod verify;
pub mod write;

use memory_core::seal::{Anchor, Seal, SealKey, Table};

use super::access::{Call, Privilege};
use super::{migrate, open, past};
use crate::pg::error::{Error, Result};
use crate::pg::files;
use crate::pg::guc;
use crate::pg::spi::{Planning, Rows};
use crate::pg::times;

/// The frame of a call: for the owner of the memories and admins of every project.
pub fn begin(writes: bool, operation: &'static str) -> Result<Call> {
    past::refuse(match writes {
        true => Privilege::Admin,
        false => Privilege::Read,
    })?;
    let store = open::open()?;
    store.require(migrate::SAFETY)?;
    Call::begin_care(store, None, writes, operation)
}

/// The keys of memory_ext.audit_key_file, none where it is not set. No message shows the path, which is the superuser's
/// business, or anything that is in the file.
pub fn keys() -> Result<Vec<SealKey>> {
    const SETTING: &str = "memory_ext.audit_key_file";
    const MAX_BYTES: u64 = 64 * 1024;
    let Some(path) = guc::audit_key_file() else {
        return Ok(Vec::new());
    };
    let unreadable = |error: Error| {
        Error::coded(
            error.code(),
            format!("the file of {SETTING} cannot be read"),
        )
        .hint("It has to be an absolute path of a file that the server's user can read.")
    };
    let mut content = files::read_configured(SETTING, &path, MAX_BYTES).map_err(unreadable)?;
    let keys = match content.len() as u64 <= MAX_BYTES {
        true => SealKey::from_file(&content).ok(),
        false => None,
    };
    content.fill(0);
    std::hint::black_box(&content);
    keys.ok_or_else(|| {
        Error::state(format!("the file of {SETTING} has no keys in it"))
            .detail("A key is 32 random bytes, as 64 hexadecimal digits or as base64, one a line.")
            .hint("Make one with: openssl rand -hex 32 > FILE, readable by the server's user only.")
    })
}

/// The columns of a seal, without its leaves.
const COLUMNS: &str = "number, sealed_table, first_id, last_id, row_count, root, sealed_at, previous_mac, key_id, mac";

/// A seal of those columns, `None` where they hold what no seal has.
fn seal_of(rows: &Rows<'_>, row: usize) -> Option<Seal> {
    let bytes = |column| rows.bytes(row, column);
    let hash = |column| -> Option<[u8; 32]> { bytes(column)?.as_ref().try_into().ok() };
    let unsigned = |column| u64::try_from(rows.get::<i64>(row, column)?).ok();
    let key_id = match bytes(9) {
        Some(id) => Some(id.as_ref().try_into().ok()?),
        None => None,
    };
    Some(Seal {
        number: unsigned(1)?,
        table: Table::named(&rows.get::<String>(row, 2)?)?,
        first_id: rows.get(row, 3)?,
        last_id: rows.get(row, 4)?,
        rows: unsigned(5)?,
        root: hash(6)?,
        sealed_at: times::number(rows.get(row, 7)?),
        previous_mac: hash(8)?,
        key_id,
        mac: hash(10)?,
    })
}

/// The last seal's anchor: what is to be kept where the database's owner cannot change it.
pub fn anchor(call: &Call) -> Option<Anchor> {
    let sql = call.store.sql(&format!(
        "SELECT {COLUMNS} FROM @s@.memory_audit_seals ORDER BY number DESC LIMIT 1"
    ));
    call.sql(|session| {
        let rows = session.read(&sql, Planning::Generic, &[]);
        seal_of(&rows, 0).map(|seal| seal.anchor())
    })
}
