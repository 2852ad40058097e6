//! Floor 1: what PostgreSQL needs. All `unsafe` code of the extension is here.

pub mod actor;
pub mod copy;
pub mod error;
pub mod files;
pub mod guc;
pub mod hnsw;
pub mod identity;
pub mod json;
pub mod lockers;
pub mod owner;
pub mod planner;
pub mod redact;
pub mod set;
pub mod snapshot;
pub mod spi;
pub mod subtransaction;
pub mod system;
pub mod times;
pub mod trigger;
pub mod tsvector;
pub mod vector;
pub mod worker;
