//! Keeping the store in order: vectors and index made anew, orphans removed, recall measured, and a report of it all.

pub mod cleanup;
pub mod progress;
pub mod rebuild;
pub mod recall;
pub mod reembed;
pub mod runs;

use std::rc::Rc;

use super::access::Call;
use super::migrate;
use super::open::{self, Store};
use crate::pg::error::Result;

/// The frame of maintenance: of one project, or, where none is named, of the whole store.
pub fn begin(project_id: Option<&str>, writes: bool, operation: &'static str) -> Result<Call> {
    let store: Rc<Store> = open::open()?;
    store.require(migrate::SAFETY)?;
    Call::begin_care(store, project_id, writes, operation)
}
