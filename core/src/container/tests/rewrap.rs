use super::*;

fn wrap(seed: u8) -> WrapRandomness {
    [seed; 28].into()
}

fn rotated(file: &[u8], old: &Secret, new: &Secret) -> Vec<u8> {
    let envelope = rewrap(&file[..ENVELOPE_LEN], old, new, &wrap(9)).unwrap();
    [&envelope[..], &file[ENVELOPE_LEN..]].concat()
}

#[test]
fn the_new_secret_opens_and_the_old_one_does_not() {
    let new_key = Secret::key(&[0x17; 32]).unwrap();
    let passphrase = Secret::passphrase("correct horse").unwrap();
    let written = write(&key(), 1, 64, &[("memories", b"one\n")]);

    let second = rotated(&written.file, &key(), &new_key);
    assert_damaged(&second, &key());
    let verified = verify(&second[..], &new_key, Some(&written.manifest)).unwrap();
    assert_eq!(verified.summary.body_sha256, written.summary.body_sha256);
    assert_ne!(verified.summary.sha256, written.summary.sha256);
    assert_eq!(verified.manifest.to_json().unwrap(), written.manifest);

    let third = rotated(&second, &new_key, &passphrase);
    assert_eq!(third.len(), written.file.len());
    assert!(matches!(
        refusal(&third, &new_key),
        ContainerError::SecretKind { .. }
    ));
    // The old manifest still belongs to the backup; the one written now names the new KDF.
    let verified = verify(&third[..], &passphrase, Some(&written.manifest)).unwrap();
    assert_eq!(verified.kdf, Kdf::Argon2id(Argon2Cost::default()));
    assert_eq!(verified.manifest.kdf, "argon2id");
    let manifest = verified.manifest.to_json().unwrap();
    verify(&third[..], &passphrase, Some(&manifest)).unwrap();
}

#[test]
fn only_the_old_secret_wraps_anew() {
    let file = write(&key(), 1, 64, &[]).file;
    let other = Secret::key(&[0x17; 32]).unwrap();
    let refused = |envelope: &[u8], old: &Secret| {
        rewrap(envelope, old, &key(), &wrap(9))
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        refused(&file[..ENVELOPE_LEN], &other),
        "wrong key or damaged backup"
    );
    assert_eq!(refused(b"", &key()), "is empty, expected a backup");
    assert_eq!(refused(&[0; 2000], &key()), "is not a backup of memory_ext");
    assert_eq!(
        refused(&file[..1000], &key()),
        "ends after 1000 bytes, inside the key envelope of 1024"
    );
    let mut edited = file[..ENVELOPE_LEN].to_vec();
    edited[200] ^= 1;
    assert_eq!(refused(&edited, &key()), "wrong key or damaged backup");
}

#[test]
fn an_envelope_of_one_backup_does_not_open_another() {
    let file = write(&key(), 1, 64, &[]).file;
    let other = write(&key(), 2, 64, &[]).file;
    let envelope = rewrap(&other, &key(), &key(), &wrap(9)).unwrap();
    assert_damaged(&[&envelope[..], &file[ENVELOPE_LEN..]].concat(), &key());
}

#[test]
fn random_bytes_go_where_they_belong() {
    let randomness = Randomness::from(std::array::from_fn(|at| at as u8));
    assert!(randomness.data_key.iter().copied().eq(0..32));
    assert!(randomness.wrap.salt.into_iter().eq(32..48));
    assert!(randomness.wrap.nonce.into_iter().eq(48..60));
}
