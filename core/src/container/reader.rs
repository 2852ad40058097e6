//! Reading a backup, a piece at a time.

use std::io::Read;
use std::ops::Range;

use super::chunk::ChunkReader;
use super::envelope::{self, Envelope};
use super::error::ContainerError;
use super::header::{EncodedHeader, Header, MAX_JSON_LEN, Section};
use super::kdf::Kdf;
use super::keys::DataKey;
use super::manifest::Manifest;
use super::record::{
    HEAD_LEN, MAX_ROWS_LEN, ROWS, SECTION_END, SECTION_START, SectionEnd, SectionTally, Summary,
    TRAILER, TableCount, Trailer,
};
use super::secret::Secret;

/// Reads a backup.
///
/// Everything that an event gives is authentic, but that nothing is missing is known only at
/// [`Event::End`]: what is done with rows before it must be possible to undo, or the backup be
/// verified first ([`verify`]). After an error there is nothing more to read. Holds one chunk and,
/// of rows that span chunks, one record.
pub struct Reader<R> {
    chunks: ChunkReader<R>,
    header: Header,
    kdf: Kdf,
    data_key: DataKey,
    manifest: Option<Manifest>,
    state: State,
    /// Of the sections that ended.
    counts: Vec<TableCount>,
    /// The content of a record that spans chunks.
    spanning: Vec<u8>,
}

enum State {
    BetweenSections,
    InSection(SectionTally),
    Ended(Summary),
    Failed,
}

/// What a reader finds next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    SectionStart(&'a Section),
    /// One or more whole lines of COPY text, each with its newline.
    Rows(&'a [u8]),
    SectionEnd(&'a TableCount),
    /// All of the backup was read, and is what was written.
    End(&'a Summary),
}

/// Where the content of a record is.
enum Place {
    Chunk(Range<usize>),
    Spanning,
}

enum Found {
    SectionStart,
    Rows(Place),
    SectionEnd,
    End,
}

impl<R: Read> Reader<R> {
    /// Reads envelope and header, and refuses them if they are not authentic.
    pub fn open(mut input: R, secret: &Secret) -> Result<Self, ContainerError> {
        let bytes = envelope::read(&mut input)?;
        let envelope = Envelope::decode(&bytes)?;
        let data_key = envelope.open(secret)?;
        let encoded = EncodedHeader::read(&mut input)?;
        encoded.authenticate(&data_key)?;
        let header = Header::parse(&encoded)?;
        Ok(Self {
            chunks: ChunkReader::new(input, &bytes, &encoded, header.chunk_size, &data_key)?,
            header,
            kdf: envelope.kdf,
            data_key,
            manifest: None,
            state: State::BetweenSections,
            counts: Vec::new(),
            spanning: Vec::new(),
        })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    pub fn kdf(&self) -> Kdf {
        self.kdf
    }

    /// Refuses a manifest that was not written with this backup; what it says of sizes, hashes and
    /// counts is checked at [`Event::End`].
    pub fn expect_manifest(&mut self, json: &[u8]) -> Result<&Manifest, ContainerError> {
        let manifest = Manifest::authenticate(json, &self.data_key)?;
        Ok(self.manifest.insert(manifest))
    }

    /// The next event; at the end, the end again.
    pub fn next_event(&mut self) -> Result<Event<'_>, ContainerError> {
        let found = match self.find() {
            Ok(found) => found,
            Err(error) => {
                self.state = State::Failed;
                return Err(error);
            }
        };
        match (found, &self.state) {
            (Found::Rows(Place::Chunk(range)), _) => Ok(Event::Rows(self.chunks.bytes(range))),
            (Found::Rows(Place::Spanning), _) => Ok(Event::Rows(&self.spanning)),
            (Found::SectionStart, _) => self
                .header
                .sections
                .get(self.counts.len())
                .map(Event::SectionStart)
                .ok_or(ContainerError::Damaged),
            (Found::SectionEnd, _) => self
                .counts
                .last()
                .map(Event::SectionEnd)
                .ok_or(ContainerError::Damaged),
            (Found::End, State::Ended(summary)) => Ok(Event::End(summary)),
            (Found::End, _) => Err(ContainerError::Damaged),
        }
    }

    fn find(&mut self) -> Result<Found, ContainerError> {
        // Taken, so that an error on the way leaves Failed behind.
        match std::mem::replace(&mut self.state, State::Failed) {
            State::Failed => Err(ContainerError::Damaged),
            State::Ended(summary) => {
                self.state = State::Ended(summary);
                Ok(Found::End)
            }
            State::BetweenSections => match self.header.sections.get(self.counts.len()) {
                Some(section) => {
                    let section = section.clone();
                    self.start_section(&section)
                }
                None => self.end(),
            },
            State::InSection(section) => self.in_section(section),
        }
    }

    fn start_section(&mut self, expected: &Section) -> Result<Found, ContainerError> {
        let (SECTION_START, length) = self.head()? else {
            return Err(ContainerError::Damaged);
        };
        let section: Section = self.json(length)?;
        if section != *expected {
            return Err(ContainerError::Damaged);
        }
        self.state = State::InSection(SectionTally::default());
        Ok(Found::SectionStart)
    }

    fn in_section(&mut self, mut section: SectionTally) -> Result<Found, ContainerError> {
        match self.head()? {
            (ROWS, length) if (1..=MAX_ROWS_LEN).contains(&length) => {
                let place = self.content(length)?;
                let lines = self.bytes(&place);
                if lines.last() != Some(&b'\n') {
                    return Err(ContainerError::Damaged);
                }
                section.add(lines);
                self.state = State::InSection(section);
                Ok(Found::Rows(place))
            }
            (SECTION_END, length) => {
                let written: SectionEnd = self.json(length)?;
                let read = section.end();
                if (written.rows, written.sha256) != (read.rows, read.sha256) {
                    return Err(ContainerError::Damaged);
                }
                let section = self.header.sections.get(self.counts.len());
                let table = section.ok_or(ContainerError::Damaged)?.table.clone();
                self.counts.push(TableCount {
                    table,
                    rows: read.rows,
                });
                self.state = State::BetweenSections;
                Ok(Found::SectionEnd)
            }
            _ => Err(ContainerError::Damaged),
        }
    }

    fn end(&mut self) -> Result<Found, ContainerError> {
        let (TRAILER, length) = self.head()? else {
            return Err(ContainerError::Damaged);
        };
        let trailer: Trailer = self.json(length)?;
        if trailer.counts != self.counts || !self.chunks.is_at_end() {
            return Err(ContainerError::Damaged);
        }
        let summary = Summary::new(&self.chunks.totals(), trailer.counts);
        if let Some(manifest) = &self.manifest {
            manifest.check(&self.header, &summary)?;
        }
        self.state = State::Ended(summary);
        Ok(Found::End)
    }

    /// The type and the length of the next record.
    fn head(&mut self) -> Result<(u8, usize), ContainerError> {
        let place = self.content(HEAD_LEN)?;
        match *self.bytes(&place) {
            [kind, a, b, c, d] => Ok((kind, u32::from_be_bytes([a, b, c, d]) as usize)),
            _ => Err(ContainerError::Damaged),
        }
    }

    fn json<T: serde::de::DeserializeOwned>(&mut self, length: usize) -> Result<T, ContainerError> {
        if length > MAX_JSON_LEN {
            return Err(ContainerError::Damaged);
        }
        let place = self.content(length)?;
        serde_json::from_slice(self.bytes(&place)).map_err(|_| ContainerError::Damaged)
    }

    /// The next bytes of the records, which are copied only where they span chunks. Memory grows
    /// with what was read, never with what a length says.
    fn content(&mut self, length: usize) -> Result<Place, ContainerError> {
        if self.chunks.available() >= length {
            return Ok(Place::Chunk(self.chunks.take(length)));
        }
        self.spanning.clear();
        while self.spanning.len() < length {
            if self.chunks.available() == 0 {
                self.chunks.advance()?;
            }
            let range = self.chunks.take(length - self.spanning.len());
            self.spanning.extend_from_slice(self.chunks.bytes(range));
        }
        Ok(Place::Spanning)
    }

    fn bytes(&self, place: &Place) -> &[u8] {
        match place {
            Place::Chunk(range) => self.chunks.bytes(range.clone()),
            Place::Spanning => &self.spanning,
        }
    }

    /// The manifest that belongs to the backup, as it would be written now: after a rotation it may
    /// name another KDF than the one beside the backup. None before [`Event::End`].
    pub fn manifest(&self) -> Result<Option<Manifest>, ContainerError> {
        match &self.state {
            State::Ended(summary) => {
                Manifest::new(&self.header, self.kdf.name(), summary, &self.data_key).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// A backup all of which was read and is authentic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    pub header: Header,
    pub kdf: Kdf,
    pub summary: Summary,
    /// As it would be written now.
    pub manifest: Manifest,
}

/// Reads all of a backup, and the manifest's JSON if there is one, and refuses both if anything is
/// not as it was written.
pub fn verify(
    input: impl Read,
    secret: &Secret,
    manifest: Option<&[u8]>,
) -> Result<Verified, ContainerError> {
    let mut reader = Reader::open(input, secret)?;
    if let Some(json) = manifest {
        reader.expect_manifest(json)?;
    }
    let summary = loop {
        if let Event::End(summary) = reader.next_event()? {
            break summary.clone();
        }
    };
    let manifest = reader.manifest()?.ok_or(ContainerError::Damaged)?;
    Ok(Verified {
        header: reader.header,
        kdf: reader.kdf,
        summary,
        manifest,
    })
}

/// What a backup says of itself, unproven: it was read without a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inspection {
    pub kdf: Kdf,
    pub header: Header,
}

/// Reads envelope and header without a key.
pub fn inspect(mut input: impl Read) -> Result<Inspection, ContainerError> {
    let kdf = Envelope::decode(&envelope::read(&mut input)?)?.kdf;
    let header = Header::parse(&EncodedHeader::read(&mut input)?)?;
    Ok(Inspection { kdf, header })
}
