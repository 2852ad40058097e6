//! Coming back from a backup.

use pgrx::prelude::*;

use super::backup::secretly;
use crate::api::arguments::required;
use crate::pg::error::{Error, SqlResult};
use crate::pg::files::{self, Use};
use crate::pg::json::Jsonb;
use crate::pg::system;
use crate::store::backup::key::Given;
use crate::store::backup::parts::Relation;
use crate::store::backup::read::{FileSource, Source};
use crate::store::backup::restore::{self, Wish};

/// Restores a backup from a file of the server: reads and verifies all of it first, then restores it as a whole or not at all; returns what
/// happened to each table. Without a store it makes the one that fits.
///
/// path, key_file and passphrase are as in memory_backup_verify. What is in the backup becomes as it was then, with versions, times, votes
/// and vectors; what was made since stays (votes too, and the counters count them), unless clean is true: then it goes. A memory that is
/// sensitive by now is left as it is by a backup without sensitive memories, and never removed. A memory made since whose key a backed up
/// one takes back becomes a tombstone; one that is alive keeps its key from one that has expired. Restoring twice gives the same. Nothing is
/// added to the history. Writers wait until the end.
///
/// dry_run changes nothing and counts what would happen. A backup with sensitive memories needs confirm_sensitive. include_grants restores
/// grants too, of roles that exist; for the owner. project_id restores that project only, from a backup of the whole store too; the audit
/// trail comes back for admins of all projects. Recorded as event restore. For admins of the project, or of all.
/// Errors: 22000 wrong key or damaged backup, or no backup; 22023, 42501, 54000, 55000 of another shape or version, 58P01, 58030, 40001.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_restore(
    path: Option<&str>,
    key_file: default!(Option<&str>, "NULL"),
    passphrase: default!(Option<&str>, "NULL"),
    dry_run: default!(Option<bool>, "false"),
    verbose: default!(Option<bool>, "false"),
    confirm_sensitive: default!(Option<bool>, "false"),
    clean: default!(Option<bool>, "false"),
    include_grants: default!(Option<bool>, "false"),
    project_id: default!(Option<&str>, "NULL"),
) -> SqlResult<Jsonb> {
    let given = Given {
        key_file,
        passphrase,
        prefix: "",
    };
    let wish = Wish {
        project: project_id,
        dry_run: dry_run.unwrap_or(false),
        verbose: verbose.unwrap_or(false),
        confirm_sensitive: confirm_sensitive.unwrap_or(false),
        clean: clean.unwrap_or(false),
        include_grants: include_grants.unwrap_or(false),
    };
    restored(&given, &wish, |caller| {
        let place = files::locate(required("path", path)?, caller, Use::Read)?;
        FileSource::open(&place)
    })
}

/// The same from a table of the caller's, for clients that reach no file of the server: parts names a table, temporary or not, with columns
/// part integer, name text and data bytea, filled with the rows of memory_backup_stream, or with a backup file in pieces of any size (name
/// backup, part their order) and its manifest (name manifest; may be left out). It is read with the caller's rights, a row at a time.
///
/// The other arguments and errors are those of memory_restore.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_restore_stream(
    parts: Option<&str>,
    key_file: default!(Option<&str>, "NULL"),
    passphrase: default!(Option<&str>, "NULL"),
    dry_run: default!(Option<bool>, "false"),
    verbose: default!(Option<bool>, "false"),
    confirm_sensitive: default!(Option<bool>, "false"),
    clean: default!(Option<bool>, "false"),
    include_grants: default!(Option<bool>, "false"),
    project_id: default!(Option<&str>, "NULL"),
) -> SqlResult<Jsonb> {
    let given = Given {
        key_file,
        passphrase,
        prefix: "",
    };
    let wish = Wish {
        project: project_id,
        dry_run: dry_run.unwrap_or(false),
        verbose: verbose.unwrap_or(false),
        confirm_sensitive: confirm_sensitive.unwrap_or(false),
        clean: clean.unwrap_or(false),
        include_grants: include_grants.unwrap_or(false),
    };
    // Found before the call's frame pins the search path; that it was not is said to those only who may restore.
    let relation = required("parts", parts).and_then(Relation::find);
    restored(&given, &wish, |_| relation?.read_manifest())
}

fn restored<S: Source>(
    given: &Given<'_>,
    wish: &Wish<'_>,
    open: impl FnOnce(pg_sys::Oid) -> Result<S, Error>,
) -> SqlResult<Jsonb> {
    let work = || {
        let caller = system::current_role();
        let call = restore::begin(wish)?;
        let mut source = open(caller)?;
        let secret = given.secret(caller)?;
        let report = restore::run(call, &mut source, &secret, wish)?;
        Ok(Jsonb::parse(&report.to_string()))
    };
    Ok(secretly(given.passphrase.is_some(), work)?)
}
