//! Sessions and runs keep the model that answered last, durably.
use fairlead_engine::family;
use fairlead_wire::internal::{EngineConfig, WindowKind};
use fairlead_wire::v1::{AdmitRequest, AttemptOutcome, DropReason, SessionSwitch, audit_record::Body};

use crate::bench::{Bench, MINUTE, SECOND, budget, call, config, failed, route, used};

/// `small` first, `large` when it fails; sessions keep what answered.
fn sticky(by: &str) -> EngineConfig {
    let mut config = config();
    let mut all = route("all", "small", &["large"], 1);
    all.sticky_by = by.to_owned();
    config.routes.push(all);
    config.limits.as_mut().unwrap().sessions = 4;
    config.reservations.as_mut().unwrap().session_ttl_millis = 600_000;
    config
}

fn of_session(bench: &mut Bench, session: &str) -> AdmitRequest {
    AdmitRequest {
        session: session.to_owned(),
        ..call(&bench.request_id(), 10, 10)
    }
}

/// Makes one call that `small` fails and `large` answers; true when `large` was asked first.
fn answered_by_large(bench: &mut Bench, session: &str) -> bool {
    let request = of_session(bench, session);
    let reply = bench.admit(&request).unwrap();
    let kept = reply.plan[0].model == "large";
    let mut attempts = vec![used("large", 10, 1)];
    if !kept {
        attempts.insert(0, failed("small", AttemptOutcome::Cut));
    }
    bench.settle(&reply.invocation, attempts).unwrap();
    kept
}

fn session_writes(bench: &Bench) -> Vec<Vec<u8>> {
    let is_session = |key: &[u8]| key.get(6) == Some(&b's');
    let all = bench.store.iter();
    all.filter(|((family, key), _)| *family == family::STATE && is_session(key))
        .map(|(_, value)| value.clone())
        .collect()
}

fn switched(bench: &Bench) -> Option<SessionSwitch> {
    match bench.log().iter().rev().find_map(|one| match &one.body {
        Some(Body::Decision(decision)) => Some(decision.clone()),
        _ => None,
    }) {
        Some(decision) => decision.session_switch,
        None => panic!("a decision"),
    }
}

#[test]
fn the_model_that_answered_goes_first_next_time_also_after_a_crash() {
    let mut bench = Bench::given(sticky("session"));
    assert!(!answered_by_large(&mut bench, "s-1"));
    assert!(answered_by_large(&mut bench, "s-1"));
    assert_eq!(switched(&bench), None);
    bench.crash();
    assert!(answered_by_large(&mut bench, "s-1"));
    let request = of_session(&mut bench, "s-2");
    assert_eq!(bench.admit(&request).unwrap().plan[0].model, "small", "another session");
}

#[test]
fn nothing_is_written_while_the_model_stays_and_nothing_kept_without_an_answer() {
    let mut bench = Bench::given(sticky("session"));
    let request = of_session(&mut bench, "s-1");
    let hold = bench.admit(&request).unwrap().invocation;
    bench
        .settle(&hold, vec![failed("small", AttemptOutcome::TimedOut)])
        .unwrap();
    assert!(session_writes(&bench).is_empty());
    answered_by_large(&mut bench, "s-1");
    let written = session_writes(&bench);
    assert_eq!(written.len(), 1);
    bench.after(SECOND);
    answered_by_large(&mut bench, "s-1");
    assert_eq!(session_writes(&bench), written);
}

#[test]
fn leaving_the_model_is_recorded_with_its_reason() {
    let mut config = sticky("session");
    let mut day = budget("day", &["tenant"], WindowKind::Day);
    day.limit_nano_usd = Some(420);
    config.budgets.push(day);
    let mut bench = Bench::given(config);
    answered_by_large(&mut bench, "s-1");
    let mut request = of_session(&mut bench, "s-1");
    request.min_output_tokens = 10;
    assert_eq!(bench.admit(&request).unwrap().plan[0].model, "small");
    let switch = switched(&bench).unwrap();
    assert_eq!(
        (switch.from_model.as_str(), switch.reason()),
        ("large", DropReason::Budget)
    );

    bench.load(|config| {
        config.budgets.clear();
        config.routes[0].fallback = None;
    });
    let request = of_session(&mut bench, "s-1");
    bench.admit(&request).unwrap();
    let switch = switched(&bench).unwrap();
    assert_eq!(
        (switch.from_model.as_str(), switch.reason()),
        ("large", DropReason::NotSelected)
    );
}

#[test]
fn a_run_is_kept_as_a_session_is() {
    let mut bench = Bench::given(sticky("run"));
    assert!(!answered_by_large(&mut bench, "s-1"));
    assert!(answered_by_large(&mut bench, "s-2"), "the run is the same");
}

#[test]
fn the_oldest_pins_make_room_and_all_end_with_their_session() {
    let mut bench = Bench::given(sticky("session"));
    for session in ["s-1", "s-2", "s-3"] {
        bench.after(SECOND);
        answered_by_large(&mut bench, session);
    }
    assert_eq!(bench.engine.sessions(), 2);
    bench.crash();
    let first = |bench: &mut Bench, session: &str| {
        let request = of_session(bench, session);
        bench.admit(&request).unwrap().plan[0].model.clone()
    };
    assert_eq!(
        (first(&mut bench, "s-1").as_str(), first(&mut bench, "s-3").as_str()),
        ("small", "large")
    );
    bench.after(11 * MINUTE).expire();
    assert_eq!(first(&mut bench, "s-3"), "small");
    assert_eq!(bench.engine.sessions(), 0);
}
