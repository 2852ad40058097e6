//! docker/scripts/restore-drill.sh: it says that a backup is good only when it is.

use super::desk::{Desk, Outcome};
use super::store::{cluster, filled};
use crate::support::{Cluster, Options, Sql, wait_until};

fn drill(desk: &Desk) -> Outcome {
    desk.bash("restore-drill.sh")
}

/// No database of a drill is left; none but this test's can have this desk's process number in its name.
fn drills_left(desk: &Desk) -> i64 {
    desk.cluster.connect("postgres").one(
        "SELECT count(*) FROM pg_database d WHERE datname LIKE 'memory_drill_%' AND shobj_description(d.oid, 'pg_database') = $1",
        &[&desk.database],
    )
}

/// Marks the databases that this desk's drills make, so that they are told from those of other tests.
fn mark_drills(desk: &Desk) {
    let real = desk.cluster.server.program("psql").display().to_string();
    desk.program(
        "psql",
        &format!(
            r#"#!/bin/bash
'{real}' "$@" || exit
for word; do
    case $word in
        'CREATE DATABASE memory_drill_'*)
            drill=${{word#CREATE DATABASE }}
            drill=${{drill%% *}}
            echo "$drill" >> "$HOME/drills"
            '{real}' -Xq -d postgres -c "COMMENT ON DATABASE $drill IS '{}'"
            ;;
    esac
done
"#,
            desk.database
        ),
    );
}

fn with_backup<'c>() -> (crate::support::Database<'c>, Desk<'c>) {
    let (database, desk) = filled(cluster());
    mark_drills(&desk);
    desk.bash("memory-backup.sh").good();
    (database, desk)
}

#[test]
fn the_newest_dump_is_restored_checked_and_dropped_again() {
    let (database, desk) = with_backup();
    let mut sql = database.connect();
    let memories: i64 = sql.one("SELECT count(*) FROM memories", &[]);
    sql.run("SELECT memory_add('since the dump')");
    desk.bash("memory-backup.sh").good();
    let names = desk.backup_names();
    let newest = names.last().expect("a dump");

    let report = drill(&desk).good();
    assert_eq!(report.lines().count(), 1, "{report}");
    let says = format!(" restore-drill: {newest}: {} memories, ", memories + 1);
    assert!(report.contains(&says), "{report}");
    assert!(report.contains(" tables, search answers, "), "{report}");
    assert_eq!(drills_left(&desk), 0);

    // The one that is named.
    let oldest = names.iter().find(|name| name.ends_with(".dump"));
    let oldest = oldest.expect("a dump");
    assert_ne!(oldest, newest);
    let report = desk
        .bash(&format!("restore-drill.sh \"$BACKUP_DIR/{oldest}\""))
        .good();
    assert!(
        report.contains(&format!("{oldest}: {memories} memories")),
        "{report}"
    );

    // The database itself has not been touched.
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memories", &[]),
        memories + 1
    );
}

/// The worker, who removes and seals in every database, keeps away from the copy, however long the drill takes.
#[test]
fn what_has_expired_since_the_dump_is_in_the_copy() {
    let cluster = Cluster::start(Options {
        preload: true,
        settings: vec![
            "memory_ext.databases = 'none'",
            "memory_ext.naptime = '1s'",
            "memory_ext.seal_interval = '1s'",
        ],
    });
    let (database, desk) = filled(&cluster);
    let mut sql = database.connect();
    let memories: i64 = sql.one("SELECT count(*) FROM memories", &[]);
    desk.bash("memory-backup.sh").good();
    cluster.admin("ALTER SYSTEM SET memory_ext.databases = '*'");
    cluster.reload();
    let over = "SELECT count(*) FROM memories WHERE expires_at <= now()";
    assert_eq!(sql.one::<i64>(over, &[]), 1);
    let worker_came = || sql.one::<i64>(over, &[]) == 0;
    wait_until("the worker comes", worker_came);

    let real = cluster.server.program("pg_restore").display().to_string();
    desk.program(
        "pg_restore",
        &format!("#!/bin/bash\n'{real}' \"$@\" || exit\nif [ \"$1\" = -d ]; then sleep 4; fi\n"),
    );
    let report = drill(&desk).good();
    assert!(
        report.contains(&format!(": {memories} memories, ")),
        "{report}"
    );
    let left = "SELECT count(*) FROM pg_database WHERE datname LIKE 'memory_drill_%'";
    assert_eq!(cluster.connect("postgres").one::<i64>(left, &[]), 0);
}

#[test]
fn no_dump_or_an_old_one_is_a_failure() {
    let (_, desk) = filled(cluster());
    let says = format!("there is no dump of {} in ", desk.database);
    drill(&desk).fails(3, &says);
    desk.bash("restore-drill.sh nowhere.dump")
        .fails(3, "there is no nowhere.dump");

    desk.bash("memory-backup.sh; touch -d '50 hours ago' \"$BACKUP_DIR\"/*.dump")
        .good();
    drill(&desk).fails(3, "is older than 48 hours");
    desk.bash_with("restore-drill.sh", &[("MAX_AGE_HOURS", "51")])
        .good();
    desk.bash_with("restore-drill.sh", &[("MAX_AGE_HOURS", "soon")])
        .fails(2, "MAX_AGE_HOURS is 'soon'");
    desk.bash_with(
        "restore-drill.sh",
        &[("MAX_AGE_HOURS", "51"), ("PGPORT", "1")],
    )
    .fails(2, "the server does not answer");
    desk.bash("unset PGDATABASE; restore-drill.sh")
        .fails(2, "PGDATABASE does not say whose dump");
}

#[test]
fn a_dump_that_cannot_be_restored_is_a_failure_and_leaves_no_database() {
    let (_, desk) = with_backup();
    desk.bash("truncate -s -3000 \"$BACKUP_DIR\"/*.dump").good();
    drill(&desk).fails(4, "cannot be restored");
    desk.bash("printf garbage > garbage.dump").good();
    desk.bash("restore-drill.sh garbage.dump")
        .fails(4, "cannot be restored");
    let made = std::fs::read_to_string(desk.directory().join("drills")).expect("drills");
    assert_eq!(made.lines().count(), 2, "{made}");
    assert_eq!(drills_left(&desk), 0);
}

#[test]
fn a_store_that_is_not_whole_is_a_failure() {
    let (_, desk) = with_backup();
    let real = desk
        .cluster
        .server
        .program("pg_restore")
        .display()
        .to_string();
    for (damage, says) in [
        (
            "DELETE FROM memories WHERE namespace = ''notes''",
            "memories has ",
        ),
        (
            "DELETE FROM vote_history",
            "vote_history has 0 rows, the dump 2",
        ),
        ("DROP TABLE memory_usage", "memory_usage cannot be read"),
        // Rows are all there, but a search does not find them.
        (
            "ALTER TABLE memories DISABLE TRIGGER USER; UPDATE memories SET is_deprecated = true WHERE embedding IS NOT NULL AND created_at < now() - interval ''1 year''; UPDATE memory_models SET active = false",
            "the restored store is not searched",
        ),
        (
            "DROP EXTENSION memory_ext CASCADE",
            "the extension memory_ext is not in ",
        ),
        (
            "ALTER TABLE memories ADD CONSTRAINT full_up CHECK (content NOT LIKE ''restore%'')",
            "the restored store takes no memory",
        ),
    ] {
        desk.program(
            "pg_restore",
            &format!("#!/bin/bash\n'{real}' \"$@\" || exit\nif [ \"$1\" = -d ]; then psql -Xq -d \"$2\" -c \"DO \\$\\$BEGIN EXECUTE '{damage}'; END\\$\\$\"; fi\n"),
        );
        drill(&desk).fails(5, says);
    }
    assert_eq!(drills_left(&desk), 0);
}

#[test]
fn stores_of_every_kind_are_checked() {
    // Empty; in a schema whose name needs quotes; with vectors from outside.
    for (make, says) in [
        (
            "CREATE EXTENSION memory_ext CASCADE; SELECT memory_init()",
            ": 0 memories, ",
        ),
        (
            "CREATE SCHEMA \"Mem ory\"; CREATE SCHEMA v; CREATE EXTENSION vector SCHEMA v; CREATE EXTENSION memory_ext SCHEMA \"Mem ory\"; SELECT \"Mem ory\".memory_add('quoted')",
            ": 1 memories, ",
        ),
        (
            "CREATE EXTENSION memory_ext CASCADE; SELECT memory_init(3, 'external'); SELECT memory_add('brought', embedding => '[1,2,3]', agent_id => 'a', project_id => 'p'); SELECT memory_add('none')",
            ": 2 memories, ",
        ),
    ] {
        let database = cluster().empty_database();
        database.connect().run(make);
        let desk = Desk::at(&database);
        desk.bash("memory-backup.sh").good();
        let report = drill(&desk).good();
        assert!(report.contains(says), "{report}");
        let found = if says.contains(" 0 ") {
            "nothing to search for"
        } else {
            "search answers"
        };
        assert!(report.contains(found), "{report}");
    }
    let database = cluster().empty_database();
    database.connect().run("CREATE TABLE of_my_own (x int)");
    let desk = Desk::at(&database);
    desk.bash("pg_dump -F c -f no_store.dump").good();
    desk.bash("restore-drill.sh no_store.dump")
        .fails(5, "the extension memory_ext is not in");
}
