//! Whatever the bytes: an answer, no panic, and nothing sent that the target's own dialect would not be.

use bytes::Bytes;
use fairlead_dialect::{Dialect, Request};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::wire;

/// Requests that use what the dialects have.
const SEEDS: [(Dialect, &str); 3] = [
    (
        Dialect::OpenAiChat,
        r#"{"model":"m","max_tokens":9,"stream":true,"stream_options":{"include_usage":true},"messages":[
        {"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},
        {"type":"image_url","image_url":{"url":"data:image/png;base64,AA=="}},{"type":"file","file":{"file_data":"x","filename":"a.pdf"}}]},
        {"role":"assistant","content":null,"tool_calls":[{"id":"a.b","type":"function","function":{"name":"f","arguments":"{}"}}]},
        {"role":"tool","tool_call_id":"a.b","content":"r"}],"tools":[{"type":"function","function":{"name":"f","parameters":{}}}],
        "tool_choice":{"type":"function","function":{"name":"f"}},"stop":["x"],"temperature":0.5,"reasoning_effort":"low",
        "response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{}}},"user":"u"}"#,
    ),
    (
        Dialect::OpenAiResponses,
        r#"{"model":"m","max_output_tokens":9,"instructions":"i","input":[{"role":"user","content":[{"type":"input_text","text":"t"},
        {"type":"input_image","image_url":"https://x/y"},{"type":"input_file","file_url":"https://x/z"}]},
        {"type":"function_call","call_id":"c","name":"f","arguments":"{}"},{"type":"reasoning","id":"r","summary":[]},
        {"type":"function_call_output","call_id":"c","output":[{"type":"input_text","text":"r"}]}],
        "tools":[{"type":"function","name":"f","parameters":{},"strict":true}],"tool_choice":"auto","reasoning":{"effort":"high"},
        "text":{"format":{"type":"json_object"},"verbosity":"low"},"store":true,"include":[],"metadata":{"a":"b"}}"#,
    ),
    (
        Dialect::AnthropicMessages,
        r#"{"model":"m","max_tokens":2048,"system":[{"type":"text","text":"s","cache_control":{"type":"ephemeral"}}],"messages":[
        {"role":"user","content":[{"type":"text","text":"t"},{"type":"image","source":{"type":"url","url":"https://x/y"}},
        {"type":"document","title":"d","source":{"type":"base64","media_type":"application/pdf","data":"AA=="}}]},
        {"role":"assistant","content":[{"type":"thinking","thinking":"h","signature":"s"},{"type":"tool_use","id":"t","name":"f","input":{"a":1}}]},
        {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","is_error":true,"content":[{"type":"text","text":"r"}]},
        {"type":"mid_conv_system","content":[{"type":"text","text":"s"}]}]}],"tools":[{"name":"f","input_schema":{}}],
        "tool_choice":{"type":"any","disable_parallel_tool_use":true},"thinking":{"type":"enabled","budget_tokens":1024},
        "output_config":{"effort":"max"},"metadata":{"user_id":"u"},"stop_sequences":["x"],"top_k":3}"#,
    ),
];

/// Does all that can be done with a body.
fn exercise(body: &Bytes) {
    for from in Dialect::ALL {
        let Ok(request) = Request::parse(from, body.clone()) else {
            continue;
        };
        assert!(request.facts().input_bytes >= 0 && request.facts().choices >= 1);
        for to in Dialect::ALL {
            let fields = request.untranslatable(to);
            assert!(fields.iter().filter(|field| !field.essential).count() <= 256);
            let refused = request.turn(&wire(to, 100)).is_err();
            assert_eq!(refused, !fields.is_empty());
            let mut lenient = wire(to, 100);
            lenient.drop_untranslatable = true;
            let Ok(turn) = request.turn(&lenient) else {
                assert!(fields.iter().any(|field| field.essential));
                continue;
            };
            assert_eq!(turn.dropped_fields.len(), fields.len());
            let sent = Request::parse(to, turn.body).expect("what is sent is a request of its dialect");
            assert_eq!(
                (sent.facts().model.as_str(), sent.facts().stream),
                ("up", request.facts().stream)
            );
        }
    }
}

/// All places in a value, as pointers.
fn pointers(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                pointers(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(members) => {
            for (key, member) in members {
                pointers(member, &format!("{at}/{key}"), found);
            }
        }
        _ => {}
    }
}

#[test]
fn the_seeds_are_sound() {
    for (dialect, body) in SEEDS {
        assert!(Request::parse(dialect, Bytes::from_static(body.as_bytes())).is_ok());
        exercise(&Bytes::from_static(body.as_bytes()));
    }
}

#[test]
fn what_tunes_is_listed_up_to_a_bound() {
    let block = json!({"type": "text", "text": "a", "cache_control": {}});
    let body = json!({"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": vec![block; 2_000]}]});
    exercise(&Bytes::from(body.to_string()));
}

proptest! {
    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        exercise(&Bytes::from(bytes));
    }

    /// Parts of real requests replaced by what does not belong there.
    #[test]
    fn mutations_are_answered(
        seed in 0..SEEDS.len(),
        mutations in prop::collection::vec((any::<prop::sample::Index>(), 0..10_usize, any::<prop::sample::Index>()), 1..6),
    ) {
        let mut value: Value = serde_json::from_str(SEEDS[seed].1).unwrap();
        for (place, what, from) in mutations {
            let mut places = Vec::new();
            pointers(&value, "", &mut places);
            let source = value.pointer(&places[from.index(places.len())]).unwrap().clone();
            let target = value.pointer_mut(&places[place.index(places.len())]).unwrap();
            *target = match what {
                0 => Value::Null,
                1 => json!({}),
                2 => json!([]),
                3 => json!(""),
                4 => json!(-1.5),
                5 => json!(i64::MAX),
                6 => json!(true),
                7 => json!({"type": "new", "x": [[]]}),
                _ => source,
            };
        }
        exercise(&Bytes::from(value.to_string()));
    }

    /// Bytes of real requests replaced or cut off.
    #[test]
    fn torn_requests_are_answered(
        seed in 0..SEEDS.len(), cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut body = SEEDS[seed].1.as_bytes().to_vec();
        let at = at.index(body.len());
        body[at] = byte;
        exercise(&Bytes::from(body.clone()));
        body.truncate(cut.index(body.len()));
        exercise(&Bytes::from(body));
    }
}
