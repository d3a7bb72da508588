//! All workflows of a configuration.

use fairlead_wire::internal::{ApprovalTier, EngineConfig, Match, Model, Route, Tenant, WorkflowDefinition};
use fairlead_workflow::{compile_all, compile_config};

use crate::support::{agent, child, known, model, prompt, shown, workflow};

fn named(name: &str, mut source: WorkflowDefinition) -> WorkflowDefinition {
    source.name = name.to_owned();
    source
}

#[test]
fn workflows_know_each_other() {
    let sources = [
        named("a", workflow(vec![child("c", &[], "b")])),
        named("b", workflow(vec![child("c", &[], "a")])),
    ];
    let definitions = compile_all(&sources, &known()).unwrap();
    let names: Vec<_> = definitions.iter().map(|one| &*one.name).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn violations_name_the_workflow() {
    let sources = [
        named("a", workflow(vec![agent("x", &["y"], "")])),
        named("", workflow(vec![agent("x", &[], "")])),
        named("b", workflow(vec![])),
        named("b", workflow(vec![agent("x", &[], "")])),
    ];
    let violations = compile_all(&sources, &known()).unwrap_err();
    let violations: Vec<_> = violations.iter().map(shown).collect();
    let form = "must be 1 to 64 letters, digits, ., _ and -, beginning with a letter or digit";
    assert_eq!(
        violations,
        [
            "workflows.a.steps[0].needs[0]: there is no step `y`".to_owned(),
            format!("workflows[1].name: {form}"),
            "workflows.b.steps: must have at least one step".to_owned(),
            "workflows.b.name: is already the name of another workflow".to_owned(),
        ]
    );
}

fn config(model_name: &str) -> EngineConfig {
    let route = |name: &str, models: &[&str], workloads: &[&str]| Route {
        name: name.to_owned(),
        r#match: Some(Match {
            models: models.iter().map(|one| (*one).to_owned()).collect(),
            workloads: workloads.iter().map(|one| (*one).to_owned()).collect(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let call = fairlead_wire::internal::ModelTask {
        model: model_name.to_owned(),
        ..prompt(r#""hello""#)
    };
    let mut source = workflow(vec![agent("a", &[], ""), model("m", &[], call)]);
    source.tenants = vec!["acme".to_owned()];
    EngineConfig {
        tenants: vec![Tenant {
            name: "acme".to_owned(),
            ..Default::default()
        }],
        models: vec![Model {
            name: "small".to_owned(),
            ..Default::default()
        }],
        routes: vec![
            route("careful", &["auto", "gpt-*"], &[]),
            route("batch", &[], &["night"]),
        ],
        approval_tiers: vec![ApprovalTier {
            name: "high".to_owned(),
            ..Default::default()
        }],
        workflows: vec![source],
        ..Default::default()
    }
}

#[test]
fn a_configuration_says_what_exists() {
    for name in ["small", "careful", "batch", "auto", "gpt-5"] {
        assert!(compile_config(&config(name)).is_ok(), "{name}");
    }
    let mut wrong = config("nope");
    wrong.tenants.clear();
    wrong.approval_tiers.clear();
    let violations = compile_config(&wrong).unwrap_err();
    let violations: Vec<_> = violations.iter().map(shown).collect();
    assert_eq!(
        violations,
        [
            "workflows.loan-approval.steps[0].onUnknown: there is no approval tier `high`",
            "workflows.loan-approval.steps[1].model.route: there is no route or model `nope`",
            "workflows.loan-approval.steps[1].onUnknown: there is no approval tier `high`",
            "workflows.loan-approval.tenants[0]: there is no tenant `acme`",
        ]
    );
    let mut any = config("nope");
    any.routes[0].r#match = None;
    assert!(compile_config(&any).is_ok());
}
