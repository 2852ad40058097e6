//! ALTER EXTENSION memory_ext UPDATE as other sessions meet it: at work, idle, in a transaction, on a standby.

mod support;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use postgres::Client;
use support::catalog::{assert_same, members, store_objects};
use support::release::{
    ALL_PATHS, NEW, OLD, fill, found, old_database, update, use_functions_of_1_0, versions,
};
use support::{
    Cluster, Database, Options, Raised, Refusal, Rows, Sql, ace, cluster, role, together,
    wait_until,
};

/// A filled store of 1.0.0, and its owner's connection.
fn filled() -> (Database<'static>, Client) {
    let database = old_database(cluster());
    let mut superuser = database.connect();
    fill(&mut superuser, &role(), &role());
    (database, superuser)
}

/// What a session may be told while the tables change: nothing but to do the same again. Least of all that there was a deadlock.
const RETRYABLE: &str = "40001";

/// Does it until it is done, as a client does that retries what can be retried.
fn retrying<R>(what: &str, mut work: impl FnMut() -> Result<R, postgres::Error>) -> R {
    for _ in 0..1000 {
        match work() {
            Ok(done) => return done,
            Err(error) => drop(Refusal::of(what, &error).is(RETRYABLE)),
        }
    }
    panic!("{what}: refused a thousand times");
}

/// One kind of work over and over; `number` is that of the turn.
type Turn = fn(&mut Client, worker: usize, number: usize) -> Result<(), postgres::Error>;

const TURNS: &[Turn] = &[
    |sql, worker, number| {
        let (content, id) = (format!("added {worker} {number}"), id(worker, number));
        sql.query("SELECT memory_add($1, id => $2)", &[&content, &id])
            .map(drop)
    },
    |sql, worker, number| {
        let (first, second) = (id(worker, number), format!("{}-b", id(worker, number)));
        sql.query("SELECT * FROM memory_add_many(jsonb_build_array(jsonb_build_object('content', $1::text || ' one', 'id', $1::text), jsonb_build_object('content', $2::text || ' two', 'id', $2::text)))", &[&first, &second])
            .map(drop)
    },
    |sql, worker, number| {
        let id = id(worker, number);
        sql.query(
            "INSERT INTO memories (id, content) VALUES ($1::text, 'by hand ' || $1::text)",
            &[&id],
        )
        .map(drop)
    },
    |sql, _, number| {
        let content = format!("the counted one, {number}");
        sql.query("SELECT memory_update('counted', $1)", &[&content])
            .map(drop)
    },
    |sql, _, number| {
        let value = number.to_string();
        sql.query("SELECT memory_kv_set('number', $1)", &[&value])
            .map(drop)
    },
    |sql, _, _| {
        let rows = sql.query(
            "SELECT id FROM memory_search('rivers and harbours', 10)",
            &[],
        )?;
        assert_eq!(rows.len(), 10);
        Ok(())
    },
    |sql, _, _| {
        let rows = sql.query("SELECT content FROM memory_history('fact')", &[])?;
        assert_eq!(rows.len(), 3);
        let rows = sql.query("SELECT * FROM memory_list(page_size => 20)", &[])?;
        assert_eq!(rows.len(), 20);
        Ok(())
    },
];

fn id(worker: usize, number: usize) -> String {
    format!("w{worker}-{number}")
}

#[test]
fn readers_and_writers_go_on_while_the_update_runs() {
    let (database, mut sql) = filled();
    sql.run("SELECT memory_add('the counted one', id => 'counted')");
    let updated = AtomicBool::new(false);
    let turns: Vec<AtomicUsize> = TURNS.iter().map(|_| AtomicUsize::new(0)).collect();

    std::thread::scope(|scope| {
        let raised = Raised(&updated);
        for (worker, turn) in TURNS.iter().enumerate() {
            let (database, updated, done) = (&database, &updated, &turns[worker]);
            scope.spawn(move || {
                let mut sql = database.connect();
                let mut left = 20;
                while left > 0 {
                    if updated.load(Ordering::SeqCst) {
                        left -= 1;
                    }
                    let number = done.load(Ordering::SeqCst) + 1;
                    // A session that is new looks at more tables, in another order.
                    if worker % 2 == 1 {
                        sql = database.connect();
                    }
                    retrying(&format!("turn {number} of worker {worker}"), || {
                        turn(&mut sql, worker, number)
                    });
                    done.store(number, Ordering::SeqCst);
                }
                sql.run("SELECT memory_vote('fact', 'helpful', voter_agent_id => 'a worker', task_id => pg_backend_pid()::text)");
            });
        }
        wait_until("every worker is at work", || {
            turns.iter().all(|done| done.load(Ordering::SeqCst) >= 5)
        });
        database.connect().run("ALTER EXTENSION memory_ext UPDATE");
        // As integrity checks advise, on a store that needs nothing.
        for _ in 0..5 {
            database.connect().run("SELECT memory_migrate()");
        }
        drop(raised);
    });

    assert_eq!(versions(&mut sql).0, NEW);
    let turns: Vec<usize> = turns
        .iter()
        .map(|done| done.load(Ordering::SeqCst))
        .collect();
    for (worker, suffixes) in [(0, &[""][..]), (1, &["", "-b"][..]), (2, &[""][..])] {
        let acknowledged: Vec<String> = (1..=turns[worker])
            .flat_map(|number| {
                suffixes
                    .iter()
                    .map(move |suffix| id(worker, number) + suffix)
            })
            .collect();
        let missing: Vec<String> = sql.column(
            "SELECT i FROM unnest($1::text[]) i WHERE NOT EXISTS (SELECT FROM memory_get(i))",
            &[&acknowledged],
        );
        assert_eq!(missing, [""; 0], "worker {worker}");
    }
    assert_eq!(
        sql.column::<i32>("SELECT version FROM memory_get('counted')", &[]),
        [1 + turns[3] as i32],
        "every update counted once"
    );
    assert_eq!(
        sql.one::<i64>("SELECT count(*) FROM memory_history('counted')", &[]),
        1 + turns[3] as i64
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('number')", &[]),
        turns[4].to_string()
    );
    assert_eq!(
        sql.one::<i32>("SELECT bullet_helpful FROM memories WHERE id = 'fact'", &[]),
        TURNS.len() as i32,
        "every session that was at work knows the new functions"
    );
    equal_to_a_fresh_store(&mut sql);
    ace::exercise(&mut sql);
}

fn equal_to_a_fresh_store(sql: &mut Client) {
    let mut fresh = cluster().database().connect();
    fresh.run("SELECT memory_init()");
    assert_eq!(versions(sql), versions(&mut fresh));
    assert_same("the extension", &members(&mut fresh), &members(sql));
    assert_same("the store", &store_objects(&mut fresh), &store_objects(sql));
}

#[test]
fn sessions_that_were_open_before_the_update_go_on() {
    let (database, mut superuser) = filled();
    let bound_role = role();
    superuser.run(&format!(
        "SELECT memory_grant('{bound_role}', '*', 'write', 'a')"
    ));
    let (mut one, mut bound) = (database.connect(), database.connect_as(&bound_role));
    let search = one
        .prepare("SELECT id FROM memory_search($1, 7)")
        .expect("prepared");
    let list = one
        .prepare("SELECT * FROM memory_list(page_size => $1)")
        .expect("prepared");
    let add = one
        .prepare("SELECT memory_add($1, id => $2)")
        .expect("prepared");
    let answers = |one: &mut Client| -> (Vec<String>, usize) {
        let ids = one.query(&search, &[&"rivers"]).expect("a search");
        let listed = one.query(&list, &[&1000i32]).expect("a list");
        (ids.iter().map(|row| row.get(0)).collect(), listed.len())
    };
    // More than five times: from then on a plan may be kept.
    for number in 0..7 {
        answers(&mut one);
        one.query(
            &add,
            &[
                &format!("before the update {number}"),
                &format!("before-{number}"),
            ],
        )
        .expect("added");
        bound.run(&format!(
            "SELECT memory_add('of the bound role {number}'); SELECT * FROM memory_search('rivers')"
        ));
    }
    let before = answers(&mut one);

    update(&mut superuser);

    assert_eq!(answers(&mut one), before);
    one.query(&add, &[&"after the update", &"after"])
        .expect("added");
    one.run("SELECT memory_vote('after', 'helpful', voter_agent_id => 'x'); SELECT memory_deprecate('before-0')");
    bound.run("SELECT memory_vote('before-1', 'harmful')");
    assert_eq!(answers(&mut one).1, before.1, "one more and one less");
    assert_eq!(
        bound.column::<String>("SELECT id FROM memory_get('before-0')", &[]),
        [""; 0],
        "what one session deprecates no other sees"
    );
}

#[test]
fn an_update_that_is_rolled_back_leaves_what_there_was() {
    let (database, mut superuser) = filled();
    let (objects, owned) = (store_objects(&mut superuser), members(&mut superuser));
    // Not by HNSW, whose graph a row that was rolled back has passed through.
    const EXACT: &[&str] = &["auto", "exact", "sketch"];
    let (before, seen) = (Rows::of(&mut superuser), found(&mut superuser, EXACT));
    let mut other = database.connect();
    other.run("SELECT memory_count()");

    superuser.run(
        "BEGIN; ALTER EXTENSION memory_ext UPDATE; SELECT memory_vote('fact', 'helpful', voter_agent_id => 'a');
         SELECT memory_add('to be rolled back'); SELECT memory_deprecate('strategy-1'); SAVEPOINT s; SELECT memory_session_start('s'); ROLLBACK TO s; ROLLBACK",
    );

    for sql in [&mut superuser, &mut other] {
        assert_eq!(versions(sql), (OLD.to_owned(), OLD.to_owned()));
        assert_eq!(found(sql, EXACT), seen);
        sql.refused(ace::CALLS[0], &[]).is("42883");
    }
    assert_same("the store", &objects, &store_objects(&mut superuser));
    assert_same("the extension", &owned, &members(&mut superuser));
    before.assert_kept(&mut superuser);

    update(&mut superuser);
    use_functions_of_1_0(&mut superuser);
    ace::exercise(&mut other);
}

#[test]
fn the_update_waits_for_an_open_transaction_and_loses_nothing_of_it() {
    let (database, mut sql) = filled();
    let mut superuser = database.connect();
    // Should this test fail half way, the thread ends too.
    superuser.run("SET lock_timeout = '120s'");
    let mut watcher = database.connect();

    sql.run("BEGIN; SELECT memory_add('in the open transaction', id => 'open')");
    std::thread::scope(|scope| {
        let updating = scope.spawn(|| update(&mut superuser));
        wait_until("the update waits", || {
            watcher.one("SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'ALTER EXTENSION%' AND wait_event_type = 'Lock')", &[])
        });
        sql.run(
            "SELECT memory_update('open', 'changed in the open transaction'); SELECT memory_kv_set('open', 'yes'); SELECT memory_delete('ttl', project_id => 'other');
             SELECT * FROM memory_search('open transaction'); SELECT * FROM memory_history('open'); SELECT memory_touch('{open}');
             INSERT INTO memories (id, content) VALUES ('open-by-hand', 'by hand in the open transaction'); COMMIT",
        );
        updating.join().expect("the update goes through");
    });

    assert_eq!(
        sql.column::<String>("SELECT content FROM memory_history('open')", &[]),
        ["in the open transaction", "changed in the open transaction"]
    );
    assert_eq!(
        sql.column::<String>(
            "SELECT id FROM memory_search('transaction', 2) ORDER BY id",
            &[]
        ),
        ["open", "open-by-hand"]
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_kv_get('open')", &[]),
        "yes"
    );
    sql.run("SELECT memory_vote('open', 'helpful', voter_agent_id => 'a')");
    equal_to_a_fresh_store(&mut watcher);
}

#[test]
fn a_transaction_with_an_older_snapshot_is_told_to_start_again_at_worst() {
    for level in ["REPEATABLE READ", "SERIALIZABLE"] {
        let (database, mut superuser) = filled();
        let (mut fresh_session, mut used_session) = (database.connect(), database.connect());
        used_session.run("SELECT memory_count(); SELECT * FROM memory_search('rivers')");
        for sql in [&mut fresh_session, &mut used_session] {
            sql.run(&format!(
                "BEGIN ISOLATION LEVEL {level}; SELECT count(*) FROM pg_class"
            ));
        }

        update(&mut superuser);

        for sql in [&mut fresh_session, &mut used_session] {
            for call in [
                "SELECT count(*) FROM memory_search('rivers', 7)",
                "SELECT memory_count()",
                "SELECT memory_kv_get('town')",
                "SELECT memory_add('with an old snapshot')",
                "SELECT memory_update('by-hand', 'with an old snapshot')",
            ] {
                sql.run("SAVEPOINT s");
                if let Err(error) = sql.query(call, &[]) {
                    Refusal::of(&format!("{level}: {call}"), &error).is(RETRYABLE);
                    sql.run("ROLLBACK TO s");
                }
            }
            sql.run("ROLLBACK");
            // What was seen with the old snapshot is not taken for the truth later.
            sql.run("SELECT memory_vote('fact', 'helpful', voter_agent_id => 'a'); SELECT memory_deprecate('by-hand'); SELECT memory_undeprecate('by-hand')");
            assert_eq!(versions(sql).0, NEW);
        }
    }
}

#[test]
fn a_standby_follows_the_update() {
    let primary = Cluster::start(Options::default());
    primary.admin("CREATE ROLE reader; CREATE ROLE bound");
    let database = old_database(&primary);
    let mut superuser = database.connect();
    fill(&mut superuser, "reader", "bound");
    let cluster = primary.standby();
    let mut standby = cluster.connect(&database.name);
    let catch_up = |superuser: &mut Client, standby: &mut Client| {
        let written: String = superuser.one("SELECT pg_current_wal_lsn()::text", &[]);
        wait_until("the standby has caught up", || {
            standby.one(
                "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn",
                &[&written],
            )
        });
    };
    catch_up(&mut superuser, &mut standby);
    let seen = found(&mut standby, ALL_PATHS);

    update(&mut superuser);
    superuser.run("SELECT memory_vote('strategy-1', 'helpful', voter_agent_id => 'a')");
    catch_up(&mut superuser, &mut standby);

    assert_eq!(found(&mut standby, ALL_PATHS), seen);
    assert_eq!(versions(&mut standby), versions(&mut superuser));
    assert_eq!(
        standby.column::<String>("SELECT id FROM memory_playbook()", &[]),
        ["strategy-1", "strategy-2"]
    );
    standby
        .refused(ace::CALLS[0], &[])
        .is("55000")
        .says("standby")
        .hints("primary");
}

#[test]
fn two_updates_at_once_make_one() {
    let (database, mut sql) = filled();
    let rows = Rows::of(&mut sql);

    let outcomes = together(4, |_, start| {
        let mut superuser = database.connect();
        start.wait();
        superuser
            .batch_execute("ALTER EXTENSION memory_ext UPDATE")
            .map_err(|error| Refusal::of("the update", &error))
    });

    assert!(outcomes.iter().any(Result::is_ok), "{outcomes:?}");
    rows.assert_kept(&mut sql);
    equal_to_a_fresh_store(&mut sql);
    ace::exercise(&mut sql);
}
