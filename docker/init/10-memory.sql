-- Runs once, in POSTGRES_DB, when the official image has made a new cluster: the extension, a role without login that owns the
-- store, the store, and a role that may read metrics and nothing else. Its password is in the file METRICS_PASSWORD_FILE names; without that it cannot log in.
\set ON_ERROR_STOP on

CREATE EXTENSION IF NOT EXISTS memory_ext CASCADE;
CREATE ROLE memory_owner NOLOGIN;
GRANT USAGE, CREATE ON SCHEMA public TO memory_owner;
SET ROLE memory_owner;
SELECT memory_init();
RESET ROLE;

\set metrics `test -s "${METRICS_PASSWORD_FILE:-/dev/null}" && echo on || echo off`
\set metrics_password `cat "${METRICS_PASSWORD_FILE:-/dev/null}"`
CREATE ROLE metrics IN ROLE pg_monitor CONNECTION LIMIT 3;
\if :metrics
    -- The statement with the password stays out of the server log, whatever is logged.
    BEGIN;
    SET LOCAL log_statement = 'none';
    SET LOCAL log_min_duration_statement = -1;
    SET LOCAL log_min_error_statement = 'panic';
    ALTER ROLE metrics LOGIN PASSWORD :'metrics_password';
    COMMIT;
\endif
