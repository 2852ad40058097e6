//! What sessions, features and runs have alike: whose they are, states, lists of items, texts.

use memory_core::progress::{self, ItemsError, State};
use serde_json::Value;

use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::store::access::{Call, Requester};
use crate::store::conditions::Conditions;
use crate::store::memory;

/// Rows of the project, of table alias `m`, that are the requester's own or nobody's in particular.
pub fn own_or_of_nobody(call: &Call) -> Conditions {
    let mut conditions = Conditions::default();
    conditions.equal("project_id", Some(call.project()));
    match &call.access.requester {
        Requester::Everything => {}
        Requester::Nobody => conditions.push("m.agent_id IS NULL"),
        Requester::Agent(agent) => {
            let agent = conditions.arg(agent.as_str());
            conditions.push(format_args!("(m.agent_id IS NULL OR m.agent_id = {agent})"));
        }
    }
    conditions
}

/// A state a caller names.
pub fn status<S: State>(what: &str, name: &str) -> Result<S> {
    S::named(name).ok_or_else(|| {
        Error::argument(format!("unknown {what} status {name:?}"))
            .hint(format!("Statuses are: {}.", names(S::ALL)))
    })
}

/// Checks that a row in a stored state may come to another.
pub fn check_change<S: State>(what: &str, id: &str, from: &str, to: S) -> Result<()> {
    let is = S::named(from).ok_or_else(|| {
        Error::state(format!("{what} {id:?} has the unknown status {from:?}"))
            .hint("Its table was altered.")
    })?;
    if is.may_become(to) {
        return Ok(());
    }
    let error = Error::state(format!(
        "{what} {id:?} is {from}, which cannot become {}",
        to.name()
    ));
    Err(match is.next() {
        [] => error.hint(format!(
            "From {from} there is no way on; begin another {what}."
        )),
        next => error.hint(format!("From {from} it can become: {}.", names(next))),
    })
}

fn names<S: State>(states: &[S]) -> String {
    let names: Vec<&str> = states.iter().map(|state| state.name()).collect();
    names.join(", ")
}

/// Checks a list of items a caller brings.
pub fn check_items(argument: &str, list: Option<&Jsonb>) -> Result<()> {
    let Some(list) = list else {
        return Ok(());
    };
    memory::check_size(argument, list)?;
    for item in read_items(argument, list)? {
        match &item {
            Value::String(text) => memory::check_length(argument, text)?,
            other => memory::check_length(argument, &other.to_string())?,
        }
    }
    Ok(())
}

/// The items of a list.
pub fn read_items(argument: &str, list: &Jsonb) -> Result<Vec<Value>> {
    progress::parse_items(&list.text()).map_err(|error| {
        let message = format!("{argument} {error}");
        match error {
            ItemsError::TooMany { .. } | ItemsError::Malformed(_) => Error::limit(message),
            ItemsError::NotAnArray { .. } | ItemsError::NotAnItem { .. } => {
                Error::argument(message)
                    .hint("Write it as [\"an item\", {\"item\": \"another\", \"note\": \"...\"}].")
            }
        }
    })
}

/// A list of items as it is stored.
pub fn write_items(argument: &str, items: Vec<Value>) -> Result<Jsonb> {
    if items.len() > progress::MAX_ITEMS {
        let error = ItemsError::TooMany { count: items.len() };
        return Err(Error::limit(format!("{argument} {error}")));
    }
    Ok(Jsonb::parse(&Value::from(items).to_string()))
}

/// Sets a text a caller gives; a blank one takes it away, none leaves it as it is.
pub fn set_text(argument: &str, target: &mut Option<String>, given: Option<&str>) -> Result<()> {
    if let Some(text) = given {
        memory::check_length(argument, text)?;
        *target = (!memory_core::text::is_blank(text)).then(|| text.to_owned());
    }
    Ok(())
}

/// Merges a patch into metadata.
pub fn patch(metadata: &mut Jsonb, patch: Option<&Jsonb>) -> Result<()> {
    if let Some(patch) = patch {
        *metadata = Jsonb::parse(&crate::store::update::merge_patch(&metadata.text(), patch)?);
    }
    Ok(())
}

pub fn check_metadata(metadata: Option<&Jsonb>) -> Result<()> {
    metadata.map_or(Ok(()), memory::check_metadata)
}

/// Checks the names among the arguments that are given.
pub fn check_names(names: &[(&str, Option<&str>)]) -> Result<()> {
    names.iter().try_for_each(|(argument, name)| {
        name.map_or(Ok(()), |name| memory::check_name(argument, name))
    })
}
