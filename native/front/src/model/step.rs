//! Model steps of workflows: the sidecar leases them to itself and makes the governed call.
//!
//! ```text
//! ready step ─► lease ─► governed call, heart beating ─► settlement, and the step's result with it (W4)
//!                                    └ refused or no result ─► the attempt fails, retried as the workflow says
//! ```
//!
//! A crash between call and settlement loses the lease: the call is made again, as the effect of a model step is to read.
//! A crash after the settlement loses nothing: the result is in the same unit.
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fairlead_dialect::{Dialect, Request};
use fairlead_engine::{Caller, ModelLease, Reason, Rejection};
use fairlead_wire::v1::{
    AttemptRef, CallContext, CompleteStepRequest, FailStepRequest, HeartbeatStepRequest, StepLease,
};
use http::HeaderMap;
use serde_json::{Map, Value};
use tokio::sync::Semaphore;
use tokio::time::{MissedTickBehavior, interval};

use super::call::{self, Answer, Refused};
use super::request::{ModelCall, invalid_body};
use crate::auth::Identity;
use crate::front::Front;
use crate::serving::Phase;

/// Model steps that are under way at the same time.
const MOST_STEPS: usize = 64;
/// How often is looked for ready steps without a call to do so.
const TICK: Duration = Duration::from_secs(1);
/// How often a step asks whether people have agreed to its call.
const APPROVAL_POLL: Duration = Duration::from_secs(1);
/// Code of an attempt whose answer is not what the step wants.
const OUTPUT_INVALID: &str = "OUTPUT_INVALID";

/// What a call's settlement needs to end the step with it.
#[derive(Debug, Clone)]
pub(crate) struct StepCall {
    pub(super) tenant: String,
    pub(super) attempt: AttemptRef,
    /// True: the answer has to be JSON.
    json: bool,
}

impl StepCall {
    /// The step's result: the text of the answer, or the JSON in it.
    pub(crate) fn result(&self, body: &[u8]) -> Result<Vec<u8>, String> {
        let answer: Value = serde_json::from_slice(body).map_err(|_| "the answer is not JSON".to_owned())?;
        let text = answer
            .pointer("/choices/0/message/content")
            .and_then(Value::as_str)
            .ok_or("the model gave no text")?;
        if self.json {
            let text = without_fence(text);
            let value: &serde_json::value::RawValue =
                serde_json::from_str(text).map_err(|error| format!("the model's text is not JSON: {error}"))?;
            return Ok(value.get().as_bytes().to_vec());
        }
        Ok(Value::from(text).to_string().into_bytes())
    }
}

/// Models like to put JSON between fences of Markdown.
fn without_fence(text: &str) -> &str {
    let text = text.trim();
    let Some(inner) = text.strip_prefix("```").and_then(|text| text.strip_suffix("```")) else {
        return text;
    };
    inner.strip_prefix("json").unwrap_or(inner).trim()
}

/// Does model steps as they come, until the front stops.
pub(crate) async fn serve(front: Arc<Front>) {
    let places = Arc::new(Semaphore::new(MOST_STEPS));
    loop {
        front.core.wait_for_model_steps(TICK).await;
        if front.serving.phase() != Phase::Serving {
            continue;
        }
        let free = places.available_permits();
        if free == 0 {
            continue;
        }
        let leased = match front.core.lease_model_steps(free).await {
            Ok(leased) => leased,
            Err(rejection) => {
                tracing::debug!(reason = rejection.reason.as_str(), "model steps cannot be leased now");
                continue;
            }
        };
        for lease in leased {
            // Never waits: nobody else takes places.
            let Ok(place) = Arc::clone(&places).acquire_owned().await else {
                return;
            };
            let front = Arc::clone(&front);
            front.tasks.clone().spawn_to_the_end("model step", async move {
                do_step(&front, lease).await;
                drop(place);
                front.core.look_for_model_steps();
            });
        }
    }
}

/// Why an attempt has no result.
struct Failed {
    code: String,
    message: String,
    retryable: bool,
}

async fn do_step(front: &Arc<Front>, leased: ModelLease) {
    let ModelLease { tenant, agent, lease } = leased;
    let attempt = attempt_of(&lease);
    let caller = Caller::agent(&tenant, "");
    let mut beats = interval(third(&lease));
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    beats.tick().await;
    let work = work(front, &tenant, &agent, &lease);
    tokio::pin!(work);
    let failed = loop {
        tokio::select! {
            outcome = &mut work => break outcome.err(),
            _ = beats.tick() => {
                let request = HeartbeatStepRequest { attempt: Some(attempt.clone()), progress: String::new() };
                match front.core.heartbeat_step(caller, &request).await {
                    Ok(alive) if alive.cancel_requested => {
                        break Some(Failed {
                            code: "CANCELLED".to_owned(),
                            message: "the run is being cancelled".to_owned(),
                            retryable: false,
                        });
                    }
                    // Somebody else has the step: what this call gives is charged, and that is all.
                    Err(rejection) if rejection.reason == Reason::LeaseLost => return,
                    Ok(_) | Err(_) => {}
                }
            }
        }
    };
    let Some(failed) = failed else { return };
    let request = FailStepRequest {
        attempt: Some(attempt),
        code: failed.code,
        message: failed.message.chars().take(1024).collect(),
        non_retryable: !failed.retryable,
        ..FailStepRequest::default()
    };
    if let Err(rejection) = front.core.fail_step(caller, &request).await {
        // Its lease runs out, which says the same.
        tracing::debug!(
            reason = rejection.reason.as_str(),
            "the end of a model step could not be recorded"
        );
    }
}

/// Makes the call; the settlement ends the step with it.
async fn work(front: &Arc<Front>, tenant: &str, agent: &str, lease: &StepLease) -> Result<(), Failed> {
    let refused = |rejection: Rejection| Failed {
        retryable: is_passing(rejection.reason),
        code: rejection.reason.as_str().to_owned(),
        message: rejection.message,
    };
    let identity = Identity::of(tenant, agent, &lease.traceparent).ok_or_else(|| Failed {
        code: "INTERNAL".to_owned(),
        message: "the run's agent cannot be named in a call".to_owned(),
        retryable: false,
    })?;
    let (mut ticket, mut answered) = (String::new(), None);
    while answered.is_none() {
        let (call, step) = model_call(tenant, lease, &ticket).map_err(refused)?;
        match call::start(front, identity.clone(), call).await {
            Ok(answer) => answered = Some((answer, step)),
            // People have to agree to this call first: the step waits with its lease, and comes back with the ticket.
            Err(Refused { rejection, .. }) if rejection.reason == Reason::ApprovalPending => {
                ticket = rejection.metadata.get("ticket").cloned().unwrap_or_default();
                tokio::time::sleep(APPROVAL_POLL).await;
            }
            Err(Refused { rejection, .. }) => return Err(refused(rejection)),
        }
    }
    let Some((answer, step)) = answered else { return Ok(()) };
    let Answer::Whole(whole) = answer else {
        return Err(Failed {
            code: "INTERNAL".to_owned(),
            message: "a stream instead of a whole answer".to_owned(),
            retryable: false,
        });
    };
    if whole.refused {
        return Err(Failed {
            code: "PROVIDER_REFUSED".to_owned(),
            message: format!("the provider refuses the call with status {}", whole.status.as_u16()),
            retryable: false,
        });
    }
    let output = step.result(&whole.body).map_err(|message| Failed {
        code: OUTPUT_INVALID.to_owned(),
        message,
        retryable: true,
    })?;
    if whole.head.cached.is_some() {
        // Nothing was settled, so the result comes by itself.
        let request = CompleteStepRequest {
            attempt: Some(step.attempt),
            output,
            next: None,
        };
        let completed = front.core.complete_step(Caller::agent(tenant, ""), &request).await;
        completed.map_err(refused)?;
    }
    Ok(())
}

/// Refusals that pass by themselves.
fn is_passing(reason: Reason) -> bool {
    matches!(
        reason,
        Reason::RateLimited
            | Reason::QueueFull
            | Reason::TargetsExhausted
            | Reason::StoreUnavailable
            | Reason::NotReady
            | Reason::Draining
            | Reason::DeadlineExceeded
    )
}

/// The call that a step's input describes; the machine made it, see `begin.rs` of the crate `workflow`.
fn model_call(tenant: &str, lease: &StepLease, ticket: &str) -> Result<(ModelCall, StepCall), Rejection> {
    let input: Map<String, Value> = serde_json::from_slice(&lease.input).unwrap_or_default();
    let text = |name: &str| input.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut messages = Vec::new();
    let message = |role: &str, content: String| serde_json::json!({ "role": role, "content": content });
    if input.contains_key("system") {
        messages.push(message("system", text("system")));
    }
    match input.get("messages") {
        Some(Value::Array(given)) => messages.extend(given.iter().cloned()),
        _ => messages.push(message("user", text("prompt"))),
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), Value::from(text("model")));
    body.insert("messages".to_owned(), Value::Array(messages));
    if let Some(most) = input.get("maxOutputTokens") {
        body.insert("max_tokens".to_owned(), most.clone());
    }
    if let Some(temperature) = input.get("temperature") {
        body.insert("temperature".to_owned(), temperature.clone());
    }
    let body = Bytes::from(Value::Object(body).to_string());
    let body = Request::parse(Dialect::OpenAiChat, body).map_err(|invalid| invalid_body(&invalid))?;
    let step = StepCall {
        tenant: tenant.to_owned(),
        attempt: attempt_of(lease),
        json: input.get("json").and_then(Value::as_bool).unwrap_or(false),
    };
    let call = ModelCall {
        body: body.with_stream(false),
        context: CallContext {
            workload: text("workload"),
            session: lease.session.clone(),
            run: lease.run.strip_prefix("runs/").unwrap_or(&lease.run).to_owned(),
            step: lease.step.clone(),
            labels: lease.labels.clone(),
            ..CallContext::default()
        },
        // Every attempt is a call of its own; the same one twice is what leases are there to prevent.
        request_id: String::new(),
        deadline: None,
        forward_headers: HeaderMap::new(),
        wants_new_answer: false,
        ticket: ticket.to_owned(),
        step: Some(step.clone()),
    };
    Ok((call, step))
}

fn attempt_of(lease: &StepLease) -> AttemptRef {
    AttemptRef {
        run: lease.run.clone(),
        step: lease.step.clone(),
        epoch: lease.epoch,
        lease: lease.lease.clone(),
    }
}

/// How often the heart beats: three times in a lease.
fn third(lease: &StepLease) -> Duration {
    let extension = lease.extension.as_ref().map_or(0, |extension| {
        extension.seconds.saturating_mul(1000) + i64::from(extension.nanos) / 1_000_000
    });
    Duration::from_millis(u64::try_from(extension / 3).unwrap_or(0).max(100))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn lease(input: &str) -> StepLease {
        StepLease {
            run: "runs/run_1".to_owned(),
            input: input.as_bytes().to_vec(),
            ..StepLease::default()
        }
    }

    fn answer(text: &str) -> String {
        serde_json::json!({ "choices": [{ "message": { "role": "assistant", "content": text } }] }).to_string()
    }

    #[test]
    fn a_steps_input_becomes_a_call() {
        let input = r#"{"model":"careful","prompt":"how much?","system":"be brief","json":true,"maxOutputTokens":50}"#;
        let (call, step) = model_call("acme", &lease(input), "").unwrap();
        let body: Value = serde_json::from_slice(call.body.body()).unwrap();
        assert_eq!(body["model"], "careful");
        assert_eq!(body["messages"][0]["role"], "system");
        assert_eq!(body["messages"][1]["content"], "how much?");
        assert_eq!(body["max_tokens"], 50);
        assert_eq!(call.context.run, "run_1");
        assert!(step.json);
    }

    #[test]
    fn the_text_of_the_answer_is_the_result() {
        let (_, step) = model_call("acme", &lease(r#"{"model":"m","prompt":"p","json":false}"#), "").unwrap();
        assert_eq!(
            step.result(answer("two\nlines").as_bytes()).unwrap(),
            br#""two\nlines""#
        );
        assert!(step.result(b"{}").is_err());
        let (_, step) = model_call("acme", &lease(r#"{"model":"m","prompt":"p","json":true}"#), "").unwrap();
        assert_eq!(
            step.result(answer("```json\n{\"score\": 1.50}\n```").as_bytes())
                .unwrap(),
            br#"{"score": 1.50}"#
        );
        assert!(step.result(answer("about 1.5").as_bytes()).is_err());
    }
}
