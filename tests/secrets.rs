//! Sensitive memories: masked everywhere, revealed to admins only, absent from events, errors and the server's log.

mod support;

use postgres::Client;
use serde_json::{Value, json};
use support::calls::{READING, READING_1_1, READING_2_0, READING_FOR_OTHERS_1_1, call};
use support::{Sql, cluster, database, granted, role, store_tables};

const SECRET: &str = "hunter2-xyzzy-plugh";

/// A secret memory with versions, key and duplicates, as an attacker might look for it.
fn hide_secret(owner: &mut Client) -> String {
    let id: String = owner.one(
        "SELECT memory_kv_set('vault', $1, sensitive => true, source => 'safe')",
        &[&format!("{SECRET} first")],
    );
    owner
        .query(
            "SELECT memory_kv_set('vault', $1)",
            &[&format!("{SECRET} second")],
        )
        .expect("set");
    owner
        .query(
            "SELECT memory_add($1, sensitive => true)",
            &[&format!("{SECRET} alone")],
        )
        .expect("added");
    let open: String = owner.one("SELECT memory_add($1)", &[&format!("{SECRET} once open")]);
    owner
        .query("SELECT memory_update($1, sensitive => true)", &[&open])
        .expect("updated");
    let deleted: String = owner.one(
        "SELECT memory_add($1, sensitive => true)",
        &[&format!("{SECRET} deleted")],
    );
    owner
        .query("SELECT memory_delete($1)", &[&deleted])
        .expect("deleted");
    id
}

#[test]
fn se3_no_reading_function_shows_a_secret_to_anybody() {
    let database = database();
    let mut owner = database.connect();
    hide_secret(&mut owner);
    let ids: Vec<String> = owner.column("SELECT id FROM memories", &[]);
    let (_, mut reader) = granted(&database, "default", "read", None);
    let (_, mut admin) = granted(&database, "default", "admin", None);

    for client in [&mut reader, &mut admin, &mut owner] {
        for id in &ids {
            let reading = [READING, READING_1_1, READING_2_0, READING_FOR_OTHERS_1_1].concat();
            // What has ended has no votes to show.
            for template in reading
                .iter()
                .filter(|template| !template.contains("memory_votes"))
            {
                let query = call(template, id, None, "default")
                    .replace("'k'", "'vault'")
                    .replace("'words'", "'hunter2 xyzzy plugh once open'");
                let rows: Vec<String> =
                    client.column(&format!("SELECT r::text FROM ({query}) r"), &[]);
                assert!(!rows.concat().contains("xyzzy"), "{query}: {rows:?}");
            }
        }
        assert_eq!(
            client.one::<String>("SELECT memory_kv_get('vault')", &[]),
            "***"
        );
        let explained: String = client.one(
            &format!("SELECT memory_explain('{SECRET}', mode => 'text')::text"),
            &[],
        );
        for id in &ids {
            assert!(
                !explained.contains(id.as_str()),
                "a search does not even find it: {explained}"
            );
        }
    }
}

#[test]
fn se3_direct_sql_of_a_reader_does_not_see_secret_rows() {
    let database = database();
    let mut owner = database.connect();
    hide_secret(&mut owner);
    let (role, mut reader) = granted(&database, "default", "write", None);
    owner.run(&format!(
        "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}"
    ));

    for table in store_tables(&mut owner) {
        let shown: i64 = reader.one(
            &format!("SELECT count(*) FROM {table} t WHERE t::text LIKE '%xyzzy%'"),
            &[],
        );
        assert_eq!(shown, 0, "{table}");
    }
}

#[test]
fn reveal_shows_a_secret_to_an_admin_and_leaves_a_trace() {
    let database = database();
    let mut owner = database.connect();
    let id = hide_secret(&mut owner);
    let private: String = owner.one(
        "SELECT memory_add('the private secret', agent_id => 'a', sensitive => true)",
        &[],
    );
    let (_, mut writer) = granted(&database, "default", "write", None);
    let (role, mut admin) = granted(&database, "default", "admin", None);

    writer
        .refused("SELECT memory_reveal($1, 'curious')", &[&id])
        .is("42501")
        .keeps("xyzzy")
        .well_formed();
    admin
        .refused("SELECT memory_reveal($1, ' ')", &[&id])
        .is("22023")
        .says("reason")
        .well_formed();
    admin
        .refused("SELECT memory_reveal($1, NULL)", &[&id])
        .is("22023")
        .says("reason")
        .well_formed();
    admin
        .refused("SELECT memory_reveal('no such id', 'why')", &[])
        .is("P0002")
        .well_formed();
    assert_eq!(
        owner.one::<i64>(
            "SELECT count(*) FROM memory_events WHERE event = 'reveal'",
            &[]
        ),
        0
    );

    assert_eq!(
        admin.one::<String>("SELECT memory_reveal($1, 'incident 7')", &[&id]),
        format!("{SECRET} second")
    );
    assert_eq!(
        admin.one::<String>(
            "SELECT memory_reveal($1, 'incident 8', agent_id => '*')",
            &[&private]
        ),
        "the private secret"
    );

    let events: Vec<Value> = owner.column(
        "SELECT to_jsonb(e) FROM memory_events e WHERE event = 'reveal' ORDER BY event_id",
        &[],
    );
    assert_eq!(events.len(), 2);
    assert_eq!(
        (
            &events[0]["memory_id"],
            &events[0]["role"],
            &events[0]["payload"]["reason"]
        ),
        (&json!(id), &json!(role), &json!("incident 7"))
    );
    let mut rolled_back = admin.transaction().expect("begin");
    rolled_back.one::<String>("SELECT memory_reveal($1, 'read only')", &[&id]);
    rolled_back.rollback().expect("rollback");
    admin.run("BEGIN READ ONLY");
    admin
        .refused("SELECT memory_reveal($1, 'without a trace')", &[&id])
        .is("25006")
        .keeps("xyzzy");
    admin.run("ROLLBACK");
}

#[test]
fn pr8_no_secret_reaches_events_errors_or_the_server_log() {
    let database = database();
    let mut owner = database.connect();
    owner.run("SET memory_ext.audit = 'full'; SET log_error_verbosity = 'verbose'; SET log_min_messages = 'debug1'; SET client_min_messages = 'debug1'");
    let id = hide_secret(&mut owner);
    owner
        .query("SELECT memory_reveal($1, 'audit')", &[&id])
        .expect("revealed");
    owner
        .query(
            "SELECT memory_update($1, $2, agent_id => '*')",
            &[&id, &format!("{SECRET} third")],
        )
        .expect("updated");
    owner
        .query("SELECT memory_restore_version($1, 1)", &[&id])
        .expect("restored");
    owner.query("SELECT * FROM memory_add_many(jsonb_build_array(jsonb_build_object('content', $1::text, 'sensitive', true)))", &[&format!("{SECRET} batch")]).expect("added");

    let (_, mut reader) = granted(&database, "default", "read", None);
    let secret = format!("{SECRET} refused");
    let item = json!([{"content": secret, "sensitive": true, "scope": "nowhere"}]);
    let unknown = json!([{"content": secret, "sensitive": true, "flavour": secret}]);
    reader
        .refused("SELECT memory_add($1, sensitive => true)", &[&secret])
        .is("42501")
        .keeps(SECRET);
    owner
        .refused(
            "SELECT memory_add($1, sensitive => true, scope => 'nowhere')",
            &[&secret],
        )
        .is("22023")
        .keeps(SECRET);
    owner
        .refused(
            "SELECT memory_add($1, sensitive => true, id => $2)",
            &[&secret, &id],
        )
        .is("23505")
        .keeps(SECRET);
    owner
        .refused(
            "SELECT memory_add($1, sensitive => true, key => 'vault')",
            &[&secret],
        )
        .is("23505")
        .keeps(SECRET);
    owner
        .refused(
            "SELECT memory_update($1, $2, expected_version => 1)",
            &[&id, &secret],
        )
        .is("40001")
        .keeps(SECRET);
    owner
        .refused("SELECT memory_update('no such id', $1)", &[&secret])
        .is("P0002")
        .keeps(SECRET);
    owner
        .refused(
            "SELECT memory_kv_set('vault', $1, metadata => '[]')",
            &[&secret],
        )
        .is("22023")
        .keeps(SECRET);
    owner
        .refused("SELECT * FROM memory_add_many($1)", &[&item])
        .is("22023")
        .keeps(SECRET);
    owner
        .refused("SELECT * FROM memory_add_many($1)", &[&unknown])
        .is("22023")
        .keeps(SECRET);
    owner.run("SET memory_ext.max_content_bytes = 10");
    owner
        .refused("SELECT memory_add($1, sensitive => true)", &[&secret])
        .is("54000")
        .keeps(SECRET);
    owner.run("RESET memory_ext.max_content_bytes");
    owner
        .query(
            "SELECT memory_forget(ids => ARRAY[$1], reason => 'test')",
            &[&id],
        )
        .expect("forgotten");

    let events: i64 = owner.one("SELECT count(*) FROM memory_events", &[]);
    assert!(events > 8, "{events}");
    assert_eq!(
        owner.one::<i64>(
            "SELECT count(*) FROM memory_events e WHERE e::text LIKE '%xyzzy%'",
            &[]
        ),
        0
    );
    let log = cluster().log();
    let told: Vec<&str> = log.lines().filter(|line| line.contains("xyzzy")).collect();
    assert!(told.is_empty(), "{told:?}");
}

#[test]
fn c4_a_refused_write_leaves_a_log_line_with_its_sqlstate() {
    let database = database();
    let stranger = role();
    let mut client = database.connect_as(&stranger);

    client
        .refused("SELECT memory_add('refused')", &[])
        .is("42501");

    let log = cluster().log();
    let line = log.lines().find(|line| {
        line.contains(&format!(" 42501 {stranger}@{} ", database.name)) && line.contains("ERROR:")
    });
    let line = line.unwrap_or_else(|| panic!("no line with 42501 of {stranger}"));
    assert!(
        line.contains("memory project"),
        "it says what was refused: {line}"
    );
}
