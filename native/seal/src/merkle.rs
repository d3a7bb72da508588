//! The Merkle tree of RFC 9162 (section 2.1; the same as RFC 6962), as far as appending needs it.
//!
//! ```text
//! leaf(d) = SHA-256(0x00 ‖ d)      node(l, r) = SHA-256(0x01 ‖ l ‖ r)      root of nothing = SHA-256("")
//! ```
//! Python's `merkle.py` has the same for proofs and for verifying without a sidecar; a property test holds the two
//! together.
use sha2::{Digest, Sha256};

use crate::{HASH_BYTES, Hash};

/// Roots of so many leaves are kept, so that proofs read little.
pub const TILE_LEAVES: u64 = 1 << TILE_LEVEL;
const TILE_LEVEL: u32 = 8;

/// Hash of a leaf.
pub fn leaf_hash(data: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(data).finalize().into()
}

/// Hash of two subtrees.
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    let digest = Sha256::new().chain_update([1]).chain_update(left).chain_update(right);
    digest.finalize().into()
}

/// The roots of the perfect trees that a tree is made of, one for each bit of its size, the largest first: all that is
/// needed to append and to tell the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    hashes: Vec<Hash>,
}

impl Frontier {
    /// A tree that goes on from a stored one; none when there is not one hash for each bit of the size.
    pub fn of(size: u64, hashes: Vec<Hash>) -> Option<Self> {
        (hashes.len() == size.count_ones() as usize).then_some(Self { size, hashes })
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// One for each bit of the size, the largest subtree first.
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Appends the hash of a leaf; the root of the last `TILE_LEAVES` leaves when they have become whole with it.
    pub fn append(&mut self, leaf: Hash) -> Option<Hash> {
        let mut node = leaf;
        let mut tile = None;
        // A set bit is a perfect tree of that level on the left, whose right half is whole now.
        for level in 1..=self.size.trailing_ones() {
            let Some(left) = self.hashes.pop() else { break };
            node = node_hash(&left, &node);
            if level == TILE_LEVEL {
                tile = Some(node);
            }
        }
        self.hashes.push(node);
        self.size = self.size.saturating_add(1);
        tile
    }

    /// Root of the tree.
    pub fn root(&self) -> Hash {
        let mut smallest_first = self.hashes.iter().rev();
        let Some(last) = smallest_first.next() else {
            return Sha256::digest([]).into();
        };
        smallest_first.fold(*last, |right, left| node_hash(left, &right))
    }
}

/// The hash of a record after the one before.
pub(crate) fn link(previous: &Hash, record: &[u8]) -> Hash {
    Sha256::new()
        .chain_update(previous)
        .chain_update(record)
        .finalize()
        .into()
}

/// A stored value of the log as hash and record; none when it is too short.
pub(crate) fn split(value: &[u8]) -> Option<(&Hash, &[u8])> {
    value.split_first_chunk::<HASH_BYTES>()
}
