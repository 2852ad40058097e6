//! The metrics, as tests/deploy/metrics.prom shows them: one of each name and label.

// Each of the test files uses its own part of this.
#![allow(dead_code)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use super::programs::read;
use crate::support::markdown::repository;

/// The sample's text.
pub fn sample() -> String {
    read(repository().join("tests/deploy/metrics.prom"))
}

/// Families by name, each with its type.
pub fn families(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE "))
        .filter_map(|rest| rest.split_once(' '))
        .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
        .collect()
}

/// Names that queries may use.
pub fn names(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (name, kind) in families(text) {
        match kind.as_str() {
            "histogram" => {
                names.extend(["_bucket", "_sum", "_count"].map(|end| format!("{name}{end}")))
            }
            _ => drop(names.insert(name)),
        }
    }
    names
}

/// The family of a line of the text, and the labels that lines have.
pub fn labels(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut labels: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let series = line.rsplit_once(' ').map_or(line, |(series, _)| series);
        let (name, inside) = series.split_once('{').unwrap_or((series, "}"));
        let of_name = labels.entry(name.to_owned()).or_default();
        let inside = inside.trim_end_matches('}');
        of_name.extend(
            inside
                .split("\",")
                .filter_map(|label| label.split_once("=\""))
                .map(|(label, _)| label.to_owned()),
        );
    }
    labels
}

/// Serves the sample on loopback; everything that counts is more at each scrape.
pub fn exporter() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let port = listener.local_addr().expect("an address").port();
    let text = sample();
    let families = families(&text);
    let counts = move |line: &str| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        let ends = ["_bucket", "_sum", "_count"].map(|end| name.strip_suffix(end));
        families.get(name).is_some_and(|kind| kind == "counter")
            || ends
                .iter()
                .flatten()
                .any(|name| families.contains_key(*name))
    };
    // It waits for connections until the tests end.
    thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(mut stream) = stream else { continue };
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let mut body = String::new();
            for line in text.lines() {
                match line.rsplit_once(' ') {
                    Some((series, value)) if !line.starts_with('#') && counts(line) => {
                        let value: f64 = value.parse().expect("a number");
                        body.push_str(&format!("{series} {}", value * (number + 1) as f64));
                    }
                    _ => body.push_str(line),
                }
                body.push('\n');
            }
            let _ = write!(
                stream,
                "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4\r\n\r\n{body}"
            );
        }
    });
    port
}
