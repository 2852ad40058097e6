//! Stores of the extension: made by memory_init, filled by memory_add_many.

use std::time::Instant;

use postgres::Client;

use crate::corpus::{Corpus, Row};
use crate::server::{Database, Server};
use crate::{Result, progress};

/// Rows of one memory_add_many while loading. A call writes into one project, and projects should
/// lie mixed in the table, as they do when many agents write over time.
const LOAD_CHUNK: usize = 50;

/// An empty store.
pub fn create<'s>(
    server: &'s Server,
    purpose: &str,
    dimensions: usize,
    embedder: &str,
) -> Result<Database<'s>> {
    let database = server.create(purpose)?;
    let mut client = database.connect()?;
    client.batch_execute("CREATE EXTENSION memory_ext CASCADE")?;
    client.query(
        "SELECT memory_init(dimensions => $1, embedder => $2)",
        &[&i32::try_from(dimensions)?, &embedder],
    )?;
    Ok(database)
}

/// A store of the corpus; one that an earlier run has kept when it is the same.
pub fn loaded<'s>(server: &'s Server, purpose: &str, corpus: &Corpus) -> Result<Database<'s>> {
    let label = corpus.label();
    if let Some(database) = server.kept(purpose, &label)? {
        progress(format_args!("using database {} again", database.name()));
        return Ok(database);
    }
    let database = create(server, purpose, corpus.width().dimensions(), "external")?;
    let mut client = database.connect()?;
    load(&mut client, corpus)?;
    database.label(Some(&label))?;
    Ok(database)
}

/// Fills a store with the corpus.
pub fn load(client: &mut Client, corpus: &Corpus) -> Result<()> {
    progress(format_args!(
        "loading {} memories of {} dimensions by memory_add_many",
        corpus.len(),
        corpus.width().dimensions()
    ));
    let started = Instant::now();
    let mut said = started;
    let mut loaded = 0;
    let add_many = client.prepare("SELECT count(*) FILTER (WHERE NOT deduplicated) FROM memory_add_many($1::text::jsonb, project_id => $2)")?;
    for chunk in corpus.chunks(LOAD_CHUNK) {
        let rows: Vec<Row> = chunk.into_iter().map(|row| corpus.row(row)).collect();
        let added: i64 = client
            .query_one(&add_many, &[&items(&rows), &rows[0].project])?
            .get(0);
        if added != rows.len() as i64 {
            return Err(
                format!("{} of {} different memories were added", added, rows.len()).into(),
            );
        }
        loaded += rows.len();
        if said.elapsed().as_secs() >= 20 {
            said = Instant::now();
            progress(format_args!(
                "  {loaded} after {} s",
                started.elapsed().as_secs()
            ));
        }
    }
    client.batch_execute("VACUUM (ANALYZE) memories")?;
    progress(format_args!("loaded in {} s", started.elapsed().as_secs()));
    Ok(())
}

/// The argument of memory_add_many for rows of one project.
pub fn items(rows: &[Row]) -> String {
    #[derive(serde::Serialize)]
    struct Item<'r> {
        content: &'r str,
        embedding: &'r [f32],
    }
    let items: Vec<Item> = rows
        .iter()
        .map(|row| Item {
            content: &row.content,
            embedding: &row.vector,
        })
        .collect();
    serde_json::to_string(&items).expect("texts and finite numbers are JSON")
}
