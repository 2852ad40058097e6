-- Making the store.

SELECT memory_version() - '{server,pgvector}'::text[] AS before;
SELECT memory_get('x');

SELECT memory_init(dimensions => 32, embedder => 'hash', text_search_config => 'simple', hnsw_m => 8, hnsw_ef_construction => 32);
SELECT memory_version() - '{server,pgvector}'::text[] AS after;

-- Again: it is as it is.
SELECT memory_init() ->> 'created' AS created;
SELECT memory_init(dimensions => 32, hnsw_m => 8) ->> 'created' AS created;
SELECT memory_init(dimensions => 64);
SELECT memory_init(embedder => 'external');

SELECT name, embedder, dimensions, text_search_config, active FROM memory_models;
SELECT number, extension_version, length(checksum) AS checksum FROM memory_migrations;
SELECT memory_migrate();

-- The store is made of ordinary tables that belong to whoever made it, not to the extension.
SELECT c.relname, c.relowner::regrole, c.relrowsecurity,
       EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') AS member
FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' ORDER BY 1;

SELECT vector_dims(memory_embed('thirty-two')) AS dimensions;
