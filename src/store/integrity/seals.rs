//! The audit trail and the old versions are what was sealed.

use serde_json::json;

use super::Inspection;
use super::finding::{Finding, MOST_SAMPLES, Met, Status};
use crate::pg::spi::Session;
use crate::store::seal;
use crate::store::seal::verify::{self, NOT_KEYED, Report, WRONG_KEY};

pub const CHECK: &str = "audit_seals";

pub fn check(inspection: &Inspection<'_>, _session: &Session) -> Finding {
    if inspection.project_id.is_some() {
        return Finding::skipped(CHECK, "seals are of the whole store");
    }
    let keys = match seal::keys() {
        Ok(keys) => keys,
        Err(error) => {
            let met = Met::counted(1, vec![json!({ "error": error.to_string() })]);
            return Finding::of(
                CHECK,
                Status::Error,
                met,
                "Put the key file back, or set memory_ext.audit_key_file to it.",
            );
        }
    };
    let report = verify::verify(inspection.call, &keys, None);
    let sample = report.faults.iter().take(MOST_SAMPLES).map(|fault| {
        json!({
            "problem": fault.problem,
            "table": fault.table.map(|table| table.name()),
            "row_id": fault.id,
            "seal": fault.seal,
        })
    });
    let met = Met::counted(
        i64::try_from(report.found()).unwrap_or(i64::MAX),
        sample.collect(),
    );
    let (severity, hint) = advice(&report, keys.is_empty());
    Finding::of(CHECK, severity, met, hint)
        .with("seals", report.seals)
        .with("keyed", report.is_keyed)
}

/// How bad what was found is, and what to do about it. A key that is missing here is told apart from changes: rows, and the links of
/// the chain, are verified without it.
fn advice(report: &Report, no_key: bool) -> (Status, &'static str) {
    let problems = || report.faults.iter().map(|fault| fault.problem);
    let has_other_key = problems().any(|problem| problem == WRONG_KEY);
    let follows = |problem| problem == WRONG_KEY || problem == NOT_KEYED;
    match has_other_key && report.more_faults == 0 && problems().all(follows) {
        true if no_key => (
            Status::Warning,
            "The seals were made with a key, and memory_ext.audit_key_file is not set here: set it to the file with the key, so that their MACs can be verified too.",
        ),
        true => (
            Status::Error,
            "Seals were made with a key that the file of memory_ext.audit_key_file does not have: see that it is the right file, and put former keys into it as further lines. If there is no such key, the seals were forged: SELECT * FROM memory_audit_verify() names them.",
        ),
        false => (
            Status::Error,
            "Audit rows or their seals were changed behind the extension: SELECT * FROM memory_audit_verify() names them; compare with a backup.",
        ),
    }
}
