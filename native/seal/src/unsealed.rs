//! Records that are committed and in no checkpoint yet, so that they need not be read back from the store.
//!
//! A shortcut and nothing more: what is not here is read from the store. So whatever does not fit is dropped: records
//! after a gap, and all of them when too much waits or the store failed, after which only the store knows what is there.
use std::collections::VecDeque;

/// See the module. Keeps nothing until somebody asked, nor after nobody came for what was kept.
#[derive(Debug)]
pub struct Unsealed {
    /// Sequence of the first record; of no meaning while there is none.
    first: u64,
    values: VecDeque<Vec<u8>>,
    bytes: usize,
    most_bytes: usize,
    wanted: bool,
}

/// What a record takes beside its value.
const RECORD_BYTES: usize = 64;

impl Unsealed {
    /// Keeps at most so many bytes.
    pub fn new(most_bytes: usize) -> Self {
        Self {
            first: 0,
            values: VecDeque::new(),
            bytes: 0,
            most_bytes,
            wanted: false,
        }
    }

    /// True when somebody takes what is added.
    pub fn wanted(&self) -> bool {
        self.wanted
    }

    /// The record with this sequence, as the log stores it, was committed.
    pub fn add(&mut self, sequence: u64, value: Vec<u8>) {
        if !self.wanted {
            return;
        }
        if sequence.checked_sub(self.first) != Some(self.values.len() as u64) {
            self.clear();
            self.first = sequence;
        }
        self.bytes += value.len() + RECORD_BYTES;
        self.values.push_back(value);
        if self.bytes > self.most_bytes {
            // Whoever asks next has it kept again from then on.
            self.clear();
            self.wanted = false;
        }
    }

    /// Takes the records after `sequence` up to `last`, in order; none when the one behind `sequence` is not here.
    pub fn take(&mut self, sequence: u64, last: u64) -> Vec<Vec<u8>> {
        self.wanted = true;
        while self.first <= sequence && self.pop().is_some() {}
        let mut taken = Vec::new();
        if self.first.checked_sub(1) == Some(sequence) {
            while self.first <= last
                && let Some(value) = self.pop()
            {
                taken.push(value);
            }
        }
        taken
    }

    /// Drops all of it: the store failed, and says itself what it has when it is back.
    pub fn clear(&mut self) {
        self.values = VecDeque::new();
        self.bytes = 0;
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        let value = self.values.pop_front()?;
        self.first += 1;
        self.bytes -= value.len() + RECORD_BYTES;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    const MOST: usize = 10 * (RECORD_BYTES + 1);

    fn holding(sequences: impl IntoIterator<Item = u64>) -> Unsealed {
        let mut unsealed = Unsealed::new(MOST);
        assert!(unsealed.take(0, 9).is_empty());
        for sequence in sequences {
            unsealed.add(sequence, vec![u8::try_from(sequence).unwrap()]);
        }
        unsealed
    }

    fn bytes(values: &[Vec<u8>]) -> Vec<u8> {
        values.concat()
    }

    #[test]
    fn what_follows_is_given_in_order_and_once() {
        let mut unsealed = holding(1..=5);
        assert_eq!(bytes(&unsealed.take(0, 2)), [1, 2]);
        assert!(unsealed.take(0, 5).is_empty(), "1 is gone: the store has it");
        assert_eq!(bytes(&unsealed.take(3, 9)), [4, 5], "3 came from the store");
        assert!(unsealed.take(5, 9).is_empty());
        unsealed.add(6, vec![6]);
        assert_eq!(bytes(&unsealed.take(5, 9)), [6]);
        assert_eq!(unsealed.bytes, 0);
    }

    #[test]
    fn nothing_is_kept_before_somebody_asks_and_the_rest_is_for_the_store() {
        let mut unsealed = Unsealed::new(MOST);
        unsealed.add(1, vec![1]);
        assert!(unsealed.take(0, 9).is_empty());
        unsealed.add(2, vec![2]);
        assert!(unsealed.take(0, 9).is_empty(), "1 is not here");
        assert_eq!(bytes(&unsealed.take(1, 9)), [2]);
    }

    #[test]
    fn a_gap_or_a_step_back_drops_what_came_before() {
        let mut unsealed = holding([4, 5, 7]);
        assert!(unsealed.take(3, 9).is_empty());
        assert_eq!(bytes(&unsealed.take(6, 9)), [7]);
        let mut unsealed = holding([4, 5, 5]);
        assert!(unsealed.take(3, 9).is_empty(), "a store that came back without 5");
        assert_eq!(bytes(&unsealed.take(4, 9)), [5]);
    }

    #[test]
    fn too_much_is_dropped_until_somebody_asks_again() {
        let mut unsealed = holding(1..=11);
        assert_eq!((unsealed.bytes, unsealed.wanted()), (0, false));
        unsealed.add(12, vec![12]);
        assert!(unsealed.take(11, 99).is_empty());
        unsealed.add(13, vec![13]);
        assert_eq!(bytes(&unsealed.take(12, 99)), [13]);
    }

    #[test]
    fn after_a_fault_only_what_comes_then_is_given() {
        let mut unsealed = holding(1..=3);
        unsealed.clear();
        assert!(unsealed.take(0, 9).is_empty());
        unsealed.add(2, vec![2]);
        assert_eq!(bytes(&unsealed.take(1, 9)), [2]);
    }
}
