//! A store of 1.0.0 with the library of this release: before ALTER EXTENSION UPDATE, and out of a dump.

mod support;

use postgres::Client;
use serde_json::Value;
use support::catalog::{assert_same, members, owned_relations, store_objects};
use support::exposition::Exposition;
use support::release::{
    NEW, OLD, connect_as_owner, fill, found, old_database, use_functions_of_1_0, versions,
};
use support::{Cluster, Database, Options, Rows, Sql, ace, calls, cluster, role, run, wait_until};

fn dump(database: &Database, name: &str, arguments: &[&str]) -> String {
    let cluster = database.cluster;
    let file = cluster.directory().join(name).display().to_string();
    run(cluster
        .client("pg_dump", &database.name)
        .args(["-F", "custom", "-f", &file])
        .args(arguments));
    file
}

fn restore(file: &str, database: &Database) {
    run(database
        .cluster
        .client("pg_restore", &database.name)
        .args(["--exit-on-error", file]));
}

/// A store that this release has made.
fn fresh() -> Client {
    let mut sql = cluster().database().connect();
    sql.run("SELECT memory_init()");
    sql
}

/// The store is of this release, and has what a fresh one has.
fn whole(sql: &mut Client) {
    let mut fresh = fresh();
    assert_eq!(versions(sql), versions(&mut fresh));
    assert_same("the store", &store_objects(&mut fresh), &store_objects(sql));
}

/// Everything that 1.1.0 brought says what to run, and does nothing.
fn new_functions_say_what_to_run(sql: &mut Client) {
    let rows = Rows::of(sql);
    for call in ace::CALLS {
        sql.refused(call, &[])
            .is("55000")
            .says(OLD)
            .hints("memory_migrate()")
            .well_formed();
    }
    rows.assert_kept(sql);
}

#[test]
fn before_the_update_the_new_library_serves_the_old_store() {
    for owner in [None, Some(role())] {
        let database = old_database(cluster());
        let mut sql = connect_as_owner(&database, owner.as_deref());
        let (reader, bound) = (role(), role());
        fill(&mut sql, &reader, &bound);

        let report: Value = sql.one("SELECT memory_version()", &[]);
        assert_eq!(
            (&report["extension"], &report["library"], &report["store"]),
            (&OLD.into(), &NEW.into(), &OLD.into())
        );
        use_functions_of_1_0(&mut sql);
        // Neither call takes the store ahead of the functions that are installed.
        let objects = store_objects(&mut sql);
        let report: Value = sql.one("SELECT memory_migrate()", &[]);
        assert_eq!(report["applied"], serde_json::json!([]), "{report}");
        sql.run("SELECT memory_init()");
        assert_eq!(versions(&mut sql), (OLD.to_owned(), OLD.to_owned()));
        assert_same("the store", &objects, &store_objects(&mut sql));

        // Whoever else has rights, by functions and by plain SQL.
        sql.run(&format!(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {reader}, {bound}"
        ));
        let mut client = database.connect_as(&reader);
        for call in calls::READING {
            client.run(&calls::call(call, "shared", None, "default"));
        }
        assert_eq!(
            client.one::<i64>("SELECT count(*) FROM memories", &[]),
            client.one::<i64>(
                "SELECT count(*) FROM memory_list(page_size => 10000) WHERE NOT is_sensitive",
                &[]
            ),
            "the policies of 1.0.0 hold"
        );
        client.refused("SELECT memory_add('x')", &[]).is("42501");
        let mut client = database.connect_as(&bound);
        client.run("INSERT INTO memories (id, content, agent_id, scope) VALUES ('of-a', 'words of a', 'a', 'agent-private'); UPDATE memories SET content = 'other words of a' WHERE id = 'of-a'; SELECT memory_update('of-a', 'and again')");
        assert_eq!(
            client.one::<i64>("SELECT count(*) FROM memory_history('of-a')", &[]),
            3
        );
    }
}

/// Who watches sees a store that waits for memory_migrate(), and it serves.
#[test]
fn metrics_and_health_of_an_old_store_tell_that_it_is_old() {
    for (version, migration) in [("1.0.0", 1.0), ("1.1.0", 2.0)] {
        let source = cluster().empty_database();
        let mut old = source.connect();
        old.run(&format!(
            "CREATE EXTENSION memory_ext VERSION '{version}' CASCADE"
        ));
        fill(&mut old, &role(), &role());
        let file = dump(&source, &format!("watched-{version}.dump"), &[]);
        let database = cluster().empty_database();
        restore(&file, &database);
        let mut sql = database.connect();
        let watch = |sql: &mut Client| -> (Exposition, Value) {
            let text: String = sql.one("SELECT memory_metrics()", &[]);
            let found = Exposition::read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
            assert_eq!(found.value("memory_store_ready", &[]), Some(1.0));
            assert_eq!(found.value("memory_ext_scrape_errors", &[]), Some(0.0));
            assert!(
                found
                    .value("memory_rows", &[("table", "memories")])
                    .is_some()
            );
            assert!(found.value("memory_index_bytes", &[("index", "memories_pkey")]) > Some(0.0));
            assert!(
                found
                    .value("memory_index_bytes", &[("index", "other")])
                    .is_none()
            );
            assert!(sql.one::<bool>("SELECT memory_ready()", &[]));
            let total: f64 = sql.one("SELECT value FROM memory_stats() WHERE name = 'memory_memories' AND labels ->> 'state' = 'total'", &[]);
            assert_eq!(
                total,
                sql.one::<f64>("SELECT count(*)::float8 FROM memories", &[])
            );
            let health: Value = sql.one("SELECT memory_health()", &[]);
            assert_eq!(health["memories"]["total"].as_f64(), Some(total));
            (found, health)
        };
        for client in [&mut sql, &mut database.connect()] {
            let (found, health) = watch(client);
            assert_eq!(found.value("memory_store_migration", &[]), Some(migration));
            for absent in [
                "memory_unsealed_rows",
                "memory_embedding_backlog",
                "memory_integrity_issues",
            ] {
                assert!(found.family(absent).is_none(), "{version}: {absent}");
            }
            assert_eq!(health["status"], "degraded", "{health}");
            assert_eq!(health["store_version"], version);
            assert!(
                health["issues"][0]
                    .as_str()
                    .is_some_and(|issue| issue.contains("memory_migrate()")),
                "{health}"
            );
        }
        sql.run("SELECT memory_migrate()");
        let (found, health) = watch(&mut sql);
        assert_eq!(found.value("memory_store_migration", &[]), Some(3.0));
        assert!(found.family("memory_unsealed_rows").is_some());
        assert_eq!(health["status"], "healthy", "{health}");
    }
}

#[test]
fn a_store_made_before_the_update_is_one_of_the_installed_version() {
    for make in [
        "SELECT memory_init(dimensions => 64)",
        "SELECT memory_add('the first')",
        "SELECT * FROM memory_add_many('[\"the first\"]')",
        "SELECT memory_kv_set('the', 'first')",
    ] {
        let database = old_database(cluster());
        let mut sql = database.connect();

        sql.run(make);

        assert_eq!(
            versions(&mut sql),
            (OLD.to_owned(), OLD.to_owned()),
            "{make}"
        );
        assert_eq!(
            sql.column::<i32>("SELECT number FROM memory_migrations", &[]),
            [1]
        );
        let new_ones: i64 = sql.one("SELECT count(*) FROM pg_attribute WHERE attrelid IN ('memories'::regclass, 'memory_history'::regclass) AND attname LIKE ANY ('{%deprecated%,%superseded%,bullet%}')", &[]);
        assert_eq!(new_ones, 0, "{make}");
        assert_eq!(
            sql.one::<Option<String>>("SELECT to_regclass('vote_history')::text", &[]),
            None
        );
    }
}

#[test]
fn the_worker_of_the_new_library_looks_after_old_stores() {
    let cluster = Cluster::start(Options {
        preload: true,
        settings: vec!["memory_ext.naptime = '1s'"],
    });
    let (old, restored) = (old_database(&cluster), cluster.empty_database());
    old.connect()
        .run("SELECT memory_init(); SELECT memory_add('stays', id => 'stays')");
    restore(&dump(&old, "old.dump", &[]), &restored);
    let removes = |sql: &mut Client, when: &str| {
        sql.run("SELECT memory_add('ends', id => 'ends', ttl => '1 hour'); UPDATE memories SET expires_at = now() - interval '1 second' WHERE id = 'ends'");
        wait_until(when, || {
            sql.column::<String>("SELECT id FROM memories", &[]) == ["stays"]
        });
    };

    for (database, advance) in [
        (&old, "ALTER EXTENSION memory_ext UPDATE"),
        (&restored, "SELECT memory_migrate()"),
    ] {
        let mut sql = database.connect();
        assert_eq!(versions(&mut sql).1, OLD);
        removes(&mut sql, "an expired memory of an old store is removed");
        sql.run(advance);
        removes(&mut sql, &format!("and after {advance}"));
    }

    let log = cluster.log();
    let missed: Vec<&str> = log
        .lines()
        .filter(|line| line.contains("does not exist") || line.contains("PANIC"))
        .collect();
    assert_eq!(
        missed, [""; 0],
        "the worker asks for nothing that is not there"
    );
}

#[test]
fn an_old_dump_serves_in_this_release_and_migrates() {
    for owner in [None, Some(role())] {
        let source = old_database(cluster());
        let mut old = connect_as_owner(&source, owner.as_deref());
        let (reader, bound) = (role(), role());
        fill(&mut old, &reader, &bound);
        let (before, seen) = (Rows::of(&mut source.connect()), found(&mut old, &["auto"]));
        let name = format!("old-{}.dump", owner.as_deref().unwrap_or("superuser"));
        let file = dump(&source, &name, &[]);
        let target = cluster().empty_database();

        restore(&file, &target);

        let mut superuser = target.connect();
        let mut sql = target.connect_as(owner.as_deref().unwrap_or("postgres"));
        assert_eq!(versions(&mut sql), (NEW.to_owned(), OLD.to_owned()));
        before.assert_kept(&mut superuser);
        assert_eq!(found(&mut sql, &["auto"]), seen);
        new_functions_say_what_to_run(&mut sql);
        sql.run("BEGIN");
        use_functions_of_1_0(&mut sql);
        sql.run("ROLLBACK");
        before.assert_kept(&mut superuser);
        // These sessions know the old store.
        let mut others = [target.connect_as(&bound), target.connect()];
        for other in &mut others {
            other.run("SELECT * FROM memory_search('rivers'); SELECT memory_count()");
        }
        target
            .connect_as(&reader)
            .refused("SELECT memory_migrate()", &[])
            .is("42501")
            .well_formed();

        let report: Value = sql.one("SELECT memory_migrate()", &[]);

        assert_eq!(report["from"], OLD, "{report}");
        assert_eq!(report["applied"][0], 2, "{report}");
        before.assert_kept(&mut superuser);
        assert_eq!(found(&mut sql, &["auto"]), seen);
        assert_eq!(owned_relations(&mut superuser), [""; 0]);
        let mut fresh = fresh();
        assert_eq!(versions(&mut sql), versions(&mut fresh));
        assert_same(
            "the extension",
            &members(&mut fresh),
            &members(&mut superuser),
        );
        assert_same(
            "the store",
            &owned_by(store_objects(&mut fresh), owner.as_deref()),
            &store_objects(&mut superuser),
        );
        for other in &mut others {
            other.run("SELECT memory_vote('ttl', 'helpful', voter_agent_id => 'a', project_id => 'other')");
        }
        let again: Value = sql.one("SELECT memory_migrate()", &[]);
        assert_eq!(again["applied"], serde_json::json!([]), "{again}");
        use_functions_of_1_0(&mut sql);
        ace::exercise(&mut sql);
    }
}

/// The lines as they were if this role owned the store.
fn owned_by(objects: Vec<String>, owner: Option<&str>) -> Vec<String> {
    let Some(owner) = owner else { return objects };
    let mut objects: Vec<String> = objects
        .iter()
        .map(|line| {
            let line = line.replace("owner postgres", &format!("owner {owner}"));
            line.replace(" | postgres | ", &format!(" | {owner} | "))
        })
        .collect();
    objects.sort();
    objects
}

#[test]
fn the_rows_of_an_old_dump_go_into_a_store_of_this_release() {
    let source = old_database(cluster());
    let mut old = source.connect();
    fill(&mut old, &role(), &role());
    let columns: String = old.one("SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'memories'::regclass AND attnum > 0", &[]);
    let hash = format!(
        "SELECT count(*) || md5(string_agg(r::text, E'\\n' ORDER BY r::text)) FROM (SELECT {columns} FROM memories) r"
    );
    let before: String = old.one(&hash, &[]);
    let file = dump(&source, "old-rows.dump", &["--data-only", "-t", "memories"]);
    let target = cluster().database();
    let mut sql = target.connect();
    sql.run("SELECT memory_init()");

    restore(&file, &target);

    assert_eq!(sql.one::<String>(&hash, &[]), before);
    sql.run("SELECT memory_vote('fact', 'helpful', voter_agent_id => 'a')");
    whole(&mut sql);
}

#[test]
fn the_table_of_memories_alone_out_of_an_old_dump_becomes_a_whole_store() {
    let source = old_database(cluster());
    let mut old = source.connect();
    fill(&mut old, &role(), &role());
    let ids = "SELECT md5(string_agg(concat_ws('|', id, project_id, content, version, embedding, dedupe_hash, created_at), ',' ORDER BY id, project_id)) FROM memories";
    let before: String = old.one(ids, &[]);
    let file = dump(&source, "old-memories.dump", &["-t", "memories"]);
    let target = cluster().database();
    let mut sql = target.connect();

    restore(&file, &target);
    sql.run("SELECT memory_init()");

    assert_eq!(sql.one::<String>(ids, &[]), before);
    whole(&mut sql);
    sql.run("SELECT memory_vote('fact', 'helpful', voter_agent_id => 'a'); SELECT * FROM memory_playbook()");
}

#[test]
fn the_tables_that_people_dump_become_a_whole_store() {
    let source = cluster().database();
    let mut sql = source.connect();
    fill(&mut sql, &role(), &role());
    sql.run(
        "SELECT memory_vote('fact', 'helpful', voter_agent_id => v) FROM unnest('{a,b,c}'::text[]) v; SELECT memory_vote('fact', 'harmful', voter_agent_id => 'a');
         SELECT memory_deprecate('strategy-2', superseded_by => 'strategy-1')",
    );
    let state = "SELECT md5(string_agg(m::text, ',' ORDER BY m::text)) || (SELECT string_agg(v::text, ',' ORDER BY v::text) FROM vote_history v) FROM memories m";
    let before: String = sql.one(state, &[]);
    // The command of the operations guide.
    let file = dump(
        &source,
        "two-tables.dump",
        &["-t", "memories", "-t", "vote_history"],
    );
    let target = cluster().database();
    let mut sql = target.connect();

    restore(&file, &target);
    sql.run("SELECT memory_init()");

    assert_eq!(sql.one::<String>(state, &[]), before);
    whole(&mut sql);
    sql.run("SELECT memory_vote('fact', 'harmful', voter_agent_id => 'b')");
    assert_eq!(support::votes::counters(&mut sql, "fact"), (1, 2));
    support::votes::assert_counters(&mut sql);
    assert_eq!(
        sql.column::<String>("SELECT id FROM memory_playbook()", &[]),
        ["strategy-1"],
        "what was deprecated stays so"
    );
}
