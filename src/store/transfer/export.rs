//! Memories as text, a batch at a time: however many there are, a backend holds a few megabytes of them.

use std::collections::VecDeque;
use std::rc::Rc;

use memory_core::jsonl::{
    self, ArrayWriter, Header, JsonObject, Record, write_csv_header, write_csv_record,
    write_header, write_record,
};
use pgrx::datum::{TimestampWithTimeZone, ToIsoString};
use serde_json::{Map, Value, json};

use super::votes;
use crate::pg::error::{Error, Result};
use crate::pg::planner::IndexOrder;
use crate::pg::spi::{self, Arg, Planning, Rows};
use crate::pg::system;
use crate::pg::vector::Vector;
use crate::store::access::Call;
use crate::store::conditions::{Conditions, Filters};
use crate::store::events;
use crate::store::maintenance::progress::{Phase, Progress};
use crate::store::migrate;
use crate::store::open::Store;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    JsonLines,
    Json,
    Csv,
}

impl Format {
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "jsonl" => Ok(Format::JsonLines),
            "json" => Ok(Format::Json),
            "csv" => Ok(Format::Csv),
            _ => Err(Error::argument(format!("unknown format {name:?}"))
                .hint("Formats of an export are: jsonl, json, csv.")),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Format::JsonLines => "jsonl",
            Format::Json => "json",
            Format::Csv => "csv",
        }
    }
}

/// What is to be exported.
pub struct Request<'a> {
    pub format: Format,
    pub filters: Filters<'a>,
    pub expired: bool,
    pub deprecated: bool,
    pub deleted: bool,
    pub votes: bool,
    pub embeddings: bool,
    pub sensitive: bool,
}

impl Request<'_> {
    /// As the audit trail keeps it.
    fn described(&self) -> Value {
        let time = |time: Option<TimestampWithTimeZone>| time.map(|time| time.to_iso_string());
        let filters = [
            ("namespace", json!(self.filters.namespace)),
            ("agent_id", json!(self.filters.author)),
            ("memory_types", json!(self.filters.memory_types)),
            ("since", json!(time(self.filters.since))),
            ("until", json!(time(self.filters.until))),
            ("expired", json!(self.expired)),
            ("deprecated", json!(self.deprecated)),
            ("deleted", json!(self.deleted)),
        ];
        let filters: Map<String, Value> = filters
            .into_iter()
            .filter(|(_, value)| !value.is_null())
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        json!({
            "format": self.format.name(),
            "filters": filters,
            "votes": self.votes,
            "embeddings": self.embeddings,
            "sensitive": self.sensitive,
        })
    }

    fn conditions(&mut self, call: &Call) -> Result<Conditions> {
        let mut conditions = Conditions::default();
        conditions.equal("project_id", Some(call.project()));
        std::mem::take(&mut self.filters).apply(&mut conditions)?;
        if !self.expired {
            conditions.push("(m.expires_at IS NULL OR m.expires_at > now())");
        }
        if !self.deprecated {
            conditions.push("NOT m.is_deprecated");
        }
        if !self.deleted {
            conditions.push("m.deleted_at IS NULL");
        }
        if !self.sensitive {
            conditions.push("NOT m.is_sensitive");
        }
        Ok(conditions)
    }
}

/// Rows of one batch, and what their texts may add up to: whichever is reached first.
const BATCH_ROWS: usize = 1000;
const BATCH_BYTES: usize = 4 << 20;

/// The lines of an export, made as they are asked for.
///
/// It lives across the calls of a set-returning function: each batch connects, becomes the owner and reads under the snapshot of
/// the statement that called, which is the same for all of them.
pub struct Export {
    store: Rc<Store>,
    project: String,
    sql: String,
    /// Those of the conditions, then where the last batch ended.
    args: Vec<Arg>,
    after: (TimestampWithTimeZone, String),
    votes: bool,
    embeddings: bool,
    writer: Writer,
    ready: VecDeque<String>,
    is_over: bool,
    /// Rows that were read so far, told until all are.
    done: u64,
    progress: Option<Progress>,
}

enum Writer {
    JsonLines,
    Json(ArrayWriter),
    Csv,
}

impl Export {
    /// Checks the request, records it as an event, and gives the lines.
    pub fn begin(call: &Call, mut request: Request<'_>) -> Result<Export> {
        let mut event = request.described();
        let mut conditions = request.conditions(call)?;
        let count = call.store.sql(&format!(
            "SELECT count(*) FROM @s@.memories m WHERE {}",
            conditions.sql()
        ));
        let progress = call.sql(|session| {
            let rows: i64 = session
                .read(&count, Planning::Custom, &conditions.args)
                .required(0, 1);
            event["rows"] = rows.into();
            if request.sensitive {
                // The event goes when the caller rolls back; this line does not.
                system::log_for_operators(format!(
                    "memory_ext: role {:?} exported {rows} memories of project {:?}, sensitive ones included",
                    call.access.role,
                    call.project()
                ));
            }
            events::record(call, session, "export", None, &event);
            Progress::of(Phase::Exporting, rows)
        });
        let after = (TimestampWithTimeZone::negative_infinity(), String::new());
        let time = conditions.arg(after.0);
        let id = conditions.arg(after.1.as_str());
        conditions.push(format_args!("(m.created_at, m.id) > ({time}, {id})"));
        let mut export = Export {
            sql: call.store.sql(&page(
                &conditions,
                request.embeddings,
                call.store.dimensions,
            )),
            store: call.store.clone(),
            project: call.project().to_owned(),
            args: conditions.args,
            after,
            votes: request.votes,
            embeddings: request.embeddings,
            writer: match request.format {
                Format::JsonLines => Writer::JsonLines,
                Format::Json => Writer::Json(ArrayWriter::default()),
                Format::Csv => Writer::Csv,
            },
            ready: VecDeque::new(),
            is_over: false,
            done: 0,
            progress: Some(progress),
        };
        export.head()?;
        Ok(export)
    }

    fn head(&mut self) -> Result<()> {
        let mut out = Vec::new();
        match self.writer {
            Writer::Json(_) => return Ok(()),
            Writer::Csv => write_csv_header(&mut out),
            Writer::JsonLines => write_header(
                &Header {
                    format: jsonl::FORMAT,
                    extension_version: Some(migrate::LIBRARY_VERSION.into()),
                    exported_at: votes::exported_time(Some(system::now()), || "now".to_owned())?
                        .map(Into::into),
                    embedder: Some(self.store.embedder.name().into()),
                    dimensions: u32::try_from(self.store.dimensions).ok(),
                    is_counted: true,
                    memories: None,
                },
                &mut out,
            ),
        }
        self.push(out, "")
    }

    fn push(&mut self, line: Vec<u8>, id: &str) -> Result<()> {
        // A text and its header have to fit into one allocation (utils/memutils.h).
        const MAX_TEXT_BYTES: usize = 0x3fff_ffff - 4;
        if line.len() > MAX_TEXT_BYTES {
            return Err(Error::limit(format!(
                "memory {id:?} makes a line of {} bytes, over PostgreSQL's limit of {MAX_TEXT_BYTES} for a text",
                line.len()
            )));
        }
        self.ready
            .push_back(String::from_utf8(line).unwrap_or_default());
        Ok(())
    }

    /// Reads the next batch.
    fn fill(&mut self) -> Result<()> {
        let records = self.read()?;
        self.done += records.len() as u64;
        if let Some(progress) = &self.progress {
            progress.note(self.done);
        }
        for record in &records {
            system::check_for_interrupts();
            let mut line = Vec::new();
            match &mut self.writer {
                Writer::JsonLines => write_record(record, &mut line),
                Writer::Json(array) => array.write_record(record, &mut line),
                Writer::Csv => write_csv_record(record, &mut line),
            }
            self.push(line, &record.id)?;
        }
        if records.is_empty() {
            self.is_over = true;
            self.progress = None;
            let mut line = Vec::new();
            match &mut self.writer {
                Writer::Json(array) => std::mem::take(array).finish(&mut line),
                // By it a file that was cut off is known.
                Writer::JsonLines => write_header(
                    &Header {
                        format: jsonl::FORMAT,
                        memories: Some(self.done),
                        ..Header::default()
                    },
                    &mut line,
                ),
                Writer::Csv => return Ok(()),
            }
            self.push(line, "")?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Vec<Record<'static>>> {
        let place = self.args.len() - 2;
        self.args[place] = self.after.0.into();
        self.args[place + 1] = self.after.1.as_str().into();
        let _owner = self.store.as_owner();
        let votes_sql = self.store.sql(votes::OF_MEMORIES);
        spi::connect(|session| {
            let _plan = IndexOrder::enforce();
            let rows = session.read(&self.sql, Planning::Generic, &self.args);
            let Some(last) = rows.len().checked_sub(1) else {
                return Ok(Vec::new());
            };
            self.after = (rows.required(last, 7), rows.required(last, 1));
            let mut votes = votes::ByMemory::new();
            if self.votes {
                let ids: Vec<String> = (0..rows.len()).map(|row| rows.required(row, 1)).collect();
                let args = [self.project.as_str().into(), ids.into()];
                votes = votes::read(&session.read(&votes_sql, Planning::Generic, &args))?;
            }
            (0..rows.len())
                .map(|row| {
                    let mut record = self.record(&rows, row)?;
                    if let Some(votes) = votes.remove(record.id.as_ref()) {
                        // The votes are the truth: a counter that has lost some would make the line one that is refused.
                        let (helpful, harmful) = votes::counts(&votes);
                        record.bullet_helpful = record.bullet_helpful.max(helpful);
                        record.bullet_harmful = record.bullet_harmful.max(harmful);
                        record.votes = Some(votes);
                    }
                    Ok(record)
                })
                .collect()
        })
    }

    fn record(&self, rows: &Rows<'_>, row: usize) -> Result<Record<'static>> {
        let text = |column: usize| rows.get::<String>(row, column).map(Into::into);
        let required = |column: usize| rows.required::<String>(row, column);
        let id = required(1);
        let time = |column: usize, name: &str| -> Result<Option<std::borrow::Cow<'static, str>>> {
            let time = rows.get::<TimestampWithTimeZone>(row, column);
            let time = votes::exported_time(time, || format!("{name} of memory {id:?}"))?;
            Ok(time.map(Into::into))
        };
        let hash = |column: usize| -> Option<[u8; 32]> {
            rows.get::<Vec<u8>>(row, column)?.try_into().ok()
        };
        let mut record = Record::new(id.clone(), required(2));
        record.project_id = Some(self.project.clone().into());
        record.agent_id = text(3);
        record.namespace = required(4).into();
        record.scope = required(5).into();
        record.metadata = metadata(&id, &required(6))?;
        record.created_at = time(7, "created_at")?;
        record.updated_at = time(8, "updated_at")?;
        let expires_at = rows.get::<TimestampWithTimeZone>(row, 9);
        if !expires_at.is_some_and(|time| time.is_infinity()) {
            record.expires_at = time(9, "expires_at")?;
        }
        record.deleted_at = time(10, "deleted_at")?;
        record.content_hash = hash(11);
        record.user_id = text(12);
        record.session_id = text(13);
        record.entity_id = text(14);
        let shared: Vec<Option<String>> = rows.required(row, 15);
        record.shared_with_agents = shared.into_iter().flatten().map(Into::into).collect();
        record.memory_type = required(16).into();
        record.key = text(17);
        record.is_sensitive = rows.required(row, 18);
        record.is_deduplicated = rows.required(row, 19);
        record.importance = rows.required(row, 20);
        record.version = rows.required(row, 21);
        record.is_deprecated = rows.required(row, 22);
        record.deprecated_at = time(23, "deprecated_at")?;
        record.deprecated_by = text(24);
        record.superseded_by = text(25);
        record.bullet_helpful = rows.required(row, 26);
        record.bullet_harmful = rows.required(row, 27);
        record.error_pattern = text(28);
        record.source_trajectory_id = text(29);
        let flags: Option<Vec<Option<String>>> = rows.get(row, 30);
        record.content_flags = flags
            .into_iter()
            .flatten()
            .flatten()
            .map(Into::into)
            .collect();
        if self.embeddings
            && let Some(vector) = rows.get::<Vector>(row, 31)
        {
            record.embedding = Some(vector.0);
            record.embedded_hash = hash(32).filter(|hash| Some(*hash) != record.content_hash);
        }
        Ok(record)
    }
}

fn metadata(id: &str, text: &str) -> Result<JsonObject<'static>> {
    if text == "{}" {
        return Ok(JsonObject::default());
    }
    JsonObject::parse(text)
        .map(JsonObject::into_owned)
        .map_err(|error| {
            Error::limit(format!(
                "the metadata of memory {id:?} cannot be exported: {error}"
            ))
            .hint("An older version let it in. Give it other metadata: UPDATE memories SET metadata = '{}' WHERE id = ...")
        })
}

impl Iterator for Export {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(line);
            }
            if self.is_over {
                return None;
            }
            if let Err(error) = self.fill() {
                error.raise();
            }
        }
    }
}

const COLUMNS: &[&str] = &[
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
    "content_hash",
    "user_id",
    "session_id",
    "entity_id",
    "shared_with_agents",
    "memory_type",
    "key",
    "is_sensitive",
    "dedupe_hash",
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
    "content_flags",
];
const VECTOR_COLUMNS: &[&str] = &["embedding", "embedded_hash"];

/// The statement of one batch: rows in the order in which they were made, so many that neither limit is passed, one at least.
fn page(conditions: &Conditions, embeddings: bool, dimensions: usize) -> String {
    // In text a number takes about so many bytes.
    const NUMBER_BYTES: usize = 12;
    let (vector, vector_bytes) = match embeddings {
        true => (VECTOR_COLUMNS, dimensions * NUMBER_BYTES),
        false => (&[][..], 0),
    };
    let columns: Vec<&str> = COLUMNS.iter().chain(vector).copied().collect();
    let chosen: Vec<String> = columns.iter().map(|name| format!("m.{name}")).collect();
    let shown: Vec<String> = columns
        .iter()
        .map(|name| match *name {
            "metadata" => "q.metadata::text".to_owned(),
            "dedupe_hash" => "q.dedupe_hash IS NOT NULL".to_owned(),
            name => format!("q.{name}"),
        })
        .collect();
    format!(
        "SELECT {shown}
         FROM (SELECT p.*, sum(p.bytes) OVER (ORDER BY p.created_at, p.id ROWS UNBOUNDED PRECEDING) - p.bytes AS bytes_before
               FROM (SELECT {chosen}, octet_length(m.content) + pg_column_size(m.metadata) + {vector_bytes} AS bytes
                     FROM @s@.memories m WHERE {conditions} ORDER BY m.created_at, m.id LIMIT {BATCH_ROWS}) p) q
         WHERE q.bytes_before < {BATCH_BYTES} ORDER BY q.created_at, q.id",
        shown = shown.join(", "),
        chosen = chosen.join(", "),
        conditions = conditions.sql()
    )
}
