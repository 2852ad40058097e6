//! pg_upgrade takes a store to the next server, as it is.
//!
//! Runs where MEMORY_EXT_OLD_PG_CONFIG names the pg_config of an older server that has the extension too (`make test-upgrade`).

mod support;

use std::io::Write;

use postgres::Client;
use serde_json::Value;
use support::catalog::{assert_same, members, offers, owned_relations, store_objects};
use support::release::{
    ALL_PATHS, NEW, OLD, SEARCHES, attach_things_of_my_own, fill, looked_up, old_database, update,
    use_functions_of_1_0, versions,
};
use support::votes::assert_counters;
use support::{Cluster, Database, Options, Rows, Server, Sql, ace, run};

/// What has to be equal before and after.
struct Contents {
    rows: Rows,
    ranked: Vec<Vec<String>>,
    looked_up: Vec<String>,
    owned: Vec<String>,
    objects: Vec<String>,
}

impl Contents {
    fn of(sql: &mut Client) -> Contents {
        Contents {
            rows: Rows::of(sql),
            ranked: ranked(sql),
            looked_up: looked_up(sql),
            owned: members(sql),
            objects: objects(sql),
        }
    }

    fn assert_kept(&self, what: &str, sql: &mut Client) {
        self.rows.assert_kept(sql);
        assert_eq!(ranked(sql), self.ranked, "{what}");
        assert_eq!(looked_up(sql), self.looked_up, "{what}");
        assert_same(what, &self.owned, &members(sql));
        assert_same(what, &self.objects, &objects(sql));
        assert_eq!(owned_relations(sql), [""; 0], "{what}");
    }
}

/// The ids that searches find, in order; those of equal score together. The builds of pgvector of two servers may round a
/// distance differently, and then decide a tie differently; so the last of each search, some of whose equals may be cut off,
/// do not count.
fn ranked(sql: &mut Client) -> Vec<Vec<String>> {
    const TIE: f64 = 1e-5;
    let mut ranked = Vec::new();
    for path in ALL_PATHS {
        sql.run(&format!("SET memory_ext.vector_path = '{path}'"));
        for call in SEARCHES {
            let rows = sql
                .query(&format!("SELECT id, score FROM {call}"), &[])
                .unwrap_or_else(|error| panic!("{path}: {call}: {error:?}"));
            assert!(!rows.is_empty(), "{path}: {call} finds nothing");
            let mut groups: Vec<Vec<String>> = Vec::new();
            let mut last = f64::INFINITY;
            for row in &rows {
                let (id, score): (String, f64) = (row.get(0), row.get(1));
                if (last - score).abs() > TIE {
                    groups.push(Vec::new());
                }
                if let Some(group) = groups.last_mut() {
                    group.push(id);
                    group.sort();
                }
                last = score;
            }
            if groups.len() > 1 {
                groups.pop();
            }
            ranked.extend(groups);
        }
    }
    sql.run("RESET memory_ext.vector_path");
    ranked
}

/// Without rights, of which newer servers know more.
fn objects(sql: &mut Client) -> Vec<String> {
    let all = store_objects(sql);
    all.into_iter()
        .filter(|line| !line.starts_with("rights |"))
        .collect()
}

/// The two servers, unless one of them or a program that is needed is missing.
fn servers() -> Option<(Server, Server)> {
    let skip = |why: String| {
        // Past the test harness, which shows what a test prints only when it fails.
        let _ = writeln!(std::io::stderr(), "pg_upgrade is not tested: {why}");
        None
    };
    let Ok(pg_config) = std::env::var("MEMORY_EXT_OLD_PG_CONFIG") else {
        return skip("MEMORY_EXT_OLD_PG_CONFIG names no older server".to_owned());
    };
    if !std::path::Path::new(&pg_config).exists() {
        return skip(format!("{pg_config} is not there"));
    }
    let (old, new) = (Server::of(&pg_config), Server::from_environment());
    for (server, program) in [(&old, "postgres"), (&new, "postgres"), (&new, "pg_upgrade")] {
        let program = server.program(program);
        if !program.exists() {
            return skip(format!("{} is not there", program.display()));
        }
    }
    Some((old, new))
}

fn server_version(sql: &mut Client) -> i32 {
    sql.one("SELECT current_setting('server_version_num')::int", &[])
}

#[test]
fn pg_upgrade_takes_a_store_to_the_next_server() {
    let Some((old_server, new_server)) = servers() else {
        return;
    };
    let old_bin = old_server.program("");
    let old = Cluster::prepare(old_server, Options::default());
    let new = Cluster::prepare(new_server, Options::default());
    old.control_start();
    old.admin("CREATE ROLE reader LOGIN; CREATE ROLE bound LOGIN; CREATE ROLE keeper LOGIN");

    // A store of this release with all that it has, one of the old release, and one in a schema of its own whose owner is
    // an ordinary role.
    let (whole, older, elsewhere) = (old.database(), old_database(&old), old.empty_database());
    let mut sql = whole.connect();
    let old_version = server_version(&mut sql);
    fill(&mut sql, "reader", "bound");
    ace::exercise(&mut sql);
    attach_things_of_my_own(&mut sql, "reader");
    let of_whole = Contents::of(&mut sql);
    let mut sql = older.connect();
    fill(&mut sql, "reader", "bound");
    let of_older = Contents::of(&mut sql);
    let mut superuser = elsewhere.connect();
    superuser.run("CREATE SCHEMA \"Mem ory\" AUTHORIZATION keeper; CREATE EXTENSION vector; CREATE EXTENSION memory_ext SCHEMA \"Mem ory\"; ALTER ROLE keeper SET search_path = \"Mem ory\", public");
    let mut sql = elsewhere.connect_as("keeper");
    fill(&mut sql, "reader", "bound");
    ace::exercise(&mut sql);
    let of_elsewhere = Contents::of(&mut sql);
    drop((sql, superuser));
    old.stop("fast");

    run(new
        .server
        .tool("pg_upgrade")
        .current_dir(new.directory())
        .args(["--copy", "--no-sync", "--username", "postgres"])
        .arg("--old-bindir")
        .arg(&old_bin)
        .arg("--new-bindir")
        .arg(new.server.program(""))
        .arg("--old-datadir")
        .arg(old.data())
        .arg("--new-datadir")
        .arg(new.data()));
    new.control_start();

    let on_new = |database: &Database| Database::of(&new, database.name.clone());
    let (whole, older, elsewhere) = (on_new(&whole), on_new(&older), on_new(&elsewhere));
    let mut sql = whole.connect();
    assert!(server_version(&mut sql) > old_version);
    let report: Value = sql.one("SELECT memory_version()", &[]);
    assert_eq!(report["extension"], NEW, "{report}");
    let server: String = sql.one("SELECT current_setting('server_version')", &[]);
    assert_eq!(report["server"], server.as_str(), "{report}");
    of_whole.assert_kept("a store of this release", &mut sql);
    check_indexes(&mut sql);
    assert_counters(&mut sql);
    check_alive(&mut sql);
    // The newer server may bring a newer pgvector.
    let seen = ranked(&mut sql);
    sql.run("ALTER EXTENSION vector UPDATE");
    assert_eq!(ranked(&mut sql), seen);
    use_functions_of_1_0(&mut sql);

    let mut sql = elsewhere.connect_as("keeper");
    of_elsewhere.assert_kept("a store in a schema of its own", &mut sql);
    check_indexes(&mut elsewhere.connect());
    check_alive(&mut sql);
    use_functions_of_1_0(&mut sql);

    let mut sql = older.connect();
    assert_eq!(versions(&mut sql), (OLD.to_owned(), OLD.to_owned()));
    of_older.assert_kept("a store of the old release", &mut sql);
    check_indexes(&mut sql);
    update(&mut sql);
    of_older.rows.assert_kept(&mut sql);
    let fresh = new.database();
    let mut fresh = fresh.connect();
    fresh.run("SELECT memory_init()");
    assert_same(
        "updated after pg_upgrade",
        &store_objects(&mut fresh),
        &store_objects(&mut sql),
    );
    assert_same("the extension", &members(&mut fresh), &members(&mut sql));
    use_functions_of_1_0(&mut sql);
    ace::exercise(&mut sql);
}

/// Every index is valid, and every B-tree among them in order.
fn check_indexes(superuser: &mut Client) {
    assert_eq!(
        superuser.column::<String>("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT (indisvalid AND indisready AND indislive)", &[]),
        [""; 0]
    );
    if !offers(superuser, "amcheck") {
        return;
    }
    superuser.run("CREATE EXTENSION amcheck");
    let checked = superuser
        .query(
            "SELECT bt_index_check(c.oid, true) FROM pg_class c JOIN pg_am a ON a.oid = c.relam AND a.amname = 'btree' JOIN pg_extension e ON e.extname = 'memory_ext' AND e.extnamespace = c.relnamespace
             WHERE c.relkind = 'i'",
            &[],
        )
        .expect("sound indexes");
    assert!(checked.len() > 10, "{} indexes", checked.len());
}

/// Searches use the index that came along, rows that came along are no strangers to new ones.
fn check_alive(sql: &mut Client) {
    sql.run("SET memory_ext.vector_path = 'hnsw'");
    let explained: Value = sql.one("SELECT memory_explain('rivers', 3, mode => 'vector')", &[]);
    assert!(
        explained.to_string().contains("ix_memories_embedding_hnsw"),
        "{explained}"
    );
    sql.run("RESET memory_ext.vector_path");
    assert_eq!(
        sql.one::<String>(
            "SELECT memory_add('shared by a', agent_id => 'a', shared_with_agents => '{b,c}')",
            &[]
        ),
        "shared",
        "a duplicate of an old row is seen"
    );
    sql.run("SELECT memory_vote('shared', 'harmful', voter_agent_id => 'b'); SELECT memory_update('shared', 'shared by a, and changed', agent_id => 'a')");
    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memory_search('shared and changed', 1, agent_id => 'c')",
            &[]
        ),
        ["shared"]
    );
}
