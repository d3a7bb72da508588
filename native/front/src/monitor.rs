//! The health and metrics endpoint: read-only, no secrets, reachable from outside the pod.
//!
//! | path | answer |
//! |---|---|
//! | `GET /healthz` | 200 while the process can work; 500 after a panic, so that the pod is restarted |
//! | `GET /readyz` | 200 when it serves and the store takes writes; else 503; the body says which |
//! | `GET /metrics` | Prometheus' text format |
//! | `/grpc.health.v1.Health/…` | gRPC health, as on the agent endpoint |
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tonic::body::Body;

use crate::front::Front;
use crate::metrics::scrape;
use crate::serve;

/// Kubelet, a scraper or two, and a few people.
const MOST_CONNECTIONS: usize = 64;
const MOST_STREAMS: u32 = 32;

/// Serves until `stop`, which comes after the agent endpoint has drained: a drain can be watched.
pub async fn serve(listener: TcpListener, front: Arc<Front>, stop: BoxFuture<'static, ()>) {
    let builder = serve::builder(&front.tasks, MOST_STREAMS);
    let (tasks, open) = (front.tasks.clone(), front.metrics.monitor_connections.clone());
    let places = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    serve::accept(listener, builder, tasks, places, open, stop, move |request| {
        route(Arc::clone(&front), request)
    })
    .await;
}

async fn route(front: Arc<Front>, request: Request<Incoming>) -> Response<Body> {
    let request = match front.own.respond(&front, request).await {
        Ok(response) => return response,
        Err(request) => request,
    };
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return serve::dispatch::plain(StatusCode::METHOD_NOT_ALLOWED, "this endpoint is read-only");
    }
    match request.uri().path() {
        "/healthz" => healthz(&front),
        "/readyz" => readyz(&front),
        "/metrics" => text(
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            scrape::text(&front).await,
        ),
        _ => serve::dispatch::plain(StatusCode::NOT_FOUND, "there is nothing at this path"),
    }
}

fn healthz(front: &Front) -> Response<Body> {
    if front.tasks.panics() > 0 {
        return json(
            StatusCode::INTERNAL_SERVER_ERROR,
            &serde_json::json!({ "healthy": false, "cause": "panic" }),
        );
    }
    json(StatusCode::OK, &serde_json::json!({ "healthy": true }))
}

fn readyz(front: &Front) -> Response<Body> {
    let code = if front.is_healthy() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    json(
        code,
        &serde_json::json!({
            "ready": front.is_healthy(),
            "phase": front.serving.phase().as_str(),
            "store_available": *front.core.store_available().borrow(),
            "config_version": front.core.running().config.version,
        }),
    )
}

fn json(code: StatusCode, value: &serde_json::Value) -> Response<Body> {
    text(code, "application/json", value.to_string())
}

fn text(code: StatusCode, kind: &'static str, text: String) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(Bytes::from(text))));
    *response.status_mut() = code;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
