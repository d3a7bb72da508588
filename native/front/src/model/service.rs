//! gRPC: translation only.
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use fairlead_dialect::{Dialect, Request as DialectRequest};
use fairlead_engine::{FieldViolation, Reason, Rejection};
use fairlead_wire::v1::stream_generate_response::Part as WirePart;
use fairlead_wire::v1::{
    self, CallContext, GenerateRequest, GenerateResponse, StreamEnd, StreamGenerateRequest, StreamGenerateResponse,
    StreamStart,
};
use futures_util::stream::{self, Stream};
use http::{HeaderMap, StatusCode};
use tonic::{Request, Response, Status};

use super::call::{self, Answer, Head, Refused, Whole};
use super::live::{Finish, Live, Part};
use super::request::{ModelCall, context_violations, invalid_body};
use super::{Model, attempt, dialect};
use crate::auth::Identity;
use crate::deadline::Deadline;
use crate::front::Front;
use crate::grpc::model_service_server::ModelService;
use crate::{refusal, status};

#[tonic::async_trait]
impl ModelService for Model {
    async fn generate(&self, request: Request<GenerateRequest>) -> Result<Response<GenerateResponse>, Status> {
        let (front, identity, deadline) = self.open(&request)?;
        let GenerateRequest {
            request_id,
            dialect,
            body,
            context,
            ticket,
        } = request.into_inner();
        let call = model_call(dialect, body.into(), context, (request_id, ticket), false, deadline).map_err(refuse)?;
        match call::start(&front, identity, call)
            .await
            .map_err(|refused| status_of(&refused))?
        {
            Answer::Whole(whole) if whole.refused => Err(status_of(&provider_refusal(*whole))),
            Answer::Whole(whole) => Ok(Response::new(GenerateResponse {
                cached: whole.head.cached.is_some(),
                invocation: whole.head.invocation,
                decision: Some(whole.head.decision),
                body: whole.body.into(),
                model: whole.head.model,
                attempts: whole.attempts,
                charged: whole.charged,
            })),
            // INVARIANT: a request that does not ask for a stream is answered whole.
            Answer::Stream(_) => Err(refuse(refusal::of(
                Reason::Internal,
                "a stream instead of a whole answer",
            ))),
        }
    }

    type StreamGenerateStream = Pin<Box<dyn Stream<Item = Result<StreamGenerateResponse, Status>> + Send>>;

    async fn stream_generate(
        &self,
        request: Request<StreamGenerateRequest>,
    ) -> Result<Response<Self::StreamGenerateStream>, Status> {
        let (front, identity, deadline) = self.open(&request)?;
        let StreamGenerateRequest {
            request_id,
            dialect,
            body,
            context,
            ticket,
        } = request.into_inner();
        let call = model_call(dialect, body.into(), context, (request_id, ticket), true, deadline).map_err(refuse)?;
        match call::start(&front, identity, call)
            .await
            .map_err(|refused| status_of(&refused))?
        {
            Answer::Stream(live) => Ok(Response::new(Box::pin(parts(*live)))),
            Answer::Whole(whole) => Err(status_of(&provider_refusal(*whole))),
        }
    }
}

impl Model {
    fn open<T>(&self, request: &Request<T>) -> Result<(Arc<Front>, Identity, Option<tokio::time::Instant>), Status> {
        let front = self.front.upgrade().ok_or_else(|| refuse(refusal::draining()))?;
        let identity = request
            .extensions()
            .get::<Identity>()
            .cloned()
            .ok_or_else(|| refuse(refusal::of(Reason::CredentialMissing, "the call has no credential")))?;
        Ok((
            front,
            identity,
            request.extensions().get::<Deadline>().map(|deadline| deadline.0),
        ))
    }
}

fn model_call(
    dialect: i32,
    body: Bytes,
    context: Option<CallContext>,
    (request_id, ticket): (String, String),
    stream: bool,
    deadline: Option<tokio::time::Instant>,
) -> Result<ModelCall, Rejection> {
    let context = context.unwrap_or_default();
    let mut violations = context_violations(&context, &request_id);
    let known = v1::Dialect::try_from(dialect);
    if known.is_err() {
        violations.push(FieldViolation {
            field: "dialect".to_owned(),
            description: "is not known; leave it out or use a value of Dialect".to_owned(),
        });
    }
    let dialect = known.ok().and_then(dialect::of_wire).unwrap_or(Dialect::OpenAiChat);
    let body = match DialectRequest::parse(dialect, body) {
        Ok(body) if violations.is_empty() => body.with_stream(stream),
        Ok(_) => return Err(Rejection::invalid(violations)),
        Err(invalid) => {
            let body = invalid_body(&invalid);
            violations.extend(
                body.violations
                    .into_iter()
                    .map(|violation| match violation.field.as_str() {
                        "body" => violation,
                        field => FieldViolation {
                            field: format!("body.{field}"),
                            ..violation
                        },
                    }),
            );
            return Err(Rejection::invalid(violations));
        }
    };
    Ok(ModelCall {
        body,
        context,
        request_id,
        ticket,
        deadline,
        forward_headers: HeaderMap::new(),
        wants_new_answer: false,
        step: None,
    })
}

/// The parts of a stream: start, events, end. A broken one ends with a status instead.
fn parts(live: Live) -> impl Stream<Item = Result<StreamGenerateResponse, Status>> + Send {
    enum State {
        Start(Box<Live>),
        Flowing(Box<Live>),
        Closing(StreamEnd),
        Ended,
    }
    stream::unfold(State::Start(Box::new(live)), |state| async move {
        let part = |part| Ok(StreamGenerateResponse { part: Some(part) });
        match state {
            State::Start(live) => {
                let head = &live.head;
                let start = WirePart::Start(StreamStart {
                    invocation: head.invocation.clone(),
                    decision: Some(head.decision.clone()),
                    model: head.model.clone(),
                    cached: head.cached.is_some(),
                });
                Some((part(start), State::Flowing(live)))
            }
            State::Flowing(mut live) => loop {
                match live.next().await? {
                    // Comments and the like are framing of server-sent events.
                    Part::Event(event) => {
                        if let Some(data) = event.data {
                            return Some((part(WirePart::Event(data.into())), State::Flowing(live)));
                        }
                    }
                    Part::End(Finish {
                        outcome: Ok((attempts, charged)),
                        closing,
                        ..
                    }) => {
                        let end = StreamEnd {
                            attempts,
                            charged: Some(charged),
                        };
                        // An end marker that is an event of the dialect; `[DONE]` is framing.
                        let last = closing
                            .and_then(|event| event.data)
                            .filter(|data| data.starts_with(b"{"));
                        return Some(match last {
                            Some(data) => (part(WirePart::Event(data.into())), State::Closing(end)),
                            None => (part(WirePart::End(end)), State::Ended),
                        });
                    }
                    Part::End(Finish {
                        outcome: Err(rejection),
                        ..
                    }) => {
                        let refused = Refused {
                            rejection,
                            head: Some(Box::new(live.head.clone())),
                        };
                        return Some((Err(status_of(&refused)), State::Ended));
                    }
                }
            },
            State::Closing(end) => Some((part(WirePart::End(end)), State::Ended)),
            State::Ended => None,
        }
    })
}

/// A provider's refusal as an error of this API: the request is wrong, or the target cannot be used.
fn provider_refusal(whole: Whole) -> Refused {
    let text = whole.attempts.last().map(attempt::described).unwrap_or_default();
    let mut rejection = match whole.status {
        StatusCode::BAD_REQUEST
        | StatusCode::NOT_FOUND
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNPROCESSABLE_ENTITY => Rejection::invalid(vec![FieldViolation {
            field: "body".to_owned(),
            description: format!("is refused by the provider: {text}"),
        }]),
        _ => refusal::of(
            Reason::TargetsExhausted,
            format!("the provider refuses the call: {text}"),
        ),
    };
    rejection = rejection.with("status_code", whole.status.as_u16());
    // The provider's own words; cut to the bound of details by the mapping.
    if let Ok(body) = std::str::from_utf8(&whole.body) {
        rejection = rejection.with("provider_answer", body);
    }
    Refused {
        rejection,
        head: Some(Box::new(whole.head)),
    }
}

/// The status of a refusal, with what is known about the call.
fn status_of(refused: &Refused) -> Status {
    let mut rejection = refused.rejection.clone();
    if let Some(Head {
        invocation,
        decision,
        model,
        ..
    }) = refused.head.as_deref()
    {
        rejection = rejection
            .with("invocation", invocation)
            .with("config_version", &decision.config_version);
        if !model.is_empty() {
            rejection = rejection.with("model", model);
        }
    }
    status::of(&rejection)
}

fn refuse(rejection: Rejection) -> Status {
    status::of(&rejection)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    fn fields(dialect: i32, body: &'static str) -> Vec<String> {
        let context = CallContext {
            min_output_tokens: -1,
            ..CallContext::default()
        };
        let rejection = model_call(
            dialect,
            Bytes::from_static(body.as_bytes()),
            Some(context),
            Default::default(),
            false,
            None,
        )
        .unwrap_err();
        rejection
            .violations
            .into_iter()
            .map(|violation| violation.field)
            .collect()
    }

    #[test]
    fn every_violation_is_named_at_once() {
        assert_eq!(fields(9, "[]"), ["context.min_output_tokens", "dialect", "body"]);
        assert_eq!(
            fields(0, r#"{"messages":[]}"#),
            ["context.min_output_tokens", "body.model"]
        );
        assert_eq!(
            fields(1, r#"{"model":"m","messages":[]}"#),
            ["context.min_output_tokens"]
        );
    }

    #[test]
    fn the_method_decides_about_the_stream() {
        let body = Bytes::from_static(br#"{"model":"m","stream":true,"messages":[]}"#);
        let call = model_call(0, body.clone(), None, Default::default(), false, None).unwrap();
        assert!(!call.body.facts().stream);
        assert!(
            model_call(0, body, None, Default::default(), true, None)
                .unwrap()
                .body
                .facts()
                .stream
        );
    }
}
