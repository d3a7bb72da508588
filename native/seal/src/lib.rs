//! What a checkpoint of the audit log signs, the Merkle tree and the end of the chain, and the signature. Whose key, when,
//! and where it is stored is Python's (`fairlead.audit.transparency`); here is what has to be done for every record.
//!
//! ```text
//! writer: acknowledge ─► Unsealed ─┐
//! store:  slices of the log ───────┴─► Tree::append (chain checked, leaf hashed) ─► size, root, head, leaves, tiles
//! ```
//!
//! INVARIANT (A2): a tree only grows by the record that follows its last one in the chain. One that does not is refused
//! with `DoesNotFit`, and the tree before it stays as it was.
//!
//! | module | idea |
//! |---|---|
//! | `merkle` | the tree of RFC 9162 that leaves are appended to |
//! | `tree` | that tree with the chain: values of the log's records in, what is signed out |
//! | `key` | Ed25519 |
//! | `unsealed` | records that are committed and in no tree yet, bounded |
//!
//! Pure: no clock, no I/O, no thread.
mod key;
mod merkle;
mod tree;
mod unsealed;

pub use key::{KeyUnusable, SIGNATURE_BYTES, SigningKey, is_signed};
pub use merkle::{Frontier, TILE_LEAVES, leaf_hash, node_hash};
pub use tree::{DoesNotFit, GENESIS, Tree};
pub use unsealed::Unsealed;

/// A SHA-256.
pub type Hash = [u8; HASH_BYTES];

/// Bytes of a hash.
pub const HASH_BYTES: usize = 32;
