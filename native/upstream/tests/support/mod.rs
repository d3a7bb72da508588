//! A provider made of a script, and what a test needs around it.
#![allow(dead_code)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fairlead_upstream::{
    Answer, Attempt, AttemptLog, Call, Dialect, FallbackOn, HealthSink, Jitter, Outcome, ProviderSettings, Request,
    RetryPolicy, Secret, StreamEnd, StreamItem, Target, Timeouts, Upstream, Vendor,
};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

pub const KEY: &str = "sk-test-secret";
pub const DONE: &str = "data: [DONE]\n\n";

/// What a scripted provider does with one request, in order; afterwards the connection is closed.
pub enum Step {
    Write(Vec<u8>),
    /// Waits until the test says so.
    Wait(oneshot::Receiver<()>),
    /// Answers nothing more; reports when the client closes the connection.
    Hang,
    /// Reads the next request from the same connection.
    KeepAlive,
}

pub type Reply = Vec<Step>;

/// One received request.
pub struct Received {
    pub head: String,
    pub body: Vec<u8>,
    pub connection: usize,
}

impl Received {
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }
}

pub struct ScriptedProvider {
    pub base_url: String,
    pub requests: mpsc::UnboundedReceiver<Received>,
    pub closed: mpsc::UnboundedReceiver<()>,
}

impl ScriptedProvider {
    /// One reply per request, in order; a request beyond the script gets a closed connection.
    pub async fn start(script: Vec<Reply>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base_url = format!("http://{}/v1", listener.local_addr().unwrap());
        let (requests_in, requests) = mpsc::unbounded_channel();
        let (closed_in, closed) = mpsc::unbounded_channel();
        let script = Arc::new(Mutex::new(script.into_iter()));
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                tokio::spawn(serve(
                    stream,
                    connection,
                    script.clone(),
                    requests_in.clone(),
                    closed_in.clone(),
                ));
            }
        });
        Self {
            base_url,
            requests,
            closed,
        }
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    script: Arc<Mutex<std::vec::IntoIter<Reply>>>,
    requests: mpsc::UnboundedSender<Received>,
    closed: mpsc::UnboundedSender<()>,
) {
    'requests: loop {
        let Some(mut received) = read_request(&mut stream).await else {
            return;
        };
        received.connection = connection;
        let _ = requests.send(received);
        let Some(steps) = script.lock().next() else { return };
        for step in steps {
            match step {
                Step::Write(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        let _ = closed.send(());
                        return;
                    }
                }
                Step::Wait(go) => {
                    let _ = go.await;
                }
                Step::Hang => {
                    let mut byte = [0_u8; 1];
                    let _ = stream.read(&mut byte).await;
                    let _ = closed.send(());
                    return;
                }
                Step::KeepAlive => continue 'requests,
            }
        }
        let _ = stream.shutdown().await;
        return;
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Received> {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
            let length: usize = head
                .lines()
                .find_map(|line| {
                    line.to_ascii_lowercase()
                        .strip_prefix("content-length: ")
                        .map(str::to_owned)
                })
                .map_or(0, |length| length.parse().unwrap());
            let mut body = bytes[end + 4..].to_vec();
            while body.len() < length {
                if stream.read_buf(&mut body).await.ok()? == 0 {
                    return None;
                }
            }
            return Some(Received {
                head,
                body,
                connection: 0,
            });
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// A whole answer with a length.
pub fn whole(status: u16, headers: &str, body: &str) -> Reply {
    vec![Step::Write(whole_bytes(status, headers, body)), Step::KeepAlive]
}

pub fn whole_bytes(status: u16, headers: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n{headers}\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// The head of a chunked stream.
pub fn stream_head() -> Step {
    Step::Write(
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
            .to_vec(),
    )
}

/// A chunk of a stream.
pub fn chunk(text: &str) -> Step {
    Step::Write(format!("{:x}\r\n{text}\r\n", text.len()).into_bytes())
}

/// The clean end of a chunked stream.
pub fn last_chunk() -> Step {
    Step::Write(b"0\r\n\r\n".to_vec())
}

pub fn role() -> String {
    event(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#)
}

pub fn content(text: &str) -> String {
    event(&format!(
        r#"{{"choices":[{{"index":0,"delta":{{"content":"{text}"}},"finish_reason":null}}]}}"#
    ))
}

pub fn finish() -> String {
    event(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#)
}

pub fn usage(input: i64, output: i64) -> String {
    event(&format!(
        r#"{{"choices":[],"usage":{{"prompt_tokens":{input},"completion_tokens":{output}}}}}"#
    ))
}

pub fn event(data: &str) -> String {
    format!("data: {data}\n\n")
}

pub const ANSWER: &str = r#"{"id":"c1", "choices":[{"index":0,"message":{"content":"hi"}}],"usage":{"prompt_tokens":11,"completion_tokens":7},"odd": 1.50}"#;

/// Health that allows everything but what it is told, and remembers the reports.
#[derive(Default)]
pub struct Health {
    pub closed: Mutex<Vec<String>>,
    pub reports: Mutex<Vec<Attempt>>,
    /// Refuses a model after it has failed once.
    pub strict: bool,
}

impl HealthSink for Health {
    fn may_try(&self, model: &str) -> bool {
        !self.closed.lock().iter().any(|closed| closed == model)
    }

    fn report(&self, attempt: &Attempt) {
        if self.strict && attempt.outcome != Outcome::Succeeded {
            self.closed.lock().push(attempt.model.clone());
        }
        self.reports.lock().push(attempt.clone());
    }
}

/// No waiting where the provider asked for none, and none beyond what it asked for.
pub struct NoJitter;

impl Jitter for NoJitter {
    fn below(&self, _bound: Duration) -> Duration {
        Duration::ZERO
    }
}

/// A call over providers `p0`, `p1`… with models `m0`, `m1`…
pub struct Rig {
    pub upstream: Upstream,
    pub call: Call,
    pub health: Arc<Health>,
    pub log: AttemptLog,
}

impl Rig {
    pub fn new(base_urls: &[&str], body: &str) -> Self {
        Self::with_timeouts(base_urls, body, Timeouts::default())
    }

    pub fn with_timeouts(base_urls: &[&str], body: &str, timeouts: Timeouts) -> Self {
        Self::with_settings(Self::settings(base_urls, timeouts), Dialect::OpenAiChat, body)
    }

    /// Providers `p0`, `p1`… as they are given.
    pub fn with_settings(settings: Vec<ProviderSettings>, dialect: Dialect, body: &str) -> Self {
        let request = Request::parse(dialect, Bytes::copy_from_slice(body.as_bytes())).unwrap();
        let targets = (0..settings.len())
            .map(|index| Target {
                model: format!("m{index}"),
                provider: format!("p{index}"),
                upstream_model: format!("up{index}"),
                timeout: Duration::ZERO,
                max_output_tokens: 100,
                input_tokens_bound: 1000,
            })
            .collect();
        let call = Call {
            request,
            targets,
            retry: RetryPolicy {
                attempts: 2,
                initial: Duration::from_millis(1),
                ..RetryPolicy::default()
            },
            fallback: FallbackOn::parse(&["429", "5xx", "timeout", "connect", "cut", "garbled"]).unwrap(),
            timeout: None,
            screen: None,
            drop_untranslatable: false,
            forward_headers: http::HeaderMap::new(),
        };
        Self {
            upstream: Upstream::new(settings).unwrap(),
            call,
            health: Arc::default(),
            log: AttemptLog::new(),
        }
    }

    pub fn settings(base_urls: &[&str], timeouts: Timeouts) -> Vec<ProviderSettings> {
        base_urls
            .iter()
            .enumerate()
            .map(|(index, base_url)| ProviderSettings {
                name: format!("p{index}"),
                kind: Vendor::OpenAiCompatible,
                dialects: vec![Dialect::OpenAiChat],
                base_url: (*base_url).to_owned(),
                api_key: Some(Secret::new(KEY)),
                api_version: None,
                headers: vec![("x-extra".to_owned(), "1".to_owned())],
                secret_headers: Vec::new(),
                proxy: None,
                ca_pem: None,
                timeouts,
                max_idle_connections: 8,
            })
            .collect()
    }

    pub fn once(mut self) -> Self {
        self.call.retry.attempts = 1;
        self
    }

    pub async fn run(&self) -> Answer {
        let health: Arc<dyn HealthSink> = self.health.clone();
        self.upstream.execute(&self.call, &health, &NoJitter, &self.log).await
    }

    /// `model outcome status` of every attempt; checks that health heard the same.
    pub fn attempts(&self) -> Vec<String> {
        let attempts = self.log.attempts();
        assert_eq!(attempts, *self.health.reports.lock());
        for attempt in &attempts {
            assert!(!format!("{attempt:?}").contains(KEY));
        }
        attempts
            .iter()
            .map(|one| format!("{} {:?} {}", one.model, one.outcome, one.status))
            .collect()
    }
}

/// Reads a stream to its end: the bytes of its events without the closing one, and the end.
pub async fn read(answer: Answer) -> (String, StreamEnd) {
    let Answer::Stream(mut stream) = answer else {
        panic!("a stream expected, got {answer:?}")
    };
    let mut text = String::new();
    loop {
        match stream.next().await.unwrap() {
            StreamItem::Event(event) => text.push_str(std::str::from_utf8(&event.raw).unwrap()),
            StreamItem::End(end) => {
                assert!(stream.next().await.is_none());
                return (text, end);
            }
        }
    }
}

pub fn body_of(answer: Answer) -> (u16, String) {
    match answer {
        Answer::Whole(whole) | Answer::Refused(whole) => {
            (whole.status.as_u16(), String::from_utf8(whole.body.to_vec()).unwrap())
        }
        other => panic!("a whole answer expected, got {other:?}"),
    }
}

/// A URL at which nothing listens.
pub async fn refused_url() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    format!("http://{}/v1", listener.local_addr().unwrap())
}

pub fn count(attempts: &[String]) -> BTreeMap<&str, usize> {
    let mut counted = BTreeMap::new();
    for attempt in attempts {
        *counted.entry(attempt.as_str()).or_default() += 1;
    }
    counted
}
