//! The plain table: the memories without the extension.
//!
//! It has the store's columns with their types and defaults, and its indexes, but no generated
//! columns, triggers, checks or policies: who writes a row computes what belongs in it.

use std::io::Write;

use postgres::Client;

use crate::server::Database;
use crate::{Result, progress};

/// Makes the plain table in another database and fills it with the store's rows.
///
/// Afterwards the indexes of both tables are new, the store's too, so that both start alike.
pub fn copy_of<'s>(
    store: &Database<'s>,
    purpose: &str,
    maintenance_work_mem: &str,
) -> Result<Database<'s>> {
    progress("copying the store's rows into a plain table");
    let plain = store.server().create(purpose)?;
    let (mut from, mut to) = (store.connect()?, plain.connect()?);
    let columns = columns(&mut from)?;
    let definitions: Vec<&str> = columns
        .iter()
        .map(|column| column.definition.as_str())
        .collect();
    to.batch_execute(&format!(
        "CREATE EXTENSION vector; CREATE TABLE memories ({}) WITH (fillfactor = 75)",
        definitions.join(", ")
    ))?;
    copy_rows(&mut from, &mut to, &columns)?;
    let memory = format!("SET maintenance_work_mem = '{maintenance_work_mem}'");
    to.batch_execute(&memory)?;
    for index in index_definitions(&mut from)? {
        to.batch_execute(&index)?;
    }
    to.batch_execute("VACUUM (ANALYZE) memories")?;
    from.batch_execute(&memory)?;
    from.batch_execute("REINDEX TABLE memories")?;
    from.batch_execute("VACUUM (ANALYZE) memories")?;
    Ok(plain)
}

struct Column {
    name: String,
    definition: String,
}

fn columns(client: &mut Client) -> Result<Vec<Column>> {
    // The id's default is a function of the extension; raw rows bring their id.
    let rows = client.query(
        "SELECT quote_ident(attname),
                concat_ws(' ', quote_ident(attname), format_type(atttypid, atttypmod),
                          CASE WHEN attcollation <> typcollation THEN 'COLLATE ' || attcollation::regcollation END,
                          CASE WHEN attgenerated = '' AND attname <> 'id' THEN 'DEFAULT ' || pg_get_expr(adbin, adrelid) END,
                          CASE WHEN attnotnull THEN 'NOT NULL' END)
         FROM pg_attribute
         JOIN pg_type ON pg_type.oid = atttypid
         LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE attrelid = 'memories'::regclass AND attnum > 0 AND NOT attisdropped
         ORDER BY attnum",
        &[],
    )?;
    let column = |row: &postgres::Row| Column {
        name: row.get(0),
        definition: row.get(1),
    };
    Ok(rows.iter().map(column).collect())
}

fn index_definitions(client: &mut Client) -> Result<Vec<String>> {
    let sql = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename = 'memories' ORDER BY indexname";
    Ok(client
        .query(sql, &[])?
        .iter()
        .map(|row| row.get(0))
        .collect())
}

fn copy_rows(from: &mut Client, to: &mut Client, columns: &[Column]) -> Result<()> {
    let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
    let names = names.join(", ");
    let mut reader = from.copy_out(&format!(
        "COPY (SELECT {names} FROM memories) TO STDOUT (FORMAT binary)"
    ))?;
    let mut writer = to.copy_in(&format!(
        "COPY memories ({names}) FROM STDIN (FORMAT binary)"
    ))?;
    std::io::copy(&mut reader, &mut writer)?;
    writer.flush()?;
    writer.finish()?;
    Ok(())
}

/// What the extension's generated columns and trigger put into a row, for raw writes of the columns
/// `id`, `project_id`, `content` and `embedding` that the caller brings.
pub const WRITTEN_COLUMNS: &str = "id, project_id, content, content_hash, dedupe_hash, embedding, embedding_sketch, embedded_hash, content_tsv";

pub fn written_values(
    id: &str,
    project: &str,
    content: &str,
    embedding: &str,
    dimensions: usize,
) -> String {
    format!(
        "{id}, {project}, {content}, sha256(convert_to({content}, 'UTF8')), sha256(convert_to({project} || {content}, 'UTF8')),
         {embedding}, binary_quantize({embedding})::bit({dimensions}), sha256(convert_to({content}, 'UTF8')),
         to_tsvector('english', {content})"
    )
}

/// An id as the extension makes them: 32 hex digits that begin with the time.
pub fn new_id(rng: &mut fastrand::Rng) -> String {
    let since_1970 = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let milliseconds = since_1970.as_millis() & 0xffff_ffff_ffff;
    format!("{milliseconds:012x}{:020x}", rng.u128(..1 << 80))
}
