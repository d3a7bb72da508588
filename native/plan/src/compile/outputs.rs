//! `policies` on `model.output`.

use std::sync::Arc;

use fairlead_screen::Rule;
use fairlead_wire::internal::{self, EngineConfig, OutputCheck};

use super::conditions;
use super::report::Report;
use crate::output::OutputRule;

/// The event of these rules.
pub(super) const EVENT: &str = "model.output";

/// Their names are checked with those of all policies.
pub(super) fn compile(config: &EngineConfig, report: &mut Report) -> Vec<OutputRule> {
    let mut rules = Vec::new();
    for (at, source) in config.policies.iter().enumerate() {
        let path = format!("policies[{at}]");
        if source.on != EVENT {
            report.require(
                source.output.is_none(),
                format_args!("{path}.check"),
                "is for model.output only",
            );
            continue;
        }
        others(&path, source, report);
        let matcher = conditions::matcher(&path, source.r#match.as_ref(), report);
        let when = conditions::when(&path, &source.when, report);
        let nothing = OutputCheck::default();
        let check = source.output.as_ref().unwrap_or(&nothing);
        match Rule::compile(&source.name, source.effect(), check) {
            Ok(rule) => rules.push(OutputRule {
                name: Arc::from(source.name.as_str()),
                matcher,
                when,
                rule: Arc::new(rule),
            }),
            Err(faults) => {
                for fault in faults {
                    report.add(format_args!("{path}.{}", fault.path), fault.message);
                }
            }
        }
    }
    rules
}

/// What rules on calls have and these have not.
fn others(path: &str, source: &internal::PolicyRule, report: &mut Report) {
    report.require(
        !source.invariant,
        format_args!("{path}.invariant"),
        "is for effect: deny only",
    );
    let constrains = source.max_output_tokens != 0 || !source.allowed_models.is_empty() || !source.arguments.is_empty();
    report.require(
        !constrains && source.tier.is_empty(),
        format_args!("{path}.effect"),
        "has parameters, which redact, reject and flag do not have",
    );
}
