-- Types of memories are data.
SET client_min_messages = warning;
SELECT memory_init() ->> 'created' AS created;
SELECT memory_type, half_life_days FROM memory_types ORDER BY half_life_days, memory_type;

SELECT memory_add('Roses are red', memory_type => 'poem');
INSERT INTO memory_types (memory_type, half_life_days, description) VALUES ('poem', NULL, 'lasts for ever');
SELECT memory_add('Roses are red', memory_type => 'poem', id => 'poem');
SELECT memory_add('A thing that happened', memory_type => 'episodic', id => 'episode');
SELECT id, memory_type FROM memory_list(memory_types => '{poem}');
SELECT id FROM memory_search('roses', memory_types => '{poem}');
SELECT id FROM memory_list(memory_types => '{sonnet}');
SELECT memory_update('episode', memory_type => 'sonnet');

-- How fast they fade.
UPDATE memories SET created_at = now() - interval '14 days', updated_at = now() - interval '14 days';
SET memory_ext.decay = on;
SELECT id, round((score / confidence)::numeric, 3) AS left FROM memory_playbook(memory_types => '{poem,episodic}') ORDER BY id;
UPDATE memory_types SET half_life_days = 14 WHERE memory_type = 'poem';
SELECT id, round((score / confidence)::numeric, 3) AS left FROM memory_playbook(memory_types => '{poem,episodic}') ORDER BY id;
RESET memory_ext.decay;
SELECT id, round((score / confidence)::numeric, 3) AS left FROM memory_playbook(memory_types => '{poem,episodic}') ORDER BY id;
