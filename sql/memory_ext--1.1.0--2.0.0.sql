\echo Use "ALTER EXTENSION memory_ext UPDATE" to load this file. \quit

-- Made by `make schema` from the install scripts of both releases: change the Rust code, not this file.

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
