//! A text as a reader takes it, for matching phrases: compatibility decomposition (NFKD) with its
//! marks removed, lower case, without characters of no width and control characters, look-alike
//! letters as Latin ones, every run of white space one blank or, if it holds one, one line end.
//!
//! NFKC differs only where marks or Hangul are composed, which no phrase here has.

use unicode_normalization::char::{decompose_compatible, is_combining_mark};

use super::FILL;
use super::hidden;

/// Of the characters that one stands for, how many are kept: ligatures have three, some Arabic
/// characters whole phrases.
const MAX_EXPANSION: usize = 4;

/// The folded text, and where its characters come from.
pub struct Folded<'a> {
    pub text: String,
    original: &'a str,
    /// Offsets in the folded text and in the original, wherever their distance changes.
    anchors: Vec<(usize, usize)>,
}

impl<'a> Folded<'a> {
    pub fn new(original: &'a str) -> Self {
        let mut folded = Self {
            text: String::with_capacity(original.len()),
            original,
            anchors: Vec::new(),
        };
        // Offset of white space that has been read, and whether it holds a line end.
        let mut space: Option<(usize, bool)> = None;
        for (at, c) in original.char_indices() {
            let c = hidden::tagged(c).unwrap_or(c);
            if c.is_whitespace() {
                let (start, has_line_end) = space.unwrap_or((at, false));
                let is_line_end = matches!(c, '\n' | '\r' | '\u{2028}' | '\u{2029}');
                space = Some((start, has_line_end || is_line_end));
                continue;
            }
            let is_fill = c == char::from(FILL);
            if !is_fill
                && (c.is_control() || hidden::is_invisible(c) || matches!(c, '*' | '`' | '~'))
            {
                continue;
            }
            if let Some((start, is_line_end)) = space.take() {
                folded.push(if is_line_end { '\n' } else { ' ' }, start);
            }
            if c.is_ascii() {
                folded.push(c.to_ascii_lowercase(), at);
            } else {
                folded.push_decomposed(c, at);
            }
        }
        folded
    }

    fn push_decomposed(&mut self, c: char, at: usize) {
        let mut count = 0;
        decompose_compatible(c, |part| {
            if is_combining_mark(part) || count == MAX_EXPANSION {
                return;
            }
            count += 1;
            for lower in part
                .to_lowercase()
                .filter(|lower| !is_combining_mark(*lower))
            {
                self.push(latin_of(lower), at);
            }
        });
    }

    fn push(&mut self, c: char, origin: usize) {
        let is_aligned = self
            .anchors
            .last()
            .is_some_and(|&(folded, original)| original + (self.text.len() - folded) == origin);
        if !is_aligned {
            self.anchors.push((self.text.len(), origin));
        }
        self.text.push(c);
    }

    /// The span of the original that a span of whole characters of the folded text comes from.
    pub fn original_span(&self, start: usize, end: usize) -> (usize, usize) {
        let last = self.text[..end]
            .chars()
            .next_back()
            .map_or(0, char::len_utf8);
        let last = self.origin(end - last);
        let length = self.original[last..]
            .chars()
            .next()
            .map_or(0, char::len_utf8);
        (self.origin(start), last + length)
    }

    /// Where the character at this offset comes from.
    fn origin(&self, at: usize) -> usize {
        let after = self.anchors.partition_point(|(folded, _)| *folded <= at);
        match after
            .checked_sub(1)
            .and_then(|place| self.anchors.get(place))
        {
            Some((folded, original)) => original + (at - folded),
            None => at,
        }
    }
}

/// The Latin letter a reader would take this lower-case one for: the commonest of Unicode's
/// confusables (UTS 39), and typographic apostrophes.
fn latin_of(c: char) -> char {
    match c {
        '\u{430}' | '\u{3b1}' | '\u{251}' => 'a',
        '\u{441}' | '\u{3f2}' => 'c',
        '\u{501}' => 'd',
        '\u{435}' | '\u{4bd}' => 'e',
        '\u{261}' => 'g',
        '\u{4bb}' => 'h',
        '\u{456}' | '\u{3b9}' | '\u{131}' => 'i',
        '\u{458}' => 'j',
        '\u{3ba}' | '\u{43a}' => 'k',
        '\u{4cf}' => 'l',
        '\u{578}' => 'n',
        '\u{43e}' | '\u{3bf}' | '\u{585}' => 'o',
        '\u{440}' | '\u{3c1}' => 'p',
        '\u{51b}' => 'q',
        '\u{455}' => 's',
        '\u{3c4}' => 't',
        '\u{3c5}' | '\u{57d}' => 'u',
        '\u{3bd}' | '\u{475}' => 'v',
        '\u{51d}' => 'w',
        '\u{445}' | '\u{3c7}' => 'x',
        '\u{443}' => 'y',
        '\u{2018}' | '\u{2019}' | '\u{2bc}' => '\'',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use super::Folded;

    #[test]
    fn folds_what_a_reader_does_not_see() {
        for (original, folded) in [
            ("Ignore  ALL\u{a0}previous", "ignore all previous"),
            ("ig\u{200b}no\u{ad}re", "ignore"),
            ("\u{ff29}\u{ff47}\u{ff4e}\u{ff4f}\u{ff52}\u{ff45}", "ignore"),
            ("\u{456}gn\u{43e}r\u{435}", "ignore"),
            ("pr\u{e9}c\u{e9}dentes", "precedentes"),
            ("pre\u{301}ce\u{301}dentes", "precedentes"),
            ("\u{fb01}n", "fin"),
            ("a \t\r\n b", "a\nb"),
            ("**a** `b`", "a b"),
            ("\u{e0049}\u{e0067}", "ig"),
            ("don\u{2019}t", "don't"),
        ] {
            assert_eq!(Folded::new(original).text, folded, "{original:?}");
        }
    }

    #[test]
    fn spans_map_back_to_whole_characters() {
        let original = "\u{e9}\u{200b}\u{200b}a  \u{fb03}x \u{43e}k";
        let folded = Folded::new(original);
        assert_eq!(folded.text, "ea ffix ok");
        let span = |start, end| {
            let (start, end) = folded.original_span(start, end);
            &original[start..end]
        };
        assert_eq!(span(0, 1), "\u{e9}");
        assert_eq!(span(1, 2), "a");
        assert_eq!(span(2, 3), " ");
        assert_eq!(span(4, 5), "\u{fb03}");
        assert_eq!(span(3, 7), "\u{fb03}x");
        assert_eq!(span(8, 10), "\u{43e}k");
        assert_eq!(span(0, 10), original);
    }
}
