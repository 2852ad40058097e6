//! Encrypted backups.

mod files;
mod restore;
mod stream;
