//! Fairlead `dialect`: what the bodies of model calls mean.
//!
//! A [`Request`] is one call as the client wrote it. [`Request::turn`] makes a [`Turn`] of it for one target: the body to
//! send, and how to read what comes back; everything about connections, retries and fallback is outside. A target that
//! speaks the client's dialect gets the client's bytes but for what must change; for any other the request is read into
//! [`neutral`] words and written from them. Pure: no I/O, no clock.
//!
//! | module | idea |
//! |---|---|
//! | [`neutral`] | what all dialects have in common: the words that translation goes through |
//! | [`sse`] | server-sent events, incrementally, byte for byte |
//! | [`text`] | the texts of an answer, for rules about them |

mod anthropic_messages;
mod data_reader;
mod dialect;
mod error;
mod fields;
mod invalid;
mod json;
mod media;
pub mod neutral;
mod openai;
mod openai_chat;
mod openai_responses;
mod provider_tools;
mod reader;
mod reading;
mod request;
mod schema;
mod size;
pub mod sse;
pub mod text;
mod translation;
mod turn;
mod usage;
mod vendor;
mod words;

use bytes::Bytes;

pub use dialect::Dialect;
pub use invalid::InvalidRequest;
pub use request::{Facts, Request};
use sse::SseEvent;
pub use turn::{Turn, Wire};
pub use usage::Usage;
pub use vendor::Vendor;

/// Reads the events of one stream.
pub trait EventReader: Send {
    /// One event from the target: what it means, and what the client gets for it (in the same dialect the event itself,
    /// byte for byte).
    fn read(&mut self, event: SseEvent) -> (EventFacts, Vec<SseEvent>);
    /// True when every answer has come to its end, so that an end marker or a clean end of the connection is a clean end
    /// of the stream.
    fn complete(&self) -> bool;
    /// Upper estimate in tokens of the content so far.
    fn produced(&self) -> i64;
    /// Usage that the provider reported, once it did.
    fn usage(&self) -> Option<Usage>;
    /// Input that the provider reported before the end, without any output: what a stream that breaks has read.
    fn told_input(&self) -> Option<Usage>;
    /// Events that a clean end of the connection still owes the client: those of a translated stream whose source has no
    /// end marker.
    fn finish(&mut self) -> Vec<SseEvent>;
    /// The event that ends this stream when it breaks, in the client's dialect and with its number in the stream; never
    /// a clean end.
    fn error_event(&self, code: &str, message: &str) -> SseEvent;
}

/// What an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EventFacts {
    /// Framing before the content, such as the role: a fallback is still possible after it.
    Prelude,
    /// Content, or the end of an answer.
    Content,
    /// Usage that the client did not ask for; not passed on.
    Hidden,
    /// The end marker.
    Done,
    /// The provider reports an error inside the stream.
    Fault(ProviderFault),
    /// Not what the dialect allows.
    Garbled,
}

/// What a whole answer is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WholeFacts {
    /// An answer, with what the provider reported about usage.
    Answer {
        /// Usage, when it was reported and makes sense.
        usage: Option<Usage>,
        /// The answer in the client's dialect; `None`: pass the bytes on as they came.
        body: Option<Bytes>,
    },
    /// An error in spite of the status.
    Fault(ProviderFault),
    /// Not what the dialect allows.
    Garbled,
}

/// What kind of error a provider reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// Too many requests or tokens for now.
    RateLimited,
    /// The account has no credit: waiting does not help.
    QuotaExhausted,
    /// The provider is out of capacity, whatever the status says.
    Overloaded,
    /// Nothing of these.
    Other,
}

/// An error that a provider reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProviderFault {
    /// Kind.
    pub kind: FaultKind,
    /// The provider's code or type when it looks like an identifier, else empty. Never free text: that may repeat
    /// content.
    pub code: String,
}

impl ProviderFault {
    /// A fault of which nothing is known.
    #[must_use]
    pub fn unknown() -> Self {
        Self {
            kind: FaultKind::Other,
            code: String::new(),
        }
    }
}
