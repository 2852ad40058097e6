//! The audit trail and the old versions are what was sealed.

use serde_json::json;

use super::Inspection;
use super::finding::{Finding, MOST_SAMPLES, Met, Status};
use crate::pg::spi::Session;
use crate::store::seal::{self, verify};

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
    Finding::of(
        CHECK,
        Status::Error,
        met,
        "Audit rows or their seals were changed behind the extension: SELECT * FROM memory_audit_verify() names them; compare with a backup.",
    )
    .with("seals", report.seals)
    .with("keyed", report.is_keyed)
}
