-- The store of memory_ext 2.0.0: what keeps memories safe. The new column of memories has no default, so that no row is
-- rewritten or even read.

-- What memory_scan found when the memory was written; NULL: nothing, or it was not looked at.
ALTER TABLE @schema@.memories
    ADD COLUMN IF NOT EXISTS content_flags text[];

-- Seals of the audit trail ('events') and of the old versions ('history'): Merkle roots over ranges of rows, one chain.
CREATE TABLE IF NOT EXISTS @schema@.memory_audit_seals (
    number bigint PRIMARY KEY CHECK (number > 0),
    sealed_table text COLLATE "C" NOT NULL CHECK (sealed_table IN ('events', 'history')),
    first_id bigint NOT NULL,
    last_id bigint NOT NULL,
    row_count bigint NOT NULL CHECK (row_count >= 0),
    root bytea NOT NULL CHECK (octet_length(root) = 32),
    -- A row's id and hash, 40 bytes, in the order of the ids: they name the row that was changed, and stand for rows that were
    -- erased.
    leaves bytea NOT NULL,
    -- What hides contents of old versions in their hashes.
    blind bytea NOT NULL CHECK (octet_length(blind) = 32),
    sealed_at timestamptz NOT NULL,
    previous_mac bytea NOT NULL CHECK (octet_length(previous_mac) = 32),
    -- NULL: made without a key.
    key_id bytea CHECK (octet_length(key_id) = 8),
    mac bytea NOT NULL CHECK (octet_length(mac) = 32),
    CONSTRAINT memory_audit_seals_range CHECK (first_id <= last_id),
    CONSTRAINT memory_audit_seals_leaves CHECK (octet_length(leaves) = 40 * row_count)
);

-- Hashes do not get smaller.
ALTER TABLE @schema@.memory_audit_seals ALTER COLUMN leaves SET STORAGE EXTERNAL;

-- The order in which old versions are sealed and verified.
CREATE INDEX IF NOT EXISTS ix_memory_history_number ON @schema@.memory_history (history_id);

-- Lines to import, of several roles; memory_import_inbox() takes those of its caller, in order, and removes them. They come
-- through the view memory_import_inbox: for anybody but its owner, COPY FROM is not possible into a table with row-level security.
CREATE TABLE IF NOT EXISTS @schema@.memory_import_lines (
    role text COLLATE "C" NOT NULL,
    line_number bigint GENERATED ALWAYS AS IDENTITY,
    line text NOT NULL,
    brought_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (role, line_number)
);

-- Compressing a line with a vector would take longer than all else that is done with it.
ALTER TABLE @schema@.memory_import_lines ALTER COLUMN line SET STORAGE EXTERNAL;

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
