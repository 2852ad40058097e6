//! Whether the store's tables are what the migrations made them: columns, constraints, indexes, triggers, policies.

use std::collections::{BTreeMap, BTreeSet};

use memory_core::template;
use serde_json::{Value, json};

use super::Inspection;
use super::expected::{Constraint, Expected};
use super::finding::{Finding, Met, Status};
use crate::pg::spi::{Arg, Planning, Rows, Session};

const MIGRATE: &str =
    "Run SELECT memory_migrate() as the owner of the memories, which puts it back.";

/// The five checks of the schema.
pub fn check(inspection: &Inspection<'_>, session: &Session) -> Vec<Finding> {
    let expected = Expected::of(inspection.call.store.migration);
    vec![
        tables(inspection, session, &expected),
        constraints(inspection, session, &expected),
        indexes(inspection, session, &expected),
        triggers(inspection, session, &expected),
        row_security(inspection, session, &expected),
    ]
}

pub const CHECKS: [&str; 5] = [
    "tables",
    "constraints",
    "indexes",
    "triggers",
    "row_security",
];

/// Rows of the catalogs about the extension's schema, which is $1.
fn read<'s>(inspection: &Inspection<'_>, session: &'s Session, sql: &str) -> Rows<'s> {
    let schema = Arg::oid(inspection.call.store.identity.schema_oid);
    session.read(sql, Planning::Custom, &[schema])
}

fn names(rows: &Rows<'_>, row: usize, column: usize) -> Vec<String> {
    rows.get::<Vec<Option<String>>>(row, column)
        .unwrap_or_default()
        .into_iter()
        .flatten()
        .collect()
}

fn tables(inspection: &Inspection<'_>, session: &Session, expected: &Expected) -> Finding {
    let store = &inspection.call.store;
    let columns: Vec<_> = expected
        .tables
        .iter()
        .flat_map(|(table, shape)| shape.columns.iter().map(move |column| (table, column)))
        .collect();
    let fill = |text: &str| {
        let dimensions = store.dimensions.to_string();
        let values = [
            ("@vector@", store.vector()),
            ("@dimensions@", dimensions.as_str()),
        ];
        template::fill(text, &values)
    };
    let text = |of: &dyn Fn(usize) -> String| -> Arg {
        (0..columns.len()).map(of).collect::<Vec<String>>().into()
    };
    let flag = |of: &dyn Fn(usize) -> bool| -> Arg {
        (0..columns.len()).map(of).collect::<Vec<bool>>().into()
    };
    let modifiers: Vec<i32> = columns
        .iter()
        .map(|(_, column)| {
            let modifier = column.modifier.as_deref().map(fill);
            modifier
                .and_then(|number| number.parse().ok())
                .unwrap_or(-1)
        })
        .collect();
    let rows = session.read(
        "SELECT e.relation, e.name, c.oid IS NOT NULL, a.attnum IS NOT NULL, format_type(a.atttypid, a.atttypmod),
                a.atttypid = to_regtype(e.type_name)::oid AND a.atttypmod = e.modifier, a.attnotnull OR NOT e.not_null,
                a.atthasdef OR NOT e.filled, (a.attgenerated = 's') = e.generated, (a.attidentity <> '') = e.identity
         FROM unnest($2, $3, $4, $5, $6, $7, $8, $9) WITH ORDINALITY
              AS e (relation, name, type_name, modifier, not_null, filled, generated, identity, place)
         LEFT JOIN pg_class c ON c.relnamespace = $1 AND c.relname = e.relation AND c.relkind IN ('r', 'p')
         LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = e.name AND a.attnum > 0 AND NOT a.attisdropped
         ORDER BY e.place",
        Planning::Custom,
        &[
            Arg::oid(store.identity.schema_oid),
            text(&|place| columns[place].0.clone()),
            text(&|place| columns[place].1.name.clone()),
            text(&|place| fill(&columns[place].1.type_name)),
            modifiers.into(),
            flag(&|place| columns[place].1.not_null),
            flag(&|place| columns[place].1.filled),
            flag(&|place| columns[place].1.generated),
            flag(&|place| columns[place].1.identity),
        ],
    );
    let mut met = Met::default();
    let mut absent = BTreeSet::new();
    for row in 0..rows.len() {
        let (table, column): (String, String) = (rows.required(row, 1), rows.required(row, 2));
        if rows.get(row, 3) != Some(true) {
            if absent.insert(table.clone()) {
                met.one(|| format!("table {table} is missing").into());
            }
            continue;
        }
        if rows.get(row, 4) != Some(true) {
            met.one(|| format!("column {table}.{column} is missing").into());
            continue;
        }
        let is = |column| rows.get(row, column) == Some(true);
        if !is(6) {
            let type_name: String = rows.get(row, 5).unwrap_or_default();
            met.one(|| format!("column {table}.{column} is of type {type_name}").into());
        } else if !is(7) {
            met.one(|| format!("column {table}.{column} may be NULL").into());
        } else if !is(9) || !is(10) {
            met.one(|| {
                format!("column {table}.{column} is generated no more, or in another way").into()
            });
        } else if !is(8) {
            met.one(|| format!("column {table}.{column} has no default").into());
        }
    }
    Finding::of(
        "tables",
        Status::Error,
        met,
        "Restore the table or column from a backup; what uses functions of the extension (content_hash, the default of id) comes back by SELECT memory_migrate().",
    )
    .with("checked", json!({ "tables": expected.tables.len(), "columns": columns.len() }))
}

fn constraints(inspection: &Inspection<'_>, session: &Session, expected: &Expected) -> Finding {
    let rows = read(
        inspection,
        session,
        "SELECT c.relname::text, k.contype::text, k.conname::text, k.convalidated, t.relname::text,
                ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS n (number, place)
                      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = n.number ORDER BY n.place)
         FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid LEFT JOIN pg_class t ON t.oid = k.confrelid
         WHERE c.relnamespace = $1 AND k.contype IN ('p', 'u', 'f', 'c')",
    );
    let mut found: BTreeMap<String, Vec<(Constraint, String, bool)>> = BTreeMap::new();
    for row in 0..rows.len() {
        let name: String = rows.required(row, 3);
        let columns = names(&rows, row, 6);
        let constraint = match rows.required::<String>(row, 2).as_str() {
            "p" => Constraint::Primary(columns),
            "u" => Constraint::Unique(columns),
            "f" => Constraint::Foreign {
                columns,
                to: rows.get(row, 5).unwrap_or_default(),
            },
            _ => Constraint::Check { name: name.clone() },
        };
        let valid = rows.required(row, 4);
        let table = found.entry(rows.required(row, 1)).or_default();
        table.push((constraint, name, valid));
    }
    let present = present_tables(inspection, session);
    let mut met = Met::default();
    let mut checked = 0;
    for (table, shape) in &expected.tables {
        // Of a table that is missing the check of tables tells.
        if !present.contains_key(table) {
            continue;
        }
        let is = found.remove(table).unwrap_or_default();
        for constraint in &shape.constraints {
            checked += 1;
            match is.iter().find(|(found, _, _)| found == constraint) {
                None => met.one(|| format!("table {table} lacks {}", described(constraint)).into()),
                Some((_, name, false)) => {
                    met.one(|| {
                        format!("constraint {name} of table {table} is not validated").into()
                    });
                }
                Some(_) => {}
            }
        }
    }
    Finding::of(
        "constraints",
        Status::Error,
        met,
        "Add the constraint again (ALTER TABLE ... ADD CONSTRAINT), or validate it (ALTER TABLE ... VALIDATE CONSTRAINT), once no row breaks it.",
    )
    .with("checked", checked)
}

fn described(constraint: &Constraint) -> String {
    match constraint {
        Constraint::Primary(columns) => format!("its primary key ({})", columns.join(", ")),
        Constraint::Unique(columns) => format!("UNIQUE ({})", columns.join(", ")),
        Constraint::Foreign { columns, to } => {
            format!("the foreign key ({}) to {to}", columns.join(", "))
        }
        Constraint::Check { name } => format!("the CHECK constraint {name}"),
    }
}

/// An index as the catalogs have it.
struct Found {
    table: String,
    unique: bool,
    usable: bool,
    method: String,
    keys: Vec<String>,
    /// The operator class of each key, empty for the default one.
    classes: Vec<String>,
    predicate: Option<String>,
}

fn indexes(inspection: &Inspection<'_>, session: &Session, expected: &Expected) -> Finding {
    let rows = read(
        inspection,
        session,
        "SELECT x.relname::text, t.relname::text, i.indisunique, i.indisvalid AND i.indisready AND i.indislive, a.amname::text,
                ARRAY(SELECT pg_get_indexdef(i.indexrelid, n, false) FROM generate_series(1, i.indnkeyatts) n ORDER BY n),
                ARRAY(SELECT CASE WHEN o.opcdefault THEN '' ELSE o.opcname::text END FROM unnest(i.indclass::oid[]) WITH ORDINALITY AS n (class, place)
                      JOIN pg_opclass o ON o.oid = n.class ORDER BY n.place),
                pg_get_expr(i.indpred, i.indrelid)
         FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid JOIN pg_am a ON a.oid = x.relam
         WHERE t.relnamespace = $1",
    );
    let found: BTreeMap<String, Found> = (0..rows.len())
        .map(|row| {
            let index = Found {
                table: rows.required(row, 2),
                unique: rows.required(row, 3),
                usable: rows.required(row, 4),
                method: rows.required(row, 5),
                keys: names(&rows, row, 6),
                classes: names(&rows, row, 7),
                predicate: rows.get(row, 8),
            };
            (rows.required(row, 1), index)
        })
        .collect();
    let present = present_tables(inspection, session);
    let mut met = Met::default();
    let mut repair: Vec<Value> = Vec::new();
    for index in &expected.indexes {
        if !present.contains_key(&index.table) {
            continue;
        }
        let wrong = match found.get(&index.name) {
            None => "is missing",
            Some(found) if !found.is(index) => "is not the one that the store makes",
            Some(found) if !found.usable => "is invalid",
            Some(_) => continue,
        };
        met.one(|| format!("index {} on {} {wrong}", index.name, index.table).into());
        repair.push(made_again(inspection, index, wrong != "is missing").into());
    }
    let errors = met.count;
    for (name, index) in &found {
        let ours = expected.indexes.iter().any(|known| known.name == *name);
        if !ours && !index.usable && expected.tables.contains_key(&index.table) {
            met.one(|| format!("index {name} on {} is invalid", index.table).into());
            let schema = inspection.call.store.schema();
            repair.push(format!("DROP INDEX {schema}.{};", quoted(name)).into());
        }
    }
    let severity = match errors {
        0 => Status::Warning,
        _ => Status::Error,
    };
    let hint = "Run the statements of repair as the owner of the memories; memory_rebuild_script() rebuilds the vector index while others work.";
    let finding =
        Finding::of("indexes", severity, met, hint).with("checked", expected.indexes.len());
    match repair.is_empty() {
        true => finding,
        false => finding.with("repair", repair),
    }
}

impl Found {
    fn is(&self, index: &super::expected::Index) -> bool {
        let classes = self
            .classes
            .iter()
            .map(|class| (!class.is_empty()).then_some(class));
        let wanted = index.keys.iter().map(|(_, class)| class.as_ref());
        let predicate = self.predicate.as_deref().map(bare);
        self.table == index.table
            && self.unique == index.unique
            && self.method == index.method
            && self
                .keys
                .iter()
                .eq(index.keys.iter().map(|(column, _)| column))
            && classes.eq(wanted)
            && predicate == index.predicate.as_deref().map(bare)
    }
}

/// An expression without the parentheses that the server puts around its parts, and without its line breaks.
fn bare(expression: &str) -> String {
    let inner = expression.replace(['(', ')'], " ");
    inner.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The statements that make an index again, the vector index with the parameters it has.
fn made_again(inspection: &Inspection<'_>, index: &super::expected::Index, there: bool) -> String {
    let store = &inspection.call.store;
    let (m, ef) = crate::store::parameters::hnsw_options(store);
    let values = [
        ("@schema@", store.schema()),
        ("@vector@", store.vector()),
        ("@m@", m.as_str()),
        ("@ef@", ef.as_str()),
    ];
    let statement = template::fill(&index.statement, &values);
    match there {
        true => format!("DROP INDEX {}.{}; {statement};", store.schema(), index.name),
        false => format!("{statement};"),
    }
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn triggers(inspection: &Inspection<'_>, session: &Session, expected: &Expected) -> Finding {
    let rows = read(
        inspection,
        session,
        "SELECT c.relname::text, t.tgname::text, t.tgenabled IN ('O', 'A'), t.tgtype,
                CASE WHEN p.pronamespace = $1 THEN p.proname::text END,
                ARRAY(SELECT a.attname::text FROM unnest(t.tgattr::int2[]) n JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = n
                      ORDER BY a.attname COLLATE \"C\")
         FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid
         WHERE c.relnamespace = $1 AND NOT t.tgisinternal",
    );
    let found: BTreeMap<(String, String), usize> = (0..rows.len())
        .map(|row| ((rows.required(row, 1), rows.required(row, 2)), row))
        .collect();
    let present = present_tables(inspection, session);
    let mut met = Met::default();
    for ((table, name), trigger) in &expected.triggers {
        if !present.contains_key(table) {
            continue;
        }
        let wrong = match found.get(&(table.clone(), name.clone())) {
            None => "is missing",
            Some(&row)
                if rows.get(row, 4) != Some(trigger.kind)
                    || rows.get::<String>(row, 5).as_ref() != Some(&trigger.function)
                    || names(&rows, row, 6) != trigger.columns =>
            {
                "is not the one that the store makes"
            }
            Some(&row) if rows.get(row, 3) != Some(true) => "is disabled",
            Some(_) => continue,
        };
        met.one(|| format!("trigger {name} of {table} {wrong}").into());
    }
    let hint = "A trigger that is disabled: ALTER TABLE ... ENABLE TRIGGER. One that is missing or another: run SELECT memory_migrate() as the owner of the memories.";
    Finding::of("triggers", Status::Error, met, hint).with("checked", expected.triggers.len())
}

/// The tables that are there, and whether they have row security.
fn present_tables(inspection: &Inspection<'_>, session: &Session) -> BTreeMap<String, bool> {
    let sql = "SELECT relname::text, relrowsecurity FROM pg_class WHERE relnamespace = $1 AND relkind IN ('r', 'p')";
    let rows = read(inspection, session, sql);
    (0..rows.len())
        .map(|row| (rows.required(row, 1), rows.required(row, 2)))
        .collect()
}

fn row_security(inspection: &Inspection<'_>, session: &Session, expected: &Expected) -> Finding {
    let present = present_tables(inspection, session);
    let rows = read(
        inspection,
        session,
        "SELECT c.relname::text, p.polname::text, p.polpermissive AND p.polroles = '{0}', p.polcmd::text,
                ARRAY(SELECT DISTINCT f.proname::text COLLATE \"C\" FROM pg_depend d JOIN pg_proc f ON f.oid = d.refobjid AND f.pronamespace = $1
                      WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.refclassid = 'pg_proc'::regclass ORDER BY 1)
         FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid WHERE c.relnamespace = $1",
    );
    let found: BTreeMap<(String, String), usize> = (0..rows.len())
        .map(|row| ((rows.required(row, 1), rows.required(row, 2)), row))
        .collect();
    let mut met = Met::default();
    for (table, shape) in &expected.tables {
        if shape.row_security && present.get(table) == Some(&false) {
            met.one(|| format!("row-level security of {table} is off").into());
        }
    }
    for ((table, name), policy) in &expected.policies {
        if !present.contains_key(table) {
            continue;
        }
        let wrong = match found.get(&(table.clone(), name.clone())) {
            None => "is missing",
            Some(&row)
                if rows.get(row, 3) != Some(true)
                    || rows.required::<String>(row, 4) != policy.command.to_string()
                    || names(&rows, row, 5) != policy.functions =>
            {
                "is not the one that the store makes"
            }
            Some(_) => continue,
        };
        met.one(|| format!("policy {name} of {table} {wrong}").into());
    }
    Finding::of("row_security", Status::Error, met, MIGRATE)
        .with("checked", expected.policies.len())
}
