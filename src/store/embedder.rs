//! Embedders: what turns a text into the store's kind of vector.

use memory_core::embed;

use crate::pg::error::{Error, Result};
use crate::pg::vector::Vector;

/// The embedder of a store's model. A new one is a new variant here, and nothing else changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Embedder {
    /// Hashed words and character n-grams: lexical similarity with no model at all.
    Hash,
    /// The MD5 digest as four numbers, for compatibility with MemoryStages; equal texts are near, nothing else is.
    Md5,
    /// The callers bring the vectors.
    External,
}

impl Embedder {
    pub const NAMES: &'static str = "hash, md5, external";

    pub fn named(name: &str) -> Result<Self> {
        match name {
            "hash" => Ok(Embedder::Hash),
            "md5" => Ok(Embedder::Md5),
            "external" => Ok(Embedder::External),
            _ => Err(Error::argument(format!("unknown embedder {name:?}"))
                .hint(format!("Embedders are: {}.", Self::NAMES))),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Embedder::Hash => "hash",
            Embedder::Md5 => "md5",
            Embedder::External => "external",
        }
    }

    /// The vector of a text, `None` when the caller has to bring it.
    pub fn embed(self, text: &str, dimensions: usize) -> Option<Vector> {
        match self {
            Embedder::Hash => Some(Vector(embed::hash::embed(text, dimensions))),
            Embedder::Md5 => Some(Vector(embed::md5::embed(text, dimensions))),
            Embedder::External => None,
        }
    }
}

/// What of a memory is embedded: a keyed one as `key: value`, so that a search for either finds it.
pub fn embedded_text<'a>(key: Option<&str>, content: &'a str) -> std::borrow::Cow<'a, str> {
    match key {
        Some(key) => format!("{key}: {content}").into(),
        None => content.into(),
    }
}
