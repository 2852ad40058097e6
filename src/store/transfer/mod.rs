//! Memories out of the store and into it, as text.

pub mod export;
pub mod import;
pub mod inbox;
pub mod source;

mod batch;
mod decide;
mod existing;
mod reader;
mod refusal;
mod rules;
mod succession;
mod votes;
mod write;
