//! Which budgets and rate limits apply to a call.

use crate::compiled::Compiled;
use crate::facts::CallFacts;
use crate::ids::{BudgetId, RateLimitId};
use crate::matching;
use crate::scope::InstanceKey;

impl Compiled {
    /// Budgets that apply, in configuration order, each with the call's instance.
    pub fn budgets_for<'a>(&'a self, facts: &'a CallFacts<'a>) -> impl Iterator<Item = (BudgetId, InstanceKey)> + 'a {
        let values = matching::values(facts);
        self.budget_index.candidates(facts).filter_map(move |at| {
            let id = BudgetId(at);
            let budget = self
                .budget(id)
                .filter(|budget| budget.matcher.fits(&values, facts.labels))?;
            Some((id, budget.scope.instance(facts)?))
        })
    }

    /// Rate limits that apply, in configuration order, each with the call's instance.
    pub fn rate_limits_for<'a>(
        &'a self,
        facts: &'a CallFacts<'a>,
    ) -> impl Iterator<Item = (RateLimitId, InstanceKey)> + 'a {
        let values = matching::values(facts);
        self.rate_index.candidates(facts).filter_map(move |at| {
            let id = RateLimitId(at);
            let limit = self
                .rate_limit(id)
                .filter(|limit| limit.matcher.fits(&values, facts.labels))?;
            Some((id, limit.scope.instance(facts)?))
        })
    }
}
