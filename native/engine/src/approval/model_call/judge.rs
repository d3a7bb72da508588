//! Whether people have to agree to a call, and whether they have: a pure function of the inputs of the decision.
use fairlead_plan::tool::Tier;
use fairlead_plan::tool::approval::missing;
use fairlead_plan::{DroppedCandidate, HealthSource, OnExceed, PlanDecision};
use fairlead_wire::v1::{AgreedCall, Amount, ApprovalQuorum, ApprovalState, DropReason};

use crate::amount::Measure;
use crate::approval;
use crate::judge::{Judgement, Outcome, Question};
use crate::rejection::{Reason, Rejection};

/// Whom to ask about a call.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    /// The tier that asks for the most people; how long there is to decide is its.
    pub tier: Tier,
    /// All who have to agree: where several tiers are needed, those of all of them.
    pub require: Vec<ApprovalQuorum>,
    /// Names of the tiers.
    pub tiers: String,
    /// Name of the rule that asks, or `budgets/{name}`.
    pub rule: String,
}

/// One reason to ask people.
struct Need<'c> {
    tier: &'c Tier,
    rule: String,
    said: String,
}

impl<H: HealthSource> Question<'_, H> {
    /// Lets people decide where a rule or a budget says so. Refusals come first: nobody is asked about what is not possible.
    pub(crate) fn with_people(&self, judgement: Judgement) -> Judgement {
        let Outcome::Granted(_) = &judgement.outcome else {
            return judgement;
        };
        let needs = self.needs(&judgement);
        let Some(agreed) = self.agreed else {
            return if needs.is_empty() {
                judgement
            } else {
                ask(judgement, &needs, "")
            };
        };
        match agreed.state() {
            ApprovalState::Pending => Judgement {
                reason: "they have been asked, and have not agreed yet".to_owned(),
                outcome: Outcome::Waiting,
                ..judgement
            },
            ApprovalState::Approved if needs.is_empty() => judgement,
            ApprovalState::Approved => {
                let within = self.judge_within(Some(agreed));
                match self.differs(&within, agreed) {
                    None => Judgement {
                        reason: format!("{}; people have agreed to it", within.reason),
                        ..within
                    },
                    Some(what) => ask(judgement, &needs, &what),
                }
            }
            state => Judgement::refused(judgement.decision, ended(agreed, state)),
        }
    }

    /// Leaves out models that people have not agreed to.
    pub(crate) fn keep_to(&self, agreed: &AgreedCall, decision: &mut PlanDecision) -> Result<(), Rejection> {
        let is_agreed = |model| {
            self.compiled
                .model(model)
                .is_some_and(|model| agreed.models.iter().any(|name| **name == *model.name))
        };
        let dropped = decision.plan.iter().filter(|planned| !is_agreed(planned.model));
        decision.dropped.extend(dropped.map(|planned| DroppedCandidate {
            model: planned.model,
            reason: DropReason::Policy,
            detail: "people have agreed to other models".to_owned(),
        }));
        decision.plan.retain(|planned| is_agreed(planned.model));
        if decision.plan.is_empty() {
            let message = "none of the models that people have agreed to can take the call now";
            return Err(Rejection::new(Reason::PolicyDenied, message));
        }
        Ok(())
    }

    /// Why people have to agree; empty when they have not to.
    fn needs(&self, judgement: &Judgement) -> Vec<Need<'_>> {
        let mut needs = Vec::new();
        if let Some((rule, tier)) = judgement.decision.approval
            && let Some(tier) = self.compiled.tier_at(tier)
        {
            let rule = self.compiled.policy(rule).map_or("", |rule| &rule.name).to_owned();
            needs.push(Need {
                said: format!("rule `{rule}` asks for approval by tier `{}`", tier.name()),
                tier,
                rule,
            });
        }
        for at in &judgement.over {
            let budget = self.budgets.get(*at).and_then(|case| case.of.get(self.compiled));
            if let Some(budget) = budget
                && let OnExceed::RequireApproval(tier) = budget.on_exceed
                && let Some(tier) = self.compiled.tier_at(tier)
            {
                needs.push(Need {
                    tier,
                    rule: format!("budgets/{}", budget.name),
                    said: format!(
                        "budget `{}` has no room and asks for approval by tier `{}`",
                        budget.name,
                        tier.name()
                    ),
                });
            }
        }
        needs
    }

    /// What is not as people have agreed; `None`: it is, or less.
    fn differs(&self, within: &Judgement, agreed: &AgreedCall) -> Option<String> {
        let grant = match &within.outcome {
            Outcome::Granted(grant) => grant,
            Outcome::Refused(rejection) => return Some(rejection.message.clone()),
            _ => return Some("the call is decided in another way by now".to_owned()),
        };
        let votes = approval::standing(self.compiled, &agreed.votes);
        for need in self.needs(within) {
            let tier = approval::standing_for(self.compiled, need.tier, &agreed.escalated_to, &agreed.escalated_from);
            if !missing(&tier.require(), &votes).is_empty() {
                return Some(format!("tier `{}` asks for more people than have agreed", tier.name()));
            }
        }
        if is_more(grant.amount, agreed.price.unwrap_or_default()) {
            return Some("it may cost more than people have agreed to".to_owned());
        }
        let other = self
            .over_names(within)
            .into_iter()
            .find(|name| !agreed.budgets.contains(name));
        other.map(|name| format!("people have not agreed to go over the limit of {name}"))
    }

    /// Budget instances that a plan goes over the limit of, as `{budget}/instances/{instance}`.
    pub(crate) fn over_names(&self, judgement: &Judgement) -> Vec<String> {
        let cases = judgement.over.iter().filter_map(|at| self.budgets.get(*at));
        cases.map(|case| super::over_name(self.compiled, case)).collect()
    }
}

fn ask(judgement: Judgement, needs: &[Need<'_>], differs: &str) -> Judgement {
    let Outcome::Granted(grant) = judgement.outcome else {
        return judgement;
    };
    let Some(first) = needs.first() else {
        return judgement;
    };
    let strictest = needs.iter().fold(first, |strictest, need| {
        if people(need) > people(strictest) {
            need
        } else {
            strictest
        }
    });
    let mut require: Vec<ApprovalQuorum> = Vec::new();
    let mut tiers: Vec<&str> = Vec::new();
    for need in needs {
        if !tiers.contains(&need.tier.name()) {
            tiers.push(need.tier.name());
        }
        for quorum in need.tier.require() {
            match require.iter_mut().find(|one| one.role == quorum.role) {
                Some(one) => one.count = one.count.max(quorum.count),
                None => require.push(quorum),
            }
        }
    }
    let mut said: Vec<&str> = needs.iter().map(|need| need.said.as_str()).collect();
    said.extend((!differs.is_empty()).then_some(differs));
    let asking = Asking {
        tier: strictest.tier.clone(),
        require,
        tiers: tiers.join(", "),
        rule: first.rule.clone(),
    };
    Judgement {
        reason: said.join("; "),
        outcome: Outcome::Ask(Box::new(asking), grant),
        ..judgement
    }
}

fn people(need: &Need<'_>) -> i32 {
    need.tier.require().iter().map(|quorum| quorum.count).sum()
}

fn is_more(amount: Amount, than: Amount) -> bool {
    Measure::ALL
        .into_iter()
        .any(|measure| measure.of(amount) > measure.of(than))
}

/// The people have refused, did not decide in time, or the approval is used up.
fn ended(agreed: &AgreedCall, state: ApprovalState) -> Rejection {
    let name = state.as_str_name();
    let state_name = name.strip_prefix("APPROVAL_STATE_").unwrap_or(name);
    let last = agreed.votes.last().map_or("", |vote| vote.reason.as_str());
    let (reason, message) = if state == ApprovalState::Consumed {
        let message = "the approval is used up: ask again without the ticket".to_owned();
        (Reason::InvalidState, message)
    } else {
        (
            Reason::PolicyDenied,
            format!("the approval is {state_name}, so the call is denied"),
        )
    };
    Rejection::new(reason, message)
        .with("approval", &agreed.approval)
        .with("state", state_name)
        .with("cause", "approval")
        .with("reason", last)
}
