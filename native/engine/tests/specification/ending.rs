//! Every hold ends exactly once.
use fairlead_engine::{Caller, Reason};
use fairlead_wire::internal::{EngineConfig, WindowKind};
use fairlead_wire::v1::{
    AttemptOutcome, EventKind, InvocationState, ReleaseRequest, SettleRequest, Usage, audit_record::Body,
};

use crate::bench::{Bench, MINUTE, SECOND, budget, call, config, failed, money, used};

/// A budget of 10,000 per tenant.
fn with_budget() -> EngineConfig {
    let mut config = config();
    let mut one = budget("b", &["tenant"], WindowKind::Lifetime);
    one.limit_nano_usd = Some(10_000);
    config.budgets.push(one);
    config
}

fn state(bench: &Bench) -> (i64, i64) {
    let view = bench.budget("b", "-");
    (money(view.spent), money(view.reserved))
}

#[test]
fn a_settlement_charges_what_was_used_and_frees_the_rest() {
    let mut bench = Bench::given(with_budget());
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    let settled = bench.settle(&hold, vec![used("small", 90, 10)]).unwrap();
    assert_eq!((money(settled.charged), money(settled.released)), (110, 390));
    assert_eq!(state(&bench), (110, 0));
    let record = bench.ended(&hold);
    assert_eq!((record.state(), record.sequences.len()), (InvocationState::Settled, 2));
}

#[test]
fn a_release_gives_everything_back() {
    let mut bench = Bench::given(with_budget());
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    assert_eq!(money(bench.release(&hold).unwrap().released), 500);
    assert_eq!(state(&bench), (0, 0));
    assert_eq!(bench.ended(&hold).state(), InvocationState::Released);
}

#[test]
fn a_repetition_gets_the_first_answer_and_charges_nothing() {
    let mut bench = Bench::given(with_budget());
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    let request = SettleRequest {
        request_id: "s".to_owned(),
        invocation: hold.clone(),
        attempts: vec![used("small", 90, 10)],
    };
    let caller = Caller::agent("acme", "bot");
    let first = bench.settle_as(caller, &request).unwrap();
    bench.crash();
    assert_eq!(bench.settle_as(caller, &request).unwrap(), first);
    assert_eq!(state(&bench), (110, 0));
    // The same id for something else, and another id for the same.
    let mut other = request.clone();
    other.attempts.clear();
    assert_eq!(
        bench.settle_as(caller, &other).unwrap_err().violations[0].field,
        "request_id"
    );
    let again = bench.settle(&hold, vec![]).unwrap_err();
    assert_eq!(
        (again.reason, again.metadata["state"].as_str()),
        (Reason::InvalidState, "SETTLED")
    );
    assert_eq!(bench.release(&hold).unwrap_err().metadata["state"], "SETTLED");
}

#[test]
fn a_repeated_release_gets_the_first_answer() {
    let mut bench = Bench::given(with_budget());
    let invocation = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    let request = ReleaseRequest {
        request_id: "x".to_owned(),
        invocation: invocation.clone(),
        reason: String::new(),
    };
    let caller = Caller::agent("acme", "bot");
    let first = bench.release_as(caller, &request).unwrap();
    assert_eq!(bench.release_as(caller, &request).unwrap(), first);
    assert_eq!(
        bench.settle(&invocation, vec![]).unwrap_err().metadata["state"],
        "RELEASED"
    );
}

#[test]
fn another_tenants_invocation_is_not_there() {
    let mut bench = Bench::given(with_budget());
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    let request = SettleRequest {
        request_id: "s".to_owned(),
        invocation: hold.clone(),
        attempts: vec![],
    };
    let stranger = Caller::agent("globex", "bot");
    let open = bench.settle_as(stranger, &request).unwrap_err();
    bench.settle(&hold, vec![]).unwrap();
    let ended = bench.settle_as(stranger, &request).unwrap_err();
    let unknown = format!("inv_{}", "0".repeat(32));
    let unknown = bench
        .settle_as(
            stranger,
            &SettleRequest {
                invocation: unknown,
                ..request
            },
        )
        .unwrap_err();
    for rejection in [open, ended, unknown] {
        assert_eq!(rejection.reason, Reason::NotFound);
    }
}

#[test]
fn nothing_tried_charges_nothing() {
    let mut bench = Bench::given(with_budget());
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    let settled = bench.settle(&hold, vec![]).unwrap();
    assert_eq!(settled.charged.unwrap(), fairlead_wire::v1::Amount::default());
}

#[test]
fn attempts_without_usage_are_charged_by_what_they_can_have_cost() {
    for (outcome, charged) in [
        (AttemptOutcome::ConnectFailed, 0),
        (AttemptOutcome::Failed, 100),
        (AttemptOutcome::Cut, 100),
        (AttemptOutcome::Succeeded, 500),
    ] {
        let mut bench = Bench::given(with_budget());
        let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
        assert_eq!(
            money(bench.settle(&hold, vec![failed("small", outcome)]).unwrap().charged),
            charged,
            "{outcome:?}"
        );
    }
}

#[test]
fn providers_that_do_not_bill_failures_are_not_charged_for_them() {
    let mut config = with_budget();
    config.providers[0].failed_attempts_cost_input = false;
    let mut bench = Bench::given(config);
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    let attempts = vec![failed("small", AttemptOutcome::Failed), used("small", 100, 10)];
    assert_eq!(money(bench.settle(&hold, attempts).unwrap().charged), 120);
}

#[test]
fn more_than_was_held_is_charged_in_full_recorded_and_blocks_the_next() {
    let mut bench = Bench::given(with_budget());
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    let settled = bench.settle(&hold, vec![used("small", 100, 6_000)]).unwrap();
    assert!(settled.overdraft);
    assert_eq!(state(&bench), (12_100, 0));
    let Some(Body::Budget(event)) = bench.last().body else {
        panic!()
    };
    assert_eq!(
        (bench.last().kind(), money(event.amount)),
        (EventKind::BudgetOverdraft, 11_600)
    );
    assert_eq!(
        bench.admit(&call("b", 1, 64)).unwrap_err().reason,
        Reason::BudgetExhausted
    );
    bench.crash();
    assert_eq!(
        bench.admit(&call("c", 1, 64)).unwrap_err().reason,
        Reason::BudgetExhausted
    );
}

#[test]
fn a_hold_whose_time_has_come_is_charged_and_corrected_by_a_late_settlement() {
    let mut bench = Bench::given(with_budget());
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    assert_eq!(bench.engine.next_expiry().unwrap().0, bench.now + 10 * MINUTE);
    bench.after(10 * MINUTE - 1);
    assert_eq!(bench.expire(), 0);
    bench.after(1);
    assert_eq!(bench.expire(), 1);
    assert_eq!(state(&bench), (500, 0));
    assert_eq!(bench.ended(&hold).state(), InvocationState::Expired);
    let released = bench.release(&hold).unwrap_err();
    assert_eq!(released.metadata["state"], "EXPIRED");
    bench.crash();
    let settled = bench.settle(&hold, vec![used("small", 100, 5)]).unwrap();
    assert!(settled.late);
    assert_eq!(state(&bench), (110, 0));
    let Some(Body::Settlement(record)) = bench.last().body else {
        panic!()
    };
    assert_eq!(money(record.charges[0].amount), -390);
    assert_eq!(money(bench.ended(&hold).charges[0].amount), 110);
    assert_eq!(bench.settle(&hold, vec![]).unwrap_err().metadata["state"], "SETTLED");
}

#[test]
fn a_settlement_that_comes_too_late_expires_first_in_one_unit() {
    let mut bench = Bench::given(with_budget());
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    bench.after(10 * MINUTE);
    let settled = bench.settle(&hold, vec![used("small", 100, 5)]).unwrap();
    assert!(settled.late);
    let kinds = bench.kinds();
    assert_eq!(
        kinds[kinds.len() - 2..],
        [EventKind::InvocationExpired, EventKind::InvocationSettled]
    );
    assert_eq!(bench.ended(&hold).sequences.len(), 3);
    assert_eq!(bench.expire(), 0);
    assert_eq!(state(&bench), (110, 0));
}

#[test]
fn a_release_that_comes_too_late_expires_the_hold() {
    let mut bench = Bench::given(with_budget());
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    bench.after(10 * MINUTE);
    assert_eq!(bench.release(&hold).unwrap_err().reason, Reason::InvalidState);
    assert_eq!(bench.last().kind(), EventKind::InvocationExpired);
    assert_eq!(state(&bench), (500, 0));
}

#[test]
fn expiry_can_release_and_a_late_settlement_then_charges_in_full() {
    let mut config = with_budget();
    config.reservations.as_mut().unwrap().charge_on_expiry = false;
    let mut bench = Bench::given(config);
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    bench.after(10 * MINUTE);
    assert_eq!(bench.expire(), 1);
    assert_eq!(state(&bench), (0, 0));
    // Somebody else takes the room meanwhile; the provider has billed all the same.
    let mut all = call("b", 8_000, 1_000);
    all.run.clear();
    bench.admit(&all).unwrap();
    bench.settle(&hold, vec![used("small", 100, 200)]).unwrap();
    assert_eq!(state(&bench), (500, 10_000));
    assert_eq!(bench.last().kind(), EventKind::BudgetOverdraft);
}

#[test]
fn many_holds_expire_a_part_at_a_time() {
    let mut bench = Bench::given(config());
    for number in 0..300 {
        bench.admit(&call(&format!("c-{number}"), 1, 1)).unwrap();
    }
    bench.after(11 * MINUTE);
    let first = bench.engine.expire(fairlead_plan::UnixNanos(bench.now));
    assert_eq!(bench.take(first).unwrap(), fairlead_engine::MOST_EXPIRED as u64);
    assert_eq!(bench.expire(), 300 - fairlead_engine::MOST_EXPIRED as u64);
    assert_eq!(bench.engine.open_reservations(), 0);
}

#[test]
fn usage_that_makes_no_sense_is_refused_with_every_violation_and_changes_nothing() {
    let mut bench = Bench::given(with_budget());
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    let mut attempts = vec![
        used("small", -1, 2_000_000_000_000),
        failed("small", AttemptOutcome::Unspecified),
    ];
    attempts[1].status_code = 7;
    let refused = bench.settle(&hold, attempts).unwrap_err();
    let fields: Vec<&str> = refused.violations.iter().map(|one| one.field.as_str()).collect();
    assert_eq!(
        fields,
        [
            "attempts[0].usage.input",
            "attempts[0].usage.output",
            "attempts[1].outcome",
            "attempts[1].status_code"
        ]
    );
    let refused = bench.settle(&hold, vec![used("large", 1, 1)]).unwrap_err();
    assert_eq!(refused.violations[0].field, "attempts[0].model");
    assert_eq!(state(&bench), (0, 500));
    bench.after(SECOND);
    let estimated = Usage {
        input: 1,
        output: 1,
        estimated: true,
        ..Usage::default()
    };
    let mut attempt = used("small", 0, 0);
    attempt.usage = Some(estimated);
    bench.settle(&hold, vec![attempt]).unwrap();
}

#[test]
fn what_is_priced_apart_is_held_at_the_dearest_price_and_charged_at_its_own() {
    let mut config = config();
    let price = config.models[0].price.as_mut().unwrap();
    (price.audio_input_pico, price.reasoning_pico) = (Some(7_000), Some(0));
    price.cache_write_1h_pico = Some(3_000);
    let mut bench = Bench::given(config);
    let reply = bench.admit(&call("r", 100, 10)).unwrap();
    assert_eq!(money(reply.reservation.unwrap().amount), 100 * 7 + 10 * 2);
    bench.crash();
    let mut attempt = used("small", 10, 1);
    let usage = attempt.usage.as_mut().unwrap();
    (usage.audio_input, usage.image_input, usage.cache_write_1h) = (20, 30, 40);
    (usage.audio_output, usage.reasoning) = (2, 3);
    let settled = bench.settle(&reply.invocation, vec![attempt]).unwrap();
    let charged = settled.charged.unwrap();
    // Pictures and spoken answers are not priced apart: they cost what input and output cost.
    assert_eq!(charged.nano_usd, 10 + 20 * 7 + 30 + 40 * 3 + (1 + 2) * 2);
    assert_eq!(charged.tokens, 10 + 20 + 30 + 40 + 1 + 2 + 3);
}
