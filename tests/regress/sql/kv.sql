-- Keys and values.
SET client_min_messages = warning;
SELECT memory_init();

SELECT memory_kv_set('user.name', 'Ada', source => 'profile') IS NOT NULL AS set;
SELECT memory_kv_set('user.name', 'Ada Lovelace') = (SELECT id FROM memories) AS same;
SELECT memory_kv_get('user.name');
SELECT key, value, source, is_sensitive, version, namespace, metadata FROM memory_kv_list();
SELECT memory_kv_get('no such key');

SELECT memory_kv_delete('user.name');
SELECT memory_kv_delete('user.name');
SELECT memory_kv_get('user.name');
SELECT memory_kv_set('user.name', 'Grace') IS NOT NULL AS set;
SELECT memory_kv_get('user.name');

-- Namespaces, prefixes.
SELECT memory_kv_set('user.mail', 'grace@example.org', metadata => '{"checked": true}'), memory_kv_set('user.name', 'Grace in n', namespace => 'n') \g /dev/null
SELECT namespace, key, value FROM memory_kv_list('user.');
SELECT namespace, key, value FROM memory_kv_list('user.', namespace => 'n');
SELECT key FROM memory_kv_list('user.m');

-- Aliases.
SELECT memory_kv_alias('username', 'user.name');
SELECT memory_kv_get('username'), memory_kv_get('username', namespace => 'n');
SELECT memory_kv_set('username', 'Hopper') IS NOT NULL AS set;
SELECT memory_kv_get('user.name');
SELECT alias, key FROM memory_key_aliases;
SELECT memory_kv_alias('username');
SELECT memory_kv_get('username');

-- Expiry: every set says anew.
SELECT memory_kv_set('token', 't', ttl => '1 hour') IS NOT NULL AS set;
SELECT round(extract(epoch FROM expires_at - now()) / 60) AS minutes FROM memory_kv_list('token');
SELECT memory_kv_set('token', 't2') IS NOT NULL AS set;
SELECT expires_at FROM memory_kv_list('token');

-- Refused.
SELECT memory_kv_set(' ', 'v');
SELECT memory_kv_set('k', '');
SELECT memory_kv_set('k', NULL);
SELECT memory_kv_alias('token', 'user.name');
SELECT memory_kv_alias('a', 'a');
