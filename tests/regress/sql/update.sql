-- Changing memories.
SET client_min_messages = warning;
SELECT memory_init();
SELECT memory_add('The deploy takes ten minutes', id => 'm', metadata => '{"a": {"b": 1, "c": 2}, "d": [1, 2]}', ttl => '1 day');

SELECT memory_update('m', 'The deploy takes two minutes');
SELECT memory_update('m', metadata => '{"a": {"b": null, "e": 3}, "d": [3]}');
SELECT memory_update('m', importance => 0.75, memory_type => 'procedural');
SELECT memory_update('m', expires_at => 'infinity');
SELECT content, metadata, importance, memory_type, expires_at, version FROM memory_get('m');
SELECT embedding::text = memory_embed('The deploy takes two minutes')::text AS embedded_anew FROM memories;

-- Optimistic locking.
SELECT memory_update('m', importance => 0.5, expected_version => 5);
SELECT memory_update('m', importance => 0.1, expected_version => 5);

-- Sharing and privacy.
SELECT memory_add('mine', agent_id => 'a', id => 'mine');
SELECT memory_update('mine', shared_with_agents => '{b}', agent_id => 'a');
SELECT scope, shared_with_agents FROM memory_get('mine', 'b');
SELECT memory_update('mine', 'changed by b', agent_id => 'b');
SELECT memory_update('mine', scope => 'agent-private', agent_id => 'a');
SELECT memory_update('mine', 'changed by b', agent_id => 'b');
SELECT scope, shared_with_agents, content FROM memory_get('mine', 'a');

-- Refused.
SELECT memory_update('no such id', 'x');
SELECT memory_update('m', ' ');
SELECT memory_update('m', metadata => '7');
SELECT memory_update('m', importance => -1);
SELECT memory_update('m', ttl => '1 day', expires_at => 'infinity');
SELECT memory_update('m', embedding => '[1, 2]');
SELECT memory_add('another', id => 'n');
SELECT memory_update('n', 'The deploy takes two minutes', memory_type => 'procedural');
SELECT version FROM memory_get('m');
