//! Text that a program reads and a person does not see.

use super::context::{char_after, char_before};
use super::{Confidence, Finding};

pub const KIND: &str = "hidden_text";

/// Characters of no width in a row that carry a message rather than a hint for line breaking.
const MESSAGE: usize = 4;

/// Of no width or effect of its own: Unicode's Default_Ignorable_Code_Point but for the tags, which
/// stand for ASCII, see [`tagged`].
pub fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}'
        | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e001f}' | '\u{e007f}'..='\u{e0fff}')
}

/// The ASCII character that a tag character repeats invisibly.
pub fn tagged(c: char) -> Option<char> {
    match c {
        '\u{e0020}'..='\u{e007e}' => char::from_u32(u32::from(c) - 0xe0000),
        _ => None,
    }
}

fn is_tag(c: char) -> bool {
    matches!(c, '\u{e0000}'..='\u{e007f}')
}

/// Selectors of glyphs; one after a character is ordinary, and a row of them can carry bytes.
fn is_variation_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn is_bidi_override(c: char) -> bool {
    matches!(c, '\u{202d}' | '\u{202e}')
}

/// Ordinary in texts that hold both directions.
fn is_bidi_embedding(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202c}' | '\u{2066}'..='\u{2069}')
}

fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}'
        | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
}

pub fn find(text: &str, found: &mut Vec<Finding>) {
    if text.is_ascii() {
        return;
    }
    let mut is_two_way = None;
    let mut run = Run::default();
    for (at, c) in text.char_indices() {
        if is_invisible(c) || is_tag(c) {
            run.add(at, c);
        } else if run.count > 0 {
            run.take().report(text, &mut is_two_way, found);
        }
    }
    run.report(text, &mut is_two_way, found);
}

/// Invisible characters in a row.
#[derive(Default)]
struct Run {
    start: usize,
    end: usize,
    count: usize,
    tags: usize,
    selectors: usize,
    overrides: usize,
    embeddings: usize,
}

impl Run {
    fn add(&mut self, at: usize, c: char) {
        if self.count == 0 {
            self.start = at;
        }
        self.end = at + c.len_utf8();
        self.count += 1;
        self.tags += usize::from(is_tag(c));
        self.selectors += usize::from(is_variation_selector(c));
        self.overrides += usize::from(is_bidi_override(c));
        self.embeddings += usize::from(is_bidi_embedding(c));
    }

    fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    fn report(&self, text: &str, is_two_way: &mut Option<bool>, found: &mut Vec<Finding>) {
        if self.count == 0 {
            return;
        }
        let is_flag =
            (1..=8).contains(&self.tags) && char_before(text, self.start) == Some('\u{1f3f4}');
        let is_odd_direction = self.embeddings > 0
            && !*is_two_way.get_or_insert_with(|| text.chars().any(is_right_to_left));
        let is_message = self.count - self.embeddings >= MESSAGE;
        if is_flag {
            return;
        }
        let confidence = if self.tags > 0 || self.overrides > 0 || self.selectors > 2 {
            Confidence::High
        } else if is_odd_direction || is_message || self.is_inside_word(text) {
            Confidence::Medium
        } else {
            return;
        };
        found.push(Finding::injection(KIND, self.start, self.end, confidence));
    }

    /// Between two Latin letters, where no script needs a joiner. A soft hyphen is ordinary there.
    fn is_inside_word(&self, text: &str) -> bool {
        let is_letter = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphabetic());
        let is_soft_hyphen = self.count == 1 && text[self.start..].starts_with('\u{ad}');
        is_letter(char_before(text, self.start))
            && is_letter(char_after(text, self.end))
            && !is_soft_hyphen
    }
}
