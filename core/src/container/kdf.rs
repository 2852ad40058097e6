//! From a secret to the key that wraps the data key.

use std::{fmt, io};

use argon2::{Algorithm, Argon2, Block, Params, Version};
use zeroize::{Zeroize, Zeroizing};

use super::error::ContainerError;
use super::secret::{KEY_LEN, Secret, SecretKind};

/// The work of Argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argon2Cost {
    /// Memory in KiB.
    pub m_cost: u32,
    /// Passes over it.
    pub t_cost: u32,
    /// Lanes.
    pub p_cost: u32,
}

impl Argon2Cost {
    /// The most that a reader agrees to: 256 MiB and a few seconds.
    pub const MAX: Self = Self {
        m_cost: 262_144,
        t_cost: 16,
        p_cost: 4,
    };

    fn is_within_max(self) -> bool {
        self.m_cost <= Self::MAX.m_cost
            && self.t_cost <= Self::MAX.t_cost
            && self.p_cost <= Self::MAX.p_cost
    }
}

impl Default for Argon2Cost {
    /// 19 MiB, 2 passes, 1 lane: the minimum configuration of Argon2id in the OWASP Password Storage
    /// Cheat Sheet.
    fn default() -> Self {
        Self {
            m_cost: 19_456,
            t_cost: 2,
            p_cost: 1,
        }
    }
}

impl fmt::Display for Argon2Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "m_cost {} KiB, t_cost {}, p_cost {}",
            self.m_cost, self.t_cost, self.p_cost
        )
    }
}

/// How a secret becomes the input key of an envelope.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kdf {
    /// For passphrases.
    Argon2id(Argon2Cost),
    /// For keys, which have nothing to be stretched.
    Raw,
}

impl Kdf {
    pub fn name(self) -> &'static str {
        match self {
            Self::Argon2id(_) => "argon2id",
            Self::Raw => "raw",
        }
    }

    /// The kind of secret that it takes.
    pub fn secret_kind(self) -> SecretKind {
        match self {
            Self::Argon2id(_) => SecretKind::Passphrase,
            Self::Raw => SecretKind::Key,
        }
    }

    /// Refuses hostile costs before anything is spent on them.
    pub(super) fn input_key(
        self,
        secret: &Secret,
        salt: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_LEN]>, ContainerError> {
        if secret.kind() != self.secret_kind() {
            return Err(ContainerError::SecretKind {
                expected: self.secret_kind(),
            });
        }
        let mut key = Zeroizing::new([0; KEY_LEN]);
        match self {
            Self::Argon2id(cost) => argon2id(secret.bytes(), salt, cost, &mut key)?,
            Self::Raw => {
                *key = secret
                    .bytes()
                    .try_into()
                    .map_err(|_| ContainerError::Damaged)?
            }
        }
        Ok(key)
    }
}

fn argon2id(
    passphrase: &[u8],
    salt: &[u8],
    cost: Argon2Cost,
    key: &mut [u8; KEY_LEN],
) -> Result<(), ContainerError> {
    if !cost.is_within_max() {
        return Err(ContainerError::KdfCost(cost));
    }
    let params = Params::new(cost.m_cost, cost.t_cost, cost.p_cost, Some(KEY_LEN))
        .map_err(|_| ContainerError::Damaged)?;
    let mut memory = Vec::new();
    memory
        .try_reserve_exact(params.block_count())
        .map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    memory.resize(params.block_count(), Block::new());
    let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(passphrase, salt, key, &mut memory);
    memory.iter_mut().for_each(Zeroize::zeroize);
    hashed.map_err(|_| ContainerError::Damaged)
}
