//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use memory_core::seal::Anchor;

pub const HELP: &str = "\
memory-audit: verify the audit trail of memory_ext without a database

Usage:
  memory-audit verify FILE [--key-file PATH]... [--anchor ANCHOR] [--start ANCHOR]
      FILE is what memory_audit_export() gave, one JSON object a line; - is standard input. Prints
      what was changed, a line each, and a summary.

  --key-file PATH            the key that seals are made with: 32 random bytes, as 64 hexadecimal
                             digits or as base64, one key a line; may be given again
  --anchor ANCHOR            a seal that must be there, as memory_audit_anchor() gave it: its
                             number, a colon and 64 hexadecimal digits
  --start ANCHOR             a seal that the chain may begin with, if its head was removed

  -h, --help                 print this
  -V, --version              print the version

Exit codes: 0 intact; 1 altered; 2 cannot tell: wrong usage, a file that cannot be read or is no
export, no seals in it, or seals none of which was made with a key that is given.
";

#[derive(Debug)]
pub enum Command {
    Help,
    Version,
    Verify(Verify),
}

#[derive(Debug, Default)]
pub struct Verify {
    pub file: PathBuf,
    pub key_files: Vec<PathBuf>,
    pub anchor: Option<Anchor>,
    pub start: Option<Anchor>,
}

pub fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<Command, String> {
    let mut operands = Vec::new();
    let mut verify = Verify::default();
    let mut options_ended = false;
    while let Some(word) = arguments.next() {
        let text = word.to_str().unwrap_or_default().to_owned();
        if options_ended || text == "-" || !text.starts_with('-') {
            operands.push(word);
            continue;
        }
        let (name, value) = match text.split_once('=') {
            Some((name, value)) => (name, Some(OsString::from(value))),
            None => (text.as_str(), None),
        };
        let mut value = || {
            value
                .clone()
                .or_else(|| arguments.next())
                .ok_or_else(|| format!("{name} needs a value"))
        };
        match name {
            "--" => options_ended = true,
            "-h" | "--help" => return Ok(Command::Help),
            "-V" | "--version" => return Ok(Command::Version),
            "--key-file" => verify.key_files.push(value()?.into()),
            "--anchor" => verify.anchor = Some(anchor(name, &value()?, verify.anchor)?),
            "--start" => verify.start = Some(anchor(name, &value()?, verify.start)?),
            _ => return Err(format!("unknown option {name}")),
        }
    }
    let mut operands = operands.into_iter();
    match operands.next() {
        Some(command) if command == "verify" => {}
        Some(command) if command == "help" => return Ok(Command::Help),
        Some(command) => return Err(format!("unknown command {command:?}, expected verify")),
        None => return Err("a command is missing".to_owned()),
    }
    verify.file = operands.next().ok_or("FILE is missing")?.into();
    match operands.next() {
        Some(operand) => Err(format!("unexpected argument {operand:?}")),
        None => Ok(Command::Verify(verify)),
    }
}

fn anchor(name: &str, value: &OsString, given: Option<Anchor>) -> Result<Anchor, String> {
    if given.is_some() {
        return Err(format!("{name} is given twice"));
    }
    value
        .to_str()
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| format!("{name} {value:?} is no anchor"))
}
