//! Exports: a file proves itself, or says what is wrong.

use std::io::{BufReader, Read};

use proptest::prelude::*;

use super::*;

/// Seals of events 1..=10 and 11..=20 and of versions 1..=5, with all rows; version 3 is erased, and
/// event 12 is the receipt.
fn export(key: Option<&SealKey>) -> Vec<String> {
    let mut receipt = event(12);
    receipt.event = "forget".into();
    receipt.payload = r#"{"history_ids": [3]}"#.into();
    let row = |id: i64| if id == 12 { receipt.clone() } else { event(id) };

    let first: Vec<Leaf> = (1..=10).map(|id| row(id).leaf()).collect();
    let second: Vec<Leaf> = (11..=20).map(|id| row(id).leaf()).collect();
    let versions: Vec<Leaf> = (1..=5).map(|id| version(id).leaf()).collect();
    let mut builder = BatchBuilder::new(Table::History, 0);
    for leaf in &versions {
        builder.push(leaf).expect("ascending ids");
    }
    let batch = builder.finish(5).expect("a range");

    let mut seals = vec![seal_events(&first, 0, 10, None, key)];
    seals.push(Seal::new(&batch, seals.last(), 5, key));
    seals.push(seal_events(&second, 10, 20, seals.last(), key));

    let mut lines = vec![
        seal_line(&seals[0], None),
        seal_line(&seals[1], Some(&versions)),
        seal_line(&seals[2], Some(&second)),
    ];
    lines.extend((1..=22).map(|id| event_line(&row(id))));
    lines.extend([1, 2, 4, 5].map(|id| history_line(&version(id))));
    lines
}

fn verify(lines: &[String], key: Option<&SealKey>) -> ExportReport {
    let trust = Trust {
        keys: key.map(std::slice::from_ref).unwrap_or_default(),
        ..Trust::default()
    };
    verify_export(lines.join("\n").as_bytes(), &trust).expect("no error of the reader")
}

#[test]
fn an_untouched_export_is_intact() {
    for key in [None, Some(&key())] {
        let report = verify(&export(key), key);
        assert!(report.is_intact(), "{report:?}");
        assert_eq!((report.seals, report.events, report.history), (3, 22, 4));
        assert_eq!((report.batches.len(), report.unsealed), (3, 2));
        assert_eq!(report.batches[2].erased_rows, 1);
    }
}

#[test]
fn what_cannot_be_told_is_no_verdict() {
    use super::Unknown::*;
    let (key, other) = (key(), SealKey::new([8; 32]));
    let told = |lines: &[String], key| verify(lines, key).conclusion();
    let keyed = export(Some(&key));
    let rubbish = ["rubbish".to_owned(), String::new()];
    for key in [None, Some(&key)] {
        assert_eq!(told(&[], key), Conclusion::Unknown(NoExport));
        assert_eq!(told(&rubbish, key), Conclusion::Unknown(NoExport));
        assert_eq!(told(&keyed[3..], key), Conclusion::Unknown(NotSealed));
    }
    assert_eq!(told(&keyed, Some(&key)), Conclusion::Intact);
    assert_eq!(told(&export(None), None), Conclusion::Intact);
    for wrong in [None, Some(&other)] {
        assert_eq!(told(&keyed, wrong), Conclusion::Unknown(KeyMissing));
        for place in [1, 3 + 14, keyed.len() - 1] {
            let mut less = keyed.clone();
            less.remove(place);
            assert_eq!(told(&less, wrong), Conclusion::Altered, "{place}");
        }
    }
    // All seals without a key, where there is one: anybody can make them.
    assert_eq!(told(&export(None), Some(&key)), Conclusion::Altered);
}

#[test]
fn lines_survive_reading_and_rewriting() {
    let mut row = event(3);
    row.payload = "{\"a\": \"\\u00e9 \\\" \\\\ \u{1f600}\\n\", \"n\": 1.50}".into();
    row.agent_id = Some("a\"\n\t\u{7f}".into());
    let line = event_line(&row);
    assert!(!line.contains('\n'));
    let value: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    let rewritten = value["event"].to_string();
    let read: EventFields = serde_json::from_str(&rewritten).expect("an event");
    assert_eq!(read, row);
    assert_eq!(leaf_hash(&read), leaf_hash(&row));

    let row = version(1);
    let value: serde_json::Value = serde_json::from_str(&history_line(&row)).expect("JSON");
    let rewritten = value["history"].to_string();
    let read: HistoryFields = serde_json::from_str(&rewritten).expect("a version");
    assert_eq!(read, row);
}

#[test]
fn what_was_changed_is_named() {
    let key = key();
    let lines = export(Some(&key));
    let with = |edit: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        edit(&mut lines);
        verify(&lines, Some(&key))
    };
    // The second batch of events has kept leaves, the first has none.
    let report = with(&|lines| drop(lines.remove(3 + 14)));
    assert_eq!(report.batches[1].faults, [RowFault::Missing { id: 15 }]);
    let report = with(&|lines| drop(lines.remove(3 + 4)));
    assert_eq!(
        report.batches[0].faults,
        [RowFault::MissingRows { count: 1 }]
    );
    let report = with(&|lines| lines[3 + 14] = lines[3 + 14].replace("\"add\"", "\"del\""));
    assert_eq!(report.batches[1].faults, [RowFault::Edited { id: 15 }]);
    let report = with(&|lines| lines.swap(3 + 14, 3 + 15));
    assert_eq!(report.batches[1].faults, [RowFault::Reordered { id: 15 }]);
    let report = with(&|lines| lines[0] = lines[0].replace("\"rows\":10", "\"rows\":11"));
    assert_eq!(report.chain, [ChainFault::Edited { number: 1 }]);
    assert!(!report.is_intact());
    let report = with(&|lines| drop(lines.remove(2)));
    assert_eq!((report.chain, report.unsealed), (vec![], 12));
    let report = with(&|lines| drop(lines.remove(0)));
    assert_eq!(report.chain, [ChainFault::TruncatedHead { first: 2 }]);
    assert_eq!(report.uncovered.len(), 10);
    // A receipt that was edited is none.
    let report = with(&|lines| lines[3 + 11] = lines[3 + 11].replace("[3]", "[3, 4]"));
    assert_eq!(report.batches[1].faults, [RowFault::Edited { id: 12 }]);
    assert_eq!(report.batches[2].faults, [RowFault::Missing { id: 3 }]);
    // Nor does it stand for other rows.
    let report = with(&|lines| drop(lines.pop()));
    assert_eq!(report.batches[2].faults, [RowFault::Missing { id: 5 }]);
}

#[test]
fn lines_that_are_none_are_counted_and_not_shown() {
    let mut lines = export(None);
    lines.insert(1, String::new());
    lines.insert(2, "{\"event\": {\"event_id\": \"hunter2\"}}".to_owned());
    lines.insert(3, "hunter2".to_owned());
    lines.insert(4, "{\"seal\": {\"number\": 1}, \"event\": {}}".to_owned());
    lines.insert(5, lines[0].replace("\"root\":\"", "\"root\":\"0"));
    lines.insert(6, lines[0].replace("\"seal\":{", "\"seal\":{\"x\":1,"));
    let report = verify(&lines, None);
    let expected: Vec<_> = (3..=7).map(|line| LineFault::Malformed { line }).collect();
    assert_eq!(report.lines, expected);
    assert!(!report.is_intact());
    assert!(!format!("{report:?}").contains("hunter2"));
    assert!(
        report
            .batches
            .iter()
            .all(|batch| batch.verdict == Verdict::Intact)
    );
}

#[test]
fn a_line_without_end_is_not_kept() {
    let long = std::io::repeat(b'x').take(2 * MAX_LINE_BYTES as u64 + 7);
    let rest = format!("\n{}", export(None).join("\n"));
    let reader = BufReader::with_capacity(1 << 20, long.chain(rest.as_bytes()));
    let report = verify_export(reader, &Trust::default()).expect("no error of the reader");
    assert_eq!(report.lines, [LineFault::TooLong { line: 1 }]);
    assert_eq!(report.seals, 3);
}

#[test]
fn an_error_of_the_reader_is_one() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("broken"))
        }
    }
    assert!(verify_export(BufReader::new(Broken), &Trust::default()).is_err());
}

proptest! {
    #[test]
    fn no_line_of_an_export_can_go_or_change(
        place in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        what in 0..4,
    ) {
        let key = key();
        let lines = export(Some(&key));
        let mut changed = lines.clone();
        let place = place.index(lines.len());
        match what {
            0 => drop(changed.remove(place)),
            1 => changed.insert(other.index(lines.len()), lines[place].clone()),
            2 => {
                // One character less.
                let at = other.index(lines[place].len());
                changed[place].remove(at);
            }
            _ => changed.truncate(place),
        }
        let last: serde_json::Value = serde_json::from_str(&lines[2]).expect("JSON");
        let mac = last["seal"]["mac"].as_str().unwrap_or_default();
        let trust = Trust {
            keys: std::slice::from_ref(&key),
            start: None,
            end: Some(Anchor { number: 3, mac: hash(mac) }),
        };
        let report = verify_export(changed.join("\n").as_bytes(), &trust).expect("no error of the reader");
        // The two events after the last seal are nobody's yet.
        let is_unsealed = (3 + 20..3 + 22).contains(&place) && what != 3;
        if !is_unsealed {
            prop_assert!(!report.is_intact(), "{}: {:?}", what, report);
        }
    }

    #[test]
    fn nothing_makes_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300), at in any::<prop::sample::Index>()) {
        let mut text = export(None).join("\n").into_bytes();
        let at = at.index(text.len());
        text.splice(at..at, bytes.iter().copied());
        prop_assert!(verify_export(text.as_slice(), &Trust::default()).is_ok());
        prop_assert!(verify_export(bytes.as_slice(), &Trust::default()).is_ok());
    }

    #[test]
    fn numbers_survive(importance in any::<f32>().prop_filter("finite", |n| n.is_finite()), times in any::<[i64; 3]>()) {
        let mut row = version(1);
        row.importance = importance;
        row.created_at = times[0];
        row.expires_at = Some(times[1]);
        row.valid_from = times[2];
        let value: serde_json::Value = serde_json::from_str(&history_line(&row)).expect("JSON");
        let text = value["history"].to_string();
        let read: HistoryFields = serde_json::from_str(&text).expect("a version");
        prop_assert_eq!(read.leaf(), row.leaf());
    }
}
