-- The first memory makes the store, and says so.

SET memory_ext.auto_init = off;
SELECT memory_add('refused');
SET memory_ext.auto_init = on;

-- What fails leaves no store behind.
SELECT memory_add(' ');
SELECT to_regclass('memories') IS NULL AS none;

-- A vector that comes with it says of which kind the store is.
SELECT memory_add('the first memory', id => 'first', embedding => '[1, 2, 3]');
SELECT name, embedder, dimensions FROM memory_models;
SELECT memory_add('the second memory', id => 'second');
SELECT id, embedding FROM memories ORDER BY id;
