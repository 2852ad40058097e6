//! Social security numbers of the United States.

use std::sync::LazyLock;

use regex::Regex;

use super::context::before;
use super::digits::Run;
use super::{Confidence, Finding, compile};

pub const KIND: &str = "us_ssn";

static SSN_WORD: LazyLock<Regex> = LazyLock::new(|| {
    compile(r"(?i)\b(?:ssns?|social security|social sec|tax ?payer id(?:entification)?|itin)\b")
});

/// The number that starts with a group of the row: how many groups, and the finding.
pub fn at(run: &Run, first: usize) -> Option<(usize, Finding)> {
    let (count, separator) = if run.has_shape(first, &[3, 2, 4]) {
        (3, run.common_separator(first, 3)?)
    } else if run.len(first) == 9 {
        (1, "")
    } else {
        return None;
    };
    let digits = run.joined(first, count, 9)?;
    if !is_assigned(&digits) || !run.stands_alone(first, count) || run.has_plus(first) {
        return None;
    }
    let start = run.start(first);
    let has_word = SSN_WORD.is_match(before(run.text, start, 40));
    let confidence = match (has_word, separator) {
        (true, _) => Confidence::High,
        (false, "-") => Confidence::Medium,
        _ => return None,
    };
    let end = run.end(first + count - 1);
    Some((count, Finding::pii(KIND, start, end, confidence)))
}

/// The Social Security Administration assigns no area 000, 666 or from 900 on, no group 00 and no
/// serial 0000; two numbers were printed in advertisements.
fn is_assigned(digits: &str) -> bool {
    let (area, rest) = digits.split_at(3);
    let (group, serial) = rest.split_at(2);
    let is_void = matches!(area, "000" | "666")
        || area.starts_with('9')
        || group == "00"
        || serial == "0000"
        || matches!(digits, "078051120" | "219099999");
    !is_void
}
