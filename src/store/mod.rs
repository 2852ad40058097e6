//! Floor 2: all SQL that the extension sends. One file per family of tables or per way of reading them.

pub mod access;
pub mod aliases;
pub mod backup;
pub mod batch;
pub mod conditions;
pub mod content_policy;
pub mod embedder;
pub mod equals;
pub mod erase;
pub mod events;
pub mod explain;
pub mod grants;
pub mod history;
pub mod insert;
pub mod integrity;
pub mod keyed;
pub mod learning;
pub mod maintenance;
pub mod memory;
pub mod migrate;
pub mod open;
pub mod parameters;
pub mod past;
pub mod read;
pub mod resolve;
pub mod rules;
pub mod seal;
pub mod search;
pub mod security;
pub mod transfer;
pub mod update;
pub mod upkeep;
pub mod usage;
pub mod work;

pub use access::{Call, Privilege};
pub use open::Store;
