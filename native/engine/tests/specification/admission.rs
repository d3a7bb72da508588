//! Policy, routing, validation and the clock.
use fairlead_engine::{AdmitExtra, Caller, Reason};
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{Effect, OutputCheck, PolicyRule};
use fairlead_wire::v1::admit_request::Input;
use fairlead_wire::v1::{AdmitRequest, AttemptOutcome, EventKind, audit_record::Body};

use crate::bench::{Bench, SECOND, call, config, failed, money, route, used};

#[test]
fn an_admission_says_what_was_decided_and_why() {
    let mut config = config();
    config.routes.push(route("all", "small", &["large"], 1));
    let mut bench = Bench::given(config);
    let admitted = bench.admit(&call("a", 100, 200)).unwrap();
    assert!(admitted.invocation.starts_with("inv_"));
    let decision = admitted.decision.unwrap();
    assert_eq!(
        (decision.config_version.as_str(), decision.route.as_str()),
        ("v1", "all")
    );
    assert!(
        decision.reason.starts_with("route `all` chose `small`"),
        "{}",
        decision.reason
    );
    let plan: Vec<_> = admitted
        .plan
        .iter()
        .map(|one| (one.model.as_str(), one.upstream_model.as_str()))
        .collect();
    assert_eq!(plan, [("small", "small-upstream"), ("large", "large-upstream")]);
    assert_eq!((admitted.max_output_tokens, admitted.clamped), (200, false));
}

/// The bench decides every admission again from its record, so the names are recomputed here as well.
#[test]
fn the_rules_that_the_answer_has_to_pass_are_named_and_recorded() {
    let mut config = config();
    config.policies.push(PolicyRule {
        name: "no-addresses".to_owned(),
        on: "model.output".to_owned(),
        when: "request.inputTokens > 50".to_owned(),
        effect: Effect::Redact as i32,
        output: Some(OutputCheck {
            detectors: vec!["email".to_owned()],
            ..OutputCheck::default()
        }),
        ..PolicyRule::default()
    });
    let mut bench = Bench::given(config);
    let admitted = bench.admit(&call("a", 100, 200)).unwrap();
    assert_eq!(admitted.decision.unwrap().output_rules, ["no-addresses"]);
    let Some(Body::Decision(record)) = bench.last().body else {
        panic!("no decision");
    };
    assert_eq!(record.decision.unwrap().output_rules, ["no-addresses"]);
    let admitted = bench.admit(&call("b", 10, 200)).unwrap();
    assert!(admitted.decision.unwrap().output_rules.is_empty());
}

#[test]
fn ids_are_version_7_uuids_that_sort_by_time() {
    let mut bench = Bench::given(config());
    let mut before = String::new();
    for number in 0..100 {
        let id = bench
            .after(SECOND)
            .admit(&call(&format!("c-{number}"), 1, 1))
            .unwrap()
            .invocation;
        assert!(id > before);
        assert_eq!(&id[16..17], "7");
        assert!("89ab".contains(&id[20..21]));
        before = id;
    }
}

#[test]
fn a_policy_denial_names_the_rule_and_is_recorded() {
    let mut config = config();
    config.policies.push(PolicyRule {
        name: "no-large-inputs".to_owned(),
        on: "model.call".to_owned(),
        when: "request.inputTokens > 1000".to_owned(),
        effect: Effect::Deny as i32,
        ..PolicyRule::default()
    });
    let mut bench = Bench::given(config);
    bench.admit(&call("a", 1_000, 1)).unwrap();
    let refused = bench.admit(&call("b", 1_001, 1)).unwrap_err();
    assert_eq!(refused.reason, Reason::PolicyDenied);
    assert_eq!(
        (
            refused.metadata["rule"].as_str(),
            refused.metadata["config_version"].as_str()
        ),
        ("no-large-inputs", "v1")
    );
    let Some(Body::Decision(record)) = bench.last().body else {
        panic!()
    };
    assert_eq!(record.rejection, "POLICY_DENIED");
    assert_eq!(record.decision.unwrap().deciding_rule, "no-large-inputs");
}

#[test]
fn an_expression_that_fails_denies() {
    let mut config = config();
    config.policies.push(PolicyRule {
        name: "divides".to_owned(),
        on: "model.call".to_owned(),
        when: "100 / request.maxOutputTokens > 1".to_owned(),
        effect: Effect::Deny as i32,
        ..PolicyRule::default()
    });
    let mut bench = Bench::given(config);
    let refused = bench.admit(&call("a", 1, 0)).unwrap_err();
    assert_eq!(refused.reason, Reason::PolicyDenied);
    assert_eq!(
        (refused.metadata["rule"].as_str(), refused.metadata["cause"].as_str()),
        ("divides", "expression_failed")
    );
    assert!(!refused.metadata["error"].is_empty());
}

#[test]
fn an_unknown_model_has_no_route() {
    let mut bench = Bench::given(config());
    let mut request = call("a", 1, 1);
    request.model = "nonsense".to_owned();
    let refused = bench.admit(&request).unwrap_err();
    assert_eq!(
        (refused.reason, refused.metadata["cause"].as_str()),
        (Reason::NoRoute, "unknown_model")
    );
    assert_eq!(bench.last().kind(), EventKind::InvocationRejected);
}

#[test]
fn a_model_that_fails_is_left_alone_and_its_health_is_on_record() {
    let mut config = config();
    config.routes.push(route("all", "small", &["large"], 1));
    let mut bench = Bench::given(config);
    for number in 0..5 {
        let hold = bench.admit(&call(&format!("c-{number}"), 1, 1)).unwrap().invocation;
        bench
            .settle(&hold, vec![failed("small", AttemptOutcome::TimedOut)])
            .unwrap();
    }
    let admitted = bench.admit(&call("last", 1, 1)).unwrap();
    assert_eq!(admitted.plan[0].model, "large");
    let Some(Body::Decision(record)) = bench.last().body else {
        panic!()
    };
    assert_eq!(record.inputs.unwrap().health[0].model, "small");
}

#[test]
fn every_violation_is_reported_at_once() {
    let mut bench = Bench::given(config());
    let mut request = call("", -1, -5);
    request.session = "x".repeat(129);
    request.min_quality = Some(f64::NAN);
    request.labels = (0..33)
        .map(|n| (format!("l{n}"), "v".repeat(if n == 0 { 300 } else { 1 })))
        .collect();
    let refused = bench.admit(&request).unwrap_err();
    let fields: Vec<&str> = refused.violations.iter().map(|one| one.field.as_str()).collect();
    let expected = [
        "request_id",
        "session",
        "labels",
        "labels[l0]",
        "input_tokens",
        "max_output_tokens",
        "min_quality",
    ];
    assert_eq!(fields, expected);
    request = call("a", 1_000_000_000_001, 1);
    assert_eq!(bench.admit(&request).unwrap_err().violations[0].field, "input_tokens");
    request.input = None;
    assert_eq!(bench.admit(&request).unwrap_err().violations[0].field, "input");
    request.input = Some(Input::InputBytes(5));
    assert!(bench.admit(&request).is_ok());
    // Nothing of the refused ones is on record.
    assert_eq!(
        bench.kinds(),
        [EventKind::SidecarStarted, EventKind::InvocationAdmitted]
    );
}

#[test]
fn a_small_step_of_the_clock_backwards_is_bridged_and_a_large_one_refused() {
    let mut bench = Bench::given(config());
    bench.admit(&call("a", 1, 1)).unwrap();
    bench.after(-5 * SECOND);
    bench.admit(&call("b", 1, 1)).unwrap();
    let log = bench.log();
    assert_eq!(log[1].time_unix_nanos, log[2].time_unix_nanos);
    bench.after(-SECOND);
    let refused = bench.admit(&call("c", 1, 1)).unwrap_err();
    assert_eq!(
        (refused.reason, refused.metadata["cause"].as_str()),
        (Reason::NotReady, "clock_set_back")
    );
    assert_eq!(refused.metadata["behind_millis"], "6000");
    // A restart does not forget, but is recorded.
    bench.crash();
    assert_eq!(bench.admit(&call("d", 1, 1)).unwrap_err().reason, Reason::NotReady);
    let started = bench.engine.start(UnixNanos(bench.now), "test");
    bench.take(started).unwrap();
    bench.after(6 * SECOND);
    bench.admit(&call("e", 1, 1)).unwrap();
}

#[test]
fn open_holds_are_bounded() {
    let mut config = config();
    config.limits.as_mut().unwrap().open_reservations = 1;
    let mut bench = Bench::given(config);
    let first = bench.admit(&call("a", 1, 1)).unwrap();
    let refused = bench.admit(&call("b", 1, 1)).unwrap_err();
    assert_eq!(
        (refused.reason, refused.metadata["bound"].as_str()),
        (Reason::QueueFull, "limits.openReservations")
    );
    bench.release(&first.invocation).unwrap();
    bench.admit(&call("b", 1, 1)).unwrap();
}

#[test]
fn labels_of_the_agent_win() {
    let mut config = config();
    config.tenants[0].agents[0]
        .labels
        .insert("tier".to_owned(), "gold".to_owned());
    let mut bench = Bench::given(config);
    let mut request = call("a", 1, 1);
    request.labels.insert("tier".to_owned(), "free".to_owned());
    request.labels.insert("x".to_owned(), "y".to_owned());
    bench.admit(&request).unwrap();
    let Some(Body::Decision(record)) = bench.last().body else {
        panic!()
    };
    let labels = record.inputs.unwrap().labels;
    assert_eq!((labels["tier"].as_str(), labels["x"].as_str()), ("gold", "y"));
}

#[test]
fn a_call_without_an_id_is_not_remembered() {
    let mut bench = Bench::given(config());
    let extra = AdmitExtra {
        choices: 2,
        ..AdmitExtra::default()
    };
    let caller = Caller::agent("acme", "bot");
    let first = bench.admit_as(caller, &call("", 10, 20), extra).unwrap();
    let second = bench.admit_as(caller, &call("", 10, 20), extra).unwrap();
    assert_ne!(first.invocation, second.invocation);
    // Two answers: 10 + 2 × 20 × 2.
    assert_eq!(first.reservation.unwrap().amount.unwrap().nano_usd, 90);
}

/// `previous_response_id` and its like: twenty bytes can name any number of tokens.
#[test]
fn stored_input_is_held_for_the_whole_context_but_takes_what_is_seen_from_a_rate_limit() {
    let mut config = config();
    config.models[0].context_tokens = 5_000;
    config.rate_limits = vec![fairlead_wire::internal::RateLimit {
        name: "tokens".to_owned(),
        tokens_per_minute: 100,
        ..Default::default()
    }];
    let mut bench = Bench::given(config);
    let caller = Caller::agent("acme", "bot");
    let extra = AdmitExtra {
        stored_input: true,
        ..AdmitExtra::default()
    };
    let request = AdmitRequest {
        input: Some(Input::InputBytes(20)),
        ..call("", 0, 10)
    };
    let seen = bench.admit_as(caller, &request, AdmitExtra::default()).unwrap();
    assert_eq!(money(seen.reservation.unwrap().amount), 20 + 10 * 2);
    let stored = bench.admit_as(caller, &request, extra).unwrap();
    assert_eq!(money(stored.reservation.unwrap().amount), 5_000 + 10 * 2);
    let Some(Body::Decision(record)) = bench.last().body else {
        panic!()
    };
    let inputs = record.inputs.unwrap();
    assert!(inputs.stored_input && inputs.input_bytes == 20 && inputs.estimates[0].tokens == 5_000);
    // 30 + 30 of the 100 are taken; what was read beyond is taken when it is known.
    bench.settle(&stored.invocation, vec![used("small", 60, 10)]).unwrap();
    let refused = bench.admit_as(caller, &request, extra).unwrap_err();
    assert_eq!(refused.reason, Reason::RateLimited);
}
