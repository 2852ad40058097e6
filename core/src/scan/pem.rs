//! Private keys in text form: PEM (RFC 7468), OpenSSH's, and PGP's armour (RFC 9580).

use std::sync::LazyLock;

use regex::Regex;

use super::{Confidence, FILL, Finding, compile};

pub const KIND: &str = "private_key";

/// Less is a mention of the format, not a key: an Ed25519 key has 64 characters.
const LEAST_BODY: usize = 40;

static BOUNDARY: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"-----(BEGIN|END) (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
});

pub fn find(text: &str, found: &mut Vec<Finding>) {
    // Start and end of the boundary of a block that is open.
    let mut open: Option<(usize, usize)> = None;
    for boundary in BOUNDARY.captures_iter(text) {
        let (Some(whole), Some(which)) = (boundary.get(0), boundary.get(1)) else {
            continue;
        };
        if which.as_str() == "BEGIN" {
            if let Some(cut_off) = open.replace((whole.start(), whole.end())) {
                report_cut_off(&text[..whole.start()], cut_off, found);
            }
        } else if let Some((start, body)) = open.take()
            && body_length(&text[body..whole.start()]) >= LEAST_BODY
        {
            report(start, whole.end(), found);
        }
    }
    if let Some(cut_off) = open {
        report_cut_off(text, cut_off, found);
    }
}

fn report(start: usize, end: usize, found: &mut Vec<Finding>) {
    found.push(Finding::secret(KIND, start, end, Confidence::High));
}

/// A block without an end: as far as it looks like one.
fn report_cut_off(text: &str, (start, body): (usize, usize), found: &mut Vec<Finding>) {
    let rest = &text[body..];
    let end = rest
        .find(|c: char| !is_of_body(c))
        .map_or(text.len(), |length| body + length);
    if body_length(&text[body..end]) >= LEAST_BODY {
        report(start, end, found);
    }
}

/// Base 64, line ends (in JSON written as `\n`), and headers like `Proc-Type: 4,ENCRYPTED`.
fn is_of_body(c: char) -> bool {
    c.is_ascii_alphanumeric() || c.is_ascii_whitespace() || "+/=\\:,-".contains(c)
}

/// How many characters of base 64 stand in words longer than those of prose.
fn body_length(body: &str) -> usize {
    const LONGEST_WORD: usize = 20;
    if body.as_bytes().contains(&FILL) {
        return LEAST_BODY;
    }
    body.split(|c: char| !(c.is_ascii_alphanumeric() || "+/=".contains(c)))
        .map(str::len)
        .filter(|length| *length > LONGEST_WORD)
        .sum()
}
