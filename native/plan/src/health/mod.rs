//! Health per model: a breaker, latency, and what is learned about the size of inputs. In memory only.

use fairlead_wire::v1::{AttemptOutcome, HealthSnapshot, Usage};

use crate::compiled::Compiled;
use crate::ids::ModelId;
use crate::units::{Tokens, UnixNanos};

/// Settings of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BreakerSettings {
    /// Failures in a row that open it.
    pub consecutive_failures: u32,
    /// Failure rate in per mille over the window that opens it.
    pub failure_rate_per_mille: u32,
    /// Least calls in the window before the rate counts.
    pub minimum_calls: u32,
    /// Window of the failure rate, nanoseconds.
    pub window_nanos: i64,
    /// How long it stays open the first time, nanoseconds.
    pub open_nanos: i64,
    /// Longest it stays open, nanoseconds.
    pub max_open_nanos: i64,
    /// Time over which the admitted share ramps from 10 % to 100 %, nanoseconds.
    pub ramp_nanos: i64,
}

/// What happened to one attempt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AttemptReport<'a> {
    /// Outcome.
    pub outcome: AttemptOutcome,
    /// HTTP status, 0 when there was none.
    pub status: i32,
    /// How long the provider asked to wait, nanoseconds.
    pub retry_after_nanos: Option<i64>,
    /// From sending to the end of the answer, nanoseconds; 0 when not known.
    pub latency_nanos: i64,
    /// Bytes of the input, when it was given in bytes.
    pub input_bytes: Option<i64>,
    /// What the provider reported.
    pub usage: Option<&'a Usage>,
}

/// What a decision reads about models: a live [`HealthBook`], or a [`RecordedHealth`].
pub trait HealthSource {
    /// Health of a model at `now`; changes nothing. `model` in the snapshot is empty: whoever records it names it.
    fn view(&self, model: ModelId, now: UnixNanos) -> HealthSnapshot;
    /// Upper bound in tokens of an input of so many bytes.
    fn input_bound(&self, model: ModelId, bytes: i64) -> Tokens;
}

/// Health of every model of a configuration.
#[derive(Debug, Default)]
pub struct HealthBook {}

impl HealthBook {
    /// A book in which every model is healthy.
    #[must_use]
    pub fn new(_compiled: &Compiled) -> Self {
        Self {}
    }

    /// The book for `new` with what is known about models of the same name in `old`.
    #[must_use]
    pub fn carried_over(self, _old: &Compiled, _new: &Compiled) -> Self {
        self
    }

    /// Learns from one attempt.
    pub fn report(&mut self, _model: ModelId, _report: &AttemptReport<'_>, _now: UnixNanos) {}

    /// Asks before **one** attempt whether it may go out; takes the probe of a half-open breaker.
    pub fn may_try(&mut self, _model: ModelId, _now: UnixNanos) -> bool {
        true
    }

    /// Health of one model with its name, for snapshots and metrics.
    #[must_use]
    pub fn snapshot(&self, _compiled: &Compiled, _model: ModelId, _now: UnixNanos) -> HealthSnapshot {
        HealthSnapshot::default()
    }
}

impl HealthSource for HealthBook {
    fn view(&self, _model: ModelId, _now: UnixNanos) -> HealthSnapshot {
        HealthSnapshot::default()
    }

    fn input_bound(&self, _model: ModelId, bytes: i64) -> Tokens {
        Tokens(bytes)
    }
}

/// Health as a decision record kept it: decides the same again.
#[derive(Debug, Default)]
pub struct RecordedHealth {}

impl RecordedHealth {
    /// From `health` and `estimates` of the record's inputs. Models that are not named were healthy.
    #[must_use]
    pub fn new(
        _compiled: &Compiled,
        _health: &[HealthSnapshot],
        _estimates: &[fairlead_wire::v1::InputEstimate],
    ) -> Self {
        Self {}
    }
}

impl HealthSource for RecordedHealth {
    fn view(&self, _model: ModelId, _now: UnixNanos) -> HealthSnapshot {
        HealthSnapshot::default()
    }

    fn input_bound(&self, _model: ModelId, bytes: i64) -> Tokens {
        Tokens(bytes)
    }
}
