use std::{fmt, io};

use super::FORMAT_VERSION;
use super::envelope::ENVELOPE_LEN;
use super::kdf::Argon2Cost;
use super::secret::SecretKind;

/// Why a backup was not written or not read. The message is lower case, without a full stop, and
/// holds nothing of a key, a passphrase or a row.
#[derive(Debug)]
pub enum ContainerError {
    /// Reading or writing failed, or there was no memory for the KDF.
    Io(io::Error),
    /// The input has no bytes.
    Empty,
    /// The input does not start as a backup does.
    NotABackup,
    /// The input ends inside the key envelope.
    Truncated {
        bytes: usize,
    },
    UnsupportedVersion {
        found: u16,
    },
    /// The envelope asks for more work than [`Argon2Cost::MAX`].
    KdfCost(Argon2Cost),
    /// The backup wants the other kind of secret.
    SecretKind {
        expected: SecretKind,
    },
    /// A wrong key, or something in the backup is not what was written. One text for all of it, so
    /// that nothing can be learned by editing a backup.
    Damaged,
    /// The writer was given a header that it cannot write.
    Header(String),
    /// The writer was called out of order.
    Order(String),
    /// A line, or what was given of it, is longer than the format can hold.
    LineTooLong {
        limit: usize,
    },
}

impl fmt::Display for ContainerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => write!(f, "{error}"),
            Self::Empty => write!(f, "is empty, expected a backup"),
            Self::NotABackup => write!(f, "is not a backup of memory_ext"),
            Self::Truncated { bytes } => write!(
                f,
                "ends after {bytes} bytes, inside the key envelope of {ENVELOPE_LEN}"
            ),
            Self::UnsupportedVersion { found } => write!(
                f,
                "has format version {found}, supported is {FORMAT_VERSION}"
            ),
            Self::KdfCost(cost) => write!(
                f,
                "asks for {cost} to derive its key, over the limit of {}",
                Argon2Cost::MAX
            ),
            Self::SecretKind { expected } => {
                write!(f, "needs {expected}, got {}", expected.other())
            }
            Self::Damaged => write!(f, "wrong key or damaged backup"),
            Self::Header(problem) | Self::Order(problem) => write!(f, "{problem}"),
            Self::LineTooLong { limit } => {
                write!(f, "has a line over the limit of {limit} bytes")
            }
        }
    }
}

impl std::error::Error for ContainerError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            _ => None,
        }
    }
}

impl From<io::Error> for ContainerError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}
