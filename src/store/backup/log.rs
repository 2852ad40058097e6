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
        let (removed, numbers) = merge.remove(&which, &format!("t.{number}"));
        tally.removed += removed;
        if name == "memory_history" {
            outcome.erased_versions.extend(numbers);
        }
    }
    let tally = outcome.tally(name);
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
    // Where rows are sealed, no other comes in among them.
    let sealed_end = sealed_end(name);
    tally.inserted = merge.run(&format!(
        "INSERT INTO {table} ({number}, {}) OVERRIDING SYSTEM VALUE
         SELECT CASE WHEN n.taken IS NULL AND s.{number} > {sealed_end} THEN s.{number} ELSE nextval({sequence}) END, {}
         FROM {stage} s LEFT JOIN (SELECT DISTINCT {number} AS taken FROM {table}) n ON n.taken = s.{number}
         WHERE {missing}",
        contents::list(&rest, ""),
        contents::list(&rest, "s.")
    ));
}

/// What is sealed, by the name that seals have for it: the log and its number.
const SEALED: [(&str, &str, &str); 2] = [
    ("events", "memory_events", "event_id"),
    ("history", "memory_history", "history_id"),
];

/// The end of what the store has sealed of a log; below every number where nothing is.
fn sealed_end(log: &str) -> String {
    let sealed = SEALED.iter().find(|(_, sealed, _)| *sealed == log);
    sealed.map_or_else(
        || i64::MIN.to_string(),
        |(kind, ..)| {
            format!(
                "coalesce((SELECT max(a.last_id) FROM @s@.memory_audit_seals a WHERE a.sealed_table = '{kind}'), {})",
                i64::MIN + 1
            )
        },
    )
}

/// Seals are good where they are the continuation of the store's own, and the logs up to them are the backup's.
pub fn seals(merge: &Merge<'_>, staged: &Staged, outcome: &mut Outcome) {
    let missing = "FROM @staged@memory_audit_seals s WHERE NOT EXISTS (SELECT FROM @s@.memory_audit_seals t WHERE t.number = s.number)";
    if staged.rows == 0 || merge.count(&format!("SELECT count(*) {missing}")) == 0 {
        return;
    }
    let mut continues = merge.holds(&format!(
        "SELECT NOT EXISTS (SELECT FROM @s@.memory_audit_seals t
             WHERE NOT EXISTS (SELECT FROM @staged@memory_audit_seals s WHERE s.number = t.number AND {}))",
        alike(&staged.columns, "t", "s")
    ));
    for (kind, log, number) in SEALED {
        continues = continues
            && merge.stages.of(log).is_some_and(|entries| {
                merge.holds(&format!(
                    "SELECT NOT EXISTS (SELECT FROM @s@.{log} t
                         WHERE t.{number} <= (SELECT max(s.last_id) FROM @staged@memory_audit_seals s WHERE s.sealed_table = '{kind}')
                             AND NOT EXISTS (SELECT FROM @staged@{log} s WHERE s.{number} = t.{number} AND {}))",
                    alike(&entries.columns, "t", "s")
                ))
            });
    }
    if !continues {
        outcome.left_out.push((
            "memory_audit_seals",
            "the store's audit trail is not the one that they seal",
        ));
        return;
    }
    let columns = contents::list(&staged.columns, "");
    outcome.tally("memory_audit_seals").inserted += merge.change(
        &format!(
            "INSERT INTO @s@.memory_audit_seals ({columns}) SELECT {} {missing}",
            contents::list(&staged.columns, "s.")
        ),
        &format!("SELECT count(*) {missing}"),
    );
}
