//! Policy on `tool.call`: which rules match and what they say together.
//!
//! invariant deny > deny > require approval > constrain > allow > the default. All matching rules are looked at: every
//! constraint applies, also to a call that people have approved. Of several rules that ask for approval the one whose tier
//! asks for the most people decides, the first of them in configuration order. A rule whose expression fails refuses the
//! call, whatever its effect is.

use std::collections::BTreeMap;
use std::sync::Arc;

use fairlead_expr::Program;

use super::approval::Tier;
use super::catalogue::{Tool, UNKNOWN};
use super::constrain::{self, Constraint};
use super::json::Json;
use super::variables::ToolVariables;
use crate::compiled::Compiled;
use crate::ids::TierId;
use crate::index::Index;
use crate::matching::Matcher;
use crate::units::UnixNanos;

/// One tool call. The caller has validated it.
#[derive(Clone, Copy, Debug)]
pub struct ToolFacts<'a> {
    /// Tenant, from the credential.
    pub tenant: &'a str,
    /// Agent, from the credential.
    pub agent: &'a str,
    /// The tool.
    pub tool: &'a str,
    /// The arguments that rules see, an object.
    pub arguments: &'a Json,
    /// The arguments that people have agreed to, where these are others: constraints are for what will be used.
    pub agreed: Option<&'a Json>,
    /// Conversation.
    pub session: &'a str,
    /// Labels that tools gave the conversation, sorted.
    pub session_labels: &'a [String],
    /// Run.
    pub run: &'a str,
    /// Step inside the run.
    pub step: &'a str,
    /// Key, as given; empty when Fairlead makes one.
    pub idempotency_key: &'a str,
    /// Labels: the agent's merged over the call's.
    pub labels: &'a BTreeMap<String, String>,
}

/// What the rules say about a tool call.
#[derive(Clone, Debug)]
pub struct ToolDecision {
    /// Names of the rules that matched, in configuration order.
    pub rules: Vec<Arc<str>>,
    /// Name of the rule that decided; `None` when the default did.
    pub deciding: Option<Arc<str>>,
    /// What the call may do, or why it may not.
    pub verdict: ToolVerdict,
    /// One sentence for people.
    pub reason: String,
}

/// Whether a tool call may be made.
#[derive(Clone, Debug)]
pub enum ToolVerdict {
    /// It may, with these arguments.
    Granted(GrantedArguments),
    /// Once the people of this tier have agreed, with these arguments.
    NeedsApproval(Tier, GrantedArguments),
    /// It may not; the stable name of why, for error metadata.
    Denied(&'static str),
}

/// Arguments to make the call with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantedArguments {
    /// The arguments after constraints; `None`: as requested, or agreed.
    pub arguments: Option<Json>,
    /// JSON pointers of what is different.
    pub changed: Vec<String>,
}

/// A rule on `tool.call`.
#[derive(Debug)]
pub(crate) struct ToolRule {
    pub(crate) name: Arc<str>,
    pub(crate) matcher: Matcher,
    pub(crate) when: Option<Program>,
    pub(crate) effect: ToolRuleEffect,
}

/// Effect of a rule on `tool.call`.
#[derive(Debug)]
pub(crate) enum ToolRuleEffect {
    Allow,
    Deny {
        invariant: bool,
    },
    Constrain(Vec<Constraint>),
    /// Position of the tier.
    RequireApproval(usize),
}

/// Everything about tools.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    pub(crate) catalogue: Vec<Tool>,
    pub(crate) rules: Vec<ToolRule>,
    pub(crate) index: Index,
    pub(crate) tiers: Vec<Tier>,
    /// Roles by operator.
    pub(crate) operators: BTreeMap<String, Vec<String>>,
    pub(crate) allow_by_default: bool,
}

/// Rules that matched, by effect; of each the one that would decide.
#[derive(Default)]
struct Matched<'c> {
    names: Vec<Arc<str>>,
    invariant: Option<&'c ToolRule>,
    denied: Option<(&'c ToolRule, Option<String>)>,
    approval: Option<(&'c ToolRule, &'c Tier)>,
    constrained: Vec<(&'c ToolRule, &'c [Constraint])>,
    allowed: Option<&'c ToolRule>,
}

impl Compiled {
    /// What the catalogue knows about a tool: its first entry that fits. A tool that it does not have has side effects
    /// and is destructive.
    #[must_use]
    pub fn tool(&self, name: &str) -> &Tool {
        self.tools
            .catalogue
            .iter()
            .find(|tool| tool.pattern.fits(name))
            .unwrap_or(&UNKNOWN)
    }

    /// A tier of approval; `None` when there is no such tier.
    #[must_use]
    pub fn tier(&self, name: &str) -> Option<&Tier> {
        self.tools.tiers.iter().find(|tier| tier.name() == name)
    }

    /// A tier of approval, by its id.
    #[must_use]
    pub fn tier_at(&self, id: TierId) -> Option<&Tier> {
        self.tools.tiers.get(id.index())
    }

    /// The roles of an operator; `None` when there is no such operator.
    #[must_use]
    pub fn operator_roles(&self, operator: &str) -> Option<&[String]> {
        self.tools.operators.get(operator).map(Vec::as_slice)
    }

    /// Decides a tool call, as far as rules are concerned.
    #[must_use]
    pub fn decide_tool(&self, facts: &ToolFacts<'_>, now: UnixNanos) -> ToolDecision {
        let matched = self.match_tool_rules(facts, now);
        let rules = matched.names;
        let decision = |deciding: Option<&ToolRule>, verdict, reason| ToolDecision {
            rules: rules.clone(),
            deciding: deciding.map(|rule| Arc::clone(&rule.name)),
            verdict,
            reason,
        };
        if let Some(rule) = matched.invariant {
            let reason = format!("rule `{}` denies the call", rule.name);
            return decision(Some(rule), ToolVerdict::Denied("rule"), reason);
        }
        match matched.denied {
            Some((rule, None)) => {
                let reason = format!("rule `{}` denies the call", rule.name);
                return decision(Some(rule), ToolVerdict::Denied("rule"), reason);
            }
            Some((rule, Some(error))) => {
                let reason = format!("rule `{}` cannot be decided, so it denies the call: {error}", rule.name);
                return decision(Some(rule), ToolVerdict::Denied("expression_failed"), reason);
            }
            None => {}
        }
        let first_constraint = matched.constrained.first().map(|(rule, _)| *rule);
        let arguments = match constrained(facts.agreed.unwrap_or(facts.arguments), &matched.constrained) {
            Ok(arguments) => arguments,
            Err(constrain::NotANumber { place, at }) => {
                let of_each = matched.constrained.iter();
                let mut each = of_each.flat_map(|(rule, constraints)| constraints.iter().map(move |_| *rule));
                let limits = each.nth(at);
                let rule = limits.map_or("", |rule| &*rule.name);
                let reason = format!("rule `{rule}` limits a number at {place}, which is none");
                return decision(limits, ToolVerdict::Denied("not_a_number"), reason);
            }
        };
        if let Some((rule, tier)) = matched.approval {
            let reason = format!("rule `{}` asks for approval by tier `{}`", rule.name, tier.name());
            return decision(Some(rule), ToolVerdict::NeedsApproval(tier.clone(), arguments), reason);
        }
        match first_constraint.or(matched.allowed) {
            Some(rule) => {
                let how = if first_constraint.is_some() {
                    "allows the call under constraints"
                } else {
                    "allows the call"
                };
                let reason = format!("rule `{}` {how}", rule.name);
                decision(Some(rule), ToolVerdict::Granted(arguments), reason)
            }
            None if self.tools.allow_by_default => {
                let reason = "no rule decides, and tool calls are allowed by default".to_owned();
                decision(None, ToolVerdict::Granted(arguments), reason)
            }
            None => {
                let reason = "no rule allows the call, and tool calls are denied by default".to_owned();
                decision(None, ToolVerdict::Denied("default"), reason)
            }
        }
    }

    fn match_tool_rules(&self, facts: &ToolFacts<'_>, now: UnixNanos) -> Matched<'_> {
        let values = [facts.tenant, facts.agent, facts.tool, ""];
        let variables = ToolVariables::new(facts, self.tool(facts.tool), now);
        let mut matched = Matched::default();
        for at in self.tools.index.lookup(&values, facts.labels) {
            let Some(rule) = usize::try_from(at).ok().and_then(|at| self.tools.rules.get(at)) else {
                continue;
            };
            if !rule.matcher.fits(&values, facts.labels) {
                continue;
            }
            let holds = rule
                .when
                .as_ref()
                .map_or(Ok(true), |when| when.evaluate_bool(&variables));
            match holds {
                Ok(false) => {}
                Ok(true) => self.note(&mut matched, rule),
                Err(error) => {
                    matched.names.push(Arc::clone(&rule.name));
                    matched.denied.get_or_insert((rule, Some(error.to_string())));
                }
            }
        }
        matched
    }

    fn note<'c>(&'c self, matched: &mut Matched<'c>, rule: &'c ToolRule) {
        matched.names.push(Arc::clone(&rule.name));
        match &rule.effect {
            ToolRuleEffect::Allow => {
                matched.allowed.get_or_insert(rule);
            }
            ToolRuleEffect::Deny { invariant } => {
                if *invariant {
                    matched.invariant.get_or_insert(rule);
                }
                matched.denied.get_or_insert((rule, None));
            }
            ToolRuleEffect::Constrain(constraints) => matched.constrained.push((rule, constraints)),
            ToolRuleEffect::RequireApproval(tier) => {
                let Some(tier) = self.tools.tiers.get(*tier) else {
                    return;
                };
                if matched
                    .approval
                    .is_none_or(|(_, strictest)| tier.people() > strictest.people())
                {
                    matched.approval = Some((rule, tier));
                }
            }
        }
    }
}

fn constrained(
    arguments: &Json,
    rules: &[(&ToolRule, &[Constraint])],
) -> Result<GrantedArguments, constrain::NotANumber> {
    if rules.is_empty() {
        return Ok(GrantedArguments::default());
    }
    let mut granted = arguments.clone();
    let changed = constrain::apply(&mut granted, rules.iter().flat_map(|(_, constraints)| *constraints))?;
    Ok(GrantedArguments {
        arguments: (!changed.is_empty()).then_some(granted),
        changed,
    })
}
