//! Admit, settle, release: decide under the lock, wait for the commit outside.
use std::time::{Duration, Instant as StdInstant};

use fairlead_engine::{AdmitExtra, Applied, Caller, EndExtra, Engine, Reason, Refusal, Rejection};
use fairlead_plan::{AttemptReport, UnixNanos};
use fairlead_wire::internal::{Known, NeedsRecord};
use fairlead_wire::v1::{AdmitRequest, AdmitResponse, ReleaseRequest, ReleaseResponse, SettleRequest, SettleResponse};
use tokio::sync::MutexGuard;

use super::queue::{Commit, Receipt};
use super::waiting::Patience;
use super::{Core, Decided, lost, rejected};
use crate::metrics::Stage;
use crate::refusal;

/// A granted admission.
#[derive(Debug, Clone)]
pub struct Admitted {
    /// The answer.
    pub response: AdmitResponse,
    /// There when this is the first answer to a repeated request id: what the store had. Make no upstream call.
    pub replay: Option<Known>,
}

/// What the store has, and the turn in which it may be relied on: until the guard is dropped no other command that
/// depends on the store is applied.
pub(super) struct LookedUp<'a> {
    pub(super) known: Known,
    pub(super) turn: MutexGuard<'a, ()>,
}

impl Core {
    /// Asks for permission. Waits for rate limits where they allow it, as long as the caller's patience
    /// lasts, and for the commit.
    ///
    /// Dropping the future leaves nothing half done: before the decision nothing happened; after it the hold is committed
    /// and stays until it is settled, released, or expires.
    pub async fn admit(
        &self,
        caller: Caller<'_>,
        request: &AdmitRequest,
        extra: AdmitExtra<'_>,
        patience: impl Into<Patience<'_>>,
    ) -> Result<Admitted, Rejection> {
        let outcome = match self.arrive(caller, request, extra, patience.into()).await {
            Ok(decided) => self.finish(decided).await,
            Err(rejection) => Err(rejection),
        };
        match outcome {
            Ok(Finished { reply, replayed, known }) => {
                self.shared.metrics.admitted();
                Ok(Admitted {
                    response: reply,
                    replay: replayed.then(|| known.unwrap_or_default()),
                })
            }
            Err(rejection) => {
                self.shared.metrics.rejected(rejection.reason.as_str());
                Err(rejection)
            }
        }
    }

    /// Charges what was used and gives the rest back.
    pub async fn settle(
        &self,
        caller: Caller<'_>,
        request: &SettleRequest,
        extra: EndExtra<'_>,
    ) -> Result<SettleResponse, Rejection> {
        self.end(caller, |engine, now, known| {
            engine.settle(now, caller, request, EndExtra { known, ..extra })
        })
        .await
    }

    /// Gives everything back.
    pub async fn release(
        &self,
        caller: Caller<'_>,
        request: &ReleaseRequest,
        extra: EndExtra<'_>,
    ) -> Result<ReleaseResponse, Rejection> {
        self.end(caller, |engine, now, known| {
            engine.release(now, caller, request, EndExtra { known, ..extra })
        })
        .await
    }

    /// Asks before one attempt at a provider whether it may go out; takes the probe of a half-open breaker.
    pub fn may_try(&self, model: &str) -> bool {
        let mut state = self.lock();
        let now = self.now();
        state.engine.may_try(now, model)
    }

    /// Feeds health with one attempt. Not durable.
    pub fn report_attempt(&self, model: &str, report: &AttemptReport<'_>) {
        self.shared.metrics.attempt(model, report.outcome);
        let mut state = self.lock();
        let now = self.now();
        state.engine.report_attempt(now, model, report);
    }

    async fn end<T>(
        &self,
        caller: Caller<'_>,
        apply: impl Fn(&mut Engine, UnixNanos, Option<&Known>) -> Applied<T>,
    ) -> Result<T, Rejection> {
        let mut decided = self.enter(None, |engine, now| apply(engine, now, None))?;
        if let Err(Refusal::NeedsRecord(needs)) = &decided.reply {
            let looked_up = self.look_up(self.turn().await, needs).await?;
            decided = self.enter(None, |engine, now| apply(engine, now, Some(&looked_up.known)))?;
        }
        // The rate limits it occupied are free from the decision on, not from the commit on.
        self.lock().waits.released(caller.tenant);
        Ok(self.finish(decided).await?.reply)
    }

    /// Waits for the turn in which the store may be relied on: no other command that depends on it is applied meanwhile.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.shared.slow.lock().await
    }

    /// Reads what a command depends on: in turn, after everything before it is committed.
    pub(super) async fn look_up<'a>(
        &'a self,
        turn: MutexGuard<'a, ()>,
        needs: &NeedsRecord,
    ) -> Result<LookedUp<'a>, Rejection> {
        let barrier = self.lock().queue.barrier();
        for receipt in barrier {
            committed(receipt).await?;
        }
        let Some(reader) = self.shared.reader.load_full() else {
            return Err(refusal::retry(
                Reason::NotReady,
                "the control services are not connected yet",
                Duration::from_millis(100),
            ));
        };
        Ok(LookedUp {
            known: reader.read(needs).await?,
            turn,
        })
    }

    /// Waits for the commit, then gives the reply (C2).
    pub(super) async fn finish<T>(&self, decided: Decided<T>) -> Result<Finished<T>, Rejection> {
        if let Some(receipt) = decided.receipt {
            let started = StdInstant::now();
            committed(receipt).await?;
            self.shared.metrics.stage(Stage::Commit, started.elapsed());
        }
        let reply = decided.reply.map_err(rejected)?;
        Ok(Finished {
            reply,
            replayed: decided.replayed,
            known: decided.known,
        })
    }
}

/// A committed answer.
pub(super) struct Finished<T> {
    pub(super) reply: T,
    replayed: bool,
    known: Option<Known>,
}

pub(super) async fn committed(receipt: Receipt) -> Result<(), Rejection> {
    match receipt.await {
        Ok(Commit::Done) => Ok(()),
        Ok(Commit::Lost) | Err(_) => Err(lost()),
    }
}
