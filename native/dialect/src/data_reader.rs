//! What reads the events of a stream that is passed on as it is.

use crate::{EventFacts, Usage};

/// Reads the data of the events of one stream.
pub(crate) trait DataReader: Send {
    /// Reads the data of one event.
    fn read(&mut self, data: &[u8]) -> EventFacts;
    /// True when every answer has come to its end, so that a clean end of the connection is a clean end of the stream.
    fn complete(&self) -> bool;
    /// Upper estimate in tokens of the content so far.
    fn produced(&self) -> i64;
    /// Usage that the provider reported, once it did.
    fn usage(&self) -> Option<Usage>;
    /// As for [`crate::EventReader::told_input`].
    fn told_input(&self) -> Option<Usage> {
        None
    }
    /// The number of the next event, where the dialect numbers them.
    fn next_sequence(&self) -> i64 {
        0
    }
}
