//! The forwarder against a server on a unix socket that tells what it saw.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod support;

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use fairlead_wire::internal::{Known, NeedsRecord};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use support::{Daemon, admit_request, config, get, reason};
use tokio::net::{TcpStream, UnixListener};
use tokio::sync::{mpsc, watch};
use tonic::Status;
use tonic::body::Body;

const UNARY: &str = "/fairlead.v1.BudgetService/GetBudget";
const METRICS: &str = "/fairlead.internal.v1.MetricsService/Read";
const STREAM: &str = "/fairlead.v1.AuditService/WatchEvents";

type Read = dyn Fn(u32, &[u8]) -> Option<Vec<u8>> + Send + Sync;

/// What the control services saw, and what is on its way.
#[derive(Clone)]
struct Control {
    seen: Arc<Mutex<Vec<HeaderMap>>>,
    /// Streams that are open there.
    open: watch::Sender<usize>,
    read: Arc<Read>,
}

struct OpenStream(watch::Sender<usize>);

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.0.send_modify(|open| *open -= 1);
    }
}

impl Control {
    fn start(daemon: &Daemon) -> Self {
        let control = Self {
            seen: Arc::default(),
            open: watch::Sender::new(0),
            read: Arc::new(daemon.store.reader()),
        };
        let listener = UnixListener::bind(&daemon.control_socket).unwrap();
        let served = control.clone();
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let served = served.clone();
                let service = service_fn(move |request| {
                    let served = served.clone();
                    async move { Ok::<_, Infallible>(served.answer(request).await) }
                });
                tokio::spawn(
                    hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        control
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Body> {
        self.seen.lock().unwrap().push(request.headers().clone());
        let path = request.uri().path().to_owned();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let mut response = match path.as_str() {
            "/fairlead.internal.v1.StoreService/Read" => {
                let needs = NeedsRecord::decode(&body[5..]).unwrap();
                grpc_answer(&self.known(&needs).encode_to_vec())
            }
            METRICS => {
                assert_eq!(body.as_ref(), [0; 5]);
                grpc_answer(&"counted_total 1\n".to_owned().encode_to_vec())
            }
            UNARY if body.as_ref() == b"\0\0\0\0\x04hang" => {
                let _open = self.entered();
                std::future::pending().await
            }
            UNARY if body.as_ref() == b"\0\0\0\0\x04fail" => {
                // Trailers-only: an empty body with END_STREAM on the headers.
                let mut response = Response::new(Body::empty());
                response
                    .headers_mut()
                    .insert("grpc-status", HeaderValue::from_static("9"));
                response
                    .headers_mut()
                    .insert("grpc-message", HeaderValue::from_static("not%20now"));
                response
            }
            STREAM => self.stream(),
            _ => grpc_answer(&body[5..]),
        };
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        response
            .headers_mut()
            .insert("answered-bin", HeaderValue::from_static("AAEC"));
        response
    }

    fn known(&self, needs: &NeedsRecord) -> Known {
        let request = needs.request_keys.iter().find_map(|key| (self.read)(6, key));
        let invocation = (self.read)(7, &needs.invocation_key);
        Known {
            request_found: request.is_some(),
            request: request.map(|bytes| Message::decode(bytes.as_slice()).unwrap()),
            invocation_found: invocation.is_some(),
            invocation: invocation.map(|bytes| Message::decode(bytes.as_slice()).unwrap()),
            ..Known::default()
        }
    }

    fn entered(&self) -> OpenStream {
        self.open.send_modify(|open| *open += 1);
        OpenStream(self.open.clone())
    }

    /// One message, then silence until the reader goes away.
    fn stream(&self) -> Response<Body> {
        let open = self.entered();
        let (sender, receiver) = mpsc::channel::<Result<Frame<Bytes>, Status>>(4);
        sender
            .try_send(Ok(Frame::data(Bytes::from_static(b"\0\0\0\0\x05first"))))
            .unwrap();
        tokio::spawn(async move {
            sender.closed().await;
            drop(open);
        });
        Response::new(Body::new(StreamBody::new(tokio_stream::wrappers::ReceiverStream::new(
            receiver,
        ))))
    }

    async fn has_open(&self, streams: usize) {
        let mut open = self.open.subscribe();
        let reached = open.wait_for(|open| *open == streams);
        tokio::time::timeout(Duration::from_secs(10), reached)
            .await
            .expect("streams stay open")
            .unwrap();
    }
}

fn grpc_answer(message: &[u8]) -> Response<Body> {
    let mut data = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap_or(255)];
    let length = u32::try_from(message.len()).unwrap();
    data[1..5].copy_from_slice(&length.to_be_bytes());
    data.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    trailers.insert("x-trailer", HeaderValue::from_static("kept"));
    let frames = [
        Ok::<_, Status>(Frame::data(Bytes::from(data))),
        Ok(Frame::trailers(trailers)),
    ];
    Response::new(Body::new(StreamBody::new(tokio_stream::iter(frames))))
}

/// A bare HTTP/2 connection to the agent port: sees exactly what comes back.
async fn connect(daemon: &Daemon) -> hyper::client::conn::http2::SendRequest<Full<Bytes>> {
    let stream = TcpStream::connect(("127.0.0.1", daemon.ports.agent)).await.unwrap();
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}

fn request(path: &str, message: &'static [u8]) -> Request<Full<Bytes>> {
    let mut data = vec![0, 0, 0, 0, u8::try_from(message.len()).unwrap()];
    data.extend_from_slice(message);
    Request::post(format!("http://localhost{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", support::TOKEN))
        .header("x-fairlead-tenant", "forged")
        .header("x-fairlead-operator", "forged")
        .header("trace-bin", "AAEC")
        .body(Full::new(Bytes::from(data)))
        .unwrap()
}

fn grpc_status(headers: &HeaderMap) -> (String, Option<String>) {
    let code = headers.get("grpc-status").unwrap().to_str().unwrap().to_owned();
    (
        code,
        Status::from_header_map(headers)
            .filter(|status| !status.details().is_empty())
            .map(|status| reason(&status)),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_metadata_and_trailers_pass_and_identity_is_the_fronts() {
    let daemon = Daemon::start(config());
    let control = Control::start(&daemon);
    let response = connect(&daemon)
        .await
        .send_request(request(UNARY, b"hello"))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["answered-bin"], "AAEC");
    assert!(!response.headers().contains_key("content-length"));
    let collected = response.into_body().collect().await.unwrap();
    let trailers = collected.trailers().unwrap();
    assert_eq!(
        (&trailers["grpc-status"], &trailers["x-trailer"]),
        (&"0".parse().unwrap(), &"kept".parse().unwrap())
    );
    assert_eq!(collected.to_bytes().as_ref(), b"\0\0\0\0\x05hello");

    let seen = control.seen.lock().unwrap()[0].clone();
    assert_eq!(
        (&seen["x-fairlead-tenant"], &seen["x-fairlead-agent"]),
        (&"acme".parse().unwrap(), &"bot".parse().unwrap())
    );
    assert_eq!(seen["x-fairlead-front-key"], support::KEY);
    assert_eq!(
        (&seen["te"], &seen["trace-bin"]),
        (&"trailers".parse().unwrap(), &"AAEC".parse().unwrap())
    );
    assert!(!seen.contains_key("authorization") && !seen.contains_key("x-fairlead-operator"));
    assert_eq!(seen.get_all("x-fairlead-tenant").iter().count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_control_services_count_is_on_the_page_and_is_asked_for_once_a_second_at_most() {
    let daemon = Daemon::start(config());
    let control = Control::start(&daemon);
    let started = std::time::Instant::now();
    for _ in 0..3 {
        let (code, page) = get(daemon.ports.health, "/metrics").await;
        assert_eq!(code, 200);
        assert!(page.ends_with("\ncounted_total 1\n"), "{page}");
    }
    let seen = control.seen.lock().unwrap();
    assert!(seen.len() == 1 || started.elapsed() > Duration::from_secs(1));
    assert!(!seen[0].contains_key("x-fairlead-tenant"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_without_a_body_passes_as_it_is() {
    let daemon = Daemon::start(config());
    let _control = Control::start(&daemon);
    let response = connect(&daemon)
        .await
        .send_request(request(UNARY, b"fail"))
        .await
        .unwrap();
    assert_eq!(
        (&response.headers()["grpc-status"], &response.headers()["grpc-message"]),
        (&"9".parse().unwrap(), &"not%20now".parse().unwrap())
    );
    assert!(http_body::Body::is_end_stream(response.body()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_cancels_behind() {
    let daemon = Daemon::start(config());
    let control = Control::start(&daemon);
    let mut sender = connect(&daemon).await;
    let unary = tokio::spawn(sender.send_request(request(UNARY, b"hang")));
    control.has_open(1).await;
    unary.abort();
    control.has_open(0).await;
    let mut response = sender.send_request(request(STREAM, b"")).await.unwrap();
    let first = response.body_mut().frame().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(first.as_ref(), b"\0\0\0\0\x05first");
    control.has_open(1).await;
    drop(response);
    control.has_open(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_deadline_is_passed_on_and_ends_both_sides() {
    let daemon = Daemon::start(config());
    let control = Control::start(&daemon);
    let mut sender = connect(&daemon).await;
    for (path, message) in [(UNARY, b"hang".as_slice()), (STREAM, b"")] {
        let mut request = request(path, if message.is_empty() { b"" } else { b"hang" });
        request
            .headers_mut()
            .insert("grpc-timeout", HeaderValue::from_static("150m"));
        let response = sender.send_request(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let collected = body.collect().await.unwrap();
        let headers = collected.trailers().unwrap_or(&parts.headers);
        assert_eq!(
            grpc_status(headers),
            ("4".to_owned(), Some("DEADLINE_EXCEEDED".to_owned())),
            "{path}"
        );
        control.has_open(0).await;
        let seen = control.seen.lock().unwrap().last().unwrap()["grpc-timeout"].clone();
        let left: u64 = seen.to_str().unwrap().strip_suffix('u').unwrap().parse().unwrap();
        assert!(left <= 150_000, "{left}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_control_services_calls_fail_fast_and_come_back_with_them() {
    let daemon = Daemon::start(config());
    let mut sender = connect(&daemon).await;
    let response = sender.send_request(request(UNARY, b"hello")).await.unwrap();
    assert_eq!(
        grpc_status(response.headers()),
        ("14".to_owned(), Some("NOT_READY".to_owned()))
    );
    let _control = Control::start(&daemon);
    let patience = tokio::time::Instant::now() + Duration::from_secs(10);
    loop {
        let response = sender.send_request(request(UNARY, b"hello")).await.unwrap();
        if !response.headers().contains_key("grpc-status") {
            break;
        }
        assert!(tokio::time::Instant::now() < patience, "it did not come back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_streams_with_a_status() {
    let daemon = Daemon::start(config());
    let control = Control::start(&daemon);
    let mut response = connect(&daemon).await.send_request(request(STREAM, b"")).await.unwrap();
    response.body_mut().frame().await.unwrap().unwrap();
    assert!(daemon.shutdown(Duration::from_secs(10)).await, "the stream was cut");
    let trailers = response
        .into_body()
        .collect()
        .await
        .unwrap()
        .trailers()
        .cloned()
        .unwrap();
    assert_eq!(grpc_status(&trailers), ("14".to_owned(), Some("DRAINING".to_owned())));
    control.has_open(0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_without_a_credential_does_not_get_there() {
    let daemon = Daemon::start(config());
    let control = Control::start(&daemon);
    let mut anonymous = request(UNARY, b"hello");
    anonymous.headers_mut().remove("authorization");
    let response = connect(&daemon).await.send_request(anonymous).await.unwrap();
    assert_eq!(
        grpc_status(response.headers()),
        ("16".to_owned(), Some("CREDENTIAL_MISSING".to_owned()))
    );
    assert!(control.seen.lock().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_request_id_gets_the_first_answer_from_the_store() {
    let daemon = Daemon::start(config());
    let _control = Control::start(&daemon);
    let client = daemon.client().await;
    let first = client.admit(admit_request("a-1")).await.unwrap();
    let again = client.admit(admit_request("a-1")).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(daemon.core.snapshot().open_reservations, 1);
    let mut other = admit_request("a-1");
    other.max_output_tokens = 7;
    assert_eq!(reason(&client.admit(other).await.unwrap_err()), "INVALID_ARGUMENT");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hot_call_ends_at_the_deadline_with_details() {
    let daemon = Daemon::start(config());
    daemon.store.hold_back();
    let message = admit_request("a-1").encode_to_vec();
    let mut call = request("/fairlead.v1.GateService/Admit", message.leak());
    call.headers_mut()
        .insert("grpc-timeout", HeaderValue::from_static("50m"));
    let response = connect(&daemon).await.send_request(call).await.unwrap();
    assert_eq!(
        grpc_status(response.headers()),
        ("4".to_owned(), Some("DEADLINE_EXCEEDED".to_owned()))
    );
    daemon.store.go_on();
}
