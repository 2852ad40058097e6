//! The text format in which Prometheus scrapes metrics, version 0.0.4
//! (<https://prometheus.io/docs/instrumenting/exposition_formats/>).
//!
//! A scrape is refused as a whole for one bad name or one series that is there twice, so the writer refuses those.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// Why something cannot be exposed; each with the name it is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExpositionError {
    /// Not `[a-zA-Z_:][a-zA-Z0-9_:]*`.
    Name(String),
    /// Not `[a-zA-Z_][a-zA-Z0-9_]*`, reserved (`__...`, and `le` of a histogram), or there twice.
    Label(String),
    /// A family of this name, or a series of these labels, is there already.
    Repeated(String),
    /// A histogram's family has histograms, the others have numbers.
    Kind(String),
    /// Bounds that do not increase, counts that decrease, or not one count more than bounds.
    Buckets(String),
}

impl fmt::Display for ExpositionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => write!(f, "{name:?} cannot name a metric"),
            Self::Label(name) => write!(f, "{name:?} cannot name a label here"),
            Self::Repeated(name) => write!(f, "{name:?} is there twice"),
            Self::Kind(name) => write!(f, "a value of another kind than metric {name:?}"),
            Self::Buckets(name) => write!(f, "the buckets of {name:?} are not in order"),
        }
    }
}

impl std::error::Error for ExpositionError {}

type Result<T, E = ExpositionError> = std::result::Result<T, E>;

/// The text, as far as it is written.
#[derive(Debug, Default)]
pub struct Exposition {
    text: String,
    /// Names of samples that belong to a family.
    names: BTreeSet<String>,
    series: BTreeSet<String>,
}

/// One metric, with samples of different labels. It writes nothing until it has one.
#[derive(Debug)]
pub struct Family<'a> {
    to: &'a mut Exposition,
    name: String,
    help: String,
    kind: Kind,
    begun: bool,
}

impl Exposition {
    /// Begins a family. Nobody else's samples may have its name; a histogram has three.
    pub fn family(&mut self, name: &str, help: &str, kind: Kind) -> Result<Family<'_>> {
        if !is_name(name, true) {
            return Err(ExpositionError::Name(name.to_owned()));
        }
        let suffixes: &[&str] = match kind {
            Kind::Histogram => &["", "_bucket", "_sum", "_count"],
            Kind::Counter | Kind::Gauge => &[""],
        };
        let names: Vec<String> = suffixes
            .iter()
            .map(|suffix| format!("{name}{suffix}"))
            .collect();
        if let Some(taken) = names.iter().find(|name| self.names.contains(*name)) {
            return Err(ExpositionError::Repeated(taken.clone()));
        }
        self.names.extend(names);
        Ok(Family {
            to: self,
            name: name.to_owned(),
            help: escaped(help, false),
            kind,
            begun: false,
        })
    }

    /// The text; every line ends with a newline.
    pub fn into_text(self) -> String {
        self.text
    }
}

impl Family<'_> {
    /// A sample of a counter or a gauge.
    pub fn number(&mut self, labels: &[(&str, &str)], value: f64) -> Result<()> {
        self.plain(labels, &written(value))
    }

    /// The same of a whole number, digit for digit.
    pub fn count(&mut self, labels: &[(&str, &str)], value: u64) -> Result<()> {
        self.plain(labels, &value.to_string())
    }

    fn plain(&mut self, labels: &[(&str, &str)], value: &str) -> Result<()> {
        if self.kind == Kind::Histogram {
            return Err(ExpositionError::Kind(self.name.clone()));
        }
        let labels = self.checked(labels)?;
        self.line("", &labels, value);
        Ok(())
    }

    /// A sample of a histogram: how many values were at most each bound, at last how many there were, and their sum.
    pub fn histogram(
        &mut self,
        labels: &[(&str, &str)],
        bounds: &[f64],
        cumulative: &[u64],
        sum: f64,
    ) -> Result<()> {
        if self.kind != Kind::Histogram {
            return Err(ExpositionError::Kind(self.name.clone()));
        }
        let in_order = bounds.iter().all(|bound| bound.is_finite())
            && bounds.windows(2).all(|pair| pair[0] < pair[1])
            && cumulative.is_sorted()
            && cumulative.len() == bounds.len() + 1;
        let Some(count) = cumulative.last().filter(|_| in_order) else {
            return Err(ExpositionError::Buckets(self.name.clone()));
        };
        if let Some((name, _)) = labels.iter().find(|(name, _)| *name == "le") {
            return Err(ExpositionError::Label((*name).to_owned()));
        }
        let labels = self.checked(labels)?;
        let ends = bounds.iter().copied().chain([f64::INFINITY]);
        for (end, number) in ends.zip(cumulative) {
            let comma = if labels.is_empty() { "" } else { "," };
            let of_bucket = format!("{labels}{comma}le=\"{}\"", written(end));
            self.line("_bucket", &of_bucket, &number.to_string());
        }
        self.line("_sum", &labels, &written(sum));
        self.line("_count", &labels, &count.to_string());
        Ok(())
    }

    /// The labels as they stand between the braces.
    fn checked(&mut self, labels: &[(&str, &str)]) -> Result<String> {
        let mut sorted: Vec<_> = labels.to_vec();
        sorted.sort_unstable();
        for (place, (name, _)) in sorted.iter().enumerate() {
            let twice = place > 0 && sorted[place - 1].0 == *name;
            if !is_name(name, false) || name.starts_with("__") || twice {
                return Err(ExpositionError::Label((*name).to_owned()));
            }
        }
        let between = |labels: &[(&str, &str)]| -> String {
            let labels = labels
                .iter()
                .map(|(name, value)| format!("{name}=\"{}\"", escaped(value, true)));
            labels.collect::<Vec<_>>().join(",")
        };
        let series = format!("{}{{{}}}", self.name, between(&sorted));
        if !self.to.series.insert(series.clone()) {
            return Err(ExpositionError::Repeated(series));
        }
        Ok(between(labels))
    }

    fn line(&mut self, suffix: &str, labels: &str, value: &str) {
        let (text, name) = (&mut self.to.text, &self.name);
        // Writing to a string does not fail.
        if !self.begun {
            let _ = writeln!(text, "# HELP {name} {}", self.help);
            let _ = writeln!(text, "# TYPE {name} {}", self.kind.name());
            self.begun = true;
        }
        let _ = match labels {
            "" => writeln!(text, "{name}{suffix} {value}"),
            labels => writeln!(text, "{name}{suffix}{{{labels}}} {value}"),
        };
    }
}

fn is_name(name: &str, colons: bool) -> bool {
    let is_part =
        |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || (colons && byte == b':');
    !name.is_empty() && !name.as_bytes()[0].is_ascii_digit() && name.bytes().all(is_part)
}

fn escaped(text: &str, quotes: bool) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            '"' if quotes => escaped.push_str("\\\""),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A number as Go's ParseFloat reads it back without loss.
fn written(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    match value.abs() {
        0.0 | 1e-5..1e16 => format!("{value}"),
        _ => format!("{value:e}"),
    }
}

#[cfg(test)]
mod tests;
