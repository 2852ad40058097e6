-- Runs: used memories are voted on, failures are learned from, once.
SET client_min_messages = warning;
SELECT memory_init() ->> 'created' AS created;
SELECT memory_add('Retry with a fresh token', memory_type => 'strategy', id => 'm1'), memory_add('Ask the cache first', memory_type => 'strategy', id => 'm2'),
       memory_add('Of another agent', agent_id => 'b', id => 'private');

SELECT run_id, agent_id, session_id, task_type, status, memory_ids, error, metadata, completed_at, project_id
FROM memory_run_start('r1', agent_id => 'a', task_type => 'sync', memory_ids => '{m1,private}', session_id => 's', metadata => '{"n": 1}');
SELECT status, memory_ids, votes, reflection_id, metadata, completed_at IS NOT NULL AS completed
FROM memory_run_complete('r1', true, memory_ids => '{m2}', metadata => '{"n": null, "m": 2}', agent_id => 'a');
SELECT memory_id, voter_agent_id, vote, task_id FROM vote_history ORDER BY memory_id;

-- Again: the same run, and no more votes.
SELECT status, memory_ids, votes FROM memory_run_complete('r1', true, memory_ids => '{m1,m2,x}', agent_id => 'a');
SELECT count(*) FROM vote_history;
SELECT * FROM memory_run_complete('r1', false, agent_id => 'a');

-- A failure.
SELECT run_id FROM memory_run_start('r2', agent_id => 'a', memory_ids => '{m1}');
SELECT status, votes, error, error_pattern, reflection_id IS NOT NULL AS reflected
FROM memory_run_complete('r2', false, error => 'token expired', error_pattern => 'HTTP 401', agent_id => 'a');
SELECT memory_type, scope, agent_id, error_pattern, source_trajectory_id FROM memories WHERE memory_type = 'reflection';
SELECT id, bullet_helpful, bullet_harmful FROM memories WHERE id IN ('m1', 'm2') ORDER BY id;

-- Without votes and reflection.
SELECT run_id FROM memory_run_start('r3', agent_id => 'a', memory_ids => '{m1}');
SELECT status, votes, reflection_id FROM memory_run_complete('r3', false, error => 'x', auto_vote => false, auto_reflect => false, agent_id => 'a');
SELECT run_id, agent_id FROM memory_run_start('r4', memory_ids => '{m1}');
SELECT status, votes FROM memory_run_complete('r4', true);

-- Who sees it.
SELECT count(*) FROM memory_run_get('r1', agent_id => 'b');
SELECT count(*) FROM memory_run_get('r4', agent_id => 'b');
SELECT * FROM memory_run_complete('r3', false, agent_id => 'b');

-- Refused.
SELECT * FROM memory_run_start('r1', agent_id => 'a');
SELECT run_id, project_id FROM memory_run_start('r1', project_id => 'other');
SELECT * FROM memory_run_start(NULL);
SELECT * FROM memory_run_start('x', metadata => '[]');
SELECT * FROM memory_run_complete('r4', NULL);
SELECT * FROM memory_run_complete('no such run', true);
