//! What comes back from a target: passed on as it is when the target speaks the client's dialect, else translated.

use std::hash::{DefaultHasher, Hash, Hasher};

use bytes::Bytes;

use crate::data_reader::DataReader;
use crate::error::{self, ErrorObject};
use crate::sse::SseEvent;
use crate::translation::{self, Manner, Translation};
use crate::{
    Dialect, EventFacts, EventReader, ProviderFault, Turn, Usage, WholeFacts, anthropic_messages, openai_chat,
    openai_responses,
};

impl Turn {
    /// Reads a whole answer with a success status.
    #[must_use]
    pub fn read_whole(&self, body: &[u8]) -> WholeFacts {
        let client = self.request.dialect();
        if client != self.dialect {
            return translation::whole(self.dialect, client, body, &self.manner());
        }
        match client {
            Dialect::OpenAiChat => openai_chat::whole::read(body),
            Dialect::OpenAiResponses => openai_responses::whole::read(body),
            Dialect::AnthropicMessages => anthropic_messages::whole::read(body),
        }
    }

    /// Reads the body of an error status, whatever its shape.
    #[must_use]
    pub fn read_error(&self, status: u16, body: &[u8]) -> ProviderFault {
        ErrorObject::read(body).fault_of(status)
    }

    /// The provider's error body in the client's dialect, with the same message; untouched when the target speaks it.
    #[must_use]
    pub fn refusal(&self, status: u16, body: Bytes) -> Bytes {
        let client = self.request.dialect();
        if client == self.dialect {
            return body;
        }
        ErrorObject::read(&body).write(client, status)
    }

    /// A reader for the events of one stream.
    #[must_use]
    pub fn event_reader(&self) -> Box<dyn EventReader> {
        let client = self.request.dialect();
        if client != self.dialect {
            return Box::new(Translation::new(self.dialect, client, self.manner()));
        }
        let reader: Box<dyn DataReader> = match client {
            Dialect::OpenAiChat => Box::new(openai_chat::event::ChatEvents::new(
                self.request.facts().choices,
                openai_chat::request::usage_asked(self.request.body()),
            )),
            Dialect::OpenAiResponses => Box::new(openai_responses::event::ResponsesEvents::default()),
            Dialect::AnthropicMessages => Box::new(anthropic_messages::event::MessagesEvents::default()),
        };
        Box::new(Passed {
            dialect: client,
            reader,
        })
    }

    /// The same turn at this time (Unix seconds), which a translated answer is given whose provider tells none.
    #[must_use]
    pub fn at(self, created: i64) -> Self {
        Self { created, ..self }
    }

    /// How an answer is written for the client.
    fn manner(&self) -> Manner {
        let body = self.request.body();
        let client = self.request.dialect();
        let mut hasher = DefaultHasher::new();
        (&body[..], self.created).hash(&mut hasher);
        Manner {
            usage_asked: client == Dialect::OpenAiChat && openai_chat::request::usage_asked(body),
            echo: match client {
                Dialect::OpenAiResponses => openai_responses::answer::echo(body).into(),
                Dialect::OpenAiChat | Dialect::AnthropicMessages => "".into(),
            },
            created: self.created,
            salt: hasher.finish(),
        }
    }
}

/// Events of the client's own dialect: passed on as they are.
struct Passed {
    dialect: Dialect,
    reader: Box<dyn DataReader>,
}

impl EventReader for Passed {
    fn read(&mut self, event: SseEvent) -> (EventFacts, Vec<SseEvent>) {
        let facts = match &event.data {
            Some(data) if !data.is_empty() => self.reader.read(data),
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
        self.reader.complete()
    }

    fn produced(&self) -> i64 {
        self.reader.produced()
    }

    fn usage(&self) -> Option<Usage> {
        self.reader.usage()
    }

    fn told_input(&self) -> Option<Usage> {
        self.reader.told_input()
    }

    fn finish(&mut self) -> Vec<SseEvent> {
        Vec::new()
    }

    fn error_event(&self, code: &str, message: &str) -> SseEvent {
        error::event(self.dialect, code, message, self.reader.next_sequence())
    }
}
