//! The clock of the server jumps; durations and rates do not.

mod support;

use std::fs;
use std::process::Command;
use std::time::Duration;

use postgres::Client;
use support::exposition::Exposition;
use support::{Cluster, Options, Server, Sql, wait_until};

/// Stands in for libc's gettimeofday, by which PostgreSQL tells the time: as many seconds off as a file says.
const CLOCK: &str = r#"
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
    struct timespec now;
    long off = 0;
    const char *name = getenv("CLOCK_OFF");
    FILE *file = name ? fopen(name, "r") : NULL;
    if (file) {
        if (fscanf(file, "%ld", &off) != 1) off = 0;
        fclose(file);
    }
    clock_gettime(CLOCK_REALTIME, &now);
    tv->tv_sec = now.tv_sec + off;
    tv->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"#;

/// A preloaded server whose clock a test sets.
struct Jumping {
    cluster: Cluster,
    file: String,
}

impl Jumping {
    fn start() -> Self {
        let options = Options {
            preload: true,
            settings: vec!["memory_ext.naptime = '1s'"],
        };
        let cluster = Cluster::prepare(Server::from_environment(), options);
        let path = |name: &str| cluster.directory().join(name).display().to_string();
        let (source, library, file) = (path("clock.c"), path("clock.so"), path("clock_off"));
        fs::write(&source, CLOCK).expect("the source is written");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o", &library, &source])
            .status()
            .expect("a C compiler, which building the extension needs too");
        assert!(built.success());
        fs::write(&file, "0").expect("the file is written");
        cluster.start_with(&[("LD_PRELOAD", &library), ("CLOCK_OFF", &file)]);
        Jumping { cluster, file }
    }

    fn set(&self, seconds: i64) {
        // In one piece: the server reads it all the time.
        let new = format!("{}.new", self.file);
        fs::write(&new, seconds.to_string()).expect("the file is written");
        fs::rename(&new, &self.file).expect("the file is replaced");
    }
}

fn scrape(sql: &mut Client) -> Exposition {
    let text: String = sql.one("SELECT memory_metrics()", &[]);
    Exposition::read(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn durations_and_the_workers_age_are_of_a_clock_that_does_not_jump() {
    const DAY: i64 = 86_400;
    let server = Jumping::start();
    let database = server.cluster.database();
    let (mut sql, mut holder) = (database.connect(), database.connect());
    sql.run(
        "SELECT memory_init();
         CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock_shared(7); RETURN NEW; END $$;
         CREATE TRIGGER wait BEFORE INSERT ON memories FOR EACH ROW EXECUTE FUNCTION wait()",
    );
    let real: f64 = sql.one("SELECT extract(epoch FROM clock_timestamp())::float8", &[]);
    let mut slept = Duration::ZERO;
    for jump in [-20 * DAY, 30 * DAY, 0] {
        holder.run("SELECT pg_advisory_lock(7)");
        std::thread::scope(|scope| {
            let mut client = database.connect();
            let add = scope.spawn(move || client.run(&format!("SELECT memory_add('jump {jump}')")));
            let waiting =
                "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)";
            wait_until("the add waits", || sql.one(waiting, &[]));
            server.set(jump);
            const NAP: Duration = Duration::from_millis(300);
            std::thread::sleep(NAP);
            slept += NAP;
            holder.run("SELECT pg_advisory_unlock(7)");
            add.join().expect("added");
        });
        let now: f64 = sql.one("SELECT extract(epoch FROM clock_timestamp())::float8", &[]);
        assert!(
            (now - real - jump as f64).abs() < 60.0,
            "the clock has jumped"
        );

        let found = scrape(&mut sql);
        let sum = found
            .value(
                "memory_operation_duration_seconds_sum",
                &[("operation", "add")],
            )
            .expect("a sum");
        assert!(sum >= slept.as_secs_f64() && sum < 60.0, "{sum}");
        assert_eq!(
            found.value(
                "memory_operation_duration_seconds_bucket",
                &[("operation", "add"), ("le", "30")]
            ),
            found.value(
                "memory_operation_duration_seconds_count",
                &[("operation", "add")]
            )
        );
        let health: serde_json::Value = sql.one("SELECT memory_health()", &[]);
        let issues = health["issues"].to_string();
        assert!(!issues.contains("worker"), "{health}");
    }

    // The rate of a long call, and how long it has been going on.
    let mut exporter = database.connect();
    exporter.run("BEGIN; DECLARE c CURSOR FOR SELECT memory_export(); FETCH 2 FROM c");
    for jump in [40 * DAY, -40 * DAY] {
        server.set(jump);
        let row = sql
            .query_one(
                "SELECT rate, extract(epoch FROM clock_timestamp() - started_at)::float8 FROM memory_progress() WHERE operation = 'export'",
                &[],
            )
            .expect("one export");
        let (rate, age): (f64, f64) = (row.get(0), row.get(1));
        assert!(rate > 0.01 && (0.0..60.0).contains(&age), "{rate} {age}");
    }
}
