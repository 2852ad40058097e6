//! Fields that say nothing beside what others of the record say.

use super::record::Record;

/// Takes away what has no meaning in the store, and what its functions and triggers never write: agents that a scope does not
/// ask for, flags of a content that nobody looks into, the end of a memory that has not ended.
pub(super) fn settle(record: &mut Record<'_>) {
    if record.scope != "agent-shared" {
        record.shared_with_agents.clear();
    }
    if record.is_sensitive {
        record.content_flags.clear();
    }
    if !record.is_deprecated {
        record.deprecated_at = None;
        record.deprecated_by = None;
    }
}
