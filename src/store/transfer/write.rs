//! The rows of an import, one statement for a batch.
//!
//! Triggers fire as for any other writer; times, versions, flags and vectors are those that the lines bring.

pub mod columns;

use std::collections::HashSet;

use super::batch::Item;
use crate::pg::planner::LookUps;
use crate::pg::spi::Session;
use crate::store::access::Call;

pub const METADATA: &str = "coalesce(i.metadata::jsonb, '{}')";
pub const SHARED: &str = "CASE WHEN i.shared IS NULL THEN '{}'::text[] ELSE ARRAY(SELECT jsonb_array_elements_text(i.shared::jsonb)) END";
pub const FLAGS: &str = "CASE WHEN i.flags IS NOT NULL THEN ARRAY(SELECT jsonb_array_elements_text(i.flags::jsonb)) END";

/// Inserts items, but for those that a unique index keeps out; the ids that went in. A memory that was changed once was there
/// then, if no line says since when.
pub fn insert<'i>(
    call: &Call,
    session: &Session,
    items: impl Iterator<Item = &'i Item> + Clone,
) -> HashSet<String> {
    if items.clone().next().is_none() {
        return HashSet::new();
    }
    let sql = call.store.sql(&format!(
        "INSERT INTO @s@.memories (id, project_id, namespace, content, dedupe_hash, agent_id, user_id, session_id, entity_id, scope,
                shared_with_agents, metadata, memory_type, key, is_sensitive, importance, embedding, embedded_hash, created_at, updated_at,
                expires_at, deleted_at, version, is_deprecated, deprecated_at, deprecated_by, superseded_by, bullet_helpful, bullet_harmful,
                error_pattern, source_trajectory_id, content_flags)
         SELECT i.id, i.project_id, i.namespace, i.content, i.dedupe_hash, i.agent_id, i.user_id, i.session_id, i.entity_id, i.scope,
                {SHARED}, {METADATA}, i.memory_type, i.key, i.is_sensitive, i.importance, i.embedding, i.embedded_hash,
                coalesce(i.created_at::timestamptz, i.updated_at::timestamptz, now()), coalesce(i.updated_at::timestamptz, i.created_at::timestamptz, now()),
                i.expires_at::timestamptz, i.deleted_at::timestamptz, i.version, i.is_deprecated, i.deprecated_at::timestamptz, i.deprecated_by,
                i.superseded_by, i.bullet_helpful, i.bullet_harmful, i.error_pattern, i.source_trajectory_id, {FLAGS}
         FROM {items} ON CONFLICT DO NOTHING RETURNING id",
        items = columns::unnested(),
    ));
    let rows = session.write(&sql, &columns::args(call, items, &HashSet::new()));
    (0..rows.len()).map(|row| rows.required(row, 1)).collect()
}

/// Makes rows what their items say. A version that changes goes up, whatever the line says: who has read the older one and
/// would change it has to notice. A vector that the line does not bring stays, if it is still that of the text.
pub fn update<'i>(
    call: &Call,
    session: &Session,
    items: impl Iterator<Item = &'i Item> + Clone,
    renewed: &HashSet<String>,
) {
    if items.clone().next().is_none() {
        return;
    }
    let _plan = LookUps::enforce();
    const SAME_TEXT: &str = "i.content = m.content AND i.key IS NOT DISTINCT FROM m.key AND NOT i.is_sensitive AND NOT m.is_sensitive";
    let sql = call.store.sql(&format!(
        "UPDATE @s@.memories m SET namespace = i.namespace, content = i.content, dedupe_hash = i.dedupe_hash, agent_id = i.agent_id,
                user_id = i.user_id, session_id = i.session_id, entity_id = i.entity_id, scope = i.scope, shared_with_agents = {SHARED},
                metadata = {METADATA}, memory_type = i.memory_type, key = i.key, is_sensitive = i.is_sensitive, importance = i.importance,
                embedding = CASE WHEN i.embedding IS NOT NULL THEN i.embedding WHEN {SAME_TEXT} THEN m.embedding END,
                embedded_hash = CASE WHEN i.embedding IS NOT NULL THEN i.embedded_hash WHEN {SAME_TEXT} THEN m.embedded_hash END,
                created_at = coalesce(i.created_at::timestamptz, least(m.created_at, i.updated_at::timestamptz)),
                updated_at = coalesce(i.updated_at::timestamptz, i.created_at::timestamptz, now()),
                expires_at = i.expires_at::timestamptz, deleted_at = i.deleted_at::timestamptz,
                version = CASE WHEN i.renewed THEN greatest(i.version, least(m.version, 2147483646) + 1) ELSE greatest(i.version, m.version) END,
                is_deprecated = i.is_deprecated,
                deprecated_at = coalesce(i.deprecated_at::timestamptz, CASE WHEN i.is_deprecated THEN m.deprecated_at END),
                deprecated_by = coalesce(i.deprecated_by, CASE WHEN i.is_deprecated THEN m.deprecated_by END),
                superseded_by = i.superseded_by,
                bullet_helpful = CASE WHEN i.has_votes THEN i.bullet_helpful ELSE m.bullet_helpful END,
                bullet_harmful = CASE WHEN i.has_votes THEN i.bullet_harmful ELSE m.bullet_harmful END,
                error_pattern = i.error_pattern, source_trajectory_id = i.source_trajectory_id,
                content_flags = coalesce({FLAGS}, CASE WHEN i.content = m.content AND NOT i.is_sensitive THEN m.content_flags END)
         FROM {items} WHERE m.id = i.id AND m.project_id = i.project_id",
        items = columns::unnested(),
    ));
    session.write_planned_anew(&sql, &columns::args(call, items, renewed));
}
