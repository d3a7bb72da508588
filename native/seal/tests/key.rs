//! Signatures against the vectors of RFC 8032 (section 7.1).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
use fairlead_seal::{KeyUnusable, SigningKey, is_signed};

/// Test 1: the text is empty.
const PEM: &str = "-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
";
const PUBLIC: &str = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
const SIGNATURE: &str = "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b\
                         d25bf5f0595bbe24655141438e7a100b";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn a_known_key_signs_as_the_standard_says() {
    let key = SigningKey::from_pem(PEM).unwrap();
    assert_eq!(hex(&key.public()), PUBLIC);
    let signature = key.sign(b"");
    assert_eq!(hex(&signature), SIGNATURE);
    assert!(is_signed(&key.public(), b"", &signature));
    assert!(!is_signed(&key.public(), b"x", &signature));
    assert!(!is_signed(&key.public()[1..], b"", &signature));
    assert!(!is_signed(&key.public(), b"", &signature[1..]));
}

#[test]
fn what_is_no_key_is_refused_with_the_reason() {
    for text in [
        "",
        "nonsense",
        &PEM.replace("PRIVATE", "ENCRYPTED PRIVATE"),
        &PEM.replace("MC4", "M*4"),
    ] {
        assert_eq!(SigningKey::from_pem(text).err(), Some(KeyUnusable::NotPem), "{text}");
    }
    let cut = PEM.replace("Mcrn9g", "");
    assert_eq!(SigningKey::from_pem(&cut).err(), Some(KeyUnusable::NotPem));
    let exchange = PEM.replace("K2Vw", "K2Vu");
    assert_eq!(SigningKey::from_pem(&exchange).err(), Some(KeyUnusable::NotEd25519));
}
