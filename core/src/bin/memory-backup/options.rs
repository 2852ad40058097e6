//! The command line.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;

use crate::failure::Failure;
use crate::secrets::{PASSPHRASE_VARIABLE, SecretSource};

pub const HELP: &str = "\
memory-backup: show, verify, decrypt and re-key backups of memory_ext without a database

Usage:
  memory-backup show FILE
      Print what the backup and its manifest say of themselves. Needs no key, proves nothing.
  memory-backup verify FILE [KEY]
      Read all of the backup, and FILE.manifest.json if it is there, and check every byte.
  memory-backup decrypt FILE [KEY] [--table TABLE]
      Verify the whole backup, then print its rows, of all tables or of one, as JSON objects, one
      on a line: {\"table\": ..., column: value, ...}. Booleans, numbers, JSON and vectors are JSON
      values, everything else is a string as PostgreSQL prints it.
  memory-backup rotate FILE [KEY] NEW-KEY
      Put the backup under a new key. Its rows are not encrypted anew: who has the old key and an
      old copy can still read that copy. The new file is written beside the old one, verified, and
      takes its place.

KEY:
  --key-file PATH            32 random bytes, raw, as 64 hexadecimal digits or as base64; or
                             passphrase: and a passphrase
  --passphrase-file PATH     a file whose only line is the passphrase
  otherwise                  the passphrase in the environment variable MEMORY_BACKUP_PASSPHRASE
NEW-KEY:
  --new-key-file PATH, --new-passphrase-file PATH

  -h, --help                 print this
  -V, --version              print the version

Exit codes: 0 done; 1 refused, damaged, or not readable; 2 wrong usage.
";

#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    Help,
    Version,
    Show {
        file: PathBuf,
    },
    Verify {
        file: PathBuf,
        secret: SecretSource,
    },
    Decrypt {
        file: PathBuf,
        secret: SecretSource,
        table: Option<String>,
    },
    Rotate {
        file: PathBuf,
        old: SecretSource,
        new: SecretSource,
    },
}

pub fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Command, Failure> {
    let Some(mut words) = Words::collect(arguments)? else {
        return Ok(Command::Help);
    };
    if words.version {
        return Ok(Command::Version);
    }
    let command = words.operand("a command")?;
    let command = match command.to_str() {
        Some("show") => Command::Show {
            file: words.operand("FILE")?.into(),
        },
        Some("verify") => Command::Verify {
            file: words.operand("FILE")?.into(),
            secret: words.secret()?,
        },
        Some("decrypt") => Command::Decrypt {
            file: words.operand("FILE")?.into(),
            secret: words.secret()?,
            table: words
                .options
                .remove("--table")
                .map(|table| table.to_string_lossy().into_owned()),
        },
        Some("rotate") => Command::Rotate {
            file: words.operand("FILE")?.into(),
            old: words.secret()?,
            new: words
                .secret_of("--new-key-file", "--new-passphrase-file")?
                .ok_or_else(|| {
                    usage("no new key: give --new-key-file or --new-passphrase-file".to_owned())
                })?,
        },
        Some("help") => Command::Help,
        _ => {
            return Err(usage(format!(
                "unknown command {command:?}, expected show, verify, decrypt or rotate"
            )));
        }
    };
    words.nothing_left()?;
    Ok(command)
}

/// Options that take a value.
const OPTIONS: [&str; 5] = [
    "--key-file",
    "--passphrase-file",
    "--new-key-file",
    "--new-passphrase-file",
    "--table",
];

struct Words {
    operands: std::collections::VecDeque<OsString>,
    options: BTreeMap<&'static str, OsString>,
    version: bool,
}

impl Words {
    /// None if help is asked for.
    fn collect(mut arguments: impl Iterator<Item = OsString>) -> Result<Option<Self>, Failure> {
        let mut words = Self {
            operands: Default::default(),
            options: BTreeMap::new(),
            version: false,
        };
        let mut options_ended = false;
        while let Some(word) = arguments.next() {
            let text = word.to_str().unwrap_or_default();
            match text {
                _ if options_ended => words.operands.push_back(word),
                "--" => options_ended = true,
                "-h" | "--help" => return Ok(None),
                "-V" | "--version" => words.version = true,
                _ if text.starts_with('-') && text != "-" => {
                    let (name, value) = match text.split_once('=') {
                        Some((name, value)) => (name, Some(value.into())),
                        None => (text, None),
                    };
                    let Some(option) = OPTIONS.into_iter().find(|option| *option == name) else {
                        return Err(usage(format!("unknown option {name}")));
                    };
                    let Some(value) = value.or_else(|| arguments.next()) else {
                        return Err(usage(format!("{option} needs a value")));
                    };
                    if words.options.insert(option, value).is_some() {
                        return Err(usage(format!("{option} is given twice")));
                    }
                }
                _ => words.operands.push_back(word),
            }
        }
        Ok(Some(words))
    }

    fn operand(&mut self, what: &str) -> Result<OsString, Failure> {
        self.operands
            .pop_front()
            .ok_or_else(|| usage(format!("{what} is missing")))
    }

    /// The key of the backup.
    fn secret(&mut self) -> Result<SecretSource, Failure> {
        match self.secret_of("--key-file", "--passphrase-file")? {
            Some(source) => Ok(source),
            None if std::env::var_os(PASSPHRASE_VARIABLE).is_some() => {
                Ok(SecretSource::Environment)
            }
            None => Err(usage(format!(
                "no key: give --key-file, --passphrase-file or {PASSPHRASE_VARIABLE}"
            ))),
        }
    }

    fn secret_of(
        &mut self,
        key_file: &str,
        passphrase_file: &str,
    ) -> Result<Option<SecretSource>, Failure> {
        match (
            self.options.remove(key_file),
            self.options.remove(passphrase_file),
        ) {
            (Some(_), Some(_)) => Err(usage(format!(
                "{key_file} and {passphrase_file} exclude each other"
            ))),
            (Some(path), None) => Ok(Some(SecretSource::KeyFile(path.into()))),
            (None, Some(path)) => Ok(Some(SecretSource::PassphraseFile(path.into()))),
            (None, None) => Ok(None),
        }
    }

    fn nothing_left(&self) -> Result<(), Failure> {
        if let Some(operand) = self.operands.front() {
            return Err(usage(format!("unexpected argument {operand:?}")));
        }
        match self.options.keys().next() {
            Some(option) => Err(usage(format!("{option} does not belong to this command"))),
            None => Ok(()),
        }
    }
}

fn usage(problem: String) -> Failure {
    Failure::Usage(problem)
}
