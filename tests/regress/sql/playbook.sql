-- The playbook: what is relevant and proven.
SET client_min_messages = warning;
SELECT memory_init() ->> 'created' AS created;
SELECT memory_add('Rotate the database password every month', memory_type => 'strategy', id => 'password', metadata => '{"task_type": "security"}');
SELECT memory_add('Rotate the logs every night', memory_type => 'strategy', id => 'logs');
SELECT memory_add('Descale the coffee machine', memory_type => 'strategy', id => 'coffee', metadata => '{"task_type": "office"}');
SELECT memory_add('A fact, no strategy', memory_type => 'semantic', id => 'fact');
SELECT memory_vote('logs', 'helpful', 'v' || i) IS NOT NULL AS voted FROM generate_series(1, 4) i;
SELECT memory_vote('coffee', 'harmful', 'v' || i) IS NOT NULL AS voted FROM generate_series(1, 2) i;

SELECT id, content, memory_type, bullet_helpful, bullet_harmful, round(effectiveness_score::numeric, 4) AS effectiveness, round(confidence::numeric, 4) AS confidence,
       relevance, round(score::numeric, 4) AS score FROM memory_playbook();
SELECT id, relevance IS NOT NULL AS relevant FROM memory_playbook('rotate the database password', k => 1);
SELECT id FROM memory_playbook(min_effectiveness => 0);
SELECT id FROM memory_playbook(min_effectiveness => 0.8);
SELECT id FROM memory_playbook(task_type => 'security');
SELECT id FROM memory_playbook(memory_types => '{semantic}');
SELECT id FROM memory_playbook(metadata => '{"task_type": "office"}');
SELECT id FROM memory_playbook(filter => '{"task_type": {"$exists": true}}', k => 1);

-- How much what is proven weighs.
SET memory_ext.effectiveness_weight = 1;
SELECT id FROM memory_playbook('rotate the database password', k => 1);
SET memory_ext.effectiveness_weight = 2;
RESET memory_ext.effectiveness_weight;

-- Fading.
UPDATE memories SET created_at = now() - interval '90 days', updated_at = now() - interval '90 days' WHERE id = 'logs';
SET memory_ext.decay = on;
SELECT id, round(score::numeric, 4) AS score, round(confidence::numeric, 4) AS confidence FROM memory_playbook();
RESET memory_ext.decay;

-- As it was.
SELECT clock_timestamp() AS before \gset
SELECT memory_vote('password', 'helpful', 'a') IS NOT NULL AS voted;
SELECT memory_update('password', 'Rotate no password');
SELECT memory_deprecate('coffee');
SELECT id, content, bullet_helpful FROM memory_playbook() ORDER BY id;
SELECT id, content, bullet_helpful FROM memory_playbook(as_of => :'before') ORDER BY id;
SELECT count(*) FROM memory_playbook(as_of => '2001-01-01');

-- Refused.
SELECT * FROM memory_playbook(k => 0);
SELECT * FROM memory_playbook(min_effectiveness => 2);
SELECT * FROM memory_playbook(memory_types => '{poem}');
SELECT * FROM memory_playbook(embedding => '[1, 2]');
SELECT * FROM memory_playbook(filter => '[]');
SELECT * FROM memory_playbook(as_of => '2999-01-01');
