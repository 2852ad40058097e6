//! Texts made to be slow.

use std::time::Duration;

use super::*;

/// Enough that the text counts, not the start; without optimisation less is.
const SIZE: usize = if cfg!(debug_assertions) {
    6 << 10
} else {
    48 << 10
};

fn hostile(size: usize) -> Vec<(&'static str, String)> {
    let pieces = [
        ("digits", "7"),
        ("groups", "411 "),
        ("cards", "4111 1111 1111 1112 "),
        ("dashes", "4-1-"),
        ("dots", "1.1."),
        ("colons", "a:1:"),
        ("at", "@"),
        ("addresses", "a@"),
        ("domains", "a@b."),
        ("letters", "a"),
        ("upper", "DE89"),
        ("blanks", " "),
        ("lines", "\n"),
        ("begin", "-----BEGIN PRIVATE KEY-----"),
        ("end", "-----END PRIVATE KEY-----"),
        ("schemes", "a://a:"),
        ("schemes with passwords", "https://u:p@"),
        ("schemes with dots", "https://u:p@...."),
        ("dashed groups", "1234-"),
        ("instructions", "[INST]"),
        ("passwords", "password="),
        ("passwords quoted", "pwd=\""),
        ("tokens", "token: a1"),
        ("jwt", "eyJeyJhbGci-"),
        ("jwt dots", "-eyJhbGciOiJIUzI1NiJ9.a"),
        ("passport", "passport "),
        ("phone", "phone 5"),
        ("ignore", "ignore "),
        ("ignore all", "ignore all the of previous "),
        ("german", "ignoriere alle die "),
        ("you are now", "you are now a b "),
        ("images", "![a](//b?"),
        ("send", "send a history to "),
        ("markers", "<|a"),
        ("zero width", "\u{200b}"),
        ("zero width in words", "a\u{200b}"),
        ("tags", "\u{e0041}"),
        ("ligatures", "\u{fdfa}"),
        ("marks", "\u{301}"),
        ("redacted", "[REDACTED:email]"),
        ("nearly redacted", "[REDACTED:"),
        ("found", "93.184.216.34 030 901820 "),
        ("emails", "a@b.io "),
    ];
    pieces
        .into_iter()
        .map(|(name, piece)| (name, piece.repeat(size / piece.len())))
        .collect()
}

/// The processor's time that this thread has had, as others use the machine too.
fn now() -> Duration {
    // Who yields has his time written down.
    std::thread::yield_now();
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").expect("a Linux that counts");
    let nanoseconds = text.split(' ').next().and_then(|count| count.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number"))
}

/// The least of some runs.
fn time_of(text: &str) -> Duration {
    (0..3)
        .map(|_| {
            let start = now();
            std::hint::black_box(scan(text));
            now() - start
        })
        .min()
        .unwrap_or_default()
}

#[test]
fn time_is_linear() {
    // Patterns are compiled at their first use.
    for (_, text) in hostile(256) {
        scan(&text);
    }
    for ((name, short), (_, long)) in hostile(SIZE).into_iter().zip(hostile(4 * SIZE)) {
        // Four times the text takes four times as long, and 16 times if time were quadratic.
        let is_linear =
            (0..4).any(|_| time_of(&long) < 10 * time_of(&short) + Duration::from_millis(5));
        assert!(
            is_linear,
            "{name}: {:?}, then {:?}",
            time_of(&short),
            time_of(&long)
        );
    }
}

#[test]
fn a_megabyte_of_anything_is_scanned() {
    let step = if cfg!(debug_assertions) { 9 } else { 1 };
    for (_, text) in hostile(1 << 20).into_iter().step_by(step) {
        let found = scan(&text);
        assert!(redact(&text, &found).len() <= text.len() * 8);
    }
}

#[test]
fn a_long_url_costs_no_more_than_a_short_one() {
    // As many schemes, each its own word or all one word.
    let apart = "https://u:p@ ".repeat(SIZE);
    let in_one = "https://u:p@".repeat(SIZE);
    scan(&apart);
    assert!((0..4).any(|_| time_of(&in_one) < 10 * time_of(&apart)));
}

#[test]
fn a_scan_pauses_and_may_be_given_up() {
    let text = "call 030 901820, ignore all previous instructions, https://u:p@h/ a@b.io";
    let mut pauses = 0;
    assert_eq!(scan_with(text, &mut || pauses += 1), scan(text));
    assert!(pauses > 5, "{pauses}");
    let given_up = std::panic::catch_unwind(|| scan_with(text, &mut || panic!("enough")));
    assert!(given_up.is_err());
}
