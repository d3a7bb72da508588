//! JSON of runs: inputs, results of workers, answers of models, payloads of signals.

use fairlead_plan::tool::{Json, JsonError};

/// Deepest nesting of a payload. What is rendered is not deeper either, so that it can be read again.
pub const MOST_PAYLOAD_DEPTH: usize = 64;
/// Most values in a payload, lists and objects included: a value takes tens of bytes of memory, however short its text.
pub const MOST_PAYLOAD_VALUES: usize = 2_000_000;

/// Deepest nesting of what a run has stored: lists of a `forEach` and outputs of child runs put payloads inside of others,
/// at most a few levels for each run above.
const MOST_STORED_DEPTH: usize = 256;

/// What is wrong with a payload. Never has content, but for the names of members.
pub type PayloadError = JsonError;

/// Reads a payload; how many bytes it may have is the caller's to check.
///
/// # Errors
/// It is not JSON, is beyond the bounds, names a member twice, or has a number beyond the range of a double.
pub fn read_payload(text: &[u8]) -> Result<Json, PayloadError> {
    Json::parse_bounded(text, MOST_PAYLOAD_DEPTH, MOST_PAYLOAD_VALUES)
}

/// Reads what a run has stored. It was within the bounds of payloads when it came, and may have been put together since:
/// what was accepted is never lost for being a level deeper.
///
/// # Errors
/// As [`read_payload`], which for what was stored means that it is broken.
pub fn read_stored(text: &[u8]) -> Result<Json, PayloadError> {
    Json::parse_bounded(text, MOST_STORED_DEPTH, usize::MAX)
}
