//! Health per model: a breaker, latency, and what is learned about the size of inputs. In memory only: it is not part of
//! what must survive a crash, and a sidecar that starts anew believes in its models.
//!
//! A decision reads a [`HealthSource`] and changes nothing. [`HealthBook`] is the live one; [`RecordedHealth`] is what a
//! decision record kept, so that the same decision can be computed again.

mod breaker;
mod failures;
mod input_ratio;
mod latency;
mod recorded;

use fairlead_wire::v1::{AttemptOutcome, HealthSnapshot, Usage};

pub use breaker::BreakerSettings;
pub use recorded::RecordedHealth;

use crate::compiled::{Compiled, Model};
use crate::ids::ModelId;
use crate::units::{Tokens, UnixNanos};
use breaker::Breaker;
use input_ratio::InputRatio;
use latency::Latency;

/// What a decision reads about models.
pub trait HealthSource {
    /// Health of a model at `now`; changes nothing. `model` of the snapshot is empty: whoever keeps it names it.
    fn view(&self, model: ModelId, now: UnixNanos) -> HealthSnapshot;

    /// Upper bound in tokens of an input of so many bytes.
    fn input_bound(&self, model: ModelId, bytes: i64) -> Tokens;
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
    /// From sending to the end of the answer, nanoseconds; 0 when it was not measured.
    pub latency_nanos: i64,
    /// Bytes of the input, when the call was admitted with bytes.
    pub input_bytes: Option<i64>,
    /// What the provider reported.
    pub usage: Option<&'a Usage>,
}

/// What an attempt says about the health of its model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sign {
    Well,
    Ill,
    Nothing,
}

impl AttemptReport<'_> {
    fn sign(&self) -> Sign {
        match self.outcome {
            AttemptOutcome::Succeeded => Sign::Well,
            AttemptOutcome::ConnectFailed
            | AttemptOutcome::TimedOut
            | AttemptOutcome::Cut
            | AttemptOutcome::Garbled => Sign::Ill,
            // Any other error status is about the request: the provider is there and answers.
            AttemptOutcome::Failed => match self.status {
                0 | 408 | 429 | 500..=599 => Sign::Ill,
                _ => Sign::Well,
            },
            // The provider answered; a rule did not like what.
            AttemptOutcome::Rejected => Sign::Well,
            AttemptOutcome::Cancelled | AttemptOutcome::Unspecified => Sign::Nothing,
        }
    }
}

/// Health of one model.
#[derive(Clone, Debug)]
struct ModelHealth {
    breaker: Breaker,
    latency: Latency,
    /// Only of models whose input bound may be learned.
    input_ratio: Option<InputRatio>,
    patience_nanos: i64,
}

impl ModelHealth {
    fn new(model: &Model) -> Self {
        Self {
            breaker: Breaker::new(model.breaker),
            latency: Latency::new(),
            input_ratio: model.learned_input_bound.then(InputRatio::default),
            patience_nanos: model.patience_nanos,
        }
    }

    /// Counts an attempt; true when it opened the breaker.
    fn count(&mut self, report: &AttemptReport<'_>, now: UnixNanos) -> bool {
        if report.outcome == AttemptOutcome::Succeeded && report.latency_nanos > 0 {
            self.latency.record(now, report.latency_nanos);
        }
        match report.sign() {
            Sign::Well => self.breaker.succeeded(now),
            Sign::Ill => return self.breaker.failed(now),
            Sign::Nothing => self.breaker.abandoned(now),
        }
        false
    }

    /// The wait that a failure asks for. A wait that every route is ready to sit out does not close the model for the
    /// others.
    fn asked_to_wait(&self, report: &AttemptReport<'_>) -> Option<i64> {
        report
            .retry_after_nanos
            .filter(|nanos| *nanos > self.patience_nanos && report.sign() == Sign::Ill)
    }

    fn with_settings_of(self, model: &Model) -> Self {
        Self {
            breaker: self.breaker.with_settings(model.breaker),
            latency: self.latency,
            input_ratio: model.learned_input_bound.then(|| self.input_ratio.unwrap_or_default()),
            patience_nanos: model.patience_nanos,
        }
    }
}

/// The one call that a half-open breaker lets through, known by the time at which it is overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe(UnixNanos);

/// Health of every model of a configuration.
#[derive(Clone, Debug, Default)]
pub struct HealthBook {
    models: Vec<ModelHealth>,
}

impl HealthBook {
    /// A book in which every model is healthy.
    #[must_use]
    pub fn new(compiled: &Compiled) -> Self {
        Self {
            models: compiled.models().iter().map(ModelHealth::new).collect(),
        }
    }

    /// The book for `new`, with what is known about each model that `old` has under the same name, at the same provider and
    /// under the same upstream name.
    #[must_use]
    pub fn carried_over(self, old: &Compiled, new: &Compiled) -> Self {
        let mut known: Vec<Option<ModelHealth>> = self.models.into_iter().map(Some).collect();
        let mut carry = |model: &Model| {
            let id = old.model_id(&model.name)?;
            let before = old.model(id)?;
            let same = before.provider_name == model.provider_name && before.upstream == model.upstream;
            known.get_mut(id.index()).filter(|_| same)?.take()
        };
        let models = new.models().iter().map(|model| match carry(model) {
            Some(health) => health.with_settings_of(model),
            None => ModelHealth::new(model),
        });
        Self {
            models: models.collect(),
        }
    }

    /// Learns from an attempt that the sidecar made itself. A model of another configuration is ignored.
    pub fn report(&mut self, model: ModelId, report: &AttemptReport<'_>, now: UnixNanos) {
        let Some(health) = self.models.get_mut(model.index()) else {
            return;
        };
        health.count(report, now);
        if let Some(nanos) = health.asked_to_wait(report) {
            health.breaker.postponed(now, nanos);
        }
        if report.outcome != AttemptOutcome::Succeeded {
            return;
        }
        if let (Some(ratio), Some(bytes), Some(usage)) = (&mut health.input_ratio, report.input_bytes, report.usage)
            && !usage.estimated
        {
            let parts = [
                usage.input,
                usage.cached_input,
                usage.cache_write,
                usage.cache_write_1h,
                usage.audio_input,
                usage.image_input,
            ];
            ratio.record(bytes, parts.into_iter().fold(0i64, i64::saturating_add));
        }
    }

    /// Learns from an attempt that an agent reports. Nobody has seen it, and one agent's word must not close a model to
    /// all the others: a failure counts towards the thresholds like any other, and a wait that the provider is said to
    /// have asked for only stretches the time of a breaker that this failure opens, up to its longest. Nothing is
    /// learned about the size of inputs, which would lower what is held for everybody's calls.
    pub fn hear(&mut self, model: ModelId, report: &AttemptReport<'_>, now: UnixNanos) {
        let Some(health) = self.models.get_mut(model.index()) else {
            return;
        };
        let opened = health.count(report, now);
        if let Some(nanos) = health.asked_to_wait(report).filter(|_| opened) {
            let nanos = nanos.min(health.breaker.max_open_nanos());
            health.breaker.postponed(now, nanos);
        }
    }

    /// Takes the probe of a half-open breaker for a call that an agent is about to make. `None` when the model needs no
    /// probe. Otherwise give it back when the call has ended, in whatever way.
    pub fn take_probe(&mut self, model: ModelId, now: UnixNanos) -> Option<Probe> {
        let health = self.models.get_mut(model.index())?;
        health.breaker.take_probe(now).map(Probe)
    }

    /// The call that took a probe has ended. Nothing happens when its result was reported, or the probe is another's.
    pub fn give_probe_back(&mut self, model: ModelId, probe: Probe, now: UnixNanos) {
        if let Some(health) = self.models.get_mut(model.index()) {
            health.breaker.give_probe_back(probe.0, now);
        }
    }

    /// Asks before **one** attempt whether it may go out, and takes the probe of a half-open breaker. Ask once per attempt,
    /// where the attempt is made: before each upstream call.
    pub fn may_try(&mut self, model: ModelId, now: UnixNanos) -> bool {
        self.models
            .get_mut(model.index())
            .is_some_and(|health| health.breaker.ask(now))
    }

    /// Health of one model with its name, for snapshots and metrics.
    #[must_use]
    pub fn snapshot(&self, compiled: &Compiled, model: ModelId, now: UnixNanos) -> HealthSnapshot {
        let name = compiled
            .model(model)
            .map(|model| model.name.to_string())
            .unwrap_or_default();
        HealthSnapshot {
            model: name,
            ..self.view(model, now)
        }
    }
}

impl HealthSource for HealthBook {
    fn view(&self, model: ModelId, now: UnixNanos) -> HealthSnapshot {
        let Some(health) = self.models.get(model.index()) else {
            return HealthSnapshot::default();
        };
        let (breaker, until, share) = health.breaker.describe(now);
        let (p50_millis, p99_millis) = health.latency.quantiles(now);
        HealthSnapshot {
            model: String::new(),
            breaker: breaker.into(),
            open_until_unix_nanos: until.map_or(0, |until| until.0),
            admitted_per_mille: i32::try_from(share).unwrap_or_default(),
            p50_millis,
            p99_millis,
        }
    }

    fn input_bound(&self, model: ModelId, bytes: i64) -> Tokens {
        let ratio = self
            .models
            .get(model.index())
            .and_then(|health| health.input_ratio.as_ref());
        Tokens(ratio.map_or(bytes, |ratio| ratio.bound(bytes)))
    }
}
