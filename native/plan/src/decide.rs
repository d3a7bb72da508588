//! The decision: policy → route → constraints → selection → ordered plan.

use crate::compiled::Compiled;
use crate::decision::{NoRouteCause, PlanDecision, Verdict};
use crate::facts::CallFacts;
use crate::health::HealthSource;
use crate::ids::{BudgetId, ModelId, RateLimitId, RouteId};
use crate::scope::InstanceKey;
use crate::units::UnixNanos;

impl Compiled {
    /// Decides one call. Pure.
    pub fn decide(&self, _facts: &CallFacts<'_>, _health: &impl HealthSource, _now: UnixNanos) -> PlanDecision {
        PlanDecision {
            verdict: Verdict::NoRoute { cause: NoRouteCause::NoMatch },
            route: None,
            rules: Vec::new(),
            deciding_rule: None,
            reason: String::new(),
            plan: Vec::new(),
            dropped: Vec::new(),
            max_output_tokens: 0,
            policy_clamped: false,
            min_output_tokens: 0,
            health: Vec::new(),
            estimates: Vec::new(),
        }
    }

    /// Decides the same call again for one model that a budget's `downgradeTo` names: the same policy and the same route's
    /// constraints, and a plan of that model only.
    pub fn downgrade(
        &self,
        facts: &CallFacts<'_>,
        _model: ModelId,
        health: &impl HealthSource,
        now: UnixNanos,
    ) -> PlanDecision {
        self.decide(facts, health, now)
    }

    /// The key that the weighted draw of this route uses, for the record.
    #[must_use]
    pub fn split_key<'a>(&self, _route: Option<RouteId>, facts: &CallFacts<'a>) -> &'a str {
        facts.split_key
    }

    /// Budgets that apply, in configuration order, each with the call's instance.
    pub fn budgets_for<'a>(&'a self, facts: &'a CallFacts<'a>) -> impl Iterator<Item = (BudgetId, InstanceKey)> + 'a {
        let values = crate::matching::values(facts);
        self.budget_index.candidates(facts).filter_map(move |at| {
            let id = BudgetId(at);
            let budget = self.budget(id)?;
            if !budget.matcher.fits(&values, facts.labels) {
                return None;
            }
            Some((id, budget.scope.instance(facts)?))
        })
    }

    /// Rate limits that apply, in configuration order, each with the call's instance.
    pub fn rate_limits_for<'a>(&'a self, facts: &'a CallFacts<'a>) -> impl Iterator<Item = (RateLimitId, InstanceKey)> + 'a {
        let values = crate::matching::values(facts);
        self.rate_index.candidates(facts).filter_map(move |at| {
            let id = RateLimitId(at);
            let limit = self.rate_limit(id)?;
            if !limit.matcher.fits(&values, facts.labels) {
                return None;
            }
            Some((id, limit.scope.instance(facts)?))
        })
    }
}
