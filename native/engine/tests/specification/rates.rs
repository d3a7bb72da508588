//! Rate limits: requests, tokens, calls in flight, and waiting for them.
use fairlead_engine::{AdmitExtra, Caller, Reason, Refusal};
use fairlead_wire::internal::{EngineConfig, RateLimit};
use fairlead_wire::v1::EventKind;

use crate::bench::{Bench, MINUTE, SECOND, call, config, used};

fn with_limit(change: impl FnOnce(&mut RateLimit)) -> EngineConfig {
    let mut config = config();
    let mut limit = RateLimit {
        name: "per-agent".to_owned(),
        scope: vec!["agent".to_owned()],
        ..RateLimit::default()
    };
    change(&mut limit);
    config.rate_limits.push(limit);
    config
}

#[test]
fn requests_over_the_rate_are_refused_with_the_time_to_come_back() {
    let mut bench = Bench::given(with_limit(|limit| limit.requests_per_minute = 60));
    bench.admit(&call("a", 1, 1)).unwrap();
    let refused = bench.admit(&call("b", 1, 1)).unwrap_err();
    assert_eq!(
        (refused.reason, refused.retry_after),
        (Reason::RateLimited, Some(SECOND))
    );
    assert_eq!(
        (
            refused.metadata["limit"].as_str(),
            refused.metadata["instance"].as_str()
        ),
        ("per-agent", "agent=bot")
    );
    assert_eq!(bench.last().kind(), EventKind::InvocationRejected);
    let extra = AdmitExtra {
        remember: true,
        ..AdmitExtra::default()
    };
    bench
        .admit_as(Caller::agent("acme", "other"), &call("c", 1, 1), extra)
        .unwrap();
    bench.after(SECOND).admit(&call("b", 1, 1)).unwrap();
}

#[test]
fn a_call_that_may_wait_leaves_no_trace_until_it_is_decided() {
    let mut bench = Bench::given(with_limit(|limit| {
        limit.requests_per_minute = 60;
        limit.max_wait_millis = 2_000;
    }));
    bench.admit(&call("a", 1, 1)).unwrap();
    let records = bench.log().len();
    let caller = Caller::agent("acme", "bot");
    let extra = AdmitExtra {
        remember: true,
        wait_allowed: true,
        ..AdmitExtra::default()
    };
    let Err(Refusal::Wait(wait)) = bench.try_admit(caller, &call("b", 1, 1), extra) else {
        panic!()
    };
    assert_eq!(
        (wait.limit.as_str(), wait.instance.as_str()),
        ("per-agent", "agent=bot")
    );
    assert_eq!(
        (wait.retry_at.unwrap().0, wait.max_wait),
        (bench.now + SECOND, 2 * SECOND)
    );
    assert_eq!(bench.log().len(), records);
    bench.after(SECOND).try_admit(caller, &call("b", 1, 1), extra).unwrap();
}

#[test]
fn a_limit_without_patience_does_not_let_wait() {
    let mut bench = Bench::given(with_limit(|limit| limit.requests_per_minute = 60));
    bench.admit(&call("a", 1, 1)).unwrap();
    let extra = AdmitExtra {
        remember: true,
        wait_allowed: true,
        ..AdmitExtra::default()
    };
    let refused = bench
        .admit_as(Caller::agent("acme", "bot"), &call("b", 1, 1), extra)
        .unwrap_err();
    assert_eq!(refused.reason, Reason::RateLimited);
}

#[test]
fn a_place_is_free_when_a_call_ends_however_it_ends() {
    let mut bench = Bench::given(with_limit(|limit| limit.concurrent = 1));
    let full = |bench: &mut Bench, id: &str| {
        let refused = bench.admit(&call(id, 1, 1)).unwrap_err();
        assert_eq!(refused.metadata["unit"], "concurrent");
        assert!(refused.retry_after.is_some());
    };
    let settled = bench.admit(&call("a", 1, 1)).unwrap().invocation;
    full(&mut bench, "x");
    bench.crash();
    full(&mut bench, "x");
    bench.settle(&settled, vec![used("small", 1, 1)]).unwrap();
    let released = bench.admit(&call("b", 1, 1)).unwrap().invocation;
    full(&mut bench, "x");
    bench.release(&released).unwrap();
    bench.admit(&call("c", 1, 1)).unwrap();
    full(&mut bench, "x");
    bench.after(10 * MINUTE).expire();
    bench.admit(&call("d", 1, 1)).unwrap();
}

#[test]
fn tokens_are_charged_with_the_estimate_and_corrected_at_settlement() {
    let mut bench = Bench::given(with_limit(|limit| limit.tokens_per_minute = 1_000));
    let hold = bench.admit(&call("a", 400, 600)).unwrap().invocation;
    assert_eq!(bench.admit(&call("b", 1, 1)).unwrap_err().metadata["unit"], "tokens");
    bench.settle(&hold, vec![used("small", 400, 100)]).unwrap();
    bench.admit(&call("c", 400, 100)).unwrap();
    assert!(bench.admit(&call("d", 1, 1)).is_err());
}

#[test]
fn a_call_larger_than_the_limit_never_waits() {
    let mut bench = Bench::given(with_limit(|limit| {
        limit.tokens_per_minute = 1_000;
        limit.max_wait_millis = 2_000;
    }));
    let extra = AdmitExtra {
        remember: true,
        wait_allowed: true,
        ..AdmitExtra::default()
    };
    let refused = bench
        .admit_as(Caller::agent("acme", "bot"), &call("a", 5_000, 1), extra)
        .unwrap_err();
    assert_eq!((refused.reason, refused.retry_after), (Reason::RateLimited, None));
}
