//! Calls that the sidecar makes itself: their holds are its own.
use fairlead_engine::{AdmitExtra, Caller, EndExtra, Method, Reason, Rejection, family};
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{EngineConfig, Known, WindowKind};
use fairlead_wire::v1::{
    AdmitRequest, AdmitResponse, Attempt, AttemptOutcome, InvocationState, ReleaseRequest, ReleaseResponse,
    SettleRequest, SettleResponse,
};

use crate::bench::{Bench, HOUR, MILLI, SECOND, budget, call, config, failed, money, route, used};

const CALLER: Caller<'static> = Caller::agent("acme", "bot");

fn with_budget() -> EngineConfig {
    let mut config = config();
    let mut one = budget("b", &["tenant"], WindowKind::Lifetime);
    one.limit_nano_usd = Some(100_000);
    config.budgets.push(one);
    config
}

impl Bench {
    fn begin(&mut self, request: &AdmitRequest) -> Result<AdmitResponse, Rejection> {
        let extra = AdmitExtra {
            method: Method::Generate,
            remember: true,
            settled_by_sidecar: true,
            ..AdmitExtra::default()
        };
        self.admit_as(CALLER, request, extra)
    }

    fn give_back(&mut self, invocation: &str) -> Result<ReleaseResponse, Rejection> {
        let request = ReleaseRequest {
            request_id: invocation.to_owned(),
            invocation: invocation.to_owned(),
            reason: "nothing was sent".to_owned(),
        };
        let extra = EndExtra {
            by_sidecar: true,
            ..EndExtra::default()
        };
        let applied = self.engine.release(UnixNanos(self.now), CALLER, &request, extra);
        self.take(applied)
    }

    fn finish(
        &mut self,
        invocation: &str,
        attempts: Vec<Attempt>,
        known: Option<&Known>,
    ) -> Result<SettleResponse, Rejection> {
        let request = SettleRequest {
            request_id: invocation.to_owned(),
            invocation: invocation.to_owned(),
            attempts,
        };
        let extra = EndExtra {
            by_sidecar: true,
            attempts_reported: true,
            known,
            ..EndExtra::default()
        };
        let applied = self.engine.settle(UnixNanos(self.now), CALLER, &request, extra);
        self.take(applied)
    }

    fn held_for(&self, admitted: &AdmitResponse) -> i64 {
        let at = admitted.reservation.unwrap().expires_at.unwrap();
        at.seconds * SECOND + i64::from(at.nanos) - self.now
    }
}

fn is_the_sidecars(refused: &Rejection, state: &str) {
    assert_eq!(
        (
            refused.reason,
            refused.metadata["state"].as_str(),
            refused.metadata["cause"].as_str()
        ),
        (Reason::InvalidState, state, "settled_by_sidecar")
    );
}

#[test]
fn no_agent_ends_the_hold_of_a_call_that_the_sidecar_makes() {
    let mut bench = Bench::given(with_budget());
    let hold = bench.begin(&call("a", 100, 200)).unwrap().invocation;
    for crashed in [false, true] {
        if crashed {
            bench.crash();
        }
        is_the_sidecars(&bench.release(&hold).unwrap_err(), "OPEN");
        is_the_sidecars(&bench.settle(&hold, vec![]).unwrap_err(), "OPEN");
        assert_eq!(money(bench.budget("b", "-").reserved), 500);
    }
    let settled = bench.finish(&hold, vec![used("small", 90, 10)], None).unwrap();
    assert_eq!(money(settled.charged), 110);
    assert_eq!(
        bench.settle(&hold, vec![]).unwrap_err().metadata["state"],
        "SETTLED",
        "how it ended is no secret"
    );
}

#[test]
fn what_a_crash_left_behind_is_charged_and_no_agent_corrects_it() {
    let mut bench = Bench::given(with_budget());
    let hold = bench.begin(&call("a", 100, 200)).unwrap().invocation;
    bench.crash();
    bench.after(HOUR);
    is_the_sidecars(&bench.settle(&hold, vec![]).unwrap_err(), "OPEN");
    assert_eq!(bench.expire(), 1);
    is_the_sidecars(&bench.settle(&hold, vec![]).unwrap_err(), "EXPIRED");
    is_the_sidecars(&bench.release(&hold).unwrap_err(), "EXPIRED");
    assert_eq!(money(bench.budget("b", "-").spent), 500);
    // The sidecar that is still there when the store comes back knows better.
    let known = Known {
        invocation: Some(bench.ended(&hold)),
        invocation_found: true,
        ..Known::default()
    };
    let settled = bench.finish(&hold, vec![used("small", 90, 10)], Some(&known)).unwrap();
    assert!(settled.late);
    assert_eq!(money(bench.budget("b", "-").spent), 110);
}

#[test]
fn a_hold_lasts_as_long_as_its_call_may() {
    let mut config = config();
    config.reservations.as_mut().unwrap().ttl_millis = 10_000;
    config.routes.push(route("all", "small", &["large"], 2));
    config.routes.push(fairlead_wire::internal::Route {
        timeout_millis: 50_000,
        r#match: Some(fairlead_wire::internal::Match {
            workloads: vec!["quick".to_owned()],
            ..Default::default()
        }),
        ..route("quick", "small", &["large"], 2)
    });
    config.routes.rotate_right(1);
    let mut bench = Bench::given(config);
    // Two models, each tried twice for a minute, with a wait of up to a second and its jitter between.
    let admitted = bench.begin(&call("a", 1, 1)).unwrap();
    assert_eq!(bench.held_for(&admitted), (4 * 60 + 30) * SECOND + 2 * 1_250 * MILLI);
    let quick = AdmitRequest {
        workload: "quick".to_owned(),
        ..call("b", 1, 1)
    };
    let admitted = bench.begin(&quick).unwrap();
    assert_eq!(bench.held_for(&admitted), 80 * SECOND);
    let agents = bench.admit(&call("c", 1, 1)).unwrap();
    assert_eq!(bench.held_for(&agents), 10 * SECOND);
    bench.load(|config| config.reservations.as_mut().unwrap().ttl_millis = 3_600_000);
    let admitted = bench.begin(&call("d", 1, 1)).unwrap();
    assert_eq!(bench.held_for(&admitted), HOUR, "never less than configured");
}

#[test]
fn an_id_whose_call_reached_no_provider_may_try_again() {
    let mut bench = Bench::given(with_budget());
    let first = bench.begin(&call("a", 100, 200)).unwrap();
    bench.give_back(&first.invocation).unwrap();
    assert_eq!(bench.ended(&first.invocation).state(), InvocationState::Released);
    assert!(!bench.store.keys().any(|(of, _)| *of == family::REQUESTS));
    let second = bench.begin(&call("a", 100, 200)).unwrap();
    assert_ne!(first.invocation, second.invocation);
    bench.crash();
    assert_eq!(bench.begin(&call("a", 100, 200)).unwrap(), second, "it runs");
    bench
        .finish(&second.invocation, vec![used("small", 1, 1)], None)
        .unwrap();
    assert_eq!(bench.begin(&call("a", 100, 200)).unwrap(), second);
    // An agent was told what its id did, and may have acted on it.
    let agents = bench.admit(&call("b", 1, 1)).unwrap();
    bench.release(&agents.invocation).unwrap();
    assert_eq!(bench.admit(&call("b", 1, 1)).unwrap(), agents);
}

#[test]
fn a_look_up_that_is_overtaken_by_the_release_does_not_bring_the_id_back() {
    let mut bench = Bench::given(config());
    let first = bench.begin(&call("a", 1, 1)).unwrap();
    let ((_, _), record) = bench.store.iter().find(|((of, _), _)| *of == family::REQUESTS).unwrap();
    let record = prost::Message::decode(record.as_slice()).unwrap();
    bench.give_back(&first.invocation).unwrap();
    let known = Known {
        request: Some(record),
        request_found: true,
        invocation: Some(bench.ended(&first.invocation)),
        invocation_found: true,
        ..Known::default()
    };
    let extra = AdmitExtra {
        method: Method::Generate,
        remember: true,
        settled_by_sidecar: true,
        known: Some(&known),
        ..AdmitExtra::default()
    };
    let second = bench.admit_as(CALLER, &call("a", 1, 1), extra).unwrap();
    assert_ne!(first.invocation, second.invocation);
}

#[test]
fn each_model_of_a_plan_has_its_own_output_limit_and_is_charged_by_it() {
    let mut config = with_budget();
    config.models[1].max_output_tokens = 200;
    config.routes.push(route("all", "small", &["large"], 1));
    for (model, charged) in [("small", 100 + 2 * 2 * 1_000), ("large", 10 * 100 + 20 * 2 * 200)] {
        let mut bench = Bench::given(config.clone());
        let extra = AdmitExtra {
            choices: 2,
            remember: true,
            ..AdmitExtra::default()
        };
        let admitted = bench.admit_as(CALLER, &call("a", 100, 0), extra).unwrap();
        let limits: Vec<i64> = admitted.plan.iter().map(|one| one.max_output_tokens).collect();
        assert_eq!((admitted.max_output_tokens, limits), (1_000, vec![1_000, 200]));
        let attempts = vec![failed(model, AttemptOutcome::Succeeded)];
        let settled = bench.settle(&admitted.invocation, attempts).unwrap();
        assert_eq!(money(settled.charged), charged, "{model}");
        assert!(!settled.overdraft);
    }
}

#[test]
fn a_clamp_lowers_the_limits_of_all_models() {
    let mut config = config();
    config.models[1].max_output_tokens = 200;
    config.routes.push(route("all", "small", &["large"], 1));
    let mut one = budget("b", &["tenant"], WindowKind::Lifetime);
    one.limit_tokens = Some(350);
    config.budgets.push(one);
    let mut bench = Bench::given(config);
    // All input twice, because a failure is billed it; the rest is for output.
    let admitted = bench.admit(&call("a", 100, 0)).unwrap();
    let limits: Vec<i64> = admitted.plan.iter().map(|one| one.max_output_tokens).collect();
    assert_eq!((admitted.clamped, limits), (true, vec![150, 150]));
}
