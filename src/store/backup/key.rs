//! What opens a backup: a key file or a passphrase of the call, else the key file of the server.

use memory_core::container::{Secret, WrapRandomness};
use pgrx::pg_sys;

use super::failure;
use crate::pg::error::{Error, Result};
use crate::pg::files::{self, Use};
use crate::pg::{guc, system};

pub const HOW_TO: &str = "Make a key file with: openssl rand -hex 32 > FILE, readable by the server's user only, and keep a copy elsewhere: without it no backup opens. A superuser can set memory_ext.backup_key_file to it.";

/// A key file is a line; a longer one is refused by whoever reads it.
const MAX_BYTES: u64 = 4096;

/// What the caller gave, by the names of the arguments.
pub struct Given<'a> {
    pub key_file: Option<&'a str>,
    pub passphrase: Option<&'a str>,
    /// In front of the arguments' names.
    pub prefix: &'static str,
}

impl Given<'_> {
    pub fn is_nothing(&self) -> bool {
        self.key_file.is_none() && self.passphrase.is_none()
    }

    /// The secret; `caller` must be allowed to name the file.
    pub fn secret(&self, caller: pg_sys::Oid) -> Result<Secret> {
        let prefix = self.prefix;
        match (self.key_file, self.passphrase) {
            (Some(_), Some(_)) => Err(Error::argument(format!(
                "both {prefix}key_file and {prefix}passphrase are given, expected one"
            ))
            .hint("Leave out the one that it is not; without either it is the key of memory_ext.backup_key_file.")),
            (Some(path), None) => {
                let place = files::locate(path, caller, Use::Read)?;
                if files::is_open_to_all(&place.path()) {
                    warn(path);
                }
                let content = files::read(&place, MAX_BYTES)?;
                of_file(content, &format!("{prefix}key_file {path:?}"))
            }
            (None, Some(passphrase)) => Secret::passphrase(passphrase)
                .map_err(|error| failure::of_secret(error, &format!("{prefix}passphrase"))),
            (None, None) => configured(),
        }
    }
}

fn configured() -> Result<Secret> {
    const SETTING: &str = "memory_ext.backup_key_file";
    let Some(path) = guc::backup_key_file() else {
        return Err(Error::argument(format!(
            "no key: key_file, passphrase and {SETTING} are empty"
        ))
        .hint(HOW_TO));
    };
    // The setting's value is the superuser's business: no message shows the path.
    let content = files::read_configured(SETTING, &path, MAX_BYTES)?;
    if files::is_open_to_all(std::path::Path::new(&path)) {
        warn(SETTING);
    }
    of_file(content, SETTING)
}

fn of_file(mut content: Vec<u8>, what: &str) -> Result<Secret> {
    let secret = Secret::from_key_file(&content);
    content.fill(0);
    std::hint::black_box(&content);
    secret.map_err(|error| failure::of_secret(error, what))
}

fn warn(file: &str) {
    system::warning(&format!(
        "key file {file:?} can be read by every user of the server's machine"
    ));
}

/// Fresh random bytes for wrapping a key.
pub fn wrap_randomness() -> WrapRandomness {
    system::random::<28>().into()
}
