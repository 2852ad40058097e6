-- Adding memories by the batch.
SET client_min_messages = warning;
SELECT memory_init();

SELECT * FROM memory_add_many('[
    {"content": "one", "id": "1", "namespace": "n", "metadata": {"k": "v"}, "importance": 0.25, "ttl": "1 day"},
    {"content": "two", "id": "2", "agent_id": "a"},
    {"content": "three", "id": "3", "agent_id": "a", "shared_with_agents": ["b"], "memory_type": "episodic"},
    {"content": "four", "id": "4", "sensitive": true},
    {"content": "five", "id": "5", "key": "fifth"},
    {"content": " two ", "agent_id": "a"}
]');
SELECT id, content, key, namespace, agent_id, scope, shared_with_agents, metadata, memory_type, importance, is_sensitive,
       expires_at - created_at AS lives, embedding IS NOT NULL AS embedded
FROM memories ORDER BY id;

-- A string is a memory too.
SELECT ordinal, length(id) AS length, deduplicated FROM memory_add_many('["six", "seven", "six"]');
SELECT count(*) FROM memories;

-- All or none.
SELECT * FROM memory_add_many('["eight", {"content": ""}]');
SELECT * FROM memory_add_many('["eight", {"content": "nine", "flavour": "sweet"}]');
SELECT * FROM memory_add_many('["eight", {"content": "nine", "ttl": "-1 day"}]');
SELECT * FROM memory_add_many('["eight", {"content": "nine", "embedding": [1, 2]}]');
SELECT * FROM memory_add_many('["eight", {"content": "nine", "id": "1"}]');
SELECT count(*) FROM memories;
SELECT * FROM memory_add_many('[]');
