//! How long a hold lasts.
//!
//! An agent has the configured time. A call that the sidecar makes keeps its hold for as long as it may run, however long
//! that is: were the hold to end before the call, its room in the budgets would be given to others while it is being used.
use std::time::Duration;

use fairlead_plan::{Compiled, millis_to_nanos};
use fairlead_wire::internal::Retry;

use crate::judge::Judgement;

/// Before the first attempt and after the last one: two commits, and an answer on its way out.
const SLACK: Duration = Duration::from_secs(30);
/// Most that is waited beyond what a provider asked for.
const SPREAD: Duration = Duration::from_millis(250);

/// From the admission to the expiry, nanoseconds. From the configuration and the plan alone, so that a decision can be
/// made again.
pub(crate) fn nanos(compiled: &Compiled, judgement: &Judgement, settled_by_sidecar: bool) -> i64 {
    let configured = millis_to_nanos(compiled.reservations().ttl_millis);
    if !settled_by_sidecar {
        return configured;
    }
    let route = judgement.decision.route.and_then(|id| compiled.route(id));
    let attempts = judgement.plan.iter().map(|one| one.planned.timeout);
    let tried = longest(attempts, route.map(|route| &route.retry));
    let bound = route
        .and_then(|route| route.timeout)
        .map_or(tried, |timeout| timeout.min(tried));
    let nanos = bound.saturating_add(SLACK).as_nanos();
    i64::try_from(nanos).unwrap_or(i64::MAX).max(configured)
}

/// When every attempt takes its whole time, and every wait as well. Without a route nothing is tried twice.
fn longest(attempts: impl Iterator<Item = Duration>, retry: Option<&Retry>) -> Duration {
    let times = retry.map_or(1, |retry| retry.attempts.max(1));
    let wait = retry.map_or(Duration::ZERO, |retry| {
        let asked = Duration::from_millis(retry.wait_for_retry_after_up_to_millis).saturating_add(SPREAD);
        asked.max(Duration::from_millis(retry.max_millis))
    });
    attempts.fold(Duration::ZERO, |sum, attempt| {
        sum.saturating_add(attempt.saturating_mul(times))
            .saturating_add(wait.saturating_mul(times - 1))
    })
}
