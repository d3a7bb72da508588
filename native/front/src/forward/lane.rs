//! One HTTP/2 connection to the control services, opened on demand and again after it broke.
use std::path::PathBuf;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixStream;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tonic::body::Body;

use crate::tasks::Tasks;

/// First and longest time after a failed connect in which calls fail at once instead of trying again.
const BACKOFF_FIRST: Duration = Duration::from_millis(20);
const BACKOFF_MOST: Duration = Duration::from_secs(2);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// As grpc-core's own hard limit.
const MAX_HEADER_LIST_BYTES: u32 = 16 << 10;

/// Flow-control windows, bytes.
#[derive(Debug, Clone, Copy)]
pub struct Windows {
    /// Per stream: what one reader that does not read can hold back.
    pub stream: u32,
    /// Per connection: divided by `stream`, the number of stalled readers it takes to block the others.
    pub connection: u32,
}

/// The control services cannot be reached.
#[derive(Debug)]
pub struct Unreachable {
    /// When it is worth trying again.
    pub retry_after: Duration,
}

/// See the module.
pub struct Lane {
    socket: PathBuf,
    windows: Windows,
    tasks: Tasks,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sender: Option<SendRequest<Body>>,
    failures: u32,
    closed_until: Option<Instant>,
}

impl Lane {
    /// Nothing is opened yet.
    pub fn new(socket: PathBuf, windows: Windows, tasks: Tasks) -> Self {
        Self {
            socket,
            windows,
            tasks,
            state: Mutex::default(),
        }
    }

    /// Sends a request and returns the head of its response. A request that a closing connection did not take is sent
    /// once more on a new one. Dropping the future resets the stream.
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Incoming>, Unreachable> {
        let mut sender = self.sender().await?;
        let unsent = match sender.try_send_request(request).await {
            Ok(response) => return Ok(response),
            Err(mut error) => error.take_message(),
        };
        let lost = Unreachable {
            retry_after: BACKOFF_FIRST,
        };
        let Some(request) = unsent else { return Err(lost) };
        let mut sender = self.sender().await?;
        sender.send_request(request).await.map_err(|_| lost)
    }

    /// The open connection, or a new one. Who comes while it is being opened waits for it: the lock is the queue, and
    /// the caller's bound on forwarded calls bounds it.
    async fn sender(&self) -> Result<SendRequest<Body>, Unreachable> {
        let mut state = self.state.lock().await;
        if let Some(sender) = state.sender.as_ref().filter(|sender| !sender.is_closed()) {
            return Ok(sender.clone());
        }
        state.sender = None;
        let now = Instant::now();
        if let Some(until) = state.closed_until.filter(|until| *until > now) {
            return Err(Unreachable {
                retry_after: until.duration_since(now),
            });
        }
        match timeout(CONNECT_TIMEOUT, self.connect()).await {
            Ok(Ok(sender)) => {
                *state = State {
                    sender: Some(sender.clone()),
                    ..State::default()
                };
                Ok(sender)
            }
            outcome => {
                let backoff = backoff(state.failures);
                state.failures = state.failures.saturating_add(1);
                state.closed_until = Some(Instant::now() + backoff);
                let error = match outcome {
                    Ok(Err(error)) => error.to_string(),
                    _ => format!("no connection within {} s", CONNECT_TIMEOUT.as_secs()),
                };
                tracing::warn!(
                    error,
                    failures = state.failures,
                    "the control services cannot be reached"
                );
                Err(Unreachable { retry_after: backoff })
            }
        }
    }

    async fn connect(&self) -> Result<SendRequest<Body>, Box<dyn std::error::Error + Send + Sync>> {
        let stream = UnixStream::connect(&self.socket).await?;
        // No keepalive pings: grpc-core answers eager ones with GOAWAY, and a unix socket tells when its peer dies.
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(self.windows.stream)
            .initial_connection_window_size(self.windows.connection)
            .max_header_list_size(MAX_HEADER_LIST_BYTES)
            .handshake(TokioIo::new(stream))
            .await?;
        self.tasks.spawn("control connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(%error, "the connection to the control services ended");
            }
        });
        Ok(sender)
    }
}

fn backoff(failures: u32) -> Duration {
    BACKOFF_FIRST.saturating_mul(1 << failures.min(16)).min(BACKOFF_MOST)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn the_backoff_doubles_up_to_its_cap() {
        assert_eq!(backoff(0), BACKOFF_FIRST);
        assert_eq!(backoff(1), BACKOFF_FIRST * 2);
        assert_eq!(backoff(40), BACKOFF_MOST);
    }

    #[tokio::test(start_paused = true)]
    async fn a_missing_socket_fails_fast_until_the_backoff_is_over() {
        let windows = Windows {
            stream: 1 << 16,
            connection: 1 << 20,
        };
        let lane = Lane::new(PathBuf::from("/nonexistent/control.sock"), windows, Tasks::default());
        let call = || Request::new(Body::empty());
        assert_eq!(lane.send(call()).await.unwrap_err().retry_after, BACKOFF_FIRST);
        assert!(lane.send(call()).await.unwrap_err().retry_after <= BACKOFF_FIRST);
        tokio::time::advance(BACKOFF_FIRST).await;
        assert_eq!(lane.send(call()).await.unwrap_err().retry_after, BACKOFF_FIRST * 2);
    }
}
