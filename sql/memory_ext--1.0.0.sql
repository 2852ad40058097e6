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

CREATE FUNCTION "memory_before_write"(

) RETURNS trigger
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_before_write_wrapper';

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

CREATE FUNCTION "memory_delete"(
    "id" TEXT,
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS bool
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_delete_wrapper';

CREATE FUNCTION "memory_embed"(
    "content" TEXT
) RETURNS vector
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_embed_wrapper';

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

CREATE FUNCTION "memory_migrate"() RETURNS jsonb
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_migrate_wrapper';

CREATE FUNCTION "memory_new_id"() RETURNS TEXT
STRICT VOLATILE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_new_id_wrapper';

CREATE FUNCTION "memory_refuse_change"(

) RETURNS trigger
STRICT VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_refuse_change_wrapper';

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

CREATE FUNCTION "memory_touch"(
    "ids" TEXT[],
    "agent_id" TEXT DEFAULT NULL,
    "project_id" TEXT DEFAULT NULL
) RETURNS bigint
VOLATILE PARALLEL UNSAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_touch_wrapper';

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

CREATE FUNCTION "memory_version"() RETURNS jsonb
STRICT STABLE PARALLEL RESTRICTED
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_version_wrapper';

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

COMMENT ON FUNCTION memory_before_write() IS
'Trigger of memories: gives a new or changed row its vector, version, time and deduplication key.';

COMMENT ON FUNCTION memory_content_hash(TEXT) IS
'SHA-256 of a content after normalisation (Unicode NFC, trimmed, runs of white space as one blank).';

COMMENT ON FUNCTION memory_context(TEXT, INT, INT, vector, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT[], jsonb, jsonb, timestamp with time zone, timestamp with time zone, TEXT) IS
'The memories that fit a query best as one text for a prompt: a line each, best first, with the id in brackets.

token_budget bounds its length, counted by a heuristic; a memory that does not fit is left out and
the next one tried. k is how many to consider. The other arguments are those of memory_search. Empty when nothing fits.
Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_count(TEXT, TEXT, TEXT, TEXT, TEXT, TEXT[], jsonb, jsonb, timestamp with time zone, timestamp with time zone, bool, TEXT) IS
'How many memories pass the filters, which are those of memory_list. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_delete(TEXT, TEXT, TEXT) IS
'Deletes a memory: it is gone from every reading function at once, and memory_restore_version can bring it back until the
tombstone''s retention is over. False when there was none the caller may see. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_embed(TEXT) IS
'The vector that the store''s embedder makes of a text. Errors: 22023 NULL, 55000 where callers bring the vectors.';

COMMENT ON FUNCTION memory_expire(INT) IS
'Removes expired memories of all projects for good, with their versions, and tombstones older than
memory_ext.tombstone_retention; at most batch rows, so call it until it returns 0. Expired memories are invisible before
already. For the owner of the memories; the background worker calls the same. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_explain(TEXT, INT, vector, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT[], jsonb, jsonb, timestamp with time zone, timestamp with time zone, double precision, double precision, TEXT, interval, double precision, double precision, TEXT) IS
'What memory_search does with the same arguments: the path taken, rows scanned, each arm''s ranks, settings and timings.';

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

COMMENT ON FUNCTION memory_history(TEXT, TEXT, TEXT) IS
'Every version of a memory, oldest first; the current one has no valid_to, a deleted one''s is the time it was deleted.

operation is what ended the version: update, delete, restore, merge, kv_set. A sensitive content is shown as ***.
Errors: 22023, 42501, 55000.';

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

COMMENT ON FUNCTION memory_migrate() IS
'Brings an older store, such as one restored from an old backup, up to the version of the library.

Runs the pending numbered migrations as the owner of the tables. Errors: 42501, 55000.';

COMMENT ON FUNCTION memory_new_id() IS
'A new memory id: a UUID version 7 (RFC 9562) as 32 hex digits, so that ids sort by time.';

COMMENT ON FUNCTION memory_refuse_change() IS
'Trigger of memory_events: an audit trail is added to, never changed.';

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

COMMENT ON FUNCTION memory_touch(TEXT[], TEXT, TEXT) IS
'Counts one use of each of these memories, beside them in memory_usage; returns how many of them the caller may see.

Needs the write privilege. Searching counts nothing by itself. Errors: 22023, 42501, 55000.';

COMMENT ON FUNCTION memory_update(TEXT, TEXT, jsonb, interval, timestamp with time zone, real, TEXT, TEXT, TEXT[], bool, vector, INT, TEXT, TEXT) IS
'Changes a memory and returns its version; what is left out stays as it is.

metadata is a merge patch (RFC 7396): null removes a key. A new content gets a new vector. ttl counts from now; expires_at
''infinity'' takes the end away. sensitive => true removes the vector and the text index entry. expected_version refuses the
change (40001) when somebody else was first. Errors: 22023, P0002, 23505, 40001, 42501, 54000, 55000.';

COMMENT ON FUNCTION memory_version() IS
'The versions of extension, library, store, pgvector and server, and what the store was made with.';
