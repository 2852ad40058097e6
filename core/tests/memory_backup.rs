//! The program `memory-backup`, on the backups in `data/`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const BACKUP: &[u8] = include_bytes!("data/format-1-key.backup");
const MANIFEST: &[u8] = include_bytes!("data/format-1-key.backup.manifest.json");
const PASSPHRASE_BACKUP: &[u8] = include_bytes!("data/format-1-passphrase.backup");
const PASSPHRASE: &str = "correct horse battery staple";
const ENVELOPE_LEN: usize = 1024;

/// A directory with a backup under a key, its manifest, its key and another one.
struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        let directory = Self(path);
        directory.write("b", BACKUP);
        directory.write("b.manifest.json", MANIFEST);
        let key: Vec<u8> = (0..32).map(|at| at * 7 + 1).collect();
        directory.write("key", &key);
        directory.write("new", "17".repeat(32).as_bytes());
        directory.write("passphrase", format!("{PASSPHRASE}\n").as_bytes());
        directory
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.0.join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.join(name)).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn command(&self, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_memory-backup"));
        command
            .current_dir(&self.0)
            .env_remove("MEMORY_BACKUP_PASSPHRASE")
            .args(arguments.split_whitespace());
        command
    }

    fn run(&self, arguments: &str) -> (i32, String, String) {
        result(self.command(arguments).output().unwrap())
    }

    fn succeeds(&self, arguments: &str) -> String {
        let (code, output, error) = self.run(arguments);
        assert_eq!((code, &*error), (0, ""), "{arguments}");
        output
    }

    /// Fails, prints no output, and gives the message.
    fn fails(&self, arguments: &str, expected: i32) -> String {
        let (code, output, error) = self.run(arguments);
        assert_eq!((code, &*output), (expected, ""), "{arguments}: {error}");
        error
    }
}

fn result(output: Output) -> (i32, String, String) {
    (
        output.status.code().unwrap(),
        String::from_utf8(output.stdout).unwrap(),
        String::from_utf8(output.stderr).unwrap(),
    )
}

#[test]
fn help_and_version_are_printed() {
    let directory = Directory::new("help");
    for arguments in ["--help", "-h", "help", "rotate --help"] {
        let help = directory.succeeds(arguments);
        assert!(help.contains("memory-backup rotate FILE [KEY] NEW-KEY"));
    }
    assert!(
        directory
            .succeeds("--version")
            .starts_with("memory-backup ")
    );
}

#[test]
fn wrong_usage_is_named() {
    let directory = Directory::new("usage");
    for (arguments, problem) in [
        ("", "a command is missing"),
        ("restore b", "unknown command \"restore\""),
        ("show", "FILE is missing"),
        ("show b c", "unexpected argument \"c\""),
        (
            "show b --key-file key",
            "--key-file does not belong to this command",
        ),
        ("verify b", "no key: give --key-file"),
        ("verify b --key-file", "--key-file needs a value"),
        ("verify b --key key", "unknown option --key"),
        (
            "verify b --key-file key --key-file key",
            "--key-file is given twice",
        ),
        (
            "verify b --key-file key --passphrase-file passphrase",
            "--key-file and --passphrase-file exclude each other",
        ),
        ("rotate b --key-file key", "no new key"),
        (
            "verify b --key-file key --table memories",
            "--table does not belong",
        ),
    ] {
        let message = directory.fails(arguments, 2);
        assert!(
            message.starts_with(&format!("memory-backup: {problem}")),
            "{message}"
        );
        assert!(
            message.ends_with("Try memory-backup --help.\n"),
            "{message}"
        );
    }
    let (code, _, error) = result(
        directory
            .command("verify b")
            .env("MEMORY_BACKUP_PASSPHRASE", "")
            .output()
            .unwrap(),
    );
    assert_eq!(code, 2);
    assert!(
        error.contains("MEMORY_BACKUP_PASSPHRASE: the passphrase is empty"),
        "{error}"
    );
}

#[test]
fn show_needs_no_key_and_says_so() {
    let directory = Directory::new("show");
    let shown = directory.succeeds("show b");
    for line in [
        "unverified: without its key, nothing proves what a backup says of itself",
        "key: a key of 32 bytes",
        "backup_id: 017f22e279b0700098c4dc0c0c07398f",
        "includes_sensitive: true",
        "project: gr\u{fc}n",
        "table: memories (6 columns)",
        "manifest: b.manifest.json, unverified",
        "  table: memories (3 rows)",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    directory.write("b.manifest.json", b"{}");
    assert!(
        directory
            .succeeds("show b")
            .contains("  not a manifest, or it was edited\n")
    );
    fs::remove_file(directory.0.join("b.manifest.json")).unwrap();
    assert!(directory.succeeds("show b").ends_with("manifest: none\n"));
    directory.write("p", PASSPHRASE_BACKUP);
    let shown = directory.succeeds("show p");
    assert!(
        shown.contains("key: a passphrase (argon2id, m_cost 19456 KiB, t_cost 2, p_cost 1)\n"),
        "{shown}"
    );
}

#[test]
fn show_does_not_let_a_backup_steer_the_terminal() {
    let directory = Directory::new("terminal");
    let text = "017f22e279b0700098c4dc0c0c07398f";
    let at = BACKUP
        .windows(32)
        .position(|part| part == text.as_bytes())
        .unwrap();
    let mut edited = BACKUP.to_vec();
    edited[at..at + 32].copy_from_slice(b"\\u001b[2J\\u009b31m\\n\\u007f......");
    directory.write("b", &edited);
    let shown = directory.succeeds("show b");
    assert!(shown.contains("\\u{1b}[2J\\u{9b}31m\\n\\u{7f}"), "{shown}");
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{9b}'));
}

#[test]
fn verify_checks_backup_and_manifest() {
    let directory = Directory::new("verify");
    let printed = directory.succeeds("verify b --key-file key");
    for line in [
        "verified: b",
        "manifest: b.manifest.json, verified",
        "table: memories (3 rows)",
        "table: agents (0 rows)",
    ] {
        assert!(
            printed.lines().any(|printed| printed == line),
            "{line}\n{printed}"
        );
    }
    directory.write("p", PASSPHRASE_BACKUP);
    let printed = directory.succeeds("verify p --passphrase-file=passphrase");
    assert!(printed.contains("manifest: none\n"));
    directory.write(
        "key-with-passphrase",
        format!("passphrase:{PASSPHRASE}").as_bytes(),
    );
    directory.succeeds("verify --key-file key-with-passphrase -- p");
    let (code, _, error) = result(
        directory
            .command("verify p")
            .env("MEMORY_BACKUP_PASSPHRASE", PASSPHRASE)
            .output()
            .unwrap(),
    );
    assert_eq!((code, &*error), (0, ""));
}

#[test]
fn what_is_refused_is_explained() {
    let directory = Directory::new("refused");
    let constant = "memory-backup: b: wrong key or damaged backup\n";
    let message = directory.fails("verify b --key-file new", 1);
    assert!(message.starts_with(constant), "{message}");
    assert!(
        message.contains("Check that this is the key of this backup."),
        "{message}"
    );

    let edited = String::from_utf8_lossy(MANIFEST).replace("\"rows\": 3", "\"rows\": 4");
    directory.write("b.manifest.json", edited.as_bytes());
    let message = directory.fails("verify b --key-file key", 1);
    assert!(message.starts_with("memory-backup: b.manifest.json: wrong key or damaged backup\n"));
    fs::remove_file(directory.0.join("b.manifest.json")).unwrap();

    directory.write("b", &BACKUP[..BACKUP.len() - 1]);
    assert!(
        directory
            .fails("verify b --key-file key", 1)
            .starts_with(constant)
    );
    for (content, problem) in [
        (&b""[..], "b: is empty"),
        (&BACKUP[..100], "b: ends after 100 bytes"),
        (MANIFEST, "b: is not a backup of memory_ext"),
        (b"MEMEXTBK\0\x02", "b: has format version 2, supported is 1"),
        (PASSPHRASE_BACKUP, "b: needs a passphrase, got a key"),
    ] {
        directory.write("b", content);
        let message = directory.fails("verify b --key-file key", 1);
        assert!(
            message.starts_with(&format!("memory-backup: {problem}")),
            "{message}"
        );
        assert_eq!(message.lines().count(), 2, "{message}");
    }
    let message = directory.fails("verify missing --key-file key", 1);
    assert!(message.starts_with("memory-backup: missing: "), "{message}");
    let message = directory.fails("verify b --key-file missing", 1);
    assert!(message.starts_with("memory-backup: missing: "), "{message}");
    directory.write("bad", b"hunter2");
    let message = directory.fails("verify b --key-file bad", 1);
    assert!(message.starts_with("memory-backup: bad: not a key file, expected 32 random bytes"));
    assert!(!message.contains("hunter2"));
}

#[test]
fn decrypt_prints_rows_as_json() {
    let directory = Directory::new("decrypt");
    let memories = [
        r#"{"table":"memories","id":1,"content":"first memory","metadata":{"tag":"a"},"is_sensitive":true,"importance":0.5,"embedding":[1,0.25,-3e-05]}"#,
        &r#"{"table":"memories","id":2,"content":"tab \t newline \n backslash \\ GREEN","metadata":{},"is_sensitive":false,"importance":null,"embedding":null}"#.replace("GREEN", "gr\u{fc}n"),
        r#"{"table":"memories","id":3,"content":"","metadata":{"n":12345678901234567890.5},"is_sensitive":false,"importance":"NaN","embedding":[0,0,1]}"#,
    ];
    let vote = r#"{"table":"vote_history","id":7,"memory_id":"1"}"#;
    let printed = directory.succeeds("decrypt b --key-file key");
    assert_eq!(
        printed.lines().collect::<Vec<_>>(),
        [&memories[..], &[vote]].concat()
    );
    let printed = directory.succeeds("decrypt b --key-file key --table vote_history");
    assert_eq!(printed, format!("{vote}\n"));
    assert_eq!(
        directory.succeeds("decrypt b --key-file key --table agents"),
        ""
    );
    let message = directory.fails("decrypt b --key-file key --table votes", 1);
    assert_eq!(
        message,
        "memory-backup: b: has no table \"votes\", expected one of memories, agents, vote_history\n"
    );
}

#[test]
fn decrypt_prints_nothing_of_a_backup_that_is_damaged_at_its_end() {
    let directory = Directory::new("decrypt-damaged");
    let mut edited = BACKUP.to_vec();
    *edited.last_mut().unwrap() ^= 1;
    directory.write("b", &edited);
    let message = directory.fails("decrypt b --key-file key", 1);
    assert!(message.contains("wrong key or damaged backup"), "{message}");
}

#[test]
fn rotate_changes_the_envelope_only() {
    let directory = Directory::new("rotate");
    let path = directory.0.join("b");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let names = directory.names();
    let printed = directory.succeeds("rotate b --key-file key --new-key-file new");
    assert_eq!(
        printed,
        format!("rotated: {}\n", path.canonicalize().unwrap().display())
    );
    let rotated = directory.read("b");
    assert_ne!(rotated[..ENVELOPE_LEN], BACKUP[..ENVELOPE_LEN]);
    assert_eq!(rotated[ENVELOPE_LEN..], BACKUP[ENVELOPE_LEN..]);
    assert_eq!(
        fs::metadata(&path).unwrap().permissions().mode() & 0o777,
        0o600
    );
    assert_eq!(directory.read("b.manifest.json"), MANIFEST);
    assert_eq!(directory.names(), names);
    assert!(
        directory
            .fails("verify b --key-file key", 1)
            .contains("wrong key")
    );
    assert!(
        directory
            .succeeds("verify b --key-file new")
            .contains("b.manifest.json, verified")
    );

    // To a passphrase: the manifest names the KDF.
    directory.succeeds("rotate b --key-file new --new-passphrase-file passphrase");
    let manifest = String::from_utf8(directory.read("b.manifest.json")).unwrap();
    assert!(manifest.contains("\"kdf\": \"argon2id\""), "{manifest}");
    let printed = directory.succeeds("verify b --passphrase-file passphrase");
    assert!(printed.contains("b.manifest.json, verified"));
    assert_eq!(directory.names(), names);
}

#[test]
fn rotate_leaves_what_it_refuses_as_it_was() {
    let directory = Directory::new("rotate-refused");
    let names = directory.names();
    let mut edited = BACKUP.to_vec();
    *edited.last_mut().unwrap() ^= 1;
    let edited_manifest = String::from_utf8_lossy(MANIFEST).replace("\"rows\": 3", "\"rows\": 4");
    for (backup, manifest, key) in [
        (BACKUP, MANIFEST, "new"),
        (&edited, MANIFEST, "key"),
        (BACKUP, edited_manifest.as_bytes(), "key"),
    ] {
        directory.write("b", backup);
        directory.write("b.manifest.json", manifest);
        let arguments = format!("rotate b --key-file {key} --new-key-file new");
        let message = directory.fails(&arguments, 1);
        assert!(message.contains("wrong key or damaged backup"), "{message}");
        assert_eq!(directory.read("b"), backup);
        assert_eq!(directory.read("b.manifest.json"), manifest);
        assert_eq!(directory.names(), names);
    }
    directory.write("b", BACKUP);
    directory.write("b.rotating", b"another's");
    let message = directory.fails("rotate b --key-file key --new-key-file new", 1);
    assert!(message.contains("Another rotation is at work"), "{message}");
    assert_eq!(directory.read("b.rotating"), b"another's");
    assert_eq!(directory.read("b"), BACKUP);
}

#[test]
fn rotate_keeps_the_owner() {
    let directory = Directory::new("rotate-owner");
    let path = directory.0.join("b");
    // Only root can give files away.
    if chown(&path, Some(12_345), Some(12_346)).is_ok() {
        directory.succeeds("rotate b --key-file key --new-key-file new");
        let metadata = fs::metadata(&path).unwrap();
        assert_eq!((metadata.uid(), metadata.gid()), (12_345, 12_346));
    }
}

#[test]
fn rotate_goes_through_links() {
    let directory = Directory::new("rotate-link");
    symlink("b", directory.0.join("link")).unwrap();
    directory.succeeds("rotate link --key-file key --new-key-file new");
    assert!(
        fs::symlink_metadata(directory.0.join("link"))
            .unwrap()
            .is_symlink()
    );
    directory.succeeds("verify b --key-file new");
}
