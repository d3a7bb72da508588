//! The fields of a body that every dialect has, checked and rewritten in place.

use bytes::Bytes;
use serde_json::value::RawValue;

use crate::InvalidRequest;
use crate::json::{Edits, Members, deeper_than, quoted, range_in};

/// Deepest nesting of a body.
const DEPTH: usize = 128;
/// Longest name of a model, in bytes.
const MODEL: usize = 256;

/// The members of a body.
pub(crate) fn members(body: &[u8]) -> Result<Members<'_>, InvalidRequest> {
    if deeper_than(body, DEPTH) {
        return Err(InvalidRequest::new("", format!("is nested deeper than {DEPTH} levels")));
    }
    Members::parse(body).map_err(|error| InvalidRequest::object("", &error))
}

/// The model as requested; may be empty.
pub(crate) fn model(members: &Members<'_>) -> Result<String, InvalidRequest> {
    let value = members
        .get_or_null("model")
        .ok_or_else(|| InvalidRequest::new("model", "is required"))?;
    let model: String =
        serde_json::from_str(value.get()).map_err(|_other| InvalidRequest::new("model", "must be a string"))?;
    if model.len() > MODEL || model.chars().any(char::is_control) {
        return Err(InvalidRequest::new(
            "model",
            format!("must be at most {MODEL} characters without control characters"),
        ));
    }
    Ok(model)
}

/// A field that is a string or absent.
pub(crate) fn text(members: &Members<'_>, field: &str) -> Result<Option<String>, InvalidRequest> {
    members
        .get(field)
        .map(|value| serde_json::from_str(value.get()).map_err(|_other| InvalidRequest::new(field, "must be a string")))
        .transpose()
}

/// A field that is an object or absent.
pub(crate) fn object<'a>(members: &Members<'a>, field: &str) -> Result<Option<Members<'a>>, InvalidRequest> {
    members
        .get(field)
        .map(|value| Members::parse(value.get().as_bytes()).map_err(|error| InvalidRequest::object(field, &error)))
        .transpose()
}

/// A field that is a boolean or absent.
pub(crate) fn boolean(members: &Members<'_>, field: &str) -> Result<Option<bool>, InvalidRequest> {
    match members.get(field).map(RawValue::get) {
        None => Ok(None),
        Some("true") => Ok(Some(true)),
        Some("false") => Ok(Some(false)),
        Some(_) => Err(InvalidRequest::new(field, "must be a boolean")),
    }
}

/// A field that is a positive integer or absent.
pub(crate) fn positive(members: &Members<'_>, field: &str) -> Result<Option<i64>, InvalidRequest> {
    let Some(value) = members.get(field) else {
        return Ok(None);
    };
    match value.get().parse::<i64>() {
        Ok(number) if number > 0 => Ok(Some(number)),
        _ => Err(InvalidRequest::new(field, "must be a positive integer")),
    }
}

/// Writes members of an object in place, or before its closing brace; all else keeps its bytes.
pub(crate) struct Writer<'a> {
    text: &'a [u8],
    members: Members<'a>,
    edits: Edits,
    /// The next member that is added follows another one.
    follows: bool,
}

impl<'a> Writer<'a> {
    /// A writer for an object; `None` when it is none.
    pub(crate) fn new(text: &'a [u8]) -> Option<Self> {
        let members = Members::parse(text).ok()?;
        Some(Self {
            text,
            follows: !members.is_empty(),
            members,
            edits: Edits::default(),
        })
    }

    /// The value of a key; `null` counts as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.members.get(key)
    }

    /// Sets a key to a JSON text.
    pub(crate) fn set(&mut self, key: &str, value: String) {
        if let Some(present) = self.members.get_or_null(key) {
            self.edits.replace(range_in(self.text, present), value);
            return;
        }
        let Some(close) = self.text.iter().rposition(|byte| *byte == b'}') else {
            return;
        };
        let comma = if self.follows { "," } else { "" };
        self.follows = true;
        self.edits
            .replace(close..close, format!("{comma}{}:{value}", quoted(key)));
    }

    /// Replaces a value somewhere inside the object, that was read from the same text.
    pub(crate) fn replace(&mut self, value: &RawValue, with: String) {
        self.edits.replace(range_in(self.text, value), with);
    }

    /// The edited text; `text` is what the writer was made for.
    pub(crate) fn finish(self, text: &Bytes) -> Bytes {
        self.edits.apply(text)
    }
}

/// The same body as a stream or a whole answer. Options of a stream are refused without one.
pub(crate) fn with_stream(body: &Bytes, stream: bool) -> Bytes {
    let Some(mut writer) = Writer::new(body) else {
        return body.clone();
    };
    writer.set("stream", stream.to_string());
    if !stream && writer.get("stream_options").is_some() {
        writer.set("stream_options", "null".to_owned());
    }
    writer.finish(body)
}
