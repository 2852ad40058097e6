//! Memory ids.

/// Milliseconds fill 48 bits of a version 7 UUID: until the year 10889.
const MAX_MILLIS: u64 = (1 << 48) - 1;

/// A version 7 UUID (RFC 9562) as 32 lower-case hexadecimal digits without hyphens.
///
/// The 12 bits after the version hold the fraction of the millisecond (RFC 9562 section 6.2,
/// method 3), so that ids made at different microseconds sort by time as text. Of `random`, the
/// last 62 bits are used. Times beyond the year 10889 stay at the highest id prefix.
pub fn uuid_v7_hex(unix_micros: u64, random: [u8; 10]) -> String {
    let (millis, fraction) = match unix_micros / 1000 {
        millis if millis <= MAX_MILLIS => (millis, (unix_micros % 1000) * 4096 / 1000),
        _ => (MAX_MILLIS, 0xfff),
    };
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&millis.to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&random);
    bytes[6..8].copy_from_slice(&(0x7000 | fraction as u16).to_be_bytes());
    bytes[8] = 0x80 | (bytes[8] & 0x3f);
    format!("{:032x}", u128::from_be_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn matches_the_example_of_rfc_9562() {
        // Appendix A.6: 2022-02-22 19:22:22.000 UTC; rand_a is 0 here because the time is whole.
        let random = [0, 0, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f];
        assert_eq!(
            uuid_v7_hex(1_645_557_742_000_000, random),
            "017f22e279b0700098c4dc0c0c07398f"
        );
    }

    #[test]
    fn time_zero_and_the_end_of_time_have_ids() {
        assert_eq!(uuid_v7_hex(0, [0; 10]), "00000000000070008000000000000000");
        assert_eq!(
            uuid_v7_hex(u64::MAX, [0xff; 10]),
            "ffffffffffff7fffbfffffffffffffff"
        );
    }

    proptest! {
        #[test]
        fn ids_sort_by_time(
            earlier in 0u64..281_474_976_710_655_000,
            gap in 1u64..10_000_000,
            random in any::<([u8; 10], [u8; 10])>(),
        ) {
            prop_assert!(uuid_v7_hex(earlier, random.0) < uuid_v7_hex(earlier + gap, random.1));
        }

        #[test]
        fn layout_is_version_7(micros in any::<u64>(), random in any::<[u8; 10]>()) {
            let id = uuid_v7_hex(micros, random);
            prop_assert_eq!(id.len(), 32);
            prop_assert!(id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)));
            prop_assert_eq!(&id[12..13], "7");
            prop_assert!("89ab".contains(&id[16..17]));
        }
    }
}
