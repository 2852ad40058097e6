//! Items as arguments of a statement: an array a column, which `unnest` makes rows of again.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::pg::spi::Arg;
use crate::pg::vector::Vector;
use crate::store::access::Call;
use crate::store::transfer::batch::Item;

/// In the order of [`args`]. Points in time, metadata and lists (an array of arrays would have to be rectangular) travel as
/// text.
const NAMES: &[&str] = &[
    "id",
    "namespace",
    "content",
    "dedupe_hash",
    "agent_id",
    "user_id",
    "session_id",
    "entity_id",
    "scope",
    "shared",
    "metadata",
    "memory_type",
    "key",
    "is_sensitive",
    "importance",
    "embedding",
    "embedded_hash",
    "created_at",
    "updated_at",
    "expires_at",
    "deleted_at",
    "version",
    "is_deprecated",
    "deprecated_at",
    "deprecated_by",
    "superseded_by",
    "bullet_helpful",
    "bullet_harmful",
    "error_pattern",
    "source_trajectory_id",
    "flags",
    "has_votes",
    "renewed",
];

/// The items as a table `i`.
pub fn unnested() -> String {
    rows(NAMES)
}

/// Arrays from $2 on as a table `i` of these columns and `project_id`, which is $1.
///
/// The planner must not see that the project is the same in all rows: it would look for the project's rows, and take them for
/// few while there are no statistics.
pub fn rows(names: &[&str]) -> String {
    let places: Vec<String> = (2..names.len() + 2)
        .map(|number| format!("${number}"))
        .collect();
    format!(
        "(SELECT u.*, $1::text AS project_id FROM unnest({}) AS u ({}) OFFSET 0) AS i",
        places.join(", "),
        names.join(", ")
    )
}

/// The project and the items; `renewed` are the ids of those that make a new version. A column that no item has travels as an
/// empty array: `unnest` fills it up with NULLs, and most files have few columns.
pub fn args<'i>(
    call: &Call,
    items: impl Iterator<Item = &'i Item> + Clone,
    renewed: &HashSet<String>,
) -> Vec<Arg> {
    let texts = |of: &dyn Fn(&'i Item) -> Option<&'i str>| -> Arg {
        unless_absent(items.clone().map(of)).into()
    };
    let hashes = |of: &dyn Fn(&Item) -> Option<[u8; 32]>| -> Arg {
        unless_absent(items.clone().map(|item| of(item).map(|hash| hash.to_vec()))).into()
    };
    let flags =
        |of: &dyn Fn(&Item) -> bool| -> Arg { items.clone().map(of).collect::<Vec<bool>>().into() };
    let numbers =
        |of: &dyn Fn(&Item) -> i32| -> Arg { items.clone().map(of).collect::<Vec<i32>>().into() };
    let lists = |of: &dyn Fn(&'i Item) -> &'i [Cow<'static, str>]| -> Arg {
        let listed = |item| {
            let texts = of(item);
            (!texts.is_empty()).then(|| serde_json::json!(texts).to_string())
        };
        unless_absent(items.clone().map(listed)).into()
    };
    let embeddings = unless_absent(
        items
            .clone()
            .map(|item| item.record.embedding.clone().map(Vector)),
    );
    vec![
        call.project().into(),
        texts(&|item| Some(&item.record.id)),
        texts(&|item| Some(&item.record.namespace)),
        texts(&|item| Some(&item.record.content)),
        hashes(&|item| item.dedupe_hash),
        texts(&|item| item.record.agent_id.as_deref()),
        texts(&|item| item.record.user_id.as_deref()),
        texts(&|item| item.record.session_id.as_deref()),
        texts(&|item| item.record.entity_id.as_deref()),
        texts(&|item| Some(&item.record.scope)),
        lists(&|item| &item.record.shared_with_agents),
        texts(&|item| Some(item.record.metadata.as_str()).filter(|text| *text != "{}")),
        texts(&|item| Some(&item.record.memory_type)),
        texts(&|item| item.record.key.as_deref()),
        flags(&|item| item.record.is_sensitive),
        items
            .clone()
            .map(|item| item.record.importance)
            .collect::<Vec<f32>>()
            .into(),
        Arg::vectors(&embeddings, call.store.identity.vector_type),
        hashes(&|item| {
            let stale = item.record.embedded_hash;
            let is_there = item.record.embedding.is_some();
            is_there.then(|| stale.unwrap_or(item.content_hash))
        }),
        texts(&|item| item.record.created_at.as_deref()),
        texts(&|item| item.record.updated_at.as_deref()),
        texts(&|item| item.record.expires_at.as_deref()),
        texts(&|item| item.record.deleted_at.as_deref()),
        numbers(&|item| item.record.version),
        flags(&|item| item.record.is_deprecated),
        texts(&|item| item.record.deprecated_at.as_deref()),
        texts(&|item| item.record.deprecated_by.as_deref()),
        texts(&|item| item.record.superseded_by.as_deref()),
        numbers(&|item| item.record.bullet_helpful),
        numbers(&|item| item.record.bullet_harmful),
        texts(&|item| item.record.error_pattern.as_deref()),
        texts(&|item| item.record.source_trajectory_id.as_deref()),
        lists(&|item| &item.record.content_flags),
        flags(&|item| item.record.votes.is_some()),
        flags(&|item| renewed.contains(item.id())),
    ]
}

/// All values, or none if each is absent.
fn unless_absent<T>(values: impl Iterator<Item = Option<T>>) -> Vec<Option<T>> {
    let values: Vec<Option<T>> = values.collect();
    match values.iter().any(Option::is_some) {
        true => values,
        false => Vec::new(),
    }
}
