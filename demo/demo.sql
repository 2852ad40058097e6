-- A tour through memory_ext on the memories of demo/memories.jsonl. Any failure ends it.
\pset footer off

\echo
\echo '1. Add a memory, and find it by what it is about'
SELECT memory_add('Dana wants the ledger export as CSV with semicolons, because her spreadsheet is set to German.',
                  agent_id => 'coder', namespace => 'billing-service', user_id => 'dana',
                  metadata => '{"tags": ["export"], "confidence": 0.9}') AS new_id \gset
\echo 'memory_add returned' :new_id
\echo
SELECT round(score::numeric, 2) AS score, left(content, 88) AS content
FROM memory_search('which file format does Dana want for the export?', k => 3, agent_id => 'coder');

\echo
\echo '2. Hybrid search: words and meaning together, one ranked list'
SELECT round(score::numeric, 2) AS score, round(similarity::numeric, 2) AS similarity,
       round(text_rank::numeric, 2) AS text_rank, left(content, 76) AS content
FROM memory_search('why did the invoice job time out at night', k => 4, agent_id => 'coder');

\echo
\echo '3. Search with a filter: settled refunds of 50 euro and more'
SELECT round(score::numeric, 2) AS score, metadata->>'amount' AS amount, left(content, 82) AS content
FROM memory_search('customer got the money back', k => 4, agent_id => 'support-bot', namespace => 'support',
                   filter => '{"amount": {"$gte": 50}, "resolved": true, "tags": {"$exists": true}}');

\echo
\echo '4. A block of context for a prompt, packed into a budget of tokens'
SELECT memory_context('planning a hiking trip by train', token_budget => 160, agent_id => 'companion', user_id => 'elena') AS context;

\echo
\echo '5. Time to live: a memory of one second'
SELECT memory_add('The customer in chat 6001 is looking for the serial number.', agent_id => 'support-bot',
                  namespace => 'support', session_id => 'chat-6001', ttl => '1 second') AS short_id \gset
SELECT count(*) AS visible_now FROM memory_get(:'short_id', agent_id => 'support-bot') \gset
SELECT pg_sleep(1.1) AS slept \gset
SELECT :visible_now AS visible_at_once, count(*) AS visible_after_a_second
FROM memory_get(:'short_id', agent_id => 'support-bot');

\echo
\echo '6. Key/value: exact lookups beside the search, versions kept, secrets masked'
SELECT memory_kv_set('deploy.window', 'Tuesday 10:00', agent_id => 'coder', namespace => 'team') AS id \gset
SELECT memory_kv_set('deploy.window', 'Thursday 14:00', agent_id => 'coder', namespace => 'team') AS id \gset
SELECT memory_kv_set('deploy.token', 'demo-token-0000', sensitive => true, agent_id => 'coder', namespace => 'team') AS token_id \gset
SELECT key, value, is_sensitive, version FROM memory_kv_list('deploy.', agent_id => 'coder', namespace => 'team');
SELECT memory_kv_get('deploy.token', agent_id => 'coder', namespace => 'team') AS asked_for,
       memory_reveal(:'token_id', 'demonstration', agent_id => 'coder') AS revealed_and_recorded;
SELECT version, operation, content FROM memory_history(:'id', agent_id => 'coder');

\echo
\echo '7. Why this result: memory_explain'
SELECT plan->>'mode' AS mode, plan->>'path' AS path, plan->>'population' AS population,
       plan->>'rows_scanned' AS rows_scanned, plan->>'complete' AS complete
FROM memory_explain('knee trouble after running', k => 3, agent_id => 'companion') AS plan;

\echo
\echo '8. Access: a role bound to one agent sees what that agent may see'
-- Roles belong to the cluster and are left over from the last run.
SET client_min_messages = warning;
DROP ROLE IF EXISTS demo_support, demo_stranger;
RESET client_min_messages;
CREATE ROLE demo_support LOGIN;
CREATE ROLE demo_stranger LOGIN;
SELECT memory_grant('demo_support', 'default', 'write', agent_id => 'support-bot') AS granted \gset
SELECT memory_count(agent_id => '*') AS memories_for_the_owner;

\connect - demo_support
SELECT session_user AS role, memory_count() AS memories, count(*) FILTER (WHERE scope = 'agent-private') AS private,
       array_agg(DISTINCT agent_id) FILTER (WHERE scope = 'agent-private') AS private_ones_of
FROM memory_list(page_size => 1000);

\echo 'It may not act as another agent:'
\set ON_ERROR_STOP 0
SELECT memory_count(agent_id => 'companion');
\set ON_ERROR_STOP 1
\echo 'SQLSTATE' :SQLSTATE
SELECT :'SQLSTATE' = '42501' AS refused \gset
\if :refused
\else
DO $$ BEGIN RAISE EXCEPTION 'a bound role acted as another agent'; END $$;
\endif

\connect - demo_stranger
\echo
\echo 'A role without a grant sees nothing:'
\set ON_ERROR_STOP 0
SELECT * FROM memory_search('refund');
\set ON_ERROR_STOP 1
\echo 'SQLSTATE' :SQLSTATE
SELECT :'SQLSTATE' = '42501' AS refused \gset
\if :refused
\else
DO $$ BEGIN RAISE EXCEPTION 'a role without a grant could search'; END $$;
\endif
