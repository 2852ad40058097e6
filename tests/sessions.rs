//! What a session meets: rollbacks, cancelled statements, changes of the tables by others; and calls from within functions,
//! triggers and views.

mod support;

use postgres::Client;
use support::{Sql, cluster, database, store, store_hash};

#[test]
fn a_store_made_in_a_transaction_that_rolls_back_is_forgotten() {
    let mut sql = cluster().database().connect();

    sql.run("BEGIN; SELECT memory_add('in a store of 384 dimensions'); ROLLBACK");
    sql.refused("SELECT memory_count()", &[]).is("55000");
    sql.run("BEGIN; SAVEPOINT s; SELECT memory_init(dimensions => 64); SELECT memory_add('x'); ROLLBACK TO s; SELECT memory_init(dimensions => 32); COMMIT");

    sql.run("SELECT memory_add('in a store of 32 dimensions')");
    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_search('dimensions')", &[]),
        ["in a store of 32 dimensions"]
    );
    assert_eq!(
        sql.one::<i32>("SELECT vector_dims(embedding) FROM memories", &[]),
        32
    );
}

#[test]
fn a_savepoint_takes_back_what_came_after_it_and_no_more() {
    let mut sql = store();

    sql.run(
        "BEGIN; SELECT memory_add('kept', id => 'kept'); SAVEPOINT s;
         SELECT memory_add('taken back'); SELECT memory_update('kept', 'changed'); SELECT memory_kv_set('k', 'v'); ROLLBACK TO s;
         SELECT memory_add('taken back', id => 'again'); COMMIT",
    );

    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_list() ORDER BY 1", &[]),
        ["kept", "taken back"]
    );
    assert_eq!(
        sql.one::<Option<String>>("SELECT memory_kv_get('k')", &[]),
        None
    );
}

#[test]
fn a_cancelled_batch_leaves_nothing_and_the_session_goes_on() {
    let mut sql = store();
    let before = store_hash(&mut sql);
    let items: String = sql.one(
        "SELECT jsonb_agg('a sentence of some words, number ' || i)::text FROM generate_series(1, 8000) i",
        &[],
    );

    for milliseconds in [5, 40, 150] {
        sql.run(&format!("SET statement_timeout = {milliseconds}"));
        sql.refused(
            "SELECT count(*) FROM memory_add_many($1::text::jsonb)",
            &[&items],
        )
        .is("57014");
        sql.run("SET statement_timeout = 0");
        assert_eq!(store_hash(&mut sql), before);
    }

    sql.run("SELECT memory_add('after all that'); SELECT * FROM memory_search('after all that')");
}

#[test]
fn an_error_that_a_handler_caught_leaves_the_work_before_and_after_it() {
    let mut sql = store();

    sql.run(
        "DO $$ BEGIN
             PERFORM memory_add('before');
             BEGIN PERFORM memory_add('inside'); PERFORM memory_add(' '); EXCEPTION WHEN invalid_parameter_value THEN NULL; END;
             BEGIN PERFORM memory_update('no such id', 'x'); EXCEPTION WHEN no_data_found THEN NULL; END;
             PERFORM memory_add('after');
         END $$",
    );

    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_list() ORDER BY 1", &[]),
        ["after", "before"]
    );
    assert_eq!(
        sql.one::<String>("SELECT current_user::text", &[]),
        "postgres"
    );
}

#[test]
fn functions_work_inside_functions_triggers_views_and_queries() {
    let mut sql = store();
    sql.run(
        "CREATE TABLE notes (id int PRIMARY KEY, body text);
         CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM memory_add(NEW.body, id => 'note-' || NEW.id, metadata => jsonb_build_object('note', NEW.id)); RETURN NEW; END $$;
         CREATE TRIGGER remember AFTER INSERT ON notes FOR EACH ROW EXECUTE FUNCTION remember();
         CREATE FUNCTION recall(question text) RETURNS SETOF text LANGUAGE sql STABLE AS
             $$ SELECT content FROM memory_search(question, 2, mode => 'text') $$;
         CREATE VIEW recent AS SELECT id, content FROM memory_list(page_size => 2)",
    );

    sql.run("INSERT INTO notes SELECT i, 'note about ' || (ARRAY['tea', 'coffee', 'water'])[i] FROM generate_series(1, 3) i");

    assert_eq!(
        sql.column::<String>("SELECT recall('coffee')", &[]),
        ["note about coffee"]
    );
    assert_eq!(
        sql.column::<String>("SELECT id FROM recent", &[]),
        ["note-3", "note-2"]
    );
    let joined: Vec<String> = sql.column(
        "SELECT n.body || ' = ' || m.content FROM notes n CROSS JOIN LATERAL memory_search(n.body, 1, mode => 'text') m ORDER BY n.id",
        &[],
    );
    assert_eq!(joined.len(), 3);
    assert_eq!(joined[2], "note about water = note about water");
    sql.run("CREATE MATERIALIZED VIEW kept AS SELECT * FROM memory_search('note', 10); REFRESH MATERIALIZED VIEW kept");
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM kept", &[]), 3);
}

#[test]
fn a_session_notices_that_the_store_was_dropped_and_made_anew() {
    let database = database();
    let (mut one, mut two) = (database.connect(), database.connect());
    one.run("SELECT memory_add('in the old store'); SELECT * FROM memory_search('old store')");

    two.run("SET client_min_messages = warning; DROP EXTENSION memory_ext CASCADE;
             DROP TABLE memories, memory_history, memory_events, memory_usage, memory_models, embedding_cache, memory_grants, memory_key_aliases, memory_migrations,
                 vote_history, vote_changes, memory_types, session_progress, feature_tracker, memory_runs,
                 memory_audit_seals, memory_import_lines, memory_maintenance_runs CASCADE;
             CREATE EXTENSION memory_ext; SELECT memory_init(dimensions => 32)");

    let id: String = one.one("SELECT memory_add('in the new store')", &[]);
    assert_eq!(
        one.column::<String>("SELECT id FROM memory_search('new store')", &[]),
        [id]
    );
    assert_eq!(
        one.one::<i32>("SELECT vector_dims(embedding) FROM memories", &[]),
        32
    );
}

/// Uses what a session has learnt about the store: plans, names, ids.
fn use_store(sql: &mut Client, schema: &str) {
    let id: String = sql.one(
        &format!("SELECT {schema}.memory_add('used again and again', on_duplicate => 'new')"),
        &[],
    );
    for mode in ["hybrid", "vector", "text"] {
        let found: i64 = sql.one(
            &format!("SELECT count(*) FROM {schema}.memory_search('used again', 100, mode => $1) WHERE id = $2"),
            &[&mode, &id],
        );
        assert_eq!(found, 1, "{schema} {mode}");
    }
    sql.run(&format!(
        "SELECT {schema}.memory_update('{id}', 'used and changed', metadata => '{{\"n\": 1}}'); SELECT {schema}.memory_touch('{{{id}}}');
         SELECT {schema}.memory_kv_set('k', 'v'); SELECT * FROM {schema}.memory_list(filter => '{{\"n\": 1}}'); SELECT * FROM {schema}.memory_history('{id}')"
    ));
    assert!(sql.one::<bool>(&format!("SELECT {schema}.memory_delete($1)"), &[&id]));
}

#[test]
fn a_session_goes_on_while_others_change_the_tables() {
    let database = cluster().empty_database();
    let (mut session, mut other) = (database.connect(), database.connect());
    other.run("CREATE SCHEMA memory; CREATE SCHEMA vectors; CREATE EXTENSION vector SCHEMA vectors; CREATE EXTENSION memory_ext SCHEMA memory; CREATE ROLE next_owner");
    // Often enough for PostgreSQL to keep plans.
    for _ in 0..7 {
        use_store(&mut session, "memory");
    }

    for change in [
        "ALTER TABLE memory.memories ADD COLUMN note text DEFAULT 'x'",
        "CREATE INDEX ON memory.memories (note)",
        "ALTER TABLE memory.memories DROP COLUMN note",
        "DROP INDEX memory.ix_memories_type",
        "REINDEX TABLE memory.memories",
        "VACUUM FULL memory.memories",
        "ANALYZE memory.memories",
        "ALTER TABLE memory.memories SET (fillfactor = 70)",
        "ALTER EXTENSION vector SET SCHEMA public",
        "GRANT USAGE, CREATE ON SCHEMA memory TO next_owner; ALTER TABLE memory.memories OWNER TO next_owner; ALTER TABLE memory.memory_history OWNER TO next_owner;
         ALTER TABLE memory.memory_events OWNER TO next_owner; ALTER TABLE memory.memory_usage OWNER TO next_owner; ALTER TABLE memory.memory_models OWNER TO next_owner;
         ALTER TABLE memory.embedding_cache OWNER TO next_owner; ALTER TABLE memory.memory_grants OWNER TO next_owner; ALTER TABLE memory.memory_key_aliases OWNER TO next_owner;
         ALTER TABLE memory.memory_migrations OWNER TO next_owner",
    ] {
        other.run(change);
        for _ in 0..2 {
            use_store(&mut session, "memory");
        }
    }
}

#[test]
fn a_session_follows_the_extension_to_a_schema_of_another_name() {
    let database = cluster().empty_database();
    let (mut session, mut other) = (database.connect(), database.connect());
    other.run("CREATE SCHEMA memory; CREATE SCHEMA vectors; CREATE EXTENSION vector SCHEMA vectors; CREATE EXTENSION memory_ext SCHEMA memory");
    use_store(&mut session, "memory");

    other.run("ALTER SCHEMA memory RENAME TO \"Re named\"");
    use_store(&mut session, "\"Re named\"");

    other.run("ALTER SCHEMA vectors RENAME TO \"Vec tors\"");
    use_store(&mut session, "\"Re named\"");
    use_store(&mut database.connect(), "\"Re named\"");
}
