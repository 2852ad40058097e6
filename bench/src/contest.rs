//! Timing of several queries that answer the same question: in turns, on one connection.

use std::time::{Duration, Instant};

use postgres::types::ToSql;
use postgres::{Client, Statement};

use crate::Result;
use crate::corpus::Query;
use crate::stats;

/// Queries of each contestant that are not counted, to warm caches and plans.
const WARM_UP: usize = 5;
/// Queries in a row by the same contestant, as in a session of a user; then the next one's turn comes. Single turns would have
/// the code of the many hand-written queries, which is the same, in the processor's cache, and never ours.
const BLOCK: usize = 10;
/// Candidates of the pilot that run beside ours at a time, fastest first.
const FINALISTS: usize = 6;
/// A candidate may lack this much recall in the pilot, which has few queries, and still run.
const PILOT_LENIENCY: f64 = 0.02;
/// Recall that search has to reach.
pub const RECALL: f64 = 0.98;

/// Two recalls that differ by less are equal: in 200 questions of ten answers, ten answers.
pub const EQUAL: f64 = 0.005;

type Parameters = for<'q> fn(&'q Query) -> Vec<&'q (dyn ToSql + Sync)>;

/// A query whose first column is the id of what it finds.
#[derive(Clone)]
pub struct Contestant {
    pub name: String,
    pub sql: String,
    /// Settings of the session while this query runs.
    pub settings: Vec<(&'static str, String)>,
    pub parameters: Parameters,
    /// Which of the truths its answers are held against.
    pub truth: usize,
}

/// The answers to each query, best first.
pub type Answers = Vec<Vec<String>>;

/// What one contestant did.
pub struct Run {
    pub name: String,
    pub times: Vec<Duration>,
    pub answers: Answers,
    pub recall: f64,
}

impl Run {
    pub fn p50(&self) -> f64 {
        stats::percentile_ms(&self.times, 50.0)
    }

    pub fn p95(&self) -> f64 {
        stats::percentile_ms(&self.times, 95.0)
    }

    /// Rows of the shortest answer.
    pub fn fewest_rows(&self) -> usize {
        self.answers.iter().map(Vec::len).min().unwrap_or(0)
    }
}

/// Ours and the best of the candidates.
pub struct Outcome {
    pub ours: Run,
    pub best: Run,
}

struct Prepared<'c> {
    contestant: &'c Contestant,
    statement: Statement,
    /// Settings are made and taken back outside the measured time.
    before: String,
    after: String,
}

impl<'c> Prepared<'c> {
    fn new(client: &mut Client, contestant: &'c Contestant) -> Result<Self> {
        let settings = &contestant.settings;
        Ok(Self {
            contestant,
            statement: client.prepare(&contestant.sql)?,
            before: settings
                .iter()
                .map(|(name, value)| format!("SET {name} = {value};"))
                .collect(),
            after: settings
                .iter()
                .map(|(name, _)| format!("RESET {name};"))
                .collect(),
        })
    }

    fn ask(&self, client: &mut Client, query: &Query) -> Result<(Duration, Vec<String>)> {
        let parameters = (self.contestant.parameters)(query);
        client.batch_execute(&self.before)?;
        let started = Instant::now();
        let rows = client.query(&self.statement, &parameters)?;
        let time = started.elapsed();
        client.batch_execute(&self.after)?;
        Ok((time, rows.iter().map(|row| row.get(0)).collect()))
    }
}

/// The answers of one query text, without timing.
pub fn answers(client: &mut Client, contestant: &Contestant, queries: &[Query]) -> Result<Answers> {
    let prepared = Prepared::new(client, contestant)?;
    queries
        .iter()
        .map(|query| Ok(prepared.ask(client, query)?.1))
        .collect()
}

/// Finds the fastest candidate whose recall is as good as it has to be, and times it beside ours.
///
/// All candidates run a pilot first. The fastest of them then run in turns with ours over all
/// queries; if none finds as much as ours, the next fastest do. The best is the one with the lowest
/// p50 of those whose recall equals ours, up to `EQUAL`: a query that finds less is another query.
pub fn decide(
    client: &mut Client,
    ours: &Contestant,
    candidates: &[Contestant],
    truths: &[Answers],
    queries: &[Query],
    pilot_queries: usize,
) -> Result<Outcome> {
    let pilot_queries = &queries[..pilot_queries.clamp(1, queries.len())];
    let mut pilot = run(
        client,
        &std::iter::once(ours).chain(candidates).collect::<Vec<_>>(),
        truths,
        pilot_queries,
    )?;
    let least = pilot.remove(0).recall.min(1.0) - EQUAL - PILOT_LENIENCY;
    let mut by_speed: Vec<usize> = (0..candidates.len()).collect();
    by_speed.sort_by(|&a, &b| pilot[a].p50().total_cmp(&pilot[b].p50()));
    let mut eligible = by_speed
        .into_iter()
        .filter(|&place| pilot[place].recall >= least)
        .map(|place| &candidates[place]);

    loop {
        let finalists: Vec<&Contestant> = eligible.by_ref().take(FINALISTS).collect();
        if finalists.is_empty() {
            return Err("no hand-written query has a recall like ours".into());
        }
        let contestants: Vec<&Contestant> = std::iter::once(ours).chain(finalists).collect();
        let mut runs = run(client, &contestants, truths, queries)?.into_iter();
        let ours = runs.next().ok_or("nothing was run")?;
        let enough = ours.recall - EQUAL;
        let best = runs
            .filter(|run| run.recall >= enough)
            .min_by(|a, b| a.p50().total_cmp(&b.p50()));
        if let Some(best) = best {
            return Ok(Outcome { ours, best });
        }
    }
}

fn run(
    client: &mut Client,
    contestants: &[&Contestant],
    truths: &[Answers],
    queries: &[Query],
) -> Result<Vec<Run>> {
    let prepared: Vec<Prepared> = contestants
        .iter()
        .map(|contestant| Prepared::new(client, contestant))
        .collect::<Result<_>>()?;
    for query in queries.iter().take(WARM_UP) {
        for contestant in &prepared {
            contestant.ask(client, query)?;
        }
    }
    let mut results: Vec<(Vec<Duration>, Answers)> = vec![Default::default(); prepared.len()];
    for (number, queries) in queries.chunks(BLOCK).enumerate() {
        // Who comes first pays for the pages that the others find in the processor's cache.
        for turn in 0..prepared.len() {
            let place = (number + turn) % prepared.len();
            for query in queries {
                let (time, answer) = prepared[place].ask(client, query)?;
                results[place].0.push(time);
                results[place].1.push(answer);
            }
        }
    }
    Ok(results
        .into_iter()
        .zip(contestants)
        .map(|((times, answers), contestant)| Run {
            name: contestant.name.clone(),
            recall: stats::recall(&answers, &truths[contestant.truth]),
            times,
            answers,
        })
        .collect())
}
