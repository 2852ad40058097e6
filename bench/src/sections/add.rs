//! memory_add, beside a raw INSERT into the plain table.

use std::time::{Duration, Instant};

use pgvector::Vector;
use postgres::{Client, Statement};

use crate::corpus::{Corpus, Fresh};
use crate::options::BenchOptions;
use crate::plain;
use crate::report::{Line, Report, Target};
use crate::server::Database;
use crate::{Result, progress};

const THROUGHPUT: f64 = 0.8;
/// The sides take turns of this length, so that what slows the machine slows both.
const TURN: Duration = Duration::from_secs(2);

pub fn measure(
    store: &Database,
    plain: &Database,
    corpus: &Corpus,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    let turns = (Duration::from_secs(options.write_seconds).as_millis() / TURN.as_millis()).max(1);
    for (run, &clients) in options.clients.iter().enumerate() {
        progress(format_args!("memory_add, {clients} clients"));
        let before = [memories(store)?, memories(plain)?];
        let streams = |side: usize| (2 * run + side) * 1000..(2 * run + side) * 1000 + clients;
        let mut ours = writers(store, Kind::MemoryAdd, corpus, streams(0), options)?;
        let mut raw = writers(plain, Kind::RawInsert, corpus, streams(1), options)?;
        // Plans, caches and connections warm up outside the count.
        write_for(&mut ours, TURN / 4)?;
        write_for(&mut raw, TURN / 4)?;
        let (mut our_rate, mut raw_rate) = (Rate::default(), Rate::default());
        for _ in 0..turns {
            our_rate.add(write_for(&mut ours, TURN)?);
            raw_rate.add(write_for(&mut raw, TURN)?);
        }
        check_written(before[0], memories(store)?, &ours)?;
        check_written(before[1], memories(plain)?, &raw)?;
        report.add(
            Line::new(
                format!(
                    "memory_add, {clients} client{}",
                    if clients == 1 { "" } else { "s" }
                ),
                "rows/s",
                our_rate.per_second(),
            )
            .beside(raw_rate.per_second())
            .target(Target::RatioAtLeast(THROUGHPUT))
            .note(format!("synchronous_commit {}", options.synchronous_commit)),
        );
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    MemoryAdd,
    RawInsert,
}

struct Writer<'c, 's> {
    kind: Kind,
    client: Client,
    statement: Statement,
    rows: Fresh<'c, 's>,
    rng: fastrand::Rng,
    written: usize,
}

impl Writer<'_, '_> {
    fn write(&mut self) -> Result<()> {
        let row = self.rows.next_row();
        let vector = Vector::from(row.vector);
        match self.kind {
            Kind::MemoryAdd => {
                self.client
                    .query_one(&self.statement, &[&row.content, &row.project, &vector])?;
            }
            Kind::RawInsert => {
                let id = plain::new_id(&mut self.rng);
                self.client
                    .execute(&self.statement, &[&id, &row.project, &row.content, &vector])?;
            }
        }
        self.written += 1;
        Ok(())
    }
}

fn writers<'c, 's>(
    database: &Database,
    kind: Kind,
    corpus: &'c Corpus<'s>,
    streams: std::ops::Range<usize>,
    options: &BenchOptions,
) -> Result<Vec<Writer<'c, 's>>> {
    let sql = match kind {
        Kind::MemoryAdd => "SELECT memory_add($1, project_id => $2, embedding => $3)".to_owned(),
        Kind::RawInsert => format!(
            "INSERT INTO memories ({}) VALUES ({})",
            plain::WRITTEN_COLUMNS,
            plain::written_values(
                "$1::text",
                "$2::text",
                "$3::text",
                "$4::vector",
                corpus.width().dimensions()
            )
        ),
    };
    streams
        .map(|stream| {
            let mut client = database.connect()?;
            client.batch_execute(&format!(
                "SET synchronous_commit = {}",
                options.synchronous_commit
            ))?;
            Ok(Writer {
                kind,
                statement: client.prepare(&sql)?,
                client,
                rows: corpus.fresh(stream),
                rng: fastrand::Rng::with_seed(stream as u64),
                written: 0,
            })
        })
        .collect()
}

/// Lets all writers write for that long; the rows written and the time that took.
fn write_for(writers: &mut [Writer], time: Duration) -> Result<(usize, Duration)> {
    let started = Instant::now();
    let counts: Vec<Result<usize>> = std::thread::scope(|scope| {
        let threads: Vec<_> = writers
            .iter_mut()
            .map(|writer| {
                scope.spawn(move || {
                    let mut count = 0;
                    while started.elapsed() < time {
                        writer.write()?;
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err("a writer panicked".into()))
            })
            .collect()
    });
    let elapsed = started.elapsed();
    Ok((counts.into_iter().sum::<Result<usize>>()?, elapsed))
}

fn memories(database: &Database) -> Result<i64> {
    let count = database
        .connect()?
        .query_one("SELECT count(*) FROM memories", &[])?;
    Ok(count.get(0))
}

/// A write that wrote nothing would be fast.
fn check_written(before: i64, after: i64, writers: &[Writer]) -> Result<()> {
    let written: usize = writers.iter().map(|writer| writer.written).sum();
    if before + i64::try_from(written)? == after {
        Ok(())
    } else {
        Err(format!("{written} writes made {before} memories {after}").into())
    }
}

#[derive(Default)]
pub struct Rate {
    rows: usize,
    time: Duration,
}

impl Rate {
    pub fn add(&mut self, (rows, time): (usize, Duration)) {
        self.rows += rows;
        self.time += time;
    }

    pub fn per_second(&self) -> f64 {
        self.rows as f64 / self.time.as_secs_f64()
    }
}
