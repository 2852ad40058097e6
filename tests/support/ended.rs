//! Statements that another session ends, and what their client is told.

use std::process::{Child, Stdio};
use std::time::Duration;

use super::{Database, Sql, wait_until};

/// A statement in a psql. libpq reads why a session was ended before it sees that the connection is gone; the client library of
/// these tests reports whichever it comes upon first.
pub struct Running {
    psql: Child,
    pub pid: i32,
}

impl Running {
    pub fn start(database: &Database, statement: &str) -> Self {
        let mut sql = database.connect();
        let application = format!(
            "ended {}",
            sql.one::<String>("SELECT gen_random_uuid()::text", &[])
        );
        let psql = database
            .cluster
            .client("psql", &database.name)
            .env("PGAPPNAME", &application)
            .args(["-XAtq", "-v", "VERBOSITY=sqlstate", "-c", statement])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psql runs");
        let mut pid = None;
        wait_until("the statement runs", || {
            pid = sql
                .column::<i32>(
                    &format!("SELECT pid FROM pg_stat_activity WHERE application_name = '{application}' AND state = 'active'"),
                    &[],
                )
                .pop();
            pid.is_some()
        });
        Running {
            psql,
            pid: pid.expect("waited for"),
        }
    }

    /// How it ended, which was not well: the severity and the SQLSTATE.
    pub fn refused(self) -> String {
        let output = self.psql.wait_with_output().expect("psql ends");
        assert!(!output.status.success(), "it came to its end: {output:?}");
        let told = String::from_utf8(output.stderr).expect("text");
        let first = told.lines().next().unwrap_or_default();
        first.split_whitespace().collect::<Vec<_>>().join(" ")
    }
}
