//! The dialects' endpoints: a real front, providers of every dialect, a store in memory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../upstream/tests/bodies/mod.rs"]
mod bodies;
#[path = "../../upstream/tests/support/mod.rs"]
mod provider;
mod support;

use bodies::*;
use bytes::Bytes;
use fairlead_upstream::Dialect;
use fairlead_wire::internal::EngineConfig;
use fairlead_wire::v1::stream_generate_response::Part;
use fairlead_wire::v1::{self, GenerateRequest, GenerateResponse, StreamGenerateRequest, StreamGenerateResponse};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::rt::TokioExecutor;
use provider::{ScriptedProvider, chunk, last_chunk, stream_head, whole};
use serde_json::Value;
use support::{Daemon, TOKEN};
use tonic::codegen::http::uri::PathAndQuery;

fn wire(dialect: Dialect) -> v1::Dialect {
    match dialect {
        Dialect::OpenAiChat => v1::Dialect::OpenaiChat,
        Dialect::OpenAiResponses => v1::Dialect::OpenaiResponses,
        Dialect::AnthropicMessages => v1::Dialect::AnthropicMessages,
    }
}

fn config(provider: &ScriptedProvider, dialect: Dialect) -> EngineConfig {
    let mut config = support::config();
    config.providers[0].base_url = provider.base_url.clone();
    config.providers[0].dialects = vec![wire(dialect).into()];
    config
}

fn asked(dialect: Dialect, stream: bool) -> String {
    request(dialect, stream).replace(r#""model":"m""#, r#""model":"small""#)
}

fn endpoint(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "/v1/chat/completions",
        Dialect::OpenAiResponses => "/v1/responses",
        Dialect::AnthropicMessages => "/v1/messages",
    }
}

async fn send(daemon: &Daemon, path: &str, headers: &[(&str, &str)], body: Option<String>) -> (u16, HeaderMap, String) {
    let mut request = Request::builder()
        .method(if body.is_some() { "POST" } else { "GET" })
        .uri(format!("http://127.0.0.1:{}{path}", daemon.ports.agent));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let body = Full::new(Bytes::from(body.unwrap_or_default()));
    let client = HttpClient::builder(TokioExecutor::new()).build_http();
    let (parts, body) = client.request(request.body(body).unwrap()).await.unwrap().into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (
        parts.status.as_u16(),
        parts.headers,
        String::from_utf8(body.to_vec()).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn every_endpoint_answers_in_its_dialect_whatever_the_provider_speaks() {
    for client in Dialect::ALL {
        for target in Dialect::ALL {
            let mut reply = vec![stream_head()];
            reply.extend(events(target).iter().map(|event| chunk(event)));
            reply.push(last_chunk());
            let provider = ScriptedProvider::start(vec![whole(200, "", answer(target)), reply]).await;
            let daemon = Daemon::start(config(&provider, target));
            let key = [("x-api-key", TOKEN)];
            let (status, headers, body) = send(&daemon, endpoint(client), &key, Some(asked(client, false))).await;
            let pair = format!("{client} at {target}: {body}");
            assert_eq!(
                (status, &headers["x-fairlead-model"]),
                (200, &"small".parse().unwrap()),
                "{pair}"
            );
            let parsed: Value = serde_json::from_str(&body).unwrap();
            assert_eq!(text_of(client, &parsed), "hello", "{pair}");

            let (status, headers, body) = send(&daemon, endpoint(client), &key, Some(asked(client, true))).await;
            let pair = format!("{client} at {target}: {body}");
            assert_eq!(status, 200, "{pair}");
            assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
            assert_eq!(streamed_text(client, &body), "hello", "{pair}");
            let closed = is_end(client, &body) || body.ends_with("data: [DONE]\n\n");
            assert!(closed, "{pair}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_dialect_comes_over_grpc_with_its_end_event() {
    for client in Dialect::ALL {
        let mut reply = vec![stream_head()];
        reply.extend(events(client).iter().map(|event| chunk(event)));
        reply.push(last_chunk());
        let provider = ScriptedProvider::start(vec![whole(200, "", answer(client)), reply]).await;
        let daemon = Daemon::start(config(&provider, client));
        let agent = daemon.client().await;
        let generated: GenerateResponse = agent
            .call(
                "/fairlead.v1.ModelService/Generate",
                GenerateRequest {
                    dialect: wire(client).into(),
                    body: asked(client, false).into(),
                    ..GenerateRequest::default()
                },
            )
            .await
            .unwrap()
            .into_inner();
        assert_eq!(generated.body, answer(client).as_bytes());
        let request = StreamGenerateRequest {
            dialect: wire(client).into(),
            body: asked(client, true).into(),
            ..StreamGenerateRequest::default()
        };
        let mut stream = streaming(&agent, request).await;
        let mut received = Vec::new();
        let mut ended = false;
        while let Some(part) = stream.message().await.unwrap() {
            match part.part.unwrap() {
                Part::Start(start) => assert_eq!(start.model, "small"),
                Part::Event(event) => received.push(String::from_utf8(event).unwrap()),
                Part::End(end) => ended = end.charged.is_some(),
            }
        }
        assert!(ended);
        let last = received.last().unwrap();
        let closed = match client {
            // Its end marker is framing, not an event; the usage that was asked for stays here.
            Dialect::OpenAiChat => last.contains(r#""finish_reason":"stop""#),
            Dialect::OpenAiResponses => last.contains("response.completed"),
            Dialect::AnthropicMessages => last.contains("message_stop"),
        };
        assert!(closed, "{last}");
    }
}

async fn streaming(
    agent: &support::Client,
    request: StreamGenerateRequest,
) -> tonic::Streaming<StreamGenerateResponse> {
    let mut request = tonic::Request::new(request);
    let bearer = format!("Bearer {TOKEN}").parse().unwrap();
    request.metadata_mut().insert("authorization", bearer);
    let mut grpc = tonic::client::Grpc::new(agent.channel());
    grpc.ready().await.unwrap();
    grpc.server_streaming(
        request,
        PathAndQuery::from_static("/fairlead.v1.ModelService/StreamGenerate"),
        tonic_prost::ProstCodec::default(),
    )
    .await
    .unwrap()
    .into_inner()
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_in_the_dialect_of_the_endpoint() {
    let provider = ScriptedProvider::start(Vec::new()).await;
    let daemon = Daemon::start(config(&provider, Dialect::AnthropicMessages));
    let key = [("x-api-key", TOKEN)];
    let unknown = |dialect| Some(request(dialect, false));
    let (status, headers, body) = send(&daemon, "/v1/messages", &key, unknown(Dialect::AnthropicMessages)).await;
    let error: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (status, &headers["x-fairlead-reason"]),
        (404, &"NO_ROUTE".parse().unwrap())
    );
    assert_eq!(
        (&error["type"], &error["error"]["type"]),
        (&"error".into(), &"not_found_error".into())
    );
    let (status, _, body) = send(&daemon, "/v1/responses", &key, unknown(Dialect::OpenAiResponses)).await;
    let error: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &error["error"]["code"]), (404, &"model_not_found".into()));

    let (status, _, body) = send(&daemon, "/v1/messages", &[("x-api-key", "wrong")], Some("{}".into())).await;
    let error: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &error["error"]["type"]), (401, &"authentication_error".into()));
    assert!(!body.contains("wrong"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_providers_own_dialect_can_do_is_refused_elsewhere_by_its_name() {
    let provider = ScriptedProvider::start(Vec::new()).await;
    let daemon = Daemon::start(config(&provider, Dialect::AnthropicMessages));
    let body = asked(Dialect::OpenAiResponses, false).replacen('{', r#"{"previous_response_id":"resp_0","#, 1);
    let (status, _, body) = send(&daemon, "/v1/responses", &[("api-key", TOKEN)], Some(body)).await;
    assert!((400..500).contains(&status), "{status} {body}");
    assert!(body.contains("previous_response_id"), "{body}");
}

#[tokio::test(flavor = "multi_thread")]
async fn paths_that_are_not_served_say_what_is() {
    let provider = ScriptedProvider::start(Vec::new()).await;
    let daemon = Daemon::start(config(&provider, Dialect::OpenAiChat));
    let key = [("x-api-key", TOKEN)];
    for path in ["/v1/messages/count_tokens", "/v1/embeddings", "/v1/responses/resp_1"] {
        let (status, _, body) = send(&daemon, path, &key, Some("{}".into())).await;
        let error: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status, 404, "{path}");
        assert!(
            error["error"]["message"].as_str().unwrap().contains("/v1/responses"),
            "{body}"
        );
        assert_eq!(error["type"] == "error", path.starts_with("/v1/messages"), "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn models_are_listed_in_the_form_that_the_client_reads() {
    let provider = ScriptedProvider::start(Vec::new()).await;
    let daemon = Daemon::start(config(&provider, Dialect::OpenAiChat));
    let anthropic = [("x-api-key", TOKEN), ("anthropic-version", "2023-06-01")];
    let (_, _, body) = send(&daemon, "/v1/models?limit=5", &anthropic, None).await;
    let list: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&list["data"][0]["type"], &list["data"][0]["id"], &list["has_more"]),
        (&"model".into(), &"small".into(), &false.into())
    );
    let (_, _, body) = send(&daemon, "/v1/models/small", &anthropic, None).await;
    assert!(body.contains("display_name"), "{body}");
    let (_, _, body) = send(&daemon, "/v1/models", &[("x-api-key", TOKEN)], None).await;
    let list: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        (&list["object"], &list["data"][0]["object"]),
        (&"list".into(), &"model".into())
    );
}
