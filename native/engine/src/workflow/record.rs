//! Runs as they are stored, and as they are shown.
use fairlead_wire::internal::{PayloadRecord, RunRecord, StepRecord};
use fairlead_wire::v1::Run;
use prost::Message;

use crate::admit::timestamp;

/// Payloads up to this size are stored in the record of their step, which is written several times; larger ones once,
/// under their digest.
const INLINE_BYTES: usize = 128;

type Payloads = Vec<([u8; 32], Vec<u8>)>;

/// A payload for a record of `run`; a large one is put aside.
fn stored_payload(payload: &PayloadRecord, run: &str, aside: &mut Payloads) -> PayloadRecord {
    let digest: Result<[u8; 32], _> = payload.digest.as_slice().try_into();
    match digest {
        Ok(digest) if payload.json.len() > INLINE_BYTES => {
            aside.push((digest, payload.json.clone()));
            PayloadRecord {
                json: Vec::new(),
                digest: payload.digest.clone(),
                size_bytes: payload.size_bytes,
                run: run.to_owned(),
            }
        }
        _ => payload.clone(),
    }
}

/// The run's own record as it is stored.
pub(super) fn stored_run(record: &RunRecord, aside: &mut Payloads) -> RunRecord {
    let mut stored = RunRecord {
        input: record
            .input
            .as_ref()
            .map(|payload| stored_payload(payload, &record.run, aside)),
        output: record
            .output
            .as_ref()
            .map(|payload| stored_payload(payload, &record.run, aside)),
        signals: record.signals.clone(),
        ..without_payloads(record)
    };
    for signal in &mut stored.signals {
        signal.payload = signal
            .payload
            .as_ref()
            .map(|payload| stored_payload(payload, &record.run, aside));
    }
    stored
}

fn without_payloads(record: &RunRecord) -> RunRecord {
    // Cloning the payloads only to drop them would copy up to 16 MiB.
    RunRecord {
        run: record.run.clone(),
        tenant: record.tenant.clone(),
        agent: record.agent.clone(),
        operator: record.operator.clone(),
        workflow: record.workflow.clone(),
        workflow_version: record.workflow_version.clone(),
        state: record.state,
        labels: record.labels.clone(),
        priority: record.priority,
        input: None,
        output: None,
        failure: record.failure.clone(),
        spent: record.spent,
        cost_avoided: record.cost_avoided,
        parent: record.parent.clone(),
        parent_step: record.parent_step.clone(),
        parent_epoch: record.parent_epoch,
        root: record.root.clone(),
        depth: record.depth,
        rerun_of: record.rerun_of.clone(),
        rerun_from: record.rerun_from.clone(),
        create_time_unix_nanos: record.create_time_unix_nanos,
        start_time_unix_nanos: record.start_time_unix_nanos,
        end_time_unix_nanos: record.end_time_unix_nanos,
        deadline_unix_nanos: record.deadline_unix_nanos,
        signals: Vec::new(),
        ends_as: record.ends_as,
        steps_ended: record.steps_ended,
        steps_total: record.steps_total,
        revision: record.revision,
        delete_time_unix_nanos: record.delete_time_unix_nanos,
        session: record.session.clone(),
        next_finish: record.next_finish,
        children: record.children.clone(),
        signal_requests: record.signal_requests.clone(),
        traceparent: record.traceparent.clone(),
    }
}

/// A step's record as it is stored.
pub(super) fn step_bytes(step: &StepRecord, run: &str, aside: &mut Payloads) -> Vec<u8> {
    let is_small = |payload: &Option<PayloadRecord>| payload.as_ref().is_none_or(|one| one.json.len() <= INLINE_BYTES);
    if is_small(&step.input) && is_small(&step.output) {
        return step.encode_to_vec();
    }
    let stored = StepRecord {
        input: step.input.as_ref().map(|payload| stored_payload(payload, run, aside)),
        output: step.output.as_ref().map(|payload| stored_payload(payload, run, aside)),
        failure: step.failure.clone(),
        lease: step.lease.clone(),
        worker: step.worker.clone(),
        approval: step.approval.clone(),
        child: step.child.clone(),
        idempotency_key: step.idempotency_key.clone(),
        invocations: step.invocations.clone(),
        completed_lease: step.completed_lease.clone(),
        spent: step.spent,
        step: step.step,
        item: step.item,
        state: step.state,
        epoch: step.epoch,
        attempts: step.attempts,
        lease_expires_at_unix_nanos: step.lease_expires_at_unix_nanos,
        attempt_expires_at_unix_nanos: step.attempt_expires_at_unix_nanos,
        due_at_unix_nanos: step.due_at_unix_nanos,
        total_expires_at_unix_nanos: step.total_expires_at_unix_nanos,
        key_state: step.key_state,
        replayed: step.replayed,
        start_time_unix_nanos: step.start_time_unix_nanos,
        end_time_unix_nanos: step.end_time_unix_nanos,
        finish: step.finish,
        items_begun: step.items_begun,
        items_succeeded: step.items_succeeded,
        items_failed: step.items_failed,
        items_total: step.items_total,
        compensating: step.compensating,
    };
    stored.encode_to_vec()
}

/// A run as the API shows it, without steps and payloads.
pub(super) fn shown(record: &RunRecord) -> Run {
    let name = |id: &str| {
        if id.is_empty() {
            String::new()
        } else {
            format!("runs/{id}")
        }
    };
    let time = |nanos: i64| (nanos > 0).then(|| timestamp(nanos));
    let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    Run {
        name: name(&record.run),
        tenant: record.tenant.clone(),
        agent: record.agent.clone(),
        operator: record.operator.clone(),
        workflow: record.workflow.clone(),
        workflow_version: record.workflow_version.clone(),
        state: record.state,
        labels: record.labels.clone(),
        priority: record.priority,
        failure: record.failure.clone(),
        spent: record.spent,
        cost_avoided: record.cost_avoided,
        parent: name(&record.parent),
        parent_step: record.parent_step.clone(),
        rerun_of: name(&record.rerun_of),
        rerun_from: record.rerun_from.clone(),
        create_time: time(record.create_time_unix_nanos),
        end_time: time(record.end_time_unix_nanos),
        start_time: time(record.start_time_unix_nanos),
        steps_ended: number(record.steps_ended),
        steps_total: number(record.steps_total),
        revision: record.revision,
        ..Run::default()
    }
}
