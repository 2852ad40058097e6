//! How random a value looks.
//!
//! Shannon's entropy of the value's own byte frequencies, in bits a byte:
//! `H = -sum over bytes b of p(b) * log2 p(b)`, where `p(b)` is the share of `b` in the value.
//! It is at most log2 of the length (4.0 for 16 bytes) and of the alphabet (4.0 for hexadecimal).
//! Random hexadecimal of 32 digits has 3.6 on average, of 16 digits 3.2, random base 64 of 40 characters 4.8;
//! words have around 2.5 to 3.5 too, so this alone decides nothing.

/// For passwords: rules out repetition only ("aaaaaa1" has 0.6, "hunter2" 2.8).
pub const LEAST_OF_PASSWORD: f64 = 2.0;
/// For values named a secret.
pub const LEAST_OF_SECRET: f64 = 2.5;
/// For tokens and keys, of 16 bytes and more: rules out "xxxxxxxxxxxxxxxx" and "0000000000000001".
pub const LEAST_OF_TOKEN: f64 = 2.8;

/// Enough bytes to tell.
const SAMPLE: usize = 256;

/// The entropy of the first bytes of a value; 0 for the empty one.
pub fn bits_per_byte(value: &str) -> f64 {
    let sample = &value.as_bytes()[..value.len().min(SAMPLE)];
    let mut counts = [0_u32; 256];
    for byte in sample {
        counts[usize::from(*byte)] += 1;
    }
    let total = sample.len() as f64;
    counts
        .iter()
        .filter(|count| **count > 0)
        .map(|count| {
            let share = f64::from(*count) / total;
            -share * share.log2()
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::bits_per_byte;

    #[test]
    fn entropy_of_known_distributions() {
        for (value, bits) in [
            ("", 0.0),
            ("aaaa", 0.0),
            ("ab", 1.0),
            ("aabb", 1.0),
            ("abcd", 2.0),
            ("aaab", 0.811_278_124_459_132_8),
            ("0123456789abcdef", 4.0),
            ("hunter2", 2.807_354_922_057_604),
        ] {
            assert!((bits_per_byte(value) - bits).abs() < 1e-12, "{value}");
        }
    }
}
