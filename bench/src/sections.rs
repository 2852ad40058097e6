//! What `bench` measures, one file a topic.

mod add;
mod add_many;
mod backup;
mod capacity;
mod counting;
mod embed;
mod hybrid_search;
mod import;
mod integrity;
mod learning;
mod restore;
mod session_memory;
mod vector_search;

use crate::Result;
use crate::corpus::{Corpus, Source, Width, one_project_among_others, skewed_projects};
use crate::options::{BenchOptions, Section, SoakOptions};
use crate::report::Report;
use crate::server::Server;
use crate::{plain, progress, store};

pub use capacity::run as run_capacity;

/// Rows that a memory_search is asked for.
const K: usize = 10;

/// Who sees what, as a careful hand would write it for a caller without an agent.
const VISIBLE: &str = "project_id = $2 AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > now()) AND scope = 'global'";

/// A prepared statement may keep one plan for all parameters or be planned each time; hand-written
/// queries are tried in both ways.
const PLANS: [(&str, &str); 2] = [
    ("one plan", "force_generic_plan"),
    ("planned each time", "force_custom_plan"),
];

/// Settings of every hand-written query. It is never worth compiling one that takes milliseconds.
fn session_settings(plan_cache_mode: &str) -> Vec<(&'static str, String)> {
    vec![
        ("plan_cache_mode", plan_cache_mode.to_owned()),
        ("jit", "off".to_owned()),
    ]
}

pub fn run(options: &BenchOptions) -> Result<Report> {
    let server = Server::new(&options.connection)?;
    let source = Source::open(&options.data, options.seed)?;
    let mut report = Report::default();
    server.describe(&mut report)?;
    report.describe("data", &source.origin);
    if options.wants_any(&OF_NARROW_STORE) {
        narrow_store(&server, &source, options, &mut report)?;
    }
    if options.wants(Section::Vote) {
        learning::votes(&server, &source, options, &mut report)?;
    }
    if options.wants(Section::Wide) {
        progress("vector search at 1536 dimensions");
        let projects = one_project_among_others(options.wide_rows, options.wide_project);
        let corpus = Corpus::new(&source, Width::Wide, projects, options.seed);
        let database = store::loaded(&server, "wide", &corpus)?;
        vector_search::wide(&mut database.connect()?, &corpus, options, &mut report)?;
    }
    if options.wants(Section::Import) {
        import::measure(&server, &source, options, &mut report)?;
    }
    if options.wants(Section::Embed) {
        progress("embedding");
        embed::measure(&server, &source, options, &mut report)?;
    }
    if options.wants(Section::Memory) {
        session_memory::measure(&server, &source, options.soak, options.seed, &mut report)?;
    }
    Ok(report)
}

pub fn run_soak(options: &SoakOptions) -> Result<Report> {
    let server = Server::new(&options.connection)?;
    let source = Source::open(&options.data, options.seed)?;
    let mut report = Report::default();
    server.describe(&mut report)?;
    report.describe("data", &source.origin);
    session_memory::measure(&server, &source, options.soak, options.seed, &mut report)?;
    Ok(report)
}

/// The sections that share the store of 384 dimensions, those that change it last.
const OF_NARROW_STORE: [Section; 9] = [
    Section::Vector,
    Section::Counting,
    Section::Hybrid,
    Section::Playbook,
    Section::Integrity,
    Section::Backup,
    Section::Restore,
    Section::Add,
    Section::AddMany,
];
const BESIDE_PLAIN_TABLE: [Section; 3] = [Section::Restore, Section::Add, Section::AddMany];
const WRITING: [Section; 2] = [Section::Add, Section::AddMany];

fn narrow_store(
    server: &Server,
    source: &Source,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    let projects = skewed_projects(options.rows, usize::from(options.projects));
    let corpus = Corpus::new(source, Width::Narrow, projects, options.seed);
    report.describe(
        "store",
        format!(
            "{} rows in {} projects",
            corpus.len(),
            corpus.projects().len()
        ),
    );
    let database = store::loaded(server, "store", &corpus)?;
    let mut client = database.connect()?;
    if options.wants(Section::Vector) {
        vector_search::narrow(&mut client, &corpus, options, report)?;
    }
    if options.wants(Section::Hybrid) {
        hybrid_search::measure(&mut client, &corpus, options, report)?;
    }
    if options.wants(Section::Counting) {
        counting::measure(&mut client, &corpus, options, report)?;
    }
    if options.wants(Section::Playbook) {
        learning::playbook(&mut client, &corpus, options, report)?;
    }
    if options.wants(Section::Integrity) {
        integrity::measure(&mut client, &corpus, report)?;
    }
    drop(client);
    if options.wants(Section::Backup) {
        backup::measure(&database, report)?;
    }
    if !options.wants_any(&BESIDE_PLAIN_TABLE) {
        return Ok(());
    }
    let plain = plain::copy_of(&database, "plain", &options.maintenance_work_mem)?;
    if options.wants(Section::Restore) {
        restore::measure(&database, &plain, options, report)?;
    }
    if options.wants_any(&WRITING) {
        // From here on the store is no longer the corpus.
        database.label(None)?;
        // A vacuum of one side in the other's turn would distort both.
        for side in [&database, &plain] {
            side.connect()?
                .batch_execute("ALTER TABLE memories SET (autovacuum_enabled = off)")?;
        }
    }
    if options.wants(Section::Add) {
        add::measure(&database, &plain, &corpus, options, report)?;
    }
    if options.wants(Section::AddMany) {
        add_many::measure(&database, &plain, &corpus, options, report)?;
    }
    Ok(())
}
