//! The program `memory-audit`, on exports that are made here.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use memory_core::seal::{
    BatchBuilder, EventFields, Leaf, Seal, SealKey, Table, event_line, seal_line,
};

const KEY: [u8; 32] = [0x5a; 32];

fn directory(name: &str) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&path);
    fs::create_dir_all(&path).unwrap();
    fs::write(path.join("key"), format!("{}\n", "5a".repeat(32))).unwrap();
    fs::write(path.join("other"), "07".repeat(32)).unwrap();
    path
}

fn event(id: i64) -> EventFields<'static> {
    EventFields {
        event_id: id,
        occurred_at: id,
        event: "update".into(),
        project_id: "default".into(),
        memory_id: Some(format!("m{id}").into()),
        role: "app".into(),
        agent_id: None,
        payload: "{}".into(),
    }
}

/// Two seals of ten events each, then the events; and the last seal's anchor.
fn export() -> (Vec<String>, String) {
    export_with([Some(KEY); 2])
}

/// The same with these keys.
fn export_with(keys: [Option<[u8; 32]>; 2]) -> (Vec<String>, String) {
    let (mut lines, mut seals): (Vec<String>, Vec<Seal>) = (Vec::new(), Vec::new());
    for (after, key) in [0, 10].into_iter().zip(keys) {
        let leaves: Vec<Leaf> = (after + 1..=after + 10)
            .map(|id| event(id).leaf())
            .collect();
        let mut builder = BatchBuilder::new(Table::Events, after);
        leaves.iter().for_each(|leaf| builder.push(leaf).unwrap());
        let batch = builder.finish(after + 10).unwrap();
        let key = key.map(SealKey::new);
        seals.push(Seal::new(&batch, seals.last(), 1, key.as_ref()));
        lines.push(seal_line(seals.last().unwrap(), Some(&leaves)));
    }
    lines.extend((1..=21).map(|id| event_line(&event(id))));
    (lines, seals[1].anchor().to_string())
}

fn run(arguments: &[&str], directory: &PathBuf) -> (Option<i32>, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = Command::new(env!("CARGO_BIN_EXE_memory-audit"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

#[test]
fn an_intact_export_is_told_from_altered_ones() {
    let directory = directory("memory_audit_verify");
    let (lines, anchor) = export();
    let verify = |lines: &[String], arguments: &[&str]| {
        fs::write(directory.join("file"), lines.join("\n")).unwrap();
        run(&[&["verify", "file"], arguments].concat(), &directory)
    };
    let all = ["--key-file", "key", "--anchor", &anchor];
    let (code, out, _) = verify(&lines, &all);
    assert_eq!(code, Some(0), "{out}");
    assert_eq!(
        out,
        "intact: 2 seals, 21 events, 0 old versions, 0 erased with a receipt, 1 not sealed yet\n"
    );

    let mut changed = lines.clone();
    changed[6] = changed[6].replace("update", "delete");
    changed.remove(4);
    let (code, out, _) = verify(&changed, &all);
    assert_eq!(code, Some(1));
    assert!(out.contains("events, seal 1: row 5 was edited\n"), "{out}");
    assert!(out.contains("events, seal 1: row 3 is missing\n"), "{out}");
    assert!(out.contains("ALTERED: "), "{out}");

    // Without an anchor nobody misses a seal at the end; with it somebody does.
    let mut cut = lines.clone();
    cut.remove(1);
    let (code, out, _) = verify(&cut, &["--key-file", "key"]);
    assert_eq!(code, Some(0));
    assert!(out.contains("No anchor was given"), "{out}");
    let (code, out, _) = verify(&cut, &all);
    assert_eq!(code, Some(1));
    assert!(
        out.contains("the chain ends with seal 1, expected 2"),
        "{out}"
    );

    let (code, _, _) = verify(&lines, &["--key-file", "other", "--key-file", "key"]);
    assert_eq!(code, Some(0));
    let (code, _, _) = verify(&lines[1..], &["--key-file", "key"]);
    assert_eq!(code, Some(1));
}

#[test]
fn what_is_no_export_is_neither_intact_nor_altered() {
    let directory = directory("memory_audit_no_export");
    let (lines, anchor) = export();
    let verify = |content: &str, arguments: &[&str]| {
        fs::write(directory.join("file"), content).unwrap();
        run(&[&["verify", "file"], arguments].concat(), &directory)
    };
    for arguments in [
        &[][..],
        &["--key-file", "key"],
        &["--key-file", "key", "--anchor", &anchor],
    ] {
        for (content, problem) in [
            ("", "is empty"),
            ("\n\n", "is empty"),
            ("-- PostgreSQL database dump\n", "has no line of an export"),
            ("{\"id\": \"a memory\"}\n", "has no line of an export"),
        ] {
            let (code, out, err) = verify(content, arguments);
            assert_eq!((code, out.as_str()), (Some(2), ""), "{content:?} {err}");
            assert!(err.contains(problem), "{err}");
            assert!(err.contains("memory_audit_export()"), "{err}");
        }
    }
    // Rows without a seal prove nothing; with an anchor it is plain that seals are missing.
    let rows = lines[2..].join("\n");
    let (code, out, _) = verify(&rows, &["--key-file", "key"]);
    assert_eq!(code, Some(2), "{out}");
    assert!(out.starts_with("cannot tell: 0 seals, 21 events"), "{out}");
    assert!(out.contains("Nothing in it is sealed"), "{out}");
    let (code, out, _) = verify(&rows, &["--key-file", "key", "--anchor", &anchor]);
    assert_eq!(code, Some(1), "{out}");
    // One line of an export is one.
    let (code, out, _) = verify(&format!("rubbish\n{}", lines[0]), &["--key-file", "key"]);
    assert_eq!(code, Some(1), "{out}");
}

#[test]
fn a_key_that_is_not_given_or_another_one_is_no_verdict() {
    let directory = directory("memory_audit_keys");
    let verify = |lines: &[String], arguments: &[&str]| {
        fs::write(directory.join("file"), lines.join("\n")).unwrap();
        run(&[&["verify", "file"], arguments].concat(), &directory)
    };
    let (lines, anchor) = export();
    let (_, other_anchor) = export_with([Some([7; 32]); 2]);
    for arguments in [&[][..], &["--anchor", &anchor]] {
        let (code, out, _) = verify(&lines, arguments);
        assert_eq!(code, Some(2), "{out}");
        assert!(out.starts_with("cannot tell: 2 seals, 21 events"), "{out}");
        assert!(out.contains("none was given: --key-file"), "{out}");
        let (code, out, _) = verify(&lines, &[&["--key-file", "other"], arguments].concat());
        assert_eq!(code, Some(2), "{out}");
        assert!(out.starts_with("cannot tell: 2 seals, 21 events"), "{out}");
        assert!(out.contains("None of the 2 seals"), "{out}");
        assert!(out.contains("Most likely it is another one"), "{out}");
    }
    // From before the first key, which would vouch for it.
    let (late, _) = export_with([None, Some(KEY)]);
    for (key, code) in [("key", 0), ("other", 2)] {
        let (got, out, _) = verify(&late, &["--key-file", key]);
        assert_eq!(got, Some(code), "{out}");
    }
    // What was altered is so without a key too, and what is wrong besides the key is.
    let mut changed = lines.clone();
    changed[6] = changed[6].replace("update", "delete");
    for arguments in [&[][..], &["--key-file", "other"]] {
        let (code, out, _) = verify(&changed, arguments);
        assert_eq!(code, Some(1), "{out}");
        assert!(out.contains("events, seal 1: row 5 was edited\n"), "{out}");
        let (code, out, _) = verify(&lines, &[arguments, &["--anchor", &other_anchor]].concat());
        assert_eq!(code, Some(1), "{out}");
    }
    // Some MACs match: a former key is missing, or a forger went on. No seal is made without a key behind one with it.
    for keys in [[Some([7; 32]), Some(KEY)], [Some(KEY), Some([7; 32])]] {
        let (mixed, _) = export_with(keys);
        let (code, out, _) = verify(&mixed, &["--key-file", "key"]);
        assert_eq!(code, Some(1), "{out}");
        assert!(out.contains("was made with another key\n"), "{out}");
        assert!(out.contains("a former one"), "{out}");
        let (code, out, _) = verify(&mixed, &["--key-file", "key", "--key-file", "other"]);
        assert_eq!(code, Some(0), "{out}");
    }
    let (ended, _) = export_with([Some(KEY), None]);
    for key in ["key", "other"] {
        let (code, out, _) = verify(&ended, &["--key-file", key]);
        assert_eq!(code, Some(1), "{out}");
    }
}

#[test]
fn wrong_usage_is_told_and_no_key_is_shown() {
    let directory = directory("memory_audit_usage");
    fs::write(directory.join("bad"), "hunter2").unwrap();
    fs::write(directory.join("file"), "").unwrap();
    for arguments in [
        &[][..],
        &["verify"],
        &["prove", "file"],
        &["verify", "file", "more"],
        &["verify", "file", "--key-file"],
        &["verify", "file", "--colour"],
        &["verify", "file", "--anchor", "3:abc"],
        &["verify", "none"],
        &["verify", "."],
        &["verify", "file", "--key-file", "none"],
        &["verify", "file", "--key-file", "bad"],
    ] {
        let (code, out, err) = run(arguments, &directory);
        assert_eq!(code, Some(2), "{arguments:?} {out} {err}");
        assert!(err.starts_with("memory-audit: "), "{err}");
        assert!(!err.contains("hunter2"));
    }
    let (code, out, _) = run(&["--help"], &directory);
    assert!(code == Some(0) && out.contains("Usage:") && out.contains("2 cannot tell"));
    let (code, out, _) = run(&["-V"], &directory);
    assert!(code == Some(0) && out.starts_with("memory-audit "));
}
