mod foreign;
mod hostile;
mod lines;
mod round_trip;
mod rules;
mod times;

use super::*;

const GUIDE: &str = include_str!("../../tests/data/guide.jsonl");
const MEMORY_EXT: &str = include_str!("../../tests/data/memory_ext.jsonl");

fn parse(line: &str) -> Result<Line<'_>, LineError> {
    parse_line(line.as_bytes(), &Options::default())
}

fn record(line: &str) -> Record<'_> {
    match parse(line) {
        Ok(Line::Record(record)) => *record,
        other => panic!("{other:?} of {line}"),
    }
}

fn written(record: &Record<'_>) -> String {
    let mut out = Vec::new();
    write_record(record, &mut out);
    String::from_utf8(out).unwrap()
}

/// Where `part` begins in `line`, as errors count.
fn column(line: &str, part: &str) -> usize {
    line.find(part).unwrap() + 1
}

#[track_caller]
fn assert_refused(line: &str, kind: ErrorKind, field: Option<&str>, column: usize, reason: &str) {
    let error = parse(line).unwrap_err();
    assert_eq!(
        (
            error.kind,
            error.field.as_deref(),
            error.column,
            error.reason.as_str()
        ),
        (kind, field, column, reason),
        "for {line}"
    );
}
