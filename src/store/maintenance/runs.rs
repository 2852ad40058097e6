//! Rounds of maintenance: several operations, a report of each, and what is kept of them.

use serde_json::{Value, json};

use super::rebuild;
use super::reembed::{self, Task};
use super::{cleanup, progress};
use crate::pg::error::{Error, Result};
use crate::pg::guc;
use crate::pg::json::Jsonb;
use crate::pg::snapshot;
use crate::pg::spi::{Planning, Session};
use crate::pg::subtransaction::{self, Outcome};
use crate::store::access::Call;
use crate::store::integrity::{self, Finding, Inspection, Status};
use crate::store::{erase, open, read};

use pgrx::datum::TimestampWithTimeZone;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    CheckIntegrity,
    ValidateVectors,
    CleanupOrphans,
    Expire,
    Reembed,
    RebuildIndex,
    Analyze,
}

impl Operation {
    const ALL: [Operation; 7] = [
        Operation::CheckIntegrity,
        Operation::ValidateVectors,
        Operation::CleanupOrphans,
        Operation::Expire,
        Operation::Reembed,
        Operation::RebuildIndex,
        Operation::Analyze,
    ];
    /// What nobody has to wait for.
    pub const USUAL: [Operation; 5] = [
        Operation::CheckIntegrity,
        Operation::ValidateVectors,
        Operation::CleanupOrphans,
        Operation::Expire,
        Operation::Analyze,
    ];
    /// The index is rebuilt once everything that is to go is gone.
    pub const FULL: [Operation; 6] = [
        Operation::CheckIntegrity,
        Operation::ValidateVectors,
        Operation::CleanupOrphans,
        Operation::Expire,
        Operation::RebuildIndex,
        Operation::Analyze,
    ];
    /// What the worker does.
    const SCHEDULED: [Operation; 2] = [Operation::CheckIntegrity, Operation::CleanupOrphans];

    pub fn named(name: &str) -> Result<Self> {
        let names = Operation::ALL.map(Operation::name).join(", ");
        Operation::ALL
            .into_iter()
            .find(|operation| operation.name() == name)
            .ok_or_else(|| {
                Error::argument(format!("unknown operation {name:?}"))
                    .hint(format!("Operations are: {names}."))
            })
    }

    fn name(self) -> &'static str {
        match self {
            Operation::CheckIntegrity => "check_integrity",
            Operation::ValidateVectors => "validate_vectors",
            Operation::CleanupOrphans => "cleanup_orphans",
            Operation::Expire => "expire",
            Operation::Reembed => "reembed",
            Operation::RebuildIndex => "rebuild_index",
            Operation::Analyze => "analyze",
        }
    }
}

/// What an operation came to.
#[derive(Default)]
struct Report {
    found: i64,
    resolved: i64,
    actions: Vec<String>,
    recommendations: Vec<String>,
    errors: Vec<String>,
    metadata: Value,
}

/// Rows that are looked at more closely by the checks of a round.
const SAMPLE: i32 = 100;

/// Runs the operations one after the other, each by itself: one that fails is undone and reported, and the next one runs. What
/// is not a dry run is kept in memory_maintenance_runs.
pub fn run(call: &Call, operations: &[Operation], full: bool, dry_run: bool) -> Value {
    let started_at = clock(call);
    let (mut reports, mut found, mut resolved, mut failed) = (Vec::new(), 0, 0, 0);
    for &operation in operations {
        let started_at = clock(call);
        let outcome = subtransaction::attempt_any(|| {
            // The checks see what the operations before them have done.
            snapshot::fresh(|| carry_out(call, operation, dry_run))
        });
        let report = match outcome {
            Outcome::Done(report) => report,
            Outcome::Failed { sqlstate, message } => Report {
                errors: vec![format!("{sqlstate}: {message}")],
                metadata: json!({}),
                ..Report::default()
            },
        };
        found += report.found;
        resolved += report.resolved;
        failed += i64::from(!report.errors.is_empty());
        let completed_at = clock(call);
        let written = json!({
            "operation": operation.name(),
            "started_at": started_at,
            "issues_found": report.found,
            "issues_resolved": report.resolved,
            "actions_taken": report.actions,
            "recommendations": report.recommendations,
            "errors": report.errors,
            "metadata": report.metadata,
            "completed_at": completed_at,
        });
        if !dry_run {
            keep(call, &written);
        }
        reports.push(written);
    }
    json!({
        "maintenance_run": {
            "started_at": started_at,
            "completed_at": clock(call),
            "role": call.access.role,
            "operations": operations.iter().map(|operation| operation.name()).collect::<Vec<_>>(),
            "full": full,
            "dry_run": dry_run,
            "issues_found": found,
            "issues_resolved": resolved,
            "failed": failed,
        },
        "reports": reports,
    })
}

/// The time, which goes on within a transaction, as JSON has times.
fn clock(call: &Call) -> Value {
    let sql = "SELECT to_jsonb(clock_timestamp()) #>> '{}'";
    let now: Option<String> = call.sql(|session| session.write(sql, &[]).get(0, 1));
    now.into()
}

fn keep(call: &Call, report: &Value) {
    let sql = call.store.sql(
        "INSERT INTO @s@.memory_maintenance_runs (operation, role, started_at, completed_at, issues_found, issues_resolved, report)
         SELECT r ->> 'operation', $2, (r ->> 'started_at')::timestamptz, (r ->> 'completed_at')::timestamptz,
                (r -> 'issues_found')::bigint, (r -> 'issues_resolved')::bigint, r
         FROM (SELECT $1::jsonb) AS x (r)",
    );
    let args = [report.to_string().into(), call.access.role.as_str().into()];
    call.sql(|session| session.write(&sql, &args).len());
}

fn carry_out(call: &Call, operation: Operation, dry_run: bool) -> Result<Report> {
    match operation {
        Operation::CheckIntegrity => {
            let findings = integrity::check(&Inspection::new(call, None, SAMPLE)?);
            return Ok(checked(&findings));
        }
        Operation::ValidateVectors => {
            let findings = integrity::check_vectors(&Inspection::new(call, None, SAMPLE)?);
            return Ok(checked(&findings));
        }
        _ => {}
    }
    // What changes something needs the store as it should be; the checks say what it lacks.
    open::find()?;
    Ok(match operation {
        Operation::CheckIntegrity | Operation::ValidateVectors => Report::default(),
        Operation::CleanupOrphans => clean_up(call, dry_run),
        Operation::Expire => expire(call, dry_run)?,
        Operation::Reembed => reembed(call, dry_run)?,
        Operation::RebuildIndex => rebuild_index(call, dry_run)?,
        Operation::Analyze => analyze(call, dry_run),
    })
}

fn checked(findings: &[Finding]) -> Report {
    let wrong = || {
        findings
            .iter()
            .filter(|finding| finding.status != Status::Ok)
    };
    Report {
        found: wrong().map(|finding| finding.issues).sum(),
        actions: vec![format!("ran {} checks", findings.len())],
        recommendations: wrong()
            .map(|finding| format!("{}: {}", finding.check, finding.hint().unwrap_or_default()))
            .collect(),
        metadata: json!({
            "checks": findings.iter().map(|finding| json!({
                "check_name": finding.check,
                "status": finding.status.name(),
                "issues": finding.issues,
                "details": finding.details,
            })).collect::<Vec<_>>(),
        }),
        ..Report::default()
    }
}

fn clean_up(call: &Call, dry_run: bool) -> Report {
    let _doing = call.doing("cleanup");
    let leftovers = cleanup::run(call, dry_run);
    let counts = |of: fn(&cleanup::Leftover) -> i64| -> Value {
        leftovers
            .iter()
            .map(|leftover| (leftover.what.to_owned(), of(leftover).into()))
            .collect::<serde_json::Map<_, _>>()
            .into()
    };
    let found: i64 = leftovers.iter().map(|leftover| leftover.found).sum();
    Report {
        found,
        resolved: leftovers.iter().map(|leftover| leftover.removed).sum(),
        actions: leftovers
            .iter()
            .filter(|leftover| leftover.removed > 0)
            .map(|leftover| format!("removed {} {}", leftover.removed, leftover.what))
            .collect(),
        recommendations: match found > 0 && dry_run {
            true => vec![
                "SELECT * FROM memory_cleanup_orphans(dry_run => false) removes what was found."
                    .to_owned(),
            ],
            false => Vec::new(),
        },
        metadata: json!({ "found": counts(|leftover| leftover.found), "removed": counts(|leftover| leftover.removed) }),
        ..Report::default()
    }
}

fn expire(call: &Call, dry_run: bool) -> Result<Report> {
    let _doing = call.doing("expire");
    if dry_run {
        let sql = call.store.sql(
            "SELECT count(*) FROM @s@.memories WHERE expires_at <= now() OR deleted_at <= now() - make_interval(days => $1)",
        );
        let args = [guc::tombstone_retention().into()];
        let found = call.sql(|session| session.write(&sql, &args).get(0, 1).unwrap_or(0));
        return Ok(Report {
            found,
            metadata: json!({ "removed": 0 }),
            ..Report::default()
        });
    }
    const BATCH: i32 = 1000;
    let mut removed = 0;
    let mut progress = progress::Progress::of("expiring", 0);
    loop {
        crate::pg::system::check_for_interrupts();
        let more = erase::expire(call, BATCH)?;
        removed += more;
        progress.at(removed);
        if more < i64::from(BATCH) {
            break;
        }
    }
    Ok(Report {
        found: removed,
        resolved: removed,
        actions: (removed > 0)
            .then(|| format!("removed {removed} expired memories and old tombstones"))
            .into_iter()
            .collect(),
        metadata: json!({ "removed": removed }),
        ..Report::default()
    })
}

/// What has no vector, or the one of another text.
fn reembed(call: &Call, dry_run: bool) -> Result<Report> {
    let _doing = call.doing("reembed");
    reembed::refuse_external(call)?;
    if dry_run {
        let sql = call.store.sql(
            "SELECT count(*) FROM @s@.memories WHERE NOT is_sensitive AND deleted_at IS NULL
                    AND (embedding IS NULL OR embedded_hash IS DISTINCT FROM content_hash)",
        );
        return Ok(Report {
            found: call.sql(|session| session.write(&sql, &[]).get(0, 1).unwrap_or(0)),
            metadata: json!({}),
            ..Report::default()
        });
    }
    let outcomes = reembed::run(
        call,
        &Task {
            project_id: None,
            batch: i64::MAX,
            after: None,
            only_stale: true,
            verify: true,
        },
    )?;
    Ok(Report {
        found: outcomes.eligible,
        resolved: outcomes.embedded,
        actions: vec![format!("embedded {} memories", outcomes.embedded)],
        errors: match outcomes.failed {
            0 => Vec::new(),
            failed => vec![format!("{failed} memories could not be embedded")],
        },
        metadata: outcomes.report(),
        ..Report::default()
    })
}

fn rebuild_index(call: &Call, dry_run: bool) -> Result<Report> {
    let _doing = call.doing("rebuild");
    let missing = i64::from(!open::find()?.is_some_and(|store| store.has_vector_index));
    if dry_run {
        return Ok(Report {
            found: missing,
            metadata: json!({ "script": rebuild::script(call, None, None)? }),
            ..Report::default()
        });
    }
    let report = rebuild::rebuild(call, None, None, false)?;
    Ok(Report {
        found: missing,
        resolved: missing,
        actions: vec![format!("rebuilt index {}", rebuild::INDEX)],
        metadata: report,
        ..Report::default()
    })
}

fn analyze(call: &Call, dry_run: bool) -> Report {
    let tables = crate::store::migrate::tables();
    if !dry_run {
        call.sql(|session| {
            for table in &tables {
                session.once(&call.store.sql(&format!("ANALYZE @s@.{table}")));
            }
        });
    }
    Report {
        actions: match dry_run {
            true => Vec::new(),
            false => vec![format!("analysed {} tables", tables.len())],
        },
        metadata: json!({ "tables": tables }),
        ..Report::default()
    }
}

/// The worker's round, when the last one is old enough; whether there was one.
pub fn scheduled(call: &Call) -> Option<Value> {
    let seconds = f64::from(guc::maintenance_interval()?);
    let sql = call.store.sql(
        "SELECT coalesce(max(started_at) <= clock_timestamp() - make_interval(secs => $1), true) FROM @s@.memory_maintenance_runs
         WHERE operation = 'check_integrity'",
    );
    let due: Option<bool> = call.sql(|session| session.write(&sql, &[seconds.into()]).get(0, 1));
    (due == Some(true)).then(|| run(call, &Operation::SCHEDULED, false, false))
}

/// An operation as it was kept.
pub struct Kept {
    pub run_id: i64,
    pub operation: String,
    pub role: String,
    pub started_at: TimestampWithTimeZone,
    pub completed_at: TimestampWithTimeZone,
    pub issues_found: i64,
    pub issues_resolved: i64,
    pub report: Jsonb,
}

/// The newest first.
pub fn history(call: &Call, page_size: i32) -> Result<Vec<Kept>> {
    read::check_page_size(page_size)?;
    let sql = call.store.sql(&format!(
        "SELECT run_id, operation, role, started_at, completed_at, issues_found, issues_resolved, report
         FROM @s@.memory_maintenance_runs ORDER BY run_id DESC LIMIT {page_size}"
    ));
    Ok(call.sql(|session: &Session| {
        let rows = session.read(&sql, Planning::Custom, &[]);
        (0..rows.len())
            .map(|row| Kept {
                run_id: rows.required(row, 1),
                operation: rows.required(row, 2),
                role: rows.required(row, 3),
                started_at: rows.required(row, 4),
                completed_at: rows.required(row, 5),
                issues_found: rows.required(row, 6),
                issues_resolved: rows.required(row, 7),
                report: rows.required(row, 8),
            })
            .collect()
    }))
}
