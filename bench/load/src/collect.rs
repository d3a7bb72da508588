//! Collectors of the audit log: they read, and acknowledge what they have once a second. A stalled one has opened its
//! stream and never reads.
//!
//! They cost little themselves: what is decoded of a response is its position and how many records it has.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use fairlead_wire::v1::{AcknowledgeEventsRequest, WatchEventsRequest};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use crate::Outcome;

/// Between two acknowledgements.
const ACKNOWLEDGE: Duration = Duration::from_secs(1);
/// What may be on its way to one collector: as gRPC libraries begin with.
const WINDOW_BYTES: u32 = 64 << 10;

type Connection = SendRequest<Full<Bytes>>;

/// What is counted of a response.
#[derive(Message)]
struct Seen {
    #[prost(bytes = "bytes", optional, tag = "1")]
    event: Option<Bytes>,
    #[prost(string, tag = "2")]
    resume_token: String,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    events: Vec<Bytes>,
}

/// `readers` collectors and `stalled` ones on the operator socket, until standard input closes; at most `max_events`
/// records in a response, 0 for one. Prints a line when all streams are open, and what was read at the end.
pub async fn collect(socket: &str, readers: usize, stalled: usize, max_events: i32) -> Outcome<()> {
    let (records, responses) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let (mut kept, mut reading) = (Vec::new(), JoinSet::new());
    for number in 0..stalled {
        kept.push(open(socket, &format!("bench-stalled-{number}"), max_events).await?);
    }
    for number in 0..readers {
        let name = format!("bench-{number}");
        let (connection, stream) = open(socket, &name, max_events).await?;
        reading.spawn(read(
            connection,
            stream,
            name,
            Arc::clone(&records),
            Arc::clone(&responses),
        ));
    }
    println!("{readers} collectors read and {stalled} do not");
    let began = Instant::now();
    tokio::select! {
        closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())) => closed??,
        Some(ended) = reading.join_next() => return Err(format!("a stream has ended: {ended:?}").into()),
    };
    let seconds = began.elapsed().as_secs_f64();
    let (records, responses) = (records.load(Ordering::Relaxed), responses.load(Ordering::Relaxed));
    println!(
        "{}",
        serde_json::json!({"records": records, "responses": responses, "seconds": seconds})
    );
    drop(kept);
    Ok(())
}

/// Opens a stream; its position is fixed when this returns.
async fn open(socket: &str, name: &str, max_events: i32) -> Outcome<(Connection, Incoming)> {
    let stream = UnixStream::connect(Path::new(socket)).await?;
    let (mut sender, connection) = http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .handshake(TokioIo::new(stream))
        .await?;
    tokio::spawn(connection);
    let request = WatchEventsRequest {
        subscriber: name.to_owned(),
        max_events,
        ..WatchEventsRequest::default()
    };
    let answer = sender.send_request(call("WatchEvents", &request)?).await?;
    Ok((sender, answer.into_body()))
}

async fn read(
    mut connection: Connection,
    mut stream: Incoming,
    name: String,
    records: Arc<AtomicU64>,
    responses: Arc<AtomicU64>,
) -> Outcome<()> {
    let (mut buffer, mut acknowledged) = (BytesMut::new(), Instant::now());
    while let Some(frame) = stream.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        buffer.extend_from_slice(&data);
        while let Some(message) = message(&mut buffer) {
            let seen = Seen::decode(message)?;
            let count = seen.events.len() + usize::from(seen.event.is_some());
            records.fetch_add(u64::try_from(count)?, Ordering::Relaxed);
            responses.fetch_add(1, Ordering::Relaxed);
            if acknowledged.elapsed() >= ACKNOWLEDGE {
                acknowledged = Instant::now();
                let request = AcknowledgeEventsRequest {
                    request_id: format!("{name}-{}-{}", std::process::id(), seen.resume_token),
                    subscriber: name.clone(),
                    resume_token: seen.resume_token,
                };
                let answer = connection.send_request(call("AcknowledgeEvents", &request)?).await?;
                answer.into_body().collect().await?;
            }
        }
    }
    Ok(())
}

fn call(method: &str, message: &impl Message) -> Outcome<http::Request<Full<Bytes>>> {
    let mut frame = BytesMut::with_capacity(5 + message.encoded_len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.encoded_len())?);
    message.encode(&mut frame)?;
    Ok(
        http::Request::post(format!("http://localhost/fairlead.v1.AuditService/{method}"))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(Full::new(frame.freeze()))?,
    )
}

/// The next message of a stream, once all of it has come.
fn message(buffer: &mut BytesMut) -> Option<Bytes> {
    let length = usize::try_from(buffer.get(1..5)?.get_u32()).ok()?;
    if buffer.len() < 5 + length {
        return None;
    }
    buffer.advance(5);
    Some(buffer.split_to(length).freeze())
}
