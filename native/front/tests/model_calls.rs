//! Governed calls through both doors: a real front, a scripted provider, a store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../upstream/tests/support/mod.rs"]
mod provider;
mod support;

use std::time::Duration;

use bytes::Bytes;
use fairlead_wire::internal::{
    Budget, Effect, EngineConfig, Fallback, Match, PolicyRule, Retry, Route, Target, WindowKind,
};
use fairlead_wire::v1::stream_generate_response::Part;
use fairlead_wire::v1::{
    AttemptOutcome, GenerateRequest, GenerateResponse, StreamGenerateRequest, StreamGenerateResponse,
};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use provider::{
    ANSWER, DONE, ScriptedProvider, Step, chunk, content, finish, last_chunk, role, stream_head, usage, whole,
};
use serde_json::Value;
use support::{Client, Daemon, TOKEN, reason};
use tokio::sync::oneshot;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Response};

const BODY: &str = r#"{"model":"small","messages":[{"role":"user","content":"hello"}],"max_tokens":100,"odd": 1.0}"#;
const STREAM: &str = r#"{"model":"small","messages":[],"max_tokens":100,"stream":true}"#;

/// The configuration of the other tests, with the model at this provider and a logical name in front of it.
fn config(base_url: &str) -> EngineConfig {
    let mut config = support::config();
    config.providers[0].base_url = base_url.to_owned();
    config.routes = vec![Route {
        name: "smart".into(),
        r#match: Some(Match {
            models: vec!["smart".into()],
            ..Match::default()
        }),
        targets: vec![Target {
            model: "small".into(),
            weight: 1,
        }],
        fallback: Some(Fallback {
            chain: Vec::new(),
            on: vec!["5xx".into()],
        }),
        retry: Some(Retry {
            attempts: 2,
            initial_millis: 1,
            max_millis: 1,
            wait_for_retry_after_up_to_millis: 100,
        }),
        ..Route::default()
    }];
    config
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answered {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
            .to_str()
            .unwrap()
    }

    fn code(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        body["error"]["code"].as_str().unwrap().to_owned()
    }
}

async fn send(daemon: &Daemon, path: &str, headers: &[(&str, &str)], body: Option<Bytes>) -> http::Response<Incoming> {
    let method = if body.is_some() { "POST" } else { "GET" };
    let uri = format!("http://127.0.0.1:{}{path}", daemon.ports.agent);
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = HttpClient::builder(TokioExecutor::new()).build_http();
    client
        .request(request.body(Full::new(body.unwrap_or_default())).unwrap())
        .await
        .unwrap()
}

async fn call(daemon: &Daemon, path: &str, headers: &[(&str, &str)], body: Option<Bytes>) -> Answered {
    let response = send(daemon, path, headers, body).await;
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Answered {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body,
    }
}

fn bearer() -> (&'static str, &'static str) {
    ("authorization", "Bearer s3cret")
}

async fn chat(daemon: &Daemon, body: &str) -> Answered {
    call(
        daemon,
        "/v1/chat/completions",
        &[bearer()],
        Some(Bytes::copy_from_slice(body.as_bytes())),
    )
    .await
}

async fn all_given_back(daemon: &Daemon) {
    let patience = tokio::time::Instant::now() + Duration::from_secs(10);
    while daemon.core.snapshot().open_reservations != 0 {
        assert!(tokio::time::Instant::now() < patience, "a reservation stays open");
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_passes_byte_for_byte_and_is_settled() {
    let mut upstream = ScriptedProvider::start(vec![whole(200, "x-request-id: r-1\r\n", ANSWER)]).await;
    let daemon = Daemon::start(config(&upstream.base_url));
    let answer = chat(&daemon, BODY).await;
    assert_eq!((answer.status, &answer.body[..]), (200, ANSWER.as_bytes()));
    assert!(answer.header("x-fairlead-invocation").starts_with("inv_"));
    assert_eq!(answer.header("x-fairlead-model"), "small");
    assert_eq!(answer.header("x-fairlead-config-version"), "a".repeat(64));
    assert_eq!(answer.header("x-request-id"), "r-1");
    let sent = upstream.requests.recv().await.unwrap();
    assert_eq!(sent.text(), BODY.replace("\"small\"", "\"small-1\""));
    assert!(!sent.head.contains(TOKEN));
    assert_eq!(daemon.core.snapshot().open_reservations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_errors_of_the_dialect() {
    let upstream = ScriptedProvider::start(Vec::new()).await;
    let mut config = config(&upstream.base_url);
    config.policies = vec![PolicyRule {
        name: "no-big".into(),
        on: "model.call".into(),
        r#match: Some(Match {
            workloads: vec!["big".into()],
            ..Match::default()
        }),
        effect: Effect::Deny.into(),
        ..PolicyRule::default()
    }];
    config.budgets = vec![Budget {
        name: "tiny".into(),
        scope: vec!["run".into()],
        limit_tokens: Some(10),
        window: WindowKind::Lifetime.into(),
        ..Budget::default()
    }];
    let daemon = Daemon::start(config);
    let path = "/v1/chat/completions";
    let body = || Some(Bytes::from_static(BODY.as_bytes()));
    let unknown = BODY.replace("small", "unknown");
    for (headers, body, status, reason, code) in [
        (vec![], body(), 401, "CREDENTIAL_MISSING", "invalid_api_key"),
        (
            vec![("authorization", "Bearer wrong")],
            body(),
            401,
            "CREDENTIAL_INVALID",
            "invalid_api_key",
        ),
        (
            vec![bearer()],
            Some(Bytes::from_static(b"{")),
            400,
            "INVALID_ARGUMENT",
            "invalid_argument",
        ),
        (
            vec![bearer(), ("x-fairlead-min-quality", "2")],
            body(),
            400,
            "INVALID_ARGUMENT",
            "invalid_argument",
        ),
        (
            vec![bearer()],
            Some(Bytes::from(vec![b' '; 20 << 20])),
            413,
            "PAYLOAD_TOO_LARGE",
            "payload_too_large",
        ),
        (
            vec![bearer()],
            Some(Bytes::from(unknown.into_bytes())),
            404,
            "NO_ROUTE",
            "model_not_found",
        ),
        (
            vec![bearer(), ("x-fairlead-workload", "big")],
            body(),
            403,
            "POLICY_DENIED",
            "policy_denied",
        ),
        (
            vec![bearer(), ("x-fairlead-run", "r-1")],
            body(),
            429,
            "BUDGET_EXHAUSTED",
            "insufficient_quota",
        ),
    ] {
        let answer = call(&daemon, path, &headers, body).await;
        assert_eq!(
            (answer.status, answer.header("x-fairlead-reason"), &*answer.code()),
            (status, reason, code)
        );
        assert_eq!(answer.header("x-fairlead-config-version"), "a".repeat(64));
        let no_retry = answer
            .headers
            .get("x-should-retry")
            .is_some_and(|value| value == "false");
        assert_eq!(no_retry, matches!(status, 403 | 413 | 429), "{reason}");
    }
    assert_eq!(call(&daemon, "/v1/nothing", &[bearer()], None).await.status, 404);
    assert_eq!(call(&daemon, path, &[bearer()], None).await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_models_of_the_caller_are_listed() {
    let daemon = Daemon::start(config("http://127.0.0.1:1/v1"));
    let answer = call(&daemon, "/v1/models", &[bearer()], None).await;
    let list: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(list["object"], "list");
    let ids: Vec<&str> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["small", "smart"]);
    assert_eq!(call(&daemon, "/v1/models/smart", &[bearer()], None).await.status, 200);
    assert_eq!(call(&daemon, "/v1/models/other", &[bearer()], None).await.status, 404);
    assert_eq!(call(&daemon, "/v1/models", &[], None).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_are_the_routes_and_exhaustion_names_each_attempt() {
    let script = vec![
        whole(500, "", "{}"),
        whole(200, "", ANSWER),
        whole(503, "retry-after: 7\r\n", "{}"),
    ];
    let upstream = ScriptedProvider::start(script).await;
    let daemon = Daemon::start(config(&upstream.base_url));
    let body = BODY.replace("small", "smart");
    let answer = chat(&daemon, &body).await;
    assert_eq!((answer.status, answer.header("x-fairlead-model")), (200, "small"));
    let answer = chat(&daemon, &body).await;
    assert_eq!((answer.status, &*answer.code()), (503, "targets_exhausted"));
    assert_eq!(answer.header("retry-after"), "7");
    let error: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(error["error"]["metadata"]["attempt.1"], "small FAILED 503 (status 503)");
    assert!(answer.header("x-fairlead-invocation").starts_with("inv_"));
    assert_eq!(daemon.core.snapshot().open_reservations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_refusal_reaches_the_client() {
    let refusal = r#"{"error":{"message":"bad tool","code":"invalid_value"}}"#;
    let upstream = ScriptedProvider::start(vec![whole(400, "", refusal)]).await;
    let daemon = Daemon::start(config(&upstream.base_url));
    let answer = chat(&daemon, BODY).await;
    assert_eq!((answer.status, &answer.body[..]), (400, refusal.as_bytes()));
    assert_eq!(answer.header("x-fairlead-reason"), "INVALID_ARGUMENT");
    assert_eq!(daemon.core.snapshot().open_reservations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_a_stream_comes_after_its_settlement() {
    let (go, wait) = oneshot::channel();
    let upstream = ScriptedProvider::start(vec![vec![
        stream_head(),
        chunk(&role()),
        chunk(&content("he")),
        Step::Wait(wait),
        chunk(&format!("{}{}{DONE}", finish(), usage(5, 2))),
        last_chunk(),
    ]])
    .await;
    let daemon = Daemon::start(config(&upstream.base_url));
    let response = send(
        &daemon,
        "/v1/chat/completions",
        &[bearer()],
        Some(Bytes::from_static(STREAM.as_bytes())),
    )
    .await;
    assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
    assert_eq!(response.headers()["x-fairlead-model"], "small");
    let mut body = response.into_body();
    let mut text = String::new();
    while !text.contains("he") {
        text.push_str(std::str::from_utf8(&body.frame().await.unwrap().unwrap().into_data().unwrap()).unwrap());
    }
    daemon.store.hold_back();
    go.send(()).unwrap();
    while !text.contains("stop") {
        text.push_str(std::str::from_utf8(&body.frame().await.unwrap().unwrap().into_data().unwrap()).unwrap());
    }
    assert!(
        tokio::time::timeout(Duration::from_millis(50), body.frame())
            .await
            .is_err()
    );
    daemon.store.go_on();
    text.push_str(std::str::from_utf8(&body.collect().await.unwrap().to_bytes()).unwrap());
    assert_eq!(text, format!("{}{}{}{DONE}", role(), content("he"), finish()));
    assert_eq!(daemon.core.snapshot().open_reservations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cut_stream_says_so() {
    let upstream = ScriptedProvider::start(vec![vec![stream_head(), chunk(&content("he"))]]).await;
    let daemon = Daemon::start(config(&upstream.base_url));
    let answer = chat(&daemon, STREAM).await;
    let text = std::str::from_utf8(&answer.body).unwrap();
    assert!(
        text.starts_with(&content("he")) && text.contains("\"upstream_cut\"") && !text.contains("[DONE]"),
        "{text}"
    );
    assert_eq!(daemon.core.snapshot().open_reservations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_cancels_the_call_and_pays_what_was_produced() {
    let mut upstream = ScriptedProvider::start(vec![
        vec![stream_head(), chunk(&content("he")), Step::Hang],
        vec![Step::Hang],
    ])
    .await;
    let daemon = Daemon::start(config(&upstream.base_url));
    for body in [STREAM, BODY] {
        let (arrived, first_part) = oneshot::channel();
        let headers = [bearer()];
        let calling = async {
            let body = Some(Bytes::copy_from_slice(body.as_bytes()));
            let mut body = send(&daemon, "/v1/chat/completions", &headers, body).await.into_body();
            body.frame().await.unwrap().unwrap();
            arrived.send(()).unwrap();
            std::future::pending::<()>().await;
        };
        let leaving = async {
            upstream.requests.recv().await.unwrap();
            if body == STREAM {
                first_part.await.unwrap();
            }
        };
        tokio::select! {
            () = calling => {}
            () = leaving => {}
        }
        upstream.closed.recv().await.unwrap();
        all_given_back(&daemon).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_meets_a_failed_store_lands_after_recovery() {
    let (go, wait) = oneshot::channel();
    let reply = vec![
        Step::Wait(wait),
        Step::Write(provider::whole_bytes(200, "", ANSWER)),
        Step::KeepAlive,
    ];
    let mut upstream = ScriptedProvider::start(vec![reply]).await;
    let daemon = Daemon::start(config(&upstream.base_url));
    let calling = chat(&daemon, BODY);
    let failing = async {
        upstream.requests.recv().await.unwrap();
        daemon.core.fail_store("test");
        go.send(()).unwrap();
    };
    let (answer, ()) = tokio::join!(calling, failing);
    assert_eq!(
        (answer.status, answer.header("x-fairlead-reason")),
        (503, "STORE_UNAVAILABLE")
    );
    daemon.store.recover();
    all_given_back(&daemon).await;
}

fn generate(body: &str) -> GenerateRequest {
    GenerateRequest {
        body: body.as_bytes().to_vec(),
        ..GenerateRequest::default()
    }
}

async fn generated(client: &Client, body: &str) -> Result<GenerateResponse, tonic::Status> {
    client
        .call("/fairlead.v1.ModelService/Generate", generate(body))
        .await
        .map(Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn generate_answers_with_body_attempts_and_charge() {
    let upstream = ScriptedProvider::start(vec![whole(200, "", ANSWER), whole(400, "", "{}")]).await;
    let daemon = Daemon::start(config(&upstream.base_url));
    let client = daemon.client().await;
    let response = generated(&client, BODY).await.unwrap();
    assert_eq!((&response.body[..], &*response.model), (ANSWER.as_bytes(), "small"));
    assert_eq!(response.attempts[0].outcome(), AttemptOutcome::Succeeded);
    // 11 tokens at 1 µUSD and 7 at 2 µUSD.
    assert_eq!(response.charged.unwrap().nano_usd, 25_000);
    let status = generated(&client, BODY).await.unwrap_err();
    assert_eq!(
        (status.code(), &*reason(&status)),
        (Code::InvalidArgument, "INVALID_ARGUMENT")
    );
    let status = generated(&client, "[]").await.unwrap_err();
    assert_eq!(&*reason(&status), "INVALID_ARGUMENT");
}

async fn streamed(daemon: &Daemon, body: &str) -> (Vec<Part>, Option<tonic::Status>) {
    let endpoint = tonic::transport::Endpoint::from_shared(format!("http://127.0.0.1:{}", daemon.ports.agent)).unwrap();
    let mut grpc = tonic::client::Grpc::new(endpoint.connect().await.unwrap());
    grpc.ready().await.unwrap();
    let mut request = tonic::Request::new(StreamGenerateRequest {
        body: body.as_bytes().to_vec(),
        ..Default::default()
    });
    request
        .metadata_mut()
        .insert("authorization", format!("Bearer {TOKEN}").parse().unwrap());
    let path = PathAndQuery::from_static("/fairlead.v1.ModelService/StreamGenerate");
    let codec = tonic_prost::ProstCodec::<StreamGenerateRequest, StreamGenerateResponse>::default();
    let mut stream = match grpc.server_streaming(request, path, codec).await {
        Ok(response) => response.into_inner(),
        Err(status) => return (Vec::new(), Some(status)),
    };
    let mut parts = Vec::new();
    loop {
        match stream.message().await {
            Ok(Some(message)) => parts.push(message.part.unwrap()),
            Ok(None) => return (parts, None),
            Err(status) => return (parts, Some(status)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_generate_has_a_start_events_and_an_end() {
    let good = vec![
        stream_head(),
        chunk(&format!("{}{}{}{}{DONE}", role(), content("he"), finish(), usage(5, 2))),
        last_chunk(),
        Step::KeepAlive,
    ];
    let cut = vec![stream_head(), chunk(&content("he"))];
    let upstream = ScriptedProvider::start(vec![good, cut]).await;
    let daemon = Daemon::start(config(&upstream.base_url));
    let (parts, status) = streamed(&daemon, BODY).await;
    assert!(status.is_none(), "{status:?}");
    let [
        Part::Start(start),
        Part::Event(_),
        Part::Event(event),
        Part::Event(_),
        Part::End(end),
    ] = &parts[..]
    else {
        panic!("{parts:?}");
    };
    assert_eq!(start.model, "small");
    assert_eq!(
        format!("data: {}\n\n", std::str::from_utf8(event).unwrap()),
        content("he")
    );
    assert_eq!(end.charged.unwrap().tokens, 7);
    let (parts, status) = streamed(&daemon, BODY).await;
    assert_eq!(parts.len(), 2);
    assert_eq!(reason(&status.unwrap()), "TARGETS_EXHAUSTED");
    assert_eq!(daemon.core.snapshot().open_reservations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_cannot_end_the_hold_of_a_running_call() {
    let (go, wait) = oneshot::channel();
    let upstream = ScriptedProvider::start(vec![vec![
        stream_head(),
        chunk(&content("he")),
        Step::Wait(wait),
        chunk(&format!("{}{}{DONE}", finish(), usage(5, 2))),
        last_chunk(),
    ]])
    .await;
    let daemon = Daemon::start(config(&upstream.base_url));
    let body = Some(Bytes::from_static(STREAM.as_bytes()));
    let response = send(&daemon, "/v1/chat/completions", &[bearer()], body).await;
    let invocation = response.headers()["x-fairlead-invocation"].to_str().unwrap().to_owned();
    let client = daemon.client().await;
    let release = fairlead_wire::v1::ReleaseRequest {
        request_id: "r".into(),
        invocation: invocation.clone(),
        reason: String::new(),
    };
    let settle = fairlead_wire::v1::SettleRequest {
        request_id: "s".into(),
        invocation,
        attempts: Vec::new(),
    };
    assert_eq!(reason(&client.release(release).await.unwrap_err()), "INVALID_STATE");
    assert_eq!(reason(&client.settle(settle).await.unwrap_err()), "INVALID_STATE");
    assert_eq!(daemon.core.snapshot().open_reservations, 1);
    go.send(()).unwrap();
    let text = response.into_body().collect().await.unwrap().to_bytes();
    assert!(text.ends_with(DONE.as_bytes()), "{text:?}");
    assert_eq!(daemon.core.snapshot().open_reservations, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fallback_is_asked_for_no_more_than_it_can_answer() {
    let failed = || whole(500, "", "{}");
    let mut upstream = ScriptedProvider::start(vec![failed(), failed(), whole(200, "", ANSWER)]).await;
    let mut config = config(&upstream.base_url);
    config.models.push(fairlead_wire::internal::Model {
        name: "tiny".into(),
        max_output_tokens: 50,
        ..config.models[0].clone()
    });
    config.routes[0].fallback.as_mut().unwrap().chain = vec!["tiny".into()];
    let daemon = Daemon::start(config);
    let answer = chat(&daemon, r#"{"model":"smart","messages":[]}"#).await;
    assert_eq!(answer.header("x-fairlead-model"), "tiny");
    let mut limits = Vec::new();
    for _ in 0..3 {
        let sent: Value = serde_json::from_slice(&upstream.requests.recv().await.unwrap().body).unwrap();
        limits.push(sent["max_tokens"].as_i64().unwrap());
    }
    assert_eq!(limits, [4_096, 4_096, 50]);
}
