//! Rules on `model.output`: which of them a call's answer has to pass.

use fairlead_plan::{CallFacts, Compiled};
use fairlead_wire::internal::{Effect, OutputCheck, PolicyRule};

use crate::world::*;

fn output(name: &str, effect: Effect) -> PolicyRule {
    PolicyRule {
        on: "model.output".to_owned(),
        effect: effect.into(),
        output: Some(OutputCheck {
            detectors: strings(&["email"]),
            ..OutputCheck::default()
        }),
        ..rule(name)
    }
}

fn named(rules: Vec<PolicyRule>, facts: &CallFacts<'_>) -> Vec<String> {
    let mut config = config();
    config.policies = rules;
    let compiled = Compiled::compile(&config).unwrap();
    let rules = compiled.output_rules_for(facts, NOW);
    rules.into_iter().map(|rule| rule.name.to_string()).collect()
}

fn paths(rule: PolicyRule) -> Vec<String> {
    let mut config = config();
    config.policies = vec![rule];
    let violations = Compiled::compile(&config).unwrap_err();
    violations.into_iter().map(|violation| violation.path).collect()
}

#[test]
fn a_rule_holds_when_its_conditions_fit_the_call() {
    let rules = vec![
        output("all", Effect::Flag),
        PolicyRule {
            r#match: workload("code"),
            ..output("code", Effect::Redact)
        },
        PolicyRule {
            when: "request.inputTokens > 500".to_owned(),
            ..output("long", Effect::Reject)
        },
    ];
    assert_eq!(named(rules.clone(), &call()), ["all", "long"]);
    let code = CallFacts {
        workload: "code",
        input: fairlead_plan::InputSize::Tokens(10),
        ..call()
    };
    assert_eq!(named(rules, &code), ["all", "code"]);
}

#[test]
fn a_rule_that_cannot_be_decided_holds() {
    let undecidable = PolicyRule {
        when: "1 / (request.inputTokens - 1000) > 0".to_owned(),
        ..output("undecidable", Effect::Reject)
    };
    assert_eq!(named(vec![undecidable], &call()), ["undecidable"]);
}

#[test]
fn rules_on_outputs_decide_nothing_about_the_call() {
    let mut config = config();
    config.policies = vec![output("o", Effect::Reject)];
    let world = World::new(&config);
    let decision = world.decide(&CallFacts {
        model: "small",
        ..call()
    });
    assert!(world.rules(&decision).is_empty() && !decision.plan.is_empty());
    assert_eq!(world.compiled.output_rules_named(&strings(&["o", "gone"])).len(), 1);
}

#[test]
fn what_is_wrong_is_named_with_its_path() {
    assert_eq!(paths(output("o", Effect::Deny)), ["policies[0].effect"]);
    let mut broken = output("o", Effect::Redact);
    broken.output = Some(OutputCheck {
        patterns: strings(&["("]),
        json_schema: "{".to_owned(),
        ..OutputCheck::default()
    });
    assert_eq!(
        paths(broken),
        [
            "policies[0].check.schema",
            "policies[0].check.patterns[0]",
            "policies[0].check.schema"
        ]
    );
    let invariant = PolicyRule {
        invariant: true,
        output: None,
        ..output("o", Effect::Flag)
    };
    assert_eq!(paths(invariant), ["policies[0].invariant", "policies[0].check"]);
    let call_rule = PolicyRule {
        effect: Effect::Deny.into(),
        output: Some(OutputCheck::default()),
        ..rule("c")
    };
    assert_eq!(paths(call_rule), ["policies[0].check"]);
}
