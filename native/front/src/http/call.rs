//! `POST /v1/chat/completions`, `/v1/responses` and `/v1/messages`: one call, in whichever dialect.
use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use fairlead_dialect::{Dialect, Request as DialectRequest};
use fairlead_engine::Reason;
use fairlead_upstream::FORWARDED_HEADERS;
use futures_util::stream;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Frame;
use http_body_util::{Full, StreamBody};
use hyper::body::Incoming;
use tonic::body::Body;

use super::{body as bodies, context, put, put_head};
use crate::front::Front;
use crate::model::{self, Answer, Live, ModelCall, Part, Refused, Whole, invalid_body, wants_new_answer};
use crate::serve::entry::Entry;
use crate::status::REASON_HEADER;

/// Makes one call.
pub(super) async fn complete(
    front: &Arc<Front>,
    entry: Entry,
    dialect: Dialect,
    request: Request<Incoming>,
) -> Result<Response<Body>, Refused> {
    let (parts, incoming) = request.into_parts();
    // First, so that the connection can be used again whatever else is wrong.
    let bytes = bodies::read(incoming, entry.request_bytes).await?;
    let said = context::read(&parts.headers)?;
    let body = DialectRequest::parse(dialect, bytes).map_err(|invalid| invalid_body(&invalid))?;
    let call = ModelCall {
        body: body.clone(),
        context: said.context,
        request_id: said.request_id,
        ticket: said.ticket,
        deadline: None,
        forward_headers: forwarded(&parts.headers),
        wants_new_answer: wants_new_answer(&parts.headers),
        step: None,
    };
    match model::start(front, entry.identity, call).await? {
        Answer::Whole(whole) => Ok(whole_response(*whole)),
        Answer::Stream(live) => Ok(stream_response(Arc::clone(front), body, live)),
    }
}

/// What the client says to providers of its own dialect.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let mut forwarded = HeaderMap::new();
    for name in FORWARDED_HEADERS {
        for value in headers.get_all(name) {
            forwarded.append(HeaderName::from_static(name), value.clone());
        }
    }
    forwarded
}

/// The answer in the client's dialect.
fn whole_response(whole: Whole) -> Response<Body> {
    let mut response = Response::new(Body::new(Full::new(whole.body)));
    *response.status_mut() = whole.status;
    *response.headers_mut() = whole.headers;
    let headers = response.headers_mut();
    put_head(headers, &whole.head);
    if whole.refused {
        // The request itself is wrong, or the target refuses the operator's account.
        let reason = match whole.status {
            StatusCode::BAD_REQUEST | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => {
                Reason::InvalidArgument
            }
            StatusCode::PAYLOAD_TOO_LARGE => Reason::PayloadTooLarge,
            _ => Reason::TargetsExhausted,
        };
        put(headers, REASON_HEADER, reason.as_str());
    }
    response
}

/// Events as they come; the last one after the settlement's commit.
fn stream_response(front: Arc<Front>, body: DialectRequest, live: Box<Live>) -> Response<Body> {
    let provided = live.headers().clone();
    let head = live.head.clone();
    let events = stream::unfold(Some(live), move |live| {
        let (front, body) = (Arc::clone(&front), body.clone());
        async move {
            let mut live = live?;
            let frame = |bytes: Bytes| Ok::<_, Infallible>(Frame::data(bytes));
            match live.next().await? {
                Part::Event(event) => Some((frame(event.raw), Some(live))),
                Part::End(finish) => {
                    let closing = match (finish.closing, finish.outcome) {
                        (Some(closing), _) => closing.raw,
                        (None, Ok(_)) => return None,
                        (None, Err(rejection)) => {
                            front.metrics.refused(rejection.reason.as_str());
                            let code = rejection.reason.as_str().to_ascii_lowercase();
                            body.error_event_for(finish.withheld.as_ref(), &code, &rejection.message)
                        }
                    };
                    Some((frame(closing), None))
                }
            }
        }
    });
    let mut response = Response::new(Body::new(StreamBody::new(events)));
    *response.headers_mut() = provided;
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("text/event-stream; charset=utf-8"),
    );
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    put_head(headers, &head);
    response
}
