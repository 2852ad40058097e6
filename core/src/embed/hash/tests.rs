use proptest::prelude::*;

use super::*;

fn cosine(a: &str, b: &str) -> f64 {
    let (a, b) = (embed(a, 384), embed(b, 384));
    a.iter()
        .zip(&b)
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum()
}

fn assert_unit_length(vector: &[f32]) {
    let length: f64 = vector
        .iter()
        .map(|c| f64::from(*c).powi(2))
        .sum::<f64>()
        .sqrt();
    assert!((length - 1.0).abs() < 1e-3, "length is {length}");
}

#[test]
fn nothing_embeds_to_zero() {
    for text in ["", " ", "...", "\u{1f389}", "\0", "the", "I", "\u{301}"] {
        for dimensions in [1, 2, 3, 384, 16_000] {
            let vector = embed(text, dimensions);
            assert_eq!(vector.len(), dimensions);
            assert_unit_length(&vector);
        }
    }
    assert_eq!(embed("text", 0), Vec::<f32>::new());
    assert_ne!(embed("!", 8), embed("?!", 8));
}

#[test]
fn case_blanks_and_punctuation_do_not_matter() {
    let vector = embed("blue green deployment", 384);
    assert_eq!(vector, embed(" Blue, GREEN\tdeployment!\n", 384));
}

#[test]
fn order_matters_a_little() {
    let reordered = cosine("blue green deployment", "deployment: green blue");
    assert!(reordered > 0.3 && reordered < 0.9, "{reordered}");
}

#[test]
fn composed_and_decomposed_are_equal() {
    assert_eq!(embed("caf\u{e9}", 64), embed("cafe\u{301}", 64));
    assert_eq!(embed("\u{304c}", 64), embed("\u{304b}\u{3099}", 64));
    assert_eq!(embed("na\u{ef}ve", 64), embed("naive", 64));
    assert_ne!(embed("\u{304c}", 64), embed("\u{304b}", 64));
}

#[test]
fn nearer_texts_have_a_greater_cosine() {
    let memory = "Alice prefers blue-green deployments of the payment service";
    assert!((cosine(memory, memory) - 1.0).abs() < 1e-6);
    let same_words = cosine(memory, "how are deployments of the payment service done");
    let forms = cosine(memory, "deploying payments");
    let unrelated = cosine(memory, "the cat of Bob likes tuna");
    assert!(same_words > forms, "{same_words} {forms}");
    assert!(forms > unrelated + 0.1, "{forms} {unrelated}");
    assert!(unrelated.abs() < 0.2, "{unrelated}");
}

#[test]
fn misspelt_words_stay_near() {
    let near = cosine("kubernetes configuration", "kubernets configuraton");
    assert!(near > 0.25, "{near}");
}

#[test]
fn function_words_count_little() {
    let around = cosine("what is the database password", "database password");
    let other = cosine(
        "rotate every quarter database password",
        "database password",
    );
    assert!(around > other + 0.05, "{around} {other}");
}

#[test]
fn a_text_is_not_near_for_being_short() {
    let query = "when did Melanie run the charity race";
    let short = cosine(query, "Melanie: thanks!");
    let long = cosine(
        query,
        "Melanie: I ran a charity race for mental health last Saturday and it was really rewarding",
    );
    assert!(long > short, "{long} {short}");
}

#[test]
fn scripts_without_blanks_share_characters() {
    let near = cosine(
        "\u{6211}\u{559c}\u{6b22}\u{559d}\u{5496}\u{5561}",
        "\u{5496}\u{5561}",
    );
    let far = cosine(
        "\u{6211}\u{559c}\u{6b22}\u{559d}\u{5496}\u{5561}",
        "\u{5929}\u{6c14}",
    );
    assert!(near > far + 0.2, "{near} {far}");
}

#[test]
fn ve_2_long_texts_embed() {
    let sentence = "The quick brown fox jumps over the lazy dog. ";
    for bytes in [100_000, 1_000_000] {
        assert_unit_length(&embed(&sentence.repeat(bytes / sentence.len()), 384));
        assert_unit_length(&embed(&"a".repeat(bytes), 384));
    }
}

#[test]
fn the_length_of_repetition_is_sublinear() {
    assert_eq!(sublinear(1), 1.0);
    assert_eq!(sublinear(2), 1.0 + std::f32::consts::LN_2);
    assert!(sublinear(1000) < 8.0);
    assert!((1..5000).all(|count| sublinear(count) < sublinear(count + 1)));
}

proptest! {
    #[test]
    fn any_text_in_any_dimensions_has_unit_length(text in ".{0,80}", dimensions in 1usize..600) {
        let vector = embed(&text, dimensions);
        prop_assert_eq!(vector.len(), dimensions);
        assert_unit_length(&vector);
        prop_assert_eq!(&vector, &embed(&text, dimensions));
        let mut again = vec![f32::NAN; dimensions];
        embed_into(&text, &mut again);
        prop_assert_eq!(vector, again);
    }
}

/// Stored vectors would all be stale if this changed.
#[test]
fn known_answers() {
    for (text, expected) in [
        ("", [-0.35355338, -0.35355338, -0.35355338, 0.35355338]),
        (
            "Hello, world!",
            [-0.080430806, -0.64338976, 0.5267803, -0.17124175],
        ),
        (
            "\u{65e5}\u{672c}\u{8a9e} caf\u{e9} 42",
            [0.22836193, -0.36247078, -0.2824294, 0.5529657],
        ),
    ] {
        assert_eq!(embed(text, 8)[..4], expected, "for {text}");
    }
}
