//! Sealing what is new.
//!
//! Nobody is kept from writing. A row may have drawn its number before a seal begins and be committed after it; so the last
//! number that was drawn is noted first, then everybody who was writing then is waited for, and then, under a new snapshot, all
//! up to that number is sealed: nothing with such a number can come any more.

use memory_core::seal::{
    Anchor, BatchBuilder, Blind, ChainFault, Leaf, Seal, SealKey, Table, leaves_to_bytes,
};
use pgrx::PgSqlErrorCode;

use super::rows::{self, Pages, View};
use super::{COLUMNS, keys, seal_of};
use crate::pg::error::{Error, Result};
use crate::pg::identity;
use crate::pg::lockers;
use crate::pg::measure;
use crate::pg::system;
use crate::pg::times;
use crate::store::access::Call;
use crate::store::maintenance::progress::{Phase, Progress};

/// Rows of one seal: its leaves are held in memory where they are verified.
const MOST_ROWS: usize = 10_000;

/// What was sealed of a table.
pub struct Sealed {
    pub table: Table,
    pub rows: u64,
    /// The range of ids, and the last seal made for it; none where nothing is new.
    pub range: Option<(i64, i64)>,
    pub last: Option<Anchor>,
}

/// Seals what is new in both tables.
pub fn seal(call: &Call) -> Result<[Sealed; 2]> {
    let sealed = seal_both(call)?;
    measure::sealed();
    Ok(sealed)
}

fn seal_both(call: &Call) -> Result<[Sealed; 2]> {
    if system::sees_one_snapshot() {
        return Err(Error::coded(
            PgSqlErrorCode::ERRCODE_ACTIVE_SQL_TRANSACTION,
            "the audit trail cannot be sealed in a transaction of isolation level REPEATABLE READ or SERIALIZABLE",
        )
        .detail("It would not see what others commit while it waits for them.")
        .hint("Call memory_audit_seal() in a READ COMMITTED transaction, by itself."));
    }
    let keys = keys()?;
    // One at a time; those who read, and those who write what is to be sealed, do not notice.
    let lock = call
        .store
        .sql("LOCK TABLE @s@.memory_audit_seals IN SHARE UPDATE EXCLUSIVE MODE");
    call.sql(|session| session.once(&lock));
    let mut chain = Chain {
        call,
        last: last_seal(call, &keys)?,
        key: keys.first(),
        progress: None,
        before: 0,
    };
    let tables = [Table::Events, Table::History];
    let mut bounds = Vec::with_capacity(tables.len());
    for table in tables {
        let after = last_sealed(call, table);
        bounds.push((table, after, last_drawn(call, table)?));
    }
    let waiting = Progress::of(Phase::Waiting, 0);
    for (table, after, through) in &bounds {
        if through > after
            && let Some(oid) = oid_of(call, *table)
        {
            lockers::wait_for_writers(oid);
        }
    }
    drop(waiting);
    let mut sealed = tables.map(|table| Sealed {
        table,
        rows: 0,
        range: None,
        last: None,
    });
    // Numbers that were drawn: some are of rows that never came.
    let numbers = |after: i64, through: i64| through.saturating_sub(after).max(0);
    let total = bounds.iter().fold(0, |total: i64, (_, after, through)| {
        total.saturating_add(numbers(*after, *through))
    });
    chain.progress = Some(Progress::of(Phase::Sealing, total));
    for ((table, after, through), sealed) in bounds.into_iter().zip(&mut sealed) {
        chain.seal(table, after, through, sealed)?;
        chain.before = chain.before.saturating_add(numbers(after, through));
    }
    Ok(sealed)
}

fn oid_of(call: &Call, table: Table) -> Option<pgrx::pg_sys::Oid> {
    let name = match table {
        Table::Events => c"memory_events",
        Table::History => c"memory_history",
    };
    identity::table(&call.store.identity, name)
}

/// The end of the chain, which must be what was made.
fn last_seal(call: &Call, keys: &[SealKey]) -> Result<Option<Seal>> {
    let sql = call.store.sql(&format!(
        "SELECT {COLUMNS} FROM @s@.memory_audit_seals ORDER BY number DESC LIMIT 1"
    ));
    let (is_empty, last) = call.sql(|session| {
        let rows = session.write(&sql, &[]);
        (rows.is_empty(), seal_of(&rows, 0))
    });
    let edited = |number: String| {
        Error::coded(
            PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
            format!("the last audit seal{number} was edited, and is not continued"),
        )
        .hint("SELECT * FROM memory_audit_verify() tells what was changed.")
    };
    let Some(last) = last else {
        return match is_empty {
            true => Ok(None),
            false => Err(edited(String::new())),
        };
    };
    if let Some(ChainFault::Edited { number }) = last.own_fault(keys) {
        return Err(edited(format!(" (number {number})")));
    }
    if last.key_id.is_some() && keys.is_empty() {
        return Err(Error::state(
            "the audit seals are made with a key, and memory_ext.audit_key_file is not set",
        )
        .hint("Set it to the file with the key. Seals without a key behind those with one would count as forged."));
    }
    Ok(Some(last))
}

/// The end of the last range of a table; below the first row where nothing is sealed yet.
fn last_sealed(call: &Call, table: Table) -> i64 {
    let (name, id) = rows::names(table);
    let sql = call.store.sql(&format!(
        "SELECT coalesce((SELECT last_id FROM @s@.memory_audit_seals WHERE sealed_table = $1 ORDER BY number DESC LIMIT 1),
                         (SELECT least(min({id}) - 1, 0) FROM @s@.{name}))"
    ));
    call.sql(|session| {
        session
            .write(&sql, &[table.name().into()])
            .get(0, 1)
            .unwrap_or(0)
    })
}

/// The last number that anybody has drawn for a row of the table.
fn last_drawn(call: &Call, table: Table) -> Result<i64> {
    let (name, id) = rows::names(table);
    let sql = "SELECT s.seqrelid::regclass::text, s.seqcache, s.seqincrement FROM pg_sequence s
               WHERE s.seqrelid = pg_get_serial_sequence($1, $2)::regclass";
    let args = [call.store.sql(&format!("@s@.{name}")).into(), id.into()];
    let found: Option<(String, i64, i64)> = call.sql(|session| {
        let rows = session.write(sql, &args);
        Some((rows.get(0, 1)?, rows.get(0, 2)?, rows.get(0, 3)?))
    });
    let Some((sequence, cache, increment)) = found else {
        return Err(
            Error::state(format!("column {id} of {name} is no identity"))
                .hint("The tables of the store were altered: memory_check_integrity() tells how."),
        );
    };
    // A session would use numbers that it keeps, long after they were passed.
    if cache != 1 || increment < 1 {
        return Err(Error::state(format!(
            "the numbers of {name} are not drawn one by one, in ascending order"
        ))
        .hint(format!(
            "Run ALTER TABLE {name} ALTER COLUMN {id} SET CACHE 1 SET INCREMENT 1, and let all sessions reconnect."
        )));
    }
    let sql = format!("SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM {sequence}");
    Ok(call.sql(|session| session.once_with(&sql, &[]).required(0, 1)))
}

struct Chain<'a> {
    call: &'a Call,
    last: Option<Seal>,
    key: Option<&'a SealKey>,
    progress: Option<Progress>,
    /// Numbers of the tables that are sealed already.
    before: i64,
}

impl Chain<'_> {
    /// Seals the rows of a table behind `after`, as many seals as it takes.
    fn seal(&mut self, table: Table, after: i64, through: i64, sealed: &mut Sealed) -> Result<()> {
        let mut pages = Pages::new(&self.call.store, table, after, through, View::Latest);
        let begin = after;
        let mut after = after;
        let (mut leaves, mut bytes): (Vec<Leaf>, [u8; 32]) = (Vec::new(), system::random());
        loop {
            let blind = Blind::new(bytes);
            let more = pages.next(|rows, row| {
                leaves.push(match table {
                    Table::Events => rows::event(rows, row).leaf(),
                    Table::History => rows::version(rows, row, Some(&blind)).leaf(),
                });
            });
            let last = leaves.last().map(|leaf| leaf.id);
            if let (Some(progress), Some(last)) = (&self.progress, last) {
                let of_table = last.saturating_sub(begin);
                progress.note(self.before.saturating_add(of_table).unsigned_abs());
            }
            let end = match more {
                false => through,
                true if leaves.len() >= MOST_ROWS => last.unwrap_or(through),
                true => continue,
            };
            if !leaves.is_empty() {
                self.add(table, after, end, &leaves, &bytes, sealed)?;
                after = end;
                leaves.clear();
                bytes = system::random();
            }
            if !more {
                return Ok(());
            }
        }
    }

    fn add(
        &mut self,
        table: Table,
        after: i64,
        through: i64,
        leaves: &[Leaf],
        blind: &[u8; 32],
        sealed: &mut Sealed,
    ) -> Result<()> {
        let mut builder = BatchBuilder::new(table, after);
        let failed = |error: memory_core::seal::BatchError| {
            Error::coded(
                PgSqlErrorCode::ERRCODE_DATA_CORRUPTED,
                format!("rows of {} cannot be sealed: {error}", rows::names(table).0),
            )
            .hint("Two rows have one number: somebody wrote to the table directly.")
        };
        for leaf in leaves {
            builder.push(leaf).map_err(failed)?;
        }
        let batch = builder.finish(through).map_err(failed)?;
        let now = i64::try_from(system::unix_micros()).unwrap_or(i64::MAX);
        let seal = Seal::new(&batch, self.last.as_ref(), now, self.key);
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let leaves = leaves_to_bytes(leaves);
        let sql = self.call.store.sql(&format!(
            "INSERT INTO @s@.memory_audit_seals ({COLUMNS}, leaves, blind) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
        ));
        let args = [
            number(seal.number).into(),
            table.name().into(),
            seal.first_id.into(),
            seal.last_id.into(),
            number(seal.rows).into(),
            seal.root.as_slice().into(),
            times::of_number(seal.sealed_at).into(),
            seal.previous_mac.as_slice().into(),
            seal.key_id.as_ref().map(<[u8; 8]>::as_slice).into(),
            seal.mac.as_slice().into(),
            leaves.as_slice().into(),
            blind.as_slice().into(),
        ];
        self.call.sql(|session| session.write(&sql, &args).len());
        sealed.rows += seal.rows;
        let first = sealed.range.map_or(seal.first_id, |(first, _)| first);
        sealed.range = Some((first, seal.last_id));
        sealed.last = Some(seal.anchor());
        self.last = Some(seal);
        Ok(())
    }
}

/// Whether the last seal is so old, and something is not sealed.
pub fn is_due(call: &Call, seconds: i32) -> bool {
    let unsealed = Table::ALL
        .iter()
        .map(|table| {
            let (name, id) = rows::names(*table);
            format!(
                "EXISTS (SELECT FROM @s@.{name} WHERE {id} > coalesce((SELECT last_id FROM @s@.memory_audit_seals
                     WHERE sealed_table = '{}' ORDER BY number DESC LIMIT 1), {}))",
                table.name(),
                i64::MIN + 1
            )
        })
        .collect::<Vec<_>>()
        .join(" OR ");
    let sql = call.store.sql(&format!(
        "SELECT coalesce((SELECT sealed_at <= clock_timestamp() - make_interval(secs => $1) FROM @s@.memory_audit_seals
             ORDER BY number DESC LIMIT 1), true) AND ({unsealed})"
    ));
    let args = [f64::from(seconds).into()];
    call.sql(|session| session.write(&sql, &args).get(0, 1)) == Some(true)
}
