//! memory_check_integrity() on files whose bytes were changed while the server was down.

mod support;

use std::fs;

use postgres::Client;
use support::catalog::offers;
use support::integrity::{assert_healthy, finding, sampled, wrong};
use support::{Cluster, Options, Sql, run};

/// A server whose pages have no checksums: it takes them as they are. With checksums it says which page is broken.
fn cluster(checksums: bool) -> Cluster {
    let cluster = Cluster::start(Options::default());
    if !checksums {
        cluster.stop("fast");
        run(cluster
            .server
            .tool("pg_checksums")
            .args(["--disable", "--no-sync", "-D"])
            .arg(cluster.data()));
        cluster.control_start();
    }
    cluster
}

/// Not every server comes with contrib.
fn amcheck_is_there(cluster: &Cluster) -> bool {
    let there = offers(&mut cluster.database().connect(), "amcheck");
    if !there {
        eprintln!("skipped: this server has no amcheck");
    }
    there
}

/// Replaces these bytes, which have to be there once, in a relation's file.
fn edit(cluster: &Cluster, file: &str, from: &[u8], to: &[u8]) {
    assert_eq!(from.len(), to.len());
    cluster.stop("fast");
    let path = cluster.data().join(file);
    let mut bytes = fs::read(&path).expect("the relation's file");
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter(|(_, window)| *window == from)
        .map(|(place, _)| place)
        .collect();
    assert_eq!(places.len(), 1, "{from:?} in {file}");
    bytes[places[0]..places[0] + to.len()].copy_from_slice(to);
    fs::write(&path, bytes).expect("the file is written");
    cluster.control_start();
}

fn file(sql: &mut Client, relation: &str) -> String {
    sql.run("CHECKPOINT");
    sql.one(&format!("SELECT pg_relation_filepath('{relation}')"), &[])
}

/// A vector as it lies in the row: dimensions, two unused bytes, the numbers.
fn vector(dimensions: u16, numbers: &[f32]) -> Vec<u8> {
    let mut bytes = dimensions.to_ne_bytes().to_vec();
    bytes.extend([0, 0]);
    bytes.extend(numbers.iter().flat_map(|number| number.to_ne_bytes()));
    bytes
}

#[test]
fn mt_9_numbers_that_are_none_and_wrong_dimensions_are_found() {
    let cluster = cluster(false);
    let is = [0.5f32, -0.25, 0.125];
    let as_is = vector(3, &is);
    for (to, expected, says) in [
        (
            vector(3, &[0.5, f32::NAN, 0.125]),
            "embedding_values",
            "NaN or infinity",
        ),
        (
            vector(3, &[0.5, -0.25, f32::NEG_INFINITY]),
            "embedding_values",
            "NaN or infinity",
        ),
        (
            vector(3, &[0.0, -0.0, 0.0]),
            "embedding_values",
            "zeros only",
        ),
        (vector(2, &is), "embedding_dimensions", "2"),
        (vector(4, &is), "embedding_dimensions", "4"),
        // More than there are bytes in the row.
        (vector(60000, &is), "embedding_dimensions", "60000"),
    ] {
        let database = cluster.database();
        let path = {
            let mut sql = database.connect();
            sql.run(
                "SELECT memory_init(embedder => 'external', dimensions => 3);
                 SELECT memory_add('one', id => 'one', embedding => '[0.5, -0.25, 0.125]'); SELECT memory_add('other ' || i, embedding => ARRAY[i, 1, 2]::vector) FROM generate_series(1, 20) i",
            );
            file(&mut sql, "memories")
        };
        edit(&cluster, &path, &as_is, &to);
        let mut sql = database.connect();
        assert_eq!(wrong(&mut sql), [format!("{expected} error 1")]);
        let found = finding(&mut sql, expected);
        assert_eq!(sampled(&found), ["one"]);
        assert!(found.details.to_string().contains(says), "{found:?}");
    }
}

#[test]
fn mt_9_a_byte_of_a_text_is_found_whatever_it_becomes() {
    let cluster = cluster(false);
    for (from, to) in [
        (&b"leaves at noon"[..], &b"leaves at moon"[..]),
        (b"leaves at noon", b"leaves at \xffoon"),
        (b"leaves at noon", b"leaves at \0oon"),
    ] {
        let database = cluster.database();
        let path = {
            let mut sql = database.connect();
            sql.run("SELECT memory_add('the ferry leaves at noon', id => 'ferry', agent_id => 'a'); SELECT memory_add('another')");
            file(&mut sql, "memories")
        };
        edit(&cluster, &path, from, to);
        let mut sql = database.connect();
        assert_eq!(wrong(&mut sql), ["content_hash error 1"]);
        assert_eq!(sampled(&finding(&mut sql, "content_hash")), ["ferry"]);
    }
    // An id that is no text any more is named as well as can be.
    let database = cluster.database();
    let path = {
        let mut sql = database.connect();
        sql.run("SELECT memory_init()");
        sql.run(
            "INSERT INTO memories (id, content, bullet_helpful) VALUES ('an-odd-id', 'words', 1)",
        );
        file(&mut sql, "memories")
    };
    edit(&cluster, &path, b"an-odd-id", b"an-o\0\xffd-i");
    let mut sql = database.connect();
    assert_eq!(wrong(&mut sql), ["vote_counters error 1"]);
    let found = finding(&mut sql, "vote_counters");
    assert_eq!(sampled(&found), ["an-o\u{fffd}\u{fffd}d-i"]);
}

#[test]
fn mt_9_a_bit_of_a_btree_page_is_found_by_amcheck() {
    let cluster = cluster(false);
    if !amcheck_is_there(&cluster) {
        return;
    }
    // A key out of its order, and one that is still in order but that no row has.
    for (from, to) in [
        (&b"user-017"[..], &b"user-0\xb17"[..]),
        (b"user-017-x", b"user-017-y"),
    ] {
        let database = cluster.database();
        let path = {
            let mut sql = database.connect();
            sql.run(
                "CREATE EXTENSION amcheck;
                 SELECT memory_add('words of ' || i, user_id => format('user-%s-x', to_char(i, 'FM000'))) FROM generate_series(1, 40) i",
            );
            assert_healthy(&mut sql);
            let found = finding(&mut sql, "btree");
            assert!(found.details["skipped"].is_null(), "{found:?}");
            let indexes: i64 = sql.one(
                "SELECT count(*) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam WHERE a.amname = 'btree' AND c.relnamespace = 'public'::regnamespace",
                &[],
            );
            assert_eq!(
                found.details["checked"], indexes,
                "every one of the store's"
            );
            file(&mut sql, "ix_memories_user")
        };
        edit(&cluster, &path, from, to);
        let mut sql = database.connect();
        assert_eq!(wrong(&mut sql), ["btree error 1"]);
        let found = finding(&mut sql, "btree");
        assert_eq!(
            found.details["sample"][0]["index"], "ix_memories_user",
            "{found:?}"
        );
        let sqlstate = found.details["sample"][0]["sqlstate"].as_str();
        assert!(matches!(sqlstate, Some("XX001" | "XX002")), "{found:?}");
        sql.run("REINDEX INDEX ix_memories_user");
        assert_healthy(&mut sql);
    }
}

#[test]
fn amcheck_that_the_owner_may_not_use_is_skipped() {
    let cluster = cluster(true);
    if !amcheck_is_there(&cluster) {
        return;
    }
    cluster.role("keeper");
    let database = cluster.database();
    let mut superuser = database.connect();
    superuser.run("CREATE SCHEMA checks; CREATE EXTENSION amcheck SCHEMA checks; GRANT CREATE ON SCHEMA public TO keeper");
    let mut sql = database.connect_as("keeper");
    sql.run("SELECT memory_init(); SELECT memory_add('words')");
    for client in [&mut sql, &mut superuser] {
        assert_healthy(client);
        let found = finding(client, "btree");
        assert!(
            found.details["skipped"]
                .as_str()
                .is_some_and(|why| why.contains("may not")),
            "{found:?}"
        );
    }
    superuser.run("GRANT USAGE ON SCHEMA checks TO keeper; GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA checks TO keeper");
    assert_healthy(&mut sql);
    let found = finding(&mut sql, "btree");
    assert!(found.details["checked"].as_i64() > Some(10), "{found:?}");
}

#[test]
fn a_page_that_cannot_be_read_is_a_finding_and_no_failure() {
    let cluster = cluster(true);
    let database = cluster.database();
    let (memories, votes) = {
        let mut sql = database.connect();
        sql.run(
            "SELECT memory_add('the ferry leaves at noon', id => 'ferry'); SELECT memory_vote('ferry', 'helpful', 'voter-in-a-broken-page');
             SELECT memory_update('ferry', 'the ferry leaves at one')",
        );
        (file(&mut sql, "memories"), file(&mut sql, "vote_history"))
    };

    edit(
        &cluster,
        &votes,
        b"voter-in-a-broken-page",
        b"voter-in-a-brokem-page",
    );
    let mut sql = database.connect();
    assert_eq!(
        wrong(&mut sql),
        ["vote_counters error 1", "orphans error 1"]
    );
    let found = finding(&mut sql, "vote_counters");
    assert_eq!(found.details["sqlstate"], "XX001", "{found:?}");
    drop(sql);
    edit(
        &cluster,
        &votes,
        b"voter-in-a-brokem-page",
        b"voter-in-a-broken-page",
    );
    assert_healthy(&mut database.connect());

    edit(&cluster, &memories, b"leaves at one", b"leaves at two");
    let mut sql = database.connect();
    let all = wrong(&mut sql);
    assert_eq!(all[0], "content_hash error 1", "{all:?}");
    let found = finding(&mut sql, "content_hash");
    assert_eq!(found.details["sqlstate"], "XX001", "{found:?}");
    assert!(finding(&mut sql, "dedupe_hash").details["skipped"].is_string());
    assert!(finding(&mut sql, "embedding_differs").details["skipped"].is_string());
    assert!(finding(&mut sql, "history_hash").details["checked"] == 1);
    // The session goes on.
    sql.run("SELECT memory_version()");
}
