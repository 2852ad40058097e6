//! Fusion of the vector arm and the text arm into one score between 0 and 1.
//!
//! An arm is a list of (candidate, raw score), best first, higher is better. Candidates named twice
//! in an arm count at their first place; scores that are not finite are left out.

use std::collections::BTreeMap;

/// The constant of reciprocal rank fusion (Cormack, Clarke and Büttcher 2009).
const RRF_K: f64 = 60.0;

/// Weighted sum of min-max normalised scores: each arm's best candidate becomes 1, its worst 0, an
/// arm in which all scores are equal gives 1 to all; a candidate that an arm lacks has 0 there.
///
/// Ranks best when each arm gives its score of every candidate of either arm, not only of those it
/// found itself: then 0 means far away and not merely unscored.
///
/// `text_weight` is the text arm's share, 0..1; the vector arm has the rest. Sorted best first,
/// equal scores by candidate number.
pub fn weighted(vector: &[(u32, f64)], text: &[(u32, f64)], text_weight: f64) -> Vec<(u32, f64)> {
    let text_weight = if text_weight > 0.0 {
        text_weight.min(1.0)
    } else {
        0.0
    };
    let mut fused = BTreeMap::new();
    for (arm, weight) in [(vector, 1.0 - text_weight), (text, text_weight)] {
        for (candidate, score) in min_max(&distinct(arm)) {
            *fused.entry(candidate).or_insert(0.0) += weight * score;
        }
    }
    best_first(fused)
}

/// Reciprocal rank fusion: Σ 1 / (60 + rank) over the arms, scaled so that first in both arms is 1.
/// Raw scores are not used, only the order. Sorted best first, equal scores by candidate number.
pub fn rrf(vector: &[(u32, f64)], text: &[(u32, f64)]) -> Vec<(u32, f64)> {
    let share_of_first = (RRF_K + 1.0) / 2.0;
    let mut fused = BTreeMap::new();
    for arm in [vector, text] {
        for (place, (candidate, _)) in distinct(arm).into_iter().enumerate() {
            let rank = place as f64 + 1.0;
            *fused.entry(candidate).or_insert(0.0) += share_of_first / (RRF_K + rank);
        }
    }
    best_first(fused)
}

fn distinct(arm: &[(u32, f64)]) -> Vec<(u32, f64)> {
    let mut seen = std::collections::BTreeSet::new();
    arm.iter()
        .copied()
        .filter(|(candidate, score)| score.is_finite() && seen.insert(*candidate))
        .collect()
}

fn min_max(arm: &[(u32, f64)]) -> Vec<(u32, f64)> {
    let worst = arm.iter().map(|a| a.1).fold(f64::INFINITY, f64::min);
    let best = arm.iter().map(|a| a.1).fold(f64::NEG_INFINITY, f64::max);
    // Halved, because the difference of two huge scores may not be finite.
    let range = best / 2.0 - worst / 2.0;
    arm.iter()
        .map(|&(candidate, score)| {
            let normalised = if range > 0.0 {
                (score / 2.0 - worst / 2.0) / range
            } else {
                1.0
            };
            (candidate, normalised)
        })
        .collect()
}

fn best_first(fused: BTreeMap<u32, f64>) -> Vec<(u32, f64)> {
    let mut fused: Vec<_> = fused
        .into_iter()
        .map(|(c, score)| (c, score.min(1.0)))
        .collect();
    // Stable, and the map is in candidate order.
    fused.sort_by(|a, b| b.1.total_cmp(&a.1));
    fused
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_fused(got: &[(u32, f64)], expected: &[(u32, f64)]) {
        assert_eq!(got.len(), expected.len(), "{got:?}");
        for (got, expected) in got.iter().zip(expected) {
            assert_eq!(got.0, expected.0);
            assert!(
                (got.1 - expected.1).abs() < 1e-12,
                "{got:?} is not {expected:?}"
            );
        }
    }

    #[test]
    fn weighted_known_answers() {
        let vector = [(1, 0.75), (2, 0.5), (3, 0.25)];
        let text = [(3, 12.0), (4, 8.0), (2, 4.0)];
        assert_fused(
            &weighted(&vector, &text, 0.5),
            &[(1, 0.5), (3, 0.5), (2, 0.25), (4, 0.25)],
        );
        assert_fused(
            &weighted(&vector, &text, 0.8),
            &[(3, 0.8), (4, 0.4), (1, 0.2), (2, 0.1)],
        );
        assert_fused(
            &weighted(&vector, &[], 0.0),
            &[(1, 1.0), (2, 0.5), (3, 0.0)],
        );
    }

    #[test]
    fn an_arm_of_one_score_gives_one() {
        assert_fused(&weighted(&[(7, 0.2)], &[], 0.5), &[(7, 0.5)]);
        assert_fused(
            &weighted(&[(7, 0.2), (5, 0.2)], &[(7, -3.0)], 0.5),
            &[(7, 1.0), (5, 0.5)],
        );
        assert_fused(&weighted(&[], &[], 0.5), &[]);
    }

    #[test]
    fn rrf_known_answers() {
        assert_fused(
            &rrf(&[(1, 0.9), (2, 0.8)], &[(1, 5.0), (3, 4.0)]),
            &[(1, 1.0), (2, 61.0 / 124.0), (3, 61.0 / 124.0)],
        );
        assert_fused(&rrf(&[(9, 0.1)], &[]), &[(9, 0.5)]);
    }

    #[test]
    fn repeated_and_infinite_scores_are_left_out() {
        let arm = [
            (1, f64::NAN),
            (2, 3.0),
            (2, 9.0),
            (3, 1.0),
            (4, f64::INFINITY),
        ];
        assert_fused(&weighted(&[], &arm, 1.0), &[(2, 1.0), (3, 0.0)]);
        assert_fused(&rrf(&[], &arm), &[(2, 0.5), (3, 61.0 / 124.0)]);
    }

    proptest! {
        #[test]
        fn scores_are_between_0_and_1_sorted_and_complete(
            vector in prop::collection::vec((0u32..20, any::<f64>()), 0..20),
            text in prop::collection::vec((0u32..20, any::<f64>()), 0..20),
            text_weight in any::<f64>(),
        ) {
            let mut expected: Vec<u32> = vector
                .iter()
                .chain(&text)
                .filter(|(_, score)| score.is_finite())
                .map(|(candidate, _)| *candidate)
                .collect();
            expected.sort_unstable();
            expected.dedup();
            for fused in [weighted(&vector, &text, text_weight), rrf(&vector, &text)] {
                prop_assert!(fused.iter().all(|(_, score)| (0.0..=1.0).contains(score)));
                prop_assert!(fused.is_sorted_by(|a, b| a.1 > b.1 || (a.1 == b.1 && a.0 < b.0)));
                let mut candidates: Vec<u32> = fused.iter().map(|(candidate, _)| *candidate).collect();
                candidates.sort_unstable();
                prop_assert_eq!(&candidates, &expected);
            }
        }
    }
}
