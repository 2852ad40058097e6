//! What agents are at: runs, sessions, features, and handing over.

pub mod features;
pub mod handoff;
pub mod progress;
pub mod runs;
pub mod sessions;
