//! memory_check_integrity(): a healthy store has no issues, and whatever goes wrong is found by the check that is about it.

mod support;

use postgres::Client;
use serde_json::json;
use support::integrity::{
    CHECKS, assert_healthy, behind_the_back, checked, fill, filled, finding, findings, sampled,
    wrong,
};
use support::{
    Cluster, Options, Sql, ace, cluster, granted, release, role, store_hash, wait_until,
};

#[test]
fn mt_9_a_healthy_store_has_no_issues() {
    for (number, owner) in [None, Some(role())].into_iter().enumerate() {
        let database = cluster().database();
        let mut sql = release::connect_as_owner(&database, owner.as_deref());
        release::fill(&mut sql, &role(), &role());
        assert_healthy(&mut sql);
        ace::exercise(&mut sql);
        assert_healthy(&mut sql);
        release::use_functions_of_1_0(&mut sql);
        assert_healthy(&mut sql);
        // What the user adds is his.
        let reader = role();
        release::attach_things_of_my_own(&mut sql, &reader);
        sql.run(
            "DROP INDEX ix_memories_embedding_hnsw;
             CREATE INDEX ix_memories_embedding_hnsw ON memories USING hnsw (embedding vector_cosine_ops) WITH (m = 8, ef_construction = 32);
             ALTER TABLE memories SET (fillfactor = 50); ALTER INDEX ix_memories_agent SET (fillfactor = 50)",
        );
        assert_healthy(&mut sql);
        let before = store_hash(&mut database.connect());
        assert_healthy(&mut sql);
        assert_eq!(
            store_hash(&mut database.connect()),
            before,
            "{number}: it only reads"
        );
    }
}

#[test]
fn mt_9_healthy_stores_of_every_embedder_and_shape() {
    for init in [
        "SELECT memory_init(embedder => 'md5', dimensions => 4)",
        "SELECT memory_init(dimensions => 1)",
        "SELECT memory_init(dimensions => 13)",
        "SELECT memory_init(dimensions => 2000, text_search_config => 'simple')",
    ] {
        let mut sql = cluster().database().connect();
        sql.run(init);
        sql.run(
            "SELECT memory_add(c) FROM unnest(ARRAY['words', '!!!', E'caf\\u0065\\u0301  twice', repeat('long text ', 9000), '0']) c;
             SELECT memory_kv_set('a key', 'its value'); SELECT memory_kv_set('a.secret', 'x', sensitive => true)",
        );
        assert_healthy(&mut sql);
    }
    // Vectors that somebody else brings: what has none yet is no error.
    let mut sql = cluster().database().connect();
    sql.run(
        "SELECT memory_init(embedder => 'external', dimensions => 3);
         SELECT memory_add('with', embedding => '[1, 2, 3]'); SELECT memory_add('another', embedding => '[-1, 0, 0.5]', id => 'another')",
    );
    assert_healthy(&mut sql);
    sql.run("SELECT memory_add('without', id => 'without'); SELECT memory_update('another', 'another text')");
    assert_eq!(wrong(&mut sql), ["embedding_missing warning 2"]);
    let found = finding(&mut sql, "embedding_missing");
    let mut ids = sampled(&found);
    ids.sort_unstable();
    assert_eq!(ids, ["another", "without"]);
}

#[test]
fn an_empty_store_is_healthy_and_every_object_of_it_is_checked() {
    let mut sql = cluster().database().connect();
    sql.run("SELECT memory_init()");
    assert_healthy(&mut sql);

    // What is expected is read from the migrations: nothing that they make may be left out.
    let is: Vec<i64> = [
        "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'",
        "SELECT count(*) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' AND a.attnum > 0",
        "SELECT count(*) FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f', 'c')",
        "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid WHERE c.relnamespace = 'public'::regnamespace
                AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u'))",
        "SELECT count(*) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'public'::regnamespace AND NOT tgisinternal",
        "SELECT count(*) FROM pg_policy",
    ]
    .iter()
    .map(|count| sql.one(count, &[]))
    .collect();
    let mut of = |check: &str| finding(&mut sql, check).details["checked"].clone();
    let checked = json!([
        of("tables")["tables"],
        of("tables")["columns"],
        of("constraints"),
        of("indexes"),
        of("triggers"),
        of("row_security"),
    ]);
    assert_eq!(checked, json!(is));
}

/// What goes wrong, and what is said of it: check, status and number of issues | the ids of the memories, where it is about some
/// | the statements, run as a superuser.
const SCHEMA: &str = "
    tables error 1 | | ALTER TABLE vote_history DROP COLUMN context
    tables error 1 | | ALTER TABLE vote_history ALTER COLUMN context TYPE varchar(100)
    tables error 1 | | ALTER TABLE memories ALTER COLUMN bullet_helpful TYPE bigint
    tables error 1 | | ALTER TABLE memories ALTER COLUMN namespace DROP NOT NULL
    tables error 1 | | ALTER TABLE memories ALTER COLUMN id DROP DEFAULT
    tables error 1 | | ALTER TABLE memories ALTER COLUMN content_hash DROP EXPRESSION
    tables error 1 | | ALTER TABLE memory_history ALTER COLUMN history_id DROP IDENTITY
    tables error 1 | | DROP TABLE memory_key_aliases
    tables error 1 | | ALTER TABLE memories DROP COLUMN content_hash
    tables error 2 | | DROP TABLE memory_runs; ALTER TABLE session_progress RENAME TO sessions
    constraints error 1 | | ALTER TABLE vote_history DROP CONSTRAINT vote_history_one_vote
    constraints error 1 | | ALTER TABLE memories DROP CONSTRAINT memories_sensitive_not_embedded
    constraints error 1 | | ALTER TABLE memories DROP CONSTRAINT memories_scope_check
    constraints error 1 | | ALTER TABLE memory_usage DROP CONSTRAINT memory_usage_memory_id_project_id_fkey; ALTER TABLE memory_usage ADD CONSTRAINT again FOREIGN KEY (memory_id, project_id) REFERENCES memories (id, project_id) ON DELETE CASCADE NOT VALID
    indexes error 1 | | DROP INDEX ix_memories_embedding_hnsw
    indexes error 2 | | DROP INDEX ux_memories_dedupe; DROP INDEX ix_memories_content_tsv
    indexes error 1 | | UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_memories_metadata'::regclass
    indexes error 1 | | UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_memories_embedding_hnsw'::regclass
    indexes error 1 | | DROP INDEX ix_memories_agent; CREATE INDEX ix_memories_agent ON memories (project_id, user_id) WHERE agent_id IS NOT NULL
    indexes error 1 | | DROP INDEX ix_memories_agent; CREATE INDEX ix_memories_agent ON memories (project_id, agent_id) WHERE user_id IS NOT NULL
    indexes error 1 | | DROP INDEX ux_memories_key; CREATE INDEX ux_memories_key ON memories (project_id, namespace, key) WHERE deleted_at IS NULL
    indexes error 1 | | DROP INDEX ix_memories_embedding_hnsw; CREATE INDEX ix_memories_embedding_hnsw ON memories USING hnsw (embedding vector_l2_ops)
    indexes error 1 | | DROP INDEX ix_memories_metadata; CREATE INDEX ix_memories_metadata ON memories USING gin (metadata)
    indexes warning 1 | | CREATE INDEX of_my_own ON memories (content_hash); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'of_my_own'::regclass
    triggers error 1 | | ALTER TABLE memories DISABLE TRIGGER memory_after_change
    triggers error 3 | | ALTER TABLE memories DISABLE TRIGGER USER
    triggers error 1 | | ALTER TABLE memory_events ENABLE REPLICA TRIGGER memory_events_append_only
    triggers error 1 | | DROP TRIGGER memory_before_write ON memories
    triggers error 1 | | DROP TRIGGER memory_after_delete ON memories; CREATE FUNCTION other() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER memory_after_delete AFTER DELETE ON memories FOR EACH ROW EXECUTE FUNCTION other()
    triggers error 1 | | DROP TRIGGER memory_before_write ON memories; CREATE TRIGGER memory_before_write BEFORE INSERT OR UPDATE OF content ON memories FOR EACH ROW EXECUTE FUNCTION memory_before_write()
    row_security error 1 | | ALTER TABLE memories DISABLE ROW LEVEL SECURITY
    row_security error 1 | | DROP POLICY memory_read ON memory_events
    row_security error 1 | | ALTER POLICY memory_read ON memories USING (true)
    row_security error 1 | | ALTER POLICY memory_read ON memory_history TO pg_monitor
    row_security error 2 | | DROP POLICY memory_insert ON memories; DROP POLICY memory_read ON memory_import_lines";

/// The same of rows; columns that are not generated meanwhile in square brackets.
const ROWS: &str = "
    content_hash error 1 | ferry | [content_hash] UPDATE memories SET content_hash = '\\x00' WHERE id = 'ferry'
    content_hash error 1 | ferry | [content_hash] UPDATE memories SET content = 'the ferry never leaves' WHERE id = 'ferry'
    content_hash error 1 | secret | [content_hash] UPDATE memories SET content = 'another secret' WHERE id = 'secret'
    content_hash error 2 | n1 n2 | [content_hash] UPDATE memories SET content = content || '!' WHERE id IN ('n1', 'n2')
    dedupe_hash error 1 | n1 | UPDATE memories SET dedupe_hash = sha256('x') WHERE id = 'n1'
    dedupe_hash error 1 | n1 | UPDATE memories SET dedupe_hash = '\\x' WHERE id = 'n1'
    dedupe_hash error 1 | n1 | UPDATE memories SET agent_id = 'mallory' WHERE id = 'n1'
    dedupe_hash error 1 | n1 | UPDATE memories SET agent_id = NULL WHERE id = 'n1'
    dedupe_hash error 1 | n1 | UPDATE memories SET user_id = 'mallory' WHERE id = 'n1'
    dedupe_hash error 1 | n1 | UPDATE memories SET session_id = 'mallory' WHERE id = 'n1'
    dedupe_hash error 1 | n1 | UPDATE memories SET entity_id = 'mallory' WHERE id = 'n1'
    dedupe_hash error 1 | n1 | UPDATE memories SET namespace = 'mallory' WHERE id = 'n1'
    dedupe_hash error 1 | n1 | UPDATE memories SET scope = 'global' WHERE id = 'n1'
    dedupe_hash error 1 | n1 | UPDATE memories SET memory_type = 'control' WHERE id = 'n1'
    dedupe_hash error 1 | n1 | UPDATE memories SET is_sensitive = true, embedding = NULL, embedded_hash = NULL WHERE id = 'n1'
    dedupe_hash error 1 | old | UPDATE memories SET agent_id = 'mallory' WHERE id = 'old'
    dedupe_hash error 1 | old | UPDATE memories SET is_deprecated = false WHERE id = 'old'
    dedupe_hash error 1 | n1 | UPDATE memories SET is_deprecated = true WHERE id = 'n1'
    secrets_indexed error 1 | n1 | UPDATE pg_class SET relchecks = 0 WHERE oid = 'memories'::regclass; UPDATE memories SET is_sensitive = true, dedupe_hash = NULL WHERE id = 'n1'; UPDATE pg_class SET relchecks = (SELECT count(*) FROM pg_constraint WHERE conrelid = 'memories'::regclass AND contype = 'c') WHERE oid = 'memories'::regclass
    secrets_indexed error 1 | secret | [content_tsv] UPDATE memories SET content_tsv = to_tsvector('a secret') WHERE id = 'secret'
    embedding_values error 1 | n1 | UPDATE memories SET embedding = array_fill(0::real, '{384}')::vector WHERE id = 'n1'
    embedding_sketch error 1 | n1 | [embedding_sketch] UPDATE memories SET embedding_sketch = ~embedding_sketch WHERE id = 'n1'
    embedding_sketch error 1 | n1 | [embedding_sketch] UPDATE memories SET embedding_sketch = set_bit(embedding_sketch, 383, 1 - get_bit(embedding_sketch, 383)) WHERE id = 'n1'
    embedding_sketch error 1 | n1 | [embedding_sketch] UPDATE memories SET embedding_sketch = NULL WHERE id = 'n1'
    embedding_missing error 1 | n1 | UPDATE memories SET embedding = NULL, embedded_hash = NULL WHERE id = 'n1'
    embedding_stale error 1 | n1 | UPDATE memories SET embedded_hash = sha256('x') WHERE id = 'n1'
    embedding_stale error 1 | n1 | UPDATE memories SET embedded_hash = NULL WHERE id = 'n1'
    embedding_stale error 2 | n1 ferry | UPDATE memories SET content = content || ' or so', dedupe_hash = NULL WHERE id IN ('n1', 'ferry')
    embedding_differs warning 1 | n1 | UPDATE memories SET embedding = (SELECT embedding FROM memories WHERE id = 'n2') WHERE id = 'n1'
    embedding_differs warning 1 | n1 | UPDATE memories SET embedding = ('[' || 0.5 || substr(embedding::text, strpos(embedding::text, ',')))::vector WHERE id = 'n1'
    text_index warning 1 | ferry | [content_tsv] UPDATE memories SET content_tsv = to_tsvector('tram') WHERE id = 'ferry'
    text_index warning 1 | ferry | [content_tsv] UPDATE memories SET content_tsv = NULL WHERE id = 'ferry'
    row_values warning 1 | n1 | UPDATE memories SET created_at = updated_at + interval '1 day' WHERE id = 'n1'
    row_values warning 1 | n1 | UPDATE memories SET version = 0 WHERE id = 'n1'
    row_values warning 1 | n1 | UPDATE pg_class SET relchecks = 0 WHERE oid = 'memories'::regclass; UPDATE memories SET importance = 7 WHERE id = 'n1'; UPDATE pg_class SET relchecks = (SELECT count(*) FROM pg_constraint WHERE conrelid = 'memories'::regclass AND contype = 'c') WHERE oid = 'memories'::regclass
    row_values warning 1 | n1 | UPDATE memories SET content_flags = '{made:up}' WHERE id = 'n1'
    row_values warning 1 | n1 | UPDATE memories SET content_flags = '{}' WHERE id = 'n1'
    row_values warning 1 | secret | UPDATE memories SET content_flags = '{pii:email}' WHERE id = 'secret'
    row_values warning 2 | ferry n1 | UPDATE memories SET shared_with_agents = '{mallory}' WHERE id IN ('ferry', 'n1')
    row_values warning 1 | n1 | UPDATE memories SET dedupe_hash = NULL, agent_id = NULL WHERE id = 'n1'
    row_values warning 1 | n1 | UPDATE memories SET dedupe_hash = NULL, is_deprecated = true WHERE id = 'n1'
    row_values warning 1 | n1 | UPDATE memories SET dedupe_hash = NULL, deprecated_at = now() WHERE id = 'n1'
    row_values warning 1 | n1 | UPDATE memories SET dedupe_hash = NULL, namespace = '' WHERE id = 'n1'
    row_values warning 1 | n1 | UPDATE memories SET dedupe_hash = NULL, memory_type = repeat('x', 65) WHERE id = 'n1'
    row_versions warning 1 | ferry | UPDATE memories SET version = 2 WHERE id = 'ferry'
    row_versions warning 1 | ferry | UPDATE memories SET version = 9 WHERE id = 'ferry'
    row_versions warning 1 | ferry | UPDATE memories SET updated_at = updated_at - interval '1 microsecond' WHERE id = 'ferry'
    row_versions warning 1 | ferry | UPDATE memories SET created_at = created_at - interval '1 year' WHERE id = 'ferry'
    history_hash error 1 | ferry | UPDATE memory_history SET content = 'the ferry left' WHERE memory_id = 'ferry' AND version = 1
    history_hash error 1 | ferry | UPDATE memory_history SET content_hash = sha256('x') WHERE memory_id = 'ferry' AND version = 2
    history_intervals warning 1 | ferry | UPDATE memory_history SET valid_from = valid_to + interval '1 day' WHERE memory_id = 'ferry' AND version = 2
    history_intervals warning 1 | ferry | UPDATE memory_history SET valid_from = valid_from - interval '1 day' WHERE memory_id = 'ferry' AND version = 2
    vote_counters error 1 | ferry | UPDATE memories SET bullet_helpful = 7 WHERE id = 'ferry'
    vote_counters error 2 | ferry n1 | UPDATE memories SET bullet_harmful = bullet_harmful + 1 WHERE id IN ('ferry', 'n1')
    vote_counters error 1 | ferry | DELETE FROM vote_history WHERE voter_agent_id = 'a' AND task_id = 'x'
    vote_counters error 1 | ferry | UPDATE vote_history SET vote = 'harmful' WHERE voter_agent_id = 'a' AND task_id = 'x'
    orphans error 6 | ferry | DELETE FROM memories WHERE id = 'ferry'
    orphans error 1 | ghost | INSERT INTO vote_changes (memory_id, project_id, voter_agent_id, vote) VALUES ('ghost', 'default', 'a', 'helpful')
    secrets_cached error 1 | secret | INSERT INTO embedding_cache (model, content_hash, embedding) SELECT 'hash-384', memory_content_hash('a secret'), memory_embed('a secret')
    superseded_by warning 2 | old older | DELETE FROM memories WHERE id = 'new'
    supersession_cycles error 2 | new old | UPDATE memories SET superseded_by = 'old' WHERE id = 'new'
    supersession_cycles error 1 | new | UPDATE memories SET superseded_by = 'new' WHERE id = 'new'
    supersession_cycles error 5 | n1 n2 n3 n4 n5 | UPDATE memories SET superseded_by = 'n' || 1 + (substr(id, 2)::int % 5) WHERE id IN ('n1', 'n2', 'n3', 'n4', 'n5')";

fn seeds(table: &str) -> impl Iterator<Item = (&str, Vec<&str>, &str)> {
    table
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(
            |line| match line.splitn(3, '|').map(str::trim).collect::<Vec<_>>()[..] {
                [finding, ids, statements] => {
                    (finding, ids.split_whitespace().collect(), statements)
                }
                _ => panic!("three fields: {line}"),
            },
        )
}

/// Runs the statements in a transaction that is rolled back after the store was checked.
fn found_after(sql: &mut Client, statements: &str, look: impl FnOnce(&mut Client)) {
    sql.run("BEGIN");
    sql.run(statements);
    look(sql);
    sql.run("ROLLBACK");
}

#[test]
fn mt_9_each_change_of_the_schema_is_found_by_its_own_check() {
    let mut sql = filled().connect();
    for (expected, _, statements) in seeds(SCHEMA) {
        let statements = format!("SET LOCAL allow_system_table_mods = on; {statements}");
        found_after(&mut sql, &statements, |sql| {
            assert_eq!(wrong(sql), [expected], "{statements}");
        });
    }
    assert_healthy(&mut sql);
}

#[test]
fn c18_mt_9_each_corruption_of_rows_is_found_by_its_own_check() {
    let mut sql = filled().connect();
    for (expected, ids, statements) in seeds(ROWS) {
        let (columns, statements) = match statements
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            Some((column, statements)) => (vec![column], statements),
            None => (Vec::new(), statements),
        };
        let statements = behind_the_back(&columns, statements);
        found_after(&mut sql, &statements, |sql| {
            assert_eq!(wrong(sql), [expected], "{statements}");
            let check = expected.split(' ').next().unwrap_or_default();
            let found = finding(sql, check);
            let mut named = sampled(&found);
            named.sort_unstable();
            named.dedup();
            let mut ids = ids.clone();
            ids.sort_unstable();
            assert_eq!(named, ids, "{found:?}");
        });
    }
    assert_healthy(&mut sql);
}

#[test]
fn a_generation_expression_that_was_dropped_is_found_and_so_is_what_was_edited_then() {
    let mut sql = filled().connect();
    sql.run("ALTER TABLE memories ALTER COLUMN content_hash DROP EXPRESSION; UPDATE memories SET content_hash = '\\x00' WHERE id = 'ferry'");
    assert_eq!(wrong(&mut sql), ["tables error 1", "content_hash error 1"]);
}

#[test]
fn two_things_that_are_wrong_are_two_findings_and_samples_are_ten_at_most() {
    let mut sql = filled().connect();
    let statements = behind_the_back(
        &[],
        "UPDATE memories SET embedding = NULL, embedded_hash = NULL WHERE id LIKE 'n%' AND id <> 'new'; UPDATE memories SET bullet_helpful = 7 WHERE id = 'ferry'",
    );
    found_after(&mut sql, &statements, |sql| {
        assert_eq!(
            wrong(sql),
            ["embedding_missing error 30", "vote_counters error 1"]
        );
        assert_eq!(sampled(&finding(sql, "embedding_missing")).len(), 10);
        let counters = finding(sql, "vote_counters");
        assert_eq!(
            counters.details["sample"][0],
            json!({ "id": "ferry", "project_id": "default", "counters": [7, 1], "votes": [4, 1] })
        );
    });
}

#[test]
fn mt_9_the_statements_of_repair_repair_the_indexes() {
    let mut sql = filled().connect();
    let drop = "DROP INDEX ix_memories_embedding_hnsw; DROP INDEX ux_memories_key; DROP INDEX ix_memories_agent; CREATE INDEX ix_memories_agent ON memories (user_id);
                CREATE INDEX \"Of my own\" ON memories (content_hash); SET LOCAL allow_system_table_mods = on; UPDATE pg_index SET indisvalid = false WHERE indexrelid IN ('\"Of my own\"'::regclass, 'ix_memories_type'::regclass)";
    sql.run(&format!("BEGIN; {drop}; COMMIT"));
    assert_eq!(wrong(&mut sql), ["indexes error 5"]);
    let repair = finding(&mut sql, "indexes").details["repair"].clone();
    for statement in repair.as_array().expect("statements") {
        sql.run(statement.as_str().expect("a statement"));
    }
    assert_healthy(&mut sql);
}

#[test]
fn mt_9_memory_migrate_puts_rules_back() {
    let mut sql = filled().connect();
    sql.run(
        "DROP TRIGGER memory_before_write ON memories; DROP POLICY memory_read ON memories; ALTER TABLE memories ALTER COLUMN id DROP DEFAULT;
         ALTER TABLE memory_events DISABLE ROW LEVEL SECURITY; ALTER TABLE memories DROP COLUMN content_hash",
    );
    // Every other function refuses to work with such a store.
    sql.refused("SELECT memory_count()", &[]).is("55000");
    assert_eq!(
        wrong(&mut sql),
        ["tables error 2", "triggers error 1", "row_security error 2"]
    );
    let skipped = finding(&mut sql, "content_hash").details["skipped"].clone();
    assert!(
        skipped
            .as_str()
            .is_some_and(|why| why.contains("content_hash")),
        "{skipped}"
    );
    sql.run("SELECT memory_migrate()");
    assert_healthy(&mut sql);
}

#[test]
fn mt_9_a_backlog_is_reported_once_nobody_can_be_removing_it() {
    for (check, column, past) in [
        ("expired_backlog", "expires_at", "interval '2 days'"),
        ("tombstone_backlog", "deleted_at", "interval '40 days'"),
    ] {
        let mut sql = filled().connect();
        sql.run("SET session_replication_role = replica");
        let add = |count: i32, past: &str| {
            format!(
                "INSERT INTO memories (content, is_sensitive, {column}) SELECT 'over ' || i, true, now() - {past} FROM generate_series(1, {count}) i"
            )
        };
        sql.run(&add(1000, past));
        sql.run(&add(2000, "interval '1 hour'"));
        assert_healthy(&mut sql);
        sql.run(&add(1, past));
        assert_eq!(wrong(&mut sql), [format!("{check} warning 1001")]);
        let found = finding(&mut sql, check);
        assert_eq!(found.details["limit"], 1000);
        sql.run("SELECT memory_expire(100000)");
        assert_healthy(&mut sql);
    }
}

#[test]
fn mt_9_many_memories_that_were_never_analysed_are_reported() {
    let mut sql = filled().connect();
    sql.run(
        "ALTER TABLE memories SET (autovacuum_enabled = off); SET session_replication_role = replica;
         INSERT INTO memories (content, is_sensitive, metadata)
         SELECT 'text ' || i, true, jsonb_build_object('p', (SELECT string_agg(md5(i || '-' || j), '') FROM generate_series(1, 50) j)) FROM generate_series(1, 11000) i",
    );
    assert_eq!(wrong(&mut sql), ["statistics warning 1"]);
    sql.run("ANALYZE memories");
    assert_healthy(&mut sql);
}

#[test]
fn mt_9_memories_that_the_vector_index_does_not_lead_to_are_reported() {
    let mut sql = filled().connect();
    sql.run(
        "SET allow_system_table_mods = on; UPDATE pg_index SET indisready = false WHERE indexrelid = 'ix_memories_embedding_hnsw'::regclass;
         SELECT memory_add('not in the index ' || md5(i::text), id => 'lost' || i) FROM generate_series(1, 20) i;
         UPDATE pg_index SET indisready = true WHERE indexrelid = 'ix_memories_embedding_hnsw'::regclass",
    );
    assert_eq!(wrong(&mut sql), ["hnsw_reach error 20"]);
    let found = finding(&mut sql, "hnsw_reach");
    assert!(
        sampled(&found).iter().all(|id| id.starts_with("lost")),
        "{found:?}"
    );
    sql.run("SELECT memory_rebuild_index()");
    assert_healthy(&mut sql);
}

#[test]
fn equal_vectors_find_each_other() {
    // More of them than the index is asked for.
    let mut sql = cluster().database().connect();
    sql.run("SELECT memory_add('the same words', agent_id => 'agent ' || i) FROM generate_series(1, 300) i");
    assert_healthy(&mut sql);
}

#[test]
fn a_project_is_checked_by_its_admin_alone_and_shows_its_own_rows_only() {
    let database = filled();
    let mut sql = database.connect();
    let (_, mut admin) = granted(&database, "other", "admin", None);
    let (_, mut everywhere) = granted(&database, "*", "admin", None);
    sql.run(&format!("BEGIN; {} COMMIT", behind_the_back(
        &["content_hash"],
        "UPDATE memories SET content = content || '!' WHERE id IN ('ferry', 'elsewhere'); UPDATE memory_history SET content = 'x' WHERE memory_id = 'ferry';
         UPDATE memories SET bullet_harmful = 9, superseded_by = 'nobody' WHERE id IN ('n1', 'elsewhere')",
    )));

    let of = |client: &mut Client, call: &str| -> Vec<String> {
        findings(client, call)
            .iter()
            .filter(|finding| finding.status != "ok")
            .map(|finding| format!("{} {}", finding.check, finding.issues))
            .collect()
    };
    for client in [&mut admin, &mut everywhere, &mut sql] {
        let wrong = of(client, "memory_check_integrity('other')");
        assert_eq!(
            wrong,
            ["content_hash 1", "vote_counters 1", "superseded_by 1"]
        );
    }
    for client in [&mut everywhere, &mut sql] {
        let wrong = of(client, "memory_check_integrity()");
        assert_eq!(
            wrong,
            [
                "content_hash 2",
                "history_hash 2",
                "vote_counters 2",
                "superseded_by 2"
            ]
        );
        assert_eq!(of(client, "memory_check_integrity('default')").len(), 4);
        assert_eq!(
            of(client, "memory_check_integrity('no such project')"),
            [""; 0]
        );
    }
    for call in [
        "memory_check_integrity()",
        "memory_check_integrity('default')",
        "memory_validate_vectors()",
    ] {
        admin
            .refused(&format!("SELECT * FROM {call}"), &[])
            .is("42501")
            .says("admin")
            .hints("memory_grant")
            .well_formed();
    }
}

#[test]
fn no_finding_holds_a_content() {
    let database = filled();
    let mut sql = database.connect();
    let statements = behind_the_back(
        &["content_hash", "content_tsv"],
        "UPDATE memories SET content = 'xyzzy', content_tsv = to_tsvector('xyzzy'), bullet_helpful = 3 WHERE id IN ('secret', 'n1'); UPDATE memory_history SET content = 'xyzzy'",
    );
    sql.run(&format!("BEGIN; {statements} COMMIT"));
    for call in ["memory_check_integrity()", "memory_validate_vectors()"] {
        let said: Vec<String> = sql.column(&format!("SELECT r::text FROM {call} r"), &[]);
        assert!(
            said.concat().contains("embedding_stale") && !said.concat().contains("xyzzy"),
            "{said:?}"
        );
    }
}

#[test]
fn a_sample_of_none_and_bad_samples() {
    let mut sql = filled().connect();
    for sample in [0, 1, 10_000] {
        let findings = findings(
            &mut sql,
            &format!("memory_check_integrity(sample => {sample})"),
        );
        assert_eq!(findings.len(), CHECKS.len());
        let differs = &findings[15];
        assert_eq!(differs.details["checked"], sample.min(37), "{differs:?}");
    }
    for call in ["memory_check_integrity", "memory_validate_vectors"] {
        for (arguments, says) in [
            ("sample => -1", "sample is -1"),
            ("sample => 10001", "sample is 10001"),
            ("''", "project_id is blank"),
            ("'*'", "'*' is not a project"),
        ] {
            sql.refused(&format!("SELECT * FROM {call}({arguments})"), &[])
                .is("22023")
                .says(says)
                .well_formed();
        }
    }
}

#[test]
fn validate_vectors_counts_and_checks_vectors_alone() {
    let mut sql = filled().connect();
    let statements = behind_the_back(
        &[],
        "UPDATE memories SET embedding = NULL, embedded_hash = NULL WHERE id IN ('n1', 'n2'); UPDATE memories SET embedded_hash = sha256('x') WHERE id = 'n3';
         UPDATE memories SET bullet_helpful = 7 WHERE id = 'n4'",
    );
    sql.run(&format!("BEGIN; {statements} COMMIT"));

    let all = findings(&mut sql, "memory_validate_vectors()");
    let names: Vec<&str> = all.iter().map(|finding| finding.check.as_str()).collect();
    assert_eq!(
        names,
        [
            "vectors",
            "secrets_indexed",
            "embedding_dimensions",
            "embedding_values",
            "embedding_sketch",
            "embedding_missing",
            "embedding_stale",
            "embedding_differs",
            "hnsw_reach"
        ]
    );
    assert_eq!(
        all[0].details,
        json!({ "rows": 38, "embedded": 35, "waiting": 2, "stale": 1, "sensitive": 1, "deleted": 1 })
    );
    let wrong: Vec<(&str, i64)> = all
        .iter()
        .filter(|finding| finding.status != "ok")
        .map(|finding| (finding.check.as_str(), finding.issues))
        .collect();
    assert_eq!(wrong, [("embedding_missing", 2), ("embedding_stale", 1)]);
    assert_eq!(
        (&all[8].details["searched"], &all[8].details["found_itself"]),
        (&json!(34), &json!(34))
    );
    assert_eq!(
        findings(&mut sql, "memory_validate_vectors('other')")[0].details["rows"],
        1
    );
}

#[test]
fn a_standby_is_checked_too() {
    let cluster = Cluster::start(Options::default());
    let database = cluster.database();
    let mut sql = database.connect();
    fill(&mut sql);
    let standby = cluster.standby();
    let mut there = standby.connect(&database.name);
    let written: String = sql.one("SELECT pg_current_wal_lsn()::text", &[]);
    wait_until("the standby has caught up", || {
        there.one(
            "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn",
            &[&written],
        )
    });
    assert_healthy(&mut there);
    there.run("SELECT * FROM memory_validate_vectors(); SELECT * FROM memory_recall_check(); SELECT * FROM memory_cleanup_orphans(); SELECT memory_rebuild_script(); SELECT * FROM memory_maintenance_history();
               SELECT memory_maintenance(dry_run => true)");
    for call in [
        "SELECT * FROM memory_cleanup_orphans(dry_run => false)",
        "SELECT memory_rebuild_index()",
        "SELECT memory_reembed()",
        "SELECT memory_maintenance()",
    ] {
        there
            .refused(call, &[])
            .is("55000")
            .says("standby")
            .hints("primary")
            .well_formed();
    }
}

#[test]
fn a_check_can_be_cancelled() {
    let database = filled();
    let mut sql = database.connect();
    sql.run("SET session_replication_role = replica; INSERT INTO memories (content, is_sensitive) SELECT repeat('x', 20000) || i, true FROM generate_series(1, 20000) i");
    sql.run("SET statement_timeout = '50ms'");
    sql.refused("SELECT * FROM memory_check_integrity()", &[])
        .is("57014");
    sql.run("RESET statement_timeout");
    assert_eq!(checked(&mut sql).len(), CHECKS.len());
}
