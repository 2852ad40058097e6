-- The store of memory_ext 1.0.0: ordinary tables, owned by whoever ran memory_init().
-- Placeholders: @schema@ and @vector@ are quoted schema names, @dimensions@, @config@, @m@ and @ef@ the store's parameters.
-- The runner splits at a semicolon that ends a line.

CREATE TABLE @schema@.memories (
    id text COLLATE "C" NOT NULL DEFAULT @schema@.memory_new_id() CHECK (octet_length(id) BETWEEN 1 AND 255),
    project_id text COLLATE "C" NOT NULL DEFAULT 'default' CHECK (octet_length(project_id) BETWEEN 1 AND 255),
    namespace text COLLATE "C" NOT NULL DEFAULT 'default' CHECK (octet_length(namespace) BETWEEN 1 AND 255),
    content text NOT NULL,
    content_hash bytea NOT NULL GENERATED ALWAYS AS (@schema@.memory_content_hash(content)) STORED,
    dedupe_hash bytea,
    agent_id text COLLATE "C" CHECK (octet_length(agent_id) BETWEEN 1 AND 255),
    user_id text COLLATE "C" CHECK (octet_length(user_id) BETWEEN 1 AND 255),
    session_id text COLLATE "C" CHECK (octet_length(session_id) BETWEEN 1 AND 255),
    entity_id text COLLATE "C" CHECK (octet_length(entity_id) BETWEEN 1 AND 255),
    scope text COLLATE "C" NOT NULL DEFAULT 'global' CHECK (scope IN ('agent-private', 'agent-shared', 'global')),
    shared_with_agents text[] NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    memory_type text COLLATE "C" NOT NULL DEFAULT 'standard' CHECK (octet_length(memory_type) BETWEEN 1 AND 64),
    key text COLLATE "C" CHECK (octet_length(key) BETWEEN 1 AND 255),
    is_sensitive boolean NOT NULL DEFAULT false,
    importance real NOT NULL DEFAULT 0.5 CHECK (importance BETWEEN 0 AND 1),
    embedding @vector@.vector(@dimensions@),
    embedding_sketch bit(@dimensions@) GENERATED ALWAYS AS (@vector@.binary_quantize(embedding)) STORED,
    embedded_hash bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    deleted_at timestamptz,
    version integer NOT NULL DEFAULT 1 CHECK (version > 0),
    content_tsv tsvector GENERATED ALWAYS AS (
        CASE WHEN is_sensitive THEN NULL
             ELSE to_tsvector(@config@::regconfig, COALESCE(key || ': ', '') || content) END) STORED,
    PRIMARY KEY (id, project_id),
    CONSTRAINT memories_sensitive_not_embedded CHECK (NOT is_sensitive OR embedding IS NULL)
) WITH (fillfactor = 90);

-- A row that is looked up by the text or metadata arm must be there at once, and reads must not wade through a pending
-- list: fastupdate is off.
CREATE INDEX ix_memories_embedding_hnsw ON @schema@.memories USING hnsw (embedding @vector@.vector_cosine_ops) WITH (m = @m@, ef_construction = @ef@);
CREATE INDEX ix_memories_content_tsv ON @schema@.memories USING gin (content_tsv) WITH (fastupdate = off);
CREATE INDEX ix_memories_metadata ON @schema@.memories USING gin (metadata jsonb_path_ops) WITH (fastupdate = off);
CREATE UNIQUE INDEX ux_memories_dedupe ON @schema@.memories (project_id, dedupe_hash) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX ux_memories_key ON @schema@.memories (project_id, namespace, key) WHERE deleted_at IS NULL;
CREATE INDEX ix_memories_namespace_created ON @schema@.memories (project_id, namespace, created_at, id);
CREATE INDEX ix_memories_created ON @schema@.memories (project_id, created_at, id);
CREATE INDEX ix_memories_agent ON @schema@.memories (project_id, agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX ix_memories_user ON @schema@.memories (project_id, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX ix_memories_session ON @schema@.memories (project_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX ix_memories_type ON @schema@.memories (project_id, memory_type);
CREATE INDEX ix_memories_expires ON @schema@.memories (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX ix_memories_deleted ON @schema@.memories (deleted_at) WHERE deleted_at IS NOT NULL;

-- Every superseded version of a memory: written by trigger, so that direct SQL leaves the same trace.
CREATE TABLE @schema@.memory_history (
    history_id bigint GENERATED ALWAYS AS IDENTITY,
    project_id text COLLATE "C" NOT NULL,
    memory_id text COLLATE "C" NOT NULL,
    version integer NOT NULL,
    operation text COLLATE "C" NOT NULL,
    content text NOT NULL,
    content_hash bytea NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C",
    user_id text COLLATE "C",
    session_id text COLLATE "C",
    entity_id text COLLATE "C",
    scope text COLLATE "C" NOT NULL,
    shared_with_agents text[] NOT NULL,
    metadata jsonb NOT NULL,
    memory_type text COLLATE "C" NOT NULL,
    key text COLLATE "C",
    is_sensitive boolean NOT NULL,
    importance real NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz,
    deleted_at timestamptz,
    valid_from timestamptz NOT NULL,
    valid_to timestamptz NOT NULL,
    changed_by text NOT NULL,
    changed_as_agent text COLLATE "C",
    -- Not the version: an id that was deleted and is used again counts its versions from 1 again.
    PRIMARY KEY (memory_id, project_id, history_id)
);

-- The audit trail: append-only, and no foreign key, so that an event outlives its memory.
CREATE TABLE @schema@.memory_events (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    memory_id text COLLATE "C",
    role text NOT NULL,
    agent_id text COLLATE "C",
    payload jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX ix_memory_events_memory ON @schema@.memory_events (project_id, memory_id);
CREATE INDEX ix_memory_events_time ON @schema@.memory_events (occurred_at);

-- Beside the memories, never in them: counting a use must not rewrite a row that carries a vector.
CREATE TABLE @schema@.memory_usage (
    project_id text COLLATE "C" NOT NULL,
    memory_id text COLLATE "C" NOT NULL,
    access_count bigint NOT NULL DEFAULT 0,
    last_accessed_at timestamptz NOT NULL,
    PRIMARY KEY (memory_id, project_id),
    FOREIGN KEY (memory_id, project_id) REFERENCES @schema@.memories (id, project_id) ON DELETE CASCADE
) WITH (fillfactor = 70);

CREATE TABLE @schema@.memory_models (
    name text COLLATE "C" PRIMARY KEY,
    embedder text COLLATE "C" NOT NULL,
    dimensions integer NOT NULL CHECK (dimensions BETWEEN 1 AND 2000),
    text_search_config text NOT NULL,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX ux_memory_models_active ON @schema@.memory_models (active) WHERE active;

-- Vectors that callers of an 'external' store have brought before, by content.
CREATE TABLE @schema@.embedding_cache (
    model text COLLATE "C" NOT NULL,
    content_hash bytea NOT NULL,
    embedding @vector@.vector(@dimensions@) NOT NULL,
    hits bigint NOT NULL DEFAULT 0,
    last_used timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, content_hash)
);

CREATE INDEX ix_embedding_cache_last_used ON @schema@.embedding_cache (last_used);

CREATE TABLE @schema@.memory_grants (
    role text NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C",
    privilege text COLLATE "C" NOT NULL CHECK (privilege IN ('read', 'write', 'admin')),
    granted_by text NOT NULL DEFAULT current_user,
    granted_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (role, project_id, agent_id, privilege)
);

CREATE INDEX ix_memory_grants_project ON @schema@.memory_grants (project_id);

CREATE TABLE @schema@.memory_key_aliases (
    project_id text COLLATE "C" NOT NULL,
    alias text COLLATE "C" NOT NULL CHECK (octet_length(alias) BETWEEN 1 AND 255),
    key text COLLATE "C" NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
    PRIMARY KEY (project_id, alias),
    CHECK (alias <> key)
);

CREATE TABLE @schema@.memory_migrations (
    number integer PRIMARY KEY,
    extension_version text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    checksum text NOT NULL
);

CREATE TRIGGER memory_before_write BEFORE INSERT OR UPDATE OF
    id, project_id, content, dedupe_hash, metadata, embedding, embedded_hash, is_sensitive, key, namespace, agent_id, user_id, session_id, entity_id,
    scope, shared_with_agents, memory_type, importance, expires_at, deleted_at ON @schema@.memories
    FOR EACH ROW EXECUTE FUNCTION @schema@.memory_before_write();

CREATE TRIGGER memory_after_change AFTER UPDATE OF
    content, metadata, is_sensitive, key, namespace, agent_id, user_id, session_id, entity_id,
    scope, shared_with_agents, memory_type, importance, expires_at, deleted_at ON @schema@.memories
    FOR EACH ROW WHEN (OLD.version IS DISTINCT FROM NEW.version) EXECUTE FUNCTION @schema@.memory_after_change();

CREATE TRIGGER memory_after_delete AFTER DELETE ON @schema@.memories
    FOR EACH ROW EXECUTE FUNCTION @schema@.memory_after_change();

CREATE TRIGGER memory_events_append_only BEFORE UPDATE OR DELETE ON @schema@.memory_events
    FOR EACH ROW EXECUTE FUNCTION @schema@.memory_refuse_change();

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

CREATE POLICY memory_read ON @schema@.memories FOR SELECT
    USING (@schema@.memory_row_visible(project_id, agent_id, scope, shared_with_agents, is_sensitive, expires_at, deleted_at));
CREATE POLICY memory_insert ON @schema@.memories FOR INSERT
    WITH CHECK (@schema@.memory_row_writable(project_id, agent_id, scope));
CREATE POLICY memory_update ON @schema@.memories FOR UPDATE
    USING (@schema@.memory_row_writable(project_id, agent_id, scope));
CREATE POLICY memory_delete ON @schema@.memories FOR DELETE
    USING (@schema@.memory_row_writable(project_id, agent_id, scope));
CREATE POLICY memory_read ON @schema@.memory_history FOR SELECT USING (@schema@.memory_allowed(project_id, 'admin'));
CREATE POLICY memory_read ON @schema@.memory_events FOR SELECT USING (@schema@.memory_allowed(project_id, 'admin'));
CREATE POLICY memory_read ON @schema@.memory_usage FOR SELECT USING (@schema@.memory_allowed(project_id, 'admin'));
CREATE POLICY memory_read ON @schema@.memory_models FOR SELECT USING (@schema@.memory_allowed(NULL, 'read'));
CREATE POLICY memory_read ON @schema@.embedding_cache FOR SELECT USING (@schema@.memory_allowed('*', 'admin'));
CREATE POLICY memory_read ON @schema@.memory_grants FOR SELECT USING (@schema@.memory_allowed(project_id, 'admin'));
CREATE POLICY memory_read ON @schema@.memory_key_aliases FOR SELECT USING (@schema@.memory_allowed(project_id, 'read'));
CREATE POLICY memory_read ON @schema@.memory_migrations FOR SELECT USING (@schema@.memory_allowed(NULL, 'read'));
