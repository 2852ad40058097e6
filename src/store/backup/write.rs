//! Making a backup: every table as the calling statement's snapshot shows it.

use std::io::Write;

use memory_core::container::{
    Cipher, Compression, ContainerError, DEFAULT_CHUNK_SIZE, Finished, Header, Manifest,
    Randomness, Secret, Summary, Writer,
};
use serde_json::{Map, Value, json};

use super::contents::{self, Extent, Stored, Table};
use super::{MANIFEST, failure, plain_text, rights};
use crate::pg::copy;
use crate::pg::error::{Error, Result};
use crate::pg::files::{self, NewFile, Place};
use crate::pg::spi::{self, Arg, Planning, Session};
use crate::pg::system;
use crate::store::access::Call;
use crate::store::maintenance::progress::{Phase, Progress};
use crate::store::{events, memory, migrate};

/// What is asked for.
pub struct Wish<'a> {
    /// `None`: the whole store.
    pub project: Option<&'a str>,
    pub include_sensitive: bool,
    pub confirm_sensitive: bool,
    pub verbose: bool,
}

/// A backup that was written.
pub struct Written {
    pub header: Header,
    pub summary: Summary,
    pub manifest: Manifest,
    seconds: f64,
}

/// Rows are handed to the container in blocks of this many bytes.
const BLOCK: usize = 64 * 1024;

/// The frame of a call that makes a backup.
pub fn begin(wish: &Wish<'_>) -> Result<Call> {
    let call = rights::begin(wish.project, "back up")?;
    system::refuse_read_only_transaction(c"memory_backup()");
    if wish.include_sensitive {
        rights::refuse_unconfirmed(wish.confirm_sensitive, "a backup with")?;
    }
    Ok(call)
}

/// Writes a backup and its manifest to the server's file system, both or none.
pub fn to_file(
    call: &Call,
    wish: &Wish<'_>,
    secret: &Secret,
    place: &Place,
    dry_run: bool,
) -> Result<Value> {
    let manifest_place = place.beside(MANIFEST);
    manifest_place.refuse_existing()?;
    let written = if dry_run {
        place.refuse_unwritable()?;
        write(call, wish, secret, std::io::sink(), place.shown())?.1
    } else {
        files::sweep(place);
        let file = NewFile::create(place)?;
        // Before the work, which would be in vain if it cannot be made.
        let mut manifest = NewFile::create(&manifest_place)?;
        let (file, written) = write(call, wish, secret, file, place.shown())?;
        manifest.write_whole(&manifest_json(&written, place.shown())?)?;
        files::publish(file, manifest)?;
        record(call, &written, Some(place.shown()));
        written
    };
    let mut report = written.report();
    report["path"] = place.shown().into();
    report["manifest"] = manifest_place.shown().into();
    report["dry_run"] = dry_run.into();
    Ok(report)
}

pub fn manifest_json(written: &Written, shown: &str) -> Result<Vec<u8>> {
    written
        .manifest
        .to_json()
        .map_err(|error| failure::of(error, shown))
}

/// Writes a backup to `output`; `shown` names it.
pub fn write<W: Write>(
    call: &Call,
    wish: &Wish<'_>,
    secret: &Secret,
    output: W,
    shown: &str,
) -> Result<(W, Written)> {
    let started = system::unix_micros();
    let _settings = plain_text();
    let failed = |error: ContainerError| failure::of(error, shown);
    let tables: Vec<&Table> = contents::tables(wish.project).collect();
    let columns: Vec<Vec<Stored>> = call.sql(|session| {
        lock(call, session, &tables)?;
        Ok(tables
            .iter()
            .map(|table| contents::columns(session, &call.store, table.name))
            .collect())
    })?;
    let header = header(call, wish, &tables, &columns);
    let randomness = Randomness::from(system::random::<{ Randomness::LEN }>());
    let mut writer = Writer::new(output, header.clone(), secret, randomness).map_err(failed)?;
    let progress = Progress::of(Phase::Writing, about(call, wish, &tables));
    let mut done = 0;
    for (table, columns) in tables.iter().zip(&columns) {
        let select = select(call, wish, table, columns);
        writer.start_section(table.name).map_err(failed)?;
        let mut block = Vec::with_capacity(2 * BLOCK);
        let rows = copy::copy_out(&select, &mut |row| {
            block.extend_from_slice(row);
            block.push(b'\n');
            done += 1;
            progress.note(done);
            if block.len() >= BLOCK {
                writer.rows(&block).map_err(failed)?;
                block.clear();
                // One long row is not to be room for all that follow.
                block.shrink_to(2 * BLOCK);
            }
            Ok(())
        })?;
        writer.rows(&block).map_err(failed)?;
        writer.end_section().map_err(failed)?;
        if wish.verbose {
            system::notice(&format!("{}: {rows} rows", table.name));
        }
    }
    let Finished {
        output,
        summary,
        manifest,
    } = writer.finish().map_err(failed)?;
    warn_of_nothing(wish, &summary);
    let written = Written {
        header,
        summary,
        manifest,
        seconds: system::unix_micros().saturating_sub(started) as f64 / 1e6,
    };
    Ok((output, written))
}

/// A project that nobody has used can be backed up, as it can be exported. A name that was misspelt is such a project.
fn warn_of_nothing(wish: &Wish<'_>, summary: &Summary) {
    let mut counts = summary.counts.iter();
    let has_rows = counts.any(|count| count.rows > 0 && contents::is_of_project(&count.table));
    if let Some(project) = wish.project.filter(|_| !has_rows) {
        system::warning(&format!(
            "project {project:?} has nothing to back up: the backup has no row of it"
        ));
    }
}

/// How many rows a backup of the whole store will have by PostgreSQL's statistics, for the progress; 0: not known.
fn about(call: &Call, wish: &Wish<'_>, tables: &[&Table]) -> i64 {
    if wish.project.is_some() {
        return 0;
    }
    let names: Vec<String> = tables.iter().map(|table| table.name.to_owned()).collect();
    let sql =
        "SELECT sum(greatest(reltuples, pg_stat_get_live_tuples(oid), 0))::bigint FROM pg_class
               WHERE relnamespace = $1 AND relname = ANY ($2) AND relkind = 'r'";
    let args = [Arg::oid(call.store.identity.schema_oid), names.into()];
    call.sql(|session| {
        session
            .read(sql, Planning::Generic, &args)
            .get(0, 1)
            .unwrap_or(0)
    })
}

/// Keeps the tables as they are, and makes sure that the snapshot shows what is in them: a table that was truncated or rewritten
/// since looks empty in it.
fn lock(call: &Call, session: &Session, tables: &[&Table]) -> Result<()> {
    let qualified: Vec<String> = tables
        .iter()
        .map(|table| format!("{}.{}", call.store.schema(), table.name))
        .collect();
    session.once(&format!(
        "LOCK TABLE {} IN ACCESS SHARE MODE",
        qualified.join(", ")
    ));
    let names: Vec<String> = tables.iter().map(|table| table.name.to_owned()).collect();
    // The table's row is the snapshot's, the function looks at what is there now.
    let sql = "SELECT string_agg(c.relname, ', ' ORDER BY c.relname) FROM pg_class c
               WHERE c.relnamespace = $1 AND c.relname = ANY ($2) AND c.relkind = 'r' AND c.relfilenode <> pg_relation_filenode(c.oid)";
    let args = [Arg::oid(call.store.identity.schema_oid), names.into()];
    match session
        .read(sql, Planning::Generic, &args)
        .get::<String>(0, 1)
    {
        None => Ok(()),
        Some(names) => Err(Error::version_conflict(format!(
            "rewritten while the backup began: {names}"
        ))
        .hint("Call memory_backup() again.")),
    }
}

fn header(call: &Call, wish: &Wish<'_>, tables: &[&Table], columns: &[Vec<Stored>]) -> Header {
    let (created_at, server_version) = spi::connect(|session| {
        let sql = "SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), current_setting('server_version')";
        let rows = session.read(sql, Planning::Auto, &[]);
        (rows.required(0, 1), rows.required(0, 2))
    });
    Header {
        backup_id: memory::new_id(),
        created_at,
        extension_version: migrate::LIBRARY_VERSION.to_owned(),
        store_version: migrate::version_of(call.store.migration),
        server_version,
        cipher: Cipher::default(),
        chunk_size: DEFAULT_CHUNK_SIZE,
        compression: Compression::None,
        includes_sensitive: wish.include_sensitive,
        project: wish.project.map(str::to_owned),
        sections: tables
            .iter()
            .zip(columns)
            .map(|(table, columns)| contents::section(table, columns))
            .collect(),
    }
}

fn select(call: &Call, wish: &Wish<'_>, table: &Table, columns: &[Stored]) -> String {
    let open = match wish.include_sensitive {
        true => "true",
        false => table.open,
    };
    let mut sql = call.store.sql(&format!(
        "SELECT {} FROM @s@.{} t WHERE {open}",
        contents::list(columns, "t."),
        table.name
    ));
    if let (Some(project), Extent::Project) = (wish.project, table.extent) {
        sql += &format!(" AND t.project_id = {}", system::quoted_literal(project));
    }
    sql
}

/// Leaves a trace: an event, which goes if the caller rolls back, and a line in the server's log, which stays as the file does.
pub fn record(call: &Call, written: &Written, path: Option<&str>) {
    let header = &written.header;
    let payload = json!({
        "backup_id": header.backup_id,
        "project": header.project,
        "includes_sensitive": header.includes_sensitive,
        "path": path,
        "counts": written.counts(),
    });
    system::log_for_operators(format!(
        "memory_ext: role {:?} made backup {} of {}, {} sensitive memories, to {}",
        call.access.role,
        header.backup_id,
        match &header.project {
            Some(project) => format!("project {project:?}"),
            None => "the whole store".to_owned(),
        },
        match header.includes_sensitive {
            true => "with",
            false => "without",
        },
        path.map_or_else(|| "the client".to_owned(), |path| format!("file {path:?}")),
    ));
    call.sql(|session| events::record(call, session, "backup", None, &payload));
}

impl Written {
    fn counts(&self) -> Value {
        counts(&self.summary)
    }

    pub fn report(&self) -> Value {
        json!({
            "backup_id": self.header.backup_id,
            "created_at": self.header.created_at,
            "project": self.header.project,
            "includes_sensitive": self.header.includes_sensitive,
            "size": self.summary.bytes,
            "sha256": self.summary.sha256,
            "counts": self.counts(),
            "seconds": seconds(self.seconds),
        })
    }
}

/// Rows by table.
pub fn counts(summary: &Summary) -> Value {
    let counts: Map<String, Value> = summary
        .counts
        .iter()
        .map(|count| (count.table.clone(), count.rows.into()))
        .collect();
    counts.into()
}

/// To the millisecond.
pub fn seconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}
