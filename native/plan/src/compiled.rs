//! A compiled configuration: immutable, references resolved to positions, expressions checked, literals indexed.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use fairlead_expr::Program;
use fairlead_wire::internal;

use crate::health::BreakerSettings;
use crate::ids::{BudgetId, ModelId, PolicyId, ProviderId, RateLimitId, RouteId, TierId};
use crate::index::Index;
use crate::matching::{Matcher, Pattern};
use crate::money::Price;
use crate::output::OutputRule;
use crate::rate::RateRule;
use crate::scope::{Dimension, Scope};
use crate::tool::Tools;
use crate::units::{NanoUsd, Tokens};

/// One thing that is wrong with a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Where, in YAML spelling, such as `routes[2].targets[0].weight`.
    pub path: String,
    /// What, and what to do about it.
    pub message: String,
}

/// Everything that decisions need to know of a configuration. Made by [`Compiled::compile`]; share it in an `Arc`.
#[derive(Debug)]
pub struct Compiled {
    pub(crate) version: String,
    pub(crate) agents: BTreeMap<String, BTreeMap<String, Agent>>,
    pub(crate) providers: Vec<internal::Provider>,
    pub(crate) models: Vec<Model>,
    pub(crate) model_ids: HashMap<Arc<str>, ModelId>,
    pub(crate) routes: Vec<Route>,
    pub(crate) route_index: Index,
    pub(crate) budgets: Vec<Budget>,
    pub(crate) budget_index: Index,
    pub(crate) rate_limits: Vec<RateLimit>,
    pub(crate) rate_index: Index,
    pub(crate) policies: Vec<PolicyRule>,
    pub(crate) policy_index: Index,
    pub(crate) tools: Tools,
    pub(crate) outputs: Vec<OutputRule>,
    pub(crate) output_index: Index,
    pub(crate) allow_by_default: bool,
    pub(crate) limits: internal::Limits,
    pub(crate) reservations: internal::Reservations,
    pub(crate) durability: BTreeMap<String, Durability>,
    pub(crate) audit_content: String,
}

/// An agent of a tenant.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Agent {
    /// Labels that win over those of a call.
    pub labels: BTreeMap<String, String>,
    /// Queues of workflow steps that it may lease; empty: all.
    pub(crate) queues: Vec<Pattern>,
}

/// When a change is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Written: survives `kill -9`.
    #[default]
    Process,
    /// Flushed: survives loss of power.
    Power,
}

/// A physical model.
#[derive(Clone, Debug)]
pub struct Model {
    /// Name.
    pub name: Arc<str>,
    /// Who serves it.
    pub provider: ProviderId,
    /// Name of who serves it.
    pub provider_name: Arc<str>,
    /// Name at the provider.
    pub upstream: Arc<str>,
    /// Names of the dialects that its provider speaks, the preferred one first.
    pub dialects: Vec<&'static str>,
    /// Prices.
    pub price: Price,
    /// Context window; `None` is not checked.
    pub context: Option<Tokens>,
    /// Most output tokens of one answer.
    pub max_output: Tokens,
    /// What it can do, sorted.
    pub capabilities: Vec<String>,
    /// Quality in per mille.
    pub quality_per_mille: i32,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// True when the input bound may be scaled by the learned ratio.
    pub learned_input_bound: bool,
    /// True when a failed attempt that reached the provider is billed its input.
    pub failed_attempts_cost_input: bool,
    /// Time one attempt may take.
    pub attempt_timeout: Duration,
    /// Breaker of its provider.
    pub breaker: BreakerSettings,
    /// A `Retry-After` longer than this closes the model for that long: the longest that any route which can plan the
    /// model waits for. Nanoseconds.
    pub patience_nanos: i64,
}

/// A route.
#[derive(Debug)]
pub struct Route {
    /// Name.
    pub name: Arc<str>,
    /// Literal conditions.
    pub(crate) matcher: Matcher,
    /// Condition.
    pub(crate) when: Option<Program>,
    /// How the first model is found.
    pub choice: Choice,
    /// What stays together in a weighted draw; `None` draws every request.
    pub sticky_by: Option<Sticky>,
    /// Models to try after the first, in order.
    pub chain: Vec<ModelId>,
    /// What falls back, as configured.
    pub fallback_on: Vec<String>,
    /// Retries at the same target.
    pub retry: internal::Retry,
    /// Longest p99 latency of a model, milliseconds.
    pub max_p99_millis: Option<u64>,
    /// Least output tokens a clamp may leave.
    pub min_output: Option<Tokens>,
    /// Labels every model of the plan must have.
    pub require_labels: BTreeMap<String, String>,
    /// Longest the whole invocation may take.
    pub timeout: Option<Duration>,
    /// True: what a target's dialect has no place for is left out, unless the request means something else without it.
    pub drop_untranslatable: bool,
    /// How long an answer may be given again from the response cache; `None` is not at all.
    pub cache_ttl: Option<Duration>,
}

/// How a route finds the first model of the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// By weight.
    Weighted(Vec<Target>),
    /// Lowest worst-case price.
    Cheapest(Vec<ModelId>),
    /// Lowest p50 latency.
    Fastest(Vec<ModelId>),
    /// Highest quality.
    Best(Vec<ModelId>),
}

/// A weighted target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Model.
    pub model: ModelId,
    /// Weight.
    pub weight: NonZeroU32,
}

/// What a weighted draw keeps together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sticky {
    /// Calls of a session.
    Session,
    /// Calls of a run.
    Run,
    /// Calls of an agent.
    Agent,
    /// Calls of a tenant.
    Tenant,
}

impl Sticky {
    /// True when calls that belong together keep the model that answered last, so that its prompt cache stays warm.
    #[must_use]
    pub fn pins(self) -> bool {
        matches!(self, Self::Session | Self::Run)
    }
}

/// A budget.
#[derive(Debug)]
pub struct Budget {
    /// Name.
    pub name: Arc<str>,
    /// Literal conditions.
    pub(crate) matcher: Matcher,
    /// Dimensions of an instance.
    pub scope: Scope,
    /// Limit in money.
    pub limit_nano_usd: Option<NanoUsd>,
    /// Limit in tokens.
    pub limit_tokens: Option<Tokens>,
    /// Limit in requests.
    pub limit_requests: Option<i64>,
    /// Window.
    pub window: Window,
    /// What happens at the limit.
    pub on_exceed: OnExceed,
    /// Percentages that raise an alert once per window, ascending.
    pub alert_at: Vec<u32>,
    /// False: cached input does not count towards the token limit.
    pub count_cached: bool,
}

/// Window of a budget. All are UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Never resets.
    Lifetime,
    /// Hour.
    Hour,
    /// Day.
    Day,
    /// Week, from Monday.
    Week,
    /// Month.
    Month,
    /// The last so many nanoseconds.
    Rolling {
        /// Length in nanoseconds.
        nanos: i64,
    },
}

/// What happens at a budget's limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnExceed {
    /// Refuse.
    Deny,
    /// Decide again with this model: [`Compiled::downgrade`].
    Downgrade(ModelId),
    /// Let through and record.
    Alert,
    /// Let through, once, what the people of this tier have agreed to.
    RequireApproval(TierId),
}

impl Budget {
    /// What the definition of a workflow allows each of its runs, for ever; a unit that is 0 is not limited.
    #[must_use]
    pub fn of_run(name: &str, limit: fairlead_wire::v1::Amount) -> Self {
        let some = |value: i64| (value > 0).then_some(value);
        Self {
            name: Arc::from(name),
            matcher: Matcher::default(),
            scope: Scope::new(vec![Dimension::Run]),
            limit_nano_usd: some(limit.nano_usd).map(NanoUsd),
            limit_tokens: some(limit.tokens).map(Tokens),
            limit_requests: some(limit.requests),
            window: Window::Lifetime,
            on_exceed: OnExceed::Deny,
            alert_at: Vec::new(),
            count_cached: true,
        }
    }
}

/// A rate limit.
#[derive(Debug)]
pub struct RateLimit {
    /// Name.
    pub name: Arc<str>,
    /// Literal conditions.
    pub(crate) matcher: Matcher,
    /// Dimensions of an instance.
    pub scope: Scope,
    /// The limiters.
    pub rule: RateRule,
    /// Longest a call may wait, nanoseconds; 0 refuses at once.
    pub max_wait_nanos: i64,
}

/// A policy rule on `model.call`.
#[derive(Debug)]
pub struct PolicyRule {
    /// Name.
    pub name: Arc<str>,
    /// Literal conditions.
    pub(crate) matcher: Matcher,
    /// Condition.
    pub(crate) when: Option<Program>,
    /// Effect.
    pub effect: RuleEffect,
}

/// Effect of a policy rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleEffect {
    /// Let through.
    Allow,
    /// Refuse.
    Deny {
        /// True: named as the deciding rule before any other denial.
        invariant: bool,
    },
    /// Let through with less.
    Constrain {
        /// Most output tokens.
        max_output: Option<Tokens>,
        /// The only models that may be used, sorted.
        allowed_models: Option<Vec<ModelId>>,
    },
    /// Let through once the people of this tier have agreed.
    RequireApproval(TierId),
}

impl Compiled {
    /// SHA-256 (hex) of the canonical configuration.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The agent of a tenant, if both exist.
    #[must_use]
    pub fn agent(&self, tenant: &str, agent: &str) -> Option<&Agent> {
        self.agents.get(tenant)?.get(agent)
    }

    /// True when an agent may lease steps of a queue.
    #[must_use]
    pub fn may_lease(&self, tenant: &str, agent: &str, queue: &str) -> bool {
        self.agent(tenant, agent)
            .is_some_and(|agent| agent.queues.is_empty() || agent.queues.iter().any(|pattern| pattern.fits(queue)))
    }

    /// All tenants with their agents, sorted by name.
    pub fn tenants(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, Agent>)> {
        self.agents.iter().map(|(name, agents)| (name.as_str(), agents))
    }

    /// Lays the labels of the agent over those of the call.
    pub fn merge_labels(&self, tenant: &str, agent: &str, labels: &mut BTreeMap<String, String>) {
        if let Some(agent) = self.agent(tenant, agent) {
            labels.extend(agent.labels.iter().map(|(name, value)| (name.clone(), value.clone())));
        }
    }

    /// All providers, in configuration order, as configured.
    #[must_use]
    pub fn providers(&self) -> &[internal::Provider] {
        &self.providers
    }

    /// One provider.
    #[must_use]
    pub fn provider(&self, id: ProviderId) -> Option<&internal::Provider> {
        self.providers.get(id.index())
    }

    /// All models, in configuration order: position `i` has the id `ModelId(i)`.
    #[must_use]
    pub fn models(&self) -> &[Model] {
        &self.models
    }

    /// One model.
    #[must_use]
    pub fn model(&self, id: ModelId) -> Option<&Model> {
        self.models.get(id.index())
    }

    /// The model of a name.
    #[must_use]
    pub fn model_id(&self, name: &str) -> Option<ModelId> {
        self.model_ids.get(name).copied()
    }

    /// All routes, in configuration order.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// One route.
    #[must_use]
    pub fn route(&self, id: RouteId) -> Option<&Route> {
        self.routes.get(id.index())
    }

    /// All budgets, in configuration order.
    #[must_use]
    pub fn budgets(&self) -> &[Budget] {
        &self.budgets
    }

    /// One budget.
    #[must_use]
    pub fn budget(&self, id: BudgetId) -> Option<&Budget> {
        self.budgets.get(id.index())
    }

    /// The budget of a name. Linear: for administration and recovery.
    #[must_use]
    pub fn budget_id(&self, name: &str) -> Option<BudgetId> {
        self.budgets
            .iter()
            .position(|budget| &*budget.name == name)
            .map(BudgetId::at)
    }

    /// All rate limits, in configuration order.
    #[must_use]
    pub fn rate_limits(&self) -> &[RateLimit] {
        &self.rate_limits
    }

    /// One rate limit.
    #[must_use]
    pub fn rate_limit(&self, id: RateLimitId) -> Option<&RateLimit> {
        self.rate_limits.get(id.index())
    }

    /// The rate limit of a name. Linear: for administration and recovery.
    #[must_use]
    pub fn rate_limit_id(&self, name: &str) -> Option<RateLimitId> {
        self.rate_limits
            .iter()
            .position(|limit| &*limit.name == name)
            .map(RateLimitId::at)
    }

    /// All policy rules on `model.call`, in configuration order.
    #[must_use]
    pub fn policies(&self) -> &[PolicyRule] {
        &self.policies
    }

    /// One policy rule.
    #[must_use]
    pub fn policy(&self, id: PolicyId) -> Option<&PolicyRule> {
        self.policies.get(id.index())
    }

    /// Bounds.
    #[must_use]
    pub fn limits(&self) -> &internal::Limits {
        &self.limits
    }

    /// Reservations in decision mode.
    #[must_use]
    pub fn reservations(&self) -> &internal::Reservations {
        &self.reservations
    }

    /// Durability of an event such as `model.call`. A tool call that was granted and a step that was done must not be
    /// forgotten, so by default they survive loss of power.
    #[must_use]
    pub fn durability(&self, event: &str) -> Durability {
        let default = if matches!(event, "tool.call" | "workflow.step") {
            Durability::Power
        } else {
            Durability::Process
        };
        self.durability.get(event).copied().unwrap_or(default)
    }

    /// What the audit log keeps of content: `digest`, `redacted` or `full`.
    #[must_use]
    pub fn audit_content(&self) -> &str {
        &self.audit_content
    }
}
