//! Admissions over gRPC.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fairlead_wire::v1::{
    AdmitRequest, AdmitResponse, Attempt, AttemptOutcome, SettleRequest, Usage, admit_request::Input,
};
use prost::Message;

use crate::grpc::{Connection, Endpoint};
use crate::{Outcome, report::Latencies};

/// Keeps `connections` × `streams` admissions in flight for `seconds`.
pub async fn flood(address: &str, token: &str, connections: usize, streams: usize, seconds: f64) -> Outcome<()> {
    let endpoint = Arc::new(Endpoint::new(address, token));
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let began = Instant::now();
    let mut tasks = Vec::new();
    for connection_number in 0..connections {
        let connection = endpoint.connect().await?;
        for stream in 0..streams {
            let (endpoint, mut connection) = (Arc::clone(&endpoint), connection.clone());
            tasks.push(tokio::spawn(async move {
                let (mut latencies, mut number) = (Latencies::default(), 0_u64);
                while Instant::now() < until {
                    let id = format!("{connection_number}-{stream}-{number}-{}", std::process::id());
                    let began = Instant::now();
                    admit(&endpoint, &mut connection, &id).await?;
                    latencies.add(began.elapsed());
                    number += 1;
                }
                Outcome::Ok(latencies)
            }));
        }
    }
    let mut all = Latencies::default();
    for task in tasks {
        all.merge(task.await??);
    }
    print(all, began.elapsed());
    Ok(())
}

/// Makes `calls` admissions on 32 streams of one connection, each settled when `settled`.
pub async fn sequence(address: &str, token: &str, calls: u64, settled: bool) -> Outcome<()> {
    const STREAMS: u64 = 32;
    let endpoint = Arc::new(Endpoint::new(address, token));
    let connection = endpoint.connect().await?;
    let began = Instant::now();
    let mut tasks = Vec::new();
    for stream in 0..STREAMS {
        let (endpoint, mut connection) = (Arc::clone(&endpoint), connection.clone());
        tasks.push(tokio::spawn(async move {
            let mut latencies = Latencies::default();
            for number in (stream..calls).step_by(STREAMS as usize) {
                let id = format!("seq-{number}-{}", std::process::id());
                let began = Instant::now();
                let invocation = admit(&endpoint, &mut connection, &id).await?;
                if settled {
                    settle(&endpoint, &mut connection, &id, invocation).await?;
                }
                latencies.add(began.elapsed());
            }
            Outcome::Ok(latencies)
        }));
    }
    let mut all = Latencies::default();
    for task in tasks {
        all.merge(task.await??);
    }
    print(all, began.elapsed());
    Ok(())
}

fn print(mut latencies: Latencies, took: Duration) {
    let calls = latencies.len();
    let (p50, p99, maximum) = latencies.summary();
    let rate = calls as f64 / took.as_secs_f64();
    println!(
        "{}",
        serde_json::json!({"calls": calls, "p50": p50, "p99": p99, "max": maximum, "rate": rate})
    );
}

async fn admit(endpoint: &Endpoint, connection: &mut Connection, id: &str) -> Outcome<String> {
    let request = AdmitRequest {
        request_id: id.into(),
        model: "chat".into(),
        workload: "benchmark".into(),
        session: "session-1".into(),
        run: "run-1".into(),
        labels: [("tier".to_owned(), "gold".to_owned())].into(),
        input: Some(Input::InputBytes(600)),
        max_output_tokens: 64,
        ..AdmitRequest::default()
    };
    let answer = endpoint
        .call(connection, "/fairlead.v1.GateService/Admit", &request)
        .await?;
    Ok(AdmitResponse::decode(answer)?.invocation)
}

async fn settle(endpoint: &Endpoint, connection: &mut Connection, id: &str, invocation: String) -> Outcome<()> {
    let request = SettleRequest {
        request_id: format!("{id}-settle"),
        invocation,
        attempts: vec![Attempt {
            model: "dev-large".into(),
            outcome: AttemptOutcome::Succeeded.into(),
            status_code: 200,
            usage: Some(Usage {
                input: 150,
                output: 40,
                ..Usage::default()
            }),
            ..Attempt::default()
        }],
    };
    endpoint
        .call(connection, "/fairlead.v1.GateService/Settle", &request)
        .await
        .map(|_| ())
}
