//! The encrypted container of a backup, format 1, and the manifest beside it.
//!
//! This comment is the whole definition: it suffices to write another reader. Integers are
//! unsigned and big-endian, `||` joins bytes, `hex` is lower case, JSON is UTF-8. GCM is AES-256-GCM
//! (NIST SP 800-38D) with a nonce of 12 and a tag of 16 bytes, the tag behind the ciphertext. HKDF
//! is HKDF-SHA256 (RFC 5869) with 32 bytes of output.
//!
//! # File
//!
//! | offset | length | part |
//! |---|---|---|
//! | 0 | 1024 | key envelope |
//! | 1024 | | body: header, then chunks up to the end of the file |
//!
//! Rotating a key rewrites the envelope; the body stays what it is.
//!
//! # Key envelope
//!
//! | offset | length | content |
//! |---|---|---|
//! | 0 | 8 | `MEMEXTBK` |
//! | 8 | 2 | format version, 1 |
//! | 10 | 2 | length of the JSON |
//! | 12 | | JSON object, then zero bytes up to 1024 |
//!
//! The JSON has no spaces, these members in this order, and no other form is accepted:
//!
//! | member | value |
//! |---|---|
//! | `kdf` | `"argon2id"`: the secret is a passphrase; `"raw"`: it is a key of 32 bytes |
//! | `m_cost` `t_cost` `p_cost` | with `argon2id` only: memory in KiB, passes, lanes; over 262144, 16, 4 nothing is computed |
//! | `salt` | hex of 16 random bytes |
//! | `commitment` | hex of 32 bytes |
//! | `nonce` | hex of 12 random bytes |
//! | `wrapped_key` | hex of 48 bytes |
//!
//! The input key is Argon2id (RFC 9106, version 0x13, no secret value, no associated data) of the
//! passphrase's UTF-8 bytes and the salt, 32 bytes long; or the 32 bytes of the key. From it come
//!
//! - the key-encryption key: HKDF(salt, input key, `memory_ext backup 1: key encryption`)
//! - the commitment: HKDF(salt, input key, `memory_ext backup 1: key commitment`), which ties the
//!   envelope to one secret (GCM alone lets a ciphertext be built that opens under several)
//!
//! `wrapped_key` is GCM of the data key (32 random bytes, new for every backup) under the
//! key-encryption key and `nonce`, with the associated data `MEMEXTBK` || version (2) || length of
//! the KDF's name (1) || name || m_cost (4) || t_cost (4) || p_cost (4) || salt (16); the costs of
//! `raw` are 0.
//!
//! # Keys of the body
//!
//! Each is HKDF(empty salt, data key, `memory_ext backup 1: ` and `header`, `chunks` or `manifest`).
//!
//! # Header
//!
//! Length of the JSON (4, at most 1 MiB) || JSON ([`Header`]) || tag (16). The tag is that of GCM of
//! nothing under the header key and the nonce zero, which is used this once, with the associated
//! data `MEMEXTBK` || version (2) || length (4) || JSON. The *header hash* is the SHA-256 of these
//! same bytes. The header can be read without a key, and is to be believed only with it.
//!
//! # Chunks
//!
//! Length (4) || ciphertext || tag (16), where the length counts ciphertext and tag. The plaintext
//! of all chunks end to end is the stream of records; each chunk holds `chunk_size` bytes of it and
//! the last one the rest, at least one byte. Chunks are GCM under the chunk key; the nonce is four
//! zero bytes and the chunk's index (8) from 0, so it is never used twice with a data key; the
//! associated data is header hash (32) || index (8) || 1 for the last chunk and 0 for others (1). The
//! last chunk is the one where the file ends. So chunks that are cut off, reordered, repeated or
//! taken from another backup do not open.
//!
//! # Records
//!
//! Type (1) || length (4) || content. A record may span chunks.
//!
//! | type | content |
//! |---|---|
//! | 1 section start | JSON ([`Section`]): the header's next one |
//! | 2 rows | one or more whole lines of PostgreSQL's COPY text format, each ended by a newline |
//! | 3 section end | JSON `{"rows": n, "sha256": "hex of the section's lines, end to end"}` |
//! | 4 trailer | JSON `{"counts": [{"rows": n, "table": name}, ...]}`, all sections in order |
//!
//! The records are: for every section of the header a start, any number of rows, an end; then the
//! trailer, and nothing behind it. JSON is at most 1 MiB, rows are at most 1 GiB, which is what
//! PostgreSQL itself can hold of a line.
//!
//! # Manifest
//!
//! See [`Manifest`].
//!
//! # Errors
//!
//! What is known without a key (no backup, a newer version, an envelope cut short, hostile costs of
//! the KDF, a passphrase where a key belongs) is named. Everything else, be it a wrong key or any
//! damage anywhere, is [`ContainerError::Damaged`], whose text never varies.

mod chunk;
mod envelope;
mod error;
mod header;
mod kdf;
mod keys;
mod manifest;
mod reader;
mod record;
mod secret;
mod writer;

#[cfg(test)]
mod tests;

pub use envelope::{ENVELOPE_LEN, Randomness, WrapRandomness, rewrap};
pub use error::ContainerError;
pub use header::{Cipher, Column, Compression, DEFAULT_CHUNK_SIZE, Header, Section};
pub use kdf::{Argon2Cost, Kdf};
pub use manifest::Manifest;
pub use reader::{Event, Inspection, Reader, Verified, inspect, verify};
pub use record::{Summary, TableCount};
pub use secret::{Secret, SecretError, SecretKind};
pub use writer::{Finished, Writer};

/// The first bytes of every backup.
pub const MAGIC: &[u8; 8] = b"MEMEXTBK";
/// The format version that is written, and the newest that is read.
pub const FORMAT_VERSION: u16 = 1;
