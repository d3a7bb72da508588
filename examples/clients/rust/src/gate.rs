//! Model calls that the agent makes itself, tool calls, and what goes wrong with them.
use std::time::{Duration, Instant};

use serde_json::json;
use tonic::{Code, Response, Status};

use crate::Failed;
use crate::api::admit_request::Input;
use crate::api::authorize_tool_response::Outcome;
use crate::api::{
    AdmitRequest, AdmitResponse, ApprovalState, Attempt, AttemptOutcome, AuthorizeToolRequest, CompleteToolRequest,
    GetTicketRequest, ReleaseRequest, SettleRequest, ToolOutcome, Usage, WaitTicketRequest,
};
use crate::connection::{Connection, TIMEOUT, call_as, code_of};
use crate::talk::{amount, heard, named, parsed, please, refusal, say};

fn admission(request_id: &str) -> AdmitRequest {
    AdmitRequest {
        request_id: request_id.into(),
        model: "small".into(),
        input: Some(Input::InputTokens(100)),
        max_output_tokens: 50,
        ..Default::default()
    }
}

fn labelled(request_id: &str, label: &str, value: &str) -> AdmitRequest {
    AdmitRequest {
        labels: [(label.into(), value.into())].into(),
        ..admission(request_id)
    }
}

fn settlement(request_id: &str, invocation: &str, attempts: Vec<Attempt>) -> SettleRequest {
    SettleRequest {
        request_id: request_id.into(),
        invocation: invocation.into(),
        attempts,
    }
}

async fn ask(connection: &Connection, request: AdmitRequest) -> Result<AdmitResponse, Status> {
    connection
        .gate()
        .admit(connection.call(request))
        .await
        .map(Response::into_inner)
}

pub async fn admit(connection: &Connection) -> Result<String, Failed> {
    let first = ask(connection, admission("admit-1")).await?;
    let again = ask(connection, admission("admit-1")).await?;
    say(
        "admit",
        json!({
            "invocation": first.invocation,
            "again": again.invocation,
            "model": first.plan.first().map(|target| &target.model),
            "max_output_tokens": first.max_output_tokens,
            "held": amount(first.reservation.and_then(|held| held.amount)),
        }),
    )?;
    Ok(first.invocation)
}

pub async fn settle(connection: &Connection, invocation: &str) -> Result<(), Failed> {
    let attempt = Attempt {
        model: "small".into(),
        outcome: AttemptOutcome::Succeeded.into(),
        status_code: 200,
        usage: Some(Usage {
            input: 100,
            output: 20,
            ..Default::default()
        }),
        ..Default::default()
    };
    let request = connection.call(settlement("settle-1", invocation, vec![attempt]));
    let done = connection.gate().settle(request).await?.into_inner();
    say(
        "settle",
        json!({"charged": amount(done.charged), "released": amount(done.released), "late": done.late}),
    )
}

pub async fn refusals(connection: &Connection, settled: &str) -> Result<(), Failed> {
    let mut gate = connection.gate();
    ask(connection, labelled("paced-1", "pace", "slow")).await?;
    let forbidden = AdmitRequest {
        workload: "forbidden".into(),
        ..admission("forbidden")
    };
    let nameless = AdmitRequest {
        model: "small".into(),
        ..Default::default()
    };
    let nowhere = format!("inv_{}", "0".repeat(32));
    say(
        "refusals",
        json!({
            "budget": refusal(ask(connection, labelled("tiny", "tier", "tiny")).await)?,
            "policy": refusal(ask(connection, forbidden).await)?,
            "rate": refusal(ask(connection, labelled("paced-2", "pace", "slow")).await)?,
            "state": refusal(gate.settle(connection.call(settlement("settle-2", settled, vec![]))).await)?,
            "argument": refusal(ask(connection, nameless).await)?,
            "credential": refusal(gate.admit(call_as("wrong", admission("stranger"))?).await)?,
            "missing": refusal(gate.settle(connection.call(settlement("nowhere", &nowhere, vec![]))).await)?,
        }),
    )
}

async fn authorize(connection: &Connection, request_id: &str, key: &str, ticket: &str) -> Result<Outcome, Failed> {
    let request = AuthorizeToolRequest {
        request_id: request_id.into(),
        tool: "payments.refund".into(),
        arguments: br#"{"amount":250}"#.to_vec(),
        idempotency_key: key.into(),
        ticket: ticket.into(),
        ..Default::default()
    };
    let answer = connection
        .gate()
        .authorize_tool(connection.call(request))
        .await?
        .into_inner();
    answer.outcome.ok_or_else(|| "an answer without an outcome".into())
}

fn wait(ticket: &str) -> WaitTicketRequest {
    let timeout = prost_types::Duration { seconds: 60, nanos: 0 };
    WaitTicketRequest {
        ticket: ticket.into(),
        timeout: Some(timeout),
    }
}

pub async fn tool(connection: &Connection) -> Result<(), Failed> {
    let key = "refund/4711";
    let Outcome::Pending(pending) = authorize(connection, "refund-1", key, "").await? else {
        return Err("the call does not wait for people".into());
    };
    please("approve", json!({"approval": pending.approval}))?;
    let waited = connection
        .tickets()
        .wait_ticket(connection.call(wait(&pending.ticket)))
        .await?
        .into_inner();
    let Outcome::Granted(granted) = authorize(connection, "refund-2", key, &pending.ticket).await? else {
        return Err("the call was not granted".into());
    };
    let happened = CompleteToolRequest {
        request_id: "refund-3".into(),
        grant: granted.grant.clone(),
        outcome: ToolOutcome::Succeeded.into(),
        result: br#"{"paid":250}"#.to_vec(),
    };
    connection.gate().complete_tool(connection.call(happened)).await?;
    let Outcome::Replayed(replayed) = authorize(connection, "refund-4", key, "").await? else {
        return Err("the call was not replayed".into());
    };
    let state = waited.ticket.unwrap_or_default().state;
    say(
        "tool",
        json!({
            "approval": pending.approval,
            "ticket": named(state, ApprovalState::as_str_name),
            "grant": granted.grant,
            "arguments": parsed(&granted.constraints.unwrap_or_default().arguments)?,
            "key": granted.idempotency_key,
            "replayed": parsed(&replayed.result)?,
            "replayed_grant": replayed.grant,
        }),
    )
}

pub async fn deadline(connection: &Connection) -> Result<(), Failed> {
    let Outcome::Pending(pending) = authorize(connection, "slow-1", "", "").await? else {
        return Err("the call does not wait for people".into());
    };
    let request = connection.call_within(wait(&pending.ticket), Duration::from_millis(300));
    let code = connection
        .tickets()
        .wait_ticket(request)
        .await
        .map_or_else(|error| code_of(&error), |_| Code::Ok);
    let get = connection.call(GetTicketRequest { ticket: pending.ticket });
    let state = connection
        .tickets()
        .get_ticket(get)
        .await?
        .into_inner()
        .ticket
        .unwrap_or_default()
        .state;
    say(
        "deadline",
        json!({"code": code as i32, "ticket": named(state, ApprovalState::as_str_name)}),
    )
}

/// The sidecar is killed, and comes back on the same address: the channel finds it by itself.
pub async fn reconnect(connection: &Connection) -> Result<(), Failed> {
    let before = ask(connection, admission("reconnect-1")).await?;
    please("kill", json!({}))?;
    heard()?;
    let while_down = ask(connection, admission("reconnect-1"))
        .await
        .map_or_else(|error| code_of(&error), |_| Code::Ok);
    please("start", json!({}))?;
    let after = until_answered(connection, admission("reconnect-1")).await?;
    say(
        "reconnect",
        json!({"before": before.invocation, "while_down": while_down as i32, "after": after.invocation}),
    )
}

/// Repeats UNAVAILABLE with the same request id; everything else is an answer.
async fn until_answered(connection: &Connection, request: AdmitRequest) -> Result<AdmitResponse, Status> {
    let until = Instant::now() + TIMEOUT;
    loop {
        let answer = ask(connection, request.clone()).await;
        match &answer {
            Err(error) if code_of(error) == Code::Unavailable && Instant::now() < until => {}
            _ => return answer,
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Round trips of Admit, one after the other; what was held is given back outside of the measurement.
pub async fn bench(connection: &Connection, count: usize) -> Result<(), Failed> {
    let mut took = Vec::with_capacity(count);
    for number in 0..count + count / 10 {
        let request = admission(&format!("bench-{number}"));
        let began = Instant::now();
        let admitted = ask(connection, request).await?;
        if number >= count / 10 {
            took.push(began.elapsed().as_secs_f64() * 1e6);
        }
        let request_id = format!("free-{number}");
        let release = ReleaseRequest {
            request_id,
            invocation: admitted.invocation,
            ..Default::default()
        };
        connection.gate().release(connection.call(release)).await?;
    }
    took.sort_by(f64::total_cmp);
    say(
        "bench",
        json!({"count": count, "p50_us": took.get(count / 2), "p99_us": took.get(count * 99 / 100)}),
    )
}
