//! memory_export: what is in it, in which form, and who may ask for it.

mod support;

use std::collections::BTreeSet;
use std::fs;

use serde_json::Value;
use support::transfer::{ALL, AS_IT_IS, export, exported_ids, fill, growth, many, quick_store};
use support::{Sql, cluster, database, granted, role, run, store, store_hash};

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn jsonl_is_a_header_and_a_line_a_memory_oldest_first() {
    let mut sql = store();
    fill(&mut sql);
    let lines = export(&mut sql, ALL);
    let header = &json(&lines[0])["memory_ext_export"];
    assert_eq!(header["format"], 1);
    assert_eq!(header["embedder"], "hash");
    assert_eq!(header["dimensions"], 384);
    let memories: i64 = sql.one(
        "SELECT count(*) FROM memories WHERE project_id = 'default'",
        &[],
    );
    assert_eq!(header["counted"], true);
    let (last, lines) = lines.split_last().expect("a last line");
    assert_eq!(
        json(last),
        serde_json::json!({"memory_ext_export": {"format": 1, "memories": memories}})
    );
    assert_eq!(lines.len() as i64, memories + 1);
    let ids: Vec<String> = lines[1..]
        .iter()
        .map(|line| json(line)["id"].as_str().expect("id").to_owned())
        .collect();
    assert_eq!(
        ids,
        sql.column::<String>(
            "SELECT id FROM memories WHERE project_id = 'default' ORDER BY created_at, id",
            &[]
        )
    );
    assert!(lines.iter().all(|line| !line.contains(['\n', '\r'])));

    let odd = lines
        .iter()
        .map(|line| json(line))
        .find(|line| line["id"] == r#"odd "id" \"#)
        .expect("exported");
    assert_eq!(
        odd["content"],
        "two\nlines, a\ttab, a \\ and a \"quote\"\u{2028}, \u{1}, \u{e9}, \u{1f600}"
    );
    assert_eq!(odd["agent_id"], "alice");
    assert_eq!(odd["scope"], "agent-private");
    // Metadata keeps every digit.
    let line = lines
        .iter()
        .find(|line| line.contains("odd \\\"id"))
        .expect("a line");
    assert!(line.contains("12345678901234567890.10"), "{line}");
    let plain = lines
        .iter()
        .map(|line| json(line))
        .find(|line| line["id"] == "plain")
        .expect("exported");
    assert_eq!(plain["version"], 3);
    assert_eq!(plain["bullet_helpful"], 2);
    assert_eq!(plain["votes"].as_array().map(Vec::len), Some(3));
    assert_eq!(plain["embedding"].as_array().map(Vec::len), Some(384));
}

#[test]
fn json_is_one_array_and_csv_what_copy_reads() {
    let mut sql = store();
    fill(&mut sql);
    let lines = export(&mut sql, ALL);
    let array = export(&mut sql, &format!("'json', {ALL}")).join("\n");
    let elements: Vec<Value> = serde_json::from_str(&array).expect("an array");
    let expected: Vec<Value> = lines[1..lines.len() - 1]
        .iter()
        .map(|line| json(line))
        .collect();
    assert_eq!(elements, expected);

    let csv = export(&mut sql, &format!("'csv', {ALL}")).join("\r\n") + "\r\n";
    let names: Vec<&str> = csv.lines().next().expect("the header").split(',').collect();
    let columns: Vec<String> = names.iter().map(|name| format!("{name} text")).collect();
    sql.run(&format!("CREATE TEMP TABLE read ({})", columns.join(", ")));
    let mut copy = sql
        .copy_in("COPY read FROM STDIN WITH (FORMAT csv, HEADER match)")
        .expect("begun");
    std::io::Write::write_all(&mut copy, csv.as_bytes()).expect("written");
    copy.finish().expect("COPY reads it");
    let different: Vec<String> = sql.column(
        "SELECT m.id FROM memories m FULL JOIN read r ON r.id = m.id WHERE m.project_id IS DISTINCT FROM 'other' AND
         ROW(m.content, m.agent_id, m.namespace, m.scope, m.metadata, m.created_at, m.expires_at, m.deleted_at, m.key, m.version, m.importance,
             m.is_sensitive, m.bullet_helpful, m.superseded_by, m.embedding, encode(m.content_hash, 'hex'), to_jsonb(m.shared_with_agents),
             to_jsonb(coalesce(m.content_flags, '{}')))
         IS DISTINCT FROM
         ROW(r.content, r.agent_id, r.namespace, r.scope, r.metadata::jsonb, r.created_at::timestamptz, r.expires_at::timestamptz,
             r.deleted_at::timestamptz, r.key, r.version::int, r.importance::real, r.is_sensitive::bool, r.bullet_helpful::int, r.superseded_by,
             r.embedding::vector, r.content_hash, r.shared_with_agents::jsonb, r.content_flags::jsonb)",
        &[],
    );
    assert_eq!(different, [""; 0]);

    // Nothing to export is still a document.
    assert_eq!(export(&mut sql, "'json', namespace => 'empty'"), ["[]"]);
    assert_eq!(export(&mut sql, "'csv', namespace => 'empty'").len(), 1);
    assert_eq!(export(&mut sql, "namespace => 'empty'").len(), 2);
}

#[test]
fn filters_choose_memories() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('one', id => 'a', namespace => 'x', agent_id => 'alice', memory_type => 'strategy');
         SELECT memory_add('two', id => 'b', namespace => 'x', agent_id => 'bob');
         SELECT memory_add('three', id => 'c', namespace => 'y', agent_id => 'alice', scope => 'global');
         SELECT memory_add('four', id => 'd', namespace => 'y', memory_type => 'semantic');
         UPDATE memories SET created_at = timestamptz '2026-01-01Z' + (ascii(id) - ascii('a')) * interval '1 day'",
    );
    for (arguments, expected) in [
        ("", "a b c d"),
        ("namespace => 'x'", "a b"),
        ("agent_id => 'alice'", "a c"),
        ("namespace => 'y', agent_id => 'alice'", "c"),
        ("memory_types => '{strategy,semantic}'", "a d"),
        ("since => '2026-01-03Z'", "c d"),
        ("until => '2026-01-03Z'", "a b"),
        ("since => '2026-01-02Z', until => '2026-01-03Z'", "b"),
        ("project_id => 'nothing'", ""),
    ] {
        assert_eq!(
            exported_ids(&mut sql, arguments).join(" "),
            expected,
            "{arguments}"
        );
    }
}

#[test]
fn c11_expired_and_deleted_memories_only_when_asked_for_deprecated_ones_unless_refused() {
    let mut sql = store();
    fill(&mut sql);
    let plainly: BTreeSet<String> = exported_ids(&mut sql, "").into_iter().collect();
    for (id, is_there) in [
        ("plain", true),
        ("ttl", true),
        ("old", true),
        ("expired", false),
        ("deleted", false),
        ("other", false),
    ] {
        assert_eq!(plainly.contains(id), is_there, "{id}");
    }
    for (arguments, id) in [
        ("include_expired => true", "expired"),
        ("include_deleted => true", "deleted"),
    ] {
        let mut more: BTreeSet<String> = exported_ids(&mut sql, arguments).into_iter().collect();
        assert!(more.remove(id), "{arguments}");
        assert_eq!(more, plainly, "{arguments}");
    }
    let mut less: BTreeSet<String> = exported_ids(&mut sql, "include_deprecated => false")
        .into_iter()
        .collect();
    assert!(less.insert("old".to_owned()));
    assert_eq!(less, plainly);

    let without = export(&mut sql, "include_votes => false").concat();
    assert!(!without.contains("\"votes\"") && !without.contains("\"embedding\""));
    assert!(export(&mut sql, "").concat().contains("\"votes\""));
}

#[test]
fn se3_bk6_secrets_only_with_both_words_of_an_admin_and_a_trace() {
    let database = database();
    let mut sql = database.connect();
    fill(&mut sql);
    let (_, mut writer) = granted(&database, "default", "write", None);
    let (admin_role, mut admin) = granted(&database, "default", "admin", None);

    for arguments in [
        "",
        "include_sensitive => false, confirm_sensitive => true",
        "include_deleted => true",
    ] {
        for format in ["jsonl", "json", "csv"] {
            let comma = if arguments.is_empty() { "" } else { ", " };
            let text = export(&mut admin, &format!("'{format}'{comma}{arguments}")).concat();
            assert!(!text.contains("xyzzy") && !text.contains("vault"), "{text}");
        }
    }
    let events = "SELECT count(*) FROM memory_events WHERE event = 'export' AND (payload ->> 'sensitive')::bool";
    admin
        .refused("SELECT memory_export(include_sensitive => true)", &[])
        .is("22023")
        .says("confirm_sensitive")
        .helps()
        .keeps("xyzzy")
        .well_formed();
    writer
        .refused(
            "SELECT memory_export(include_sensitive => true, confirm_sensitive => true)",
            &[],
        )
        .is("42501")
        .keeps("xyzzy");
    assert_eq!(sql.one::<i64>(events, &[]), 0);

    let text = export(
        &mut admin,
        "include_sensitive => true, confirm_sensitive => true",
    )
    .concat();
    assert!(text.contains("hunter2-xyzzy"));
    assert_eq!(sql.one::<i64>(events, &[]), 1);
    let event = sql
        .query_one(
            "SELECT role, project_id, payload FROM memory_events WHERE event = 'export' ORDER BY event_id DESC LIMIT 1",
            &[],
        )
        .expect("recorded");
    assert_eq!(event.get::<_, String>(0), admin_role);
    assert_eq!(event.get::<_, String>(1), "default");
    let payload: Value = event.get(2);
    assert_eq!(payload["rows"], text.matches("\"content\":").count());

    // A caller who rolls back keeps what was read: the server's log knows.
    let mut transaction = admin.transaction().expect("begun");
    transaction
        .query(
            "SELECT memory_export(include_sensitive => true, confirm_sensitive => true)",
            &[],
        )
        .expect("exported");
    transaction.rollback().expect("rolled back");
    assert_eq!(sql.one::<i64>(events, &[]), 1);
    let log = cluster().log();
    let told = log
        .lines()
        .filter(|line| line.contains(&format!("role \"{admin_role}\" exported")));
    assert_eq!(told.count(), 2, "{log}");
    // PR-8
    assert!(!log.contains("xyzzy"));
    let kept: i64 = sql.one(
        "SELECT count(*) FROM memory_events e WHERE e::text LIKE '%xyzzy%'",
        &[],
    );
    assert_eq!(kept, 0);
}

#[test]
fn c17_c23_only_an_admin_of_the_project_exports_it() {
    let database = database();
    let mut sql = database.connect();
    fill(&mut sql);
    let mut stranger = database.connect_as(&role());
    let (_, mut reader) = granted(&database, "default", "read", None);
    let (_, mut bound) = granted(&database, "default", "write", Some("alice"));
    let (_, mut elsewhere) = granted(&database, "other", "admin", None);
    let before = store_hash(&mut sql);
    for client in [&mut stranger, &mut reader, &mut bound, &mut elsewhere] {
        client
            .refused("SELECT memory_export(project_id => 'default')", &[])
            .is("42501")
            .helps()
            .well_formed();
    }
    assert_eq!(store_hash(&mut sql), before);
    assert_eq!(
        exported_ids(&mut elsewhere, "project_id => 'other'"),
        ["other"]
    );
    elsewhere.run("SET memory_ext.project = 'other'");
    assert_eq!(exported_ids(&mut elsewhere, ""), ["other"]);
}

#[test]
fn psql_gives_raw_lines() {
    let database = database();
    let mut sql = database.connect();
    fill(&mut sql);
    sql.run("SELECT memory_add(E'\\\\. and \\\\n are no escapes', id => 'backslashes'); SELECT memory_add('\\.', id => 'end of data')");
    let expected = export(&mut sql, ALL)[1..].join("\n") + "\n";
    let without_header = |text: &str| text.split_once('\n').expect("a header").1.to_owned();

    let client = |command: &str| {
        run(cluster()
            .client("psql", &database.name)
            .args(["-XAtq", "-c", command]))
    };
    let shown = client(&format!("SELECT memory_export({ALL})"));
    assert_eq!(without_header(&shown), expected);

    let file = cluster().directory().join("raw.jsonl");
    let file = file.display();
    client(&format!(
        "\\copy (SELECT memory_export({ALL})) TO '{file}' {AS_IT_IS}"
    ));
    let copied = fs::read_to_string(file.to_string()).expect("the file");
    assert_eq!(without_header(&copied), expected);
    for line in copied.lines() {
        json(line);
    }
    // What the options are for: plain COPY doubles every backslash.
    let plain = client(&format!("COPY (SELECT memory_export({ALL})) TO STDOUT"));
    assert_ne!(without_header(&plain), expected);

    let document: Vec<Value> =
        serde_json::from_str(&client("SELECT memory_export('json')")).expect("an array");
    assert_eq!(document.len() + 2, export(&mut sql, "").len());
}

#[test]
fn the_guides_direct_sql_exports_run() {
    let database = database();
    let mut sql = database.connect();
    sql.run(r#"SELECT memory_add(E'a \\ "b"\nc', project_id => 'your-project', id => 'm', agent_id => 'a', metadata => '{"q": "\""}')"#);
    let client = |command: &str| {
        run(cluster()
            .client("psql", &database.name)
            .args(["-XAtq", "-c", command]))
    };
    let csv = client(
        "COPY (
  SELECT id, content, agent_id, namespace, scope, 
         metadata::text, created_at, updated_at
  FROM memories 
  WHERE project_id = 'your-project'
  ORDER BY created_at
) TO STDOUT WITH CSV HEADER;",
    );
    assert!(
        csv.starts_with(
            "id,content,agent_id,namespace,scope,metadata,created_at,updated_at\nm,\"a \\ \"\"b\"\"\nc\",a,default,agent-private,"
        ),
        "{csv}"
    );
    let array = client(
        "SELECT json_agg(row_to_json(m))
  FROM (
    SELECT id, content, agent_id, namespace, scope, metadata, created_at
    FROM memories
    WHERE project_id = 'your-project'
  ) m",
    );
    let array = json(array.trim());
    assert_eq!(array[0]["content"], "a \\ \"b\"\nc");

    // Its own import takes that array.
    let report: Value = sql.one(
        "SELECT memory_import_document($1, project_id => 'copy')",
        &[&array.to_string()],
    );
    assert_eq!(report["imported"], 1, "{report}");
    assert_eq!(report["format"], "aegis");
}

#[test]
fn all_rows_are_of_one_snapshot() {
    let mut sql = quick_store(&cluster().database());
    support::transfer::import(&mut sql, &many(3000), "");
    let name: String = sql.one("SELECT current_database()::text", &[]);
    let mut other = cluster().connect(&name);
    let mut transaction = sql.transaction().expect("begun");
    transaction.run("DECLARE exported CURSOR FOR SELECT memory_export()");
    let mut lines: Vec<String> = transaction.column("FETCH 10 FROM exported", &[]);
    other.run("DELETE FROM memories WHERE (metadata ->> 'number')::int % 2 = 0; UPDATE memories SET content = content || ' changed'; SELECT memory_add('new')");
    loop {
        let more: Vec<String> = transaction.column("FETCH 500 FROM exported", &[]);
        if more.is_empty() {
            break;
        }
        lines.extend(more);
    }
    transaction.commit().expect("committed");
    assert_eq!(lines.len(), 3002);
    assert!(!lines.concat().contains("changed"));
}

#[test]
fn an_export_may_be_left_in_the_middle() {
    let mut sql = quick_store(&cluster().database());
    support::transfer::import(&mut sql, &many(2500), "");
    assert_eq!(
        sql.query("SELECT memory_export() LIMIT 1200", &[])
            .expect("limited")
            .len(),
        1200
    );
    {
        let mut transaction = sql.transaction().expect("begun");
        transaction.run("DECLARE exported CURSOR FOR SELECT memory_export(); FETCH 3 FROM exported; CLOSE exported");
        let mut nested = transaction.savepoint("s").expect("savepoint");
        nested.run("DECLARE exported CURSOR FOR SELECT memory_export(); FETCH 1500 FROM exported");
        nested.rollback().expect("rolled back");
        transaction.run("DECLARE one CURSOR FOR SELECT memory_export(); DECLARE two CURSOR FOR SELECT memory_export('csv'); FETCH 1100 FROM one; FETCH 1100 FROM two; FETCH ALL FROM one");
        transaction.rollback().expect("rolled back");
    }
    // Cancelled, then used again; still as the caller, not as the owner.
    sql.run("SET statement_timeout = '200ms'");
    sql.refused(
        "SELECT count(*) FROM (SELECT memory_export(), pg_sleep(0.001)) e",
        &[],
    )
    .is("57014");
    sql.run("RESET statement_timeout");
    assert_eq!(export(&mut sql, "").len(), 2502);
    assert_eq!(
        sql.one::<String>(
            "SELECT current_user::text || current_setting('search_path')",
            &[]
        ),
        "postgres\"$user\", public"
    );
    let twice = sql.query("SELECT memory_export() FROM generate_series(1, 2)", &[]);
    assert_eq!(twice.expect("both").len(), 5004);
}

#[test]
fn wrong_arguments_are_refused() {
    let mut sql = store();
    sql.run("SELECT memory_add('x')");
    support::cases::refuse_all(
        &mut sql,
        "22023 | xml | jsonl, json, csv | SELECT memory_export('xml')
         22023 | format | | SELECT memory_export(NULL)
         22023 | include_sensitive, confirm_sensitive | confirm_sensitive | SELECT memory_export(include_sensitive => true)
         22023 | project | | SELECT memory_export(project_id => '*')
         22023 | namespace | | SELECT memory_export(namespace => '')",
    );
    // A time that no line can hold is told, with the memory's id.
    sql.run("ALTER TABLE memories DISABLE TRIGGER USER; UPDATE memories SET expires_at = '12000-01-01'; ALTER TABLE memories ENABLE TRIGGER USER");
    sql.refused("SELECT memory_export()", &[])
        .is("55000")
        .says("expires_at")
        .helps()
        .well_formed();
    sql.run("UPDATE memories SET expires_at = 'infinity'");
    assert_eq!(export(&mut sql, "").len(), 3);
}

#[test]
fn the_memory_of_an_export_does_not_grow_with_its_rows() {
    let mut sql = quick_store(&cluster().database());
    let rows = std::env::var("MEMORY_EXT_TEST_ROWS")
        .map_or(40_000, |rows| rows.parse().expect("a number"));
    sql.query(
        "INSERT INTO memories (id, content, embedding, metadata)
         SELECT 'm' || i, repeat('memory number ' || i || ' of many ', 20), NULL, jsonb_build_object('i', i) FROM generate_series(1, $1::int) i",
        &[&rows],
    )
    .expect("inserted");
    let copy = |sql: &mut postgres::Client, statement: &str| -> usize {
        let mut reader = sql.copy_out(statement).expect("begun");
        let mut lines = 0;
        let mut buffer = vec![0; 1 << 16];
        loop {
            match std::io::Read::read(&mut reader, &mut buffer).expect("read") {
                0 => return lines,
                read => lines += buffer[..read].iter().filter(|byte| **byte == b'\n').count(),
            }
        }
    };
    // What a session keeps for good is there before.
    export(&mut sql, "namespace => 'none'");
    for format in ["jsonl", "json", "csv"] {
        let grown = growth(&mut sql, |sql| {
            let lines = copy(
                sql,
                &format!("COPY (SELECT memory_export('{format}')) TO STDOUT"),
            );
            let ends = if format == "jsonl" { 2 } else { 1 };
            assert_eq!(lines, rows as usize + ends);
        });
        println!("{rows} rows as {format}: {grown:.1} MB");
        assert!(grown < 24.0, "{format}: {grown} MB");
    }
}

#[test]
fn what_the_store_takes_an_export_holds() {
    let mut sql = store();
    sql.run(
        "SELECT memory_add('to the end of time', id => 'end', expires_at => '9999-12-31 23:59:59.999999+00');
         SELECT memory_add('for ever', id => 'ever', expires_at => 'infinity');
         INSERT INTO memories (id, content, created_at, expires_at) VALUES ('first', 'from the first day', '0001-01-01 00:00+00', 'infinity')",
    );
    assert_eq!(exported_ids(&mut sql, ""), ["end", "ever", "first"]);
    // A memory that is older than this rule can still be changed.
    sql.run("ALTER TABLE memories DISABLE TRIGGER USER; UPDATE memories SET expires_at = '10000-01-01' WHERE id = 'end'; ALTER TABLE memories ENABLE TRIGGER USER");
    sql.run("UPDATE memories SET content = 'beyond' WHERE id = 'end'; SELECT memory_update('end', expires_at => 'infinity')");
    assert_eq!(exported_ids(&mut sql, ""), ["end", "ever", "first"]);
}
