//! Runs tests/regress/sql/*.sql through psql, each in a fresh database with the extension, and compares what psql shows with
//! tests/regress/expected/*.out (or *_1.out). UPDATE_EXPECTED=1 writes the expected files anew.

mod support;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use support::cluster;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regress")
}

macro_rules! regress {
    ($($name:ident),* $(,)?) => {
        const NAMES: &[&str] = &[$(stringify!($name)),*];

        $(#[test]
        fn $name() {
            check(stringify!($name));
        })*
    };
}

regress!(
    access,
    add,
    add_many,
    api_surface,
    as_of,
    auto_init,
    context,
    curate,
    delete,
    delta,
    direct_sql,
    embed,
    features,
    filter,
    handoff,
    history,
    init,
    kv,
    playbook,
    read,
    runs,
    search,
    sensitive,
    sessions,
    settings,
    types,
    update,
    vote,
);

#[test]
fn every_file_is_run() {
    let mut files: Vec<String> = fs::read_dir(directory().join("sql"))
        .expect("tests/regress/sql is there")
        .map(|entry| {
            entry
                .expect("an entry")
                .path()
                .file_stem()
                .expect("a name")
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    files.sort();
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(
        names, files,
        "the list in regress.rs and the files in tests/regress/sql differ"
    );
}

fn check(name: &str) {
    let output = run_psql(name);
    let expected = directory().join(format!("expected/{name}.out"));
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::copy(&output, &expected).expect("the expected file is written");
        return;
    }
    let mut candidates = vec![expected, directory().join(format!("expected/{name}_1.out"))];
    candidates.retain(|file| file.exists());
    assert!(
        !candidates.is_empty(),
        "there is no expected/{name}.out; run with UPDATE_EXPECTED=1 and read what it wrote"
    );
    let differences: Vec<String> = candidates
        .iter()
        .filter_map(|expected| difference(expected, &output))
        .collect();
    if differences.len() == candidates.len() {
        panic!("{name}: psql showed something else\n{}", differences[0]);
    }
}

/// Runs the file and gives the file with what psql wrote, commands included.
fn run_psql(name: &str) -> PathBuf {
    let database = cluster().database();
    let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("regress_{name}_{}.out", std::process::id()));
    let stdout = File::create(&output).expect("the output file is made");
    let stderr = stdout.try_clone().expect("one file for both");
    let script =
        File::open(directory().join(format!("sql/{name}.sql"))).expect("the script is there");
    // From standard input, so that messages do not name the script's path and line.
    let status = cluster()
        .client("psql", &database.name)
        .args(["-X", "-a", "-q", "-v", "SHOW_CONTEXT=never"])
        .stdin(Stdio::from(script))
        .stdout(stdout)
        .stderr(stderr)
        .status()
        .expect("psql runs");
    assert!(
        status.success(),
        "{name}: psql ended with {status}\n{}",
        fs::read_to_string(&output).unwrap_or_default()
    );
    output
}

fn difference(expected: &Path, output: &Path) -> Option<String> {
    let diff = Command::new("diff")
        .arg("-U3")
        .arg(expected)
        .arg(output)
        .output()
        .expect("diff runs");
    (!diff.status.success()).then(|| String::from_utf8_lossy(&diff.stdout).into_owned())
}
