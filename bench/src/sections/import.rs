//! A file through memory_import_inbox, beside raw COPY of the same rows into the same table. Neither side has the vectors' index:
//! its build is the same for both, and hides everything else. And the memory of an export, which is where the file comes from.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use postgres::Client;

use crate::corpus::{Corpus, Project, Source, Width};
use crate::options::BenchOptions;
use crate::report::{Line, Report, Target};
use crate::server::{Database, Server, watched};
use crate::{Result, progress, store};

const THROUGHPUT: f64 = 0.6;
const MOST_MEMORY: f64 = 64.0;
const PROJECT: &str = "default";
/// Memories of one memory_add_many while the source is filled.
const CHUNK: usize = 1000;
/// As \copy is told to take lines as they are.
const AS_IT_IS: &str = r"(FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02')";

pub fn measure(
    server: &Server,
    source: &Source,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    let rows = options.import_rows;
    let projects = vec![Project {
        name: PROJECT.to_owned(),
        rows,
    }];
    let corpus = Corpus::new(source, Width::Narrow, projects, options.seed);
    let filled = filled(server, &corpus)?;
    memory_of_export(&filled, report)?;
    for vectors in [false, true] {
        let files = Files::of(&filled, vectors)?;
        let (mut ours, mut raw) = (Vec::new(), Vec::new());
        for turn in 1..=options.restores.max(1) {
            progress(format_args!(
                "importing {rows} memories, vectors: {vectors}, turn {turn}"
            ));
            ours.push(timed(server, &corpus, rows, |client| {
                copy(
                    client,
                    &format!("COPY memory_import_inbox(line) FROM STDIN {AS_IT_IS}"),
                    &files.lines,
                )?;
                client.query_one("SELECT memory_import_inbox()", &[])?;
                Ok(())
            })?);
            raw.push(timed(server, &corpus, rows, |client| {
                copy(client, &files.copy_from, &files.rows)
            })?);
        }
        let per_second = |times: Vec<Duration>| {
            rows as f64 / times.into_iter().min().unwrap_or_default().as_secs_f64()
        };
        let what = if vectors { "with" } else { "without" };
        report.add(
            Line::new(
                format!("import by the inbox, {what} vectors"),
                "rows/s",
                per_second(ours),
            )
            .beside(per_second(raw))
            .target(Target::RatioAtLeast(THROUGHPUT))
            .note(format!(
                "{rows} rows, fastest of {}, \\copy included",
                options.restores.max(1)
            )),
        );
    }
    Ok(())
}

/// A store of the corpus, as it was filled by its agents.
fn filled<'s>(server: &'s Server, corpus: &Corpus) -> Result<Database<'s>> {
    let database = empty(server, "export", corpus)?;
    let mut client = database.connect()?;
    for chunk in corpus.chunks(CHUNK) {
        let rows: Vec<_> = chunk.into_iter().map(|row| corpus.row(row)).collect();
        client.query(
            "SELECT count(*) FROM memory_add_many($1::text::jsonb)",
            &[&store::items(&rows)],
        )?;
    }
    Ok(database)
}

/// A store without the vectors' index.
fn empty<'s>(server: &'s Server, purpose: &str, corpus: &Corpus) -> Result<Database<'s>> {
    let database =
        store::create(server, purpose, corpus.width().dimensions(), "external")?.never_kept();
    database
        .connect()?
        .batch_execute("DROP INDEX ix_memories_embedding_hnsw")?;
    Ok(database)
}

/// Of a session that writes all memories with their vectors, beyond what it has before.
fn memory_of_export(filled: &Database, report: &mut Report) -> Result<()> {
    let mut client = filled.connect()?;
    client.query("SELECT memory_version()", &[])?;
    let (time, peak) = watched(&mut client, |client| {
        let mut reader = client.copy_out(&format!(
            "COPY (SELECT memory_export(include_embeddings => true)) TO STDOUT {AS_IT_IS}"
        ))?;
        std::io::copy(&mut reader, &mut std::io::sink())?;
        Ok(())
    })?;
    report.add(
        Line::new("memory of memory_export", "MB", peak)
            .target(Target::AtMost(MOST_MEMORY))
            .note(format!("with vectors, {:.2} s", time.as_secs_f64())),
    );
    Ok(())
}

/// The same memories as lines, and as COPY gives and takes them.
struct Files {
    lines: Vec<u8>,
    copy_from: String,
    rows: Vec<u8>,
}

impl Files {
    fn of(filled: &Database, vectors: bool) -> Result<Self> {
        let mut client = filled.connect()?;
        let columns: String = client
            .query_one(
                "SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
                 WHERE attrelid = 'memories'::regclass AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
                       AND ($1 OR attname NOT IN ('embedding', 'embedded_hash'))",
                &[&vectors],
            )?
            .get(0);
        let mut read = |statement: &str| -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            client.copy_out(statement)?.read_to_end(&mut bytes)?;
            Ok(bytes)
        };
        Ok(Self {
            lines: read(&format!(
                "COPY (SELECT memory_export(include_embeddings => {vectors})) TO STDOUT {AS_IT_IS}"
            ))?,
            rows: read(&format!(
                "COPY (SELECT {columns} FROM memories ORDER BY created_at, id) TO STDOUT"
            ))?,
            copy_from: format!("COPY memories ({columns}) FROM STDIN"),
        })
    }
}

fn copy(client: &mut Client, statement: &str, bytes: &[u8]) -> Result<()> {
    let mut writer = client.copy_in(statement)?;
    writer.write_all(bytes)?;
    writer.finish()?;
    Ok(())
}

/// How long it takes to fill an empty store, in one transaction.
fn timed(
    server: &Server,
    corpus: &Corpus,
    rows: usize,
    fill: impl FnOnce(&mut Client) -> Result<()>,
) -> Result<Duration> {
    let database = empty(server, "import", corpus)?;
    let mut client = database.connect()?;
    let started = Instant::now();
    client.batch_execute("BEGIN")?;
    fill(&mut client)?;
    client.batch_execute("COMMIT")?;
    let time = started.elapsed();
    let there: i64 = client
        .query_one("SELECT count(*) FROM memories", &[])?
        .get(0);
    match usize::try_from(there)? == rows {
        true => Ok(time),
        false => Err(format!("{there} of {rows} memories came in").into()),
    }
}
