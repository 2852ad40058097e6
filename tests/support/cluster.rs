//! A temporary PostgreSQL cluster that is gone when the test process is.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use postgres::{Client, Config, NoTls};

use super::database::{Database, Sql};
use super::server::{Server, run};
use super::wait::wait_until;

/// There is no TCP port: a cluster is reached by the socket in its own directory, whose name has this number.
const PORT: &str = "5432";

const SETTINGS: &str = "
listen_addresses = ''
port = 5432
fsync = off
full_page_writes = off
shared_buffers = '64MB'
max_connections = 60
log_line_prefix = '%m [%p] %e %u@%d '
log_checkpoints = off
maintenance_work_mem = '256MB'
deadlock_timeout = '100ms'
timezone = 'UTC'
datestyle = 'ISO, YMD'
";

/// Waits for the end of the test process, however it ends, then takes the cluster away: a static of the tests that holds
/// a cluster is never dropped.
const KEEPER: &str = r#"trap '' INT TERM; read -r _; "$1" stop -D "$2/data" -m immediate -s >/dev/null 2>&1; rm -rf "$2""#;

#[derive(Clone, Default)]
pub struct Options {
    /// Starts the server with `shared_preload_libraries = 'memory_ext'`.
    pub preload: bool,
    /// Lines of postgresql.conf.
    pub settings: Vec<&'static str>,
}

pub struct Cluster {
    pub server: Server,
    directory: PathBuf,
    keeper: Child,
    databases: AtomicUsize,
}

impl Cluster {
    pub fn start(options: Options) -> Self {
        let cluster = Cluster::prepare(Server::from_environment(), options);
        cluster.control_start();
        cluster
    }

    /// A cluster of this server that is not started yet.
    pub fn prepare(server: Server, options: Options) -> Self {
        let cluster = Cluster::reserve(server);
        run(cluster
            .server
            .tool("initdb")
            .args([
                "-A",
                "trust",
                "-U",
                "postgres",
                "--encoding=UTF8",
                "--locale=C",
                // The default since PostgreSQL 18: pg_upgrade wants both its clusters with or both without.
                "--data-checksums",
                "--no-sync",
                "-D",
            ])
            .arg(cluster.data()));
        cluster.configure(SETTINGS);
        cluster.configure(&format!(
            "unix_socket_directories = '{}'",
            cluster.directory.display()
        ));
        if options.preload {
            cluster.configure("shared_preload_libraries = 'memory_ext'");
        }
        for line in &options.settings {
            cluster.configure(line);
        }
        cluster
    }

    /// A hot standby of this cluster, made by pg_basebackup.
    pub fn standby(&self) -> Self {
        let standby = Cluster::reserve(Server::from_environment());
        run(self
            .server
            .tool("pg_basebackup")
            .args([
                "-h",
                self.socket(),
                "-p",
                PORT,
                "-U",
                "postgres",
                "-R",
                "-X",
                "stream",
                "-c",
                "fast",
                "--no-sync",
                "-D",
            ])
            .arg(standby.data()));
        standby.configure(&format!(
            "unix_socket_directories = '{}'",
            standby.directory.display()
        ));
        standby.control_start();
        standby
    }

    fn reserve(server: Server) -> Self {
        let parent = std::env::var("MEMORY_EXT_TEST_DIR").unwrap_or_else(|_| "/tmp".to_owned());
        let made = run(server
            .command("mktemp")
            .args(["-d", &format!("{parent}/memory_ext_test.XXXXXX")]));
        let directory = PathBuf::from(made.trim());
        let keeper = server
            .command("sh")
            .args(["-c", KEEPER, "keeper"])
            .arg(server.program("pg_ctl"))
            .arg(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // An interrupt from the terminal is for the tests; the keeper sees their end.
            .process_group(0)
            .spawn()
            .expect("the keeper starts");
        Cluster {
            server,
            directory,
            keeper,
            databases: AtomicUsize::new(0),
        }
    }

    /// Appends to postgresql.conf; takes effect at the next start or reload.
    pub fn configure(&self, lines: &str) {
        let file = self.data().join("postgresql.conf");
        let mut text = fs::read_to_string(&file).expect("postgresql.conf can be read");
        text.push_str(lines);
        text.push('\n');
        fs::write(&file, text).expect("postgresql.conf can be written");
    }

    pub fn reload(&self) {
        run(&mut self.control("reload"));
    }

    fn control(&self, what: &str) -> Command {
        let mut command = self.server.tool("pg_ctl");
        command.args([what, "-s", "-D"]).arg(self.data());
        command
    }

    pub fn control_start(&self) {
        self.start_with(&[]);
    }

    /// Starts the server with these variables in its environment.
    pub fn start_with(&self, environment: &[(&str, &str)]) {
        // The server inherits pg_ctl's output, so it must not be a pipe that somebody reads to its end.
        let mut command = self.control("start");
        command
            .envs(environment.iter().copied())
            .args(["-w", "-t", "60", "-l"])
            .arg(self.log_file())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = command.status().expect("pg_ctl runs");
        assert!(
            status.success(),
            "the server does not start:\n{}",
            self.log()
        );
    }

    /// Stops the server; `mode` is fast, smart or immediate.
    pub fn stop(&self, mode: &str) {
        run(self.control("stop").args(["-w", "-t", "60", "-m", mode]));
    }

    pub fn promote(&self) {
        run(self.control("promote").args(["-w", "-t", "60"]));
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    pub fn socket(&self) -> &str {
        self.directory
            .to_str()
            .expect("the directory's name is ASCII")
    }

    fn log_file(&self) -> PathBuf {
        self.directory.join("server.log")
    }

    /// What the server has logged so far.
    pub fn log(&self) -> String {
        fs::read(self.log_file())
            .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            .unwrap_or_default()
    }

    pub fn config(&self, database: &str, role: &str) -> Config {
        let mut config = Config::new();
        config
            .host_path(&self.directory)
            .port(PORT.parse().expect("a number"))
            .dbname(database)
            .user(role);
        config.connect_timeout(Duration::from_secs(20));
        config
    }

    pub fn connect_as(&self, database: &str, role: &str) -> Client {
        self.config(database, role)
            .connect(NoTls)
            .unwrap_or_else(|error| {
                let log = self.log();
                let tail = log.lines().rev().take(40).collect::<Vec<_>>();
                let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                panic!("cannot connect to {database} as {role}: {error}\n{tail}")
            })
    }

    /// A superuser's connection.
    pub fn connect(&self, database: &str) -> Client {
        self.connect_as(database, "postgres")
    }

    /// Runs SQL in database postgres as superuser.
    pub fn admin(&self, sql: &str) {
        // Only one at a time: two concurrent CREATE DATABASE may both want template1 for themselves.
        static ONE: Mutex<()> = Mutex::new(());
        let _one = ONE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        self.connect("postgres").run(sql);
    }

    /// A new, empty database.
    pub fn empty_database(&self) -> Database<'_> {
        let mut admin = self.connect("postgres");
        // Some are there already after pg_upgrade.
        let name = loop {
            let number = self.databases.fetch_add(1, Ordering::Relaxed) + 1;
            let name = format!("test_{number}");
            let taken: bool = admin.one(
                "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)",
                &[&name],
            );
            if !taken {
                break name;
            }
        };
        self.admin(&format!("CREATE DATABASE {name}"));
        Database::of(self, name)
    }

    /// A new database with the extension, and no store yet.
    pub fn database(&self) -> Database<'_> {
        let database = self.empty_database();
        database
            .connect()
            .run("CREATE EXTENSION memory_ext CASCADE");
        database
    }

    /// A role of the cluster that may log in.
    pub fn role(&self, name: &str) {
        self.admin(&format!("CREATE ROLE {name} LOGIN"));
    }

    /// One of the client programs, told how to reach a database of this cluster.
    pub fn client(&self, program: &str, database: &str) -> Command {
        let mut command = self.server.tool(program);
        command.args([
            "-h",
            self.socket(),
            "-p",
            PORT,
            "-U",
            "postgres",
            "-d",
            database,
        ]);
        command
    }

    /// What client programs read from their environment to reach a database of this cluster.
    pub fn environment(&self, database: &str) -> [(&'static str, String); 4] {
        [
            ("PGHOST", self.socket().to_owned()),
            ("PGPORT", PORT.to_owned()),
            ("PGUSER", "postgres".to_owned()),
            ("PGDATABASE", database.to_owned()),
        ]
    }

    /// Waits until the server is back after one of its processes was killed. The client of that process may know of it before
    /// the server does.
    pub fn wait_restarted(&self) {
        wait_until("the server starts over", || {
            self.log()
                .contains("all server processes terminated; reinitializing")
        });
        wait_until("the server accepts connections", || {
            self.config("postgres", "postgres").connect(NoTls).is_ok()
        });
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        // The keeper is the child; nothing can be done about its failure here.
        let _ = self.keeper.wait();
    }
}
