//! Seals of the audit trail.

use memory_core::seal::Anchor;
use pgrx::prelude::*;

use crate::pg::error::{Error, SqlResult as Result};
use crate::pg::json::Jsonb;
use crate::pg::system;
use crate::store::seal::{self, export, verify, write};

/// Seals what is new in memory_events and memory_history, so that a later change of it is found: a row a table.
///
/// Waits for the transactions that are writing to them, and keeps nobody from writing; lock_timeout bounds the wait, and what is
/// committed meanwhile is left for the next seal. sealed_rows 0: nothing is new. anchor is the last seal of the call, to be kept where the
/// owner of the database cannot change it. With memory_ext.audit_key_file seals are made with its key, else they are plain hashes. The
/// worker does the same each memory_ext.seal_interval. Needs a READ COMMITTED transaction. For the owner of the memories and admins of
/// every project. Errors: 25001, 25006, 42501, 55000, 55P03, XX001.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_audit_seal() -> Result<
    TableIterator<
        'static,
        (
            name!(table_name, String),
            name!(sealed_rows, i64),
            name!(first_id, Option<i64>),
            name!(last_id, Option<i64>),
            name!(seal_number, Option<i64>),
            name!(anchor, Option<String>),
        ),
    >,
> {
    system::refuse_read_only_transaction(c"memory_audit_seal()");
    let call = seal::begin(true, "seal")?;
    let sealed = write::seal(&call)?;
    Ok(TableIterator::new(sealed.map(|sealed| {
        (
            sealed.table.name().to_owned(),
            signed(sealed.rows),
            sealed.range.map(|(first, _)| first),
            sealed.range.map(|(_, last)| last),
            sealed.last.map(|anchor| signed(anchor.number)),
            sealed.last.map(|anchor| anchor.to_string()),
        )
    })))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Compares memory_events and memory_history with their seals: a first row that sums up, status intact or altered, and a row a fault.
///
/// anchor is one that was kept elsewhere: that seal must be there as it was. problem of a row: deleted, edited, added, duplicate;
/// leaves_edited, unverifiable: which rows cannot be told. Of seals: seal_edited, seal_missing, seal_replaced (another than the anchor),
/// chain_truncated, chain_broken, ranges_not_contiguous, wrong_key, not_keyed. Rows that memory_forget(), memory_expire() and the like
/// erased are no fault: the event that says so is their receipt. Rows behind the last seal are counted as unsealed, and not verified.
/// Up to 10000 faults are named. Reads every row once and changes nothing; a standby will do. Keys come from memory_ext.audit_key_file.
/// For the owner of the memories and admins of every project. Errors: 22P02, 42501, 55000.
#[pg_extern(stable, parallel_unsafe)]
fn memory_audit_verify(
    anchor: default!(Option<&str>, "NULL"),
) -> Result<
    TableIterator<
        'static,
        (
            name!(status, String),
            name!(problem, Option<String>),
            name!(table_name, Option<String>),
            name!(row_id, Option<i64>),
            name!(seal_number, Option<i64>),
            name!(message, String),
            name!(details, Option<Jsonb>),
        ),
    >,
> {
    let call = seal::begin(false, "verify")?;
    let anchor = anchor
        .map(|text| {
            text.parse::<Anchor>().map_err(|error| {
                Error::unparsable(format!("anchor {text:?} is none: {error}"))
                    .hint("memory_audit_anchor() and memory_audit_seal() give anchors.")
            })
        })
        .transpose()?;
    let report = verify::verify(&call, &seal::keys()?, anchor);
    let status = match report.found() {
        0 => "intact",
        _ => "altered",
    };
    let details = Jsonb::parse(&report.details().to_string());
    let summary = (
        status.to_owned(),
        None,
        None,
        None,
        None,
        report.message(),
        Some(details),
    );
    let faults = report.faults.into_iter().map(|fault| {
        (
            "altered".to_owned(),
            Some(fault.problem.to_owned()),
            fault.table.map(|table| table.name().to_owned()),
            fault.id,
            fault.seal.map(signed),
            fault.message,
            None,
        )
    });
    Ok(TableIterator::new(std::iter::once(summary).chain(faults)))
}

/// The last seal as a text of its number and MAC, NULL where there is none.
///
/// Kept where the owner of the database cannot change it, and given to memory_audit_verify() later, it proves that neither that seal nor
/// one before it was replaced or cut off. For the owner of the memories and admins of every project. Errors: 42501, 55000.
#[pg_extern(stable, parallel_restricted)]
fn memory_audit_anchor() -> Result<Option<String>> {
    let call = seal::begin(false, "verify")?;
    Ok(seal::anchor(&call).map(|anchor| anchor.to_string()))
}

/// The seals, memory_events and memory_history as JSON lines, which the program memory-audit verifies without the database.
///
/// The content of what is sensitive is not in it: a commitment stands in its place, which proves it and does not tell it. In a select list
/// (SELECT memory_audit_export()) the rows stream and memory stays bounded; they arrive without escapes by psql -XAtq -c
/// 'SELECT memory_audit_export()'. All rows are of the snapshot of the statement. Recorded as an event, where the transaction may write. For
/// the owner of the memories and admins of every project. Errors: 42501, 54000, 55000.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_audit_export() -> Result<SetOfIterator<'static, String>> {
    let call = seal::begin(false, "export")?;
    Ok(SetOfIterator::new(export::Export::begin(&call)))
}
