use fairlead_plan::{AttemptReport, CallFacts, HealthBook, InputSize, PlanDecision, RecordedHealth};
use fairlead_wire::internal::{EngineConfig, Route, Selection};
use fairlead_wire::v1::{AttemptOutcome, InputEstimate, Usage};

use crate::world::*;

/// A decision computed again from what a record keeps.
fn again(world: &World, facts: &CallFacts<'_>, first: &PlanDecision) -> PlanDecision {
    let name = |id| world.compiled.model(id).unwrap().name.to_string();
    let estimates: Vec<InputEstimate> = first
        .estimates
        .iter()
        .map(|(id, tokens)| InputEstimate {
            model: name(*id),
            tokens: tokens.0,
        })
        .collect();
    let health = RecordedHealth::new(&world.compiled, &first.health, &estimates);
    world.compiled.decide(facts, &health, NOW)
}

fn learn(health: &mut HealthBook, world: &fairlead_plan::Compiled) {
    for (model, millis, fails) in [("small", 900, 0), ("medium", 200, 5), ("large", 100, 0)] {
        let id = world.model_id(model).unwrap();
        let usage = Usage {
            input: 300,
            ..Usage::default()
        };
        for _ in 0..220 {
            let report = AttemptReport {
                outcome: AttemptOutcome::Succeeded,
                status: 200,
                retry_after_nanos: None,
                latency_nanos: millis * 1_000_000,
                input_bytes: Some(1000),
                usage: Some(&usage),
            };
            health.report(id, &report, NOW);
        }
        for _ in 0..fails {
            let report = AttemptReport {
                outcome: AttemptOutcome::Failed,
                status: 500,
                retry_after_nanos: None,
                latency_nanos: 0,
                input_bytes: None,
                usage: None,
            };
            health.report(id, &report, NOW);
        }
    }
}

#[test]
fn a_decision_follows_from_its_record() {
    for select in [
        Selection::Unspecified,
        Selection::Cheapest,
        Selection::Fastest,
        Selection::Best,
    ] {
        let all = ["small", "medium", "large"];
        let picks = select != Selection::Unspecified;
        let pick = Route {
            select: select.into(),
            candidates: if picks { strings(&all) } else { Vec::new() },
            ..route(
                "pick",
                if picks { &[] } else { &[("large", 5), ("medium", 3)] },
                &["small"],
            )
        };
        let mut config = EngineConfig {
            routes: vec![pick],
            ..config()
        };
        for model in &mut config.models {
            model.learned_input_bound = true;
        }
        let mut world = World::new(&config);
        learn(&mut world.health, &world.compiled);
        for key in 0..20 {
            let facts = CallFacts {
                input: InputSize::Bytes(20_000),
                split_key: &key.to_string(),
                ..call()
            };
            let first = world.decide(&facts);
            assert_eq!(again(&world, &facts, &first), first);
        }
    }
}
