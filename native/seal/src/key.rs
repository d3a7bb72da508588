//! Ed25519 keys (RFC 8032) that sign checkpoints, by `ring`, which TLS brings along: a signature is the same for the same
//! key and text, so nothing here is random.
use std::fmt;

use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use rustls_pki_types::PrivatePkcs8KeyDer;
use rustls_pki_types::pem::PemObject;

use crate::{HASH_BYTES, Hash};

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;

/// A text is no key to sign with; says why, never what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyUnusable {
    /// There is no PKCS #8 in it that can be read.
    NotPem,
    /// The key is of another kind.
    NotEd25519,
}

impl fmt::Display for KeyUnusable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NotPem => "is not a private key in PEM (PKCS #8) without a passphrase",
            Self::NotEd25519 => "is not an Ed25519 key: make one with openssl genpkey -algorithm ed25519",
        })
    }
}

/// A private key.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// The key of a PEM text (PKCS #8, not encrypted).
    pub fn from_pem(pem: &str) -> Result<Self, KeyUnusable> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| KeyUnusable::NotPem)?;
        // Without the public half, which openssl leaves out, there is nothing to compare it with: it is computed.
        Ed25519KeyPair::from_pkcs8_maybe_unchecked(der.secret_pkcs8_der())
            .map(Self)
            .map_err(|why| {
                // `ring` says it in words alone; the tests notice other ones.
                if why.to_string() == "WrongAlgorithm" {
                    KeyUnusable::NotEd25519
                } else {
                    KeyUnusable::NotPem
                }
            })
    }

    /// Its public half.
    pub fn public(&self) -> Hash {
        let mut public = [0; HASH_BYTES];
        for (byte, known) in public.iter_mut().zip(self.0.public_key().as_ref()) {
            *byte = *known;
        }
        public
    }

    /// The signature of a text.
    pub fn sign(&self, text: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let mut signature = [0; SIGNATURE_BYTES];
        for (byte, known) in signature.iter_mut().zip(self.0.sign(text).as_ref()) {
            *byte = *known;
        }
        signature
    }
}

/// True when the signature is that of the text with this public key.
pub fn is_signed(public: &[u8], text: &[u8], signature: &[u8]) -> bool {
    UnparsedPublicKey::new(&ED25519, public).verify(text, signature).is_ok()
}
