//! Chat completions over HTTP/1.1 on one kept connection: latency of the whole answer and of its first byte.

use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;

use crate::{Outcome, report::Latencies};

/// Makes `calls` calls one after the other, after a tenth as many that are not counted.
pub async fn sequence(address: &str, token: &str, calls: usize, model: &str, stream: bool) -> Outcome<()> {
    let socket = tokio::net::TcpStream::connect(address).await?;
    socket.set_nodelay(true)?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
    tokio::spawn(connection);
    let body = serde_json::json!({
        "model": model, "stream": stream, "max_tokens": 16,
        "messages": [{"role": "user", "content": "How does a fairlead keep a line from chafing? ".repeat(12)}],
    });
    let body = Bytes::from(body.to_string());
    let (mut whole, mut first_byte) = (Latencies::default(), Latencies::default());
    let warm_up = calls / 10;
    for number in 0..calls + warm_up {
        let request = http::Request::post("/v1/chat/completions")
            .header("host", address)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {token}"))
            .body(Full::new(body.clone()))?;
        let began = Instant::now();
        sender.ready().await?;
        let mut response = sender.send_request(request).await?;
        if response.status() != 200 {
            let text = response.into_body().collect().await?.to_bytes();
            return Err(format!("the call failed: {}", String::from_utf8_lossy(&text)).into());
        }
        let mut first = None;
        while let Some(frame) = response.body_mut().frame().await {
            frame?;
            first.get_or_insert_with(|| began.elapsed());
        }
        if number >= warm_up {
            whole.add(began.elapsed());
            first_byte.add(first.unwrap_or_else(|| began.elapsed()));
        }
    }
    let (p50, p99, maximum) = whole.summary();
    let (first_p50, first_p99, _) = first_byte.summary();
    println!(
        "{}",
        serde_json::json!({
            "calls": calls, "p50": p50, "p99": p99, "max": maximum, "ttfb_p50": first_p50, "ttfb_p99": first_p99,
        })
    );
    Ok(())
}
