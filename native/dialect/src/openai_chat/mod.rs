//! OpenAI Chat Completions.

mod content;
mod error;
mod event;
mod request;
mod usage;
mod whole;

use bytes::Bytes;

pub use request::ChatRequest;

use super::{EventReader, Exchange, ProviderFault, Rewrite, WholeFacts};

impl Exchange for ChatRequest {
    fn path(&self) -> &'static str {
        "/chat/completions"
    }

    fn streams(&self) -> bool {
        self.stream
    }

    fn body_for(&self, rewrite: &Rewrite<'_>) -> Bytes {
        self.rewritten(rewrite)
    }

    fn read_whole(&self, body: &[u8]) -> WholeFacts {
        whole::read(body)
    }

    fn read_error(&self, body: &[u8]) -> ProviderFault {
        error::read(body)
    }

    fn event_reader(&self) -> Box<dyn EventReader> {
        Box::new(event::ChatEvents::new(self.choices, self.usage_asked))
    }

    fn error_event(&self, code: &str, message: &str) -> Bytes {
        error::event(code, message)
    }

    fn choices(&self) -> i64 {
        self.choices
    }
}
