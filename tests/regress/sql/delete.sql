-- The ends of a memory: deleted, forgotten, expired.
SET client_min_messages = warning;
SELECT memory_init();
SELECT memory_add('to delete', id => 'd'), memory_add('to forget', id => 'f', user_id => 'u'), memory_add('to expire', id => 'e', ttl => '1 hour'),
       memory_add('to stay', id => 's');

SELECT memory_delete('d');
SELECT memory_delete('d');
SELECT memory_delete('no such id');
SELECT id FROM memory_list() ORDER BY id;
SELECT id, deleted_at IS NOT NULL AS deleted FROM memories ORDER BY id;
SELECT event, memory_id, payload FROM memory_events ORDER BY event_id;

SELECT memory_update('f', 'to forget, changed');
SELECT memory_forget(user_id => 'u', reason => 'the user asked') - 'forgotten_at' AS receipt;
SELECT count(*) FROM memory_history WHERE memory_id = 'f';
SELECT memory_forget(reason => 'everything');
SELECT memory_forget(user_id => 'u');
SELECT memory_forget(metadata => '{}', reason => 'everything');

UPDATE memories SET expires_at = now() - interval '1 minute' WHERE id = 'e';
SELECT id FROM memory_list() ORDER BY id;
SELECT memory_expire();
SELECT memory_expire();
SELECT memory_expire(0);
SELECT id FROM memories ORDER BY id;
SELECT event, memory_id, payload - 'forgotten_at' AS payload FROM memory_events ORDER BY event_id;
DELETE FROM memory_events;
UPDATE memory_events SET event = 'nothing happened';
