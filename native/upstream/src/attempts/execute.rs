//! The loop over targets and retries.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::failure::Failure;
use super::once::{Success, attempt};
use super::policy::{Jitter, RetryPolicy};
use super::record::{AttemptLog, HealthSink, OpenAttempt};
use super::wire::turn_with;
use super::{Answer, Call, Exhausted, MOST_ATTEMPTS, Target};
use crate::client::{Provider, Upstream};
use fairlead_dialect::Turn;

impl Upstream {
    /// Makes the call. Every attempt is added to `log` and reported to `health`, also when the returned future or
    /// stream is dropped, which cancels the call at the provider.
    pub async fn execute(
        &self,
        call: &Call,
        health: &Arc<dyn HealthSink>,
        jitter: &dyn Jitter,
        log: &AttemptLog,
    ) -> Answer {
        let overall = call.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut exhausted = Exhausted::default();
        let mut asked = Asked::default();
        for target in &call.targets {
            if log.len() >= MOST_ATTEMPTS {
                break;
            }
            let Some(provider) = self.provider(&target.provider) else {
                exhausted.skipped.push(target.model.clone());
                continue;
            };
            let turn = match turn_with(call, target, provider.settings()) {
                Ok(turn) => turn,
                Err(field) => {
                    exhausted.untranslatable.push((target.model.clone(), field));
                    continue;
                }
            };
            // Last: it may take the probe of a half-open breaker.
            if !health.may_try(&target.model) {
                exhausted.skipped.push(target.model.clone());
                continue;
            }
            let destination = Destination {
                call,
                target,
                provider,
                turn,
            };
            match at_target(&destination, overall, health, jitter, log).await {
                Ok(Success::Whole(whole)) => return Answer::Whole(whole),
                Ok(Success::Stream(stream)) => return Answer::Stream(stream),
                Err(FailureEnd { failure, deadline }) => {
                    asked.add(failure.retry_after);
                    if deadline {
                        exhausted.deadline = true;
                        break;
                    }
                    if call.fallback.contains(failure.kind) {
                        continue;
                    }
                    if let Some(answer) = failure.answer {
                        return Answer::Refused(*answer);
                    }
                    break;
                }
            }
        }
        exhausted.retry_after = asked.shortest();
        Answer::Exhausted(exhausted)
    }
}

/// One target, and how it is spoken to.
pub(super) struct Destination<'a> {
    pub(super) call: &'a Call,
    pub(super) target: &'a Target,
    pub(super) provider: &'a Arc<Provider>,
    pub(super) turn: Turn,
}

/// The last failure at a target.
struct FailureEnd {
    failure: Failure,
    /// The call's own deadline has passed.
    deadline: bool,
}

/// All attempts at one target, the first of which health has allowed.
async fn at_target(
    destination: &Destination<'_>,
    overall: Option<Instant>,
    health: &Arc<dyn HealthSink>,
    jitter: &dyn Jitter,
    log: &AttemptLog,
) -> Result<Success, FailureEnd> {
    let Destination { call, target, turn, .. } = destination;
    let room = u32::try_from(MOST_ATTEMPTS.saturating_sub(log.len())).unwrap_or(1);
    let attempts = call.retry.attempts.clamp(1, room.max(1));
    let mut tried: u32 = 0;
    loop {
        tried = tried.saturating_add(1);
        let open = OpenAttempt::begin(&target.model, &turn.dropped_fields, log, health);
        let failure = match attempt(destination, overall, open).await {
            Ok(success) => return Ok(success),
            Err(failure) => failure,
        };
        if overall.is_some_and(|overall| Instant::now() >= overall) {
            return Err(FailureEnd {
                failure,
                deadline: true,
            });
        }
        let Some(wait) = wait_before_retry(&call.retry, &failure, tried, attempts, jitter) else {
            return Err(FailureEnd {
                failure,
                deadline: false,
            });
        };
        let ready = Instant::now().checked_add(wait);
        if overall.is_some_and(|overall| ready.is_none_or(|ready| ready >= overall)) {
            // Waiting would use up the call's time; another target may still answer within it.
            return Err(FailureEnd {
                failure,
                deadline: false,
            });
        }
        tokio::time::sleep(wait).await;
        // A provider that asked to come back at this time is taken at its word. Else the failures so far, of this
        // call and of others, may have opened the breaker.
        if failure.retry_after.is_none() && !health.may_try(&target.model) {
            return Err(FailureEnd {
                failure,
                deadline: false,
            });
        }
    }
}

/// How long to wait before the same target is tried again; `None`: not at all.
fn wait_before_retry(
    policy: &RetryPolicy,
    failure: &Failure,
    tried: u32,
    attempts: u32,
    jitter: &dyn Jitter,
) -> Option<Duration> {
    if tried >= attempts || !failure.kind.retryable() {
        return None;
    }
    match failure.retry_after {
        Some(asked) if asked > policy.wait_for_retry_after_up_to => None,
        Some(asked) => Some(RetryPolicy::after_asked(asked, jitter)),
        None => Some(policy.backoff(tried, jitter)),
    }
}

/// The waits that the targets' last failures asked for.
#[derive(Default)]
struct Asked {
    waits: Vec<Duration>,
    without: bool,
}

impl Asked {
    fn add(&mut self, wait: Option<Duration>) {
        match wait {
            Some(wait) => self.waits.push(wait),
            None => self.without = true,
        }
    }

    fn shortest(self) -> Option<Duration> {
        self.waits.into_iter().min().filter(|_| !self.without)
    }
}
