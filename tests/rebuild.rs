//! The vector index built anew, and vectors made anew.

mod support;

use postgres::Client;
use serde_json::{Value, json};
use support::integrity::{
    assert_healthy, behind_the_back, fill, filled, in_space, vector_index, wrong,
};
use support::{Sql, cluster, run, store_hash};

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
        vector_index(&mut sql)
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
        vector_index(&mut sql)
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
    let before = vector_index(&mut sql);
    sql.run("BEGIN; SELECT memory_rebuild_index(m => 5); ROLLBACK");
    assert_eq!(vector_index(&mut sql), before);
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
    assert!(vector_index(&mut sql).is_some());
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
