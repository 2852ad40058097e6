//! ALTER EXTENSION memory_ext UPDATE: a store of 1.0.0 becomes the one that this release would have made, with every row as it
//! was.

mod support;

use postgres::Client;
use serde_json::Value;
use support::catalog::{assert_same, files, members, owned_relations, schema_dump, store_objects};
use support::release::{
    ALL_PATHS, NEW, OLD, attach_things_of_my_own, connect_as_owner, fill, found, old_database,
    update, use_functions_of_1_0, versions,
};
use support::{Database, Rows, Sql, ace, cluster, role};

/// A filled store of 1.0.0.
struct Old {
    database: Database<'static>,
    superuser: Client,
    /// A connection of the store's owner.
    sql: Client,
    reader: String,
    bound: String,
}

fn old_store(owner: Option<&str>) -> Old {
    let database = old_database(cluster());
    let mut sql = connect_as_owner(&database, owner);
    let (reader, bound) = (role(), role());
    fill(&mut sql, &reader, &bound);
    Old {
        superuser: database.connect(),
        database,
        sql,
        reader,
        bound,
    }
}

fn equal_to_a_fresh_one(what: &str, fresh: &Database, updated: &Database) {
    let (mut one, mut other) = (fresh.connect(), updated.connect());
    let version = in_schema(&mut one, "SELECT @.memory_version()::text");
    assert_eq!(
        one.one::<String>(&version, &[]),
        other.one::<String>(&version, &[]),
        "{what}"
    );
    assert_same(what, &members(&mut one), &members(&mut other));
    assert_same(what, &store_objects(&mut one), &store_objects(&mut other));
    assert_same(what, &schema_dump(fresh), &schema_dump(updated));
    for seeded in [
        "SELECT t::text FROM @.memory_types t ORDER BY 1",
        "SELECT number || extension_version || checksum FROM @.memory_migrations ORDER BY number",
        "SELECT concat_ws('|', name, embedder, dimensions, text_search_config, active) FROM @.memory_models ORDER BY name",
    ] {
        let statement = in_schema(&mut one, seeded);
        let rows: Vec<String> = one.column(&statement, &[]);
        assert!(!rows.is_empty(), "{seeded}");
        assert_eq!(rows, other.column::<String>(&statement, &[]), "{what}");
    }
}

/// The statement with the extension's schema for `@`.
fn in_schema(sql: &mut Client, statement: &str) -> String {
    let schema: String = sql.one(
        "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'memory_ext'",
        &[],
    );
    statement.replace('@', &schema)
}

#[test]
fn an_update_keeps_every_row_and_brings_what_is_new() {
    for owner in [None, Some(role())] {
        let mut old = old_store(owner.as_deref());
        attach_things_of_my_own(&mut old.sql, &old.reader);
        assert_eq!(versions(&mut old.sql), (OLD.to_owned(), OLD.to_owned()));
        let of_my_own = |sql: &mut Client| -> Vec<String> {
            let all = store_objects(sql);
            all.into_iter()
                .filter(|line| line.contains("of_my_own") || line.contains(old.reader.as_str()))
                .collect()
        };
        let before = Rows::of(&mut old.superuser);
        assert!(
            before.lines.iter().all(|line| !line.contains(": 0 rows")),
            "every table has rows to keep: {:?}",
            before.lines
        );
        let (mine, seen) = (
            of_my_own(&mut old.superuser),
            found(&mut old.sql, ALL_PATHS),
        );
        assert!(mine.len() >= 7, "{mine:?}");
        let mut reader = old.database.connect_as(&old.reader);
        let seen_by_reader: Vec<String> =
            reader.column("SELECT id FROM memory_search('rivers', 50)", &[]);

        update(&mut old.superuser);

        assert_eq!(versions(&mut old.sql).0, NEW);
        before.assert_kept(&mut old.superuser);
        assert_eq!(found(&mut old.sql, ALL_PATHS), seen);
        assert_same("what is my own", &mine, &of_my_own(&mut old.superuser));
        let untouched: i64 = old.sql.one(
            "SELECT count(*) FROM memories WHERE NOT is_deprecated AND num_nulls(deprecated_at, deprecated_by, superseded_by, error_pattern, source_trajectory_id) = 5
                    AND bullet_helpful = 0 AND bullet_harmful = 0",
            &[],
        );
        assert_eq!(
            untouched,
            old.sql.one::<i64>("SELECT count(*) FROM memories", &[]),
            "nothing is voted on or deprecated yet"
        );
        assert_eq!(
            owners(&mut old.superuser),
            [owner.as_deref().unwrap_or("postgres")]
        );

        // Whoever had rights has the same, and no others.
        assert_eq!(
            reader.column::<String>("SELECT id FROM memory_search('rivers', 50)", &[]),
            seen_by_reader
        );
        reader
            .refused(
                "SELECT * FROM memory_vote('fact', 'helpful', voter_agent_id => 'b')",
                &[],
            )
            .is("42501");
        let mut bound = old.database.connect_as(&old.bound);
        bound.run("SELECT * FROM memory_vote('private', 'harmful')");
        assert_eq!(
            old.sql.column::<String>(
                "SELECT voter_agent_id || ' ' || vote FROM memory_votes('private', agent_id => 'a')",
                &[]
            ),
            ["a harmful"]
        );

        use_functions_of_1_0(&mut old.sql);
        ace::exercise(&mut old.sql);
    }
}

/// The owners of everything in the store.
fn owners(sql: &mut Client) -> Vec<String> {
    sql.column(
        "SELECT DISTINCT c.relowner::regrole::text FROM pg_class c JOIN pg_extension e ON e.extname = 'memory_ext' AND e.extnamespace = c.relnamespace
         WHERE c.relkind IN ('r', 'i', 'S')",
        &[],
    )
}

#[test]
fn an_updated_store_is_equal_to_a_fresh_one() {
    let keeper = role();
    for (init, owner) in [
        ("SELECT memory_init()", None),
        ("SELECT memory_init()", Some(keeper.as_str())),
        (
            "SELECT memory_init(dimensions => 64, embedder => 'external', text_search_config => 'simple', hnsw_m => 8, hnsw_ef_construction => 40)",
            None,
        ),
        (
            "SELECT memory_init(dimensions => 1536, embedder => 'md5', text_search_config => 'german')",
            None,
        ),
    ] {
        let (fresh, old) = (cluster().database(), old_database(cluster()));
        for database in [&fresh, &old] {
            connect_as_owner(database, owner).run(init);
        }

        update(&mut old.connect());

        equal_to_a_fresh_one(init, &fresh, &old);

        // And it stays so.
        let report: Value = old.connect().one("SELECT memory_migrate()", &[]);
        assert_eq!(report["applied"], serde_json::json!([]), "{report}");
        equal_to_a_fresh_one("migrated once more", &fresh, &old);
    }
}

#[test]
fn no_table_becomes_a_member_of_the_extension() {
    let Old {
        mut superuser,
        mut sql,
        ..
    } = old_store(None);
    update(&mut superuser);
    assert_eq!(owned_relations(&mut superuser), [""; 0]);
    superuser.run("CREATE TABLE made_after_the_update (id int)");
    assert_eq!(owned_relations(&mut superuser), [""; 0]);
    sql.run("SELECT memory_vote('fact', 'helpful', voter_agent_id => 'a'); SELECT memory_session_start('work'); SELECT memory_feature_create('login', 'people log in')");
    let rows = Rows::of(&mut superuser);
    let objects = objects_but_columns(&mut superuser);

    superuser.run("SET client_min_messages = warning; DROP EXTENSION memory_ext CASCADE");

    assert_eq!(
        superuser.one::<String>("SELECT concat_ws(' ', (SELECT count(*) FROM vote_history), (SELECT count(*) FROM session_progress), (SELECT count(*) FROM feature_tracker))", &[]),
        "1 1 1",
        "the tables are the user's"
    );

    superuser.run("CREATE EXTENSION memory_ext; SELECT memory_migrate()");

    assert_same(
        "what the extension took with it is back",
        &objects,
        &objects_but_columns(&mut superuser),
    );
    rows.assert_kept(&mut superuser);
    assert_eq!(owned_relations(&mut superuser), [""; 0]);
    ace_works_on_every_table(&mut superuser);

    let mut fresh = cluster().database().connect();
    fresh.run("SELECT memory_init()");
    assert_eq!(owned_relations(&mut fresh), [""; 0]);
}

/// Without the columns of memories: one of them is generated by a function of the extension, and comes back as the last.
fn objects_but_columns(sql: &mut Client) -> Vec<String> {
    let all = store_objects(sql);
    all.into_iter()
        .filter(|line| !line.starts_with("column | public.memories |"))
        .collect()
}

fn ace_works_on_every_table(sql: &mut Client) {
    sql.run(
        "SELECT memory_vote('fact', 'harmful', voter_agent_id => 'a'); SELECT memory_vote('fact', 'helpful', voter_agent_id => 'b');
         SELECT memory_session_start('more work'); SELECT memory_feature_create('logout', 'people log out'); SELECT memory_run_start('run')",
    );
    let counts: Vec<i64> = [
        "vote_history",
        "vote_changes",
        "session_progress",
        "feature_tracker",
        "memory_runs",
    ]
    .iter()
    .map(|table| sql.one(&format!("SELECT count(*) FROM {table}"), &[]))
    .collect();
    assert_eq!(counts, [2, 1, 2, 2, 1]);
}

#[test]
fn an_update_rewrites_nothing() {
    let Old { mut superuser, .. } = old_store(None);
    // A different place or writer of a row tells that it was written again.
    let places = |sql: &mut Client| -> Vec<String> {
        ["memories", "memory_history", "memory_events", "memory_usage", "embedding_cache"]
            .iter()
            .map(|table| {
                sql.one(
                    &format!("SELECT '{table} ' || count(*) || ' ' || md5(string_agg(ctid::text || xmin::text, ',' ORDER BY ctid)) FROM {table}"),
                    &[],
                )
            })
            .collect()
    };
    let (files_before, places_before) = (files(&mut superuser), places(&mut superuser));
    for name in [
        "memories",
        "TOAST of memories",
        "memories_pkey",
        "ix_memories_embedding_hnsw",
        "ix_memories_content_tsv",
        "ix_memories_metadata",
        "ux_memories_dedupe",
    ] {
        assert!(files_before.contains_key(name), "{name}: {files_before:?}");
    }

    update(&mut superuser);

    let files_after = files(&mut superuser);
    for (name, file) in &files_before {
        assert_eq!(files_after.get(name), Some(file), "{name}");
    }
    assert_eq!(places(&mut superuser), places_before);
}

#[test]
fn without_a_store_the_update_makes_none() {
    let (fresh, old) = (cluster().database(), old_database(cluster()));
    let mut superuser = old.connect();

    update(&mut superuser);

    assert_eq!(versions(&mut superuser), (NEW.to_owned(), "-".to_owned()));
    assert_same(
        "the extension",
        &members(&mut fresh.connect()),
        &members(&mut superuser),
    );
    assert_eq!(store_objects(&mut superuser), [""; 0]);
    for call in ace::CALLS.iter().filter(|call| call.contains("vote")) {
        superuser
            .refused(call, &[])
            .is("55000")
            .hints("memory_init")
            .well_formed();
    }

    superuser.run("SELECT memory_add('the first')");
    fresh.connect().run("SELECT memory_init()");
    equal_to_a_fresh_one("made by the first memory_add", &fresh, &old);
    superuser.run("SELECT memory_vote(id, 'helpful', voter_agent_id => 'a') FROM memory_list()");
}

#[test]
fn the_extension_is_updated_in_any_schema_whoever_owns_the_store() {
    for (schema, vector, owner) in [
        ("memory", "public", None),
        ("\"Mem ory\"", "\"Vec tor\"", Some(role())),
        ("\"a\"\"b\"", "\"sel.ect\"", Some(role())),
    ] {
        let owner = owner.as_deref();
        let (fresh, old) = (cluster().empty_database(), cluster().empty_database());
        for (database, version) in [(&fresh, NEW), (&old, OLD)] {
            database.connect().run(&format!(
                "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE SCHEMA IF NOT EXISTS {vector};
                 CREATE EXTENSION vector SCHEMA {vector}; CREATE EXTENSION memory_ext SCHEMA {schema} VERSION '{version}'"
            ));
            connect_as_owner(database, owner).run(&format!("SELECT {schema}.memory_init()"));
        }
        let mut sql = connect_as_owner(&old, owner);
        sql.run(&format!("SET search_path = {schema}, {vector}, public"));
        fill(&mut sql, &role(), &role());
        let mut superuser = old.connect();
        let (before, seen) = (Rows::of(&mut superuser), found(&mut sql, &["auto", "hnsw"]));

        superuser.run("SET search_path = ''");
        update(&mut superuser);

        equal_to_a_fresh_one(schema, &fresh, &old);
        before.assert_kept(&mut superuser);
        assert_eq!(found(&mut sql, &["auto", "hnsw"]), seen);
        assert_eq!(owned_relations(&mut superuser), [""; 0]);
        use_functions_of_1_0(&mut sql);
        ace::exercise(&mut sql);
        // By their full names the new functions need no search path.
        superuser.run(&format!("SELECT {schema}.memory_vote('fact', 'helpful', voter_agent_id => 'd'); SELECT {schema}.memory_session_start('elsewhere'); SELECT {schema}.memory_playbook('test')"));
    }
}

#[test]
fn what_users_built_on_functions_and_tables_outlives_the_update() {
    let mut old = old_store(None);
    old.sql.run(
        "CREATE VIEW of_search AS SELECT * FROM memory_search('rivers', 5);
         CREATE VIEW of_list AS SELECT * FROM memory_list(page_size => 1000);
         CREATE VIEW of_get AS SELECT * FROM memory_get('shared', agent_id => 'a');
         CREATE VIEW of_history AS SELECT * FROM memory_history('fact');
         CREATE VIEW of_keys AS SELECT * FROM memory_kv_list();
         CREATE VIEW of_memories AS SELECT * FROM memories;
         CREATE VIEW of_versions AS SELECT * FROM memory_history;
         CREATE MATERIALIZED VIEW of_text AS SELECT memory_context('rivers') AS packed, memory_explain('rivers') -> 'path' AS path;
         CREATE FUNCTION remember(what text) RETURNS text BEGIN ATOMIC SELECT memory_add(what, namespace => 'remembered'); END;
         CREATE TABLE notes (id text DEFAULT memory_new_id(), body text, hash bytea GENERATED ALWAYS AS (memory_content_hash(body)) STORED);
         ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
         CREATE POLICY notes_of_the_project ON notes USING (memory_allowed('default', 'read') AND memory_row_visible('default', NULL, 'global', NULL, false, NULL, NULL) AND memory_row_writable('default', NULL, 'global'));
         INSERT INTO notes (body) VALUES ('a note')",
    );
    let views = [
        "of_search",
        "of_list",
        "of_get",
        "of_history",
        "of_keys",
        "of_memories",
        "of_versions",
        "of_text",
        "notes",
    ];
    let all = |sql: &mut Client| -> Vec<String> {
        views
            .iter()
            .map(|view| sql.one(&format!("SELECT '{view} ' || count(*) || md5(string_agg(v::text, E'\\n' ORDER BY v::text)) FROM {view} v"), &[]))
            .collect()
    };
    let before = all(&mut old.sql);

    update(&mut old.superuser);

    assert_eq!(all(&mut old.sql), before);
    old.sql.run("SELECT remember('a thing'); INSERT INTO notes (body) VALUES ('another note'); REFRESH MATERIALIZED VIEW of_text");
    assert_eq!(
        old.sql.column::<String>(
            "SELECT content FROM memory_list(namespace => 'remembered')",
            &[]
        ),
        ["a thing"]
    );
    old.superuser.run(&format!(
        "GRANT SELECT ON notes TO {0}, {1}",
        old.reader, old.bound
    ));
    assert_eq!(
        old.database
            .connect_as(&old.reader)
            .one::<i64>("SELECT count(*) FROM notes", &[]),
        0,
        "a reader writes nothing global"
    );
}
