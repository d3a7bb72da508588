//! A stream that is being passed on to the caller.
use std::collections::VecDeque;

use fairlead_dialect::sse::SseEvent;
use fairlead_engine::{Reason, Rejection};
use fairlead_upstream::{AnswerStream, AttemptLog, StreamEnd, StreamItem};
use fairlead_wire::v1::{Amount, Attempt};
use http::HeaderMap;
use sha2::{Digest, Sha256};

use super::attempt;
use super::cache::{Answered, Recording};
use super::call::Head;
use super::hold::{Given, Hold};
use crate::refusal;

/// See the module. Dropped before its end, it cancels the call at the provider and settles what was produced.
pub(crate) struct Live {
    /// About the call.
    pub(crate) head: Head,
    source: Source,
    headers: HeaderMap,
    hold: Option<Hold>,
    log: AttemptLog,
    digest: Sha256,
    bytes: i64,
    recording: Option<Recording>,
}

/// Where the events come from.
enum Source {
    /// From a provider. Dropped before the hold, so that the attempt is in the log when the hold is settled.
    Provider(Box<AnswerStream>),
    /// From the response cache; the last one ends the stream.
    Cache(VecDeque<SseEvent>),
}

/// A part of a stream.
pub(crate) enum Part {
    /// An event, to be passed on at once.
    Event(SseEvent),
    /// The end; always last. The settlement is committed, or could not be.
    End(Finish),
}

/// How a stream ended.
pub(crate) struct Finish {
    /// The event that tells the client in the dialect's way: the end marker, or the error of a broken stream.
    pub(crate) closing: Option<SseEvent>,
    /// The end marker that must not be sent, because the settlement could not be written: an error takes its place.
    pub(crate) withheld: Option<SseEvent>,
    /// Every attempt, and what was charged; or why the stream is not a success.
    pub(crate) outcome: Result<(Vec<Attempt>, Amount), Rejection>,
}

impl Finish {
    /// The end of a stream of the response cache.
    fn again(closing: SseEvent) -> Self {
        Self {
            closing: Some(closing),
            withheld: None,
            outcome: Ok((Vec::new(), Amount::default())),
        }
    }
}

impl Live {
    pub(super) fn new(
        head: Head,
        stream: AnswerStream,
        hold: Hold,
        log: AttemptLog,
        recording: Option<Recording>,
    ) -> Self {
        let head = Head {
            model: stream.model().to_owned(),
            ..head
        };
        Self {
            head,
            headers: stream.headers().clone(),
            source: Source::Provider(Box::new(stream)),
            hold: Some(hold),
            log,
            digest: Sha256::new(),
            bytes: 0,
            recording,
        }
    }

    /// A stream of the response cache again. Its call has ended, and was charged nothing.
    pub(super) fn again(head: Head, headers: HeaderMap, events: Vec<SseEvent>) -> Self {
        Self {
            head,
            source: Source::Cache(events.into()),
            headers,
            hold: None,
            log: AttemptLog::new(),
            digest: Sha256::new(),
            bytes: 0,
            recording: None,
        }
    }

    /// Headers of the provider that are passed on.
    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The next part; `None` after the end.
    pub(crate) async fn next(&mut self) -> Option<Part> {
        let stream = match &mut self.source {
            Source::Provider(stream) => stream,
            Source::Cache(events) => {
                let event = events.pop_front()?;
                return Some(if events.is_empty() {
                    Part::End(Finish::again(event))
                } else {
                    Part::Event(event)
                });
            }
        };
        match stream.next().await? {
            StreamItem::Event(event) => {
                // One that has grown too long is forgotten.
                self.recording = self.recording.take().and_then(|recording| recording.event(&event));
                self.digest.update(&event.raw);
                self.bytes = self
                    .bytes
                    .saturating_add(i64::try_from(event.raw.len()).unwrap_or(i64::MAX));
                Some(Part::Event(event))
            }
            StreamItem::End(end) => Some(Part::End(self.finish(end).await)),
        }
    }

    async fn finish(&mut self, end: StreamEnd) -> Finish {
        let attempts = attempt::attempts(&self.log.attempts());
        let given = Given {
            digest: Some(self.digest.clone().finalize().into()),
            bytes: self.bytes,
            kept: None,
            step: None,
        };
        let settled = match self.hold.take() {
            Some(hold) => hold.end(given).await,
            None => Ok(Amount::default()),
        };
        // Not written: an end marker would say that all is well.
        let charged = match settled {
            Ok(charged) => charged,
            Err(rejection) => {
                return Finish {
                    closing: None,
                    withheld: end.closing,
                    outcome: Err(rejection),
                };
            }
        };
        let outcome = if end.code.is_empty() {
            if let Some(recording) = self.recording.take() {
                recording.stream(&Answered::by(&self.head, &self.headers), end.closing.as_ref());
            }
            Ok((attempts, charged))
        } else {
            let last = attempts.last().map(attempt::described).unwrap_or_default();
            let message = format!("the answer broke off and is incomplete: {last}");
            Err(refusal::of(Reason::TargetsExhausted, message).with("cause", end.code))
        };
        Finish {
            closing: end.closing,
            withheld: None,
            outcome,
        }
    }
}
