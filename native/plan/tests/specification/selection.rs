use fairlead_plan::{AttemptReport, CallFacts, HealthBook, InputSize};
use fairlead_wire::internal::{EngineConfig, Route, Selection};
use fairlead_wire::v1::AttemptOutcome;

use crate::world::*;

fn selecting(select: Selection, candidates: &[&str]) -> EngineConfig {
    let route = Route {
        select: select.into(),
        candidates: strings(candidates),
        ..route("pick", &[], &[])
    };
    EngineConfig {
        routes: vec![route],
        ..config()
    }
}

fn succeeded(millis: i64) -> AttemptReport<'static> {
    AttemptReport {
        outcome: AttemptOutcome::Succeeded,
        status: 200,
        retry_after_nanos: None,
        latency_nanos: millis * 1_000_000,
        input_bytes: None,
        usage: None,
    }
}

#[test]
fn the_cheapest_that_meets_the_constraints_is_picked() {
    let world = World::new(&selecting(Selection::Cheapest, &["large", "medium", "small"]));
    let decision = world.decide(&call());
    assert_eq!(world.plan(&decision), ["small"]);
    assert_eq!(
        world.dropped(&decision),
        [
            ("large", "DROP_REASON_NOT_SELECTED"),
            ("medium", "DROP_REASON_NOT_SELECTED")
        ]
    );
    assert_eq!(
        world.plan(&world.decide(&CallFacts {
            min_quality: Some(0.6),
            ..call()
        })),
        ["medium"]
    );
}

#[test]
fn the_cheapest_depends_on_the_shape_of_the_call() {
    let mut config = selecting(Selection::Cheapest, &["reads", "writes"]);
    config.models = vec![model("reads", 1, 50, 0), model("writes", 10, 10, 0)];
    let world = World::new(&config);
    let plan = |input, output| {
        let decision = world.decide(&CallFacts {
            input: InputSize::Tokens(input),
            max_output_tokens: output,
            ..call()
        });
        world.plan(&decision)[0].to_owned()
    };
    assert_eq!([plan(100_000, 100), plan(100, 4_000)], ["reads", "writes"]);
}

#[test]
fn a_longer_maximum_does_not_make_a_model_dearer() {
    let mut config = selecting(Selection::Cheapest, &["small", "medium"]);
    config.models[1].max_output_tokens = 100;
    let world = World::new(&config);
    assert_eq!(world.plan(&world.decide(&call())), ["small"]);
}

#[test]
fn the_best_has_the_highest_quality_and_ties_go_to_the_cheaper() {
    let world = World::new(&selecting(Selection::Best, &["small", "large", "medium"]));
    assert_eq!(world.plan(&world.decide(&call())), ["large"]);
    let mut config = selecting(Selection::Best, &["large", "medium"]);
    config.models[1].quality_per_mille = 900;
    let world = World::new(&config);
    assert_eq!(world.plan(&world.decide(&call())), ["medium"]);
}

#[test]
fn the_fastest_has_the_lowest_p50_and_an_unknown_one_counts_as_the_median() {
    let mut world = World::new(&selecting(Selection::Fastest, &["small", "medium", "large"]));
    assert_eq!(
        world.plan(&world.decide(&call())),
        ["small"],
        "nothing is known: configuration order"
    );
    let report = |health: &mut HealthBook, model, millis| health.report(model, &succeeded(millis), NOW);
    let (small, medium, large) = (world.id("small"), world.id("medium"), world.id("large"));
    report(&mut world.health, small, 900);
    report(&mut world.health, large, 300);
    assert_eq!(
        world.plan(&world.decide(&call())),
        ["medium"],
        "the lower median of 300 and 900, and before large"
    );
    report(&mut world.health, medium, 400);
    assert_eq!(world.plan(&world.decide(&call())), ["large"]);
}

#[test]
fn a_selection_has_a_fallback_chain_too() {
    let mut config = selecting(Selection::Best, &["large", "medium"]);
    config.routes[0].fallback = route("x", &[], &["small", "large"]).fallback;
    let world = World::new(&config);
    let decision = world.decide(&call());
    assert_eq!(world.plan(&decision), ["large", "small"]);
    assert_eq!(world.dropped(&decision), [("medium", "DROP_REASON_NOT_SELECTED")]);
}
