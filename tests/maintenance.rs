//! Rebuilding, re-embedding, cleaning up, measuring recall, and rounds of all that.

mod support;

use postgres::Client;
use serde_json::{Value, json};
use support::calls::{READING, READING_1_1, WRITING, call};
use support::catalog::offers;
use support::integrity::{assert_healthy, behind_the_back, fill, wrong};
use support::{Database, Options, Sql, cluster, granted, release, role, run, store_hash};

fn filled() -> Database<'static> {
    let database = cluster().database();
    fill(&mut database.connect());
    database
}

/// A store whose vectors point where numbers say, enough of them for every path of a search.
fn in_space(rows: i32) -> Client {
    let mut sql = cluster().database().connect();
    sql.run("SELECT memory_init(embedder => 'external', dimensions => 8)");
    sql.run(&format!(
        "SELECT setseed(0.5); SET memory_ext.max_batch = 100000;
         SELECT count(*) FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('content', 'row ' || i, 'embedding', (SELECT jsonb_agg(round((random() - 0.5)::numeric, 6)) FROM generate_series(1, 8) WHERE i > 0))) FROM generate_series(1, {rows}) i));
         ANALYZE memories"
    ));
    sql
}

fn index(sql: &mut Client) -> Option<String> {
    sql.one(
        "SELECT max(pg_get_indexdef(oid)) FROM pg_class WHERE relname = 'ix_memories_embedding_hnsw'",
        &[],
    )
}

fn path(sql: &mut Client) -> String {
    sql.one(
        "SELECT memory_explain(embedding => '[1, 0.5, 0, 0, 0, 0, 0, 0]', k => 5) ->> 'path'",
        &[],
    )
}

fn nearest(sql: &mut Client) -> Vec<String> {
    sql.column(
        "SELECT id FROM memory_search(embedding => '[1, 0.5, 0, 0, 0, 0, 0, 0]', k => 5)",
        &[],
    )
}

#[test]
fn rb_1_the_guides_own_lines_rebuild_the_index_and_searches_go_on_without_it() {
    let mut sql = in_space(20_000);
    assert_eq!(path(&mut sql), "hnsw");
    let before = nearest(&mut sql);
    let text = "SELECT id FROM memory_search('row 77', k => 1, mode => 'text')";
    let by_text: String = sql.one(text, &[]);

    sql.run("DROP INDEX IF EXISTS ix_memories_embedding_hnsw");
    assert_ne!(path(&mut sql), "hnsw", "what is not there is not used");
    assert_eq!(nearest(&mut sql), before);
    assert_eq!(sql.one::<String>(text, &[]), by_text);
    for forced in ["exact", "sketch", "hnsw"] {
        sql.run(&format!("SET memory_ext.vector_path = '{forced}'"));
        assert_eq!(
            path(&mut sql),
            forced.replace("hnsw", "exact"),
            "and says so"
        );
        // A sketch of eight bits tells few vectors apart.
        match forced {
            "sketch" => assert_eq!(nearest(&mut sql).len(), before.len()),
            _ => assert_eq!(nearest(&mut sql), before, "{forced}"),
        }
    }
    sql.run("RESET memory_ext.vector_path");
    sql.run("SELECT memory_add('written meanwhile', embedding => '[1, 0.5, 0, 0, 0, 0, 0, 0]', id => 'meanwhile')");
    assert_eq!(nearest(&mut sql)[0], "meanwhile");
    assert_eq!(wrong(&mut sql), ["indexes error 1"]);

    sql.run(
        "CREATE INDEX ix_memories_embedding_hnsw ON memories
         USING hnsw (embedding vector_cosine_ops)
         WITH (m = 16, ef_construction = 64);",
    );
    sql.run("SET hnsw.ef_search = 200;");
    assert_eq!(path(&mut sql), "hnsw");
    assert_eq!(nearest(&mut sql)[0], "meanwhile");
    let explained: Value = sql.one(
        "SELECT memory_explain(embedding => '[1, 0.5, 0, 0, 0, 0, 0, 0]', k => 5)",
        &[],
    );
    assert_eq!(explained["settings"]["ef_search"], 200, "{explained}");
    assert!(
        explained["plan"]
            .to_string()
            .contains("ix_memories_embedding_hnsw"),
        "{explained}"
    );
    sql.run("SET memory_ext.ef_search = 60");
    let explained: Value = sql.one(
        "SELECT memory_explain(embedding => '[1, 0.5, 0, 0, 0, 0, 0, 0]', k => 5)",
        &[],
    );
    assert_eq!(
        explained["settings"]["ef_search"], 60,
        "memory_ext's own setting decides"
    );
    assert_healthy(&mut sql);
}

#[test]
fn a_session_that_named_ef_search_before_its_first_search_has_it() {
    let mut other = in_space(20_000);
    let name: String = other.one("SELECT current_database()::text", &[]);
    let mut sql = cluster().connect(&name);
    sql.run("SET hnsw.ef_search = 333");
    let explained: Value = sql.one(
        "SELECT memory_explain(embedding => '[1, 0.5, 0, 0, 0, 0, 0, 0]', k => 5)",
        &[],
    );
    assert_eq!(explained["settings"]["ef_search"], 333, "{explained}");
    assert_eq!(
        sql.one::<String>("SHOW hnsw.ef_search", &[]),
        "333",
        "and it is left as it was"
    );
}

#[test]
fn rb_1_rebuild_index_reports_what_it_did_and_verifies_it_by_searches() {
    let database = filled();
    let mut sql = database.connect();
    let before = store_hash(&mut sql);
    let report: Value = sql.one("SELECT memory_rebuild_index()", &[]);
    assert_eq!(
        (
            &report["found"],
            &report["eligible"],
            &report["embedded"],
            &report["failed"]
        ),
        (&json!(38), &json!(36), &json!(36), &json!(0)),
        "{report}"
    );
    assert_eq!(report["index"]["name"], "ix_memories_embedding_hnsw");
    assert_eq!(
        (&report["index"]["m"], &report["index"]["ef_construction"]),
        (&json!(16), &json!(64))
    );
    assert!(report["index"]["size"].as_i64() > Some(8192), "{report}");
    assert!(report["index"]["seconds"].as_f64() > Some(0.0), "{report}");
    assert_eq!(report["reembed"], Value::Null);
    // Deprecated ones are not looked for.
    let verification = &report["verification"];
    assert_eq!(
        (&verification["searched"], &verification["found_itself"]),
        (&json!(34), &json!(34))
    );
    assert!(verification["by_index"].is_boolean(), "{verification}");
    assert_eq!(store_hash(&mut sql), before);

    let report: Value = sql.one(
        "SELECT memory_rebuild_index(m => 8, ef_construction => 40)",
        &[],
    );
    assert_eq!(
        (&report["index"]["m"], &report["index"]["ef_construction"]),
        (&json!(8), &json!(40))
    );
    assert!(
        index(&mut sql)
            .expect("an index")
            .contains("m='8', ef_construction='40'")
    );
    let report: Value = sql.one("SELECT memory_rebuild_index(ef_construction => 50)", &[]);
    assert_eq!(
        (&report["index"]["m"], &report["index"]["ef_construction"]),
        (&json!(8), &json!(50)),
        "the rest stays"
    );
    sql.run("DROP INDEX ix_memories_embedding_hnsw");
    sql.run("SELECT memory_rebuild_index()");
    assert!(
        index(&mut sql)
            .expect("an index")
            .contains("m='16', ef_construction='64'")
    );
    assert_healthy(&mut sql);

    for (arguments, says) in [
        ("m => 1", "m is 1"),
        ("m => 101", "m is 101"),
        ("ef_construction => 3", "ef_construction is 3"),
        ("ef_construction => 1001", "ef_construction is 1001"),
        ("m => 33", "at least twice m"),
    ] {
        for function in ["memory_rebuild_index", "memory_rebuild_script"] {
            sql.refused(&format!("SELECT {function}({arguments})"), &[])
                .is("22023")
                .says(says)
                .well_formed();
        }
    }
    assert_healthy(&mut sql);
}

#[test]
fn a_rebuild_that_fails_leaves_the_old_index() {
    let database = filled();
    let mut sql = database.connect();
    let before = index(&mut sql);
    sql.run("BEGIN; SELECT memory_rebuild_index(m => 5); ROLLBACK");
    assert_eq!(index(&mut sql), before);
    sql.run(
        "DROP INDEX ix_memories_embedding_hnsw; CREATE TABLE ix_memories_embedding_hnsw (a int)",
    );
    sql.refused("SELECT memory_rebuild_index()", &[])
        .is("55000")
        .says("ix_memories_embedding_hnsw")
        .well_formed();
    sql.run("DROP TABLE ix_memories_embedding_hnsw; CREATE INDEX ix_memories_embedding_hnsw ON memory_types (memory_type)");
    sql.refused("SELECT memory_rebuild_index()", &[])
        .is("55000")
        .helps();
    sql.run("DROP INDEX ix_memories_embedding_hnsw");
    // Somebody who reads keeps the rebuild waiting, not the other way round.
    let mut reader = database.connect();
    reader.run("BEGIN; SELECT * FROM memory_search('ferry')");
    sql.run("SET lock_timeout = '100ms'");
    sql.refused("SELECT memory_rebuild_index()", &[])
        .is("55P03");
    reader.run("SELECT memory_add('written meanwhile'); COMMIT");
    sql.run("SELECT memory_rebuild_index()");
    assert_healthy(&mut sql);
}

#[test]
fn rb_1_rebuild_with_vectors_made_anew_mends_them() {
    let database = filled();
    let mut sql = database.connect();
    let statements = behind_the_back(
        &[],
        "UPDATE memories SET embedding = NULL, embedded_hash = NULL WHERE id = 'n1'; UPDATE memories SET embedded_hash = sha256('x') WHERE id = 'n2';
         UPDATE memories SET embedding = (SELECT embedding FROM memories WHERE id = 'n4') WHERE id = 'n3'",
    );
    sql.run(&format!("BEGIN; {statements} COMMIT"));
    assert_eq!(
        wrong(&mut sql),
        [
            "embedding_missing error 1",
            "embedding_stale error 1",
            "embedding_differs warning 1"
        ]
    );
    let versions = "SELECT sum(version) + (SELECT count(*) FROM memory_history) FROM memories";
    let before: i64 = sql.one(versions, &[]);
    let report: Value = sql.one("SELECT memory_rebuild_index(reembed => true)", &[]);
    assert_eq!(report["reembed"]["written"], 3, "{report}");
    assert_eq!(report["reembed"]["eligible"], 36, "{report}");
    assert_eq!(
        (&report["embedded"], &report["failed"]),
        (&json!(36), &json!(0)),
        "{report}"
    );
    assert_eq!(
        sql.one::<i64>(versions, &[]),
        before,
        "no new version of any memory"
    );
    assert_healthy(&mut sql);
}

#[test]
fn what_has_no_word_in_it_is_embedded_and_counted_like_the_rest() {
    for embedder in ["hash", "md5"] {
        let mut sql = cluster().database().connect();
        sql.run(&format!(
            "SELECT memory_init(embedder => '{embedder}', dimensions => 16);
             SELECT memory_add(c) FROM unnest(ARRAY['!!!', '—', '...', E'\\u200b-', 'words']) c;
             SET session_replication_role = replica; UPDATE memories SET embedding = NULL, embedded_hash = NULL;
             RESET session_replication_role"
        ));
        let report: Value = sql.one("SELECT memory_reembed()", &[]);
        for (counter, expected) in [
            ("found", 5),
            ("eligible", 5),
            ("embedded", 5),
            ("failed", 0),
        ] {
            assert_eq!(report[counter], expected, "{embedder}: {report}");
        }
        assert_eq!(
            sql.one::<i64>("SELECT count(embedding) FROM memories", &[]),
            5
        );
        assert_healthy(&mut sql);
    }
}

#[test]
fn the_script_rebuilds_the_index_by_psql_while_others_write() {
    for (schema, vector) in [("public", "public"), ("\"Mem ory\"", "\"Vec tor\"")] {
        let database = cluster().empty_database();
        let mut sql = database.connect();
        sql.run(&format!(
            "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE SCHEMA IF NOT EXISTS {vector}; CREATE EXTENSION vector SCHEMA {vector}; CREATE EXTENSION memory_ext SCHEMA {schema}; SET search_path = {schema}, {vector}"
        ));
        fill(&mut sql);
        let script: String = sql.one(
            "SELECT memory_rebuild_script(m => 10, ef_construction => 44)",
            &[],
        );
        let mut writer = database.connect();
        writer.run(&format!("SET search_path = {schema}, {vector}"));
        let file = cluster().directory().join("rebuild.sql");
        // What an interrupted run leaves is in nobody's way.
        for script in [
            &format!(
                "CREATE INDEX ix_memories_embedding_hnsw_new ON {schema}.memories (id);\n{script}"
            ),
            &script,
        ] {
            std::fs::write(&file, script).expect("the script is written");
            run(cluster()
                .client("psql", &database.name)
                .args(["-X", "-f"])
                .arg(&file));
            writer.run("SELECT memory_add('written after ' || clock_timestamp())");
            let index: String = sql.one(
                "SELECT pg_get_indexdef('ix_memories_embedding_hnsw'::regclass)",
                &[],
            );
            assert!(
                index.contains("hnsw") && index.contains("m='10', ef_construction='44'"),
                "{index}"
            );
            assert_healthy(&mut sql);
        }
    }
}

#[test]
fn reembed_goes_on_where_it_stopped() {
    let database = filled();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('in another project', id => 'n15', project_id => 'other'); SELECT memory_add('in a third one', id => 'n15', project_id => 'third')");
    let statements = behind_the_back(
        &[],
        "UPDATE memories SET embedding = NULL, embedded_hash = NULL WHERE NOT is_sensitive AND deleted_at IS NULL",
    );
    sql.run(&format!("BEGIN; {statements} COMMIT"));
    let waiting = "SELECT count(*) FROM memories WHERE embedding IS NULL AND NOT is_sensitive AND deleted_at IS NULL";
    assert_eq!(sql.one::<i64>(waiting, &[]), 38);

    let (mut next, mut calls, mut sums) = (None::<String>, 0, [0i64; 4]);
    loop {
        let report: Value = sql.one("SELECT memory_reembed(batch => 7, after => $1)", &[&next]);
        for (sum, name) in sums
            .iter_mut()
            .zip(["found", "eligible", "embedded", "failed"])
        {
            *sum += report[name].as_i64().expect("a number");
        }
        assert_eq!(report["searched"], report["eligible"], "{report}");
        assert_eq!(report["verified"], report["embedded"], "{report}");
        calls += 1;
        next = report["next"].as_str().map(str::to_owned);
        if next.is_none() {
            break;
        }
        assert!(report["found"].as_i64() >= Some(7), "{report}");
    }
    assert_eq!((calls, sums), (6, [40, 38, 38, 0]));
    assert_eq!(sql.one::<i64>(waiting, &[]), 0);
    assert_healthy(&mut sql);

    // Nothing is written where nothing is to be changed.
    let report: Value = sql.one("SELECT memory_reembed(batch => 100000)", &[]);
    assert_eq!(
        (&report["embedded"], &report["written"]),
        (&json!(38), &json!(0)),
        "{report}"
    );
    let report: Value = sql.one("SELECT memory_reembed(only_stale => true)", &[]);
    assert_eq!(
        (&report["found"], &report["eligible"]),
        (&json!(40), &json!(0)),
        "{report}"
    );
    let report: Value = sql.one("SELECT memory_reembed(project_id => 'other')", &[]);
    assert_eq!(
        (&report["found"], &report["eligible"]),
        (&json!(2), &json!(2)),
        "{report}"
    );
    for (arguments, says) in [("0", "batch is 0"), ("-5", "batch is -5")] {
        sql.refused(&format!("SELECT memory_reembed({arguments})"), &[])
            .is("22023")
            .says(says)
            .well_formed();
    }
}

#[test]
fn rb_1_a_row_that_cannot_be_written_does_not_stop_the_rest() {
    let database = filled();
    let mut sql = database.connect();
    sql.run(&format!(
        "BEGIN; {} COMMIT",
        behind_the_back(
            &[],
            "UPDATE memories SET embedding = NULL, embedded_hash = NULL WHERE id LIKE 'n%'"
        )
    ));
    sql.run(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'kept by the user'; END $$;
         CREATE TRIGGER keep BEFORE UPDATE ON memories FOR EACH ROW WHEN (OLD.id IN ('n3', 'n7')) EXECUTE FUNCTION keep()",
    );
    let report: Value = sql.one("SELECT memory_reembed()", &[]);
    assert_eq!(
        (
            &report["eligible"],
            &report["embedded"],
            &report["failed"],
            &report["written"]
        ),
        (&json!(36), &json!(34), &json!(2), &json!(29)),
        "{report}"
    );
    assert_eq!(
        report["errors"],
        json!([
            { "id": "n3", "project_id": "default", "sqlstate": "P0001", "error": "kept by the user" },
            { "id": "n7", "project_id": "default", "sqlstate": "P0001", "error": "kept by the user" }
        ])
    );
    assert_eq!(wrong(&mut sql), ["embedding_missing error 2"]);
    let report: Value = sql.one("SELECT memory_rebuild_index(reembed => true)", &[]);
    assert_eq!(
        (&report["failed"], &report["embedded"], &report["eligible"]),
        (&json!(2), &json!(34), &json!(36)),
        "{report}"
    );
    assert_eq!(
        report["verification"]["found_itself"],
        report["verification"]["searched"]
    );
    sql.run("DROP TRIGGER keep ON memories; SELECT memory_reembed(only_stale => true)");
    assert_healthy(&mut sql);
}

#[test]
fn where_callers_bring_the_vectors_nothing_is_lost() {
    let mut sql = cluster().database().connect();
    sql.run(
        "SELECT memory_init(embedder => 'external', dimensions => 3); SELECT memory_add('one', embedding => '[1, 2, 3]', id => 'one');
         UPDATE memories SET embedded_hash = sha256('x')",
    );
    assert_eq!(wrong(&mut sql), ["embedding_stale warning 1"]);
    for call in ["memory_reembed()", "memory_rebuild_index(reembed => true)"] {
        sql.refused(&format!("SELECT {call}"), &[])
            .is("55000")
            .says("external")
            .hints("memory_update")
            .well_formed();
    }
    assert_eq!(
        sql.one::<String>("SELECT embedding::text FROM memories", &[]),
        "[1,2,3]"
    );
    assert!(index(&mut sql).is_some());
    sql.run("SELECT memory_rebuild_index()");
    assert_eq!(
        sql.one::<String>("SELECT embedding::text FROM memories", &[]),
        "[1,2,3]"
    );
    sql.run("SELECT memory_update('one', embedding => '[3, 2, 1]')");
    assert_healthy(&mut sql);
}

#[test]
fn long_work_tells_how_far_it_is() {
    let database = filled();
    let output = cluster()
        .client("psql", &database.name)
        .args(["-Xqc", "SELECT memory_reembed(batch => 100000)"])
        .output()
        .expect("psql runs");
    let notices = String::from_utf8_lossy(&output.stderr);
    assert!(
        notices.contains("NOTICE:  embedding: 38 of 38 rows (100.0 %), "),
        "{notices}"
    );
    assert!(
        notices.contains(" rows a second, 0 s remaining"),
        "{notices}"
    );
}

/// Every kind of leftover, and how many of it are found.
fn leave_behind(sql: &mut Client) {
    let statements = behind_the_back(
        &[],
        "INSERT INTO vote_history (memory_id, project_id, voter_agent_id, vote) VALUES ('ghost', 'default', 'a', 'helpful'), ('ghost', 'default', 'b', 'helpful');
         INSERT INTO vote_changes (memory_id, project_id, voter_agent_id, vote) VALUES ('ghost', 'default', 'a', 'helpful');
         INSERT INTO memory_usage (memory_id, project_id, access_count, last_accessed_at) VALUES ('ghost', 'default', 1, now())",
    );
    sql.run(&format!("BEGIN; {statements} COMMIT"));
    sql.run(
        "SELECT memory_add('gone long ago', id => 'gone'); SELECT memory_add('gone just now', id => 'just-gone'); SELECT memory_add('over', id => 'over', ttl => '1 hour')",
    );
    for change in [
        "SELECT memory_update(i, 'changed ' || i) FROM unnest('{gone,just-gone,over}'::text[]) i",
        "UPDATE memories SET expires_at = now() - interval '1 minute' WHERE id = 'over'",
        "DELETE FROM memories WHERE id IN ('gone', 'just-gone', 'over')",
        "UPDATE memory_history SET valid_from = valid_from - interval '40 days', valid_to = valid_to - interval '40 days' WHERE memory_id = 'gone'",
        "INSERT INTO embedding_cache (model, content_hash, embedding) SELECT m, memory_content_hash('cached'), memory_embed('cached') FROM unnest('{hash-384,another,a third}'::text[]) m",
        "INSERT INTO embedding_cache (model, content_hash, embedding) SELECT 'hash-384', memory_content_hash('a secret'), memory_embed('a secret')",
        "INSERT INTO memory_grants (role, project_id, privilege) VALUES ('nobody-at-all', 'default', 'read'), ('postgres', 'default', 'read')",
        "INSERT INTO memory_import_lines (line, role, brought_at) VALUES ('{}', 'nobody-at-all', now() - interval '31 days'), ('{}', 'nobody-at-all', now() - interval '29 days'), ('{}', 'postgres', now() - interval '31 days')",
        "UPDATE memories SET superseded_by = 'ghost' WHERE id = 'old'",
        "SELECT memory_kv_alias('town', 'city'); SELECT memory_kv_alias('street', 'address')",
    ] {
        sql.run(change);
    }
}

fn leftovers(sql: &mut Client, call: &str) -> Vec<String> {
    sql.column(
        &format!("SELECT concat_ws(' ', what, found, removed) FROM {call}"),
        &[],
    )
}

#[test]
fn cleanup_removes_what_nobody_can_reach_and_nothing_else() {
    let database = filled();
    let mut sql = database.connect();
    assert!(
        leftovers(&mut sql, "memory_cleanup_orphans(dry_run => false)")
            .iter()
            .all(|line| line.ends_with(" 0 0"))
    );
    leave_behind(&mut sql);
    let before = store_hash(&mut sql);

    for call in [
        "memory_cleanup_orphans()",
        "memory_cleanup_orphans(dry_run => true)",
    ] {
        assert_eq!(
            leftovers(&mut sql, call),
            [
                "votes 2 0",
                "vote_changes 1 0",
                "usage 1 0",
                "history 5 0",
                "cached_vectors 2 0",
                "cached_secrets 1 0",
                "grants 1 0",
                "inbox_lines 1 0",
                "successors 1 0",
                "aliases 1 0"
            ]
        );
        assert_eq!(store_hash(&mut sql), before, "nothing was removed");
    }
    assert_eq!(
        leftovers(&mut sql, "memory_cleanup_orphans(dry_run => false)"),
        [
            "votes 2 2",
            "vote_changes 1 1",
            "usage 1 1",
            "history 5 5",
            "cached_vectors 2 2",
            "cached_secrets 1 1",
            "grants 1 1",
            "inbox_lines 1 1",
            "successors 1 1",
            "aliases 1 0"
        ]
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT DISTINCT memory_id FROM memory_history ORDER BY 1",
            &[]
        ),
        ["dead", "ferry", "just-gone", "old", "older"]
    );
    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_history('just-gone')", &[]),
        ["gone just now", "changed just-gone"],
        "what memory_history() shows is there"
    );
    assert_eq!(
        sql.column::<String>("SELECT role FROM memory_grants", &[]),
        ["postgres"]
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_import_lines", &[]),
        2
    );
    // With the numbers of the versions that went, for whoever verifies the seals.
    assert_eq!(
        sql.one::<i64>(
            "SELECT sum(CASE jsonb_typeof(n) WHEN 'array' THEN (n -> 1)::bigint - (n -> 0)::bigint + 1 ELSE 1 END)::bigint
             FROM memory_events e, jsonb_array_elements(payload -> 'history_ids') n WHERE event = 'cleanup'",
            &[]
        ),
        5
    );
    assert_eq!(
        sql.one::<Value>(
            "SELECT payload - 'history_ids' FROM memory_events WHERE event = 'cleanup'",
            &[]
        ),
        json!({ "votes": 2, "vote_changes": 1, "usage": 1, "history": 5, "cached_vectors": 2, "cached_secrets": 1, "grants": 1, "inbox_lines": 1, "successors": 1 })
    );
    assert_eq!(
        sql.column::<String>("SELECT operation FROM memory_history WHERE memory_id = 'old' ORDER BY history_id DESC LIMIT 1", &[]),
        ["cleanup"]
    );
    assert_healthy(&mut sql);
    assert!(
        leftovers(&mut sql, "memory_cleanup_orphans(dry_run => false)")
            .iter()
            .all(|line| line.ends_with(" 0"))
    );
}

#[test]
fn recall_is_measured_by_the_path_that_a_search_takes() {
    let mut sql = in_space(20_000);
    let recall = |sql: &mut Client, call: &str| -> Vec<(String, i32, i32, f64, f64, i32)> {
        let rows = sql
            .query(
                &format!("SELECT path, searched, k, recall, worst, short FROM {call}"),
                &[],
            )
            .unwrap_or_else(|error| panic!("{call}: {error:?}"));
        rows.iter()
            .map(|row| {
                (
                    row.get(0),
                    row.get(1),
                    row.get(2),
                    row.get(3),
                    row.get(4),
                    row.get(5),
                )
            })
            .collect()
    };
    let found = recall(&mut sql, "memory_recall_check()");
    assert_eq!(found.len(), 1);
    assert_eq!(
        (&*found[0].0, found[0].1, found[0].2, found[0].5),
        ("hnsw", 100, 10, 0)
    );
    assert!(
        found[0].3 >= 0.98 && found[0].3 <= 1.0 && found[0].4 <= found[0].3,
        "{found:?}"
    );
    sql.run("SET memory_ext.vector_path = 'exact'");
    assert_eq!(
        recall(&mut sql, "memory_recall_check(sample => 20, k => 50)"),
        [("exact".to_owned(), 20, 50, 1.0, 1.0, 0)]
    );
    // A bad index is told from a good one.
    sql.run("RESET memory_ext.vector_path; SELECT memory_rebuild_index(m => 2, ef_construction => 4); SET memory_ext.ef_search = 1; SET memory_ext.max_scan_tuples = 100");
    let bad = recall(&mut sql, "memory_recall_check(sample => 50)");
    assert!(
        bad.iter().map(|path| path.3).fold(1.0, f64::min) < 0.9,
        "{bad:?}"
    );
    sql.run("RESET ALL");
    assert_eq!(
        recall(&mut sql, "memory_recall_check(project_id => 'empty')"),
        []
    );

    for (arguments, says) in [
        ("sample => 0", "sample is 0"),
        ("sample => 1001", "sample is 1001"),
        ("k => 0", "k is 0"),
        ("k => 1001", "k is 1001"),
        ("project_id => '*'", "not a project"),
    ] {
        sql.refused(
            &format!("SELECT * FROM memory_recall_check({arguments})"),
            &[],
        )
        .is("22023")
        .says(says)
        .well_formed();
    }
}

fn operations(report: &Value) -> Vec<&str> {
    let reports = report["reports"].as_array().expect("reports");
    reports
        .iter()
        .map(|report| report["operation"].as_str().expect("an operation"))
        .collect()
}

#[test]
fn mt_1_the_report_has_the_shape_of_the_guide() {
    let mut sql = filled().connect();
    let report: Value = sql.one("SELECT memory_maintenance(full => true)", &[]);
    let run = &report["maintenance_run"];
    assert_eq!(
        operations(&report),
        [
            "check_integrity",
            "validate_vectors",
            "cleanup_orphans",
            "expire",
            "rebuild_index",
            "analyze"
        ]
    );
    assert_eq!(run["operations"], json!(operations(&report)));
    assert_eq!(
        (
            &run["full"],
            &run["dry_run"],
            &run["failed"],
            &run["issues_found"],
            &run["issues_resolved"],
            &run["role"]
        ),
        (
            &json!(true),
            &json!(false),
            &json!(0),
            &json!(0),
            &json!(0),
            &json!("postgres")
        )
    );
    let mut last = run["started_at"].as_str().expect("a time").to_owned();
    for report in report["reports"].as_array().expect("reports") {
        let mut keys: Vec<&str> = report
            .as_object()
            .expect("an object")
            .keys()
            .map(String::as_str)
            .collect();
        keys.sort_unstable();
        assert_eq!(
            keys,
            [
                "actions_taken",
                "completed_at",
                "errors",
                "issues_found",
                "issues_resolved",
                "metadata",
                "operation",
                "recommendations",
                "started_at"
            ]
        );
        for name in ["actions_taken", "errors", "recommendations"] {
            assert!(report[name].is_array(), "{report}");
        }
        assert!(report["metadata"].is_object(), "{report}");
        assert_eq!(report["errors"], json!([]), "{report}");
        for name in ["started_at", "completed_at"] {
            let time = report[name].as_str().expect("a time").to_owned();
            assert!(time >= last, "{report}");
            last = time;
        }
    }
    assert!(run["completed_at"].as_str().expect("a time") >= last.as_str());
    let checks = report["reports"][0]["metadata"]["checks"]
        .as_array()
        .expect("checks");
    assert_eq!(checks.len(), support::integrity::CHECKS.len());
    assert_eq!(
        report["reports"][4]["metadata"]["verification"]["found_itself"],
        34
    );
    assert!(sql.one::<bool>(
        "SELECT count(*) > 0 FROM pg_stats WHERE tablename = 'memories'",
        &[]
    ));

    let usual: Value = sql.one("SELECT memory_maintenance()", &[]);
    assert_eq!(
        operations(&usual),
        [
            "check_integrity",
            "validate_vectors",
            "cleanup_orphans",
            "expire",
            "analyze"
        ]
    );
    let chosen: Value = sql.one(
        "SELECT memory_maintenance(operations => '{analyze,reembed}')",
        &[],
    );
    assert_eq!(operations(&chosen), ["analyze", "reembed"]);

    for (arguments, says) in [
        ("operations => '{vacuum}'", "unknown operation \"vacuum\""),
        ("operations => '{}'", "empty list"),
        ("operations => '{analyze,NULL}'", "NULL"),
        ("operations => '{analyze}', full => true", "full is true"),
    ] {
        sql.refused(&format!("SELECT memory_maintenance({arguments})"), &[])
            .is("22023")
            .says(says)
            .well_formed();
    }
}

#[test]
fn mt_1_an_operation_that_fails_does_not_stop_the_others() {
    let database = filled();
    let mut sql = database.connect();
    leave_behind(&mut sql);
    sql.run(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'kept by the user'; END $$;
         CREATE TRIGGER keep BEFORE DELETE ON embedding_cache FOR EACH ROW EXECUTE FUNCTION keep();
         SELECT memory_add('over', id => 'over-now', ttl => '1 hour'); UPDATE memories SET expires_at = now() - interval '1 minute' WHERE id = 'over-now'",
    );
    let report: Value = sql.one("SELECT memory_maintenance()", &[]);
    let reports = &report["reports"];
    assert_eq!(report["maintenance_run"]["failed"], 1, "{report}");
    assert_eq!(
        reports[0]["issues_found"], 6,
        "4 orphans, a secret in the cache, a successor: {report}"
    );
    assert_eq!(
        reports[0]["recommendations"].as_array().map(Vec::len),
        Some(3),
        "{report}"
    );
    assert_eq!(
        reports[2]["errors"],
        json!(["P0001: kept by the user"]),
        "{report}"
    );
    assert_eq!(reports[2]["issues_resolved"], 0, "{report}");
    assert_eq!(
        (&reports[3]["issues_resolved"], &reports[3]["actions_taken"]),
        (
            &json!(1),
            &json!(["removed 1 expired memories and old tombstones"])
        ),
        "{report}"
    );
    assert_eq!(reports[4]["errors"], json!([]), "{report}");
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM vote_history WHERE memory_id = 'ghost'",
            &[]
        ),
        2,
        "what failed was undone as a whole"
    );

    sql.run("DROP TRIGGER keep ON embedding_cache");
    let report: Value = sql.one(
        "SELECT memory_maintenance(operations => '{cleanup_orphans,check_integrity}')",
        &[],
    );
    assert_eq!(
        (
            &report["reports"][0]["issues_found"],
            &report["reports"][0]["issues_resolved"]
        ),
        (&json!(16), &json!(15)),
        "all but an alias: {report}"
    );
    assert_eq!(report["reports"][1]["issues_found"], 0, "{report}");
}

#[test]
fn mt_1_checks_report_what_the_store_lacks_and_what_would_change_it_is_refused() {
    let mut sql = filled().connect();
    sql.run("DROP TRIGGER memory_after_delete ON memories; DROP INDEX ix_memories_embedding_hnsw");
    let report: Value = sql.one("SELECT memory_maintenance(full => true)", &[]);
    let reports = &report["reports"];
    assert_eq!(reports[0]["issues_found"], 2, "{report}");
    for operation in [2, 3, 4, 5] {
        let error = reports[operation]["errors"][0].as_str().unwrap_or_default();
        assert!(
            error.starts_with("55000: the memory store lacks trigger memory_after_delete"),
            "{report}"
        );
    }
    sql.run("SELECT memory_migrate()");
    let report: Value = sql.one("SELECT memory_maintenance('{rebuild_index}')", &[]);
    assert_eq!(
        (
            &report["reports"][0]["issues_found"],
            &report["reports"][0]["issues_resolved"]
        ),
        (&json!(1), &json!(1)),
        "the index was missing: {report}"
    );
    assert_healthy(&mut sql);
}

#[test]
fn a_dry_run_of_maintenance_changes_nothing() {
    let mut sql = filled().connect();
    leave_behind(&mut sql);
    sql.run("SELECT memory_add('over', id => 'over-now', ttl => '1 hour'); UPDATE memories SET expires_at = now() - interval '1 minute' WHERE id = 'over-now'; DROP INDEX ix_memories_embedding_hnsw");
    let before = store_hash(&mut sql);
    let report: Value = sql.one(
        "SELECT memory_maintenance(full => true, dry_run => true)",
        &[],
    );
    assert_eq!(report["maintenance_run"]["dry_run"], true);
    assert_eq!(report["maintenance_run"]["issues_resolved"], 0, "{report}");
    assert_eq!(report["reports"][2]["issues_found"], 16, "{report}");
    assert_eq!(report["reports"][3]["issues_found"], 1, "{report}");
    assert_eq!(report["reports"][4]["issues_found"], 1, "{report}");
    assert_eq!(store_hash(&mut sql), before);
    assert_eq!(index(&mut sql), None);
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_maintenance_history()", &[]),
        0
    );
    let report: Value = sql.one(
        "SELECT memory_maintenance('{reembed}', dry_run => true)",
        &[],
    );
    assert_eq!(report["reports"][0]["issues_found"], 0, "{report}");
}

#[test]
fn mt_1_reports_are_kept() {
    let mut sql = filled().connect();
    let first: Value = sql.one("SELECT memory_maintenance('{analyze}')", &[]);
    let second: Value = sql.one(
        "SELECT memory_maintenance('{check_integrity,cleanup_orphans}')",
        &[],
    );
    let rows = sql
        .query("SELECT operation, role, issues_found, issues_resolved, report, completed_at >= started_at FROM memory_maintenance_history()", &[])
        .expect("history");
    let kept: Vec<(String, Value)> = rows.iter().map(|row| (row.get(0), row.get(4))).collect();
    assert_eq!(
        kept,
        [
            ("cleanup_orphans".to_owned(), second["reports"][1].clone()),
            ("check_integrity".to_owned(), second["reports"][0].clone()),
            ("analyze".to_owned(), first["reports"][0].clone())
        ]
    );
    assert!(rows.iter().all(|row| row.get::<_, &str>(1) == "postgres"
        && row.get::<_, i64>(2) == 0
        && row.get::<_, i64>(3) == 0
        && row.get::<_, bool>(5)));
    assert_eq!(
        sql.column::<String>("SELECT operation FROM memory_maintenance_history(1)", &[]),
        ["cleanup_orphans"]
    );
    for page in [0, 10_001] {
        sql.refused(
            &format!("SELECT * FROM memory_maintenance_history({page})"),
            &[],
        )
        .is("22023")
        .says("page_size")
        .well_formed();
    }
}

/// A call of every function here.
const CALLS: &[&str] = &[
    "SELECT * FROM memory_check_integrity()",
    "SELECT * FROM memory_validate_vectors()",
    "SELECT * FROM memory_recall_check()",
    "SELECT * FROM memory_cleanup_orphans()",
    "SELECT * FROM memory_cleanup_orphans(dry_run => false)",
    "SELECT memory_reembed()",
    "SELECT memory_rebuild_index()",
    "SELECT memory_rebuild_script()",
    "SELECT memory_maintenance(full => true)",
    "SELECT * FROM memory_maintenance_history()",
];

#[test]
fn only_the_owner_and_admins_of_everything_look_after_the_store() {
    let database = filled();
    let mut owner = database.connect();
    let (_, reader) = granted(&database, "*", "read", None);
    let (_, writer) = granted(&database, "*", "write", None);
    let (_, bound) = granted(&database, "*", "write", Some("agent"));
    let (_, admin) = granted(&database, "default", "admin", None);
    let stranger = database.connect_as(&role());
    let before = store_hash(&mut owner);
    for (place, mut client) in [reader, writer, bound, admin, stranger]
        .into_iter()
        .enumerate()
    {
        for call in CALLS {
            // The recall is a project's.
            if place == 3 && call.contains("recall") {
                client.run(call);
                continue;
            }
            client
                .refused(call, &[])
                .is("42501")
                .says("admin")
                .hints("memory_grant")
                .well_formed();
        }
    }
    assert_eq!(store_hash(&mut owner), before);
    let (_, mut everywhere) = granted(&database, "*", "admin", None);
    for call in CALLS {
        everywhere.run(call);
        owner.run(call);
    }
    assert_healthy(&mut everywhere);
    // An admin of a project looks after that project.
    let (_, mut other) = granted(&database, "other", "admin", None);
    other.run("SELECT memory_reembed(project_id => 'other'); SELECT * FROM memory_check_integrity('other'); SELECT * FROM memory_validate_vectors('other'); SELECT * FROM memory_recall_check(project_id => 'other')");
    other
        .refused("SELECT memory_reembed(project_id => 'default')", &[])
        .is("42501");
}

#[test]
fn without_a_store_or_with_an_older_one_each_says_what_to_run() {
    let mut sql = cluster().database().connect();
    for call in CALLS {
        sql.refused(call, &[])
            .is("55000")
            .hints("memory_init")
            .well_formed();
    }
    sql.run("SELECT memory_init()");
    for number in [1, 2] {
        sql.run(&format!(
            "DELETE FROM memory_migrations WHERE number > {number}"
        ));
        let mut other =
            cluster().connect(&sql.one::<String>("SELECT current_database()::text", &[]));
        for call in CALLS {
            other
                .refused(call, &[])
                .is("55000")
                .says("2.0.0")
                .hints("memory_migrate")
                .well_formed();
        }
        sql.run("SELECT memory_migrate()");
    }
    for call in CALLS {
        sql.run(call);
    }
    // A store of the release before, as it was made then.
    let database = release::old_database(cluster());
    let mut old = database.connect();
    old.run("SELECT memory_init()");
    let mut newer = database.connect();
    newer.run("ALTER EXTENSION memory_ext UPDATE");
    for call in CALLS {
        newer.run(call);
    }
    assert_healthy(&mut newer);
}

#[test]
fn every_function_works_for_an_ordinary_owner_in_any_schema_under_any_search_path() {
    for (schema, vector) in [
        ("memory", "public"),
        ("\"Mem ory\"", "\"Vec tor\""),
        ("\"a\"\"b\"", "\"sel.ect\""),
    ] {
        let database = cluster().empty_database();
        let keeper = role();
        let mut superuser = database.connect();
        superuser.run(&format!(
            "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE SCHEMA IF NOT EXISTS {vector}"
        ));
        if offers(&mut superuser, "amcheck") {
            superuser.run(&format!("CREATE EXTENSION amcheck SCHEMA {vector}"));
        }
        superuser.run(&format!(
            "CREATE EXTENSION vector SCHEMA {vector}; CREATE EXTENSION memory_ext SCHEMA {schema};
             GRANT USAGE, CREATE ON SCHEMA {schema} TO {keeper}; GRANT USAGE ON SCHEMA {vector} TO {keeper}; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {vector} TO {keeper}"
        ));
        let mut owner = database.connect_as(&keeper);
        owner.run(&format!("SET search_path = {schema}"));
        fill(&mut owner);
        superuser.run(&format!(
            "CREATE SCHEMA evil; GRANT USAGE, CREATE ON SCHEMA evil TO PUBLIC;
             CREATE FUNCTION evil.trap(a text, b text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
             CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.trap); CREATE OPERATOR evil.<> (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.trap);
             CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by now'; END $$;
             CREATE FUNCTION evil.random() RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by random'; END $$;
             CREATE FUNCTION evil.to_regtype(text) RETURNS regtype LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by to_regtype'; END $$;
             CREATE FUNCTION evil.clock_timestamp() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by clock_timestamp'; END $$;
             CREATE FUNCTION evil.l2_normalize({vector}.vector) RETURNS {vector}.vector LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped by l2_normalize'; END $$;
             CREATE TABLE evil.memories (id int); CREATE TABLE evil.vote_history (id int); CREATE TABLE evil.pg_class (oid int); CREATE VIEW evil.pg_roles AS SELECT 1 AS rolname"
        ));
        for path in ["evil, pg_catalog", "''"] {
            for client in [&mut owner, &mut superuser] {
                client.run(&format!("SET search_path = {path}; DROP TABLE IF EXISTS pg_temp.memories; CREATE TEMP TABLE memories (id int)"));
                for call in CALLS {
                    client.run(&call.replace("memory_", &format!("{schema}.memory_")));
                }
                let wrong: Vec<String> = client.column(
                    &format!("SELECT check_name OPERATOR(pg_catalog.||) details::pg_catalog.text FROM {schema}.memory_check_integrity() WHERE issues OPERATOR(pg_catalog.<>) 0"),
                    &[],
                );
                assert_eq!(wrong, [""; 0], "{schema} {path}");
            }
        }
        let owners: Vec<String> = superuser.column(
            "SELECT DISTINCT pg_catalog.pg_get_userbyid(relowner)::text FROM pg_catalog.pg_class WHERE relname OPERATOR(pg_catalog.=) 'ix_memories_embedding_hnsw'",
            &[],
        );
        assert_eq!(owners, [keeper]);
    }
}

#[test]
fn others_work_while_the_store_is_checked() {
    let database = filled();
    let mut sql = database.connect();
    sql.run("BEGIN; SELECT * FROM memory_check_integrity(); SELECT * FROM memory_validate_vectors(); SELECT * FROM memory_recall_check()");
    let mut other = database.connect();
    other.run("SET lock_timeout = '2s'");
    for template in [READING, READING_1_1, WRITING].concat() {
        // What is tested is that nobody waits.
        if let Err(error) = other.query(&call(template, "n1", Some("agent"), "default"), &[]) {
            assert_ne!(
                error.code().map(|code| code.code()),
                Some("55P03"),
                "{template}"
            );
        }
    }
    sql.run("COMMIT");
}

#[test]
fn a_preloaded_server_maintains_its_stores() {
    let cluster = support::Cluster::start(Options {
        preload: true,
        settings: vec![
            "memory_ext.naptime = '1s'",
            "memory_ext.maintenance_interval = '2s'",
        ],
    });
    let database = cluster.database();
    let mut sql = database.connect();
    fill(&mut sql);
    leave_behind(&mut sql);
    let soon = std::time::Duration::from_secs(60);
    support::wait_until("two rounds are kept", soon, || {
        sql.one::<i64>(
            "SELECT count(*) FROM memory_maintenance_history() WHERE operation = 'check_integrity'",
            &[],
        ) >= 2
    });
    let rounds: Vec<String> = sql.column(
        "SELECT DISTINCT operation FROM memory_maintenance_history() ORDER BY 1",
        &[],
    );
    assert_eq!(rounds, ["check_integrity", "cleanup_orphans"]);
    support::wait_until("what was orphaned is gone", soon, || {
        wrong(&mut sql).is_empty()
    });
    assert!(sql.one::<bool>(
        "SELECT sum(issues_resolved) > 5 FROM memory_maintenance_history()",
        &[]
    ));
    let early: i64 = sql.one(
        "SELECT count(*) FROM (SELECT started_at - lag(started_at) OVER (ORDER BY started_at) AS pause FROM memory_maintenance_history(1000) WHERE operation = 'check_integrity') p WHERE pause < interval '2 seconds'",
        &[],
    );
    assert_eq!(early, 0, "not more often than asked for");
    assert!(
        cluster.log().contains("memory_ext maintenance: "),
        "{}",
        cluster.log()
    );
}
