//! The bytes of `AuditEvent` and `WatchEventsResponse`.
//!
//! Written by hand, because a message of the generated type would have to decode the record and encode it again: its
//! field `record` has the very bytes that were stored. A test decodes what is written with the generated types.
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::encode_length_delimiter;
use prost::length_delimiter_len;

/// Fields of `AuditEvent`.
const RECORD: u8 = 1;
const RECORD_HASH: u8 = 2;
const PREV_HASH: u8 = 3;
const RECORD_BYTES: u8 = 4;
const VALUES: u8 = 5;
/// Fields of `WatchEventsResponse`.
const EVENT: u8 = 1;
const RESUME_TOKEN: u8 = 2;
const EVENTS: u8 = 4;
/// Wire type of everything that has a length.
const WITH_LENGTH: u8 = 2;

/// Version of resume tokens, and the bytes of the hash that they have.
const TOKEN_VERSION: u8 = 1;
const FINGERPRINT_BYTES: usize = 8;
/// More than a token and its field take.
const TOKEN_ROOM: usize = 32;

/// One record with its place in the chain.
pub(crate) struct Event<'a> {
    pub(crate) record_bytes: &'a [u8],
    pub(crate) record_hash: &'a [u8],
    pub(crate) prev_hash: &'a [u8],
    /// Messages `ErasableValue`.
    pub(crate) values: &'a [&'a [u8]],
}

impl Event<'_> {
    fn len(&self) -> usize {
        let values: usize = self.values.iter().map(|value| field_len(value)).sum();
        field_len(self.record_bytes)
            + optional_len(self.record_hash)
            + optional_len(self.prev_hash)
            + optional_len(self.record_bytes)
            + values
    }

    fn write(&self, to: &mut Vec<u8>) {
        // Set also when it is empty: a record without anything is a record.
        field(to, RECORD, self.record_bytes);
        optional(to, RECORD_HASH, self.record_hash);
        optional(to, PREV_HASH, self.prev_hash);
        optional(to, RECORD_BYTES, self.record_bytes);
        for value in self.values {
            field(to, VALUES, value);
        }
    }
}

/// A response that grows by events; finished by its token.
#[derive(Default)]
pub(crate) struct Response {
    bytes: Vec<u8>,
    events: usize,
    token: String,
}

impl Response {
    /// One event alone, in the field of one.
    pub(crate) fn single(event: &Event<'_>, sequence: u64) -> Vec<u8> {
        let mut response = Self::default();
        response.add(EVENT, event, sequence);
        response.finish()
    }

    /// Number of its events.
    pub(crate) fn events(&self) -> usize {
        self.events
    }

    /// True when the response has an event, and would be larger than the bound with this one.
    pub(crate) fn is_full_for(&self, event: &Event<'_>, max_bytes: usize) -> bool {
        let room = event.len() + 1 + length_delimiter_len(event.len()) + TOKEN_ROOM;
        self.events > 0 && self.bytes.len() + room > max_bytes
    }

    /// Adds an event.
    pub(crate) fn push(&mut self, event: &Event<'_>, sequence: u64) {
        self.add(EVENTS, event, sequence);
    }

    fn add(&mut self, number: u8, event: &Event<'_>, sequence: u64) {
        let length = event.len();
        self.bytes.reserve(length + TOKEN_ROOM);
        header(&mut self.bytes, number, length);
        event.write(&mut self.bytes);
        self.events += 1;
        self.token = token(sequence, event.record_hash);
    }

    /// The bytes, with the position after the last event.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        field(&mut self.bytes, RESUME_TOKEN, self.token.as_bytes());
        self.bytes
    }
}

/// The position after a record, as the API gives it.
fn token(sequence: u64, record_hash: &[u8]) -> String {
    let mut packed = vec![TOKEN_VERSION];
    packed.extend(sequence.to_be_bytes());
    packed.extend(record_hash.iter().take(FINGERPRINT_BYTES));
    URL_SAFE_NO_PAD.encode(packed)
}

fn header(to: &mut Vec<u8>, number: u8, length: usize) {
    to.push((number << 3) | WITH_LENGTH);
    // Into a vector, which grows: it cannot fail.
    let _ = encode_length_delimiter(length, to);
}

fn field(to: &mut Vec<u8>, number: u8, value: &[u8]) {
    header(to, number, value.len());
    to.extend_from_slice(value);
}

fn optional(to: &mut Vec<u8>, number: u8, value: &[u8]) {
    if !value.is_empty() {
        field(to, number, value);
    }
}

fn field_len(value: &[u8]) -> usize {
    1 + length_delimiter_len(value.len()) + value.len()
}

fn optional_len(value: &[u8]) -> usize {
    if value.is_empty() { 0 } else { field_len(value) }
}
