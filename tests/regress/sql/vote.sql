-- Votes, and deprecating what has been voted on.
SET client_min_messages = warning;
SELECT memory_init() ->> 'created' AS created;
SELECT memory_add('Ask for the invoice number first', memory_type => 'strategy', id => 'm');
SELECT memory_add('Of another agent', agent_id => 'b', id => 'private');

SELECT * FROM memory_vote('m', 'helpful', 'a');
SELECT * FROM memory_vote('m', 'helpful', 'b', 'saved ten minutes', 'task-1');
SELECT * FROM memory_vote('m', 'harmful', 'c');

-- The same vote again changes nothing; another one is a change of mind and counts once.
SELECT * FROM memory_vote('m', 'harmful', 'c');
SELECT * FROM memory_vote('m', 'helpful', 'c', 'it was the customer');
SELECT * FROM memory_vote('m', 'harmful', 'a', task_id => 'task-2');
SELECT voter_agent_id, vote, context, task_id, updated_at > created_at AS changed FROM memory_votes('m');
SELECT voter_agent_id, vote, task_id FROM vote_changes;
SELECT voter_agent_id, vote FROM memory_votes('m', page_size => 2);
SELECT bullet_helpful, bullet_harmful, version FROM memories WHERE id = 'm';

-- Only who sees a memory votes on it.
SELECT * FROM memory_vote('private', 'helpful', 'a');
SELECT * FROM memory_vote('private', 'helpful', 'b');
SELECT * FROM memory_votes('private', agent_id => 'a');
SELECT * FROM memory_vote('m', 'helpful', 'a', project_id => 'other');

-- Refused.
SELECT * FROM memory_vote('m', 'up', 'a');
SELECT * FROM memory_vote('m', NULL, 'a');
SELECT * FROM memory_vote('m', 'helpful');
SELECT * FROM memory_vote('m', 'helpful', '*');
SELECT * FROM memory_vote('', 'helpful', 'a');
SELECT * FROM memory_vote('no such id', 'helpful', 'a');
SELECT * FROM memory_vote('m', 'helpful', 'a', task_id => ' ');
SELECT * FROM memory_votes('no such id');

-- Deprecated: out of sight, not lost.
SELECT memory_add('Ask for the customer number first', memory_type => 'strategy', id => 'n');
SELECT memory_deprecate('m', 'a better one is there', superseded_by => 'n');
SELECT memory_deprecate('m');
SELECT id FROM memory_list();
SELECT id FROM memory_search('invoice number', mode => 'text') ORDER BY id;
SELECT count(*) FROM memory_get('m');
SELECT * FROM memory_vote('m', 'helpful', 'd');
SELECT count(*) FROM memory_votes('m');
SELECT version, operation, content FROM memory_history('m');
SELECT event, memory_id, payload FROM memory_events WHERE event = 'deprecate';
SELECT is_deprecated, superseded_by, deprecated_at IS NOT NULL AS dated FROM memories WHERE id = 'm';

-- Added again it is a live memory, and then the old one cannot come back.
SELECT memory_add('Ask for the invoice number first', memory_type => 'strategy', id => 'again');
SELECT memory_undeprecate('m');
SELECT memory_delete('again');
SELECT memory_undeprecate('m');
SELECT memory_undeprecate('m');
SELECT id FROM memory_list() ORDER BY id;
SELECT bullet_helpful, bullet_harmful FROM memories WHERE id = 'm';

-- What supersedes has to be another live memory.
SELECT memory_deprecate('m', superseded_by => 'm');
SELECT memory_deprecate('m', superseded_by => 'no such id');
SELECT memory_deprecate('m', superseded_by => 'private');
SELECT memory_deprecate('no such id');
SELECT memory_undeprecate('no such id');
