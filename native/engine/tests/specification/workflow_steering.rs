//! Who steers a run is on record, and what a rerun was answered with is kept.
use fairlead_engine::Caller;
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{RequestRecord, RerunRun, WorkflowDefinition};
use fairlead_wire::v1::{
    CancelRunRequest, EventKind, PauseRunRequest, RerunRunRequest, RerunRunResponse, ResumeRunRequest, RunState,
    SignalRunRequest, StepState,
};
use prost::Message;

use crate::bench::{Bench, SAID};
use crate::workflow_bench::{BOT, agent, with_workflows, workflow};

const ASHA: Caller<'static> = Caller::operator("asha");
const REQUESTS: u32 = 6;

fn two_steps() -> WorkflowDefinition {
    workflow("w", vec![agent("first", &[], "a"), agent("second", &["first"], "b")])
}

#[test]
fn the_log_says_who_steers_a_run() {
    let mut bench = Bench::given(with_workflows(vec![two_steps()]));
    let name = bench.start("w", "{}").name;
    let now = UnixNanos(bench.now);
    let (request_id, reason) = ("r".to_owned(), format!("{SAID} look first"));
    let pause = PauseRunRequest {
        request_id: request_id.clone(),
        name: name.clone(),
        reason: reason.clone(),
    };
    let paused = bench.engine.pause_run(now, ASHA, &pause);
    bench.take(paused).unwrap();
    let resume = ResumeRunRequest {
        request_id: request_id.clone(),
        name: name.clone(),
    };
    let resumed = bench.engine.resume_run(now, BOT, &resume);
    bench.take(resumed).unwrap();
    let signal = SignalRunRequest {
        request_id: request_id.clone(),
        name: name.clone(),
        signal: "paid".to_owned(),
        payload: Vec::new(),
    };
    let signalled = bench.engine.signal_run(now, ASHA, &signal);
    bench.take(signalled).unwrap();
    let cancel = CancelRunRequest {
        request_id,
        name,
        reason,
    };
    let cancelled = bench.engine.cancel_run(now, ASHA, &cancel);
    bench.take(cancelled).unwrap();

    let who = |kind: EventKind| {
        let record = bench.log().into_iter().find(|record| record.kind() == kind).unwrap();
        (record.tenant, record.agent, record.operator)
    };
    let asha = ("acme".to_owned(), String::new(), "asha".to_owned());
    let bot = ("acme".to_owned(), BOT.agent.to_owned(), String::new());
    assert_eq!(who(EventKind::RunStarted), bot);
    assert_eq!(who(EventKind::RunPaused), asha);
    assert_eq!(who(EventKind::RunResumed), bot);
    assert_eq!(who(EventKind::RunSignalled), asha);
    assert_eq!(who(EventKind::RunCancelling), asha);
    // What follows from it is the run's own.
    assert_eq!(who(EventKind::RunEnded), bot);
}

#[test]
fn a_rerun_keeps_what_has_succeeded_and_its_answer_for_the_request_id() {
    let definition = two_steps();
    let mut bench = Bench::given(with_workflows(vec![definition.clone()]));
    let name = bench.start("w", "{}").name;
    let lease = bench.lease("a").unwrap();
    bench.complete_step(&lease, r#"{"n":7}"#).unwrap();
    let lease = bench.lease("b").unwrap();
    bench.fail(&lease, "BAD_INPUT").unwrap();
    assert_eq!(bench.run_state(&name), RunState::Failed);

    let command = RerunRun {
        request: Some(RerunRunRequest {
            request_id: "r-1".to_owned(),
            name: name.clone(),
            ..RerunRunRequest::default()
        }),
        run: Some(bench.run(&name)),
        steps: bench.steps(&name),
        definition: Some(definition),
        request_key: vec![7; 20],
        request_digest: vec![8; 32],
    };
    let applied = bench.engine.rerun_run(UnixNanos(bench.now), BOT, &command);
    let run = bench.take(applied).unwrap();
    assert!(bench.last_power, "nothing is paid again after a loss of power");
    assert_eq!(run.rerun_of, name);
    assert_eq!(bench.step_state(&run.name, 0), StepState::Succeeded);
    assert!(bench.lease("a").is_none());
    assert_eq!(bench.lease("b").unwrap().run, run.name);

    let kept = bench.store.get(&(REQUESTS, vec![7; 20])).unwrap();
    let kept = RequestRecord::decode(kept.as_slice()).unwrap();
    assert_eq!(kept.digest, [8; 32]);
    let answer = RerunRunResponse::decode(kept.answer.as_slice()).unwrap();
    assert_eq!(answer.run, Some(run));
}
