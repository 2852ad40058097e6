//! JSON web tokens in compact form: three parts signed (RFC 7515) or five encrypted (RFC 7516).

use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::context::{char_after, is_word};
use super::{Confidence, Finding, compile};

pub const KIND: &str = "jwt";

/// Of a header; real ones have some hundred.
const MAX_HEADER: usize = 8192;

static COMPACT: LazyLock<Regex> = LazyLock::new(|| {
    compile(
        r"\b(eyJ[A-Za-z0-9_-]{8,})\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)?",
    )
});

pub fn find(text: &str, found: &mut Vec<Finding>) {
    for token in COMPACT.captures_iter(text) {
        let (Some(whole), Some(header)) = (token.get(0), token.get(1)) else {
            continue;
        };
        let ends = !char_after(text, whole.end()).is_some_and(is_word);
        if ends && is_header(header.as_str()) {
            found.push(Finding::secret(
                KIND,
                whole.start(),
                whole.end(),
                Confidence::High,
            ));
        }
    }
}

/// Whether it decodes to a JSON object that names an algorithm.
fn is_header(encoded: &str) -> bool {
    if encoded.len() > MAX_HEADER {
        return false;
    }
    let header = decode(encoded).and_then(|json| serde_json::from_slice::<Value>(&json).ok());
    header.is_some_and(|header| header.get("alg").is_some_and(Value::is_string))
}

/// Base 64 with the alphabet for URLs, without padding (RFC 4648, section 5).
fn decode(encoded: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(encoded.len() / 4 * 3 + 2);
    let mut bits = 0_u32;
    let mut count = 0;
    for byte in encoded.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xfff;
        count += 6;
        if count >= 8 {
            count -= 8;
            decoded.push((bits >> count) as u8);
        }
    }
    Some(decoded)
}

#[cfg(test)]
mod tests {
    use super::decode;

    #[test]
    fn base_64_of_rfc_4648() {
        for (encoded, decoded) in [
            ("", ""),
            ("Zg", "f"),
            ("Zm8", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg", "foob"),
            ("Zm9vYmE", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode(encoded).as_deref(), Some(decoded.as_bytes()));
        }
        assert_eq!(decode("-_-_").as_deref(), Some(&[0xfb, 0xff, 0xbf][..]));
        assert_eq!(decode("Zg=="), None);
    }
}
