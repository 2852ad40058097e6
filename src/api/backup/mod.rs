//! Encrypted backups.

mod backup;
mod restore;
mod stream;
