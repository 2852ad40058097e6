//! The inbox of imports: lines that `\copy memory_import_inbox(line)` brings, each role its own.

use std::cell::Cell;
use std::ops::ControlFlow;
use std::rc::Rc;

use pgrx::pg_sys;

use super::source::{Source, Work};
use crate::pg::error::{Error, Result};
use crate::pg::identity;
use crate::pg::planner::IndexOrder;
use crate::pg::spi::{self, Arg, Planning};
use crate::pg::system;
use crate::pg::trigger::RowChange;
use crate::store::access::{self, Call};
use crate::store::open::{self, Store};
use crate::store::migrate;

/// Refuses a caller who is admin of no project: nobody else could import the lines. Once a statement, before the first line:
/// the context of an error at a line of COPY would show what stands in it.
pub fn refuse_strangers(view: pg_sys::Oid) -> Result<()> {
    let store = store_of(view)?;
    let caller = system::current_role();
    if access::is_master(&store, caller) {
        return Ok(());
    }
    let sql = store.sql(
        "SELECT FROM @s@.memory_grants g JOIN pg_roles r ON r.rolname = g.role
         WHERE g.privilege = 'admin' AND g.agent_id IS NULL AND pg_has_role($1, r.oid, 'USAGE') LIMIT 1",
    );
    let _owner = store.as_owner();
    let args = [Arg::oid(caller)];
    if !spi::connect(|session| session.read(&sql, Planning::Generic, &args).is_empty()) {
        return Ok(());
    }
    let role = system::role_name(caller);
    Err(Error::denied(format!(
        "role {role:?} may not bring lines to import: it is admin of no memory project"
    ))
    .hint(format!(
        "The owner of the memories can run: SELECT memory_grant('{role}', project, 'admin')."
    )))
}

/// Takes in a line of the caller, whose right was checked before the first one.
pub fn bring(change: &RowChange) -> Result<()> {
    let store = store_of(change.relation())?;
    // COPY gives NULL for an empty line.
    let line: String = change.new_value(c"line").unwrap_or_default();
    let role = system::role_name(system::current_role());
    let sql = store.sql("INSERT INTO @s@.memory_import_lines (role, line) VALUES ($1, $2)");
    let _owner = store.as_owner();
    spi::connect(|session| {
        session.write(&sql, &[role.into(), line.into()]);
    });
    Ok(())
}

fn store_of(view: pg_sys::Oid) -> Result<Rc<Store>> {
    let store = open::open()?;
    store.require(migrate::SAFETY)?;
    match identity::table(&store.identity, c"memory_import_inbox") == Some(view) {
        true => Ok(store),
        false => Err(Error::state(
            "this trigger function serves the view memory_import_inbox of the memory store only",
        )),
    }
}

/// The lines of the caller, as the calling statement sees them.
pub struct Inbox<'c> {
    call: &'c Call,
    /// The first and the last number that was met, and how many.
    met: Cell<Option<(i64, i64, u64)>>,
}

impl<'c> Inbox<'c> {
    pub fn of(call: &'c Call) -> Self {
        Inbox {
            call,
            met: Cell::new(None),
        }
    }

    fn page(&self, after: i64) -> Vec<(i64, String)> {
        // Whichever is reached first; one line at least.
        const ROWS: usize = 1000;
        const BYTES: usize = 8 << 20;
        let sql = self.call.store.sql(&format!(
            "SELECT q.line_number, q.line
             FROM (SELECT p.*, sum(octet_length(p.line)) OVER (ORDER BY p.line_number ROWS UNBOUNDED PRECEDING) - octet_length(p.line) AS bytes_before
                   FROM (SELECT l.line_number, l.line FROM @s@.memory_import_lines l WHERE l.role = $1 AND l.line_number > $2
                         ORDER BY l.line_number LIMIT {ROWS}) p) q
             WHERE q.bytes_before < {BYTES} ORDER BY q.line_number"
        ));
        let args = [self.call.access.role.as_str().into(), after.into()];
        let _plan = IndexOrder::enforce();
        self.call.sql(|session| {
            let rows = session.read(&sql, Planning::Generic, &args);
            (0..rows.len())
                .map(|row| (rows.required(row, 1), rows.required(row, 2)))
                .collect()
        })
    }

    /// Removes the lines that were met, and no other: what came meanwhile was not imported.
    pub fn clear(&self) -> Result<()> {
        let Some((first, last, count)) = self.met.get() else {
            return Ok(());
        };
        let sql = self.call.store.sql(
            "DELETE FROM @s@.memory_import_lines WHERE role = $1 AND line_number BETWEEN $2 AND $3",
        );
        let args = [
            self.call.access.role.as_str().into(),
            first.into(),
            last.into(),
        ];
        let removed = self.call.sql(|session| session.write(&sql, &args).len());
        if removed as u64 == count {
            return Ok(());
        }
        Err(
            Error::version_conflict("lines came to the inbox, or went, while it was being imported")
                .hint("Try again."),
        )
    }
}

impl Source for Inbox<'_> {
    fn each(&self, work: &mut Work<'_>) -> Result<()> {
        let (mut after, mut number) = (i64::MIN, 0);
        let mut met: Option<(i64, i64, u64)> = None;
        loop {
            let page = self.page(after);
            if page.is_empty() {
                break;
            }
            for (line_number, line) in page {
                number += 1;
                let first = met.map_or(line_number, |(first, ..)| first);
                met = Some((first, line_number, number));
                after = line_number;
                if let ControlFlow::Break(()) = work(number, &line)? {
                    return Ok(());
                }
            }
        }
        self.met.set(met);
        Ok(())
    }
}
