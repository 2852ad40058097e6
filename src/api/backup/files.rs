//! Making backups in files of the server, verifying them, and changing their key.

use pgrx::prelude::*;

use crate::api::arguments::required;
use crate::pg::error::{Error, Result, SqlResult};
use crate::pg::files::{self, Use};
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::pg::owner::keeping_statement_secret;
use crate::pg::system;
use crate::store::backup::key::Given;
use crate::store::backup::read::{self, FileSource};
use crate::store::backup::write::{self, Wish};
use crate::store::backup::{rights, rotate};
use crate::store::open;

/// Writes an encrypted backup of the store, or of one project, to a new file path on the server, and path.manifest.json beside it, which
/// says what it is without a key; returns what was written.
///
/// path is relative to memory_ext.backup_directory or absolute inside it; members of pg_write_server_files may name any. Nothing is
/// overwritten. The key is key_file (32 random bytes: raw, 64 hexadecimal digits or base64; made by openssl rand -hex 32), else
/// passphrase, else memory_ext.backup_key_file. Prefer a file: a passphrase in a statement can end up in logs.
///
/// All rows are of one snapshot, and writers go on. Sensitive memories are left out, with their versions, votes and uses, unless
/// include_sensitive and confirm_sensitive say otherwise. Caches, lines to import and the audit trail's seals are left out. dry_run does
/// everything but write. verbose tells of each table. project_id NULL is the whole store. Recorded as event backup and in the server's log.
/// For admins of the project, or of all.
/// Errors: 22023, 42501, 55000, 58P01 no directory, 58P02 file exists, 53100 disk full, 58030.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_backup(
    path: Option<&str>,
    key_file: default!(Option<&str>, "NULL"),
    passphrase: default!(Option<&str>, "NULL"),
    include_sensitive: default!(Option<bool>, "false"),
    confirm_sensitive: default!(Option<bool>, "false"),
    dry_run: default!(Option<bool>, "false"),
    verbose: default!(Option<bool>, "false"),
    project_id: default!(Option<&str>, "NULL"),
) -> SqlResult<Jsonb> {
    measured(Operation::Backup, || {
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
            let caller = system::current_role();
            let call = write::begin(&wish)?;
            let place = files::locate(required("path", path)?, caller, Use::Create)?;
            let secret = given.secret(caller)?;
            let dry_run = dry_run.unwrap_or(false);
            let report = write::to_file(&call, &wish, &secret, &place, dry_run)?;
            Ok::<_, Error>(Jsonb::parse(&report.to_string()))
        };
        Ok(secretly(passphrase.is_some(), work)?)
    })
}

/// Reads all of a backup in a file of the server, and its manifest if there is one, and returns what the backup is; an error if anything in
/// them is not as it was written. Nothing is changed, and a standby will do.
///
/// path, key_file and passphrase are as in memory_backup; reading outside the backup directory is for members of pg_read_server_files.
/// With project_id another project's backup is refused, and of the whole store's nothing is told but that it is whole. For admins; where there is no store, for whoever may create one.
/// Errors: 22000 wrong key or damaged backup, or no backup; 22023, 42501, 54000, 55000, 58P01, 58030.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_backup_verify(
    path: Option<&str>,
    key_file: default!(Option<&str>, "NULL"),
    passphrase: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> SqlResult<Jsonb> {
    measured(Operation::BackupVerify, || {
        let given = Given {
            key_file,
            passphrase,
            prefix: "",
        };
        let work = || {
            let caller = system::current_role();
            let call = match open::open_if_present()? {
                Some(store) => Some(rights::begin_looking(store, project_id)?),
                None => {
                    rights::refuse_strangers()?;
                    None
                }
            };
            let place = files::locate(required("path", path)?, caller, Use::Read)?;
            let secret = given.secret(caller)?;
            let checked = read::check(&mut FileSource::open(&place)?, &secret)?;
            if let Some(call) = &call {
                rights::refuse_another_projects(call, &checked)?;
            }
            let mut report = checked.report(project_id);
            report["path"] = place.shown().into();
            Ok::<_, Error>(Jsonb::parse(&report.to_string()))
        };
        Ok(secretly(passphrase.is_some(), work)?)
    })
}

/// Puts a backup in a file of the server under another key: only its first kilobyte changes, but a copy is written, verified and put in its
/// place, so that a crash loses nothing. Whoever kept the old file and the old key can still open that.
///
/// The old key is key_file or passphrase, the new one new_key_file or new_passphrase; one side may be left out and then is
/// memory_ext.backup_key_file. Outside the backup directory, for members of pg_read_server_files and pg_write_server_files. Recorded as
/// event rotate. For admins of the project that the backup is of, or of all. Errors: 22000, 22023, 42501, 54000, 55000, 58P01, 53100, 58030.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_backup_rotate(
    path: Option<&str>,
    key_file: default!(Option<&str>, "NULL"),
    passphrase: default!(Option<&str>, "NULL"),
    new_key_file: default!(Option<&str>, "NULL"),
    new_passphrase: default!(Option<&str>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> SqlResult<Jsonb> {
    measured(Operation::BackupRotate, || {
        let old = Given {
            key_file,
            passphrase,
            prefix: "",
        };
        let new = Given {
            key_file: new_key_file,
            passphrase: new_passphrase,
            prefix: "new_",
        };
        let work = || {
            let caller = system::current_role();
            let call = rights::begin(project_id, "change the key of a backup of")?;
            system::refuse_read_only_transaction(c"memory_backup_rotate()");
            if old.is_nothing() && new.is_nothing() {
                return Err(Error::argument(
                    "neither an old key nor a new one is given, and one of them has to be",
                )
                .hint("The one left out is that of memory_ext.backup_key_file."));
            }
            let place = files::locate(required("path", path)?, caller, Use::Replace)?;
            let (old, new) = (old.secret(caller)?, new.secret(caller)?);
            let report = rotate::rotate(&call, &place, &old, &new)?;
            Ok(Jsonb::parse(&report.to_string()))
        };
        let secret = passphrase.is_some() || new_passphrase.is_some();
        Ok(secretly(secret, work)?)
    })
}

/// Runs the work of a call whose statement may have a passphrase in it.
pub(super) fn secretly<T>(secret: bool, work: impl FnOnce() -> Result<T>) -> Result<T> {
    match secret {
        true => keeping_statement_secret(work),
        false => work(),
    }
}
