//! Phone numbers.
//!
//! | form | example | found |
//! |---|---|---|
//! | E.164, written with + | +49 30 901820 | high |
//! | with 00 before the country | 0044 20 7946 0958 | medium |
//! | North American, with dash, dot or bracket | (415) 555-2671 | medium |
//! | trunk zero, area of 3 to 5 digits | 030 901820, 07700 900123 | medium, unless a word like "order" precedes |
//! | French pairs | 01 23 45 67 89 | medium |
//! | area in brackets | (11) 91234-5678 | medium |
//! | anything else of 7 to 15 digits | 5550199 | only after a word like "phone" |
//!
//! A word like "phone" before it makes each high.

use std::sync::LazyLock;

use regex::Regex;

use super::context::before;
use super::digits::Run;
use super::{Confidence, Finding, compile};

pub const KIND: &str = "phone";

/// The longest E.164 number.
const MAX_DIGITS: usize = 15;
const MAX_GROUPS: usize = 7;
const REACH: usize = 40;

static PHONE_WORD: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r"(?i)\b(?:(?:tele|cell ?|smart)?phones?|tel|mobile|cell|handy|telefon|tel(?:e",
        r"|(?u-i:\x{e9}))fono|rufnummer|mobil|whatsapp|fax|sms|m(?:o|(?u-i:\x{f3}))vil|hotline",
        r"|(?:call|text|reach|ring|contact)(?:ing)? (?:me|him|her|us|them|you|back)|dial",
        r"|contact numbers?|(?:handy|telefon|mobil)nummer|call(?:ed)? (?:at|on))\b",
    ))
});
static OTHER_NUMBER_WORD: LazyLock<Regex> = LazyLock::new(|| {
    compile(concat!(
        r"(?i)\b(?:orders?|invoices?|tickets?|cases?|ids?|uuid|ref(?:erence)?|isbn|issn|skus?",
        r"|parts?|serial|tracking|accounts?|acct|konto(?:nummer)?|transactions?|items?|models?",
        r"|builds?|versions?|ver|v|commits?|rev(?:ision)?|bestell(?:ung|nummer)",
        r"|rechnung(?:snummer)?|bookings?|confirmation|flight|pid|ports?|timestamps?|epoch",
        r"|iban|vat|doi|issues?|pr|articles?|artikel|customers?|kundennummer|polic(?:y|ies)",
        r"|zip|plz|bytes|rows|hash|checksum|coordinates|score|lottery|matrix)\b",
    ))
});

/// What the words before a number say it is; the nearer word counts.
#[derive(Clone, Copy, PartialEq)]
enum Said {
    Phone,
    Other,
    Nothing,
}

impl Said {
    fn before(run: &Run, first: usize) -> Self {
        let context = before(run.text, run.start(first), REACH);
        // In a long row of groups there are no words.
        if !context.bytes().any(|byte| byte.is_ascii_alphabetic()) {
            return Self::Nothing;
        }
        let last = |words: &Regex| words.find_iter(context).last().map(|word| word.end());
        match (last(&PHONE_WORD), last(&OTHER_NUMBER_WORD)) {
            (None, None) => Self::Nothing,
            (phone, other) if phone > other => Self::Phone,
            _ => Self::Other,
        }
    }
}

/// The phone number that starts with a group of the row: how many groups, and the finding.
pub fn at(run: &Run, first: usize) -> Option<(usize, Finding)> {
    if run.has_plus(first) {
        let count = international(run, first)?;
        return Some((count, finding(run, first, count, Confidence::High)));
    }
    let form = national(run, first);
    // Without enough digits there is no need to look for words.
    let digits: usize = (first..first + 5).map(|group| run.len(group)).sum();
    if digits < 7 {
        return None;
    }
    let said = Said::before(run, first);
    match (form, said) {
        (Some(count), Said::Phone) => Some((count, finding(run, first, count, Confidence::High))),
        (Some(count), Said::Nothing) => {
            Some((count, finding(run, first, count, Confidence::Medium)))
        }
        (None, Said::Phone) => {
            let count = any(run, first)?;
            Some((count, finding(run, first, count, Confidence::High)))
        }
        (_, Said::Other) | (None, Said::Nothing) => None,
    }
}

fn finding(run: &Run, first: usize, count: usize, confidence: Confidence) -> Finding {
    Finding::pii(
        KIND,
        run.start(first),
        run.end(first + count - 1),
        confidence,
    )
}

/// The most groups that make an E.164 number.
fn international(run: &Run, first: usize) -> Option<usize> {
    (1..=MAX_GROUPS).rev().find(|&count| {
        run.joined(first, count, MAX_DIGITS)
            .is_some_and(|digits| is_international(&digits))
            && run.stands_alone(first, count)
            && !is_expanded_date(run, first, count)
    })
}

/// +002024-05-17, ISO 8601's years of more than four digits.
fn is_expanded_date(run: &Run, first: usize, count: usize) -> bool {
    count == 3
        && run.len(first) > 4
        && run.has_shape(first + 1, &[2, 2])
        && run.common_separator(first, 3) == Some("-")
}

fn is_international(digits: &str) -> bool {
    const LEAST_DIGITS: usize = 9;
    let Some(code) = country_code_length(digits) else {
        return false;
    };
    let national = &digits[code..];
    match digits.starts_with('1') {
        true => is_north_american(national),
        false => digits.len() >= LEAST_DIGITS && distinct_digits(national) >= 3,
    }
}

/// How many digits the country code has (ITU-T E.164, annex to Operational Bulletin 1114): the first
/// two digits tell.
fn country_code_length(digits: &str) -> Option<usize> {
    match digits.as_bytes() {
        [b'1' | b'7', ..] => Some(1),
        [b'2', b'0' | b'7', ..]
        | [b'3', b'0'..=b'4' | b'6' | b'9', ..]
        | [b'4', b'0' | b'1' | b'3'..=b'9', ..]
        | [b'5', b'1'..=b'8', ..]
        | [b'6', b'0'..=b'6', ..]
        | [b'8', b'1' | b'2' | b'4' | b'6', ..]
        | [b'9', b'0'..=b'5' | b'8', ..] => Some(2),
        [b'2', b'8', ..] | [b'8', b'3' | b'9', ..] | [b'0', ..] => None,
        [_, _, _, ..] => Some(3),
        _ => None,
    }
}

/// Ten digits whose area code begins with 2 to 9. The exchange has to as well, but in numbers that
/// are made up it often does not.
fn is_north_american(digits: &str) -> bool {
    digits.len() == 10 && digits.as_bytes()[0] >= b'2' && distinct_digits(digits) >= 3
}

fn distinct_digits(digits: &str) -> u32 {
    let seen = digits
        .bytes()
        .fold(0_u32, |seen, digit| seen | 1 << (digit & 0xf));
    seen.count_ones()
}

/// The number of groups of a national form that needs no word beside it.
fn national(run: &Run, first: usize) -> Option<usize> {
    let forms: [fn(&Run, usize) -> Option<usize>; 5] = [
        north_american,
        french,
        area_in_brackets,
        trunk_zero,
        double_zero,
    ];
    forms
        .into_iter()
        .find_map(|form| form(run, first).filter(|count| run.stands_alone(first, *count)))
}

fn north_american(run: &Run, first: usize) -> Option<usize> {
    let has_one = run.digits(first) == "1";
    let area = first + usize::from(has_one);
    if !run.has_shape(area, &[3, 3, 4]) || !is_north_american(&run.joined(area, 3, 10)?) {
        return None;
    }
    let is_known = match (run.separator(area + 1), run.separator(area + 2)) {
        ("-", "-") | (".", ".") | ("\u{2011}", "\u{2011}") => true,
        (") " | ")" | ")-", "-" | " " | ".") => run.has_bracket(area),
        (" " | "/", "-") => true,
        // Three numbers with blanks between can be anything.
        _ => has_one && run.separator(area) == "-",
    };
    is_known.then_some(3 + usize::from(has_one))
}

fn french(run: &Run, first: usize) -> Option<usize> {
    let fits = run.has_shape(first, &[2, 2, 2, 2, 2])
        && run.digits(first).starts_with('0')
        && run.digits(first) != "00"
        && matches!(run.common_separator(first, 5), Some(" " | "." | "\u{a0}"))
        && run.count() == 5;
    (fits && !is_even_row(run, first)).then_some(5)
}

/// 01 02 03 04 05 and the like.
fn is_even_row(run: &Run, first: usize) -> bool {
    let value = |group: usize| run.digits(group).parse::<i32>().unwrap_or_default();
    let step = value(first + 1) - value(first);
    step.abs() <= 10 && (first + 1..first + 4).all(|group| value(group + 1) - value(group) == step)
}

fn area_in_brackets(run: &Run, first: usize) -> Option<usize> {
    let area = run.digits(first);
    let is_year = area.len() == 4 && (area.starts_with("19") || area.starts_with("20"));
    if !run.has_bracket(first) || is_year || !(2..=5).contains(&area.len()) {
        return None;
    }
    (2..=4).rev().find(|&count| {
        run.joined(first, count, 12)
            .is_some_and(|digits| digits.len() >= 8 && distinct_digits(&digits) >= 3)
            && (first + 1..first + count).all(|group| run.len(group) >= 2)
            && run.stands_alone(first, count)
    })
}

/// A whole row with an area code that begins with a zero.
fn trunk_zero(run: &Run, first: usize) -> Option<usize> {
    let area = run.digits(first);
    let count = run.count();
    let fits = first == 0
        && (2..=4).contains(&count)
        && (3..=5).contains(&area.len())
        && area.starts_with('0')
        && !area.starts_with("00")
        && matches!(run.separator(1), " " | "/" | "-" | "\u{a0}")
        && (1..count).all(|group| run.len(group) >= 2)
        && (2..count).all(|group| matches!(run.separator(group), " " | "-" | "\u{a0}"));
    let is_like_ssn = run.has_shape(0, &[3, 2, 4]) && run.separator(1) == "-";
    let digits = run.joined(first, count, 12)?;
    (fits && !is_like_ssn && digits.len() >= 9 && distinct_digits(&digits) >= 3).then_some(count)
}

fn double_zero(run: &Run, first: usize) -> Option<usize> {
    let code = run.digits(first).strip_prefix("00")?;
    if !(1..=4).contains(&code.len()) {
        return None;
    }
    (2..=MAX_GROUPS).rev().find(|&count| {
        let digits = run.joined(first, count, MAX_DIGITS + 2);
        digits.is_some_and(|digits| is_international(&digits[2..]))
            && run.stands_alone(first, count)
    })
}

/// Whatever can be a number beside a word that says it is one.
fn any(run: &Run, first: usize) -> Option<usize> {
    (1..=5).rev().find(|&count| {
        let total = (first..first + count).map(|group| run.len(group)).sum();
        let groups_fit = count == 1
            || (first..first + count).all(|group| (2..=8).contains(&run.len(group)))
            || run.digits(first) == "1";
        first + count <= run.count()
            && (7..=MAX_DIGITS).contains(&total)
            && groups_fit
            && !has_date(run, first, count)
            && run.stands_alone(first, count)
    })
}

/// A year beside two short groups.
fn has_date(run: &Run, first: usize, count: usize) -> bool {
    let is_year = |group: usize| {
        let digits = run.digits(group);
        digits.len() == 4 && (digits.starts_with("19") || digits.starts_with("20"))
    };
    let is_short = |group: usize| matches!(run.len(group), 1 | 2);
    let compact = run.digits(first);
    let is_compact_date =
        compact.len() == 8 && (compact.starts_with("19") || compact.starts_with("20"));
    is_compact_date
        || (count >= 3
            && ((is_year(first) && is_short(first + 1) && is_short(first + 2))
                || (is_short(first) && is_short(first + 1) && is_year(first + 2))))
}
