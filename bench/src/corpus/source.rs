//! What a corpus grows from: texts, each with a vector of 384 dimensions.

use std::path::Path;

use super::noise;
use crate::Result;

pub const DIMENSIONS: usize = 384;

/// Topics, words and texts of the generated source, near the sizes of the real one.
const TOPICS: usize = 250;
const WORDS_OF_A_TOPIC: usize = 40;
const COMMON_WORDS: usize = 3_000;
const TEXTS: usize = 20_000;
/// Length of a text's own direction beside its topic's, which is 1.
const SPREAD: f32 = 0.9;

pub struct Source {
    /// Where it comes from, for the report.
    pub origin: String,
    pub texts: Vec<String>,
    vectors: Vec<f32>,
}

impl Source {
    /// Real utterances with their MiniLM vectors where the folder is there, generated ones elsewhere.
    pub fn open(folder: &Path, seed: u64) -> Result<Self> {
        if folder.join("texts.jsonl").is_file() {
            Self::read(folder)
        } else {
            let mut source = Self::generate(&mut fastrand::Rng::with_seed(seed));
            source.origin = format!(
                "generated texts and clustered vectors ({} is absent)",
                folder.display()
            );
            Ok(source)
        }
    }

    pub fn vector(&self, index: usize) -> &[f32] {
        &self.vectors[index * DIMENSIONS..][..DIMENSIONS]
    }

    fn read(folder: &Path) -> Result<Self> {
        let mut texts = Vec::new();
        for line in std::fs::read_to_string(folder.join("texts.jsonl"))?.lines() {
            let record: serde_json::Value = serde_json::from_str(line)?;
            let text = record["text"]
                .as_str()
                .ok_or("texts.jsonl: a line without a text")?;
            texts.push(text.to_owned());
        }
        let vectors = read_f16(&folder.join("emb.f16"))?;
        if vectors.len() != texts.len() * DIMENSIONS {
            return Err(format!(
                "{}: {} texts need {} numbers in emb.f16, it has {}",
                folder.display(),
                texts.len(),
                texts.len() * DIMENSIONS,
                vectors.len()
            )
            .into());
        }
        Ok(Self {
            origin: format!(
                "{} real texts with MiniLM vectors ({})",
                texts.len(),
                folder.display()
            ),
            texts,
            vectors,
        })
    }

    fn generate(rng: &mut fastrand::Rng) -> Self {
        let mut words = Vec::with_capacity(COMMON_WORDS + TOPICS * WORDS_OF_A_TOPIC);
        words.resize_with(words.capacity(), || generated_word(rng));
        let centres: Vec<Vec<f32>> = (0..TOPICS)
            .map(|_| noise::direction(DIMENSIONS, rng))
            .collect();
        let mut texts = Vec::with_capacity(TEXTS);
        let mut vectors = Vec::with_capacity(TEXTS * DIMENSIONS);
        for _ in 0..TEXTS {
            let topic = rng.usize(..TOPICS);
            let text: Vec<&str> = (0..rng.usize(6..24))
                .map(|_| {
                    let word = if rng.bool() {
                        COMMON_WORDS + topic * WORDS_OF_A_TOPIC + rng.usize(..WORDS_OF_A_TOPIC)
                    } else {
                        // Few words are said often, most of them seldom.
                        (rng.f64().powi(3) * COMMON_WORDS as f64) as usize
                    };
                    words[word].as_str()
                })
                .collect();
            texts.push(text.join(" "));
            vectors.extend(noise::perturbed(&centres[topic], SPREAD, rng));
        }
        Self {
            origin: String::new(),
            texts,
            vectors,
        }
    }
}

/// Numbers of a file of little-endian float16.
pub fn read_f16(path: &Path) -> Result<Vec<f32>> {
    let bytes = std::fs::read(path)?;
    Ok(bytes
        .chunks_exact(2)
        .map(|pair| half::f16::from_le_bytes([pair[0], pair[1]]).to_f32())
        .collect())
}

fn generated_word(rng: &mut fastrand::Rng) -> String {
    const CONSONANTS: &[u8] = b"bcdfghklmnprstvz";
    const VOWELS: &[u8] = b"aeiou";
    let mut word = String::new();
    for _ in 0..rng.usize(2..5) {
        word.push(char::from(CONSONANTS[rng.usize(..CONSONANTS.len())]));
        word.push(char::from(VOWELS[rng.usize(..VOWELS.len())]));
    }
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_vectors_have_unit_length_and_neighbourhoods() {
        let source = Source::generate(&mut fastrand::Rng::with_seed(7));
        assert_eq!(source.texts.len(), TEXTS);
        let similarity = |a: usize, b: usize| -> f32 {
            source
                .vector(a)
                .iter()
                .zip(source.vector(b))
                .map(|(x, y)| x * y)
                .sum()
        };
        assert!((similarity(0, 0) - 1.0).abs() < 1e-4);
        let nearest = (1..2000)
            .map(|other| similarity(0, other))
            .fold(f32::MIN, f32::max);
        assert!(nearest > 0.4, "{nearest}");
    }
}
