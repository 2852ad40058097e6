//! Reading a backup: all of it is verified before anything is done with it.

use std::fs::File;
use std::io::{Read, Seek};

use memory_core::container::{Event, Header, Kdf, Manifest, Reader, Secret, Summary};
use memory_core::copy_text;
use serde_json::{Value, json};

use super::write::counts;
use super::{MANIFEST, failure};
use crate::pg::error::{Error, Result};
use crate::pg::files::{self, Interruptible, Place};
use crate::store::maintenance::progress::{Phase, Progress};

/// Where a backup is read from, from its beginning as often as wanted.
pub trait Source {
    fn reader(&mut self) -> Result<Box<dyn Read + '_>>;
    /// The manifest's bytes; `None` where there is none.
    fn manifest(&self) -> Option<&[u8]>;
    /// What messages call the backup.
    fn shown(&self) -> &str;
}

/// A file of the server, which stays the same file whatever its name becomes.
pub struct FileSource {
    file: File,
    manifest: Option<Vec<u8>>,
    shown: String,
}

impl FileSource {
    pub fn open(place: &Place) -> Result<Self> {
        Ok(FileSource {
            file: files::open(place)?,
            manifest: manifest_beside(place)?,
            shown: place.shown().to_owned(),
        })
    }

    pub fn of(file: File, manifest: Option<Vec<u8>>, shown: &str) -> Self {
        FileSource {
            file,
            manifest,
            shown: shown.to_owned(),
        }
    }
}

/// The manifest beside a backup, if it is there.
pub fn manifest_beside(place: &Place) -> Result<Option<Vec<u8>>> {
    let place = place.beside(MANIFEST);
    // One byte over the limit is refused by whoever reads the JSON.
    let limit = Manifest::MAX_LEN as u64;
    files::open_if_there(&place)?
        .map(|file| files::read_all(file, place.shown(), limit))
        .transpose()
}

impl Source for FileSource {
    fn reader(&mut self) -> Result<Box<dyn Read + '_>> {
        self.file
            .rewind()
            .map_err(|error| files::failure("read file", &self.shown, &error))?;
        Ok(Box::new(Interruptible(&self.file)))
    }

    fn manifest(&self) -> Option<&[u8]> {
        self.manifest.as_deref()
    }

    fn shown(&self) -> &str {
        &self.shown
    }
}

/// The store's model, as a backup has it.
#[derive(Clone, Debug)]
pub struct Model {
    pub embedder: String,
    pub dimensions: i32,
    pub text_search_config: String,
}

/// A backup all of which was read and is authentic.
pub struct Checked {
    pub header: Header,
    pub kdf: Kdf,
    pub summary: Summary,
    /// Whether there was a manifest, which then is the backup's.
    pub has_manifest: bool,
    /// As it would be written now.
    pub manifest: Manifest,
    pub model: Model,
}

/// Reads all of a backup, and its manifest if it has one, and refuses both if anything is not as it was written.
pub fn check(source: &mut dyn Source, secret: &Secret) -> Result<Checked> {
    let shown = source.shown().to_owned();
    let failed = |error| failure::of(error, &shown);
    let manifest = source.manifest().map(<[u8]>::to_vec);
    let mut reader = Reader::open(source.reader()?, secret).map_err(failed)?;
    if let Some(json) = &manifest {
        reader.expect_manifest(json).map_err(failed)?;
    }
    let progress = Progress::of(Phase::Verifying, manifest.as_deref().map_or(0, about));
    let mut done = 0;
    let mut models: Option<Models> = None;
    let summary = loop {
        match reader.next_event().map_err(failed)? {
            Event::SectionStart(section) if section.table == "memory_models" => {
                let names = section.columns.iter().map(|column| column.name.clone());
                models = Some(Models {
                    columns: names.collect(),
                    active: None,
                    reading: true,
                });
            }
            Event::Rows(lines) => {
                done += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
                progress.note(done);
                if let Some(models) = models.as_mut().filter(|models| models.reading) {
                    models.read(lines)?;
                }
            }
            Event::SectionStart(_) => (),
            Event::SectionEnd(_) => {
                if let Some(models) = &mut models {
                    models.reading = false;
                }
            }
            Event::End(summary) => break summary.clone(),
        }
    };
    let manifest_now = reader.manifest().map_err(failed)?;
    Ok(Checked {
        header: reader.header().clone(),
        kdf: reader.kdf(),
        summary,
        has_manifest: manifest.is_some(),
        manifest: manifest_now.ok_or_else(failure::damaged)?,
        model: models.and_then(|models| models.active).ok_or_else(|| {
            Error::state(format!(
                "backup {shown:?} does not say which model its vectors are of"
            ))
        })?,
    })
}

/// How many rows a manifest says that there are, for the progress; 0: not known. Whether it is right turns out at the end.
fn about(manifest: &[u8]) -> i64 {
    let rows = || -> Option<i64> {
        let manifest: Value = serde_json::from_slice(manifest).ok()?;
        let counts = manifest["counts"].as_array()?;
        counts.iter().try_fold(0i64, |rows, count| {
            rows.checked_add(count["rows"].as_i64()?)
        })
    };
    rows().unwrap_or(0)
}

/// The section of memory_models, which is a few lines.
struct Models {
    columns: Vec<String>,
    active: Option<Model>,
    reading: bool,
}

impl Models {
    fn read(&mut self, lines: &[u8]) -> Result<()> {
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let fields: Vec<Option<String>> = copy_text::fields(line)
                .map(|field| field.map(|text| text.map(|text| text.into_owned())))
                .collect::<std::result::Result<_, _>>()
                .map_err(|_| failure::damaged())?;
            let value = |name: &str| {
                let place = self.columns.iter().position(|column| column == name)?;
                fields.get(place)?.clone()
            };
            if value("active").as_deref() != Some("t") {
                continue;
            }
            let dimensions = value("dimensions").and_then(|number| number.parse().ok());
            let (Some(embedder), Some(dimensions), Some(text_search_config)) =
                (value("embedder"), dimensions, value("text_search_config"))
            else {
                return Err(failure::damaged());
            };
            self.active = Some(Model {
                embedder,
                dimensions,
                text_search_config,
            });
        }
        Ok(())
    }
}

impl Checked {
    /// What a backup is, for whoever may see how much there is of a project (`None`: of all), and whether secrets are among it.
    pub fn report(&self, project: Option<&str>) -> Value {
        let header = &self.header;
        let whose = project.is_none() || header.project.as_deref() == project;
        json!({
            "backup_id": header.backup_id,
            "created_at": header.created_at,
            "project": header.project,
            "includes_sensitive": whose.then_some(header.includes_sensitive),
            "extension_version": header.extension_version,
            "store_version": header.store_version,
            "server_version": header.server_version,
            "embedder": self.model.embedder,
            "dimensions": self.model.dimensions,
            "key": self.kdf.name(),
            "has_manifest": self.has_manifest,
            "size": whose.then_some(self.summary.bytes),
            "sha256": whose.then_some(&self.summary.sha256),
            "counts": whose.then(|| counts(&self.summary)),
        })
    }
}
