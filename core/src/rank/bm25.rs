//! Okapi BM25 (Robertson and Zaragoza 2009), with the never-negative idf of Lucene.

/// The two parameters of BM25: `k1` how soon more of the same term stops counting, `b` how far
/// long documents are held back.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bm25 {
    pub k1: f64,
    pub b: f64,
}

impl Default for Bm25 {
    fn default() -> Self {
        Self { k1: 1.2, b: 0.75 }
    }
}

/// Weight of a term that `df` of `n_docs` documents have: ln(1 + (N - df + 0.5) / (df + 0.5)).
///
/// Estimates may disagree, so `df` is held within 0..`n_docs`; the result is never negative.
pub fn idf(n_docs: f64, df: f64) -> f64 {
    let n_docs = n_docs.max(0.0);
    let df = df.max(0.0).min(n_docs);
    ((n_docs - df + 0.5) / (df + 0.5)).ln_1p()
}

impl Bm25 {
    /// Score of one document: Σ idf · tf · (k1 + 1) / (tf + k1 · (1 - b + b · length / average)).
    ///
    /// `tfs` and `idfs` are parallel, one entry a query term; lengths are in terms. An average that
    /// is not positive switches length normalisation off.
    pub fn score(&self, tfs: &[u16], idfs: &[f64], doc_len: f64, avg_len: f64) -> f64 {
        let relative_length = if avg_len > 0.0 {
            doc_len / avg_len
        } else {
            1.0
        };
        let length_norm = self.k1 * (1.0 - self.b + self.b * relative_length);
        tfs.iter()
            .zip(idfs)
            .filter(|(tf, _)| **tf > 0)
            .map(|(tf, idf)| {
                let tf = f64::from(*tf);
                idf * tf * (self.k1 + 1.0) / (tf + length_norm)
            })
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_close(got: f64, expected: f64) {
        assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
    }

    #[test]
    fn idf_known_answers() {
        assert_close(idf(10.0, 1.0), (1.0f64 + 9.5 / 1.5).ln());
        assert_close(idf(10.0, 10.0), (1.0f64 + 0.5 / 10.5).ln());
        assert_close(idf(0.0, 0.0), 2f64.ln());
        assert_close(idf(10.0, 50.0), idf(10.0, 10.0));
        assert_close(idf(10.0, -1.0), idf(10.0, 0.0));
    }

    #[test]
    fn score_known_answers() {
        let bm25 = Bm25::default();
        // tf 1 in a document of average length scores exactly its idf.
        assert_close(bm25.score(&[1], &[1.7], 20.0, 20.0), 1.7);
        assert_close(
            bm25.score(&[2, 0, 1], &[1.5, 9.0, 0.5], 30.0, 20.0),
            1.5 * 2.0 * 2.2 / (2.0 + 1.2 * 1.375) + 0.5 * 2.2 / (1.0 + 1.2 * 1.375),
        );
        assert_close(bm25.score(&[1], &[1.7], 20.0, 0.0), 1.7);
        assert_close(bm25.score(&[], &[], 20.0, 20.0), 0.0);
        assert_close(bm25.score(&[0], &[1.7], 0.0, 20.0), 0.0);
    }

    proptest! {
        #[test]
        fn idf_falls_with_document_frequency(n in 1.0..1e9f64, df in 0.0..1e9f64, more in 0.0..1e9f64) {
            prop_assert!(idf(n, df) > 0.0);
            prop_assert!(idf(n, df + more) <= idf(n, df));
        }

        #[test]
        fn score_grows_with_tf_and_falls_with_length(
            tf in 1u16..1000, weight in 0.01..20f64, length in 1.0..1e5f64, average in 1.0..1e5f64,
        ) {
            let bm25 = Bm25::default();
            let score = bm25.score(&[tf], &[weight], length, average);
            prop_assert!(score > 0.0 && score < weight * (bm25.k1 + 1.0));
            prop_assert!(bm25.score(&[tf + 1], &[weight], length, average) > score);
            prop_assert!(bm25.score(&[tf], &[weight], length + 1.0, average) < score);
        }
    }
}
