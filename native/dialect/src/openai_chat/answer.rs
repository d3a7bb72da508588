//! A whole answer of Chat Completions, read and written.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::event_read::ChatReader;
use super::usage;
use crate::neutral::{Answer, Block, Delta, Finish};
use crate::translation::{Manner, Misread, Reader};

/// Reads an answer as if it came in one piece.
pub(crate) fn read(body: &[u8], out: &mut Vec<Delta>) -> Result<(), Misread> {
    let mut reader = ChatReader::default();
    reader.read(body, out)?;
    if !reader.has_started() {
        return Err(Misread::Garbled);
    }
    reader.close(out);
    Ok(())
}

/// Writes an answer. Texts become one `content`, thinking becomes `reasoning_content`, the field that most clients of
/// thinking models read.
pub(crate) fn write(answer: &Answer, manner: &Manner) -> Bytes {
    let mut message = Map::new();
    message.insert("role".to_owned(), "assistant".into());
    let content = joined(answer, |block| match block {
        Block::Text(text) => Some(text),
        _ => None,
    });
    let refusal = joined(answer, |block| match block {
        Block::Refusal(text) => Some(text),
        _ => None,
    });
    let thinking = joined(answer, |block| match block {
        Block::Thinking { text, .. } => Some(text),
        _ => None,
    });
    message.insert("content".to_owned(), content.into());
    message.insert("refusal".to_owned(), refusal.into());
    if let Some(thinking) = thinking {
        message.insert("reasoning_content".to_owned(), thinking.into());
    }
    let calls: Vec<Value> = answer.blocks.iter().filter_map(call).collect();
    if !calls.is_empty() {
        message.insert("tool_calls".to_owned(), calls.into());
    }
    let mut body = json!({
        "id": manner.id("chatcmpl-", &answer.id),
        "object": "chat.completion",
        "created": manner.created(answer.created),
        "model": answer.model,
        "choices": [{
            "index": 0,
            "message": message,
            "logprobs": null,
            "finish_reason": finish_reason(&answer.finish),
        }],
    });
    if let (Value::Object(body), Some(reported)) = (&mut body, &answer.usage) {
        body.insert("usage".to_owned(), usage::write(reported));
    }
    Bytes::from(body.to_string())
}

/// The texts of some blocks, in one; `None` without any.
fn joined<'a>(answer: &'a Answer, text: impl Fn(&'a Block) -> Option<&'a String>) -> Option<String> {
    let texts: String = answer.blocks.iter().filter_map(text).map(String::as_str).collect();
    (!texts.is_empty()).then_some(texts)
}

fn call(block: &Block) -> Option<Value> {
    match block {
        Block::ToolCall { id, name, arguments } => Some(json!({
            "id": id,
            "type": "function",
            "function": {"name": name, "arguments": arguments},
        })),
        _ => None,
    }
}

/// The dialect's word for the end of an answer.
pub(super) fn finish_reason(finish: &Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::StopSequence(_) | Finish::Paused => "stop",
        Finish::Length => "length",
        Finish::ToolCalls => "tool_calls",
        Finish::Refused => "content_filter",
    }
}
