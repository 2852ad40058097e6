//! Embedders that need neither a model nor a network.
//!
//! Both are pure functions of the text and the number of dimensions: the same text has the same
//! vector in every session, on every machine and in every version. Changing what either returns
//! makes every stored vector stale, so the tests pin known answers.

pub mod hash;
pub mod md5;
