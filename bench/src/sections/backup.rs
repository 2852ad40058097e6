//! memory_backup and memory_restore: time beside COPY and AES, speed of the cipher, memory of the session.

use std::io;
use std::time::{Duration, Instant};

use memory_core::container::{
    Cipher, Column, Compression, DEFAULT_CHUNK_SIZE, Header, Randomness, Secret, Section, Writer,
};

use crate::report::{Line, Report, Target};
use crate::server::{Database, watched};
use crate::{Result, progress};

/// Plaintext that AES handles in a second, at least.
const MEGABYTES_A_SECOND: f64 = 150.0;
const SLOWDOWN: f64 = 1.5;
/// What a backup or a restore may take beside what the session has.
const MEMORY: f64 = 64.0;
/// Of several turns the fastest counts.
const TURNS: usize = 3;

pub fn measure(store: &Database, report: &mut Report) -> Result<()> {
    cipher(report)?;
    let mut client = store.connect()?;
    let files = Files::new(store)?;
    client.execute(
        &format!("COPY (SELECT repeat('5a', 32)) TO '{}'", files.path("key")),
        &[],
    )?;
    let columns: String = client
        .query_one(
            "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
             WHERE attrelid = 'memories'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''",
            &[],
        )?
        .get(0);
    let rows: i64 = client
        .query_one("SELECT count(*) FROM memories", &[])?
        .get(0);
    let (mut ours, mut raw) = (Duration::MAX, Duration::MAX);
    let (mut bytes, mut peak) = (0i64, 0.0f64);
    for turn in 1..=TURNS {
        progress(format_args!("backing up, turn {turn}"));
        let name = files.path(&format!("backup-{turn}"));
        let copy = files.path(&format!("copy-{turn}"));
        // A session of its own, whose memory is that of a backup alone.
        let mut session = store.connect()?;
        session.query("SELECT memory_version()", &[])?;
        let (time, memory) = watched(&mut session, |session| {
            session.query(
                "SELECT memory_backup($1, key_file => $2)",
                &[&name, &files.path("key")],
            )?;
            Ok(())
        })?;
        ours = ours.min(time);
        peak = peak.max(memory);
        let started = Instant::now();
        client.execute(
            &format!("COPY (SELECT {columns} FROM memories) TO '{copy}'"),
            &[],
        )?;
        raw = raw.min(started.elapsed());
        bytes = client
            .query_one("SELECT size FROM pg_stat_file($1)", &[&copy])?
            .get(0);
    }
    let aes = bytes as f64 / 1e6 / MEGABYTES_A_SECOND;
    report.add(
        Line::new("memory_backup", "s", ours.as_secs_f64())
            .beside(raw.as_secs_f64() + aes)
            .target(Target::RatioAtMost(SLOWDOWN))
            .note(format!(
                "{rows} memories, {:.0} MB; baseline: COPY TO a file {:.2} s and {MEGABYTES_A_SECOND} MB/s of AES; fastest of {TURNS}",
                bytes as f64 / 1e6,
                raw.as_secs_f64()
            )),
    );
    report.add(
        Line::new("memory of memory_backup", "MB", peak)
            .target(Target::AtMost(MEMORY))
            .note("highest over the session's before, its part of shared memory apart"),
    );
    restore(store, &files, rows, report)
}

fn restore(store: &Database, files: &Files, rows: i64, report: &mut Report) -> Result<()> {
    progress("restoring");
    let empty = store.server().create("restored")?.never_kept();
    let mut session = empty.connect()?;
    session.batch_execute("CREATE EXTENSION memory_ext CASCADE; SELECT memory_version()")?;
    let (time, peak) = watched(&mut session, |session| {
        session.query(
            "SELECT memory_restore($1, key_file => $2)",
            &[&files.path("backup-1"), &files.path("key")],
        )?;
        Ok(())
    })?;
    let restored: i64 = session
        .query_one("SELECT count(*) FROM memories", &[])?
        .get(0);
    if restored != rows {
        return Err(format!("{rows} memories were backed up, {restored} came back").into());
    }
    report.add(
        Line::new("memory_restore", "s", time.as_secs_f64())
            .note("into an empty database, its vector index built"),
    );
    report.add(
        Line::new("memory of memory_restore", "MB", peak)
            .target(Target::AtMost(MEMORY))
            .note("likewise"),
    );
    Ok(())
}

/// The container alone: rows of 1 KB through hashes and cipher, to nowhere.
fn cipher(report: &mut Report) -> Result<()> {
    progress("the cipher");
    const SIZE: usize = 256 * 1024 * 1024;
    let mut lines: Vec<u8> = (0..64 * 1024)
        .map(|at| b' ' + (at * 31 % 94) as u8)
        .collect();
    lines
        .iter_mut()
        .skip(1023)
        .step_by(1024)
        .for_each(|byte| *byte = b'\n');
    let mut fastest = 0.0;
    for turn in 0..TURNS {
        let header = Header {
            backup_id: "bench".to_owned(),
            created_at: "2000-01-01T00:00:00Z".to_owned(),
            extension_version: env!("CARGO_PKG_VERSION").to_owned(),
            store_version: env!("CARGO_PKG_VERSION").to_owned(),
            server_version: "none".to_owned(),
            cipher: Cipher::default(),
            chunk_size: DEFAULT_CHUNK_SIZE,
            compression: Compression::None,
            includes_sensitive: false,
            project: None,
            sections: vec![Section {
                table: "memories".to_owned(),
                columns: vec![Column {
                    name: "content".to_owned(),
                    type_name: "text".to_owned(),
                }],
            }],
        };
        let secret = Secret::key(&[7; 32])?;
        let randomness = Randomness::from([turn as u8; Randomness::LEN]);
        let started = Instant::now();
        let mut writer = Writer::new(io::sink(), header, &secret, randomness)?;
        writer.start_section("memories")?;
        for _ in 0..SIZE / lines.len() {
            writer.rows(&lines)?;
        }
        writer.end_section()?;
        writer.finish()?;
        fastest = f64::max(fastest, SIZE as f64 / 1e6 / started.elapsed().as_secs_f64());
    }
    report.add(
        Line::new("backup container, cipher and hashes", "MB/s", fastest)
            .target(Target::AtLeast(MEGABYTES_A_SECOND))
            .note(format!("one core, fastest of {TURNS}")),
    );
    Ok(())
}

/// Files of the server, whose user need not be ours; removed again.
struct Files<'d, 's> {
    database: &'d Database<'s>,
    folder: String,
}

impl<'d, 's> Files<'d, 's> {
    fn new(database: &'d Database<'s>) -> Result<Self> {
        let folder = format!("/tmp/memory_bench_backup-{}", std::process::id());
        let files = Self { database, folder };
        files.shell("mkdir -m 700")?;
        Ok(files)
    }

    fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    /// Runs a command with the folder as its argument, as the server's user.
    fn shell(&self, command: &str) -> Result<()> {
        let sql = format!(
            "COPY (SELECT) TO PROGRAM 'cat >/dev/null; {command} {}'",
            self.folder
        );
        Ok(self.database.connect()?.batch_execute(&sql)?)
    }
}

impl Drop for Files<'_, '_> {
    fn drop(&mut self) {
        if let Err(error) = self.shell("rm -r") {
            eprintln!("memory_bench: {} is still there: {error}", self.folder);
        }
    }
}
