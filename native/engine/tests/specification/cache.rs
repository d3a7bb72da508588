//! Answers from the response cache: decided like any call, and free.
use fairlead_engine::{AdmitExtra, Cached, Caller, Reason, Refusal};
use fairlead_wire::internal::{self, EngineConfig, WindowKind};
use fairlead_wire::v1::{AdmitResponse, Amount, DecisionRecord, EventKind, InvocationState, audit_record::Body};

use crate::bench::{Bench, budget, call, config, money, route, used};

const BOT: Caller<'static> = Caller::agent("acme", "bot");

fn with_cache(model: &str) -> AdmitExtra<'_> {
    AdmitExtra {
        settled_by_sidecar: true,
        cached: Some(Cached {
            model,
            config_version: "v1",
            invocation: "inv_before",
            content_digest: [7; 32],
            content_bytes: 11,
        }),
        ..AdmitExtra::default()
    }
}

fn routed() -> EngineConfig {
    let mut config = config();
    config.routes.push(route("all", "large", &["small"], 1));
    config.routes[0].cache_ttl_millis = 60_000;
    config
}

fn last_decision(bench: &Bench) -> DecisionRecord {
    let decision = |one: &fairlead_wire::v1::AuditRecord| match &one.body {
        Some(Body::Decision(decision)) => Some(decision.clone()),
        _ => None,
    };
    bench.log().iter().rev().find_map(decision).unwrap()
}

fn is_hit(reply: &AdmitResponse) -> bool {
    reply.reservation.is_none()
}

#[test]
fn an_answer_of_another_configuration_is_not_there() {
    let mut bench = Bench::given(routed());
    bench.load(|_| ());
    let reply = bench.admit_as(BOT, &call("", 100, 10), with_cache("small")).unwrap();
    assert!(!is_hit(&reply), "the rules may have changed while the call waited");
    assert_eq!(last_decision(&bench).inputs.unwrap().cached_model, "");
}

#[test]
fn a_hit_is_admitted_and_settled_at_once_and_holds_nothing() {
    let mut config = routed();
    let mut run = budget("run", &["run"], WindowKind::Lifetime);
    (run.limit_nano_usd, run.limit_requests) = (Some(1), Some(1));
    config.budgets.push(run);
    let mut bench = Bench::given(config);
    let reply = bench.admit_as(BOT, &call("", 100, 10), with_cache("small")).unwrap();
    assert!(
        is_hit(&reply) && reply.plan.is_empty(),
        "a budget without room is not in the way"
    );
    assert_eq!(
        bench.kinds()[1..],
        [EventKind::InvocationAdmitted, EventKind::InvocationSettled]
    );
    assert_eq!(bench.engine.open_reservations(), 0);
    let decision = last_decision(&bench);
    assert!(decision.cached && decision.charges.is_empty());
    assert_eq!(decision.reserved, Some(Amount::default()));
    let inputs = decision.inputs.unwrap();
    assert_eq!(
        (inputs.cached_model.as_str(), inputs.cached_invocation.as_str()),
        ("small", "inv_before")
    );
    let Some(Body::Settlement(settled)) = bench.last().body else {
        panic!("a settlement")
    };
    assert_eq!((settled.model.as_str(), money(settled.charged)), ("small", 0));
    assert_eq!((settled.content_digest, settled.content_bytes), (vec![7; 32], 11));
    let ended = bench.ended(&reply.invocation);
    assert_eq!((ended.state(), ended.sequences), (InvocationState::Settled, vec![2, 3]));
    assert!(bench.budgets().is_empty());
}

#[test]
fn a_model_that_may_not_answer_now_makes_it_an_ordinary_call() {
    let mut bench = Bench::given(routed());
    let reply = bench
        .admit_as(BOT, &call("", 100, 10), with_cache("elsewhere"))
        .unwrap();
    assert!(!is_hit(&reply) && reply.plan.len() == 2);
    let decision = last_decision(&bench);
    assert!(!decision.cached && decision.inputs.unwrap().cached_model == "elsewhere");
    bench.load(|config| config.routes[0].cache_ttl_millis = 0);
    let reply = bench.admit_as(BOT, &call("", 100, 10), with_cache("small")).unwrap();
    assert!(!is_hit(&reply), "the route keeps no answers");
}

#[test]
fn policy_is_asked_first() {
    let mut config = routed();
    config.policies.push(internal::PolicyRule {
        name: "no-bots".to_owned(),
        on: "model.call".to_owned(),
        r#match: Some(internal::Match {
            agents: vec!["bot".to_owned()],
            ..internal::Match::default()
        }),
        effect: internal::Effect::Deny as i32,
        ..internal::PolicyRule::default()
    });
    let mut bench = Bench::given(config);
    let refused = bench
        .admit_as(BOT, &call("", 100, 10), with_cache("small"))
        .unwrap_err();
    assert_eq!(refused.reason, Reason::PolicyDenied);

    bench.load(|config| {
        config.policies[0].effect = internal::Effect::Constrain as i32;
        config.policies[0].max_output_tokens = 5;
    });
    let reply = bench.admit_as(BOT, &call("", 100, 10), with_cache("small")).unwrap();
    assert!(!is_hit(&reply), "the answer may be longer than policy allows now");
}

#[test]
fn a_hit_takes_a_request_of_the_rate_but_no_tokens_and_no_place() {
    let mut config = routed();
    config.rate_limits.push(internal::RateLimit {
        name: "rpm".to_owned(),
        scope: vec!["agent".to_owned()],
        requests_per_minute: 60,
        tokens_per_minute: 110,
        concurrent: 1,
        burst_requests: 3,
        ..internal::RateLimit::default()
    });
    let mut bench = Bench::given(config);
    let held = bench.admit(&call("first", 100, 10)).unwrap();
    for _ in 0..2 {
        let reply = bench.admit_as(BOT, &call("", 100, 10), with_cache("small")).unwrap();
        assert!(is_hit(&reply), "tokens and places are used up");
    }
    let Err(Refusal::Rejected(refused)) = bench.try_admit(BOT, &call("", 100, 10), with_cache("small")) else {
        panic!("the fourth request")
    };
    assert_eq!(
        (refused.reason, refused.metadata["unit"].as_str()),
        (Reason::RateLimited, "requests")
    );
    bench.settle(&held.invocation, vec![used("large", 1, 1)]).unwrap();
    bench.after(2 * crate::bench::SECOND);
    assert!(!is_hit(&bench.admit(&call("again", 10, 10)).unwrap()));
}

#[test]
fn a_hit_outlives_a_crash_and_a_repeated_id_gets_it_again() {
    let mut bench = Bench::given(routed());
    let extra = AdmitExtra {
        remember: true,
        ..with_cache("small")
    };
    let first = bench.admit_as(BOT, &call("r", 100, 10), extra).unwrap();
    bench.crash();
    let again = bench.admit_as(BOT, &call("r", 100, 10), extra).unwrap();
    assert_eq!(again, first);
    let refused = bench.settle(&first.invocation, vec![used("small", 1, 1)]).unwrap_err();
    assert_eq!(refused.reason, Reason::InvalidState);
}
