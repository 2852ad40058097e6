-- Versions, and going back to one.
SET client_min_messages = warning;
SELECT memory_init();
SELECT memory_add('version one', id => 'm', metadata => '{"n": 1}', importance => 0.1);
SELECT memory_update('m', 'version two', metadata => '{"n": 2}');
UPDATE memories SET content = 'version three, by hand' WHERE id = 'm';
SELECT memory_delete('m');

SELECT version, operation, content, metadata, importance, changed_by, agent_id, valid_from < valid_to OR valid_to IS NULL AS lived FROM memory_history('m');
SELECT count(*) FROM memory_history('no such id');

SELECT memory_restore_version('m', 1);
SELECT content, metadata, version FROM memory_get('m');
SELECT version, operation, content FROM memory_history('m');
SELECT memory_restore_version('m', 9);

-- A change that changes nothing makes no version.
UPDATE memories SET content = content;
SELECT memory_touch('{m}');
SELECT count(*) FROM memory_history('m');

-- Of another agent.
SELECT memory_add('private', id => 'p', agent_id => 'a');
SELECT memory_update('p', 'private, changed', agent_id => 'a');
SELECT count(*) FROM memory_history('p', 'b');
SELECT version, operation, content, agent_id FROM memory_history('p', 'a');
SELECT memory_restore_version('p', 1, 'b');
