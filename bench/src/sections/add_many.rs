//! memory_add_many, beside a raw INSERT of many rows into the plain table.

use std::time::Instant;

use pgvector::Vector;

use super::add::Rate;
use crate::corpus::{Corpus, Row};
use crate::options::BenchOptions;
use crate::report::{Line, Report, Target};
use crate::server::Database;
use crate::{Result, plain, progress, store};

const THROUGHPUT: f64 = 0.9;
/// Numbers of fresh rows that no other section takes.
const STREAM: usize = 900_000;

pub fn measure(
    store: &Database,
    plain: &Database,
    corpus: &Corpus,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    progress(format_args!(
        "memory_add_many, {} batches of {}",
        options.batches, options.batch
    ));
    let (mut ours, mut raw) = (store.connect()?, plain.connect()?);
    for client in [&mut ours, &mut raw] {
        client.batch_execute(&format!(
            "SET synchronous_commit = {}",
            options.synchronous_commit
        ))?;
    }
    let add_many =
        ours.prepare("SELECT * FROM memory_add_many($1::text::jsonb, project_id => $2)")?;
    let insert = raw.prepare(&format!(
        "INSERT INTO memories ({}) SELECT {} FROM unnest($1::text[], $3::text[], $4::vector[]) AS row (id, content, embedding)",
        plain::WRITTEN_COLUMNS,
        plain::written_values("row.id", "$2::text", "row.content", "row.embedding", corpus.width().dimensions())
    ))?;
    let mut fresh = corpus.fresh(STREAM);
    let mut rng = fastrand::Rng::with_seed(options.seed);
    let (mut our_rate, mut raw_rate) = (Rate::default(), Rate::default());
    // The first batch of each side warms up.
    for batch in 0..=options.batches {
        let rows = fresh.next_batch(options.batch);
        let items = store::items(&rows);
        let started = Instant::now();
        let added = ours.query(&add_many, &[&items, &rows[0].project])?;
        let our_time = started.elapsed();
        if added.iter().any(|row| row.get("deduplicated")) {
            return Err("memory_add_many took a new memory for a duplicate".into());
        }

        let rows = fresh.next_batch(options.batch);
        let ids: Vec<String> = rows.iter().map(|_| plain::new_id(&mut rng)).collect();
        let contents: Vec<&str> = rows.iter().map(|row| row.content.as_str()).collect();
        let vectors: Vec<Vector> = rows
            .iter()
            .map(|row: &Row| Vector::from(row.vector.clone()))
            .collect();
        let started = Instant::now();
        raw.execute(&insert, &[&ids, &rows[0].project, &contents, &vectors])?;
        let raw_time = started.elapsed();
        if batch > 0 {
            our_rate.add((options.batch, our_time));
            raw_rate.add((options.batch, raw_time));
        }
    }
    report.add(
        Line::new(
            format!("memory_add_many, batches of {}", options.batch),
            "rows/s",
            our_rate.per_second(),
        )
        .beside(raw_rate.per_second())
        .target(Target::RatioAtLeast(THROUGHPUT))
        .note(format!("synchronous_commit {}", options.synchronous_commit)),
    );
    Ok(())
}
