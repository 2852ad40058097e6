//! The sections of a runbook: each is run by a test of its own, block after block.

use std::collections::VecDeque;

use super::desk::Desk;
use crate::support::markdown::{Block, blocks_of, documents, repository};

pub struct Section {
    name: String,
    blocks: VecDeque<Block>,
}

impl Section {
    pub fn open(document: &str, heading: &str) -> Self {
        let blocks: VecDeque<Block> = blocks_of(&repository().join("docs").join(document))
            .into_iter()
            .filter(|block| block.section == heading)
            .collect();
        let name = format!("docs/{document}, {heading:?}");
        assert!(!blocks.is_empty(), "{name}: there is nothing to run");
        Section { name, blocks }
    }

    /// The bash of a section; its SQL is run by tests/readme.rs.
    pub fn bash_of(document: &str, heading: &str) -> Self {
        let mut section = Section::open(document, heading);
        section.blocks.retain(|block| block.language == "bash");
        section
    }

    /// The next block, which is not run as it stands.
    pub fn take(&mut self, language: &str) -> String {
        let block = self
            .blocks
            .pop_front()
            .unwrap_or_else(|| panic!("{}: there is no further block", self.name));
        assert_eq!(
            block.language, language,
            "{} line {}",
            self.name, block.line
        );
        block.text
    }

    pub fn language_of_next(&self) -> Option<&str> {
        self.blocks.front().map(|block| block.language.as_str())
    }

    /// Runs the next block, which has to go well, and gives what it wrote.
    pub fn run(&mut self, desk: &Desk) -> String {
        self.run_then(desk, "")
    }

    /// The same, and in the same session what is not in the runbook.
    pub fn run_then(&mut self, desk: &Desk, more: &str) -> String {
        let language = self.language_of_next().unwrap_or_default().to_owned();
        let line = self.blocks.front().map_or(0, |block| block.line);
        let text = self.take(&language) + more;
        let outcome = match language.as_str() {
            // A file that the server writes has its path in the statement.
            "sql" => {
                let backups = desk.backups().display().to_string();
                desk.psql(&text.replace("/backups/memory", &backups))
            }
            "bash" => desk.bash(&text),
            _ => panic!("{} line {line}: {language} is not run", self.name),
        };
        assert_eq!(
            outcome.code,
            Some(0),
            "{} line {line}\n{text}\n{outcome:#?}",
            self.name
        );
        outcome.output
    }

    pub fn end(self) {
        let left: Vec<usize> = self.blocks.iter().map(|block| block.line).collect();
        assert!(left.is_empty(), "{}: not run: {left:?}", self.name);
    }
}

/// Makes a test of every section, of the function with its name, and lists what sections there are.
macro_rules! sections {
    ($document:literal { $($heading:literal => $section:ident,)* }) => {
        pub const DOCUMENT: &str = $document;
        pub const SECTIONS: &[&str] = &[$($heading),*];

        mod sections {
            $(
                #[test]
                fn $section() {
                    super::$section(crate::runbook::section::Section::open(super::DOCUMENT, $heading));
                }
            )*
        }
    };
}
pub(super) use sections;

/// The headings of a document that have blocks under them, in order.
fn sections_of(document: &str) -> Vec<String> {
    let mut sections: Vec<String> = blocks_of(&repository().join("docs").join(document))
        .into_iter()
        .map(|block| block.section)
        .collect();
    sections.dedup();
    sections
}

#[test]
fn every_section_of_the_runbooks_has_a_test() {
    for (document, tested) in [
        (super::backup::DOCUMENT, super::backup::SECTIONS),
        (super::maintenance::DOCUMENT, super::maintenance::SECTIONS),
        (super::operations::DOCUMENT, super::operations::SECTIONS),
    ] {
        assert_eq!(sections_of(document), tested, "{document}");
    }
}

#[test]
fn the_runbooks_are_those_that_the_test_of_the_other_documents_leaves_out() {
    assert_eq!(
        crate::support::markdown::RUNBOOKS,
        [
            super::backup::DOCUMENT,
            super::maintenance::DOCUMENT,
            super::operations::DOCUMENT
        ]
    );
    for name in crate::support::markdown::RUNBOOKS {
        assert!(
            documents().iter().any(|file| file.ends_with(name)),
            "{name}"
        );
    }
}

/// Links inside the documents lead somewhere.
#[test]
fn links_between_the_documents_have_targets() {
    let anchor = |heading: &str| -> String {
        heading
            .trim_start_matches('#')
            .trim()
            .to_lowercase()
            .replace(' ', "-")
    };
    for file in documents() {
        let text = std::fs::read_to_string(&file).expect("a document");
        for link in text.split("](").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            if target.starts_with("http") {
                continue;
            }
            let (name, fragment) = target.split_once('#').unwrap_or((target, ""));
            let linked = match name {
                "" => text.clone(),
                name => {
                    let bytes = std::fs::read(file.with_file_name(name))
                        .unwrap_or_else(|error| panic!("{}: {target}: {error}", file.display()));
                    // Of a picture nothing is looked at.
                    String::from_utf8(bytes).unwrap_or_default()
                }
            };
            assert!(
                fragment.is_empty()
                    || linked
                        .lines()
                        .any(|line| line.starts_with('#') && anchor(line) == fragment),
                "{}: {target}",
                file.display()
            );
        }
    }
}
