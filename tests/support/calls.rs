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
    "SELECT memory_grant('postgres', 'NAME')",
    "SELECT memory_revoke('postgres', 'NAME')",
];
pub const OWNING: &[&str] = &[
    "SELECT memory_expire()",
    "SELECT memory_migrate()",
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
