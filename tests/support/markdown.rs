//! The fenced blocks of a document.

use std::path::{Path, PathBuf};

/// The documents whose blocks tests/runbook.rs runs, one by one, with a look at what each has done.
pub const RUNBOOKS: [&str; 3] = ["backup-and-restore.md", "maintenance.md", "operations.md"];

#[derive(Debug, PartialEq)]
pub struct Block {
    /// What the fence says.
    pub language: String,
    pub text: String,
    /// The number of its first line.
    pub line: usize,
    /// The heading of the second level that it stands under, or nothing before the first.
    pub section: String,
}

pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The documents in docs/.
pub fn documents() -> Vec<PathBuf> {
    let Ok(directory) = std::fs::read_dir(repository().join("docs")) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = directory
        .map(|entry| entry.expect("an entry").path())
        .filter(|file| file.extension().is_some_and(|extension| extension == "md"))
        .collect();
    files.sort();
    files
}

pub fn blocks_of(file: &Path) -> Vec<Block> {
    let markdown =
        std::fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    blocks(&markdown)
}

pub fn blocks(markdown: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    let mut section = "";
    for (number, line) in markdown.lines().enumerate() {
        let fence = line.trim().strip_prefix("```");
        match (&mut open, fence) {
            (Some(_), Some("")) => blocks.extend(open.take()),
            (Some(block), _) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(language)) => {
                open = Some(Block {
                    language: language.to_owned(),
                    text: String::new(),
                    line: number + 2,
                    section: section.to_owned(),
                });
            }
            (None, None) => section = line.strip_prefix("## ").unwrap_or(section),
        }
    }
    assert!(open.is_none(), "a block is never closed");
    blocks
}
