//! The audit records that are committed and in no checkpoint yet: kept from the acknowledgement of their batch until they
//! are asked for, ten times a second when the log is busy.
//!
//! Only what the writer has acknowledged gets here, and nothing outlives a failure of the store. The hashing is done by who
//! asks, on a thread that no call waits for.
use std::sync::Arc;

use fairlead_engine::{Write, family};
use fairlead_seal::Tree;

use super::Core;
use super::queue::Writes;

/// What may wait at once, in bytes; beyond that it is read back from the store. A tenth of a second of 200,000 records a
/// second.
pub(super) const MOST_BYTES: usize = 16 << 20;

impl Core {
    /// The tree with the records that follow it, up to the one with the sequence `last`, as far as they are here; the rest,
    /// and everything when the next one is not here, has to be read from the store.
    pub fn grow(&self, tree: &Tree, last: u64) -> Tree {
        let mut grown = tree.clone();
        let records = self.shared.unsealed.lock().take(tree.size(), last);
        for (value, sequence) in records.iter().zip(tree.size().saturating_add(1)..) {
            // Whether the log does not fit is for the store to say: it is the log.
            if grown.append(sequence, value).is_err() {
                break;
            }
        }
        grown
    }

    /// Keeps the records of batches that are written.
    pub(super) fn keep_unsealed(&self, written: Vec<Writes>) {
        if written.is_empty() || !self.shared.unsealed.lock().wanted() {
            return;
        }
        // The writer has let go of them, so nothing is copied.
        let records: Vec<(u64, Vec<u8>)> = written
            .into_iter()
            .flat_map(|writes| Arc::try_unwrap(writes).unwrap_or_else(|shared| shared.to_vec()))
            .filter_map(record)
            .collect();
        let mut unsealed = self.shared.unsealed.lock();
        for (sequence, value) in records {
            unsealed.add(sequence, value);
        }
    }

    /// The store failed, or came back: only it knows what it has.
    pub(super) fn forget_unsealed(&self) {
        self.shared.unsealed.lock().clear();
    }
}

/// Sequence and value of a write that is a record of the log.
fn record(write: Write) -> Option<(u64, Vec<u8>)> {
    if write.family != family::AUDIT {
        return None;
    }
    let sequence = u64::from_be_bytes(write.key.as_slice().try_into().ok()?);
    Some((sequence, write.value?))
}
