use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::Format;
use super::json::Key;
use super::parse::{FIELDS, HEADER};

/// The fields that Aegis Memory exports.
const GUIDE_FIELDS: &[&str] = &[
    "id",
    "content",
    "user_id",
    "agent_id",
    "namespace",
    "scope",
    "metadata",
    "memory_type",
    "created_at",
    "updated_at",
    "bullet_helpful",
    "bullet_harmful",
    "embedding",
];

/// Whose export begins like this, told by the names of its fields. A few kilobytes do; where they
/// end in the middle of something does not matter. `None` when nothing in it is characteristic.
///
/// A line with the fields of the operations guide and no other is the guide's, and reads the same
/// as this project's own.
pub fn detect(beginning: &[u8]) -> Option<Format> {
    let beginning = beginning
        .strip_prefix("\u{feff}".as_bytes())
        .unwrap_or(beginning)
        .trim_ascii_start();
    match beginning.first()? {
        b'{' | b'[' => names(beginning).format(),
        // An agent file that was written as a string.
        b'"' => match names(unescaped_beginning(beginning)?.trim_start().as_bytes()).format() {
            Some(Format::Letta) => Some(Format::Letta),
            _ => None,
        },
        _ => None,
    }
}

/// The names that were met before the text, or what is looked at of it, ended.
fn names(beginning: &[u8]) -> Names {
    let mut names = Names::default();
    let mut json = serde_json::Deserializer::from_slice(beginning);
    let is_array = beginning.first() == Some(&b'[');
    // What is cut off is no error here.
    let _ = match is_array {
        true => json.deserialize_seq(FirstElement(&mut names.element)),
        false => json.deserialize_map(Outer(&mut names)),
    };
    names
}

/// What a JSON string begins with, whose end may be missing.
fn unescaped_beginning(string: &[u8]) -> Option<String> {
    // The longest escape that can be cut in two is a surrogate pair.
    const LONGEST_ESCAPE: usize = 12;
    if let Some(Ok(whole)) = serde_json::Deserializer::from_slice(string)
        .into_iter::<String>()
        .next()
    {
        return Some(whole);
    }
    (0..=LONGEST_ESCAPE).find_map(|cut| {
        let mut closed = string.get(..string.len().checked_sub(cut)?)?.to_vec();
        closed.push(b'"');
        serde_json::from_slice(&closed).ok()
    })
}

#[derive(Default)]
struct Names {
    /// Of the outermost object.
    outer: Vec<String>,
    /// Of the first object in the list: the text itself, or one that the outermost object has.
    element: Vec<String>,
}

/// Where other systems keep the list.
const LISTS: &[&str] = &["results", "items", "memories", "keys", "kv_records"];

/// More names than any format has say nothing more.
const MOST_NAMES: usize = 200;

impl Names {
    fn format(&self) -> Option<Format> {
        let outer = |name: &str| self.outer.iter().any(|known| known == name);
        if outer(HEADER) {
            return Some(Format::MemoryExt);
        }
        if outer("agents") || outer("core_memory") {
            return Some(Format::Letta);
        }
        if outer("kv_records") {
            return Some(Format::MemoryStages);
        }
        let of_element = || of_row(&self.element);
        if let Some(list) = LISTS.iter().find(|list| outer(list)) {
            return match *list {
                "results" => of_element().or(Some(Format::Mem0)),
                "memories" => of_element().or(Some(Format::Guide)),
                _ => of_element(),
            };
        }
        of_row(&self.outer).or_else(of_element)
    }
}

fn of_row(names: &[String]) -> Option<Format> {
    let has = |name: &str| names.iter().any(|known| known == name);
    if has("memory") {
        return Some(Format::Mem0);
    }
    if has("content") {
        let is_of_openmemory = has("state") && (has("app") || has("app_name") || has("categories"));
        if is_of_openmemory {
            return Some(Format::Mem0);
        }
        let is_own = names
            .iter()
            .any(|name| FIELDS.contains(&name.as_str()) && !GUIDE_FIELDS.contains(&name.as_str()));
        return Some(if is_own {
            Format::MemoryExt
        } else {
            Format::Guide
        });
    }
    if has("key") && has("value") {
        return Some(Format::MemoryStages);
    }
    if has("text") || (has("label") && has("value")) {
        return Some(Format::Letta);
    }
    None
}

struct Outer<'n>(&'n mut Names);

impl<'de> Visitor<'de> for Outer<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while self.0.outer.len() < MOST_NAMES
            && let Some(name) = map.next_key_seed(Key)?
        {
            let is_list = LISTS.contains(&name.as_ref());
            self.0.outer.push(name.into_owned());
            if is_list {
                map.next_value_seed(FirstElement(&mut self.0.element))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// Takes the names of the first object of an array.
struct FirstElement<'n>(&'n mut Vec<String>);

impl<'de> DeserializeSeed<'de> for FirstElement<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for FirstElement<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        if seq.next_element_seed(ElementNames(self.0))?.is_some() {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
        }
        Ok(())
    }
}

struct ElementNames<'n>(&'n mut Vec<String>);

impl<'de> DeserializeSeed<'de> for ElementNames<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<(), D::Error> {
        json.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ElementNames<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while self.0.len() < MOST_NAMES
            && let Some(name) = map.next_key_seed(Key)?
        {
            self.0.push(name.into_owned());
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}
