//! One attempt at one target.

use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use hyper::body::Incoming;
use tokio::time::{Duration, Instant, timeout_at};

use super::collect::{BodyError, collect};
use super::execute::Destination;
use super::failure::{Failure, FailureKind, passed_headers};
use super::record::{OpenAttempt, Outcome};
use super::retry_after;
use super::source::Opening;
use super::stream::AnswerStream;
use super::{ANSWER_BYTES, Call, ERROR_BYTES, Target, Whole};
use crate::client::{Outgoing, SendError};
use crate::screening::Screened;
use fairlead_dialect::{Usage, WholeFacts};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A successful attempt.
pub(super) enum Success {
    Whole(Whole),
    Stream(Box<AnswerStream>),
}

/// The limits of one attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// When the whole attempt has to be over.
    pub(super) whole: Instant,
    /// Between two parts of a body.
    pub(super) idle: Duration,
}

/// What estimates usage that nobody reported.
#[derive(Clone, Copy, Debug)]
pub(super) struct Estimate {
    input: i64,
    output_limit: i64,
}

impl Estimate {
    fn new(call: &Call, target: &Target) -> Self {
        let limit = target
            .max_output_tokens
            .saturating_mul(call.request.facts().choices.max(1));
        let output_limit = if limit > 0 { limit } else { i64::MAX };
        Self {
            input: target.input_tokens_bound.max(0),
            output_limit,
        }
    }

    /// Input bound, and what was produced but never more than was allowed.
    pub(super) fn usage(&self, produced: i64) -> Usage {
        Usage {
            input: self.input,
            output: produced.min(self.output_limit),
            estimated: true,
            ..Usage::default()
        }
    }

    /// The same for a stream whose provider has `told` its input.
    pub(super) fn usage_after(&self, told: Option<Usage>, produced: i64) -> Usage {
        let estimate = self.usage(produced);
        told.map_or(estimate, |told| Usage {
            output: estimate.output,
            estimated: true,
            ..told
        })
    }
}

/// Sends the call to the target. The attempt is ended here unless it goes on as a stream.
pub(super) async fn attempt(
    destination: &Destination<'_>,
    overall: Option<Instant>,
    mut open: OpenAttempt,
) -> Result<Success, Failure> {
    let outcome = run(destination, overall, &mut open).await;
    match outcome {
        Ok(Run::Whole(whole, usage)) => {
            open.end(Outcome::Succeeded, String::new(), None, Some(usage));
            Ok(Success::Whole(*whole))
        }
        Ok(Run::Stream(opening)) => match AnswerStream::open(*opening, open).await {
            Ok(stream) => Ok(Success::Stream(Box::new(stream))),
            Err((failure, open)) => Err(ended(destination, failure, open)),
        },
        Err(failure) => Err(ended(destination, failure, open)),
    }
}

fn ended(destination: &Destination<'_>, failure: Failure, open: OpenAttempt) -> Failure {
    let failure = Failure {
        detail: destination.provider.text_without_secret(failure.detail),
        ..failure
    };
    open.end(
        failure.kind.outcome(),
        failure.detail.clone(),
        failure.retry_after,
        failure.usage,
    );
    failure
}

enum Run {
    Whole(Box<Whole>, Usage),
    Stream(Box<Opening>),
}

async fn run(destination: &Destination<'_>, overall: Option<Instant>, open: &mut OpenAttempt) -> Result<Run, Failure> {
    let Destination {
        call,
        target,
        provider,
        turn,
    } = destination;
    let timeouts = provider.settings().timeouts;
    let limit = if target.timeout.is_zero() {
        timeouts.attempt
    } else {
        target.timeout
    };
    let deadlines = Deadlines {
        whole: until(open.started(), limit, overall),
        idle: timeouts.idle,
    };
    let first_byte = until(
        open.started(),
        timeouts.connect.saturating_add(timeouts.first_byte),
        Some(deadlines.whole),
    );
    let streams = call.request.facts().stream;
    let outgoing = Outgoing {
        path: turn.path(),
        upstream_model: &target.upstream_model,
        dialect: turn.dialect,
        body: turn.body.clone(),
        streams,
        forwarded: (turn.dialect == call.request.dialect()).then_some(&call.forward_headers),
    };
    let response = match timeout_at(first_byte, provider.send(outgoing)).await {
        Err(_elapsed) => return Err(Failure::new(FailureKind::Timeout, "no answer in time")),
        Ok(Err(SendError::Connect)) => return Err(Failure::new(FailureKind::Connect, "no connection")),
        Ok(Err(SendError::Reset)) => {
            return Err(Failure::new(
                FailureKind::Reset,
                "the connection ended before an answer",
            ));
        }
        Ok(Ok(response)) => response,
    };
    let (head, mut body) = response.into_parts();
    open.set_status(head.status.as_u16());
    let turn = turn.clone().at(unix_seconds());
    let estimate = Estimate::new(call, target);
    if !head.status.is_success() {
        return Err(refused(destination, &head, &mut body, deadlines).await);
    }
    let is_stream = head.headers.get(CONTENT_TYPE).is_some_and(|kind| {
        kind.as_bytes()
            .get(..17)
            .is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
    });
    if streams && is_stream {
        return Ok(Run::Stream(Box::new(Opening {
            model: target.model.clone(),
            headers: passed_headers(&head.headers),
            body,
            reader: turn.event_reader(),
            screen: call.screen.as_ref().map(|screen| screen.stream(call.request.dialect())),
            dialect: call.request.dialect(),
            provider: Arc::clone(provider),
            deadlines,
            estimate,
        })));
    }
    let bytes = collect(&mut body, ANSWER_BYTES, deadlines.idle, deadlines.whole)
        .await
        .map_err(broken_body)?;
    let mut headers = passed_headers(&head.headers);
    let (usage, bytes) = match turn.read_whole(&bytes) {
        WholeFacts::Fault(fault) => return Err(Failure::from_fault(&fault)),
        WholeFacts::Garbled => {
            return Err(Failure::new(
                FailureKind::Garbled,
                "the answer is not what was asked for",
            ));
        }
        // The client waits for events and would not understand a whole answer.
        WholeFacts::Answer { usage, .. } if streams => {
            let failure = Failure::new(FailureKind::Garbled, "a whole answer instead of a stream");
            return Err(Failure { usage, ..failure });
        }
        WholeFacts::Answer { usage, body } => {
            let size = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
            if body.is_some() {
                headers.insert(CONTENT_TYPE, JSON);
            }
            (usage.unwrap_or_else(|| estimate.usage(size)), body.unwrap_or(bytes))
        }
    };
    let bytes = screened(call, bytes, open).map_err(|rule| Failure {
        usage: Some(usage),
        ..Failure::new(FailureKind::Rejected, format!("the rule {rule} refused the answer"))
    })?;
    Ok(Run::Whole(
        Box::new(Whole {
            model: target.model.clone(),
            status: head.status,
            headers,
            body: bytes,
        }),
        usage,
    ))
}

/// What the client may get of an answer; or the rule that refuses it.
fn screened(call: &Call, body: Bytes, open: &mut OpenAttempt) -> Result<Bytes, String> {
    let Some(screen) = &call.screen else { return Ok(body) };
    match screen.whole(call.request.dialect(), body) {
        Screened::Pass { body, findings } => {
            open.add_findings(findings);
            Ok(body)
        }
        Screened::Rejected { rule, findings } => {
            open.add_findings(findings);
            Err(rule)
        }
    }
}

/// Reads an answer with an error status.
async fn refused(
    destination: &Destination<'_>,
    head: &http::response::Parts,
    body: &mut Incoming,
    deadlines: Deadlines,
) -> Failure {
    let status = head.status;
    if status.is_redirection() || status.is_informational() {
        let detail = format!("status {}; redirects are not followed, check baseUrl", status.as_u16());
        return Failure::new(FailureKind::Garbled, detail);
    }
    let retry_after = retry_after::read(&head.headers, SystemTime::now());
    // The status says enough; a body that cannot be read is left out.
    let bytes = collect(body, ERROR_BYTES, deadlines.idle, deadlines.whole)
        .await
        .unwrap_or_default();
    let fault = destination.turn.read_error(status.as_u16(), &bytes);
    let mut failure = Failure::from_status(status.as_u16(), &fault, retry_after);
    if status.is_client_error() && !failure.kind.retryable() && failure.kind != FailureKind::Quota {
        failure.answer = Some(Box::new(whole_refusal(destination, status, head, bytes)));
    }
    failure
}

/// The refusal for the client, in its dialect and without any secret.
fn whole_refusal(
    destination: &Destination<'_>,
    status: StatusCode,
    head: &http::response::Parts,
    bytes: Bytes,
) -> Whole {
    let Destination {
        call,
        target,
        provider,
        turn,
    } = destination;
    let mut headers = passed_headers(&head.headers);
    if turn.dialect != call.request.dialect() {
        headers.insert(CONTENT_TYPE, JSON);
    }
    Whole {
        model: target.model.clone(),
        status,
        headers,
        // Again after the translation, which writes out what was spelled otherwise.
        body: provider.without_secret(turn.refusal(status.as_u16(), provider.without_secret(bytes))),
    }
}

pub(super) fn broken_body(error: BodyError) -> Failure {
    match error {
        BodyError::Timeout => Failure::new(FailureKind::Timeout, "the answer stopped coming"),
        BodyError::Cut => Failure::new(FailureKind::Cut, "the answer broke off"),
        BodyError::TooLarge => Failure::new(
            FailureKind::Garbled,
            format!("the answer is larger than {ANSWER_BYTES} bytes"),
        ),
    }
}

/// Now, for answers whose provider does not say when they were made.
fn unix_seconds() -> i64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .ok()
        .and_then(|since| i64::try_from(since.as_secs()).ok())
        .unwrap_or(0)
}

/// `limit` after `start`, but not after `bound`.
fn until(start: Instant, limit: Duration, bound: Option<Instant>) -> Instant {
    // A limit beyond the clock's range is as good as a year.
    let year = Duration::from_secs(365 * 86_400);
    let own = start.checked_add(limit.min(year)).unwrap_or(start);
    bound.map_or(own, |bound| bound.min(own))
}
