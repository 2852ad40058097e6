//! The `md5` embedder: the vectors of the MemoryStages provider, for stores that come from there.
//!
//! It tells equal texts from different ones and nothing more.

use md5::{Digest, Md5};

/// Embeds `text` as the four big-endian 32-bit words of its MD5 digest, each mapped from 0..2³² to
/// -1..1, followed by zeros. Fewer than four dimensions keep the first words.
pub fn embed(text: &str, dimensions: usize) -> Vec<f32> {
    let digest = Md5::digest(text.as_bytes());
    let mut vector = vec![0.0; dimensions];
    for (component, word) in vector.iter_mut().zip(digest.chunks_exact(4)) {
        let word = u32::from_be_bytes([word[0], word[1], word[2], word[3]]);
        *component = (f64::from(word) / 2f64.powi(31) - 1.0) as f32;
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_starts_with(vector: &[f32], expected: [f64; 4]) {
        for (component, expected) in vector.iter().zip(expected) {
            assert_eq!(*component, expected as f32);
        }
        assert!(vector[4..].iter().all(|component| *component == 0.0));
    }

    #[test]
    fn ve_1_empty_text_matches_memory_stages() {
        let vector = embed("", 384);
        assert_eq!(vector.len(), 384);
        assert_starts_with(
            &vector,
            [
                0.6571518001146615,
                0.11720872111618519,
                0.8242198936641216,
                0.8513262858614326,
            ],
        );
    }

    #[test]
    fn ve_1_hello_world_matches_memory_stages() {
        assert_starts_with(
            &embed("Hello, world!", 384),
            [
                -0.14980060746893287,
                0.8363539329729974,
                0.5783094521611929,
                -0.5525026055984199,
            ],
        );
    }

    #[test]
    fn ve_2_long_text_embeds() {
        let vector = embed(&"memory ".repeat(15_000), 384);
        assert!(vector[..4].iter().all(|component| component.abs() <= 1.0));
        assert!(vector[..4].iter().any(|component| *component != 0.0));
    }

    #[test]
    fn few_dimensions_keep_the_first_words() {
        assert_eq!(embed("Hello, world!", 0), Vec::<f32>::new());
        assert_eq!(embed("Hello, world!", 2), embed("Hello, world!", 8)[..2]);
    }
}
