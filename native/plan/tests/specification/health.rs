use fairlead_plan::{AttemptReport, CallFacts, InputSize, NoRouteCause, Tokens, UnixNanos, Verdict};
use fairlead_wire::internal::{Breaker, EngineConfig, Retry, Route};
use fairlead_wire::v1::{AttemptOutcome, BreakerState, Usage};

use crate::world::*;

fn breaker() -> Breaker {
    Breaker {
        consecutive_failures: 3,
        failure_rate_per_mille: 500,
        minimum_calls: 10,
        window_millis: 30_000,
        open_millis: 10_000,
        max_open_millis: 60_000,
        ramp_millis: 30_000,
    }
}

fn world() -> World {
    let mut config = config();
    config.providers[0].breaker = Some(breaker());
    config.routes = vec![Route {
        retry: Some(Retry {
            attempts: 1,
            wait_for_retry_after_up_to_millis: 3_000,
            ..Retry::default()
        }),
        ..route("all", &[("large", 60), ("medium", 40)], &["small"])
    }];
    World::new(&config)
}

fn attempt(outcome: AttemptOutcome, status: i32) -> AttemptReport<'static> {
    AttemptReport {
        outcome,
        status,
        retry_after_nanos: None,
        latency_nanos: 0,
        input_bytes: None,
        usage: None,
    }
}

fn failed() -> AttemptReport<'static> {
    attempt(AttemptOutcome::Failed, 503)
}

fn at(seconds: i64) -> UnixNanos {
    NOW.plus_nanos(seconds * SECOND)
}

impl World {
    fn fail(&mut self, model: &str, times: usize) {
        for _ in 0..times {
            self.health.report(self.id(model), &failed(), NOW);
        }
    }

    fn state(&self, model: &str, now: UnixNanos) -> BreakerState {
        self.health.snapshot(&self.compiled, self.id(model), now).breaker()
    }

    /// First models of many calls.
    fn firsts(&self, now: UnixNanos) -> std::collections::BTreeMap<String, usize> {
        let mut firsts = std::collections::BTreeMap::new();
        for key in 0..1000 {
            let decision = self.compiled.decide(
                &CallFacts {
                    split_key: &key.to_string(),
                    ..call()
                },
                &self.health,
                now,
            );
            *firsts.entry(self.plan(&decision)[0].to_owned()).or_default() += 1;
        }
        firsts
    }
}

#[test]
fn an_open_breaker_drops_a_target_and_its_calls_are_drawn_again() {
    let mut world = world();
    world.fail("large", 3);
    assert_eq!(world.firsts(NOW), [("medium".to_owned(), 1000)].into());
    let decision = world.decide(&call());
    assert_eq!(world.plan(&decision), ["medium", "small"]);
    assert_eq!(world.dropped(&decision), [("large", "DROP_REASON_UNHEALTHY")]);
    assert_eq!(decision.dropped[0].detail, "breaker is open for 10001 ms");
    assert_eq!(decision.health[0].model, "large");
}

#[test]
fn without_a_healthy_target_the_chain_goes_first() {
    let mut world = world();
    world.fail("large", 3);
    world.fail("medium", 3);
    assert_eq!(world.plan(&world.decide(&call())), ["small"]);
}

#[test]
fn when_all_are_open_the_call_is_told_when_to_come_back() {
    let mut world = world();
    for model in ["large", "medium", "small"] {
        world.fail(model, 3);
    }
    let decision = world.decide(&call());
    assert_eq!(
        decision.verdict,
        Verdict::NoRoute {
            cause: NoRouteCause::Unavailable { retry_at: Some(at(10)) }
        }
    );
}

#[test]
fn a_half_open_target_is_planned_until_its_probe_is_out() {
    let mut world = world();
    world.fail("large", 3);
    let large = world.id("large");
    assert!(!world.health.may_try(large, at(9)));
    assert!(world.firsts(at(10)).contains_key("large"));
    assert!(world.health.may_try(large, at(10)));
    assert!(!world.health.may_try(large, at(10)));
    assert!(!world.firsts(at(10)).contains_key("large"));
}

#[test]
fn a_target_that_recovers_gets_a_growing_share() {
    let mut world = world();
    world.fail("large", 3);
    let large = world.id("large");
    assert!(world.health.may_try(large, at(10)));
    world
        .health
        .report(large, &attempt(AttemptOutcome::Succeeded, 200), at(10));
    let share = |seconds| world.firsts(at(seconds)).get("large").copied().unwrap_or_default();
    let shares = [share(10), share(25), share(40)];
    assert!((30..100).contains(&shares[0]), "a tenth of 600: {shares:?}");
    assert!((270..400).contains(&shares[1]), "about half: {shares:?}");
    assert!((550..650).contains(&shares[2]), "all: {shares:?}");
    assert_eq!(world.state("large", at(40)), BreakerState::Closed);
}

#[test]
fn a_ramp_sheds_onto_others_but_never_onto_nobody() {
    let mut world = world();
    for model in ["large", "medium"] {
        world.fail(model, 3);
        let id = world.id(model);
        assert!(world.health.may_try(id, at(10)));
        world
            .health
            .report(id, &attempt(AttemptOutcome::Succeeded, 200), at(10));
    }
    let firsts = world.firsts(at(10));
    assert!(firsts["small"] > 700, "{firsts:?}");
    let decision = world.compiled.decide(&call(), &world.health, at(10));
    assert_eq!(
        decision.plan.len(),
        2,
        "what was shed comes last: {:?}",
        world.plan(&decision)
    );

    let mut alone = World::new(&EngineConfig {
        routes: vec![route("all", &[("large", 1)], &[])],
        ..config()
    });
    alone.fail("large", 5);
    let id = alone.id("large");
    assert!(alone.health.may_try(id, at(10)));
    alone
        .health
        .report(id, &attempt(AttemptOutcome::Succeeded, 200), at(10));
    assert_eq!(alone.firsts(at(10)), [("large".to_owned(), 1000)].into());
}

#[test]
fn a_long_retry_after_closes_the_target_for_that_long_and_a_short_one_does_not() {
    let mut world = world();
    let large = world.id("large");
    let asked = |seconds| AttemptReport {
        retry_after_nanos: Some(seconds * SECOND),
        ..attempt(AttemptOutcome::Failed, 429)
    };
    world.health.report(large, &asked(3), NOW);
    assert_eq!(world.state("large", NOW), BreakerState::Closed, "the route waits 3 s");
    world.health.report(large, &asked(40), NOW);
    assert_eq!(world.state("large", at(39)), BreakerState::Open);
    assert_eq!(world.state("large", at(40)), BreakerState::HalfOpen);
}

#[test]
fn only_what_is_the_models_fault_counts() {
    for (report, counts) in [
        (attempt(AttemptOutcome::Failed, 500), true),
        (attempt(AttemptOutcome::Failed, 429), true),
        (attempt(AttemptOutcome::Failed, 408), true),
        (attempt(AttemptOutcome::ConnectFailed, 0), true),
        (attempt(AttemptOutcome::TimedOut, 0), true),
        (attempt(AttemptOutcome::Cut, 200), true),
        (attempt(AttemptOutcome::Garbled, 200), true),
        (attempt(AttemptOutcome::Failed, 400), false),
        (attempt(AttemptOutcome::Failed, 404), false),
        (attempt(AttemptOutcome::Cancelled, 0), false),
        (attempt(AttemptOutcome::Succeeded, 200), false),
    ] {
        let mut world = world();
        for _ in 0..3 {
            world.health.report(world.id("large"), &report, NOW);
        }
        assert_eq!(world.state("large", NOW) == BreakerState::Open, counts, "{report:?}");
    }
}

#[test]
fn a_cancelled_probe_lets_the_next_one_go() {
    let mut world = world();
    world.fail("large", 3);
    let large = world.id("large");
    assert!(world.health.may_try(large, at(10)));
    world
        .health
        .report(large, &attempt(AttemptOutcome::Cancelled, 0), at(10));
    assert!(world.health.may_try(large, at(10)));
}

#[test]
fn a_slow_model_is_dropped_by_max_p99_and_forgiven_when_the_samples_are_old() {
    let mut config = config();
    config.routes = vec![Route {
        max_p99_millis: 1_000,
        ..route("all", &[("large", 1)], &["small"])
    }];
    let mut world = World::new(&config);
    let slow = AttemptReport {
        latency_nanos: 5 * SECOND,
        ..attempt(AttemptOutcome::Succeeded, 200)
    };
    for _ in 0..20 {
        world.health.report(world.id("large"), &slow, NOW);
    }
    let decision = world.decide(&call());
    assert_eq!(world.plan(&decision), ["small"]);
    assert_eq!(world.dropped(&decision), [("large", "DROP_REASON_LATENCY")]);
    let later = world.compiled.decide(&call(), &world.health, at(301));
    assert_eq!(world.plan(&later), ["large", "small"]);
}

#[test]
fn a_learned_bound_is_used_where_the_model_allows_it() {
    let mut config = config();
    config.models[2].learned_input_bound = true;
    let mut world = World::new(&config);
    let usage = Usage {
        input: 200,
        cached_input: 50,
        ..Usage::default()
    };
    let report = AttemptReport {
        input_bytes: Some(1000),
        usage: Some(&usage),
        ..attempt(AttemptOutcome::Succeeded, 200)
    };
    for _ in 0..200 {
        world.health.report(world.id("large"), &report, NOW);
        world.health.report(world.id("medium"), &report, NOW);
    }
    let bound = |model| {
        let decision = world.decide(&CallFacts {
            model,
            input: InputSize::Bytes(10_000),
            ..call()
        });
        decision.plan[0].input_bound
    };
    assert_eq!([bound("large"), bound("medium")], [Tokens(2_750), Tokens(10_000)]);
}

#[test]
fn health_survives_a_new_configuration_by_name() {
    let mut world = world();
    world.fail("large", 3);
    world.fail("medium", 3);
    let mut changed = config();
    changed.models.reverse();
    changed.models[1].upstream = "another".to_owned();
    let new = fairlead_plan::Compiled::compile(&changed).unwrap();
    let health = world.health.carried_over(&world.compiled, &new);
    let state = |name| health.snapshot(&new, new.model_id(name).unwrap(), NOW).breaker();
    assert_eq!(state("large"), BreakerState::Open);
    assert_eq!(state("medium"), BreakerState::Closed, "it is another model now");
    assert_eq!(state("small"), BreakerState::Closed);
}

#[test]
fn what_an_agent_reports_counts_towards_the_threshold_and_opens_for_the_longest_time_at_most() {
    let mut world = world();
    let large = world.id("large");
    let asked = AttemptReport {
        retry_after_nanos: Some(86_400 * SECOND),
        ..attempt(AttemptOutcome::Failed, 429)
    };
    for _ in 0..2 {
        world.health.hear(large, &asked, NOW);
        assert_eq!(world.state("large", NOW), BreakerState::Closed);
    }
    world.health.hear(large, &asked, NOW);
    assert_eq!(world.state("large", at(59)), BreakerState::Open);
    // Reports about an open breaker do not stretch it.
    world.health.hear(large, &asked, at(59));
    assert_eq!(world.state("large", at(60)), BreakerState::HalfOpen);
}

#[test]
fn a_probe_is_taken_once_and_given_back_by_who_took_it() {
    let mut world = world();
    let large = world.id("large");
    assert_eq!(world.health.take_probe(large, NOW), None, "closed: none is needed");
    world.fail("large", 3);
    let probe = world.health.take_probe(large, at(10)).unwrap();
    assert_eq!(world.health.take_probe(large, at(10)), None);
    assert!(!world.health.may_try(large, at(10)));
    world.health.give_probe_back(large, probe, at(11));
    let next = world.health.take_probe(large, at(11)).unwrap();
    world.health.give_probe_back(large, probe, at(12));
    assert!(!world.health.may_try(large, at(12)), "that probe is another's");
    world.health.give_probe_back(large, next, at(12));
    assert!(world.health.may_try(large, at(12)));
}
