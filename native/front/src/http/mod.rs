//! The dialects that SDKs speak over plain HTTP, on the same port as gRPC.
//!
//! | request | module |
//! |---|---|
//! | `POST /v1/chat/completions` (OpenAI Chat) | [`call`] |
//! | `POST /v1/responses` (OpenAI Responses) | [`call`] |
//! | `POST /v1/messages` (Anthropic Messages) | [`call`] |
//! | `GET /v1/models`, `GET /v1/models/{model}`, in OpenAI's or Anthropic's form | [`models`] |
//!
//! Every answer has `x-fairlead-config-version`, and `x-fairlead-invocation` and `x-fairlead-model` as soon as there is
//! one; errors are the dialect's own error objects ([`error`]) with `x-fairlead-reason`. A request speaks Anthropic's dialect
//! when it is for `/v1/messages` or says its `anthropic-version`.
mod anthropic;
mod body;
mod call;
mod context;
mod error;
mod models;

use std::sync::Arc;

use bytes::Bytes;
use fairlead_dialect::Dialect;
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
/// Ticket of a call that waits for people, in its refusal and in its repetition.
const TICKET: HeaderName = HeaderName::from_static("x-fairlead-ticket");
/// `hit` when the answer comes from the response cache; `age` then says how old it is, in seconds.
const CACHE: HeaderName = HeaderName::from_static("x-fairlead-cache");
const CONFIG_VERSION: HeaderName = HeaderName::from_static("x-fairlead-config-version");

/// Embeddings, files, batches, token counts and stored responses are the provider's: nothing of them is governed here.
const NOTHING_HERE: &str = "there is nothing at this path: POST /v1/chat/completions, /v1/responses or /v1/messages, or \
                            GET /v1/models";

/// Serves one request below `/v1`. `entry` is who calls, or why nobody may.
pub async fn handle(front: &Arc<Front>, entry: Result<Entry, Rejection>, request: Request<Incoming>) -> Response<Body> {
    let family = Family::of(&request);
    let outcome = match entry {
        Ok(entry) => route(front, entry, family, request).await,
        Err(rejection) => Err(rejection.into()),
    };
    let mut response = outcome.unwrap_or_else(|failed| {
        front.metrics.refused(failed.rejection.reason.as_str());
        refused(&failed, family)
    });
    if !response.headers().contains_key(&CONFIG_VERSION) {
        let running = front.core.running();
        put(response.headers_mut(), CONFIG_VERSION, running.compiled.version());
    }
    response
}

/// Whose error objects and lists a client understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    OpenAi,
    Anthropic,
}

impl Family {
    fn of<B>(request: &Request<B>) -> Self {
        let path = request.uri().path();
        let messages = path == "/v1/messages" || path.starts_with("/v1/messages/");
        if messages || request.headers().contains_key("anthropic-version") {
            Self::Anthropic
        } else {
            Self::OpenAi
        }
    }
}

async fn route(
    front: &Arc<Front>,
    entry: Entry,
    family: Family,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refused> {
    let path = request.uri().path();
    let dialect = match path {
        "/v1/chat/completions" => Some(Dialect::OpenAiChat),
        "/v1/responses" => Some(Dialect::OpenAiResponses),
        "/v1/messages" => Some(Dialect::AnthropicMessages),
        _ => None,
    };
    if let Some(dialect) = dialect {
        only(&request, &Method::POST)?;
        return call::complete(front, entry, dialect, request).await;
    }
    match (path, path.strip_prefix("/v1/models/")) {
        ("/v1/models", _) => {
            only(&request, &Method::GET)?;
            models::list(front, &entry, family, request.uri().query().unwrap_or_default())
        }
        (_, Some(model)) if !model.is_empty() => {
            only(&request, &Method::GET)?;
            models::get(front, &entry, family, model)
        }
        _ => Err(refusal::of(Reason::NotFound, NOTHING_HERE).into()),
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
    if let Some(age) = head.cached {
        headers.insert(CACHE, HeaderValue::from_static("hit"));
        headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
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
