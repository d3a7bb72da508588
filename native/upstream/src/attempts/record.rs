//! What is remembered of each attempt, whatever becomes of the call.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use fairlead_dialect::Usage;
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::screening::Finding;

/// What happened to one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The provider answered completely.
    Succeeded,
    /// The provider answered with an error.
    Failed,
    /// No connection could be made; nothing was sent.
    ConnectFailed,
    /// A deadline passed.
    TimedOut,
    /// The answer, or the connection before it, broke off.
    Cut,
    /// The caller went away.
    Cancelled,
    /// The answer could not be understood.
    Garbled,
    /// The screening refused the answer.
    Rejected,
}

/// One attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Name of the model.
    pub model: String,
    /// What happened.
    pub outcome: Outcome,
    /// HTTP status of the provider; 0 when there was none.
    pub status: u16,
    /// How long the provider asked to wait.
    pub retry_after: Option<Duration>,
    /// From the end of the attempt before, or the beginning of the log, to sending.
    pub delay: Duration,
    /// From sending to the head of the answer; `None` when there was none.
    pub first_byte: Option<Duration>,
    /// From sending to the end of the answer.
    pub latency: Duration,
    /// Tokens, when they are known or content was produced; `None` leaves it to the provider's billing rule.
    pub usage: Option<Usage>,
    /// Why it ended, for people; no secret, no content.
    pub detail: String,
    /// What the screening found.
    pub findings: Vec<Finding>,
    /// Paths of the fields that the target's dialect has no place for and that were left out.
    pub dropped_fields: Vec<String>,
}

/// Keeps the health of models.
pub trait HealthSink: Send + Sync {
    /// May the model be tried now? A `true` may take the single probe of a half-open breaker, so an attempt follows.
    fn may_try(&self, model: &str) -> bool;
    /// An attempt has ended.
    fn report(&self, attempt: &Attempt);
}

/// The attempts of one call, in the order in which they ended. Clones share the list: the caller keeps one and reads
/// it when the call is over, also when it dropped the call.
#[derive(Clone, Debug)]
pub struct AttemptLog(Arc<Mutex<Ended>>);

#[derive(Debug)]
struct Ended {
    attempts: Vec<Attempt>,
    /// When the last one ended; before that, when the log began.
    since: Instant,
}

impl Default for AttemptLog {
    fn default() -> Self {
        let since = Instant::now();
        Self(Arc::new(Mutex::new(Ended {
            attempts: Vec::new(),
            since,
        })))
    }
}

impl AttemptLog {
    /// An empty log, which begins now: the first attempt's delay counts from here.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The attempts so far.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.0.lock().attempts.clone()
    }

    /// Number of attempts that have ended.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.lock().attempts.len()
    }

    /// True when no attempt has ended yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.lock().attempts.is_empty()
    }
}

/// An attempt under way. It ends by [`OpenAttempt::end`]; dropped before, it ends as cancelled, with the usage that
/// was known then.
pub(crate) struct OpenAttempt {
    log: AttemptLog,
    health: Arc<dyn HealthSink>,
    started: Instant,
    /// Taken when the attempt ends.
    open: Option<Attempt>,
}

impl fmt::Debug for OpenAttempt {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OpenAttempt")
            .field("open", &self.open)
            .finish_non_exhaustive()
    }
}

impl OpenAttempt {
    pub(crate) fn begin(
        model: &str,
        dropped_fields: &[String],
        log: &AttemptLog,
        health: &Arc<dyn HealthSink>,
    ) -> Self {
        let started = Instant::now();
        let open = Attempt {
            model: model.to_owned(),
            outcome: Outcome::Cancelled,
            status: 0,
            retry_after: None,
            delay: started.saturating_duration_since(log.0.lock().since),
            first_byte: None,
            latency: Duration::ZERO,
            usage: None,
            detail: "the caller went away".to_owned(),
            findings: Vec::new(),
            dropped_fields: dropped_fields.to_vec(),
        };
        Self {
            log: log.clone(),
            health: Arc::clone(health),
            started,
            open: Some(open),
        }
    }

    pub(crate) fn started(&self) -> Instant {
        self.started
    }

    /// The head of the answer has come.
    pub(crate) fn set_status(&mut self, status: u16) {
        if let Some(open) = &mut self.open {
            open.status = status;
            open.first_byte = Some(self.started.elapsed());
        }
    }

    pub(crate) fn set_usage(&mut self, usage: Usage) {
        if let Some(open) = &mut self.open {
            open.usage = Some(usage);
        }
    }

    /// The screening found something. What it found before is kept: a stream is screened piece by piece.
    pub(crate) fn add_findings(&mut self, findings: Vec<Finding>) {
        if let Some(open) = &mut self.open {
            crate::screening::add(&mut open.findings, findings);
        }
    }

    /// Ends the attempt. `usage` replaces what was set before when it is there.
    pub(crate) fn end(mut self, outcome: Outcome, detail: String, retry_after: Option<Duration>, usage: Option<Usage>) {
        if let Some(open) = &mut self.open {
            open.outcome = outcome;
            open.detail = detail;
            open.retry_after = retry_after;
            open.usage = usage.or(open.usage);
        }
        self.record();
    }

    fn record(&mut self) {
        let Some(mut attempt) = self.open.take() else { return };
        let now = Instant::now();
        attempt.latency = now.saturating_duration_since(self.started);
        self.health.report(&attempt);
        let mut ended = self.log.0.lock();
        ended.since = now;
        ended.attempts.push(attempt);
    }
}

impl Drop for OpenAttempt {
    fn drop(&mut self) {
        self.record();
    }
}
