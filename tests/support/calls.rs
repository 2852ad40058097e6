//! A call of every function that touches memories, for tests that have to try all of them.

/// Calls of every function that touches memories, by the right they need. `ID` is the id of a memory; `PROJECT` and `AGENT`
/// come last or not at all.
pub const READING: &[&str] = &[
    "SELECT * FROM memory_get('ID'AGENT PROJECT)",
    "SELECT * FROM memory_list(page_size => 9AGENT PROJECT)",
    "SELECT memory_count(namespace => 'default'AGENT PROJECT)",
    "SELECT * FROM memory_history('ID'AGENT PROJECT)",
    "SELECT memory_kv_get('k'AGENT PROJECT)",
    "SELECT * FROM memory_kv_list('k'AGENT PROJECT)",
    "SELECT * FROM memory_search('words'AGENT PROJECT)",
    "SELECT memory_explain('words'AGENT PROJECT)",
    "SELECT memory_context('words'AGENT PROJECT)",
];
pub const WRITING: &[&str] = &[
    "SELECT memory_add('words'AGENT PROJECT)",
    "SELECT memory_update('ID', 'words'AGENT PROJECT)",
    "SELECT memory_delete('ID'AGENT PROJECT)",
    "SELECT memory_restore_version('ID', 1AGENT PROJECT)",
    "SELECT memory_kv_set('k', 'v'AGENT PROJECT)",
    "SELECT memory_kv_delete('k'AGENT PROJECT)",
];
/// The same of what 1.1.0 brought.
pub const READING_1_1: &[&str] = &[
    "SELECT * FROM memory_votes('ID'AGENT PROJECT)",
    "SELECT * FROM memory_playbook('words'AGENT PROJECT)",
    "SELECT * FROM memory_duplicates(page_size => 9AGENT PROJECT)",
    "SELECT * FROM memory_session_get('s'AGENT PROJECT)",
    "SELECT * FROM memory_session_list(page_size => 9AGENT PROJECT)",
    "SELECT * FROM memory_feature_get('f'AGENT PROJECT)",
    "SELECT * FROM memory_feature_list(page_size => 9AGENT PROJECT)",
    "SELECT * FROM memory_run_get('r'AGENT PROJECT)",
    "SELECT * FROM memory_timeline('s'AGENT PROJECT)",
    "SELECT * FROM memory_entity_facts('e'AGENT PROJECT)",
];
pub const WRITING_1_1: &[&str] = &[
    "SELECT memory_deprecate('ID'AGENT PROJECT)",
    "SELECT memory_undeprecate('ID'AGENT PROJECT)",
    "SELECT * FROM memory_delta('[{\"operation\": \"add\", \"content\": \"words\"}]'AGENT PROJECT)",
    "SELECT memory_reflect('words'AGENT PROJECT)",
    "SELECT * FROM memory_consolidate(dry_run => falseAGENT PROJECT)",
    "SELECT * FROM memory_curate(dry_run => falseAGENT PROJECT)",
    "SELECT * FROM memory_session_start('s'AGENT PROJECT)",
    "SELECT * FROM memory_session_update('s', summary => 'words'AGENT PROJECT)",
    "SELECT * FROM memory_feature_create('f', description => 'words'AGENT PROJECT)",
    "SELECT * FROM memory_feature_update('f', passes => trueAGENT PROJECT)",
    "SELECT * FROM memory_run_start('r'AGENT PROJECT)",
    "SELECT * FROM memory_run_complete('r', trueAGENT PROJECT)",
];
/// The same of what 2.0.0 brought.
pub const READING_2_0: &[&str] = &["SELECT * FROM memory_as_of(now()AGENT PROJECT)"];
/// These name agents in their own way.
pub const READING_FOR_OTHERS_1_1: &[&str] = &["SELECT memory_handoff('a', 'b' PROJECT)"];
pub const WRITING_FOR_OTHERS_1_1: &[&str] =
    &["SELECT * FROM memory_vote('ID', 'helpful', 'a' PROJECT)"];
/// These take no agent.
pub const WRITING_FOR_ALL: &[&str] = &[
    "SELECT * FROM memory_add_many('[\"words\"]' PROJECT)",
    "SELECT memory_kv_alias('a', 'k' PROJECT)",
];
/// Counts a use: who may read may do that, or only who may write.
pub const TOUCHING: &[&str] = &["SELECT memory_touch('{ID}'AGENT PROJECT)"];
pub const ADMINISTERING: &[&str] = &[
    "SELECT memory_reveal('ID', 'reason' PROJECT)",
    "SELECT memory_forget(ids => '{ID}', reason => 'reason' PROJECT)",
    "SELECT memory_export('jsonl' PROJECT)",
    "SELECT memory_import('{}' PROJECT)",
    "SELECT memory_import_document('' PROJECT)",
    "SELECT memory_import_inbox('memory_ext' PROJECT)",
    "SELECT memory_grant('postgres', 'NAME')",
    "SELECT memory_revoke('postgres', 'NAME')",
    "SELECT * FROM memory_recall_check(1, 1 PROJECT)",
];
/// The same, of backups; what an admin gets to hear depends on what there is.
pub const BACKING_UP: &[&str] = &[
    "SELECT memory_backup('b' PROJECT)",
    "SELECT memory_backup_verify('b' PROJECT)",
    "SELECT memory_backup_rotate('b', new_passphrase => 'new' PROJECT)",
    "SELECT memory_restore('b' PROJECT)",
    "SELECT * FROM memory_backup_stream(passphrase => 'new' PROJECT)",
    "SELECT memory_restore_stream('parts' PROJECT)",
];
/// About the store as a whole, and not about what is in a memory: whoever watches it, too, and of now whatever a session looks at.
pub const WATCHING: &[&str] = &["SELECT memory_metrics()", "SELECT * FROM memory_stats()"];
pub const OWNING: &[&str] = &[
    "SELECT memory_expire()",
    "SELECT memory_migrate()",
    "SELECT * FROM memory_check_integrity()",
    "SELECT * FROM memory_validate_vectors()",
    "SELECT * FROM memory_cleanup_orphans()",
    "SELECT memory_maintenance()",
    "SELECT * FROM memory_maintenance_history()",
    "SELECT memory_rebuild_index()",
    "SELECT memory_rebuild_script()",
    "SELECT memory_reembed()",
    "SELECT * FROM memory_audit_seal()",
    "SELECT * FROM memory_audit_verify()",
    "SELECT memory_audit_anchor()",
    "SELECT memory_audit_export()",
    "SELECT memory_grant('postgres', '*')",
    "SELECT memory_revoke('postgres', '*')",
];

pub fn call(template: &str, id: &str, agent: Option<&str>, project: &str) -> String {
    template
        .replace("ID", id)
        .replace("NAME", project)
        .replace(
            "AGENT",
            &agent.map_or_else(String::new, |agent| format!(", agent_id => '{agent}'")),
        )
        .replace(" PROJECT", &format!(", project_id => '{project}'"))
}
