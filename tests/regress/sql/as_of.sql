-- Memories as of a past time.
SET client_min_messages = warning;
SELECT memory_init() ->> 'created' AS created;
SELECT memory_add('Invoices are closed on the third working day', id => 'invoices', metadata => '{"day": 3}', memory_type => 'strategy');
SELECT memory_add('The staging database is down', id => 'staging');
SELECT memory_kv_set('deploy.window', 'Tuesday 10:00') IS NOT NULL AS set;
SELECT memory_vote('invoices', 'helpful', 'coder');
SELECT clock_timestamp() AS monday \gset
SELECT memory_update('invoices', 'Invoices are closed on the fifth working day', metadata => '{"day": 5}');
SELECT memory_delete('staging');
SELECT memory_kv_set('deploy.window', 'Friday 16:00') IS NOT NULL AS set;
SELECT memory_vote('invoices', 'harmful', 'coder');
SELECT memory_add('The night job runs at two', id => 'night');

-- By a function, with filters and pages.
SELECT id, content, metadata, version, scope FROM memory_as_of(:'monday') WHERE key IS NULL;
SELECT id FROM memory_as_of(:'monday', filter => '{"day": {"$lt": 4}}');
SELECT id FROM memory_as_of(:'monday', page_size => 1, after => 'staging');
SELECT count(*) FROM memory_as_of('2001-01-01');
SELECT id, content FROM memory_as_of(now()) WHERE key IS NULL;

-- By the setting.
BEGIN;
SET LOCAL memory_ext.as_of = :'monday';
SELECT content FROM memory_get('invoices');
SELECT id FROM memory_list() WHERE key IS NULL;
SELECT memory_count();
SELECT memory_kv_get('deploy.window');
SELECT key, value, version FROM memory_kv_list();
SELECT id, content FROM memory_search('when are invoices closed?', 1);
SELECT id FROM memory_search('third', mode => 'text');
SELECT id FROM memory_search('fifth', mode => 'text');
SELECT memory_context('invoices', k => 1);
SELECT memory_explain('invoices') -> 'path' AS path;
SELECT id, bullet_helpful, bullet_harmful FROM memory_playbook();
SELECT memory_add('a note');
ROLLBACK;
SELECT content FROM memory_get('invoices');
SELECT id, bullet_helpful, bullet_harmful FROM memory_playbook();

-- Refused.
SELECT * FROM memory_as_of(NULL);
SELECT * FROM memory_as_of('2999-01-01');
SELECT * FROM memory_as_of(now(), page_size => 0);
SELECT * FROM memory_as_of(:'monday', after => 'night');
SET memory_ext.as_of = 'some day';
SELECT memory_count();
SET memory_ext.as_of = 'tomorrow';
SELECT memory_count();
SET memory_ext.as_of = 'yesterday';
SELECT memory_count();
SELECT memory_delete('invoices');
SELECT memory_handoff('a', 'b');
RESET memory_ext.as_of;
