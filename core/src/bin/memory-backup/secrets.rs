//! Where keys and passphrases come from.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use memory_core::container::{Secret, SecretError};
use zeroize::Zeroizing;

use crate::failure::Failure;

/// The environment variable of a passphrase.
pub const PASSPHRASE_VARIABLE: &str = "MEMORY_BACKUP_PASSPHRASE";
/// Most bytes of a key file.
const MAX_LEN: usize = 64 * 1024;

#[derive(Debug, PartialEq, Eq)]
pub enum SecretSource {
    KeyFile(PathBuf),
    PassphraseFile(PathBuf),
    /// [`PASSPHRASE_VARIABLE`].
    Environment,
}

impl SecretSource {
    pub fn load(&self) -> Result<Secret, Failure> {
        match self {
            Self::KeyFile(path) => from_file(path, Secret::from_key_file),
            Self::PassphraseFile(path) => from_file(path, Secret::from_passphrase_file),
            Self::Environment => {
                let value = std::env::var_os(PASSPHRASE_VARIABLE).unwrap_or_default();
                let value = Zeroizing::new(value.into_encoded_bytes());
                std::str::from_utf8(&value)
                    .map_err(|_| SecretError::NotUtf8)
                    .and_then(Secret::passphrase)
                    .map_err(|error| Failure::Usage(format!("{PASSPHRASE_VARIABLE}: {error}")))
            }
        }
    }
}

fn from_file(
    path: &Path,
    parse: fn(&[u8]) -> Result<Secret, SecretError>,
) -> Result<Secret, Failure> {
    // Of one size from the start: growing would leave copies behind.
    let mut content = Zeroizing::new(Vec::with_capacity(MAX_LEN + 1));
    File::open(path)
        .and_then(|file| file.take(MAX_LEN as u64 + 1).read_to_end(&mut content))
        .map_err(|error| Failure::file(path, error))?;
    let secret = match content.len() <= MAX_LEN {
        true => parse(&content),
        false => Err(SecretError::KeyFile),
    };
    secret.map_err(|error| {
        Failure::refused(
            format!("{}: {error}", path.display()),
            "A key file can be made with: openssl rand -hex 32",
        )
    })
}
