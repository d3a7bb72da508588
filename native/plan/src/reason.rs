//! The sentence that tells people why a decision is what it is.

use crate::compiled::Compiled;
use crate::decision::{DenyCause, NoRouteCause, PlanDecision, Verdict};
use crate::facts::CallFacts;
use crate::ids::RouteId;

/// Most models whose obstacles a sentence names.
const MOST_NAMED_MODELS: usize = 3;

impl Compiled {
    /// The name of a route, for messages.
    fn route_name(&self, id: RouteId) -> &str {
        self.route(id).map_or("", |route| &route.name)
    }

    /// Why a policy refuses.
    pub(crate) fn denial_reason(&self, verdict: &Verdict) -> String {
        let Verdict::Denied { rule, cause } = verdict else {
            return String::new();
        };
        let rule = rule.and_then(|id| self.policy(id)).map_or("", |rule| &rule.name);
        match cause {
            DenyCause::Rule => format!("policy rule `{rule}` denies the call"),
            DenyCause::Default => "no policy rule allows the call and the default is to deny".to_owned(),
            DenyCause::ExpressionFailed { error } => format!("policy rule `{rule}` could not be evaluated: {error}"),
            DenyCause::NoAllowedModel => format!("policy rule `{rule}` allows none of the models the call could use"),
            DenyCause::OutputBelowMinimum => {
                format!("policy rule `{rule}` allows fewer output tokens than the call needs at least")
            }
        }
    }

    /// Why the decision is what it is.
    pub(crate) fn reason(&self, decision: &PlanDecision, facts: &CallFacts<'_>) -> String {
        match &decision.verdict {
            Verdict::Denied { .. } => self.denial_reason(&decision.verdict),
            Verdict::Allowed => {
                let first = decision.plan.first().and_then(|planned| self.model(planned.model));
                let model = first.map_or("", |model| &model.name);
                match decision.route.and_then(|id| self.route(id)) {
                    Some(route) if *model == *decision.pinned => {
                        format!("route `{}` keeps `{model}`, which answered last", route.name)
                    }
                    Some(route) => format!("route `{}` chose `{model}` {}", route.name, route.choice.how()),
                    None => format!("the call names the model `{model}`"),
                }
            }
            Verdict::NoRoute { cause } => match cause {
                NoRouteCause::NoMatch => "no route matches and the call names no model".to_owned(),
                NoRouteCause::UnknownModel => format!("no route matches and there is no model `{}`", facts.model),
                NoRouteCause::ExpressionFailed { route, error } => {
                    format!("route `{}` could not be evaluated: {error}", self.route_name(*route))
                }
                NoRouteCause::NoCandidate => format!(
                    "{} has no model that can take the call{}",
                    self.way_name(decision),
                    self.obstacles(decision)
                ),
                NoRouteCause::Untranslatable { .. } => format!(
                    "{} has no model whose provider can be asked this in a dialect that it speaks",
                    self.way_name(decision)
                ),
                NoRouteCause::Unavailable { .. } => {
                    format!(
                        "{} has no healthy model that can take the call",
                        self.way_name(decision)
                    )
                }
            },
        }
    }

    /// What stands against each model: the caller sees this sentence and nothing else of the decision.
    fn obstacles(&self, decision: &PlanDecision) -> String {
        let named = decision.dropped.iter().take(MOST_NAMED_MODELS).map(|candidate| {
            let model = self.model(candidate.model).map_or("", |model| &model.name);
            format!("`{model}` is out: {}", candidate.detail)
        });
        let named = named.collect::<Vec<_>>().join("; ");
        match decision.dropped.len().checked_sub(MOST_NAMED_MODELS) {
            _ if named.is_empty() => named,
            Some(more) if more > 0 => format!(": {named}; and {more} more"),
            _ => format!(": {named}"),
        }
    }

    fn way_name(&self, decision: &PlanDecision) -> String {
        match decision.route {
            Some(id) => format!("route `{}`", self.route_name(id)),
            None => "the call".to_owned(),
        }
    }
}
