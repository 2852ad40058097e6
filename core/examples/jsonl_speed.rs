//! How many lines a second the record format reads and writes, on one core:
//! `cargo run --release -p memory_core --example jsonl_speed`.

use std::hint::black_box;
use std::time::{Duration, Instant};

use memory_core::jsonl::{
    Format, JsonObject, Line, Options, Record, Target, Vote, convert, parse_line, write_csv_record,
    write_record,
};
use memory_core::text::content_hash;

const LINES: usize = 5_000;
const LEAST: Duration = Duration::from_secs(2);

fn main() {
    let plain = lines(|record| record);
    let hashed = lines(|mut record| {
        record.content_hash = Some(content_hash(&record.content));
        record
    });
    let voted = lines(|mut record| {
        record.bullet_helpful = 3;
        record.votes = Some((0..3).map(vote).collect());
        record
    });
    let embedded = lines(|mut record| {
        record.embedding = Some(vector(&record.content, 384));
        record
    });
    let wide = lines(|mut record| {
        record.embedding = Some(vector(&record.content, 1536));
        record
    });
    for (name, lines) in [
        ("plain", &plain),
        ("with content_hash", &hashed),
        ("with 3 votes", &voted),
        ("with 384 dimensions", &embedded),
        ("with 1536 dimensions", &wide),
    ] {
        measure(&format!("read, {name}"), lines, |line| {
            black_box(parse_line(line, &Options::default())).is_ok()
        });
    }
    measure("read as the guide's", &plain, |line| {
        let read = convert(Format::Guide, line, &Target::default(), &Options::default());
        black_box(read).is_ok()
    });
    for (name, lines) in [("plain", &plain), ("with 1536 dimensions", &wide)] {
        let records: Vec<Record> = lines.iter().filter_map(|line| record(line)).collect();
        let mut out = Vec::new();
        measure(&format!("write, {name}"), &records, |record| {
            out.clear();
            write_record(record, &mut out);
            !black_box(&out).is_empty()
        });
        measure(&format!("write CSV, {name}"), &records, |record| {
            out.clear();
            write_csv_record(record, &mut out);
            !black_box(&out).is_empty()
        });
    }
}

/// Lines of about 1 kB and what `change` adds.
fn lines(change: impl Fn(Record<'static>) -> Record<'static>) -> Vec<Vec<u8>> {
    (0..LINES)
        .map(|number| {
            let content = format!(
                "Memory {number}: the deploy of \"search\" failed at step {}. ",
                number % 7
            )
            .repeat(12);
            let mut record = Record::new(format!("{number:032x}"), content);
            record.agent_id = Some("assistant".into());
            record.scope = "agent-private".into();
            record.created_at = Some("2026-01-15T10:30:00.123456+00:00".into());
            record.updated_at = record.created_at.clone();
            let metadata =
                format!(r#"{{"team":"search","step":{number},"tags":["deploy","failed"]}}"#);
            record.metadata = JsonObject::parse(&metadata)
                .map(JsonObject::into_owned)
                .unwrap_or_default();
            let mut line = Vec::new();
            write_record(&change(record), &mut line);
            line
        })
        .collect()
}

fn vote(number: usize) -> Vote<'static> {
    Vote {
        id: Some(format!("{number:032x}").into()),
        voter_agent_id: format!("agent-{number}").into(),
        vote: "helpful".into(),
        context: None,
        task_id: Some("task".into()),
        created_at: Some("2026-01-15T10:30:00.123456+00:00".into()),
        updated_at: Some("2026-01-15T10:30:00.123456+00:00".into()),
        merged_from: None,
    }
}

fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    let mut hash = content_hash(text);
    (0..dimensions)
        .map(|place| {
            if place % 8 == 0 {
                hash = content_hash(&format!("{hash:?}"));
            }
            let [a, b, c, ..] = hash;
            hash.rotate_left(3);
            f32::from_be_bytes([0x3c, a, b, c]) - 0.015
        })
        .collect()
}

fn record(line: &[u8]) -> Option<Record<'_>> {
    match parse_line(line, &Options::default()) {
        Ok(Line::Record(record)) => Some(*record),
        _ => None,
    }
}

fn measure<T>(name: &str, items: &[T], mut each: impl FnMut(&T) -> bool) {
    let start = Instant::now();
    let mut done = 0;
    while start.elapsed() < LEAST {
        let fine = items.iter().filter(|item| each(item)).count();
        assert_eq!(fine, items.len(), "{name}");
        done += items.len();
    }
    println!(
        "{name:32} {:>10.0} lines/s",
        done as f64 / start.elapsed().as_secs_f64()
    );
}
