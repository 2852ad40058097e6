//! Percentiles and recall.

use std::collections::HashSet;
use std::time::Duration;

/// The `percent`-th percentile in milliseconds, by the nearest rank.
pub fn percentile_ms(samples: &[Duration], percent: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.clamp(1, sorted.len().max(1)) - 1)
        .map_or(f64::NAN, |sample| sample.as_secs_f64() * 1000.0)
}

/// Mean share of each truth that its answer holds.
pub fn recall(answers: &[Vec<String>], truths: &[Vec<String>]) -> f64 {
    let shares: Vec<f64> = answers
        .iter()
        .zip(truths)
        .filter(|(_, truth)| !truth.is_empty())
        .map(|(answer, truth)| {
            let answer: HashSet<&String> = answer.iter().collect();
            truth.iter().filter(|id| answer.contains(id)).count() as f64 / truth.len() as f64
        })
        .collect();
    mean(&shares)
}

pub fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile_ms(&samples, 50.0), 50.0);
        assert_eq!(percentile_ms(&samples, 95.0), 95.0);
        assert_eq!(percentile_ms(&samples[..1], 95.0), 100.0);
        assert!(percentile_ms(&[], 50.0).is_nan());
    }

    #[test]
    fn recall_ignores_order_and_empty_truths() {
        let ids = |text: &str| {
            text.split_terminator(' ')
                .map(String::from)
                .collect::<Vec<_>>()
        };
        assert_eq!(recall(&[ids("b a")], &[ids("a b")]), 1.0);
        assert_eq!(
            recall(&[ids("a x"), ids("c d")], &[ids("a b"), ids("c d")]),
            0.75
        );
        assert_eq!(recall(&[ids("a"), ids("z")], &[ids("a"), ids("")]), 1.0);
    }
}
