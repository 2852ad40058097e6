-- The store of memory_ext 1.0.0: ordinary tables, owned by whoever ran memory_init(). What of them uses functions of the
-- extension is in 001_rules.sql. Statements may run again: a store that was restored in part is completed.
-- Placeholders: @schema@ and @vector@ are quoted schema names, @dimensions@, @config@, @m@ and @ef@ the store's parameters.
-- The runner splits at a semicolon that ends a line.

-- Every page has room for a new version of any row, which is 2 kB at most (beyond that its vector moves out): a change of no
-- indexed column stays on its page, and touches no index. PostgreSQL reads every CHECK anew for each statement, a fifth of a vote:
-- what only bounds a name is checked by the trigger memory_before_write.
CREATE TABLE IF NOT EXISTS @schema@.memories (
    id text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL DEFAULT 'default',
    namespace text COLLATE "C" NOT NULL DEFAULT 'default',
    content text NOT NULL,
    dedupe_hash bytea,
    agent_id text COLLATE "C",
    user_id text COLLATE "C",
    session_id text COLLATE "C",
    entity_id text COLLATE "C",
    scope text COLLATE "C" NOT NULL DEFAULT 'global' CHECK (scope IN ('agent-private', 'agent-shared', 'global')),
    shared_with_agents text[] NOT NULL DEFAULT '{}',
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    memory_type text COLLATE "C" NOT NULL DEFAULT 'standard',
    key text COLLATE "C",
    is_sensitive boolean NOT NULL DEFAULT false,
    importance real NOT NULL DEFAULT 0.5 CHECK (importance BETWEEN 0 AND 1),
    embedding @vector@.vector(@dimensions@),
    embedding_sketch bit(@dimensions@) GENERATED ALWAYS AS (@vector@.binary_quantize(embedding)) STORED,
    embedded_hash bytea,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    deleted_at timestamptz,
    version integer NOT NULL DEFAULT 1,
    -- A key is found by its parts too. 100,000 characters give a tsvector within its limit of 1 MB whatever they are.
    content_tsv tsvector GENERATED ALWAYS AS (
        CASE WHEN is_sensitive THEN NULL
             ELSE to_tsvector(@config@::regconfig, left(COALESCE(key || ' ' || translate(key, '._-/:', '     ') || ': ', '') || content, 100000))
        END) STORED,
    PRIMARY KEY (id, project_id),
    CONSTRAINT memories_sensitive_not_embedded CHECK (NOT is_sensitive OR embedding IS NULL)
) WITH (fillfactor = 75);

-- A row that is looked up by the text or metadata arm must be there at once, and reads must not wade through a pending
-- list: fastupdate is off.
CREATE INDEX IF NOT EXISTS ix_memories_embedding_hnsw ON @schema@.memories USING hnsw (embedding @vector@.vector_cosine_ops) WITH (m = @m@, ef_construction = @ef@);
CREATE INDEX IF NOT EXISTS ix_memories_content_tsv ON @schema@.memories USING gin (content_tsv) WITH (fastupdate = off);
CREATE INDEX IF NOT EXISTS ix_memories_metadata ON @schema@.memories USING gin (metadata jsonb_path_ops) WITH (fastupdate = off);
CREATE UNIQUE INDEX IF NOT EXISTS ux_memories_dedupe ON @schema@.memories (project_id, dedupe_hash) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX IF NOT EXISTS ux_memories_key ON @schema@.memories (project_id, namespace, key) WHERE deleted_at IS NULL;
CREATE INDEX IF NOT EXISTS ix_memories_namespace_created ON @schema@.memories (project_id, namespace, created_at, id);
CREATE INDEX IF NOT EXISTS ix_memories_created ON @schema@.memories (project_id, created_at, id);
CREATE INDEX IF NOT EXISTS ix_memories_agent ON @schema@.memories (project_id, agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_memories_user ON @schema@.memories (project_id, user_id) WHERE user_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_memories_session ON @schema@.memories (project_id, session_id) WHERE session_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_memories_type ON @schema@.memories (project_id, memory_type);
CREATE INDEX IF NOT EXISTS ix_memories_expires ON @schema@.memories (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_memories_deleted ON @schema@.memories (deleted_at) WHERE deleted_at IS NOT NULL;

-- Every superseded version of a memory: written by trigger, so that direct SQL leaves the same trace.
CREATE TABLE IF NOT EXISTS @schema@.memory_history (
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
CREATE TABLE IF NOT EXISTS @schema@.memory_events (
    event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    event text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    memory_id text COLLATE "C",
    role text NOT NULL,
    agent_id text COLLATE "C",
    payload jsonb NOT NULL DEFAULT '{}'
);

CREATE INDEX IF NOT EXISTS ix_memory_events_memory ON @schema@.memory_events (project_id, memory_id);
CREATE INDEX IF NOT EXISTS ix_memory_events_time ON @schema@.memory_events (occurred_at);

-- Beside the memories, never in them: counting a use must not rewrite a row that carries a vector.
CREATE TABLE IF NOT EXISTS @schema@.memory_usage (
    project_id text COLLATE "C" NOT NULL,
    memory_id text COLLATE "C" NOT NULL,
    access_count bigint NOT NULL DEFAULT 0,
    last_accessed_at timestamptz NOT NULL,
    PRIMARY KEY (memory_id, project_id),
    FOREIGN KEY (memory_id, project_id) REFERENCES @schema@.memories (id, project_id) ON DELETE CASCADE
) WITH (fillfactor = 70);

CREATE TABLE IF NOT EXISTS @schema@.memory_models (
    name text COLLATE "C" PRIMARY KEY,
    embedder text COLLATE "C" NOT NULL,
    dimensions integer NOT NULL CHECK (dimensions BETWEEN 1 AND 2000),
    text_search_config text NOT NULL,
    active boolean NOT NULL DEFAULT true,
    created_at timestamptz NOT NULL DEFAULT now()
);

CREATE UNIQUE INDEX IF NOT EXISTS ux_memory_models_active ON @schema@.memory_models (active) WHERE active;

-- Vectors that callers of an 'external' store have brought before, by content. Not worth its share of the WAL: after a crash it
-- is empty, and fills again. No index on last_used: counting a hit stays a HOT update.
CREATE UNLOGGED TABLE IF NOT EXISTS @schema@.embedding_cache (
    model text COLLATE "C" NOT NULL,
    content_hash bytea NOT NULL,
    embedding @vector@.vector(@dimensions@) NOT NULL,
    hits bigint NOT NULL DEFAULT 0,
    last_used timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (model, content_hash)
) WITH (fillfactor = 90);

CREATE TABLE IF NOT EXISTS @schema@.memory_grants (
    role text NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C",
    privilege text COLLATE "C" NOT NULL CHECK (privilege IN ('read', 'write', 'admin')),
    granted_by text NOT NULL DEFAULT current_user,
    granted_at timestamptz NOT NULL DEFAULT now(),
    UNIQUE NULLS NOT DISTINCT (role, project_id, agent_id, privilege)
);

CREATE INDEX IF NOT EXISTS ix_memory_grants_project ON @schema@.memory_grants (project_id);

CREATE TABLE IF NOT EXISTS @schema@.memory_key_aliases (
    project_id text COLLATE "C" NOT NULL,
    alias text COLLATE "C" NOT NULL CHECK (octet_length(alias) BETWEEN 1 AND 255),
    key text COLLATE "C" NOT NULL CHECK (octet_length(key) BETWEEN 1 AND 255),
    PRIMARY KEY (project_id, alias),
    CHECK (alias <> key)
);

CREATE TABLE IF NOT EXISTS @schema@.memory_migrations (
    number integer PRIMARY KEY,
    extension_version text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now(),
    checksum text NOT NULL
);
