//! The Merkle tree and the chain of the log's first records.
use std::fmt;

use crate::merkle::{self, Frontier, TILE_LEAVES};
use crate::{HASH_BYTES, Hash};

/// Hash before the first record.
pub const GENESIS: Hash = [0; HASH_BYTES];

/// A record does not follow the ones that are in the tree: the log is damaged, or not the one that was signed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoesNotFit(pub String);

impl fmt::Display for DoesNotFit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How far the log is sealed, or about to be: what the first records come to, and what the last of them added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    frontier: Frontier,
    head: Hash,
    record_bytes: u64,
    leaves: Vec<Hash>,
    tiles: Vec<(u64, Hash)>,
}

impl Default for Tree {
    fn default() -> Self {
        Self::at(Frontier::default(), GENESIS, 0)
    }
}

impl Tree {
    /// A tree that nothing was added to yet; `head` is the hash of the last record in it, `record_bytes` the size of all of
    /// them.
    pub fn at(frontier: Frontier, head: Hash, record_bytes: u64) -> Self {
        Self {
            frontier,
            head,
            record_bytes,
            leaves: Vec::new(),
            tiles: Vec::new(),
        }
    }

    /// The same tree as if nothing had been added.
    #[must_use]
    pub fn settled(&self) -> Self {
        Self::at(self.frontier.clone(), self.head, self.record_bytes)
    }

    /// Records in it, and the sequence of the last one.
    pub fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The tree alone.
    pub fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Hash of the last record in the chain.
    pub fn head(&self) -> &Hash {
        &self.head
    }

    /// Bytes of all records in it, without their hashes.
    pub fn record_bytes(&self) -> u64 {
        self.record_bytes
    }

    /// Hashes of the leaves that were added, in order.
    pub fn leaves(&self) -> &[Hash] {
        &self.leaves
    }

    /// Numbers and roots of the tiles that became whole.
    pub fn tiles(&self) -> &[(u64, Hash)] {
        &self.tiles
    }

    /// Takes the record with this sequence as the log stores it: its hash, then its bytes. INVARIANT (A2): only when it
    /// follows.
    pub fn append(&mut self, sequence: u64, value: &[u8]) -> Result<(), DoesNotFit> {
        let next = self.size().saturating_add(1);
        if sequence > next {
            return Err(DoesNotFit(format!("record {next} of the audit log is missing")));
        }
        let followed = merkle::split(value)
            .filter(|(hash, record)| sequence == next && merkle::link(&self.head, record) == **hash)
            .ok_or_else(|| DoesNotFit(format!("record {next} of the audit log does not follow the one before")))?;
        let (hash, record) = followed;
        let leaf = merkle::leaf_hash(record);
        if let Some(tile) = self.frontier.append(leaf) {
            self.tiles.push((sequence / TILE_LEAVES - 1, tile));
        }
        self.leaves.push(leaf);
        self.head = *hash;
        self.record_bytes = self.record_bytes.saturating_add(record.len() as u64);
        Ok(())
    }
}
