//! Where a request on the agent endpoint goes.
//!
//! | path | served by | credential |
//! |---|---|---|
//! | `/grpc.health.v1.Health/…`, `/grpc.reflection.…` | [`own`](super::own) | no |
//! | `/fairlead.v1.GateService/…` | [`gate`](crate::gate) | yes |
//! | `/fairlead.v1.ModelService/…` | [`model`](crate::model) | yes |
//! | `/fairlead.v1.WorkerService/…` | [`worker`](crate::worker) | yes |
//! | `/fairlead.v1.WorkflowService/StartRun` | [`workflow`](crate::workflow) | yes |
//! | `/v1/…` | [`http`](crate::http) | yes, refused in the dialect's form |
//! | `/fairlead.internal.…` | nobody | |
//! | any other gRPC path | [`forward`](crate::forward) | yes |
//! | anything else | 404 as JSON | |
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use fairlead_engine::{Reason, Rejection};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tonic::body::Body;
use tonic::{Code, Status};

use super::body::{Guarded, Interruptible};
use super::entry::{self, Entry, Purpose};
use crate::deadline::{self, Deadline};
use crate::front::Front;
use crate::metrics::Stage;
use crate::refusal;
use crate::status;
use crate::workflow::START_RUN;

/// Serves one request.
pub async fn route(front: Arc<Front>, request: Request<Incoming>) -> Response<Body> {
    let request = match front.own.respond(&front, request).await {
        Ok(response) => return response,
        Err(request) => request,
    };
    let started = Instant::now();
    let response = governed(&front, request).await;
    front.metrics.stage(Stage::Total, started.elapsed());
    response
}

async fn governed(front: &Arc<Front>, request: Request<Incoming>) -> Response<Body> {
    let place = front
        .door
        .enter(front.core.running().limits().streams, &front.metrics.calls_in_flight);
    let path = request.uri().path();
    if path == "/v1" || path.starts_with("/v1/") {
        return match place {
            Ok(place) => {
                let entry = entry::enter(front, Purpose::Begin, request.headers());
                Guarded::wrap_response(crate::http::handle(front, entry, request).await, place)
            }
            Err(rejection) => crate::http::handle(front, Err(rejection), request).await,
        };
    }
    if !is_grpc(&request) {
        return not_found();
    }
    if request.version() != Version::HTTP_2 {
        return plain(StatusCode::HTTP_VERSION_NOT_SUPPORTED, "gRPC needs HTTP/2");
    }
    let outcome = match place {
        Ok(place) => grpc(front, request)
            .await
            .map(|response| Guarded::wrap_response(response, place)),
        Err(rejection) => Err(rejection),
    };
    outcome.unwrap_or_else(|rejection| {
        front.metrics.refused(rejection.reason.as_str());
        status::respond(&rejection)
    })
}

/// Who serves a gRPC path.
enum Service {
    Gate,
    Model,
    Worker,
    /// Runs are started.
    Starts,
    /// Not for agents.
    Internal,
    /// Python.
    Control,
}

impl Service {
    fn of(path: &str) -> Self {
        match path.split('/').nth(1).unwrap_or_default() {
            "fairlead.v1.GateService" => Self::Gate,
            "fairlead.v1.ModelService" => Self::Model,
            "fairlead.v1.WorkerService" => Self::Worker,
            "fairlead.v1.WorkflowService" if path == START_RUN => Self::Starts,
            name if name.starts_with("fairlead.internal.") => Self::Internal,
            _ => Self::Control,
        }
    }
}

async fn grpc(front: &Arc<Front>, mut request: Request<Incoming>) -> Result<Response<Body>, Rejection> {
    let path = request.uri().path();
    let purpose = match path {
        "/fairlead.v1.GateService/Settle"
        | "/fairlead.v1.GateService/Release"
        | "/fairlead.v1.GateService/CompleteTool"
        | "/fairlead.v1.WorkerService/HeartbeatStep"
        | "/fairlead.v1.WorkerService/CompleteStep"
        | "/fairlead.v1.WorkerService/CompleteSteps"
        | "/fairlead.v1.WorkerService/FailStep" => Purpose::End,
        _ => Purpose::Begin,
    };
    let (service, streams) = (Service::of(path), front.forwarder.is_stream(path));
    let Entry {
        identity,
        request_bytes,
    } = entry::enter(front, purpose, request.headers())?;
    let deadline = deadline::of(request.headers());
    request.extensions_mut().insert(identity.clone());
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(deadline);
    }
    let response = match service {
        Service::Gate => call(front.gate(request_bytes), deadline, streams, request).await?,
        Service::Model => call(front.model(request_bytes), deadline, streams, request).await?,
        Service::Worker => call(front.worker(), deadline, streams, request).await?,
        Service::Starts => call(front.starts(), deadline, streams, request).await?,
        Service::Internal => return Ok(status::unimplemented("there is no such service here")),
        Service::Control => return front.forwarder.forward(&identity, deadline, request).await,
    };
    let bound = match service {
        Service::Worker | Service::Starts => (refusal::PAYLOAD_BYTES, front.core.running().limits().payload_bytes),
        _ => (refusal::REQUEST_BYTES, request_bytes),
    };
    normalise(front, response, bound)
}

/// Calls a hot service within the caller's deadline. A unary response is complete with its head; a stream is cut at the
/// deadline with the same status.
async fn call<S>(
    mut service: S,
    deadline: Option<Deadline>,
    streams: bool,
    request: Request<Incoming>,
) -> Result<Response<Body>, Rejection>
where
    S: tonic::codegen::Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
{
    let answer = async {
        match service.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    };
    let Some(Deadline(at)) = deadline else {
        return Ok(answer.await);
    };
    let response = tokio::time::timeout_at(at, answer)
        .await
        .map_err(|_| refusal::deadline_exceeded())?;
    if !streams {
        return Ok(response);
    }
    let expired = async move {
        tokio::time::sleep_until(at).await;
        status::of(&refusal::deadline_exceeded())
    };
    let lost = || Status::internal("the stream broke");
    Ok(response.map(|body| Body::new(Interruptible::new(body, Some(Box::pin(expired)), lost))))
}

/// tonic answers some requests before a service sees them, with codes of its own and without details. Everything this
/// project answers carries details, so a bare status is tonic's.
fn normalise(front: &Front, response: Response<Body>, (bound, most): (&str, u64)) -> Result<Response<Body>, Rejection> {
    let headers = response.headers();
    if !headers.contains_key(Status::GRPC_STATUS) {
        return Ok(response);
    }
    if headers.contains_key(Status::GRPC_STATUS_DETAILS) {
        if let Some(reason) = headers
            .get(status::REASON_HEADER)
            .and_then(|reason| reason.to_str().ok())
        {
            front.metrics.refused(reason);
        }
        return Ok(response);
    }
    match bare_code(headers) {
        Code::Ok => Ok(response),
        Code::OutOfRange => Err(refusal::too_large(bound, most)),
        Code::Unimplemented => Ok(status::unimplemented("there is no such method")),
        Code::Internal | Code::Unknown | Code::InvalidArgument => {
            Err(refusal::of(Reason::InvalidArgument, "the request cannot be decoded"))
        }
        code => Err(refusal::of(
            Reason::Internal,
            format!("the call failed: {}", code.description()),
        )),
    }
}

fn bare_code(headers: &HeaderMap) -> Code {
    headers
        .get(Status::GRPC_STATUS)
        .map_or(Code::Unknown, |code| Code::from_bytes(code.as_bytes()))
}

fn is_grpc(request: &Request<Incoming>) -> bool {
    request.method() == Method::POST
        && request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"))
}

fn not_found() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "there is nothing at this path")
}

/// `{"error":{"message":…}}`, as SDKs expect errors.
pub fn plain(code: StatusCode, message: &str) -> Response<Body> {
    let text = serde_json::json!({ "error": { "message": message } }).to_string();
    let mut response = Response::new(Body::new(Full::new(Bytes::from(text))));
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
