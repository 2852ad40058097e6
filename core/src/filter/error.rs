use std::fmt;

use serde_json::Value;

use super::{MAX_CONDITIONS, MAX_DEPTH};

/// Why a filter was refused. The message is lower case, without a full stop, and says what was got
/// and what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// Not JSON, or nested too deep for a parser.
    Malformed(String),
    NotAnObject {
        place: String,
        got: &'static str,
    },
    UnknownOperator {
        operator: String,
        path: Option<String>,
        allowed: &'static [&'static str],
    },
    /// `$and`, `$or` or `$nor` of nothing.
    EmptyList {
        operator: String,
    },
    WrongOperand {
        operator: String,
        path: Option<String>,
        expected: &'static str,
        got: &'static str,
    },
    /// A path with `{}`.
    NoOperator {
        path: String,
    },
    /// A path with an object that is to be compared as a whole.
    NestedObject {
        path: String,
        key: String,
    },
    EmptyKey {
        path: String,
    },
    NulCharacter {
        path: String,
    },
    NumberOutOfRange {
        path: String,
    },
    TooDeep,
    TooManyConditions,
}

impl std::error::Error for FilterError {}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(reason) => write!(f, "filter is not valid JSON: {reason}"),
            Self::NotAnObject { place, got } => write!(f, "{place} must be an object, got {got}"),
            Self::UnknownOperator {
                operator,
                path,
                allowed,
            } => write!(
                f,
                "unknown filter operator {}{}, expected one of {}",
                quoted(operator),
                at(path),
                allowed.join(", ")
            ),
            Self::EmptyList { operator } => write!(
                f,
                "filter operator {operator} needs at least one filter, got an empty list"
            ),
            Self::WrongOperand {
                operator,
                path,
                expected,
                got,
            } => write!(
                f,
                "filter operator {operator}{} expects {expected}, got {got}",
                at(path)
            ),
            Self::NoOperator { path } => write!(
                f,
                "filter path {} has an empty object, expected a value or operators",
                quoted(path)
            ),
            Self::NestedObject { path, key } => write!(
                f,
                "filter path {} has an object with the key {}, expected operators or the path {}",
                quoted(path),
                quoted(key),
                quoted(&format!("{path}.{key}"))
            ),
            Self::EmptyKey { path } => write!(f, "filter path {} has an empty key", quoted(path)),
            Self::NulCharacter { path } => write!(
                f,
                "filter path {} or its operand has a NUL character",
                quoted(path)
            ),
            Self::NumberOutOfRange { path } => write!(
                f,
                "number for filter path {} is out of the range of numeric",
                quoted(path)
            ),
            Self::TooDeep => write!(f, "filter is nested deeper than {MAX_DEPTH} levels"),
            Self::TooManyConditions => {
                write!(f, "filter has more than {MAX_CONDITIONS} conditions")
            }
        }
    }
}

/// As in JSON, so that no control character reaches a message.
fn quoted(name: &str) -> Value {
    Value::from(name)
}

fn at(path: &Option<String>) -> String {
    path.as_deref()
        .map_or_else(String::new, |path| format!(" at {}", quoted(path)))
}
