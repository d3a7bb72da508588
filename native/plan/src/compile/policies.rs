//! `policies`.

use std::collections::HashSet;
use std::sync::Arc;

use fairlead_wire::internal::{self, Effect, EngineConfig};

use super::conditions::{self, ModelNames};
use super::report::Report;
use crate::compiled::{PolicyRule, RuleEffect};
use crate::units::Tokens;

const MAX_OUTPUT_TOKENS: i64 = 100_000_000;

pub(super) fn compile(config: &EngineConfig, models: &ModelNames, report: &mut Report) -> Vec<PolicyRule> {
    let mut names = HashSet::new();
    let mut rules = Vec::new();
    for (at, source) in config.policies.iter().enumerate() {
        let path = format!("policies[{at}]");
        report.name(format_args!("{path}.name"), &source.name, &mut names);
        // A rule that is not evaluated would let through what it is there to stop.
        report.require(
            source.on == "model.call",
            format_args!("{path}.on"),
            "is not an event of this version: write model.call",
        );
        rules.push(PolicyRule {
            name: Arc::from(source.name.as_str()),
            matcher: conditions::matcher(&path, source.r#match.as_ref(), report),
            when: conditions::when(&path, &source.when, report),
            effect: effect(&path, source, models, report),
        });
    }
    rules
}

fn effect(path: &str, source: &internal::PolicyRule, models: &ModelNames, report: &mut Report) -> RuleEffect {
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
        // Checked with `on`: these are for other events.
        Effect::Unspecified | Effect::RequireApproval | Effect::Redact | Effect::Reject | Effect::Flag => {
            report.add(
                format_args!("{path}.effect"),
                "is not known: write allow, deny or {constrain: …}",
            );
            RuleEffect::Deny { invariant: false }
        }
    }
}
