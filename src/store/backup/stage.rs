//! The rows of a backup in temporary tables, where they are compared with the store's.

use memory_core::container::{Event, Reader, Secret, Section};
use memory_core::copy_text;

use super::contents::{self, Extent, Merge, Stored, Table};
use super::read::{Checked, Source};
use super::{failure, plain_text, rights};
use crate::pg::copy;
use crate::pg::error::{Error, Result};
use crate::pg::owner::{MayMakeTemporaryTables, SettingScope};
use crate::pg::system;
use crate::store::access::Call;

/// What of a backup is to come back.
pub struct Scope<'a> {
    /// `None`: all projects.
    pub project: Option<&'a str>,
    pub grants: bool,
}

impl Scope<'_> {
    /// Why a table does not come back.
    fn leaves_out(&self, table: &Table, audit: bool) -> Option<&'static str> {
        match table {
            _ if table.extent == Extent::Store && self.project.is_some() => {
                Some("it belongs to the whole store")
            }
            _ if table.merge == Merge::Grants && !self.grants => Some("include_grants is false"),
            _ if table.is_audit && !audit => Some("the audit trail is for admins of every project"),
            _ => None,
        }
    }
}

/// The rows of a verified backup that would come back where there is no store yet.
pub fn count(
    source: &mut dyn Source,
    secret: &Secret,
    scope: &Scope<'_>,
) -> Result<Vec<(&'static Table, u64)>> {
    let shown = source.shown().to_owned();
    let mut reader =
        Reader::open(source.reader()?, secret).map_err(|error| failure::of(error, &shown))?;
    let mut counts = Vec::new();
    // The table that is counted, and the field that says whose a row is.
    let mut current: Option<(Option<(usize, &str)>, u64)> = None;
    loop {
        let event = reader
            .next_event()
            .map_err(|error| failure::of(error, &shown))?;
        match event {
            Event::SectionStart(section) => {
                let table = known(section)?;
                let project = scope.project.filter(|_| table.extent == Extent::Project);
                let place = section
                    .columns
                    .iter()
                    .position(|column| column.name == "project_id");
                let of_project = match project {
                    Some(project) => Some((place.ok_or_else(failure::damaged)?, project)),
                    None => None,
                };
                current = match scope.leaves_out(table, true) {
                    Some(_) => None,
                    None => Some((of_project, 0)),
                };
            }
            Event::Rows(lines) => {
                if let Some((of_project, rows)) = &mut current {
                    for line in lines.split_inclusive(|byte| *byte == b'\n') {
                        *rows += u64::from(is_of(line, *of_project)?);
                    }
                }
            }
            Event::SectionEnd(count) => {
                if let (Some((_, rows)), Some(table)) =
                    (current.take(), contents::of_name(&count.table))
                {
                    counts.push((table, rows));
                }
            }
            Event::End(_) => return Ok(counts),
        }
    }
}

/// A table's rows.
pub struct Staged {
    pub table: &'static Table,
    /// Those of the backup, in its order.
    pub columns: Vec<Stored>,
    pub rows: u64,
    /// Whether the backup has such a table; if not, nothing is known of its rows.
    pub present: bool,
}

/// The temporary tables; they go at the end of the restore, or of its transaction.
pub struct Stages {
    /// In front of a table's name, with the schema.
    pub prefix: String,
    pub tables: Vec<Staged>,
    /// Tables with rows in the backup that do not come back, and why.
    pub left_out: Vec<(&'static str, &'static str)>,
}

/// Reads a verified backup again, from the same source, into temporary tables.
pub fn fill(
    call: &Call,
    source: &mut dyn Source,
    secret: &Secret,
    checked: &Checked,
    scope: &Scope<'_>,
    verbose: bool,
) -> Result<Stages> {
    let _settings = plain_text();
    let shown = source.shown().to_owned();
    let failed = |error| failure::of(error, &shown);
    let number = u32::from_ne_bytes(system::random());
    let mut stages = Stages {
        prefix: format!("pg_temp.restore_{number:08x}_"),
        tables: Vec::new(),
        left_out: Vec::new(),
    };
    let audit = rights::may_do_all(&call.store, call.access.caller());
    let mut reader = Reader::open(source.reader()?, secret).map_err(failed)?;
    loop {
        match reader.next_event().map_err(failed)? {
            Event::SectionStart(section) => {
                let section = section.clone();
                let table = known(&section)?;
                let reason = scope.leaves_out(table, audit);
                let (staged, rows) = match reason {
                    Some(_) => (None, skip(&mut reader, &shown)?),
                    None => {
                        let staged = stages.create(call, table, Some(&section))?;
                        let project = scope.project.filter(|_| table.extent == Extent::Project);
                        let rows =
                            load(call, &stages.prefix, &staged, project, &mut reader, &shown)?;
                        (Some(staged), rows)
                    }
                };
                if let Some(reason) = reason.filter(|_| rows > 0) {
                    stages.left_out.push((table.name, reason));
                }
                if verbose {
                    match reason {
                        None => system::notice(&format!("{}: {rows} rows read", table.name)),
                        Some(reason) => {
                            system::notice(&format!("{}: left out, {reason}", table.name))
                        }
                    }
                }
                stages
                    .tables
                    .extend(staged.map(|staged| Staged { rows, ..staged }));
            }
            Event::End(summary) if *summary == checked.summary => break,
            // Not the backup that was verified, though it is whole: somebody changed it meanwhile.
            _ => return Err(failure::damaged()),
        }
    }
    for table in contents::tables(scope.project) {
        let wanted = (table.merge != Merge::Grants || scope.grants) && (!table.is_audit || audit);
        if wanted && stages.of(table.name).is_none() {
            let staged = stages.create(call, table, None)?;
            stages.tables.push(staged);
        }
    }
    stages.analyze(call);
    Ok(stages)
}

fn known(section: &Section) -> Result<&'static Table> {
    contents::of_name(&section.table).ok_or_else(|| {
        Error::state(format!(
            "the backup has a table {:?}, which this version does not know",
            section.table
        ))
        .hint("Install the version of memory_ext that it was made with, or a later one.")
    })
}

impl Stages {
    pub fn of(&self, table: &str) -> Option<&Staged> {
        self.tables.iter().find(|staged| staged.table.name == table)
    }

    /// Makes a table for a section's columns, or for all that the store's table has.
    fn create(
        &self,
        call: &Call,
        table: &'static Table,
        section: Option<&Section>,
    ) -> Result<Staged> {
        let mut stored = call.sql(|session| contents::columns(session, &call.store, table.name));
        if let Some(section) = section {
            let mut of_section = Vec::with_capacity(section.columns.len());
            for column in &section.columns {
                let place = stored.iter().position(|stored| stored.name == column.name);
                let Some(place) = place else {
                    return Err(Error::state(format!(
                        "the backup has a column {:?} of {}, which the store's table has not",
                        column.name, table.name
                    ))
                    .hint(format!(
                        "Add it: ALTER TABLE {} ADD COLUMN, of type {}.",
                        table.name, column.type_name
                    )));
                };
                of_section.push(stored.swap_remove(place));
            }
            stored = of_section;
        }
        let sql = call.store.sql(&format!(
            "CREATE TEMPORARY TABLE {}{} ON COMMIT DROP AS SELECT {} FROM @s@.{} WITH NO DATA",
            self.prefix,
            table.name,
            contents::list(&stored, ""),
            table.name
        ));
        let _temporary = MayMakeTemporaryTables::enter();
        call.sql(|session| session.once(&sql));
        Ok(Staged {
            table,
            columns: stored,
            rows: 0,
            present: section.is_some(),
        })
    }

    /// So that joins are planned for what is there. A small sample will do, and rows are wide.
    fn analyze(&self, call: &Call) {
        let settings = SettingScope::open();
        settings.set(c"default_statistics_target", "10");
        call.sql(|session| {
            for staged in self.tables.iter().filter(|staged| staged.rows > 0) {
                session.once(&format!("ANALYZE {}{}", self.prefix, staged.table.name));
            }
        });
    }

    pub fn drop(&self, call: &Call) {
        call.sql(|session| {
            for staged in &self.tables {
                session.once(&format!("DROP TABLE {}{}", self.prefix, staged.table.name));
            }
        });
    }
}

type BoxedReader<'s> = Reader<Box<dyn std::io::Read + 's>>;

/// Passes over a section; how many rows it has.
fn skip(reader: &mut BoxedReader<'_>, shown: &str) -> Result<u64> {
    loop {
        match reader
            .next_event()
            .map_err(|error| failure::of(error, shown))?
        {
            Event::Rows(_) => (),
            Event::SectionEnd(count) => return Ok(count.rows),
            Event::SectionStart(_) | Event::End(_) => return Err(failure::damaged()),
        }
    }
}

/// Loads a section, or what of it is a project's; how many rows came in.
fn load(
    call: &Call,
    prefix: &str,
    staged: &Staged,
    project: Option<&str>,
    reader: &mut BoxedReader<'_>,
    shown: &str,
) -> Result<u64> {
    let relation = call.sql(|session| {
        let name = format!("{prefix}{}", staged.table.name);
        session
            .once_with("SELECT $1::regclass::oid", &[name.as_str().into()])
            .required(0, 1)
    });
    let place = match project {
        None => None,
        Some(project) => {
            let at = |column: &Stored| column.name == "project_id";
            let place = staged.columns.iter().position(at);
            Some((place.ok_or_else(failure::damaged)?, project))
        }
    };
    let mut lines = Lines {
        reader,
        shown,
        of_project: place,
        ready: Vec::new(),
        at: 0,
        rows: 0,
        ended: false,
    };
    let rows = copy::copy_in(relation, &mut |buffer| lines.fill(buffer))?;
    // COPY stops at an end-of-data marker, which no backup of ours has.
    if !lines.ended || rows != lines.rows {
        return Err(failure::damaged());
    }
    Ok(rows)
}

/// A section as the stream of bytes that COPY reads.
struct Lines<'r, 's, 'a> {
    reader: &'r mut BoxedReader<'s>,
    shown: &'a str,
    /// The field that says whose a row is, and whose rows are wanted.
    of_project: Option<(usize, &'a str)>,
    ready: Vec<u8>,
    at: usize,
    rows: u64,
    ended: bool,
}

impl Lines<'_, '_, '_> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize> {
        while self.at == self.ready.len() {
            if self.ended {
                return Ok(0);
            }
            self.ready.clear();
            self.at = 0;
            let event = self
                .reader
                .next_event()
                .map_err(|error| failure::of(error, self.shown))?;
            match event {
                Event::Rows(lines) => {
                    for line in lines.split_inclusive(|byte| *byte == b'\n') {
                        if is_of(line, self.of_project)? {
                            self.ready.extend_from_slice(line);
                            self.rows += 1;
                        }
                    }
                }
                Event::SectionEnd(_) => self.ended = true,
                Event::SectionStart(_) | Event::End(_) => return Err(failure::damaged()),
            }
        }
        let length = buffer.len().min(self.ready.len() - self.at);
        buffer[..length].copy_from_slice(&self.ready[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

fn is_of(line: &[u8], project: Option<(usize, &str)>) -> Result<bool> {
    let Some((place, project)) = project else {
        return Ok(true);
    };
    match copy_text::fields(line).nth(place) {
        Some(Ok(field)) => Ok(field.as_deref() == Some(project)),
        _ => Err(failure::damaged()),
    }
}
