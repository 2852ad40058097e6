//! What is wrong is refused: with the right SQLSTATE, saying what was got and what is expected, and with nothing changed.

mod support;

use support::cases::refuse_all;
use support::{Sql, cluster, store_hash};

/// A store with a few memories to lose.
fn store() -> postgres::Client {
    let mut sql = support::store();
    sql.run(
        "SELECT memory_add('the first memory', id => 'one', metadata => '{\"n\": 1}');
         SELECT memory_add('the second memory', id => 'two', ttl => '1 day');
         SELECT memory_add('a secret memory', id => 'secret', sensitive => true);
         SELECT memory_kv_set('key', 'value'); SELECT memory_kv_alias('alias', 'key');
         SELECT memory_update('one', importance => 0.7)",
    );
    sql
}

/// See `refuse_all`.
fn check(cases: &str) {
    refuse_all(&mut store(), cases);
}

#[test]
fn content_that_is_missing_blank_too_long_or_invalid() {
    check(
        r#"
        22023 | content, NULL | text | SELECT memory_add(NULL)
        22023 | content, blank | text | SELECT memory_add('')
        22023 | content, blank | text | SELECT memory_add(E' \t\r\n')
        22023 | content, blank | text | SELECT memory_add(E'\u200b\ufeff\u00a0')
        54000 | 1048577, 1048576 | memory_ext.max_content_bytes | SELECT memory_add(repeat('x', 1048577))
        54000 | 1048578, 1048576 | memory_ext.max_content_bytes | SELECT memory_add(repeat('é', 524289))
        22021 | |  | SELECT memory_add(E'bad \xff byte')
        22021 | |  | SELECT memory_add(E'bad \x00 byte')
        22023 | content, blank | text | SELECT memory_update('one', '')
        54000 | 1048577, 1048576 | memory_ext.max_content_bytes | SELECT memory_update('one', repeat('x', 1048577))
        54000 | 1048577, 1048576 | memory_ext.max_content_bytes | SELECT memory_kv_set('k', repeat('x', 1048577))
        54000 | item 2, 1048577, 1048576 | memory_ext.max_content_bytes | SELECT * FROM memory_add_many(jsonb_build_array('fine', repeat('x', 1048577)))
        22P05 | |  | SELECT * FROM memory_add_many('["a\u0000b"]')
        "#,
    );
}

#[test]
fn metadata_and_filters_that_are_no_objects_or_unknown() {
    check(
        r#"
        22023 | metadata, object | { | SELECT memory_add('x', metadata => '[1]')
        22023 | metadata, object | { | SELECT memory_add('x', metadata => '1')
        22023 | metadata, object | { | SELECT memory_add('x', metadata => '"text"')
        22023 | metadata, object | { | SELECT memory_add('x', metadata => 'null')
        22P02 | |  | SELECT memory_add('x', metadata => '{broken')
        22023 | metadata, object | { | SELECT memory_update('one', metadata => '[]')
        22023 | metadata, object | { | SELECT memory_kv_set('k', 'v', metadata => '7')
        22023 | metadata, object | { | SELECT * FROM memory_search('x', metadata => '[]')
        22023 | metadata, object | { | SELECT * FROM memory_list(metadata => 'true')
        22023 | filter, object | $eq | SELECT * FROM memory_search('x', filter => '[]')
        22023 | $regex, $eq | $eq | SELECT * FROM memory_search('x', filter => '{"n": {"$regex": "a"}}')
        22023 | $xor, $or | $or | SELECT * FROM memory_list(filter => '{"$xor": []}')
        22023 | $gt, a list | | SELECT memory_count(filter => '{"n": {"$gt": [1]}}')
        22023 | $in, a number | | SELECT memory_count(filter => '{"n": {"$in": 1}}')
        22023 | $exists, a number | | SELECT memory_count(filter => '{"n": {"$exists": 1}}')
        22023 | $or, empty | | SELECT memory_count(filter => '{"$or": []}')
        22023 | a..b | | SELECT memory_count(filter => '{"a..b": 1}')
        22023 | $like | $eq | SELECT memory_forget(filter => '{"n": {"$like": 1}}', reason => 'r')
        22023 | object | | SELECT memory_explain('x', filter => '7')
        22023 | object | | SELECT memory_context('x', filter => '7')
        "#,
    );
}

#[test]
fn words_that_are_no_choice() {
    check(
        r#"
        22023 | scope, everyone | agent-private | SELECT memory_add('x', scope => 'everyone')
        22023 | scope, Global | global | SELECT memory_add('x', scope => 'Global')
        22023 | memory_type, poem | episodic | SELECT memory_add('x', memory_type => 'poem')
        22023 | on_duplicate, ignore | merge | SELECT memory_add('x', on_duplicate => 'ignore')
        22023 | scope, none | global | SELECT memory_update('one', scope => 'none')
        22023 | memory_type | standard | SELECT memory_update('one', memory_type => '')
        22023 | mode, fuzzy | hybrid | SELECT * FROM memory_search('x', mode => 'fuzzy')
        22023 | fusion, sum | rrf | SELECT * FROM memory_search('x', fusion => 'sum')
        22023 | memory_type, poem | episodic | SELECT * FROM memory_search('x', memory_types => '{poem}')
        22023 | memory_types | | SELECT * FROM memory_search('x', memory_types => '{}')
        22023 | mode, none | vector | SELECT memory_explain('x', mode => 'none')
        22023 | mode, none | vector | SELECT memory_context('x', mode => 'none')
        22023 | gpt | hash | SELECT memory_init(embedder => 'gpt')
        "#,
    );
}

#[test]
fn numbers_out_of_their_range() {
    check(
        r#"
        22023 | k, 0, 1 | | SELECT * FROM memory_search('x', 0)
        22023 | k, -1, 1 | | SELECT * FROM memory_search('x', -1)
        22023 | k, 10001, 10000 | | SELECT * FROM memory_search('x', 10001)
        22023 | k, 0 | | SELECT memory_explain('x', 0)
        22023 | 10001, 10000 | | SELECT memory_context('x', k => 10001)
        22023 | token_budget, 0 | | SELECT memory_context('x', token_budget => 0)
        22023 | token_budget, -5 | | SELECT memory_context('x', token_budget => -5)
        22023 | page_size, 0, 10000 | | SELECT * FROM memory_list(page_size => 0)
        22023 | page_size, 10001, 10000 | | SELECT * FROM memory_list(page_size => 10001)
        22023 | batch, 0 | | SELECT memory_expire(0)
        22023 | batch, -1 | | SELECT memory_expire(-1)
        22023 | importance, 1.5 | | SELECT memory_add('x', importance => 1.5)
        22023 | importance, -0.1 | | SELECT memory_add('x', importance => -0.1)
        22023 | importance, NaN | | SELECT memory_add('x', importance => 'NaN')
        22023 | importance, inf | | SELECT memory_update('one', importance => 'infinity')
        22023 | text_weight, 1.1 | | SELECT * FROM memory_search('x', text_weight => 1.1)
        22023 | text_weight, NaN | | SELECT * FROM memory_search('x', text_weight => 'NaN')
        22023 | importance_weight, -1 | | SELECT * FROM memory_search('x', importance_weight => -1)
        22023 | importance_weight, NaN | | SELECT * FROM memory_search('x', importance_weight => 'NaN')
        22023 | diversity, 1.01 | | SELECT * FROM memory_search('x', diversity => 1.01)
        22023 | diversity, NaN | | SELECT * FROM memory_search('x', diversity => 'NaN')
        22023 | min_score, NaN | | SELECT * FROM memory_search('x', min_score => 'NaN')
        22023 | recency_half_life | | SELECT * FROM memory_search('x', recency_half_life => '0')
        22023 | recency_half_life | | SELECT * FROM memory_search('x', recency_half_life => '-1 day')
        P0002 | 0 | memory_history | SELECT memory_restore_version('one', 0)
        P0002 | -2147483648 | memory_history | SELECT memory_restore_version('one', -2147483648)
        40001 | 2, -1 | | SELECT memory_update('one', 'x', expected_version => -1)
        "#,
    );
}

#[test]
fn vectors_of_the_wrong_kind() {
    check(
        r#"
        22023 | 3, 384 | memory_version | SELECT memory_add('x', embedding => '[1, 2, 3]')
        22023 | 2, 384 | memory_version | SELECT memory_update('one', embedding => '[1, 2]')
        22023 | 3, 384 | memory_version | SELECT * FROM memory_search(embedding => '[1, 2, 3]')
        22023 | 3, 384 | | SELECT memory_explain('x', embedding => '[1, 2, 3]')
        22023 | 3, 384 | | SELECT memory_context('x', embedding => '[1, 2, 3]')
        22023 | zero | | SELECT memory_add('x', embedding => array_fill(0, ARRAY[384])::vector)
        22023 | zero | | SELECT * FROM memory_search(embedding => array_fill(0, ARRAY[384])::vector)
        22023 | zero | | SELECT memory_update('one', embedding => array_fill(0, ARRAY[384])::vector)
        22023 | length, 1e-15 | | SELECT memory_add('x', embedding => array_fill(1e-30, ARRAY[384])::vector)
        22023 | length, 1e18 | | SELECT memory_add('x', embedding => array_fill(1e37, ARRAY[384])::vector)
        22023 | length, 1e-15 | | SELECT * FROM memory_search(embedding => array_fill(1e-30, ARRAY[384])::vector)
        22023 | length, 1e-15 | | SELECT memory_update('one', embedding => array_fill(1e-30, ARRAY[384])::vector)
        22023 | length, 1e-15 | | INSERT INTO memories (content, embedding) VALUES ('x', array_fill(1e-30, ARRAY[384])::vector)
        22000 | NaN | | SELECT memory_add('x', embedding => '[NaN]')
        22000 | infinite | | SELECT memory_add('x', embedding => '[Infinity]')
        22P02 | |  | SELECT memory_add('x', embedding => '[one]')
        22023 | item 1, 2, 384 | | SELECT * FROM memory_add_many('[{"content": "x", "embedding": [1, 2]}]')
        22023 | item 1, embedding | | SELECT * FROM memory_add_many('[{"content": "x", "embedding": [1, "two"]}]')
        22023 | item 1, embedding | | SELECT * FROM memory_add_many('[{"content": "x", "embedding": "[1, 2]"}]')
        22023 | item 1, zero | | SELECT * FROM memory_add_many(jsonb_build_array(jsonb_build_object('content', 'x', 'embedding', to_jsonb(array_fill(0, ARRAY[384])))))
        22023 | item 1, finite | | SELECT * FROM memory_add_many(jsonb_build_array(jsonb_build_object('content', 'x', 'embedding', to_jsonb(array_fill(1e39::numeric, ARRAY[384])))))
        22023 | sensitive, embedding | | SELECT memory_add('x', sensitive => true, embedding => array_fill(1, ARRAY[384])::vector)
        22023 | sensitive, embedding | | SELECT memory_update('secret', embedding => array_fill(1, ARRAY[384])::vector)
        22023 | sensitive, embedding | | SELECT memory_update('one', sensitive => true, embedding => array_fill(1, ARRAY[384])::vector)
        22000 | 384, 3 | | INSERT INTO memories (content, embedding) VALUES ('x', '[1, 2, 3]')
        "#,
    );
}

#[test]
fn times_that_cannot_be() {
    check(
        r#"
        22023 | ttl, positive | | SELECT memory_add('x', ttl => '-1 day')
        22023 | ttl, positive | | SELECT memory_add('x', ttl => '0')
        22023 | ttl, positive | | SELECT memory_add('x', ttl => '1 month -31 days')
        22023 | ttl, 1000 years | infinity | SELECT memory_add('x', ttl => '1100 years')
        22023 | ttl, 1000 years | infinity | SELECT memory_add('x', ttl => '170000000 years')
        22023 | ttl, expires_at | one | SELECT memory_add('x', ttl => '1 day', expires_at => now() + interval '1 day')
        22023 | expires_at, future | infinity | SELECT memory_add('x', expires_at => now() - interval '1 second')
        22023 | expires_at | | SELECT memory_add('x', expires_at => '-infinity')
        22023 | expires_at, 9999 | infinity | SELECT memory_add('x', expires_at => '10000-01-01')
        22023 | expires_at, 9999 | infinity | SELECT memory_update('one', expires_at => '10000-01-01')
        22023 | item 1, expires_at, 9999 | infinity | SELECT * FROM memory_add_many('[{"content": "x", "expires_at": "294275-01-01"}]')
        23514 | expires_at, 9999 | does not expire | INSERT INTO memories (content, expires_at) VALUES ('x', '10000-01-01')
        23514 | expires_at, 9999 | | INSERT INTO memories (content, expires_at) VALUES ('x', '-infinity')
        23514 | created_at, 9999 | | INSERT INTO memories (content, created_at) VALUES ('x', '0001-01-01 BC')
        23514 | updated_at, 9999 | | UPDATE memories SET content = 'x', updated_at = 'infinity' WHERE id = 'one'
        23514 | deprecated_at, 9999 | | UPDATE memories SET is_deprecated = true, deprecated_at = '10000-01-01'
        22023 | ttl, positive | | SELECT memory_update('one', ttl => '-1 second')
        22023 | ttl, expires_at | one | SELECT memory_update('one', ttl => '1 day', expires_at => 'infinity')
        22023 | expires_at, future | infinity | SELECT memory_update('one', expires_at => '2001-01-01')
        22023 | ttl, positive | | SELECT memory_kv_set('k', 'v', ttl => '-1 hour')
        22023 | item 1, ttl, soon | | SELECT * FROM memory_add_many('[{"content": "x", "ttl": "soon"}]')
        22023 | item 1, expires_at, never | | SELECT * FROM memory_add_many('[{"content": "x", "expires_at": "never"}]')
        22023 | item 1, ttl, expires_at | | SELECT * FROM memory_add_many('[{"content": "x", "ttl": "1 day", "expires_at": "2999-01-01"}]')
        22023 | since, until | | SELECT * FROM memory_search('x', since => '2030-01-01', until => '2020-01-01')
        22023 | since, until | | SELECT * FROM memory_list(since => '2030-01-01', until => '2030-01-01')
        "#,
    );
}

#[test]
fn names_that_are_blank_too_long_or_reserved() {
    check(
        r#"
        22023 | id, blank | | SELECT memory_add('x', id => '')
        22023 | id, 10240, 255 | | SELECT memory_add('x', id => repeat('i', 10240))
        22023 | id, 256, 255 | | SELECT memory_add('x', id => repeat('é', 128))
        22023 | namespace, blank | | SELECT memory_add('x', namespace => ' ')
        22023 | namespace, 256, 255 | | SELECT memory_add('x', namespace => repeat('n', 256))
        22023 | agent_id, blank | | SELECT memory_add('x', agent_id => '')
        22023 | agent_id, * | | SELECT memory_add('x', agent_id => '*')
        22023 | agent_id, 256, 255 | | SELECT memory_add('x', agent_id => repeat('a', 256))
        22023 | user_id, blank | | SELECT memory_add('x', user_id => '')
        22023 | session_id, blank | | SELECT memory_add('x', session_id => E'\t')
        22023 | entity_id, 300, 255 | | SELECT memory_add('x', entity_id => repeat('e', 300))
        22023 | key, blank | | SELECT memory_add('x', key => '')
        22023 | shared_with_agents, NULL | | SELECT memory_add('x', agent_id => 'a', shared_with_agents => '{b,NULL}')
        22023 | shared_with_agents, blank | | SELECT memory_add('x', agent_id => 'a', shared_with_agents => '{""}')
        22023 | agent_id | | SELECT memory_add('x', shared_with_agents => '{b}')
        22023 | project_id, blank | | SELECT memory_add('x', project_id => '')
        22023 | project_id, * | | SELECT memory_add('x', project_id => '*')
        22023 | project_id, 256, 255 | | SELECT memory_count(project_id => repeat('p', 256))
        22023 | key, 10240, 255 | | SELECT memory_kv_set(repeat('k', 10240), 'v')
        22023 | namespace, blank | | SELECT memory_kv_set('k', 'v', namespace => '')
        22023 | alias, blank | | SELECT memory_kv_alias('', 'key')
        22023 | alias, NULL | | SELECT memory_kv_alias(NULL, 'key')
        22023 | key, blank | | SELECT memory_kv_alias('b', '')
        22023 | reason | | SELECT memory_reveal('secret', '')
        22023 | after, no such id | | SELECT * FROM memory_list(after => 'no such id')
        "#,
    );
}

#[test]
fn required_arguments_that_are_null() {
    check(
        r#"
        22023 | id, NULL | | SELECT * FROM memory_get(NULL)
        22023 | id, NULL | | SELECT memory_update(NULL, 'x')
        22023 | id, NULL | | SELECT memory_delete(NULL)
        22023 | id, NULL | | SELECT * FROM memory_history(NULL)
        22023 | id, NULL | | SELECT memory_restore_version(NULL, 1)
        22023 | version, NULL | | SELECT memory_restore_version('one', NULL)
        22023 | ids, NULL | | SELECT memory_touch(NULL)
        22023 | items, NULL | | SELECT * FROM memory_add_many(NULL)
        22023 | key, NULL | | SELECT memory_kv_set(NULL, 'v')
        22023 | value, NULL | | SELECT memory_kv_set('k', NULL)
        22023 | key, NULL | | SELECT memory_kv_get(NULL)
        22023 | key, NULL | | SELECT memory_kv_delete(NULL)
        22023 | id, NULL | | SELECT memory_reveal(NULL, 'r')
        22023 | reason | | SELECT memory_reveal('secret', NULL)
        22023 | content, NULL | | SELECT memory_embed(NULL)
        22023 | query, NULL | | SELECT memory_context(NULL)
        22023 | query, embedding | | SELECT * FROM memory_search()
        22023 | k | | SELECT * FROM memory_search('x', mode => 'text', embedding => NULL, k => 0)
        22023 | query | | SELECT * FROM memory_search(embedding => memory_embed('x'), mode => 'text')
        "#,
    );
}

#[test]
fn ids_nobody_has() {
    check(
        r#"
        P0002 | no such id | agent_id | SELECT memory_update('no such id', 'x')
        P0002 | no | | SELECT memory_update('no\0such', 'x')
        P0002 | no such id | | SELECT memory_restore_version('no such id', 1)
        P0002 | no such id | | SELECT memory_reveal('no such id', 'r')
        P0002 | one | | SELECT memory_update('one', 'x', project_id => 'other')
        "#,
    );
    let mut sql = store();
    let before = store_hash(&mut sql);
    for id in [
        "no such id",
        "no\\0such",
        "%00",
        "\\x00",
        "\u{1}",
        &"i".repeat(10_240),
    ] {
        let rows = sql
            .query("SELECT * FROM memory_get($1)", &[&id])
            .map(|rows| rows.len());
        assert!(
            matches!(rows, Ok(0))
                || rows
                    .as_ref()
                    .is_err_and(|error| error.code().is_some_and(|code| code.code() == "22023")),
            "{rows:?}"
        );
        assert!(!sql.one::<bool>("SELECT memory_delete($1)", &[&id]));
        assert_eq!(sql.one::<i64>("SELECT memory_touch(ARRAY[$1])", &[&id]), 0);
    }
    assert_eq!(store_hash(&mut sql), before);
}

#[test]
fn batches_that_are_no_batches() {
    check(
        r#"
        22023 | array, object | | SELECT * FROM memory_add_many('{"content": "x"}')
        22023 | array, number | | SELECT * FROM memory_add_many('7')
        22023 | item 2, null | | SELECT * FROM memory_add_many('["a", null]')
        22023 | item 1 | | SELECT * FROM memory_add_many('[["a"]]')
        22023 | item 1, Agent | | SELECT * FROM memory_add_many('[{"content": "a", "Agent": "x"}]')
        22023 | item 1, project_id | | SELECT * FROM memory_add_many('[{"content": "a", "project_id": "x"}]')
        22023 | item 1, content | | SELECT * FROM memory_add_many('[{"namespace": "a"}]')
        22023 | item 1, content | | SELECT * FROM memory_add_many('[{"content": 7}]')
        22023 | item 1, sensitive | | SELECT * FROM memory_add_many('[{"content": "a", "sensitive": "yes"}]')
        22023 | item 1, importance | | SELECT * FROM memory_add_many('[{"content": "a", "importance": "high"}]')
        22023 | item 1, shared_with_agents | | SELECT * FROM memory_add_many('[{"content": "a", "shared_with_agents": "b"}]')
        23505 | one | memory_update | SELECT * FROM memory_add_many('[{"content": "a", "id": "one"}]')
        23505 | x | | SELECT * FROM memory_add_many('[{"content": "a", "id": "x"}, {"content": "b", "id": "x"}]')
        54000 | 10001, 10000 | memory_ext.max_batch | SELECT * FROM memory_add_many((SELECT jsonb_agg('m' || i) FROM generate_series(1, 10001) i))
        "#,
    );
}

#[test]
fn stores_that_are_there_already_and_different() {
    check(
        r#"
        22023 | 128, 384 | | SELECT memory_init(dimensions => 128)
        22023 | md5, hash | | SELECT memory_init(embedder => 'md5')
        22023 | simple, english | | SELECT memory_init(text_search_config => 'simple')
        22023 | 8, 16 | | SELECT memory_init(hnsw_m => 8)
        22023 | 100, 64 | | SELECT memory_init(hnsw_ef_construction => 100)
        "#,
    );
}

#[test]
fn stores_that_cannot_be() {
    let mut sql = cluster().database().connect();
    for (arguments, sqlstate, parts) in [
        ("dimensions => 0", "22023", ["dimensions", "0"]),
        ("dimensions => -1", "22023", ["dimensions", "-1"]),
        ("dimensions => 2001", "22023", ["2001", "2000"]),
        ("embedder => 'llm'", "22023", ["embedder", "llm"]),
        ("hnsw_m => 1", "22023", ["hnsw_m", "1"]),
        ("hnsw_m => 101", "22023", ["hnsw_m", "101"]),
        (
            "hnsw_ef_construction => 3",
            "22023",
            ["hnsw_ef_construction", "3"],
        ),
        (
            "hnsw_ef_construction => 1001",
            "22023",
            ["hnsw_ef_construction", "1001"],
        ),
        (
            "hnsw_m => 64, hnsw_ef_construction => 64",
            "22023",
            ["hnsw_ef_construction", "64"],
        ),
    ] {
        sql.refused(&format!("SELECT memory_init({arguments})"), &[])
            .is(sqlstate)
            .says(parts[0])
            .says(parts[1])
            .well_formed();
    }
    let refusal = sql.refused("SELECT memory_init(text_search_config => 'klingon')", &[]);
    assert!(
        ["22023", "42704"].contains(&refusal.sqlstate.as_str()),
        "{refusal:?}"
    );
    refusal.says("klingon");
    sql.refused(
        "SELECT memory_add('x', embedding => array_fill(1, ARRAY[2001])::vector)",
        &[],
    )
    .is("22023")
    .says("2001")
    .says("2000")
    .well_formed();
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM pg_class WHERE relname = 'memories'",
            &[]
        ),
        0,
        "no store was made"
    );
    sql.refused("SELECT memory_add(' ', embedding => '[1, 2, 3]')", &[])
        .is("22023");
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM pg_class WHERE relname = 'memories'",
            &[]
        ),
        0,
        "not by an add that fails either"
    );
}
