//! What stands around a candidate.

use super::FILL;

/// At most `reach` bytes of whole characters before `at`, on this side of anything redacted.
pub fn before(text: &str, at: usize, reach: usize) -> &str {
    let mut from = at.saturating_sub(reach);
    while !text.is_char_boundary(from) {
        from += 1;
    }
    let context = &text[from..at];
    match context.rfind(char::from(FILL)) {
        Some(filled) => &context[filled + 1..],
        None => context,
    }
}

/// At most `reach` bytes of whole characters from `at`, on this side of anything redacted.
pub fn after(text: &str, at: usize, reach: usize) -> &str {
    let mut to = at.saturating_add(reach).min(text.len());
    while !text.is_char_boundary(to) {
        to -= 1;
    }
    let context = &text[at..to];
    match context.find(char::from(FILL)) {
        Some(filled) => &context[..filled],
        None => context,
    }
}

pub fn char_before(text: &str, at: usize) -> Option<char> {
    text[..at].chars().next_back()
}

pub fn char_after(text: &str, at: usize) -> Option<char> {
    text[at..].chars().next()
}

/// Whether the character belongs to a word or an identifier.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Whether neither end of the span is inside a word.
pub fn is_whole_word(text: &str, start: usize, end: usize) -> bool {
    !char_before(text, start).is_some_and(is_word) && !char_after(text, end).is_some_and(is_word)
}
