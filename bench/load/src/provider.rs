//! A provider without delay: what is added to a call is then the gateway's. Chat Completions and Messages, whole and as a
//! stream; `max_tokens` is the number of parts of a stream.

use std::convert::Infallible;
use std::io::Read;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream;
use http::{Request, Response, header};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::Outcome;

type Body = BoxBody<Bytes, Infallible>;

const WORDS: &str = "A fairlead guides a line and keeps it from chafing. ";

/// Serves on a free port of 127.0.0.1 until standard input closes. Parts of a stream come `interval` apart.
pub async fn serve(interval: Duration) -> Outcome<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let _ = socket.set_nodelay(true);
            let service = service_fn(move |request| answer(request, interval));
            let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(socket), service);
            tokio::spawn(connection);
        }
    });
    tokio::task::spawn_blocking(|| std::io::stdin().read(&mut [0])).await??;
    Ok(())
}

async fn answer(request: Request<Incoming>, interval: Duration) -> Result<Response<Body>, hyper::Error> {
    let messages = request.uri().path().ends_with("/messages");
    let body = request.into_body().collect().await?.to_bytes();
    let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
    let parts = ["max_tokens", "max_completion_tokens"]
        .iter()
        .find_map(|name| asked[name].as_u64())
        .unwrap_or(16);
    let streams = asked["stream"].as_bool().unwrap_or(false);
    let kind = if streams {
        "text/event-stream"
    } else {
        "application/json"
    };
    let body = match (streams, messages) {
        (false, false) => whole(chat(parts)),
        (false, true) => whole(message(parts)),
        (true, false) => events(chat_events(parts), interval),
        (true, true) => events(message_events(parts), interval),
    };
    let response = Response::builder().header(header::CONTENT_TYPE, kind).body(body);
    Ok(response.unwrap_or_default())
}

fn whole(answer: Value) -> Body {
    Full::new(Bytes::from(answer.to_string())).boxed()
}

/// One frame for each event; the first comes at once.
fn events(events: Vec<String>, interval: Duration) -> Body {
    let frames = stream::unfold(events.into_iter().enumerate(), move |mut left| async move {
        let (number, event) = left.next()?;
        if number > 0 && !interval.is_zero() {
            tokio::time::sleep(interval).await;
        }
        Some((Ok(Frame::data(Bytes::from(event))), left))
    });
    BodyExt::boxed(StreamBody::new(frames))
}

fn chat(tokens: u64) -> Value {
    json!({
        "id": "chatcmpl-1", "object": "chat.completion", "created": 1_700_000_000, "model": "dev-large",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": WORDS}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 120, "completion_tokens": tokens, "total_tokens": 120 + tokens},
    })
}

fn message(tokens: u64) -> Value {
    json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "dev-large",
        "content": [{"type": "text", "text": WORDS}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 120, "output_tokens": tokens},
    })
}

fn chat_events(parts: u64) -> Vec<String> {
    let chunk = |delta: Value, finish: Value| {
        let chunk = json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "dev-large",
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
        });
        format!("data: {chunk}\n\n")
    };
    let mut events = vec![chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
    events.extend((0..parts).map(|_| chunk(json!({"content": "fairlead "}), Value::Null)));
    events.push(chunk(json!({}), json!("stop")));
    let usage = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "dev-large",
        "choices": [], "usage": {"prompt_tokens": 120, "completion_tokens": parts, "total_tokens": 120 + parts},
    });
    events.push(format!("data: {usage}\n\ndata: [DONE]\n\n"));
    events
}

fn message_events(parts: u64) -> Vec<String> {
    let event = |value: Value| {
        format!(
            "event: {}\ndata: {value}\n\n",
            value["type"].as_str().unwrap_or_default()
        )
    };
    let start = json!({
        "id": "msg_1", "type": "message", "role": "assistant", "model": "dev-large", "content": [],
        "stop_reason": null, "stop_sequence": null, "usage": {"input_tokens": 120, "output_tokens": 1},
    });
    let delta = json!({"type": "text_delta", "text": "fairlead "});
    let mut events = vec![
        event(json!({"type": "message_start", "message": start})),
        event(json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})),
    ];
    events.extend((0..parts).map(|_| event(json!({"type": "content_block_delta", "index": 0, "delta": delta}))));
    events.push(event(json!({"type": "content_block_stop", "index": 0})));
    let ended = json!({"stop_reason": "end_turn", "stop_sequence": null});
    events.push(event(
        json!({"type": "message_delta", "delta": ended, "usage": {"output_tokens": parts}}),
    ));
    events.push(event(json!({"type": "message_stop"})));
    events
}
