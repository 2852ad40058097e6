//! What `bench` measures, one file a topic.

mod add;
mod add_many;
mod embed;
mod hybrid_search;
mod restore;
mod session_memory;
mod vector_search;

use crate::Result;
use crate::corpus::{Corpus, Source, Width, one_project_among_others, skewed_projects};
use crate::options::{BenchOptions, Section, SoakOptions};
use crate::report::Report;
use crate::server::Server;
use crate::{plain, progress, store};

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

pub fn run(options: &BenchOptions) -> Result<Report> {
    let server = Server::new(&options.connection)?;
    let source = Source::open(&options.data, options.seed)?;
    let mut report = Report::default();
    server.describe(&mut report)?;
    report.describe("data", &source.origin);
    let wanted = |section| options.only.is_empty() || options.only.contains(&section);
    if Section::ALL[..5].iter().any(|&section| wanted(section)) {
        narrow_store(&server, &source, options, &mut report)?;
    }
    if wanted(Section::Wide) {
        progress("vector search at 1536 dimensions");
        let projects = one_project_among_others(options.wide_rows, options.wide_project);
        let corpus = Corpus::new(&source, Width::Wide, projects, options.seed);
        let database = store::loaded(&server, "wide", &corpus)?;
        vector_search::wide(&mut database.connect()?, &corpus, options, &mut report)?;
    }
    if wanted(Section::Embed) {
        progress("embedding");
        embed::measure(&server, &source, options, &mut report)?;
    }
    if wanted(Section::Memory) {
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

/// The sections that share the store of 384 dimensions.
fn narrow_store(
    server: &Server,
    source: &Source,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    let wanted = |section| options.only.is_empty() || options.only.contains(&section);
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
    if wanted(Section::Vector) {
        vector_search::narrow(&mut client, &corpus, options, report)?;
    }
    if wanted(Section::Hybrid) {
        hybrid_search::measure(&mut client, &corpus, options, report)?;
    }
    drop(client);
    if !(wanted(Section::Restore) || wanted(Section::Add) || wanted(Section::AddMany)) {
        return Ok(());
    }
    let plain = plain::copy_of(&database, "plain", &options.maintenance_work_mem)?;
    if wanted(Section::Restore) {
        restore::measure(&database, &plain, options, report)?;
    }
    if wanted(Section::Add) || wanted(Section::AddMany) {
        // From here on the store is no longer the corpus.
        database.label(None)?;
    }
    if wanted(Section::Add) {
        add::measure(&database, &plain, &corpus, options, report)?;
    }
    if wanted(Section::AddMany) {
        add_many::measure(&database, &plain, &corpus, options, report)?;
    }
    Ok(())
}
