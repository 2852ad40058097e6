-- Handing over, timelines, facts of an entity.
SET client_min_messages = warning;
SELECT memory_init() ->> 'created' AS created;
SELECT session_id FROM memory_session_start('export', agent_id => 'bob', next_items => '["write", "test"]', summary => 'CSV export');
SELECT session_id FROM memory_session_update('export', in_progress_item => 'read', last_action => 'opened it', agent_id => 'bob');
SELECT session_id FROM memory_session_start('ended', agent_id => 'bob');
SELECT status FROM memory_session_update('ended', status => 'completed', agent_id => 'bob');
SELECT feature_id FROM memory_feature_create('csv', description => 'CSV with semicolons', session_id => 'export');
SELECT memory_add('Dana opened the ticket', memory_type => 'episodic', agent_id => 'bob', scope => 'global', session_id => 'export', entity_id => 'dana', id => 'e1');
SELECT memory_add('Dana sent a sample', memory_type => 'episodic', agent_id => 'bob', scope => 'global', session_id => 'export', entity_id => 'dana', id => 'e2');
SELECT memory_add('Dana lives in Bern', memory_type => 'semantic', agent_id => 'bob', shared_with_agents => '{alice}', entity_id => 'dana', id => 'f1');
SELECT memory_add('Dana works in billing', memory_type => 'semantic', agent_id => 'bob', scope => 'global', entity_id => 'dana', id => 'f2');
SELECT memory_add('Use semicolons', memory_type => 'strategy', agent_id => 'bob', scope => 'global', id => 'plan');
SELECT memory_add('A thought of bob', agent_id => 'bob', id => 'private');

SELECT memory_handoff('bob', 'alice') AS told \gset
SELECT jsonb_pretty(:'told'::jsonb -> 'sessions') AS sessions, jsonb_pretty(:'told'::jsonb -> 'features') AS features;
SELECT m ->> 'id' AS id, m ->> 'content' AS content, m ->> 'memory_type' AS memory_type, m ->> 'scope' AS scope FROM jsonb_array_elements(:'told'::jsonb -> 'memories') m;
SELECT d ->> 'id' AS id FROM jsonb_array_elements(:'told'::jsonb -> 'recent_decisions') d;
SELECT m ->> 'id' AS id FROM jsonb_array_elements(memory_handoff('bob', 'carol') -> 'memories') m;
SELECT m ->> 'id' AS id FROM jsonb_array_elements(memory_handoff('bob', 'alice', query => 'where does Dana live?', k => 1) -> 'memories') m;
SELECT memory_handoff('bob', 'alice', session_id => 'ended') -> 'sessions' AS sessions;

SELECT id, content FROM memory_timeline('export');
SELECT id FROM memory_timeline('export', page_size => 1);
SELECT id FROM memory_timeline('export', after => 'e1');
SELECT id FROM memory_timeline('no such session');
SELECT id, content FROM memory_entity_facts('dana');
SELECT id, content FROM memory_entity_facts('dana', agent_id => 'alice');
SELECT id FROM memory_entity_facts('dana', memory_types => '{episodic,semantic}', page_size => 2);

-- Refused.
SELECT memory_handoff('bob', 'bob');
SELECT memory_handoff('bob', NULL);
SELECT memory_handoff('*', 'alice');
SELECT memory_handoff('bob', 'alice', k => 0);
SELECT * FROM memory_timeline(NULL);
SELECT * FROM memory_timeline('export', memory_types => '{poem}');
SELECT * FROM memory_timeline('export', after => 'no such id');
SELECT * FROM memory_entity_facts(' ');
SELECT * FROM memory_entity_facts('dana', page_size => 0);
