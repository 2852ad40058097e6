//! A store that is not there, too old, too new, broken or somebody else's; a server or database that does not fit.

mod support;

use support::{Sql, cluster};

/// One call of each function that needs the store.
const NEEDS_STORE: &[&str] = &[
    "SELECT memory_update('x', 'y')",
    "SELECT memory_delete('x')",
    "SELECT memory_forget(ids => '{x}', reason => 'r')",
    "SELECT * FROM memory_get('x')",
    "SELECT * FROM memory_list()",
    "SELECT memory_count()",
    "SELECT * FROM memory_history('x')",
    "SELECT memory_restore_version('x', 1)",
    "SELECT memory_touch('{x}')",
    "SELECT memory_expire()",
    "SELECT memory_embed('x')",
    "SELECT memory_kv_get('x')",
    "SELECT memory_kv_delete('x')",
    "SELECT * FROM memory_kv_list()",
    "SELECT memory_reveal('x', 'r')",
    "SELECT * FROM memory_search('x')",
    "SELECT memory_explain('x')",
    "SELECT memory_context('x')",
    "SELECT memory_grant('postgres', 'p')",
    "SELECT memory_revoke('postgres', 'p')",
    "SELECT * FROM memory_security_check()",
];
const MAKES_STORE: &[&str] = &[
    "SELECT memory_add('x')",
    "SELECT * FROM memory_add_many('[\"x\"]')",
    "SELECT memory_kv_set('x', 'y')",
    "SELECT memory_kv_alias('x', 'y')",
];

#[test]
fn without_a_store_every_function_says_how_to_make_one() {
    let mut sql = cluster().database().connect();

    for call in NEEDS_STORE {
        sql.refused(call, &[])
            .is("55000")
            .says("no memory store")
            .hints("memory_init")
            .well_formed();
    }
    sql.refused("SELECT memory_migrate()", &[])
        .is("55000")
        .hints("memory_init");
    sql.run("SET memory_ext.auto_init = off");
    for call in MAKES_STORE {
        sql.refused(call, &[])
            .is("55000")
            .says("no memory store")
            .hints("memory_init")
            .well_formed();
    }
    sql.run("SELECT memory_version()");
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM pg_class WHERE relname = 'memories'",
            &[]
        ),
        0
    );
}

#[test]
fn with_a_store_of_another_version_every_function_says_what_to_run() {
    let database = cluster().database();
    database
        .connect()
        .run("SELECT memory_init(); DELETE FROM memory_migrations WHERE number > 1");
    for (number, hints) in [
        (
            0,
            &["ALTER EXTENSION memory_ext UPDATE", "memory_migrate"][..],
        ),
        (999, &["library"][..]),
    ] {
        database.connect().run(&format!("UPDATE memory_migrations SET number = {number} WHERE number = (SELECT max(number) FROM memory_migrations)"));
        let mut sql = database.connect();
        for call in NEEDS_STORE.iter().chain(MAKES_STORE) {
            let refusal = sql
                .refused(call, &[])
                .is("55000")
                .says("store")
                .well_formed();
            hints
                .iter()
                .fold(refusal, |refusal, hint| refusal.hints(hint));
        }
        sql.run("SELECT memory_version()");
    }
}

#[test]
fn with_a_broken_store_every_function_says_so() {
    for harm in [
        "DELETE FROM memory_models",
        "UPDATE memory_models SET embedder = 'vanished'",
        "DELETE FROM memory_migrations",
        "DROP TABLE memory_models",
    ] {
        let database = cluster().database();
        database
            .connect()
            .run(&format!("SELECT memory_init(); {harm}"));
        let mut sql = database.connect();
        for call in NEEDS_STORE.iter().chain(MAKES_STORE) {
            let refusal = sql.refused(call, &[]);
            assert_eq!(refusal.sqlstate, "55000", "{harm}: {refusal:?}");
            assert!(!refusal.hint.is_empty(), "{harm}: {refusal:?}");
        }
    }
}

#[test]
fn a_table_of_somebody_elses_is_not_taken_for_a_store() {
    let database = cluster().database();
    let mut sql = database.connect();
    sql.run(
        "CREATE TABLE memories (id int, content text); INSERT INTO memories VALUES (1, 'theirs')",
    );

    for call in NEEDS_STORE
        .iter()
        .chain(MAKES_STORE)
        .chain(&["SELECT memory_init()"])
    {
        let refusal = sql.refused(call, &[]);
        assert_eq!(refusal.sqlstate, "55000", "{refusal:?}");
        refusal.hints("schema").well_formed();
    }
    assert_eq!(
        sql.column::<String>("SELECT content FROM memories", &[]),
        ["theirs"]
    );
}

#[test]
fn without_pgvector_or_with_an_old_one() {
    let mut sql = cluster().empty_database().connect();
    sql.refused("CREATE EXTENSION memory_ext", &[])
        .says("vector")
        .hints("CASCADE");

    let mut sql = cluster().database().connect();
    sql.run("UPDATE pg_extension SET extversion = '0.7.4' WHERE extname = 'vector'");
    for call in ["SELECT memory_init()", "SELECT memory_add('x')"] {
        sql.refused(call, &[])
            .is("55000")
            .says("0.7.4")
            .says("0.8.0")
            .hints("ALTER EXTENSION vector UPDATE")
            .well_formed();
    }
}

#[test]
fn in_a_database_of_another_encoding() {
    cluster().admin("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    cluster().admin("CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0");
    for database in ["latin", "bytes"] {
        let mut sql = cluster().connect(database);
        // Refused before there is any function that bytes which are no UTF-8 could reach.
        sql.refused("CREATE EXTENSION memory_ext CASCADE", &[])
            .is("55000")
            .says("UTF8")
            .hints("ENCODING");
        assert_eq!(
            sql.one::<i64>(
                "SELECT count(*) FROM pg_proc WHERE proname LIKE 'memory_%'",
                &[]
            ),
            0
        );
    }
}
