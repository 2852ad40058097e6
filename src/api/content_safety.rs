//! What is found in a content.

use pgrx::prelude::*;

use super::arguments::required;
use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::{content_policy, memory};

/// Personal data, secrets and instructions to a model (prompt injection) in a text, whatever the policies are.
///
/// findings has category (pii, secret, injection), kind, start and length in characters (as in substr), confidence (medium, high) and the
/// policy in force for it (allow, flag, redact, reject: memory_ext.pii_policy, secret_policy, injection_policy); redacted is the text with
/// [REDACTED:kind] in place of each. Time grows with the length only. Errors: 22023 NULL, 54000 over memory_ext.max_content_bytes.
#[pg_extern(stable, parallel_safe)]
fn memory_scan(content: Option<&str>) -> Result<Jsonb> {
    measured(Operation::Scan, || {
        let content = required("content", content)?;
        memory::check_length("content", content)?;
        Ok(Jsonb::parse(&content_policy::report(content)))
    })
}
