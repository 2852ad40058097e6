//! `memory-audit`: verifies what memory_audit_export() gives, without a database.
#![forbid(unsafe_code)]

mod options;

use std::fs::File;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::path::Path;
use std::process::ExitCode;

use memory_core::seal::{
    ChainFault, Conclusion, ExportReport, SealKey, Trust, Unknown, verify_export,
};

use options::{Command, Verify};

/// Why the program ends without a verdict.
enum Failure {
    Usage(String),
    Refused(String),
    Output(io::Error),
}

fn main() -> ExitCode {
    let outcome = options::parse(std::env::args_os().skip(1))
        .map_err(Failure::Usage)
        .and_then(|command| run(&command, &mut io::stdout().lock()));
    match outcome {
        Ok(Conclusion::Intact) => ExitCode::SUCCESS,
        Ok(Conclusion::Altered) => ExitCode::from(1),
        Ok(Conclusion::Unknown(_)) => ExitCode::from(2),
        Err(Failure::Usage(problem)) => {
            eprintln!("memory-audit: {problem}");
            eprintln!("Try memory-audit --help.");
            ExitCode::from(2)
        }
        Err(Failure::Refused(problem)) => {
            eprintln!("memory-audit: {problem}");
            ExitCode::from(2)
        }
        // Who reads has read enough, but a verdict that nobody got is none.
        Err(Failure::Output(error)) => {
            if error.kind() != ErrorKind::BrokenPipe {
                eprintln!("memory-audit: standard output: {error}");
            }
            ExitCode::from(2)
        }
    }
}

/// What is to be said of what was asked for.
fn run(command: &Command, output: &mut impl Write) -> Result<Conclusion, Failure> {
    match command {
        Command::Help => output
            .write_all(options::HELP.as_bytes())
            .map_err(Failure::Output)?,
        Command::Version => writeln!(output, "memory-audit {}", env!("CARGO_PKG_VERSION"))
            .map_err(Failure::Output)?,
        Command::Verify(verify) => return verify_file(verify, output),
    }
    Ok(Conclusion::Intact)
}

fn refused(path: &Path) -> impl Fn(io::Error) -> Failure {
    move |error| Failure::Refused(format!("{}: {error}", path.display()))
}

fn verify_file(options: &Verify, output: &mut impl Write) -> Result<Conclusion, Failure> {
    let mut keys = Vec::new();
    for path in &options.key_files {
        keys.extend(read_keys(path)?);
    }
    let trust = Trust {
        keys: &keys,
        start: options.start,
        end: options.anchor,
    };
    let reader: Box<dyn BufRead> = match options.file.as_os_str() == "-" {
        true => Box::new(BufReader::new(io::stdin())),
        false => {
            let file = File::open(&options.file).map_err(refused(&options.file))?;
            Box::new(BufReader::with_capacity(1 << 16, file))
        }
    };
    let report = verify_export(reader, &trust).map_err(refused(&options.file))?;
    let conclusion = report.conclusion();
    if conclusion == Conclusion::Unknown(Unknown::NoExport) {
        let problem = match report.lines.is_empty() {
            true => "is empty",
            false => "has no line of an export",
        };
        return Err(Failure::Refused(format!(
            "{}: {problem}, expected what psql -XAtqc 'SELECT memory_audit_export()' writes",
            options.file.display()
        )));
    }
    print(&report, conclusion, options, output).map_err(Failure::Output)?;
    Ok(conclusion)
}

fn read_keys(path: &Path) -> Result<Vec<SealKey>, Failure> {
    const MAX_BYTES: u64 = 64 * 1024;
    let mut content = zeroize::Zeroizing::new(Vec::with_capacity(MAX_BYTES as usize + 1));
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut content))
        .map_err(refused(path))?;
    if content.len() as u64 > MAX_BYTES {
        return Err(Failure::Refused(format!(
            "{}: too long for a key file",
            path.display()
        )));
    }
    SealKey::from_file(&content)
        .map_err(|error| Failure::Refused(format!("{}: {error}", path.display())))
}

fn print(
    report: &ExportReport,
    conclusion: Conclusion,
    options: &Verify,
    output: &mut impl Write,
) -> io::Result<()> {
    for fault in &report.lines {
        writeln!(output, "{fault}")?;
    }
    // That no seal is of a key that is given is said once, below.
    let faults = match conclusion {
        Conclusion::Unknown(_) => &[][..],
        Conclusion::Intact | Conclusion::Altered => &report.chain,
    };
    for fault in faults {
        writeln!(output, "{fault}")?;
    }
    for (table, id) in &report.uncovered {
        writeln!(
            output,
            "{}: row {id} is in no seal, though later ones are",
            table.name()
        )?;
    }
    let (mut erased, mut more) = (0, report.more_faults);
    for batch in &report.batches {
        erased += batch.erased_rows;
        more += batch.more_faults;
        for fault in &batch.faults {
            writeln!(
                output,
                "{}, seal {}: {fault}",
                batch.table.name(),
                batch.number
            )?;
        }
        if batch.verdict == memory_core::seal::Verdict::Unverifiable {
            writeln!(
                output,
                "{}, seal {}: rows were erased, and no leaves are kept that stand for them",
                batch.table.name(),
                batch.number
            )?;
        }
    }
    if more > 0 {
        writeln!(output, "and {more} more")?;
    }
    writeln!(
        output,
        "{}: {} seals, {} events, {} old versions, {erased} erased with a receipt, {} not sealed yet",
        match conclusion {
            Conclusion::Intact => "intact",
            Conclusion::Altered => "ALTERED",
            Conclusion::Unknown(_) => "cannot tell",
        },
        report.seals,
        report.events,
        report.history,
        report.unsealed
    )?;
    let has_key = !options.key_files.is_empty();
    match conclusion {
        Conclusion::Unknown(Unknown::NotSealed) => writeln!(
            output,
            "Nothing in it is sealed: memory_audit_seal() seals, and whoever removed all seals left such a file as well."
        )?,
        Conclusion::Unknown(_) if has_key => writeln!(
            output,
            "None of the {} seals with a key was made with a key that was given. Most likely it is another one; else all seals were made anew by somebody who does not have it. What else can be verified is as it was sealed.",
            report.keyed
        )?,
        Conclusion::Unknown(_) => writeln!(
            output,
            "{} seals were made with a key, and none was given: --key-file. What can be verified without it is as it was sealed.",
            report.keyed
        )?,
        Conclusion::Altered if has_key && report.chain.iter().any(is_of_another_key) => writeln!(
            output,
            "Some seals were made with another key than those given: a former one, which --key-file takes too, or a forger's."
        )?,
        Conclusion::Intact | Conclusion::Altered => {}
    }
    if !has_key && matches!(conclusion, Conclusion::Intact | Conclusion::Altered) {
        writeln!(
            output,
            "No key was given: whoever can make a file like this can make another one. Compare the last seal with one that was noted."
        )?;
    }
    if options.anchor.is_none() {
        writeln!(
            output,
            "No anchor was given: seals may have been cut off at the end."
        )?;
    }
    Ok(())
}

fn is_of_another_key(fault: &ChainFault) -> bool {
    matches!(fault, ChainFault::WrongKey { .. })
}
