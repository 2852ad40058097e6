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

const FUNCTION_WORDS: &[&[u8]] = &[
    b"a",
    b"about",
    b"after",
    b"again",
    b"ain",
    b"all",
    b"also",
    b"am",
    b"an",
    b"and",
    b"any",
    b"are",
    b"aren",
    b"as",
    b"at",
    b"be",
    b"because",
    b"been",
    b"before",
    b"being",
    b"both",
    b"but",
    b"by",
    b"can",
    b"could",
    b"couldn",
    b"d",
    b"did",
    b"didn",
    b"do",
    b"does",
    b"doesn",
    b"doing",
    b"don",
    b"done",
    b"down",
    b"during",
    b"each",
    b"either",
    b"ever",
    b"every",
    b"few",
    b"for",
    b"from",
    b"further",
    b"get",
    b"gets",
    b"getting",
    b"got",
    b"had",
    b"hadn",
    b"has",
    b"hasn",
    b"have",
    b"haven",
    b"having",
    b"he",
    b"her",
    b"here",
    b"hers",
    b"herself",
    b"him",
    b"himself",
    b"his",
    b"how",
    b"i",
    b"if",
    b"in",
    b"into",
    b"is",
    b"isn",
    b"it",
    b"its",
    b"itself",
    b"just",
    b"let",
    b"ll",
    b"m",
    b"may",
    b"me",
    b"might",
    b"more",
    b"most",
    b"much",
    b"must",
    b"my",
    b"myself",
    b"neither",
    b"no",
    b"nor",
    b"not",
    b"now",
    b"of",
    b"off",
    b"on",
    b"once",
    b"one",
    b"only",
    b"or",
    b"other",
    b"our",
    b"ours",
    b"ourselves",
    b"out",
    b"over",
    b"own",
    b"quite",
    b"rather",
    b"re",
    b"s",
    b"same",
    b"shall",
    b"she",
    b"should",
    b"shouldn",
    b"so",
    b"some",
    b"such",
    b"t",
    b"than",
    b"that",
    b"the",
    b"their",
    b"theirs",
    b"them",
    b"themselves",
    b"then",
    b"there",
    b"these",
    b"they",
    b"this",
    b"those",
    b"though",
    b"through",
    b"to",
    b"too",
    b"under",
    b"until",
    b"up",
    b"upon",
    b"us",
    b"ve",
    b"very",
    b"was",
    b"wasn",
    b"we",
    b"were",
    b"weren",
    b"what",
    b"when",
    b"where",
    b"whether",
    b"which",
    b"while",
    b"who",
    b"whom",
    b"whose",
    b"why",
    b"will",
    b"with",
    b"within",
    b"without",
    b"won",
    b"would",
    b"wouldn",
    b"yet",
    b"you",
    b"your",
    b"yours",
    b"yourself",
    b"yourselves",
];

const COMMON_WORDS: &[&[u8]] = &[
    b"able",
    b"actually",
    b"add",
    b"already",
    b"always",
    b"another",
    b"around",
    b"ask",
    b"away",
    b"back",
    b"bad",
    b"became",
    b"become",
    b"began",
    b"begin",
    b"best",
    b"better",
    b"big",
    b"bring",
    b"came",
    b"case",
    b"change",
    b"come",
    b"comes",
    b"coming",
    b"day",
    b"days",
    b"different",
    b"easy",
    b"else",
    b"end",
    b"enough",
    b"even",
    b"far",
    b"feel",
    b"feels",
    b"felt",
    b"find",
    b"first",
    b"found",
    b"gave",
    b"give",
    b"given",
    b"gives",
    b"go",
    b"goes",
    b"going",
    b"gone",
    b"good",
    b"great",
    b"guy",
    b"happen",
    b"happened",
    b"hard",
    b"hear",
    b"help",
    b"hey",
    b"hi",
    b"high",
    b"hope",
    b"idea",
    b"keep",
    b"kept",
    b"kind",
    b"knew",
    b"know",
    b"known",
    b"knows",
    b"last",
    b"late",
    b"later",
    b"least",
    b"left",
    b"less",
    b"life",
    b"like",
    b"little",
    b"live",
    b"long",
    b"look",
    b"looked",
    b"looking",
    b"lot",
    b"lots",
    b"love",
    b"made",
    b"make",
    b"makes",
    b"making",
    b"man",
    b"many",
    b"mean",
    b"means",
    b"moment",
    b"need",
    b"never",
    b"new",
    b"next",
    b"nice",
    b"nothing",
    b"often",
    b"oh",
    b"ok",
    b"okay",
    b"old",
    b"open",
    b"part",
    b"people",
    b"place",
    b"point",
    b"problem",
    b"put",
    b"really",
    b"right",
    b"run",
    b"said",
    b"saw",
    b"say",
    b"says",
    b"see",
    b"seem",
    b"seems",
    b"seen",
    b"set",
    b"show",
    b"since",
    b"small",
    b"something",
    b"sometimes",
    b"soon",
    b"still",
    b"stuff",
    b"sure",
    b"take",
    b"taken",
    b"taking",
    b"talk",
    b"tell",
    b"thank",
    b"thanks",
    b"thing",
    b"things",
    b"think",
    b"thinking",
    b"thought",
    b"time",
    b"times",
    b"today",
    b"together",
    b"told",
    b"took",
    b"tried",
    b"try",
    b"trying",
    b"turn",
    b"two",
    b"use",
    b"used",
    b"using",
    b"want",
    b"wanted",
    b"wants",
    b"way",
    b"ways",
    b"week",
    b"well",
    b"went",
    b"wonder",
    b"work",
    b"world",
    b"wow",
    b"yeah",
    b"year",
    b"years",
    b"yes",
];

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
    fn lists_are_sorted_and_disjoint() {
        for list in [FUNCTION_WORDS, COMMON_WORDS] {
            assert!(list.is_sorted_by(|a, b| a < b));
        }
        assert!(
            COMMON_WORDS
                .iter()
                .all(|word| FUNCTION_WORDS.binary_search(word).is_err())
        );
    }

    #[test]
    fn rarer_looking_words_weigh_more() {
        let weights = ["the", "good", "tea", "tuna", "kubernetes"].map(|w| weight(w.as_bytes()));
        assert!(weights.is_sorted_by(|a, b| a < b));
    }
}
