//! Growth of one session's memory over many mixed calls.

use fastrand::Rng;
use postgres::{Client, Statement};

use crate::corpus::{DIMENSIONS, Source};
use crate::options::SoakSizes;
use crate::report::{Line, Report, Target};
use crate::server::{Server, private_memory};
use crate::{Result, progress, store};

const MEGABYTE: f64 = 1024.0 * 1024.0;
const GROWTH: f64 = 20.0;
/// Calls before the first reading: each function's plans and the catalogue's caches are made once.
const WARM_UP: usize = 1000;
const PROJECTS: usize = 5;
const KEYS: usize = 500;

pub fn measure(
    server: &Server,
    source: &Source,
    sizes: SoakSizes,
    seed: u64,
    report: &mut Report,
) -> Result<()> {
    progress(format_args!(
        "memory of a session over {} calls",
        sizes.soak_calls
    ));
    let database = store::create(server, "soak", DIMENSIONS, "hash")?;
    let mut session = Session::new(database.connect()?, source, seed)?;
    let process: i32 = session
        .client
        .query_one("SELECT pg_backend_pid()", &[])?
        .get(0);
    for _ in 0..WARM_UP {
        session.call()?;
    }
    let before = private_memory(process)?;
    let mut highest = before;
    for call in 1..=sizes.soak_calls {
        session.call()?;
        if call % 1000 == 0 || call == sizes.soak_calls {
            highest = highest.max(private_memory(process)?);
        }
        if call % (sizes.soak_calls / 5).max(1) == 0 {
            let growth = private_memory(process)? as f64 - before as f64;
            progress(format_args!("  {call} calls: {:+.1} MB", growth / MEGABYTE));
        }
    }
    report.add(
        Line::new(
            format!("memory growth of a session, {} calls", sizes.soak_calls),
            "MB",
            (highest - before) as f64 / MEGABYTE,
        )
        .target(Target::AtMost(GROWTH))
        .note(format!(
            "highest of all readings, {:.1} MB after the first {WARM_UP} calls",
            before as f64 / MEGABYTE
        )),
    );
    Ok(())
}

/// One connection that does what agents do.
struct Session<'s> {
    client: Client,
    source: &'s Source,
    rng: Rng,
    /// Memories added so far, with their project.
    known: Vec<(String, String)>,
    search: Statement,
    add: Statement,
    get: Statement,
    update: Statement,
    set: Statement,
    value: Statement,
    list: Statement,
}

impl<'s> Session<'s> {
    fn new(mut client: Client, source: &'s Source, seed: u64) -> Result<Self> {
        Ok(Self {
            source,
            rng: Rng::with_seed(seed),
            known: Vec::new(),
            search: client.prepare("SELECT id FROM memory_search($1, k => 10, project_id => $2)")?,
            add: client.prepare("SELECT memory_add($1, metadata => jsonb_build_object('call', $3::int), project_id => $2)")?,
            get: client.prepare("SELECT * FROM memory_get($1, project_id => $2)")?,
            update: client.prepare("SELECT memory_update($1, metadata => jsonb_build_object('call', $3::int), project_id => $2)")?,
            set: client.prepare("SELECT memory_kv_set($1, $3, project_id => $2)")?,
            value: client.prepare("SELECT memory_kv_get($1, project_id => $2)")?,
            list: client.prepare("SELECT id FROM memory_list(page_size => 10, project_id => $1)")?,
            client,
        })
    }

    /// One call, drawn at random: 30 % search, 15 % add, 20 % get, 10 % update, 15 % key/value, 10 % list.
    fn call(&mut self) -> Result<()> {
        let project = format!("project-{}", self.rng.usize(..PROJECTS));
        let text = self.source.texts[self.rng.usize(..self.source.texts.len())].clone();
        let number = self.rng.i32(..);
        let key = format!("preference.{}", self.rng.usize(..KEYS));
        match self.rng.usize(..100) {
            0..30 => {
                self.client.query(&self.search, &[&text, &project])?;
            }
            30..45 => {
                let id = self
                    .client
                    .query_one(&self.add, &[&text, &project, &number])?
                    .get(0);
                self.known.push((id, project));
            }
            45..65 => {
                if let Some((id, project)) = self.rng.choice(&self.known) {
                    self.client.query_one(&self.get, &[id, project])?;
                }
            }
            65..75 => {
                if let Some((id, project)) = self.rng.choice(&self.known) {
                    self.client
                        .query_one(&self.update, &[id, project, &number])?;
                }
            }
            75..80 => {
                self.client.query_one(&self.set, &[&key, &project, &text])?;
            }
            80..90 => {
                self.client.query_one(&self.value, &[&key, &project])?;
            }
            _ => {
                self.client.query(&self.list, &[&project])?;
            }
        }
        Ok(())
    }
}
