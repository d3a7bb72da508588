//! Commit units between the engine and the writer: numbered in the order the engine made them, taken in batches,
//! acknowledged in two steps.
//!
//! | unit | released by |
//! |---|---|
//! | `process` | `written ≥ number`: it is in the write-ahead log and survives a kill of the process |
//! | `power` | `durable ≥ number`: an fsync that began after its write has returned |
//!
//! The queue is plain data under the core's lock. Whoever waits holds a receiver; the senders of a release are handed
//! back to the caller, who fires them after the lock is gone.
//!
//! The writes of a batch stay here until they are acknowledged and are handed back then: what is known to be written needs
//! not be read from the store.
use std::collections::VecDeque;
use std::sync::Arc;

use fairlead_engine::{Unit, Write};
use tokio::sync::oneshot;

/// How the wait for a commit ends. A dropped sender counts as `Lost`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// The unit is as durable as its class asks.
    Done,
    /// The store failed before that; the unit is not part of the state any more.
    Lost,
}

/// Who waits for a unit.
pub type Waiter = oneshot::Sender<Commit>;
/// The other end.
pub type Receipt = oneshot::Receiver<Commit>;

/// Bytes of keys and values after which a batch is closed, so that one write stays small: 4 MiB.
const BATCH_BYTES: usize = 4 << 20;

/// What the writer takes at once.
#[derive(Debug)]
pub struct Batch {
    /// Number of the last unit in it.
    pub last: u64,
    /// Units in it.
    pub units: usize,
    /// True when a unit in it asks for an fsync.
    pub power: bool,
    /// All writes, in order.
    pub writes: Writes,
}

/// The writes of a batch.
pub type Writes = Arc<Vec<Write>>;

/// What an acknowledgement lets go.
#[derive(Debug, Default)]
pub struct Acknowledged {
    /// Who may go on.
    pub released: Vec<Waiter>,
    /// The batches that are written now, in order.
    pub written: Vec<Writes>,
}

struct Waiting {
    number: u64,
    waiter: Waiter,
}

/// See the module.
#[derive(Default)]
pub struct CommitQueue {
    queued: VecDeque<Unit>,
    /// Number of the newest unit; the first one is 1.
    last: u64,
    /// Number of the newest unit that asked for an fsync.
    last_power: u64,
    taken: u64,
    /// Batches that the writer has, by the number of their last unit.
    writing: VecDeque<(u64, Writes)>,
    written: u64,
    durable: u64,
    /// In number order, like the next one.
    until_written: VecDeque<Waiting>,
    until_durable: VecDeque<Waiting>,
}

impl CommitQueue {
    /// Appends a unit, and who waits for it.
    pub fn push(&mut self, unit: Unit, waiter: Option<Waiter>) -> u64 {
        self.last += 1;
        let number = self.last;
        if unit.power {
            self.last_power = number;
        }
        if let Some(waiter) = waiter {
            let waiting = Waiting { number, waiter };
            if unit.power {
                self.until_durable.push_back(waiting);
            } else {
                self.until_written.push_back(waiting);
            }
        }
        self.queued.push_back(unit);
        number
    }

    /// Receipts that arrive when everything pushed so far is committed, each unit by its own class; none when it is.
    pub fn barrier(&mut self) -> Vec<Receipt> {
        let mut receipts = Vec::new();
        if self.written < self.last {
            let (waiter, receipt) = oneshot::channel();
            self.until_written.push_back(Waiting {
                number: self.last,
                waiter,
            });
            receipts.push(receipt);
        }
        if self.durable < self.last_power {
            let (waiter, receipt) = oneshot::channel();
            self.until_durable.push_back(Waiting {
                number: self.last_power,
                waiter,
            });
            receipts.push(receipt);
        }
        receipts
    }

    /// Takes all waiting units up to `most` and a byte bound; never an empty batch.
    pub fn take(&mut self, most: usize) -> Option<Batch> {
        let mut units = 0;
        let mut power = false;
        let mut writes = Vec::new();
        let mut bytes = 0;
        while units < most.max(1) && bytes < BATCH_BYTES {
            let Some(unit) = self.queued.pop_front() else { break };
            self.taken += 1;
            units += 1;
            power |= unit.power;
            for write in &unit.writes {
                bytes += write.key.len() + write.value.as_ref().map_or(0, Vec::len);
            }
            writes.extend(unit.writes);
        }
        if units == 0 {
            return None;
        }
        let batch = Batch {
            last: self.taken,
            units,
            power,
            writes: Arc::new(writes),
        };
        self.writing.push_back((batch.last, Arc::clone(&batch.writes)));
        Some(batch)
    }

    /// Moves the two marks up. Numbers that were never taken are cut down.
    #[must_use = "fire the waiters outside the lock"]
    pub fn acknowledge(&mut self, written: u64, durable: u64) -> Acknowledged {
        self.durable = self.durable.max(durable.min(self.taken));
        self.written = self.written.max(written.min(self.taken)).max(self.durable);
        let mut acknowledged = Acknowledged::default();
        release(&mut self.until_written, self.written, &mut acknowledged.released);
        release(&mut self.until_durable, self.durable, &mut acknowledged.released);
        while self.writing.front().is_some_and(|(last, _)| *last <= self.written) {
            acknowledged
                .written
                .extend(self.writing.pop_front().map(|(_, writes)| writes));
        }
        acknowledged
    }

    /// Forgets every unit that is not acknowledged and returns who waited. Numbers go on, so that an acknowledgement
    /// that was under way cannot release a later unit.
    #[must_use = "fire the waiters outside the lock"]
    pub fn fail(&mut self) -> Vec<Waiter> {
        self.queued.clear();
        self.writing.clear();
        self.taken = self.last;
        self.written = self.last;
        self.durable = self.last;
        self.until_written
            .drain(..)
            .chain(self.until_durable.drain(..))
            .map(|waiting| waiting.waiter)
            .collect()
    }

    /// Units that are not committed yet: what `limits.queue_depth` bounds.
    pub fn depth(&self) -> u64 {
        (self.last - self.written).max(self.until_durable.len() as u64)
    }

    /// Units that no writer has taken yet.
    pub fn waiting(&self) -> usize {
        self.queued.len()
    }
}

fn release(waiting: &mut VecDeque<Waiting>, mark: u64, released: &mut Vec<Waiter>) {
    while waiting.front().is_some_and(|first| first.number <= mark) {
        released.extend(waiting.pop_front().map(|first| first.waiter));
    }
}

/// Ends the waits.
pub fn fire(waiters: Vec<Waiter>, commit: Commit) {
    for waiter in waiters {
        // The receiver is gone when the caller gave up; the unit is committed all the same.
        let _ = waiter.send(commit);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn unit(key: u8, power: bool) -> Unit {
        Unit {
            writes: vec![Write {
                family: 0,
                key: vec![key],
                value: None,
            }],
            power,
            ..Unit::default()
        }
    }

    fn push(queue: &mut CommitQueue, key: u8, power: bool) -> Receipt {
        let (waiter, receipt) = oneshot::channel();
        queue.push(unit(key, power), Some(waiter));
        receipt
    }

    fn pending(receipt: &mut Receipt) -> bool {
        receipt.try_recv() == Err(oneshot::error::TryRecvError::Empty)
    }

    #[test]
    fn a_batch_takes_everything_in_order_up_to_the_cap() {
        let mut queue = CommitQueue::default();
        assert!(queue.take(64).is_none());
        for key in 1..=5 {
            queue.push(unit(key, key == 2), None);
        }
        let batch = queue.take(3).unwrap();
        assert_eq!((batch.last, batch.units, batch.power), (3, 3, true));
        assert_eq!(
            batch.writes.iter().map(|write| write.key[0]).collect::<Vec<_>>(),
            [1, 2, 3]
        );
        let rest = queue.take(64).unwrap();
        assert_eq!((rest.last, rest.units, rest.power), (5, 2, false));
        assert_eq!(queue.depth(), 5);
    }

    #[test]
    fn process_units_go_on_written_and_power_units_on_durable() {
        let mut queue = CommitQueue::default();
        let mut power = push(&mut queue, 1, true);
        let mut process = push(&mut queue, 2, false);
        queue.take(64).unwrap();
        fire(queue.acknowledge(2, 0).released, Commit::Done);
        assert!(pending(&mut power));
        assert_eq!(process.try_recv(), Ok(Commit::Done));
        fire(queue.acknowledge(2, 2).released, Commit::Done);
        assert_eq!(power.try_recv(), Ok(Commit::Done));
    }

    #[test]
    fn an_acknowledgement_of_what_was_never_taken_releases_nothing() {
        let mut queue = CommitQueue::default();
        let mut receipt = push(&mut queue, 1, false);
        let nothing = queue.acknowledge(9, 9);
        assert!(nothing.released.is_empty() && nothing.written.is_empty());
        assert!(pending(&mut receipt));
    }

    #[test]
    fn a_batch_is_handed_back_once_when_it_is_written_and_never_when_that_failed() {
        let mut queue = CommitQueue::default();
        let mut taken = Vec::new();
        for key in 1..=3 {
            queue.push(unit(key, false), None);
            taken.push(queue.take(1).unwrap().writes);
        }
        let keys = |acknowledged: Acknowledged| -> Vec<u8> {
            let written = acknowledged.written.iter();
            written
                .flat_map(|writes| writes.iter().map(|write| write.key[0]))
                .collect()
        };
        assert_eq!(keys(queue.acknowledge(2, 0)), [1, 2]);
        assert!(keys(queue.acknowledge(2, 2)).is_empty());
        drop(queue.fail());
        assert!(
            keys(queue.acknowledge(3, 3)).is_empty(),
            "it is not certain that it was written"
        );
        queue.push(unit(4, false), None);
        queue.take(1).unwrap();
        assert_eq!(keys(queue.acknowledge(4, 0)), [4]);
    }

    #[test]
    fn a_barrier_waits_for_both_classes() {
        let mut queue = CommitQueue::default();
        assert!(queue.barrier().is_empty());
        queue.push(unit(1, true), None);
        queue.push(unit(2, false), None);
        let mut barrier = queue.barrier();
        assert_eq!(barrier.len(), 2);
        queue.take(64).unwrap();
        fire(queue.acknowledge(2, 0).released, Commit::Done);
        assert_eq!(barrier[0].try_recv(), Ok(Commit::Done));
        assert!(pending(&mut barrier[1]));
        fire(queue.acknowledge(2, 2).released, Commit::Done);
        assert_eq!(barrier[1].try_recv(), Ok(Commit::Done));
    }

    #[test]
    fn a_failure_ends_all_waits_and_old_numbers_release_nothing_later() {
        let mut queue = CommitQueue::default();
        let mut taken = push(&mut queue, 1, false);
        queue.take(64).unwrap();
        let mut waiting = push(&mut queue, 2, true);
        fire(queue.fail(), Commit::Lost);
        assert_eq!(taken.try_recv(), Ok(Commit::Lost));
        assert_eq!(waiting.try_recv(), Ok(Commit::Lost));
        assert_eq!(queue.depth(), 0);
        let mut later = push(&mut queue, 3, false);
        assert!(queue.acknowledge(1, 0).released.is_empty());
        let batch = queue.take(64).unwrap();
        assert_eq!(batch.last, 3);
        fire(queue.acknowledge(batch.last, 0).released, Commit::Done);
        assert_eq!(later.try_recv(), Ok(Commit::Done));
    }
}
