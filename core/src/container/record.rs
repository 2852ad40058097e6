//! Records: what the plaintext of the chunks is made of.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::chunk::Totals;

pub(super) const SECTION_START: u8 = 1;
pub(super) const ROWS: u8 = 2;
pub(super) const SECTION_END: u8 = 3;
pub(super) const TRAILER: u8 = 4;

/// Type and length.
pub(super) const HEAD_LEN: usize = 5;
/// Rows are written in records of about this many bytes: large enough to cost nothing, small enough
/// that most lie within one chunk.
pub(super) const BLOCK_LEN: usize = 64 * 1024;
/// Most bytes of rows in a record, and of a line. PostgreSQL's buffers hold no more.
pub(super) const MAX_ROWS_LEN: usize = 1024 * 1024 * 1024;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SectionEnd {
    pub(super) rows: u64,
    pub(super) sha256: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Trailer {
    pub(super) counts: Vec<TableCount>,
}

/// How many rows of a table a backup has. Its JSON is part of a manifest, so in alphabetical order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableCount {
    pub rows: u64,
    pub table: String,
}

/// What is known of a backup when all of it was written or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Size of the file.
    pub bytes: u64,
    /// Hex SHA-256 of the file, as `sha256sum` prints it. Rotating the key changes it.
    pub sha256: String,
    /// Hex SHA-256 of all but the key envelope. Rotating the key does not change it.
    pub body_sha256: String,
    /// In the order of the header's sections.
    pub counts: Vec<TableCount>,
}

impl Summary {
    pub(super) fn new(totals: &Totals, counts: Vec<TableCount>) -> Self {
        Self {
            bytes: totals.bytes,
            sha256: base16ct::lower::encode_string(&totals.sha256),
            body_sha256: base16ct::lower::encode_string(&totals.body_sha256),
            counts,
        }
    }
}

/// Counts and hashes the lines of a section.
#[derive(Default)]
pub(super) struct SectionTally {
    rows: u64,
    hash: Sha256,
}

impl SectionTally {
    pub(super) fn add(&mut self, lines: &[u8]) {
        self.rows += count_newlines(lines);
        self.hash.update(lines);
    }

    pub(super) fn end(self) -> SectionEnd {
        SectionEnd {
            rows: self.rows,
            sha256: base16ct::lower::encode_string(&self.hash.finalize()),
        }
    }
}

fn count_newlines(bytes: &[u8]) -> u64 {
    // Pieces of 255, so that a count fits a byte and many are counted at a time.
    let in_piece = |piece: &[u8]| {
        piece
            .iter()
            .fold(0u8, |count, byte| count + u8::from(*byte == b'\n'))
    };
    bytes
        .chunks(255)
        .map(|piece| u64::from(in_piece(piece)))
        .sum()
}
