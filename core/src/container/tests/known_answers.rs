//! The primitives, as they are configured here, against their specifications.

use aes_gcm::{AeadInOut, Aes256Gcm, KeyInit};
use argon2::{Algorithm, Argon2, AssociatedData, Block, ParamsBuilder, Version};
use hkdf::Hkdf;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::*;

fn bytes(hex: &str) -> Vec<u8> {
    base16ct::mixed::decode_vec(hex.replace([' ', '\n'], "")).unwrap()
}

/// RFC 9106 section 5.3.
#[test]
fn argon2id_of_rfc_9106() {
    let params = ParamsBuilder::new()
        .m_cost(32)
        .t_cost(3)
        .p_cost(4)
        .data(AssociatedData::new(&[4; 12]).unwrap())
        .output_len(32)
        .build()
        .unwrap();
    let mut memory = vec![Block::new(); params.block_count()];
    let mut tag = [0; 32];
    Argon2::new_with_secret(&[3; 8], Algorithm::Argon2id, Version::V0x13, params)
        .unwrap()
        .hash_password_into_with_memory(&[1; 32], &[2; 16], &mut tag, &mut memory)
        .unwrap();
    let expected = "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659";
    assert_eq!(base16ct::lower::encode_string(&tag), expected);
}

/// The reference implementation's tests (phc-winner-argon2, src/test.c): Argon2id version 0x13 with
/// t = 2, m = 2^8, p = 1 and p = 2, `password`, `somesalt`.
#[test]
fn input_keys_of_the_reference_implementation() {
    for (p_cost, expected) in [
        (
            1,
            "9dfeb910e80bad0311fee20f9c0e2b12c17987b4cac90c2ef54d5b3021c68bfe",
        ),
        (
            2,
            "6d093c501fd5999645e0ea3bf620d7b8be7fd2db59c20d9fff9539da2bf57037",
        ),
    ] {
        let kdf = Kdf::Argon2id(Argon2Cost {
            m_cost: 256,
            t_cost: 2,
            p_cost,
        });
        let secret = Secret::passphrase("password").unwrap();
        let key = kdf.input_key(&secret, b"somesalt").unwrap();
        assert_eq!(base16ct::lower::encode_string(key.as_ref()), expected);
    }
}

/// RFC 5869 appendix A, the test cases with SHA-256.
#[test]
fn hkdf_of_rfc_5869() {
    let counting = |from: u8, to: u8| (from..=to).collect::<Vec<u8>>();
    for (key, salt, info, expected) in [
        (
            vec![0x0b; 22],
            counting(0, 0x0c),
            counting(0xf0, 0xf9),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
             34007208d5b887185865",
        ),
        (
            counting(0, 0x4f),
            counting(0x60, 0xaf),
            counting(0xb0, 0xff),
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
             59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
             cc30c58179ec3e87c14c01d5c1f3434f1d87",
        ),
        (
            vec![0x0b; 22],
            vec![],
            vec![],
            "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d\
             9d201395faa4b61a96c8",
        ),
    ] {
        let expected = bytes(expected);
        let mut okm = vec![0; expected.len()];
        Hkdf::<Sha256>::new(Some(&salt), &key)
            .expand(&info, &mut okm)
            .unwrap();
        assert_eq!(okm, expected);
    }
}

/// RFC 4231 test case 2.
#[test]
fn hmac_of_rfc_4231() {
    let mac = <Hmac<Sha256> as hmac::KeyInit>::new_from_slice(b"Jefe")
        .unwrap()
        .chain_update(b"what do ya want for nothing?");
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(
        base16ct::lower::encode_string(&mac.finalize().into_bytes()),
        expected
    );
}

/// McGrew and Viega, The Galois/Counter Mode of Operation (as submitted to NIST), test cases 13 to
/// 16.
#[test]
fn gcm_of_mcgrew_and_viega() {
    let key = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    let nonce = "cafebabefacedbaddecaf888";
    let text = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
                1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
    let sealed = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
                  8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";
    let zeros = "00".repeat(32);
    for (key, nonce, text, associated_data, sealed, tag) in [
        (
            &*zeros,
            "000000000000000000000000",
            "",
            "",
            "",
            "530f8afbc74536b9a963b4f1c4cb738b",
        ),
        (
            &zeros,
            "000000000000000000000000",
            "00000000000000000000000000000000",
            "",
            "cea7403d4d606b6e074ec5d3baf39d18",
            "d0d1c8a799996bf0265b98b5d48ab919",
        ),
        (
            key,
            nonce,
            text,
            "",
            sealed,
            "b094dac5d93471bdec1a502270e3cc6c",
        ),
        (
            key,
            nonce,
            &text[..120],
            "feedfacedeadbeeffeedfacedeadbeefabaddad2",
            &sealed[..120],
            "76fc6ece0f4e1768cddf8853bb2d551b",
        ),
    ] {
        let nonce: [u8; 12] = bytes(nonce).try_into().unwrap();
        let cipher = Aes256Gcm::new_from_slice(&bytes(key)).unwrap();
        let (mut buffer, associated_data) = (bytes(text), bytes(associated_data));
        let made = cipher
            .encrypt_inout_detached(
                (&nonce).into(),
                &associated_data,
                buffer.as_mut_slice().into(),
            )
            .unwrap();
        assert_eq!((&buffer, &made[..]), (&bytes(sealed), &bytes(tag)[..]));
        cipher
            .decrypt_inout_detached(
                (&nonce).into(),
                &associated_data,
                buffer.as_mut_slice().into(),
                &made,
            )
            .unwrap();
        assert_eq!(buffer, bytes(text));
    }
}
