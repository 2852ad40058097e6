//! Memories packed for a prompt.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::prelude::*;

use super::arguments::required;
use crate::pg::error::{Error, SqlResult as Result};
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::pg::vector::Vector;
use crate::store::conditions::Filters;
use crate::store::search::{Request, Search};
use crate::store::{Call, migrate};

/// The memories that fit a query best as one text for a prompt: a line each, best first, with the id in brackets.
///
/// token_budget bounds its length, counted by a heuristic; a memory that does not fit is left out and
/// the next one tried. k is how many to consider. The other arguments are those of memory_search. Empty when nothing fits.
/// Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
#[allow(clippy::too_many_arguments)]
fn memory_context(
    query: Option<&str>,
    token_budget: default!(Option<i32>, "1000"),
    k: default!(Option<i32>, "20"),
    embedding: default!(Option<Vector>, "NULL"),
    mode: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    namespace: default!(Option<&str>, "NULL"),
    user_id: default!(Option<&str>, "NULL"),
    session_id: default!(Option<&str>, "NULL"),
    memory_types: default!(Option<Vec<Option<String>>>, "NULL"),
    metadata: default!(Option<Jsonb>, "NULL"),
    filter: default!(Option<Jsonb>, "NULL"),
    since: default!(Option<TimestampWithTimeZone>, "NULL"),
    until: default!(Option<TimestampWithTimeZone>, "NULL"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<String> {
    measured(Operation::Context, || {
        let query = required("query", query)?;
        let token_budget = match token_budget.unwrap_or(1000) {
            budget if budget > 0 => budget.unsigned_abs() as usize,
            budget => {
                return Err(Error::argument(format!(
                    "token_budget is {budget}, expected 1 or more"
                ))
                .into());
            }
        };
        let call = Call::begin_reading(migrate::FIRST, project_id, agent_id, None)?;
        let request = Request {
            query: Some(query),
            k: k.or(Some(20)),
            embedding,
            mode,
            filters: Filters {
                namespace,
                user_id,
                session_id,
                memory_types,
                metadata,
                filter,
                since,
                until,
                ..Filters::default()
            },
            ..Request::default()
        };
        let hits = Search::new(&call, request)?.run(&call);
        let lines = hits.iter().map(|hit| match &hit.key {
            Some(key) => format!(
                "- [{}] {key}: {}\n",
                hit.id,
                memory_core::text::normalise(&hit.content)
            ),
            None => format!(
                "- [{}] {}\n",
                hit.id,
                memory_core::text::normalise(&hit.content)
            ),
        });
        let mut context = String::new();
        let mut left = token_budget;
        for line in lines {
            let tokens = memory_core::text::estimate_tokens(&line);
            if tokens <= left {
                left -= tokens;
                context.push_str(&line);
            }
        }
        Ok(context)
    })
}
