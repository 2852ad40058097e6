//! The table at the end: one line a figure, as text and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::Result;

/// What a figure has to reach.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    RatioAtMost(f64),
    RatioAtLeast(f64),
    RatioAbove(f64),
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn is_met(self, ours: f64, ratio: Option<f64>) -> bool {
        let ratio = ratio.unwrap_or(f64::NAN);
        match self {
            Self::RatioAtMost(limit) => ratio <= limit,
            Self::RatioAtLeast(limit) => ratio >= limit,
            Self::RatioAbove(limit) => ratio > limit,
            Self::AtLeast(limit) => ours >= limit,
            Self::AtMost(limit) => ours <= limit,
        }
    }

    fn text(self) -> String {
        match self {
            Self::RatioAtMost(limit) => format!("ratio <= {}", number(limit)),
            Self::RatioAtLeast(limit) => format!("ratio >= {}", number(limit)),
            Self::RatioAbove(limit) => format!("ratio > {}", number(limit)),
            Self::AtLeast(limit) => format!(">= {}", number(limit)),
            Self::AtMost(limit) => format!("<= {}", number(limit)),
        }
    }
}

/// One figure of ours, what it is measured against, and what it has to reach.
#[derive(Clone, Debug)]
pub struct Line {
    name: String,
    unit: &'static str,
    ours: f64,
    baseline: Option<f64>,
    target: Option<Target>,
    note: String,
}

impl Line {
    pub fn new(name: impl Into<String>, unit: &'static str, ours: f64) -> Self {
        Self {
            name: name.into(),
            unit,
            ours,
            baseline: None,
            target: None,
            note: String::new(),
        }
    }

    pub fn beside(mut self, baseline: f64) -> Self {
        self.baseline = Some(baseline);
        self
    }

    pub fn target(mut self, target: Target) -> Self {
        self.target = Some(target);
        self
    }

    pub fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.baseline.map(|baseline| self.ours / baseline)
    }

    fn passes(&self) -> Option<bool> {
        self.target
            .map(|target| target.is_met(self.ours, self.ratio()))
    }

    fn verdict(&self) -> &'static str {
        match self.passes() {
            None => "",
            Some(true) => "pass",
            Some(false) => "FAIL",
        }
    }

    fn cells(&self) -> [String; 8] {
        let optional = |value: Option<f64>| value.map_or_else(String::new, number);
        [
            self.name.clone(),
            self.unit.to_owned(),
            number(self.ours),
            optional(self.baseline),
            optional(self.ratio()),
            self.target.map_or_else(String::new, Target::text),
            self.verdict().to_owned(),
            self.note.clone(),
        ]
    }

    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "unit": self.unit,
            "ours": self.ours,
            "baseline": self.baseline,
            "ratio": self.ratio(),
            "target": self.target.map(Target::text),
            "pass": self.passes(),
            "note": self.note,
        })
    }
}

const HEADINGS: [&str; 8] = [
    "name", "unit", "ours", "baseline", "ratio", "target", "", "note",
];
/// Columns of figures are flush right.
const FIGURES: std::ops::RangeInclusive<usize> = 2..=4;

/// What was measured where, and the figures.
#[derive(Default)]
pub struct Report {
    header: Vec<(String, String)>,
    lines: Vec<Line>,
}

impl Report {
    pub fn describe(&mut self, name: &str, value: impl Into<String>) {
        self.header.push((name.to_owned(), value.into()));
    }

    pub fn add(&mut self, line: Line) {
        self.lines.push(line);
    }

    /// Targets that were not reached.
    pub fn misses(&self) -> usize {
        self.lines
            .iter()
            .filter(|line| line.passes() == Some(false))
            .count()
    }

    pub fn text(&self) -> String {
        let mut text = String::new();
        for (name, value) in &self.header {
            let _ = writeln!(text, "{name:<12} {value}");
        }
        text.push('\n');
        let rows: Vec<[String; 8]> = std::iter::once(HEADINGS.map(String::from))
            .chain(self.lines.iter().map(Line::cells))
            .collect();
        let width = |column: usize| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        };
        let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                let _ = if FIGURES.contains(&column) {
                    write!(line, "{cell:>width$}  ")
                } else {
                    write!(line, "{cell:<width$}  ")
                };
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        let targets = self
            .lines
            .iter()
            .filter(|line| line.target.is_some())
            .count();
        if targets > 0 {
            let _ = writeln!(
                text,
                "\n{} of {targets} targets reached",
                targets - self.misses()
            );
        }
        text
    }

    pub fn write_json(&self, path: &Path) -> Result<()> {
        let failed = |error| format!("cannot write {}: {error}", path.display());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let header: Map<String, Value> = self
            .header
            .iter()
            .map(|(name, value)| (name.clone(), Value::String(value.clone())))
            .collect();
        let results: Vec<Value> = self.lines.iter().map(Line::json).collect();
        let document = json!({ "header": header, "results": results });
        let text = serde_json::to_string_pretty(&document)? + "\n";
        Ok(std::fs::write(path, text).map_err(failed)?)
    }
}

/// Three significant digits at least, and no digits behind the point that nobody reads.
fn number(value: f64) -> String {
    let magnitude = value.abs();
    if value.fract() == 0.0 || magnitude >= 1000.0 {
        format!("{value:.0}")
    } else if magnitude >= 100.0 {
        format!("{value:.1}")
    } else if magnitude >= 10.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.3}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_compare_the_right_thing() {
        let line = |target| {
            Line::new("x", "ms", 11.0)
                .beside(10.0)
                .target(target)
                .passes()
        };
        assert_eq!(line(Target::RatioAtMost(1.15)), Some(true));
        assert_eq!(line(Target::RatioAtMost(1.05)), Some(false));
        assert_eq!(line(Target::RatioAtLeast(1.1)), Some(true));
        assert_eq!(line(Target::RatioAbove(1.1)), Some(false));
        assert_eq!(line(Target::AtLeast(11.0)), Some(true));
        assert_eq!(line(Target::AtMost(10.9)), Some(false));
        assert_eq!(Line::new("x", "ms", 1.0).passes(), None);
    }

    #[test]
    fn a_ratio_without_a_baseline_misses_its_target() {
        assert_eq!(
            Line::new("x", "ms", 1.0)
                .target(Target::RatioAtMost(2.0))
                .passes(),
            Some(false)
        );
    }

    #[test]
    fn the_table_counts_misses() {
        let mut report = Report::default();
        report.describe("server", "PostgreSQL");
        report.add(Line::new("met", "ms", 1.0).target(Target::AtMost(2.0)));
        report.add(Line::new("missed", "ms", 3.0).target(Target::AtMost(2.0)));
        report.add(Line::new("free", "ms", 3.0));
        assert_eq!(report.misses(), 1);
        let text = report.text();
        assert!(text.contains("1 of 2 targets reached"), "{text}");
        assert!(text.contains("FAIL"), "{text}");
    }

    #[test]
    fn numbers_are_short() {
        assert_eq!(number(200.0), "200");
        assert_eq!(number(12345.6), "12346");
        assert_eq!(number(0.98765), "0.988");
        assert_eq!(number(12.345), "12.35");
    }
}
