//! What a backup holds: the store's tables, in the order in which they come back, and which of their rows.

use memory_core::container::{Column, Section};

use crate::pg::spi::{Arg, Session};
use crate::store::Store;

/// Whose rows a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Extent {
    /// Of projects: a project's backup has the project's.
    Project,
    /// Of the whole store: a project's backup has none.
    Store,
    /// What the store is made with: every backup has it.
    Always,
}

/// How rows come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// They are compared with the store, which was made with them or fits them.
    Models,
    Memories,
    /// A row that differs is replaced; `keys` are the table's unique keys, the primary key first.
    Rows {
        keys: &'static [&'static [&'static str]],
    },
    /// Entries of a log with a number of their own are added if there is none like them. `like` are columns that are never
    /// null and find the entries to compare.
    Log {
        number: &'static str,
        like: &'static [&'static str],
    },
    Grants,
}

#[derive(Debug)]
pub struct Table {
    pub name: &'static str,
    pub extent: Extent,
    pub merge: Merge,
    /// The rows `t` that a backup without sensitive memories has.
    pub open: &'static str,
    /// The audit trail: it is added to, by those who may do all, and never shortened.
    pub is_audit: bool,
}

const ALL: &str = "true";
const OF_OPEN_MEMORY: &str = "NOT EXISTS (SELECT FROM @s@.memories k WHERE k.id = t.memory_id AND k.project_id = t.project_id AND k.is_sensitive)";
const OPEN_VERSION: &str = "NOT t.is_sensitive AND NOT EXISTS (SELECT FROM @s@.memories k WHERE k.id = t.memory_id AND k.project_id = t.project_id AND k.is_sensitive)";

/// Every table that holds something worth keeping. Left out are embedding_cache, which fills again, memory_import_lines, which
/// are on their way, memory_migrations, which tells how the store came to be here, and memory_audit_seals: they vouch for the
/// rows of one store in their places, and whoever has a backup's key could make any.
pub const TABLES: &[Table] = &[
    table("memory_models", Extent::Always, ALL, Merge::Models),
    table(
        "memory_key_aliases",
        Extent::Project,
        ALL,
        Merge::Rows {
            keys: &[&["project_id", "alias"]],
        },
    ),
    table(
        "memories",
        Extent::Project,
        "NOT t.is_sensitive",
        Merge::Memories,
    ),
    table(
        "memory_history",
        Extent::Project,
        OPEN_VERSION,
        Merge::Log {
            number: "history_id",
            like: &["memory_id", "project_id", "version", "valid_to"],
        },
    ),
    table(
        "memory_usage",
        Extent::Project,
        OF_OPEN_MEMORY,
        Merge::Rows {
            keys: &[&["memory_id", "project_id"]],
        },
    ),
    table(
        "vote_history",
        Extent::Project,
        OF_OPEN_MEMORY,
        Merge::Rows {
            keys: &[
                &["id"],
                &["memory_id", "project_id", "voter_agent_id", "task_id"],
            ],
        },
    ),
    table(
        "vote_changes",
        Extent::Project,
        OF_OPEN_MEMORY,
        Merge::Log {
            number: "change_id",
            like: &["memory_id", "project_id", "voter_agent_id", "changed_at"],
        },
    ),
    table(
        "memory_types",
        Extent::Store,
        ALL,
        Merge::Rows {
            keys: &[&["memory_type"]],
        },
    ),
    table(
        "session_progress",
        Extent::Project,
        ALL,
        Merge::Rows {
            keys: &[&["id"], &["project_id", "session_id"]],
        },
    ),
    table(
        "feature_tracker",
        Extent::Project,
        ALL,
        Merge::Rows {
            keys: &[&["id"], &["project_id", "feature_id"]],
        },
    ),
    table(
        "memory_runs",
        Extent::Project,
        ALL,
        Merge::Rows {
            keys: &[&["id"], &["project_id", "run_id"]],
        },
    ),
    audit(
        "memory_events",
        Extent::Project,
        ALL,
        Merge::Log {
            number: "event_id",
            like: &["occurred_at", "event", "project_id"],
        },
    ),
    audit(
        "memory_maintenance_runs",
        Extent::Store,
        ALL,
        Merge::Log {
            number: "run_id",
            like: &["operation", "started_at"],
        },
    ),
    table("memory_grants", Extent::Store, ALL, Merge::Grants),
];

const fn table(name: &'static str, extent: Extent, open: &'static str, merge: Merge) -> Table {
    Table {
        name,
        extent,
        merge,
        open,
        is_audit: false,
    }
}

const fn audit(name: &'static str, extent: Extent, open: &'static str, merge: Merge) -> Table {
    Table {
        is_audit: true,
        ..table(name, extent, open, merge)
    }
}

pub fn of_name(name: &str) -> Option<&'static Table> {
    TABLES.iter().find(|table| table.name == name)
}

/// Whether the rows of a table of this name belong to a project.
pub fn is_of_project(name: &str) -> bool {
    of_name(name).is_some_and(|table| table.extent == Extent::Project)
}

/// The tables of a backup, of a project or of the whole store.
pub fn tables(project: Option<&str>) -> impl Iterator<Item = &'static Table> {
    TABLES
        .iter()
        .filter(move |table| project.is_none() || table.extent != Extent::Store)
}

/// A column that is written and read: not generated.
#[derive(Clone)]
pub struct Stored {
    pub name: String,
    pub quoted: String,
    pub type_name: String,
}

/// The columns of a table that are not generated, in their order.
pub fn columns(session: &Session, store: &Store, table: &str) -> Vec<Stored> {
    let sql = "SELECT a.attname::text, quote_ident(a.attname), format_type(a.atttypid, a.atttypmod)
               FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
               WHERE c.relnamespace = $1 AND c.relname = $2 AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
               ORDER BY a.attnum";
    let args = [Arg::oid(store.identity.schema_oid), table.into()];
    // Not by the calling statement's snapshot: the store may have been made since.
    let rows = session.once_with(sql, &args);
    (0..rows.len())
        .map(|row| Stored {
            name: rows.required(row, 1),
            quoted: rows.required(row, 2),
            type_name: rows.required(row, 3),
        })
        .collect()
}

/// The names of columns, as SQL lists them.
pub fn list(columns: &[Stored], prefix: &str) -> String {
    let names: Vec<String> = columns
        .iter()
        .map(|column| format!("{prefix}{}", column.quoted))
        .collect();
    names.join(", ")
}

pub fn section(table: &Table, columns: &[Stored]) -> Section {
    Section {
        table: table.name.to_owned(),
        columns: columns
            .iter()
            .map(|column| Column {
                name: column.name.clone(),
                type_name: column.type_name.clone(),
            })
            .collect(),
    }
}
