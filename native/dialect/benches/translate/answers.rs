//! Answers and events of every pair; the same dialect is passed on.

use std::hint::black_box;

use bytes::Bytes;
use fairlead_dialect::sse::SseEvent;
use fairlead_dialect::{Dialect, Request, Turn};

use super::{report, wire};

/// Measures `answer/PROVIDER-CLIENT` for 1,200 bytes of text, and `100-events/PROVIDER-CLIENT` for as many pieces of a stream.
pub(super) fn run(measured: usize) {
    for target in Dialect::ALL {
        let (start, piece) = events(target);
        let body = answer(target);
        for client in Dialect::ALL {
            let turn = turn(client, target);
            report(
                &format!("answer/{target}-{client}"),
                measured,
                || (),
                |()| {
                    black_box(turn.read_whole(black_box(body.as_bytes())));
                },
            );
            let begun = || {
                let mut reader = turn.event_reader();
                reader.read(start.clone());
                if target == Dialect::AnthropicMessages {
                    let block =
                        br#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#;
                    reader.read(SseEvent::from_data(block));
                }
                reader
            };
            report(
                &format!("100-events/{target}-{client}"),
                measured / 10,
                begun,
                |mut reader| {
                    for _ in 0..100 {
                        black_box(reader.read(black_box(piece.clone())));
                    }
                },
            );
        }
    }
}

fn request(client: Dialect) -> &'static str {
    match client {
        Dialect::OpenAiChat => r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"x"}]}"#,
        Dialect::OpenAiResponses => r#"{"model":"m","stream":true,"store":false,"input":"x"}"#,
        Dialect::AnthropicMessages => {
            r#"{"model":"m","stream":true,"max_tokens":9,"messages":[{"role":"user","content":"x"}]}"#
        }
    }
}

fn turn(client: Dialect, target: Dialect) -> Turn {
    let request = Request::parse(client, Bytes::from_static(request(client).as_bytes())).unwrap();
    request.turn(&wire(target)).unwrap()
}

/// The start of a stream, and a piece of its text.
fn events(target: Dialect) -> (SseEvent, SseEvent) {
    let event = |data: &str| SseEvent::from_data(data.as_bytes());
    match target {
        Dialect::OpenAiChat => (
            event(
                r#"{"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":5,"model":"up","choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#,
            ),
            event(
                r#"{"id":"chatcmpl-0123456789","object":"chat.completion.chunk","created":5,"model":"up","choices":[{"index":0,"delta":{"content":" a few words"},"finish_reason":null}]}"#,
            ),
        ),
        Dialect::OpenAiResponses => (
            event(
                r#"{"type":"response.created","sequence_number":0,"response":{"id":"resp_0123456789ab","created_at":5,"model":"up"}}"#,
            ),
            event(
                r#"{"type":"response.output_text.delta","sequence_number":5,"item_id":"msg_1","output_index":0,"content_index":0,"delta":" a few words","logprobs":[]}"#,
            ),
        ),
        Dialect::AnthropicMessages => (
            event(
                r#"{"type":"message_start","message":{"id":"msg_0123456789ab","model":"up","usage":{"input_tokens":1}}}"#,
            ),
            event(r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" a few words"}}"#),
        ),
    }
}

fn answer(target: Dialect) -> String {
    let text = "a few words ".repeat(100);
    match target {
        Dialect::OpenAiChat => format!(
            r#"{{"id":"chatcmpl-0123456789","created":5,"model":"up","choices":[{{"index":0,"message":{{"role":"assistant","content":"{text}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":3,"completion_tokens":2}}}}"#
        ),
        Dialect::OpenAiResponses => format!(
            r#"{{"id":"resp_0123456789ab","created_at":5,"model":"up","status":"completed","output":[{{"type":"message","content":[{{"type":"output_text","text":"{text}"}}]}}],"usage":{{"input_tokens":3,"output_tokens":2}}}}"#
        ),
        Dialect::AnthropicMessages => format!(
            r#"{{"id":"msg_0123456789abcd","type":"message","model":"up","content":[{{"type":"text","text":"{text}"}}],"stop_reason":"end_turn","usage":{{"input_tokens":3,"output_tokens":2}}}}"#
        ),
    }
}
