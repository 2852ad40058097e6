//! Several changes of the memory in one call: all of them or none, or each by itself.

use serde_json::value::RawValue;

use crate::pg::error::{Error, Result};
use crate::pg::guc;
use crate::pg::subtransaction::{Outcome, attempt};
use crate::pg::system;
use crate::store::access::Call;
use crate::store::batch;
use crate::store::learning::deprecate;
use crate::store::memory::{self, Draft, Expiry};
use crate::store::update::{self, Change};

/// One of the changes.
enum Operation {
    Add(Draft),
    Update {
        id: String,
        change: Change,
    },
    Deprecate {
        id: String,
        reason: Option<String>,
        superseded_by: Option<String>,
    },
}

impl Operation {
    fn name(&self) -> &'static str {
        match self {
            Operation::Add(_) => "add",
            Operation::Update { .. } => "update",
            Operation::Deprecate { .. } => "deprecate",
        }
    }
}

/// What became of an item.
pub struct Outcomes {
    pub operation: String,
    pub memory_id: Option<String>,
    /// "SQLSTATE: message" of a failed item.
    pub error: Option<String>,
}

/// Does what the items say, in order. With `atomic` the first error ends it all; otherwise a failed item leaves no trace and
/// the others stay.
pub fn apply(call: &Call, items: &str, atomic: bool) -> Result<Vec<Outcomes>> {
    let items = split(items)?;
    let mut outcomes = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        system::check_for_interrupts();
        outcomes.push(if atomic {
            let operation = parse(item).map_err(|error| error.of_item(place + 1))?;
            let name = operation.name();
            let id = run(call, operation).map_err(|error| error.of_item(place + 1))?;
            done(name, id)
        } else {
            on_its_own(call, item)
        });
    }
    Ok(outcomes)
}

fn done(operation: &str, id: String) -> Outcomes {
    Outcomes {
        operation: operation.to_owned(),
        memory_id: Some(id),
        error: None,
    }
}

fn on_its_own(call: &Call, item: &RawValue) -> Outcomes {
    match attempt(|| {
        let operation = parse(item)?;
        let name = operation.name();
        Ok(done(name, run(call, operation)?))
    }) {
        Outcome::Done(outcome) => outcome,
        Outcome::Failed { sqlstate, message } => Outcomes {
            operation: named(item).unwrap_or_default(),
            memory_id: None,
            error: Some(format!("{sqlstate}: {message}")),
        },
    }
}

/// The operation an item names, as far as it can be read.
fn named(item: &RawValue) -> Option<String> {
    let item: serde_json::Value = serde_json::from_str(item.get()).ok()?;
    Some(item.get("operation")?.as_str()?.to_owned())
}

fn run(call: &Call, operation: Operation) -> Result<String> {
    let _doing = call.doing(operation.name());
    match operation {
        Operation::Add(draft) => {
            let access = call
                .access
                .acting_as(draft.agent_id.as_deref().or(call.access.requester.agent()))?;
            let memory = draft.complete(&call.store, &access)?;
            let memory = batch::with_cached_embeddings(call, vec![memory]);
            let mut added = batch::write(call, memory)?;
            Ok(added.pop().map(|added| added.id).unwrap_or_default())
        }
        Operation::Update { id, change } => {
            update::update(call, &id, change)?;
            Ok(id)
        }
        Operation::Deprecate {
            id,
            reason,
            superseded_by,
        } => {
            deprecate::deprecate(call, &id, reason.as_deref(), superseded_by.as_deref())?;
            Ok(id)
        }
    }
}

fn split(items: &str) -> Result<Vec<Box<RawValue>>> {
    let items: Vec<Box<RawValue>> = serde_json::from_str(items).map_err(|_| {
        Error::argument(format!("operations is {}, expected an array", batch::kind_of(items)))
            .hint("Write it as [{\"operation\": \"add\", \"content\": \"...\"}, {\"operation\": \"deprecate\", \"id\": \"...\"}].")
    })?;
    let most = guc::max_batch();
    if items.len() > most {
        return Err(Error::limit(format!(
            "operations has {} items, over the limit of {most}",
            items.len()
        ))
        .hint("Send them in several calls, or raise memory_ext.max_batch."));
    }
    Ok(items)
}

fn parse(item: &RawValue) -> Result<Operation> {
    let kind = batch::kind_of(item.get());
    if kind != "an object" {
        return Err(Error::argument(format!("it is {kind}, expected an object")));
    }
    let mut operation = None;
    let mut members = batch::members(item.get())?;
    members.retain(|(key, value)| {
        let is_operation = key == "operation";
        if is_operation {
            operation = serde_json::from_str::<String>(value.get()).ok();
        }
        !is_operation
    });
    match operation.as_deref() {
        Some("add") => add(&members),
        Some("update") => change(&members),
        Some("deprecate") => deprecation(&members),
        Some(other) => Err(Error::argument(format!("unknown operation {other:?}"))),
        None => Err(Error::argument("it names no operation")),
    }
    .map_err(|error| match operation.as_deref() {
        Some("add" | "update" | "deprecate") => error,
        _ => error.hint("Operations are: add, update, deprecate."),
    })
}

type Members = [(String, Box<RawValue>)];

fn add(members: &Members) -> Result<Operation> {
    let mut draft = Draft::default();
    for (key, value) in members {
        match value.get() {
            "null" => batch::check_key(key)?,
            value => batch::set(&mut draft, key, value)?,
        }
    }
    Ok(Operation::Add(draft))
}

const CHANGED: [&str; 10] = [
    "content",
    "metadata",
    "ttl",
    "expires_at",
    "importance",
    "memory_type",
    "scope",
    "shared_with_agents",
    "sensitive",
    "embedding",
];

fn change(members: &Members) -> Result<Operation> {
    let mut draft = Draft::default();
    let (mut sensitive, mut expected_version) = (None, None);
    for (key, value) in members
        .iter()
        .map(|(key, value)| (key.as_str(), value.get()))
    {
        if key != "id" && key != "expected_version" && !CHANGED.contains(&key) {
            return Err(
                Error::argument(format!("unknown key {key:?}")).hint(format!(
                    "Keys are: id, expected_version, {}.",
                    CHANGED.join(", ")
                )),
            );
        }
        if value == "null" {
            continue;
        }
        if key == "expected_version" {
            expected_version = Some(serde_json::from_str(value).map_err(|_| {
                Error::argument(format!(
                    "expected_version is {value}, expected a whole number"
                ))
            })?);
            continue;
        }
        batch::set(&mut draft, key, value)?;
        if key == "sensitive" {
            sensitive = Some(draft.sensitive);
        }
    }
    let id = draft.id.take().ok_or_else(no_id)?;
    memory::check_name("id", &id)?;
    let expiry: Expiry = memory::expiry(draft.ttl, draft.expires_at)?;
    Ok(Operation::Update {
        id,
        change: Change {
            content: draft.content,
            metadata: draft.metadata,
            expiry,
            importance: draft.importance,
            memory_type: draft.memory_type,
            scope: draft.scope,
            shared_with_agents: draft.shared_with_agents,
            sensitive,
            embedding: draft.embedding,
            expected_version,
        },
    })
}

fn deprecation(members: &Members) -> Result<Operation> {
    let (mut id, mut reason, mut superseded_by) = (None, None, None);
    for (key, value) in members {
        let place = match key.as_str() {
            "id" => &mut id,
            "reason" => &mut reason,
            "superseded_by" => &mut superseded_by,
            _ => {
                return Err(Error::argument(format!("unknown key {key:?}"))
                    .hint("Keys are: id, reason, superseded_by."));
            }
        };
        *place = serde_json::from_str::<Option<String>>(value.get()).map_err(|_| {
            Error::argument(format!(
                "{key} is {}, expected a string",
                batch::kind_of(value.get())
            ))
        })?;
    }
    Ok(Operation::Deprecate {
        id: id.ok_or_else(no_id)?,
        reason,
        superseded_by,
    })
}

fn no_id() -> Error {
    Error::argument("it has no id").hint("Say which memory with \"id\".")
}
