//! Writes protobuf straight from borrowed facts. The records of an admission have some fifty strings; copying them into
//! message structs first would take longer than the decision. The bytes are those of prost: fields in number order,
//! defaults left out, maps in key order (a test compares).
use std::collections::BTreeMap;

use fairlead_wire::v1::Amount;
use prost::Message;
use prost::encoding::{WireType, decode_varint, encode_varint, encoded_len_varint};

/// Writes fields behind what is already in the buffer.
pub(crate) struct Encoder<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> Encoder<'a> {
    /// Appends to `out`.
    pub(crate) fn new(out: &'a mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Bytes written so far, whatever they are of.
    pub(crate) fn position(&self) -> usize {
        self.out.len()
    }

    /// Fields that are encoded already.
    pub(crate) fn fields(&mut self, encoded: &[u8]) {
        self.out.extend_from_slice(encoded);
    }

    /// Elements of one repeated field below 16 that are encoded already, as another such field.
    pub(crate) fn renumbered(&mut self, field: u32, mut encoded: &[u8]) {
        while let Some((_, rest)) = encoded.split_first() {
            let mut body = rest;
            let Some(length) = decode_varint(&mut body)
                .ok()
                .and_then(|length| usize::try_from(length).ok())
            else {
                return;
            };
            let Some((element, after)) = rest.split_at_checked(rest.len() - body.len() + length) else {
                return;
            };
            self.key(field, WireType::LengthDelimited);
            self.out.extend_from_slice(element);
            encoded = after;
        }
    }

    /// A string; left out when empty.
    #[inline]
    pub(crate) fn text(&mut self, field: u32, value: &str) {
        self.bytes(field, value.as_bytes());
    }

    /// Bytes; left out when empty.
    pub(crate) fn bytes(&mut self, field: u32, value: &[u8]) {
        if !value.is_empty() {
            self.element(field, value);
        }
    }

    /// A string or bytes of a repeated field or a oneof: written even when empty.
    pub(crate) fn element(&mut self, field: u32, value: &[u8]) {
        self.key(field, WireType::LengthDelimited);
        self.varint(value.len() as u64);
        self.out.extend_from_slice(value);
    }

    /// An `int64`, `int32` or enum; left out when 0. Negative numbers take ten bytes, as the format has it.
    pub(crate) fn int(&mut self, field: u32, value: i64) {
        self.uint(field, value.cast_unsigned());
    }

    /// An `optional int64`; written when it is there, even when 0.
    pub(crate) fn optional_int(&mut self, field: u32, value: Option<i64>) {
        if let Some(value) = value {
            self.key(field, WireType::Varint);
            self.varint(value.cast_unsigned());
        }
    }

    /// A `uint64` or `uint32`; left out when 0.
    pub(crate) fn uint(&mut self, field: u32, value: u64) {
        if value != 0 {
            self.key(field, WireType::Varint);
            self.varint(value);
        }
    }

    /// A `bool`; left out when false.
    pub(crate) fn flag(&mut self, field: u32, value: bool) {
        self.uint(field, u64::from(value));
    }

    /// An `optional double`; written when it is there, even when 0.
    pub(crate) fn optional_double(&mut self, field: u32, value: Option<f64>) {
        if let Some(value) = value {
            self.key(field, WireType::SixtyFourBit);
            self.out.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// A message that exists as a struct; written even when it has no fields.
    pub(crate) fn message(&mut self, field: u32, value: &impl Message) {
        self.key(field, WireType::LengthDelimited);
        self.varint(value.encoded_len() as u64);
        value.encode_raw(self.out);
    }

    /// An amount; written even when it is nothing.
    pub(crate) fn amount(&mut self, field: u32, amount: &Amount) {
        self.nested(field, |out| {
            out.int(1, amount.nano_usd);
            out.int(2, amount.tokens);
            out.int(3, amount.requests);
        });
    }

    /// Key of a field; one byte for fields up to 15, two for the others that there are.
    #[inline]
    fn key(&mut self, field: u32, wire_type: WireType) {
        self.varint(u64::from(field << 3 | wire_type as u32));
    }

    /// Most are a single byte.
    #[inline]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value.to_le_bytes()[0] | 0x80);
            value >>= 7;
        }
        self.out.push(value.to_le_bytes()[0]);
    }

    /// A message written in place; written even when it has no fields.
    #[inline]
    pub(crate) fn nested(&mut self, field: u32, write: impl FnOnce(&mut Encoder<'_>)) {
        self.key(field, WireType::LengthDelimited);
        let length_at = self.out.len();
        // Most nested messages are shorter than 128 bytes: one byte of length. Longer ones are moved.
        self.out.push(0);
        write(&mut Encoder { out: self.out });
        let length = (self.out.len() - length_at - 1) as u64;
        let more = encoded_len_varint(length) - 1;
        if more > 0 {
            let end = self.out.len();
            self.out.resize(end + more, 0);
            self.out.copy_within(length_at + 1..end, length_at + 1 + more);
        }
        if let Some(mut room) = self.out.get_mut(length_at..=length_at + more) {
            encode_varint(length, &mut room);
        }
    }

    /// A packed `repeated uint64`; left out when empty.
    pub(crate) fn packed(&mut self, field: u32, values: &[u64]) {
        if !values.is_empty() {
            self.nested(field, |packed| values.iter().for_each(|value| packed.varint(*value)));
        }
    }

    /// A map of strings.
    pub(crate) fn map(&mut self, field: u32, values: &BTreeMap<String, String>) {
        for (key, value) in values {
            self.nested(field, |entry| {
                entry.text(1, key);
                entry.text(2, value);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use fairlead_wire::v1::{DecisionInputs, DecisionRecord, InputEstimate};

    use super::*;

    #[test]
    fn the_bytes_are_those_of_prost_whatever_the_length() {
        for length in [0_usize, 1, 50, 127, 128, 200, 16_383, 16_384, 40_000] {
            let long = "x".repeat(length);
            let labels = BTreeMap::from([("a".to_owned(), long.clone()), (String::new(), "b".to_owned())]);
            let reserved = Amount {
                nano_usd: -5,
                tokens: 0,
                requests: 1,
            };
            let expected = DecisionRecord {
                inputs: Some(DecisionInputs {
                    model: long.clone(),
                    labels: labels.clone(),
                    min_quality: Some(0.0),
                    capabilities: vec![String::new(), "json".to_owned()],
                    stream: true,
                    estimates: vec![InputEstimate {
                        model: "m".to_owned(),
                        tokens: i64::MAX,
                    }],
                    ..DecisionInputs::default()
                }),
                reserved: Some(reserved),
                max_output_tokens: 7,
                ..DecisionRecord::default()
            };
            let mut bytes = Vec::new();
            let mut out = Encoder::new(&mut bytes);
            out.nested(1, |inputs| {
                inputs.text(4, &long);
                inputs.map(9, &labels);
                inputs.optional_double(15, Some(0.0));
                inputs.element(16, b"");
                inputs.element(16, b"json");
                inputs.flag(17, true);
                inputs.nested(19, |one| {
                    one.text(1, "m");
                    one.int(2, i64::MAX);
                });
            });
            out.amount(5, &reserved);
            out.int(7, 7);
            assert_eq!(bytes, expected.encode_to_vec());
        }
    }
}
