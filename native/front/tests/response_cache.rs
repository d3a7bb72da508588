//! The response cache, from the outside: a real front, a scripted provider that answers only once per script entry.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../upstream/tests/support/mod.rs"]
mod provider;
mod support;

use bytes::Bytes;
use fairlead_wire::internal::{Budget, Effect, EngineConfig, Match, PolicyRule, Route, Target, WindowKind};
use fairlead_wire::v1::{GenerateRequest, GenerateResponse};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use provider::{ANSWER, DONE, ScriptedProvider, chunk, content, finish, last_chunk, role, stream_head, whole};
use support::{Daemon, TOKEN};

const BODY: &str = r#"{"model":"small","messages":[{"role":"user","content":"hello"}],"max_tokens":100}"#;
const STREAM: &str = r#"{"model":"small","messages":[],"max_tokens":100,"stream":true}"#;

/// Everything goes along a route that keeps answers for a minute.
fn config(base_url: &str) -> EngineConfig {
    let mut config = support::config();
    config.providers[0].base_url = base_url.to_owned();
    config.routes = vec![Route {
        name: "all".into(),
        targets: vec![Target {
            model: "small".into(),
            weight: 1,
        }],
        cache_ttl_millis: 60_000,
        ..Route::default()
    }];
    support::limits(&mut config).cache_bytes = 1 << 20;
    config
}

struct Answered {
    status: u16,
    headers: HeaderMap,
    body: Bytes,
}

impl Answered {
    fn is_hit(&self) -> bool {
        let hit = self.headers.get("x-fairlead-cache").is_some_and(|value| value == "hit");
        assert_eq!(self.headers.contains_key("age"), hit);
        hit
    }
}

async fn chat(daemon: &Daemon, headers: &[(&str, &str)], body: &'static str) -> Answered {
    let uri = format!("http://127.0.0.1:{}/v1/chat/completions", daemon.ports.agent);
    let mut request = Request::post(uri).header("authorization", format!("Bearer {TOKEN}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let client = HttpClient::builder(TokioExecutor::new()).build_http();
    let request = request.body(Full::new(Bytes::from_static(body.as_bytes()))).unwrap();
    let (parts, body) = client.request(request).await.unwrap().into_parts();
    Answered {
        status: parts.status.as_u16(),
        headers: parts.headers,
        body: body.collect().await.unwrap().to_bytes(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_call_is_answered_again_without_the_provider_and_costs_nothing() {
    let mut upstream = ScriptedProvider::start(vec![whole(200, "x-request-id: r-1\r\n", ANSWER)]).await;
    let mut config = config(&upstream.base_url);
    config.budgets = vec![Budget {
        name: "one".into(),
        scope: vec!["tenant".into()],
        limit_requests: Some(1),
        window: WindowKind::Lifetime.into(),
        ..Budget::default()
    }];
    let daemon = Daemon::start(config);
    let first = chat(&daemon, &[], BODY).await;
    assert!(!first.is_hit());
    let again = chat(&daemon, &[], BODY).await;
    assert!(again.is_hit() && again.status == 200);
    assert_eq!(again.body, first.body);
    for same in ["x-request-id", "x-fairlead-model", "content-type"] {
        assert_eq!(again.headers.get(same), first.headers.get(same), "{same}");
    }
    assert_ne!(
        again.headers["x-fairlead-invocation"], first.headers["x-fairlead-invocation"],
        "a hit is a call of its own"
    );
    assert!(upstream.requests.recv().await.is_some() && upstream.requests.try_recv().is_err());
    assert_eq!(daemon.core.snapshot().open_reservations, 0);

    let client = daemon.client().await;
    let request = GenerateRequest {
        body: BODY.into(),
        ..GenerateRequest::default()
    };
    let path = "/fairlead.v1.ModelService/Generate";
    let answer: GenerateResponse = client.call(path, request).await.unwrap().into_inner();
    assert!(answer.cached && answer.attempts.is_empty());
    assert_eq!(
        (answer.model.as_str(), answer.charged),
        ("small", Some(Default::default()))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_replayed_event_for_event() {
    let events = [role(), content("hel"), content("lo"), finish()];
    let mut script = vec![stream_head()];
    script.extend(events.iter().map(|event| chunk(event)));
    script.extend([chunk(DONE), last_chunk()]);
    let upstream = ScriptedProvider::start(vec![script]).await;
    let daemon = Daemon::start(config(&upstream.base_url));
    let first = chat(&daemon, &[], STREAM).await;
    let again = chat(&daemon, &[], STREAM).await;
    assert!(!first.is_hit() && again.is_hit());
    assert_eq!(again.body, first.body);
    assert_eq!(again.headers["content-type"], first.headers["content-type"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_that_want_a_new_answer_calls_with_an_id_and_other_calls_ask_the_provider() {
    let answers = (0..5).map(|_| whole(200, "", ANSWER)).collect();
    let upstream = ScriptedProvider::start(answers).await;
    let daemon = Daemon::start(config(&upstream.base_url));
    assert!(!chat(&daemon, &[], BODY).await.is_hit());
    for header in [
        ("cache-control", "no-cache"),
        ("cache-control", "no-store"),
        ("idempotency-key", "i-1"),
        ("x-fairlead-workload", "other"),
    ] {
        assert!(!chat(&daemon, &[header], BODY).await.is_hit(), "{header:?}");
    }
    assert!(chat(&daemon, &[], BODY).await.is_hit());
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_are_not_kept_and_without_a_cache_nothing_is() {
    let failing = ScriptedProvider::start(vec![whole(400, "", "{}"), whole(200, "", ANSWER)]).await;
    let daemon = Daemon::start(config(&failing.base_url));
    assert_eq!(chat(&daemon, &[], BODY).await.status, 400);
    assert!(!chat(&daemon, &[], BODY).await.is_hit());

    for without in [
        |config: &mut EngineConfig| config.routes[0].cache_ttl_millis = 0,
        |config: &mut EngineConfig| support::limits(config).cache_bytes = 0,
    ] {
        let upstream = ScriptedProvider::start((0..2).map(|_| whole(200, "", ANSWER)).collect()).await;
        let mut config = config(&upstream.base_url);
        without(&mut config);
        let daemon = Daemon::start(config);
        for _ in 0..2 {
            assert!(!chat(&daemon, &[], BODY).await.is_hit());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policy_decides_about_a_hit_as_about_any_call() {
    let upstream = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let mut config = config(&upstream.base_url);
    config.policies = vec![PolicyRule {
        name: "no-run".into(),
        on: "model.call".into(),
        r#match: Some(Match::default()),
        when: "request.run == 'r-2'".into(),
        effect: Effect::Deny.into(),
        ..PolicyRule::default()
    }];
    let daemon = Daemon::start(config);
    assert!(!chat(&daemon, &[("x-fairlead-run", "r-1")], BODY).await.is_hit());
    assert!(chat(&daemon, &[("x-fairlead-run", "r-3")], BODY).await.is_hit());
    let denied = chat(&daemon, &[("x-fairlead-run", "r-2")], BODY).await;
    assert_eq!((denied.status, denied.is_hit()), (403, false));
}
