//! Every block of SQL in README.md and docs/ runs, in order, in a fresh database.

mod support;

use std::path::Path;

use support::markdown::{RUNBOOKS, blocks, blocks_of, documents, repository};
use support::{Cluster, Options};

/// The blocks fenced as `sql`, each with the number of its first line.
fn sql_blocks(file: &Path) -> Vec<(usize, String)> {
    blocks_of(file)
        .into_iter()
        .filter(|block| block.language == "sql")
        .map(|block| (block.line, block.text))
        .collect()
}

/// Runs a document's blocks as one session, in a server of its own: they may make roles. What psql has written.
fn run_document(file: &Path) -> String {
    let blocks = sql_blocks(file);
    if blocks.is_empty() {
        return String::new();
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
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_sql_of_the_readme_runs() {
    let readme = repository().join("README.md");
    assert!(!sql_blocks(&readme).is_empty(), "README.md shows some SQL");

    let output = run_document(&readme);
    assert!(
        output.contains("\n the customer is [REDACTED:email]\n"),
        "the redacted memory is shown: {output}"
    );
}

#[test]
fn the_sql_of_every_document_runs() {
    for file in documents() {
        if !RUNBOOKS.iter().any(|name| file.ends_with(name)) {
            run_document(&file);
        }
    }
}

#[test]
fn blocks_are_found_by_their_fence() {
    let markdown = "text\n```sql\nSELECT 1;\n```\n## Part\n```text\n```sql is not one\n```\n  ```bash\n## no heading\n  ```\n";
    let found: Vec<(String, String, usize, String)> = blocks(markdown)
        .into_iter()
        .map(|block| (block.language, block.text, block.line, block.section))
        .collect();
    let block = |language: &str, text: &str, line, section: &str| {
        (
            language.to_owned(),
            text.to_owned(),
            line,
            section.to_owned(),
        )
    };
    assert_eq!(
        found,
        [
            block("sql", "SELECT 1;\n", 3, ""),
            block("text", "```sql is not one\n", 7, "Part"),
            block("bash", "## no heading\n", 10, "Part"),
        ]
    );
}
