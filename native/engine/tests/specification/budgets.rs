//! Reserve: worst case, clamp, downgrade, alert, all together or not at all.
use fairlead_engine::Reason;
use fairlead_wire::internal::{Effect, EngineConfig, OnExceed, OutputCheck, PolicyRule, WindowKind};
use fairlead_wire::v1::{AdmitRequest, Amount, Attempt, AttemptOutcome, DropReason, EventKind, audit_record::Body};

use crate::bench::{Bench, HOUR, budget, call, config, failed, money, route, usd, used};

/// A budget per run, in nano-USD, for the lifetime of the run.
fn with_run_budget(limit: i64) -> EngineConfig {
    let mut config = config();
    let mut run = budget("run", &["run"], WindowKind::Lifetime);
    run.limit_nano_usd = Some(limit);
    config.budgets.push(run);
    config
}

#[test]
fn exactly_as_many_calls_as_fit_are_admitted() {
    // 100 of input and 200 of output: 500 nano-USD each.
    let mut bench = Bench::given(with_run_budget(2_600));
    let admitted = (0..50)
        .filter(|n| bench.admit(&call(&format!("c-{n}"), 100, 200)).is_ok())
        .count();
    // The sixth does not fit whole, and 64 tokens of output (228) do not fit into 100 either.
    assert_eq!(admitted, 5);
    assert_eq!(money(bench.budget("run", "run=r-1").reserved), 2_500);
}

#[test]
fn the_answer_is_clamped_to_what_fits_exactly() {
    let mut bench = Bench::given(with_run_budget(1_000));
    bench.admit(&call("a", 100, 200)).unwrap();
    let second = bench.admit(&call("b", 100, 300)).unwrap();
    // 500 are left: 100 for input, 400 for 200 tokens of output.
    assert_eq!((second.max_output_tokens, second.clamped), (200, true));
    assert_eq!(
        second.decision.unwrap().reason,
        "the call names the model `small`; budgets leave room for 200 output tokens"
    );
    assert_eq!(money(bench.budget("run", "run=r-1").reserved), 1_000);
}

#[test]
fn an_exhausted_budget_names_everything_there_is_to_know() {
    let mut bench = Bench::given(with_run_budget(1_000));
    let first = bench.admit(&call("a", 100, 200)).unwrap();
    bench.settle(&first.invocation, vec![used("small", 100, 150)]).unwrap();
    bench.admit(&call("b", 100, 200)).unwrap();
    let refused = bench.admit(&call("c", 100, 200)).unwrap_err();
    assert_eq!(refused.reason, Reason::BudgetExhausted);
    let facts = [
        "budget",
        "instance",
        "unit",
        "limit",
        "spent",
        "reserved",
        "requested",
        "resets_at",
    ];
    let said: Vec<&str> = facts.iter().map(|fact| refused.metadata[*fact].as_str()).collect();
    assert_eq!(
        said,
        ["run", "run=r-1", "nano_usd", "1000", "400", "500", "228", "never"]
    );
    assert_eq!(
        refused.message,
        "budget `run` has no room: the call needs up to $0.000000228, the limit is $0.000001, $0.0000004 spent and \
         $0.0000005 held"
    );
    // On record, with the invocation that was refused.
    assert_eq!(bench.last().kind(), EventKind::InvocationRejected);
    assert_eq!(bench.last().invocation, refused.metadata["invocation"]);
    assert_eq!(
        bench.ended(&refused.metadata["invocation"]).sequences,
        [bench.last().sequence]
    );
}

#[test]
fn all_instances_are_charged_or_none() {
    let mut config = with_run_budget(10_000);
    let mut tenant = budget("tenant", &["tenant"], WindowKind::Lifetime);
    tenant.limit_tokens = Some(500);
    config.budgets.push(tenant);
    let mut bench = Bench::given(config);
    bench.admit(&call("a", 100, 200)).unwrap();
    let refused = bench.admit(&call("b", 200, 100)).unwrap_err();
    assert_eq!(refused.metadata["budget"], "tenant");
    assert_eq!(refused.metadata["unit"], "tokens");
    assert_eq!(money(bench.budget("run", "run=r-1").reserved), 500);
    assert_eq!(bench.budget("tenant", "-").reserved.unwrap().tokens, 300);
}

#[test]
fn a_budget_without_a_value_for_its_scope_does_not_apply() {
    let mut bench = Bench::given(with_run_budget(1));
    let mut request = call("a", 100, 200);
    request.run.clear();
    assert!(bench.admit(&request).is_ok());
}

#[test]
fn requests_are_counted() {
    let mut config = config();
    let mut calls = budget("calls", &["tenant"], WindowKind::Day);
    calls.limit_requests = Some(2);
    config.budgets.push(calls);
    let mut bench = Bench::given(config);
    let first = bench.admit(&call("a", 1, 1)).unwrap();
    bench.settle(&first.invocation, vec![used("small", 1, 1)]).unwrap();
    let second = bench.admit(&call("b", 1, 1)).unwrap();
    let refused = bench.admit(&call("c", 1, 1)).unwrap_err();
    assert_eq!(
        (
            refused.metadata["unit"].as_str(),
            refused.metadata["requested"].as_str()
        ),
        ("requests", "1")
    );
    assert_eq!(refused.metadata["resets_at"], "2026-03-03T00:00:00Z");
    bench.release(&second.invocation).unwrap();
    assert!(bench.admit(&call("d", 1, 1)).is_ok());
}

#[test]
fn a_dearer_fallback_cannot_exceed_the_budget() {
    let mut config = with_run_budget(10_000);
    config.routes.push(route("all", "small", &["large"], 2));
    let mut bench = Bench::given(config);
    let admitted = bench.admit(&call("a", 100, 200)).unwrap();
    // Two failures of small, one of large, and the answer of large: 200 + 1,000 + 5,000.
    assert_eq!(money(admitted.reservation.unwrap().amount), 6_200);
    let attempts = vec![
        failed("small", AttemptOutcome::TimedOut),
        failed("small", AttemptOutcome::Failed),
        failed("large", AttemptOutcome::Failed),
        used("large", 100, 200),
    ];
    let settled = bench.settle(&admitted.invocation, attempts).unwrap();
    assert_eq!(
        (money(settled.charged), money(settled.released), settled.overdraft),
        (6_200, 0, false)
    );
}

#[test]
fn a_fallback_that_does_not_fit_even_clamped_is_left_out() {
    let mut config = with_run_budget(1_000);
    config.routes.push(route("all", "small", &["large"], 1));
    let mut bench = Bench::given(config);
    let admitted = bench.admit(&call("a", 100, 200)).unwrap();
    let plan: Vec<&str> = admitted.plan.iter().map(|one| one.model.as_str()).collect();
    assert_eq!(plan, ["small"]);
    let dropped: Vec<_> = admitted
        .dropped
        .iter()
        .map(|one| (one.model.as_str(), one.reason()))
        .collect();
    assert_eq!(dropped, [("large", DropReason::Budget)]);
    assert_eq!(money(admitted.reservation.unwrap().amount), 500);
}

#[test]
fn a_budget_can_downgrade() {
    let mut config = with_run_budget(1_000);
    config.budgets[0].on_exceed = OnExceed::Downgrade as i32;
    config.budgets[0].downgrade_to = "small".to_owned();
    let mut bench = Bench::given(config);
    let mut request = call("a", 100, 200);
    request.model = "large".to_owned();
    let admitted = bench.admit(&request).unwrap();
    assert_eq!(admitted.plan[0].model, "small");
    assert!(
        admitted
            .decision
            .unwrap()
            .reason
            .ends_with("(budget `run` downgrades the call)")
    );
    let Some(Body::Decision(record)) = bench.last().body else {
        panic!()
    };
    assert_eq!(record.downgraded_to, "small");
    assert_eq!(record.dropped[0].reason(), DropReason::Budget);
    // When the smaller model does not fit either, the budget refuses.
    request.request_id = "b".to_owned();
    bench.admit(&request).unwrap();
    request.request_id = "c".to_owned();
    assert_eq!(bench.admit(&request).unwrap_err().reason, Reason::BudgetExhausted);
}

#[test]
fn a_soft_budget_lets_through_and_says_so_once() {
    let mut config = with_run_budget(600);
    config.budgets[0].on_exceed = OnExceed::Alert as i32;
    let mut bench = Bench::given(config);
    for id in ["a", "b", "c"] {
        bench.admit(&call(id, 100, 200)).unwrap();
    }
    let alerts = bench
        .kinds()
        .iter()
        .filter(|kind| **kind == EventKind::BudgetAlert)
        .count();
    assert_eq!(alerts, 1);
    bench.crash();
    bench.admit(&call("d", 100, 200)).unwrap();
    assert_eq!(bench.last().kind(), EventKind::InvocationAdmitted);
}

#[test]
fn alerts_fire_once_per_threshold() {
    let mut config = with_run_budget(1_000);
    config.budgets[0].alert_at = vec![50, 80];
    let mut bench = Bench::given(config);
    let percents = |bench: &Bench| -> Vec<i32> {
        let events = bench.log().into_iter().filter_map(|record| match record.body {
            Some(Body::Budget(event)) => Some(event.threshold_percent),
            _ => None,
        });
        events.collect()
    };
    for id in ["a", "b", "c", "d"] {
        let admitted = bench.admit(&call(id, 50, 75)).unwrap();
        bench.settle(&admitted.invocation, vec![used("small", 50, 75)]).unwrap();
        bench.crash();
    }
    assert_eq!(money(bench.budget("run", "run=r-1").spent), 800);
    assert_eq!(percents(&bench), [50, 80]);
}

#[test]
fn cached_input_counts_unless_the_budget_says_otherwise() {
    let mut config = config();
    let mut all = budget("all", &["tenant"], WindowKind::Lifetime);
    all.limit_tokens = Some(10_000);
    let mut fresh = all.clone();
    fresh.name = "fresh".to_owned();
    fresh.count_cached = false;
    config.budgets.extend([all, fresh]);
    let mut bench = Bench::given(config);
    let admitted = bench.admit(&call("a", 1_000, 100)).unwrap();
    let mut attempt = used("small", 200, 100);
    attempt.usage.as_mut().unwrap().cached_input = 800;
    bench.settle(&admitted.invocation, vec![attempt]).unwrap();
    assert_eq!(bench.budget("all", "-").spent.unwrap().tokens, 1_100);
    assert_eq!(bench.budget("fresh", "-").spent.unwrap().tokens, 300);
}

#[test]
fn an_adjustment_credits_never_below_zero_and_debits_on_record() {
    let mut bench = Bench::given(with_run_budget(1_000));
    let admitted = bench.admit(&call("a", 100, 200)).unwrap();
    bench
        .settle(&admitted.invocation, vec![used("small", 100, 200)])
        .unwrap();
    assert_eq!(money(bench.adjust("run", "run=r-1", usd(200)).unwrap().spent), 300);
    assert_eq!(money(bench.adjust("run", "run=r-1", usd(900)).unwrap().spent), 0);
    let Some(Body::Budget(event)) = bench.last().body else {
        panic!()
    };
    assert_eq!((money(event.amount), event.reason.as_str()), (300, "refund"));
    assert_eq!(money(bench.adjust("run", "run=r-1", usd(-1_500)).unwrap().spent), 1_500);
    assert_eq!(
        bench.admit(&call("b", 1, 64)).unwrap_err().reason,
        Reason::BudgetExhausted
    );
    let missing = bench.adjust("run", "run=r-2", usd(1)).unwrap_err();
    assert_eq!(missing.reason, Reason::NotFound);
    let invalid = bench.adjust("run", "run=r-1", Amount::default()).unwrap_err();
    assert_eq!(invalid.violations[0].field, "credit");
}

#[test]
fn instances_are_bounded_and_only_idle_empty_ones_make_room() {
    let mut config = with_run_budget(10_000);
    config.limits.as_mut().unwrap().budget_instances = 6;
    let mut bench = Bench::given(config);
    let in_run = |run: &str, id: &str| {
        let mut request = call(id, 100, 200);
        request.run = run.to_owned();
        request
    };
    let spent = bench.admit(&in_run("spent", "a")).unwrap();
    bench.settle(&spent.invocation, vec![used("small", 1, 1)]).unwrap();
    let held = bench.admit(&in_run("held", "b")).unwrap();
    let empty = bench.admit(&in_run("empty", "c")).unwrap();
    let refused = bench.admit(&in_run("fourth", "d")).unwrap_err();
    assert_eq!(
        (refused.reason, refused.metadata["bound"].as_str()),
        (Reason::QueueFull, "limits.budgetInstances")
    );
    bench.release(&empty.invocation).unwrap();
    bench.admit(&in_run("fourth", "e")).unwrap();
    assert_eq!(bench.budget("run", "run=empty").budget, "");
    assert_eq!(money(bench.budget("run", "run=spent").spent), 3);
    bench.release(&held.invocation).unwrap();
    bench.admit(&in_run("fifth", "f")).unwrap();
    assert_eq!(bench.engine.budget_instances(), 3);
}

#[test]
fn sums_beyond_the_range_are_refused() {
    let mut config = with_run_budget(i64::from(i32::MAX));
    config.models[0].price.as_mut().unwrap().input_pico = 1_000_000_000_000;
    let mut bench = Bench::given(config);
    let refused = bench.admit(&call("a", 1_000_000_000_000, 100)).unwrap_err();
    assert_eq!(refused.reason, Reason::InvalidArgument);
}

#[test]
fn an_instance_that_is_made_again_is_not_deleted_with_the_one_that_was_dropped() {
    let mut config = config();
    config.limits.as_mut().unwrap().budget_instances = 1;
    config.reservations.as_mut().unwrap().charge_on_expiry = false;
    for (name, scope) in [("a", "run"), ("b", "session")] {
        let mut one = budget(name, &[scope], WindowKind::Lifetime);
        one.limit_nano_usd = Some(10_000);
        config.budgets.push(one);
    }
    let mut bench = Bench::given(config);
    let with = |id: &str, run: &str, session: &str| AdmitRequest {
        run: run.to_owned(),
        session: session.to_owned(),
        ..call(id, 100, 100)
    };
    let first = bench.admit(&with("1", "r-1", "")).unwrap().invocation;
    bench.after(HOUR);
    assert_eq!(bench.expire(), 1);
    // `a` makes room for r-2 by dropping r-1, which is empty; `b` is full, and the call is refused.
    bench.admit(&with("2", "", "s-1")).unwrap();
    let refused = bench.admit(&with("3", "r-2", "s-2")).unwrap_err();
    assert_eq!(refused.reason, Reason::QueueFull);
    // r-1 is charged after all, and then another call is admitted.
    bench.settle(&first, vec![used("small", 100, 100)]).unwrap();
    bench.admit(&with("4", "", "")).unwrap();
    bench.crash();
    assert_eq!(money(bench.budget("a", "run=r-1").spent), 300);
}

#[test]
fn an_answer_that_is_refused_is_paid_for_and_the_next_one_too() {
    let mut config = config();
    let mut all = route("all", "small", &["large"], 1);
    all.fallback.as_mut().unwrap().on.push("rejected".to_owned());
    config.routes.push(all);
    config.policies.push(PolicyRule {
        name: "short".to_owned(),
        on: "model.output".to_owned(),
        effect: Effect::Reject as i32,
        output: Some(OutputCheck {
            max_bytes: 1,
            ..OutputCheck::default()
        }),
        ..PolicyRule::default()
    });
    let mut run = budget("run", &["run"], WindowKind::Lifetime);
    run.limit_nano_usd = Some(1_000);
    config.budgets.push(run);
    let mut bench = Bench::given(config);
    let reply = bench.admit(&call("a", 10, 10)).unwrap();
    // 10 + 20 of the small model, ten times as much of the large one.
    let held = 30 + 300;
    assert_eq!(money(bench.budget("run", "run=r-1").reserved), held);
    let refused = Attempt {
        outcome: AttemptOutcome::Rejected as i32,
        ..used("small", 10, 10)
    };
    bench
        .settle(&reply.invocation, vec![refused, used("large", 10, 10)])
        .unwrap();
    assert_eq!(
        money(bench.budget("run", "run=r-1").spent),
        held,
        "INVARIANT (I1): no more than was held"
    );
}
