//! Votes, deprecation, deltas, reflections, playbooks, curation.

mod curate;
mod delta;
mod deprecate;
mod playbook;
mod reflect;
mod votes;
