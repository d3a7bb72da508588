//! Every gRPC service that Rust does not serve is Python's: its calls go through here, byte for byte, to the private
//! socket of the control services.
//!
//! The forwarder does not parse messages. It knows three things about a call: who makes it (proved by the credential, told
//! by headers that a client cannot set), when its deadline is, and whether its response is a stream. Streams have a
//! connection of their own, so that subscribers that do not read cannot hold back the other calls.
//!
//! | what | rule |
//! |---|---|
//! | frames, trailers, `te`, metadata | untouched |
//! | `grpc-timeout` | rewritten to what is left; the front itself ends the call at the deadline, on both sides |
//! | `x-fairlead-*`, `authorization`, `host` | removed; identity and key set afterwards |
//! | client gone | the dropped response resets the stream behind it |
//! | Python not up, or lost in the middle | `NOT_READY` with RetryInfo, in the head or as trailers |
//! | drain | streams end with `DRAINING`, other calls go on to their end |
mod lane;
pub mod metrics;
mod private;
mod store;

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::Arc;

use fairlead_engine::{Reason, Rejection};
use fairlead_wire::FILE_DESCRIPTOR_SET;
use http::header::{AUTHORIZATION, HOST};
use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, Version};
use hyper::body::Incoming;
use prost::Message;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until};
use tonic::Status;
use tonic::body::Body;

use self::lane::{Lane, Unreachable, Windows};
use crate::auth::Identity;
use crate::deadline::{self, Deadline};
use crate::metrics::Metrics;
use crate::refusal;
use crate::serve::body::{Guarded, Interrupt, Interruptible};
use crate::serving::{Phase, Serving};
use crate::status;
use crate::tasks::Tasks;

/// Most calls that are forwarded at a time. The control server's own bound is not below it, so that overload shows here.
const MOST_FORWARDED: usize = 1024;
const UNARY_WINDOWS: Windows = Windows {
    stream: 2 << 20,
    connection: 8 << 20,
};
/// 256 subscribers that do not read have to come together before one that does is held back.
const STREAM_WINDOWS: Windows = Windows {
    stream: 64 << 10,
    connection: 16 << 20,
};

const TENANT: HeaderName = HeaderName::from_static("x-fairlead-tenant");
const AGENT: HeaderName = HeaderName::from_static("x-fairlead-agent");
const FRONT_KEY: HeaderName = HeaderName::from_static("x-fairlead-front-key");
/// Headers that only the front may set start with this.
const OWN_PREFIX: &str = "x-fairlead-";

/// See the module.
pub struct Forwarder {
    unary: Lane,
    streaming: Lane,
    /// Paths of the methods whose response is a stream.
    streams: HashSet<String>,
    key: HeaderValue,
    places: Arc<Semaphore>,
    serving: Serving,
    metrics: Arc<Metrics>,
}

impl Forwarder {
    /// Nothing is connected before the first call. The key must be one that a header can hold.
    pub fn new(
        socket: PathBuf,
        key: &str,
        serving: Serving,
        metrics: Arc<Metrics>,
        tasks: &Tasks,
    ) -> Result<Self, String> {
        let mut key = HeaderValue::from_str(key).map_err(|_| "options: control_key has bytes no header may hold")?;
        key.set_sensitive(true);
        Ok(Self {
            unary: Lane::new(socket.clone(), UNARY_WINDOWS, tasks.clone()),
            streaming: Lane::new(socket, STREAM_WINDOWS, tasks.clone()),
            streams: streaming_paths()?,
            key,
            places: Arc::new(Semaphore::new(MOST_FORWARDED)),
            serving,
            metrics,
        })
    }

    /// True when the method of this path streams its response.
    pub fn is_stream(&self, path: &str) -> bool {
        self.streams.contains(path)
    }

    /// Forwards a call of an agent.
    pub async fn forward(
        &self,
        identity: &Identity,
        deadline: Option<Deadline>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Rejection> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            return Err(refusal::queue_full("forwarded_calls", MOST_FORWARDED as u64));
        };
        let place = (place, InFlight::enter(&self.metrics));
        let is_stream = self.is_stream(request.uri().path());
        let request = self.prepare(identity, deadline, request);
        let lane = if is_stream { &self.streaming } else { &self.unary };
        let head = match deadline {
            Some(Deadline(at)) => tokio::time::timeout_at(at, lane.send(request))
                .await
                .map_err(|_| refusal::deadline_exceeded())?,
            None => lane.send(request).await,
        };
        let response = head.map_err(|error| not_ready(&error))?;
        Ok(response.map(|body| {
            let interrupt = self.interrupt(is_stream, deadline);
            Guarded::wrap(Body::new(Interruptible::new(body, interrupt, lost)), place)
        }))
    }

    /// What ends a response from outside.
    fn interrupt(&self, is_stream: bool, deadline: Option<Deadline>) -> Option<Interrupt> {
        let drained = is_stream.then(|| drained(self.serving.clone()));
        match (deadline, drained) {
            (None, None) => None,
            (None, Some(drained)) => Some(Box::pin(drained)),
            (Some(Deadline(at)), None) => Some(Box::pin(expired(at))),
            (Some(Deadline(at)), Some(drained)) => Some(Box::pin(async move {
                tokio::select! {
                    status = expired(at) => status,
                    status = drained => status,
                }
            })),
        }
    }

    fn prepare(&self, identity: &Identity, deadline: Option<Deadline>, request: Request<Incoming>) -> Request<Body> {
        let (mut parts, body) = request.into_parts();
        let headers = &mut parts.headers;
        strip(headers);
        headers.insert(TENANT, identity.tenant_header());
        headers.insert(AGENT, identity.agent_header());
        headers.insert(FRONT_KEY, self.key.clone());
        if let Some(Deadline(at)) = deadline {
            headers.insert(
                deadline::HEADER,
                deadline::header(at.saturating_duration_since(Instant::now())),
            );
        }
        parts.uri = local(parts.uri);
        parts.version = Version::HTTP_2;
        // Nothing the front keeps in them means anything there.
        parts.extensions.clear();
        Request::from_parts(parts, Body::new(body))
    }
}

/// Removes what a client must not say to the control services.
fn strip(headers: &mut HeaderMap) {
    let own: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().starts_with(OWN_PREFIX))
        .cloned()
        .collect();
    for name in own {
        headers.remove(name);
    }
    headers.remove(AUTHORIZATION);
    headers.remove(HOST);
}

/// The same path on the socket. `localhost`, because h2 refuses the percent-encoded socket path as authority.
fn local(uri: Uri) -> Uri {
    let mut parts = uri.into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(Authority::from_static("localhost"));
    // It has all three parts; without a path it would be `/`.
    Uri::from_parts(parts).unwrap_or(Uri::from_static("http://localhost/"))
}

async fn expired(at: Instant) -> Status {
    sleep_until(at).await;
    status::of(&refusal::deadline_exceeded())
}

async fn drained(serving: Serving) -> Status {
    // An error means that the sender is gone: then nothing serves any more either.
    let _ = serving
        .subscribe()
        .wait_for(|phase| matches!(phase, Phase::Draining | Phase::Stopping))
        .await;
    status::of(&refusal::draining())
}

fn not_ready(error: &Unreachable) -> Rejection {
    refusal::retry(
        Reason::NotReady,
        "the control services cannot be reached, try again",
        error.retry_after,
    )
}

fn lost() -> Status {
    status::of(&refusal::retry(
        Reason::NotReady,
        "the control services went away during the call, try again",
        std::time::Duration::from_millis(100),
    ))
}

/// `/package.Service/Method` of every method that streams its response.
fn streaming_paths() -> Result<HashSet<String>, String> {
    let set = prost_types::FileDescriptorSet::decode(FILE_DESCRIPTOR_SET)
        .map_err(|error| format!("the built-in descriptor cannot be read: {error}"))?;
    let mut paths = HashSet::new();
    for file in &set.file {
        for service in &file.service {
            for method in service.method.iter().filter(|method| method.server_streaming()) {
                paths.insert(format!("/{}.{}/{}", file.package(), service.name(), method.name()));
            }
        }
    }
    Ok(paths)
}

/// Counts one forwarded call.
struct InFlight(Arc<Metrics>);

impl InFlight {
    fn enter(metrics: &Arc<Metrics>) -> Self {
        metrics.forwarded_in_flight.inc();
        Self(Arc::clone(metrics))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.forwarded_in_flight.dec();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn a_client_cannot_say_who_it_is() {
        let mut headers = HeaderMap::new();
        for name in [
            "x-fairlead-tenant",
            "x-fairlead-front-key",
            "x-fairlead-anything",
            "authorization",
            "host",
        ] {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("forged"));
            headers.append(HeaderName::from_static(name), HeaderValue::from_static("twice"));
        }
        headers.insert("te", HeaderValue::from_static("trailers"));
        headers.insert("trace-bin", HeaderValue::from_static("AAEC"));
        strip(&mut headers);
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["te", "trace-bin"]);
    }

    #[test]
    fn the_path_survives_and_the_authority_is_one_that_h2_takes() {
        let uri: Uri = "http://gateway.pod:7400/fairlead.v1.BudgetService/GetBudget?x=1"
            .parse()
            .unwrap();
        assert_eq!(
            local(uri).to_string(),
            "http://localhost/fairlead.v1.BudgetService/GetBudget?x=1"
        );
    }

    #[test]
    fn streams_are_known_from_the_descriptor() {
        let paths = streaming_paths().unwrap();
        assert!(paths.contains("/fairlead.v1.AuditService/WatchEvents"));
        assert!(!paths.contains("/fairlead.v1.BudgetService/GetBudget"));
    }
}
