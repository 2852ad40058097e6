//! Backups: what is in them, and that what comes back is what was there.

mod support;

use std::fs;

use memory_core::container::{Manifest, Secret};
use serde_json::{Value, json};
use support::Sql;
use support::backup::{
    SECRET, TABLES, backup, contents, database, decrypt, file, furnish, key, listed, name,
    open_contents, restore, rows, vault,
};

#[test]
fn bk_2_what_comes_back_to_an_empty_database_is_what_was_there() {
    let original = database();
    let mut sql = original.connect();
    furnish(&mut sql);
    let name = name();
    let before = contents(&mut sql);

    let made = backup(&mut sql, &name, ", include_sensitive => true, confirm_sensitive => true");
    assert_eq!(contents(&mut sql), before, "a backup changes nothing");
    let mut other = vault().database().connect();
    let restored = restore(&mut other, &name, ", confirm_sensitive => true");

    assert_eq!(contents(&mut other), before);
    assert_eq!(restored["store_created"], true, "{restored}");
    assert_eq!(restored["backup_id"], made["backup_id"]);
    for table in TABLES {
        assert_eq!(restored["tables"][table]["rows"], made["counts"][table], "{table}");
    }
    assert_eq!(restored["left_out"], json!({"memory_grants": "include_grants is false"}).as_object().map_or(json!({}), |_| json!({})));
    // It lives on: searches, versions, votes, numbers.
    let found: Vec<String> = other.column("SELECT id FROM memory_search('words changed', 1)", &[]);
    assert_eq!(found, ["one"]);
    other.run("SELECT memory_update('one', 'once more'); SELECT memory_vote('one', 'harmful', 'carol'); SELECT memory_delete('one')");
    let versions: Vec<i32> = other.column("SELECT version FROM memory_history('one', agent_id => '*') ORDER BY version", &[]);
    assert_eq!(versions.len(), 4, "{versions:?}");
}
