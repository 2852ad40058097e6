//! docker/scripts/memory-backup.sh: what it makes, what it deletes, and what it leaves alone when something fails.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::desk::{Desk, Outcome};
use super::store::{assert_same_rows, cluster, filled};
use crate::support::{Sql, wait_until};

fn backup(desk: &Desk) -> Outcome {
    desk.bash("memory-backup.sh")
}

/// The names of complete dumps.
fn dumps(desk: &Desk) -> Vec<String> {
    desk.backup_names()
        .into_iter()
        .filter(|name| name.ends_with(".dump"))
        .collect()
}

/// Everything but complete dumps and the lock.
fn remains(desk: &Desk) -> Vec<String> {
    desk.backup_names()
        .into_iter()
        .filter(|name| !name.ends_with(".dump") && !name.ends_with(".lock"))
        .collect()
}

/// Makes files of these names and ages in BACKUP_DIR.
fn aged(desk: &Desk, files: &[(&str, &str)]) {
    for (name, age) in files {
        desk.bash(&format!(
            "echo old > \"$BACKUP_DIR/{name}\"; touch -d '{age} ago' \"$BACKUP_DIR/{name}\""
        ))
        .good();
    }
}

#[test]
fn a_dump_has_its_name_only_when_it_is_complete_and_can_be_restored() {
    let (database, desk) = filled(cluster());
    let report = backup(&desk).good();

    let names = dumps(&desk);
    let [name] = names.as_slice() else {
        panic!("{names:?}")
    };
    let stamp = name
        .strip_prefix(&format!("{}_", desk.database))
        .and_then(|rest| rest.strip_suffix(".dump"))
        .expect("the database and the time");
    assert!(
        stamp.len() == 15
            && stamp
                .bytes()
                .enumerate()
                .all(|(place, byte)| if place == 8 {
                    byte == b'_'
                } else {
                    byte.is_ascii_digit()
                }),
        "{name}"
    );
    assert_eq!(remains(&desk), [""; 0]);
    let file = fs::metadata(desk.backup(name)).expect("the dump");
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert_eq!(report.lines().count(), 1, "{report}");
    assert!(
        report.contains(&format!(
            " memory-backup: {name}, {} bytes, 0 old removed, ",
            file.len()
        )),
        "{report}"
    );

    let restored = cluster().empty_database();
    desk.bash(&format!(
        "pg_restore -d {} --exit-on-error \"$BACKUP_DIR/{name}\"",
        restored.name
    ))
    .good();
    assert_same_rows(name, &restored, &database);

    backup(&desk).good();
    assert_eq!(dumps(&desk).len(), 2, "two in one second have two names");
}

#[test]
fn only_old_dumps_of_the_same_database_are_deleted() {
    let (_, desk) = filled(cluster());
    let database = desk.database.clone();
    let name = |stamp: &str| format!("{database}_{stamp}.dump");
    let (old, young) = (name("20200101_020000"), name("20200102_020000"));
    let others = [
        format!("{database}_more_20200101_020000.dump"),
        format!("other_{database}_20200101_020000.dump"),
        format!("{database}_by_hand.dump"),
        format!("{database}_20200101_020000.dump.keep"),
    ];
    let mut files = vec![(old.as_str(), "32 days"), (young.as_str(), "29 days")];
    files.extend(others.iter().map(|other| (other.as_str(), "400 days")));
    aged(&desk, &files);

    let report = backup(&desk).good();
    assert!(report.contains(", 1 old removed, "), "{report}");
    let left = desk.backup_names();
    assert!(!left.contains(&old), "{left:?}");
    for kept in others.iter().chain([&young]) {
        assert!(left.contains(kept), "{kept} is not in {left:?}");
    }

    desk.bash_with("memory-backup.sh", &[("RETENTION_DAYS", "10")])
        .good();
    assert!(!desk.backup_names().contains(&young));
}

#[test]
fn a_dump_that_fails_leaves_no_file_and_keeps_the_old_ones() {
    let (_, desk) = filled(cluster());
    let old = format!("{}_20200101_020000.dump", desk.database);
    aged(&desk, &[(&old, "400 days")]);
    let none_new = |desk: &Desk, what: &str| {
        assert_eq!(dumps(desk), [old.as_str()], "{what}");
        assert_eq!(remains(desk), [""; 0], "{what}");
    };
    let real = desk.cluster.server.program("pg_dump").display().to_string();

    // It writes half a file and fails.
    desk.program(
        "pg_dump",
        &format!("#!/bin/bash\n'{real}' \"$@\" && truncate -s 5000 \"${{@: -1}}\"\necho 'server closed the connection' >&2\nexit 1\n"),
    );
    let failed = backup(&desk);
    assert!(
        failed.errors.contains("server closed the connection"),
        "{failed:#?}"
    );
    failed.fails(3, "error: pg_dump failed");
    none_new(&desk, "pg_dump fails");

    // It writes half a file and says that all is well.
    desk.program(
        "pg_dump",
        &format!("#!/bin/bash\n'{real}' \"$@\" && truncate -s -3000 \"${{@: -1}}\"\n"),
    );
    backup(&desk).fails(3, "error: the dump cannot be read");
    none_new(&desk, "a truncated dump");

    desk.program("pg_dump", "#!/bin/bash\nprintf garbage > \"${@: -1}\"\n");
    backup(&desk).fails(3, "error: the dump cannot be listed");
    none_new(&desk, "garbage");

    // A full disk.
    desk.program(
        "pg_dump",
        &format!("#!/bin/bash\nulimit -f 8\nexec '{real}' \"$@\"\n"),
    );
    backup(&desk).fails(3, "error: pg_dump failed");
    none_new(&desk, "no space");
}

#[test]
fn a_database_without_memories_is_not_backed_up() {
    let database = cluster().empty_database();
    let desk = Desk::at(&database);
    let says = format!("error: there is no table memories in {}", desk.database);
    backup(&desk).fails(3, &says);
    assert_eq!(dumps(&desk), [""; 0]);

    // One whose schema needs quotes is.
    database.connect().run("CREATE SCHEMA \"Mem ory\"; CREATE EXTENSION memory_ext SCHEMA \"Mem ory\" CASCADE; SELECT \"Mem ory\".memory_init()");
    backup(&desk).good();
    assert_eq!(dumps(&desk).len(), 1);
}

/// What a killed run leaves is removed, and not what the run of a database with a longer name is writing.
#[test]
fn the_files_of_another_database_with_a_longer_name_stay() {
    let (_, desk) = filled(cluster());
    let of_killed = format!(".{}.77.part", desk.database);
    let others = [
        format!(".{}.b.77.part", desk.database),
        format!(".{}.8.77.part", desk.database),
        format!(".{}_b.77.part", desk.database),
    ];
    let mut files = vec![(of_killed.as_str(), "1 day")];
    files.extend(others.iter().map(|other| (other.as_str(), "1 day")));
    aged(&desk, &files);
    backup(&desk).good();
    let mut expected = others.to_vec();
    expected.sort();
    assert_eq!(remains(&desk), expected);

    // The other one itself, while this one runs.
    let longer = format!("{}.b", desk.database);
    cluster().admin(&format!(
        "CREATE DATABASE \"{longer}\" TEMPLATE \"{}\"",
        desk.database
    ));
    let real = desk.cluster.server.program("pg_dump").display().to_string();
    desk.program(
        "pg_dump",
        &format!(
            "#!/bin/bash\n'{real}' \"$@\" || exit\nif [ \"$PGDATABASE\" = '{longer}' ]; then PGDATABASE='{}' memory-backup.sh; fi\n",
            desk.database
        ),
    );
    desk.bash_with("memory-backup.sh", &[("PGDATABASE", &longer)])
        .good();
    let dumped = dumps(&desk);
    let of_longer = dumped
        .iter()
        .filter(|name| name.starts_with(&format!("{longer}_")));
    assert_eq!((dumped.len(), of_longer.count()), (3, 1), "{dumped:?}");
    cluster().admin(&format!("DROP DATABASE \"{longer}\" WITH (FORCE)"));
}

#[test]
fn a_second_run_at_the_same_time_is_refused() {
    let (_, desk) = filled(cluster());
    let real = desk.cluster.server.program("pg_dump").display().to_string();
    desk.program(
        "pg_dump",
        &format!("#!/bin/bash\ntouch \"$HOME/dumping\"\nfor _ in {{1..600}}; do [ ! -e \"$HOME/go\" ] || break; sleep 0.05; done\nexec '{real}' \"$@\"\n"),
    );
    std::thread::scope(|scope| {
        let first = scope.spawn(|| backup(&desk));
        wait_until("the first run dumps", || {
            desk.directory().join("dumping").exists()
        });
        let second = backup(&desk);
        desk.bash("touch go").good();
        second.fails(5, "error: another run dumps ");
        first.join().expect("the first run").good();
    });
    assert_eq!(dumps(&desk).len(), 1);
    backup(&desk).good();
}

#[test]
fn what_a_killed_run_has_left_goes_with_the_next() {
    let (_, desk) = filled(cluster());
    let real = desk.cluster.server.program("pg_dump").display().to_string();
    desk.program(
        "pg_dump",
        "#!/bin/bash\nprintf half > \"${@: -1}\"\nkill -KILL $PPID\n",
    );
    assert_eq!(backup(&desk).code, Some(137));
    let left = remains(&desk);
    assert!(left.len() == 1 && left[0].ends_with(".part"), "{left:?}");
    assert_eq!(dumps(&desk), [""; 0], "it is no dump by its name");

    desk.program("pg_dump", &format!("#!/bin/bash\nexec '{real}' \"$@\"\n"));
    backup(&desk).good();
    assert_eq!(remains(&desk), [""; 0]);
    assert_eq!(dumps(&desk).len(), 1);
}

#[test]
fn a_dump_is_copied_to_s3_when_there_is_a_uri() {
    let (_, desk) = filled(cluster());
    let uri = [("S3_URI", "s3://bucket/memory/")];
    desk.program(
        "aws",
        "#!/bin/bash\nprintf '%s\\n' \"$@\" > \"$HOME/aws.arguments\"\ntest -s \"$4\" && cp \"$4\" \"$HOME/uploaded.dump\"\n",
    );
    let report = desk.bash_with("memory-backup.sh", &uri).good();
    let name = dumps(&desk).pop().expect("a dump");
    assert!(
        report.contains(", copied to s3://bucket/memory, "),
        "{report}"
    );
    let arguments = fs::read_to_string(desk.directory().join("aws.arguments")).expect("a call");
    assert_eq!(
        arguments.lines().collect::<Vec<_>>(),
        [
            "s3",
            "cp",
            "--only-show-errors",
            desk.backup(&name).to_str().expect("a path"),
            &format!("s3://bucket/memory/{name}"),
        ]
    );
    desk.bash(&format!("cmp uploaded.dump \"$BACKUP_DIR/{name}\""))
        .good();

    // A copy that fails: the dump stays, and nothing old is deleted yet.
    let old = format!("{}_20200101_020000.dump", desk.database);
    aged(&desk, &[(&old, "400 days")]);
    desk.program(
        "aws",
        "#!/bin/bash\necho 'Unable to locate credentials' >&2\nexit 255\n",
    );
    desk.bash_with("memory-backup.sh", &uri)
        .fails(4, "not copied to s3://bucket/memory");
    let left = dumps(&desk);
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(left.contains(&old), "{left:?}");
}

#[test]
fn bad_settings_are_refused_before_anything_is_done() {
    let (_, desk) = filled(cluster());
    let old = format!("{}_20200101_020000.dump", desk.database);
    aged(&desk, &[(&old, "400 days")]);
    for (environment, says) in [
        (("RETENTION_DAYS", "a week"), "RETENTION_DAYS is 'a week'"),
        (("RETENTION_DAYS", "-1"), "RETENTION_DAYS is '-1'"),
        (("RETENTION_DAYS", ""), "there is no such failure"),
        (("S3_URI", "https://bucket"), "S3_URI is 'https://bucket'"),
        (("S3_URI", "s3://"), "S3_URI is 's3://'"),
        (("BACKUP_DIR", "/nowhere"), "/nowhere is not a directory"),
        (("PGPORT", "1"), "the database does not answer"),
        (
            ("PGDATABASE", "no_such_one"),
            "the database does not answer",
        ),
    ] {
        let outcome = desk.bash_with("memory-backup.sh", &[environment]);
        if environment == ("RETENTION_DAYS", "") {
            // Nothing is the default, which is 30 days.
            outcome.good();
            aged(&desk, &[(&old, "400 days")]);
            continue;
        }
        let count = dumps(&desk).len();
        outcome.fails(2, says);
        assert_eq!(dumps(&desk).len(), count, "{environment:?}");
    }
    assert!(dumps(&desk).contains(&old));

    // Without the program for the copy.
    let programs = "bash psql pg_dump pg_restore flock date find wc grep rm mv stat sync sleep";
    desk.bash(&format!(
        "mkdir few; for name in {programs}; do ln -s \"$(command -v $name)\" few/; done; cp \"$(command -v memory-backup.sh)\" few/"
    ))
    .good();
    let few = desk.directory().join("few").display().to_string();
    let run = format!("PATH={few} memory-backup.sh");
    let before = dumps(&desk).len();
    desk.bash_with(&run, &[("S3_URI", "s3://bucket")])
        .fails(2, "aws is not installed");
    assert_eq!(dumps(&desk).len(), before);
    desk.bash(&run).good();

    // A name that would be another path.
    cluster().admin("CREATE DATABASE \"../odd name\"");
    desk.bash_with("memory-backup.sh", &[("PGDATABASE", "../odd name")])
        .fails(2, "has a name that is not fit for a file");
    assert!(cluster().connect("postgres").one::<bool>(
        "SELECT EXISTS (SELECT FROM pg_database WHERE datname = '../odd name')",
        &[]
    ));
}
