//! Keys and values, aliases, and what is embedded of them.

mod support;

use postgres::Client;
use serde_json::{Value, json};
use support::{Sql, cluster, store};

fn value(sql: &mut Client, key: &str) -> Option<String> {
    sql.one("SELECT memory_kv_get($1)", &[&key])
}

fn entry(sql: &mut Client, key: &str) -> Value {
    sql.one(
        "SELECT to_jsonb(e) FROM memory_kv_list() e WHERE key = $1",
        &[&key],
    )
}

#[test]
fn kv1_what_is_set_is_got_with_its_source() {
    let mut sql = store();

    let id: String = sql.one("SELECT memory_kv_set('favorite.color', 'teal', source => 'chat', metadata => '{\"sure\": true}')", &[]);

    assert_eq!(value(&mut sql, "favorite.color").as_deref(), Some("teal"));
    let entry = entry(&mut sql, "favorite.color");
    assert_eq!(
        (
            &entry["value"],
            &entry["source"],
            &entry["id"],
            &entry["version"]
        ),
        (&json!("teal"), &json!("chat"), &json!(id), &json!(1))
    );
    assert_eq!(
        (&entry["is_sensitive"], &entry["namespace"]),
        (&json!(false), &json!("default"))
    );
    assert_eq!(entry["metadata"]["sure"], true);
    assert_eq!(value(&mut sql, "favorite.colour"), None);
}

#[test]
fn kv2_setting_again_advances_version_and_time_and_keeps_created_at() {
    let mut sql = store();
    let id: String = sql.one(
        "SELECT memory_kv_set('city', 'Oslo', source => 'form')",
        &[],
    );
    let before = entry(&mut sql, "city");

    assert_eq!(
        sql.one::<String>("SELECT memory_kv_set('city', 'Bergen')", &[]),
        id,
        "it stays the same memory"
    );

    let after = entry(&mut sql, "city");
    assert_eq!(
        (&after["value"], &after["version"]),
        (&json!("Bergen"), &json!(2))
    );
    assert_eq!(after["created_at"], before["created_at"]);
    assert!(after["updated_at"].as_str() > before["updated_at"].as_str());
    assert_eq!(after["source"], "form", "a source that is not given stays");
    let old: String = sql.one(
        "SELECT content FROM memory_history($1) WHERE version = 1",
        &[&id],
    );
    assert_eq!(old, "Oslo");
    let operation: String = sql.one(
        "SELECT operation FROM memory_history($1) WHERE version = 1",
        &[&id],
    );
    assert_eq!(operation, "kv_set");
}

#[test]
fn kv3_a_deleted_key_is_gone_from_everywhere_and_leaves_a_tombstone() {
    let mut sql = store();
    let id: String = sql.one("SELECT memory_kv_set('pet.name', 'Wellington')", &[]);

    assert!(sql.one::<bool>("SELECT memory_kv_delete('pet.name')", &[]));

    assert_eq!(value(&mut sql, "pet.name"), None);
    for function in [
        "memory_kv_list()",
        "memory_list()",
        "memory_search('pet name Wellington')",
    ] {
        assert_eq!(
            sql.one::<i64>(&format!("SELECT count(*) FROM {function}"), &[]),
            0,
            "{function}"
        );
    }
    assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 0);
    assert!(
        sql.one::<bool>(
            "SELECT deleted_at IS NOT NULL FROM memories WHERE id = $1",
            &[&id]
        ),
        "the tombstone is there"
    );
}

#[test]
fn kv4_deleting_an_unknown_key_is_false() {
    let mut sql = store();

    assert!(!sql.one::<bool>("SELECT memory_kv_delete('never set')", &[]));
    sql.run("SELECT memory_kv_set('k', 'v'); SELECT memory_kv_delete('k')");
    assert!(!sql.one::<bool>("SELECT memory_kv_delete('k')", &[]));
}

#[test]
fn kv5_setting_after_deletion_or_expiry_revives_the_key() {
    let mut sql = store();
    for end in [
        "SELECT memory_kv_delete('k')",
        "UPDATE memories SET expires_at = now() - interval '1 second' WHERE key = 'k' AND deleted_at IS NULL",
    ] {
        sql.run("SELECT memory_kv_set('k', 'old', source => 'past', ttl => '1 hour')");
        sql.run(end);
        assert_eq!(value(&mut sql, "k"), None, "{end}");

        sql.run("SELECT memory_kv_set('k', 'new')");

        assert_eq!(value(&mut sql, "k").as_deref(), Some("new"), "{end}");
        assert_eq!(entry(&mut sql, "k")["expires_at"], Value::Null, "{end}");
        let found: Vec<String> = sql.column("SELECT content FROM memory_search('k new')", &[]);
        assert_eq!(found, ["new"], "{end}");
    }
}

#[test]
fn kv6_a_write_and_its_event_stay_or_go_together() {
    let mut sql = store();
    sql.run("SET memory_ext.audit = 'full'");

    let mut transaction = sql.transaction().expect("begin");
    transaction.run("SELECT memory_kv_set('a', '1'); SELECT memory_kv_set('a', '2'); SELECT memory_kv_delete('a'); SELECT memory_add('x')");
    assert!(transaction.one::<i64>("SELECT count(*) FROM memory_events", &[]) >= 3);
    transaction.rollback().expect("rollback");
    assert_eq!(
        sql.one::<i64>(
            "SELECT (SELECT count(*) FROM memory_events) + (SELECT count(*) FROM memories)",
            &[]
        ),
        0
    );

    sql.run("SELECT memory_kv_set('a', '1'); SELECT memory_kv_set('a', '2'); SELECT memory_kv_delete('a')");
    let events: Vec<String> = sql.column(
        "SELECT event FROM memory_events WHERE event IN ('update', 'delete') ORDER BY event_id",
        &[],
    );
    assert_eq!(events, ["update", "delete"]);

    sql.run("CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'no events today'; END $$;
             CREATE TRIGGER refuse BEFORE INSERT ON memory_events FOR EACH ROW EXECUTE FUNCTION refuse()");
    sql.refused("SELECT memory_kv_set('b', '1')", &[])
        .says("no events today");
    assert_eq!(
        value(&mut sql, "b"),
        None,
        "where the event cannot be written, the value is not either"
    );
}

#[test]
fn kv7_aliases_are_data() {
    let mut sql = store();
    sql.run("SELECT memory_kv_set('favoriteLanguage', 'Rust')");
    assert_eq!(value(&mut sql, "favoritelanguage"), None);

    assert!(sql.one::<bool>(
        "SELECT memory_kv_alias('favoritelanguage', 'favoriteLanguage')",
        &[]
    ));

    assert_eq!(value(&mut sql, "favoritelanguage").as_deref(), Some("Rust"));
    sql.run("SELECT memory_kv_set('favoritelanguage', 'SQL')");
    assert_eq!(
        value(&mut sql, "favoriteLanguage").as_deref(),
        Some("SQL"),
        "one key by both names"
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_kv_list()", &[]),
        1
    );
    assert_eq!(
        sql.column::<String>("SELECT alias || '=' || key FROM memory_key_aliases", &[]),
        ["favoritelanguage=favoriteLanguage"]
    );
    assert!(sql.one::<bool>("SELECT memory_kv_delete('favoritelanguage')", &[]));
    assert_eq!(value(&mut sql, "favoriteLanguage"), None);

    assert!(
        sql.one::<bool>("SELECT memory_kv_alias('favoritelanguage')", &[]),
        "NULL removes it"
    );
    assert!(!sql.one::<bool>("SELECT memory_kv_alias('favoritelanguage')", &[]));
    sql.run("SELECT memory_kv_set('favoritelanguage', 'Latin')");
    assert_eq!(value(&mut sql, "favoriteLanguage"), None, "two keys again");
}

#[test]
fn kv7_an_alias_of_an_alias_is_one_of_the_key_and_no_circle_is_made() {
    let mut sql = store();
    sql.run("SELECT memory_kv_set('key', 'v'); SELECT memory_kv_alias('a', 'key'); SELECT memory_kv_alias('b', 'a')");

    assert_eq!(value(&mut sql, "b").as_deref(), Some("v"));
    sql.refused("SELECT memory_kv_alias('key', 'b')", &[])
        .is("22023")
        .well_formed();
    sql.refused("SELECT memory_kv_alias('x', 'x')", &[])
        .is("22023")
        .well_formed();
    sql.run("SELECT memory_kv_set('other', 'w')");
    sql.refused("SELECT memory_kv_alias('other', 'key')", &[])
        .is("23505")
        .well_formed();
    assert_eq!(
        value(&mut sql, "other").as_deref(),
        Some("w"),
        "no value is hidden by an alias"
    );
    assert_eq!(
        sql.one::<Option<String>>("SELECT memory_kv_get('a', project_id => 'elsewhere')", &[]),
        None
    );
}

#[test]
fn kv8_namespaces_and_projects_have_keys_of_their_own() {
    let mut sql = store();
    sql.run(
        "SELECT memory_kv_set('k', 'default'); SELECT memory_kv_set('k', 'in n', namespace => 'n'); SELECT memory_kv_set('k', 'in p', project_id => 'p')",
    );

    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('k')", &[]),
        "default"
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('k', namespace => 'n')", &[]),
        "in n"
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('k', project_id => 'p')", &[]),
        "in p"
    );
    assert!(sql.one::<bool>("SELECT memory_kv_delete('k', namespace => 'n')", &[]));
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('k')", &[]),
        "default"
    );
    let listed: Vec<String> = sql.column(
        "SELECT namespace || '/' || value FROM memory_kv_list()",
        &[],
    );
    assert_eq!(listed, ["default/default"]);
}

#[test]
fn kv9_a_list_is_in_order_and_by_prefix_taken_literally() {
    let mut sql = store();
    sql.run("SELECT memory_kv_set(k, 'v') FROM unnest(ARRAY['user.b', 'user.a', 'userX', 'user%c', 'other']) k");

    let keys: Vec<String> = sql.column("SELECT key FROM memory_kv_list()", &[]);
    assert_eq!(keys, ["other", "user%c", "user.a", "user.b", "userX"]);
    let keys: Vec<String> = sql.column("SELECT key FROM memory_kv_list('user.')", &[]);
    assert_eq!(keys, ["user.a", "user.b"]);
    let keys: Vec<String> = sql.column("SELECT key FROM memory_kv_list('user%')", &[]);
    assert_eq!(keys, ["user%c"]);
    assert_eq!(
        sql.one::<i64>(
            "SELECT count(*) FROM memory_kv_list('nothing like it')",
            &[]
        ),
        0
    );
}

#[test]
fn kv10_a_blank_key_or_value_is_refused() {
    let mut sql = store();
    for (key, value, part) in [
        (Some(""), Some("v"), "key"),
        (Some(" \t"), Some("v"), "key"),
        (Some("\u{200b}"), Some("v"), "key"),
        (None, Some("v"), "key"),
        (Some("k"), Some(""), "value"),
        (Some("k"), Some(" \n "), "value"),
        (Some("k"), None, "value"),
    ] {
        sql.refused("SELECT memory_kv_set($1, $2)", &[&key, &value])
            .is("22023")
            .says(part)
            .well_formed();
    }
    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories", &[]), 0);
}

#[test]
fn a_ttl_ends_a_key_and_setting_without_one_ends_the_ttl() {
    let mut sql = store();
    sql.run("SELECT memory_kv_set('token', 'abc', ttl => '1 hour')");
    let ends: bool = sql.one("SELECT abs(extract(epoch FROM expires_at - now() - interval '1 hour')) < 5 FROM memory_kv_list()", &[]);
    assert!(ends);

    sql.run("SELECT memory_kv_set('token', 'def')");
    assert_eq!(entry(&mut sql, "token")["expires_at"], Value::Null);
}

#[test]
fn a_sensitive_value_is_masked_and_stays_sensitive_until_said_otherwise() {
    let mut sql = store();
    let id: String = sql.one(
        "SELECT memory_kv_set('api.token', 's3cret-one', sensitive => true)",
        &[],
    );
    assert_eq!(value(&mut sql, "api.token").as_deref(), Some("***"));

    assert_eq!(
        sql.one::<String>("SELECT memory_kv_set('api.token', 's3cret-two')", &[]),
        id
    );
    assert_eq!(
        entry(&mut sql, "api.token")["is_sensitive"],
        true,
        "NULL keeps it"
    );
    assert_eq!(value(&mut sql, "api.token").as_deref(), Some("***"));
    assert_eq!(
        sql.one::<String>("SELECT memory_reveal($1, 'rotation')", &[&id]),
        "s3cret-two"
    );

    sql.run("SELECT memory_kv_set('api.token', 'public now', sensitive => false)");
    assert_eq!(value(&mut sql, "api.token").as_deref(), Some("public now"));
    let old: Vec<String> = sql.column("SELECT content FROM memory_history($1)", &[&id]);
    assert_eq!(
        old,
        ["***", "***", "public now"],
        "what was secret stays so in the history"
    );
}

#[test]
fn a_key_of_one_agent_cannot_be_taken_over_by_another() {
    let mut sql = store();
    sql.run("SELECT memory_kv_set('plan', 'mine', agent_id => 'a')");

    assert_eq!(
        sql.one::<Option<String>>("SELECT memory_kv_get('plan', agent_id => 'b')", &[]),
        None
    );
    sql.refused(
        "SELECT memory_kv_set('plan', 'yours', agent_id => 'b')",
        &[],
    )
    .is("23505")
    .keeps("mine")
    .well_formed();
    assert!(!sql.one::<bool>("SELECT memory_kv_delete('plan', agent_id => 'b')", &[]));

    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('plan', agent_id => 'a')", &[]),
        "mine"
    );
}

// --- what is embedded

#[test]
fn ve1_the_same_text_is_the_same_vector_in_every_session() {
    let database = cluster().database();
    let texts = ["a fact", "", "Ünïcödé 記憶 🧠", &"long ".repeat(20_000)];
    let mut first = database.connect();
    first.run("SELECT memory_init()");
    let mut second = database.connect();

    for text in texts {
        let one: pgvector::Vector = first.one("SELECT memory_embed($1)", &[&text]);
        let two: pgvector::Vector = second.one("SELECT memory_embed($1)", &[&text]);
        assert_eq!(one, two, "{:.20}", text);
        assert_eq!(one.as_slice().len(), 384);
        assert!(one.as_slice().iter().all(|value| value.is_finite()));
    }
}

#[test]
fn ve2_md5_gives_the_numbers_it_always_gave() {
    let mut sql = cluster().database().connect();
    sql.run("SELECT memory_init(dimensions => 8, embedder => 'md5')");

    for (text, expected) in [
        (
            "",
            [
                0.6571518001146615,
                0.11720872111618519,
                0.8242198936641216,
                0.8513262858614326,
            ],
        ),
        (
            "Hello, world!",
            [
                -0.14980060746893287,
                0.8363539329729974,
                0.5783094521611929,
                -0.5525026055984199,
            ],
        ),
    ] {
        let vector: pgvector::Vector = sql.one("SELECT memory_embed($1)", &[&text]);
        let expected: Vec<f32> = expected
            .iter()
            .map(|value| *value as f32)
            .chain([0.0; 4])
            .collect();
        assert_eq!(vector.as_slice(), expected, "{text:?}");
    }
    let long = "x".repeat(100_000);
    assert_eq!(
        sql.one::<pgvector::Vector>("SELECT memory_embed($1)", &[&long])
            .as_slice()
            .len(),
        8
    );
}

#[test]
fn ve6_a_keyed_memory_embeds_as_key_and_value() {
    let mut sql = store();

    sql.run("SELECT memory_kv_set('breakfast.drink', 'espresso')");

    assert!(sql.one::<bool>(
        "SELECT embedding::text = memory_embed('breakfast.drink: espresso')::text FROM memories",
        &[]
    ));
    for query in ["breakfast drink", "espresso"] {
        let found: Vec<String> = sql.column("SELECT key FROM memory_search($1)", &[&query]);
        assert_eq!(found, ["breakfast.drink"], "{query}");
    }
}

#[test]
fn ve7_a_sensitive_memory_is_never_embedded() {
    let mut sql = store();
    sql.run("SELECT memory_kv_set('pin', '4711 tango', sensitive => true); SELECT memory_add('4711 tango again', sensitive => true)");
    sql.run("SELECT * FROM memory_add_many('[{\"content\": \"4711 tango in a batch\", \"sensitive\": true}]')");

    assert_eq!(sql.one::<i64>("SELECT count(*) FROM memories WHERE embedding IS NULL AND embedded_hash IS NULL AND content_tsv IS NULL", &[]), 3);
    for mode in ["hybrid", "vector", "text"] {
        assert_eq!(
            sql.one::<i64>(
                "SELECT count(*) FROM memory_search('pin 4711 tango', mode => $1)",
                &[&mode]
            ),
            0,
            "{mode}"
        );
    }

    sql.run("SELECT memory_kv_set('open', 'tango open'); SELECT memory_kv_set('open', 'tango shut', sensitive => true)");
    assert!(sql.one::<bool>(
        "SELECT embedding IS NULL AND embedding_sketch IS NULL FROM memories WHERE key = 'open'",
        &[]
    ));
}

#[test]
fn ve9_a_memory_that_cannot_be_embedded_is_kept_waits_and_is_found_by_text() {
    let mut sql = cluster().database().connect();
    sql.run("SELECT memory_init(dimensions => 3, embedder => 'external')");

    let waiting: String = sql.one("SELECT memory_add('the comet returns in March')", &[]);
    sql.run("SELECT memory_add('the comet has a tail', embedding => '[1, 0, 0]')");

    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memories WHERE embedding IS NULL AND NOT is_sensitive",
            &[]
        ),
        [waiting.as_str()]
    );
    let found: Vec<String> = sql.column("SELECT id FROM memory_search('comet March', 1)", &[]);
    assert_eq!(
        found,
        [waiting.as_str()],
        "text finds what has no vector yet"
    );
    sql.refused("SELECT memory_embed('x')", &[])
        .is("55000")
        .says("external")
        .well_formed();
    sql.refused(
        "SELECT * FROM memory_search('comet', mode => 'vector')",
        &[],
    )
    .hints("embedding")
    .well_formed();

    sql.run(&format!(
        "SELECT memory_update('{waiting}', embedding => '[0, 1, 0]')"
    ));
    let nearest: Vec<String> = sql.column(
        "SELECT id FROM memory_search(embedding => '[0, 1, 0.1]', k => 1)",
        &[],
    );
    assert_eq!(nearest, [waiting.as_str()]);
    assert!(sql.one::<bool>(
        "SELECT bool_and(embedded_hash = content_hash) FROM memories",
        &[]
    ));

    sql.run(&format!(
        "SELECT memory_update('{waiting}', 'the comet returns in April')"
    ));
    let stale: bool = sql.one("SELECT embedding IS NULL OR embedded_hash IS DISTINCT FROM content_hash FROM memories WHERE id = $1", &[&waiting]);
    assert!(
        stale,
        "a vector of the old content does not pass for one of the new"
    );
}
