//! The steps of docker/Dockerfile, as far as they go without a container engine: what is built is put into a copy of the server, which is
//! then tried. A stand-in notes what apt-get is asked for; scripts/image-test.sh runs the same steps with the real one, in a plain Debian.

mod support;

mod deploy {
    pub mod programs;
}

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use deploy::programs::{directory, docker, output, read};
use support::{Cluster, Options, Server, run};

fn major() -> String {
    let said = run(Server::from_environment()
        .tool("pg_config")
        .arg("--version"));
    let version = said.trim_start_matches("PostgreSQL ");
    version.chars().take_while(char::is_ascii_digit).collect()
}

fn path_of(what: &str) -> PathBuf {
    PathBuf::from(run(Server::from_environment().tool("pg_config").arg(what)).trim())
}

/// A step in a root of its own, with a stand-in for apt-get.
struct Root {
    place: PathBuf,
}

impl Root {
    fn new(name: &str) -> Self {
        let place = directory(name);
        for part in ["out", "root", "bin"] {
            fs::create_dir(place.join(part)).expect("a directory is made");
        }
        let root = Root { place };
        root.stand_in("exit 0");
        root
    }

    fn stand_in(&self, then: &str) {
        let program = self.place.join("bin/apt-get");
        fs::write(
            &program,
            format!(
                "#!/bin/sh\necho \"$*\" >> '{}'\n{then}\n",
                self.asked_file().display()
            ),
        )
        .expect("a stand-in");
        run(Command::new("chmod").arg("755").arg(&program));
    }

    fn asked_file(&self) -> PathBuf {
        self.place.join("asked")
    }

    fn asked(&self) -> String {
        read(self.asked_file())
    }

    fn step(&self, name: &str, variables: &[(&str, &str)]) -> (bool, String) {
        let path = std::env::var("PATH").unwrap_or_default();
        output(
            Command::new(docker("build-steps.sh"))
                .arg(name)
                .env(
                    "PATH",
                    format!("{}:{path}", self.place.join("bin").display()),
                )
                .env("OUT", self.place.join("out"))
                .env("ROOT", self.place.join("root"))
                .env("PG_MAJOR", major())
                .envs(variables.iter().copied()),
        )
    }
}

fn files(directory: &Path) -> Vec<String> {
    let found = run(Command::new("find")
        .arg(directory)
        .args(["!", "-type", "d", "-printf", "/%P\n"]));
    let mut files: Vec<String> = found.lines().map(str::to_owned).collect();
    files.sort();
    files
}

#[test]
fn compiling_needs_these_packages() {
    let root = Root::new("image-packages");
    // A server with its headers, and one that has none.
    for (pg_config, more) in [
        (path_of("--bindir").join("pg_config"), String::new()),
        (
            PathBuf::from("/nonexistent/pg_config"),
            format!(" postgresql-server-dev-{}", major()),
        ),
    ] {
        let (good, said) = root.step(
            "packages",
            &[("PG_CONFIG", pg_config.to_str().expect("ASCII"))],
        );
        assert!(good, "{said}");
        assert!(
            root.asked().ends_with(&format!(
                "update -qq\ninstall -y -qq --no-install-recommends gcc libc6-dev libclang-dev make binutils{more}\n"
            )),
            "{}",
            root.asked()
        );
    }
    root.stand_in("exit 100");
    assert!(!root.step("packages", &[]).0, "what cannot be had");
}

#[test]
fn what_is_built_works_in_another_root() {
    let root = Root::new("image");
    let (good, said) = root.step("build", &[]);
    assert!(good, "{said}");

    let out = root.place.join("out");
    let (bin, library, extension) = (
        path_of("--bindir"),
        path_of("--pkglibdir"),
        path_of("--sharedir").join("extension"),
    );
    let built = files(&out);
    let at = |directory: &Path| {
        let directory = format!("{}/", directory.display());
        let mut names: Vec<&str> = built
            .iter()
            .filter_map(|file| file.strip_prefix(&directory))
            .collect();
        names.sort_unstable();
        names
    };
    assert_eq!(at(&bin), ["memory-audit", "memory-backup"]);
    assert_eq!(at(&library), ["memory_ext.so"]);
    let shared = at(&extension);
    assert!(shared.contains(&"memory_ext.control"), "{shared:?}");
    assert_eq!(built.len(), shared.len() + 3, "{built:?}");
    for file in [
        library.join("memory_ext.so"),
        bin.join("memory-audit"),
        bin.join("memory-backup"),
    ] {
        let file = PathBuf::from(format!("{}{}", out.display(), file.display()));
        let size = fs::metadata(&file).expect("a file").len();
        assert!(size < 20_000_000, "{}: {size}", file.display());
        assert!(!run(Command::new("objdump").arg("-h").arg(&file)).contains(".debug_info"));
    }

    // The image's server: this one, where it lies, without what was installed into it.
    let Some(tree) = Server::from_environment().tree() else {
        eprintln!("not tried further: this server cannot be moved");
        return;
    };
    let Cleaned(elsewhere) = &Cleaned::new();
    let image = elsewhere.join("root");
    run(Command::new("sh").args([
        "-ec",
        "mkdir -p \"$2$1\" && cp -r \"$1\"/. \"$2$1\" && rm \"$2$3\"/memory_ext.so \"$2$4\"/memory_ext* \"$2$5\"/memory-* && chmod -R a+rX \"$2\"",
        "sh",
    ]).arg(&tree).arg(&image).args([&library, &extension, &bin]));
    let image_path = image.to_str().expect("ASCII");
    let (good, said) = root.step(
        "runtime",
        &[("ROOT", image_path), ("PGVECTOR_VERSION", "0.8.1-*")],
    );
    assert!(good, "{said}");
    assert!(
        root.asked().ends_with(&format!(
            "install -y -qq --no-install-recommends postgresql-{}-pgvector=0.8.1-*\n",
            major()
        )),
        "{}",
        root.asked()
    );
    let sample = read(format!(
        "{image_path}{}/postgresql.conf.sample",
        path_of("--sharedir").display()
    ));
    assert!(
        sample.contains("\nshared_preload_libraries = 'memory_ext'\n"),
        "the preload"
    );

    fs::copy(docker("build-steps.sh"), elsewhere.join("build-steps.sh"))
        .expect("the script is copied");
    let check = || {
        output(
            Server::from_environment()
                .command("env")
                .arg(format!("PG_CONFIG={}", bin.join("pg_config").display()))
                .arg(format!("ROOT={image_path}"))
                .arg(format!("TMPDIR={}", elsewhere.display()))
                .arg("bash")
                .arg(elsewhere.join("build-steps.sh"))
                .arg("check")
                .env_remove("RUST_BACKTRACE"),
        )
    };
    let (good, said) = check();
    assert!(good && said.contains("works on PostgreSQL"), "{said}");
    fs::remove_file(format!("{image_path}{}/memory-audit", bin.display())).expect("a program");
    let (good, said) = check();
    assert!(
        !good && said.contains("memory-audit does not run"),
        "{said}"
    );
}

/// A directory of the user who runs servers, gone with the test.
struct Cleaned(PathBuf);

impl Cleaned {
    fn new() -> Self {
        let made = run(Server::from_environment()
            .command("mktemp")
            .args(["-d", "/tmp/memory_ext_test.XXXXXX"]));
        Cleaned(PathBuf::from(made.trim()))
    }
}

impl Drop for Cleaned {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The last step of docker/Dockerfile.
#[test]
fn the_check_of_the_image_passes_here_and_fails_without_the_extension() {
    let cluster = Cluster::prepare(Server::from_environment(), Options::default());
    let copy = cluster.directory().join("build-steps.sh");
    fs::copy(docker("build-steps.sh"), &copy).expect("the script is copied");
    let check = |library: &str| {
        let mut command = cluster.server.command("env");
        command
            .arg(format!("PG_CONFIG={}", cluster.server.program("pg_config").display()))
            .arg(format!("TMPDIR={}", cluster.directory().display()))
            .arg("bash")
            .arg("-c")
            .arg(format!("sed 's/shared_preload_libraries=memory_ext/shared_preload_libraries={library}/' \"$0\" > \"$0.new\"; bash \"$0.new\" check"))
            .arg(&copy)
            .env_remove("RUST_BACKTRACE");
        output(&mut command)
    };
    let (good, said) = check("memory_ext");
    assert!(
        good && said.contains(&format!(
            "memory_ext {} works on PostgreSQL",
            env!("CARGO_PKG_VERSION")
        )),
        "{said}"
    );
    let (good, said) = check("not_there");
    assert!(
        !good && said.contains("the server does not start"),
        "{said}"
    );
}
