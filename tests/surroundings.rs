//! Other owners, other schemas, hostile search paths: the functions do their work as their owner, wherever they are.

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use postgres::Client;
use serde_json::{Value, json};
use support::integrity::wrong;
use support::{Sql, cluster, database, granted, role};

#[test]
fn functions_need_no_right_on_the_tables_and_leave_the_caller_as_it_was() {
    let database = database();
    let (role, mut client) = granted(&database, "default", "write", None);
    client.run("SET search_path = public, pg_catalog");

    client.run("SELECT memory_add('words')");
    assert_eq!(
        client.one::<i64>("SELECT count(*) FROM memory_search('words')", &[]),
        1
    );
    client
        .refused("SELECT memory_update('no such id', 'x')", &[])
        .is("P0002");
    client.refused("SELECT memory_add(' ')", &[]).is("22023");

    for _ in 0..2 {
        let state: Value = client.one(
            "SELECT jsonb_build_array(current_user, session_user, current_setting('search_path'))",
            &[],
        );
        assert_eq!(state, json!([role, role, "public, pg_catalog"]));
        client.refused("SELECT * FROM memories", &[]).is("42501");
        client.refused("INSERT INTO memory_grants (role, project_id, privilege) VALUES (current_user, '*', 'admin')", &[]).is("42501");
        // The second time after an error that a handler caught.
        client.run("DO $$ BEGIN PERFORM memory_update('no such id', 'x'); EXCEPTION WHEN no_data_found THEN NULL; END $$");
        client.run("DO $$ BEGIN PERFORM memory_add('x', metadata => '{}', embedding => '[1,2]'); EXCEPTION WHEN OTHERS THEN NULL; END $$");
    }
}

#[test]
fn a_store_of_an_ordinary_role_is_that_roles() {
    let database = cluster().database();
    let keeper = role();
    let mut superuser = database.connect();
    let mut owner = database.connect_as(&keeper);
    owner
        .refused("SELECT memory_init()", &[])
        .is("42501")
        .says(&keeper)
        .hints("memory_init")
        .well_formed();
    owner
        .refused("SELECT memory_add('x')", &[])
        .is("42501")
        .hints("memory_init");
    superuser.run(&format!("GRANT CREATE ON SCHEMA public TO {keeper}"));

    owner.run("SELECT memory_init(dimensions => 64)");

    let owners: Vec<String> = superuser.column("SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname LIKE 'memor%' AND relkind IN ('r', 'i', 'S') AND relnamespace = 'public'::regnamespace", &[]);
    assert_eq!(owners, [keeper.as_str()]);
    exercise(&mut owner, "");
    let reader = role();
    owner.run(&format!(
        "SELECT memory_grant('{reader}', 'default', 'write')"
    ));
    exercise_as_writer(&mut database.connect_as(&reader), "");
    superuser.run("SELECT memory_add('by the superuser')");
    assert_eq!(
        owner.one::<i64>(
            "SELECT count(*) FROM memories WHERE content = 'by the superuser'",
            &[]
        ),
        1
    );
    database
        .connect_as(&role())
        .refused("SELECT memory_count()", &[])
        .is("42501");
}

/// What a role that may create objects could put in the way of names that are not qualified.
const TRAPS: &str = "
    CREATE SCHEMA evil; GRANT USAGE ON SCHEMA evil TO PUBLIC;
    CREATE TABLE evil.memories (LIKE public.memories); CREATE TABLE evil.memory_grants (role text, project_id text, agent_id text, privilege text);
    INSERT INTO evil.memory_grants SELECT r, '*', NULL, 'admin' FROM unnest(ARRAY['public', current_user::text]) r;
    CREATE FUNCTION evil.trap() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
    CREATE FUNCTION evil.text_equal(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by ='; END $$;
    CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.text_equal);
    CREATE FUNCTION evil.json_contains(jsonb, jsonb) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by @>'; END $$;
    CREATE OPERATOR evil.@> (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = evil.json_contains);
    CREATE FUNCTION evil.matches(tsvector, tsquery) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by @@'; END $$;
    CREATE OPERATOR evil.@@ (LEFTARG = tsvector, RIGHTARG = tsquery, FUNCTION = evil.matches);
    CREATE FUNCTION evil.distance(public.vector, public.vector) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by <=>'; END $$;
    CREATE OPERATOR evil.<=> (LEFTARG = public.vector, RIGHTARG = public.vector, FUNCTION = evil.distance);
    CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by now'; END $$;
    CREATE FUNCTION evil.pg_has_role(oid, oid, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
    CREATE FUNCTION evil.memory_allowed(text, text) RETURNS bool LANGUAGE sql AS 'SELECT true';
    CREATE FUNCTION evil.memory_content_hash(text) RETURNS bytea LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by memory_content_hash'; END $$;
    CREATE FUNCTION evil.memory_new_id() RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by memory_new_id'; END $$;
    CREATE FUNCTION evil.to_tsvector(regconfig, text) RETURNS tsvector LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by to_tsvector'; END $$;
    CREATE FUNCTION evil.starts_with(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by starts_with'; END $$;
    CREATE FUNCTION evil.jsonb_build_object(VARIADIC \"any\") RETURNS jsonb LANGUAGE internal AS 'jsonb_build_object_noargs';
    CREATE DOMAIN evil.vector AS text; CREATE DOMAIN evil.jsonb AS text; CREATE DOMAIN evil.timestamptz AS text";

#[test]
fn traps_in_the_search_path_catch_nobody() {
    let database = database();
    let mut owner = database.connect();
    let (_, mut writer) = granted(&database, "default", "write", None);
    let mut stranger = database.connect_as(&role());
    owner.run(TRAPS);

    for path in [
        "evil, public, pg_catalog",
        "evil, pg_catalog, public, pg_temp",
    ] {
        for client in [&mut owner, &mut writer] {
            client.run(&format!("DROP TABLE IF EXISTS pg_temp.memories, pg_temp.memory_grants; SET search_path = {path}; CREATE TEMP TABLE memories (id int); CREATE TEMP TABLE memory_grants (role text)"));
        }
        exercise(&mut owner, "public.");
        exercise_as_writer(&mut writer, "public.");
        stranger.run(&format!("SET search_path = {path}"));
        stranger
            .refused("SELECT public.memory_count()", &[])
            .is("42501");
        stranger
            .refused("SELECT public.memory_add('words')", &[])
            .is("42501");
        owner.run("INSERT INTO public.memories (content) VALUES ('by hand'); UPDATE public.memories SET metadata = '{\"a\": 1}' WHERE content OPERATOR(pg_catalog.=) 'by hand';
                   DELETE FROM public.memories WHERE content OPERATOR(pg_catalog.=) 'by hand'");
    }
    assert_eq!(
        owner.one::<i64>("SELECT pg_catalog.count(*) FROM evil.memories", &[]),
        0
    );
}

#[test]
fn an_empty_search_path_is_enough() {
    let database = database();
    let mut owner = database.connect();
    let (_, mut writer) = granted(&database, "default", "write", None);

    owner.run("SET search_path = ''");
    writer.run("SET search_path = ''");

    exercise(&mut owner, "public.");
    exercise_as_writer(&mut writer, "public.");
    owner.run("INSERT INTO public.memories (content) VALUES ('by hand'); UPDATE public.memories SET content = 'by hand again' WHERE content = 'by hand'");
}

#[test]
fn the_extension_works_in_any_schema_with_pgvector_in_another() {
    for (schema, vector) in [
        ("memory", "public"),
        ("\"Mem ory\"", "\"Vec tor\""),
        ("\"a\"\"b\"", "\"sel.ect\""),
        ("public", "extensions"),
        // What looks like a placeholder of the statements, which is filled in once.
        ("\"we@s@@v@\"", "vec"),
        ("\"it's\"", "\"@s@\""),
    ] {
        let database = cluster().empty_database();
        let mut owner = database.connect();
        owner.run(&format!(
            "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE SCHEMA IF NOT EXISTS {vector};
             CREATE EXTENSION vector SCHEMA {vector}; CREATE EXTENSION memory_ext SCHEMA {schema}"
        ));
        let writer = role();

        exercise(&mut owner, &format!("{schema}."));
        owner.run(&format!("GRANT USAGE ON SCHEMA {schema} TO {writer}; SELECT {schema}.memory_grant('{writer}', 'default', 'write')"));
        exercise_as_writer(&mut database.connect_as(&writer), &format!("{schema}."));

        owner.run(&format!("SET search_path = {schema}; INSERT INTO memories (content) VALUES ('by hand'); UPDATE memories SET content = 'by hand again' WHERE content = 'by hand'"));
        assert_eq!(owner.one::<i64>("SELECT count(*) FROM memory_search('by hand again', 1) WHERE content = 'by hand again'", &[]), 1);
        assert_eq!(owner.one::<String>("SELECT DISTINCT relnamespace::regnamespace::text FROM pg_class WHERE relname IN ('memories', 'memory_events')", &[]), schema);
        look_after(&mut owner, schema);
    }
}

/// Checks, seals, rebuilds, backs up and restores, whose statements name the schema in other ways.
fn look_after(sql: &mut Client, schema: &str) {
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    assert_eq!(wrong(sql), [""; 0], "{schema}");
    sql.run("DROP INDEX ix_memories_embedding_hnsw");
    let repair: Vec<String> = sql.column(
        "SELECT jsonb_array_elements_text(details -> 'repair') FROM memory_check_integrity() WHERE check_name = 'indexes'",
        &[],
    );
    sql.run(&repair.join(";"));
    sql.run("SELECT memory_rebuild_index()");
    let script: String = sql.one("SELECT memory_rebuild_script()", &[]);
    for statement in script.lines().filter(|line| !line.starts_with(['-', '\\'])) {
        sql.run(statement);
    }
    let sealed: i64 = sql.one(
        "SELECT sum(sealed_rows)::bigint FROM memory_audit_seal()",
        &[],
    );
    let exported: i64 = sql.one("SELECT count(*) FROM memory_audit_export()", &[]);
    assert!(exported > sealed, "{schema}");
    let path = cluster().directory().join(format!(
        "of a schema {}",
        NAMES.fetch_add(1, Ordering::Relaxed)
    ));
    let path = path.to_str().expect("ASCII");
    let made: Value = sql.one("SELECT memory_backup($1, passphrase => 'x')", &[&path]);
    sql.run(
        "SELECT memory_forget(ids => ARRAY(SELECT id FROM memories), reason => 'to come back')",
    );
    for (dry_run, inserted) in [(true, true), (false, true), (true, false)] {
        let restored: Value = sql.one(
            "SELECT memory_restore($1, passphrase => 'x', dry_run => $2)",
            &[&path, &dry_run],
        );
        for table in ["memories", "memory_history"] {
            let expected = match inserted {
                true => &made["counts"][table],
                false => &json!(0),
            };
            assert_eq!(
                &restored["tables"][table]["inserted"], expected,
                "{schema} {restored}"
            );
        }
    }
    assert_eq!(wrong(sql), [""; 0], "{schema}");
    sql.run("SELECT * FROM memory_security_check(); SELECT memory_maintenance(); SELECT count(*) FROM memory_metrics()");
}

#[test]
fn strings_of_the_old_kind_change_nothing() {
    let database = cluster().empty_database();
    let (mut sql, heard) = support::backup::noticing(&database);
    sql.run("CREATE EXTENSION memory_ext CASCADE; SET standard_conforming_strings = off; SET backslash_quote = on");
    exercise(&mut sql, "");
    look_after(&mut sql, "public");
    sql.run("ALTER TABLE memories DISABLE TRIGGER USER");
    let disabled: String = sql.one(
        "SELECT detail FROM memory_security_check() WHERE finding = 'a trigger of the store is disabled'",
        &[],
    );
    assert!(disabled.contains("memory_after_change"), "{disabled}");
    let heard = heard.lock().expect("not poisoned");
    let warning = heard.iter().find(|line| line.starts_with("WARNING"));
    assert_eq!(warning, None);
}

/// Uses every function once, as somebody who may do all, and checks that each did its work.
fn exercise(sql: &mut Client, schema: &str) {
    let run = |sql: &mut Client, template: &str| sql.run(&template.replace("@", schema));
    exercise_as_writer(sql, schema);
    let id: String = sql.one(&format!("SELECT {schema}memory_add('a walk in the park', metadata => '{{\"n\": 1}}', ttl => '1 day', on_duplicate => 'new')"), &[]);
    run(
        sql,
        "SELECT @memory_version(); SELECT @memory_init(); SELECT @memory_migrate(); SELECT * FROM @memory_security_check(); SELECT @memory_embed('x')",
    );
    assert_eq!(
        sql.one::<String>(
            &format!("SELECT {schema}memory_reveal($1, 'exercise')"),
            &[&id]
        ),
        "a walk in the park"
    );
    run(sql, "SELECT @memory_expire(10)");
    let receipt: Value = sql.one(
        &format!("SELECT {schema}memory_forget(ids => ARRAY[$1], reason => 'exercise')"),
        &[&id],
    );
    assert_eq!(receipt["memories"].as_i64(), Some(1));
}

fn exercise_as_writer(sql: &mut Client, schema: &str) {
    let id: String = sql.one(&format!("SELECT {schema}memory_add('the ferry leaves at noon', metadata => '{{\"n\": 1}}', ttl => '1 day', on_duplicate => 'new')"), &[]);
    sql.run(&format!(
        "SELECT * FROM {schema}memory_add_many('[\"a batch of one\", \"a batch of two\"]')"
    ));
    for mode in ["hybrid", "vector", "text"] {
        let found: Vec<String> = sql.column(&format!("SELECT id FROM {schema}memory_search('ferry noon', 20, mode => $1, metadata => '{{\"n\": 1}}')"), &[&mode]);
        assert!(
            found.iter().any(|found| found.as_bytes() == id.as_bytes()),
            "{schema} {mode}: {found:?}"
        );
    }
    for path in ["exact", "sketch", "hnsw"] {
        sql.run(&format!("SET memory_ext.vector_path = '{path}'"));
        let found: i64 = sql.one(&format!("SELECT pg_catalog.count(*) FROM {schema}memory_search('ferry noon', 20, mode => 'vector')"), &[]);
        assert!(found > 0, "{schema} {path}");
    }
    sql.run("RESET memory_ext.vector_path");
    let version: i32 = sql.one(&format!("SELECT {schema}memory_update($1, 'the ferry leaves at one', metadata => '{{\"n\": 2}}')"), &[&id]);
    let restored: i32 = sql.one(
        &format!("SELECT {schema}memory_restore_version($1, 1)"),
        &[&id],
    );
    assert_eq!((version, restored), (2, 3));
    sql.run(&format!(
        "SELECT {schema}memory_kv_set('key one', 'value'); SELECT {schema}memory_kv_set('key one', 'value two'); SELECT {schema}memory_kv_alias('key 1', 'key one')"
    ));
    assert_eq!(
        sql.one::<String>(&format!("SELECT {schema}memory_kv_get('key 1')"), &[]),
        "value two"
    );
    for (count, expected) in [
        ("memory_get($1)", 1),
        ("memory_history($1)", 3),
        ("memory_kv_list('key')", 1),
        (
            "memory_list(filter => '{\"n\": {\"$gte\": 1}}') WHERE pg_catalog.starts_with(id, $1)",
            1,
        ),
    ] {
        let count = count.replace("$1", &format!("'{id}'"));
        assert_eq!(
            sql.one::<i64>(
                &format!("SELECT pg_catalog.count(*) FROM {schema}{count}"),
                &[]
            ),
            expected,
            "{count}"
        );
    }
    sql.run(&format!(
        "SELECT {schema}memory_explain('ferry'), {schema}memory_context('ferry'), {schema}memory_count(), {schema}memory_touch(ARRAY['{id}']);
         SELECT {schema}memory_kv_delete('key one'); SELECT {schema}memory_kv_alias('key 1')"
    ));
    assert!(sql.one::<bool>(&format!("SELECT {schema}memory_delete($1)"), &[&id]));
}

/// Settings of a session with which PostgreSQL finds less, or writes names otherwise.
#[test]
fn a_sessions_settings_change_no_answer() {
    let database = database();
    let mut sql = database.connect();
    sql.run(
        "SELECT count(*) FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('content', 'note ' || i || ' ' || md5(i::text), 'metadata', jsonb_build_object('customer', i % 20)))
                                               FROM generate_series(1, 2000) i));
         ANALYZE memories; SET gin_fuzzy_search_limit = 5; SET quote_all_identifiers = on; SET enable_seqscan = off",
    );
    let count = |sql: &mut Client| {
        sql.one::<i64>("SELECT memory_count(metadata => '{\"customer\": 7}')", &[])
    };
    assert_eq!(count(&mut sql), 100);
    let found: i64 = sql.one(
        "SELECT count(*) FROM memory_search('note', k => 1000, mode => 'text')",
        &[],
    );
    assert_eq!(found, 1000);
    let wrong: Vec<String> = sql.column(
        "SELECT check_name FROM memory_check_integrity() WHERE status <> 'ok'",
        &[],
    );
    assert_eq!(wrong, [""; 0]);
    let receipt: Value = sql.one(
        "SELECT memory_forget(metadata => '{\"customer\": 7}', reason => 'asked for')",
        &[],
    );
    assert_eq!(receipt["memories"], 100, "{receipt}");
    assert_eq!(sql.one::<String>("SHOW gin_fuzzy_search_limit", &[]), "5");
    sql.run("RESET gin_fuzzy_search_limit");
    assert_eq!(count(&mut sql), 0);
}
