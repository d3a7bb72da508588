//! Policy: which rules match a call and what they say together.
//!
//! deny > require approval > constrain > allow > the default. All matching rules are looked at, because constraints add up
//! (the smallest output limit, the intersection of allowed models), also for a call that people agree to, because of several
//! rules that ask for approval the one whose tier asks for the most people decides (the first of them in configuration
//! order), and because an invariant is named as the deciding rule before any other denial, wherever it stands. A rule whose expression fails refuses the call, whatever its effect is: nobody can
//! say what it would have said.

use smallvec::SmallVec;

use crate::compiled::{Compiled, RuleEffect};
use crate::decision::DenyCause;
use crate::facts::CallFacts;
use crate::ids::{ModelId, PolicyId, TierId};
use crate::matching;
use crate::tool::Tier;
use crate::units::Tokens;
use crate::variables::CallVariables;

/// What the rules say together.
#[derive(Debug)]
pub(crate) struct PolicyOutcome<'c> {
    /// Rules that matched, in configuration order.
    pub(crate) matched: Vec<PolicyId>,
    /// The rule that decided; `None` when the default did.
    pub(crate) deciding: Option<PolicyId>,
    /// The rule that lets people decide, and its tier; `None` when none does.
    pub(crate) approval: Option<(PolicyId, TierId)>,
    /// What the call may do, or why it may not.
    pub(crate) ruling: Result<Constraints<'c>, DenyCause>,
}

/// What all constraining rules leave. Each only ever takes away.
#[derive(Debug, Default)]
pub(crate) struct Constraints<'c> {
    /// Most output tokens, and the rule that says so.
    pub(crate) max_output: Option<(Tokens, PolicyId)>,
    allowed: SmallVec<[(PolicyId, &'c [ModelId]); 4]>,
}

impl Constraints<'_> {
    /// The first rule that does not allow the model.
    pub(crate) fn forbidden_by(&self, model: ModelId) -> Option<PolicyId> {
        self.allowed
            .iter()
            .find(|(_, models)| models.binary_search(&model).is_err())
            .map(|(rule, _)| *rule)
    }
}

/// The denial that decides: an invariant before the others, otherwise the first.
#[derive(Default)]
struct Denial {
    invariant: Option<PolicyId>,
    first: Option<(PolicyId, DenyCause)>,
}

impl Compiled {
    /// Evaluates all rules for a call.
    pub(crate) fn rule(&self, facts: &CallFacts<'_>, variables: &CallVariables<'_>) -> PolicyOutcome<'_> {
        let values = matching::values(facts);
        let mut matched = Vec::new();
        let mut denial = Denial::default();
        let mut constraints = Constraints::default();
        let (mut constrained_by, mut allowed_by) = (None, None);
        let mut approval: Option<(PolicyId, TierId)> = None;
        for at in self.policy_index.candidates(facts) {
            let id = PolicyId(at);
            let Some(rule) = self.policy(id).filter(|rule| rule.matcher.fits(&values, facts.labels)) else {
                continue;
            };
            match rule
                .when
                .as_ref()
                .map_or(Ok(true), |when| when.evaluate_bool(variables))
            {
                Ok(false) => continue,
                Ok(true) => matched.push(id),
                Err(error) => {
                    matched.push(id);
                    denial.first.get_or_insert((
                        id,
                        DenyCause::ExpressionFailed {
                            error: error.to_string(),
                        },
                    ));
                    continue;
                }
            }
            match &rule.effect {
                RuleEffect::Allow => {
                    allowed_by.get_or_insert(id);
                }
                RuleEffect::Deny { invariant } => {
                    if *invariant {
                        denial.invariant.get_or_insert(id);
                    }
                    denial.first.get_or_insert((id, DenyCause::Rule));
                }
                RuleEffect::Constrain {
                    max_output,
                    allowed_models,
                } => {
                    constrained_by.get_or_insert(id);
                    constraints.tighten(id, *max_output, allowed_models.as_deref());
                }
                RuleEffect::RequireApproval(tier) => {
                    let people = |tier: TierId| self.tier_at(tier).map_or(0, Tier::people);
                    if approval.is_none_or(|(_, strictest)| people(*tier) > people(strictest)) {
                        approval = Some((id, *tier));
                    }
                }
            }
        }
        let (deciding, ruling) = match (denial.invariant, denial.first) {
            (Some(invariant), _) => (Some(invariant), Err(DenyCause::Rule)),
            (None, Some((rule, cause))) => (Some(rule), Err(cause)),
            (None, None) => match approval.map(|(rule, _)| rule).or(constrained_by).or(allowed_by) {
                Some(rule) => (Some(rule), Ok(constraints)),
                None if self.allow_by_default => (None, Ok(constraints)),
                None => (None, Err(DenyCause::Default)),
            },
        };
        PolicyOutcome {
            matched,
            deciding,
            approval,
            ruling,
        }
    }
}

impl<'c> Constraints<'c> {
    fn tighten(&mut self, rule: PolicyId, max_output: Option<Tokens>, allowed: Option<&'c [ModelId]>) {
        if let Some(limit) = max_output
            && self.max_output.is_none_or(|(tightest, _)| limit < tightest)
        {
            self.max_output = Some((limit, rule));
        }
        if let Some(models) = allowed {
            self.allowed.push((rule, models));
        }
    }
}
