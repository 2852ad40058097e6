-- Getting, listing and counting.
SET client_min_messages = warning;
SELECT memory_init();
SELECT * FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('content', 'memory ' || i, 'id', 'm' || i, 'namespace', 'n' || i % 2,
    'metadata', jsonb_build_object('i', i, 'odd', i % 2 = 1))) FROM generate_series(1, 9) i));
SELECT memory_add('of an agent', agent_id => 'a', id => 'private');
SELECT memory_add('of an agent, shared', agent_id => 'a', shared_with_agents => '{b}', id => 'shared');

SELECT id, content, namespace, metadata, scope, version FROM memory_get('m3');
SELECT id FROM memory_get('no such id');
SELECT id FROM memory_get('private');
SELECT id FROM memory_get('private', agent_id => 'a');
SELECT id FROM memory_get('shared', agent_id => 'b');
SELECT id FROM memory_get('m3', project_id => 'other');

-- Pages, newest first.
SELECT id FROM memory_list(page_size => 4);
SELECT id FROM memory_list(page_size => 4, after => 'm6');
SELECT id FROM memory_list(page_size => 4, after => 'm2');

-- Filters.
SELECT id FROM memory_list(namespace => 'n0');
SELECT id FROM memory_list(metadata => '{"odd": true}');
SELECT id FROM memory_list(filter => '{"i": {"$gte": 3, "$lt": 5}}');
SELECT id FROM memory_list(agent_id => 'b', filter => '{"i": {"$exists": false}}');
SELECT id FROM memory_list(memory_types => '{episodic}');
SELECT id FROM memory_list(since => now() + interval '1 day');
SELECT memory_count(), memory_count(agent_id => 'a'), memory_count(agent_id => '*'), memory_count(namespace => 'n1');

-- What has expired is not there unless asked for.
UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = 'm9';
SELECT memory_count(), memory_count(include_expired => true);
SELECT id FROM memory_list(page_size => 2);
SELECT id FROM memory_list(page_size => 2, include_expired => true);

SELECT id FROM memory_list(page_size => 0);
SELECT id FROM memory_list(after => 'no such id');
SELECT id FROM memory_list(filter => '{"i": {"$between": [1, 2]}}');
