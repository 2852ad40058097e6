//! Export.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use crate::api::arguments::required;
use crate::pg::error::{Error, SqlResult as Result};
use crate::pg::measure::{Operation, streamed};
use crate::store::conditions::Filters;
use crate::store::transfer::export::{Export, Format, Request};
use crate::store::{Call, Privilege};

/// Exports the memories of a project as text, oldest first, for memory_import and other systems.
///
/// format is jsonl (a header line, then a memory a line), json (one array, an element a row) or csv (a header row, then a memory a
/// row, which may have line ends in it). agent_id is the author here; until is not included. Deprecated memories are exported,
/// expired and deleted ones are not, unless said otherwise. Sensitive memories are left out, unless include_sensitive and
/// confirm_sensitive are both true. include_votes adds the votes, include_embeddings the vectors. Older versions are not exported.
/// All rows are of the snapshot of the statement. In a select list (SELECT memory_export(), COPY (SELECT memory_export()) TO ...) the
/// rows stream and memory stays bounded; in FROM the server collects them first. Without escapes they arrive by psql -XAtq -c
/// 'SELECT memory_export()'. Recorded as an event. Needs the admin privilege. Errors: 22023, 42501, 54000, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_export(
    format: default!(Option<&str>, "'jsonl'"),
    namespace: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    memory_types: default!(Option<Vec<Option<String>>>, "NULL"),
    since: default!(Option<TimestampWithTimeZone>, "NULL"),
    until: default!(Option<TimestampWithTimeZone>, "NULL"),
    include_expired: default!(Option<bool>, "false"),
    include_deprecated: default!(Option<bool>, "true"),
    include_deleted: default!(Option<bool>, "false"),
    include_votes: default!(Option<bool>, "true"),
    include_embeddings: default!(Option<bool>, "false"),
    include_sensitive: default!(Option<bool>, "false"),
    confirm_sensitive: default!(Option<bool>, "false"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<SetOfIterator<'static, String>> {
    let lines = streamed(Operation::Export, || {
        let format = Format::named(required("format", format)?)?;
        let sensitive = include_sensitive.unwrap_or(false);
        let call = Call::begin_safety(project_id, None, Privilege::Admin, "export")?;
        if sensitive && !confirm_sensitive.unwrap_or(false) {
            return Err(
            Error::argument("include_sensitive is true, but confirm_sensitive is not")
                .hint("Secrets leave the database in the clear: say confirm_sensitive => true too, if that is meant.")
                .into(),
        );
        }
        let request = Request {
            format,
            filters: Filters {
                namespace,
                author: agent_id,
                memory_types,
                since,
                until,
                ..Filters::default()
            },
            expired: include_expired.unwrap_or(false),
            deprecated: include_deprecated.unwrap_or(true),
            deleted: include_deleted.unwrap_or(false),
            votes: include_votes.unwrap_or(true),
            embeddings: include_embeddings.unwrap_or(false),
            sensitive,
        };
        Ok(Export::begin(&call, request)?)
    })?;
    Ok(SetOfIterator::new(lines))
}
