-- Duplicates, merged and parted; promoting and flagging.
SET client_min_messages = warning;
SELECT memory_init(dimensions => 3, embedder => 'external') ->> 'created' AS created;
SELECT memory_add('Close the ledger at noon', memory_type => 'strategy', id => 'old', embedding => '[1, 0, 0]');
SELECT memory_add('The ledger closes at noon', memory_type => 'strategy', id => 'new', embedding => '[1, 0.05, 0]');
SELECT memory_add('Feed the cat', memory_type => 'strategy', id => 'cat', embedding => '[0, 1, 0]');
SELECT memory_add('Feed the cat', memory_type => 'strategy', id => 'cat of b', embedding => '[0, 1, 0]', agent_id => 'b');

SELECT id, duplicate_id, round(similarity::numeric, 4) AS similarity, content, duplicate_content FROM memory_duplicates();
SELECT count(*) FROM memory_duplicates(0.9999);
SELECT count(*) FROM memory_duplicates(namespace => 'elsewhere');

-- The better proven is kept, with the votes of both.
SELECT (memory_vote('new', 'helpful', 'a')).bullet_helpful AS new_a, (memory_vote('new', 'helpful', 'b')).bullet_helpful AS new_b, (memory_vote('old', 'helpful', 'c')).bullet_helpful AS old_c;
SELECT kept_id, merged_id, round(similarity::numeric, 4) AS similarity, votes, done FROM memory_consolidate();
SELECT id FROM memory_list() ORDER BY id;
SELECT kept_id, merged_id, round(similarity::numeric, 4) AS similarity, votes, done FROM memory_consolidate(dry_run => false);
SELECT id, is_deprecated, superseded_by, bullet_helpful FROM memories ORDER BY id;
SELECT memory_undeprecate('old');
SELECT id, is_deprecated, superseded_by, bullet_helpful FROM memories ORDER BY id;

-- Curating: nothing fresh is flagged.
SELECT memory_vote('cat', 'harmful', 'v' || i) IS NOT NULL AS voted FROM generate_series(1, 5) i;
SELECT memory_vote('new', 'helpful', 'c') IS NOT NULL AS voted;
SELECT action, id, other_id, round(effectiveness_score::numeric, 4) AS effectiveness, round(similarity::numeric, 4) AS similarity, content, done FROM memory_curate() ORDER BY action, id;
UPDATE memories SET created_at = now() - interval '8 days' WHERE id = 'cat';
SELECT action, id, done FROM memory_curate() ORDER BY action, id;
SELECT action, id, done FROM memory_curate(min_votes => 6) ORDER BY action, id;
SELECT action, id, done FROM memory_curate(dry_run => false) ORDER BY action, id;
SELECT id, importance FROM memory_list() ORDER BY id;
SELECT event, memory_id, payload FROM memory_events WHERE memory_id = 'cat';

-- Refused.
SELECT * FROM memory_duplicates(2);
SELECT * FROM memory_consolidate(similarity => -1);
SELECT * FROM memory_curate(flag_at => 'NaN');
SELECT * FROM memory_curate(memory_types => '{poem}');
SELECT * FROM memory_duplicates(page_size => 0);
