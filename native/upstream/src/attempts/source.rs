//! The connection of a stream, and what reads it.

use std::sync::Arc;
use std::time::Duration;

use fairlead_dialect::sse::{SseEvent, SseParser};
use fairlead_dialect::{Dialect, EventFacts, EventReader, Usage, text};
use http::HeaderMap;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout_at};

use super::collect::{BodyError, next_part};
use super::once::{Deadlines, Estimate};
use crate::client::Provider;
use crate::screening::{self, Finding, StreamScreened, StreamScreening};

/// How long a finished connection is read on, so that it can be used again.
const DRAIN: Duration = Duration::from_secs(1);
/// Parts read on from a finished connection.
const DRAIN_PARTS: usize = 16;

/// What a stream is made of.
pub(super) struct Opening {
    pub(super) model: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Incoming,
    pub(super) reader: Box<dyn EventReader>,
    pub(super) screen: Option<Box<dyn StreamScreening>>,
    /// What the client speaks.
    pub(super) dialect: Dialect,
    pub(super) provider: Arc<Provider>,
    pub(super) deadlines: Deadlines,
    pub(super) estimate: Estimate,
}

/// What comes next from the connection.
pub(super) enum Next {
    /// An event of the target: what it means, and what the client would get for it, before the screening.
    Event(EventFacts, Vec<SseEvent>),
    /// A clean end of the body.
    Closed,
    Broken(BodyError),
}

/// Events for the client; or the rule that refuses to go on, and the events before it.
pub(super) type Shown = Result<Vec<SseEvent>, (String, Vec<SseEvent>)>;

/// See the module.
pub(super) struct Source {
    body: Option<Incoming>,
    parser: SseParser,
    reader: Box<dyn EventReader>,
    screen: Option<Box<dyn StreamScreening>>,
    /// What the client speaks.
    dialect: Dialect,
    findings: Vec<Finding>,
    provider: Arc<Provider>,
    deadlines: Deadlines,
    estimate: Estimate,
}

impl Source {
    pub(super) fn new(opening: Opening) -> Self {
        Self {
            body: Some(opening.body),
            parser: SseParser::new(super::EVENT_BYTES),
            reader: opening.reader,
            screen: opening.screen,
            dialect: opening.dialect,
            findings: Vec::new(),
            provider: opening.provider,
            deadlines: opening.deadlines,
            estimate: opening.estimate,
        }
    }

    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Next {
        loop {
            match self.parser.next_event() {
                Err(_too_large) => return Next::Broken(BodyError::TooLarge),
                Ok(Some(event)) => {
                    let (facts, events) = self.reader.read(event);
                    return Next::Event(facts, events);
                }
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
                    return match self.reader.read(event) {
                        (EventFacts::Garbled, _) => Next::Closed,
                        (facts, events) => Next::Event(facts, events),
                    };
                }
            }
        }
    }

    /// What the client gets of events.
    pub(super) fn shown(&mut self, events: Vec<SseEvent>) -> Shown {
        if self.screen.is_none() {
            return Ok(events);
        }
        let mut shown = Vec::with_capacity(events.len());
        for event in events {
            if let Some(screen) = &mut self.screen {
                let screened = screen.event(event);
                self.add(screened, &mut shown)?;
            }
        }
        Ok(shown)
    }

    /// Does the event show the client something of the answer? What a translation puts before the first text, such as the
    /// start of a message, is no answer yet: the screening may still refuse the text that it holds back.
    pub(super) fn shows(&self, event: &SseEvent) -> bool {
        if self.screen.is_none() {
            return event.data.is_some();
        }
        text::event(self.dialect, event).map_or(event.data.is_some(), |spans| {
            spans.iter().any(|span| !span.text.is_empty())
        })
    }

    /// The last events of a stream, with all that was held back before.
    pub(super) fn shown_to_the_end(&mut self, events: Vec<SseEvent>) -> Shown {
        let mut shown = self.shown(events)?;
        if let Some(screen) = &mut self.screen {
            let screened = screen.end();
            self.add(screened, &mut shown)?;
        }
        Ok(shown)
    }

    fn add(&mut self, screened: StreamScreened, shown: &mut Vec<SseEvent>) -> Result<(), (String, Vec<SseEvent>)> {
        screening::add(&mut self.findings, screened.findings);
        shown.extend(screened.events);
        match screened.rejected {
            Some(rule) => Err((rule, std::mem::take(shown))),
            None => Ok(()),
        }
    }

    /// What was found since the last time.
    pub(super) fn take_findings(&mut self) -> Vec<Finding> {
        std::mem::take(&mut self.findings)
    }

    /// True when every answer has come to its end.
    pub(super) fn complete(&self) -> bool {
        self.reader.complete()
    }

    /// What a clean end of the connection still owes the client.
    pub(super) fn owed(&mut self) -> Vec<SseEvent> {
        self.reader.finish()
    }

    /// Usage that the provider reported.
    pub(super) fn reported(&self) -> Option<Usage> {
        self.reader.usage()
    }

    /// Reported usage, else the input that was told so far or its bound, and an estimate from what was produced.
    pub(super) fn usage(&self) -> Usage {
        self.reported().unwrap_or_else(|| {
            self.estimate
                .usage_after(self.reader.told_input(), self.reader.produced())
        })
    }

    /// True once the model has said something, whether or not the client has got it.
    pub(super) fn has_produced(&self) -> bool {
        self.reader.produced() > 0
    }

    /// What ends a broken stream, in the client's dialect.
    pub(super) fn error_event(&self, code: &str, message: &str) -> SseEvent {
        self.reader.error_event(code, message)
    }

    /// A provider's own error event without any secret.
    pub(super) fn without_secret(&self, event: SseEvent) -> SseEvent {
        let redacted = self.provider.without_secret(event.raw.clone());
        if redacted == event.raw { event } else { framed(redacted) }
    }

    /// What is recorded about it without any secret.
    pub(super) fn text_without_secret(&self, text: String) -> String {
        self.provider.text_without_secret(text)
    }

    /// Lets go of the connection.
    pub(super) fn close(&mut self) {
        self.body = None;
    }

    /// Reads a complete stream's connection on for a moment: dropped right after the end marker, before the last chunk's
    /// mark came, it could not be used again.
    pub(super) fn drain(&mut self) {
        let Some(mut body) = self.body.take() else { return };
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
}

/// Framed bytes as one event; of several, the first gives the data.
fn framed(raw: bytes::Bytes) -> SseEvent {
    let mut parser = SseParser::new(raw.len().saturating_add(1));
    parser.push(&raw);
    match parser.next_event() {
        Ok(Some(first)) => SseEvent { raw, ..first },
        _ => SseEvent {
            raw,
            name: None,
            data: None,
        },
    }
}
