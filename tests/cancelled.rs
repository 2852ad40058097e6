//! Long calls that are cancelled in their middle end with 57014, and with nothing else: the session goes on, nothing is lost,
//! and no operation takes it for its own failure.

mod support;

use postgres::Client;
use support::backup::{backup, name, vault};
use support::integrity::{behind_the_back, fill};
use support::{Database, Sql, store_hash, wait_until};

/// A store in which everything has something to do.
fn untidy() -> Database<'static> {
    let database = vault().database();
    let mut sql = database.connect();
    fill(&mut sql);
    sql.run("SELECT memory_audit_seal()");
    let statements = behind_the_back(
        &[],
        "UPDATE memories SET embedded_hash = sha256('x') WHERE id IN ('n1', 'n2');
         INSERT INTO memory_usage (memory_id, project_id, access_count, last_accessed_at) VALUES ('nobody', 'default', 1, now())",
    );
    sql.run(&format!("BEGIN; {statements} COMMIT"));
    database
}

/// What is called, and what another session holds meanwhile that the call needs in its middle.
fn calls(made: &str) -> Vec<(String, &'static str)> {
    let exclusive = "LOCK TABLE vote_changes IN ACCESS EXCLUSIVE MODE";
    let row = "UPDATE memories SET bullet_helpful = bullet_helpful WHERE id = 'n1'";
    let history = "LOCK TABLE memory_history IN ACCESS EXCLUSIVE MODE";
    [
        // In the checks of an operation, each of which is an attempt of its own.
        ("memory_maintenance()", exclusive),
        ("memory_maintenance('{reembed}')", row),
        (
            "memory_maintenance('{cleanup_orphans}')",
            "LOCK TABLE memory_usage IN EXCLUSIVE MODE",
        ),
        (
            "memory_maintenance('{rebuild_index}')",
            "LOCK TABLE memories IN ROW EXCLUSIVE MODE",
        ),
        (
            "memory_maintenance('{analyze}')",
            "LOCK TABLE memories IN SHARE UPDATE EXCLUSIVE MODE",
        ),
        ("memory_check_integrity()", exclusive),
        ("memory_reembed()", row),
        ("memory_reembed(only_stale => true, batch => 5)", row),
        (
            "memory_rebuild_index()",
            "LOCK TABLE memories IN ROW EXCLUSIVE MODE",
        ),
        ("memory_rebuild_index(reembed => true)", row),
        (
            "memory_cleanup_orphans(dry_run => false)",
            "LOCK TABLE memory_usage IN EXCLUSIVE MODE",
        ),
        ("memory_backup('MADE_again')", exclusive),
        ("memory_backup_stream()", exclusive),
        ("memory_restore('MADE')", row),
        ("memory_audit_verify()", history),
        ("memory_audit_export()", history),
        ("memory_audit_seal()", history),
    ]
    .map(|(call, lock)| (call.replace("MADE", made), lock))
    .to_vec()
}

fn waits(sql: &mut Client, process: i32) -> bool {
    sql.one(
        "SELECT wait_event_type IS NOT DISTINCT FROM 'Lock' FROM pg_stat_activity WHERE pid = $1",
        &[&process],
    )
}

/// The session is as good as new.
fn goes_on(session: &mut Client) {
    session.run("SELECT id FROM memory_search('note', agent_id => '*')");
    session.run("BEGIN; SELECT memory_add('another', id => 'another'); SAVEPOINT s; SELECT memory_update('another', 'changed'); ROLLBACK TO s; ROLLBACK");
}

#[test]
fn a_call_that_is_cancelled_in_its_middle_ends_as_cancelled() {
    let database = untidy();
    let mut sql = database.connect();
    let made = name();
    backup(&mut sql, &made, "");
    for (call, lock) in calls(&made) {
        let before = store_hash(&mut sql);
        let statement = format!("SELECT * FROM {call}");
        let mut holder = database.connect();
        holder.run(&format!("BEGIN; {lock}"));
        let mut session = database.connect();
        let process: i32 = session.one("SELECT pg_backend_pid()", &[]);

        // By somebody else.
        let refusal = std::thread::scope(|scope| {
            let cancelled = scope.spawn(|| session.refused(&statement, &[]));
            wait_until(&format!("{call} waits"), || {
                waits(&mut sql, process) || cancelled.is_finished()
            });
            sql.run(&format!("SELECT pg_cancel_backend({process})"));
            cancelled.join().expect("the call ends")
        });
        assert_eq!(refusal.sqlstate, "57014", "{refusal:?}");
        // By the clock, in a transaction that goes on.
        session.run("BEGIN; SAVEPOINT s; SET LOCAL statement_timeout = '150ms'");
        let timed_out = session.refused(&statement, &[]);
        assert_eq!(timed_out.sqlstate, "57014", "{timed_out:?}");
        session.run("ROLLBACK TO s; SELECT 1; ROLLBACK");

        holder.run("ROLLBACK");
        assert_eq!(store_hash(&mut sql), before, "{call}");
        goes_on(&mut session);
        // Now that nobody is in the way it does its work, in the same session.
        session.run(&format!("BEGIN; {statement}; ROLLBACK"));
    }
}

/// What reads files, or sends much, waits for no lock.
#[test]
fn verifying_and_streaming_a_large_backup_can_be_cancelled() {
    let database = vault().database();
    let mut sql = database.connect();
    sql.run(
        "SELECT memory_init(dimensions => 3, embedder => 'external');
         INSERT INTO memories (content) SELECT n || repeat(' word', 250) FROM generate_series(1, 60000) n",
    );
    let name = name();
    backup(&mut sql, &name, "");
    let before = store_hash(&mut sql);
    for call in [
        format!("memory_backup_verify('{name}')"),
        "memory_backup_stream()".to_owned(),
        "memory_export()".to_owned(),
        "memory_check_integrity()".to_owned(),
    ] {
        for timeout in ["2ms", "15ms", "30ms"] {
            sql.run(&format!("SET statement_timeout = '{timeout}'"));
            sql.refused(&format!("SELECT count(*) FROM {call}"), &[])
                .is("57014");
            sql.run("RESET statement_timeout");
            assert_eq!(sql.one::<i64>("SELECT memory_count()", &[]), 60_000);
        }
    }
    assert_eq!(store_hash(&mut sql), before);
    sql.run(&format!("SELECT memory_backup_verify('{name}')"));
}
