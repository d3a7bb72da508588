//! The same request id again, with a control socket that answers what the store has.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "../../upstream/tests/support/mod.rs"]
mod provider;
mod support;

use std::convert::Infallible;

use bytes::{BufMut, Bytes, BytesMut};
use fairlead_wire::internal::{InvocationRecord, Known, NeedsRecord, RequestRecord};
use fairlead_wire::v1::{GenerateRequest, GenerateResponse};
use http::{HeaderMap, Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use prost::Message;
use provider::{ANSWER, ScriptedProvider, whole};
use support::{Daemon, reason};
use tokio::net::UnixListener;

const BODY: &str = r#"{"model":"small","messages":[],"max_tokens":100}"#;

type Get = dyn Fn(u32, &[u8]) -> Option<Vec<u8>> + Send + Sync;

/// What the control services' `StoreService/Read` does.
fn known(get: &Get, needs: &NeedsRecord) -> Known {
    let mut known = Known::default();
    let mut invocation_key = needs.invocation_key.clone();
    if let Some((key, value)) = needs.request_keys.iter().find_map(|key| Some((key, get(6, key)?))) {
        let request = RequestRecord::decode(&*value).unwrap();
        let id = request.invocation.trim_start_matches("inv_");
        invocation_key = u16::try_from(request.tenant.len()).unwrap().to_be_bytes().to_vec();
        invocation_key.extend_from_slice(request.tenant.as_bytes());
        invocation_key.extend(
            (0..id.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&id[at..at + 2], 16).unwrap()),
        );
        known.answer = get(5, key).unwrap_or_default();
        known.request = Some(request);
        known.request_found = true;
    }
    if let Some(value) = get(7, &invocation_key) {
        known.invocation = Some(InvocationRecord::decode(&*value).unwrap());
        known.invocation_found = true;
    }
    known
}

/// Serves the control socket of a daemon.
fn control(daemon: &Daemon) {
    let listener = UnixListener::bind(&daemon.control_socket).unwrap();
    let get = daemon.store.reader();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let get = get.clone();
            let service = service_fn(move |request: Request<Incoming>| {
                let get = get.clone();
                async move {
                    assert_eq!(request.headers()["x-fairlead-front-key"], support::KEY);
                    let body = request.into_body().collect().await.unwrap().to_bytes();
                    let message = known(&get, &NeedsRecord::decode(&body[5..]).unwrap()).encode_to_vec();
                    let mut framed = BytesMut::new();
                    framed.put_u8(0);
                    framed.put_u32(u32::try_from(message.len()).unwrap());
                    framed.extend_from_slice(&message);
                    let mut trailers = HeaderMap::new();
                    trailers.insert("grpc-status", "0".parse().unwrap());
                    let frames = [Frame::data(framed.freeze()), Frame::trailers(trailers)].map(Ok::<_, Infallible>);
                    let mut response = Response::new(StreamBody::new(futures_util::stream::iter(frames)));
                    response
                        .headers_mut()
                        .insert("content-type", "application/grpc".parse().unwrap());
                    Ok::<_, Infallible>(response)
                }
            });
            tokio::spawn(async move {
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
}

fn config(base_url: &str) -> fairlead_wire::internal::EngineConfig {
    let mut config = support::config();
    config.providers[0].base_url = base_url.to_owned();
    config
}

async fn generate(daemon: &Daemon, id: &str, body: &str) -> Result<GenerateResponse, tonic::Status> {
    let request = GenerateRequest {
        request_id: id.into(),
        body: body.as_bytes().to_vec(),
        ..GenerateRequest::default()
    };
    let client = daemon.client().await;
    client
        .call("/fairlead.v1.ModelService/Generate", request)
        .await
        .map(tonic::Response::into_inner)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_answer_comes_again_and_the_provider_is_asked_once() {
    let mut upstream = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let daemon = Daemon::start(config(&upstream.base_url));
    control(&daemon);
    let first = generate(&daemon, "id-1", BODY).await.unwrap();
    let again = generate(&daemon, "id-1", BODY).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(&first.body[..], ANSWER.as_bytes());
    upstream.requests.recv().await.unwrap();
    assert!(upstream.requests.try_recv().is_err());
    let other = generate(&daemon, "id-1", &BODY.replace("100", "99")).await.unwrap_err();
    assert_eq!(reason(&other), "INVALID_ARGUMENT");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exhausted_call_stays_exhausted() {
    let upstream = ScriptedProvider::start(vec![whole(500, "", "{}"), whole(200, "", ANSWER)]).await;
    let daemon = Daemon::start(config(&upstream.base_url));
    control(&daemon);
    for _ in 0..2 {
        assert_eq!(
            reason(&generate(&daemon, "id-1", BODY).await.unwrap_err()),
            "TARGETS_EXHAUSTED"
        );
    }
    assert!(generate(&daemon, "id-2", BODY).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_too_large_to_keep_says_so() {
    let upstream = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let mut config = config(&upstream.base_url);
    support::limits(&mut config).kept_answer_bytes = 16;
    let daemon = Daemon::start(config);
    control(&daemon);
    generate(&daemon, "id-1", BODY).await.unwrap();
    assert_eq!(
        reason(&generate(&daemon, "id-1", BODY).await.unwrap_err()),
        "INVALID_STATE"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_still_runs_is_not_made_twice() {
    let (go, wait) = tokio::sync::oneshot::channel();
    let reply = vec![
        provider::Step::Wait(wait),
        provider::Step::Write(provider::whole_bytes(200, "", ANSWER)),
    ];
    let mut upstream = ScriptedProvider::start(vec![reply]).await;
    let daemon = Daemon::start(config(&upstream.base_url));
    control(&daemon);
    let second = async {
        upstream.requests.recv().await.unwrap();
        let status = generate(&daemon, "id-1", BODY).await.unwrap_err();
        go.send(()).unwrap();
        status
    };
    let (first, second) = tokio::join!(generate(&daemon, "id-1", BODY), second);
    assert_eq!(reason(&second), "INVALID_STATE");
    assert_eq!(first.unwrap().body, Bytes::from_static(ANSWER.as_bytes()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_reached_no_provider_may_be_made_again() {
    let upstream = ScriptedProvider::start(vec![whole(200, "", ANSWER)]).await;
    let mut config = config(&upstream.base_url);
    // No client can be made with it, so that nothing is ever sent.
    config.providers[0].headers.insert("not a header".into(), "x".into());
    let daemon = Daemon::start(config.clone());
    control(&daemon);
    for _ in 0..2 {
        assert_eq!(
            reason(&generate(&daemon, "id-1", BODY).await.unwrap_err()),
            "TARGETS_EXHAUSTED"
        );
    }
}
