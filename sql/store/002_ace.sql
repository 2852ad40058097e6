-- The store of memory_ext 1.1.0: what agents learn about their memories. New columns have constant defaults or none, so that
-- no row of memories is rewritten or even read; the table is locked exclusively for the moment that takes.

ALTER TABLE @schema@.memories
    ADD COLUMN IF NOT EXISTS is_deprecated boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS deprecated_at timestamptz,
    ADD COLUMN IF NOT EXISTS deprecated_by text,
    ADD COLUMN IF NOT EXISTS superseded_by text COLLATE "C",
    ADD COLUMN IF NOT EXISTS bullet_helpful integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS bullet_harmful integer NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS error_pattern text,
    ADD COLUMN IF NOT EXISTS source_trajectory_id text COLLATE "C";

ALTER TABLE @schema@.memory_history
    ADD COLUMN IF NOT EXISTS is_deprecated boolean NOT NULL DEFAULT false,
    ADD COLUMN IF NOT EXISTS superseded_by text COLLATE "C",
    ADD COLUMN IF NOT EXISTS error_pattern text;

-- One vote a memory, voter and task; no task is a task of its own.
CREATE TABLE IF NOT EXISTS @schema@.vote_history (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    memory_id text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    voter_agent_id text COLLATE "C" NOT NULL,
    vote text COLLATE "C" NOT NULL CHECK (vote IN ('helpful', 'harmful')),
    context text,
    task_id text COLLATE "C",
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    -- The memory whose vote this one was, before both memories were merged.
    merged_from text COLLATE "C",
    CONSTRAINT vote_history_one_vote UNIQUE NULLS NOT DISTINCT (memory_id, project_id, voter_agent_id, task_id),
    FOREIGN KEY (memory_id, project_id) REFERENCES @schema@.memories (id, project_id) ON DELETE CASCADE
);

-- Votes that were changed, and until when they held: with them the counters of any past time can be told.
CREATE TABLE IF NOT EXISTS @schema@.vote_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    memory_id text COLLATE "C" NOT NULL,
    project_id text COLLATE "C" NOT NULL,
    voter_agent_id text COLLATE "C" NOT NULL,
    task_id text COLLATE "C",
    vote text COLLATE "C" NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    FOREIGN KEY (memory_id, project_id) REFERENCES @schema@.memories (id, project_id) ON DELETE CASCADE
);

CREATE INDEX IF NOT EXISTS ix_vote_changes_memory ON @schema@.vote_changes (memory_id, project_id);

-- What types there are and how fast they fade. Its owner may add to it.
CREATE TABLE IF NOT EXISTS @schema@.memory_types (
    memory_type text COLLATE "C" NOT NULL PRIMARY KEY CHECK (octet_length(memory_type) BETWEEN 1 AND 64),
    -- After so many days half of a memory's weight is left; NULL: it does not fade.
    half_life_days double precision CHECK (half_life_days > 0 AND half_life_days < 'infinity'),
    description text
);

INSERT INTO @schema@.memory_types (memory_type, half_life_days, description) VALUES
    ('standard', 30, 'anything'),
    ('episodic', 7, 'what happened, and when'),
    ('progress', 14, 'where a piece of work stands'),
    ('feature', 14, 'what a piece of software does'),
    ('reflection', 60, 'what was learned from a success or a failure'),
    ('strategy', 90, 'how to go about a kind of task'),
    ('semantic', 90, 'facts'),
    ('procedural', 180, 'how something is done, step by step'),
    ('control', 180, 'rules that agents keep')
ON CONFLICT DO NOTHING;

CREATE TABLE IF NOT EXISTS @schema@.memory_runs (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    project_id text COLLATE "C" NOT NULL,
    run_id text COLLATE "C" NOT NULL CHECK (octet_length(run_id) BETWEEN 1 AND 255),
    agent_id text COLLATE "C" CHECK (octet_length(agent_id) BETWEEN 1 AND 255),
    session_id text COLLATE "C" CHECK (octet_length(session_id) BETWEEN 1 AND 255),
    task_type text,
    status text COLLATE "C" NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'success', 'failure')),
    memory_ids text[] NOT NULL DEFAULT '{}',
    error text,
    error_pattern text,
    reflection_id text COLLATE "C",
    votes integer NOT NULL DEFAULT 0,
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    started_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    CONSTRAINT memory_runs_run_id UNIQUE (project_id, run_id)
);

CREATE INDEX IF NOT EXISTS ix_memory_runs_session ON @schema@.memory_runs (project_id, session_id) WHERE session_id IS NOT NULL;

-- Where a bout of work stands: what is done, what is next, in order. Its list of sessions is read newest change first.
CREATE TABLE IF NOT EXISTS @schema@.session_progress (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    project_id text COLLATE "C" NOT NULL DEFAULT 'default' CHECK (octet_length(project_id) BETWEEN 1 AND 255),
    session_id text COLLATE "C" NOT NULL CHECK (octet_length(session_id) BETWEEN 1 AND 255),
    agent_id text COLLATE "C" CHECK (octet_length(agent_id) BETWEEN 1 AND 255),
    status text COLLATE "C" NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'paused', 'completed', 'failed')),
    completed_items jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(completed_items) = 'array'),
    in_progress_item text CHECK (in_progress_item <> ''),
    next_items jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(next_items) = 'array'),
    blocked_items jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(blocked_items) = 'array'),
    -- NULL: the share of the items that are completed. A number was given by somebody, and holds until the items change.
    progress real CHECK (progress BETWEEN 0 AND 100),
    summary text,
    last_action text,
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    CONSTRAINT session_progress_session_id UNIQUE (project_id, session_id)
) WITH (fillfactor = 90);

CREATE INDEX IF NOT EXISTS ix_session_progress_agent ON @schema@.session_progress (project_id, agent_id) WHERE agent_id IS NOT NULL;
CREATE INDEX IF NOT EXISTS ix_session_progress_updated ON @schema@.session_progress (project_id, updated_at, id);

-- What is to be built. A feature belongs to the project; agent_id is who worked on it last.
CREATE TABLE IF NOT EXISTS @schema@.feature_tracker (
    id text COLLATE "C" NOT NULL PRIMARY KEY,
    project_id text COLLATE "C" NOT NULL DEFAULT 'default' CHECK (octet_length(project_id) BETWEEN 1 AND 255),
    feature_id text COLLATE "C" NOT NULL CHECK (octet_length(feature_id) BETWEEN 1 AND 255),
    description text NOT NULL,
    category text COLLATE "C" CHECK (octet_length(category) BETWEEN 1 AND 255),
    status text COLLATE "C" NOT NULL DEFAULT 'not_started'
        CHECK (status IN ('not_started', 'in_progress', 'blocked', 'testing', 'complete', 'failed')),
    passes boolean NOT NULL DEFAULT false,
    test_steps jsonb NOT NULL DEFAULT '[]' CHECK (jsonb_typeof(test_steps) = 'array'),
    verified_by text COLLATE "C" CHECK (octet_length(verified_by) BETWEEN 1 AND 255),
    verified_at timestamptz,
    blocked_reason text,
    implementation_notes text,
    agent_id text COLLATE "C" CHECK (octet_length(agent_id) BETWEEN 1 AND 255),
    session_id text COLLATE "C" CHECK (octet_length(session_id) BETWEEN 1 AND 255),
    metadata jsonb NOT NULL DEFAULT '{}' CHECK (jsonb_typeof(metadata) = 'object'),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    completed_at timestamptz,
    CONSTRAINT feature_tracker_feature_id UNIQUE (project_id, feature_id),
    CONSTRAINT feature_tracker_complete_is_verified CHECK (status <> 'complete' OR (passes AND verified_by IS NOT NULL))
) WITH (fillfactor = 90);

CREATE INDEX IF NOT EXISTS ix_feature_tracker_created ON @schema@.feature_tracker (project_id, created_at, id);
CREATE INDEX IF NOT EXISTS ix_feature_tracker_session ON @schema@.feature_tracker (project_id, session_id) WHERE session_id IS NOT NULL;
