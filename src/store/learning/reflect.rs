//! Reflections: what was learned from a success or a failure, as a memory of its own type.

use crate::pg::error::{Error, Result};
use crate::pg::json::Jsonb;
use crate::store::access::Call;
use crate::store::memory::{self, Draft};
use crate::store::{batch, content_policy, update};

/// What was learned, and from what.
#[derive(Default)]
pub struct Reflection<'a> {
    pub error_pattern: Option<&'a str>,
    pub correct_approach: Option<&'a str>,
    pub applicable_contexts: Option<Vec<String>>,
    pub source_trajectory_id: Option<&'a str>,
}

pub const TYPE: &str = "reflection";
pub const SCOPE: &str = "global";

/// Adds a reflection; the draft says whose it is and where it belongs. A reflection of equal content is the same one.
pub fn add(call: &Call, mut draft: Draft, reflection: Reflection<'_>) -> Result<String> {
    call.access.author()?;
    for (name, value) in [
        ("error_pattern", reflection.error_pattern),
        ("correct_approach", reflection.correct_approach),
    ] {
        if let Some(value) = value {
            memory::check_content(name, Some(value.to_owned()))?;
        }
    }
    let error_pattern = content_policy::screen_beside("error_pattern", reflection.error_pattern)?;
    let approach = content_policy::screen_beside("correct_approach", reflection.correct_approach)?;
    let contexts = reflection.applicable_contexts.map(|contexts| {
        let screen = |context: String| {
            content_policy::screen("applicable_contexts", context, false)
                .map(|screened| screened.content)
        };
        contexts.into_iter().map(screen).collect::<Result<Vec<_>>>()
    });
    if let Some(trajectory) = reflection.source_trajectory_id {
        memory::check_name("source_trajectory_id", trajectory)?;
    }
    draft.metadata = with_lesson(draft.metadata, approach, contexts.transpose()?)?;
    draft.memory_type = Some(TYPE.to_owned());
    draft.scope.get_or_insert_with(|| SCOPE.to_owned());
    let memory = draft.complete(&call.store, &call.access)?;
    let memory = batch::with_cached_embeddings(call, vec![memory]);
    let Some(added) = batch::write(call, memory)?.pop() else {
        return Err(Error::state("no reflection was added"));
    };
    if error_pattern.is_some() || reflection.source_trajectory_id.is_some() {
        let sql = call.store.sql(
            "UPDATE @s@.memories SET error_pattern = coalesce(error_pattern, $3), source_trajectory_id = coalesce(source_trajectory_id, $4)
             WHERE id = $1 AND project_id = $2
                   AND (error_pattern IS NULL AND $3 IS NOT NULL OR source_trajectory_id IS NULL AND $4 IS NOT NULL)",
        );
        let args = [
            added.id.as_str().into(),
            call.project().into(),
            error_pattern.as_deref().into(),
            reflection.source_trajectory_id.into(),
        ];
        call.sql(|session| {
            session.write(&sql, &args);
        });
    }
    Ok(added.id)
}

const APPROACH: &str = "correct_approach";
const CONTEXTS: &str = "applicable_contexts";

/// The lesson goes into the metadata, where filters find it.
fn with_lesson(
    metadata: Option<Jsonb>,
    approach: Option<String>,
    contexts: Option<Vec<String>>,
) -> Result<Option<Jsonb>> {
    let mut lesson = serde_json::Map::new();
    if let Some(approach) = approach {
        lesson.insert(APPROACH.to_owned(), approach.into());
    }
    if let Some(contexts) = contexts {
        lesson.insert(CONTEXTS.to_owned(), contexts.into());
    }
    if lesson.is_empty() {
        return Ok(metadata);
    }
    if let Some(metadata) = &metadata {
        memory::check_metadata(metadata)?;
    }
    let base = metadata
        .as_ref()
        .map_or_else(|| "{}".to_owned(), Jsonb::text);
    let patch = Jsonb::parse(&serde_json::Value::Object(lesson).to_string());
    Ok(Some(Jsonb::parse(&update::merge_patch(&base, &patch)?)))
}

/// What the metadata of a reflection teaches.
pub fn lesson_texts(metadata: &Jsonb) -> Vec<String> {
    if metadata.is_empty_object() {
        return Vec::new();
    }
    let metadata: serde_json::Value = serde_json::from_str(&metadata.text()).unwrap_or_default();
    let contexts = metadata[CONTEXTS].as_array().into_iter().flatten();
    contexts
        .chain([&metadata[APPROACH]])
        .filter_map(|text| text.as_str().map(str::to_owned))
        .collect()
}
