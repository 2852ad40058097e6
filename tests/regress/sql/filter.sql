-- The filter language, one operator after the other.
SET client_min_messages = warning;
SELECT memory_init();
SELECT memory_add('a', id => 'a', metadata => '{"n": 1, "s": "x", "tags": ["red", "blue"], "deep": {"er": {"n": 10}}, "nothing": null, "yes": true}');
SELECT memory_add('b', id => 'b', metadata => '{"n": 2.5, "s": "y", "tags": ["green"], "deep": {"er": {"n": 9}}, "yes": false}');
SELECT memory_add('c', id => 'c', metadata => '{"n": "2.5", "s": "z", "list": [{"v": 1}, {"v": 2}]}');
SELECT memory_add('d', id => 'd');

CREATE FUNCTION ids(filter jsonb) RETURNS text LANGUAGE sql AS
    $$ SELECT coalesce(string_agg(id, ' ' ORDER BY id), '-') FROM memory_list(filter => filter) $$;

SELECT f AS filter, ids(f) FROM unnest(ARRAY[
    '{}', '{"n": 1}', '{"n": 2.5}', '{"n": 2.50}', '{"n": "2.5"}', '{"tags": "red"}', '{"nothing": null}', '{"yes": true}', '{"n": 1, "s": "x"}', '{"n": 1, "s": "y"}',
    '{"n": {"$eq": 1}}', '{"n": {"$ne": 1}}', '{"n": {"$gt": 1}}', '{"n": {"$gte": 1}}', '{"n": {"$lt": 2.5}}', '{"n": {"$lte": 2.5}}', '{"n": {"$gt": 0, "$lt": 2}}',
    '{"s": {"$gt": "x"}}', '{"deep.er.n": {"$gt": 9}}', '{"list.v": 2}', '{"list.v": {"$gt": 2}}',
    '{"s": {"$in": ["x", "z"]}}', '{"s": {"$in": []}}', '{"s": {"$nin": ["x", "z"]}}', '{"tags": {"$nin": ["red"]}}',
    '{"n": {"$exists": true}}', '{"n": {"$exists": false}}', '{"nothing": {"$exists": true}}',
    '{"$and": [{"n": {"$gt": 0}}, {"s": "y"}]}', '{"$or": [{"s": "x"}, {"s": "z"}]}', '{"$not": {"s": "x"}}', '{"n": {"$not": {"$gt": 1}}}'
]::jsonb[]) WITH ORDINALITY AS t (f, i) ORDER BY i;

SELECT ids('[]');
SELECT ids('{"n": {"$regex": "x"}}');
SELECT ids('{"$xor": [{"n": 1}]}');
SELECT ids('{"n": {"$in": 1}}');
SELECT ids('{"n": {"$gt": true}}');
SELECT ids('{"n": {"$exists": "yes"}}');
SELECT ids('{"$or": []}');
SELECT ids('{"n": {}}');
SELECT ids('{"n": {"m": 1}}');
SELECT ids('{"": 1}');
