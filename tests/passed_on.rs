//! What users' own triggers and constraints raise arrives as they raised it, whichever function was called.

mod support;

use postgres::Client;
use postgres::error::DbError;
use serde_json::json;
use support::{Sql, database, granted, store};

/// Refuses contents by raising their first word as SQLSTATE.
const TRIGGER: &str =
    "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
     BEGIN
         RAISE NOTICE 'looked at';
         IF NEW.content ~ '^[A-Z]{2}\\d{3} ' THEN
             RAISE EXCEPTION 'not this: %', NEW.content USING ERRCODE = split_part(NEW.content, ' ', 1), DETAIL = 'D.', HINT = 'H.',
                   COLUMN = 'c', CONSTRAINT = 'n', DATATYPE = 't', TABLE = 'x', SCHEMA = 's';
         END IF;
         RETURN NEW;
     END $$;
     CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON memories FOR EACH ROW EXECUTE FUNCTION refuse()";

fn raised(sql: &mut Client, statement: &str) -> DbError {
    let error = sql.batch_execute(statement).expect_err(statement);
    error.as_db_error().expect("of the server").clone()
}

fn own_errors() -> Client {
    let mut sql = store();
    sql.run(TRIGGER);
    sql
}

#[test]
fn a_code_that_users_made_up_arrives_with_all_its_fields() {
    let mut sql = own_errors();
    let id: String = sql.one("SELECT memory_add('a walrus')", &[]);

    for statement in [
        "SELECT memory_add('MY001 walrus')".to_owned(),
        "SELECT * FROM memory_add_many('[\"fine\", \"MY001 walrus\"]')".to_owned(),
        format!("SELECT memory_update('{id}', 'MY001 walrus')"),
        "SELECT memory_import(ARRAY['{\"id\": \"m\", \"content\": \"MY001 walrus\", \"namespace\": \"n\", \"created_at\": \"2026-01-01T00:00:00Z\"}'])".to_owned(),
    ] {
        let error = raised(&mut sql, &statement);
        assert_eq!(error.code().code(), "MY001", "{statement}");
        assert_eq!(error.message(), "not this: MY001 walrus");
        assert_eq!((error.detail(), error.hint()), (Some("D."), Some("H.")));
        let names = [
            error.column(),
            error.constraint(),
            error.datatype(),
            error.table(),
            error.schema(),
        ];
        assert_eq!(names, ["c", "n", "t", "x", "s"].map(Some), "{statement}");
    }
}

#[test]
fn a_violated_constraint_is_named() {
    let mut sql = store();
    sql.run("ALTER TABLE memories ADD CONSTRAINT no_walrus CHECK (content !~ 'walrus')");

    let error = raised(&mut sql, "SELECT memory_add('a walrus')");

    assert_eq!(error.code().code(), "23514");
    let names = [error.constraint(), error.table(), error.schema()];
    assert_eq!(names, ["no_walrus", "memories", "public"].map(Some));
}

/// PostgreSQL shows the row to whoever may read the table, and functions run as its owner.
#[test]
fn the_row_that_violates_a_constraint_is_shown_to_nobody() {
    let database = database();
    let (_, mut bound) = granted(&database, "default", "write", Some("alice"));
    let mut sql = database.connect();
    sql.run(
        "SELECT memory_add('the vault code is 7788', id => 'hidden', sensitive => true);
         SELECT memory_add('the other vault code is 7789', id => 'own', sensitive => true, scope => 'agent-private', agent_id => 'alice');
         ALTER TABLE memories ADD CONSTRAINT modest CHECK (importance < 0.9),
             ADD CONSTRAINT vaultless CHECK (content NOT LIKE '%vault%') NOT VALID;
         CREATE UNIQUE INDEX one_of_each ON memories (user_id, (metadata ->> 'n')) WHERE metadata ? 'n'",
    );

    for (is_bound, statement, sqlstate) in [
        (true, "SELECT memory_vote('hidden', 'helpful')", "23514"),
        (
            true,
            "SELECT memory_update('own', importance => 0.95)",
            "23514",
        ),
        (
            false,
            "SELECT memory_vote('hidden', 'helpful', 'bob')",
            "23514",
        ),
        (
            false,
            "SELECT memory_add('vault 7788', sensitive => true)",
            "23514",
        ),
        (
            false,
            "SELECT * FROM memory_add_many('[\"vault 7788\"]')",
            "23514",
        ),
        (
            false,
            "SELECT memory_kv_set('k', 'vault 7788', sensitive => true)",
            "23514",
        ),
        (
            false,
            "SELECT memory_import(ARRAY['{\"id\": \"m\", \"content\": \"vault 7788\"}'])",
            "23514",
        ),
        (
            false,
            "SELECT memory_add('a 7788', user_id => 'u', metadata => '{\"n\": 1}'); SELECT memory_update(memory_add('b 7788', user_id => 'u', id => 'second'), metadata => '{\"n\": 1}')",
            "23505",
        ),
        (
            false,
            "SELECT memory_add('x', key => 'k', importance => 1.0, metadata => '{\"code\": 7788}')",
            "23514",
        ),
    ] {
        let error = raised(if is_bound { &mut bound } else { &mut sql }, statement);
        assert_eq!(error.code().code(), sqlstate, "{statement}: {error:?}");
        let detail = error.detail().unwrap_or_default();
        assert!(detail.contains("is not shown"), "{statement}: {detail}");
        for secret in ["7788", "7789", "vault code"] {
            assert!(
                !format!("{error:?}").contains(secret),
                "{statement}: {error:?}"
            );
        }
    }
    // Direct SQL goes by PostgreSQL's own rule.
    let error = raised(&mut sql, "INSERT INTO memories (content) VALUES ('vault')");
    assert!(
        error
            .detail()
            .unwrap_or_default()
            .starts_with("Failing row"),
        "{error:?}"
    );
}

#[test]
fn a_block_catches_it_by_its_code_and_what_follows_is_not_touched() {
    let mut sql = own_errors();
    sql.run(
        "CREATE FUNCTION tries(content text) RETURNS text LANGUAGE plpgsql AS $$
         BEGIN
             PERFORM memory_add(content);
             RETURN 'added';
         EXCEPTION WHEN SQLSTATE 'MY001' THEN RETURN 'caught';
         END $$",
    );

    for (content, ends) in [("MY001 a", "caught"), ("b", "added"), ("MY001 c", "caught")] {
        assert_eq!(sql.one::<String>("SELECT tries($1)", &[&content]), ends);
    }
    assert_eq!(
        raised(&mut sql, "SELECT tries('MY002 d')").code().code(),
        "MY002"
    );
    // PostgreSQL's own, of the same text as one before, and ours.
    sql.run("DO $$ BEGIN PERFORM tries('MY001 a'); RAISE NOTICE 'not this: MY001 a'; END $$");
    let error = raised(
        &mut sql,
        "DO $$ BEGIN PERFORM tries('MY001 a'); RAISE EXCEPTION 'not this: MY001 a'; END $$",
    );
    assert_eq!((error.code().code(), error.constraint()), ("P0001", None));
    let error = raised(
        &mut sql,
        "DO $$ BEGIN PERFORM tries('MY001 a'); PERFORM memory_add(''); END $$",
    );
    assert_eq!((error.code().code(), error.constraint()), ("22023", None));
    let count: i64 = sql.one("SELECT memory_count()", &[]);
    assert_eq!(count, 1);
}

/// A trigger that calls the extension, whose trigger raises: through two floors of Rust.
#[test]
fn it_passes_through_calls_within_calls() {
    let mut sql = own_errors();
    sql.run(
        "CREATE FUNCTION echo() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $$
         BEGIN
             IF NEW.content ~ '^echo ' THEN PERFORM memory_add(substr(NEW.content, 6)); END IF;
             RETURN NEW;
         END $$;
         CREATE TRIGGER echo AFTER INSERT ON memories FOR EACH ROW EXECUTE FUNCTION echo()",
    );

    for _ in 0..3 {
        let error = raised(&mut sql, "SELECT memory_add('echo echo MY003 x')");
        assert_eq!(
            (error.code().code(), error.constraint()),
            ("MY003", Some("n"))
        );
        let context = error.where_().unwrap_or_default();
        assert!(
            context.starts_with("PL/pgSQL function public.refuse() line"),
            "{context}"
        );
        let floors = context.matches("PL/pgSQL function echo() line");
        assert_eq!(floors.count(), 2, "{context}");
        assert!(!context.contains("INSERT"), "{context}");
    }
}

#[test]
fn it_is_reported_where_one_failure_does_not_stop_the_rest() {
    let mut sql = own_errors();

    let operations = json!([{"operation": "add", "content": "MY004 x"}, {"operation": "add", "content": "fine"}]);
    let errors: Vec<Option<String>> = sql.column(
        "SELECT error FROM memory_delta($1, atomic => false)",
        &[&operations],
    );

    assert_eq!(errors, [Some("MY004: not this: MY004 x".to_owned()), None]);
    assert_eq!(
        raised(
            &mut sql,
            "SELECT * FROM memory_delta('[{\"operation\": \"add\", \"content\": \"MY004 x\"}]')"
        )
        .code()
        .code(),
        "MY004"
    );
    let error = raised(&mut sql, "SELECT 1 / 0");
    assert_eq!(error.code().code(), "22012");
}
