//! What every test file shares: temporary clusters, databases in them, and assertions about errors.
//!
//! The environment says which server is tested:
//! - `PG_CONFIG`: pg_config of a server that the extension is installed in (`make install`);
//! - `MEMORY_EXT_TEST_USER`: who runs it when the tests run as root (else `memory_ext`, or `postgres`);
//! - `MEMORY_EXT_TEST_DIR`: where clusters are made (else `/tmp`).

// Every test file is a crate of its own and uses its own part of this.
#![allow(dead_code, unused_imports)]

pub mod ace;
pub mod agents;
pub mod backup;
pub mod calls;
pub mod cases;
pub mod catalog;
mod cluster;
mod database;
pub mod ended;
pub mod exposition;
pub mod integrity;
pub mod markdown;
mod random;
mod refusal;
pub mod release;
mod rows;
pub mod safety;
mod server;
mod shared;
pub mod transfer;
pub mod votes;
mod wait;

pub use cluster::{Cluster, Options};
pub use database::{Database, Sql, row, store_hash, store_tables};
pub use random::Random;
pub use refusal::Refusal;
pub use rows::Rows;
pub use server::{Server, run};
pub use shared::{cluster, database, granted, role, store};
pub use wait::{Raised, together, wait_until};
