//! What the configuration says about a budget, as far as its instances need it.
use std::sync::Arc;

use fairlead_plan::{Budget, Dimension, InstanceKey, OnExceed, Scope, Window};
use fairlead_wire::v1::Amount;

use super::window;
use crate::amount::Measure;

/// The threshold of a soft budget's limit itself.
const FULL_PERCENT: u32 = 100;

/// Limits per unit; `None` is not limited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limit {
    pub nano_usd: Option<i64>,
    pub tokens: Option<i64>,
    pub requests: Option<i64>,
}

impl Limit {
    pub(crate) fn of(budget: &Budget) -> Self {
        Self {
            nano_usd: budget.limit_nano_usd.map(|limit| limit.0),
            tokens: budget.limit_tokens.map(|limit| limit.0),
            requests: budget.limit_requests,
        }
    }

    /// The limit of one unit.
    pub(crate) fn get(&self, measure: Measure) -> Option<i64> {
        match measure {
            Measure::NanoUsd => self.nano_usd,
            Measure::Tokens => self.tokens,
            Measure::Requests => self.requests,
        }
    }

    /// As on the wire, where zero means not limited.
    pub(crate) fn to_amount(self) -> Amount {
        Amount {
            nano_usd: self.nano_usd.unwrap_or(0),
            tokens: self.tokens.unwrap_or(0),
            requests: self.requests.unwrap_or(0),
        }
    }

    /// How far `used` is over the limit of one unit.
    pub(crate) fn over(&self, measure: Measure, used: Amount) -> i64 {
        self.get(measure)
            .map_or(0, |limit| measure.of(used).saturating_sub(limit).max(0))
    }

    /// True when `used` is at (or, with `beyond`, over) `percent` of a limit.
    pub(crate) fn reached(&self, percent: u32, used: Amount, beyond: bool) -> bool {
        Measure::ALL.into_iter().any(|measure| {
            let Some(limit) = self.get(measure) else { return false };
            let used = i128::from(measure.of(used)) * i128::from(FULL_PERCENT);
            let bound = i128::from(limit) * i128::from(percent);
            used > bound || (used == bound && used > 0 && !beyond)
        })
    }
}

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub name: Arc<str>,
    pub limit: Limit,
    pub window: Window,
    /// False for `alert`.
    pub hard: bool,
    pub count_cached: bool,
    pub alert_at: Vec<u32>,
    pub scope: Option<Scope>,
}

impl Rule {
    pub(crate) fn of(budget: &Budget) -> Self {
        Self {
            name: Arc::clone(&budget.name),
            limit: Limit::of(budget),
            window: budget.window,
            hard: is_hard(budget),
            count_cached: budget.count_cached,
            alert_at: budget.alert_at.clone(),
            scope: Some(budget.scope.clone()),
        }
    }

    /// A budget that is in the store but not in the configuration: nothing is limited, nothing is forgotten.
    pub(crate) fn removed(name: &str, window_code: i64) -> Self {
        Self {
            name: Arc::from(name),
            limit: Limit::default(),
            window: window::from_code(window_code),
            hard: false,
            count_cached: true,
            alert_at: Vec::new(),
            scope: None,
        }
    }

    /// True for what a workflow's definition allows its runs.
    pub(crate) fn is_of_runs(&self) -> bool {
        self.name.starts_with("workflow:")
    }

    /// False when no call can reach an instance of this name any more, because the budget's scope was changed.
    pub(crate) fn reaches(&self, instance: &str) -> bool {
        let Some(scope) = &self.scope else { return true };
        let Some(values) = InstanceKey(instance.to_owned()).values() else {
            return false;
        };
        let dimensions = scope.dimensions();
        dimensions.len() == values.len()
            && dimensions.iter().all(|dimension| match dimension {
                Dimension::Agent => values.contains_key("agent"),
                Dimension::Workload => values.contains_key("workload"),
                Dimension::Session => values.contains_key("session"),
                Dimension::Run => values.contains_key("run"),
                Dimension::Step => values.contains_key("step"),
                Dimension::Label(name) => values.contains_key(&format!("label:{name}")),
            })
    }

    /// Alert thresholds in percent. What is held only matters at a soft budget's limit.
    pub(crate) fn thresholds(&self, including_held: bool) -> impl Iterator<Item = u32> {
        let full = (!self.hard && (including_held || !self.alert_at.contains(&FULL_PERCENT))).then_some(FULL_PERCENT);
        let configured = if including_held { &[] } else { self.alert_at.as_slice() };
        configured.iter().copied().chain(full)
    }
}

/// False for `alert`.
pub(crate) fn is_hard(budget: &Budget) -> bool {
    budget.on_exceed != OnExceed::Alert
}
