//! International bank account numbers (ISO 13616).

use std::sync::LazyLock;

use regex::Regex;

use super::context::is_whole_word;
use super::{Confidence, Finding, compile};

pub const KIND: &str = "iban";

/// The length of a country's numbers, from SWIFT's IBAN registry.
const LENGTHS: &str = "\
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 \
    DE22 DJ27 DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 \
    GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 \
    LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 \
    PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 \
    SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30";

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
    let length: usize = LENGTHS
        .split(' ')
        .find_map(|entry| entry.strip_prefix(country.as_str()))?
        .parse()
        .ok()?;
    let mut characters = Vec::with_capacity(length);
    let mut end = start;
    for byte in text[start..].bytes() {
        if characters.len() == length {
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
    let fits = characters.len() == length && is_whole_word(text, start, end);
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
