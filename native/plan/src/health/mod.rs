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

    fn with_settings_of(self, model: &Model) -> Self {
        Self {
            breaker: self.breaker.with_settings(model.breaker),
            latency: self.latency,
            input_ratio: model.learned_input_bound.then(|| self.input_ratio.unwrap_or_default()),
            patience_nanos: model.patience_nanos,
        }
    }
}

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

    /// Learns from one attempt. A model of another configuration is ignored.
    pub fn report(&mut self, model: ModelId, report: &AttemptReport<'_>, now: UnixNanos) {
        let Some(health) = self.models.get_mut(model.index()) else {
            return;
        };
        match report.sign() {
            Sign::Well => health.breaker.succeeded(now),
            Sign::Ill => health.breaker.failed(now),
            Sign::Nothing => health.breaker.abandoned(now),
        }
        // A wait that every route is ready to sit out does not close the model for the others.
        let asked = report.retry_after_nanos.filter(|nanos| *nanos > health.patience_nanos);
        if let (Some(nanos), Sign::Ill) = (asked, report.sign()) {
            health.breaker.postponed(now, nanos);
        }
        if report.outcome != AttemptOutcome::Succeeded {
            return;
        }
        if report.latency_nanos > 0 {
            health.latency.record(now, report.latency_nanos);
        }
        if let (Some(ratio), Some(bytes), Some(usage)) = (&mut health.input_ratio, report.input_bytes, report.usage)
            && !usage.estimated
        {
            let parts = [usage.input, usage.cached_input, usage.cache_write];
            ratio.record(bytes, parts.into_iter().fold(0i64, i64::saturating_add));
        }
    }

    /// Asks before **one** attempt whether it may go out, and takes the probe of a half-open breaker. Ask once per attempt,
    /// where the attempt is made: at admission in decision mode, before each upstream call otherwise.
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
