use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::stem::stem;
use super::{STEM_SEED, WORD_SEED, hash};

/// The words of a text: lower-cased runs of letters and digits, Latin accents removed. Scripts
/// written without blanks give every character and every pair of neighbours as a word.
pub struct Words {
    /// Every word with a blank before and after it.
    text: String,
    words: Vec<Word>,
}

struct Word {
    hash: u64,
    /// Of the word in `text`, without the blanks.
    start: usize,
    end: usize,
}

impl Words {
    pub fn of(text: &str) -> Self {
        let mut words = Self {
            text: String::with_capacity(text.len() + 2),
            words: Vec::with_capacity(text.len() / 5),
        };
        words.text.push(' ');
        if text.is_ascii() {
            words.split(text.chars().map(|c| c.to_ascii_lowercase()));
        } else {
            let is_accent = |c: &char| matches!(c, '\u{300}'..='\u{36f}');
            let lower = text.nfkd().flat_map(char::to_lowercase);
            words.split(lower.filter(|c| !is_accent(c)).nfc());
        }
        words
    }

    fn split(&mut self, text: impl Iterator<Item = char>) {
        let mut unspaced_before = None;
        for c in text {
            let unspaced = is_unspaced(c);
            if unspaced {
                self.close_word();
                self.text.push(c);
                self.close_word();
                if let Some(before) = unspaced_before {
                    self.text.push(before);
                    self.text.push(c);
                    self.close_word();
                }
            } else if c.is_alphanumeric() || is_combining_mark(c) {
                self.text.push(c);
            } else {
                self.close_word();
            }
            unspaced_before = unspaced.then_some(c);
        }
        self.close_word();
    }

    fn close_word(&mut self) {
        let start = self.words.last().map_or(1, |word| word.end + 1);
        let end = self.text.len();
        if start < end {
            let hash = hash(WORD_SEED, &self.text.as_bytes()[start..end]);
            self.words.push(Word { hash, start, end });
            self.text.push(' ');
        }
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Hashes of the stems, in the order of the text until [`Self::each`] is called.
    pub fn stems(&self) -> impl Iterator<Item = u64> {
        self.words.iter().map(|word| {
            let word = &self.text.as_bytes()[word.start..word.end];
            hash(STEM_SEED, stem(word))
        })
    }

    /// Calls `visit` with every different word, blanks included, and how often it occurs. The order
    /// does not depend on the order in the text.
    pub fn each(&mut self, mut visit: impl FnMut(&[u8], usize)) {
        self.words
            .sort_unstable_by_key(|word| (word.hash, word.start));
        for same in self.words.chunk_by(|a, b| a.hash == b.hash) {
            let padded = &self.text.as_bytes()[same[0].start - 1..same[0].end + 1];
            visit(padded, same.len());
        }
    }
}

/// Letters of scripts that put no blanks between words: Thai, Lao, Burmese, Khmer, kana, Han.
fn is_unspaced(c: char) -> bool {
    matches!(c,
        '\u{e00}'..='\u{eff}' | '\u{1000}'..='\u{109f}' | '\u{1780}'..='\u{17ff}'
        | '\u{3041}'..='\u{30ff}' | '\u{31f0}'..='\u{31ff}' | '\u{3400}'..='\u{4dbf}'
        | '\u{4e00}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

/// How much a word says by its looks, in place of a document frequency.
pub fn weight(word: &[u8]) -> f32 {
    if FUNCTION_WORDS.binary_search(&word).is_ok() {
        return FUNCTION_WEIGHT;
    }
    if COMMON_WORDS.binary_search(&word).is_ok() {
        return COMMON_WEIGHT;
    }
    WEIGHT_BY_LENGTH[word.len().min(WEIGHT_BY_LENGTH.len() - 1)]
}

const FUNCTION_WEIGHT: f32 = 0.05;
const COMMON_WEIGHT: f32 = 0.4;
const WEIGHT_BY_LENGTH: [f32; 9] = [0.0, 0.55, 0.77, 0.89, 0.95, 1.0, 1.05, 1.07, 1.1];

/// English words that say nothing about the topic; "don", "ll" and the like are what is left of
/// contractions.
static FUNCTION_WORDS: LazyLock<Vec<&[u8]>> = LazyLock::new(|| {
    sorted(
        "\
    a about after again ain all also am an and any are aren as at be because been before being \
    both but by can could couldn d did didn do does doesn doing don done down during each either \
    ever every few for from further get gets getting got had hadn has hasn have haven having he \
    her here hers herself him himself his how i if in into is isn it its itself just let ll m \
    may me might more most much must my myself neither no nor not now of off on once one only or \
    other our ours ourselves out over own quite rather re s same shall she should shouldn so \
    some such t than that the their theirs them themselves then there these they this those \
    though through to too under until up upon us ve very was wasn we were weren what when where \
    whether which while who whom whose why will with within without won would wouldn yet you \
    your yours yourself yourselves",
    )
});

/// English words that say little about the topic.
static COMMON_WORDS: LazyLock<Vec<&[u8]>> = LazyLock::new(|| {
    sorted(
        "\
    able actually add already always another around ask away back bad became become began begin \
    best better big bring came case change come comes coming day days different easy else end \
    enough even far feel feels felt find first found gave give given gives go goes going gone \
    good great guy happen happened hard hear help hey hi high hope idea keep kept kind knew know \
    known knows last late later least left less life like little live long look looked looking \
    lot lots love made make makes making man many mean means moment need never new next nice \
    nothing often oh ok okay old open part people place point problem put really right run said \
    saw say says see seem seems seen set show since small something sometimes soon still stuff \
    sure take taken taking talk tell thank thanks thing things think thinking thought time times \
    today together told took tried try trying turn two use used using want wanted wants way ways \
    week well went wonder work world wow yeah year years yes",
    )
});

fn sorted(words: &str) -> Vec<&[u8]> {
    let mut words: Vec<_> = words.split_whitespace().map(str::as_bytes).collect();
    words.sort_unstable();
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(String, usize)> {
        let mut found = Vec::new();
        Words::of(text).each(|word, count| {
            let word = String::from_utf8(word.to_vec()).unwrap();
            found.push((word, count));
        });
        found.sort();
        found
    }

    #[test]
    fn words_are_folded_and_counted() {
        assert_eq!(words(""), []);
        assert_eq!(words("... -- !"), []);
        assert_eq!(
            words("The caf\u{e9}, THE Cafe\u{301} x2!"),
            [
                (" cafe ".into(), 2),
                (" the ".into(), 2),
                (" x2 ".into(), 1)
            ]
        );
        assert_eq!(words("\u{130}"), [(" i ".into(), 1)]);
    }

    #[test]
    fn unspaced_scripts_give_characters_and_pairs() {
        assert_eq!(
            words("\u{65e5}\u{672c}go"),
            [
                (" go ".into(), 1),
                (" \u{65e5} ".into(), 1),
                (" \u{65e5}\u{672c} ".into(), 1),
                (" \u{672c} ".into(), 1),
            ]
        );
    }

    #[test]
    fn no_word_is_listed_twice() {
        let listed = [FUNCTION_WORDS.as_slice(), &COMMON_WORDS].concat();
        for (i, word) in listed.iter().enumerate() {
            assert!(!listed[..i].contains(word), "{word:?}");
        }
    }

    #[test]
    fn rarer_looking_words_weigh_more() {
        let weights = ["the", "good", "tea", "tuna", "kubernetes"].map(|w| weight(w.as_bytes()));
        assert!(weights.is_sorted_by(|a, b| a < b));
    }
}
