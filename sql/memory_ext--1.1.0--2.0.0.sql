\echo Use "ALTER EXTENSION memory_ext UPDATE" to load this file. \quit

-- Made by `make schema` from the install scripts of both releases: change the Rust code, not this file.

CREATE FUNCTION "memory_as_of"(
    "at" timestamp with time zone,
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "user_id" TEXT DEFAULT NULL,
    "session_id" TEXT DEFAULT NULL,
    "entity_id" TEXT DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "filter" jsonb DEFAULT NULL,
    "page_size" INT DEFAULT 50,
    "after" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "id" TEXT,
    "content" TEXT,
    "key" TEXT,
    "memory_type" TEXT,
    "scope" TEXT,
    "agent_id" TEXT,
    "user_id" TEXT,
    "session_id" TEXT,
    "entity_id" TEXT,
    "namespace" TEXT,
    "shared_with_agents" TEXT[],
    "metadata" jsonb,
    "importance" real,
    "is_sensitive" bool,
    "version" INT,
    "created_at" timestamp with time zone,
    "updated_at" timestamp with time zone,
    "expires_at" timestamp with time zone,
    "project_id" TEXT
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_as_of_wrapper';

CREATE FUNCTION "memory_audit_anchor"() RETURNS TEXT
STRICT STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_audit_anchor_wrapper';

CREATE FUNCTION "memory_audit_export"() RETURNS SETOF TEXT
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_audit_export_wrapper';

CREATE FUNCTION "memory_audit_seal"() RETURNS TABLE (
    "table_name" TEXT,
    "sealed_rows" bigint,
    "first_id" bigint,
    "last_id" bigint,
    "seal_number" bigint,
    "anchor" TEXT
)
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_audit_seal_wrapper';

CREATE FUNCTION "memory_audit_verify"(
    "anchor" TEXT DEFAULT NULL
) RETURNS TABLE (
    "status" TEXT,
    "problem" TEXT,
    "table_name" TEXT,
    "row_id" bigint,
    "seal_number" bigint,
    "message" TEXT,
    "details" jsonb
)
STABLE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_audit_verify_wrapper';

CREATE FUNCTION "memory_backup"(
    "path" TEXT,
    "key_file" TEXT DEFAULT NULL,
    "passphrase" TEXT DEFAULT NULL,
    "include_sensitive" bool DEFAULT false,
    "confirm_sensitive" bool DEFAULT false,
    "dry_run" bool DEFAULT false,
    "verbose" bool DEFAULT false,
    "project_id" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_backup_wrapper';

CREATE FUNCTION "memory_backup_rotate"(
    "path" TEXT,
    "key_file" TEXT DEFAULT NULL,
    "passphrase" TEXT DEFAULT NULL,
    "new_key_file" TEXT DEFAULT NULL,
    "new_passphrase" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_backup_rotate_wrapper';

CREATE FUNCTION "memory_backup_stream"(
    "key_file" TEXT DEFAULT NULL,
    "passphrase" TEXT DEFAULT NULL,
    "include_sensitive" bool DEFAULT false,
    "confirm_sensitive" bool DEFAULT false,
    "chunk_size" INT DEFAULT 1048576,
    "verbose" bool DEFAULT false,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (part integer, name text, data bytea)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_backup_stream_wrapper';

CREATE FUNCTION "memory_backup_verify"(
    "path" TEXT,
    "key_file" TEXT DEFAULT NULL,
    "passphrase" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_backup_verify_wrapper';

CREATE FUNCTION "memory_check_integrity"(
    "project_id" TEXT DEFAULT NULL,
    "sample" INT DEFAULT 100
) RETURNS TABLE (
    "check_name" TEXT,
    "status" TEXT,
    "issues" bigint,
    "details" jsonb
)
STABLE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_check_integrity_wrapper';

CREATE FUNCTION "memory_cleanup_orphans"(
    "dry_run" bool DEFAULT true
) RETURNS TABLE (
    "what" TEXT,
    "found" bigint,
    "removed" bigint
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_cleanup_orphans_wrapper';

CREATE FUNCTION "memory_export"(
    "format" TEXT DEFAULT 'jsonl',
    "namespace" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT NULL,
    "since" timestamp with time zone DEFAULT NULL,
    "until" timestamp with time zone DEFAULT NULL,
    "include_expired" bool DEFAULT false,
    "include_deprecated" bool DEFAULT true,
    "include_deleted" bool DEFAULT false,
    "include_votes" bool DEFAULT true,
    "include_embeddings" bool DEFAULT false,
    "include_sensitive" bool DEFAULT false,
    "confirm_sensitive" bool DEFAULT false,
    "project_id" TEXT DEFAULT NULL
) RETURNS SETOF TEXT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_export_wrapper';

CREATE FUNCTION "memory_health"() RETURNS jsonb
STRICT STABLE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_health_wrapper';

CREATE FUNCTION "memory_import"(
    "lines" TEXT[],
    "format" TEXT DEFAULT NULL,
    "on_conflict" TEXT DEFAULT 'skip',
    "namespace" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "unknown" TEXT DEFAULT 'refuse',
    "dry_run" bool DEFAULT false,
    "confirm_sensitive" bool DEFAULT false,
    "project_id" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_import_wrapper';

CREATE FUNCTION "memory_import_document"(
    "document" TEXT,
    "format" TEXT DEFAULT NULL,
    "on_conflict" TEXT DEFAULT 'skip',
    "namespace" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "unknown" TEXT DEFAULT 'refuse',
    "dry_run" bool DEFAULT false,
    "confirm_sensitive" bool DEFAULT false,
    "project_id" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_import_document_wrapper';

CREATE FUNCTION "memory_import_inbox"(
    "format" TEXT DEFAULT NULL,
    "on_conflict" TEXT DEFAULT 'skip',
    "namespace" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "unknown" TEXT DEFAULT 'refuse',
    "dry_run" bool DEFAULT false,
    "confirm_sensitive" bool DEFAULT false,
    "project_id" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_import_inbox_wrapper';

CREATE FUNCTION "memory_import_line"(

) RETURNS trigger
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_import_line_wrapper';

CREATE FUNCTION "memory_maintenance"(
    "operations" TEXT[] DEFAULT NULL,
    "full" bool DEFAULT false,
    "dry_run" bool DEFAULT false
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_maintenance_wrapper';

CREATE FUNCTION "memory_maintenance_history"(
    "page_size" INT DEFAULT 50
) RETURNS TABLE (
    "run_id" bigint,
    "operation" TEXT,
    "role" TEXT,
    "started_at" timestamp with time zone,
    "completed_at" timestamp with time zone,
    "issues_found" bigint,
    "issues_resolved" bigint,
    "report" jsonb
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_maintenance_history_wrapper';

CREATE FUNCTION "memory_metrics"() RETURNS TEXT
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_metrics_wrapper';

CREATE FUNCTION "memory_progress"() RETURNS TABLE (
    "pid" INT,
    "operation" TEXT,
    "phase" TEXT,
    "done" bigint,
    "total" bigint,
    "percent" double precision,
    "rate" double precision,
    "remaining" interval,
    "started_at" timestamp with time zone,
    "role" TEXT
)
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_progress_wrapper';

CREATE FUNCTION "memory_ready"() RETURNS bool
STRICT STABLE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_ready_wrapper';

CREATE FUNCTION "memory_rebuild_index"(
    "m" INT DEFAULT NULL,
    "ef_construction" INT DEFAULT NULL,
    "reembed" bool DEFAULT false
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_rebuild_index_wrapper';

CREATE FUNCTION "memory_rebuild_script"(
    "m" INT DEFAULT NULL,
    "ef_construction" INT DEFAULT NULL
) RETURNS TEXT
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_rebuild_script_wrapper';

CREATE FUNCTION "memory_recall_check"(
    "sample" INT DEFAULT 100,
    "k" INT DEFAULT 10,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "path" TEXT,
    "searched" INT,
    "k" INT,
    "recall" double precision,
    "worst" double precision,
    "short" INT,
    "milliseconds" double precision
)
STABLE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_recall_check_wrapper';

CREATE FUNCTION "memory_reembed"(
    "batch" INT DEFAULT 1000,
    "after" TEXT DEFAULT NULL,
    "only_stale" bool DEFAULT false,
    "project_id" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_reembed_wrapper';

CREATE FUNCTION "memory_restore"(
    "path" TEXT,
    "key_file" TEXT DEFAULT NULL,
    "passphrase" TEXT DEFAULT NULL,
    "dry_run" bool DEFAULT false,
    "verbose" bool DEFAULT false,
    "confirm_sensitive" bool DEFAULT false,
    "clean" bool DEFAULT false,
    "include_grants" bool DEFAULT false,
    "project_id" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_restore_wrapper';

CREATE FUNCTION "memory_restore_stream"(
    "parts" TEXT,
    "key_file" TEXT DEFAULT NULL,
    "passphrase" TEXT DEFAULT NULL,
    "dry_run" bool DEFAULT false,
    "verbose" bool DEFAULT false,
    "confirm_sensitive" bool DEFAULT false,
    "clean" bool DEFAULT false,
    "include_grants" bool DEFAULT false,
    "project_id" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_restore_stream_wrapper';

CREATE FUNCTION "memory_scan"(
    "content" TEXT
) RETURNS jsonb
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_scan_wrapper';

CREATE FUNCTION "memory_stats"(
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "name" TEXT,
    "value" double precision,
    "labels" jsonb
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_stats_wrapper';

CREATE FUNCTION "memory_validate_vectors"(
    "project_id" TEXT DEFAULT NULL,
    "sample" INT DEFAULT 100
) RETURNS TABLE (
    "check_name" TEXT,
    "status" TEXT,
    "issues" bigint,
    "details" jsonb
)
STABLE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_validate_vectors_wrapper';

COMMENT ON FUNCTION memory_as_of(timestamp with time zone, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT[], jsonb, jsonb, INT, TEXT, TEXT) IS
'The memories that the requester would have been shown at a past time, as they were then, newest first, a page at a time.

agent_id is the agent that asks; the filters and pages are those of memory_list. A version counts from the start of the
transaction that made it to the start of the one that ended it. What was deleted or deprecated since is shown as it was; who may
not see a memory as it is now is not shown what it was; what has expired since is shown to admins, until it is removed. Erased and
removed memories are gone from the past too. The setting memory_ext.as_of makes the other reading functions answer as of a time.
Errors: 22023 (a time in the future too), 42501, 55000.';

COMMENT ON FUNCTION memory_audit_anchor() IS
'The last seal as a text of its number and MAC, NULL where there is none.

Kept where the owner of the database cannot change it, and given to memory_audit_verify() later, it proves that neither that seal nor
one before it was replaced or cut off. For the owner of the memories and admins of every project. Errors: 42501, 55000.';

COMMENT ON FUNCTION memory_audit_export() IS
'The seals, memory_events and memory_history as JSON lines, which the program memory-audit verifies without the database.

The content of what is sensitive is not in it: a commitment stands in its place, which proves it and does not tell it. In a select list
(SELECT memory_audit_export()) the rows stream and memory stays bounded; they arrive without escapes by psql -XAtq -c
''SELECT memory_audit_export()''. All rows are of the snapshot of the statement. Recorded as an event, where the transaction may write. For
the owner of the memories and admins of every project. Errors: 42501, 54000, 55000.';

COMMENT ON FUNCTION memory_audit_seal() IS
'Seals what is new in memory_events and memory_history, so that a later change of it is found: a row a table.

Waits for the transactions that are writing to them, and keeps nobody from writing; lock_timeout bounds the wait, and what is
committed meanwhile is left for the next seal. sealed_rows 0: nothing is new. anchor is the last seal of the call, to be kept where the
owner of the database cannot change it. With memory_ext.audit_key_file seals are made with its key, else they are plain hashes. The
worker does the same each memory_ext.seal_interval. Needs a READ COMMITTED transaction. For the owner of the memories and admins of
every project. Errors: 25001, 25006, 42501, 55000, 55P03, XX001.';

COMMENT ON FUNCTION memory_audit_verify(TEXT) IS
'Compares memory_events and memory_history with their seals: a first row that sums up, status intact or altered, and a row a fault.

anchor is one that was kept elsewhere: that seal must be there as it was. problem of a row: deleted, edited, added, duplicate;
leaves_edited, unverifiable: which rows cannot be told. Of seals: seal_edited, seal_missing, seal_replaced (another than the anchor),
chain_truncated, chain_broken, ranges_not_contiguous, wrong_key, not_keyed. Rows that memory_forget(), memory_expire() and the like
erased are no fault: the event that says so is their receipt. Rows behind the last seal are counted as unsealed, and not verified.
Up to 10000 faults are named. Reads every row once and changes nothing; a standby will do. Keys come from memory_ext.audit_key_file.
For the owner of the memories and admins of every project. Errors: 22P02, 42501, 55000.';

COMMENT ON FUNCTION memory_backup(TEXT, TEXT, TEXT, bool, bool, bool, bool, TEXT) IS
'Writes an encrypted backup of the store, or of one project, to a new file path on the server, and path.manifest.json beside it, which
says what it is without a key; returns what was written.

path is relative to memory_ext.backup_directory or absolute inside it; members of pg_write_server_files may name any. Nothing is
overwritten. The key is key_file (32 random bytes: raw, 64 hexadecimal digits or base64; made by openssl rand -hex 32), else
passphrase, else memory_ext.backup_key_file. Prefer a file: a passphrase in a statement can end up in logs.

All rows are of one snapshot, and writers go on. Sensitive memories are left out, with their versions, votes and uses, unless
include_sensitive and confirm_sensitive say otherwise. Caches, lines to import and the audit trail''s seals are left out. dry_run does
everything but write. verbose tells of each table. project_id NULL is the whole store. Recorded as event backup and in the server''s log.
For admins of the project, or of all.
Errors: 22023, 42501, 55000, 58P01 no directory, 58P02 file exists, 53100 disk full, 58030.';

COMMENT ON FUNCTION memory_backup_rotate(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT) IS
'Puts a backup in a file of the server under another key: only its first kilobyte changes, but a copy is written, verified and put in its
place, so that a crash loses nothing. Whoever kept the old file and the old key can still open that.

The old key is key_file or passphrase, the new one new_key_file or new_passphrase; one side may be left out and then is
memory_ext.backup_key_file. Outside the backup directory, for members of pg_read_server_files and pg_write_server_files. Recorded as
event rotate. For admins of the project that the backup is of, or of all. Errors: 22000, 22023, 42501, 54000, 55000, 58P01, 53100, 58030.';

COMMENT ON FUNCTION memory_backup_stream(TEXT, TEXT, bool, bool, INT, bool, TEXT) IS
'Makes an encrypted backup and returns it in pieces: rows of name backup, whose data end to end in the order of part is the file that
memory_backup would write, then one of name manifest.

chunk_size is the length of a piece in bytes, 1024 to 16777216. The pieces wait in the server''s temporary files until they are fetched,
so a client that wants little memory reads them by a cursor. The other arguments are those of memory_backup. Recorded as event backup.
For admins of the project, or of all. Errors: 22023, 42501, 55000, 53100.';

COMMENT ON FUNCTION memory_backup_verify(TEXT, TEXT, TEXT, TEXT) IS
'Reads all of a backup in a file of the server, and its manifest if there is one, and returns what the backup is; an error if anything in
them is not as it was written. Nothing is changed, and a standby will do.

path, key_file and passphrase are as in memory_backup; reading outside the backup directory is for members of pg_read_server_files.
With project_id another project''s backup is refused, and of the whole store''s nothing is told but that it is whole. For admins; where there is no store, for whoever may create one.
Errors: 22000 wrong key or damaged backup, or no backup; 22023, 42501, 54000, 55000, 58P01, 58030.';

COMMENT ON FUNCTION memory_check_integrity(TEXT, INT) IS
'Checks the store: one row a check, always all of them in the same order, status ok, warning or error.

project_id NULL is the whole store, for its owner and for admins of every project (''*''); an admin of a project may check that one.
Schema: tables, constraints, indexes, triggers, row_security. Every row: content_hash, dedupe_hash, secrets_indexed,
embedding_dimensions, embedding_values, embedding_sketch, embedding_missing, embedding_stale, expired_backlog, tombstone_backlog,
row_values, row_versions, history_hash, history_intervals, vote_counters, orphans, secrets_cached, superseded_by, supersession_cycles. Of sample rows (0..10000):
embedding_differs (embedded again), text_index (its words again), hnsw_reach (found by its own vector). Then statistics, and btree,
where the extension amcheck is installed and the owner may use it, and audit_seals (of the whole store only). details has up to 10 samples, a hint, and skipped where a check
could not look. It reads every row once or twice and changes nothing; a standby will do. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_cleanup_orphans(bool) IS
'Finds what is left of what is gone, in the whole store, and removes it where dry_run is false: a row a kind, how many were found
and removed.

votes, vote_changes, usage: of memories that are not there. history: old versions of memories whose row is gone and whose time is over,
or that were deleted before memory_ext.tombstone_retention; until then memory_history() shows them. cached_vectors: of another model.
cached_secrets: vectors of texts that are secret. grants: of roles that are gone. inbox_lines: lines to import, older than 30 days, of
roles that are gone. successors: superseded_by that names a memory that is gone is cleared. aliases: of keys that have no memory, only
reported. What was removed is recorded as an event. For the owner of the memories and admins of every project. Errors: 42501, 55000.';

COMMENT ON FUNCTION memory_explain(TEXT, INT, vector, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT[], jsonb, jsonb, timestamp with time zone, timestamp with time zone, double precision, double precision, TEXT, interval, double precision, double precision, TEXT) IS
'What memory_search does with the same arguments: the path taken (exact, sketch or hnsw; past under memory_ext.as_of), rows
scanned, each arm''s ranks, settings and timings.';

COMMENT ON FUNCTION memory_export(TEXT, TEXT, TEXT, TEXT[], timestamp with time zone, timestamp with time zone, bool, bool, bool, bool, bool, bool, bool, TEXT) IS
'Exports the memories of a project as text, oldest first, for memory_import and other systems.

format is jsonl (a header line, then a memory a line), json (one array, an element a row) or csv (a header row, then a memory a
row, which may have line ends in it). agent_id is the author here; until is not included. Deprecated memories are exported,
expired and deleted ones are not, unless said otherwise. Sensitive memories are left out, unless include_sensitive and
confirm_sensitive are both true. include_votes adds the votes, include_embeddings the vectors. Older versions are not exported.
All rows are of the snapshot of the statement. In a select list (SELECT memory_export(), COPY (SELECT memory_export()) TO ...) the
rows stream and memory stays bounded; in FROM the server collects them first. Without escapes they arrive by psql -XAtq -c
''SELECT memory_export()''. Recorded as an event. Needs the admin privilege. Errors: 22023, 42501, 54000, 55000.';

COMMENT ON FUNCTION memory_health() IS
'How the store is, as JSON: numbers only, for any role.

status is healthy, degraded (it works, but somebody should look: issues says at what), unhealthy (it cannot be used as it is) or
uninitialized. version, store_version; db_health (in_recovery, read_only, connections of clients, max_connections,
reserved_connections); memories (total, live, keyed, expired, deleted, deprecated, sensitive; estimated beyond 50000 or 100 MB, else
counted); vectors (eligible, embedded, waiting, stale, sync_ratio); backlog (expired, tombstones, unsealed; up to 100001); worker (preloaded, last_run, runs, errors); index (valid, bytes); issues, a list
of texts. What cannot be known is null. Works on a standby. Raises no error for what it is to report.';

COMMENT ON FUNCTION memory_import(TEXT[], TEXT, TEXT, TEXT, TEXT, TEXT, bool, bool, TEXT) IS
'Imports memories from lines, all or none, and returns a report; the same lines again change nothing.

format is memory_ext (memory_export as jsonl or json), aegis (lines with id, content, agent_id, namespace, scope, metadata,
created_at), memory_stages, mem0 or letta; left out, the first line tells it. Ids, times, versions, votes, flags and vectors are
kept. on_conflict says what to do where the memory is there already (the same id, an equal live memory, or its key): skip keeps
what is there, update takes the imported one if it differs (a live memory that has its key is deleted; an equal one of another
id stays), error raises 23505. namespace is where all go; agent_id whose they are that name no agent, in formats of other systems. unknown says
whether unknown fields are refused (refuse) or kept in the metadata (metadata). dry_run only reports. Sensitive memories need
confirm_sensitive. Lines of another project are refused, unless project_id is given: then all go there. The report: format,
lines, imported, updated, skipped_existing, identical, skipped (what was no memory, by kind), votes, sensitive, redacted (by content policies), dry_run.
Recorded as an event. Needs the admin privilege. Errors name the line: 22P02 what cannot be read, 22023 bad values, 54000 over a
limit; 23505, 42501, 55000.';

COMMENT ON FUNCTION memory_import_document(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT, bool, bool, TEXT) IS
'Imports memories from one text: a JSON document of another system, or the lines of a file. Otherwise as memory_import.
Errors: 22P02, 22023, 23505, 42501, 54000, 55000.';

COMMENT ON FUNCTION memory_import_inbox(TEXT, TEXT, TEXT, TEXT, TEXT, bool, bool, TEXT) IS
'Imports the lines that the caller has brought to the view memory_import_inbox, in their order, and removes them; a dry run and a
failure leave them (DELETE FROM memory_import_inbox throws them away). Otherwise as memory_import.

psql brings a file as it is by \copy memory_import_inbox(line) FROM ''file'' WITH (FORMAT csv, QUOTE e''\x01'', DELIMITER e''\x02'').
The admin privilege in a project suffices for that. Errors: 22P02, 22023, 23505, 40001, 42501, 54000, 55000.';

COMMENT ON FUNCTION memory_import_line() IS
'Triggers of the view memory_import_inbox: one refuses who may not bring lines, the other takes in a line.';

COMMENT ON FUNCTION memory_maintenance(TEXT[], bool, bool) IS
'Runs maintenance of the whole store and returns a report of it: maintenance_run, and reports, one an operation.

operations: check_integrity, validate_vectors, cleanup_orphans, expire, reembed (what lacks the vector of its text), rebuild_index (locks
out readers, see memory_rebuild_index), analyze; NULL is all of them but reembed and rebuild_index, and with full also rebuild_index.
An operation that fails is undone, says so in its errors, and does not stop the rest. dry_run changes nothing and says what would
be done. Otherwise each report is kept: memory_maintenance_history(). For the owner of the memories and admins of every project.
Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_maintenance_history(INT) IS
'What maintenance found and did, the newest first; page_size is 1..10000. The worker''s rounds are here too, see
memory_ext.maintenance_interval. For the owner of the memories and admins of every project. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_metrics() IS
'All metrics of this database''s store in Prometheus''s text format 0.0.4.

Counters and durations count from the server''s start, in memory that it shares: with the library in shared_preload_libraries only,
else memory_ext_preloaded is 0 and they are absent. They count whatever becomes of the transaction. Numbers of rows are estimated
(memory_stats() counts), backlogs are counted up to 100001. Absent is what there is none of, or what cannot be known: before
memory_init(), in an older store, while the table is locked (memory_ext_scrape_errors). Works on a standby. For members of
pg_monitor, the owner of the memories and admins of every project. Errors: 42501, 55P03 (for the latter two, while a table is locked).';

COMMENT ON FUNCTION memory_playbook(TEXT, INT, double precision, TEXT[], TEXT, TEXT, TEXT, vector, jsonb, jsonb, timestamp with time zone, TEXT) IS
'What agents have learned about a kind of task, best first.

score mixes relevance to the query with confidence, a lower bound of how often the memory helps by its votes (mean less one
standard deviation of Beta(helpful + 1, harmful + 1)); memory_ext.effectiveness_weight is its share. Without query and embedding
confidence alone decides. k is 1..10000; k rows are returned whenever k match. memory_types is strategy and reflection unless said
otherwise; task_type keeps what metadata.task_type says is for another kind of task out; min_effectiveness is -1..1. as_of shows the
playbook of a past time, with the contents and votes of then; left out, memory_ext.as_of does. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_progress() IS
'Long calls of this database that are under way: export, import, backup, restore, verification of a backup, reembed, rebuild_index,
integrity checks, sealing, verification and export of the audit trail, duplicates, consolidation, curation, clean-up, forgetting, expiry;
and the background worker''s.

done rows of total (NULL: not known beforehand; of statements that do all at once done stays 0), percent, rate in rows a second, remaining time; phase is what the call is at, and a
call may have several rows. One''s own calls, those of all roles for members of pg_monitor. How far an index is built, only
pg_stat_progress_create_index tells. Needs the library in shared_preload_libraries. Errors: 55000.';

COMMENT ON FUNCTION memory_ready() IS
'Whether the store can be used: it is there, of a version that the library serves, with all its tables. Without a valid
vector index it is slow, but serves.

Looks into the catalogs only, whatever the size of the store: for readiness probes, by any role. False, never an error, where it cannot, as
where memory_models or memory_migrations is locked and the session has not read them yet.';

COMMENT ON FUNCTION memory_rebuild_index(INT, INT, bool) IS
'Drops the vector index and builds it again, with other parameters if given: m 2..100 (links of a vector), ef_construction 4..1000
(candidates while building, at least twice m).

reembed makes the vectors anew first, as memory_reembed() does. Locks memories exclusively (ACCESS EXCLUSIVE) until the transaction
ends: reading waits too; memory_rebuild_script() rebuilds while others work. As fast as maintenance_work_mem of the session lets it:
about 4 kB a vector of 384 dimensions. Returns found, eligible (not sensitive, not deleted), embedded, failed, index (name, m,
ef_construction, seconds, size in bytes), reembed, and verification: of 100 memories searched, how many found themselves, and by_index, whether this
transaction could use the new index (later ones can; memory_recall_check() tells). For the
owner of the memories and admins of every project. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_rebuild_script(INT, INT) IS
'A script for psql that builds the vector index anew while others read and write: the new index is built beside the old one
(CREATE INDEX CONCURRENTLY), which serves until then.

Arguments as for memory_rebuild_index(). It has to run as the owner of the memories, outside a transaction: \o script.sql and \i
do, or psql -c the function and pipe the outcome into another psql. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_recall_check(INT, INT, TEXT) IS
'How much of the truth a vector search of a project finds: recall at k, by the path that memory_search() takes as it is set.

Searches for the vectors of sample memories (1..1000), each moved a tenth of the way towards another sampled one''s, and compares
with all vectors, which are read once. recall is the mean share of the k (1..1000) nearest that were found, worst the least one,
short how many searches returned fewer rows than there are, milliseconds the mean time of a search. No row where nothing is
embedded. For admins of the project. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_reembed(INT, TEXT, bool, TEXT) IS
'Makes the vectors of memories anew by the store''s embedder, in the order of their ids; sensitive and deleted ones have none.

batch is how many rows to look at (1 or more), after the id behind which to begin: call it with next of the call before until next
is null. only_stale leaves out what has the vector of its present text. A row that cannot be written is reported and does not stop
the rest. Returns found (looked at), eligible, embedded, written (of those, the ones that had another vector), failed, errors (up to
10), searched and verified (of up to 100 of them, how many the vector index leads to), next. A NOTICE tells the
progress. project_id NULL is the whole store, for its owner and admins of every project. In a store whose embedder is external:
55000. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_refuse_change() IS
'Trigger of memory_events and memory_audit_seals: an audit trail is added to, never changed.';

COMMENT ON FUNCTION memory_restore(TEXT, TEXT, TEXT, bool, bool, bool, bool, bool, TEXT) IS
'Restores a backup from a file of the server: reads and verifies all of it first, then restores it as a whole or not at all; returns what
happened to each table. Without a store it makes the one that fits.

path, key_file and passphrase are as in memory_backup_verify. What is in the backup becomes as it was then, with versions, times, votes
and vectors; what was made since stays (votes too, and the counters count them), unless clean is true: then it goes. A memory that is
sensitive by now is left as it is by a backup without sensitive memories, and never removed. A memory made since whose key a backed up
one takes back becomes a tombstone; one that is alive keeps its key from one that has expired. Restoring twice gives the same. Nothing is
added to the history. Writers wait until the end.

dry_run changes nothing and counts what would happen. A backup with sensitive memories needs confirm_sensitive. include_grants restores
grants too, of roles that exist; for the owner. project_id restores that project only, from a backup of the whole store too; the audit
trail comes back for admins of all projects. Recorded as event restore. For admins of the project, or of all.
Errors: 22000 wrong key or damaged backup, or no backup; 22023, 42501, 54000, 55000 of another shape or version, 58P01, 58030, 40001.';

COMMENT ON FUNCTION memory_restore_stream(TEXT, TEXT, TEXT, bool, bool, bool, bool, bool, TEXT) IS
'The same from a table of the caller''s, for clients that reach no file of the server: parts names a table, temporary or not, with columns
part integer, name text and data bytea, filled with the rows of memory_backup_stream, or with a backup file in pieces of any size (name
backup, part their order) and its manifest (name manifest; may be left out). It is read with the caller''s rights, a row at a time.

The other arguments and errors are those of memory_restore.';

COMMENT ON FUNCTION memory_scan(TEXT) IS
'Personal data, secrets and instructions to a model (prompt injection) in a text, whatever the policies are.

findings has category (pii, secret, injection), kind, start and length in characters (as in substr), confidence (medium, high) and the
policy in force for it (allow, flag, redact, reject: memory_ext.pii_policy, secret_policy, injection_policy); redacted is the text with
[REDACTED:kind] in place of each. Time grows with the length only. Errors: 22023 NULL, 54000 over memory_ext.max_content_bytes.';

COMMENT ON FUNCTION memory_stats(TEXT) IS
'The metrics of memory_metrics() as rows, with rows and backlogs counted, which reads the tables; and memories by what they are
(memory_memories: total, live, keyed, expired, deleted, deprecated, sensitive, eligible for a vector, embedded, waiting, stale, over:
expired, deleted or not) and by type.

project_id NULL is the whole store; for one project there are its counts alone, for its admins too. Of durations there are _count and
_sum. memory_ext_scrape_errors is the number of parts that could not be read. Errors: 22023, 42501, 55P03.';

COMMENT ON FUNCTION memory_validate_vectors(TEXT, INT) IS
'The checks of memory_check_integrity() that are about vectors, and in a first row, vectors, what there is: rows, embedded, waiting
(live, not sensitive, without a vector), stale (with the vector of another text), sensitive (never embedded) and deleted.

hnsw_reach looks by the vector index for sample memories (0..10000) by their own vectors: searched, found_itself. project_id and
errors as for memory_check_integrity().';

-- Brings the store up to this release, as the owner of its tables; without a store there is nothing to do.
DO $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_extension e ON e.extnamespace OPERATOR(pg_catalog.=) c.relnamespace
        WHERE e.extname OPERATOR(pg_catalog.=) 'memory_ext' AND c.relname OPERATOR(pg_catalog.=) 'memory_migrations')
    THEN
        PERFORM memory_migrate();
    END IF;
END
$$;
