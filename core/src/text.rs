//! Content normalisation and what is computed from it: content hash, deduplication key, token estimate.

use std::borrow::Cow;

use sha2::{Digest, Sha256};
use unicode_normalization::{IsNormalized, UnicodeNormalization, is_nfc_quick};

/// The form in which contents are compared: Unicode NFC, trimmed, every run of white space one
/// blank. Case is kept. Borrows when nothing but the ends changes.
pub fn normalise(content: &str) -> Cow<'_, str> {
    let content = content.trim();
    if !content.is_ascii() && is_nfc_quick(content.chars()) != IsNormalized::Yes {
        let composed: String = content.nfc().collect();
        return Cow::Owned(collapse_white_space(&composed));
    }
    if has_single_blanks(content) {
        Cow::Borrowed(content)
    } else {
        Cow::Owned(collapse_white_space(content))
    }
}

fn has_single_blanks(content: &str) -> bool {
    let mut after_blank = false;
    content.chars().all(|c| {
        let fine = !c.is_whitespace() || (c == ' ' && !after_blank);
        after_blank = c == ' ';
        fine
    })
}

fn collapse_white_space(content: &str) -> String {
    let mut collapsed = String::with_capacity(content.len());
    for word in content.split_whitespace() {
        if !collapsed.is_empty() {
            collapsed.push(' ');
        }
        collapsed.push_str(word);
    }
    collapsed
}

/// SHA-256 of the normalised content (UTF-8).
pub fn content_hash(content: &str) -> [u8; 32] {
    Sha256::digest(normalise(content).as_bytes()).into()
}

/// The key under which equal memories meet: SHA-256 over `fields` (project, namespace, ...) and the
/// content hash.
///
/// Each field is written as a presence byte, its length and its bytes, so neither moving text from
/// one field to the next nor replacing an absent field by an empty one gives the same key.
pub fn dedupe_key(fields: &[Option<&str>], content_hash: &[u8; 32]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    for field in fields {
        match field {
            None => hasher.update([0]),
            Some(value) => {
                hasher.update([1]);
                hasher.update((value.len() as u64).to_be_bytes());
                hasher.update(value.as_bytes());
            }
        }
    }
    // No field starts with a 2, so the number of fields is part of the key too.
    hasher.update([2]);
    hasher.update(content_hash);
    hasher.finalize().into()
}

/// Whether a reader would see nothing: only white space, control characters and characters of no
/// width (Unicode's Default_Ignorable_Code_Point). True for ''.
pub fn is_blank(content: &str) -> bool {
    content
        .chars()
        .all(|c| c.is_whitespace() || c.is_control() || is_default_ignorable(c))
}

/// Unicode's Default_Ignorable_Code_Point (DerivedCoreProperties).
fn is_default_ignorable(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

/// Roughly how many tokens a language model makes of `content`, for packing a prompt.
///
/// A heuristic for byte-pair vocabularies that rather over- than underestimates prose: a run of
/// ASCII letters is one token per 6 begun, a run of digits one per 3 begun, a run of other letters
/// one per 2 begun, but each ideograph, kana or Hangul syllable one; every other visible character
/// is one, a blank belongs to the word after it, a line end is one.
pub fn estimate_tokens(content: &str) -> usize {
    let mut tokens = 0;
    let mut run = (TokenClass::Blank, 0);
    for c in content.chars() {
        let class = TokenClass::of(c);
        if class == run.0 {
            run.1 += 1;
        } else {
            tokens += run.0.tokens(run.1);
            run = (class, 1);
        }
    }
    tokens + run.0.tokens(run.1)
}

#[derive(Clone, Copy, PartialEq)]
enum TokenClass {
    AsciiLetters,
    Digits,
    OtherLetters,
    LineEnds,
    Single,
    Blank,
}

impl TokenClass {
    fn of(c: char) -> Self {
        match c {
            'a'..='z' | 'A'..='Z' => Self::AsciiLetters,
            '0'..='9' => Self::Digits,
            '\n' => Self::LineEnds,
            '\u{3040}'..='\u{30ff}'
            | '\u{3400}'..='\u{9fff}'
            | '\u{ac00}'..='\u{d7a3}'
            | '\u{20000}'..='\u{3ffff}' => Self::Single,
            _ if c.is_alphanumeric() => Self::OtherLetters,
            _ if c.is_whitespace() || c.is_control() => Self::Blank,
            _ => Self::Single,
        }
    }

    fn tokens(self, length: usize) -> usize {
        match self {
            Self::AsciiLetters => length.div_ceil(6),
            Self::Digits => length.div_ceil(3),
            Self::OtherLetters => length.div_ceil(2),
            Self::LineEnds => 1,
            Self::Single => length,
            Self::Blank => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn normalise_collapses_white_space_and_keeps_case() {
        assert_eq!(
            normalise("  The\tBIG \r\n\u{a0} deploy\u{2003}"),
            "The BIG deploy"
        );
        assert_eq!(normalise(" \n\t "), "");
    }

    #[test]
    fn normalise_composes() {
        assert_eq!(normalise("cafe\u{301} \u{212b}"), "caf\u{e9} \u{c5}");
        // U+2001 EM QUAD becomes another white space under NFC.
        assert_eq!(normalise("a\u{2001}b"), "a b");
    }

    #[test]
    fn normalise_borrows_what_is_normal() {
        assert!(matches!(
            normalise(" two words "),
            Cow::Borrowed("two words")
        ));
        assert!(matches!(normalise("two  words"), Cow::Owned(_)));
    }

    #[test]
    fn content_hash_known_answers() {
        assert_eq!(
            hex(&content_hash("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        assert_eq!(
            hex(&content_hash("  abc\n")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_ne!(content_hash("abc"), content_hash("Abc"));
    }

    #[test]
    fn dedupe_key_tells_fields_apart() {
        let hash = content_hash("fact");
        let keys = [
            dedupe_key(&[Some("a"), None], &hash),
            dedupe_key(&[None, Some("a")], &hash),
            dedupe_key(&[Some("a"), Some("")], &hash),
            dedupe_key(&[Some("a")], &hash),
            dedupe_key(&[Some("a"), None, None], &hash),
            dedupe_key(&[Some("ab"), Some("c")], &hash),
            dedupe_key(&[Some("a"), Some("bc")], &hash),
            dedupe_key(&[], &hash),
            dedupe_key(&[Some("a"), None], &content_hash("other")),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "key {i} is not new");
        }
        // Stored in the table: must never change.
        assert_eq!(
            hex(&keys[0]),
            "472e8a587f6e4bfa36faeecfdf6e8d45d034403a27984c782d092006a174dedb"
        );
    }

    #[test]
    fn blank_is_what_shows_nothing() {
        for blank in [
            "",
            " ",
            "\t\r\n",
            "\u{200b}\u{feff}\u{2060}",
            "\0\u{1b}",
            "\u{3000}\u{ad}",
        ] {
            assert!(is_blank(blank), "{blank:?}");
        }
        for visible in ["a", " . ", "0", "\u{200b}x", "\u{1f600}", "\u{301}"] {
            assert!(!is_blank(visible), "{visible:?}");
        }
    }

    #[test]
    fn token_estimate_known_answers() {
        assert_eq!(estimate_tokens(""), 0);
        assert_eq!(estimate_tokens("   \t"), 0);
        // cl100k_base and o200k_base: 10 tokens.
        assert_eq!(
            estimate_tokens("The quick brown fox jumps over the lazy dog."),
            10
        );
        assert_eq!(estimate_tokens("2026-01-31"), 6);
        assert_eq!(estimate_tokens("\u{8bb0}\u{5fc6}"), 2);
        assert_eq!(
            estimate_tokens("\u{43f}\u{430}\u{43c}\u{44f}\u{442}\u{44c}"),
            3
        );
        assert_eq!(estimate_tokens("a\n\nb"), 3);
    }

    proptest! {
            #[test]
            fn normalise_is_idempotent(content in "[ \\t\\u{a0}a-z\\u{300}-\\u{310}\\u{2000}-\\u{200b}\\PC]{0,40}") {
                let once = normalise(&content).into_owned();
                prop_assert_eq!(normalise(&once), once.as_str());
            }

            #[test]
            fn normalised_equal_means_hash_equal(words in prop::collection::vec("[a-zA-Z0-9]{1,6}", 1..8)) {
                prop_assert_eq!(content_hash(&words.join(" ")), content_hash(&format!("\n{}\t", words.join(" \u{a0}"))));
            }

            #[test]
            fn blank_normalises_to_nothing_a_reader_sees(content in "[ \\t\\n\\u{200b}\\u{feff}]{0,10}") {
                prop_assert!(is_blank(&content));
            }

            #[test]
            fn token_estimate_is_bounded_and_grows(content in ".{0,60}", more in ".{0,60}") {
                let tokens = estimate_tokens(&content);
                prop_assert!(tokens <= content.chars().count());
    let longer = estimate_tokens(&(content + &more));
                prop_assert!(longer + 1 >= tokens);
            }
        }
}
