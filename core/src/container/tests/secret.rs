use super::*;

#[test]
fn a_key_file_holds_a_key_in_three_forms_or_a_passphrase() {
    let key: Vec<u8> = (0x60..0x80).collect();
    let hex = "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f";
    let base64 = "YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn8=";
    for content in [
        key.clone(),
        hex.into(),
        format!("{hex}\n").into(),
        format!("{hex}\r\n").into(),
        hex.to_uppercase().into(),
        base64.into(),
        format!("{base64}\n").into(),
    ] {
        let secret = Secret::from_key_file(&content).unwrap();
        assert_eq!(
            (secret.kind(), secret.bytes()),
            (SecretKind::Key, &key[..]),
            "{content:?}"
        );
    }
    for (content, passphrase) in [
        ("passphrase:correct horse", "correct horse"),
        (
            "passphrase: \tfirst of all, last of all \n",
            "first of all, last of all ",
        ),
        ("passphrase:gr\u{fc}n\r\n", "gr\u{fc}n"),
        // As long as a key.
        ("passphrase:123456789012345678901", "123456789012345678901"),
    ] {
        let secret = Secret::from_key_file(content.as_bytes()).unwrap();
        assert_eq!(secret.kind(), SecretKind::Passphrase);
        assert_eq!(secret.bytes(), passphrase.as_bytes());
    }
}

#[test]
fn other_key_files_are_refused() {
    let hex = "42".repeat(32);
    for (content, error) in [
        (&b""[..], SecretError::KeyFile),
        (b"\n", SecretError::KeyFile),
        (b"correct horse", SecretError::KeyFile),
        (&[7; 31], SecretError::KeyFile),
        (&[7; 33], SecretError::KeyFile),
        // A passphrase, or half a key in hexadecimal digits, is not 32 random bytes.
        (b"correct horse battery staple 123", SecretError::KeyFile),
        (&hex.as_bytes()[..32], SecretError::KeyFile),
        (&hex.as_bytes()[..63], SecretError::KeyFile),
        (format!(" {hex}").as_bytes(), SecretError::KeyFile),
        (format!("{hex}\n\n").as_bytes(), SecretError::KeyFile),
        (&[b'g'; 64], SecretError::KeyFile),
        // 33 bytes in base64, 32 in base64 without padding, with the URL alphabet.
        (&[b'A'; 44], SecretError::KeyFile),
        (&[b'A'; 43], SecretError::KeyFile),
        (
            b"YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9f_8=",
            SecretError::KeyFile,
        ),
        // Bits behind the 32 bytes.
        (
            b"YGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn9=",
            SecretError::KeyFile,
        ),
        (b"passphrase:", SecretError::EmptyPassphrase),
        (b"passphrase:\n", SecretError::EmptyPassphrase),
        (b"passphrase: \n", SecretError::EmptyPassphrase),
        (b"passphrase:a\nb", SecretError::SecondLine),
        (b"passphrase:a\n\n", SecretError::SecondLine),
        (b"passphrase:\xff", SecretError::NotUtf8),
        (b"Passphrase:a", SecretError::KeyFile),
    ] {
        assert_eq!(
            Secret::from_key_file(content).unwrap_err(),
            error,
            "{content:?}"
        );
    }
}

#[test]
fn a_passphrase_file_is_one_line() {
    let passphrase = |content: &[u8]| Secret::from_passphrase_file(content);
    assert_eq!(passphrase(b"a b\n").unwrap().bytes(), b"a b");
    assert_eq!(passphrase(b" a b ").unwrap().bytes(), b" a b ");
    assert_eq!(passphrase(b"").unwrap_err(), SecretError::EmptyPassphrase);
    assert_eq!(passphrase(b"\n").unwrap_err(), SecretError::EmptyPassphrase);
    assert_eq!(passphrase(b"a\nb\n").unwrap_err(), SecretError::SecondLine);
}

#[test]
fn empty_passphrases_and_keys_of_another_length_are_refused() {
    assert_eq!(
        Secret::passphrase("").unwrap_err(),
        SecretError::EmptyPassphrase
    );
    for got in [0, 16, 31, 33, 64] {
        assert_eq!(
            Secret::key(&vec![1; got]).unwrap_err(),
            SecretError::KeyLength { got }
        );
    }
    assert_eq!(
        Secret::key(&[1; 16]).unwrap_err().to_string(),
        "the key has 16 bytes, expected 32"
    );
}

#[test]
fn debug_shows_nothing_of_a_secret() {
    let secret = Secret::passphrase("hunter2").unwrap();
    assert_eq!(format!("{secret:?} {:?}", key()), "Secret(..) Secret(..)");
    assert_eq!(format!("{:?}", randomness(1)), "Randomness(..)");
}

#[test]
fn the_other_kind_of_secret_is_named() {
    let passphrase = Secret::passphrase("correct horse").unwrap();
    let with_key = write(&key(), 1, 64, &[]).file;
    let with_passphrase = write(&passphrase, 1, 64, &[]).file;
    assert_eq!(
        refusal(&with_key, &passphrase).to_string(),
        "needs a key of 32 bytes, got a passphrase"
    );
    assert_eq!(
        refusal(&with_passphrase, &key()).to_string(),
        "needs a passphrase, got a key of 32 bytes"
    );
}

#[test]
fn a_wrong_secret_is_the_constant_error() {
    assert_damaged(
        &write(&key(), 1, 64, &[]).file,
        &Secret::key(&[0x43; 32]).unwrap(),
    );
    let written = write(&Secret::passphrase("correct horse").unwrap(), 1, 64, &[]);
    for wrong in ["correct hors", "correct horse ", "Correct horse", "x"] {
        assert_damaged(&written.file, &Secret::passphrase(wrong).unwrap());
    }
}
