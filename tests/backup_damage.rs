//! Backups that are not what was written: every damage is refused before anything is done, by one constant error where a key is
//! needed to tell.

mod support;

use std::fs;
use std::ops::Range;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::OnceLock;

use postgres::Client;
use serde_json::Value;
use support::backup::{backup, database, file, furnish, name, put, vault};
use support::{Database, Random, Refusal, Sql, store_hash};

const CONSTANT: &str = "wrong key or damaged backup";
/// The same for whatever it is.
const HINT: &str = "Check that the key is the one that the backup was made with, or was last put under (key_file, passphrase, or memory_ext.backup_key_file), that the whole file was copied, and that a manifest beside it is its own; else take another copy of the backup.";
const ENVELOPE: usize = 1024;

/// A small backup with its manifest, and one of another store.
struct Originals {
    backup: Vec<u8>,
    manifest: Vec<u8>,
    other: Vec<u8>,
    other_manifest: Vec<u8>,
}

fn originals() -> &'static Originals {
    static ORIGINALS: OnceLock<Originals> = OnceLock::new();
    ORIGINALS.get_or_init(|| {
        let [one, other] = [0, 1].map(|_| {
            let mut sql = database().connect();
            furnish(&mut sql);
            let name = name();
            backup(&mut sql, &name, "");
            let manifest = file(&format!("{name}.manifest.json"));
            (
                fs::read(file(&name)).expect("a backup"),
                fs::read(manifest).expect("a manifest"),
            )
        });
        Originals {
            backup: one.0,
            manifest: one.1,
            other: other.0,
            other_manifest: other.1,
        }
    })
}

/// A store that nothing may happen to.
struct Target {
    sql: Client,
    before: String,
    name: String,
    _database: Database<'static>,
}

impl Target {
    fn new() -> Self {
        let database = database();
        let mut sql = database.connect();
        sql.run("SELECT memory_add('kept', id => 'kept')");
        let before = store_hash(&mut sql);
        Target {
            sql,
            before,
            name: name(),
            _database: database,
        }
    }

    /// How a restore of these bytes is refused.
    fn refusal(&mut self, backup: &[u8], manifest: Option<&[u8]>) -> Refusal {
        let Target { sql, name, .. } = self;
        put(name, backup);
        match manifest {
            Some(manifest) => put(&format!("{name}.manifest.json"), manifest),
            // Missing already, most of the time.
            None => drop(fs::remove_file(file(&format!("{name}.manifest.json")))),
        }
        let verified = sql.refused(&format!("SELECT memory_backup_verify('{name}')"), &[]);
        let refusal = sql.refused(&format!("SELECT memory_restore('{name}')"), &[]);
        assert_eq!(
            (&verified.sqlstate, &verified.message),
            (&refusal.sqlstate, &refusal.message)
        );
        refusal.well_formed()
    }

    fn refuses(&mut self, what: &str, backup: &[u8], manifest: Option<&[u8]>) {
        let refusal = self.refusal(backup, manifest);
        assert_eq!(
            (refusal.sqlstate.as_str(), refusal.message.as_str()),
            ("22000", CONSTANT),
            "{what}"
        );
        assert_eq!(
            (refusal.detail.as_str(), refusal.hint.as_str()),
            ("", HINT),
            "{what}"
        );
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            assert_eq!(
                store_hash(&mut self.sql),
                self.before,
                "nothing was written"
            );
            assert_eq!(
                self.sql.one::<i64>(
                    "SELECT count(*) FROM pg_class WHERE relpersistence = 't'",
                    &[]
                ),
                0
            );
        }
    }
}

#[test]
fn bk_9_a_flipped_bit_anywhere_in_the_file_is_refused() {
    let originals = originals();
    let mut target = Target::new();
    let length = originals.backup.len();
    let mut random = Random::seeded(9);
    // All of the frame of the envelope, and of the ends of header and file; elsewhere by chance.
    let mut offsets: Vec<usize> = (0..24)
        .chain(ENVELOPE - 2..ENVELOPE + 8)
        .chain(length - 24..length)
        .collect();
    offsets.extend((24..ENVELOPE).step_by(41));
    offsets.extend((0..120).map(|_| ENVELOPE + random.below(length - ENVELOPE)));
    for offset in offsets {
        let mut damaged = originals.backup.clone();
        damaged[offset] ^= 1 << random.below(8);
        let manifest = (offset % 2 == 0).then_some(originals.manifest.as_slice());
        match offset {
            // Whether it is a backup, and of which format, needs no key.
            0..8 => drop(
                target
                    .refusal(&damaged, manifest)
                    .is("22000")
                    .says("is not a backup of memory_ext"),
            ),
            8..10 => drop(
                target
                    .refusal(&damaged, manifest)
                    .is("55000")
                    .says("format version")
                    .helps(),
            ),
            _ => target.refuses(&format!("byte {offset} of {length}"), &damaged, manifest),
        }
    }
}

#[test]
fn bk_10_a_flipped_bit_anywhere_in_the_manifest_is_refused() {
    let originals = originals();
    let mut target = Target::new();
    let mut random = Random::seeded(10);
    for offset in (0..originals.manifest.len()).step_by(5) {
        let mut damaged = originals.manifest.clone();
        damaged[offset] ^= 1 << random.below(7);
        target.refuses(&format!("byte {offset}"), &originals.backup, Some(&damaged));
    }
    let longer = [originals.manifest.as_slice(), b"\n"].concat();
    let huge = vec![b' '; 9 * 1024 * 1024];
    for (what, manifest) in [
        ("nothing", &b""[..]),
        ("no JSON", b"a manifest"),
        ("another JSON", b"{}"),
        ("a newline more", &longer),
        ("9 MB", &huge),
        ("that of another backup", &originals.other_manifest),
    ] {
        target.refuses(what, &originals.backup, Some(manifest));
    }
}

#[test]
fn bk_11_a_truncated_or_longer_file_is_refused() {
    let originals = originals();
    let mut target = Target::new();
    let whole = originals.backup.as_slice();
    let mut random = Random::seeded(11);
    target.refusal(&[], None).is("22000").says("is empty");
    for length in [1, 7, 8, 9, 10, 500, ENVELOPE - 1] {
        let refusal = target
            .refusal(&whole[..length], Some(&originals.manifest))
            .is("22000");
        assert!(
            refusal.message.contains("ends after") || refusal.message.contains("not a backup"),
            "{refusal:?}"
        );
    }
    let mut lengths: Vec<usize> = vec![
        ENVELOPE,
        ENVELOPE + 1,
        ENVELOPE + 4,
        whole.len() - 17,
        whole.len() - 16,
        whole.len() - 1,
    ];
    lengths.extend((0..40).map(|_| ENVELOPE + random.below(whole.len() - ENVELOPE)));
    lengths.extend(chunks(whole).iter().map(|chunk| chunk.start));
    for length in lengths {
        target.refuses(&format!("{length} bytes"), &whole[..length], None);
    }
    for more in [&b"\0"[..], b"\0\0\0\0", &[0; 2000], whole] {
        target.refuses(
            &format!("{} bytes more", more.len()),
            &[whole, more].concat(),
            None,
        );
    }
}

/// A backup with several chunks, and another of the same store.
fn long() -> [Vec<u8>; 2] {
    let database = vault().database();
    let mut sql = database.connect();
    sql.run("SELECT memory_init(dimensions => 3, embedder => 'external');
             INSERT INTO memories (content) SELECT n || repeat(' word', 200) FROM generate_series(1, 4500) n");
    [0, 1].map(|_| {
        let name = name();
        backup(&mut sql, &name, "");
        fs::read(file(&name)).expect("a backup")
    })
}

/// Where the chunks lie, with their lengths in front.
fn chunks(backup: &[u8]) -> Vec<Range<usize>> {
    let number =
        |at: usize| u32::from_be_bytes(backup[at..at + 4].try_into().expect("four bytes")) as usize;
    let mut at = ENVELOPE + 4 + number(ENVELOPE) + 16;
    let mut chunks = Vec::new();
    while at < backup.len() {
        let end = at + 4 + number(at);
        chunks.push(at..end);
        at = end;
    }
    assert_eq!(at, backup.len());
    chunks
}

#[test]
fn bk_12_chunks_that_are_reordered_repeated_left_out_or_spliced_are_refused() {
    let [one, two] = long();
    let mut target = Target::new();
    let places = chunks(&one);
    assert!(places.len() >= 4, "{places:?}");
    let of = |bytes: &[u8], index: usize| bytes[chunks(bytes)[index].clone()].to_vec();
    let mine: Vec<Vec<u8>> = (0..places.len()).map(|index| of(&one, index)).collect();
    let last = mine.len() - 1;
    let arranged = |order: &[usize]| {
        let start = one[..places[0].start].to_vec();
        order
            .iter()
            .fold(start, |file, index| [file, mine[*index].clone()].concat())
    };
    let all: Vec<usize> = (0..mine.len()).collect();
    assert_eq!(arranged(&all), one, "the test puts it together as it was");
    let changed = |change: fn(&mut Vec<usize>)| {
        let mut order = all.clone();
        change(&mut order);
        arranged(&order)
    };
    for (what, bytes) in [
        ("two swapped", changed(|order| order.swap(0, 1))),
        ("one repeated", changed(|order| order.insert(1, 1))),
        ("the first left out", arranged(&all[1..])),
        (
            "one in the middle left out",
            changed(|order| order.retain(|index| *index != 1)),
        ),
        ("the last left out", arranged(&all[..last])),
        (
            "the last twice",
            changed(|order| order.push(order[order.len() - 1])),
        ),
        ("the last only", arranged(&[last])),
        ("none", arranged(&[])),
    ] {
        target.refuses(what, &bytes, None);
    }
    // The same rows under the same key, but another backup.
    let theirs = of(&two, 1);
    assert_eq!(theirs.len(), mine[1].len());
    let mut spliced = one.clone();
    spliced[places[1].clone()].copy_from_slice(&theirs);
    target.refuses("a chunk of another backup", &spliced, None);
    let body_of_other = [&one[..ENVELOPE], &two[ENVELOPE..]].concat();
    target.refuses("the body of another backup", &body_of_other, None);
    let header_of_other = [&two[..chunks(&two)[0].start], &one[places[0].start..]].concat();
    target.refuses(
        "envelope and header of another backup",
        &header_of_other,
        None,
    );
}

/// The file with its header's JSON edited, as somebody without the key can.
fn with_header(backup: &[u8], edit: impl Fn(&str) -> String) -> Vec<u8> {
    let length = u32::from_be_bytes(
        backup[ENVELOPE..ENVELOPE + 4]
            .try_into()
            .expect("four bytes"),
    ) as usize;
    let json = std::str::from_utf8(&backup[ENVELOPE + 4..ENVELOPE + 4 + length]).expect("JSON");
    let edited = edit(json);
    assert_ne!(edited, json, "the edit finds its place");
    let length_now = u32::try_from(edited.len()).expect("short").to_be_bytes();
    [
        &backup[..ENVELOPE],
        &length_now,
        edited.as_bytes(),
        &backup[ENVELOPE + 4 + length..],
    ]
    .concat()
}

#[test]
fn bk_13_an_edited_header_or_manifest_is_refused() {
    let originals = originals();
    let mut target = Target::new();
    for (from, to) in [
        (
            "\"includes_sensitive\":false",
            "\"includes_sensitive\":true",
        ),
        ("\"project\":null", "\"project\":\"default\""),
        ("\"store_version\":\"2", "\"store_version\":\"1"),
        ("\"chunk_size\":1048576", "\"chunk_size\":1048577"),
        ("AES-256-GCM", "AES-128-GCM"),
        ("\"backup_id\":\"", "\"backup_id\":\"0"),
        (
            "{\"table\":\"memory_grants\"",
            "{\"table\":\"memory_Grants\"",
        ),
        ("{\"backup_id\"", "{ \"backup_id\""),
    ] {
        let edited = with_header(&originals.backup, |json| json.replacen(from, to, 1));
        target.refuses(from, &edited, Some(&originals.manifest));
        target.refuses(from, &edited, None);
    }
    let text = std::str::from_utf8(&originals.manifest).expect("UTF-8");
    for (from, to) in [
        ("\"encrypted\": true", "\"encrypted\": false"),
        (
            "\"includes_sensitive\": false",
            "\"includes_sensitive\": true",
        ),
        ("\"project\": null", "\"project\": \"default\""),
        ("\"format\": 1", "\"format\": 2"),
        ("\"rows\": 1", "\"rows\": 2"),
        ("\"kdf\": \"raw\"", "\"kdf\": \"none\""),
        ("\"mac\": \"", "\"mac\": \"0"),
    ] {
        let edited = text.replacen(from, to, 1);
        assert_ne!(edited, text, "{from}");
        target.refuses(from, &originals.backup, Some(edited.as_bytes()));
    }
    let mut json: Value = serde_json::from_str(text).expect("JSON");
    json.as_object_mut().expect("an object").remove("mac");
    let unsigned = serde_json::to_string_pretty(&json).expect("JSON") + "\n";
    target.refuses("no mac", &originals.backup, Some(unsigned.as_bytes()));
    target.refuses(
        "another backup",
        &originals.other,
        Some(&originals.manifest),
    );
}

#[test]
fn bk_14_a_wrong_key_is_the_same_error_as_damage() {
    let originals = originals();
    let mut target = Target::new();
    put(&target.name, &originals.backup);
    let with_passphrase = name();
    let mut sql = database().connect();
    backup(
        &mut sql,
        &with_passphrase,
        ", passphrase => 'correct horse'",
    );
    put("other.key", "ab".repeat(32).as_bytes());
    let (raw, phrase) = (target.name.clone(), with_passphrase);
    for (file, arguments) in [
        (&raw, ", key_file => 'other.key'"),
        (&phrase, ", passphrase => 'Correct horse'"),
        (&phrase, ", passphrase => 'correct horse '"),
    ] {
        for function in ["memory_restore", "memory_backup_verify"] {
            let refusal = target
                .sql
                .refused(&format!("SELECT {function}('{file}'{arguments})"), &[]);
            assert_eq!(
                (
                    refusal.sqlstate.as_str(),
                    refusal.message.as_str(),
                    refusal.hint.as_str()
                ),
                ("22000", CONSTANT, HINT)
            );
        }
        target
            .sql
            .refused(
                &format!(
                    "SELECT memory_backup_rotate('{file}'{arguments}, new_passphrase => 'new')"
                ),
                &[],
            )
            .is("22000");
    }
    // Which kind of key it wants is to be seen.
    for (file, arguments, part) in [
        (
            &raw,
            ", passphrase => 'correct horse'",
            "needs a key of 32 bytes, got a passphrase",
        ),
        (&phrase, "", "needs a passphrase, got a key of 32 bytes"),
    ] {
        target
            .sql
            .refused(&format!("SELECT memory_restore('{file}'{arguments})"), &[])
            .is("22023")
            .says(part)
            .keeps("correct horse")
            .helps()
            .well_formed();
    }
    let verified: Value = target.sql.one(
        &format!("SELECT memory_backup_verify('{phrase}', passphrase => 'correct horse')"),
        &[],
    );
    assert_eq!(verified["key"], "argon2id");
}

/// A file of this many bytes, zero behind what it begins with, that takes no room.
fn sparse(start: &[u8], length: u64) -> (String, PathBuf) {
    let name = name();
    let path = file(&name);
    put(&name, start);
    let handle = fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .expect("opened");
    handle.set_len(length).expect("made longer");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("readable");
    (name, path)
}

#[test]
fn garbage_of_any_size_is_refused_at_once() {
    let originals = originals();
    let mut target = Target::new();
    let gigabyte = 1 << 30;
    let head = chunks(&originals.backup)[0].start;
    for (what, start, message) in [
        ("zeros", &b""[..], "is not a backup of memory_ext"),
        (
            "text",
            b"-- PostgreSQL database dump",
            "is not a backup of memory_ext",
        ),
        ("a zip", b"PK\x03\x04", "is not a backup of memory_ext"),
        ("a name only", b"MEMEXTBK\x00\x01", CONSTANT),
        (
            "a backup's envelope",
            &originals.backup[..ENVELOPE],
            CONSTANT,
        ),
        ("a backup's head", &originals.backup[..head], CONSTANT),
        ("a backup", &originals.backup, CONSTANT),
    ] {
        let (name, path) = sparse(start, gigabyte);
        let started = std::time::Instant::now();
        for function in ["memory_restore", "memory_backup_verify"] {
            target
                .sql
                .refused(&format!("SELECT {function}('{name}')"), &[])
                .is("22000")
                .says(message)
                .helps()
                .well_formed();
        }
        assert!(
            started.elapsed().as_secs() < 10,
            "{what}: {:?}",
            started.elapsed()
        );
        fs::remove_file(path).expect("removed");
    }
    let (name, path) = sparse(b"", gigabyte);
    // As the key, and as the manifest.
    target
        .sql
        .refused(
            &format!("SELECT memory_backup_verify('{name}', key_file => '{name}')"),
            &[],
        )
        .is("22023")
        .says("not a key file");
    let target_name = target.name.clone();
    put(&target_name, &originals.backup);
    fs::rename(path, file(&format!("{target_name}.manifest.json"))).expect("renamed");
    target
        .sql
        .refused(&format!("SELECT memory_restore('{target_name}')"), &[])
        .is("22000")
        .says(CONSTANT);
    fs::remove_file(file(&format!("{target_name}.manifest.json"))).expect("removed");
}

#[test]
fn a_backup_of_a_newer_format_says_what_to_do() {
    let originals = originals();
    let mut target = Target::new();
    for version in [0u16, 2, 65535] {
        let mut newer = originals.backup.clone();
        newer[8..10].copy_from_slice(&version.to_be_bytes());
        target
            .refusal(&newer, None)
            .is("55000")
            .says(&format!("has format version {version}, supported is 1"))
            .hints("Install the version of memory_ext");
    }
}

#[test]
fn a_key_derivation_that_asks_for_too_much_is_not_begun() {
    let mut sql = database().connect();
    let name = name();
    backup(&mut sql, &name, ", passphrase => 'correct horse'");
    let bytes = fs::read(file(&name)).expect("a backup");
    let text = String::from_utf8_lossy(&bytes[12..ENVELOPE]).into_owned();
    let json = text.trim_end_matches('\0');
    let edited = json.replace("\"m_cost\":19456", "\"m_cost\":4294967295");
    assert_ne!(edited, json);
    let mut envelope = bytes[..10].to_vec();
    envelope.extend(u16::try_from(edited.len()).expect("short").to_be_bytes());
    envelope.extend(edited.bytes());
    envelope.resize(ENVELOPE, 0);
    let hostile = support::backup::name();
    put(&hostile, &[&envelope, &bytes[ENVELOPE..]].concat());

    sql.refused(
        &format!("SELECT memory_restore('{hostile}', passphrase => 'correct horse')"),
        &[],
    )
    .is("54000")
    .says("over the limit")
    .keeps("correct horse");
}
