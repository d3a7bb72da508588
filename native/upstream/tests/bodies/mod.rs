//! The same short conversation in every dialect.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use fairlead_upstream::Dialect;
use serde_json::Value;

/// Chat Completions with a tool call and its result in the history.
pub const TOOLS: &str = r#"{"model":"m","max_tokens":100,"messages":[
    {"role":"user","content":"weather in Oslo?"},
    {"role":"assistant","content":null,"tool_calls":[{"id":"call_1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Oslo\"}"}}]},
    {"role":"tool","tool_call_id":"call_1","content":"rain"}],
    "tools":[{"type":"function","function":{"name":"weather","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}]}"#;

pub fn path(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => "/chat/completions",
        Dialect::OpenAiResponses => "/responses",
        Dialect::AnthropicMessages => "/messages",
    }
}

pub fn request(dialect: Dialect, stream: bool) -> String {
    match dialect {
        Dialect::OpenAiResponses => {
            format!(r#"{{"model":"m","input":"hi","max_output_tokens":100,"store":false,"stream":{stream}}}"#)
        }
        Dialect::OpenAiChat | Dialect::AnthropicMessages => format!(
            r#"{{"model":"m","messages":[{{"role":"user","content":"hi"}}],"max_tokens":100,"stream":{stream}}}"#
        ),
    }
}

/// `hello`, for 11 tokens in and 7 out.
pub fn answer(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::OpenAiChat => {
            r#"{"id":"c1","object":"chat.completion","created":1,"model":"up0","choices":[{"index":0,"message":{"role":"assistant","content":"hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}"#
        }
        Dialect::OpenAiResponses => {
            r#"{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"up0","output":[{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"hello","annotations":[]}]}],"usage":{"input_tokens":11,"output_tokens":7,"total_tokens":18}}"#
        }
        Dialect::AnthropicMessages => {
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"up0","content":[{"type":"text","text":"hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":11,"output_tokens":7}}"#
        }
    }
}

pub fn text_of(dialect: Dialect, answer: &Value) -> &str {
    match dialect {
        Dialect::OpenAiChat => &answer["choices"][0]["message"]["content"],
        Dialect::OpenAiResponses => &answer["output"][0]["content"][0]["text"],
        Dialect::AnthropicMessages => &answer["content"][0]["text"],
    }
    .as_str()
    .unwrap_or_default()
}

/// The same as a stream, framed.
pub fn events(dialect: Dialect) -> Vec<String> {
    let data: &[&str] = match dialect {
        Dialect::OpenAiChat => &[
            r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"up0","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"up0","choices":[{"index":0,"delta":{"content":"hel"},"finish_reason":null}]}"#,
            r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"up0","choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]}"#,
            r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"up0","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#,
            r#"{"id":"c1","object":"chat.completion.chunk","created":1,"model":"up0","choices":[],"usage":{"prompt_tokens":11,"completion_tokens":7,"total_tokens":18}}"#,
            "[DONE]",
        ],
        Dialect::OpenAiResponses => &[
            r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":1,"status":"in_progress","model":"up0","output":[]}}"#,
            r#"{"type":"response.output_item.added","sequence_number":1,"output_index":0,"item":{"type":"message","id":"msg_1","role":"assistant","status":"in_progress","content":[]}}"#,
            r#"{"type":"response.content_part.added","sequence_number":2,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"","annotations":[]}}"#,
            r#"{"type":"response.output_text.delta","sequence_number":3,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"hel"}"#,
            r#"{"type":"response.output_text.delta","sequence_number":4,"item_id":"msg_1","output_index":0,"content_index":0,"delta":"lo"}"#,
            r#"{"type":"response.output_text.done","sequence_number":5,"item_id":"msg_1","output_index":0,"content_index":0,"text":"hello"}"#,
            r#"{"type":"response.content_part.done","sequence_number":6,"item_id":"msg_1","output_index":0,"content_index":0,"part":{"type":"output_text","text":"hello","annotations":[]}}"#,
            r#"{"type":"response.output_item.done","sequence_number":7,"output_index":0,"item":{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"hello","annotations":[]}]}}"#,
            r#"{"type":"response.completed","sequence_number":8,"response":{"id":"resp_1","object":"response","created_at":1,"status":"completed","model":"up0","output":[{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"hello","annotations":[]}]}],"usage":{"input_tokens":11,"output_tokens":7,"total_tokens":18}}}"#,
        ],
        Dialect::AnthropicMessages => &[
            r#"{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"up0","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":11,"output_tokens":1}}}"#,
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"hel"}}"#,
            r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}"#,
            r#"{"type":"content_block_stop","index":0}"#,
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"output_tokens":7}}"#,
            r#"{"type":"message_stop"}"#,
        ],
    };
    data.iter()
        .map(|data| match serde_json::from_str::<Value>(data) {
            Ok(event) if dialect != Dialect::OpenAiChat => {
                format!("event: {}\ndata: {data}\n\n", event["type"].as_str().unwrap())
            }
            _ => format!("data: {data}\n\n"),
        })
        .collect()
}

/// How many of the events it takes to the first content.
pub fn content_events(dialect: Dialect) -> usize {
    match dialect {
        Dialect::OpenAiChat => 2,
        Dialect::OpenAiResponses => 4,
        Dialect::AnthropicMessages => 3,
    }
}

fn data(stream: &str) -> impl Iterator<Item = Value> + '_ {
    stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str(data).ok())
}

pub fn streamed_text(dialect: Dialect, stream: &str) -> String {
    data(stream)
        .filter_map(|event| {
            let text = match dialect {
                Dialect::OpenAiChat => &event["choices"][0]["delta"]["content"],
                Dialect::OpenAiResponses if event["type"] == "response.output_text.delta" => &event["delta"],
                Dialect::OpenAiResponses => &Value::Null,
                Dialect::AnthropicMessages => &event["delta"]["text"],
            };
            text.as_str().map(str::to_owned)
        })
        .collect()
}

pub fn is_end(dialect: Dialect, closing: &str) -> bool {
    match dialect {
        Dialect::OpenAiChat => closing == "data: [DONE]\n\n",
        Dialect::OpenAiResponses => data(closing).any(|event| event["type"] == "response.completed"),
        Dialect::AnthropicMessages => data(closing).any(|event| event["type"] == "message_stop"),
    }
}
