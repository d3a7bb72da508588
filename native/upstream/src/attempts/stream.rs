//! A streamed answer: events as they come, and an honest end.
//!
//! ```text
//! opening ──first content──▶ flowing ──[DONE], or a clean end after every answer finished──▶ ended: Succeeded
//!    │                          ├──connection broken, or closed too early──▶ ended: Cut        + error event
//!    │                          ├──deadline──▶ ended: TimedOut                                 + error event
//!    │                          ├──provider's error event──▶ ended: Failed                     + that event
//!    │                          ├──not the dialect──▶ ended: Garbled                           + error event
//!    │                          └──dropped by the caller──▶ ended: Cancelled
//!    └──anything else──▶ failure: the next target may answer
//! ```

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::PRELUDE_BYTES;
use super::collect::{BodyError, next_part};
use super::failure::{Failure, FailureKind, described};
use super::once::{Deadlines, Estimate, broken_body};
use super::record::{OpenAttempt, Outcome};
use fairlead_dialect::Usage;
use fairlead_dialect::sse::{SseEvent, SseParser};
use fairlead_dialect::{DataReader, EventFacts, Exchange};

/// How long a finished connection is read on, so that it can be used again.
const DRAIN: Duration = Duration::from_secs(1);
/// Parts read on from a finished connection.
const DRAIN_PARTS: usize = 16;

/// What a stream is made of.
pub(super) struct Opening {
    pub(super) model: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
    pub(super) exchange: Arc<dyn Exchange>,
    pub(super) deadlines: Deadlines,
    pub(super) estimate: Estimate,
}

/// A part of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamItem {
    /// An event, to be passed on at once.
    Event(SseEvent),
    /// The end; always last. The attempt is in the log.
    End(StreamEnd),
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamEnd {
    /// How the last attempt ended.
    pub outcome: Outcome,
    /// The event that tells the client: the end marker, or the error of a broken stream. Sent after the settlement.
    /// Absent when the provider closed a finished stream without a marker.
    pub closing: Option<SseEvent>,
    /// Stable code of a broken stream, such as `upstream_cut`; empty on success.
    pub code: &'static str,
}

/// A stream whose first content has come. Dropping it cancels the call at the provider.
pub struct AnswerStream {
    model: String,
    headers: HeaderMap,
    held: VecDeque<SseEvent>,
    source: Source,
    end: Option<StreamEnd>,
    attempt: Option<OpenAttempt>,
}

impl fmt::Debug for AnswerStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AnswerStream")
            .field("model", &self.model)
            .finish_non_exhaustive()
    }
}

impl AnswerStream {
    /// Name of the model that answers.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The headers that are passed on to the client.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Reads up to the first content. Events before it are held back; comments among them are dropped.
    pub(super) async fn open(opening: Opening, mut open: OpenAttempt) -> Result<Self, (Failure, OpenAttempt)> {
        let mut source = Source {
            body: Some(opening.body),
            parser: SseParser::new(super::EVENT_BYTES),
            reader: opening.exchange.event_reader(),
            exchange: opening.exchange,
            deadlines: opening.deadlines,
            estimate: opening.estimate,
        };
        let mut held = VecDeque::new();
        let mut held_bytes: usize = 0;
        let end = loop {
            let (failure, usage) = match source.next().await {
                Next::Event(event, EventFacts::Prelude) => {
                    held_bytes = held_bytes.saturating_add(event.raw.len());
                    if event.data.is_some() {
                        held.push_back(event);
                    }
                    if held_bytes > PRELUDE_BYTES {
                        break None;
                    }
                    continue;
                }
                Next::Event(event, EventFacts::Content) => {
                    held.push_back(event);
                    break None;
                }
                Next::Event(_, EventFacts::Hidden) => continue,
                // An end without content: an empty answer, but a complete one only if it says so.
                Next::Event(event, EventFacts::Done) => {
                    if source.reader.complete() || source.reader.usage().is_some() {
                        break Some(source.finished(Some(event)));
                    }
                    (Failure::new(FailureKind::Cut, "the stream ended without content"), None)
                }
                Next::Event(_, EventFacts::Fault(fault)) => (Failure::from_fault(&fault), source.reader.usage()),
                Next::Event(_, EventFacts::Garbled) => (
                    Failure::new(FailureKind::Garbled, "the stream is not what was asked for"),
                    source.reader.usage(),
                ),
                Next::Closed => (
                    Failure::new(FailureKind::Cut, "the stream ended without content"),
                    source.reader.usage(),
                ),
                Next::Broken(error) => (broken_body(error), source.reader.usage()),
            };
            return Err((Failure { usage, ..failure }, open));
        };
        open.set_usage(source.usage());
        let mut stream = Self {
            model: opening.model,
            headers: opening.headers,
            held,
            source,
            end: None,
            attempt: Some(open),
        };
        if let Some(end) = end {
            stream.conclude(Outcome::Succeeded, String::new());
            stream.end = Some(end);
        }
        Ok(stream)
    }

    /// The next part; `None` after the end. Cancel safe.
    pub async fn next(&mut self) -> Option<StreamItem> {
        if let Some(event) = self.held.pop_front() {
            return Some(StreamItem::Event(event));
        }
        if let Some(end) = self.end.take() {
            return Some(StreamItem::End(end));
        }
        self.attempt.as_ref()?;
        loop {
            let (outcome, detail, end) = match self.source.next().await {
                Next::Event(event, EventFacts::Content | EventFacts::Prelude) => {
                    let usage = self.source.usage();
                    if let Some(attempt) = &mut self.attempt {
                        attempt.set_usage(usage);
                    }
                    return Some(StreamItem::Event(event));
                }
                Next::Event(_, EventFacts::Hidden) => continue,
                Next::Event(event, EventFacts::Done) => {
                    (Outcome::Succeeded, String::new(), self.source.finished(Some(event)))
                }
                Next::Closed if self.source.reader.complete() => {
                    (Outcome::Succeeded, String::new(), self.source.finished(None))
                }
                Next::Event(event, EventFacts::Fault(fault)) => {
                    let end = StreamEnd {
                        outcome: Outcome::Failed,
                        closing: Some(event),
                        code: "upstream_error",
                    };
                    (Outcome::Failed, described("an error inside the stream", &fault), end)
                }
                Next::Event(_, EventFacts::Garbled) => {
                    self.broken(Outcome::Garbled, "upstream_garbled", "the stream became unreadable")
                }
                Next::Closed => self.broken(Outcome::Cut, "upstream_cut", "the stream ended before it was complete"),
                Next::Broken(BodyError::Cut) => self.broken(Outcome::Cut, "upstream_cut", "the stream broke off"),
                Next::Broken(BodyError::Timeout) => {
                    self.broken(Outcome::TimedOut, "upstream_timeout", "the stream stopped coming")
                }
                Next::Broken(BodyError::TooLarge) => self.broken(
                    Outcome::Garbled,
                    "upstream_garbled",
                    "an event of the stream is too large",
                ),
            };
            self.conclude(outcome, detail);
            return Some(StreamItem::End(end));
        }
    }

    fn broken(&self, outcome: Outcome, code: &'static str, what: &str) -> (Outcome, String, StreamEnd) {
        let message = format!("{what}; what was received before is incomplete");
        let closing = SseEvent::from_data(&self.source.exchange.error_event(code, &message));
        (
            outcome,
            what.to_owned(),
            StreamEnd {
                outcome,
                closing: Some(closing),
                code,
            },
        )
    }

    /// Ends the attempt and lets go of the connection.
    fn conclude(&mut self, outcome: Outcome, detail: String) {
        let usage = self.source.usage();
        if let Some(attempt) = self.attempt.take() {
            attempt.end(outcome, detail, None, Some(usage));
        }
        self.source.body = None;
    }
}

/// What comes next from the connection.
enum Next {
    Event(SseEvent, EventFacts),
    /// A clean end of the body.
    Closed,
    Broken(BodyError),
}

/// The connection and what reads it.
struct Source {
    body: Option<Incoming>,
    parser: SseParser,
    reader: Box<dyn DataReader>,
    exchange: Arc<dyn Exchange>,
    deadlines: Deadlines,
    estimate: Estimate,
}

impl Source {
    async fn next(&mut self) -> Next {
        loop {
            match self.parser.next_event() {
                Err(_too_large) => return Next::Broken(BodyError::TooLarge),
                Ok(Some(event)) => return self.classified(event),
                Ok(None) => {}
            }
            let Some(body) = &mut self.body else {
                return Next::Closed;
            };
            match next_part(body, self.deadlines.idle, self.deadlines.whole).await {
                Ok(Some(part)) => self.parser.push(&part),
                Err(error) => return Next::Broken(error),
                Ok(None) => {
                    self.body = None;
                    // The last event may lack its blank line. A torn one is a cut, not garbage.
                    let Some(event) = self.parser.finish() else {
                        return Next::Closed;
                    };
                    return match self.classified(event) {
                        Next::Event(_, EventFacts::Garbled) => Next::Closed,
                        whole => whole,
                    };
                }
            }
        }
    }

    fn classified(&mut self, event: SseEvent) -> Next {
        let facts = match &event.data {
            Some(data) if !data.is_empty() => self.reader.read(data),
            _ => EventFacts::Prelude,
        };
        Next::Event(event, facts)
    }

    /// Reported usage, else an estimate from what was produced.
    fn usage(&self) -> Usage {
        self.reader
            .usage()
            .unwrap_or_else(|| self.estimate.usage(self.reader.produced()))
    }

    /// A complete stream. Its connection is read on for a moment: dropped right after the end marker, before the
    /// last chunk's mark came, it could not be used again.
    fn finished(&mut self, closing: Option<SseEvent>) -> StreamEnd {
        if let Some(mut body) = self.body.take() {
            let until = Instant::now().checked_add(DRAIN).unwrap_or_else(Instant::now);
            tokio::spawn(timeout_at(until, async move {
                for _ in 0..DRAIN_PARTS {
                    match next_part(&mut body, DRAIN, until).await {
                        Ok(Some(_)) => {}
                        _ => return,
                    }
                }
            }));
        }
        StreamEnd {
            outcome: Outcome::Succeeded,
            closing,
            code: "",
        }
    }
}
