//! Every block of SQL in README.md and docs/ runs, in order, in a fresh database.

mod support;

use std::path::{Path, PathBuf};

use support::{Cluster, Options};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The contents of the blocks fenced as `sql`, each with the number of its first line.
fn blocks(markdown: &str) -> Vec<(usize, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    let mut other_fence = false;
    for (number, line) in markdown.lines().enumerate() {
        let fence = line.trim().strip_prefix("```");
        match (&mut open, fence) {
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some((_, text)), _) => {
                text.push_str(line);
                text.push('\n');
            }
            (None, Some("")) if other_fence => other_fence = false,
            (None, _) if other_fence => {}
            (None, Some("sql")) => open = Some((number + 2, String::new())),
            (None, Some(_)) => other_fence = true,
            (None, None) => {}
        }
    }
    assert!(open.is_none() && !other_fence, "a block is never closed");
    blocks
}

/// Runs a document's blocks as one session, in a server of its own: they may make roles.
fn run_document(file: &Path) {
    let markdown =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let blocks = blocks(&markdown);
    if blocks.is_empty() {
        return;
    }
    let cluster = Cluster::start(Options {
        preload: true,
        ..Options::default()
    });
    let creates_extension = blocks
        .iter()
        .any(|(_, sql)| sql.to_uppercase().contains("CREATE EXTENSION"));
    let database = if creates_extension {
        cluster.empty_database()
    } else {
        cluster.database()
    };
    let mut script = String::new();
    for (line, sql) in &blocks {
        script.push_str(&format!("\\echo block at line {line}\n{sql}\n"));
    }
    let path = cluster.directory().join("document.sql");
    std::fs::write(&path, script).expect("the script is written");
    let output = cluster
        .client("psql", &database.name)
        .args(["-X", "-a", "-v", "ON_ERROR_STOP=1", "-f"])
        .arg(&path)
        .output()
        .expect("psql runs");
    assert!(
        output.status.success(),
        "{}: a block fails\n{}\n{}",
        file.display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn the_sql_of_the_readme_runs() {
    let readme = repository().join("README.md");
    let markdown = std::fs::read_to_string(&readme).expect("README.md is there");
    assert!(!blocks(&markdown).is_empty(), "README.md shows some SQL");

    run_document(&readme);
}

#[test]
fn the_sql_of_every_document_runs() {
    let Ok(directory) = std::fs::read_dir(repository().join("docs")) else {
        return;
    };
    let mut files: Vec<PathBuf> = directory
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "md"));
    files.sort();
    for file in files {
        run_document(&file);
    }
}

#[test]
fn blocks_are_found_by_their_fence() {
    let markdown = "text\n```sql\nSELECT 1;\n```\n```text\n```sql is not one\n```\n  ```sql\nSELECT 2;\n  ```\n";
    let found: Vec<(usize, String)> = blocks(markdown);
    assert_eq!(
        found,
        [(3, "SELECT 1;\n".to_owned()), (9, "SELECT 2;\n".to_owned())]
    );
}
