//! Embedding, ids and hashes: the pure functions that SQL and the store's own columns use.

use pgrx::prelude::*;

use super::arguments::required;
use crate::pg::error::{Error, SqlResult as Result};
use crate::pg::measure::{Operation, measured};
use crate::pg::vector::Vector;
use crate::store::{memory, open};

/// The vector that the store's embedder makes of a text. Errors: 22023 NULL, 55000 where callers bring the vectors.
#[pg_extern(stable, parallel_safe)]
fn memory_embed(content: Option<&str>) -> Result<Vector> {
    measured(Operation::Embed, || {
        let content = required("content", content)?;
        memory::check_length("content", content)?;
        let store = open::open()?;
        let vector = store
            .embedder
            .embed(content, store.dimensions)
            .ok_or_else(|| {
                Error::state(format!(
                    "the store's embedder is {:?}: its vectors are made outside the database",
                    store.embedder.name()
                ))
                .hint("Make the vector with the model that the store was filled with.")
            })?;
        Ok(vector)
    })
}

/// A new memory id: a UUID version 7 (RFC 9562) as 32 hex digits, so that ids sort by time.
#[pg_extern(volatile, parallel_safe)]
fn memory_new_id() -> String {
    memory::new_id()
}

/// SHA-256 of a content after normalisation (Unicode NFC, trimmed, runs of white space as one blank).
#[pg_extern(immutable, strict, parallel_safe)]
fn memory_content_hash(content: &str) -> Vec<u8> {
    memory_core::text::content_hash(content).to_vec()
}
