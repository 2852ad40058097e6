//! The server under test: its databases, its programs, and what it says about itself.

use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use postgres::config::Host;
use postgres::{Client, Config, NoTls};

use crate::options::Connection;
use crate::report::Report;
use crate::{Result, progress};

pub struct Server {
    config: Config,
    prefix: String,
    keep: bool,
}

/// A database of this program, dropped when it goes out of scope.
pub struct Database<'s> {
    server: &'s Server,
    name: String,
    keep: bool,
}

/// Settings that decide how fast the server is.
const SETTINGS: [&str; 7] = [
    "shared_buffers",
    "work_mem",
    "max_wal_size",
    "max_parallel_maintenance_workers",
    "fsync",
    "jit",
    "shared_preload_libraries",
];

impl Server {
    pub fn new(options: &Connection) -> Result<Self> {
        let mut config: Config = options.url.parse()?;
        config.application_name("memory_bench");
        if config.get_dbname().is_none() {
            config.dbname("postgres");
        }
        Ok(Self {
            config,
            prefix: options.database.clone(),
            keep: options.keep,
        })
    }

    /// A connection to the database of the URL, where databases are made and dropped.
    pub fn admin(&self) -> Result<Client> {
        Ok(self.config.connect(NoTls)?)
    }

    /// Makes an empty database, in place of one that an earlier run has left.
    pub fn create(&self, purpose: &str) -> Result<Database<'_>> {
        let name = format!("{}_{purpose}", self.prefix);
        let mut admin = self.admin()?;
        admin.batch_execute(&format!(
            "DROP DATABASE IF EXISTS {} WITH (FORCE)",
            quoted(&name)
        ))?;
        // template1 may hold anything, the extension included.
        admin.batch_execute(&format!(
            "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'",
            quoted(&name)
        ))?;
        Ok(self.database(name))
    }

    /// A database that an earlier run has kept, if its label is this one.
    pub fn kept(&self, purpose: &str, label: &str) -> Result<Option<Database<'_>>> {
        let name = format!("{}_{purpose}", self.prefix);
        let found = self.admin()?.query_opt(
            "SELECT FROM pg_database WHERE datname = $1 AND shobj_description(oid, 'pg_database') = $2",
            &[&name, &label],
        )?;
        Ok(found.map(|_| self.database(name)))
    }

    fn database(&self, name: String) -> Database<'_> {
        Database {
            server: self,
            name,
            keep: self.keep,
        }
    }

    /// Versions, settings and machine; an error when the extension is not installed.
    pub fn describe(&self, report: &mut Report) -> Result<()> {
        let mut admin = self.admin()?;
        let version: String = admin.query_one("SELECT version()", &[])?.get(0);
        report.describe("server", version);
        let mut settings = Vec::new();
        for name in SETTINGS {
            let value: Option<String> = admin
                .query_one("SELECT current_setting($1, true)", &[&name])?
                .get(0);
            settings.push(format!(
                "{name} = {}",
                value
                    .filter(|value| !value.is_empty())
                    .as_deref()
                    .unwrap_or("''")
            ));
        }
        report.describe("settings", settings.join(", "));
        report.describe("machine", machine());
        let versions = self.create("versions")?.never_kept();
        let mut client = versions.connect()?;
        client.batch_execute("CREATE EXTENSION memory_ext CASCADE")?;
        let version: String = client
            .query_one("SELECT memory_version()::text", &[])?
            .get(0);
        report.describe("memory_ext", version);
        Ok(())
    }

    /// One of the server's own programs, set up to reach this server.
    pub fn program(&self, name: &str) -> Result<Command> {
        let folder: String = self
            .admin()?
            .query_one("SELECT setting FROM pg_config() WHERE name = 'BINDIR'", &[])?
            .get(0);
        let mut command = Command::new(PathBuf::from(folder).join(name));
        let host = match self.config.get_hosts().first() {
            Some(Host::Tcp(host)) => host.clone(),
            Some(Host::Unix(path)) => path.display().to_string(),
            None => return Err("the connection URL names no host".into()),
        };
        command.env("PGHOST", host);
        if let Some(port) = self.config.get_ports().first() {
            command.env("PGPORT", port.to_string());
        }
        if let Some(user) = self.config.get_user() {
            command.env("PGUSER", user);
        }
        if let Some(password) = self.config.get_password() {
            command.env("PGPASSWORD", String::from_utf8_lossy(password).as_ref());
        }
        Ok(command)
    }
}

impl<'s> Database<'s> {
    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn server(&self) -> &'s Server {
        self.server
    }

    /// Dropped at the end of its use even when databases are kept.
    pub fn never_kept(mut self) -> Self {
        self.keep = false;
        self
    }

    pub fn connect(&self) -> Result<Client> {
        Ok(self
            .server
            .config
            .clone()
            .dbname(&self.name)
            .connect(NoTls)?)
    }

    /// Says what the database holds, so that a later run can tell whether it is what that run needs.
    pub fn label(&self, label: Option<&str>) -> Result<()> {
        let label = label.map_or("NULL".to_owned(), |label| {
            format!("'{}'", label.replace('\'', "''"))
        });
        let sql = format!("COMMENT ON DATABASE {} IS {label}", quoted(&self.name));
        Ok(self.server.admin()?.batch_execute(&sql)?)
    }
}

impl Drop for Database<'_> {
    fn drop(&mut self) {
        if self.keep {
            progress(format_args!("database {} is kept", self.name));
            return;
        }
        let sql = format!(
            "DROP DATABASE IF EXISTS {} WITH (FORCE)",
            quoted(&self.name)
        );
        let dropped = self
            .server
            .admin()
            .and_then(|mut admin| Ok(admin.batch_execute(&sql)?));
        if let Err(error) = dropped {
            eprintln!(
                "memory_bench: database {} is still there: {error}",
                self.name
            );
        }
    }
}

/// Memory of a server process that is its own, in bytes: resident, without what it shares with the others.
pub fn private_memory(process: i32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"))
        .map_err(|error| format!("cannot read the memory of server process {process}, is the server on this machine? {error}"))?;
    let kilobytes = |name: &str| -> Result<u64> {
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .ok_or_else(|| format!("/proc/{process}/status has no {name}"))?;
        Ok(line.trim_end_matches("kB").trim().parse()?)
    };
    Ok((kilobytes("VmRSS:")? - kilobytes("RssShmem:")?) * 1024)
}

/// How long the call takes, and how many megabytes of memory beyond what the session has before.
pub fn watched(
    session: &mut Client,
    call: impl FnOnce(&mut Client) -> Result<()>,
) -> Result<(Duration, f64)> {
    let process: i32 = session.query_one("SELECT pg_backend_pid()", &[])?.get(0);
    let before = private_memory(process)?;
    let (highest, done) = (AtomicU64::new(before), AtomicBool::new(false));
    let time = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                if let Ok(now) = private_memory(process) {
                    highest.fetch_max(now, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let started = Instant::now();
        let result = call(session);
        let time = started.elapsed();
        done.store(true, Ordering::Relaxed);
        result.map(|()| time)
    })?;
    let growth = highest.load(Ordering::Relaxed) - before;
    Ok((time, growth as f64 / (1024.0 * 1024.0)))
}

fn machine() -> String {
    let value = |path: &str, name: &str| {
        std::fs::read_to_string(path)
            .ok()?
            .lines()
            .find(|line| line.starts_with(name))
            .and_then(|line| line.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
    };
    let processor =
        value("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown processor".to_owned());
    let memory = value("/proc/meminfo", "MemTotal").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{processor}, {cores} cores, {memory} memory")
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
