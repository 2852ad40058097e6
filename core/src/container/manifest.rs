//! The manifest: a small file beside a backup, for people and for catalogues of backups.

use hmac::{Hmac, KeyInit, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use super::FORMAT_VERSION;
use super::error::ContainerError;
use super::header::{Cipher, Header};
use super::keys::{DataKey, Purpose};
use super::record::{Summary, TableCount};

/// What is worth knowing of a backup without opening it. It holds no key.
///
/// The file is this struct as JSON, pretty-printed with an indentation of two spaces, members in
/// alphabetical order, and a newline at the end; no other form is accepted. `mac` is the hex
/// HMAC-SHA256, under the manifest key of the backup, of the same JSON without `mac` and without any
/// spaces or newlines between tokens. In strings, `"`, `\` and control characters are escaped
/// (`\b \t \n \f \r`, others as `\u` and four lower-case digits), and nothing else.
///
/// Rotating the key may leave `kdf` behind, nothing else: it is the only member that is not compared
/// with the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    pub backup_id: String,
    /// Hex SHA-256 of the backup without its key envelope.
    pub body_sha256: String,
    pub cipher: Cipher,
    pub counts: Vec<TableCount>,
    pub created_at: String,
    /// Always true.
    pub encrypted: bool,
    pub extension_version: String,
    /// The format version of the backup.
    pub format: u16,
    pub includes_sensitive: bool,
    /// The name of the KDF, `argon2id` or `raw`.
    pub kdf: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac: String,
    /// None: all projects.
    pub project: Option<String>,
    pub server_version: String,
    /// Bytes of the backup.
    pub size: u64,
    pub store_version: String,
}

impl Manifest {
    /// Most bytes of a manifest that is read; more than the largest header can lead to.
    pub const MAX_LEN: usize = 8 * 1024 * 1024;

    pub(super) fn new(
        header: &Header,
        kdf: &str,
        summary: &Summary,
        data_key: &DataKey,
    ) -> Result<Self, ContainerError> {
        let mut manifest = Self::unsigned(header, kdf, summary);
        let mac = manifest.compute_mac(data_key)?.finalize().into_bytes();
        manifest.mac = base16ct::lower::encode_string(&mac);
        Ok(manifest)
    }

    fn unsigned(header: &Header, kdf: &str, summary: &Summary) -> Self {
        Self {
            backup_id: header.backup_id.clone(),
            body_sha256: summary.body_sha256.clone(),
            cipher: header.cipher,
            counts: summary.counts.clone(),
            created_at: header.created_at.clone(),
            encrypted: true,
            extension_version: header.extension_version.clone(),
            format: FORMAT_VERSION,
            includes_sensitive: header.includes_sensitive,
            kdf: kdf.to_owned(),
            mac: String::new(),
            project: header.project.clone(),
            server_version: header.server_version.clone(),
            size: summary.bytes,
            store_version: header.store_version.clone(),
        }
    }

    /// Reads a manifest without any proof that it is true, or belongs to a backup.
    pub fn parse_unverified(json: &[u8]) -> Result<Self, ContainerError> {
        let manifest: Self = match json.len() <= Self::MAX_LEN {
            true => serde_json::from_slice(json).map_err(|_| ContainerError::Damaged)?,
            false => return Err(ContainerError::Damaged),
        };
        if manifest.to_json()? != json {
            return Err(ContainerError::Damaged);
        }
        Ok(manifest)
    }

    pub(super) fn authenticate(json: &[u8], data_key: &DataKey) -> Result<Self, ContainerError> {
        let manifest = Self::parse_unverified(json)?;
        let mut mac = [0; 32];
        base16ct::lower::decode(&manifest.mac, &mut mac).map_err(|_| ContainerError::Damaged)?;
        let computed = manifest.compute_mac(data_key)?;
        computed
            .verify_slice(&mac)
            .map_err(|_| ContainerError::Damaged)?;
        Ok(manifest)
    }

    /// Refuses a manifest that says something else than the backup it should belong to.
    pub(super) fn check(&self, header: &Header, summary: &Summary) -> Result<(), ContainerError> {
        let mut expected = Self::unsigned(header, &self.kdf, summary);
        expected.mac.clone_from(&self.mac);
        match expected == *self {
            true => Ok(()),
            false => Err(ContainerError::Damaged),
        }
    }

    /// The content of the file.
    pub fn to_json(&self) -> Result<Vec<u8>, ContainerError> {
        let mut json = serde_json::to_vec_pretty(self).map_err(std::io::Error::from)?;
        json.push(b'\n');
        Ok(json)
    }

    fn compute_mac(&self, data_key: &DataKey) -> Result<Hmac<Sha256>, ContainerError> {
        let unsigned = Self {
            mac: String::new(),
            ..self.clone()
        };
        let canonical = serde_json::to_vec(&unsigned).map_err(std::io::Error::from)?;
        let key = data_key.subkey(Purpose::Manifest)?;
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key.as_ref())
            .map_err(|_| ContainerError::Damaged)?;
        Ok(mac.chain_update(canonical))
    }
}
