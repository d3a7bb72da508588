//! A streamed answer: events as they come, and an honest end.
//!
//! ```text
//! opening ──first content──▶ flowing ──[DONE], or a clean end after every answer finished──▶ ended: Succeeded
//!    │                          ├──connection broken, or closed too early──▶ ended: Cut        + error event
//!    │                          ├──deadline──▶ ended: TimedOut                                 + error event
//!    │                          ├──provider's error event──▶ ended: Failed                     + that event
//!    │                          ├──not the dialect──▶ ended: Garbled                           + error event
//!    │                          ├──refused by the screening──▶ ended: Rejected                 + error event
//!    │                          └──dropped by the caller──▶ ended: Cancelled
//!    └──anything else──▶ failure: the next target may answer
//! ```

use std::collections::VecDeque;
use std::fmt;

use fairlead_dialect::EventFacts;
use fairlead_dialect::sse::SseEvent;
use http::HeaderMap;

use super::PRELUDE_BYTES;
use super::collect::BodyError;
use super::failure::{Failure, FailureKind, described};
use super::once::broken_body;
use super::record::{OpenAttempt, Outcome};
use super::source::{Next, Opening, Shown, Source};

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
    /// The event that tells the client, in its dialect: the end marker, or the error of a broken stream. Sent after the
    /// settlement. Absent when the provider closed a finished stream without a marker.
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

    /// Reads up to the first content that the client may see. Events before it are held back; comments among them are
    /// dropped.
    pub(super) async fn open(mut opening: Opening, mut open: OpenAttempt) -> Result<Self, (Failure, OpenAttempt)> {
        let (model, headers) = (std::mem::take(&mut opening.model), std::mem::take(&mut opening.headers));
        let mut source = Source::new(opening);
        let mut held = VecDeque::new();
        let begun = begin(&mut source, &mut held, &mut open).await;
        open.add_findings(source.take_findings());
        let end = match begun {
            Ok(end) => end,
            Err(failure) => {
                // A refused answer is billed like any other, and so is one that broke off while it was held back.
                let usage = match failure.kind {
                    FailureKind::Rejected => Some(source.usage()),
                    _ if source.has_produced() => Some(source.usage()),
                    _ => source.reported(),
                };
                return Err((Failure { usage, ..failure }, open));
            }
        };
        open.set_usage(source.usage());
        let mut stream = Self {
            model,
            headers,
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
        loop {
            if let Some(event) = self.held.pop_front() {
                return Some(StreamItem::Event(event));
            }
            if let Some(end) = self.end.take() {
                return Some(StreamItem::End(end));
            }
            self.attempt.as_ref()?;
            let next = self.source.next().await;
            self.take(next);
        }
    }

    /// Takes what came: events to pass on, and perhaps the end.
    fn take(&mut self, next: Next) {
        match next {
            Next::Event(EventFacts::Content | EventFacts::Prelude | EventFacts::Hidden, events) => {
                let shown = self.source.shown(events);
                if let Some(shown) = self.passed(shown) {
                    self.held.extend(shown);
                    let usage = self.source.usage();
                    if let Some(attempt) = &mut self.attempt {
                        attempt.set_usage(usage);
                    }
                }
            }
            Next::Event(EventFacts::Done, events) if self.source.complete() => self.finish(events),
            Next::Closed if self.source.complete() => {
                let owed = self.source.owed();
                self.finish(owed);
            }
            Next::Event(EventFacts::Fault(fault), mut events) => {
                let own = events.pop().map(|event| self.source.without_secret(event));
                let message = "the provider reports an error; what was received before is incomplete";
                let closing = own.unwrap_or_else(|| self.source.error_event("upstream_error", message));
                let detail = described("an error inside the stream", &fault);
                let detail = self.source.text_without_secret(detail);
                self.flush(events);
                self.ended(Outcome::Failed, detail, "upstream_error", closing);
            }
            Next::Event(EventFacts::Garbled, _) => {
                self.broken(Outcome::Garbled, "upstream_garbled", "the stream became unreadable");
            }
            // An end marker does not make an answer whole that never said why it ends.
            Next::Event(EventFacts::Done, _) | Next::Closed => {
                self.broken(Outcome::Cut, "upstream_cut", "the stream ended before it was complete");
            }
            Next::Broken(BodyError::Cut) => self.broken(Outcome::Cut, "upstream_cut", "the stream broke off"),
            Next::Broken(BodyError::Timeout) => {
                self.broken(Outcome::TimedOut, "upstream_timeout", "the stream stopped coming");
            }
            Next::Broken(BodyError::TooLarge) => self.broken(
                Outcome::Garbled,
                "upstream_garbled",
                "an event of the stream is too large",
            ),
        }
    }

    /// The end of a complete stream.
    fn finish(&mut self, events: Vec<SseEvent>) {
        let shown = self.source.shown_to_the_end(events);
        if let Some(shown) = self.passed(shown) {
            let end = finished(&mut self.source, shown, &mut self.held);
            self.conclude(Outcome::Succeeded, String::new());
            self.end = Some(end);
        }
    }

    /// What may be passed on. `None`: the screening has ended the stream.
    fn passed(&mut self, shown: Shown) -> Option<Vec<SseEvent>> {
        match shown {
            Ok(shown) => Some(shown),
            Err((rule, before)) => {
                self.held.extend(before);
                let message = "a rule refused the rest of the answer; what was received before is incomplete";
                let closing = self.source.error_event("output_rejected", message);
                self.ended(Outcome::Rejected, refused_by(&rule), "output_rejected", closing);
                None
            }
        }
    }

    fn broken(&mut self, outcome: Outcome, code: &'static str, what: &str) {
        let message = format!("{what}; what was received before is incomplete");
        let closing = self.source.error_event(code, &message);
        self.flush(Vec::new());
        self.ended(outcome, what.to_owned(), code, closing);
    }

    /// What the screening held back of a broken stream is passed on unless it is refused: it was received.
    fn flush(&mut self, events: Vec<SseEvent>) {
        let shown = self.source.shown_to_the_end(events);
        self.held.extend(shown.unwrap_or_else(|(_rule, before)| before));
    }

    fn ended(&mut self, outcome: Outcome, detail: String, code: &'static str, closing: SseEvent) {
        self.conclude(outcome, detail);
        self.end = Some(StreamEnd {
            outcome,
            closing: Some(closing),
            code,
        });
    }

    /// Ends the attempt and lets go of the connection.
    fn conclude(&mut self, outcome: Outcome, detail: String) {
        let usage = self.source.usage();
        if let Some(mut attempt) = self.attempt.take() {
            attempt.add_findings(self.source.take_findings());
            attempt.end(outcome, detail, None, Some(usage));
        }
        self.source.close();
    }
}

/// Holds back events up to the first content that the client may see, which is among them; or up to the end.
async fn begin(
    source: &mut Source,
    held: &mut VecDeque<SseEvent>,
    open: &mut OpenAttempt,
) -> Result<Option<StreamEnd>, Failure> {
    let mut held_bytes: usize = 0;
    let mut content = false;
    loop {
        match source.next().await {
            Next::Event(facts @ (EventFacts::Prelude | EventFacts::Content | EventFacts::Hidden), events) => {
                // Should the caller go away while the screening holds everything back.
                if source.has_produced() {
                    open.set_usage(source.usage());
                }
                let shown = source.shown(events).map_err(rejected)?;
                content |= facts == EventFacts::Content;
                // Content that the screening holds back has not been passed on: a fallback is still possible. What lets
                // go of it may be any event.
                let begun = content && shown.iter().any(|event| source.shows(event));
                for event in shown {
                    held_bytes = held_bytes.saturating_add(event.raw.len());
                    if event.data.is_some() {
                        held.push_back(event);
                    }
                }
                if begun || held_bytes > PRELUDE_BYTES {
                    return Ok(None);
                }
            }
            // An end without content: an empty answer, but a complete one only if it says so.
            Next::Event(EventFacts::Done, events) => {
                if !source.complete() && (source.has_produced() || source.reported().is_none()) {
                    let what = match source.has_produced() {
                        true => "the stream ended before it was complete",
                        false => "the stream ended without content",
                    };
                    return Err(Failure::new(FailureKind::Cut, what));
                }
                let shown = source.shown_to_the_end(events).map_err(rejected)?;
                return Ok(Some(finished(source, shown, held)));
            }
            Next::Closed if source.complete() => {
                let owed = source.owed();
                let shown = source.shown_to_the_end(owed).map_err(rejected)?;
                return Ok(Some(finished(source, shown, held)));
            }
            Next::Event(EventFacts::Fault(fault), _) => return Err(Failure::from_fault(&fault)),
            Next::Event(EventFacts::Garbled, _) => {
                let what = "the stream is not what was asked for";
                return Err(Failure::new(FailureKind::Garbled, what));
            }
            Next::Closed => return Err(Failure::new(FailureKind::Cut, "the stream ended without content")),
            Next::Broken(error) => return Err(broken_body(error)),
        }
    }
}

/// A complete stream: its last event closes it, what came before is passed on.
fn finished(source: &mut Source, mut events: Vec<SseEvent>, held: &mut VecDeque<SseEvent>) -> StreamEnd {
    source.drain();
    let closing = events.pop();
    held.extend(events);
    StreamEnd {
        outcome: Outcome::Succeeded,
        closing,
        code: "",
    }
}

fn rejected((rule, _unseen): (String, Vec<SseEvent>)) -> Failure {
    Failure::new(FailureKind::Rejected, refused_by(&rule))
}

fn refused_by(rule: &str) -> String {
    format!("the rule {rule} refused the answer")
}
