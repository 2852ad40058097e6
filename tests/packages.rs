//! What `make deb`, `make dist` and `make install DESTDIR=` leave behind: the Debian package in a clean root and under a running server,
//! the sources as PGXN takes them.

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use support::markdown::repository;
use support::{Cluster, Options, Server, Sql, run};

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// What is installed beside the server's own programs.
const PROGRAMS: [&str; 2] = ["memory-audit", "memory-backup"];

fn place(name: &str) -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&place);
    fs::create_dir_all(&place).expect("a directory is made");
    place
}

/// A package of the library that is installed in the server under test, and the major version of that.
fn package(place: &Path) -> (PathBuf, String) {
    let made = run(Command::new(repository().join("scripts/package.sh"))
        .arg("deb")
        .env("PACKAGES", place));
    (PathBuf::from(made.trim()), major())
}

fn major() -> String {
    let server = Server::from_environment();
    let said = run(server.tool("pg_config").arg("--version"));
    said.trim_start_matches("PostgreSQL ")
        .chars()
        .take_while(char::is_ascii_digit)
        .collect()
}

fn field(package: &Path, name: &str) -> String {
    run(Command::new("dpkg-deb").arg("-f").arg(package).arg(name))
        .trim()
        .to_owned()
}

/// The files under a directory, by their paths from there.
fn files(root: &Path) -> Vec<String> {
    let found = run(Command::new("find")
        .arg(root)
        .args(["!", "-type", "d", "-printf", "%P\n"]));
    let mut files: Vec<String> = found.lines().map(str::to_owned).collect();
    files.sort();
    files
}

fn scripts() -> Vec<String> {
    files(&repository().join("sql"))
        .into_iter()
        .filter(|name| name.starts_with("memory_ext--"))
        .collect()
}

/// A package with nothing in it, of which others may depend.
fn empty_package(place: &Path, name: &str, version: &str) -> PathBuf {
    let tree = place.join(format!("tree-{name}-{version}"));
    fs::create_dir_all(tree.join("DEBIAN")).expect("a tree");
    fs::write(
        tree.join("DEBIAN/control"),
        format!("Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: empty\n"),
    )
    .expect("a control file");
    let file = place.join(format!("{name}_{version}.deb"));
    run(Command::new("dpkg-deb")
        .args(["--root-owner-group", "--build"])
        .arg(&tree)
        .arg(&file));
    file
}

fn dpkg(root: &Path) -> Command {
    let mut command = Command::new("dpkg");
    // Without a user's rights over the root's files: they are this user's.
    command
        .args([
            "--force-not-root",
            "--force-script-chrootless",
            "--log=/dev/null",
        ])
        .arg(format!("--root={}", root.display()))
        .env(
            "PATH",
            format!(
                "{}:/usr/sbin:/sbin",
                std::env::var("PATH").unwrap_or_default()
            ),
        );
    command
}

fn clean_root(place: &Path) -> PathBuf {
    let root = place.join("root");
    for directory in ["info", "updates", "triggers"] {
        fs::create_dir_all(root.join("var/lib/dpkg").join(directory)).expect("a directory");
    }
    fs::write(root.join("var/lib/dpkg/status"), "").expect("a status file");
    root
}

#[test]
fn the_debian_package_installs_into_a_clean_root() {
    let place = place("deb");
    let (package, major) = package(&place);
    assert_eq!(
        field(&package, "Package"),
        format!("postgresql-{major}-memory-ext")
    );
    assert_eq!(field(&package, "Version"), format!("{VERSION}-1"));
    let depends = field(&package, "Depends");
    for wanted in [
        format!("postgresql-{major}, ").as_str(),
        format!("postgresql-{major}-pgvector (>= 0.8.0)").as_str(),
        "libc6 (>= 2.",
    ] {
        assert!(depends.contains(wanted), "{depends}");
    }

    let root = clean_root(&place);
    let refused = dpkg(&root)
        .arg("-i")
        .arg(&package)
        .output()
        .expect("dpkg runs");
    assert!(!refused.status.success(), "without a server");
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("depends on postgresql-"),
        "{refused:?}"
    );
    let needed = |pgvector: &str| {
        [
            (format!("postgresql-{major}"), "1"),
            (format!("postgresql-{major}-pgvector"), pgvector),
            ("libc6".into(), "2.99"),
            ("libgcc-s1".into(), "1"),
        ]
        .map(|(name, version)| empty_package(&place, &name, version))
    };
    run(dpkg(&root).arg("-i").args(needed("0.7.4-1")));
    let refused = dpkg(&root)
        .arg("-i")
        .arg(&package)
        .output()
        .expect("dpkg runs");
    assert!(!refused.status.success(), "with an old pgvector");
    run(dpkg(&root).arg("-i").args(needed("0.8.0-1")));
    run(dpkg(&root).arg("-i").arg(&package));

    let extension = format!("usr/share/postgresql/{major}/extension");
    let documents = format!("usr/share/doc/postgresql-{major}-memory-ext");
    let mut wanted: Vec<String> = scripts()
        .iter()
        .map(|name| format!("{extension}/{name}"))
        .collect();
    wanted.push(format!("{extension}/memory_ext.control"));
    wanted.push(format!("usr/lib/postgresql/{major}/lib/memory_ext.so"));
    wanted.extend(PROGRAMS.map(|program| format!("usr/lib/postgresql/{major}/bin/{program}")));
    wanted.push(format!("{documents}/copyright"));
    wanted.push(format!("{documents}/changelog.Debian.gz"));
    wanted.sort();
    let installed: Vec<String> = files(&root)
        .into_iter()
        .filter(|file| file.starts_with("usr/"))
        .collect();
    assert_eq!(installed, wanted);
    assert_eq!(
        run(dpkg(&root).args(["--verify", &format!("postgresql-{major}-memory-ext")])),
        ""
    );
    let control = fs::read_to_string(root.join(&extension).join("memory_ext.control"))
        .expect("the control file");
    assert!(
        control.contains(&format!("default_version = '{VERSION}'")),
        "{control}"
    );
    let executable = run(Command::new("find")
        .arg(root.join("usr"))
        .args(["-type", "f", "!", "-perm", "644", "-printf", "%m %f\n"]));
    let mut executable: Vec<&str> = executable.lines().collect();
    executable.sort_unstable();
    assert_eq!(executable, PROGRAMS.map(|program| format!("755 {program}")));
    // A hundred lines of tables per line of code do not go out.
    let of_server = root.join(format!("usr/lib/postgresql/{major}"));
    for (file, largest) in [
        ("lib/memory_ext.so", 20_000_000),
        ("bin/memory-audit", 2_000_000),
        ("bin/memory-backup", 2_000_000),
    ] {
        let file = of_server.join(file);
        let size = fs::metadata(&file).expect("a file").len();
        assert!(size < largest, "{}: {size}", file.display());
        assert!(!run(Command::new("objdump").arg("-h").arg(&file)).contains(".debug_info"));
    }
    for program in PROGRAMS {
        let said = run(Command::new(of_server.join("bin").join(program))
            .arg("--help")
            .env_clear());
        assert!(said.starts_with(&format!("{program}: ")), "{said}");
    }

    run(dpkg(&root).args(["--purge", &format!("postgresql-{major}-memory-ext")]));
    let left = files(&root);
    assert!(
        !left.iter().any(|file| file.starts_with("usr/")),
        "purging leaves {left:?}"
    );

    run(dpkg(&root).arg("-i").arg(&package));
    assert_works(&root, &major);
}

/// A server of another origin, in which there is nothing of this extension but the package's files.
fn assert_works(root: &Path, major: &str) {
    let installed = Server::from_environment();
    let path = |what: &str| PathBuf::from(run(installed.tool("pg_config").arg(what)).trim());
    let Some(tree) = installed.tree() else {
        eprintln!("not tried: this server cannot be moved");
        return;
    };
    let moved = PathBuf::from(
        run(installed
            .command("mktemp")
            .args(["-d", "/tmp/memory_ext_test.XXXXXX"]))
        .trim(),
    );
    let server = moved.join("server");
    run(Command::new("cp").arg("-r").arg(&tree).arg(&server));
    let of_server = |what: &str| server.join(path(what).strip_prefix(&tree).expect("within"));
    let (bin, library, extension) = (
        of_server("--bindir"),
        of_server("--pkglibdir"),
        of_server("--sharedir").join("extension"),
    );
    run(Command::new("sh")
        .args([
            "-ec",
            "rm \"$1\"/memory_ext.so \"$2\"/memory_ext* \"$3\"/memory-*; cp \"$4\"/usr/lib/postgresql/*/lib/* \"$1\"; cp \"$4\"/usr/share/postgresql/*/extension/* \"$2\"; cp \"$4\"/usr/lib/postgresql/*/bin/* \"$3\"; chmod -R a+rX \"$5\"",
            "sh",
        ])
        .args([&library, &extension, &bin])
        .args([root, &moved]));
    let pg_config = bin.join("pg_config");
    let cluster = Cluster::prepare(
        Server::of(pg_config.to_str().expect("ASCII")),
        Options {
            preload: true,
            ..Options::default()
        },
    );
    cluster.control_start();
    assert_eq!(
        cluster
            .connect("postgres")
            .one::<i32>(
                "SELECT current_setting('server_version_num')::int / 10000",
                &[]
            )
            .to_string(),
        major
    );
    let database = cluster.database();
    let mut sql = database.connect();
    sql.run("SELECT memory_add('the ferry leaves at noon', id => 'ferry')");
    assert_eq!(
        sql.column::<String>("SELECT id FROM memory_search('ferry', 1)", &[]),
        ["ferry"]
    );
    assert_eq!(
        sql.one::<String>("SELECT memory_version() ->> 'library'", &[]),
        VERSION
    );
    let mapped: Vec<String> = sql.column(
        "SELECT DISTINCT substring(line FROM '/.*memory_ext.*') FROM regexp_split_to_table(pg_read_file('/proc/self/maps'), E'\\n') AS line WHERE line LIKE '%memory_ext.so'",
        &[],
    );
    assert_eq!(
        mapped,
        [library.join("memory_ext.so").display().to_string()]
    );
    drop(sql);
    drop(cluster);
    run(Command::new("rm").arg("-r").arg(&moved));
}

#[test]
fn the_same_sources_make_the_same_package() {
    let (one, other) = (place("deb-one"), place("deb-other"));
    let control = |place: &Path| {
        let (package, _) = package(place);
        let tree = place.join("tree");
        run(Command::new("dpkg-deb").arg("-R").arg(&package).arg(&tree));
        run(Command::new("sh")
            .args([
                "-ec",
                "cd \"$1\" && find . -type f | sort | xargs sha256sum",
                "sh",
            ])
            .arg(&tree))
    };
    assert_eq!(control(&one), control(&other));
}

#[test]
fn destdir_goes_before_every_path() {
    let destination = place("destdir");
    run(Command::new(repository().join("scripts/install.sh")).env("DESTDIR", &destination));
    let server = Server::from_environment();
    let path = |what: &str| {
        run(server.tool("pg_config").arg(what))
            .trim()
            .trim_start_matches('/')
            .to_owned()
    };
    let mut wanted: Vec<String> = scripts()
        .iter()
        .map(|name| format!("{}/extension/{name}", path("--sharedir")))
        .collect();
    wanted.push(format!(
        "{}/extension/memory_ext.control",
        path("--sharedir")
    ));
    wanted.push(format!("{}/memory_ext.so", path("--pkglibdir")));
    wanted.extend(PROGRAMS.map(|program| format!("{}/{program}", path("--bindir"))));
    wanted.sort();
    assert_eq!(files(&destination), wanted);
}

#[test]
fn the_sources_go_out_with_what_pgxn_reads() {
    let place = place("dist");
    let made = run(Command::new(repository().join("scripts/package.sh"))
        .arg("dist")
        .env("PACKAGES", &place));
    run(Command::new("python3")
        .args(["-m", "zipfile", "-e", made.trim()])
        .arg(&place));
    let tree = place.join(format!("memory_ext-{VERSION}"));
    let committed = run(Command::new("git")
        .args(["ls-tree", "-r", "--name-only", "HEAD"])
        .current_dir(repository()));
    let mut wanted: Vec<&str> = committed.lines().chain(["META.json"]).collect();
    wanted.sort_unstable();
    assert_eq!(files(&tree), wanted);

    let text = fs::read_to_string(tree.join("META.json")).expect("META.json");
    let meta: Value = serde_json::from_str(&text).expect("JSON");
    // What the specification (https://pgxn.org/meta/spec.txt) requires, and its forms.
    let required: BTreeMap<&str, Value> = BTreeMap::from([
        ("name", "memory_ext".into()),
        ("version", VERSION.into()),
        ("license", "postgresql".into()),
        (
            "meta-spec",
            serde_json::json!({"version": "1.0.0", "url": "https://pgxn.org/meta/spec.txt"}),
        ),
        ("release_status", "stable".into()),
    ]);
    for (name, value) in required {
        assert_eq!(meta[name], value, "{name}");
    }
    assert!(
        meta["abstract"]
            .as_str()
            .is_some_and(|text| !text.is_empty())
    );
    let maintainers = meta["maintainer"].as_array().expect("maintainers");
    assert!(
        !maintainers.is_empty() && maintainers.iter().all(Value::is_string),
        "{maintainers:?}"
    );
    let provided = &meta["provides"]["memory_ext"];
    assert_eq!(provided["version"], VERSION);
    for file in ["file", "docfile"] {
        let file = provided[file].as_str().expect("a file");
        assert!(tree.join(file).is_file(), "{file}");
    }
    let semantic = |text: &Value| {
        text.as_str().is_some_and(|text| {
            text.split('.')
                .filter(|part| part.parse::<u32>().is_ok())
                .count()
                == 3
        })
    };
    for requires in ["runtime", "build"] {
        let requires = meta["prereqs"][requires]["requires"]
            .as_object()
            .expect("requirements");
        assert!(
            requires.contains_key("PostgreSQL") && requires.values().all(semantic),
            "{requires:?}"
        );
    }
    assert_eq!(
        meta["prereqs"]["runtime"]["requires"]["PostgreSQL"], "16.0.0",
        "the oldest of Cargo.toml's features"
    );
}
