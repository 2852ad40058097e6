//! Scoring: the text arm's BM25, fusion of the two arms, recency, diversity and votes.

pub mod bm25;
pub mod fuse;
pub mod votes;

/// How much of a score's recency is left after `age_seconds`: exp(-ln 2 · age / half-life), so 1
/// now and 0.5 after one half-life. What comes from the future counts as now. A half-life that is
/// not positive leaves nothing of the past.
pub fn recency(age_seconds: f64, half_life_seconds: f64) -> f64 {
    if age_seconds.is_nan() || age_seconds <= 0.0 {
        1.0
    } else if half_life_seconds > 0.0 {
        (-std::f64::consts::LN_2 * (age_seconds / half_life_seconds)).exp()
    } else {
        0.0
    }
}

/// Maximal marginal relevance (Carbonell and Goldstein 1998): picks up to `k` candidates, each time
/// the one with the greatest (1 - λ) · relevance - λ · (greatest cosine to what is picked already).
///
/// `lambda_diversity` is λ, 0 (order of relevance) to 1. A candidate without a vector, or with a
/// zero one, is similar to nothing. Equal values go by relevance, then by position. Returns
/// positions in `relevance`, in the order picked; `vectors` must be as long as `relevance`, what it
/// lacks counts as None.
pub fn mmr(
    relevance: &[f64],
    vectors: &[Option<&[f32]>],
    lambda_diversity: f64,
    k: usize,
) -> Vec<usize> {
    let lambda = if lambda_diversity > 0.0 {
        lambda_diversity.min(1.0)
    } else {
        0.0
    };
    // NaN would make the order depend on the input's order.
    let relevance: Vec<f64> = relevance
        .iter()
        .map(|r| {
            if r.is_nan() {
                f64::MIN
            } else {
                r.clamp(f64::MIN, f64::MAX)
            }
        })
        .collect();
    let vector = |candidate: usize| vectors.get(candidate).copied().flatten();

    let mut remaining: Vec<usize> = (0..relevance.len()).collect();
    let mut nearest: Vec<Option<f64>> = vec![None; relevance.len()];
    let mut picked = Vec::with_capacity(k.min(relevance.len()));
    while picked.len() < k {
        let value = |candidate: usize| {
            (1.0 - lambda) * relevance[candidate] - lambda * nearest[candidate].unwrap_or(0.0)
        };
        let best = remaining.iter().enumerate().max_by(|&(_, &a), &(_, &b)| {
            value(a)
                .total_cmp(&value(b))
                .then(relevance[a].total_cmp(&relevance[b]))
                .then(b.cmp(&a))
        });
        let Some((at, &best)) = best else { break };
        remaining.remove(at);
        picked.push(best);
        if lambda > 0.0 {
            for &candidate in &remaining {
                let similarity = cosine(vector(best), vector(candidate));
                let nearest = &mut nearest[candidate];
                *nearest = Some(nearest.map_or(similarity, |n| n.max(similarity)));
            }
        }
    }
    picked
}

fn cosine(a: Option<&[f32]>, b: Option<&[f32]>) -> f64 {
    let (Some(a), Some(b)) = (a, b) else {
        return 0.0;
    };
    let (mut dot, mut a_square, mut b_square) = (0.0, 0.0, 0.0);
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (f64::from(a), f64::from(b));
        dot += a * b;
        a_square += a * a;
        b_square += b * b;
    }
    let cosine = dot / (a_square * b_square).sqrt();
    if cosine.is_nan() { 0.0 } else { cosine }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn recency_known_answers() {
        assert_eq!(recency(0.0, 10.0), 1.0);
        assert!((recency(10.0, 10.0) - 0.5).abs() < 1e-15);
        assert!((recency(30.0, 10.0) - 0.125).abs() < 1e-15);
        assert_eq!(recency(-5.0, 10.0), 1.0);
        assert_eq!(recency(5.0, 0.0), 0.0);
        assert_eq!(recency(5.0, f64::INFINITY), 1.0);
        assert_eq!(recency(f64::INFINITY, 10.0), 0.0);
        assert_eq!(recency(f64::NAN, 10.0), 1.0);
        assert_eq!(recency(5.0, f64::NAN), 0.0);
    }

    #[test]
    fn mmr_without_diversity_is_the_order_of_relevance() {
        let relevance = [0.2, 0.9, 0.9, 0.5];
        let vectors = [None; 4];
        assert_eq!(mmr(&relevance, &vectors, 0.0, 10), [1, 2, 3, 0]);
        assert_eq!(mmr(&relevance, &vectors, 0.0, 2), [1, 2]);
        assert_eq!(mmr(&[], &[], 0.5, 3), Vec::<usize>::new());
    }

    #[test]
    fn mmr_puts_a_near_copy_last() {
        let vectors: [Option<&[f32]>; 3] =
            [Some(&[1.0, 0.0]), Some(&[0.99, 0.01]), Some(&[0.0, 1.0])];
        let relevance = [0.9, 0.89, 0.5];
        assert_eq!(mmr(&relevance, &vectors, 0.0, 3), [0, 1, 2]);
        assert_eq!(mmr(&relevance, &vectors, 0.5, 3), [0, 2, 1]);
        assert_eq!(mmr(&relevance, &vectors, 1.0, 3), [0, 2, 1]);
    }

    #[test]
    fn mmr_counts_a_missing_vector_as_similar_to_nothing() {
        let vectors: [Option<&[f32]>; 3] = [Some(&[1.0, 0.0]), Some(&[2.0, 0.0]), None];
        assert_eq!(mmr(&[0.9, 0.8, 0.3], &vectors, 0.5, 3), [0, 2, 1]);
        assert_eq!(mmr(&[0.1, 0.2, f64::NAN], &[], 0.5, 3), [1, 0, 2]);
    }

    proptest! {
        #[test]
        fn recency_falls_with_age(age in 0.0..1e9f64, more in 0.0..1e9f64, half_life in 1e-3..1e9f64) {
            let now = recency(age, half_life);
            prop_assert!((0.0..=1.0).contains(&now));
            prop_assert!(recency(age + more, half_life) <= now);
        }

        #[test]
        fn mmr_picks_k_different_candidates(
            relevance in prop::collection::vec(any::<f64>(), 0..12),
            vector in prop::collection::vec(any::<f32>(), 3),
            lambda in any::<f64>(),
            k in 0usize..20,
        ) {
            let vectors: Vec<Option<&[f32]>> = (0..relevance.len())
                .map(|i| (i % 3 != 0).then_some(vector.as_slice()))
                .collect();
            let mut picked = mmr(&relevance, &vectors, lambda, k);
            prop_assert_eq!(picked.len(), k.min(relevance.len()));
            picked.sort_unstable();
            picked.dedup();
            prop_assert_eq!(picked.len(), k.min(relevance.len()));
        }
    }
}
