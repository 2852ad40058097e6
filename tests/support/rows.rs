//! The rows of a store, to be compared after a migration has added columns and tables.

use postgres::Client;

use super::database::Sql;

/// Every table of the extension's schema that is no member of it, with the columns that it had.
pub struct Rows {
    tables: Vec<Table>,
    /// A line a table: its name, how many rows it has, and a hash of them.
    pub lines: Vec<String>,
}

struct Table {
    name: String,
    columns: String,
    /// What is left out.
    condition: &'static str,
}

impl Rows {
    pub fn of(sql: &mut Client) -> Rows {
        let found = sql
            .query(
                "SELECT format('%I.%I', n.nspname, c.relname), c.relname::text,
                        (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped)
                 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_extension e ON e.extname = 'memory_ext' AND e.extnamespace = n.oid
                 WHERE c.relkind IN ('r', 'p') AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
                 ORDER BY c.relname COLLATE \"C\"",
                &[],
            )
            .expect("tables");
        let tables: Vec<Table> = found
            .iter()
            .map(|row| Table {
                name: row.get(0),
                columns: row.get(2),
                // A migration adds its own row.
                condition: match row.get::<_, &str>(1) {
                    "memory_migrations" => "WHERE number = 1",
                    _ => "",
                },
            })
            .collect();
        let mut rows = Rows {
            tables,
            lines: Vec::new(),
        };
        rows.lines = rows.again(sql);
        rows
    }

    /// The same tables and columns as they are now.
    pub fn again(&self, sql: &mut Client) -> Vec<String> {
        self.tables
            .iter()
            .map(|table| {
                let Table {
                    name,
                    columns,
                    condition,
                } = table;
                let hash: String = sql.one(
                    &format!(
                        "SELECT count(*) || ' rows ' || md5(coalesce(string_agg(r::text, E'\\n' ORDER BY r::text COLLATE \"C\"), ''))
                         FROM (SELECT {columns} FROM {name} {condition}) r"
                    ),
                    &[],
                );
                format!("{name}: {hash}")
            })
            .collect()
    }

    /// They are in this database as they were in the one they were read from.
    pub fn assert_kept(&self, sql: &mut Client) {
        assert_eq!(self.again(sql), self.lines);
    }
}
