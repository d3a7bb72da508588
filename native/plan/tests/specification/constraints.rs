use fairlead_plan::{CallFacts, InputSize, NoRouteCause, Tokens, Verdict};
use fairlead_wire::internal::Route;

use crate::world::*;

fn world(change: impl FnOnce(&mut fairlead_wire::internal::EngineConfig)) -> World {
    let mut config = config();
    config.routes = vec![route("all", &[("large", 1)], &["medium", "small"])];
    change(&mut config);
    World::new(&config)
}

#[test]
fn a_missing_capability_drops_a_model() {
    let world = world(|config| config.models[1].capabilities.push("vision".to_owned()));
    let wanted = strings(&["vision", "tools"]);
    let decision = world.decide(&CallFacts {
        capabilities: &wanted,
        ..call()
    });
    assert_eq!(world.plan(&decision), ["medium"]);
    assert_eq!(
        world.dropped(&decision),
        [("large", "DROP_REASON_CAPABILITY"), ("small", "DROP_REASON_CAPABILITY")]
    );
    assert_eq!(decision.dropped[0].detail, "lacks `vision`");
}

#[test]
fn a_tool_that_runs_at_the_provider_has_to_be_granted_by_name() {
    let world = world(|config| {
        config.models[0].capabilities = strings(&["provider-tool.web_search"]);
        config.models[1].capabilities.clear();
        config.models[2].capabilities = strings(&["tools", "json"]);
    });
    let searches = strings(&["provider-tool.web_search", "tools"]);
    let decision = world.decide(&CallFacts {
        capabilities: &searches,
        ..call()
    });
    assert_eq!(
        decision.plan.len(),
        1,
        "what declares only tools of the provider lacks nothing else"
    );
    assert_eq!(decision.dropped.len(), 2, "also the model that declares nothing");
    assert_eq!(decision.dropped[0].detail, "lacks `provider-tool.web_search`");

    let other = strings(&["provider-tool.mcp"]);
    let decision = world.decide(&CallFacts {
        capabilities: &other,
        ..call()
    });
    assert!(decision.plan.is_empty());
}

#[test]
fn quality_below_the_wanted_one_drops_a_model() {
    let world = world(|_| ());
    let decision = world.decide(&CallFacts {
        min_quality: Some(0.8),
        ..call()
    });
    assert_eq!(world.plan(&decision), ["large", "medium"]);
    assert_eq!(world.dropped(&decision), [("small", "DROP_REASON_QUALITY")]);
    assert!(
        world
            .decide(&CallFacts {
                min_quality: Some(f64::NAN),
                ..call()
            })
            .plan
            .is_empty()
    );
}

#[test]
fn a_call_that_does_not_fit_the_context_or_the_output_maximum_drops_a_model() {
    let world = world(|config| {
        config.models[2].context_tokens = 20_000;
        config.models[1].max_output_tokens = 2_000;
    });
    let decision = world.decide(&CallFacts {
        input: InputSize::Tokens(18_000),
        max_output_tokens: 4_000,
        ..call()
    });
    assert_eq!(world.plan(&decision), ["small"]);
    assert_eq!(
        world.dropped(&decision),
        [("large", "DROP_REASON_CONTEXT"), ("medium", "DROP_REASON_CONTEXT")]
    );
}

#[test]
fn without_a_wanted_length_a_model_answers_what_its_maximum_and_its_context_leave() {
    let world = world(|config| config.models[2].context_tokens = 17_000);
    let decision = world.decide(&CallFacts {
        input: InputSize::Tokens(16_000),
        ..call()
    });
    let most: Vec<Tokens> = decision.plan.iter().map(|planned| planned.max_output).collect();
    assert_eq!(most, [Tokens(1_000), Tokens(16_000), Tokens(16_000)]);
    assert_eq!((decision.max_output_tokens, decision.policy_clamped), (1_000, false));
}

#[test]
fn bytes_bound_the_tokens_but_do_not_exclude_a_prompt_that_likely_fits() {
    let world = world(|_| ());
    let decision = world.decide(&CallFacts {
        input: InputSize::Bytes(50_000),
        ..call()
    });
    assert_eq!(decision.plan[0].input_bound, Tokens(50_000));
    let long = world.decide(&CallFacts {
        input: InputSize::Bytes(400_000),
        ..call()
    });
    assert_eq!(
        long.plan[0].input_bound,
        Tokens(128_000),
        "no provider takes more than the context"
    );
    let too_long = world.decide(&CallFacts {
        input: InputSize::Bytes(4_000_000),
        ..call()
    });
    assert_eq!(
        too_long.verdict,
        Verdict::NoRoute {
            cause: NoRouteCause::NoCandidate
        }
    );
}

#[test]
fn a_refusal_says_what_stands_against_the_first_models() {
    let world = world(|config| {
        for model in &mut config.models {
            model.max_output_tokens = 2_000;
        }
    });
    let refused = world.decide(&CallFacts {
        max_output_tokens: 4_000,
        ..call()
    });
    assert_eq!(
        refused.reason,
        "route `all` has no model that can take the call: \
         `large` is out: answers at most 2000 tokens, 4000 are asked for; \
         `medium` is out: answers at most 2000 tokens, 4000 are asked for; \
         `small` is out: answers at most 2000 tokens, 4000 are asked for"
    );
}

#[test]
fn what_the_provider_has_stored_may_fill_the_context_of_any_model() {
    let world = world(|config| config.models[0].context_tokens = 0);
    let decision = world.decide(&CallFacts {
        input: InputSize::Stored(40),
        ..call()
    });
    let bounds: Vec<Tokens> = decision.plan.iter().map(|planned| planned.input_bound).collect();
    assert_eq!(bounds, [Tokens(128_000), Tokens(128_000), Tokens(1_000_000)]);
    assert!(
        decision.max_output_tokens > 0,
        "the answer has its room: what is stored has fitted before"
    );
    assert_eq!(InputSize::Stored(40).upper_bound(), Tokens(1_000_000));
    assert_eq!(InputSize::Stored(2_000_000).upper_bound(), Tokens(2_000_000));
}

#[test]
fn the_least_output_is_the_calls_else_the_routes_else_64() {
    let least = |route_says, call_says, asked| {
        let world = world(|config| config.routes[0].min_output_tokens = route_says);
        world
            .decide(&CallFacts {
                min_output_tokens: call_says,
                max_output_tokens: asked,
                ..call()
            })
            .min_output_tokens
    };
    assert_eq!(
        [
            least(0, 0, 0),
            least(200, 0, 0),
            least(200, 300, 0),
            least(200, 0, 100),
            least(0, 90, 80)
        ],
        [64, 200, 300, 100, 80]
    );
}

#[test]
fn a_model_that_cannot_give_the_least_output_is_dropped() {
    let world = world(|config| config.models[2].max_output_tokens = 500);
    assert_eq!(
        world.plan(&world.decide(&CallFacts {
            min_output_tokens: 501,
            ..call()
        })),
        ["medium", "small"]
    );
}

#[test]
fn every_model_of_the_plan_has_the_labels_of_the_route() {
    let world = world(|config| {
        config.routes[0].require_labels = labels(&[("residency", "eu")]);
        config.models[2].labels = labels(&[("residency", "us")]);
        config.models[1].labels = labels(&[("residency", "eu"), ("zone", "1")]);
    });
    let decision = world.decide(&call());
    assert_eq!(world.plan(&decision), ["medium"]);
    assert_eq!(
        world.dropped(&decision),
        [("large", "DROP_REASON_RESIDENCY"), ("small", "DROP_REASON_RESIDENCY")]
    );
}

#[test]
fn the_first_reason_in_the_fixed_order_is_given() {
    let world = world(|config| {
        config.routes[0].require_labels = labels(&[("residency", "eu")]);
        config.models[2].context_tokens = 10_000;
        config.models[2].max_output_tokens = 10_000;
    });
    let wanted = strings(&["vision"]);
    let long = CallFacts {
        input: InputSize::Tokens(20_000),
        min_quality: Some(0.95),
        ..call()
    };
    let reason = |facts: &CallFacts<'_>| world.dropped(&world.decide(facts))[0].1;
    assert_eq!(
        reason(&CallFacts {
            capabilities: &wanted,
            ..long
        }),
        "DROP_REASON_CAPABILITY"
    );
    assert_eq!(reason(&long), "DROP_REASON_QUALITY");
    assert_eq!(
        reason(&CallFacts {
            min_quality: None,
            ..long
        }),
        "DROP_REASON_CONTEXT"
    );
    assert_eq!(reason(&call()), "DROP_REASON_RESIDENCY");
}

#[test]
fn an_attempt_has_the_time_of_its_provider_and_never_more_than_the_route() {
    let timeout = |millis| {
        let world = world(|config| {
            config.routes[0] = Route {
                timeout_millis: millis,
                ..config.routes[0].clone()
            }
        });
        world.decide(&call()).plan[0].timeout.as_millis()
    };
    assert_eq!([timeout(0), timeout(900)], [600_000, 900]);
}

#[test]
fn absurd_sizes_drop_candidates_and_never_wrap() {
    let world = world(|config| config.models[0].context_tokens = 0);
    for input in [InputSize::Tokens(i64::MAX), InputSize::Bytes(i64::MAX)] {
        for size in [0, 1, i64::MAX] {
            let decision = world.decide(&CallFacts {
                input,
                max_output_tokens: size,
                min_output_tokens: size,
                choices: i64::MAX,
                ..call()
            });
            assert_eq!(decision.plan.is_empty(), size == i64::MAX);
        }
    }
}
