//! `memory-backup`: what can be done with a backup of memory_ext without a database.
#![forbid(unsafe_code)]

mod failure;
mod options;
mod rotate;
mod rows;
mod secrets;

use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use memory_core::container::{
    Event, Header, Kdf, Manifest, Reader, Secret, Section, TableCount, inspect,
};

use failure::Failure;
use options::Command;

fn main() -> ExitCode {
    let arguments = std::env::args_os().skip(1);
    let result = options::parse(arguments).and_then(|command| {
        let mut output = BufWriter::with_capacity(1 << 16, io::stdout().lock());
        run(&command, &mut output)?;
        output.flush().map_err(Failure::Output)
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(command: &Command, output: &mut impl Write) -> Result<(), Failure> {
    match command {
        Command::Help => output
            .write_all(options::HELP.as_bytes())
            .map_err(Failure::Output),
        Command::Version => {
            writeln!(output, "memory-backup {}", env!("CARGO_PKG_VERSION")).map_err(Failure::Output)
        }
        Command::Show { file } => show(file, output),
        Command::Verify { file, secret } => verify(file, &secret.load()?, output),
        Command::Decrypt {
            file,
            secret,
            table,
        } => decrypt(file, &secret.load()?, table.as_deref(), output),
        Command::Rotate { file, old, new } => {
            let rotated = rotate::rotate(file, &old.load()?, &new.load()?)?;
            writeln!(output, "rotated: {}", rotated.display()).map_err(Failure::Output)
        }
    }
}

/// Where the manifest of a backup is, whether it is there or not.
fn manifest_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".manifest.json");
    path.into()
}

/// The manifest beside a backup, if there is one.
fn read_manifest(file: &Path) -> Result<Option<Vec<u8>>, Failure> {
    let path = manifest_path(file);
    let mut json = Vec::new();
    // One byte too many is refused by whoever reads the JSON.
    let limit = Manifest::MAX_LEN as u64 + 1;
    match File::open(&path).and_then(|file| file.take(limit).read_to_end(&mut json)) {
        Ok(_) => Ok(Some(json)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::file(&path, error)),
    }
}

fn open(file: &Path) -> Result<File, Failure> {
    File::open(file).map_err(|error| Failure::file(file, error))
}

fn show(file: &Path, output: &mut impl Write) -> Result<(), Failure> {
    let refused = |error| Failure::backup(file, error);
    let inspection = inspect(open(file)?).map_err(refused)?;
    let manifest = read_manifest(file)?;
    let mut print = || {
        writeln!(output, "file: {}", file.display())?;
        writeln!(
            output,
            "unverified: without its key, nothing proves what a backup says of itself"
        )?;
        print_header(output, inspection.kdf, &inspection.header)?;
        for Section { table, columns } in &inspection.header.sections {
            writeln!(
                output,
                "table: {} ({} columns)",
                printable(table),
                columns.len()
            )?;
        }
        let Some(json) = &manifest else {
            return writeln!(output, "manifest: none");
        };
        writeln!(
            output,
            "manifest: {}, unverified",
            manifest_path(file).display()
        )?;
        match Manifest::parse_unverified(json) {
            Err(_) => writeln!(output, "  not a manifest, or it was edited"),
            Ok(manifest) => print_manifest(output, &manifest),
        }
    };
    print().map_err(Failure::Output)
}

fn print_header(output: &mut impl Write, kdf: Kdf, header: &Header) -> io::Result<()> {
    match kdf {
        Kdf::Argon2id(cost) => writeln!(output, "key: a passphrase ({}, {cost})", kdf.name())?,
        Kdf::Raw => writeln!(output, "key: a key of 32 bytes")?,
    }
    writeln!(output, "backup_id: {}", printable(&header.backup_id))?;
    writeln!(output, "created_at: {}", printable(&header.created_at))?;
    writeln!(
        output,
        "extension_version: {}",
        printable(&header.extension_version)
    )?;
    writeln!(
        output,
        "store_version: {}",
        printable(&header.store_version)
    )?;
    writeln!(
        output,
        "server_version: {}",
        printable(&header.server_version)
    )?;
    writeln!(output, "includes_sensitive: {}", header.includes_sensitive)?;
    print_project(output, header.project.as_deref())
}

fn print_project(output: &mut impl Write, project: Option<&str>) -> io::Result<()> {
    match project {
        Some(project) => writeln!(output, "project: {}", printable(project)),
        None => writeln!(output, "project: (all)"),
    }
}

fn print_manifest(output: &mut impl Write, manifest: &Manifest) -> io::Result<()> {
    writeln!(output, "  backup_id: {}", printable(&manifest.backup_id))?;
    writeln!(output, "  created_at: {}", printable(&manifest.created_at))?;
    writeln!(output, "  size: {} bytes", manifest.size)?;
    writeln!(output, "  encrypted: {}", manifest.encrypted)?;
    writeln!(
        output,
        "  includes_sensitive: {}",
        manifest.includes_sensitive
    )?;
    write!(output, "  ")?;
    print_project(output, manifest.project.as_deref())?;
    for count in &manifest.counts {
        writeln!(
            output,
            "  table: {} ({} rows)",
            printable(&count.table),
            count.rows
        )?;
    }
    Ok(())
}

/// What is not verified must not steer the terminal.
fn printable(text: &str) -> String {
    let escaped = |character: char| -> String {
        match character.is_control() {
            true => character.escape_default().collect(),
            false => character.into(),
        }
    };
    text.chars().map(escaped).collect()
}

fn verify(file: &Path, secret: &Secret, output: &mut impl Write) -> Result<(), Failure> {
    let refused = |error| Failure::backup(file, error);
    let mut reader = Reader::open(open(file)?, secret).map_err(refused)?;
    let manifest = read_manifest(file)?;
    if let Some(json) = &manifest {
        reader
            .expect_manifest(json)
            .map_err(|error| Failure::manifest(&manifest_path(file), error))?;
    }
    let summary = loop {
        if let Event::End(summary) = reader.next_event().map_err(refused)? {
            break summary.clone();
        }
    };
    let mut print = || {
        writeln!(output, "verified: {}", file.display())?;
        match manifest {
            Some(_) => writeln!(
                output,
                "manifest: {}, verified",
                manifest_path(file).display()
            )?,
            None => writeln!(output, "manifest: none")?,
        }
        print_header(output, reader.kdf(), reader.header())?;
        writeln!(output, "size: {} bytes", summary.bytes)?;
        writeln!(output, "sha256: {}", summary.sha256)?;
        for TableCount { table, rows } in &summary.counts {
            writeln!(output, "table: {} ({rows} rows)", printable(table))?;
        }
        Ok(())
    };
    print().map_err(Failure::Output)
}

/// In two passes, so that nothing is printed of a backup that is damaged further on.
fn decrypt(
    file: &Path,
    secret: &Secret,
    table: Option<&str>,
    output: &mut impl Write,
) -> Result<(), Failure> {
    let refused = |error| Failure::backup(file, error);
    let mut input = open(file)?;
    let verified = memory_core::container::verify(&mut input, secret, None).map_err(refused)?;
    let sections = &verified.header.sections;
    if let Some(table) = table
        && !sections.iter().any(|section| section.table == table)
    {
        return Err(Failure::no_such_table(file, table, sections));
    }
    input.rewind().map_err(|error| Failure::file(file, error))?;
    let mut reader = Reader::open(input, secret).map_err(refused)?;
    let mut writer = None;
    loop {
        match reader.next_event().map_err(refused)? {
            Event::SectionStart(section) => {
                let wanted = table.is_none_or(|table| table == section.table);
                writer = wanted.then(|| rows::RowWriter::new(section));
            }
            Event::Rows(lines) => {
                if let Some(writer) = &mut writer {
                    for line in lines.split_inclusive(|byte| *byte == b'\n') {
                        writer.write(line, output).map_err(|error| match error {
                            rows::RowError::Output(error) => Failure::Output(error),
                            rows::RowError::Row(problem) => Failure::row(file, &problem),
                        })?;
                    }
                }
            }
            Event::SectionEnd(_) => (),
            Event::End(_) => return Ok(()),
        }
    }
}
