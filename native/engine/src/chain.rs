//! The audit chain: records without gaps, each hashed over the one before.
//!
//! ```text
//! record_hash = SHA-256(prev_hash ‖ record bytes)      first prev_hash: 32 zero bytes
//! stored value = record_hash ‖ record bytes
//! ```
//! Golden vectors, shared with Python: `tests/golden/chain.json`.
use fairlead_wire::v1::AuditRecord;
use prost::Message;
use sha2::{Digest, Sha256};

use crate::keys;
use crate::unit::{Write, family};

/// Bytes of a hash.
pub(crate) const HASH_BYTES: usize = 32;

/// The end of the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Chain {
    head: [u8; HASH_BYTES],
    sequence: u64,
}

impl Chain {
    /// The chain that ends with this record.
    pub(crate) fn at(sequence: u64, head: [u8; HASH_BYTES]) -> Self {
        Self { head, sequence }
    }

    /// Hash of the last record.
    pub(crate) fn head(&self) -> &[u8; HASH_BYTES] {
        &self.head
    }

    /// Sequence of the last record; 0 when there is none.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Sequence of the next record.
    pub(crate) fn next_sequence(&self) -> u64 {
        // 2^64 records do not happen: at a million a second that is half a million years.
        self.sequence.saturating_add(1)
    }

    /// Appends a record, gives it its sequence, and returns its write.
    pub(crate) fn append(&mut self, mut record: AuditRecord) -> Write {
        record.sequence = self.next_sequence();
        let mut value = Vec::with_capacity(HASH_BYTES + record.encoded_len());
        value.resize(HASH_BYTES, 0);
        record.encode_raw(&mut value);
        self.append_encoded(value)
    }

    /// Appends a record that has the next sequence and is encoded after room for the hash.
    pub(crate) fn append_encoded(&mut self, mut value: Vec<u8>) -> Write {
        self.sequence = self.next_sequence();
        if let Some((room, record)) = value.split_at_mut_checked(HASH_BYTES) {
            self.head = link(&self.head, record);
            room.copy_from_slice(&self.head);
        }
        Write::put(family::AUDIT, keys::audit(self.sequence), value)
    }
}

/// The hash of a record after the one before.
pub(crate) fn link(previous: &[u8; HASH_BYTES], record: &[u8]) -> [u8; HASH_BYTES] {
    let mut hash = Sha256::new();
    hash.update(previous);
    hash.update(record);
    hash.finalize().into()
}

/// A stored value as hash and record bytes; `None` when it is too short.
pub(crate) fn split_value(value: &[u8]) -> Option<(&[u8; HASH_BYTES], &[u8])> {
    value.split_first_chunk::<HASH_BYTES>()
}
