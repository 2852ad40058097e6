//! What the container says, as errors of SQL.

use memory_core::container::{ContainerError, SecretError};
use pgrx::PgSqlErrorCode;

use crate::pg::error::Error;
use crate::pg::files;

/// The one error for a wrong key and for any damage.
pub fn damaged() -> Error {
    of(ContainerError::Damaged, "")
}

/// `shown` names the backup, for what can be said of it without a key.
pub fn of(error: ContainerError, shown: &str) -> Error {
    let message = error.to_string();
    match error {
        ContainerError::Damaged => Error::damaged(message),
        ContainerError::Empty | ContainerError::NotABackup | ContainerError::Truncated { .. } => {
            Error::damaged(format!("{shown:?} {message}"))
        }
        ContainerError::UnsupportedVersion { .. } => {
            Error::state(format!("backup {shown:?} {message}"))
                .hint("Install the version of memory_ext that it was made with, or a later one.")
        }
        ContainerError::KdfCost(_) | ContainerError::LineTooLong { .. } => {
            Error::limit(format!("backup {shown:?} {message}"))
        }
        ContainerError::SecretKind { .. } => Error::argument(format!("backup {shown:?} {message}")),
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
