//! Time of reading and translating requests and answers. One JSON line per measurement: `parse/FROM`, `untranslatable/FROM-TO` (a
//! fresh reading each), `turn/FROM-TO`; for a conversation of an agent with 40 messages and 10 tools, some 20 KiB. And of
//! what comes back: `answer/PROVIDER-CLIENT` for 1,200 bytes of text, `100-events/PROVIDER-CLIENT`.
//! Standard library only; `cargo bench -p fairlead-dialect`.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement fails loudly"
)]

#[path = "translate/answers.rs"]
mod answers;

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use fairlead_dialect::{Dialect, Request, Vendor, Wire};
use serde_json::{Value, json};

const MEASURED: usize = 5_000;

fn main() {
    // `cargo test --benches` only has to see that it runs.
    let whole = std::env::args().any(|argument| argument == "--bench");
    let measured = if whole { MEASURED } else { 10 };
    let chat = Request::parse(Dialect::OpenAiChat, Bytes::from(conversation().to_string())).unwrap();
    for from in Dialect::ALL {
        let body = chat.turn(&wire(from)).unwrap().body;
        let parse = || Request::parse(from, body.clone()).unwrap();
        report(&format!("parse/{from}"), measured, || (), |()| drop(black_box(parse())));
        for to in Dialect::ALL {
            if from != to {
                report(&format!("untranslatable/{from}-{to}"), measured, parse, |request| {
                    assert!(black_box(request.untranslatable(to)).is_empty());
                });
            }
            // The reading is made for the decision; the attempt finds it there.
            let read = || {
                let request = parse();
                black_box(request.conversation());
                request
            };
            report(&format!("turn/{from}-{to}"), measured, read, |request| {
                black_box(request.turn(&wire(to)).unwrap());
            });
        }
    }
    answers::run(measured);
}

fn wire(dialect: Dialect) -> Wire<'static> {
    Wire {
        dialect,
        vendor: Vendor::OpenAiCompatible,
        upstream_model: "up",
        max_output_tokens: 500,
        drop_untranslatable: false,
    }
}

fn report<T>(name: &str, measured: usize, prepare: impl Fn() -> T, run: impl Fn(T)) {
    let mut nanos: Vec<u64> = (0..measured)
        .map(|_| {
            let input = prepare();
            let started = Instant::now();
            run(input);
            u64::try_from(started.elapsed().as_nanos()).unwrap()
        })
        .collect();
    nanos.sort_unstable();
    let at = |per_mille: usize| nanos[(nanos.len() - 1) * per_mille / 1_000];
    println!(
        r#"{{"name": "{name}", "p50_ns": {}, "p99_ns": {}, "n": {measured}}}"#,
        at(500),
        at(990)
    );
}

fn conversation() -> Value {
    let words = "It rains in the mountains and the valleys stay dry until the evening. ".repeat(5);
    let mut messages = vec![json!({"role": "system", "content": "You are an agent that answers questions."})];
    for number in 0..10 {
        let id = format!("call_{number}");
        let call = json!({"id": id, "type": "function",
            "function": {"name": "tool_3", "arguments": "{\"city\": \"Oslo\", \"days\": 3}"}});
        messages.extend([
            json!({"role": "user", "content": words}),
            json!({"role": "assistant", "content": null, "tool_calls": [call]}),
            json!({"role": "tool", "tool_call_id": id, "content": words}),
            json!({"role": "assistant", "content": words}),
        ]);
    }
    messages.push(json!({"role": "user", "content": "And tomorrow?"}));
    let schema = json!({"type": "object", "required": ["city"], "additionalProperties": false, "properties": {
        "city": {"type": "string", "description": "Name of the city"}, "days": {"type": "integer", "minimum": 1}}});
    let tools: Vec<Value> = (0..10)
        .map(|number| {
            json!({"type": "function", "function": {"name": format!("tool_{number}"),
                "description": "Weather of a city for some days", "parameters": schema}})
        })
        .collect();
    json!({"model": "m", "max_tokens": 700, "temperature": 0.2, "messages": messages, "tools": tools})
}
