//! Which vectors can be compared.

/// Shortest and longest vector. pgvector adds up squares in 32-bit floats: outside of these lengths they are lost or
/// infinite, and the vector is as near to one text as to any other.
const LENGTHS: std::ops::RangeInclusive<f64> = 1e-15..=1e18;

/// Why a vector cannot be compared with others, if it cannot; goes on after its name.
pub fn unfit(vector: &[f32]) -> Option<String> {
    if vector.iter().any(|number| !number.is_finite()) {
        return Some("has a number that is not finite".to_owned());
    }
    if vector.iter().all(|number| *number == 0.0) {
        return Some("is the zero vector, which has no direction to compare".to_owned());
    }
    let squares: f64 = vector.iter().map(|number| f64::from(*number).powi(2)).sum();
    let length = squares.sqrt();
    (!LENGTHS.contains(&length)).then(|| {
        format!(
            "has the length {length:.1e}, expected {:e} to {:e}: its direction could not be computed",
            LENGTHS.start(),
            LENGTHS.end()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::unfit;

    #[test]
    fn only_lengths_that_can_be_squared_are_fit() {
        for fit in [
            &[1.0, 0.0][..],
            &[1e-15, 1e-15],
            &[-7e17, 1e-38],
            &[0.0, f32::MIN_POSITIVE, 1.0],
        ] {
            assert_eq!(unfit(fit), None, "{fit:?}");
        }
        for (vector, reason) in [
            (&[f32::NAN, 1.0][..], "not finite"),
            (&[f32::INFINITY], "not finite"),
            (&[], "zero vector"),
            (&[0.0, -0.0], "zero vector"),
            (
                &[1e-38, 1e-38, 0.0],
                "length 1.4e-38, expected 1e-15 to 1e18",
            ),
            (&[0.0, 1e-30], "length 1.0e-30"),
            (&[f32::from_bits(1)], "length 1.4e-45"),
            (&[f32::MAX, f32::MAX], "length 4.8e38"),
        ] {
            let unfit = unfit(vector).unwrap_or_default();
            assert!(unfit.contains(reason), "{vector:?}: {unfit}");
        }
    }
}
