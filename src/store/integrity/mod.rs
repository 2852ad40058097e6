//! Whether the store is whole: the schema, every row's hashes and vector, and what ties the tables together.
//!
//! A finding is blamed on one check. Where one thing is wrong, others follow from it: a content that does not fit its hash does
//! not fit its vector either. So a row that fails a check is left out of those that would only say the same again.

mod btree;
mod catalog;
pub mod draw;
mod expected;
mod finding;
mod history;
mod links;
mod memories;
mod sample;
mod seals;
mod statistics;
mod values;
mod vector;

pub use finding::{Finding, Status};
pub use links::LEAKED;
pub use sample::reached;

use std::cell::Cell;
use std::rc::Rc;

use super::access::Call;
use super::migrate;
use super::open::{self, Store};
use crate::pg::error::{Error, Result};
use crate::pg::spi::{Arg, Session};
use crate::pg::subtransaction::{self, Outcome};
use memories::Pass;

/// The names of the indexes that the extension makes in a store that has had the migrations up to this one.
pub fn index_names(migration: i32) -> Vec<String> {
    expected::Expected::of(migration).index_names()
}

/// Rows that are embedded again and searched for, at most.
pub const LARGEST_SAMPLE: i32 = 10_000;

/// What is looked at.
pub struct Inspection<'a> {
    pub call: &'a Call,
    /// `None`: the whole store.
    pub project_id: Option<&'a str>,
    pub sample: usize,
}

impl<'a> Inspection<'a> {
    pub fn new(call: &'a Call, project_id: Option<&'a str>, sample: i32) -> Result<Self> {
        if !(0..=LARGEST_SAMPLE).contains(&sample) {
            return Err(Error::argument(format!(
                "sample is {sample}, expected a number from 0 to {LARGEST_SAMPLE}"
            )));
        }
        Ok(Inspection {
            call,
            project_id,
            sample: sample.unsigned_abs() as usize,
        })
    }

    /// The argument of "($1 IS NULL OR project_id = $1)".
    fn project(&self) -> Arg {
        self.project_id.into()
    }
}

/// The frame of an inspection: the store may lack what is looked for.
pub fn begin(project_id: Option<&str>) -> Result<Call> {
    let store: Rc<Store> = open::open_to_inspect()?;
    store.require(migrate::SAFETY)?;
    Call::begin_care(store, project_id, false, "check")
}

/// Every check, always in the same order.
pub fn check(inspection: &Inspection<'_>) -> Vec<Finding> {
    let mut findings = attempted(inspection, &catalog::CHECKS, &|session| {
        catalog::check(inspection, session)
    });
    findings.extend(rows(inspection, true));
    for (check, look) in LOOKS {
        findings.extend(attempted(inspection, &[check], &|session| {
            vec![look(inspection, session)]
        }));
    }
    findings
}

/// The checks of vectors alone, and before them a count of what there is.
pub fn check_vectors(inspection: &Inspection<'_>) -> Vec<Finding> {
    rows(inspection, false)
}

type Look = fn(&Inspection<'_>, &Session) -> Finding;

/// What a statement or two find out, each by itself, in the order it is reported.
const LOOKS: &[(&str, Look)] = &[
    (values::VALUES, values::values),
    (values::VERSIONS, values::versions),
    (history::HASH, history::hashes),
    (history::INTERVALS, history::intervals),
    (links::COUNTERS, links::counters),
    (links::ORPHANS, links::orphans),
    (links::SECRETS_CACHED, links::secrets_cached),
    (links::DANGLING, links::dangling),
    (links::CYCLES, links::cycles),
    (statistics::CHECK, statistics::check),
    (btree::CHECK, btree::check),
    (seals::CHECK, seals::check),
];

/// The checks of each memory, all in one pass over them, and those of a sample that the pass has drawn.
fn rows(inspection: &Inspection<'_>, all: bool) -> Vec<Finding> {
    let checks: &[&str] = match all {
        true => &memories::CHECKS,
        false => &memories::VECTOR_CHECKS,
    };
    let drawn = Cell::new(None);
    let mut findings = attempted(inspection, checks, &|session| {
        let mut pass = Pass::over(inspection, session);
        drawn.set(Some(pass.take_sample()));
        pass.findings(inspection, all)
    });
    let drawn = drawn.into_inner();
    let wanted = sample::CHECKS
        .iter()
        .filter(|(_, of_vectors, _)| all || *of_vectors);
    for (check, _, look) in wanted {
        findings.extend(attempted(inspection, &[check], &|session| match &drawn {
            Some(sample) => vec![look(inspection, session, sample)],
            None => vec![Finding::skipped(check, UNREAD)],
        }));
    }
    findings
}

const UNREAD: &str = "the rows could not be read";

/// Runs checks in a subtransaction, so that one that fails on what is corrupt does not keep the others from looking.
fn attempted(
    inspection: &Inspection<'_>,
    checks: &[&'static str],
    work: &dyn Fn(&Session) -> Vec<Finding>,
) -> Vec<Finding> {
    let outcome = subtransaction::attempt_any(|| Ok(inspection.call.sql(|session| work(session))));
    let (sqlstate, message) = match outcome {
        Outcome::Done(findings) => return findings,
        Outcome::Failed { sqlstate, message } => (sqlstate, message),
    };
    // A table or a column that is missing is what the check of tables tells.
    const MISSING: [&str; 3] = ["42P01", "42703", "42883"];
    if MISSING.contains(&sqlstate.as_str()) {
        return checks
            .iter()
            .map(|check| Finding::skipped(check, message.clone()))
            .collect();
    }
    checks
        .iter()
        .enumerate()
        .map(|(place, check)| match place {
            0 => unreadable(check, &sqlstate, &message),
            _ => Finding::skipped(check, UNREAD),
        })
        .collect()
}

fn unreadable(check: &'static str, sqlstate: &str, message: &str) -> Finding {
    Finding {
        status: Status::Error,
        issues: 1,
        ..Finding::ok(check)
    }
    .with("sqlstate", sqlstate)
    .with("error", message)
    .with(
        "hint",
        "Stop writing and restore from a backup; the server's log names the file and the page.",
    )
}
