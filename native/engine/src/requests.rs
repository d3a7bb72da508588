//! Which request ids may have been used in the last 24 hours.
//!
//! A repeated id is answered from the store; this index only decides whether the store has to be asked. It keeps one set of
//! split-block Bloom filters per hour: four bytes per id, at most one false "perhaps" in some 50,000 per filter, and never a
//! false "no". (Putze, Sanders, Singler: *Cache-, hash- and space-efficient Bloom filters*, 2007.) When
//! `limits.requestIds` is passed, the oldest filter goes, and from then on its hour is asked for every id.
use std::collections::{BTreeSet, VecDeque};

use crate::keys::RequestHash;

/// Hours that an id is remembered at least.
const KEPT_HOURS: u32 = 24;
/// Ids of the first filter of an hour; every further one is twice as large.
const FIRST_CAPACITY: usize = 4096;
/// Ids of the largest filter: 1 MiB.
const LAST_CAPACITY: usize = 1 << 18;
/// Ids per block of 512 bits.
const PER_BLOCK: usize = 16;

type Block = [u64; 8];

#[derive(Debug)]
struct Filter {
    blocks: Vec<Block>,
    capacity: usize,
    len: usize,
}

impl Filter {
    fn new(capacity: usize) -> Self {
        Self {
            blocks: vec![Block::default(); capacity.div_ceil(PER_BLOCK)],
            capacity,
            len: 0,
        }
    }

    fn at(&self, hash: &RequestHash) -> usize {
        let (high, _) = halves(hash);
        // The high bits of the product: an even spread without a division.
        usize::try_from((u128::from(high) * self.blocks.len() as u128) >> 64).unwrap_or(0)
    }

    fn insert(&mut self, hash: &RequestHash) {
        let at = self.at(hash);
        if let Some(block) = self.blocks.get_mut(at) {
            for (word, bit) in block.iter_mut().zip(bits(hash)) {
                *word |= bit;
            }
            self.len += 1;
        }
    }

    fn contains(&self, hash: &RequestHash) -> bool {
        self.blocks
            .get(self.at(hash))
            .is_some_and(|block| block.iter().zip(bits(hash)).all(|(word, bit)| word & bit != 0))
    }
}

fn halves(hash: &RequestHash) -> (u64, u64) {
    let number = u128::from_be_bytes(*hash);
    (
        u64::try_from(number >> 64).unwrap_or(0),
        u64::try_from(number & u128::from(u64::MAX)).unwrap_or(0),
    )
}

/// One bit of each word.
fn bits(hash: &RequestHash) -> impl Iterator<Item = u64> {
    let (_, low) = halves(hash);
    (0..8).map(move |word| 1 << ((low >> (word * 6)) & 63))
}

#[derive(Debug)]
struct Generation {
    hour: u32,
    filters: VecDeque<Filter>,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct RequestIndex {
    /// Oldest first.
    generations: VecDeque<Generation>,
    /// Hours of which ids were forgotten early.
    forgotten: BTreeSet<u32>,
    len: usize,
}

impl RequestIndex {
    /// Hours in which the id may have been used, newest first; empty means that it was certainly not.
    pub(crate) fn hours(&self, hash: &RequestHash, now_hour: u32) -> Vec<u32> {
        let oldest = now_hour.saturating_sub(KEPT_HOURS);
        let mut hours: Vec<u32> = self
            .generations
            .iter()
            .filter(|one| one.hour >= oldest && one.filters.iter().any(|filter| filter.contains(hash)))
            .map(|one| one.hour)
            .chain(self.forgotten.range(oldest..).copied())
            .collect();
        hours.sort_unstable_by(|a, b| b.cmp(a));
        hours.dedup();
        hours
    }

    /// Remembers an id. At most `most` are remembered.
    pub(crate) fn insert(&mut self, hour: u32, hash: &RequestHash, most: usize) {
        self.prune(hour);
        let after = self.generations.partition_point(|one| one.hour < hour);
        if self.generations.get(after).is_none_or(|one| one.hour != hour) {
            self.generations.insert(
                after,
                Generation {
                    hour,
                    filters: VecDeque::new(),
                },
            );
        }
        let Some(generation) = self.generations.get_mut(after) else {
            return;
        };
        if generation.filters.back().is_none_or(|last| last.len >= last.capacity) {
            let capacity = generation
                .filters
                .back()
                .map_or(FIRST_CAPACITY, |last| (last.capacity * 2).min(LAST_CAPACITY));
            generation.filters.push_back(Filter::new(capacity));
        }
        if let Some(last) = generation.filters.back_mut() {
            last.insert(hash);
            self.len += 1;
        }
        while self.len > most.max(1) {
            self.forget_oldest();
        }
    }

    /// Ids remembered.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    fn prune(&mut self, now_hour: u32) {
        let oldest = now_hour.saturating_sub(KEPT_HOURS);
        while self.generations.front().is_some_and(|first| first.hour < oldest) {
            if let Some(first) = self.generations.pop_front() {
                self.len -= first.filters.iter().map(|filter| filter.len).sum::<usize>();
            }
        }
        while self.forgotten.first().is_some_and(|first| *first < oldest) {
            self.forgotten.pop_first();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(first) = self.generations.front_mut() else {
            self.len = 0;
            return;
        };
        if let Some(filter) = first.filters.pop_front() {
            self.len -= filter.len;
            self.forgotten.insert(first.hour);
        }
        if first.filters.is_empty() {
            self.generations.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;
    use crate::keys;

    fn id(number: usize) -> RequestHash {
        keys::request_hash("acme", "bot", "Admit", &format!("r-{number}"))
    }

    #[test]
    fn every_id_of_the_last_day_is_found_and_few_others() {
        let mut index = RequestIndex::default();
        for number in 0..48_000 {
            index.insert(100 + u32::try_from(number / 2000).unwrap(), &id(number), 1_000_000);
        }
        for number in 0..48_000 {
            assert_eq!(
                index.hours(&id(number), 123)[..1],
                [100 + u32::try_from(number / 2000).unwrap()]
            );
        }
        let wrong = (1_000_000..1_100_000)
            .filter(|number| !index.hours(&id(*number), 123).is_empty())
            .count();
        assert!(wrong < 100, "{wrong} of 100,000 unknown ids have to be looked up");
    }

    #[test]
    fn a_day_later_an_id_is_forgotten() {
        let mut index = RequestIndex::default();
        index.insert(100, &id(1), 10);
        assert_eq!(index.hours(&id(1), 124), [100]);
        assert!(index.hours(&id(1), 125).is_empty());
        index.insert(125, &id(2), 10);
        assert_eq!(index.len(), 1);
    }

    #[test]
    fn what_was_forgotten_early_is_asked_for() {
        let mut index = RequestIndex::default();
        for number in 0..3 {
            index.insert(100 + u32::try_from(number).unwrap(), &id(number), 2);
        }
        assert_eq!(index.len(), 2);
        assert_eq!(index.hours(&id(99), 102), [100]);
        assert_eq!(index.hours(&id(2), 102), [102, 100]);
        assert!(index.hours(&id(99), 125).is_empty());
    }
}
