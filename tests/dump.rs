//! pg_dump and pg_restore, in every way people use them, give the same store again.

mod support;

use std::sync::OnceLock;

use postgres::Client;
use support::{Cluster, Database, Options, Sql, cluster, run, store_hash, store_tables};

/// A store with something in every table and things of the user's own attached to it.
fn fill(sql: &mut Client) {
    sql.run(
        "SET memory_ext.audit = 'full';
         SELECT memory_init();
         SELECT * FROM memory_add_many((SELECT jsonb_agg(jsonb_build_object('content', 'Fact ' || i || ' about ' || (ARRAY['rivers', 'mountains', 'cities', 'harbours'])[1 + i % 4],
                'namespace', 'n' || i % 3, 'metadata', jsonb_build_object('i', i, 'tags', jsonb_build_array('t' || i % 5)), 'importance', (i % 10) / 10.0)) FROM generate_series(1, 300) i));
         SELECT memory_add('private to a', agent_id => 'a', id => 'private');
         SELECT memory_add('shared by a', agent_id => 'a', shared_with_agents => '{b,c}', id => 'shared');
         SELECT memory_add(E'odd: tab\\t newline\\n backslash \\\\ quote '' \\u00e9 \\U0001F9E0', id => E'odd \\\\ '' id');
         SELECT memory_add('ends some day', ttl => '10 years', id => 'ttl', project_id => 'other');
         SELECT memory_add('a secret', sensitive => true, id => 'secret');
         SELECT memory_kv_set('city', 'Oslo', source => 'form'); SELECT memory_kv_set('city', 'Bergen'); SELECT memory_kv_set('token', 's3cret', sensitive => true);
         SELECT memory_kv_alias('town', 'city');
         SELECT memory_add('deleted', id => 'dead'); SELECT memory_delete('dead');
         SELECT memory_add('over', id => 'over', ttl => '1 hour'); UPDATE memories SET expires_at = now() - interval '1 day' WHERE id = 'over';
         SELECT memory_update('shared', metadata => '{\"changed\": true}', agent_id => 'a');
         SELECT memory_touch(array_agg(id)) FROM memory_list(page_size => 20);
         SELECT memory_grant('reader', 'default', 'read'); SELECT memory_grant('bound', '*', 'write', 'a');
         INSERT INTO embedding_cache (model, content_hash, embedding) SELECT 'hash-384', content_hash, embedding FROM memories WHERE id = 'private';
         SELECT memory_vote('shared', 'helpful', 'a', 'why', 'task'); SELECT memory_vote('shared', 'harmful', 'a', task_id => 'task');
         SELECT memory_add('outdated', id => 'outdated'); SELECT memory_deprecate('outdated', 'moved on', superseded_by => 'shared', agent_id => 'a');
         INSERT INTO memory_types (memory_type, half_life_days, description) VALUES ('poem', NULL, 'lasts for ever');
         SELECT memory_add('roses are red', memory_type => 'poem', id => 'poem'); SELECT memory_reflect('too late', error_pattern => 'E1');
         SELECT memory_session_start('s', next_items => '[\"b\", {\"item\": \"a\"}]'); SELECT memory_session_update('s', complete_item => 'a');
         SELECT memory_feature_create('f', description => 'a feature', test_steps => '[\"open\"]');
         SELECT memory_run_start('r', agent_id => 'a', memory_ids => '{shared}'); SELECT memory_run_complete('r', false, error => 'broke', agent_id => 'a');
         SELECT * FROM memory_audit_seal();
         CREATE INDEX of_my_own ON memories ((metadata ->> 'i'));
         CREATE POLICY of_my_own ON memories FOR SELECT TO reader USING (namespace = 'n1');
         ALTER TABLE memories ADD COLUMN of_my_own text DEFAULT 'mine';
         COMMENT ON TABLE memories IS 'a comment of my own';
         GRANT SELECT ON memories TO reader",
    );
}

fn roles(cluster: &Cluster) {
    cluster.admin("CREATE ROLE reader LOGIN; CREATE ROLE bound LOGIN");
}

/// A filled database, and what it holds. One for all tests: they only read it.
fn source() -> &'static (Database<'static>, Contents) {
    static SOURCE: OnceLock<(Database<'static>, Contents)> = OnceLock::new();
    SOURCE.get_or_init(|| {
        roles(cluster());
        let database = cluster().database();
        let mut sql = database.connect();
        fill(&mut sql);
        for table in store_tables(&mut sql) {
            assert!(
                sql.one::<i64>(&format!("SELECT count(*) FROM {table}"), &[]) > 0,
                "{table} is empty"
            );
        }
        let contents = Contents::of(&mut sql);
        (database, contents)
    })
}

/// What has to be equal before and after.
#[derive(Debug, PartialEq)]
struct Contents {
    rows: String,
    objects: Vec<String>,
    found: Vec<String>,
}

impl Contents {
    fn of(sql: &mut Client) -> Contents {
        Contents {
            rows: store_hash(sql),
            objects: objects(sql),
            found: found(sql),
        }
    }
}

/// Indexes, triggers, policies, columns, comments, owners and rights of the store.
fn objects(sql: &mut Client) -> Vec<String> {
    sql.column(
        "WITH t AS (SELECT c.* FROM pg_class c JOIN pg_extension e ON e.extname = 'memory_ext' AND e.extnamespace = c.relnamespace
                    WHERE c.relkind = 'r' AND (c.relname LIKE 'memor%' OR c.relname = 'embedding_cache'))
         SELECT 'index ' || pg_get_indexdef(i.indexrelid) || i.indisvalid FROM pg_index i JOIN t ON t.oid = i.indrelid
         UNION ALL SELECT 'trigger ' || pg_get_triggerdef(g.oid) || g.tgenabled::text FROM pg_trigger g JOIN t ON t.oid = g.tgrelid WHERE NOT g.tgisinternal
         UNION ALL SELECT 'policy ' || t.relname || p.polname || p.polcmd::text || p.polpermissive::text || coalesce(pg_get_expr(p.polqual, p.polrelid), '') || coalesce(pg_get_expr(p.polwithcheck, p.polrelid), '')
                   FROM pg_policy p JOIN t ON t.oid = p.polrelid
         UNION ALL SELECT 'constraint ' || t.relname || pg_get_constraintdef(c.oid) FROM pg_constraint c JOIN t ON t.oid = c.conrelid
         UNION ALL SELECT 'column ' || t.relname || a.attname || format_type(a.atttypid, a.atttypmod) || a.attnotnull || a.attgenerated::text || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
                   FROM pg_attribute a JOIN t ON t.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum WHERE a.attnum > 0 AND NOT a.attisdropped
         UNION ALL SELECT 'table ' || t.relname || t.relrowsecurity || coalesce(t.reloptions::text, '') || t.relowner::regrole || coalesce(t.relacl::text, '') || coalesce(obj_description(t.oid), '') FROM t
         ORDER BY 1",
        &[],
    )
}

/// What searches find, with their scores.
fn found(sql: &mut Client) -> Vec<String> {
    let mut found = Vec::new();
    for call in [
        "memory_search('mountains 17', 20)",
        "memory_search('harbours rivers', 20, mode => 'text')",
        "memory_search('fact about cities', 20, mode => 'vector', namespace => 'n1')",
        "memory_search('Oslo Bergen city', 5, agent_id => 'a')",
        "memory_search('fact', 20, filter => '{\"i\": {\"$gte\": 290}}')",
    ] {
        found.extend(sql.column::<String>(
            &format!("SELECT id || ' ' || round(score::numeric, 9) FROM {call}"),
            &[],
        ));
    }
    found
}

/// The restored store is equal to the source, and alive.
fn check_restored(sql: &mut Client) {
    let expected = &source().1;
    let restored = Contents::of(sql);
    assert_eq!(restored.rows, expected.rows);
    assert_eq!(restored.objects, expected.objects);
    assert_eq!(restored.found, expected.found);
    check_alive(sql);
}

fn check_alive(sql: &mut Client) {
    let members: i64 = sql.one("SELECT count(*) FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'memory_ext' WHERE d.deptype = 'e' AND d.classid = 'pg_class'::regclass", &[]);
    assert_eq!(members, 0, "no table has become a member of the extension");
    sql.run("SET memory_ext.vector_path = 'hnsw'");
    let plan: String = sql.one(
        "SELECT memory_explain('rivers', 3, mode => 'vector')::text",
        &[],
    );
    assert!(
        plan.contains("ix_memories_embedding_hnsw"),
        "the vector index is used: {plan}"
    );
    sql.run("RESET memory_ext.vector_path");
    let plan: Vec<String> = sql.column(
        "EXPLAIN SELECT id FROM memories WHERE project_id = 'default' AND id = 'private'",
        &[],
    );
    assert!(plan.concat().contains("memories_pkey"), "{plan:?}");

    let id: String = sql.one("SELECT memory_add('added after the restore')", &[]);
    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memory_search('added after the restore', 1)",
            &[]
        ),
        [id.as_str()]
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_add('added  after the restore')", &[]),
        id,
        "duplicates are still seen"
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_add('private to a', agent_id => 'a')", &[]),
        "private",
        "of restored rows too"
    );
    assert_eq!(
        sql.one::<i32>(
            "SELECT memory_update($1, 'changed after the restore')",
            &[&id]
        ),
        2
    );
    assert_eq!(
        sql.query("SELECT * FROM memory_history($1)", &[&id])
            .expect("history")
            .len(),
        2
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('town')", &[]),
        "Bergen"
    );
    assert!(sql.one::<bool>("SELECT memory_delete($1)", &[&id]));
}

/// Dumps the source with these arguments to a file of this name, and gives its path.
fn dump(name: &str, arguments: &[&str]) -> String {
    let file = cluster().directory().join(name).display().to_string();
    run(cluster()
        .client("pg_dump", &source().0.name)
        .args(arguments)
        .args(["-f", &file]));
    file
}

fn psql(database: &Database, file: &str) {
    run(database.cluster.client("psql", &database.name).args([
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-f",
        file,
    ]));
}

#[test]
fn a_plain_dump_restores_into_an_empty_database() {
    let file = dump("plain.sql", &["-F", "plain"]);
    let target = cluster().empty_database();

    psql(&target, &file);

    check_restored(&mut target.connect());
}

#[test]
fn a_custom_dump_restores_into_an_empty_server() {
    let file = dump("custom.dump", &["-F", "custom"]);
    let other = Cluster::start(Options::default());
    roles(&other);
    let target = other.empty_database();

    run(other
        .client("pg_restore", &target.name)
        .args(["-j", "2", "--exit-on-error", &file]));

    check_restored(&mut target.connect());
    let mut reader = target.connect_as("reader");
    assert_eq!(
        reader.one::<i64>("SELECT memory_count()", &[]),
        source()
            .0
            .connect_as("reader")
            .one::<i64>("SELECT memory_count()", &[]),
        "grants are in force"
    );
    reader.refused("SELECT memory_add('x')", &[]).is("42501");
}

#[test]
fn a_directory_dump_restores_with_two_jobs() {
    let file = dump("directory.dump", &["-F", "directory", "-j", "2"]);
    let target = cluster().empty_database();

    run(cluster()
        .client("pg_restore", &target.name)
        .args(["-j", "2", "--exit-on-error", &file]));

    check_restored(&mut target.connect());
}

#[test]
fn a_dump_of_the_tables_by_name_restores_where_the_extension_is() {
    let tables: Vec<String> = store_tables(&mut source().0.connect());
    let arguments: Vec<&str> = tables
        .iter()
        .flat_map(|table| ["-t", table.as_str()])
        .collect();
    let file = dump("tables.sql", &arguments);
    let target = cluster().database();

    psql(&target, &file);

    check_restored(&mut target.connect());
}

#[test]
fn the_rows_of_memories_alone_go_into_a_new_store() {
    let file = dump("memories.sql", &["--data-only", "-t", "memories"]);
    let target = cluster().database();
    let mut sql = target.connect();
    sql.run("SELECT memory_init(); ALTER TABLE memories ADD COLUMN of_my_own text");

    psql(&target, &file);

    let memories = |contents: &str| {
        contents
            .lines()
            .find(|line| line.starts_with("memories:"))
            .expect("a line")
            .to_owned()
    };
    assert_eq!(
        memories(&store_hash(&mut sql)),
        memories(&source().1.rows),
        "triggers fire on these rows and change nothing"
    );
    assert_eq!(found(&mut sql), source().1.found);
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_history", &[]),
        0
    );
}

#[test]
fn a_clean_restore_replaces_what_is_there() {
    let file = dump("clean.dump", &["-F", "custom"]);
    let script = dump("clean.sql", &["-F", "plain", "--clean", "--if-exists"]);
    let target = cluster().database();
    target
        .connect()
        .run("SELECT memory_init(dimensions => 64); SELECT memory_add('to be replaced')");

    run(cluster().client("pg_restore", &target.name).args([
        "--clean",
        "--if-exists",
        "--exit-on-error",
        &file,
    ]));
    check_restored(&mut target.connect());

    psql(&target, &script);
    check_restored(&mut target.connect());
}

#[test]
fn restoring_in_one_transaction_works() {
    let file = dump("single.dump", &["-F", "custom"]);
    let target = cluster().empty_database();

    run(cluster()
        .client("pg_restore", &target.name)
        .args(["--single-transaction", &file]));

    check_restored(&mut target.connect());
}

#[test]
fn a_store_in_a_schema_whose_name_needs_quotes_survives_too() {
    let source = cluster().empty_database();
    let mut sql = source.connect();
    sql.run(
        "CREATE SCHEMA \"Mem ory\"; CREATE SCHEMA \"Vec tor\"; CREATE EXTENSION vector SCHEMA \"Vec tor\"; CREATE EXTENSION memory_ext SCHEMA \"Mem ory\";
         SET search_path = \"Mem ory\", \"Vec tor\", public; SELECT memory_init(); SELECT memory_add('quoted', id => 'q'); SELECT memory_update('q', 'quoted and changed')",
    );
    let before = (store_hash(&mut sql), objects(&mut sql));
    let file = cluster()
        .directory()
        .join("quoted.dump")
        .display()
        .to_string();
    run(cluster()
        .client("pg_dump", &source.name)
        .args(["-F", "custom", "-f", &file]));
    let target = cluster().empty_database();

    run(cluster()
        .client("pg_restore", &target.name)
        .args(["--exit-on-error", &file]));

    let mut sql = target.connect();
    sql.run("SET search_path = \"Mem ory\", \"Vec tor\", public");
    assert_eq!((store_hash(&mut sql), objects(&mut sql)), before);
    assert_eq!(
        sql.column::<String>("SELECT id FROM memory_search('quoted', 1)", &[]),
        ["q"]
    );
    assert_eq!(
        sql.one::<i32>("SELECT memory_update('q', 'and again')", &[]),
        3
    );
}

#[test]
fn the_owner_of_the_store_can_dump_it_without_being_superuser() {
    let database = cluster().database();
    cluster().role("keeper");
    database
        .connect()
        .run("GRANT CREATE ON SCHEMA public TO keeper");
    database.connect_as("keeper").run("SELECT memory_init(); SELECT memory_add('a', agent_id => 'x'); SELECT memory_add('secret', sensitive => true)");
    let mut sql = database.connect();
    let tables = store_tables(&mut sql);
    let before = store_hash(&mut sql);
    let file = cluster()
        .directory()
        .join("keeper.sql")
        .display()
        .to_string();

    let mut command = cluster().client("pg_dump", &database.name);
    run(command
        .args(["-U", "keeper", "-f", &file])
        .args(tables.iter().flat_map(|table| ["-t", table.as_str()])));

    let target = cluster().database();
    target
        .connect()
        .run("GRANT CREATE ON SCHEMA public TO keeper");
    psql(&target, &file);
    assert_eq!(
        store_hash(&mut target.connect()),
        before,
        "row-level security hides nothing from its owner"
    );
    assert_eq!(
        target
            .connect_as("keeper")
            .one::<i64>("SELECT memory_count(agent_id => '*')", &[]),
        2
    );
}

#[test]
fn restored_rows_are_not_touched_by_triggers_when_they_come_one_by_one() {
    let file = dump(
        "inserts.sql",
        &[
            "--data-only",
            "--column-inserts",
            "--rows-per-insert",
            "50",
            "-t",
            "memories",
        ],
    );
    let target = cluster().database();
    let mut sql = target.connect();
    sql.run("SELECT memory_init(); ALTER TABLE memories ADD COLUMN of_my_own text");

    psql(&target, &file);

    let columns = "SELECT md5(string_agg(concat_ws('|', id, version, created_at, updated_at, expires_at, deleted_at, encode(dedupe_hash, 'hex'), encode(embedded_hash, 'hex')), ',' ORDER BY id)) FROM memories";
    assert_eq!(
        sql.one::<String>(columns, &[]),
        source().0.connect().one::<String>(columns, &[])
    );
}
