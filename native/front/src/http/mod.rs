//! The dialects that SDKs speak over plain HTTP, on the same port as gRPC.
//!
//! | request | module |
//! |---|---|
//! | `POST /v1/chat/completions` | [`chat`] |
//! | `GET /v1/models`, `GET /v1/models/{model}` | [`models`] |
//!
//! Every answer has `x-fairlead-config-version`, and `x-fairlead-invocation` and `x-fairlead-model` as soon as there is
//! one; errors are the dialect's own error objects ([`error`]) with `x-fairlead-reason`.
mod body;
mod chat;
mod context;
mod error;
mod models;

use std::sync::Arc;

use bytes::Bytes;
use fairlead_engine::{Reason, Rejection};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use tonic::body::Body;

use self::error::refused;
use crate::front::Front;
use crate::model::{Head, Refused};
use crate::refusal;
use crate::serve::entry::Entry;

const INVOCATION: HeaderName = HeaderName::from_static("x-fairlead-invocation");
const MODEL: HeaderName = HeaderName::from_static("x-fairlead-model");
const CONFIG_VERSION: HeaderName = HeaderName::from_static("x-fairlead-config-version");

/// Serves one request below `/v1`. `entry` is who calls, or why nobody may.
pub async fn handle(front: &Arc<Front>, entry: Result<Entry, Rejection>, request: Request<Incoming>) -> Response<Body> {
    let outcome = match entry {
        Ok(entry) => route(front, entry, request).await,
        Err(rejection) => Err(rejection.into()),
    };
    let mut response = outcome.unwrap_or_else(|failed| {
        front.metrics.refused(failed.rejection.reason.as_str());
        refused(&failed)
    });
    if !response.headers().contains_key(&CONFIG_VERSION) {
        let running = front.core.running();
        put(response.headers_mut(), CONFIG_VERSION, running.compiled.version());
    }
    response
}

async fn route(front: &Arc<Front>, entry: Entry, request: Request<Incoming>) -> Result<Response<Body>, Refused> {
    let path = request.uri().path();
    match (path, path.strip_prefix("/v1/models/")) {
        ("/v1/chat/completions", _) => {
            only(&request, &Method::POST)?;
            chat::complete(front, entry, request).await
        }
        ("/v1/models", _) => {
            only(&request, &Method::GET)?;
            Ok(models::list(front, &entry))
        }
        (_, Some(model)) if !model.is_empty() => {
            only(&request, &Method::GET)?;
            models::get(front, &entry, model)
        }
        _ => Err(refusal::of(Reason::NotFound, "there is nothing at this path").into()),
    }
}

/// The path exists, but not for this method. 404 as for any other path that cannot be called, with what can be.
fn only(request: &Request<Incoming>, method: &Method) -> Result<(), Refused> {
    if request.method() == method {
        return Ok(());
    }
    Err(refusal::of(Reason::NotFound, format!("this path answers {method} only")).into())
}

/// The headers of an admitted call.
fn put_head(headers: &mut HeaderMap, head: &Head) {
    put(headers, INVOCATION, &head.invocation);
    put(headers, CONFIG_VERSION, &head.decision.config_version);
    if !head.model.is_empty() {
        put(headers, MODEL, &head.model);
    }
}

/// A header whose value is a name of the configuration or an id; what no header may hold is left out.
fn put(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn json(status: StatusCode, text: String) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
