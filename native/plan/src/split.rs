//! The weighted draw: a hash of the route and a key, so that the same key goes to the same target, on every sidecar.
//!
//! The digest is SHA-256 of `fairlead/split/v1`, the route's name and the key, with a zero byte between them. Its first
//! eight bytes (big-endian) are the position of the key; bytes eight to sixteen are the position of a **second** draw,
//! among the targets that are available, when the first hits one that is not. The second must not reuse the first
//! position: all keys that hit the missing target lie in one stretch of it and would go to the same neighbour.
//! Golden vectors: `tests/golden/split.json`.

use sha2::{Digest, Sha256};

const SPLIT_DOMAIN: &[u8] = b"fairlead/split/v1";
const RAMP_DOMAIN: &[u8] = b"fairlead/ramp/v1";
/// Everything, in per mille.
const ALL_PER_MILLE: u64 = 1000;

/// The positions of one key on one route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draw {
    /// Position of the draw among all targets.
    pub first: u64,
    /// Position of the draw among those that are available.
    pub second: u64,
}

impl Draw {
    /// Draws `key` on `route`.
    #[must_use]
    pub fn new(route: &str, key: &str) -> Self {
        let [first, second] = positions(SPLIT_DOMAIN, route, key);
        Self { first, second }
    }
}

/// Where a position falls among weights: the index of the target, or `None` when all weights are zero.
#[must_use]
pub fn pick(position: u64, weights: impl Iterator<Item = u32> + Clone) -> Option<usize> {
    let total: u64 = weights.clone().map(u64::from).sum();
    let mut left = scale(position, total);
    for (index, weight) in weights.enumerate() {
        match left.checked_sub(u64::from(weight)) {
            Some(rest) => left = rest,
            None => return Some(index),
        }
    }
    None
}

/// Whether a model that ramps up and takes `per_mille` of its calls takes the one with this key.
pub(crate) fn is_in_ramp_share(model: &str, key: &str, per_mille: i32) -> bool {
    let [position, _] = positions(RAMP_DOMAIN, model, key);
    i64::try_from(scale(position, ALL_PER_MILLE)).is_ok_and(|position| position < i64::from(per_mille))
}

/// `position` of 2^64, scaled to `total`: always below it.
fn scale(position: u64, total: u64) -> u64 {
    // The product of two 64-bit numbers fits 128 bits, and its upper half 64.
    u64::try_from((u128::from(position) * u128::from(total)) >> 64).unwrap_or_default()
}

fn positions(domain: &[u8], name: &str, key: &str) -> [u64; 2] {
    let mut hash = Sha256::new();
    hash.update(domain);
    hash.update([0]);
    hash.update(name);
    hash.update([0]);
    hash.update(key);
    let digest: [u8; 32] = hash.finalize().into();
    let mut words = digest
        .chunks_exact(8)
        .map(|word| word.iter().fold(0u64, |sum, byte| sum << 8 | u64::from(*byte)));
    [words.next().unwrap_or_default(), words.next().unwrap_or_default()]
}

#[cfg(test)]
#[path = "split_tests.rs"]
mod tests;
