//! Work in progress: the states of sessions and features, the ordered items of a session, and how
//! far it is.

use std::fmt;

use serde_json::Value;

/// Most items a list may have.
pub const MAX_ITEMS: usize = 10_000;

/// A set of states with names, and which of them may follow which.
pub trait State: Copy + Eq + 'static {
    /// In the order in which they are listed to users.
    const ALL: &'static [Self];

    fn name(self) -> &'static str;

    /// The states that may follow this one, besides itself.
    fn next(self) -> &'static [Self];

    fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.name() == name)
    }

    fn may_become(self, to: Self) -> bool {
        self == to || self.next().contains(&to)
    }
}

/// The state of a bout of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionStatus {
    Active,
    Paused,
    Completed,
    Failed,
}

impl SessionStatus {
    /// Whether somebody is at it, or will be.
    pub fn is_open(self) -> bool {
        matches!(self, Self::Active | Self::Paused)
    }
}

impl State for SessionStatus {
    const ALL: &'static [Self] = &[Self::Active, Self::Paused, Self::Completed, Self::Failed];

    fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }

    fn next(self) -> &'static [Self] {
        match self {
            Self::Active => &[Self::Paused, Self::Completed, Self::Failed],
            Self::Paused => &[Self::Active, Self::Completed, Self::Failed],
            Self::Completed => &[],
            Self::Failed => &[Self::Active],
        }
    }
}

/// The state of something that is to be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FeatureStatus {
    NotStarted,
    InProgress,
    Blocked,
    Testing,
    Complete,
    Failed,
}

impl FeatureStatus {
    /// Whether there is something left to do: one that failed was not delivered.
    pub fn is_open(self) -> bool {
        self != Self::Complete
    }
}

impl State for FeatureStatus {
    const ALL: &'static [Self] = &[
        Self::NotStarted,
        Self::InProgress,
        Self::Blocked,
        Self::Testing,
        Self::Complete,
        Self::Failed,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::NotStarted => "not_started",
            Self::InProgress => "in_progress",
            Self::Blocked => "blocked",
            Self::Testing => "testing",
            Self::Complete => "complete",
            Self::Failed => "failed",
        }
    }

    fn next(self) -> &'static [Self] {
        match self {
            Self::NotStarted => &[Self::InProgress, Self::Blocked, Self::Failed],
            Self::InProgress => &[Self::Testing, Self::Blocked, Self::Failed, Self::NotStarted],
            Self::Blocked => &[Self::NotStarted, Self::InProgress, Self::Failed],
            Self::Testing => &[
                Self::Complete,
                Self::InProgress,
                Self::Blocked,
                Self::Failed,
            ],
            Self::Complete => &[Self::InProgress],
            Self::Failed => &[Self::NotStarted, Self::InProgress],
        }
    }
}

/// Why a list of items was refused. The message is lower case, without a full stop, and says what
/// was got and what is expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ItemsError {
    /// Not JSON, or nested too deep for a parser.
    Malformed(String),
    NotAnArray {
        got: &'static str,
    },
    TooMany {
        count: usize,
    },
    /// Counted from 1.
    NotAnItem {
        ordinal: usize,
        got: &'static str,
    },
}

impl fmt::Display for ItemsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "cannot be read as JSON: {error}"),
            Self::NotAnArray { got } => write!(f, "is {got}, expected an array"),
            Self::TooMany { count } => {
                write!(f, "has {count} items, over the limit of {MAX_ITEMS}")
            }
            Self::NotAnItem { ordinal, got } => {
                write!(
                    f,
                    "has {got} as item {ordinal}, expected a string or an object"
                )
            }
        }
    }
}

/// Reads a JSON array whose elements are strings or objects.
pub fn parse_items(json: &str) -> Result<Vec<Value>, ItemsError> {
    let items = match serde_json::from_str(json) {
        Ok(Value::Array(items)) => items,
        Ok(other) => return Err(ItemsError::NotAnArray { got: kind(&other) }),
        Err(error) => return Err(ItemsError::Malformed(error.to_string())),
    };
    if items.len() > MAX_ITEMS {
        return Err(ItemsError::TooMany { count: items.len() });
    }
    let odd = items
        .iter()
        .position(|item| !item.is_string() && !item.is_object());
    match odd {
        Some(place) => Err(ItemsError::NotAnItem {
            ordinal: place + 1,
            got: kind(&items[place]),
        }),
        None => Ok(items),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// What an item is called: a string is its own name, an object has it as `item`, or has none.
pub fn name_of(item: &Value) -> Option<&str> {
    match item {
        Value::String(name) => Some(name),
        Value::Object(members) => members.get("item").and_then(Value::as_str),
        _ => None,
    }
}

/// The items of a session, each list in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Items {
    pub completed: Vec<Value>,
    pub in_progress: Option<String>,
    pub next: Vec<Value>,
    pub blocked: Vec<Value>,
}

impl Items {
    /// Moves the item of this name to the end of the completed ones, as it is; an unknown one comes
    /// there as a string. False, and nothing changed, when it is there already.
    ///
    /// Wherever else the name stands it goes: what is done is not left to do.
    pub fn complete(&mut self, name: &str) -> bool {
        let is_it = |item: &Value| name_of(item) == Some(name);
        if self.completed.iter().any(is_it) {
            return false;
        }
        let mut found = None;
        for list in [&mut self.next, &mut self.blocked] {
            list.retain(|item| {
                let it = is_it(item);
                if it && found.is_none() {
                    found = Some(item.clone());
                }
                !it
            });
        }
        if self.in_progress.as_deref() == Some(name) {
            self.in_progress = None;
        }
        self.completed.push(found.unwrap_or_else(|| name.into()));
        true
    }

    /// From 0 to 100.
    pub fn percent(&self) -> f64 {
        let in_progress = usize::from(self.in_progress.is_some());
        percent(
            self.completed.len(),
            in_progress + self.next.len() + self.blocked.len(),
        )
    }
}

/// How far work is, from 0 to 100: the share of its items that are completed; 0 without items.
pub fn percent(completed: usize, left: usize) -> f64 {
    if completed == 0 {
        return 0.0;
    }
    let completed = completed as f64;
    100.0 * completed / (completed + left as f64)
}

#[cfg(test)]
mod tests;
