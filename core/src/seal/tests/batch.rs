//! Batches: rows that are not those that were sealed are found and named.

use proptest::prelude::*;

use super::*;

fn verify(seal: &Seal, rows: &[Leaf], kept: Option<&[Leaf]>) -> BatchReport {
    verify_batch(seal, rows.iter().copied(), kept, &IdRanges::default())
}

fn ten() -> (Seal, Vec<Leaf>) {
    let rows = leaves((1..=20).filter(|id| id % 2 == 0));
    (seal_events(&rows, 0, 20, None, None), rows)
}

#[test]
fn a_builder_takes_ascending_rows_in_its_range() {
    let mut builder = BatchBuilder::new(Table::Events, 4);
    let leaf = |id| Leaf {
        id,
        digest: [0; 32],
    };
    assert_eq!(
        builder.push(&leaf(4)),
        Err(BatchError::NotAscending { id: 4, after: 4 })
    );
    assert_eq!(builder.push(&leaf(6)), Ok(()));
    assert_eq!(
        builder.push(&leaf(6)),
        Err(BatchError::NotAscending { id: 6, after: 6 })
    );
    assert_eq!(
        builder.clone().finish(5),
        Err(BatchError::EndsBefore {
            through: 5,
            last: 6
        })
    );
    let batch = builder.finish(9).expect("a range");
    assert_eq!((batch.first_id, batch.last_id, batch.rows), (5, 9, 1));
    assert_eq!(batch.root, leaf(6).hash(Table::Events));

    let empty = BatchBuilder::new(Table::History, 4);
    assert!(empty.clone().finish(4).is_err());
    let batch = empty.finish(5).expect("a range");
    assert_eq!((batch.rows, batch.root), (0, MerkleTree::new().root()));
    assert!(
        BatchBuilder::new(Table::Events, i64::MAX)
            .finish(i64::MAX)
            .is_err()
    );
}

#[test]
fn an_untouched_batch_is_intact() {
    let (seal, rows) = ten();
    for kept in [None, Some(&rows[..])] {
        let report = verify(&seal, &rows, kept);
        assert_eq!(report.verdict, Verdict::Intact);
        assert_eq!(
            (report.sealed_rows, report.seen_rows, report.erased_rows),
            (10, 10, 0)
        );
        assert_eq!(report.faults, []);
    }
}

#[test]
fn with_kept_leaves_every_row_is_named() {
    let (seal, rows) = ten();
    let edited = |id: i64| {
        let mut row = event(id);
        row.payload = "{}".into();
        row.leaf()
    };
    use RowFault::*;
    let cases: [(&str, Vec<Leaf>, Vec<RowFault>); 7] = [
        ("deleted", without(&rows, &[4]), vec![Missing { id: 4 }]),
        (
            "edited",
            replaced(&rows, 3, edited(8)),
            vec![Edited { id: 8 }],
        ),
        (
            "added",
            leaves((2..=20).filter(|id| id % 2 == 0 || *id == 7)),
            vec![Unexpected { id: 7 }],
        ),
        ("swapped", swapped(&rows, 1, 2), vec![Reordered { id: 4 }]),
        (
            "repeated",
            [&rows[..], &rows[9..]].concat(),
            vec![Duplicate { id: 20 }],
        ),
        (
            "another id",
            replaced(&rows, 3, event(9).leaf()),
            vec![Unexpected { id: 9 }, Missing { id: 8 }],
        ),
        (
            "all",
            vec![],
            rows.iter().map(|row| Missing { id: row.id }).collect(),
        ),
    ];
    for (what, changed, faults) in cases {
        let report = verify(&seal, &changed, Some(&rows));
        assert_eq!(
            (report.verdict, report.faults),
            (Verdict::Altered, faults),
            "{what}"
        );
    }
}

fn without(rows: &[Leaf], ids: &[i64]) -> Vec<Leaf> {
    rows.iter()
        .filter(|row| !ids.contains(&row.id))
        .copied()
        .collect()
}

fn replaced(rows: &[Leaf], place: usize, row: Leaf) -> Vec<Leaf> {
    let mut rows = rows.to_vec();
    rows[place] = row;
    rows
}

fn swapped(rows: &[Leaf], a: usize, b: usize) -> Vec<Leaf> {
    let mut rows = rows.to_vec();
    rows.swap(a, b);
    rows
}

#[test]
fn without_kept_leaves_the_batch_is_named() {
    let (seal, rows) = ten();
    let foreign = event(99).leaf();
    use RowFault::*;
    let cases: [(Vec<Leaf>, Vec<RowFault>); 5] = [
        (without(&rows, &[4, 6]), vec![MissingRows { count: 2 }]),
        (
            leaves((2..=20).filter(|id| id % 2 == 0 || *id == 7)),
            vec![UnexpectedRows { count: 1 }],
        ),
        (replaced(&rows, 0, event(1).leaf()), vec![RowsDiffer]),
        (swapped(&rows, 1, 2), vec![Reordered { id: 4 }, RowsDiffer]),
        (
            replaced(&rows, 9, foreign),
            vec![Unexpected { id: 99 }, RowsDiffer],
        ),
    ];
    for (changed, faults) in cases {
        let report = verify(&seal, &changed, None);
        assert_eq!((report.verdict, report.faults), (Verdict::Altered, faults));
    }
}

#[test]
fn kept_leaves_are_proven_first() {
    let (seal, rows) = ten();
    let forged = replaced(
        &rows,
        3,
        Leaf {
            id: 8,
            digest: [1; 32],
        },
    );
    let renamed = replaced(&rows, 3, Leaf { id: 9, ..rows[3] });
    for kept in [
        forged,
        renamed,
        rows[1..].to_vec(),
        swapped(&rows, 0, 1),
        vec![],
    ] {
        // Rows that fit forged leaves are no better for it.
        let report = verify(&seal, &kept, Some(&kept));
        assert_eq!(report.verdict, Verdict::Altered);
        assert_eq!(report.faults[0], RowFault::KeptLeavesDiffer);
        assert!(report.faults.len() > 1);
        // The rows alone still verify.
        let report = verify(&seal, &rows, Some(&kept));
        assert_eq!(report.faults, [RowFault::KeptLeavesDiffer]);
    }
}

#[test]
fn erased_rows_need_a_receipt_and_a_leaf() {
    let (seal, rows) = ten();
    let rest = without(&rows, &[4, 6, 8]);
    let receipt: IdRanges = [4, 6, 8, 100].into_iter().collect();
    let check = |rows: &[Leaf], kept: Option<&[Leaf]>, receipt: &IdRanges| {
        verify_batch(&seal, rows.iter().copied(), kept, receipt)
    };
    let report = check(&rest, Some(&rows), &receipt);
    assert_eq!((report.verdict, report.erased_rows), (Verdict::Intact, 3));
    let report = check(&rest, None, &receipt);
    assert_eq!(
        (report.verdict, report.erased_rows),
        (Verdict::Unverifiable, 3)
    );
    // A receipt for other rows.
    let report = check(&rest, Some(&rows), &[4, 6].into_iter().collect());
    assert_eq!(report.faults, [RowFault::Missing { id: 8 }]);
    let report = check(&rest, None, &[4, 6].into_iter().collect());
    assert_eq!(report.faults, [RowFault::MissingRows { count: 1 }]);
    // A row with a receipt that is there still has to be the one.
    let report = check(&rows, Some(&rows), &receipt);
    assert_eq!((report.verdict, report.erased_rows), (Verdict::Intact, 0));
    let edited = replaced(
        &rows,
        1,
        Leaf {
            id: 4,
            digest: [1; 32],
        },
    );
    assert_eq!(
        check(&edited, Some(&rows), &receipt).faults,
        [RowFault::Edited { id: 4 }]
    );
    assert_eq!(
        check(&edited, None, &receipt).faults,
        [RowFault::RowsDiffer]
    );
}

#[test]
fn receipts_are_read_from_events() {
    for (event, payload, expected) in [
        (
            "forget",
            r#"{"history_ids": [5, [7, 9]]}"#,
            vec![5..=5, 7..=9],
        ),
        ("expire", r#"{"history_ids": [1]}"#, vec![1..=1]),
        ("restore", r#"{"history_ids": [[1, 2]]}"#, vec![1..=2]),
        ("add", r#"{"history_ids": [1]}"#, vec![]),
        (
            "forget",
            r#"{"history_ids": ["1", null, [1], [1, 2, 3], 1.5, 1e3]}"#,
            vec![],
        ),
        ("forget", r#"{"history_ids": 3}"#, vec![]),
        ("forget", "[]", vec![]),
        ("forget", "{", vec![]),
        (
            "forget",
            r#"{"history_ids": [[9, 7]]}"#,
            vec![std::ops::RangeInclusive::new(9, 7)],
        ),
    ] {
        assert_eq!(erased_history(event, payload), expected, "{payload}");
    }
}

#[test]
fn ranges_of_ids() {
    let set = IdRanges::new([5..=7, 1..=2, 3..=3, 6..=9, i64::MAX..=i64::MAX]);
    assert_eq!(set, IdRanges::new([1..=3, 5..=9, i64::MAX..=i64::MAX]));
    let inside: Vec<_> = (0..12).filter(|id| set.contains(*id)).collect();
    assert_eq!(inside, [1, 2, 3, 5, 6, 7, 8, 9]);
    assert_eq!(set.count_within(3, 6), 3);
    assert_eq!(set.count_within(10, 20), 0);
    assert_eq!(set.count_within(i64::MIN, i64::MAX), 9);
    assert_eq!(
        IdRanges::new([i64::MIN..=i64::MAX]).count_within(i64::MIN, i64::MAX),
        u64::MAX
    );
    assert!(!IdRanges::new([std::ops::RangeInclusive::new(9, 7)]).contains(8));
}

#[test]
fn listed_faults_are_bounded() {
    let rows = leaves(1..=1);
    let seal = seal_events(&rows, 0, 5000, None, None);
    let report = verify(&seal, &leaves(1..=3000), Some(&rows));
    assert_eq!(report.faults.len(), MAX_LISTED);
    assert_eq!(report.more_faults, 1999);
}

proptest! {
    #[test]
    fn every_change_of_rows_is_found_and_named(
        count in 1..40_i64,
        place in any::<prop::sample::Index>(),
        other in any::<prop::sample::Index>(),
        what in 0..6,
    ) {
        let rows = leaves((1..=count).map(|id| id * 2));
        let seal = seal_events(&rows, 0, count * 2 + 1, None, None);
        let (place, other) = (place.index(rows.len()), other.index(rows.len()));
        let id = rows[place].id;
        let mut changed = rows.clone();
        let expected = match what {
            0 => {
                changed.remove(place);
                vec![RowFault::Missing { id }]
            }
            1 => {
                changed[place].digest[other % 32] ^= 1;
                vec![RowFault::Edited { id }]
            }
            2 => {
                changed.insert(place, Leaf { id: id - 1, digest: [3; 32] });
                vec![RowFault::Unexpected { id: id - 1 }]
            }
            3 => {
                changed.insert(other, rows[place]);
                vec![RowFault::Duplicate { id }]
            }
            4 => {
                changed.truncate(place);
                rows[place..].iter().map(|row| RowFault::Missing { id: row.id }).collect()
            }
            _ => {
                changed.swap(place, other);
                vec![]
            }
        };
        let named = verify(&seal, &changed, Some(&rows));
        let unnamed = verify(&seal, &changed, None);
        let is_changed = changed != rows;
        for report in [&named, &unnamed] {
            prop_assert_eq!(report.verdict == Verdict::Altered, is_changed, "{:?}", report);
        }
        for fault in expected {
            prop_assert!(named.faults.contains(&fault), "{:?}", named);
        }
        if what == 5 && is_changed {
            let is_order = |fault: &RowFault| matches!(fault, RowFault::Reordered { .. });
            prop_assert!(named.faults.iter().all(is_order));
        }
    }
}
