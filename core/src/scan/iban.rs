//! International bank account numbers (ISO 13616).

use std::sync::LazyLock;

use regex::Regex;

use super::context::is_whole_word;
use super::{Confidence, Finding, compile};

pub const KIND: &str = "iban";

/// The length of a country's numbers, from SWIFT's IBAN registry.
const LENGTHS: &[(&str, usize)] = &[
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BI", 27),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DJ", 27),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FK", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HN", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MN", 20),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NI", 28),
    ("NL", 18),
    ("NO", 15),
    ("OM", 23),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("RU", 33),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("SO", 23),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("VG", 24),
    ("XK", 20),
    ("YE", 30),
];

static HEAD: LazyLock<Regex> = LazyLock::new(|| compile(r"(?i)[a-z]{2}[0-9]{2} ?[0-9a-z]{4}"));

pub fn find(text: &str, found: &mut Vec<Finding>) {
    let mut from = 0;
    while let Some(head) = HEAD.find_at(text, from) {
        match number(text, head.start()) {
            Some(end) => {
                found.push(Finding::pii(KIND, head.start(), end, Confidence::High));
                from = end;
            }
            // Another may begin inside.
            None => from = head.start() + 1,
        }
    }
}

/// The end of the number that starts here.
fn number(text: &str, start: usize) -> Option<usize> {
    let country = text.get(start..start + 2)?.to_ascii_uppercase();
    let (_, length) = LENGTHS.iter().find(|(code, _)| *code == country)?;
    let mut characters = Vec::with_capacity(*length);
    let mut end = start;
    for byte in text[start..].bytes() {
        if characters.len() == *length {
            break;
        }
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' => characters.push(byte),
            b'a'..=b'z' => characters.push(byte.to_ascii_uppercase()),
            // In print it stands in groups of four.
            b' ' if characters.len() % 4 == 0 && text.as_bytes()[end - 1] != b' ' => {}
            _ => return None,
        }
        end += 1;
    }
    let fits = characters.len() == *length && is_whole_word(text, start, end);
    (fits && remainder(&characters) == 1).then_some(end)
}

/// The number modulo 97, its first four characters moved to the end and letters counted from
/// A = 10 (ISO/IEC 7064).
fn remainder(characters: &[u8]) -> u32 {
    let (head, rest) = characters.split_at(4.min(characters.len()));
    rest.iter().chain(head).fold(0, |sum, &c| match c {
        b'0'..=b'9' => (sum * 10 + u32::from(c - b'0')) % 97,
        _ => (sum * 100 + u32::from(c.saturating_sub(b'A')) + 10) % 97,
    })
}

#[cfg(test)]
mod tests {
    use super::remainder;

    #[test]
    fn mod_97_of_the_registry_examples_is_1() {
        for iban in [
            "GB29NWBK60161331926819",
            "DE89370400440532013000",
            "FR1420041010050500013M02606",
            "ES9121000418450200051332",
            "CH9300762011623852957",
            "NO9386011117947",
            "MT84MALT011000012345MTLCAST001S",
            "NL91ABNA0417164300",
        ] {
            assert_eq!(remainder(iban.as_bytes()), 1, "{iban}");
        }
        assert_ne!(remainder(b"GB29NWBK60161331926818"), 1);
        assert_ne!(remainder(b"GB29NWBK60161339126819"), 1);
    }
}
