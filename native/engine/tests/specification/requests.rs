//! Request ids: the same id returns the first answer for 24 hours.
use fairlead_engine::{AdmitExtra, Caller, Reason, Refusal};
use fairlead_plan::UnixNanos;
use fairlead_wire::v1::EventKind;

use crate::bench::{Bench, DAY, HOUR, call, config, used};

fn admissions(bench: &Bench) -> usize {
    bench
        .kinds()
        .iter()
        .filter(|kind| **kind == EventKind::InvocationAdmitted)
        .count()
}

#[test]
fn the_same_request_gets_the_first_answer_while_open_and_after() {
    let mut bench = Bench::given(config());
    let first = bench.admit(&call("a", 1, 1)).unwrap();
    assert_eq!(bench.admit(&call("a", 1, 1)).unwrap(), first);
    bench.crash();
    assert_eq!(bench.admit(&call("a", 1, 1)).unwrap(), first);
    bench.settle(&first.invocation, vec![used("small", 1, 1)]).unwrap();
    assert_eq!(bench.after(23 * HOUR).admit(&call("a", 1, 1)).unwrap(), first);
    assert_eq!(admissions(&bench), 1);
}

#[test]
fn a_replay_says_that_it_is_one() {
    let mut bench = Bench::given(config());
    let caller = Caller::agent("acme", "bot");
    let request = call("a", 1, 1);
    bench.admit(&request).unwrap();
    let extra = AdmitExtra {
        remember: true,
        ..AdmitExtra::default()
    };
    let applied = bench.engine.admit(UnixNanos(bench.now), caller, &request, extra);
    let Err(Refusal::NeedsRecord(needs)) = applied.reply else {
        panic!()
    };
    assert_eq!((needs.request_keys.len(), needs.invocation_key.len()), (1, 0));
    assert!(applied.unit.is_none());
}

#[test]
fn another_request_with_the_same_id_is_refused() {
    let mut bench = Bench::given(config());
    bench.admit(&call("a", 1, 1)).unwrap();
    let refused = bench.admit(&call("a", 2, 1)).unwrap_err();
    assert_eq!(refused.reason, Reason::InvalidArgument);
    assert_eq!(refused.violations[0].field, "request_id");
    assert_eq!(admissions(&bench), 1);
}

#[test]
fn ids_belong_to_their_caller() {
    let mut bench = Bench::given(config());
    let extra = AdmitExtra {
        remember: true,
        ..AdmitExtra::default()
    };
    let callers = [
        Caller::agent("acme", "bot"),
        Caller::agent("acme", "other"),
        Caller::agent("globex", "bot"),
    ];
    for caller in callers {
        bench.admit_as(caller, &call("a", 1, 1), extra).unwrap();
    }
    assert_eq!(admissions(&bench), 3);
}

#[test]
fn a_refused_request_may_be_repeated() {
    let mut config = config();
    config.limits.as_mut().unwrap().open_reservations = 1;
    let mut bench = Bench::given(config);
    let first = bench.admit(&call("a", 1, 1)).unwrap();
    bench.admit(&call("b", 1, 1)).unwrap_err();
    bench.release(&first.invocation).unwrap();
    bench.admit(&call("b", 1, 1)).unwrap();
}

#[test]
fn after_a_day_an_id_is_new() {
    let mut bench = Bench::given(config());
    let first = bench.admit(&call("a", 1, 1)).unwrap();
    let second = bench.after(DAY + HOUR).admit(&call("a", 1, 1)).unwrap();
    assert_ne!(first.invocation, second.invocation);
}
