//! What no function writes: values of a memory that cannot be, or that are not where its versions lead to.
//!
//! There is no hash of these columns. A value that could have been written is not found out; which those are says
//! docs/maintenance.md.

use serde_json::Value;

use memory_core::scan;

use super::Inspection;
use super::finding::{Finding, MOST_SAMPLES, Met, Status, memory};
use crate::pg::spi::{Arg, Planning, Rows, Session};

pub const VALUES: &str = "row_values";
pub const VERSIONS: &str = "row_versions";

/// A memory may be dated by another clock than the one that changes it.
const TOLERATED: &str = "1 hour";

/// Names in the columns, and the most bytes of each.
const NAMES: [(&str, usize); 9] = [
    ("id", 255),
    ("project_id", 255),
    ("namespace", 255),
    ("agent_id", 255),
    ("user_id", 255),
    ("session_id", 255),
    ("entity_id", 255),
    ("memory_type", 64),
    ("key", 255),
];

/// What is wrong with a memory `m`, by column. Where a deduplication key is, that tells of scope, agent and deprecation.
fn wrongs() -> Vec<(&'static str, String)> {
    let mut wrongs: Vec<(&str, String)> = NAMES
        .iter()
        .map(|&(name, most)| {
            (
                name,
                format!("octet_length(m.{name}) NOT BETWEEN 1 AND {most}"),
            )
        })
        .collect();
    wrongs.extend(
        [
            ("version", "m.version < 1".to_owned()),
            ("importance", "NOT m.importance BETWEEN 0 AND 1".to_owned()),
            (
                "updated_at",
                format!("m.updated_at < m.created_at - interval '{TOLERATED}'"),
            ),
            (
                "scope",
                "m.dedupe_hash IS NULL AND m.scope <> 'global' AND m.agent_id IS NULL".to_owned(),
            ),
            (
                "shared_with_agents",
                "m.scope <> 'agent-shared' AND m.shared_with_agents <> '{}'".to_owned(),
            ),
            (
                "deprecated_at",
                "m.dedupe_hash IS NULL AND m.is_deprecated <> (m.deprecated_at IS NOT NULL)"
                    .to_owned(),
            ),
            (
                "content_flags",
                "m.content_flags IS NOT NULL AND (m.is_sensitive OR m.content_flags = '{}' OR NOT m.content_flags <@ $2)".to_owned(),
            ),
        ],
    );
    wrongs
}

/// No memory has a value that neither a function nor a trigger lets in.
pub fn values(inspection: &Inspection<'_>, session: &Session) -> Finding {
    let wrongs = wrongs();
    let cases: Vec<String> = wrongs
        .iter()
        .map(|(column, wrong)| format!("WHEN {wrong} THEN '{column}'"))
        .collect();
    let sql = inspection.call.store.sql(&format!(
        "SELECT id, project_id, wrong, count(*) OVER () FROM (
             SELECT m.id, m.project_id, CASE {} END AS wrong FROM @s@.memories m WHERE ($1::text IS NULL OR m.project_id = $1)) looked_at
         WHERE wrong IS NOT NULL LIMIT {MOST_SAMPLES}",
        cases.join(" ")
    ));
    let flags: Vec<Option<String>> = scan::KINDS
        .iter()
        .map(|(category, kind)| Some(format!("{}:{kind}", category.name())))
        .collect();
    let args: [Arg; 2] = [inspection.project(), flags.into()];
    let rows = session.read(&sql, Planning::Custom, &args);
    found(
        VALUES,
        &rows,
        "These columns have values that the functions and triggers do not write: they were changed behind the extension. Compare with a backup.",
    )
}

/// A memory's version follows the last one that its history keeps, and began when that one ended.
///
/// An import brings version and times along; an id that is used again after its row was deleted begins anew.
pub fn versions(inspection: &Inspection<'_>, session: &Session) -> Finding {
    let sql = inspection.call.store.sql(&format!(
        "WITH last AS (
             SELECT DISTINCT ON (memory_id, project_id) memory_id, project_id, version, operation, created_at, valid_to
             FROM @s@.memory_history WHERE ($1::text IS NULL OR project_id = $1)
             ORDER BY memory_id DESC, project_id DESC, history_id DESC)
         SELECT id, project_id, wrong, count(*) OVER () FROM (
             SELECT m.id, m.project_id,
                    CASE WHEN m.created_at <> h.created_at THEN 'created_at'
                         WHEN m.version <> h.version::bigint + 1 THEN 'version'
                         WHEN m.updated_at <> h.valid_to THEN 'updated_at' END AS wrong
             FROM @s@.memories m JOIN last h ON h.memory_id = m.id AND h.project_id = m.project_id
             WHERE h.operation <> 'import' AND NOT (h.operation = 'delete' AND m.version = 1)) looked_at
         WHERE wrong IS NOT NULL LIMIT {MOST_SAMPLES}"
    ));
    let rows = session.read(&sql, Planning::Custom, &[inspection.project()]);
    found(
        VERSIONS,
        &rows,
        "Version and times of these are not those that memory_history() leads to: they, or the history, were changed by hand. Compare with a backup.",
    )
}

fn found(check: &'static str, rows: &Rows<'_>, hint: &str) -> Finding {
    let sample: Vec<Value> = (0..rows.len())
        .map(|row| {
            let mut named = memory(
                &rows.bytes(row, 1).unwrap_or_default(),
                &rows.bytes(row, 2).unwrap_or_default(),
            );
            named["column"] = rows.get::<String>(row, 3).into();
            named
        })
        .collect();
    let count = rows.get(0, 4).unwrap_or(0);
    Finding::of(check, Status::Warning, Met::counted(count, sample), hint)
}
