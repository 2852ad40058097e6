\echo Use "CREATE EXTENSION memory_ext" to load this file. \quit

-- Made by `make schema` from the Rust code: change that, not this file.

DO $$
BEGIN
    IF pg_catalog.current_setting('server_encoding') <> 'UTF8' THEN
        RAISE EXCEPTION 'memory_ext needs a database with encoding UTF8, this one has %', pg_catalog.current_setting('server_encoding')
            USING ERRCODE = 'object_not_in_prerequisite_state',
                  HINT = 'Create one: CREATE DATABASE ... ENCODING ''UTF8'' TEMPLATE template0.';
    END IF;
END
$$;

CREATE FUNCTION "memory_add"(
    "content" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "scope" TEXT DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "ttl" interval DEFAULT NULL,
    "memory_type" TEXT DEFAULT NULL,
    "embedding" vector DEFAULT NULL,
    "user_id" TEXT DEFAULT NULL,
    "session_id" TEXT DEFAULT NULL,
    "entity_id" TEXT DEFAULT NULL,
    "shared_with_agents" TEXT[] DEFAULT NULL,
    "key" TEXT DEFAULT NULL,
    "sensitive" bool DEFAULT false,
    "importance" real DEFAULT NULL,
    "expires_at" timestamp with time zone DEFAULT NULL,
    "id" TEXT DEFAULT NULL,
    "on_duplicate" TEXT DEFAULT 'return',
    "project_id" TEXT DEFAULT NULL
) RETURNS TEXT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_add_wrapper';

CREATE FUNCTION "memory_add_many"(
    "items" jsonb,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "ordinal" INT,
    "id" TEXT,
    "deduplicated" bool
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_add_many_wrapper';

CREATE FUNCTION "memory_after_change"(

) RETURNS trigger
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_after_change_wrapper';

CREATE FUNCTION "memory_allowed"(
    "project" TEXT,
    "privilege" TEXT
) RETURNS bool
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_allowed_wrapper';

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

CREATE FUNCTION "memory_before_write"(

) RETURNS trigger
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_before_write_wrapper';

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

CREATE FUNCTION "memory_consolidate"(
    "similarity" double precision DEFAULT 0.95,
    "dry_run" bool DEFAULT true,
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT NULL,
    "page_size" INT DEFAULT 100,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "kept_id" TEXT,
    "merged_id" TEXT,
    "similarity" double precision,
    "votes" INT,
    "done" bool
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_consolidate_wrapper';

CREATE FUNCTION "memory_content_hash"(
    "content" TEXT
) RETURNS bytea
IMMUTABLE STRICT PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_content_hash_wrapper';

CREATE FUNCTION "memory_context"(
    "query" TEXT,
    "token_budget" INT DEFAULT 1000,
    "k" INT DEFAULT 20,
    "embedding" vector DEFAULT NULL,
    "mode" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "user_id" TEXT DEFAULT NULL,
    "session_id" TEXT DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "filter" jsonb DEFAULT NULL,
    "since" timestamp with time zone DEFAULT NULL,
    "until" timestamp with time zone DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TEXT
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_context_wrapper';

CREATE FUNCTION "memory_count"(
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "user_id" TEXT DEFAULT NULL,
    "session_id" TEXT DEFAULT NULL,
    "entity_id" TEXT DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "filter" jsonb DEFAULT NULL,
    "since" timestamp with time zone DEFAULT NULL,
    "until" timestamp with time zone DEFAULT NULL,
    "include_expired" bool DEFAULT false,
    "project_id" TEXT DEFAULT NULL
) RETURNS bigint
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_count_wrapper';

CREATE FUNCTION "memory_curate"(
    "dry_run" bool DEFAULT true,
    "min_votes" INT DEFAULT 3,
    "promote_at" double precision DEFAULT 0.5,
    "flag_at" double precision DEFAULT -0.3,
    "min_age" interval DEFAULT '7 days',
    "similarity" double precision DEFAULT 0.95,
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT ARRAY['strategy', 'reflection'],
    "page_size" INT DEFAULT 100,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "action" TEXT,
    "id" TEXT,
    "other_id" TEXT,
    "effectiveness_score" double precision,
    "similarity" double precision,
    "content" TEXT,
    "done" bool
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_curate_wrapper';

CREATE FUNCTION "memory_delete"(
    "id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_delete_wrapper';

CREATE FUNCTION "memory_delta"(
    "operations" jsonb,
    "agent_id" TEXT DEFAULT NULL,
    "atomic" bool DEFAULT true,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "ordinal" INT,
    "operation" TEXT,
    "success" bool,
    "memory_id" TEXT,
    "error" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_delta_wrapper';

CREATE FUNCTION "memory_deprecate"(
    "id" TEXT,
    "reason" TEXT DEFAULT NULL,
    "superseded_by" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_deprecate_wrapper';

CREATE FUNCTION "memory_duplicates"(
    "similarity" double precision DEFAULT 0.95,
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT NULL,
    "page_size" INT DEFAULT 100,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "id" TEXT,
    "duplicate_id" TEXT,
    "similarity" double precision,
    "content" TEXT,
    "duplicate_content" TEXT
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_duplicates_wrapper';

CREATE FUNCTION "memory_embed"(
    "content" TEXT
) RETURNS vector
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_embed_wrapper';

CREATE FUNCTION "memory_entity_facts"(
    "entity_id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT ARRAY['semantic'],
    "since" timestamp with time zone DEFAULT NULL,
    "until" timestamp with time zone DEFAULT NULL,
    "page_size" INT DEFAULT 100,
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
AS 'MODULE_PATHNAME', 'memory_entity_facts_wrapper';

CREATE FUNCTION "memory_expire"(
    "batch" INT DEFAULT 1000
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_expire_wrapper';

CREATE FUNCTION "memory_explain"(
    "query" TEXT DEFAULT NULL,
    "k" INT DEFAULT 5,
    "embedding" vector DEFAULT NULL,
    "mode" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "user_id" TEXT DEFAULT NULL,
    "session_id" TEXT DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "filter" jsonb DEFAULT NULL,
    "since" timestamp with time zone DEFAULT NULL,
    "until" timestamp with time zone DEFAULT NULL,
    "min_score" double precision DEFAULT NULL,
    "text_weight" double precision DEFAULT NULL,
    "fusion" TEXT DEFAULT NULL,
    "recency_half_life" interval DEFAULT NULL,
    "importance_weight" double precision DEFAULT NULL,
    "diversity" double precision DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS jsonb
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_explain_wrapper';

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

CREATE FUNCTION "memory_feature_create"(
    "feature_id" TEXT,
    "description" TEXT,
    "category" TEXT DEFAULT NULL,
    "test_steps" jsonb DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "session_id" TEXT DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "feature_id" TEXT,
    "description" TEXT,
    "category" TEXT,
    "status" TEXT,
    "passes" bool,
    "test_steps" jsonb,
    "verified_by" TEXT,
    "verified_at" timestamp with time zone,
    "blocked_reason" TEXT,
    "implementation_notes" TEXT,
    "agent_id" TEXT,
    "session_id" TEXT,
    "metadata" jsonb,
    "created_at" timestamp with time zone,
    "updated_at" timestamp with time zone,
    "completed_at" timestamp with time zone,
    "project_id" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_feature_create_wrapper';

CREATE FUNCTION "memory_feature_get"(
    "feature_id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "feature_id" TEXT,
    "description" TEXT,
    "category" TEXT,
    "status" TEXT,
    "passes" bool,
    "test_steps" jsonb,
    "verified_by" TEXT,
    "verified_at" timestamp with time zone,
    "blocked_reason" TEXT,
    "implementation_notes" TEXT,
    "agent_id" TEXT,
    "session_id" TEXT,
    "metadata" jsonb,
    "created_at" timestamp with time zone,
    "updated_at" timestamp with time zone,
    "completed_at" timestamp with time zone,
    "project_id" TEXT
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_feature_get_wrapper';

CREATE FUNCTION "memory_feature_list"(
    "status" TEXT DEFAULT NULL,
    "category" TEXT DEFAULT NULL,
    "session_id" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "page_size" INT DEFAULT 50,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "feature_id" TEXT,
    "description" TEXT,
    "category" TEXT,
    "status" TEXT,
    "passes" bool,
    "test_steps" jsonb,
    "verified_by" TEXT,
    "verified_at" timestamp with time zone,
    "blocked_reason" TEXT,
    "implementation_notes" TEXT,
    "agent_id" TEXT,
    "session_id" TEXT,
    "metadata" jsonb,
    "created_at" timestamp with time zone,
    "updated_at" timestamp with time zone,
    "completed_at" timestamp with time zone,
    "project_id" TEXT
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_feature_list_wrapper';

CREATE FUNCTION "memory_feature_update"(
    "feature_id" TEXT,
    "status" TEXT DEFAULT NULL,
    "passes" bool DEFAULT NULL,
    "verified_by" TEXT DEFAULT NULL,
    "description" TEXT DEFAULT NULL,
    "category" TEXT DEFAULT NULL,
    "test_steps" jsonb DEFAULT NULL,
    "blocked_reason" TEXT DEFAULT NULL,
    "implementation_notes" TEXT DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "feature_id" TEXT,
    "description" TEXT,
    "category" TEXT,
    "status" TEXT,
    "passes" bool,
    "test_steps" jsonb,
    "verified_by" TEXT,
    "verified_at" timestamp with time zone,
    "blocked_reason" TEXT,
    "implementation_notes" TEXT,
    "agent_id" TEXT,
    "session_id" TEXT,
    "metadata" jsonb,
    "created_at" timestamp with time zone,
    "updated_at" timestamp with time zone,
    "completed_at" timestamp with time zone,
    "project_id" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_feature_update_wrapper';

CREATE FUNCTION "memory_forget"(
    "ids" TEXT[] DEFAULT NULL,
    "user_id" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "session_id" TEXT DEFAULT NULL,
    "entity_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "filter" jsonb DEFAULT NULL,
    "before" timestamp with time zone DEFAULT NULL,
    "reason" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_forget_wrapper';

CREATE FUNCTION "memory_get"(
    "id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
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
AS 'MODULE_PATHNAME', 'memory_get_wrapper';

CREATE FUNCTION "memory_grant"(
    "role" TEXT,
    "project" TEXT,
    "privilege" TEXT DEFAULT 'read',
    "agent_id" TEXT DEFAULT NULL
) RETURNS VOID
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_grant_wrapper';

CREATE FUNCTION "memory_handoff"(
    "source_agent_id" TEXT,
    "target_agent_id" TEXT,
    "session_id" TEXT DEFAULT NULL,
    "query" TEXT DEFAULT NULL,
    "k" INT DEFAULT 20,
    "project_id" TEXT DEFAULT NULL
) RETURNS jsonb
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_handoff_wrapper';

CREATE FUNCTION "memory_health"() RETURNS jsonb
STRICT STABLE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_health_wrapper';

CREATE FUNCTION "memory_history"(
    "id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "version" INT,
    "operation" TEXT,
    "content" TEXT,
    "metadata" jsonb,
    "memory_type" TEXT,
    "scope" TEXT,
    "importance" real,
    "expires_at" timestamp with time zone,
    "valid_from" timestamp with time zone,
    "valid_to" timestamp with time zone,
    "changed_by" TEXT,
    "agent_id" TEXT
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_history_wrapper';

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

CREATE FUNCTION "memory_init"(
    "dimensions" INT DEFAULT NULL,
    "embedder" TEXT DEFAULT NULL,
    "text_search_config" TEXT DEFAULT NULL,
    "hnsw_m" INT DEFAULT NULL,
    "hnsw_ef_construction" INT DEFAULT NULL
) RETURNS jsonb
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_init_wrapper';

CREATE FUNCTION "memory_kv_alias"(
    "alias" TEXT,
    "key" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_kv_alias_wrapper';

CREATE FUNCTION "memory_kv_delete"(
    "key" TEXT,
    "namespace" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_kv_delete_wrapper';

CREATE FUNCTION "memory_kv_get"(
    "key" TEXT,
    "namespace" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TEXT
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_kv_get_wrapper';

CREATE FUNCTION "memory_kv_list"(
    "prefix" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "key" TEXT,
    "value" TEXT,
    "source" TEXT,
    "is_sensitive" bool,
    "id" TEXT,
    "version" INT,
    "namespace" TEXT,
    "metadata" jsonb,
    "created_at" timestamp with time zone,
    "updated_at" timestamp with time zone,
    "expires_at" timestamp with time zone
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_kv_list_wrapper';

CREATE FUNCTION "memory_kv_set"(
    "key" TEXT,
    "value" TEXT,
    "sensitive" bool DEFAULT NULL,
    "source" TEXT DEFAULT NULL,
    "ttl" interval DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TEXT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_kv_set_wrapper';

CREATE FUNCTION "memory_list"(
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "user_id" TEXT DEFAULT NULL,
    "session_id" TEXT DEFAULT NULL,
    "entity_id" TEXT DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "filter" jsonb DEFAULT NULL,
    "since" timestamp with time zone DEFAULT NULL,
    "until" timestamp with time zone DEFAULT NULL,
    "page_size" INT DEFAULT 50,
    "after" TEXT DEFAULT NULL,
    "include_expired" bool DEFAULT false,
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
AS 'MODULE_PATHNAME', 'memory_list_wrapper';

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

CREATE FUNCTION "memory_migrate"() RETURNS jsonb
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_migrate_wrapper';

CREATE FUNCTION "memory_new_id"() RETURNS TEXT
STRICT VOLATILE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_new_id_wrapper';

CREATE FUNCTION "memory_playbook"(
    "query" TEXT DEFAULT NULL,
    "k" INT DEFAULT 20,
    "min_effectiveness" double precision DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT ARRAY['strategy', 'reflection'],
    "task_type" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "embedding" vector DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "filter" jsonb DEFAULT NULL,
    "as_of" timestamp with time zone DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "id" TEXT,
    "content" TEXT,
    "memory_type" TEXT,
    "score" double precision,
    "relevance" double precision,
    "effectiveness_score" double precision,
    "confidence" double precision,
    "bullet_helpful" INT,
    "bullet_harmful" INT,
    "error_pattern" TEXT,
    "agent_id" TEXT,
    "namespace" TEXT,
    "metadata" jsonb,
    "created_at" timestamp with time zone
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_playbook_wrapper';

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

CREATE FUNCTION "memory_reflect"(
    "content" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "error_pattern" TEXT DEFAULT NULL,
    "correct_approach" TEXT DEFAULT NULL,
    "applicable_contexts" TEXT[] DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "scope" TEXT DEFAULT 'global',
    "metadata" jsonb DEFAULT NULL,
    "ttl" interval DEFAULT NULL,
    "embedding" vector DEFAULT NULL,
    "session_id" TEXT DEFAULT NULL,
    "source_trajectory_id" TEXT DEFAULT NULL,
    "importance" real DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TEXT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_reflect_wrapper';

CREATE FUNCTION "memory_refuse_change"(

) RETURNS trigger
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_refuse_change_wrapper';

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

CREATE FUNCTION "memory_restore_version"(
    "id" TEXT,
    "version" INT,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS INT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_restore_version_wrapper';

CREATE FUNCTION "memory_reveal"(
    "id" TEXT,
    "reason" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TEXT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_reveal_wrapper';

CREATE FUNCTION "memory_revoke"(
    "role" TEXT,
    "project" TEXT,
    "privilege" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_revoke_wrapper';

CREATE FUNCTION "memory_row_visible"(
    "project" TEXT,
    "agent_id" TEXT,
    "scope" TEXT,
    "shared_with_agents" TEXT[],
    "is_sensitive" bool,
    "expires_at" timestamp with time zone,
    "deleted_at" timestamp with time zone
) RETURNS bool
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_row_visible_wrapper';

CREATE FUNCTION "memory_row_writable"(
    "project" TEXT,
    "agent_id" TEXT,
    "scope" TEXT
) RETURNS bool
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_row_writable_wrapper';

CREATE FUNCTION "memory_run_complete"(
    "run_id" TEXT,
    "success" bool,
    "error" TEXT DEFAULT NULL,
    "error_pattern" TEXT DEFAULT NULL,
    "memory_ids" TEXT[] DEFAULT NULL,
    "auto_vote" bool DEFAULT true,
    "auto_reflect" bool DEFAULT true,
    "metadata" jsonb DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "run_id" TEXT,
    "agent_id" TEXT,
    "session_id" TEXT,
    "task_type" TEXT,
    "status" TEXT,
    "memory_ids" TEXT[],
    "votes" INT,
    "error" TEXT,
    "error_pattern" TEXT,
    "reflection_id" TEXT,
    "metadata" jsonb,
    "started_at" timestamp with time zone,
    "completed_at" timestamp with time zone,
    "project_id" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_run_complete_wrapper';

CREATE FUNCTION "memory_run_get"(
    "run_id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "run_id" TEXT,
    "agent_id" TEXT,
    "session_id" TEXT,
    "task_type" TEXT,
    "status" TEXT,
    "memory_ids" TEXT[],
    "votes" INT,
    "error" TEXT,
    "error_pattern" TEXT,
    "reflection_id" TEXT,
    "metadata" jsonb,
    "started_at" timestamp with time zone,
    "completed_at" timestamp with time zone,
    "project_id" TEXT
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_run_get_wrapper';

CREATE FUNCTION "memory_run_start"(
    "run_id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "task_type" TEXT DEFAULT NULL,
    "memory_ids" TEXT[] DEFAULT NULL,
    "session_id" TEXT DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "run_id" TEXT,
    "agent_id" TEXT,
    "session_id" TEXT,
    "task_type" TEXT,
    "status" TEXT,
    "memory_ids" TEXT[],
    "votes" INT,
    "error" TEXT,
    "error_pattern" TEXT,
    "reflection_id" TEXT,
    "metadata" jsonb,
    "started_at" timestamp with time zone,
    "completed_at" timestamp with time zone,
    "project_id" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_run_start_wrapper';

CREATE FUNCTION "memory_scan"(
    "content" TEXT
) RETURNS jsonb
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_scan_wrapper';

CREATE FUNCTION "memory_search"(
    "query" TEXT DEFAULT NULL,
    "k" INT DEFAULT 5,
    "embedding" vector DEFAULT NULL,
    "mode" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "user_id" TEXT DEFAULT NULL,
    "session_id" TEXT DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "filter" jsonb DEFAULT NULL,
    "since" timestamp with time zone DEFAULT NULL,
    "until" timestamp with time zone DEFAULT NULL,
    "min_score" double precision DEFAULT NULL,
    "text_weight" double precision DEFAULT NULL,
    "fusion" TEXT DEFAULT NULL,
    "recency_half_life" interval DEFAULT NULL,
    "importance_weight" double precision DEFAULT NULL,
    "diversity" double precision DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "id" TEXT,
    "content" TEXT,
    "score" double precision,
    "similarity" double precision,
    "text_rank" double precision,
    "key" TEXT,
    "memory_type" TEXT,
    "scope" TEXT,
    "agent_id" TEXT,
    "namespace" TEXT,
    "metadata" jsonb,
    "created_at" timestamp with time zone,
    "expires_at" timestamp with time zone
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_search_wrapper';

CREATE FUNCTION "memory_security_check"() RETURNS TABLE (
    "finding" TEXT,
    "severity" TEXT,
    "detail" TEXT,
    "hint" TEXT
)
STRICT STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_security_check_wrapper';

CREATE FUNCTION "memory_session_get"(
    "session_id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "session_id" TEXT,
    "agent_id" TEXT,
    "status" TEXT,
    "progress" double precision,
    "completed_items" jsonb,
    "in_progress_item" TEXT,
    "next_items" jsonb,
    "blocked_items" jsonb,
    "summary" TEXT,
    "last_action" TEXT,
    "metadata" jsonb,
    "created_at" timestamp with time zone,
    "updated_at" timestamp with time zone,
    "completed_at" timestamp with time zone,
    "project_id" TEXT
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_session_get_wrapper';

CREATE FUNCTION "memory_session_list"(
    "status" TEXT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "page_size" INT DEFAULT 50,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "session_id" TEXT,
    "agent_id" TEXT,
    "status" TEXT,
    "progress" double precision,
    "completed_items" jsonb,
    "in_progress_item" TEXT,
    "next_items" jsonb,
    "blocked_items" jsonb,
    "summary" TEXT,
    "last_action" TEXT,
    "metadata" jsonb,
    "created_at" timestamp with time zone,
    "updated_at" timestamp with time zone,
    "completed_at" timestamp with time zone,
    "project_id" TEXT
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_session_list_wrapper';

CREATE FUNCTION "memory_session_start"(
    "session_id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "next_items" jsonb DEFAULT NULL,
    "summary" TEXT DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "session_id" TEXT,
    "agent_id" TEXT,
    "status" TEXT,
    "progress" double precision,
    "completed_items" jsonb,
    "in_progress_item" TEXT,
    "next_items" jsonb,
    "blocked_items" jsonb,
    "summary" TEXT,
    "last_action" TEXT,
    "metadata" jsonb,
    "created_at" timestamp with time zone,
    "updated_at" timestamp with time zone,
    "completed_at" timestamp with time zone,
    "project_id" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_session_start_wrapper';

CREATE FUNCTION "memory_session_update"(
    "session_id" TEXT,
    "status" TEXT DEFAULT NULL,
    "completed_items" jsonb DEFAULT NULL,
    "in_progress_item" TEXT DEFAULT NULL,
    "next_items" jsonb DEFAULT NULL,
    "blocked_items" jsonb DEFAULT NULL,
    "complete_item" TEXT DEFAULT NULL,
    "progress" double precision DEFAULT NULL,
    "summary" TEXT DEFAULT NULL,
    "last_action" TEXT DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "session_id" TEXT,
    "agent_id" TEXT,
    "status" TEXT,
    "progress" double precision,
    "completed_items" jsonb,
    "in_progress_item" TEXT,
    "next_items" jsonb,
    "blocked_items" jsonb,
    "summary" TEXT,
    "last_action" TEXT,
    "metadata" jsonb,
    "created_at" timestamp with time zone,
    "updated_at" timestamp with time zone,
    "completed_at" timestamp with time zone,
    "project_id" TEXT
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_session_update_wrapper';

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

CREATE FUNCTION "memory_timeline"(
    "session_id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "namespace" TEXT DEFAULT NULL,
    "memory_types" TEXT[] DEFAULT ARRAY['episodic'],
    "since" timestamp with time zone DEFAULT NULL,
    "until" timestamp with time zone DEFAULT NULL,
    "page_size" INT DEFAULT 100,
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
AS 'MODULE_PATHNAME', 'memory_timeline_wrapper';

CREATE FUNCTION "memory_touch"(
    "ids" TEXT[],
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_touch_wrapper';

CREATE FUNCTION "memory_undeprecate"(
    "id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_undeprecate_wrapper';

CREATE FUNCTION "memory_update"(
    "id" TEXT,
    "content" TEXT DEFAULT NULL,
    "metadata" jsonb DEFAULT NULL,
    "ttl" interval DEFAULT NULL,
    "expires_at" timestamp with time zone DEFAULT NULL,
    "importance" real DEFAULT NULL,
    "memory_type" TEXT DEFAULT NULL,
    "scope" TEXT DEFAULT NULL,
    "shared_with_agents" TEXT[] DEFAULT NULL,
    "sensitive" bool DEFAULT NULL,
    "embedding" vector DEFAULT NULL,
    "expected_version" INT DEFAULT NULL,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS INT
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_update_wrapper';

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

CREATE FUNCTION "memory_version"() RETURNS jsonb
STRICT STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_version_wrapper';

CREATE FUNCTION "memory_vote"(
    "memory_id" TEXT,
    "vote" TEXT,
    "voter_agent_id" TEXT DEFAULT NULL,
    "context" TEXT DEFAULT NULL,
    "task_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "memory_id" TEXT,
    "bullet_helpful" INT,
    "bullet_harmful" INT,
    "effectiveness_score" double precision
)
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_vote_wrapper';

CREATE FUNCTION "memory_votes"(
    "memory_id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "page_size" INT DEFAULT 1000,
    "project_id" TEXT DEFAULT NULL
) RETURNS TABLE (
    "voter_agent_id" TEXT,
    "vote" TEXT,
    "context" TEXT,
    "task_id" TEXT,
    "created_at" timestamp with time zone,
    "updated_at" timestamp with time zone
)
STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_votes_wrapper';

COMMENT ON FUNCTION memory_add(TEXT, TEXT, TEXT, TEXT, jsonb, interval, TEXT, vector, TEXT, TEXT, TEXT, TEXT[], TEXT, bool, real, timestamp with time zone, TEXT, TEXT, TEXT) IS
'Adds a memory and returns its id.

A live memory of equal content (white space and Unicode form apart) with the same namespace, scope, agent, user, session,
entity and type is a duplicate; on_duplicate says what then: return (its id; the later expiry holds), merge (metadata too),
new, or error. scope is agent-private, agent-shared or global; left out, it is agent-shared when shared_with_agents is given,
agent-private when agent_id is, else global. ttl is the time to live, expires_at its end; give one of them. importance is 0..1.
A key makes it a keyed memory; a sensitive one is never embedded nor indexed and shown as ***. The first call creates the store.
Errors: 22023, 23505, 42501, 54000, 55000.';

COMMENT ON FUNCTION memory_add_many(jsonb, TEXT) IS
'Adds many memories in one statement, all or none, and returns each one''s id in order.

items is a JSON array; an item is a string (the content) or an object whose keys are the argument names of memory_add. The
rules are those of memory_add, for duplicates within the batch too. agent_id ''*'' in the call is not possible; an item''s own
agent_id has to be one the caller may act as. At most memory_ext.max_batch items. Errors: as memory_add; they name the item.';

COMMENT ON FUNCTION memory_after_change() IS
'Trigger of memories: keeps the version that an update or a deletion ended.';

COMMENT ON FUNCTION memory_allowed(TEXT, TEXT) IS
'Whether the current role has a privilege in a project (NULL: in any): the rule of row-level security on the store''s tables.';

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

COMMENT ON FUNCTION memory_before_write() IS
'Trigger of memories: gives a new or changed row its vector, version, time and deduplication key.';

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

COMMENT ON FUNCTION memory_consolidate(double precision, bool, TEXT, TEXT, TEXT[], INT, TEXT) IS
'Merges memories that say nearly the same, or, as it does unless told otherwise, says what it would merge.

Of each pair of memory_duplicates() the one with more confidence stays, then the older one. The other is deprecated, superseded by
the one that stays, which gains its votes (votes: how many); where somebody voted on both, the vote on the one that stays counts.
memory_undeprecate(merged_id) undoes a merge. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_content_hash(TEXT) IS
'SHA-256 of a content after normalisation (Unicode NFC, trimmed, runs of white space as one blank).';

COMMENT ON FUNCTION memory_context(TEXT, INT, INT, vector, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT[], jsonb, jsonb, timestamp with time zone, timestamp with time zone, TEXT) IS
'The memories that fit a query best as one text for a prompt: a line each, best first, with the id in brackets.

token_budget bounds its length, counted by a heuristic; a memory that does not fit is left out and
the next one tried. k is how many to consider. The other arguments are those of memory_search. Empty when nothing fits.
Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_count(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT[], jsonb, jsonb, timestamp with time zone, timestamp with time zone, bool, TEXT) IS
'How many memories pass the filters, which are those of memory_list. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_curate(bool, INT, double precision, double precision, interval, double precision, TEXT, TEXT, TEXT[], INT, TEXT) IS
'What votes and likeness say about the playbook: what to promote, what to flag, what is there twice.

promote: effectiveness of promote_at or more; flag: flag_at or less, and older than min_age; both with min_votes votes at least.
With dry_run => false the promoted get an importance of 0.9 and the flagged are deprecated (memory_undeprecate() undoes that);
duplicates are only reported, memory_consolidate() merges them. page_size is 1..10000 steps of each kind. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_delete(TEXT, TEXT, TEXT) IS
'Deletes a memory: it is gone from every reading function at once, and memory_restore_version can bring it back until the
tombstone''s retention is over. False when there was none the caller may see. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_delta(jsonb, TEXT, bool, TEXT) IS
'Adds, updates and deprecates memories in one call, in the order given.

operations is a JSON array of objects with "operation": add (the keys of an item of memory_add_many), update ("id" and the argument
names of memory_update) or deprecate ("id", "reason", "superseded_by"). The rules are those of the single calls. atomic: the
first error undoes everything, and names its item; otherwise a failed item is reported with its SQLSTATE and the others stay. At
most memory_ext.max_batch items. Errors: those of the single calls, 22023, 54000.';

COMMENT ON FUNCTION memory_deprecate(TEXT, TEXT, TEXT, TEXT, TEXT) IS
'Takes a memory out of use: nothing reads it any more, but its history and votes stay. False when it was deprecated already.

superseded_by is the live memory that takes its place; reason is kept in memory_events. Adding equal content again makes a new,
live memory. memory_undeprecate() undoes it. Errors: 22023, P0002, 42501, 55000.';

COMMENT ON FUNCTION memory_duplicates(double precision, TEXT, TEXT, TEXT[], INT, TEXT) IS
'Pairs of memories that say nearly the same, most alike first; id is the older one.

similarity is the least cosine, 0..1. Only memories of equal namespace, scope, sharing, author, user, session, entity and type are
pairs; keyed and sensitive ones never are. Each memory''s nearest come from the vector index, so this takes a search a memory that
passes the filters. page_size is 1..10000. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_embed(TEXT) IS
'The vector that the store''s embedder makes of a text. Errors: 22023 NULL, 55000 where callers bring the vectors.';

COMMENT ON FUNCTION memory_entity_facts(TEXT, TEXT, TEXT, TEXT[], timestamp with time zone, timestamp with time zone, INT, TEXT, TEXT) IS
'What is known of an entity, newest first, a page at a time.

memory_types is semantic unless said otherwise (NULL: every type). The other arguments are those of memory_timeline.
Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_expire(INT) IS
'Removes expired memories of all projects for good, with their versions, and tombstones older than
memory_ext.tombstone_retention; at most batch rows, so call it until it returns 0. Expired memories are invisible before
already. For the owner of the memories; the background worker calls the same. Errors: 22023, 42501, 55000.';

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

COMMENT ON FUNCTION memory_feature_create(TEXT, TEXT, TEXT, jsonb, TEXT, TEXT, jsonb, TEXT) IS
'Adds a feature to the project, not_started, and returns its row.

description says what it does and is required. test_steps is a JSON array of strings or objects, at most 10,000. A feature is the
project''s; agent_id, which cannot be ''*'', is recorded. session_id is the session it is worked on in; it need not exist yet.
Errors: 22023, 23505 when the project has the feature, 42501, 54000, 55000.';

COMMENT ON FUNCTION memory_feature_get(TEXT, TEXT, TEXT) IS
'The feature with this id, whoever added it; no row when the project has none. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_feature_list(TEXT, TEXT, TEXT, TEXT, INT, TEXT) IS
'The project''s features that pass the filters, oldest first.

status is not_started, in_progress, blocked, testing, complete or failed. agent_id is the agent that asks and filters nothing.
page_size is 1..10000. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_feature_update(TEXT, TEXT, bool, TEXT, TEXT, TEXT, jsonb, TEXT, TEXT, jsonb, TEXT, TEXT) IS
'Changes a feature and returns its row; what is left out stays as it is.

status: not_started can become in_progress, blocked or failed; in_progress testing, blocked, failed or not_started; blocked
not_started, in_progress or failed; testing complete, in_progress, blocked or failed; failed not_started or in_progress; complete
in_progress, which clears passes and the verification. complete needs passes and verified_by, given now or before. verified_by
also sets verified_at. Leaving blocked clears blocked_reason; a blank blocked_reason or implementation_notes takes it away.
metadata is a merge patch (RFC 7396). The agent that changes it, if one is named or the role is bound to one, becomes its
agent_id. Errors: 22023, P0002, 42501, 54000, 55000 also for a change of status that is not possible.';

COMMENT ON FUNCTION memory_forget(TEXT[], TEXT, TEXT, TEXT, TEXT, TEXT, jsonb, jsonb, timestamp with time zone, TEXT, TEXT) IS
'Erases memories for good, with every version, use and cached vector of them, and returns a receipt, which is kept as an event.

Every filter given has to hold; none at all is an error. agent_id is the author here. before compares created_at. reason is
required. Needs the admin privilege. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_get(TEXT, TEXT, TEXT) IS
'The memory with this id, if the caller may see it; otherwise no row.

agent_id is the agent that asks: it sees global memories, its own, and those shared with it; ''*'' (admin) sees all. A
sensitive content is shown as ***. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_grant(TEXT, TEXT, TEXT, TEXT) IS
'Lets a role use the memory functions in a project (''*'' is every project, for the owner to grant).

privilege is read, write or admin, each with those before it. With agent_id the role acts as that agent only. Members of the
role have its grants. For admins of the project. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_handoff(TEXT, TEXT, TEXT, TEXT, INT, TEXT) IS
'What an agent that takes over from another is to know, as one JSON object.

sessions are the open ones of the source (active or paused; at most 100, the one that was changed last first; with session_id
that one only), features those of these sessions that are not complete (at most 1000, oldest first). memories are what the source
wrote and the target sees: the k (1..1000) that fit query best, or without it the newest. recent_decisions are the newest k of
them of type strategy, reflection, control or procedural. A sensitive content is shown as ***. The caller has to be allowed to
act as one of the two agents; the two have to differ, and neither is ''*''. Reads only. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_health() IS
'How the store is, as JSON: numbers only, for any role.

status is healthy, degraded (it works, but somebody should look: issues says at what), unhealthy (it cannot be used as it is) or
uninitialized. version, store_version; db_health (in_recovery, read_only, connections of clients, max_connections,
reserved_connections); memories (total, live, keyed, expired, deleted, deprecated, sensitive; estimated beyond 50000 or 100 MB, else
counted); vectors (eligible, embedded, waiting, stale, sync_ratio); backlog (expired, tombstones, unsealed; up to 100001); worker (preloaded, last_run, runs, errors); index (valid, bytes); issues, a list
of texts. What cannot be known is null. Works on a standby. Raises no error for what it is to report.';

COMMENT ON FUNCTION memory_history(TEXT, TEXT, TEXT) IS
'Every version of a memory, oldest first; the current one has no valid_to, a deleted one''s is the time it was deleted.

operation is what ended the version: update, delete, restore, merge, kv_set. A sensitive content is shown as ***.
Errors: 22023, 42501, 55000.';

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

COMMENT ON FUNCTION memory_init(INT, TEXT, TEXT, INT, INT) IS
'Creates the memory store: ordinary tables in the extension''s schema, owned by the caller.

dimensions 1..2000 (default 384), embedder hash, md5 or external (default hash), text_search_config (default english),
hnsw_m 2..100 (default 16), hnsw_ef_construction 4..1000 (default 64). On an existing store it changes nothing; an argument
that differs from the store is an error. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_kv_alias(TEXT, TEXT, TEXT) IS
'Makes alias another name of key for all key/value functions of the project; with key NULL it removes the alias. True when
that changed something. Errors: 22023, 23505 when alias is a key with a value, 42501, 55000.';

COMMENT ON FUNCTION memory_kv_delete(TEXT, TEXT, TEXT, TEXT) IS
'Deletes a key, leaving a tombstone; false when it was not set. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_kv_get(TEXT, TEXT, TEXT, TEXT) IS
'The value of a key; NULL when it is not set, deleted or expired, *** when it is sensitive. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_kv_list(TEXT, TEXT, TEXT, TEXT) IS
'The keys that begin with prefix (all, when left out) and their values, by key; a sensitive value is shown as ***.
Errors: 42501, 55000.';

COMMENT ON FUNCTION memory_kv_set(TEXT, TEXT, bool, TEXT, interval, TEXT, jsonb, TEXT, TEXT) IS
'Sets the value of a key and returns the id of its memory.

There is one live value a key, namespace and project; an alias stands for its key. sensitive left out stays as it is (false
for a new key). source is kept in the metadata, which is merged (RFC 7396). Without ttl the value does not expire.
Errors: 22023, 23505 when another agent has the key, 42501, 54000, 55000.';

COMMENT ON FUNCTION memory_list(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT[], jsonb, jsonb, timestamp with time zone, timestamp with time zone, INT, TEXT, bool, TEXT) IS
'The memories that pass the filters, newest first, a page at a time.

metadata is containment, filter the JSON filter language of memory_search, since and until bound created_at (until is not
included). page_size is 1..10000; after is the id of the last row of the page before. include_expired shows expired ones
that were not removed yet. Errors: 22023, 42501, 55000.';

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

COMMENT ON FUNCTION memory_migrate() IS
'Brings an older store, such as one restored from an old backup, up to the version of the library.

Runs the pending numbered migrations as the owner of the tables. Errors: 42501, 55000.';

COMMENT ON FUNCTION memory_new_id() IS
'A new memory id: a UUID version 7 (RFC 9562) as 32 hex digits, so that ids sort by time.';

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

COMMENT ON FUNCTION memory_reflect(TEXT, TEXT, TEXT, TEXT, TEXT[], TEXT, TEXT, jsonb, interval, vector, TEXT, TEXT, real, TEXT) IS
'Adds what was learned from a success or a failure, a memory of type reflection, and returns its id.

scope is global unless said otherwise. error_pattern names the kind of failure; correct_approach and applicable_contexts go into
the metadata under these names; source_trajectory_id is the run it was learned in. A reflection of equal content is the same one.
Errors: those of memory_add.';

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

COMMENT ON FUNCTION memory_restore_version(TEXT, INT, TEXT, TEXT) IS
'Makes an earlier version of a memory the current one and returns the new version''s number; a deleted memory lives again.

Errors: 22023, P0002 unknown memory or version, 42501, 55000.';

COMMENT ON FUNCTION memory_reveal(TEXT, TEXT, TEXT, TEXT) IS
'The content of a sensitive memory. Needs the admin privilege and a reason; both reading and reason are recorded as an event.
Errors: 22023, P0002, 42501, 55000.';

COMMENT ON FUNCTION memory_revoke(TEXT, TEXT, TEXT, TEXT) IS
'Takes grants of a role in a project back and returns how many; privilege and agent_id left out mean all.
Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_row_visible(TEXT, TEXT, TEXT, TEXT[], bool, timestamp with time zone, timestamp with time zone) IS
'Whether direct SQL of the current role may see a memory: the rule of row-level security. Sensitive rows are for admins,
because a row''s rule cannot mask a column.';

COMMENT ON FUNCTION memory_row_writable(TEXT, TEXT, TEXT) IS
'Whether direct SQL of the current role may write a memory of this author and scope: the rule of row-level security.';

COMMENT ON FUNCTION memory_run_complete(TEXT, bool, TEXT, TEXT, TEXT[], bool, bool, jsonb, TEXT, TEXT) IS
'Completes a run, and lets its outcome speak for the memories it used.

auto_vote: the run''s agent votes helpful or harmful on each memory used that it sees, with the run as the task. auto_reflect: an
error becomes a reflection. memory_ids are added to those of the start, metadata is a merge patch. Completing again with the same
outcome changes nothing and returns the run as it is; with another outcome: 55000. Errors: 22023, P0002, 42501, 54000, 55000.';

COMMENT ON FUNCTION memory_run_get(TEXT, TEXT, TEXT) IS
'A run, if the caller may see it: its agent''s own, or one without an agent. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_run_start(TEXT, TEXT, TEXT, TEXT[], TEXT, jsonb, TEXT) IS
'Starts a run: one attempt at a task. memory_ids are the memories it uses, as far as they are known.

The run is the agent''s; without an agent it is everybody''s, and does not vote. Errors: 22023, 23505, 42501, 54000, 55000.';

COMMENT ON FUNCTION memory_scan(TEXT) IS
'Personal data, secrets and instructions to a model (prompt injection) in a text, whatever the policies are.

findings has category (pii, secret, injection), kind, start and length in characters (as in substr), confidence (medium, high) and the
policy in force for it (allow, flag, redact, reject: memory_ext.pii_policy, secret_policy, injection_policy); redacted is the text with
[REDACTED:kind] in place of each. Time grows with the length only. Errors: 22023 NULL, 54000 over memory_ext.max_content_bytes.';

COMMENT ON FUNCTION memory_search(TEXT, INT, vector, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT[], jsonb, jsonb, timestamp with time zone, timestamp with time zone, double precision, double precision, TEXT, interval, double precision, double precision, TEXT) IS
'The k memories that fit a query best, best first.

mode hybrid (default where there is text and a vector), vector or text. embedding is the query''s vector; left out, the store''s
embedder makes it. The query may have "quoted phrases", which are required, and -excluded words. k is 1..10000, and k rows are
returned whenever k match. metadata is containment; filter is a JSON filter ($eq $ne $gt $gte $lt $lte $in $nin $exists $and $or $nor
$nor $not on metadata paths). score is 0..1: text_weight shares it between the arms (fusion weighted, or rrf); recency_half_life
fades it with age, importance_weight mixes importance in, diversity (MMR) keeps like from like; min_score cuts it.
similarity is the cosine, text_rank the BM25 score. Reads only; works on a hot standby. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_security_check() IS
'What would void the access rules: one row a check, severity ok, warning or error. Errors: 55000.';

COMMENT ON FUNCTION memory_session_get(TEXT, TEXT, TEXT) IS
'The session with this id, if the caller may see it; otherwise no row.

agent_id is the agent that asks: it sees its own sessions and those of no agent; ''*'' (admin) sees all. progress is 0..100: what
was given, else the share of the items that are completed. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_session_list(TEXT, TEXT, INT, TEXT) IS
'The sessions the caller may see, the one that was changed last first.

status is active, paused, completed or failed; left out, it is any. page_size is 1..10000. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_session_start(TEXT, TEXT, jsonb, TEXT, jsonb, TEXT) IS
'Begins a session, active, of this agent (of everybody, without one), and returns its row.

next_items is what there is to do: a JSON array of strings or objects, at most 10,000, kept in order. An object''s "item" is its
name for complete_item. agent_id ''*'' is not possible. Errors: 22023, 23505 when the project has the session, 42501, 54000, 55000.';

COMMENT ON FUNCTION memory_session_update(TEXT, TEXT, jsonb, TEXT, jsonb, jsonb, TEXT, double precision, TEXT, TEXT, jsonb, TEXT, TEXT) IS
'Changes a session and returns its row; what is left out stays as it is.

status: active can become paused, completed or failed; paused active, completed or failed; failed active; completed is the end.
The lists are JSON arrays of strings or objects, at most 10,000, kept in order; a list that is given replaces the old one. A
blank in_progress_item, summary or last_action takes it away. complete_item is the name of an item (a string, or the "item" of an
object), which moves to the end of completed_items; an unknown one is appended, a completed one changes nothing. progress
0..100 holds until the items change again; without it it is 100 * completed / all items, those in progress, next and blocked
included. metadata is a merge patch (RFC 7396). Calls at the same time all count.
Errors: 22023, P0002, 42501, 54000, 55000 also for a change of status that is not possible.';

COMMENT ON FUNCTION memory_stats(TEXT) IS
'The metrics of memory_metrics() as rows, with rows and backlogs counted, which reads the tables; and memories by what they are
(memory_memories: total, live, keyed, expired, deleted, deprecated, sensitive, eligible for a vector, embedded, waiting, stale, over:
expired, deleted or not) and by type.

project_id NULL is the whole store; for one project there are its counts alone, for its admins too. Of durations there are _count and
_sum. memory_ext_scrape_errors is the number of parts that could not be read. Errors: 22023, 42501, 55P03.';

COMMENT ON FUNCTION memory_timeline(TEXT, TEXT, TEXT, TEXT[], timestamp with time zone, timestamp with time zone, INT, TEXT, TEXT) IS
'What happened in a session, oldest first, a page at a time.

memory_types is episodic unless said otherwise (NULL: every type). since and until bound created_at (until is not included).
page_size is 1..10000; after is the id of the last row of the page before. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_touch(TEXT[], TEXT, TEXT) IS
'Counts one use of each of these memories, beside them in memory_usage; returns how many of them the caller may see.

Needs the write privilege. Searching counts nothing by itself. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_undeprecate(TEXT, TEXT, TEXT) IS
'Brings a deprecated memory back into use. False when it is not deprecated.

Undoes memory_consolidate() too: votes that were counted for the other memory are taken back. If an equal memory was added, or
the key was set, in the meantime: 23505. Errors: 22023, P0002, 23505, 42501, 55000.';

COMMENT ON FUNCTION memory_update(TEXT, TEXT, jsonb, interval, timestamp with time zone, real, TEXT, TEXT, TEXT[], bool, vector, INT, TEXT, TEXT) IS
'Changes a memory and returns its version; what is left out stays as it is.

metadata is a merge patch (RFC 7396): null removes a key. A new content gets a new vector. ttl counts from now; expires_at
''infinity'' takes the end away. sensitive => true removes the vector and the text index entry. expected_version refuses the
change (40001) when somebody else was first. Errors: 22023, P0002, 23505, 40001, 42501, 54000, 55000.';

COMMENT ON FUNCTION memory_validate_vectors(TEXT, INT) IS
'The checks of memory_check_integrity() that are about vectors, and in a first row, vectors, what there is: rows, embedded, waiting
(live, not sensitive, without a vector), stale (with the vector of another text), sensitive (never embedded) and deleted.

hnsw_reach looks by the vector index for sample memories (0..10000) by their own vectors: searched, found_itself. project_id and
errors as for memory_check_integrity().';

COMMENT ON FUNCTION memory_version() IS
'The versions of extension, library, store, pgvector and server, and what the store was made with.';

COMMENT ON FUNCTION memory_vote(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT) IS
'Votes on a memory and returns its counters.

vote is helpful or harmful. Each agent has one vote a memory and task (no task_id is a task of its own); voting again changes
it. The voter has to see the memory; a role that is bound to one agent need not name it. context says what happened; left out, it
stays as it was. effectiveness_score is (helpful - harmful) / (helpful + harmful + 1), the formula of Aegis Memory.
Errors: 22023, P0002, 42501, 55000.';

COMMENT ON FUNCTION memory_votes(TEXT, TEXT, INT, TEXT) IS
'The votes on a memory, oldest first, as they stand now.

page_size is 1..10000. Shows a deprecated memory''s votes too. Errors: 22023, P0002, 42501, 55000.';
