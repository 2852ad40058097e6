use super::*;

fn backup() -> Written {
    write(
        &key(),
        1,
        64,
        &[("memories", b"one\ntwo\n"), ("agents", b"")],
    )
}

fn assert_refused(written: &Written, manifest: &[u8]) {
    let error = verify(&written.file[..], &key(), Some(manifest)).unwrap_err();
    assert!(matches!(error, ContainerError::Damaged), "{error}");
}

#[test]
fn a_manifest_is_readable_and_holds_no_key() {
    let written = backup();
    let text = String::from_utf8(written.manifest).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines[0], "{");
    assert_eq!(
        lines[1],
        r#"  "backup_id": "017f22e279b0700098c4dc0c0c07398f","#
    );
    assert!(
        text.ends_with("\"store_version\": \"2.0.0\"\n}\n"),
        "{text}"
    );
    for member in [
        "\"encrypted\": true",
        "\"format\": 1",
        "\"includes_sensitive\": false",
        "\"kdf\": \"raw\"",
        "\"project\": null",
        "\"cipher\": \"AES-256-GCM\"",
    ] {
        assert!(text.contains(member), "{text}");
    }
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["size"].to_string(), written.file.len().to_string());
    assert_eq!(value["counts"][0]["rows"].to_string(), "2");
    // Sorted by name, whatever features serde_json is built with.
    let names: Vec<_> = lines
        .iter()
        .filter_map(|line| line.strip_prefix("  \"")?.split('"').next())
        .collect();
    assert!(names.is_sorted(), "{names:?}");
}

#[test]
fn every_flipped_bit_is_refused() {
    let written = backup();
    verify(&written.file[..], &key(), Some(&written.manifest)).unwrap();
    for at in 0..written.manifest.len() {
        for bit in 0..8 {
            let mut edited = written.manifest.clone();
            edited[at] ^= 1 << bit;
            assert_refused(&written, &edited);
        }
    }
}

#[test]
fn every_cut_and_every_addition_is_refused() {
    let written = backup();
    for length in 0..written.manifest.len() {
        assert_refused(&written, &written.manifest[..length]);
    }
    for end in [&b"\n"[..], b" ", b"x", &written.manifest] {
        assert_refused(&written, &[&written.manifest, end].concat());
    }
    assert_refused(&written, &vec![b' '; Manifest::MAX_LEN + 1]);
    assert_refused(&written, "[".repeat(1_000_000).as_bytes());
}

#[test]
fn edited_members_are_refused() {
    let written = backup();
    let text = String::from_utf8(written.manifest.clone()).unwrap();
    for (from, to) in [
        ("\"encrypted\": true", "\"encrypted\": false"),
        (
            "\"includes_sensitive\": false",
            "\"includes_sensitive\": true",
        ),
        ("\"project\": null", "\"project\": \"a\""),
        ("\"kdf\": \"raw\"", "\"kdf\": \"argon2id\""),
        ("\"format\": 1", "\"format\": 2"),
        ("\"rows\": 2", "\"rows\": 3"),
        ("  \"project\": null,\n", ""),
        ("  \"kdf\": \"raw\",\n", ""),
        ("  \"project\"", "  \"note\": \"hello\",\n  \"project\""),
        ("  \"format\": 1,\n", "  \"format\": 1,\n  \"format\": 1,\n"),
        ("\n", "\r\n"),
        ("  ", "\t"),
        (": ", ":"),
    ] {
        assert!(text.contains(from), "{from}");
        assert_refused(&written, text.replacen(from, to, 1).as_bytes());
    }
    let mac = text
        .split("\"mac\": ")
        .nth(1)
        .unwrap()
        .split(',')
        .next()
        .unwrap();
    for other in [
        "\"\"",
        "\"00\"",
        "null",
        &mac.to_uppercase(),
        &format!("\"{}\"", "0".repeat(64)),
    ] {
        assert_refused(&written, text.replace(mac, other).as_bytes());
    }
    let without = text.replace(&format!("  \"mac\": {mac},\n"), "");
    assert_refused(&written, without.as_bytes());
}

#[test]
fn the_manifest_of_another_backup_is_refused() {
    let written = backup();
    let other = write(
        &key(),
        2,
        64,
        &[("memories", b"one\ntwo\n"), ("agents", b"")],
    );
    assert_refused(&written, &other.manifest);
}

/// The MAC alone would not tell: same data key, as after a bad generator.
#[test]
fn a_manifest_that_does_not_fit_the_rows_is_refused() {
    let written = backup();
    let other = write(
        &key(),
        1,
        64,
        &[("memories", b"one\ntwo\nthree\n"), ("agents", b"")],
    );
    let mut reader = Reader::open(&written.file[..], &key()).unwrap();
    reader.expect_manifest(&other.manifest).unwrap();
    assert_refused(&written, &other.manifest);
}

#[test]
fn a_manifest_is_shown_without_a_key_and_refused_with_it() {
    let written = backup();
    let text = String::from_utf8(written.manifest.clone()).unwrap();
    let edited = text.replace("\"rows\": 2", "\"rows\": 3");
    let manifest = Manifest::parse_unverified(edited.as_bytes()).unwrap();
    assert_eq!(manifest.counts[0].rows, 3);
    assert_refused(&written, edited.as_bytes());
    assert!(Manifest::parse_unverified(b"{}").is_err());
}

#[test]
fn a_backup_is_inspected_without_a_key() {
    let written = backup();
    let inspection = inspect(&written.file[..]).unwrap();
    assert_eq!(inspection.kdf, Kdf::Raw);
    assert_eq!(inspection.header.sections.len(), 2);
    let verified = verify(&written.file[..], &key(), None).unwrap();
    assert_eq!(inspection.header, verified.header);
    for length in 0..ENVELOPE_LEN + 100 {
        assert!(inspect(&written.file[..length]).is_err());
    }
}
