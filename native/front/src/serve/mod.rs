//! The agent endpoint: one port for gRPC (HTTP/2 with prior knowledge) and HTTP/1.1.
//!
//! Own accept loop on hyper rather than tonic's server: tonic would put a deadline layer that answers `CANCELLED` around
//! everything, forwarded calls too, and could not tell HTTP/1.1 from HTTP/2.
pub mod body;
pub mod dispatch;
pub mod entry;
pub mod own;

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tonic::body::Body;

use crate::front::Front;
use crate::serving::Phase;
use crate::tasks::Tasks;

/// Said explicitly: what tonic's documentation and hyper's defaults say differs.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 4 << 20;
const MAX_HEADER_LIST_BYTES: u32 = 16 << 10;
/// A client that opens a connection and says nothing, or half a head, is let go.
const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(15);
/// After an accept that failed for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

/// Accepts until the phase is `Stopping`, then says GOAWAY and returns when the last connection is done. The caller's
/// time limit decides how long that may take.
pub async fn agents(listener: TcpListener, front: Arc<Front>) {
    let streams = front.core.running().limits().streams;
    let connections = Arc::new(Semaphore::new(
        usize::try_from(streams).unwrap_or(Semaphore::MAX_PERMITS),
    ));
    let builder = builder(&front.tasks, u32::try_from(streams).unwrap_or(u32::MAX));
    let (tasks, open) = (front.tasks.clone(), front.metrics.connections.clone());
    let mut phase = front.serving.subscribe();
    let stop = async move {
        // An error means that nobody can say more: stop as well.
        let _ = phase.wait_for(|phase| *phase == Phase::Stopping).await;
    };
    let route = move |request| dispatch::route(Arc::clone(&front), request);
    accept(listener, builder, tasks, connections, open, Box::pin(stop), route).await;
}

/// The builder of connections. Its executor is the supervisor: a panic in a call does not go unseen.
pub fn builder(tasks: &Tasks, most_streams: u32) -> auto::Builder<Supervised> {
    let mut builder = auto::Builder::new(Supervised(tasks.clone()));
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_TIMEOUT);
    builder
        .http2()
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(MAX_HEADER_LIST_BYTES)
        .max_concurrent_streams(most_streams);
    builder
}

/// The accept loop, also of the health endpoint: until `stop`, then GOAWAY, then until the last connection is done.
pub async fn accept<F, R>(
    listener: TcpListener,
    builder: auto::Builder<Supervised>,
    tasks: Tasks,
    connections: Arc<Semaphore>,
    open: prometheus::IntGauge,
    mut stop: BoxFuture<'static, ()>,
    route: F,
) where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = http::Response<Body>> + Send + 'static,
{
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = async {
            // Over the bound, the connections wait in the kernel's backlog.
            let place = Arc::clone(&connections).acquire_owned().await;
            (listener.accept().await, place)
        };
        let (stream, place) = tokio::select! {
            biased;
            () = &mut stop => break,
            accepted = accepted => match accepted {
                (Ok((stream, _)), Ok(place)) => (stream, place),
                (Err(error), _) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
                (_, Err(_)) => break,
            },
        };
        prepare(&stream);
        let route = route.clone();
        let service = service_fn(move |request| {
            let response = route(request);
            async move { Ok::<_, Infallible>(response.await) }
        });
        let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
        let connection = graceful.watch(connection);
        let open = Open::enter(&open);
        tasks.spawn("connection", async move {
            if let Err(error) = connection.await {
                tracing::debug!(error, "a connection ended with an error");
            }
            drop((place, open));
        });
    }
    drop(listener);
    graceful.shutdown().await;
}

fn prepare(stream: &TcpStream) {
    // Small messages must not wait for acknowledgements. A failure here only costs latency.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
}

/// Runs hyper's tasks under the supervisor.
#[derive(Clone)]
pub struct Supervised(Tasks);

impl<F> hyper::rt::Executor<F> for Supervised
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, task: F) {
        self.0.spawn("call", task);
    }
}

/// Counts an open connection.
struct Open(prometheus::IntGauge);

impl Open {
    fn enter(gauge: &prometheus::IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.dec();
    }
}
