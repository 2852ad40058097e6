//! What went wrong, what to do next, and the exit code.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::process::ExitCode;

use memory_core::container::{ContainerError, SecretKind, Section};

#[derive(Debug)]
pub enum Failure {
    /// The command line makes no sense.
    Usage(String),
    /// Something is refused, damaged, or cannot be read or written.
    Refused {
        message: String,
        advice: Option<&'static str>,
    },
    /// Standard output cannot be written.
    Output(io::Error),
}

impl Failure {
    pub fn refused(message: String, advice: &'static str) -> Self {
        Self::Refused {
            message,
            advice: Some(advice),
        }
    }

    pub fn file(path: &Path, error: io::Error) -> Self {
        Self::Refused {
            message: format!("{}: {error}", path.display()),
            advice: match error.kind() {
                ErrorKind::PermissionDenied => {
                    Some("Run this as the user whom the file belongs to.")
                }
                _ => None,
            },
        }
    }

    pub fn backup(path: &Path, error: ContainerError) -> Self {
        let advice = match &error {
            ContainerError::Damaged => {
                "Check that this is the key of this backup. If it is, the backup was changed, or was \
                 not copied completely: use another copy."
            }
            ContainerError::Empty | ContainerError::Truncated { .. } => {
                "The file was not copied or not written completely: use another copy."
            }
            ContainerError::NotABackup => {
                "Give the file that memory_backup wrote, not its manifest."
            }
            ContainerError::UnsupportedVersion { .. } => {
                "Use the memory-backup of the memory_ext that wrote it, or a newer one."
            }
            ContainerError::KdfCost(_) => {
                "memory_ext writes no such backup: do not trust where it comes from."
            }
            ContainerError::SecretKind {
                expected: SecretKind::Key,
            } => "Give the key by --key-file.",
            ContainerError::SecretKind {
                expected: SecretKind::Passphrase,
            } => {
                "Give the passphrase by --passphrase-file, by MEMORY_BACKUP_PASSPHRASE, or by a key \
                 file that starts with passphrase:."
            }
            _ => {
                return Self::Refused {
                    message: format!("{}: {error}", path.display()),
                    advice: None,
                };
            }
        };
        Self::refused(format!("{}: {error}", path.display()), advice)
    }

    pub fn manifest(path: &Path, error: ContainerError) -> Self {
        Self::refused(
            format!("{}: {error}", path.display()),
            "The manifest was changed, or belongs to another backup: use the one that was written \
             with this backup, or move it away.",
        )
    }

    pub fn no_such_table(path: &Path, table: &str, sections: &[Section]) -> Self {
        let tables: Vec<_> = sections.iter().map(|section| &*section.table).collect();
        Self::Refused {
            message: format!(
                "{}: has no table {table:?}, expected one of {}",
                path.display(),
                tables.join(", ")
            ),
            advice: None,
        }
    }

    pub fn row(path: &Path, problem: &impl Display) -> Self {
        Self::refused(
            format!("{}: {problem}", path.display()),
            "The backup is authentic, but what wrote it was not memory_ext, or is faulty.",
        )
    }

    /// Prints the failure; gives the exit code.
    pub fn report(self) -> ExitCode {
        match self {
            Self::Usage(problem) => {
                eprintln!("memory-backup: {problem}");
                eprintln!("Try memory-backup --help.");
                ExitCode::from(2)
            }
            Self::Refused { message, advice } => {
                eprintln!("memory-backup: {message}");
                if let Some(advice) = advice {
                    eprintln!("{advice}");
                }
                ExitCode::from(1)
            }
            // Who reads has read enough, as in `memory-backup decrypt ... | head`.
            Self::Output(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Output(error) => {
                eprintln!("memory-backup: standard output: {error}");
                ExitCode::from(1)
            }
        }
    }
}
