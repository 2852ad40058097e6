//! pg_dump and pg_restore of a store, beside the plain table with the same rows.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::options::BenchOptions;
use crate::report::{Line, Report, Target};
use crate::server::Database;
use crate::{Result, progress};

const SLOWDOWN: f64 = 1.2;
const JOBS: &str = "2";

pub fn measure(
    store: &Database,
    plain: &Database,
    options: &BenchOptions,
    report: &mut Report,
) -> Result<()> {
    let folder = Folder::new()?;
    let [store_dump, plain_dump] = [store, plain].map(|database| folder.0.join(database.name()));
    progress("dumping");
    dump(store, &store_dump)?;
    dump(plain, &plain_dump)?;
    let (mut ours, mut raw) = (Vec::new(), Vec::new());
    for turn in 1..=options.restores.max(1) {
        progress(format_args!("restoring, turn {turn}"));
        ours.push(restore(store, &store_dump, options)?);
        raw.push(restore(plain, &plain_dump, options)?);
    }
    let fastest = |times: Vec<Duration>| times.into_iter().min().unwrap_or_default().as_secs_f64();
    report.add(
        Line::new("pg_restore -j 2", "s", fastest(ours))
            .beside(fastest(raw))
            .target(Target::RatioAtMost(SLOWDOWN))
            .note(format!("fastest of {}", options.restores.max(1))),
    );
    Ok(())
}

fn dump(database: &Database, folder: &Path) -> Result<()> {
    let mut command = database.server().program("pg_dump")?;
    command
        .arg("--format=directory")
        .arg("--file")
        .arg(folder)
        .arg(database.name());
    checked(&mut command)
}

/// Restores into an empty database, and makes sure that all memories are there.
fn restore(original: &Database, folder: &Path, options: &BenchOptions) -> Result<Duration> {
    let restored = original.server().create("restored")?.never_kept();
    let mut command = original.server().program("pg_restore")?;
    command
        .args([
            "--jobs",
            JOBS,
            "--exit-on-error",
            "--dbname",
            restored.name(),
        ])
        .arg(folder)
        .env(
            "PGOPTIONS",
            format!("-c maintenance_work_mem={}", options.maintenance_work_mem),
        );
    let started = Instant::now();
    checked(&mut command)?;
    let time = started.elapsed();
    let contents = |database: &Database| -> Result<(i64, Option<String>)> {
        let row = database.connect()?.query_one(
            "SELECT count(*), md5(string_agg(id, ',' ORDER BY id)) FROM memories",
            &[],
        )?;
        Ok((row.get(0), row.get(1)))
    };
    let (expected, found) = (contents(original)?, contents(&restored)?);
    if expected != found {
        return Err(format!(
            "{} memories were dumped, others or {} came back",
            expected.0, found.0
        )
        .into());
    }
    Ok(time)
}

fn checked(command: &mut Command) -> Result<()> {
    let output = command
        .output()
        .map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        let program = command.get_program().to_string_lossy().into_owned();
        Err(format!(
            "{program}: {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        )
        .into())
    }
}

/// A folder for dumps that is removed again.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self> {
        let path = std::env::temp_dir().join(format!("memory_bench-{}", std::process::id()));
        std::fs::create_dir(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("memory_bench: {} is still there: {error}", self.0.display());
        }
    }
}
