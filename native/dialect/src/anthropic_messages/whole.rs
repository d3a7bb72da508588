//! A whole answer that is passed on as it is.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::usage::Report;
use crate::WholeFacts;
use crate::error::ErrorObject;

#[derive(Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    content: Option<Vec<&'a RawValue>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
}

/// Reads an answer; strange fields are left to the client to judge.
pub(crate) fn read(body: &[u8]) -> WholeFacts {
    let Ok(message) = serde_json::from_slice::<Message<'_>>(body) else {
        return WholeFacts::Garbled;
    };
    if let Some(error) = &message.error {
        return WholeFacts::Fault(ErrorObject::of(error).fault());
    }
    if message.content.is_none() {
        return WholeFacts::Garbled;
    }
    WholeFacts::Answer {
        usage: message.usage.and_then(|report| Report::read(report.get())?.usage()),
        body: None,
    }
}
