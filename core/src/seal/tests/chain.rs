//! Chains: what is done to them is found and named.

use hmac::Mac;
use proptest::prelude::*;

use super::super::chain::mac;
use super::*;

#[test]
fn hmac_of_rfc_4231() {
    let repeated = |byte: u8, count: usize| vec![byte; count];
    let cases: [(Vec<u8>, Vec<u8>, &str); 7] = [
        (
            repeated(0x0b, 20),
            b"Hi There".to_vec(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            repeated(0xaa, 20),
            repeated(0xdd, 50),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
        ),
        (
            (1..=25).collect(),
            repeated(0xcd, 50),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
        ),
        (
            repeated(0x0c, 20),
            b"Test With Truncation".to_vec(),
            "a3b6167473100ee06e0c796c2955552b",
        ),
        (
            repeated(0xaa, 131),
            b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec(),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
        (
            repeated(0xaa, 131),
            b"This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed before being used by the HMAC algorithm.".to_vec(),
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
        ),
    ];
    for (key, message, expected) in cases {
        let expected = hex(expected);
        let mac = mac(&key, &message).finalize().into_bytes();
        assert_eq!(mac[..expected.len()], expected);
    }
}

fn faults(seals: &[Seal], key: Option<&SealKey>) -> Vec<ChainFault> {
    let trust = Trust {
        keys: key.map(std::slice::from_ref).unwrap_or_default(),
        ..Trust::default()
    };
    verify_chain(seals, &trust)
}

#[test]
fn an_untouched_chain_has_no_faults() {
    for key in [None, Some(&key())] {
        for length in 0..6 {
            let (seals, _) = chain(length, key);
            assert_eq!(faults(&seals, key), []);
        }
    }
}

#[test]
fn tables_have_ranges_of_their_own_in_one_chain() {
    let mut seals: Vec<Seal> = Vec::new();
    for (table, after, through) in [
        (Table::Events, 0, 10),
        (Table::History, 100, 120),
        (Table::Events, 10, 11),
        (Table::History, 120, 121),
        (Table::History, 122, 130),
    ] {
        let batch = BatchBuilder::new(table, after)
            .finish(through)
            .expect("a range");
        seals.push(Seal::new(&batch, seals.last(), 0, None));
    }
    assert_eq!(
        faults(&seals, None),
        [ChainFault::IdsNotContiguous { number: 5 }]
    );
}

#[test]
fn each_way_to_change_a_chain_is_named() {
    let key = key();
    let (seals, _) = chain(6, Some(&key));
    let with = |edit: &dyn Fn(&mut Vec<Seal>)| {
        let mut seals = seals.clone();
        edit(&mut seals);
        faults(&seals, Some(&key))
    };
    use ChainFault::*;
    assert_eq!(
        with(&|seals| seals.retain(|seal| seal.number != 3)),
        [Gap { from: 3, to: 3 }]
    );
    assert_eq!(
        with(&|seals| seals.retain(|seal| !(2..=4).contains(&seal.number))),
        [Gap { from: 2, to: 4 }]
    );
    assert_eq!(with(&|seals| seals.swap(2, 3)), [Reordered { number: 3 }]);
    assert_eq!(
        with(&|seals| seals.retain(|seal| seal.number != 1)),
        [TruncatedHead { first: 2 }]
    );
    assert_eq!(
        with(&|seals| seals.push(seals[1])),
        [Duplicate { number: 2 }]
    );
    assert_eq!(with(&|seals| seals[3].rows += 1), [Edited { number: 4 }]);
    assert_eq!(with(&|seals| seals[3].root[5] ^= 1), [Edited { number: 4 }]);
    assert_eq!(
        with(&|seals| seals[3].sealed_at -= 1),
        [Edited { number: 4 }]
    );
    assert_eq!(
        with(&|seals| seals[3].mac[0] ^= 1),
        [Edited { number: 4 }, BrokenLink { number: 5 }]
    );
    assert_eq!(
        with(&|seals| seals[3].key_id = Some([9; 8])),
        [WrongKey { number: 4 }]
    );
    assert_eq!(
        with(&|seals| seals[3].key_id = None),
        [Edited { number: 4 }]
    );
    // The last seal, made again by somebody without the key.
    assert_eq!(
        with(&|seals| {
            let (forged, _) = chain(6, None);
            seals[5] = Seal {
                previous_mac: seals[5].previous_mac,
                ..forged[5]
            };
            seals[5] = reseal(&seals[5], &seals[4], None);
        }),
        [NotKeyed { number: 6 }]
    );
    // And by somebody with it, in the middle.
    assert_eq!(
        with(&|seals| seals[3] = reseal(
            &Seal {
                rows: 1,
                ..seals[3]
            },
            &seals[2],
            Some(&key)
        )),
        [BrokenLink { number: 5 }]
    );
}

/// The same batch sealed anew.
fn reseal(seal: &Seal, previous: &Seal, key: Option<&SealKey>) -> Seal {
    let batch = Batch {
        table: seal.table,
        first_id: seal.first_id,
        last_id: seal.last_id,
        rows: seal.rows,
        root: seal.root,
    };
    Seal::new(&batch, Some(previous), seal.sealed_at, key)
}

#[test]
fn the_wrong_key_is_no_edit() {
    let (seals, _) = chain(2, Some(&key()));
    let other = SealKey::new([8; 32]);
    let expected = [
        ChainFault::WrongKey { number: 1 },
        ChainFault::WrongKey { number: 2 },
    ];
    assert_eq!(faults(&seals, Some(&other)), expected);
    assert_eq!(faults(&seals, None), expected);
}

#[test]
fn a_key_may_be_introduced_and_changed() {
    let keys = [SealKey::new([1; 32]), SealKey::new([2; 32])];
    let mut seals: Vec<Seal> = Vec::new();
    for (place, key) in [None, Some(&keys[0]), Some(&keys[1])]
        .into_iter()
        .enumerate()
    {
        let after = place as i64 * 10;
        seals.push(seal_events(&[], after, after + 10, seals.last(), key));
    }
    let trust = Trust {
        keys: &keys,
        ..Trust::default()
    };
    // The first key vouches for what was sealed without one, as it was then.
    assert_eq!(verify_chain(&seals, &trust), []);
    assert_eq!(
        verify_chain(&seals[..1], &trust),
        [ChainFault::NotKeyed { number: 1 }]
    );
    let trust = Trust {
        keys: &keys[1..],
        ..trust
    };
    assert_eq!(
        verify_chain(&seals, &trust),
        [ChainFault::WrongKey { number: 2 }]
    );
    // There is no going back to none.
    seals.push(seal_events(&[], 30, 40, seals.last(), None));
    let trust = Trust {
        keys: &keys,
        ..trust
    };
    assert_eq!(
        verify_chain(&seals, &trust),
        [ChainFault::NotKeyed { number: 4 }]
    );
}

#[test]
fn keys_come_from_files() {
    let key = SealKey::new([0x5a; 32]);
    let hex = "5a".repeat(32);
    let base64 = "WlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlpaWlo=";
    for content in [
        hex.clone(),
        format!("{hex}\n"),
        format!("  {}\r\n\n", hex.to_uppercase()),
        base64.to_owned(),
    ] {
        let keys = SealKey::from_file(content.as_bytes()).expect(&content);
        assert_eq!(keys.iter().map(SealKey::id).collect::<Vec<_>>(), [key.id()]);
    }
    let raw = SealKey::from_file(&[7; 32]).expect("raw bytes");
    assert_eq!(raw[0].id(), SealKey::new([7; 32]).id());
    let two = format!("{hex}\n{}\n", "07".repeat(32));
    let two = SealKey::from_file(two.as_bytes()).expect("two keys");
    assert_eq!([two[0].id(), two[1].id()], [key.id(), raw[0].id()]);
    for wrong in [
        "",
        "\n",
        "passphrase: x",
        &hex[1..],
        &"z".repeat(64),
        &"a".repeat(32),
        &format!("{hex}\nx"),
    ] {
        assert!(SealKey::from_file(wrong.as_bytes()).is_err(), "{wrong:?}");
    }
}

#[test]
fn anchors_survive_as_text() {
    let (seals, _) = chain(2, None);
    let anchor = seals[1].anchor();
    assert_eq!(anchor.to_string().parse(), Ok(anchor));
    for wrong in ["", "2", "2:", "x:00", "-1:00", &anchor.to_string()[..60]] {
        assert_eq!(wrong.parse::<Anchor>(), Err(AnchorError), "{wrong}");
    }
}

#[test]
fn anchors_fix_both_ends() {
    let key = key();
    let (seals, _) = chain(6, Some(&key));
    let keys = std::slice::from_ref(&key);
    let check = |seals: &[Seal], start: Option<&Seal>, end: Option<&Seal>| {
        let trust = Trust {
            keys,
            start: start.map(Seal::anchor),
            end: end.map(Seal::anchor),
        };
        verify_chain(seals, &trust)
    };
    let (other, _) = chain(7, None);
    use ChainFault::*;
    assert_eq!(check(&seals, None, Some(&seals[5])), []);
    assert_eq!(check(&seals, None, Some(&seals[2])), []);
    assert_eq!(
        check(&seals[..4], None, Some(&seals[5])),
        [TruncatedTail {
            last: 4,
            expected: 6
        }]
    );
    assert_eq!(
        check(&[], None, Some(&seals[5])),
        [TruncatedTail {
            last: 0,
            expected: 6
        }]
    );
    assert_eq!(
        check(&seals, None, Some(&other[3])),
        [Replaced { number: 4 }]
    );
    assert_eq!(check(&seals[2..], Some(&seals[1]), None), []);
    assert_eq!(check(&seals[2..], Some(&seals[2]), None), []);
    assert_eq!(check(&seals[2..], Some(&seals[4]), None), []);
    assert_eq!(check(&seals, Some(&seals[2]), None), []);
    assert_eq!(
        check(&seals[3..], Some(&seals[1]), None),
        [TruncatedHead { first: 4 }]
    );
    assert_eq!(
        check(&seals[2..], Some(&other[1]), None),
        [BrokenLink { number: 3 }]
    );
    assert_eq!(
        check(&seals[2..], Some(&other[2]), None),
        [Replaced { number: 3 }]
    );
}

#[test]
fn numbers_at_their_limits_are_no_panic() {
    let (seals, _) = chain(2, None);
    for number in [0, 1, u64::MAX - 1, u64::MAX] {
        for other in [0, 1, u64::MAX - 1, u64::MAX] {
            for id in [i64::MIN, -1, 0, i64::MAX] {
                let mut seals = seals.clone();
                seals[0].number = number;
                seals[1].number = other;
                seals[0].last_id = id;
                seals[1].first_id = id;
                assert!(!faults(&seals, None).is_empty());
            }
        }
    }
    let last = Seal {
        number: u64::MAX,
        ..seals[1]
    };
    assert_eq!(reseal(&seals[1], &last, None).number, u64::MAX);
}

#[test]
fn a_key_is_not_in_its_debug_text() {
    let text = format!("{:?}", SealKey::new([0x5a; 32]));
    assert!(!text.contains("90, 90"), "{text}");
    assert_ne!(SealKey::new([1; 32]).id(), SealKey::new([2; 32]).id());
}

#[test]
fn faults_have_messages() {
    use ChainFault::*;
    for (fault, message) in [
        (
            TruncatedHead { first: 3 },
            "the chain begins with seal 3, expected 1",
        ),
        (
            TruncatedTail {
                last: 3,
                expected: 5,
            },
            "the chain ends with seal 3, expected 5 or later",
        ),
        (Gap { from: 3, to: 3 }, "seal 3 is missing"),
        (Gap { from: 3, to: 4 }, "seals 3 to 4 are missing"),
        (Edited { number: 3 }, "seal 3 was edited"),
    ] {
        assert_eq!(fault.to_string(), message);
    }
}

#[derive(Clone, Debug)]
enum Change {
    Delete(usize),
    Swap(usize, usize),
    Repeat(usize, usize),
    Flip(usize, usize),
    CutHead(usize),
    CutTail(usize),
}

fn changes(length: usize) -> impl Strategy<Value = Change> {
    prop_oneof![
        (0..length).prop_map(Change::Delete),
        (0..length, 0..length).prop_map(|(a, b)| Change::Swap(a, b)),
        (0..length, 0..=length).prop_map(|(a, b)| Change::Repeat(a, b)),
        (0..length, 0..1000_usize).prop_map(|(a, b)| Change::Flip(a, b)),
        (1..length).prop_map(Change::CutHead),
        (1..length).prop_map(Change::CutTail),
    ]
}

/// Another value in one of the fields.
fn flip(seal: &mut Seal, which: usize) {
    let (field, bit) = (which % 10, which / 10);
    let bytes = |hash: &mut Hash| hash[bit % 32] ^= 1 << (bit % 8);
    match field {
        0 => seal.number ^= 1 << (bit % 64),
        1 => {
            seal.table = match seal.table {
                Table::Events => Table::History,
                Table::History => Table::Events,
            }
        }
        2 => seal.first_id ^= 1 << (bit % 64),
        3 => seal.last_id ^= 1 << (bit % 64),
        4 => seal.rows ^= 1 << (bit % 64),
        5 => bytes(&mut seal.root),
        6 => seal.sealed_at ^= 1 << (bit % 64),
        7 => bytes(&mut seal.previous_mac),
        8 => {
            seal.key_id = match seal.key_id {
                Some(_) => None,
                None => Some([bit as u8; 8]),
            }
        }
        _ => bytes(&mut seal.mac),
    }
}

proptest! {
    #[test]
    fn every_change_of_a_chain_is_found(change in changes(8), with_key in any::<bool>()) {
        let key = key();
        let key = with_key.then_some(&key);
        let (seals, _) = chain(8, key);
        let mut changed = seals.clone();
        let mut named = None;
        match change {
            Change::Delete(place) => {
                changed.remove(place);
                named = Some(place);
            }
            Change::Swap(a, b) => changed.swap(a, b),
            Change::Repeat(from, to) => {
                changed.insert(to, seals[from]);
                named = Some(from);
            }
            Change::Flip(place, which) => {
                flip(&mut changed[place], which);
                named = (which % 10 != 0).then_some(place);
            }
            Change::CutHead(count) => drop(changed.drain(..count)),
            Change::CutTail(count) => changed.truncate(8 - count),
        }
        let trust = Trust {
            keys: key.map(std::slice::from_ref).unwrap_or_default(),
            start: None,
            end: Some(seals[7].anchor()),
        };
        let faults = verify_chain(&changed, &trust);
        prop_assert_eq!(faults.is_empty(), changed == seals, "{:?}", faults);
        if let Some(place) = named {
            let number = place as u64 + 1;
            let is_named = faults.iter().any(|fault| match *fault {
                ChainFault::Gap { from, to } => from <= number && number <= to,
                ChainFault::TruncatedHead { first } => number < first,
                ChainFault::TruncatedTail { last, .. } => number > last,
                ChainFault::Reordered { number: named }
                | ChainFault::Duplicate { number: named }
                | ChainFault::Edited { number: named }
                | ChainFault::WrongKey { number: named } => named == number,
                _ => false,
            });
            prop_assert!(is_named, "{:?}", faults);
        }
    }
}
