-- Secrets.
SET client_min_messages = warning;
SELECT memory_init();
SELECT memory_add('The door code is 4711', id => 'code', sensitive => true);
SELECT memory_add('The door is green', id => 'green');

SELECT id, content, is_sensitive FROM memory_list() ORDER BY id;
SELECT id FROM memory_search('door code 4711');
SELECT embedding IS NULL AND embedding_sketch IS NULL AND content_tsv IS NULL AS unindexed FROM memories WHERE id = 'code';
SELECT memory_context('door code');
SELECT memory_kv_set('pin', '1234', sensitive => true) IS NOT NULL AS set;
SELECT memory_kv_get('pin');
SELECT key, value, is_sensitive FROM memory_kv_list();

SELECT memory_reveal('code', 'locked out');
SELECT memory_reveal('code', '');
SELECT event, memory_id, role, payload FROM memory_events WHERE event = 'reveal';

-- What turns secret is secret with its past; what turns open is found again.
SELECT memory_update('green', 'The door is really blue', sensitive => true);
SELECT version, content FROM memory_history('green');
SELECT id FROM memory_search('blue door');
SELECT memory_update('green', sensitive => false);
SELECT id FROM memory_search('blue door');

SELECT memory_add('x', sensitive => true, embedding => memory_embed('x'));
