//! Runs of workflows: steps, leases, attempts, and who may see them.
use fairlead_engine::{Caller, Reason};
use fairlead_wire::v1::{CompleteStepRequest, EventKind, RunState, StartRunRequest, StepEffect, StepState};

use crate::bench::{Bench, HOUR, SECOND};
use crate::workflow_bench::{BOT, agent, attempt, text, wish, with, with_workflows, workflow};

pub fn chain() -> Bench {
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
    let reply = bench.complete_step(&second, r#""done""#).unwrap();
    assert_eq!(reply.run_state(), RunState::Succeeded);
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
fn several_results_are_taken_or_refused_each_by_itself_in_one_unit() {
    let checked = with(agent("only", &[], "a"), |task| {
        task.output_schema = r#"{"type":"object"}"#.to_owned();
    });
    let second = agent("second", &["first"], "b");
    let mut bench = Bench::given(with_workflows(vec![
        workflow("chain", vec![agent("first", &[], "a"), second]),
        workflow("checked", vec![checked]),
    ]));
    let mut leases = Vec::new();
    for name in ["chain", "chain", "checked"] {
        bench.start(name, "{}");
        leases.push(bench.lease("a").unwrap());
    }
    let mut stale = leases[1].clone();
    stale.epoch += 1;
    let results = [(&leases[0], "1"), (&stale, "2"), (&leases[2], "3")];
    let before = bench.log().len();
    let reply = bench.complete_steps(&results, Some(wish(&["b"], 4))).unwrap();
    let reasons: Vec<&str> = reply.outcomes.iter().map(|outcome| outcome.reason.as_str()).collect();
    assert_eq!(reasons, ["", "LEASE_LOST", "INVALID_ARGUMENT"]);
    assert_eq!(reply.outcomes[2].metadata["step"], "only");
    assert_eq!(reply.leases.len(), 1);
    let wanted = [EventKind::StepSucceeded, EventKind::StepRetried, EventKind::StepLeased];
    assert_eq!(bench.kinds().split_off(before), wanted);
    // What was taken stays so, and says so again.
    bench.crash();
    let again = bench.complete_steps(&results[..1], None).unwrap();
    assert_eq!(
        (again.outcomes[0].reason.as_str(), again.outcomes[0].run_state()),
        ("", RunState::Running)
    );
    for count in [0, 257] {
        let refused = bench.complete_steps(&vec![results[0]; count], None).unwrap_err();
        assert_eq!(refused.violations[0].field, "completions");
    }
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
