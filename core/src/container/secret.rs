//! What opens a backup: a passphrase or a key, in memory and in files.

use std::fmt;

use base64ct::{Base64, Encoding};
use zeroize::Zeroizing;

/// Bytes of a key.
pub(super) const KEY_LEN: usize = 32;
/// What a key file starts with that holds a passphrase.
const PASSPHRASE_PREFIX: &[u8] = b"passphrase:";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretKind {
    Passphrase,
    Key,
}

impl SecretKind {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Passphrase => Self::Key,
            Self::Key => Self::Passphrase,
        }
    }
}

impl fmt::Display for SecretKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Passphrase => "a passphrase",
            Self::Key => "a key of 32 bytes",
        })
    }
}

/// A passphrase or a key of 32 bytes. Wiped from memory on drop; not shown by `Debug`.
pub struct Secret {
    kind: SecretKind,
    bytes: Zeroizing<Vec<u8>>,
}

impl Secret {
    /// A passphrase, taken byte for byte: no trimming, no Unicode normalisation. An empty one is
    /// refused.
    pub fn passphrase(passphrase: &str) -> Result<Self, SecretError> {
        Self::from_passphrase_bytes(passphrase.as_bytes())
    }

    /// A key of 32 bytes, which should come from a random generator: it is not stretched.
    pub fn key(key: &[u8]) -> Result<Self, SecretError> {
        if key.len() != KEY_LEN {
            return Err(SecretError::KeyLength { got: key.len() });
        }
        Ok(Self {
            kind: SecretKind::Key,
            bytes: Zeroizing::new(key.to_vec()),
        })
    }

    /// Reads a key file. It holds one of
    ///
    /// - `passphrase:` and the passphrase, all of the rest of the file's only line but blanks in front of it
    /// - a key as 64 hexadecimal digits, or as base64 (44 characters, RFC 4648 section 4)
    /// - a key as 32 raw bytes, which must not all be printable ASCII: that would be somebody's
    ///   passphrase, which must not be used without a KDF
    ///
    /// Texts may end with a line feed or with carriage return and line feed.
    pub fn from_key_file(content: &[u8]) -> Result<Self, SecretError> {
        if let Some(rest) = content.strip_prefix(PASSPHRASE_PREFIX) {
            let blanks = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t'));
            let (_, passphrase) = rest.split_at(blanks.count());
            return Self::from_passphrase_file(passphrase);
        }
        if content.len() == KEY_LEN {
            return match content.iter().all(|byte| matches!(byte, b' '..=b'~')) {
                true => Err(SecretError::KeyFile),
                false => Self::key(content),
            };
        }
        let text = without_line_end(content);
        let mut key = Zeroizing::new([0; KEY_LEN]);
        let decoded = match text.len() {
            64 => base16ct::mixed::decode(text, key.as_mut()).is_ok(),
            44 => Base64::decode(text, key.as_mut()).is_ok_and(|key| key.len() == KEY_LEN),
            _ => false,
        };
        match decoded {
            true => Self::key(key.as_ref()),
            false => Err(SecretError::KeyFile),
        }
    }

    /// Reads a file whose only line is a passphrase.
    pub fn from_passphrase_file(content: &[u8]) -> Result<Self, SecretError> {
        let line = without_line_end(content);
        if line.contains(&b'\n') {
            return Err(SecretError::SecondLine);
        }
        Self::from_passphrase_bytes(line)
    }

    fn from_passphrase_bytes(passphrase: &[u8]) -> Result<Self, SecretError> {
        match std::str::from_utf8(passphrase) {
            Err(_) => Err(SecretError::NotUtf8),
            Ok("") => Err(SecretError::EmptyPassphrase),
            Ok(_) => Ok(Self {
                kind: SecretKind::Passphrase,
                bytes: Zeroizing::new(passphrase.to_vec()),
            }),
        }
    }

    pub fn kind(&self) -> SecretKind {
        self.kind
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

fn without_line_end(text: &[u8]) -> &[u8] {
    match text.strip_suffix(b"\n") {
        Some(line) => line.strip_suffix(b"\r").unwrap_or(line),
        None => text,
    }
}

/// Why something is not a secret. The message is lower case, without a full stop, and holds nothing
/// of the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecretError {
    EmptyPassphrase,
    KeyLength { got: usize },
    KeyFile,
    SecondLine,
    NotUtf8,
}

impl fmt::Display for SecretError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptyPassphrase => write!(f, "the passphrase is empty"),
            Self::KeyLength { got } => {
                write!(f, "the key has {got} bytes, expected {KEY_LEN}")
            }
            Self::KeyFile => write!(
                f,
                "not a key file, expected {KEY_LEN} random bytes (raw, as 64 hexadecimal digits or \
                 as base64), or passphrase: and a passphrase"
            ),
            Self::SecondLine => {
                write!(f, "the passphrase has a second line, expected a single one")
            }
            Self::NotUtf8 => write!(f, "the passphrase is not UTF-8"),
        }
    }
}

impl std::error::Error for SecretError {}
