//! Plain SQL of the owner on the tables keeps every rule.

mod support;

use postgres::Client;
use support::{Sql, store};

fn finds(sql: &mut Client, query: &str) -> Vec<String> {
    sql.column(
        "SELECT id FROM memory_search($1, agent_id => '*')",
        &[&query],
    )
}

#[test]
fn a_plain_insert_is_filled_in_and_found() {
    let mut sql = store();

    sql.run("INSERT INTO memories (content, metadata) VALUES ('the walrus plays chess', '{\"direct\": true}')");

    let filled: bool = sql.one(
        "SELECT length(id) = 32 AND version = 1 AND scope = 'global' AND embedding::text = memory_embed(content)::text
                AND embedded_hash = content_hash AND content_hash = memory_content_hash(content) AND content_tsv IS NOT NULL FROM memories",
        &[],
    );
    assert!(filled);
    assert_eq!(finds(&mut sql, "walrus chess").len(), 1);
}

#[test]
fn a_plain_insert_cannot_index_a_secret() {
    let mut sql = store();
    let vector: String = sql.one("SELECT memory_embed('open sesame')::text", &[]);

    sql.run("INSERT INTO memories (content, is_sensitive) VALUES ('open sesame', true)");
    sql.batch_execute(&format!("INSERT INTO memories (content, is_sensitive, embedding) VALUES ('open sesame too', true, '{vector}')")).ok();

    let indexed: i64 = sql.one("SELECT count(*) FROM memories WHERE embedding IS NOT NULL OR embedding_sketch IS NOT NULL OR content_tsv IS NOT NULL OR embedded_hash IS NOT NULL", &[]);
    assert_eq!(indexed, 0);
    assert!(finds(&mut sql, "open sesame").is_empty());
}

#[test]
fn a_plain_update_keeps_version_time_vector_and_history_true() {
    let mut sql = store();
    let id: String = sql.one("SELECT memory_add('before')", &[]);

    sql.run("UPDATE memories SET content = 'after', metadata = '{\"x\": 1}'");

    let row = sql
        .query_one("SELECT version, updated_at > created_at, embedding::text = memory_embed('after')::text, embedded_hash = content_hash FROM memories", &[])
        .expect("a row");
    assert_eq!(row.get::<_, i32>(0), 2);
    assert!(row.get::<_, bool>(1) && row.get::<_, bool>(2) && row.get::<_, bool>(3));
    let history = sql
        .query_one(
            "SELECT version, operation, content, changed_by FROM memory_history",
            &[],
        )
        .expect("one version");
    assert_eq!(
        (
            history.get::<_, i32>(0),
            history.get::<_, String>(1).as_str()
        ),
        (1, "update")
    );
    assert_eq!(
        (
            history.get::<_, String>(2).as_str(),
            history.get::<_, String>(3).as_str()
        ),
        ("before", "postgres")
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_add('after')", &[]),
        id,
        "equal contents meet under the new content"
    );
    assert_ne!(
        sql.one::<String>("SELECT memory_add('before')", &[]),
        id,
        "and no longer under the old one"
    );
}

#[test]
fn a_plain_delete_leaves_the_last_version_in_the_history() {
    let mut sql = store();
    sql.run("SELECT memory_add('gone by hand'); DELETE FROM memories");

    let history = sql
        .query_one(
            "SELECT version, operation, content FROM memory_history",
            &[],
        )
        .expect("one version");

    assert_eq!(
        (
            history.get::<_, i32>(0),
            history.get::<_, String>(1).as_str(),
            history.get::<_, String>(2).as_str()
        ),
        (1, "delete", "gone by hand")
    );
}

#[test]
fn copy_fills_rows_in_like_insert_does() {
    use std::io::Write;
    let mut sql = store();

    let mut copy = sql
        .copy_in("COPY memories (content, namespace, is_sensitive) FROM STDIN")
        .expect("copy");
    copy.write_all(b"the otter juggles\tzoo\tf\nthe otter hides keys\tzoo\tt\n")
        .expect("written");
    copy.finish().expect("copied");

    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories WHERE embedding IS NOT NULL AND embedded_hash = content_hash", &[]), 1);
    let found: Vec<String> = sql.column(
        "SELECT content FROM memory_search('otter juggles', namespace => 'zoo')",
        &[],
    );
    assert_eq!(found, ["the otter juggles"]);
}

#[test]
fn a_vector_given_with_plain_sql_is_kept_and_made_stale_by_new_content() {
    let mut sql = store();
    let given: String = sql.one("SELECT memory_embed('something else')::text", &[]);

    sql.run(&format!(
        "INSERT INTO memories (id, content, embedding) VALUES ('v', 'words', '{given}')"
    ));
    assert!(sql.one::<bool>(
        "SELECT embedding::text = $1 AND embedded_hash = content_hash FROM memories",
        &[&given]
    ));

    sql.run("UPDATE memories SET importance = 0.7");
    assert!(
        sql.one::<bool>("SELECT embedding::text = $1 FROM memories", &[&given]),
        "it stays while the content does"
    );
    sql.run("UPDATE memories SET content = 'other words'");
    assert!(sql.one::<bool>(
        "SELECT embedding::text = memory_embed('other words')::text FROM memories",
        &[]
    ));
}

#[test]
fn the_rules_hold_for_plain_sql() {
    let mut sql = store();
    sql.run("SELECT memory_add('x', id => 'x')");

    for statement in [
        "INSERT INTO memories (content, metadata) VALUES ('a', '[]')",
        "INSERT INTO memories (content, scope) VALUES ('a', 'everyone')",
        "INSERT INTO memories (content, importance) VALUES ('a', 1.5)",
        "INSERT INTO memories (content, importance) VALUES ('a', 'NaN')",
        "INSERT INTO memories (content, project_id) VALUES ('a', '')",
        "INSERT INTO memories (id, content) VALUES ('', 'a')",
        "INSERT INTO memories (content) VALUES (E' \\t')",
        "UPDATE memories SET content = ''",
        "INSERT INTO memories (content, agent_id) VALUES ('a', repeat('x', 256))",
        "INSERT INTO memories (content, memory_type) VALUES ('a', repeat('x', 65))",
        "UPDATE memories SET key = ''",
        "INSERT INTO memories (content, scope) VALUES ('a', 'agent-private')",
        "UPDATE memories SET scope = 'agent-shared'",
        "UPDATE memories SET agent_id = 'a', scope = 'agent-shared', shared_with_agents = ARRAY['b', NULL]",
        "UPDATE memories SET agent_id = 'a', scope = 'agent-shared', shared_with_agents = ARRAY['']",
        "UPDATE memories SET agent_id = 'a', scope = 'agent-shared', shared_with_agents = ARRAY[repeat('b', 256)]",
    ] {
        let refusal = sql.refused(statement, &[]);
        assert_eq!(refusal.sqlstate, "23514", "{refusal:?}");
    }
    sql.run("SELECT memory_delete('x')");
    sql.refused("UPDATE memory_events SET event = 'x'", &[])
        .is("55000");
    sql.refused("DELETE FROM memory_events", &[]).is("55000");
}

#[test]
fn dropping_the_extension_needs_cascade_and_then_leaves_the_memories() {
    let mut sql = store();
    sql.run("SELECT memory_add('precious')");

    sql.refused("DROP EXTENSION memory_ext", &[]).is("2BP01");
    sql.run("SET client_min_messages = warning; DROP EXTENSION memory_ext CASCADE");

    assert_eq!(
        sql.column::<String>("SELECT content FROM memories", &[]),
        ["precious"]
    );
}
