//! The decision: policy → route → constraints → selection → ordered plan.

use fairlead_wire::v1::{BreakerState, DropReason, HealthSnapshot, Untranslatable};
use smallvec::SmallVec;

use crate::compiled::{Choice, Compiled, Route};
use crate::constraint::{Demands, Fit};
use crate::decision::{DenyCause, DroppedCandidate, NoRouteCause, PlanDecision, Verdict};
use crate::facts::{CallFacts, InputSize};
use crate::health::HealthSource;
use crate::ids::{ModelId, PolicyId};
use crate::policy::{Constraints, PolicyOutcome};
use crate::route::Way;
use crate::selection::Picker;
use crate::units::{Tokens, UnixNanos};
use crate::variables::CallVariables;

impl Compiled {
    /// Decides one call. Pure: the same arguments give the same answer.
    #[must_use]
    pub fn decide(&self, facts: &CallFacts<'_>, health: &impl HealthSource, now: UnixNanos) -> PlanDecision {
        self.decide_among(facts, None, health, now)
    }

    /// Decides the same call again for the one model that a budget's `downgradeTo` names: the same policy, the same route
    /// with its constraints, and a plan of that model only. A decision record needs `health` and `estimates` of both.
    #[must_use]
    pub fn downgrade(
        &self,
        facts: &CallFacts<'_>,
        model: ModelId,
        health: &impl HealthSource,
        now: UnixNanos,
    ) -> PlanDecision {
        self.decide_among(facts, Some(model), health, now)
    }

    fn decide_among(
        &self,
        facts: &CallFacts<'_>,
        only: Option<ModelId>,
        health: &impl HealthSource,
        now: UnixNanos,
    ) -> PlanDecision {
        let variables = CallVariables::new(facts, now);
        let PolicyOutcome {
            matched,
            deciding,
            approval,
            ruling,
        } = self.rule(facts, &variables);
        let policy = match ruling {
            Ok(policy) => policy,
            Err(cause) => return self.denied(matched, deciding, cause),
        };
        let way = match self.way(facts, &variables) {
            Ok(way) => way,
            Err(cause) => {
                let mut refused = PlanDecision::refused(Verdict::NoRoute { cause }, matched, deciding);
                refused.reason = self.reason(&refused, facts);
                return refused;
            }
        };
        let route = match way {
            Way::Route(_, route) => Some(route),
            Way::Direct(_) => None,
        };
        let demands = Demands {
            facts,
            policy: &policy,
            route,
        };
        if let (Some((limit, rule)), Some(least)) = (policy.max_output, demands.insisted_output())
            && limit < least
        {
            return self.denied(matched, Some(rule), DenyCause::OutputBelowMinimum);
        }
        let mut planner = Planner {
            compiled: self,
            demands,
            split_key: route.map_or(facts.split_key, |route| route.split_key(facts)),
            uses_latency: route.is_some_and(Route::uses_latency),
            considered: SmallVec::new(),
            decision: PlanDecision::refused(Verdict::Allowed, matched, deciding),
        };
        planner.decision.approval = approval;
        if let Some(route) = route {
            planner.decision.pinned = route.pinned(facts).to_owned();
        }
        planner.consider_all(only, way, health, now);
        planner.plan(only, way);
        planner.finish(&policy)
    }

    fn denied(&self, matched: Vec<PolicyId>, rule: Option<PolicyId>, cause: DenyCause) -> PlanDecision {
        let mut decision = PlanDecision::refused(Verdict::Denied { rule, cause }, matched, rule);
        decision.reason = self.denial_reason(&decision.verdict);
        decision
    }
}

impl Route {
    fn uses_latency(&self) -> bool {
        self.max_p99_millis.is_some() || matches!(self.choice, Choice::Fastest(_))
    }
}

/// Builds the plan of one call.
struct Planner<'a, 'c> {
    compiled: &'c Compiled,
    demands: Demands<'a, 'c>,
    split_key: &'a str,
    uses_latency: bool,
    /// Every model that was looked at, once, and how it fits; `None` was dropped.
    considered: SmallVec<[(ModelId, Option<Fit>); 4]>,
    decision: PlanDecision,
}

impl Planner<'_, '_> {
    /// Looks at all models that the call could use, targets first, then the fallback chain.
    fn consider_all(&mut self, only: Option<ModelId>, way: Way<'_>, health: &impl HealthSource, now: UnixNanos) {
        match (only, way) {
            (Some(model), Way::Route(id, _)) => {
                self.decision.route = Some(id);
                self.consider(model, health, now);
            }
            (Some(model), Way::Direct(_)) | (None, Way::Direct(model)) => self.consider(model, health, now),
            (None, Way::Route(id, route)) => {
                self.decision.route = Some(id);
                for model in route.choice.models().chain(route.chain.iter().copied()) {
                    self.consider(model, health, now);
                }
            }
        }
    }

    fn consider(&mut self, id: ModelId, health: &impl HealthSource, now: UnixNanos) {
        let Some(model) = self.compiled.model(id) else {
            return;
        };
        if self.considered.iter().any(|(seen, _)| *seen == id) {
            return;
        }
        let bound = match self.demands.facts.input {
            InputSize::Tokens(tokens) => Tokens(tokens),
            // A provider never takes more input than the context window, so no hold has to be larger.
            InputSize::Bytes(bytes) => health.input_bound(id, bytes).min(model.context.unwrap_or(Tokens::MAX)),
            InputSize::Stored(_) => model.window(),
        };
        let view = health.view(id, now);
        let fit = match self.demands.check(id, model, bound, &view, now, self.split_key) {
            Ok(fit) => Some(fit),
            Err((reason, detail)) => {
                self.decision.dropped.push(DroppedCandidate {
                    model: id,
                    reason,
                    detail,
                });
                None
            }
        };
        self.considered.push((id, fit));
        self.decision.estimates.push((id, bound));
        if self.uses_latency || view.breaker() != BreakerState::Closed {
            self.decision.health.push(HealthSnapshot {
                model: model.name.to_string(),
                ..view
            });
        }
    }

    /// Orders the models that fit.
    fn plan(&mut self, only: Option<ModelId>, way: Way<'_>) {
        let fit_of = |model| {
            self.considered
                .iter()
                .find(|(id, _)| *id == model)
                .and_then(|(_, fit)| fit.as_ref())
        };
        let mut order: SmallVec<[&Fit; 4]> = SmallVec::new();
        match (only, way) {
            (Some(model), _) | (None, Way::Direct(model)) => order.extend(fit_of(model)),
            (None, Way::Route(_, route)) => {
                let picker = Picker {
                    compiled: self.compiled,
                    route,
                    split_key: self.split_key,
                    choices: self.demands.facts.choices,
                };
                let targets: SmallVec<[&Fit; 4]> = route.choice.models().filter_map(fit_of).collect();
                let ready: SmallVec<[&Fit; 4]> = targets.iter().copied().filter(|fit| !fit.is_shed).collect();
                let chain: SmallVec<[&Fit; 4]> = route.chain.iter().copied().filter_map(fit_of).collect();
                // A ramp sheds load onto others, not onto nobody: a model that is shed is still better than none.
                let shed = if ready.is_empty() { picker.pick(&targets) } else { None };
                let spare = chain.iter().copied().find(|fit| !fit.is_shed);
                let pinned = self.compiled.model_id(&self.decision.pinned).and_then(fit_of);
                let kept = pinned.filter(|fit| !fit.is_shed);
                let replaces = kept.is_some_and(|fit| route.choice.models().any(|model| model == fit.planned.model));
                // A kept target stands for the selection. A kept model of the chain does not: what it was the substitute of
                // comes next.
                let first = if replaces {
                    None
                } else {
                    picker.pick(&ready).or(spare).or(shed)
                };
                for fit in kept.into_iter().chain(first).chain(chain).chain(shed) {
                    if !order.iter().any(|planned| planned.planned.model == fit.planned.model) {
                        order.push(fit);
                    }
                }
            }
        }
        if let Some(first) = order.first() {
            self.decision.max_output_tokens = first.planned.max_output.0;
            self.decision.policy_clamped = first.policy_clamped;
            self.decision.min_output_tokens = self.demands.min_output().min(first.planned.max_output).0;
        }
        self.decision.plan = order.iter().map(|fit| fit.planned.clone()).collect();
        for (model, fit) in &self.considered {
            if fit.is_some() && !self.decision.plan.iter().any(|planned| planned.model == *model) {
                let dropped = DroppedCandidate {
                    model: *model,
                    reason: DropReason::NotSelected,
                    detail: String::new(),
                };
                self.decision.dropped.push(dropped);
            }
        }
    }

    /// Says why, and turns an empty plan into a refusal.
    fn finish(mut self, policy: &Constraints<'_>) -> PlanDecision {
        if self.decision.plan.is_empty() {
            self.decision.verdict = self.nothing_fits(policy);
            if let Verdict::Denied { rule, .. } = &self.decision.verdict {
                self.decision.deciding_rule = *rule;
                self.decision.reason = self.compiled.denial_reason(&self.decision.verdict);
                return self.decision;
            }
        }
        self.decision.reason = self.compiled.reason(&self.decision, self.demands.facts);
        self.decision
    }

    fn nothing_fits(&self, policy: &Constraints<'_>) -> Verdict {
        let dropped = &self.decision.dropped;
        if !dropped.is_empty() && dropped.iter().all(|candidate| candidate.reason == DropReason::Policy) {
            let rule = dropped
                .first()
                .and_then(|candidate| policy.forbidden_by(candidate.model));
            return Verdict::Denied {
                rule,
                cause: DenyCause::NoAllowedModel,
            };
        }
        if !dropped
            .iter()
            .any(|candidate| candidate.reason == DropReason::Unhealthy)
        {
            let fields = self.untranslatable();
            let cause = if fields.is_empty() {
                NoRouteCause::NoCandidate
            } else {
                NoRouteCause::Untranslatable { fields }
            };
            return Verdict::NoRoute { cause };
        }
        let times = self.decision.health.iter().filter(|health| {
            let id = self.compiled.model_id(&health.model);
            let is_unhealthy =
                |candidate: &DroppedCandidate| Some(candidate.model) == id && candidate.reason == DropReason::Unhealthy;
            health.open_until_unix_nanos > 0 && dropped.iter().any(is_unhealthy)
        });
        let retry_at = times.map(|health| UnixNanos(health.open_until_unix_nanos)).min();
        Verdict::NoRoute {
            cause: NoRouteCause::Unavailable { retry_at },
        }
    }
}

impl Planner<'_, '_> {
    /// The fields that keep candidates out because their dialect cannot say them, each once.
    fn untranslatable(&self) -> Vec<Untranslatable> {
        let may_drop = self.demands.route.is_some_and(|route| route.drop_untranslatable);
        let mut fields: Vec<Untranslatable> = Vec::new();
        for dropped in &self.decision.dropped {
            let model = self.compiled.model(dropped.model);
            let model = model.filter(|_| dropped.reason == DropReason::Untranslatable);
            let blocking = model.and_then(|model| model.dialect_for(self.demands.facts, may_drop).err());
            for one in blocking.into_iter().flatten() {
                if !fields.contains(one) {
                    fields.push(one.clone());
                }
            }
        }
        fields
    }
}

impl PlanDecision {
    /// A decision with an empty plan.
    fn refused(verdict: Verdict, rules: Vec<PolicyId>, deciding_rule: Option<PolicyId>) -> Self {
        Self {
            verdict,
            route: None,
            pinned: String::new(),
            rules,
            deciding_rule,
            approval: None,
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
}
