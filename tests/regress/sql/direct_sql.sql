-- Plain SQL of the owner keeps every rule.
SET client_min_messages = warning;
SELECT memory_init();

INSERT INTO memories (id, content) VALUES ('i', 'inserted');
INSERT INTO memories (id, content, is_sensitive) VALUES ('s', 'a secret', true);
COPY memories (id, content, key) FROM STDIN;
c	copied	a key
\.
SELECT id, version, scope, memory_type, namespace, embedding::text = memory_embed(coalesce(key || ': ', '') || content)::text AS embedded,
       embedded_hash = content_hash AS fresh, content_tsv FROM memories ORDER BY id;

UPDATE memories SET content = 'updated' WHERE id = 'i';
UPDATE memories SET is_sensitive = true WHERE id = 'c';
UPDATE memories SET importance = 0.9 WHERE id = 'i';
SELECT id, version, embedding::text = memory_embed(coalesce(key || ': ', '') || content)::text AS embedded, embedded_hash = content_hash AS fresh,
       updated_at >= created_at AS touched FROM memories ORDER BY id;
DELETE FROM memories WHERE id = 's';
SELECT memory_id, version, operation, importance, changed_by FROM memory_history ORDER BY memory_id, version;

-- What cannot be. (The details of these errors hold ids and times.)
\set VERBOSITY terse
INSERT INTO memories (content, metadata) VALUES ('x', '"text"');
INSERT INTO memories (content, scope) VALUES ('x', 'everyone');
INSERT INTO memories (content, importance) VALUES ('x', 7);
INSERT INTO memories (id, content, key) VALUES ('k', 'x', 'a key');
UPDATE memories SET id = 'renamed' WHERE id = 'i';
UPDATE memories SET project_id = 'moved' WHERE id = 'i';
