//! What a backup says about itself before its rows.

use std::io::Read;

use aes_gcm::AeadInOut;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::chunk::fill;
use super::error::ContainerError;
use super::keys::{DataKey, NONCE_LEN, Purpose, TAG_LEN, cipher};
use super::{FORMAT_VERSION, MAGIC};

/// Plaintext bytes of a chunk, unless a header says otherwise.
pub const DEFAULT_CHUNK_SIZE: u32 = 1024 * 1024;
pub(super) const MIN_CHUNK_SIZE: u32 = 16;
pub(super) const MAX_CHUNK_SIZE: u32 = 16 * 1024 * 1024;
/// Most bytes of a JSON text in a container.
pub(super) const MAX_JSON_LEN: usize = 1024 * 1024;

/// The header of a backup. Texts are carried as they are given; nothing in it is secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub backup_id: String,
    /// RFC 3339.
    pub created_at: String,
    pub extension_version: String,
    pub store_version: String,
    pub server_version: String,
    pub cipher: Cipher,
    /// Plaintext bytes of a chunk, from 16 to 16 MiB.
    pub chunk_size: u32,
    pub compression: Compression,
    pub includes_sensitive: bool,
    /// None: all projects.
    pub project: Option<String>,
    /// The tables in the order in which their rows follow.
    pub sections: Vec<Section>,
}

/// A table of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    pub table: String,
    /// In the order of the fields of a row.
    pub columns: Vec<Column>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    pub name: String,
    /// The type as PostgreSQL's `format_type` prints it.
    #[serde(rename = "type")]
    pub type_name: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cipher {
    #[default]
    #[serde(rename = "AES-256-GCM")]
    Aes256Gcm,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Compression {
    #[default]
    #[serde(rename = "none")]
    None,
}

/// A header and the bytes that stand for it in the body.
pub(super) struct EncodedHeader {
    /// Length and JSON.
    pub(super) bytes: Vec<u8>,
    pub(super) tag: [u8; TAG_LEN],
    /// What ties every chunk to this header.
    pub(super) hash: [u8; 32],
}

impl Header {
    pub(super) fn encode(&self, data_key: &DataKey) -> Result<EncodedHeader, ContainerError> {
        self.check()?;
        let json = serde_json::to_vec(self).map_err(std::io::Error::from)?;
        if json.len() > MAX_JSON_LEN {
            return Err(ContainerError::Header(format!(
                "the header has {} bytes, over the limit of {MAX_JSON_LEN}",
                json.len()
            )));
        }
        let mut bytes = Vec::from((json.len() as u32).to_be_bytes());
        bytes.extend(json);
        let authenticated = authenticated_bytes(&bytes);
        let tag = cipher(&data_key.subkey(Purpose::Header)?)
            .encrypt_inout_detached(
                (&[0; NONCE_LEN]).into(),
                &authenticated,
                (&mut [][..]).into(),
            )
            .map_err(|_| ContainerError::Damaged)?;
        Ok(EncodedHeader {
            bytes,
            tag: tag.into(),
            hash: Sha256::digest(&authenticated).into(),
        })
    }

    fn check(&self) -> Result<(), ContainerError> {
        let problem = |problem| Err(ContainerError::Header(problem));
        if !(MIN_CHUNK_SIZE..=MAX_CHUNK_SIZE).contains(&self.chunk_size) {
            return problem(format!(
                "the chunk size is {}, expected {MIN_CHUNK_SIZE} to {MAX_CHUNK_SIZE}",
                self.chunk_size
            ));
        }
        let mut tables = std::collections::HashSet::new();
        for Section { table, columns } in &self.sections {
            if !tables.insert(table) {
                return problem(format!("the table {table:?} is listed twice"));
            }
            if columns.is_empty() {
                return problem(format!("the table {table:?} has no columns"));
            }
        }
        Ok(())
    }

    /// Parses what [`EncodedHeader::read`] read, without any proof that it is true.
    pub(super) fn parse(encoded: &EncodedHeader) -> Result<Self, ContainerError> {
        let json = encoded.bytes.get(4..).unwrap_or_default();
        let header: Self = serde_json::from_slice(json).map_err(|_| ContainerError::Damaged)?;
        header.check().map_err(|_| ContainerError::Damaged)?;
        Ok(header)
    }
}

impl EncodedHeader {
    pub(super) fn read(input: &mut impl Read) -> Result<Self, ContainerError> {
        let mut length = [0; 4];
        read_exact(input, &mut length)?;
        let json_len = u32::from_be_bytes(length) as usize;
        if json_len > MAX_JSON_LEN {
            return Err(ContainerError::Damaged);
        }
        let mut bytes = Vec::from(length);
        if input
            .by_ref()
            .take(json_len as u64)
            .read_to_end(&mut bytes)?
            != json_len
        {
            return Err(ContainerError::Damaged);
        }
        let mut tag = [0; TAG_LEN];
        read_exact(input, &mut tag)?;
        let hash = Sha256::digest(authenticated_bytes(&bytes)).into();
        Ok(Self { bytes, tag, hash })
    }

    /// Refuses a header that was not written with this data key.
    pub(super) fn authenticate(&self, data_key: &DataKey) -> Result<(), ContainerError> {
        cipher(&data_key.subkey(Purpose::Header)?)
            .decrypt_inout_detached(
                (&[0; NONCE_LEN]).into(),
                &authenticated_bytes(&self.bytes),
                (&mut [][..]).into(),
                (&self.tag).into(),
            )
            .map_err(|_| ContainerError::Damaged)
    }
}

fn read_exact(input: &mut impl Read, bytes: &mut [u8]) -> Result<(), ContainerError> {
    match fill(input, bytes)? == bytes.len() {
        true => Ok(()),
        false => Err(ContainerError::Damaged),
    }
}

fn authenticated_bytes(length_and_json: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::from(MAGIC);
    bytes.extend(FORMAT_VERSION.to_be_bytes());
    bytes.extend(length_and_json);
    bytes
}
