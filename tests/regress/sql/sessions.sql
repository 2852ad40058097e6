-- Sessions of work.
SET client_min_messages = warning;
SELECT memory_init() ->> 'created' AS created;

SELECT session_id, agent_id, status, progress, completed_items, in_progress_item, next_items, blocked_items, summary, metadata, project_id
FROM memory_session_start('export', agent_id => 'a', next_items => '["read", {"item": "write", "hours": 2}, "test"]', summary => 'CSV export', metadata => '{"ticket": 7}');
SELECT in_progress_item, next_items, progress FROM memory_session_update('export', in_progress_item => 'plan', agent_id => 'a');
SELECT completed_items, in_progress_item, next_items, progress FROM memory_session_update('export', complete_item => 'plan', agent_id => 'a');
SELECT completed_items, next_items, progress FROM memory_session_update('export', complete_item => 'write', last_action => 'wrote it', agent_id => 'a');
SELECT completed_items, progress FROM memory_session_update('export', complete_item => 'write', agent_id => 'a');
SELECT completed_items, progress FROM memory_session_update('export', complete_item => 'unforeseen', agent_id => 'a');
SELECT next_items, blocked_items, progress FROM memory_session_update('export', next_items => '["read"]', blocked_items => '["test"]', agent_id => 'a');
SELECT metadata, progress FROM memory_session_update('export', metadata => '{"ticket": null, "branch": "csv"}', progress => 75, agent_id => 'a');

-- Who sees it.
SELECT session_id FROM memory_session_get('export', agent_id => 'b');
SELECT session_id FROM memory_session_start('for all');
SELECT session_id FROM memory_session_list(agent_id => 'b');
SELECT session_id FROM memory_session_list(agent_id => 'a');
SELECT session_id FROM memory_session_list(status => 'paused', agent_id => 'a');
SELECT * FROM memory_session_update('export', status => 'paused', agent_id => 'b');

-- States.
SELECT status FROM memory_session_update('export', status => 'paused', agent_id => 'a');
SELECT status FROM memory_session_update('export', status => 'failed', agent_id => 'a');
SELECT * FROM memory_session_update('export', status => 'completed', agent_id => 'a');
SELECT status FROM memory_session_update('export', status => 'active', agent_id => 'a');
SELECT status, completed_at IS NOT NULL AS dated FROM memory_session_update('export', status => 'completed', agent_id => 'a');
SELECT * FROM memory_session_update('export', status => 'active', agent_id => 'a');

-- Refused.
SELECT * FROM memory_session_start('export', agent_id => 'b');
SELECT session_id, project_id FROM memory_session_start('export', project_id => 'other');
SELECT * FROM memory_session_start(' ');
SELECT * FROM memory_session_start('x', next_items => '{"item": "a"}');
SELECT * FROM memory_session_start('x', next_items => '[1]');
SELECT * FROM memory_session_update('for all', progress => 200);
SELECT * FROM memory_session_update('for all', status => 'done');
SELECT * FROM memory_session_update('no such session', status => 'paused');
SELECT * FROM memory_session_list(status => 'done');
