//! JSON from outside: inputs of runs, results of workers, answers of models, payloads of signals.

use fairlead_plan::tool::{Json, JsonError};

/// Deepest nesting of a payload. What is rendered is not deeper either, so that it can be read again.
pub const MOST_PAYLOAD_DEPTH: usize = 64;
/// Most values in a payload, lists and objects included: a value takes tens of bytes of memory, however short its text.
pub const MOST_PAYLOAD_VALUES: usize = 2_000_000;

/// What is wrong with a payload. Never has content, but for the names of members.
pub type PayloadError = JsonError;

/// Reads a payload; how many bytes it may have is the caller's to check.
///
/// # Errors
/// It is not JSON, is beyond the bounds, names a member twice, or has a number beyond the range of a double.
pub fn read_payload(text: &[u8]) -> Result<Json, PayloadError> {
    Json::parse_bounded(text, MOST_PAYLOAD_DEPTH, MOST_PAYLOAD_VALUES)
}
