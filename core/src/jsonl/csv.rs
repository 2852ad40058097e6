//! A record into a row of RFC 4180.

use super::record::Record;
use super::write::{append, hex, json, texts, write_votes};

/// The columns of a CSV export, in order. Every row has all of them.
///
/// Nothing is left out as a default: an empty field is one without a value, an empty string is
/// `""` (as PostgreSQL's `COPY ... (FORMAT csv)` reads it). `shared_with_agents`, `content_flags`,
/// `metadata` and `votes` are JSON, `embedding` is pgvector's text, points in time are as in a [`Record`].
pub const CSV_COLUMNS: &[&str] = &[
    "id",
    "content",
    "agent_id",
    "namespace",
    "scope",
    "metadata",
    "created_at",
    "updated_at",
    "expires_at",
    "deleted_at",
    "project_id",
    "content_hash",
    "user_id",
    "session_id",
    "entity_id",
    "shared_with_agents",
    "memory_type",
    "key",
    "is_sensitive",
    "content_flags",
    "is_deduplicated",
    "importance",
    "version",
    "is_deprecated",
    "deprecated_at",
    "deprecated_by",
    "superseded_by",
    "bullet_helpful",
    "bullet_harmful",
    "error_pattern",
    "source_trajectory_id",
    "votes",
    "embedding",
    "embedded_hash",
];

/// Appends the row of column names, without its line end (CRLF, says RFC 4180).
pub fn write_csv_header(out: &mut Vec<u8>) {
    out.extend_from_slice(CSV_COLUMNS.join(",").as_bytes());
}

/// Appends a record as one row, without its line end; content with line ends in it is quoted.
///
/// Data is left as it is: a memory that begins with `=` stays one, and a spreadsheet will take it
/// for a formula. Escaping it here would change what a database reads back.
pub fn write_csv_record(record: &Record<'_>, out: &mut Vec<u8>) {
    let mut row = Row {
        out,
        is_begun: false,
    };
    row.text(Some(&record.id));
    row.text(Some(&record.content));
    row.text(record.agent_id.as_deref());
    row.text(Some(&record.namespace));
    row.text(Some(&record.scope));
    row.text(Some(record.metadata.as_str()));
    row.text(record.created_at.as_deref());
    row.text(record.updated_at.as_deref());
    row.text(record.expires_at.as_deref());
    row.text(record.deleted_at.as_deref());
    row.text(record.project_id.as_deref());
    row.text(record.content_hash.map(|hash| hex(&hash)).as_deref());
    row.text(record.user_id.as_deref());
    row.text(record.session_id.as_deref());
    row.text(record.entity_id.as_deref());
    row.text(Some(&texts(&record.shared_with_agents)));
    row.text(Some(&record.memory_type));
    row.text(record.key.as_deref());
    row.flag(record.is_sensitive);
    row.text(Some(&texts(&record.content_flags)));
    row.flag(record.is_deduplicated);
    row.text(Some(&json(&record.importance)));
    row.text(Some(&record.version.to_string()));
    row.flag(record.is_deprecated);
    row.text(record.deprecated_at.as_deref());
    row.text(record.deprecated_by.as_deref());
    row.text(record.superseded_by.as_deref());
    row.text(Some(&record.bullet_helpful.to_string()));
    row.text(Some(&record.bullet_harmful.to_string()));
    row.text(record.error_pattern.as_deref());
    row.text(record.source_trajectory_id.as_deref());
    row.appended(record.votes.as_ref(), |votes, out| write_votes(votes, out));
    row.appended(record.embedding.as_ref(), append);
    row.text(record.embedded_hash.map(|hash| hex(&hash)).as_deref());
}

struct Row<'o> {
    out: &'o mut Vec<u8>,
    is_begun: bool,
}

impl Row<'_> {
    fn text(&mut self, text: Option<&str>) {
        if self.is_begun {
            self.out.push(b',');
        }
        self.is_begun = true;
        let Some(text) = text else {
            return;
        };
        // COPY would take an unquoted \. for the end of the data.
        let quoted = text.is_empty()
            || text == "\\."
            || text.starts_with(' ')
            || text.ends_with(' ')
            || text.contains(['"', ',', '\r', '\n']);
        if !quoted {
            self.out.extend_from_slice(text.as_bytes());
            return;
        }
        self.out.push(b'"');
        for (place, part) in text.split('"').enumerate() {
            if place > 0 {
                self.out.extend_from_slice(b"\"\"");
            }
            self.out.extend_from_slice(part.as_bytes());
        }
        self.out.push(b'"');
    }

    fn flag(&mut self, flag: bool) {
        self.text(Some(if flag { "true" } else { "false" }));
    }

    fn appended<T>(&mut self, value: Option<&T>, append: impl Fn(&T, &mut Vec<u8>)) {
        let text = value.map(|value| {
            let mut text = Vec::new();
            append(value, &mut text);
            String::from_utf8(text).unwrap_or_default()
        });
        self.text(text.as_deref());
    }
}
