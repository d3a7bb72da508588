//! A whole answer of Anthropic Messages, read and written.

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::event_read::{Message, MessagesReader};
use super::usage;
use crate::json::quoted;
use crate::neutral::{Answer, Block, Delta, Finish};
use crate::translation::{Manner, Misread};

/// Reads an answer as if it came in one piece.
pub(crate) fn read(body: &[u8], out: &mut Vec<Delta>) -> Result<(), Misread> {
    let message: Message<'_> = serde_json::from_slice(body).map_err(|_other| Misread::Garbled)?;
    MessagesReader::default().whole(message, out)
}

/// Writes an answer. A refusal is text here, and the reason to end says what it is. `None` when the arguments of a tool
/// are no JSON object: this dialect has no place for them.
pub(crate) fn write(answer: &Answer, manner: &Manner) -> Option<Bytes> {
    let content: Vec<String> = answer.blocks.iter().map(block).collect::<Option<_>>()?;
    let refused = answer.blocks.iter().any(|block| matches!(block, Block::Refusal(_)));
    let (reason, sequence) = stop_reason(&answer.finish, refused);
    let head = format!(
        r#"{{"id":{},"type":"message","role":"assistant","model":{},"content":[{}],"stop_reason":{},"stop_sequence":{},"usage":{}}}"#,
        quoted(&manner.id("msg_", &answer.id)),
        quoted(&answer.model),
        content.join(","),
        quoted(reason),
        Value::from(sequence),
        usage::write(&answer.usage.unwrap_or_default()),
    );
    Some(Bytes::from(head))
}

/// A block. Arguments keep their spelling.
fn block(block: &Block) -> Option<String> {
    let value = match block {
        Block::Text(text) | Block::Refusal(text) => json!({"type": "text", "text": text}),
        Block::Thinking {
            signature: Some(data),
            redacted: true,
            ..
        } => json!({"type": "redacted_thinking", "data": data}),
        // A signature is never invented; the empty one says that there is none.
        Block::Thinking { text, signature, .. } => {
            json!({"type": "thinking", "thinking": text, "signature": signature.as_deref().unwrap_or_default()})
        }
        Block::ToolCall { id, name, arguments } => {
            let input: &RawValue = serde_json::from_str(arguments.trim()).ok()?;
            if !input.get().starts_with('{') {
                return None;
            }
            return Some(format!(
                r#"{{"type":"tool_use","id":{},"name":{},"input":{}}}"#,
                quoted(id),
                quoted(name),
                input.get()
            ));
        }
    };
    Some(value.to_string())
}

/// The dialect's words for the end of an answer.
pub(super) fn stop_reason(finish: &Finish, refused: bool) -> (&'static str, Option<String>) {
    match finish {
        Finish::Stop if refused => ("refusal", None),
        Finish::Stop => ("end_turn", None),
        Finish::StopSequence(sequence) => ("stop_sequence", sequence.clone()),
        Finish::Length => ("max_tokens", None),
        Finish::ToolCalls => ("tool_use", None),
        Finish::Refused => ("refusal", None),
        Finish::Paused => ("pause_turn", None),
    }
}
