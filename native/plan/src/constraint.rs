//! Constraints: whether one model can take one call, and how much it may answer.
//!
//! The order is fixed, so that a candidate is dropped for the first reason of: policy, capability, translation, quality,
//! context and output maximum, residency labels, health, latency.

use std::cmp::Ordering;
use std::time::Duration;

use fairlead_wire::v1::{BreakerState, DropReason, HealthSnapshot};

use crate::compiled::{Model, Route};
use crate::decision::PlannedModel;
use crate::facts::{CallFacts, InputSize};
use crate::ids::ModelId;
use crate::policy::Constraints;
use crate::split;
use crate::units::{Tokens, UnixNanos};

/// Least output tokens a clamp may leave when neither the call nor the route says.
pub(crate) const DEFAULT_MIN_OUTPUT: Tokens = Tokens(64);

/// Bytes of text per token that the **context check** assumes. It is no safe bound, on purpose: refusing every prompt whose
/// bytes exceed the context would refuse most long prompts that fit. A prompt that does not fit after all is refused by
/// the provider; the hold is safe either way, because it never counts less than the bound and never more than the context.
const TYPICAL_BYTES_PER_TOKEN: i64 = 4;

/// What the capability of a tool that runs at the provider begins with, as `fairlead_dialect` names it.
const PROVIDER_TOOL: &str = "provider-tool.";

/// Most fields that the detail of a dropped model names.
const MOST_NAMED_FIELDS: usize = 3;

/// What the constraints of one call are.
pub(crate) struct Demands<'a, 'c> {
    pub(crate) facts: &'a CallFacts<'a>,
    pub(crate) policy: &'a Constraints<'c>,
    pub(crate) route: Option<&'c Route>,
}

/// Why a model cannot take the call.
pub(crate) type Refusal = (DropReason, String);

/// A model that can take the call.
#[derive(Clone, Debug)]
pub(crate) struct Fit {
    pub(crate) planned: PlannedModel,
    /// True when policy lowered its output.
    pub(crate) policy_clamped: bool,
    /// True when it ramps up and this call is not in its share: it is tried after the others.
    pub(crate) is_shed: bool,
    pub(crate) quality_per_mille: i32,
    /// 0 when unknown.
    pub(crate) p50_millis: i64,
}

impl Demands<'_, '_> {
    /// Least output tokens that the call insists on; what the route or the default say is a wish that gives way.
    pub(crate) fn insisted_output(&self) -> Option<Tokens> {
        let asked = self.asked_output().map_or(i64::MAX, |asked| asked.0);
        (self.facts.min_output_tokens > 0).then(|| Tokens(self.facts.min_output_tokens.min(asked)))
    }

    /// Least output tokens a clamp may leave.
    pub(crate) fn min_output(&self) -> Tokens {
        let wished = self
            .route
            .and_then(|route| route.min_output)
            .unwrap_or(DEFAULT_MIN_OUTPUT);
        self.insisted_output().unwrap_or(wished)
    }

    fn asked_output(&self) -> Option<Tokens> {
        (self.facts.max_output_tokens > 0).then_some(Tokens(self.facts.max_output_tokens))
    }

    /// Whether the model can take the call. `bound` is the upper bound of the input in its tokens.
    pub(crate) fn check(
        &self,
        id: ModelId,
        model: &Model,
        bound: Tokens,
        health: &HealthSnapshot,
        now: UnixNanos,
        split_key: &str,
    ) -> Result<Fit, Refusal> {
        if self.policy.forbidden_by(id).is_some() {
            return Err((DropReason::Policy, "not in allowedModels".to_owned()));
        }
        if let Some(missing) = self.missing_capability(model) {
            return Err((DropReason::Capability, format!("lacks `{missing}`")));
        }
        self.check_translation(model)?;
        self.check_quality(model)?;
        let (max_output, policy_clamped) = self.output(model, bound)?;
        if let Some(route) = self.route {
            let unmet = |(name, value): &(&String, &String)| model.labels.get(*name) != Some(*value);
            if let Some((name, value)) = route.require_labels.iter().find(unmet) {
                return Err((DropReason::Residency, format!("is not labelled `{name}: {value}`")));
            }
        }
        let is_shed = check_breaker(model, health, now, split_key)?;
        if let Some(longest) = self.route.and_then(|route| route.max_p99_millis)
            && u64::try_from(health.p99_millis).is_ok_and(|p99| p99 > longest)
        {
            return Err((
                DropReason::Latency,
                format!("p99 is {} ms, over maxP99 of {longest} ms", health.p99_millis),
            ));
        }
        Ok(Fit {
            planned: PlannedModel {
                model: id,
                input_bound: bound,
                max_output,
                timeout: self.timeout(model),
            },
            policy_clamped,
            is_shed,
            quality_per_mille: model.quality_per_mille,
            p50_millis: health.p50_millis,
        })
    }

    /// A model that declares nothing is not known to lack anything, as with an unknown context window. Tools that run at
    /// the provider are different: no rule sees what they do, so each has to be granted by name.
    fn missing_capability<'m>(&'m self, model: &Model) -> Option<&'m String> {
        let at_provider = |capability: &&String| capability.starts_with(PROVIDER_TOOL);
        let declares = model.capabilities.iter().any(|declared| !at_provider(&declared));
        self.facts
            .capabilities
            .iter()
            .filter(|wanted| declares || at_provider(wanted))
            .find(|wanted| model.capabilities.binary_search(wanted).is_err())
    }

    fn check_translation(&self, model: &Model) -> Result<(), Refusal> {
        let blocking = match model.dialect_for(self.facts, self.route.is_some_and(|route| route.drop_untranslatable)) {
            Ok(_) => return Ok(()),
            Err(blocking) => blocking,
        };
        let named = blocking.iter().take(MOST_NAMED_FIELDS).map(|one| one.field.as_str());
        let mut detail = named.collect::<Vec<_>>().join(", ");
        if let Some(more) = blocking.len().checked_sub(MOST_NAMED_FIELDS).filter(|more| *more > 0) {
            detail = format!("{detail} and {more} more");
        }
        Err((DropReason::Untranslatable, detail))
    }

    fn check_quality(&self, model: &Model) -> Result<(), Refusal> {
        let quality = f64::from(model.quality_per_mille) / 1000.0;
        match self.facts.min_quality {
            // Not comparable (NaN) is not met.
            Some(least) if quality.partial_cmp(&least).is_none_or(Ordering::is_lt) => {
                Err((DropReason::Quality, format!("quality {quality} is below {least}")))
            }
            _ => Ok(()),
        }
    }

    /// Most output tokens of the model for this call, and whether policy lowered it.
    ///
    /// Whether the model fits is judged by what the call asks for, not by what policy leaves of it: a policy that allows
    /// less must not make a model possible that was not.
    fn output(&self, model: &Model, bound: Tokens) -> Result<(Tokens, bool), Refusal> {
        let too_large = |detail| Err((DropReason::Context, detail));
        let input = self.likely_input(bound);
        let room = model
            .context
            .map_or(i64::MAX, |context| context.0.saturating_sub(input.0));
        let wished = self
            .asked_output()
            .unwrap_or_else(|| self.min_output().min(model.max_output));
        let needed = self
            .insisted_output()
            .map_or(wished, |least| least.max(wished))
            .0
            .max(1);
        if needed > model.max_output.0 {
            return too_large(format!(
                "answers at most {} tokens, {needed} are asked for",
                model.max_output
            ));
        }
        if needed > room {
            return too_large(format!(
                "about {input} input tokens leave {} of its context",
                room.max(0)
            ));
        }
        let unlimited = self
            .asked_output()
            .map_or(room.min(model.max_output.0), |asked| asked.0);
        let by_policy = self.policy.max_output.map_or(i64::MAX, |(limit, _)| limit.0);
        Ok((Tokens(unlimited.min(by_policy)), by_policy < unlimited))
    }

    /// Input tokens as the context check counts them.
    fn likely_input(&self, bound: Tokens) -> Tokens {
        match self.facts.input {
            InputSize::Tokens(tokens) => Tokens(tokens),
            // What is stored has fitted before; how large it is, nobody here knows.
            InputSize::Bytes(bytes) | InputSize::Stored(bytes) => bound.min(Tokens(bytes / TYPICAL_BYTES_PER_TOKEN)),
        }
    }

    fn timeout(&self, model: &Model) -> Duration {
        let whole = self.route.and_then(|route| route.timeout).unwrap_or(Duration::MAX);
        model.attempt_timeout.min(whole)
    }
}

/// Whether calls go through at all; true when this one is outside the share of a ramp.
fn check_breaker(model: &Model, health: &HealthSnapshot, now: UnixNanos, split_key: &str) -> Result<bool, Refusal> {
    let unhealthy = |detail| Err((DropReason::Unhealthy, detail));
    match health.breaker() {
        BreakerState::Open => {
            let wait = UnixNanos(health.open_until_unix_nanos).since(now).div_euclid(1_000_000) + 1;
            unhealthy(format!("breaker is open for {wait} ms"))
        }
        BreakerState::HalfOpen if health.admitted_per_mille == 0 => {
            unhealthy("breaker is half-open and its probe is out".to_owned())
        }
        BreakerState::Ramping => Ok(!split::is_in_ramp_share(
            &model.name,
            split_key,
            health.admitted_per_mille,
        )),
        BreakerState::Closed | BreakerState::HalfOpen | BreakerState::Unspecified => Ok(false),
    }
}
