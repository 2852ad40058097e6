//! Passport numbers: no form of their own, so only after a word for passport.

use std::sync::LazyLock;

use regex::Regex;

use super::context::after;
use super::{Confidence, Finding, compile};

pub const KIND: &str = "passport";

const REACH: usize = 48;

static WORD: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"(?i)\b(?:passport|reisepass|passeport|pasaporte|passaporto|paspoort)(?:s|nummer)?\b")
});
static NUMBER_WORD: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"(?i)(?:\b(?:number|num|no|nr|nummer|numero|id|is|ist|est|es)\b|[:#=])")
});

pub fn find(text: &str, found: &mut Vec<Finding>) {
    for word in WORD.find_iter(text) {
        let context = after(text, word.end(), REACH);
        let context = context.split('\n').next().unwrap_or_default();
        if let Some((start, end)) = number(context) {
            let is_sure = word.as_str().to_ascii_lowercase().ends_with("nummer")
                || NUMBER_WORD.is_match(&context[..start]);
            let confidence = if is_sure {
                Confidence::High
            } else {
                Confidence::Medium
            };
            let at = word.end();
            found.push(Finding::pii(KIND, at + start, at + end, confidence));
        }
    }
}

/// The first word that can be a number: ICAO 9303 gives it up to nine letters and digits.
fn number(context: &str) -> Option<(usize, usize)> {
    let mut at = 0;
    for word in context.split(|c: char| !(c.is_alphanumeric() || c == '-' || c == '_')) {
        let digits = word.bytes().filter(u8::is_ascii_digit).count();
        let fits = (7..=9).contains(&word.len())
            && digits >= 5
            && word
                .bytes()
                .all(|b| b.is_ascii_digit() || b.is_ascii_uppercase())
            && !is_date(word);
        // A word cut off by the end of the context may go on.
        if fits && at + word.len() < REACH {
            return Some((at, at + word.len()));
        }
        at += word.len();
        at += context[at..].chars().next().map_or(0, char::len_utf8);
    }
    None
}

/// A date written as yyyymmdd or ddmmyyyy.
fn is_date(word: &str) -> bool {
    let part =
        |range: std::ops::Range<usize>| word.get(range).and_then(|part| part.parse::<u32>().ok());
    let is_date = |year: Option<u32>, month: Option<u32>, day: Option<u32>| {
        year.is_some_and(|year| (1900..2100).contains(&year))
            && month.is_some_and(|month| (1..=12).contains(&month))
            && day.is_some_and(|day| (1..=31).contains(&day))
    };
    word.len() == 8
        && (is_date(part(0..4), part(4..6), part(6..8))
            || is_date(part(4..8), part(2..4), part(0..2)))
}
