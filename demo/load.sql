-- Creates the extension and loads demo/memories.jsonl with one call of memory_add_many.
-- psql runs this from the project's directory, in an empty database.

SET client_min_messages = warning;
CREATE EXTENSION memory_ext CASCADE;
SELECT memory_init() AS store \gset

\set lines `cat demo/memories.jsonl`

SELECT count(*) AS added, count(*) > 0 AND NOT bool_or(deduplicated) AS complete
FROM memory_add_many((SELECT jsonb_agg(line::jsonb ORDER BY n)
                      FROM regexp_split_to_table(:'lines', '\n') WITH ORDINALITY AS t(line, n)
                      WHERE line <> '')) \gset

\if :complete
\echo :added 'memories loaded'
\else
DO $$ BEGIN RAISE EXCEPTION 'demo/memories.jsonl is empty or holds a memory twice'; END $$;
\endif
