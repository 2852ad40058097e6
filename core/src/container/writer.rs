//! Writing a backup, a piece at a time.

use std::io::Write;

use super::chunk::ChunkWriter;
use super::envelope::{Envelope, Randomness};
use super::error::ContainerError;
use super::header::{Header, MAX_JSON_LEN};
use super::kdf::{Argon2Cost, Kdf};
use super::keys::DataKey;
use super::manifest::Manifest;
use super::record::{
    BLOCK_LEN, MAX_ROWS_LEN, ROWS, SECTION_END, SECTION_START, SectionTally, Summary, TRAILER,
    TableCount, Trailer,
};
use super::secret::Secret;

/// Writes a backup: every section of the header in its order, each with `start_section`, any number
/// of `rows` and `end_section`; then `finish`. The bytes written depend on the rows only, not on how
/// they were cut into calls.
///
/// Holds one chunk, 64 KiB of rows, and the whole of a line that is longer. A backup that was not
/// finished, or whose writing failed, is refused by every reader.
pub struct Writer<W> {
    chunks: ChunkWriter<W>,
    header: Header,
    kdf: Kdf,
    data_key: DataKey,
    /// Of the sections that ended.
    counts: Vec<TableCount>,
    section: Option<SectionTally>,
    /// Lines that are not in a record yet; the first `complete` bytes are whole lines.
    pending: Vec<u8>,
    complete: usize,
}

/// What there is when a backup is written.
#[derive(Debug)]
pub struct Finished<W> {
    pub output: W,
    pub summary: Summary,
    /// To be written beside the backup.
    pub manifest: Manifest,
}

impl<W: Write> Writer<W> {
    /// Writes envelope and header. A passphrase takes 19 MiB of memory and some 50 ms
    /// ([`Argon2Cost::default`]).
    pub fn new(
        output: W,
        header: Header,
        secret: &Secret,
        randomness: Randomness,
    ) -> Result<Self, ContainerError> {
        Self::with_cost(output, header, secret, Argon2Cost::default(), randomness)
    }

    pub(super) fn with_cost(
        output: W,
        header: Header,
        secret: &Secret,
        cost: Argon2Cost,
        randomness: Randomness,
    ) -> Result<Self, ContainerError> {
        let Randomness { data_key, wrap } = randomness;
        let data_key = DataKey(data_key);
        let encoded = header.encode(&data_key)?;
        let envelope = Envelope::seal(&data_key, secret, cost, &wrap)?;
        Ok(Self {
            chunks: ChunkWriter::new(
                output,
                &envelope.encode()?,
                &encoded,
                header.chunk_size,
                &data_key,
            )?,
            header,
            kdf: envelope.kdf,
            data_key,
            counts: Vec::new(),
            section: None,
            pending: Vec::new(),
            complete: 0,
        })
    }

    /// Starts the header's next section, which must be that of `table`.
    pub fn start_section(&mut self, table: &str) -> Result<(), ContainerError> {
        self.expect_between_sections()?;
        let Some(section) = self.header.sections.get(self.counts.len()) else {
            return Err(order(format!(
                "the section {table:?} is not in the header, which has no more"
            )));
        };
        if section.table != table {
            return Err(order(format!(
                "the section {table:?} starts, expected {:?}",
                section.table
            )));
        }
        let json = json(section)?;
        self.record(SECTION_START, &json)?;
        self.section = Some(SectionTally::default());
        Ok(())
    }

    /// Adds rows as COPY text lines. The bytes may be cut anywhere; they are not looked into but for
    /// newlines.
    pub fn rows(&mut self, mut lines: &[u8]) -> Result<(), ContainerError> {
        let Some(section) = &mut self.section else {
            return Err(order("rows outside a section".to_owned()));
        };
        section.add(lines);
        while !lines.is_empty() {
            // A full block without a whole line in it is the start of a long line: it goes on to the
            // line's end.
            let wanted = match BLOCK_LEN.checked_sub(self.pending.len()) {
                Some(room) if room > 0 => room.min(lines.len()),
                _ => line_end(lines).unwrap_or(lines.len()),
            };
            let (now, later) = lines.split_at(wanted);
            if now.len() > MAX_ROWS_LEN - self.pending.len() {
                self.chunks.fail();
                return Err(ContainerError::LineTooLong {
                    limit: MAX_ROWS_LEN,
                });
            }
            if let Some(end) = last_line_end(now) {
                self.complete = self.pending.len() + end;
            }
            self.pending.extend_from_slice(now);
            lines = later;
            if self.pending.len() >= BLOCK_LEN {
                self.write_complete_lines()?;
            }
        }
        Ok(())
    }

    /// Ends the section; its last line must be whole. Gives its number of rows.
    pub fn end_section(&mut self) -> Result<u64, ContainerError> {
        let Some(section) = &self.header.sections.get(self.counts.len()) else {
            return Err(order("no section to end".to_owned()));
        };
        let table = section.table.clone();
        if self.section.is_some() && self.complete < self.pending.len() {
            return Err(order(format!(
                "the section {table:?} ends inside a line, expected a newline"
            )));
        }
        let Some(tally) = self.section.take() else {
            return Err(order("no section to end".to_owned()));
        };
        self.write_complete_lines()?;
        let end = tally.end();
        let json = json(&end)?;
        self.record(SECTION_END, &json)?;
        self.counts.push(TableCount {
            table,
            rows: end.rows,
        });
        Ok(end.rows)
    }

    /// Writes the end. Nothing is synced to disk: that is the output's matter.
    pub fn finish(mut self) -> Result<Finished<W>, ContainerError> {
        self.expect_between_sections()?;
        if let Some(missing) = self.header.sections.get(self.counts.len()) {
            return Err(order(format!(
                "the backup ends without the section {:?}",
                missing.table
            )));
        }
        let trailer = Trailer {
            counts: self.counts,
        };
        write_record(&mut self.chunks, TRAILER, &json(&trailer)?)?;
        let (output, totals) = self.chunks.finish()?;
        let summary = Summary::new(&totals, trailer.counts);
        let manifest = Manifest::new(&self.header, self.kdf.name(), &summary, &self.data_key)?;
        Ok(Finished {
            output,
            summary,
            manifest,
        })
    }

    /// The output, so that an output in memory can be emptied on the way.
    pub fn output(&mut self) -> &mut W {
        self.chunks.output()
    }

    fn expect_between_sections(&self) -> Result<(), ContainerError> {
        match (&self.section, self.header.sections.get(self.counts.len())) {
            (Some(_), Some(open)) => {
                Err(order(format!("the section {:?} has not ended", open.table)))
            }
            _ => Ok(()),
        }
    }

    fn write_complete_lines(&mut self) -> Result<(), ContainerError> {
        if self.complete > 0 {
            write_record(&mut self.chunks, ROWS, &self.pending[..self.complete])?;
            self.pending.drain(..self.complete);
            self.complete = 0;
        }
        Ok(())
    }

    fn record(&mut self, kind: u8, content: &[u8]) -> Result<(), ContainerError> {
        write_record(&mut self.chunks, kind, content)
    }
}

fn write_record<W: Write>(
    chunks: &mut ChunkWriter<W>,
    kind: u8,
    content: &[u8],
) -> Result<(), ContainerError> {
    let [a, b, c, d] = (content.len() as u32).to_be_bytes();
    chunks.write(&[kind, a, b, c, d])?;
    chunks.write(content)
}

fn json(value: &impl serde::Serialize) -> Result<Vec<u8>, ContainerError> {
    let json = serde_json::to_vec(value).map_err(std::io::Error::from)?;
    if json.len() > MAX_JSON_LEN {
        return Err(ContainerError::Header(format!(
            "the description of the sections has {} bytes, over the limit of {MAX_JSON_LEN}",
            json.len()
        )));
    }
    Ok(json)
}

fn line_end(lines: &[u8]) -> Option<usize> {
    Some(lines.iter().position(|byte| *byte == b'\n')? + 1)
}

fn last_line_end(lines: &[u8]) -> Option<usize> {
    Some(lines.iter().rposition(|byte| *byte == b'\n')? + 1)
}

fn order(problem: String) -> ContainerError {
    ContainerError::Order(problem)
}
