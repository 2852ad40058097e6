//! What is written is read.

use std::io;

use proptest::prelude::*;

use super::*;

const TABLES: [(&str, &[u8]); 3] = [
    ("memories", b"one\ntwo\\n\n\\N\n"),
    ("vote_history", b""),
    ("agents", b"\n\n"),
];

#[test]
fn rows_are_read_as_they_were_written() {
    for chunk_size in [16, 17, 64, 1000, DEFAULT_CHUNK_SIZE] {
        let written = write(&key(), 1, chunk_size, &TABLES);
        let tables: Vec<_> = TABLES
            .iter()
            .map(|(table, lines)| (table.to_string(), lines.to_vec()))
            .collect();
        assert_eq!(read(&written.file, &key()).unwrap(), tables, "{chunk_size}");
        assert_eq!(written.summary.bytes, written.file.len() as u64);
        let rows: Vec<_> = written
            .summary
            .counts
            .iter()
            .map(|count| count.rows)
            .collect();
        assert_eq!(rows, [3, 0, 2]);
        let verified = verify(&written.file[..], &key(), Some(&written.manifest)).unwrap();
        assert_eq!(verified.summary, written.summary);
        assert_eq!(verified.manifest.to_json().unwrap(), written.manifest);
    }
}

#[test]
fn the_summary_has_the_hashes_of_the_file() {
    use sha2::{Digest, Sha256};
    let Written { file, summary, .. } = write(&key(), 1, 64, &TABLES);
    let hex = |bytes: &[u8]| base16ct::lower::encode_string(&Sha256::digest(bytes));
    assert_eq!(summary.sha256, hex(&file));
    assert_eq!(summary.body_sha256, hex(&file[ENVELOPE_LEN..]));
}

#[test]
fn a_backup_of_no_sections_is_a_backup() {
    let written = write(&key(), 1, DEFAULT_CHUNK_SIZE, &[]);
    assert_eq!(read(&written.file, &key()).unwrap(), []);
    assert_eq!(written.summary.counts, []);
}

#[test]
fn events_come_in_the_order_of_the_sections() {
    let written = write(&key(), 1, DEFAULT_CHUNK_SIZE, &TABLES[..2]);
    let mut reader = Reader::open(&written.file[..], &key()).unwrap();
    assert_eq!(reader.kdf(), Kdf::Raw);
    assert_eq!(reader.manifest().unwrap(), None);
    let sections = reader.header().sections.clone();
    let count = |table: &str, rows| TableCount {
        table: table.to_owned(),
        rows,
    };
    for expected in [
        Event::SectionStart(&sections[0]),
        Event::Rows(TABLES[0].1),
        Event::SectionEnd(&count("memories", 3)),
        Event::SectionStart(&sections[1]),
        Event::SectionEnd(&count("vote_history", 0)),
        Event::End(&written.summary),
        Event::End(&written.summary),
    ] {
        assert_eq!(reader.next_event().unwrap(), expected);
    }
}

#[test]
fn a_passphrase_opens_what_it_closed() {
    let secret = Secret::passphrase("correct horse battery staple").unwrap();
    let written = write(&secret, 1, 64, &TABLES);
    let verified = verify(&written.file[..], &secret, Some(&written.manifest)).unwrap();
    assert_eq!(verified.kdf, Kdf::Argon2id(CHEAP));
}

#[test]
fn a_line_longer_than_a_chunk_and_a_block_is_one_record() {
    let mut lines = vec![b'x'; 300_000];
    lines.extend(b"\nshort\n");
    let written = write(&key(), 1, 5000, &[("memories", &lines)]);
    let mut reader = Reader::open(&written.file[..], &key()).unwrap();
    reader.next_event().unwrap();
    assert_eq!(reader.next_event().unwrap(), Event::Rows(&lines[..300_001]));
    assert_eq!(reader.next_event().unwrap(), Event::Rows(b"short\n"));
}

#[test]
fn a_long_line_in_many_pieces_takes_linear_time() {
    let header = header(vec![section("memories", &[("content", "text")])]);
    let mut writer = Writer::new(io::sink(), header, &key(), randomness(1)).unwrap();
    writer.start_section("memories").unwrap();
    for _ in 0..400_000 {
        writer.rows(b"0123456789").unwrap();
    }
    writer.rows(b"\n").unwrap();
    assert_eq!(writer.end_section().unwrap(), 1);
    writer.finish().unwrap();
}

#[test]
fn calls_out_of_order_are_refused() {
    let header = header(vec![
        section("memories", &[("content", "text")]),
        section("agents", &[("id", "text")]),
    ]);
    let mut writer = Writer::new(Vec::new(), header, &key(), randomness(1)).unwrap();
    let text = |result: Result<_, ContainerError>| match result {
        Err(ContainerError::Order(text)) => text,
        _ => panic!("expected an error of order"),
    };
    assert_eq!(text(writer.rows(b"x\n")), "rows outside a section");
    assert_eq!(text(writer.end_section().map(drop)), "no section to end");
    assert_eq!(
        text(writer.start_section("agents")),
        "the section \"agents\" starts, expected \"memories\""
    );
    writer.start_section("memories").unwrap();
    assert_eq!(
        text(writer.start_section("agents")),
        "the section \"memories\" has not ended"
    );
    writer.rows(b"half a").unwrap();
    assert_eq!(
        text(writer.end_section().map(drop)),
        "the section \"memories\" ends inside a line, expected a newline"
    );
    writer.rows(b" line\n").unwrap();
    assert_eq!(writer.end_section().unwrap(), 1);
    writer.start_section("agents").unwrap();
    assert_eq!(writer.end_section().unwrap(), 0);
    assert_eq!(
        text(writer.start_section("more")),
        "the section \"more\" is not in the header, which has no more"
    );
    assert_eq!(text(writer.end_section().map(drop)), "no section to end");
    let file = writer.finish().unwrap().output;
    assert_eq!(read(&file, &key()).unwrap()[0].1, b"half a line\n");
}

#[test]
fn a_backup_without_a_section_of_its_header_is_not_finished() {
    let header = header(vec![section("memories", &[("content", "text")])]);
    let writer = Writer::new(Vec::new(), header, &key(), randomness(1)).unwrap();
    assert_eq!(
        writer.finish().unwrap_err().to_string(),
        "the backup ends without the section \"memories\""
    );
}

#[test]
fn headers_that_no_reader_would_take_are_refused() {
    let memories = section("memories", &[("content", "text")]);
    let refused = |header: Header| {
        Writer::new(io::sink(), header, &key(), randomness(1))
            .err()
            .unwrap()
            .to_string()
    };
    let chunk_size = |chunk_size| Header {
        chunk_size,
        ..header(vec![])
    };
    assert_eq!(
        refused(chunk_size(15)),
        "the chunk size is 15, expected 16 to 16777216"
    );
    assert!(refused(chunk_size(16_777_217)).starts_with("the chunk size is 16777217,"));
    assert_eq!(
        refused(header(vec![memories.clone(), memories])),
        "the table \"memories\" is listed twice"
    );
    assert_eq!(
        refused(header(vec![section("memories", &[])])),
        "the table \"memories\" has no columns"
    );
    let project = Some("x".repeat(2_000_000));
    assert!(
        refused(Header {
            project,
            ..header(vec![])
        })
        .ends_with("over the limit of 1048576")
    );
}

/// Fails once, and then would work again.
struct FailsOnce {
    good: usize,
    written: Vec<u8>,
}

impl io::Write for FailsOnce {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.good == 0 {
            self.good = usize::MAX;
            return Err(io::Error::other("disk full"));
        }
        self.good -= 1;
        self.written.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn after_a_failed_write_nothing_more_is_written() {
    let header = Header {
        chunk_size: 64,
        ..header(vec![section("memories", &[("content", "text")])])
    };
    let output = FailsOnce {
        good: 3,
        written: Vec::new(),
    };
    let mut writer = Writer::new(output, header, &key(), randomness(1)).unwrap();
    // The section's start fills the first chunk.
    let error = writer.start_section("memories").unwrap_err();
    assert_eq!(error.to_string(), "disk full");
    let written = writer.output().written.clone();
    assert!(writer.start_section("memories").is_err());
    assert_eq!(writer.output().written, written);
}

#[test]
fn a_failing_input_is_not_taken_for_a_damaged_backup() {
    struct Fails;
    impl io::Read for Fails {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("unplugged"))
        }
    }
    let file = write(&key(), 1, 64, &TABLES).file;
    for good in [
        0,
        5,
        ENVELOPE_LEN,
        ENVELOPE_LEN + 20,
        file.len() - 1,
        file.len(),
    ] {
        let input = io::Read::chain(&file[..good], Fails);
        let error = verify(input, &key(), None).unwrap_err();
        assert_eq!(error.to_string(), "unplugged", "{good}");
    }
}

#[test]
fn the_output_can_be_emptied_on_the_way() {
    let lines = b"a row of some length\n".repeat(1000);
    let header = Header {
        chunk_size: 256,
        ..header(vec![section("memories", &[("content", "text")])])
    };
    let mut writer = Writer::new(Vec::new(), header, &key(), randomness(1)).unwrap();
    let mut file = Vec::new();
    writer.start_section("memories").unwrap();
    for piece in lines.chunks(1000) {
        writer.rows(piece).unwrap();
        file.append(writer.output());
    }
    writer.end_section().unwrap();
    file.append(&mut writer.finish().unwrap().output);
    assert_eq!(read(&file, &key()).unwrap()[0].1, lines);
}

/// Reads a few bytes at a time, and is interrupted.
struct Trickle<'a> {
    rest: &'a [u8],
    step: usize,
    interrupt: bool,
}

impl io::Read for Trickle<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = bytes.len().min(self.step);
        self.rest.read(&mut bytes[..length])
    }
}

fn any_lines() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        8 => 0..300usize,
        1 => 60_000..140_000usize,
    ];
    prop::collection::vec(line, 0..12).prop_map(|lengths| {
        let line = |(index, length)| {
            let letter = b'a' + (index % 26) as u8;
            std::iter::repeat_n(letter, length).chain([b'\n'])
        };
        lengths.into_iter().enumerate().flat_map(line).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn how_rows_are_cut_changes_nothing(
        lines in any_lines(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..30),
        chunk_size in 16..200_000u32,
        step in 1..5000usize,
    ) {
        let whole = write(&key(), 1, chunk_size, &[("memories", &lines)]);
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(lines.len() + 1)).collect();
        cuts.sort_unstable();
        let header = Header {
            chunk_size,
            ..header(vec![section("memories", &[("content", "text")])])
        };
        let mut writer =
            Writer::with_cost(Vec::new(), header, &key(), CHEAP, randomness(1)).unwrap();
        writer.start_section("memories").unwrap();
        let mut start = 0;
        for cut in cuts.into_iter().chain([lines.len()]) {
            writer.rows(&lines[start..cut]).unwrap();
            start = cut;
        }
        writer.end_section().unwrap();
        let cut = writer.finish().unwrap();
        prop_assert!(cut.output == whole.file);
        prop_assert!(read(&whole.file, &key()).unwrap()[0].1 == lines);
        let input = Trickle { rest: &whole.file, step, interrupt: false };
        prop_assert_eq!(verify(input, &key(), None).unwrap().summary, whole.summary);
    }

    #[test]
    fn any_bytes_are_refused(
        mut file in prop::collection::vec(any::<u8>(), 0..3000),
        real_start in 0..1500usize,
    ) {
        let written = write(&key(), 1, 64, &TABLES).file;
        let length = real_start.min(file.len()).min(written.len());
        file[..length].copy_from_slice(&written[..length]);
        prop_assert!(verify(&file[..], &key(), None).is_err());
        prop_assert!(verify(&file[..], &key(), Some(&file)).is_err());
        let _ = inspect(&file[..]);
    }
}
