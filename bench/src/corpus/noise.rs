//! Noise that keeps neighbourhoods: directions drawn evenly, added and scaled back to unit length.

use fastrand::Rng;

/// A vector of unit length in a random direction.
pub fn direction(dimensions: usize, rng: &mut Rng) -> Vec<f32> {
    let mut vector: Vec<f32> = (0..dimensions).map(|_| gaussian(rng)).collect();
    normalise(&mut vector);
    vector
}

/// `vector` plus noise of length `amount`, scaled to unit length.
pub fn perturbed(vector: &[f32], amount: f32, rng: &mut Rng) -> Vec<f32> {
    let mut noise = direction(vector.len(), rng);
    for (noise, value) in noise.iter_mut().zip(vector) {
        *noise = value + amount * *noise;
    }
    normalise(&mut noise);
    noise
}

pub fn normalise(vector: &mut [f32]) {
    let length = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    for value in vector {
        *value /= length;
    }
}

/// Box and Muller's transform of two even numbers.
fn gaussian(rng: &mut Rng) -> f32 {
    let radius = (-2.0 * (1.0 - rng.f32()).ln()).sqrt();
    radius * (std::f32::consts::TAU * rng.f32()).cos()
}
