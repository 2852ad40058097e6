-- Embedders.
SET client_min_messages = warning;
SELECT memory_init(dimensions => 8, embedder => 'md5');
SELECT memory_embed('');
SELECT memory_embed('Hello, world!');
SELECT memory_embed(NULL);
SELECT memory_add('Hello, world!', id => 'm');
SELECT embedding FROM memories;
SELECT id, round(similarity::numeric, 6) AS similarity FROM memory_search('Hello, world!', mode => 'vector');
