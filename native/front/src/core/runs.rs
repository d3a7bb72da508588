//! Runs of workflows: started, their steps leased and ended, and what the sidecar does about runs by itself.
use std::sync::Arc;
use std::time::Duration;

use fairlead_engine::{Caller, ModelLease, Rejection};
use fairlead_wire::v1::{
    CompleteStepRequest, CompleteStepResponse, CompleteStepsRequest, CompleteStepsResponse, FailStepRequest,
    FailStepResponse, HeartbeatStepRequest, HeartbeatStepResponse, LeaseWish, Run, StartRunRequest, StepLease,
};
use tokio::sync::oneshot;

use super::Core;

/// Shortest pause between two looks at what is due.
const SHORTEST_TICK: Duration = Duration::from_millis(2);

/// A look for steps that found none, and the place in line.
enum Look {
    Found(Vec<StepLease>),
    Waits(u64, oneshot::Receiver<()>),
}

/// The place in line of a worker that waits. Dropping it leaves the line; when the worker had been told of a step already
/// it passes that on (Q1).
struct Baton<'a> {
    core: &'a Core,
    tenant: &'a Arc<str>,
    queues: &'a [String],
    number: u64,
    told: bool,
}

impl Drop for Baton<'_> {
    fn drop(&mut self) {
        let mut state = self.core.lock();
        state.workers.leave(self.number);
        if self.told {
            for queue in self.queues {
                state.workers.wake_one(self.tenant, queue);
            }
        }
    }
}

impl Core {
    /// Leases steps; waits until there is one. When the wait is over, that gives none, or its error.
    pub async fn lease_steps(
        &self,
        caller: Caller<'_>,
        wish: &LeaseWish,
        wait: impl Future<Output = Result<(), Rejection>>,
    ) -> Result<Vec<StepLease>, Rejection> {
        let tenant: Arc<str> = Arc::from(caller.tenant);
        let mut wait = std::pin::pin!(wait);
        loop {
            let (number, woken) = match self.look(caller, &tenant, wish, true).await? {
                Look::Found(leases) => return Ok(leases),
                Look::Waits(number, woken) => (number, woken),
            };
            let mut baton = Baton {
                core: self,
                tenant: &tenant,
                queues: &wish.queues,
                number,
                told: true,
            };
            let is_over = tokio::select! {
                _ = woken => false,
                over = &mut wait => over.map(|()| true)?,
            };
            // Also when the time is over: a step may have come in the same moment, and nobody else is told of it.
            let looked = self.look(caller, &tenant, wish, false).await;
            baton.told = looked.is_err();
            drop(baton);
            match looked? {
                Look::Found(leases) if !leases.is_empty() || is_over => return Ok(leases),
                Look::Found(_) | Look::Waits(..) => {}
            }
        }
    }

    /// Looks for steps and, with `line_up`, lines up when there are none: in one hold of the lock.
    async fn look(
        &self,
        caller: Caller<'_>,
        tenant: &Arc<str>,
        wish: &LeaseWish,
        line_up: bool,
    ) -> Result<Look, Rejection> {
        let (decided, line) = {
            let mut state = self.lock();
            let decided = self.decide(&mut state, None, |engine, now| engine.lease_steps(now, caller, wish))?;
            let is_empty = decided.reply.as_ref().is_ok_and(Vec::is_empty);
            let line = (line_up && is_empty).then(|| state.workers.line_up(tenant, &wish.queues));
            (decided, line)
        };
        if decided.receipt.is_some() {
            self.shared.queued.notify_one();
        }
        match line {
            Some((number, woken)) => Ok(Look::Waits(number, woken)),
            None => Ok(Look::Found(self.finish(decided).await?.reply)),
        }
    }

    /// Starts a run, or finds the one that the same request has started.
    pub async fn start_run(&self, caller: Caller<'_>, request: &StartRunRequest) -> Result<Run, Rejection> {
        self.decide_with_store(|engine, now, known| engine.start_run(now, caller, request, known))
            .await
    }

    /// Extends a lease.
    pub async fn heartbeat_step(
        &self,
        caller: Caller<'_>,
        request: &HeartbeatStepRequest,
    ) -> Result<HeartbeatStepResponse, Rejection> {
        let decided = self.enter(None, |engine, now| engine.heartbeat_step(now, caller, request))?;
        Ok(self.finish(decided).await?.reply)
    }

    /// Ends an attempt with a result.
    pub async fn complete_step(
        &self,
        caller: Caller<'_>,
        request: &CompleteStepRequest,
    ) -> Result<CompleteStepResponse, Rejection> {
        self.decide_with_store(|engine, now, _| engine.complete_step(now, caller, request))
            .await
    }

    /// Ends several attempts with results.
    pub async fn complete_steps(
        &self,
        caller: Caller<'_>,
        request: &CompleteStepsRequest,
    ) -> Result<CompleteStepsResponse, Rejection> {
        self.decide_with_store(|engine, now, _| engine.complete_steps(now, caller, request))
            .await
    }

    /// Ends an attempt without a result.
    pub async fn fail_step(
        &self,
        caller: Caller<'_>,
        request: &FailStepRequest,
    ) -> Result<FailStepResponse, Rejection> {
        let decided = self.enter(None, |engine, now| engine.fail_step(now, caller, request))?;
        Ok(self.finish(decided).await?.reply)
    }

    /// Leases model steps to the sidecar itself.
    pub async fn lease_model_steps(&self, most: usize) -> Result<Vec<ModelLease>, Rejection> {
        let decided = self.enter(None, |engine, now| engine.lease_model_steps(now, most))?;
        Ok(self.finish(decided).await?.reply)
    }

    /// Looks up the idempotency keys of steps that wait for that, one after the other, until there are none.
    pub async fn resolve_step_keys(&self) -> Result<(), Rejection> {
        loop {
            let command = self.lock().engine.next_unresolved_key();
            let Some(command) = command else { return Ok(()) };
            self.decide_with_store(|engine, now, known| engine.resolve_step_key(now, &command, known))
                .await?;
        }
    }

    /// Compares what is derived from runs with the runs, and repairs; how many repairs there were.
    pub fn reconcile(&self) -> Result<u64, Rejection> {
        let mut repaired = 0;
        loop {
            let decided = self.enter(None, fairlead_engine::Engine::reconcile)?;
            match decided.reply {
                Ok(0) | Err(_) => return Ok(repaired),
                Ok(more) => repaired += more,
            }
        }
    }

    /// Waits until something is due, at most so long.
    pub async fn wait_for_due(&self, most: Duration) {
        let patience = {
            let state = self.lock();
            let due = state.engine.next_expiry().map_or(i64::MAX, |at| at.0);
            let nanos = due.saturating_sub(self.now().0).max(0);
            most.min(Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
        };
        // What is due and cannot be ended now, because the store is away, is not tried without a pause.
        let patience = patience.max(SHORTEST_TICK);
        // Either way it is time to look.
        let _ = tokio::time::timeout(patience, self.shared.due_earlier.notified()).await;
    }

    /// Waits until keys have to be looked up, at most so long.
    pub async fn wait_for_keys(&self, most: Duration) {
        // Either way it is time to look.
        let _ = tokio::time::timeout(most, self.shared.keys_waiting.notified()).await;
    }

    /// There is room for more model steps.
    pub fn look_for_model_steps(&self) {
        self.shared.models_ready.notify_one();
    }

    /// Waits until model steps are ready, at most so long.
    pub async fn wait_for_model_steps(&self, most: Duration) {
        // Either way it is time to look.
        let _ = tokio::time::timeout(most, self.shared.models_ready.notified()).await;
    }
}
