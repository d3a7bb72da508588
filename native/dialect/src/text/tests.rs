#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use proptest::prelude::*;

use super::*;
use TextKind::{Answer, Refusal, Thinking, ToolArguments};

fn told(spans: &[TextSpan]) -> Vec<(TextKind, &str, bool)> {
    spans
        .iter()
        .map(|span| (span.channel.kind, span.text.as_str(), span.repeats))
        .collect()
}

const CHAT: &str = r#"{"id":"x", "choices":[{"index":0,"message":{"role":"assistant","content":"a\u0020\ud83d\ude00\n",
    "reasoning_content":"hm","refusal":null,"tool_calls":[{"id":"c","function":{"name":"f","arguments":"{\"k\":1}"}}]}},
    {"index":1,"message":{"content":[{"type":"text","text":"b"}],"refusal":"no"}}],"usage":{"prompt_tokens":1}}"#;
const RESPONSES: &str = r#"{"output":[{"type":"reasoning","summary":[{"type":"summary_text","text":"hm"}]},
    {"type":"message","content":[{"type":"output_text","text":"a"},{"type":"refusal","refusal":"no"}]},
    {"type":"function_call","call_id":"c","name":"f","arguments":"{}"}]}"#;
const ANTHROPIC: &str = r#"{"content":[{"type":"thinking","thinking":"hm","signature":"s"},{"type":"text","text":"a"},
    {"type":"tool_use","id":"t","name":"f","input": {"k": [1]}},{"type":"tool_use","id":"u","name":"g","input":{}}]}"#;

#[test]
fn all_texts_of_whole_answers_are_found() {
    assert_eq!(
        told(&whole(Dialect::OpenAiChat, CHAT.as_bytes()).unwrap()),
        [
            (Thinking, "hm", false),
            (Answer, "a 😀\n", false),
            (ToolArguments, r#"{"k":1}"#, false),
            (Answer, "b", false),
            (Refusal, "no", false),
        ]
    );
    assert_eq!(
        told(&whole(Dialect::OpenAiResponses, RESPONSES.as_bytes()).unwrap()),
        [
            (Thinking, "hm", false),
            (Answer, "a", false),
            (Refusal, "no", false),
            (ToolArguments, "{}", false)
        ]
    );
    assert_eq!(
        told(&whole(Dialect::AnthropicMessages, ANTHROPIC.as_bytes()).unwrap()),
        [
            (Thinking, "hm", false),
            (Answer, "a", false),
            (ToolArguments, r#"{"k": [1]}"#, false)
        ]
    );
}

#[test]
fn thinking_in_details_repeats_only_what_was_told_elsewhere() {
    for (message, expected) in [
        (
            r#"{"reasoning_details":[{"text":"hm"}]}"#,
            &[(Thinking, "hm", false)][..],
        ),
        (
            r#"{"reasoning":"hm","reasoning_details":[{"text":"hm"}]}"#,
            &[(Thinking, "hm", false), (Thinking, "hm", true)],
        ),
    ] {
        let body = format!(r#"{{"choices":[{{"message":{message}}}]}}"#);
        assert_eq!(
            told(&whole(Dialect::OpenAiChat, body.as_bytes()).unwrap()),
            expected,
            "{message}"
        );
    }
}

#[test]
fn a_replaced_text_changes_no_other_byte() {
    let body = Bytes::from_static(CHAT.as_bytes());
    let spans = whole(Dialect::OpenAiChat, &body).unwrap();
    let changed = replace(&body, [(&spans[1], "x\"y"), (&spans[3], "")]).unwrap();
    let expected = CHAT
        .replace(r#""a\u0020\ud83d\ude00\n""#, r#""x\"y""#)
        .replace(r#""text":"b""#, r#""text":"""#);
    assert_eq!(changed, expected.as_bytes());
}

#[test]
fn arguments_that_are_an_object_stay_one() {
    let body = Bytes::from_static(ANTHROPIC.as_bytes());
    let spans = whole(Dialect::AnthropicMessages, &body).unwrap();
    let changed = replace(&body, [(&spans[2], r#"{"k":"[redacted]"}"#)]).unwrap();
    assert_eq!(
        changed,
        ANTHROPIC.replace(r#"{"k": [1]}"#, r#"{"k":"[redacted]"}"#).as_bytes()
    );
    for broken in ["[redacted]", "[1]", r#"{"k":"#] {
        assert_eq!(replace(&body, [(&spans[2], broken)]), Err(NotAnObject));
    }
}

#[test]
fn pieces_and_repetitions_of_a_stream_share_a_channel() {
    let channels: Vec<(Channel, bool)> = [
        r#"{"type":"response.output_item.added","output_index":1,"item":{"type":"message","content":[]}}"#,
        r#"{"type":"response.content_part.added","output_index":1,"content_index":0,"part":{"type":"output_text","text":""}}"#,
        r#"{"type":"response.output_text.delta","output_index":1,"content_index":0,"delta":"a"}"#,
        r#"{"type":"response.output_text.done","output_index":1,"content_index":0,"text":"a"}"#,
        r#"{"type":"response.output_item.done","output_index":1,"item":{"type":"message","content":[{"type":"output_text","text":"a"}]}}"#,
        r#"{"type":"response.completed","response":{"output":[{"type":"web_search_call"},{"type":"message","content":[{"type":"output_text","text":"a"}]}]}}"#,
    ]
    .iter()
    .flat_map(|data| event(Dialect::OpenAiResponses, &SseEvent::from_data(data.as_bytes())).unwrap())
    .map(|span| (span.channel, span.repeats))
    .collect();
    let channel = Channel {
        choice: 0,
        block: 1,
        part: 0,
        kind: Answer,
    };
    assert_eq!(
        channels,
        [true, false, true, true, true].map(|repeats| (channel, repeats))
    );
}

#[test]
fn pieces_of_every_dialect_are_found() {
    for (dialect, data, kind, text) in [
        (
            Dialect::OpenAiChat,
            r#"{"choices":[{"index":0,"delta":{"content":"a\u0062"}}]}"#,
            Answer,
            "ab",
        ),
        (
            Dialect::OpenAiChat,
            r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":3,"function":{"arguments":"{"}}]}}]}"#,
            ToolArguments,
            "{",
        ),
        (
            Dialect::OpenAiResponses,
            r#"{"type":"response.function_call_arguments.delta","output_index":0,"delta":"{\""}"#,
            ToolArguments,
            "{\"",
        ),
        (
            Dialect::OpenAiResponses,
            r#"{"type":"response.reasoning_summary_text.delta","output_index":0,"summary_index":0,"delta":"hm"}"#,
            Thinking,
            "hm",
        ),
        (
            Dialect::AnthropicMessages,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"text_delta","text":"a"}}"#,
            Answer,
            "a",
        ),
        (
            Dialect::AnthropicMessages,
            r#"{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{"}}"#,
            ToolArguments,
            "{",
        ),
    ] {
        let spans = event(dialect, &SseEvent::from_data(data.as_bytes())).unwrap();
        assert_eq!(told(&spans), [(kind, text, false)], "{data}");
    }
}

#[test]
fn what_cannot_be_read_is_not_free_of_text() {
    for body in [
        "",
        "[1",
        "<html>",
        r#"{"choices":[{"message":{"content":"a","content":"b"}}]}"#,
    ] {
        assert_eq!(whole(Dialect::OpenAiChat, body.as_bytes()), Err(Unreadable), "{body}");
    }
    assert_eq!(
        event(Dialect::OpenAiChat, &SseEvent::from_data(b"{\"choices\"")),
        Err(Unreadable)
    );
    for silent in [&b"[DONE]"[..], b"", b"{\"choices\":[]}"] {
        assert_eq!(event(Dialect::OpenAiChat, &SseEvent::from_data(silent)), Ok(Vec::new()));
    }
}

proptest! {
    /// A text put in the place of another is read back, and putting the old one back gives the old meaning.
    #[test]
    fn replaced_texts_read_back(text in any::<String>()) {
        for (dialect, body) in [(Dialect::OpenAiChat, CHAT), (Dialect::OpenAiResponses, RESPONSES)] {
            let body = Bytes::from_static(body.as_bytes());
            let spans = whole(dialect, &body).unwrap();
            let changed = replace(&body, spans.iter().map(|span| (span, text.as_str()))).unwrap();
            let again = whole(dialect, &changed).unwrap();
            prop_assert!(again.iter().all(|span| span.text == text));
            prop_assert_eq!(again.len(), spans.len());
            let back = replace(&changed, again.iter().zip(&spans).map(|(now, old)| (now, old.text.as_str()))).unwrap();
            prop_assert_eq!(
                serde_json::from_slice::<serde_json::Value>(&back).unwrap(),
                serde_json::from_slice::<serde_json::Value>(&body).unwrap()
            );
        }
    }

    /// Nothing that comes from outside makes it panic.
    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for dialect in Dialect::ALL {
            let _ = whole(dialect, &bytes);
            let _ = event(dialect, &SseEvent::from_data(&bytes));
        }
    }
}
