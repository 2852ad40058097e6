-- A block for a prompt, and what a search did.
SET client_min_messages = warning;
SELECT memory_init();
SELECT memory_add('The harbour opens at six', id => 'open'), memory_add(E'The harbour\n closes   at ten', id => 'close'), memory_kv_set('harbour.master', 'Ms Berg') \g /dev/null

SELECT memory_context('when does the harbour open at six?', k => 1);
SELECT memory_context('harbour closes ten', k => 1);
SELECT memory_context('harbour', token_budget => 3);
SELECT count(*) FROM regexp_split_to_table(memory_context('harbour', 1000), E'\n') line WHERE line <> '';
SELECT memory_context('harbour', token_budget => 0);

SELECT key FROM jsonb_object_keys(memory_explain('harbour', 2)) key ORDER BY 1;
SELECT e -> 'mode' AS mode, e -> 'path' AS path, e -> 'population' AS population, e -> 'complete' AS complete, e -> 'fallback' AS fallback,
       jsonb_array_length(e -> 'arms' -> 'vector') AS vector, jsonb_array_length(e -> 'arms' -> 'text') AS text
FROM memory_explain('harbour', 2) e;
SELECT e -> 'mode' AS mode, e -> 'path' AS path FROM memory_explain('harbour', mode => 'text') e;
