//! What the container says, as errors of SQL.

use memory_core::container::{ContainerError, SecretError, SecretKind};
use pgrx::PgSqlErrorCode;

use crate::pg::error::Error;
use crate::pg::files;

/// The one error for a wrong key and for any damage.
pub fn damaged() -> Error {
    of(ContainerError::Damaged, "")
}

/// Whatever it was: what to try next tells nothing of the key or of the place.
const WHAT_TO_CHECK: &str = "Check that the key is the one that the backup was made with, or was last put under (key_file, passphrase, or memory_ext.backup_key_file), that the whole file was copied, and that a manifest beside it is its own; else take another copy of the backup.";

const WHAT_IT_IS: &str = "Name the file that memory_backup() or memory-backup wrote, and not its manifest or a part of it.";

/// `shown` names the backup, for what can be said of it without a key.
pub fn of(error: ContainerError, shown: &str) -> Error {
    let message = error.to_string();
    match error {
        ContainerError::Damaged => Error::damaged(message).hint(WHAT_TO_CHECK),
        ContainerError::Empty | ContainerError::NotABackup | ContainerError::Truncated { .. } => {
            Error::damaged(format!("{shown:?} {message}")).hint(WHAT_IT_IS)
        }
        ContainerError::UnsupportedVersion { .. } => {
            Error::state(format!("backup {shown:?} {message}"))
                .hint("Install the version of memory_ext that it was made with, or a later one.")
        }
        ContainerError::KdfCost(_) | ContainerError::LineTooLong { .. } => {
            Error::limit(format!("backup {shown:?} {message}"))
        }
        ContainerError::SecretKind { expected } => {
            Error::argument(format!("backup {shown:?} {message}")).hint(match expected {
                SecretKind::Key => {
                    "Name its key_file; left out, it is that of memory_ext.backup_key_file."
                }
                SecretKind::Passphrase => {
                    "Give passphrase, or name a key_file that holds passphrase: and the passphrase."
                }
            })
        }
        ContainerError::Io(error) => files::failure("read or write backup", shown, &error),
        ContainerError::Header(_) => Error::limit(format!("backup {shown:?}: {message}")),
        ContainerError::Order(_) => Error::coded(
            PgSqlErrorCode::ERRCODE_INTERNAL_ERROR,
            format!("backup {shown:?}: {message}"),
        ),
    }
}

/// `what` says where the secret came from.
pub fn of_secret(error: SecretError, what: &str) -> Error {
    Error::argument(format!("{what}: {error}")).hint(super::key::HOW_TO)
}
