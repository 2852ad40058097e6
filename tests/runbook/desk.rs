//! Where the operator sits: a shell with the programs of the server and the shipped scripts, a database, a directory of backups.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::markdown::repository;
use crate::support::{Cluster, Database, run};

pub struct Desk<'c> {
    pub cluster: &'c Cluster,
    pub database: String,
    directory: PathBuf,
}

/// What a command has left behind.
#[derive(Debug)]
pub struct Outcome {
    pub code: Option<i32>,
    pub output: String,
    pub errors: String,
}

/// The fields of what `psql --csv` has written.
pub fn records(csv: &str) -> Vec<Vec<String>> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let mut quoted = false;
    let mut characters = csv.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '"' if quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => record.push(std::mem::take(&mut field)),
            '\n' if !quoted => {
                record.push(std::mem::take(&mut field));
                records.push(std::mem::take(&mut record));
            }
            _ => field.push(character),
        }
    }
    records
}

/// The JSON objects among them, in order.
pub fn objects(csv: &str) -> Vec<Value> {
    let fields = records(csv).into_iter().flatten();
    fields
        .filter(|field| field.starts_with('{'))
        .filter_map(|field| serde_json::from_str(&field).ok())
        .collect()
}

impl Outcome {
    fn of(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        Outcome {
            code: output.status.code(),
            output: text(output.stdout),
            errors: text(output.stderr),
        }
    }

    /// It went well; gives what it wrote.
    pub fn good(self) -> String {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self.output
    }

    /// It ended with this code and said so.
    pub fn fails(self, code: i32, says: &str) {
        assert_eq!(self.code, Some(code), "{self:#?}");
        assert!(self.errors.contains(says), "{says:?} is not in {self:#?}");
    }
}

impl<'c> Desk<'c> {
    pub fn at(database: &Database<'c>) -> Self {
        let cluster = database.cluster;
        let directory = cluster
            .directory()
            .join(format!("desk_of_{}", database.name));
        let desk = Desk {
            cluster,
            database: database.name.clone(),
            directory,
        };
        run(cluster
            .server
            .command("mkdir")
            .arg("-p")
            .arg(desk.backups())
            .arg(desk.directory.join("bin")));
        let shipped = repository().join("docker/scripts");
        for name in ["memory-backup.sh", "restore-drill.sh"] {
            let script = fs::read_to_string(shipped.join(name)).expect("a shipped script");
            desk.program(name, &script);
        }
        desk
    }

    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// BACKUP_DIR.
    pub fn backups(&self) -> PathBuf {
        self.directory.join("backups")
    }

    pub fn backup(&self, name: &str) -> PathBuf {
        self.backups().join(name)
    }

    /// The names of the files in BACKUP_DIR, sorted.
    pub fn backup_names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.backups())
            .expect("the directory of backups")
            .map(|entry| {
                let name = entry.expect("an entry").file_name();
                name.into_string().expect("UTF-8")
            })
            .collect();
        names.sort();
        names
    }

    /// Puts a program before all others of its name.
    pub fn program(&self, name: &str, script: &str) {
        let file = self.directory.join("bin").join(name);
        // Never written in place: another test may be starting a process at this moment, which would hold it open for writing.
        let new = file.with_extension("new");
        fs::write(&new, script).expect("a program is written");
        fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).expect("and made executable");
        fs::rename(&new, &file).expect("and put in its place");
    }

    /// A command with the environment that the runbooks speak of.
    pub fn command(&self, program: &str) -> Command {
        // Not the PATH of this process's child, which has to be found by the one that is.
        let mut command = self.cluster.server.command("env");
        command
            .arg(format!("PATH={}", self.search_path()))
            // Nor the HOME, which runuser sets to that of the user.
            .arg(format!("HOME={}", self.directory.display()))
            .arg(program)
            .current_dir(&self.directory)
            .env("BACKUP_DIR", self.backups())
            .env("PGDATA", self.cluster.data())
            .env("KEY_FILE", self.directory.join("keys/backup.key"))
            .env("BACKUP_MASTER_PASSWORD", "correct horse battery staple")
            .envs(self.cluster.environment(&self.database))
            .env_remove("RUST_BACKTRACE");
        command
    }

    pub fn search_path(&self) -> String {
        format!(
            "{}:{}:/usr/bin:/bin",
            self.directory.join("bin").display(),
            self.cluster
                .server
                .program("psql")
                .parent()
                .expect("a directory")
                .display()
        )
    }

    pub fn bash(&self, script: &str) -> Outcome {
        self.bash_with(script, &[])
    }

    pub fn bash_with(&self, script: &str, environment: &[(&str, &str)]) -> Outcome {
        let mut command = self.command("bash");
        command
            .args(["-euo", "pipefail", "-c", script])
            .envs(environment.iter().copied());
        Outcome::of(command.output().expect("bash runs"))
    }

    /// Runs SQL by psql, which writes the results as CSV.
    pub fn psql(&self, sql: &str) -> Outcome {
        let file = self.directory.join("block.sql");
        fs::write(&file, sql).expect("the block is written");
        let mut command = self.command("psql");
        command
            .args(["-X", "--csv", "-v", "ON_ERROR_STOP=1", "-f"])
            .arg(&file);
        Outcome::of(command.output().expect("psql runs"))
    }

    /// Another database of the same server.
    pub fn other(&self, suffix: &str) -> Database<'c> {
        Database::of(self.cluster, format!("{}{suffix}", self.database))
    }
}
