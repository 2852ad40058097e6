\echo Use "ALTER EXTENSION memory_ext UPDATE" to load this file. \quit

-- Made by `make schema` from the install scripts of both releases: change the Rust code, not this file.

CREATE FUNCTION "memory_scan"(
    "content" TEXT
) RETURNS jsonb
STABLE PARALLEL SAFE
LANGUAGE c
AS 'MODULE_PATHNAME', 'memory_scan_wrapper';

COMMENT ON FUNCTION memory_scan(TEXT) IS
'Personal data, secrets and instructions to a model (prompt injection) in a text, whatever the policies are.

findings has category (pii, secret, injection), kind, start and length in characters (as in substr), confidence (medium, high) and the
policy in force for it (allow, flag, redact, reject: memory_ext.pii_policy, secret_policy, injection_policy); redacted is the text with
[REDACTED:kind] in place of each. Time grows with the length only. Errors: 22023 NULL, 54000 over memory_ext.max_content_bytes.';

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
