//! A record into a line.

use std::borrow::Cow;

use super::parse::HEADER;
use super::record::{Header, Record, Vote};

/// Appends a record as one line of JSON, without its line end.
///
/// The fields of the operations guide come first, the vector last. What has the value of a field
/// that is left out, see [`Record::new`], is left out: but id, namespace, content, scope and
/// metadata are always there. Reading gives the same record, if [`validate`](super::validate)
/// accepts it.
pub fn write_record(record: &Record<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.text("id", &record.id);
    object.text("content", &record.content);
    object.optional("agent_id", &record.agent_id);
    object.text("namespace", &record.namespace);
    object.text("scope", &record.scope);
    object.json("metadata", record.metadata.as_str());
    object.optional("created_at", &record.created_at);
    object.optional("updated_at", &record.updated_at);
    object.optional("expires_at", &record.expires_at);
    object.optional("deleted_at", &record.deleted_at);
    object.optional("project_id", &record.project_id);
    object.hash("content_hash", record.content_hash);
    object.optional("user_id", &record.user_id);
    object.optional("session_id", &record.session_id);
    object.optional("entity_id", &record.entity_id);
    if !record.shared_with_agents.is_empty() {
        object.json("shared_with_agents", &texts(&record.shared_with_agents));
    }
    if record.memory_type != crate::MEMORY_TYPES[0] {
        object.text("memory_type", &record.memory_type);
    }
    object.optional("key", &record.key);
    object.flag("is_sensitive", record.is_sensitive, false);
    if !record.content_flags.is_empty() {
        object.json("content_flags", &texts(&record.content_flags));
    }
    object.flag("is_deduplicated", record.is_deduplicated, true);
    if record.importance != 0.5 {
        object.json("importance", &json(&record.importance));
    }
    object.count("version", record.version, 1);
    object.flag("is_deprecated", record.is_deprecated, false);
    object.optional("deprecated_at", &record.deprecated_at);
    object.optional("deprecated_by", &record.deprecated_by);
    object.optional("superseded_by", &record.superseded_by);
    object.count("bullet_helpful", record.bullet_helpful, 0);
    object.count("bullet_harmful", record.bullet_harmful, 0);
    object.optional("error_pattern", &record.error_pattern);
    object.optional("source_trajectory_id", &record.source_trajectory_id);
    if let Some(votes) = &record.votes {
        write_votes(votes, object.value("votes"));
    }
    if let Some(vector) = &record.embedding {
        append(vector, object.value("embedding"));
    }
    object.hash("embedded_hash", record.embedded_hash);
    object.end();
}

/// Appends the line that an export begins with, or the one it ends with, without its line end.
pub fn write_header(header: &Header<'_>, out: &mut Vec<u8>) {
    let mut line = Object::begin(out);
    let mut object = Object::begin(line.value(HEADER));
    object.json("format", &header.format.to_string());
    object.optional("extension_version", &header.extension_version);
    object.optional("exported_at", &header.exported_at);
    object.optional("embedder", &header.embedder);
    if let Some(dimensions) = header.dimensions {
        object.json("dimensions", &dimensions.to_string());
    }
    object.flag("counted", header.is_counted, false);
    if let Some(memories) = header.memories {
        object.json("memories", &memories.to_string());
    }
    object.end();
    line.end();
}

/// An export as one JSON array, a piece at a time; line ends may stand between the pieces. It has
/// no header: every element is a memory.
#[derive(Debug, Default)]
pub struct ArrayWriter {
    is_begun: bool,
}

impl ArrayWriter {
    /// Appends `[` or `,`, and the record.
    pub fn write_record(&mut self, record: &Record<'_>, out: &mut Vec<u8>) {
        out.push(if self.is_begun { b',' } else { b'[' });
        self.is_begun = true;
        write_record(record, out);
    }

    /// Appends what ends the array.
    pub fn finish(self, out: &mut Vec<u8>) {
        out.extend_from_slice(if self.is_begun { b"]" } else { b"[]" });
    }
}

pub(super) fn write_votes(votes: &[Vote<'_>], out: &mut Vec<u8>) {
    out.push(b'[');
    for (place, vote) in votes.iter().enumerate() {
        if place > 0 {
            out.push(b',');
        }
        let mut object = Object::begin(out);
        object.optional("id", &vote.id);
        object.text("voter_agent_id", &vote.voter_agent_id);
        object.text("vote", &vote.vote);
        object.optional("context", &vote.context);
        object.optional("task_id", &vote.task_id);
        object.optional("created_at", &vote.created_at);
        object.optional("updated_at", &vote.updated_at);
        object.optional("merged_from", &vote.merged_from);
        object.end();
    }
    out.push(b']');
}

/// Appends a string, a number or an array of numbers. Floats have their shortest digits.
pub(super) fn append<T: serde::Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) {
    // Neither can these values fail to serialise, nor can writing to memory fail.
    let _ = serde_json::to_writer(out, value);
}

pub(super) fn json<T: serde::Serialize + ?Sized>(value: &T) -> String {
    let mut out = Vec::new();
    append(value, &mut out);
    String::from_utf8(out).unwrap_or_default()
}

pub(super) fn texts(texts: &[Cow<'_, str>]) -> String {
    let texts: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    json(&texts)
}

pub(super) fn hex(hash: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    hash.iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .map(|digit| char::from(DIGITS[usize::from(digit)]))
        .collect()
}

/// An object that is being written.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl<'o> Object<'o> {
    pub fn begin(out: &'o mut Vec<u8>) -> Self {
        out.push(b'{');
        Self {
            out,
            is_empty: true,
        }
    }

    pub fn end(self) {
        self.out.push(b'}');
    }

    /// Writes a name that needs no escape; the value is to be appended to what is returned.
    fn value(&mut self, name: &str) -> &mut Vec<u8> {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        self.out.push(b'"');
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    /// Writes a member whose name may need escapes.
    pub fn member(&mut self, name: &str, json: &str) {
        if !self.is_empty {
            self.out.push(b',');
        }
        self.is_empty = false;
        append(name, self.out);
        self.out.push(b':');
        self.out.extend_from_slice(json.as_bytes());
    }

    pub fn json(&mut self, name: &str, json: &str) {
        self.value(name).extend_from_slice(json.as_bytes());
    }

    fn text(&mut self, name: &str, text: &str) {
        append(text, self.value(name));
    }

    fn optional(&mut self, name: &str, text: &Option<Cow<'_, str>>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    fn flag(&mut self, name: &str, flag: bool, left_out: bool) {
        if flag != left_out {
            self.json(name, if flag { "true" } else { "false" });
        }
    }

    fn count(&mut self, name: &str, count: i32, left_out: i32) {
        if count != left_out {
            self.json(name, &count.to_string());
        }
    }

    fn hash(&mut self, name: &str, hash: Option<[u8; 32]>) {
        if let Some(hash) = hash {
            self.json(name, &format!("\"{}\"", hex(&hash)));
        }
    }
}
