//! Backups for clients that reach no file of the server.

use pgrx::prelude::*;

use super::files::secretly;
use crate::pg::error::{Error, SqlResult};
use crate::pg::files;
use crate::pg::measure::{Operation, measured};
use crate::pg::set::PartSet;
use crate::pg::system;
use crate::store::backup::key::Given;
use crate::store::backup::parts::Parts;
use crate::store::backup::write::{self, Wish};

/// Pieces are at least this long, and at most: a value of bytea is held in memory, and twice as long as text.
const CHUNK: std::ops::RangeInclusive<i32> = 1024..=16 * 1024 * 1024;

/// Makes an encrypted backup and returns it in pieces: rows of name backup, whose data end to end in the order of part is the file that
/// memory_backup would write, then one of name manifest.
///
/// chunk_size is the length of a piece in bytes, 1024 to 16777216. The pieces wait in the server's temporary files until they are fetched,
/// so a client that wants little memory reads them by a cursor. The other arguments are those of memory_backup. Recorded as event backup.
/// For admins of the project, or of all. Errors: 22023, 42501, 55000, 53100.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_backup_stream(
    key_file: default!(Option<&str>, "NULL"),
    passphrase: default!(Option<&str>, "NULL"),
    include_sensitive: default!(Option<bool>, "false"),
    confirm_sensitive: default!(Option<bool>, "false"),
    chunk_size: default!(Option<i32>, "1048576"),
    verbose: default!(Option<bool>, "false"),
    project_id: default!(Option<&str>, "NULL"),
    call_info: pg_sys::FunctionCallInfo,
) -> SqlResult<PartSet> {
    measured(Operation::BackupStream, || {
        let given = Given {
            key_file,
            passphrase,
            prefix: "",
        };
        let wish = Wish {
            project: project_id,
            include_sensitive: include_sensitive.unwrap_or(false),
            confirm_sensitive: confirm_sensitive.unwrap_or(false),
            verbose: verbose.unwrap_or(false),
        };
        let work = || {
            let size = chunk_size.unwrap_or(1024 * 1024);
            if !CHUNK.contains(&size) {
                return Err(Error::argument(format!(
                    "chunk_size is {size}, expected a number from {} to {}",
                    CHUNK.start(),
                    CHUNK.end()
                )));
            }
            let caller = system::current_role();
            let call = write::begin(&wish)?;
            let secret = given.secret(caller)?;
            const SHOWN: &str = "to the client";
            let parts = Parts::new(PartSet::of(call_info), size.unsigned_abs() as usize);
            let (parts, written) = write::write(&call, &wish, &secret, parts, SHOWN)?;
            let manifest = write::manifest_json(&written, SHOWN)?;
            write::record(&call, &written, None);
            parts
                .finish(&manifest)
                .map_err(|error| files::failure("write backup", SHOWN, &error))
        };
        Ok(secretly(passphrase.is_some(), work)?)
    })
}
