//! Numbers of payment cards (ISO/IEC 7812).

use std::sync::LazyLock;

use regex::Regex;

use super::context::before;
use super::digits::Run;
use super::{Confidence, Finding, compile};

pub const KIND: &str = "credit_card";

const MAX_DIGITS: usize = 19;

/// How numbers are printed: American Express 4-6-5, Diners Club 4-6-4.
const SHAPES: &[&[usize]] = &[&[4, 4, 4, 4, 3], &[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4]];

static CARD_WORD: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r"(?i)\b(?:cards?|card number|visa|mastercard|amex|american express|credit|debit|cc",
        r"|discover|jcb|unionpay|diners|(?:kredit)?karten?(?:nummer)?|carte|tarjeta)\b",
    ))
});

/// The card number that starts with a group of the row: how many groups, and the finding.
pub fn at(run: &Run, first: usize) -> Option<(usize, Finding)> {
    let shape = SHAPES
        .iter()
        .find(|shape| run.has_shape(first, shape) && is_printed(run, first, shape.len()));
    let count = shape.map_or(1, |shape| shape.len());
    let digits = run.joined(first, count, MAX_DIGITS)?;
    let issuer = Issuer::of(&digits)?;
    if !passes_luhn(&digits) || !run.stands_alone(first, count) {
        return None;
    }
    let start = run.start(first);
    let has_word = CARD_WORD.is_match(before(run.text, start, 48));
    // Of all 16-digit numbers with such a prefix one in ten has the right last digit; other lengths
    // are also those of barcodes and ids.
    let confidence = match (has_word || count > 1, issuer) {
        (true, _) => Confidence::High,
        (false, Issuer::Common) => Confidence::Medium,
        (false, Issuer::Rare) => return None,
    };
    Some((
        count,
        Finding::pii(KIND, start, run.end(first + count - 1), confidence),
    ))
}

fn is_printed(run: &Run, first: usize, count: usize) -> bool {
    matches!(
        run.common_separator(first, count),
        Some(" " | "-" | "\u{a0}" | "\u{2011}")
    )
}

/// Whether prefix and length are ones that are in use, and how telling they are.
#[derive(Clone, Copy, PartialEq)]
enum Issuer {
    Common,
    Rare,
}

impl Issuer {
    /// Ranges of issuer identification numbers as the card schemes publish them.
    fn of(digits: &str) -> Option<Self> {
        let prefix = |length: usize| {
            let part = digits
                .get(..length)
                .and_then(|part| part.parse::<u32>().ok());
            part.unwrap_or_default()
        };
        let (two, three, four) = (prefix(2), prefix(3), prefix(4));
        let length = digits.len();
        let is_visa = digits.starts_with('4');
        let is_mastercard = (51..=55).contains(&two) || (2221..=2720).contains(&four);
        let is_discover = four == 6011 || two == 65 || (644..=649).contains(&three);
        let is_jcb = (3528..=3589).contains(&four);
        let is_diners = (300..=305).contains(&three) || matches!(two, 36 | 38 | 39);
        match length {
            16 if is_visa || is_mastercard || is_discover || is_jcb => Some(Self::Common),
            15 if matches!(two, 34 | 37) => Some(Self::Common),
            13 | 19 if is_visa => Some(Self::Rare),
            14 if is_diners => Some(Self::Rare),
            16..=19 if two == 62 || is_discover || is_jcb => Some(Self::Rare),
            _ => None,
        }
    }
}

/// The check digit of ISO/IEC 7812-1, annex B.
fn passes_luhn(digits: &str) -> bool {
    let sum: u32 = digits
        .bytes()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let digit = u32::from(digit.saturating_sub(b'0'));
            match place % 2 {
                0 => digit,
                _ if digit > 4 => digit * 2 - 9,
                _ => digit * 2,
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

#[cfg(test)]
mod tests {
    use super::passes_luhn;

    #[test]
    fn luhn_digits_of_published_test_numbers() {
        for valid in [
            "79927398713",
            "4111111111111111",
            "4012888888881881",
            "4222222222222",
            "5555555555554444",
            "5105105105105100",
            "2223003122003222",
            "378282246310005",
            "371449635398431",
            "6011111111111117",
            "3530111333300000",
            "30569309025904",
            "6200000000000005",
        ] {
            assert!(passes_luhn(valid), "{valid}");
        }
        for last in (0..10).filter(|last| *last != 3) {
            assert!(!passes_luhn(&format!("7992739871{last}")), "{last}");
        }
        assert!(!passes_luhn("4111111111111112"));
    }
}
