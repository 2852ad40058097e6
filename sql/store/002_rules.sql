-- What of the tables of 1.1.0 uses functions of the extension. The triggers mind the new columns of memories; a vote changes
-- none of the columns they name, so that it stays a HOT update.

ALTER TABLE @schema@.vote_history ALTER COLUMN id SET DEFAULT @schema@.memory_new_id();
ALTER TABLE @schema@.memory_runs ALTER COLUMN id SET DEFAULT @schema@.memory_new_id();

CREATE OR REPLACE TRIGGER memory_before_write BEFORE INSERT OR UPDATE OF
    id, project_id, content, dedupe_hash, metadata, embedding, embedded_hash, is_sensitive, key, namespace, agent_id, user_id, session_id, entity_id,
    scope, shared_with_agents, memory_type, importance, expires_at, deleted_at, is_deprecated, superseded_by, error_pattern ON @schema@.memories
    FOR EACH ROW EXECUTE FUNCTION @schema@.memory_before_write();

CREATE OR REPLACE TRIGGER memory_after_change AFTER UPDATE OF
    content, metadata, is_sensitive, key, namespace, agent_id, user_id, session_id, entity_id,
    scope, shared_with_agents, memory_type, importance, expires_at, deleted_at, is_deprecated, superseded_by, error_pattern ON @schema@.memories
    FOR EACH ROW WHEN (OLD.version IS DISTINCT FROM NEW.version) EXECUTE FUNCTION @schema@.memory_after_change();

ALTER TABLE @schema@.vote_history ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.vote_changes ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.memory_types ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.memory_runs ENABLE ROW LEVEL SECURITY;

-- A deprecated memory is for admins, as a deleted one is.
DROP POLICY IF EXISTS memory_read ON @schema@.memories;
CREATE POLICY memory_read ON @schema@.memories FOR SELECT
    USING ((NOT is_deprecated OR @schema@.memory_allowed(project_id, 'admin')) AND @schema@.memory_row_visible(project_id, agent_id, scope, shared_with_agents, is_sensitive, expires_at, deleted_at));
DROP POLICY IF EXISTS memory_update ON @schema@.memories;
CREATE POLICY memory_update ON @schema@.memories FOR UPDATE
    USING ((NOT is_deprecated OR @schema@.memory_allowed(project_id, 'admin')) AND @schema@.memory_row_visible(project_id, agent_id, scope, shared_with_agents, is_sensitive, expires_at, deleted_at) AND @schema@.memory_row_writable(project_id, agent_id, scope))
    WITH CHECK (@schema@.memory_row_writable(project_id, agent_id, scope));
DROP POLICY IF EXISTS memory_delete ON @schema@.memories;
CREATE POLICY memory_delete ON @schema@.memories FOR DELETE
    USING ((NOT is_deprecated OR @schema@.memory_allowed(project_id, 'admin')) AND @schema@.memory_row_visible(project_id, agent_id, scope, shared_with_agents, is_sensitive, expires_at, deleted_at) AND @schema@.memory_row_writable(project_id, agent_id, scope));

DROP POLICY IF EXISTS memory_read ON @schema@.vote_history;
CREATE POLICY memory_read ON @schema@.vote_history FOR SELECT USING (@schema@.memory_allowed(project_id, 'admin'));
DROP POLICY IF EXISTS memory_read ON @schema@.vote_changes;
CREATE POLICY memory_read ON @schema@.vote_changes FOR SELECT USING (@schema@.memory_allowed(project_id, 'admin'));
DROP POLICY IF EXISTS memory_read ON @schema@.memory_types;
CREATE POLICY memory_read ON @schema@.memory_types FOR SELECT USING (@schema@.memory_allowed(NULL, 'read'));
DROP POLICY IF EXISTS memory_read ON @schema@.memory_runs;
CREATE POLICY memory_read ON @schema@.memory_runs FOR SELECT USING (@schema@.memory_allowed(project_id, 'admin'));

ALTER TABLE @schema@.session_progress ALTER COLUMN id SET DEFAULT @schema@.memory_new_id();
ALTER TABLE @schema@.feature_tracker ALTER COLUMN id SET DEFAULT @schema@.memory_new_id();

ALTER TABLE @schema@.session_progress ENABLE ROW LEVEL SECURITY;
ALTER TABLE @schema@.feature_tracker ENABLE ROW LEVEL SECURITY;

-- A session without an agent is everybody's, as a global memory is; one of an agent is as private as its memories can be.
DROP POLICY IF EXISTS memory_read ON @schema@.session_progress;
CREATE POLICY memory_read ON @schema@.session_progress FOR SELECT
    USING (@schema@.memory_row_visible(project_id, agent_id, CASE WHEN agent_id IS NULL THEN 'global' ELSE 'agent-private' END, NULL, false, NULL, NULL));
DROP POLICY IF EXISTS memory_insert ON @schema@.session_progress;
CREATE POLICY memory_insert ON @schema@.session_progress FOR INSERT
    WITH CHECK (@schema@.memory_row_writable(project_id, agent_id, CASE WHEN agent_id IS NULL THEN 'global' ELSE 'agent-private' END));
DROP POLICY IF EXISTS memory_update ON @schema@.session_progress;
CREATE POLICY memory_update ON @schema@.session_progress FOR UPDATE
    USING (@schema@.memory_row_writable(project_id, agent_id, CASE WHEN agent_id IS NULL THEN 'global' ELSE 'agent-private' END))
    WITH CHECK (@schema@.memory_row_writable(project_id, agent_id, CASE WHEN agent_id IS NULL THEN 'global' ELSE 'agent-private' END));
DROP POLICY IF EXISTS memory_delete ON @schema@.session_progress;
CREATE POLICY memory_delete ON @schema@.session_progress FOR DELETE
    USING (@schema@.memory_row_writable(project_id, agent_id, CASE WHEN agent_id IS NULL THEN 'global' ELSE 'agent-private' END));

-- A feature is the project's: whoever may read the project sees it, whoever may write there changes it, a role that is bound to
-- an agent those that are recorded as its agent's.
DROP POLICY IF EXISTS memory_read ON @schema@.feature_tracker;
CREATE POLICY memory_read ON @schema@.feature_tracker FOR SELECT USING (@schema@.memory_allowed(project_id, 'read'));
DROP POLICY IF EXISTS memory_insert ON @schema@.feature_tracker;
CREATE POLICY memory_insert ON @schema@.feature_tracker FOR INSERT
    WITH CHECK (@schema@.memory_row_writable(project_id, agent_id, 'global'));
DROP POLICY IF EXISTS memory_update ON @schema@.feature_tracker;
CREATE POLICY memory_update ON @schema@.feature_tracker FOR UPDATE
    USING (@schema@.memory_row_writable(project_id, agent_id, 'global')) WITH CHECK (@schema@.memory_row_writable(project_id, agent_id, 'global'));
DROP POLICY IF EXISTS memory_delete ON @schema@.feature_tracker;
CREATE POLICY memory_delete ON @schema@.feature_tracker FOR DELETE
    USING (@schema@.memory_row_writable(project_id, agent_id, 'global'));
