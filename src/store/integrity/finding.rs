//! What a check says.

use serde_json::{Map, Value, json};

/// Examples that a finding names at most.
pub const MOST_SAMPLES: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    Ok,
    Warning,
    Error,
}

impl Status {
    pub fn name(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Warning => "warning",
            Status::Error => "error",
        }
    }
}

/// The outcome of one check.
#[derive(Clone, Debug)]
pub struct Finding {
    pub check: &'static str,
    pub status: Status,
    pub issues: i64,
    pub details: Map<String, Value>,
}

impl Finding {
    pub fn ok(check: &'static str) -> Self {
        Finding {
            check,
            status: Status::Ok,
            issues: 0,
            details: Map::new(),
        }
    }

    /// The check could not look: nothing is known.
    pub fn skipped(check: &'static str, why: impl Into<String>) -> Self {
        Finding::ok(check).with("skipped", why.into())
    }

    /// What was met, `severity` if it was anything, and what to do about it.
    pub fn of(check: &'static str, severity: Status, met: Met, hint: &str) -> Self {
        if met.count == 0 {
            return Finding::ok(check);
        }
        Finding {
            check,
            status: severity,
            issues: met.count,
            details: Map::new(),
        }
        .with("sample", met.sample)
        .with("hint", hint)
    }

    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }

    pub fn hint(&self) -> Option<&str> {
        self.details.get("hint").and_then(Value::as_str)
    }
}

/// Things of one kind: how many, and the first of them.
#[derive(Clone, Debug, Default)]
pub struct Met {
    pub count: i64,
    sample: Vec<Value>,
}

impl Met {
    /// One more, described only where it is among the first.
    pub fn one(&mut self, describe: impl FnOnce() -> Value) {
        self.count += 1;
        if self.sample.len() < MOST_SAMPLES {
            self.sample.push(describe());
        }
    }

    /// So many, with the first of them as JSON.
    pub fn counted(count: i64, sample: Vec<Value>) -> Self {
        Met { count, sample }
    }
}

impl FromIterator<Value> for Met {
    fn from_iter<I: IntoIterator<Item = Value>>(values: I) -> Self {
        let mut met = Met::default();
        for value in values {
            met.one(|| value);
        }
        met
    }
}

/// A memory as a finding names it.
pub fn memory(id: &[u8], project_id: &[u8]) -> Value {
    json!({ "id": readable(id), "project_id": readable(project_id) })
}

/// A name that may be corrupt, as jsonb can hold it.
pub fn readable(name: &[u8]) -> String {
    String::from_utf8_lossy(name).replace('\0', "\u{fffd}")
}
