//! How well a ranking finds the evidence.

use crate::stats::mean;

/// Means over all questions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metrics {
    pub recall_5: f64,
    pub recall_10: f64,
    pub hit_10: f64,
    pub ndcg_10: f64,
}

impl Metrics {
    /// `rankings` are ids best first, `evidence` the ids that should be among them.
    pub fn of(rankings: &[Vec<String>], evidence: &[&[String]]) -> Self {
        let over_all = |metric: fn(&[String], &[String]) -> f64| {
            let values: Vec<f64> = rankings
                .iter()
                .zip(evidence)
                .map(|(ranking, evidence)| metric(ranking, evidence))
                .collect();
            mean(&values)
        };
        Self {
            recall_5: over_all(|ranking, evidence| recall(ranking, evidence, 5)),
            recall_10: over_all(|ranking, evidence| recall(ranking, evidence, 10)),
            hit_10: over_all(|ranking, evidence| {
                if recall(ranking, evidence, 10) > 0.0 {
                    1.0
                } else {
                    0.0
                }
            }),
            ndcg_10: over_all(|ranking, evidence| ndcg(ranking, evidence, 10)),
        }
    }
}

/// Share of the evidence within the first `k`.
fn recall(ranking: &[String], evidence: &[String], k: usize) -> f64 {
    let found = evidence
        .iter()
        .filter(|id| ranking.iter().take(k).any(|ranked| ranked == *id))
        .count();
    found as f64 / evidence.len() as f64
}

/// Binary nDCG: 1 / log2(1 + place) for each piece of evidence, as a share of what the best order has.
fn ndcg(ranking: &[String], evidence: &[String], k: usize) -> f64 {
    let discount = |place: usize| 1.0 / (place as f64 + 2.0).log2();
    let gain: f64 = ranking
        .iter()
        .take(k)
        .enumerate()
        .filter(|(_, id)| evidence.contains(id))
        .map(|(place, _)| discount(place))
        .sum();
    let ideal: f64 = (0..evidence.len().min(k)).map(discount).sum();
    gain / ideal
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(text: &str) -> Vec<String> {
        text.split_whitespace().map(String::from).collect()
    }

    #[test]
    fn a_perfect_ranking_scores_one() {
        let metrics = Metrics::of(&[ids("a b c")], &[&ids("b a")]);
        assert_eq!(
            (metrics.recall_5, metrics.recall_10, metrics.hit_10),
            (1.0, 1.0, 1.0)
        );
        assert!((metrics.ndcg_10 - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_place_counts() {
        let ranking = ids("x x x x x a");
        let metrics = Metrics::of(std::slice::from_ref(&ranking), &[&ids("a b")]);
        assert_eq!(
            (metrics.recall_5, metrics.recall_10, metrics.hit_10),
            (0.0, 0.5, 1.0)
        );
        let expected = (1.0 / 7f64.log2()) / (1.0 + 1.0 / 3f64.log2());
        assert!((metrics.ndcg_10 - expected).abs() < 1e-12);
    }

    #[test]
    fn the_eleventh_does_not_count() {
        let ranking = ids("1 2 3 4 5 6 7 8 9 10 a");
        assert_eq!(Metrics::of(&[ranking], &[&ids("a")]).hit_10, 0.0);
    }
}
