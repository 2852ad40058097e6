//! The keys of a container and what they are for.

use aes_gcm::{Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

use super::error::ContainerError;
use super::secret::KEY_LEN;

/// Bytes of a GCM nonce.
pub(super) const NONCE_LEN: usize = 12;
/// Bytes of a GCM tag.
pub(super) const TAG_LEN: usize = 16;

pub(super) type Key = Zeroizing<[u8; KEY_LEN]>;

/// What a key or a commitment is for; each has its own HKDF label.
#[derive(Clone, Copy)]
pub(super) enum Purpose {
    KeyEncryption,
    KeyCommitment,
    Header,
    Chunks,
    Manifest,
}

impl Purpose {
    fn label(self) -> &'static [u8] {
        match self {
            Self::KeyEncryption => b"memory_ext backup 1: key encryption",
            Self::KeyCommitment => b"memory_ext backup 1: key commitment",
            Self::Header => b"memory_ext backup 1: header",
            Self::Chunks => b"memory_ext backup 1: chunks",
            Self::Manifest => b"memory_ext backup 1: manifest",
        }
    }
}

pub(super) fn derive(salt: &[u8], key: &[u8], purpose: Purpose) -> Result<Key, ContainerError> {
    let mut derived = Zeroizing::new([0; KEY_LEN]);
    Hkdf::<Sha256>::new(Some(salt), key)
        .expand(purpose.label(), derived.as_mut())
        .map_err(|_| ContainerError::Damaged)?;
    Ok(derived)
}

pub(super) fn cipher(key: &Key) -> Aes256Gcm {
    Aes256Gcm::new((&**key).into())
}

/// The random key that a backup's body is encrypted under.
pub(super) struct DataKey(pub(super) Key);

impl DataKey {
    pub(super) fn subkey(&self, purpose: Purpose) -> Result<Key, ContainerError> {
        derive(&[], self.0.as_ref(), purpose)
    }
}
