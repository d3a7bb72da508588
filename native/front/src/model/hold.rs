//! The reservation of one call, until it is given back.
//!
//! | ended by | settled with |
//! |---|---|
//! | [`Hold::end`] | the attempts in the log |
//! | being dropped: the client went away, or a task was cut | the same: the log has a cancelled attempt for what was under way |
//!
//! A settlement that finds the store unavailable is tried again until it lands or the front's runtime ends; after that
//! the hold is open in the store, comes back with recovery and expires as configured.
use std::sync::Arc;
use std::time::Duration;

use fairlead_engine::{EndExtra, Reason, Rejection, StepResult};
use fairlead_upstream::AttemptLog;
use fairlead_wire::v1::{Amount, ReleaseRequest, SettleRequest};
use tokio::sync::oneshot;

use super::attempt;
use super::step::StepCall;
use crate::auth::Identity;
use crate::front::Front;
use crate::refusal;

/// First pause before a settlement is tried again; doubles up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// See the module.
pub(crate) struct Hold {
    front: Arc<Front>,
    identity: Identity,
    invocation: String,
    log: AttemptLog,
    ended: bool,
}

/// What was given to the caller.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// SHA-256 of its bytes.
    pub(super) digest: Option<[u8; 32]>,
    /// Size in bytes.
    pub(super) bytes: i64,
    /// Kept for a repetition of the request id.
    pub(super) kept: Option<Vec<u8>>,
    /// The step that ends with the call, and its result.
    pub(super) step: Option<(Vec<u8>, StepCall)>,
}

impl Hold {
    pub(super) fn new(front: &Arc<Front>, identity: &Identity, invocation: &str, log: &AttemptLog) -> Self {
        Self {
            front: Arc::clone(front),
            identity: identity.clone(),
            invocation: invocation.to_owned(),
            log: log.clone(),
            ended: false,
        }
    }

    /// Ends the hold and waits for the commit: what was charged, or why that could not be written now. Going on waiting
    /// is not needed: the settlement happens all the same.
    pub(super) async fn end(mut self, given: Given) -> Result<Amount, Rejection> {
        let (tell, told) = oneshot::channel();
        self.give_back(given, Some(tell));
        told.await.unwrap_or_else(|_cut| Err(refusal::draining()))
    }

    fn give_back(&mut self, given: Given, tell: Option<oneshot::Sender<Result<Amount, Rejection>>>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let ending = Ending {
            front: Arc::clone(&self.front),
            identity: self.identity.clone(),
            settle: SettleRequest {
                // An invocation is settled once by the front, so its id serves as the request's.
                request_id: self.invocation.clone(),
                invocation: std::mem::take(&mut self.invocation),
                attempts: attempt::attempts(&self.log.attempts()),
            },
            given,
        };
        self.front.tasks.spawn_to_the_end("settle", ending.until_it_lands(tell));
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // Outside the runtime nothing can be awaited any more; recovery and expiry take over.
        if !self.ended && tokio::runtime::Handle::try_current().is_ok() {
            self.give_back(Given::default(), None);
        }
    }
}

struct Ending {
    front: Arc<Front>,
    identity: Identity,
    settle: SettleRequest,
    given: Given,
}

impl Ending {
    async fn until_it_lands(self, mut tell: Option<oneshot::Sender<Result<Amount, Rejection>>>) {
        let mut pause = FIRST_PAUSE;
        loop {
            let outcome = self.once().await;
            let again = match &outcome {
                Ok(_) => false,
                Err(rejection) => worth_trying_again(rejection.reason),
            };
            if let Err(rejection) = &outcome {
                tracing::warn!(
                    invocation = self.settle.invocation,
                    reason = rejection.reason.as_str(),
                    again,
                    "a settlement could not be written"
                );
            }
            if let Some(tell) = tell.take() {
                // The caller may have gone.
                let _ = tell.send(outcome);
            }
            if !again {
                return;
            }
            tokio::time::sleep(pause).await;
            pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
        }
    }

    async fn once(&self) -> Result<Amount, Rejection> {
        let caller = self.identity.caller();
        if self.settle.attempts.is_empty() {
            let request = ReleaseRequest {
                request_id: self.settle.request_id.clone(),
                invocation: self.settle.invocation.clone(),
                reason: "nothing was sent to a provider".to_owned(),
            };
            let extra = EndExtra {
                by_sidecar: true,
                ..EndExtra::default()
            };
            return self
                .front
                .core
                .release(caller, &request, extra)
                .await
                .map(|_released| Amount::default());
        }
        let extra = EndExtra {
            content_digest: self.given.digest,
            content_bytes: self.given.bytes,
            answer: self.given.kept.as_deref(),
            attempts_reported: true,
            by_sidecar: true,
            step: self.given.step.as_ref().map(|(output, step)| StepResult {
                tenant: &step.tenant,
                attempt: &step.attempt,
                output,
            }),
            known: None,
        };
        let settled = self.front.core.settle(caller, &self.settle, extra).await?;
        Ok(settled.charged.unwrap_or_default())
    }
}

/// Refusals that say nothing about the hold itself.
fn worth_trying_again(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::StoreUnavailable | Reason::NotReady | Reason::QueueFull | Reason::Draining
    )
}
