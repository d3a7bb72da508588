//! Which models can be asked, by the dialect of the request and those of their providers.
use fairlead_plan::{CallFacts, NoRouteCause, Verdict};
use fairlead_wire::internal::Provider;
use fairlead_wire::v1::{Dialect, Untranslatable};

use crate::world::*;

/// `large` at a provider that speaks Messages, the others Chat Completions by default.
fn world(drop_untranslatable: bool, dialects: &[Dialect]) -> World {
    let mut config = config();
    config.providers.push(Provider {
        name: "other".to_owned(),
        dialects: dialects.iter().map(|dialect| *dialect as i32).collect(),
        ..config.providers[0].clone()
    });
    config.models[2].provider = "other".to_owned();
    config.routes = vec![route("all", &[("large", 1)], &["small"])];
    config.routes[0].drop_untranslatable = drop_untranslatable;
    World::new(&config)
}

fn says(dialect: &str, field: &str, essential: bool) -> Untranslatable {
    Untranslatable {
        dialect: dialect.to_owned(),
        field: field.to_owned(),
        essential,
    }
}

const MESSAGES: &str = "anthropic-messages";

#[test]
fn a_model_that_cannot_be_told_the_request_is_dropped_with_the_field() {
    let world = world(false, &[Dialect::AnthropicMessages]);
    let fields = [says(MESSAGES, "n", true), says(MESSAGES, "seed", false)];
    let decision = world.decide(&CallFacts {
        dialect: "openai-chat",
        untranslatable: &fields,
        ..call()
    });
    assert_eq!(world.plan(&decision), ["small"]);
    assert_eq!(world.dropped(&decision), [("large", "DROP_REASON_UNTRANSLATABLE")]);
    assert_eq!(decision.dropped[0].detail, "n, seed");
}

#[test]
fn the_own_dialect_can_say_everything_and_a_call_without_a_body_has_nothing_to_say() {
    let world = world(false, &[Dialect::AnthropicMessages]);
    let fields = [says(MESSAGES, "n", true), says("openai-chat", "thinking", true)];
    for (dialect, plan) in [(MESSAGES, "large"), ("openai-chat", "small")] {
        let decision = world.decide(&CallFacts {
            dialect,
            untranslatable: &fields,
            ..call()
        });
        assert_eq!(world.plan(&decision), [plan], "{dialect}");
    }
    assert_eq!(world.plan(&world.decide(&call())), ["large", "small"]);
}

#[test]
fn a_route_may_drop_what_merely_tunes_but_never_what_is_essential() {
    let world = world(true, &[Dialect::AnthropicMessages]);
    let plan = |fields: &[Untranslatable]| {
        let facts = CallFacts {
            dialect: "openai-chat",
            untranslatable: fields,
            ..call()
        };
        world.plan(&world.decide(&facts)).len()
    };
    assert_eq!(plan(&[says(MESSAGES, "seed", false)]), 2);
    assert_eq!(plan(&[says(MESSAGES, "seed", false), says(MESSAGES, "n", true)]), 1);
}

#[test]
fn one_dialect_of_a_provider_is_enough_and_the_one_that_loses_nothing_is_taken() {
    let world = world(true, &[Dialect::AnthropicMessages, Dialect::OpenaiResponses]);
    let tuned = [says(MESSAGES, "seed", false)];
    let facts = CallFacts {
        dialect: "openai-chat",
        untranslatable: &tuned,
        ..call()
    };
    let large = &world.compiled.models()[2];
    assert_eq!(large.dialect_for(&facts, true), Ok("openai-responses"));
    let both = [says(MESSAGES, "seed", false), says("openai-responses", "stop", true)];
    let facts = CallFacts {
        untranslatable: &both,
        ..facts
    };
    assert_eq!(large.dialect_for(&facts, true), Ok(MESSAGES));
    assert_eq!(large.dialect_for(&facts, false), Err(vec![&both[0]]));
}

#[test]
fn nothing_to_translate_to_is_the_callers_to_change_unless_a_breaker_is_in_the_way() {
    let mut world = world(false, &[Dialect::AnthropicMessages]);
    let fields = [says(MESSAGES, "n", true), says("openai-chat", "prompt", true)];
    let facts = CallFacts {
        dialect: "openai-responses",
        untranslatable: &fields,
        ..call()
    };
    let decision = world.decide(&facts);
    let cause = NoRouteCause::Untranslatable {
        fields: fields.to_vec(),
    };
    assert_eq!(decision.verdict, Verdict::NoRoute { cause });
    assert!(
        decision.plan.is_empty() && decision.reason.contains("dialect"),
        "{}",
        decision.reason
    );

    let small = world.id("small");
    let report = fairlead_plan::AttemptReport {
        outcome: fairlead_wire::v1::AttemptOutcome::Failed,
        status: 429,
        retry_after_nanos: Some(60 * SECOND),
        latency_nanos: 0,
        input_bytes: None,
        usage: None,
    };
    world.health.report(small, &report, NOW);
    let only_messages = [says(MESSAGES, "n", true)];
    let decision = world.decide(&CallFacts {
        untranslatable: &only_messages,
        ..facts
    });
    assert!(matches!(
        decision.verdict,
        Verdict::NoRoute {
            cause: NoRouteCause::Unavailable { .. }
        }
    ));
}
