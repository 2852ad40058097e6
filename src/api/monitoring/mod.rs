//! What an operator watches.

mod health;
mod metrics;
mod progress;
