//! memory_vote, beside a transaction of two statements that does the same by hand; memory_playbook, beside memory_search.

use std::time::{Duration, Instant};

use postgres::{Client, Statement};

use super::add::Rate;
use crate::corpus::{Corpus, Project, Query, Source, Width};
use crate::options::BenchOptions;
use crate::report::{Line, Report, Target};
use crate::server::{Database, Server};
use crate::{Result, plain, progress, stats, store};

/// Memories that are voted on.
const MEMORIES: usize = 1000;
const VOTERS: usize = 8;
const THROUGHPUT: f64 = 0.7;
const SLOWDOWN: f64 = 1.3;
const TURN: Duration = Duration::from_secs(2);
const K: i32 = 20;

/// Votes, in a store of its own: they would make the corpus another one.
pub fn votes(
    server: &Server,
    source: &Source,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    progress(format_args!("memory_vote, {VOTERS} clients"));
    let project = Project {
        name: "voted".to_owned(),
        rows: MEMORIES,
    };
    let corpus = Corpus::new(source, Width::Narrow, vec![project], options.seed);
    let database = store::loaded(server, "votes", &corpus)?;
    let plain = plain::copy_of(&database, "votes_plain", &options.maintenance_work_mem)?;
    // What vote_history has, without the extension.
    plain.connect()?.batch_execute(
        "CREATE TABLE vote_history (
             id text COLLATE \"C\" NOT NULL PRIMARY KEY, memory_id text COLLATE \"C\" NOT NULL, project_id text COLLATE \"C\" NOT NULL,
             voter_agent_id text COLLATE \"C\" NOT NULL, vote text COLLATE \"C\" NOT NULL, context text, task_id text COLLATE \"C\",
             created_at timestamptz NOT NULL DEFAULT now(), updated_at timestamptz NOT NULL DEFAULT now(), merged_from text,
             UNIQUE NULLS NOT DISTINCT (memory_id, project_id, voter_agent_id, task_id),
             FOREIGN KEY (memory_id, project_id) REFERENCES memories (id, project_id) ON DELETE CASCADE)",
    )?;
    let ids: Vec<String> = database
        .connect()?
        .query("SELECT id FROM memories ORDER BY id", &[])?
        .iter()
        .map(|row| row.get(0))
        .collect();
    database.label(None)?;
    for side in [&database, &plain] {
        side.connect()?
            .batch_execute("ALTER TABLE memories SET (autovacuum_enabled = off)")?;
    }
    let mut ours = voters(&database, Kind::MemoryVote, options)?;
    let mut raw = voters(&plain, Kind::ByHand, options)?;
    let turns = (Duration::from_secs(options.write_seconds).as_millis() / TURN.as_millis()).max(1);
    // Once around, so that every page has room for a new version; then the tables are settled.
    for side in [&mut ours, &mut raw] {
        vote_for(side, &ids, TURN)?;
    }
    for side in [&database, &plain] {
        side.connect()?.batch_execute("VACUUM memories")?;
    }
    let before = updates(&database)?;
    let (mut our_rate, mut raw_rate) = (Rate::default(), Rate::default());
    for _ in 0..turns {
        our_rate.add(vote_for(&mut ours, &ids, TURN)?);
        raw_rate.add(vote_for(&mut raw, &ids, TURN)?);
    }
    let after = updates(&database)?;
    check_counters(&database)?;
    report.add(
        Line::new(
            format!("memory_vote, {VOTERS} clients"),
            "votes/s",
            our_rate.per_second(),
        )
        .beside(raw_rate.per_second())
        .target(Target::RatioAtLeast(THROUGHPUT))
        .note(format!(
            "baseline: INSERT and UPDATE in a transaction; {MEMORIES} memories, synchronous_commit {}",
            options.synchronous_commit
        )),
    );
    report.add(
        Line::new(
            "memory_vote: share of HOT updates",
            "%",
            100.0 * (after.1 - before.1) as f64 / ((after.0 - before.0).max(1)) as f64,
        )
        .note("while 8 clients vote; alone, all of them are"),
    );
    Ok(())
}

#[derive(Clone, Copy)]
enum Kind {
    MemoryVote,
    ByHand,
}

struct Voter {
    kind: Kind,
    client: Client,
    statements: Vec<Statement>,
    name: String,
    rng: fastrand::Rng,
    votes: usize,
}

impl Voter {
    fn vote(&mut self, ids: &[String]) -> Result<()> {
        let memory = &ids[self.rng.usize(..ids.len())];
        // A task of its own: every vote is a new one.
        let task = format!("task-{}", self.votes);
        self.votes += 1;
        match self.kind {
            Kind::MemoryVote => {
                self.client
                    .query_one(&self.statements[0], &[memory, &self.name, &task])?;
            }
            Kind::ByHand => {
                let id = plain::new_id(&mut self.rng);
                let mut transaction = self.client.transaction()?;
                transaction.execute(&self.statements[0], &[&id, memory, &self.name, &task])?;
                transaction.query_one(&self.statements[1], &[memory])?;
                transaction.commit()?;
            }
        }
        Ok(())
    }
}

fn voters(database: &Database, kind: Kind, options: &BenchOptions) -> Result<Vec<Voter>> {
    let sql: &[&str] = match kind {
        Kind::MemoryVote => {
            &["SELECT * FROM memory_vote($1, 'helpful', $2, task_id => $3, project_id => 'voted')"]
        }
        Kind::ByHand => &[
            "INSERT INTO vote_history (id, memory_id, project_id, voter_agent_id, vote, task_id) VALUES ($1, $2, 'voted', $3, 'helpful', $4)",
            "UPDATE memories SET bullet_helpful = bullet_helpful + 1 WHERE id = $1 AND project_id = 'voted' AND deleted_at IS NULL
                    AND NOT is_deprecated AND (expires_at IS NULL OR expires_at > now()) AND scope = 'global'
             RETURNING bullet_helpful, bullet_harmful",
        ],
    };
    (0..VOTERS)
        .map(|number| {
            let mut client = database.connect()?;
            client.batch_execute(&format!(
                "SET synchronous_commit = {}",
                options.synchronous_commit
            ))?;
            let statements = sql
                .iter()
                .map(|sql| client.prepare(sql))
                .collect::<std::result::Result<_, _>>()?;
            Ok(Voter {
                kind,
                client,
                statements,
                name: format!("voter-{number}"),
                rng: fastrand::Rng::with_seed(number as u64),
                votes: 0,
            })
        })
        .collect()
}

/// Lets all voters vote for that long; the votes and the time that took.
fn vote_for(voters: &mut [Voter], ids: &[String], time: Duration) -> Result<(usize, Duration)> {
    let started = Instant::now();
    let counts: Vec<Result<usize>> = std::thread::scope(|scope| {
        let threads: Vec<_> = voters
            .iter_mut()
            .map(|voter| {
                scope.spawn(move || {
                    let mut count = 0;
                    while started.elapsed() < time {
                        voter.vote(ids)?;
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
                    .unwrap_or_else(|_| Err("a voter panicked".into()))
            })
            .collect()
    });
    let elapsed = started.elapsed();
    Ok((counts.into_iter().sum::<Result<usize>>()?, elapsed))
}

/// Updates of memories, and how many of them were HOT.
fn updates(database: &Database) -> Result<(i64, i64)> {
    let mut client = database.connect()?;
    // A session that has just ended reports its numbers a moment later.
    std::thread::sleep(Duration::from_millis(1500));
    let row = client.query_one(
        "SELECT n_tup_upd, n_tup_hot_upd FROM pg_stat_user_tables WHERE relname = 'memories'",
        &[],
    )?;
    Ok((row.get(0), row.get(1)))
}

/// Votes that were not counted would be fast.
fn check_counters(database: &Database) -> Result<()> {
    let row = database.connect()?.query_one(
        "SELECT (SELECT sum(bullet_helpful + bullet_harmful) FROM memories)::bigint, (SELECT count(*) FROM vote_history)",
        &[],
    )?;
    let (counted, cast): (i64, i64) = (row.get(0), row.get(1));
    if counted == cast && cast > 0 {
        Ok(())
    } else {
        Err(format!("{cast} votes were cast, {counted} are counted").into())
    }
}

/// The playbook of a project with a tenth of the store, beside a search with the same filters.
pub fn playbook(
    client: &mut Client,
    corpus: &Corpus,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    progress("memory_playbook");
    let project = crate::corpus::share_name(0.1);
    let ours = client.prepare(&format!(
        "SELECT * FROM memory_playbook($1, k => {K}, embedding => $2, project_id => $3, memory_types => '{{standard}}')"
    ))?;
    let search = client.prepare(&format!(
        "SELECT * FROM memory_search($1, k => {K}, embedding => $2, project_id => $3, memory_types => '{{standard}}')"
    ))?;
    let (mut our_times, mut search_times) = (Vec::new(), Vec::new());
    for number in 0..options.queries {
        let query: Query = corpus.query(&project, number);
        let mut sides = [(&ours, &mut our_times), (&search, &mut search_times)];
        // Who comes first pays for the pages that the other finds in the processor's cache.
        if number % 2 == 1 {
            sides.reverse();
        }
        for (statement, times) in sides {
            let started = Instant::now();
            let rows = client.query(statement, &[&query.text, &query.vector, &query.project])?;
            let time = started.elapsed();
            if rows.len() != K as usize {
                return Err(format!("{} rows came back, {K} match", rows.len()).into());
            }
            times.push(time);
        }
    }
    let p50 = |times: &[Duration]| stats::percentile_ms(times, 50.0);
    report.add(
        Line::new("memory_playbook: p50", "ms", p50(&our_times))
            .beside(p50(&search_times))
            .target(Target::RatioAtMost(SLOWDOWN))
            .note("baseline: memory_search, hybrid, the same filters and k"),
    );
    Ok(())
}
