-- Search.
SET client_min_messages = warning;
SELECT memory_init();
SELECT count(*) FROM memory_add_many('[
    {"id": "deploy", "content": "Deployments of the web shop go out on Tuesday morning", "namespace": "ops", "metadata": {"p": 1}},
    {"id": "rollback", "content": "Rolling back the web shop takes one command", "namespace": "ops", "metadata": {"p": 2}},
    {"id": "oncall", "content": "Bob is on call during deployments", "namespace": "people", "importance": 0.9},
    {"id": "coffee", "content": "The coffee machine needs descaling", "namespace": "office"},
    {"id": "plants", "content": "Water the plants on Tuesday", "namespace": "office", "memory_type": "procedural"}
]');

SELECT id FROM memory_search('when do we deploy the web shop?', 1);
SELECT id FROM memory_search('deployments', mode => 'text') ORDER BY id;
SELECT id FROM memory_search('Tuesday', mode => 'text', namespace => 'office');
SELECT id FROM memory_search('"web shop" Tuesday', mode => 'text', k => 1);
SELECT id FROM memory_search('deployments -Bob', mode => 'text');
SELECT id FROM memory_search('nothing of the kind', mode => 'text');
SELECT count(*) FROM memory_search('anything at all', mode => 'vector');
SELECT id FROM memory_search('Tuesday', memory_types => '{procedural}');
SELECT id FROM memory_search('web shop', filter => '{"p": {"$gt": 1}}');
SELECT id FROM memory_search('web shop', metadata => '{"p": 1}');
SELECT id FROM memory_search('deployments', 1, mode => 'text', importance_weight => 0.9);

-- The first is the best, and scores are between 0 and 1.
SELECT bool_and(score BETWEEN 0 AND 1), bool_and(similarity BETWEEN -1 AND 1) FROM memory_search('web shop deployments');
SELECT id, text_rank IS NOT NULL AS by_text FROM memory_search('coffee', 5) ORDER BY text_rank NULLS LAST LIMIT 1;
SELECT count(*) FROM memory_search('coffee', 5, min_score => 0.99);
SELECT id FROM memory_search('web shop', 1, fusion => 'rrf');

-- By a vector.
SELECT id, round(similarity::numeric, 4) AS similarity FROM memory_search(embedding => memory_embed('The coffee machine needs descaling'), k => 1);

-- Every path finds the same.
SET memory_ext.vector_path = 'exact';
SELECT string_agg(id, ' ') AS exact FROM memory_search('the web shop', 3, mode => 'vector') \gset
SET memory_ext.vector_path = 'sketch';
SELECT string_agg(id, ' ') = :'exact' AS same FROM memory_search('the web shop', 3, mode => 'vector');
SET memory_ext.vector_path = 'hnsw';
SELECT string_agg(id, ' ') = :'exact' AS same FROM memory_search('the web shop', 3, mode => 'vector');
SELECT memory_explain('the web shop', 3) -> 'path' AS path;
RESET memory_ext.vector_path;

-- Refused.
SELECT * FROM memory_search();
SELECT * FROM memory_search('x', 0);
SELECT * FROM memory_search('x', mode => 'magic');
SELECT * FROM memory_search('x', fusion => 'magic');
SELECT * FROM memory_search('x', embedding => '[1, 2]');
SELECT * FROM memory_search('x', memory_types => '{poem}');
SELECT * FROM memory_search('x', text_weight => 2);
SELECT * FROM memory_search('x', recency_half_life => '-1 day');
SELECT * FROM memory_search('x', since => '2020-01-02', until => '2020-01-01');
