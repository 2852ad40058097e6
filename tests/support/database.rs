//! A database of a test's own, and short ways to ask it.

use postgres::types::{FromSqlOwned, ToSql};
use postgres::{Client, GenericClient};

use super::cluster::Cluster;
use super::refusal::Refusal;

pub struct Database<'c> {
    pub cluster: &'c Cluster,
    pub name: String,
}

impl<'c> Database<'c> {
    pub fn of(cluster: &'c Cluster, name: String) -> Self {
        Database { cluster, name }
    }

    /// A superuser's connection.
    pub fn connect(&self) -> Client {
        self.cluster.connect(&self.name)
    }

    pub fn connect_as(&self, role: &str) -> Client {
        self.cluster.connect_as(&self.name, role)
    }
}

/// Statements whose failure is the test's failure, and one whose success is.
pub trait Sql {
    /// The only column of the only row.
    fn one<T: FromSqlOwned>(&mut self, sql: &str, arguments: &[&(dyn ToSql + Sync)]) -> T;
    /// The only column of every row.
    fn column<T: FromSqlOwned>(&mut self, sql: &str, arguments: &[&(dyn ToSql + Sync)]) -> Vec<T>;
    /// Several statements, without results.
    fn run(&mut self, sql: &str);
    /// A statement that the server has to refuse.
    fn refused(&mut self, sql: &str, arguments: &[&(dyn ToSql + Sync)]) -> Refusal;
}

impl<C: GenericClient> Sql for C {
    fn one<T: FromSqlOwned>(&mut self, sql: &str, arguments: &[&(dyn ToSql + Sync)]) -> T {
        self.query_one(sql, arguments)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"))
            .get(0)
    }

    fn column<T: FromSqlOwned>(&mut self, sql: &str, arguments: &[&(dyn ToSql + Sync)]) -> Vec<T> {
        let rows = self
            .query(sql, arguments)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
        rows.iter().map(|row| row.get(0)).collect()
    }

    fn run(&mut self, sql: &str) {
        self.batch_execute(sql)
            .unwrap_or_else(|error| panic!("{sql}: {error:?}"));
    }

    fn refused(&mut self, sql: &str, arguments: &[&(dyn ToSql + Sync)]) -> Refusal {
        match self.query(sql, arguments) {
            Ok(rows) => panic!("not refused, {} rows: {sql}", rows.len()),
            Err(error) => Refusal::of(sql, &error),
        }
    }
}

/// The only row that a call of a function returns, by its columns' names.
pub fn row(client: &mut Client, call: &str) -> serde_json::Value {
    client.one(&format!("SELECT to_jsonb(r) FROM {call} r"), &[])
}

/// The tables of the store, in the schema of the extension, ready for use in a statement.
pub fn store_tables(client: &mut Client) -> Vec<String> {
    client.column(
        "SELECT c.oid::regclass::text FROM pg_class c JOIN pg_extension e ON e.extname = 'memory_ext' AND e.extnamespace = c.relnamespace
         WHERE c.relkind IN ('r', 'p') AND c.relname IN ('memories', 'memory_history', 'memory_events', 'memory_usage', 'memory_models',
               'embedding_cache', 'memory_grants', 'memory_key_aliases', 'memory_migrations', 'vote_history', 'vote_changes',
               'session_progress', 'feature_tracker', 'memory_runs', 'memory_types',
               'memory_audit_seals', 'memory_import_lines', 'memory_maintenance_runs')
         ORDER BY c.relname",
        &[],
    )
}

/// One line a table of the store: its name, how many rows it has and a hash of them all. Equal for equal contents.
pub fn store_hash(client: &mut Client) -> String {
    let mut lines = String::new();
    for table in store_tables(client) {
        let sql = format!(
            "SELECT count(*) || ' rows ' || md5(coalesce(string_agg(t::text, E'\\n' ORDER BY t::text COLLATE \"C\"), '')) FROM {table} t"
        );
        lines += &format!("{table}: {}\n", client.one::<String>(&sql, &[]));
    }
    lines
}
