//! Effects: what happens to them when workers die, when runs are cancelled, and when others have the same key.
use fairlead_engine::Reason;
use fairlead_wire::internal::OnUnknown;
use fairlead_wire::v1::{ApprovalDecision, Resolution, ResolutionOutcome, RunState, StepState};

use crate::bench::{Bench, DAY, SECOND};
use crate::workflow_bench::{acting, agent, versioned, with, with_workflows, workflow};

#[test]
fn a_lost_side_effect_is_never_repeated_by_itself() {
    for (truth, result) in [(true, r#"{"id":1}"#), (false, "")] {
        let steps = vec![acting("pay", &[], "payer", "pay/${input.order}")];
        let mut bench = Bench::given(with_workflows(vec![workflow("pay", steps)]));
        let run = bench.start("pay", r#"{"order":"o-1"}"#).name;
        let lease = bench.lease("payer").unwrap();
        assert_eq!(lease.idempotency_key, "pay/o-1");
        bench.after(31 * SECOND).due();
        assert_eq!(bench.step_state(&run, 0), StepState::Unknown);
        assert_eq!(bench.run_state(&run), RunState::Waiting);
        bench.crash();
        assert!(bench.lease("payer").is_none());
        let question = bench.questions().pop().unwrap();
        let said = Resolution {
            outcome: if truth {
                ResolutionOutcome::Happened
            } else {
                ResolutionOutcome::DidNotHappen
            } as i32,
            result: result.as_bytes().to_vec(),
        };
        bench
            .answer_with("asha", &question, ApprovalDecision::Approve, |vote| {
                vote.resolution = Some(said)
            })
            .unwrap();
        if truth {
            assert_eq!(bench.run_state(&run), RunState::Succeeded);
        } else {
            let again = bench.lease("payer").unwrap();
            assert_eq!((again.epoch, again.idempotency_key.as_str()), (2, "pay/o-1"));
            bench.complete_step(&again, "1").unwrap();
            assert_eq!(bench.run_state(&run), RunState::Succeeded);
        }
    }
}

#[test]
fn people_can_stop_a_step_of_unknown_outcome() {
    let steps = vec![acting("pay", &[], "payer", "")];
    let mut bench = Bench::given(with_workflows(vec![workflow("pay", steps)]));
    let run = bench.start("pay", "{}").name;
    let lease = bench.lease("payer").unwrap();
    bench
        .fail_with(&lease, "TIMEOUT", |request| request.outcome_unknown = true)
        .unwrap();
    let question = bench.questions().pop().unwrap();
    bench.answer("asha", &question, ApprovalDecision::Reject).unwrap();
    assert_eq!(bench.run_state(&run), RunState::Failed);
    assert_eq!(bench.run(&run).failure.unwrap().code, "STOPPED");
}

#[test]
fn what_the_definition_says_about_unknown_outcomes_is_done() {
    for (on_unknown, state) in [
        (OnUnknown::Fail, RunState::Failed),
        (OnUnknown::Retry, RunState::Running),
        (OnUnknown::Compensate, RunState::Cancelling),
    ] {
        let mut pay = with(acting("pay", &[], "payer", "k"), |task| {
            task.on_unknown = on_unknown as i32
        });
        pay.compensate = "refund".to_owned();
        let mut bench = Bench::given(with_workflows(vec![workflow("pay", vec![pay])]));
        let run = bench.start("pay", "{}").name;
        bench.lease("payer").unwrap();
        bench.after(31 * SECOND).due();
        bench.after(2 * SECOND).due();
        assert_eq!(bench.run_state(&run), state, "{on_unknown:?}");
        if on_unknown == OnUnknown::Compensate {
            let undo = bench.lease("refund").unwrap();
            assert!(undo.compensation);
            bench.complete_step(&undo, "null").unwrap();
            assert_eq!(bench.run_state(&run), RunState::Compensated);
        }
    }
}

#[test]
fn a_key_acts_once_in_all_runs() {
    let steps = vec![acting("pay", &[], "payer", "pay/${input.order}")];
    let mut bench = Bench::given(with_workflows(vec![workflow("pay", steps)]));
    let first = bench.start("pay", r#"{"order":"o-1"}"#).name;
    let second = bench.start("pay", r#"{"order":"o-1"}"#).name;
    let lease = bench.lease("payer").unwrap();
    assert!(bench.lease("payer").is_none(), "the other one waits for the key");
    bench.crash();
    bench.complete_step(&lease, r#"{"id":7}"#).unwrap();
    for run in [&first, &second] {
        assert_eq!(bench.run_state(run), RunState::Succeeded);
        assert_eq!(bench.output(run), r#"{"pay":{"id":7}}"#);
    }
    bench.after(40 * DAY).crash();
    let third = bench.start("pay", r#"{"order":"o-1"}"#).name;
    assert_eq!(bench.output(&third), r#"{"pay":{"id":7}}"#);
    assert!(bench.step_of(&third, 0).replayed);
}

#[test]
fn a_key_that_is_given_up_goes_to_the_next() {
    let steps = vec![acting("pay", &[], "payer", "pay")];
    let mut bench = Bench::given(with_workflows(vec![workflow("pay", steps)]));
    let first = bench.start("pay", "{}").name;
    let second = bench.start("pay", "{}").name;
    let lease = bench.lease("payer").unwrap();
    bench.fail(&lease, "BAD_INPUT").unwrap();
    assert_eq!(bench.run_state(&first), RunState::Failed);
    let lease = bench.lease("payer").unwrap();
    assert_eq!(lease.run, second);
}

fn saga() -> Bench {
    let mut first = acting("first", &[], "a", "");
    first.compensate = "undo-a".to_owned();
    let mut second = acting("second", &["first"], "b", "");
    second.compensate = "undo-b".to_owned();
    let third = agent("third", &["second"], "c");
    Bench::given(with_workflows(vec![workflow("saga", vec![first, second, third])]))
}

#[test]
fn a_cancelled_run_takes_back_what_was_done_the_last_first() {
    let mut bench = saga();
    let run = bench.start("saga", "{}").name;
    for queue in ["a", "b"] {
        let lease = bench.lease(queue).unwrap();
        bench.complete_step(&lease, &format!(r#""{queue}""#)).unwrap();
    }
    let third = bench.lease("c").unwrap();
    assert_eq!(bench.cancel(&run).unwrap().state(), RunState::Cancelling);
    assert!(bench.heartbeat(&third).unwrap().cancel_requested);
    assert!(bench.lease("undo-b").is_none(), "the third step has not ended");
    bench.crash();
    bench.fail(&third, "CANCELLED").unwrap();
    assert!(bench.lease("undo-a").is_none(), "the last first");
    let undo = bench.lease("undo-b").unwrap();
    assert_eq!(
        (undo.compensation, undo.compensates.as_slice()),
        (true, br#""b""#.as_slice())
    );
    bench.complete_step(&undo, "null").unwrap();
    let undo = bench.lease("undo-a").unwrap();
    bench.complete_step(&undo, "null").unwrap();
    assert_eq!(bench.run_state(&run), RunState::Compensated);
}

#[test]
fn a_result_that_comes_after_the_cancellation_is_kept_and_taken_back() {
    let mut bench = saga();
    let run = bench.start("saga", "{}").name;
    let first = bench.lease("a").unwrap();
    bench.cancel(&run).unwrap();
    bench.complete_step(&first, "1").unwrap();
    let undo = bench.lease("undo-a").unwrap();
    bench.complete_step(&undo, "null").unwrap();
    assert_eq!(bench.run_state(&run), RunState::Compensated);
    assert_eq!(
        bench.complete_step(&undo, "null").unwrap_err().reason,
        Reason::LeaseLost
    );
    assert_eq!(bench.cancel(&run).unwrap_err().reason, Reason::NotFound, "it has ended");
}

#[test]
fn nothing_to_take_back_is_cancelled_at_once() {
    let mut bench = saga();
    let run = bench.start("saga", "{}").name;
    assert_eq!(bench.cancel(&run).unwrap().state(), RunState::Cancelled);
    assert_eq!(bench.run_state(&run), RunState::Cancelled);
    assert!(bench.lease("a").is_none());
}

#[test]
fn a_failed_run_is_compensated_where_the_definition_says_so() {
    let mut first = acting("first", &[], "a", "");
    first.compensate = "undo".to_owned();
    let mut definition = workflow("saga", vec![first, agent("second", &["first"], "b")]);
    definition.compensate_on_failure = true;
    let mut bench = Bench::given(with_workflows(vec![versioned(definition)]));
    let run = bench.start("saga", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, "1").unwrap();
    let lease = bench.lease("b").unwrap();
    bench.fail(&lease, "BAD_INPUT").unwrap();
    let undo = bench.lease("undo").unwrap();
    bench.complete_step(&undo, "null").unwrap();
    assert_eq!(bench.run_state(&run), RunState::Compensated);
    assert_eq!(bench.run(&run).failure.unwrap().code, "BAD_INPUT");
}

#[test]
fn what_another_run_has_done_is_not_taken_back() {
    let mut pay = acting("pay", &[], "payer", "pay/${input.order}");
    pay.compensate = "refund".to_owned();
    let steps = vec![pay, agent("ship", &["pay"], "shipper")];
    let mut bench = Bench::given(with_workflows(vec![workflow("order", steps)]));
    let first = bench.start("order", r#"{"order":"o-1"}"#).name;
    let lease = bench.lease("payer").unwrap();
    bench.complete_step(&lease, r#"{"id":7}"#).unwrap();
    let second = bench.start("order", r#"{"order":"o-1"}"#).name;
    assert!(bench.step_of(&second, 0).replayed);
    bench.cancel(&second).unwrap();
    assert_eq!(bench.run_state(&second), RunState::Cancelled);
    assert!(bench.lease("refund").is_none(), "the payment is the first run's");
    bench.cancel(&first).unwrap();
    assert_eq!(bench.lease("refund").unwrap().run, first);
}
