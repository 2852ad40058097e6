//! Runs, sessions, features, handing over, timelines.

mod features;
mod handoff;
mod runs;
mod sessions;
mod timelines;
