//! How entries of a log come back: those that are not there, under their own numbers as far as these are free.

use super::contents::{self, Stored};
use super::merge::{Merge, Outcome, alike, equal};
use super::stage::Staged;
use crate::pg::system;

/// That no entry of `other` is like that of `mine`, whatever their numbers. `like` are columns that find the few to compare.
pub fn unlike(
    staged: &Staged,
    number: &str,
    like: &[&str],
    mine: &str,
    other: &str,
    alias: &str,
) -> String {
    let columns = unnumbered(staged, number);
    format!(
        "NOT EXISTS (SELECT FROM {other} {alias} WHERE {} AND {})",
        equal(like, mine, alias),
        alike(&columns, mine, alias)
    )
}

fn unnumbered(staged: &Staged, number: &str) -> Vec<Stored> {
    staged
        .columns
        .iter()
        .filter(|column| column.name != number)
        .cloned()
        .collect()
}

pub fn merge(
    merge: &Merge<'_>,
    staged: &Staged,
    number: &str,
    like: &[&str],
    outcome: &mut Outcome,
) {
    let name = staged.table.name;
    let (stage, table) = (format!("@staged@{name}"), format!("@s@.{name}"));
    if staged.rows == 0 {
        return;
    }
    let tally = outcome.tally(name);
    let missing = unlike(staged, number, like, "s", &table, "t");
    if merge.plan.dry_run {
        tally.inserted = merge.count(&format!("SELECT count(*) FROM {stage} s WHERE {missing}"));
        return;
    }
    // The schema's name, which is in the sequence's, may look like a placeholder: neither goes through a template.
    let sequence = merge.text(&format!(
        "SELECT pg_get_serial_sequence(oid::regclass::text, '{number}') FROM pg_class WHERE relnamespace = {} AND relname = '{name}'",
        merge.call.store.identity.schema_oid.to_u32()
    ));
    let drawn: i64 = merge
        .session
        .once_with(
            &format!("SELECT last_value - CASE WHEN is_called THEN 0 ELSE 1 END FROM {sequence}"),
            &[],
        )
        .required(0, 1);
    let taken = merge.count(&format!(
        "SELECT greatest((SELECT coalesce(max({number}), 0) FROM {table}), {drawn})"
    ));
    // The admin of a project brings no numbers of his own making: with the highest there is, nobody's next entry would have one.
    let limit = match merge.plan.trusted {
        true => merge.count(&format!(
            "SELECT greatest({taken}, (SELECT max({number}) FROM {stage}))"
        )),
        false => taken,
    };
    // Behind every number that is taken or kept: what is numbered anew then meets no other. Not by setval(), which no rollback
    // takes back.
    merge.session.once(&format!(
        "ALTER SEQUENCE {sequence} RESTART WITH {}",
        limit.saturating_add(1)
    ));
    // Among sealed entries there is no place for one that was not sealed with them.
    // What a snapshot of before does not show may be sealed.
    let sealed = sealed(name).map_or(0, |sealed| match system::sees_one_snapshot() {
        true => taken,
        false => merge.count(&format!(
            "SELECT coalesce(max(last_id), 0) FROM @s@.memory_audit_seals WHERE sealed_table = '{sealed}'"
        )),
    });
    let rest = unnumbered(staged, number);
    let insert = merge.sql(&format!(
        "INSERT INTO {table} ({number}, {}) OVERRIDING SYSTEM VALUE
         SELECT CASE WHEN n.taken IS NULL AND s.{number} > {sealed} AND s.{number} <= {limit} THEN s.{number} ELSE nextval($1::regclass) END, {}
         FROM {stage} s LEFT JOIN (SELECT DISTINCT {number} AS taken FROM {table}) n ON n.taken = s.{number}
         WHERE {missing} ORDER BY s.{number}",
        contents::list(&rest, ""),
        contents::list(&rest, "s.")
    ));
    let inserted = merge.session.once_with(&insert, &[sequence.into()]);
    tally.inserted = inserted.len() as u64;
}

/// Removes the entries that are not in the backup.
pub fn clean(
    merge: &Merge<'_>,
    staged: &Staged,
    number: &str,
    like: &[&str],
    outcome: &mut Outcome,
) {
    if staged.table.is_audit {
        return;
    }
    let name = staged.table.name;
    let which = format!(
        "FROM @s@.{name} t WHERE {} AND {}",
        merge.reach(staged.table),
        unlike(staged, number, like, "t", &format!("@staged@{name}"), "s")
    );
    remove(merge, staged, &which, &which, "t", outcome);
}

/// What seals call a log.
fn sealed(log: &str) -> Option<&'static str> {
    match log {
        "memory_events" => Some("events"),
        "memory_history" => Some("history"),
        _ => None,
    }
}

/// Removes the entries `alias` of a log that `counted` names (`deleted` says the same after DELETE). Which versions went
/// is noted, for the event that lets the seals' check know.
pub fn remove(
    merge: &Merge<'_>,
    staged: &Staged,
    deleted: &str,
    counted: &str,
    alias: &str,
    outcome: &mut Outcome,
) {
    let name = staged.table.name;
    if merge.plan.dry_run {
        outcome.tally(name).removed += merge.count(&format!("SELECT count(*) {counted}"));
        return;
    }
    if name != "memory_history" {
        outcome.tally(name).removed += merge.run(&format!("DELETE {deleted}"));
        return;
    }
    let (removed, ranges) = merge.removal(&format!(
        "WITH gone AS (DELETE {deleted} RETURNING {alias}.history_id AS id),
              numbered AS (SELECT id, id - row_number() OVER (ORDER BY id) AS run FROM gone),
              ranges AS (SELECT min(id) AS first, max(id) AS last FROM numbered GROUP BY run)
         SELECT (SELECT count(*) FROM gone), coalesce((SELECT jsonb_agg(jsonb_build_array(first, last) ORDER BY first) FROM ranges), '[]')::text"
    ));
    outcome.tally(name).removed += removed;
    outcome.erased.extend(ranges);
}
