//! The inbox of imports: lines that `\copy memory_import_inbox(line)` brings, each role its own.

use std::cell::Cell;
use std::ops::ControlFlow;

use super::source::{Source, Work};
use crate::pg::error::{Error, Result};
use crate::pg::identity;
use crate::pg::planner::IndexOrder;
use crate::pg::spi::{self, Arg, Planning};
use crate::pg::system;
use crate::pg::trigger::RowChange;
use crate::store::access::{self, Call};
use crate::store::{migrate, open};

/// Takes in a line of the caller, who has to be an admin of some project: nobody else could import it.
pub fn bring(change: &RowChange) -> Result<()> {
    let store = open::open()?;
    store.require(migrate::SAFETY)?;
    if identity::table(&store.identity, c"memory_import_inbox") != Some(change.relation()) {
        return Err(Error::state(
            "this trigger function serves the view memory_import_inbox of the memory store only",
        ));
    }
    // COPY gives NULL for an empty line.
    let line: String = change.new_value(c"line").unwrap_or_default();
    let caller = system::current_role();
    let role = system::role_name(caller);
    let sql = store.sql(
        "INSERT INTO @s@.memory_import_lines (role, line) SELECT $1, $2 WHERE $3 OR EXISTS (
             SELECT FROM @s@.memory_grants g JOIN pg_roles r ON r.rolname = g.role
             WHERE g.privilege = 'admin' AND g.agent_id IS NULL AND pg_has_role($4, r.oid, 'USAGE'))",
    );
    let args = [
        role.as_str().into(),
        line.into(),
        access::is_master(&store, caller).into(),
        Arg::oid(caller),
    ];
    let _owner = store.as_owner();
    match spi::connect(|session| session.write(&sql, &args).len()) {
        0 => Err(Error::denied(format!(
            "role {role:?} may not bring lines to import: it is admin of no memory project"
        ))
        .hint(format!(
            "The owner of the memories can run: SELECT memory_grant('{role}', project, 'admin')."
        ))),
        _ => Ok(()),
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
            Error::version_conflict("lines came to the inbox while it was being imported")
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
