//! The seam of Chat Completions alone, until attempts speak of requests and turns.

use std::fmt;

use bytes::Bytes;

use crate::{EventFacts, ProviderFault, Usage, Vendor, WholeFacts};

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
    fn event_reader(&self) -> Box<dyn DataReader>;
    /// The data of the event that ends a broken stream.
    fn error_event(&self, code: &str, message: &str) -> Bytes;
    /// Number of answers asked for, at least 1.
    fn choices(&self) -> i64;
}

/// Reads the data of the events of one stream.
pub trait DataReader: Send {
    /// Reads the data of one event.
    fn read(&mut self, data: &[u8]) -> EventFacts;
    /// True when every answer has come to its end, so that a clean end of the connection is a clean end of the stream.
    fn complete(&self) -> bool;
    /// Upper estimate in tokens of the content so far.
    fn produced(&self) -> i64;
    /// Usage that the provider reported, once it did.
    fn usage(&self) -> Option<Usage>;
    /// The number of the next event, where the dialect numbers them.
    fn next_sequence(&self) -> i64 {
        0
    }
}
