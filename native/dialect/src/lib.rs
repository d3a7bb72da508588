//! Fairlead `dialect`: what the bodies of model calls mean.
//!
//! The seam between attempts and wire formats: an [`Exchange`] is one call in one dialect. It knows how to write the
//! body for a target and how to read what comes back; everything about connections, retries and fallback is outside.
//! Pure: no I/O, no clock.
//!
//! | module | idea |
//! |---|---|
//! | [`neutral`] | what all dialects have in common: the words that translation goes through |
//! | [`openai_chat`] | OpenAI Chat Completions |
//! | [`sse`] | server-sent events, incrementally, byte for byte |
//! | [`text`] | the texts of an answer, for rules about them |

mod dialect;
mod json;
pub mod neutral;
pub mod openai_chat;
pub mod sse;
pub mod text;
mod usage;
mod vendor;

use std::fmt;

use bytes::Bytes;

pub use dialect::Dialect;
pub use usage::Usage;
pub use vendor::Vendor;

/// What the attempt puts into the body of a request.
#[derive(Clone, Copy, Debug)]
pub struct Rewrite<'a> {
    /// The model's name at the provider.
    pub upstream_model: &'a str,
    /// Most output tokens of one choice; 0 leaves the limit as it is.
    pub max_output_tokens: i64,
    /// Kind of the provider.
    pub kind: Vendor,
}

/// One call in one dialect.
pub trait Exchange: Send + Sync + fmt::Debug {
    /// Path below the provider's base URL, with a leading slash.
    fn path(&self) -> &'static str;
    /// True when the answer is a stream.
    fn streams(&self) -> bool;
    /// The body for a target: the client's bytes but for what must change.
    fn body_for(&self, rewrite: &Rewrite<'_>) -> Bytes;
    /// Reads a whole answer with a success status.
    fn read_whole(&self, body: &[u8]) -> WholeFacts;
    /// Reads the body of an error status.
    fn read_error(&self, body: &[u8]) -> ProviderFault;
    /// A reader for the events of one stream.
    fn event_reader(&self) -> Box<dyn EventReader>;
    /// The data of the event that ends a broken stream.
    fn error_event(&self, code: &str, message: &str) -> Bytes;
    /// Number of answers asked for, at least 1.
    fn choices(&self) -> i64;
}

/// Reads the events of one stream.
pub trait EventReader: Send {
    /// Reads the data of one event.
    fn read(&mut self, data: &[u8]) -> EventFacts;
    /// True when every answer has come to its end, so that a clean end of the connection is a clean end of the stream.
    fn complete(&self) -> bool;
    /// Upper estimate in tokens of the content so far.
    fn produced(&self) -> i64;
    /// Usage that the provider reported, once it did.
    fn usage(&self) -> Option<Usage>;
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

/// A request that is refused before anything is decided about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidRequest {
    /// Path of the field, such as `messages` or `stream_options.include_usage`; empty for the body itself.
    pub field: String,
    /// What is wrong and what to do; contains no content.
    pub message: String,
}

impl InvalidRequest {
    pub(crate) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.field.is_empty() {
            write!(formatter, "the body {}", self.message)
        } else {
            write!(formatter, "{} {}", self.field, self.message)
        }
    }
}

impl std::error::Error for InvalidRequest {}
