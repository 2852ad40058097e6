-- The store of memory_ext 2.0.0: what keeps memories safe. The new column of memories has no default, so that no row is
-- rewritten or even read.

-- What memory_scan found when the memory was written; NULL: nothing, or it was not looked at.
ALTER TABLE @schema@.memories
    ADD COLUMN IF NOT EXISTS content_flags text[];

-- Seals of the audit trail (kind 'event') and of the old versions (kind 'history'): Merkle roots over ranges of rows, chained.
CREATE TABLE IF NOT EXISTS @schema@.memory_audit_seals (
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('event', 'history')),
    number bigint NOT NULL CHECK (number > 0),
    first_id bigint NOT NULL,
    last_id bigint NOT NULL,
    row_count bigint NOT NULL CHECK (row_count > 0),
    root bytea NOT NULL,
    -- The leaves, 32 bytes a row in the order of their ids, and those ids: they name the row that was changed, and stand for
    -- rows that memory_forget() erased.
    leaves bytea NOT NULL,
    leaf_ids bigint[] NOT NULL,
    keyed boolean NOT NULL,
    previous_mac bytea NOT NULL,
    mac bytea NOT NULL,
    sealed_at timestamptz NOT NULL,
    PRIMARY KEY (kind, number)
);

-- Lines to import, of several roles; memory_import_inbox() takes those of its caller, in order, and removes them. They come
-- through the view memory_import_inbox: for anybody but its owner, COPY FROM is not possible into a table with row-level security.
CREATE TABLE IF NOT EXISTS @schema@.memory_import_lines (
    role text COLLATE "C" NOT NULL,
    line_number bigint GENERATED ALWAYS AS IDENTITY,
    line text NOT NULL,
    brought_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (role, line_number)
);

-- What maintenance found and did.
CREATE TABLE IF NOT EXISTS @schema@.memory_maintenance_runs (
    run_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    operation text COLLATE "C" NOT NULL,
    role text NOT NULL,
    started_at timestamptz NOT NULL,
    completed_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    issues_found bigint NOT NULL,
    issues_resolved bigint NOT NULL,
    report jsonb NOT NULL
);

CREATE INDEX IF NOT EXISTS ix_memory_maintenance_runs_started ON @schema@.memory_maintenance_runs (started_at);

-- Memories that wait for a vector. Next to empty: whoever monitors the store counts them, often.
CREATE INDEX IF NOT EXISTS ix_memories_waiting ON @schema@.memories (project_id, expires_at)
    WHERE embedding IS NULL AND NOT is_sensitive AND deleted_at IS NULL;
