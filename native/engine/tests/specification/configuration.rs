//! A new configuration while holds are open.
use fairlead_engine::{Caller, Reason};
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{
    Command, ControlWrite, EngineConfig, LoadConfig, WindowKind, Write, command::Kind, command_result::Result as Answer,
};
use fairlead_wire::v1::{ConfigRejected, ControlChanged, EventKind};

use crate::bench::{Bench, HOUR, budget, call, config, money, used};

fn with_budget(window: WindowKind) -> EngineConfig {
    let mut config = config();
    let mut one = budget("b", &["tenant"], window);
    one.limit_nano_usd = Some(1_000);
    config.budgets.push(one);
    config.reservations.as_mut().unwrap().ttl_millis = 24 * 3_600_000;
    config
}

fn state(bench: &Bench) -> (i64, i64) {
    let view = bench.budget("b", "-");
    (money(view.spent), money(view.reserved))
}

#[test]
fn holds_keep_the_prices_they_were_admitted_with() {
    let mut bench = Bench::given(with_budget(WindowKind::Lifetime));
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    bench.load(|config| config.models[0].price.as_mut().unwrap().output_pico = 1_000_000);
    let settled = bench.settle(&hold, vec![used("small", 100, 200)]).unwrap();
    assert_eq!((money(settled.charged), settled.overdraft), (500, false));
}

#[test]
fn changed_limits_apply_at_once_and_a_lowered_one_only_blocks() {
    let mut bench = Bench::given(with_budget(WindowKind::Lifetime));
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    bench.load(|config| config.budgets[0].limit_nano_usd = Some(100));
    assert_eq!(bench.admit(&call("b", 1, 64)).unwrap_err().metadata["limit"], "100");
    bench.crash();
    bench.settle(&hold, vec![used("small", 100, 200)]).unwrap();
    bench.load(|config| config.budgets[0].limit_nano_usd = Some(5_000));
    bench.admit(&call("c", 100, 200)).unwrap();
}

#[test]
fn a_removed_budget_goes_on_settling_and_comes_back_with_what_was_spent() {
    let mut bench = Bench::given(with_budget(WindowKind::Lifetime));
    let hold = bench.admit(&call("a", 100, 200)).unwrap().invocation;
    let removed = std::cell::RefCell::new(Vec::new());
    bench.load(|config| *removed.borrow_mut() = std::mem::take(&mut config.budgets));
    assert_eq!(bench.budget("b", "-").budget, "");
    bench.crash();
    bench.settle(&hold, vec![used("small", 100, 100)]).unwrap();
    bench.crash();
    bench.load(|config| config.budgets = removed.take());
    assert_eq!(state(&bench), (300, 0));
}

#[test]
fn another_kind_of_window_begins_anew_but_open_holds_count() {
    let mut bench = Bench::given(with_budget(WindowKind::Day));
    let spent = bench.admit(&call("a", 100, 100)).unwrap().invocation;
    bench.settle(&spent, vec![used("small", 100, 100)]).unwrap();
    let yesterdays = bench.admit(&call("b", 100, 100)).unwrap().invocation;
    bench.after(20 * HOUR);
    assert_eq!(state(&bench), (0, 0));
    bench.load(|config| config.budgets[0].window = WindowKind::Lifetime as i32);
    assert_eq!(state(&bench), (0, 300));
    bench.crash();
    assert_eq!(state(&bench), (0, 300));
    // Back to days: a hold of yesterday is yesterday's again.
    bench.load(|config| config.budgets[0].window = WindowKind::Day as i32);
    assert_eq!(state(&bench), (0, 0));
    bench.load(|config| config.budgets[0].window = WindowKind::Month as i32);
    bench.settle(&yesterdays, vec![used("small", 100, 50)]).unwrap();
    assert_eq!(state(&bench), (200, 0));
    bench.crash();
    assert_eq!(state(&bench), (200, 0));
}

#[test]
fn instances_of_another_scope_make_room_once_nothing_is_held() {
    let mut config = with_budget(WindowKind::Lifetime);
    config.limits.as_mut().unwrap().budget_instances = 1;
    let mut bench = Bench::given(config);
    let hold = bench.admit(&call("a", 100, 100)).unwrap().invocation;
    bench.load(|config| config.budgets[0].scope = vec!["run".to_owned()]);
    assert_eq!(bench.admit(&call("b", 1, 1)).unwrap_err().reason, Reason::QueueFull);
    bench.settle(&hold, vec![used("small", 100, 100)]).unwrap();
    bench.crash();
    bench.admit(&call("b", 1, 1)).unwrap();
    assert_eq!(bench.budget("b", "-").budget, "");
}

#[test]
fn commands_of_the_control_services_are_recorded_with_their_writes() {
    let mut bench = Bench::given(config());
    let write = Write {
        family: 3,
        key: b"current".to_vec(),
        value: Some(b"v2".to_vec()),
    };
    let command = ControlWrite {
        writes: vec![write.clone()],
        record: Some(ControlChanged {
            subject: "audit.acknowledged".to_owned(),
            detail: None,
        }),
        power: true,
    };
    let caller = Caller::operator("asha");
    let applied = bench.engine.control_write(UnixNanos(bench.now), caller, &command);
    assert!(applied.unit.as_ref().unwrap().power);
    bench.take(applied).unwrap();
    assert_eq!(bench.store[&(3, b"current".to_vec())], b"v2");
    assert_eq!(
        (bench.last().kind(), bench.last().operator.as_str()),
        (EventKind::ControlChanged, "asha")
    );

    let silent = ControlWrite {
        writes: vec![write],
        record: None,
        power: false,
    };
    let applied = bench.engine.control_write(UnixNanos(bench.now), caller, &silent);
    assert_eq!(applied.unit.as_ref().unwrap().last_sequence, 0);
    bench.take(applied).unwrap();

    let forged = Write {
        family: 2,
        key: vec![0; 8],
        value: Some(Vec::new()),
    };
    let forged = ControlWrite {
        writes: vec![forged],
        ..ControlWrite::default()
    };
    let refused = bench.engine.control_write(UnixNanos(bench.now), caller, &forged);
    assert_eq!(bench.take(refused).unwrap_err().reason, Reason::InvalidArgument);

    let rejected = ConfigRejected {
        source: "file".to_owned(),
        violations: 1,
        first_violation: "x".to_owned(),
    };
    let applied = bench.engine.config_rejected(UnixNanos(bench.now), caller, &rejected);
    bench.take(applied).unwrap();
    assert_eq!(bench.last().kind(), EventKind::ConfigRejected);
}

#[test]
fn commands_as_messages_are_always_answered() {
    let mut bench = Bench::given(config());
    let mut apply = |kind: Option<Kind>| {
        let command = Command { caller: None, kind };
        let applied = bench.engine.apply(UnixNanos(bench.now), &command, None);
        bench.take(applied).unwrap()
    };
    let load = |config: EngineConfig, validate_only: bool| {
        Some(Kind::LoadConfig(LoadConfig {
            config: Some(config),
            validate_only,
            ..LoadConfig::default()
        }))
    };
    let mut invalid = config();
    invalid.models[0].provider = "nobody".to_owned();
    let Some(Answer::Rejection(refused)) = apply(load(invalid, false)).result else {
        panic!()
    };
    assert_eq!(refused.reason, "INVALID_ARGUMENT");
    assert!(!refused.violations.is_empty());
    assert_eq!(apply(load(config(), true)).sequence, 0);
    assert_eq!(apply(load(config(), false)).sequence, 2);
    let Some(Answer::Rejection(refused)) = apply(Some(Kind::Admit(call("", 1, 1)))).result else {
        panic!()
    };
    assert_eq!(refused.violations[0].field, "request_id");
    let Some(Answer::Admitted(admitted)) = apply(Some(Kind::Admit(call("a", 1, 1)))).result else {
        panic!()
    };
    assert!(admitted.invocation.starts_with("inv_"));
    let Some(Answer::Rejection(refused)) = apply(None).result else {
        panic!()
    };
    assert_eq!(refused.violations[0].field, "kind");
}
