//! What agents learn about their memories: votes, deprecation, reflections, playbooks, curation.

pub mod curate;
pub mod delta;
pub mod deprecate;
pub mod duplicates;
pub mod playbook;
pub mod reflect;
pub mod types;
pub mod votes;
