-- What of the store's tables uses functions of the extension: defaults, generated columns, triggers, policies. DROP EXTENSION
-- CASCADE takes these away and leaves the tables; memory_migrate() runs this script again.

ALTER TABLE @schema@.memories ALTER COLUMN id SET DEFAULT @schema@.memory_new_id();

ALTER TABLE @schema@.memories ADD COLUMN IF NOT EXISTS content_hash bytea NOT NULL
    GENERATED ALWAYS AS (@schema@.memory_content_hash(content)) STORED;

CREATE OR REPLACE TRIGGER memory_before_write BEFORE INSERT OR UPDATE OF
    id, project_id, content, dedupe_hash, metadata, embedding, embedded_hash, is_sensitive, key, namespace, agent_id, user_id, session_id, entity_id,
    scope, shared_with_agents, memory_type, importance, expires_at, deleted_at ON @schema@.memories
    FOR EACH ROW EXECUTE FUNCTION @schema@.memory_before_write();

CREATE OR REPLACE TRIGGER memory_after_change AFTER UPDATE OF
    content, metadata, is_sensitive, key, namespace, agent_id, user_id, session_id, entity_id,
    scope, shared_with_agents, memory_type, importance, expires_at, deleted_at ON @schema@.memories
    FOR EACH ROW WHEN (OLD.version IS DISTINCT FROM NEW.version) EXECUTE FUNCTION @schema@.memory_after_change();

CREATE OR REPLACE TRIGGER memory_after_delete AFTER DELETE ON @schema@.memories
    FOR EACH ROW EXECUTE FUNCTION @schema@.memory_after_change();

CREATE OR REPLACE TRIGGER memory_events_append_only BEFORE UPDATE OR DELETE ON @schema@.memory_events
    FOR EACH ROW EXECUTE FUNCTION @schema@.memory_refuse_change();

CREATE OR REPLACE TRIGGER memory_events_not_truncated BEFORE TRUNCATE ON @schema@.memory_events
    FOR EACH STATEMENT EXECUTE FUNCTION @schema@.memory_refuse_change();

-- Row-level security for direct SQL, by the same rule as the functions'. The owner is not bound by it; the functions run as
-- the owner after they have checked.
ALTER TABLE @schema@.memories ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.memory_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.memory_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.memory_usage ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.memory_models ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.embedding_cache ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.memory_grants ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.memory_key_aliases ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.memory_migrations ENABLE ROW LEVEL SECURITY;

DROP POLICY IF EXISTS memory_read ON @schema@.memories;
CREATE POLICY memory_read ON @schema@.memories FOR SELECT
    USING (@schema@.memory_row_visible(project_id, agent_id, scope, shared_with_agents, is_sensitive, expires_at, deleted_at));
DROP POLICY IF EXISTS memory_insert ON @schema@.memories;
CREATE POLICY memory_insert ON @schema@.memories FOR INSERT
    WITH CHECK (@schema@.memory_row_writable(project_id, agent_id, scope));
DROP POLICY IF EXISTS memory_update ON @schema@.memories;
CREATE POLICY memory_update ON @schema@.memories FOR UPDATE
    USING (@schema@.memory_row_visible(project_id, agent_id, scope, shared_with_agents, is_sensitive, expires_at, deleted_at) AND @schema@.memory_row_writable(project_id, agent_id, scope))
    WITH CHECK (@schema@.memory_row_writable(project_id, agent_id, scope));
DROP POLICY IF EXISTS memory_delete ON @schema@.memories;
CREATE POLICY memory_delete ON @schema@.memories FOR DELETE
    USING (@schema@.memory_row_visible(project_id, agent_id, scope, shared_with_agents, is_sensitive, expires_at, deleted_at) AND @schema@.memory_row_writable(project_id, agent_id, scope));
DROP POLICY IF EXISTS memory_read ON @schema@.memory_history;
CREATE POLICY memory_read ON @schema@.memory_history FOR SELECT USING (@schema@.memory_allowed(project_id, 'admin'));
DROP POLICY IF EXISTS memory_read ON @schema@.memory_events;
CREATE POLICY memory_read ON @schema@.memory_events FOR SELECT USING (@schema@.memory_allowed(project_id, 'admin'));
DROP POLICY IF EXISTS memory_read ON @schema@.memory_usage;
CREATE POLICY memory_read ON @schema@.memory_usage FOR SELECT USING (@schema@.memory_allowed(project_id, 'admin'));
DROP POLICY IF EXISTS memory_read ON @schema@.memory_models;
CREATE POLICY memory_read ON @schema@.memory_models FOR SELECT USING (@schema@.memory_allowed(NULL, 'read'));
DROP POLICY IF EXISTS memory_read ON @schema@.embedding_cache;
CREATE POLICY memory_read ON @schema@.embedding_cache FOR SELECT USING (@schema@.memory_allowed('*', 'admin'));
DROP POLICY IF EXISTS memory_read ON @schema@.memory_grants;
CREATE POLICY memory_read ON @schema@.memory_grants FOR SELECT USING (@schema@.memory_allowed(project_id, 'admin'));
DROP POLICY IF EXISTS memory_read ON @schema@.memory_key_aliases;
CREATE POLICY memory_read ON @schema@.memory_key_aliases FOR SELECT USING (@schema@.memory_allowed(project_id, 'read'));
DROP POLICY IF EXISTS memory_read ON @schema@.memory_migrations;
CREATE POLICY memory_read ON @schema@.memory_migrations FOR SELECT USING (@schema@.memory_allowed(NULL, 'read'));
