//! A memory as the row of a table function.

use pgrx::datum::TimestampWithTimeZone;

use crate::pg::json::Jsonb;
use crate::store::read::Memory;

/// The columns of memory_get and memory_list, in order.
pub type MemoryRow = (
    String,
    String,
    Option<String>,
    String,
    String,
    Option<String>,
    Option<String>,
    Option<String>,
    Option<String>,
    String,
    Vec<Option<String>>,
    Jsonb,
    f32,
    bool,
    i32,
    TimestampWithTimeZone,
    TimestampWithTimeZone,
    Option<TimestampWithTimeZone>,
    String,
);

pub fn memory_row(memory: Memory) -> MemoryRow {
    (
        memory.id,
        memory.content,
        memory.key,
        memory.memory_type,
        memory.scope,
        memory.agent_id,
        memory.user_id,
        memory.session_id,
        memory.entity_id,
        memory.namespace,
        memory.shared_with_agents,
        memory.metadata,
        memory.importance,
        memory.is_sensitive,
        memory.version,
        memory.created_at,
        memory.updated_at,
        memory.expires_at,
        memory.project_id,
    )
}
