//! A backup in pieces, for clients that reach no file of the server: as the rows of a function, and read from a table of the
//! caller's.

use std::io::{self, Read, Write};

use memory_core::container::Manifest;
use pgrx::pg_sys;

use super::read::Source;
use crate::pg::error::{Error, Result};
use crate::pg::owner::AsOwner;
use crate::pg::set::PartSet;
use crate::pg::spi::{self, Cursor, Planning};
use crate::pg::system;

/// What the rows of the container and of the manifest are called.
pub const BACKUP: &str = "backup";
pub const MANIFEST: &str = "manifest";

/// Cuts what is written into rows of one size.
pub struct Parts {
    set: PartSet,
    size: usize,
    rest: Vec<u8>,
    number: i32,
}

impl Parts {
    pub fn new(set: PartSet, size: usize) -> Self {
        Parts {
            set,
            size,
            rest: Vec::with_capacity(size),
            number: 0,
        }
    }

    fn add(&mut self, name: &str, data: &[u8]) -> io::Result<()> {
        self.number = self
            .number
            .checked_add(1)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EFBIG))?;
        self.set.add(self.number, name, data);
        Ok(())
    }

    /// The last rows: what is left of the container, then the manifest.
    pub fn finish(mut self, manifest: &[u8]) -> io::Result<PartSet> {
        if !self.rest.is_empty() {
            let rest = std::mem::take(&mut self.rest);
            self.add(BACKUP, &rest)?;
        }
        self.add(MANIFEST, manifest)?;
        Ok(self.set)
    }
}

impl Write for Parts {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        system::check_for_interrupts();
        let taken = bytes.len().min(self.size - self.rest.len());
        self.rest.extend_from_slice(&bytes[..taken]);
        if self.rest.len() == self.size {
            let full = std::mem::take(&mut self.rest);
            self.add(BACKUP, &full)?;
            self.rest = full;
            self.rest.clear();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A table, or a view, of the caller's with the columns part, name and data. It is read with the caller's rights, whoever the
/// rest of the call runs as.
pub struct Relation {
    caller: pg_sys::Oid,
    /// Qualified and quoted.
    name: String,
    shown: String,
    manifest: Option<Vec<u8>>,
}

impl Relation {
    /// Finds the relation as the caller's search path does, so this comes before the call's frame; it is read later.
    pub fn find(name: &str) -> Result<Self> {
        let caller = system::current_role();
        let (qualified, columns): (Option<String>, i64) = spi::connect(|session| {
            let sql = "SELECT format('%I.%I', n.nspname, c.relname),
                              (SELECT count(*) FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
                                      AND a.attname IN ('part', 'name', 'data'))
                       FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = pg_catalog.to_regclass($1)";
            let rows = session.read(sql, Planning::Auto, &[name.into()]);
            (rows.get(0, 1), rows.get(0, 2).unwrap_or(0))
        });
        const SHAPE: &str = "Make it with: CREATE TEMPORARY TABLE parts (part integer PRIMARY KEY, name text, data bytea), and fill it with the rows of memory_backup_stream().";
        let Some(qualified) = qualified else {
            return Err(Error::argument(format!("there is no table {name:?}")).hint(SHAPE));
        };
        if columns != 3 {
            return Err(Error::argument(format!(
                "table {name:?} lacks one of the columns part, name and data"
            ))
            .hint(SHAPE));
        }
        Ok(Relation {
            caller,
            name: qualified,
            shown: name.to_owned(),
            manifest: None,
        })
    }

    /// Reads the manifest, if there is one, so that it stays what it is.
    pub fn read_manifest(mut self) -> Result<Self> {
        let mut reader = self.rows(MANIFEST);
        let mut json = Vec::new();
        let limit = Manifest::MAX_LEN as u64 + 1;
        reader
            .by_ref()
            .take(limit)
            .read_to_end(&mut json)
            .map_err(|error| crate::pg::files::failure("read table", &self.shown, &error))?;
        self.manifest = (reader.found).then_some(json);
        Ok(self)
    }

    fn rows(&self, name: &str) -> PartReader {
        let _caller = AsOwner::enter(self.caller);
        let sql = format!(
            "SELECT data::pg_catalog.bytea FROM {} WHERE name = {} ORDER BY part",
            self.name,
            system::quoted_literal(name)
        );
        PartReader {
            caller: self.caller,
            cursor: Cursor::open(&sql),
            current: Vec::new(),
            at: 0,
            found: false,
        }
    }
}

impl Source for Relation {
    fn reader(&mut self) -> Result<Box<dyn Read + '_>> {
        Ok(Box::new(self.rows(BACKUP)))
    }

    fn manifest(&self) -> Option<&[u8]> {
        self.manifest.as_deref()
    }

    fn shown(&self) -> &str {
        &self.shown
    }
}

/// The data of one row after the other.
struct PartReader {
    caller: pg_sys::Oid,
    cursor: Cursor,
    current: Vec<u8>,
    at: usize,
    /// Whether there was any row.
    found: bool,
}

impl Read for PartReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.current.len() {
            system::check_for_interrupts();
            let _caller = AsOwner::enter(self.caller);
            let next = self.cursor.fetch(1, |rows| {
                (!rows.is_empty()).then(|| rows.get::<Vec<u8>>(0, 1).unwrap_or_default())
            });
            let Some(next) = next else {
                return Ok(0);
            };
            self.found = true;
            self.current = next;
            self.at = 0;
        }
        let length = buffer.len().min(self.current.len() - self.at);
        buffer[..length].copy_from_slice(&self.current[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}
