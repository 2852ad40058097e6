//! Memories in the formats of other systems.

mod letta;
mod mem0;
mod memory_stages;
pub(super) mod metadata;
mod own;
mod row;

use std::collections::HashMap;

use super::error::LineError;
use super::json::{Kind, Value};
use super::record::Record;
use super::settle::settle;
use super::validate::validate;
use super::write::hex;
use super::{Format, Options};
use crate::text::{content_hash, dedupe_key};

/// Where memories go that do not say it themselves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Target<'t> {
    /// Of every memory. Left out: see each format.
    pub namespace: Option<&'t str>,
    /// Of the memories that name no agent. Left out: nobody's, which makes them global.
    pub agent_id: Option<&'t str>,
}

/// What became of a text in a foreign format.
#[derive(Clone, Debug, PartialEq)]
pub struct Converted<'a> {
    /// Each is valid. An id that the other system does not have is computed from what tells the
    /// memory apart there, so that importing again meets the same rows.
    pub records: Vec<Record<'a>>,
    pub skipped: Skipped,
}

/// What was read but is no memory, by kind, in the order in which the kinds were met.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    kinds: Vec<(String, u64)>,
    places: HashMap<String, usize>,
}

impl Skipped {
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.kinds
            .iter()
            .map(|(kind, count)| (kind.as_str(), *count))
    }

    pub fn is_empty(&self) -> bool {
        self.kinds.is_empty()
    }

    /// Adds what another text of the same import skipped.
    pub fn extend(&mut self, other: &Self) {
        for (kind, count) in other.iter() {
            self.add(kind, count);
        }
    }

    fn add(&mut self, kind: &str, count: u64) {
        if count == 0 {
            return;
        }
        match self.places.get(kind) {
            Some(place) => {
                if let Some((_, total)) = self.kinds.get_mut(*place) {
                    *total = total.saturating_add(count);
                }
            }
            None => {
                self.places.insert(kind.to_owned(), self.kinds.len());
                self.kinds.push((kind.to_owned(), count));
            }
        }
    }
}

/// Reads one JSON text of the named format: a whole export, or one line of it where the export
/// has a memory a line.
///
/// | format | shapes | source |
/// |---|---|---|
/// | [`MemoryExt`](Format::MemoryExt) | a record, an array of records | this module |
/// | [`Guide`](Format::Guide) | a record, an array of records, `{"memories":[...],"stats":{...}}` | operations guide, "Data Export"; `server/api/routers/memories.py` of quantifylabs/aegis-memory |
/// | [`MemoryStages`](Format::MemoryStages) | rows of the table `kv`, `{"keys":[...]}`, the JSON of a backup | `src/core/db.py`, `dao.py`, `backup.py`, `src/api/schemas.py` of MrSnowNB/MemoryStages |
/// | [`Mem0`](Format::Mem0) | memories, `{"results":[...]}`, pages and export lines of OpenMemory | docs.mem0.ai, API reference "Get Memories" and "Memory Expiration"; `mem0/memory/main.py`, `openmemory/api/app/schemas.py`, `openmemory/api/app/routers/backup.py` of mem0ai/mem0 |
/// | [`Letta`](Format::Letta) | agent files (`.af`), passages, blocks | docs.letta.com, "AgentFile" and "Exporting archival memories"; `letta/schemas/agent_file.py`, `block.py`, `passage.py` of letta-ai/letta; the files of letta-ai/agent-file |
///
/// What has no column goes into the metadata under the name of the system (`metadata.mem0`), but
/// for nulls. If the metadata has a member of that name already, all of it goes there, as
/// `metadata.mem0.metadata`. One bad memory refuses the text.
///
/// Vectors are taken along; whether they are of the store's model the caller has to know.
pub fn convert<'a>(
    format: Format,
    text: &'a [u8],
    target: &Target<'_>,
    options: &Options<'_>,
) -> Result<Converted<'a>, LineError> {
    let text = super::checked_text(text, options)?;
    let Some(value) = Value::of_line(text) else {
        return Ok(Converted {
            records: Vec::new(),
            skipped: Skipped::default(),
        });
    };
    value.check_syntax()?;
    if format == Format::Letta && value.kind() == Kind::String {
        return wrapped(value, target, options);
    }
    let mut conversion = Conversion::new(target, options);
    match format {
        Format::MemoryExt | Format::Guide => own::convert(&mut conversion, value, format)?,
        Format::MemoryStages => memory_stages::convert(&mut conversion, value)?,
        Format::Mem0 => mem0::convert(&mut conversion, value)?,
        Format::Letta => letta::convert(&mut conversion, value)?,
    }
    Ok(conversion.converted)
}

/// Some agent files are a JSON string that holds the JSON; columns are then those inside of it.
fn wrapped(
    value: Value<'_>,
    target: &Target<'_>,
    options: &Options<'_>,
) -> Result<Converted<'static>, LineError> {
    let field = super::field::Field {
        name: "the text",
        value,
    };
    let text = field.text()?;
    let inside = Value::of_line(&text)
        .filter(|inside| inside.kind() != Kind::String)
        .ok_or_else(|| field.wrong_type("an object or an array"))?;
    inside.check_syntax()?;
    let mut conversion = Conversion::new(target, options);
    letta::convert(&mut conversion, inside)?;
    let Converted { records, skipped } = conversion.converted;
    Ok(Converted {
        records: records.into_iter().map(Record::into_owned).collect(),
        skipped,
    })
}

struct Conversion<'a, 't> {
    target: &'t Target<'t>,
    options: &'t Options<'t>,
    converted: Converted<'a>,
}

impl<'a, 't> Conversion<'a, 't> {
    fn new(target: &'t Target<'t>, options: &'t Options<'t>) -> Self {
        Self {
            target,
            options,
            converted: Converted {
                records: Vec::new(),
                skipped: Skipped::default(),
            },
        }
    }

    fn add(&mut self, mut record: Record<'a>, object: Value<'a>) -> Result<(), LineError> {
        settle(&mut record);
        validate(&record).map_err(|invalid| invalid.at(object.column))?;
        self.converted.records.push(record);
        Ok(())
    }

    fn skip(&mut self, kind: &str, count: u64) {
        self.converted.skipped.add(kind, count);
    }

    /// Calls `each` for the elements of an array; its errors name the element.
    fn each(
        &mut self,
        name: &str,
        array: Value<'a>,
        mut each: impl FnMut(&mut Self, Value<'a>) -> Result<(), LineError>,
    ) -> Result<(), LineError> {
        if array.kind() != Kind::Array {
            return Err(super::field::Field { name, value: array }.wrong_type("an array"));
        }
        array.elements(|place, value| {
            each(self, value).map_err(|error| error.within(&format!("{name}[{place}]")))
        })
    }
}

/// The same 32 hexadecimal digits for the same parts and text, and others for others.
fn derived_id(parts: &[Option<&str>], text: &str) -> String {
    let hash = dedupe_key(parts, &content_hash(text));
    hex(hash.get(..16).unwrap_or_default())
}
