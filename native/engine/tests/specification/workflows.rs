//! Runs of workflows: what the design promises, and what goes wrong in the field.
use fairlead_engine::{Caller, Reason};
use fairlead_wire::internal::{OnUnknown, WaitTask};
use fairlead_wire::v1::{
    AdmitRequest, Amount, ApprovalDecision, CompleteStepRequest, EventKind, Resolution, ResolutionOutcome, RunState,
    StartRunRequest, StepEffect, StepState,
};

use crate::bench::{Bench, DAY, HOUR, MINUTE, SECOND, call, used};
use crate::workflow_bench::{
    BOT, acting, agent, approval, attempt, child, for_each, text, versioned, wait, wish, with, with_workflows, workflow,
};

fn chain() -> Bench {
    let second = with(agent("second", &["first"], "b"), |task| {
        task.input = r#"{"got": "${steps.first.output.n}"}"#.to_owned();
    });
    Bench::given(with_workflows(vec![workflow(
        "chain",
        vec![agent("first", &[], "a"), second],
    )]))
}

#[test]
fn steps_run_in_order_and_hand_their_results_on() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    assert!(bench.lease("b").is_none());
    let first = bench.lease("a").unwrap();
    assert_eq!((first.epoch, first.attempt, first.effect()), (1, 1, StepEffect::Read));
    let reply = bench.complete_step(&first, r#"{"n": 7}"#).unwrap();
    assert_eq!(reply.run_state(), RunState::Running);
    let second = bench.lease("b").unwrap();
    assert_eq!(second.input, br#"{"got":7}"#);
    bench.complete_step(&second, r#""done""#).unwrap();
    assert_eq!(bench.run_state(&run), RunState::Succeeded);
    assert_eq!(bench.output(&run), r#"{"second":"done"}"#);
    assert_eq!(bench.engine.open_runs(), 0);
}

#[test]
fn a_completion_leases_the_next_step_in_the_same_unit() {
    let mut bench = chain();
    bench.start("chain", "{}");
    let first = bench.lease("a").unwrap();
    let request = CompleteStepRequest {
        attempt: Some(attempt(&first)),
        output: br#"{"n":1}"#.to_vec(),
        next: Some(wish(&["b"], 4)),
    };
    let before = bench.log().len();
    let reply = bench.complete_step_as(BOT, &request).unwrap();
    assert_eq!(reply.leases.len(), 1);
    let kinds: Vec<EventKind> = bench.kinds().split_off(before);
    assert_eq!(kinds, [EventKind::StepSucceeded, EventKind::StepLeased]);
}

#[test]
fn the_same_request_starts_one_run_and_another_input_is_refused() {
    let mut bench = chain();
    let first = bench.try_start("r", "chain", "{}").unwrap();
    bench.crash();
    let again = bench.try_start("r", "chain", "{}").unwrap();
    assert_eq!(first.name, again.name);
    let refused = bench.try_start("r", "chain", r#"{"x":1}"#).unwrap_err();
    assert_eq!(refused.reason, Reason::InvalidArgument);
    assert_eq!(refused.violations[0].field, "request_id");
    assert_eq!(bench.runs().len(), 1);
}

#[test]
fn what_an_old_attempt_says_changes_nothing() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    let frozen = bench.lease("a").unwrap();
    bench.after(31 * SECOND).due();
    assert_eq!(bench.step_state(&run, 0), StepState::RetryWait);
    bench.after(2 * SECOND).due();
    let other = bench.lease("a").unwrap();
    assert_eq!(other.epoch, 2);
    // The first worker thaws.
    for refused in [
        bench.complete_step(&frozen, r#"{"n":1}"#).unwrap_err(),
        bench.heartbeat(&frozen).unwrap_err(),
        bench.fail(&frozen, "LATE").unwrap_err(),
    ] {
        assert_eq!(refused.reason, Reason::LeaseLost);
    }
    bench.complete_step(&other, r#"{"n":2}"#).unwrap();
    assert_eq!(
        text(bench.step_of(&run, 0).output.as_ref()),
        r#"{"n": 2}"#.replace(' ', "")
    );
}

#[test]
fn a_repeated_completion_is_told_from_a_late_one() {
    let mut bench = chain();
    bench.start("chain", "{}");
    let first = bench.lease("a").unwrap();
    bench.complete_step(&first, r#"{"n":1}"#).unwrap();
    bench.crash();
    bench.complete_step(&first, r#"{"n":1}"#).unwrap();
    let mut other = first.clone();
    other.lease = "lse_other".to_owned();
    assert_eq!(
        bench.complete_step(&other, r#"{"n":1}"#).unwrap_err().reason,
        Reason::LeaseLost
    );
}

#[test]
fn heartbeats_keep_a_lease_and_a_late_one_is_refused() {
    let mut bench = chain();
    bench.start("chain", "{}");
    let lease = bench.lease("a").unwrap();
    for _ in 0..10 {
        bench.after(20 * SECOND).due();
        assert!(!bench.heartbeat(&lease).unwrap().cancel_requested);
    }
    bench.after(31 * SECOND).due();
    assert_eq!(bench.heartbeat(&lease).unwrap_err().reason, Reason::LeaseLost);
}

#[test]
fn a_worker_that_never_answers_is_timed_out_although_its_heart_beats() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    let lease = bench.lease("a").unwrap();
    while bench.step_state(&run, 0) == StepState::Leased {
        bench.after(20 * SECOND).due();
        let _ = bench.heartbeat(&lease);
    }
    assert_eq!(bench.step_of(&run, 0).failure.unwrap().code, "ATTEMPT_TIMEOUT");
}

#[test]
fn a_clock_that_jumps_does_not_take_leases_away() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.after(HOUR).due();
    assert_eq!(bench.step_state(&run, 0), StepState::Leased);
    bench.complete_step(&lease, r#"{"n":1}"#).unwrap();
    // Nor does a restart that takes longer than the lease.
    let lease = bench.lease("b").unwrap();
    bench.after(HOUR).crash();
    bench.due();
    bench.complete_step(&lease, "1").unwrap();
    assert_eq!(bench.run_state(&run), RunState::Succeeded);
}

#[test]
fn failures_are_retried_with_backoff_until_no_attempt_is_left() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    for wait in [SECOND, 2 * SECOND] {
        let lease = bench.lease("a").unwrap();
        bench.fail(&lease, "FLAKY").unwrap();
        bench.after(wait - 1).due();
        assert!(bench.lease("a").is_none());
        bench.after(1).due();
    }
    let lease = bench.lease("a").unwrap();
    bench.fail(&lease, "FLAKY").unwrap();
    assert_eq!(bench.run_state(&run), RunState::Failed);
    let failure = bench.run(&run).failure.unwrap();
    assert_eq!((failure.code.as_str(), failure.step.as_str()), ("FLAKY", "first"));
    assert_eq!(bench.step_state(&run, 1), StepState::Cancelled);
}

#[test]
fn a_code_that_is_not_retryable_ends_the_step_at_once() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.fail(&lease, "BAD_INPUT").unwrap();
    assert_eq!(bench.run_state(&run), RunState::Failed);
}

#[test]
fn a_step_that_is_given_back_costs_no_attempt() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    for _ in 0..10 {
        let lease = bench.lease("a").unwrap();
        bench
            .fail_with(&lease, "WORKER_STOPPED", |request| request.returned = true)
            .unwrap();
    }
    assert_eq!(bench.step_state(&run, 0), StepState::Ready);
    assert_eq!(bench.lease("a").unwrap().attempt, 1);
}

#[test]
fn an_output_that_violates_its_schema_names_the_place() {
    let mut steps = vec![with(agent("first", &[], "a"), |task| {
        task.output_schema =
            r#"{"type":"object","required":["income"],"properties":{"income":{"type":"number"}}}"#.to_owned();
    })];
    steps.push(agent("second", &["first"], "b"));
    let mut bench = Bench::given(with_workflows(vec![workflow("typed", steps)]));
    let run = bench.start("typed", "{}").name;
    let lease = bench.lease("a").unwrap();
    let refused = bench.complete_step(&lease, r#"{"income":"much"}"#).unwrap_err();
    assert_eq!(refused.reason, Reason::InvalidArgument);
    assert!(refused.message.contains("/income"), "{}", refused.message);
    assert_eq!(bench.step_of(&run, 0).failure.unwrap().code, "OUTPUT_INVALID");
    assert_eq!(bench.step_state(&run, 0), StepState::RetryWait);
}

#[test]
fn a_large_output_is_stored_once_and_a_too_large_one_ends_the_step() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    let large = format!(r#"{{"n":1,"text":"{}"}}"#, "x".repeat(300 << 10));
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, &large).unwrap();
    bench.crash();
    assert_eq!(text(bench.step_of(&run, 0).output.as_ref()).len(), large.len());
    let lease = bench.lease("b").unwrap();
    let too_large = format!(r#""{}""#, "x".repeat(2 << 20));
    let refused = bench.complete_step(&lease, &too_large).unwrap_err();
    assert_eq!(refused.reason, Reason::PayloadTooLarge);
    assert_eq!(bench.run(&run).failure.unwrap().code, "PAYLOAD_TOO_LARGE");
    assert_eq!(bench.run_state(&run), RunState::Failed);
}

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
fn a_paused_run_begins_nothing_and_goes_on_when_resumed() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    let first = bench.lease("a").unwrap();
    assert_eq!(bench.pause(&run).unwrap().state(), RunState::Paused);
    bench.complete_step(&first, r#"{"n":1}"#).unwrap();
    assert!(bench.lease("b").is_none());
    bench.crash();
    assert!(bench.lease("b").is_none());
    bench.resume(&run).unwrap();
    let second = bench.lease("b").unwrap();
    bench.complete_step(&second, "1").unwrap();
    assert_eq!(bench.run_state(&run), RunState::Succeeded);
}

#[test]
fn a_gate_waits_for_people_over_a_restart_between_two_votes() {
    let steps = vec![
        agent("risk", &[], "a"),
        approval("review", &["risk"], "two", r#"{"score":"${steps.risk.output.score}"}"#),
        with(agent("offer", &["review"], "b"), |task| {
            task.input = r#"{"by":"${steps.review.output.by}"}"#.to_owned();
        }),
    ];
    let mut bench = Bench::given(with_workflows(vec![workflow("loan", steps)]));
    let run = bench.start("loan", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, r#"{"score":0.7}"#).unwrap();
    let asked = bench.questions().pop().unwrap();
    assert_eq!(asked.arguments, br#"{"score":0.7}"#);
    bench.answer("asha", &asked, ApprovalDecision::Approve).unwrap();
    bench.after(DAY / 48).crash();
    let again = bench.answer("asha", &bench.questions()[0].clone(), ApprovalDecision::Approve);
    assert_eq!(again.unwrap_err().reason, Reason::InvalidState, "one person votes once");
    assert_eq!(bench.run_state(&run), RunState::Waiting);
    bench
        .answer("ben", &bench.questions()[0].clone(), ApprovalDecision::Approve)
        .unwrap();
    let offer = bench.lease("b").unwrap();
    assert_eq!(offer.input, br#"{"by":["asha","ben"]}"#);
    assert!(bench.questions().is_empty());
}

#[test]
fn no_ends_the_run_and_so_does_nobody() {
    for expires in [false, true] {
        let steps = vec![approval("review", &[], "one", "{}"), agent("offer", &["review"], "b")];
        let mut bench = Bench::given(with_workflows(vec![workflow("loan", steps)]));
        let run = bench.start("loan", "{}").name;
        let asked = bench.questions().pop().unwrap();
        if expires {
            bench.after(61 * MINUTE).due();
        } else {
            bench.answer("asha", &asked, ApprovalDecision::Reject).unwrap();
        }
        let code = bench.run(&run).failure.unwrap().code;
        assert_eq!(
            code,
            if expires {
                "APPROVAL_EXPIRED"
            } else {
                "APPROVAL_REJECTED"
            }
        );
        assert!(bench.answer("ben", &asked, ApprovalDecision::Approve).is_err());
        assert!(bench.lease("b").is_none());
    }
}

#[test]
fn a_cancelled_run_asks_nobody_any_more() {
    let steps = vec![approval("review", &[], "one", "{}")];
    let mut bench = Bench::given(with_workflows(vec![workflow("loan", steps)]));
    let run = bench.start("loan", "{}").name;
    let asked = bench.questions().pop().unwrap();
    bench.cancel(&run).unwrap();
    assert!(bench.questions().is_empty());
    assert!(bench.answer("asha", &asked, ApprovalDecision::Approve).is_err());
    assert_eq!(bench.run_state(&run), RunState::Cancelled);
}

#[test]
fn signals_are_kept_until_a_step_waits_and_are_taken_once() {
    let signal = WaitTask {
        signal: "paid".to_owned(),
        timeout_millis: 3_600_000,
        ..WaitTask::default()
    };
    let steps = vec![agent("first", &[], "a"), wait("paid", &["first"], signal)];
    let mut bench = Bench::given(with_workflows(vec![workflow("order", steps)]));
    let early = bench.start("order", "{}").name;
    bench.signal("s-1", &early, "paid", r#"{"by":"card"}"#).unwrap();
    bench.signal("s-1", &early, "paid", r#"{"by":"card"}"#).unwrap();
    bench.crash();
    assert_eq!(bench.run(&early).signals.len(), 1, "the same request is taken once");
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, "1").unwrap();
    assert_eq!(bench.output(&early), r#"{"paid":{"by":"card"}}"#);
    assert_eq!(
        bench.signal("s-2", &early, "paid", "1").unwrap_err().reason,
        Reason::NotFound
    );

    let late = bench.start("order", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, "1").unwrap();
    assert_eq!(bench.run_state(&late), RunState::Waiting);
    bench.after(61 * MINUTE).due();
    assert_eq!(bench.run(&late).failure.unwrap().code, "WAIT_TIMEOUT");
}

#[test]
fn time_passes_over_restarts() {
    let two_hours = WaitTask {
        for_millis: 7_200_000,
        ..WaitTask::default()
    };
    let steps = vec![wait("pause", &[], two_hours), agent("then", &["pause"], "a")];
    let mut bench = Bench::given(with_workflows(vec![workflow("later", steps)]));
    bench.start("later", "{}");
    bench.after(HOUR).crash();
    bench.due();
    assert!(bench.lease("a").is_none());
    bench.after(HOUR).due();
    assert!(bench.lease("a").is_some());
}

#[test]
fn a_run_can_begin_later() {
    let mut bench = chain();
    let start = bench.now + HOUR;
    let request = StartRunRequest {
        request_id: "r".to_owned(),
        workflow: "chain".to_owned(),
        start_time: Some(prost_types::Timestamp {
            seconds: start / SECOND,
            nanos: 0,
        }),
        ..StartRunRequest::default()
    };
    let run = bench.start_as(BOT, &request).unwrap();
    assert_eq!(run.state(), RunState::Pending);
    bench.crash();
    assert!(bench.lease("a").is_none());
    bench.after(HOUR + SECOND).due();
    assert!(bench.lease("a").is_some());
}

#[test]
fn conditions_skip_steps_and_what_reads_them() {
    let steps = vec![
        agent("score", &[], "a"),
        {
            let mut review = agent("review", &["score"], "b");
            review.when = "steps.score.output.n > 3".to_owned();
            review
        },
        with(agent("reads", &["review"], "c"), |task| {
            task.input = r#"{"x":"${steps.review.output}"}"#.to_owned();
        }),
        agent("after", &["review"], "d"),
    ];
    let mut bench = Bench::given(with_workflows(vec![workflow("w", steps)]));
    let run = bench.start("w", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, r#"{"n":1}"#).unwrap();
    assert_eq!(bench.step_state(&run, 1), StepState::Skipped);
    assert_eq!(bench.step_state(&run, 2), StepState::Skipped);
    let lease = bench.lease("d").unwrap();
    bench.complete_step(&lease, "1").unwrap();
    assert_eq!(bench.run_state(&run), RunState::Succeeded);
}

#[test]
fn items_are_done_side_by_side_and_joined_in_order() {
    let scored = for_each(
        with(agent("score", &[], "a"), |task| {
            task.input = r#"{"doc":"${item}"}"#.to_owned()
        }),
        r#""${input.docs}""#,
        2,
        0,
    );
    let mut bench = Bench::given(with_workflows(vec![workflow("w", vec![scored])]));
    let run = bench.start("w", r#"{"docs":["x","y","z"]}"#).name;
    let mut leases = bench.lease_many(&["a"], 10);
    assert_eq!(leases.len(), 2, "at most two at a time");
    assert_eq!(leases[1].step, "score[1]");
    leases.reverse();
    for lease in leases {
        bench.crash();
        bench.complete_step(&lease, &format!(r#""{}""#, lease.step)).unwrap();
    }
    let last = bench.lease("a").unwrap();
    assert_eq!(last.input, br#"{"doc":"z"}"#);
    bench.complete_step(&last, r#""last""#).unwrap();
    assert_eq!(bench.output(&run), r#"{"score":["score[0]","score[1]","last"]}"#);
}

#[test]
fn a_quorum_of_items_is_enough() {
    let scored = for_each(agent("score", &[], "a"), r#""${input.docs}""#, 3, 2);
    let mut bench = Bench::given(with_workflows(vec![workflow("w", vec![scored])]));
    let run = bench.start("w", r#"{"docs":[1,2,3]}"#).name;
    let leases = bench.lease_many(&["a"], 10);
    bench.fail(&leases[0], "BAD_INPUT").unwrap();
    bench.complete_step(&leases[1], "1").unwrap();
    bench.complete_step(&leases[2], "2").unwrap();
    assert_eq!(bench.output(&run), r#"{"score":[null,1,2]}"#);

    let run = bench.start("w", r#"{"docs":[1,2,3]}"#).name;
    let leases = bench.lease_many(&["a"], 10);
    bench.fail(&leases[0], "BAD_INPUT").unwrap();
    bench.fail(&leases[1], "BAD_INPUT").unwrap();
    assert_eq!(bench.run(&run).failure.unwrap().code, "ITEMS_FAILED");
    bench.fail(&leases[2], "X").unwrap_err();
    assert_eq!(bench.run_state(&run), RunState::Failed);
}

#[test]
fn ten_thousand_items_are_done() {
    let scored = for_each(agent("score", &[], "a"), r#""${input.docs}""#, 256, 0);
    let mut config = with_workflows(vec![workflow("w", vec![scored])]);
    config.limits.as_mut().unwrap().payload_bytes = 16 << 20;
    let mut bench = Bench::given(config);
    let docs: Vec<String> = (0..10_000).map(|at| at.to_string()).collect();
    let run = bench.start("w", &format!(r#"{{"docs":[{}]}}"#, docs.join(","))).name;
    bench.check_every = 500;
    loop {
        let leases = bench.lease_many(&["a"], 256);
        if leases.is_empty() {
            break;
        }
        for lease in leases {
            bench.complete_step(&lease, "1").unwrap();
        }
    }
    assert_eq!(bench.run_state(&run), RunState::Succeeded);
    let refused = bench.start("w", &format!(r#"{{"docs":[{},1]}}"#, docs.join(",")));
    assert_eq!(bench.run(&refused.name).failure.unwrap().code, "TOO_MANY_ITEMS");
}

#[test]
fn a_child_is_a_run_of_its_own_and_ends_with_its_parent() {
    let parent = workflow("parent", vec![child("sub", &[], "kid")]);
    let kid = workflow("kid", vec![agent("work", &[], "a")]);
    let mut bench = Bench::given(with_workflows(vec![parent, kid]));
    let run = bench.start("parent", "{}").name;
    assert_eq!(bench.runs().len(), 2);
    bench.crash();
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, "5").unwrap();
    assert_eq!(bench.output(&run), r#"{"sub":{"work":5}}"#);

    let run = bench.start("parent", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.cancel(&run).unwrap();
    assert_eq!(
        bench.run_state(&run),
        RunState::Cancelling,
        "its child has a leased step"
    );
    bench.fail(&lease, "CANCELLED").unwrap();
    assert_eq!(bench.run_state(&run), RunState::Cancelled);
    assert_eq!(bench.engine.open_runs(), 0);
}

#[test]
fn recursion_is_bounded() {
    let mut bench = Bench::given(with_workflows(vec![workflow(
        "deep",
        vec![child("again", &[], "deep")],
    )]));
    let run = bench.start("deep", "{}").name;
    assert_eq!(bench.runs().len(), 5, "limits.runDepth is 4");
    let failure = bench.run(&run).failure.unwrap();
    assert_eq!(failure.code, "RUN_DEPTH");
    assert_eq!(bench.engine.open_runs(), 0);
}

#[test]
fn a_definition_that_is_edited_or_gone_does_not_touch_runs_in_flight() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.load(|config| config.workflows.clear());
    bench.crash();
    bench.complete_step(&lease, r#"{"n":1}"#).unwrap();
    let second = bench.lease("b").unwrap();
    bench.complete_step(&second, "1").unwrap();
    assert_eq!(bench.run_state(&run), RunState::Succeeded);
    assert_eq!(
        bench.try_start("again", "chain", "{}").unwrap_err().reason,
        Reason::NotFound
    );
}

#[test]
fn another_tenant_sees_nothing() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    let stranger = Caller::agent("globex", "bot");
    let wish = wish(&["a"], 1);
    let leased = bench
        .engine
        .lease_steps(fairlead_plan::UnixNanos(bench.now), stranger, &wish);
    assert!(bench.take(leased).unwrap().is_empty());
    let lease = bench.lease("a").unwrap();
    let request = CompleteStepRequest {
        attempt: Some(attempt(&lease)),
        output: b"1".to_vec(),
        next: None,
    };
    assert_eq!(
        bench.complete_step_as(stranger, &request).unwrap_err().reason,
        Reason::LeaseLost
    );
    let cancel = fairlead_wire::v1::CancelRunRequest {
        request_id: "x".to_owned(),
        name: run.clone(),
        reason: String::new(),
    };
    let refused = bench
        .engine
        .cancel_run(fairlead_plan::UnixNanos(bench.now), stranger, &cancel);
    assert_eq!(bench.take(refused).unwrap_err().reason, Reason::NotFound);
    assert_eq!(bench.run_state(&run), RunState::Running);
}

#[test]
fn bounds_are_named() {
    let mut config = with_workflows(vec![workflow("chain", vec![agent("first", &[], "a")])]);
    config.limits.as_mut().unwrap().open_runs = 4;
    let mut bench = Bench::given(config);
    for _ in 0..2 {
        bench.start("chain", "{}");
    }
    let refused = bench.try_start("more", "chain", "{}").unwrap_err();
    assert_eq!(
        (refused.reason, refused.metadata["bound"].as_str()),
        (Reason::QueueFull, "limits.openRuns")
    );
}

#[test]
fn a_step_that_nobody_takes_times_out() {
    let steps = vec![with(agent("first", &[], "nobody"), |task| {
        task.timeouts.as_mut().unwrap().queue_millis = 60_000;
    })];
    let mut bench = Bench::given(with_workflows(vec![workflow("w", steps)]));
    let run = bench.start("w", "{}").name;
    bench.after(61 * SECOND).due();
    assert_eq!(bench.run(&run).failure.unwrap().code, "QUEUE_TIMEOUT");
}

#[test]
fn higher_priority_goes_first() {
    let mut bench = chain();
    for (id, priority) in [("low", -5), ("mid", 0), ("high", 5)] {
        let request = StartRunRequest {
            request_id: id.to_owned(),
            workflow: "chain".to_owned(),
            priority,
            input: format!(r#"{{"id":"{id}"}}"#).into_bytes(),
            ..StartRunRequest::default()
        };
        bench.start_as(BOT, &request).unwrap();
    }
    let leased = bench.lease_many(&["a"], 3);
    let order: Vec<i32> = leased.iter().map(|lease| bench.run(&lease.run).priority).collect();
    assert_eq!(order, [5, 0, -5]);
}

#[test]
fn repairs_are_on_record() {
    let steps = vec![approval("review", &[], "one", "{}")];
    let mut bench = Bench::given(with_workflows(vec![workflow("loan", steps)]));
    let run = bench.start("loan", "{}").name;
    // Somebody has lost the open approval.
    bench
        .store
        .retain(|(family, key), _| *family != fairlead_engine::family::STATE || key.get(6) != Some(&b'p'));
    bench.crash();
    let repaired = bench.engine.reconcile(fairlead_plan::UnixNanos(bench.now));
    assert_eq!(bench.take(repaired).unwrap(), 1);
    assert!(bench.kinds().contains(&EventKind::RunRepaired));
    assert_eq!(bench.run_state(&run), RunState::Failed);
    let again = bench.engine.reconcile(fairlead_plan::UnixNanos(bench.now));
    assert_eq!(bench.take(again).unwrap(), 0);
}

fn in_run(run: &str, step: &str, request_id: &str) -> AdmitRequest {
    AdmitRequest {
        run: run.to_owned(),
        step: step.to_owned(),
        ..call(request_id, 100, 200)
    }
}

#[test]
fn a_run_has_a_budget_of_its_own_that_covers_its_children() {
    let mut parent = workflow("parent", vec![agent("own", &[], "a"), child("sub", &[], "kid")]);
    // The worst case of one call is 500.
    parent.budget = Some(Amount {
        nano_usd: 800,
        ..Amount::default()
    });
    let kid = workflow("kid", vec![agent("work", &[], "b")]);
    let mut bench = Bench::given(with_workflows(vec![versioned(parent), kid]));
    let run = bench.start("parent", "{}").name;
    let own = bench.lease("a").unwrap();
    let work = bench.lease("b").unwrap();
    assert_ne!(own.run, work.run);

    let first = bench.admit(&in_run(&work.run, "work", "r-1")).unwrap();
    let refused = bench.admit(&in_run(&own.run, "own", "r-2"));
    // What is left is enough for a shorter answer.
    assert!(refused.is_ok_and(|reply| reply.clamped));
    let refused = bench.admit(&in_run(&own.run, "own", "r-3")).unwrap_err();
    assert_eq!(refused.reason, Reason::BudgetExhausted);
    bench.crash();
    let refused = bench.admit(&in_run(&own.run, "own", "r-3")).unwrap_err();
    assert_eq!(refused.reason, Reason::BudgetExhausted);

    bench.settle(&first.invocation, vec![used("small", 100, 100)]).unwrap();
    let spent = bench.step_of(&work.run, 0).spent.unwrap();
    assert_eq!(spent.nano_usd, 300);
    bench.complete_step(&work, "1").unwrap();
    assert_eq!(
        bench.run(&run).spent.unwrap().nano_usd,
        300,
        "what a child has spent is its parent's, too"
    );
    // A reload changes nothing for a run in flight.
    bench.load(|config| config.workflows.clear());
    let refused = bench.admit(&in_run(&own.run, "own", "r-4")).unwrap_err();
    assert_eq!(refused.reason, Reason::BudgetExhausted);
}

#[test]
fn a_retry_storm_ends_at_the_budget_of_the_run() {
    let mut definition = workflow(
        "storm",
        vec![with(agent("flaky", &[], "a"), |task| {
            task.retry.as_mut().unwrap().attempts = 50;
        })],
    );
    definition.budget = Some(Amount {
        requests: 10,
        ..Amount::default()
    });
    let mut bench = Bench::given(with_workflows(vec![versioned(definition)]));
    let run = bench.start("storm", "{}").name;
    let mut calls = 0;
    while bench.run_state(&run) != RunState::Failed {
        bench.after(2 * MINUTE).due();
        let lease = bench.lease("a").unwrap();
        let id = bench.request_id();
        match bench.admit(&in_run(&lease.run, "flaky", &id)) {
            Ok(admitted) => {
                calls += 1;
                bench.settle(&admitted.invocation, vec![used("small", 10, 10)]).unwrap();
                bench.fail(&lease, "FLAKY").unwrap();
            }
            Err(rejection) => {
                assert_eq!(rejection.reason, Reason::BudgetExhausted);
                bench
                    .fail_with(&lease, "BUDGET_EXHAUSTED", |request| request.non_retryable = true)
                    .unwrap();
            }
        }
    }
    assert_eq!(calls, 10);
    assert_eq!(bench.run(&run).spent.unwrap().requests, 10);
}

#[test]
fn nothing_is_called_in_a_run_that_has_ended_or_is_another_tenants() {
    let mut bench = chain();
    let run = bench.start("chain", "{}").name;
    let lease = bench.lease("a").unwrap();
    assert!(bench.admit(&in_run(&run, "first", "r-1")).is_ok());
    let stranger = bench.admit_as(
        Caller::agent("globex", "bot"),
        &in_run(&run, "first", "r-2"),
        fairlead_engine::AdmitExtra {
            remember: true,
            ..fairlead_engine::AdmitExtra::default()
        },
    );
    assert_eq!(stranger.unwrap_err().reason, Reason::InvalidState);
    bench.cancel(&run).unwrap();
    assert_eq!(
        bench.admit(&in_run(&run, "first", "r-3")).unwrap_err().reason,
        Reason::InvalidState
    );
    bench.fail(&lease, "CANCELLED").unwrap();
    assert_eq!(
        bench.admit(&in_run(&run, "first", "r-4")).unwrap_err().reason,
        Reason::InvalidState
    );
    assert!(
        bench.admit(&in_run("run-17", "first", "r-5")).is_ok(),
        "a name of the agent's own"
    );
}
