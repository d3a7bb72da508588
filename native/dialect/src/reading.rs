//! What comes back from a target.

use bytes::Bytes;

use crate::exchange::DataReader;
use crate::sse::SseEvent;
use crate::{Dialect, EventFacts, EventReader, ProviderFault, Turn, Usage, WholeFacts, openai_chat};

impl Turn {
    /// Reads a whole answer with a success status.
    #[must_use]
    pub fn read_whole(&self, body: &[u8]) -> WholeFacts {
        openai_chat::whole::read(body)
    }

    /// Reads the body of an error status.
    #[must_use]
    pub fn read_error(&self, _status: u16, body: &[u8]) -> ProviderFault {
        openai_chat::error::read(body)
    }

    /// The provider's error body in the client's dialect; untouched when the target speaks it.
    #[must_use]
    pub fn refusal(&self, _status: u16, body: Bytes) -> Bytes {
        body
    }

    /// A reader for the events of one stream.
    #[must_use]
    pub fn event_reader(&self) -> Box<dyn EventReader> {
        let usage_asked = openai_chat::request::usage_asked(self.request.body());
        Box::new(Passed(openai_chat::event::ChatEvents::new(
            self.request.facts().choices,
            usage_asked,
        )))
    }
}

/// The event(s) that end a broken stream, framed.
pub(crate) fn error_event(_dialect: Dialect, code: &str, message: &str) -> Bytes {
    SseEvent::from_data(&openai_chat::error::event(code, message)).raw
}

/// Events of the client's own dialect: passed on as they are.
struct Passed<R>(R);

impl<R: DataReader> EventReader for Passed<R> {
    fn read(&mut self, event: SseEvent) -> (EventFacts, Vec<SseEvent>) {
        let facts = match &event.data {
            Some(data) if !data.is_empty() => self.0.read(data),
            _ => EventFacts::Prelude,
        };
        let events = if facts == EventFacts::Hidden {
            Vec::new()
        } else {
            vec![event]
        };
        (facts, events)
    }

    fn complete(&self) -> bool {
        self.0.complete()
    }

    fn produced(&self) -> i64 {
        self.0.produced()
    }

    fn usage(&self) -> Option<Usage> {
        self.0.usage()
    }

    fn finish(&mut self) -> Vec<SseEvent> {
        Vec::new()
    }
}
