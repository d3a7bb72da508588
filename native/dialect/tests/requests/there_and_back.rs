//! Translated there and back, a request that both dialects can say means the same.

use bytes::Bytes;
use fairlead_dialect::neutral::{Conversation, Format, Message};
use fairlead_dialect::{Dialect, Request};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::wire;

/// The meaning: turns of one role after each other are one turn, what is not stored need not be said, and the name of a
/// format is a label that Messages does not have.
fn meaning(request: &Request) -> Conversation {
    let mut conversation = request.conversation().clone();
    let mut merged: Vec<Message> = Vec::new();
    for message in conversation.messages {
        match merged.last_mut() {
            Some(last) if last.role == message.role => last.parts.extend(message.parts),
            _ => merged.push(message),
        }
    }
    conversation.messages = merged;
    if let Some(Format::JsonSchema { name, .. }) = &mut conversation.format {
        *name = None;
    }
    conversation.openai.retain(|(name, _)| *name != "store");
    conversation
}

fn text() -> impl Strategy<Value = String> {
    "[^\\p{Z}\\p{C}].{0,20}"
}

fn user() -> impl Strategy<Value = Vec<Value>> {
    let part = prop_oneof![
        text().prop_map(|text| json!({"type": "text", "text": text})),
        Just(json!({"type": "image_url", "image_url": {"url": "https://example.com/a.png"}})),
        "[A-Za-z0-9+/]{4,16}".prop_map(|data| {
            json!({"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}})
        }),
        "[A-Za-z0-9+/]{4,16}".prop_map(|data| {
            json!({"type": "file", "file": {"filename": "a.pdf", "file_data": format!("data:application/pdf;base64,{data}")}})
        }),
    ];
    prop::collection::vec(part, 1..4).prop_map(|parts| vec![json!({"role": "user", "content": parts})])
}

/// The model speaks, calls tools or both, and the calls are answered.
fn assistant() -> impl Strategy<Value = Vec<Value>> {
    let call = ("[a-zA-Z0-9_-]{1,40}", "[a-zA-Z0-9_-]{1,64}", "[a-z]{1,5}", text());
    let calls = prop::collection::vec(call, 0..4);
    (text(), calls, any::<bool>()).prop_map(|(said, calls, speaks)| {
        let mut message = json!({"role": "assistant"});
        if speaks || calls.is_empty() {
            message["content"] = json!(said);
        }
        let mut messages = Vec::new();
        let mut written = Vec::new();
        for (id, name, key, result) in calls {
            let arguments = format!("{{\"{key}\": 1.50, \"x\":[]}}");
            written.push(json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}));
            messages.push(json!({"role": "tool", "tool_call_id": id, "content": result}));
        }
        if !written.is_empty() {
            message["tool_calls"] = json!(written);
        }
        messages.insert(0, message);
        messages
    })
}

fn tools() -> impl Strategy<Value = Value> {
    let choice = prop_oneof![
        Just(json!({})),
        Just(json!({"tool_choice": "none"})),
        Just(json!({"tool_choice": "auto", "parallel_tool_calls": false})),
        Just(json!({"tool_choice": "required"})),
        Just(json!({"tool_choice": {"type": "function", "function": {"name": "f"}}, "parallel_tool_calls": true})),
    ];
    (choice, any::<bool>(), prop::option::of(text())).prop_map(|(mut fields, strict, description)| {
        let schema = json!({"type": "object", "properties": {"b": {"const": 1.0}, "a": {}}, "required": ["b", "a"],
            "additionalProperties": false});
        let mut function = json!({"name": "f", "parameters": schema, "strict": strict});
        if let Some(description) = description {
            function["description"] = json!(description);
        }
        fields["tools"] = json!([{"type": "function", "function": function}]);
        fields
    })
}

fn tuning() -> impl Strategy<Value = Value> {
    let effort = prop::sample::select(vec!["low", "medium", "high", "xhigh", "max"]);
    (
        prop::option::of(prop::sample::select(vec![json!(0), json!(0.7), json!(1.0)])),
        prop::option::of(effort),
        prop::option::of(text()),
        any::<bool>(),
        any::<bool>(),
    )
        .prop_map(|(temperature, effort, user, json, stream)| {
            let mut fields = json!({"stream": stream});
            if let Some(temperature) = temperature {
                fields["temperature"] = temperature;
            } else {
                fields["top_p"] = json!(0.95);
            }
            if let Some(effort) = effort {
                fields["reasoning_effort"] = json!(effort);
            }
            if let Some(user) = user.filter(|user| user.len() <= 64) {
                fields["user"] = json!(user);
            }
            if json {
                let schema = json!({"type": "object", "required": ["a"], "additionalProperties": false});
                fields["response_format"] = json!({"type": "json_schema",
                    "json_schema": {"name": "answer", "schema": schema, "strict": true}});
            }
            fields
        })
}

/// A Chat request of what all three dialects can say.
fn body() -> impl Strategy<Value = Value> {
    let rounds = prop::collection::vec((user(), assistant()), 0..4);
    (
        prop::option::of(text()),
        rounds,
        user(),
        prop::option::of(tools()),
        tuning(),
    )
        .prop_map(|(system, rounds, last, tools, tuning)| {
            let mut messages: Vec<Value> = system
                .map(|text| json!({"role": "system", "content": text}))
                .into_iter()
                .collect();
            for (user, assistant) in rounds {
                messages.extend(user.into_iter().chain(assistant));
            }
            messages.extend(last);
            let mut body = json!({"model": "m", "max_tokens": 700, "messages": messages});
            for fields in tools.iter().chain([&tuning]) {
                for (key, value) in fields.as_object().unwrap() {
                    body[key] = value.clone();
                }
            }
            body
        })
}

fn translated(request: &Request, to: Dialect) -> Request {
    let turn = request
        .turn(&wire(to, 0))
        .unwrap_or_else(|fields| panic!("{fields:?} in {:?}", request.body()));
    assert!(turn.dropped_fields.is_empty());
    Request::parse(to, turn.body).unwrap()
}

proptest! {
    /// Every pair: from Chat to any dialect, from there to any other.
    #[test]
    fn the_meaning_is_kept(body in body()) {
        let original = Request::parse(Dialect::OpenAiChat, Bytes::from(body.to_string())).unwrap();
        let expected = meaning(&original);
        for there in Dialect::ALL {
            let once = translated(&original, there);
            prop_assert_eq!(&meaning(&once), &expected, "to {}", there);
            prop_assert_eq!(&once.facts().user, &original.facts().user);
            prop_assert_eq!(&once.facts().capabilities, &original.facts().capabilities);
            for back in Dialect::ALL {
                let twice = translated(&once, back);
                prop_assert_eq!(&meaning(&twice), &expected, "to {} and on to {}", there, back);
            }
        }
    }
}
