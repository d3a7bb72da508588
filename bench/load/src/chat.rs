//! Model calls over HTTP/1.1, one after the other or many at once: latency of the whole answer, of its first byte and
//! between two parts of a stream.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, Request};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;

use crate::{Outcome, report::Latencies};

/// What is called, and how.
pub struct Target {
    address: String,
    path: String,
    headers: HeaderMap,
    model: String,
    stream: bool,
    tokens: u64,
}

impl Target {
    /// `url` is `HOST:PORT/PATH`; `headers` are `name: value`.
    pub fn new(url: &str, token: &str, model: &str, stream: bool, tokens: u64, headers: &[&str]) -> Outcome<Self> {
        let (address, path) = url.split_once('/').unwrap_or((url, "v1/chat/completions"));
        let mut all = HeaderMap::new();
        all.insert("host", address.parse()?);
        all.insert("content-type", "application/json".parse()?);
        all.insert("authorization", format!("Bearer {token}").parse()?);
        for header in headers {
            let (name, value) = header.split_once(": ").ok_or("a header is `name: value`")?;
            all.insert(http::HeaderName::from_bytes(name.as_bytes())?, value.parse()?);
        }
        Ok(Self {
            address: address.to_owned(),
            path: format!("/{path}"),
            headers: all,
            model: model.to_owned(),
            stream,
            tokens,
        })
    }

    fn body(&self) -> Bytes {
        let body = serde_json::json!({
            "model": self.model, "stream": self.stream, "max_tokens": self.tokens,
            "messages": [{"role": "user", "content": "How does a fairlead keep a line from chafing? ".repeat(12)}],
        });
        Bytes::from(body.to_string())
    }

    async fn connect(&self) -> Outcome<SendRequest<Full<Bytes>>> {
        let socket = tokio::net::TcpStream::connect(&self.address).await?;
        socket.set_nodelay(true)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(socket)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    /// One call: when the first byte and the end came, and the longest silence between two parts.
    async fn call(&self, sender: &mut SendRequest<Full<Bytes>>, body: &Bytes) -> Outcome<Timing> {
        let mut request = Request::post(&self.path).body(Full::new(body.clone()))?;
        *request.headers_mut() = self.headers.clone();
        let began = Instant::now();
        sender.ready().await?;
        let mut response = sender.send_request(request).await?;
        if response.status() != 200 {
            let text = response.into_body().collect().await?.to_bytes();
            return Err(format!("the call failed: {}", String::from_utf8_lossy(&text)).into());
        }
        let (mut first, mut before, mut silence) = (None, began, Duration::ZERO);
        while let Some(frame) = response.body_mut().frame().await {
            frame?;
            let now = Instant::now();
            if first.is_some() {
                silence = silence.max(now.duration_since(before));
            }
            first.get_or_insert(now.duration_since(began));
            before = now;
        }
        let whole = began.elapsed();
        Ok(Timing {
            first: first.unwrap_or(whole),
            whole,
            silence,
        })
    }
}

struct Timing {
    first: Duration,
    whole: Duration,
    silence: Duration,
}

#[derive(Default)]
struct Timings {
    first: Latencies,
    whole: Latencies,
    silence: Latencies,
}

impl Timings {
    fn add(&mut self, timing: &Timing) {
        self.first.add(timing.first);
        self.whole.add(timing.whole);
        self.silence.add(timing.silence);
    }

    fn merge(&mut self, other: Self) {
        self.first.merge(other.first);
        self.whole.merge(other.whole);
        self.silence.merge(other.silence);
    }

    fn print(mut self, took: Duration) {
        let calls = self.whole.len();
        let (p50, p99, maximum) = self.whole.summary();
        let (first_p50, first_p99, _) = self.first.summary();
        let (_, silence_p99, silence_max) = self.silence.summary();
        let report = serde_json::json!({
            "calls": calls, "rate": calls as f64 / took.as_secs_f64(), "p50": p50, "p99": p99, "max": maximum,
            "ttfb_p50": first_p50, "ttfb_p99": first_p99, "silence_p99": silence_p99, "silence_max": silence_max,
        });
        println!("{report}");
    }
}

/// Makes `calls` calls one after the other on one connection, after a tenth as many that are not counted.
pub async fn sequence(target: Target, calls: usize) -> Outcome<()> {
    let (mut sender, body) = (target.connect().await?, target.body());
    for _ in 0..calls / 10 {
        target.call(&mut sender, &body).await?;
    }
    let mut timings = Timings::default();
    let began = Instant::now();
    for _ in 0..calls {
        timings.add(&target.call(&mut sender, &body).await?);
    }
    timings.print(began.elapsed());
    Ok(())
}

/// Makes `calls` calls on each of `connections` connections at once.
pub async fn side_by_side(target: Target, connections: usize, calls: usize) -> Outcome<()> {
    let target = Arc::new(target);
    let mut senders = Vec::with_capacity(connections);
    for _ in 0..connections {
        senders.push(target.connect().await?);
    }
    let body = target.body();
    let began = Instant::now();
    let tasks: Vec<_> = senders
        .into_iter()
        .map(|mut sender| {
            let (target, body) = (Arc::clone(&target), body.clone());
            tokio::spawn(async move {
                let mut timings = Timings::default();
                for _ in 0..calls {
                    timings.add(&target.call(&mut sender, &body).await?);
                }
                Outcome::Ok(timings)
            })
        })
        .collect();
    let mut all = Timings::default();
    for task in tasks {
        all.merge(task.await??);
    }
    all.print(began.elapsed());
    Ok(())
}
