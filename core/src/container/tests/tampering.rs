//! Whatever is done to a backup, it is refused.

use std::ops::Range;

use super::*;

const ROWS: &[u8] = b"a first row of content\na second row\nand a third one, a little longer\n";

fn backup() -> Vec<u8> {
    write(&key(), 1, 64, &[("memories", ROWS)]).file
}

/// Where the JSON of the header is.
fn header_json(file: &[u8]) -> Range<usize> {
    let start = ENVELOPE_LEN + 4;
    let length = file[ENVELOPE_LEN..start].try_into().unwrap();
    start..start + u32::from_be_bytes(length) as usize
}

/// Where each chunk is, with its length.
fn chunks(file: &[u8]) -> Vec<Range<usize>> {
    let mut start = header_json(file).end + 16;
    let mut chunks = Vec::new();
    while start < file.len() {
        let length = file[start..start + 4].try_into().unwrap();
        let end = start + 4 + u32::from_be_bytes(length) as usize;
        chunks.push(start..end);
        start = end;
    }
    chunks
}

/// The file with these parts instead of its chunks.
fn with_chunks(file: &[u8], chunks: &[&[u8]]) -> Vec<u8> {
    let body = header_json(file).end + 16;
    [&file[..body], &chunks.concat()].concat()
}

fn with_json(file: &[u8], from: &str, to: &str) -> Vec<u8> {
    let range = header_json(file);
    let json = std::str::from_utf8(&file[range.clone()]).unwrap();
    assert!(json.contains(from), "{json}");
    let json = json.replace(from, to);
    let length = (json.len() as u32).to_be_bytes();
    [
        &file[..ENVELOPE_LEN],
        &length,
        json.as_bytes(),
        &file[range.end..],
    ]
    .concat()
}

#[test]
fn every_flipped_bit_is_refused() {
    let file = backup();
    for at in 0..file.len() {
        for bit in 0..8 {
            let mut edited = file.clone();
            edited[at] ^= 1 << bit;
            let error = refusal(&edited, &key());
            match error {
                ContainerError::NotABackup => assert!(at < 8, "{at}"),
                ContainerError::UnsupportedVersion { .. } => assert!((8..10).contains(&at), "{at}"),
                ContainerError::Damaged => assert!(at >= 10, "{at}"),
                other => panic!("byte {at}: {other}"),
            }
        }
    }
}

#[test]
fn every_flipped_bit_of_the_envelope_of_a_passphrase_is_refused() {
    let secret = Secret::passphrase("correct horse").unwrap();
    let file = write(&secret, 1, 64, &[]).file;
    for at in 10..ENVELOPE_LEN {
        for bit in 0..8 {
            let mut edited = file.clone();
            edited[at] ^= 1 << bit;
            match refusal(&edited, &secret) {
                ContainerError::Damaged | ContainerError::KdfCost(_) => (),
                other => panic!("byte {at}: {other}"),
            }
        }
    }
}

#[test]
fn every_cut_is_refused() {
    let file = backup();
    for length in 0..file.len() {
        match refusal(&file[..length], &key()) {
            ContainerError::Empty => assert_eq!(length, 0),
            ContainerError::Truncated { bytes } => {
                assert!(length < ENVELOPE_LEN && bytes == length)
            }
            ContainerError::Damaged => assert!(length >= ENVELOPE_LEN),
            other => panic!("{length} bytes: {other}"),
        }
    }
}

#[test]
fn every_missing_byte_and_every_byte_too_many_is_refused() {
    let file = backup();
    for at in 0..file.len() {
        let mut shorter = file.clone();
        shorter.remove(at);
        verify(&shorter[..], &key(), None).unwrap_err();
        let mut longer = file.clone();
        longer.insert(at, file[at]);
        verify(&longer[..], &key(), None).unwrap_err();
    }
    for end in [&b"\0"[..], b"\n", &[0; 4], &[0; 100], &file] {
        assert_damaged(&[&file, end].concat(), &key());
    }
}

#[test]
fn chunks_that_are_moved_repeated_or_left_out_are_refused() {
    let file = backup();
    let chunks: Vec<&[u8]> = chunks(&file)
        .into_iter()
        .map(|range| &file[range])
        .collect();
    assert!(chunks.len() > 4);
    assert_eq!(with_chunks(&file, &chunks), file);
    for at in 0..chunks.len() {
        let mut without = chunks.clone();
        without.remove(at);
        assert_damaged(&with_chunks(&file, &without), &key());
        for to in 0..chunks.len() {
            let mut repeated = chunks.clone();
            repeated.insert(to, chunks[at]);
            assert_damaged(&with_chunks(&file, &repeated), &key());
            if to != at {
                let mut swapped = chunks.clone();
                swapped.swap(at, to);
                assert_damaged(&with_chunks(&file, &swapped), &key());
            }
        }
    }
    assert_damaged(&with_chunks(&file, &[]), &key());
}

#[test]
fn parts_of_another_backup_are_refused() {
    let file = backup();
    let other = write(&key(), 2, 64, &[("memories", ROWS)]).file;
    let body = header_json(&file).end + 16;
    assert_eq!(file.len(), other.len());
    for at in [ENVELOPE_LEN, body, chunks(&file)[1].start] {
        assert_damaged(&[&file[..at], &other[at..]].concat(), &key());
        assert_damaged(&[&other[..at], &file[at..]].concat(), &key());
    }
    for range in chunks(&file) {
        let mut edited = file.clone();
        edited[range.clone()].copy_from_slice(&other[range]);
        assert_damaged(&edited, &key());
    }
}

/// The worst case of a bad generator: even with the same data key, a chunk does not open under
/// another header.
#[test]
fn chunks_belong_to_their_header() {
    let file = write(&key(), 1, 64, &[("memories", ROWS)]).file;
    let other = write(&key(), 1, 64, &[("Memories", ROWS)]).file;
    let body = header_json(&file).end + 16;
    assert_damaged(&[&file[..body], &other[body..]].concat(), &key());
}

#[test]
fn an_edited_header_is_refused() {
    let file = backup();
    for (from, to) in [
        (
            "\"includes_sensitive\":false",
            "\"includes_sensitive\":true",
        ),
        ("\"project\":null", "\"project\":\"a\""),
        ("\"chunk_size\":64", "\"chunk_size\":65"),
        ("\"chunk_size\":64", "\"chunk_size\":4294967295"),
        ("\"store_version\":\"2.0.0\"", "\"store_version\":\"1.0.0\""),
        ("\"type\":\"text\"", "\"type\":\"json\""),
        ("\"memories\"", "\"agents\""),
        ("{\"backup_id\"", "{ \"backup_id\""),
    ] {
        assert_damaged(&with_json(&file, from, to), &key());
    }
    assert_eq!(with_json(&file, "AES-256-GCM", "AES-256-GCM"), file);
}

/// A text is refused before the costs that it asks for are spent: 4 TiB would not be there.
#[test]
fn hostile_costs_are_refused() {
    let secret = Secret::passphrase("correct horse").unwrap();
    let file = write(&secret, 1, 64, &[]).file;
    let with_cost = |m_cost: u32, t_cost: u32, p_cost: u32| {
        let json = std::str::from_utf8(&file[12..ENVELOPE_LEN]).unwrap();
        let json = json.trim_end_matches('\0').replace(
            "\"m_cost\":8,\"t_cost\":1,\"p_cost\":1",
            &format!("\"m_cost\":{m_cost},\"t_cost\":{t_cost},\"p_cost\":{p_cost}"),
        );
        let mut edited = [
            &file[..10],
            &(json.len() as u16).to_be_bytes()[..],
            json.as_bytes(),
        ]
        .concat();
        edited.resize(ENVELOPE_LEN, 0);
        edited.extend(&file[ENVELOPE_LEN..]);
        refusal(&edited, &secret).to_string()
    };
    assert_eq!(
        with_cost(262_145, 1, 1),
        "asks for m_cost 262145 KiB, t_cost 1, p_cost 1 to derive its key, over the limit of \
         m_cost 262144 KiB, t_cost 16, p_cost 4"
    );
    assert!(with_cost(u32::MAX, 1, 1).starts_with("asks for"));
    assert!(with_cost(8, 17, 1).starts_with("asks for"));
    assert!(with_cost(8, u32::MAX, 1).starts_with("asks for"));
    assert!(with_cost(64, 1, 5).starts_with("asks for"));
    // Too little for the KDF to be defined, and within the limits but not what was written.
    for (m_cost, t_cost, p_cost) in [
        (0, 1, 1),
        (7, 1, 1),
        (8, 0, 1),
        (8, 1, 0),
        (8, 1, 2),
        (16, 1, 1),
    ] {
        assert_eq!(
            with_cost(m_cost, t_cost, p_cost),
            "wrong key or damaged backup"
        );
    }
}

#[test]
fn hostile_lengths_are_refused() {
    let file = backup();
    let header = header_json(&file);
    for length in [
        0,
        1,
        (header.len() - 1) as u32,
        1 << 20,
        (1 << 20) + 1,
        u32::MAX,
    ] {
        let mut edited = file.clone();
        edited[ENVELOPE_LEN..header.start].copy_from_slice(&length.to_be_bytes());
        assert_damaged(&edited, &key());
    }
    for chunk in chunks(&file) {
        for length in [0, 1, 15, 16, 79, 81, u32::MAX] {
            let mut edited = file.clone();
            edited[chunk.start..chunk.start + 4].copy_from_slice(&u32::to_be_bytes(length));
            assert_damaged(&edited, &key());
        }
    }
    for length in [0, 1, 1012, 1013, u16::MAX] {
        let mut edited = file.clone();
        edited[10..12].copy_from_slice(&length.to_be_bytes());
        assert_damaged(&edited, &key());
    }
}

#[test]
fn what_is_not_a_backup_is_named() {
    let message = |file: &[u8]| refusal(file, &key()).to_string();
    assert_eq!(message(b""), "is empty, expected a backup");
    assert_eq!(
        message(b"M"),
        "ends after 1 bytes, inside the key envelope of 1024"
    );
    assert_eq!(message(b"PGDMP"), "is not a backup of memory_ext");
    assert_eq!(message(&[0; 5000]), "is not a backup of memory_ext");
    let mut file = backup();
    file[9] = 2;
    assert_eq!(message(&file), "has format version 2, supported is 1");
    // Of a newer version, the envelope may be shorter.
    assert_eq!(message(&file[..10]), "has format version 2, supported is 1");
    assert_eq!(
        message(&backup()[..10]),
        "ends after 10 bytes, inside the key envelope of 1024"
    );
}

#[test]
fn an_envelope_in_another_form_is_refused() {
    let file = backup();
    let json = std::str::from_utf8(&file[12..ENVELOPE_LEN]).unwrap();
    let json = json.trim_end_matches('\0');
    let with = |json: &str| {
        let mut edited = [
            &file[..10],
            &(json.len() as u16).to_be_bytes()[..],
            json.as_bytes(),
        ]
        .concat();
        edited.resize(ENVELOPE_LEN, 0);
        edited.extend(&file[ENVELOPE_LEN..]);
        edited
    };
    assert_eq!(with(json), file);
    for edited in [
        "{}".to_owned(),
        String::new(),
        format!("{json} "),
        json.replace(':', ": "),
        json.replace("\"raw\"", "\"none\""),
        json.replace("\"raw\"", "\"argon2id\""),
        json.replace(
            "\"raw\",",
            "\"raw\",\"m_cost\":8,\"t_cost\":1,\"p_cost\":1,",
        ),
        json.replace("\"kdf\"", "\"kdf\":\"raw\",\"kdf\""),
        json.replace("\"kdf\"", "\"more\":1,\"kdf\""),
        json.to_uppercase().replace("RAW", "raw"),
        json.replace("\"salt\":\"", "\"salt\":\"00"),
        json.replace("raw", "r\\u0061w"),
    ] {
        assert_damaged(&with(&edited), &key());
    }
}

/// Records that only somebody with the key can write, who may be hostile all the same.
mod records {
    use super::*;
    use crate::container::chunk::ChunkWriter;
    use crate::container::envelope::Envelope;
    use crate::container::keys::DataKey;

    /// An authentic backup of the one table `t` with these bytes as its records.
    fn with_records(records: &[u8]) -> Vec<u8> {
        let Randomness { data_key, wrap } = randomness(1);
        let data_key = DataKey(data_key);
        let header = Header {
            chunk_size: 64,
            ..header(vec![section("t", &[("c", "text")])])
        };
        let mut chunks = ChunkWriter::new(
            Vec::new(),
            &Envelope::seal(&data_key, &key(), CHEAP, &wrap)
                .unwrap()
                .encode()
                .unwrap(),
            &header.encode(&data_key).unwrap(),
            64,
            &data_key,
        )
        .unwrap();
        chunks.write(records).unwrap();
        chunks.finish().unwrap().0
    }

    fn record(kind: u8, content: &str) -> Vec<u8> {
        let length = (content.len() as u32).to_be_bytes();
        [&[kind], &length[..], content.as_bytes()].concat()
    }

    fn start() -> Vec<u8> {
        record(1, r#"{"table":"t","columns":[{"name":"c","type":"text"}]}"#)
    }

    fn end() -> Vec<u8> {
        // SHA-256 of "x\n".
        let hash = "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac";
        record(3, &format!(r#"{{"rows":1,"sha256":"{hash}"}}"#))
    }

    fn trailer() -> Vec<u8> {
        record(4, r#"{"counts":[{"table":"t","rows":1}]}"#)
    }

    #[test]
    fn records_in_order_are_read() {
        let file = with_records(&[start(), record(2, "x\n"), end(), trailer()].concat());
        assert_eq!(
            read(&file, &key()).unwrap(),
            [("t".to_owned(), b"x\n".to_vec())]
        );
    }

    #[test]
    fn records_out_of_order_are_refused() {
        let rows = || record(2, "x\n");
        let other = record(1, r#"{"table":"u","columns":[{"name":"c","type":"text"}]}"#);
        let more = record(
            3,
            &String::from_utf8(end()).unwrap()[5..].replace(":1", ":2"),
        );
        let hash = record(
            3,
            &String::from_utf8(end()).unwrap()[5..].replace("73cb", "73cc"),
        );
        let miscounted = record(4, r#"{"counts":[{"table":"t","rows":2}]}"#);
        for records in [
            vec![],
            vec![trailer()],
            vec![rows()],
            vec![end()],
            vec![start(), rows(), end()],
            vec![start(), rows(), trailer()],
            vec![start(), rows(), start(), end(), trailer()],
            vec![start(), rows(), end(), start(), rows(), end(), trailer()],
            vec![start(), rows(), end(), rows(), trailer()],
            vec![start(), rows(), end(), trailer(), trailer()],
            vec![start(), rows(), end(), trailer(), vec![0]],
            vec![start(), rows(), end(), trailer(), vec![0; 200]],
            vec![start(), rows(), rows(), end(), trailer()],
            vec![start(), end(), trailer()],
            vec![other, rows(), end(), trailer()],
            vec![start(), rows(), more, trailer()],
            vec![start(), rows(), hash, trailer()],
            vec![start(), rows(), end(), miscounted],
            vec![start(), rows(), end(), record(4, "{}")],
            vec![start(), rows(), end(), record(4, r#"{"counts":[]}"#)],
            vec![start(), record(2, "x"), record(2, "\n"), end(), trailer()],
            vec![start(), record(2, ""), rows(), end(), trailer()],
            vec![start(), record(0, "x\n"), end(), trailer()],
            vec![start(), record(5, "x\n"), end(), trailer()],
            vec![record(1, "not JSON"), rows(), end(), trailer()],
        ] {
            assert_damaged(&with_records(&records.concat()), &key());
        }
    }

    /// Were memory taken for what a length says, this would need 4 GiB.
    #[test]
    fn hostile_lengths_of_records_are_refused() {
        for kind in 0..=5 {
            for length in [1 << 20, (1 << 20) + 1, 1 << 30, (1 << 30) + 1, u32::MAX] {
                let head = [&[kind], &u32::to_be_bytes(length)[..]].concat();
                assert_damaged(&with_records(&head), &key());
                assert_damaged(&with_records(&[start(), head].concat()), &key());
            }
        }
    }

    #[test]
    fn after_an_error_a_reader_gives_nothing() {
        let file = with_records(&[start(), record(5, "x\n"), end(), trailer()].concat());
        let mut reader = Reader::open(&file[..], &key()).unwrap();
        reader.next_event().unwrap();
        for _ in 0..3 {
            assert!(matches!(reader.next_event(), Err(ContainerError::Damaged)));
        }
    }
}
