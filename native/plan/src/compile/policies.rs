//! `policies`.

use std::collections::HashSet;
use std::sync::Arc;

use fairlead_wire::internal::{self, Effect, EngineConfig};

use super::conditions::{self, ModelNames};
use super::report::Report;
use super::tools;
use crate::compiled::{PolicyRule, RuleEffect};
use crate::tool::{self, ToolRule, ToolRuleEffect};
use crate::units::Tokens;

const MAX_OUTPUT_TOKENS: i64 = 100_000_000;

/// Rules by the event they are about, each in configuration order.
#[derive(Default)]
pub(super) struct Policies {
    pub(super) model_call: Vec<PolicyRule>,
    pub(super) tool_call: Vec<ToolRule>,
}

pub(super) fn compile(config: &EngineConfig, models: &ModelNames, report: &mut Report) -> Policies {
    let mut names = HashSet::new();
    let mut policies = Policies::default();
    for (at, source) in config.policies.iter().enumerate() {
        let path = format!("policies[{at}]");
        report.name(format_args!("{path}.name"), &source.name, &mut names);
        match source.on.as_str() {
            "model.call" => policies.model_call.push(PolicyRule {
                name: Arc::from(source.name.as_str()),
                matcher: conditions::matcher(&path, source.r#match.as_ref(), report),
                when: conditions::when(&path, &source.when, report),
                effect: effect(&path, source, config, models, report),
            }),
            "tool.call" => policies.tool_call.push(ToolRule {
                name: Arc::from(source.name.as_str()),
                matcher: conditions::tool_matcher(&path, source.r#match.as_ref(), report),
                when: conditions::when_of(&path, &source.when, &tool::SCHEMA, report),
                effect: tool_effect(&path, source, config, report),
            }),
            // Compiled by `outputs`, which knows what it looks for.
            super::outputs::EVENT => {}
            // A rule that is not evaluated would let through what it is there to stop.
            _ => report.add(
                format_args!("{path}.on"),
                "is not an event: write model.call, tool.call or model.output",
            ),
        }
    }
    policies
}

fn tool_effect(
    path: &str,
    source: &internal::PolicyRule,
    config: &EngineConfig,
    report: &mut Report,
) -> ToolRuleEffect {
    let effect = source.effect();
    report.require(
        !source.invariant || effect == Effect::Deny,
        format_args!("{path}.invariant"),
        "is for effect: deny only",
    );
    report.require(
        source.max_output_tokens == 0 && source.allowed_models.is_empty(),
        format_args!("{path}.effect.constrain"),
        "has constraints for model.call",
    );
    report.require(
        effect == Effect::Constrain || source.arguments.is_empty(),
        format_args!("{path}.effect"),
        "has constraints and is not constrain",
    );
    match effect {
        Effect::Allow => ToolRuleEffect::Allow,
        Effect::Deny => ToolRuleEffect::Deny {
            invariant: source.invariant,
        },
        Effect::Constrain => {
            let path = format!("{path}.effect.constrain");
            report.require(
                !source.arguments.is_empty(),
                &path,
                "constrains nothing: write arguments",
            );
            ToolRuleEffect::Constrain(tools::constraints(&path, &source.arguments, report))
        }
        Effect::RequireApproval => {
            let tier = tools::tier_of(
                format_args!("{path}.effect.requireApproval"),
                &source.tier,
                config,
                report,
            );
            tier.map_or(ToolRuleEffect::Deny { invariant: false }, |tier| {
                ToolRuleEffect::RequireApproval(tier.index())
            })
        }
        // Checked with `on`: these are for other events.
        Effect::Unspecified | Effect::Redact | Effect::Reject | Effect::Flag => {
            report.add(
                format_args!("{path}.effect"),
                "is not known: write allow, deny, {constrain: …} or {requireApproval: TIER}",
            );
            ToolRuleEffect::Deny { invariant: false }
        }
    }
}

fn effect(
    path: &str,
    source: &internal::PolicyRule,
    config: &EngineConfig,
    models: &ModelNames,
    report: &mut Report,
) -> RuleEffect {
    let effect = source.effect();
    let may_be_invariant = !source.invariant || effect == Effect::Deny;
    report.require(
        may_be_invariant,
        format_args!("{path}.invariant"),
        "is for effect: deny only",
    );
    let constrains = source.max_output_tokens != 0 || !source.allowed_models.is_empty();
    if effect != Effect::Constrain && constrains {
        report.add(format_args!("{path}.effect"), "has constraints and is not constrain");
    }
    match effect {
        Effect::Allow => RuleEffect::Allow,
        Effect::Deny => RuleEffect::Deny {
            invariant: source.invariant,
        },
        Effect::Constrain => {
            let path = format!("{path}.effect.constrain");
            report.require(
                constrains,
                &path,
                "constrains nothing: write maxOutputTokens or allowedModels",
            );
            report.range(
                format_args!("{path}.maxOutputTokens"),
                source.max_output_tokens,
                0,
                MAX_OUTPUT_TOKENS,
            );
            let mut allowed =
                conditions::model_list(&format!("{path}.allowedModels"), &source.allowed_models, models, report);
            allowed.sort_unstable();
            RuleEffect::Constrain {
                max_output: (source.max_output_tokens > 0).then_some(Tokens(source.max_output_tokens)),
                allowed_models: (!source.allowed_models.is_empty()).then_some(allowed),
            }
        }
        Effect::RequireApproval => {
            let tier = tools::tier_of(
                format_args!("{path}.effect.requireApproval"),
                &source.tier,
                config,
                report,
            );
            tier.map_or(RuleEffect::Deny { invariant: false }, RuleEffect::RequireApproval)
        }
        // Checked with `on`: these are for other events.
        Effect::Unspecified | Effect::Redact | Effect::Reject | Effect::Flag => {
            report.add(
                format_args!("{path}.effect"),
                "is not known: write allow, deny, {constrain: …} or {requireApproval: TIER}",
            );
            RuleEffect::Deny { invariant: false }
        }
    }
}
