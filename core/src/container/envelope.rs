//! The key envelope: the data key, wrapped by a secret.

use std::fmt;
use std::io::Read;

use aes_gcm::AeadInOut;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::chunk::fill;
use super::error::ContainerError;
use super::kdf::{Argon2Cost, Kdf};
use super::keys::{DataKey, Key, NONCE_LEN, Purpose, TAG_LEN, cipher, derive};
use super::secret::{KEY_LEN, Secret, SecretKind};
use super::{FORMAT_VERSION, MAGIC};

/// Bytes of the envelope, which is the start of the file.
pub const ENVELOPE_LEN: usize = 1024;
const SALT_LEN: usize = 16;
const WRAPPED_LEN: usize = KEY_LEN + TAG_LEN;
const VERSION_END: usize = MAGIC.len() + 2;
const JSON_START: usize = VERSION_END + 2;

/// The random bytes of wrapping a data key once. They need a cryptographic generator, and must never
/// be used again.
#[derive(Clone)]
pub struct WrapRandomness {
    pub salt: [u8; SALT_LEN],
    pub nonce: [u8; NONCE_LEN],
}

impl From<[u8; SALT_LEN + NONCE_LEN]> for WrapRandomness {
    fn from(bytes: [u8; SALT_LEN + NONCE_LEN]) -> Self {
        let (mut salt, mut nonce) = ([0; SALT_LEN], [0; NONCE_LEN]);
        salt.copy_from_slice(&bytes[..SALT_LEN]);
        nonce.copy_from_slice(&bytes[SALT_LEN..]);
        Self { salt, nonce }
    }
}

/// The random bytes of one backup. They need a cryptographic generator, and must never be used
/// again: two backups with the same data key would give each other away.
pub struct Randomness {
    pub data_key: Zeroizing<[u8; KEY_LEN]>,
    pub wrap: WrapRandomness,
}

impl Randomness {
    /// How many random bytes a backup needs.
    pub const LEN: usize = KEY_LEN + SALT_LEN + NONCE_LEN;
}

impl From<[u8; Self::LEN]> for Randomness {
    fn from(bytes: [u8; Self::LEN]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let (mut data_key, mut wrap) = (Zeroizing::new([0; KEY_LEN]), [0; SALT_LEN + NONCE_LEN]);
        data_key.copy_from_slice(&bytes[..KEY_LEN]);
        wrap.copy_from_slice(&bytes[KEY_LEN..]);
        Self {
            data_key,
            wrap: wrap.into(),
        }
    }
}

impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Randomness(..)")
    }
}

impl fmt::Debug for WrapRandomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrapRandomness(..)")
    }
}

#[derive(Clone, PartialEq)]
pub(super) struct Envelope {
    pub(super) kdf: Kdf,
    salt: [u8; SALT_LEN],
    commitment: [u8; KEY_LEN],
    nonce: [u8; NONCE_LEN],
    wrapped_key: [u8; WRAPPED_LEN],
}

/// The envelope as it is written. Optional members instead of a tagged enum: serde's tags and
/// serde_json's arbitrary_precision do not go together.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Json {
    kdf: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    m_cost: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    t_cost: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    p_cost: Option<u32>,
    salt: String,
    commitment: String,
    nonce: String,
    wrapped_key: String,
}

impl Envelope {
    /// Wraps a data key; `cost` is for passphrases.
    pub(super) fn seal(
        data_key: &DataKey,
        secret: &Secret,
        cost: Argon2Cost,
        randomness: &WrapRandomness,
    ) -> Result<Self, ContainerError> {
        let kdf = match secret.kind() {
            SecretKind::Passphrase => Kdf::Argon2id(cost),
            SecretKind::Key => Kdf::Raw,
        };
        let WrapRandomness { salt, nonce } = *randomness;
        let input_key = kdf.input_key(secret, &salt)?;
        let mut key = Zeroizing::new(*data_key.0);
        let tag = cipher(&derive(&salt, input_key.as_ref(), Purpose::KeyEncryption)?)
            .encrypt_inout_detached(
                (&nonce).into(),
                &associated_data(kdf, &salt),
                key.as_mut_slice().into(),
            )
            .map_err(|_| ContainerError::Damaged)?;
        let mut wrapped_key = [0; WRAPPED_LEN];
        wrapped_key[..KEY_LEN].copy_from_slice(key.as_ref());
        wrapped_key[KEY_LEN..].copy_from_slice(&tag);
        Ok(Self {
            kdf,
            salt,
            commitment: *derive(&salt, input_key.as_ref(), Purpose::KeyCommitment)?,
            nonce,
            wrapped_key,
        })
    }

    pub(super) fn open(&self, secret: &Secret) -> Result<DataKey, ContainerError> {
        let input_key = self.kdf.input_key(secret, &self.salt)?;
        // Compared in whatever time it takes: a commitment is public, it stands in the file.
        if *derive(&self.salt, input_key.as_ref(), Purpose::KeyCommitment)? != self.commitment {
            return Err(ContainerError::Damaged);
        }
        let (wrapped, tag) = self.wrapped_key.split_at(KEY_LEN);
        let mut key: Key = Zeroizing::new([0; KEY_LEN]);
        key.copy_from_slice(wrapped);
        cipher(&derive(
            &self.salt,
            input_key.as_ref(),
            Purpose::KeyEncryption,
        )?)
        .decrypt_inout_detached(
            (&self.nonce).into(),
            &associated_data(self.kdf, &self.salt),
            key.as_mut_slice().into(),
            tag.try_into().map_err(|_| ContainerError::Damaged)?,
        )
        .map_err(|_| ContainerError::Damaged)?;
        Ok(DataKey(key))
    }

    pub(super) fn encode(&self) -> Result<[u8; ENVELOPE_LEN], ContainerError> {
        let hex = base16ct::lower::encode_string;
        let cost = match self.kdf {
            Kdf::Argon2id(cost) => Some(cost),
            Kdf::Raw => None,
        };
        // At most 345 bytes, so it always fits.
        let json = serde_json::to_vec(&Json {
            kdf: self.kdf.name().to_owned(),
            m_cost: cost.map(|cost| cost.m_cost),
            t_cost: cost.map(|cost| cost.t_cost),
            p_cost: cost.map(|cost| cost.p_cost),
            salt: hex(&self.salt),
            commitment: hex(&self.commitment),
            nonce: hex(&self.nonce),
            wrapped_key: hex(&self.wrapped_key),
        })
        .map_err(std::io::Error::from)?;
        let written = MAGIC
            .iter()
            .copied()
            .chain(FORMAT_VERSION.to_be_bytes())
            .chain((json.len() as u16).to_be_bytes())
            .chain(json);
        let mut bytes = [0; ENVELOPE_LEN];
        for (place, byte) in bytes.iter_mut().zip(written) {
            *place = byte;
        }
        Ok(bytes)
    }

    /// Accepts exactly what [`Self::encode`] gives, so that no byte of an envelope is free.
    pub(super) fn decode(bytes: &[u8; ENVELOPE_LEN]) -> Result<Self, ContainerError> {
        let envelope = Self::parse(bytes).ok_or(ContainerError::Damaged)?;
        if envelope.encode()? != *bytes {
            return Err(ContainerError::Damaged);
        }
        Ok(envelope)
    }

    fn parse(bytes: &[u8; ENVELOPE_LEN]) -> Option<Self> {
        let length = u16::from_be_bytes(bytes[VERSION_END..JSON_START].try_into().ok()?);
        let json = bytes[JSON_START..].get(..length.into())?;
        let json: Json = serde_json::from_slice(json).ok()?;
        let kdf = match (json.kdf.as_str(), json.m_cost, json.t_cost, json.p_cost) {
            ("argon2id", Some(m_cost), Some(t_cost), Some(p_cost)) => Kdf::Argon2id(Argon2Cost {
                m_cost,
                t_cost,
                p_cost,
            }),
            ("raw", None, None, None) => Kdf::Raw,
            _ => return None,
        };
        Some(Self {
            kdf,
            salt: unhex(&json.salt)?,
            commitment: unhex(&json.commitment)?,
            nonce: unhex(&json.nonce)?,
            wrapped_key: unhex(&json.wrapped_key)?,
        })
    }
}

fn unhex<const N: usize>(hex: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let decoded = base16ct::lower::decode(hex, &mut bytes).ok()?.len();
    (decoded == N).then_some(bytes)
}

fn associated_data(kdf: Kdf, salt: &[u8; SALT_LEN]) -> Vec<u8> {
    let (name, cost) = match kdf {
        Kdf::Argon2id(cost) => (kdf.name(), [cost.m_cost, cost.t_cost, cost.p_cost]),
        Kdf::Raw => (kdf.name(), [0; 3]),
    };
    let mut data = Vec::from(MAGIC);
    data.extend(FORMAT_VERSION.to_be_bytes());
    data.push(name.len() as u8);
    data.extend(name.as_bytes());
    data.extend(cost.into_iter().flat_map(u32::to_be_bytes));
    data.extend(salt);
    data
}

/// Reads the envelope's bytes and refuses what is not the start of a backup of this format.
pub(super) fn read(input: &mut impl Read) -> Result<[u8; ENVELOPE_LEN], ContainerError> {
    let mut bytes = [0; ENVELOPE_LEN];
    let length = fill(input, &mut bytes)?;
    check_start(&bytes[..length])?;
    Ok(bytes)
}

fn check_start(bytes: &[u8]) -> Result<(), ContainerError> {
    let magic = &bytes[..bytes.len().min(MAGIC.len())];
    if bytes.is_empty() {
        return Err(ContainerError::Empty);
    }
    if !MAGIC.starts_with(magic) {
        return Err(ContainerError::NotABackup);
    }
    if let Some(&[high, low]) = bytes.get(MAGIC.len()..VERSION_END) {
        let found = u16::from_be_bytes([high, low]);
        if found != FORMAT_VERSION {
            return Err(ContainerError::UnsupportedVersion { found });
        }
    }
    if bytes.len() < ENVELOPE_LEN {
        return Err(ContainerError::Truncated { bytes: bytes.len() });
    }
    Ok(())
}

/// Wraps a backup's data key anew. `envelope` are the first [`ENVELOPE_LEN`] bytes of the backup;
/// the result takes their place, and the rest of the backup stays as it is. Then only `new` opens
/// the backup. Who kept a copy from before, and the old secret, still can read that copy.
pub fn rewrap(
    envelope: &[u8],
    old: &Secret,
    new: &Secret,
    randomness: &WrapRandomness,
) -> Result<[u8; ENVELOPE_LEN], ContainerError> {
    check_start(envelope)?;
    let bytes = envelope.first_chunk().ok_or(ContainerError::Damaged)?;
    let data_key = Envelope::decode(bytes)?.open(old)?;
    Envelope::seal(&data_key, new, Argon2Cost::default(), randomness)?.encode()
}
