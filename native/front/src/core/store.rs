//! The store's side: recovery, the writer's batches and acknowledgements, failure.
//!
//! | phase | entered by | commands |
//! |---|---|---|
//! | `Empty` | construction | `NOT_READY` |
//! | `Recovering` | the first `recover` after `Empty` or `Failed` | `NOT_READY` |
//! | `Available` | `recover(last)` | yes |
//! | `Failed` | `fail_store` | `STORE_UNAVAILABLE` |
//!
//! A `recover` while `Available` is refused: it would throw committed state away. The engine that begins to recover is a new
//! one with the configuration that was committed last.
use std::time::{Duration, Instant};

use fairlead_engine::{Reason, Rejection};
use fairlead_plan::UnixNanos;

use super::queue::{self, Batch, Commit};
use super::{Core, State, new_engine};
use crate::refusal;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Empty,
    Recovering,
    Available,
    Failed,
}

impl Phase {
    /// Whether a command may be applied.
    pub(super) fn admits(self) -> Result<(), Rejection> {
        match self {
            Self::Available => Ok(()),
            Self::Empty | Self::Recovering => Err(refusal::not_ready()),
            Self::Failed => Err(refusal::retry(
                Reason::StoreUnavailable,
                "the store takes no writes: free space or repair the data directory, then try again",
                Duration::from_secs(1),
            )),
        }
    }
}

/// A stored record cannot be understood, or recovery was asked for at the wrong time.
#[derive(Debug)]
pub struct RecoverError(pub String);

impl Core {
    /// Feeds stored records: family, key, value. The first call begins with an empty engine; with `last` the engine is
    /// complete and commands are taken from then on.
    pub fn recover<'a>(
        &self,
        records: impl Iterator<Item = (u32, &'a [u8], &'a [u8])>,
        last: bool,
        now: UnixNanos,
    ) -> Result<(), RecoverError> {
        let mut state = self.lock();
        match state.phase {
            Phase::Available => return Err(RecoverError("the core is already recovered".to_owned())),
            Phase::Empty | Phase::Failed => {
                state.engine = new_engine(&self.running()).map_err(RecoverError)?;
                state.phase = Phase::Recovering;
            }
            Phase::Recovering => {}
        }
        if let Err(error) = feed(&mut state, records, last, now) {
            // Half an engine must not be continued.
            state.phase = Phase::Failed;
            return Err(error);
        }
        if last {
            state.phase = Phase::Available;
            self.tell(&mut state);
            drop(state);
            self.forget_unsealed();
            self.shared.available.send_replace(true);
        }
        Ok(())
    }

    /// The next batch for the writer, or `None` when none came within `patience`.
    pub fn next_batch(&self, most: usize, patience: Duration) -> Option<Batch> {
        let until = Instant::now().checked_add(patience);
        let mut state = self.lock();
        loop {
            if let Some(batch) = state.queue.take(most) {
                drop(state);
                self.shared.metrics.batch(batch.units);
                return Some(batch);
            }
            let timed_out = match until {
                Some(until) => self.shared.queued.wait_until(&mut state, until).timed_out(),
                None => {
                    self.shared.queued.wait(&mut state);
                    false
                }
            };
            if timed_out && state.queue.waiting() == 0 {
                return None;
            }
        }
    }

    /// The writer wrote all units up to `written`, and flushed all up to `durable`. Zero durations mean that this step did
    /// not run.
    pub fn acknowledge(&self, written: u64, durable: u64, write: Duration, flush: Duration) {
        let acknowledged = self.lock().queue.acknowledge(written, durable);
        queue::fire(acknowledged.released, Commit::Done);
        self.shared.metrics.committed(write, flush);
        self.keep_unsealed(acknowledged.written);
    }

    /// A write failed: everything unacknowledged is refused, and commands from now on, until [`Core::recover`].
    pub fn fail_store(&self, reason: &str) {
        let mut state = self.lock();
        let was = std::mem::replace(&mut state.phase, Phase::Failed);
        let waiters = state.queue.fail();
        drop(state);
        self.forget_unsealed();
        self.shared.available.send_replace(false);
        if was != Phase::Failed {
            self.shared.metrics.store_failed();
            // The writer says what failed, and a stop ends like this as well: there is only something to say about
            // commands that waited.
            let refused = waiters.len();
            if refused == 0 {
                tracing::debug!(reason, "commands are refused from now on");
            } else {
                tracing::info!(reason, refused, "commands that waited for their commit were refused");
            }
        }
        queue::fire(waiters, Commit::Lost);
    }
}

fn feed<'a>(
    state: &mut State,
    records: impl Iterator<Item = (u32, &'a [u8], &'a [u8])>,
    last: bool,
    now: UnixNanos,
) -> Result<(), RecoverError> {
    for (family, key, value) in records {
        state
            .engine
            .recover(family, key, value)
            .map_err(|error| RecoverError(error.to_string()))?;
    }
    if last {
        let recovered = state
            .engine
            .recover_end(now)
            .map_err(|error| RecoverError(error.to_string()))?;
        tracing::debug!(
            open_reservations = state.engine.open_reservations(),
            budget_instances = state.engine.budget_instances(),
            sequence = state.engine.sequence(),
            "the engine is recovered"
        );
        tracing::debug!(?recovered, "recovery");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn only_an_available_store_admits_and_the_others_say_why() {
        assert!(Phase::Available.admits().is_ok());
        assert_eq!(Phase::Empty.admits().unwrap_err().reason, Reason::NotReady);
        assert_eq!(Phase::Recovering.admits().unwrap_err().reason, Reason::NotReady);
        let failed = Phase::Failed.admits().unwrap_err();
        assert_eq!(failed.reason, Reason::StoreUnavailable);
        assert!(failed.retry_after.is_some());
    }
}
