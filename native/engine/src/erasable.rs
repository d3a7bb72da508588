//! Texts that can be erased later: records and state have a salted commitment, salt and text lie beside them.
//!
//! ```text
//! in the place of the text    erasable:sha256:<hex of SHA-256(salt ‖ text)>
//! beside it, family seals     ErasableValueRecord { salt, text } under the digest
//! ```
//!
//! INVARIANT (E1): what people or agents write as free text gets into a unit only beside the records. It is committed to
//! where its command comes in, so that approvals, runs and every record that copies it have the same commitment, and
//! erasing one value leaves no copy. Golden vectors, shared with Python: `tests/golden/erasable.json`.
use std::fmt::{self, Write as _};

use fairlead_wire::internal::{ErasableValueRecord, Known};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::keys;
use crate::rejection::Rejection;
use crate::unit::{Write, family};

/// Bytes of a salt.
const SALT_BYTES: usize = 16;
/// What a commitment begins with.
const MARK: &str = "erasable:sha256:";
/// Hexadecimal digits of a digest.
const DIGITS: usize = 64;
/// What is shown in the place of a value that was erased.
const ERASED: &str = "(erased)";

/// Where salts come from: random bytes from outside, of which each salt uses some up.
///
/// Every salt replaces the seed by its hash, so the memory of a process does not tell the salts of what was erased.
pub struct Salts([u8; 32]);

impl Salts {
    /// Salts from 32 random bytes, which nobody else may have and which are never stored.
    #[must_use]
    pub fn new(seed: [u8; 32]) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> [u8; SALT_BYTES] {
        let mut salt = [0; SALT_BYTES];
        let drawn = Sha256::new().chain_update(b"salt").chain_update(self.0).finalize();
        for (to, from) in salt.iter_mut().zip(drawn) {
            *to = from;
        }
        self.0 = Sha256::new()
            .chain_update(b"next")
            .chain_update(self.0)
            .finalize()
            .into();
        salt
    }

    /// Commits to a text: what to write in its place, with the write that keeps it, which belongs into the same unit. No
    /// text needs none.
    pub(crate) fn commit(&mut self, writes: &mut Vec<Write>, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let (commitment, kept) = commitment(text, self.next());
        writes.push(kept);
        commitment
    }
}

/// Not the seed.
impl fmt::Debug for Salts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salts")
    }
}

fn commitment(text: &str, salt: [u8; SALT_BYTES]) -> (String, Write) {
    let (commitment, digest) = commitment_of(&salt, text);
    let kept = ErasableValueRecord {
        salt: salt.to_vec(),
        value: text.to_owned(),
    };
    let key = keys::erasable_value(&digest);
    (commitment, Write::put(family::SEALS, key, kept.encode_to_vec()))
}

fn commitment_of(salt: &[u8], text: &str) -> (String, [u8; 32]) {
    let digest: [u8; 32] = Sha256::new().chain_update(salt).chain_update(text).finalize().into();
    (mark(&digest), digest)
}

/// A digest as records have it.
fn mark(digest: &[u8]) -> String {
    let mut commitment = String::with_capacity(MARK.len() + DIGITS);
    commitment.push_str(MARK);
    for byte in digest {
        // Writing to a string cannot fail.
        let _ = write!(commitment, "{byte:02x}");
    }
    commitment
}

/// True when a text is a commitment, and nothing else.
fn is_commitment(text: &str) -> bool {
    text.strip_prefix(MARK)
        .is_some_and(|digest| digest.len() == DIGITS && digest.bytes().all(|one| one.is_ascii_hexdigit()))
}

/// A refusal as its caller gets it: with the texts that its record only commits to, as far as they are still there.
pub(crate) fn reveal(rejection: &mut Rejection, known: Option<&Known>) {
    for value in rejection.metadata.values_mut().filter(|value| is_commitment(value)) {
        *value = match known {
            Some(known) => known
                .texts
                .get(value.as_str())
                .map_or(ERASED, String::as_str)
                .to_owned(),
            // The state, which has no texts, was enough to refuse.
            None => String::new(),
        };
    }
}

/// The text of a commitment that a unit makes.
pub(crate) fn text_of(writes: &[Write], commitment: &str) -> Option<String> {
    let kept = writes.iter().filter(|write| write.family == family::SEALS);
    kept.filter_map(|write| ErasableValueRecord::decode(write.value.as_deref()?).ok())
        .find(|kept| commitment == commitment_of(&kept.salt, &kept.value).0)
        .map(|kept| kept.value)
}

/// Drops the texts that came with a command and that nothing in its unit says: nobody could find them to erase them.
pub(crate) fn keep_named(writes: &mut Vec<Write>) {
    let of_text = |write: &Write| match write {
        Write {
            family: family::SEALS,
            key,
            ..
        } => key.get(1..).map(mark),
        _ => None,
    };
    let is_named = |commitment: &str| {
        let says = |value: &Vec<u8>| {
            value
                .windows(commitment.len())
                .any(|part| part == commitment.as_bytes())
        };
        writes.iter().any(|write| write.value.as_ref().is_some_and(says))
    };
    let unnamed = |write: &Write| of_text(write).is_some_and(|commitment| !is_named(&commitment));
    let drop: Vec<bool> = writes.iter().map(unnamed).collect();
    let mut drop = drop.into_iter();
    writes.retain(|_| !drop.next().unwrap_or(false));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn unhex(text: &str) -> Vec<u8> {
        let digits = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        (0..text.len()).step_by(2).map(digits).collect()
    }

    fn vectors() -> serde_json::Value {
        let path = format!("{}/../../tests/golden/erasable.json", env!("CARGO_MANIFEST_DIR"));
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn commitments_are_what_the_vectors_say() {
        for vector in vectors()["vectors"].as_array().unwrap() {
            let text = |name: &str| vector[name].as_str().unwrap();
            let salt: [u8; SALT_BYTES] = unhex(text("salt")).try_into().unwrap();
            let (said, write) = commitment(text("text"), salt);
            assert_eq!(said, text("commitment"));
            assert!(is_commitment(&said));
            assert_eq!((write.family, write.key), (family::SEALS, unhex(text("key"))));
            assert_eq!(write.value, Some(unhex(text("stored"))));
        }
    }

    #[test]
    fn no_salt_comes_twice_and_no_text_takes_none() {
        let mut salts = Salts::new([7; 32]);
        let mut writes = Vec::new();
        assert_eq!(salts.commit(&mut writes, ""), "");
        assert!(writes.is_empty());
        let said: std::collections::BTreeSet<_> = (0..100).map(|_| salts.commit(&mut writes, "again")).collect();
        assert_eq!((said.len(), writes.len()), (100, 100));
        // The same random bytes give the same salts.
        assert!(said.contains(&Salts::new([7; 32]).commit(&mut writes, "again")));
    }

    #[test]
    fn a_refusal_shows_what_is_there_and_says_what_is_not() {
        let mut salts = Salts::new([7; 32]);
        let kept = salts.commit(&mut Vec::new(), "not before Monday");
        let gone = salts.commit(&mut Vec::new(), "ask Jane");
        let known = Known {
            texts: [(kept.clone(), "not before Monday".to_owned())].into(),
            ..Known::default()
        };
        let mut refused = Rejection::new(crate::rejection::Reason::PolicyDenied, "no")
            .with("reason", &kept)
            .with("other", &gone)
            .with("state", "REJECTED");
        reveal(&mut refused, Some(&known));
        let said = |name: &str| refused.metadata[name].as_str();
        assert_eq!(
            (said("reason"), said("other"), said("state")),
            ("not before Monday", ERASED, "REJECTED")
        );
    }
}
