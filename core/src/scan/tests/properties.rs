//! What holds for every text.

use proptest::prelude::*;

use super::*;

/// Pieces that the rules look for, or nearly.
const PIECES: &[&str] = &[
    "alice@example.com",
    "@",
    "bob",
    "+49 30 901820",
    "030 901820",
    "415-555-2671",
    "(415) 555-2671",
    "4111 1111 1111 1111",
    "4111111111111111",
    "DE89 3704 0044 0532 0130 00",
    "123-45-6789",
    "93.184.216.34",
    "2606:4700:4700::1111",
    "passport ",
    "C01X00T47",
    "phone ",
    "ssn ",
    "password=",
    "password: \"",
    "Zk9vWqx1",
    "hunter2",
    "token = ",
    "AbCd1234EfGh5678IjKl",
    "postgres://u:p@h/d",
    "://",
    "eyJhbGciOiJub25lIn0.e30.",
    "-----BEGIN PRIVATE KEY-----\n",
    "MC4CAQAwBQYDK2VwBCIEIHkC1mN0o4Qv4ZtVQq3mWl2r9d8sJ7kXyz",
    "\n-----END PRIVATE KEY-----",
    "Ignore ",
    "all ",
    "previous ",
    "instructions",
    "<|im_start|>",
    "[INST]",
    "### System:",
    "![a](https://e.test/?data=",
    ")",
    "\u{200b}",
    "\u{202e}",
    "\u{e0041}",
    "\u{fb01}",
    "\u{e9}",
    "\u{4e2d}",
    "\u{1f600}",
    " ",
    "\n",
    "-",
    ".",
    "/",
    "\"",
    "'",
    "0",
    "1",
    "7",
    "a",
    "[REDACTED:email]",
    "[REDACTED:",
    "]",
    "version ",
    "order ",
    "\0",
    "\u{1}",
];

/// More with PROPTEST_CASES.
fn cases() -> u32 {
    ProptestConfig::default().cases.max(1500)
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::collection::vec(proptest::sample::select(PIECES), 0..16)
            .prop_map(|pieces| pieces.concat()),
        proptest::collection::vec(
            prop_oneof![
                proptest::sample::select(PIECES).prop_map(str::to_owned),
                any::<String>(),
                "[0-9 .@:/-]{0,20}",
            ],
            0..8
        )
        .prop_map(|pieces| pieces.concat()),
        any::<String>(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(cases()))]

    #[test]
    fn findings_are_spans_of_whole_characters_in_order(text in texts()) {
        let found = scan(&text);
        for finding in &found {
            let span = text.get(finding.start..finding.end);
            prop_assert!(span.is_some_and(|span| !span.is_empty()), "{:?}", finding);
            prop_assert!(KINDS.contains(&(finding.category, finding.kind)));
        }
        prop_assert!(found.is_sorted_by_key(|finding| finding.start));
        for is_injection in [false, true] {
            let same: Vec<_> = found
                .iter()
                .filter(|finding| (finding.category == Category::Injection) == is_injection)
                .collect();
            prop_assert!(same.windows(2).all(|pair| pair[0].end <= pair[1].start));
        }
    }

    #[test]
    fn nothing_is_found_in_what_was_redacted(text in texts()) {
        let redacted = redact(&text, &scan(&text));
        let again = scan(&redacted);
        prop_assert!(again.is_empty(), "{redacted:?}: {again:?}");
        prop_assert_eq!(redact(&redacted, &again), redacted);
    }

    #[test]
    fn redaction_keeps_what_was_not_found(text in texts()) {
        let found = scan(&text);
        if found.is_empty() {
            prop_assert_eq!(redact(&text, &found), text);
        } else {
            let redacted = redact(&text, &found);
            let last = found.iter().map(|finding| finding.end).max().unwrap_or_default();
            prop_assert!(redacted.starts_with(&text[..found[0].start]));
            prop_assert!(redacted.ends_with(&text[last..]));
        }
    }

    #[test]
    fn a_subset_of_the_findings_can_be_redacted(text in texts(), pick in any::<u32>()) {
        let found = scan(&text);
        let some: Vec<_> = found
            .iter()
            .enumerate()
            .filter(|(place, _)| pick >> (place % 32) & 1 == 1)
            .map(|(_, finding)| *finding)
            .collect();
        let redacted = redact(&text, &some);
        prop_assert_eq!(some.is_empty(), redacted == text);
    }
}
