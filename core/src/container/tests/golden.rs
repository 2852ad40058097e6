//! Backups of format 1 in `core/tests/data`, which every later version must read. They are never
//! made again; [`the_writer_still_writes_the_golden_backups`] says what they were made from.

use super::*;

const GOLDEN: [(&[u8], &[u8]); 2] = [
    (
        include_bytes!("../../../tests/data/format-1-key.backup"),
        include_bytes!("../../../tests/data/format-1-key.backup.manifest.json"),
    ),
    (
        include_bytes!("../../../tests/data/format-1-passphrase.backup"),
        include_bytes!("../../../tests/data/format-1-passphrase.backup.manifest.json"),
    ),
];

const MEMORIES: &[u8] = b"\
1\tfirst memory\t{\"tag\": \"a\"}\tt\t0.5\t[1,0.25,-3e-05]\n\
2\ttab \\t newline \\n backslash \\\\ gr\xc3\xbcn\t{}\tf\t\\N\t\\N\n\
3\t\t{\"n\": 12345678901234567890.5}\tf\tNaN\t[0,0,1]\n";
const VOTES: &[u8] = b"7\t1\n";

fn secrets() -> [Secret; 2] {
    let key: Vec<u8> = (0..32).map(|at| at * 7 + 1).collect();
    [
        Secret::key(&key).unwrap(),
        Secret::passphrase("correct horse battery staple").unwrap(),
    ]
}

fn golden_header() -> Header {
    Header {
        chunk_size: 100,
        includes_sensitive: true,
        project: Some("gr\u{fc}n".to_owned()),
        ..header(vec![
            section(
                "memories",
                &[
                    ("id", "bigint"),
                    ("content", "text"),
                    ("metadata", "jsonb"),
                    ("is_sensitive", "boolean"),
                    ("importance", "real"),
                    ("embedding", "vector(3)"),
                ],
            ),
            section("agents", &[("id", "text")]),
            section("vote_history", &[("id", "bigint"), ("memory_id", "text")]),
        ])
    }
}

fn made() -> Vec<Finished<Vec<u8>>> {
    let make = |(secret, seed)| {
        let mut writer =
            Writer::new(Vec::new(), golden_header(), secret, randomness(seed)).unwrap();
        for (table, lines) in [
            ("memories", MEMORIES),
            ("agents", b""),
            ("vote_history", VOTES),
        ] {
            writer.start_section(table).unwrap();
            writer.rows(lines).unwrap();
            writer.end_section().unwrap();
        }
        writer.finish().unwrap()
    };
    secrets().iter().zip([0xa5, 0x5a]).map(make).collect()
}

#[test]
fn golden_backups_are_read() {
    for ((file, manifest), secret) in GOLDEN.into_iter().zip(secrets()) {
        let verified = verify(file, &secret, Some(manifest)).unwrap();
        assert_eq!(verified.header, golden_header());
        let tables = [
            ("memories", MEMORIES),
            ("agents", b""),
            ("vote_history", VOTES),
        ]
        .map(|(table, lines)| (table.to_owned(), lines.to_vec()));
        assert_eq!(read(file, &secret).unwrap(), tables);
    }
}

/// While format 1 is the one that is written, it is written the same.
#[test]
fn the_writer_still_writes_the_golden_backups() {
    for (made, (file, manifest)) in made().into_iter().zip(GOLDEN) {
        assert!(made.output == file);
        assert!(made.manifest.to_json().unwrap() == manifest);
    }
}
