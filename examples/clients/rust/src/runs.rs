//! Runs, their steps, and the audit log about them.
use serde_json::{Value, json};
use tonic::{Request, Streaming};

use crate::Failed;
use crate::api::watch_run_response::What;
use crate::api::{
    AcknowledgeEventsRequest, AttemptRef, CompleteStepRequest, EventFilter, EventKind, FailStepRequest,
    HeartbeatStepRequest, LeaseStepsRequest, LeaseWish, RunState, StartRunRequest, StepEffect, StepLease, StepState,
    WatchEventsRequest, WatchEventsResponse, WatchRunRequest, WatchRunResponse,
};
use crate::connection::{Connection, TIMEOUT};
use crate::talk::{named, parsed, refusal, say};

pub async fn run(connection: &Connection) -> Result<String, Failed> {
    let request = StartRunRequest {
        request_id: "start-1".into(),
        workflow: "two-steps".into(),
        input: br#"{"document":"d-1"}"#.to_vec(),
        labels: [("team".into(), "desk".into())].into(),
        ..Default::default()
    };
    let mut runs = connection.runs();
    let run = runs
        .start_run(connection.call(request.clone()))
        .await?
        .into_inner()
        .run
        .unwrap_or_default();
    let again = runs
        .start_run(connection.call(request))
        .await?
        .into_inner()
        .run
        .unwrap_or_default();
    say(
        "run",
        json!({"run": run.name, "again": again.name, "state": named(run.state, RunState::as_str_name)}),
    )?;
    // The stream is open while the steps are done; what it says in the meantime waits in it.
    let mut watch = self::watch(connection, &run.name, 0).await?;
    let mut seen: Vec<WatchRunResponse> = watch.message().await?.into_iter().collect();
    steps(connection).await?;
    seen.extend(all(watch).await?);
    let after = seen.get(2).map_or(0, |message| message.sequence);
    let resumed = all(self::watch(connection, &run.name, after).await?).await?;
    let words = |messages: &[WatchRunResponse]| messages.iter().map(told).collect::<Vec<_>>();
    say("watch_run", json!({"seen": words(&seen), "resumed": words(&resumed)}))?;
    Ok(run.name)
}

async fn steps(connection: &Connection) -> Result<(), Failed> {
    let mut work = connection.work();
    let timeout = Some(prost_types::Duration { seconds: 20, nanos: 0 });
    let lease = LeaseStepsRequest {
        wish: Some(wish("parser")),
        timeout,
    };
    let parse = only(work.lease_steps(connection.call(lease)).await?.into_inner().leases)?;
    let beat = HeartbeatStepRequest {
        attempt: Some(attempt(&parse)),
        progress: "half of it".into(),
    };
    let beat = work.heartbeat_step(connection.call(beat)).await?.into_inner();
    // The result brings the next step along.
    let complete = CompleteStepRequest {
        attempt: Some(attempt(&parse)),
        output: br#"{"pages":3}"#.to_vec(),
        next: Some(wish("scorer")),
    };
    let score = only(work.complete_step(connection.call(complete)).await?.into_inner().leases)?;
    let late = FailStepRequest {
        attempt: Some(attempt(&parse)),
        code: "TOO_LATE".into(),
        ..Default::default()
    };
    let stale = refusal(work.fail_step(connection.call(late)).await)?;
    let fail = FailStepRequest {
        attempt: Some(attempt(&score)),
        code: "BAD_INPUT".into(),
        message: "no income".into(),
        non_retryable: true,
        ..Default::default()
    };
    let failed = work.fail_step(connection.call(fail)).await?.into_inner();
    let nanos = |time: &Option<prost_types::Timestamp>| time.as_ref().map(|time| (time.seconds, time.nanos));
    say(
        "work",
        json!({
            "leased": leased(&parse)?,
            "extended": nanos(&beat.expire_time) >= nanos(&parse.expire_time),
            "cancel_requested": beat.cancel_requested,
            "next": leased(&score)?,
            "stale": stale,
            "step_state": named(failed.step_state, StepState::as_str_name),
            "run_state": named(failed.run_state, RunState::as_str_name),
        }),
    )
}

/// The audit log as an operator reads it: three records, a break, and on where it stood.
pub async fn events(connection: &Connection, run: &str) -> Result<(), Failed> {
    let filter = Some(EventFilter {
        run: run.into(),
        ..Default::default()
    });
    let request = WatchEventsRequest {
        filter,
        ..Default::default()
    };
    let mut read = records(
        connection,
        WatchEventsRequest {
            from_start: true,
            ..request.clone()
        },
        3,
    )
    .await?;
    let token = read
        .last()
        .map(|message| message.resume_token.clone())
        .unwrap_or_default();
    let go_on = WatchEventsRequest {
        resume_token: token.clone(),
        ..request.clone()
    };
    read.extend(records(connection, go_on, 3).await?);
    let acknowledge = AcknowledgeEventsRequest {
        request_id: "acknowledge-1".into(),
        subscriber: "archive".into(),
        resume_token: token.clone(),
    };
    let kept = connection.audit().acknowledge_events(acknowledge).await?.into_inner();
    let named_one = WatchEventsRequest {
        subscriber: "archive".into(),
        ..request
    };
    let next = records(connection, named_one, 1).await?;
    let places: Vec<u64> = read
        .iter()
        .filter_map(|message| Some(message.event.as_ref()?.record.as_ref()?.sequence))
        .collect();
    say(
        "events",
        json!({
            "kinds": read.iter().map(kind).collect::<Vec<_>>(),
            "rising": places.is_sorted_by(|one, other| one < other),
            "acknowledged": kept.resume_token == token,
            "next": next.first().map(kind),
        }),
    )
}

async fn records(
    connection: &Connection,
    request: WatchEventsRequest,
    count: usize,
) -> Result<Vec<WatchEventsResponse>, Failed> {
    let mut request = Request::new(request);
    request.set_timeout(TIMEOUT);
    // Whoever has enough drops the stream, which ends it.
    let mut stream = connection.audit().watch_events(request).await?.into_inner();
    let mut found = Vec::with_capacity(count);
    while found.len() < count {
        found.push(stream.message().await?.ok_or("the stream ended")?);
    }
    Ok(found)
}

async fn watch(connection: &Connection, name: &str, after: u64) -> Result<Streaming<WatchRunResponse>, Failed> {
    let request = connection.call(WatchRunRequest {
        name: name.into(),
        after_sequence: after,
    });
    Ok(connection.runs().watch_run(request).await?.into_inner())
}

async fn all<T>(mut stream: Streaming<T>) -> Result<Vec<T>, Failed> {
    let mut found = Vec::new();
    while let Some(message) = stream.message().await? {
        found.push(message);
    }
    Ok(found)
}

fn wish(queue: &str) -> LeaseWish {
    LeaseWish {
        worker: "w-1".into(),
        queues: vec![queue.into()],
        max_steps: 1,
    }
}

fn only(leases: Vec<StepLease>) -> Result<StepLease, Failed> {
    leases.into_iter().next().ok_or_else(|| "no step was leased".into())
}

fn attempt(leased: &StepLease) -> AttemptRef {
    AttemptRef {
        run: leased.run.clone(),
        step: leased.step.clone(),
        epoch: leased.epoch,
        lease: leased.lease.clone(),
    }
}

fn leased(lease: &StepLease) -> Result<Value, Failed> {
    Ok(json!({
        "run": lease.run,
        "step": lease.step,
        "epoch": lease.epoch,
        "attempt": lease.attempt,
        "queue": lease.queue,
        "input": parsed(&lease.input)?,
        "effect": named(lease.effect, StepEffect::as_str_name),
        "labels": lease.labels,
    }))
}

/// A message in one word: the state of the run, or the kind of the record.
fn told(message: &WatchRunResponse) -> String {
    match &message.what {
        Some(What::Run(run)) => named(run.state, RunState::as_str_name),
        Some(What::Event(record)) => named(record.kind, EventKind::as_str_name),
        None => String::new(),
    }
}

fn kind(message: &WatchEventsResponse) -> String {
    let record = message.event.as_ref().and_then(|event| event.record.as_ref());
    named(record.map_or(0, |record| record.kind), EventKind::as_str_name)
}
