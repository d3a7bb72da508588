//! Workflows on the bench: definitions, workers, people.
use std::sync::Arc;

use fairlead_engine::{Caller, Rejection, Workflows, family};
use fairlead_plan::UnixNanos;
use fairlead_wire::internal::{
    self, AgentTask, ApprovalTask, ChildTask, DecideApproval, EngineConfig, ForEach, OnUnknown, RunRecord,
    StepDefinition, StepRecord, StepRetry, StepTask, StepTimeouts, WaitTask, WorkflowDefinition, step_task::Kind,
};
use fairlead_wire::v1::{
    Approval, ApprovalDecision, ApprovalState, AttemptRef, CancelRunRequest, CompleteStepRequest, CompleteStepResponse,
    CompleteStepsRequest, CompleteStepsResponse, FailStepRequest, FailStepResponse, HeartbeatStepRequest,
    HeartbeatStepResponse, LeaseWish, PauseRunRequest, ResumeRunRequest, Run, RunState, SignalRunRequest,
    StartRunRequest, StepCompletion, StepEffect, StepLease, StepState,
};
use prost::Message;
use sha2::{Digest, Sha256};

use crate::bench::{Bench, SAID};
use crate::tool_bench::with_tools;

pub const BOT: Caller<'static> = Caller::agent("acme", "bot");

/// A configuration with tiers, operators and these workflows.
pub fn with_workflows(workflows: Vec<WorkflowDefinition>) -> EngineConfig {
    let mut config = with_tools();
    let limits = config.limits.as_mut().unwrap();
    limits.open_runs = 10_000;
    limits.run_bytes = 64 << 20;
    limits.payload_bytes = 1 << 20;
    limits.for_each_items = 10_000;
    limits.run_depth = 4;
    limits.open_approvals = 20_000;
    config.workflows = workflows;
    config
}

/// A definition with its version.
pub fn workflow(name: &str, steps: Vec<StepDefinition>) -> WorkflowDefinition {
    versioned(WorkflowDefinition {
        name: name.to_owned(),
        steps,
        unknown_tier: "one".to_owned(),
        ..WorkflowDefinition::default()
    })
}

pub fn versioned(mut definition: WorkflowDefinition) -> WorkflowDefinition {
    definition.version.clear();
    let digest = Sha256::digest(definition.encode_to_vec());
    definition.version = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    definition
}

/// A step that needs others.
pub fn step(id: &str, needs: &[&str], kind: Kind) -> StepDefinition {
    StepDefinition {
        id: id.to_owned(),
        needs: needs.iter().map(|need| (*need).to_owned()).collect(),
        task: Some(StepTask {
            kind: Some(kind),
            ..StepTask::default()
        }),
        ..StepDefinition::default()
    }
}

/// A step of queue `queue`.
pub fn agent(id: &str, needs: &[&str], queue: &str) -> StepDefinition {
    let queue = queue.to_owned();
    with(step(id, needs, Kind::Agent(AgentTask { queue })), |task| {
        task.input = "{}".to_owned();
        task.effect = StepEffect::Read as i32;
        task.retry = Some(StepRetry {
            attempts: 3,
            initial_millis: 1_000,
            max_millis: 60_000,
            non_retryable: vec!["BAD_INPUT".to_owned()],
        });
        task.timeouts = Some(StepTimeouts {
            lease_millis: 30_000,
            attempt_millis: 600_000,
            ..StepTimeouts::default()
        });
    })
}

/// A step that acts on the world.
pub fn acting(id: &str, needs: &[&str], queue: &str, key: &str) -> StepDefinition {
    let mut step = agent(id, needs, queue);
    let task = step.task.as_mut().unwrap();
    task.effect = StepEffect::SideEffect as i32;
    task.idempotency_key = json_text(key);
    task.on_unknown = OnUnknown::Ask as i32;
    step
}

/// A template of a text; empty stays empty.
pub fn json_text(text: &str) -> String {
    if text.is_empty() {
        String::new()
    } else {
        format!("\"{text}\"")
    }
}

pub fn approval(id: &str, needs: &[&str], tier: &str, show: &str) -> StepDefinition {
    let kind = Kind::Approval(ApprovalTask {
        tier: tier.to_owned(),
        // In two parts, because the definition itself is no text of somebody.
        title: format!(r#""${{'sa' + 'id: what about {id}'}}""#),
        show: show.to_owned(),
        ..ApprovalTask::default()
    });
    step(id, needs, kind)
}

pub fn wait(id: &str, needs: &[&str], wait: WaitTask) -> StepDefinition {
    step(id, needs, Kind::Wait(wait))
}

pub fn child(id: &str, needs: &[&str], workflow: &str) -> StepDefinition {
    let workflow = workflow.to_owned();
    step(id, needs, Kind::Workflow(ChildTask { workflow }))
}

/// Does the step for every item.
pub fn for_each(mut step: StepDefinition, items: &str, max_parallel: u32, quorum: u32) -> StepDefinition {
    step.for_each = Some(ForEach {
        items: items.to_owned(),
        max_parallel,
        quorum,
    });
    step
}

/// Changes the task of a step.
pub fn with(mut step: StepDefinition, change: impl FnOnce(&mut StepTask)) -> StepDefinition {
    change(step.task.as_mut().unwrap());
    step
}

/// The workflows of a configuration, compiled.
pub fn workflows_of(config: &EngineConfig) -> Arc<Workflows> {
    Arc::new(Workflows::compile(config).unwrap_or_else(|violations| panic!("{violations:#?}")))
}

pub fn attempt(lease: &StepLease) -> AttemptRef {
    AttemptRef {
        run: lease.run.clone(),
        step: lease.step.clone(),
        epoch: lease.epoch,
        lease: lease.lease.clone(),
    }
}

impl Bench {
    pub fn start(&mut self, workflow: &str, input: &str) -> Run {
        let request_id = self.request_id();
        self.try_start(&request_id, workflow, input).unwrap()
    }

    pub fn try_start(&mut self, request_id: &str, workflow: &str, input: &str) -> Result<Run, Rejection> {
        let request = StartRunRequest {
            request_id: request_id.to_owned(),
            workflow: workflow.to_owned(),
            input: input.as_bytes().to_vec(),
            ..StartRunRequest::default()
        };
        self.start_as(BOT, &request)
    }

    pub fn start_as(&mut self, caller: Caller<'_>, request: &StartRunRequest) -> Result<Run, Rejection> {
        let applied = self.engine.start_run(UnixNanos(self.now), caller, request, None);
        let started = match self.take_any(applied) {
            Err(fairlead_engine::Refusal::NeedsRecord(needs)) => {
                let known = self.read(&needs);
                let now = UnixNanos(self.now);
                let applied = self.engine.start_run(now, caller, request, Some(&known));
                self.take_any(applied)
            }
            other => other,
        };
        self.resolve_keys();
        match started {
            Ok(run) => Ok(run),
            Err(fairlead_engine::Refusal::Rejected(rejection)) => Err(rejection),
            Err(other) => panic!("{other:?}"),
        }
    }

    /// Looks up the keys of steps that wait for that, as the front does.
    pub fn resolve_keys(&mut self) {
        while let Some(command) = self.engine.next_unresolved_key() {
            let now = UnixNanos(self.now);
            let applied = self.engine.resolve_step_key(now, &command, None);
            if let Err(fairlead_engine::Refusal::NeedsRecord(needs)) = self.take_any(applied) {
                let known = self.read(&needs);
                let applied = self.engine.resolve_step_key(now, &command, Some(&known));
                self.take(applied).unwrap();
            }
        }
    }

    pub fn lease(&mut self, queue: &str) -> Option<StepLease> {
        self.lease_many(&[queue], 1).pop()
    }

    pub fn lease_many(&mut self, queues: &[&str], most: i32) -> Vec<StepLease> {
        let wish = wish(queues, most);
        let applied = self.engine.lease_steps(UnixNanos(self.now), BOT, &wish);
        self.take(applied).unwrap()
    }

    pub fn complete_step(&mut self, lease: &StepLease, output: &str) -> Result<CompleteStepResponse, Rejection> {
        let request = CompleteStepRequest {
            attempt: Some(attempt(lease)),
            output: output.as_bytes().to_vec(),
            next: None,
        };
        self.complete_step_as(BOT, &request)
    }

    pub fn complete_step_as(
        &mut self,
        caller: Caller<'_>,
        request: &CompleteStepRequest,
    ) -> Result<CompleteStepResponse, Rejection> {
        let applied = self.engine.complete_step(UnixNanos(self.now), caller, request);
        let reply = self.take(applied);
        self.resolve_keys();
        reply
    }

    /// Several results in one call, and perhaps the next steps.
    pub fn complete_steps(
        &mut self,
        completions: &[(&StepLease, &str)],
        next: Option<LeaseWish>,
    ) -> Result<CompleteStepsResponse, Rejection> {
        let completion = |(lease, output): &(&StepLease, &str)| StepCompletion {
            attempt: Some(attempt(lease)),
            output: output.as_bytes().to_vec(),
        };
        let request = CompleteStepsRequest {
            completions: completions.iter().map(completion).collect(),
            next,
        };
        let applied = self.engine.complete_steps(UnixNanos(self.now), BOT, &request);
        let reply = self.take(applied);
        self.resolve_keys();
        reply
    }

    pub fn fail(&mut self, lease: &StepLease, code: &str) -> Result<FailStepResponse, Rejection> {
        self.fail_with(lease, code, |_| {})
    }

    pub fn fail_with(
        &mut self,
        lease: &StepLease,
        code: &str,
        change: impl FnOnce(&mut FailStepRequest),
    ) -> Result<FailStepResponse, Rejection> {
        let mut request = FailStepRequest {
            attempt: Some(attempt(lease)),
            code: code.to_owned(),
            message: format!("{SAID} it did not go well"),
            ..FailStepRequest::default()
        };
        change(&mut request);
        let applied = self.engine.fail_step(UnixNanos(self.now), BOT, &request);
        let reply = self.take(applied);
        self.resolve_keys();
        reply
    }

    pub fn heartbeat(&mut self, lease: &StepLease) -> Result<HeartbeatStepResponse, Rejection> {
        let request = HeartbeatStepRequest {
            attempt: Some(attempt(lease)),
            progress: String::new(),
        };
        let applied = self.engine.heartbeat_step(UnixNanos(self.now), BOT, &request);
        self.take(applied)
    }

    pub fn cancel(&mut self, run: &str) -> Result<Run, Rejection> {
        let request = CancelRunRequest {
            request_id: self.request_id(),
            name: run.to_owned(),
            reason: format!("{SAID} not needed any more"),
        };
        let applied = self.engine.cancel_run(UnixNanos(self.now), BOT, &request);
        self.take(applied)
    }

    pub fn pause(&mut self, run: &str) -> Result<Run, Rejection> {
        let request = PauseRunRequest {
            request_id: self.request_id(),
            name: run.to_owned(),
            reason: format!("{SAID} wait a moment"),
        };
        let applied = self.engine.pause_run(UnixNanos(self.now), BOT, &request);
        self.take(applied)
    }

    pub fn resume(&mut self, run: &str) -> Result<Run, Rejection> {
        let request = ResumeRunRequest {
            request_id: self.request_id(),
            name: run.to_owned(),
        };
        let applied = self.engine.resume_run(UnixNanos(self.now), BOT, &request);
        let reply = self.take(applied);
        self.resolve_keys();
        reply
    }

    pub fn signal(&mut self, request_id: &str, run: &str, signal: &str, payload: &str) -> Result<Run, Rejection> {
        let request = SignalRunRequest {
            request_id: request_id.to_owned(),
            name: run.to_owned(),
            signal: signal.to_owned(),
            payload: payload.as_bytes().to_vec(),
        };
        let applied = self.engine.signal_run(UnixNanos(self.now), BOT, &request);
        let reply = self.take(applied);
        self.resolve_keys();
        reply
    }

    /// What is due happens.
    pub fn due(&mut self) {
        self.expire();
        self.resolve_keys();
    }

    /// Approvals that people may still vote on, in order.
    pub fn questions(&self) -> Vec<Approval> {
        let records = self
            .store
            .iter()
            .filter(|((family, _), _)| *family == family::APPROVALS);
        records
            .filter_map(|(_, value)| internal::ApprovalRecord::decode(value.as_slice()).unwrap().approval)
            .filter(|approval| approval.state() == ApprovalState::Pending)
            .collect()
    }

    pub fn answer(
        &mut self,
        operator: &str,
        approval: &Approval,
        decision: ApprovalDecision,
    ) -> Result<Approval, Rejection> {
        self.answer_with(operator, approval, decision, |_| {})
    }

    pub fn answer_with(
        &mut self,
        operator: &str,
        approval: &Approval,
        decision: ApprovalDecision,
        change: impl FnOnce(&mut DecideApproval),
    ) -> Result<Approval, Rejection> {
        let mut command = DecideApproval {
            approval: approval.name.strip_prefix("approvals/").unwrap().to_owned(),
            decision: decision as i32,
            reason: format!("{SAID} looked at it"),
            digest: approval.digest.clone(),
            ..DecideApproval::default()
        };
        change(&mut command);
        let applied = self
            .engine
            .decide_approval(UnixNanos(self.now), Caller::operator(operator), &command);
        let reply = self.take(applied);
        self.resolve_keys();
        reply
    }

    /// A run as it is stored.
    pub fn run(&self, run: &str) -> RunRecord {
        let id = run.strip_prefix("runs/").unwrap_or(run);
        let records = self
            .store
            .iter()
            .filter(|((family, key), _)| *family == family::RUNS && key[0] == b'r');
        records
            .map(|(_, value)| RunRecord::decode(value.as_slice()).unwrap())
            .find(|record| record.run == id)
            .unwrap()
    }

    /// Every run that is stored.
    pub fn runs(&self) -> Vec<RunRecord> {
        let records = self
            .store
            .iter()
            .filter(|((family, key), _)| *family == family::RUNS && key[0] == b'r');
        records
            .map(|(_, value)| RunRecord::decode(value.as_slice()).unwrap())
            .collect()
    }

    pub fn run_state(&self, run: &str) -> RunState {
        self.run(run).state()
    }

    /// Steps of a run as they are stored, payloads filled in.
    pub fn steps(&self, run: &str) -> Vec<StepRecord> {
        let id = run.strip_prefix("runs/").unwrap_or(run);
        let bytes: Vec<u8> = (0..16)
            .map(|at| u8::from_str_radix(&id[4 + at * 2..6 + at * 2], 16).unwrap())
            .collect();
        let of_run = |kind: u8| {
            let bytes = bytes.clone();
            self.store.iter().filter(move |((family, key), _)| {
                *family == family::RUNS && key[0] == kind && key.windows(16).any(|part| part == bytes)
            })
        };
        let payloads: Vec<(Vec<u8>, Vec<u8>)> = of_run(b'p')
            .map(|((_, key), value)| (key[key.len() - 32..].to_vec(), value.clone()))
            .collect();
        let fill = |payload: &mut Option<internal::PayloadRecord>| {
            if let Some(payload) = payload.as_mut().filter(|payload| !payload.run.is_empty()) {
                let found = payloads.iter().find(|(digest, _)| *digest == payload.digest);
                payload.json.clone_from(&found.unwrap().1);
            }
        };
        of_run(b's')
            .map(|(_, value)| {
                let mut step = StepRecord::decode(value.as_slice()).unwrap();
                fill(&mut step.input);
                fill(&mut step.output);
                step
            })
            .collect()
    }

    pub fn step_of(&self, run: &str, step: u32) -> StepRecord {
        self.steps(run)
            .into_iter()
            .find(|one| (one.step, one.item) == (step, 0))
            .unwrap()
    }

    pub fn step_state(&self, run: &str, step: u32) -> StepState {
        self.step_of(run, step).state()
    }

    pub fn output(&self, run: &str) -> String {
        let record = self.run(run);
        let output = record.output.unwrap();
        if output.run.is_empty() {
            return String::from_utf8(output.json).unwrap();
        }
        let stored = self
            .store
            .iter()
            .find(|((family, key), _)| *family == family::RUNS && key[0] == b'p' && key.ends_with(&output.digest));
        String::from_utf8(stored.unwrap().1.clone()).unwrap()
    }
}

pub fn wish(queues: &[&str], most: i32) -> LeaseWish {
    LeaseWish {
        worker: "w-1".to_owned(),
        queues: queues.iter().map(|queue| (*queue).to_owned()).collect(),
        max_steps: most,
    }
}

pub fn text(payload: Option<&internal::PayloadRecord>) -> String {
    String::from_utf8(payload.unwrap().json.clone()).unwrap()
}
