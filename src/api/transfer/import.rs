//! Import.

use pgrx::pg_sys::FunctionCallInfo;
use pgrx::prelude::*;

use crate::api::arguments::required;
use crate::pg::error::{self, SqlResult as Result};
use crate::pg::json::Jsonb;
use crate::pg::measure::{Operation, measured};
use crate::pg::trigger::{self, RowChange, TriggerRow};
use crate::store::transfer::import::{self, Wish};
use crate::store::transfer::inbox::{self, Inbox};
use crate::store::transfer::source::{Listed, Source, Text};
use crate::store::{Call, Privilege};

/// What the three functions have in common.
struct Options<'a> {
    format: Option<&'a str>,
    on_conflict: Option<&'a str>,
    namespace: Option<&'a str>,
    agent_id: Option<&'a str>,
    unknown: Option<&'a str>,
    dry_run: Option<bool>,
    confirm_sensitive: Option<bool>,
    project_id: Option<&'a str>,
}

impl Options<'_> {
    fn begin(&self) -> error::Result<Call> {
        Call::begin_safety(self.project_id, None, Privilege::Admin, "import")
    }

    fn run(&self, call: &Call, source: &dyn Source) -> error::Result<Jsonb> {
        let wish = Wish {
            format: self.format,
            on_conflict: required("on_conflict", self.on_conflict)?,
            namespace: self.namespace,
            agent_id: self.agent_id,
            unknown: required("unknown", self.unknown)?,
            dry_run: self.is_dry_run(),
            confirm_sensitive: self.confirm_sensitive.unwrap_or(false),
            names_project: self.project_id.is_some(),
        };
        let report = import::run(call, source, &wish)?;
        Ok(Jsonb::parse(&report.to_string()))
    }

    fn is_dry_run(&self) -> bool {
        self.dry_run.unwrap_or(false)
    }
}

/// Imports memories from lines, all or none, and returns a report; the same lines again change nothing.
///
/// format is memory_ext (memory_export as jsonl or json), aegis (lines with id, content, agent_id, namespace, scope, metadata,
/// created_at), memory_stages, mem0 or letta; left out, the first line tells it. Ids, times, versions, votes, flags and vectors are
/// kept. on_conflict says what to do where the memory is there already (the same id, an equal live memory, or its key): skip keeps
/// what is there, update takes the imported one if it differs (a live memory that has its key is deleted; an equal one of another
/// id stays), error raises 23505. namespace is where all go; agent_id whose they are that name no agent, in formats of other systems. unknown says
/// whether unknown fields are refused (refuse) or kept in the metadata (metadata). dry_run only reports. Sensitive memories need
/// confirm_sensitive. Lines of another project are refused, unless project_id is given: then all go there. The report: format,
/// lines, imported, updated, skipped_existing, identical, skipped (what was no memory, by kind), votes, sensitive, redacted (by content policies), dry_run.
/// Recorded as an event. Needs the admin privilege. Errors name the line: 22P02 what cannot be read, 22023 bad values, 54000 over a
/// limit; 23505, 42501, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_import<'a>(
    lines: Option<Array<'a, &'a str>>,
    format: default!(Option<&'a str>, "NULL"),
    on_conflict: default!(Option<&'a str>, "'skip'"),
    namespace: default!(Option<&'a str>, "NULL"),
    agent_id: default!(Option<&'a str>, "NULL"),
    unknown: default!(Option<&'a str>, "'refuse'"),
    dry_run: default!(Option<bool>, "false"),
    confirm_sensitive: default!(Option<bool>, "false"),
    project_id: default!(Option<&'a str>, "NULL"),
) -> Result<Jsonb> {
    measured(Operation::Import, || {
        let options = Options {
            format,
            on_conflict,
            namespace,
            agent_id,
            unknown,
            dry_run,
            confirm_sensitive,
            project_id,
        };
        let source = Listed(required("lines", lines)?);
        let call = options.begin()?;
        Ok(options.run(&call, &source)?)
    })
}

/// Imports memories from one text: a JSON document of another system, or the lines of a file. Otherwise as memory_import.
/// Errors: 22P02, 22023, 23505, 42501, 54000, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_import_document(
    document: Option<&str>,
    format: default!(Option<&str>, "NULL"),
    on_conflict: default!(Option<&str>, "'skip'"),
    namespace: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    unknown: default!(Option<&str>, "'refuse'"),
    dry_run: default!(Option<bool>, "false"),
    confirm_sensitive: default!(Option<bool>, "false"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<Jsonb> {
    measured(Operation::ImportDocument, || {
        let options = Options {
            format,
            on_conflict,
            namespace,
            agent_id,
            unknown,
            dry_run,
            confirm_sensitive,
            project_id,
        };
        let source = Text(required("document", document)?);
        let call = options.begin()?;
        Ok(options.run(&call, &source)?)
    })
}

/// Imports the lines that the caller has brought to the view memory_import_inbox, in their order, and removes them; a dry run and a
/// failure leave them (DELETE FROM memory_import_inbox throws them away). Otherwise as memory_import.
///
/// psql brings a file as it is by \copy memory_import_inbox(line) FROM 'file' WITH (FORMAT csv, QUOTE e'\x01', DELIMITER e'\x02').
/// The admin privilege in a project suffices for that. Errors: 22P02, 22023, 23505, 40001, 42501, 54000, 55000.
#[pg_extern(volatile, parallel_unsafe)]
#[allow(clippy::too_many_arguments)]
fn memory_import_inbox(
    format: default!(Option<&str>, "NULL"),
    on_conflict: default!(Option<&str>, "'skip'"),
    namespace: default!(Option<&str>, "NULL"),
    agent_id: default!(Option<&str>, "NULL"),
    unknown: default!(Option<&str>, "'refuse'"),
    dry_run: default!(Option<bool>, "false"),
    confirm_sensitive: default!(Option<bool>, "false"),
    project_id: default!(Option<&str>, "NULL"),
) -> Result<Jsonb> {
    measured(Operation::ImportInbox, || {
        let options = Options {
            format,
            on_conflict,
            namespace,
            agent_id,
            unknown,
            dry_run,
            confirm_sensitive,
            project_id,
        };
        let call = options.begin()?;
        let inbox = Inbox::of(&call);
        let report = options.run(&call, &inbox).map_err(|error| {
        error.also("Lines that were committed to the inbox are still there; DELETE FROM memory_import_inbox throws them away.")
    })?;
        if !options.is_dry_run() {
            inbox.clear()?;
        }
        Ok(report)
    })
}

/// Triggers of the view memory_import_inbox: one refuses who may not bring lines, the other takes in a line.
#[pg_extern(volatile, parallel_unsafe)]
fn memory_import_line(call: FunctionCallInfo) -> Result<Option<TriggerRow>> {
    if let Some(view) = trigger::before_insert_statement(call) {
        inbox::refuse_strangers(view)?;
        return Ok(Some(trigger::nothing()));
    }
    let change = RowChange::of(call, false)?;
    inbox::bring(&change)?;
    Ok(change.finish_copy())
}
