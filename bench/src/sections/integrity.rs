//! memory_check_integrity over the whole store, and over the project that has half of it.

use std::time::Instant;

use postgres::Client;
use serde_json::Value;

use crate::corpus::Corpus;
use crate::report::{Line, Report, Target};
use crate::server::watched;
use crate::{Result, progress};

/// Seconds for a million hashes.
const DEAREST: f64 = 5.0;
/// A row of the whole store beside one of half of it: the work grows with the rows, and no faster.
const GROWTH: f64 = 1.3;
const MOST_MEMORY: f64 = 64.0;
const RUNS: usize = 3;

/// The checks that hash.
const HASHING: [&str; 3] = ["content_hash", "dedupe_hash", "history_hash"];

pub fn measure(client: &mut Client, corpus: &Corpus, report: &mut Report) -> Result<()> {
    progress("checking the store's integrity");
    let half = corpus.projects()[0].name.as_str();
    let part = Timed::fastest(client, Some(half))?;
    let mut times = None;
    let (_, grown) = watched(client, |client| {
        times = Some(Timed::fastest(client, None)?);
        Ok(())
    })?;
    let whole = times.ok_or("the check has not run")?;
    let rows = corpus.len() as f64;
    let note = format!(
        "{} hashes, {:.2} s in all; a project of {} hashes {:.2} s",
        whole.hashes, whole.seconds, part.hashes, part.seconds
    );
    report.add(
        Line::new(
            "integrity check, a million hashes",
            "s",
            whole.seconds / whole.hashes as f64 * 1e6,
        )
        .target(Target::AtMost(DEAREST))
        .note(note),
    );
    report.add(
        Line::new("a hash of the whole store", "us", whole.dearness())
            .beside(part.dearness())
            .target(Target::RatioAtMost(GROWTH))
            .note(format!("beside one of half of its {rows} rows")),
    );
    report.add(
        Line::new("memory of an integrity check", "MB", grown).target(Target::AtMost(MOST_MEMORY)),
    );
    Ok(())
}

struct Timed {
    seconds: f64,
    hashes: i64,
}

impl Timed {
    fn fastest(client: &mut Client, project: Option<&str>) -> Result<Self> {
        let call = "SELECT check_name, status, details FROM memory_check_integrity($1)";
        let mut fastest = f64::INFINITY;
        let mut hashes = 0;
        for _ in 0..RUNS {
            let started = Instant::now();
            let rows = client.query(call, &[&project])?;
            fastest = fastest.min(started.elapsed().as_secs_f64());
            hashes = 0;
            for row in rows {
                let (check, status): (&str, &str) = (row.get(0), row.get(1));
                let details: Value = row.get(2);
                if status != "ok" {
                    return Err(format!("a whole store has no findings: {check}: {details}").into());
                }
                if HASHING.contains(&check) {
                    hashes += details["checked"].as_i64().unwrap_or_default();
                }
            }
        }
        Ok(Self {
            seconds: fastest,
            hashes,
        })
    }

    /// Microseconds a hash.
    fn dearness(&self) -> f64 {
        self.seconds / self.hashes as f64 * 1e6
    }
}
