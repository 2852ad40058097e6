//! Tamper evidence of the audit trail: batches of rows sealed as Merkle roots, seals chained by a MAC.
//!
//! A batch is all rows of one table in a range of ids. Ranges of a table follow each other without
//! a gap, so that a row can appear nowhere unnoticed; the range of a batch must therefore end below
//! every id that a running transaction may still write. Its seal holds the root of the Merkle tree
//! (RFC 6962) over the rows by ascending id. The seals of both tables are one chain: each holds the MAC of
//! the one before.
//!
//! | who changes | finds out |
//! |---|---|
//! | rows | whoever has the seals |
//! | rows and seals, without the key | whoever has the key |
//! | rows and seals of a chain without a key, or with the key | whoever kept a later [`Anchor`] elsewhere |
//! | the end of the chain, by cutting it off | whoever kept an [`Anchor`] from there |
//!
//! The leaves of a batch may be kept beside its seal ([`Leaf`], 40 bytes a row): then a row that was
//! edited, removed or added is named by its id, not only its batch, and rows that were erased on
//! purpose leave the batch verifiable, see [`verify_batch`]. A kept leaf of an erased row holds nothing of it but a
//! hash: somebody who can guess every column, times to the microsecond, can confirm the guess; the content of a version also
//! needs the batch's [`Blind`], which does not leave the database.

mod batch;
mod chain;
mod encoding;
mod erasure;
mod export;
mod merkle;
mod row;

pub use batch::{Batch, BatchBuilder, BatchError, BatchReport, RowFault, Verdict, verify_batch};
pub use chain::{
    Anchor, AnchorError, ChainFault, ChainVerifier, KeyFileError, Seal, SealKey, Trust,
    verify_chain,
};
pub use erasure::{ERASING_EVENTS, IdRanges, erased_history, to_history_ids};
pub use export::{
    Conclusion, ExportReport, LineFault, MAX_LINE_BYTES, Unknown, event_line, history_line,
    seal_line, verify_export,
};
pub use merkle::{MerkleTree, prove, verify_inclusion};
pub use row::{
    Blind, EventFields, HistoryFields, LEAF_BYTES, Leaf, SeenRow, commitment, leaf_hash,
    leaves_from_bytes, leaves_to_bytes,
};

/// A SHA-256 hash, or a MAC as long.
pub type Hash = [u8; 32];

/// How many faults a report lists; the others are counted.
pub const MAX_LISTED: usize = 1000;

/// The tables whose rows are sealed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Table {
    Events,
    History,
}

impl Table {
    pub const ALL: &'static [Self] = &[Self::Events, Self::History];

    pub fn name(self) -> &'static str {
        match self {
            Self::Events => "events",
            Self::History => "history",
        }
    }

    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|table| table.name() == name)
    }

    /// In hashes.
    fn code(self) -> u8 {
        match self {
            Self::Events => 1,
            Self::History => 2,
        }
    }
}

#[cfg(test)]
mod tests;
