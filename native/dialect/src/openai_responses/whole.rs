//! A whole answer that is passed on as it is.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::usage;
use crate::WholeFacts;
use crate::error::ErrorObject;

#[derive(Deserialize)]
struct Response<'a> {
    #[serde(borrow, default)]
    output: Option<Vec<&'a RawValue>>,
    #[serde(default)]
    status: Option<String>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<Value>,
}

/// Reads an answer; strange fields are left to the client to judge.
pub(crate) fn read(body: &[u8]) -> WholeFacts {
    let Ok(response) = serde_json::from_slice::<Response<'_>>(body) else {
        return WholeFacts::Garbled;
    };
    if let Some(error) = &response.error {
        return WholeFacts::Fault(ErrorObject::of(error).fault());
    }
    // Failed or cancelled, or to be asked for later. Some compatible servers tell no status.
    let ended = matches!(response.status.as_deref(), None | Some("completed" | "incomplete"));
    if response.output.is_none() || !ended {
        return WholeFacts::Garbled;
    }
    WholeFacts::Answer {
        usage: response.usage.and_then(|report| usage::read(report.get())),
        body: None,
    }
}
