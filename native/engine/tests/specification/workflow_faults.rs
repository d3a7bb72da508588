//! What goes wrong around runs: power, clocks, somebody else's lease, the end, the same words twice.
use fairlead_engine::{Caller, Reason, family};
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{ApprovalRecord, WaitTask};
use fairlead_wire::v1::audit_record::Body;
use fairlead_wire::v1::{
    ApprovalDecision, ApprovalState, Resolution, ResolutionOutcome, RunState, StartRunRequest, StepEffect, StepState,
};
use prost::Message;

use crate::bench::{Bench, HOUR, MINUTE, SECOND};
use crate::workflow_bench::{BOT, acting, agent, approval, versioned, wait, wish, with, with_workflows, workflow};

fn office() -> Bench {
    let go = WaitTask {
        signal: "go".to_owned(),
        ..WaitTask::default()
    };
    let steps = vec![
        agent("look", &[], "a"),
        approval("review", &["look"], "two", "{}"),
        wait("go", &["review"], go),
        acting("pay", &["go"], "b", ""),
    ];
    Bench::given(with_workflows(vec![workflow("office", steps)]))
}

#[test]
fn what_is_acknowledged_about_a_run_survives_a_loss_of_power() {
    let mut bench = office();
    let run = bench.start("office", "{}").name;
    assert!(bench.last_power, "the start");
    let look = bench.lease("a").unwrap();
    assert!(!bench.last_power, "what only reads may be leased again");
    bench.complete_step(&look, "1").unwrap();
    assert!(bench.last_power, "a result");
    for operator in ["asha", "ben"] {
        let asked = bench.questions().pop().unwrap();
        bench.answer(operator, &asked, ApprovalDecision::Approve).unwrap();
        assert!(bench.last_power, "the vote of {operator}");
    }
    bench.pause(&run).unwrap();
    assert!(bench.last_power, "a pause");
    bench.resume(&run).unwrap();
    assert!(bench.last_power, "the end of a pause");
    bench.signal("s-1", &run, "go", "1").unwrap();
    assert!(bench.last_power, "a signal");
    let pay = bench.lease("b").unwrap();
    assert!(bench.last_power, "nobody may be sent twice to act");
    bench.fail(&pay, "FLAKY").unwrap();
    assert!(bench.last_power, "a failure");
    bench.cancel(&run).unwrap();
    assert!(bench.last_power, "a cancellation");
}

#[test]
fn where_runs_may_be_lost_with_the_power_nothing_waits_for_the_disk() {
    let mut bench = office();
    bench.load(|config| {
        config
            .durability
            .insert("workflow.step".to_owned(), "process".to_owned());
    });
    bench.start("office", "{}");
    assert!(!bench.last_power);
    let look = bench.lease("a").unwrap();
    bench.complete_step(&look, "1").unwrap();
    assert!(!bench.last_power);
}

#[test]
fn an_attempt_is_its_epoch_and_its_lease() {
    let mut bench = office();
    bench.start("office", "{}");
    let own = bench.lease("a").unwrap();
    let mut guessed = own.clone();
    guessed.lease = "lse_00000000000000000000000000000000".to_owned();
    let mut later = own.clone();
    later.epoch += 1;
    for other in [guessed, later] {
        for refused in [
            bench.heartbeat(&other).unwrap_err(),
            bench.complete_step(&other, "2").unwrap_err(),
            bench.fail(&other, "FLAKY").unwrap_err(),
        ] {
            assert_eq!(refused.reason, Reason::LeaseLost);
        }
    }
    bench.complete_step(&own, "1").unwrap();
}

#[test]
fn what_comes_after_the_end_changes_nothing() {
    let mut bench = office();
    let run = bench.start("office", "{}").name;
    let look = bench.lease("a").unwrap();
    bench.cancel(&run).unwrap();
    assert_eq!(bench.run_state(&run), RunState::Cancelling, "it may still report");
    bench.after(31 * SECOND).due();
    assert_eq!(bench.run_state(&run), RunState::Cancelled);
    let before = bench.store.clone();
    for refused in [
        bench.heartbeat(&look).unwrap_err(),
        bench.complete_step(&look, "1").unwrap_err(),
        bench.fail(&look, "FLAKY").unwrap_err(),
    ] {
        assert_eq!(refused.reason, Reason::LeaseLost);
    }
    assert_eq!(
        bench.signal("s-1", &run, "go", "1").unwrap_err().reason,
        Reason::NotFound
    );
    assert_eq!(bench.store, before);
}

#[test]
fn nothing_is_decided_while_the_clock_is_behind_and_nothing_is_lost_by_it() {
    let hour = WaitTask {
        for_millis: 3_600_000,
        ..WaitTask::default()
    };
    let steps = vec![agent("look", &[], "a"), wait("pause", &[], hour)];
    let mut bench = Bench::given(with_workflows(vec![workflow("timed", steps)]));
    let run = bench.start("timed", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.after(-HOUR);
    for refused in [
        bench.heartbeat(&lease).unwrap_err(),
        bench.complete_step(&lease, "1").unwrap_err(),
        bench.cancel(&run).unwrap_err(),
        bench.try_start("late", "timed", "{}").unwrap_err(),
    ] {
        assert_eq!(
            (refused.reason, refused.metadata["cause"].as_str()),
            (Reason::NotReady, "clock_set_back")
        );
    }
    // Nor is anything forgotten when the sidecar starts under such a clock.
    bench.crash();
    assert_eq!(
        bench.complete_step(&lease, "1").unwrap_err().reason,
        Reason::NotReady,
        "the last record is in the future"
    );
    bench.after(HOUR + SECOND).due();
    bench.complete_step(&lease, "1").unwrap();
    bench.after(HOUR - MINUTE).due();
    assert_eq!(
        bench.step_state(&run, 1),
        StepState::Waiting,
        "the wait is as long as it was"
    );
    bench.after(MINUTE).due();
    assert_eq!(bench.run_state(&run), RunState::Succeeded);
}

#[test]
fn a_timer_that_was_jumped_over_is_due_at_once() {
    let hour = WaitTask {
        for_millis: 3_600_000,
        ..WaitTask::default()
    };
    let mut bench = Bench::given(with_workflows(vec![workflow("timed", vec![wait("pause", &[], hour)])]));
    let run = bench.start("timed", "{}").name;
    bench.after(2 * HOUR).due();
    assert_eq!(bench.run_state(&run), RunState::Succeeded);
}

#[test]
fn one_person_is_one_vote_at_a_gate() {
    let mut bench = office();
    let run = bench.start("office", "{}").name;
    let look = bench.lease("a").unwrap();
    bench.complete_step(&look, "1").unwrap();
    let asked = bench.questions().pop().unwrap();
    bench.answer("asha", &asked, ApprovalDecision::Approve).unwrap();
    let asked = bench.questions().pop().unwrap();
    let refused = bench.answer("asha", &asked, ApprovalDecision::Approve).unwrap_err();
    assert_eq!(refused.reason, Reason::InvalidState);
    assert_eq!(bench.step_state(&run, 1), StepState::WaitingApproval);
    bench.answer("ben", &asked, ApprovalDecision::Approve).unwrap();
    assert_eq!(bench.step_state(&run, 1), StepState::Succeeded);
    assert!(
        bench.answer("ben", &asked, ApprovalDecision::Approve).is_err(),
        "it was used"
    );
}

#[test]
fn signals_of_different_requests_are_different_signals() {
    let go = || WaitTask {
        signal: "go".to_owned(),
        ..WaitTask::default()
    };
    let steps = vec![wait("first", &[], go()), wait("second", &["first"], go())];
    let mut bench = Bench::given(with_workflows(vec![workflow("twice", steps)]));
    let run = bench.start("twice", "{}").name;
    for _ in 0..2 {
        bench.signal("s-1", &run, "go", "1").unwrap();
    }
    assert_eq!(bench.run_state(&run), RunState::Waiting, "one signal is one step");
    bench.signal("s-2", &run, "go", "2").unwrap();
    assert_eq!(bench.output(&run), r#"{"second":2}"#);
}

#[test]
fn a_write_is_tried_again_under_its_key_and_unknown_without_one() {
    for (key, state) in [("\"w/1\"", StepState::RetryWait), ("", StepState::Unknown)] {
        let write = with(acting("write", &[], "a", ""), |task| {
            task.effect = StepEffect::Write as i32;
            key.clone_into(&mut task.idempotency_key);
        });
        let mut bench = Bench::given(with_workflows(vec![workflow("books", vec![write])]));
        let run = bench.start("books", "{}").name;
        bench.lease("a").unwrap();
        bench.after(31 * SECOND).due();
        assert_eq!(bench.step_state(&run, 0), state, "with key {key}");
    }
}

#[test]
fn a_key_under_which_somebody_may_have_acted_is_not_free() {
    for waits in [true, false] {
        let steps = vec![acting("pay", &[], "payer", "pay/${input.order}")];
        let mut bench = Bench::given(with_workflows(vec![workflow("pay", steps)]));
        let order = r#"{"order":"o-1"}"#;
        let first = bench.start("pay", order).name;
        bench.lease("payer").unwrap();
        let second = if waits {
            bench.start("pay", order).name
        } else {
            String::new()
        };
        bench.after(31 * SECOND).due();
        let asked = bench.questions().pop().unwrap();
        bench.answer("asha", &asked, ApprovalDecision::Reject).unwrap();
        assert_eq!(
            bench.run_state(&first),
            RunState::Failed,
            "nobody said what became of it"
        );
        bench.crash();
        let second = if waits { second } else { bench.start("pay", order).name };
        assert!(bench.lease("payer").is_none(), "it may have been paid");
        assert_eq!(bench.step_state(&second, 0), StepState::Unknown);
        let asked = bench.questions().pop().unwrap();
        let said = Resolution {
            outcome: ResolutionOutcome::Happened as i32,
            result: b"7".to_vec(),
        };
        bench
            .answer_with("asha", &asked, ApprovalDecision::Approve, |vote| {
                vote.resolution = Some(said)
            })
            .unwrap();
        assert_eq!(bench.run_state(&second), RunState::Succeeded);
        let third = bench.start("pay", order).name;
        assert_eq!(bench.output(&third), r#"{"pay":7}"#);
    }
}

#[test]
fn what_has_ended_does_not_come_back_and_its_history_stays() {
    let mut bench = office();
    let run = bench.start("office", "{}").name;
    bench.cancel(&run).unwrap();
    bench.crash();
    assert_eq!(bench.engine.open_runs(), 0);
    let is_open = |(family, key): &(u32, Vec<u8>)| *family == family::RUNS && key.first() == Some(&b'o');
    assert!(
        !bench.store.keys().any(is_open),
        "a recovery reads no run that has ended"
    );
    let id = run.strip_prefix("runs/").unwrap();
    let told = bench.log().into_iter().filter(|record| match &record.body {
        Some(Body::Run(event)) => event.run == id,
        Some(Body::Step(event)) => event.run == id,
        _ => false,
    });
    let told: Vec<u64> = told.map(|record| record.sequence).collect();
    assert!(!told.is_empty());
    for sequence in told {
        let is_indexed = bench.store.keys().any(|(family, key)| {
            *family == family::RUNS && key.first() == Some(&b'h') && key.ends_with(&sequence.to_be_bytes())
        });
        assert!(is_indexed, "record {sequence}");
    }
}

#[test]
fn an_agent_with_queues_of_its_own_takes_steps_of_no_other() {
    let mut bench = office();
    bench.start("office", "{}");
    bench.load(|config| config.tenants[0].agents[0].queues = vec!["b".to_owned()]);
    let wished = wish(&["b", "a"], 1);
    let applied = bench.engine.lease_steps(UnixNanos(bench.now), BOT, &wished);
    let refused = bench.take(applied).unwrap_err();
    assert_eq!(
        (refused.reason, refused.metadata["queue"].as_str()),
        (Reason::PolicyDenied, "a")
    );
    assert!(bench.lease("b").is_none(), "it may ask for its own");
    bench.load(|config| config.tenants[0].agents[0].queues.push("a".to_owned()));
    assert!(bench.lease("a").is_some());
}

#[test]
fn who_started_a_run_does_not_agree_to_its_steps_and_an_approval_is_used_up() {
    let steps = vec![approval("review", &[], "one", "{}")];
    let mut bench = Bench::given(with_workflows(vec![workflow("own", steps)]));
    let request = StartRunRequest {
        request_id: "s-1".to_owned(),
        workflow: "own".to_owned(),
        tenant: "acme".to_owned(),
        ..StartRunRequest::default()
    };
    let run = bench.start_as(Caller::operator("asha"), &request).unwrap().name;
    let asked = bench.questions().pop().unwrap();
    let refused = bench.answer("asha", &asked, ApprovalDecision::Approve).unwrap_err();
    assert_eq!(refused.reason, Reason::PolicyDenied);
    assert_eq!(bench.run_state(&run), RunState::Waiting);
    bench.answer("ben", &asked, ApprovalDecision::Approve).unwrap();
    assert_eq!(bench.run_state(&run), RunState::Succeeded);
    let stored = bench
        .store
        .iter()
        .filter(|((family, _), _)| *family == family::APPROVALS)
        .map(|(_, value)| ApprovalRecord::decode(value.as_slice()).unwrap().approval.unwrap());
    let states: Vec<ApprovalState> = stored.map(|approval| approval.state()).collect();
    assert_eq!(states, [ApprovalState::Consumed]);
}

#[test]
fn a_run_has_a_time_and_pausing_does_not_stop_it() {
    let mut bounded = workflow("bounded", vec![agent("look", &[], "a")]);
    bounded.timeout_millis = 3_600_000;
    let mut bench = Bench::given(with_workflows(vec![versioned(bounded)]));
    let run = bench.start("bounded", "{}").name;
    bench.after(59 * MINUTE).due();
    assert_eq!(bench.run_state(&run), RunState::Running);
    bench.pause(&run).unwrap();
    bench.crash();
    bench.after(MINUTE).due();
    assert_eq!(bench.run_state(&run), RunState::Failed);
    assert_eq!(bench.run(&run).failure.unwrap().code, "RUN_TIMEOUT");
}
