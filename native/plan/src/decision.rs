//! The answer of [`Compiled::decide`](crate::Compiled::decide).

use std::time::Duration;

use fairlead_wire::v1::{DropReason, HealthSnapshot, Untranslatable};

use crate::ids::{ModelId, PolicyId, RouteId, TierId};
use crate::units::{Tokens, UnixNanos};

/// Whether the call may go out, as far as policy and routing are concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may; the plan is not empty.
    Allowed,
    /// A policy refuses it: `POLICY_DENIED`. The plan is empty.
    Denied {
        /// The rule that refuses; `None` when the default did.
        rule: Option<PolicyId>,
        /// Why.
        cause: DenyCause,
    },
    /// It has nowhere to go: `NO_ROUTE`, except [`NoRouteCause::Unavailable`]. The plan is empty.
    NoRoute {
        /// Why.
        cause: NoRouteCause,
    },
}

/// Why a policy refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DenyCause {
    /// A rule with effect `deny` matched.
    Rule,
    /// No rule matched and the default is `deny`.
    Default,
    /// The rule's expression failed; a rule that cannot be decided refuses.
    ExpressionFailed {
        /// The error, with its position.
        error: String,
    },
    /// Every model that the call could use is outside the rules' `allowedModels`.
    NoAllowedModel,
    /// The rules' `maxOutputTokens` is below the call's own `min_output_tokens`.
    OutputBelowMinimum,
}

impl DenyCause {
    /// The stable name for error metadata.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::Default => "default",
            Self::ExpressionFailed { .. } => "expression_failed",
            Self::NoAllowedModel => "no_allowed_model",
            Self::OutputBelowMinimum => "output_below_minimum",
        }
    }
}

/// Why a call has nowhere to go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoRouteCause {
    /// No route matches and the call names no model.
    NoMatch,
    /// No route matches and the model it names does not exist.
    UnknownModel,
    /// The `when` of a route failed; routes after it are not tried, because it may have been meant.
    ExpressionFailed {
        /// The route.
        route: RouteId,
        /// The error, with its position.
        error: String,
    },
    /// No candidate meets the constraints; `dropped` says why each did not.
    NoCandidate,
    /// Candidates are out because none of their dialects can say what the request says, and none is out for its health.
    Untranslatable {
        /// What stands in the way, without repetitions.
        fields: Vec<Untranslatable>,
    },
    /// Candidates meet the constraints but none is healthy: report `TARGETS_EXHAUSTED` and let the caller retry.
    Unavailable {
        /// When the first of them may be tried again, if that is known.
        retry_at: Option<UnixNanos>,
    },
}

impl NoRouteCause {
    /// The stable name for error metadata.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::NoMatch => "no_match",
            Self::UnknownModel => "unknown_model",
            Self::ExpressionFailed { .. } => "expression_failed",
            Self::NoCandidate => "no_candidate",
            Self::Untranslatable { .. } => "untranslatable",
            Self::Unavailable { .. } => "unavailable",
        }
    }
}

/// One model of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedModel {
    /// The model.
    pub model: ModelId,
    /// Upper bound of the input in this model's tokens.
    pub input_bound: Tokens,
    /// Most output tokens this model may be asked for, per answer: what was asked, lowered to policy, the model's own
    /// maximum and what its context leaves. An attempt uses the smaller of this and the call's (clamped) limit.
    pub max_output: Tokens,
    /// Time one attempt may take.
    pub timeout: Duration,
}

/// A candidate that is not in the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DroppedCandidate {
    /// The model.
    pub model: ModelId,
    /// Why.
    pub reason: DropReason,
    /// The detail for people.
    pub detail: String,
}

/// What policy and routing say about a call.
#[derive(Clone, Debug, PartialEq)]
pub struct PlanDecision {
    /// May it go out?
    pub verdict: Verdict,
    /// The route that matched; `None` when the call named a model directly, or none matched.
    pub route: Option<RouteId>,
    /// Name of the model that the session or run was pinned to on this route; empty when to none.
    pub pinned: String,
    /// Policy rules that matched, in configuration order.
    pub rules: Vec<PolicyId>,
    /// The rule that decided; `None` when a default did.
    pub deciding_rule: Option<PolicyId>,
    /// The rule that lets people decide, and its tier: the verdict holds once they have agreed. `None` when none does.
    pub approval: Option<(PolicyId, TierId)>,
    /// One sentence for people.
    pub reason: String,
    /// Models in the order to try them; not empty exactly when the verdict is [`Verdict::Allowed`].
    pub plan: Vec<PlannedModel>,
    /// Candidates that are not in the plan, in the order they were considered.
    pub dropped: Vec<DroppedCandidate>,
    /// Most output tokens per answer, before budgets clamp it: the `max_output` of the first model; 0 without a plan.
    pub max_output_tokens: i64,
    /// True when a policy lowered `max_output_tokens`.
    pub policy_clamped: bool,
    /// Least output tokens a clamp may leave; never more than `max_output_tokens`.
    pub min_output_tokens: i64,
    /// Health that the decision used: of every considered model that is not simply healthy, and of all when latency
    /// decided. Enough to decide the same again with [`RecordedHealth`](crate::RecordedHealth).
    pub health: Vec<HealthSnapshot>,
    /// Upper bound of the input for every model that was considered, in the order of consideration.
    pub estimates: Vec<(ModelId, Tokens)>,
}
