/// The part of an English word that its common forms share: plural, -ing, -ed, -ly and final -e or
/// -y are cut off. Only ever a prefix, so nothing is allocated; other scripts come back unchanged.
///
/// Rough on purpose: what it misses, the n-grams still relate.
pub fn stem(word: &[u8]) -> &[u8] {
    if !word.iter().all(u8::is_ascii_lowercase) {
        return word;
    }
    let mut stem = word;
    if let Some(singular) = stem.strip_suffix(b"s")
        && singular.len() > 2
        && !matches!(singular.last(), Some(b's' | b'u' | b'i'))
    {
        stem = singular;
    }
    if let Some(rest) = stem.strip_suffix(b"ly").filter(|rest| rest.len() > 3) {
        stem = rest;
    }
    let inflected = stem
        .strip_suffix(b"ing")
        .or_else(|| stem.strip_suffix(b"ed"));
    if let Some(rest) = inflected.filter(|rest| rest.len() > 2 && rest.iter().any(is_vowel)) {
        stem = match rest {
            [.., a, b] if a == b && !matches!(a, b'l' | b's' | b'z') && !is_vowel(a) => {
                &rest[..rest.len() - 1]
            }
            _ => rest,
        };
    }
    if let Some(rest) = stem.strip_suffix(b"e").filter(|rest| rest.len() > 2) {
        stem = rest;
    }
    match stem {
        [rest @ .., b'y' | b'i'] if rest.len() > 1 && !rest.last().is_some_and(is_vowel) => rest,
        _ => stem,
    }
}

fn is_vowel(letter: &u8) -> bool {
    matches!(letter, b'a' | b'e' | b'i' | b'o' | b'u' | b'y')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_same_stem(words: &[&str]) {
        for word in words {
            assert_eq!(
                stem(word.as_bytes()),
                stem(words[0].as_bytes()),
                "{word} and {}",
                words[0]
            );
        }
    }

    #[test]
    fn forms_of_a_word_meet() {
        assert_same_stem(&["deploy", "deploys", "deployed", "deploying"]);
        assert_same_stem(&["city", "cities"]);
        assert_same_stem(&["try", "tries", "tried", "trying"]);
        assert_same_stem(&["make", "makes", "making"]);
        assert_same_stem(&["box", "boxes"]);
        assert_same_stem(&["plan", "plans", "planned", "planning"]);
        assert_same_stem(&["tell", "tells", "telling"]);
        assert_same_stem(&["quick", "quickly"]);
        assert_same_stem(&["happy", "happily"]);
    }

    #[test]
    fn other_words_stay() {
        for word in [
            "class", "status", "bus", "this", "sing", "red", "day", "b2b", "über", "",
        ] {
            assert_eq!(stem(word.as_bytes()), word.as_bytes());
        }
    }
}
