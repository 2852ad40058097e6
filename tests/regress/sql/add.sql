-- Adding memories, one at a time.
SET client_min_messages = warning;
SELECT memory_init();

SELECT memory_add('The staging cluster is rebuilt every night', id => 'm1');
SELECT memory_add('Alice owns the billing service', agent_id => 'coder', user_id => 'u1', session_id => 's1', entity_id => 'alice',
                  namespace => 'people', memory_type => 'semantic', metadata => '{"team": "billing"}', importance => 0.9, id => 'm2');
SELECT memory_add('Shared between agents', agent_id => 'coder', shared_with_agents => '{tester,planner}', id => 'm3');
SELECT memory_add('For everyone', agent_id => 'coder', scope => 'global', id => 'm4');
SELECT memory_add('Gone in an hour', ttl => '1 hour', id => 'm5');
SELECT memory_add('Elsewhere', project_id => 'other', id => 'm1');

SELECT id, project_id, namespace, agent_id, user_id, session_id, entity_id, scope, shared_with_agents, metadata, memory_type, importance,
       version, expires_at - created_at AS lives, embedding IS NOT NULL AS embedded, embedded_hash = content_hash AS fresh
FROM memories ORDER BY project_id, id
\gx

-- An equal memory is the same memory.
SELECT memory_add('  The staging cluster  is rebuilt every night ');
SELECT memory_add('The staging cluster is rebuilt every night', metadata => '{"a": 1}', on_duplicate => 'merge');
SELECT metadata FROM memory_get('m1');
SELECT memory_add('The staging cluster is rebuilt every night', id => 'm6', on_duplicate => 'new');
SELECT memory_add('The staging cluster is rebuilt every night', on_duplicate => 'error');
SELECT memory_add('The staging cluster is rebuilt every night', id => 'm7', namespace => 'another');
SELECT count(*) FROM memories WHERE content LIKE '%staging%';

-- A dead one is not.
SELECT memory_add('Once and again', id => 'dead');
SELECT memory_delete('dead');
SELECT memory_add('Once and again', id => 'alive');

-- Refused.
SELECT memory_add(NULL);
SELECT memory_add('x', id => 'm1');
SELECT memory_add('x', scope => 'everybody');
SELECT memory_add('x', scope => 'agent-private');
SELECT memory_add('x', memory_type => 'poem');
SELECT memory_add('x', metadata => '[1, 2]');
SELECT memory_add('x', importance => 2);
SELECT memory_add('x', ttl => '-1 day');
SELECT memory_add('x', ttl => '1 day', expires_at => '2999-01-01');
SELECT memory_add('x', embedding => '[1, 2, 3]');
SELECT memory_add('x', on_duplicate => 'ignore');
SELECT memory_add('x', agent_id => 'a', scope => 'global', shared_with_agents => '{b}');
