//! placeholder
pub fn register() {}
