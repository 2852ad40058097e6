//! The server under test: its programs, and the user who may run them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

pub struct Server {
    bin: PathBuf,
    /// The unprivileged user who runs everything; `None` when the tests run as one already.
    user: Option<String>,
}

impl Server {
    pub fn from_environment() -> Self {
        let pg_config = std::env::var("PG_CONFIG")
            .expect("PG_CONFIG names the pg_config of a server that memory_ext is installed in (make install)");
        Server::of(&pg_config)
    }

    /// The server that a pg_config belongs to.
    pub fn of(pg_config: &str) -> Self {
        let output = Command::new(pg_config)
            .arg("--bindir")
            .output()
            .expect("pg_config runs");
        let bin = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        Server {
            bin,
            user: unprivileged_user(),
        }
    }

    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// What has to be copied for this server to run elsewhere, as servers find their files from where their programs lie. Nothing
    /// when it is spread over the system, as Debian's is.
    pub fn tree(&self) -> Option<PathBuf> {
        let prefix = self.bin.parent()?;
        if prefix.starts_with("/usr") {
            return None;
        }
        // A wheel has libraries beside the package.
        let above = prefix.parent()?.parent()?;
        let libraries = std::fs::read_dir(above).ok()?.flatten().any(|entry| {
            entry
                .path()
                .extension()
                .is_some_and(|extension| extension == "libs")
        });
        Some(if libraries { above } else { prefix }.to_owned())
    }

    /// A command that runs as the server's user, from a directory that this user can enter.
    pub fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = match &self.user {
            None => Command::new(program.as_ref()),
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--"]).arg(program.as_ref());
                command
            }
        };
        command.current_dir("/").stdin(Stdio::null());
        // The tests' results must not depend on the shell they are started from.
        for name in [
            "PGHOST",
            "PGPORT",
            "PGUSER",
            "PGDATABASE",
            "PGOPTIONS",
            "PGSERVICE",
            "PGPASSFILE",
            "PSQLRC",
            // A server that inherits it puts a Rust backtrace into every DETAIL.
            "RUST_BACKTRACE",
        ] {
            command.env_remove(name);
        }
        command
    }

    /// One of the server's programs.
    pub fn tool(&self, name: &str) -> Command {
        self.command(self.program(name))
    }
}

/// Runs a command to its end and gives what it wrote to stdout; fails with what it wrote to stderr.
pub fn run(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let (stdout, stderr) = (
        String::from_utf8_lossy(&stdout),
        String::from_utf8_lossy(&stderr),
    );
    assert!(
        status.success(),
        "{command:?} ended with {status}\n{stdout}{stderr}"
    );
    stdout.into_owned()
}

fn unprivileged_user() -> Option<String> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id")
            .args(arguments)
            .output()
            .expect("id runs");
        output
            .status
            .success()
            .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    if id(&["-u"]).as_deref() != Some("0") {
        return None;
    }
    if let Some(user) = std::env::var("MEMORY_EXT_TEST_USER")
        .ok()
        .filter(|user| !user.is_empty())
    {
        return Some(user);
    }
    let user = ["memory_ext", "postgres"]
        .into_iter()
        .find(|user| id(&["-u", user]).is_some());
    Some(
        user.expect(
            "PostgreSQL does not run as root: MEMORY_EXT_TEST_USER names a user who may run it",
        )
        .to_owned(),
    )
}
