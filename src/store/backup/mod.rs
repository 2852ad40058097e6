//! Encrypted backups of the store, and coming back from them. The container is `memory_core::container`; here is what goes
//! into it, who may make and open one, and how its rows are merged into a store.

pub mod contents;
pub mod failure;
pub mod key;
pub mod log;
pub mod memories;
pub mod merge;
pub mod parts;
pub mod read;
pub mod restore;
pub mod rights;
pub mod rotate;
pub mod stage;
pub mod votes;
pub mod write;

use crate::pg::owner::SettingScope;

/// What the manifest's name has behind the backup's.
pub const MANIFEST: &str = ".manifest.json";

/// As long as this lives, values are written and read as text in one way, whatever the session's settings: without loss, and
/// the same in every session.
fn plain_text() -> SettingScope {
    let settings = SettingScope::open();
    for (name, value) in [
        (c"DateStyle", "ISO, YMD"),
        (c"IntervalStyle", "postgres"),
        (c"TimeZone", "UTC"),
        (c"extra_float_digits", "1"),
        (c"bytea_output", "hex"),
        // Rows in the order in which they lie, from the first.
        (c"synchronize_seqscans", "off"),
        (c"max_parallel_workers_per_gather", "0"),
        (c"jit", "off"),
    ] {
        settings.set(name, value);
    }
    settings
}
