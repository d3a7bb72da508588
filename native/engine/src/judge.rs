//! The whole decision about one call, as a pure function of its inputs: admission makes it from the live state, and
//! [`recompute`](crate::Engine::recompute) makes it again from a record.
//!
//! ```text
//! policy · route · constraints · selection (plan)
//!   └► budgets: clamp ─► leave out models that fit no budget ─► downgrade ─► go over, if people agree ─► refuse
//!        └► people, where a rule or a budget lets them decide
//!             └► rate limits
//! ```
use std::sync::Arc;

use fairlead_plan::{
    Budget, BudgetId, CallFacts, Compiled, DroppedCandidate, HealthSource, InputSize, InstanceKey, ModelId, OnExceed,
    Overflow, PlanDecision, RateExceeded, RateLimitId, RateState, Tokens, UnixNanos, Verdict,
};
use fairlead_wire::v1::{AgreedCall, Amount, DropReason};

use crate::amount::{self, Measure};
use crate::approval::Asking;
use crate::budget::{Limit, Slot, View, is_hard};
use crate::command::RateWait;
use crate::fit::{self, Costed, Tries};
use crate::rates;
use crate::rejection::{Reason, Rejection};

/// How long a call that meets a full concurrency limit is told to wait: 100 ms. Nobody knows when a call ends.
const CONCURRENCY_RETRY_NANOS: i64 = 100_000_000;

/// A budget instance that applies, before the decision.
#[derive(Debug, Clone)]
pub(crate) struct BudgetCase {
    pub of: BudgetOf,
    pub instance: InstanceKey,
    /// Where the live state has it: the book, and the instance when it exists; nothing when a record is recomputed.
    pub place: Option<(usize, Option<Slot>)>,
    pub view: View,
}

/// The budget that a case is about.
#[derive(Debug, Clone)]
pub(crate) enum BudgetOf {
    /// One of the configuration.
    Config(BudgetId),
    /// What the definition of a run allows it, children included.
    Run(Arc<Budget>),
}

impl BudgetOf {
    pub(crate) fn get<'a>(&'a self, compiled: &'a Compiled) -> Option<&'a Budget> {
        match self {
            Self::Config(id) => compiled.budget(*id),
            Self::Run(budget) => Some(budget),
        }
    }
}

/// A rate limit instance that applies, before the decision.
#[derive(Debug, Clone)]
pub(crate) struct RateCase {
    pub id: RateLimitId,
    pub instance: InstanceKey,
    pub state: RateState,
}

/// What the call may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Grant {
    /// To hold in every budget instance that applies.
    pub amount: Amount,
    /// Most output tokens per answer.
    pub max_output: i64,
    /// True when a budget or policy lowered it.
    pub clamped: bool,
    /// Charged to token rates until the settlement.
    pub rate_tokens: i64,
}

/// What was decided.
#[derive(Debug)]
pub(crate) enum Outcome {
    Granted(Grant),
    /// The response cache has the answer, and it may be given.
    Cached,
    /// People have to be asked first; what would be granted, whose amount is what they agree to.
    Ask(Box<Asking>, Grant),
    /// People have been asked already.
    Waiting,
    Refused(Rejection),
    /// Only rate limits are in the way. With `wait`, all of them let a call wait.
    RateLimited {
        rejection: Rejection,
        wait: Option<RateWait>,
    },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Judgement {
    /// Policy and routing; of the downgraded plan when there was a downgrade.
    pub decision: PlanDecision,
    /// Models in the order to try them; empty when refused.
    pub plan: Vec<Costed>,
    /// Model that a budget's `downgradeTo` switched to.
    pub downgraded_to: Option<ModelId>,
    /// Budget cases that the plan goes over the limit of, by their position: only with the consent of people.
    pub over: Vec<usize>,
    /// One sentence for people.
    pub reason: String,
    pub outcome: Outcome,
}

/// What a decision is about.
pub(crate) struct Question<'a, H> {
    pub compiled: &'a Compiled,
    pub facts: &'a CallFacts<'a>,
    pub health: &'a H,
    pub budgets: &'a [BudgetCase],
    pub rates: &'a [RateCase],
    /// Model of the answer that the response cache has.
    pub cached: Option<&'a str>,
    /// What people have said about the call before.
    pub agreed: Option<&'a AgreedCall>,
    pub now: UnixNanos,
}

/// Why a plan does not fit the budgets.
pub(crate) struct Blocked<'a> {
    /// Its position.
    at: usize,
    pub(crate) case: &'a BudgetCase,
    pub(crate) measure: Measure,
    /// What the smallest useful answer of the first model would need.
    pub(crate) requested: i64,
}

/// What a plan has to keep to, beside the budgets.
struct Terms<'t> {
    tries: Tries,
    /// Positions of budgets whose limit does not count: people are asked about it.
    over: &'t [usize],
    /// Most output tokens that people have agreed to.
    agreed_output: Option<i64>,
}

impl<H: HealthSource> Question<'_, H> {
    /// Decides.
    pub(crate) fn judge(&self) -> Judgement {
        let judgement = self.with_people(self.judge_within(None));
        self.within_rates(judgement)
    }

    /// Decides as far as neither people nor rate limits are concerned. With `within` the plan keeps to what people agreed
    /// to: their models, and no more output.
    pub(crate) fn judge_within(&self, within: Option<&AgreedCall>) -> Judgement {
        let decision = self.compiled.decide(self.facts, self.health, self.now);
        if let Some(refusal) = self.refusal(&decision) {
            return Judgement::refused(decision, refusal);
        }
        if self.is_hit(&decision) {
            return Judgement::cached(decision);
        }
        self.within_budgets(decision, within).unwrap_or_else(|refused| *refused)
    }

    fn tries(&self, decision: &PlanDecision) -> Tries {
        let route = decision.route.and_then(|id| self.compiled.route(id));
        Tries {
            attempts: route.map_or(1, |route| i64::from(route.retry.attempts.max(1))),
            choices: self.facts.choices.max(1),
            pays_for_refused: self.pays_for_refused(decision),
        }
    }

    /// Whether a refused answer, which is billed in full, is followed by another attempt.
    fn pays_for_refused(&self, decision: &PlanDecision) -> bool {
        let route = decision.route.and_then(|id| self.compiled.route(id));
        route.is_some_and(|route| route.fallback_on.iter().any(|on| on == "rejected"))
            && self
                .compiled
                .output_rules_for(self.facts, self.now)
                .iter()
                .any(|rule| rule.rule.may_reject())
    }

    /// Finds a plan and an output limit whose worst case fits every hard budget, or says which budget is in the way.
    fn within_budgets(
        &self,
        mut decision: PlanDecision,
        within: Option<&AgreedCall>,
    ) -> Result<Judgement, Box<Judgement>> {
        let mut downgraded_to = None;
        let mut over: Vec<usize> = Vec::new();
        let mut downgraded_by = String::new();
        let mut tried: Vec<ModelId> = Vec::new();
        loop {
            if let Some(within) = within
                && let Err(rejection) = self.keep_to(within, &mut decision)
            {
                return Err(Box::new(Judgement::refused(decision, rejection)));
            }
            let terms = Terms {
                tries: self.tries(&decision),
                over: &over,
                agreed_output: within.map(|within| within.max_output_tokens),
            };
            let fitted = self.fit(&mut decision, &terms);
            let blocked = match fitted {
                Ok(Ok((plan, grant))) => {
                    let mut reason = std::mem::take(&mut decision.reason);
                    if !downgraded_by.is_empty() {
                        reason = format!("{reason} (budget `{downgraded_by}` downgrades the call)");
                    }
                    if grant.max_output < decision.max_output_tokens {
                        reason = format!("{reason}; budgets leave room for {} output tokens", grant.max_output);
                    }
                    let outcome = Outcome::Granted(grant);
                    return Ok(Judgement {
                        decision,
                        plan,
                        downgraded_to,
                        over,
                        reason,
                        outcome,
                    });
                }
                Ok(Err(blocked)) => blocked,
                Err(Overflow) => {
                    let message = "the worst case of the call is beyond the range of money and tokens, make it smaller";
                    let rejection = Rejection::new(Reason::InvalidArgument, message);
                    return Err(Box::new(Judgement::refused(decision, rejection)));
                }
            };
            let budget = blocked.case.of.get(self.compiled);
            if let Some(OnExceed::Downgrade(model)) = budget.map(|budget| budget.on_exceed)
                && !tried.contains(&model)
            {
                tried.push(model);
                let next = self.compiled.downgrade(self.facts, model, self.health, self.now);
                if next.verdict == Verdict::Allowed {
                    downgraded_by = budget.map(|budget| budget.name.to_string()).unwrap_or_default();
                    downgraded_to = Some(model);
                    decision = replaced(decision, next);
                    // Another plan may fit where the first one did not.
                    over.clear();
                    continue;
                }
            }
            if let Some(OnExceed::RequireApproval(_)) = budget.map(|budget| budget.on_exceed) {
                over.push(blocked.at);
                continue;
            }
            let rejection = self.exhausted(&blocked);
            let mut judgement = Judgement::refused(decision, rejection);
            judgement.downgraded_to = downgraded_to;
            return Err(Box::new(judgement));
        }
    }

    /// Clamps the output of the plan; when even the least does not fit, leaves out models. Their reasons go to `dropped`.
    fn fit(
        &self,
        decision: &mut PlanDecision,
        terms: &Terms<'_>,
    ) -> Result<Result<(Vec<Costed>, Grant), Blocked<'_>>, Overflow> {
        let mut plan = Vec::with_capacity(decision.plan.len());
        for planned in &decision.plan {
            plan.extend(Costed::of(self.compiled, planned)?);
        }
        let Some(limit) = self.clamp(decision, &plan, terms)?.ok() else {
            let (fitting, left_out) = self.leave_out(decision, plan, terms)?;
            let limit = if fitting.is_empty() {
                None
            } else {
                self.clamp(decision, &fitting, terms)?.ok()
            };
            let Some(limit) = limit else {
                let first = left_out.first().or(fitting.first());
                let first = first.map_or(&[] as &[Costed], std::slice::from_ref);
                return match self.clamp(decision, first, terms)? {
                    Err(blocked) => Ok(Err(blocked)),
                    // Cannot be: a plan is left out when it does not fit alone. Nothing is granted in doubt.
                    Ok(_) => Err(Overflow),
                };
            };
            for one in left_out {
                let detail = "its worst case does not fit a budget".to_owned();
                decision.dropped.push(DroppedCandidate {
                    model: one.model(),
                    reason: DropReason::Budget,
                    detail,
                });
            }
            return self.grant(decision, fitting, limit, terms).map(Ok);
        };
        self.grant(decision, plan, limit, terms).map(Ok)
    }

    fn grant(
        &self,
        decision: &mut PlanDecision,
        plan: Vec<Costed>,
        limit: i64,
        terms: &Terms<'_>,
    ) -> Result<(Vec<Costed>, Grant), Overflow> {
        let amount = fit::worst_case(&plan, limit, terms.tries)?;
        for case in self.budgets {
            // The sum has to stay in range also where nothing is limited.
            amount::add(amount::add(case.view.spent, case.view.reserved)?, amount)?;
        }
        let wanted = plan.first().map_or(0, |first| first.planned.max_output.0);
        decision.max_output_tokens = wanted;
        let first_tokens = plan.first().map_or(Ok(Tokens::ZERO), |first| {
            let output = Tokens(limit).times(terms.tries.choices)?;
            let input = match self.facts.input {
                // A window is no estimate, and would never fit most limits: the settlement takes what is missing.
                InputSize::Stored(bytes) => first.planned.input_bound.min(Tokens(bytes)),
                InputSize::Bytes(_) | InputSize::Tokens(_) => first.planned.input_bound,
            };
            input.add(output)
        })?;
        let clamped = limit < wanted || decision.policy_clamped;
        Ok((
            plan,
            Grant {
                amount,
                max_output: limit,
                clamped,
                rate_tokens: first_tokens.0,
            },
        ))
    }

    /// The largest output limit that fits all hard budgets and is not below the least, or what is in the way.
    fn clamp(
        &self,
        decision: &PlanDecision,
        plan: &[Costed],
        terms: &Terms<'_>,
    ) -> Result<Result<i64, Blocked<'_>>, Overflow> {
        let wanted = plan.first().map_or(0, |first| first.planned.max_output.0);
        let wanted = terms.agreed_output.map_or(wanted, |agreed| agreed.min(wanted));
        let least = decision.min_output_tokens.min(wanted);
        let mut limit = wanted;
        for (at, case) in self.budgets.iter().enumerate() {
            let Some(budget) = case.of.get(self.compiled).filter(|budget| is_hard(budget)) else {
                continue;
            };
            if terms.over.contains(&at) {
                continue;
            }
            let limits = Limit::of(budget);
            for measure in Measure::ALL {
                let Some(most) = limits.get(measure) else { continue };
                // INVARIANT (I1): the room is what the limit leaves after everything spent and held.
                let room = most.saturating_sub(case.view.used(measure));
                match fit::affordable(plan, measure, room, wanted, terms.tries)? {
                    Some(affordable) if affordable >= least => limit = limit.min(affordable),
                    _ => {
                        let requested = measure.of(fit::worst_case(plan, least, terms.tries)?);
                        return Ok(Err(Blocked {
                            at,
                            case,
                            measure,
                            requested,
                        }));
                    }
                }
            }
        }
        Ok(Ok(limit))
    }

    /// Splits a plan that does not fit into models that fit together and the others: those that do not fit alone go, then
    /// the last ones until the rest fits.
    fn leave_out(
        &self,
        decision: &PlanDecision,
        plan: Vec<Costed>,
        terms: &Terms<'_>,
    ) -> Result<(Vec<Costed>, Vec<Costed>), Overflow> {
        let (mut fitting, mut left_out) = (Vec::new(), Vec::new());
        for one in plan {
            let fits = self.clamp(decision, std::slice::from_ref(&one), terms)?.is_ok();
            if fits { fitting.push(one) } else { left_out.push(one) }
        }
        while fitting.len() > 1 && self.clamp(decision, &fitting, terms)?.is_err() {
            left_out.extend(fitting.pop());
        }
        Ok((fitting, left_out))
    }

    /// Asks the rate limits; changes nothing.
    fn within_rates(&self, mut judgement: Judgement) -> Judgement {
        let (tokens, is_hit) = match &judgement.outcome {
            Outcome::Granted(grant) => (Tokens(grant.rate_tokens), false),
            Outcome::Cached => (Tokens::ZERO, true),
            Outcome::Ask(..) | Outcome::Waiting | Outcome::Refused(_) | Outcome::RateLimited { .. } => {
                return judgement;
            }
        };
        let mut worst: Option<(&RateCase, RateExceeded)> = None;
        let mut may_wait = true;
        for case in self.rates {
            let Some(limit) = self.compiled.rate_limit(case.id) else {
                continue;
            };
            let rule = if is_hit { limit.rule.of_requests() } else { limit.rule };
            if let Err(exceeded) = rule.check(&case.state, self.now, tokens) {
                may_wait &= limit.max_wait_nanos > 0 && rates::severity(&exceeded).0 < 2;
                if worst
                    .as_ref()
                    .is_none_or(|(_, one)| rates::severity(one) < rates::severity(&exceeded))
                {
                    worst = Some((case, exceeded));
                }
            }
        }
        let Some((case, exceeded)) = worst else {
            return judgement;
        };
        let Some(limit) = self.compiled.rate_limit(case.id) else {
            return judgement;
        };
        let retry_at = exceeded.retry_at();
        let wait = may_wait.then(|| RateWait {
            limit: limit.name.to_string(),
            instance: case.instance.to_string(),
            retry_at,
            max_wait: limit.max_wait_nanos,
        });
        let what = exceeded.as_str();
        let message = if rates::severity(&exceeded).0 == 2 {
            format!(
                "rate limit `{}` never lets a call of {} tokens through, make it smaller",
                limit.name, tokens.0
            )
        } else {
            format!(
                "rate limit `{}` has no headroom for {what}, try again later",
                limit.name
            )
        };
        let mut rejection = Rejection::new(Reason::RateLimited, message)
            .with("limit", &limit.name)
            .with("instance", &case.instance)
            .with("unit", what);
        rejection.retry_after = match exceeded {
            RateExceeded::Concurrent => Some(CONCURRENCY_RETRY_NANOS),
            _ => retry_at.map(|at| at.since(self.now)),
        };
        judgement.reason.clone_from(&rejection.message);
        judgement.plan.clear();
        judgement.outcome = Outcome::RateLimited { rejection, wait };
        judgement
    }
}

impl Judgement {
    pub(crate) fn refused(decision: PlanDecision, rejection: Rejection) -> Self {
        let reason = rejection.message.clone();
        Self {
            decision,
            plan: Vec::new(),
            downgraded_to: None,
            over: Vec::new(),
            reason,
            outcome: Outcome::Refused(rejection),
        }
    }
}

/// The downgraded decision, which keeps what the first one learned and says that its plan did not fit.
fn replaced(first: PlanDecision, mut next: PlanDecision) -> PlanDecision {
    let mut dropped = first.dropped;
    dropped.extend(first.plan.iter().map(|planned| DroppedCandidate {
        model: planned.model,
        reason: DropReason::Budget,
        detail: "its worst case does not fit a budget".to_owned(),
    }));
    dropped.retain(|one| !next.plan.iter().any(|planned| planned.model == one.model));
    let known = next.dropped.iter().map(|one| one.model).collect::<Vec<_>>();
    dropped.retain(|one| !known.contains(&one.model));
    dropped.append(&mut next.dropped);
    next.dropped = dropped;
    let mut estimates = first.estimates;
    next.estimates
        .retain(|(model, _)| !estimates.iter().any(|(known, _)| known == model));
    estimates.append(&mut next.estimates);
    next.estimates = estimates;
    let mut health = first.health;
    next.health
        .retain(|one| !health.iter().any(|known| known.model == one.model));
    health.append(&mut next.health);
    next.health = health;
    next
}
