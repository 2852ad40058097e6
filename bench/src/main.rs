//! memory_ext beside hand-written pgvector SQL: how fast it is, and how well it finds.
//!
//! - `options`: the command line; `report`: the table at the end; `stats`: percentiles and recall;
//! - `server`: databases and facts of the server under test; `store`, `plain`: the two things that are compared;
//! - `corpus`: texts and vectors to fill them with;
//! - `contest`: interleaved timing of queries that answer the same question;
//! - `sections`: what `bench` measures, one file a topic;
//! - `quality`: what `quality` measures.

mod contest;
mod corpus;
mod options;
mod plain;
mod quality;
mod report;
mod sections;
mod server;
mod stats;
mod store;

use std::process::ExitCode;

use clap::Parser;

use options::{Cli, Command};
use report::Report;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("memory_bench: {}", with_causes(error.as_ref()));
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<ExitCode> {
    match Cli::parse().command {
        Command::Bench(options) => {
            let report = sections::run(&options)?;
            finish(&report, &options.output)
        }
        Command::Soak(options) => {
            let report = sections::run_soak(&options)?;
            finish(&report, &options.output)
        }
        Command::Capacity(options) => {
            let report = sections::run_capacity(&options)?;
            finish(&report, &options.output)
        }
        Command::Quality(options) => match quality::run(&options)? {
            Some(report) => finish(&report, &options.output),
            None => Ok(ExitCode::SUCCESS),
        },
    }
}

fn finish(report: &Report, output: &options::Output) -> Result<ExitCode> {
    print!("{}", report.text());
    if let Some(path) = &output.json {
        report.write_json(path)?;
        eprintln!("==> written to {}", path.display());
    }
    let missed = output.strict && report.misses() > 0;
    Ok(if missed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The message of an error and of what caused it; the client's own message says little more than "db error".
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// Says on standard error what is going on; the table alone goes to standard output.
fn progress(message: impl std::fmt::Display) {
    eprintln!("==> {message}");
}
