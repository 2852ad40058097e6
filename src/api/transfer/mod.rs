//! Memories out of the store and into it.

mod export;
mod import;
