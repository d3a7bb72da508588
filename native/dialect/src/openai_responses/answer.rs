//! A whole answer of Responses, read and written.

use bytes::Bytes;
use serde_json::{Value, json};

use super::event_read::{Response, ResponsesReader};
use super::usage;
use crate::json::{Members, quoted};
use crate::neutral::{Answer, Block, Delta, Finish};
use crate::translation::{Manner, Misread, id_part};

/// What a response repeats of its request, and what stands there when the request does not say.
const ECHOED: [(&str, &str); 15] = [
    ("background", "false"),
    ("instructions", "null"),
    ("max_output_tokens", "null"),
    ("metadata", "{}"),
    ("parallel_tool_calls", "true"),
    ("previous_response_id", "null"),
    ("reasoning", r#"{"effort":null,"summary":null}"#),
    ("store", "false"),
    ("temperature", "null"),
    ("text", r#"{"format":{"type":"text"}}"#),
    ("tool_choice", r#""auto""#),
    ("tools", "[]"),
    ("top_p", "null"),
    ("truncation", r#""disabled""#),
    ("user", "null"),
];

/// The members of a request that its response repeats, each with a leading comma. Nothing is kept at the provider for a
/// translated call, so `store` is false whatever was asked.
pub(crate) fn echo(request: &[u8]) -> String {
    let members = Members::parse(request).ok();
    let mut echo = String::new();
    for (key, absent) in ECHOED {
        let told = members.as_ref().and_then(|members| members.get(key));
        let value = told.filter(|_told| key != "store").map_or(absent, |told| told.get());
        echo.push_str(&format!(",{}:{value}", quoted(key)));
    }
    echo
}

/// Reads an answer as if it came in one piece.
pub(crate) fn read(body: &[u8], out: &mut Vec<Delta>) -> Result<(), Misread> {
    let response: Response<'_> = serde_json::from_slice(body).map_err(|_other| Misread::Garbled)?;
    ResponsesReader::default().answer(response, out)
}

/// Writes an answer.
pub(crate) fn write(answer: &Answer, manner: &Manner) -> Bytes {
    let id = manner.id("resp_", &answer.id);
    let output: Vec<String> = answer
        .blocks
        .iter()
        .enumerate()
        .filter_map(|(index, block)| item(&id, index, block, "completed"))
        .map(|item| item.to_string())
        .collect();
    Bytes::from(response(
        &id,
        answer,
        manner,
        &format!("[{}]", output.join(",")),
        Some(&answer.finish),
    ))
}

/// A response object. Without a reason to end it is still in progress.
pub(super) fn response(id: &str, answer: &Answer, manner: &Manner, output: &str, finish: Option<&Finish>) -> String {
    let (status, reason) = match finish {
        None => ("in_progress", None),
        Some(Finish::Length) => ("incomplete", Some("max_output_tokens")),
        Some(Finish::Refused) => ("incomplete", Some("content_filter")),
        Some(Finish::Stop | Finish::StopSequence(_) | Finish::ToolCalls | Finish::Paused) => ("completed", None),
    };
    let details = reason.map_or(Value::Null, |reason| json!({"reason": reason}));
    let reported = finish.and(answer.usage.as_ref()).map_or(Value::Null, usage::write);
    let echo: &str = if manner.echo.is_empty() {
        &echo(b"{}")
    } else {
        &manner.echo
    };
    format!(
        r#"{{"id":{},"object":"response","created_at":{},"status":"{status}","error":null,"incomplete_details":{details},"model":{},"output":{output},"usage":{reported}{echo}}}"#,
        quoted(id),
        manner.created(answer.created),
        quoted(&answer.model)
    )
}

/// The id of an output item.
pub(super) fn item_id(prefix: &str, response: &str, index: usize) -> String {
    format!("{prefix}_{}_{index}", id_part(response))
}

/// An output item; `None` for what the dialect has no place for. Thinking is told as its summary: that is where clients
/// look for it.
pub(super) fn item(id: &str, index: usize, block: &Block, status: &str) -> Option<Value> {
    let message = |content: Value| {
        json!({
            "id": item_id("msg", id, index),
            "type": "message",
            "status": status,
            "role": "assistant",
            "content": content,
        })
    };
    match block {
        Block::Text(_) | Block::Refusal(_) => Some(message(json!([part(block)?]))),
        Block::Thinking { redacted: true, .. } => None,
        Block::Thinking { text, .. } => {
            let summary: Vec<Value> = part(block).filter(|_part| !text.is_empty()).into_iter().collect();
            Some(json!({"id": item_id("rs", id, index), "type": "reasoning", "summary": summary}))
        }
        Block::ToolCall {
            id: call,
            name,
            arguments,
        } => Some(json!({
            "id": item_id("fc", id, index),
            "type": "function_call",
            "status": status,
            "arguments": arguments,
            "call_id": call,
            "name": name,
        })),
    }
}

/// The part of an item that holds its text.
pub(super) fn part(block: &Block) -> Option<Value> {
    match block {
        Block::Text(text) => Some(json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})),
        Block::Refusal(text) => Some(json!({"type": "refusal", "refusal": text})),
        Block::Thinking { text, .. } => Some(json!({"type": "summary_text", "text": text})),
        Block::ToolCall { .. } => None,
    }
}
