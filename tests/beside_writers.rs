//! memory_restore() on a store that is in use: it and those who write wait for each other, and nobody meets a deadlock.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use postgres::Client;
use support::backup::{backup, database, name, restore};
use support::{Raised, Sql, wait_until};

/// One kind of work over and over.
const TURNS: [&str; 8] = [
    "SELECT memory_vote('m' || $1 % 300, 'helpful', 'voter ' || $1)",
    "SELECT memory_update('m' || $1 % 300, importance => random()::real)",
    "SELECT memory_update('m' || $1 % 300, 'changed ' || $1)",
    "SELECT memory_add('added ' || $1 || ' ' || pg_backend_pid())",
    "SELECT memory_kv_set('key ' || $1 % 5, 'value ' || $1)",
    "DO $$ DECLARE run text = 'run $1 ' || pg_backend_pid();
     BEGIN PERFORM memory_run_start(run, agent_id => 'a', memory_ids => ARRAY['m' || $1 % 300]); PERFORM memory_run_complete(run, true, agent_id => 'a'); END $$",
    "SELECT * FROM memory_search('note ' || $1)",
    "UPDATE memories SET importance = random() WHERE id = 'm' || $1 % 300",
];

#[test]
fn a_restore_and_those_who_write_wait_for_each_other() {
    let database = database();
    let mut sql = database.connect();
    sql.run(
        "SELECT memory_add_many((SELECT jsonb_agg(jsonb_build_object('id', 'm' || i, 'content', 'note ' || i)) FROM generate_series(0, 299) i));
         SELECT memory_vote('m' || i, 'helpful', 'somebody') FROM generate_series(0, 299) i",
    );
    let name = name();
    backup(&mut sql, &name, "");
    let is_over = AtomicBool::new(false);
    let done = TURNS.map(|_| AtomicUsize::new(0));

    std::thread::scope(|scope| {
        let raised = Raised(&is_over);
        for (turn, done) in TURNS.iter().zip(&done) {
            let (database, is_over) = (&database, &is_over);
            scope.spawn(move || {
                let mut sql = database.connect();
                while !is_over.load(Ordering::SeqCst) {
                    let number = done.fetch_add(1, Ordering::SeqCst) as i32;
                    work(&mut sql, turn, number);
                }
            });
        }
        for round in 1..=8 {
            let before = done.each_ref().map(|done| done.load(Ordering::SeqCst));
            wait_until("everybody is at work", || {
                let at_work = |(done, before): (&AtomicUsize, &usize)| {
                    done.load(Ordering::SeqCst) > before + 3
                };
                done.iter().zip(&before).all(at_work)
            });
            let report = restore(
                &mut sql,
                &name,
                if round % 2 == 0 {
                    ", clean => true"
                } else {
                    ""
                },
            );
            assert_eq!(report["tables"]["memories"]["rows"], 300, "{report}");
        }
        drop(raised);
    });

    let wrong: Vec<String> = sql.column(
        "SELECT check_name FROM memory_check_integrity() WHERE status <> 'ok'",
        &[],
    );
    assert_eq!(wrong, [""; 0]);
}

fn work(sql: &mut Client, turn: &str, number: i32) {
    if let Err(error) = sql.query(&turn.replace("$1", &number.to_string()), &[]) {
        panic!("{turn} {number}: {error:?}");
    }
}
