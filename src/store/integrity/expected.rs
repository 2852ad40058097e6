//! What the migrations say there is, read from their scripts: one definition of the schema serves making it and checking it.
//!
//! The scripts are ours, and written one way; what is read here is that way, not SQL. A test compares the outcome with the
//! catalogs of a fresh store, so that nothing a later migration brings is overlooked.

use std::collections::BTreeMap;

use crate::store::migrate;

/// The objects of a store, as its scripts name them; types and statements have the scripts' placeholders.
#[derive(Debug, Default)]
pub struct Expected {
    pub tables: BTreeMap<String, Table>,
    pub indexes: Vec<Index>,
    /// By table and name: a later migration redefines some.
    pub triggers: BTreeMap<(String, String), Trigger>,
    pub policies: BTreeMap<(String, String), Policy>,
}

#[derive(Debug, Default)]
pub struct Table {
    pub columns: Vec<Column>,
    pub constraints: Vec<Constraint>,
    /// Those that PostgreSQL makes for primary keys and unique constraints.
    pub indexes: Vec<String>,
    pub row_security: bool,
}

#[derive(Debug)]
pub struct Column {
    pub name: String,
    pub type_name: String,
    /// In parentheses behind the type.
    pub modifier: Option<String>,
    pub not_null: bool,
    /// It has a default, is generated or an identity.
    pub filled: bool,
    pub generated: bool,
    pub identity: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Constraint {
    Primary(Vec<String>),
    Unique(Vec<String>),
    Foreign { columns: Vec<String>, to: String },
    Check { name: String },
}

#[derive(Debug)]
pub struct Index {
    pub name: String,
    pub table: String,
    pub unique: bool,
    pub method: String,
    /// Column and operator class, where that is not the default one.
    pub keys: Vec<(String, Option<String>)>,
    pub predicate: Option<String>,
    pub statement: String,
}

#[derive(Debug)]
pub struct Trigger {
    pub function: String,
    /// pg_trigger.tgtype
    pub kind: i16,
    /// Of UPDATE OF, in order of their names.
    pub columns: Vec<String>,
}

#[derive(Debug)]
pub struct Policy {
    /// pg_policy.polcmd
    pub command: char,
    /// Functions of the extension that it calls, in order of their names.
    pub functions: Vec<String>,
}

const SCHEMA: &str = "@schema@.";

impl Expected {
    /// Of a store that has had the migrations up to this one.
    pub fn of(migration: i32) -> Self {
        let mut expected = Expected::default();
        for statement in migrate::scripts(migration).flat_map(migrate::statements) {
            expected.read(&without_comments(statement));
        }
        expected
    }

    /// The names of all indexes.
    pub fn index_names(self) -> Vec<String> {
        let of_constraints = self.tables.into_values().flat_map(|table| table.indexes);
        let names = self.indexes.into_iter().map(|index| index.name);
        names.chain(of_constraints).collect()
    }

    fn read(&mut self, statement: &str) {
        for create in [
            "CREATE TABLE IF NOT EXISTS ",
            "CREATE UNLOGGED TABLE IF NOT EXISTS ",
        ] {
            if let Some(rest) = statement.strip_prefix(create) {
                self.create_table(rest);
            }
        }
        if let Some(rest) = statement.strip_prefix("ALTER TABLE ") {
            self.alter_table(rest);
        }
        for (create, unique) in [
            ("CREATE INDEX IF NOT EXISTS ", false),
            ("CREATE UNIQUE INDEX IF NOT EXISTS ", true),
        ] {
            if let Some(rest) = statement.strip_prefix(create) {
                self.indexes.extend(index(rest, unique, statement));
            }
        }
        if let Some(rest) = statement.strip_prefix("CREATE OR REPLACE TRIGGER ") {
            self.triggers.extend(trigger(rest));
        }
        if let Some(rest) = statement.strip_prefix("CREATE POLICY ") {
            self.policies.extend(policy(rest));
        }
    }

    fn create_table(&mut self, rest: &str) {
        let Some((name, body)) =
            named(rest).and_then(|(name, rest)| Some((name, in_parentheses(rest)?)))
        else {
            return;
        };
        let table = self.tables.entry(name.to_owned()).or_default();
        for item in split(body) {
            table.add(name, item);
        }
    }

    fn alter_table(&mut self, rest: &str) {
        let Some((name, actions)) = named(rest) else {
            return;
        };
        let table = self.tables.entry(name.to_owned()).or_default();
        for action in split(actions) {
            if action == "ENABLE ROW LEVEL SECURITY" {
                table.row_security = true;
            } else if let Some(column) = action.strip_prefix("ADD COLUMN IF NOT EXISTS ") {
                table.add(name, column);
            } else if let Some(constraint) = action.strip_prefix("ADD ") {
                table.add(name, constraint);
            } else if let Some(rest) = action.strip_prefix("ALTER COLUMN ")
                && let Some((column, "DEFAULT")) = rest
                    .split_once(" SET ")
                    .map(|(column, what)| (column, word(what)))
            {
                let columns = table.columns.iter_mut();
                columns
                    .filter(|known| known.name == column)
                    .for_each(|known| known.filled = true);
            }
        }
    }
}

impl Table {
    /// A column with what it says of itself, or a constraint of the table.
    fn add(&mut self, table: &str, item: &str) {
        let (name, body) = match item.strip_prefix("CONSTRAINT ") {
            Some(rest) => match rest.split_once(' ') {
                Some((name, body)) => (Some(name), body),
                None => return,
            },
            None => (None, item),
        };
        let columns = || -> Option<Vec<String>> {
            in_parentheses(body).map(|list| split(list).map(str::to_owned).collect())
        };
        let constraint = match word(body) {
            "PRIMARY" => columns().map(Constraint::Primary),
            "UNIQUE" => columns().map(Constraint::Unique),
            "FOREIGN" => columns()
                .zip(
                    body.split_once(" REFERENCES ")
                        .and_then(|(_, to)| named(to)),
                )
                .map(|(columns, (to, _))| Constraint::Foreign {
                    columns,
                    to: to.to_owned(),
                }),
            "CHECK" => Some(Constraint::Check {
                name: name.map_or_else(|| format!("{table}_check"), str::to_owned),
            }),
            _ => {
                self.add_column(table, body);
                return;
            }
        };
        let index = match &constraint {
            Some(Constraint::Primary(_)) => Some(format!("{table}_pkey")),
            Some(Constraint::Unique(columns)) => Some(format!("{table}_{}_key", columns.join("_"))),
            _ => None,
        };
        let index = index.map(|by_default| name.map_or(by_default, str::to_owned));
        self.indexes.extend(index);
        self.constraints.extend(constraint);
    }

    fn add_column(&mut self, table: &str, item: &str) {
        const AFTER_TYPE: [&str; 8] = [
            " COLLATE ",
            " NOT NULL",
            " DEFAULT ",
            " GENERATED ",
            " CHECK ",
            " PRIMARY KEY",
            " UNIQUE",
            " REFERENCES ",
        ];
        let Some((name, rest)) = item.split_once(' ') else {
            return;
        };
        // What stands in parentheses is an expression or a type's modifier, never a word of the column's own.
        let outside = outside_parentheses(rest);
        let end = |text: &str| AFTER_TYPE.iter().filter_map(|word| text.find(word)).min();
        let type_text = &rest[..end(rest).unwrap_or(rest.len())];
        let (type_name, modifier) = match type_text.split_once('(') {
            Some((type_name, modifier)) => (type_name, modifier.strip_suffix(')')),
            None => (type_text, None),
        };
        let has = |word: &str| outside.contains(word);
        let primary = has(" PRIMARY KEY");
        self.columns.push(Column {
            name: name.to_owned(),
            type_name: type_name.to_owned(),
            modifier: modifier.map(str::to_owned),
            not_null: has(" NOT NULL") || has(" AS IDENTITY") || primary,
            // An identity has a sequence instead.
            filled: has(" DEFAULT ") || (has(" GENERATED ") && !has(" AS IDENTITY")),
            generated: has(" STORED"),
            identity: has(" AS IDENTITY"),
        });
        if primary {
            self.constraints
                .push(Constraint::Primary(vec![name.to_owned()]));
            self.indexes.push(format!("{table}_pkey"));
        }
        if has(" UNIQUE") {
            self.constraints
                .push(Constraint::Unique(vec![name.to_owned()]));
            self.indexes.push(format!("{table}_{name}_key"));
        }
        if has(" CHECK ") {
            self.constraints.push(Constraint::Check {
                name: format!("{table}_{name}_check"),
            });
        }
    }
}

fn index(rest: &str, unique: bool, statement: &str) -> Option<Index> {
    let (name, rest) = rest.split_once(" ON ")?;
    let (table, rest) = named(rest)?;
    let method = match rest.strip_prefix("USING ") {
        Some(method) => word(method),
        None => "btree",
    };
    let keys = split(in_parentheses(rest)?).map(|key| match key.split_once(' ') {
        Some((column, class)) => (
            column.to_owned(),
            class.rsplit('.').next().map(str::to_owned),
        ),
        None => (key.to_owned(), None),
    });
    Some(Index {
        name: name.to_owned(),
        table: table.to_owned(),
        unique,
        method: method.to_owned(),
        keys: keys.collect(),
        predicate: rest
            .split_once("WHERE ")
            .map(|(_, predicate)| predicate.to_owned()),
        statement: statement.to_owned(),
    })
}

fn trigger(rest: &str) -> Option<((String, String), Trigger)> {
    let (name, rest) = rest.split_once(' ')?;
    let (events, rest) = rest.split_once(" ON ")?;
    let (table, rest) = named(rest)?;
    let (_, function) = rest.split_once("EXECUTE FUNCTION ")?;
    let mut kind = 0;
    for (word, bit) in [
        ("BEFORE", 1 << 1),
        ("INSERT", 1 << 2),
        ("DELETE", 1 << 3),
        ("UPDATE", 1 << 4),
        ("TRUNCATE", 1 << 5),
    ] {
        if events.contains(word) {
            kind |= bit;
        }
    }
    if rest.contains("FOR EACH ROW") {
        kind |= 1;
    }
    let mut columns: Vec<String> = match events.split_once("UPDATE OF ") {
        Some((_, columns)) => split(columns).map(str::to_owned).collect(),
        None => Vec::new(),
    };
    columns.sort();
    Some((
        (table.to_owned(), name.to_owned()),
        Trigger {
            function: named(function)?.0.to_owned(),
            kind,
            columns,
        },
    ))
}

fn policy(rest: &str) -> Option<((String, String), Policy)> {
    let (name, rest) = rest.split_once(" ON ")?;
    let (table, rest) = named(rest)?;
    let command = match rest.strip_prefix("FOR ").map(word) {
        Some("SELECT") => 'r',
        Some("INSERT") => 'a',
        Some("UPDATE") => 'w',
        Some("DELETE") => 'd',
        _ => '*',
    };
    let mut functions: Vec<String> = rest
        .split(SCHEMA)
        .skip(1)
        .filter_map(|called| called.split_once('('))
        .map(|(function, _)| function.to_owned())
        .collect();
    functions.sort();
    functions.dedup();
    Some((
        (table.to_owned(), name.to_owned()),
        Policy { command, functions },
    ))
}

/// A name in the extension's schema, and what comes behind it.
fn named(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix(SCHEMA)?;
    let end = text.find([' ', '(']).unwrap_or(text.len());
    Some((&text[..end], text[end..].trim_start()))
}

fn word(text: &str) -> &str {
    text.split([' ', '(']).next().unwrap_or_default()
}

/// On one line, every run of white space one blank.
fn without_comments(statement: &str) -> String {
    let lines = statement
        .lines()
        .filter(|line| !line.trim_start().starts_with("--"));
    let words: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    words.join(" ")
}

/// What is in the first pair of parentheses.
fn in_parentheses(text: &str) -> Option<&str> {
    let start = text.find('(')? + 1;
    let (mut depth, mut quoted) = (1, false);
    for (place, character) in text[start..].char_indices() {
        match character {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some(&text[start..start + place]);
        }
    }
    None
}

/// The text without what is in parentheses, or in quotes.
fn outside_parentheses(text: &str) -> String {
    let (mut depth, mut quoted) = (0, false);
    let outside = text.chars().filter(|&character| {
        match character {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            _ => return depth == 0 && !quoted,
        }
        false
    });
    // A word at the end is to be found as one in the middle is.
    outside.chain([' ']).collect()
}

/// The items of a list with commas between.
fn split(list: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut quoted) = (0, false);
    list.split(move |character| {
        match character {
            '\'' => quoted = !quoted,
            '(' if !quoted => depth += 1,
            ')' if !quoted => depth -= 1,
            ',' if depth == 0 && !quoted => return true,
            _ => {}
        }
        false
    })
    .map(str::trim)
    .filter(|item| !item.is_empty())
}
