//! Looking after the store: checking it, mending it, and reporting both.

mod integrity;
mod rebuild;
mod runs;
