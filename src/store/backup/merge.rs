//! The rows of a backup, staged, become the store's: what is there becomes as in the backup, what was made since stays, unless
//! the store is to be cleaned of it.

use std::collections::BTreeMap;

use memory_core::template;
use serde_json::{Map, Value, json};

use super::contents::{self, Extent, Merge as Way, Stored, Table};
use super::stage::{Staged, Stages};
use super::{log, memories, votes};
use crate::pg::error::Result;
use crate::pg::identity;
use crate::pg::lockers::{self, Strength};
use crate::pg::owner::SettingScope;
use crate::pg::spi::Session;
use crate::pg::system;
use crate::store::access::{self, Call};
use crate::store::maintenance::progress::{Phase, Progress};

/// How a backup is merged.
pub struct Plan<'a> {
    /// `None`: all projects.
    pub project: Option<&'a str>,
    /// The backup left sensitive memories out: those of the store stay as they are, with all that belongs to them.
    pub without_sensitive: bool,
    /// When the backup was made, in ISO 8601.
    pub made_at: &'a str,
    /// Rows that are not in the backup go away.
    pub clean: bool,
    /// Only count.
    pub dry_run: bool,
    /// The store was made for this restore.
    pub created: bool,
    /// The caller may do all with the store; else a backup could be of his own making, to reach what is not his.
    pub trusted: bool,
}

/// What happened to a table, or would.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Rows of the backup that are in question.
    pub rows: u64,
    pub inserted: u64,
    pub updated: u64,
    pub removed: u64,
}

#[derive(Default)]
pub struct Outcome {
    pub tables: BTreeMap<&'static str, Tally>,
    /// Sensitive memories that the backup has from before they were sensitive.
    pub kept_sensitive: u64,
    /// Keyed memories made since whose key the backup's memory takes back.
    pub displaced: u64,
    /// Memories that come back without their key or as the duplicate they are, because a living one has their place.
    pub yielded: u64,
    pub left_out: Vec<(&'static str, &'static str)>,
    /// The versions that went, as pairs of the first and the last number.
    pub erased: Vec<Value>,
}

impl Outcome {
    pub fn tally(&mut self, table: &'static str) -> &mut Tally {
        self.tables.entry(table).or_default()
    }

    pub fn report(&self) -> Value {
        let tables: Map<String, Value> = self
            .tables
            .iter()
            .map(|(&table, tally)| {
                let tally = json!({
                    "rows": tally.rows,
                    "inserted": tally.inserted,
                    "updated": tally.updated,
                    "removed": tally.removed,
                });
                (table.to_owned(), tally)
            })
            .collect();
        tables.into()
    }

    pub fn left_out(&self) -> Value {
        let left_out: Map<String, Value> = self
            .left_out
            .iter()
            .map(|&(table, reason)| (table.to_owned(), reason.into()))
            .collect();
        left_out.into()
    }
}

/// One merge: statements are templates, in which `@s@` is the store's schema, `@staged@` stands in front of a staged table's
/// name, and `@project@` is the project as a literal.
pub struct Merge<'a> {
    pub call: &'a Call,
    pub session: &'a Session,
    pub stages: &'a Stages,
    pub plan: &'a Plan<'a>,
}

pub fn run(call: &Call, stages: &Stages, plan: &Plan<'_>) -> Result<Outcome> {
    call.sql(|session| {
        let merge = Merge {
            call,
            session,
            stages,
            plan,
        };
        let mut outcome = Outcome {
            left_out: stages.left_out.clone(),
            ..Outcome::default()
        };
        let rows = stages.tables.iter().map(|staged| staged.rows);
        let total: u64 = rows.sum();
        let progress = Progress::of(Phase::Writing, i64::try_from(total).unwrap_or(0));
        let mut done = 0;
        for staged in &stages.tables {
            outcome.tally(staged.table.name).rows = staged.rows;
        }
        if !plan.dry_run {
            merge.lock();
        }
        // Few statements over many rows: compiling them takes longer than it saves.
        let settings = SettingScope::open();
        settings.set(c"jit", "off");
        let _restoring = call.restoring();
        memories::prepare(&merge, &mut outcome)?;
        votes::prepare(&merge);
        // What belongs to a memory first: else that takes it along, uncounted.
        for staged in stages
            .tables
            .iter()
            .filter(|staged| staged.present && plan.clean)
        {
            merge.clean(staged, &mut outcome);
        }
        let index = memories::without_vector_index(&merge);
        memories::merge(&merge, &mut outcome);
        done += stages.of("memories").map_or(0, |staged| staged.rows);
        progress.note(done);
        index.build();
        for table in contents::TABLES {
            let Some(staged) = stages.of(table.name) else {
                continue;
            };
            match table.merge {
                Way::Memories => (),
                Way::Models => merge.models(staged),
                Way::Rows { keys } => {
                    if table.name == "vote_history" {
                        votes::undo_later_merges(&merge, &mut outcome);
                    }
                    merge.rows(staged, keys, &mut outcome);
                }
                Way::Log { number, like } => log::merge(&merge, staged, number, like, &mut outcome),
                Way::Grants => merge.grants(staged, &mut outcome),
            }
            // A table is merged by a few statements, each of which does all its rows.
            if table.merge != Way::Memories {
                done += staged.rows;
                progress.note(done);
            }
        }
        if !plan.without_sensitive && !plan.dry_run {
            memories::forget_cached_secrets(&merge);
        }
        Ok(outcome)
    })
}

impl Merge<'_> {
    pub fn sql(&self, template: &str) -> String {
        let store = &self.call.store;
        let project = self.plan.project.map(system::quoted_literal);
        template::fill(
            template,
            &[
                ("@s@", store.schema()),
                ("@v@", store.vector()),
                ("@staged@", &self.stages.prefix),
                ("@project@", project.as_deref().unwrap_or("NULL")),
            ],
        )
    }

    /// Runs a statement; how many rows it changed.
    pub fn run(&self, template: &str) -> u64 {
        self.session.once_with(&self.sql(template), &[]).len() as u64
    }

    /// A number that a query gives.
    pub fn count(&self, template: &str) -> u64 {
        let count: i64 = self
            .session
            .once_with(&self.sql(template), &[])
            .required(0, 1);
        count.unsigned_abs()
    }

    /// A text that a query gives.
    pub fn text(&self, template: &str) -> String {
        self.session
            .once_with(&self.sql(template), &[])
            .required(0, 1)
    }

    pub fn holds(&self, template: &str) -> bool {
        self.session
            .once_with(&self.sql(template), &[])
            .required(0, 1)
    }

    /// Runs a statement that removes: how many rows, and a list of them.
    pub fn removal(&self, template: &str) -> (u64, Vec<Value>) {
        let rows = self.session.once_with(&self.sql(template), &[]);
        let (count, list): (i64, String) = (rows.required(0, 1), rows.required(0, 2));
        let list = serde_json::from_str(&list).unwrap_or_default();
        (count.unsigned_abs(), list)
    }

    /// Runs the statement, or in a dry run the query that counts what it would change.
    pub fn change(&self, statement: &str, counting: &str) -> u64 {
        match self.plan.dry_run {
            true => self.count(counting),
            false => self.run(statement),
        }
    }

    /// Rows of the project, or of all.
    pub fn in_scope(&self, alias: &str) -> String {
        match self.plan.project {
            Some(_) => format!("{alias}.project_id = @project@"),
            None => "true".to_owned(),
        }
    }

    /// Nobody else writes until the end of the transaction; who reads is not kept from it. Nobody seals meanwhile either, or
    /// numbers that come back would be among the sealed.
    fn lock(&self) {
        let identity = &self.call.store.identity;
        let of = |names: &[&str], strength| {
            let tables = identity::tables(identity, names.iter().copied());
            tables.into_iter().map(move |table| (table, strength))
        };
        let staged = self.stages.tables.iter().map(|staged| staged.table.name);
        let others: Vec<&str> = staged.filter(|name| *name != "memories").collect();
        let mut tables: Vec<_> = of(&["memories"], Strength::Exclusive).collect();
        tables.extend(of(&["memory_audit_seals"], Strength::ShareUpdateExclusive));
        tables.extend(of(&others, Strength::Exclusive));
        lockers::lock_together(&tables);
    }

    /// The rows `t` of a table that a backup like this one holds.
    pub fn reach(&self, table: &Table) -> String {
        let scope = match table.extent {
            Extent::Project => self.in_scope("t"),
            Extent::Store | Extent::Always => "true".to_owned(),
        };
        match self.plan.without_sensitive {
            true => format!("{scope} AND ({})", table.open),
            false => scope,
        }
    }

    /// Removes the rows that are not in the backup.
    fn clean(&self, staged: &Staged, outcome: &mut Outcome) {
        let keys = match staged.table.merge {
            Way::Rows { keys } => keys,
            Way::Log { number, like } => return log::clean(self, staged, number, like, outcome),
            Way::Models | Way::Memories | Way::Grants => return,
        };
        let name = staged.table.name;
        // A type that a memory has after the restore stays.
        let unused = match (name, self.plan.without_sensitive) {
            ("memory_types", false) => UNUSED_TYPE.to_owned(),
            ("memory_types", true) => format!(
                "{UNUSED_TYPE} AND NOT EXISTS (SELECT FROM @s@.memories m WHERE m.memory_type = t.memory_type AND m.is_sensitive)"
            ),
            _ => "true".to_owned(),
        };
        let which = format!(
            "@s@.{name} t WHERE {} AND {unused} AND NOT EXISTS (SELECT FROM @staged@{name} s WHERE {})",
            self.reach(staged.table),
            equal(keys[0], "t", "s")
        );
        outcome.tally(name).removed += self.change(
            &format!("DELETE FROM {which}"),
            &format!("SELECT count(*) FROM {which}"),
        );
    }

    /// Replaces the rows that differ, and adds those that are missing.
    fn rows(&self, staged: &Staged, keys: &[&[&str]], outcome: &mut Outcome) {
        let (table, name) = (staged.table, staged.table.name);
        let tally = outcome.tally(name);
        // Whatever id a row of the backup has: another project's row is not replaced.
        let mine = match table.extent {
            Extent::Project => self.in_scope("t"),
            Extent::Store | Extent::Always => "true".to_owned(),
        };
        let primary = equal(keys[0], "t", "s");
        let differs = differs(&staged.columns, "t", "s");
        tally.updated = self.change(
            &format!("DELETE FROM @s@.{name} t USING @staged@{name} s WHERE {primary} AND {differs} AND {mine}"),
            &format!("SELECT count(*) FROM @s@.{name} t JOIN @staged@{name} s ON {primary} WHERE {differs} AND {mine}"),
        );
        for key in &keys[1..] {
            let key = equal(key, "t", "s");
            tally.removed += self.change(
                &format!("DELETE FROM @s@.{name} t USING @staged@{name} s WHERE {key} AND {differs} AND {mine}"),
                &format!("SELECT count(*) FROM @s@.{name} t JOIN @staged@{name} s ON {key} WHERE NOT ({primary}) AND {mine}"),
            );
        }
        let missing = format!(
            "FROM @staged@{name} s WHERE NOT EXISTS (SELECT FROM @s@.{name} t WHERE {primary} AND {mine})"
        );
        let columns = contents::list(&staged.columns, "");
        let values = contents::list(&staged.columns, "s.");
        let inserted = self.change(
            &format!("INSERT INTO @s@.{name} ({columns}) SELECT {values} {missing}"),
            &format!("SELECT count(*) {missing}"),
        );
        // What was replaced was inserted again.
        tally.inserted = match self.plan.dry_run {
            true => inserted,
            false => inserted - tally.updated,
        };
    }

    /// A store that was made for this restore has its model since when the backup's store had it.
    fn models(&self, staged: &Staged) {
        if !self.plan.created || self.plan.dry_run || !staged.present {
            return;
        }
        self.run(
            "UPDATE @s@.memory_models t SET created_at = s.created_at FROM @staged@memory_models s WHERE s.name = t.name",
        );
    }

    /// Grants to roles that there are: one of another name could have them later.
    fn grants(&self, staged: &Staged, outcome: &mut Outcome) {
        let columns = contents::list(&staged.columns, "");
        let same = "t.role = s.role AND t.project_id = s.project_id AND t.agent_id IS NOT DISTINCT FROM s.agent_id AND t.privilege = s.privilege";
        let tally = outcome.tally("memory_grants");
        if self.plan.clean && staged.present {
            let which = format!(
                "@s@.memory_grants t WHERE NOT EXISTS (SELECT FROM @staged@memory_grants s WHERE {same})"
            );
            tally.removed = self.change(
                &format!("DELETE FROM {which}"),
                &format!("SELECT count(*) FROM {which}"),
            );
        }
        let missing = format!(
            "FROM @staged@memory_grants s WHERE NOT EXISTS (SELECT FROM @s@.memory_grants t WHERE {same})
                  AND EXISTS (SELECT FROM pg_roles r WHERE r.rolname = s.role)"
        );
        tally.inserted = self.change(
            &format!(
                "INSERT INTO @s@.memory_grants ({columns}) SELECT {} {missing}",
                contents::list(&staged.columns, "s.")
            ),
            &format!("SELECT count(*) {missing}"),
        );
        let roleless = self.count(
            "SELECT count(*) FROM @staged@memory_grants s WHERE NOT EXISTS (SELECT FROM pg_roles r WHERE r.rolname = s.role)",
        );
        if roleless > 0 {
            outcome
                .left_out
                .push(("memory_grants", "some name roles that do not exist here"));
        }
    }
}

const UNUSED_TYPE: &str =
    "NOT EXISTS (SELECT FROM @staged@memories m WHERE m.memory_type = t.memory_type)";

/// Columns that may be null in a unique key that takes nulls for equal.
const NULLABLE: [&str; 1] = ["task_id"];

pub fn equal(columns: &[&str], left: &str, right: &str) -> String {
    let pair = |column: &&str| match NULLABLE.contains(column) {
        true => format!("{left}.{column} IS NOT DISTINCT FROM {right}.{column}"),
        false => format!("{left}.{column} = {right}.{column}"),
    };
    columns.iter().map(pair).collect::<Vec<_>>().join(" AND ")
}

/// Whether two rows differ in any column, bit for bit: any type can be compared so, and vectors with no operator of pgvector's.
pub fn differs(columns: &[Stored], left: &str, right: &str) -> String {
    compared(columns, left, "*<>", right)
}

pub fn alike(columns: &[Stored], left: &str, right: &str) -> String {
    compared(columns, left, "*=", right)
}

fn compared(columns: &[Stored], left: &str, operator: &str, right: &str) -> String {
    format!(
        // Of two bare rows the parser would compare field by field, and not every type has an operator.
        "ROW({})::record OPERATOR(pg_catalog.{operator}) ROW({})::record",
        contents::list(columns, &format!("{left}.")),
        contents::list(columns, &format!("{right}."))
    )
}

/// The grants of a store are the owner's to give.
pub fn may_restore_grants(call: &Call) -> bool {
    access::is_master(&call.store, call.access.caller())
}
