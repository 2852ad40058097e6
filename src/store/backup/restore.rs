//! Coming back from a backup: verified as a whole, then restored in one transaction, or not at all.

use std::rc::Rc;

use memory_core::container::Secret;
use serde_json::{Value, json};

use super::contents;
use super::merge::{self, Outcome, Plan};
use super::read::{self, Checked, Source};
use super::stage::{self, Scope};
use super::{rights, write};
use crate::pg::error::{Error, Result};
use crate::pg::redact;
use crate::pg::system;
use crate::store::access::{Call, Privilege};
use crate::store::parameters::Wish as StoreWish;
use crate::store::{Store, events, migrate, open};

/// What is asked for.
pub struct Wish<'a> {
    /// `None`: all that the backup holds.
    pub project: Option<&'a str>,
    pub dry_run: bool,
    pub verbose: bool,
    pub confirm_sensitive: bool,
    pub clean: bool,
    pub include_grants: bool,
}

/// The frame of a call that restores a backup; `None` where there is no store yet, which the restore then makes.
pub fn begin(wish: &Wish<'_>) -> Result<Option<Call>> {
    let store = open::open_if_present()?;
    let call = match store {
        Some(store) => Some(rights::begin_on(
            store,
            wish.project,
            Privilege::Admin,
            "restore",
        )?),
        None => {
            rights::refuse_strangers()?;
            None
        }
    };
    system::refuse_read_only_transaction(c"memory_restore()");
    Ok(call)
}

/// Restores a backup, or says what that would do.
pub fn run(
    call: Option<Call>,
    source: &mut dyn Source,
    secret: &Secret,
    wish: &Wish<'_>,
) -> Result<Value> {
    let started = system::unix_micros();
    let checked = read::check(source, secret)?;
    if !checked.has_manifest {
        system::warning(&format!(
            "backup {:?} has no manifest beside it; the backup itself is whole",
            source.shown()
        ));
    }
    let header = &checked.header;
    let project = scope(&checked, wish, call.as_ref())?;
    if header.includes_sensitive {
        rights::refuse_unconfirmed(wish.confirm_sensitive, "restoring a backup with")?;
    }
    if wish.include_grants && header.project.is_some() {
        return Err(Error::argument(
            "include_grants is true, but the backup is of one project and has no grants",
        )
        .hint("Leave out include_grants, or restore a backup of the whole store."));
    }
    if wish.include_grants && project.is_some() {
        return Err(Error::argument(
            "include_grants is true, but grants come back with the whole store only",
        )
        .hint("Leave out project_id, or include_grants."));
    }
    let number = migrate::number_of(&header.store_version).ok_or_else(|| newer(&checked))?;
    let (call, created) = match call {
        Some(call) => (Some(call), false),
        None if wish.dry_run => (None, true),
        None => (Some(create(&checked, wish)?), true),
    };
    let scope = Scope {
        project,
        grants: wish.include_grants,
    };
    let Some(call) = call else {
        let mut outcome = Outcome::default();
        for (table, rows) in stage::count(source, secret, &scope)? {
            let tally = outcome.tally(table.name);
            tally.rows = rows;
            if table.merge != contents::Merge::Models {
                tally.inserted = rows;
            }
        }
        warn_of_nothing(wish, &outcome);
        return Ok(report(
            &checked,
            source.shown(),
            project,
            wish,
            &outcome,
            created,
            started,
        ));
    };
    fits(&call.store, &checked, number)?;
    if wish.include_grants && !merge::may_restore_grants(&call) {
        return Err(
            Error::denied("only the owner of the memories may restore grants")
                .hint("Leave out include_grants."),
        );
    }
    let plan = Plan {
        project,
        without_sensitive: !header.includes_sensitive,
        made_at: &header.created_at,
        // A store made a moment ago has its first types, and nothing else.
        clean: wish.clean || created,
        dry_run: wish.dry_run,
        created,
        trusted: rights::may_do_all(&call.store, call.access.caller()),
    };
    let outcome = redact::rows_of(&format!("backup {}", header.backup_id), || {
        let stages = stage::fill(&call, source, secret, &checked, &scope, wish.verbose)?;
        let outcome = merge::run(&call, &stages, &plan)?;
        stages.drop(&call);
        Ok(outcome)
    })?;
    warn_of_nothing(wish, &outcome);
    if wish.verbose {
        for (table, tally) in &outcome.tables {
            system::notice(&format!(
                "{table}: {} inserted, {} updated, {} removed",
                tally.inserted, tally.updated, tally.removed
            ));
        }
    }
    if !wish.dry_run {
        record(&call, &checked, project, wish, &outcome);
    }
    Ok(report(
        &checked,
        source.shown(),
        project,
        wish,
        &outcome,
        created,
        started,
    ))
}

/// The project whose rows come back: the one that is asked for, or the backup's.
fn scope<'a>(
    checked: &'a Checked,
    wish: &Wish<'a>,
    call: Option<&Call>,
) -> Result<Option<&'a str>> {
    match (wish.project, checked.header.project.as_deref()) {
        (Some(asked), Some(has)) if asked != has => {
            // Whose it is, is not everybody's to know.
            if let Some(call) = call {
                rights::refuse_another_projects(call, checked)?;
            }
            Err(Error::argument(format!(
                "the backup is of project {has:?}, not of project {asked:?}"
            ))
            .hint("Leave out project_id, or name that project: a backup comes back into the project that it is of."))
        }
        (asked, has) => Ok(asked.or(has)),
    }
}

/// What is asked for by a name that was misspelt is nothing.
fn warn_of_nothing(wish: &Wish<'_>, outcome: &Outcome) {
    let mut tallies = outcome.tables.iter();
    let has_rows = tallies.any(|(name, tally)| tally.rows > 0 && contents::is_of_project(name));
    if let Some(project) = wish.project.filter(|_| !has_rows) {
        system::warning(&format!(
            "the backup has nothing of project {project:?}: no row of it comes back"
        ));
    }
}

fn newer(checked: &Checked) -> Error {
    Error::state(format!(
        "the backup is of a store of version {:?}, newer than the library's {}",
        checked.header.store_version,
        migrate::LIBRARY_VERSION
    ))
    .hint("Install the version of memory_ext that it was made with, or a later one.")
}

/// Makes the store that the backup's rows fit, owned by the caller.
fn create(checked: &Checked, wish: &Wish<'_>) -> Result<Call> {
    let model = &checked.model;
    migrate::init(StoreWish {
        dimensions: Some(model.dimensions),
        embedder: Some(model.embedder.clone()),
        text_search_config: Some(model.text_search_config.clone()),
        ..StoreWish::default()
    })?;
    rights::begin_on(open::open()?, wish.project, Privilege::Admin, "restore")
}

fn fits(store: &Rc<Store>, checked: &Checked, number: i32) -> Result<()> {
    store.require(number)?;
    let model = &checked.model;
    let dimensions = i32::try_from(store.dimensions).unwrap_or(i32::MAX);
    if (model.dimensions, model.embedder.as_str()) != (dimensions, store.embedder.name()) {
        return Err(Error::state(format!(
            "the backup has vectors of {} dimensions of embedder {:?}, the store has {dimensions} of {:?}",
            model.dimensions,
            model.embedder,
            store.embedder.name()
        ))
        .hint("Restore it into another database: where there is no store, memory_restore() makes one that fits."));
    }
    Ok(())
}

fn record(
    call: &Call,
    checked: &Checked,
    project: Option<&str>,
    wish: &Wish<'_>,
    outcome: &Outcome,
) {
    let header = &checked.header;
    system::log_for_operators(format!(
        "memory_ext: role {:?} restores backup {} of {}{}",
        call.access.role,
        header.backup_id,
        header.created_at,
        project.map_or_else(String::new, |project| format!(", project {project:?}")),
    ));
    let mut payload = json!({
        "backup_id": header.backup_id,
        "created_at": header.created_at,
        "project": project,
        "includes_sensitive": header.includes_sensitive,
        "clean": wish.clean,
        "tables": outcome.report(),
    });
    if outcome.erased.is_empty() {
        return call.sql(|session| events::record(call, session, "restore", None, &payload));
    }
    // The receipt of what was sealed and is gone: written whatever memory_ext.audit says.
    payload["history_ids"] = outcome.erased.as_slice().into();
    call.sql(|session| events::insert(call, session, "restore", None, &payload));
}

fn report(
    checked: &Checked,
    shown: &str,
    project: Option<&str>,
    wish: &Wish<'_>,
    outcome: &Outcome,
    created: bool,
    started: u64,
) -> Value {
    let header = &checked.header;
    let seconds = system::unix_micros().saturating_sub(started) as f64 / 1e6;
    json!({
        "backup_id": header.backup_id,
        "created_at": header.created_at,
        "path": shown,
        "project": project,
        "includes_sensitive": header.includes_sensitive,
        "dry_run": wish.dry_run,
        "clean": wish.clean,
        "has_manifest": checked.has_manifest,
        "store_created": created,
        "tables": outcome.report(),
        "kept_sensitive": outcome.kept_sensitive,
        "displaced": outcome.displaced,
        "yielded": outcome.yielded,
        "left_out": outcome.left_out(),
        "seconds": write::seconds(seconds),
    })
}
