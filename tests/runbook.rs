//! Operations, as an operator does them: every block of the runbooks in docs/, the command lines of the guides that they come
//! from, and the scripts of docker/scripts, against a live server, with a look at what each of them has done.
//!
//! The tests of a runbook carry the names of its sections.

mod support;

mod runbook {
    pub mod desk;
    pub mod section;
    pub mod store;
    pub mod yaml;

    mod aegis_guide;
    mod backup;
    mod backup_script;
    mod documents;
    mod encrypted;
    mod exchange;
    mod guides;
    mod maintenance;
    mod operations;
    mod restore_drill;
}
