//! The `hash` embedder: lexical similarity without a model.
//!
//! Text is split into lower-cased words. Each word, its stem and its character n-grams are hashed
//! with a sign into the dimensions (feature hashing, Weinberger et al. 2009), so texts are near when
//! they share words, forms of words or parts of words, and nearer when they share neighbours.
//! Repetition counts sublinearly; function words count little and long words more, in place of the
//! document frequencies that one text lacks.
//!
//! The result depends on the text alone: own hash, no transcendental function, sums in a fixed
//! order.

mod stem;
mod words;

use words::Words;

/// How much each kind of feature counts.
struct Weights {
    stem: f32,
    word: f32,
    /// Of all n-grams of a word together.
    grams: f32,
    /// Of all pairs of neighbours of a text together.
    pairs: f32,
}

const WEIGHTS: Weights = Weights {
    stem: 1.0,
    word: 0.3,
    grams: 0.6,
    pairs: 2.45,
};

/// Sizes of the character n-grams; the blanks around a word belong to it.
const MIN_GRAM: usize = 3;
const MAX_GRAM: usize = 5;

/// Features of different kinds with the same bytes are different features.
const WORD_SEED: u64 = 0x9ae1_6a3b_2f90_404f;
const STEM_SEED: u64 = 0xc3a5_c85c_97cb_3127;
const GRAM_SEED: u64 = 0xb492_b66f_be98_f273;
const PAIR_SEED: u64 = 0x8e9d_5aeb_1c4d_2f6b;
const ROTATE_SEED: u64 = 0x1656_67b1_9e37_79f9;
const TEXT_SEED: u64 = 0x2545_f491_4f6c_dd1d;

/// Embeds `text` as a vector of unit length.
pub fn embed(text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dimensions];
    embed_into(text, &mut vector);
    vector
}

/// Embeds `text` into `vector`, whose length is the number of dimensions.
pub fn embed_into(text: &str, vector: &mut [f32]) {
    vector.fill(0.0);
    if vector.is_empty() {
        return;
    }
    let mut words = Words::of(text);
    if !words.is_empty() {
        add_pairs(vector, &words);
        words.each(|word, count| add_word(vector, word, count));
        rotate(vector);
    }
    if !scale_to_unit_length(vector) {
        // No words, or they cancel out exactly.
        fill_from_hash(vector, hash(TEXT_SEED, text.as_bytes()));
        scale_to_unit_length(vector);
    }
}

/// Turns the vector, all texts' vectors alike, so that every component carries a little of every feature.
///
/// Cosines stay as they are. What is gained is that the signs alone tell near from far (Charikar 2002), which the extension's
/// sketches rely on; the components of a short text's vector would otherwise be mostly zero. Signs are flipped and blocks
/// whose length is a power of two Hadamard-transformed: first as many components as such a block can have, then the last
/// ones, then the first ones again, so that all mix.
fn rotate(vector: &mut [f32]) {
    let length = vector.len();
    let block = 1 << length.ilog2();
    let rounds: [usize; 3] = [0, length - block, 0];
    for (round, start) in rounds.into_iter().enumerate() {
        let mut signs = finish(ROTATE_SEED ^ round as u64);
        let part = &mut vector[start..start + block];
        for (place, component) in part.iter_mut().enumerate() {
            if place % 64 == 0 {
                signs = finish(signs.wrapping_add(place as u64 + 1));
            }
            if signs >> (place % 64) & 1 == 1 {
                *component = -*component;
            }
        }
        hadamard(part);
    }
}

/// The fast Walsh-Hadamard transform, scaled to keep lengths.
fn hadamard(part: &mut [f32]) {
    let mut half = 1;
    while half < part.len() {
        for pair in part.chunks_exact_mut(2 * half) {
            let (low, high) = pair.split_at_mut(half);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        half *= 2;
    }
    let scale = 1.0 / (part.len() as f32).sqrt();
    part.iter_mut().for_each(|component| *component *= scale);
}

/// Adds every pair of neighbouring stems, the ends of the text being neighbours too.
///
/// All pairs together weigh the same in every text, so they turn a short text's vector away from its
/// few words: otherwise the cosine would prefer texts for being short.
fn add_pairs(vector: &mut [f32], words: &Words) {
    let pairs = words.stems().count() + 1;
    let weight = WEIGHTS.pairs / (pairs as f32).sqrt();
    let mut before = PAIR_SEED;
    for stem in words.stems().chain([PAIR_SEED]) {
        add(vector, finish(before.rotate_left(32) ^ stem), weight);
        before = stem;
    }
}

/// Adds the features of a word that occurs `count` times. `padded` has a blank on either side.
fn add_word(vector: &mut [f32], padded: &[u8], count: usize) {
    let word = &padded[1..padded.len() - 1];
    let weight = words::weight(word) * sublinear(count);
    add(vector, hash(WORD_SEED, word), weight * WEIGHTS.word);
    add(
        vector,
        hash(STEM_SEED, stem::stem(word)),
        weight * WEIGHTS.stem,
    );
    let grams = (padded.len() * (MAX_GRAM - MIN_GRAM + 1)) as f32;
    let weight = weight * WEIGHTS.grams / grams.sqrt();
    for start in 0..padded.len() {
        if !is_char_start(padded, start) {
            continue;
        }
        let mut state = GRAM_SEED;
        let mut size = 0;
        for at in start..padded.len() {
            state = mix_byte(state, padded[at]);
            if !is_char_start(padded, at + 1) {
                continue;
            }
            size += 1;
            if size >= MIN_GRAM {
                add(vector, finish(state), weight);
            }
            if size == MAX_GRAM {
                break;
            }
        }
    }
}

/// Whether a character starts (or the text ends) at `at` of valid UTF-8.
fn is_char_start(text: &[u8], at: usize) -> bool {
    text.get(at).is_none_or(|byte| byte & 0xc0 != 0x80)
}

/// 1 + ln(count), the logarithm interpolated between powers of two: the standard library's differs
/// between machines in the last bit.
fn sublinear(count: usize) -> f32 {
    let exponent = count.max(1).ilog2();
    let fraction = count as f32 / (1u64 << exponent) as f32 - 1.0;
    1.0 + std::f32::consts::LN_2 * (exponent as f32 + fraction)
}

/// The highest bits of the hash choose the dimension, the lowest the sign.
fn add(vector: &mut [f32], hash: u64, weight: f32) {
    let dimension = ((u128::from(hash) * vector.len() as u128) >> 64) as usize;
    vector[dimension] += if hash & 1 == 0 { weight } else { -weight };
}

/// Every component ±1, by the hash.
fn fill_from_hash(vector: &mut [f32], hash: u64) {
    let mut state = hash;
    for component in vector {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        *component = if finish(state) & 1 == 0 { 1.0 } else { -1.0 };
    }
}

/// False, and nothing changed, when the vector is zero.
fn scale_to_unit_length(vector: &mut [f32]) -> bool {
    let squares: f64 = vector.iter().map(|c| f64::from(*c) * f64::from(*c)).sum();
    if squares == 0.0 {
        return false;
    }
    let scale = 1.0 / squares.sqrt();
    for component in vector {
        *component = (f64::from(*component) * scale) as f32;
    }
    true
}

fn hash(seed: u64, bytes: &[u8]) -> u64 {
    finish(
        bytes
            .iter()
            .fold(seed, |state, byte| mix_byte(state, *byte)),
    )
}

/// A step of FNV-1a.
fn mix_byte(state: u64, byte: u8) -> u64 {
    (state ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
}

/// The finaliser of MurmurHash3: FNV alone leaves the high bits of short keys alike.
fn finish(mut state: u64) -> u64 {
    state ^= state >> 33;
    state = state.wrapping_mul(0xff51_afd7_ed55_8ccd);
    state ^= state >> 33;
    state = state.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    state ^ (state >> 33)
}

#[cfg(test)]
mod tests;
