-- Features, and when they are complete.
SET client_min_messages = warning;
SELECT memory_init() ->> 'created' AS created;

SELECT feature_id, description, category, status, passes, test_steps, agent_id, session_id, metadata, project_id
FROM memory_feature_create('csv', description => 'CSV export', category => 'billing', test_steps => '["open", "click", "save"]', agent_id => 'a', session_id => 's', metadata => '{"ticket": 7}');
SELECT feature_id FROM memory_feature_create('pdf', description => 'PDF export', category => 'billing');
SELECT feature_id FROM memory_feature_create('login', description => 'Log in');
SELECT feature_id, status FROM memory_feature_list();
SELECT feature_id FROM memory_feature_list(category => 'billing', page_size => 1);
SELECT feature_id FROM memory_feature_list(session_id => 's');

-- On the way.
SELECT status, implementation_notes FROM memory_feature_update('csv', status => 'in_progress', implementation_notes => 'semicolons');
SELECT status, blocked_reason FROM memory_feature_update('csv', status => 'blocked', blocked_reason => 'no sample');
SELECT status FROM memory_feature_update('csv', status => 'in_progress');
SELECT status FROM memory_feature_update('csv', status => 'testing', metadata => '{"ticket": null, "branch": "csv"}');
SELECT * FROM memory_feature_update('csv', status => 'complete');
SELECT * FROM memory_feature_update('csv', status => 'complete', passes => true);
SELECT passes, verified_by FROM memory_feature_update('csv', passes => true);
SELECT status, passes, verified_by, verified_at IS NOT NULL AS verified, completed_at IS NOT NULL AS completed, metadata
FROM memory_feature_update('csv', status => 'complete', verified_by => 'qa');
SELECT feature_id FROM memory_feature_list(status => 'complete');
SELECT status, passes, verified_by, verified_at, completed_at FROM memory_feature_update('csv', status => 'in_progress');

-- Not from everywhere to everywhere.
SELECT * FROM memory_feature_update('pdf', status => 'testing');
SELECT * FROM memory_feature_update('pdf', status => 'complete', passes => true, verified_by => 'qa');
SELECT status FROM memory_feature_update('pdf', status => 'failed');
SELECT * FROM memory_feature_update('pdf', status => 'blocked');
SELECT status FROM memory_feature_update('pdf', status => 'not_started');

-- Refused.
SELECT * FROM memory_feature_create('csv', description => 'again');
SELECT feature_id, project_id FROM memory_feature_create('csv', description => 'elsewhere', project_id => 'other');
SELECT * FROM memory_feature_create('', description => 'x');
SELECT * FROM memory_feature_create('x', description => 'x', test_steps => '{"step": 1}');
SELECT * FROM memory_feature_update('pdf', status => 'done');
SELECT * FROM memory_feature_update('no such feature', passes => true);
SELECT * FROM memory_feature_list(status => 'done');
SELECT count(*) FROM memory_feature_get('no such feature');
