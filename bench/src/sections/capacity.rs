//! What a store takes: bytes of a memory by table and index, of a version and of an event, of a dump and of a session; how long the vector
//! index is built and how long a search takes. docs/operations.md shows the figures.

use std::time::{Duration, Instant};

use postgres::Client;

use super::K;
use crate::corpus::{Corpus, SHARES, Source, Width, share_name, skewed_projects};
use crate::options::CapacityOptions;
use crate::report::{Line, Report};
use crate::server::{Database, Server, private_memory};
use crate::stats::percentile_ms;
use crate::{Result, progress, store};

const MEGABYTE: f64 = 1024.0 * 1024.0;
/// Memories that are changed to see what a version and an event take.
const CHANGED: i64 = 1000;
const WARM_UP: usize = 20;
const QUERIES: usize = 200;

pub fn run(options: &CapacityOptions) -> Result<Report> {
    let server = Server::new(&options.connection)?;
    let source = Source::open(&options.data, options.seed)?;
    let mut report = Report::default();
    server.describe(&mut report)?;
    report.describe("data", &source.origin);
    for rows in &options.rows {
        measure(&server, &source, Width::Narrow, *rows, options, &mut report)?;
    }
    for rows in &options.wide_rows {
        measure(&server, &source, Width::Wide, *rows, options, &mut report)?;
    }
    Ok(report)
}

fn measure(
    server: &Server,
    source: &Source,
    width: Width,
    rows: usize,
    options: &CapacityOptions,
    report: &mut Report,
) -> Result<()> {
    let projects = skewed_projects(rows, 200);
    let corpus = Corpus::new(source, width, projects, options.seed);
    let database = store::create(server, "capacity", width.dimensions(), "external")?;
    let mut client = database.connect()?;
    // Filled without the vector index, which is built behind, as for a large import.
    let definition: String = client
        .query_one(
            "SELECT pg_get_indexdef('ix_memories_embedding_hnsw'::regclass)",
            &[],
        )?
        .get(0);
    client.batch_execute("DROP INDEX ix_memories_embedding_hnsw")?;
    store::load(&mut client, &corpus)?;
    progress("building the vector index");
    client.batch_execute(&format!(
        "SET maintenance_work_mem = '{}'",
        options.maintenance_work_mem
    ))?;
    let started = Instant::now();
    client.batch_execute(&definition)?;
    let built = started.elapsed();
    client.batch_execute("VACUUM (ANALYZE) memories")?;
    client.batch_execute("CHECKPOINT")?;

    let mut add = |what: &str, unit: &'static str, value: f64| {
        report.add(Line::new(
            format!("{} d, {rows} rows: {what}", width.dimensions()),
            unit,
            value,
        ));
    };
    let a_row = |client: &mut Client, size: &str| -> Result<f64> {
        let sql = format!("SELECT ({size})::float8 / count(*) FROM memories");
        Ok(client.query_one(&sql, &[])?.get(0))
    };
    add(
        "content",
        "bytes",
        a_row(&mut client, "sum(octet_length(content))")?,
    );
    add(
        "a row with its vector",
        "bytes",
        a_row(&mut client, "pg_table_size('memories')")?,
    );
    let indexes = client.query(
        "SELECT indexrelid::regclass::text, pg_relation_size(indexrelid)::float8 FROM pg_index WHERE indrelid = 'memories'::regclass ORDER BY 2 DESC",
        &[],
    )?;
    let mut others = 0.0;
    for index in &indexes {
        let (name, bytes): (String, f64) = (index.get(0), index.get(1));
        add(&format!("index {name}"), "bytes", bytes / rows as f64);
        others += if name.contains("hnsw") { 0.0 } else { bytes };
    }
    add("all other indexes", "bytes", others / rows as f64);
    let all: f64 = client.query_one(
        "SELECT sum(pg_total_relation_size(c.oid))::float8 FROM pg_class c WHERE c.relkind = 'r' AND c.relname ~ '^(memor|embedding_cache|vote_|session_progress|feature_tracker)'",
        &[],
    )?.get(0);
    let tables: f64 = client
        .query_one("SELECT pg_table_size('memories')::float8", &[])?
        .get(0);
    add("all of the store", "MB", all / MEGABYTE);
    let vectors: f64 = client
        .query_one(
            "SELECT pg_relation_size('ix_memories_embedding_hnsw')::float8",
            &[],
        )?
        .get(0);
    add("vector index", "MB", vectors / MEGABYTE);
    add("build of the vector index", "s", built.as_secs_f64());
    let (times, session) = searches(&database, &corpus)?;
    add(
        "search, half of the rows, p50",
        "ms",
        percentile_ms(&times, 50.0),
    );
    add(
        "search, half of the rows, p95",
        "ms",
        percentile_ms(&times, 95.0),
    );
    add(
        "session before its first search",
        "MB",
        session.0 as f64 / MEGABYTE,
    );
    add(
        "session after its first search",
        "MB",
        session.1 as f64 / MEGABYTE,
    );
    add(
        "pg_dump -F c, share of the table",
        "%",
        100.0 * dumped(&database)? / tables,
    );

    client.execute(
        "SELECT count(memory_update(id, metadata => '{\"checked\": true}', project_id => project_id)) FROM (SELECT id, project_id FROM memories LIMIT $1) AS those",
        &[&CHANGED],
    )?;
    for (table, what) in [
        ("memory_history", "a superseded version"),
        ("memory_events", "an event"),
    ] {
        let sql = format!(
            "SELECT pg_total_relation_size('{table}')::float8 / count(*), count(*) FROM {table}"
        );
        let row = client.query_one(&sql, &[])?;
        if row.get::<_, i64>(1) < CHANGED {
            return Err(format!("{CHANGED} changes left fewer rows in {table}").into());
        }
        add(what, "bytes", row.get(0));
    }
    Ok(())
}

/// Times of searches by text and vector in the project that has half of the rows, and a session's own memory before and behind the first.
fn searches(database: &Database, corpus: &Corpus) -> Result<(Vec<Duration>, (u64, u64))> {
    let mut client = database.connect()?;
    let process: i32 = client.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    let before = private_memory(process)?;
    let search = client.prepare(&format!(
        "SELECT id FROM memory_search($1, k => {K}, embedding => $2, project_id => $3)"
    ))?;
    let (mut times, mut after) = (Vec::with_capacity(QUERIES), before);
    for number in 0..WARM_UP + QUERIES {
        let query = corpus.query(&share_name(SHARES[0]), number);
        let started = Instant::now();
        let found = client.query(&search, &[&query.text, &query.vector, &query.project])?;
        let time = started.elapsed();
        if found.len() != K {
            return Err(format!("a search found {} of {K} rows", found.len()).into());
        }
        match number {
            0 => after = private_memory(process)?,
            _ if number < WARM_UP => {}
            _ => times.push(time),
        }
    }
    Ok((times, (before, after)))
}

/// Bytes of a dump as memory-backup.sh makes it.
fn dumped(database: &Database) -> Result<f64> {
    let output = database
        .server()
        .program("pg_dump")?
        .args(["-F", "c", "-Z", "6", "-t", "memories"])
        .arg(database.name())
        .output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(output.stdout.len() as f64)
}
