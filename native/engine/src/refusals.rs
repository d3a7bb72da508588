//! What a decision refuses with: policy, routing and budgets as errors.
use fairlead_plan::{ModelId, NoRouteCause, PlanDecision, Verdict};
use fairlead_wire::v1::{DropReason, Untranslatable};

use crate::amount;
use crate::budget::Limit;
use crate::judge::{Blocked, Question};
use crate::rejection::{FieldViolation, Reason, Rejection};

impl<H> Question<'_, H> {
    /// Policy and routing as an error.
    pub(crate) fn refusal(&self, decision: &PlanDecision) -> Option<Rejection> {
        let reason = &decision.reason;
        match &decision.verdict {
            Verdict::Allowed => None,
            Verdict::Denied { rule, cause } => {
                let rule = rule
                    .and_then(|id| self.compiled.policy(id))
                    .map_or("", |rule| &*rule.name);
                let mut rejection = Rejection::new(Reason::PolicyDenied, reason.clone())
                    .with("rule", rule)
                    .with("cause", cause.as_str())
                    .with("config_version", self.compiled.version());
                if let fairlead_plan::DenyCause::ExpressionFailed { error } = cause {
                    rejection = rejection.with("error", error);
                }
                Some(rejection)
            }
            Verdict::NoRoute {
                cause: NoRouteCause::Unavailable { retry_at },
            } => {
                let mut rejection = Rejection::new(Reason::TargetsExhausted, reason.clone())
                    .with("cause", "unavailable")
                    .with("route", self.route_name(decision));
                for (at, dropped) in decision.dropped.iter().enumerate() {
                    let text = format!(
                        "{} {}: {}",
                        self.model_name(dropped.model),
                        drop_name(dropped.reason),
                        dropped.detail
                    );
                    rejection = rejection.with(&format!("attempt.{}", at + 1), text);
                }
                rejection.retry_after = retry_at.map(|at| at.since(self.now));
                Some(rejection)
            }
            Verdict::NoRoute {
                cause: NoRouteCause::Untranslatable { fields },
            } => Some(self.untranslatable(decision, fields)),
            Verdict::NoRoute { cause } => {
                let mut rejection = Rejection::new(Reason::NoRoute, reason.clone())
                    .with("cause", cause.as_str())
                    .with("model", self.facts.model)
                    .with("config_version", self.compiled.version());
                if let NoRouteCause::ExpressionFailed { route, error } = cause {
                    let name = self.compiled.route(*route).map_or("", |route| &*route.name);
                    rejection = rejection.with("route", name).with("error", error);
                } else if decision.route.is_some() {
                    rejection = rejection.with("route", self.route_name(decision));
                }
                Some(rejection)
            }
        }
    }

    /// The caller's own fields are in the way: it can leave them out, or name a model that takes them.
    fn untranslatable(&self, decision: &PlanDecision, fields: &[Untranslatable]) -> Rejection {
        let violations = fields.iter().map(|one| {
            let remedy = if one.essential {
                "leave it out or ask a model whose provider speaks the dialect of the request"
            } else {
                "leave it out, or let the route say `onUntranslatable: drop`"
            };
            FieldViolation {
                field: one.field.clone(),
                description: format!("has no place in {}, the dialect of a model: {remedy}", one.dialect),
            }
        });
        Rejection::invalid(violations.collect())
            .with("cause", "untranslatable")
            .with("route", self.route_name(decision))
            .with("config_version", self.compiled.version())
    }

    pub(crate) fn exhausted(&self, blocked: &Blocked<'_>) -> Rejection {
        let Some(budget) = blocked.case.of.get(self.compiled) else {
            return Rejection::new(Reason::BudgetExhausted, "a budget is exhausted");
        };
        let (measure, view) = (blocked.measure, blocked.case.view);
        let limit = Limit::of(budget).get(measure).unwrap_or(0);
        let (spent, reserved) = (measure.of(view.spent), measure.of(view.reserved));
        let resets = rfc3339(view.resets_at);
        let until = if view.resets_at == 0 {
            String::new()
        } else {
            format!(", it resets at {resets}")
        };
        let message = format!(
            "budget `{}` has no room: the call needs up to {}, the limit is {}, {} spent and {} held{until}",
            budget.name,
            amount::spoken(measure, blocked.requested),
            amount::spoken(measure, limit),
            amount::spoken(measure, spent),
            amount::spoken(measure, reserved),
        );
        Rejection::new(Reason::BudgetExhausted, message)
            .with("budget", &budget.name)
            .with("instance", &blocked.case.instance)
            .with("unit", measure.as_str())
            .with("limit", limit)
            .with("spent", spent)
            .with("reserved", reserved)
            .with("requested", blocked.requested)
            .with("resets_at", if view.resets_at == 0 { "never" } else { &resets })
    }

    fn route_name(&self, decision: &PlanDecision) -> &str {
        decision
            .route
            .and_then(|id| self.compiled.route(id))
            .map_or("", |route| &route.name)
    }

    fn model_name(&self, id: ModelId) -> &str {
        self.compiled.model(id).map_or("", |model| &model.name)
    }
}

fn drop_name(reason: DropReason) -> &'static str {
    reason
        .as_str_name()
        .strip_prefix("DROP_REASON_")
        .unwrap_or("UNSPECIFIED")
}

/// A moment for people and programs, such as `2026-12-01T00:00:00Z`.
pub(crate) fn rfc3339(unix_nanos: i64) -> String {
    let seconds = unix_nanos.div_euclid(1_000_000_000);
    let nanos = i32::try_from(unix_nanos.rem_euclid(1_000_000_000)).unwrap_or(0);
    prost_types::Timestamp { seconds, nanos }.to_string()
}
