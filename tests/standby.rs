//! A hot standby reads all there is and says why it writes nothing.

mod support;

use postgres::Client;
use serde_json::Value;
use support::{Cluster, Options, Sql, wait_until};

/// Waits until the standby has replayed what the primary has written.
fn catch_up(primary: &mut Client, standby: &mut Client) {
    let written: String = primary.one("SELECT pg_current_wal_lsn()::text", &[]);
    wait_until("the standby has caught up", || {
        standby.one(
            "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn",
            &[&written],
        )
    });
}

#[test]
fn a_hot_standby_reads_everything_and_refuses_writes_clearly() {
    let primary = Cluster::start(Options::default());
    let database = primary.database();
    let mut writer = database.connect();
    writer.run("SELECT memory_init(); SET memory_ext.audit = 'full'");
    let before: String = writer.one(
        "SELECT memory_add('the lighthouse was built in 1902', metadata => '{\"year\": 1902}')",
        &[],
    );
    let cluster = primary.standby();
    let mut standby = cluster.connect(&database.name);
    assert!(standby.one::<bool>("SELECT pg_is_in_recovery()", &[]));
    let after: String = writer.one(
        "SELECT memory_kv_set('lighthouse.height', 'the lighthouse is 30 metres high')",
        &[],
    );
    writer.run("SELECT memory_add('the keeper''s secret', sensitive => true)");
    primary.role("reader");
    primary.role("stranger");
    writer.run("SELECT memory_grant('reader', 'default', 'read')");
    catch_up(&mut writer, &mut standby);

    // Everything that reads, reads; what was written later too.
    for client in [
        &mut standby,
        &mut cluster.connect_as(&database.name, "reader"),
    ] {
        for path in ["auto", "exact", "sketch", "hnsw"] {
            client.run(&format!("SET memory_ext.vector_path = '{path}'"));
            for mode in ["hybrid", "vector", "text"] {
                let found: Vec<String> = client.column(
                    "SELECT id FROM memory_search('lighthouse built', mode => $1) ORDER BY 1",
                    &[&mode],
                );
                let mut expected = [before.clone(), after.clone()];
                expected.sort();
                assert_eq!(found, expected, "{path} {mode}");
            }
        }
        assert_eq!(
            client.column::<String>("SELECT content FROM memory_get($1)", &[&before]),
            ["the lighthouse was built in 1902"]
        );
        assert_eq!(client.one::<i64>("SELECT memory_count()", &[]), 3);
        assert_eq!(
            client.one::<i64>(
                "SELECT count(*) FROM memory_list(filter => '{\"year\": {\"$lt\": 1950}}')",
                &[]
            ),
            1
        );
        assert_eq!(
            client.one::<String>("SELECT memory_kv_get('lighthouse.height')", &[]),
            "the lighthouse is 30 metres high"
        );
        assert_eq!(
            client.one::<i64>("SELECT count(*) FROM memory_kv_list('lighthouse')", &[]),
            1
        );
        assert_eq!(
            client
                .query("SELECT * FROM memory_history($1)", &[&before])
                .expect("history")
                .len(),
            1
        );
        assert!(
            client
                .one::<String>("SELECT memory_context('lighthouse')", &[])
                .contains(&before)
        );
        let explained: Value = client.one("SELECT memory_explain('lighthouse')", &[]);
        assert_eq!(explained["complete"], true, "{explained}");
        client.run("SELECT memory_embed('x'); SELECT memory_version(); SELECT * FROM memory_security_check()");
    }
    cluster
        .connect_as(&database.name, "stranger")
        .refused("SELECT memory_count()", &[])
        .is("42501");

    // What writes says so.
    for call in [
        "SELECT memory_add('x')",
        "SELECT * FROM memory_add_many('[\"x\"]')",
        "SELECT memory_update('ID', 'x')",
        "SELECT memory_delete('ID')",
        "SELECT memory_forget(ids => '{ID}', reason => 'r')",
        "SELECT memory_restore_version('ID', 1)",
        "SELECT memory_touch('{ID}')",
        "SELECT memory_expire()",
        "SELECT memory_kv_set('k', 'v')",
        "SELECT memory_kv_delete('lighthouse.height')",
        "SELECT memory_kv_alias('a', 'k')",
        "SELECT memory_reveal('ID', 'r')",
        "SELECT memory_grant('reader', 'p')",
        "SELECT memory_revoke('reader', 'default')",
    ] {
        let refusal = standby.refused(&call.replace("ID", &before), &[]);
        assert!(
            ["55000", "25006"].contains(&refusal.sqlstate.as_str()),
            "{refusal:?}"
        );
        assert!(
            refusal.message.contains("standby")
                || refusal.message.contains("read-only")
                || refusal.message.contains("recovery"),
            "{refusal:?}"
        );
    }
    for (call, doing) in [
        ("memory_add('x')", "add memories"),
        ("memory_kv_set('k', 'v')", "set keys"),
        ("memory_vote('ID', 'helpful', 'a')", "vote on memories"),
        ("memory_delta('[]')", "apply deltas"),
        (
            "memory_session_start('s', agent_id => 'a')",
            "write session progress",
        ),
        (
            "memory_feature_create('f', 'what', agent_id => 'a')",
            "write features",
        ),
        ("memory_run_start('r', agent_id => 'a')", "record runs"),
        ("memory_grant('reader', 'p')", "grant rights"),
        ("memory_maintenance(dry_run => false)", "maintain memories"),
        (
            "memory_cleanup_orphans(dry_run => false)",
            "clean up memories",
        ),
        ("memory_rebuild_index()", "rebuild the vector index"),
        ("memory_reembed()", "embed memories again"),
    ] {
        let refusal = standby
            .refused(
                &format!("SELECT * FROM {}", call.replace("ID", &before)),
                &[],
            )
            .is("55000")
            .hints("primary")
            .well_formed();
        assert_eq!(refusal.message, format!("cannot {doing} on a standby"));
    }

    // Promoted, it is a server like any other.
    cluster.promote();
    wait_until("the standby is promoted", || {
        !standby.one::<bool>("SELECT pg_is_in_recovery()", &[])
    });
    let id: String = standby.one("SELECT memory_add('written after the promotion')", &[]);
    assert_eq!(
        standby.column::<String>("SELECT id FROM memory_search('promotion', 1)", &[]),
        [id]
    );
}

#[test]
fn without_a_store_a_standby_does_not_try_to_make_one() {
    let primary = Cluster::start(Options::default());
    let database = primary.database();
    let standby = primary.standby();
    let mut sql = standby.connect(&database.name);

    sql.refused("SELECT memory_add('x')", &[])
        .is("55000")
        .well_formed();
    sql.refused("SELECT memory_init()", &[])
        .is("55000")
        .hints("primary")
        .well_formed();
    sql.refused("SELECT * FROM memory_search('x')", &[])
        .is("55000")
        .well_formed();
}

#[test]
fn expired_memories_vanish_on_a_standby_by_the_clock_alone() {
    let primary = Cluster::start(Options::default());
    let database = primary.database();
    let mut writer = database.connect();
    writer.run("SELECT memory_init()");
    let cluster = primary.standby();
    let mut standby = cluster.connect(&database.name);

    writer.run("SELECT memory_add('short lived', ttl => '6 seconds')");
    catch_up(&mut writer, &mut standby);
    assert_eq!(standby.one::<i64>("SELECT memory_count()", &[]), 1);

    wait_until("the memory has expired", || {
        standby.one::<i64>("SELECT memory_count()", &[]) == 0
    });
    assert_eq!(
        standby.one::<i64>("SELECT count(*) FROM memory_search('short lived')", &[]),
        0
    );
    assert_eq!(
        standby.one::<i64>("SELECT count(*) FROM memories", &[]),
        1,
        "though nothing removed the row"
    );
}
