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
    let tally = outcome.tally(name);
    if merge.plan.clean && staged.present && !staged.table.is_audit {
        let which = format!(
            "{table} t WHERE {} AND {}",
            merge.reach(staged.table),
            unlike(staged, number, like, "t", &stage, "s")
        );
        tally.removed += merge.change(
            &format!("DELETE FROM {which}"),
            &format!("SELECT count(*) FROM {which}"),
        );
    }
    if staged.rows == 0 {
        return;
    }
    let missing = unlike(staged, number, like, "s", &table, "t");
    if merge.plan.dry_run {
        tally.inserted = merge.count(&format!("SELECT count(*) FROM {stage} s WHERE {missing}"));
        return;
    }
    let sequence = format!(
        "pg_get_serial_sequence({}, '{number}')::regclass",
        system::quoted_literal(&merge.sql(&table))
    );
    // Behind every number that is taken or brought: what is numbered anew then meets no other.
    merge.run(&format!(
        "SELECT setval({sequence}, greatest((SELECT max({number}) FROM {stage}), (SELECT max({number}) FROM {table}), pg_sequence_last_value({sequence})))"
    ));
    let rest = unnumbered(staged, number);
    tally.inserted = merge.run(&format!(
        "INSERT INTO {table} ({number}, {}) OVERRIDING SYSTEM VALUE
         SELECT CASE WHEN n.taken IS NULL THEN s.{number} ELSE nextval({sequence}) END, {}
         FROM {stage} s LEFT JOIN (SELECT DISTINCT {number} AS taken FROM {table}) n ON n.taken = s.{number}
         WHERE {missing}",
        contents::list(&rest, ""),
        contents::list(&rest, "s.")
    ));
}

/// What is sealed, by the kind of the seal: the log and its number.
const SEALED: [(&str, &str, &str); 2] = [
    ("event", "memory_events", "event_id"),
    ("history", "memory_history", "history_id"),
];

/// Seals are good where they are the continuation of the store's own, and the log up to them is the backup's.
pub fn seals(merge: &Merge<'_>, staged: &Staged, outcome: &mut Outcome) {
    if staged.rows == 0 {
        return;
    }
    let columns = contents::list(&staged.columns, "");
    for (kind, log, number) in SEALED {
        let Some(entries) = merge.stages.of(log) else {
            continue;
        };
        let missing = format!(
            "FROM @staged@memory_audit_seals s WHERE s.kind = '{kind}' AND NOT EXISTS (
                 SELECT FROM @s@.memory_audit_seals t WHERE t.kind = s.kind AND t.number = s.number)"
        );
        if merge.count(&format!("SELECT count(*) {missing}")) == 0 {
            continue;
        }
        let sealed_up_to =
            format!("(SELECT max(s.last_id) FROM @staged@memory_audit_seals s WHERE s.kind = '{kind}')");
        let continues = merge.holds(&format!(
            "SELECT NOT EXISTS (
                 SELECT FROM @s@.memory_audit_seals t WHERE t.kind = '{kind}' AND NOT EXISTS (
                     SELECT FROM @staged@memory_audit_seals s WHERE s.kind = t.kind AND s.number = t.number AND {}))
             AND NOT EXISTS (
                 SELECT FROM @s@.{log} t WHERE t.{number} <= {}
                     AND NOT EXISTS (SELECT FROM @staged@{log} s WHERE s.{number} = t.{number} AND {}))",
            alike(&staged.columns, "t", "s"),
            sealed_up_to,
            alike(&entries.columns, "t", "s"),
        ));
        if !continues {
            outcome.left_out.push((
                "memory_audit_seals",
                "the store's audit trail is not the one that they seal",
            ));
            continue;
        }
        outcome.tally("memory_audit_seals").inserted += merge.change(
            &format!(
                "INSERT INTO @s@.memory_audit_seals ({columns}) SELECT {} {missing}",
                contents::list(&staged.columns, "s.")
            ),
            &format!("SELECT count(*) {missing}"),
        );
    }
}
