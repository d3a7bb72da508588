use fairlead_plan::{CallFacts, NoRouteCause, Verdict};
use fairlead_wire::internal::{Match, Route};

use crate::world::*;

fn world(routes: Vec<Route>) -> World {
    World::new(&fairlead_wire::internal::EngineConfig { routes, ..config() })
}

#[test]
fn the_first_route_that_matches_wins() {
    let world = world(vec![
        Route {
            r#match: workload("code"),
            ..route("code", &[("large", 1)], &[])
        },
        Route {
            r#match: workload("ch*"),
            ..route("chat", &[("medium", 1)], &[])
        },
        route("rest", &[("small", 1)], &[]),
    ]);
    for (workload, expected) in [("code", "large"), ("chat", "medium"), ("other", "small"), ("", "small")] {
        let decision = world.decide(&CallFacts { workload, ..call() });
        assert_eq!(world.plan(&decision), [expected], "{workload}");
    }
}

#[test]
fn the_condition_is_part_of_the_match() {
    let world = world(vec![
        Route {
            when: "request.minQuality >= 0.85".to_owned(),
            ..route("careful", &[("large", 1)], &[])
        },
        route("rest", &[("small", 1)], &[]),
    ]);
    assert_eq!(world.plan(&world.decide(&call())), ["small"]);
    assert_eq!(
        world.plan(&world.decide(&CallFacts {
            min_quality: Some(0.85),
            ..call()
        })),
        ["large"]
    );
}

#[test]
fn a_condition_that_fails_stops_the_search() {
    let world = world(vec![
        Route {
            when: "labels.tier == 'free'".to_owned(),
            ..route("free", &[("small", 1)], &[])
        },
        route("rest", &[("large", 1)], &[]),
    ]);
    let Verdict::NoRoute {
        cause: NoRouteCause::ExpressionFailed { route, error },
    } = world.decide(&call()).verdict
    else {
        panic!("must not route");
    };
    assert_eq!(world.compiled.route(route).unwrap().name.as_ref(), "free");
    assert!(error.contains("line 1"), "{error}");
}

#[test]
fn a_physical_model_is_used_when_no_route_matches() {
    let world = world(vec![Route {
        r#match: workload("code"),
        ..route("code", &[("large", 1)], &["small"])
    }]);
    let decision = world.decide(&CallFacts {
        model: "medium",
        ..call()
    });
    assert_eq!((world.plan(&decision), decision.route), (vec!["medium"], None));
    let routed = world.decide(&CallFacts {
        model: "medium",
        workload: "code",
        ..call()
    });
    assert_eq!(
        world.plan(&routed),
        ["large", "small"],
        "a route that matches goes before the name"
    );
}

#[test]
fn nothing_to_go_to_is_no_route() {
    let world = world(vec![Route {
        r#match: Some(Match {
            models: strings(&["logical"]),
            ..Match::default()
        }),
        ..route("logical", &[("large", 1)], &[])
    }]);
    let cause = |model| match world.decide(&CallFacts { model, ..call() }).verdict {
        Verdict::NoRoute { cause } => Some(cause),
        _ => None,
    };
    assert_eq!(cause("logical"), None);
    assert_eq!(cause("unheard-of"), Some(NoRouteCause::UnknownModel));
    assert_eq!(cause(""), Some(NoRouteCause::NoMatch));
}

#[test]
fn the_chain_follows_the_target_and_names_nobody_twice() {
    let world = world(vec![route("all", &[("medium", 1)], &["large", "medium", "small"])]);
    let decision = world.decide(&call());
    assert_eq!(world.plan(&decision), ["medium", "large", "small"]);
    assert!(decision.dropped.is_empty());
    assert_eq!(decision.reason, "route `all` chose `medium` by weight");
}

#[test]
fn a_target_that_was_not_drawn_is_dropped_unless_the_chain_has_it() {
    let mut seen = [false, false];
    let world = world(vec![route("all", &[("medium", 1), ("large", 1)], &["small", "large"])]);
    for key in 0..20 {
        let decision = world.decide(&CallFacts {
            split_key: &key.to_string(),
            ..call()
        });
        if world.plan(&decision) == ["medium", "small", "large"] {
            seen[0] = true;
            assert!(decision.dropped.is_empty());
        } else {
            seen[1] = true;
            assert_eq!(world.plan(&decision), ["large", "small"]);
            assert_eq!(world.dropped(&decision), [("medium", "DROP_REASON_NOT_SELECTED")]);
        }
    }
    assert_eq!(seen, [true, true]);
}

#[test]
fn a_sticky_route_keeps_a_session_together() {
    let sticky = Route {
        sticky_by: "session".to_owned(),
        ..route("all", &[("medium", 1), ("large", 1)], &[])
    };
    let world = world(vec![sticky]);
    let plan = |session, split_key: &str| {
        let decision = world.decide(&CallFacts {
            session,
            split_key,
            ..call()
        });
        let facts = CallFacts {
            session,
            split_key,
            ..call()
        };
        let key = world.compiled.split_key(decision.route, &facts).to_owned();
        (world.plan(&decision)[0].to_owned(), key)
    };
    let of_session: Vec<_> = (0..50).map(|key| plan("s-1", &key.to_string())).collect();
    assert!(of_session.iter().all(|one| *one == of_session[0]) && of_session[0].1 == "s-1");
    let without: Vec<_> = (0..50).map(|key| plan("", &key.to_string()).0).collect();
    assert!(without.iter().any(|one| one == "medium") && without.iter().any(|one| one == "large"));
}

#[test]
fn a_downgrade_plans_one_model_under_the_same_route() {
    let mut config = config();
    config.routes = vec![Route {
        require_labels: labels(&[("residency", "eu")]),
        ..route("all", &[("large", 1)], &["medium"])
    }];
    config.models[1].labels = labels(&[("residency", "eu")]);
    config.models[2].labels = labels(&[("residency", "eu")]);
    let world = World::new(&config);
    let to = |model| world.compiled.downgrade(&call(), world.id(model), &world.health, NOW);
    assert_eq!(world.plan(&to("medium")), ["medium"]);
    assert_eq!(to("medium").route, world.decide(&call()).route);
    assert_eq!(world.dropped(&to("small")), [("small", "DROP_REASON_RESIDENCY")]);
}
