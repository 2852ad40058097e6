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
    let key = SealKey::new(KEY);
    let (mut lines, mut seals): (Vec<String>, Vec<Seal>) = (Vec::new(), Vec::new());
    for after in [0, 10] {
        let leaves: Vec<Leaf> = (after + 1..=after + 10)
            .map(|id| event(id).leaf())
            .collect();
        let mut builder = BatchBuilder::new(Table::Events, after);
        leaves.iter().for_each(|leaf| builder.push(leaf).unwrap());
        let batch = builder.finish(after + 10).unwrap();
        seals.push(Seal::new(&batch, seals.last(), 1, Some(&key)));
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

    let (code, out, _) = verify(&lines, &["--key-file=other"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("seal 1 was made with another key"), "{out}");
    let (code, _, _) = verify(&lines, &["--key-file", "other", "--key-file", "key"]);
    assert_eq!(code, Some(0));
    let (code, _, _) = verify(&lines[1..], &["--key-file", "key"]);
    assert_eq!(code, Some(1));
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
    assert!(code == Some(0) && out.contains("Usage:"));
    let (code, out, _) = run(&["-V"], &directory);
    assert!(code == Some(0) && out.starts_with("memory-audit "));
}
