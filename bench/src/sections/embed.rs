//! The `hash` embedder: through memory_embed, and the library's function alone.

use std::hint::black_box;
use std::time::Instant;

use memory_core::embed::hash;

use crate::corpus::{DIMENSIONS, Source};
use crate::options::BenchOptions;
use crate::report::{Line, Report, Target};
use crate::server::Server;
use crate::{Result, store};

const TEXTS_A_SECOND: f64 = 50_000.0;
const WORDS: usize = 20;
/// Of several runs the fastest counts: the slower ones say what else the machine did.
const RUNS: usize = 3;

pub fn measure(
    server: &Server,
    source: &Source,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    let texts = texts_of_words(source, options.embed_texts.max(1));
    let database = store::create(server, "hash", DIMENSIONS, "hash")?;
    let mut client = database.connect()?;
    // One core, as for the library's function.
    client.batch_execute("SET max_parallel_workers_per_gather = 0; SET jit = off; CREATE TEMPORARY TABLE texts (content text)")?;
    client.execute("INSERT INTO texts SELECT unnest($1::text[])", &[&texts])?;
    client.batch_execute("ANALYZE texts")?;
    let mut through_sql = 0.0;
    for _ in 0..RUNS {
        let started = Instant::now();
        let embedded: i64 = client
            .query_one("SELECT count(memory_embed(content)) FROM texts", &[])?
            .get(0);
        through_sql = f64::max(
            through_sql,
            embedded as f64 / started.elapsed().as_secs_f64(),
        );
    }
    let mut alone = 0.0;
    for _ in 0..RUNS {
        let started = Instant::now();
        for text in &texts {
            black_box(hash::embed(black_box(text), DIMENSIONS));
        }
        alone = f64::max(alone, texts.len() as f64 / started.elapsed().as_secs_f64());
    }
    let target = Target::AtLeast(TEXTS_A_SECOND);
    let note = format!("hash, {DIMENSIONS} dimensions, texts of {WORDS} words, one core");
    report.add(
        Line::new("memory_embed", "texts/s", through_sql)
            .target(target)
            .note(&note),
    );
    report.add(
        Line::new("memory_core::embed::hash", "texts/s", alone)
            .target(target)
            .note(&note),
    );
    Ok(())
}

/// The source's words in their order, cut into texts of equal length.
fn texts_of_words(source: &Source, count: usize) -> Vec<String> {
    let mut words = source
        .texts
        .iter()
        .flat_map(|text| text.split_whitespace())
        .cycle();
    (0..count)
        .map(|_| words.by_ref().take(WORDS).collect::<Vec<_>>().join(" "))
        .collect()
}
