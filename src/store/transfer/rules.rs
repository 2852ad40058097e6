//! What of a record only this store can tell: its project, its types, its vectors, its limits, its secrets.

use std::cell::RefCell;
use std::collections::HashSet;

use memory_core::jsonl::{Format, Header, Record};
use pgrx::datum::Interval;

use super::refusal::{Place, of_field};
use super::votes;
use crate::pg::error::Result;
use crate::pg::json::Jsonb;
use crate::pg::spi::Planning;
use crate::pg::system;
use crate::store::access::Call;
use crate::store::content_policy;
use crate::store::embedder::Embedder;
use crate::store::memory::{self, MAX_NAME_BYTES};

pub struct Rules<'c> {
    call: &'c Call,
    format: Format,
    types: HashSet<String>,
    /// The project was named in the call: lines of another come into it all the same.
    takes_other_projects: bool,
    takes_sensitive: bool,
    now: String,
    latest: String,
    /// Of the vectors in the lines, as the header says.
    embedder: RefCell<Option<String>>,
}

impl<'c> Rules<'c> {
    pub fn of(
        call: &'c Call,
        format: Format,
        takes_other_projects: bool,
        takes_sensitive: bool,
    ) -> Result<Self> {
        let sql = call.store.sql("SELECT memory_type FROM @s@.memory_types");
        let mut types: HashSet<String> = call.sql(|session| {
            let rows = session.read(&sql, Planning::Generic, &[]);
            (0..rows.len()).map(|row| rows.required(row, 1)).collect()
        });
        types.extend(
            memory_core::MEMORY_TYPES
                .iter()
                .map(|&name| name.to_owned()),
        );
        // A memory may be dated by another clock than this one.
        let tolerated = Interval::from_seconds(3600.0);
        let time = |time| Ok(votes::exported_time(time, || "now".to_owned())?.unwrap_or_default());
        Ok(Rules {
            call,
            format,
            types,
            takes_other_projects,
            takes_sensitive,
            now: time(Some(system::now()))?,
            latest: time(system::after(system::now(), tolerated))?,
            embedder: RefCell::new(None),
        })
    }

    /// What the header says of the lines after it.
    pub fn note(&self, header: &Header<'_>) {
        *self.embedder.borrow_mut() = header.embedder.as_deref().map(str::to_owned);
    }

    /// A store that makes its vectors itself has no use for those of another system's model.
    pub fn drops_vectors(&self) -> bool {
        self.format != Format::MemoryExt && self.call.store.embedder != Embedder::External
    }

    /// Refuses what the store would refuse, or should.
    pub fn check(&self, place: Place, record: &Record<'_>) -> Result<()> {
        let refuse = |field: &str, reason: &str| of_field(place, &record.id, field, reason);
        if let Some(project) = &record.project_id
            && project != self.call.project()
            && !self.takes_other_projects
        {
            let reason = format!(
                "is not {:?}, into which this would be imported",
                self.call.project()
            );
            return Err(refuse("project_id", &reason)
                .hint("Name the project in the call (project_id) to import the memories into it whatever project they come from."));
        }
        if record.is_sensitive && !self.takes_sensitive {
            return Err(refuse("is_sensitive", "is true, and importing secrets was not confirmed")
                .hint("Say confirm_sensitive => true to import them; they are kept unencrypted in the table."));
        }
        check_sizes(record).map_err(|error| {
            error
                .at(place.of(&record.id))
                .detail("Nothing was imported.")
        })?;
        self.redacted(place, record)?;
        for (field, time) in [
            ("created_at", &record.created_at),
            ("updated_at", &record.updated_at),
            ("deleted_at", &record.deleted_at),
            ("deprecated_at", &record.deprecated_at),
        ] {
            // Points in time have one form, in which their order is that of the texts.
            if time.as_deref().is_some_and(|time| time > &*self.latest) {
                return Err(refuse(field, "lies in the future").hint(format!(
                    "By the server's clock it is {}; a time without an offset is UTC.",
                    self.now
                )));
            }
        }
        if !self.types.contains(record.memory_type.as_ref()) {
            let reason = format!(
                "is {:?}, which is no type of this store",
                record.memory_type
            );
            return Err(refuse("memory_type", &reason)
                .hint("Add it first: INSERT INTO memory_types (memory_type, half_life_days) VALUES (...)."));
        }
        for (number, vote) in record.votes.iter().flatten().enumerate() {
            if let Some(id) = &vote.id
                && !(1..=MAX_NAME_BYTES).contains(&id.len())
            {
                let reason = format!("has {} bytes, expected 1 to {MAX_NAME_BYTES}", id.len());
                return Err(refuse(&format!("votes[{number}].id"), &reason));
            }
        }
        match &record.embedding {
            Some(vector) if !self.drops_vectors() => self.check_vector(place, record, vector),
            _ => Ok(()),
        }
    }

    /// The content as the policies let it in, if it is not to stay as it is: the trigger leaves that to who imports.
    pub fn redacted(&self, place: Place, record: &Record<'_>) -> Result<Option<String>> {
        if record.is_sensitive || !content_policy::is_on() {
            return Ok(None);
        }
        let screened =
            content_policy::screen("field \"content\":", record.content.to_string(), false)
                .map_err(|error| error.at(place.of(&record.id)))?;
        Ok(screened.redacted.then_some(screened.content))
    }

    fn check_vector(&self, place: Place, record: &Record<'_>, vector: &[f32]) -> Result<()> {
        let store = &self.call.store;
        let refuse = |reason: &str| of_field(place, &record.id, "embedding", reason);
        if vector.len() != store.dimensions {
            return Err(refuse(&format!(
                "has {} dimensions, the store has {}",
                vector.len(),
                store.dimensions
            ))
            .hint("Import into a store of that size, or export without embeddings: the store makes its own, unless its callers bring them."));
        }
        if let Some(embedder) = self.embedder.borrow().as_deref()
            && embedder != store.embedder.name()
        {
            return Err(refuse(&format!(
                "is of embedder {embedder:?}, the store's is {:?}",
                store.embedder.name()
            ))
            .hint("Vectors of two models cannot be compared: export without embeddings, or import into a store of that embedder."));
        }
        Ok(())
    }
}

/// The limits of the functions that add memories.
fn check_sizes(record: &Record<'_>) -> Result<()> {
    memory::check_length("field \"content\":", &record.content)?;
    if let Some(pattern) = &record.error_pattern {
        memory::check_length("field \"error_pattern\":", pattern)?;
    }
    memory::check_sharing(
        "field \"shared_with_agents\":",
        record.shared_with_agents.len(),
    )?;
    // What is shorter passes, whatever it is: a number has eight characters at least in which it can have too many digits, a
    // level of nesting two.
    const SHORT_BYTES: usize = 200;
    let metadata = record.metadata.as_str();
    if metadata.len() > SHORT_BYTES {
        memory::check_size("field \"metadata\":", &Jsonb::parse(metadata))?;
    }
    Ok(())
}
