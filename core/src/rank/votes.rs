//! What votes say about a memory.

/// (helpful - harmful) / (helpful + harmful + 1): -1 to 1, and 0 without votes (Aegis Memory).
pub fn effectiveness(helpful: u32, harmful: u32) -> f64 {
    let (helpful, harmful) = (f64::from(helpful), f64::from(harmful));
    (helpful - harmful) / (helpful + harmful + 1.0)
}

/// A lower bound of the share of tasks a memory helps with: the mean of Beta(helpful + 1, harmful + 1), which is what is
/// known of that share when nothing was known before the votes, less one standard deviation. Few votes leave it low, so
/// that one lucky vote does not pass a hundred; many harmful ones leave it below a memory nobody has voted on.
pub fn confidence(helpful: u32, harmful: u32) -> f64 {
    let votes = f64::from(helpful) + f64::from(harmful);
    let mean = (f64::from(helpful) + 1.0) / (votes + 2.0);
    mean - (mean * (1.0 - mean) / (votes + 3.0)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn effectiveness_known_answers() {
        assert_eq!(effectiveness(0, 0), 0.0);
        assert_eq!(effectiveness(1, 0), 0.5);
        assert_eq!(effectiveness(0, 1), -0.5);
        assert_eq!(effectiveness(3, 1), 0.4);
        assert_eq!(effectiveness(5, 5), 0.0);
    }

    #[test]
    fn confidence_known_answers() {
        // Beta(1, 1): mean 1/2, variance 1/12.
        assert!((confidence(0, 0) - (0.5 - (1.0f64 / 12.0).sqrt())).abs() < 1e-15);
        // Beta(2, 1): mean 2/3, variance 1/18.
        assert!((confidence(1, 0) - (2.0 / 3.0 - (1.0f64 / 18.0).sqrt())).abs() < 1e-15);
        assert!(confidence(100, 0) > confidence(1, 0));
        assert!(confidence(90, 10) > confidence(1, 0));
        assert!(confidence(0, 1) < confidence(0, 0));
    }

    proptest! {
        #[test]
        fn both_stay_in_range_and_follow_the_votes(helpful in 0u32..1_000_000, harmful in 0u32..1_000_000) {
            let is = effectiveness(helpful, harmful);
            prop_assert!((-1.0..=1.0).contains(&is));
            prop_assert!(effectiveness(helpful + 1, harmful) > is);
            prop_assert!(effectiveness(helpful, harmful + 1) < is);
            let sure = confidence(helpful, harmful);
            prop_assert!((0.0..1.0).contains(&sure));
            prop_assert!(confidence(helpful + 1, harmful) > sure);
            prop_assert!(confidence(helpful, harmful + 1) < sure);
        }
    }
}
