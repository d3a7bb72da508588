//! What agents' calls mean for the health of models: one probe at a time, and no agent's word closes a model alone.
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::EngineConfig;
use fairlead_wire::v1::admit_request::Input;
use fairlead_wire::v1::{AdmitRequest, Attempt, AttemptOutcome};

use crate::bench::{Bench, DAY, MILLI, MINUTE, SECOND, call, config, failed, route, used};

fn routed() -> EngineConfig {
    let mut config = config();
    config.routes.push(route("all", "small", &["large"], 1));
    config
}

/// `small` is half open: it has failed, and its time is over.
fn half_open() -> Bench {
    let mut bench = Bench::given(routed());
    for number in 0..5 {
        let hold = bench.admit(&call(&format!("c-{number}"), 1, 1)).unwrap().invocation;
        let attempts = vec![failed("small", AttemptOutcome::TimedOut)];
        bench.settle(&hold, attempts).unwrap();
    }
    bench.after(1_100 * MILLI);
    bench
}

impl Bench {
    /// Invocation and first model of a new call.
    fn first(&mut self) -> (String, String) {
        let id = self.request_id();
        let admitted = self.admit(&call(&id, 1, 1)).unwrap();
        (admitted.invocation, admitted.plan[0].model.clone())
    }
}

#[test]
fn one_agent_at_a_time_probes_a_half_open_model() {
    let mut bench = half_open();
    let (probing, model) = bench.first();
    assert_eq!(model, "small");
    for _ in 0..3 {
        assert_eq!(bench.first().1, "large");
    }
    bench.settle(&probing, vec![used("small", 1, 1)]).unwrap();
    bench.after(SECOND);
    assert_eq!(bench.first().1, "small");
    assert_eq!(bench.first().1, "small");
}

#[test]
fn a_probe_that_was_not_made_is_given_back() {
    for settled in [false, true] {
        let mut bench = half_open();
        let (probing, _) = bench.first();
        assert_eq!(bench.first().1, "large");
        if settled {
            bench.settle(&probing, vec![used("large", 1, 1)]).unwrap();
        } else {
            bench.release(&probing).unwrap();
        }
        assert_eq!(bench.first().1, "small");
        assert_eq!(bench.first().1, "large");
    }
}

#[test]
fn a_probe_that_expires_is_given_back() {
    let mut config = routed();
    config.reservations.as_mut().unwrap().ttl_millis = 1_000;
    config.providers[0].breaker.as_mut().unwrap().open_millis = 30_000;
    let mut bench = Bench::given(config);
    for number in 0..5 {
        let hold = bench.admit(&call(&format!("c-{number}"), 1, 1)).unwrap().invocation;
        let attempts = vec![failed("small", AttemptOutcome::TimedOut)];
        bench.settle(&hold, attempts).unwrap();
    }
    bench.after(30_100 * MILLI);
    assert_eq!(bench.first().1, "small");
    bench.after(2 * SECOND);
    assert_eq!(bench.first().1, "large");
    assert!(bench.expire() > 0);
    assert_eq!(bench.first().1, "small");
}

#[test]
fn only_ones_own_probe_is_given_back() {
    let mut bench = half_open();
    let (overdue, _) = bench.first();
    bench.after(2 * SECOND);
    assert_eq!(bench.first().1, "small", "the first probe is overdue");
    bench.release(&overdue).unwrap();
    assert_eq!(bench.first().1, "large", "the second one is not");
}

#[test]
fn one_agent_cannot_close_a_model_to_the_others() {
    let mut bench = Bench::given(routed());
    let refused = Attempt {
        status_code: 429,
        retry_after: Some(prost_types::Duration {
            seconds: 1_000_000,
            nanos: 0,
        }),
        ..failed("small", AttemptOutcome::Failed)
    };
    for _ in 0..5 {
        let (hold, model) = bench.first();
        assert_eq!(model, "small");
        bench.settle(&hold, vec![refused.clone()]).unwrap();
    }
    // The threshold is reached. The wait is the breaker's longest, not a day.
    assert_eq!(bench.first().1, "large");
    bench.after(29 * SECOND);
    assert_eq!(bench.first().1, "large");
    bench.after(2 * SECOND);
    assert_eq!(bench.first().1, "small");
    assert!(bench.now < crate::bench::MONDAY + DAY);
}

#[test]
fn agents_teach_nothing_about_the_size_of_inputs() {
    let mut config = config();
    config.models[0].learned_input_bound = true;
    let mut bench = Bench::given(config);
    let bytes = |id: String, bytes| AdmitRequest {
        input: Some(Input::InputBytes(bytes)),
        ..call(&id, 0, 1)
    };
    for _ in 0..200 {
        let id = bench.request_id();
        let hold = bench.admit(&bytes(id, 1_000)).unwrap().invocation;
        bench.settle(&hold, vec![used("small", 1, 1)]).unwrap();
    }
    let admitted = bench.after(MINUTE).admit(&bytes("last".to_owned(), 10_000)).unwrap();
    assert_eq!(admitted.reservation.unwrap().amount.unwrap().tokens, 10_001);
    let usage = fairlead_wire::v1::Usage {
        input: 100,
        ..Default::default()
    };
    let report = fairlead_plan::AttemptReport {
        outcome: AttemptOutcome::Succeeded,
        status: 200,
        retry_after_nanos: None,
        latency_nanos: 0,
        input_bytes: Some(1_000),
        usage: Some(&usage),
    };
    for _ in 0..200 {
        bench.engine.report_attempt(UnixNanos(bench.now), "small", &report);
    }
    let admitted = bench.admit(&bytes("own".to_owned(), 10_000)).unwrap();
    assert_eq!(admitted.reservation.unwrap().amount.unwrap().tokens, 1_101);
}
