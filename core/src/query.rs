//! The query syntax of search: that of PostgreSQL's `websearch_to_tsquery`, read leniently.

/// What a query asks for. Phrases are required; words rank; excluded words and phrases must not
/// occur.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Plain words, in order, as written.
    pub words: Vec<String>,
    /// Contents of `"..."`, white space collapsed.
    pub phrases: Vec<String>,
    /// Words and phrases that had a `-` before them.
    pub excluded: Vec<String>,
}

/// Parses a query; never fails.
///
/// `"a phrase"` is required, `-word` and `-"a phrase"` exclude, everything else is words. A quote
/// that is never closed, a `-` that stands alone, inside a word or twice (`--flag`) mean nothing
/// special. `OR` is dropped, since words are alternatives already. Words and phrases without a
/// letter or digit are dropped too: no text can match them.
pub fn parse(text: &str) -> Query {
    let mut query = Query::default();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| !c.is_whitespace()) {
        rest = &rest[start..];
        let (excluded, operand) = match rest.strip_prefix('-') {
            Some(operand) => (true, operand),
            None => (false, rest),
        };
        if let Some((phrase, after)) = quoted(operand) {
            let phrase = phrase.split_whitespace().collect::<Vec<_>>().join(" ");
            if is_searchable(&phrase) {
                if excluded {
                    query.excluded.push(phrase);
                } else {
                    query.phrases.push(phrase);
                }
            }
            rest = after;
            continue;
        }
        let (word, after) = split_word(rest);
        rest = after;
        if !is_searchable(word) || word == "OR" {
            continue;
        }
        match word.strip_prefix('-') {
            Some(word) if word.starts_with(|c: char| c != '-') => {
                query.excluded.push(word.to_owned());
            }
            _ => query.words.push(word.to_owned()),
        }
    }
    query
}

/// The contents of the quotes that `text` starts with, and what follows them.
fn quoted(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('"')?.split_once('"')
}

/// Splits off the word that `text` starts with. It ends at white space, or at a quote that opens a
/// phrase; a quote that opens none is part of the word.
fn split_word(text: &str) -> (&str, &str) {
    let end = text
        .char_indices()
        .skip(1)
        .find(|&(at, c)| c.is_whitespace() || quoted(&text[at..]).is_some())
        .map_or(text.len(), |(at, _)| at);
    text.split_at(end)
}

fn is_searchable(word: &str) -> bool {
    word.contains(char::is_alphanumeric)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_parses(text: &str, words: &[&str], phrases: &[&str], excluded: &[&str]) {
        let query = parse(text);
        assert_eq!(query.words, words, "words of {text}");
        assert_eq!(query.phrases, phrases, "phrases of {text}");
        assert_eq!(query.excluded, excluded, "excluded by {text}");
    }

    #[test]
    fn words_phrases_and_exclusions() {
        assert_parses("", &[], &[], &[]);
        assert_parses("deploy  the API", &["deploy", "the", "API"], &[], &[]);
        assert_parses(
            r#"deploy "blue  green" -staging -"feature flag" now"#,
            &["deploy", "now"],
            &["blue green"],
            &["staging", "feature flag"],
        );
        assert_parses(r#"a"b c"d"#, &["a", "d"], &["b c"], &[]);
        assert_parses(r#""a b""c""#, &[], &["a b", "c"], &[]);
    }

    #[test]
    fn hyphens_that_exclude_nothing() {
        assert_parses("follow-up - e-mail", &["follow-up", "e-mail"], &[], &[]);
        assert_parses("--verbose trailing-", &["--verbose", "trailing-"], &[], &[]);
        assert_parses("- word", &["word"], &[], &[]);
    }

    #[test]
    fn unclosed_and_empty_quotes() {
        assert_parses(
            r#"say "hello there"#,
            &["say", "\"hello", "there"],
            &[],
            &[],
        );
        assert_parses(r#"a 5" screen"#, &["a", "5\"", "screen"], &[], &[]);
        assert_parses(r#""" -"" "..." x"#, &["x"], &[], &[]);
        assert_parses(r#"-"never closed"#, &["closed"], &[], &["\"never"]);
    }

    #[test]
    fn or_is_no_operator() {
        assert_parses(
            "cats OR dogs or birds",
            &["cats", "dogs", "or", "birds"],
            &[],
            &[],
        );
        assert_parses(r#""OR""#, &[], &["OR"], &[]);
    }

    #[test]
    fn many_quotes_stay_linear_enough() {
        let query = parse(&"a".repeat(1_000_000));
        assert_eq!(query.words.len(), 1);
        let query = parse(&"\"a\" ".repeat(200_000));
        assert_eq!(query.phrases.len(), 200_000);
    }

    proptest! {
        #[test]
        fn never_panics_and_invents_nothing(text in "[a-c \"\\-\\t\u{e9}\u{3000}OR]{0,30}") {
            let query = parse(&text);
            for part in query.words.iter().chain(&query.excluded) {
                prop_assert!(part.split(' ').all(|word| text.contains(word)));
            }
            for phrase in &query.phrases {
                prop_assert!(!phrase.contains('"'));
                prop_assert!(is_searchable(phrase));
            }
        }

        #[test]
        fn any_text_parses(text in ".{0,60}") {
            let query = parse(&text);
            prop_assert!(query.words.iter().all(|word| !word.contains(char::is_whitespace)));
        }

        #[test]
        fn plain_words_come_back(words in prop::collection::vec("[a-z0-9]{1,8}", 0..8)) {
            prop_assert_eq!(parse(&words.join(" ")).words, words);
        }
    }
}
