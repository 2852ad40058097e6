//! Is the store whole, and does search find what there is?

use pgrx::prelude::*;

use crate::pg::error::SqlResult as Result;
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::store::integrity::{self, Finding, Inspection};
use crate::store::maintenance::{self, recall};

/// A finding as a row.
type Row = (String, String, i64, Jsonb);

fn row(finding: Finding) -> Row {
    let details = serde_json::Value::from(finding.details).to_string();
    (
        finding.check.to_owned(),
        finding.status.name().to_owned(),
        finding.issues,
        Jsonb::parse(&details),
    )
}

/// Checks the store: one row a check, always all of them in the same order, status ok, warning or error.
///
/// project_id NULL is the whole store, for its owner and for admins of every project ('*'); an admin of a project may check that one.
/// Schema: tables, constraints, indexes, triggers, row_security. Every row: content_hash, dedupe_hash, secrets_indexed,
/// embedding_dimensions, embedding_values, embedding_sketch, embedding_missing, embedding_stale, expired_backlog, tombstone_backlog,
/// row_values, row_versions, history_hash, history_intervals, vote_counters, orphans, secrets_cached, superseded_by, supersession_cycles. Of sample rows (0..10000):
/// embedding_differs (embedded again), text_index (its words again), hnsw_reach (found by its own vector). Then statistics, and btree,
/// where the extension amcheck is installed and the owner may use it, and audit_seals (of the whole store only). details has up to 10 samples, a hint, and skipped where a check
/// could not look. It reads every row once or twice and changes nothing; a standby will do. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_unsafe)]
fn memory_check_integrity(
    project_id: default!(Option<&str>, "NULL"),
    sample: default!(Option<i32>, "100"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(check_name, String),
            name!(status, String),
            name!(issues, i64),
            name!(details, Jsonb),
        ),
    >,
> {
    measured(Operation::CheckIntegrity, || {
        let call = integrity::begin(project_id)?;
        let inspection = Inspection::new(&call, project_id, sample.unwrap_or(100))?;
        let findings = integrity::check(&inspection);
        Ok(TableIterator::new(findings.into_iter().map(row)))
    })
}

/// The checks of memory_check_integrity() that are about vectors, and in a first row, vectors, what there is: rows, embedded, waiting
/// (live, not sensitive, without a vector), stale (with the vector of another text), sensitive (never embedded) and deleted.
///
/// hnsw_reach looks by the vector index for sample memories (0..10000) by their own vectors: searched, found_itself. project_id and
/// errors as for memory_check_integrity().
#[pg_extern(stable, parallel_unsafe)]
fn memory_validate_vectors(
    project_id: default!(Option<&str>, "NULL"),
    sample: default!(Option<i32>, "100"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(check_name, String),
            name!(status, String),
            name!(issues, i64),
            name!(details, Jsonb),
        ),
    >,
> {
    measured(Operation::ValidateVectors, || {
        let call = integrity::begin(project_id)?;
        let inspection = Inspection::new(&call, project_id, sample.unwrap_or(100))?;
        let findings = integrity::check_vectors(&inspection);
        Ok(TableIterator::new(findings.into_iter().map(row)))
    })
}

/// How much of the truth a vector search of a project finds: recall at k, by the path that memory_search() takes as it is set.
///
/// Searches for the vectors of sample memories (1..1000), each moved a tenth of the way towards another sampled one's, and compares
/// with all vectors, which are read once. recall is the mean share of the k (1..1000) nearest that were found, worst the least one,
/// short how many searches returned fewer rows than there are, milliseconds the mean time of a search. No row where nothing is
/// embedded. For admins of the project. Errors: 22023, 42501, 55000.
#[pg_extern(stable, parallel_unsafe)]
fn memory_recall_check(
    sample: default!(Option<i32>, "100"),
    k: default!(Option<i32>, "10"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(path, String),
            name!(searched, i32),
            name!(k, i32),
            name!(recall, f64),
            name!(worst, f64),
            name!(short, i32),
            name!(milliseconds, f64),
        ),
    >,
> {
    measured(Operation::RecallCheck, || {
        let project = crate::store::access::resolve_project(project_id)?;
        let call = maintenance::begin(Some(&project), false, "check")?;
        let k = k.unwrap_or(10);
        let paths = recall::check(&call, sample.unwrap_or(100), k)?;
        Ok(TableIterator::new(paths.into_iter().map(move |recall| {
            (
                recall.path.to_owned(),
                recall.searched,
                k,
                recall.recall(),
                recall.worst,
                recall.short,
                recall.milliseconds(),
            )
        })))
    })
}
