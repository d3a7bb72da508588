//! Sessions and runs keep the model that answered last.
use fairlead_plan::{AttemptReport, CallFacts, Pinned, Pins};
use fairlead_wire::internal::{EngineConfig, Route, Selection};
use fairlead_wire::v1::AttemptOutcome;

use crate::world::*;

fn sticky(by: &str, route: Route) -> World {
    let mut config: EngineConfig = config();
    config.routes = vec![Route {
        sticky_by: by.to_owned(),
        ..route
    }];
    World::new(&config)
}

fn cheapest(candidates: &[&str], chain: &[&str]) -> Route {
    Route {
        select: Selection::Cheapest.into(),
        candidates: strings(candidates),
        ..route("r", &[], chain)
    }
}

fn pinned(model: &str) -> Pinned {
    Pinned::from([("r".to_owned(), model.to_owned())])
}

fn of_session<'a>(session: &'a Pinned, none: &'a Pinned) -> CallFacts<'a> {
    CallFacts {
        session: "s-1",
        run: "r-1",
        pins: Pins::Known { session, run: none },
        ..call()
    }
}

#[test]
fn a_kept_candidate_stands_for_the_selection_and_the_chain_follows() {
    let world = sticky("session", cheapest(&["small", "large"], &["medium"]));
    let (large, none) = (pinned("large"), Pinned::new());
    let decision = world.decide(&of_session(&large, &none));
    assert_eq!(world.plan(&decision), ["large", "medium"]);
    assert_eq!(decision.pinned, "large");
    assert_eq!(decision.reason, "route `r` keeps `large`, which answered last");
    assert_eq!(
        world.plan(&world.decide(&of_session(&none, &none))),
        ["small", "medium"]
    );
}

/// The substitute has the session's cache now; what it stood in for is the next best.
#[test]
fn a_kept_model_of_the_chain_goes_first_and_the_selection_after_it() {
    let world = sticky("session", route("r", &[("small", 1)], &["medium", "large"]));
    let (large, none) = (pinned("large"), Pinned::new());
    let decision = world.decide(&of_session(&large, &none));
    assert_eq!(world.plan(&decision), ["large", "small", "medium"]);
}

#[test]
fn a_run_keeps_its_own_model_and_other_routes_and_dimensions_keep_none() {
    let (large, none) = (pinned("large"), Pinned::new());
    let by_run = CallFacts {
        pins: Pins::Known {
            session: &none,
            run: &large,
        },
        ..of_session(&none, &none)
    };
    let keeps = |by: &str, facts: &CallFacts<'_>| {
        let world = sticky(by, route("r", &[("small", 1)], &["large"]));
        world.plan(&world.decide(facts))[0] == "large"
    };
    assert!(keeps("run", &by_run) && !keeps("session", &by_run));
    assert!(!keeps("", &of_session(&large, &none)) && !keeps("tenant", &of_session(&large, &none)));
    let nameless = CallFacts {
        session: "",
        ..of_session(&large, &none)
    };
    assert!(!keeps("session", &nameless));
}

#[test]
fn a_model_that_cannot_take_the_call_is_not_kept() {
    let mut config = config();
    config.models[2].max_output_tokens = 1_000;
    config.routes = vec![Route {
        sticky_by: "session".to_owned(),
        ..route("r", &[("small", 1)], &["medium", "large"])
    }];
    let world = World::new(&config);
    let none = Pinned::new();
    for kept in ["large", "gone"] {
        let kept = pinned(kept);
        let facts = CallFacts {
            max_output_tokens: 16_000,
            ..of_session(&kept, &none)
        };
        assert_eq!(world.plan(&world.decide(&facts)), ["small", "medium"]);
    }
}

#[test]
fn a_model_behind_an_open_breaker_is_not_kept() {
    let mut world = sticky("session", route("r", &[("small", 1)], &["large"]));
    let large = world.id("large");
    let report = AttemptReport {
        outcome: AttemptOutcome::Failed,
        status: 429,
        retry_after_nanos: Some(60 * SECOND),
        latency_nanos: 0,
        input_bytes: None,
        usage: None,
    };
    world.health.report(large, &report, NOW);
    let (kept, none) = (pinned("large"), Pinned::new());
    let decision = world.decide(&of_session(&kept, &none));
    assert_eq!(world.plan(&decision), ["small"]);
    assert_eq!(decision.pinned, "large");
}
