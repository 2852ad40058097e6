-- Several changes as one, and reflections.
SET client_min_messages = warning;
SELECT memory_init() ->> 'created' AS created;
SELECT memory_add('The deploy takes ten minutes', id => 'm', metadata => '{"n": 1}'), memory_add('The deploy is manual', id => 'old');

SELECT * FROM memory_delta('[
    {"operation": "add", "content": "The deploy runs in the pipeline", "id": "new", "memory_type": "procedural"},
    {"operation": "update", "id": "m", "content": "The deploy takes two minutes", "metadata": {"n": null, "k": 2}},
    {"operation": "deprecate", "id": "old", "reason": "automated", "superseded_by": "new"},
    {"operation": "add", "content": "The deploy runs in the pipeline", "memory_type": "procedural"}
]');
SELECT id, content, metadata, memory_type, version FROM memory_list() ORDER BY id;
SELECT superseded_by FROM memories WHERE id = 'old';

-- All or nothing.
SELECT * FROM memory_delta('[{"operation": "add", "content": "never"}, {"operation": "update", "id": "nobody", "content": "x"}]');
SELECT * FROM memory_delta('[{"operation": "add", "content": "never"}, {"operation": "update", "id": "m", "importance": 1, "expected_version": 1}]');
SELECT count(*) FROM memory_list();

-- Or each for itself.
SELECT * FROM memory_delta('[
    {"operation": "add", "content": "First of three", "id": "first"},
    {"operation": "update", "id": "nobody", "content": "x"},
    {"operation": "add", "content": " "},
    {"operation": "deprecate", "id": "first"}
]', atomic => false);
SELECT id FROM memory_list() ORDER BY id;

-- As an agent.
SELECT ordinal, operation, success FROM memory_delta('[{"operation": "add", "content": "Mine", "id": "mine"}]', agent_id => 'a');
SELECT agent_id, scope FROM memory_get('mine', 'a');
SELECT * FROM memory_delta('[{"operation": "deprecate", "id": "mine"}]', agent_id => 'b');

-- Refused.
SELECT * FROM memory_delta(NULL);
SELECT * FROM memory_delta('{"operation": "add", "content": "x"}');
SELECT * FROM memory_delta('["x"]');
SELECT * FROM memory_delta('[{"operation": "delete", "id": "m"}]');
SELECT * FROM memory_delta('[{"operation": "add", "content": "x", "colour": "red"}]');
SELECT * FROM memory_delta('[{"operation": "update", "content": "x"}]');
SET memory_ext.max_batch = 1;
SELECT * FROM memory_delta('[{"operation": "add", "content": "a"}, {"operation": "add", "content": "b"}]', atomic => false);
RESET memory_ext.max_batch;
SELECT * FROM memory_delta('[]');

-- Reflections.
SELECT memory_reflect('Retrying at once hit the rate limit again', agent_id => 'a', error_pattern => 'HTTP 429', correct_approach => 'wait as Retry-After says',
    applicable_contexts => '{http,billing}', source_trajectory_id => 'run-7') IS NOT NULL AS added;
SELECT content, memory_type, scope, agent_id, metadata, error_pattern, source_trajectory_id FROM memories WHERE memory_type = 'reflection';
SELECT memory_reflect(' ');
SELECT memory_reflect('x', scope => 'everyone');
