//! Floor 3: the SQL functions. One file per topic; thin: arguments are checked and handed down.

mod access;
mod add;
mod arguments;
mod backup;
mod content_safety;
mod context;
mod embed;
mod erase;
mod history;
mod init;
mod keyed;
mod learning;
mod maintenance;
mod read;
mod rows;
mod seal;
mod search;
mod transfer;
mod triggers;
mod update;
mod usage;
mod work;
mod worker;
