-- Settings: values that are refused, names that do not exist.
SET client_min_messages = warning;
SELECT memory_init();

SET memory_ext.project = 'apollo';
SELECT memory_add('in apollo', id => 'm');
SELECT project_id FROM memories;
RESET memory_ext.project;

SET memory_ext.max_content_bytes = 10;
SELECT memory_add('more than ten bytes');
RESET memory_ext.max_content_bytes;

SET memory_ext.max_batch = 1;
SELECT * FROM memory_add_many('["one", "two"]');
RESET memory_ext.max_batch;

SET memory_ext.default_ttl = '2h';
SELECT memory_add('with a default end', id => 'd');
SELECT expires_at - created_at AS lives FROM memory_get('d');
RESET memory_ext.default_ttl;

SET memory_ext.vector_path = 'fast';
SET memory_ext.text_weight = 2;
SET memory_ext.audit = 'loud';
SET memory_ext.naptime = 5;
SET memory_ext.colour = 'red';
SHOW memory_ext.colour;
