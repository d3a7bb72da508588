//! Workers that wait for steps: whoever waits longest for a queue hears of its next step.
//!
//! INVARIANT (Q1): no wake-up is lost. Looking for a step and lining up are one hold of the lock; whoever is woken and goes
//! away without looking passes it on (see `Baton` in [`runs`](super::runs)).
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use fairlead_engine::Wakes;
use tokio::sync::oneshot;

/// A queue of a tenant.
type QueueName = (Arc<str>, Box<str>);

/// See the module. Belongs to the core's state.
#[derive(Default)]
pub(super) struct WaitingWorkers {
    waiting: HashMap<u64, Waiter>,
    lines: HashMap<QueueName, VecDeque<u64>>,
    next: u64,
}

struct Waiter {
    wake: oneshot::Sender<()>,
    tenant: Arc<str>,
    queues: Vec<Box<str>>,
}

impl WaitingWorkers {
    /// Lines up for some queues of a tenant.
    pub(super) fn line_up(&mut self, tenant: &Arc<str>, queues: &[String]) -> (u64, oneshot::Receiver<()>) {
        let (wake, woken) = oneshot::channel();
        self.next += 1;
        let number = self.next;
        let queues: Vec<Box<str>> = queues.iter().map(|queue| queue.as_str().into()).collect();
        for queue in &queues {
            let name = (Arc::clone(tenant), queue.clone());
            self.lines.entry(name).or_default().push_back(number);
        }
        let waiter = Waiter {
            wake,
            tenant: Arc::clone(tenant),
            queues,
        };
        self.waiting.insert(number, waiter);
        (number, woken)
    }

    /// Leaves all lines.
    pub(super) fn leave(&mut self, number: u64) {
        let Some(waiter) = self.waiting.remove(&number) else {
            return;
        };
        for queue in waiter.queues {
            let name = (Arc::clone(&waiter.tenant), queue);
            if let Some(line) = self.lines.get_mut(&name) {
                line.retain(|one| *one != number);
                if line.is_empty() {
                    self.lines.remove(&name);
                }
            }
        }
    }

    /// Tells one waiter for every step that has come.
    pub(super) fn wake(&mut self, wakes: &Wakes) {
        for (tenant, queue) in &wakes.queues {
            self.wake_one(tenant, queue);
        }
    }

    /// Tells the first in line who still waits.
    pub(super) fn wake_one(&mut self, tenant: &Arc<str>, queue: &str) {
        let name = (Arc::clone(tenant), queue.into());
        while let Some(number) = self.lines.get(&name).and_then(|line| line.front().copied()) {
            let waiter = self.waiting.remove(&number);
            let Some(Waiter { wake, tenant, queues }) = waiter else {
                self.forget(&name, number);
                continue;
            };
            for queue in queues {
                self.forget(&(Arc::clone(&tenant), queue), number);
            }
            if wake.send(()).is_ok() {
                return;
            }
        }
    }

    fn forget(&mut self, name: &QueueName, number: u64) {
        if let Some(line) = self.lines.get_mut(name) {
            line.retain(|one| *one != number);
            if line.is_empty() {
                self.lines.remove(name);
            }
        }
    }

    /// Workers that wait.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn tenant() -> Arc<str> {
        Arc::from("acme")
    }

    #[test]
    fn a_step_wakes_one_worker_the_one_that_waits_longest() {
        let mut workers = WaitingWorkers::default();
        let (_, mut first) = workers.line_up(&tenant(), &["a".to_owned(), "b".to_owned()]);
        let (_, mut second) = workers.line_up(&tenant(), &["a".to_owned()]);
        workers.wake_one(&tenant(), "a");
        assert!(first.try_recv().is_ok() && second.try_recv().is_err());
        assert_eq!(workers.len(), 1);
        workers.wake_one(&tenant(), "b");
        assert!(second.try_recv().is_err(), "nobody waits for b any more");
    }

    #[test]
    fn whoever_is_gone_is_passed_over() {
        let mut workers = WaitingWorkers::default();
        let (_, gone) = workers.line_up(&tenant(), &["a".to_owned()]);
        let (_, mut here) = workers.line_up(&tenant(), &["a".to_owned()]);
        drop(gone);
        workers.wake_one(&tenant(), "a");
        assert!(here.try_recv().is_ok());
        assert_eq!(workers.len(), 0);
    }

    #[test]
    fn another_tenants_queue_of_the_same_name_is_another_queue() {
        let mut workers = WaitingWorkers::default();
        let (number, mut waits) = workers.line_up(&tenant(), &["a".to_owned()]);
        workers.wake_one(&Arc::from("globex"), "a");
        assert!(waits.try_recv().is_err());
        workers.leave(number);
        assert!(workers.lines.is_empty() && workers.waiting.is_empty());
    }
}
